//! What `submit` asks of this room.

use alloy::{primitives::B256, sol_types::SolCall};
use protocol::{
    chain::{AccountId, pool_id},
    evm::pools::ArbitrationPools,
    wire::feed::{CallOutcome, RuleBook},
};
use serde::Deserialize as _;
use serde_json::{Value, json};
use service::db::Write;

use super::{
    model::{
        CommunityBody, MembershipBody, PoolBody, PoolFacts, Scope, keeper_only, leaves_a_steward,
        steward_only,
    },
    store::{self, Community, Pool},
};
use crate::{
    Hub,
    access::{Audience, Role},
    chain::ChainError,
    error::{Error, Refusal},
    identity, outbox,
    records::{Accepted, Draft, Record, RecordId},
};

/// See [`crate::rooms::Room::tables`].
pub(crate) const TABLES: &[&str] = &["communities", "members", "pools", "pool_scopes"];

pub(crate) fn check(record: &Record) -> Result<(), Refusal> {
    match record.kind.as_str() {
        "community@1" => identity::check_name(&record.body_as::<CommunityBody>()?.name, "/body/name"),
        "membership@1" => {
            record.about()?;
            record.body_as::<MembershipBody>().map(drop)
        }
        _ => {
            record.body_as::<PoolBody>()?;
            if record.about.is_none() && record.audience != [Audience::Public] {
                return Err(Refusal::schema(
                    "audience",
                    "/audience",
                    "a public pool is public: [\"public\"]",
                ));
            }
            Ok(())
        }
    }
}

pub(crate) async fn prepare(hub: &Hub, record: &Record) -> Result<Value, Error> {
    if record.kind != "pool@1" {
        return Ok(Value::Null);
    }
    let body: PoolBody = record.body_as()?;
    if !hub.config.arbiters.contains(&body.arbiter) {
        return Err(Refusal::rule(
            "unknown_arbiter",
            "/body/arbiter",
            format!("{} is not a contract that this hub follows", body.arbiter),
        )
        .into());
    }
    if let Some(community) = &record.about {
        let mut on = hub.db.reader().acquire().await?;
        let role = store::role_of(&mut on, community, &record.account()).await?;
        steward_only(role, community)?;
    }
    let facts = read_pool(hub, &body).await?;
    serde_json::to_value(facts).map_err(|error| Error::Corrupt(error.to_string()))
}

/// Rule book, worst case and newest members, as the contract has them now.
async fn read_pool(hub: &Hub, body: &PoolBody) -> Result<PoolFacts, Error> {
    let PoolBody { arbiter, panel } = body;
    let panel = *panel;
    let book = read_book(hub, *arbiter, panel).await?;
    let parent =
        if book.parent.is_zero() { None } else { Some(read_book(hub, *arbiter, book.parent).await?) };
    let worst_case = ask(hub, *arbiter, ArbitrationPools::worstCaseCall { pool: panel }).await?;
    let lists = ask(hub, *arbiter, ArbitrationPools::listCountCall { pool: panel }).await?;
    let members = match lists.checked_sub(1) {
        Some(list) => ask(hub, *arbiter, ArbitrationPools::membersOfCall { pool: panel, list }).await?,
        None => Vec::new(),
    };
    let members = members.into_iter().map(Into::into).collect();
    let unusable = |reason: String| ChainError::Unusable { path: format!("/v1/call of {arbiter}"), reason };
    let worst_case = u64::try_from(worst_case)
        .ok()
        .filter(|seconds| i64::try_from(*seconds).is_ok())
        .ok_or_else(|| unusable(format!("a worst case of {worst_case} seconds")))?;
    Ok(PoolFacts { book, parent, worst_case, members })
}

/// The rule book that the id stands for.
async fn read_book(hub: &Hub, arbiter: AccountId, panel: B256) -> Result<RuleBook, Error> {
    let book = ask(hub, arbiter, ArbitrationPools::bookOfCall { pool: panel }).await?;
    let book = RuleBook {
        keeper: book.keeper.into(),
        parent: book.parent,
        jury_size: book.jurySize,
        delay: book.delay,
        opening: book.opening,
        voting: book.voting,
        appeal: book.appeal,
        salt: book.salt,
    };
    let reason = match pool_id(arbiter.chain, &book) {
        Ok(id) if id == panel => return Ok(book),
        Ok(id) => format!("the rule book of {panel} hashes to {id}"),
        Err(error) => format!("the rule book of {panel}: {error}"),
    };
    Err(ChainError::Unusable { path: format!("/v1/call of {arbiter}"), reason }.into())
}

async fn ask<C: SolCall>(hub: &Hub, arbiter: AccountId, call: C) -> Result<C::Return, Error> {
    match hub.chain.call(arbiter, call.abi_encode()).await? {
        CallOutcome::Returned { data } => C::abi_decode_returns(&data).map_err(|error| {
            ChainError::Unusable { path: format!("/v1/call of {arbiter}"), reason: error.to_string() }.into()
        }),
        CallOutcome::Reverted { .. } => Err(Refusal::rule(
            "unknown_pool",
            "/body/panel",
            format!("the contract {arbiter} has no such pool ({} reverted)", C::SIGNATURE),
        )
        .into()),
    }
}

pub(crate) async fn apply(write: &mut Write, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    let Accepted { record, received_at: now, seq, .. } = accepted;
    let on = write.on();
    let author = record.account();
    let told = match record.kind.as_str() {
        "community@1" => {
            let mut audience = record.audience.clone();
            // Who belongs to it may read it, which its own record cannot say yet.
            audience.push(Audience::Community(record.id));
            let community = Community {
                id: record.id,
                seq: *seq,
                name: record.body_as::<CommunityBody>()?.name,
                audience,
                created_at: *now,
            };
            store::add_community(on, &community).await?;
            store::set_member(on, &record.id, &author, Some(Role::Steward), *now).await?;
            json!({ "community": record.id })
        }
        "membership@1" => {
            let community = known(on, &record.about()?).await?;
            let body: MembershipBody = record.body_as()?;
            let leaves = body.account == author && body.role.is_none();
            if !leaves {
                steward_only(store::role_of(on, &community.id, &author).await?, &community.id)?;
            }
            if !identity::account_exists(on, &body.account).await? {
                return Err(Refusal::rule(
                    "unknown_account",
                    "/body/account",
                    format!("there is no account {}", body.account),
                )
                .into());
            }
            let before = store::role_of(on, &community.id, &body.account).await?;
            leaves_a_steward(before, body.role, store::stewards(on, &community.id).await?)?;
            store::set_member(on, &community.id, &body.account, body.role, *now).await?;
            json!({ "community": community.id, "account": body.account, "role": body.role })
        }
        _ => {
            let scope = match &record.about {
                Some(community) => {
                    let community = known(on, community).await?;
                    steward_only(store::role_of(on, &community.id, &author).await?, &community.id)?;
                    Scope::Community(community.id)
                }
                None => Scope::Public,
            };
            let body: PoolBody = record.body_as()?;
            let facts = PoolFacts::deserialize(&accepted.facts)
                .map_err(|error| Error::Corrupt(format!("facts of {}: {error}", record.id)))?;
            if scope == Scope::Public {
                let wallet = AccountId { chain: body.arbiter.chain, address: facts.book.keeper };
                keeper_only(identity::account_of_wallet(on, &wallet).await?, author, wallet.address)?;
            }
            let pool = Pool {
                arbiter: body.arbiter,
                panel: body.panel,
                seq: *seq,
                size: u32::try_from(facts.members.len()).unwrap_or(u32::MAX),
                facts,
                read_at: *now,
                scopes: Vec::new(),
            };
            store::put_pool(on, &pool, scope).await?;
            json!({ "arbiter": body.arbiter, "panel": body.panel })
        }
    };
    outbox::append(on, "community", &record.audience, &told).await?;
    Ok(Vec::new())
}

async fn known(on: &mut sqlx::AnyConnection, id: &RecordId) -> Result<Community, Error> {
    store::community(on, id).await?.ok_or_else(|| {
        Refusal::rule("unknown_community", "/about", format!("there is no community {id}")).into()
    })
}

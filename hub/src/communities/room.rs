//! What `submit` asks of this room.

use std::time::{Duration, Instant};

use alloy::primitives::B256;
use protocol::{
    arbitration,
    chain::{AccountId, Address, pool_id},
    wire::{feed::RuleBook, view},
};
use serde::Deserialize as _;
use serde_json::{Value, json};
use service::db::Write;

use super::{
    lists,
    model::{
        CandidacyBody, Change, CommunityBody, MembershipBody, PoolBody, PoolFacts, SaidBy, Scope, Word,
        change, keeper_only, last_word, leaves_a_steward, steward_only, waits_since,
    },
    pools::{self, Pool},
    store::{self, Community},
};
use crate::{
    Hub,
    access::{Audience, Role},
    chain::ChainError,
    error::{Error, Refusal},
    governance, identity, outbox,
    records::{Accepted, Draft, Record, RecordId},
};

/// See [`crate::rooms::Room::tables`].
pub(crate) const TABLES: &[&str] = &[
    "communities",
    "members",
    "member_words",
    "invitations",
    "pools",
    "pool_scopes",
    "pool_decisions",
    "pool_lists",
    "candidates",
];

/// How long to wait for an indexer that has not seen a steward's pool yet, and between two looks.
const NEWS_WAIT: Duration = Duration::from_secs(3);
const NEWS_PERIOD: Duration = Duration::from_millis(200);

pub(crate) fn check(record: &Record) -> Result<(), Refusal> {
    match record.kind.as_str() {
        "community@1" => identity::check_name(&record.body_as::<CommunityBody>()?.name, "/body/name"),
        "membership@1" => {
            record.about()?;
            record.body_as::<MembershipBody>().map(drop)
        }
        "candidacy@1" => {
            record.about()?;
            record.body_as::<CandidacyBody>()?;
            if record.audience == [Audience::Account(record.account())] {
                return Ok(());
            }
            let told = "who stands is shown by a list that a vote has decided: name only yourself, account:<your id>";
            Err(Refusal::schema("candidacy_audience", "/audience", told))
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
    let facts = read_pool(hub, record, &body).await?;
    serde_json::to_value(facts).map_err(|error| Error::Corrupt(error.to_string()))
}

/// Rule book, worst case and newest members, as the arbiter's indexer has them now. Whose a public pool is, its rule book tells: for
/// whoever says something of one the indexer is asked once, and for more than the book when it is theirs.
async fn read_pool(hub: &Hub, record: &Record, body: &PoolBody) -> Result<PoolFacts, Error> {
    let PoolBody { arbiter, panel } = *body;
    let public = record.about.is_none();
    let wait = if public { Duration::ZERO } else { NEWS_WAIT };
    let unknown = |pool: B256| {
        let told = format!("the indexer of {} has seen no pool {pool} of {arbiter}", arbiter.chain);
        Refusal::rule("unknown_pool", "/body/panel", told)
    };
    let pool = seen(hub, arbiter, panel, wait).await?.ok_or_else(|| unknown(panel))?;
    let book = book_of(arbiter, panel, &pool)?;
    if public {
        by_its_keeper(&mut *hub.db.reader().acquire().await?, arbiter, &book, record.account()).await?;
    }
    let parent = if book.parent.is_zero() {
        None
    } else {
        let above = hub.indexers.pool(arbiter, book.parent).await?.ok_or_else(|| unknown(book.parent))?;
        Some(book_of(arbiter, book.parent, &above.pool)?)
    };
    let members = match pool.lists.last() {
        Some(newest) => read_members(hub, body, newest.list).await?,
        None => Vec::new(),
    };
    let worst_case = arbitration::worst_case(&book, parent.as_ref());
    Ok(PoolFacts { book, parent, worst_case, members })
}

/// A pool that was made a moment ago is the indexer's next news.
async fn seen(
    hub: &Hub,
    arbiter: AccountId,
    panel: B256,
    wait: Duration,
) -> Result<Option<view::Pool>, Error> {
    let since = Instant::now();
    loop {
        if let Some(found) = hub.indexers.pool(arbiter, panel).await? {
            return Ok(Some(found.pool));
        }
        if since.elapsed() >= wait {
            return Ok(None);
        }
        tokio::time::sleep(NEWS_PERIOD).await;
    }
}

/// That a pool with this rule book serves everyone is said by the account of its keeper's wallet.
async fn by_its_keeper(
    on: &mut sqlx::AnyConnection,
    arbiter: AccountId,
    book: &RuleBook,
    author: RecordId,
) -> Result<(), Error> {
    let wallet = AccountId { chain: arbiter.chain, address: book.keeper };
    let owner = identity::account_of_wallet(on, &wallet).await?;
    keeper_only(owner, author, wallet.address).map_err(Error::from)
}

fn unusable(arbiter: AccountId, pool: B256, reason: String) -> Error {
    ChainError::Unusable { path: format!("/v1/pools/{pool} of {arbiter}"), reason }.into()
}

/// The rule book that the id stands for.
fn book_of(arbiter: AccountId, panel: B256, pool: &view::Pool) -> Result<RuleBook, Error> {
    let Some(book) = pool.book.clone().filter(|_| pool.arbiter == arbiter) else {
        let reason = "it has no rule book: the indexer begins after the pool was made".to_owned();
        return Err(unusable(arbiter, panel, reason));
    };
    match pool_id(arbiter.chain, &book) {
        Ok(id) if id == panel => Ok(book),
        Ok(id) => Err(unusable(arbiter, panel, format!("its rule book hashes to {id}"))),
        Err(error) => Err(unusable(arbiter, panel, error.to_string())),
    }
}

/// A list, all of whose members are of the arbiter's chain.
pub(super) async fn read_members(hub: &Hub, body: &PoolBody, list: u32) -> Result<Vec<Address>, Error> {
    let PoolBody { arbiter, panel } = *body;
    let Some(found) = hub.indexers.members(arbiter, panel, list).await? else {
        return Err(unusable(arbiter, panel, format!("it has no members of its list {list}")));
    };
    match found.members.iter().find(|member| !arbiter.chain.has(**member)) {
        Some(other) => Err(unusable(arbiter, panel, format!("its member {other} is of another chain"))),
        None => Ok(found.members),
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
            store::keep_word(on, &record.id, &author, Word { record: record.id, decided: false }).await?;
            json!({ "community": record.id })
        }
        "membership@1" => {
            let community = known(on, &record.about()?).await?;
            let body: MembershipBody = record.body_as()?;
            let role = store::role_of(on, &community.id, &author).await?;
            // A steward speaks of itself as a steward, but when it leaves.
            let own = body.account == author && (role != Some(Role::Steward) || body.role.is_none());
            let said_by = if own { SaidBy::Account } else { SaidBy::Steward };
            if !own {
                steward_only(role, &community.id)?;
                if governance::settings(on, &community.id).await?.members_by_vote != 0 {
                    let told = format!("who belongs to community {} is decided by its votes", community.id);
                    return Err(Refusal::access("by_vote_only", "/author", told).into());
                }
            }
            let word = (said_by, &author);
            let change = change_member(on, &community.id, &body.account, body.role, word, accepted).await?;
            let waits = matches!(change, Change::Wait(_));
            let told = json!({ "community": community.id, "account": body.account, "role": body.role, "waits": waits });
            if waits {
                tell_of_waiting(on, &community.id, &body.account).await?;
            }
            told
        }
        "candidacy@1" => candidacy(on, accepted).await?,
        _ => {
            let body: PoolBody = record.body_as()?;
            let scope = match &record.about {
                Some(community) => {
                    let community = known(on, community).await?;
                    steward_only(store::role_of(on, &community.id, &author).await?, &community.id)?;
                    if lists::store::dropped(on, &community.id, &body.arbiter, &body.panel).await? {
                        let told = format!("a vote of community {} has dropped the pool", community.id);
                        return Err(Refusal::access("dropped_by_vote", "/body/panel", told).into());
                    }
                    Scope::Community(community.id)
                }
                None => Scope::Public,
            };
            let facts = PoolFacts::deserialize(&accepted.facts)
                .map_err(|error| Error::Corrupt(format!("facts of {}: {error}", record.id)))?;
            if scope == Scope::Public {
                by_its_keeper(on, body.arbiter, &facts.book, author).await?;
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
            pools::put_pool(on, &pool, scope).await?;
            json!({ "arbiter": body.arbiter, "panel": body.panel })
        }
    };
    outbox::append(on, "community", &record.audience, &told).await?;
    Ok(Vec::new())
}

/// Who belongs to a community says with which wallet of theirs a vote may put them on the lists of its pools, or that it may not any
/// more.
async fn candidacy(
    on: &mut sqlx::AnyConnection,
    Accepted { record, received_at, .. }: &Accepted,
) -> Result<Value, Error> {
    let author = record.account();
    let community = known(on, &record.about()?).await?.id;
    let CandidacyBody { wallet, stands } = record.body_as()?;
    if store::role_of(on, &community, &author).await?.is_none() {
        let told = format!("does not belong to community {community}");
        return Err(Refusal::access("members_only", "/author", told).into());
    }
    if stands {
        if identity::account_of_wallet(on, &wallet).await? != Some(author) {
            let told = format!("{wallet} is no wallet of the author's");
            return Err(Refusal::rule("not_your_wallet", "/body/wallet", told).into());
        }
        lists::store::stand(on, (&community, &author), &wallet, *received_at).await?;
    } else {
        lists::store::stand_down(on, (&community, &author), &wallet).await?;
    }
    Ok(json!({ "community": community, "account": author, "stands": stands }))
}

/// Both sides of a membership that waits learn of it, whoever may read the record.
async fn tell_of_waiting(
    on: &mut sqlx::AnyConnection,
    community: &RecordId,
    account: &RecordId,
) -> Result<(), Error> {
    let audience = [Audience::Account(*account), Audience::Community(*community)];
    outbox::append(on, "invitation", &audience, &json!({ "community": community, "account": account })).await
}

/// A vote or a ruling says, by the record that decides it, what an account is from now on in a community that there is; one that is
/// not of it has to say so itself as well.
///
/// # Errors
/// Step `rule`: there is no such account, or no steward would be left.
pub(crate) async fn decide_member(
    on: &mut sqlx::AnyConnection,
    community: &RecordId,
    account: &RecordId,
    role: Option<Role>,
    by: &Accepted,
) -> Result<(), Error> {
    if let Change::Wait(_) =
        change_member(on, community, account, role, (SaidBy::Vote, community), by).await?
    {
        tell_of_waiting(on, community, account).await?;
    }
    Ok(())
}

/// An account that has asked to belong to a community again, by its own signed word, does so as a member by a ruling.
///
/// # Errors
/// As [`decide_member`].
pub(crate) async fn restore_member(
    on: &mut sqlx::AnyConnection,
    community: &RecordId,
    account: &RecordId,
    by: &Accepted,
) -> Result<(), Error> {
    if store::role_of(on, community, account).await?.is_some() {
        return Ok(());
    }
    store::forget_waiting(on, community, account).await?;
    for word in [(SaidBy::Account, account), (SaidBy::Vote, community)] {
        change_member(on, community, account, Some(Role::Member), word, by).await?;
    }
    Ok(())
}

/// What two have agreed on is no decision of all: the last word on the membership is from now on the record that they were in dispute
/// about, which may be brought before a jury.
///
/// # Errors
/// The database fails.
pub(crate) async fn settled_member(
    on: &mut sqlx::AnyConnection,
    community: &RecordId,
    account: &RecordId,
    subject: RecordId,
) -> Result<(), Error> {
    store::keep_word(on, community, account, Word { record: subject, decided: false }).await
}

/// What the word of a record brings about, of whom and as what it is said; whether it may be said, the caller has asked.
async fn change_member(
    on: &mut sqlx::AnyConnection,
    community: &RecordId,
    account: &RecordId,
    role: Option<Role>,
    (said_by, author): (SaidBy, &RecordId),
    Accepted { record, received_at, .. }: &Accepted,
) -> Result<Change, Error> {
    let now = *received_at;
    if !identity::account_exists(on, account).await? {
        let told = format!("there is no account {account}");
        return Err(Refusal::rule("unknown_account", "/body/account", told).into());
    }
    let before = store::role_of(on, community, account).await?;
    let waiting = store::waiting(on, community, account, waits_since(now)).await?;
    let by_vote_only = governance::settings(on, community).await?.members_by_vote != 0;
    let change = change(before, waiting, role, said_by, by_vote_only)?;
    store::forget_waiting(on, community, account).await?;
    match change {
        Change::Role(role) => {
            leaves_a_steward(before, role, store::stewards(on, community).await?)?;
            store::set_member(on, community, account, role, now).await?;
            // Whom a vote has let in says the last word of the two.
            let invited = waiting.is_some_and(|one| one.said_by == SaidBy::Vote) && before.is_none();
            let by_vote = said_by == SaidBy::Vote || (invited && role.is_some());
            let earlier = store::last_word(on, community, account).await?;
            if let Some(word) = last_word(earlier, (before, role), record.id, by_vote) {
                store::keep_word(on, community, account, word).await?;
            }
            if before == Some(Role::Steward) && role != before {
                store::forget_words_of(on, community, account).await?;
            }
        }
        Change::Wait(waiting) => store::wait(on, community, account, waiting, author, now).await?,
    }
    Ok(change)
}

async fn known(on: &mut sqlx::AnyConnection, id: &RecordId) -> Result<Community, Error> {
    store::community(on, id).await?.ok_or_else(|| {
        Refusal::rule("unknown_community", "/about", format!("there is no community {id}")).into()
    })
}

//! What follows from acts and standing orders: intents, and moments to come. Their tables.

use protocol::{
    chain::{AccountId, Address, Signed},
    wire::{
        act::{PartyAct, TimeOut},
        intent::{IntentAction, PartySignature},
    },
};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row};

use super::{
    acts::{self, ACTS_MAX, ActBody, Asked, OPEN_ACTS_MAX, PATIENCE, StandingBody},
    intents,
    position::Position,
    store::{self, Purchase, corrupt, json, parsed, text},
};
use crate::{
    Hub,
    error::{Error, Refusal},
    identity, outbox,
    records::{Accepted, Record, RecordId},
};

/// `due@1` of a time-out: the hub says that its moment has come.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimeOutBody {
    pub time_out: TimeOut,
}

impl From<acts::Refusal> for Refusal {
    fn from(refused: acts::Refusal) -> Self {
        let (rule, field, detail) = (refused.rule(), refused.field(), refused.to_string());
        match refused {
            acts::Refusal::NotYours(_) => Self::access(rule, field, detail),
            acts::Refusal::NotOpen { .. }
            | acts::Refusal::NothingMoves(_)
            | acts::Refusal::KnownAct
            | acts::Refusal::TooManyActs
            | acts::Refusal::TooManyOpenActs => Self::conflict(rule, field, detail),
            _ => Self::rule(rule, field, detail),
        }
    }
}

/// The wallet by which an account is a party of the terms; none when it is not.
fn wallet_of(purchase: &Purchase, account: RecordId) -> Option<AccountId> {
    if account == purchase.buyer {
        Some(purchase.terms.buyer)
    } else if account == purchase.seller {
        Some(purchase.terms.seller)
    } else {
        None
    }
}

/// Asks the party's contract wallet about its signature, where only that can say.
pub(super) async fn contract_accepts(hub: &Hub, record: &Record) -> Result<Option<bool>, Error> {
    let purchase = store::by_id(&mut *hub.db.reader().acquire().await?, &record.about()?).await?;
    let Some(purchase) = purchase else { return Ok(None) };
    let Some(party) = wallet_of(&purchase, record.account()) else { return Ok(None) };
    let body: ActBody = record.body_as()?;
    match acts::signature(&purchase.terms, party, &body) {
        Ok(Signed::AskContract(digest)) => {
            identity::contract_accepts(&hub.indexers, party, digest, &body.signature).await.map(Some)
        }
        // Nothing to ask; the rules say, in their order, what is wrong.
        Ok(Signed::ByKey) | Err(_) => Ok(None),
    }
}

fn asked<'a>(purchase: &'a Purchase, party: AccountId, now: u64) -> Asked<'a> {
    Asked { terms: &purchase.terms, position: &purchase.position, likely: likely(purchase), party, now }
}

/// Where it stands if what was seen becomes final.
fn likely(purchase: &Purchase) -> &Position {
    purchase.provisional.as_ref().map_or(&purchase.position, |seen| &seen.position)
}

fn party_of(purchase: &Purchase, record: &Record) -> Result<AccountId, Error> {
    let party = wallet_of(purchase, record.account());
    party.ok_or_else(|| corrupt(format_args!("{} is no party of {}", record.account(), purchase.id)))
}

/// A party's act: becomes an intent, a settlement once both have signed it.
pub(super) async fn act(
    on: &mut AnyConnection,
    purchase: &Purchase,
    accepted: &Accepted,
    accepts: Option<bool>,
    now: u64,
) -> Result<(), Error> {
    let record = &accepted.record;
    let (body, party): (ActBody, _) = (record.body_as()?, party_of(purchase, record)?);
    acts::check_act(&body, &asked(purchase, party, now)).map_err(Refusal::from)?;
    let key = acts::key(&purchase.terms, purchase.deal, party, &body.act).map_err(Refusal::from)?;
    let before = of_key(on, &key).await?;
    if before.iter().any(|one| one.party == party.address) {
        return Err(Refusal::from(acts::Refusal::KnownAct).into());
    }
    if count(on, purchase, party).await? >= ACTS_MAX {
        return Err(Refusal::from(acts::Refusal::TooManyActs).into());
    }
    if open(on, record.account(), now).await? >= OPEN_ACTS_MAX {
        return Err(Refusal::from(acts::Refusal::TooManyOpenActs).into());
    }
    let signed = acts::signature(&purchase.terms, party, &body).map_err(Refusal::from)?;
    if signed != Signed::ByKey && accepts != Some(true) {
        let told = format!("it is not {party}'s over this {} of deal {}", body.act.name(), purchase.deal);
        return Err(Refusal::from(acts::Refusal::InvalidSignature(told)).into());
    }
    let deadline = body.act.valid_until().unwrap_or_else(|| now.saturating_add(PATIENCE));
    add(on, purchase, &key, (party, deadline), &body, accepted).await?;
    let ActBody { act, signature } = body;
    let mut signed = before;
    signed.push(PartySignature { party: party.address, signature });
    if act.signers(&purchase.terms, party.address).len() == signed.len() {
        let action = IntentAction::Act { act, signed };
        intents::publish_for(on, record.account(), &key, purchase, action, deadline).await?;
    }
    let data = serde_json::json!({ "purchase": purchase.id, "deal": purchase.deal, "what": "act" });
    outbox::append(on, "purchase", &purchase.parties(), &data).await
}

/// What a party wants done when the time has come, in place of what it wanted before.
pub(super) async fn stand(
    on: &mut AnyConnection,
    purchase: &Purchase,
    accepted: &Accepted,
    now: u64,
) -> Result<(), Error> {
    let record = &accepted.record;
    let (body, party): (StandingBody, _) = (record.body_as()?, party_of(purchase, record)?);
    acts::check_standing(&body, &asked(purchase, party, now)).map_err(Refusal::from)?;
    let account = record.account();
    sqlx::query("DELETE FROM standing WHERE deal = $1 AND account = $2")
        .bind(purchase.deal.to_string())
        .bind(account.to_string())
        .execute(&mut *on)
        .await?;
    for time_out in &body.time_outs {
        sqlx::query("INSERT INTO standing (deal, time_out, account, since) VALUES ($1, $2, $3, $4)")
            .bind(purchase.deal.to_string())
            .bind(time_out.name())
            .bind(account.to_string())
            .bind(accepted.received_at)
            .execute(&mut *on)
            .await?;
    }
    schedule(on, purchase, now).await
}

/// Does what was asked for where its moment has come, and keeps the moment to come. `now` in Unix seconds.
pub(super) async fn schedule(on: &mut AnyConnection, purchase: &Purchase, now: u64) -> Result<(), Error> {
    forget(on, purchase, None).await?;
    let next = acts::next(&purchase.position, likely(purchase), &purchase.terms);
    let Some((time_out, from)) = next else { return Ok(()) };
    let mut wanted = standing(on, purchase).await?;
    wanted.retain(|(wanted, _)| *wanted == time_out);
    if wanted.is_empty() {
        return Ok(());
    }
    if from <= now {
        let deadline = now.saturating_add(PATIENCE);
        for (_, account) in wanted {
            // One for each who wants it: what stands in one account's way must not keep it from the other.
            let key = format!("time-out/{}/{}/{account}", purchase.deal, time_out.name());
            let action = IntentAction::TimeOut { time_out };
            intents::publish_for(on, account, &key, purchase, action, deadline).await?;
        }
        return Ok(());
    }
    sqlx::query("INSERT INTO time_outs (deal, time_out, at) VALUES ($1, $2, $3)")
        .bind(purchase.deal.to_string())
        .bind(time_out.name())
        .bind(i64::try_from(from.saturating_mul(1000)).map_err(corrupt)?)
        .execute(on)
        .await?;
    Ok(())
}

/// The moment of a time-out has come.
pub(crate) async fn come(
    on: &mut AnyConnection,
    purchase: &Purchase,
    time_out: TimeOut,
    now: u64,
) -> Result<(), Error> {
    // Two processes may both have seen that it came; the second finds nothing to do.
    if forget(on, purchase, Some(time_out)).await? { schedule(on, purchase, now).await } else { Ok(()) }
}

async fn forget(on: &mut AnyConnection, purchase: &Purchase, only: Option<TimeOut>) -> Result<bool, Error> {
    let gone = sqlx::query("DELETE FROM time_outs WHERE deal = $1 AND ($2 = '' OR time_out = $2)")
        .bind(purchase.deal.to_string())
        .bind(only.map_or("", TimeOut::name))
        .execute(on)
        .await?;
    Ok(gone.rows_affected() > 0)
}

/// What is wanted about a deal when the time has come, and by whom first.
pub(super) async fn standing(
    on: &mut AnyConnection,
    purchase: &Purchase,
) -> Result<Vec<(TimeOut, RecordId)>, Error> {
    let rows = sqlx::query(
        "SELECT time_out, account FROM standing WHERE deal = $1 ORDER BY since, time_out, account",
    )
    .bind(purchase.deal.to_string())
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| Ok((parsed(row, "time_out")?, parsed(row, "account")?))).collect()
}

/// An act that was handed in.
#[derive(Clone, Debug)]
pub(super) struct Handed {
    /// Its `act@1`.
    pub id: RecordId,
    /// The key of the intent that it is part of.
    pub key: String,
    /// Who signed.
    pub party: Address,
    /// What.
    pub act: PartyAct,
}

/// What was handed in about a deal, oldest first.
pub(super) async fn handed(on: &mut AnyConnection, purchase: &Purchase) -> Result<Vec<Handed>, Error> {
    let rows = sqlx::query(
        "SELECT id, key, party, body FROM acts WHERE deal = $1 ORDER BY created_at, id LIMIT 200",
    )
    .bind(purchase.deal.to_string())
    .fetch_all(on)
    .await?;
    rows.iter()
        .map(|row| {
            let ActBody { act, .. } = json(row, "body")?;
            Ok(Handed { id: parsed(row, "id")?, key: row.try_get("key")?, party: parsed(row, "party")?, act })
        })
        .collect()
}

/// Who signed what has this key.
async fn of_key(on: &mut AnyConnection, key: &str) -> Result<Vec<PartySignature>, Error> {
    let rows = sqlx::query("SELECT party, body FROM acts WHERE key = $1 ORDER BY created_at, id")
        .bind(key)
        .fetch_all(on)
        .await?;
    rows.iter()
        .map(|row| {
            let ActBody { signature, .. } = json(row, "body")?;
            Ok(PartySignature { party: parsed(row, "party")?, signature })
        })
        .collect()
}

async fn count(on: &mut AnyConnection, purchase: &Purchase, party: AccountId) -> Result<i64, Error> {
    Ok(sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM acts WHERE deal = $1 AND party = $2")
        .bind(purchase.deal.to_string())
        .bind(party.address.to_string())
        .fetch_one(on)
        .await?)
}

/// How many acts of an account may still be tried: those about deals that are not over, and withdrawals, but for what the relayer
/// said is done or has failed. `now` in Unix seconds.
async fn open(on: &mut AnyConnection, account: RecordId, now: u64) -> Result<i64, Error> {
    Ok(sqlx::query_scalar(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM acts a JOIN purchases p ON p.deal = a.deal
         WHERE a.author = $1 AND a.deadline >= $2 AND (a.what = 'withdraw' OR p.status NOT IN ('completed', 'refunded'))
             AND NOT EXISTS (
                 SELECT 1 FROM intent_progress r WHERE r.key = a.key
                     AND (r.progress LIKE '{\"state\":\"done\"%' OR r.progress LIKE '{\"state\":\"failed\"%')
             )",
    )
    .bind(account.to_string())
    .bind(i64::try_from(now).unwrap_or(i64::MAX))
    .fetch_one(on)
    .await?)
}

async fn add(
    on: &mut AnyConnection,
    purchase: &Purchase,
    key: &str,
    (party, deadline): (AccountId, u64),
    body: &ActBody,
    accepted: &Accepted,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO acts (id, deal, key, party, author, what, deadline, body, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(accepted.record.id.to_string())
    .bind(purchase.deal.to_string())
    .bind(key)
    .bind(party.address.to_string())
    .bind(accepted.record.account().to_string())
    .bind(body.act.name())
    .bind(i64::try_from(deadline).unwrap_or(i64::MAX))
    .bind(text(body)?)
    .bind(accepted.received_at)
    .execute(on)
    .await?;
    Ok(())
}

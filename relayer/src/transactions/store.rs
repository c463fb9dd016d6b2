//! What becomes of intents, as far as it is the same on every chain. The attempts are the managers' own tables.

use std::{collections::BTreeMap, fmt, str::FromStr};

use protocol::chain::TransactionId;
use serde::{Deserialize, Serialize};
use service::db::Write;
use sqlx::AnyPool;

use super::model::{Step, next};
use crate::{
    error::Error,
    intents::{Kept, State},
};

/// What became of a signed transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It may still be mined, or be taken out of its block.
    Open,
    /// Final, without a revert.
    Succeeded,
    /// Final, reverted.
    Reverted,
    /// Another transaction with its nonce is final.
    Replaced,
    /// It was not in a block when its time ended, which is final.
    Expired,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Open, Self::Succeeded, Self::Reverted, Self::Replaced, Self::Expired];

    /// As in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Succeeded => "succeeded",
            Self::Reverted => "reverted",
            Self::Replaced => "replaced",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Outcome {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
            .ok_or_else(|| "not an outcome".to_owned())
    }
}

/// The intents that are not over, by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// Those with a transaction that may still have an effect, and whether somebody asked for them, in the order of arrival.
    /// What may be signed at one time bounds them, and nothing else may: each must be watched.
    pub under_way: Vec<(i64, bool)>,
    /// Steps of cases that wait, in the order of arrival.
    pub steps: Vec<i64>,
    /// What somebody asked for and waits, with its account: of each account the oldest.
    pub asked: Vec<(String, i64)>,
    /// What waits beside these.
    pub beyond: Beyond,
}

/// What waits beyond the intents of which a round takes note.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beyond {
    /// Nothing.
    #[default]
    Nothing,
    /// What older ones of the same accounts are done before.
    InTurn,
    /// Some step of a case, or all of some account.
    Unseen,
}

impl Beyond {
    /// Where so many steps of cases wait, and these of what somebody asked for, of each account the oldest first: both counted
    /// up to one more than the `limit` of which note is taken.
    fn of(steps: usize, asked: &[(String, i64)], limit: usize) -> Self {
        let seen = |account: &str| asked.iter().take(limit).any(|(seen, _)| seen == account);
        match asked.get(limit) {
            _ if steps > limit => Self::Unseen,
            Some((account, _)) if !seen(account) => Self::Unseen,
            Some(_) => Self::InTurn,
            None => Self::Nothing,
        }
    }
}

impl Open {
    /// All of them.
    pub fn ids(&self) -> impl Iterator<Item = i64> {
        let under_way = self.under_way.iter().map(|(id, _)| *id);
        under_way.chain(self.steps.iter().copied()).chain(self.asked.iter().map(|(_, id)| *id))
    }
}

/// The intents that are not over; of steps of cases that wait, and of what somebody asked for and waits, at most `limit` each.
///
/// # Errors
/// The database's own.
pub async fn open(reader: &AnyPool, limit: usize) -> Result<Open, Error> {
    const UNDER_WAY: &str = "SELECT id FROM intent WHERE state IN ('attempted', 'mined')
         UNION SELECT intent FROM attempt WHERE outcome = 'open' AND intent IS NOT NULL
         UNION SELECT intent FROM solana_attempt WHERE outcome = 'open'";
    let rows: Vec<(i64, i64)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT id, CAST(CASE WHEN asked_by IS NULL THEN 0 ELSE 1 END AS BIGINT) FROM intent WHERE id IN ({UNDER_WAY}) ORDER BY id"
    )))
    .fetch_all(reader)
    .await?;
    let under_way = rows.into_iter().map(|(id, asked)| (id, asked == 1)).collect();
    // One more than is wanted tells that there are more.
    let one_more = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let mut steps: Vec<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "SELECT id FROM intent WHERE state IN ('waiting', 'quarantined') AND asked_by IS NULL AND id NOT IN ({UNDER_WAY})
         ORDER BY id LIMIT $1"
    )))
    .bind(one_more)
    .fetch_all(reader)
    .await?;
    let mut asked: Vec<(String, i64)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT asked_by, id FROM (
             SELECT asked_by, id, ROW_NUMBER() OVER (PARTITION BY asked_by ORDER BY id) AS place FROM intent
             WHERE state IN ('waiting', 'quarantined') AND asked_by IS NOT NULL AND id NOT IN ({UNDER_WAY})
         ) AS waiting ORDER BY place, id LIMIT $1"
    )))
    .bind(one_more)
    .fetch_all(reader)
    .await?;
    let beyond = Beyond::of(steps.len(), &asked, limit);
    steps.truncate(limit);
    asked.truncate(limit);
    Ok(Open { under_way, steps, asked, beyond })
}

/// How things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How many intents are in each state that has any.
    pub intents: Vec<(State, i64)>,
    /// When the oldest that is not over arrived (Unix milliseconds).
    pub oldest_ms: Option<i64>,
    /// Transactions that may still be mined.
    pub attempts_open: i64,
    /// By signer the nonce after the highest that it ever signed with, where transactions have nonces.
    pub next_nonces: BTreeMap<String, u64>,
}

/// How things stand.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn standing(reader: &AnyPool) -> Result<Standing, Error> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT state, COUNT(*) FROM intent GROUP BY state").fetch_all(reader).await?;
    let intents = rows
        .into_iter()
        .map(|(state, count)| {
            let state =
                state.parse().map_err(|error: String| Error::damaged("intent.state", &state, error))?;
            Ok((state, count))
        })
        .collect::<Result<_, Error>>()?;
    let oldest_ms: Option<i64> = sqlx::query_scalar(
        "SELECT MIN(received_ms) FROM intent WHERE state IN ('waiting', 'attempted', 'mined', 'quarantined')",
    )
    .fetch_one(reader)
    .await?;
    let attempts_open: i64 = sqlx::query_scalar(
        "SELECT (SELECT COUNT(*) FROM attempt WHERE outcome = 'open')
              + (SELECT COUNT(*) FROM solana_attempt WHERE outcome = 'open')",
    )
    .fetch_one(reader)
    .await?;
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT signer, MAX(nonce) FROM attempt GROUP BY signer").fetch_all(reader).await?;
    let next_nonces = rows
        .into_iter()
        .map(|(signer, highest)| (signer, u64::try_from(highest).unwrap_or(0).saturating_add(1)))
        .collect();
    Ok(Standing { intents, oldest_ms, attempts_open, next_nonces })
}

/// How many intents need a person.
///
/// # Errors
/// The database's own.
pub async fn quarantined(reader: &AnyPool) -> Result<i64, Error> {
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM intent WHERE state = 'quarantined'");
    Ok(count.fetch_one(reader).await?)
}

/// Moves an intent by a step, if it still is where `kept` saw it.
///
/// # Errors
/// The step is forbidden, another process moved the intent, or the database's own.
pub async fn step(
    write: &mut Write,
    kept: &Kept,
    step: Step,
    reason: &str,
    done_by: Option<TransactionId>,
    now_ms: i64,
) -> Result<State, Error> {
    let state = next(kept.state, step)?;
    let moved = sqlx::query(
        "UPDATE intent SET state = $1, reason = $2, refused_at_block = NULL, done_by = $3, updated_ms = $4,
             settled_block = NULL, settled_hash = NULL
         WHERE id = $5 AND state = $6",
    )
    .bind(state.as_str())
    .bind(reason)
    .bind(done_by.map(|hash| hash.to_string()))
    .bind(now_ms)
    .bind(kept.id)
    .bind(kept.state.as_str())
    .execute(write.on())
    .await?
    .rows_affected();
    if moved == 1 { Ok(state) } else { Err(Error::LeaseLost) }
}

/// Notes as of which final block an intent was over.
///
/// # Errors
/// The database's own.
pub async fn settle(write: &mut Write, id: i64, block: u64, hash: &str) -> Result<(), Error> {
    sqlx::query("UPDATE intent SET settled_block = $1, settled_hash = $2 WHERE id = $3")
        .bind(i64::try_from(block).unwrap_or(i64::MAX))
        .bind(hash)
        .bind(id)
        .execute(write.on())
        .await?;
    Ok(())
}

/// The intents that are over, the latest first: id, and number and hash of the final block as of which they were; at most
/// 1,000.
///
/// # Errors
/// The database's own.
pub async fn settled(reader: &AnyPool) -> Result<Vec<(i64, u64, String)>, Error> {
    let rows: Vec<(i64, i64, String)> = sqlx::query_as(
        "SELECT id, settled_block, settled_hash FROM intent WHERE settled_block IS NOT NULL
         ORDER BY settled_block DESC, id DESC LIMIT 1000",
    )
    .fetch_all(reader)
    .await?;
    Ok(rows.into_iter().map(|(id, block, hash)| (id, block.try_into().unwrap_or(0), hash)).collect())
}

/// Notes why an intent stays where it is.
///
/// # Errors
/// The database's own.
pub async fn note(
    write: &mut Write,
    id: i64,
    reason: &str,
    refused_at_block: Option<u64>,
    now_ms: i64,
) -> Result<(), Error> {
    sqlx::query("UPDATE intent SET reason = $1, refused_at_block = $2, updated_ms = $3 WHERE id = $4")
        .bind(reason)
        .bind(refused_at_block.and_then(|block| i64::try_from(block).ok()))
        .bind(now_ms)
        .bind(id)
        .execute(write.on())
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_or_an_account_that_is_not_looked_at_is_more_than_a_notice() {
        let beyond = |steps, accounts: &[&str]| {
            let asked: Vec<(String, i64)> =
                (0..).zip(accounts).map(|(id, account)| ((*account).to_owned(), id)).collect();
            Beyond::of(steps, &asked, 3)
        };
        assert_eq!(beyond(3, &["ann", "bob", "cid"]), Beyond::Nothing);
        assert_eq!(beyond(2, &["ann", "bob", "ann", "bob"]), Beyond::InTurn);
        // As many steps or accounts as note is taken of are all looked at.
        assert_eq!(beyond(3, &["ann", "bob", "ann", "bob"]), Beyond::InTurn);
        assert_eq!(beyond(0, &["ann", "bob", "cid", "ann"]), Beyond::InTurn);
        assert_eq!(beyond(4, &[]), Beyond::Unseen);
        assert_eq!(beyond(0, &["ann", "bob", "cid", "dee"]), Beyond::Unseen);
    }
}

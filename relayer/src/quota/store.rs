//! What was signed in whose name, in the transaction that stores the signature.

use service::db::Write;
use sqlx::{AnyConnection, AnyPool};

use super::model::{Over, Quotas, Use, Used};
use crate::{error::Error, intents::Kept};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The account of steps of cases, which are done for everybody.
const NOBODY: &str = "";
/// The most that is noted for one step of a case, in billionths: a million of them still add up to an integer of a database.
const STEP_MAX: u64 = 1_000_000_000_000;

fn column(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// What an account was charged since then, or all but nobody: two statements, so that an account's own is found by the index.
const OF_ONE: &str = "SELECT cost FROM charge WHERE account = $1 AND at_ms > $2";
const OF_ALL: &str = "SELECT cost FROM charge WHERE account <> $1 AND at_ms > $2";

async fn window(on: &mut AnyConnection, account: &str, since_ms: i64) -> Result<Use, Error> {
    // A sum of so many integers may not fit one: it is added up here.
    let statement = if account == NOBODY { OF_ALL } else { OF_ONE };
    let rows: Vec<(i64,)> = sqlx::query_as(statement).bind(account).bind(since_ms).fetch_all(on).await?;
    let cost = |(cost,): &(i64,)| u64::try_from(*cost).unwrap_or_default();
    Ok(Use {
        count: u64::try_from(rows.len()).unwrap_or(u64::MAX),
        cost: rows.iter().map(cost).fold(0, u64::saturating_add),
    })
}

/// What all accounts together have used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    hour: Use,
    day: Use,
    in_flight: u64,
}

/// What all accounts together have used: every transaction of a day is counted for it.
///
/// # Errors
/// The database's own; so with everything here.
pub async fn totals(on: &mut AnyConnection, now_ms: i64) -> Result<Totals, Error> {
    let in_flight: i64 = sqlx::query_scalar(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM intent WHERE asked_by IS NOT NULL AND state = 'attempted'",
    )
    .fetch_one(&mut *on)
    .await?;
    Ok(Totals {
        hour: window(on, "", now_ms.saturating_sub(HOUR_MS)).await?,
        day: window(on, "", now_ms.saturating_sub(DAY_MS)).await?,
        in_flight: u64::try_from(in_flight).unwrap_or_default(),
    })
}

/// What an account and all together have used.
///
/// # Errors
/// As [`totals`].
pub async fn used(on: &mut AnyConnection, account: &str, now_ms: i64) -> Result<Used, Error> {
    let totals = totals(on, now_ms).await?;
    used_beside(on, account, &totals, now_ms).await
}

async fn used_beside(
    on: &mut AnyConnection,
    account: &str,
    totals: &Totals,
    now_ms: i64,
) -> Result<Used, Error> {
    let account_open: i64 = sqlx::query_scalar(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM intent WHERE asked_by = $1 AND state IN ('attempted', 'mined')",
    )
    .bind(account)
    .fetch_one(&mut *on)
    .await?;
    Ok(Used {
        account_open: u64::try_from(account_open).unwrap_or_default(),
        account_hour: window(on, account, now_ms.saturating_sub(HOUR_MS)).await?,
        account_day: window(on, account, now_ms.saturating_sub(DAY_MS)).await?,
        total_hour: totals.hour,
        total_day: totals.day,
        in_flight: totals.in_flight,
    })
}

/// Charges an intent's account for a transaction that may cost so much, in billionths; unless that is over a quota, which
/// is then answered and nothing charged. `slot` is what only one transaction of can be in a block: signer and nonce, or its
/// signature. Steps of cases are noted and held to no quota.
///
/// # Errors
/// As [`used`].
pub async fn charge(
    write: &mut Write,
    quotas: &Quotas,
    kept: &Kept,
    slot: &str,
    cost: u64,
    now_ms: i64,
) -> Result<Option<Over>, Error> {
    let account = kept.intent.asked_by.as_deref().unwrap_or(NOBODY);
    let cost = if account == NOBODY { cost.min(STEP_MAX) } else { cost };
    sqlx::query("DELETE FROM charge WHERE at_ms <= $1")
        .bind(now_ms.saturating_sub(DAY_MS))
        .execute(write.on())
        .await?;
    if let Some(over) = over(write.on(), quotas, kept, cost, now_ms).await? {
        return Ok(Some(over));
    }
    sqlx::query("INSERT INTO charge (slot, intent, account, cost, at_ms) VALUES ($1, $2, $3, $4, $5)")
        .bind(slot)
        .bind(kept.id)
        .bind(account)
        .bind(column(cost))
        .bind(now_ms)
        .execute(write.on())
        .await?;
    Ok(None)
}

/// What the steps of cases that were signed in the last day may cost, in billionths.
///
/// # Errors
/// As [`used`].
pub async fn of_steps(reader: &AnyPool, now_ms: i64) -> Result<u64, Error> {
    let sum: i64 = sqlx::query_scalar(
        "SELECT CAST(COALESCE(SUM(cost), 0) AS BIGINT) FROM charge WHERE account = $1 AND at_ms > $2",
    )
    .bind(NOBODY)
    .bind(now_ms.saturating_sub(DAY_MS))
    .fetch_one(reader)
    .await?;
    Ok(u64::try_from(sum).unwrap_or_default())
}

/// A transaction is replaced by a dearer one of the same slot. No quota holds that up: what is stuck holds up everything
/// behind it, and what one intent may cost is bounded by its budget.
///
/// # Errors
/// As [`used`].
pub async fn raise(write: &mut Write, slot: &str, cost: u64) -> Result<(), Error> {
    sqlx::query(
        "UPDATE charge SET cost = CASE WHEN account = '' AND $1 > $3 THEN $3 ELSE $1 END
         WHERE slot = $2 AND cost < CASE WHEN account = '' AND $1 > $3 THEN $3 ELSE $1 END",
    )
    .bind(column(cost))
    .bind(slot)
    .bind(column(STEP_MAX))
    .execute(write.on())
    .await?;
    Ok(())
}

/// The quota that one more transaction of an intent's account would exceed, as of now, without a charge: so that nothing is
/// signed in vain.
///
/// # Errors
/// As [`used`].
pub async fn over(
    on: &mut AnyConnection,
    quotas: &Quotas,
    kept: &Kept,
    cost: u64,
    now_ms: i64,
) -> Result<Option<Over>, Error> {
    if kept.intent.asked_by.is_none() {
        return Ok(None);
    }
    let totals = totals(on, now_ms).await?;
    over_beside(on, quotas, kept, cost, (&totals, now_ms)).await
}

/// The same, where it is known what all accounts together have used.
///
/// # Errors
/// As [`used`].
pub async fn over_beside(
    on: &mut AnyConnection,
    quotas: &Quotas,
    kept: &Kept,
    cost: u64,
    (totals, now_ms): (&Totals, i64),
) -> Result<Option<Over>, Error> {
    let Some(account) = &kept.intent.asked_by else { return Ok(None) };
    let over = quotas.allow(&used_beside(on, account, totals, now_ms).await?, cost).err();
    Ok(over.inspect(count))
}

fn count(over: &Over) {
    metrics::counter!("relayer_over_quota_total", "quota" => over.rule).increment(1);
}

#[cfg(test)]
mod tests {
    use service::db::{Db, testing::sqlite};
    use sqlx::Row as _;

    use super::OF_ONE;
    use crate::run::SCHEMA;

    #[tokio::test]
    async fn what_an_account_was_charged_is_found_without_a_look_at_what_others_were() {
        let fresh = sqlite();
        let db = Db::open(&fresh.url, SCHEMA).await.unwrap();
        let plan = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {OF_ONE}")))
            .bind("ann")
            .bind(1_i64)
            .fetch_all(db.reader())
            .await
            .unwrap();
        let steps: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        let [step] = steps.as_slice() else { panic!("{steps:?}") };
        assert!(step.starts_with("SEARCH charge USING INDEX charge_account"), "{step}");
        db.close().await;
    }
}

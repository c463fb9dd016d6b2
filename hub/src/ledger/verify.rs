//! Reads the whole ledger, a page at a time, and says where it is not what it must be. It sees one state of the database
//! throughout, so a hub may be running on it. A cell that cannot be read is a fault like any other: the rest is read on.

mod entries;
mod log;
mod mirror;
mod reversals;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use service::db::Db;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use super::{
    model::{Asset, Hold, HoldState, Key, OperationId, sum},
    sql::{texts, view},
    store::{amount, corrupt, holds, parsed, read_account, read_hold, read_rules},
};
use crate::error::Error;

/// How many rows are held in memory at once.
const PAGE: i64 = 500;
/// How many faults are told in words.
const TOLD_MAX: usize = 100;

/// What a look at the whole ledger found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How many accounts there are.
    pub accounts: u64,
    /// How many entries.
    pub entries: u64,
    /// How many operations.
    pub operations: u64,
    /// How many holds.
    pub holds: u64,
    /// How many deals, each held against its final events.
    pub deals: u64,
    /// Of how many open deals the indexers answered; 0 where they were not asked.
    pub asked: u64,
    /// In how many of those what happened last is not final.
    pub unsettled: u64,
    /// How many open deals are not compared: their chain's indexer does not answer, which is a fault, or it has none, which is not.
    pub unasked: u64,
    /// How much is wrong; 0: the ledger holds.
    pub faults: u64,
    /// What is wrong, and of which chains there is no indexer, at most 100 of them.
    pub told: Vec<String>,
}

impl Verified {
    pub(crate) fn fault(&mut self, what: String) {
        self.faults = self.faults.saturating_add(1);
        self.tell(what);
    }

    /// Says what is no fault of the ledger.
    pub(crate) fn tell(&mut self, what: String) {
        if self.told.len() < TOLD_MAX {
            self.told.push(what);
        }
    }

    /// What was read, or a fault where it cannot be.
    ///
    /// # Errors
    /// The database fails.
    fn read<T>(&mut self, what: &str, read: Result<T, Error>) -> Result<Option<T>, Error> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(Error::Corrupt(why)) => {
                self.fault(format!("{what} cannot be read: {why}"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn count(all: &mut u64, more: usize) {
    *all = all.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
}

/// Looks at the tables, at whether the log and they have the same operations, and at whether what is counted in deals is what their
/// final events leave there.
///
/// # Errors
/// The database fails.
pub(crate) async fn verify(db: &Db) -> Result<Verified, Error> {
    let mut view = view(db).await?;
    let mut found = tables(&mut view).await?;
    log::said(&mut view, &mut found).await?;
    log::posted(&mut view, &mut found).await?;
    mirror::every(&mut view, &mut found).await?;
    Ok(found)
}

/// Looks at the tables alone.
pub(super) async fn tables(on: &mut AnyConnection) -> Result<Verified, Error> {
    let mut found = Verified::default();
    assets(on, &mut found).await?;
    accounts(on, &mut found).await?;
    operations(on, &mut found).await?;
    every_hold(on, &mut found).await?;
    reversals::every(on, &mut found).await?;
    for (sql, what) in STRAYS {
        let strays: i64 = sqlx::query_scalar(sql).fetch_one(&mut *on).await?;
        if strays > 0 {
            found.fault(format!("{strays} {what}"));
        }
    }
    Ok(found)
}

/// What no page of the others looks at. Open holds on accounts that have nothing held or nothing coming are among them,
/// because only accounts that have are added up.
const STRAYS: [(&str, &str); 6] = [
    (
        "SELECT CAST(COUNT(*) AS BIGINT) FROM ledger_entries e
         WHERE NOT EXISTS (SELECT 1 FROM ledger_accounts a WHERE a.id = e.account)",
        "entries are of no account",
    ),
    (
        "SELECT CAST(COUNT(*) AS BIGINT) FROM ledger_entries e
         WHERE NOT EXISTS (SELECT 1 FROM ledger_operations o WHERE o.id = e.operation)",
        "entries are of no operation",
    ),
    (
        "SELECT CAST(COUNT(*) AS BIGINT) FROM ledger_accounts a
         WHERE NOT EXISTS (SELECT 1 FROM ledger_assets s WHERE s.asset = a.asset)",
        "accounts are in no asset",
    ),
    (
        "SELECT CAST(COUNT(*) AS BIGINT) FROM ledger_holds h WHERE state = 'open' AND NOT EXISTS (
             SELECT 1 FROM ledger_accounts a WHERE a.id = h.payer AND a.held <> '+00000000000000000000000000000000000000')",
        "open holds are on an account that has nothing set aside",
    ),
    (
        "SELECT CAST(COUNT(*) AS BIGINT) FROM ledger_holds h WHERE state = 'open' AND NOT EXISTS (
             SELECT 1 FROM ledger_accounts a WHERE a.id = h.payee AND a.incoming <> '+00000000000000000000000000000000000000')",
        "open holds are for an account that has nothing coming",
    ),
    (
        "SELECT CAST(COUNT(*) AS BIGINT) FROM ledger_entries e WHERE kind = 'reversal'
         AND NOT EXISTS (SELECT 1 FROM ledger_reversals r WHERE r.operation = e.operation)",
        "entries reverse something, and nothing says what",
    ),
];

/// What holds for every asset can be read.
async fn assets(on: &mut AnyConnection, found: &mut Verified) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let rows =
            sqlx::query("SELECT asset, rules FROM ledger_assets WHERE asset > $1 ORDER BY asset LIMIT $2")
                .bind(&after)
                .bind(PAGE)
                .fetch_all(&mut *on)
                .await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.try_get("asset")?;
        for row in &rows {
            let name: String = row.try_get("asset")?;
            let what = format!("asset {name:.100}");
            found.read(&what, parsed::<Asset>(row, "asset"))?;
            found.read(&what, read_rules(row))?;
        }
    }
}

/// Every account with its entries; the balances of each asset sum to zero, where all of them can be read.
async fn accounts(on: &mut AnyConnection, found: &mut Verified) -> Result<(), Error> {
    let mut after = (String::new(), String::new());
    // The asset as its column has it, and what its balances come to.
    let mut asset: Option<(String, Option<i128>)> = None;
    loop {
        let rows = sqlx::query(
            "SELECT asset, id, floor, ceiling, version, balance, earned, spent, held, incoming FROM ledger_accounts
             WHERE asset > $1 OR (asset = $1 AND id > $2) ORDER BY asset, id LIMIT $3",
        )
        .bind(&after.0)
        .bind(&after.1)
        .bind(PAGE)
        .fetch_all(&mut *on)
        .await?;
        let Some(last) = rows.last() else { break };
        after = (last.try_get("asset")?, last.try_get("id")?);
        count(&mut found.accounts, rows.len());
        for row in &rows {
            let (name, id): (String, String) = (row.try_get("asset")?, row.try_get("id")?);
            if asset.as_ref().is_none_or(|(before, _)| *before != name) {
                balanced(asset.take(), found);
                asset = Some((name.clone(), Some(0)));
            }
            let account = found.read(&format!("account {id:.250}"), read_account(row))?;
            if let Some((_, total)) = &mut asset {
                *total = match (*total, &account) {
                    (Some(total), Some(account)) => {
                        let next = sum(total, account.balance);
                        if next.is_none() {
                            found.fault(format!("{name}: the balances go beyond 38 digits at {id}"));
                        }
                        next
                    }
                    _ => None,
                };
            }
            let Some(account) = account else { continue };
            if name != account.key.asset.to_string() {
                found.fault(format!("{}: its row names the asset {name:.100}", account.key));
            }
            entries::of_account(on, &account, found).await?;
            for (column, has) in [("payer", account.held), ("payee", account.incoming)] {
                if has != 0 {
                    open_holds(on, column, &account.key, has, found).await?;
                }
            }
        }
    }
    balanced(asset, found);
    Ok(())
}

fn balanced(asset: Option<(String, Option<i128>)>, found: &mut Verified) {
    if let Some((asset, Some(total))) = asset
        && total != 0
    {
        found.fault(format!("{asset}: the balances sum to {total} and must sum to 0"));
    }
}

/// What open holds say is set aside or coming is what the account has.
async fn open_holds(
    on: &mut AnyConnection,
    column: &str,
    key: &Key,
    has: i128,
    found: &mut Verified,
) -> Result<(), Error> {
    let sql = format!(
        "SELECT id, amount FROM ledger_holds WHERE {column} = $1 AND state = 'open' AND id > $2 ORDER BY id LIMIT $3"
    );
    let (mut after, mut total) = (String::new(), Some(0));
    loop {
        let rows = sqlx::query(AssertSqlSafe(sql.clone()))
            .bind(key.to_string())
            .bind(&after)
            .bind(PAGE)
            .fetch_all(&mut *on)
            .await?;
        let Some(last) = rows.last() else { break };
        after = last.try_get("id")?;
        for row in &rows {
            // A hold that cannot be read is told of where all holds are looked at.
            total = total.and_then(|total| sum(total, amount(row, "amount").ok()?));
        }
    }
    if total != Some(has) {
        let total = total.map_or_else(|| "no number".to_owned(), |total| total.to_string());
        found.fault(format!("{key}: {has} is set aside as {column}, and its open holds sum to {total}"));
    }
    Ok(())
}

/// Rows of entries for the operations of a page.
async fn entries_of(on: &mut AnyConnection, ids: &[String]) -> Result<Vec<sqlx::any::AnyRow>, Error> {
    let sql = format!(
        "SELECT operation, account, version, amount FROM ledger_entries WHERE operation IN {}",
        texts(on)
    );
    let ids = serde_json::to_string(ids).map_err(corrupt)?;
    Ok(sqlx::query(AssertSqlSafe(sql)).bind(ids).fetch_all(on).await?)
}

/// The entries of every operation sum to zero in each asset.
async fn operations(on: &mut AnyConnection, found: &mut Verified) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let ids: Vec<String> =
            sqlx::query_scalar("SELECT id FROM ledger_operations WHERE id > $1 ORDER BY id LIMIT $2")
                .bind(&after)
                .bind(PAGE)
                .fetch_all(&mut *on)
                .await?;
        let Some(last) = ids.last() else { return Ok(()) };
        after.clone_from(last);
        count(&mut found.operations, ids.len());
        for id in &ids {
            let named = id.parse::<OperationId>().map_err(corrupt);
            found.read(&format!("operation {id:.100}"), named)?;
        }
        let mut sums: BTreeMap<(String, Asset), i128> = BTreeMap::new();
        let mut unclear: BTreeSet<String> = BTreeSet::new();
        for row in &entries_of(on, &ids).await? {
            let operation: String = row.try_get("operation")?;
            // What cannot be read is told of with its account.
            let read = (parsed::<Key>(row, "account").ok(), amount(row, "amount").ok());
            let (Some(account), Some(amount)) = read else {
                unclear.insert(operation);
                continue;
            };
            let total = sums.entry((operation.clone(), account.asset)).or_default();
            match sum(*total, amount) {
                Some(next) => *total = next,
                None => {
                    unclear.insert(operation);
                }
            }
        }
        for ((operation, asset), total) in sums {
            if total != 0 && !unclear.contains(&operation) {
                found.fault(format!("{operation}: its entries in {asset} sum to {total} and must sum to 0"));
            }
        }
    }
}

/// A hold paid at most its amount, only where it was captured, and what the operation that ended it entered on both accounts.
async fn every_hold(on: &mut AnyConnection, found: &mut Verified) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let rows = holds(on, &after, PAGE).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.try_get("id")?;
        count(&mut found.holds, rows.len());
        let mut page = Vec::with_capacity(rows.len());
        for row in &rows {
            let id: String = row.try_get("id")?;
            page.extend(found.read(&format!("hold {id:.100}"), read_hold(row))?);
        }
        let ends: Vec<String> = page.iter().filter_map(|hold| Some(hold.ended_by?.to_string())).collect();
        let mut entered: BTreeMap<String, Vec<(String, i128)>> = BTreeMap::new();
        for row in &entries_of(on, &ends).await? {
            let Ok(amount) = amount(row, "amount") else { continue };
            let of: &mut Vec<_> = entered.entry(row.try_get("operation")?).or_default();
            of.push((row.try_get("account")?, amount));
        }
        for hold in &page {
            one_hold(hold, &entered, found);
        }
    }
}

fn one_hold(hold: &Hold, entered: &BTreeMap<String, Vec<(String, i128)>>, found: &mut Verified) {
    let (open, paid) = (hold.state == HoldState::Open, hold.state == HoldState::Captured);
    let Hold { id, amount, captured, .. } = hold;
    let state = hold.state.name();
    if *amount <= 0
        || *captured < 0
        || captured > amount
        || paid != (*captured > 0)
        || open != hold.ended_by.is_none()
    {
        let by = hold.ended_by.map_or_else(|| "nothing".to_owned(), |by| by.to_string());
        found.fault(format!("hold {id}: {state} of {amount} with {captured} captured, ended by {by}"));
        return;
    }
    let Some(by) = hold.ended_by else { return };
    let mut said = entered.get(&by.to_string()).cloned().unwrap_or_default();
    said.sort();
    let given = captured.checked_neg().unwrap_or_default();
    let mut must = vec![(hold.from.to_string(), given), (hold.to.to_string(), *captured)];
    if !paid {
        must.clear();
    }
    must.sort();
    if said != must {
        found.fault(format!(
            "hold {id}: {state} with {captured} captured, and {by}, which ended it, entered {said:?}"
        ));
    }
}

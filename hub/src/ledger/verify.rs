//! Reads the whole ledger, a page at a time, and says where it is not what it must be. It sees one state of the database
//! throughout, so a hub may be running on it.

use std::collections::BTreeMap;

use serde::Serialize;
use service::db::Db;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use super::{
    model::{Account, Asset, HoldState, Key, OperationId, difference, sum},
    sql::{one_view, texts},
    store::{amount, corrupt, entries, holds, parsed, read_account},
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
    /// How much is wrong; 0: the ledger holds.
    pub faults: u64,
    /// What is wrong, at most 100 of them.
    pub told: Vec<String>,
}

impl Verified {
    fn fault(&mut self, what: String) {
        self.faults = self.faults.saturating_add(1);
        if self.told.len() < TOLD_MAX {
            self.told.push(what);
        }
    }
}

fn count(all: &mut u64, more: usize) {
    *all = all.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
}

/// Looks at everything.
///
/// # Errors
/// The database fails, or holds what this program cannot read.
pub(crate) async fn verify(db: &Db) -> Result<Verified, Error> {
    let mut view = db.reader().begin().await?;
    if let Some(sql) = one_view(&view) {
        sqlx::query(sql).execute(&mut *view).await?;
    }
    let mut found = Verified::default();
    accounts(&mut view, &mut found).await?;
    operations(&mut view, &mut found).await?;
    every_hold(&mut view, &mut found).await?;
    for (sql, what) in STRAYS {
        let strays: i64 = sqlx::query_scalar(sql).fetch_one(&mut *view).await?;
        if strays > 0 {
            found.fault(format!("{strays} {what}"));
        }
    }
    Ok(found)
}

/// What no page of the others looks at. Open holds on accounts that have nothing held or nothing coming are among them,
/// because only accounts that have are added up.
const STRAYS: [(&str, &str); 5] = [
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
];

/// Every account with its entries; the balances of each asset sum to zero.
async fn accounts(on: &mut AnyConnection, found: &mut Verified) -> Result<(), Error> {
    let mut after = (String::new(), String::new());
    let mut asset: Option<(Asset, i128)> = None;
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
            let account = read_account(row)?;
            if parsed::<Asset>(row, "asset")? != account.key.asset {
                found.fault(format!("{}: its row names another asset", account.key));
            }
            let before = match asset {
                Some((same, before)) if same == account.key.asset => before,
                other => {
                    balanced(other, found);
                    0
                }
            };
            let total = sum(before, account.balance).ok_or_else(|| {
                corrupt(format_args!("{}: the balances go beyond 38 digits", account.key.asset))
            })?;
            asset = Some((account.key.asset, total));
            one_account(on, &account, found).await?;
        }
    }
    balanced(asset, found);
    Ok(())
}

fn balanced(asset: Option<(Asset, i128)>, found: &mut Verified) {
    if let Some((asset, total)) = asset.filter(|(_, total)| *total != 0) {
        found.fault(format!("{asset}: the balances sum to {total} and must sum to 0"));
    }
}

async fn one_account(on: &mut AnyConnection, account: &Account, found: &mut Verified) -> Result<(), Error> {
    let key = account.key;
    let mut so_far = Account::empty(key);
    let mut wrong = false;
    loop {
        let page = entries(on, &key, so_far.version, PAGE).await?;
        if page.is_empty() {
            break;
        }
        count(&mut found.entries, page.len());
        for entry in page {
            let Entered { balance, earned, spent } = entered(&so_far, entry.amount).ok_or_else(|| {
                corrupt(format_args!("{key}: entry {} goes beyond 38 digits", entry.version))
            })?;
            let next = so_far.version.saturating_add(1);
            if (entry.version, entry.balance) != (next, balance) || entry.amount == 0 {
                wrong = true;
                found.fault(format!(
                    "{key}: entry {} of {} leaves {}, and after entry {} with {} comes {next} with {balance}",
                    entry.version, entry.amount, entry.balance, so_far.version, so_far.balance
                ));
            }
            so_far = Account { version: entry.version, balance: entry.balance, earned, spent, ..so_far };
        }
    }
    let totals = |account: &Account| (account.version, account.balance, account.earned, account.spent);
    if totals(&so_far) != totals(account) && !wrong {
        found.fault(format!(
            "{key}: the account has (version, balance, earned, spent) {:?} and its entries {:?}",
            totals(account),
            totals(&so_far)
        ));
    }
    for (column, has) in [("payer", account.held), ("payee", account.incoming)] {
        if has != 0 {
            let open = open_holds(on, column, &key).await?;
            if open != has {
                found.fault(format!(
                    "{key}: {has} is set aside as {column}, and its open holds sum to {open}"
                ));
            }
        }
    }
    Ok(())
}

struct Entered {
    balance: i128,
    earned: i128,
    spent: i128,
}

fn entered(before: &Account, amount: i128) -> Option<Entered> {
    let (up, down) = if amount > 0 { (amount, 0) } else { (0, amount) };
    Some(Entered {
        balance: sum(before.balance, amount)?,
        earned: sum(before.earned, up)?,
        spent: difference(before.spent, down)?,
    })
}

async fn open_holds(on: &mut AnyConnection, column: &str, key: &Key) -> Result<i128, Error> {
    let sql = format!(
        "SELECT id, amount FROM ledger_holds WHERE {column} = $1 AND state = 'open' AND id > $2 ORDER BY id LIMIT $3"
    );
    let (mut after, mut total) = (String::new(), 0);
    loop {
        let rows = sqlx::query(AssertSqlSafe(sql.clone()))
            .bind(key.to_string())
            .bind(&after)
            .bind(PAGE)
            .fetch_all(&mut *on)
            .await?;
        let Some(last) = rows.last() else { return Ok(total) };
        after = last.try_get("id")?;
        for row in &rows {
            total = sum(total, amount(row, "amount")?)
                .ok_or_else(|| corrupt(format_args!("{key}: the holds go beyond 38 digits")))?;
        }
    }
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
        let sql =
            format!("SELECT operation, account, amount FROM ledger_entries WHERE operation IN {}", texts(on));
        let ids = serde_json::to_string(&ids).map_err(corrupt)?;
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(ids).fetch_all(&mut *on).await?;
        let mut sums: BTreeMap<(OperationId, Asset), i128> = BTreeMap::new();
        for row in &rows {
            let (operation, account) = (parsed(row, "operation")?, parsed::<Key>(row, "account")?);
            let total = sums.entry((operation, account.asset)).or_default();
            *total = sum(*total, amount(row, "amount")?)
                .ok_or_else(|| corrupt(format_args!("{operation}: goes beyond 38 digits")))?;
        }
        for ((operation, asset), total) in sums.into_iter().filter(|(_, total)| *total != 0) {
            found.fault(format!("{operation}: its entries in {asset} sum to {total} and must sum to 0"));
        }
    }
}

/// A hold paid at most its amount, and only where it was captured.
async fn every_hold(on: &mut AnyConnection, found: &mut Verified) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let page = holds(on, &after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id.to_string();
        count(&mut found.holds, page.len());
        for hold in &page {
            let paid = hold.state == HoldState::Captured;
            if hold.amount <= 0
                || hold.captured < 0
                || hold.captured > hold.amount
                || paid != (hold.captured > 0)
            {
                found.fault(format!(
                    "hold {}: {} of {} with {} captured",
                    hold.id,
                    hold.state.name(),
                    hold.amount,
                    hold.captured
                ));
            }
        }
    }
}

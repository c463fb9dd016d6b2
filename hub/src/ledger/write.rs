//! Writes what came of a batch: operations, entries and accounts at once, holds and reversals each in a statement.

use serde::Serialize;
use service::failpoint;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::{
    model::{Account, Entry, Hold, HoldState, Key, OperationId},
    post::Posted,
    reversals,
    rows::{Bound, Cell, Rows},
    rules::Purpose,
    sql::{Column, postgres, rows},
    store::{Amount, amount_text, json},
};
use crate::error::Error;

const OPERATIONS: &str = "INSERT INTO ledger_operations (id, digest)";
const ENTRIES: &str =
    "INSERT INTO ledger_entries (account, version, operation, kind, amount, balance, other, at)";
const ACCOUNTS: &str =
    "INSERT INTO ledger_accounts (id, asset, holder, version, balance, earned, spent, held, incoming)";
/// Of an account that is there.
const STANDS: &str =
    "ON CONFLICT (id) DO UPDATE SET version = excluded.version, balance = excluded.balance, earned = excluded.earned,
         spent = excluded.spent, held = excluded.held, incoming = excluded.incoming";

/// Statements of so many rows in all SQLite keeps ready for the next batch of the same shape; of the largest there are, some
/// thousand rows, a hundred shapes would be kept.
const KEPT_MAX: usize = 512;

/// Operations, entries, accounts, holds and reversals, in the caller's transaction. False: an operation of the batch is known by
/// now, and nothing was written. SQLite, which has one writer, never says so.
pub(super) async fn write(on: &mut AnyConnection, posted: &Posted) -> Result<bool, Error> {
    let (operations, entries, accounts) = (operations(posted), entries(posted), accounts(posted));
    if postgres(on) {
        if !in_postgres(on, &operations, &entries, &accounts).await? {
            return Ok(false);
        }
    } else {
        in_sqlite(on, operations, entries, accounts).await?;
    }
    failpoint::pass(&["hub.ledger", "half"]);
    if !posted.holds.is_empty() {
        write_holds(on, &posted.holds).await?;
    }
    if !posted.reversals.is_empty() {
        reversals::write(on, &posted.reversals).await?;
    }
    Ok(true)
}

/// All in one text, which goes to SQLite's thread and comes back once.
async fn in_sqlite(
    on: &mut AnyConnection,
    operations: Rows<2>,
    entries: Rows<8>,
    accounts: Rows<9>,
) -> Result<(), Error> {
    let count: usize = [operations.rows.len(), entries.rows.len(), accounts.rows.len()].iter().sum();
    let sql = [operations.values(), entries.values(), accounts.values()].concat().join("; ");
    let query: Bound = sqlx::query(AssertSqlSafe(sql)).persistent(count <= KEPT_MAX);
    accounts.bind(entries.bind(operations.bind(query))).execute(on).await?;
    Ok(())
}

/// All in one statement, with one plan: there is nothing in it whose cost hangs on how many rows there are. It sees what is there
/// now that the accounts are locked, and not what was there before; false where an operation of the batch is among that.
async fn in_postgres(
    on: &mut AnyConnection,
    operations: &Rows<2>,
    entries: &Rows<8>,
    accounts: &Rows<9>,
) -> Result<bool, Error> {
    let sql = format!(
        "WITH fresh AS (
             SELECT bool_and((SELECT o.id FROM ledger_operations o WHERE o.id = r.id) IS NULL) AS yes
             FROM unnest((SELECT CAST($1 AS TEXT[]))) AS r (id)
         ), operations AS (
             {OPERATIONS} SELECT r.* FROM unnest(CAST($1 AS TEXT[]), CAST($2 AS TEXT[])) AS r, fresh WHERE fresh.yes
         ), entries AS (
             {ENTRIES} SELECT r.* FROM unnest(
                 CAST($3 AS TEXT[]), CAST($4 AS BIGINT[]), CAST($5 AS TEXT[]), CAST($6 AS TEXT[]),
                 CAST($7 AS TEXT[]), CAST($8 AS TEXT[]), CAST($9 AS TEXT[]), CAST($10 AS BIGINT[])
             ) AS r, fresh WHERE fresh.yes
         )
         {ACCOUNTS} SELECT r.* FROM unnest(
             CAST($11 AS TEXT[]), CAST($12 AS TEXT[]), CAST($13 AS TEXT[]), CAST($14 AS BIGINT[]), CAST($15 AS TEXT[]),
             CAST($16 AS TEXT[]), CAST($17 AS TEXT[]), CAST($18 AS TEXT[]), CAST($19 AS TEXT[])
         ) AS r, fresh WHERE fresh.yes
         {STANDS}"
    );
    let arrays = operations.arrays().into_iter().chain(entries.arrays()).chain(accounts.arrays());
    let query: Bound = arrays.fold(sqlx::query(AssertSqlSafe(sql)), |query, array| query.bind(array));
    Ok(query.execute(on).await?.rows_affected() > 0)
}

fn operations(posted: &Posted) -> Rows<2> {
    let row = |(id, digest): &(OperationId, String)| [Cell::text(id), Cell::text(digest)];
    Rows { into: OPERATIONS, then: "", rows: posted.operations.iter().map(row).collect() }
}

fn entries(posted: &Posted) -> Rows<8> {
    let row = |entry: &Entry| {
        [
            Cell::text(entry.account),
            Cell::Number(entry.version),
            Cell::text(entry.operation),
            Cell::text(entry.kind.name()),
            Cell::Text(amount_text(entry.amount)),
            Cell::Text(amount_text(entry.balance)),
            entry.other.map_or(Cell::Nothing, Cell::text),
            Cell::Number(entry.at),
        ]
    };
    Rows { into: ENTRIES, then: "", rows: posted.entries.iter().map(row).collect() }
}

fn accounts(posted: &Posted) -> Rows<9> {
    let row = |account: &Account| {
        [
            Cell::text(account.key),
            Cell::text(account.key.asset),
            Cell::text(account.key.holder),
            Cell::Number(account.version),
            Cell::Text(amount_text(account.balance)),
            Cell::Text(amount_text(account.earned)),
            Cell::Text(amount_text(account.spent)),
            Cell::Text(amount_text(account.held)),
            Cell::Text(amount_text(account.incoming)),
        ]
    };
    Rows { into: ACCOUNTS, then: STANDS, rows: posted.accounts.iter().map(row).collect() }
}

async fn write_holds(on: &mut AnyConnection, holds: &[Hold]) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Held {
        id: OperationId,
        purpose: Purpose,
        payer: Key,
        payee: Key,
        amount: Amount,
        captured: Amount,
        expires_at: i64,
        state: HoldState,
        ended_by: Option<OperationId>,
    }
    let held: Vec<Held> = holds
        .iter()
        .map(|hold| Held {
            id: hold.id,
            purpose: hold.purpose,
            payer: hold.from,
            payee: hold.to,
            amount: Amount(hold.amount),
            captured: Amount(hold.captured),
            expires_at: hold.expires_at,
            state: hold.state,
            ended_by: hold.ended_by,
        })
        .collect();
    let columns = [
        Column::Text("id"),
        Column::Text("purpose"),
        Column::Text("payer"),
        Column::Text("payee"),
        Column::Text("amount"),
        Column::Text("captured"),
        Column::Number("expires_at"),
        Column::Text("state"),
        Column::Text("ended_by"),
    ];
    let sql = format!(
        "INSERT INTO ledger_holds (id, purpose, payer, payee, amount, captured, expires_at, state, ended_by)
         SELECT r.id, r.purpose, r.payer, r.payee, r.amount, r.captured, r.expires_at, r.state, r.ended_by
         FROM {} WHERE true
         ON CONFLICT (id) DO UPDATE SET captured = excluded.captured, state = excluded.state, ended_by = excluded.ended_by",
        rows(on, &columns)
    );
    sqlx::query(AssertSqlSafe(sql)).bind(json(&held)?).execute(on).await?;
    Ok(())
}

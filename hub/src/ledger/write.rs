//! Writes what came of a batch: one statement for each table that it changes.

use serde::Serialize;
use service::failpoint;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::{
    model::{Account, Entry, Hold, HoldState, Key, OperationId},
    post::Posted,
    reversals,
    rules::{EntryKind, Purpose},
    sql::{Column, rows},
    store::{Amount, json},
};
use crate::error::Error;

/// Operations, entries, accounts, holds and reversals, in the caller's transaction.
pub(super) async fn write(on: &mut AnyConnection, posted: &Posted) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Named<'a> {
        id: OperationId,
        digest: &'a str,
    }
    let named: Vec<Named<'_>> =
        posted.operations.iter().map(|(id, digest)| Named { id: *id, digest }).collect();
    let sql = format!(
        "INSERT INTO ledger_operations (id, digest) SELECT r.id, r.digest FROM {}",
        rows(on, &["id", "digest"].map(Column::Text))
    );
    sqlx::query(AssertSqlSafe(sql)).bind(json(&named)?).execute(&mut *on).await?;
    failpoint::pass(&["hub.ledger", "half"]);
    if !posted.entries.is_empty() {
        write_entries(on, &posted.entries).await?;
    }
    write_accounts(on, &posted.accounts).await?;
    if !posted.holds.is_empty() {
        write_holds(on, &posted.holds).await?;
    }
    if !posted.reversals.is_empty() {
        reversals::write(on, &posted.reversals).await?;
    }
    Ok(())
}

async fn write_entries(on: &mut AnyConnection, entries: &[Entry]) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Entered {
        account: Key,
        version: i64,
        operation: OperationId,
        kind: EntryKind,
        amount: Amount,
        balance: Amount,
        other: Option<Key>,
        at: i64,
    }
    let entered: Vec<Entered> = entries
        .iter()
        .map(|entry| Entered {
            account: entry.account,
            version: entry.version,
            operation: entry.operation,
            kind: entry.kind,
            amount: Amount(entry.amount),
            balance: Amount(entry.balance),
            other: entry.other,
            at: entry.at,
        })
        .collect();
    let columns = [
        Column::Text("account"),
        Column::Number("version"),
        Column::Text("operation"),
        Column::Text("kind"),
        Column::Text("amount"),
        Column::Text("balance"),
        Column::Text("other"),
        Column::Number("at"),
    ];
    let sql = format!(
        "INSERT INTO ledger_entries (account, version, operation, kind, amount, balance, other, at)
         SELECT r.account, r.version, r.operation, r.kind, r.amount, r.balance, r.other, r.at FROM {}",
        rows(on, &columns)
    );
    sqlx::query(AssertSqlSafe(sql)).bind(json(&entered)?).execute(on).await?;
    Ok(())
}

async fn write_accounts(on: &mut AnyConnection, accounts: &[Account]) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Stands {
        id: Key,
        version: i64,
        balance: Amount,
        earned: Amount,
        spent: Amount,
        held: Amount,
        incoming: Amount,
    }
    let stand: Vec<Stands> = accounts
        .iter()
        .map(|account| Stands {
            id: account.key,
            version: account.version,
            balance: Amount(account.balance),
            earned: Amount(account.earned),
            spent: Amount(account.spent),
            held: Amount(account.held),
            incoming: Amount(account.incoming),
        })
        .collect();
    let columns = [
        Column::Text("id"),
        Column::Number("version"),
        Column::Text("balance"),
        Column::Text("earned"),
        Column::Text("spent"),
        Column::Text("held"),
        Column::Text("incoming"),
    ];
    let sql = format!(
        "UPDATE ledger_accounts SET version = r.version, balance = r.balance, earned = r.earned, spent = r.spent,
             held = r.held, incoming = r.incoming FROM {} WHERE ledger_accounts.id = r.id",
        rows(on, &columns)
    );
    sqlx::query(AssertSqlSafe(sql)).bind(json(&stand)?).execute(on).await?;
    Ok(())
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

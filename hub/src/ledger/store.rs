//! Loads and locks what a batch is about, has it decided, has written what came of it: one statement to load and one to write for
//! any batch of transfers, whatever the number of operations, and up to two more where there are holds.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    fmt::Display,
    str::FromStr,
};

use serde::{Serialize, Serializer};
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};

use super::{
    model::{Account, Asset, AssetRules, Entry, Hold, HoldState, Holder, Key, OperationId},
    post::{Batch, Posted, State, post as decide},
    reversals,
    rules::{EntryKind, Purpose},
    sql::{Column, postgres, rows, texts},
    write::write,
};
use crate::{
    error::{Error, Refusal},
    records::RecordId,
};

pub(super) fn corrupt(what: impl Display) -> Error {
    Error::Corrupt(format!("ledger: {what}"))
}

/// As columns keep an amount: a sign and 38 digits.
pub(super) fn amount_text(amount: i128) -> String {
    format!("{amount:+039}")
}

pub(super) fn amount(row: &AnyRow, column: &str) -> Result<i128, Error> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| corrupt(format_args!("{column}: `{text:.60}` is not an amount")))
}

fn optional_amount(row: &AnyRow, column: &str) -> Result<Option<i128>, Error> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| {
        text.parse().map_err(|_| corrupt(format_args!("{column}: `{text:.60}` is not an amount")))
    })
    .transpose()
}

pub(super) fn parsed<T: FromStr<Err: Display>>(row: &AnyRow, column: &str) -> Result<T, Error> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error| corrupt(format_args!("{column}: {error}")))
}

fn optional<T: FromStr<Err: Display>>(row: &AnyRow, column: &str) -> Result<Option<T>, Error> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| text.parse().map_err(|error| corrupt(format_args!("{column}: {error}")))).transpose()
}

/// The one of these whose name is in the column.
pub(super) fn named<T: Copy>(
    row: &AnyRow,
    column: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, Error> {
    let text: String = row.try_get(column)?;
    let found = all.iter().copied().find(|one| name(*one) == text);
    found.ok_or_else(|| corrupt(format_args!("{column}: `{text:.60}` is unknown")))
}

/// A cursor as the database compares it: before all where there is none.
fn from(after: Option<impl Display>) -> String {
    after.map(|after| after.to_string()).unwrap_or_default()
}

pub(super) fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(corrupt)
}

/// An amount in a row of a statement.
pub(super) struct Amount(pub(super) i128);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&amount_text(self.0))
    }
}

/// Says what holds for an asset from now on, and by which record.
pub(super) async fn put_asset(
    on: &mut AnyConnection,
    asset: Asset,
    rules: &AssetRules,
    record: &RecordId,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO ledger_assets (asset, rules, record) VALUES ($1, $2, $3)
         ON CONFLICT (asset) DO UPDATE SET rules = excluded.rules, record = excluded.record",
    )
    .bind(asset.to_string())
    .bind(json(rules)?)
    .bind(record.to_string())
    .execute(on)
    .await?;
    Ok(())
}

pub(super) fn read_rules(row: &AnyRow) -> Result<AssetRules, Error> {
    let text: String = row.try_get("rules")?;
    serde_json::from_str(&text).map_err(corrupt)
}

/// What holds for an asset; none where it is unknown. A mirrored one never is, so that nobody learns by asking in which of them
/// others have had a deal here.
pub(super) async fn rules(on: &mut AnyConnection, of: Asset) -> Result<Option<AssetRules>, Error> {
    let said = asset(on, of).await?.map(|(rules, _)| rules);
    Ok(said.or_else(|| AssetRules::unsaid(of)))
}

/// What holds for an asset, and which record says so.
pub(super) async fn asset(
    on: &mut AnyConnection,
    asset: Asset,
) -> Result<Option<(AssetRules, RecordId)>, Error> {
    let row = sqlx::query("SELECT rules, record FROM ledger_assets WHERE asset = $1")
        .bind(asset.to_string())
        .fetch_optional(on)
        .await?;
    row.map(|row| Ok((read_rules(&row)?, parsed(&row, "record")?))).transpose()
}

/// Decides a batch and writes what comes of it, in the caller's transaction, which must be dropped when this fails. Outside
/// of a writer's turn it is safe on PostgreSQL too, and free of deadlocks with one batch to a transaction: holds are
/// locked first, then accounts are opened, then locked, each in one order.
///
/// # Errors
/// [`Error::Refused`] by the ledger's rules; the database fails.
pub(crate) async fn post(on: &mut AnyConnection, batch: &Batch, at: i64) -> Result<Posted, Error> {
    let refused = match decide(load(on, batch).await?, batch, at) {
        Ok(posted) => {
            if !posted.new || write(on, &posted).await? {
                return Ok(posted);
            }
            None
        }
        Err(refused) => Some(refused),
    };
    // A statement of PostgreSQL that waits for a lock has seen before which operations are known. Now that the locks are held all is
    // seen: whoever is refused for what another one of the same content did meanwhile is told that it is known.
    let known = if postgres(on) { known(on, batch).await? } else { BTreeMap::new() };
    let decided = match refused {
        Some(refused) if known.is_empty() => Err(refused),
        // Of a batch that is known, or a part of it, nothing else is asked.
        _ => decide(State { known, ..State::default() }, batch, at),
    };
    decided.map_err(|refused| Refusal::from(refused).into())
}

/// All that a batch may depend on, locked.
async fn load(on: &mut AnyConnection, batch: &Batch) -> Result<State, Error> {
    let ends: BTreeSet<OperationId> =
        batch.operations.iter().filter_map(super::post::Operation::ends).collect();
    let holds = if ends.is_empty() { BTreeMap::new() } else { lock_holds(on, &ends).await? };
    let undone: BTreeSet<OperationId> =
        batch.operations.iter().filter_map(super::post::Operation::reverses).collect();
    let mut moved = if undone.is_empty() { BTreeMap::new() } else { reversals::moved(on, &undone).await? };
    let mut keys: BTreeSet<Key> =
        batch.operations.iter().flat_map(super::post::Operation::accounts).collect();
    keys.extend(holds.values().flat_map(|hold| [hold.from, hold.to]));
    keys.extend(moved.values().flat_map(|moved| [moved.from, moved.to]));
    let mut found = look(on, &keys, batch).await?;
    // Only what is there can be locked. SQLite is locked as a whole, and its accounts are opened when they are written.
    if postgres(on) && found.accounts.len() < keys.len() {
        open(on, &keys).await?;
        found = look(on, &keys, batch).await?;
    }
    if !moved.is_empty() {
        // Whoever reverses the same has locked the same accounts, so what it did is seen here.
        reversals::mark(on, &mut moved).await?;
    }
    Ok(State { holds, moved, ..found })
}

pub(super) fn read_hold(row: &AnyRow) -> Result<Hold, Error> {
    Ok(Hold {
        id: parsed(row, "id")?,
        purpose: named(row, "purpose", &Purpose::ALL, Purpose::name)?,
        from: parsed(row, "payer")?,
        to: parsed(row, "payee")?,
        amount: amount(row, "amount")?,
        captured: amount(row, "captured")?,
        expires_at: row.try_get("expires_at")?,
        ended_by: optional(row, "ended_by")?,
        state: named(row, "state", &HoldState::ALL, HoldState::name)?,
    })
}

const HOLD: &str =
    "SELECT id, purpose, payer, payee, amount, captured, expires_at, state, ended_by FROM ledger_holds";

async fn lock_holds(
    on: &mut AnyConnection,
    ids: &BTreeSet<OperationId>,
) -> Result<BTreeMap<OperationId, Hold>, Error> {
    let sql = if postgres(on) {
        // One after another, as accounts are.
        format!(
            "SELECT h.* FROM (SELECT value FROM json_array_elements_text(CAST($1 AS json)) ORDER BY value) AS k
             CROSS JOIN LATERAL ({HOLD} WHERE id = k.value FOR UPDATE) AS h"
        )
    } else {
        format!("{HOLD} WHERE id IN {}", texts(on))
    };
    let found = sqlx::query(AssertSqlSafe(sql)).bind(json(ids)?).fetch_all(on).await?;
    found.iter().map(|row| read_hold(row).map(|hold| (hold.id, hold))).collect()
}

/// A hold.
pub(super) async fn hold(on: &mut AnyConnection, id: &OperationId) -> Result<Option<Hold>, Error> {
    let sql = AssertSqlSafe(format!("{HOLD} WHERE id = $1"));
    let row = sqlx::query(sql).bind(id.to_string()).fetch_optional(on).await?;
    row.as_ref().map(read_hold).transpose()
}

/// Holds after `after`, in the database's order of their ids, for [`read_hold`].
pub(super) async fn holds(on: &mut AnyConnection, after: &str, limit: i64) -> Result<Vec<AnyRow>, Error> {
    let sql = AssertSqlSafe(format!("{HOLD} WHERE id > $1 ORDER BY id LIMIT $2"));
    Ok(sqlx::query(sql).bind(after).bind(limit).fetch_all(on).await?)
}

/// Open holds on the accounts of a holder or for them, with what holds for their assets, after `after` in the database's order
/// of their ids.
pub(super) async fn holds_of(
    on: &mut AnyConnection,
    holder: Holder,
    after: Option<OperationId>,
    limit: i64,
) -> Result<Vec<(Hold, AssetRules)>, Error> {
    let side = |column: &str| {
        format!(
            "SELECT * FROM (
                 SELECT h.*, s.rules FROM ledger_accounts a JOIN ledger_assets s ON s.asset = a.asset
                 JOIN ledger_holds h ON h.{column} = a.id
                 WHERE a.holder = $1 AND h.state = 'open' AND h.id > $2 ORDER BY h.id LIMIT $3) AS {column}s"
        )
    };
    let sql = format!("{} UNION {} ORDER BY id LIMIT $3", side("payer"), side("payee"));
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(holder.to_string())
        .bind(from(after))
        .bind(limit)
        .fetch_all(on)
        .await?;
    found.iter().map(|row| Ok((read_hold(row)?, read_rules(row)?))).collect()
}

/// Accounts that are not there yet, without entries.
async fn open(on: &mut AnyConnection, keys: &BTreeSet<Key>) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Opened {
        id: Key,
        asset: Asset,
        holder: Holder,
        zero: Amount,
    }
    let opened: Vec<Opened> = keys
        .iter()
        .map(|key| Opened { id: *key, asset: key.asset, holder: key.holder, zero: Amount(0) })
        .collect();
    let columns = ["id", "asset", "holder", "zero"].map(Column::Text);
    let sql = format!(
        "INSERT INTO ledger_accounts (id, asset, holder, version, balance, earned, spent, held, incoming)
         SELECT r.id, r.asset, r.holder, 0, r.zero, r.zero, r.zero, r.zero, r.zero FROM {} WHERE true
         ON CONFLICT (id) DO NOTHING",
        rows(on, &columns)
    );
    sqlx::query(AssertSqlSafe(sql)).bind(json(&opened)?).execute(on).await?;
    Ok(())
}

/// Gives an account a floor of its own, or the asset's again.
pub(super) async fn set_floor(on: &mut AnyConnection, key: &Key, floor: Option<i128>) -> Result<(), Error> {
    open(on, &BTreeSet::from([*key])).await?;
    sqlx::query("UPDATE ledger_accounts SET floor = $1 WHERE id = $2")
        .bind(floor.map(amount_text))
        .bind(key.to_string())
        .execute(on)
        .await?;
    Ok(())
}

const ACCOUNT: &str =
    "SELECT a.id, a.floor, a.ceiling, a.version, a.balance, a.earned, a.spent, a.held, a.incoming, s.rules
    FROM ledger_accounts a JOIN ledger_assets s ON s.asset = a.asset";

pub(super) fn read_account(row: &AnyRow) -> Result<Account, Error> {
    Ok(Account {
        key: parsed(row, "id")?,
        floor: optional_amount(row, "floor")?,
        ceiling: optional_amount(row, "ceiling")?,
        version: row.try_get("version")?,
        balance: amount(row, "balance")?,
        earned: amount(row, "earned")?,
        spent: amount(row, "spent")?,
        held: amount(row, "held")?,
        incoming: amount(row, "incoming")?,
    })
}

/// Accounts (`$1`), assets (`$2`) and operations (`$3`) by JSON lists of their ids, those that are there.
const LOOK_SQLITE: &str =
    "SELECT 'account' AS what, id, floor, ceiling, version, balance, earned, spent, held, incoming, NULL AS said
     FROM ledger_accounts WHERE id IN (SELECT value FROM json_each($1))
     UNION ALL SELECT 'asset', asset, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, rules
     FROM ledger_assets WHERE asset IN (SELECT value FROM json_each($2))
     UNION ALL SELECT 'operation', id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, digest
     FROM ledger_operations WHERE id IN (SELECT value FROM json_each($3))";

/// The same, with the accounts locked in the order of their ids where all of them are there, and none where one is missing: it is
/// opened before any is locked, or two who open each other's could wait for one another. Each is looked up by itself, for a plan
/// that PostgreSQL has made for a small table, and keeps, would read a large one from end to end.
const LOOK_POSTGRES: &str = "WITH locked AS (
         SELECT a.* FROM (SELECT value FROM json_array_elements_text(CAST($1 AS json)) ORDER BY value) AS k
         CROSS JOIN LATERAL (
             SELECT id, floor, ceiling, version, balance, earned, spent, held, incoming FROM ledger_accounts
             WHERE id = k.value FOR UPDATE
         ) AS a
         WHERE (
             SELECT bool_and((SELECT b.id FROM ledger_accounts b WHERE b.id = n.value) IS NOT NULL)
             FROM json_array_elements_text(CAST($1 AS json)) AS n
         )
     )
     SELECT 'account' AS what, locked.*, NULL AS said FROM locked
     UNION ALL SELECT 'asset', k.value, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
         (SELECT s.rules FROM ledger_assets s WHERE s.asset = k.value)
     FROM json_array_elements_text(CAST($2 AS json)) AS k
     UNION ALL SELECT 'operation', k.value, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
         (SELECT o.digest FROM ledger_operations o WHERE o.id = k.value)
     FROM json_array_elements_text(CAST($3 AS json)) AS k";

/// These accounts, locked, what holds for their assets, and which operations of the batch are known. Where accounts are missing
/// PostgreSQL answers none.
async fn look(on: &mut AnyConnection, keys: &BTreeSet<Key>, batch: &Batch) -> Result<State, Error> {
    let assets: BTreeSet<Asset> = keys.iter().map(|key| key.asset).collect();
    let ids: Vec<OperationId> = batch.operations.iter().map(super::post::Operation::id).collect();
    let sql = if postgres(on) { LOOK_POSTGRES } else { LOOK_SQLITE };
    let query = sqlx::query(sql).bind(json(keys)?).bind(json(&assets)?).bind(json(&ids)?);
    let found = query.fetch_all(on).await?;
    let mut state = State::default();
    for row in &found {
        let (what, said): (String, Option<String>) = (row.try_get("what")?, row.try_get("said")?);
        match (what.as_str(), said) {
            ("account", _) => {
                let account = read_account(row)?;
                state.accounts.insert(account.key, account);
            }
            ("asset", Some(rules)) => {
                state.assets.insert(parsed(row, "id")?, serde_json::from_str(&rules).map_err(corrupt)?);
            }
            ("operation", Some(digest)) => {
                state.known.insert(parsed(row, "id")?, digest);
            }
            // Not there.
            _ => {}
        }
    }
    // As in `rules`: what is refused is refused alike.
    for asset in assets {
        if let btree_map::Entry::Vacant(new) = state.assets.entry(asset)
            && let Some(rules) = AssetRules::unsaid(asset)
        {
            new.insert(rules);
        }
    }
    Ok(state)
}

/// Which operations of the batch are known, on PostgreSQL.
async fn known(on: &mut AnyConnection, batch: &Batch) -> Result<BTreeMap<OperationId, String>, Error> {
    let ids: Vec<OperationId> = batch.operations.iter().map(super::post::Operation::id).collect();
    let sql =
        "SELECT k.value AS id, (SELECT o.digest FROM ledger_operations o WHERE o.id = k.value) AS digest
               FROM json_array_elements_text(CAST($1 AS json)) AS k";
    let found = sqlx::query(sql).bind(json(&ids)?).fetch_all(on).await?;
    let mut known = BTreeMap::new();
    for row in &found {
        let digest: Option<String> = row.try_get("digest")?;
        if let Some(digest) = digest {
            known.insert(parsed(row, "id")?, digest);
        }
    }
    Ok(known)
}

/// An account.
pub(super) async fn account(on: &mut AnyConnection, key: &Key) -> Result<Option<Account>, Error> {
    let sql = AssertSqlSafe(format!("{ACCOUNT} WHERE a.id = $1"));
    let row = sqlx::query(sql).bind(key.to_string()).fetch_optional(on).await?;
    row.as_ref().map(read_account).transpose()
}

/// The accounts of a holder with what holds for their assets, after `after` in the database's order of their ids.
pub(super) async fn accounts_of(
    on: &mut AnyConnection,
    holder: Holder,
    after: Option<Key>,
    limit: i64,
) -> Result<Vec<(Account, AssetRules)>, Error> {
    let sql = AssertSqlSafe(format!("{ACCOUNT} WHERE a.holder = $1 AND a.id > $2 ORDER BY a.id LIMIT $3"));
    let found = sqlx::query(sql).bind(holder.to_string()).bind(from(after)).bind(limit).fetch_all(on).await?;
    found.iter().map(|row| Ok((read_account(row)?, read_rules(row)?))).collect()
}

/// Entries of an account after this version, ascending.
pub(super) async fn entries(
    on: &mut AnyConnection,
    account: &Key,
    after: i64,
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    let found = entry_rows(on, account, after, limit).await?;
    found.iter().map(|row| read_entry(row, account)).collect()
}

/// The same, for [`read_entry`].
pub(super) async fn entry_rows(
    on: &mut AnyConnection,
    account: &Key,
    after: i64,
    limit: i64,
) -> Result<Vec<AnyRow>, Error> {
    let found = sqlx::query(
        "SELECT version, operation, kind, amount, balance, other, at FROM ledger_entries
         WHERE account = $1 AND version > $2 ORDER BY version LIMIT $3",
    )
    .bind(account.to_string())
    .bind(after)
    .bind(limit)
    .fetch_all(on)
    .await?;
    Ok(found)
}

pub(super) fn read_entry(row: &AnyRow, account: &Key) -> Result<Entry, Error> {
    Ok(Entry {
        account: *account,
        version: row.try_get("version")?,
        operation: parsed(row, "operation")?,
        kind: named(row, "kind", &EntryKind::ALL, EntryKind::name)?,
        amount: amount(row, "amount")?,
        balance: amount(row, "balance")?,
        other: optional(row, "other")?,
        at: row.try_get("at")?,
    })
}

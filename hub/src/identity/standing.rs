//! What the rules of control look at, in its tables: read whole for one account, written change by change.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AnyConnection, Row, any::AnyRow};

use super::{
    control::{ASK_LIFE_MS, Change, Control, Keeper, Recovery, Rule, Standing},
    store::{self, parse},
};
use crate::{
    error::Error,
    page::Pair,
    records::{Device, RecordId},
};

fn corrupt(error: impl std::fmt::Display) -> Error {
    Error::Corrupt(format!("identity: {error}"))
}

fn accounts(text: &str) -> Result<BTreeSet<RecordId>, Error> {
    serde_json::from_str(text).map_err(corrupt)
}

fn listed(accounts: &BTreeSet<RecordId>) -> Result<String, Error> {
    serde_json::to_string(accounts).map_err(corrupt)
}

/// What an account stands on at a moment: the devices that speak, and the recoveries that are open, that ended within the time
/// for which [`super::control::ASKS_MAX`] holds, and the one that is asked for.
pub(super) async fn load(
    on: &mut AnyConnection,
    account: &RecordId,
    recovery: Option<&RecordId>,
    now: i64,
) -> Result<Control, Error> {
    let wallets = store::wallets_of(on, account).await?.into_iter().collect();
    let mut devices = BTreeMap::new();
    let rows =
        sqlx::query("SELECT device, wallet, passkey FROM devices WHERE account = $1 AND revoked_at IS NULL")
            .bind(account.to_string())
            .fetch_all(&mut *on)
            .await?;
    for row in &rows {
        let device: Device = parse(row.try_get("device")?)?;
        let wallet: Option<String> = row.try_get("wallet")?;
        let wallet = wallet.as_deref().map(parse).transpose()?;
        let passkey: Option<String> = row.try_get("passkey")?;
        let passkey = passkey.as_deref().map(parse).transpose()?;
        devices.insert(device, Standing { wallet, passkey, speaks: true });
    }
    let passkeys = store::passkeys_of(on, account).await?;
    let passkeys = passkeys.into_iter().map(|(passkey, keeper, _)| (passkey, keeper)).collect();
    let rows = sqlx::query(
        "SELECT id, account, wallet, device, asked_by, approvals, stage, ends_at FROM recoveries
         WHERE account = $1 AND (stage IN ('asked', 'waiting') OR id = $2 OR ends_at > $3)",
    )
    .bind(account.to_string())
    .bind(recovery.map_or_else(String::new, ToString::to_string))
    .bind(now.saturating_sub(ASK_LIFE_MS))
    .fetch_all(&mut *on)
    .await?;
    let mut recoveries = BTreeMap::new();
    for row in &rows {
        let (id, _, recovery) = read(row)?;
        recoveries.insert(id, recovery);
    }
    Ok(Control { wallets, passkeys, devices, rule: rule(on, account).await?, recoveries })
}

/// The recovery rule of an account.
pub(super) async fn rule(on: &mut AnyConnection, account: &RecordId) -> Result<Option<Rule>, Error> {
    let row = sqlx::query("SELECT guardians, threshold, delay_ms FROM recovery_rules WHERE account = $1")
        .bind(account.to_string())
        .fetch_optional(on)
        .await?;
    row.map(|row| {
        let threshold: i64 = row.try_get("threshold")?;
        Ok(Rule {
            guardians: accounts(row.try_get("guardians")?)?,
            threshold: u8::try_from(threshold).map_err(corrupt)?,
            delay_ms: row.try_get("delay_ms")?,
        })
    })
    .transpose()
}

fn read(row: &AnyRow) -> Result<(RecordId, RecordId, Recovery), Error> {
    let recovery = Recovery {
        wallet: parse(row.try_get("wallet")?)?,
        device: parse(row.try_get("device")?)?,
        asked_by: parse(row.try_get("asked_by")?)?,
        approvals: accounts(row.try_get("approvals")?)?,
        stage: parse(row.try_get("stage")?)?,
        ends_at: row.try_get("ends_at")?,
    };
    Ok((parse(row.try_get("id")?)?, parse(row.try_get("account")?)?, recovery))
}

/// A recovery and whose account it is about.
pub(super) async fn recovery(
    on: &mut AnyConnection,
    id: &RecordId,
) -> Result<Option<(RecordId, Recovery)>, Error> {
    let row = sqlx::query(
        "SELECT id, account, wallet, device, asked_by, approvals, stage, ends_at FROM recoveries WHERE id = $1",
    )
    .bind(id.to_string())
    .fetch_optional(on)
    .await?;
    row.map(|row| read(&row).map(|(_, account, recovery)| (account, recovery))).transpose()
}

/// A recovery: id, account, what it is.
pub(super) type Found = (RecordId, RecordId, Recovery);

/// Where a recovery stands among others: its turn, its end (Unix milliseconds), its id.
pub(super) type Place = Pair<i64, Pair<i64, RecordId>>;

/// An account's own open recoveries, its own ended ones, then those of others in the same way: nothing that happens to others pushes
/// an open one of its own out.
const TURN: &str = "CAST(CASE WHEN stage IN ('asked', 'waiting') THEN 0 ELSE 1 END
                    + CASE WHEN account = $1 THEN 0 ELSE 2 END AS BIGINT)";

/// The recoveries of an account, and with `guarded` also those of the accounts that it guards, by turn and then the latest end first;
/// and where the last one stands.
pub(super) async fn recoveries(
    on: &mut AnyConnection,
    account: &RecordId,
    guarded: bool,
    after: Option<Place>,
    limit: i64,
) -> Result<(Vec<Found>, Option<Place>), Error> {
    let (turn, ends_at, id) = match after {
        Some(Pair(turn, Pair(ends_at, id))) => (turn, ends_at, id.to_string()),
        None => (-1, i64::MAX, String::new()),
    };
    let others =
        if guarded { "OR account IN (SELECT account FROM guardians WHERE guardian = $1)" } else { "" };
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT id, account, wallet, device, asked_by, approvals, stage, ends_at, turn FROM
         (SELECT id, account, wallet, device, asked_by, approvals, stage, ends_at, {TURN} AS turn
          FROM recoveries WHERE account = $1 {others}) AS r
         WHERE turn > $2 OR (turn = $2 AND (ends_at < $3 OR (ends_at = $3 AND id > $4)))
         ORDER BY turn, ends_at DESC, id LIMIT $5"
    ));
    let rows = sqlx::query(sql)
        .bind(account.to_string())
        .bind(turn)
        .bind(ends_at)
        .bind(id)
        .bind(limit)
        .fetch_all(on)
        .await?;
    let found = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let last = match (rows.last(), found.last()) {
        (Some(row), Some((id, _, recovery))) => Some(Pair(row.try_get("turn")?, Pair(recovery.ends_at, *id))),
        _ => None,
    };
    Ok((found, last))
}

/// Whether an account guards another one.
pub(super) async fn guards(
    on: &mut AnyConnection,
    guardian: &RecordId,
    account: &RecordId,
) -> Result<bool, Error> {
    let row = sqlx::query("SELECT account FROM guardians WHERE guardian = $1 AND account = $2")
        .bind(guardian.to_string())
        .bind(account.to_string())
        .fetch_optional(on)
        .await?;
    Ok(row.is_some())
}

/// The accounts that an account guards, in the order of their ids, after `after`.
pub(super) async fn guarded_by(
    on: &mut AnyConnection,
    guardian: &RecordId,
    after: Option<RecordId>,
    limit: i64,
) -> Result<Vec<RecordId>, Error> {
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT account FROM guardians WHERE guardian = $1 AND account > $2 ORDER BY account LIMIT $3",
    )
    .bind(guardian.to_string())
    .bind(after.map_or_else(String::new, |after| after.to_string()))
    .bind(limit)
    .fetch_all(on)
    .await?;
    found.iter().map(|id| parse(id)).collect()
}

/// Makes a change.
pub(super) async fn write(
    on: &mut AnyConnection,
    account: &RecordId,
    change: &Change,
    now: i64,
) -> Result<(), Error> {
    match change {
        Change::AddWallet(wallet) => store::add_wallet(on, account, wallet, now).await,
        Change::DropWallet(wallet) => {
            sqlx::query("DELETE FROM wallets WHERE wallet = $1 AND account = $2")
                .bind(wallet.to_string())
                .bind(account.to_string())
                .execute(on)
                .await?;
            Ok(())
        }
        Change::Passkey(passkey, Keeper { wallet, credential, sign_count }) => {
            sqlx::query(
                "INSERT INTO passkeys (passkey, account, wallet, credential, sign_count, added_at)
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (passkey) DO UPDATE SET sign_count = $5",
            )
            .bind(passkey.to_string())
            .bind(account.to_string())
            .bind(wallet.to_string())
            .bind(credential)
            .bind(i64::from(*sign_count))
            .bind(now)
            .execute(on)
            .await?;
            Ok(())
        }
        Change::DropPasskey(passkey) => {
            sqlx::query("DELETE FROM passkeys WHERE passkey = $1 AND account = $2")
                .bind(passkey.to_string())
                .bind(account.to_string())
                .execute(on)
                .await?;
            Ok(())
        }
        Change::Device(device, Standing { wallet, passkey, speaks: true }) => {
            store::add_device(on, account, device, (wallet.as_ref(), passkey.as_ref()), now).await
        }
        Change::Device(device, _) => store::revoke_device(on, account, device, now).await,
        Change::Rule(rule) => set_rule(on, account, rule.as_ref()).await,
        Change::Recovery(id, recovery) => {
            sqlx::query(
                "INSERT INTO recoveries (id, account, wallet, device, asked_by, approvals, stage, ends_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                 ON CONFLICT (id) DO UPDATE SET approvals = $6, stage = $7, ends_at = $8",
            )
            .bind(id.to_string())
            .bind(account.to_string())
            .bind(recovery.wallet.to_string())
            .bind(recovery.device.to_string())
            .bind(recovery.asked_by.to_string())
            .bind(listed(&recovery.approvals)?)
            .bind(recovery.stage.name())
            .bind(recovery.ends_at)
            .execute(on)
            .await?;
            Ok(())
        }
    }
}

async fn set_rule(on: &mut AnyConnection, account: &RecordId, rule: Option<&Rule>) -> Result<(), Error> {
    for table in ["recovery_rules", "guardians"] {
        let sql = sqlx::AssertSqlSafe(format!("DELETE FROM {table} WHERE account = $1"));
        sqlx::query(sql).bind(account.to_string()).execute(&mut *on).await?;
    }
    let Some(rule) = rule else { return Ok(()) };
    sqlx::query(
        "INSERT INTO recovery_rules (account, guardians, threshold, delay_ms) VALUES ($1, $2, $3, $4)",
    )
    .bind(account.to_string())
    .bind(listed(&rule.guardians)?)
    .bind(i64::from(rule.threshold))
    .bind(rule.delay_ms)
    .execute(&mut *on)
    .await?;
    for guardian in &rule.guardians {
        sqlx::query("INSERT INTO guardians (guardian, account) VALUES ($1, $2)")
            .bind(guardian.to_string())
            .bind(account.to_string())
            .execute(&mut *on)
            .await?;
    }
    Ok(())
}

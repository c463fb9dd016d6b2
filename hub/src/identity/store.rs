use std::collections::BTreeSet;

use protocol::chain::{AccountId, ChainId};
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::{control::Keeper, model::ProfileBody, passkey::Passkey};
use crate::{
    error::Error,
    ledger,
    records::{Device, Record, RecordId},
};

/// An account as the projections have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub id: RecordId,
    pub name: String,
    pub created_at: i64,
    /// And the record that says it.
    pub profile: Option<(RecordId, ProfileBody)>,
    pub wallets: Vec<AccountId>,
    /// Each with how it stands, and since when (Unix milliseconds).
    pub passkeys: Vec<(Passkey, Keeper, i64)>,
    /// Each with whether it may speak: all that do, then those that were revoked last, 256 together.
    pub devices: Vec<(Device, bool)>,
}

/// How many devices of an account are shown, twice as many as may speak.
const DEVICES_SHOWN: i64 = 256;
/// How long a nonce that has expired is remembered, in milliseconds: a day. The log's time may be ahead of the clock, and a clock
/// may be set back; what has served must not serve again then.
const NONCE_KEPT_MS: i64 = 24 * 60 * 60 * 1000;

pub(crate) fn parse<T: std::str::FromStr>(text: &str) -> Result<T, Error>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| Error::Corrupt(format!("identity: {error}")))
}

pub(crate) async fn add_account(
    on: &mut AnyConnection,
    id: &RecordId,
    name: &str,
    now: i64,
) -> Result<(), Error> {
    sqlx::query("INSERT INTO accounts (id, name, created_at) VALUES ($1, $2, $3)")
        .bind(id.to_string())
        .bind(name)
        .bind(now)
        .execute(on)
        .await?;
    Ok(())
}

pub(crate) async fn rename(on: &mut AnyConnection, id: &RecordId, name: &str) -> Result<(), Error> {
    sqlx::query("UPDATE accounts SET name = $2 WHERE id = $1")
        .bind(id.to_string())
        .bind(name)
        .execute(on)
        .await?;
    Ok(())
}

pub(super) async fn account(on: &mut AnyConnection, id: &RecordId) -> Result<Option<Account>, Error> {
    let Some(row) = sqlx::query("SELECT name, created_at FROM accounts WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(&mut *on)
        .await?
    else {
        return Ok(None);
    };
    let devices =
        sqlx::query(
            "SELECT device, revoked_at FROM devices WHERE account = $1
             ORDER BY CASE WHEN revoked_at IS NULL THEN 0 ELSE 1 END, revoked_at DESC, added_at, device LIMIT $2",
        )
            .bind(id.to_string())
            .bind(DEVICES_SHOWN)
            .fetch_all(&mut *on)
            .await?
            .iter()
            .map(|row| {
                let revoked: Option<i64> = row.try_get("revoked_at")?;
                Ok((parse(row.try_get("device")?)?, revoked.is_none()))
            })
            .collect::<Result<_, Error>>()?;
    Ok(Some(Account {
        id: *id,
        name: row.try_get("name")?,
        created_at: row.try_get("created_at")?,
        profile: profile(on, id).await?,
        wallets: wallets_of(on, id).await?,
        passkeys: passkeys_of(on, id).await?,
        devices,
    }))
}

pub(crate) async fn account_exists(on: &mut AnyConnection, id: &RecordId) -> Result<bool, Error> {
    let row =
        sqlx::query("SELECT id FROM accounts WHERE id = $1").bind(id.to_string()).fetch_optional(on).await?;
    Ok(row.is_some())
}

/// The account that a wallet belongs to.
pub(crate) async fn account_of_wallet(
    on: &mut AnyConnection,
    wallet: &AccountId,
) -> Result<Option<RecordId>, Error> {
    let id: Option<String> = sqlx::query_scalar("SELECT account FROM wallets WHERE wallet = $1")
        .bind(wallet.to_string())
        .fetch_optional(on)
        .await?;
    id.as_deref().map(parse).transpose()
}

/// The wallets of an account, in the order they were added.
pub(crate) async fn wallets_of(on: &mut AnyConnection, account: &RecordId) -> Result<Vec<AccountId>, Error> {
    let wallets: Vec<String> =
        sqlx::query_scalar("SELECT wallet FROM wallets WHERE account = $1 ORDER BY added_at, wallet")
            .bind(account.to_string())
            .fetch_all(on)
            .await?;
    wallets.iter().map(|wallet| parse(wallet)).collect()
}

/// The wallets that these accounts have on a chain since before a moment (Unix milliseconds), in no order: whose, and which.
pub(crate) async fn wallets_on(
    on: &mut AnyConnection,
    accounts: &BTreeSet<RecordId>,
    chain: ChainId,
    before: i64,
) -> Result<Vec<(RecordId, AccountId)>, Error> {
    let accounts =
        serde_json::to_string(accounts).map_err(|error| Error::Corrupt(format!("identity: {error}")))?;
    // No CAIP-2 id has a character that a pattern reads as anything but itself.
    let sql = format!(
        "SELECT account, wallet FROM wallets
         WHERE wallet LIKE $2 AND added_at < $3 AND account IN (SELECT t.value FROM {} AS t)",
        ledger::texts(on)
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(accounts)
        .bind(format!("{chain}:%"))
        .bind(before)
        .fetch_all(on)
        .await?;
    let mut wallets = Vec::with_capacity(rows.len());
    for row in &rows {
        let (account, wallet): (String, String) = (row.try_get("account")?, row.try_get("wallet")?);
        let wallet: AccountId = parse(&wallet)?;
        // SQLite's patterns do not tell upper case from lower case; ids of chains do.
        if wallet.chain == chain {
            wallets.push((parse(&account)?, wallet));
        }
    }
    Ok(wallets)
}

pub(crate) async fn add_wallet(
    on: &mut AnyConnection,
    account: &RecordId,
    wallet: &AccountId,
    now: i64,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO wallets (wallet, account, added_at) VALUES ($1, $2, $3) ON CONFLICT (wallet) DO NOTHING",
    )
    .bind(wallet.to_string())
    .bind(account.to_string())
    .bind(now)
    .execute(on)
    .await?;
    Ok(())
}

/// The account that a passkey brings devices to.
pub(super) async fn account_of_passkey(
    on: &mut AnyConnection,
    passkey: &Passkey,
) -> Result<Option<RecordId>, Error> {
    let id: Option<String> = sqlx::query_scalar("SELECT account FROM passkeys WHERE passkey = $1")
        .bind(passkey.to_string())
        .fetch_optional(on)
        .await?;
    id.as_deref().map(parse).transpose()
}

/// The passkeys of an account, in the order they were added: which, by which wallet's word, since when.
pub(super) async fn passkeys_of(
    on: &mut AnyConnection,
    account: &RecordId,
) -> Result<Vec<(Passkey, Keeper, i64)>, Error> {
    let rows = sqlx::query(
        "SELECT passkey, wallet, credential, sign_count, added_at FROM passkeys WHERE account = $1
         ORDER BY added_at, passkey",
    )
    .bind(account.to_string())
    .fetch_all(on)
    .await?;
    rows.iter()
        .map(|row| {
            let count: i64 = row.try_get("sign_count")?;
            let sign_count =
                u32::try_from(count).map_err(|error| Error::Corrupt(format!("passkeys: {error}")))?;
            let (wallet, credential) = (parse(row.try_get("wallet")?)?, row.try_get("credential")?);
            let keeper = Keeper { wallet, credential, sign_count };
            Ok((parse(row.try_get("passkey")?)?, keeper, row.try_get("added_at")?))
        })
        .collect()
}

/// The devices that speak for an account, in the order they were added.
pub(crate) async fn speaking(on: &mut AnyConnection, account: &RecordId) -> Result<Vec<Device>, Error> {
    let devices: Vec<String> = sqlx::query_scalar(
        "SELECT device FROM devices WHERE account = $1 AND revoked_at IS NULL ORDER BY added_at, device LIMIT $2",
    )
    .bind(account.to_string())
    .bind(DEVICES_SHOWN)
    .fetch_all(on)
    .await?;
    devices.iter().map(|device| parse(device)).collect()
}

/// Whether the device may speak for the account: none when it never could, false when it was revoked.
pub(crate) async fn device_speaks(
    on: &mut AnyConnection,
    account: &RecordId,
    device: &Device,
) -> Result<Option<bool>, Error> {
    let row = sqlx::query("SELECT revoked_at FROM devices WHERE account = $1 AND device = $2")
        .bind(account.to_string())
        .bind(device.to_string())
        .fetch_optional(on)
        .await?;
    row.map(|row| Ok(row.try_get::<Option<i64>, _>("revoked_at")?.is_none())).transpose()
}

pub(crate) async fn add_device(
    on: &mut AnyConnection,
    account: &RecordId,
    device: &Device,
    (wallet, passkey): (Option<&AccountId>, Option<&Passkey>),
    now: i64,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO devices (account, device, wallet, passkey, added_at, revoked_at)
         VALUES ($1, $2, $3, $4, $5, NULL)
         ON CONFLICT (account, device) DO UPDATE SET wallet = $3, passkey = $4, revoked_at = NULL",
    )
    .bind(account.to_string())
    .bind(device.to_string())
    .bind(wallet.map(ToString::to_string))
    .bind(passkey.map(ToString::to_string))
    .bind(now)
    .execute(on)
    .await?;
    Ok(())
}

/// Takes the device's word away, and with it every session and token: one that comes back begins anew.
pub(crate) async fn revoke_device(
    on: &mut AnyConnection,
    account: &RecordId,
    device: &Device,
    now: i64,
) -> Result<(), Error> {
    sqlx::query("UPDATE devices SET revoked_at = $3 WHERE account = $1 AND device = $2")
        .bind(account.to_string())
        .bind(device.to_string())
        .bind(now)
        .execute(&mut *on)
        .await?;
    sqlx::query("DELETE FROM sessions WHERE account = $1 AND device = $2")
        .bind(account.to_string())
        .bind(device.to_string())
        .execute(on)
        .await?;
    Ok(())
}

pub(crate) async fn nonce_used(on: &mut AnyConnection, nonce: &str) -> Result<bool, Error> {
    let row =
        sqlx::query("SELECT nonce FROM used_nonces WHERE nonce = $1").bind(nonce).fetch_optional(on).await?;
    Ok(row.is_some())
}

/// Remembers that a nonce has served, and forgets those that expired a day ago; false when it had served before.
pub(crate) async fn use_nonce(
    on: &mut AnyConnection,
    nonce: &str,
    expires_at: i64,
    now: i64,
) -> Result<bool, Error> {
    sqlx::query("DELETE FROM used_nonces WHERE expires_at <= $1")
        .bind(now.saturating_sub(NONCE_KEPT_MS))
        .execute(&mut *on)
        .await?;
    let used = sqlx::query(
        "INSERT INTO used_nonces (nonce, expires_at) VALUES ($1, $2) ON CONFLICT (nonce) DO NOTHING",
    )
    .bind(nonce)
    .bind(expires_at)
    .execute(on)
    .await?;
    Ok(used.rows_affected() == 1)
}

/// What an account says of itself, in place of what it said before.
pub(crate) async fn put_profile(
    on: &mut AnyConnection,
    record: &Record,
    profile: &ProfileBody,
    now: i64,
) -> Result<(), Error> {
    let body =
        serde_json::to_string(profile).map_err(|error| Error::Corrupt(format!("identity: {error}")))?;
    sqlx::query(
        "INSERT INTO profiles (account, body, updated_at, record) VALUES ($1, $2, $3, $4)
         ON CONFLICT (account) DO UPDATE SET body = $2, updated_at = $3, record = $4",
    )
    .bind(record.account().to_string())
    .bind(body)
    .bind(now)
    .bind(record.id.to_string())
    .execute(on)
    .await?;
    Ok(())
}

/// What an account says of itself, and the record that says it.
pub(super) async fn profile(
    on: &mut AnyConnection,
    account: &RecordId,
) -> Result<Option<(RecordId, ProfileBody)>, Error> {
    let row = sqlx::query("SELECT record, body FROM profiles WHERE account = $1")
        .bind(account.to_string())
        .fetch_optional(on)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let body: String = row.try_get("body")?;
    let body = serde_json::from_str(&body).map_err(|error| Error::Corrupt(format!("identity: {error}")))?;
    Ok(Some((parse(row.try_get("record")?)?, body)))
}

/// Takes away what an account says of itself.
pub(super) async fn drop_profile(on: &mut AnyConnection, account: &RecordId) -> Result<(), Error> {
    sqlx::query("DELETE FROM profiles WHERE account = $1").bind(account.to_string()).execute(on).await?;
    Ok(())
}

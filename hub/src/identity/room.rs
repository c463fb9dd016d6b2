//! What `submit` asks of this room, and the access step for every record.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use service::db::Write;
use sqlx::AnyConnection;

use super::{
    control::{Act, Change, Recovery, Refused, Rule},
    model::{
        DeviceBody, HubBody, IdentityBody, ProfileBody, RecoveryRuleBody, RecoveryStepBody, WalletBody,
        Words, check_name,
    },
    nonce::{self, Purpose},
    passkey::PasskeyBody,
    personhood::{self, Claim},
    siwx::{Demands, SignInError},
    standing, store, wallet,
};
use crate::{
    Hub,
    access::{Audience, persons_only},
    error::{Error, Refusal},
    outbox,
    records::{Accepted, Draft, Record, RecordId, log},
    rooms::Room,
};

/// See [`crate::rooms::Room::tables`].
pub(crate) const TABLES: &[&str] = &[
    "accounts",
    "wallets",
    "passkeys",
    "devices",
    "recovery_rules",
    "guardians",
    "recoveries",
    "profiles",
    "persons",
];

/// Whether only account and guardians may read it; everything else of this room is public.
fn is_between_guardians(kind: &str) -> bool {
    kind.starts_with("recovery")
}

pub(crate) fn check(record: &Record) -> Result<(), Refusal> {
    let open = record.audience.contains(&Audience::Public);
    if is_between_guardians(&record.kind) && open {
        let told = "who guards an account is between its guardians: name them as account:<id>";
        return Err(Refusal::schema("audience", "/audience", told));
    }
    if !is_between_guardians(&record.kind) && record.audience != [Audience::Public] {
        return Err(Refusal::schema("audience", "/audience", "who an account is, is public: [\"public\"]"));
    }
    match record.kind.as_str() {
        "hub@1" => {
            record.body_as::<HubBody>()?;
            begins(record)?;
        }
        "identity@1" => {
            begins(record)?;
            check_name(&record.body_as::<IdentityBody>()?.name, "/body/name")?;
        }
        "profile@1" => record.body_as::<ProfileBody>()?.check()?,
        "personhood@1" => record.body_as::<Claim>().map(drop)?,
        "device@1" => drop(record.body_as::<DeviceBody>()?),
        "recovery-rule@1" => drop(record.body_as::<RecoveryRuleBody>()?.rule()?),
        "recovery@1" | "recovery-veto@1" => record.about().map(drop)?,
        "recovery-approval@1" | "recovery-end@1" => {
            record.about()?;
            record.body_as::<RecoveryStepBody>()?;
        }
        _ => {}
    }
    let words = Words::of(record)?;
    if let Some(word) = &words.device
        && matches!(record.kind.as_str(), "identity@1" | "wallet@1")
        && word.device != record.device
    {
        return Err(Refusal::schema(
            "message_device",
            format!("{}/message", word.word.field),
            format!("authorises {}; the record is signed by {}", word.device, record.device),
        ));
    }
    Ok(())
}

fn begins(record: &Record) -> Result<(), Refusal> {
    if record.author.is_none() {
        return Ok(());
    }
    Err(Refusal::schema("author", "/author", format!("{} begins an account: null", record.kind)))
}

/// The access step: whether this device may speak for this author now. For a record that carries words of wallets or passkeys,
/// also whether those were meant for this hub, now, under a nonce of this hub; for one that only persons may say, whether
/// the author is one. (For which hub a passkey spoke is seen with its signature, in [`prepare`].)
pub(crate) async fn admit(on: &mut AnyConnection, hub: &Hub, record: &Record, now: i64) -> Result<(), Error> {
    if Room::is_the_hubs(&record.kind) && record.device != hub.key.device() {
        return Err(Refusal::access(
            "hub_only",
            "/device",
            format!("only the hub itself says {}", record.kind),
        )
        .into());
    }
    if record.kind == "hub@1" {
        return if log::first_of(on, "hub@1").await?.is_some() {
            Err(Refusal::access("hub_only", "/device", "this database belongs to a hub with another key")
                .into())
        } else {
            Ok(())
        };
    }
    let words = Words::of(record)?;
    let chains = hub.config.chains();
    let demands = Demands {
        scheme: hub.public.url.split("://").next().unwrap_or_default(),
        domain: &hub.public.domain,
        uri: &hub.public.url,
        chains: &chains,
        now,
    };
    for word in words.all() {
        let field = format!("{}/message", word.field);
        word.message
            .meets(&demands)
            .map_err(|error: SignInError| Refusal::access(error.rule, field, error.to_string()))?;
    }
    let mut nonces = BTreeSet::new();
    for (nonce, field) in words.nonces() {
        if nonce::expires_at(&hub.key, Purpose::SignIn, nonce, now).is_none()
            || store::nonce_used(on, nonce).await?
            || !nonces.insert(nonce)
        {
            return Err(unknown_nonce(nonce, field).into());
        }
    }
    let Some(author) = record.author else {
        return if record.kind == "identity@1" {
            Ok(())
        } else {
            Err(Refusal::access("author", "/author", "must be the account that speaks; sign in first").into())
        };
    };
    match store::device_speaks(on, &author, &record.device).await? {
        Some(true) => {}
        // All other devices may be lost: the word of wallet or passkey is enough for the device it names.
        _ if record.kind == "device@1" && words.brings() == Some(record.device) => {}
        Some(false) => {
            return Err(Refusal::access(
                "device_revoked",
                "/device",
                format!("{} may not speak for {author} any more", record.device),
            )
            .into());
        }
        None => {
            return Err(Refusal::access(
                "device_unknown",
                "/device",
                format!("{} was never authorised by {author}", record.device),
            )
            .into());
        }
    }
    // Of another wallet no contract is asked whether it has signed.
    for word in words.of_the_account(&record.kind) {
        let wallet = word.wallet();
        if store::account_of_wallet(on, &wallet).await? != Some(author) {
            return Err(Refusal::from(Refused::ForeignWallet(wallet)).into());
        }
    }
    persons_only(on, hub, record, &author, now).await
}

fn unknown_nonce(nonce: &str, field: String) -> Refusal {
    Refusal::access(
        "nonce",
        field,
        format!("nonce {nonce} was not issued here, has expired or was used; ask for a new one"),
    )
}

/// A nonce serves once: that it has is kept in the transaction of the record that used it. Not part of a replay.
pub(crate) async fn use_up_nonce(
    on: &mut AnyConnection,
    hub: &Hub,
    record: &Record,
    now: i64,
) -> Result<(), Error> {
    for (nonce, field) in Words::of(record)?.nonces() {
        match nonce::expires_at(&hub.key, Purpose::SignIn, nonce, now) {
            Some(expires_at) if store::use_nonce(on, nonce, expires_at, now).await? => {}
            _ => return Err(unknown_nonce(nonce, field).into()),
        }
    }
    Ok(())
}

pub(crate) async fn prepare(hub: &Hub, record: &Record) -> Result<Value, Error> {
    if record.kind == "personhood@1" {
        return personhood::prepare(hub, record).await;
    }
    let mut schemes = Vec::new();
    let words = Words::of(record)?;
    if let Some((spoken, field)) = &words.passkey {
        spoken.verify(&hub.public.url).map_err(|error| error.refused(field))?;
        schemes.push("webauthn");
    }
    for word in words.all() {
        schemes.push(wallet::verify(&hub.indexers, word).await?.name());
    }
    Ok(match schemes.as_slice() {
        [] => Value::Null,
        schemes => json!({ "schemes": schemes }),
    })
}

pub(crate) async fn apply(write: &mut Write, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    let Accepted { record, received_at: now, .. } = accepted;
    let on = write.on();
    match record.kind.as_str() {
        "hub@1" => {
            store::add_account(on, &record.account(), &record.body_as::<HubBody>()?.did, *now).await?;
            store::add_device(on, &record.account(), &record.device, (None, None), *now).await?;
            told(on, record).await?;
        }
        // A replay of what was erased since: it took the place of the one before, and nothing stands there now.
        "profile@1" if record.body.is_null() => {
            unsay(on, &record.account()).await?;
            told(on, record).await?;
        }
        "profile@1" => {
            let profile: ProfileBody = record.body_as()?;
            store::rename(on, &record.account(), &profile.name).await?;
            store::put_profile(on, record, &profile, *now).await?;
            told(on, record).await?;
        }
        "personhood@1" => {
            personhood::apply(on, accepted).await?;
            told(on, record).await?;
        }
        kind if is_between_guardians(kind) => recover(on, accepted).await?,
        _ => {
            if record.kind == "identity@1" {
                let name = record.body_as::<IdentityBody>()?.name;
                store::add_account(on, &record.account(), &name, *now).await?;
            }
            let act = change_of(record)?;
            if let Act::Begin { wallet, .. } | Act::AddWallet { wallet, .. } = &act {
                untaken(on, wallet, &record.account()).await?;
            }
            if let Act::AddPasskey { passkey, .. } = &act
                && let Some(owner) = store::account_of_passkey(on, passkey).await?
                && owner != record.account()
            {
                let told = format!("{passkey} belongs to account {owner}: make another one for this account");
                return Err(Refusal::conflict("passkey_taken", "/body", told).into());
            }
            let control = standing::load(on, &record.account(), None, *now).await?;
            for change in control.decide(&act, *now).map_err(Refusal::from)? {
                standing::write(on, &record.account(), &change, *now).await?;
            }
            told(on, record).await?;
        }
    }
    Ok(Vec::new())
}

/// What follows when a profile is erased: where it is the one that stands, none does.
///
/// # Errors
/// The database fails.
pub(crate) async fn erased(on: &mut AnyConnection, record: &Record) -> Result<(), Error> {
    let account = record.account();
    if store::profile(on, &account).await?.is_some_and(|(by, _)| by == record.id) {
        unsay(on, &account).await?;
    }
    told(on, record).await
}

/// The account says nothing of itself, and is called what it was called when it began.
async fn unsay(on: &mut AnyConnection, account: &RecordId) -> Result<(), Error> {
    store::drop_profile(on, account).await?;
    let first = log::find(on, account).await?.map(|first| first.record);
    let first = first.ok_or_else(|| Error::Corrupt(format!("log: there is no {account}")))?;
    let name = match first.kind.as_str() {
        "hub@1" => first.body_as::<HubBody>()?.did,
        _ => first.body_as::<IdentityBody>()?.name,
    };
    store::rename(on, account, &name).await
}

async fn told(on: &mut AnyConnection, record: &Record) -> Result<(), Error> {
    let account = record.account();
    outbox::append(on, "account", &record.audience, &json!({ "account": account })).await
}

/// What a record about wallets, passkeys or devices wants.
fn change_of(record: &Record) -> Result<Act, Error> {
    let device = record.device;
    let words = Words::of(record)?;
    let by = words.by.map(|word| word.wallet());
    let joins = words.device.map(|word| (word.wallet(), word.device));
    let spoken = words.passkey.map(|(spoken, _)| spoken);
    let missing = || Error::Corrupt(format!("{} without the word of wallet or passkey", record.kind));
    Ok(match record.kind.as_str() {
        "identity@1" => Act::Begin { wallet: joins.ok_or_else(missing)?.0, device },
        "wallet@1" => match (record.body_as::<WalletBody>()?, by.ok_or_else(missing)?) {
            (WalletBody::Add { .. }, by) => {
                Act::AddWallet { wallet: joins.ok_or_else(missing)?.0, device, by }
            }
            (WalletBody::Revoke { wallet, .. }, by) => Act::RevokeWallet { wallet, device, by },
        },
        "passkey@1" => match (record.body_as::<PasskeyBody>()?, by.ok_or_else(missing)?) {
            (PasskeyBody::Add { .. }, by) => {
                let spoken = spoken.ok_or_else(missing)?;
                let (passkey, sign_count) = (spoken.passkey, spoken.sign_count());
                Act::AddPasskey {
                    passkey,
                    credential: spoken.credential.ok_or_else(missing)?,
                    sign_count,
                    by,
                }
            }
            (PasskeyBody::Revoke { passkey, .. }, by) => Act::RevokePasskey { passkey, device, by },
        },
        _ => match record.body_as::<DeviceBody>()? {
            DeviceBody::Add(_) => {
                let (by, device) = joins.ok_or_else(missing)?;
                Act::AddDevice { device, by }
            }
            DeviceBody::AddByPasskey(word) => {
                let sign_count = spoken.ok_or_else(missing)?.sign_count();
                Act::AddDeviceByPasskey { device: word.device, passkey: word.passkey, sign_count }
            }
            DeviceBody::Revoke { device: silenced, .. } => {
                Act::RevokeDevice { device: silenced, signer: device, by }
            }
        },
    })
}

/// A wallet controls one account.
async fn untaken(
    on: &mut AnyConnection,
    wallet: &protocol::chain::AccountId,
    account: &RecordId,
) -> Result<(), Error> {
    match store::account_of_wallet(on, wallet).await? {
        Some(owner) if owner != *account => Err(Refusal::conflict(
            "wallet_taken",
            "/body",
            format!("{wallet} belongs to account {owner}; add a device to that one with device@1"),
        )
        .into()),
        _ => Ok(()),
    }
}

/// A recovery rule, and what becomes of recoveries.
async fn recover(on: &mut AnyConnection, accepted: &Accepted) -> Result<(), Error> {
    let Accepted { record, received_at: now, .. } = accepted;
    let author = record.account();
    let words = Words::of(record)?;
    let missing = || Error::Corrupt(format!("{} without a wallet's word", record.kind));
    let (account, act) = match record.kind.as_str() {
        "recovery-rule@1" => {
            let rule = record.body_as::<RecoveryRuleBody>()?.rule()?;
            for guardian in rule.iter().flat_map(|rule| &rule.guardians) {
                if *guardian == author || !store::account_exists(on, guardian).await? {
                    let told = format!("{guardian} must be an account of this hub, and another one");
                    return Err(Refusal::rule("unknown_account", "/body/guardians", told).into());
                }
            }
            (author, Act::SetRule { rule, by: words.by.ok_or_else(missing)?.wallet() })
        }
        "recovery@1" => {
            let account = record.about()?;
            let word = words.device.ok_or_else(missing)?;
            untaken(on, &word.wallet(), &account).await?;
            let (wallet, device) = (word.wallet(), word.device);
            (account, Act::Ask { id: record.id, guardian: author, wallet, device })
        }
        kind => {
            let id = record.about()?;
            let found = standing::recovery(on, &id).await?;
            let unknown =
                || Refusal::rule("recovery_unknown", "/about", format!("there is no recovery {id}"));
            let (account, recovery) = found.ok_or_else(unknown)?;
            let act = match kind {
                "recovery-approval@1" => Act::Approve { id, guardian: author },
                "recovery-veto@1" if account == author => {
                    Act::Veto { id, by: words.by.ok_or_else(missing)?.wallet() }
                }
                "recovery-veto@1" => return Err(unknown().into()),
                _ => {
                    let owner = store::account_of_wallet(on, &recovery.wallet).await?;
                    Act::End { id, free: owner.is_none_or(|owner| owner == account) }
                }
            };
            (account, act)
        }
    };
    let control = standing::load(on, &account, record.about.as_ref(), *now).await?;
    let changes = control.decide(&act, *now).map_err(Refusal::from)?;
    for change in &changes {
        standing::write(on, &account, change, *now).await?;
    }
    for change in &changes {
        if let Change::Recovery(id, recovery) = change {
            let readers = readers(account, control.rule.as_ref(), recovery);
            let told = json!({ "account": account, "recovery": id, "stage": recovery.stage.name() });
            outbox::append(on, "recovery", &readers, &told).await?;
        }
    }
    if changes.iter().any(|change| matches!(change, Change::AddWallet(_))) {
        outbox::append(on, "account", &[Audience::Public], &json!({ "account": account })).await?;
    }
    Ok(())
}

/// Who may read of a recovery: the account, its guardians, and those who agreed.
pub(super) fn readers(account: RecordId, rule: Option<&Rule>, recovery: &Recovery) -> Vec<Audience> {
    let mut all = BTreeSet::from([account]);
    all.extend(&recovery.approvals);
    all.extend(rule.iter().flat_map(|rule| &rule.guardians));
    all.into_iter().map(Audience::Account).collect()
}

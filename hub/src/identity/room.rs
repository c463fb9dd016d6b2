//! What `submit` asks of this room, and the access step for every record.

use serde_json::{Value, json};
use service::db::Write;
use sqlx::AnyConnection;

use super::{
    model::{Authorisation, DeviceBody, HubBody, IdentityBody, check_name},
    nonce,
    siwx::{Demands, SignInError},
    store, wallet,
};
use crate::{
    Hub,
    access::Audience,
    error::{Error, Refusal},
    outbox,
    records::{Accepted, Draft, Record, log},
    rooms::Room,
};

/// See [`crate::rooms::Room::tables`].
pub(crate) const TABLES: &[&str] = &["accounts", "wallets", "devices"];
/// What an account may gather: everyone can look at it, and the hub asks for each wallet where its owner sits.
const WALLETS_MAX: usize = 16;
const DEVICES_MAX: usize = 128;

pub(crate) fn check(record: &Record) -> Result<(), Refusal> {
    if record.audience != [Audience::Public] {
        return Err(Refusal::schema("audience", "/audience", "who an account is, is public: [\"public\"]"));
    }
    match record.kind.as_str() {
        "hub@1" => {
            record.body_as::<HubBody>()?;
            if record.author.is_some() {
                return Err(Refusal::schema("author", "/author", "hub@1 begins an account: null"));
            }
        }
        "identity@1" => check_name(&record.body_as::<IdentityBody>()?.name, "/body/name")?,
        _ => {
            record.body_as::<DeviceBody>()?;
        }
    }
    if let Some(authorisation) = authorisation(record)?
        && record.kind == "identity@1"
        && authorisation.device != record.device
    {
        return Err(Refusal::schema(
            "message_device",
            "/body/message",
            format!("authorises {}; the record is signed by {}", authorisation.device, record.device),
        ));
    }
    Ok(())
}

/// The wallet's word in a record that carries one.
fn authorisation(record: &Record) -> Result<Option<Authorisation>, Refusal> {
    match record.kind.as_str() {
        "identity@1" => {
            let body: IdentityBody = record.body_as()?;
            Authorisation::read(&body.message, &body.signature, "/body").map(Some)
        }
        "device@1" => match record.body_as::<DeviceBody>()? {
            DeviceBody::Add(add) => Authorisation::read(&add.message, &add.signature, "/body/add").map(Some),
            DeviceBody::Revoke(_) => Ok(None),
        },
        _ => Ok(None),
    }
}

/// The access step: whether this device may speak for this author now. For a record that carries a wallet's word, also
/// whether that word was meant for this hub, now, under a nonce of this hub.
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
    let authorisation = authorisation(record)?;
    if let Some(authorisation) = &authorisation {
        let told = |error: SignInError| Refusal::access(error.rule, "/body/message", error.to_string());
        let chains = hub.config.chains();
        let demands = Demands {
            scheme: hub.public.url.split("://").next().unwrap_or_default(),
            domain: &hub.public.domain,
            uri: &hub.public.url,
            chains: &chains,
            now,
        };
        authorisation.message.meets(&demands).map_err(told)?;
        let nonce = &authorisation.message.nonce;
        if nonce::expires_at(&hub.key, nonce, now).is_none() || store::nonce_used(on, nonce).await? {
            return Err(unknown_nonce(nonce).into());
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
        Some(true) => Ok(()),
        // All other devices may be lost: the wallet's word is enough for the device it names.
        _ if record.kind == "device@1" && authorisation.is_some_and(|a| a.device == record.device) => Ok(()),
        Some(false) => Err(Refusal::access(
            "device_revoked",
            "/device",
            format!("{} may not speak for {author} any more", record.device),
        )
        .into()),
        None => Err(Refusal::access(
            "device_unknown",
            "/device",
            format!("{} was never authorised by {author}", record.device),
        )
        .into()),
    }
}

fn unknown_nonce(nonce: &str) -> Refusal {
    Refusal::access(
        "nonce",
        "/body/message",
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
    let Some(authorisation) = authorisation(record)? else { return Ok(()) };
    let nonce = &authorisation.message.nonce;
    match nonce::expires_at(&hub.key, nonce, now) {
        Some(expires_at) if store::use_nonce(on, nonce, expires_at, now).await? => Ok(()),
        _ => Err(unknown_nonce(nonce).into()),
    }
}

pub(crate) async fn prepare(hub: &Hub, record: &Record) -> Result<Value, Error> {
    match authorisation(record)? {
        None => Ok(Value::Null),
        Some(authorisation) => {
            let scheme = wallet::verify(&hub.indexers, &authorisation).await?;
            Ok(json!({ "scheme": scheme.name() }))
        }
    }
}

fn room_for(held: usize, known: bool, most: usize, what: &str) -> Result<(), Refusal> {
    if known || held < most {
        return Ok(());
    }
    let told = format!("an account has at most {most} {what}, those that were revoked included");
    Err(Refusal::conflict("account_full", "/body", told))
}

pub(crate) async fn apply(write: &mut Write, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    let Accepted { record, received_at: now, .. } = accepted;
    let on = write.on();
    let account = record.account();
    let authorisation = authorisation(record)?;
    if let Some(authorisation) = &authorisation {
        let wallet = authorisation.wallet();
        let owner = store::account_of_wallet(on, &wallet).await?;
        match (record.kind.as_str(), owner) {
            ("identity@1", Some(owner)) if owner != account => {
                return Err(Refusal::conflict(
                    "wallet_taken",
                    "/body/message",
                    format!("{wallet} belongs to account {owner}; add a device to it with device@1"),
                )
                .into());
            }
            ("device@1", owner) if owner != Some(account) => {
                return Err(Refusal::access(
                    "wallet_unknown",
                    "/body/add/message",
                    format!("{wallet} is not a wallet of account {account}"),
                )
                .into());
            }
            _ => {}
        }
    }
    match record.kind.as_str() {
        "hub@1" => {
            store::add_account(on, &account, &record.body_as::<HubBody>()?.did, *now).await?;
            store::add_device(on, &account, &record.device, *now).await?;
        }
        "identity@1" => {
            let name = record.body_as::<IdentityBody>()?.name;
            if record.author.is_none() {
                store::add_account(on, &account, &name, *now).await?;
            } else {
                store::rename(on, &account, &name).await?;
            }
            if let Some(authorisation) = authorisation {
                let held = store::wallets_of(on, &account).await?;
                room_for(held.len(), held.contains(&authorisation.wallet()), WALLETS_MAX, "wallets")?;
                store::add_wallet(on, &account, &authorisation.wallet(), *now).await?;
            }
            store::add_device(on, &account, &record.device, *now).await?;
        }
        _ => match (record.body_as::<DeviceBody>()?, authorisation) {
            (DeviceBody::Add(_), Some(authorisation)) => {
                let known = store::device_speaks(on, &account, &authorisation.device).await?.is_some();
                room_for(store::devices(on, &account).await?, known, DEVICES_MAX, "devices")?;
                store::add_device(on, &account, &authorisation.device, *now).await?;
            }
            (DeviceBody::Revoke(device), _) => {
                if store::device_speaks(on, &account, &device).await? != Some(true) {
                    return Err(Refusal::conflict(
                        "device_unknown",
                        "/body/revoke",
                        format!("{device} is not an authorised device of {account}"),
                    )
                    .into());
                }
                store::revoke_device(on, &account, &device, *now).await?;
            }
            (DeviceBody::Add(_), None) => {
                return Err(Error::Corrupt("device@1 without a message".to_owned()));
            }
        },
    }
    outbox::append(on, "account", &record.audience, &json!({ "account": account })).await?;
    Ok(Vec::new())
}

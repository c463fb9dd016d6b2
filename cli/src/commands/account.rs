//! `earnest account`: who one is.

use std::path::PathBuf;

use alloy::primitives::B256;
use anyhow::Result;
use clap::Subcommand;
use hub::{identity::AccountView, records::RecordId};
use protocol::chain::AssetId;
use serde_json::json;

use super::{Session, record_id};
use crate::{amount, client::profile::Profile};

/// Accounts.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Make a person: a wallet key, a device key, and an account at the hub
    #[command(after_help = "Example:\n  earnest --as ida account new")]
    New {
        /// What others see [default: the name of --as]
        #[arg(long)]
        name: Option<String>,
        /// Take this wallet key instead of a fresh test key: 64 hexadecimal digits
        #[arg(long, env = "EARNEST_WALLET_KEY", hide_env_values = true, value_name = "HEX")]
        wallet_key: Option<B256>,
        /// Take this keystore (Web3 Secret Storage); its password comes from EARNEST_WALLET_PASSWORD
        #[arg(long, value_name = "FILE", conflicts_with = "wallet_key")]
        keystore: Option<PathBuf>,
    },
    /// Show a person: yourself, or the account with this id
    #[command(after_help = "Example:\n  earnest --as ida account show")]
    Show {
        /// Another account
        #[arg(value_parser = record_id)]
        id: Option<RecordId>,
    },
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::New { name, wallet_key, keystore } => {
            let folder = session.folder()?;
            let last = folder.file_name().map(|part| part.to_string_lossy().into_owned());
            let name = name.or(last).unwrap_or_default();
            let mut profile = match (Profile::open(&folder), keystore) {
                // A person whose account the hub did not get yet: the keys stay.
                (Ok(profile), _) if profile.account.is_none() => profile,
                (_, Some(file)) => Profile::create_with_keystore(&folder, &name, &file)?,
                (_, None) => Profile::create(&folder, &name, wallet_key)?,
            };
            let chain = session.chain().await?;
            session.hub()?.join(&mut profile, chain.id).await?;
            show(session, &profile).await
        }
        Verb::Show { id: None } => show(session, &session.profile()?).await,
        Verb::Show { id: Some(id) } => {
            let account: AccountView = session.hub()?.http.get(&format!("/v1/accounts/{id}")).await?;
            let list = |items: Vec<String>| items.join("\n");
            session.output.one(
                &account,
                &[
                    ("account", account.id.to_string()),
                    ("name", account.name.clone()),
                    ("wallets", list(account.wallets.iter().map(ToString::to_string).collect())),
                    ("devices", list(account.devices.iter().map(|one| one.device.to_string()).collect())),
                ],
            )
        }
    }
}

async fn show(session: &Session, profile: &Profile) -> Result<()> {
    let account = profile.account.map(|id| id.to_string());
    let device = profile.device.device().to_string();
    let chain = session.chain().await?;
    let wallet = chain.account(profile.address());
    let balance = chain.balance(profile.address()).await?;
    let value = json!({
        "name": profile.name, "account": account, "wallet": wallet, "device": device, "balance": balance.to_string(),
    });
    session.output.one(
        &value,
        &[
            ("name", profile.name.clone()),
            ("account", account.unwrap_or_else(|| "none yet".to_owned())),
            ("wallet", wallet.to_string()),
            ("device", device),
            ("balance", amount::of(&AssetId::native(chain.id), balance)),
        ],
    )
}

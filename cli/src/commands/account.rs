//! `earnest account`: who one is.

use std::path::PathBuf;

use alloy::primitives::B256;
use anyhow::Result;
use clap::{Args, Subcommand};
use hub::{identity::AccountView, records::RecordId};
use protocol::chain::{AssetId, ChainId};
use serde_json::{Value, json};

use super::{Session, record_id};
use crate::{
    amount,
    client::{
        chain::Chain,
        profile::{First, Profile},
        wallet::read_keypair,
    },
};

/// Accounts.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Make a person: a wallet key, a device key, and an account at the hub
    #[command(
        after_help = "Examples:\n  earnest --as ida account new\n  earnest --as ida account new --solana"
    )]
    New {
        /// What others see [default: the name of --as]
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        key: Key,
    },
    /// Give your account a wallet for the other kind of chain, too
    #[command(
        name = "add-wallet",
        after_help = "Examples:\n  earnest --as ida account add-wallet --solana\n  \
        earnest --as ida account add-wallet --keypair ~/.config/solana/id.json"
    )]
    AddWallet {
        #[command(flatten)]
        key: Key,
    },
    /// Show a person: yourself, or the account with this id
    #[command(after_help = "Example:\n  earnest --as ida account show")]
    Show {
        /// Another account
        #[arg(value_parser = record_id)]
        id: Option<RecordId>,
    },
}

/// Which wallet key.
#[derive(Args, Debug)]
pub struct Key {
    /// Take this EVM wallet key instead of a fresh test key: 64 hexadecimal digits
    #[arg(long, env = "EARNEST_WALLET_KEY", hide_env_values = true, value_name = "HEX")]
    wallet_key: Option<B256>,
    /// Take this keystore (Web3 Secret Storage); its password comes from EARNEST_WALLET_PASSWORD
    #[arg(long, value_name = "FILE", conflicts_with_all = ["wallet_key", "solana", "keypair"])]
    keystore: Option<PathBuf>,
    /// A fresh test key for Solana in the place of one for EVM chains
    #[arg(long, conflicts_with = "wallet_key")]
    solana: bool,
    /// Take this key of Solana's command line: a file with 64 numbers, as solana-keygen writes it
    #[arg(long, value_name = "FILE", conflicts_with = "wallet_key")]
    keypair: Option<PathBuf>,
}

impl Key {
    /// Whether it is for Solana.
    pub const fn is_of_solana(&self) -> bool {
        self.solana || self.keypair.is_some()
    }

    /// What a person begins with.
    pub fn first(self) -> Result<First> {
        Ok(match (self.keystore, self.keypair, self.solana) {
            (Some(file), ..) => First::Keystore(file),
            (None, Some(file), _) => First::Solana(Some(read_keypair(&file)?)),
            (None, None, true) => First::Solana(None),
            (None, None, false) => First::Evm(self.wallet_key),
        })
    }
}

/// The chain on which a wallet signs in.
pub async fn chain_of(session: &Session, solana: bool) -> Result<ChainId> {
    if solana { Ok(protocol::solana::chain()?) } else { Ok(session.chain().await?.evm()?.id) }
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::New { name, key } => {
            let folder = session.folder()?;
            let name = name.map_or_else(|| session.called(), Ok)?;
            let solana = key.is_of_solana();
            let mut profile = match Profile::open(&folder) {
                // A person whose account the hub did not get yet: the keys stay.
                Ok(profile) if profile.account.is_none() => profile,
                _ => Profile::create(&folder, &name, key.first()?)?,
            };
            let solana = solana || profile.wallet.evm.is_none();
            let hub = session.hub()?;
            hub.join(&mut profile, chain_of(session, solana).await?).await?;
            hub.stand_in(&profile).await?;
            show(session, &profile).await
        }
        Verb::AddWallet { key } => {
            let mut profile = session.profile()?;
            profile.account()?;
            let chain = chain_of(session, key.is_of_solana()).await?;
            let known = profile.wallet.account(chain).ok();
            // A wallet of which the hub did not hear yet: the key stays.
            if known.is_none_or(|wallet| profile.words.contains_key(&wallet.to_string())) {
                profile.take(key.first()?)?;
            }
            session.hub()?.join(&mut profile, chain).await?;
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
                    ("did", account.did.clone()),
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
    let mut lines = vec![
        ("name", profile.name.clone()),
        ("account", account.clone().unwrap_or_else(|| "none yet".to_owned())),
        ("device", device.clone()),
    ];
    // The chain alone shows the rest, so that a hub need not be known.
    let did = match (profile.account, session.hub()) {
        (Some(id), Ok(hub)) => {
            let view: AccountView = hub.http.get(&format!("/v1/accounts/{id}")).await?;
            Some(view.did)
        }
        _ => None,
    };
    lines.extend(did.iter().map(|did| ("did", did.clone())));
    let mut wallets = Vec::new();
    let first = session.chain().await?;
    let other = match (&first, session.chain_of(protocol::solana::chain()?).await) {
        (Chain::Evm(_), Ok(Some(chain))) if chain.id() != first.id() => Some(chain),
        _ => None,
    };
    for chain in [Some(first), other].into_iter().flatten() {
        let Ok(wallet) = profile.wallet.account(chain.id()) else { continue };
        let balance = chain.balance(wallet.address).await?;
        lines.push(("wallet", wallet.to_string()));
        lines.push(("balance", amount::of(&AssetId::native(chain.id()), balance)));
        wallets.push(json!({ "wallet": wallet, "balance": balance.to_string() }));
    }
    // What names no chain means the first one's.
    let of_first = |name: &str| wallets.first().and_then(|wallet: &Value| wallet.get(name)).cloned();
    let value = json!({
        "name": profile.name, "account": account, "did": did, "wallet": of_first("wallet"), "device": device,
        "balance": of_first("balance"), "wallets": wallets,
    });
    session.output.one(&value, &lines)
}

//! A person on this machine: a folder with wallet keys, a device key and the account they belong to.
//!
//! `wallet.key` is a bare test key in hexadecimal, `wallet.json` a Web3 Secret Storage keystore whose password comes from
//! `EARNEST_WALLET_PASSWORD`; at most one of the two is there. `solana.json` is a key as Solana's own command line keeps it.
//! `device.key` is the Ed25519 key that signs records.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use alloy::{primitives::B256, signers::local::PrivateKeySigner};
use anyhow::{Context, Result, anyhow, bail};
use ed25519_dalek::SigningKey;
use hub::records::{DeviceKey, RecordId};
use protocol::chain::AccountId;
use serde::{Deserialize, Serialize};

use super::wallet::{Wallet, keypair_text, read_keypair};
use crate::place::write_secret;

/// A person's keys.
#[derive(Clone, Debug)]
pub struct Profile {
    folder: PathBuf,
    /// What the person is called here.
    pub name: String,
    /// Signs transactions, terms and ballots.
    pub wallet: Wallet,
    /// Signs records.
    pub device: DeviceKey,
    /// The account, once the hub knows it.
    pub account: Option<RecordId>,
    /// The records in which each wallet gave its word for the device; of the account's first wallet it is the account.
    pub words: BTreeMap<String, RecordId>,
}

/// Which wallet key a person begins with.
#[derive(Clone, Debug)]
pub enum First {
    /// An EVM key, or a fresh test key.
    Evm(Option<B256>),
    /// The EVM key in this keystore.
    Keystore(PathBuf),
    /// A Solana key, or a fresh test key.
    Solana(Option<SigningKey>),
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Card {
    name: String,
    account: Option<RecordId>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    words: BTreeMap<String, RecordId>,
}

impl Profile {
    /// The profile's folder: `name` under `profiles`, or the path itself when it holds a slash.
    pub fn folder(profiles: &Path, name: &str) -> PathBuf {
        if name.contains('/') { PathBuf::from(name) } else { profiles.join(name) }
    }

    /// Makes a person with a fresh device key and one wallet key.
    pub fn create(folder: &Path, name: &str, first: First) -> Result<Self> {
        if folder.join("profile.json").exists() {
            bail!(
                "--as {}: this person exists already: choose another name, or `earnest account show`",
                folder.display()
            );
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let device = DeviceKey::from_seed(rand::random());
        let mut profile = Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            wallet: Wallet::default(),
            device,
            account: None,
            words: BTreeMap::new(),
        };
        profile.take(first)?;
        write_secret(&folder.join("device.key"), &format!("{}\n", hex::encode(profile.device.seed())))?;
        profile.save()?;
        Ok(profile)
    }

    /// Takes another wallet key, of a kind of chain for which there is none yet.
    pub fn take(&mut self, key: First) -> Result<()> {
        let there = match key {
            First::Evm(_) | First::Keystore(_) => self.wallet.evm.is_some(),
            First::Solana(_) => self.wallet.solana.is_some(),
        };
        if there {
            bail!("--as {}: this person has a wallet for that kind of chain already", self.folder.display());
        }
        match key {
            First::Evm(given) => {
                let key = match given {
                    Some(key) => signer(&key)?,
                    None => PrivateKeySigner::from_bytes(&B256::from(rand::random::<[u8; 32]>()))
                        .context("the random number is no key: try again")?,
                };
                write_secret(&self.folder.join("wallet.key"), &format!("{}\n", key.to_bytes()))?;
                self.wallet.evm = Some(key);
            }
            First::Keystore(keystore) => {
                self.wallet.evm = Some(open_keystore(&keystore)?);
                let text =
                    fs::read_to_string(&keystore).with_context(|| format!("{}", keystore.display()))?;
                write_secret(&self.folder.join("wallet.json"), &text)?;
            }
            First::Solana(given) => {
                let key = given.unwrap_or_else(|| SigningKey::from_bytes(&rand::random()));
                write_secret(&self.folder.join("solana.json"), &keypair_text(&key)?)?;
                self.wallet.solana = Some(key);
            }
        }
        Ok(())
    }

    /// Opens a person's folder.
    pub fn open(folder: &Path) -> Result<Self> {
        let card = fs::read_to_string(folder.join("profile.json")).map_err(|error| {
            anyhow!(
                "--as {}: no such person ({error}): make one with `earnest account new`",
                folder.display()
            )
        })?;
        let card: Card =
            serde_json::from_str(&card).with_context(|| format!("{}/profile.json", folder.display()))?;
        let [keystore, bare, solana] =
            ["wallet.json", "wallet.key", "solana.json"].map(|name| folder.join(name));
        let evm = if keystore.exists() {
            Some(open_keystore(&keystore)?)
        } else if bare.exists() {
            Some(PrivateKeySigner::from_bytes(&key(&bare)?).context("wallet.key")?)
        } else {
            None
        };
        let solana = if solana.exists() { Some(read_keypair(&solana)?) } else { None };
        if evm.is_none() && solana.is_none() {
            bail!("--as {}: there is no wallet.key, wallet.json or solana.json", folder.display());
        }
        let device = DeviceKey::from_seed(key(&folder.join("device.key"))?.0);
        Ok(Self {
            folder: folder.to_owned(),
            name: card.name,
            wallet: Wallet { evm, solana },
            device,
            account: card.account,
            words: card.words,
        })
    }

    /// A file of this person.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes down what may change: the account and its wallets' words.
    pub fn save(&self) -> Result<()> {
        let card = Card { name: self.name.clone(), account: self.account, words: self.words.clone() };
        write_secret(&self.folder.join("profile.json"), &serde_json::to_string_pretty(&card)?)
    }

    /// The record in which the wallet of a party gave its word for this device; that which began the account, where no
    /// other is known.
    pub fn word_of(&self, party: AccountId) -> Result<RecordId> {
        self.words.get(&party.to_string()).copied().map_or_else(|| self.account(), Ok)
    }

    /// The account that speaks in records.
    pub fn account(&self) -> Result<RecordId> {
        self.account.ok_or_else(|| {
            anyhow!("{} has no account at a hub yet: make it with `earnest account new`", self.name)
        })
    }
}

/// The key in a keystore, by the password in the environment.
pub fn open_keystore(path: &Path) -> Result<PrivateKeySigner> {
    let password = std::env::var("EARNEST_WALLET_PASSWORD").map_err(|_| {
        anyhow!("{}: set EARNEST_WALLET_PASSWORD to the password of this keystore", path.display())
    })?;
    PrivateKeySigner::decrypt_keystore(path, password)
        .with_context(|| format!("{}: the keystore does not open", path.display()))
}

/// A wallet key.
pub fn signer(key: &B256) -> Result<PrivateKeySigner> {
    PrivateKeySigner::from_bytes(key).context("--wallet-key")
}

fn key(path: &Path) -> Result<B256> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.trim().parse().with_context(|| format!("{}: must be 64 hexadecimal digits", path.display()))
}

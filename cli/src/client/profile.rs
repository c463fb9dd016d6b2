//! A person on this machine: a folder with a wallet key, a device key and the account they belong to.
//!
//! `wallet.key` is a bare test key in hexadecimal, `wallet.json` a Web3 Secret Storage keystore whose password comes from
//! `EARNEST_WALLET_PASSWORD`; one of the two is there. `device.key` is the Ed25519 key that signs records.

use std::{
    fs,
    path::{Path, PathBuf},
};

use alloy::{
    primitives::{Address, B256, Bytes},
    signers::{SignerSync, local::PrivateKeySigner},
};
use anyhow::{Context, Result, anyhow, bail};
use hub::records::{DeviceKey, RecordId};
use serde::{Deserialize, Serialize};

use crate::place::write_secret;

/// A person's keys.
#[derive(Clone, Debug)]
pub struct Profile {
    folder: PathBuf,
    /// What the person is called here.
    pub name: String,
    /// Signs transactions, terms and ballots.
    pub wallet: PrivateKeySigner,
    /// Signs records.
    pub device: DeviceKey,
    /// The account, once the hub knows it.
    pub account: Option<RecordId>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Card {
    name: String,
    account: Option<RecordId>,
}

impl Profile {
    /// The profile's folder: `name` under `profiles`, or the path itself when it holds a slash.
    pub fn folder(profiles: &Path, name: &str) -> PathBuf {
        if name.contains('/') { PathBuf::from(name) } else { profiles.join(name) }
    }

    /// Makes a person with a fresh device key and the given wallet key or a fresh test key.
    pub fn create(folder: &Path, name: &str, wallet: Option<B256>) -> Result<Self> {
        if folder.join("profile.json").exists() {
            bail!(
                "--as {}: this person exists already: choose another name, or `earnest account show`",
                folder.display()
            );
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let wallet = match wallet {
            Some(key) => signer(&key)?,
            None => PrivateKeySigner::from_bytes(&B256::from(rand::random::<[u8; 32]>()))
                .context("the random number is no key: try again")?,
        };
        let device = DeviceKey::from_seed(rand::random());
        write_secret(&folder.join("wallet.key"), &format!("{}\n", wallet.to_bytes()))?;
        write_secret(&folder.join("device.key"), &format!("{}\n", hex::encode(device.seed())))?;
        let profile =
            Self { folder: folder.to_owned(), name: name.to_owned(), wallet, device, account: None };
        profile.save()?;
        Ok(profile)
    }

    /// Takes a keystore instead of a test key.
    pub fn create_with_keystore(folder: &Path, name: &str, keystore: &Path) -> Result<Self> {
        let wallet = open_keystore(keystore)?;
        let profile = Self::create(folder, name, Some(wallet.to_bytes()))?;
        let copy = folder.join("wallet.json");
        let text = fs::read_to_string(keystore).with_context(|| format!("{}", keystore.display()))?;
        write_secret(&copy, &text)?;
        fs::remove_file(folder.join("wallet.key")).context("wallet.key")?;
        Ok(profile)
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
        let keystore = folder.join("wallet.json");
        let wallet = if keystore.exists() {
            open_keystore(&keystore)?
        } else {
            PrivateKeySigner::from_bytes(&key(&folder.join("wallet.key"))?).context("wallet.key")?
        };
        let device = DeviceKey::from_seed(key(&folder.join("device.key"))?.0);
        Ok(Self { folder: folder.to_owned(), name: card.name, wallet, device, account: card.account })
    }

    /// Writes down what may change: the account.
    pub fn save(&self) -> Result<()> {
        let card = Card { name: self.name.clone(), account: self.account };
        write_secret(&self.folder.join("profile.json"), &serde_json::to_string_pretty(&card)?)
    }

    /// The wallet's address.
    pub const fn address(&self) -> Address {
        self.wallet.address()
    }

    /// The account that speaks in records.
    pub fn account(&self) -> Result<RecordId> {
        self.account.ok_or_else(|| {
            anyhow!("{} has no account at a hub yet: make it with `earnest account new`", self.name)
        })
    }

    /// The wallet's signature of a digest: r, s, v with v 27 or 28.
    pub fn sign_digest(&self, digest: B256) -> Result<Bytes> {
        let signature = self.wallet.sign_hash_sync(&digest).context("the wallet cannot sign")?;
        Ok(signature.as_bytes().to_vec().into())
    }

    /// The wallet's signature of a text (ERC-191).
    pub fn sign_text(&self, text: &str) -> Result<Bytes> {
        let signature = self.wallet.sign_message_sync(text.as_bytes()).context("the wallet cannot sign")?;
        Ok(signature.as_bytes().to_vec().into())
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

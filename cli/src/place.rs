//! The data folder: where everything that a local market keeps lies, and what it remembers of itself.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use alloy::primitives::B256;
use anyhow::{Context, Result, bail};
use protocol::chain::{AccountId, ChainId};
use serde::{Deserialize, Serialize};

/// A data folder.
#[derive(Clone, Debug)]
pub struct Place {
    root: PathBuf,
}

/// What a folder remembers, so that the next run goes on from there and client verbs find their way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Market {
    /// Where the hub answers.
    pub hub: String,
    /// What the relayers show to the hub.
    pub relayer_key: String,
    /// The sample community, once there is one.
    pub community: Option<String>,
    /// The chains, the one that every market has first.
    pub sides: Vec<Side>,
}

/// One chain of a market, and what is on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// The local chain.
    pub chain: ChainId,
    /// The hash of its first block, where every start makes another chain.
    pub genesis: Option<String>,
    /// The escrow.
    pub escrow: AccountId,
    /// The pools.
    pub arbiter: AccountId,
    /// A height below which there is nothing of ours.
    pub start_block: u64,
    /// Where chain and services answer.
    pub urls: Urls,
    /// The sample community's pool, once there is one.
    pub panel: Option<B256>,
    /// The sample listing, once there is one.
    pub listing: Option<String>,
}

/// Where a chain and the services for it answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Urls {
    /// The chain's JSON-RPC.
    pub rpc: String,
    /// The indexer.
    pub indexer: String,
    /// The relayer.
    pub relayer: String,
}

impl Market {
    /// What is on a chain; none where the market is not on it.
    pub fn side(&self, chain: ChainId) -> Option<&Side> {
        self.sides.iter().find(|side| side.chain == chain)
    }

    /// The same, to be changed.
    pub fn side_mut(&mut self, chain: ChainId) -> Option<&mut Side> {
        self.sides.iter_mut().find(|side| side.chain == chain)
    }
}

impl Place {
    /// The folder at `root`; it need not exist yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Creates the folder and what must be in it, readable by its owner alone.
    pub fn create(&self) -> Result<()> {
        for folder in [self.root.clone(), self.logs(), self.profiles(), self.root.join("chain")] {
            fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        Ok(())
    }

    /// Removes what a run made, and nothing else that lies in the folder.
    pub fn clear(&self) -> Result<()> {
        for entry in [
            "chain",
            "profiles",
            "logs",
            "hub",
            "earnest.toml",
            "solana.toml",
            "market.json",
            "last-run.json",
        ] {
            remove(&self.root.join(entry))?;
        }
        for service in ["hub", "indexer", "relayer", "indexer-solana", "relayer-solana"] {
            self.forget(service)?;
        }
        Ok(())
    }

    /// Removes the database of a service.
    pub fn forget(&self, service: &str) -> Result<()> {
        for suffix in ["sqlite", "sqlite-wal", "sqlite-shm"] {
            remove(&self.root.join(format!("{service}.{suffix}")))?;
        }
        Ok(())
    }

    /// Takes the folder for one `up`; given back when the file is dropped.
    pub fn lock(&self) -> Result<fs::File> {
        let path = self.root.join("up.lock");
        let file = fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(_) => bail!(
                "--data {}: another `earnest up` works in this folder: stop it, or name another folder",
                self.root.display()
            ),
        }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The configuration of the hub, and of the indexer and relayer of the first chain.
    pub fn config(&self) -> PathBuf {
        self.root.join("earnest.toml")
    }

    /// The configuration of the indexer and relayer of the local Solana chain.
    pub fn solana_config(&self) -> PathBuf {
        self.root.join("solana.toml")
    }

    /// The log files.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// One folder a person.
    pub fn profiles(&self) -> PathBuf {
        self.root.join("profiles")
    }

    /// The chain's state.
    pub fn chain_state(&self) -> PathBuf {
        self.root.join("chain").join("state.json")
    }

    /// What the last run proved: the same JSON as the last line of `up --once`.
    pub fn report(&self) -> PathBuf {
        self.root.join("last-run.json")
    }

    /// The database of a service.
    pub fn database(&self, service: &str) -> String {
        format!("sqlite:{}", self.root.join(format!("{service}.sqlite")).display())
    }

    /// What the folder remembers; none before the first run.
    pub fn market(&self) -> Result<Option<Market>> {
        let path = self.root.join("market.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let market = serde_json::from_str(&text).with_context(|| {
            format!(
                "{} is not what this version of `earnest up` writes: start over with --fresh",
                path.display()
            )
        })?;
        Ok(Some(market))
    }

    /// Remembers.
    pub fn remember(&self, market: &Market) -> Result<()> {
        write_secret(&self.root.join("market.json"), &serde_json::to_string_pretty(market)?)
    }
}

/// Writes a file that only its owner may read, all of it or nothing.
pub fn write_secret(path: &Path, text: &str) -> Result<()> {
    let fresh = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Removes a file or a folder that may be there.
pub fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

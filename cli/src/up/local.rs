//! The local market itself: its chain, contracts, configuration and services.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use alloy::{
    primitives::{Address, B256, U256, b256},
    signers::local::PrivateKeySigner,
};
use anyhow::{Context, Result, anyhow, bail};
use protocol::evm::{escrow::Escrow, pools::ArbitrationPools};
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use super::{
    UpArgs, ports,
    progress::Progress,
    supervise::{Service, Supervised},
};
use crate::{
    client::{
        chain::{Chain, Wallet},
        contracts::Deployment,
        deployment,
        http::Http,
        profile::Profile,
    },
    place::{Market, Place, Urls, write_secret},
};

/// The first account of every anvil: rich on a local chain, worthless anywhere else, its key known to everyone.
const FAUCET: B256 = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
/// What a new person gets from the faucet: 100 coins in wei.
const ALLOWANCE: u128 = 100_000_000_000_000_000_000;
/// Between two blocks of the local chain.
pub(super) const BLOCK_SECONDS: u32 = 1;
/// The longest that a process may take to be ready.
const READY_WAIT: Duration = Duration::from_secs(60);

/// What runs.
#[derive(Debug)]
pub struct Local {
    pub(super) place: Place,
    pub(super) progress: Progress,
    program: PathBuf,
    given_up: mpsc::Sender<String>,
    chain: Option<Supervised>,
    services: Vec<Supervised>,
}

impl Local {
    pub(super) fn new(place: Place, progress: Progress, given_up: mpsc::Sender<String>) -> Result<Self> {
        let program = std::env::current_exe().context("where this binary lies")?;
        Ok(Self { place, progress, program, given_up, chain: None, services: Vec::new() })
    }

    /// Starts what is not running: the chain, the contracts where there are none, the three services.
    pub(super) async fn start(&mut self, arguments: &UpArgs) -> Result<Market> {
        let known = self.place.market()?;
        let last = known.as_ref().map(|market| &market.urls);
        let choose = |name, asked, last: Option<&String>, usual| {
            ports::choose(name, asked, last.and_then(|url| ports::of(url)), usual).map(ports::url)
        };
        let urls = Urls {
            rpc: choose("chain", arguments.chain_port, last.map(|urls| &urls.rpc), ports::CHAIN)?,
            hub: choose("hub", arguments.hub_port, last.map(|urls| &urls.hub), ports::HUB)?,
            indexer: choose(
                "indexer",
                arguments.indexer_port,
                last.map(|urls| &urls.indexer),
                ports::INDEXER,
            )?,
            relayer: choose(
                "relayer",
                arguments.relayer_port,
                last.map(|urls| &urls.relayer),
                ports::RELAYER,
            )?,
        };
        let chain = self.start_chain(&urls).await?;
        let market = match known {
            Some(market) => {
                if !chain.has_code(market.contracts.escrow).await? {
                    bail!(
                        "the chain in {} lost the contracts of earlier runs: start over with --fresh",
                        self.place.root().display()
                    );
                }
                let deployed = &market.contracts;
                for (address, code) in
                    [(deployed.escrow, &Escrow::BYTECODE), (deployed.pools, &ArbitrationPools::BYTECODE)]
                {
                    if !chain.runs(address, code.clone()).await? {
                        bail!(
                            "{address} in {} is a contract of another version of earnest: start over with --fresh, or \
                             leave that market and give another --data",
                            self.place.root().display()
                        );
                    }
                }
                self.progress
                    .say(&format!("  the contracts of earlier runs are there: {}", market.contracts.escrow));
                Market { urls, ..market }
            }
            None => self.found(&chain, urls).await?,
        };
        self.place.remember(&market)?;
        let relayer = self.relayer(&chain).await?;
        write_secret(&self.place.config(), &self.configuration(&market, &relayer)?)?;
        for (name, url) in
            [("indexer", &market.urls.indexer), ("hub", &market.urls.hub), ("relayer", &market.urls.relayer)]
        {
            let service = Service {
                program: self.program.clone(),
                name,
                arguments: vec![OsString::from("--config"), self.place.config().into_os_string()],
                log: self.place.logs().join(format!("{name}.log")),
                abort_at: arguments.abort_at(name),
            };
            self.services.push(Supervised::start(service, self.progress.clone(), self.given_up.clone()));
            let http = Http::new(url, Duration::ZERO)?;
            self.progress.step(&format!("start the {name}"), ready(&http)).await?;
        }
        Ok(market)
    }

    /// Stops everything that was started, the chain last.
    pub(super) async fn stop(mut self) {
        while let Some(service) = self.services.pop() {
            service.stop().await;
        }
        if let Some(chain) = self.chain.take() {
            chain.stop().await;
        }
    }

    async fn start_chain(&mut self, urls: &Urls) -> Result<Chain> {
        crate::services::anvil()?;
        let port = ports::of(&urls.rpc).context("the chain's port")?;
        let service = Service {
            program: self.program.clone(),
            name: "chain",
            arguments: vec![
                OsString::from("--port"),
                OsString::from(port.to_string()),
                OsString::from("--block-time"),
                OsString::from(BLOCK_SECONDS.to_string()),
                OsString::from("--state"),
                self.place.chain_state().into_os_string(),
            ],
            log: self.place.logs().join("chain.log"),
            abort_at: None,
        };
        self.chain = Some(Supervised::start(service, self.progress.clone(), self.given_up.clone()));
        self.progress.step("start the chain", connected(&urls.rpc)).await
    }

    /// The first run in this folder: contracts on the chain, and a key that hub and relayer share.
    async fn found(&self, chain: &Chain, urls: Urls) -> Result<Market> {
        let faucet = faucet(chain)?;
        let work = deployment::deploy(&faucet, |_| ());
        let (placed, _) = self.progress.step("deploy the contracts", work).await?;
        let contracts = Deployment::of(&placed)?;
        self.progress.say(&format!("  escrow {}, pools {}", contracts.escrow, contracts.pools));
        Ok(Market {
            chain: chain.id,
            contracts,
            urls,
            relayer_key: hex::encode(rand::random::<[u8; 24]>()),
            panel: None,
            community: None,
            listing: None,
        })
    }

    /// The wallet from which the relayer pays for gas.
    async fn relayer(&self, chain: &Chain) -> Result<Profile> {
        let folder = Profile::folder(&self.place.profiles(), "relayer");
        match Profile::open(&folder) {
            Ok(profile) => Ok(profile),
            Err(_) => {
                let profile = Profile::create(&folder, "relayer", None)?;
                provide(&faucet(chain)?, &[profile.address()]).await?;
                Ok(profile)
            }
        }
    }

    fn configuration(&self, market: &Market, relayer: &Profile) -> Result<String> {
        let Market { chain, contracts, urls, relayer_key, .. } = market;
        let listen = |url: &str| url.trim_start_matches("http://").to_owned();
        let account = |address: Address| format!("{chain}:{}", address.to_checksum(None));
        let sections = json!({
            "indexer": {
                "listen": listen(&urls.indexer),
                "database": self.place.database("indexer"),
                "rpc_urls": [&urls.rpc],
                "contracts": [account(contracts.escrow), account(contracts.pools)],
                "start_block": contracts.start_block,
                "poll_ms": 250,
            },
            "hub": {
                "listen": listen(&urls.hub),
                "database": self.place.database("hub"),
                "data": self.place.root().join("hub"),
                "public_url": &urls.hub,
                "indexers": { chain.to_string(): &urls.indexer },
                "relayer_key": relayer_key,
                "escrows": [account(contracts.escrow)],
                "arbiters": [account(contracts.pools)],
            },
            "relayer": {
                "listen": listen(&urls.relayer),
                "database": self.place.database("relayer"),
                "indexer_url": &urls.indexer,
                "hub_url": &urls.hub,
                "hub_key": relayer_key,
                "rpc_url": &urls.rpc,
                "chain": chain.to_string(),
                "private_key": relayer.wallet.to_bytes().to_string(),
                "poll_interval_ms": 250,
                "lease_ms": 2_000,
            },
        });
        let text = toml::to_string_pretty(&sections).context("the configuration")?;
        Ok(format!("# Written by every `earnest up`; set keys by environment, see `earnest config`.\n{text}"))
    }
}

/// The wallet that gives coins on the local chain.
pub(super) fn faucet(chain: &Chain) -> Result<Wallet> {
    chain.signed_by(&PrivateKeySigner::from_bytes(&FAUCET).context("the faucet's key")?)
}

/// Gives coins, to pay for gas and to buy with, to those of the addresses that have little.
pub(super) async fn provide(faucet: &Wallet, addresses: &[Address]) -> Result<()> {
    let little = U256::from(ALLOWANCE / 4);
    let mut poor = Vec::new();
    for address in addresses {
        if faucet.chain.balance(*address).await? < little {
            poor.push((*address, U256::from(ALLOWANCE)));
        }
    }
    faucet.pay(&poor).await
}

async fn connected(url: &str) -> Result<Chain> {
    let started = Instant::now();
    loop {
        match Chain::connect(url).await {
            Ok(chain) => return Ok(chain),
            Err(error) if started.elapsed() > READY_WAIT => return Err(error),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn ready(http: &Http) -> Result<()> {
    let started = Instant::now();
    while !http.is_ready().await {
        if started.elapsed() > READY_WAIT {
            return Err(anyhow!(
                "{} was not ready within {} s: see its log",
                http.base(),
                READY_WAIT.as_secs()
            ));
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

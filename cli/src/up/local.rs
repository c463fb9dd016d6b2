//! The local market itself: its chains, contracts and services.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use alloy::{
    primitives::{B256, U256, b256},
    signers::local::PrivateKeySigner,
};
use anyhow::{Context, Result, anyhow, bail};
use ed25519_dalek::SigningKey;
use protocol::{
    chain::{AccountId, Address, ChainId},
    evm::{escrow::Escrow, pools::ArbitrationPools},
    solana::from_key,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use super::{
    UpArgs, ports,
    progress::Progress,
    settings,
    supervise::{Service, Supervised},
};
use crate::{
    amount,
    client::{
        chain::{Chain, Purse},
        evm::{self, contracts::Deployment, deployment},
        http::Http,
        profile::{First, Profile},
        solana,
        wallet::Wallet,
    },
    place::{Market, Place, Side, Urls, write_secret},
};

/// The first account of every anvil: rich on a local chain, worthless anywhere else, its key known to everyone.
const FAUCET: B256 = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
/// The seed of the key that is rich on the local Solana chain; known to everyone, too.
const SOLANA_FAUCET: [u8; 32] = *b"everyone knows this seed: faucet";
/// What a new person gets from the faucet, in coins.
const ALLOWANCE: u128 = 100;
/// Milliseconds between slots of the local Solana chain: what happens is final after 3 s, and not after 12 as on a public one.
const SLOT_MS: u64 = 100;
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
    chains: Vec<Supervised>,
    services: Vec<Supervised>,
}

impl Local {
    pub(super) fn new(place: Place, progress: Progress, given_up: mpsc::Sender<String>) -> Result<Self> {
        let program = std::env::current_exe().context("where this binary lies")?;
        Ok(Self { place, progress, program, given_up, chains: Vec::new(), services: Vec::new() })
    }

    /// Starts what is not running: the chains, the contracts where there are none, the services.
    pub(super) async fn start(&mut self, arguments: &UpArgs) -> Result<Market> {
        let known = self.place.market()?;
        let last = known.as_ref().map(|market| market.hub.as_str());
        let hub = port("hub", arguments.hub_port, last, ports::HUB)?;
        let first = known.as_ref().and_then(|market| market.sides.first());
        let last = first.map(|side| &side.urls);
        let urls = Urls {
            rpc: port("chain", arguments.chain_port, last.map(|urls| urls.rpc.as_str()), ports::CHAIN)?,
            indexer: port(
                "indexer",
                arguments.indexer_port,
                last.map(|urls| urls.indexer.as_str()),
                ports::INDEXER,
            )?,
            relayer: port(
                "relayer",
                arguments.relayer_port,
                last.map(|urls| urls.relayer.as_str()),
                ports::RELAYER,
            )?,
        };
        let chain = self.start_chain(&urls).await?;
        let side = match first {
            Some(side) => self.go_on(chain.evm()?, side, urls).await?,
            None => self.found(chain.evm()?, urls).await?,
        };
        let mut market = match known {
            Some(market) => Market { hub, ..market },
            None => Market {
                hub,
                relayer_key: hex::encode(rand::random::<[u8; 24]>()),
                community: None,
                sides: Vec::new(),
            },
        };
        let mut sides = vec![side];
        let solana = market.sides.drain(..).nth(1);
        let mut chains = vec![chain];
        match (arguments.solana, solana) {
            (true, last) => {
                let (chain, side) = self.start_solana(arguments, last).await?;
                chains.push(chain);
                sides.push(side);
            }
            (false, last) => sides.extend(last),
        }
        market.sides = sides;
        self.place.remember(&market)?;
        let mut relayers = Vec::new();
        for chain in &chains {
            relayers.push(self.relayer(chain).await?);
        }
        self.serve(arguments, &market, &relayers).await?;
        Ok(market)
    }

    /// Writes the configuration and starts the services; one relayer's keys for each chain that runs.
    async fn serve(&mut self, arguments: &UpArgs, market: &Market, relayers: &[Profile]) -> Result<()> {
        let running = market.sides.get(..relayers.len()).unwrap_or_default();
        for (index, (side, relayer)) in running.iter().zip(relayers).enumerate() {
            let first = index == 0;
            let hub = if first { Some(settings::hub(&self.place, market, running)) } else { None };
            let text = settings::of(&self.place, market, side, relayer, hub)?;
            write_secret(&self.config(first), &text)?;
        }
        for (index, side) in running.iter().enumerate() {
            let first = index == 0;
            let name = if first { "indexer" } else { "solana-indexer" };
            self.service(arguments, name, "indexer", &side.urls.indexer, first).await?;
        }
        self.service(arguments, "hub", "hub", &market.hub, true).await?;
        for (index, side) in running.iter().enumerate() {
            let first = index == 0;
            let name = if first { "relayer" } else { "solana-relayer" };
            self.service(arguments, name, "relayer", &side.urls.relayer, first).await?;
        }
        Ok(())
    }

    fn config(&self, first: bool) -> PathBuf {
        if first { self.place.config() } else { self.place.solana_config() }
    }

    async fn service(
        &mut self,
        arguments: &UpArgs,
        name: &'static str,
        verb: &'static str,
        url: &str,
        first: bool,
    ) -> Result<()> {
        let service = Service {
            program: self.program.clone(),
            name,
            verb,
            lasting: true,
            arguments: vec![OsString::from("--config"), self.config(first).into_os_string()],
            log: self.place.logs().join(format!("{name}.log")),
            abort_at: arguments.abort_at(name),
        };
        self.services.push(Supervised::start(service, self.progress.clone(), self.given_up.clone()));
        let http = Http::new(url, Duration::ZERO)?;
        self.progress.step(&format!("start the {name}"), ready(&http)).await
    }

    /// Stops everything that was started, the chains last.
    pub(super) async fn stop(mut self) {
        while let Some(service) = self.services.pop() {
            service.stop().await;
        }
        while let Some(chain) = self.chains.pop() {
            chain.stop().await;
        }
    }

    async fn start_chain(&mut self, urls: &Urls) -> Result<Chain> {
        crate::services::anvil()?;
        let port = ports::of(&urls.rpc).context("the chain's port")?;
        let service = Service {
            program: self.program.clone(),
            name: "chain",
            verb: "chain",
            lasting: true,
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
        self.chains.push(Supervised::start(service, self.progress.clone(), self.given_up.clone()));
        self.progress.step("start the chain", connected(&urls.rpc)).await
    }

    /// Starts the local Solana chain. As every start makes another chain, what indexer and relayer know of the last one is
    /// removed; what the hub knows stays.
    async fn start_solana(&mut self, arguments: &UpArgs, last: Option<Side>) -> Result<(Chain, Side)> {
        crate::services::surfnet()?;
        let before = last.as_ref().map(|side| &side.urls);
        let rpc = before.map(|urls| urls.rpc.as_str());
        let indexer = before.map(|urls| urls.indexer.as_str());
        let relayer = before.map(|urls| urls.relayer.as_str());
        let urls = Urls {
            rpc: port("solana", arguments.solana_port, rpc, ports::SOLANA)?,
            indexer: port("solana-indexer", arguments.solana_indexer_port, indexer, ports::SOLANA_INDEXER)?,
            relayer: port("solana-relayer", arguments.solana_relayer_port, relayer, ports::SOLANA_RELAYER)?,
        };
        let faucet = Wallet { evm: None, solana: Some(SigningKey::from_bytes(&SOLANA_FAUCET)) };
        let id = protocol::solana::chain()?;
        let service = Service {
            program: self.program.clone(),
            name: "solana-chain",
            verb: "solana-chain",
            lasting: false,
            arguments: vec![
                OsString::from("--port"),
                OsString::from(ports::of(&urls.rpc).context("the chain's port")?.to_string()),
                OsString::from("--slot-ms"),
                OsString::from(SLOT_MS.to_string()),
                OsString::from("--endow"),
                OsString::from(faucet.address(id)?.to_string()),
            ],
            log: self.place.logs().join("solana-chain.log"),
            abort_at: None,
        };
        self.chains.push(Supervised::start(service, self.progress.clone(), self.given_up.clone()));
        let chain = self.progress.step("start the Solana chain", with_program(&urls.rpc)).await?;
        let genesis = Some(chain.genesis.clone());
        if last.as_ref().is_none_or(|side| side.genesis != genesis) {
            for service in ["indexer-solana", "relayer-solana"] {
                self.place.forget(service)?;
            }
            if last.is_some() {
                self.progress.say(
                    "  it is another chain than that of the last run: its indexer and its relayer start afresh, and the \
                     deals that the last one had are gone",
                );
            }
        }
        let account = |key| AccountId { chain: chain.id, address: from_key(&key) };
        let side = Side {
            chain: chain.id,
            genesis,
            escrow: account(protocol::solana::program()),
            arbiter: account(protocol::solana::arbiter()),
            start_block: 0,
            urls,
            // The pool's id is the hash of its rules, and so the same on every chain that is started.
            panel: last.as_ref().and_then(|side| side.panel),
            listing: last.and_then(|side| side.listing),
        };
        self.progress.say(&format!("  program {}", side.escrow));
        Ok((Chain::Solana(chain), side))
    }

    /// A later run in this folder: the contracts are there, and are ours.
    async fn go_on(&self, chain: &evm::Chain, side: &Side, urls: Urls) -> Result<Side> {
        let known =
            |account: AccountId| Ok::<_, anyhow::Error>(protocol::evm::address_of("contract", account)?);
        let (escrow, pools) = (known(side.escrow)?, known(side.arbiter)?);
        if !chain.has_code(escrow).await? {
            bail!(
                "the chain in {} lost the contracts of earlier runs: start over with --fresh",
                self.place.root().display()
            );
        }
        for (address, code) in [(escrow, &Escrow::BYTECODE), (pools, &ArbitrationPools::BYTECODE)] {
            if !chain.runs(address, code.clone()).await? {
                bail!(
                    "{address} in {} is a contract of another version of earnest: start over with --fresh, or leave that \
                     market and give another --data",
                    self.place.root().display()
                );
            }
        }
        self.progress.say(&format!("  the contracts of earlier runs are there: {escrow}"));
        Ok(Side { urls, ..side.clone() })
    }

    /// The first run in this folder: contracts on the chain.
    async fn found(&self, chain: &evm::Chain, urls: Urls) -> Result<Side> {
        let Purse::Evm(faucet) = faucet(&Chain::Evm(chain.clone()))? else { bail!("the faucet's wallet") };
        let work = deployment::deploy(&faucet, |_| ());
        let (placed, _) = self.progress.step("deploy the contracts", work).await?;
        let contracts = Deployment::of(&placed)?;
        self.progress.say(&format!("  escrow {}, pools {}", contracts.escrow, contracts.pools));
        Ok(Side {
            chain: chain.id,
            genesis: None,
            escrow: chain.account(contracts.escrow),
            arbiter: chain.account(contracts.pools),
            start_block: contracts.start_block,
            urls,
            panel: None,
            listing: None,
        })
    }

    /// The wallet from which a chain's relayer pays its transactions.
    async fn relayer(&self, chain: &Chain) -> Result<Profile> {
        let (name, first) = match chain.id() {
            ChainId::Eip155(_) => ("relayer", First::Evm(None)),
            ChainId::Solana(_) => ("solana-relayer", First::Solana(None)),
        };
        let folder = Profile::folder(&self.place.profiles(), name);
        let profile = match Profile::open(&folder) {
            Ok(profile) => profile,
            Err(_) => Profile::create(&folder, name, first)?,
        };
        provide(&faucet(chain)?, &[profile.wallet.address(chain.id())?]).await?;
        Ok(profile)
    }
}

/// A URL on this machine with the port that was asked for, that of the last run, the usual one, or a free one.
fn port(name: &str, asked: Option<u16>, last: Option<&str>, usual: u16) -> Result<String> {
    // The Solana chain's WebSocket is at the port after its own.
    let width = if usual == ports::SOLANA { 2 } else { 1 };
    ports::choose(name, asked, last.and_then(ports::of), usual, width).map(ports::url)
}

/// The wallet that gives coins on a local chain.
pub(super) fn faucet(chain: &Chain) -> Result<Purse> {
    chain.signed_by(&Wallet {
        evm: Some(PrivateKeySigner::from_bytes(&FAUCET).context("the faucet's key")?),
        solana: Some(SigningKey::from_bytes(&SOLANA_FAUCET)),
    })
}

/// Gives coins, to pay fees and to buy with, to those of the addresses that have little.
pub(super) async fn provide(faucet: &Purse, addresses: &[Address]) -> Result<()> {
    let chain = faucet.chain();
    let allowance = ALLOWANCE.saturating_mul(amount::one_coin(chain.id()));
    let mut poor = Vec::new();
    for address in addresses {
        if chain.balance(*address).await? < U256::from(allowance / 4) {
            poor.push((*address, allowance));
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

/// The local Solana chain, once the program is on it.
async fn with_program(url: &str) -> Result<solana::Chain> {
    let started = Instant::now();
    loop {
        let there = match solana::Chain::connect(url).await {
            Ok(Some(chain)) => {
                let program = solana::program::look(&chain, &protocol::solana::program()).await;
                program.map(|program| (program.is_ours(), chain))
            }
            Ok(None) => Err(anyhow!("{url}: no node of Solana answers")),
            Err(error) => Err(error),
        };
        match there {
            Ok((true, chain)) => return Ok(chain),
            Ok((false, _)) if started.elapsed() > READY_WAIT => bail!(
                "{url}: the node's program is not the one in this binary: build both from the same sources (scripts/up does)"
            ),
            Err(error) if started.elapsed() > READY_WAIT => return Err(error),
            _ => sleep(Duration::from_millis(100)).await,
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

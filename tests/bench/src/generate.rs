//! Puts the corpus on a chain.

use std::path::PathBuf;

use alloy::{
    primitives::{Address, B256, Bytes, U64, U256},
    rpc::client::{ClientBuilder, RpcClient},
    signers::local::PrivateKeySigner,
};
use anyhow::{Context, Result};
use protocol::{
    chain::ChainId,
    evm::{escrow::Escrow, pools::ArbitrationPools},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    corpus::{Corpus, Place},
    rows::Rows,
};

/// Empty blocks after the corpus, so that all of it is final by any subject's rule.
const TAIL: u64 = 200;

/// Put the corpus on an empty anvil that mines nothing by itself; answers what every subject must find there.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// The node's URL
    #[arg(long)]
    pub rpc: String,
    /// What anvil wrote with --config-out
    #[arg(long)]
    pub config: PathBuf,
    /// Events in all
    #[arg(long)]
    events: u64,
    /// Events a block
    #[arg(long)]
    density: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Deserialize)]
struct Config {
    private_keys: Vec<B256>,
}

/// An anvil of one's own.
#[derive(Debug)]
pub struct Anvil {
    client: RpcClient,
}

impl Anvil {
    /// Deploys the contracts in the first two blocks.
    pub async fn furnish(rpc: &str, config: &PathBuf) -> Result<(Self, Place)> {
        let this = Self { client: ClientBuilder::default().http(rpc.parse()?) };
        let config: Config = serde_json::from_slice(&std::fs::read(config)?)?;
        let wallets: Vec<PrivateKeySigner> =
            config.private_keys.iter().map(PrivateKeySigner::from_bytes).collect::<Result<_, _>>()?;
        let chain: U64 = this.client.request("eth_chainId", ()).await?;
        let height: U64 = this.client.request("eth_blockNumber", ()).await?;
        anyhow::ensure!(height.is_zero(), "the chain is not empty: it has {height} blocks");
        let from = wallets[0].address();
        let escrow = this.deploy(from, &Escrow::BYTECODE).await?;
        let arbiter = this.deploy(from, &ArbitrationPools::BYTECODE).await?;
        let block: Value = this.client.request("eth_getBlockByNumber", ("latest", false)).await?;
        let begins: U64 = serde_json::from_value(block["timestamp"].clone())?;
        let place =
            Place { chain: ChainId::Eip155(chain.to()), escrow, arbiter, wallets, begins: begins.to() };
        Ok((this, place))
    }

    async fn deploy(&self, from: Address, code: &Bytes) -> Result<Address> {
        let request = json!({"from": from, "input": code, "gas": U64::from(10_000_000)});
        let hash: B256 = self.client.request("eth_sendTransaction", (request,)).await?;
        self.mine().await?;
        let receipt: Value = self.client.request("eth_getTransactionReceipt", (hash,)).await?;
        serde_json::from_value(receipt["contractAddress"].clone()).context("a deployed contract")
    }

    /// Puts a transaction into the pool; what the block of it looks like is for whoever reads it.
    pub async fn send(&self, from: Address, to: Address, data: &Bytes, value: U256) -> Result<()> {
        let request = transaction(from, to, data, value);
        let _: B256 = self.client.request("eth_sendTransaction", (request,)).await?;
        Ok(())
    }

    /// Mines one block.
    pub async fn mine(&self) -> Result<()> {
        let _: Value = self.client.request("evm_mine", ()).await?;
        Ok(())
    }

    /// How many logs the escrow has emitted in a range of blocks.
    async fn logs(&self, escrow: Address, from: u64, to: u64) -> Result<u64> {
        let filter = json!({"address": escrow, "fromBlock": U64::from(from), "toBlock": U64::from(to)});
        let logs: Vec<Value> = self.client.request("eth_getLogs", (filter,)).await?;
        Ok(u64::try_from(logs.len())?)
    }
}

fn transaction(from: Address, to: Address, data: &Bytes, value: U256) -> Value {
    json!({"from": from, "to": to, "input": data, "value": value, "gas": U64::from(5_000_000)})
}

/// Puts the corpus on the chain.
pub async fn run(arguments: &Arguments) -> Result<Value> {
    let (anvil, place) = Anvil::furnish(&arguments.rpc, &arguments.config).await?;
    let mut corpus = Corpus::new(place.clone(), arguments.seed, arguments.density);
    let mut rows = Rows::default();
    let mut block = 2;
    let mut checked = block;
    while rows.count < arguments.events {
        let planned = corpus.next()?;
        block += 1;
        for (index, (name, fields)) in planned.events.iter().enumerate() {
            rows.add((block, u64::try_from(index)?), name, fields)?;
        }
        let from = place.wallets[planned.wallet].address();
        // One by one: the parts of a JSON-RPC batch may run at one time, and two transactions then ask for one nonce.
        anvil.send(from, place.escrow, &planned.data, planned.value).await?;
        anvil.mine().await?;
        // A transaction that failed leaves its block without events: better known now than at the end.
        if block - checked >= 1_000 || rows.count >= arguments.events {
            let found = anvil.logs(place.escrow, checked + 1, block).await?;
            let wanted = (block - checked) * arguments.density;
            anyhow::ensure!(
                found == wanted,
                "blocks after {checked} up to {block}: {found} of {wanted} events"
            );
            checked = block;
            eprintln!("{} of {} events", rows.count, arguments.events);
        }
    }
    let _: Value = anvil.client.request("anvil_mine", (U64::from(TAIL),)).await?;
    Ok(json!({
        "chain": place.chain,
        "escrow": place.escrow,
        "pools": place.arbiter,
        "first_block": 3,
        "last_block": block,
        "head": block + TAIL,
        "density": arguments.density,
        "seed": arguments.seed,
        "events": rows.count,
        "hash": rows.hash(),
    }))
}

//! The loop that one would write first: ranges one after the other, decoded by the ABI, rows inserted one by one, a
//! transaction for each range. Of what the indexer keeps it has the decoded events alone.

use alloy::{
    dyn_abi::{DynSolValue, EventExt},
    json_abi::ContractObject,
    primitives::{Address, U64},
    rpc::{client::ClientBuilder, types::Log},
};
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// The loop that one would write first: getLogs, INSERT.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    #[arg(long)]
    rpc: String,
    #[arg(long)]
    escrow: Address,
    /// The file of the database, which must not be there yet
    #[arg(long)]
    file: std::path::PathBuf,
    #[arg(long)]
    first: u64,
    #[arg(long)]
    last: u64,
    /// Blocks a request
    #[arg(long, default_value_t = 2_000)]
    range: u64,
}

/// Not the bindings that the indexer decodes with.
const ESCROW: &str = include_str!("../../../protocol/abi/Escrow.json");
const TABLE: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
CREATE TABLE event (chain INTEGER, block_number INTEGER, log_index INTEGER, name TEXT NOT NULL, deal TEXT NOT NULL, args TEXT NOT NULL,
  PRIMARY KEY (chain, block_number, log_index)) STRICT;";

/// Reads the range.
pub async fn run(arguments: &Arguments) -> Result<Value> {
    let node = ClientBuilder::default().http(arguments.rpc.parse()?);
    let chain: U64 = node.request("eth_chainId", ()).await?;
    let mut database = rusqlite::Connection::open(&arguments.file)?;
    database.execute_batch(TABLE)?;
    let abi: ContractObject = serde_json::from_str(ESCROW)?;
    let (abi, mut from, mut events) = (abi.abi.context("an ABI")?, arguments.first, 0_u64);
    while from <= arguments.last {
        let to = arguments.last.min(from + arguments.range - 1);
        let filter =
            json!({"address": arguments.escrow, "fromBlock": U64::from(from), "toBlock": U64::from(to)});
        let logs: Vec<Log> = node.request("eth_getLogs", (filter,)).await?;
        let write = database.transaction()?;
        for log in &logs {
            let event =
                abi.events().find(|event| Some(&event.selector()) == log.topic0()).context("an event")?;
            let decoded = event.decode_log(log.data())?;
            let (mut indexed, mut body) = (decoded.indexed.iter(), decoded.body.iter());
            let mut args = Map::new();
            for input in &event.inputs {
                let value = if input.indexed { indexed.next() } else { body.next() };
                args.insert(input.name.clone(), named(value.context("a value")?));
            }
            let deal = args.get("deal").and_then(Value::as_str).unwrap_or_default();
            write.prepare_cached("INSERT INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute((
                chain.to::<i64>(),
                i64::try_from(log.block_number.context("a block")?)?,
                i64::try_from(log.log_index.context("an index")?)?,
                &event.name,
                deal,
                serde_json::to_string(&args)?,
            ))?;
            events += 1;
        }
        write.commit()?;
        from = to + 1;
    }
    Ok(json!({"events": events}))
}

fn named(value: &DynSolValue) -> Value {
    match value {
        DynSolValue::Uint(number, _) => number.to_string().into(),
        DynSolValue::Address(address) => address.to_string().into(),
        DynSolValue::FixedBytes(word, _) => word.to_string().into(),
        DynSolValue::Bool(flag) => (*flag).into(),
        DynSolValue::String(text) => text.clone().into(),
        DynSolValue::CustomStruct { prop_names, tuple, .. } => {
            prop_names.iter().zip(tuple).map(|(name, field)| (name.clone(), named(field))).collect()
        }
        other => panic!("the escrow's events have no {other:?}"),
    }
}

//! JSON-RPC as an honest node answers it, of the chain as it has heard of it.

use std::sync::Arc;

use alloy::{
    consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable as _},
    eips::Decodable2718 as _,
    primitives::{Address, B256, Bytes, TxKind, U64, U256},
    rpc::types::{Block as RpcBlock, BlockTransactions, Filter, FilterBlockOption, Header, Log},
};
use machine::Call;
use serde_json::{Value, json};

use crate::chain::{Block, CHAIN_ID, Chain, Mined, Offer, Tx, View, envelope};

/// Code, words and data of a refusal.
pub type Refusal = (i64, String, Option<Bytes>);

fn refuse<T>(code: i64, words: &str) -> Result<T, Refusal> {
    Err((code, words.to_owned(), None))
}

/// A node of the chain with what it has heard of.
pub struct Node<'a> {
    pub chain: &'a mut Chain,
    pub view: View,
}

impl Node<'_> {
    /// Answers one call.
    ///
    /// # Errors
    /// The node's refusal.
    pub fn answer(&mut self, method: &str, params: &Value) -> Result<Value, Refusal> {
        let first = &params[0];
        match method {
            "eth_chainId" => Ok(json!(U64::from(CHAIN_ID))),
            "eth_blockNumber" => Ok(json!(U64::from(self.view.head()))),
            "eth_getBlockByNumber" | "eth_getBlockByHash" => {
                Ok(self.find(first).map_or(Value::Null, |block| shown(&block)))
            }
            "eth_getLogs" => self.logs(first),
            "eth_getBlockReceipts" => match self.find(first) {
                Some(block) => Ok(receipts(&block)),
                None => Ok(Value::Null),
            },
            "eth_getTransactionReceipt" => Ok(self.receipt(first)),
            "eth_getTransactionCount" => match self.find(&params[1]) {
                Some(block) => Ok(json!(U64::from(block.state.nonce(address(first))))),
                None => refuse(-32000, "header not found"),
            },
            "eth_getBalance" => match self.find(&params[1]) {
                Some(block) => Ok(json!(block.state.balance(address(first)))),
                None => refuse(-32000, "header not found"),
            },
            "eth_call" | "eth_estimateGas" => {
                let at = if params[1].is_null() { json!("latest") } else { params[1].clone() };
                let Some(block) = self.find(&at) else { return refuse(-32000, "header not found") };
                call(&block, first, method == "eth_call")
            }
            "eth_feeHistory" => Ok(self.fees()),
            "eth_gasPrice" => Ok(json!(U256::from(self.chain.base_fee + 1_000_000_000))),
            "eth_maxPriorityFeePerGas" => Ok(json!(U256::from(1_000_000_000_u64))),
            "eth_sendRawTransaction" => {
                let raw: Bytes = first.as_str().unwrap().parse().unwrap();
                let tx = decode(&raw).ok_or((-32000, "rlp: cannot decode".to_owned(), None))?;
                let hash = self.chain.submit(tx).map_err(|(code, words)| (code, words.to_owned(), None))?;
                Ok(json!(hash))
            }
            _ => refuse(-32601, "the method does not exist/is not available"),
        }
    }

    fn at(&self, number: u64) -> Option<Arc<Block>> {
        let hash = self.view.hashes.get(usize::try_from(number).ok()?)?;
        self.chain.block(*hash).cloned()
    }

    /// The block that a tag, a number, a hash or an object names.
    fn find(&self, which: &Value) -> Option<Arc<Block>> {
        let which = if which.is_object() {
            [&which["blockHash"], &which["blockNumber"]].into_iter().find(|value| !value.is_null())?
        } else {
            which
        };
        let text = which.as_str()?;
        match text {
            "latest" | "pending" => self.at(self.view.head()),
            "safe" => self.at(self.view.safe),
            "finalized" => self.at(self.view.finalized),
            "earliest" => self.at(0),
            text if text.len() == 66 => self.by_hash(text.parse().ok()?),
            text => self.at(text.parse::<U64>().ok()?.to()),
        }
    }

    /// Blocks of other branches are known too, as far as this node has come.
    fn by_hash(&self, hash: B256) -> Option<Arc<Block>> {
        let block = self.chain.block(hash)?;
        let number = block.number();
        let ours = self.view.hashes.get(usize::try_from(number).unwrap());
        // One that the node has not heard of yet is canonical at the producers and not in its view.
        let unheard = self.chain.at(number).is_some_and(|at| at.hash == hash) && ours != Some(&hash);
        (number <= self.view.head() && !unheard).then(|| block.clone())
    }

    fn logs(&self, filter: &Value) -> Result<Value, Refusal> {
        let filter: Filter = serde_json::from_value(filter.clone()).unwrap();
        let blocks: Vec<Arc<Block>> = match filter.block_option {
            FilterBlockOption::AtBlockHash(hash) => match self.by_hash(hash) {
                Some(block) => vec![block],
                None => return refuse(-32000, "unknown block"),
            },
            FilterBlockOption::Range { from_block, to_block } => {
                let number = |block: Option<alloy::eips::BlockNumberOrTag>, other| {
                    block.and_then(|block| block.as_number()).unwrap_or(other)
                };
                // A range that goes beyond the head ends at the head, without a word.
                let (from, to) = (number(from_block, 0), number(to_block, u64::MAX).min(self.view.head()));
                (from..=to).filter_map(|number| self.at(number)).collect()
            }
        };
        let logs: Vec<Log> = blocks
            .iter()
            .flat_map(|block| block.logs().map(|(mined, index, log)| told(block, mined, index, log)))
            .filter(|log| filter.matches(&log.inner))
            .collect();
        Ok(json!(logs))
    }

    fn receipt(&self, hash: &Value) -> Value {
        let hash: B256 = hash.as_str().unwrap().parse().unwrap();
        let blocks = self.view.hashes.iter().rev().filter_map(|block| self.chain.block(*block));
        for block in blocks {
            if let Some(place) = block.mined.iter().position(|mined| mined.tx.hash == hash) {
                return receipts(block)[place].clone();
            }
        }
        Value::Null
    }

    fn fees(&self) -> Value {
        let base = U256::from(self.chain.base_fee);
        let tip = U256::from(1_000_000_000_u64);
        let oldest = self.view.head().saturating_sub(9);
        let count = usize::try_from(self.view.head() - oldest + 1).unwrap();
        json!({
            "oldestBlock": U64::from(oldest),
            "baseFeePerGas": vec![base; count + 1],
            "gasUsedRatio": vec![0.5; count],
            "reward": vec![vec![tip]; count],
        })
    }
}

fn address(value: &Value) -> Address {
    value.as_str().unwrap().parse().unwrap()
}

fn shown(block: &Block) -> Value {
    let mut header = Header::new(block.header.clone());
    header.hash = block.hash;
    let hashes = block.mined.iter().map(|mined| mined.tx.hash).collect();
    let transactions = BlockTransactions::<alloy::rpc::types::Transaction>::Hashes(hashes);
    json!(RpcBlock { header, uncles: Vec::new(), transactions, withdrawals: None })
}

fn told(block: &Block, mined: &Mined, index: u64, log: &alloy::primitives::Log) -> Log {
    let place = block.mined.iter().position(|other| other.tx.hash == mined.tx.hash).unwrap();
    Log {
        inner: log.clone(),
        block_hash: Some(block.hash),
        block_number: Some(block.number()),
        block_timestamp: Some(block.time()),
        transaction_hash: Some(mined.tx.hash),
        transaction_index: Some(place as u64),
        log_index: Some(index),
        removed: false,
    }
}

fn receipts(block: &Block) -> Value {
    let mut cumulative = 0;
    let one = |(place, mined): (usize, &Mined)| {
        cumulative += mined.gas;
        let envelope = envelope(mined, cumulative);
        let logs: Vec<Log> = block
            .logs()
            .filter(|(other, ..)| other.tx.hash == mined.tx.hash)
            .map(|(mined, index, log)| told(block, mined, index, log))
            .collect();
        json!({
            "type": "0x2",
            "status": U64::from(u64::from(mined.success)),
            "cumulativeGasUsed": U64::from(cumulative),
            "logs": logs,
            "logsBloom": envelope.logs_bloom(),
            "transactionHash": mined.tx.hash,
            "transactionIndex": U64::from(place as u64),
            "blockHash": block.hash,
            "blockNumber": U64::from(block.number()),
            "gasUsed": U64::from(mined.gas),
            "effectiveGasPrice": U256::from(mined.price),
            "from": mined.tx.call.from,
            "to": mined.tx.call.to,
            "contractAddress": null,
        })
    };
    Value::Array(block.mined.iter().enumerate().map(one).collect())
}

/// In the block after this one.
fn call(block: &Block, request: &Value, answer: bool) -> Result<Value, Refusal> {
    let data = if request["input"].is_null() { &request["data"] } else { &request["input"] };
    let data: Bytes = data.as_str().unwrap_or("0x").parse().unwrap();
    let from = if request["from"].is_null() { Address::ZERO } else { address(&request["from"]) };
    let mut call = Call::new(from, address(&request["to"]), data, U256::ZERO);
    let run = |call: &Call| block.state.clone().run(call, block.number() + 1, block.time() + 1, false);
    let done = run(&call);
    match (done.success, answer) {
        (true, true) => Ok(json!(done.output)),
        (true, false) => {
            // What comes back in the end must be there at first, and a call may hand on less than all of it.
            call.gas = done.gas;
            while !run(&call).success {
                call.gas = call.gas * 5 / 4;
            }
            Ok(json!(U64::from(call.gas)))
        }
        (false, _) => Err((3, "execution reverted".to_owned(), Some(done.output))),
    }
}

fn decode(raw: &Bytes) -> Option<Tx> {
    let envelope = TxEnvelope::decode_2718(&mut raw.as_ref()).ok()?;
    let from = envelope.recover_signer().ok()?;
    let TxKind::Call(to) = envelope.kind() else { return None };
    let offer = Offer {
        nonce: envelope.nonce(),
        max_fee: envelope.max_fee_per_gas(),
        priority_fee: envelope.max_priority_fee_per_gas().unwrap_or_default(),
    };
    let mut call = Call::new(from, to, envelope.input().clone(), envelope.value());
    call.gas = envelope.gas_limit();
    Some(Tx { hash: *envelope.tx_hash(), call, offer: Some(offer) })
}

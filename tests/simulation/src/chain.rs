//! A chain as its producers see it: blocks with real headers (receipts root, bloom, hash), branches, what waits to be mined.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock},
};

use alloy::{
    consensus::{
        Eip658Value, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, proofs::calculate_receipt_root,
    },
    primitives::{Address, B64, B256, Bloom, Bytes, Log, U256, keccak256, logs_bloom},
};

pub use machine::CHAIN_ID;
use machine::{Call, Machine};

use crate::dice::Dice;

/// Time of the first block, in Unix seconds.
const BEGINNING: u64 = 1_800_000_000;
/// Seconds between blocks.
pub const BLOCK_SECONDS: u64 = 12;
/// Wei for a unit of gas when nothing is going on.
const BASE_FEE: u64 = 1_000_000_000;

/// What a transaction offers for gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    pub nonce: u64,
    pub max_fee: u128,
    pub priority_fee: u128,
}

/// A transaction. Those of users have no offer: they are mined whenever they are chosen and pay nothing.
#[derive(Clone, Debug)]
pub struct Tx {
    pub hash: B256,
    pub call: Call,
    pub offer: Option<Offer>,
}

/// What became of a transaction in a block.
#[derive(Clone, Debug)]
pub struct Mined {
    pub tx: Arc<Tx>,
    pub success: bool,
    pub gas: u64,
    /// Wei for a unit of gas.
    pub price: u128,
    pub logs: Vec<Log>,
    /// Number of its first log in the block.
    pub first_log: u64,
}

/// A block and the state after it.
#[derive(Debug)]
pub struct Block {
    pub header: Header,
    pub hash: B256,
    pub mined: Vec<Mined>,
    pub state: Machine,
    /// Found by the oracle when it first looks: ids and places of what our contracts told.
    pub events: OnceLock<Vec<(B256, (u64, u64))>>,
}

impl Block {
    pub const fn number(&self) -> u64 {
        self.header.number
    }

    pub const fn time(&self) -> u64 {
        self.header.timestamp
    }

    /// Every log with its transaction and its number in the block.
    pub fn logs(&self) -> impl Iterator<Item = (&Mined, u64, &Log)> {
        self.mined.iter().flat_map(|mined| {
            mined.logs.iter().zip(mined.first_log..).map(move |(log, index)| (mined, index, log))
        })
    }
}

/// The receipt as it is in the tree of receipts.
pub fn envelope(mined: &Mined, cumulative_gas_used: u64) -> ReceiptEnvelope {
    let receipt =
        Receipt { status: Eip658Value::Eip658(mined.success), cumulative_gas_used, logs: mined.logs.clone() };
    let with_bloom = ReceiptWithBloom { logs_bloom: logs_bloom(&mined.logs), receipt };
    ReceiptEnvelope::Eip1559(with_bloom)
}

/// Makes the block after `parent`. What cannot be mined in it is left out.
pub fn seal(parent: Option<&Block>, candidates: &[Arc<Tx>], time: u64, base_fee: u64, salt: u64) -> Block {
    let number = parent.map_or(0, |parent| parent.number() + 1);
    let mut state = parent.map(|parent| parent.state.clone()).unwrap_or_default();
    if let Some(parent) = parent {
        state.remember(parent.number(), parent.hash);
    }
    let mut mined: Vec<Mined> = Vec::new();
    let mut first_log = 0;
    for tx in candidates {
        let from = tx.call.from;
        let (nonce, balance) = (state.nonce(from), state.balance(from));
        let mut price = 0;
        if let Some(offer) = tx.offer {
            let most = U256::from(offer.max_fee) * U256::from(tx.call.gas);
            if offer.nonce != nonce || offer.max_fee < u128::from(base_fee) || balance < most {
                continue;
            }
            price = offer.max_fee.min(u128::from(base_fee) + offer.priority_fee);
        }
        let done = state.run(&tx.call, number, time, true);
        if let Some(offer) = tx.offer {
            let paid = U256::from(price) * U256::from(done.gas);
            state.set(from, balance.saturating_sub(paid), offer.nonce + 1);
        }
        let logs = done.logs;
        let count = logs.len() as u64;
        mined.push(Mined { tx: tx.clone(), success: done.success, gas: done.gas, price, logs, first_log });
        first_log += count;
    }
    let mut gas_used = 0;
    let receipts: Vec<_> = mined
        .iter()
        .map(|one| {
            gas_used += one.gas;
            envelope(one, gas_used)
        })
        .collect();
    let hashes: Vec<u8> = mined.iter().flat_map(|one| one.tx.hash.0).collect();
    let header = Header {
        parent_hash: parent.map_or(B256::ZERO, |parent| parent.hash),
        number,
        timestamp: time,
        transactions_root: keccak256(hashes),
        receipts_root: calculate_receipt_root(&receipts),
        logs_bloom: receipts.iter().fold(Bloom::ZERO, |all, one| all | *one.logs_bloom()),
        gas_limit: 1_000_000_000,
        gas_used,
        base_fee_per_gas: Some(base_fee),
        extra_data: Bytes::copy_from_slice(&salt.to_be_bytes()),
        nonce: B64::ZERO,
        ..Header::default()
    };
    Block { hash: header.hash_slow(), header, mined, state, events: OnceLock::new() }
}

/// The canonical chain at one moment, as a node that has just heard of it tells it.
#[derive(Clone, Debug)]
pub struct View {
    /// Hashes by number.
    pub hashes: Arc<Vec<B256>>,
    pub safe: u64,
    pub finalized: u64,
}

impl View {
    pub fn head(&self) -> u64 {
        self.hashes.len() as u64 - 1
    }
}

/// Everything that was ever mined, and what is canonical now.
#[derive(Debug)]
pub struct Chain {
    blocks: HashMap<B256, Arc<Block>>,
    view: View,
    /// Blocks below the head that are final.
    pub lag: u64,
    /// What waits, of senders who pay, by sender and nonce; every variant.
    pub pool: BTreeMap<(Address, u64), Vec<Arc<Tx>>>,
    /// What users want mined, in the order in which they said so.
    pub wishes: Vec<Arc<Tx>>,
    pub base_fee: u64,
    salt: u64,
}

impl Chain {
    /// From the blocks that every world begins with.
    pub fn new(first: &[Arc<Block>], lag: u64) -> Self {
        let hashes = Arc::new(first.iter().map(|block| block.hash).collect());
        let blocks = first.iter().map(|block| (block.hash, block.clone())).collect();
        // What every world begins with is final.
        let finalized = first.len() as u64 - 1;
        let view = View { hashes, safe: finalized, finalized };
        let (pool, wishes) = (BTreeMap::new(), Vec::new());
        Self { blocks, view, lag, pool, wishes, base_fee: BASE_FEE, salt: 0 }
    }

    pub fn view(&self) -> &View {
        &self.view
    }

    pub fn block(&self, hash: B256) -> Option<&Arc<Block>> {
        self.blocks.get(&hash)
    }

    /// The canonical block at a height.
    pub fn at(&self, number: u64) -> Option<&Arc<Block>> {
        self.blocks.get(self.view.hashes.get(usize::try_from(number).unwrap())?)
    }

    pub fn head(&self) -> &Arc<Block> {
        self.at(self.view.head()).unwrap()
    }

    /// Canonical blocks in order.
    pub fn canonical(&self) -> impl Iterator<Item = &Arc<Block>> {
        self.view.hashes.iter().map(|hash| &self.blocks[hash])
    }

    /// Mines one block upon the head. Of every nonce the dearest variant is mined, but for one in ten times.
    pub fn mine(&mut self, dice: &mut Dice) {
        let parent = self.head().clone();
        let mut candidates: Vec<Arc<Tx>> = Vec::new();
        for wish in std::mem::take(&mut self.wishes) {
            if dice.hits(700_000) {
                candidates.push(wish);
            } else {
                self.wishes.push(wish);
            }
        }
        for variants in self.pool.values() {
            let dearest = variants.iter().max_by_key(|tx| tx.offer.map_or(0, |offer| offer.max_fee)).unwrap();
            let chosen = if dice.hits(100_000) { dice.pick(variants) } else { dearest.clone() };
            if dice.hits(900_000) {
                candidates.push(chosen);
            }
        }
        self.salt += 1;
        // A user's transaction is judged where it comes to lie: one that would revert there is not sent.
        let mut trial = parent.state.clone();
        let (number, time) = (parent.number() + 1, parent.time() + BLOCK_SECONDS);
        candidates.retain(|tx| tx.offer.is_some() || trial.run(&tx.call, number, time, true).success);
        let block = seal(Some(&parent), &candidates, time, self.base_fee, self.salt);
        self.adopt(Arc::new(block));
    }

    fn adopt(&mut self, block: Arc<Block>) {
        Arc::make_mut(&mut self.view.hashes).push(block.hash);
        self.pool.retain(|(from, nonce), _| *nonce >= block.state.nonce(*from));
        self.blocks.insert(block.hash, block);
        let head = self.view.head();
        self.view.finalized = self.view.finalized.max(head.saturating_sub(self.lag));
        self.view.safe = self.view.safe.max(head.saturating_sub(self.lag / 2));
    }

    /// Takes the newest `depth` blocks off the chain. Of their transactions most wait again, in another order.
    pub fn retreat(&mut self, depth: u64, dice: &mut Dice) {
        for _ in 0..depth {
            let hash = Arc::make_mut(&mut self.view.hashes).pop().unwrap();
            let block = self.blocks[&hash].clone();
            for mined in &block.mined {
                match mined.tx.offer {
                    Some(offer) if dice.hits(900_000) => {
                        let variants = self.pool.entry((mined.tx.call.from, offer.nonce)).or_default();
                        if !variants.iter().any(|tx| tx.hash == mined.tx.hash) {
                            variants.push(mined.tx.clone());
                        }
                    }
                    None if dice.hits(800_000) => {
                        let at = dice.below(self.wishes.len() as u64 + 1);
                        self.wishes.insert(usize::try_from(at).unwrap(), mined.tx.clone());
                    }
                    _ => {}
                }
            }
        }
        // What was final stays called so until the branch is as long: an alarm is due where it was deeper.
        let head = self.view.head();
        self.view.finalized = self.view.finalized.min(head);
        self.view.safe = self.view.safe.min(head);
    }

    /// How deep the chain may be replaced without touching what is final.
    pub fn depth_max(&self) -> u64 {
        self.view.head() - self.view.finalized
    }

    /// Takes a transaction in, as nodes do.
    ///
    /// # Errors
    /// The node's code and words.
    pub fn submit(&mut self, tx: Tx) -> Result<B256, (i64, &'static str)> {
        let (hash, from) = (tx.hash, tx.call.from);
        let offer = tx.offer.unwrap();
        let state = &self.head().state;
        if offer.nonce < state.nonce(from) {
            return Err((-32000, "nonce too low"));
        }
        if state.balance(from) < U256::from(offer.max_fee) * U256::from(tx.call.gas) {
            return Err((-32003, "insufficient funds for gas * price + value"));
        }
        let variants = self.pool.entry((from, offer.nonce)).or_default();
        if variants.iter().any(|other| other.hash == hash) {
            return Err((-32000, "already known"));
        }
        let enough = |old: u128, new: u128| new * 10 >= old * 11;
        let beats = |other: &Arc<Tx>| {
            let old = other.offer.unwrap();
            enough(old.max_fee, offer.max_fee) && enough(old.priority_fee, offer.priority_fee)
        };
        if !variants.iter().all(beats) {
            return Err((-32000, "replacement transaction underpriced"));
        }
        variants.push(Arc::new(tx));
        Ok(hash)
    }

    /// Forgets what waits of one sender at one nonce, as a full pool does.
    pub fn evict(&mut self, dice: &mut Dice) -> bool {
        let keys: Vec<_> = self.pool.keys().copied().collect();
        if keys.is_empty() {
            return false;
        }
        self.pool.remove(&dice.pick(&keys));
        true
    }
}

/// The first block.
pub fn genesis(state: Machine) -> Block {
    let mut block = seal(None, &[], BEGINNING, BASE_FEE, 0);
    block.state = state;
    block
}

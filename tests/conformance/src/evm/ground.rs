//! What the bytecode runs on.

use alloy::primitives::{Address, B256, Bytes, Log, U256};

/// What one transaction says.
#[derive(Clone, Debug)]
pub struct Call {
    pub from: Address,
    pub to: Address,
    pub data: Bytes,
    pub value: U256,
}

/// A chain whose clock and height the histories set. Gas costs nobody anything.
pub trait Ground {
    /// One transaction in a block of its own at `time`, which is later than [`Self::now`]: its logs, or its revert data.
    fn send(&mut self, call: Call, time: u64) -> Result<Vec<Log>, Bytes>;
    /// What a call answers, in the state after the last block.
    fn read(&mut self, to: Address, data: Vec<u8>) -> Bytes;
    fn balance(&mut self, account: Address) -> U256;
    fn endow(&mut self, account: Address, wei: U256);
    fn set_code(&mut self, account: Address, code: Bytes);
    fn deploy(&mut self, code: Bytes) -> Address;
    /// That many blocks without transactions.
    fn mine(&mut self, blocks: u64);
    /// Time of the last block, in Unix seconds.
    fn now(&self) -> u64;
    /// Number of the last block.
    fn height(&self) -> u64;
    /// The hash of a block, as long as a contract in the next block can ask for it.
    fn hash(&mut self, height: u64) -> Option<B256>;
}

/// How many past blocks' hashes a contract can ask for before EIP-2935.
pub const KNOWN_HASHES: u64 = 256;
/// What every transaction may spend.
pub const GAS: u64 = machine::GAS;

//! An EVM in this process, one transaction in a block.

use alloy::primitives::{Address, B256, Bytes, Log, U256};
use machine::Call as Message;

use super::ground::{Call, Ground, KNOWN_HASHES};

/// A chain as it was at some moment; a clone goes its own way.
#[derive(Clone, Debug)]
pub struct Machine {
    state: machine::Machine,
    now: u64,
    height: u64,
}

impl Default for Machine {
    fn default() -> Self {
        Self { state: machine::Machine::default(), now: 1_800_000_000, height: 1_000 }
    }
}

impl Ground for Machine {
    fn send(&mut self, call: Call, time: u64) -> Result<Vec<Log>, Bytes> {
        assert!(time > self.now, "blocks have times that grow");
        (self.now, self.height) = (time, self.height + 1);
        let message = Message::new(call.from, call.to, call.data, call.value);
        let done = self.state.run(&message, self.height, self.now, true);
        assert_eq!(done.halted, None, "the machine stopped");
        if done.success { Ok(done.logs) } else { Err(done.output) }
    }

    fn read(&mut self, to: Address, data: Vec<u8>) -> Bytes {
        let message = Message::new(Address::ZERO, to, data.into(), U256::ZERO);
        let done = self.state.run(&message, self.height, self.now, false);
        assert!(done.success, "a reading call to {to} gives {done:?}");
        done.output
    }

    fn balance(&mut self, account: Address) -> U256 {
        self.state.balance(account)
    }

    fn endow(&mut self, account: Address, wei: U256) {
        self.state.set(account, wei, self.state.nonce(account));
    }

    fn set_code(&mut self, account: Address, code: Bytes) {
        self.state.set_code(account, code);
    }

    fn deploy(&mut self, code: Bytes) -> Address {
        let deployer = Address::repeat_byte(0xde);
        (self.now, self.height) = (self.now + 1, self.height + 1);
        let done = self.state.run(&Message::creation(deployer, code), self.height, self.now, true);
        done.created.unwrap_or_else(|| panic!("a deployment gives {done:?}"))
    }

    fn mine(&mut self, blocks: u64) {
        self.height += blocks;
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn height(&self) -> u64 {
        self.height
    }

    fn hash(&mut self, height: u64) -> Option<B256> {
        let next = self.height + 1;
        let known = height < next && next - height <= KNOWN_HASHES;
        known.then(|| self.state.hash(height))
    }
}

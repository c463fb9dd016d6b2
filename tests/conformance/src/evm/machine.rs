//! An EVM in this process.

use alloy::primitives::{Address, B256, Bytes, Log, TxKind, U256};
use revm::{
    Context, Database, DatabaseRef, ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainContext,
    bytecode::Bytecode,
    context::{
        TxEnv,
        result::{ExecutionResult, Output},
    },
    database::{CacheDB, EmptyDB},
    primitives::hardfork::SpecId,
    state::AccountInfo,
};

use super::ground::{Call, GAS, Ground, KNOWN_HASHES};

/// The chain that the fixture's anvil claims to be.
const CHAIN_ID: u64 = 31_337;

/// A chain as it was at some moment; a clone goes its own way.
#[derive(Clone, Debug)]
pub struct Machine {
    state: CacheDB<EmptyDB>,
    now: u64,
    height: u64,
}

impl Default for Machine {
    fn default() -> Self {
        Self { state: CacheDB::new(EmptyDB::new()), now: 1_800_000_000, height: 1_000 }
    }
}

impl Machine {
    fn run(&mut self, from: Address, to: TxKind, data: Bytes, value: U256, commit: bool) -> ExecutionResult {
        let (now, height) = (self.now, self.height);
        let mut evm = Context::mainnet()
            .with_db(&mut self.state)
            .modify_cfg_chained(|cfg| {
                cfg.set_spec_and_mainnet_gas_params(SpecId::CANCUN);
                cfg.chain_id = CHAIN_ID;
                cfg.disable_nonce_check = true;
                cfg.disable_eip3607 = true;
            })
            .modify_block_chained(|block| {
                block.number = U256::from(height);
                block.timestamp = U256::from(now);
                block.basefee = 0;
            })
            .build_mainnet();
        let transaction = TxEnv::builder()
            .caller(from)
            .kind(to)
            .data(data)
            .value(value)
            .gas_limit(GAS)
            .gas_price(0)
            .chain_id(Some(CHAIN_ID))
            .build()
            .unwrap();
        if commit {
            evm.transact_commit(transaction).unwrap()
        } else {
            evm.transact(transaction).unwrap().result
        }
    }

    fn account(&mut self, account: Address) -> AccountInfo {
        self.state.basic(account).unwrap().unwrap_or_default()
    }
}

impl Ground for Machine {
    fn send(&mut self, call: Call, time: u64) -> Result<Vec<Log>, Bytes> {
        assert!(time > self.now, "blocks have times that grow");
        (self.now, self.height) = (time, self.height + 1);
        match self.run(call.from, TxKind::Call(call.to), call.data, call.value, true) {
            ExecutionResult::Success { logs, .. } => Ok(logs),
            ExecutionResult::Revert { output, .. } => Err(output),
            ExecutionResult::Halt { reason, .. } => panic!("the machine stopped: {reason:?}"),
        }
    }

    fn read(&mut self, to: Address, data: Vec<u8>) -> Bytes {
        match self.run(Address::ZERO, TxKind::Call(to), data.into(), U256::ZERO, false) {
            ExecutionResult::Success { output: Output::Call(answer), .. } => answer,
            other => panic!("a reading call to {to} gives {other:?}"),
        }
    }

    fn balance(&mut self, account: Address) -> U256 {
        self.account(account).balance
    }

    fn endow(&mut self, account: Address, wei: U256) {
        let info = AccountInfo { balance: wei, ..self.account(account) };
        self.state.insert_account_info(account, info);
    }

    fn set_code(&mut self, account: Address, code: Bytes) {
        let info = self.account(account).with_code(Bytecode::new_raw(code));
        self.state.insert_account_info(account, info);
    }

    fn deploy(&mut self, code: Bytes) -> Address {
        let deployer = Address::repeat_byte(0xde);
        (self.now, self.height) = (self.now + 1, self.height + 1);
        match self.run(deployer, TxKind::Create, code, U256::ZERO, true) {
            ExecutionResult::Success { output: Output::Create(_, Some(at)), .. } => at,
            other => panic!("a deployment gives {other:?}"),
        }
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
        known.then(|| self.state.block_hash_ref(height).unwrap())
    }
}

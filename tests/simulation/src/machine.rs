//! The contracts' own bytecode on an EVM in this process: the state after a block, and what a call does to it.

use alloy::primitives::{Address, B256, Bytes, Log, TxKind, U256};
use revm::{
    Context, Database as _, ExecuteCommitEvm as _, ExecuteEvm as _, MainBuilder as _, MainContext as _,
    context::{
        TxEnv,
        result::{ExecutionResult, Output},
    },
    database::{CacheDB, EmptyDB},
    primitives::hardfork::SpecId,
    state::AccountInfo,
};

use crate::chain::CHAIN_ID;

/// What every call may spend.
const GAS: u64 = 16_000_000;

/// A call as the machine runs it.
#[derive(Clone, Debug)]
pub struct Call {
    pub from: Address,
    /// None creates a contract.
    pub to: Option<Address>,
    pub data: Bytes,
    pub value: U256,
    pub gas: u64,
}

impl Call {
    pub const fn new(from: Address, to: Address, data: Bytes, value: U256) -> Self {
        Self { from, to: Some(to), data, value, gas: GAS }
    }

    pub const fn creation(from: Address, code: Bytes) -> Self {
        Self { from, to: None, data: code, value: U256::ZERO, gas: GAS }
    }
}

/// What came of a call.
#[derive(Clone, Debug)]
pub struct Done {
    pub success: bool,
    pub output: Bytes,
    pub gas: u64,
    pub logs: Vec<Log>,
}

/// Accounts after a block. Gas costs nothing here: whoever pays for it is charged by the chain.
#[derive(Clone, Debug)]
pub struct Machine(CacheDB<EmptyDB>);

impl Default for Machine {
    fn default() -> Self {
        Self(CacheDB::new(EmptyDB::new()))
    }
}

impl Machine {
    /// Runs a call in the block of this number and time; what it changes stays only when `keep`.
    pub fn run(&mut self, call: &Call, number: u64, time: u64, keep: bool) -> Done {
        let mut evm = Context::mainnet()
            .with_db(&mut self.0)
            .modify_cfg_chained(|cfg| {
                cfg.set_spec_and_mainnet_gas_params(SpecId::CANCUN);
                cfg.chain_id = CHAIN_ID;
                cfg.disable_nonce_check = true;
                cfg.disable_eip3607 = true;
            })
            .modify_block_chained(|block| {
                block.number = U256::from(number);
                block.timestamp = U256::from(time);
                block.basefee = 0;
            })
            .build_mainnet();
        let transaction = TxEnv::builder()
            .caller(call.from)
            .kind(call.to.map_or(TxKind::Create, TxKind::Call))
            .data(call.data.clone())
            .value(call.value)
            .gas_limit(call.gas)
            .gas_price(0)
            .chain_id(Some(CHAIN_ID))
            .build()
            .unwrap();
        let result = if keep {
            evm.transact_commit(transaction)
        } else {
            evm.transact(transaction).map(|done| done.result)
        };
        let nothing = |gas| Done { success: false, output: Bytes::new(), gas, logs: Vec::new() };
        // A call that the machine does not begin, as one with too little gas, has no effect.
        let Ok(result) = result else { return nothing(21_000) };
        let gas = result.tx_gas_used();
        match result {
            ExecutionResult::Success { logs, output, .. } => {
                let output = match output {
                    Output::Call(output) => output,
                    Output::Create(..) => Bytes::new(),
                };
                Done { success: true, output, gas, logs }
            }
            ExecutionResult::Revert { output, .. } => Done { output, ..nothing(gas) },
            ExecutionResult::Halt { .. } => nothing(gas),
        }
    }

    fn info(&self, account: Address) -> AccountInfo {
        self.0.cache.accounts.get(&account).map(|kept| kept.info.clone()).unwrap_or_default()
    }

    pub fn nonce(&self, account: Address) -> u64 {
        self.info(account).nonce
    }

    pub fn balance(&self, account: Address) -> U256 {
        self.info(account).balance
    }

    /// Sets what an account has and how many transactions it has sent.
    pub fn set(&mut self, account: Address, balance: U256, nonce: u64) {
        let before = self.0.basic(account).unwrap().unwrap_or_default();
        self.0.insert_account_info(account, AccountInfo { balance, nonce, ..before });
    }

    /// From now on contracts can ask for the hash of this block.
    pub fn remember(&mut self, number: u64, hash: B256) {
        self.0.cache.block_hashes.insert(U256::from(number), hash);
    }
}

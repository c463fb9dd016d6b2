//! The contracts' own bytecode on an EVM in this process: the state after a block, and what a call does to it.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use alloy::primitives::{Address, B256, Bytes, Log, TxKind, U256};
use revm::{
    Context, DatabaseRef as _, ExecuteCommitEvm as _, ExecuteEvm as _, MainBuilder as _, MainContext as _,
    bytecode::Bytecode,
    context::{
        TxEnv,
        result::{ExecutionResult, Output},
    },
    database::{CacheDB, EmptyDB},
    primitives::hardfork::SpecId,
    state::AccountInfo,
};

/// The chain that local nodes claim to be.
pub const CHAIN_ID: u64 = 31_337;
/// What every call may spend.
pub const GAS: u64 = 16_000_000;

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
    /// The contract that it created.
    pub created: Option<Address>,
    /// Why the machine stopped where neither the contract's code ended nor it reverted.
    pub halted: Option<String>,
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
        let nothing = |gas, halted| Done {
            success: false,
            output: Bytes::new(),
            gas,
            logs: Vec::new(),
            created: None,
            halted,
        };
        let result = match result {
            Ok(result) => result,
            // A call that the machine does not begin, as one with too little gas, has no effect.
            Err(error) => return nothing(21_000, Some(error.to_string())),
        };
        let gas = result.tx_gas_used();
        match result {
            ExecutionResult::Success { logs, output, .. } => {
                let (output, created) = match output {
                    Output::Call(output) => (output, None),
                    Output::Create(_, created) => (Bytes::new(), created),
                };
                Done { success: true, output, gas, logs, created, halted: None }
            }
            ExecutionResult::Revert { output, .. } => Done { output, ..nothing(gas, None) },
            ExecutionResult::Halt { reason, .. } => nothing(gas, Some(format!("{reason:?}"))),
        }
    }

    fn info(&self, account: Address) -> AccountInfo {
        self.0.basic_ref(account).unwrap().unwrap_or_default()
    }

    pub fn nonce(&self, account: Address) -> u64 {
        self.info(account).nonce
    }

    pub fn balance(&self, account: Address) -> U256 {
        self.info(account).balance
    }

    /// Sets what an account has and how many transactions it has sent.
    pub fn set(&mut self, account: Address, balance: U256, nonce: u64) {
        let before = self.info(account);
        self.0.insert_account_info(account, AccountInfo { balance, nonce, ..before });
    }

    /// Sets what an account does.
    pub fn set_code(&mut self, account: Address, code: Bytes) {
        let with_code = self.info(account).with_code(Bytecode::new_raw(code));
        self.0.insert_account_info(account, with_code);
    }

    /// From now on contracts can ask for the hash of this block.
    pub fn remember(&mut self, number: u64, hash: B256) {
        self.0.cache.block_hashes.insert(U256::from(number), hash);
    }

    /// What a contract hears of the hash of this block.
    pub fn hash(&self, number: u64) -> B256 {
        self.0.block_hash_ref(number).unwrap()
    }
}

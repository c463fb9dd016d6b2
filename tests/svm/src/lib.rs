//! A Solana machine in this process with the committed program: real bytecode, real compute units, real Ed25519 checks.
//!
//! Conformance, security tests and the compute-unit bench stand on it. The clock, the slots and their hashes are the test's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "test code"
)]

pub mod calls;
mod tokens;
pub mod trade;

use std::path::PathBuf;

use litesvm::{LiteSVM, types::TransactionMetadata};
use protocol::{
    solana::{self, Failed, Instruction, Pubkey},
    wire::feed::EventBody,
};
use solana_clock::Clock;
use solana_sdk::{
    account::Account,
    message::Message,
    signature::{Keypair, Signer},
    transaction::{Transaction, TransactionError},
};
use solana_slot_hashes::SlotHashes;

pub use tokens::{Extension, TOKEN, TOKEN_2022};

/// Lamports of every account that tests endow: enough for anything, far from the largest number.
pub const ENDOWMENT: u64 = 1_000_000_000_000;
/// The largest transaction, in bytes.
pub const PACKET: usize = 1_232;
/// How many past slots' hashes a cluster remembers.
pub const REMEMBERED: usize = 512;

/// A machine.
pub struct Svm {
    pub vm: LiteSVM,
    /// Pays the fees of every transaction.
    pub payer: Keypair,
    /// Newest first, as programs see them.
    hashes: Vec<(u64, [u8; 32])>,
}

/// What a transaction did.
#[derive(Clone, Debug)]
pub struct Sent {
    pub compute_units: u64,
    pub events: Vec<EventBody>,
    pub logs: Vec<String>,
    /// Bytes of the transaction on the wire.
    pub size: usize,
}

/// Why a transaction failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The number of the program's error; none where the runtime refused.
    pub code: Option<u32>,
    /// The instruction's place.
    pub instruction: Option<u8>,
    pub error: TransactionError,
    pub logs: Vec<String>,
    pub compute_units: u64,
}

impl Failure {
    /// The refusal's name; `deal` as in [`solana::decode_failure`].
    pub fn refusal(&self, deal: Option<(u64, u64)>) -> Option<&'static str> {
        match solana::decode_failure(self.code?, deal) {
            Failed::Refused(name) => Some(name),
            Failed::Account(_) | Failed::Other(_) => None,
        }
    }
}

/// The key of a number: the same in every run.
pub fn keypair(number: u64) -> Keypair {
    let seed = alloy::primitives::keccak256(number.to_be_bytes());
    Keypair::new_from_array(seed.0)
}

/// A key as the program has it.
pub fn key(of: &Keypair) -> Pubkey {
    Pubkey::new_from_array(of.pubkey().to_bytes())
}

/// The program that is tested: the committed one, or the file that `EARNEST_PROGRAM_SO` names.
pub fn program_file() -> PathBuf {
    std::env::var_os("EARNEST_PROGRAM_SO").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../programs/artefacts/earnest.so")),
        PathBuf::from,
    )
}

/// A copy goes its own way from here.
impl Clone for Svm {
    fn clone(&self) -> Self {
        Self { vm: self.vm.clone(), payer: self.payer.insecure_clone(), hashes: self.hashes.clone() }
    }
}

impl Default for Svm {
    fn default() -> Self {
        Self::start()
    }
}

impl Svm {
    /// A fresh machine at a time long after the first second.
    pub fn start() -> Self {
        let mut vm = LiteSVM::new().with_transaction_history(0).with_log_bytes_limit(None);
        let id = solana_sdk::pubkey::Pubkey::new_from_array(solana::program().to_bytes());
        vm.add_program_from_file(id, program_file()).unwrap();
        let payer = keypair(u64::MAX);
        let mut svm = Self { vm, payer, hashes: Vec::new() };
        let payer = key(&svm.payer);
        svm.endow(&payer, ENDOWMENT * 1_000);
        svm.set_time(1_800_000_000);
        for _ in 0..8 {
            svm.next_slot();
        }
        svm
    }

    pub fn set_time(&mut self, seconds: u64) {
        let mut clock: Clock = self.vm.get_sysvar();
        clock.unix_timestamp = i64::try_from(seconds).unwrap();
        self.vm.set_sysvar(&clock);
    }

    /// Unix seconds.
    pub fn now(&self) -> u64 {
        u64::try_from(self.vm.get_sysvar::<Clock>().unix_timestamp).unwrap()
    }

    pub fn slot(&self) -> u64 {
        self.vm.get_sysvar::<Clock>().slot
    }

    /// Ends the present slot, whose hash is then known.
    pub fn next_slot(&mut self) {
        self.skip_slots(1);
    }

    /// Ends that many slots.
    pub fn skip_slots(&mut self, count: u64) {
        let mut clock: Clock = self.vm.get_sysvar();
        for _ in 0..count {
            self.hashes.insert(0, (clock.slot, hash_of(clock.slot)));
            clock.slot += 1;
        }
        self.hashes.truncate(REMEMBERED);
        self.vm.set_sysvar(&clock);
        self.tell_hashes();
    }

    /// Ends the present slot without a block, so that it has no hash.
    pub fn miss_slot(&mut self) {
        let mut clock: Clock = self.vm.get_sysvar();
        clock.slot += 1;
        self.vm.set_sysvar(&clock);
    }

    fn tell_hashes(&mut self) {
        let hashes: Vec<_> = self.hashes.iter().map(|(slot, hash)| (*slot, (*hash).into())).collect();
        self.vm.set_sysvar(&SlotHashes::new(&hashes));
    }

    /// The hash by which a target is drawn, as long as the cluster remembers it.
    pub fn hash_for(&self, target: u64) -> Option<[u8; 32]> {
        let remembered =
            self.hashes.len() < REMEMBERED || self.hashes.last().is_some_and(|(oldest, _)| *oldest <= target);
        let first = self.hashes.iter().rev().find(|(slot, _)| *slot >= target);
        first.filter(|_| remembered).map(|(_, hash)| *hash)
    }

    /// Gives an account at least that many lamports.
    pub fn endow(&mut self, account: &Pubkey, lamports: u64) {
        let mut there = self.account(account).unwrap_or_default();
        there.lamports = there.lamports.max(lamports);
        self.set_account(account, there);
    }

    pub fn account(&self, address: &Pubkey) -> Option<Account> {
        self.vm.get_account(&address.to_bytes().into()).filter(|account| account.lamports > 0)
    }

    pub fn set_account(&mut self, address: &Pubkey, account: Account) {
        self.vm.set_account(address.to_bytes().into(), account).unwrap();
    }

    /// Makes a program of an account, which can hold no more coin then.
    pub fn make_executable(&mut self, address: &Pubkey) {
        let there = self.account(address).unwrap_or_default();
        let owner = solana_sdk::pubkey!("NativeLoader1111111111111111111111111111111");
        self.set_account(address, Account { executable: true, owner, ..there });
    }

    pub fn lamports(&self, address: &Pubkey) -> u64 {
        self.account(address).map_or(0, |account| account.lamports)
    }

    /// The signed transaction of these instructions; the payer of fees signs too.
    pub fn transaction(&mut self, instructions: &[Instruction], signers: &[&Keypair]) -> Transaction {
        // Equal transactions would be one.
        self.vm.expire_blockhash();
        let message = Message::new_with_blockhash(
            instructions,
            Some(&self.payer.pubkey()),
            &self.vm.latest_blockhash(),
        );
        let needed: Vec<_> = message.signer_keys().into_iter().copied().collect();
        let known = signers.iter().copied().chain([&self.payer]);
        let signers: Vec<&Keypair> =
            known.filter(|signer| needed.contains(&signer.pubkey())).collect::<Vec<_>>();
        let mut unique: Vec<&Keypair> = Vec::new();
        for signer in signers {
            if !unique.iter().any(|one| one.pubkey() == signer.pubkey()) {
                unique.push(signer);
            }
        }
        let mut transaction = Transaction::new_unsigned(message);
        transaction.sign(&unique, self.vm.latest_blockhash());
        transaction
    }

    /// Sends a transaction in the present slot.
    pub fn send(&mut self, instructions: &[Instruction], signers: &[&Keypair]) -> Result<Sent, Failure> {
        let transaction = self.transaction(instructions, signers);
        self.send_transaction(transaction)
    }

    /// Sends a signed transaction in the present slot.
    pub fn send_transaction(&mut self, transaction: Transaction) -> Result<Sent, Failure> {
        let size = wire_size(&transaction);
        match self.vm.send_transaction(transaction) {
            Ok(meta) => Ok(Sent {
                compute_units: meta.compute_units_consumed,
                events: events(&meta),
                logs: meta.logs,
                size,
            }),
            Err(failed) => {
                use solana_sdk::instruction::InstructionError;
                let (instruction, code) = match &failed.err {
                    TransactionError::InstructionError(at, InstructionError::Custom(code)) => {
                        (Some(*at), Some(*code))
                    }
                    TransactionError::InstructionError(at, _) => (Some(*at), None),
                    _ => (None, None),
                };
                Err(Failure {
                    code,
                    instruction,
                    error: failed.err,
                    logs: failed.meta.logs,
                    compute_units: failed.meta.compute_units_consumed,
                })
            }
        }
    }

    /// Sends what has to go through.
    pub fn must(&mut self, instructions: &[Instruction], signers: &[&Keypair]) -> Sent {
        self.send(instructions, signers).unwrap_or_else(|failure| panic!("{failure:#?}"))
    }
}

/// Bytes of a transaction on the wire.
pub fn wire_size(transaction: &Transaction) -> usize {
    1 + 64 * transaction.signatures.len() + transaction.message.serialize().len()
}

/// What a produced slot hashes to here.
fn hash_of(slot: u64) -> [u8; 32] {
    alloy::primitives::keccak256(slot.to_le_bytes()).0
}

/// The program's events in the order in which they were told.
fn events(meta: &TransactionMetadata) -> Vec<EventBody> {
    let chain = solana::chain().unwrap();
    let inner = meta.inner_instructions.iter().flatten();
    let told = inner.filter(|inner| solana::is_event(&inner.instruction.data));
    told.map(|inner| solana::decode_event(chain, &inner.instruction.data).unwrap()).collect()
}

//! What `programs/sbf` builds computes what this machine computes. `./scripts/test programs` builds the program and names it.

use std::cell::RefCell;

use litesvm::LiteSVM;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use solana_sdk::{
    instruction::Instruction,
    message::Message,
    pubkey::Pubkey,
    signature::{Keypair, Signer as _},
    transaction::Transaction,
};

/// The request for the most compute units that a transaction may have, as the compute budget program reads it.
const MOST_UNITS: [u8; 5] = [2, 0xc0, 0x5c, 0x15, 0];

/// Numbers at the edges of their width as often as others.
fn number() -> impl Strategy<Value = u128> {
    (any::<u128>(), 0..128_u32, 0..8_u8).prop_map(|(random, bits, kind)| match kind {
        0 => 0,
        1 => random >> bits,
        2 => !(random >> bits),
        3 => 1 << bits,
        4 => (1 << bits) - 1,
        5 => u128::MAX,
        6 => u128::from(random as u64),
        _ => random,
    })
}

struct Machine {
    svm: LiteSVM,
    payer: Keypair,
    program: Pubkey,
}

impl Machine {
    fn new() -> Self {
        let path =
            std::env::var("EARNEST_SBF_CHECK").expect("the program's path: run ./scripts/test programs");
        let mut svm = LiteSVM::new().with_blockhash_check(false).with_transaction_history(0);
        let (payer, program) = (Keypair::new(), Pubkey::new_unique());
        svm.add_program_from_file(program, path).expect("a program that loads");
        svm.airdrop(&payer.pubkey(), 1_000_000_000_000).expect("money");
        Self { svm, payer, program }
    }

    fn results(&mut self, a: u128, b: u128) -> Vec<u8> {
        let budget = "ComputeBudget111111111111111111111111111111".parse().expect("an address");
        let units = Instruction { program_id: budget, accounts: vec![], data: MOST_UNITS.to_vec() };
        let data = [a.to_le_bytes(), b.to_le_bytes()].concat();
        let compute = Instruction { program_id: self.program, accounts: vec![], data };
        let message = Message::new(&[units, compute], Some(&self.payer.pubkey()));
        let transaction = Transaction::new(&[&self.payer], message, self.svm.latest_blockhash());
        self.svm.send_transaction(transaction).expect("a transaction that runs").return_data.data
    }
}

#[test]
fn the_built_program_computes_what_this_machine_computes() {
    let machine = RefCell::new(Machine::new());
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&(number(), number()), |(a, b)| {
        let expected = sbf_check::results(a, b);
        let mut got = machine.borrow_mut().results(a, b);
        // The runtime drops the zeros at the end of what a program returns.
        got.resize(expected.len().max(got.len()), 0);
        for (at, (got, expected)) in got.chunks(16).zip(expected.chunks(16)).enumerate() {
            prop_assert_eq!(got, expected, "result {}", at);
        }
        Ok(())
    });
    assert!(outcome.is_ok(), "{}", outcome.expect_err("just found"));
}

//! Every valid call with its data and its accounts spoilt at random: the program refuses, it does not fail, and what goes
//! through all the same leaves the coin, the tokens and what deals owe as they should be.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "test code"
)]

use std::collections::BTreeMap;

use anchor_spl::token_2022::spl_token_2022::{
    extension::StateWithExtensions, state::Account as TokenAccount,
};
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, TestRunner},
};
use protocol::solana::{self, Instruction, Pubkey};
use solana_sdk::{
    account::{Account, ReadableAccount},
    instruction::InstructionError,
    message::Message,
    signature::Signer,
    transaction::{Transaction, TransactionError},
};
use svm::{
    Svm, TOKEN, TOKEN_2022,
    calls::{CALLS, Made},
};

/// Bytes of an instruction's discriminator.
const NAME: usize = 8;
/// Spoilt calls of each valid one.
const CASES: u32 = 60;
/// Into how many shares the table is cut, so that they run side by side.
const SHARES: usize = 4;

/// One way to spoil an instruction.
#[derive(Clone, Debug)]
enum Spoil {
    Truncate(Index),
    Flip(Index, u8),
    Overwrite(Index, [u8; 8]),
    Append(Vec<u8>),
    Arguments(Vec<u8>),
    Everything(Vec<u8>),
    Swap(Index, Index),
    Double(Index, Index),
    Drop(Index),
    Cut(Index),
    Shuffle(Vec<Index>),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    use Spoil as S;
    let index = any::<Index>;
    let bytes = |most| proptest::collection::vec(any::<u8>(), 0..most);
    // Numbers at the ends of their ranges are what sums go wrong with.
    let number = prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(i64::MAX as u64), any::<u64>()];
    prop_oneof![
        index().prop_map(S::Truncate),
        (index(), 1..=u8::MAX).prop_map(|(at, bits)| S::Flip(at, bits)),
        (index(), number).prop_map(|(at, value)| S::Overwrite(at, value.to_le_bytes())),
        proptest::collection::vec(any::<u8>(), 1..64).prop_map(S::Append),
        bytes(400).prop_map(S::Arguments),
        bytes(64).prop_map(S::Everything),
        (index(), index()).prop_map(|(one, other)| S::Swap(one, other)),
        (index(), index()).prop_map(|(from, to)| S::Double(from, to)),
        index().prop_map(S::Drop),
        index().prop_map(S::Cut),
        proptest::collection::vec(index(), 20).prop_map(S::Shuffle),
    ]
}

impl Spoil {
    fn apply(&self, call: &mut Instruction) {
        let Instruction { data, accounts, .. } = call;
        match self {
            Self::Truncate(at) => data.truncate(at.index(data.len() + 1)),
            Self::Flip(at, bits) if data.len() > NAME => {
                let at = NAME + at.index(data.len() - NAME);
                data[at] ^= bits;
            }
            Self::Overwrite(at, with) if data.len() > NAME => {
                let at = NAME + at.index(data.len() - NAME);
                for (place, byte) in data[at..].iter_mut().zip(with) {
                    *place = *byte;
                }
            }
            Self::Append(more) => data.extend(more),
            Self::Arguments(with) => {
                data.truncate(NAME);
                data.extend(with);
            }
            Self::Everything(with) => data.clone_from(with),
            Self::Cut(at) => accounts.truncate(at.index(accounts.len() + 1)),
            Self::Flip(..) | Self::Overwrite(..) => {}
            _ if accounts.is_empty() => {}
            Self::Swap(one, other) => {
                let count = accounts.len();
                accounts.swap(one.index(count), other.index(count));
            }
            Self::Double(from, to) => {
                let count = accounts.len();
                accounts[to.index(count)] = accounts[from.index(count)].clone();
            }
            Self::Drop(at) => {
                accounts.remove(at.index(accounts.len()));
            }
            Self::Shuffle(order) => {
                let count = accounts.len();
                for (at, with) in (0..count).zip(order) {
                    accounts.swap(at, with.index(count));
                }
            }
        }
    }
}

/// Lets a transaction have as many compute units as one can have. Comes last, for Ed25519 instructions are named by place.
fn most_units() -> Instruction {
    let program = solana_sdk::pubkey!("ComputeBudget111111111111111111111111111111");
    let data = [vec![2], 1_400_000_u32.to_le_bytes().to_vec()].concat();
    Instruction { program_id: Pubkey::new_from_array(program.to_bytes()), accounts: vec![], data }
}

type Accounts = BTreeMap<[u8; 32], Account>;

/// What accounts hold of each mint.
fn tokens(accounts: &Accounts) -> BTreeMap<[u8; 32], u128> {
    let mut sums = BTreeMap::new();
    for account in accounts.values() {
        let owner = account.owner.to_bytes();
        if [TOKEN, TOKEN_2022].iter().any(|program| program.to_bytes() == owner)
            && let Ok(holds) = StateWithExtensions::<TokenAccount>::unpack(&account.data)
            && holds.base.amount > 0
        {
            *sums.entry(holds.base.mint.to_bytes()).or_default() += u128::from(holds.base.amount);
        }
    }
    sums
}

/// Whether every deal among the accounts holds what remains and what it owes.
fn check_deals(svm: &Svm, accounts: &Accounts) -> Result<(), TestCaseError> {
    for account in accounts.values().filter(|one| one.owner.to_bytes() == solana::program().to_bytes()) {
        let Ok(deal) = solana::read_deal(&account.data) else { continue };
        let rent = svm.vm.minimum_balance_for_rent_exemption(account.data.len());
        if deal.vault == Pubkey::default() {
            prop_assert!(account.lamports >= rent + deal.held());
        } else {
            let there = accounts.get(&deal.vault.to_bytes()).cloned();
            let vault = there.or_else(|| svm.account(&deal.vault)).unwrap();
            let holds = StateWithExtensions::<TokenAccount>::unpack(&vault.data).unwrap().base.amount;
            prop_assert!(account.lamports >= rent && holds >= deal.held());
        }
    }
    Ok(())
}

/// Whether it went through. Signatures of the transaction are not checked: who is said to sign does.
fn run(svm: &Svm, name: &str, made: &Made, spoilt: &[Spoil]) -> Result<bool, TestCaseError> {
    let mut instructions = made.instructions.clone();
    let call = instructions.last_mut().unwrap();
    let right = call.data.clone();
    spoilt.iter().for_each(|one| one.apply(call));
    let too_long = name.starts_with("evidence") && claims_a_longer_uri(&right, &call.data);
    instructions.push(most_units());
    let hash = svm.vm.latest_blockhash();
    let message = Message::new_with_blockhash(&instructions, Some(&svm.payer.pubkey()), &hash);
    let fee = 5_000 * u64::from(message.header.num_required_signatures);
    let keys: Vec<_> = message.account_keys.iter().map(|key| key.to_bytes()).collect();
    let before: Accounts =
        keys.iter().filter_map(|key| Some((*key, svm.account(&Pubkey::new_from_array(*key))?))).collect();
    let done = match svm.vm.simulate_transaction(Transaction::new_unsigned(message)) {
        Ok(done) => done,
        Err(failed) => {
            let defect = is_defect(&failed.err) && !(too_long && ran_out_of_memory(&failed.err));
            prop_assert!(!defect, "{:?}\n{}", failed.err, failed.meta.logs.join("\n"));
            return Ok(false);
        }
    };
    let mut after = before.clone();
    for (key, account) in done.post_accounts {
        after.insert(key.to_bytes(), account.into());
    }
    let lamports =
        |accounts: &Accounts| accounts.values().map(|one| u128::from(one.lamports())).sum::<u128>();
    let signed = u128::from(fee) + 5_000 * count_brought(&instructions);
    prop_assert_eq!(lamports(&before), lamports(&after) + signed);
    prop_assert_eq!(tokens(&before), tokens(&after));
    check_deals(svm, &after)?;
    Ok(true)
}

/// Signatures in Ed25519 instructions cost a fee too.
fn count_brought(instructions: &[Instruction]) -> u128 {
    let program = solana_sdk::pubkey!("Ed25519SigVerify111111111111111111111111111");
    let checks = instructions.iter().filter(|one| one.program_id.to_bytes() == program.to_bytes());
    checks.map(|one| u128::from(one.data[0])).sum()
}

/// What nobody may bring about, with whatever data and accounts.
fn is_defect(error: &TransactionError) -> bool {
    use InstructionError as I;
    let TransactionError::InstructionError(_, error) = error else { return false };
    let broken = earnest_program::Refusal::NAMES.iter().position(|name| *name == "Broken").unwrap();
    match error {
        I::ProgramFailedToComplete | I::ComputationalBudgetExceeded => true,
        I::Custom(code) => *code as usize == 6_000 + broken,
        _ => false,
    }
}

/// Whether evidence says that its URI is longer than the data that there is. Borsh makes room for it before it reads, which
/// the memory of a program does not have: the call ends there, without a name, and only who sent it loses its fee.
fn claims_a_longer_uri(right: &[u8], data: &[u8]) -> bool {
    const URI: usize = NAME + 32;
    let length = data.get(URI..URI + 4).map(|length| u32::from_le_bytes(length.try_into().unwrap()));
    data.starts_with(&right[..NAME]) && length.is_some_and(|length| length as usize > data.len() - URI - 4)
}

fn ran_out_of_memory(error: &TransactionError) -> bool {
    matches!(error, TransactionError::InstructionError(_, InstructionError::ProgramFailedToComplete))
}

fn try_share(share: usize) {
    let fresh = Svm::start();
    for call in CALLS.iter().skip(share).step_by(SHARES) {
        let mut svm = fresh.clone();
        let made = (call.make)(&mut svm, 1);
        svm.vm = svm.vm.clone().with_sigverify(false);
        assert!(run(&svm, call.name, &made, &[]).unwrap(), "{}", call.name);
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let told = TestRunner::new(config).run(&proptest::collection::vec(spoil(), 1..4), |spoilt| {
            run(&svm, call.name, &made, &spoilt).map(drop)
        });
        told.unwrap_or_else(|error| panic!("{}: {error}", call.name));
    }
}

#[test]
fn nothing_spoilt_breaks_the_program_1() {
    try_share(0);
}

#[test]
fn nothing_spoilt_breaks_the_program_2() {
    try_share(1);
}

#[test]
fn nothing_spoilt_breaks_the_program_3() {
    try_share(2);
}

#[test]
fn nothing_spoilt_breaks_the_program_4() {
    try_share(3);
}

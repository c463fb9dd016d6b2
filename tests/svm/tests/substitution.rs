//! Every account of every instruction replaced by what else one could put there. From a table of valid calls, so that an
//! instruction or an account without one is noticed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "test code"
)]

use std::collections::{BTreeMap, BTreeSet};

use protocol::solana::{self, AccountMeta, Instruction, Pubkey};
use solana_sdk::{
    account::Account,
    instruction::InstructionError,
    message::Message,
    signature::Signer,
    transaction::{Transaction, TransactionError},
};
use svm::{
    ENDOWMENT, Svm,
    calls::{CALLS, Call, Made, stranger},
    key, keypair,
};

/// An instruction of the IDL: its discriminator, and its accounts in order.
struct Described {
    name: String,
    discriminator: Vec<u8>,
    accounts: Vec<String>,
}

fn described() -> Vec<Described> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../programs/artefacts/earnest.json");
    let idl: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let described = |one: &serde_json::Value| Described {
        name: one["name"].as_str().unwrap().to_owned(),
        discriminator: one["discriminator"]
            .as_array()
            .unwrap()
            .iter()
            .map(|byte| byte.as_u64().unwrap() as u8)
            .collect(),
        accounts: names("", &one["accounts"]),
    };
    idl["instructions"].as_array().unwrap().iter().map(described).collect()
}

fn names(of: &str, accounts: &serde_json::Value) -> Vec<String> {
    let each = accounts.as_array().unwrap().iter().flat_map(|account| {
        let name = format!("{of}{}", account["name"].as_str().unwrap());
        if account["accounts"].is_array() {
            names(&format!("{name}."), &account["accounts"])
        } else {
            vec![name]
        }
    });
    each.collect()
}

/// What stands in an account's place.
struct Substitute {
    what: String,
    metas: Vec<AccountMeta>,
}

/// Where another account is as good: the role, what may stand there, and why.
struct Welcome {
    role: &'static [&'static str],
    /// Of the call's name, of what the valid call gives there, and of what stands there instead.
    when: fn(&str, &AccountMeta, &str) -> bool,
    /// Why nothing is lost by it.
    _why: &'static str,
}

fn is_none(right: &AccountMeta) -> bool {
    right.pubkey == solana::program()
}

/// Whether somebody else stands there who signs as well.
fn signs_too(what: &str) -> bool {
    !["without its signature", "none", "read-only"].contains(&what)
}

const WELCOME: &[Welcome] = &[
    Welcome {
        role: &["program"],
        when: |_, _, _| true,
        _why: "Anchor's own: events go to the program's own id, whatever stands there",
    },
    Welcome {
        role: &[
            "authority.consent",
            "authority.instructions",
            "buyer_consent",
            "seller_consent",
            "instructions",
        ],
        when: |_, right, _| is_none(right),
        _why: "who asks for itself needs neither, and nobody reads them",
    },
    Welcome {
        role: &["authority.consent"],
        when: |name, _, _| name == "appeal_signed",
        _why: "a signed appeal cannot be taken back",
    },
    Welcome {
        role: &["tokens.mint"],
        when: |name, _, what| name.starts_with("sol_fund") && what.ends_with("system_program"),
        _why: "its key is zero, which is SOL",
    },
    Welcome {
        role: &["to"],
        when: |name, _, what| name == "sol_withdraw" && what != "read-only",
        _why: "who takes its credit itself sends it where it likes",
    },
    Welcome {
        role: &["tokens.vault", "tokens.source", "tokens.allowance", "tokens.token_program"],
        when: |name, right, _| name.starts_with("sol_fund") && is_none(right),
        _why: "a funding with SOL has no use for them; the mint is part of the terms",
    },
    Welcome {
        role: &["tokens.allowance"],
        when: |name, right, _| name.ends_with("_fund") && is_none(right),
        _why: "a buyer who signs the transaction needs none; only the one address is taken",
    },
    Welcome {
        role: &["vault", "mint", "token_program"],
        when: |name, right, _| name.starts_with("sol_close") && is_none(right),
        _why: "a deal of SOL has no vault to close",
    },
    Welcome {
        role: &["pool", "parent", "of_pool.next", "of_parent.list", "of_parent.next"],
        when: |name, right, _| name.starts_with("draw") && is_none(right),
        _why: "a pool without a parent, or a later jury, shows its one list, and nobody reads more",
    },
    Welcome {
        role: &["payer"],
        when: |_, _, what| signs_too(what),
        _why: "anyone may pay, who signs for it",
    },
    Welcome {
        role: &["authority.caller", "caller"],
        when: |name, _, what| {
            let in_name_of_others =
                name.ends_with("_signed") || name.ends_with("_settle") || name.ends_with("dispute_approved");
            in_name_of_others && signs_too(what)
        },
        _why: "anyone may bring what a party signed or approved",
    },
];

fn main_of(made: &Made) -> &Instruction {
    made.instructions.last().unwrap()
}

fn name_of(described: &Described, at: usize) -> String {
    described
        .accounts
        .get(at)
        .cloned()
        .unwrap_or_else(|| format!("remaining {}", at - described.accounts.len()))
}

/// Everything that could stand at `at` of the call's accounts.
fn substitutes(
    svm: &mut Svm,
    own: &Instruction,
    other: &Instruction,
    described: &Described,
    at: usize,
) -> Vec<Substitute> {
    let metas = &own.accounts;
    let right = metas[at].clone();
    let with = |meta: AccountMeta| {
        let mut changed = metas.clone();
        changed[at] = meta;
        changed
    };
    let instead = |pubkey: Pubkey| AccountMeta { pubkey, ..right.clone() };
    let mut made = Vec::new();
    let mut push = |what: String, meta: AccountMeta| {
        if meta != right {
            made.push(Substitute { what, metas: with(meta) });
        }
    };
    // The same account of another trade, at the same point.
    push("the other's".into(), instead(other.accounts[at].pubkey));
    push("a stranger".into(), instead(key(&stranger(svm))));
    push("an empty one".into(), instead(key(&keypair(99))));
    if right.pubkey != solana::program() {
        push("none".into(), AccountMeta::new_readonly(solana::program(), false));
    }
    // The same data of another owner, with whose program it could be made.
    if let Some(there) = svm.account(&right.pubkey).filter(|there| !there.executable) {
        let copy = key(&keypair(98));
        let owner = solana_sdk::pubkey!("Stake11111111111111111111111111111111111111");
        svm.set_account(&copy, Account { owner, lamports: there.lamports.max(ENDOWMENT), ..there });
        push("a copy of another owner".into(), instead(copy));
    }
    // One account in two roles.
    for (place, meta) in metas.iter().enumerate().filter(|(place, _)| *place != at) {
        push(format!("also {}", name_of(described, place)), instead(meta.pubkey));
    }
    for (place, meta) in other.accounts.iter().enumerate().filter(|(place, _)| *place != at) {
        push(format!("the other's {}", name_of(described, place)), instead(meta.pubkey));
    }
    // A transaction has one flag for an account, whatever its roles.
    let everywhere = |change: fn(&mut AccountMeta)| {
        let mut changed = metas.clone();
        changed.iter_mut().filter(|meta| meta.pubkey == right.pubkey).for_each(change);
        changed
    };
    if right.is_signer {
        let metas = everywhere(|meta| meta.is_signer = false);
        made.push(Substitute { what: "without its signature".into(), metas });
    }
    if right.is_writable {
        made.push(Substitute {
            what: "read-only".into(),
            metas: everywhere(|meta| meta.is_writable = false),
        });
    }
    made
}

/// Runs a call with other accounts; nothing of it stays. Signatures are not checked here: who is said to sign does, which
/// is more than an attacker has.
fn run(svm: &Svm, made: &Made, metas: Vec<AccountMeta>) -> Result<(), TransactionError> {
    let mut instructions = made.instructions.clone();
    instructions.last_mut().unwrap().accounts = metas;
    let message =
        Message::new_with_blockhash(&instructions, Some(&svm.payer.pubkey()), &svm.vm.latest_blockhash());
    let transaction = Transaction::new_unsigned(message);
    svm.vm.simulate_transaction(transaction).map(drop).map_err(|failed| failed.err)
}

/// What nobody's accounts may bring about.
fn is_defect(error: &TransactionError) -> bool {
    use InstructionError as I;
    matches!(
        error,
        TransactionError::InstructionError(
            _,
            I::ProgramFailedToComplete | I::ComputationalBudgetExceeded | I::UnbalancedInstruction
        )
    ) || matches!(error, TransactionError::InstructionError(_, I::Custom(code)) if *code == broken())
}

fn broken() -> u32 {
    let names = earnest_program::Refusal::NAMES;
    6_000 + u32::try_from(names.iter().position(|name| *name == "Broken").unwrap()).unwrap()
}

fn machine(fresh: &Svm, call: &Call) -> (Svm, Made, Made) {
    let mut svm = fresh.clone();
    let own = (call.make)(&mut svm, 1);
    let now = svm.now();
    let other = (call.make)(&mut svm, 2);
    assert_eq!(svm.now(), now, "{}: every trade keeps to the same seconds", call.name);
    svm.vm = svm.vm.clone().with_sigverify(false);
    (svm, own, other)
}

#[test]
fn every_instruction_and_every_account_has_a_call() {
    let described = described();
    let mut given: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let fresh = Svm::start();
    for call in CALLS {
        let made = (call.make)(&mut fresh.clone(), 1);
        let own = main_of(&made);
        let of = described.iter().find(|one| own.data.starts_with(&one.discriminator)).unwrap();
        let given = given.entry(&of.name).or_default();
        for (name, meta) in of.accounts.iter().zip(&own.accounts) {
            if meta.pubkey != solana::program() || name == "program" {
                given.insert(name);
            }
        }
    }
    for of in &described {
        let given = given.get(of.name.as_str()).unwrap_or_else(|| panic!("no call of {}", of.name));
        for account in &of.accounts {
            assert!(given.contains(account.as_str()), "no call of {} gives {account}", of.name);
        }
    }
}

/// Tries the calls of one share of the table, so that the shares run side by side.
fn try_share(share: usize) {
    let described = described();
    let mut found = Vec::new();
    let fresh = Svm::start();
    let mine = CALLS.iter().enumerate().filter(|(place, _)| place % SHARES == share).map(|(_, call)| call);
    for call in mine {
        let (mut svm, own, other) = machine(&fresh, call);
        let (instruction, twin) = (main_of(&own).clone(), main_of(&other).clone());
        let of = described.iter().find(|one| instruction.data.starts_with(&one.discriminator)).unwrap();
        assert_eq!(run(&svm, &own, instruction.accounts.clone()), Ok(()), "{}", call.name);
        for at in 0..instruction.accounts.len() {
            let account = name_of(of, at);
            for Substitute { what, metas } in substitutes(&mut svm, &instruction, &twin, of, at) {
                let right = &instruction.accounts[at];
                let welcome = WELCOME
                    .iter()
                    .any(|one| one.role.contains(&account.as_str()) && (one.when)(call.name, right, &what));
                match run(&svm, &own, metas) {
                    Ok(()) if !welcome => found.push(format!("{}: {account}: {what}", call.name)),
                    // The runtime stops coin that goes to an account of the event's own call.
                    Err(TransactionError::InstructionError(_, InstructionError::UnbalancedInstruction))
                        if account == "to" && what.ends_with("event_authority") => {}
                    Err(error) if is_defect(&error) => {
                        found.push(format!("{}: {account}: {what}: {error:?}", call.name))
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Into how many shares the table is cut.
const SHARES: usize = 4;

#[test]
fn nothing_else_will_do_1() {
    try_share(0);
}

#[test]
fn nothing_else_will_do_2() {
    try_share(1);
}

#[test]
fn nothing_else_will_do_3() {
    try_share(2);
}

#[test]
fn nothing_else_will_do_4() {
    try_share(3);
}

//! Random trades: whatever is tried in whatever order, no lamport and no token comes or goes, and a deal holds what it owes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "test code"
)]

use std::{cell::RefCell, collections::BTreeSet};

use anchor_spl::token_2022::spl_token_2022::{
    extension::StateWithExtensions, instruction as token, state::Account as TokenAccount,
};
use proptest::{
    collection::vec,
    prelude::any,
    test_runner::{Config, TestRunner},
};
use protocol::solana::{
    self, AccountMeta, Instruction, Line, Pubkey,
    call::{Settlement, Voting},
    state::{Deal, Status},
};
use solana_sdk::{
    account::{Account, ReadableAccount},
    signature::Keypair,
};
use svm::{
    Svm, TOKEN, TOKEN_2022, key,
    trade::{
        AMOUNT, APPEAL, FUNDED, INSPECTION, OPENING, RULING, Setting, Trade, VALID_UNTIL, VOTING, bearer,
        signs,
    },
};

/// Random trades of each asset.
const CASES: u32 = 72;

/// What can be tried. All but the last four are calls of the program.
const ACTIONS: &[&str] = &[
    "fund",
    "retract",
    "deliver",
    "release",
    "refund",
    "dispute",
    "settle",
    "reclaim",
    "claim",
    "lapse",
    "open",
    "draw",
    "second jury",
    "ballot",
    "conclude",
    "appeal",
    "execute",
    "withdraw",
    "close",
    "gift",
    "obstruct",
    "heal",
    "wait",
];

/// What random steps try, but hardly ever at the right time: that it goes through is not asked for.
const RARE: &[&str] = &["conclude", "reclaim", "second jury"];

/// What makes sense where a deal stands.
fn sound(status: Status) -> &'static [&'static str] {
    match status {
        Status::None => &["fund", "fund", "fund", "retract"],
        Status::Funded => &[
            "deliver", "deliver", "dispute", "dispute", "dispute", "release", "refund", "settle", "gift",
            "obstruct", "heal", "wait", "reclaim",
        ],
        Status::Delivered => &["claim", "dispute", "dispute", "release", "refund", "obstruct", "wait"],
        Status::Disputed => &[
            "open",
            "open",
            "draw",
            "draw",
            "draw",
            "ballot",
            "ballot",
            "second jury",
            "conclude",
            "appeal",
            "appeal",
            "execute",
            "wait",
            "wait",
            "lapse",
            "settle",
            "refund",
            "obstruct",
        ],
        Status::Closed => &["withdraw", "withdraw", "heal", "wait", "close", "gift"],
    }
}

fn state(svm: &Svm, trade: &Trade) -> Option<Deal> {
    let account = svm.account(&trade.deal.address).filter(|account| !account.data.is_empty());
    account.map(|account| solana::read_deal(&account.data).unwrap())
}

/// All lamports but those of who pays the fees, and all tokens of the mint.
fn totals(svm: &Svm, trade: &Trade) -> (u128, u128) {
    let accounts = &svm.vm.accounts_db().inner;
    let payer = key(&svm.payer).to_bytes();
    let mut totals = (0, 0);
    for (address, account) in accounts {
        if address.to_bytes() != payer {
            totals.0 += u128::from(account.lamports());
        }
        let Some(token) = trade.deal.token else { continue };
        if account.owner().to_bytes() == token.program.to_bytes()
            && let Ok(tokens) = StateWithExtensions::<TokenAccount>::unpack(account.data())
            && tokens.base.mint == token.mint
        {
            totals.1 += u128::from(tokens.base.amount);
        }
    }
    totals
}

/// That the deal's accounts hold all that the deal owes.
fn check_held(svm: &Svm, trade: &Trade) {
    let Some(deal) = state(svm, trade) else { return };
    deal.invariant().unwrap();
    let above_rent = svm.lamports(&trade.deal.address).checked_sub(deal.rent.into()).expect("rent is there");
    if deal.status() == Status::Closed && deal.vault == Pubkey::default() && trade.deal.token.is_some() {
        // Retracted before it was funded.
        return assert_eq!(deal.held(), 0);
    }
    let held = match trade.deal.token {
        None => above_rent,
        Some(_) => svm.tokens(&solana::vault_address(trade.deal.id)),
    };
    assert!(held >= deal.held(), "{held} of {} are there", deal.held());
}

fn pay(from: &Keypair, to: Pubkey, lamports: u64) -> Instruction {
    let accounts = vec![AccountMeta::new(key(from), true), AccountMeta::new(to, false)];
    let data = [2_u32.to_le_bytes().to_vec(), lamports.to_le_bytes().to_vec()].concat();
    Instruction { program_id: Pubkey::default(), accounts, data }
}

/// Freezes an account of tokens, or thaws it.
fn freeze(trade: &Trade, account: &Pubkey, thaw: bool) -> Vec<Instruction> {
    let Some(of) = trade.deal.token else { return vec![] };
    let authority = key(&Svm::mint_authority());
    let call = if thaw { token::thaw_account } else { token::freeze_account };
    vec![call(&of.program, account, &of.mint, &authority, &[]).unwrap()]
}

/// Makes a program of a wallet, or a wallet of it again; the lamports stay.
fn set_executable(svm: &mut Svm, wallet: &Pubkey, executable: bool) {
    if executable {
        return svm.make_executable(wallet);
    }
    let lamports = svm.lamports(wallet);
    svm.set_account(wallet, Account { lamports, ..Account::default() });
}

/// The instructions of an action; none where it makes no instruction, or nobody could write one yet.
fn calls(svm: &mut Svm, trade: &Trade, action: &str, number: u64) -> Vec<Instruction> {
    let deal = &trade.deal;
    let (relayer, case) = (key(&trade.relayer), trade.case());
    let now = state(svm, trade);
    let by_seller = number.is_multiple_of(2);
    let party = if by_seller { &trade.seller } else { &trade.buyer };
    // Little ones, which a wallet cannot take, and large ones.
    let part = match number / 2 % 4 {
        0 => 1 + number % 1_000,
        1 => AMOUNT,
        _ => number % (AMOUNT / 2),
    };
    let juries = now.as_ref().map_or(0, |deal| deal.juries);
    let last = juries.saturating_sub(1);
    match action {
        "fund" => deal.fund(&trade.funding(), 0),
        "retract" => vec![deal.retract(key(&trade.seller))],
        "deliver" => deal.deliver(key(&trade.seller), [2; 32].into(), None, 0),
        "release" => {
            let total = part + now.map_or(0, |deal| deal.released);
            let word = bearer(&trade.buyer, 0, &Line::release(deal.id, total));
            deal.release(relayer, total, Some(&word), 0)
        }
        "refund" => {
            let total = part + now.map_or(0, |deal| deal.refunded);
            deal.refund(key(&trade.seller), total, None, 0)
        }
        "dispute" => deal.dispute(key(party), [1; 32].into(), None, 0),
        "settle" => {
            let (status, rulings) = now.map_or((1, 0), |deal| (deal.status, deal.rulings));
            let line = Line::settle(deal.id, part, status, rulings, VALID_UNTIL);
            let [buyer, seller] = [&trade.buyer, &trade.seller].map(|one| Some(signs(one, &line)));
            let offer =
                Settlement { seller_total: part, status, rulings, valid_until: VALID_UNTIL, buyer, seller };
            deal.settle(relayer, &offer, 0)
        }
        "reclaim" => vec![deal.reclaim()],
        "claim" => vec![deal.claim()],
        "lapse" => vec![deal.lapse()],
        "open" => vec![case.open(relayer)],
        "draw" if juries == 1 => vec![case.draw(&trade.hearing())],
        "draw" => {
            let pool = if by_seller { trade.pool() } else { trade.above().0 };
            vec![case.draw_later(last, pool, 0)]
        }
        "second jury" => vec![case.open_second_jury(relayer, last)],
        "ballot" => {
            let ordinal = if by_seller { last } else { last.saturating_sub(1) };
            let there = svm.account(&solana::jury_address(deal.id, ordinal)).is_some();
            if !there || !trade.jury(svm, ordinal).is_drawn() {
                return vec![];
            }
            let share = u16::try_from(number / 2 % 21).unwrap() * 500;
            let seats = 1 + u8::try_from(number / 42 % 3).unwrap();
            let said: Vec<_> = (0..seats).map(|seat| (seat, share)).collect();
            trade.submit(svm, Voting { ordinal, last }, &said)
        }
        "conclude" => vec![case.conclude(if by_seller { last } else { last.saturating_sub(1) }, last)],
        "appeal" => {
            let word = bearer(party, VALID_UNTIL, &Line::appeal(deal.id, VALID_UNTIL));
            case.appeal(relayer, relayer, last, trade.above(), Some(&word), 0)
        }
        "execute" => vec![case.execute(last)],
        "withdraw" => {
            let credit = now.map_or(0, |deal| if by_seller { deal.seller_credit } else { deal.buyer_credit });
            let amount = if (number / 2).is_multiple_of(3) { part } else { credit };
            let to = deal.token.map_or(key(&trade.keeper), |token| {
                solana::associated_token(&key(&trade.keeper), &token.mint, &token.program)
            });
            deal.withdraw(key(party), amount, to, None, 0)
        }
        "close" => {
            let juries: Vec<_> =
                (0..juries).map(|one| (solana::jury_address(deal.id, one), relayer)).collect();
            vec![deal.close(now.map_or(relayer, |deal| deal.rent_payer), &juries)]
        }
        "gift" => match deal.token {
            Some(of) if by_seller => {
                let from = solana::associated_token(&key(&trade.buyer), &of.mint, &of.program);
                let (vault, buyer) = (solana::vault_address(deal.id), key(&trade.buyer));
                let gift = number % 1_000;
                vec![
                    token::transfer_checked(&of.program, &from, &of.mint, &vault, &buyer, &[], gift, 6)
                        .unwrap(),
                ]
            }
            _ => vec![pay(&trade.arbiter, deal.address, 1 + number % 5_000_000)],
        },
        "obstruct" | "heal" => {
            let heal = action == "heal";
            match deal.token {
                // An empty wallet takes no payout below its rent.
                None if (number / 2).is_multiple_of(2) => {
                    let (from, to) = if heal {
                        (&trade.arbiter, key(&trade.seller))
                    } else {
                        (&trade.seller, key(&trade.arbiter))
                    };
                    let lamports = if heal { AMOUNT } else { svm.lamports(&key(from)) };
                    vec![pay(from, to, lamports)]
                }
                None => {
                    set_executable(svm, &key(party), !heal);
                    vec![]
                }
                Some(_) if (number / 2).is_multiple_of(3) => {
                    freeze(trade, &solana::vault_address(deal.id), heal)
                }
                Some(of) => {
                    freeze(trade, &solana::associated_token(&key(party), &of.mint, &of.program), heal)
                }
            }
        }
        "wait" => {
            let hearing = OPENING + VOTING;
            let seconds = [120, INSPECTION, APPEAL, hearing, hearing, hearing, hearing, RULING];
            let seconds = seconds[number as usize % seconds.len()] + 1;
            let later = svm.now() + u64::from(seconds);
            svm.set_time(later);
            vec![]
        }
        other => panic!("{other} is no action"),
    }
}

/// Tries random actions on copies of one machine, and tells which calls went through at least once.
fn run(token: Option<Pubkey>) {
    let mut base = Svm::start();
    let setting = Setting { token, parent: true, ..Setting::default() };
    let trade = Trade::set(&mut base, setting);
    if let Some(token) = trade.deal.token {
        base.give_tokens(&key(&trade.keeper), &token.mint, token.program, 0);
    }
    base.set_time(FUNDED);
    // What random steps alone would seldom reach.
    let reached: [fn(&Trade, &mut Svm); 3] =
        [|_, _| {}, Trade::draw_second, |trade, svm| trade.rule(svm, 2_000)];
    let bases = reached.map(|reach| {
        let mut svm = base.clone();
        reach(&trade, &mut svm);
        svm
    });
    let everybody = [&trade.buyer, &trade.seller, &trade.relayer, &trade.arbiter, &Svm::mint_authority()];
    let done = RefCell::new(BTreeSet::new());
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    // The same cases in every run, so that what they reach can be asserted.
    let rng = proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm);
    let steps = (0..bases.len(), vec((0_u8..8, any::<u16>(), any::<u64>()), 10..60));
    let told = TestRunner::new_with_rng(config, rng).run(&steps, |(at, steps)| {
        let mut svm = bases[at].clone();
        for (odds, choice, number) in steps {
            let status = state(&svm, &trade).map_or(Status::None, |deal| deal.status());
            let from = if odds == 0 { ACTIONS } else { sound(status) };
            let action = from[usize::from(choice) % from.len()];
            let instructions = calls(&mut svm, &trade, action, number);
            if instructions.is_empty() {
                continue;
            }
            let before = totals(&svm, &trade);
            if svm.send(&instructions, &everybody).is_ok() {
                done.borrow_mut().insert(action);
            }
            assert_eq!(totals(&svm, &trade), before, "{action} {number}");
            check_held(&svm, &trade);
            svm.skip_slots(3);
        }
        Ok(())
    });
    told.unwrap();
    let done = done.into_inner();
    let of_program = ACTIONS[..ACTIONS.len() - 4].iter().filter(|action| !RARE.contains(action));
    let missed: Vec<_> = of_program.filter(|action| !done.contains(*action)).collect();
    assert!(missed.is_empty(), "never went through: {missed:?}");
}

#[test]
fn sol_is_conserved() {
    run(None);
}

#[test]
fn tokens_are_conserved() {
    run(Some(TOKEN));
}

#[test]
fn tokens_with_extensions_are_conserved() {
    run(Some(TOKEN_2022));
}

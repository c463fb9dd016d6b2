//! Valid calls of every instruction in its usual forms, each with what brings a machine to where it holds.
//!
//! The tests of what else must be refused and the figures of compute units both stand on this table.

mod cases;
mod deals;
mod pools;

use protocol::solana::{
    Instruction, Line, Pubkey,
    call::{self, Voting},
};
use solana_sdk::signature::Keypair;

use self::{
    cases::{
        appeal, ballot_of_first, ballots, cast, conclude, draw, draw_fourth, draw_second, draw_with_parent,
        execute, open, open_second_jury, ruling,
    },
    deals::{
        approve_call, approved_dispute, claim, close, close_with_juries, deliver, dispute, evidence, fund,
        fund_approved, fund_signed, lapse, reclaim, refund, release, retract, revoke, rule, settle, withdraw,
    },
    pools::{add_members, create_list, create_pool, discard_list, publish_list},
};
use crate::{
    ENDOWMENT, Svm, TOKEN, TOKEN_2022, key, keypair,
    trade::{START, Setting, Trade, signature},
};

/// A call that a machine is ready for.
pub struct Made {
    /// The last one is the program's; those before it carry signatures.
    pub instructions: Vec<Instruction>,
    /// Who signs, besides the payer of fees.
    pub signers: Vec<Keypair>,
}

/// A call in one of its forms.
#[derive(Clone, Copy)]
pub struct Call {
    /// The figure's name.
    pub name: &'static str,
    /// Makes a machine ready, with a trade of that number.
    pub make: fn(&mut Svm, u64) -> Made,
}

fn made(instructions: Vec<Instruction>, signers: &[&Keypair]) -> Made {
    Made { instructions, signers: signers.iter().map(|signer| signer.insecure_clone()).collect() }
}

const COIN: Option<Pubkey> = None;
const SPL: Option<Pubkey> = Some(TOKEN);
const NEW: Option<Pubkey> = Some(TOKEN_2022);
const DOCUMENT: [u8; 32] = [1; 32];

fn trade(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Trade {
    Trade::set(svm, Setting { number, token, ..Setting::default() })
}

fn with_parent(svm: &mut Svm, number: u64, seats: u8, members: u32) -> Trade {
    Trade::set(svm, Setting { number, parent: true, seats, members, ..Setting::default() })
}

/// Every call, in every form that has a figure.
pub const CALLS: &[Call] = &[
    Call { name: "sol_fund", make: |svm, n| fund(svm, n, COIN) },
    Call { name: "sol_fund_signed", make: |svm, n| fund_signed(svm, n, COIN) },
    Call { name: "sol_fund_approved", make: fund_approved },
    Call { name: "sol_release", make: |svm, n| release(svm, n, COIN, false) },
    Call { name: "sol_release_signed", make: |svm, n| release(svm, n, COIN, true) },
    Call { name: "sol_refund", make: |svm, n| refund(svm, n, COIN, false) },
    Call { name: "sol_refund_signed", make: |svm, n| refund(svm, n, COIN, true) },
    Call { name: "sol_reclaim", make: |svm, n| reclaim(svm, n, COIN) },
    Call { name: "sol_claim", make: |svm, n| claim(svm, n, COIN) },
    Call { name: "sol_lapse", make: |svm, n| lapse(svm, n, COIN) },
    Call { name: "sol_rule", make: |svm, n| rule(svm, n, COIN) },
    Call { name: "sol_settle", make: |svm, n| settle(svm, n, COIN, false) },
    Call { name: "sol_settle_approved", make: |svm, n| settle(svm, n, COIN, true) },
    Call { name: "sol_withdraw", make: |svm, n| withdraw(svm, n, COIN, false) },
    Call { name: "sol_withdraw_signed", make: |svm, n| withdraw(svm, n, COIN, true) },
    Call { name: "sol_close", make: |svm, n| close(svm, n, COIN) },
    Call { name: "sol_close_2_juries", make: close_with_juries },
    Call { name: "sol_dispute", make: |svm, n| dispute(svm, n, false) },
    Call { name: "sol_dispute_signed", make: |svm, n| dispute(svm, n, true) },
    Call { name: "sol_dispute_approved", make: approved_dispute },
    Call { name: "spl_fund", make: |svm, n| fund(svm, n, SPL) },
    Call { name: "spl_fund_signed", make: |svm, n| fund_signed(svm, n, SPL) },
    Call { name: "spl_release", make: |svm, n| release(svm, n, SPL, false) },
    Call { name: "spl_release_signed", make: |svm, n| release(svm, n, SPL, true) },
    Call { name: "spl_refund", make: |svm, n| refund(svm, n, SPL, false) },
    Call { name: "spl_reclaim", make: |svm, n| reclaim(svm, n, SPL) },
    Call { name: "spl_claim", make: |svm, n| claim(svm, n, SPL) },
    Call { name: "spl_lapse", make: |svm, n| lapse(svm, n, SPL) },
    Call { name: "spl_rule", make: |svm, n| rule(svm, n, SPL) },
    Call { name: "spl_settle", make: |svm, n| settle(svm, n, SPL, false) },
    Call { name: "spl_withdraw", make: |svm, n| withdraw(svm, n, SPL, false) },
    Call { name: "spl_withdraw_signed", make: |svm, n| withdraw(svm, n, SPL, true) },
    Call { name: "spl_close", make: |svm, n| close(svm, n, SPL) },
    Call { name: "spl_ruling_2_of_3", make: |svm, n| ruling(svm, n, SPL, 2) },
    Call { name: "spl_conclude", make: |svm, n| conclude(svm, n, SPL) },
    Call { name: "spl_execute", make: |svm, n| execute(svm, n, SPL) },
    Call { name: "token2022_fund", make: |svm, n| fund(svm, n, NEW) },
    Call { name: "token2022_fund_signed", make: |svm, n| fund_signed(svm, n, NEW) },
    Call { name: "token2022_release", make: |svm, n| release(svm, n, NEW, false) },
    Call { name: "token2022_settle", make: |svm, n| settle(svm, n, NEW, false) },
    Call { name: "token2022_withdraw", make: |svm, n| withdraw(svm, n, NEW, false) },
    Call { name: "token2022_close", make: |svm, n| close(svm, n, NEW) },
    Call { name: "deliver", make: |svm, n| deliver(svm, n, false) },
    Call { name: "deliver_signed", make: |svm, n| deliver(svm, n, true) },
    Call { name: "evidence", make: |svm, n| evidence(svm, n, false) },
    Call { name: "evidence_signed", make: |svm, n| evidence(svm, n, true) },
    Call { name: "retract", make: retract },
    Call { name: "approve", make: approve_call },
    Call { name: "revoke", make: |svm, n| revoke(svm, n, false) },
    Call { name: "revoke_approved", make: |svm, n| revoke(svm, n, true) },
    Call { name: "create_pool", make: |svm, n| create_pool(svm, n, false) },
    Call { name: "create_pool_with_parent", make: |svm, n| create_pool(svm, n, true) },
    Call { name: "create_list", make: create_list },
    Call { name: "add_members_28", make: add_members },
    Call { name: "discard_list", make: discard_list },
    Call { name: "publish_list", make: publish_list },
    Call { name: "open", make: open },
    Call { name: "draw_3", make: |svm, n| draw(svm, n, 3, 0) },
    Call { name: "draw_31", make: |svm, n| draw(svm, n, 31, 0) },
    Call { name: "draw_3_with_parent", make: draw_with_parent },
    Call { name: "draw_second_jury_3", make: draw_second },
    Call { name: "open_second_jury", make: open_second_jury },
    Call { name: "cast", make: |svm, n| cast(svm, n, COIN, false) },
    Call { name: "spl_cast_beside_second_jury", make: |svm, n| cast(svm, n, SPL, true) },
    Call { name: "ballot", make: |svm, n| ballots(svm, n, COIN, 3, 1) },
    Call { name: "ballot_beside_second_jury", make: ballot_of_first },
    Call { name: "spl_ballot", make: |svm, n| ballots(svm, n, SPL, 3, 1) },
    Call { name: "sol_ruling_2_of_3", make: |svm, n| ruling(svm, n, COIN, 2) },
    Call { name: "sol_ruling_3_of_3", make: |svm, n| ruling(svm, n, COIN, 3) },
    Call { name: "sol_conclude", make: |svm, n| conclude(svm, n, COIN) },
    Call { name: "sol_execute", make: |svm, n| execute(svm, n, COIN) },
    Call { name: "appeal", make: |svm, n| appeal(svm, n, false) },
    Call { name: "appeal_signed", make: |svm, n| appeal(svm, n, true) },
];

/// The calls that do most: their figures are bounds.
pub const LARGEST: &[Call] = &[
    Call { name: "draw_31_of_76800", make: |svm, n| draw(svm, n, 31, 76_800) },
    Call { name: "draw_fourth_jury_31", make: |svm, n| draw_fourth(svm, n, 31, 0) },
    Call { name: "ballots_3_of_31", make: |svm, n| ballots(svm, n, COIN, 31, 3) },
    Call { name: "spl_ballots_2_of_31", make: |svm, n| ballots(svm, n, SPL, 31, 2) },
];

/// An endowed account that has no part in anything.
pub fn stranger(svm: &mut Svm) -> Keypair {
    let stranger = keypair(START);
    svm.endow(&key(&stranger), ENDOWMENT);
    stranger
}

/// As many signed ballots as a transaction has bytes for.
pub fn most_ballots(svm: &mut Svm, token: Option<Pubkey>) -> u8 {
    let trade = Trade::set(svm, Setting { number: 7, token, seats: 31, ..Setting::default() });
    trade.draw(svm);
    let size = |svm: &mut Svm, count: u8| {
        let said: Vec<_> = (0..count).map(|seat| (seat, 500)).collect();
        let call = trade.submit(svm, Voting { ordinal: 0, last: 0 }, &said);
        crate::wire_size(&svm.transaction(&call, &[]))
    };
    (1..31).take_while(|count| size(svm, *count) <= crate::PACKET).last().unwrap_or_default()
}

/// An Ed25519 signature of somebody over anything: for what must not count.
pub fn brought(by: &Keypair, line: &Line) -> call::Brought {
    call::Brought { key: key(by), message: line.bytes(), signature: signature(by, line) }
}

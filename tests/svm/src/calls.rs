//! Valid calls of every instruction in its usual forms, each with what brings a machine to where it holds.
//!
//! The tests of what else must be refused and the figures of compute units both stand on this table.

use alloy::primitives::B256;
use protocol::solana::{
    self, Instruction, Line, Pubkey,
    call::{self, Bearer, Funding, Settlement, Voting, Word},
    state::RuleBook,
};
use solana_sdk::signature::Keypair;

use crate::{
    ENDOWMENT, Svm, TOKEN, TOKEN_2022, key, keypair,
    trade::{
        AMOUNT, DELIVER_BY, FUND_BY, FUNDED, INSPECTION, MOVED, RULING, START, Setting, Trade, VALID_UNTIL,
        bearer, signature, signs,
    },
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

fn without_pools(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Trade {
    Trade::set(svm, Setting { number, token, pools: false, ..Setting::default() })
}

fn fund(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
    let trade = trade(svm, number, token);
    svm.set_time(FUNDED);
    made(trade.deal.fund(&trade.funding(), 0), &[&trade.buyer])
}

/// Both by signature; tokens by the buyer's allowance.
fn fund_signed(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
    let trade = trade(svm, number, token);
    if let Some((mint, program)) = trade.deal.token.map(|token| (token.mint, token.program)) {
        svm.allow(&trade.buyer, &mint, program, &solana::allowance(), AMOUNT);
    }
    svm.set_time(FUNDED);
    let line = Line::fund(trade.deal.id, VALID_UNTIL);
    let buyer = Some(bearer(&trade.buyer, VALID_UNTIL, &line));
    let funding = Funding { payer: key(&trade.relayer), buyer, ..trade.funding() };
    made(trade.deal.fund(&funding, 0), &[&trade.relayer])
}

/// Both approved on chain, and somebody else pays.
fn fund_approved(svm: &mut Svm, number: u64) -> Made {
    let trade = trade(svm, number, COIN);
    svm.set_time(FUNDED);
    let line = Line::fund(trade.deal.id, VALID_UNTIL);
    approve(svm, &trade.buyer, line.digest);
    approve(svm, &trade.seller, trade.deal.id);
    let buyer = Bearer { signer: key(&trade.buyer), valid_until: VALID_UNTIL, word: Word::Approval };
    let funding = Funding {
        payer: key(&trade.relayer),
        buyer: Some(buyer),
        seller: Some(Word::Approval),
        source: None,
    };
    made(trade.deal.fund(&funding, 0), &[&trade.relayer])
}

fn approve(svm: &mut Svm, signer: &Keypair, digest: B256) {
    let payer = key(&svm.payer);
    svm.must(&[call::approve(payer, key(signer), digest)], &[signer]);
}

/// The parties' ways to say something: themselves, or by signature.
fn said(
    trade: &Trade,
    by_seller: bool,
    signed: bool,
    line: fn(&Trade) -> Line,
    call: fn(&Trade, Pubkey, Option<&Bearer>) -> Vec<Instruction>,
) -> Made {
    let by = if by_seller { &trade.seller } else { &trade.buyer };
    if !signed {
        return made(call(trade, key(by), None), &[by]);
    }
    let bearer = bearer(by, VALID_UNTIL, &line(trade));
    made(call(trade, key(&trade.relayer), Some(&bearer)), &[&trade.relayer])
}

fn release(svm: &mut Svm, number: u64, token: Option<Pubkey>, signed: bool) -> Made {
    let line = |trade: &Trade| Line::release(trade.deal.id, AMOUNT);
    let trade = trade(svm, number, token);
    trade.fund(svm);
    said(&trade, false, signed, line, |trade, caller, bearer| trade.deal.release(caller, AMOUNT, bearer, 0))
}

fn refund(svm: &mut Svm, number: u64, token: Option<Pubkey>, signed: bool) -> Made {
    let line = |trade: &Trade| Line::refund(trade.deal.id, AMOUNT / 4);
    let trade = trade(svm, number, token);
    trade.fund(svm);
    said(&trade, true, signed, line, |trade, caller, bearer| trade.deal.refund(caller, AMOUNT / 4, bearer, 0))
}

fn deliver(svm: &mut Svm, number: u64, signed: bool) -> Made {
    let line = |trade: &Trade| Line::deliver(trade.deal.id, DOCUMENT.into(), VALID_UNTIL);
    let trade = trade(svm, number, COIN);
    trade.fund(svm);
    said(&trade, true, signed, line, |trade, caller, bearer| {
        trade.deal.deliver(caller, DOCUMENT.into(), bearer, 0)
    })
}

fn dispute(svm: &mut Svm, number: u64, signed: bool) -> Made {
    let line = |trade: &Trade| Line::dispute(trade.deal.id, DOCUMENT.into(), VALID_UNTIL);
    let trade = trade(svm, number, COIN);
    trade.fund(svm);
    said(&trade, false, signed, line, |trade, caller, bearer| {
        trade.deal.dispute(caller, DOCUMENT.into(), bearer, 0)
    })
}

fn evidence(svm: &mut Svm, number: u64, signed: bool) -> Made {
    const URI: &str = "ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
    let line = |trade: &Trade| Line::evidence(trade.deal.id, DOCUMENT.into(), URI, VALID_UNTIL);
    let trade = trade(svm, number, COIN);
    trade.dispute(svm);
    said(&trade, true, signed, line, |trade, caller, bearer| {
        trade.deal.evidence(caller, DOCUMENT.into(), URI.into(), bearer, 0)
    })
}

fn approved_dispute(svm: &mut Svm, number: u64) -> Made {
    let trade = trade(svm, number, COIN);
    trade.fund(svm);
    let line = Line::dispute(trade.deal.id, DOCUMENT.into(), VALID_UNTIL);
    approve(svm, &trade.buyer, line.digest);
    let bearer = Bearer { signer: key(&trade.buyer), valid_until: VALID_UNTIL, word: Word::Approval };
    let call = trade.deal.dispute(key(&trade.relayer), DOCUMENT.into(), Some(&bearer), 0);
    made(call, &[&trade.relayer])
}

fn retract(svm: &mut Svm, number: u64) -> Made {
    let trade = trade(svm, number, COIN);
    svm.set_time(FUNDED);
    made(vec![trade.deal.retract(key(&trade.seller))], &[&trade.seller])
}

fn reclaim(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
    let trade = trade(svm, number, token);
    trade.fund(svm);
    svm.set_time(DELIVER_BY + 1);
    made(vec![trade.deal.reclaim()], &[])
}

fn claim(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
    let trade = trade(svm, number, token);
    trade.deliver(svm);
    svm.set_time(MOVED + u64::from(INSPECTION) + 1);
    made(vec![trade.deal.claim()], &[])
}

fn lapse(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
    let trade = trade(svm, number, token);
    trade.dispute(svm);
    svm.set_time(MOVED + u64::from(RULING) + 1);
    made(vec![trade.deal.lapse()], &[])
}

fn rule(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
    let trade = without_pools(svm, number, token);
    trade.dispute(svm);
    made(vec![trade.deal.rule(key(&trade.arbiter), 2_500)], &[&trade.arbiter])
}

/// By both signatures, or by the buyer and the seller's approval.
fn settle(svm: &mut Svm, number: u64, token: Option<Pubkey>, approved: bool) -> Made {
    let trade = trade(svm, number, token);
    trade.fund(svm);
    let line = Line::settle(trade.deal.id, AMOUNT / 4, 1, 0, VALID_UNTIL);
    let (buyer, seller) = if approved {
        approve(svm, &trade.seller, line.digest);
        (None, Word::Approval)
    } else {
        (Some(signs(&trade.buyer, &line)), signs(&trade.seller, &line))
    };
    let caller = if approved { &trade.buyer } else { &trade.relayer };
    let offer = Settlement {
        seller_total: AMOUNT / 4,
        status: 1,
        rulings: 0,
        valid_until: VALID_UNTIL,
        buyer,
        seller: Some(seller),
    };
    made(trade.deal.settle(key(caller), &offer, 0), &[caller])
}

/// The seller could not receive, and takes its credit.
fn withdraw(svm: &mut Svm, number: u64, token: Option<Pubkey>, signed: bool) -> Made {
    let trade = trade(svm, number, token);
    trade.fund(svm);
    credit(svm, &trade);
    let to = match trade.deal.token {
        None => key(&trade.keeper),
        Some(token) => svm.give_tokens(&key(&trade.keeper), &token.mint, token.program, 0),
    };
    let line = Line::withdraw(trade.deal.id, &key(&trade.seller), AMOUNT, &to, 0, VALID_UNTIL);
    if !signed {
        return made(trade.deal.withdraw(key(&trade.seller), AMOUNT, to, None, 0), &[&trade.seller]);
    }
    let bearer = bearer(&trade.seller, VALID_UNTIL, &line);
    let call = trade.deal.withdraw(key(&trade.relayer), AMOUNT, to, Some((&bearer, 0)), 0);
    made(call, &[&trade.relayer])
}

/// Releases everything while the seller's account is not there or cannot hold coin.
fn credit(svm: &mut Svm, trade: &Trade) {
    let deaf = match trade.deal.token {
        None => key(&trade.seller),
        Some(token) => solana::associated_token(&key(&trade.seller), &token.mint, &token.program),
    };
    let before = svm.account(&deaf).unwrap();
    match trade.deal.token {
        None => svm.make_executable(&deaf),
        Some(_) => svm.set_account(&deaf, solana_sdk::account::Account::default()),
    }
    svm.must(&trade.deal.release(key(&trade.buyer), AMOUNT, None, 0), &[&trade.buyer]);
    svm.set_account(&deaf, before);
    assert_eq!(trade.state(svm).seller_credit, AMOUNT);
}

fn close(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
    let trade = trade(svm, number, token);
    trade.fund(svm);
    svm.must(&trade.deal.release(key(&trade.buyer), AMOUNT, None, 0), &[&trade.buyer]);
    svm.set_time(FUND_BY + 1);
    made(vec![trade.deal.close(key(&trade.buyer), &[])], &[])
}

fn close_with_juries(svm: &mut Svm, number: u64) -> Made {
    let trade = with_parent(svm, number, 1, 0);
    trade.appeal(svm);
    svm.must(&trade.deal.release(key(&trade.buyer), AMOUNT, None, 0), &[&trade.buyer]);
    svm.set_time(FUND_BY + 1);
    let jury = |ordinal| (solana::jury_address(trade.deal.id, ordinal), key(&trade.relayer));
    made(vec![trade.deal.close(key(&trade.buyer), &[jury(0), jury(1)])], &[])
}

fn approve_call(svm: &mut Svm, number: u64) -> Made {
    let trade = trade(svm, number, COIN);
    let call = call::approve(key(&trade.relayer), key(&trade.seller), trade.deal.id);
    made(vec![call], &[&trade.relayer, &trade.seller])
}

fn revoke(svm: &mut Svm, number: u64, approved: bool) -> Made {
    let trade = trade(svm, number, COIN);
    if approved {
        approve(svm, &trade.seller, trade.deal.id);
    }
    let call = call::revoke(key(&trade.relayer), key(&trade.seller), trade.deal.id);
    made(vec![call], &[&trade.relayer, &trade.seller])
}

fn another_book(trade: &Trade) -> RuleBook {
    RuleBook { salt: [3; 32], ..trade.book.clone() }
}

fn create_pool(svm: &mut Svm, number: u64, parent: bool) -> Made {
    let trade = if parent { with_parent(svm, number, 3, 0) } else { trade(svm, number, COIN) };
    made(vec![call::create_pool(key(&trade.relayer), another_book(&trade))], &[&trade.relayer])
}

/// A pool's next list, with this many members.
fn begun(svm: &mut Svm, number: u64, members: usize) -> Trade {
    let trade = trade(svm, number, COIN);
    let keeper = key(&trade.keeper);
    svm.must(&[call::create_list(keeper, trade.pool(), 1)], &[&trade.keeper]);
    if members > 0 {
        let members = trade.members[..members].to_vec();
        svm.must(&[call::add_members(keeper, trade.pool(), 1, 0, members)], &[&trade.keeper]);
    }
    trade
}

fn create_list(svm: &mut Svm, number: u64) -> Made {
    let trade = trade(svm, number, COIN);
    made(vec![call::create_list(key(&trade.keeper), trade.pool(), 1)], &[&trade.keeper])
}

fn add_members(svm: &mut Svm, number: u64) -> Made {
    let trade = begun(svm, number, 0);
    let mut members: Vec<Pubkey> =
        (0..call::LARGEST_CHUNK).map(|one| key(&keypair(number * 1_000_000 + 5_000 + one as u64))).collect();
    members.sort_unstable();
    made(vec![call::add_members(key(&trade.keeper), trade.pool(), 1, 0, members)], &[&trade.keeper])
}

fn discard_list(svm: &mut Svm, number: u64) -> Made {
    let trade = begun(svm, number, 8);
    let keeper = key(&trade.keeper);
    made(vec![call::discard_list(keeper, trade.pool(), 1, keeper)], &[&trade.keeper])
}

fn publish_list(svm: &mut Svm, number: u64) -> Made {
    let trade = begun(svm, number, 8);
    made(vec![call::publish_list(key(&trade.keeper), trade.pool(), 1)], &[&trade.keeper])
}

fn open(svm: &mut Svm, number: u64) -> Made {
    let trade = trade(svm, number, COIN);
    trade.dispute(svm);
    made(vec![trade.case().open(key(&trade.relayer))], &[&trade.relayer])
}

fn draw(svm: &mut Svm, number: u64, seats: u8, members: u32) -> Made {
    let trade = Trade::set(svm, Setting { number, seats, members, ..Setting::default() });
    trade.open(svm);
    made(vec![trade.case().draw(&trade.hearing())], &[])
}

/// A pool's second list, which is in effect from now on only.
fn publish_another(svm: &mut Svm, trade: &Trade, pool: B256) {
    let keeper = key(&trade.keeper);
    svm.must(&[call::create_list(keeper, pool, 1)], &[&trade.keeper]);
    svm.must(&[call::add_members(keeper, pool, 1, 0, trade.members.clone())], &[&trade.keeper]);
    svm.must(&[call::publish_list(keeper, pool, 1)], &[&trade.keeper]);
}

/// Two lists of the pool and two of its parent show who hears the case.
fn draw_with_parent(svm: &mut Svm, number: u64) -> Made {
    let trade = with_parent(svm, number, 3, 0);
    trade.open(svm);
    let mut hearing = trade.hearing();
    for pool in [trade.pool(), trade.above().0] {
        publish_another(svm, &trade, pool);
    }
    hearing.own.next = Some(1);
    hearing.parent.as_mut().unwrap().1.next = Some(1);
    made(vec![trade.case().draw(&hearing)], &[])
}

fn draw_second(svm: &mut Svm, number: u64) -> Made {
    let trade = trade(svm, number, COIN);
    trade.draw(svm);
    trade.open_second(svm);
    made(vec![trade.case().draw_later(1, trade.pool(), 0)], &[])
}

/// The fourth jury of a case, after three of this many seats each.
fn draw_fourth(svm: &mut Svm, number: u64, seats: u8, members: u32) -> Made {
    let trade = with_parent(svm, number, seats, members);
    trade.draw_second(svm);
    let most: Vec<_> = (0..seats / 2 + 1).map(|seat| (seat, 2_000)).collect();
    for said in most.chunks(3) {
        let call = trade.submit(svm, Voting { ordinal: 1, last: 1 }, said);
        svm.must(&call, &[]);
    }
    let (relayer, parent) = (key(&trade.relayer), trade.above());
    let appeal = trade.case().appeal(relayer, key(&trade.buyer), 1, parent, None, 0);
    svm.must(&appeal, &[&trade.relayer, &trade.buyer]);
    svm.skip_slots(3);
    svm.must(&[trade.case().draw_later(2, parent.0, 0)], &[]);
    let closes = trade.jury(svm, 2).first_closes_at;
    svm.set_time(closes + 1);
    svm.must(&[trade.case().open_second_jury(relayer, 2)], &[&trade.relayer]);
    svm.skip_slots(3);
    made(vec![trade.case().draw_later(3, parent.0, 0)], &[])
}

fn open_second_jury(svm: &mut Svm, number: u64) -> Made {
    let trade = trade(svm, number, COIN);
    trade.draw(svm);
    svm.set_time(trade.second());
    made(vec![trade.case().open_second_jury(key(&trade.relayer), 0)], &[&trade.relayer])
}

/// A ballot of the first jury, while a second one sits.
fn cast(svm: &mut Svm, number: u64, token: Option<Pubkey>, second: bool) -> Made {
    let trade = trade(svm, number, token);
    if second {
        trade.draw_second(svm);
    } else {
        trade.draw(svm);
    }
    let juror = trade.juror(svm, 0, 1);
    let voting = Voting { ordinal: 0, last: u8::from(second) };
    made(vec![trade.case().cast(voting, key(&juror), 1, 5_000, DOCUMENT.into())], &[&juror])
}

/// Signed ballots that decide nothing.
fn ballots(svm: &mut Svm, number: u64, token: Option<Pubkey>, seats: u8, count: u8) -> Made {
    let trade = Trade::set(svm, Setting { number, token, seats, ..Setting::default() });
    trade.draw(svm);
    let said: Vec<_> = (0..count).map(|seat| (seat, u16::from(seat) * 500)).collect();
    made(trade.submit(svm, Voting { ordinal: 0, last: 0 }, &said), &[])
}

/// One ballot of the first jury, while a second one sits.
fn ballot_of_first(svm: &mut Svm, number: u64) -> Made {
    let trade = trade(svm, number, COIN);
    trade.draw_second(svm);
    made(trade.submit(svm, Voting { ordinal: 0, last: 1 }, &[(0, 5_000)]), &[])
}

/// Ballots of three seats that rule, which pays both parties.
fn ruling(svm: &mut Svm, number: u64, token: Option<Pubkey>, count: u8) -> Made {
    let trade = trade(svm, number, token);
    trade.draw(svm);
    let said: Vec<_> = (0..count).map(|seat| (seat, 2_500)).collect();
    made(trade.submit(svm, Voting { ordinal: 0, last: 0 }, &said), &[])
}

fn conclude(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
    let trade = trade(svm, number, token);
    trade.draw_second(svm);
    let call = trade.submit(svm, Voting { ordinal: 0, last: 1 }, &[(0, 5_000)]);
    svm.must(&call, &[]);
    svm.set_time(trade.over());
    made(vec![trade.case().conclude(0, 1)], &[])
}

fn appeal(svm: &mut Svm, number: u64, signed: bool) -> Made {
    let trade = with_parent(svm, number, 3, 0);
    trade.rule(svm, 2_000);
    let relayer = key(&trade.relayer);
    if !signed {
        publish_another(svm, &trade, trade.above().0);
        let (parent, mut shown) = trade.above();
        shown.next = Some(1);
        let call = trade.case().appeal(relayer, key(&trade.buyer), 0, (parent, shown), None, 0);
        return made(call, &[&trade.relayer, &trade.buyer]);
    }
    let bearer = bearer(&trade.buyer, VALID_UNTIL, &Line::appeal(trade.deal.id, VALID_UNTIL));
    made(trade.case().appeal(relayer, relayer, 0, trade.above(), Some(&bearer), 0), &[&trade.relayer])
}

fn execute(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
    let trade = Trade::set(svm, Setting { number, token, parent: true, ..Setting::default() });
    trade.rule(svm, 2_500);
    svm.set_time(MOVED + u64::from(crate::trade::APPEAL) + 1);
    made(vec![trade.case().execute(0)], &[])
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

//! Calls of a deal: its money, what the parties say of it, and their approvals.

use alloy::primitives::B256;
use protocol::solana::{
    self, Instruction, Line, Pubkey,
    call::{self, Bearer, Funding, Settlement, Word},
};
use solana_sdk::signature::Keypair;

use super::{COIN, DOCUMENT, Made, made, trade, with_parent};
use crate::{
    Svm, key,
    trade::{
        AMOUNT, DELIVER_BY, FUND_BY, FUNDED, INSPECTION, MOVED, RULING, Setting, Trade, VALID_UNTIL, bearer,
        signs,
    },
};

fn without_pools(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Trade {
    Trade::set(svm, Setting { number, token, pools: false, ..Setting::default() })
}

pub(super) fn fund(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
    let trade = trade(svm, number, token);
    svm.set_time(FUNDED);
    made(trade.deal.fund(&trade.funding(), 0), &[&trade.buyer])
}

/// Both by signature; tokens by the buyer's allowance.
pub(super) fn fund_signed(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
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
pub(super) fn fund_approved(svm: &mut Svm, number: u64) -> Made {
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

pub(super) fn release(svm: &mut Svm, number: u64, token: Option<Pubkey>, signed: bool) -> Made {
    let line = |trade: &Trade| Line::release(trade.deal.id, AMOUNT);
    let trade = trade(svm, number, token);
    trade.fund(svm);
    said(&trade, false, signed, line, |trade, caller, bearer| trade.deal.release(caller, AMOUNT, bearer, 0))
}

pub(super) fn refund(svm: &mut Svm, number: u64, token: Option<Pubkey>, signed: bool) -> Made {
    let line = |trade: &Trade| Line::refund(trade.deal.id, AMOUNT / 4);
    let trade = trade(svm, number, token);
    trade.fund(svm);
    said(&trade, true, signed, line, |trade, caller, bearer| trade.deal.refund(caller, AMOUNT / 4, bearer, 0))
}

pub(super) fn deliver(svm: &mut Svm, number: u64, signed: bool) -> Made {
    let line = |trade: &Trade| Line::deliver(trade.deal.id, DOCUMENT.into(), VALID_UNTIL);
    let trade = trade(svm, number, COIN);
    trade.fund(svm);
    said(&trade, true, signed, line, |trade, caller, bearer| {
        trade.deal.deliver(caller, DOCUMENT.into(), bearer, 0)
    })
}

pub(super) fn dispute(svm: &mut Svm, number: u64, signed: bool) -> Made {
    let line = |trade: &Trade| Line::dispute(trade.deal.id, DOCUMENT.into(), VALID_UNTIL);
    let trade = trade(svm, number, COIN);
    trade.fund(svm);
    said(&trade, false, signed, line, |trade, caller, bearer| {
        trade.deal.dispute(caller, DOCUMENT.into(), bearer, 0)
    })
}

pub(super) fn evidence(svm: &mut Svm, number: u64, signed: bool) -> Made {
    const URI: &str = "ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
    let line = |trade: &Trade| Line::evidence(trade.deal.id, DOCUMENT.into(), URI, VALID_UNTIL);
    let trade = trade(svm, number, COIN);
    trade.dispute(svm);
    said(&trade, true, signed, line, |trade, caller, bearer| {
        trade.deal.evidence(caller, DOCUMENT.into(), URI.into(), bearer, 0)
    })
}

pub(super) fn approved_dispute(svm: &mut Svm, number: u64) -> Made {
    let trade = trade(svm, number, COIN);
    trade.fund(svm);
    let line = Line::dispute(trade.deal.id, DOCUMENT.into(), VALID_UNTIL);
    approve(svm, &trade.buyer, line.digest);
    let bearer = Bearer { signer: key(&trade.buyer), valid_until: VALID_UNTIL, word: Word::Approval };
    let call = trade.deal.dispute(key(&trade.relayer), DOCUMENT.into(), Some(&bearer), 0);
    made(call, &[&trade.relayer])
}

pub(super) fn retract(svm: &mut Svm, number: u64) -> Made {
    let trade = trade(svm, number, COIN);
    svm.set_time(FUNDED);
    made(vec![trade.deal.retract(key(&trade.seller))], &[&trade.seller])
}

pub(super) fn reclaim(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
    let trade = trade(svm, number, token);
    trade.fund(svm);
    svm.set_time(DELIVER_BY + 1);
    made(vec![trade.deal.reclaim()], &[])
}

pub(super) fn claim(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
    let trade = trade(svm, number, token);
    trade.deliver(svm);
    svm.set_time(MOVED + u64::from(INSPECTION) + 1);
    made(vec![trade.deal.claim()], &[])
}

pub(super) fn lapse(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
    let trade = trade(svm, number, token);
    trade.dispute(svm);
    svm.set_time(MOVED + u64::from(RULING) + 1);
    made(vec![trade.deal.lapse()], &[])
}

pub(super) fn rule(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
    let trade = without_pools(svm, number, token);
    trade.dispute(svm);
    made(vec![trade.deal.rule(key(&trade.arbiter), 2_500)], &[&trade.arbiter])
}

/// By both signatures, or by the buyer and the seller's approval.
pub(super) fn settle(svm: &mut Svm, number: u64, token: Option<Pubkey>, approved: bool) -> Made {
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
pub(super) fn withdraw(svm: &mut Svm, number: u64, token: Option<Pubkey>, signed: bool) -> Made {
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

pub(super) fn close(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
    let trade = trade(svm, number, token);
    trade.fund(svm);
    svm.must(&trade.deal.release(key(&trade.buyer), AMOUNT, None, 0), &[&trade.buyer]);
    svm.set_time(FUND_BY + 1);
    made(vec![trade.deal.close(key(&trade.buyer), &[])], &[])
}

pub(super) fn close_with_juries(svm: &mut Svm, number: u64) -> Made {
    let trade = with_parent(svm, number, 1, 0);
    trade.appeal(svm);
    svm.must(&trade.deal.release(key(&trade.buyer), AMOUNT, None, 0), &[&trade.buyer]);
    svm.set_time(FUND_BY + 1);
    let jury = |ordinal| (solana::jury_address(trade.deal.id, ordinal), key(&trade.relayer));
    made(vec![trade.deal.close(key(&trade.buyer), &[jury(0), jury(1)])], &[])
}

pub(super) fn approve_call(svm: &mut Svm, number: u64) -> Made {
    let trade = trade(svm, number, COIN);
    let call = call::approve(key(&trade.relayer), key(&trade.seller), trade.deal.id);
    made(vec![call], &[&trade.relayer, &trade.seller])
}

pub(super) fn revoke(svm: &mut Svm, number: u64, approved: bool) -> Made {
    let trade = trade(svm, number, COIN);
    if approved {
        approve(svm, &trade.seller, trade.deal.id);
    }
    let call = call::revoke(key(&trade.relayer), key(&trade.seller), trade.deal.id);
    made(vec![call], &[&trade.relayer, &trade.seller])
}

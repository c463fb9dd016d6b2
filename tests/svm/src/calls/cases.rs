//! Calls of a case: its juries, their ballots, and what comes of them.

use alloy::primitives::B256;
use protocol::solana::{
    Line, Pubkey,
    call::{self, Voting},
};

use super::{COIN, DOCUMENT, Made, made, trade, with_parent};
use crate::{
    Svm, key,
    trade::{APPEAL, MOVED, Setting, Trade, VALID_UNTIL, bearer},
};

pub(super) fn open(svm: &mut Svm, number: u64) -> Made {
    let trade = trade(svm, number, COIN);
    trade.dispute(svm);
    made(vec![trade.case().open(key(&trade.relayer))], &[&trade.relayer])
}

pub(super) fn draw(svm: &mut Svm, number: u64, seats: u8, members: u32) -> Made {
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
pub(super) fn draw_with_parent(svm: &mut Svm, number: u64) -> Made {
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

pub(super) fn draw_second(svm: &mut Svm, number: u64) -> Made {
    let trade = trade(svm, number, COIN);
    trade.draw(svm);
    trade.open_second(svm);
    made(vec![trade.case().draw_later(1, trade.pool(), 0)], &[])
}

/// The fourth jury of a case, after three of this many seats each.
pub(super) fn draw_fourth(svm: &mut Svm, number: u64, seats: u8, members: u32) -> Made {
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

pub(super) fn open_second_jury(svm: &mut Svm, number: u64) -> Made {
    let trade = trade(svm, number, COIN);
    trade.draw(svm);
    svm.set_time(trade.second());
    made(vec![trade.case().open_second_jury(key(&trade.relayer), 0)], &[&trade.relayer])
}

/// A ballot of the first jury, while a second one sits.
pub(super) fn cast(svm: &mut Svm, number: u64, token: Option<Pubkey>, second: bool) -> Made {
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
pub(super) fn ballots(svm: &mut Svm, number: u64, token: Option<Pubkey>, seats: u8, count: u8) -> Made {
    let trade = Trade::set(svm, Setting { number, token, seats, ..Setting::default() });
    trade.draw(svm);
    let said: Vec<_> = (0..count).map(|seat| (seat, u16::from(seat) * 500)).collect();
    made(trade.submit(svm, Voting { ordinal: 0, last: 0 }, &said), &[])
}

/// One ballot of the first jury, while a second one sits.
pub(super) fn ballot_of_first(svm: &mut Svm, number: u64) -> Made {
    let trade = trade(svm, number, COIN);
    trade.draw_second(svm);
    made(trade.submit(svm, Voting { ordinal: 0, last: 1 }, &[(0, 5_000)]), &[])
}

/// Ballots of three seats that rule, which pays both parties.
pub(super) fn ruling(svm: &mut Svm, number: u64, token: Option<Pubkey>, count: u8) -> Made {
    let trade = trade(svm, number, token);
    trade.draw(svm);
    let said: Vec<_> = (0..count).map(|seat| (seat, 2_500)).collect();
    made(trade.submit(svm, Voting { ordinal: 0, last: 0 }, &said), &[])
}

pub(super) fn conclude(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
    let trade = trade(svm, number, token);
    trade.draw_second(svm);
    let call = trade.submit(svm, Voting { ordinal: 0, last: 1 }, &[(0, 5_000)]);
    svm.must(&call, &[]);
    svm.set_time(trade.over());
    made(vec![trade.case().conclude(0, 1)], &[])
}

pub(super) fn appeal(svm: &mut Svm, number: u64, signed: bool) -> Made {
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

pub(super) fn execute(svm: &mut Svm, number: u64, token: Option<Pubkey>) -> Made {
    let trade = Trade::set(svm, Setting { number, token, parent: true, ..Setting::default() });
    trade.rule(svm, 2_500);
    svm.set_time(MOVED + u64::from(APPEAL) + 1);
    made(vec![trade.case().execute(0)], &[])
}

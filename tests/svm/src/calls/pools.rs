//! Calls of a pool and its lists.

use protocol::solana::{Pubkey, call, state::RuleBook};

use super::{COIN, Made, made, trade, with_parent};
use crate::{Svm, key, keypair, trade::Trade};

fn another_book(trade: &Trade) -> RuleBook {
    RuleBook { salt: [3; 32], ..trade.book.clone() }
}

pub(super) fn create_pool(svm: &mut Svm, number: u64, parent: bool) -> Made {
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

pub(super) fn create_list(svm: &mut Svm, number: u64) -> Made {
    let trade = trade(svm, number, COIN);
    made(vec![call::create_list(key(&trade.keeper), trade.pool(), 1)], &[&trade.keeper])
}

pub(super) fn add_members(svm: &mut Svm, number: u64) -> Made {
    let trade = begun(svm, number, 0);
    let mut members: Vec<Pubkey> =
        (0..call::LARGEST_CHUNK).map(|one| key(&keypair(number * 1_000_000 + 5_000 + one as u64))).collect();
    members.sort_unstable();
    made(vec![call::add_members(key(&trade.keeper), trade.pool(), 1, 0, members)], &[&trade.keeper])
}

pub(super) fn discard_list(svm: &mut Svm, number: u64) -> Made {
    let trade = begun(svm, number, 8);
    let keeper = key(&trade.keeper);
    made(vec![call::discard_list(keeper, trade.pool(), 1, keeper)], &[&trade.keeper])
}

pub(super) fn publish_list(svm: &mut Svm, number: u64) -> Made {
    let trade = begun(svm, number, 8);
    made(vec![call::publish_list(key(&trade.keeper), trade.pool(), 1)], &[&trade.keeper])
}

//! The pure rules.

use alloy::primitives::{B256, Bloom};
use proptest::prelude::*;
use protocol::wire::view::BlockRef;

use crate::chain::{
    evm::model::{BLOCKS_A_STEP, HeadRule, Header, Plan, judge, plan},
    follow::backoff_ms,
    store::{Settled, promote},
};

fn hash(n: u8) -> B256 {
    B256::repeat_byte(n)
}

fn block(number: u64, h: u8) -> BlockRef {
    BlockRef { number, hash: hash(h) }
}

fn header(number: u64, h: u8, parent: u8) -> Header {
    Header {
        number,
        hash: hash(h),
        parent: hash(parent),
        time: 0,
        bloom: Bloom::ZERO,
        receipts_root: B256::ZERO,
        sealed: false,
    }
}

#[test]
fn every_head_has_one_meaning() {
    let tip = block(10, 10);
    for (head, ours, rule) in [
        (header(10, 10, 9), Some(hash(10)), HeadRule::Same),
        (header(10, 77, 9), Some(hash(10)), HeadRule::Fork),
        (header(8, 8, 7), Some(hash(8)), HeadRule::Behind),
        (header(8, 77, 7), Some(hash(8)), HeadRule::Fork),
        (header(3, 77, 2), None, HeadRule::Behind),
        (header(11, 11, 10), None, HeadRule::Next),
        (header(11, 11, 77), None, HeadRule::Fork),
        (header(12, 12, 11), None, HeadRule::Gap),
    ] {
        assert_eq!(judge(tip, &head, ours), rule, "{head:?}");
    }
}

#[test]
fn what_is_settled_is_ours_and_never_less() {
    let before = Settled { safe: Some(block(5, 5)), finalized: Some(block(3, 3)) };
    let ours = [block(3, 3), block(5, 5), block(7, 7), block(9, 9)];
    let said = |safe, finalized| Settled { safe, finalized };
    for (case, after) in [
        (said(None, None), before),
        (said(Some(block(9, 9)), Some(block(7, 7))), said(Some(block(9, 9)), Some(block(7, 7)))),
        // Under another hash, or not ours at all.
        (said(Some(block(9, 77)), Some(block(7, 77))), before),
        (said(Some(block(20, 20)), None), before),
        // Less than before.
        (said(Some(block(3, 3)), Some(block(3, 3))), before),
        // What is final is safe.
        (said(None, Some(block(9, 9))), said(Some(block(9, 9)), Some(block(9, 9)))),
    ] {
        assert_eq!(promote(before, case, &ours), after, "{case:?}");
    }
}

#[test]
fn waits_double_up_to_ten_seconds() {
    assert_eq!([1, 2, 3, 7, 8, 40, u32::MAX].map(backoff_ms), [100, 200, 400, 6_400, 10_000, 10_000, 10_000]);
}

proptest! {
    #[test]
    fn plans_go_on_from_the_tip_and_stay_within_bounds(
        tip in 0_u64..1_000, ahead in 0_u64..5_000, finalized in proptest::option::of(0_u64..7_000),
    ) {
        let head = tip + ahead;
        match plan(tip, head, finalized) {
            Plan::Nothing => prop_assert_eq!(ahead, 0),
            Plan::Range { from, to } => {
                prop_assert_eq!(from, tip + 1);
                prop_assert!(to > from && to <= head);
                prop_assert!(finalized.is_some_and(|f| to <= f));
            }
            Plan::Blocks { from, to } => {
                prop_assert_eq!(from, tip + 1);
                prop_assert!(to >= from && to <= head && to - tip <= BLOCKS_A_STEP);
            }
        }
    }
}

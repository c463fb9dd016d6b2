#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

mod hearings;

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, U256};
use proptest::prelude::*;
use protocol::{
    caip::AccountId,
    evm,
    wire::feed::{ChainEvent, EventBody},
};

use super::{
    case::{self, Case, OutOfOrder, Stage, Step, fold, revealed, step},
    model::{BallotBody, EvidenceBody, Refusal, Voting, check_ballot, check_evidence},
};
use crate::testing::{
    Person,
    trade::{ARBITER, CHAIN, ESCROW, book},
};

#[test]
fn every_pair_of_stage_and_event_is_as_written() {
    use OutOfOrder as O;
    use Stage as S;
    let table: [(Step, [Result<Stage, OutOfOrder>; 5]); 6] = [
        (
            Step::Open,
            [Ok(S::Opened), Ok(S::Opened), Ok(S::Opened), Err(O::AlreadyAccepted), Err(O::AlreadyExecuted)],
        ),
        (
            Step::Move,
            [
                Err(O::NotOpened),
                Ok(S::Opened),
                Err(O::AlreadyDrawn),
                Err(O::AlreadyAccepted),
                Err(O::AlreadyExecuted),
            ],
        ),
        (
            Step::Draw,
            [
                Err(O::NotOpened),
                Ok(S::Drawn),
                Err(O::AlreadyDrawn),
                Err(O::AlreadyAccepted),
                Err(O::AlreadyExecuted),
            ],
        ),
        (
            Step::Count,
            [
                Err(O::NotOpened),
                Err(O::NotDrawn),
                Ok(S::Drawn),
                Err(O::AlreadyAccepted),
                Err(O::AlreadyExecuted),
            ],
        ),
        (
            Step::Accept,
            [
                Err(O::NotOpened),
                Ok(S::Accepted),
                Ok(S::Accepted),
                Err(O::AlreadyAccepted),
                Err(O::AlreadyExecuted),
            ],
        ),
        (
            Step::Execute,
            [
                Err(O::NotOpened),
                Err(O::NotAccepted),
                Err(O::NotAccepted),
                Ok(S::Executed),
                Err(O::AlreadyExecuted),
            ],
        ),
    ];
    assert_eq!(table.map(|(by, _)| by), Step::ALL);
    for (by, outcomes) in table {
        for (from, outcome) in Stage::ALL.into_iter().zip(outcomes) {
            assert_eq!(step(from, by), outcome, "{by:?} from {from:?}");
        }
    }
}

fn terms() -> protocol::terms::Terms {
    let account = |byte| AccountId { chain: CHAIN, address: Address::repeat_byte(byte) };
    protocol::terms::Terms {
        escrow: ESCROW,
        buyer: account(1),
        seller: account(2),
        arbiter: ARBITER,
        asset: "eip155:31337/slip44:60".parse().unwrap(),
        amount: 1000,
        fund_by: 1000,
        deliver_by: 2000,
        inspection: 10,
        ruling: 100_000,
        lapse_share: 0,
        metered: false,
        panel: evm::pool_id(&book()),
        agreement: B256::ZERO,
        salt: B256::ZERO,
    }
}

/// A whole case as the arbiter tells it, one event a block.
fn told() -> Vec<ChainEvent> {
    let (deal, escrow) = (B256::repeat_byte(1), ESCROW.address);
    let seats = (1..=3).map(Address::repeat_byte).collect();
    let bodies = [
        EventBody::CaseOpened { deal, escrow, instance: 0, jury: 0, target_block: 7 },
        EventBody::TargetMoved { deal, escrow, target_block: 71 },
        EventBody::JuryDrawn {
            deal,
            escrow,
            pool: terms().panel,
            instance: 0,
            jury: 0,
            list: 0,
            ends_at: 50 + 2 * 7200,
            seed: B256::repeat_byte(5),
            seats,
        },
        EventBody::BallotCast { deal, escrow, instance: 0, jury: 0, seat: 2, share: 500, reason: B256::ZERO },
        EventBody::BallotsCounted {
            deal,
            escrow,
            instance: 0,
            jury: 0,
            ballots: B256::ZERO,
            lo: 500,
            hi: 500,
        },
        EventBody::RulingAccepted {
            deal,
            escrow,
            instance: 0,
            jury: 0,
            ballots: B256::ZERO,
            share: 500,
            executable_at: 107,
        },
        EventBody::RulingExecuted { deal, escrow, share: 500 },
    ];
    (1_u64..)
        .zip(bodies)
        .map(|(block, body)| ChainEvent {
            id: B256::from(U256::from(block)),
            contract: ARBITER,
            block_number: block,
            block_hash: B256::from(U256::from(block)),
            block_time: 100 + block,
            transaction: B256::ZERO,
            log_index: 0,
            body,
        })
        .collect()
}

#[test]
fn a_case_is_what_its_arbiter_tells_and_nobody_else() {
    let mut events = told();
    let (case, waits) = fold(&terms(), 50, &events);
    assert_eq!(waits, None);
    assert_eq!((case.stage, case.ruling, case.accepted_at), (Stage::Executed, Some(500), Some(106)));
    assert_eq!((case.target_block, case.lo, case.hi, case.seats.len()), (Some(71), 500, 500, 3));
    // Another contract's word, and word of another escrow's deal, count for nothing.
    events[0].contract = ESCROW;
    if let EventBody::TargetMoved { escrow, .. } = &mut events[1].body {
        *escrow = Address::ZERO;
    }
    let (case, waits) = fold(&terms(), 50, &events);
    assert_eq!((case.stage, waits), (Stage::Disputed, Some((events[2].id, OutOfOrder::NotOpened))));
}

proptest! {
    #[test]
    fn whatever_is_known_of_a_case_its_fold_stops_before_the_first_gap(known in proptest::bits::u8::masked(0b111_1111), turn in 0_usize..7) {
        let events = told();
        let mut some: Vec<_> = events.iter().enumerate().filter(|(i, _)| known >> i & 1 == 1).map(|(_, e)| e.clone()).collect();
        let (expected, _) = fold(&terms(), 50, &some);
        let len = some.len().max(1);
        some.rotate_left(turn % len);
        some.reverse();
        let (case, waits) = fold(&terms(), 50, &some);
        prop_assert_eq!(&case, &expected);
        // Only the target's move and the ballots may be missing without a gap; nothing is ever further than what led there.
        let has = |i: usize| known >> i & 1 == 1;
        let stage = if !has(0) { Stage::Disputed }
            else if has(2) {
                if has(5) { if has(6) { Stage::Executed } else { Stage::Accepted } }
                else { Stage::Drawn }
            }
            else if has(3) || has(4) { Stage::Opened }
            else if has(5) { if has(6) { Stage::Executed } else { Stage::Accepted } }
            else { Stage::Opened };
        prop_assert_eq!(case.stage, stage);
        prop_assert_eq!(waits.is_none(), (has(0) || known == 0) && !(!has(2) && (has(3) || has(4))) && (!has(6) || has(5)));
    }
}

fn drawn() -> Case {
    let (case, _) = fold(&terms(), 50, &told()[..3]);
    case
}

#[test]
fn ballots_are_shown_when_all_have_voted_or_nobody_can_any_more() {
    let case = drawn();
    let set = |seats: &[u8]| seats.iter().copied().collect::<BTreeSet<_>>();
    for (voted, now, shown) in [
        (set(&[]), 100, false),
        (set(&[0, 2]), 100, false),
        (set(&[0, 1, 2]), 0, true),
        (set(&[]), 101, true),
    ] {
        assert_eq!(revealed(&case, &voted, 100, now), shown, "{voted:?} at {now}");
    }
    // Ballots cast on chain may rule before the last has voted.
    assert!(revealed(&Case { stage: Stage::Accepted, ..case }, &set(&[0, 2]), 100, 0));
    // A jury that is not drawn has not "all voted".
    assert!(!revealed(&Case::new(&terms(), 50), &set(&[]), 100, 100));
    assert_eq!(case::voting_closes_at(50, &book()), 50 + 3600 + 3600);
}

#[test]
fn a_ballot_on_chain_stands_in_place_of_a_signed_one() {
    let mut case = drawn();
    let bounds = case::bounds(&case, [(0, 10_000), (1, 10_000)]);
    assert_eq!((bounds.lo, bounds.hi, bounds.ruling()), (10_000, 10_000, Some(10_000)));
    case.cast.insert(0, case::Cast { share: 0, reason: B256::ZERO });
    let bounds = case::bounds(&case, [(0, 10_000), (1, 10_000)]);
    assert_eq!((bounds.lo, bounds.hi), (0, 10_000));
}

#[test]
fn every_rule_of_a_ballot_refuses_by_name() {
    let (terms, deal, case) = (terms(), B256::repeat_byte(1), drawn());
    let (wallet, _) = Person::keys(8);
    let juror = AccountId { chain: CHAIN, address: wallet.address() };
    let mut seated = case.clone();
    seated.seats[1] = juror.address;
    let none = BTreeSet::new();
    let voting = Voting {
        case: Some(&seated),
        deal,
        terms: &terms,
        closes_at: 100,
        voted: &none,
        wallets: &[juror],
        now: 100,
    };
    let id = seated.id(deal, &terms).unwrap();
    let signature = |share, reason| {
        use alloy::signers::SignerSync;
        let digest = evm::ballot_digest(ARBITER, id, share, reason);
        wallet.sign_hash_sync(&digest).unwrap().as_bytes().to_vec().into()
    };
    let good =
        BallotBody { seat: 1, share: 2500, reason: String::new(), signature: signature(2500, B256::ZERO) };
    assert_eq!(check_ballot(&good, &voting), Ok(juror.address));
    let reasoned = BallotBody { reason: "It was late.".to_owned(), ..good.clone() };
    assert_eq!(check_ballot(&reasoned, &voting).unwrap_err().rule(), "invalid_ballot");
    let signed = BallotBody { signature: signature(2500, reasoned.reason_hash()), ..reasoned };
    assert_eq!(check_ballot(&signed, &voting), Ok(juror.address));

    let fresh = Case::new(&terms, 50);
    let ruled = Case { stage: Stage::Accepted, ..seated.clone() };
    let taken = BTreeSet::from([1]);
    let elsewhere = AccountId { chain: "eip155:1".parse().unwrap(), ..juror };
    for (rule, ballot, voting) in [
        ("not_disputed", good.clone(), Voting { case: None, ..voting }),
        ("not_drawn", good.clone(), Voting { case: Some(&fresh), ..voting }),
        ("voting_closed", good.clone(), Voting { case: Some(&ruled), ..voting }),
        ("voting_closed", good.clone(), Voting { now: 101, ..voting }),
        ("bad_seat", BallotBody { seat: 3, ..good.clone() }, voting),
        ("not_juror", BallotBody { seat: 0, ..good.clone() }, voting),
        ("not_juror", good.clone(), Voting { wallets: &[], ..voting }),
        ("not_juror", good.clone(), Voting { wallets: &[elsewhere], ..voting }),
        ("bad_share", BallotBody { share: 2501, ..good.clone() }, voting),
        ("bad_share", BallotBody { share: 10_500, ..good.clone() }, voting),
        ("note_too_long", BallotBody { reason: "x".repeat(2001), ..good.clone() }, voting),
        ("second_ballot", good.clone(), Voting { voted: &taken, ..voting }),
        ("invalid_ballot", BallotBody { share: 3000, ..good.clone() }, voting),
        ("invalid_ballot", BallotBody { signature: vec![1; 65].into(), ..good.clone() }, voting),
        ("invalid_ballot", good.clone(), Voting { deal: B256::ZERO, ..voting }),
    ] {
        assert_eq!(check_ballot(&ballot, &voting).unwrap_err().rule(), rule, "{ballot:?}");
    }
}

#[test]
fn every_rule_of_evidence_refuses_by_name() {
    let good = EvidenceBody { hash: B256::ZERO, uri: "é".repeat(128), note: "é".repeat(2000) };
    assert_eq!(check_evidence(&good, true, true), Ok(()));
    assert_eq!(check_evidence(&good, false, true), Err(Refusal::NotDisputed));
    assert_eq!(check_evidence(&good, true, false), Err(Refusal::NotParty));
    let uri = EvidenceBody { uri: "x".repeat(257), ..good.clone() };
    assert_eq!(check_evidence(&uri, true, true), Err(Refusal::UriTooLong(257)));
    let note = EvidenceBody { note: "x".repeat(2001), ..good };
    assert_eq!(check_evidence(&note, true, true), Err(Refusal::NoteTooLong { field: "note", length: 2001 }));
}

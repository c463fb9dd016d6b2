#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

mod hearings;
mod juries;
mod jurors;
mod moments;

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, U256};
use proptest::prelude::*;
use protocol::{
    chain::AccountId,
    wire::feed::{ChainEvent, EventBody},
};

use super::{
    case::{Case, Cast, EVENTS, Jury, OutOfOrder, Ruling, Stage, Step, fold, step},
    model::{
        AppealBody, Appealing, BallotBody, EvidenceBody, RecusalBody, Recusing, Refusal, Voting,
        check_appeal, check_ballot, check_evidence, check_recusal,
    },
};
use crate::testing::{
    Person,
    trade::{ARBITER, CHAIN, ESCROW, Ground},
};

#[test]
fn every_pair_of_stage_and_event_is_as_written() {
    use OutOfOrder as O;
    use Stage as S;
    let (ok, refused) = (Ok::<Stage, OutOfOrder>, Err::<Stage, OutOfOrder>);
    // Disputed, Opened, Drawn, Widened, Accepted, Appealed, Executed.
    let none = refused(O::NotOpened);
    let (ruled, appealed, told) =
        (refused(O::AlreadyAccepted), refused(O::AlreadyAppealed), refused(O::AlreadyExecuted));
    let (open, drawn) = (refused(O::AlreadyOpen), refused(O::AlreadyDrawn));
    let (early, unruled) = (refused(O::NotDrawn), refused(O::NotAccepted));
    #[rustfmt::skip]
    let table: [(Step, [Result<Stage, OutOfOrder>; 7]); 8] = [
        (Step::Open, [ok(S::Opened), open, open, open, ruled, ok(S::Opened), told]),
        (Step::Move, [none, ok(S::Opened), drawn, ok(S::Widened), ruled, appealed, told]),
        (Step::Draw, [none, ok(S::Drawn), drawn, ok(S::Drawn), ruled, appealed, told]),
        (Step::Widen, [none, early, ok(S::Widened), open, ruled, appealed, told]),
        (Step::Count, [none, early, ok(S::Drawn), ok(S::Widened), ruled, appealed, told]),
        (Step::Accept, [none, ok(S::Accepted), ok(S::Accepted), ok(S::Accepted), ruled, appealed, told]),
        (Step::Appeal, [none, unruled, unruled, unruled, ok(S::Appealed), appealed, told]),
        (Step::Execute, [none, unruled, unruled, unruled, ok(S::Executed), appealed, told]),
    ];
    assert_eq!(table.map(|(by, _)| by), Step::ALL);
    for (by, outcomes) in table {
        for (from, outcome) in Stage::ALL.into_iter().zip(outcomes) {
            assert_eq!(step(from, by), outcome, "{by:?} from {from:?}");
        }
    }
}

fn terms() -> protocol::terms::Terms {
    let account = |byte| AccountId { chain: CHAIN, address: Address::repeat_byte(byte).into() };
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
        panel: Ground::EVM.pool_id(&Ground::EVM.book()),
        agreement: B256::ZERO,
        salt: B256::ZERO,
    }
}

/// Seat 2 cast 500: its field is 2 from bit 10 on, and bit 157 says that it did so on chain.
const CAST: B256 = word(&[(2, 2)], 157);
/// And seat 0 signed 500.
const COUNTED: B256 = word(&[(0, 2), (2, 2)], 157);

/// A word of ballots: fields of 5 bits by seat, all below 32 bits here, and one bit from 155 on.
const fn word(fields: &[(u32, u32)], bit: usize) -> B256 {
    let mut low: u32 = 0;
    let mut at = 0;
    while at < fields.len() {
        low |= fields[at].1 << (5 * fields[at].0);
        at += 1;
    }
    let mut bytes = [0; 32];
    let low = low.to_be_bytes();
    (bytes[28], bytes[29], bytes[30], bytes[31]) = (low[0], low[1], low[2], low[3]);
    bytes[31 - bit / 8] |= 1 << (bit % 8);
    B256::new(bytes)
}

/// A whole case as the arbiter tells it, one event a block.
fn told() -> Vec<ChainEvent> {
    let (deal, escrow) = (B256::repeat_byte(1), ESCROW.address);
    let seats = (1..=3).map(|byte| Address::repeat_byte(byte).into()).collect();
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
        EventBody::BallotsCounted { deal, escrow, instance: 0, jury: 0, ballots: CAST, lo: 0, hi: 10_000 },
        EventBody::RulingAccepted {
            deal,
            escrow,
            instance: 0,
            jury: 0,
            ballots: COUNTED,
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
            transaction: B256::ZERO.into(),
            log_index: 0,
            body,
        })
        .collect()
}

#[test]
fn no_event_of_a_case_is_left_out() {
    let first = EventBody::NAMES.iter().position(|name| *name == "CaseOpened").unwrap();
    assert_eq!(EVENTS[..], EventBody::NAMES[first..]);
}

#[test]
fn a_case_is_what_its_arbiter_tells_and_nobody_else() {
    let mut events = told();
    let (case, waits) = fold(&terms(), 50, &events);
    assert_eq!(waits, None);
    let ruling = case.ruling().copied().unwrap();
    assert_eq!((case.stage, ruling.share, ruling.accepted_at), (Stage::Executed, 500, 106));
    let jury = &case.juries[0];
    assert_eq!((case.juries.len(), jury.target_block, jury.seats.len()), (1, 71, 3));
    assert_eq!(jury.bounds([]).ruling(), Some(500));
    assert_eq!(jury.voted(), BTreeSet::from([0, 2]));
    // Another contract's word, and word of another escrow's deal, count for nothing.
    events[0].contract = ESCROW;
    if let EventBody::TargetMoved { escrow, .. } = &mut events[1].body {
        *escrow = Address::ZERO.into();
    }
    let (case, waits) = fold(&terms(), 50, &events);
    assert_eq!((case.stage, waits), (Stage::Disputed, Some((events[2].id, OutOfOrder::NotOpened))));
}

/// Places in the block go down: on Solana they are those of the instruction in its transaction, and several transactions
/// of a slot tell of one case. Those of one transaction count by their places.
#[test]
fn transactions_of_one_slot_are_taken_as_the_feed_tells_them() {
    let ground = Ground::solana();
    let terms = protocol::terms::Terms { escrow: ground.escrow, arbiter: ground.arbiter, ..terms() };
    let mut events = told();
    for (event, place) in events.iter_mut().zip((0..7).rev()) {
        (event.contract, event.block_number, event.log_index) = (ground.arbiter, 1, place);
        event.transaction = protocol::chain::TransactionId::Solana([place as u8; 64]);
        match &mut event.body {
            EventBody::CaseOpened { escrow, .. }
            | EventBody::TargetMoved { escrow, .. }
            | EventBody::JuryDrawn { escrow, .. }
            | EventBody::BallotCast { escrow, .. }
            | EventBody::BallotsCounted { escrow, .. }
            | EventBody::RulingAccepted { escrow, .. }
            | EventBody::RulingExecuted { escrow, .. } => *escrow = ground.escrow.address,
            other => panic!("{other:?}"),
        }
    }
    let (case, waits) = fold(&terms, 50, &events);
    assert_eq!((case.stage, waits), (Stage::Executed, None));
    // The first of a transaction's two events settles, and is told again after the other.
    for (event, place) in events[1..3].iter_mut().zip([1, 2]) {
        (event.transaction, event.log_index) = (protocol::chain::TransactionId::Solana([9; 64]), place);
    }
    events.swap(1, 2);
    let (case, waits) = fold(&terms, 50, &events);
    assert_eq!((case.stage, waits), (Stage::Executed, None));
    // Another slot is later whatever comes first in the feed.
    events[6].block_number = 2;
    events.rotate_right(1);
    let (case, waits) = fold(&terms, 50, &events);
    assert_eq!((case.stage, waits), (Stage::Executed, None));
    // On an EVM chain the place is the order.
    let mut swapped = told();
    for (event, place) in swapped.iter_mut().zip((0..7).rev()) {
        (event.block_number, event.log_index) = (1, place);
    }
    assert!(fold(&self::terms(), 50, &swapped).1.is_some());
    swapped.reverse();
    for (event, place) in swapped.iter_mut().zip((0..7).rev()) {
        event.log_index = place;
    }
    assert_eq!(fold(&self::terms(), 50, &swapped).1, None);
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
fn a_ballot_on_chain_stands_in_place_of_a_signed_one() {
    let mut case = drawn();
    let bounds = case.juries[0].bounds([(0, 10_000), (1, 10_000)]);
    assert_eq!((bounds.lo, bounds.hi, bounds.ruling()), (10_000, 10_000, Some(10_000)));
    case.juries[0].cast.insert(0, Cast { share: 0, reason: B256::ZERO });
    let bounds = case.juries[0].bounds([(0, 10_000), (1, 10_000)]);
    assert_eq!((bounds.lo, bounds.hi), (0, 10_000));
}

#[test]
fn every_rule_of_a_ballot_refuses_by_name() {
    let (terms, deal, case) = (terms(), B256::repeat_byte(1), drawn());
    let (wallet, _) = Person::keys(8);
    let juror = AccountId { chain: CHAIN, address: wallet.address() };
    let mut seated = case.clone();
    seated.juries[0].seats[1] = juror.address;
    let none = BTreeSet::new();
    let voting = Voting {
        case: Some(&seated),
        deal,
        terms: &terms,
        ends_at: 100,
        voted: &none,
        wallets: &[juror],
        recused: false,
        now: 100,
    };
    let id = seated.juries[0].id(deal, &terms).unwrap();
    let signature = |share, reason| wallet.ballot(ARBITER, id, share, reason);
    let good = BallotBody {
        jury: 0,
        seat: 1,
        share: 2500,
        reason: String::new(),
        signature: signature(2500, B256::ZERO),
    };
    assert_eq!(check_ballot(&good, &voting), Ok(juror.address));
    let reasoned = BallotBody { reason: "It was late.".to_owned(), ..good.clone() };
    assert_eq!(check_ballot(&reasoned, &voting).unwrap_err().rule(), "invalid_ballot");
    let signed = BallotBody { signature: signature(2500, reasoned.reason_hash()), ..reasoned };
    assert_eq!(check_ballot(&signed, &voting), Ok(juror.address));

    let fresh = Case::new(50);
    let ruled = Case { stage: Stage::Accepted, ..seated.clone() };
    let appealed = Case { stage: Stage::Appealed, ..seated.clone() };
    let taken = BTreeSet::from([1]);
    let elsewhere = AccountId { chain: "eip155:1".parse().unwrap(), ..juror };
    for (rule, ballot, voting) in [
        ("not_disputed", good.clone(), Voting { case: None, ..voting }),
        ("not_drawn", good.clone(), Voting { case: Some(&fresh), ..voting }),
        ("not_drawn", BallotBody { jury: 1, ..good.clone() }, voting),
        ("voting_closed", good.clone(), Voting { case: Some(&ruled), ..voting }),
        ("voting_closed", good.clone(), Voting { case: Some(&appealed), ..voting }),
        ("voting_closed", good.clone(), Voting { now: 101, ..voting }),
        ("bad_seat", BallotBody { seat: 3, ..good.clone() }, voting),
        ("not_juror", BallotBody { seat: 0, ..good.clone() }, voting),
        ("not_juror", good.clone(), Voting { wallets: &[], ..voting }),
        ("not_juror", good.clone(), Voting { wallets: &[elsewhere], ..voting }),
        ("recused", good.clone(), Voting { recused: true, ..voting }),
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
fn every_rule_of_a_recusal_refuses_by_name() {
    let (case, mut seats) =
        (drawn(), [1, 2].map(|byte| AccountId { chain: CHAIN, address: Address::repeat_byte(byte).into() }));
    seats.sort_unstable();
    let all = BTreeSet::from(seats);
    let (none, nobody) = (BTreeSet::new(), BTreeSet::new());
    let (voted, first) = (BTreeSet::from([(0, 1)]), BTreeSet::from([seats[0]]));
    let body = RecusalBody { reason: "é".repeat(2000) };
    let recusing = Recusing { case: Some(&case), chain: CHAIN, wallets: &seats, voted: &none, gone: &nobody };
    assert_eq!(check_recusal(&body, &recusing), Ok(all.clone()));
    // A second seat that was drawn later.
    let again = check_recusal(&body, &Recusing { gone: &first, ..recusing });
    assert_eq!(again, Ok(BTreeSet::from([seats[1]])));
    let elsewhere = "eip155:1".parse().unwrap();
    let fresh = Case::new(50);
    let long = RecusalBody { reason: "x".repeat(2001) };
    for (rule, body, recusing) in [
        ("not_disputed", &body, Recusing { case: None, ..recusing }),
        ("note_too_long", &long, recusing),
        ("not_juror", &body, Recusing { case: Some(&fresh), ..recusing }),
        ("not_juror", &body, Recusing { wallets: &[], ..recusing }),
        ("not_juror", &body, Recusing { chain: elsewhere, ..recusing }),
        ("has_voted", &body, Recusing { voted: &voted, ..recusing }),
        ("recused", &body, Recusing { gone: &all, ..recusing }),
    ] {
        assert_eq!(check_recusal(body, &recusing).unwrap_err().rule(), rule);
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

#[test]
fn every_rule_of_an_appeal_refuses_by_name() {
    let ruling = Ruling { instance: 0, jury: 0, share: 500, accepted_at: 100, executable_at: Some(201) };
    let case = Case { stage: Stage::Accepted, rulings: vec![ruling], ..drawn() };
    let body = AppealBody { valid_until: 200, signature: vec![1; 1_024].into() };
    let appealing = Appealing { case: Some(&case), party: Some(terms().buyer), before: false, now: 200 };
    assert_eq!(check_appeal(&body, &appealing), Ok(terms().buyer));

    let fresh = drawn();
    let of = |stage, executable_at| {
        let ruling = Ruling { executable_at, ..ruling };
        Case { stage, rulings: vec![ruling], ..drawn() }
    };
    let (executed, late) = (of(Stage::Executed, None), of(Stage::Accepted, Some(100)));
    let anew = Case { appealed_by: Some(Address::ZERO.into()), ..of(Stage::Drawn, Some(201)) };
    let long = AppealBody { signature: vec![1; 1_025].into(), ..body.clone() };
    for (rule, body, appealing) in [
        ("not_disputed", &body, Appealing { case: None, ..appealing }),
        ("already_appealed", &body, Appealing { case: Some(&anew), ..appealing }),
        ("already_appealed", &body, Appealing { before: true, ..appealing }),
        ("not_accepted", &body, Appealing { case: Some(&fresh), ..appealing }),
        ("not_appealable", &body, Appealing { case: Some(&executed), ..appealing }),
        ("not_appealable", &body, Appealing { case: Some(&late), ..appealing }),
        ("appeal_closed", &body, Appealing { now: 201, ..appealing }),
        ("signature_expired", &AppealBody { valid_until: 199, ..body.clone() }, appealing),
        ("not_party", &body, Appealing { party: None, ..appealing }),
        ("signature_too_long", &long, appealing),
    ] {
        assert_eq!(check_appeal(body, &appealing).unwrap_err().rule(), rule);
    }
}

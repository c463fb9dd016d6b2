//! The rules one by one.

use super::*;
use crate::{
    arbitration::{EXECUTION, MARGIN, worst_case},
    deal::Proof,
};

const ALL: [Option<Stage>; 5] =
    [None, Some(Stage::Opened), Some(Stage::Drawn), Some(Stage::Accepted), Some(Stage::Executed)];

#[test]
fn every_stage_refuses_what_it_must() {
    use Refusal as R;
    let ballots = || Action::Submit { jury: 0, ballots: Vec::new() };
    let cast = Action::Cast { jury: 0, seat: 0, share: 0, reason: B256::ZERO };
    let (unknown, early) = (Some(R::UnknownCase), Some(R::NotAccepted));
    let (late, told) = (Some(R::AlreadyAccepted), Some(R::AlreadyExecuted));
    let exists = Some(R::CaseExists);
    let drawn = Some(R::AlreadyDrawn);
    for (action, refusals) in [
        (Action::Open, [None, exists, exists, exists, exists]),
        (Action::Draw, [unknown, None, drawn, drawn, drawn]),
        (Action::OpenSecondJury, [unknown, None, None, late, late]),
        (cast, [unknown, None, None, late, late]),
        (ballots(), [unknown, None, None, late, late]),
        (Action::Conclude, [unknown, None, None, late, late]),
        (Action::Appeal, [unknown, early, early, None, told]),
        (Action::Execute, [unknown, early, early, None, told]),
    ] {
        for (stage, refusal) in ALL.into_iter().zip(refusals) {
            assert_eq!(refused_by_stage(stage, &action), refusal, "{action:?} in {stage:?}");
        }
    }
}

#[test]
fn a_case_needs_a_dispute_its_own_arbiter_and_a_list() {
    let mut world = World::new(3, 20);
    world.state.status = Status::Delivered;
    assert_eq!(world.by_anyone(&Action::Open), pools(Refusal::NotDisputed));
    world.state.status = Status::Disputed;
    let opened = world.by_anyone(&Action::Open).unwrap();
    let event = EventBody::CaseOpened { deal: DEAL, escrow: ESCROW, instance: 0, jury: 0, target_block: 102 };
    assert_eq!(opened, [event]);
    let mut foreign = world.clone();
    foreign.terms.arbiter.address = STRANGER;
    assert_eq!(foreign.by_anyone(&Action::Draw), pools(Refusal::NotMyDeal));
    assert_eq!(world.by_anyone(&Action::Draw), pools(Refusal::TooEarly { opens_at: 103 }));
    let mut lists = world.clone();
    for pool in lists.pools.0.values_mut() {
        pool.lists[0].effective_at = FUNDED + 1;
    }
    assert_eq!(lists.by_anyone(&Action::Draw), pools(Refusal::NoList));
    world.now = DISPUTED + SPAN + 1;
    assert_eq!(world.by_anyone(&Action::Draw), pools(Refusal::TooEarly { opens_at: 103 }));
    world.block = 103;
    assert_eq!(world.by_anyone(&Action::Draw), pools(Refusal::TooLate { closed_at: DISPUTED + SPAN }));
}

#[test]
fn a_missed_target_moves_to_a_hash_that_nobody_knows() {
    for stride in [STRIDE, 512] {
        let mut world = World::new(3, 20);
        world.stride = stride;
        world.by_anyone(&Action::Open).unwrap();
        let (first, second) = (102 + 2 * stride, 102 + 5 * stride);
        for (block, target) in [(102 + stride + 1, first), (first + 2 * stride - 1, second)] {
            world.block = block;
            let event = EventBody::TargetMoved { deal: DEAL, escrow: ESCROW, target_block: target };
            assert_eq!(world.by_anyone(&Action::Draw).unwrap(), [event]);
            assert!(target > block && (target - 102) % stride == 0);
            assert_eq!(world.last().panel, None, "who hears it is found at the draw");
        }
    }
}

#[test]
fn the_second_jury_comes_after_the_first_ones_voting_and_either_may_rule() {
    let mut world = World::new(3, 20);
    world.open_and_draw();
    let first = DISPUTED + SPAN / 2;
    world.now = first;
    assert_eq!(world.by_anyone(&Action::OpenSecondJury), pools(Refusal::TooEarly { opens_at: first + 1 }));
    world.now = first + 1;
    world.by_anyone(&Action::OpenSecondJury).unwrap();
    assert_eq!(world.by_anyone(&Action::OpenSecondJury), pools(Refusal::NoFurtherJury));
    let none = Action::Submit { jury: 1, ballots: Vec::new() };
    assert_eq!(world.by_anyone(&none), pools(Refusal::NotDrawn));
    // The first still counts while the second waits, and rules in the second's entry.
    let mut before = world.clone();
    let ruled = before.by_anyone(&before.ballots(0, &[500, 500]).clone()).unwrap();
    assert!(matches!(ruled[..], [EventBody::RulingAccepted { jury: 0, share: 500, .. }]), "{ruled:?}");
    assert_eq!((before.last().jury, before.last().ruling), (1, Some((500, first + 1))));
    world.draws();
    let second = world.ballots(1, &[9_500, 9_500]);
    let ruled = world.by_anyone(&second).unwrap();
    assert!(matches!(ruled[..], [EventBody::RulingAccepted { jury: 1, share: 9_500, .. }]), "{ruled:?}");
}

#[test]
fn the_last_word_is_moved_into_both_juries_bounds() {
    // One ballot of three leaves its share as a bound of nothing: two are needed to bound one side.
    let cases: [(&[u16], &[u16], u16); 5] = [
        (&[6_000, 9_000], &[], 6_000),
        (&[1_000, 2_000], &[], 2_000),
        (&[4_000, 7_000], &[], 5_000),
        (&[6_000, 9_000], &[1_000, 7_000], 6_000),
        (&[6_000, 9_000], &[1_000, 2_000], 2_000),
    ];
    for (one, two, word) in cases {
        let mut world = World::alone();
        world.open_and_draw();
        world.by_anyone(&world.ballots(0, one).clone()).unwrap();
        if !two.is_empty() {
            world.now = DISPUTED + SPAN / 2 + 1;
            world.by_anyone(&Action::OpenSecondJury).unwrap();
            world.draws();
            world.by_anyone(&world.ballots(1, two).clone()).unwrap();
        }
        let end = world.ends_at();
        world.now = end;
        assert_eq!(world.by_anyone(&Action::Conclude), pools(Refusal::TooEarly { opens_at: end + 1 }));
        world.now = end + 77;
        world.by_anyone(&Action::Conclude).unwrap();
        assert_eq!(world.last().ruling, Some((word, end)), "{one:?}, {two:?}");
        assert_eq!((world.last().stage, world.state.status), (Stage::Executed, Status::Closed));
    }
}

#[test]
fn without_a_ballot_there_is_no_last_word_but_of_a_silent_appeal() {
    let mut world = World::new(3, 20);
    assert_eq!(world.clone().by_anyone(&Action::Conclude), pools(Refusal::UnknownCase));
    world.by_anyone(&Action::Open).unwrap();
    assert_eq!(world.clone().by_anyone(&Action::Conclude), pools(Refusal::NotDrawn));
    world.draws();
    world.now = world.ends_at() + 1;
    assert_eq!(world.clone().by_anyone(&Action::Conclude), pools(Refusal::NoBallots));
    world.now = DISPUTED;
    world.by_anyone(&world.ballots(0, &[500, 500]).clone()).unwrap();
    world.takes(&Action::Appeal, Actor::Caller(SELLER)).unwrap();
    // Not even drawn: what was appealed from stands.
    world.now = world.ends_at() + 1;
    world.by_anyone(&Action::Conclude).unwrap();
    assert_eq!((world.last().instance, world.last().ruling), (1, Some((500, world.now - 1))));
    assert_eq!(world.case.rulings(), 2);
}

#[test]
fn an_appeal_is_a_partys_in_time_and_once() {
    let mut world = World::new(3, 20);
    world.open_and_draw();
    assert_eq!(world.clone().takes(&Action::Appeal, Actor::Caller(BUYER)), pools(Refusal::NotAccepted));
    world.by_anyone(&world.ballots(0, &[500, 500]).clone()).unwrap();
    let until = DISPUTED + APPEAL;
    let signed = |signer, proof, valid_until| Actor::Bearer { caller: STRANGER, signer, proof, valid_until };
    let asks = |world: &World, actor| world.clone().takes(&Action::Appeal, actor).map(|_| ());
    assert_eq!(asks(&world, Actor::Caller(STRANGER)), pools(Refusal::NotParty));
    assert_eq!(asks(&world, signed(STRANGER, Proof::Valid, until)), pools(Refusal::NotParty));
    let expired = pools(Refusal::SignatureExpired { valid_until: DISPUTED - 1 });
    assert_eq!(asks(&world, signed(STRANGER, Proof::Invalid, DISPUTED - 1)), expired);
    let invalid = pools(Refusal::InvalidSignature { signer: BUYER });
    assert_eq!(asks(&world, signed(BUYER, Proof::Invalid, until)), invalid);
    assert_eq!(asks(&world, signed(BUYER, Proof::Valid, DISPUTED)), Ok(()));
    assert_eq!(world.clone().by_anyone(&Action::Execute), pools(Refusal::TooEarly { opens_at: until + 1 }));
    world.now = until + 1;
    assert_eq!(asks(&world, Actor::Caller(SELLER)), pools(Refusal::TooLate { closed_at: until }));
    assert!(world.clone().by_anyone(&Action::Execute).is_ok());
    world.now = until;
    let told = world.takes(&Action::Appeal, Actor::Caller(SELLER)).unwrap();
    assert_eq!(told[0], EventBody::Appealed { deal: DEAL, escrow: ESCROW, by: SELLER });
    assert_eq!(world.ends_at(), until + PARENT_SPAN);
    world.draws();
    world.by_anyone(&world.ballots(0, &[10_000, 10_000]).clone()).unwrap();
    assert_eq!((world.last().stage, world.case.rulings()), (Stage::Executed, 2));
    assert_eq!(asks(&world, Actor::Caller(BUYER)), pools(Refusal::AlreadyExecuted));
}

#[test]
fn no_appeal_where_the_parent_could_not_seat_two_juries() {
    // Two juries of three, the parties, and the six who may have sat before.
    for (many, appealable) in [(13, false), (14, true)] {
        let mut world = World::new(3, many);
        world.open_and_draw();
        world.by_anyone(&world.ballots(0, &[500, 500]).clone()).unwrap();
        let stage = if appealable { Stage::Accepted } else { Stage::Executed };
        assert_eq!((world.last().stage, world.last().panel.unwrap().appealable), (stage, appealable));
    }
}

/// A ruling that is accepted at `ends_at` is the one with the least time left.
#[test]
fn no_appeal_where_the_terms_leave_too_little_time() {
    let appeal = APPEAL + PARENT_SPAN + EXECUTION + MARGIN;
    for (ruling, appealable) in [(SPAN + appeal - 1, false), (SPAN + appeal, true)] {
        let mut world = World::new(3, 20);
        world.terms.ruling = u32::try_from(ruling).unwrap();
        world.open_and_draw();
        world.by_anyone(&world.ballots(0, &[500, 9_500]).clone()).unwrap();
        world.now = world.ends_at() + 1;
        world.by_anyone(&Action::Conclude).unwrap();
        assert_eq!(world.case.appeal_until(&world.terms, &world.pools).is_some(), appealable, "{ruling}");
    }
}

#[test]
fn a_pool_without_a_list_leaves_the_case_to_its_parent() {
    let mut world = World::new(1, 4);
    let own = world.terms.panel;
    world.pools.0.get_mut(&own).unwrap().lists[0].effective_at = FUNDED + 1;
    world.open_and_draw();
    assert_eq!((world.last().instance, world.last().panel.unwrap().seats), (1, 1));
    assert_eq!(world.ends_at(), DISPUTED + PARENT_SPAN);
    world.by_anyone(&world.ballots(0, &[2_500]).clone()).unwrap();
    assert_eq!((world.last().stage, world.case.rulings()), (Stage::Executed, 1));
}

#[test]
fn a_deal_that_is_closed_takes_no_ruling() {
    let mut world = World::alone();
    world.terms.ruling = 10;
    world.open_and_draw();
    assert_eq!(world.ends_at(), DISPUTED + 10, "clipped to the escrow's own deadline");
    world.state.status = Status::Closed;
    world.by_anyone(&world.ballots(0, &[0]).clone()).unwrap();
    let determined = world.by_anyone(&world.ballots(0, &[0, 0]).clone());
    assert_eq!(determined, pools(Refusal::NotDisputed));
    assert_eq!((world.last().stage, world.case.rulings()), (Stage::Drawn, 0));
}

#[test]
fn the_worst_case_is_the_worst_and_no_worse() {
    let world = World::new(3, 20);
    let (own, parent) = (&world.pools.0[&world.terms.panel].book, parent_book(3));
    let worst = worst_case(own, Some(&parent));
    let mut world =
        World { terms: Terms { ruling: u32::try_from(worst).unwrap(), ..world.terms.clone() }, ..world };
    world.open_and_draw();
    world.by_anyone(&world.ballots(0, &[500, 9_500]).clone()).unwrap();
    // As late as can be: the last word at the very end, the appeal in its last second, and nobody says anything.
    world.now = world.ends_at() + 1;
    world.by_anyone(&Action::Conclude).unwrap();
    world.now = world.case.appeal_until(&world.terms, &world.pools).unwrap();
    world.takes(&Action::Appeal, Actor::Caller(BUYER)).unwrap();
    assert_eq!(world.ends_at(), DISPUTED + worst - EXECUTION - EXECUTION - MARGIN);
    world.now = world.ends_at() + EXECUTION + MARGIN;
    world.by_anyone(&Action::Conclude).unwrap();
    assert_eq!(world.last().stage, Stage::Executed);
}

//! Random histories: what holds after every step, whatever is asked by whomever and whenever.

use std::collections::HashSet;

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{
    arbitration::{Bounds, EXECUTION, MARGIN, Vote, worst_case},
    deal::Proof,
};

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    /// To an end of a phase, or the second after it.
    Jump(u8),
    Mine(u64),
    Ask(Action, Actor),
    /// The juror of that seat casts, or its signed ballot is handed in.
    Vote {
        jury: u8,
        seat: u8,
        share: u16,
        signed: bool,
    },
}

fn any_share() -> impl Strategy<Value = u16> {
    select(vec![0, 500, 4_500, 5_000, 10_000])
}

fn any_actor() -> impl Strategy<Value = Actor> {
    let who = || select(vec![BUYER, SELLER, SELLER, STRANGER]);
    prop_oneof![
        2 => who().prop_map(Actor::Caller),
        1 => (who(), any::<bool>(), 0..3_000_u64).prop_map(|(signer, sound, until)| Actor::Bearer {
            caller: STRANGER,
            signer,
            proof: if sound { Proof::Valid } else { Proof::Invalid },
            valid_until: DISPUTED + until,
        }),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let vote = (0..2_u8, 0..4_u8, any_share(), any::<bool>())
        .prop_map(|(jury, seat, share, signed)| Step::Vote { jury, seat, share, signed });
    let asked = select(vec![
        Action::Open,
        Action::Draw,
        Action::Draw,
        Action::OpenSecondJury,
        Action::Conclude,
        Action::Appeal,
        Action::Appeal,
        Action::Execute,
    ]);
    prop_oneof![
        3 => (0..30_u64).prop_map(Step::Wait),
        2 => any::<u8>().prop_map(Step::Jump),
        3 => prop_oneof![9 => 0..5_u64, 1 => 200..700_u64].prop_map(Step::Mine),
        8 => (asked, any_actor()).prop_map(|(action, actor)| Step::Ask(action, actor)),
        5 => vote,
    ]
}

prop_compose! {
    /// Worlds whose pool may have no list or no parent, whose parent may be small, and whose terms may be short.
    fn any_world()(
        seats in select(vec![1_u8, 3]), many in 8..24_usize, alone in 0..4_u8, listless in 0..4_u8,
        ruling in select(vec![50, SPAN, SPAN + 172_800 + 250, SPAN + 172_800 + 400, 400_000]),
        lapse_share in any_share(),
    ) -> World {
        let mut world = if alone == 0 { World::alone() } else { World::new(seats, many) };
        if alone != 0 && listless == 0 {
            let own = world.terms.panel;
            world.pools.0.get_mut(&own).unwrap().lists[0].effective_at = FUNDED + 1;
        }
        world.terms.ruling = u32::try_from(ruling).unwrap();
        world.terms.lapse_share = lapse_share;
        world
    }
}

fn jump(world: &World, pick: u8) -> u64 {
    let (terms, pools) = (&world.terms, &world.pools);
    let ends = [
        world.case.first_closes_at(terms, pools),
        world.case.juries.last().and_then(|last| last.panel).map(|panel| panel.ends_at),
        world.case.appeal_until(terms, pools),
        Some(DISPUTED + u64::from(terms.ruling)),
    ];
    let times: Vec<u64> =
        ends.into_iter().flatten().flat_map(|end| [end, end + 1]).filter(|time| *time > world.now).collect();
    times.get(usize::from(pick) % times.len().max(1)).copied().unwrap_or(world.now)
}

fn asked(world: &World, step: &Step) -> Option<(Action, Actor)> {
    match step {
        Step::Ask(action, actor) => Some((action.clone(), *actor)),
        Step::Vote { jury, seat, share, signed } => {
            let (number, _) = world.case.drawn(*jury).ok()?;
            let seats = world.case.seats(number, &world.terms, &world.pools);
            let juror = seats.get(usize::from(*seat)).copied().unwrap_or(STRANGER);
            let (jury, seat, share) = (*jury, *seat, *share);
            let ballots = vec![Handed { seat, share, signer: Some(juror) }];
            Some(match signed {
                true => (Action::Submit { jury, ballots }, Actor::Caller(STRANGER)),
                false => (Action::Cast { jury, seat, share, reason: B256::ZERO }, Actor::Caller(juror)),
            })
        }
        _ => None,
    }
}

fn bounds(jury: &Jury) -> Bounds {
    jury.ballots.bounds(jury.panel.map_or(0, |panel| panel.seats))
}

/// Phases follow from the dispute and the acceptance alone, whoever called when.
fn check_times(world: &World) -> Result<(), TestCaseError> {
    let (terms, pools) = (&world.terms, &world.pools);
    let deadline = DISPUTED + u64::from(terms.ruling);
    let first = world.case.juries.first().map_or(0, |jury| jury.instance);
    for (number, jury) in world.case.juries.iter().enumerate() {
        let Some(panel) = jury.panel else { continue };
        let span = if jury.instance == 0 { SPAN } else { PARENT_SPAN };
        if jury.instance == first {
            prop_assert_eq!(panel.ends_at, DISPUTED + span.min(terms.ruling.into()));
        } else {
            let appealed = world.case.juries[..number].iter().rev().find_map(|jury| jury.ruling);
            prop_assert_eq!(panel.ends_at, appealed.unwrap().1 + APPEAL + PARENT_SPAN);
            prop_assert!(panel.ends_at + EXECUTION + MARGIN <= deadline, "an appeal that comes too late");
        }
        if let Some((_, at)) = jury.ruling {
            prop_assert!((DISPUTED..=panel.ends_at).contains(&at));
        }
    }
    if let Some(until) = world.case.appeal_until(terms, pools) {
        prop_assert!(until + PARENT_SPAN + EXECUTION + MARGIN <= deadline);
    }
    Ok(())
}

/// Nobody sits twice in a case, no party sits at all, and every juror is on the list of its pool.
fn check_seats(world: &World) -> Result<(), TestCaseError> {
    let mut seated = HashSet::from([BUYER, SELLER]);
    for (number, jury) in world.case.juries.iter().enumerate().filter(|(_, jury)| !jury.seed.is_zero()) {
        let seats = world.case.seats(number, &world.terms, &world.pools);
        prop_assert_eq!(seats.len(), usize::from(jury.panel.unwrap().seats));
        let members = world.pools.members(pool_of(&world.terms, &world.pools, jury.instance), 0);
        for seat in seats {
            prop_assert!(members.contains(&seat) && seated.insert(seat));
        }
    }
    Ok(())
}

/// A last word is what stands without the ballots as nearly as the ballots let it.
fn check_last_word(before: &World, after: &World) -> Result<(), TestCaseError> {
    let last = after.last();
    let (share, at) = last.ruling.unwrap();
    prop_assert_eq!(at, before.ends_at());
    let appealed = before.case.juries.iter().rfind(|jury| jury.instance != last.instance);
    let base = appealed.map_or(before.terms.lapse_share, |jury| jury.ruling.unwrap().0);
    let heard: Vec<Bounds> =
        before.case.juries.iter().filter(|jury| jury.instance == last.instance).map(bounds).collect();
    let second = heard.last().unwrap();
    prop_assert!((second.lo..=second.hi).contains(&share));
    let lo = heard.iter().map(|one| one.lo).max().unwrap();
    let hi = heard.iter().map(|one| one.hi).min().unwrap();
    if lo <= hi {
        prop_assert_eq!(share, base.clamp(lo, hi), "both juries leave room and the nearest share is another");
    }
    Ok(())
}

/// Ballots that contradict nothing only narrow what can be ruled.
fn check_narrowing(before: &World, after: &World) -> Result<(), TestCaseError> {
    for (one, other) in before.case.juries.iter().zip(&after.case.juries) {
        let seats = one.panel.map_or(0, |panel| panel.seats);
        let kept = |seat| {
            one.ballots.vote(seat) == Vote::Missing || one.ballots.vote(seat) == other.ballots.vote(seat)
        };
        if (0..seats).all(kept) {
            let (wide, narrow) = (bounds(one), bounds(other));
            prop_assert!(wide.lo <= narrow.lo && narrow.hi <= wide.hi);
        }
    }
    Ok(())
}

fn run(mut world: World, steps: &[Step]) -> Result<World, TestCaseError> {
    for step in steps {
        match step {
            Step::Wait(seconds) => world.now += seconds,
            Step::Jump(pick) => world.now = jump(&world, *pick),
            Step::Mine(blocks) => world.block += blocks,
            Step::Ask(..) | Step::Vote { .. } => {}
        }
        let Some((action, actor)) = asked(&world, step) else { continue };
        let before = world.clone();
        let Ok(events) = world.takes(&action, actor) else {
            prop_assert_eq!(&world.case, &before.case);
            continue;
        };
        prop_assert!(!events.is_empty() && events.iter().all(|event| event.deal() == Some(DEAL)));
        prop_assert!(world.case.rulings() >= before.case.rulings() && world.case.rulings() <= 2);
        prop_assert!(world.case.juries.len() >= before.case.juries.len() && world.case.juries.len() <= 4);
        check_times(&world)?;
        check_seats(&world)?;
        check_narrowing(&before, &world)?;
        if action == Action::Conclude {
            check_last_word(&before, &world)?;
        }
        if let Some((share, at)) = world.last().ruling {
            prop_assert!(share <= WHOLE && at <= world.now);
        }
        let told = world.last().stage == Stage::Executed;
        prop_assert_eq!(
            world.state.status == Status::Closed,
            told,
            "the escrow closes by a ruling and not without"
        );
    }
    Ok(world)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1_000), ..Default::default() })]

    #[test]
    fn every_step_holds(world in any_world(), steps in vec(any_step(), 1..80)) {
        run(world, &steps)?;
    }

    /// The same from a drawn jury, so that most of it happens around ballots, last words and appeals.
    #[test]
    fn every_step_of_a_drawn_case_holds(world in any_world(), steps in vec(any_step(), 1..60)) {
        let mut world = world;
        world.open_and_draw();
        run(world, &steps)?;
    }

    /// Terms that give the worst case lose nothing to time: phases are whole, and every ruling can be appealed.
    #[test]
    fn terms_that_give_the_worst_case_lose_nothing_to_time(steps in vec(any_step(), 1..80)) {
        let mut world = World::new(3, 20);
        let own = world.pools.0[&world.terms.panel].book.clone();
        let worst = worst_case(&own, Some(&parent_book(3)));
        world.terms.ruling = u32::try_from(worst).unwrap();
        world.open_and_draw();
        let world = run(world, &steps)?;
        for jury in world.case.juries.iter().filter(|jury| jury.instance == 0) {
            prop_assert_eq!(jury.panel.unwrap().ends_at, DISPUTED + SPAN);
            if jury.ruling.is_some() {
                prop_assert!(jury.panel.unwrap().appealable);
            }
        }
        for (_, at) in world.case.juries.iter().filter_map(|jury| jury.ruling) {
            prop_assert!(at + EXECUTION <= DISPUTED + worst);
        }
    }
}

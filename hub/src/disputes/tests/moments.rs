//! What comes next in a case and when.

use alloy::primitives::{Address, B256};
use proptest::prelude::*;
use protocol::{arbitration::span, wire::feed::RuleBook};

use super::{
    super::moments::{Heard, Moment, Rules, What},
    Case, Jury, Ruling, Stage,
};
use crate::testing::trade::Ground;

fn appealable() -> RuleBook {
    Ground::EVM.appealable()
}

fn parent_book() -> RuleBook {
    Ground::EVM.parent_book()
}

const DISPUTED: u64 = 1_000_000;
/// Of the pool: an hour to open and an hour to vote, twice.
const ENDS: u64 = DISPUTED + 4 * 3_600;
const NOTHING: Heard = Heard { any: false, all: false, determined: false };
const SOME: Heard = Heard { any: true, all: false, determined: false };

fn jury(instance: u8, jury: u8, ends_at: Option<u64>) -> Jury {
    Jury {
        instance,
        jury,
        pool: None,
        target_block: 1,
        seed: ends_at.map(|_| B256::repeat_byte(1)),
        ends_at,
        seats: vec![Address::repeat_byte(1).into(); 3],
        cast: Default::default(),
        counted: B256::ZERO,
    }
}

fn case(stage: Stage, juries: Vec<Jury>, rulings: Vec<Ruling>) -> Case {
    Case { stage, disputed_at: DISPUTED, juries, rulings, appealed_by: None }
}

/// The rules of a pool with a parent, and terms that leave 30 days.
fn rules<'a>(book: &'a RuleBook, parent: &'a RuleBook) -> Rules<'a> {
    Rules { book, parent: Some(parent), ruling: 30 * 86_400 }
}

/// What is to be done, each with its jury and its first second.
fn due(case: &Case, heard: &[Heard]) -> Vec<(What, u8, u8, u64)> {
    let (book, parent) = (appealable(), parent_book());
    let moments = rules(&book, &parent).moments(case, heard);
    moments.iter().map(|one| (one.what, one.instance, one.jury, one.from)).collect()
}

#[test]
fn every_stage_has_what_comes_next() {
    let drawn = || jury(0, 0, Some(ENDS));
    let voted = ENDS - 7_200 + 1;
    let deadline = DISPUTED + 30 * 86_400;

    assert_eq!(due(&case(Stage::Disputed, vec![], vec![]), &[]), [(What::OpenCase, 0, 0, 0)]);
    let opened = case(Stage::Opened, vec![jury(0, 0, None)], vec![]);
    assert_eq!(due(&opened, &[NOTHING]), [(What::DrawJury, 0, 0, 0)]);

    // A silent first jury is followed by a second; without any ballot there is no last word.
    let one = case(Stage::Drawn, vec![drawn()], vec![]);
    assert_eq!(due(&one, &[NOTHING]), [(What::OpenSecondJury, 0, 1, voted)]);
    let conclude = (What::Conclude, 0, 0, ENDS + 1);
    let submit = |jury, from| (What::SubmitBallots, 0, jury, from);
    assert_eq!(due(&one, &[SOME]), [submit(0, voted), (What::OpenSecondJury, 0, 1, voted), conclude]);
    // Where the ballots at hand rule, they have half the hour for opening before a second jury is called.
    let ruling = Heard { determined: true, ..SOME };
    assert_eq!(
        due(&one, &[ruling]),
        [submit(0, voted), (What::OpenSecondJury, 0, 1, voted + 1_800), conclude]
    );
    let all = Heard { any: true, all: true, determined: true };
    assert_eq!(due(&one, &[all])[0], submit(0, 0));

    let widened = case(Stage::Widened, vec![drawn(), jury(0, 1, None)], vec![]);
    assert_eq!(due(&widened, &[SOME, NOTHING]), [(What::DrawJury, 0, 1, 0), submit(0, voted), conclude]);
    // A tenth of the hour is kept for handing in what the second jury said.
    let two = case(Stage::Drawn, vec![drawn(), jury(0, 1, Some(ENDS))], vec![]);
    assert_eq!(due(&two, &[SOME, SOME]), [submit(0, voted), submit(1, ENDS - 360 + 1), conclude]);
    assert_eq!(due(&two, &[NOTHING, NOTHING]), []);

    let accepted =
        |executable_at| Ruling { instance: 0, jury: 0, share: 500, accepted_at: ENDS, executable_at };
    let ruled = case(Stage::Accepted, vec![drawn()], vec![accepted(Some(ENDS + 86_401))]);
    assert_eq!(due(&ruled, &[all]), [(What::ExecuteRuling, 0, 0, ENDS + 86_401)]);
    for over in [Stage::Appealed, Stage::Executed] {
        assert_eq!(due(&case(over, vec![drawn()], vec![accepted(None)]), &[all]), []);
    }

    // An appeal begins when the time for it is over, and has a last word even if nobody was ever drawn.
    let rulings = vec![accepted(Some(ENDS + 86_401))];
    let appealed = case(Stage::Opened, vec![drawn(), jury(1, 0, None)], rulings);
    let end = ENDS + 86_400 + span(&parent_book());
    assert_eq!(due(&appealed, &[all, NOTHING]), [(What::DrawJury, 1, 0, 0), (What::Conclude, 1, 0, end + 1)]);
    let (book, parent) = (appealable(), parent_book());
    let untils: Vec<u64> =
        rules(&book, &parent).moments(&appealed, &[all, NOTHING]).iter().map(|one| one.until).collect();
    assert_eq!(untils, [end, deadline]);
}

#[test]
fn ballots_are_shown_when_all_have_voted_or_voting_has_closed_and_never_before() {
    let (book, parent) = (appealable(), parent_book());
    let rules = rules(&book, &parent);
    let case = case(Stage::Drawn, vec![jury(0, 0, Some(ENDS)), jury(0, 1, Some(ENDS))], vec![]);
    let shown = |jury: usize, heard, now| rules.revealed(&case, &case.juries[jury], heard, now);
    let all = Heard { any: true, all: true, determined: true };
    assert!(!shown(0, SOME, ENDS - 7_200) && shown(0, SOME, ENDS - 7_200 + 1));
    assert!(!shown(1, SOME, ENDS - 360) && shown(1, SOME, ENDS - 360 + 1));
    assert!(shown(0, all, 0) && shown(1, all, 0));
    // A ruling of the instance leaves nothing to hide.
    let ruling = Ruling { instance: 0, jury: 0, share: 500, accepted_at: 1, executable_at: Some(2) };
    let ruled = Case { stage: Stage::Accepted, rulings: vec![ruling], ..case };
    assert!(rules.revealed(&ruled, &ruled.juries[1], NOTHING, 0));
}

proptest! {
    /// Nobody hands in before a moment of the chain's own, nobody after the chain counts no more.
    #[test]
    fn moments_lie_within_the_instance(
        opening in 60_u32..=2_592_000, voting in 1_u32..=7_776_000, any: bool, all: bool, determined: bool,
    ) {
        let book = RuleBook { opening, voting, ..appealable() };
        let parent = parent_book();
        let ends = DISPUTED + span(&book);
        let rules = Rules { book: &book, parent: Some(&parent), ruling: 366 * 86_400 };
        let heard = Heard { any, all, determined };
        let case = case(Stage::Drawn, vec![jury(0, 0, Some(ends)), jury(0, 1, Some(ends))], vec![]);
        for Moment { what, from, until, .. } in rules.moments(&case, &[heard, heard]) {
            match what {
                What::SubmitBallots => prop_assert!(until == ends && from <= ends + 1),
                What::Conclude => prop_assert!(from == ends + 1 && until > ends),
                other => prop_assert!(false, "{other:?}"),
            }
        }
        let first = Case { juries: vec![case.juries[0].clone()], ..case };
        for moment in rules.moments(&first, &[heard]).iter().filter(|one| one.what == What::OpenSecondJury) {
            prop_assert!(moment.from > ends - span(&book) / 2 && moment.from <= moment.until);
        }
    }
}

//! The table, the draw, what ballots come to, and what may be filed about what.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{B256, U256};
use proptest::prelude::*;

use crate::{
    access::Role,
    governance::{
        rule::{Choice, Needs},
        settings::Settings,
        tally::{Ballot, Verdict, tally},
    },
    grievances::{
        jury::{Draw, Drawn, OFFERED_MAX, offered, outcome, rule},
        model::{GrievanceBody, Kind, Outcome, Remedy, SHARES, Step},
        subject::{Deal, Paid, Subject},
        table::{Action as A, Actor as W, Effect as E, Next, State as S, may, next},
    },
    ledger::model::{AMOUNT_MAX, Asset},
    records::RecordId,
};

fn id(number: u32) -> RecordId {
    RecordId::of(&serde_json::json!({ "number": number })).unwrap()
}

/// All that may be done: in which states, what, by whom; where it leads, and with what.
#[test]
fn the_table_is_as_written() {
    let open = [S::Filed, S::Mediation, S::Proposed];
    let parties = [W::Complainant, W::Respondent];
    let mut rows: Vec<(S, A, W, S, E)> = vec![
        (S::Filed, A::Take, W::Steward, S::Mediation, E::None),
        (S::Escalated, A::Conflict, W::Juror, S::Escalated, E::Replace),
        (S::Escalated, A::Seat, W::Hub, S::Voting, E::OpenVote),
        (S::Escalated, A::NobodyLeft, W::Hub, S::Resolved, E::None),
        (S::Voting, A::Rule, W::Hub, S::Resolved, E::Execute),
        (S::Voting, A::Hang, W::Hub, S::Escalated, E::Draw),
        (S::Voting, A::GiveUp, W::Hub, S::Resolved, E::None),
    ];
    for state in open {
        rows.push((state, A::Expire, W::Hub, S::Escalated, E::Draw));
        rows.push((state, A::Dispute, W::Hub, S::Escalated, E::Draw));
    }
    for state in [S::Filed, S::Mediation, S::Proposed, S::Escalated] {
        rows.push((state, A::Close, W::Hub, S::Resolved, E::None));
    }
    for state in [S::Mediation, S::Proposed] {
        rows.push((state, A::Propose, W::Mediator, S::Proposed, E::None));
        rows.push((state, A::Conflict, W::Mediator, S::Escalated, E::Draw));
        rows.push((state, A::CommunityWide, W::Mediator, S::Escalated, E::Draw));
    }
    for who in [W::Complainant, W::Respondent, W::Holder] {
        for state in [S::Filed, S::Mediation, S::Proposed, S::Escalated] {
            rows.push((state, A::Show, who, state, E::None));
        }
    }
    for state in [S::Filed, S::Mediation, S::Proposed, S::Escalated] {
        rows.push((state, A::Withdraw, W::Complainant, S::Resolved, E::None));
    }
    for party in parties {
        for state in [S::Proposed, S::Escalated] {
            rows.push((state, A::Accept, party, state, E::None));
            rows.push((state, A::Agree, party, S::Resolved, E::Execute));
        }
        rows.push((S::Proposed, A::Reject, party, S::Escalated, E::Draw));
    }
    let somebody: BTreeSet<(S, A)> = rows.iter().map(|(state, action, ..)| (*state, *action)).collect();
    let table: BTreeMap<(S, A, W), (S, E)> = rows
        .iter()
        .map(|(state, action, who, to, effect)| ((*state, *action, *who), (*to, *effect)))
        .collect();
    assert_eq!(table.len(), rows.len());
    for state in S::ALL {
        for action in A::ALL {
            for who in W::ALL {
                let expected = match table.get(&(state, action, who)) {
                    Some((to, effect)) => Next::To(*to, *effect),
                    None if somebody.contains(&(state, action)) => Next::NotYours,
                    None => Next::NotSo,
                };
                assert_eq!(next(state, action, who), expected, "{state:?} {action:?} {who:?}");
            }
        }
    }
}

/// Whoever is absent, the hub alone brings every grievance to an end, and nothing goes on after it.
#[test]
fn every_open_state_has_a_way_out_that_the_hub_takes() {
    let steps = |from: S| {
        A::ALL.into_iter().filter_map(move |action| match next(from, action, W::Hub) {
            Next::To(to, _) => Some(to),
            _ => None,
        })
    };
    for state in S::ALL.into_iter().filter(|state| *state != S::Resolved) {
        let mut reached = BTreeSet::from([state]);
        while let Some(more) = reached.iter().copied().flat_map(steps).find(|to| !reached.contains(to)) {
            reached.insert(more);
        }
        assert!(reached.contains(&S::Resolved), "{state:?}");
    }
    for action in A::ALL {
        for who in W::ALL {
            assert_eq!(next(S::Resolved, action, who), Next::NotSo);
            let refused = may(S::Resolved, action, who, 0, None).unwrap_err();
            assert_eq!((refused.rule, refused.status.as_u16()), ("resolved", 409));
        }
    }
}

#[test]
fn people_act_before_the_time_is_over_and_the_hub_from_then_on() {
    let rule =
        |state, action, who, now| may(state, action, who, now, Some(10)).map_err(|refused| refused.rule);
    assert_eq!(rule(S::Filed, A::Take, W::Steward, 9), Ok((S::Mediation, E::None)));
    assert_eq!(rule(S::Filed, A::Take, W::Steward, 10), Err("time_over"));
    assert_eq!(rule(S::Filed, A::Expire, W::Hub, 9), Err("time_not_over"));
    assert_eq!(rule(S::Filed, A::Expire, W::Hub, 10), Ok((S::Escalated, E::Draw)));
    assert_eq!(rule(S::Filed, A::Propose, W::Mediator, 9), Err("not_now"));
    assert_eq!(rule(S::Filed, A::Take, W::Respondent, 9), Err("not_yours"));
    let told = may(S::Filed, A::Take, W::Respondent, 9, None).unwrap_err();
    assert_eq!((told.step.name(), told.status.as_u16()), ("access", 403));
}

fn drawn(entropy: [u8; 32], places: usize, excluded: &[u32], offered: &[u32]) -> Vec<RecordId> {
    let excluded = excluded.iter().map(|one| id(*one)).collect();
    let mut draw = Draw::new(entropy, places, &excluded);
    offered.iter().for_each(|one| draw.offer(id(*one)));
    draw.drawn()
}

proptest! {
    /// In whichever order they are offered, the same ones are drawn: as many as there are places and candidates, none excluded.
    #[test]
    fn a_draw_is_of_candidates_and_entropy_alone(
        entropy: [u8; 32], places in 0..9_usize, excluded in prop::collection::vec(0..20_u32, 0..6),
        (offered, shuffled) in (0..20_u32).prop_flat_map(|count| {
            let offered: Vec<u32> = (0..count).collect();
            (Just(offered.clone()), Just(offered).prop_shuffle())
        }),
    ) {
        let came = drawn(entropy, places, &excluded, &offered);
        prop_assert_eq!(&came, &drawn(entropy, places, &excluded, &shuffled));
        let free = offered.iter().filter(|one| !excluded.contains(one)).count();
        let each: BTreeSet<RecordId> = came.iter().copied().collect();
        prop_assert_eq!((came.len(), each.len()), (places.min(free), came.len()));
        prop_assert!(excluded.iter().all(|one| !each.contains(&id(*one))));
    }

    /// What a share of an amount gives back, beside exact numbers: never less than the share, less than one unit more.
    #[test]
    fn a_share_is_rounded_up(amount in prop_oneof![1..50_i128, 1..=AMOUNT_MAX], share in 0..=SHARES) {
        let count = |number: i64| Choice::Number(number);
        let ballots = [Ballot { seq: 1, received_at: 0, elector: id(1), record: id(2), choice: count(share) }];
        let rule = rule(Remedy::Reversal).unwrap();
        let tally = tally(&BTreeSet::from([id(1)]), &rule, 1, &ballots);
        let came = outcome(Remedy::Reversal, Some(amount), &tally).unwrap();
        let back = came.gives_back(amount).unwrap_or(0);
        let (whole, shares) = (U256::from(amount), U256::from(SHARES));
        let exact = (whole * U256::from(share)).div_ceil(shares);
        prop_assert_eq!(U256::from(back), exact);
        let expected = match back {
            0 => Outcome::Rejected,
            _ if back == amount => Outcome::VoidTransaction,
            _ => Outcome::PartialAdjustment { amount: back },
        };
        prop_assert_eq!(came, expected);
    }
}

/// Whoever has the lots sees who had to be drawn, and that nobody else was.
#[test]
fn who_was_drawn_is_seen_by_the_lots() {
    let excluded = BTreeSet::from([id(3)]);
    let mut draw = Draw::new([7; 32], 3, &excluded);
    for number in 0..9 {
        draw.offer(id(number));
    }
    let (lots, jurors) = (draw.lots(), draw.drawn());
    assert_eq!((lots.len(), jurors.len()), (8, 3));
    let entropy = B256::repeat_byte(7);
    let good = Drawn { record: id(100), seq: 4, entropy, places: 3, members: 9, lots, jurors };
    assert_eq!(good.check(), Ok(()));
    let refused = |change: fn(&mut Drawn)| {
        let mut changed = good.clone();
        change(&mut changed);
        changed.check().unwrap_err()
    };
    for changed in [
        refused(|drawn| drawn.entropy = B256::repeat_byte(8)),
        refused(|drawn| drawn.jurors.swap(0, 1)),
        refused(|drawn| drawn.jurors[2] = id(3)),
        refused(|drawn| drawn.jurors.truncate(2)),
        refused(|drawn| drawn.places = 4),
        refused(|drawn| {
            drawn.lots.remove(0);
        }),
    ] {
        assert!(changed.contains("are not the first"), "{changed}");
    }
    assert!(refused(|drawn| drawn.lots.swap(4, 5)).contains("ascending"));
    assert!(refused(|drawn| drawn.members = 7).contains("7 are offered"));
    // Everybody sits where they are fewer than the places.
    let few = Drawn { places: 13, jurors: Vec::new(), lots: Vec::new(), ..good.clone() };
    assert_eq!(few.check(), Ok(()));
}

/// All of a few, and of more so many of them, each as often.
#[test]
fn everybody_is_offered_alike() {
    for members in [-1, 0, 1, 13, OFFERED_MAX, OFFERED_MAX + 1, 1_000_000] {
        let numbers = offered([7; 32], members);
        assert_eq!(i64::try_from(numbers.len()).unwrap(), members.clamp(0, OFFERED_MAX));
        assert!(numbers.iter().all(|number| (1..=members).contains(number)), "{members}");
    }
    let mut times = vec![0_u32; 1_000];
    for round in 0..400_u32 {
        let mut entropy = [0; 32];
        entropy[..4].copy_from_slice(&round.to_be_bytes());
        for number in offered(entropy, 1_000) {
            times[usize::try_from(number).unwrap() - 1] += 1;
        }
    }
    // 200 expected, with a standard deviation of 10.
    assert!(times.iter().all(|times| (140..260).contains(times)), "{times:?}");
}

/// Nobody's chances are better: of 12 candidates each is drawn about a third of the time for 4 places.
#[test]
fn everybody_is_drawn_alike() {
    let offered: Vec<u32> = (0..12).collect();
    let mut times: BTreeMap<RecordId, u32> = BTreeMap::new();
    for round in 0..3_000_u32 {
        let mut entropy = [0; 32];
        entropy[..4].copy_from_slice(&round.to_be_bytes());
        for juror in drawn(entropy, 4, &[], &offered) {
            *times.entry(juror).or_default() += 1;
        }
    }
    // 1,000 expected, with a standard deviation of 26.
    assert!(times.len() == 12 && times.values().all(|times| (870..1_130).contains(times)), "{times:?}");
}

#[test]
fn ballots_come_to_an_outcome_or_to_none() {
    let jurors: BTreeSet<RecordId> = (1..=5).map(id).collect();
    let come = |remedy, choices: &[Choice]| {
        let ballots: Vec<Ballot> = (1..)
            .zip(choices)
            .map(|(nth, choice)| Ballot {
                seq: nth.into(),
                received_at: 0,
                elector: id(nth),
                record: id(100 + nth),
                choice: *choice,
            })
            .collect();
        outcome(remedy, Some(150), &tally(&jurors, &rule(remedy).unwrap(), 1, &ballots))
    };
    let (yes, no, abstains, share) = (Choice::Yes, Choice::No, Choice::Abstain, Choice::Number);
    for (remedy, choices, expected) in [
        (Remedy::Statement, vec![yes, yes, no], Some(Outcome::Upheld)),
        (Remedy::Removal, vec![yes, yes, no, no, no], Some(Outcome::Rejected)),
        (Remedy::Restoration, vec![yes, no, abstains], Some(Outcome::Rejected)),
        (Remedy::Revocation, vec![yes, yes], None),
        (Remedy::Revocation, vec![abstains; 5], None),
        (Remedy::Reversal, vec![share(0), share(0), share(10_000)], Some(Outcome::Rejected)),
        (
            Remedy::Reversal,
            vec![share(5_000), share(0), share(10_000)],
            Some(Outcome::PartialAdjustment { amount: 75 }),
        ),
        (
            Remedy::Reversal,
            vec![share(1), abstains, abstains],
            Some(Outcome::PartialAdjustment { amount: 1 }),
        ),
        (Remedy::Reversal, vec![share(10_000); 3], Some(Outcome::VoidTransaction)),
        (Remedy::Reversal, vec![share(10_000); 2], None),
        (Remedy::Reversal, vec![abstains; 3], None),
    ] {
        assert_eq!(come(remedy, &choices), expected, "{remedy:?} {choices:?}");
    }
    for remedy in Remedy::ALL {
        let needs = rule(remedy).map(|rule| rule.needs);
        assert_eq!(matches!(needs, Some(Needs::Median { .. })), remedy == Remedy::Reversal);
        assert_eq!(needs.is_none(), remedy == Remedy::Settlement, "the chain's jury decides");
        let part = matches!(remedy, Remedy::Reversal | Remedy::Settlement);
        for (outcome, fits) in [
            (Outcome::Rejected, true),
            (Outcome::Upheld, remedy != Remedy::Reversal),
            (Outcome::VoidTransaction, remedy == Remedy::Reversal),
            (Outcome::PartialAdjustment { amount: 1 }, part),
        ] {
            assert_eq!(remedy.takes(outcome), fits, "{remedy:?} {outcome:?}");
        }
    }
    let all = tally(&jurors, &rule(Remedy::Statement).unwrap(), 1, &[]);
    assert_eq!((all.verdict, outcome(Remedy::Statement, None, &all)), (Verdict::QuorumMissed, None));
}

/// What a mediator proposes is what both sign and, where the chain closes the deal so, what comes of it.
#[test]
fn a_share_of_a_deal_is_an_outcome_for_whoever_complains() {
    let deal = Deal { id: B256::ZERO, asset: Asset::TimeCredit, buyer: id(1), seller: id(2), amount: 1_000 };
    for (buyers, of_buyer, of_seller) in [
        (0, Outcome::Rejected, Outcome::Upheld),
        (1, Outcome::PartialAdjustment { amount: 1 }, Outcome::PartialAdjustment { amount: 999 }),
        (1_000, Outcome::Upheld, Outcome::Rejected),
    ] {
        assert_eq!(Outcome::of_settlement(buyers, 1_000), of_buyer);
        assert_eq!(Outcome::of_settlement(1_000 - buyers, 1_000), of_seller);
        assert_eq!(deal.sellers(id(1), of_buyer), 1_000 - buyers);
        assert_eq!(deal.sellers(id(2), of_seller), 1_000 - buyers);
    }
}

fn body(kind: Kind, remedy: Remedy, respondent: u32) -> GrievanceBody {
    GrievanceBody {
        kind,
        subject: id(50),
        respondent: id(respondent),
        remedy,
        title: "The shed".to_owned(),
        text: String::new(),
    }
}

#[test]
fn a_kind_has_its_remedies() {
    for kind in Kind::ALL {
        for remedy in Remedy::ALL {
            let fits = match kind {
                Kind::Contribution => matches!(remedy, Remedy::Statement | Remedy::Reversal),
                Kind::Trade => matches!(remedy, Remedy::Statement | Remedy::Reversal | Remedy::Settlement),
                Kind::Attestation => matches!(remedy, Remedy::Statement | Remedy::Revocation),
                Kind::Membership => {
                    !matches!(remedy, Remedy::Reversal | Remedy::Revocation | Remedy::Settlement)
                }
            };
            let came = body(kind, remedy, 2).check().map_err(|refused| refused.rule);
            assert_eq!(came, if fits { Ok(()) } else { Err("remedy") }, "{kind:?} {remedy:?}");
        }
    }
    let long = |text: &str, count: usize| text.repeat(count);
    let mut one = body(Kind::Trade, Remedy::Statement, 2);
    one.text = long("x", 4_001);
    assert_eq!(one.check().unwrap_err().field, "/body/text");
    let show = |text: String, uri: Option<String>, sha256: Option<String>| {
        Step::Evidence { text, uri, sha256 }.check().map_err(|refused| refused.field)
    };
    assert_eq!(show(long("x", 4_000), Some(long("x", 500)), Some(long("a", 64))), Ok(()));
    for (came, field) in [
        (show(long("x", 4_001), None, None), "text"),
        (show(String::new(), Some(long("x", 501)), None), "uri"),
        (show(String::new(), None, Some(long("a", 63))), "sha256"),
        (show(String::new(), None, Some(long("g", 64))), "sha256"),
    ] {
        assert_eq!(came, Err(format!("/body/step/evidence/{field}")));
    }
    let none = Step::Propose { outcome: Outcome::PartialAdjustment { amount: 0 }, reason: String::new() };
    assert_eq!(none.check().unwrap_err().rule, "amount");
    assert_eq!(Step::Conflict { reason: long("x", 4_001) }.check().unwrap_err().rule, "length");
}

/// Who may file what about which record against whom. 1 has paid 2; 3 is a steward who has made 4 a member or removed them.
#[test]
fn a_grievance_fits_what_it_is_about() {
    let subject = |kind: &str, author: u32, paid: bool, member: Option<(u32, Option<Role>)>| Subject {
        kind: kind.to_owned(),
        author: id(author),
        at: 0,
        paid: paid.then(|| Paid { asset: Asset::TimeCredit, payer: id(1), payee: id(2), amount: 150 }),
        member: member.map(|(who, role)| (id(who), role)),
        holder: None,
        deal: None,
    };
    let deal = Deal {
        id: B256::repeat_byte(7),
        asset: Asset::TimeCredit,
        buyer: id(1),
        seller: id(2),
        amount: 1_000,
    };
    let purchase = Subject { deal: Some(deal), ..subject("purchase@1", 1, false, None) };
    let transfer = subject("transfer@1", 1, true, None);
    let listing = subject("listing@1", 3, false, None);
    let credential = subject("credential@1", 3, false, None);
    let joined = subject("membership@1", 3, false, Some((4, Some(Role::Member))));
    let removed = subject("membership@1", 3, false, Some((4, None)));
    for (about, who, kind, remedy, against, expected) in [
        (&purchase, 1, Kind::Trade, Remedy::Settlement, 2, None),
        (&purchase, 2, Kind::Trade, Remedy::Settlement, 1, None),
        (&purchase, 1, Kind::Trade, Remedy::Settlement, 3, Some("respondent")),
        (&purchase, 3, Kind::Trade, Remedy::Settlement, 2, Some("respondent")),
        (&transfer, 1, Kind::Trade, Remedy::Settlement, 2, Some("remedy")),
        (&listing, 1, Kind::Trade, Remedy::Settlement, 3, Some("subject")),
        (&transfer, 1, Kind::Trade, Remedy::Reversal, 2, None),
        (&transfer, 1, Kind::Contribution, Remedy::Reversal, 2, None),
        (&transfer, 2, Kind::Trade, Remedy::Statement, 1, None),
        (&transfer, 2, Kind::Trade, Remedy::Reversal, 1, Some("remedy")),
        (&transfer, 3, Kind::Trade, Remedy::Statement, 1, Some("respondent")),
        (&transfer, 1, Kind::Trade, Remedy::Reversal, 3, Some("respondent")),
        (&transfer, 1, Kind::Trade, Remedy::Reversal, 1, Some("respondent")),
        (&transfer, 1, Kind::Membership, Remedy::Statement, 2, Some("subject")),
        (&listing, 1, Kind::Trade, Remedy::Statement, 3, Some("subject")),
        (&listing, 1, Kind::Contribution, Remedy::Statement, 3, None),
        (&listing, 1, Kind::Contribution, Remedy::Statement, 2, Some("respondent")),
        (&listing, 1, Kind::Contribution, Remedy::Reversal, 3, Some("remedy")),
        (&listing, 1, Kind::Attestation, Remedy::Revocation, 3, Some("subject")),
        (&listing, 3, Kind::Attestation, Remedy::Statement, 3, Some("respondent")),
        (&credential, 1, Kind::Attestation, Remedy::Revocation, 3, None),
        (&joined, 1, Kind::Membership, Remedy::Removal, 4, None),
        (&joined, 1, Kind::Membership, Remedy::Removal, 3, Some("remedy")),
        (&joined, 4, Kind::Membership, Remedy::Restoration, 3, Some("remedy")),
        (&removed, 4, Kind::Membership, Remedy::Restoration, 3, None),
        (&removed, 1, Kind::Membership, Remedy::Restoration, 3, Some("remedy")),
        (&removed, 1, Kind::Membership, Remedy::Removal, 4, None),
        (&removed, 1, Kind::Membership, Remedy::Removal, 3, Some("remedy")),
        (&removed, 1, Kind::Membership, Remedy::Statement, 3, None),
    ] {
        let came = about.may_file(&body(kind, remedy, against), id(who)).map_err(|refused| refused.rule);
        assert_eq!(came.err(), expected, "{about:?} {who} {kind:?} {remedy:?} {against}");
    }
    let settings = Settings::of(|_| None);
    let of = |asset: Asset, amount: i128| Subject {
        paid: Some(Paid { asset, payer: id(1), payee: id(2), amount }),
        ..transfer.clone()
    };
    let voted = Settings { members_by_vote: 1, ..settings };
    let (four, three) =
        (Settings { mediator_deal_digits: 4, ..settings }, Settings { mediator_deal_digits: 3, ..settings });
    for (about, remedy, settings, above) in [
        (of(Asset::TimeCredit, 1_000), Remedy::Reversal, settings, false),
        (of(Asset::TimeCredit, 1_001), Remedy::Reversal, settings, true),
        (of(Asset::Issued(id(9)), 1), Remedy::Reversal, settings, true),
        (of(Asset::TimeCredit, 1_001), Remedy::Statement, settings, false),
        (purchase.clone(), Remedy::Settlement, settings, false),
        (purchase.clone(), Remedy::Settlement, four, false),
        (purchase, Remedy::Settlement, three, true),
        (credential.clone(), Remedy::Revocation, settings, false),
        (joined.clone(), Remedy::Removal, settings, false),
        (joined, Remedy::Removal, voted, true),
        (removed, Remedy::Restoration, voted, true),
    ] {
        assert_eq!(about.is_above_mediation(remedy, &settings), above, "{about:?} {remedy:?}");
    }
}

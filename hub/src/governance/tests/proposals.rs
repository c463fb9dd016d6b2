//! What a proposal may say and how it is written, without a database.

use alloy::primitives::B256;
use serde_json::json;

use super::tally::{rule, share, who};
use crate::{
    access::Role,
    governance::{
        model::{Adjusted, Against, Effect, Payment, ProposalBody, WINDOW_MAX_MS, may_open_another},
        rule::{Absence, Ballots, Electorate, Needs},
        settings::{Setting, Settings},
    },
    ledger::model::Asset,
    records::Stamp,
    testing::trade::ARBITER,
};

fn body(effect: Effect, needs: Needs) -> ProposalBody {
    ProposalBody {
        title: "A shed".to_owned(),
        text: String::new(),
        electorate: Electorate::Roles(vec![Role::Member, Role::Steward]),
        rule: rule("1/2", needs),
        ballots: Ballots::Open,
        closes: Stamp::from_ms(4 * 24 * 3_600_000),
        effect,
    }
}

fn all_effects() -> Vec<Effect> {
    let asset = Asset::TimeCredit;
    vec![
        Effect::Text,
        Effect::AdminAdjustment {
            asset,
            entries: vec![Adjusted { account: who(1), amount: -5 }],
            against: Against::Treasury,
        },
        Effect::TreasuryTransfer { asset, to: who(1), amount: 5, payment: Payment::Reward },
        Effect::CreditLimit { asset, account: who(1), limit: Some(100) },
        Effect::Membership { account: who(1), role: Some(Role::Member) },
        Effect::Setting { setting: Setting::QuorumMinPercent, value: Some(60) },
        Effect::Setting { setting: Setting::QuorumMinPercent, value: None },
        Effect::Pool { arbiter: ARBITER, panel: B256::repeat_byte(1), serves: true },
        Effect::PoolList { arbiter: ARBITER, panel: B256::repeat_byte(1) },
    ]
}

#[test]
fn a_proposal_reads_back_as_it_was_written() {
    let median = Needs::Median { lowest: -3, highest: 9 };
    for needs in
        [Needs::Majority, Needs::Supermajority(share("2/3")), Needs::Unanimous(Absence::Agrees), median]
    {
        for effect in all_effects() {
            let body = body(effect, needs);
            let value = serde_json::to_value(&body).unwrap();
            assert_eq!(serde_json::from_value::<ProposalBody>(value).unwrap(), body);
        }
    }
    let written = |nth: usize| serde_json::to_value(all_effects().remove(nth)).unwrap();
    let panel = format!("0x{}", "01".repeat(32));
    assert_eq!(written(7), json!({ "pool": { "arbiter": ARBITER, "panel": panel, "serves": true } }));
    assert_eq!(written(8), json!({ "pool_list": { "arbiter": ARBITER, "panel": panel } }));
    let value = serde_json::to_value(body(all_effects().remove(2), median)).unwrap();
    assert_eq!(
        (&value["rule"], &value["effect"]["treasury_transfer"]["amount"]),
        (&json!({ "quorum": "1/2", "needs": { "median": { "lowest": "-3", "highest": "9" } } }), &json!("5"))
    );
}

#[test]
fn what_an_author_opens_within_a_day_is_bounded() {
    for (opened, theirs, electors, may) in [
        (0, 0, 10_000, true),
        (49, 0, 1, true),
        (50, 50, 1, false),
        (9, 90_000, 10_000, true),
        (9, 90_001, 10_000, false),
        (10, 100_000, 1, false),
        (1, i64::MAX, i64::MAX, false),
    ] {
        let came = may_open_another(opened, theirs, electors);
        assert_eq!(came.is_ok(), may, "{opened} {theirs} {electors}");
        assert!(came.err().is_none_or(|refused| refused.rule == "too_many_a_day"));
    }
}

#[test]
fn the_form_of_a_proposal_is_bounded() {
    let refused = |change: &dyn Fn(&mut ProposalBody)| {
        let mut one = body(Effect::Text, Needs::Majority);
        one.check().unwrap();
        change(&mut one);
        one.check().err().map(|refusal| (refusal.rule, refusal.field))
    };
    let told = |rule, field: &str| Some((rule, field.to_owned()));
    assert_eq!(refused(&|one| one.title = String::new()), told("name", "/body/title"));
    assert_eq!(refused(&|one| one.text = "é".repeat(10_000)), None);
    assert_eq!(refused(&|one| one.text = "é".repeat(10_001)), told("length", "/body/text"));
    assert_eq!(
        refused(&|one| one.electorate = Electorate::Roles(Vec::new())),
        told("roles", "/body/electorate/roles")
    );
    assert_eq!(
        refused(&|one| one.electorate = Electorate::Roles(vec![Role::Member; 2])),
        told("roles", "/body/electorate/roles")
    );
    let half = Needs::Supermajority(share("1/2"));
    assert_eq!(
        refused(&|one| one.rule.needs = half),
        told("supermajority", "/body/rule/needs/supermajority")
    );
    let median = |lowest, highest| Needs::Median { lowest, highest };
    assert_eq!(refused(&|one| one.rule.needs = median(2, 1)), told("median", "/body/rule/needs/median"));
    assert_eq!(refused(&|one| one.rule.needs = median(1, 1)), None);
    let setting = |value| Effect::Setting { setting: Setting::QuorumMinPercent, value };
    assert_eq!(refused(&|one| one.effect = setting(Some(100))), None);
    for bad in [0, 101, i64::MIN, i64::MAX] {
        assert_eq!(
            refused(&|one| one.effect = setting(Some(bad))),
            told("setting", "/body/effect/setting/value"),
            "{bad}"
        );
    }
    assert_eq!(refused(&|one| one.effect = setting(None)), told("median", "/body/effect/setting/value"));
    let by = |effect: Effect, needs| {
        refused(&move |one: &mut ProposalBody| (one.effect, one.rule.needs) = (effect.clone(), needs))
    };
    assert_eq!(by(setting(None), median(1, 100)), None);
    // Whoever proposes does not choose among what: a median of 7 to 7 would leave nothing to vote on.
    for (lowest, highest) in [(0, 100), (7, 7), (1, 99), (2, 100), (100, 100)] {
        let refused = by(setting(None), median(lowest, highest));
        assert_eq!(refused, told("median", "/body/rule/needs/median"), "{lowest} to {highest}");
    }
    assert_eq!(by(setting(Some(5)), median(1, 100)), told("median", "/body/effect"));
    for effect in all_effects().into_iter().skip(7) {
        assert_eq!(by(effect.clone(), Needs::Majority), None);
        assert_eq!(by(effect, median(1, 100)), told("median", "/body/effect"));
    }
    let asset = Asset::TimeCredit;
    let pay = |amount| Effect::TreasuryTransfer { asset, to: who(1), amount, payment: Payment::Reward };
    let limit = |limit| Effect::CreditLimit { asset, account: who(1), limit };
    let most = crate::ledger::model::AMOUNT_MAX;
    for (effect, fine) in [
        (pay(1), true),
        (pay(0), false),
        (pay(-1), false),
        (pay(most), true),
        (pay(most + 1), false),
        (limit(None), true),
        (limit(Some(0)), true),
        (limit(Some(-1)), false),
        (limit(Some(most + 1)), false),
    ] {
        assert_eq!(by(effect.clone(), Needs::Majority).is_none(), fine, "{effect:?}");
    }
    let adjust = |entries: Vec<(u32, i128)>| Effect::AdminAdjustment {
        asset,
        entries: entries
            .into_iter()
            .map(|(number, amount)| Adjusted { account: who(number), amount })
            .collect(),
        against: Against::Issuer,
    };
    for (entries, fine) in [
        (vec![(1, 5)], true),
        (vec![(1, 5), (2, -5)], true),
        (vec![], false),
        (vec![(1, 0)], false),
        (vec![(1, 5), (1, 5)], false),
        (vec![(1, i128::MIN)], false),
        ((0..32).map(|number| (number, 1)).collect(), true),
        ((0..33).map(|number| (number, 1)).collect(), false),
    ] {
        assert_eq!(by(adjust(entries.clone()), Needs::Majority).is_none(), fine, "{entries:?}");
    }
}

#[test]
fn nobody_gives_an_effect_easier_rules_than_the_communitys_own() {
    let first = Settings::of(|_| None);
    let day = 24 * 3_600_000;
    let refused = |settings: &Settings, change: &dyn Fn(&mut ProposalBody)| {
        let mut one = body(all_effects().remove(4), Needs::Majority);
        change(&mut one);
        one.may_open(settings, 0).err().map(|refusal| refusal.rule)
    };
    assert_eq!(refused(&first, &|_| ()), None);
    assert_eq!(refused(&first, &|one| one.closes = Stamp::from_ms(3 * day)), None);
    assert_eq!(refused(&first, &|one| one.closes = Stamp::from_ms(3 * day - 1)), Some("window"));
    assert_eq!(
        refused(&first, &|one| one.electorate = Electorate::Roles(vec![Role::Steward])),
        Some("electorate")
    );
    assert_eq!(refused(&first, &|one| one.rule.quorum = share("49/100")), Some("quorum"));
    assert_eq!(refused(&first, &|one| one.rule.needs = Needs::Unanimous(Absence::Agrees)), None);
    let strict = Settings { approval_min_percent: 67, ..first };
    let two_thirds = Needs::Supermajority(share("2/3"));
    assert_eq!(refused(&strict, &|_| ()), Some("approval"));
    assert_eq!(refused(&strict, &|one| one.rule.needs = two_thirds), Some("approval"));
    assert_eq!(refused(&strict, &|one| one.rule.needs = Needs::Supermajority(share("67/100"))), None);
    assert_eq!(refused(&strict, &|one| one.rule.needs = Needs::Unanimous(Absence::StandsAside)), None);
    assert_eq!(
        refused(&strict, &|one| {
            one.rule.needs = Needs::Median { lowest: 1, highest: 2 };
            one.effect = all_effects().remove(6);
        }),
        Some("approval")
    );
    // Words may be asked of anybody, by any rule, in any window there is.
    let text = |ms: i64| {
        let mut one = body(Effect::Text, Needs::Majority);
        one.rule.quorum = share("0/1");
        one.electorate = Electorate::Roles(vec![Role::Steward]);
        one.closes = Stamp::from_ms(ms);
        one.may_open(&strict, 0).err().map(|refusal| refusal.rule)
    };
    assert_eq!([text(60_000), text(59_999), text(0)], [None, Some("window"), Some("window")]);
    assert_eq!([text(WINDOW_MAX_MS), text(WINDOW_MAX_MS + 1)], [None, Some("window")]);
}

//! Deals on a chain: mediated here, ended by what the chain says, over HTTP, on both engines and both kinds of chain.

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use protocol::wire::{act::PartyAct, feed::EventBody};

use super::*;
use crate::{
    governance::tests::join,
    testing::{
        START_MS,
        trade::{Bought, Trade, everywhere},
    },
};

/// A community of the three jurors, the first of whom is its steward, and of buyer and seller.
async fn market(trade: &Trade) -> RecordId {
    let hub = &trade.hub;
    let steward = &trade.jurors[0];
    hub.clock.pass_ms(1);
    let community = hub.say(&steward.record(hub, "community@1", json!({ "name": "Market" }))).await;
    for person in [&trade.buyer, &trade.seller, &trade.jurors[1], &trade.jurors[2]] {
        join(hub, steward, community, person).await;
    }
    hub.clock.pass_ms(1);
    community
}

async fn funded(trade: &Trade, salt: u8) -> Bought {
    let bought = trade.agree(salt).await;
    trade.fund(&bought).await;
    bought
}

fn settlement(subject: RecordId, against: &Person) -> Value {
    complaint("trade", "settlement", subject, against)
}

/// What a party's wallet signs: the deal is closed at this total of the seller. What is good for another time is another act.
async fn signs(trade: &Trade, who: &Person, bought: &Bought, (seller_total, status): (u128, u8), nth: u64) {
    let valid_until = START_MS as u64 / 1000 + 10_000_000 + nth;
    let act = PartyAct::Settle { seller_total, status, rulings: 0, valid_until };
    let signature = who.wallet.act(&bought.terms, &act);
    trade.hub.clock.pass_ms(1);
    let body = json!({ "act": act, "signature": signature });
    trade.hub.say(&who.record_about(&trade.hub, "act@1", bought.id, body)).await;
}

async fn setting(trade: &Trade, community: RecordId, name: &str, value: &str) {
    let effect = json!({ "setting": { "setting": name, "value": value } });
    assert_eq!(agreed(&trade.hub, &trade.jurors, community, effect).await["state"], "executed");
}

fn propose(outcome: Value) -> Value {
    json!({ "propose": { "outcome": outcome, "reason": "" } })
}

fn part(amount: &str) -> Value {
    propose(json!({ "partial_adjustment": { "amount": amount } }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_is_mediated_and_closed_by_what_both_sign() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (hub, buyer, seller, steward) = (&trade.hub, &trade.buyer, &trade.seller, &trade.jurors[0]);
        let community = market(&trade).await;
        let refuses = async |who: &Person, body: Value| {
            hub.refuses(&own(hub, who, "grievance@1", community, body)).await.2
        };
        let bought = trade.agree(1).await;
        assert_eq!(refuses(buyer, settlement(bought.id, seller)).await, "not_open");
        trade.fund(&bought).await;
        for remedy in ["statement", "reversal"] {
            assert_eq!(refuses(buyer, complaint("trade", remedy, bought.id, seller)).await, "subject");
        }
        assert_eq!(refuses(buyer, settlement(bought.id, steward)).await, "respondent");
        assert_eq!(refuses(&trade.jurors[1], settlement(bought.id, seller)).await, "unknown_subject");
        let stranger = trade.stranger(9).await;
        assert_eq!(refuses(&stranger, settlement(bought.id, seller)).await, "members_only");

        let grievance = file(hub, buyer, community, settlement(bought.id, seller)).await;
        assert_eq!(refuses(buyer, settlement(bought.id, seller)).await, "already_open");
        let seen = shown(hub, steward, grievance).await;
        assert_eq!((&seen["state"], &seen["paid"]), (&json!("filed"), &Value::Null));
        let deal = &seen["settlement"];
        assert_eq!((&deal["deal"], &deal["amount"]), (&json!(bought.deal), &json!("1000")));
        assert_eq!((&deal["seller_total"], &deal["next"]), (&Value::Null, &json!("mediate")));
        does(hub, steward, grievance, json!("take")).await;
        for wrong in [propose(json!("void_transaction")), part("1000"), part("1001")] {
            assert_eq!(refused(hub, steward, grievance, wrong).await, "outcome");
        }
        let proposal = does(hub, steward, grievance, part("400")).await;
        let seen = shown(hub, seller, grievance).await;
        assert_eq!(seen["settlement"]["seller_total"], "600");
        assert_eq!((&seen["settlement"]["next"], &seen["state"]), (&json!("sign"), &json!("proposed")));
        let accept = json!({ "accept": { "proposal": proposal } });
        assert_eq!(refused(hub, seller, grievance, accept).await, "by_signed_act");

        // Another total is no acceptance.
        signs(&trade, seller, &bought, (601, 1), 0).await;
        assert_eq!(shown(hub, buyer, grievance).await["proposed"]["accepted_by"], Value::Null);
        signs(&trade, buyer, &bought, (600, 1), 0).await;
        let seen = shown(hub, seller, grievance).await;
        assert_eq!(seen["proposed"]["accepted_by"], json!(buyer.account));
        assert_eq!(trade.intents().await.len(), 0);
        signs(&trade, seller, &bought, (600, 1), 0).await;
        assert_eq!(trade.intents().await.len(), 1, "the relayer carries what both have signed");
        assert_eq!(shown(hub, seller, grievance).await["state"], "proposed", "the chain has not said so");
        let settled = EventBody::Settled { deal: bought.deal, released: 600, refunded: 400, count: 2 };
        trade.final_event(ground.escrow, settled).await;
        let seen = shown(hub, seller, grievance).await;
        assert_eq!((&seen["state"], &seen["resolution"]["ending"]), (&json!("resolved"), &json!("settled")));
        // The file of it is that of its deal.
        let token = seller.sign_in(hub).await;
        let answer = hub.get_as(&token, &format!("/v1/grievances/{grievance}/bundle")).await;
        assert_eq!(answer.refusal().2, "of_a_deal");
        assert_eq!(seen["resolution"]["outcome"]["partial_adjustment"]["amount"], "400");
        assert_eq!((&seen["settlement"]["next"], &seen["due"]), (&Value::Null, &Value::Null));
        assert_eq!(refused(hub, buyer, grievance, evidence("late")).await, "resolved");
        assert_eq!(refuses(buyer, settlement(bought.id, seller)).await, "not_open");
        trade.hub.end().await;
    }
}

/// What is not settled here goes before the jury that the terms name, and no other is drawn.
#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_is_not_settled_goes_before_the_jury_of_its_chain() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (hub, buyer, seller, steward) = (&trade.hub, &trade.buyer, &trade.seller, &trade.jurors[0]);
        let community = market(&trade).await;
        let mut deals = Vec::new();
        for salt in 1..=6 {
            deals.push(funded(&trade, salt).await);
        }
        let [rejected, disputed, conceded, late, large, other] = &deals[..] else { panic!() };
        let next = async |grievance: RecordId, what: &str| {
            let seen = shown(hub, buyer, grievance).await;
            assert_eq!((&seen["state"], &seen["settlement"]["next"]), (&json!("escalated"), &json!(what)));
            assert_eq!(
                (&seen["jurors"], &seen["juries"], &seen["due"]),
                (&json!([]), &json!(0), &Value::Null)
            );
        };
        let ended = async |grievance: RecordId, ending: &str, outcome: Value| {
            let seen = shown(hub, buyer, grievance).await;
            assert_eq!((&seen["state"], &seen["resolution"]["ending"]), (&json!("resolved"), &json!(ending)));
            assert_eq!(seen["resolution"]["outcome"], outcome);
        };

        // A party rejects; the chain's jury rules.
        let grievance = file(hub, buyer, community, settlement(rejected.id, seller)).await;
        does(hub, steward, grievance, json!("take")).await;
        does(hub, steward, grievance, part("500")).await;
        does(hub, seller, grievance, json!("reject")).await;
        next(grievance, "dispute").await;
        trade.dispute(rejected).await;
        next(grievance, "await_ruling").await;
        let late_filing = own(hub, seller, "grievance@1", community, settlement(rejected.id, buyer));
        assert_eq!(hub.refuses(&late_filing).await.2, "not_open");
        let deal = rejected.deal;
        let ruled = EventBody::Ruled { deal, share: 2_500, released: 250, refunded: 750, count: 3 };
        trade.final_event(ground.escrow, ruled).await;
        ended(grievance, "ruled", json!({ "partial_adjustment": { "amount": "750" } })).await;

        // A party disputes while it is mediated; what was signed before is worthless, and both may sign anew.
        let grievance = file(hub, seller, community, settlement(disputed.id, buyer)).await;
        does(hub, steward, grievance, json!("take")).await;
        does(hub, steward, grievance, propose(json!("upheld"))).await;
        signs(&trade, seller, disputed, (1_000, 1), 0).await;
        assert_eq!(
            shown(hub, seller, grievance).await["proposed"]["accepted_by"],
            json!(trade.seller.account)
        );
        trade.dispute(disputed).await;
        next(grievance, "await_ruling").await;
        assert_eq!(shown(hub, seller, grievance).await["proposed"]["accepted_by"], Value::Null);
        signs(&trade, buyer, disputed, (1_000, 3), 0).await;
        assert_eq!(shown(hub, seller, grievance).await["proposed"]["accepted_by"], json!(buyer.account));
        let settled = EventBody::Settled { deal: disputed.deal, released: 1_000, refunded: 0, count: 3 };
        trade.final_event(ground.escrow, settled).await;
        ended(grievance, "settled", json!("upheld")).await;

        // The mediator has a conflict; the buyer lets the seller have it. The other party's own grievance ends, too.
        let grievance = file(hub, buyer, community, settlement(conceded.id, seller)).await;
        let beside = file(hub, seller, community, settlement(conceded.id, buyer)).await;
        does(hub, steward, grievance, json!("take")).await;
        does(hub, steward, grievance, part("1")).await;
        does(hub, steward, grievance, json!({ "conflict": { "reason": "The seller is my brother." } })).await;
        next(grievance, "dispute").await;
        assert_eq!(shown(hub, buyer, grievance).await["settlement"]["seller_total"], Value::Null);
        let released = EventBody::Released { deal: conceded.deal, released: 1_000, count: 2 };
        trade.final_event(ground.escrow, released).await;
        ended(grievance, "closed", json!("rejected")).await;
        ended(beside, "closed", json!("upheld")).await;

        // More digits than the community leaves to mediators. What was taken back stays so.
        setting(&trade, community, "mediator_deal_digits", "3").await;
        let grievance = file(hub, buyer, community, settlement(large.id, seller)).await;
        next(grievance, "dispute").await;
        does(hub, buyer, grievance, json!("withdraw")).await;
        let reclaimed = EventBody::Reclaimed { deal: large.deal, refunded: 1_000, count: 2 };
        trade.final_event(ground.escrow, reclaimed).await;
        ended(grievance, "withdrawn", Value::Null).await;
        setting(&trade, community, "mediator_deal_digits", "4").await;

        // A matter of the whole community's; and nobody takes it up in time.
        let grievance = file(hub, buyer, community, settlement(other.id, seller)).await;
        does(hub, steward, grievance, json!("take")).await;
        does(hub, steward, grievance, json!("community_wide")).await;
        next(grievance, "dispute").await;
        let grievance = file(hub, buyer, community, settlement(late.id, seller)).await;
        hub.clock.pass_ms(7 * 86_400_000);
        until(hub, buyer, grievance, "escalated").await;
        next(grievance, "dispute").await;
        let lapse = EventBody::Reclaimed { deal: late.deal, refunded: 1_000, count: 2 };
        trade.final_event(ground.escrow, lapse).await;
        ended(grievance, "closed", json!("upheld")).await;
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_is_mediated_where_its_jury_is_at_home() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (hub, steward) = (&trade.hub, &trade.jurors[0]);
        let (home, elsewhere) = (market(&trade).await, market(&trade).await);
        let panel = ground.pool_id(&ground.parent_book());
        let pool = json!({ "arbiter": ground.arbiter, "panel": panel });
        hub.say(&steward.record_about(hub, "pool@1", home, pool)).await;
        let (mut terms, agreement) = trade.terms(1);
        terms.panel = panel;
        let id = hub.say(&trade.purchase(&terms, &agreement)).await;
        let deal = protocol::chain::deal_id(&terms).unwrap();
        let bought = Bought { id, terms, deal };
        hub.say(&trade.acceptance(&bought)).await;
        trade.fund(&bought).await;
        let body = settlement(id, &trade.seller);
        let there = own(hub, &trade.buyer, "grievance@1", elsewhere, body.clone());
        assert_eq!(hub.refuses(&there).await.2, "other_community");
        file(hub, &trade.buyer, home, body).await;
        trade.hub.end().await;
    }
}

const DEALS: u8 = 9;
const STEPS: usize = 14;
const MEDIATION_MS: i64 = 60_000;

/// The simple case beside the hub's.
#[derive(Debug)]
struct Case {
    state: &'static str,
    by_buyer: bool,
    disputed: bool,
    /// What the seller has by it.
    proposed: Option<u128>,
    accepted: Option<bool>,
    ended: Option<(&'static str, Option<u128>)>,
}

impl Case {
    fn mediated(&self) -> bool {
        matches!(self.state, "mediation" | "proposed")
    }

    fn before_chain(&self) -> bool {
        self.mediated() || self.state == "filed"
    }

    /// How an outcome of this total of the seller reads.
    fn outcome(&self, sellers: u128) -> Value {
        match if self.by_buyer { 1_000 - sellers } else { sellers } {
            0 => json!("rejected"),
            1_000 => json!("upheld"),
            theirs => json!({ "partial_adjustment": { "amount": theirs.to_string() } }),
        }
    }

    fn next(&self) -> Value {
        match self.state {
            "filed" | "mediation" => json!("mediate"),
            "proposed" => json!("sign"),
            "escalated" if self.disputed => json!("await_ruling"),
            "escalated" => json!("dispute"),
            _ => Value::Null,
        }
    }

    async fn same(&self, trade: &Trade, grievance: RecordId) {
        let seen = until(&trade.hub, &trade.buyer, grievance, self.state).await;
        let account = |buyer: bool| if buyer { trade.buyer.account } else { trade.seller.account };
        let deal = &seen["settlement"];
        assert_eq!(deal["next"], self.next(), "{self:?}");
        let total = self.proposed.map(|total| total.to_string());
        assert_eq!(deal["seller_total"], json!(total), "{self:?}");
        let accepted = self.accepted.map(account);
        assert_eq!(seen["proposed"]["accepted_by"], json!(accepted), "{self:?}");
        assert_eq!(seen["juries"], json!(0));
        let (ending, outcome) = match self.ended {
            Some((ending, sellers)) => (json!(ending), json!(sellers.map(|sellers| self.outcome(sellers)))),
            None => (Value::Null, Value::Null),
        };
        assert_eq!(
            (&seen["resolution"]["ending"], &seen["resolution"]["outcome"]),
            (&ending, &outcome),
            "{self:?}"
        );
    }
}

/// Whatever parties, mediator, time and chain do, and in whichever order.
#[tokio::test(flavor = "multi_thread")]
async fn random_histories_of_deals_go_as_the_simple_case_says() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (hub, steward) = (&trade.hub, &trade.jurors[0]);
        let community = market(&trade).await;
        let mut deals = Vec::new();
        for salt in 1..=DEALS {
            deals.push(funded(&trade, salt).await);
        }
        setting(&trade, community, "mediation_seconds", "60").await;
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[11; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let random = (0..20_u8, 0..5_u128, any::<bool>());
        let mut nth = 0;
        for (salt, bought) in deals.iter().enumerate() {
            let by_buyer = salt % 2 == 0;
            let people = |buyer: bool| if buyer { &trade.buyer } else { &trade.seller };
            let body = settlement(bought.id, people(!by_buyer));
            let grievance = file(hub, people(by_buyer), community, body).await;
            let mut case = Case {
                state: "filed",
                by_buyer,
                disputed: false,
                proposed: None,
                accepted: None,
                ended: None,
            };
            let (mut count, mut steps) = (1, 0);
            while case.ended.is_none() {
                let (choice, quarters, buyer) = random.new_tree(&mut runner).unwrap().current();
                (nth, steps) = (nth + 1, steps + 1);
                let choice = if steps > STEPS { 18 } else { choice };
                let (total, who) = (quarters * 250, people(buyer));
                let said = async |who: &Person, what: Value, may: bool| {
                    if may {
                        does(hub, who, grievance, what).await;
                    } else {
                        refused(hub, who, grievance, what).await;
                    }
                    may
                };
                match choice {
                    0..=3 => {
                        if said(steward, json!("take"), case.state == "filed").await {
                            case.state = "mediation";
                        }
                    }
                    4..=7 => {
                        let outcome = case.outcome(total);
                        if said(steward, propose(outcome), case.mediated()).await {
                            (case.state, case.proposed, case.accepted) = ("proposed", Some(total), None);
                        }
                    }
                    8 => {
                        if said(who, json!("reject"), case.state == "proposed").await {
                            case.state = "escalated";
                        }
                    }
                    9 => {
                        if said(steward, json!("community_wide"), case.mediated()).await {
                            (case.state, case.proposed, case.accepted) = ("escalated", None, None);
                        }
                    }
                    10..=13 => {
                        let total = case.proposed.filter(|_| choice != 13).unwrap_or(total);
                        signs(&trade, who, bought, (total, if case.disputed { 3 } else { 1 }), nth).await;
                        if case.proposed == Some(total) && case.accepted.is_none() {
                            case.accepted = Some(buyer);
                        }
                    }
                    14 => {
                        hub.clock.pass_ms(MEDIATION_MS);
                        if case.before_chain() {
                            case.state = "escalated";
                        }
                    }
                    15 | 16 if !case.disputed => {
                        count += 1;
                        trade.dispute(bought).await;
                        (case.disputed, case.accepted, case.state) = (true, None, "escalated");
                    }
                    17 => {
                        if said(people(by_buyer), json!("withdraw"), true).await {
                            (case.state, case.ended) = ("resolved", Some(("withdrawn", None)));
                        }
                    }
                    18 | 19 => {
                        let (deal, released, refunded) = (bought.deal, total, 1_000 - total);
                        count += 1;
                        let (ending, total, event) = match (case.disputed, buyer) {
                            (true, true) => {
                                let share = u16::try_from(total * 10).unwrap();
                                ("ruled", total, EventBody::Ruled { deal, share, released, refunded, count })
                            }
                            (_, false) => {
                                ("settled", total, EventBody::Settled { deal, released, refunded, count })
                            }
                            (false, true) => {
                                ("closed", 0, EventBody::Refunded { deal, refunded: 1_000, count })
                            }
                        };
                        trade.final_event(ground.escrow, event).await;
                        (case.state, case.ended) = ("resolved", Some((ending, Some(total))));
                    }
                    _ => {
                        said(who, evidence("this"), true).await;
                    }
                }
                case.same(&trade, grievance).await;
            }
        }
        trade.hub.end().await;
    }
}

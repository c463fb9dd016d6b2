//! Jurors who step aside, and what jurors are paid: over HTTP, on both engines and both kinds of chain.

use alloy::primitives::B256;
use protocol::wire::feed::EventBody;
use serde_json::{Value, json};

use super::{
    COUNTED,
    hearings::{case_of, disputed, intent},
};
use crate::{
    access::Audience,
    governance::tests::{agreed, join},
    records::RecordId,
    testing::{
        Person,
        trade::{Bought, Trade, everywhere},
    },
};

fn aside(trade: &Trade, who: &Person, bought: &Bought, reason: &str) -> Value {
    trade.hub.clock.pass_ms(1);
    let parties = [&trade.buyer, &trade.seller].map(|party| Audience::Account(party.account));
    let draft = who.draft(&trade.hub, "recusal@1", json!({ "reason": reason })).about(bought.id);
    draft.only_for(parties.to_vec()).sign(&who.device).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_juror_with_an_interest_steps_aside_and_sees_no_more_of_the_case() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (bought, disputed_at) = disputed(&trade, 1).await;
        let [first, second, _] = &trade.jurors[..] else { panic!() };
        let told = async |who: &Person, reason: &str| {
            let (status, _, rule, _) = trade.hub.refuses(&aside(&trade, who, &bought, reason)).await;
            (status, rule)
        };
        assert_eq!(told(first, "").await, (403, "not_juror".to_owned()));
        let id = trade.draw(&bought, disputed_at).await;
        assert_eq!(told(&trade.buyer, "").await, (403, "not_juror".to_owned()));
        assert_eq!(told(first, &"x".repeat(2001)).await.1, "note_too_long");
        trade.hub.say(&trade.ballot(1, &bought, id, 1, 2500)).await;
        assert_eq!(told(second, "").await, (409, "has_voted".to_owned()));

        let token = first.sign_in(&trade.hub).await;
        let evidence = case_of(&trade, &token, &bought).await["evidence"].clone();
        assert_eq!(evidence.as_array().unwrap().len(), 1);
        trade.hub.say(&aside(&trade, first, &bought, "The seller is my brother.")).await;
        for path in ["", "/case"] {
            let path = format!("/v1/purchases/{}{path}", bought.id);
            assert_eq!(trade.hub.get_as(&token, &path).await.status, 404, "{path}");
        }
        assert_eq!(trade.hub.get_as(&token, "/v1/cases").await.body["items"], json!([]));
        let ballot = trade.hub.refuses(&trade.ballot(0, &bought, id, 0, 500)).await;
        assert_eq!((ballot.0, ballot.2.as_str()), (409, "recused"));
        assert_eq!(told(first, "").await, (409, "recused".to_owned()));

        // The parties see it. The seat counts as absent: what the others say is shown and handed in when voting has closed.
        trade.hub.say(&trade.ballot(2, &bought, id, 2, 2500)).await;
        let buyer = trade.buyer.sign_in(&trade.hub).await;
        let seen = case_of(&trade, &buyer, &bought).await["juries"][0].clone();
        let all = |name: &str| -> Vec<Value> {
            seen["seats"].as_array().unwrap().iter().map(|seat| seat[name].clone()).collect()
        };
        assert_eq!(
            (all("recused"), all("voted")),
            (vec![json!(true), json!(false), json!(false)], vec![json!(false), json!(true), json!(true)],)
        );
        assert_eq!(seen["ballots"], Value::Null);
        trade.hub.clock.pass_ms(3 * 3600 * 1000);
        let action = intent(&trade, &format!("ballots/{}/0/0", bought.deal)).await;
        let handed: Vec<_> =
            action["ballots"].as_array().unwrap().iter().map(|one| one["seat"].clone()).collect();
        assert_eq!(handed, [1, 2]);
        trade.hub.end().await;
    }
}

/// Disputed, and its jury drawn.
async fn heard(trade: &Trade, salt: u8) -> Bought {
    let (bought, disputed_at) = disputed(trade, salt).await;
    trade.draw(&bought, disputed_at).await;
    bought
}

/// The chain has counted seats 0 and 2, and says the ruling; 0 where the escrow is told in the same call.
async fn accepted(trade: &Trade, bought: &Bought, executable_at: u64) {
    let (deal, escrow) = (bought.deal, trade.ground.escrow.address);
    let said = EventBody::RulingAccepted {
        deal,
        escrow,
        instance: 0,
        jury: 0,
        ballots: COUNTED,
        share: 500,
        executable_at,
    };
    trade.final_event(trade.ground.arbiter, said).await;
}

async fn ruled(trade: &Trade, bought: &Bought) {
    let ruled = EventBody::Ruled { deal: bought.deal, share: 500, released: 50, refunded: 950, count: 3 };
    trade.final_event(trade.ground.escrow, ruled).await;
}

async fn executed(trade: &Trade, bought: &Bought) {
    let (deal, escrow) = (bought.deal, trade.ground.escrow.address);
    ruled(trade, bought).await;
    trade.final_event(trade.ground.arbiter, EventBody::RulingExecuted { deal, escrow, share: 500 }).await;
}

/// What the jurors have, in their order.
async fn balances(trade: &Trade) -> Vec<String> {
    let mut all = Vec::new();
    for juror in &trade.jurors {
        let token = juror.sign_in(&trade.hub).await;
        let account = trade.hub.get_as(&token, "/v1/ledger/statement").await.body["account"].clone();
        all.push(account["balance"].as_str().unwrap().to_owned());
    }
    all
}

async fn decides(trade: &Trade, community: RecordId, effect: Value) {
    let decided = agreed(&trade.hub, &trade.jurors, community, effect).await;
    assert_eq!(decided["state"], "executed", "{decided}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jurors_whose_ballots_counted_are_paid_when_the_ruling_is_executed_for_good() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start_with(db, ground, |config| config.time_credit_limit = 1_000).await;
        let (hub, steward, second) = (&trade.hub, &trade.jurors[0], &trade.jurors[1]);
        let community = hub.say(&steward.record(hub, "community@1", json!({ "name": "Gardens" }))).await;
        for juror in &trade.jurors[1..] {
            join(hub, steward, community, juror).await;
        }
        let deposit = json!({ "asset": "time_credit", "amount": "1000", "note": "" });
        hub.say(&second.record_about(hub, "deposit@1", community, deposit)).await;
        let mut deals = Vec::new();
        for salt in 1..=4 {
            deals.push(heard(&trade, salt).await);
        }
        for waiting in [0, 1, 3] {
            accepted(&trade, &deals[waiting], 1).await;
        }
        for (setting, value) in [("juror_reward", "100"), ("juror_rewards_daily", "400")] {
            let effect = json!({ "setting": { "setting": setting, "value": value } });
            decides(&trade, community, effect).await;
        }

        // That a steward says whom a pool serves spends nothing: a vote makes it the community's.
        let panel: B256 = ground.pool_id(&ground.book());
        let serves = json!({ "arbiter": ground.arbiter, "panel": panel });
        hub.say(&steward.record_about(hub, "pool@1", community, serves)).await;
        executed(&trade, &deals[0]).await;
        assert_eq!(balances(&trade).await, ["0", "-1000", "0"]);
        let pool = json!({ "pool": { "arbiter": ground.arbiter, "panel": panel, "serves": true } });
        decides(&trade, community, pool).await;
        assert_eq!(balances(&trade).await, ["0", "-1000", "0"]);

        // Not before the execution is final, and once; then whichever way the chain tells of it; and so much a day.
        ruled(&trade, &deals[1]).await;
        assert_eq!(balances(&trade).await, ["0", "-1000", "0"]);
        let (deal, escrow) = (deals[1].deal, ground.escrow.address);
        trade.final_event(ground.arbiter, EventBody::RulingExecuted { deal, escrow, share: 500 }).await;
        assert_eq!(balances(&trade).await, ["100", "-1000", "100"]);
        accepted(&trade, &deals[2], 0).await;
        assert_eq!(balances(&trade).await, ["200", "-1000", "200"]);
        ruled(&trade, &deals[2]).await;
        executed(&trade, &deals[3]).await;
        assert_eq!(balances(&trade).await, ["200", "-1000", "200"]);
        let page = hub.get(&format!("/v1/communities/{community}/treasury")).await.body;
        assert_eq!(page["items"][0]["balance"], "600");
        let found = crate::verify_ledger(&hub.config).await.unwrap();
        assert_eq!(found.faults, 0, "{found:?}");
        trade.hub.end().await;
    }
}

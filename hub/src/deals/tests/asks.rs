//! What parties ask the hub to have done, over HTTP, on both engines and both kinds of chain.

use alloy::primitives::{B256, Bytes};
use protocol::{
    chain,
    wire::{act::PartyAct, feed::EventBody, feed::Finality},
};
use serde_json::{Value, json};

use crate::testing::{
    Person, RELAYER_KEY, START_MS,
    trade::{Bought, Trade, everywhere},
};

const NOW: u64 = START_MS as u64 / 1000;
const LATER: u64 = NOW + 1_000_000;

fn signed(trade: &Trade, person: &Person, bought: &Bought, act: &PartyAct) -> Value {
    with(trade, person, bought, act, &person.wallet.act(&bought.terms, act))
}

fn with(trade: &Trade, person: &Person, bought: &Bought, act: &PartyAct, signature: &Bytes) -> Value {
    person.record_about(&trade.hub, "act@1", bought.id, json!({ "act": act, "signature": signature }))
}

fn standing(trade: &Trade, person: &Person, bought: &Bought, time_outs: &[&str]) -> Value {
    person.record_about(&trade.hub, "standing@1", bought.id, json!({ "time_outs": time_outs }))
}

/// The key of a time-out that somebody wants.
fn time_out(bought: &Bought, name: &str, by: &Person) -> String {
    format!("time-out/{}/{name}/{}", bought.deal, by.account)
}

/// Everything that is asked of the relayer, as it gets it.
async fn asked(trade: &Trade) -> Vec<Value> {
    let request = trade.hub.request(reqwest::Method::GET, "/v1/intents?after=0&limit=100&wait=0");
    let page = trade.hub.ask(request.bearer_auth(RELAYER_KEY)).await;
    page.body["intents"].as_array().unwrap().clone()
}

/// The intent of a key, once it is there.
async fn comes(trade: &Trade, key: &str) -> Value {
    let started = std::time::Instant::now();
    loop {
        let all = asked(trade).await;
        if let Some(found) = all.iter().find(|intent| intent["key"] == key) {
            return found.clone();
        }
        assert!(started.elapsed().as_secs() < 60, "no {key} in {all:?}");
        trade.hub.look();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_may_have_only_so_many_acts_that_are_still_tried_over_all_its_deals() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (first, second) = (trade.agree(1).await, trade.agree(2).await);
        trade.fund(&first).await;
        trade.fund(&second).await;
        let release = |total| PartyAct::Release { total };
        let buys =
            async |total| trade.hub.refuses(&signed(&trade, &trade.buyer, &second, &release(total))).await.2;
        // As if they had been handed in over many deals.
        let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO acts (id, deal, key, party, author, what, deadline, body, created_at)
             SELECT 'many/' || CAST(i AS TEXT), $1, 'many', 'p/' || CAST(i AS TEXT), $2, 'deliver', $3, '', 0 FROM n";
        let (deal, author) = (first.deal.to_string(), trade.buyer.account.to_string());
        let many = sqlx::query(many).bind(deal).bind(author).bind(LATER as i64);
        many.execute(&trade.hub.eyes).await.unwrap();
        assert_eq!(buys(1).await, "too_many_open_acts");
        let refund = signed(&trade, &trade.seller, &second, &PartyAct::Refund { total: 1 });
        trade.hub.say(&refund).await;
        let change = async |sql: &'static str| {
            sqlx::query(sql).execute(&trade.hub.eyes).await.unwrap();
        };
        change("UPDATE acts SET deadline = 1 WHERE id = 'many/7'").await;
        trade.hub.say(&signed(&trade, &trade.buyer, &second, &release(1))).await;
        assert_eq!(buys(2).await, "too_many_open_acts");
        // Nor is what the relayer said is done, or has failed, tried any more.
        change("UPDATE acts SET key = 'over' WHERE id IN ('many/8', 'many/9')").await;
        change(r#"INSERT INTO intent_progress (key, progress, reported_at) VALUES ('over', '{"state":"sent"}', 0)"#).await;
        assert_eq!(buys(2).await, "too_many_open_acts");
        change(r#"UPDATE intent_progress SET progress = '{"state":"done","transaction":null}' WHERE key = 'over'"#)
            .await;
        trade.hub.say(&signed(&trade, &trade.buyer, &second, &release(5))).await;
        change(
            r#"UPDATE intent_progress SET progress = '{"state":"failed","reason":""}' WHERE key = 'over'"#,
        )
        .await;
        trade.hub.say(&signed(&trade, &trade.buyer, &second, &release(6))).await;
        assert_eq!(buys(2).await, "too_many_open_acts");
        // What is over leaves nothing to try but withdrawals.
        let all = EventBody::Released { deal: first.deal, released: 1_000, count: 2 };
        trade.final_event(ground.escrow, all).await;
        trade.hub.say(&signed(&trade, &trade.buyer, &second, &release(2))).await;
        change("UPDATE acts SET what = 'withdraw' WHERE key = 'many'").await;
        assert_eq!(buys(3).await, "too_many_open_acts");
        change("DELETE FROM acts WHERE key IN ('many', 'over')").await;
        change("DELETE FROM intent_progress WHERE key = 'over'").await;
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_party_signs_is_asked_of_the_relayer_in_its_name_and_once() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let bought = trade.agree(1).await;
        let release = PartyAct::Release { total: 400 };
        let refused = async |record| trade.hub.refuses(&record).await.2;
        assert_eq!(refused(signed(&trade, &trade.buyer, &bought, &release)).await, "not_open");
        trade.fund(&bought).await;
        let stranger = trade.stranger(9).await;
        assert_eq!(refused(signed(&trade, &stranger, &bought, &release)).await, "no_purchase");
        assert_eq!(refused(signed(&trade, &trade.seller, &bought, &release)).await, "not_yours");
        let forged = trade.seller.wallet.act(&bought.terms, &release);
        assert_eq!(
            refused(with(&trade, &trade.buyer, &bought, &release, &forged)).await,
            "invalid_signature"
        );
        let other = trade.buyer.wallet.act(&bought.terms, &PartyAct::Release { total: 401 });
        assert_eq!(refused(with(&trade, &trade.buyer, &bought, &release, &other)).await, "invalid_signature");
        let long: Bytes = vec![1; 1_025].into();
        assert_eq!(refused(with(&trade, &trade.buyer, &bought, &release, &long)).await, "signature_too_long");
        for (act, rule) in [
            (PartyAct::Release { total: 1_001 }, "total_too_high"),
            (PartyAct::Release { total: 0 }, "nothing_moves"),
            (PartyAct::Dispute { evidence: B256::ZERO, valid_until: NOW - 1 }, "signature_expired"),
            (
                PartyAct::Evidence { evidence: B256::ZERO, uri: "u".repeat(257), valid_until: LATER },
                "uri_too_long",
            ),
        ] {
            assert_eq!(refused(signed(&trade, &trade.buyer, &bought, &act)).await, rule);
        }

        trade.hub.say(&signed(&trade, &trade.buyer, &bought, &release)).await;
        let buyer = trade.buyer.wallet_id();
        let digest = chain::act_digest(&bought.terms, buyer.address, &release).unwrap();
        let intent = comes(&trade, &format!("act/{}/{digest}/{}", bought.deal, buyer.address)).await;
        assert_eq!(intent["asked_by"], json!(trade.buyer.account));
        assert_eq!((&intent["action"]["do"], &intent["action"]["act"]), (&json!("act"), &json!(release)));
        let signature = trade.buyer.wallet.act(&bought.terms, &release);
        assert_eq!(intent["action"]["signed"], json!([{ "party": buyer.address, "signature": signature }]));
        trade.hub.clock.pass_ms(1_000);
        assert_eq!(refused(signed(&trade, &trade.buyer, &bought, &release)).await, "known_act");

        // The other party sees it; strangers see nothing.
        let token = trade.seller.sign_in(&trade.hub).await;
        let details = trade.view(&token, &bought).await["details"].clone();
        assert_eq!(
            (&details["acts"][0]["act"], &details["acts"][0]["party"]),
            (&json!(release), &json!(buyer.address))
        );
        // What has happened moves nothing any more.
        trade
            .final_event(ground.escrow, EventBody::Released { deal: bought.deal, released: 400, count: 2 })
            .await;
        let less = PartyAct::Release { total: 399 };
        assert_eq!(refused(signed(&trade, &trade.buyer, &bought, &less)).await, "nothing_moves");
        assert_eq!(asked(&trade).await.len(), 1);
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_is_asked_for_when_both_have_signed_it() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let bought = trade.agree(1).await;
        trade.fund(&bought).await;
        let settle = PartyAct::Settle { seller_total: 600, status: 1, rulings: 0, valid_until: LATER };
        let other = PartyAct::Settle { seller_total: 601, status: 1, rulings: 0, valid_until: LATER };
        trade.hub.say(&signed(&trade, &trade.buyer, &bought, &settle)).await;
        trade.hub.say(&signed(&trade, &trade.seller, &bought, &other)).await;
        assert_eq!(asked(&trade).await, Vec::<Value>::new(), "they do not agree");
        trade.hub.say(&signed(&trade, &trade.seller, &bought, &settle)).await;
        let all = asked(&trade).await;
        assert_eq!(all.len(), 1);
        assert_eq!(all[0]["asked_by"], json!(trade.seller.account), "who completes it");
        assert_eq!(all[0]["action"]["signed"].as_array().unwrap().len(), 2);
        assert_eq!(all[0]["deadline"], json!(LATER.to_string()));
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_out_is_asked_for_in_its_first_second_for_who_wants_it() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let bought = trade.agree(1).await;
        let refused = async |record| trade.hub.refuses(&record).await.2;
        assert_eq!(refused(standing(&trade, &trade.buyer, &bought, &["claim"])).await, "not_yours");
        assert_eq!(refused(standing(&trade, &trade.seller, &bought, &["reclaim"])).await, "not_yours");
        assert_eq!(refused(standing(&trade, &trade.seller, &bought, &["claim", "claim"])).await, "twice");
        let second = trade.agree(2).await;
        trade.fund(&second).await;
        // Before anything is funded, and for more than will come.
        trade.hub.say(&standing(&trade, &trade.seller, &bought, &["claim", "lapse"])).await;
        trade.fund(&bought).await;
        let delivered = EventBody::Delivered { deal: bought.deal, delivery: B256::ZERO, count: 2 };
        let event = trade.final_event(ground.escrow, delivered).await;
        let last = event.block_time + u64::from(bought.terms.inspection);
        let token = trade.seller.sign_in(&trade.hub).await;
        let details = trade.view(&token, &bought).await["details"].clone();
        assert_eq!(details["standing"][0], json!({ "time_out": "claim", "account": trade.seller.account }));

        let pass = i64::try_from(last * 1_000).unwrap() - trade.hub.now();
        trade.hub.clock.pass_ms(pass);
        // A look at the clock that came to nothing: what is asked for next would stand behind it.
        let release = PartyAct::Release { total: 1 };
        trade.hub.say(&signed(&trade, &trade.buyer, &second, &release)).await;
        assert_eq!(asked(&trade).await.len(), 1, "the last second is still the buyer's");
        trade.hub.clock.pass_ms(1_000);
        let intent = comes(&trade, &time_out(&bought, "claim", &trade.seller)).await;
        assert_eq!(intent["action"], json!({ "do": "time_out", "time_out": "claim" }));
        assert_eq!(intent["asked_by"], json!(trade.seller.account));
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standing_order_taken_back_or_overtaken_asks_for_nothing() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (taken_back, overtaken, seen) =
            (trade.agree(1).await, trade.agree(2).await, trade.agree(3).await);
        for bought in [&taken_back, &overtaken, &seen] {
            trade.fund(bought).await;
            trade.hub.say(&standing(&trade, &trade.buyer, bought, &["reclaim"])).await;
        }
        trade.hub.clock.pass_ms(1_000);
        trade.hub.say(&standing(&trade, &trade.buyer, &taken_back, &[])).await;
        let deal = overtaken.deal;
        let delivered = |deal| EventBody::Delivered { deal, delivery: B256::ZERO, count: 2 };
        trade.final_event(ground.escrow, delivered(deal)).await;
        // A delivery that may yet be taken back.
        let event = trade.script.happens(ground.escrow, delivered(seen.deal));
        trade.deliver(&[trade.script.tells(&event, Finality::Seen)]).await;

        let ends = (bought_until(&seen) + 1) * 1_000;
        trade.hub.clock.pass_ms(i64::try_from(ends).unwrap() - trade.hub.now());
        // It is: then the order is carried out, and nothing else was before it.
        trade.deliver(&[trade.script.tells(&event, Finality::Retracted)]).await;
        comes(&trade, &time_out(&seen, "reclaim", &trade.buyer)).await;
        assert_eq!(asked(&trade).await.len(), 1);
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_parties_lapses_are_asked_for_and_what_one_does_on_the_way_keeps_neither() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let bought = trade.agree(1).await;
        trade.fund(&bought).await;
        for party in [&trade.buyer, &trade.seller] {
            trade.hub.say(&standing(&trade, party, &bought, &["lapse"])).await;
        }
        let disputed = trade.dispute(&bought).await;
        let ends = (disputed.block_time + u64::from(bought.terms.ruling) + 1) * 1_000;
        // Seen and not final, all the time: it does not move the deadline.
        let argued = EventBody::Evidence {
            deal: bought.deal,
            by: bought.terms.buyer.address,
            evidence: B256::ZERO,
            uri: "u".to_owned(),
            count: 3,
        };
        let event = trade.script.happens(ground.escrow, argued);
        trade.deliver(&[trade.script.tells(&event, Finality::Seen)]).await;
        let token = trade.seller.sign_in(&trade.hub).await;
        assert_eq!(trade.view(&token, &bought).await["provisional"]["finality"], "seen");
        trade.hub.clock.pass_ms(i64::try_from(ends).unwrap() - trade.hub.now());
        for party in [&trade.buyer, &trade.seller] {
            let intent = comes(&trade, &time_out(&bought, "lapse", party)).await;
            assert_eq!(intent["asked_by"], json!(party.account));
        }
        trade.hub.end().await;
    }
}

const fn bought_until(bought: &Bought) -> u64 {
    bought.terms.deliver_by
}

//! The relayer's doors over HTTP, on both engines and both kinds of chain.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use alloy::primitives::B256;
use protocol::{
    chain::ChainId,
    wire::feed::{Brought, ChainEvent, EventBody, FeedId, Finality},
};
use serde_json::{Value, json};

use crate::testing::{
    RELAYER_KEY,
    trade::{Trade, everywhere},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_moves_by_final_events_and_shows_what_is_seen() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let bought = trade.agree(1).await;
        let (deal, buyer) = (bought.deal, trade.buyer.sign_in(&trade.hub).await);
        let funded = EventBody::Funded { deal, terms: bought.terms.clone() };
        let funded = trade.script.happens(ground.escrow, funded);
        for (finality, status, provisional) in [
            (Finality::Seen, "created", json!({ "status": "funded", "finality": "seen" })),
            (Finality::Safe, "created", json!({ "status": "funded", "finality": "safe" })),
            (Finality::Final, "funded", Value::Null),
        ] {
            let entry = trade.script.tells(&funded, finality);
            let answer = trade.deliver(std::slice::from_ref(&entry)).await;
            assert_eq!(answer.body, json!({ "applied": 1, "duplicates": 0 }), "{answer:?}");
            let again = trade.deliver(&[entry]).await;
            assert_eq!(again.body, json!({ "applied": 0, "duplicates": 1 }));
            let seen = trade.view(&buyer, &bought).await;
            assert_eq!((&seen["status"], &seen["provisional"]), (&json!(status), &provisional));
        }
        let seen = trade.view(&buyer, &bought).await;
        assert_eq!(seen["details"]["next_deadline"]["then"], "reclaim");
        assert_eq!(seen["details"]["transactions"][0]["transaction"], json!(funded.transaction));

        // A release that leaves the chain again is as if it had never been.
        let all = EventBody::Released { deal, released: 1000, count: 2 };
        let released = trade.script.happens(ground.escrow, all.clone());
        trade.deliver(&[trade.script.tells(&released, Finality::Seen)]).await;
        assert_eq!(trade.view(&buyer, &bought).await["provisional"]["status"], "confirmed");
        trade.deliver(&[trade.script.tells(&released, Finality::Retracted)]).await;
        let seen = trade.view(&buyer, &bought).await;
        assert_eq!((&seen["status"], &seen["provisional"]), (&json!("funded"), &Value::Null));

        trade.final_event(ground.escrow, EventBody::Released { deal, released: 300, count: 2 }).await;
        trade.final_event(ground.escrow, EventBody::Reclaimed { deal, refunded: 700, count: 3 }).await;
        let seen = trade.view(&buyer, &bought).await;
        assert_eq!((&seen["status"], &seen["seller_share_bps"]), (&json!("completed"), &json!(3000)));
        assert_eq!(
            (&seen["details"]["released"], &seen["details"]["refunded"]),
            (&json!("300"), &json!("700"))
        );

        // An operator let the indexer go on past what was final: it is on record, and nothing is undone by itself.
        let answer = trade.deliver(&[trade.script.tells(&funded, Finality::Retracted)]).await;
        assert_eq!(answer.body, json!({ "applied": 1, "duplicates": 0 }), "{answer:?}");
        let answer = trade.deliver(&[trade.script.tells(&funded, Finality::Retracted)]).await;
        assert_eq!(answer.body, json!({ "applied": 0, "duplicates": 1 }), "on record once: {answer:?}");
        assert_eq!(trade.view(&buyer, &bought).await, seen);
        assert_eq!(trade.intents().await, []);
        trade.hub.end().await;
    }
}

/// Of two transactions of one slot the first settles before the other, and the feed tells it again.
#[tokio::test(flavor = "multi_thread")]
async fn what_settles_first_comes_first() {
    for (db, ground) in everywhere().await {
        if !matches!(ground.escrow.chain, ChainId::Solana(_)) {
            continue;
        }
        let trade = Trade::start(db, ground).await;
        let bought = trade.agree(1).await;
        let (deal, buyer) = (bought.deal, trade.buyer.sign_in(&trade.hub).await);
        let funded = EventBody::Funded { deal, terms: bought.terms.clone() };
        let funded = trade.script.happens(ground.escrow, funded);
        let delivered = EventBody::Delivered { deal, delivery: B256::ZERO, count: 2 };
        let delivered = ChainEvent {
            block_number: funded.block_number,
            block_hash: funded.block_hash,
            block_time: funded.block_time,
            ..trade.script.happens(ground.escrow, delivered)
        };
        for (event, finality) in
            [(&funded, Finality::Seen), (&delivered, Finality::Seen), (&funded, Finality::Final)]
        {
            let answer = trade.deliver(&[trade.script.tells(event, finality)]).await;
            assert_eq!(answer.body, json!({ "applied": 1, "duplicates": 0 }), "{answer:?}");
        }
        let seen = trade.view(&buyer, &bought).await;
        let provisional = json!({ "status": "delivered", "finality": "seen" });
        assert_eq!((&seen["status"], &seen["provisional"]), (&json!("funded"), &provisional));
        let shown = seen["details"]["transactions"].as_array().unwrap();
        let shown: Vec<_> = shown.iter().map(|one| &one["event"]).collect();
        assert_eq!(shown, [&json!(funded.id), &json!(delivered.id)]);
        trade.hub.end().await;
    }
}

/// What is logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_event_that_leaves_the_chain_is_counted_and_logged() {
    let logged = Logged::default();
    let writer = logged.clone();
    service::telemetry::start_logging_to(move || writer.clone());
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let bought = trade.agree(1).await;
        let counted = async || -> u64 {
            let name = format!("hub_final_retracted_total{{chain=\"{}\"}} ", ground.escrow.chain);
            let answer = trade.hub.request(reqwest::Method::GET, "/metrics").send().await.unwrap();
            let text = answer.text().await.unwrap();
            text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0)
        };
        let funded = trade.fund(&bought).await;
        let before = counted().await;
        trade.deliver(&[trade.script.tells(&funded, Finality::Retracted)]).await;
        assert_eq!(counted().await, before + 1);
        let text = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
        let line = text.lines().rfind(|line| line.contains(&funded.id.to_string())).expect("a line");
        assert!(line.contains("ERROR") && line.contains("a final event left the chain"), "{line}");
        assert!(line.contains(&bought.id.to_string()), "{line}");
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_a_feed_was_brought_is_kept_and_what_is_missing_is_said() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let bought = trade.agree(1).await;
        let chain = ground.escrow.chain;
        let told = |deliveries, feed: u8, through| Brought {
            chain,
            deliveries,
            feed: FeedId::repeat_byte(feed),
            through,
        };
        // Somebody else's, which the hub keeps nothing of.
        let deal = B256::repeat_byte(0x77);
        let foreign = EventBody::Delivered { deal, delivery: B256::ZERO, count: 2 };
        let foreign = trade.script.tells(&trade.script.happens(ground.escrow, foreign), Finality::Final);
        let funded = EventBody::Funded { deal: bought.deal, terms: bought.terms.clone() };
        let funded = trade.script.happens(ground.escrow, funded);
        let seen = trade.script.tells(&funded, Finality::Seen);
        for (entry, said, has) in [
            // Who asks changes nothing.
            (None, told(0, 1, 9), told(0, 0, 0)),
            (Some(&foreign), told(0, 1, 7), told(1, 1, 7)),
            (Some(&foreign), told(1, 1, 7), told(1, 1, 7)),
            // Taken, while an entry before it waits.
            (Some(&seen), told(1, 1, 7), told(2, 1, 7)),
            // Its answer was lost, and the relayer's own database is older.
            (Some(&seen), told(1, 1, 7), told(3, 1, 7)),
            (None, told(3, 1, 8), told(3, 1, 7)),
            // Another feed begins anew.
            (Some(&foreign), told(3, 2, 3), told(4, 2, 3)),
            // The hub's database is older than what the relayer knows it took.
            (Some(&foreign), told(5, 2, 9), told(4, 2, 3)),
            (None, told(5, 2, 9), told(4, 2, 3)),
            (Some(&foreign), told(4, 2, 9), told(5, 2, 9)),
        ] {
            assert_eq!(trade.brought(entry, &said).await, has, "{said:?}");
        }
        let elsewhere = Brought { chain: "eip155:10".parse().unwrap(), ..told(1, 2, 5) };
        assert_eq!(trade.brought(None, &elsewhere).await.deliveries, 0, "each chain has its own");
        trade.hub.end().await;
    }
}

/// An indexer's database is put back and tells the same events at other places of its feed, and of one that left the chain
/// meanwhile nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_feed_begun_anew_is_taken_by_what_it_tells_and_not_by_its_numbers() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let bought = trade.agree(1).await;
        let (deal, buyer) = (bought.deal, trade.buyer.sign_in(&trade.hub).await);
        let brought = |feed: u8, through| {
            let chain = ground.escrow.chain;
            Brought { chain, deliveries: 0, feed: FeedId::repeat_byte(feed), through }
        };
        let at = |seq, mut entry: protocol::wire::feed::FeedEntry| {
            entry.seq = seq;
            entry
        };
        let funded = EventBody::Funded { deal, terms: bought.terms.clone() };
        let funded = trade.script.happens(ground.escrow, funded);
        let entry = at(900, trade.script.tells(&funded, Finality::Final));
        trade.brought(Some(&entry), &brought(1, 900)).await;
        let all = EventBody::Released { deal, released: 1000, count: 2 };
        let released = trade.script.happens(ground.escrow, all.clone());
        let entry = at(901, trade.script.tells(&released, Finality::Seen));
        trade.brought(Some(&entry), &brought(1, 901)).await;
        let provisional = async || trade.view(&buyer, &bought).await["provisional"]["status"].clone();
        assert_eq!(provisional().await, "confirmed");

        // Taken back at a lower place.
        let entry = at(12, trade.script.tells(&released, Finality::Retracted));
        trade.brought(Some(&entry), &brought(2, 12)).await;
        assert_eq!(provisional().await, Value::Null);
        let entry = at(13, trade.script.tells(&released, Finality::Seen));
        trade.brought(Some(&entry), &brought(2, 13)).await;
        assert_eq!(provisional().await, "confirmed");

        // Who told went on elsewhere and still knows it.
        let funded = at(14, trade.script.tells(&funded, Finality::Final));
        trade.brought(Some(&funded), &brought(3, 14)).await;
        assert_eq!(provisional().await, "confirmed");
        // Nobody does, in a feed that begins before.
        trade.script.forgets(&released);
        trade.brought(Some(&funded), &brought(3, 15)).await;
        assert_eq!(provisional().await, "confirmed", "the feed goes on");
        trade.brought(Some(&funded), &brought(3, 1)).await;
        assert_eq!(provisional().await, Value::Null);
        trade.final_event(ground.escrow, all).await;
        assert_eq!(trade.view(&buyer, &bought).await["status"], "completed");
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_out_of_order_waits_for_what_it_follows() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let bought = trade.agree(1).await;
        let (deal, buyer) = (bought.deal, trade.buyer.sign_in(&trade.hub).await);
        let bodies = [
            EventBody::Funded { deal, terms: bought.terms.clone() },
            EventBody::Delivered { deal, delivery: B256::ZERO, count: 2 },
            EventBody::Claimed { deal, released: 1000, count: 3 },
        ];
        let entries = bodies.map(|body| {
            let event = trade.script.happens(ground.escrow, body);
            trade.script.tells(&event, Finality::Final)
        });
        for (index, status) in [(2, "created"), (0, "funded"), (1, "completed")] {
            let answer = trade.deliver(&[entries[index].clone()]).await;
            assert_eq!(answer.body["applied"], 1);
            assert_eq!(trade.view(&buyer, &bought).await["status"], status);
        }
        let answer = trade.deliver(&entries).await;
        assert_eq!(answer.body, json!({ "applied": 0, "duplicates": 3 }));
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_indexer_does_not_confirm_has_no_effect() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let bought = trade.agree(1).await;
        let body = EventBody::Funded { deal: bought.deal, terms: bought.terms.clone() };
        let funded = trade.script.happens(ground.escrow, body);
        let refuses = async |entry, status: u16, rule: &str| {
            let before = trade.hub.rows().await;
            let answer = trade.deliver(&[entry]).await;
            let told = answer.refusal();
            assert_eq!((told.0, told.2), (status, rule), "{answer:?}");
            assert_eq!(trade.hub.rows().await, before);
        };
        let seen = trade.script.tells(&funded, Finality::Seen);
        let mut forged = seen.clone();
        forged.event.id = B256::repeat_byte(1);
        refuses(forged, 422, "event_id").await;
        let unknown = trade
            .script
            .happens(ground.escrow, EventBody::Claimed { deal: bought.deal, released: 1, count: 2 });
        let mut invented = seen.clone();
        invented.event = unknown;
        refuses(invented, 409, "event_unknown").await;
        let mut early = seen.clone();
        early.finality = Finality::Final;
        refuses(early, 425, "event_early").await;
        let mut altered = seen.clone();
        altered.event.block_time += 1;
        refuses(altered, 422, "event_false").await;
        trade.script.tells(&funded, Finality::Retracted);
        let mut retracted = seen.clone();
        retracted.finality = Finality::Final;
        // True when they were told, and overtaken since (what was final, too, where an operator let go of it): taken without
        // effect.
        let before = trade.hub.rows().await;
        for overtaken in [retracted, seen.clone()] {
            let answer = trade.deliver(&[overtaken]).await;
            assert_eq!(answer.body, json!({ "applied": 0, "duplicates": 1 }));
        }
        assert_eq!(trade.hub.rows().await, before);

        // Without the key nothing is even read.
        for key in ["", "another-key-than-the-relayers"] {
            for (method, path) in [
                (reqwest::Method::POST, "/v1/chain-events"),
                (reqwest::Method::GET, "/v1/intents"),
                (reqwest::Method::POST, "/v1/intents/progress"),
            ] {
                let request =
                    trade.hub.request(method, path).bearer_auth(key).json(&json!({ "entries": [seen] }));
                assert_eq!(trade.hub.ask(request).await.status, 401, "{path}");
            }
        }
        let many = vec![seen; 101];
        assert_eq!(trade.deliver(&many).await.status, 422);
        // Nor does anyone but the hub say what the chain did.
        let record = trade.buyer.record_about(&trade.hub, "chain-event@1", bought.id, json!(many[0]));
        assert_eq!(trade.hub.refuses(&record).await.2, "hub_only");
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_the_hub_does_not_know_leaves_nothing() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (terms, agreement) = trade.terms(1);
        let deal = protocol::chain::deal_id(&terms).unwrap();
        let before = trade.hub.rows().await;
        let happened = [
            trade.script.happens(ground.escrow, EventBody::Funded { deal, terms: terms.clone() }),
            trade.script.happens(ground.escrow, EventBody::Retracted { deal, by: terms.buyer.address }),
        ];
        for event in &happened {
            let entry = trade.script.tells(event, Finality::Final);
            let answer = trade.deliver(&[entry.clone(), entry]).await;
            assert_eq!(answer.body, json!({ "applied": 0, "duplicates": 0 }));
        }
        assert_eq!(trade.hub.rows().await, before);
        // Its first events were not kept, so it cannot be offered any more.
        assert_eq!(trade.hub.refuses(&trade.purchase(&terms, &agreement)).await.2, "deal_on_chain");
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_is_published_once_and_waited_for() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let bought = trade.agree(1).await;
        trade.fund(&bought).await;
        let poll = |query: &str| {
            let path = format!("/v1/intents?{query}");
            trade.hub.ask(trade.hub.request(reqwest::Method::GET, &path).bearer_auth(RELAYER_KEY))
        };
        assert_eq!(poll("after=0").await.body, json!({ "intents": [], "cursor": "0" }));
        let waiting = poll("after=0&wait=20");
        let (page, _) = tokio::join!(waiting, trade.dispute(&bought));
        let intent = &page.body["intents"][0];
        assert_eq!(intent["key"], format!("open/{}", bought.deal));
        assert_eq!(
            (&intent["action"], &intent["arbiter"]),
            (&json!({ "do": "open_case" }), &json!(ground.arbiter))
        );
        assert_eq!((&intent["terms"], &page.body["cursor"]), (&json!(bought.terms), &json!("1")));
        // More events of the same stage publish it no second time.
        let argued = EventBody::Evidence {
            deal: bought.deal,
            by: bought.terms.seller.address,
            evidence: B256::ZERO,
            uri: "no text of a database\0".to_owned(),
            count: 3,
        };
        trade.final_event(ground.escrow, argued).await;
        assert_eq!(trade.intents().await.len(), 1);
        assert_eq!(poll("after=1").await.body, json!({ "intents": [], "cursor": "1" }));
        assert_eq!(poll("limit=101").await.status, 400);
        assert_eq!(poll("wait=26").await.status, 400);

        let report = |key: &str| {
            let body = json!({ "key": key, "progress": { "state": "sent", "transaction": bought.deal } });
            let request = trade.hub.request(reqwest::Method::POST, "/v1/intents/progress");
            trade.hub.ask(request.bearer_auth(RELAYER_KEY).json(&body))
        };
        for nobodys in ["open/nothing", "", "\0"] {
            let unknown = report(nobodys).await;
            assert_eq!((unknown.status, &unknown.body["rule"]), (422, &json!("no_intent")), "{nobodys:?}");
        }
        assert_eq!(report(intent["key"].as_str().unwrap()).await.status, 204);
        let seller = trade.seller.sign_in(&trade.hub).await;
        let seen = trade.view(&seller, &bought).await;
        assert_eq!(seen["details"]["intents"][0]["progress"]["state"], "sent");
        // The hub believes the chain, not the report.
        assert_eq!(seen["status"], "disputed");
        trade.hub.end().await;
    }
}

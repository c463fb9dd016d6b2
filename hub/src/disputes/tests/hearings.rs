//! Disputes over HTTP, on both engines and both kinds of chain.

use alloy::primitives::{Address, B256};
use protocol::wire::feed::{EventBody, Finality};
use serde_json::{Value, json};

use crate::{
    access::Audience,
    testing::{
        Person,
        trade::{Bought, Trade, everywhere},
    },
};

pub(super) async fn disputed(trade: &Trade, salt: u8) -> (Bought, u64) {
    let bought = trade.agree(salt).await;
    trade.fund(&bought).await;
    let at = trade.dispute(&bought).await.block_time;
    (bought, at)
}

pub(super) async fn case_of(trade: &Trade, token: &str, bought: &Bought) -> Value {
    let answer = trade.hub.get_as(token, &format!("/v1/purchases/{}/case", bought.id)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_juror_finds_every_case_whichever_moved_last() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let mut cases = Vec::new();
        for salt in 1..4 {
            cases.push(disputed(&trade, salt).await);
        }
        // The newest moves first.
        for (bought, at) in cases.iter().rev() {
            trade.draw(bought, *at).await;
            trade.hub.clock.pass_ms(1);
        }
        cases.sort_by_key(|(bought, at)| (std::cmp::Reverse(*at), bought.deal.to_string()));
        let token = trade.jurors[0].sign_in(&trade.hub).await;
        let mut path = "/v1/cases?limit=1".to_owned();
        for (nth, (bought, _)) in cases.iter().enumerate() {
            let page = trade.hub.get_as(&token, &path).await.body;
            let deals: Vec<_> = page["items"].as_array().unwrap().iter().map(|duty| &duty["deal"]).collect();
            assert_eq!(deals, [&json!(bought.deal)], "page {nth}");
            path = format!("/v1/cases?limit=1&after={}", page["next"].as_str().unwrap());
        }
        let last = trade.hub.get_as(&token, &path).await.body;
        assert_eq!(last, json!({ "items": [], "next": null }));
        let bad = trade.hub.get_as(&token, "/v1/cases?after=7").await;
        assert_eq!((bad.refusal().0, bad.refusal().3), (400, "after"));
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jury_that_strangers_draw_for_an_escrow_of_their_own_sees_nothing() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (bought, disputed_at) = disputed(&trade, 1).await;
        let mallory = trade.stranger(9).await;
        let token = mallory.sign_in(&trade.hub).await;
        // The arbiter asks whatever contract it is given for the deal's id, so anyone can have it name this deal.
        let (deal, escrow) = (bought.deal, Address::repeat_byte(0x66).into());
        let opened = EventBody::CaseOpened { deal, escrow, instance: 0, jury: 0, target_block: 110 };
        let (seed, seats) = (B256::ZERO, vec![mallory.wallet.address()]);
        let drawn = EventBody::JuryDrawn {
            deal,
            escrow,
            pool: B256::repeat_byte(0x66),
            instance: 0,
            jury: 0,
            list: 0,
            ends_at: disputed_at + 2 * 7200,
            seed,
            seats,
        };
        let before = trade.hub.rows().await;
        for body in [opened, drawn] {
            let event = trade.script.happens(ground.arbiter, body);
            let answer = trade.deliver(&[trade.script.tells(&event, Finality::Final)]).await;
            assert_eq!(answer.body, json!({ "applied": 0, "duplicates": 0 }));
        }
        assert_eq!(trade.hub.rows().await, before);
        for path in ["", "/case"] {
            let path = format!("/v1/purchases/{}{path}", bought.id);
            assert_eq!(trade.hub.get_as(&token, &path).await.status, 404);
        }
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jury_votes_in_secret_and_its_ballots_are_handed_in_at_once() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (bought, disputed_at) = disputed(&trade, 1).await;
        let buyer = trade.buyer.sign_in(&trade.hub).await;
        let juror = trade.jurors[0].sign_in(&trade.hub).await;
        let path = format!("/v1/purchases/{}/case", bought.id);
        assert_eq!(case_of(&trade, &buyer, &bought).await["stage"], "disputed");
        assert_eq!(trade.hub.get_as(&juror, &path).await.status, 404);

        let early = trade.ballot(0, &bought, B256::ZERO, 0, 500);
        assert_eq!(trade.hub.refuses(&early).await.2, "not_drawn");
        let id = trade.draw(&bought, disputed_at).await;
        let seen = case_of(&trade, &juror, &bought).await;
        assert_eq!((&seen["juries"][0]["case_id"], &seen["stage"]), (&json!(id), &json!("drawn")));
        let jury = &seen["juries"][0];
        assert_eq!(jury["voting_closes_at"], json!((disputed_at + 7200).to_string()));
        assert_eq!(jury["ends_at"], json!((disputed_at + 2 * 7200).to_string()));
        // A juror sees what there is to judge, not what only the parties need.
        let details = trade.view(&juror, &bought).await["details"].clone();
        assert_eq!((&details["terms"], &details["seller_signature"]), (&json!(bought.terms), &Value::Null));
        assert_eq!(trade.hub.get_as(&juror, "/v1/cases").await.body["items"][0]["seats"][0]["seat"], 0);

        trade.hub.say(&trade.ballot(0, &bought, id, 0, 10_000)).await;
        let second = trade.hub.refuses(&trade.ballot(0, &bought, id, 0, 0)).await;
        assert_eq!((second.0, second.2.as_str()), (409, "second_ballot"));
        assert_eq!(trade.hub.refuses(&trade.ballot(0, &bought, id, 1, 0)).await.2, "not_juror");
        let stranger = trade.stranger(9).await;
        let signature = trade.jurors[1].wallet.ballot(ground.arbiter, id, 0, B256::ZERO);
        let body = json!({ "seat": 1, "share": 0, "reason": "", "signature": signature });
        let stolen = stranger.draft(&trade.hub, "ballot@1", body).about(bought.id);
        let loud = stolen.sign(&stranger.device).unwrap();
        assert_eq!(trade.hub.refuses(&loud).await.2, "ballot_audience");
        let stolen = stolen.only_for(vec![Audience::Account(stranger.account)]);
        let stolen = stolen.sign(&stranger.device).unwrap();
        assert_eq!(trade.hub.refuses(&stolen).await.2, "not_juror");
        trade.hub.say(&trade.ballot(1, &bought, id, 1, 0)).await;

        for token in [&buyer, &juror] {
            let seen = case_of(&trade, token, &bought).await["juries"][0].clone();
            assert_eq!((&seen["ballots"], &seen["lo"]), (&Value::Null, &Value::Null));
            let voted: Vec<_> =
                seen["seats"].as_array().unwrap().iter().map(|seat| seat["voted"].clone()).collect();
            assert_eq!(voted, [true, true, false]);
        }
        assert_eq!(trade.intents().await.len(), 2);

        trade.hub.say(&trade.ballot(2, &bought, id, 2, 7500)).await;
        let seen = case_of(&trade, &buyer, &bought).await["juries"][0].clone();
        let shares: Vec<_> =
            seen["ballots"].as_array().unwrap().iter().map(|one| one["share"].clone()).collect();
        assert_eq!(shares, [10_000, 0, 7500]);
        assert_eq!((&seen["lo"], &seen["hi"]), (&json!(7500), &json!(7500)));
        let intents = trade.intents().await;
        let keys: Vec<_> = intents.iter().map(|(key, _)| key.as_str()).collect();
        let deal = bought.deal;
        assert_eq!(keys, [format!("open/{deal}"), format!("draw/{deal}/0/0"), format!("ballots/{deal}/0/0")]);
        assert_eq!(intents[2].1["ballots"].as_array().unwrap().len(), 3);
        assert_eq!(intents[2].1["ballots"][2], seen["ballots"][2]["signed"]);
        trade.hub.end().await;
    }
}

/// Waits for an intent of that key, which the clock brings.
pub(super) async fn intent(trade: &Trade, key: &str) -> Value {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let found = trade.intents().await.into_iter().find(|(known, _)| known == key);
        if let Some((_, action)) = found {
            return action;
        }
        assert!(std::time::Instant::now() < deadline, "no intent {key}");
        trade.hub.look();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_voting_closes_the_ballots_that_are_there_are_handed_in() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (bought, disputed_at) = disputed(&trade, 1).await;
        let id = trade.draw(&bought, disputed_at).await;
        let deal = bought.deal;
        trade.hub.say(&trade.ballot(0, &bought, id, 0, 2500)).await;
        trade.hub.say(&trade.ballot(1, &bought, id, 1, 2500)).await;
        // Seat 1 also goes to the chain itself, which is final; its signed ballot is not handed in.
        let cast = EventBody::BallotCast {
            deal,
            escrow: ground.escrow.address,
            instance: 0,
            jury: 0,
            seat: 1,
            share: 3000,
            reason: B256::ZERO,
        };
        trade.final_event(ground.arbiter, cast).await;
        let seller = trade.seller.sign_in(&trade.hub).await;
        let seen = case_of(&trade, &seller, &bought).await["juries"][0].clone();
        assert_eq!(seen["ballots"], json!([{ "seat": 1, "share": 3000, "reason": null, "signed": null }]));
        assert_eq!(trade.intents().await.len(), 2);

        // Voting closed an hour ago, and ballots count for another hour.
        trade.hub.clock.pass_ms(3 * 3600 * 1000);
        let action = intent(&trade, &format!("ballots/{deal}/0/0")).await;
        let handed: Vec<_> =
            action["ballots"].as_array().unwrap().iter().map(|one| one["seat"].clone()).collect();
        assert_eq!(handed, [0]);
        let second = intent(&trade, &format!("second-jury/{deal}/0")).await;
        assert_eq!(second, json!({ "do": "open_second_jury", "instance": 0 }));
        let seller = trade.seller.sign_in(&trade.hub).await;
        let seen = case_of(&trade, &seller, &bought).await["juries"][0].clone();
        assert_eq!((&seen["lo"], &seen["hi"]), (&json!(2500), &json!(3000)));
        trade.hub.clock.pass_ms(3660 * 1000);
        let concluded = intent(&trade, &format!("conclude/{deal}/0")).await;
        assert_eq!(concluded, json!({ "do": "conclude", "instance": 0 }));
        // What the clock brings is said: from here on nobody but this test writes.
        assert_eq!(trade.hub.refuses(&trade.ballot(2, &bought, id, 2, 0)).await.2, "voting_closed");

        // A ruling that is accepted and not executed is executed at the hub's wish; an executed one is left alone.
        let accepted = EventBody::RulingAccepted {
            deal,
            escrow: ground.escrow.address,
            instance: 0,
            jury: 0,
            ballots: B256::ZERO,
            share: 2500,
            executable_at: 1,
        };
        trade.final_event(ground.arbiter, accepted).await;
        assert_eq!(intent(&trade, &format!("execute/{deal}/0")).await, json!({ "do": "execute_ruling" }));
        let ruled = EventBody::Ruled { deal, share: 2500, released: 250, refunded: 750, count: 3 };
        trade.final_event(ground.escrow, ruled).await;
        trade
            .final_event(
                ground.arbiter,
                EventBody::RulingExecuted { deal, escrow: ground.escrow.address, share: 2500 },
            )
            .await;
        let seen = trade.view(&seller, &bought).await;
        assert_eq!((&seen["status"], &seen["seller_share_bps"]), (&json!("completed"), &json!(2500)));
        let seen = case_of(&trade, &seller, &bought).await;
        assert_eq!((&seen["stage"], &seen["ruling"]), (&json!("executed"), &json!(2500)));
        let due: i64 = sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM due")
            .fetch_one(&trade.hub.eyes)
            .await
            .unwrap();
        assert_eq!(due, 0);
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parties_show_evidence_while_the_dispute_is_open() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let calm = trade.agree(1).await;
        trade.fund(&calm).await;
        let (bought, _) = disputed(&trade, 2).await;
        let show = |person: &Person, bought: &Bought, uri: &str| {
            let body = json!({ "hash": B256::repeat_byte(3), "uri": uri, "note": "The chair is of pine." });
            person.record_about(&trade.hub, "evidence@1", bought.id, body)
        };
        assert_eq!(trade.hub.refuses(&show(&trade.buyer, &calm, "x:y")).await.2, "not_disputed");
        assert_eq!(trade.hub.refuses(&show(&trade.jurors[0], &bought, "x:y")).await.2, "not_party");
        let long = "x".repeat(257);
        assert_eq!(trade.hub.refuses(&show(&trade.seller, &bought, &long)).await.2, "uri_too_long");
        let shown = trade.hub.say(&show(&trade.seller, &bought, "https://example.org/photo")).await;
        let buyer = trade.buyer.sign_in(&trade.hub).await;
        let seen = case_of(&trade, &buyer, &bought).await;
        let evidence = seen["evidence"].as_array().unwrap();
        // The dispute's own hash on chain, and the seller's photo here.
        assert_eq!(evidence.len(), 2);
        let here = evidence.iter().find(|one| one["record"] == json!(shown)).unwrap();
        assert_eq!(
            (&here["uri"], &here["author"]),
            (&json!("https://example.org/photo"), &json!(trade.seller.account))
        );
        let there = evidence.iter().find(|one| one["record"].is_null()).unwrap();
        assert_eq!(there["wallet"], json!(trade.buyer.wallet.address()));

        let settled = EventBody::Settled { deal: bought.deal, released: 500, refunded: 500, count: 3 };
        trade.final_event(ground.escrow, settled).await;
        trade.hub.clock.pass_ms(1000);
        assert_eq!(trade.hub.refuses(&show(&trade.seller, &bought, "x:y")).await.2, "not_disputed");
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_that_comes_while_the_hub_is_down_is_not_lost() {
    for (db, ground) in everywhere().await {
        let mut trade = Trade::start(db, ground).await;
        let (bought, disputed_at) = disputed(&trade, 1).await;
        let id = trade.draw(&bought, disputed_at).await;
        trade.hub.say(&trade.ballot(2, &bought, id, 2, 500)).await;
        assert_eq!(trade.intents().await.len(), 2);
        trade.hub.restart_after(3 * 3600 * 1000).await;
        let action = intent(&trade, &format!("ballots/{}/0/0", bought.deal)).await;
        assert_eq!(action["ballots"][0]["share"], 500);
        trade.hub.end().await;
    }
}

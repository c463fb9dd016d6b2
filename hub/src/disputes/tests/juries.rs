//! Second juries, appeals and the last word over HTTP, on both engines and both kinds of chain.

use alloy::primitives::{B256, Bytes, U256};
use protocol::wire::feed::EventBody;
use serde_json::{Value, json};

use super::hearings::{case_of, disputed, intent};
use crate::{
    records::RecordId,
    testing::{
        Person,
        trade::{Bought, Ground, Trade, everywhere},
    },
};

const HOUR_MS: i64 = 3_600_000;

fn accepted(bought: &Bought, instance: u8, share: u16, executable_at: u64) -> EventBody {
    EventBody::RulingAccepted {
        deal: bought.deal,
        escrow: bought.terms.escrow.address,
        instance,
        jury: 0,
        ballots: B256::ZERO,
        share,
        executable_at,
    }
}

fn now(trade: &Trade) -> u64 {
    use service::clock::Clock;
    u64::try_from(trade.hub.clock.now_ms() / 1000).unwrap()
}

async fn summoned(trade: &Trade, juror: RecordId) -> i64 {
    let told =
        "SELECT CAST(COUNT(*) AS BIGINT) FROM outbox WHERE topic = 'case' AND audience = $1 AND data LIKE $2";
    let audience = json!([format!("account:{juror}")]).to_string();
    let count = sqlx::query_scalar(told).bind(audience).bind("%\"what\":\"seat\"%");
    count.fetch_one(&trade.hub.eyes).await.unwrap()
}

fn next(case: &Value, what: &str) -> Value {
    let all = case["next"].as_array().unwrap();
    all.iter().find(|next| next["what"] == what).cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_a_case_names_the_event_that_it_follows_from() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (bought, _) = disputed(&trade, 1).await;
        let deal = bought.deal;
        let last = trade.script.newest();
        let open = trade.cause(&format!("open/{deal}")).await;
        assert_eq!((last.body.name(), open), ("Disputed", Some(last.id)));
        let opened = trade.opened(&bought, 0, 0).await;
        assert_eq!(trade.cause(&format!("draw/{deal}/0/0")).await, Some(opened.id));
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_jury_is_followed_by_a_second_and_the_first_may_still_speak() {
    for (db, ground) in everywhere().await {
        let mut trade = Trade::start(db, ground).await;
        trade.more_jurors(3).await;
        let (bought, disputed_at) = disputed(&trade, 1).await;
        let deal = bought.deal;
        let first = trade.draw(&bought, disputed_at).await;
        let second_jury = format!("second-jury/{deal}/0");
        trade.hub.clock.pass_ms(2 * HOUR_MS);
        assert!(trade.intents().await.iter().all(|(key, _)| *key != second_jury));
        trade.hub.clock.pass_ms(HOUR_MS);
        assert_eq!(intent(&trade, &second_jury).await, json!({ "do": "open_second_jury", "instance": 0 }));

        trade.opened(&bought, 0, 1).await;
        let draw = intent(&trade, &format!("draw/{deal}/0/1")).await;
        assert_eq!(draw, json!({ "do": "draw_jury", "instance": 0, "jury": 1 }));
        let ends_at = disputed_at + 4 * 3_600;
        let second = trade.drawn(&bought, (0, 1), &[3, 4, 5], ends_at).await;
        assert_ne!(first, second);
        let (late, new) = (&trade.jurors[0], &trade.jurors[3]);
        let token = new.sign_in(&trade.hub).await;
        let duty = trade.hub.get_as(&token, "/v1/cases").await.body["items"][0].clone();
        assert_eq!((&duty["jury"], &duty["ends_at"]), (&json!(1), &json!(ends_at.to_string())));
        // A tenth of the hour of voting is kept for handing in.
        assert_eq!(duty["voting_closes_at"], json!((ends_at - 360).to_string()));
        assert_eq!((summoned(&trade, late.account).await, summoned(&trade, new.account).await), (1, 1));

        // The first jury's voting is over: what it still says is handed in at once, each ballot once.
        trade.hub.say(&trade.ballot(0, &bought, first, 0, 2_500)).await;
        trade.hub.say(&trade.ballot(1, &bought, first, 1, 7_500)).await;
        for (key, share) in [(format!("ballots/{deal}/0/0"), 2_500), (format!("ballots/{deal}/0/0/1"), 7_500)]
        {
            let action = intent(&trade, &key).await;
            assert_eq!((&action["instance"], &action["jury"]), (&json!(0), &json!(0)));
            let shares: Vec<_> =
                action["ballots"].as_array().unwrap().iter().map(|one| &one["share"]).collect();
            assert_eq!(shares, [share]);
        }
        // The second one's is not, and its ballots stay hidden.
        trade.hub.say(&trade.ballot_of(3, &bought, second, (1, 0), 5_000)).await;
        let token = trade.buyer.sign_in(&trade.hub).await;
        let seen = case_of(&trade, &token, &bought).await;
        assert_eq!(seen["juries"][0]["ballots"].as_array().unwrap().len(), 2);
        assert_eq!((&seen["juries"][1]["ballots"], &seen["juries"][1]["lo"]), (&Value::Null, &Value::Null));
        assert_eq!(seen["juries"][1]["seats"][0]["voted"], true);
        let crossed = trade.ballot_of(1, &bought, second, (1, 1), 0);
        assert_eq!(trade.hub.refuses(&crossed).await.2, "not_juror");
        let stale = trade.ballot_of(4, &bought, first, (1, 1), 0);
        assert_eq!(trade.hub.refuses(&stale).await.2, "invalid_ballot");
        let nowhere = trade.ballot_of(4, &bought, second, (2, 1), 0);
        assert_eq!(trade.hub.refuses(&nowhere).await.2, "not_drawn");

        trade.hub.say(&trade.ballot_of(4, &bought, second, (1, 1), 5_000)).await;
        trade.hub.say(&trade.ballot_of(5, &bought, second, (1, 2), 0)).await;
        let action = intent(&trade, &format!("ballots/{deal}/0/1")).await;
        assert_eq!((&action["jury"], action["ballots"].as_array().unwrap().len()), (&json!(1), 3));
        trade.hub.clock.pass_ms(HOUR_MS + 60_000);
        assert_eq!(
            intent(&trade, &format!("conclude/{deal}/0")).await,
            json!({ "do": "conclude", "instance": 0 })
        );
        trade.hub.end().await;
    }
}

/// A case before the pool with a parent, whose first jury has ruled nothing for the seller; it may be appealed for a day.
async fn ruled(trade: &Trade, salt: u8) -> (Bought, u64) {
    let (bought, disputed_at) = trade.disputed_before(salt, &trade.ground.appealable()).await;
    trade.opened(&bought, 0, 0).await;
    trade.drawn(&bought, (0, 0), &[0, 1, 2], disputed_at + 4 * 3_600).await;
    let executable_at = now(trade) + 86_401;
    trade.final_event(trade.ground.arbiter, accepted(&bought, 0, 0, executable_at)).await;
    (bought, executable_at)
}

fn appeal(trade: &Trade, person: &Person, bought: &Bought, valid_until: u64, signature: &Bytes) -> Value {
    let body = json!({ "valid_until": valid_until.to_string(), "signature": signature });
    person.record_about(&trade.hub, "appeal@1", bought.id, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_appeal_is_carried_to_the_parent_whose_ruling_ends_the_case() {
    for (db, ground) in everywhere().await {
        let mut trade = Trade::start(db, ground).await;
        trade.more_jurors(5).await;
        let (bought, executable_at) = ruled(&trade, 1).await;
        let (deal, escrow) = (bought.deal, ground.escrow.address);
        let token = trade.seller.sign_in(&trade.hub).await;
        let seen = case_of(&trade, &token, &bought).await;
        assert_eq!(next(&seen, "appeal")["until"], json!((executable_at - 1).to_string()));
        assert_eq!(next(&seen, "execute_ruling")["from"], json!(executable_at.to_string()));

        let valid_until = executable_at - 1;
        let sign = |person: &Person| person.wallet.appeal(ground.arbiter, deal, valid_until);
        let (ours, theirs) = (sign(&trade.seller), sign(&trade.buyer));
        let refused = async |record| trade.hub.refuses(&record).await.2;
        let juror = &trade.jurors[0];
        assert_eq!(refused(appeal(&trade, juror, &bought, valid_until, &ours)).await, "not_party");
        let (seller, good) = (&trade.seller, &ours);
        assert_eq!(refused(appeal(&trade, seller, &bought, valid_until, &theirs)).await, "invalid_appeal");
        assert_eq!(refused(appeal(&trade, seller, &bought, valid_until + 1, good)).await, "invalid_appeal");
        assert_eq!(refused(appeal(&trade, seller, &bought, 1, good)).await, "signature_expired");
        trade.hub.say(&appeal(&trade, seller, &bought, valid_until, good)).await;
        let carried = intent(&trade, &format!("appeal/{deal}/{}", seller.wallet.address())).await;
        assert_eq!((&carried["do"], &carried["signature"]), (&json!("appeal"), &json!(good)));
        trade.hub.clock.pass_ms(1000);
        assert_eq!(refused(appeal(&trade, seller, &bought, valid_until, good)).await, "already_appealed");

        let by = seller.wallet.address();
        trade.final_event(ground.arbiter, EventBody::Appealed { deal, escrow, by }).await;
        assert_eq!(
            refused(appeal(&trade, &trade.buyer, &bought, valid_until, &theirs)).await,
            "already_appealed"
        );
        trade.opened(&bought, 1, 0).await;
        intent(&trade, &format!("draw/{deal}/1/0")).await;
        let ends_at = executable_at - 1 + protocol::arbitration::span(&ground.parent_book());
        let id = trade.drawn(&bought, (1, 0), &[3, 4, 5, 6, 7], ends_at).await;
        let early = trade.ballot(0, &bought, id, 0, 0);
        assert_eq!(
            trade.hub.refuses(&early).await.2,
            "not_juror",
            "the first jury has no seat in the appeal"
        );
        for seat in 0..5 {
            trade.hub.say(&trade.ballot(3 + usize::from(seat), &bought, id, seat, 10_000)).await;
        }
        let action = intent(&trade, &format!("ballots/{deal}/1/0")).await;
        assert_eq!((&action["instance"], action["ballots"].as_array().unwrap().len()), (&json!(1), 5));

        let token = trade.seller.sign_in(&trade.hub).await;
        let seen = case_of(&trade, &token, &bought).await;
        assert_eq!((&seen["ruling"], &seen["appealed_by"]), (&Value::Null, &json!(by)));
        let ruled = EventBody::Ruled { deal, share: 10_000, released: 1_000, refunded: 0, count: 3 };
        trade.final_event(ground.escrow, ruled).await;
        trade.final_event(ground.arbiter, accepted(&bought, 1, 10_000, 0)).await;
        let seen = case_of(&trade, &token, &bought).await;
        let shares: Vec<_> = seen["rulings"].as_array().unwrap().iter().map(|one| &one["share"]).collect();
        assert_eq!((shares, &seen["ruling"]), (vec![&json!(0), &json!(10_000)], &json!(10_000)));
        assert_eq!((&seen["stage"], &seen["next"]), (&json!("executed"), &json!([])));
        // The first ruling was never executed.
        trade.hub.clock.pass_ms(48 * HOUR_MS);
        let keys: Vec<String> = trade.intents().await.into_iter().map(|(key, _)| key).collect();
        assert!(keys.iter().all(|key| !key.starts_with("execute/")), "{keys:?}");
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ruling_that_nobody_appeals_is_executed_when_the_time_for_it_is_over() {
    for (db, ground) in everywhere().await {
        let mut trade = Trade::start(db, ground).await;
        let (bought, executable_at) = ruled(&trade, 1).await;
        let key = format!("execute/{}/0", bought.deal);
        // The moment is kept over a restart.
        trade.hub.restart_after(23 * HOUR_MS).await;
        assert!(trade.intents().await.iter().all(|(known, _)| *known != key));
        trade.hub.clock.pass_ms(2 * HOUR_MS);
        assert_eq!(intent(&trade, &key).await, json!({ "do": "execute_ruling" }));
        let valid_until = executable_at + 86_400;
        let signature = trade.buyer.wallet.appeal(ground.arbiter, bought.deal, valid_until);
        let late = appeal(&trade, &trade.buyer, &bought, valid_until, &signature);
        assert_eq!(trade.hub.refuses(&late).await.2, "appeal_closed");
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_appeal_is_concluded_even_if_its_jury_was_never_drawn() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (bought, executable_at) = ruled(&trade, 1).await;
        let (deal, escrow, by) = (bought.deal, ground.escrow.address, trade.buyer.wallet.address());
        trade.final_event(ground.arbiter, EventBody::Appealed { deal, escrow, by }).await;
        trade.opened(&bought, 1, 0).await;
        let ends = executable_at - 1 + protocol::arbitration::span(&ground.parent_book());
        let key = format!("conclude/{deal}/1");
        trade.hub.clock.pass_ms(i64::try_from(ends - now(&trade)).unwrap() * 1000);
        intent(&trade, &format!("draw/{deal}/1/0")).await;
        assert!(trade.intents().await.iter().all(|(known, _)| *known != key));
        trade.hub.clock.pass_ms(1000);
        assert_eq!(intent(&trade, &key).await, json!({ "do": "conclude", "instance": 1 }));
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_without_the_time_for_an_appeal_are_refused() {
    let ground = Ground::solana();
    let trade = Trade::start(service::db::testing::sqlite(), ground).await;
    let worst = protocol::arbitration::worst_case(&ground.appealable(), Some(&ground.parent_book()));
    let offer = |salt, ruling| {
        let (mut terms, agreement) = trade.terms(salt);
        (terms.panel, terms.ruling) = (ground.pool_id(&ground.appealable()), ruling);
        trade.purchase(&terms, &agreement)
    };
    let worst = u32::try_from(worst).unwrap();
    assert_eq!(trade.hub.refuses(&offer(1, worst - 1)).await.2, "ruling_too_short");
    trade.hub.say(&offer(2, worst)).await;
    // Without the appeal this would have been enough.
    assert!(U256::from(worst) > U256::from(protocol::arbitration::span(&ground.appealable()) + 86_400));
    trade.hub.end().await;
}

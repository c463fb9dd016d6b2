use std::sync::Arc;

use alloy::primitives::{Address, B256};
use protocol::{
    chain::ChainId,
    wire::{
        act::TimeOut,
        intent::{Intent, IntentAction, IntentProgress, SignedBallot},
    },
};
use service::db::{Db, testing::on_both};

use super::{Kept, State, admit, list, model::KEY_MAX, receive, same_under_way};
use crate::{
    run::SCHEMA,
    testing::{MovedClock, Peers, Running, config, entry, intent, terms, until},
};

const NO_NODE: &str = "http://127.0.0.1:9";
const SIGNER: &str = "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6";

fn open(seq: u64, key: &str) -> Intent {
    intent(seq, key, &terms(), IntentAction::OpenCase)
}

async fn listed(relayer: &Running, count: usize) -> Vec<(String, String, String)> {
    until(&format!("{count} intents are listed"), || async {
        let (_, page) = relayer.get("/v1/intents").await;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let intents: Vec<_> = page["intents"]
            .as_array()?
            .iter()
            .map(|shown| (text(&shown["intent"]["key"]), text(&shown["state"]), text(&shown["reason"])))
            .collect();
        (intents.len() >= count).then_some(intents)
    })
    .await
}

#[tokio::test]
async fn an_intent_is_kept_once_by_its_key_across_restarts_and_lists_begun_anew() {
    for db in on_both().await {
        let peers = Peers::start().await;
        peers.want([open(1, "open/a"), open(2, "open/b"), open(3, "open/a")]);
        let config = config(&db.url, &peers, NO_NODE, SIGNER);
        let relayer = Running::start(config.clone(), Arc::default()).await;
        listed(&relayer, 2).await;
        relayer.stop().await;
        // The hub's database was lost: other numbers, one old key and a new one.
        peers.begin_intents_anew([open(1, "open/b"), open(2, "open/c")]);
        let relayer = Running::start(config, Arc::default()).await;
        let keys: Vec<String> = listed(&relayer, 3).await.into_iter().map(|(key, ..)| key).collect();
        assert_eq!(keys, ["open/a", "open/b", "open/c"], "{:?}", db.engine);
        let (status, problem) = relayer.get("/v1/intents?limit=101").await;
        assert_eq!((status, problem["field"].as_str()), (422, Some("limit")));
        assert_eq!(relayer.get("/v1/intents?state=lost").await.0, 400);
        let (_, page) = relayer.get("/v1/intents?state=waiting&after=1&limit=1").await;
        assert_eq!(page["intents"][0]["intent"]["key"], "open/b");
        assert_eq!(page["intents"].as_array().unwrap().len(), 1);
        relayer.stop().await;
    }
}

/// Waits until `/status` says so of the feed.
async fn feed_is(relayer: &Running, field: &str, wanted: serde_json::Value) {
    until(&format!("{field} is {wanted}"), || async {
        (relayer.get("/status").await.1["feed"][field] == wanted).then_some(())
    })
    .await;
}

/// The hub was put back and wants as much as before, with another intent below and the same at the cursor, before anybody looks.
#[tokio::test]
async fn a_list_that_has_grown_to_the_cursor_again_is_read_from_the_start() {
    for db in on_both().await {
        let peers = Peers::start().await;
        let clock: Arc<MovedClock> = Arc::default();
        peers.want([open(1, "open/a"), open(2, "open/b"), open(3, "open/c")]);
        peers.tell([entry(1, 1)]);
        let relayer = Running::start(config(&db.url, &peers, NO_NODE, SIGNER), clock.clone()).await;
        listed(&relayer, 3).await;
        feed_is(&relayer, "cursor", "1".into()).await;
        peers.begin_intents_anew([open(1, "open/a"), open(2, "open/x"), open(3, "open/c")]);
        peers.put_hub_back(0);
        clock.pass_ms(40_000);
        // Answers the poll of the bridge, and then that of whoever fetches, which asked for what comes after the third.
        peers.tell([entry(2, 1)]);
        feed_is(&relayer, "restarts", 1.into()).await;
        peers.want([open(4, "open/d")]);
        let keys: Vec<String> = listed(&relayer, 5).await.into_iter().map(|(key, ..)| key).collect();
        assert_eq!(keys, ["open/a", "open/b", "open/c", "open/x", "open/d"], "{:?}", db.engine);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn an_intent_for_another_chain_is_left_to_its_relayer() {
    for db in on_both().await {
        let peers = Peers::start().await;
        let (mut elsewhere, mut impossible) = (open(1, "open/a"), open(2, "open/b"));
        elsewhere.arbiter.chain = ChainId::Eip155(1);
        impossible.terms.amount = u128::MAX;
        peers.want([elsewhere, impossible]);
        let relayer = Running::start(config(&db.url, &peers, NO_NODE, SIGNER), Arc::default()).await;
        let mut all = listed(&relayer, 1).await;
        let (_, state, reason) = all.remove(0);
        assert!(all.is_empty() && state == "failed", "{:?}", db.engine);
        assert!(reason.contains("terms: amount"), "{reason}");
        let report = until("a report", || async { peers.reports().pop() }).await;
        assert_eq!((report.key.as_str(), report.progress), ("open/b", IntentProgress::Failed { reason }));
        assert_eq!(peers.reports().len(), 1);
        relayer.stop().await;
    }
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    admit(&open(1, "open/a")).unwrap();
    let refused = |change: fn(&mut Intent)| {
        let mut intent = open(1, "open/a");
        change(&mut intent);
        admit(&intent).unwrap_err()
    };
    assert!(refused(|intent| intent.key.clear()).contains("0 bytes"));
    assert!(refused(|intent| intent.key = "k".repeat(KEY_MAX + 1)).contains("201 bytes"));
    assert!(
        refused(|intent| intent.arbiter.address = Address::ZERO.into()).contains("terms name the arbiter")
    );
    assert!(refused(|intent| intent.terms.amount = u128::MAX).contains("terms: amount"));
    let none = |intent: &mut Intent| {
        intent.action = IntentAction::SubmitBallots { instance: 0, jury: 0, ballots: Vec::new() }
    };
    assert!(refused(none).contains("0 ballots"));
    let short = |intent: &mut Intent| {
        let ballot = SignedBallot { seat: 4, share: 0, reason: B256::ZERO, signature: vec![1; 64].into() };
        intent.action = IntentAction::SubmitBallots { instance: 0, jury: 0, ballots: vec![ballot] };
    };
    assert!(refused(short).contains("seat 4: a signature has 65 bytes"));
    let long = |intent: &mut Intent| {
        let signature = vec![1; 1_025].into();
        intent.action = IntentAction::Appeal { party: Address::ZERO.into(), valid_until: 1, signature };
    };
    assert!(refused(long).contains("1025 bytes; it must have at most 1024"));
}

#[test]
fn states_read_as_they_are_written() {
    for state in State::ALL {
        assert_eq!(state.to_string().parse(), Ok(state));
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        assert_eq!(state.is_over(), matches!(state, State::Done | State::Failed));
    }
    assert!("lost".parse::<State>().unwrap_err().contains("waiting, attempted"));
}

#[tokio::test]
async fn an_intent_that_cannot_be_read_holds_up_no_other_and_is_read_when_it_can_be() {
    for db in on_both().await {
        let peers = Peers::start().await;
        peers.want([open(1, "open/a"), open(2, "open/b"), open(3, "open/c")]);
        peers.garble("open/b", true);
        let config = config(&db.url, &peers, NO_NODE, SIGNER);
        let relayer = Running::start(config.clone(), Arc::default()).await;
        let keys: Vec<String> = listed(&relayer, 2).await.into_iter().map(|(key, ..)| key).collect();
        assert_eq!(keys, ["open/a", "open/c"], "{:?}", db.engine);
        relayer.not_ready("1 intents cannot be read, the first is `open/b`").await;
        relayer.stop().await;
        // A version that knows this kind of intent reads what was kept.
        let db = service::db::Db::open(&config.database, crate::run::SCHEMA).await.unwrap();
        let readable = serde_json::to_string(&open(2, "open/b")).unwrap();
        sqlx::query("UPDATE unread_intent SET body = $1").bind(readable).execute(db.reader()).await.unwrap();
        let relayer = Running::start(config, Arc::default()).await;
        listed(&relayer, 3).await;
        until("the alarm is over", || async {
            relayer.get("/status").await.1["alarms"]["unread intents"].is_null().then_some(())
        })
        .await;
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_time_out_whose_transaction_may_still_be_mined_holds_back_the_other_partys() {
    for fresh in on_both().await {
        let db = Db::open(&fresh.url, SCHEMA).await.unwrap();
        let mut write = db.begin().await.unwrap();
        for (seq, account) in [(1, "ann"), (2, "sam")] {
            let lapse = IntentAction::TimeOut { time_out: TimeOut::Lapse };
            let mut lapse = intent(seq, &format!("lapse/{account}"), &terms(), lapse);
            lapse.asked_by = Some(account.to_owned());
            receive(&mut write, &lapse, &Ok(()), 0).await.unwrap();
        }
        write.commit().await.unwrap();
        let all: Vec<Kept> = list(db.reader(), None, 0, 10).await.unwrap();
        let held_back = async || {
            let of = |kept| same_under_way(db.reader(), kept);
            (of(&all[0]).await.unwrap(), of(&all[1]).await.unwrap())
        };
        let run = async |statement: &'static str| {
            let mut write = db.begin().await.unwrap();
            sqlx::query(statement).execute(write.on()).await.unwrap();
            write.commit().await.unwrap();
        };
        assert_eq!(held_back().await, (false, false), "{:?}", fresh.engine);
        run("UPDATE intent SET state = 'attempted' WHERE id = 1").await;
        assert_eq!(held_back().await, (false, true), "{:?}", fresh.engine);
        run("UPDATE intent SET state = 'quarantined' WHERE id = 1").await;
        assert_eq!(held_back().await, (false, false), "nothing of it is under way");
        run("INSERT INTO attempt (hash, intent, kind, signer, nonce, raw, gas, max_fee, priority_fee, outcome, signed_ms, signed_block)
             VALUES ('h', 1, 'call', 's', 0, '', 0, '', '', 'open', 0, 0)")
        .await;
        assert_eq!(held_back().await, (false, true), "{:?}", fresh.engine);
        run("UPDATE attempt SET outcome = 'replaced'").await;
        assert_eq!(held_back().await, (false, false), "{:?}", fresh.engine);
        run("INSERT INTO solana_attempt (signature, intent, signer, raw, blockhash, last_valid_height, units, unit_price, fee, outcome, signed_ms)
             VALUES ('h', 1, 's', '', '', 0, 0, 0, 0, 'open', 0)")
        .await;
        assert_eq!(held_back().await, (false, true), "{:?}", fresh.engine);
        db.close().await;
    }
}

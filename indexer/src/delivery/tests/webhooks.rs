//! Webhooks.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use axum::{
    http::{StatusCode, header},
    response::IntoResponse,
};
use fixture::Chain;
use protocol::wire::feed::Finality::{Final, Retracted, Safe, Seen};
use service::{
    clock::SystemClock,
    db::{
        Db,
        testing::{on_both, sqlite},
    },
    http::webhook::Secret,
};

use super::{
    WebhookConfig, chain_with, delivered,
    receiver::{Got, Receiver},
    trade, until,
};
use crate::{
    Error,
    config::Config,
    testing::{Running, config},
};

fn to(webhook: WebhookConfig, chain: &Chain, db: &service::db::testing::FreshDb) -> Config {
    Config { webhooks: vec![webhook], ..config(chain, db) }
}

#[tokio::test]
async fn every_entry_arrives_signed_in_order_and_a_restart_repeats_none() {
    for db in on_both().await {
        let (chain, receiver) = (chain_with(3).await, Receiver::start().await);
        let indexer = Running::start(to(receiver.webhook(), &chain, &db)).await;
        delivered(&indexer, &chain).await;
        let feed = indexer.feed().await;
        assert_eq!(feed.len(), 6, "what is final when it is first read is told once: {feed:?}");
        assert_eq!(receiver.accepted(), feed, "{:?}", db.engine);
        let ids: BTreeSet<_> = receiver.got().into_iter().map(|got| got.id).collect();
        assert_eq!(ids.len(), feed.len());

        let config = indexer.stop().await;
        let indexer = Running::start(config).await;
        trade(&chain, 100).await;
        delivered(&indexer, &chain).await;
        assert_eq!(receiver.accepted(), indexer.feed().await, "{:?}", db.engine);
        indexer.stop().await;
    }
}

#[tokio::test]
async fn what_does_not_arrive_is_tried_until_there_is_an_alarm_and_after_it() {
    let (db, chain, receiver) = (sqlite(), chain_with(2).await, Receiver::start().await);
    receiver.answers(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response());
    let indexer = Running::start(to(receiver.webhook(), &chain, &db)).await;
    let delivery = until(&indexer, "an alarm", |delivery| delivery.alarm).await;
    assert!(delivery.failures >= 8 && delivery.cursor == 0, "{delivery:?}");
    assert_eq!(delivery.trouble.as_deref(), Some("the receiver answers 500"));
    // How often it failed outlives the process.
    let config = indexer.stop().await;
    let tries = receiver.got();
    assert!(tries.iter().all(|got| got.id == tries[0].id), "in order: nothing before the first");
    let indexer = Running::start(config).await;
    until(&indexer, "another failure", |now| now.failures > delivery.failures).await;
    receiver.answers(|_| StatusCode::NO_CONTENT.into_response());
    let delivery = until(&indexer, "delivery", |delivery| !delivery.alarm).await;
    assert_eq!((delivery.failures, delivery.trouble), (0, None));
    delivered(&indexer, &chain).await;
    assert_eq!(receiver.accepted(), indexer.feed().await);
    indexer.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_an_alarm_until_it_can() {
    let (db, chain, receiver) = (sqlite(), chain_with(2).await, Receiver::start().await);
    let indexer = Running::start(to(receiver.webhook(), &chain, &db)).await;
    delivered(&indexer, &chain).await;
    receiver.answers(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response());
    trade(&chain, 2).await;
    indexer.caught_up(&chain).await;
    let before = until(&indexer, "an alarm", |delivery| delivery.alarm).await;
    // Done twice it is undone.
    let damage = async || {
        let raw = Db::open(&indexer.config.database, crate::SCHEMA).await.unwrap();
        let mut write = raw.begin().await.unwrap();
        sqlx::query("UPDATE logs SET log_index = -1 - log_index").execute(write.on()).await.unwrap();
        write.commit().await.unwrap();
        raw.close().await;
    };
    damage().await;
    let damaged = until(&indexer, "the damage", |delivery| {
        delivery.trouble.as_ref().is_some_and(|trouble| trouble.contains("damaged"))
    })
    .await;
    assert!(damaged.alarm && damaged.failures > before.failures, "{damaged:?}");
    damage().await;
    receiver.answers(|_| StatusCode::NO_CONTENT.into_response());
    let delivery = until(&indexer, "delivery", |delivery| !delivery.alarm).await;
    assert_eq!((delivery.failures, delivery.trouble), (0, None));
    delivered(&indexer, &chain).await;
    assert_eq!(receiver.accepted(), indexer.feed().await);
    indexer.stop().await;
}

#[tokio::test]
async fn an_alarm_about_what_can_be_read_again_does_not_outlive_a_restart() {
    let (db, chain, receiver) = (sqlite(), chain_with(1).await, Receiver::start().await);
    let indexer = Running::start(to(receiver.webhook(), &chain, &db)).await;
    delivered(&indexer, &chain).await;
    let config = indexer.stop().await;
    // As a process left it that could not read what comes next, which was nothing for this receiver.
    let raw = Db::open(&config.database, crate::SCHEMA).await.unwrap();
    let mut write = raw.begin().await.unwrap();
    let left = "UPDATE deliveries SET failures = 9, trouble = 'the database is damaged'";
    sqlx::query(left).execute(write.on()).await.unwrap();
    write.commit().await.unwrap();
    raw.close().await;
    let indexer = Running::start(config).await;
    let delivery = until(&indexer, "the end of the alarm", |delivery| !delivery.alarm).await;
    assert_eq!((delivery.failures, delivery.trouble), (0, None));
    indexer.stop().await;
}

#[tokio::test]
async fn a_killed_indexer_repeats_nothing_but_ids_that_are_known() {
    let (db, chain, receiver) = (sqlite(), chain_with(4).await, Receiver::start().await);
    let mut indexer = Running::start(to(receiver.webhook(), &chain, &db)).await;
    for kept in [1, 3, 5] {
        // Every answer from here on is lost: the receiver has the message, and the indexer is gone.
        while receiver.accepted().len() < kept {
            tokio::task::yield_now().await;
        }
        let config = indexer.kill().await;
        indexer = Running::start(config).await;
    }
    delivered(&indexer, &chain).await;
    let feed = indexer.feed().await;
    let known: BTreeMap<_, _> = receiver.got().into_iter().map(|got| (got.id, got.entry)).collect();
    assert_eq!(known.len(), feed.len(), "an id is of one entry alone");
    let mut first_times = Vec::new();
    for entry in receiver.accepted() {
        if !first_times.contains(&entry) {
            first_times.push(entry);
        }
    }
    assert_eq!(first_times, feed, "in order, and nothing is missing");
    indexer.stop().await;
}

#[tokio::test]
async fn a_database_read_anew_tells_a_receiver_what_it_knows_by_the_same_ids() {
    let (chain, receiver) = (chain_with(2).await, Receiver::start().await);
    let (first, second) = (sqlite(), sqlite());
    let indexer = Running::start(to(receiver.webhook(), &chain, &first)).await;
    delivered(&indexer, &chain).await;
    // This deal's events are seen before they are final, so that `seq` is another one when they are read again.
    trade(&chain, 100).await;
    indexer.caught_up(&chain).await;
    delivered(&indexer, &chain).await;
    indexer.stop().await;
    let told = receiver.got();
    let finals = |got: &[Got]| -> BTreeMap<String, B256> {
        let finals = got.iter().filter(|got| got.entry.finality == Final);
        finals.map(|got| (got.id.clone(), got.entry.event.id)).collect()
    };
    let indexer = Running::start(to(receiver.webhook(), &chain, &second)).await;
    delivered(&indexer, &chain).await;
    indexer.stop().await;
    let again = receiver.got().split_off(told.len());
    assert_eq!(finals(&again), finals(&told));
    assert_eq!(finals(&again).len(), 6);
    let seq = |got: &[Got], id: &str| got.iter().find(|got| got.id == id).map(|got| got.entry.seq);
    assert!(again.iter().any(|got| seq(&told, &got.id) != Some(got.entry.seq)), "some have another seq");
}

#[tokio::test]
async fn what_is_told_seen_again_after_it_left_the_chain_has_another_id() {
    let (db, chain, receiver) = (sqlite(), chain_with(1).await, Receiver::start().await);
    chain.mine(3).await;
    let indexer = Running::start(to(receiver.webhook(), &chain, &db)).await;
    delivered(&indexer, &chain).await;
    let config = indexer.stop().await;
    // As a block that leaves and comes back is told.
    let (db, _) = crate::open(&config, &SystemClock).await.unwrap();
    let mut write = db.begin().await.unwrap();
    for (seq, finality, was) in [
        (3, "retracted", "final"),
        (4, "seen", "retracted"),
        (5, "retracted", "seen"),
        (6, "seen", "retracted"),
        (7, "final", "seen"),
    ] {
        sqlx::query(
            "INSERT INTO feed (seq, chain, log, finality, was, told_at) \
             SELECT $1, chain, log, $2, $3, told_at FROM feed WHERE seq = 1",
        )
        .bind(seq)
        .bind(finality)
        .bind(was)
        .execute(write.on())
        .await
        .unwrap();
    }
    write.commit().await.unwrap();
    db.close().await;
    let indexer = Running::start(config).await;
    until(&indexer, "delivery", |delivery| delivery.lag == 0).await;
    indexer.stop().await;
    let ids: Vec<String> =
        receiver.got().iter().map(|got| got.id.split_once('/').unwrap().1.to_owned()).collect();
    assert_eq!(ids, ["final/1", "final/1", "retracted/1", "seen/2", "retracted/2", "seen/3", "final/2"]);
}

#[tokio::test]
async fn a_receiver_hears_what_its_filter_takes_and_what_becomes_of_it() {
    let (db, chain, receiver) = (sqlite(), chain_with(2).await, Receiver::start().await);
    let mut webhook = receiver.webhook();
    webhook.filter.finality = Final;
    webhook.filter.events = BTreeSet::from(["Released".to_owned()]);
    let indexer = Running::start(to(webhook, &chain, &db)).await;
    delivered(&indexer, &chain).await;
    trade(&chain, 100).await;
    delivered(&indexer, &chain).await;
    let feed = indexer.feed().await;
    let expected: Vec<_> = feed
        .iter()
        .filter(|entry| entry.event.body.name() == "Released" && entry.finality == Final)
        .cloned()
        .collect();
    assert_eq!(expected.len(), 3);
    assert_eq!(receiver.accepted(), expected);
    assert!(receiver.got().iter().all(|got| got.kind == "Released.final" && got.path == "/hook"));
    indexer.stop().await;
}

#[tokio::test]
async fn what_was_seen_and_left_the_chain_is_told_as_retracted() {
    let (db, chain, receiver) = (sqlite(), chain_with(0).await, Receiver::start().await);
    let indexer = Running::start(to(receiver.webhook(), &chain, &db)).await;
    indexer.caught_up(&chain).await;
    trade(&chain, 1).await;
    indexer.caught_up(&chain).await;
    chain.reorg(2).await;
    delivered(&indexer, &chain).await;
    let told: Vec<_> = receiver.accepted().into_iter().map(|entry| entry.finality).collect();
    assert!(told.contains(&Retracted) && !told.starts_with(&[Retracted]), "{told:?}");
    assert_eq!(receiver.accepted(), indexer.feed().await);
    assert!(told.iter().all(|level| [Seen, Safe, Final, Retracted].contains(level)));
    indexer.stop().await;
}

#[tokio::test]
async fn two_secrets_sign_while_one_is_replaced() {
    let (db, chain, receiver) = (sqlite(), chain_with(1).await, Receiver::start().await);
    let new = Secret::new(&[9; 24]).unwrap();
    let webhook = WebhookConfig {
        previous_secret: Some(receiver.secret.clone()),
        secret: Some(new.clone()),
        ..receiver.webhook()
    };
    let indexer = Running::start(to(webhook, &chain, &db)).await;
    delivered(&indexer, &chain).await;
    receiver.believes(new);
    trade(&chain, 100).await;
    delivered(&indexer, &chain).await;
    assert_eq!(receiver.accepted(), indexer.feed().await);
    receiver.believes(Secret::new(&[1; 24]).unwrap());
    trade(&chain, 101).await;
    indexer.caught_up(&chain).await;
    let delivery = until(&indexer, "a refusal", |delivery| delivery.failures > 0).await;
    assert_eq!(delivery.trouble.as_deref(), Some("the receiver answers 401"));
    indexer.stop().await;
}

#[tokio::test]
async fn no_webhook_leads_to_this_machine_or_elsewhere_unless_it_may() {
    let (db, chain, receiver) = (sqlite(), chain_with(1).await, Receiver::start().await);
    // Nobody is led on: the answer to the first path names a second one.
    let other = format!("{}/other", receiver.base);
    receiver.answers(move |_| {
        (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, other.clone())]).into_response()
    });
    let indexer = Running::start(to(receiver.webhook(), &chain, &db)).await;
    let delivery = until(&indexer, "a refusal", |delivery| delivery.failures > 0).await;
    assert_eq!(delivery.trouble.as_deref(), Some("the receiver answers 307"));
    assert!(receiver.got().iter().all(|got| got.path == "/hook"));
    indexer.stop().await;

    // A name is judged by what it stands for when it is used.
    let asked = receiver.got().len();
    let port = receiver.base.rsplit_once(':').unwrap().1;
    let named = WebhookConfig {
        url: format!("https://localhost:{port}/hook"),
        allow_private: false,
        ..receiver.webhook()
    };
    let other_db = sqlite();
    let indexer = Running::start(to(named, &chain, &other_db)).await;
    let delivery = until(&indexer, "a refusal", |delivery| delivery.failures > 0).await;
    let trouble = delivery.trouble.unwrap();
    assert!(trouble.contains("no public address") && !trouble.contains("hook"), "{trouble}");
    assert_eq!(receiver.got().len(), asked);
    indexer.stop().await;
}

#[test]
fn every_rule_of_a_webhook_refuses_by_name() {
    use crate::delivery::config::check;

    let secret = Some(Secret::new(&[1; 24]).unwrap());
    let good = WebhookConfig {
        name: "shop".to_owned(),
        url: "https://shop.example/hook/K3Y".to_owned(),
        secret,
        ..WebhookConfig::default()
    };
    assert!(check(std::slice::from_ref(&good), None).is_ok());
    let with = |change: fn(&mut WebhookConfig)| {
        let mut webhook = good.clone();
        change(&mut webhook);
        vec![webhook]
    };
    for (webhooks, words) in [
        (with(|w| w.name.clear()), "webhooks.name"),
        (with(|w| w.name = "Shop".to_owned()), "webhooks.name"),
        (with(|w| w.name = "nats".to_owned()), "webhooks.name is nats"),
        (vec![good.clone(), good.clone()], "of one webhook alone"),
        (vec![good.clone(); 33], "at most 32"),
        (with(|w| w.url = "K3Y".to_owned()), "webhooks.shop.url"),
        (with(|w| w.url = "http://shop.example/K3Y".to_owned()), "https://"),
        (with(|w| w.url = "file:///K3Y".to_owned()), "https://"),
        (with(|w| w.url = "https://127.1/K3Y".to_owned()), "webhooks.shop.url is 127.0.0.1"),
        (with(|w| w.url = "https://0x7f000001/K3Y".to_owned()), "webhooks.shop.url is 127.0.0.1"),
        (with(|w| w.url = "https://[::1]/K3Y".to_owned()), "public address"),
        (with(|w| w.url = "https://[::ffff:10.0.0.1]/K3Y".to_owned()), "public address"),
        (with(|w| w.url = "https://169.254.169.254/K3Y".to_owned()), "public address"),
        (with(|w| w.secret = None), "webhooks.shop.secret"),
        (with(|w| w.timeout_ms = 99), "100 to 60,000"),
        (with(|w| w.retry_ms = 0), "1 to 60,000"),
        (with(|w| w.filter.finality = Retracted), "seen, safe or final"),
        (
            with(|w| w.filter.events = BTreeSet::from(["Fund".to_owned()])),
            "webhooks.shop.filter.events is Fund",
        ),
    ] {
        let Err(Error::Config { key, value, rule }) = check(&webhooks, None) else { panic!("{words}") };
        let said = format!("{key} is {value}, {rule}");
        assert!(said.contains(words), "{said}: {words}");
        assert!(!said.contains("K3Y"), "{said}");
    }
}

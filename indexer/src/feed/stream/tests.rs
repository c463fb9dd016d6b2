//! Streams over HTTP, and a reader that takes nothing.

use std::{sync::Arc, time::Duration};

use fixture::Chain;
use protocol::wire::{
    feed::{FeedId, FeedPage, Finality},
    view::IndexerStatus,
};
use service::db::testing::{on_both, sqlite};
use tokio::sync::Semaphore;

use super::*;
use crate::testing::{DEADLINE, Running};

/// The first entries of a stream, each with its id.
async fn first(indexer: &Running, query: &str, last: Option<String>, count: usize) -> Vec<(u64, FeedEntry)> {
    let mut request = indexer.http.get(format!("{}/v1/feed/stream{query}", indexer.base));
    if let Some(last) = last {
        request = request.header("Last-Event-ID", last);
    }
    let mut response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    let (mut text, mut entries) = (String::new(), Vec::new());
    while entries.len() < count {
        let chunk = timeout(DEADLINE, response.chunk()).await.expect("in time").expect("a chunk");
        text.push_str(std::str::from_utf8(&chunk.expect("more")).expect("text"));
        while let Some((event, rest)) = text.split_once("\n\n") {
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            if let (Some(id), Some(data)) = (field("id:"), field("data:")) {
                let seq = id.split_once('/').unwrap().1.parse().unwrap();
                entries.push((seq, serde_json::from_str(data).unwrap()));
            }
            text = rest.to_owned();
        }
    }
    entries
}

async fn feed_of(indexer: &Running) -> FeedId {
    indexer.get::<FeedPage>("/v1/feed").await.feed
}

#[tokio::test]
async fn a_cursor_of_another_feed_or_beyond_the_end_is_refused_by_name() {
    for db in on_both().await {
        let chain = Chain::start().await;
        trade(&chain, 1).await;
        let indexer = Running::on(&chain, &db).await;
        indexer.caught_up(&chain).await;
        let (feed, last) = (feed_of(&indexer).await, indexer.feed().await.len());
        let status: IndexerStatus = indexer.get("/status").await;
        assert_eq!(status.feed_id, feed);
        let (beyond, other) = (last + 1, "0x00000000000000000000000000000000");
        let stream = |id: String| {
            let request = indexer.http.get(format!("{}/v1/feed/stream", indexer.base));
            async move {
                let answer = request.header("Last-Event-ID", id).send().await.unwrap();
                (answer.status().as_u16(), answer.text().await.unwrap())
            }
        };
        for ((status, said), rule) in [
            (indexer.raw(&format!("/v1/feed?after={beyond}&wait=25")).await, "feed_end"),
            (indexer.raw(&format!("/v1/feed?after=1&feed={other}")).await, "feed_other"),
            (indexer.raw(&format!("/v1/feed/stream?after={beyond}")).await, "feed_end"),
            (indexer.raw(&format!("/v1/feed/stream?after=1&feed={other}")).await, "feed_other"),
            (stream(format!("{feed}/{beyond}")).await, "feed_end"),
            (stream(format!("{other}/1")).await, "feed_other"),
        ] {
            assert_eq!(status, 409, "{:?}: {said}", db.engine);
            assert!(said.contains(rule) && said.contains(&feed.to_string()), "{said}");
        }
        let page: FeedPage = indexer.get(&format!("/v1/feed?after={last}&feed={feed}")).await;
        assert_eq!((page.feed, page.entries.len()), (feed, 0));
        let config = indexer.stop().await;
        // It is the same after a restart, and another one in another database.
        let indexer = Running::start(config).await;
        let page: FeedPage = indexer.get(&format!("/v1/feed?after={last}&feed={feed}")).await;
        assert_eq!(page.feed, feed);
        indexer.stop().await;
        let another = sqlite();
        let indexer = Running::on(&chain, &another).await;
        indexer.caught_up(&chain).await;
        assert_eq!(indexer.raw(&format!("/v1/feed?after=1&feed={feed}")).await.0, 409);
        assert_eq!(indexer.raw(&format!("/v1/feed?after=0&feed={feed}")).await.0, 200, "a start is a start");
        indexer.stop().await;
    }
}

/// A database from an older backup tells other things at the places that followed.
#[tokio::test]
async fn a_database_put_back_has_the_feed_of_the_backup_and_another_after_it() {
    let (db, chain) = (sqlite(), Chain::start().await);
    trade(&chain, 1).await;
    let indexer = Running::on(&chain, &db).await;
    indexer.caught_up(&chain).await;
    let kept = indexer.feed().await.len();
    let shared: FeedPage = indexer.get("/v1/feed").await;
    let config = indexer.stop().await;
    let file = db.url.strip_prefix("sqlite:").unwrap();
    let backup = format!("{file}-backup");
    std::fs::copy(file, &backup).unwrap();

    let indexer = Running::start(config).await;
    trade(&chain, 2).await;
    indexer.caught_up(&chain).await;
    let lost: FeedPage = indexer.get("/v1/feed").await;
    let streamed = first(&indexer, &format!("?after={kept}"), None, 1).await;
    assert!(lost.feed != shared.feed && lost.cursor > shared.cursor);
    // Whoever read up to the backup goes on over restarts.
    let page = format!("/v1/feed?after={}&feed={}", shared.cursor, shared.feed);
    assert_eq!(indexer.get::<FeedPage>(&page).await.feed, lost.feed);
    let config = indexer.stop().await;
    std::fs::rename(&backup, file).unwrap();

    let indexer = Running::start(config).await;
    for salt in 3..7 {
        trade(&chain, salt).await;
    }
    indexer.caught_up(&chain).await;
    assert!(indexer.feed().await.len() as u64 > lost.cursor, "it grew past the cursor");
    assert_eq!(indexer.get::<FeedPage>(&page).await.entries[0].seq, shared.cursor + 1);
    for query in [
        format!("feed?after={}&feed={}", lost.cursor, lost.feed),
        format!("feed/stream?after={}&feed={}", lost.cursor, lost.feed),
    ] {
        let (status, said) = indexer.raw(&format!("/v1/{query}")).await;
        assert!(status == 409 && said.contains("feed_other"), "{query}: {said}");
    }
    let request = indexer.http.get(format!("{}/v1/feed/stream", indexer.base));
    let id = format!("{}/{}", lost.feed, streamed[0].0);
    assert_eq!(request.header("Last-Event-ID", id).send().await.unwrap().status(), 409);
    indexer.stop().await;
}

async fn trade(chain: &Chain, salt: u64) {
    let terms = chain.terms(1_000, Default::default(), salt).await;
    chain.fund(&terms).await;
    chain.release(&terms, 1_000).await;
}

#[tokio::test]
async fn a_stream_tells_what_pages_tell_as_it_happens_and_goes_on_after_the_last_id() {
    let (db, chain) = (sqlite(), Chain::start().await);
    trade(&chain, 1).await;
    let indexer = Running::on(&chain, &db).await;
    indexer.caught_up(&chain).await;
    let told = indexer.feed().await.len();
    // The stream is open while the second deal happens.
    let (entries, ()) = tokio::join!(first(&indexer, "", None, told + 2), trade(&chain, 2));
    let feed = indexer.feed().await;
    assert!(entries.iter().map(|(_, entry)| entry).eq(&feed[..told + 2]));
    assert!(entries.iter().all(|(id, entry)| *id == entry.seq));
    let rest = first(&indexer, "?after=1", Some(format!("{}/3", feed_of(&indexer).await)), 1).await;
    assert_eq!(rest[0].1, feed[3], "the last id goes before the parameter");
    indexer.stop().await;
}

#[tokio::test]
async fn pages_and_streams_leave_out_what_nobody_asks_for() {
    let (db, chain) = (sqlite(), Chain::start().await);
    for salt in 0..3 {
        trade(&chain, salt).await;
    }
    chain.mine(3).await;
    let indexer = Running::on(&chain, &db).await;
    indexer.caught_up(&chain).await;
    indexer.all_final().await;
    let feed = indexer.feed().await;
    let deal = feed[0].event.body.deal().unwrap();
    for query in [
        "finality=final".to_owned(),
        "event=Released".to_owned(),
        "event=Funded,Released&finality=final".to_owned(),
        format!("deal={deal}"),
        format!("deal={deal}&event=Released&finality=final"),
    ] {
        let expected: Vec<_> = feed
            .iter()
            .filter(|entry| !query.contains("final") || entry.finality == Finality::Final)
            .filter(|entry| !query.contains("event") || query.contains(entry.event.body.name()))
            .filter(|entry| !query.contains("deal") || entry.event.body.deal() == Some(deal))
            .cloned()
            .collect();
        assert!(!expected.is_empty(), "{query}");
        let (mut found, mut after) = (Vec::new(), 0);
        loop {
            let page: FeedPage = indexer.get(&format!("/v1/feed?limit=1&after={after}&{query}")).await;
            if page.entries.is_empty() {
                break;
            }
            after = page.cursor;
            found.extend(page.entries);
        }
        assert_eq!(found, expected, "{query}");
        let streamed = first(&indexer, &format!("?{query}"), None, expected.len()).await;
        assert!(streamed.iter().map(|(_, entry)| entry).eq(&expected), "{query}");
    }
    indexer.stop().await;
}

#[tokio::test]
async fn who_takes_nothing_is_cut_off_and_makes_room() {
    let (db, chain) = (sqlite(), Chain::start().await);
    for salt in 0..3 {
        trade(&chain, salt).await;
    }
    let indexer = Running::on(&chain, &db).await;
    indexer.caught_up(&chain).await;
    let config = indexer.stop().await;
    let (db, chains) = crate::open(&config, &service::clock::SystemClock).await.unwrap();
    let clock = Arc::new(service::clock::SystemClock);
    let shared = Shared::new(db, chains, clock, Default::default(), 0);
    let places = Arc::new(Semaphore::new(1));
    let (sender, receiver) = mpsc::channel(1);
    let mut tail = Tail {
        told: shared.told.subscribe(),
        shared,
        selection: Selection::default(),
        after: 0,
        patience: Duration::from_millis(50),
        sender,
        _place: places.clone().try_acquire_owned().unwrap(),
    };
    timeout(DEADLINE, tail.run()).await.expect("it ends by itself").unwrap();
    drop(tail);
    assert_eq!((places.available_permits(), receiver.len()), (1, 1));
}

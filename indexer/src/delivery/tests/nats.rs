//! NATS JetStream, on the server that Debian has.

use std::{path::Path, process::Stdio, time::Instant};

use async_nats::jetstream::{self, stream::Stream};
use fixture::Chain;
use protocol::wire::feed::{FeedEntry, Finality};
use serde_json::Value;
use service::db::testing::{FreshDb, on_both, sqlite};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::{chain_with, delivered, trade, until};
use crate::{
    Error,
    columns::finality_name,
    config::{Config, NatsConfig},
    testing::{DEADLINE, Running, config},
};

/// A server over a folder that outlives it.
struct Server {
    url: String,
    child: Child,
}

impl Server {
    /// On a port of the machine's choosing, or on `port`.
    async fn start(folder: &Path, port: Option<u16>) -> Self {
        let mut command = Command::new("nats-server");
        command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()));
        command.args(["-a", "127.0.0.1", "-js", "-sd"]).arg(folder);
        command.arg("-p").arg(port.map_or_else(|| "-1".to_owned(), |port| port.to_string()));
        let mut child = command
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("nats-server: ./scripts/test installs it, Debian's package has the same name");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut url = None;
        while let Some(line) = lines.next_line().await.expect("a line") {
            if let Some((_, address)) = line.split_once("Listening for client connections on ") {
                url = Some(format!("nats://{}", address.trim()));
            }
            if line.contains("Server is ready") {
                break;
            }
        }
        // Reads on, so that the server never waits for a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { url: url.expect("it listens"), child }
    }

    fn port(&self) -> u16 {
        self.url.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    async fn stop(mut self) {
        self.child.kill().await.expect("it was running");
    }

    async fn stream(&self) -> Stream {
        let client = async_nats::connect(&self.url).await.expect("it answers");
        jetstream::new(client).get_stream("EARNEST").await.expect("the indexer made it")
    }
}

/// What the stream holds: subject, `Nats-Msg-Id` and entry of each message.
async fn held(server: &Server) -> Vec<(String, String, FeedEntry)> {
    let mut stream = server.stream().await;
    let last = stream.info().await.expect("its state").state.last_sequence;
    let mut all = Vec::new();
    for sequence in 1..=last {
        let message = stream.get_raw_message(sequence).await.expect("a message");
        let body: Value = serde_json::from_slice(&message.payload).expect("JSON");
        let id = message.headers.get("Nats-Msg-Id").expect("an id").to_string();
        let entry = serde_json::from_value(body["data"].clone()).expect("an entry");
        all.push((message.subject.to_string(), id, entry));
    }
    all
}

fn to(server: &Server, chain: &Chain, db: &FreshDb) -> Config {
    let mut nats =
        NatsConfig { url: server.url.clone(), retry_ms: 1, timeout_ms: 1_000, ..NatsConfig::default() };
    nats.filter.finality = Finality::Seen;
    Config { nats: Some(nats), ..config(chain, db) }
}

#[tokio::test]
async fn the_stream_holds_every_entry_once_in_order() {
    for db in on_both().await {
        let folder = tempfile::tempdir().unwrap();
        let (chain, server) = (chain_with(3).await, Server::start(folder.path(), None).await);
        let indexer = Running::start(to(&server, &chain, &db)).await;
        delivered(&indexer, &chain).await;
        let feed = indexer.feed().await;
        let messages = held(&server).await;
        assert!(messages.iter().map(|(_, _, entry)| entry).eq(&feed), "{:?}: {messages:?}", db.engine);
        let (subject, id, entry) = &messages[0];
        assert!(subject.starts_with("earnest.eip155:31337.Funded."), "{subject}");
        assert_eq!(*id, format!("{}/{}/1", entry.event.id, finality_name(entry.finality)));

        // Everything is sent once more, by a process that has lost its cursor: the server knows it.
        let config = indexer.stop().await;
        let (database, _) = crate::open(&config, &service::clock::SystemClock).await.unwrap();
        let mut write = database.begin().await.unwrap();
        sqlx::query("DELETE FROM deliveries").execute(write.on()).await.unwrap();
        write.commit().await.unwrap();
        database.close().await;
        drop(database);
        let indexer = Running::start(config).await;
        trade(&chain, 100).await;
        delivered(&indexer, &chain).await;
        let messages = held(&server).await;
        assert!(messages.iter().map(|(_, _, entry)| entry).eq(&indexer.feed().await), "{:?}", db.engine);
        indexer.stop().await;
        server.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_dies_is_found_again_and_nothing_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (db, chain, server) = (sqlite(), chain_with(2).await, Server::start(folder.path(), None).await);
    let indexer = Running::start(to(&server, &chain, &db)).await;
    delivered(&indexer, &chain).await;
    let port = server.port();
    server.stop().await;
    trade(&chain, 100).await;
    indexer.caught_up(&chain).await;
    let delivery = until(&indexer, "an alarm", |delivery| delivery.alarm).await;
    assert!(delivery.lag > 0 && delivery.trouble.is_some(), "{delivery:?}");
    let server = Server::start(folder.path(), Some(port)).await;
    delivered(&indexer, &chain).await;
    let started = Instant::now();
    loop {
        let messages = held(&server).await;
        if messages.iter().map(|(_, _, entry)| entry).eq(&indexer.feed().await) {
            break;
        }
        assert!(started.elapsed() < DEADLINE, "{messages:?}");
    }
    indexer.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn a_stream_that_was_removed_is_made_anew_and_takes_what_comes() {
    let folder = tempfile::tempdir().unwrap();
    let (db, chain, server) = (sqlite(), chain_with(1).await, Server::start(folder.path(), None).await);
    let indexer = Running::start(to(&server, &chain, &db)).await;
    delivered(&indexer, &chain).await;
    let before = indexer.feed().await.len();
    let client = async_nats::connect(&server.url).await.unwrap();
    jetstream::new(client).delete_stream("EARNEST").await.unwrap();
    trade(&chain, 100).await;
    delivered(&indexer, &chain).await;
    let messages = held(&server).await;
    assert!(messages.iter().map(|(_, _, entry)| entry).eq(&indexer.feed().await[before..]), "{messages:?}");
    indexer.stop().await;
    server.stop().await;
}

#[test]
fn every_rule_of_nats_refuses_by_name() {
    use crate::delivery::config::check;

    let good = NatsConfig { url: "nats://127.0.0.1:4222".to_owned(), ..NatsConfig::default() };
    assert!(check(&[], Some(&good)).is_ok());
    let with = |change: fn(&mut NatsConfig)| {
        let mut nats = good.clone();
        change(&mut nats);
        nats
    };
    for (nats, words) in [
        (with(|n| n.url = "http://user:K3Y@host".to_owned()), "nats.url"),
        (with(|n| n.stream = "a.b".to_owned()), "nats.stream is a.b"),
        (with(|n| n.stream.clear()), "nats.stream"),
        (with(|n| n.subject = "a..b".to_owned()), "nats.subject is a..b"),
        (with(|n| n.subject = "a.>".to_owned()), "nats.subject is a.>"),
        (with(|n| n.timeout_ms = 60_001), "nats.timeout_ms"),
        (with(|n| n.retry_ms = 0), "nats.retry_ms"),
        (with(|n| n.filter.events.extend(["funded".to_owned()])), "nats.filter.events is funded"),
    ] {
        let Err(Error::Config { key, value, rule }) = check(&[], Some(&nats)) else { panic!("{words}") };
        let said = format!("{key} is {value}, {rule}");
        assert!(said.contains(words) && !said.contains("K3Y"), "{said}: {words}");
    }
}

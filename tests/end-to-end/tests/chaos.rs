//! Indexer, hub and relayer die as by `kill -9` at chosen points of the two trades. Whatever dies when, the market ends
//! in the same state: nothing twice, nothing lost.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use std::time::Duration;

use end_to_end::{
    Folder, Running, TRADES_WAIT, kill_service,
    oracle::check,
    proxy::{Proxy, Strike},
};

/// Runs the trades while each service dies once at its point, and compares the state.
async fn survive(points: &[&str]) {
    let folder = Folder::new();
    let arguments: Vec<&str> = points.iter().flat_map(|point| ["--abort", point]).collect();
    let mut up = folder.up(&arguments, &[]);
    up.wait_for("Everything runs until", TRADES_WAIT);
    for point in points {
        let service = point.split('=').next().expect("a service");
        let died =
            up.said.iter().filter(|line| line.contains(&format!("{service} ended unexpectedly (signal 6)")));
        assert_eq!(died.count(), 1, "{point} was never reached:\n{}", up.said.join("\n"));
    }
    check(&folder).await;
    finish(up);
}

fn finish(up: Running) {
    up.interrupt();
    let (code, said) = up.wait(Duration::from_secs(60));
    assert_eq!(code, Some(0), "{}", said.join("\n"));
}

macro_rules! deaths {
    ($($name:ident: $($point:literal),+;)+) => {$(
        #[tokio::test]
        async fn $name() {
            survive(&[$($point),+]).await;
        }
    )+};
}

// The counts lie within the trades: before them the indexer has committed 7 times, and the relayer delivered 4 entries.
deaths! {
    before_commits: "hub=hub.purchase@1.before:1", "indexer=indexer.commit.before:9", "relayer=relayer.commit.before:12";
    after_commits: "hub=hub.acceptance@1.after:1", "indexer=indexer.commit.after:12", "relayer=relayer.commit.after:20";
    before_the_first_broadcast: "hub=hub.chain-event@1.after:4", "indexer=indexer.commit.after:16", "relayer=relayer.broadcast.before:1";
    after_the_first_broadcast: "hub=hub.credential@1.before:2", "indexer=indexer.head.read:30", "relayer=relayer.broadcast.after:1";
    after_the_draw: "hub=hub.evidence@1.before:2", "indexer=indexer.commit.before:20", "relayer=relayer.broadcast.after:2";
    after_the_ballots: "hub=hub.ballot@1.after:2", "indexer=indexer.logs.read:6", "relayer=relayer.broadcast.after:3";
    // However many blocks come in one delivery, the trades wait for more than these.
    before_a_delivery: "relayer=relayer.delivery.before:5";
    after_a_delivery: "relayer=relayer.delivery.after:6";
}

#[derive(Clone, Copy, Debug)]
enum Between {
    IndexerAndChain,
    RelayerAndChain,
    RelayerAndHub,
    HubAndIndexer,
}

/// An answer is lost between two parts, and the part that waits for it dies at that moment.
async fn lose_an_answer(between: Between, strike: Strike) {
    let folder = Folder::new();
    let port =
        |url: String| url.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).expect("a port");
    let (upstream, waiting, variable) = match between {
        Between::IndexerAndChain => (folder.chain_port, "indexer", "EARNEST_INDEXER_CHAINS"),
        Between::RelayerAndChain => (folder.chain_port, "relayer", "EARNEST_RELAYER_RPC_URLS"),
        Between::RelayerAndHub => (port(folder.hub()), "relayer", "EARNEST_RELAYER_HUB_URL"),
        Between::HubAndIndexer => (port(folder.indexer()), "hub", "EARNEST_HUB_INDEXERS"),
    };
    let Proxy { url, mut struck } = Proxy::to(upstream, strike).await;
    let value = match variable {
        "EARNEST_INDEXER_CHAINS" => format!("{{\"eip155:31337\"={{rpc_urls=[\"{url}\"]}}}}"),
        "EARNEST_RELAYER_RPC_URLS" => format!("[\"{url}\"]"),
        "EARNEST_HUB_INDEXERS" => format!("{{\"eip155:31337\"=\"{url}\"}}"),
        _ => url,
    };
    let up = folder.up(&[], &[(variable, value)]);
    let id = up.id();
    let killed = tokio::spawn(async move { struck.recv().await.is_some() && kill_service(id, waiting) });
    let up = tokio::task::spawn_blocking(move || {
        let mut up = up;
        up.wait_for("Everything runs until", TRADES_WAIT);
        up
    })
    .await
    .expect("the market runs");
    assert!(killed.is_finished() && killed.await.expect("the strike"), "{strike:?} never came");
    let died = format!("{waiting} ended unexpectedly (signal 9)");
    assert!(up.said.iter().any(|line| line.contains(&died)), "{}", up.said.join("\n"));
    check(&folder).await;
    finish(up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_takes_a_transaction_and_its_answer_is_lost() {
    lose_an_answer(Between::RelayerAndChain, Strike { text: "eth_sendRawTransaction", nth: 2 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hub_takes_events_and_its_answer_is_lost() {
    lose_an_answer(Between::RelayerAndHub, Strike { text: "/v1/chain-events", nth: 6 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_tells_receipts_and_its_answer_is_lost() {
    lose_an_answer(Between::IndexerAndChain, Strike { text: "eth_getBlockReceipts", nth: 4 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hub_reads_an_event_again_and_the_answer_is_lost() {
    lose_an_answer(Between::HubAndIndexer, Strike { text: "/v1/events/", nth: 5 }).await;
}

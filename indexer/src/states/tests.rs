//! Restarts, random histories, and what `verify` notices.

use std::collections::BTreeMap;

use alloy::providers::Provider;
use fixture::Chain;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use protocol::wire::{feed::Finality, view::DealPage};
use serde_json::Value;
use service::db::{
    Db,
    testing::{FreshDb, on_both, sqlite},
};

use crate::testing::{Running, config, verified, with};

/// What is canonical at the end: events with their finality, and deals.
async fn outcome(indexer: &Running) -> (BTreeMap<String, Finality>, DealPage) {
    let mut newest = BTreeMap::new();
    for entry in indexer.feed().await {
        newest.insert(entry.event.id.to_string(), entry.finality);
    }
    newest.retain(|_, finality| *finality != Finality::Retracted);
    (newest, indexer.get("/v1/deals?limit=200").await)
}

/// The database must agree with itself, and its outcome with that of an indexer that saw the end of the history alone.
async fn agrees_with_a_fresh_one(chain: &Chain, indexer: Running) {
    indexer.caught_up(chain).await;
    let fresh_db = sqlite();
    let fresh = Running::on(chain, &fresh_db).await;
    fresh.caught_up(chain).await;
    // `safe` and `finalized` are asked for after the head: once more, so that both have seen the same.
    let settled = fresh.until("settling", |s| s.finalized.is_some() || s.cursor.number < 16).await;
    indexer.until("settling alike", |s| (s.safe, s.finalized) == (settled.safe, settled.finalized)).await;
    assert_eq!(outcome(&indexer).await, outcome(&fresh).await);
    for config in [indexer.stop().await, fresh.stop().await] {
        let report = verified(&config).await;
        assert_eq!(report.differences, Vec::<String>::new());
        assert_eq!(report.faults, []);
    }
}

#[tokio::test]
async fn a_restart_anywhere_leaves_neither_gaps_nor_duplicates() {
    for db in on_both().await {
        let chain = Chain::start().await;
        let config = with(config(&chain, &db), |chain| chain.range_blocks_max = 3);
        for salt in 0..12 {
            let terms = chain.terms(1_000, Default::default(), salt).await;
            chain.fund(&terms).await;
            chain.release(&terms, 400).await;
        }
        for wanted in 1..8_u64 {
            let indexer = Running::start(config.clone()).await;
            indexer.until("some progress", |s| s.cursor.number >= wanted * 3).await;
            indexer.kill().await;
        }
        agrees_with_a_fresh_one(&chain, Running::start(config).await).await;
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Fund,
    Release,
    Mine(u64),
    Reorg(u64),
    Rollback(u64),
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Fund),
        3 => Just(Act::Release),
        2 => (1_u64..4).prop_map(Act::Mine),
        2 => (1_u64..6).prop_map(Act::Reorg),
        1 => (1_u64..4).prop_map(Act::Rollback),
        1 => Just(Act::Restart),
    ]
}

async fn live(chain: &Chain, db: &FreshDb, history: &[Act]) {
    let mut indexer = Running::on(chain, db).await;
    let (mut salt, mut open) = (0, Vec::new());
    for act in history {
        match *act {
            Act::Fund => {
                salt += 1;
                let terms = chain.terms(1_000, Default::default(), salt).await;
                chain.fund(&terms).await;
                open.push((terms, 0));
            }
            Act::Release => {
                if let Some((terms, total)) = open.last_mut() {
                    *total += 10;
                    chain.release(terms, *total).await;
                }
            }
            Act::Mine(blocks) => chain.mine(blocks).await,
            Act::Reorg(depth) => {
                chain.reorg(depth).await;
                open.clear();
            }
            Act::Rollback(depth) => {
                let rolled =
                    chain.provider().raw_request::<_, Value>("anvil_rollback".into(), (depth,)).await;
                rolled.expect("anvil rolls back");
                open.clear();
            }
            Act::Restart => indexer = Running::start(indexer.kill().await).await,
        }
    }
    // Higher than ever before, so that both follow the same blocks.
    chain.mine(8).await;
    agrees_with_a_fresh_one(chain, indexer).await;
}

#[tokio::test]
async fn random_histories_end_like_their_end_alone() {
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
    );
    for _ in 0..3 {
        let history =
            proptest::collection::vec(act(), 25).new_tree(&mut runner).expect("a history").current();
        for db in on_both().await {
            let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
            chain.mine(20).await;
            println!("{:?}: {history:?}", db.engine);
            live(&chain, &db, &history).await;
        }
    }
}

#[tokio::test]
async fn verify_notices_what_was_changed() {
    let chain = Chain::start().await;
    let terms = chain.terms(1_000, Default::default(), 1).await;
    chain.fund(&terms).await;
    chain.release(&terms, 400).await;
    for (change, words) in [
        (
            "UPDATE states SET state = replace(state, '\"released\":\"400\"', '\"released\":\"999\"')",
            "the events give",
        ),
        ("DELETE FROM states", "nothing is stored"),
        ("UPDATE logs SET topics = data", "cannot be decoded"),
        ("UPDATE logs SET contract = data", "the database is damaged: contract holds"),
        ("UPDATE events SET subject = subject + 1", "the subject is not that of its log"),
        (
            "UPDATE events SET id = (SELECT logs.block_hash FROM logs WHERE logs.number = events.number)",
            "not that of its place",
        ),
        ("DELETE FROM events", "no event is kept of it"),
        ("DELETE FROM logs WHERE number = 1", "there is no log of it"),
        ("UPDATE logs SET log_index = log_index + 7", "not that of its place"),
        ("UPDATE logs SET chain = 7", "of another chain"),
        ("UPDATE logs SET canonical = 0, finality = 'retracted'", "but the feed says"),
        ("UPDATE states SET newest = newest + 7", "the events give"),
        ("UPDATE states SET buyer = buyer + 1", "buyer is not what its events give"),
        ("UPDATE states SET seller = seller + 1", "seller is not what its events give"),
        ("UPDATE states SET status = 'closed'", "status is not what its events give"),
        ("UPDATE states SET chain = chain + 1", "chain is not what its events give"),
        ("UPDATE states SET subject = 'x'", "states.subject holds `x`"),
        ("UPDATE events SET id = substr(id, 1, 5) WHERE number = 1", "not that of its place"),
        ("UPDATE feed SET finality = 'gone' WHERE seq = 1", "holds `gone`"),
        ("DELETE FROM feed WHERE seq = 1", "comes entry 2"),
        ("UPDATE feed SET was = 'safe' WHERE seq = 1", "before it was told as ``"),
        ("UPDATE feed SET finality = 'retracted' WHERE seq = 1", "as retracted after nothing"),
        ("UPDATE logs SET told = 0", "which does not know of it"),
        ("UPDATE logs SET log_index = -1 - log_index", "log_index holds `-"),
        ("UPDATE states SET newest = -newest", "the events give"),
        ("UPDATE states SET terms = -1", "terms is not what its events give"),
        ("UPDATE events SET number = -number", "there is no log of it"),
        ("UPDATE feed SET log = -1 WHERE seq = 1", "entry 1 is about log -1, which does not know of it"),
        ("UPDATE runs SET first = 2 WHERE first = 1", "runs: none told the first entry"),
        ("UPDATE runs SET first = 99 WHERE first = 1", "one begins at entry 99"),
        ("UPDATE runs SET id = 'x'", "holds `x`"),
    ] {
        for db in on_both().await {
            let indexer = Running::on(&chain, &db).await;
            indexer.caught_up(&chain).await;
            let config = indexer.stop().await;
            assert_eq!(verified(&config).await.differences, Vec::<String>::new());
            let raw = Db::open(&config.database, crate::SCHEMA).await.unwrap();
            let mut write = raw.begin().await.unwrap();
            sqlx::query(change).execute(write.on()).await.unwrap();
            write.commit().await.unwrap();
            raw.close().await;
            let report = verified(&config).await;
            assert!(
                report.differences.iter().any(|d| d.contains(words)),
                "{change}: {:?}",
                report.differences
            );
        }
    }
}

#[tokio::test]
async fn a_database_of_something_else_is_refused() {
    let db = sqlite();
    let chain = Chain::start().await;
    let indexer = Running::on(&chain, &db).await;
    indexer.caught_up(&chain).await;
    let config = indexer.stop().await;
    let other = with(config.clone(), |other| other.contracts = vec![chain.escrow.address]);
    let error = crate::verify(&other, |_| {}).await.expect_err("another set of contracts");
    assert!(error.to_string().contains("the database follows eip155:31337 with contracts"), "{error}");
    let gone = std::env::temp_dir().join(format!("earnest-no-indexer-{}.db", std::process::id()));
    let nowhere = crate::Config { database: format!("sqlite:{}", gone.display()), ..config.clone() };
    crate::verify(&nowhere, |_| {}).await.expect_err("no database");
    assert!(!gone.exists(), "and none is made");
    let other = with(config, |other| other.start_block = 3);
    let error = crate::verify(&other, |_| {}).await.expect_err("another start");
    assert!(error.to_string().contains("start_block"), "{error}");
}

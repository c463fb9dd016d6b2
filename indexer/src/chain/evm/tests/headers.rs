//! Headers near the head whose fields are not those of their hash.

use alloy::primitives::{B256, Bloom};
use fixture::Chain;
use protocol::wire::{
    feed::{EventBody, Finality},
    view::FaultKind,
};
use serde_json::{Value, json};
use service::db::testing::{FreshDb, sqlite};

use super::{agrees, told_of};
use crate::{
    config::Config,
    testing::{Running, config, node::Node, with},
};

/// A time that no block of the tests has.
const FALSE_TIME: u64 = 0x6500_0000;

fn behind(nodes: &[&Node], chain: &Chain, db: &FreshDb) -> Config {
    with(config(chain, db), |chain| chain.rpc_urls = nodes.iter().map(|node| node.url.clone()).collect())
}

/// Tells this in place of a field of every header, whichever way it is asked for.
fn tells(field: &'static str, value: Value) -> impl Fn(&Value, &mut Value) + Clone + Send + Sync + 'static {
    move |request: &Value, answer: &mut Value| {
        let header =
            matches!(request["method"].as_str(), Some("eth_getBlockByNumber" | "eth_getBlockByHash"));
        if header && answer["result"].is_object() {
            answer["result"][field] = value.clone();
        }
    }
}

/// It has the hash that the others have: what it hides by the filter, or tells of the time or of the receipts, would be told,
/// and be final as soon as the hash is.
#[tokio::test]
async fn who_tells_other_fields_than_those_of_the_hash_is_not_believed() {
    for (field, value) in [
        ("logsBloom", json!(Bloom::ZERO)),
        ("timestamp", json!(format!("{FALSE_TIME:#x}"))),
        ("receiptsRoot", json!(B256::repeat_byte(0xbb))),
    ] {
        let db = sqlite();
        let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
        chain.mine(20).await;
        let (first, second) = (Node::before(&chain.rpc_url()).await, Node::before(&chain.rpc_url()).await);
        let third = Node::before(&chain.rpc_url()).await;
        let nodes = [&first, &second, &third];
        let indexer = Running::start(behind(&nodes, &chain, &db)).await;
        indexer.caught_up(&chain).await;
        // Nobody else is to find the lie, and leave the liar, before the head is read.
        indexer.until("the proof", |s| s.proven.is_some() && s.proven == s.finalized).await;
        // The one that is asked tells the lie, whichever it is by now.
        let mut funded = 0;
        let liar = loop {
            let at = funded % nodes.len();
            nodes[at].lies(tells(field, value.clone()));
            funded += 1;
            chain.fund(&chain.terms(1_000, Default::default(), funded.try_into().unwrap()).await).await;
            indexer.caught_up(&chain).await;
            if indexer.status().await.providers[at].lies > 0 {
                break at;
            }
            nodes[at].lies(|_, _| {});
            assert!(funded < 12, "{field}: nobody who was asked was found out");
        };
        let told = told_of(&indexer.feed().await, "Funded");
        assert_eq!(told.iter().filter(|told| **told == Finality::Seen).count(), funded, "{field}");
        let status = indexer.status().await;
        assert!(!status.providers[liar].trusted && status.providers[(liar + 1) % 3].trusted, "{field}");
        chain.mine(16).await;
        indexer.caught_up(&chain).await;
        indexer.all_final().await;
        let feed = indexer.feed().await;
        let told = told_of(&feed, "Funded");
        assert_eq!((told.first(), told.last()), (Some(&Finality::Seen), Some(&Finality::Final)), "{field}");
        assert!(!told.contains(&Finality::Retracted), "{field}");
        assert!(feed.iter().all(|entry| entry.event.block_time != FALSE_TIME), "{field}");
        let status = indexer.until("the proof", |s| s.proven == s.finalized).await;
        assert_eq!((status.missed, status.alarms), (0, vec![FaultKind::ProviderLies]), "{field}");
        agrees(indexer).await;
    }
}

/// What their fields are no hash tells, so a quorum does, and nobody is called a liar for what nobody can prove.
#[tokio::test]
async fn a_chain_that_hashes_otherwise_is_followed_by_what_a_quorum_tells_alike() {
    let hashes_otherwise = tells("extraData", json!("0xbb"));
    for count in [1, 3] {
        let db = sqlite();
        let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
        let (first, second) = (Node::before(&chain.rpc_url()).await, Node::before(&chain.rpc_url()).await);
        let third = Node::before(&chain.rpc_url()).await;
        let nodes = [&first, &second, &third];
        for node in nodes {
            node.lies(hashes_otherwise.clone());
        }
        let indexer = Running::start(behind(&nodes[..count], &chain, &db)).await;
        indexer.caught_up(&chain).await;
        chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
        indexer.caught_up(&chain).await;
        let mut seen = vec![Finality::Seen];
        assert_eq!(told_of(&indexer.feed().await, "Funded"), seen);
        // One of them hides what it has, whichever is asked first.
        for (salt, node) in (2..).zip(nodes).filter(|_| count > 1) {
            let (otherwise, hides) = (hashes_otherwise.clone(), tells("logsBloom", json!(Bloom::ZERO)));
            node.lies(move |request, answer| {
                otherwise(request, answer);
                hides(request, answer);
            });
            chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
            indexer.caught_up(&chain).await;
            seen.push(Finality::Seen);
            assert_eq!(told_of(&indexer.feed().await, "Funded"), seen);
            node.lies(hashes_otherwise.clone());
        }
        chain.mine(16).await;
        indexer.caught_up(&chain).await;
        indexer.all_final().await;
        let status = indexer.until("the doubt", |s| s.unproven.is_some()).await;
        assert!(status.providers.iter().all(|provider| provider.lies == 0), "{:?}", status.providers);
        agrees(indexer).await;
    }
}

/// The filter holds neither data nor transactions: of those whose receipts prove nothing the one that is asked first could make
/// both up, and they would be final as soon as the hash is.
#[tokio::test]
async fn what_one_node_makes_up_under_the_right_topics_is_not_told() {
    let made_up = json!(B256::repeat_byte(0xbb));
    for others_tell_receipts in [true, false] {
        let db = sqlite();
        let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
        chain.mine(20).await;
        let liar = Node::before(&chain.rpc_url()).await;
        let (second, third) = (Node::before(&chain.rpc_url()).await, Node::before(&chain.rpc_url()).await);
        let indexer = Running::start(behind(&[&liar, &second, &third], &chain, &db)).await;
        indexer.caught_up(&chain).await;
        indexer.until("the proof", |s| s.proven.is_some() && s.proven == s.finalized).await;
        let without_receipts = |request: &Value, answer: &mut Value| {
            if request["method"] == "eth_getBlockReceipts" {
                answer["result"] = Value::Null;
            }
        };
        if !others_tell_receipts {
            second.lies(without_receipts);
            third.lies(without_receipts);
        }
        let told = made_up.clone();
        liar.lies(move |request, answer| {
            without_receipts(request, answer);
            if request["method"] == "eth_getLogs"
                && let Some(logs) = answer["result"].as_array_mut()
            {
                for log in logs {
                    log["transactionHash"] = told.clone();
                }
            }
        });
        chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
        indexer.caught_up(&chain).await;
        assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Seen], "{others_tell_receipts}");
        chain.mine(16).await;
        indexer.caught_up(&chain).await;
        indexer.all_final().await;
        let feed = indexer.feed().await;
        assert!(!told_of(&feed, "Funded").contains(&Finality::Retracted), "{others_tell_receipts}");
        assert!(feed.iter().all(|entry| json!(entry.event.transaction) != made_up), "{others_tell_receipts}");
        agrees(indexer).await;
    }
}

/// The same where the operator has nothing proven, also while those that tell the truth have no logs of the block yet.
#[tokio::test]
async fn what_one_node_makes_up_is_not_told_where_nothing_is_to_be_proven() {
    for others_have_logs in [true, false] {
        let db = sqlite();
        let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
        let (first, second) = (Node::before(&chain.rpc_url()).await, Node::before(&chain.rpc_url()).await);
        let third = Node::before(&chain.rpc_url()).await;
        let nodes = [&first, &second, &third];
        let config = with(behind(&nodes, &chain, &db), |chain| chain.prove = false);
        let indexer = Running::start(config).await;
        indexer.caught_up(&chain).await;
        // Whichever is asked first.
        for (salt, liar) in (1..).zip(nodes) {
            for node in nodes.into_iter().filter(|_| !others_have_logs) {
                node.lies(|request, answer| {
                    if request["method"] == "eth_getLogs" {
                        answer["result"] = json!([]);
                    }
                });
            }
            liar.lies(|request, answer| {
                if request["method"] == "eth_getBlockReceipts" {
                    answer["result"] = Value::Null;
                } else if request["method"] == "eth_getLogs" {
                    for log in answer["result"].as_array_mut().into_iter().flatten() {
                        let mut data = log["data"].as_str().expect("data").to_owned();
                        // The first of two words is what was released: one more.
                        if data.len() == 2 + 128 {
                            data.replace_range(2 + 63..2 + 64, "5");
                            log["data"] = json!(data);
                        }
                    }
                }
            });
            let terms = chain.terms(1_000, Default::default(), salt).await;
            chain.fund(&terms).await;
            chain.release(&terms, 100).await;
            indexer.caught_up(&chain).await;
            nodes.iter().for_each(|node| node.is_honest());
        }
        chain.mine(16).await;
        indexer.caught_up(&chain).await;
        indexer.all_final().await;
        let feed = indexer.feed().await;
        let released = feed.iter().filter_map(|entry| match &entry.event.body {
            EventBody::Released { released, .. } => Some((entry.finality, *released)),
            _ => None,
        });
        let told: Vec<(Finality, u128)> = released.collect();
        assert!(told.iter().all(|(_, released)| *released == 100), "{others_have_logs}: {told:?}");
        let finals = told.iter().filter(|(finality, _)| *finality == Finality::Final).count();
        assert_eq!(finals, nodes.len(), "{others_have_logs}: {told:?}");
        assert!(!told.iter().any(|(finality, _)| *finality == Finality::Retracted), "{others_have_logs}");
        agrees(indexer).await;
    }
}

/// Receipts are some megabytes of a block, and logs few: who takes long over the ones tells the others all the same.
#[tokio::test]
async fn who_does_not_come_to_an_end_of_its_receipts_is_asked_for_logs() {
    let db = sqlite();
    let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
    chain.mine(20).await;
    let (first, second) = (Node::before(&chain.rpc_url()).await, Node::before(&chain.rpc_url()).await);
    let indexer = Running::start(behind(&[&first, &second], &chain, &db)).await;
    indexer.caught_up(&chain).await;
    indexer.until("the proof", |s| s.proven.is_some() && s.proven == s.finalized).await;
    let receipts = |request: &Value| request["method"] == "eth_getBlockReceipts";
    first.lies(move |request, answer| {
        if receipts(request) {
            answer["result"] = Value::Null;
        }
    });
    second.hangs(receipts);
    chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
    indexer.caught_up(&chain).await;
    assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Seen]);
    first.is_honest();
    second.is_honest();
    chain.mine(16).await;
    indexer.caught_up(&chain).await;
    indexer.all_final().await;
    agrees(indexer).await;
}

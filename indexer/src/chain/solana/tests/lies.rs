//! One node that tells otherwise than the others what a transaction did, or in which block.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use alloy::primitives::B256;
use protocol::{
    chain::TransactionId,
    solana,
    wire::{
        feed::{
            ChainEvent, EventBody, FeedEntry,
            Finality::{self, Final, Retracted, Seen},
        },
        view::{ChainStatus, FaultKind},
    },
};
use serde_json::{Value, json};
use service::db::testing::{FreshDb, sqlite};
use surfnet::{CommitmentConfig, key};

use super::{World, agrees, nothing_final_above, told_of, until_told};
use crate::{
    chain::{
        rpc::{Limits, Nodes},
        solana::rpc::{Listed, Rpc},
    },
    config::Config,
    testing::{DEADLINE, Running, node::Node, with},
};

/// Changes the instructions that a transaction's instructions called.
fn change_calls(request: &Value, answer: &mut Value, change: impl Fn(&mut Vec<Value>)) {
    if request["method"] == "getTransaction"
        && answer["result"].is_object()
        && let Some(inner) = answer["result"]["meta"]["innerInstructions"].as_array_mut()
    {
        inner.iter_mut().for_each(|of| change(of["instructions"].as_array_mut().unwrap()));
    }
}

/// The data of a call that tells a release.
fn release(call: &Value) -> Option<Vec<u8>> {
    let data = bs58::decode(call["data"].as_str().unwrap()).into_vec().unwrap();
    let event = solana::is_event(&data).then(|| solana::decode_event(solana::chain().unwrap(), &data));
    matches!(event, Some(Ok(EventBody::Released { .. }))).then_some(data)
}

fn another_amount(request: &Value, answer: &mut Value) {
    change_calls(request, answer, |calls| {
        for call in calls {
            if let Some(mut data) = release(call) {
                // The lowest byte of eight; after them comes the count.
                let at = data.len() - 9;
                data[at] ^= 1;
                call["data"] = json!(bs58::encode(&data).into_string());
            }
        }
    });
}

fn another_event(request: &Value, answer: &mut Value) {
    change_calls(request, answer, |calls| {
        let made_up = calls.iter().find(|call| release(call).is_some()).cloned();
        calls.extend(made_up);
    });
}

fn no_event(request: &Value, answer: &mut Value) {
    change_calls(request, answer, |calls| calls.retain(|call| release(call).is_none()));
}

fn another_hash(request: &Value, answer: &mut Value) {
    if request["method"] == "getBlock" && answer["result"].is_object() {
        let hash = bs58::decode(answer["result"]["blockhash"].as_str().unwrap()).into_vec().unwrap();
        let other: Vec<u8> = hash.into_iter().map(|byte| !byte).collect();
        answer["result"]["blockhash"] = json!(bs58::encode(other).into_string());
    }
}

fn another_time(request: &Value, answer: &mut Value) {
    if request["method"] == "getBlock" && answer["result"].is_object() {
        answer["result"]["blockTime"] = json!(answer["result"]["blockTime"].as_i64().unwrap() + 1);
    }
}

/// So many nodes before the real one.
pub(super) async fn before<const N: usize>(world: &World) -> [Node; N] {
    let url = world.net.rpc_url();
    let nodes = (0..N).map(|_| Node::before(&url));
    futures::future::join_all(nodes).await.try_into().unwrap_or_else(|_| unreachable!())
}

pub(super) fn behind(world: &World, db: &FreshDb, nodes: &[Node]) -> Config {
    with(world.config(db), |chain| {
        chain.rpc_urls = nodes.iter().map(|node| node.url.clone()).collect();
    })
}

/// What is told of a transaction.
pub(super) fn of(feed: &[FeedEntry], transaction: TransactionId) -> Vec<(Finality, ChainEvent)> {
    let of_it = feed.iter().filter(|entry| entry.event.transaction == transaction);
    of_it.map(|entry| (entry.finality, entry.event.clone())).collect()
}

/// The events of a transaction that are told as final.
fn finals(feed: &[FeedEntry], transaction: TransactionId) -> Vec<ChainEvent> {
    let told = of(feed, transaction).into_iter();
    told.filter(|(finality, _)| *finality == Final).map(|(_, event)| event).collect()
}

pub(super) fn count_final(feed: &[FeedEntry], name: &str) -> usize {
    told_of(feed, name).into_iter().filter(|told| *told == Final).count()
}

/// Nobody but the first is said to have lied. Whether that one is depends on whether it was asked: two that agree are enough.
pub(super) fn the_others_did_not_lie(status: &ChainStatus) {
    let [_, others @ ..] = &status.providers[..] else { panic!("{status:?}") };
    assert!(others.iter().all(|node| node.lies == 0 && node.trusted), "{:?}", status.providers);
}

/// The lie to whoever asks for what is confirmed, and the truth about what is final.
fn at_first(lie: fn(&Value, &mut Value)) -> impl Fn(&Value, &mut Value) + Send + Sync + 'static {
    move |request, answer| {
        if request["params"][1]["commitment"] == "confirmed" {
            lie(request, answer);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_says_of_a_transaction_or_its_block_is_never_final_against_the_others() {
    let world = World::start().await;
    let honest_db = sqlite();
    let honest = Running::start(world.config(&honest_db)).await;
    let lies: [fn(&Value, &mut Value); 4] = [another_amount, another_event, another_hash, another_time];
    for (salt, lie) in (1_u8..).zip(lies) {
        let db = sqlite();
        let nodes: [Node; 3] = before(&world).await;
        let indexer = Running::start(behind(&world, &db, &nodes)).await;
        let deal = world.funded(salt).await;
        until_told(&indexer, "the deal", |feed| count_final(feed, "Funded") == usize::from(salt)).await;
        // Nothing more is final before the lie is told.
        let held = indexer.status().await.finalized.expect("a final slot").number;
        for node in &nodes {
            node.lies(nothing_final_above(held));
        }
        // What is seen is the word of whoever has the turn, so all of them tell it.
        for node in &nodes {
            let (hold, lie) = (nothing_final_above(held), at_first(lie));
            node.lies(move |request, answer| {
                hold(request, answer);
                lie(request, answer);
            });
        }
        let released = world.send(&deal.release(key(&world.buyer), 100, None, 0)).await;
        let seen = until_told(&indexer, "the lie", |feed| !of(feed, released).is_empty()).await;
        let seen = of(&seen, released);
        assert!(seen.iter().all(|(finality, _)| *finality == Seen), "{salt}: {seen:?}");
        nodes[0].lies(lie);
        nodes[1..].iter().for_each(Node::is_honest);
        let feed = until_told(&indexer, "the truth", |feed| !finals(feed, released).is_empty()).await;
        let truth = until_told(&honest, "the truth", |feed| !finals(feed, released).is_empty()).await;
        let truth = finals(&truth, released);
        assert_ne!(seen.into_iter().map(|(_, event)| event).collect::<Vec<_>>(), truth, "{salt}");
        assert_eq!(finals(&feed, released), truth, "{salt}");
        let told = |event: &ChainEvent| -> Vec<Finality> {
            of(&feed, released).into_iter().filter(|(_, e)| e.id == event.id).map(|(told, _)| told).collect()
        };
        for (_, event) in of(&feed, released) {
            let told = told(&event);
            assert!(told.starts_with(&[Seen, Retracted]), "{salt}: {told:?}");
            let last = if truth.iter().any(|one| one.id == event.id) { Final } else { Retracted };
            assert_eq!(told.last(), Some(&last), "{salt}: {told:?}");
        }
        the_others_did_not_lie(&indexer.status().await);
        agrees(indexer).await;
    }
    agrees(honest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_keeps_from_a_transaction_is_told_as_final() {
    let world = World::start().await;
    let db = sqlite();
    let nodes: [Node; 3] = before(&world).await;
    nodes[0].lies(no_event);
    let indexer = Running::start(behind(&world, &db, &nodes)).await;
    let deal = world.funded(1).await;
    let released = world.send(&deal.release(key(&world.buyer), 100, None, 0)).await;
    let feed = until_told(&indexer, "the release", |feed| !finals(feed, released).is_empty()).await;
    assert_eq!(finals(&feed, released).len(), 1);
    the_others_did_not_lie(&indexer.status().await);
    agrees(indexer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_one_node_makes_up_is_never_final() {
    let world = World::start().await;
    let db = sqlite();
    let nodes: [Node; 3] = before(&world).await;
    let indexer = Running::start(behind(&world, &db, &nodes)).await;
    let deal = world.funded(1).await;
    let first = world.send(&deal.release(key(&world.buyer), 100, None, 0)).await;
    until_told(&indexer, "the first release", |feed| !finals(feed, first).is_empty()).await;
    let held = indexer.status().await.finalized.expect("a final slot").number;
    for node in &nodes {
        node.lies(nothing_final_above(held));
    }
    // Beside whatever comes after the first release it lists another that did the same.
    let made_up = TransactionId::Solana([7; 64]);
    let config = json!([first, {"encoding": "json", "commitment": "confirmed"}]);
    let did = world.net.ask("getTransaction", config).await.unwrap();
    let (below, slot) = (did["slot"].as_u64().unwrap(), Arc::new(AtomicU64::new(0)));
    let lie = move |request: &Value, answer: &mut Value| {
        if request["method"] == "getTransaction" && request["params"][0] == json!(made_up) {
            *answer = json!({"jsonrpc": "2.0", "id": request["id"], "result": did});
            answer["result"]["slot"] = json!(slot.load(Ordering::SeqCst));
        } else if request["method"] == "getSignaturesForAddress"
            && let Some(listed) = answer["result"].as_array_mut()
            && let Some(mut newest) = listed.first().cloned()
            && newest["slot"].as_u64() > Some(below)
        {
            slot.store(newest["slot"].as_u64().unwrap(), Ordering::SeqCst);
            newest["signature"] = json!(made_up);
            listed.insert(0, newest);
        }
    };
    for node in &nodes {
        let (hold, also) = (nothing_final_above(held), lie.clone());
        node.lies(move |request, answer| {
            hold(request, answer);
            also(request, answer);
        });
    }
    let second = world.send(&deal.release(key(&world.buyer), 200, None, 0)).await;
    until_told(&indexer, "the lie", |feed| !of(feed, made_up).is_empty()).await;
    nodes[0].lies(lie);
    nodes[1..].iter().for_each(Node::is_honest);
    let feed = until_told(&indexer, "the truth", |feed| !finals(feed, second).is_empty()).await;
    let told: Vec<Finality> = of(&feed, made_up).into_iter().map(|(told, _)| told).collect();
    assert!(told.starts_with(&[Seen, Retracted]) && told.ends_with(&[Retracted]), "{told:?}");
    assert!(!told.contains(&Final), "{told:?}");
    the_others_did_not_lie(&indexer.status().await);
    agrees(indexer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_final_before_it_was_read_is_told_as_a_quorum_tells_it() {
    let world = World::start().await;
    // More than one step, so that the first ends in a slot that is final.
    for round in 0..5 {
        futures::future::join_all((0..30).map(|salt| world.funded(round * 30 + salt))).await;
    }
    // And so late that what is final is looked at.
    let last = world.net.slot(surfnet::CONFIRMED).await.max(world.start + 40);
    let net = &world.net;
    let finalized = move || async move { net.slot(CommitmentConfig::finalized()).await > last };
    net.until("the end is final", finalized).await;
    let (db, honest_db) = (sqlite(), sqlite());
    let nodes: [Node; 3] = before(&world).await;
    nodes[0].lies(another_time);
    let told = |feed: &[FeedEntry]| -> Vec<(B256, u64, B256)> {
        let finals = feed.iter().filter(|entry| entry.finality == Final).map(|entry| &entry.event);
        let mut told: Vec<_> = finals.map(|event| (event.id, event.block_time, event.block_hash)).collect();
        told.sort_unstable();
        told
    };
    let config = with(behind(&world, &db, &nodes), |chain| chain.signatures_max = 1_000);
    let indexer = Running::start(config).await;
    let feed = until_told(&indexer, "all of them", |feed| count_final(feed, "Funded") == 150).await;
    let seen = |id: B256| feed.iter().any(|entry| entry.event.id == id && entry.finality == Seen);
    assert!(
        feed.iter().any(|entry| entry.finality == Final && !seen(entry.event.id)),
        "a step is final at once"
    );
    let honest = Running::start(world.config(&honest_db)).await;
    let truth = until_told(&honest, "all of them", |feed| count_final(feed, "Funded") == 150).await;
    assert_eq!(told(&feed), told(&truth));
    the_others_did_not_lie(&indexer.status().await);
    agrees(indexer).await;
    agrees(honest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_quorum_tells_alike_is_seen_and_not_final() {
    let world = World::start().await;
    let db = sqlite();
    let nodes: [Node; 2] = before(&world).await;
    nodes[0].lies(another_amount);
    let indexer = Running::start(behind(&world, &db, &nodes)).await;
    let deal = world.funded(1).await;
    until_told(&indexer, "the deal", |feed| count_final(feed, "Funded") == 1).await;
    let released = world.send(&deal.release(key(&world.buyer), 100, None, 0)).await;
    // What is seen is the liar's word perhaps, and the account says otherwise: that is told too.
    let status = indexer.until("the fault", |s| s.alarms.contains(&FaultKind::NoQuorum)).await;
    let fault = status.faults.iter().find(|fault| fault.kind == FaultKind::NoQuorum).expect("the fault");
    assert!(fault.detail.contains("no 2 nodes tell what"), "{:?}", status.faults);
    assert!(status.providers.iter().all(|node| node.lies == 0), "{:?}", status.providers);
    let second = world.deal(B256::ZERO, 2).await;
    let second = world.send(&world.funding(&second)).await;
    let feed = until_told(&indexer, "the second", |feed| !of(feed, second).is_empty()).await;
    assert_eq!((count_final(&feed, "Funded"), count_final(&feed, "Released")), (1, 0), "reading goes on");
    nodes[0].is_honest();
    let feed = until_told(&indexer, "the release", |feed| !finals(feed, released).is_empty()).await;
    let bodies: Vec<EventBody> = finals(&feed, released).into_iter().map(|event| event.body).collect();
    assert!(matches!(&bodies[..], [EventBody::Released { released: 100, .. }]), "{bodies:?}");
    indexer.until("the quorum", |s| s.alarms.is_empty()).await;
    agrees(indexer).await;
}

/// Two of three were begun from a snapshot: they know neither the transaction nor its slot.
#[tokio::test(flavor = "multi_thread")]
async fn what_most_nodes_have_let_go_of_is_not_told_as_never_there() {
    let world = World::start().await;
    let deal = world.funded(1).await;
    let released = world.send(&deal.release(key(&world.buyer), 100, None, 0)).await;
    let config = json!([released, {"encoding": "json", "commitment": "confirmed"}]);
    let slot = world.net.ask("getTransaction", config).await.unwrap()["slot"].as_u64().unwrap();
    let net = &world.net;
    let finalized = move || async move { net.slot(CommitmentConfig::finalized()).await > slot };
    net.until("it is final", finalized).await;
    let db = sqlite();
    let nodes: [Node; 3] = before(&world).await;
    let forgets = move |request: &Value, answer: &mut Value| {
        if request["method"] == "getTransaction" && request["params"][0] == json!(released) {
            answer["result"] = Value::Null;
        } else if request["method"] == "getBlock" && request["params"][0] == json!(slot) {
            let error = json!({"code": -32007, "message": "Slot was skipped, or missing due to ledger jump to recent snapshot"});
            *answer = json!({"jsonrpc": "2.0", "id": request["id"], "error": error});
        }
    };
    nodes[1..].iter().for_each(|node| node.lies(forgets));
    let indexer = Running::start(behind(&world, &db, &nodes)).await;
    indexer.until("the fault", |s| s.alarms.contains(&FaultKind::NoQuorum)).await;
    let feed = until_told(&indexer, "the release", |feed| !of(feed, released).is_empty()).await;
    assert!(feed.iter().all(|entry| entry.finality != Final || entry.event.block_number < slot), "{feed:?}");
    let status = indexer.status().await;
    assert!(status.providers.iter().all(|node| node.lies == 0), "{:?}", status.providers);
    nodes[1..].iter().for_each(Node::is_honest);
    until_told(&indexer, "the release", |feed| !finals(feed, released).is_empty()).await;
    agrees(indexer).await;
}

/// What a list begins with is no ground for asking others for no more than what is after it: one node may put there what is in a
/// later slot.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_lists_too_early_hides_nothing() {
    let world = World::start().await;
    let db = sqlite();
    let nodes: [Node; 3] = before(&world).await;
    let config = with(behind(&world, &db, &nodes), |chain| chain.signatures_max = 1_000);
    let indexer = Running::start(config).await;
    let deal = world.funded(1).await;
    until_told(&indexer, "the deal", |feed| count_final(feed, "Funded") == 1).await;
    let cursor = indexer.status().await.cursor.number;
    let config = indexer.stop().await;
    let net = &world.net;
    net.until("a slot", move || async move { net.slot(surfnet::CONFIRMED).await > cursor + 40 }).await;
    let held = net.slot(surfnet::CONFIRMED).await;
    net.until("the next", move || async move { net.slot(surfnet::CONFIRMED).await > held }).await;
    let hidden = world.send(&deal.release(key(&world.buyer), 100, None, 0)).await;
    let refused = deal.release(key(&world.buyer), 2_000_000, None, 0);
    let (failed, outcome) = net.put(&refused, &[&world.buyer, &world.seller]).await;
    outcome.expect_err("it fails");
    let failed = TransactionId::Solana(failed.into());
    let last = net.slot(surfnet::CONFIRMED).await;
    net.until("final", move || async move { net.slot(CommitmentConfig::finalized()).await > last }).await;
    nodes[0].lies(move |request, answer| {
        let config = &request["params"][1];
        if request["method"] == "getSignaturesForAddress"
            && config["commitment"] == "confirmed"
            && let Some(listed) = answer["result"].as_array_mut()
        {
            listed.retain(|one| one["slot"].as_u64() <= Some(held));
            if config["before"].is_null() {
                listed.insert(0, json!({"signature": failed, "slot": held, "err": {}}));
            }
        }
    });
    let indexer = Running::start(config).await;
    indexer.until("the lie", |s| s.cursor.number >= held).await;
    nodes[0].is_honest();
    until_told(&indexer, "what it hides", |feed| !finals(feed, hidden).is_empty()).await;
    agrees(indexer).await;
}

/// Two that have the block of the slot in which it is listed, and have not come to the later one in which it is, say with right that
/// it is not there.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_transaction_in_a_later_slot_than_it_is_listed_in_did_not_lie() {
    let world = World::start().await;
    let net = &world.net;
    let deal = world.funded(1).await;
    let slot = net.slot(surfnet::CONFIRMED).await;
    net.until("the next", move || async move { net.slot(surfnet::CONFIRMED).await > slot }).await;
    let signature = world.send(&deal.release(key(&world.buyer), 100, None, 0)).await;
    let last = net.slot(surfnet::CONFIRMED).await;
    net.until("final", move || async move { net.slot(CommitmentConfig::finalized()).await > last }).await;
    let nodes: [Node; 3] = before(&world).await;
    for late in [&nodes[0], &nodes[2]] {
        late.lies(|request, answer| {
            if request["method"] == "getTransaction" {
                answer["result"] = Value::Null;
            }
        });
    }
    let urls: Vec<String> = nodes.iter().map(|node| node.url.clone()).collect();
    let limits = Limits { timeout: DEADLINE, answer_bytes_max: 1 << 20, quorum: Some(2) };
    let rpc = Rpc(Nodes::new(&urls, world.chain, limits).unwrap());
    let told = rpc.agreed_transaction(&Listed { signature, slot, failed: false }).await;
    assert_eq!(told, Ok(None), "it is not in the block of that slot");
    nodes.iter().for_each(Node::is_honest);
    let told = rpc.agreed_transaction(&Listed { signature, slot, failed: false }).await;
    assert_eq!(told, Ok(None), "it is in another slot");
    assert_eq!(rpc.0.all().map(|node| node.health().lies).collect::<Vec<_>>(), [0, 0, 0]);
}

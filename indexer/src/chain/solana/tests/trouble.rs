//! A cluster that goes another way, and nodes that are not to be believed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use alloy::primitives::B256;
use protocol::{
    solana,
    wire::{
        feed::{
            FeedEntry,
            Finality::{Final, Retracted, Seen},
        },
        view::{DealDetail, FaultKind},
    },
};
use serde_json::{Value, json};
use service::db::testing::{FreshDb, on_both, sqlite};

use super::{
    World, agrees,
    lies::{before, behind, count_final},
    nothing_final_above, told_of, until_told,
};
use crate::testing::{
    DEADLINE, Running,
    node::{Node, refuse},
    with,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_confirmed_and_does_not_become_final_is_retracted() {
    let world = World::start().await;
    let db = sqlite();
    let node = Node::before(&world.net.rpc_url()).await;
    let config = with(world.config(&db), |chain| chain.rpc_urls = vec![node.url.clone()]);
    let indexer = Running::start(config).await;
    let first = world.funded(1).await;
    until_told(&indexer, "the first", |feed| told_of(feed, "Funded").contains(&Final)).await;
    // Nothing more is final before the lists are without it.
    let held = indexer.status().await.finalized.expect("a final slot").number;
    node.lies(nothing_final_above(held));
    let second = world.deal(B256::ZERO, 2).await;
    let gone = world.send(&world.funding(&second)).await;
    until_told(&indexer, "the second", |feed| told_of(feed, "Funded").ends_with(&[Seen])).await;
    // As when the cluster went another way: no list has it any more.
    node.lies(move |request, answer| {
        if request["method"] == "getSignaturesForAddress"
            && let Some(listed) = answer["result"].as_array_mut()
        {
            listed.retain(|one| one["signature"] != json!(gone));
        }
    });
    let feed =
        until_told(&indexer, "the retraction", |feed| told_of(feed, "Funded").contains(&Retracted)).await;
    let told: Vec<_> =
        feed.iter().filter(|entry| entry.event.transaction == gone).map(|entry| entry.finality).collect();
    assert_eq!(told, [Seen, Retracted]);
    assert_eq!(indexer.raw(&format!("/v1/deals/{}", second.id)).await.0, 404);
    let detail: DealDetail = indexer.get(&format!("/v1/deals/{}", first.id)).await;
    assert_eq!(detail.view.finality, Final);
    // It comes back.
    node.is_honest();
    world.funded(3).await;
    indexer.until("a later final slot", |status| status.alarms.is_empty()).await;
    until_told(&indexer, "its return", |feed| {
        told_of(feed, "Funded").iter().filter(|told| **told == Final).count() == 3
    })
    .await;
    agrees(indexer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dies_at_any_answer_tells_everything_once() {
    let world = World::start().await;
    for salt in 1..6 {
        world.funded(salt).await;
    }
    for db in on_both().await {
        let node = Node::before(&world.net.rpc_url()).await;
        let answers = Arc::new(AtomicUsize::new(0));
        let counted = answers.clone();
        node.lies(move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let config = with(world.config(&db), |chain| chain.rpc_urls = vec![node.url.clone()]);
        for deaths in 1..12 {
            answers.store(0, Ordering::SeqCst);
            let indexer = Running::start(config.clone()).await;
            while answers.load(Ordering::SeqCst) < deaths * 2 {
                tokio::task::yield_now().await;
            }
            indexer.kill().await;
        }
        let indexer = Running::start(config).await;
        let finals =
            |feed: &[FeedEntry]| told_of(feed, "Funded").iter().filter(|told| **told == Final).count();
        let feed = until_told(&indexer, "all of them", |feed| finals(feed) >= 5).await;
        let mut told: Vec<B256> =
            feed.iter().filter(|entry| entry.finality == Final).map(|entry| entry.event.id).collect();
        told.sort_unstable();
        told.dedup();
        assert_eq!((told.len(), finals(feed.as_slice())), (5, 5), "on {:?}", db.engine);
        agrees(indexer).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_does_not_decode_stops_below_its_slot_until_it_does() {
    let world = World::start().await;
    let db = sqlite();
    let node = Node::before(&world.net.rpc_url()).await;
    node.lies(|request, answer| {
        if request["method"] == "getTransaction"
            && let Some(inner) = answer["result"]["meta"]["innerInstructions"].as_array_mut()
        {
            for call in inner.iter_mut().flat_map(|of| of["instructions"].as_array_mut().unwrap()) {
                let data = bs58::decode(call["data"].as_str().unwrap()).into_vec().unwrap();
                if solana::is_event(&data) {
                    call["data"] = json!(bs58::encode(&data[..12]).into_string());
                }
            }
        }
    });
    let indexer =
        Running::start(with(world.config(&db), |chain| chain.rpc_urls = vec![node.url.clone()])).await;
    let deal = world.funded(1).await;
    let stuck = indexer.until("the quarantine", |status| status.alarms == [FaultKind::Quarantine]).await;
    assert!(stuck.faults[0].detail.contains("no event begins with"), "{:?}", stuck.faults);
    assert_eq!(indexer.raw("/ready").await.0, 503);
    assert_eq!(indexer.feed().await, []);
    node.is_honest();
    until_told(&indexer, "the deal", |feed| told_of(feed, "Funded").contains(&Final)).await;
    indexer.until("no alarm", |status| status.alarms.is_empty()).await;
    let detail: DealDetail = indexer.get(&format!("/v1/deals/{}", deal.id)).await;
    assert!(detail.view.deal.complete);
    agrees(indexer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_began_anew_is_not_taken_for_the_one_that_is_kept() {
    let (world, other) = (World::start().await, World::start().await);
    let db = sqlite();
    let node = Node::before(&world.net.rpc_url()).await;
    let indexer =
        Running::start(with(world.config(&db), |chain| chain.rpc_urls = vec![node.url.clone()])).await;
    world.funded(1).await;
    until_told(&indexer, "the deal", |feed| told_of(feed, "Funded").contains(&Final)).await;
    let feed = indexer.feed().await;
    // As when the local node was stopped and started again, while the indexer ran and while it did not.
    node.becomes(None);
    indexer.until("the trouble", |status| status.trouble.is_some()).await;
    other.funded(2).await;
    node.becomes(Some(&other.net.rpc_url()));
    indexer.until("the alarm", |status| status.alarms == [FaultKind::WrongChain]).await;
    let indexer = Running::start(indexer.stop().await).await;
    let status = indexer.until("the alarm", |status| status.trouble.is_some()).await;
    assert!(status.faults[0].detail.contains("start this one fresh"), "{:?}", status.faults);
    assert_eq!(indexer.raw("/ready").await.0, 503);
    assert_eq!(indexer.feed().await, feed);
    node.becomes(Some(&world.net.rpc_url()));
    indexer.until("going on", |status| status.alarms.is_empty() && status.caught_up).await;
    agrees(indexer).await;
}

/// Waits until the node has told so many answers as it tells them now.
async fn until_asked(indexer: &Running, answers: &AtomicUsize, count: usize) {
    let started = std::time::Instant::now();
    while answers.load(Ordering::SeqCst) < count {
        assert!(started.elapsed() < DEADLINE, "nobody asks: {:?}", indexer.status().await);
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_let_go_again_and_again_is_an_alarm_until_something_is_final() {
    let world = World::start().await;
    let db = sqlite();
    let node = Node::before(&world.net.rpc_url()).await;
    let config = with(world.config(&db), |chain| chain.rpc_urls = vec![node.url.clone()]);
    let indexer = Running::start(config).await;
    let first = world.deal(B256::ZERO, 1).await;
    let first = world.send(&world.funding(&first)).await;
    until_told(&indexer, "the first", |feed| told_of(feed, "Funded").contains(&Final)).await;
    // Two machines behind one address that never agree: one confirms what the other does not know as final.
    node.lies(move |request, answer| {
        if request["method"] == "getSignaturesForAddress"
            && request["params"][1]["commitment"] == "finalized"
            && let Some(listed) = answer["result"].as_array_mut()
        {
            listed.retain(|one| one["signature"] == json!(first));
        }
    });
    world.funded(2).await;
    indexer.until("the alarm", |status| status.alarms == [FaultKind::Unstable]).await;
    assert_eq!(indexer.raw("/ready").await.0, 200, "what is final is told as ever");
    let feed = indexer.feed().await;
    let second: Vec<_> =
        feed.iter().filter(|entry| entry.event.transaction != first).map(|entry| entry.finality).collect();
    assert_eq!(second[..4], [Seen, Retracted, Seen, Retracted]);
    assert_eq!(told_of(&feed, "Funded").iter().filter(|told| **told == Final).count(), 1);
    // Nor does who starts anew take the one machine's word for the other's.
    let indexer = Running::start(indexer.stop().await).await;
    let told = indexer.feed().await.len();
    until_told(&indexer, "another time", |feed| feed.len() > told + 2).await;
    assert_eq!(indexer.status().await.alarms, [FaultKind::Unstable]);
    node.is_honest();
    indexer.until("the calm", |status| status.alarms.is_empty()).await;
    until_told(&indexer, "both", |feed| {
        told_of(feed, "Funded").iter().filter(|told| **told == Final).count() == 2
    })
    .await;
    agrees(indexer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_says_otherwise_than_its_events_is_a_fault_until_it_agrees() {
    let world = World::start().await;
    let db = sqlite();
    let node = Node::before(&world.net.rpc_url()).await;
    // The deal's account is not there; what is told is as of a slot that nobody has read.
    let tells = |gone: bool, beyond: bool| {
        let answers = Arc::new(AtomicUsize::new(0));
        let counted = answers.clone();
        node.lies(move |request, answer| {
            if request["method"] != "getAccountInfo" || request["params"][1]["commitment"] != "finalized" {
                return;
            }
            if gone {
                answer["result"]["value"] = Value::Null;
            }
            if beyond {
                answer["result"]["context"]["slot"] = json!(1_u64 << 40);
            }
            counted.fetch_add(1, Ordering::SeqCst);
        });
        answers
    };
    let answers = tells(true, true);
    let config = with(world.config(&db), |chain| {
        chain.rpc_urls = vec![node.url.clone()];
        chain.reconcile_ms = 1_000;
    });
    let indexer = Running::start(config).await;
    let deal = world.funded(1).await;
    // Of several answers all but the newest have come to something.
    until_asked(&indexer, &answers, 3).await;
    let differs = |alarms: &[FaultKind]| alarms.contains(&FaultKind::StateDiffers);
    let alarms = indexer.status().await.alarms;
    assert!(!differs(&alarms), "nobody knows what the events make of that slot: {alarms:?}");
    tells(true, false);
    let status = indexer.until("the fault", |s| s.alarms == [FaultKind::StateDiffers]).await;
    assert_eq!(status.faults[0].subject, format!("deal/{}", deal.id));
    let answers = tells(false, true);
    until_asked(&indexer, &answers, 3).await;
    let alarms = indexer.status().await.alarms;
    assert!(differs(&alarms), "that says nothing of the fault: {alarms:?}");
    node.is_honest();
    indexer.until("the agreement", |s| s.alarms.is_empty() && s.reconciled_at.is_some()).await;
    agrees(indexer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_no_node_tells_of_holds_no_other_up_and_is_a_fault() {
    let world = World::start().await;
    let db = sqlite();
    let node = Node::before(&world.net.rpc_url()).await;
    let mut ids = [world.funded(1).await.id, world.funded(2).await.id];
    // In the order in which they are compared.
    ids.sort_unstable();
    let [untold, gone] = ids.map(|id| solana::from_key(&solana::deal_address(id)).to_string());
    node.lies(move |request, answer| {
        if request["method"] == "getAccountInfo" && request["params"][1]["commitment"] == "finalized" {
            if request["params"][0] == json!(untold) {
                refuse(answer, -32603, "internal error");
            } else if request["params"][0] == json!(gone) {
                answer["result"]["value"] = Value::Null;
            }
        }
    });
    let config = with(world.config(&db), |chain| {
        chain.rpc_urls = vec![node.url.clone()];
        chain.reconcile_ms = 1_000;
    });
    let indexer = Running::start(config).await;
    let status = indexer.until("both faults", |s| s.faults.len() == 2).await;
    let mut faults: Vec<_> =
        status.faults.iter().map(|fault| (fault.kind.name(), fault.subject.clone())).collect();
    faults.sort_unstable();
    let [untold, gone] = ids.map(|id| format!("deal/{id}"));
    assert_eq!(faults, [("not_compared", untold), ("state_differs", gone)]);
    assert_eq!(indexer.raw("/ready").await.0, 200);
    // A restart makes none of it good.
    let indexer = Running::start(indexer.stop().await).await;
    let status = indexer.until("a round", |s| s.reconciled_at.is_some()).await;
    assert_eq!(status.faults.len(), 2, "{:?}", status.faults);
    node.is_honest();
    indexer.until("the agreement", |s| s.alarms.is_empty()).await;
    agrees(indexer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_is_asked_where_one_has_not_come_to_the_slot() {
    let world = World::start().await;
    let db = sqlite();
    let late = Node::before(&world.net.rpc_url()).await;
    late.lies(|request, answer| {
        if request["params"][1].get("minContextSlot").is_some() {
            refuse(answer, -32016, "Minimum context slot has not been reached");
        }
    });
    let config = with(world.config(&db), |chain| {
        chain.rpc_urls = vec![late.url.clone(), world.net.rpc_url()];
        chain.quorum = Some(1);
        chain.reconcile_ms = 1_000;
    });
    let indexer = Running::start(config).await;
    world.funded(1).await;
    until_told(&indexer, "the deal", |feed| told_of(feed, "Funded").contains(&Final)).await;
    indexer.until("the comparison", |s| s.reconciled_at.is_some() && s.alarms.is_empty()).await;
    agrees(indexer).await;
}

/// Says of every slot that it is asked for what it says first.
fn stands_still(node: &Node) {
    let held: Mutex<BTreeMap<String, Value>> = Mutex::default();
    node.lies(move |request, answer| {
        if request["method"] == "getSlot" {
            let of = request["params"][0]["commitment"].as_str().unwrap_or_default().to_owned();
            let mut held = held.lock().unwrap();
            answer["result"] = held.entry(of).or_insert_with(|| answer["result"].clone()).clone();
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stands_still_and_answers_holds_nothing_up() {
    let world = World::start().await;
    let db = sqlite();
    let nodes: [Node; 3] = before(&world).await;
    let indexer = Running::start(behind(&world, &db, &nodes)).await;
    world.funded(1).await;
    until_told(&indexer, "the first", |feed| count_final(feed, "Funded") == 1).await;
    // An account of a slot that is not read yet would have the turn go on as well.
    indexer.until("the comparison", |s| s.reconciled_at.is_some()).await;
    for (salt, node) in (2_u8..).zip(&nodes) {
        stands_still(node);
        // The first look may have begun before.
        for _ in 0..2 {
            let looks = indexer.status().await.polled_at;
            indexer.until("a look", |s| s.polled_at > looks).await;
        }
        world.funded(salt).await;
        until_told(&indexer, "the next", |feed| count_final(feed, "Funded") == usize::from(salt)).await;
        node.is_honest();
    }
    let status = indexer.until("no alarm", |s| s.alarms.is_empty()).await;
    assert!(status.providers.iter().all(|node| node.lies == 0 && node.trusted), "{:?}", status.providers);
    agrees(indexer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_leaves_out_of_every_list_is_told_as_final_once_and_said_of_it() {
    let world = World::start().await;
    let (liar, second) = (Node::before(&world.net.rpc_url()).await, Node::before(&world.net.rpc_url()).await);
    let third = Node::before(&world.net.rpc_url()).await;
    let of = |db: &FreshDb| {
        with(world.config(db), |chain| {
            chain.rpc_urls = [&liar, &second, &third].map(|node| node.url.clone()).to_vec();
        })
    };
    let (db, fresh) = (sqlite(), sqlite());
    let indexer = Running::start(of(&db)).await;
    let first = world.deal(B256::ZERO, 1).await;
    let first = world.send(&world.funding(&first)).await;
    until_told(&indexer, "the first", |feed| told_of(feed, "Funded").contains(&Final)).await;
    assert_eq!(indexer.status().await.providers.iter().map(|node| node.lies).sum::<u64>(), 0);
    // The one that is asked first.
    liar.lies(move |request, answer| {
        if request["method"] == "getSignaturesForAddress"
            && let Some(listed) = answer["result"].as_array_mut()
        {
            listed.retain(|one| one["signature"] == json!(first));
        }
    });
    let left_out = world.deal(B256::ZERO, 2).await;
    let left_out = world.send(&world.funding(&left_out)).await;
    let finals = |feed: &[FeedEntry]| {
        feed.iter().filter(|entry| entry.event.transaction == left_out && entry.finality == Final).count()
    };
    until_told(&indexer, "what was left out", |feed| finals(feed) > 0).await;
    let status = indexer.until("the fault", |s| s.alarms == [FaultKind::ProviderLies]).await;
    assert!(status.providers[0].lies > 0 && !status.providers[0].trusted, "{:?}", status.providers);
    assert!(
        status.providers[1..].iter().all(|node| node.lies == 0 && node.trusted),
        "{:?}",
        status.providers
    );
    assert_eq!(indexer.raw("/ready").await.0, 200, "one of three is no reason to stop");
    // So it is where it was final before it is read at all.
    let late = Running::start(of(&fresh)).await;
    let feed = until_told(&late, "what was left out", |feed| finals(feed) > 0).await;
    assert_eq!(finals(feed.as_slice()), 1);
    late.until("the lie", |s| s.providers[0].lies > 0).await;
    agrees(late).await;
    // After a restart it is heard again, and believed once it lists what the others do.
    liar.is_honest();
    let indexer = Running::start(indexer.stop().await).await;
    world.funded(3).await;
    indexer.until("its return", |s| s.alarms.is_empty() && s.providers[0].trusted).await;
    indexer.all_final().await;
    assert_eq!(finals(indexer.feed().await.as_slice()), 1);
    agrees(indexer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_too_few_nodes_list_as_final_is_not_told_as_final() {
    let world = World::start().await;
    let db = sqlite();
    let (first, second) =
        (Node::before(&world.net.rpc_url()).await, Node::before(&world.net.rpc_url()).await);
    second.lies(|request, answer| {
        if request["method"] == "getSignaturesForAddress" && request["params"][1]["commitment"] == "finalized"
        {
            refuse(answer, -32016, "Minimum context slot has not been reached");
        }
    });
    let config = with(world.config(&db), |chain| {
        chain.rpc_urls = [&first, &second].map(|node| node.url.clone()).to_vec();
    });
    let indexer = Running::start(config).await;
    world.funded(1).await;
    let status = indexer.until("the fault", |s| s.alarms == [FaultKind::NoQuorum]).await;
    assert!(status.faults[0].detail.contains("1 of 2 nodes list what is final"), "{:?}", status.faults);
    world.funded(2).await;
    let feed = until_told(&indexer, "the second", |feed| told_of(feed, "Funded").len() == 2).await;
    assert_eq!(told_of(&feed, "Funded"), [Seen; 2], "reading goes on");
    second.is_honest();
    until_told(&indexer, "both", |feed| told_of(feed, "Funded").ends_with(&[Final; 2])).await;
    indexer.until("the quorum", |s| s.alarms.is_empty()).await;
    agrees(indexer).await;
}

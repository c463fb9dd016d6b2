//! A node that lists a transaction in another slot than the one that it is in, and nodes whose newest slot is none.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use protocol::{
    chain::TransactionId,
    solana,
    wire::{
        feed::Finality::{self, Final, Seen},
        view::FaultKind,
    },
};
use serde_json::{Value, json};
use service::db::testing::sqlite;
use surfnet::{CommitmentConfig, key};

use super::{
    World, agrees,
    lies::{before, behind, count_final, of, the_others_did_not_lie},
    nothing_final_above, until_told,
};
use crate::testing::{Running, node::Node, with};

/// Lists a transaction in this slot, and counts how often: in lists of what is final alone, or in every one.
fn misplaces(
    transaction: TransactionId,
    slot: u64,
    finals_alone: bool,
    lists: Arc<AtomicUsize>,
) -> impl Fn(&Value, &mut Value) + Send + Sync + 'static {
    move |request, answer| {
        let asked = request["params"][1]["commitment"] == "finalized" || !finals_alone;
        if request["method"] == "getSignaturesForAddress"
            && asked
            && let Some(listed) = answer["result"].as_array_mut()
        {
            for one in listed.iter_mut().filter(|one| one["signature"] == json!(transaction)) {
                one["slot"] = json!(slot);
                lists.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

/// Has not come so far that a transaction is final to it.
fn lags(transaction: TransactionId) -> impl Fn(&Value, &mut Value) + Send + Sync + 'static {
    move |request, answer| {
        if request["method"] == "getTransaction"
            && request["params"][0] == json!(transaction)
            && request["params"][1]["commitment"] == "finalized"
        {
            answer["result"] = Value::Null;
        }
    }
}

/// The newest slot, once there is a later one.
async fn passed(world: &World) -> u64 {
    let net = &world.net;
    let slot = net.slot(surfnet::CONFIRMED).await;
    net.until("the next slot", move || async move { net.slot(surfnet::CONFIRMED).await > slot }).await;
    slot
}

/// The slot of a transaction, once that is final.
async fn final_slot(world: &World, transaction: TransactionId) -> u64 {
    let net = &world.net;
    let config = json!([transaction, {"encoding": "json", "commitment": "confirmed"}]);
    let slot = net.ask("getTransaction", config).await.unwrap()["slot"].as_u64().unwrap();
    let finalized = move || async move { net.slot(CommitmentConfig::finalized()).await > slot };
    net.until("it is final", finalized).await;
    slot
}

/// The one event of a transaction was told as seen and becomes final, each once and in this slot; nobody but the first lied.
async fn is_told_once(world: &World, indexer: &Running, transaction: TransactionId, slot: u64) {
    until_told(indexer, "it is final", |feed| of(feed, transaction).iter().any(|(level, _)| *level == Final))
        .await;
    // Whatever else there is to tell of it is told before that.
    world.funded(2).await;
    let feed = until_told(indexer, "another deal", |feed| count_final(feed, "Funded") == 2).await;
    let told = of(&feed, transaction);
    let levels: Vec<Finality> = told.iter().map(|(level, _)| *level).collect();
    assert_eq!(levels, [Seen, Final], "{told:?}");
    assert!(told.iter().all(|(_, event)| event.block_number == slot), "not in {slot}: {told:?}");
    let status = indexer.until("the quorum", |s| !s.alarms.contains(&FaultKind::NoQuorum)).await;
    the_others_did_not_lie(&status);
}

/// What is kept is in the slot in which another node lists it. The first one, which lists it in another slot, lied, and holds
/// nothing up.
async fn the_first_of<const N: usize>() {
    let world = World::start().await;
    let db = sqlite();
    let nodes: [Node; N] = before(&world).await;
    let indexer = Running::start(behind(&world, &db, &nodes)).await;
    let deal = world.funded(1).await;
    until_told(&indexer, "the deal", |feed| count_final(feed, "Funded") == 1).await;
    // Both slots become final at one time, when it has been seen.
    let held = indexer.status().await.finalized.expect("a final slot").number;
    nodes.iter().for_each(|node| node.lies(nothing_final_above(held)));
    let wrong = passed(&world).await;
    let released = world.send(&deal.release(key(&world.buyer), 100, None, 0)).await;
    until_told(&indexer, "the release", |feed| !of(feed, released).is_empty()).await;
    let slot = final_slot(&world, released).await;
    assert!(wrong < slot, "{wrong} is not before {slot}");
    // The one that is asked first: of two lists the first would be right.
    let lists = Arc::new(AtomicUsize::new(0));
    nodes[0].lies(misplaces(released, wrong, true, lists.clone()));
    nodes[1..].iter().for_each(Node::is_honest);
    is_told_once(&world, &indexer, released, slot).await;
    assert!(lists.load(Ordering::SeqCst) > 0, "it was never listed in slot {wrong}");
    let status = indexer.until("the lie", |s| s.alarms == [FaultKind::ProviderLies]).await;
    assert!(status.providers[0].lies > 0 && !status.providers[0].trusted, "{:?}", status.providers);
    agrees(indexer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_lists_in_another_slot_is_told_once_where_it_is() {
    the_first_of::<3>().await;
}

/// Its list is one of those that must be asked.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_of_two_nodes_lists_in_another_slot_is_told_once_where_it_is() {
    the_first_of::<2>().await;
}

/// Two of three have the block of the slot in which one lists it, and have not come to where it is: that it is not there, as they
/// say with right, is not that it is nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_where_one_node_lists_it_is_told_where_another_does() {
    let world = World::start().await;
    let db = sqlite();
    let nodes: [Node; 3] = before(&world).await;
    let config = with(behind(&world, &db, &nodes), |chain| chain.signatures_max = 1_000);
    let indexer = Running::start(config).await;
    let deal = world.funded(1).await;
    until_told(&indexer, "the deal", |feed| count_final(feed, "Funded") == 1).await;
    let cursor = indexer.status().await.cursor.number;
    let config = indexer.stop().await;
    // So late that what is final is looked at, and told as final at once.
    let net = &world.net;
    net.until("a slot", move || async move { net.slot(surfnet::CONFIRMED).await > cursor + 40 }).await;
    passed(&world).await;
    let wrong = passed(&world).await;
    let released = world.send(&deal.release(key(&world.buyer), 100, None, 0)).await;
    let slot = final_slot(&world, released).await;
    assert!(wrong < slot, "{wrong} is not before {slot}");
    let lists = Arc::new(AtomicUsize::new(0));
    let (misplaces_it, lags_too) = (misplaces(released, wrong, false, lists.clone()), lags(released));
    // The one that is asked first, and one of the others.
    nodes[0].lies(move |request, answer| {
        misplaces_it(request, answer);
        lags_too(request, answer);
    });
    nodes[2].lies(lags(released));
    let indexer = Running::start(config).await;
    until_told(&indexer, "the release", |feed| !of(feed, released).is_empty()).await;
    assert!(lists.load(Ordering::SeqCst) > 0, "it was never listed in slot {wrong}");
    // They come to it, and the one goes on listing it where it is not.
    nodes[2].is_honest();
    nodes[0].lies(misplaces(released, wrong, false, lists.clone()));
    is_told_once(&world, &indexer, released, slot).await;
    agrees(indexer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_never_has_the_block_of_its_newest_slot_holds_nothing_up() {
    let world = World::start().await;
    let db = sqlite();
    let nodes: [Node; 3] = before(&world).await;
    // The one that is asked first.
    nodes[0].lies(|request, answer| {
        if request["method"] == "getBlock" && request["params"][1]["commitment"] == "confirmed" {
            answer["result"] = Value::Null;
        }
    });
    let indexer = Running::start(behind(&world, &db, &nodes)).await;
    world.funded(1).await;
    until_told(&indexer, "the deal", |feed| count_final(feed, "Funded") == 1).await;
    nodes[0].is_honest();
    agrees(indexer).await;
}

/// A slot that no cluster comes to.
const FAR: u64 = 1_000_000_000_000;

/// Tells a slot far ahead as the newest one, with a block, and no transaction up to there.
fn is_far_ahead(request: &Value, answer: &mut Value) {
    let (params, id) = (&request["params"], answer["id"].clone());
    if request["method"] == "getSlot" && params[0]["commitment"] == "confirmed" {
        answer["result"] = json!(FAR);
    } else if request["method"] == "getBlock" && params[0] == json!(FAR) {
        let hash = solana::from_key(&solana::program()).to_string();
        let block = json!({"blockhash": hash, "previousBlockhash": hash, "blockTime": 1_700_000_000});
        *answer = json!({"jsonrpc": "2.0", "id": id, "result": block});
    } else if request["method"] == "getSignaturesForAddress" && params[1]["minContextSlot"] == json!(FAR) {
        *answer = json!({"jsonrpc": "2.0", "id": id, "result": []});
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tip_that_one_node_made_up_far_ahead_hides_nothing_for_good() {
    let world = World::start().await;
    let db = sqlite();
    let nodes: [Node; 3] = before(&world).await;
    // The one that is asked first.
    nodes[0].lies(is_far_ahead);
    let indexer = Running::start(behind(&world, &db, &nodes)).await;
    indexer.until("the tip", |s| s.cursor.number == FAR).await;
    nodes[0].is_honest();
    world.funded(1).await;
    until_told(&indexer, "the deal", |feed| count_final(feed, "Funded") == 1).await;
    indexer.until("the cluster's own tip", |s| s.cursor.number < FAR).await;
    agrees(indexer).await;
}

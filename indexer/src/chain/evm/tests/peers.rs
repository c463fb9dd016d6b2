//! What other indexers are known to get wrong, each brought about here.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use alloy::primitives::B256;
use fixture::Chain;
use protocol::wire::{
    feed::{FeedEntry, Finality},
    view::FaultKind,
};
use serde_json::{Value, json};
use service::db::{
    Engine,
    testing::{on_both, sqlite},
};

use super::{agrees, told_of};
use crate::testing::{
    Running, config,
    node::{Node, each, refuse},
    verified, with,
};

fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// How often each event was told, in the order of the feed.
fn told_each(feed: &[FeedEntry]) -> BTreeMap<B256, Vec<Finality>> {
    let mut told: BTreeMap<B256, Vec<Finality>> = BTreeMap::new();
    for entry in feed {
        told.entry(entry.event.id).or_default().push(entry.finality);
    }
    told
}

/// rindexer looks at the parent of a new block alone: a tip that is replaced at its own height stays, and the block after
/// it makes it look right.
#[tokio::test]
async fn a_tip_that_is_replaced_at_its_own_height_goes_also_when_a_block_follows_at_once() {
    for db in on_both().await {
        let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
        let node = Node::before(&chain.rpc_url()).await;
        let indexer = Running::behind(&node, &chain, &db).await;
        let terms = chain.terms(1_000, Default::default(), 1).await;
        chain.fund(&terms).await;
        let before = indexer.caught_up(&chain).await;
        // The swap and the block after it happen between two looks.
        node.becomes(None);
        chain.reorg(1).await;
        chain.mine(1).await;
        node.becomes(Some(&chain.rpc_url()));
        let after = indexer.caught_up(&chain).await;
        assert_eq!(after.cursor.number, before.cursor.number + 1);
        assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Seen, Finality::Retracted]);
        agrees(indexer).await;
    }
}

/// rindexer writes rows first and the cursor afterwards: whoever dies between has every row twice.
#[tokio::test]
async fn who_dies_at_any_answer_has_every_row_once() {
    for db in on_both().await {
        let chain = Chain::start().await;
        for salt in 0..12 {
            chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
        }
        chain.mine(4).await;
        let node = Node::before(&chain.rpc_url()).await;
        let answers = Arc::new(AtomicUsize::new(0));
        let counted = answers.clone();
        node.lies(move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let config = with(config(&chain, &db), |chain| {
            chain.rpc_urls = vec![node.url.clone()];
            chain.range_blocks_max = 3;
            chain.requests_max = 2;
        });
        for deaths in (1..15).step_by(2) {
            answers.store(0, Ordering::SeqCst);
            let indexer = Running::start(config.clone()).await;
            while answers.load(Ordering::SeqCst) < deaths * 3 {
                tokio::task::yield_now().await;
            }
            indexer.kill().await;
        }
        let indexer = Running::start(config).await;
        indexer.caught_up(&chain).await;
        indexer.all_final().await;
        let told = told_each(&indexer.feed().await);
        assert_eq!(told.len(), 12);
        for (event, told) in told {
            assert_eq!(told.last(), Some(&Finality::Final), "{event}");
            assert_eq!(
                told.iter().filter(|finality| **finality == Finality::Final).count(),
                1,
                "{event}: {told:?}"
            );
            assert!(
                told.iter().filter(|finality| **finality == Finality::Seen).count() <= 1,
                "{event}: {told:?}"
            );
        }
        agrees(indexer).await;
    }
}

/// go-ethereum#24078, base/node#487: one machine behind the address is late. It knows no new hashes, and its head goes
/// backwards. The requests of one batch may meet different machines.
#[tokio::test]
async fn a_late_machine_behind_the_same_address_hides_nothing() {
    const LATE_BY: u64 = 4;
    let db = sqlite();
    let chain = Chain::start_with(&["--slots-in-an-epoch", "2"]).await;
    let node = Node::before(&chain.rpc_url()).await;
    // What the late machine has seen: the newest heads by number.
    let heads: Mutex<BTreeMap<u64, Value>> = Mutex::default();
    let (turn, hidden) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let counted = hidden.clone();
    node.lies(move |request, answer| {
        let mut heads = heads.lock().unwrap();
        let (method, of) = (request["method"].as_str().unwrap_or_default(), request["params"][0].clone());
        if method == "eth_getBlockByNumber"
            && let Some(at) = number(&answer["result"]["number"])
        {
            heads.insert(at, answer["result"].clone());
        }
        let newest = heads.keys().next_back().copied().unwrap_or_default();
        let late = newest.saturating_sub(LATE_BY);
        // A third of the answers are the late machine's, in no pattern that the indexer's own could fit.
        let mixed = turn.fetch_add(1, Ordering::SeqCst).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        if mixed % 3 != 0 {
            return;
        }
        match method {
            "eth_getBlockByNumber" if of == "latest" => {
                if let Some((_, head)) = heads.range(..=late).next_back() {
                    answer["result"] = head.clone();
                }
            }
            "eth_getBlockByNumber" if number(&of).is_some_and(|at| at > late) => {
                answer["result"] = Value::Null
            }
            "eth_getBlockReceipts" => {
                let known =
                    heads.iter().find(|(_, head)| head["hash"] == of).is_some_and(|(at, _)| *at <= late);
                if !known {
                    counted.fetch_add(1, Ordering::SeqCst);
                    answer["result"] = Value::Null;
                }
            }
            "eth_getLogs" => {
                if let Some(logs) = answer["result"].as_array_mut() {
                    let all = logs.len();
                    logs.retain(|log| number(&log["blockNumber"]).is_some_and(|at| at <= late));
                    counted.fetch_add(all - logs.len(), Ordering::SeqCst);
                }
            }
            _ => {}
        }
    });
    let indexer = Running::behind(&node, &chain, &db).await;
    // Until it has hidden something: which requests meet it is chance.
    let mut deals = 0;
    while deals < 30 || hidden.load(Ordering::SeqCst) == 0 {
        assert!(deals < 1_000, "the late machine hides nothing");
        chain.fund(&chain.terms(1_000, Default::default(), deals).await).await;
        deals += 1;
    }
    chain.mine(10).await;
    indexer.caught_up(&chain).await;
    // Where each request of a batch may meet another machine, only the proof finds what a range left out.
    let height = chain.height().await;
    indexer
        .until("the proof", |s| s.proven.is_some_and(|p| p.number + 10 > height) && s.proven == s.finalized)
        .await;
    indexer.all_final().await;
    let told = told_each(&indexer.feed().await);
    assert_eq!(told.len(), usize::try_from(deals).unwrap());
    assert!(told.values().all(|told| told.last() == Some(&Finality::Final)), "{told:?}");
    node.is_honest();
    agrees(indexer).await;
}

/// go-ethereum#24078: the late machine takes a batch as a whole, and ends its range where it ends itself, without a word. That it
/// does not have the range's last block either gives it away: nothing proves these blocks afterwards.
#[tokio::test]
async fn a_range_that_a_late_machine_cut_is_not_taken_for_whole() {
    const DEALS: u64 = 60;
    const LATE_BY: u64 = 20;
    let db = sqlite();
    let chain = Chain::start_with(&["--slots-in-an-epoch", "2"]).await;
    for salt in 0..DEALS {
        chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
    }
    chain.mine(10).await;
    let late = chain.height().await - LATE_BY;
    let node = Node::before(&chain.rpc_url()).await;
    let (turn, ranges_cut) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let counted = ranges_cut.clone();
    node.lies_of_batches(move |request, answer| {
        let beyond = |log: &Value| number(&log["blockNumber"]).is_some_and(|at| at > late);
        let mut cuts = false;
        each(request, answer, |request, answer| {
            let range = request["method"] == "eth_getLogs" && request["params"][0].get("toBlock").is_some();
            cuts |= range && answer["result"].as_array().is_some_and(|logs| logs.iter().any(beyond));
        });
        if !cuts {
            return;
        }
        // The first of them is the late machine's, and a third of the rest, in no pattern that the indexer's own could fit.
        let mixed = turn.fetch_add(1, Ordering::SeqCst).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        if mixed % 3 != 0 {
            return;
        }
        counted.fetch_add(1, Ordering::SeqCst);
        each(request, answer, |request, answer| {
            if let Some(logs) = answer["result"].as_array_mut() {
                logs.retain(|log| !beyond(log));
            } else if number(&request["params"][0]).is_some_and(|at| at > late) {
                answer["result"] = Value::Null;
            }
        });
    });
    let config = with(config(&chain, &db), |chain| {
        chain.rpc_urls = vec![node.url.clone()];
        chain.range_blocks_max = 7;
        chain.prove = false;
    });
    let indexer = Running::start(config).await;
    indexer.caught_up(&chain).await;
    indexer.all_final().await;
    let told = told_each(&indexer.feed().await);
    assert_eq!(told.len(), usize::try_from(DEALS).unwrap());
    assert!(told.values().all(|told| told.last() == Some(&Finality::Final)), "{told:?}");
    assert!(ranges_cut.load(Ordering::SeqCst) > 0, "no range was cut: the test tells nothing");
    agrees(indexer).await;
}

/// graph-node#4647, subql#1999, lotus#13749: ranges are answered without the logs in them. Ranges cannot be checked as they
/// come; the proof that follows finds what is missing, adds it, and says whose fault it was.
#[tokio::test]
async fn empty_answers_about_final_ranges_are_found_and_repaired() {
    for db in on_both().await {
        let chain = Chain::start().await;
        let mut funded = Vec::new();
        for salt in 0..5 {
            let terms = chain.terms(1_000, Default::default(), salt).await;
            funded.push(chain.fund(&terms).await.0);
            chain.release(&terms, 100).await;
        }
        chain.mine(4).await;
        let node = Node::before(&chain.rpc_url()).await;
        node.lies(|request, answer| {
            if request["method"] == "eth_getLogs" && request["params"][0].get("fromBlock").is_some() {
                answer["result"] = json!([]);
            }
        });
        let indexer = Running::behind(&node, &chain, &db).await;
        indexer.caught_up(&chain).await;
        let status = indexer.until("the proof", |s| s.proven.is_some() && s.proven == s.finalized).await;
        assert_eq!(status.missed, 10, "on {:?}", db.engine);
        assert!(status.providers[0].lies > 0, "{:?}", status.providers);
        indexer.until("the fault", |s| s.alarms == [FaultKind::ProviderLies]).await;
        let feed = indexer.feed().await;
        assert_eq!(told_of(&feed, "Funded"), [Finality::Final].repeat(5));
        assert_eq!(told_of(&feed, "Released"), [Finality::Final].repeat(5));
        for deal in funded {
            let detail: protocol::wire::view::DealDetail = indexer.get(&format!("/v1/deals/{deal}")).await;
            assert!(detail.view.deal.complete && detail.view.deal.released == 100, "{detail:?}");
        }
        // It says the same to who reads it after a restart.
        let indexer = Running::start(indexer.stop().await).await;
        assert_eq!(indexer.until("a look", |s| s.head.is_some()).await.missed, 10);
        assert_eq!(indexer.feed().await, feed);
        let report = verified(&indexer.stop().await).await;
        assert_eq!(report.differences, Vec::<String>::new());
    }
}

/// ponder#1657: a reorganisation deeper than what was final ends the process, and a restart does not help. Here everything
/// stands still until the operator says which chain to take, and then goes on.
#[tokio::test]
async fn a_reorganisation_deeper_than_finality_is_taken_back_when_the_operator_accepts_it() {
    for db in on_both().await {
        let chain = Chain::start().await;
        let node = Node::before(&chain.rpc_url()).await;
        let indexer = Running::behind(&node, &chain, &db).await;
        chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
        chain.mine(5).await;
        indexer.caught_up(&chain).await;
        indexer.all_final().await;
        let before = indexer.feed().await;

        let early = crate::accept(&indexer.config, chain.chain, B256::repeat_byte(1)).await;
        assert!(matches!(early, Err(crate::Error::NothingToAccept { .. })), "{early:?}");

        // The finalized block and two below it are replaced. Nodes would never say so of their own: anvil is asked to.
        node.becomes(None);
        chain.reorg(7).await;
        let other = chain.terms(2_000, Default::default(), 2).await;
        chain.fund(&other).await;
        chain.mine(9).await;
        node.becomes(Some(&chain.rpc_url()));
        let frozen = indexer.until("the alarm", |s| s.alarms.contains(&FaultKind::DeepReorg)).await;
        assert_eq!(indexer.feed().await, before, "nothing is told");
        assert_eq!(indexer.raw("/ready").await.0, 503);

        let block = frozen.faults.iter().find(|fault| fault.kind == FaultKind::DeepReorg).expect("the fault");
        let block: B256 = block.subject.parse().expect("a block");
        // Another block than the chain's changes nothing.
        crate::accept(&indexer.config, chain.chain, B256::repeat_byte(7)).await.expect("it is kept");
        chain.mine(1).await;
        let head = chain.height().await;
        let still = indexer.until("the new head", |s| s.head.is_some_and(|h| h.number == head)).await;
        assert_eq!(still.cursor, frozen.cursor);
        // A block of the chain above it does as well.
        let above = still.head.expect("a head").hash;
        let accepted = if db.engine == Engine::Sqlite { block } else { above };
        crate::accept(&indexer.config, chain.chain, accepted).await.expect("it is kept");
        indexer.until("going on", |s| s.alarms.is_empty() && s.cursor.number == head).await;
        chain.mine(2).await;
        indexer.caught_up(&chain).await;
        indexer.all_final().await;
        let feed = indexer.feed().await;
        let first = before[0].event.id;
        let told: Vec<Finality> = feed.iter().filter(|e| e.event.id == first).map(|e| e.finality).collect();
        assert_eq!(told.last(), Some(&Finality::Retracted), "{told:?}");
        assert_eq!(told.iter().filter(|f| **f == Finality::Final).count(), 1, "{told:?}");
        let (deal, gone) =
            (protocol::evm::deal_id(&other).unwrap(), indexer.raw(&format!("/v1/events/{first}")).await.0);
        assert_eq!((gone, indexer.raw(&format!("/v1/deals/{deal}")).await.0), (200, 200));
        indexer.until("the proof", |s| s.proven.is_some() && s.proven == s.finalized).await;
        let report = verified(&indexer.stop().await).await;
        assert_eq!((report.differences, report.final_retracted), (Vec::new(), 1));
    }
}

/// Ghoststake#58: what left the chain is deleted before what replaces it was read, and a node that pruned it cannot give it
/// back. Here nothing goes before all that replaces it is there.
#[tokio::test]
async fn nothing_is_let_go_before_what_replaces_it_was_read() {
    for db in on_both().await {
        let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
        let node = Node::before(&chain.rpc_url()).await;
        let indexer = Running::behind(&node, &chain, &db).await;
        for salt in 0..3 {
            chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
        }
        let before = indexer.caught_up(&chain).await;
        let feed = indexer.feed().await;
        node.becomes(None);
        chain.reorg(3).await;
        // Its second block has a log of ours, which this node does not have any more.
        let late = chain.terms(1_000, Default::default(), 9).await;
        chain.fund(&late).await;
        chain.mine(1).await;
        node.lies(|request, answer| {
            if ["eth_getBlockReceipts", "eth_getLogs"]
                .contains(&request["method"].as_str().unwrap_or_default())
            {
                refuse(answer, -32000, "history has been pruned");
            }
        });
        node.becomes(Some(&chain.rpc_url()));
        let stuck = indexer
            .until("the trouble", |s| {
                s.trouble.is_some() && s.head.is_some_and(|head| head.number > before.cursor.number)
            })
            .await;
        assert_eq!((stuck.cursor, indexer.feed().await), (before.cursor, feed), "{:?}", db.engine);
        node.is_honest();
        indexer.caught_up(&chain).await;
        let told = told_of(&indexer.feed().await, "Funded");
        assert_eq!(
            told[3..],
            [[Finality::Retracted; 3].as_slice(), &[Finality::Seen]].concat(),
            "{:?}",
            db.engine
        );
        agrees(indexer).await;
    }
}

/// hyperindex#1027: a node that tells one head and then the other sends the indexer into a loop without an end.
#[tokio::test]
async fn a_node_that_flips_between_two_heads_is_followed_and_ends_where_it_ends() {
    const FLIPS: usize = 6;
    let db = sqlite();
    let chain = Chain::start_with(&["--slots-in-an-epoch", "32"]).await;
    chain.mine(2).await;
    let (rpc, at) = (chain.rpc_url(), chain.height().await.to_string());
    // Another branch on the same blocks, with contracts of its own.
    let other =
        Chain::start_with(&["--slots-in-an-epoch", "32", "--fork-url", &rpc, "--fork-block-number", &at])
            .await;
    let node = Node::before(&rpc).await;
    let indexer = Running::behind(&node, &chain, &db).await;
    chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
    indexer.caught_up(&chain).await;
    for _ in 0..FLIPS {
        for branch in [&other, &chain] {
            node.becomes(Some(&branch.rpc_url()));
            indexer.caught_up(branch).await;
        }
    }
    let told = told_each(&indexer.feed().await);
    assert_eq!(told.len(), 1, "one log, however often it came and went: {told:?}");
    let (seen, gone) = ([Finality::Seen], [Finality::Retracted, Finality::Seen].repeat(FLIPS));
    assert_eq!(told.into_values().next().unwrap(), [seen.as_slice(), &gone].concat());
    agrees(indexer).await;
}

/// ponder#1577, ensnode#2312: a restart reads again what it has, or makes its indexes anew for hours.
#[tokio::test]
async fn a_restart_asks_little_and_makes_nothing_anew() {
    for db in on_both().await {
        let chain = Chain::start().await;
        for salt in 0..10 {
            chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
        }
        chain.mine(60).await;
        let node = Node::before(&chain.rpc_url()).await;
        let indexer = Running::behind(&node, &chain, &db).await;
        indexer.caught_up(&chain).await;
        indexer.all_final().await;
        indexer.until("the proof", |s| s.proven.is_some() && s.proven == s.finalized).await;
        let feed = indexer.feed().await;
        let tag = |answer: &reqwest::Response| answer.headers().get("etag").cloned();
        let before = tag(&indexer.http.get(format!("{}/v1/deals", indexer.base)).send().await.unwrap());
        let config = indexer.stop().await;
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let noted = asked.clone();
        node.lies(move |request, _| noted.lock().unwrap().push(request.clone()));
        let indexer = Running::start(config).await;
        indexer.caught_up(&chain).await;
        indexer.until("caught up", |s| s.caught_up).await;
        let asked = asked.lock().unwrap().clone();
        let of_logs = |one: &&Value| {
            ["eth_getLogs", "eth_getBlockReceipts"].contains(&one["method"].as_str().unwrap_or_default())
        };
        assert_eq!(asked.iter().filter(of_logs).count(), 0, "no log is read again: {asked:?}");
        let blocks = asked.iter().filter(|one| one["method"] == "eth_getBlockByNumber");
        let low = blocks.filter_map(|one| number(&one["params"][0])).filter(|at| *at <= chain.start_block);
        assert_eq!(low.count(), 0, "nothing begins anew: {asked:?}");
        let after = tag(&indexer.http.get(format!("{}/v1/deals", indexer.base)).send().await.unwrap());
        assert_eq!((after, indexer.feed().await), (before, feed), "{:?}", db.engine);
        agrees(indexer).await;
    }
}

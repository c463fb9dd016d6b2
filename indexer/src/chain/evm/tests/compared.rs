//! Comparing with the contracts where nodes do not tell what those say.

use fixture::Chain;
use protocol::wire::view::FaultKind;
use service::{
    clock::{Clock as _, SystemClock},
    db::testing::sqlite,
};

use super::agrees;
use crate::testing::{
    Running, config,
    node::{Node, refuse},
    with,
};

#[tokio::test]
async fn a_node_that_refuses_every_call_is_a_fault_until_it_answers() {
    let chain = Chain::start().await;
    let (deal, _) = chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
    chain.mine(4).await;
    // One takes no calls as of a hash, one has no state of the block any more: fewer at once are no help.
    let refusals =
        [(-32602, "invalid argument 1: hex string without 0x prefix"), (-32000, "header not found")];
    for (code, words) in refusals {
        let db = sqlite();
        let node = Node::before(&chain.rpc_url()).await;
        node.lies(move |request, answer| {
            if request["method"] == "eth_call" {
                refuse(answer, code, words);
            }
        });
        let before = SystemClock.now_ms() / 1_000;
        let config = with(config(&chain, &db), |chain| {
            chain.rpc_urls = vec![node.url.clone()];
            chain.reconcile_ms = 1_000;
        });
        let indexer = Running::start(config).await;
        let status = indexer.until("the fault", |s| s.alarms == [FaultKind::NotCompared]).await;
        assert_eq!(status.faults[0].subject, format!("deal/{deal}"), "{words}");
        assert!(status.faults[0].detail.contains(words), "{:?}", status.faults);
        indexer.until("the head", |s| s.caught_up).await;
        assert_eq!(indexer.raw("/ready").await.0, 200, "it stops nothing");
        node.is_honest();
        indexer.until("the agreement", |s| s.alarms.is_empty() && s.reconciled_at.is_some()).await;
        let name = "indexer_reconciled_seconds{chain=\"eip155:31337\"} ";
        let (_, metrics) = indexer.raw("/metrics").await;
        let told = metrics.lines().find_map(|line| line.strip_prefix(name)?.parse::<f64>().ok());
        assert!(told.is_some_and(|told| told >= before as f64), "{metrics}");
        agrees(indexer).await;
    }
}

//! Whose turn it is, and who is believed.

use std::{sync::atomic::Ordering, time::Duration};

use axum::http::StatusCode;
use fixture::Chain;
use protocol::chain::ChainId;

use super::{Caught, Limits, Nodes, RpcError};
use crate::testing::node::Node;

const LIMITS: Limits = Limits { timeout: Duration::from_secs(30), answer_bytes_max: 1 << 20, quorum: None };

/// Nodes that nobody asks: they are known to serve the chain.
fn nodes(count: usize, limits: Limits) -> Nodes {
    let urls: Vec<String> = (0..count).map(|at| format!("http://127.0.0.1:{}", at + 1)).collect();
    let nodes = Nodes::new(&urls, ChainId::Eip155(31_337), limits).unwrap();
    for node in nodes.all() {
        node.right_chain.store(true, Ordering::Relaxed);
    }
    nodes
}

fn turn(nodes: &Nodes) -> Option<usize> {
    nodes.whose_turn(nodes.present.load(Ordering::Relaxed))
}

fn failed() -> RpcError {
    RpcError::Failed { method: "any", reason: "away".to_owned() }
}

#[test]
fn many_failures_at_once_move_on_by_one_node_and_only_from_the_one_that_failed() {
    let nodes = nodes(2, LIMITS);
    for _ in 0..8 {
        nodes.failed(&nodes.nodes[0], "any", &failed());
    }
    assert_eq!(turn(&nodes), Some(1));
    nodes.failed(&nodes.nodes[1], "any", &RpcError::Busy { method: "any", reason: String::new() });
    assert_eq!(turn(&nodes), Some(0));
    nodes.failed(&nodes.nodes[0], "any", &RpcError::Unknown { method: "any", reason: String::new() });
    assert_eq!(turn(&nodes), Some(0), "not to know is no failure");
    nodes.doubt();
    assert_eq!(turn(&nodes), Some(1));
}

#[test]
fn who_told_wrong_logs_is_not_believed_for_its_hashes() {
    let nodes = nodes(3, LIMITS);
    nodes.lied(1, "another hash".to_owned());
    nodes.misled(0, "logs were left out".to_owned());
    assert_eq!(turn(&nodes), Some(2));
    nodes.agrees(0);
    nodes.agrees(1);
    nodes.proved();
    let trusted = |nodes: &Nodes| nodes.all().map(|node| !node.health().distrusted).collect::<Vec<_>>();
    assert_eq!(trusted(&nodes), [false, true, true]);
    // What comes on top of it changes nothing of that.
    nodes.lied(0, "another hash".to_owned());
    nodes.agrees(0);
    assert_eq!(trusted(&nodes), [false, true, true]);
    // Where all lied, one is asked all the same, and may prove itself.
    nodes.misled(1, "logs were left out".to_owned());
    nodes.misled(2, "logs were left out".to_owned());
    let asked = turn(&nodes).unwrap();
    nodes.proved();
    let health = nodes.nodes[asked].health();
    assert!(!health.distrusted && !health.misled, "{health:?}");
    assert_eq!(trusted(&nodes).into_iter().filter(|trusted| *trusted).count(), 1);
}

#[test]
fn who_was_accused_before_a_restart_is_distrusted_until_it_agrees() {
    let nodes = nodes(2, LIMITS);
    let gone = nodes.suspect(vec!["127.0.0.1:1".to_owned(), "gone.example".to_owned()]);
    assert_eq!(gone, ["gone.example"]);
    assert_eq!(turn(&nodes), Some(1));
    assert_eq!(nodes.caught(), None, "it is recorded already");
    nodes.agrees(0);
    assert!(!nodes.nodes[0].health().distrusted);
    let caught = Caught { host: "127.0.0.1:1".to_owned(), lie: None };
    assert_eq!(nodes.caught().as_ref(), Some(&caught));
    assert_eq!(nodes.caught().as_ref(), Some(&caught), "it is not recorded yet");
    nodes.recorded(&caught);
    assert_eq!(nodes.caught(), None);
}

#[tokio::test]
async fn a_refusal_by_http_alone_is_understood() {
    let chain = Chain::start().await;
    let node = Node::before(&chain.rpc_url()).await;
    let nodes = Nodes::new(std::slice::from_ref(&node.url), chain.chain, LIMITS).unwrap();
    let method = "eth_blockNumber";
    for (status, kind) in
        [(413, "too large"), (429, "too often"), (403, "failed"), (401, "failed"), (503, "failed")]
    {
        node.denies(move |request| {
            (request["method"] == method).then(|| StatusCode::from_u16(status).unwrap())
        });
        let reason = format!("HTTP {status}");
        let error = match kind {
            "too large" => RpcError::TooLarge { method, reason, hint: None },
            "too often" => RpcError::Busy { method, reason },
            _ => RpcError::Failed { method, reason },
        };
        assert_eq!(nodes.ask::<_, String>(method, ()).await, Err(error), "{status}");
    }
    node.is_honest();
    nodes.ask::<_, String>(method, ()).await.expect("an answer");
}

/// Rounds 1, 3, 7 and 15 of 20: after n failures in a row it rests 2^n rounds.
const FAILURES: u64 = 4;

#[tokio::test]
async fn who_hangs_is_asked_ever_more_seldom() {
    let nodes = nodes(2, Limits { timeout: Duration::from_millis(1), ..LIMITS });
    for _ in 0..20 {
        let said = nodes
            .poll(|node| async move { if nodes_first(node) { std::future::pending().await } else { Ok(7) } })
            .await;
        assert_eq!(said, Ok(vec![(1, 7)]));
    }
    assert_eq!(nodes.nodes[0].health().failures, FAILURES);
}

fn nodes_first(node: &super::Node) -> bool {
    node.host == "127.0.0.1:1"
}

#[tokio::test]
async fn who_serves_another_chain_is_asked_ever_more_seldom() {
    let (stranger, chain) = (Chain::start_with(&["--chain-id", "77"]).await, Chain::start().await);
    let nodes = Nodes::new(&[stranger.rpc_url(), chain.rpc_url()], chain.chain, LIMITS).unwrap();
    for _ in 0..20 {
        let said = nodes.poll(|_| async { Ok(7) }).await;
        assert_eq!(said, Ok(vec![(1, 7)]));
    }
    assert_eq!(nodes.nodes[0].health().failures, FAILURES);
    assert_eq!(turn(&nodes), Some(1));
}

/// Asks three nodes, each of which tells this.
async fn alike(nodes: &Nodes, told: [Result<Option<u8>, RpcError>; 3]) -> Result<Option<u8>, RpcError> {
    let told = &told;
    nodes.alike("it", |node| async move { told[nodes.position(node)].clone() }).await
}

#[tokio::test]
async fn what_a_quorum_tells_alike_is_believed_and_who_tells_otherwise_lied() {
    let lies = |nodes: &Nodes| nodes.all().map(|node| node.health().lies).collect::<Vec<_>>();
    for (told, agreed, liars) in [
        ([Ok(Some(1)), Ok(Some(1)), Ok(Some(2))], Some(Some(1)), [0, 0, 0]),
        ([Ok(Some(2)), Ok(Some(1)), Ok(Some(1))], Some(Some(1)), [1, 0, 0]),
        ([Ok(Some(1)), Err(failed()), Ok(Some(1))], Some(Some(1)), [0, 0, 0]),
        // Not to have it is no lie, nor is it one where nobody knows who is right.
        ([Ok(None), Ok(Some(1)), Ok(Some(1))], Some(Some(1)), [0, 0, 0]),
        ([Ok(Some(1)), Ok(None), Ok(None)], Some(None), [0, 0, 0]),
        ([Ok(Some(1)), Ok(None), Err(failed())], None, [0, 0, 0]),
        ([Ok(Some(1)), Ok(Some(2)), Ok(Some(3))], None, [0, 0, 0]),
    ] {
        let nodes = nodes(3, LIMITS);
        let said = alike(&nodes, told.clone()).await;
        assert_eq!((said.clone().ok(), lies(&nodes)), (agreed, liars.to_vec()), "{told:?} {said:?}");
    }
    let one = nodes(3, Limits { quorum: Some(1), ..LIMITS });
    assert_eq!(alike(&one, [Ok(Some(1)), Ok(Some(2)), Ok(Some(2))]).await, Ok(Some(1)));
}

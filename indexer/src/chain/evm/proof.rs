//! What a block's header proves of its logs.

use std::time::Duration;

use alloy::{
    consensus::{ReceiptEnvelope, proofs::calculate_receipt_root},
    primitives::{Address, B256, Bloom, BloomInput, U64},
};

use super::{
    model::Header,
    rpc::{RawLog, Receipt, Rpc},
};
use crate::chain::rpc::{Node, RpcError};

/// The longest that the receipts of all nodes are waited for before their logs are asked: who takes long over receipts, some
/// megabytes of a block, may tell logs all the same.
const RECEIPTS_MAX: Duration = Duration::from_secs(1);

/// The logs of the contracts in a block.
#[derive(Debug, Default)]
pub(super) struct Proven {
    pub logs: Vec<RawLog>,
    /// Whether the filter alone speaks for them.
    pub hinted: bool,
}

/// The logs of the contracts in a block, all of them: by its receipts where the node tells them, for they make up the
/// header's receipts root, else by all of its logs, which make up the header's bloom filter bit by bit. The root proves
/// them; the filter only hints at them: it holds neither data nor how often or in what order there was what.
///
/// # Errors
/// What the node tells makes up neither.
pub(super) async fn logs_of(rpc: &Rpc, header: &Header, contracts: &[Address]) -> Result<Proven, RpcError> {
    if !header.may_concern(contracts) {
        return Ok(Proven::default());
    }
    if let Some(receipts) = rpc.receipts(header.hash).await?
        && let Some(logs) = of_receipts(header, receipts, contracts)
    {
        metrics::counter!("indexer_blocks_proven_total", "by" => "receipts").increment(1);
        return Ok(Proven { logs, hinted: false });
    }
    // Receipts of some chains have kinds or fields of their own, whose root is made otherwise: not their fault.
    let logs = by_filter(rpc, rpc.0.node().await?, header, contracts).await?;
    metrics::counter!("indexer_blocks_proven_total", "by" => "bloom").increment(1);
    Ok(Proven { logs, hinted: true })
}

/// The logs of the contracts in a block by all of its logs as one node tells them.
///
/// # Errors
/// They do not make up the header's bloom filter.
pub(super) async fn by_filter(
    rpc: &Rpc,
    node: &Node,
    header: &Header,
    contracts: &[Address],
) -> Result<Vec<RawLog>, RpcError> {
    let all = rpc.logs_by(node, header.hash, &[]).await?;
    if bloom_of(&all) != header.bloom {
        return Err(RpcError::Inconsistent(format!(
            "the logs of block {} do not make up its bloom filter",
            header.hash
        )));
    }
    Ok(all.into_iter().filter(|log| contracts.contains(&log.address)).collect())
}

/// The same where they are told before anything else is read of them: with several nodes by the receipts of whichever tells
/// those of the root, and where none does as a quorum tells them alike.
///
/// # Errors
/// What the node tells makes up neither, or no quorum tells the same.
pub(super) async fn logs_to_tell(
    rpc: &Rpc,
    header: &Header,
    contracts: &[Address],
) -> Result<Vec<RawLog>, RpcError> {
    let proven = logs_of(rpc, header, contracts).await?;
    if !proven.hinted || rpc.0.quorum <= 1 {
        return Ok(proven.logs);
    }
    // All at one time: one that hangs must not be waited for with every block.
    let ask = |node| async move {
        let receipts = tokio::time::timeout(RECEIPTS_MAX, rpc.receipts_of(node, header.hash)).await;
        Ok::<_, RpcError>(receipts.ok().and_then(Result::ok).flatten())
    };
    let told = rpc.0.poll(ask).await?;
    match told.into_iter().find_map(|(_, receipts)| of_receipts(header, receipts?, contracts)) {
        Some(logs) => Ok(logs),
        None => told_alike(rpc, header, contracts).await,
    }
}

/// The logs of the contracts in a block that nothing but its filter speaks for, as a quorum of the nodes tells them. When a log
/// was is left out: the header says it, and older nodes do not.
///
/// # Errors
/// Fewer tell the same.
async fn told_alike(rpc: &Rpc, header: &Header, contracts: &[Address]) -> Result<Vec<RawLog>, RpcError> {
    let ask = |node| async move { Ok(untimed(by_filter(rpc, node, header, contracts).await?)) };
    same_to_a_quorum(rpc, header, rpc.0.poll(ask).await?)
}

/// The same where not even the filter is asked, as the operator wants it.
///
/// # Errors
/// Fewer tell the same.
pub(super) async fn by_quorum(
    rpc: &Rpc,
    header: &Header,
    contracts: &[Address],
) -> Result<Vec<RawLog>, RpcError> {
    let ask = |node| async move { Ok(untimed(rpc.logs_by(node, header.hash, contracts).await?)) };
    same_to_a_quorum(rpc, header, rpc.0.poll(ask).await?)
}

fn untimed(logs: Vec<RawLog>) -> Vec<RawLog> {
    logs.into_iter().map(|log| RawLog { block_timestamp: None, ..log }).collect()
}

fn same_to_a_quorum(
    rpc: &Rpc,
    header: &Header,
    mut said: Vec<(usize, Vec<RawLog>)>,
) -> Result<Vec<RawLog>, RpcError> {
    let quorum = rpc.0.quorum;
    let votes = |one: &[RawLog]| said.iter().filter(|(_, other)| other == one).count();
    match said.iter().position(|(_, one)| votes(one) >= quorum) {
        Some(agreed) => Ok(said.swap_remove(agreed).1),
        None => Err(RpcError::Inconsistent(format!(
            "no {quorum} nodes tell the same logs of block {}",
            header.hash
        ))),
    }
}

/// The logs of the contracts in a block by its receipts, of whichever node tells those that make up the header's root. None
/// where no node does.
pub(super) async fn by_receipts(rpc: &Rpc, header: &Header, contracts: &[Address]) -> Option<Vec<RawLog>> {
    if !header.may_concern(contracts) {
        return Some(Vec::new());
    }
    for node in rpc.0.in_turn() {
        if rpc.0.right(node).await.is_err() {
            continue;
        }
        if let Ok(Some(receipts)) = rpc.receipts_of(node, header.hash).await
            && let Some(logs) = of_receipts(header, receipts, contracts)
        {
            return Some(logs);
        }
    }
    None
}

/// The logs of the contracts in the receipts of a block; none where the receipts are not those of the header.
pub(super) fn of_receipts(
    header: &Header,
    receipts: Vec<Receipt>,
    contracts: &[Address],
) -> Option<Vec<RawLog>> {
    let (mut ours, mut index) = (Vec::new(), 0_u64);
    let mut envelopes: Vec<ReceiptEnvelope<alloy::primitives::Log>> = Vec::with_capacity(receipts.len());
    for receipt in receipts {
        let transaction = receipt.transaction_hash;
        for log in receipt.inner.logs() {
            if contracts.contains(&log.address()) {
                ours.push(RawLog {
                    address: log.address(),
                    topics: log.topics().to_vec(),
                    data: log.data().data.clone(),
                    block_hash: Some(header.hash),
                    block_number: Some(U64::from(header.number)),
                    block_timestamp: Some(U64::from(header.time)),
                    transaction_hash: Some(transaction),
                    // What nodes say of it is not in the root: it is where the log stands.
                    log_index: Some(U64::from(index)),
                    removed: false,
                });
            }
            index = index.saturating_add(1);
        }
        envelopes.push(receipt.inner.map_logs(|log| log.inner));
    }
    (calculate_receipt_root(&envelopes) == header.receipts_root).then_some(ours)
}

/// The bloom filter of a block with these logs.
pub(super) fn bloom_of(logs: &[RawLog]) -> Bloom {
    let mut bloom = Bloom::ZERO;
    for log in logs {
        bloom.accrue(BloomInput::Raw(log.address.as_slice()));
        for topic in &log.topics {
            bloom.accrue(BloomInput::Raw(topic.as_slice()));
        }
    }
    bloom
}

/// What is wrong with blocks that are said to follow one another upon `parent`.
pub(super) fn chained(parent: B256, headers: &[Header]) -> Result<(), RpcError> {
    let mut last = parent;
    for header in headers {
        if header.parent != last {
            return Err(RpcError::Inconsistent(format!(
                "block {} {} does not follow upon {last}",
                header.number, header.hash
            )));
        }
        last = header.hash;
    }
    Ok(())
}

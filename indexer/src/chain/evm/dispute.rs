//! Which of several nodes is right that tell other logs of one range: what the receipts prove of the blocks in which they differ.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    model::Header,
    proof,
    read::{Ranged, Reading, Watch},
    rpc::{Rpc, Sealed},
};
use crate::{chain::quorum, feed::store::Decoded};

/// The most blocks that are looked at for one range.
const BLOCKS_MAX: usize = 16;

/// What is proven of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// In this block its logs are others than those of the receipts.
    Wrong(u64),
    /// In each block in which the answers differ its logs are those of the receipts.
    Right,
    /// Neither.
    Unproven,
}

/// What is proven of answers about one range, in order. Nothing is asked where they are alike.
pub(super) async fn judge(rpc: &Rpc, watch: &Watch, said: &[Ranged]) -> Vec<Verdict> {
    let differ = differ(said);
    let mut verdicts = vec![Verdict::Right; said.len()];
    for (at, block) in differ.iter().enumerate() {
        let truth = if at < BLOCKS_MAX { truth(rpc, watch, *block).await } else { None };
        for (verdict, one) in verdicts.iter_mut().zip(said) {
            *verdict = match (*verdict, &truth) {
                (Verdict::Wrong(block), _) => Verdict::Wrong(block),
                (_, None) => Verdict::Unproven,
                (before, Some(truth)) => match tells(&one.reading, *block, truth) {
                    Some(true) => before,
                    Some(false) => Verdict::Wrong(*block),
                    None => Verdict::Unproven,
                },
            };
        }
    }
    verdicts
}

/// The blocks in which answers differ, ascending.
fn differ(said: &[Ranged]) -> BTreeSet<u64> {
    let mut blocks = BTreeSet::new();
    for (at, one) in said.iter().enumerate() {
        for other in said.iter().skip(at.saturating_add(1)).filter(|other| !one.is(other)) {
            match (&one.reading, &other.reading) {
                (Reading::Events(ours), Reading::Events(theirs)) => {
                    let (ours, theirs) = (by_block(ours), by_block(theirs));
                    let both = ours.keys().chain(theirs.keys());
                    blocks.extend(both.filter(|block| ours.get(block) != theirs.get(block)));
                }
                (Reading::Stuck(stuck), _) | (_, Reading::Stuck(stuck)) => {
                    blocks.insert(stuck.block.number);
                }
            }
        }
    }
    blocks
}

fn by_block(events: &[Decoded]) -> BTreeMap<u64, Vec<&Decoded>> {
    let mut blocks: BTreeMap<u64, Vec<&Decoded>> = BTreeMap::new();
    for decoded in events {
        blocks.entry(decoded.event.block_number).or_default().push(decoded);
    }
    blocks
}

/// What a block holds by its receipts; none where no node tells them, or no quorum its hash.
async fn truth(rpc: &Rpc, watch: &Watch, number: u64) -> Option<Reading> {
    let said = rpc.hashes_at(number, |_| true).await.ok()?;
    let hash = quorum::judge(&said, rpc.0.quorum).agreed?;
    let header = sealed(rpc, number, hash).await?;
    let logs = proof::by_receipts(rpc, &header, &watch.addresses).await?;
    watch.decode(logs, &BTreeMap::from([(number, header)])).ok()
}

/// The header of this hash, by whichever node tells its fields.
async fn sealed(rpc: &Rpc, number: u64, hash: alloy::primitives::B256) -> Option<Header> {
    for node in rpc.0.in_turn() {
        let told = rpc.sealed_of(node, number, number).await.unwrap_or_default();
        if let Some(Sealed(header)) = told.into_iter().find(|Sealed(header)| header.hash == hash) {
            return Some(header);
        }
    }
    None
}

/// Whether an answer tells of a block what is true of it, but for the hashes of transactions, which no receipt holds; none
/// where it does not say.
fn tells(reading: &Reading, block: u64, truth: &Reading) -> Option<bool> {
    match (reading, truth) {
        (Reading::Events(told), Reading::Events(truth)) => {
            let told = told.iter().filter(|decoded| decoded.event.block_number == block);
            let (mut told, mut truth) = (told, truth.iter());
            loop {
                match (told.next(), truth.next()) {
                    (None, None) => return Some(true),
                    (Some(told), Some(truth)) if same(told, truth) => {}
                    _ => return Some(false),
                }
            }
        }
        (Reading::Stuck(told), Reading::Stuck(truth)) => (told.block == truth.block).then_some(true),
        (Reading::Stuck(told), Reading::Events(_)) => (told.block.number == block).then_some(false),
        (Reading::Events(_), Reading::Stuck(_)) => Some(false),
    }
}

fn same(told: &Decoded, truth: &Decoded) -> bool {
    let (ours, theirs) = (&told.event, &truth.event);
    (ours.block_hash, ours.block_time, ours.log_index, ours.contract)
        == (theirs.block_hash, theirs.block_time, theirs.log_index, theirs.contract)
        && (&told.topics, &told.data) == (&truth.topics, &truth.data)
}

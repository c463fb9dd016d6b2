//! What transactions did, and in which block: by one node's word while they are confirmed, by a quorum's before they are told
//! as final.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::PoisonError,
};

use futures::{StreamExt, TryStreamExt, stream};
use protocol::chain::TransactionId;

use super::Following;
use crate::{
    Error,
    chain::{
        follow::Ground,
        rpc::RpcError,
        solana::{
            read::{Told, decode, decoded},
            rpc::Listed,
        },
        step::Undecodable,
        store::{self, Block},
    },
    feed::store::{Decoded, index_of},
};

/// Transactions that nodes are asked for at one time.
const AT_ONCE: usize = 8;
/// The most transactions of which it is kept what a quorum told of them before they are settled: those of the oldest slots.
const AGREED_MAX: usize = 1_024;

impl Following {
    /// Blocks and events of whole slots, up to the first event that cannot be decoded. Up to the slot `sure` a quorum tells
    /// them alike; above it is one node's word. `head` need not be asked for again there.
    pub(super) async fn read(
        &self,
        chunk: &[Listed],
        head: Option<&Block>,
        sure: u64,
    ) -> Result<(Vec<Block>, Vec<Decoded>, Option<Undecodable>), Error> {
        let succeeded: Vec<Listed> = chunk.iter().filter(|listed| !listed.failed).cloned().collect();
        let at_once = AT_ONCE.checked_shr(self.unagreed).unwrap_or_default().max(1);
        let told: Vec<(Listed, Vec<Told>)> = stream::iter(succeeded)
            .map(|listed| async move {
                let told = self.told(&listed, sure).await?;
                Ok::<_, RpcError>((listed, told))
            })
            .buffered(at_once)
            .try_collect()
            .await?;
        let (mut blocks, mut events): (Vec<Block>, Vec<Decoded>) = (Vec::new(), Vec::new());
        let mut ordinal = 0_u32;
        for (listed, told) in told.into_iter().filter(|(_, told)| !told.is_empty()) {
            let block = match blocks.last() {
                Some(block) if block.number == listed.slot => *block,
                _ => {
                    ordinal = 0;
                    let block = self.block(listed.slot, head, sure).await?;
                    blocks.push(block);
                    block
                }
            };
            for told in &told {
                match decoded(self.chain, &block, listed.signature, ordinal, told) {
                    Ok(decoded) if !self.contracts.contains(&decoded.event.contract) => {}
                    Ok(decoded) => events.push(decoded),
                    Err(detail) => {
                        blocks.pop();
                        events.retain(|decoded| decoded.event.block_number != block.number);
                        return Ok((blocks, events, Some(Undecodable { block: block.block(), detail })));
                    }
                }
            }
            ordinal = ordinal.saturating_add(1);
        }
        Ok((blocks, events, None))
    }

    /// What the program told in a transaction; nothing where a quorum says that there is no such in its slot.
    async fn told(&self, listed: &Listed, sure: u64) -> Result<Vec<Told>, RpcError> {
        let signature = listed.signature;
        let (sure, key) = (self.must_be_sure(listed.slot, sure), (listed.slot, signature));
        if sure && let Some(told) = self.agreed_before(&key) {
            return Ok(told);
        }
        let told = if sure {
            self.rpc.agreed_transaction(listed).await?.unwrap_or_default()
        } else {
            let transaction = self.rpc.transaction(signature).await?.ok_or_else(|| missing(&signature))?;
            if transaction.slot != listed.slot {
                return Err(RpcError::Inconsistent(format!(
                    "{signature} is listed in slot {}, and answered in slot {}",
                    listed.slot, transaction.slot
                )));
            }
            transaction.told()?
        };
        if sure {
            let mut agreed = self.agreed.lock().unwrap_or_else(PoisonError::into_inner);
            agreed.insert(key, told.clone());
            if agreed.len() > AGREED_MAX {
                agreed.pop_last();
            }
        }
        Ok(told)
    }

    /// What a quorum told of a transaction in a look that failed for want of something else: so that each look comes further,
    /// whatever nodes refuse for being asked too much.
    fn agreed_before(&self, key: &(u64, TransactionId)) -> Option<Vec<Told>> {
        self.agreed.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// The block of a slot that has one.
    pub(super) async fn block(&self, slot: u64, head: Option<&Block>, sure: u64) -> Result<Block, RpcError> {
        let block = if self.must_be_sure(slot, sure) {
            self.rpc.agreed_block(slot).await?
        } else if let Some(head) = head.filter(|head| head.number == slot) {
            Some(*head)
        } else {
            self.rpc.block(slot).await?
        };
        block
            .ok_or_else(|| RpcError::Inconsistent(format!("the node does not have the block of slot {slot}")))
    }

    fn must_be_sure(&self, slot: u64, sure: u64) -> bool {
        slot <= sure && self.rpc.0.quorum > 1
    }

    /// The block of a final slot or, where that has none, of the last slot of these transactions.
    pub(super) async fn final_block(
        &self,
        slot: u64,
        kept: &BTreeMap<TransactionId, u64>,
    ) -> Result<Option<Block>, RpcError> {
        for slot in [Some(slot), kept.values().copied().max()].into_iter().flatten() {
            let block = if self.rpc.0.quorum > 1 {
                self.rpc.agreed_block(slot).await?
            } else {
                self.rpc.block(slot).await?
            };
            if block.is_some() {
                return Ok(block);
            }
        }
        Ok(None)
    }

    /// Whether the final list holds every transaction whose events are kept, in its slot, and no other with events; and, where
    /// more than one node must say so, whether what is kept in the slots of the range is what these tell of it.
    pub(super) async fn agree(
        &self,
        ground: &Ground,
        kept: &BTreeMap<TransactionId, u64>,
        listed: &VecDeque<Listed>,
        range: (u64, u64),
    ) -> Result<bool, Error> {
        let succeeded = || listed.iter().filter(|listed| !listed.failed);
        let all: BTreeSet<(TransactionId, u64)> = succeeded().map(|one| (one.signature, one.slot)).collect();
        if kept.iter().any(|(signature, slot)| !all.contains(&(*signature, *slot))) {
            return Ok(false);
        }
        if self.rpc.0.quorum > 1 {
            return self.is_borne_out(ground, listed, range).await;
        }
        for (signature, _) in &all {
            if kept.contains_key(signature) {
                continue;
            }
            let transaction = self.rpc.transaction(*signature).await?.ok_or_else(|| missing(signature))?;
            let events = transaction.told()?;
            let concern = events.iter().any(|told| {
                // One that does not decode stood in the way before it came here.
                decode(self.chain, &told.data)
                    .map_or(true, |(contract, _)| self.contracts.contains(&contract))
            });
            if concern {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the events that are kept are those that a quorum tells of the listed transactions and their blocks. The order of
    /// the transactions of one slot is not compared: nodes of different versions list it differently.
    async fn is_borne_out(
        &self,
        ground: &Ground,
        listed: &VecDeque<Listed>,
        (above, to): (u64, u64),
    ) -> Result<bool, Error> {
        let oldest_first: Vec<Listed> = listed.iter().rev().cloned().collect();
        let (_, events, stuck) = self.read(&oldest_first, None, to).await?;
        let kept = {
            let reader = &mut *ground.shared.db.reader().acquire().await?;
            store::kept_between(reader, ground.chain.number, above, to).await?
        };
        let kept: BTreeMap<_, _> = kept
            .into_iter()
            .map(|((slot, place), kept)| {
                let what = (kept.block_hash, kept.block_time, kept.contract, kept.data);
                ((slot, kept.transaction, index_of(place)), what)
            })
            .collect();
        let told: BTreeMap<_, _> = events
            .into_iter()
            .map(|Decoded { event, data, .. }| {
                let what = (event.block_hash, event.block_time, event.contract, data);
                ((event.block_number, event.transaction, event.log_index), what)
            })
            .collect();
        Ok(stuck.is_none() && kept == told)
    }
}

fn missing(signature: &TransactionId) -> RpcError {
    RpcError::Inconsistent(format!("{signature} is listed, but the node does not have it"))
}

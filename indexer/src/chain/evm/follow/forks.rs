//! Blocks of ours that the chain replaced.

use std::time::Duration;

use alloy::primitives::B256;
use protocol::wire::view::FaultKind;

use super::{super::model::Header, Following};
use crate::{
    Error,
    chain::{
        follow::{Ground, Progress},
        rpc::RpcError,
        store::{Position, Settled},
    },
};

/// The most blocks that one reorganisation may replace.
const FORK_DEPTH_MAX: usize = 10_000;
/// The longest that a node may take to lead down to a block of ours, where what is final bounds the way: one that lies need never
/// come there.
const WALK_TIME: Duration = Duration::from_secs(900);

impl Following {
    /// Blocks of ours were replaced: finds the last one that the chain still has, reads what replaces the rest, and only
    /// then lets go of it. `branch` is a block of the chain that does not follow upon ours.
    pub(super) async fn reorganise(
        &mut self,
        ground: &mut Ground,
        position: &Position,
        branch: Header,
        said: Settled,
    ) -> Result<Progress, Error> {
        self.backfill.reset();
        // Below this nothing may be replaced, but what the operator accepts.
        let anchor = position.start_block.saturating_sub(1);
        let finalized = position.settled.finalized.map_or(anchor, |finalized| finalized.number);
        let mut floor = finalized;
        let accepted = self.trust.accepted(ground).await?;
        if let Some(accepted) = accepted
            && self.leads_to(&branch, accepted).await?
        {
            floor = anchor;
        }
        let begun = tokio::time::Instant::now();
        let mut newest_first = vec![branch];
        let mut oldest = branch;
        let fork = loop {
            if accepted == Some(oldest.hash) {
                floor = anchor;
            }
            let below = oldest.number.checked_sub(1);
            let ours = match below {
                Some(number) => ground.block_at(number).await?,
                None => None,
            };
            match ours {
                Some(ours) if ours.hash == oldest.parent && ours.number >= floor => break ours,
                _ if below.is_none_or(|number| number <= floor) || newest_first.len() >= FORK_DEPTH_MAX => {
                    if let Some(ours) = position.settled.finalized
                        && self.has_quorum(ground, ours).await?
                    {
                        return Err(RpcError::Inconsistent(format!(
                            "block {} of a node leads past block {}, which a quorum still has",
                            branch.number, ours.number
                        ))
                        .into());
                    }
                    let detail = format!(
                        "block {} {} of the chain leads past our final block {finalized}",
                        branch.number, branch.hash
                    );
                    tracing::error!(detail, "reorganisation deeper than finality; standing still");
                    ground.raise(FaultKind::DeepReorg, &branch.hash.to_string(), &detail).await?;
                    return Ok(Progress::Idle);
                }
                _ => {}
            }
            oldest = self.rpc.by_hash(oldest.parent).await.map_err(|error| match error {
                RpcError::Unknown { reason, .. } => RpcError::Inconsistent(format!(
                    "a node does not have {}, the parent of its block {}: {reason}",
                    oldest.parent, oldest.number
                )),
                error => error,
            })?;
            if Some(oldest.number) != below || floor > anchor && begun.elapsed() >= WALK_TIME {
                return Err(RpcError::Inconsistent(format!(
                    "block {} of a node leads to none of ours: {} blocks below it is block {}",
                    branch.number,
                    newest_first.len(),
                    oldest.number
                ))
                .into());
            }
            newest_first.push(oldest);
        };
        service::failpoint::pass(&["indexer.fork.found"]);
        let depth = position.tip.number.saturating_sub(fork.number);
        tracing::info!(depth, fork = fork.number, "reorganisation");
        let chain = ground.chain.id.to_string();
        metrics::counter!("indexer_reorgs_total", "chain" => chain.clone()).increment(1);
        metrics::gauge!("indexer_reorg_depth", "chain" => chain).set(depth as f64);
        newest_first.reverse();
        let progress = self.replace(ground, position, Some(fork), newest_first, said).await?;
        self.trust.again(ground).await?;
        Ok(progress)
    }

    /// Whether a block that the operator accepts is above `branch`, on the same chain.
    async fn leads_to(&self, branch: &Header, accepted: B256) -> Result<bool, Error> {
        let mut block = match self.rpc.by_hash(accepted).await {
            Ok(block) => block,
            Err(RpcError::Unknown { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let above = block.number.saturating_sub(branch.number);
        // By height first: the way down is long, and goes only where it leads to the branch.
        if usize::try_from(above).map_or(true, |above| above > FORK_DEPTH_MAX)
            || self.rpc.at(block.number).await?.is_none_or(|at| at.hash != accepted)
        {
            return Ok(false);
        }
        for _ in 0..above {
            block = match self.rpc.by_hash(block.parent).await {
                Ok(block) => block,
                Err(RpcError::Unknown { .. }) => return Ok(false),
                Err(error) => return Err(error.into()),
            };
        }
        Ok(block.hash == branch.hash)
    }
}

//! What a quorum of the nodes says is final, and nodes that are elsewhere.

use alloy::primitives::B256;
use protocol::wire::view::BlockRef;

use super::{super::model::Header, Following};
use crate::{
    Error,
    chain::{
        follow::Ground,
        quorum::{self, Verdict},
        rpc::RpcError,
        store::Settled,
    },
};

impl Following {
    /// What the chain says is settled: its own tags, or so many blocks below the head where it has none. A node that leaves
    /// out the tag once, as one that just started does, makes nothing final. Nor does what a quorum does not agree on.
    pub(super) async fn said(&mut self, ground: &mut Ground, head: &Header) -> Result<Settled, Error> {
        let rpc = &*self.rpc;
        let safe = rpc.tagged("safe").await?;
        let tags = self.trust.tags;
        let depth = head.number.checked_sub(self.finality_depth).filter(|number| *number > 0);
        let said = rpc
            .0
            .poll(|node| async move {
                match (rpc.tagged_of(node, "finalized").await?, depth) {
                    (Some(block), _) => Ok(Some((block, true))),
                    (None, Some(number)) if !tags => {
                        Ok(rpc.at_of(node, number).await?.map(|block| (block, false)))
                    }
                    (None, _) => Ok(None),
                }
            })
            .await?;
        let said: Vec<_> = said.into_iter().filter_map(|(at, said)| said.map(|said| (at, said))).collect();
        // For ever, so not by the word of one.
        if said.iter().filter(|(_, (_, tagged))| *tagged).count() >= rpc.0.quorum {
            self.trust.has_tags(ground).await?;
        }
        // By depth and by tag are two things: where the chain has tags, only they count.
        let said: Vec<(usize, Header)> = said
            .into_iter()
            .filter(|(_, (_, tagged))| *tagged || !self.trust.tags)
            .map(|(at, (block, _))| (at, block))
            .collect();
        let finalized = self.agreed(ground, &said).await?;
        Ok(Settled { safe: safe.map(|h| h.block()), finalized })
    }

    /// The newest block that a quorum of the nodes says is final; `said` is what each of them says, by position.
    async fn agreed(
        &mut self,
        ground: &mut Ground,
        said: &[(usize, Header)],
    ) -> Result<Option<BlockRef>, Error> {
        let quorum = self.rpc.0.quorum;
        let heights: Vec<u64> = said.iter().map(|(_, block)| block.number).collect();
        let Some(number) = quorum::height(&heights, quorum) else {
            // Where one node is enough, it only has none yet.
            if quorum > 1 {
                let words = format!("{} of {quorum} nodes say what is final", said.len());
                self.trust.quorum(ground, Some(words)).await?;
            }
            return Ok(None);
        };
        let mut hashes: Vec<_> =
            said.iter().filter(|(_, b)| b.number == number).map(|(at, b)| (*at, b.hash)).collect();
        if said.iter().any(|(_, block)| block.number > number) {
            let above: Vec<usize> =
                said.iter().filter(|(_, block)| block.number > number).map(|(at, _)| *at).collect();
            hashes.extend(self.rpc.hashes_at(number, |at| above.contains(&at)).await?);
        }
        self.verdict(ground, number, &hashes).await
    }

    /// The block at a height that a quorum agrees on; who differs from it lied.
    async fn verdict(
        &mut self,
        ground: &mut Ground,
        number: u64,
        hashes: &[(usize, B256)],
    ) -> Result<Option<BlockRef>, Error> {
        let quorum = self.rpc.0.quorum;
        let Verdict { agreed, dissent } = quorum::judge(hashes, quorum);
        let Some(hash) = agreed else {
            let words = format!("no {quorum} nodes agree on block {number}");
            self.trust.quorum(ground, Some(words)).await?;
            return Ok(None);
        };
        self.trust.quorum(ground, None).await?;
        for (at, said) in hashes {
            if dissent.contains(at) {
                self.rpc
                    .0
                    .lied(*at, format!("block {number} is {hash} to {quorum} others, and {said} to it"));
            } else {
                self.rpc.0.agrees(*at);
            }
        }
        Ok(Some(BlockRef { number, hash }))
    }

    /// Whether a quorum has this block, which is below what it says is final: the last of a range is told as final at once. Where
    /// one node is enough, it says so of both by one batch: behind its address may be several, one of them on a branch that is left.
    pub(super) async fn has_quorum(&mut self, ground: &mut Ground, block: BlockRef) -> Result<bool, Error> {
        if self.rpc.0.quorum <= 1 {
            let depth = (!self.trust.tags).then_some(self.finality_depth);
            return Ok(self.rpc.has_settled(block, depth).await?);
        }
        let hashes = self.rpc.hashes_at(block.number, |_| true).await?;
        Ok(self.verdict(ground, block.number, &hashes).await? == Some(block))
    }

    /// The present node alone tells the head: one that stands still, below what a quorum says is final, would hold up
    /// everything. Where there is no other to ask it is waited for. Answers the newest block that is known then.
    pub(super) async fn up_to_date(
        &self,
        ground: &Ground,
        head: Header,
        said: Settled,
    ) -> Result<Header, Error> {
        let Some(finalized) = said.finalized.filter(|finalized| finalized.number > head.number) else {
            return Ok(head);
        };
        if self.rpc.0.all().count() <= 1 {
            return Ok(head);
        }
        // The head was read before, and on some chains the newest block is final at once.
        let head = self.rpc.head().await?;
        if head.number >= finalized.number {
            ground.chain.beat(|pulse| pulse.head = Some(head.block()));
            return Ok(head);
        }
        Err(RpcError::Inconsistent(format!(
            "the head is {} to a node, and block {} is final",
            head.number, finalized.number
        ))
        .into())
    }

    /// A node that is where we are, while what is final is another block than ours: both of us are on a branch that is none.
    pub(super) async fn on_the_chain(&self, ground: &Ground, said: Settled) -> Result<(), Error> {
        let Some(finalized) = said.finalized else { return Ok(()) };
        match ground.block_at(finalized.number).await? {
            Some(ours) if ours != finalized => Err(RpcError::Inconsistent(format!(
                "block {} is {} to a node, and final as {}",
                finalized.number, ours.hash, finalized.hash
            ))
            .into()),
            _ => Ok(()),
        }
    }
}

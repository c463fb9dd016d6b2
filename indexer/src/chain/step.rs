//! The one transaction of a step.

use std::collections::BTreeSet;

use protocol::wire::view::{BlockRef, FaultKind};
use service::db::Db;

use super::{
    store::{Block, Settled, block_at, keep_blocks, leave_blocks, move_to, position, promote, prune},
    trust,
};
use crate::{
    Error,
    bulk::ROWS_MAX,
    faults,
    feed::{store::Decoded, teller::Teller},
    states::{
        model::{Subject, subject_of},
        store::{Folding, refold},
    },
};

/// What a watched contract told that is no event of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Undecodable {
    pub block: BlockRef,
    /// What it is and why, in words.
    pub detail: String,
}

/// What one step does.
#[derive(Debug)]
pub(crate) struct Step {
    /// The tip that the step was planned for.
    pub from: BlockRef,
    /// Our blocks above this one left the chain.
    pub fork: Option<BlockRef>,
    /// The operator accepts that what left the chain was final.
    pub accepted: bool,
    /// Headers to keep, ascending; the last is the new tip.
    pub headers: Vec<Block>,
    /// Events that joined the chain, in the chain's order.
    pub events: Vec<Decoded>,
    /// A block below the new tip to keep as well, for what is settled to be told by.
    pub mark: Option<Block>,
    /// The block after that, which cannot be decoded.
    pub stuck: Option<Undecodable>,
    /// What the chain says is settled.
    pub said: Settled,
}

impl Step {
    /// A step that tells what is settled and nothing else.
    pub const fn settling(from: BlockRef, said: Settled) -> Self {
        Self {
            from,
            fork: None,
            accepted: false,
            headers: Vec::new(),
            events: Vec::new(),
            mark: None,
            stuck: None,
            said,
        }
    }
}

/// Does a step of a chain in one transaction; answers the newest entry of the feed. Besides what is in the step, memory
/// holds the rows of [`ROWS_MAX`] events and some thousand states.
pub(crate) async fn commit(db: &Db, chain: i64, step: &Step, now: i64) -> Result<u64, Error> {
    let mut write = db.begin().await?;
    let on = write.on();
    let Some(position) = position(&mut *on, chain).await? else { return Err(Error::Raced) };
    let mut before = position.settled;
    if let Some(fork) = step.fork
        && before.finalized.is_some_and(|finalized| fork.number < finalized.number)
    {
        if !step.accepted {
            return Err(Error::Raced);
        }
        before.finalized = Some(fork);
    }
    if let Some(fork) = step.fork {
        before = before.cut(fork);
    }
    if position.tip != step.from {
        return Err(Error::Raced);
    }
    let mut teller = Teller::begin(&mut *on, chain, now).await?;
    if let Some(fork) = step.fork {
        let subjects = teller.retract_above(&mut *on, fork.number).await?;
        leave_blocks(&mut *on, chain, fork.number).await?;
        refold(&mut *on, chain, &subjects, now).await?;
    }
    let kept: Vec<Block> = step.mark.iter().chain(&step.headers).copied().collect();
    keep_blocks(&mut *on, chain, &kept).await?;

    let tip = step.headers.last().map_or(step.fork.unwrap_or(step.from), Block::block);
    // What is settled beyond a tip that was just read settles the tip; one that was not read now may be off the chain.
    let said = if step.headers.is_empty() { step.said } else { step.said.cut(tip) };
    let mut ours = Vec::new();
    for said in [said.safe, said.finalized].into_iter().flatten() {
        ours.extend(block_at(&mut *on, chain, said.number).await?);
    }
    let settled = promote(before, said, &ours);
    // First what was told before: it is below what joins now, and what becomes final is told in the chain's order.
    teller.settle(&mut *on, &settled).await?;
    let mut folding = Folding::new(chain, now);
    for events in step.events.chunks(ROWS_MAX) {
        let places = teller.places(&mut *on, events, &settled).await?;
        folding.prepare(&mut *on, events.iter().map(|decoded| &decoded.event)).await?;
        let fold = async {
            let numbers = places.iter().map(|place| place.number);
            folding.fold(numbers.zip(events.iter().map(|decoded| &decoded.event)));
        };
        let (joined, ()) = tokio::join!(biased; teller.join(&mut *on, &places, events), fold);
        joined?;
    }
    folding.raise(&mut *on).await?;
    folding.write(&mut *on).await?;
    if let Some(block) = settled.finalized.filter(|_| settled.finalized != position.settled.finalized) {
        prune(&mut *on, chain, block.number, position.start_block).await?;
    }
    move_to(&mut *on, chain, tip, settled, now).await?;
    trust::cut(&mut *on, chain, step.fork.filter(|_| step.accepted)).await?;
    let stuck = step.stuck.as_ref().map(|stuck| (stuck.block.hash.to_string(), stuck.detail.as_str()));
    faults::clear_stops(&mut *on, chain, stuck.as_ref().map(|(block, _)| block.as_str()), now).await?;
    if let Some((block, detail)) = &stuck {
        faults::raise(&mut *on, chain, FaultKind::Quarantine, block, detail, now).await?;
    }
    write.commit().await?;
    count(&step.events);
    Ok(teller.seq)
}

/// Adds events of a block in or below the final one that were missed when it was read, in one transaction: they are told
/// as final now, what they are about is folded anew, and the faults about their absence are cleared. Answers the newest
/// entry of the feed.
///
/// # Errors
/// [`Error::Raced`] where the block is not final here, or under another hash; a unique violation of the database where one
/// of the events is kept already.
pub(crate) async fn amend(
    db: &Db,
    chain: i64,
    block: &Block,
    events: &[Decoded],
    now: i64,
) -> Result<u64, Error> {
    let mut write = db.begin().await?;
    let on = write.on();
    let settled = position(&mut *on, chain).await?.map(|position| position.settled).unwrap_or_default();
    let ours = block_at(&mut *on, chain, block.number).await?;
    let differs = ours.is_some_and(|ours| ours.hash != block.hash);
    if differs || settled.finalized.is_none_or(|finalized| block.number > finalized.number) {
        return Err(Error::Raced);
    }
    let mut teller = Teller::begin(&mut *on, chain, now).await?;
    for events in events.chunks(ROWS_MAX) {
        let places = teller.places(&mut *on, events, &settled).await?;
        teller.join(&mut *on, &places, events).await?;
    }
    let subjects: BTreeSet<_> = events.iter().map(|decoded| subject_of(&decoded.event)).collect();
    let subjects: Vec<_> = subjects.into_iter().filter(|subject| *subject != Subject::None).collect();
    refold(&mut *on, chain, &subjects, now).await?;
    write.commit().await?;
    count(events);
    Ok(teller.seq)
}

fn count(events: &[Decoded]) {
    for decoded in events {
        metrics::counter!("indexer_events_total", "name" => decoded.event.body.name()).increment(1);
    }
}

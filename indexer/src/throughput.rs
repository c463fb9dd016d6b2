//! What the writing half does by itself, for the binary `throughput`: no chain, no node, no HTTP.

use std::time::{Duration, Instant};

use protocol::wire::view::BlockRef;
use service::clock::Clock;

use crate::{
    Error,
    chain::{
        step::{self, Step},
        store::{self, Settled},
    },
    config::Config,
    made,
};

/// Commits as many blocks of ten events as there are, all of them final, `blocks_a_step` at a time, to the first chain of an
/// empty database, and answers how long the commits took.
///
/// # Errors
/// The configuration or the database cannot be used.
pub async fn fill(
    config: &Config,
    clock: &dyn Clock,
    blocks: u64,
    blocks_a_step: u64,
) -> Result<Duration, Error> {
    let (db, chains) = crate::open(config, clock).await?;
    let Some(chain) = chains.values().next() else { return Ok(Duration::ZERO) };
    let Some(escrow) = chain.contracts.first() else { return Ok(Duration::ZERO) };
    store::begin(&db, chain.number, &made::block(0), clock.now_ms()).await?;
    let (mut took, mut from) = (Duration::ZERO, 0);
    let finalized = BlockRef { number: u64::from(u32::MAX), hash: made::block(0).hash };
    while from < blocks {
        let to = from.saturating_add(blocks_a_step).min(blocks);
        let events = made::events(*escrow, from.saturating_add(1)..to.saturating_add(1));
        let said = Settled { safe: None, finalized: Some(finalized) };
        let headers = vec![made::block(to)];
        let step = Step { headers, events, ..Step::settling(made::block(from).block(), said) };
        let began = Instant::now();
        step::commit(&db, chain.number, &step, clock.now_ms()).await?;
        took = took.saturating_add(began.elapsed());
        from = to;
    }
    db.close().await;
    Ok(took)
}

//! Reading what is there, and ending.

use std::{sync::Arc, time::Duration};

use protocol::chain::ChainId;
use service::clock::Clock;
use sqlx::AnyConnection;
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    chain::store::position,
    columns::Columns,
    config::Config,
    feed,
    shared::{Chain, Shared},
};

/// Between two looks at how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How far reading one chain is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainProgress {
    /// The chain.
    pub chain: ChainId,
    /// The first block that is read.
    pub start_block: u64,
    /// Everything up to this block is in the database.
    pub cursor: u64,
    /// The node's newest block, as last seen.
    pub head: Option<u64>,
    /// The newest block that is told as final.
    pub finalized: Option<u64>,
    /// Logs in the database, of every chain and orphaned ones included.
    pub events: u64,
    /// Whether the head was reached.
    pub reached: bool,
    /// The last trouble with the nodes, while it lasts.
    pub trouble: Option<String>,
}

async fn progress(on: &mut AnyConnection, chain: &Chain) -> Result<ChainProgress, Error> {
    let position = position(&mut *on, chain.number).await?;
    // Not a count of the chain's own, which would be read through four times a second.
    let row = sqlx::query("SELECT COALESCE(MAX(number), 0) AS events FROM logs").fetch_one(&mut *on).await?;
    let pulse = chain.pulse();
    Ok(ChainProgress {
        chain: chain.id,
        start_block: chain.config.start_block,
        cursor: position.map_or(0, |position| position.tip.number),
        head: pulse.head.map(|head| head.number),
        finalized: position.and_then(|p| p.settled.finalized).map(|block| block.number),
        events: row.number("events")?,
        reached: pulse.caught_up,
        trouble: pulse.trouble,
    })
}

/// Follows every chain until its head was reached, or until `stop`, serving and delivering nothing, and answers how far each
/// is then. `tell` hears of it four times a second.
///
/// # Errors
/// The configuration or the database cannot be used. Trouble with a chain's nodes ends nothing: it is tried again.
pub async fn backfill(
    config: Config,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    mut tell: impl FnMut(&[ChainProgress]),
) -> Result<Vec<ChainProgress>, Error> {
    let (db, chains) = crate::open(&config, &*clock).await?;
    let told = feed::store::last_seq(&mut *db.reader().acquire().await?).await?;
    let stop = stop.child_token();
    let shared = Shared::new(db.clone(), chains, clock, stop.clone(), told);
    let following = crate::follow_all(&shared);
    let watch = async {
        let reached = loop {
            let mut reader = shared.db.reader().acquire().await?;
            let mut all = Vec::new();
            for chain in shared.chains.values() {
                all.push(progress(&mut reader, chain).await?);
            }
            drop(reader);
            tell(&all);
            if stop.is_cancelled() || all.iter().all(|chain| chain.reached) {
                break all;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        };
        Ok::<_, Error>(reached)
    };
    let watch = async {
        let watched = watch.await;
        stop.cancel();
        watched
    };
    let (_, watched) = tokio::join!(following, watch);
    db.close().await;
    watched
}

//! Reading what is there, and ending.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use protocol::{chain::ChainId, wire::view::Fault};
use service::clock::Clock;
use sqlx::AnyConnection;
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Own,
    chain::store::position,
    columns::Columns,
    config::Config,
    faults, feed,
    shared::{Chain, Shared},
};

/// Between two looks at how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Looks in a row at a chain that stands still before a fault, after which that is the end: another node may do better.
const STOPPED_MAX: u32 = 20;

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
    /// Logs of the chain that were in the database at the beginning, and those that were read since.
    pub events: u64,
    /// Whether the head was reached.
    pub reached: bool,
    /// The last trouble with the nodes, or the fault that the chain stands still before, while it lasts.
    pub trouble: Option<String>,
}

/// The logs of a chain.
async fn logs(on: &mut AnyConnection, chain: i64) -> Result<u64, Error> {
    let count = "SELECT (SELECT COUNT(*) FROM logs WHERE chain = $1 AND canonical = 1) \
         + (SELECT COUNT(*) FROM logs WHERE chain = $1 AND canonical = 0) AS logs";
    sqlx::query(count).bind(chain).fetch_one(on).await?.number("logs")
}

/// The oldest open fault that stops indexing a chain.
async fn stop_of(on: &mut AnyConnection, chain: &Chain) -> Result<Option<Fault>, Error> {
    let open = faults::open(on, chain.number).await?;
    Ok(open.into_iter().find(|fault| fault.kind.stops()))
}

/// How far a chain is; `before` are its logs at the beginning.
async fn progress(on: &mut AnyConnection, chain: &Chain, before: u64) -> Result<ChainProgress, Error> {
    let position = position(&mut *on, chain.number).await?;
    let pulse = chain.pulse();
    let stands_still = pulse.stopped || pulse.disproven;
    let stop = if stands_still { stop_of(on, chain).await? } else { None };
    let stop = stop.map(|fault| format!("{}: {}", fault.kind.name(), fault.detail));
    let below = chain.config.start_block.saturating_sub(1);
    Ok(ChainProgress {
        chain: chain.id,
        start_block: chain.config.start_block,
        cursor: position.map_or(below, |position| position.tip.number.max(below)),
        head: pulse.head.map(|head| head.number),
        finalized: position.and_then(|p| p.settled.finalized).map(|block| block.number),
        events: before.saturating_add(pulse.events),
        reached: pulse.caught_up,
        trouble: stop.or(pulse.trouble),
    })
}

/// Follows every chain until its head was reached, or until `stop`, serving and delivering nothing, and answers how far each
/// is then. `tell` hears of it four times a second.
///
/// # Errors
/// The configuration or the database cannot be used or is lost, or a chain stands still before a fault for some seconds. Trouble with a
/// chain's nodes ends nothing: it is tried again.
pub async fn backfill(
    config: Config,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    mut tell: impl FnMut(&[ChainProgress]),
) -> Result<Vec<ChainProgress>, Error> {
    let Own { db, alone, chains } = Own::open(&config, &*clock).await?;
    feed::store::begin_run(&db).await?;
    let told = feed::store::last_seq(&mut *db.reader().acquire().await?).await?;
    let stop = stop.child_token();
    let shared = Shared::new(db.clone(), chains, clock, stop.clone(), told);
    let mut before = BTreeMap::new();
    {
        let mut reader = shared.db.reader().acquire().await?;
        for chain in shared.chains.values() {
            before.insert(chain.id, logs(&mut reader, chain.number).await?);
        }
    }
    let following = crate::follow_all(&shared);
    let watch = async {
        let mut stopped: BTreeMap<ChainId, u32> = BTreeMap::new();
        let reached = loop {
            let mut reader = shared.db.reader().acquire().await?;
            let mut all = Vec::new();
            for chain in shared.chains.values() {
                let before = before.get(&chain.id).copied().unwrap_or_default();
                all.push(progress(&mut reader, chain, before).await?);
                let looks = stopped.entry(chain.id).or_default();
                let pulse = chain.pulse();
                *looks = if pulse.stopped || pulse.disproven { looks.saturating_add(1) } else { 0 };
                if *looks >= STOPPED_MAX
                    && let Some(Fault { kind, detail, .. }) = stop_of(&mut reader, chain).await?
                {
                    tell(&all);
                    return Err(Error::Stopped { chain: chain.id, kind: kind.name(), detail });
                }
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
    let (_, watched, kept) = tokio::join!(following, watch, crate::until_lost(&db, &stop));
    alone.give_up().await;
    db.close().await;
    kept.and(watched)
}

//! An operator's way out of a reorganisation deeper than finality.

use alloy::primitives::B256;
use protocol::{chain::ChainId, wire::view::FaultKind};
use service::clock::Clock;

use crate::{Error, chain::trust, config::Config, faults};

/// Has the indexer go on where it stands still because what it told as final left the chain: it takes the chain that holds
/// `block`, tells what was final above the fork as retracted, and follows on from there. May be called beside the running
/// indexer, which notices it at its next look at the chain.
///
/// # Errors
/// The database cannot be used, the configuration does not name the chain, or no such reorganisation is open there.
pub async fn accept(config: &Config, chain: ChainId, block: B256, clock: &dyn Clock) -> Result<(), Error> {
    let (db, chains) = crate::open(config, clock).await?;
    let found = chains.get(&chain).map(|chain| chain.number);
    let number = found.ok_or(Error::NothingToAccept { chain })?;
    let mut write = db.begin().await?;
    if !faults::alarms(write.on(), number).await?.contains(&FaultKind::DeepReorg) {
        return Err(Error::NothingToAccept { chain });
    }
    trust::accept(write.on(), number, block).await?;
    write.commit().await?;
    db.close().await;
    Ok(())
}

//! An operator's way out of a reorganisation deeper than finality.

use alloy::primitives::B256;
use protocol::{chain::ChainId, wire::view::FaultKind};

use crate::{
    Error,
    chain::{store::registered, trust},
    config::Config,
    faults,
};

/// Has the indexer go on where it stands still because what it told as final left the chain: it takes the chain that holds
/// `block`, tells what was final above the fork as retracted, and follows on from there. May be called beside the running
/// indexer, which notices it at its next look at the chain; nothing else is written.
///
/// # Errors
/// The database is not there or cannot be used, it or the configuration does not have the chain, or no such reorganisation is
/// open there.
pub async fn accept(config: &Config, chain: ChainId, block: B256) -> Result<(), Error> {
    let db = crate::open_existing(config).await?;
    let configured = config.chains.get(&chain).ok_or(Error::NothingToAccept { chain })?;
    let contracts: Vec<_> = configured.watched(chain).into_iter().collect();
    let number = registered(&db, chain, &contracts, configured.start_block).await?;
    let number = number.ok_or(Error::NothingToAccept { chain })?;
    let mut write = db.begin().await?;
    if !faults::alarms(write.on(), number).await?.contains(&FaultKind::DeepReorg) {
        return Err(Error::NothingToAccept { chain });
    }
    trust::accept(write.on(), number, block).await?;
    write.commit().await?;
    db.close().await;
    Ok(())
}

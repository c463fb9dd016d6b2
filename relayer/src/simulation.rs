//! The relayer one round of a task at a time, for `tests/simulation`.

use std::{sync::Arc, time::Duration};

use service::clock::Clock;
use tokio::sync::mpsc::{Receiver, Sender};

use crate::{config::Config, error::Error, lease::Lease, run::prepare};

/// One of the tasks of a relayer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// From the feed to the hub.
    Bridge,
    /// From the hub's list of intents into the database.
    Intents,
    /// From intents to transactions.
    Transactions,
    /// From the outbox to the hub and the operator.
    Outbox,
}

/// Works under the lease, one round for each task that is asked for, and tells what came of it, until nobody can ask any more.
///
/// # Errors
/// The configuration, the database when it is opened, or the lease: another process has it.
pub async fn play(
    config: Config,
    clock: Arc<dyn Clock>,
    mut asked: Receiver<Task>,
    tell: Sender<Result<(), Error>>,
) -> Result<(), Error> {
    let (crew, status) = prepare(&config, clock).await?;
    let lease = Lease::take(&status.db).await?.ok_or(Error::LeaseLost)?;
    let (mut manager, mut desk) = crew.worker.begin(&lease);
    while let Some(task) = asked.recv().await {
        let result = match task {
            Task::Bridge => crew.bridge.round(&lease).await,
            Task::Intents => crew.fetcher.once(&lease, Duration::ZERO).await,
            Task::Transactions => crew.worker.round(&mut manager, &mut desk).await,
            Task::Outbox => crew.messenger.round(&lease).await,
        };
        if tell.send(result).await.is_err() {
            break;
        }
    }
    drop(desk);
    lease.give_up().await;
    status.db.close().await;
    Ok(())
}

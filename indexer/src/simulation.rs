//! The indexer one step at a time, for `tests/simulation`.

use std::sync::Arc;

use axum::Router;
use service::clock::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{Error, chain::follow::Follower, config::Config, feed, shared::Shared};

/// An indexer that does what it is told to and nothing by itself.
pub struct Engine {
    shared: Shared,
    followers: Vec<Follower>,
}

impl Engine {
    /// As [`crate::run`] begins.
    ///
    /// # Errors
    /// The configuration or the database cannot be used.
    pub async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let (db, chains) = crate::open(config, &*clock).await?;
        feed::store::begin_run(&db).await?;
        let told = feed::store::last_seq(&mut *db.reader().acquire().await?).await?;
        let shared = Shared::new(db, chains, clock, CancellationToken::new(), told);
        let follower = |chain| Follower::new(shared.clone(), chain, Arc::new(Notify::new()));
        let followers = shared.chains.values().cloned().map(follower).collect();
        Ok(Self { shared, followers })
    }

    /// What it answers over HTTP.
    pub fn app(&self) -> Router {
        crate::app(self.shared.clone())
    }

    /// One look at every chain and at most one step of each; whether there is more to do at once.
    ///
    /// # Errors
    /// The first that failed, as the followers would meet it: by trying again.
    pub async fn step(&mut self) -> Result<bool, Error> {
        let mut more = false;
        for follower in &mut self.followers {
            more |= follower.once().await?;
        }
        Ok(more)
    }

    /// Closes the database.
    pub async fn close(self) {
        drop(self.followers);
        self.shared.db.close().await;
    }
}

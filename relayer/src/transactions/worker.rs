//! The task that works on intents.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use service::{clock::Clock, db::Db};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    desk::Desk,
    manager::{Manager, Seen},
    store,
};
use crate::{
    alarm::Alarms,
    error::Error,
    intents::{self, State},
    lease::Lease,
};

/// The task's name in alarms and metrics.
const TASK: &str = "transactions";
/// The alarm of intents that a person has to look at.
const QUARANTINED: &str = "quarantined intents";
/// After how many objections of the node in a row a round is given up.
const OBJECTIONS_MAX: u32 = 3;

/// Works on intents.
pub struct Worker {
    /// Where intents and attempts are.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How this chain's transactions are made and followed.
    pub manager: Manager,
    /// Between rounds.
    pub poll_interval: Duration,
    /// Milliseconds after which the same bytes are sent again.
    pub resend_after_ms: i64,
    /// Where to say what is wrong.
    pub alarms: Arc<Alarms>,
    /// Told when intents arrive.
    pub arrived: Arc<Notify>,
    /// The last look at the chain, for `/status`.
    pub seen: Arc<Mutex<Option<Seen>>>,
}

impl Worker {
    /// Works until `stop`.
    ///
    /// # Errors
    /// Another process took over the signer.
    pub async fn run(&self, lease: &Lease, stop: &CancellationToken) -> Result<(), Error> {
        let (mut manager, mut desk) = self.begin(lease);
        loop {
            let result = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                result = self.round(&mut manager, &mut desk) => result,
            };
            match result {
                Ok(()) => self.alarms.clear(TASK),
                Err(Error::LeaseLost) => return Err(Error::LeaseLost),
                Err(error) => self.alarms.raise(TASK, error.to_string(), self.clock.now_ms()),
            }
            crate::status::alive(TASK, self.clock.now_ms());
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.arrived.notified() => {}
                () = tokio::time::sleep(self.poll_interval) => {}
            }
        }
    }

    /// What rounds under a lease begin with: nothing that was remembered under another one counts.
    pub fn begin<'a>(&'a self, lease: &'a Lease) -> (Manager, Desk<'a>) {
        let desk = Desk::new(
            &self.db,
            lease,
            self.clock.as_ref(),
            &self.alarms,
            self.poll_interval,
            self.resend_after_ms,
        );
        (self.manager.clone(), desk)
    }

    /// Looks at the chain once, and does what is next about every intent that is not over.
    ///
    /// # Errors
    /// The node does not answer; the lease is lost; the database's own.
    pub async fn round(&self, manager: &mut Manager, desk: &mut Desk<'_>) -> Result<(), Error> {
        let seen = manager.look(desk).await?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        let ids = store::open_ids(self.db.reader()).await?;
        desk.keep_only(&ids);
        let mut objections = Objections::default();
        for id in ids {
            if !manager.holds(id) && desk.rests(id) {
                continue;
            }
            let Some(kept) = intents::get(self.db.reader(), id).await? else { continue };
            match manager.pursue(desk, &kept).await {
                Ok(()) => objections.in_a_row = 0,
                Err(error @ (Error::Chain(_) | Error::Sign(_))) => {
                    desk.stay(&kept, error.to_string()).await?;
                    objections.add(error)?;
                }
                Err(error) => return Err(error),
            }
        }
        self.say_quarantined().await?;
        objections.first.map_or(Ok(()), Err)
    }

    async fn say_quarantined(&self) -> Result<(), Error> {
        let standing = store::standing(self.db.reader()).await?;
        match standing.intents.iter().find(|(state, _)| *state == State::Quarantined) {
            Some((_, count)) => {
                let words = format!("{count} intents need a person: GET /v1/intents?state=quarantined");
                self.alarms.raise(QUARANTINED, words, self.clock.now_ms());
            }
            None => self.alarms.clear(QUARANTINED),
        }
        Ok(())
    }
}

/// The objections of a node or a signer to single intents: one does not keep the others from being worked on, several in a row do.
#[derive(Default)]
struct Objections {
    first: Option<Error>,
    in_a_row: u32,
}

impl Objections {
    fn add(&mut self, error: Error) -> Result<(), Error> {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row >= OBJECTIONS_MAX {
            return Err(error);
        }
        self.first.get_or_insert(error);
        Ok(())
    }
}

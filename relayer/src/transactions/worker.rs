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
    manager::{ChainError, Manager, Seen},
    resolve::Resolution,
    store,
};
use crate::{alarm::Alarms, error::Error, intents, lease::Lease};

/// The task's name in alarms and metrics.
const TASK: &str = "transactions";
/// The alarm of intents that a person has to look at.
const QUARANTINED: &str = "quarantined intents";
/// After how many objections of the node in a row a round is given up.
const OBJECTIONS_MAX: u32 = 3;
/// After how many objections in a row to what somebody asked for that has failed.
const ASKED_OBJECTIONS_MAX: u32 = 12;

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
        let open = store::open_ids(self.db.reader()).await?;
        desk.keep_only(&open.iter().map(|(id, _)| *id).collect::<Vec<_>>());
        // What is under way, and steps of cases, in every round; what somebody asked for only as long as there is time.
        let (asked, first): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|(id, asked)| *asked && !manager.holds(*id));
        let mut objections = Objections::default();
        for (id, _) in first {
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
        self.asked(manager, desk, asked.into_iter().map(|(id, _)| id).collect()).await?;
        self.say_quarantined().await?;
        objections.first.map_or(Ok(()), Err)
    }

    /// Looks at what somebody asked for and nothing is signed for yet, in turn, for as long as the time between rounds. What a
    /// node says against it holds up nothing else.
    async fn asked(
        &self,
        manager: &mut Manager,
        desk: &mut Desk<'_>,
        mut ids: Vec<i64>,
    ) -> Result<(), Error> {
        let begun = tokio::time::Instant::now();
        let after = ids.partition_point(|id| *id <= desk.turn());
        ids.rotate_left(after);
        for id in ids {
            if desk.rests(id) {
                continue;
            }
            if begun.elapsed() >= self.poll_interval {
                break;
            }
            desk.took_turn(id);
            let Some(kept) = intents::get(self.db.reader(), id).await? else { continue };
            match manager.pursue(desk, &kept).await {
                Ok(()) => {
                    desk.objected(id, false);
                }
                Err(Error::Chain(error @ ChainError::Objects { .. })) => {
                    let reason = error.to_string();
                    if desk.objected(id, true) >= ASKED_OBJECTIONS_MAX {
                        desk.apply(None, &kept, Resolution::Fail { reason }).await?;
                    } else {
                        desk.stay(&kept, reason).await?;
                    }
                }
                Err(error @ (Error::Chain(_) | Error::Sign(_))) => {
                    desk.stay(&kept, error.to_string()).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn say_quarantined(&self) -> Result<(), Error> {
        match store::quarantined(self.db.reader()).await? {
            0 => self.alarms.clear(QUARANTINED),
            count => {
                let words = format!("{count} intents need a person: GET /v1/intents?state=quarantined");
                self.alarms.raise(QUARANTINED, words, self.clock.now_ms());
            }
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

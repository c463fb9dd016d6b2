//! The task that works on intents.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use service::{clock::Clock, db::Db};
use tokio_util::sync::CancellationToken;

use super::{
    desk::{Desk, Queue},
    manager::{ChainError, Manager, Seen},
    resolve::Resolution,
    store,
};
use crate::{alarm::Alarms, error::Error, intents, lease::Lease};

/// The task's name in alarms and metrics.
const TASK: &str = "transactions";
/// The alarm of intents that a person has to look at.
const QUARANTINED: &str = "quarantined intents";
/// How many intents are worked on at one time.
const AT_ONCE: usize = 16;
/// How many intents a round looks at for which there is no room.
const WITHOUT_ROOM: usize = 4;
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
    /// Between the beginnings of rounds.
    pub poll_interval: Duration,
    /// Milliseconds after which the same bytes are sent again.
    pub resend_after_ms: i64,
    /// Where to say what is wrong.
    pub alarms: Arc<Alarms>,
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
            let next = tokio::time::Instant::now().checked_add(self.poll_interval);
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
                () = tokio::time::sleep_until(next.unwrap_or_else(tokio::time::Instant::now)) => {}
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
        let (under_way, waiting): (Vec<_>, Vec<_>) = open.into_iter().partition(|(id, _)| manager.holds(*id));
        let (asked, steps): (Vec<_>, Vec<_>) =
            waiting.into_iter().filter(|(id, _)| !desk.rests(*id)).partition(|(_, asked)| *asked);
        let ids = |of: Vec<(i64, bool)>| of.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        let mut objections = Objections::default();
        for some in ids(under_way).chunks(AT_ONCE) {
            self.work_on(manager, desk, some, &mut objections).await?;
        }
        self.steps(manager, desk, ids(steps), &mut objections).await?;
        self.asked(manager, desk, ids(asked)).await?;
        self.say_quarantined().await?;
        objections.first.map_or(Ok(()), Err)
    }

    /// Works on some intents; what a node or a signer says against one is noted with it.
    async fn work_on(
        &self,
        manager: &mut Manager,
        desk: &mut Desk<'_>,
        ids: &[i64],
        objections: &mut Objections,
    ) -> Result<(), Error> {
        let all = intents::get_all(self.db.reader(), ids).await?;
        let results = manager.pursue(desk, &all).await?;
        for (kept, result) in all.iter().zip(results) {
            match result {
                Ok(()) => objections.in_a_row = 0,
                Err(error) => {
                    desk.stay(kept, error.to_string()).await?;
                    objections.add(error)?;
                }
            }
        }
        Ok(())
    }

    /// Looks at steps of cases that nothing is signed for yet, the oldest first, as many as there is room for. Of the others a
    /// few, in turn: another may have done them, or their deadline have passed.
    async fn steps(
        &self,
        manager: &mut Manager,
        desk: &mut Desk<'_>,
        mut ids: Vec<i64>,
        objections: &mut Objections,
    ) -> Result<(), Error> {
        while !ids.is_empty() {
            let room = manager.room(desk, false).min(AT_ONCE).min(ids.len());
            if room == 0 {
                break;
            }
            let some: Vec<i64> = ids.drain(..room).collect();
            self.work_on(manager, desk, &some, objections).await?;
        }
        desk.in_turn(Queue::WithoutRoom, &mut ids);
        ids.truncate(WITHOUT_ROOM);
        if let Some(last) = ids.last() {
            desk.took_turn(Queue::WithoutRoom, *last);
            self.work_on(manager, desk, &ids, objections).await?;
        }
        Ok(())
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
        desk.in_turn(Queue::Asked, &mut ids);
        let mut without_room = 0_usize;
        for id in ids {
            if begun.elapsed() >= self.poll_interval {
                break;
            }
            if manager.room(desk, true) == 0 {
                without_room = without_room.saturating_add(1);
            }
            if without_room > WITHOUT_ROOM {
                break;
            }
            desk.took_turn(Queue::Asked, id);
            let all = intents::get_all(self.db.reader(), &[id]).await?;
            let results = manager.pursue(desk, &all).await?;
            let (Some(kept), Some(result)) = (all.first(), results.into_iter().next()) else { continue };
            match result {
                Ok(()) => {
                    desk.objected(id, false);
                }
                Err(Error::Chain(error @ ChainError::Objects { .. })) => {
                    let reason = error.to_string();
                    if desk.objected(id, true) >= ASKED_OBJECTIONS_MAX {
                        desk.apply(None, kept, Resolution::Fail { reason }).await?;
                    } else {
                        desk.stay(kept, reason).await?;
                    }
                }
                Err(error) => desk.stay(kept, error.to_string()).await?,
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

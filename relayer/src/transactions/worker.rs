//! The task that works on intents.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use service::{clock::Clock, db::Db};
use tokio_util::sync::CancellationToken;

use super::{
    desk::{Desk, TAKEN_BACK},
    manager::{ChainError, Manager, Seen},
    resolve::Resolution,
    store::{self, Beyond, Open},
};
use crate::{
    alarm::Alarms,
    error::Error,
    intents::{self, Kept, State},
    lease::Lease,
};

/// The task's name in alarms and metrics.
pub const TASK: &str = "transactions";
/// The alarm of intents that a person has to look at.
const QUARANTINED: &str = "quarantined intents";
/// The notice of more intents that wait than a round takes note of, and the alarm where some of them are not looked at for that.
const WAITING: &str = "waiting intents";
/// The notice that what was final is in doubt, and the alarm where it stays so.
const DOUBT: &str = "doubt";
/// For how long a notice of a doubt is enough, in milliseconds. It ends with the third new head: where none comes for so long
/// the chain stands still, or the only node.
const DOUBT_MAX_MS: i64 = 300_000;
/// The notice of nodes that serve another chain, or do not say which.
const NODES: &str = "nodes";
/// How many intents are worked on at one time.
const AT_ONCE: usize = 16;
/// How many intents of each kind a round looks at that cannot be signed for: for want of room, or of quota.
const HELD_UP: usize = 4;
/// The most intents that wait of which a round takes note, of steps of cases and of what somebody asked for each.
pub(super) const WAITING_MAX: usize = 10_000;
/// Why a time-out waits that another account asked for as well.
const SAME: &str = "the same time-out is on its way, asked for by another account";
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
    /// How many accounts are out of line, by the quota that each is over, for `/status`.
    pub over_quota: Arc<Mutex<BTreeMap<&'static str, u64>>>,
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
        manager.strangers().tell(desk.now_ms());
        let seen = manager.look(desk).await;
        self.say_strangers(manager);
        let seen = seen?;
        self.say_doubt(desk);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        let mut open = store::open(self.db.reader(), WAITING_MAX).await?;
        desk.keep_only(open.ids());
        desk.keep_accounts(&open.asked);
        self.say_waiting(&open);
        open.steps.retain(|id| !desk.rests(*id));
        open.asked.retain(|(_, id)| !desk.rests(*id));
        let mut objections = Objections::default();
        let under_way: Vec<i64> = open.under_way.iter().map(|(id, _)| *id).collect();
        for some in under_way.chunks(AT_ONCE) {
            self.work_on(manager, desk, some, &mut objections).await?;
        }
        self.steps(manager, desk, open.steps, &mut objections).await?;
        self.asked(manager, desk, open.asked).await?;
        self.say_quarantined().await?;
        objections.first.map_or(Ok(()), Err)
    }

    /// Takes back what only rounds say beside alarms and notices: who stands by has none.
    pub fn falls_silent(&self) {
        self.over_quota.lock().unwrap_or_else(PoisonError::into_inner).clear();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A doubt ends by itself while blocks come: it was one node's error, or it is believed, and everything opened again.
    fn say_doubt(&self, desk: &Desk<'_>) {
        if !desk.in_doubt() {
            self.alarms.forget(DOUBT);
            self.alarms.clear(DOUBT);
            return;
        }
        let now_ms = self.clock.now_ms();
        self.alarms.notice(DOUBT, TAKEN_BACK, now_ms);
        let since_ms = self.alarms.notices().get(DOUBT).map_or(now_ms, |notice| notice.since_ms);
        if now_ms.saturating_sub(since_ms) >= DOUBT_MAX_MS {
            let words = format!(
                "{TAKEN_BACK}, and no new blocks tell: nothing is over, and nothing is signed in somebody's name"
            );
            self.alarms.raise(DOUBT, words, now_ms);
        }
    }

    /// A node of another chain is a mistake of the configuration, or of whoever has that address now.
    fn say_strangers(&self, manager: &Manager) {
        let words = manager.strangers().words();
        if words.is_empty() {
            self.alarms.forget(NODES);
        } else {
            self.alarms.notice(NODES, words.join("; "), self.clock.now_ms());
        }
    }

    /// More than are taken note of is nothing that goes on by itself: somebody floods, or nothing is done.
    fn say_waiting(&self, open: &Open) {
        let now_ms = self.clock.now_ms();
        match open.beyond {
            Beyond::Nothing => {
                self.alarms.clear(WAITING);
                self.alarms.forget(WAITING);
            }
            Beyond::InTurn => {
                self.alarms.clear(WAITING);
                let words =
                    format!("more than {WAITING_MAX} intents wait: the oldest of each account are looked at");
                self.alarms.notice(WAITING, words, now_ms);
            }
            Beyond::Unseen => {
                self.alarms.forget(WAITING);
                let words = format!(
                    "more than {WAITING_MAX} steps of cases or accounts wait: the others are not looked at"
                );
                self.alarms.raise(WAITING, words, now_ms);
            }
        }
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
        let results = manager.pursue(desk, &all, None).await?;
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
        desk.in_turn(&mut ids, HELD_UP);
        if ids.is_empty() { Ok(()) } else { self.work_on(manager, desk, &ids, objections).await }
    }

    /// Looks at what somebody asked for and nothing is signed for yet, the accounts in turn, for as long as the time between
    /// rounds. An account that is over a quota is out of line until that may have room for it; of these a few are looked at.
    async fn asked(
        &self,
        manager: &mut Manager,
        desk: &mut Desk<'_>,
        waiting: Vec<(String, i64)>,
    ) -> Result<(), Error> {
        let (begun, now_ms) = (tokio::time::Instant::now(), desk.now_ms());
        let in_line = waiting.iter().filter(|(account, _)| !desk.holds.rests(account, now_ms));
        let mut line = desk.turns.line(in_line.cloned().collect());
        let mut held_up = 0_usize;
        desk.totals = None;
        while let Some((account, id)) = line.next() {
            if begun.elapsed() >= self.poll_interval {
                break;
            }
            let all = intents::get_all(self.db.reader(), &[id]).await?;
            let Some(kept) = all.first() else { continue };
            let over = manager.over_quota(desk, kept).await?;
            if let Some(over) = over.filter(|over| !over.concerns_all()) {
                line.leave(&account);
                desk.turns.passed(&account);
                desk.hold(kept, over, false);
                desk.held_up(kept, over.to_string()).await?;
                // It is the next of its account that is looked at.
                desk.soon(kept);
                continue;
            }
            if over.is_some() || manager.room(desk, true) == 0 {
                held_up = held_up.saturating_add(1);
                // What is in everybody's way is in the way of the next one too.
                if held_up > HELD_UP {
                    break;
                }
            }
            desk.all_held = over.is_some();
            desk.holds.release(&account);
            desk.turns.took(&account, id);
            let why = match &over {
                Some(over) => Some(over.to_string()),
                None => intents::same_under_way(self.db.reader(), kept).await?.then(|| SAME.to_owned()),
            };
            self.work_on_asked(manager, desk, kept, why.as_deref()).await?;
            desk.totals = None;
            if over.is_some() || desk.holds.has(&account) {
                line.leave(&account);
            }
        }
        self.out_of_line(manager, desk, waiting).await?;
        *self.over_quota.lock().unwrap_or_else(PoisonError::into_inner) = desk.holds.by_quota();
        Ok(())
    }

    /// Looks at what waits of some accounts that are out of line, in turn: another may have done it, or its deadline have passed.
    async fn out_of_line(
        &self,
        manager: &mut Manager,
        desk: &mut Desk<'_>,
        mut waiting: Vec<(String, i64)>,
    ) -> Result<(), Error> {
        waiting.retain(|(account, _)| desk.holds.has(account));
        let firsts = desk.turns.line(waiting).firsts();
        for (account, id, over) in desk.holds.next(firsts, HELD_UP) {
            desk.turns.looked(&account, id);
            let all = intents::get_all(self.db.reader(), &[id]).await?;
            // It may have been signed for, or be over, since the round began.
            let waits = |kept: &&Kept| matches!(kept.state, State::Waiting | State::Quarantined);
            let Some(kept) = all.first().filter(waits) else { continue };
            self.work_on_asked(manager, desk, kept, Some(&over.to_string())).await?;
        }
        Ok(())
    }

    /// Works on what somebody asked for; what a node says against it holds up nothing else. `why` as of the manager's.
    async fn work_on_asked(
        &self,
        manager: &mut Manager,
        desk: &mut Desk<'_>,
        kept: &Kept,
        why: Option<&str>,
    ) -> Result<(), Error> {
        let results = manager.pursue(desk, std::slice::from_ref(kept), why).await?;
        match results.into_iter().next() {
            None | Some(Ok(())) => Ok(()),
            Some(Err(Error::Chain(error @ ChainError::Objects { .. }))) => {
                let reason = error.to_string();
                if desk.objected(kept.id) >= ASKED_OBJECTIONS_MAX {
                    desk.apply(None, kept, Resolution::Fail { reason }).await
                } else {
                    desk.stay(kept, reason).await
                }
            }
            Some(Err(error)) => desk.stay(kept, error.to_string()).await,
        }
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

//! What every manager works with: the database under the lease, the time, and where to say what. What is decided about an
//! intent is written here.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use protocol::{chain::TransactionId, wire::intent::IntentProgress};
use service::{
    clock::Clock,
    db::{Db, Write},
};

use super::{holds::Holds, model::Step, resolve::Resolution, rest::Rest, store, turns::Turns};
use crate::{
    alarm::Alarms,
    error::Error,
    intents::{Kept, State},
    lease::Lease,
    outbox::{self, Item},
    page::Page,
    quota::{Over, Totals},
};

/// What is said while what was final is in doubt.
pub const TAKEN_BACK: &str = "the chain seems to have taken back what was final";
/// The longest an intent that waits is not looked at.
const LOOK_EVERY_MAX_MS: i64 = 15_000;

/// The desk of one task that works on intents. What it remembers from round to round is only when to look and to send
/// again; after a restart everything is looked at and sent again.
pub struct Desk<'a> {
    /// Where intents and attempts are.
    pub db: &'a Db,
    /// The right to write for the signer.
    pub lease: &'a Lease,
    /// Where to say what is wrong.
    pub alarms: &'a Alarms,
    /// Whose turn it is of those that somebody asked for.
    pub turns: Turns,
    /// Whose turn it is not, for they are over a quota.
    pub holds: Holds,
    /// Whether a quota of all accounts together stood in the way of everything that somebody asked for, when something of it was
    /// last to be signed for.
    pub all_held: bool,
    /// What all accounts together have used, until somebody may have been charged.
    pub totals: Option<Totals>,
    clock: &'a dyn Clock,
    poll_ms: i64,
    resend_after_ms: i64,
    rests: HashMap<i64, Rest>,
    sent_ms: HashMap<TransactionId, i64>,
    final_block: Option<(u64, String)>,
    in_doubt: bool,
    without_room: i64,
    objections: HashMap<i64, u32>,
}

impl<'a> Desk<'a> {
    /// A desk at which nothing has happened yet.
    pub fn new(
        db: &'a Db,
        lease: &'a Lease,
        clock: &'a dyn Clock,
        alarms: &'a Alarms,
        poll_interval: Duration,
        resend_after_ms: i64,
    ) -> Self {
        let poll_ms = i64::try_from(poll_interval.as_millis()).unwrap_or(LOOK_EVERY_MAX_MS);
        let (rests, sent_ms) = (HashMap::new(), HashMap::new());
        Self {
            db,
            lease,
            alarms,
            clock,
            poll_ms,
            resend_after_ms,
            rests,
            sent_ms,
            final_block: None,
            in_doubt: false,
            without_room: 0,
            turns: Turns::default(),
            holds: Holds::default(),
            all_held: false,
            totals: None,
            objections: HashMap::new(),
        }
    }

    /// Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Whether it is too early to look at an intent that waits.
    pub fn rests(&self, id: i64) -> bool {
        self.rests.get(&id).is_some_and(|rest| rest.lasts(self.now_ms()))
    }

    /// Forgets the intents that are not open any more.
    pub fn keep_only(&mut self, open: impl Iterator<Item = i64>) {
        let open: HashSet<i64> = open.collect();
        self.rests.retain(|id, _| open.contains(id));
        self.objections.retain(|id, _| open.contains(id));
    }

    /// Forgets the accounts of which nothing waits any more; `asked` is what waits.
    pub fn keep_accounts(&mut self, asked: &[(String, i64)]) {
        let waits: HashSet<&str> = asked.iter().map(|(account, _)| account.as_str()).collect();
        self.turns.keep_only(|account| waits.contains(account));
        self.holds.keep_only(|account| waits.contains(account));
    }

    /// Takes the account of an intent out of line, which is over a quota that is in nobody else's way. `priced` as of
    /// [`Holds::put`].
    pub fn hold(&mut self, kept: &Kept, over: Over, priced: bool) {
        let Some(account) = kept.intent.asked_by.as_deref().filter(|_| !over.concerns_all()) else { return };
        let now_ms = self.now_ms();
        let until_ms = now_ms.saturating_add(self.pause_ms(kept));
        self.holds.put(account, over, priced, (now_ms, until_ms));
    }

    /// Takes of the steps of cases for which no signer has room (ascending) the next few, in turn.
    pub fn in_turn(&mut self, ids: &mut Vec<i64>, few: usize) {
        let after = ids.partition_point(|id| *id <= self.without_room);
        ids.rotate_left(after);
        ids.truncate(few);
        self.without_room = ids.last().copied().unwrap_or(self.without_room);
    }

    /// Notes that an intent was tried, and that no node objected.
    pub fn tried(&mut self, id: i64) {
        self.objections.remove(&id);
    }

    /// Notes that a node objected to an intent; how often in a row it has.
    pub fn objected(&mut self, id: i64) -> u32 {
        let times = self.objections.entry(id).or_default();
        *times = times.saturating_add(1);
        *times
    }

    /// Forgets the transactions that are over.
    pub fn keep_sent(&mut self, open: impl Fn(&TransactionId) -> bool) {
        self.sent_ms.retain(|transaction, _| open(transaction));
    }

    /// Looks at an intent that waits the less often the longer it has waited.
    pub fn later(&mut self, kept: &Kept) {
        self.rests.insert(kept.id, Rest::of(self.now_ms(), self.pause_ms(kept)));
    }

    fn pause_ms(&self, kept: &Kept) -> i64 {
        let waited_ms = self.now_ms().saturating_sub(kept.received_ms);
        (waited_ms / 16).clamp(0, LOOK_EVERY_MAX_MS).max(self.poll_ms)
    }

    /// Looks at an intent in every round.
    pub fn soon(&mut self, kept: &Kept) {
        self.rests.remove(&kept.id);
    }

    /// Whether a transaction was not sent lately.
    pub fn is_due(&self, transaction: &TransactionId) -> bool {
        let sent = self.sent_ms.get(transaction);
        sent.is_none_or(|sent| !Rest::of(*sent, self.resend_after_ms).lasts(self.now_ms()))
    }

    /// Notes that a transaction was sent.
    pub fn sent(&mut self, transaction: TransactionId) {
        self.sent_ms.insert(transaction, self.now_ms());
    }

    /// As of which final block what is over from now on is over: number and hash.
    pub fn settles_at(&mut self, number: u64, hash: String) {
        self.final_block = Some((number, hash));
    }

    /// Whether the chain seems to have taken back what was final: until that is known nothing is over. Else what is over as of
    /// the chain that may be the right one would hide what was over as of the one before.
    pub const fn doubts(&mut self, in_doubt: bool) {
        self.in_doubt = in_doubt;
    }

    /// Whether what was final is in doubt.
    pub const fn in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Begins a transaction in which this process provably holds the lease.
    ///
    /// # Errors
    /// Another process holds it, or the database's own; so with everything here that writes.
    pub async fn begin(&self) -> Result<Write, Error> {
        self.lease.begin().await
    }

    /// Leaves an intent where it is and says why.
    ///
    /// # Errors
    /// As [`Desk::begin`].
    pub async fn stay(&mut self, kept: &Kept, reason: String) -> Result<(), Error> {
        self.apply(None, kept, Resolution::Wait { reason, refused_at_block: None }).await
    }

    /// Leaves an intent where it is that cannot be tried at the moment. By which block it was refused before is remembered
    /// until it is tried again.
    ///
    /// # Errors
    /// As [`Desk::begin`].
    pub async fn held_up(&mut self, kept: &Kept, reason: String) -> Result<(), Error> {
        if kept.refused_at_block.is_none() {
            return self.stay(kept, reason).await;
        }
        self.later(kept);
        Ok(())
    }

    /// Writes what was decided, in the transaction in which the attempts were settled, where there was any.
    ///
    /// # Errors
    /// As [`Desk::begin`].
    pub async fn apply(
        &mut self,
        write: Option<Write>,
        kept: &Kept,
        resolution: Resolution,
    ) -> Result<(), Error> {
        let key = &kept.intent.key;
        // Nor is a transaction over: what is signed anew as of the one chain would be a second one on the other.
        let ends = matches!(
            resolution,
            Resolution::Finish { .. } | Resolution::Fail { .. } | Resolution::Release { .. }
        );
        if self.in_doubt && ends {
            return Ok(());
        }
        match resolution {
            Resolution::Wait { reason, refused_at_block } => {
                self.later(kept);
                self.note(kept, reason, refused_at_block).await
            }
            Resolution::Mine { transaction } => {
                let reason = format!("transaction {transaction} is in a block that is not final yet");
                if kept.state == State::Mined && kept.reason == reason {
                    return Ok(());
                }
                self.step(write, kept, Step::Mine, &reason, None).await
            }
            Resolution::Unmine => {
                self.step(write, kept, Step::Unmine, "its block left the chain", None).await
            }
            Resolution::Release { reason } => {
                tracing::warn!(key, reason, "its transactions are over without the effect");
                self.soon(kept);
                self.step(write, kept, Step::Release, &reason, None).await
            }
            Resolution::Finish { transaction } => {
                let said = Some(IntentProgress::Done { transaction });
                self.end(write, kept, Step::Finish, "", transaction, said).await?;
                tracing::info!(key, ?transaction, "done");
                Ok(())
            }
            Resolution::Fail { reason } => {
                let said = Some(IntentProgress::Failed { reason: reason.clone() });
                self.end(write, kept, Step::Fail, &reason, None, said).await?;
                tracing::error!(key, reason, "failed");
                Ok(())
            }
            Resolution::Quarantine { reason } => {
                self.later(kept);
                self.end(write, kept, Step::Quarantine, &reason, None, None).await?;
                tracing::error!(key, reason, "a person has to look");
                Ok(())
            }
            Resolution::Sign | Resolution::Resend => Ok(()),
        }
    }

    async fn step(
        &self,
        write: Option<Write>,
        kept: &Kept,
        step: Step,
        reason: &str,
        done_by: Option<TransactionId>,
    ) -> Result<(), Error> {
        self.end(write, kept, step, reason, done_by, None).await
    }

    /// Moves an intent, and says so to whom it concerns, in one transaction.
    async fn end(
        &self,
        write: Option<Write>,
        kept: &Kept,
        step: Step,
        reason: &str,
        done_by: Option<TransactionId>,
        said: Option<IntentProgress>,
    ) -> Result<(), Error> {
        let mut write = match write {
            Some(write) => write,
            None => self.begin().await?,
        };
        let now_ms = self.now_ms();
        let state = store::step(&mut write, kept, step, reason, done_by, now_ms).await?;
        if let (true, Some((number, hash))) = (state.is_over(), &self.final_block) {
            store::settle(&mut write, kept.id, *number, hash).await?;
        }
        if let Some(progress) = said {
            outbox::say(&mut write, &kept.intent.key, progress, now_ms).await?;
        }
        if step == Step::Quarantine {
            let page = Page::quarantined(&kept.intent, reason);
            outbox::put(&mut write, &Item::Operator(page), now_ms).await?;
        }
        Ok(write.commit().await?)
    }

    async fn note(&self, kept: &Kept, reason: String, refused_at_block: Option<u64>) -> Result<(), Error> {
        if kept.reason == reason && kept.refused_at_block == refused_at_block {
            return Ok(());
        }
        let now_ms = self.now_ms();
        let mut write = self.begin().await?;
        store::note(&mut write, kept.id, &reason, refused_at_block, now_ms).await?;
        let waits = matches!(kept.state, State::Waiting | State::Quarantined);
        if waits && kept.intent.asked_by.is_some() && kept.reason != reason {
            // Who asked wants to know what it waits for.
            outbox::say(&mut write, &kept.intent.key, IntentProgress::Waiting { reason }, now_ms).await?;
        }
        Ok(write.commit().await?)
    }
}

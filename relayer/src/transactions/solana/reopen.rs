//! What is done when a cluster takes back what was final. No cluster should, and each that began anew from an older state did:
//! for a while after a transaction was final it is looked at whether it still is there.

use std::collections::HashMap;

use protocol::chain::TransactionId;

use super::{
    manager::Manager,
    resolve::Finality,
    store::{self, Attempt},
};
use crate::{
    error::Error,
    intents,
    outbox::{self, Item},
    page::Page,
    transactions::{
        desk::Desk,
        model::Step,
        rest::Rest,
        store::{self as intent_store, Outcome},
    },
};

/// For how long after its signing a transaction is looked at, in milliseconds.
const AUDITED_MS: i64 = 3_600_000;
/// Between looks, in milliseconds.
const EVERY_MS: i64 = 5_000;
/// In how many looks in a row a transaction must have been gone: a node may lag, or have lost its memory.
const LOOKS: u32 = 3;

/// Which final transactions were gone at how many looks in a row.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// Between two looks.
    rest: Option<Rest>,
    gone: HashMap<TransactionId, u32>,
}

impl Audit {
    /// Whether it is time for a look, which this is then.
    fn is_due(&mut self, now_ms: i64) -> bool {
        if self.rest.is_some_and(|rest| rest.lasts(now_ms)) {
            return false;
        }
        self.rest = Some(Rest::of(now_ms, EVERY_MS));
        true
    }
}

impl Manager {
    /// Opens again what the chain took back after it was final.
    ///
    /// # Errors
    /// The node does not answer; the lease is lost; the database's own.
    pub(super) async fn reopen(&mut self, desk: &Desk<'_>, finality: Finality) -> Result<(), Error> {
        let now_ms = desk.now_ms();
        if !self.audit.is_due(now_ms) {
            return Ok(());
        }
        let since_ms = now_ms.saturating_sub(AUDITED_MS);
        let mut gone = HashMap::new();
        let mut page = store::over_since(desk.db.reader(), since_ms, None).await?;
        while let Some(last) = page.last().cloned() {
            let signatures: Vec<String> = page.iter().map(|attempt| attempt.signature.to_string()).collect();
            let (slot, statuses) = self.node.statuses(&signatures).await?;
            // A node that is behind knows nothing of them.
            if slot < finality.slot {
                return Ok(());
            }
            for (attempt, _) in page.iter().zip(statuses).filter(|(_, status)| status.is_none()) {
                let looks = self.audit.gone.get(&attempt.signature).copied().unwrap_or(0).saturating_add(1);
                if looks >= LOOKS {
                    self.open(desk, attempt).await?;
                } else {
                    gone.insert(attempt.signature, looks);
                }
            }
            page = if page.len() < store::PAGE {
                Vec::new()
            } else {
                store::over_since(desk.db.reader(), since_ms, Some(&last)).await?
            };
        }
        self.audit.gone = gone;
        Ok(())
    }

    async fn open(&self, desk: &Desk<'_>, attempt: &Attempt) -> Result<(), Error> {
        let Some(kept) = intents::get(desk.db.reader(), attempt.intent).await? else { return Ok(()) };
        let (key, now_ms) = (&kept.intent.key, desk.now_ms());
        tracing::error!(key, "the chain took back what was final; working on it again");
        metrics::counter!("relayer_intents_reopened_total").increment(1);
        let mut write = desk.begin().await?;
        store::set_outcome(&mut write, attempt.signature, Outcome::Open).await?;
        intent_store::step(&mut write, &kept, Step::Reopen, "the chain took it back", None, now_ms).await?;
        outbox::put(&mut write, &Item::Operator(Page::Reopened { key: key.clone() }), now_ms).await?;
        Ok(write.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hour_is_looked_at_every_five_seconds_also_where_the_clock_is_set_back() {
        let mut audit = Audit::default();
        let due = [10_000, 14_999, 15_000, 15_001, 1_000, 5_999, 6_000].map(|now_ms| audit.is_due(now_ms));
        assert_eq!(due, [true, false, true, false, true, false, true]);
    }
}

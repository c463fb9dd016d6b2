//! What is done when the chain takes back what was final.
//!
//! Two facts tell: a nonce that was used up is free again, and the block as of which an intent was over is not in the chain
//! any more. The first opens transactions, the second intents, whoever brought their effect about.

use std::collections::{BTreeMap, HashMap};

use alloy::primitives::B256;

use super::{
    manager::{Manager, Sight},
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
        store::{self as intent_store, Outcome},
    },
};

impl Manager {
    /// Opens again what the chain took back after it was final; whether there was anything.
    ///
    /// # Errors
    /// The node does not answer; the lease is lost; the database's own.
    pub(super) async fn reopen(&mut self, desk: &mut Desk<'_>, sight: &Sight) -> Result<bool, Error> {
        let mut attempts = Vec::new();
        for signer in self.signers.clone() {
            let (address, nonce) = (signer.address(), sight.nonce_latest(signer.address()));
            attempts.extend(store::regressed(desk.db.reader(), address, nonce).await?);
        }
        let gone = self.gone(desk, sight).await?;
        let nothing = attempts.is_empty() && gone.is_empty();
        desk.doubts(!nothing);
        if nothing {
            self.regressions.forget(&());
            self.checked_at = Some(sight.finalized);
            return Ok(false);
        }
        if !self.regressions.believed((), sight.latest.hash) {
            return Ok(false);
        }
        let mut by_intent: BTreeMap<Option<i64>, Vec<Attempt>> = BTreeMap::new();
        for attempt in attempts {
            by_intent.entry(attempt.intent).or_default().push(attempt);
        }
        for id in gone {
            let known = by_intent.entry(Some(id)).or_default();
            if known.is_empty() {
                known.extend(store::attempts(desk.db.reader(), id).await?);
            }
        }
        for (id, attempts) in by_intent {
            self.open(desk, id, &attempts).await?;
        }
        Ok(true)
    }

    async fn open(&self, desk: &Desk<'_>, id: Option<i64>, attempts: &[Attempt]) -> Result<(), Error> {
        let now_ms = desk.now_ms();
        let kept = match id {
            Some(id) => intents::get(desk.db.reader(), id).await?,
            None => None,
        };
        let mut write = desk.begin().await?;
        for attempt in attempts {
            store::set_outcome(&mut write, attempt.hash, Outcome::Open).await?;
        }
        if let Some(kept) = kept {
            let key = &kept.intent.key;
            tracing::error!(key, "the chain took back what was final; working on it again");
            metrics::counter!("relayer_intents_reopened_total").increment(1);
            // One that has no transaction of ours was brought about by somebody else.
            let step = if attempts.is_empty() { Step::Resume } else { Step::Reopen };
            intent_store::step(&mut write, &kept, step, "the chain took it back", None, now_ms).await?;
            let page = Page::Reopened { key: key.clone() };
            outbox::put(&mut write, &Item::Operator(page), now_ms).await?;
        }
        Ok(write.commit().await?)
    }

    /// The intents that were over as of blocks that are not in the chain any more, the latest first. As nothing is over while
    /// there is a doubt, all before one whose block is still there are of the same chain.
    async fn gone(&self, desk: &Desk<'_>, sight: &Sight) -> Result<Vec<i64>, Error> {
        if self.checked_at == Some(sight.finalized) {
            return Ok(Vec::new());
        }
        let mut gone = Vec::new();
        let mut hashes: HashMap<u64, Option<B256>> = HashMap::new();
        for (id, number, hash) in intent_store::settled(desk.db.reader()).await? {
            let found = match hashes.get(&number) {
                Some(found) => *found,
                None => self.chain.hash_at(number).await?,
            };
            hashes.insert(number, found);
            match found {
                Some(found) if found.to_string() == hash => break,
                Some(_) => gone.push(id),
                // The node is behind, or the chain is shorter now: the block that comes there will tell.
                None => {}
            }
        }
        Ok(gone)
    }
}

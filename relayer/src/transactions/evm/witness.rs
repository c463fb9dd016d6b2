//! Finality on a node that has not kept the state of its final block: what was seen in a block while it was new is final when
//! that very block is.

use std::collections::HashMap;

use alloy::primitives::Address;

use super::chain::{Block, Chain};
use crate::{error::Error, transactions::resolve::Effect};

/// How many sightings of one account are kept.
const SIGHTINGS_MAX: usize = 1_024;

/// What was seen, and in which block. It is gone with the process; then it takes as long as finality does to see anew.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    nonces: HashMap<Address, Vec<(Block, u64)>>,
    effects: HashMap<i64, (Block, Effect)>,
}

impl Witness {
    /// An account's transactions in the final chain at least; none where nothing was seen long enough ago.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn nonce_final(
        &mut self,
        chain: &Chain,
        address: Address,
        latest: &Block,
        finalized: &Block,
    ) -> Result<Option<u64>, Error> {
        let seen = self.nonces.entry(address).or_default();
        let nonce = chain.nonce_in(address, latest).await?;
        if seen.last().is_none_or(|(_, last)| *last != nonce) {
            seen.push((*latest, nonce));
        }
        while let Some(at) = seen.iter().rposition(|(block, _)| block.number <= finalized.number) {
            let Some((block, nonce)) = seen.get(at).copied() else { break };
            match chain.hash_at(block.number).await? {
                Some(hash) if hash == block.hash => {
                    // What is older says less.
                    seen.drain(..at);
                    return Ok(Some(nonce));
                }
                Some(_) => {
                    seen.remove(at);
                }
                // The node is behind, and says nothing against it.
                None => break,
            }
        }
        let over = seen.len().saturating_sub(SIGHTINGS_MAX);
        seen.drain(..over);
        Ok(None)
    }

    /// Notes how the effect of an intent stood in a block; the oldest block with the same effect counts.
    pub fn saw(&mut self, intent: i64, block: &Block, effect: &Effect) {
        match self.effects.get(&intent) {
            Some((_, before)) if before == effect => {}
            _ => {
                self.effects.insert(intent, (*block, effect.clone()));
            }
        }
    }

    /// How the effect of an intent stands in the final chain, as far as that was seen.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn effect_final(
        &mut self,
        chain: &Chain,
        intent: i64,
        finalized: &Block,
    ) -> Result<Option<Effect>, Error> {
        let Some((block, effect)) = self.effects.get(&intent).cloned() else { return Ok(None) };
        if block.number > finalized.number {
            return Ok(None);
        }
        match chain.hash_at(block.number).await? {
            Some(hash) if hash == block.hash => return Ok(Some(effect)),
            Some(_) => {
                self.effects.remove(&intent);
            }
            // The node is behind, and says nothing against it.
            None => {}
        }
        Ok(None)
    }

    /// Forgets an intent.
    pub fn forget(&mut self, intent: i64) {
        self.effects.remove(&intent);
    }
}

//! Several actions in one transaction, all or none, with one purse of coin.

use std::collections::BTreeMap;

use alloy::primitives::B256;

use super::{
    action::{Action, Actor},
    apply::{Context, Transition, apply},
    refusal::Refusal,
    state::DealState,
};
use crate::terms::Terms;

/// One action of a batch. All have the same caller.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Of its deal.
    pub terms: &'a Terms,
    /// Where its deal stands before the batch.
    pub state: &'a DealState,
    /// What is asked. What [`Action::Fund`] says was sent is not read: the purse is.
    pub action: &'a Action,
    /// By whom.
    pub actor: Actor,
    /// Its deal's id, and the world.
    pub context: &'a Context,
}

/// Why nothing of a batch happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The first call that was refused, or the purse as a whole.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Coin came along, and this call is none that takes coin. The contract names no refusal for it.
    #[error("a batch with coin has no other calls than those that fund")]
    NotPayable,
}

/// Runs the calls in order. `sent` is the coin that came along, in its smallest unit: it must be exactly what the deals of
/// coin need, and each unit is spent once.
///
/// # Errors
/// The first refusal; then nothing has happened.
pub fn batch(sent: u128, calls: &[Call<'_>]) -> Result<Vec<Transition>, Stopped> {
    let mut states: BTreeMap<B256, DealState> = BTreeMap::new();
    let mut purse = sent;
    let mut moved = Vec::with_capacity(calls.len());
    for call in calls {
        let funds = matches!(call.action, Action::Fund { .. });
        if sent != 0 && !funds {
            return Err(Stopped::NotPayable);
        }
        let needed = if funds && call.terms.asset.token.is_none() { call.terms.amount } else { 0 };
        let state = states.entry(call.context.deal).or_insert(*call.state);
        let action = paid(call.action, purse.min(needed));
        let one = apply(call.terms, state, &action, call.actor, call.context)?;
        purse = purse.saturating_sub(needed);
        *state = one.state;
        moved.push(one);
    }
    if purse != 0 {
        return Err(Refusal::WrongValue { sent, needed: sent.saturating_sub(purse) }.into());
    }
    Ok(moved)
}

/// The action with the coin that the purse has for it.
fn paid(action: &Action, coin: u128) -> Action {
    match action {
        Action::Fund { seller, received, .. } => {
            Action::Fund { seller: *seller, sent: coin, received: *received }
        }
        other => other.clone(),
    }
}

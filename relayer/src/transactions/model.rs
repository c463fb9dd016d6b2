//! The state machine of an intent: every (state, step) pair, allowed or forbidden.

use crate::intents::State;

/// What can happen to an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A transaction with a new nonce was signed.
    Sign,
    /// A transaction with the same nonce and higher fees was signed.
    Bump,
    /// One of its transactions is in a block.
    Mine,
    /// None of its transactions is in a block any more.
    Unmine,
    /// None of its transactions can bring the effect about any more.
    Release,
    /// The effect is there and final.
    Finish,
    /// The effect cannot come about any more.
    Fail,
    /// A person has to look.
    Quarantine,
    /// The chain took back what was final, with transactions of ours.
    Reopen,
    /// It took back what others had brought about.
    Resume,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Sign,
        Self::Bump,
        Self::Mine,
        Self::Unmine,
        Self::Release,
        Self::Finish,
        Self::Fail,
        Self::Quarantine,
        Self::Reopen,
        Self::Resume,
    ];
}

/// A step that a state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an intent that is {state} does not allow {step:?}")]
pub struct Forbidden {
    /// The state.
    pub state: State,
    /// The step.
    pub step: Step,
}

/// The state after a step.
///
/// # Errors
/// The pair is not allowed.
pub const fn next(state: State, step: Step) -> Result<State, Forbidden> {
    use State::{Attempted, Done, Failed, Mined, Quarantined, Waiting};
    use Step::{Bump, Fail, Finish, Mine, Quarantine, Release, Reopen, Resume, Sign, Unmine};
    let forbidden = Err(Forbidden { state, step });
    match (state, step) {
        (Waiting, Sign) => Ok(Attempted),
        (Waiting, Bump | Mine | Unmine | Release) => forbidden,
        (Waiting, Finish) => Ok(Done),
        (Waiting, Fail) => Ok(Failed),
        (Waiting, Quarantine) => Ok(Quarantined),
        (Waiting, Reopen) => Ok(Attempted),
        (Waiting | Attempted | Mined | Quarantined, Resume) => forbidden,

        (Attempted, Sign) => forbidden,
        (Attempted, Bump) => Ok(Attempted),
        (Attempted, Mine) => Ok(Mined),
        (Attempted, Unmine) => forbidden,
        (Attempted, Release) => Ok(Waiting),
        (Attempted, Finish) => Ok(Done),
        (Attempted, Fail) => forbidden,
        (Attempted, Quarantine) => Ok(Quarantined),
        (Attempted, Reopen) => Ok(Attempted),

        (Mined, Sign) => forbidden,
        // Another nonce of it is stuck in front of others.
        (Mined, Bump) => Ok(Attempted),
        (Mined, Mine) => Ok(Mined),
        (Mined, Unmine) => Ok(Attempted),
        (Mined, Release) => Ok(Waiting),
        (Mined, Finish) => Ok(Done),
        (Mined, Fail) => forbidden,
        (Mined, Quarantine) => Ok(Quarantined),
        (Mined, Reopen) => Ok(Attempted),

        (Done | Failed, Reopen) => Ok(Attempted),
        (Done | Failed, Resume) => Ok(Waiting),
        (Done | Failed, Sign | Bump | Mine | Unmine | Release | Finish | Fail | Quarantine) => forbidden,

        (Quarantined, Sign | Bump) => Ok(Attempted),
        (Quarantined, Mine) => Ok(Mined),
        (Quarantined, Unmine) => forbidden,
        (Quarantined, Release) => Ok(Waiting),
        (Quarantined, Finish) => Ok(Done),
        (Quarantined, Fail) => Ok(Failed),
        (Quarantined, Quarantine) => Ok(Quarantined),
        (Quarantined, Reopen) => Ok(Attempted),
    }
}

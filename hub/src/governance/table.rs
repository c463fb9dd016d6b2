//! Where a proposal stands and what may be done: every pair of state and action. Its time-out is the close, which the hub's
//! timer says.

use serde::{Deserialize, Serialize};

use super::tally::Verdict;
use crate::error::Refusal;

/// Where a proposal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ProposalState)]
pub enum State {
    /// Ballots are taken until the close.
    Open,
    /// Decided: its rule was not met.
    Rejected,
    /// Decided: accepted, and its effect has happened.
    Executed,
    /// Decided: accepted, and nothing of its effect could happen.
    Unexecuted,
}

impl State {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::Open, Self::Rejected, Self::Executed, Self::Unexecuted];

    /// As the database and JSON write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Rejected => "rejected",
            Self::Executed => "executed",
            Self::Unexecuted => "unexecuted",
        }
    }

    /// Where a tally leads.
    pub const fn decided(verdict: Verdict, executed: bool) -> Self {
        match (verdict, executed) {
            (Verdict::Accepted, true) => Self::Executed,
            (Verdict::Accepted, false) => Self::Unexecuted,
            _ => Self::Rejected,
        }
    }
}

/// What is done to a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `vote@1`, by an elector.
    Vote,
    /// `tally@1`, by the hub.
    Tally,
}

impl Action {
    /// Every one of them.
    pub const ALL: [Self; 2] = [Self::Vote, Self::Tally];
}

/// When something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before the close.
    Before,
    /// From the close on.
    From,
}

/// The table: when an action may be done in a state; none where it may not.
pub const fn when(state: State, action: Action) -> Option<When> {
    match (state, action) {
        (State::Open, Action::Vote) => Some(When::Before),
        (State::Open, Action::Tally) => Some(When::From),
        (State::Rejected | State::Executed | State::Unexecuted, Action::Vote | Action::Tally) => None,
    }
}

/// Whether an action may be done at a moment; both in Unix milliseconds.
///
/// # Errors
/// Step `rule`, 409: `decided`, `voting_closed`, `not_closed`.
pub fn may(state: State, action: Action, now: i64, closes_at: i64) -> Result<(), Refusal> {
    match when(state, action) {
        None => {
            Err(Refusal::conflict("decided", "/about", format!("the proposal is {} already", state.name())))
        }
        Some(When::Before) if now >= closes_at => {
            Err(Refusal::conflict("voting_closed", "/about", "the window of the proposal is over"))
        }
        Some(When::From) if now < closes_at => {
            Err(Refusal::conflict("not_closed", "/about", "the window of the proposal is not over"))
        }
        Some(_) => Ok(()),
    }
}

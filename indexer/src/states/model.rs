//! Which fold is whose.

use std::fmt;

use alloy::primitives::B256;
use protocol::{
    chain::{AccountId, Address},
    wire::{
        feed::{ChainEvent, EventBody},
        view::{Case, Deal, Pool},
    },
};

use crate::{
    Error, cases,
    columns::json,
    deals::{self, model::Gap},
    pools,
};

/// What an event is about, as the databases name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// `deal/<id>`.
    Deal(B256),
    /// `case/<deal>/<escrow>/<arbiter>`: anyone can open a case about a deal of an escrow that he made himself.
    Case { deal: B256, escrow: Address, arbiter: AccountId },
    /// `pool/<id>/<arbiter>`.
    Pool { pool: B256, arbiter: AccountId },
    /// Nothing that has a state.
    None,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deal(deal) => write!(f, "deal/{deal}"),
            Self::Case { deal, escrow, arbiter } => write!(f, "case/{deal}/{escrow}/{arbiter}"),
            Self::Pool { pool, arbiter } => write!(f, "pool/{pool}/{arbiter}"),
            Self::None => f.write_str(""),
        }
    }
}

/// What the event is about.
pub(crate) const fn subject_of(event: &ChainEvent) -> Subject {
    match &event.body {
        EventBody::Funded { deal, .. }
        | EventBody::Delivered { deal, .. }
        | EventBody::Released { deal, .. }
        | EventBody::Refunded { deal, .. }
        | EventBody::Disputed { deal, .. }
        | EventBody::Evidence { deal, .. }
        | EventBody::Reclaimed { deal, .. }
        | EventBody::Claimed { deal, .. }
        | EventBody::Settled { deal, .. }
        | EventBody::Ruled { deal, .. }
        | EventBody::Lapsed { deal, .. }
        | EventBody::Credited { deal, .. } => Subject::Deal(*deal),
        EventBody::CaseOpened { deal, escrow, .. }
        | EventBody::TargetMoved { deal, escrow, .. }
        | EventBody::JuryDrawn { deal, escrow, .. }
        | EventBody::BallotCast { deal, escrow, .. }
        | EventBody::BallotsCounted { deal, escrow, .. }
        | EventBody::RulingAccepted { deal, escrow, .. }
        | EventBody::Appealed { deal, escrow, .. }
        | EventBody::RulingExecuted { deal, escrow, .. } => {
            Subject::Case { deal: *deal, escrow: *escrow, arbiter: event.contract }
        }
        EventBody::PoolCreated { pool, .. } | EventBody::ListPublished { pool, .. } => {
            Subject::Pool { pool: *pool, arbiter: event.contract }
        }
        EventBody::Withdrawn { .. }
        | EventBody::Revoked { .. }
        | EventBody::Approved { .. }
        | EventBody::Retracted { .. } => Subject::None,
    }
}

/// The state of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Deal(Box<Deal>),
    Case(Case),
    Pool(Pool),
}

impl State {
    /// The state that a column holds.
    pub fn read(subject: &Subject, text: &str) -> Result<Self, Error> {
        let read = match subject {
            Subject::Deal(_) => serde_json::from_str(text).map(|deal| Self::Deal(Box::new(deal))),
            Subject::Case { .. } => serde_json::from_str(text).map(Self::Case),
            Subject::Pool { .. } => serde_json::from_str(text).map(Self::Pool),
            Subject::None => return Err(Error::damaged("states.subject", "")),
        };
        read.map_err(|_| Error::damaged("states.state", text))
    }

    /// What a column holds of it.
    pub fn write(&self) -> Result<String, Error> {
        match self {
            Self::Deal(deal) => json(deal),
            Self::Case(case) => json(case),
            Self::Pool(pool) => json(pool),
        }
    }
}

/// The state after the event, and the gap in a deal's count if there is one.
pub(crate) fn fold(before: Option<State>, event: &ChainEvent) -> (Option<State>, Option<Gap>) {
    match (subject_of(event), before) {
        (Subject::Deal(_), before) => {
            let before = if let Some(State::Deal(deal)) = before { Some(*deal) } else { None };
            let (after, gap) = deals::model::fold(before, event);
            (after.map(|deal| State::Deal(Box::new(deal))), gap)
        }
        (Subject::Case { .. }, before) => {
            let before = if let Some(State::Case(case)) = before { Some(case) } else { None };
            (cases::model::fold(before, event).map(State::Case), None)
        }
        (Subject::Pool { .. }, before) => {
            let before = if let Some(State::Pool(pool)) = before { Some(pool) } else { None };
            (pools::model::fold(before, event).map(State::Pool), None)
        }
        (Subject::None, before) => (before, None),
    }
}

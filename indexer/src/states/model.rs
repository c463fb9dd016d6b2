//! Which fold is whose.

use std::{fmt, str::FromStr};

use alloy::primitives::{B256, keccak256};
use protocol::{
    chain::{AccountId, Address},
    wire::{
        feed::{ChainEvent, EventBody},
        view::{Case, Deal, Pool},
    },
};
use sqlx::any::AnyRow;

use super::store::Stored;
use crate::{
    Error, cases,
    columns::{json, key_of},
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

impl Subject {
    /// What the databases find its events by, which others may have as well: eight bytes of its id, which is a hash, or of one
    /// over all that names it. 0 for nothing.
    pub fn key(&self) -> i64 {
        let hash = match self {
            Self::Deal(deal) => *deal,
            Self::Case { .. } | Self::Pool { .. } => keccak256(self.to_string()),
            Self::None => B256::ZERO,
        };
        key_of(hash.as_slice())
    }
}

impl FromStr for Subject {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.split('/');
        let mut part = || parts.next().unwrap_or_default();
        let read = match (part(), part(), part(), part()) {
            ("deal", deal, "", "") => deal.parse().ok().map(Self::Deal),
            ("pool", pool, arbiter, "") => {
                let read = pool.parse().ok().zip(arbiter.parse().ok());
                read.map(|(pool, arbiter)| Self::Pool { pool, arbiter })
            }
            ("case", deal, escrow, arbiter) => {
                let read = deal.parse().ok().zip(escrow.parse().ok()).zip(arbiter.parse().ok());
                read.map(|((deal, escrow), arbiter)| Self::Case { deal, escrow, arbiter })
            }
            _ => None,
        };
        // What is read must be written in no other way.
        read.filter(|subject| subject.to_string() == text)
            .ok_or_else(|| Error::damaged("states.subject", text))
    }
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
    /// The state that a row of `states` holds.
    pub fn read(subject: &Subject, row: &AnyRow) -> Result<Self, Error> {
        match subject {
            Subject::Deal(_) => Deal::stored(row).map(|deal| Self::Deal(Box::new(deal))),
            Subject::Case { .. } => Case::stored(row).map(Self::Case),
            Subject::Pool { .. } => Pool::stored(row).map(Self::Pool),
            Subject::None => Err(Error::damaged("states.subject", "")),
        }
    }

    /// What its column holds of it.
    pub fn write(&self) -> Result<String, Error> {
        match self {
            Self::Deal(deal) => deals::store::standing(deal),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_as_it_is_written_and_in_no_other_way() {
        let (deal, escrow) = (B256::repeat_byte(0xd1), "0x00000000000000000000000000000000000000e5");
        let arbiter: AccountId = "eip155:1:0x00000000000000000000000000000000000000a5".parse().unwrap();
        let subjects = [
            Subject::Deal(deal),
            Subject::Case { deal, escrow: escrow.parse().unwrap(), arbiter },
            Subject::Pool { pool: deal, arbiter },
        ];
        for subject in subjects {
            assert_eq!(subject.to_string().parse::<Subject>().unwrap(), subject);
            assert!(subject.to_string().to_uppercase().parse::<Subject>().is_err());
            assert!(format!("{subject}/").parse::<Subject>().is_err());
        }
        assert!("".parse::<Subject>().is_err());
        let keys = subjects.map(|subject| subject.key());
        assert_eq!(keys[0], i64::from_be_bytes([0xd1; 8]));
        assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2], "{keys:?}");
        assert_eq!(Subject::None.key(), 0);
    }
}

//! A case as a pure state machine: `docs/protocol.md`, section 3.
//!
//! [`apply`] is the one function by which a case moves: from terms, case, action, actor and [`Context`] to a [`Moved`] or a
//! refusal. Which stage allows what is data, [`refused_by_stage`]. Time, block, the target's hash, what the escrow says, the
//! pools and whose key signed what are inputs, so that `ArbitrationPools` and this model can be driven through the same
//! histories.

mod act;
mod rulings;

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "an overflow fails the test")]
mod tests;

use alloy::primitives::B256;

use super::{
    ballots::Ballots,
    jury::draw,
    pool::{jury_time, span},
    refusal::Refusal,
    registry::Registry,
};
use crate::{
    chain::Address,
    deal::{self, DealState},
    terms::Terms,
    wire::feed::EventBody,
};

pub use act::apply;

/// Blocks from an opening to its target, whose hash nobody knows yet.
pub const TARGET_AHEAD: u64 = 2;

/// Where a jury stands, numbered as in the contract, which says `None` where there is no jury.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Stage {
    /// The target block is fixed.
    Opened = 1,
    /// Seats are known; ballots count.
    Drawn,
    /// A ruling is accepted.
    Accepted,
    /// The escrow has been told.
    Executed,
}

/// One jury of a case. Times in Unix seconds, shares in basis points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jury {
    /// Where a ruling is accepted it stands in the last jury's entry, whichever jury's ballots determined it.
    pub stage: Stage,
    /// 0 is the pool of the terms, 1 its parent.
    pub instance: u8,
    /// 0 is the first jury of the instance, 1 the second.
    pub jury: u8,
    /// Whom it is drawn from and until when; for a case's first jury, none until it is drawn.
    pub panel: Option<Panel>,
    /// The block whose hash decides the draw, until it is drawn; else zero.
    pub target_block: u64,
    /// What the seats follow from; zero until drawn.
    pub seed: B256,
    /// The ballots counted so far; not those that determine a ruling.
    pub ballots: Ballots,
    /// The accepted ruling: the seller's share, and when.
    pub ruling: Option<(u16, u64)>,
}

/// Whom a jury is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panel {
    /// Seats of the jury.
    pub seats: u8,
    /// Index of the member list in effect when the deal was funded.
    pub list: u32,
    /// Members of that list.
    pub members: u32,
    /// When the instance's last word falls, and the last second in which ballots count.
    pub ends_at: u64,
    /// Whether its ruling can still be appealed, or could be once there is one.
    pub appealable: bool,
}

/// A case: its juries in the order in which they were opened, at most four. It stands where its last jury stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    /// None where there is no case.
    pub juries: Vec<Jury>,
    /// When the deal was funded, and when it was disputed, as the escrow said at the opening.
    pub times: (u64, u64),
}

/// What can be asked of a case. The actor's signed form exists of the appeal alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Fix the target of the first jury.
    Open,
    /// Seat the last jury.
    Draw,
    /// Open the second jury of the present instance.
    OpenSecondJury,
    /// The juror itself votes, which is final.
    Cast {
        /// 0 or 1 of the present instance.
        jury: u8,
        /// Index of the seat.
        seat: u8,
        /// The seller's.
        share: u16,
        /// SHA-256 of the written reason, or zero.
        reason: B256,
    },
    /// Hand in signed ballots.
    Submit {
        /// 0 or 1 of the present instance.
        jury: u8,
        /// In this order.
        ballots: Vec<Handed>,
    },
    /// Speak the last word of an instance whose juries did not rule in time.
    Conclude,
    /// Bring the accepted ruling before the parent.
    Appeal,
    /// Tell the escrow a ruling that it did not take when it was accepted.
    Execute,
}

/// A ballot that somebody hands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handed {
    /// Index of the seat.
    pub seat: u8,
    /// The seller's.
    pub share: u16,
    /// Whose key signed exactly this for exactly this jury; none where no key did.
    pub signer: Option<Address>,
}

/// What the world looks like at the moment of an action.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The pools contract that is asked.
    pub contract: Address,
    /// The deal's id, the time, and what a ruling meets at the escrow.
    pub deal: deal::Context,
    /// What the escrow says of the deal.
    pub state: &'a DealState,
    /// Height of the block.
    pub block: u64,
    /// The hash of the last jury's target block, as long as the chain can tell it.
    pub target_hash: Option<B256>,
    /// A missed target moves by a multiple of this many blocks, at least 1: [`crate::chain::stride`].
    pub stride: u64,
    /// The pools of the contract.
    pub pools: &'a Registry,
}

/// What an action does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The case afterwards.
    pub case: Case,
    /// What the pools contract tells, in order.
    pub events: Vec<EventBody>,
    /// What the ruling did to the deal, where the escrow took one.
    pub ruled: Option<deal::Transition>,
}

/// The refusal that the stage of the last jury alone gives; none where the action is allowed as far as that goes.
#[rustfmt::skip]
pub const fn refused_by_stage(stage: Option<Stage>, action: &Action) -> Option<Refusal> {
    use Action as A;
    use Refusal as R;
    use Stage as S;
    match (stage, action) {
        (None, A::Open) => None,
        (Some(_), A::Open) => Some(R::CaseExists),
        (None, _) => Some(R::UnknownCase),

        (Some(S::Opened), A::Draw) => None,
        (Some(S::Drawn | S::Accepted | S::Executed), A::Draw) => Some(R::AlreadyDrawn),

        (Some(S::Opened | S::Drawn), A::OpenSecondJury | A::Cast { .. } | A::Submit { .. } | A::Conclude) => None,
        (Some(S::Accepted | S::Executed), A::OpenSecondJury | A::Cast { .. } | A::Submit { .. } | A::Conclude) => {
            Some(R::AlreadyAccepted)
        }

        (Some(S::Opened | S::Drawn), A::Appeal | A::Execute) => Some(R::NotAccepted),
        (Some(S::Accepted), A::Appeal | A::Execute) => None,
        (Some(S::Executed), A::Appeal | A::Execute) => Some(R::AlreadyExecuted),
    }
}

impl Case {
    /// Where the case stands; none where there is none.
    pub fn stage(&self) -> Option<Stage> {
        self.juries.last().map(|last| last.stage)
    }

    /// How many rulings were accepted, executed or not: what the escrow asks of an arbiter.
    pub fn rulings(&self) -> u8 {
        let (Some(first), Some(last)) = (self.juries.first(), self.juries.last()) else { return 0 };
        // A second instance after a first one that heard the case: there was a ruling to appeal from.
        u8::from(last.stage >= Stage::Accepted).saturating_add(u8::from(last.instance > first.instance))
    }

    /// Jury 0 or 1 of the present instance where it is drawn, by its number in the case.
    ///
    /// # Errors
    /// `NotDrawn`.
    pub fn drawn(&self, jury: u8) -> Result<(usize, &Jury), Refusal> {
        let instance = self.juries.last().map(|last| last.instance);
        let found = self
            .juries
            .iter()
            .enumerate()
            .rfind(|(_, one)| Some(one.instance) == instance && one.jury == jury);
        found.filter(|(_, one)| one.stage >= Stage::Drawn && !one.seed.is_zero()).ok_or(Refusal::NotDrawn)
    }

    /// The seats in order of the jury of that number: the parties, and everyone seated earlier in the case, are passed
    /// over. Empty where it is not drawn.
    pub fn seats(&self, number: usize, terms: &Terms, pools: &Registry) -> Vec<Address> {
        let mut passed = vec![terms.buyer.address, terms.seller.address];
        for (n, jury) in self.juries.iter().enumerate().take(number.saturating_add(1)) {
            let Some(panel) = jury.panel.filter(|_| !jury.seed.is_zero()) else { continue };
            let members = pools.members(pool_of(terms, pools, jury.instance), panel.list);
            let seats = draw(jury.seed, members, &passed, panel.seats).unwrap_or_default();
            if n == number {
                return seats;
            }
            passed.extend(seats);
        }
        Vec::new()
    }

    /// The last second of the first jury's own voting, after which a second one can be opened.
    pub fn first_closes_at(&self, terms: &Terms, pools: &Registry) -> Option<u64> {
        let last = self.juries.last()?;
        let book = &pools.pool(pool_of(terms, pools, last.instance)).ok()?.book;
        Some(last.panel?.ends_at.saturating_sub(jury_time(book)))
    }

    /// The last second in which the accepted ruling can be appealed; none where it cannot.
    pub fn appeal_until(&self, terms: &Terms, pools: &Registry) -> Option<u64> {
        let last = self.juries.last()?;
        last.panel.filter(|panel| panel.appealable)?;
        let (_, accepted_at) = last.ruling?;
        Some(accepted_at.saturating_add(pools.pool(terms.panel).ok()?.book.appeal.into()))
    }
}

/// The pool of an instance: that of the terms, or its parent.
fn pool_of(terms: &Terms, pools: &Registry, instance: u8) -> B256 {
    match instance {
        0 => terms.panel,
        _ => pools.pool(terms.panel).map_or(B256::ZERO, |pool| pool.book.parent),
    }
}

/// The end of an appeal from a ruling whose time for appeal ends at `until`.
fn appeal_ends_at(until: u64, parent: &crate::wire::feed::RuleBook) -> u64 {
    until.saturating_add(span(parent))
}

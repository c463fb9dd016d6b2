//! Counting ballots, accepting rulings and the last word: what casting, submitting, concluding and executing share.

use anchor_lang::prelude::*;

use crate::{
    ballots::{self, Bounds},
    case::check_disputed,
    errors::Refusal,
    events::{BallotsCounted, Ruled, RulingAccepted},
    instructions::rule_at,
    payout::{Paid, Payouts},
    state::{deal::Action, Deal, Jury, Stage, Status},
};

/// What each seat of a jury said.
pub type Votes = [u8; 32];

/// A case in hand.
#[derive(Clone, Copy)]
pub struct Bench<'a, 'info> {
    deal: &'a AccountLoader<'info, Deal>,
    payouts: &'a Payouts<'info>,
    last: &'a AccountLoader<'info, Jury>,
    now: u64,
}

/// What new ballots came to.
pub enum Outcome {
    /// They determine nothing yet.
    Counted(BallotsCounted),
    /// They determine a ruling.
    Accepted(Accepted),
}

/// What an accepted ruling brought: what the deal tells, where it was executed, then what the case tells.
pub struct Accepted {
    /// What it did to the deal, and what of it became credit.
    pub ruled: Option<(Ruled, Paid)>,
    /// The ruling.
    pub accepted: RulingAccepted,
}

/// Emits what an accepted ruling brought.
macro_rules! emit_accepted {
    ($ctx:expr, $accepted:expr) => {{
        let (ctx, accepted) = (&$ctx, $accepted);
        if let Some((ruled, paid)) = accepted.ruled {
            emit_cpi!(ruled);
            for credited in paid.credited {
                emit_cpi!(credited);
            }
        }
        emit_cpi!(accepted.accepted);
    }};
}
pub(crate) use emit_accepted;

/// A ruling to be accepted.
struct Ruling<'a> {
    /// 0 or 1: whose ballots determined it; the last one of the instance where none did.
    jury: u8,
    /// That jury's ballots.
    votes: &'a [u8],
    /// The seller's.
    share: u16,
    /// From which what follows is counted, whenever somebody called.
    time: u64,
}

/// The seats' votes out of the room for them.
fn seated(votes: &Votes, size: u8) -> &[u8] {
    votes.get(..usize::from(size)).unwrap_or_default()
}

impl<'a, 'info> Bench<'a, 'info> {
    /// A deal, where it pays out, the last jury of its case, and the time in Unix seconds.
    ///
    /// # Errors
    /// Accounts that are not where the deal pays out, whether it is going to or not.
    pub fn new(
        deal: &'a AccountLoader<'info, Deal>,
        payouts: &'a Payouts<'info>,
        last: &'a AccountLoader<'info, Jury>,
        now: u64,
    ) -> Result<Self> {
        payouts.check(&*deal.load()?)?;
        Ok(Self { deal, payouts, last, now })
    }

    /// Takes a jury's new ballots, and rules when they determine one share.
    ///
    /// # Errors
    /// `NotDisputed`; accounts that are not the deal's.
    pub fn count(&self, heard: &AccountLoader<'info, Jury>, votes: &Votes) -> Result<Outcome> {
        let mut jury = heard.load_mut()?;
        let seats = seated(votes, jury.size);
        let Bounds { lo, hi } = ballots::bounds(seats);
        if lo == hi {
            let ruling = Ruling { jury: jury.jury, votes: seats, share: lo, time: self.now };
            drop(jury);
            return Ok(Outcome::Accepted(self.accept(&ruling)?));
        }
        jury.votes = *votes;
        jury.invariant()?;
        let deal = self.deal.load()?.id;
        let (instance, ballots) = (jury.instance, ballots::word(seats));
        Ok(Outcome::Counted(BallotsCounted { deal, instance, jury: jury.jury, ballots, lo, hi }))
    }

    /// Accepts the last word of an instance. `first` is its first jury, where the last one is its second.
    ///
    /// # Errors
    /// The first refusal that applies, from `NotDrawn` on.
    pub fn conclude(&self, first: Option<&AccountLoader<'info, Jury>>) -> Result<Accepted> {
        let (share, jury, votes, size, time) = {
            let last = self.last.load()?;
            require!(last.ends_at != 0, Refusal::NotDrawn);
            {
                let deal = self.deal.load()?;
                check_disputed(&deal)?;
                require!(self.now > last.ends_at, Refusal::TooEarly);
                require!(self.now <= deal.ruling_deadline(), Refusal::TooLate);
            }
            let first = first.map(AccountLoader::load).transpose()?;
            let share = last_word(first.as_deref(), &last)?;
            (share, last.jury, last.votes, last.size, last.ends_at)
        };
        self.accept(&Ruling { jury, votes: seated(&votes, size), share, time })
    }

    /// Accepts a ruling, and executes it where it cannot be appealed any more.
    fn accept(&self, ruling: &Ruling<'_>) -> Result<Accepted> {
        let until = {
            let last = self.last.load()?;
            let deal = self.deal.load()?;
            appeal_until(&last, &deal, ruling.time)?
        };
        let allowed = {
            let mut deal = self.deal.load_mut()?;
            deal.rulings = deal.rulings.checked_add(1).ok_or(Refusal::Broken)?;
            deal.invariant()?;
            // A ruling that the deal does not take now stays accepted, but none is of a deal that is closed.
            let due = until.is_none_or(|until| self.now > until);
            require!(!due || deal.status() != Status::Closed, Refusal::NotDisputed);
            due && deal.check(Action::Rule, self.now).is_ok()
        };
        let ruled = allowed.then(|| rule_at(self.deal, self.payouts, ruling.share)).transpose()?;
        let executable_at = match (&ruled, until) {
            (Some(_), _) => 0,
            (None, Some(until)) if self.now <= until => until.saturating_add(1),
            (None, _) => self.now,
        };
        let mut last = self.last.load_mut()?;
        last.stage = if ruled.is_some() { Stage::Executed } else { Stage::Accepted } as u8;
        last.target_slot = 0;
        (last.share, last.accepted_at) = (ruling.share, ruling.time);
        last.appealable = u8::from(until.is_some());
        last.invariant()?;
        let accepted = RulingAccepted {
            deal: self.deal.load()?.id,
            instance: last.instance,
            jury: ruling.jury,
            ballots: ballots::word(ruling.votes),
            share: ruling.share,
            executable_at,
        };
        Ok(Accepted { ruled, accepted })
    }

    /// Executes the accepted ruling.
    ///
    /// # Errors
    /// `TooEarly` while it can be appealed, then what the deal refuses.
    pub fn execute(&self) -> Result<(Ruled, Paid)> {
        let share = {
            let last = self.last.load()?;
            require!(last.appeal_until().is_none_or(|until| self.now > until), Refusal::TooEarly);
            self.deal.load()?.check(Action::Rule, self.now)?;
            last.share
        };
        let ruled = rule_at(self.deal, self.payouts, share)?;
        let mut last = self.last.load_mut()?;
        last.stage = Stage::Executed as u8;
        last.invariant()?;
        Ok(ruled)
    }
}

/// Until when a ruling of `last` accepted at `time` can be appealed; none where it cannot, or the terms leave too little
/// time.
fn appeal_until(last: &Jury, deal: &Deal, time: u64) -> Result<Option<u64>> {
    if last.appealable == 0 {
        return Ok(None);
    }
    check_disputed(deal)?;
    let in_time = time.saturating_add(last.appeal_time) <= deal.ruling_deadline();
    Ok(in_time.then(|| time.saturating_add(last.appeal.into())))
}

/// What stands without the instance's ballots, moved into the bounds of the first jury's and then into the second's.
fn last_word(first: Option<&Jury>, last: &Jury) -> Result<u16> {
    let heard = || first.into_iter().chain(Some(last));
    let silent = heard().all(|jury| jury.votes == [0; 32]);
    require!(last.appealed != 0 || !silent, Refusal::NoBallots);
    Ok(heard().fold(last.without, |share, jury| {
        let Bounds { lo, hi } = ballots::bounds(seated(&jury.votes, jury.size));
        share.max(lo).min(hi)
    }))
}

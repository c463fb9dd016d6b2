//! Counting, rulings and the last word.

use super::{Jury, Moved, Stage, act::Hearing};
use crate::{
    arbitration::{ballots::Ballots, pool::appeal_time, refusal::Refusal},
    deal::{self, Actor},
    refusal::Refused,
    wire::feed::EventBody,
};

/// A ruling to be accepted.
struct Ruling {
    /// Whose ballots determined it; the last one of the instance where none did.
    jury: u8,
    /// That jury's word.
    ballots: Ballots,
    /// The seller's.
    share: u16,
    /// From which what follows is counted, whenever somebody called.
    time: u64,
}

impl Hearing<'_> {
    /// Takes a jury's new word of ballots, and rules when it determines one share.
    pub fn count(
        &self,
        number: usize,
        ballots: Ballots,
        mut events: Vec<EventBody>,
    ) -> Result<Moved, Refusal> {
        let mut case = self.case.clone();
        let Some(heard) = case.juries.get_mut(number) else { return Err(Refusal::NotDrawn) };
        let bounds = ballots.bounds(heard.panel.map_or(0, |panel| panel.seats));
        if let Some(share) = bounds.ruling() {
            return self.accept(&Ruling { jury: heard.jury, ballots, share, time: self.now }, events);
        }
        heard.ballots = ballots;
        events.push(EventBody::BallotsCounted {
            deal: self.deal(),
            escrow: self.escrow(),
            instance: heard.instance,
            jury: heard.jury,
            ballots: ballots.0.into(),
            lo: bounds.lo,
            hi: bounds.hi,
        });
        Ok(Moved { case, events, ruled: None })
    }

    pub fn conclude(&self) -> Result<Moved, Refusal> {
        let last = self.last()?;
        let end = last.panel.ok_or(Refusal::NotDrawn)?.ends_at;
        self.disputed()?;
        let deadline = self.deadline();
        if self.now <= end {
            return Err(Refusal::TooEarly { opens_at: end.saturating_add(1) });
        }
        if self.now > deadline {
            return Err(Refusal::TooLate { closed_at: deadline });
        }
        let share = self.last_word(last)?;
        self.accept(&Ruling { jury: last.jury, ballots: last.ballots, share, time: end }, Vec::new())
    }

    /// The last second in which the escrow takes a ruling.
    fn deadline(&self) -> u64 {
        self.context.state.since.saturating_add(self.terms.ruling.into())
    }

    /// What stands without the instance's ballots, moved into the bounds of the first jury's and then into the second's.
    fn last_word(&self, last: &Jury) -> Result<u16, Refusal> {
        let heard = || self.case.juries.iter().filter(|jury| jury.instance == last.instance);
        let before = self.case.juries.iter().rfind(|jury| jury.instance != last.instance);
        let appealed_from = before.and_then(|jury| jury.ruling).map(|(share, _)| share);
        if appealed_from.is_none() && heard().all(|jury| jury.ballots == Ballots::default()) {
            return Err(Refusal::NoBallots);
        }
        let without = appealed_from.unwrap_or(self.terms.lapse_share);
        Ok(heard().fold(without, |share, jury| {
            let bounds = jury.ballots.bounds(jury.panel.map_or(0, |panel| panel.seats));
            share.max(bounds.lo).min(bounds.hi)
        }))
    }

    /// Accepts a ruling, and tells the escrow where it cannot be appealed any more.
    fn accept(&self, ruling: &Ruling, mut events: Vec<EventBody>) -> Result<Moved, Refusal> {
        let Ruling { jury, ballots, share, time } = *ruling;
        let until = self.appeal_until(time)?;
        let mut case = self.case.clone();
        let Some(last) = case.juries.last_mut() else { return Err(Refusal::UnknownCase) };
        last.stage = Stage::Accepted;
        last.target_block = 0;
        last.ruling = Some((share, time));
        if let Some(panel) = &mut last.panel {
            panel.appealable = until.is_some();
        }
        let mut ruled = None;
        let mut executable_at = until.map_or(0, |until| until.saturating_add(1));
        if self.now >= executable_at {
            // A ruling that the escrow does not take now stays accepted, but none is of a deal that is closed.
            ruled = match self.rule(share) {
                Ok(ruled) => Some(ruled),
                Err(deal::Refusal::DealClosed) => return Err(Refusal::NotDisputed),
                Err(_) => None,
            };
            executable_at = if ruled.is_some() { 0 } else { self.now };
        }
        if ruled.is_some() {
            last.stage = Stage::Executed;
        }
        events.push(EventBody::RulingAccepted {
            deal: self.deal(),
            escrow: self.escrow(),
            instance: last.instance,
            jury,
            ballots: ballots.0.into(),
            share,
            executable_at,
        });
        Ok(Moved { case, events, ruled })
    }

    /// Until when a ruling accepted at `time` can be appealed; none where it cannot, or the terms leave too little time.
    fn appeal_until(&self, time: u64) -> Result<Option<u64>, Refusal> {
        if !self.last()?.panel.is_some_and(|panel| panel.appealable) {
            return Ok(None);
        }
        let pools = self.context.pools;
        let book = &pools.pool(self.terms.panel)?.book;
        let parent = &pools.pool(book.parent)?.book;
        self.disputed()?;
        let in_time = time.saturating_add(appeal_time(book, parent)) <= self.deadline();
        Ok(in_time.then(|| time.saturating_add(book.appeal.into())))
    }

    fn rule(&self, share: u16) -> Result<deal::Transition, deal::Refusal> {
        let by = Actor::Caller(self.context.contract);
        deal::apply(self.terms, self.context.state, &deal::Action::Rule { share }, by, &self.context.deal)
    }

    pub fn execute(&self) -> Result<Moved, Refused> {
        let (share, _) = self.last()?.ruling.ok_or(Refusal::NotAccepted)?;
        if let Some(until) = self.case.appeal_until(self.terms, self.context.pools)
            && self.now <= until
        {
            return Err(Refusal::TooEarly { opens_at: until.saturating_add(1) }.into());
        }
        let ruled = self.rule(share).map_err(Refused::Escrow)?;
        let mut case = self.case.clone();
        if let Some(last) = case.juries.last_mut() {
            last.stage = Stage::Executed;
        }
        let event = EventBody::RulingExecuted { deal: self.deal(), escrow: self.escrow(), share };
        Ok(Moved { case, events: vec![event], ruled: Some(ruled) })
    }
}

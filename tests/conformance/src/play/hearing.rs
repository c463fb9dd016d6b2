//! The steps of a case.

use protocol::{
    arbitration::case::{self, Handed, Moved},
    deal::{Actor, Proof},
    wire::feed::EventBody,
};

use super::{Play, same, same_refusal, word};
use crate::{
    chain::{Ballot, Chain, Events, Kept, Told},
    history::Difference,
    words::{Act, BallotWords, By, How, Outcome},
};

impl<C: Chain> Play<'_, C> {
    pub(super) fn case_action(&self, which: usize, act: &Act) -> Option<(case::Action, Vec<Ballot>, By)> {
        use case::Action as A;
        let mut handed = Vec::new();
        let (action, by) = match act {
            Act::Open { by } => (A::Open, by),
            Act::Draw { by } => (A::Draw, by),
            Act::OpenSecondJury { by } => (A::OpenSecondJury, by),
            Act::Cast { by, jury, seat, share, reason } => {
                (A::Cast { jury: *jury, seat: *seat, share: *share, reason: word(*reason) }, by)
            }
            Act::Submit { by, jury, ballots } => {
                let one = |ballot: &BallotWords| Ballot {
                    seat: ballot.seat,
                    share: ballot.share,
                    reason: word(ballot.reason),
                    signer: self.address(which, ballot.signer),
                    altered: ballot.altered,
                };
                handed = ballots.iter().map(one).collect();
                // Of an altered ballot nobody's key that we know signed what is handed in.
                let ballots = handed.iter().map(|ballot| Handed {
                    seat: ballot.seat,
                    share: ballot.share,
                    signer: Some(ballot.signer).filter(|_| !ballot.altered),
                });
                (A::Submit { jury: *jury, ballots: ballots.collect() }, by)
            }
            Act::Conclude { by } => (A::Conclude, by),
            Act::Appeal { by } => (A::Appeal, by),
            Act::Execute { by } => (A::Execute, by),
            _ => return None,
        };
        Some((action, handed, *by))
    }

    pub(super) fn case_step(
        &mut self,
        which: usize,
        action: &case::Action,
        ballots: &[Ballot],
        by: By,
        now: u64,
    ) -> Result<Outcome, Difference> {
        let caller = self.address(which, by.caller);
        let actor = match by.signed {
            None => Actor::Caller(caller),
            Some(signed) => Actor::Bearer {
                caller,
                signer: self.address(which, signed.signer),
                proof: if signed.how == How::Forged { Proof::Invalid } else { Proof::Valid },
                valid_until: self.at(signed.valid_until),
            },
        };
        let live = self.deals[which].clone();
        let target = live.case.juries.last().map_or(0, |last| last.target_block);
        let deal = self.context(which, now);
        let target_hash = self.chain.hash(target);
        let context = case::Context {
            contract: self.chain.pools().address,
            deal,
            state: &live.state,
            block: self.chain.height() + 1,
            target_hash,
            stride: self.chain.limits().stride,
            pools: &self.registry,
        };
        let model = (self.rules.case)(&live.terms, &live.case, action, actor, &context);
        let had = self.balances(which);
        let told: Told = self.chain.hear(live.subject(&self.registry), action, ballots, actor, now);
        let label = format!("{action:?} by {actor:?} at {now} in {:?} of {:?}", live.case, live.state);
        match (model, told) {
            (Ok(moved), Ok(events)) => {
                let payouts = moved.ruled.as_ref().map(|ruled| ruled.payouts.clone()).unwrap_or_default();
                let expected = self.take_case(which, moved, now);
                same(&label, "events", &expected, &events)?;
                let paid = self.paid(&label, which, had, &payouts)?;
                Ok(self.outcome(which, &events, Some(paid), true))
            }
            (Err(refused), Err(told)) => {
                self.tally.count(refused.name());
                same_refusal(&label, refused, &told)?;
                Ok(Outcome { refused: Some(told.name), ..Outcome::default() })
            }
            (model, told) => Err(format!("{label}: the model says {model:?}, the chain {told:?}")),
        }
    }

    fn take_case(&mut self, which: usize, moved: Moved, now: u64) -> Events {
        let live = &self.deals[which];
        let last = live.case.juries.last();
        for event in &moved.events {
            self.tally.count(event.name());
            match event {
                EventBody::JuryDrawn { instance, jury, seats, .. } => {
                    self.tally.count(format!("jury {instance}/{jury}"));
                    self.tally.count(format!("{} seats", seats.len()));
                    if *instance == 1 && live.case.juries.len() == 1 {
                        self.tally.count("straight to the parent");
                    }
                }
                EventBody::RulingAccepted { instance, jury, .. } => {
                    let last = last.unwrap();
                    if now > last.panel.unwrap().ends_at {
                        self.tally.count(format!("last word {instance}"));
                    } else if *jury < last.jury {
                        self.tally.count(format!("the first jury after the second, {instance}"));
                    }
                }
                _ => {}
            }
        }
        self.deals[which].case = moved.case;
        let deal = moved.ruled.map(|ruled| self.take(which, ruled, now)).unwrap_or_default();
        Events { deal, case: moved.events }
    }
}

/// The chain's record of a jury.
pub(crate) fn as_kept(jury: &case::Jury) -> Kept {
    let panel = jury.panel;
    let (share, accepted_at) = jury.ruling.unwrap_or_default();
    Kept {
        stage: jury.stage as u8,
        instance: jury.instance,
        jury: jury.jury,
        size: panel.map_or(0, |panel| panel.seats),
        appealable: panel.is_some_and(|panel| panel.appealable),
        list: panel.map_or(0, |panel| panel.list),
        members: panel.map_or(0, |panel| panel.members),
        ends_at: panel.map_or(0, |panel| panel.ends_at),
        target: jury.target_block,
        accepted_at,
        share,
        seed: jury.seed,
        ballots: jury.ballots.0.into(),
    }
}

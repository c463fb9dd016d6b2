//! A grievance from its filing to its end, again: each record in the order of the log, by the table of the room, each draw by its lots,
//! each vote by its ballots.

use std::collections::BTreeSet;

use super::Found;
use crate::{
    communities::MembershipBody,
    error::Refusal,
    governance::{
        model::{Effect as Asked, ProposalBody, TallyBody, VoteBody},
        rule::{Electorate, Rule},
        tally::{Ballot, counted, digest, tally},
    },
    grievances::{
        jury,
        model::{Ending, GrievanceBody, Heard, JURIES_MAX, Outcome, Step, StepBody, TimeoutBody},
        table::{self, Action, Actor, Effect, Next, State},
    },
    records::{Device, Record, RecordId},
};

/// The most places of a jury, as a community may set them.
const JURORS_MAX: u8 = 13;

/// A record in the order of the log.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub record: &'a Record,
    /// Its place in the log.
    pub seq: i64,
    /// When the hub took it, in Unix milliseconds.
    pub at: i64,
}

/// What a jury is asked.
struct Vote {
    id: RecordId,
    rule: Rule,
    /// Unix milliseconds.
    closes_at: i64,
    electors: BTreeSet<RecordId>,
    ballots: Vec<Ballot>,
}

/// How a grievance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub ending: Ending,
    pub outcome: Option<Outcome>,
    /// Unix milliseconds.
    pub at: i64,
}

/// Where a grievance stands by the records so far.
pub(super) struct Hearing<'a> {
    id: RecordId,
    complainant: RecordId,
    body: &'a GrievanceBody,
    heard: &'a Heard,
    hub: Device,
    /// Who has said what it is about, and whose membership that is.
    others: Vec<RecordId>,
    state: State,
    mediator: Option<RecordId>,
    proposed: Option<(RecordId, Outcome)>,
    accepted: Option<RecordId>,
    jurors: BTreeSet<RecordId>,
    /// Who has stepped aside.
    aside: BTreeSet<RecordId>,
    juries: i64,
    vote: Option<Vote>,
    /// How many of the draws were called for.
    drawn: usize,
    end: Option<End>,
}

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// The record whose draw it is, where it is no record itself.
    pub draw: Option<RecordId>,
    /// In words.
    pub told: String,
}

impl From<String> for Broken {
    fn from(told: String) -> Self {
        Self { draw: None, told }
    }
}

impl From<&str> for Broken {
    fn from(told: &str) -> Self {
        told.to_owned().into()
    }
}

impl From<Refusal> for Broken {
    fn from(refusal: Refusal) -> Self {
        refusal.to_string().into()
    }
}

impl<'a> Hearing<'a> {
    /// As it was filed about a record, where the file has that; where its own entry draws a jury, it is above mediation.
    ///
    /// # Errors
    /// That draw is none of its lots.
    pub(super) fn of(
        filed: Said<'a>,
        (body, subject): (&'a GrievanceBody, Option<&Record>),
        heard: &'a Heard,
        hub: Device,
        found: &mut Found,
    ) -> Result<Self, Broken> {
        let member = subject.filter(|record| record.kind == "membership@1");
        let member = member.and_then(|record| record.body_as::<MembershipBody>().ok());
        let mut others = Vec::new();
        others.extend(subject.map(Record::account));
        others.extend(member.map(|body| body.account));
        let mut hearing = Self {
            id: filed.record.id,
            complainant: filed.record.account(),
            body,
            heard,
            hub,
            others,
            state: State::Filed,
            mediator: None,
            proposed: None,
            accepted: None,
            jurors: BTreeSet::new(),
            aside: BTreeSet::new(),
            juries: 0,
            vote: None,
            drawn: 0,
            end: None,
        };
        if heard.draws.first().is_some_and(|first| first.record == filed.record.id) {
            hearing.state = State::Escalated;
            hearing.seat(filed, true, found)?;
        }
        Ok(hearing)
    }

    /// The next record.
    ///
    /// # Errors
    /// It is nothing that may be said there.
    pub(super) fn hear(&mut self, said: Said<'_>, found: &mut Found) -> Result<(), Broken> {
        self.unseen(said.seq, found)?;
        match said.record.kind.as_str() {
            "grievance-step@1" => self.step(said, found),
            "grievance-timeout@1" => self.time_out(said, found),
            "proposal@1" => self.asked(said),
            "vote@1" => self.voted(said, found),
            "tally@1" => self.counted(said, found),
            _ => Ok(()),
        }
    }

    /// How it ended; none where the vote that ended it is not in the file.
    ///
    /// # Errors
    /// It did not end, or a draw was called for by nothing.
    pub(super) fn ended(&mut self, found: &mut Found) -> Result<Option<End>, Broken> {
        self.unseen(i64::MAX, found)?;
        match (self.end, self.state, &self.vote) {
            (Some(end), ..) => Ok(Some(end)),
            (None, State::Voting, None) => Ok(None),
            (None, state, _) => Err(format!("by its records the grievance is {}", state.name()).into()),
        }
    }

    /// Earlier juries that did not decide, whose vote is not in the file.
    fn unseen(&mut self, before: i64, found: &mut Found) -> Result<(), Broken> {
        while let Some(drawn) = self.heard.draws.get(self.drawn).filter(|drawn| drawn.seq < before) {
            if self.state != State::Voting || self.vote.is_some() {
                let told = "nothing in the file calls for it".to_owned();
                return Err(Broken { draw: Some(drawn.record), told });
            }
            self.state = self.goes(Action::Hang, Actor::Hub)?.0;
            self.sit(true, found)?;
            found.open(
                format!("draw {}", drawn.record),
                "that the jury before had not decided: its vote is not in the file",
            );
        }
        Ok(())
    }

    fn goes(&self, action: Action, actor: Actor) -> Result<(State, Effect), Broken> {
        match table::next(self.state, action, actor) {
            Next::To(to, effect) => Ok((to, effect)),
            Next::NotSo | Next::NotYours => Err(format!(
                "a grievance in state {} takes no {} of the {}",
                self.state.name(),
                action.name(),
                actor.name()
            )
            .into()),
        }
    }

    /// The draw that this record calls for: of a whole jury, or of one in the place of another.
    fn seat(&mut self, said: Said<'_>, fresh: bool, found: &mut Found) -> Result<(), Broken> {
        let called = self.heard.draws.get(self.drawn);
        if called.is_none_or(|drawn| (drawn.record, drawn.seq) != (said.record.id, said.seq)) {
            let told = "it is called for, and the hub does not tell it".to_owned();
            return Err(Broken { draw: Some(said.record.id), told });
        }
        self.sit(fresh, found)
    }

    fn has_part(&self, who: &RecordId) -> bool {
        let paid = self.heard.paid.is_some_and(|paid| [paid.payer, paid.payee].contains(who));
        let party = [self.complainant, self.body.respondent].contains(who);
        let mediates = self.mediator == Some(*who);
        paid || party || mediates || self.aside.contains(who) || self.others.contains(who)
    }

    /// Those who were drawn sit, for as many places as are drawn for.
    fn sit(&mut self, fresh: bool, found: &mut Found) -> Result<(), Broken> {
        let Some(drawn) = self.heard.draws.get(self.drawn) else { return Ok(()) };
        let broken = |told: String| Broken { draw: Some(drawn.record), told };
        drawn.check().map_err(broken)?;
        let most = if fresh { JURORS_MAX } else { 1 };
        if !(1..=most).contains(&drawn.places) {
            return Err(broken(format!("it is for {} places, and may be for {most}", drawn.places)));
        }
        if let Some(juror) = drawn.jurors.iter().find(|juror| self.has_part(juror)) {
            return Err(broken(format!("{juror} has a part in the grievance")));
        }
        self.drawn = self.drawn.saturating_add(1);
        if fresh {
            self.jurors.clear();
            self.accepted = None;
            self.juries = self.juries.saturating_add(1);
            if self.juries > JURIES_MAX {
                return Err(broken(format!("a grievance has at most {JURIES_MAX} juries")));
            }
        }
        if let Some(juror) = drawn.jurors.iter().find(|juror| self.jurors.contains(juror)) {
            return Err(broken(format!("{juror} sits already")));
        }
        self.jurors.extend(&drawn.jurors);
        let told = format!(
            "by the entropy of entry {} the first {} of {} lots",
            drawn.seq,
            drawn.jurors.len(),
            drawn.lots.len()
        );
        found.says(format!("draw {}", drawn.record), true, told);
        Ok(())
    }

    fn actor(&self, who: &RecordId, step: &Step) -> Actor {
        if *who == self.complainant {
            Actor::Complainant
        } else if *who == self.body.respondent {
            Actor::Respondent
        } else if self.mediator == Some(*who) {
            Actor::Mediator
        } else if self.jurors.contains(who) {
            Actor::Juror
        } else if *step == Step::Take {
            // Only the hub knows its stewards, and whose a credential is.
            Actor::Steward
        } else {
            Actor::Holder
        }
    }

    fn step(&mut self, said: Said<'_>, found: &mut Found) -> Result<(), Broken> {
        let StepBody { step } = said.record.body_as()?;
        let who = said.record.account();
        let actor = self.actor(&who, &step);
        let action = step.action(self.accepted, who)?;
        let (to, effect) = self.goes(action, actor)?;
        match step {
            Step::Take => self.mediator = Some(who),
            Step::Propose { outcome, .. } => {
                if !self.body.remedy.takes(outcome) {
                    return Err(format!("a {} has no such outcome", self.body.remedy.name()).into());
                }
                (self.proposed, self.accepted) = (Some((said.record.id, outcome)), None);
            }
            Step::Accept { proposal } => {
                if self.proposed.is_none_or(|(one, _)| one != proposal) {
                    return Err(format!("{proposal} is not what was proposed then").into());
                }
                self.accepted = Some(who);
            }
            Step::Conflict { .. } => {
                self.aside.insert(who);
                self.jurors.remove(&who);
                if actor == Actor::Mediator {
                    (self.mediator, self.proposed) = (None, None);
                }
            }
            Step::CommunityWide => self.proposed = None,
            Step::Withdraw => self.end = Some(End { ending: Ending::Withdrawn, outcome: None, at: said.at }),
            Step::Evidence { .. } | Step::Reject => {}
        }
        match effect {
            Effect::Draw | Effect::Replace => self.seat(said, effect == Effect::Draw, found)?,
            Effect::Execute => {
                let outcome = self.proposed.map(|(_, outcome)| outcome);
                self.end = Some(End { ending: Ending::Settled, outcome, at: said.at });
            }
            Effect::None | Effect::OpenVote => {}
        }
        self.state = to;
        Ok(())
    }

    fn by_the_hub(&self, record: &Record) -> Result<(), Broken> {
        if record.device == self.hub {
            return Ok(());
        }
        Err(format!("signed by {}, and not by the hub", record.device).into())
    }

    fn time_out(&mut self, said: Said<'_>, found: &mut Found) -> Result<(), Broken> {
        self.by_the_hub(said.record)?;
        let TimeoutBody { state } = said.record.body_as()?;
        if state != self.state {
            return Err(format!("the grievance is {} and not {}", self.state.name(), state.name()).into());
        }
        let action = table::timeout(state, self.jurors.is_empty());
        let (to, effect) = self.goes(action, Actor::Hub)?;
        match effect {
            Effect::Draw => self.seat(said, true, found)?,
            Effect::OpenVote => self.vote = None,
            _ => self.end = Some(End { ending: Ending::Undecided, outcome: None, at: said.at }),
        }
        self.state = to;
        Ok(())
    }

    fn asked(&mut self, said: Said<'_>) -> Result<(), Broken> {
        self.by_the_hub(said.record)?;
        let body: ProposalBody = said.record.body_as()?;
        let of_it = body.electorate == Electorate::Jury(self.id)
            && body.effect == Asked::Ruling { grievance: self.id }
            && jury::rule(self.body.remedy) == Some(body.rule);
        if !of_it || self.state != State::Voting || self.vote.is_some() {
            return Err("is not what a jury of this grievance is asked then".into());
        }
        self.vote = Some(Vote {
            id: said.record.id,
            rule: body.rule,
            closes_at: body.closes.ms(),
            electors: self.jurors.clone(),
            ballots: Vec::new(),
        });
        Ok(())
    }

    fn voted(&mut self, said: Said<'_>, found: &mut Found) -> Result<(), Broken> {
        let VoteBody { choice } = said.record.body_as()?;
        let elector = said.record.account();
        let Some(vote) = self.vote.as_mut().filter(|vote| said.record.about == Some(vote.id)) else {
            return Err("is about no vote that is open then".into());
        };
        if !vote.electors.contains(&elector) {
            return Err(format!("{elector} does not sit on the jury").into());
        }
        if said.at >= vote.closes_at || !vote.rule.takes(&choice) {
            return Err("came after the close, or says what the rule does not take".into());
        }
        let Said { record, seq, at } = said;
        vote.ballots.push(Ballot { seq, received_at: at, elector, record: record.id, choice });
        found.says(format!("ballot {}", record.id), true, format!("{elector} sits on the jury"));
        Ok(())
    }

    fn counted(&mut self, said: Said<'_>, found: &mut Found) -> Result<(), Broken> {
        self.by_the_hub(said.record)?;
        let body: TallyBody = said.record.body_as()?;
        let Some(vote) = self.vote.take().filter(|vote| said.record.about == Some(vote.id)) else {
            return Err("is about no vote that is open then".into());
        };
        let Vote { rule, closes_at, electors, ballots, .. } = vote;
        let result = tally(&electors, &rule, closes_at, &ballots);
        let cast = counted(&electors, &rule, closes_at, &ballots);
        for (holds, what) in [
            (said.at >= closes_at, "its moment is not after the close"),
            (body.electorate == digest(&electors), "electorate is not the jury that was drawn"),
            (body.ballots == digest(cast.into_iter().map(|ballot| &ballot.record)), "ballots are others"),
            (body.result == result, "result is not what the ballots come to"),
        ] {
            if !holds {
                return Err(what.into());
            }
        }
        let moved = self.heard.paid.map(|paid| paid.amount);
        let outcome = jury::outcome(self.body.remedy, moved, &result);
        let action = jury::action(outcome.as_ref(), self.juries);
        let (to, effect) = self.goes(action, Actor::Hub)?;
        let told = format!("{} of {} jurors have voted, counted again", result.voted, result.electors);
        found.says(format!("tally {}", said.record.id), true, told);
        if effect == Effect::Draw {
            self.seat(said, true, found)?;
        } else {
            let ending = if outcome.is_some() { Ending::Ruled } else { Ending::Undecided };
            self.end = Some(End { ending, outcome, at: said.at });
        }
        self.state = to;
        Ok(())
    }
}

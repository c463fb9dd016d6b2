//! Where a grievance stands and what may be done, by whom: every triple of state, action and actor. Each open state has a way
//! out that the hub takes when the time is over, so no exit depends on somebody who is absent.

use serde::{Deserialize, Serialize};

use crate::error::Refusal;

/// Where a grievance stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = GrievanceState)]
pub enum State {
    /// Filed; a steward may take it up as its mediator.
    Filed,
    /// A steward mediates.
    Mediation,
    /// The mediator has proposed an outcome, which both parties have to accept.
    Proposed,
    /// A jury is drawn; who has a conflict of interest steps aside, and the parties may still end it themselves. Of a deal either party may
    /// dispute it on its chain, whose jury rules.
    Escalated,
    /// The jury votes.
    Voting,
    /// It is over.
    Resolved,
}

impl State {
    /// Every one of them.
    pub const ALL: [Self; 6] =
        [Self::Filed, Self::Mediation, Self::Proposed, Self::Escalated, Self::Voting, Self::Resolved];

    /// As the database and JSON write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filed => "filed",
            Self::Mediation => "mediation",
            Self::Proposed => "proposed",
            Self::Escalated => "escalated",
            Self::Voting => "voting",
            Self::Resolved => "resolved",
        }
    }
}

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// Who has filed it.
    Complainant,
    /// Whom it is against.
    Respondent,
    /// Who has the credential that it is about.
    Holder,
    /// A steward of the community who has no part in it.
    Steward,
    /// The steward who has taken it up.
    Mediator,
    /// Drawn, and has not stepped aside.
    Juror,
    /// The hub.
    Hub,
}

impl Actor {
    /// Every one of them.
    pub const ALL: [Self; 7] = [
        Self::Complainant,
        Self::Respondent,
        Self::Holder,
        Self::Steward,
        Self::Mediator,
        Self::Juror,
        Self::Hub,
    ];

    /// As the database and JSON write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complainant => "complainant",
            Self::Respondent => "respondent",
            Self::Holder => "holder",
            Self::Steward => "steward",
            Self::Mediator => "mediator",
            Self::Juror => "juror",
            Self::Hub => "hub",
        }
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Takes it up as its mediator.
    Take,
    /// Shows something.
    Show,
    /// Proposes an outcome, in the place of an earlier one.
    Propose,
    /// Accepts the proposal, the first of the two.
    Accept,
    /// Accepts it when the other party has.
    Agree,
    /// Rejects the proposal.
    Reject,
    /// Declares a conflict of interest.
    Conflict,
    /// Declares that the matter is the whole community's.
    CommunityWide,
    /// Takes the complaint back.
    Withdraw,
    /// Mediation's time is over.
    Expire,
    /// The time to step aside is over, and somebody is left on the jury.
    Seat,
    /// The same, and nobody is.
    NobodyLeft,
    /// The jury has decided.
    Rule,
    /// It has not, and another one may be drawn.
    Hang,
    /// It has not, and was the last one.
    GiveUp,
    /// A party has disputed the deal on its chain.
    Dispute,
    /// The deal has closed on its chain.
    Close,
}

impl Action {
    /// Every one of them.
    pub const ALL: [Self; 17] = [
        Self::Take,
        Self::Show,
        Self::Propose,
        Self::Accept,
        Self::Agree,
        Self::Reject,
        Self::Conflict,
        Self::CommunityWide,
        Self::Withdraw,
        Self::Expire,
        Self::Seat,
        Self::NobodyLeft,
        Self::Rule,
        Self::Hang,
        Self::GiveUp,
        Self::Dispute,
        Self::Close,
    ];

    /// In refusals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::Show => "evidence",
            Self::Propose => "propose",
            Self::Accept | Self::Agree => "accept",
            Self::Reject => "reject",
            Self::Conflict => "conflict",
            Self::CommunityWide => "community_wide",
            Self::Withdraw => "withdraw",
            Self::Expire | Self::Seat | Self::NobodyLeft => "timeout",
            Self::Rule | Self::Hang | Self::GiveUp => "tally",
            Self::Dispute | Self::Close => "event of a chain",
        }
    }
}

/// What else happens, in the same transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// A jury is drawn; of a deal none, for its jury is the chain's.
    Draw,
    /// The juror's place is drawn anew.
    Replace,
    /// The jury's vote opens.
    OpenVote,
    /// What was agreed on, or what the jury has ruled, is done.
    Execute,
}

/// Where an action leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There, with this.
    To(State, Effect),
    /// Nobody does that to a grievance that stands so.
    NotSo,
    /// Somebody may, and not this one.
    NotYours,
}

/// The table.
pub const fn next(state: State, action: Action, actor: Actor) -> Next {
    use Action as A;
    use Actor as W;
    use State as S;
    let (by, to, effect) = match (state, action) {
        (S::Filed, A::Take) => (matches!(actor, W::Steward), S::Mediation, Effect::None),
        (S::Filed | S::Mediation | S::Proposed | S::Escalated, A::Show) => {
            (matches!(actor, W::Complainant | W::Respondent | W::Holder), state, Effect::None)
        }
        (S::Mediation | S::Proposed, A::Propose) => (matches!(actor, W::Mediator), S::Proposed, Effect::None),
        (S::Proposed | S::Escalated, A::Accept) => {
            (matches!(actor, W::Complainant | W::Respondent), state, Effect::None)
        }
        (S::Proposed | S::Escalated, A::Agree) => {
            (matches!(actor, W::Complainant | W::Respondent), S::Resolved, Effect::Execute)
        }
        (S::Proposed, A::Reject) => {
            (matches!(actor, W::Complainant | W::Respondent), S::Escalated, Effect::Draw)
        }
        (S::Mediation | S::Proposed, A::Conflict | A::CommunityWide) => {
            (matches!(actor, W::Mediator), S::Escalated, Effect::Draw)
        }
        (S::Escalated, A::Conflict) => (matches!(actor, W::Juror), S::Escalated, Effect::Replace),
        // Until the jury votes; from then on it is the community's to end.
        (S::Filed | S::Mediation | S::Proposed | S::Escalated, A::Withdraw) => {
            (matches!(actor, W::Complainant), S::Resolved, Effect::None)
        }
        (S::Filed | S::Mediation | S::Proposed, A::Expire) => {
            (matches!(actor, W::Hub), S::Escalated, Effect::Draw)
        }
        (S::Filed | S::Mediation | S::Proposed, A::Dispute) => {
            (matches!(actor, W::Hub), S::Escalated, Effect::Draw)
        }
        (S::Filed | S::Mediation | S::Proposed | S::Escalated, A::Close) => {
            (matches!(actor, W::Hub), S::Resolved, Effect::None)
        }
        (S::Escalated, A::Seat) => (matches!(actor, W::Hub), S::Voting, Effect::OpenVote),
        (S::Escalated, A::NobodyLeft) => (matches!(actor, W::Hub), S::Resolved, Effect::None),
        (S::Voting, A::Rule) => (matches!(actor, W::Hub), S::Resolved, Effect::Execute),
        (S::Voting, A::Hang) => (matches!(actor, W::Hub), S::Escalated, Effect::Draw),
        (S::Voting, A::GiveUp) => (matches!(actor, W::Hub), S::Resolved, Effect::None),
        _ => return Next::NotSo,
    };
    if by { Next::To(to, effect) } else { Next::NotYours }
}

/// What it is that the time of a state is over, where nobody sits on its jury or somebody does.
pub const fn timeout(state: State, nobody: bool) -> Action {
    match (state, nobody) {
        (State::Escalated, true) => Action::NobodyLeft,
        (State::Escalated, false) => Action::Seat,
        _ => Action::Expire,
    }
}

/// The same for `submit`, at a moment: before `due_at` for whoever is not the hub, from it on for the hub. Both are Unix
/// milliseconds; none: the hub's own record says when.
///
/// # Errors
/// `resolved`, `not_now`, `not_yours`, `time_over`, `time_not_over`.
pub fn may(
    state: State,
    action: Action,
    actor: Actor,
    now: i64,
    due_at: Option<i64>,
) -> Result<(State, Effect), Refusal> {
    let (to, effect) = match next(state, action, actor) {
        Next::To(to, effect) => (to, effect),
        Next::NotSo if state == State::Resolved => {
            return Err(Refusal::conflict("resolved", "/about", "the grievance is resolved already"));
        }
        Next::NotSo => {
            let told = format!("a grievance in state {} takes no {}", state.name(), action.name());
            return Err(Refusal::conflict("not_now", "/body", told));
        }
        Next::NotYours => {
            let told = format!("is the {}, who has no {} to say here", actor.name(), action.name());
            return Err(Refusal::access("not_yours", "/author", told));
        }
    };
    match (due_at, actor) {
        (Some(due), Actor::Hub) if now < due => {
            Err(Refusal::conflict("time_not_over", "/about", "the time for this is not over"))
        }
        (Some(due), who) if who != Actor::Hub && now >= due => {
            Err(Refusal::conflict("time_over", "/about", "the time for this is over"))
        }
        _ => Ok((to, effect)),
    }
}

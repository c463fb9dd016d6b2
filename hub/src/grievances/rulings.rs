//! Juries, and what an outcome does, in the transaction of the record that decides it.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AnyConnection, Connection as _};

use super::{
    draws,
    jury::{self, Draw, Drawn},
    model::{DAY_MS, Ending, Outcome, Remedy},
    room::tell,
    store::{self, Grievance, Part, Resolution, Undone, Vote, corrupt},
    subject::Subject,
    table::{self, Action, Actor, State},
};
use crate::{
    access::Audience,
    communities,
    error::{Error, Refusal},
    governance::{
        self,
        model::{Effect, ProposalBody},
        rule::{Ballots, Electorate},
        settings::Settings,
        tally::Tally,
    },
    ledger::{
        self,
        model::{Asset, Holder, Key, Kind, OperationId},
        post::Leg,
        rules::Purpose,
    },
    records::{Accepted, Draft, RecordId, Stamp},
    reputation,
};

/// How a grievance ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resolving {
    pub ending: Ending,
    pub outcome: Option<Outcome>,
}

/// What came of doing an outcome.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    /// Why nothing of it could be done, where that is so.
    pub refused: Option<Refusal>,
    /// What the hub says because of it.
    pub drafts: Vec<Draft>,
}

/// How long jurors may step aside, in milliseconds: a quarter of the time that a jury sits.
const fn aside_ms(settings: &Settings) -> i64 {
    settings.jury_seconds.saturating_mul(250)
}

/// How long the vote of a jury is open, in milliseconds: the rest of it.
const fn vote_ms(settings: &Settings) -> i64 {
    settings.jury_seconds.saturating_mul(750)
}

/// Draws a jury, by the entropy of this entry of the log. Of a deal it draws none: its parties go before the chain's.
pub(super) async fn draw(
    on: &mut AnyConnection,
    grievance: &mut Grievance,
    settings: &Settings,
    accepted: &Accepted,
) -> Result<(), Error> {
    if grievance.subject.deal.is_some() {
        grievance.due_at = None;
        return Ok(());
    }
    store::dismiss(on, &grievance.id).await?;
    // Before a jury both parties have to accept anew.
    grievance.accepted = None;
    grievance.juries = grievance.juries.saturating_add(1);
    grievance.due_at = Some(accepted.received_at.saturating_add(aside_ms(settings)));
    seat(on, grievance, usize::try_from(settings.jury_size).unwrap_or(1), accepted).await
}

/// Draws one in the place of a juror who has stepped aside; nobody where nobody is left.
pub(super) async fn replace(
    on: &mut AnyConnection,
    grievance: &Grievance,
    accepted: &Accepted,
) -> Result<(), Error> {
    seat(on, grievance, 1, accepted).await
}

/// Seats so many members who belonged to the community when the grievance was filed and have no part in it, nor had one but on an
/// earlier jury.
async fn seat(
    on: &mut AnyConnection,
    grievance: &Grievance,
    places: usize,
    accepted: &Accepted,
) -> Result<(), Error> {
    let people = store::people(on, &grievance.id).await?;
    let has_part = |part: Part| part != Part::Former;
    let mut excluded: BTreeSet<RecordId> =
        people.iter().filter(|(_, part)| has_part(**part)).map(|(account, _)| *account).collect();
    excluded.insert(grievance.subject.author);
    excluded.extend(grievance.subject.member.map(|(member, _)| member));
    excluded.extend(grievance.subject.paid.into_iter().flat_map(|paid| [paid.payer, paid.payee]));
    let mut draw = Draw::new(accepted.entropy, places, &excluded);
    let Grievance { community, filed_at, members, .. } = grievance;
    // Whoever belonged to it then has no higher number by now.
    let members = communities::count(on, community).await?.min(*members);
    let offered = jury::offered(accepted.entropy, members);
    for candidate in communities::numbered(on, community, *filed_at, &offered).await? {
        draw.offer(candidate);
    }
    let (lots, jurors) = (draw.lots(), draw.drawn());
    for juror in &jurors {
        store::set_part(on, &grievance.id, juror, Part::Juror).await?;
    }
    let drawn = Drawn {
        record: accepted.record.id,
        seq: accepted.seq,
        entropy: accepted.entropy.into(),
        places: u8::try_from(places).unwrap_or(u8::MAX),
        members,
        lots,
        jurors,
    };
    draws::add(on, &grievance.id, &drawn).await
}

/// What the hub proposes to a jury, which parties, mediator and jurors may read: they are the 16 that a record may name.
pub(super) fn ask(
    hub: RecordId,
    grievance: &Grievance,
    people: &BTreeMap<RecordId, Part>,
    settings: &Settings,
    now: i64,
) -> Result<Draft, Error> {
    let rule = jury::rule(grievance.body.remedy).ok_or_else(|| corrupt("a jury has no rule"))?;
    let body = ProposalBody {
        title: grievance.body.title.clone(),
        text: String::new(),
        electorate: Electorate::Jury(grievance.id),
        rule,
        ballots: Ballots::Hidden,
        closes: Stamp::from_ms(now.saturating_add(vote_ms(settings))),
        effect: Effect::Ruling { grievance: grievance.id },
    };
    let audience = people
        .iter()
        .filter(|(_, part)| part.actor().is_some() && **part != Part::Holder)
        .map(|(account, _)| Audience::Account(*account))
        .collect();
    let body = serde_json::to_value(body).map_err(corrupt)?;
    let draft = Draft::new("proposal@1", Some(hub), Stamp::from_ms(now), body);
    Ok(draft.about(grievance.community).only_for(audience))
}

/// The electors of a jury's vote that opens by this proposal.
///
/// # Errors
/// Step `rule`: there is no grievance whose jury is to vote now.
pub(crate) async fn seated(
    on: &mut AnyConnection,
    id: &RecordId,
    proposal: &RecordId,
) -> Result<BTreeSet<RecordId>, Error> {
    let found = store::one(on, id).await?;
    let Some(mut grievance) = found.filter(|one| one.state == State::Voting && one.vote.is_none()) else {
        let told = format!("there is no grievance {id} whose jury is to vote now");
        return Err(Refusal::conflict("not_voting", "/body/electorate/jury", told).into());
    };
    grievance.vote = Some(Vote { proposal: *proposal, reward: None, unrewarded: None });
    store::put(on, &grievance).await?;
    Ok(store::with_part(&store::people(on, id).await?, Part::Juror))
}

/// What comes of a jury's vote, on which `sided` have taken a side.
///
/// # Errors
/// The database fails, or the grievance waits for no such vote.
pub(crate) async fn ruled(
    hub: RecordId,
    on: &mut AnyConnection,
    (id, proposal): (&RecordId, &RecordId),
    tally: &Tally,
    sided: &BTreeSet<RecordId>,
    accepted: &Accepted,
) -> Result<Done, Error> {
    let found = store::one(on, id).await?;
    let vote = found.as_ref().and_then(|one| one.vote.clone()).filter(|vote| vote.proposal == *proposal);
    let (Some(mut grievance), Some(vote)) = (found, vote) else {
        return Err(corrupt(format_args!("{id} waits for no vote {proposal}")));
    };
    let paid = grievance.subject.paid.map(|paid| paid.amount);
    let outcome = jury::outcome(grievance.body.remedy, paid, tally);
    let action = jury::action(outcome.as_ref(), grievance.juries);
    let (to, _) = table::may(grievance.state, action, Actor::Hub, accepted.received_at, grievance.due_at)?;
    grievance.state = to;
    let settings = governance::settings(on, &grievance.community).await?;
    let (reward, unrewarded) = match outcome {
        // Beside the outcome's own operation.
        Some(_) => {
            let id = OperationId { record: accepted.record.id, part: 1 };
            reward(on, (&grievance.community, &settings), sided, id, accepted.received_at).await?
        }
        None => (Some(0), undecided(&settings)),
    };
    grievance.vote = Some(Vote { reward, unrewarded, ..vote });
    let mut done = Done::default();
    if action == Action::Hang {
        draw(on, &mut grievance, &settings, accepted).await?;
    } else {
        let ending = if outcome.is_some() { Ending::Ruled } else { Ending::Undecided };
        done = resolve(hub, on, &mut grievance, Resolving { ending, outcome }, accepted).await?;
    }
    store::put(on, &grievance).await?;
    tell(on, &grievance, &[]).await?;
    Ok(done)
}

/// Ends it and does what was decided, all of it or nothing; the decision stands in any case.
pub(super) async fn resolve(
    hub: RecordId,
    on: &mut AnyConnection,
    grievance: &mut Grievance,
    Resolving { ending, outcome }: Resolving,
    accepted: &Accepted,
) -> Result<Done, Error> {
    let mut done = Done::default();
    if let Some(outcome) = outcome {
        let mut inner = on.begin().await?;
        match perform(hub, &mut inner, grievance, (ending, outcome), accepted).await {
            Ok(drafts) => {
                inner.commit().await?;
                done.drafts = drafts;
            }
            Err(Error::Refused(refusal)) => {
                inner.rollback().await?;
                done.refused = Some(refusal);
            }
            Err(error) => return Err(error),
        }
    }
    grievance.state = State::Resolved;
    grievance.due_at = None;
    let unexecuted = done.refused.as_ref().map(Undone::from);
    grievance.resolution = Some(Resolution { ending, outcome, at: accepted.received_at, unexecuted });
    Ok(done)
}

async fn perform(
    hub: RecordId,
    on: &mut AnyConnection,
    grievance: &Grievance,
    (ending, outcome): (Ending, Outcome),
    accepted: &Accepted,
) -> Result<Vec<Draft>, Error> {
    let Grievance { community, complainant, body, subject, .. } = grievance;
    let at = accepted.received_at;
    if let Some(amount) = subject.paid.and_then(|paid| outcome.gives_back(paid.amount)) {
        let (id, reversed) = (OperationId::first(accepted.record.id), OperationId::first(body.subject));
        ledger::reversed(on, id, reversed, amount, at).await?;
        return reputation::unpaid(on, hub, &body.subject, &grievance.id, at).await;
    }
    match (outcome, body.remedy) {
        (Outcome::Rejected, _) | (Outcome::Upheld, Remedy::Statement) => {}
        (Outcome::Upheld, Remedy::Revocation) => {
            return Ok(vec![reputation::revocation(on, hub, &body.subject, &grievance.id, at).await?]);
        }
        (Outcome::Upheld, Remedy::Restoration) => {
            // All may have decided since it was filed, and whoever belongs to it again needs nothing.
            if communities::role_of(on, community, complainant).await?.is_some() {
                return Ok(Vec::new());
            }
            Subject::is_last_word(body, communities::last_word(on, community, complainant).await?)?;
            communities::restore_member(on, community, complainant, accepted).await?;
            if ending == Ending::Settled {
                communities::settled_member(on, community, complainant, body.subject).await?;
            }
        }
        (Outcome::Upheld, Remedy::Removal) => {
            // A steward who says once more what the respondent is takes it from no jury.
            Subject::is_undecided(body, communities::last_word(on, community, &body.respondent).await?)?;
            communities::decide_member(on, community, &body.respondent, None, accepted).await?;
            if ending == Ending::Settled {
                communities::settled_member(on, community, &body.respondent, body.subject).await?;
            }
        }
        (_, remedy) => return Err(corrupt(format_args!("{outcome:?} came of a {}", remedy.name()))),
    }
    Ok(Vec::new())
}

/// A jury that does not decide is not paid, which is said where juries are.
fn undecided(settings: &Settings) -> Option<Undone> {
    let detail = "a jury that does not decide is not paid".to_owned();
    (settings.juror_reward > 0).then(|| Undone { rule: "undecided".to_owned(), detail })
}

/// What a community pays the jurors of a deal's case whose ballots counted, by the same rules: all of them, or nobody.
///
/// # Errors
/// The database fails.
pub(crate) async fn rewarded(
    on: &mut AnyConnection,
    community: &RecordId,
    jurors: &BTreeSet<RecordId>,
    id: OperationId,
    accepted: &Accepted,
) -> Result<bool, Error> {
    let settings = governance::settings(on, community).await?;
    let (each, _) = reward(on, (community, &settings), jurors, id, accepted.received_at).await?;
    Ok(each.is_some_and(|each| each > 0))
}

/// The community's treasury pays each juror who has taken a side, or nobody: what, and why not.
async fn reward(
    on: &mut AnyConnection,
    (community, settings): (&RecordId, &Settings),
    sided: &BTreeSet<RecordId>,
    id: OperationId,
    at: i64,
) -> Result<(Option<i64>, Option<Undone>), Error> {
    let Settings { juror_reward: each, juror_rewards_daily: most, .. } = *settings;
    if each <= 0 || sided.is_empty() {
        return Ok((Some(0), None));
    }
    let together = sided.iter().fold(0_i64, |sum, _| sum.saturating_add(each));
    let since = at.saturating_sub(DAY_MS);
    let paid = store::rewarded_since(on, community, since).await?;
    if paid.saturating_add(together) > most {
        let detail = format!(
            "the treasury has paid jurors {paid} within a day and pays {most} at the most: {together} are too many"
        );
        return Ok((Some(0), Some(Undone { rule: "rewards_of_the_day".to_owned(), detail })));
    }
    let treasury = Key { asset: Asset::TimeCredit, kind: Kind::Treasury, holder: Holder::Record(*community) };
    let amount = i128::from(each);
    let mut legs = vec![Leg { account: treasury, amount: i128::from(together).saturating_neg() }];
    legs.extend(sided.iter().map(|voter| Leg { account: Key::member(Asset::TimeCredit, *voter), amount }));
    let mut inner = on.begin().await?;
    match ledger::decided(&mut inner, id, Purpose::Reward, legs, at).await {
        Ok(()) => {
            store::add_reward(&mut inner, id, community, together, at).await?;
            inner.commit().await?;
            Ok((Some(each), None))
        }
        Err(Error::Refused(refusal)) => {
            inner.rollback().await?;
            Ok((Some(0), Some(Undone::from(&refusal))))
        }
        Err(error) => Err(error),
    }
}

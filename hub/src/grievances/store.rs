use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    str::FromStr,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sqlx::{AnyConnection, AssertSqlSafe, Row as _, any::AnyRow};

use super::{
    model::{Ending, GrievanceBody, Outcome},
    subject::{Earlier, Subject},
    table::{Actor, State},
};
use crate::{
    error::{Error, Refusal},
    ledger,
    records::{Accepted, RecordId},
};

/// Which part somebody has in a grievance, or had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Complainant,
    Respondent,
    /// Has the credential that it is about.
    Holder,
    Mediator,
    /// Sits on the jury.
    Juror,
    /// Sat on one that did not decide.
    Former,
    /// Mediated or was drawn, and has stepped aside.
    Recused,
}

impl Part {
    const ALL: [Self; 7] = [
        Self::Complainant,
        Self::Respondent,
        Self::Holder,
        Self::Mediator,
        Self::Juror,
        Self::Former,
        Self::Recused,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Complainant => "complainant",
            Self::Respondent => "respondent",
            Self::Holder => "holder",
            Self::Mediator => "mediator",
            Self::Juror => "juror",
            Self::Former => "former_juror",
            Self::Recused => "recused",
        }
    }

    /// As whom they act; none: not any more.
    pub(super) const fn actor(self) -> Option<Actor> {
        match self {
            Self::Complainant => Some(Actor::Complainant),
            Self::Respondent => Some(Actor::Respondent),
            Self::Holder => Some(Actor::Holder),
            Self::Mediator => Some(Actor::Mediator),
            Self::Juror => Some(Actor::Juror),
            Self::Former | Self::Recused => None,
        }
    }
}

/// Why something that was decided was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Undone {
    /// The rule's name.
    pub rule: String,
    /// The rule in words.
    pub detail: String,
}

impl From<&Refusal> for Undone {
    fn from(refusal: &Refusal) -> Self {
        Self { rule: refusal.rule.to_owned(), detail: refusal.detail.clone() }
    }
}

/// How a grievance ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Resolution {
    pub ending: Ending,
    /// None where it was taken back or not decided.
    pub outcome: Option<Outcome>,
    /// Unix milliseconds.
    pub at: i64,
    /// Why nothing of the outcome could be done, where that is so.
    pub unexecuted: Option<Undone>,
}

/// What a mediator has proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Proposed {
    /// The `grievance-step@1` that did.
    pub record: RecordId,
    pub outcome: Outcome,
}

/// A jury's vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Vote {
    /// The proposal in the governance room.
    pub proposal: RecordId,
    /// What each juror who took a side was paid, in hundredths of an hour; none before the close.
    pub reward: Option<i64>,
    /// Why nobody was paid, where the community pays its jurors and that is so.
    pub unrewarded: Option<Undone>,
}

/// A grievance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grievance {
    pub id: RecordId,
    /// Its place in the log.
    pub seq: i64,
    pub community: RecordId,
    pub complainant: RecordId,
    pub body: GrievanceBody,
    pub subject: Subject,
    /// Unix milliseconds.
    pub filed_at: i64,
    /// How many members the community had then.
    pub members: i64,
    pub state: State,
    /// When the hub takes it further; none while a vote is open and when it is over.
    pub due_at: Option<i64>,
    pub proposed: Option<Proposed>,
    /// Which party has accepted that.
    pub accepted: Option<RecordId>,
    /// How many juries were drawn.
    pub juries: i64,
    /// The last jury's.
    pub vote: Option<Vote>,
    pub resolution: Option<Resolution>,
}

pub(super) fn corrupt(what: impl Display) -> Error {
    Error::Corrupt(format!("grievances: {what}"))
}

fn parsed<T: FromStr<Err: Display>>(row: &AnyRow, column: &str) -> Result<T, Error> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error| corrupt(format_args!("{column}: {error}")))
}

fn json<T: DeserializeOwned>(row: &AnyRow, column: &str) -> Result<T, Error> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|error| corrupt(format_args!("{column}: {error}")))
}

fn optional<T: DeserializeOwned>(row: &AnyRow, column: &str) -> Result<Option<T>, Error> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| corrupt(format_args!("{column}: {error}"))))
        .transpose()
}

fn text(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(corrupt)
}

/// Keeps one that is filed, with its parties and whose credential it is about.
pub(super) async fn add(on: &mut AnyConnection, grievance: &Grievance) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO grievances (id, seq, community, complainant, subject, body, facts, filed_at, members, state, due_at, juries)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(grievance.id.to_string())
    .bind(grievance.seq)
    .bind(grievance.community.to_string())
    .bind(grievance.complainant.to_string())
    .bind(grievance.body.subject.to_string())
    .bind(text(&grievance.body)?)
    .bind(text(&grievance.subject)?)
    .bind(grievance.filed_at)
    .bind(grievance.members)
    .bind(grievance.state.name())
    .bind(grievance.due_at)
    .bind(grievance.juries)
    .execute(&mut *on)
    .await?;
    for (account, part) in
        [(grievance.complainant, Part::Complainant), (grievance.body.respondent, Part::Respondent)]
    {
        set_part(on, &grievance.id, &account, part).await?;
    }
    let parties = [grievance.complainant, grievance.body.respondent];
    if let Some(holder) = grievance.subject.holder.filter(|holder| !parties.contains(holder)) {
        set_part(on, &grievance.id, &holder, Part::Holder).await?;
    }
    Ok(())
}

/// Keeps how it stands.
pub(super) async fn put(on: &mut AnyConnection, grievance: &Grievance) -> Result<(), Error> {
    sqlx::query(
        "UPDATE grievances SET state = $1, due_at = $2, proposed = $3, accepted = $4, juries = $5, vote = $6,
             resolution = $7, ended_at = $8 WHERE id = $9",
    )
    .bind(grievance.state.name())
    .bind(grievance.due_at)
    .bind(grievance.proposed.as_ref().map(text).transpose()?)
    .bind(grievance.accepted.map(|id| id.to_string()))
    .bind(grievance.juries)
    .bind(grievance.vote.as_ref().map(text).transpose()?)
    .bind(grievance.resolution.as_ref().map(text).transpose()?)
    .bind(grievance.resolution.as_ref().map(|resolution| resolution.at))
    .bind(grievance.id.to_string())
    .execute(on)
    .await?;
    Ok(())
}

const GRIEVANCE: &str =
    "SELECT id, seq, community, complainant, body, facts, filed_at, members, state, due_at, proposed, accepted,
    juries, vote, resolution FROM grievances";

fn read(row: &AnyRow) -> Result<Grievance, Error> {
    let state: String = row.try_get("state")?;
    let state = State::ALL.into_iter().find(|known| known.name() == state);
    let accepted: Option<String> = row.try_get("accepted")?;
    Ok(Grievance {
        id: parsed(row, "id")?,
        seq: row.try_get("seq")?,
        community: parsed(row, "community")?,
        complainant: parsed(row, "complainant")?,
        body: json(row, "body")?,
        subject: json(row, "facts")?,
        filed_at: row.try_get("filed_at")?,
        members: row.try_get("members")?,
        state: state.ok_or_else(|| corrupt("a grievance is in an unknown state"))?,
        due_at: row.try_get("due_at")?,
        proposed: optional(row, "proposed")?,
        accepted: accepted.map(|id| id.parse().map_err(corrupt)).transpose()?,
        juries: row.try_get("juries")?,
        vote: optional(row, "vote")?,
        resolution: optional(row, "resolution")?,
    })
}

impl Grievance {
    /// As what comes after it sees it.
    pub(super) fn earlier(&self) -> Earlier {
        let ended = self.resolution.as_ref().map(|resolution| (resolution.ending, resolution.at));
        Earlier { id: self.id, complainant: self.complainant, ended, drawn: self.juries > 0 }
    }
}

pub(super) async fn one(on: &mut AnyConnection, id: &RecordId) -> Result<Option<Grievance>, Error> {
    let sql = AssertSqlSafe(format!("{GRIEVANCE} WHERE id = $1"));
    let row = sqlx::query(sql).bind(id.to_string()).fetch_optional(on).await?;
    row.as_ref().map(read).transpose()
}

/// Those in which an account has a part or had a seat that it kept, and filed ones of these communities, after `after` in the log,
/// ascending; of one community and in one state where they are named.
pub(super) async fn for_reader(
    on: &mut AnyConnection,
    (account, stewarded): (&RecordId, &[RecordId]),
    (community, state): (Option<RecordId>, Option<State>),
    after: i64,
    limit: i64,
) -> Result<Vec<Grievance>, Error> {
    let sql = format!(
        "{GRIEVANCE} WHERE seq > $2
         AND (id IN (SELECT grievance FROM grievance_people WHERE account = $3 AND part <> 'recused')
              OR (state = 'filed' AND community IN {}))
         AND (community = $4 OR $4 = '') AND (state = $5 OR $5 = '') ORDER BY seq LIMIT $6",
        ledger::texts(on)
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(text(&stewarded)?)
        .bind(after)
        .bind(account.to_string())
        .bind(community.map(|id| id.to_string()).unwrap_or_default())
        .bind(state.map_or("", State::name))
        .bind(limit)
        .fetch_all(on)
        .await?;
    rows.iter().map(read).collect()
}

/// How many grievances of a complainant are open, and how many were filed after a moment.
pub(super) async fn filed_by(
    on: &mut AnyConnection,
    complainant: &RecordId,
    since: i64,
) -> Result<(i64, i64), Error> {
    let row = sqlx::query(
        "SELECT CAST(COALESCE(SUM(CASE WHEN state <> 'resolved' THEN 1 ELSE 0 END), 0) AS BIGINT) AS open,
                CAST(COALESCE(SUM(CASE WHEN filed_at > $2 THEN 1 ELSE 0 END), 0) AS BIGINT) AS filed
         FROM grievances WHERE complainant = $1",
    )
    .bind(complainant.to_string())
    .bind(since)
    .fetch_one(on)
    .await?;
    Ok((row.try_get("open")?, row.try_get("filed")?))
}

/// The grievances about a subject, in whichever community: those of a complainant, and of anybody those that ended after a moment.
pub(super) async fn about(
    on: &mut AnyConnection,
    subject: &RecordId,
    complainant: &RecordId,
    since: i64,
) -> Result<Vec<Grievance>, Error> {
    let sql = AssertSqlSafe(format!(
        "{GRIEVANCE} WHERE subject = $1 AND (complainant = $2 OR ended_at > $3) ORDER BY seq"
    ));
    let rows = sqlx::query(sql)
        .bind(subject.to_string())
        .bind(complainant.to_string())
        .bind(since)
        .fetch_all(on)
        .await?;
    rows.iter().map(read).collect()
}

/// The open grievances about a subject.
pub(super) async fn open_about(on: &mut AnyConnection, subject: &RecordId) -> Result<Vec<Grievance>, Error> {
    let sql = AssertSqlSafe(format!("{GRIEVANCE} WHERE subject = $1 AND state <> 'resolved' ORDER BY seq"));
    let rows = sqlx::query(sql).bind(subject.to_string()).fetch_all(on).await?;
    rows.iter().map(read).collect()
}

/// The grievances against somebody in a community that ended after a moment.
pub(super) async fn against(
    on: &mut AnyConnection,
    community: &RecordId,
    respondent: &RecordId,
    since: i64,
) -> Result<Vec<Grievance>, Error> {
    let sql = AssertSqlSafe(format!(
        "{GRIEVANCE} WHERE community = $1 AND ended_at > $2
         AND id IN (SELECT grievance FROM grievance_people WHERE account = $3 AND part = 'respondent') ORDER BY seq"
    ));
    let rows = sqlx::query(sql)
        .bind(community.to_string())
        .bind(since)
        .bind(respondent.to_string())
        .fetch_all(on)
        .await?;
    rows.iter().map(read).collect()
}

pub(super) async fn set_part(
    on: &mut AnyConnection,
    grievance: &RecordId,
    account: &RecordId,
    part: Part,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO grievance_people (grievance, account, part) VALUES ($1, $2, $3)
         ON CONFLICT (grievance, account) DO UPDATE SET part = excluded.part",
    )
    .bind(grievance.to_string())
    .bind(account.to_string())
    .bind(part.name())
    .execute(on)
    .await?;
    Ok(())
}

/// The jury has not decided; its members sit no more.
pub(super) async fn dismiss(on: &mut AnyConnection, grievance: &RecordId) -> Result<(), Error> {
    sqlx::query("UPDATE grievance_people SET part = 'former_juror' WHERE grievance = $1 AND part = 'juror'")
        .bind(grievance.to_string())
        .execute(on)
        .await?;
    Ok(())
}

/// Everybody with a part, or who had one.
pub(super) async fn people(
    on: &mut AnyConnection,
    grievance: &RecordId,
) -> Result<BTreeMap<RecordId, Part>, Error> {
    let rows = sqlx::query("SELECT account, part FROM grievance_people WHERE grievance = $1")
        .bind(grievance.to_string())
        .fetch_all(on)
        .await?;
    rows.iter()
        .map(|row| {
            let part: String = row.try_get("part")?;
            let part = Part::ALL.into_iter().find(|known| known.name() == part);
            Ok((parsed(row, "account")?, part.ok_or_else(|| corrupt("a part is unknown"))?))
        })
        .collect()
}

/// Keeps what was done.
pub(super) async fn add_step(
    on: &mut AnyConnection,
    grievance: &RecordId,
    step: &str,
    accepted: &Accepted,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO grievance_steps (grievance, seq, account, record, step, received_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(grievance.to_string())
    .bind(accepted.seq)
    .bind(accepted.record.account().to_string())
    .bind(accepted.record.id.to_string())
    .bind(step)
    .bind(accepted.received_at)
    .execute(on)
    .await?;
    Ok(())
}

/// How many steps of this name an account has taken.
pub(super) async fn steps_of(
    on: &mut AnyConnection,
    grievance: &RecordId,
    account: &RecordId,
    step: &str,
) -> Result<i64, Error> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM grievance_steps WHERE grievance = $1 AND account = $2 AND step = $3";
    let query = sqlx::query_scalar(sql).bind(grievance.to_string()).bind(account.to_string()).bind(step);
    Ok(query.fetch_one(on).await?)
}

/// Steps after `after` in the log, ascending: place, record and when it was taken.
pub(super) async fn steps(
    on: &mut AnyConnection,
    grievance: &RecordId,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, RecordId, i64)>, Error> {
    let rows = sqlx::query(
        "SELECT seq, record, received_at FROM grievance_steps WHERE grievance = $1 AND seq > $2 ORDER BY seq LIMIT $3",
    )
    .bind(grievance.to_string())
    .bind(after)
    .bind(limit)
    .fetch_all(on)
    .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("seq")?, parsed(row, "record")?, row.try_get("received_at")?)))
        .collect()
}

/// Keeps what a jury was paid.
pub(super) async fn add_reward(
    on: &mut AnyConnection,
    id: ledger::model::OperationId,
    community: &RecordId,
    amount: i64,
    at: i64,
) -> Result<(), Error> {
    sqlx::query("INSERT INTO juror_rewards (operation, community, amount, at) VALUES ($1, $2, $3, $4)")
        .bind(id.to_string())
        .bind(community.to_string())
        .bind(amount)
        .bind(at)
        .execute(on)
        .await?;
    Ok(())
}

/// Whether a jury was paid by this operation.
pub(crate) async fn was_rewarded(
    on: &mut AnyConnection,
    id: ledger::model::OperationId,
) -> Result<bool, Error> {
    let row = sqlx::query("SELECT operation FROM juror_rewards WHERE operation = $1")
        .bind(id.to_string())
        .fetch_optional(on)
        .await?;
    Ok(row.is_some())
}

/// What a community's juries were paid after a moment.
pub(super) async fn rewarded_since(
    on: &mut AnyConnection,
    community: &RecordId,
    since: i64,
) -> Result<i64, Error> {
    let sql =
        "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM juror_rewards WHERE community = $1 AND at > $2";
    Ok(sqlx::query_scalar(sql).bind(community.to_string()).bind(since).fetch_one(on).await?)
}

/// Whose part is this.
pub(super) fn with_part(people: &BTreeMap<RecordId, Part>, part: Part) -> BTreeSet<RecordId> {
    people.iter().filter(|(_, one)| **one == part).map(|(account, _)| *account).collect()
}

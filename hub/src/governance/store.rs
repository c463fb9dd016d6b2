use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    str::FromStr,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};

use super::{
    model::{ProposalBody, VoteBody},
    rule::Electorate,
    settings::{Setting, Settings},
    table::State,
    tally::{Ballot, Tally},
};
use crate::{
    access::{Audience, List, Order, Reader, belongs_to, readable, show_to},
    error::{Error, Refusal},
    ledger,
    records::{Accepted, Device, RecordId},
};

/// Why nothing of an effect could happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unexecuted {
    /// The rule's name.
    pub rule: String,
    /// The rule in words.
    pub detail: String,
}

impl From<Refusal> for Unexecuted {
    fn from(refusal: Refusal) -> Self {
        Self { rule: refusal.rule.to_owned(), detail: refusal.detail }
    }
}

/// How a proposal ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// The `tally@1`.
    pub record: RecordId,
    pub result: Tally,
    /// Unix milliseconds.
    pub at: i64,
    /// Where it was accepted and nothing happened.
    pub unexecuted: Option<Unexecuted>,
}

/// A proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proposal {
    pub id: RecordId,
    /// Its place in the log.
    pub seq: i64,
    pub community: RecordId,
    pub author: RecordId,
    pub body: ProposalBody,
    pub audience: Vec<Audience>,
    /// Unix milliseconds.
    pub opened_at: i64,
    /// How many may vote.
    pub electors: i64,
    pub state: State,
    pub decision: Option<Decision>,
}

pub(super) fn corrupt(what: impl Display) -> Error {
    Error::Corrupt(format!("governance: {what}"))
}

fn parsed<T: FromStr<Err: Display>>(row: &AnyRow, column: &str) -> Result<T, Error> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error| corrupt(format_args!("{column}: {error}")))
}

fn json<T: DeserializeOwned>(row: &AnyRow, column: &str) -> Result<T, Error> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|error| corrupt(format_args!("{column}: {error}")))
}

fn text(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(corrupt)
}

/// Keeps a proposal that opens, and its electors.
pub(super) async fn open(
    on: &mut AnyConnection,
    proposal: &Proposal,
    electors: &BTreeSet<RecordId>,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO proposals (id, seq, community, author, body, audience, opened_at, closes_at, electors, grievance, state)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(proposal.id.to_string())
    .bind(proposal.seq)
    .bind(proposal.community.to_string())
    .bind(proposal.author.to_string())
    .bind(text(&proposal.body)?)
    .bind(text(&proposal.audience)?)
    .bind(proposal.opened_at)
    .bind(proposal.body.closes.ms())
    .bind(proposal.electors)
    .bind(match &proposal.body.electorate {
        Electorate::Jury(grievance) => Some(grievance.to_string()),
        Electorate::Roles(_) => None,
    })
    .bind(proposal.state.name())
    .execute(&mut *on)
    .await?;
    let sql = format!(
        "INSERT INTO electors (proposal, account) SELECT CAST($2 AS TEXT), t.value FROM {} AS t",
        ledger::texts(on)
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(text(electors)?).bind(proposal.id.to_string());
    query.execute(&mut *on).await?;
    // What a jury is asked is in no list.
    match proposal.body.electorate {
        Electorate::Jury(_) => Ok(()),
        Electorate::Roles(_) => show_to(on, List::Proposals, proposal.seq, &proposal.audience).await,
    }
}

/// Keeps how a proposal ended.
pub(super) async fn decide(
    on: &mut AnyConnection,
    proposal: &RecordId,
    state: State,
    decision: &Decision,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE proposals SET state = $1, tally = $2, result = $3, decided_at = $4, unexecuted = $5 WHERE id = $6",
    )
    .bind(state.name())
    .bind(decision.record.to_string())
    .bind(text(&decision.result)?)
    .bind(decision.at)
    .bind(decision.unexecuted.as_ref().map(text).transpose()?)
    .bind(proposal.to_string())
    .execute(on)
    .await?;
    Ok(())
}

const PROPOSAL: &str =
    "SELECT id, seq, community, author, body, audience, opened_at, electors, state, tally, result,
    decided_at, unexecuted FROM proposals";

fn read_proposal(row: &AnyRow) -> Result<Proposal, Error> {
    let state: String = row.try_get("state")?;
    let state = State::ALL.into_iter().find(|known| known.name() == state);
    let decision = match row.try_get::<Option<i64>, _>("decided_at")? {
        None => None,
        Some(at) => {
            let unexecuted: Option<String> = row.try_get("unexecuted")?;
            Some(Decision {
                record: parsed(row, "tally")?,
                result: json(row, "result")?,
                at,
                unexecuted: unexecuted
                    .map(|text| serde_json::from_str(&text).map_err(corrupt))
                    .transpose()?,
            })
        }
    };
    Ok(Proposal {
        id: parsed(row, "id")?,
        seq: row.try_get("seq")?,
        community: parsed(row, "community")?,
        author: parsed(row, "author")?,
        body: json(row, "body")?,
        audience: json(row, "audience")?,
        opened_at: row.try_get("opened_at")?,
        electors: row.try_get("electors")?,
        state: state.ok_or_else(|| corrupt("a proposal is in an unknown state"))?,
        decision,
    })
}

pub(super) async fn proposal(on: &mut AnyConnection, id: &RecordId) -> Result<Option<Proposal>, Error> {
    let sql = AssertSqlSafe(format!("{PROPOSAL} WHERE id = $1"));
    let row = sqlx::query(sql).bind(id.to_string()).fetch_optional(on).await?;
    row.as_ref().map(read_proposal).transpose()
}

/// Proposals that the reader may read, after `after` in the log, ascending; without the votes of juries.
pub(super) async fn proposals(
    on: &mut AnyConnection,
    reader: &Reader,
    community: Option<RecordId>,
    state: Option<State>,
    after: i64,
    limit: i64,
) -> Result<Vec<Proposal>, Error> {
    let asked = " AND (community = $4 OR $4 = '') AND (state = $5 OR $5 = '')";
    let page = readable(on, List::Proposals, Order::Oldest, asked);
    let rows = sqlx::query(AssertSqlSafe(format!("{PROPOSAL} WHERE {page}")))
        .bind(belongs_to(reader)?)
        .bind(after)
        .bind(limit)
        .bind(community.map(|id| id.to_string()).unwrap_or_default())
        .bind(state.map_or("", State::name))
        .fetch_all(on)
        .await?;
    rows.iter().map(read_proposal).collect()
}

/// What the juries of a grievance were asked, in the order of the log.
pub(crate) async fn of_grievance(
    on: &mut AnyConnection,
    grievance: &RecordId,
) -> Result<Vec<RecordId>, Error> {
    let rows = sqlx::query("SELECT id FROM proposals WHERE grievance = $1 ORDER BY seq")
        .bind(grievance.to_string())
        .fetch_all(on)
        .await?;
    rows.iter().map(|row| parsed(row, "id")).collect()
}

/// The grievance whose jury a proposal asks; none of any other.
pub(crate) async fn asked_about(
    on: &mut AnyConnection,
    proposal: &RecordId,
) -> Result<Option<RecordId>, Error> {
    let row = sqlx::query("SELECT grievance FROM proposals WHERE id = $1 AND grievance IS NOT NULL")
        .bind(proposal.to_string())
        .fetch_optional(on)
        .await?;
    row.map(|row| parsed(&row, "grievance")).transpose()
}

/// How many open proposals an author has in a community.
pub(super) async fn open_of(
    on: &mut AnyConnection,
    community: &RecordId,
    author: &RecordId,
) -> Result<i64, Error> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM proposals WHERE community = $1 AND author = $2 AND state = 'open'";
    let query = sqlx::query_scalar(sql).bind(community.to_string()).bind(author.to_string());
    Ok(query.fetch_one(on).await?)
}

/// How many proposals an author has opened after a moment, and how many electors they have together.
pub(super) async fn opened_since(
    on: &mut AnyConnection,
    author: &RecordId,
    since: i64,
) -> Result<(i64, i64), Error> {
    let row = sqlx::query(
        "SELECT CAST(COUNT(*) AS BIGINT) AS opened, CAST(COALESCE(SUM(electors), 0) AS BIGINT) AS electors
         FROM proposals WHERE author = $1 AND opened_at > $2",
    )
    .bind(author.to_string())
    .bind(since)
    .fetch_one(on)
    .await?;
    Ok((row.try_get("opened")?, row.try_get("electors")?))
}

/// Everybody who may vote.
pub(super) async fn electors(
    on: &mut AnyConnection,
    proposal: &RecordId,
) -> Result<BTreeSet<RecordId>, Error> {
    let rows = sqlx::query("SELECT account FROM electors WHERE proposal = $1")
        .bind(proposal.to_string())
        .fetch_all(on)
        .await?;
    rows.iter().map(|row| parsed(row, "account")).collect()
}

/// Electors after `after`, ascending in the database's order of their texts.
pub(super) async fn electors_after(
    on: &mut AnyConnection,
    proposal: &RecordId,
    after: Option<RecordId>,
    limit: i64,
) -> Result<Vec<RecordId>, Error> {
    let rows = sqlx::query(
        "SELECT account FROM electors WHERE proposal = $1 AND account > $2 ORDER BY account LIMIT $3",
    )
    .bind(proposal.to_string())
    .bind(after.map(|after| after.to_string()).unwrap_or_default())
    .bind(limit)
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| parsed(row, "account")).collect()
}

pub(super) async fn is_elector(
    on: &mut AnyConnection,
    proposal: &RecordId,
    account: &RecordId,
) -> Result<bool, Error> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT CAST(1 AS BIGINT) FROM electors WHERE proposal = $1 AND account = $2")
            .bind(proposal.to_string())
            .bind(account.to_string())
            .fetch_optional(on)
            .await?;
    Ok(found.is_some())
}

/// Keeps a ballot.
pub(super) async fn vote(
    on: &mut AnyConnection,
    proposal: &RecordId,
    body: &VoteBody,
    accepted: &Accepted,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO votes (proposal, seq, account, device, record, choice, received_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(proposal.to_string())
    .bind(accepted.seq)
    .bind(accepted.record.account().to_string())
    .bind(accepted.record.device.to_string())
    .bind(accepted.record.id.to_string())
    .bind(text(&body.choice)?)
    .bind(accepted.received_at)
    .execute(on)
    .await?;
    Ok(())
}

/// How many ballots an account has cast by a device, and by all of these, of which it is one.
pub(super) async fn ballots_of(
    on: &mut AnyConnection,
    proposal: &RecordId,
    account: &RecordId,
    (device, devices): (&Device, &[Device]),
) -> Result<(i64, i64), Error> {
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(CASE WHEN device = $4 THEN 1 ELSE 0 END), 0) AS BIGINT) AS by_device,
                CAST(COUNT(*) AS BIGINT) AS by_elector
         FROM votes WHERE proposal = $2 AND account = $3 AND device IN (SELECT t.value FROM {} AS t)",
        ledger::texts(on)
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(text(&devices)?)
        .bind(proposal.to_string())
        .bind(account.to_string())
        .bind(device.to_string())
        .fetch_one(on)
        .await?;
    Ok((row.try_get("by_device")?, row.try_get("by_elector")?))
}

/// The ballot that an account has cast last.
pub(super) async fn last_of(
    on: &mut AnyConnection,
    proposal: &RecordId,
    account: &RecordId,
) -> Result<Option<RecordId>, Error> {
    let sql = "SELECT record FROM votes WHERE proposal = $1 AND account = $2 ORDER BY seq DESC LIMIT 1";
    let row =
        sqlx::query(sql).bind(proposal.to_string()).bind(account.to_string()).fetch_optional(on).await?;
    row.map(|row| parsed(&row, "record")).transpose()
}

/// How many accounts have voted.
pub(super) async fn voted(on: &mut AnyConnection, proposal: &RecordId) -> Result<i64, Error> {
    let sql = "SELECT CAST(COUNT(DISTINCT account) AS BIGINT) FROM votes WHERE proposal = $1";
    Ok(sqlx::query_scalar(sql).bind(proposal.to_string()).fetch_one(on).await?)
}

/// Ballots after `after` in the log, ascending; of one account where it is named.
pub(super) async fn ballots(
    on: &mut AnyConnection,
    proposal: &RecordId,
    of: Option<RecordId>,
    after: i64,
    limit: i64,
) -> Result<Vec<Ballot>, Error> {
    let rows = sqlx::query(
        "SELECT seq, account, record, choice, received_at FROM votes
         WHERE proposal = $1 AND seq > $2 AND (account = $3 OR $3 = '') ORDER BY seq LIMIT $4",
    )
    .bind(proposal.to_string())
    .bind(after)
    .bind(of.map(|id| id.to_string()).unwrap_or_default())
    .bind(limit)
    .fetch_all(on)
    .await?;
    rows.iter().map(read_ballot).collect()
}

/// Of each account the last ballot that came before a moment (Unix milliseconds), in the order of the log: no other one counts.
pub(crate) async fn last_ballots(
    on: &mut AnyConnection,
    proposal: &RecordId,
    before: i64,
) -> Result<Vec<Ballot>, Error> {
    let rows = sqlx::query(
        "SELECT seq, account, record, choice, received_at FROM votes
         WHERE proposal = $1 AND seq IN
             (SELECT MAX(seq) FROM votes WHERE proposal = $1 AND received_at < $2 GROUP BY account)
         ORDER BY seq",
    )
    .bind(proposal.to_string())
    .bind(before)
    .fetch_all(on)
    .await?;
    rows.iter().map(read_ballot).collect()
}

fn read_ballot(row: &AnyRow) -> Result<Ballot, Error> {
    Ok(Ballot {
        seq: row.try_get("seq")?,
        received_at: row.try_get("received_at")?,
        elector: parsed(row, "account")?,
        record: parsed(row, "record")?,
        choice: json(row, "choice")?,
    })
}

/// What holds in a community.
pub(crate) async fn settings(on: &mut AnyConnection, community: &RecordId) -> Result<Settings, Error> {
    let rows = sqlx::query("SELECT setting, value FROM community_settings WHERE community = $1")
        .bind(community.to_string())
        .fetch_all(on)
        .await?;
    let mut set: BTreeMap<String, i64> = BTreeMap::new();
    for row in &rows {
        set.insert(row.try_get("setting")?, row.try_get("value")?);
    }
    Ok(Settings::of(|setting| set.get(setting.name()).copied()))
}

pub(super) async fn set(
    on: &mut AnyConnection,
    community: &RecordId,
    setting: Setting,
    value: i64,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO community_settings (community, setting, value) VALUES ($1, $2, $3)
         ON CONFLICT (community, setting) DO UPDATE SET value = excluded.value",
    )
    .bind(community.to_string())
    .bind(setting.name())
    .bind(value)
    .execute(on)
    .await?;
    Ok(())
}

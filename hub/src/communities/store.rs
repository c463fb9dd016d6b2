use std::{collections::BTreeSet, fmt::Display, str::FromStr};

use serde::de::DeserializeOwned;
use sqlx::{AnyConnection, Row, any::AnyRow};

use super::model::{Roles, SaidBy, Waiting, Word};
use crate::{
    access::{Audience, List, Order, Reader, Role, belongs_to, readable, show_to},
    error::Error,
    ledger,
    page::Pair,
    records::RecordId,
};

/// A community.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Community {
    pub id: RecordId,
    /// Its place in the log.
    pub seq: i64,
    pub name: String,
    pub audience: Vec<Audience>,
    pub created_at: i64,
}

pub(super) fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, Error> {
    text.parse().map_err(|error| Error::Corrupt(format!("communities: {error}")))
}

pub(super) fn json<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Corrupt(format!("communities: {error}")))
}

pub(super) fn text<T: serde::Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Corrupt(format!("communities: {error}")))
}

fn role(name: &str) -> Result<Role, Error> {
    name.parse().map_err(|()| Error::Corrupt(format!("communities: `{name:.20}` is no role")))
}

pub(crate) async fn add_community(on: &mut AnyConnection, community: &Community) -> Result<(), Error> {
    sqlx::query("INSERT INTO communities (id, seq, name, audience, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(community.id.to_string())
        .bind(community.seq)
        .bind(&community.name)
        .bind(text(&community.audience)?)
        .bind(community.created_at)
        .execute(&mut *on)
        .await?;
    show_to(on, List::Communities, community.seq, &community.audience).await
}

fn read_community(row: &AnyRow) -> Result<Community, Error> {
    Ok(Community {
        id: parse(row.try_get("id")?)?,
        seq: row.try_get("seq")?,
        name: row.try_get("name")?,
        audience: json(row.try_get("audience")?)?,
        created_at: row.try_get("created_at")?,
    })
}

pub(crate) async fn community(on: &mut AnyConnection, id: &RecordId) -> Result<Option<Community>, Error> {
    let row = sqlx::query("SELECT id, seq, name, audience, created_at FROM communities WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(on)
        .await?;
    row.as_ref().map(read_community).transpose()
}

/// Communities that the reader may read, after `after` in the log, ascending.
pub(crate) async fn communities(
    on: &mut AnyConnection,
    reader: &Reader,
    after: i64,
    limit: i64,
) -> Result<Vec<Community>, Error> {
    let page = readable(on, List::Communities, Order::Oldest, "");
    let sql = format!("SELECT id, seq, name, audience, created_at FROM communities WHERE {page}");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(belongs_to(reader)?)
        .bind(after)
        .bind(limit)
        .fetch_all(on)
        .await?;
    rows.iter().map(read_community).collect()
}

pub(crate) async fn set_member(
    on: &mut AnyConnection,
    community: &RecordId,
    account: &RecordId,
    role: Option<Role>,
    now: i64,
) -> Result<(), Error> {
    let Some(role) = role else { return remove_member(on, community, account).await };
    sqlx::query(
        "INSERT INTO members (community, account, role, since, number)
         SELECT $1, $2, $3, $4, COALESCE(MAX(number), 0) + 1 FROM members WHERE community = $1
         ON CONFLICT (community, account) DO UPDATE SET role = excluded.role",
    )
    .bind(community.to_string())
    .bind(account.to_string())
    .bind(role.name())
    .bind(now)
    .execute(on)
    .await?;
    Ok(())
}

/// The word that last changed what an account is in a community; none where nothing has made it a member yet.
pub(crate) async fn last_word(
    on: &mut AnyConnection,
    community: &RecordId,
    account: &RecordId,
) -> Result<Option<Word>, Error> {
    let row = sqlx::query("SELECT record, decided FROM member_words WHERE community = $1 AND account = $2")
        .bind(community.to_string())
        .bind(account.to_string())
        .fetch_optional(on)
        .await?;
    row.map(|row| {
        let decided: i64 = row.try_get("decided")?;
        Ok(Word { record: parse(row.try_get("record")?)?, decided: decided != 0 })
    })
    .transpose()
}

/// Keeps the word that last changed what an account is in a community.
pub(super) async fn keep_word(
    on: &mut AnyConnection,
    community: &RecordId,
    account: &RecordId,
    word: Word,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO member_words (community, account, record, decided) VALUES ($1, $2, $3, $4)
         ON CONFLICT (community, account) DO UPDATE SET record = excluded.record, decided = excluded.decided",
    )
    .bind(community.to_string())
    .bind(account.to_string())
    .bind(word.record.to_string())
    .bind(i64::from(word.decided))
    .execute(on)
    .await?;
    Ok(())
}

/// The last member takes the number of the one who leaves, who is a candidate no more.
async fn remove_member(
    on: &mut AnyConnection,
    community: &RecordId,
    account: &RecordId,
) -> Result<(), Error> {
    let left: Option<i64> =
        sqlx::query_scalar("DELETE FROM members WHERE community = $1 AND account = $2 RETURNING number")
            .bind(community.to_string())
            .bind(account.to_string())
            .fetch_optional(&mut *on)
            .await?;
    let Some(left) = left else { return Ok(()) };
    sqlx::query("DELETE FROM candidates WHERE community = $1 AND account = $2")
        .bind(community.to_string())
        .bind(account.to_string())
        .execute(&mut *on)
        .await?;
    sqlx::query(
        "UPDATE members SET number = $2 WHERE community = $1 AND number > $2
         AND number = (SELECT MAX(number) FROM members WHERE community = $1)",
    )
    .bind(community.to_string())
    .bind(left)
    .execute(on)
    .await?;
    Ok(())
}

/// What waits of an account's membership, of words said after `since`.
pub(super) async fn waiting(
    on: &mut AnyConnection,
    community: &RecordId,
    account: &RecordId,
    since: i64,
) -> Result<Option<Waiting>, Error> {
    let sql = "SELECT role, said_by FROM invitations WHERE community = $1 AND account = $2 AND since > $3";
    let row = sqlx::query(sql)
        .bind(community.to_string())
        .bind(account.to_string())
        .bind(since)
        .fetch_optional(on)
        .await?;
    row.map(|row| {
        Ok(Waiting { role: role(row.try_get("role")?)?, said_by: said_by(row.try_get("said_by")?)? })
    })
    .transpose()
}

fn said_by(name: &str) -> Result<SaidBy, Error> {
    let found = SaidBy::ALL.into_iter().find(|one| one.name() == name);
    found.ok_or_else(|| Error::Corrupt(format!("communities: said by `{name:.20}`")))
}

/// A membership waits for the other side's word, by the word of `author`; nothing of it waits before.
pub(super) async fn wait(
    on: &mut AnyConnection,
    community: &RecordId,
    account: &RecordId,
    waiting: Waiting,
    author: &RecordId,
    now: i64,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO invitations (community, account, role, said_by, author, since) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(community.to_string())
    .bind(account.to_string())
    .bind(waiting.role.name())
    .bind(waiting.said_by.name())
    .bind(author.to_string())
    .bind(now)
    .execute(on)
    .await?;
    Ok(())
}

/// Nothing waits any more by the word of one who is no steward any more.
pub(super) async fn forget_words_of(
    on: &mut AnyConnection,
    community: &RecordId,
    author: &RecordId,
) -> Result<(), Error> {
    sqlx::query("DELETE FROM invitations WHERE community = $1 AND author = $2 AND said_by = 'steward'")
        .bind(community.to_string())
        .bind(author.to_string())
        .execute(on)
        .await?;
    Ok(())
}

/// Nothing of an account's membership waits any more.
pub(super) async fn forget_waiting(
    on: &mut AnyConnection,
    community: &RecordId,
    account: &RecordId,
) -> Result<(), Error> {
    sqlx::query("DELETE FROM invitations WHERE community = $1 AND account = $2")
        .bind(community.to_string())
        .bind(account.to_string())
        .execute(on)
        .await?;
    Ok(())
}

/// A membership that waits: community, account, what, since when.
pub(super) type Invitation = (RecordId, RecordId, Waiting, i64);

const INVITATION: &str = "SELECT community, account, role, said_by, since FROM invitations";

fn invitation(row: &AnyRow) -> Result<Invitation, Error> {
    let waiting = Waiting { role: role(row.try_get("role")?)?, said_by: said_by(row.try_get("said_by")?)? };
    Ok((parse(row.try_get("community")?)?, parse(row.try_get("account")?)?, waiting, row.try_get("since")?))
}

/// Where a membership that waits stands among others: since when (Unix milliseconds), of which community, whose.
pub(super) type WaitingPlace = Pair<i64, Pair<RecordId, RecordId>>;

/// The memberships that wait, of words said after `since`: an account's own, and those in communities of which it is a steward. The
/// oldest first, after `after`.
pub(super) async fn invitations(
    on: &mut AnyConnection,
    account: &RecordId,
    since: i64,
    after: Option<WaitingPlace>,
    limit: i64,
) -> Result<Vec<Invitation>, Error> {
    let (from, community, whose) = match after {
        Some(Pair(from, Pair(community, whose))) => (from, community.to_string(), whose.to_string()),
        None => (since, String::new(), String::new()),
    };
    let sql = sqlx::AssertSqlSafe(format!(
        "{INVITATION} WHERE since > $2 AND (since, community, account) > ($3, $4, $5) AND (account = $1
         OR community IN (SELECT community FROM members WHERE account = $1 AND role = 'steward'))
         ORDER BY since, community, account LIMIT $6"
    ));
    let rows = sqlx::query(sql)
        .bind(account.to_string())
        .bind(since)
        .bind(from)
        .bind(community)
        .bind(whose)
        .bind(limit)
        .fetch_all(on)
        .await?;
    rows.iter().map(invitation).collect()
}

pub(crate) async fn role_of(
    on: &mut AnyConnection,
    community: &RecordId,
    account: &RecordId,
) -> Result<Option<Role>, Error> {
    let name: Option<String> =
        sqlx::query_scalar("SELECT role FROM members WHERE community = $1 AND account = $2")
            .bind(community.to_string())
            .bind(account.to_string())
            .fetch_optional(on)
            .await?;
    name.as_deref().map(role).transpose()
}

/// Since when an account belongs to a community without a break, in Unix milliseconds; none: it does not.
pub(crate) async fn member_since(
    on: &mut AnyConnection,
    community: &RecordId,
    account: &RecordId,
) -> Result<Option<i64>, Error> {
    let sql = "SELECT since FROM members WHERE community = $1 AND account = $2";
    let query = sqlx::query_scalar(sql).bind(community.to_string()).bind(account.to_string());
    Ok(query.fetch_optional(on).await?)
}

/// How many members a community has.
pub(crate) async fn count(on: &mut AnyConnection, community: &RecordId) -> Result<i64, Error> {
    let sql = "SELECT CAST(COALESCE(MAX(number), 0) AS BIGINT) FROM members WHERE community = $1";
    Ok(sqlx::query_scalar(sql).bind(community.to_string()).fetch_one(on).await?)
}

/// Who has one of these numbers in a community and belongs to it since this moment (Unix milliseconds) or longer. Whoever does had a
/// number then that was not smaller.
pub(crate) async fn numbered(
    on: &mut AnyConnection,
    community: &RecordId,
    since: i64,
    numbers: &BTreeSet<i64>,
) -> Result<Vec<RecordId>, Error> {
    let sql = format!(
        "SELECT account FROM members WHERE community = $2 AND since <= $3
         AND number IN (SELECT CAST(t.value AS BIGINT) FROM {} AS t)",
        ledger::texts(on)
    );
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(text(&numbers)?)
        .bind(community.to_string())
        .bind(since)
        .fetch_all(on)
        .await?;
    rows.iter().map(|row| parse(row.try_get("account")?)).collect()
}

/// What the account is in which community.
pub(crate) async fn roles_of(on: &mut AnyConnection, account: &RecordId) -> Result<Roles, Error> {
    let rows = sqlx::query("SELECT community, role FROM members WHERE account = $1")
        .bind(account.to_string())
        .fetch_all(on)
        .await?;
    rows.iter().map(|row| Ok((parse(row.try_get("community")?)?, role(row.try_get("role")?)?))).collect()
}

pub(crate) async fn stewards(on: &mut AnyConnection, community: &RecordId) -> Result<i64, Error> {
    Ok(sqlx::query_scalar(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM members WHERE community = $1 AND role = 'steward'",
    )
    .bind(community.to_string())
    .fetch_one(on)
    .await?)
}

/// Where a member stands among others: since when (Unix milliseconds), and who.
pub(super) type MemberPlace = Pair<i64, RecordId>;

/// Members, the oldest first, after `after`.
pub(super) async fn members(
    on: &mut AnyConnection,
    community: &RecordId,
    after: Option<MemberPlace>,
    limit: i64,
) -> Result<Vec<(RecordId, Role, i64)>, Error> {
    let (since, account) =
        after.map_or((i64::MIN, String::new()), |Pair(since, account)| (since, account.to_string()));
    let rows = sqlx::query(
        "SELECT account, role, since FROM members WHERE community = $1 AND (since, account) > ($2, $3)
         ORDER BY since, account LIMIT $4",
    )
    .bind(community.to_string())
    .bind(since)
    .bind(account)
    .bind(limit)
    .fetch_all(on)
    .await?;
    rows.iter()
        .map(|row| Ok((parse(row.try_get("account")?)?, role(row.try_get("role")?)?, row.try_get("since")?)))
        .collect()
}

/// The first accounts, at most one more than `most`, that are one of these in a community.
pub(crate) async fn with_roles(
    on: &mut AnyConnection,
    community: &RecordId,
    roles: &[Role],
    most: usize,
) -> Result<BTreeSet<RecordId>, Error> {
    let among = |role: Role| if roles.contains(&role) { role.name() } else { "" };
    let rows = sqlx::query(
        "SELECT account FROM members WHERE community = $1 AND role IN ($2, $3) ORDER BY account LIMIT $4",
    )
    .bind(community.to_string())
    .bind(among(Role::Member))
    .bind(among(Role::Steward))
    .bind(i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1))
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| parse(row.try_get("account")?)).collect()
}

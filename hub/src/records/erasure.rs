//! `erasure@1`: takes away what a record says, never that it was said. Its id, author, time and place in the log stay, and so does
//! what came of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use service::{db::Engine, failpoint};
use sqlx::{AnyConnection, Connection as _, Row as _, any::AnyRow};

use super::{
    log::{self, Accepted},
    record::{Record, RecordId},
    stamp::Stamp,
};
use crate::{
    Hub,
    access::Audience,
    error::{Error, Refusal},
    rooms::Room,
};

/// The type.
pub(super) const KIND: &str = "erasure@1";

/// See [`crate::rooms::Room::tables`].
pub(crate) const TABLES: &[&str] = &["erasures"];

/// The body of `erasure@1` about a record of its author's: nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasureBody {}

/// What took a record's body away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Erased {
    /// The `erasure@1`.
    pub by: RecordId,
    /// Whose word both are.
    pub account: RecordId,
    /// When the hub took it.
    pub at: Stamp,
}

pub(crate) fn check(record: &Record) -> Result<(), Refusal> {
    record.about()?;
    record.body_as::<ErasureBody>()?;
    if record.audience == [Audience::Public] {
        return Ok(());
    }
    let told = "what is erased was public, and so is that it was erased: [\"public\"]";
    Err(Refusal::schema("audience", "/audience", told))
}

/// Keeps that a record is erased, where its author may erase it. Answers it, as the log has it: a replay finds it without its body.
///
/// # Errors
/// [`Error::Refused`]: it is none of the author's, of another type, or erased already; the database fails.
pub(crate) async fn apply(on: &mut AnyConnection, accepted: &Accepted) -> Result<Record, Error> {
    let Accepted { seq, record, received_at, .. } = accepted;
    let (id, account) = (record.about()?, record.account());
    let found = log::find(on, &id).await?;
    let Some(said) = found.filter(|found| found.seq < *seq && found.record.account() == account) else {
        let told = format!("there is no record {id} that you said");
        return Err(Refusal::access("not_the_author", "/about", told).into());
    };
    let said = said.record;
    if !Room::is_erasable(&said.kind) {
        let told = format!("{id} is a {}: others rely on what it says, so it stays", said.kind);
        return Err(Refusal::rule("not_erasable", "/about", told).into());
    }
    if let Some(Erased { by, .. }) = of(on, &id).await? {
        return Err(Refusal::conflict("erased", "/about", format!("{by} has erased it")).into());
    }
    sqlx::query("INSERT INTO erasures (record, erasure, account, erased_at) VALUES ($1, $2, $3, $4)")
        .bind(id.to_string())
        .bind(record.id.to_string())
        .bind(account.to_string())
        .bind(*received_at)
        .execute(on)
        .await?;
    Ok(said)
}

/// What has erased a record; none where nothing has.
pub(crate) async fn of(on: &mut AnyConnection, id: &RecordId) -> Result<Option<Erased>, Error> {
    let row = sqlx::query("SELECT erasure, account, erased_at FROM erasures WHERE record = $1")
        .bind(id.to_string())
        .fetch_optional(on)
        .await?;
    let read = |row: AnyRow| -> Result<Erased, Error> {
        let at = Stamp::from_ms(row.try_get("erased_at")?);
        Ok(Erased { by: named(&row, "erasure")?, account: named(&row, "account")?, at })
    };
    row.map(read).transpose()
}

fn named(row: &AnyRow, column: &str) -> Result<RecordId, Error> {
    let text: String = row.try_get(column)?;
    text.parse::<RecordId>().map_err(|error| Error::Corrupt(format!("erasures: {error}")))
}

/// Has SQLite write zeros over what it lets go of, in this session from now on.
pub(super) async fn overwrite(engine: Engine, on: &mut AnyConnection) -> Result<(), Error> {
    if engine == Engine::Sqlite {
        sqlx::query("PRAGMA secure_delete = ON").execute(on).await?;
    }
    Ok(())
}

/// Takes the body of the record that an accepted `erasure@1` names out of the log. A replay does not: there it is gone.
pub(super) async fn take_away(on: &mut AnyConnection, erasure: &Record) -> Result<(), Error> {
    let id = erasure.about()?;
    let found = log::find(on, &id).await?;
    let found = found.ok_or_else(|| Error::Corrupt(format!("log: there is no {id}")))?;
    failpoint::pass(&["hub", "erasure", "half"]);
    log::erase(on, &found.record).await
}

/// Has SQLite move what was committed into its file and empty the log beside it, which has the body as it was, too. Where somebody
/// reads of that for longer than a moment it stays until it is written over, or the hub stops.
pub(super) async fn settle(hub: &Hub) {
    if hub.db.engine() != Engine::Sqlite {
        return;
    }
    let hub = hub.clone();
    // Whoever asked for it may hang up meanwhile.
    match tokio::spawn(async move { emptied(&hub).await }).await {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => {
            tracing::warn!("the write-ahead log was not emptied after an erasure: somebody reads of it");
        }
        Ok(Err(error)) => tracing::warn!(%error, "the write-ahead log was not emptied after an erasure"),
        Err(error) => tracing::warn!(%error, "emptying the write-ahead log after an erasure was given up"),
    }
}

/// Whether the log beside SQLite's file is empty now: where somebody reads of it, SQLite says so and fails in nothing.
pub(super) async fn emptied(hub: &Hub) -> Result<bool, sqlx::Error> {
    // A session of its own: those of the hub wait longer, and writers would wait for it.
    let mut session = AnyConnection::connect_with(&hub.db.reader().connect_options()).await?;
    sqlx::query("PRAGMA busy_timeout = 200").execute(&mut session).await?;
    let busy: i64 = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut session).await?;
    session.close().await?;
    Ok(busy == 0)
}

/// Which records of a page of the log have no body because an entry erases them.
pub(super) async fn of_page(on: &mut AnyConnection, page: &[Accepted]) -> Result<BTreeSet<RecordId>, Error> {
    let mut erased = BTreeSet::new();
    for Accepted { record, .. } in page.iter().filter(|entry| entry.record.body.is_null()) {
        let by = sqlx::query("SELECT seq FROM log WHERE about = $1 AND kind = $2 LIMIT 1")
            .bind(record.id.to_string())
            .bind(KIND)
            .fetch_optional(&mut *on)
            .await?;
        if by.is_some() {
            erased.insert(record.id);
        }
    }
    Ok(erased)
}

/// The first entry of a page that erases a record which has its body all the same.
pub(super) async fn unheeded(on: &mut AnyConnection, page: &[Accepted]) -> Result<Option<i64>, Error> {
    for Accepted { seq, record, .. } in page.iter().filter(|entry| entry.record.kind == KIND) {
        let Some(about) = record.about else { continue };
        if log::find(on, &about).await?.is_some_and(|found| !found.record.body.is_null()) {
            return Ok(Some(*seq));
        }
    }
    Ok(None)
}

//! What is wrong with what the chain said: raised once, open until cleared, never forgotten.

use protocol::wire::view::{Fault, FaultKind};
use sqlx::{AnyConnection, Row};

use crate::{
    Error,
    bulk::{About, about},
    columns::Columns,
    feed::store::{event, event_columns},
    states::model::{Subject, subject_of},
};

/// Opens a fault; one that is open already stays as it is.
pub(crate) async fn raise(
    on: &mut AnyConnection,
    chain: i64,
    kind: FaultKind,
    subject: &str,
    detail: &str,
    now: i64,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO faults (chain, kind, subject, detail, raised_at, cleared_at) \
         VALUES ($1, $2, $3, $4, $5, NULL) ON CONFLICT (chain, kind, subject) DO UPDATE SET detail = excluded.detail, raised_at = excluded.raised_at, \
         cleared_at = NULL WHERE faults.cleared_at IS NOT NULL",
    )
    .bind(chain)
    .bind(kind.name())
    .bind(subject)
    .bind(detail)
    .bind(now)
    .execute(on)
    .await?;
    Ok(())
}

/// Whether a fault is open.
pub(crate) async fn is_open(
    on: &mut AnyConnection,
    chain: i64,
    kind: FaultKind,
    subject: &str,
) -> Result<bool, Error> {
    let row = sqlx::query(
        "SELECT chain FROM faults WHERE chain = $1 AND kind = $2 AND subject = $3 AND cleared_at IS NULL",
    )
    .bind(chain)
    .bind(kind.name())
    .bind(subject)
    .fetch_optional(on)
    .await?;
    Ok(row.is_some())
}

/// Clears one fault.
pub(crate) async fn clear(
    on: &mut AnyConnection,
    chain: i64,
    kind: FaultKind,
    subject: &str,
    now: i64,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE faults SET cleared_at = $4 WHERE chain = $1 AND kind = $2 AND subject = $3 AND cleared_at IS NULL",
    )
    .bind(chain)
    .bind(kind.name())
    .bind(subject)
    .bind(now)
    .execute(on)
    .await?;
    Ok(())
}

/// Clears the faults about missing events that were found at events of these subjects, at most
/// [`ROWS_MAX`](crate::bulk::ROWS_MAX).
pub(crate) async fn clear_gaps(
    on: &mut AnyConnection,
    chain: i64,
    subjects: &[Subject],
    now: i64,
) -> Result<(), Error> {
    const FOUND: About = About {
        sqlite: concat!(
            "SELECT ",
            event_columns!(),
            " FROM events JOIN logs ON logs.number = events.number \
             JOIN faults ON faults.subject = '0x' || lower(hex(events.id)) \
             WHERE faults.kind = 'count_gap' AND faults.cleared_at IS NULL \
             AND events.subject IN (SELECT value FROM json_each($1))"
        ),
        postgres: concat!(
            "SELECT ",
            event_columns!(),
            " FROM events JOIN logs ON logs.number = events.number \
             JOIN faults ON faults.subject = '0x' || encode(events.id, 'hex') \
             WHERE faults.kind = 'count_gap' AND faults.cleared_at IS NULL AND events.subject IN \
             (SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST($1 AS json)))"
        ),
    };
    let keys: Vec<i64> = subjects.iter().map(Subject::key).collect();
    let found = FOUND.texts(&*on, &keys)?.fetch_all(&mut *on).await?;
    for row in &found {
        let event = event(row)?;
        // Another subject may have the same key.
        if subjects.contains(&subject_of(&event)) {
            clear(&mut *on, chain, FaultKind::CountGap, &event.id.to_string(), now).await?;
        }
    }
    Ok(())
}

/// Clears the faults about states that are folded anew, at most [`ROWS_MAX`](crate::bulk::ROWS_MAX): what the contracts say of
/// them is asked again.
pub(crate) async fn clear_differs(
    on: &mut AnyConnection,
    chain: i64,
    subjects: &[String],
    now: i64,
) -> Result<(), Error> {
    const CLEAR: About = about!(
        "UPDATE faults SET cleared_at = $2 WHERE chain = $3 AND kind = 'state_differs' AND cleared_at IS NULL \
         AND subject IN",
        ""
    );
    CLEAR.texts(on, subjects)?.bind(now).bind(chain).execute(on).await?;
    Ok(())
}

/// Clears every fault about a missing event.
pub(crate) async fn clear_all_gaps(on: &mut AnyConnection, now: i64) -> Result<(), Error> {
    sqlx::query("UPDATE faults SET cleared_at = $1 WHERE kind = 'count_gap' AND cleared_at IS NULL")
        .bind(now)
        .execute(on)
        .await?;
    Ok(())
}

/// Clears every fault that stood in the way of indexing a chain, for a step has just been made, but the quarantine of
/// `block`.
pub(crate) async fn clear_stops(
    on: &mut AnyConnection,
    chain: i64,
    block: Option<&str>,
    now: i64,
) -> Result<(), Error> {
    for kind in FaultKind::ALL.into_iter().filter(|kind| kind.ends_with_a_step()) {
        let but = if kind == FaultKind::Quarantine { block.unwrap_or_default() } else { "" };
        sqlx::query(
            "UPDATE faults SET cleared_at = $4 WHERE chain = $1 AND kind = $2 AND subject <> $3 \
             AND cleared_at IS NULL",
        )
        .bind(chain)
        .bind(kind.name())
        .bind(but)
        .bind(now)
        .execute(&mut *on)
        .await?;
    }
    Ok(())
}

/// Open faults of a chain, oldest first, at most 100.
pub(crate) async fn open(on: &mut AnyConnection, chain: i64) -> Result<Vec<Fault>, Error> {
    let rows = sqlx::query(
        "SELECT kind, subject, detail, raised_at FROM faults WHERE cleared_at IS NULL AND chain = $1 \
         ORDER BY raised_at, kind, subject LIMIT 100",
    )
    .bind(chain)
    .fetch_all(on)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Fault {
                kind: kind(&row.text("kind")?)?,
                subject: row.text("subject")?,
                detail: row.text("detail")?,
                raised_at: row.try_get("raised_at")?,
            })
        })
        .collect()
}

/// What the open faults of one kind of a chain are about, in order; at most 100.
pub(crate) async fn subjects(
    on: &mut AnyConnection,
    chain: i64,
    kind: FaultKind,
) -> Result<Vec<String>, Error> {
    let rows = sqlx::query(
        "SELECT subject FROM faults WHERE chain = $1 AND kind = $2 AND cleared_at IS NULL ORDER BY subject LIMIT 100",
    )
    .bind(chain)
    .bind(kind.name())
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| row.text("subject")).collect()
}

/// Kinds with an open fault of a chain, each once.
pub(crate) async fn alarms(on: &mut AnyConnection, chain: i64) -> Result<Vec<FaultKind>, Error> {
    let rows =
        sqlx::query("SELECT DISTINCT kind FROM faults WHERE cleared_at IS NULL AND chain = $1 ORDER BY kind")
            .bind(chain)
            .fetch_all(on)
            .await?;
    rows.iter().map(|row| kind(&row.text("kind")?)).collect()
}

fn kind(name: &str) -> Result<FaultKind, Error> {
    FaultKind::ALL
        .into_iter()
        .find(|kind| kind.name() == name)
        .ok_or_else(|| Error::damaged("faults.kind", name))
}

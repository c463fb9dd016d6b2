//! What is wrong with what the chain said: raised once, open until cleared, never forgotten.

use protocol::wire::view::{Fault, FaultKind};
use sqlx::{AnyConnection, Row};

use crate::{Error, columns::Columns};

/// Opens a fault; one that is open already stays as it is.
pub(crate) async fn raise(
    on: &mut AnyConnection,
    kind: FaultKind,
    subject: &str,
    detail: &str,
    now: i64,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO faults (kind, subject, detail, raised_at, cleared_at) VALUES ($1, $2, $3, $4, NULL) \
         ON CONFLICT (kind, subject) DO UPDATE SET detail = excluded.detail, raised_at = excluded.raised_at, \
         cleared_at = NULL WHERE faults.cleared_at IS NOT NULL",
    )
    .bind(kind.name())
    .bind(subject)
    .bind(detail)
    .bind(now)
    .execute(on)
    .await?;
    Ok(())
}

/// Clears one fault.
pub(crate) async fn clear(
    on: &mut AnyConnection,
    kind: FaultKind,
    subject: &str,
    now: i64,
) -> Result<(), Error> {
    sqlx::query("UPDATE faults SET cleared_at = $3 WHERE kind = $1 AND subject = $2 AND cleared_at IS NULL")
        .bind(kind.name())
        .bind(subject)
        .bind(now)
        .execute(on)
        .await?;
    Ok(())
}

/// Clears every fault that stood in the way of indexing, for a step has just been made, but the quarantine of `block`.
pub(crate) async fn clear_stops(on: &mut AnyConnection, block: Option<&str>, now: i64) -> Result<(), Error> {
    for kind in FaultKind::ALL.into_iter().filter(|kind| kind.stops()) {
        let but = if kind == FaultKind::Quarantine { block.unwrap_or_default() } else { "" };
        sqlx::query(
            "UPDATE faults SET cleared_at = $3 WHERE kind = $1 AND subject <> $2 AND cleared_at IS NULL",
        )
        .bind(kind.name())
        .bind(but)
        .bind(now)
        .execute(&mut *on)
        .await?;
    }
    Ok(())
}

/// Open faults, oldest first, at most 100.
pub(crate) async fn open(on: &mut AnyConnection) -> Result<Vec<Fault>, Error> {
    let rows = sqlx::query(
        "SELECT kind, subject, detail, raised_at FROM faults WHERE cleared_at IS NULL \
         ORDER BY raised_at, kind, subject LIMIT 100",
    )
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

/// Kinds with an open fault, each once.
pub(crate) async fn alarms(on: &mut AnyConnection) -> Result<Vec<FaultKind>, Error> {
    let rows = sqlx::query("SELECT DISTINCT kind FROM faults WHERE cleared_at IS NULL ORDER BY kind")
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

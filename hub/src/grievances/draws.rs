//! Draws as they were, which later members and parts would not bring back.

use sqlx::{AnyConnection, Row as _};

use super::{jury::Drawn, store::corrupt};
use crate::{error::Error, records::RecordId};

/// Keeps a draw.
pub(super) async fn add(on: &mut AnyConnection, grievance: &RecordId, drawn: &Drawn) -> Result<(), Error> {
    sqlx::query("INSERT INTO grievance_draws (grievance, seq, draw) VALUES ($1, $2, $3)")
        .bind(grievance.to_string())
        .bind(drawn.seq)
        .bind(serde_json::to_string(drawn).map_err(corrupt)?)
        .execute(on)
        .await?;
    Ok(())
}

/// The draws of a grievance, in the order of the log: at most those of its juries and of the jurors who may step aside.
pub(super) async fn of(on: &mut AnyConnection, grievance: &RecordId) -> Result<Vec<Drawn>, Error> {
    let rows = sqlx::query("SELECT draw FROM grievance_draws WHERE grievance = $1 ORDER BY seq")
        .bind(grievance.to_string())
        .fetch_all(on)
        .await?;
    rows.iter()
        .map(|row| {
            let text: String = row.try_get("draw")?;
            serde_json::from_str::<Drawn>(&text).map_err(corrupt)
        })
        .collect()
}

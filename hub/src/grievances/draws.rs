//! Draws as they were, which later members and parts would not bring back.

use sqlx::AnyConnection;

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

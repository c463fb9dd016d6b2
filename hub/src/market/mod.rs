//! Being built.
use serde_json::Value;
use service::db::Write;

use crate::{
    Hub,
    error::{Error, Refusal},
    records::{Accepted, Draft, Record},
};

/// See [`crate::rooms::Room::tables`].
pub(crate) const TABLES: &[&str] = &[];

pub(crate) fn check(_record: &Record) -> Result<(), Refusal> {
    Ok(())
}

pub(crate) async fn prepare(_hub: &Hub, _record: &Record) -> Result<Value, Error> {
    Ok(Value::Null)
}

pub(crate) async fn apply(_write: &mut Write, _accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    Ok(Vec::new())
}
pub(crate) mod api {
    pub(crate) fn routes() -> utoipa_axum::router::OpenApiRouter<crate::Hub> {
        utoipa_axum::router::OpenApiRouter::new()
    }
}

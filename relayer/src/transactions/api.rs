//! `GET /v1/intents`.

use axum::{Router, extract::State as AppState, routing::get};
use protocol::{chain::TransactionId, wire::intent::Intent};
use serde::{Deserialize, Serialize};
use service::{
    db::Db,
    http::{Json, Problem, Query},
};

use super::manager::{Attempt, attempts};
use crate::intents::{self, State};

/// The most intents of one page.
const LIMIT_MAX: i64 = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    state: Option<State>,
    #[serde(default)]
    after: i64,
    limit: Option<i64>,
}

/// An intent as the API shows it.
#[derive(Clone, Debug, Serialize)]
struct Shown {
    /// The relayer's own number; pass the last one as `after`.
    id: String,
    state: State,
    /// Why it is there.
    reason: String,
    /// The transaction of ours that did it.
    done_by: Option<TransactionId>,
    received_ms: String,
    updated_ms: String,
    intent: Intent,
    attempts: Vec<Attempt>,
}

#[derive(Clone, Debug, Serialize)]
struct Page {
    intents: Vec<Shown>,
}

/// `GET /v1/intents?state=&after=&limit=` with every attempt.
pub fn routes(db: Db) -> Router {
    Router::new().route("/v1/intents", get(list)).with_state(db)
}

async fn list(AppState(db): AppState<Db>, Query(asked): Query<Asked>) -> Result<Json<Page>, Problem> {
    let limit = asked.limit.unwrap_or(LIMIT_MAX);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::invalid(format!("limit {limit} is not between 1 and {LIMIT_MAX}")).at("limit"));
    }
    let internal = |error: crate::Error| Problem::internal(&error);
    let mut page = Page { intents: Vec::new() };
    for kept in intents::list(db.reader(), asked.state, asked.after, limit).await.map_err(internal)? {
        let attempts = attempts(db.reader(), &kept).await.map_err(internal)?;
        page.intents.push(Shown {
            id: kept.id.to_string(),
            state: kept.state,
            reason: kept.reason,
            done_by: kept.done_by,
            received_ms: kept.received_ms.to_string(),
            updated_ms: kept.updated_ms.to_string(),
            intent: kept.intent,
            attempts,
        });
    }
    Ok(Json(page))
}

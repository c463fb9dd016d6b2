//! `GET /v1/intents`.

use axum::{Router, extract::State as AppState, http::HeaderMap, routing::get};
use protocol::chain::TransactionId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::{
    db::Db,
    http::{Json, Problem, Query, bears},
};

use super::manager::{Attempt, attempts};
use crate::{
    config::Secret,
    intents::{self, State},
};

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
    intent: Value,
    attempts: Vec<Attempt>,
}

#[derive(Clone, Debug, Serialize)]
struct Page {
    intents: Vec<Shown>,
}

/// What only who has the hub's key is shown of an intent: who asked for it, and what was signed where.
const OF_THE_PARTIES: [&str; 4] = ["asked_by", "signature", "signed", "uri"];

fn leave_out(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !OF_THE_PARTIES.contains(&name.as_str()));
            fields.values_mut().for_each(leave_out);
        }
        Value::Array(values) => values.iter_mut().for_each(leave_out),
        _ => {}
    }
}

/// `GET /v1/intents?state=&after=&limit=` with every attempt. Accounts and signatures are for who has the hub's key.
pub fn routes(db: Db, key: Secret) -> Router {
    Router::new().route("/v1/intents", get(list)).with_state((db, key))
}

async fn list(
    AppState((db, key)): AppState<(Db, Secret)>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Json<Page>, Problem> {
    let limit = asked.limit.unwrap_or(LIMIT_MAX);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::invalid(format!("limit {limit} is not between 1 and {LIMIT_MAX}")).at("limit"));
    }
    let internal = |error: crate::Error| Problem::internal(&error);
    let mut page = Page { intents: Vec::new() };
    for kept in intents::list(db.reader(), asked.state, asked.after, limit).await.map_err(internal)? {
        let attempts = attempts(db.reader(), &kept).await.map_err(internal)?;
        let mut intent = serde_json::to_value(&kept.intent).map_err(|error| Problem::internal(&error))?;
        if !bears(&headers, key.expose()) {
            leave_out(&mut intent);
        }
        page.intents.push(Shown {
            id: kept.id.to_string(),
            state: kept.state,
            reason: kept.reason,
            done_by: kept.done_by,
            received_ms: kept.received_ms.to_string(),
            updated_ms: kept.updated_ms.to_string(),
            intent,
            attempts,
        });
    }
    Ok(Json(page))
}

#[cfg(test)]
mod tests {
    use protocol::wire::{
        act::PartyAct,
        intent::{IntentAction, PartySignature},
    };

    use super::*;
    use crate::testing::{intent, terms};

    #[test]
    fn accounts_and_signatures_are_left_out() {
        let terms = terms();
        let (uri, evidence) = ("ipfs://secret".to_owned(), terms.salt);
        let act = PartyAct::Evidence { evidence, uri, valid_until: 1 };
        let signed = vec![PartySignature { party: terms.buyer.address, signature: vec![0xab; 65].into() }];
        let mut asked = intent(1, "act/1", &terms, IntentAction::Act { act, signed });
        asked.asked_by = Some("ann".to_owned());
        let mut shown = serde_json::to_value(&asked).unwrap();
        let whole = shown.to_string();
        leave_out(&mut shown);
        let left = shown.to_string();
        for secret in ["ipfs://secret", "ababab", "\"ann\""] {
            assert!(whole.contains(secret) && !left.contains(secret), "{left}");
        }
        assert!(left.contains("act/1"), "{left}");
    }
}

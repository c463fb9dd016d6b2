//! `POST /v1/call`: a read-only call of a contract at the chain's newest block, for whoever has no node of his own (the
//! hub asks contract wallets about signatures by it). At most 16 calls at a time.

use axum::extract::State;
use protocol::wire::feed::{Call, CallOutcome};
use service::http::{Json, Problem};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::shared::{CALLS_AT_ONCE_MAX, Shared};

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(call))
}

/// The largest calldata and the largest answer, in bytes.
const DATA_MAX: usize = 16 * 1024;

/// What a contract answers to a read-only call at its chain's newest block.
#[utoipa::path(post, path = "/v1/call", tag = "calls", request_body(content = Object, description = "`to`, a CAIP-10 account, and `data`"),
    responses(
        (status = 200, description = "A `CallOutcome`: `returned` or `reverted`, with its `data`", body = Object),
        (status = 422, description = "A field breaks a rule", content_type = "application/problem+json"),
        (status = 503, description = "The node does not answer, or too many calls are under way", content_type = "application/problem+json"),
    ))]
async fn call(State(shared): State<Shared>, Json(call): Json<Call>) -> Result<Json<CallOutcome>, Problem> {
    let Some(chain) = shared.chains.get(&call.to.chain) else {
        let detail = format!("to is on {}, but must be on one of: {}", call.to.chain, shared.chain_names());
        return Err(Problem::invalid(detail).at("/to"));
    };
    if call.data.len() > DATA_MAX {
        let detail = format!("data has {} bytes, but must have at most {DATA_MAX}", call.data.len());
        return Err(Problem::invalid(detail).at("/data"));
    }
    let Ok(_turn) = shared.calls.try_acquire() else {
        return Err(Problem::unavailable(format!("{CALLS_AT_ONCE_MAX} calls are under way; try again")));
    };
    let outcome = chain.source.call(&call).await?;
    let (CallOutcome::Returned { data } | CallOutcome::Reverted { data }) = &outcome;
    if data.len() > DATA_MAX {
        return Err(Problem::invalid(format!(
            "the contract answers {} bytes, but at most {DATA_MAX} are passed on",
            data.len()
        ))
        .at("/data"));
    }
    Ok(Json(outcome))
}

//! `POST /v1/call`: a read-only call of a contract at the chain's newest block, for whoever has no node of his own (the
//! hub asks contract wallets about signatures by it). At most 16 calls at a time and so many a minute as `calls_per_minute` says, and
//! 16 at a time of who bears the key `call_key`.

use axum::{extract::State, http::HeaderMap};
use protocol::wire::feed::{Call, CallOutcome};
use service::http::{Json, Problem, bears};
use tokio::sync::SemaphorePermit;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::shared::{CALLS_AT_ONCE_MAX, Shared};

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(call))
}

/// The largest calldata and the largest answer, in bytes.
const DATA_MAX: usize = 16 * 1024;

/// A place at the nodes for one request: one of who bears the key, or one of everybody's, who have so many a minute together.
///
/// # Errors
/// None is free, or nobody has one without the key.
pub(crate) fn place<'a>(shared: &'a Shared, headers: &HeaderMap) -> Result<SemaphorePermit<'a>, Problem> {
    let (key, own) = &shared.own_calls;
    let known = bears(headers, key);
    let places = if known { own } else { &shared.calls };
    let Ok(place) = places.try_acquire() else {
        return Err(Problem::unavailable(format!("{CALLS_AT_ONCE_MAX} calls are under way; try again")));
    };
    match &shared.calls_rate {
        _ if known => Ok(place),
        Some(rate) if rate.check().is_ok() => Ok(place),
        Some(_) => Err(Problem::unavailable("as many calls as a minute has were made; try again")),
        None => Err(Problem::forbidden("calls are made for who shows the key of this indexer alone")),
    }
}

/// What a contract answers to a read-only call at its chain's newest block.
#[utoipa::path(post, path = "/v1/call", tag = "calls", request_body(content = Object, description = "`to`, a CAIP-10 account, and `data`"),
    responses(
        (status = 200, description = "A `CallOutcome`: `returned` or `reverted`, with its `data`", body = Object),
        (status = 403, description = "Calls are made for who shows the key alone", content_type = "application/problem+json"),
        (status = 422, description = "A field breaks a rule", content_type = "application/problem+json"),
        (status = 503, description = "The node does not answer, or too many calls are under way or were made within a minute", content_type = "application/problem+json"),
    ))]
async fn call(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Json(call): Json<Call>,
) -> Result<Json<CallOutcome>, Problem> {
    let Some(chain) = shared.chains.get(&call.to.chain) else {
        let detail = format!("to is on {}, but must be on one of: {}", call.to.chain, shared.chain_names());
        return Err(Problem::invalid(detail).at("/to"));
    };
    if call.data.len() > DATA_MAX {
        let detail = format!("data has {} bytes, but must have at most {DATA_MAX}", call.data.len());
        return Err(Problem::invalid(detail).at("/data"));
    }
    let _turn = place(&shared, &headers)?;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fixture::Chain;
    use serde_json::json;
    use service::{clock::SystemClock, db::testing::sqlite};

    use super::*;
    use crate::{Error, config::Config, shared::rate};

    const KEY: &str = "a hub that is known";

    #[tokio::test]
    async fn who_bears_the_key_is_called_for_when_every_open_place_is_taken() {
        let (db, chain) = (sqlite(), Chain::start().await);
        let config = Config { call_key: KEY.to_owned(), ..crate::testing::config(&chain, &db) };
        let (db, chains) = crate::open(&config, &SystemClock).await.unwrap();
        let mut shared = Shared::new(db, chains, Arc::new(SystemClock), Default::default(), 0);
        shared.own_calls.0 = KEY.into();
        let taken = shared.calls.clone().acquire_many_owned(CALLS_AT_ONCE_MAX as u32).await.unwrap();
        let own = shared.own_calls.1.clone();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/call", listener.local_addr().unwrap());
        let app = crate::app(shared);
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let body = json!({ "to": chain.escrow, "data": "0x" });
        let ask = async |key: &str| {
            let request = reqwest::Client::new().post(&url).bearer_auth(key).json(&body);
            request.send().await.unwrap().status().as_u16()
        };
        assert_eq!((ask("").await, ask("another").await, ask(KEY).await), (503, 503, 200));
        let own = own.acquire_many_owned(CALLS_AT_ONCE_MAX as u32).await.unwrap();
        drop(taken);
        assert_eq!((ask("").await, ask(KEY).await), (200, 503));
        drop(own);
        serving.abort();
    }

    #[tokio::test]
    async fn who_bears_no_key_is_called_for_so_often_a_minute() {
        let (db, chain) = (sqlite(), Chain::start().await);
        let (db, chains) = crate::open(&crate::testing::config(&chain, &db), &SystemClock).await.unwrap();
        let mut shared = Shared::new(db, chains, Arc::new(SystemClock), Default::default(), 0);
        shared.own_calls.0 = KEY.into();
        let body = json!({ "to": chain.escrow, "data": "0x" });
        for (per_minute, open) in [(1, [200, 503]), (0, [403, 403])] {
            shared.calls_rate = rate(per_minute);
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/v1/call", listener.local_addr().unwrap());
            let app = crate::app(shared.clone());
            let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
            let ask = async |key: &str| {
                let request = reqwest::Client::new().post(&url).bearer_auth(key).json(&body);
                request.send().await.unwrap().status().as_u16()
            };
            assert_eq!([ask("").await, ask("").await], open, "{per_minute} a minute");
            assert_eq!([ask(KEY).await, ask(KEY).await], [200, 200], "{per_minute} a minute");
            serving.abort();
        }
    }

    #[test]
    fn a_short_key_is_refused_without_being_shown() {
        let chains = [("eip155:1".parse().unwrap(), crate::config::ChainConfig::default())].into();
        let refused = Config { call_key: "hunter2".to_owned(), chains, ..Config::default() }.check();
        let Err(Error::Config { key, value, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!((key.as_str(), value.as_str()), ("call_key", "7 characters"));
    }
}

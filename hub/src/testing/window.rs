//! The indexer's `POST /v1/call`, answered by a real chain.

use alloy::{
    primitives::Bytes,
    providers::{DynProvider, Provider},
    rpc::{json_rpc::ErrorPayload, types::TransactionRequest},
};
use axum::{Json, Router, extract::State, routing::post};
use fixture::Chain;
use protocol::wire::feed::{Call, CallOutcome};
use tokio::{net::TcpListener, task::JoinHandle};

/// Serves calls on a port of its own until it is dropped.
pub(crate) struct Window {
    pub url: String,
    task: JoinHandle<()>,
}

impl Drop for Window {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Window {
    pub(crate) async fn on(chain: &Chain) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().route("/v1/call", post(call)).with_state(chain.provider().clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, task }
    }
}

async fn call(State(provider): State<DynProvider>, Json(call): Json<Call>) -> Json<CallOutcome> {
    let request = TransactionRequest::default().to(fixture::evm(call.to.address)).input(call.data.into());
    Json(match provider.call(request).await {
        Ok(data) => CallOutcome::Returned { data },
        Err(error) => {
            let data =
                error.as_error_resp().and_then(ErrorPayload::as_revert_data).unwrap_or_else(Bytes::new);
            CallOutcome::Reverted { data }
        }
    })
}

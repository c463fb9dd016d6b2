//! What the hub asks of an indexer but for events, answered by a real chain.

use alloy::{
    primitives::{B256, Bytes},
    providers::{DynProvider, Provider},
    rpc::{json_rpc::ErrorPayload, types::TransactionRequest},
    sol_types::SolCall,
};
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::{get, post},
};
use fixture::Chain;
use protocol::{
    chain::AccountId,
    evm::pools::ArbitrationPools,
    wire::{
        feed::{Call, CallOutcome, Finality, RuleBook},
        view::{MemberList, Pool, PoolMembers, PoolView},
    },
};
use serde::Deserialize;
use service::http::Problem;
use tokio::{net::TcpListener, task::JoinHandle};

/// Serves on a port of its own until it is dropped.
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
        let app = Router::new()
            .route("/v1/call", post(call))
            .route("/v1/pools/{pool}", get(pool))
            .route("/v1/pools/{pool}/members", get(members))
            .with_state(chain.provider().clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, task }
    }
}

async fn ask(provider: &DynProvider, to: AccountId, data: Bytes) -> CallOutcome {
    let request = TransactionRequest::default().to(fixture::evm(to.address)).input(data.into());
    match provider.call(request).await {
        Ok(data) => CallOutcome::Returned { data },
        Err(error) => {
            let data =
                error.as_error_resp().and_then(ErrorPayload::as_revert_data).unwrap_or_else(Bytes::new);
            CallOutcome::Reverted { data }
        }
    }
}

async fn read<C: SolCall>(provider: &DynProvider, to: AccountId, call: C) -> Result<C::Return, Problem> {
    match ask(provider, to, call.abi_encode().into()).await {
        CallOutcome::Returned { data } => Ok(C::abi_decode_returns(&data).unwrap()),
        CallOutcome::Reverted { .. } => Err(Problem::not_found("contract", to)),
    }
}

async fn call(State(provider): State<DynProvider>, Json(call): Json<Call>) -> Json<CallOutcome> {
    Json(ask(&provider, call.to, call.data).await)
}

#[derive(Deserialize)]
struct Asked {
    arbiter: AccountId,
    list: Option<u32>,
}

async fn pool(
    State(provider): State<DynProvider>,
    Path(pool): Path<B256>,
    Query(Asked { arbiter, .. }): Query<Asked>,
) -> Result<Json<PoolView>, Problem> {
    let book = read(&provider, arbiter, ArbitrationPools::bookOfCall { pool }).await?;
    let lists = read(&provider, arbiter, ArbitrationPools::listCountCall { pool }).await?;
    let book = RuleBook {
        keeper: book.keeper.into(),
        parent: book.parent,
        jury_size: book.jurySize,
        delay: book.delay,
        opening: book.opening,
        voting: book.voting,
        appeal: book.appeal,
        salt: book.salt,
    };
    let list = |list| MemberList { list, size: 0, effective_at: 0, pages: Vec::new() };
    let pool = Pool { pool, arbiter, book: Some(book), lists: (0..lists).map(list).collect() };
    Ok(Json(PoolView { pool, finality: Finality::Seen }))
}

async fn members(
    State(provider): State<DynProvider>,
    Path(pool): Path<B256>,
    Query(Asked { arbiter, list }): Query<Asked>,
) -> Result<Json<PoolMembers>, Problem> {
    let list = list.ok_or_else(|| Problem::invalid("list"))?;
    let members = read(&provider, arbiter, ArbitrationPools::membersOfCall { pool, list }).await?;
    let members = members.into_iter().map(Into::into).collect();
    Ok(Json(PoolMembers { pool, arbiter, list, members }))
}

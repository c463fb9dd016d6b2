//! `POST /v1/estimates`: what would become of an intent if it were pursued now, and what it costs. Nothing is kept.

use std::sync::Arc;

use axum::{Router, extract::State as AppState, http::HeaderMap, routing::post};
use protocol::{
    chain::ChainId,
    wire::intent::{Intent, NamedRefusal, Outlook},
};
use service::{
    clock::Clock,
    db::Db,
    http::{Json, Problem, bears},
};
use tokio::sync::Semaphore;

use crate::{
    config::Secret,
    error::Error,
    intents::{self, Kept, State},
    quota::{self, Quotas},
    transactions::Manager,
};

/// How many estimates are made at one time: each asks the node several things.
const AT_ONCE: usize = 4;

/// What estimates are made with.
#[derive(Clone)]
pub struct Estimator {
    db: Db,
    clock: Arc<dyn Clock>,
    chain: ChainId,
    manager: Manager,
    quotas: Quotas,
    key: Secret,
    places: Arc<Semaphore>,
}

impl Estimator {
    /// For who has this key, which is that of the hub.
    pub fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        chain: ChainId,
        manager: Manager,
        quotas: Quotas,
        key: Secret,
    ) -> Self {
        Self { db, clock, chain, manager, quotas, key, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    async fn outlook(&self, intent: Intent) -> Result<Outlook, Error> {
        let now_ms = self.clock.now_ms();
        let asked_by = intent.asked_by.clone();
        let kept = Kept {
            id: 0,
            intent,
            state: State::Waiting,
            reason: String::new(),
            refused_at_block: None,
            done_by: None,
            received_ms: now_ms,
            updated_ms: now_ms,
        };
        // Who stands by has no rounds that tell it.
        self.manager.strangers().tell(now_ms);
        let tried = self.manager.try_out(&kept).await?;
        let mut outlook = tried.outlook;
        if let (Some(account), Some(charge)) = (asked_by, tried.charge) {
            let used = quota::used(&mut *self.db.reader().acquire().await?, &account, now_ms).await?;
            let over = self.quotas.allow(&used, charge).err();
            outlook.over_quota = over.map(|over| {
                let detail = format!("{over}, {} used and {} wanted", over.used, over.wanted);
                NamedRefusal { rule: over.rule.to_owned(), detail }
            });
        }
        Ok(outlook)
    }
}

/// `POST /v1/estimates`: an intent in, an [`Outlook`] out; for who has the hub's key.
pub fn routes(estimator: Estimator) -> Router {
    Router::new().route("/v1/estimates", post(estimate)).with_state(estimator)
}

async fn estimate(
    AppState(estimator): AppState<Estimator>,
    headers: HeaderMap,
    intent: Result<Json<Intent>, Problem>,
) -> Result<Json<Outlook>, Problem> {
    if !bears(&headers, estimator.key.expose()) {
        return Err(Problem::unauthenticated("only this relayer's hub may: send its key as Bearer token"));
    }
    let Json(intent) = intent?;
    if intent.arbiter.chain != estimator.chain {
        let told = format!("{} is not {}, the chain of this relayer", intent.arbiter.chain, estimator.chain);
        return Err(Problem::invalid(told).at("/arbiter"));
    }
    intents::admit(&intent).map_err(Problem::invalid)?;
    let Ok(_place) = estimator.places.try_acquire() else {
        return Err(Problem::unavailable(format!("{AT_ONCE} estimates are being made: try again")));
    };
    match estimator.outlook(intent).await {
        Ok(outlook) => Ok(Json(outlook)),
        Err(error @ Error::Chain(_)) => Err(Problem::unavailable(error.to_string())),
        Err(error) => Err(Problem::internal(&error)),
    }
}

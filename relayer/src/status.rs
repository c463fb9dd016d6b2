//! `GET /status`, and the gauges behind the same numbers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, extract::State as AppState, routing::get};
use serde::Serialize;
use service::{
    clock::Clock,
    db::{Db, Engine},
    http::{Json, Problem},
};

use crate::{
    alarm::{Alarm, Alarms},
    bridge::{self, Progress},
    error::Error,
    intents::State,
    lease::{LEASE, STANDING_BY},
    outbox, quota,
    transactions::{self, Seen, Standing},
};

/// The notice of steps of cases that cost much together.
const DEAR_STEPS: &str = "cost of cases";

/// What `/status` needs.
#[derive(Clone)]
pub struct Status {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The chain by CAIP-2.
    pub chain: protocol::chain::ChainId,
    /// What steps of cases may cost in a day before that is said, in billionths of the coin.
    pub steps_day_cost: u64,
    /// Who pays.
    pub signers: Vec<protocol::chain::Address>,
    /// What is wrong.
    pub alarms: Arc<Alarms>,
    /// How far the bridge is.
    pub progress: Arc<Mutex<Progress>>,
    /// The last look at the chain.
    pub seen: Arc<Mutex<Option<Seen>>>,
    /// How many accounts are out of line, by the quota that each is over.
    pub over_quota: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

#[derive(Debug, Serialize)]
struct Report {
    chain: String,
    database: &'static str,
    alarms: BTreeMap<&'static str, Alarm>,
    /// What is worth knowing and keeps nothing from being done.
    notices: BTreeMap<&'static str, Alarm>,
    feed: Feed,
    intents: BTreeMap<State, i64>,
    attempts_open: i64,
    oldest_intent_age_ms: i64,
    /// What steps of cases that were signed in the last day may cost, in billionths of the coin.
    #[serde(with = "protocol::wire::dec")]
    steps_day_cost: u64,
    /// How many accounts are out of line, by the quota that each is over.
    over_quota: BTreeMap<&'static str, u64>,
    /// What is still to be told to the hub and the operator.
    outbox: i64,
    /// None where the chain was not looked at since this process works; so with the next.
    latest_block: Option<String>,
    final_block: Option<String>,
    signers: Vec<Signer>,
}

#[derive(Debug, Serialize)]
struct Feed {
    /// Delivered or kept up to this `seq`.
    cursor: String,
    /// Milliseconds since when something waits to be delivered; 0 when nothing does.
    lag_ms: i64,
    refused_entries: i64,
    /// How often the feed was found begun anew.
    restarts: u64,
}

#[derive(Debug, Serialize)]
struct Signer {
    address: String,
    /// In the coin's smallest unit; none before the first look at the chain.
    balance: Option<String>,
    /// None where transactions have no nonces.
    next_nonce: Option<String>,
    /// Reserved nonces that the chain has not used yet.
    nonce_gap: Option<u64>,
}

/// `GET /status`.
pub fn routes(status: Status) -> Router {
    Router::new()
        .route("/status", get(|AppState(status): AppState<Status>| async move { show(&status).await }))
        .with_state(status)
}

async fn show(status: &Status) -> Result<Json<Report>, Problem> {
    report(status).await.map(Json).map_err(|error| Problem::internal(&error))
}

async fn report(status: &Status) -> Result<Report, Error> {
    let now_ms = status.clock.now_ms();
    let progress = status.progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let seen = status.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let over_quota = status.over_quota.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let reader = status.db.reader();
    let (refused_entries, _) = bridge::refused_count(reader).await?;
    let standing = transactions::standing(reader).await?;
    let signers = status.signers.iter().map(|address| signer(*address, seen.as_ref(), &standing)).collect();
    Ok(Report {
        chain: status.chain.to_string(),
        database: match status.db.engine() {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
        },
        alarms: status.alarms.all(),
        notices: status.alarms.notices(),
        feed: Feed {
            cursor: progress.cursor.to_string(),
            lag_ms: lag_ms(&progress, now_ms),
            refused_entries,
            restarts: progress.restarts,
        },
        intents: standing.intents.iter().copied().collect(),
        attempts_open: standing.attempts_open,
        oldest_intent_age_ms: standing.oldest_ms.map_or(0, |oldest| now_ms.saturating_sub(oldest)),
        steps_day_cost: quota::of_steps(reader, now_ms).await?,
        over_quota,
        outbox: outbox::waiting(&status.db).await?,
        latest_block: seen.as_ref().map(|seen| seen.latest.to_string()),
        final_block: seen.as_ref().map(|seen| seen.finalized.to_string()),
        signers,
    })
}

fn signer(address: protocol::chain::Address, seen: Option<&Seen>, standing: &Standing) -> Signer {
    let name = address.to_string();
    let seen = seen.and_then(|seen| seen.signers.iter().find(|signer| signer.address == address));
    let next = standing.next_nonces.get(&name).copied().unwrap_or(0);
    let used = seen.and_then(|seen| seen.nonce);
    Signer {
        address: name,
        balance: seen.map(|seen| seen.balance.to_string()),
        next_nonce: used.map(|used| next.max(used).to_string()),
        nonce_gap: used.map(|used| next.saturating_sub(used)),
    }
}

fn lag_ms(progress: &Progress, now_ms: i64) -> i64 {
    progress.behind_since_ms.map_or(0, |since| now_ms.saturating_sub(since))
}

/// Renews every gauge, and says what the numbers alone tell.
///
/// # Errors
/// The database's own.
pub async fn measure(status: &Status) -> Result<(), Error> {
    let report = report(status).await?;
    let progress = status.progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
    gauge("relayer_feed_cursor", i64::try_from(progress.cursor).unwrap_or(i64::MAX));
    gauge("relayer_feed_lag_milliseconds", report.feed.lag_ms);
    gauge("relayer_refused_entries", report.feed.refused_entries);
    for state in State::ALL {
        let count = report.intents.get(&state).copied().unwrap_or(0);
        metrics::gauge!("relayer_intents", "state" => state.as_str()).set(as_f64(count));
    }
    gauge("relayer_attempts_open", report.attempts_open);
    gauge("relayer_oldest_intent_age_seconds", report.oldest_intent_age_ms / 1_000);
    gauge("relayer_steps_day_cost_gwei", i64::try_from(report.steps_day_cost).unwrap_or(i64::MAX));
    // What they cost stops none of them, and is not spent in silence.
    if report.steps_day_cost > status.steps_day_cost {
        let most = status.steps_day_cost;
        let words = format!(
            "steps of cases may cost more in a day than quotas.steps_day_cost: {most} billionths of a coin"
        );
        status.alarms.notice(DEAR_STEPS, words, status.clock.now_ms());
    } else {
        status.alarms.forget(DEAR_STEPS);
    }
    // Whoever stands by leaves nothing undone.
    let raised = report.alarms.values().filter(|alarm| alarm.reason != STANDING_BY).count();
    gauge("relayer_alarms", i64::try_from(raised).unwrap_or(i64::MAX));
    let works = !report.alarms.contains_key(LEASE);
    metrics::gauge!("relayer_works", "chain" => report.chain.clone()).set(as_f64(works.into()));
    gauge("relayer_notices", i64::try_from(status.alarms.notices().len()).unwrap_or(i64::MAX));
    gauge("relayer_outbox", report.outbox);
    for signer in &report.signers {
        if let Some(gap) = signer.nonce_gap {
            let gap = i64::try_from(gap).unwrap_or(i64::MAX);
            metrics::gauge!("relayer_nonce_gap", "signer" => signer.address.clone()).set(as_f64(gap));
        }
    }
    let seen = status.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(seen) = seen else {
        forget_chain(&report.signers);
        return Ok(());
    };
    let lag = seen.latest.saturating_sub(seen.finalized);
    gauge("relayer_finality_lag_blocks", i64::try_from(lag).unwrap_or(i64::MAX));
    gauge("relayer_latest_block", i64::try_from(seen.latest).unwrap_or(i64::MAX));
    for signer in seen.signers {
        let balance = i64::try_from(signer.balance_billionths).unwrap_or(i64::MAX);
        metrics::gauge!("relayer_signer_balance_gwei", "signer" => signer.address.to_string())
            .set(as_f64(balance));
    }
    Ok(())
}

/// Takes back what was said of the chain: whoever does not look at it knows nothing, and pages nobody for what is long over.
fn forget_chain(signers: &[Signer]) {
    metrics::gauge!("relayer_finality_lag_blocks").set(f64::NAN);
    metrics::gauge!("relayer_latest_block").set(f64::NAN);
    for signer in signers {
        metrics::gauge!("relayer_nonce_gap", "signer" => signer.address.clone()).set(f64::NAN);
        metrics::gauge!("relayer_signer_balance_gwei", "signer" => signer.address.clone()).set(f64::NAN);
    }
}

/// Sets a gauge. Beyond 2^53 the metric is rounded, as all floating-point numbers are.
pub fn gauge(name: &'static str, value: i64) {
    metrics::gauge!(name).set(as_f64(value));
}

#[allow(clippy::cast_precision_loss, reason = "metrics are floating-point by their format")]
const fn as_f64(value: i64) -> f64 {
    value as f64
}

/// Says that a task finished a round, or begins with its first.
pub fn alive(task: &'static str, now_ms: i64) {
    metrics::gauge!("relayer_task_alive_seconds", "task" => task).set(as_f64(now_ms / 1_000));
}

/// Says that a task makes no rounds here: another process makes them. What is no number is below and above nothing, so no alert
/// speaks of it.
pub fn rests(task: &'static str) {
    metrics::gauge!("relayer_task_alive_seconds", "task" => task).set(f64::NAN);
}

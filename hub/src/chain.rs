//! The hub's window on the chains: its own indexers, one of each chain, over HTTP.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::primitives::{B256, Bytes};
use protocol::{
    chain::{AccountId, ChainId},
    wire::{
        feed::{Call, CallOutcome, FeedEntry},
        view::{PoolMembers, PoolView},
    },
};
use reqwest::{Client, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use service::failpoint;

/// The longest to wait for an answer.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// The largest answer: a member list of about 20,000 addresses.
const ANSWER_MAX: usize = 1024 * 1024;

/// Why the indexer's answer is not to be had. Trying again later may help.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The hub is not told where the indexer of this chain is.
    #[error("this hub has no indexer of the chain {0}")]
    NoIndexer(ChainId),
    /// No connection, no answer in time, or a broken one.
    #[error("the indexer does not answer {path}: {reason}")]
    Unreachable {
        /// What was asked.
        path: String,
        /// What the connection said.
        reason: String,
    },
    /// It answers something else than agreed.
    #[error("the indexer's answer to {path} cannot be used: {reason}")]
    Unusable {
        /// What was asked.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads from the indexers, one of each chain; clones share connections.
#[derive(Clone, Debug)]
pub struct Indexers {
    client: Client,
    bases: Arc<BTreeMap<ChainId, String>>,
    key: Key,
}

/// What the indexers are shown, and nobody else.
#[derive(Clone)]
struct Key(Arc<str>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Indexers {
    /// Readers of the indexers at these URLs, which are shown this key where it is not empty.
    ///
    /// # Errors
    /// The system has no TLS to offer.
    pub fn new(urls: &BTreeMap<ChainId, String>, key: &str) -> Result<Self, ChainError> {
        let client = Client::builder()
            .timeout(WAIT_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| ChainError::Unreachable { path: String::new(), reason: error.to_string() })?;
        let bases = urls.iter().map(|(chain, url)| (*chain, url.trim_end_matches('/').to_owned()));
        Ok(Self { client, bases: Arc::new(bases.collect()), key: Key(key.into()) })
    }

    /// The latest about an event of a chain; none when its indexer does not know it.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn event(&self, chain: ChainId, id: B256) -> Result<Option<FeedEntry>, ChainError> {
        self.ask(chain, Method::GET, &format!("/v1/events/{id}"), None).await
    }

    /// The indexer's view of a deal, as it is; none when it has never seen it.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn deal(&self, chain: ChainId, deal: B256) -> Result<Option<Value>, ChainError> {
        self.ask(chain, Method::GET, &format!("/v1/deals/{deal}"), None).await
    }

    /// A pool of an arbiter; none when the indexer has never seen it.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn pool(&self, arbiter: AccountId, pool: B256) -> Result<Option<PoolView>, ChainError> {
        self.ask(arbiter.chain, Method::GET, &format!("/v1/pools/{pool}?arbiter={arbiter}"), None).await
    }

    /// A list of a pool's members; none when the indexer does not know the list.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn members(
        &self,
        arbiter: AccountId,
        pool: B256,
        list: u32,
    ) -> Result<Option<PoolMembers>, ChainError> {
        let path = format!("/v1/pools/{pool}/members?arbiter={arbiter}&list={list}");
        self.ask(arbiter.chain, Method::GET, &path, None).await
    }

    /// A read-only call of a contract at the latest block of an EVM chain.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn call(&self, to: AccountId, data: Vec<u8>) -> Result<CallOutcome, ChainError> {
        let unusable = |reason: String| ChainError::Unusable { path: format!("/v1/call of {to}"), reason };
        let call = serde_json::to_value(Call { to, data: Bytes::from(data) })
            .map_err(|error| unusable(error.to_string()))?;
        self.ask(to.chain, Method::POST, "/v1/call", Some(&call))
            .await?
            .ok_or_else(|| unusable("the indexer does not serve this chain".to_owned()))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        chain: ChainId,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<T>, ChainError> {
        let answer = self.request(chain, method, path, body).await;
        if answer.is_err() {
            metrics::counter!("hub_indexer_errors_total", "chain" => chain.to_string()).increment(1);
        }
        answer
    }

    async fn request<T: DeserializeOwned>(
        &self,
        chain: ChainId,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<T>, ChainError> {
        let base = self.bases.get(&chain).ok_or(ChainError::NoIndexer(chain))?;
        let unreachable = |error: reqwest::Error| ChainError::Unreachable {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let unusable = |reason: String| ChainError::Unusable { path: path.to_owned(), reason };
        let mut request = self.client.request(method, format!("{base}{path}"));
        if !self.key.0.is_empty() {
            request = request.bearer_auth(&self.key.0);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        failpoint::pass(&["hub.indexer", kind_of(path), "before"]);
        let started = Instant::now();
        let answer = request.send().await;
        metrics::histogram!("hub_indexer_seconds", "chain" => chain.to_string()).record(started.elapsed());
        failpoint::pass(&["hub.indexer", kind_of(path), "after"]);
        let mut answer = answer.map_err(unreachable)?;
        match answer.status() {
            // The indexer's own word, not that of something on the way to it.
            StatusCode::NOT_FOUND if is_problem(&answer) => return Ok(None),
            StatusCode::OK => {}
            status => return Err(unusable(format!("status {status}"))),
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if bytes.len().saturating_add(chunk.len()) > ANSWER_MAX {
                return Err(unusable(format!("more than {ANSWER_MAX} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&bytes).map(Some).map_err(|error| unusable(error.to_string()))
    }
}

fn is_problem(answer: &reqwest::Response) -> bool {
    let kind = answer.headers().get(reqwest::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/problem+json"))
}

/// What a path asks for, as fail points name it: `events` of `/v1/events/0x…`.
fn kind_of(path: &str) -> &str {
    path.split(['/', '?']).nth(2).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::{Router, http::StatusCode, routing::get};
    use proptest::{prelude::*, sample::select};
    use protocol::wire::{
        feed::{ChainEvent, EventBody, Finality, RuleBook},
        view::{MemberList, Pool},
    };
    use serde_json::json;
    use service::http::Problem;
    use tokio::{net::TcpListener, runtime::Runtime};

    use super::*;
    use crate::testing::{
        answers::{Answers, Said},
        noise::{edited, edits, grafted, grafts, json as any_json},
    };

    #[tokio::test]
    async fn only_the_indexers_own_word_says_that_something_is_not_there() {
        let chain = ChainId::Eip155(31_337);
        let (known, unknown) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let app = Router::new()
            .route(&format!("/v1/events/{unknown}"), get(async || Problem::not_found("event", 2)))
            .route(&format!("/v1/events/{known}"), get(async || (StatusCode::NOT_FOUND, "no backend")));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let indexers = Indexers::new(&BTreeMap::from([(chain, url)]), "").unwrap();
        assert_eq!(indexers.event(chain, unknown).await.unwrap(), None);
        let refused = indexers.event(chain, known).await.unwrap_err().to_string();
        assert!(refused.contains("404"), "{refused}");
        served.abort();
    }

    const JSON: &str = "application/json";
    const PROBLEM: &str = "application/problem+json";

    /// An event, a pool, its members, a deal, and what a call returned.
    fn answered(at: AccountId) -> [Value; 5] {
        let someone = at.address;
        let event = ChainEvent {
            id: B256::repeat_byte(1),
            contract: at,
            block_number: 7,
            block_hash: B256::repeat_byte(2),
            block_time: 8,
            transaction: protocol::chain::TransactionId::Evm(B256::repeat_byte(3)),
            log_index: 0,
            body: EventBody::Withdrawn { creditor: someone, asset: someone, amount: 5, to: someone },
        };
        let book = RuleBook {
            keeper: someone,
            parent: B256::ZERO,
            jury_size: 3,
            delay: 0,
            opening: 3600,
            voting: 3600,
            appeal: 0,
            salt: B256::ZERO,
        };
        let lists = vec![MemberList { list: 0, size: 8, effective_at: 1, pages: vec![someone] }];
        let pool = Pool { pool: B256::ZERO, arbiter: at, book: Some(book), lists };
        [
            json!(FeedEntry { seq: 1, finality: Finality::Final, event }),
            json!(PoolView { pool, finality: Finality::Seen }),
            json!(PoolMembers { pool: B256::ZERO, arbiter: at, list: 0, members: vec![someone] }),
            json!({ "deal": B256::ZERO, "status": "funded" }),
            json!(CallOutcome::Returned { data: Bytes::from(vec![0; 32]) }),
        ]
    }

    /// Whether what came of an answer is what stands in it, or the reason why it cannot be used.
    fn is_as_said<T>(came: Result<Option<T>, ChainError>, (status, kind, body): &Said) -> bool
    where
        T: DeserializeOwned + PartialEq,
    {
        let read = serde_json::from_slice::<T>(body).ok().filter(|_| *status == 200);
        let is_missing = *status == 404 && *kind == PROBLEM;
        match came {
            Ok(Some(came)) => Some(came) == read,
            Ok(None) => is_missing,
            Err(error) => read.is_none() && !is_missing && error.to_string().contains("/v1/"),
        }
    }

    #[test]
    fn whatever_an_indexer_answers_is_what_was_agreed_or_cannot_be_used() {
        let runtime = Runtime::new().unwrap();
        let answers = runtime.block_on(Answers::start());
        let chain = ChainId::Eip155(31_337);
        let at = AccountId { chain, address: chain.zero() };
        let indexers = Indexers::new(&BTreeMap::from([(chain, answers.url.clone())]), "").unwrap();
        let holds = |nth: usize, said: &Said| {
            answers.say([said.clone()]);
            runtime.block_on(async {
                match nth {
                    0 => is_as_said(indexers.event(chain, B256::ZERO).await, said),
                    1 => is_as_said(indexers.pool(at, B256::ZERO).await, said),
                    2 => is_as_said(indexers.members(at, B256::ZERO, 0).await, said),
                    3 => is_as_said(indexers.deal(chain, B256::ZERO).await, said),
                    // Of a chain that is not served, no call says anything.
                    _ if said.0 == 404 => indexers.call(at, vec![1]).await.is_err(),
                    _ => is_as_said(indexers.call(at, vec![1]).await.map(Some), said),
                }
            })
        };
        let good = answered(at);
        assert!(serde_json::from_value::<FeedEntry>(good[0].clone()).is_ok());
        assert!(serde_json::from_value::<PoolView>(good[1].clone()).is_ok());
        assert!(serde_json::from_value::<PoolMembers>(good[2].clone()).is_ok());
        assert!(serde_json::from_value::<CallOutcome>(good[4].clone()).is_ok());
        for (nth, good) in good.iter().enumerate() {
            assert!(holds(nth, &(200, JSON, serde_json::to_vec(good).unwrap())), "{good}");
        }
        answers.say([(200, JSON, vec![b' '; ANSWER_MAX.saturating_add(1)])]);
        let refused = runtime.block_on(indexers.deal(chain, B256::ZERO)).unwrap_err().to_string();
        assert!(refused.contains("more than"), "{refused}");
        let statuses = vec![200_u16, 200, 200, 404, 500, 302];
        proptest!(|(
            nth in 0..5_usize, status in select(statuses), is_problem: bool,
            grafts in grafts(), edits in edits(), other in any_json(),
        )| {
            let good = &good[nth];
            let kind = if is_problem { PROBLEM } else { JSON };
            let grafted = serde_json::to_vec(&grafted(good, &grafts)).unwrap();
            let edited = edited(&serde_json::to_vec(good).unwrap(), &edits);
            for body in [grafted, edited, serde_json::to_vec(&other).unwrap()] {
                let said = (status, kind, body);
                prop_assert!(holds(nth, &said), "{nth}: {said:?}");
            }
        });
    }
}

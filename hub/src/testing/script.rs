//! A script in the indexer's place that says of the chain what the test has it say, in the words of `protocol::wire`.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use alloy::{
    primitives::{B256, Bytes, keccak256},
    sol,
    sol_types::SolCall,
};
use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use protocol::{
    chain::{self, AccountId, Address, ChainId, TransactionId},
    wire::{
        feed::{Call, CallOutcome, ChainEvent, EventBody, FeedEntry, Finality},
        view::{DealView, MemberList, PoolMembers, PoolView},
    },
};
use service::http::Problem;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{START_MS, trade::Ground};

/// From one block to the next, in seconds.
const BLOCK_SECONDS: u64 = 10;

sol! {
    function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
}

struct Said {
    ground: Ground,
    seq: u64,
    block: u64,
    entries: HashMap<B256, FeedEntry>,
    /// What every pool has beside its first list.
    lists: Vec<MemberList>,
    /// What contract wallets accept: wallet, hash, signature.
    accepted: HashSet<(Address, B256, Bytes)>,
}

/// The script; stopped when dropped.
pub(crate) struct Script {
    pub url: String,
    said: Arc<Mutex<Said>>,
    task: JoinHandle<()>,
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Script {
    pub(crate) async fn start(ground: Ground) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let said = Arc::new(Mutex::new(Said {
            ground,
            seq: 0,
            block: 100,
            entries: HashMap::new(),
            lists: Vec::new(),
            accepted: HashSet::new(),
        }));
        let app = Router::new()
            .route("/v1/events/{id}", get(event))
            .route("/v1/deals/{deal}", get(deal))
            .route("/v1/pools/{pool}", get(pool))
            .route("/v1/pools/{pool}/members", get(members))
            .route("/v1/call", post(call))
            .with_state(said.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, said, task }
    }

    /// A new block with one event, so far told to nobody. Its time is ten seconds after the block before.
    pub(crate) fn happens(&self, contract: AccountId, body: EventBody) -> ChainEvent {
        self.happen_together(vec![(contract, body)]).remove(0)
    }

    /// A new block with one transaction and its events, in this order.
    pub(crate) fn happen_together(&self, bodies: Vec<(AccountId, EventBody)>) -> Vec<ChainEvent> {
        let (block_number, block_time) = self.next_block();
        self.said.lock().unwrap().block = block_number;
        let block_hash = keccak256(block_number.to_be_bytes());
        let named = keccak256(block_hash);
        let event = |(log_index, (contract, body)): (u64, (AccountId, EventBody))| {
            let transaction = match contract.chain {
                ChainId::Eip155(_) => TransactionId::Evm(named),
                ChainId::Solana(_) => TransactionId::Solana([block_hash, named].concat().try_into().unwrap()),
            };
            ChainEvent {
                id: chain::event_id(contract.chain, block_hash, transaction, log_index).unwrap(),
                contract,
                block_number,
                block_hash,
                block_time,
                transaction,
                log_index,
                body,
            }
        };
        (0..).zip(bodies).map(event).collect()
    }

    /// Height and Unix second of the block that comes next.
    pub(crate) fn next_block(&self) -> (u64, u64) {
        let block = self.said.lock().unwrap().block + 1;
        (block, START_MS as u64 / 1000 + (block - 100) * BLOCK_SECONDS)
    }

    /// Blocks without events: so many seconds pass, rounded down to whole blocks.
    pub(crate) fn passes(&self, seconds: u64) {
        self.said.lock().unwrap().block += seconds / BLOCK_SECONDS;
    }

    /// The event that was told last.
    pub(crate) fn newest(&self) -> ChainEvent {
        let said = self.said.lock().unwrap();
        said.entries.values().max_by_key(|entry| entry.seq).expect("an event").event.clone()
    }

    /// The indexer tells the event with this finality from now on; the telling is what the relayer would deliver.
    pub(crate) fn tells(&self, event: &ChainEvent, finality: Finality) -> FeedEntry {
        let mut said = self.said.lock().unwrap();
        said.seq += 1;
        let entry = FeedEntry { seq: said.seq, finality, event: event.clone() };
        said.entries.insert(event.id, entry.clone());
        entry
    }

    /// The indexer does not know the event any more.
    pub(crate) fn forgets(&self, event: &ChainEvent) {
        self.said.lock().unwrap().entries.remove(&event.id);
    }

    /// Every pool has another list, of so many members, that counts from this Unix second on. Whoever reads it gets the members of
    /// the first one.
    pub(crate) fn publishes(&self, size: u32, effective_at: u64) {
        let mut said = self.said.lock().unwrap();
        let (list, pages) = (u32::try_from(said.lists.len()).unwrap() + 1, Vec::new());
        said.lists.push(MemberList { list, size, effective_at, pages });
    }

    /// The contract wallet holds this signature good.
    pub(crate) fn accepts(&self, wallet: Address, hash: B256, signature: &Bytes) {
        self.said.lock().unwrap().accepted.insert((wallet, hash, signature.clone()));
    }
}

async fn event(
    State(said): State<Arc<Mutex<Said>>>,
    Path(id): Path<B256>,
) -> Result<Json<FeedEntry>, Problem> {
    said.lock().unwrap().entries.get(&id).cloned().map(Json).ok_or_else(|| Problem::not_found("event", id))
}

async fn deal(
    State(said): State<Arc<Mutex<Said>>>,
    Path(deal): Path<B256>,
) -> Result<Json<DealView>, Problem> {
    let view = super::deal::view(deal, said.lock().unwrap().entries.values());
    view.map(Json).ok_or_else(|| Problem::not_found("deal", deal))
}

async fn call(State(said): State<Arc<Mutex<Said>>>, Json(call): Json<Call>) -> Json<CallOutcome> {
    let data = call.data.as_ref();
    let reverted = || CallOutcome::Reverted { data: Bytes::new() };
    let returned = |data: Vec<u8>| CallOutcome::Returned { data: data.into() };
    if let Ok(asked) = isValidSignatureCall::abi_decode(data) {
        let key = (call.to.address, asked.hash, asked.signature);
        return Json(if said.lock().unwrap().accepted.contains(&key) {
            let mut word = [0; 32];
            word[..4].copy_from_slice(&isValidSignatureCall::SELECTOR);
            returned(word.to_vec())
        } else {
            reverted()
        });
    }
    Json(reverted())
}

async fn pool(
    State(said): State<Arc<Mutex<Said>>>,
    Path(pool): Path<B256>,
) -> Result<Json<PoolView>, Problem> {
    let said = said.lock().unwrap();
    let mut pool = said.ground.known(pool).ok_or_else(|| Problem::not_found("pool", pool))?;
    pool.lists.extend(said.lists.iter().cloned());
    Ok(Json(PoolView { pool, finality: Finality::Final }))
}

async fn members(State(said): State<Arc<Mutex<Said>>>, Path(pool): Path<B256>) -> Json<PoolMembers> {
    let ground = said.lock().unwrap().ground;
    Json(PoolMembers { pool, arbiter: ground.arbiter, list: 0, members: ground.members() })
}

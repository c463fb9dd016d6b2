//! A trade on a hub: the parties, a pool with its jurors, a listing, and a script in the indexer's place that says of the
//! chain what the test has it say, in the words of `protocol::wire`.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use alloy::{
    primitives::{self, B256, Bytes, keccak256},
    sol,
    sol_types::SolCall,
};
use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use protocol::{
    chain::{self, AccountId, Address, AssetId, ChainId, TransactionId},
    solana,
    terms::Terms,
    wire::{
        feed::{Brought, Call, CallOutcome, ChainEvent, Delivery, EventBody, FeedEntry, Finality, RuleBook},
        view::{MemberList, Pool, PoolMembers, PoolView},
    },
};
use serde_json::{Value, json};
use service::{
    db::testing::{FreshDb, on_both, sqlite},
    http::Problem,
};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{Answer, Person, RELAYER_KEY, START_MS, TestHub, Wallet};
use crate::{deals::model::agreement_hash, records::RecordId};

sol! {
    function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
}

/// The tests' EVM chain.
pub(crate) const CHAIN: ChainId = ChainId::Eip155(31337);

const fn contract(byte: u8) -> AccountId {
    AccountId { chain: CHAIN, address: Address::Evm(primitives::Address::repeat_byte(byte)) }
}

/// The escrow that the hub follows there.
pub(crate) const ESCROW: AccountId = contract(0xee);
/// The arbiter that the hub follows there.
pub(crate) const ARBITER: AccountId = contract(0xaa);

/// The seed of the seller's keys.
const SELLER: u8 = 2;

/// Where a trade takes place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    pub chain: ChainId,
    pub escrow: AccountId,
    pub arbiter: AccountId,
}

/// Each engine with a trade on the EVM, and one with a trade on Solana.
pub(crate) async fn everywhere() -> Vec<(FreshDb, Ground)> {
    let mut all: Vec<_> = on_both().await.into_iter().map(|db| (db, Ground::EVM)).collect();
    all.push((sqlite(), Ground::solana()));
    all
}

impl Ground {
    pub(crate) const EVM: Self = Self { chain: CHAIN, escrow: ESCROW, arbiter: ARBITER };

    /// The program is both, by two addresses.
    pub(crate) fn solana() -> Self {
        let chain = solana::chain().unwrap();
        let account = |key| AccountId { chain, address: solana::from_key(&key) };
        Self { chain, escrow: account(solana::program()), arbiter: account(solana::arbiter()) }
    }

    pub(crate) fn coin(self) -> AssetId {
        AssetId::native(self.chain)
    }

    pub(crate) fn pool_id(self, book: &RuleBook) -> B256 {
        chain::pool_id(self.chain, book).unwrap()
    }

    /// Three seats, an hour to open, an hour to vote; kept by the seller.
    pub(crate) fn book(self) -> RuleBook {
        RuleBook {
            keeper: Wallet::of_seed(self.chain, SELLER).address(),
            parent: B256::ZERO,
            jury_size: 3,
            delay: 0,
            opening: 3600,
            voting: 3600,
            appeal: 0,
            salt: B256::ZERO,
        }
    }

    /// Five seats, an hour to open, two hours to vote; nobody's parent but [`Ground::appealable`]'s.
    pub(crate) fn parent_book(self) -> RuleBook {
        RuleBook { jury_size: 5, voting: 7200, salt: B256::repeat_byte(1), ..self.book() }
    }

    /// As [`Ground::book`], with a day in which a ruling may be appealed.
    pub(crate) fn appealable(self) -> RuleBook {
        RuleBook { parent: self.pool_id(&self.parent_book()), appeal: 86_400, ..self.book() }
    }

    /// A pool of the arbiter, with one list of eight.
    fn known(self, pool: B256) -> Option<Pool> {
        let books = [self.book(), self.parent_book(), self.appealable()];
        let book = books.into_iter().find(|book| self.pool_id(book) == pool)?;
        let list = MemberList { list: 0, size: 8, effective_at: 1, pages: vec![self.chain.zero()] };
        Some(Pool { pool, arbiter: self.arbiter, book: Some(book), lists: vec![list] })
    }

    fn members(self) -> Vec<Address> {
        (100..108).map(|seed| Wallet::of_seed(self.chain, seed).address()).collect()
    }
}

struct Said {
    ground: Ground,
    seq: u64,
    block: u64,
    entries: HashMap<B256, FeedEntry>,
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
        let mut said = self.said.lock().unwrap();
        said.block += 1;
        let block_hash = keccak256(said.block.to_be_bytes());
        let named = keccak256(block_hash);
        let transaction = match contract.chain {
            ChainId::Eip155(_) => TransactionId::Evm(named),
            ChainId::Solana(_) => TransactionId::Solana([block_hash, named].concat().try_into().unwrap()),
        };
        ChainEvent {
            id: chain::event_id(contract.chain, block_hash, transaction, 0).unwrap(),
            contract,
            block_number: said.block,
            block_hash,
            block_time: START_MS as u64 / 1000 + (said.block - 100) * 10,
            transaction,
            log_index: 0,
            body,
        }
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

/// What the hub reads of it is that it is there.
async fn deal(State(said): State<Arc<Mutex<Said>>>, Path(deal): Path<B256>) -> Result<Json<Value>, Problem> {
    let said = said.lock().unwrap();
    let mut entries = said.entries.values().filter(|entry| entry.finality != Finality::Retracted);
    let funded = |body: &EventBody| matches!(body, EventBody::Funded { deal: funded, .. } if *funded == deal);
    entries
        .find(|entry| funded(&entry.event.body))
        .map(|_| Json(json!({})))
        .ok_or_else(|| Problem::not_found("deal", deal))
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
    let pool = said.lock().unwrap().ground.known(pool).ok_or_else(|| Problem::not_found("pool", pool))?;
    Ok(Json(PoolView { pool, finality: Finality::Final }))
}

async fn members(State(said): State<Arc<Mutex<Said>>>, Path(pool): Path<B256>) -> Json<PoolMembers> {
    let ground = said.lock().unwrap().ground;
    Json(PoolMembers { pool, arbiter: ground.arbiter, list: 0, members: ground.members() })
}

/// A hub with a buyer, a seller, three jurors, a public pool and a listing of 1,000 wei.
pub(crate) struct Trade {
    pub ground: Ground,
    pub hub: TestHub,
    pub script: Script,
    pub buyer: Person,
    pub seller: Person,
    pub jurors: Vec<Person>,
    pub listing: RecordId,
}

/// A purchase on its way.
#[derive(Clone)]
pub(crate) struct Bought {
    pub id: RecordId,
    pub terms: Terms,
    pub deal: B256,
}

impl Trade {
    /// On this ground; the hub follows another chain too, whose indexer never answers.
    pub(crate) async fn start(db: FreshDb, ground: Ground) -> Self {
        println!("trade on {}", ground.chain);
        let script = Script::start(ground).await;
        let other = if ground.chain == CHAIN { Ground::solana() } else { Ground::EVM };
        let hub = TestHub::start(db, |config| {
            config.indexers.insert(ground.chain, script.url.clone());
            config.escrows = vec![other.escrow, ground.escrow];
            config.arbiters = vec![other.arbiter, ground.arbiter];
        })
        .await;
        let buyer = Person::arrive_on(&hub, ground.chain, 1).await;
        let seller = Person::arrive_on(&hub, ground.chain, SELLER).await;
        let mut jurors = Vec::new();
        for seed in 3..6 {
            jurors.push(Person::arrive_on(&hub, ground.chain, seed).await);
        }
        for book in [ground.book(), ground.appealable()] {
            let pool = json!({ "arbiter": ground.arbiter, "panel": ground.pool_id(&book) });
            hub.say(&seller.record(&hub, "pool@1", pool)).await;
        }
        let listing = hub.say(&seller.record(&hub, "listing@1", Self::listing_body(&seller))).await;
        Self { ground, hub, script, buyer, seller, jurors, listing }
    }

    pub(crate) fn listing_body(seller: &Person) -> Value {
        json!({
            "kind": "physical", "title": "A chair", "description": "Of oak.", "price_type": "fixed",
            "price": [{ "asset": AssetId::native(seller.wallet_id().chain), "amount": "1000" }], "tags": ["chair"],
            "location_pref": "global", "visibility": "public", "status": "active", "pay_to": seller.wallet_id(),
        })
    }

    /// Terms that the hub takes, with an agreement whose hash they carry.
    pub(crate) fn terms(&self, salt: u8) -> (Terms, Value) {
        let agreement = json!({
            "listing": self.listing, "buyer": self.buyer.account, "seller": self.seller.account,
            "price": { "asset": self.ground.coin(), "amount": "1000" }, "deliverable": "One chair of oak.",
        });
        let now = START_MS as u64 / 1000;
        let terms = Terms {
            escrow: self.ground.escrow,
            buyer: self.buyer.wallet_id(),
            seller: self.seller.wallet_id(),
            arbiter: self.ground.arbiter,
            asset: self.ground.coin(),
            amount: 1000,
            fund_by: now + 3600,
            deliver_by: now + 86_400,
            inspection: 86_400,
            ruling: 14 * 86_400,
            lapse_share: 5000,
            metered: false,
            panel: self.ground.pool_id(&self.ground.book()),
            agreement: agreement_hash(&agreement).unwrap(),
            salt: B256::repeat_byte(salt),
        };
        (terms, agreement)
    }

    /// The `purchase@1` of these terms, seen by the parties alone.
    pub(crate) fn purchase(&self, terms: &Terms, agreement: &Value) -> Value {
        let parties = [self.buyer.account, self.seller.account].map(crate::access::Audience::Account);
        self.buyer
            .draft(&self.hub, "purchase@1", json!({ "terms": terms, "agreement": agreement }))
            .about(self.listing)
            .only_for(parties.to_vec())
            .sign(&self.buyer.device)
            .unwrap()
    }

    pub(crate) async fn offer(&self, salt: u8) -> Bought {
        let (terms, agreement) = self.terms(salt);
        self.offer_of(terms, agreement).await
    }

    /// Offered, accepted, funded and disputed, before the pool of that rule book; answers the dispute's time.
    pub(crate) async fn disputed_before(&self, salt: u8, book: &RuleBook) -> (Bought, u64) {
        let (mut terms, agreement) = self.terms(salt);
        terms.panel = self.ground.pool_id(book);
        let bought = self.offer_of(terms, agreement).await;
        self.hub.say(&self.acceptance(&bought)).await;
        self.fund(&bought).await;
        let at = self.dispute(&bought).await.block_time;
        (bought, at)
    }

    async fn offer_of(&self, terms: Terms, agreement: Value) -> Bought {
        let id = self.hub.say(&self.purchase(&terms, &agreement)).await;
        let deal = chain::deal_id(&terms).unwrap();
        Bought { id, terms, deal }
    }

    /// The seller's `acceptance@1`.
    pub(crate) fn acceptance(&self, bought: &Bought) -> Value {
        let body = json!({ "signature": self.seller.wallet.terms(bought.deal) });
        self.seller.record_about(&self.hub, "acceptance@1", bought.id, body)
    }

    /// Offered and accepted.
    pub(crate) async fn agree(&self, salt: u8) -> Bought {
        let bought = self.offer(salt).await;
        self.hub.say(&self.acceptance(&bought)).await;
        bought
    }

    /// What the hub answers to a delivery with the relayer's key.
    pub(crate) async fn deliver(&self, entries: &[FeedEntry]) -> Answer {
        let request = self.hub.request(reqwest::Method::POST, "/v1/chain-events");
        self.hub.ask(request.bearer_auth(RELAYER_KEY).json(&json!({ "entries": entries }))).await
    }

    /// The relayer says how far it brings a feed with an entry, or asks; answers what the hub has.
    pub(crate) async fn brought(&self, entry: Option<&FeedEntry>, told: &Brought) -> Brought {
        let request = self.hub.request(reqwest::Method::POST, "/v1/chain-events");
        let delivery = Delivery { entries: entry.cloned().into_iter().collect(), brought: Some(*told) };
        let answer = self.hub.ask(request.bearer_auth(RELAYER_KEY).json(&delivery)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_value(answer.body["has"].clone()).expect("how far")
    }

    /// An event of the chain is told as final and delivered.
    pub(crate) async fn final_event(&self, contract: AccountId, body: EventBody) -> ChainEvent {
        let event = self.script.happens(contract, body);
        let answer = self.deliver(&[self.script.tells(&event, Finality::Final)]).await;
        assert_eq!((answer.status, &answer.body["applied"]), (200, &json!(1)), "{answer:?}");
        event
    }

    pub(crate) async fn fund(&self, bought: &Bought) -> ChainEvent {
        let body = EventBody::Funded { deal: bought.deal, terms: bought.terms.clone() };
        self.final_event(self.ground.escrow, body).await
    }

    /// The buyer disputes; count 2.
    pub(crate) async fn dispute(&self, bought: &Bought) -> ChainEvent {
        let by = bought.terms.buyer.address;
        let body = EventBody::Disputed { deal: bought.deal, by, evidence: B256::repeat_byte(9), count: 2 };
        self.final_event(self.ground.escrow, body).await
    }

    /// The case is opened and the three jurors are drawn, in their order.
    pub(crate) async fn draw(&self, bought: &Bought, disputed_at: u64) -> B256 {
        self.opened(bought, 0, 0).await;
        let ends_at = disputed_at + protocol::arbitration::span(&self.ground.book());
        self.drawn(bought, (0, 0), &[0, 1, 2], ends_at).await
    }

    /// A jury is opened.
    pub(crate) async fn opened(&self, bought: &Bought, instance: u8, jury: u8) -> ChainEvent {
        let (deal, escrow) = (bought.deal, self.ground.escrow.address);
        let opened = EventBody::CaseOpened { deal, escrow, instance, jury, target_block: 110 };
        self.final_event(self.ground.arbiter, opened).await
    }

    /// A jury is drawn: these jurors, in this order. Answers what its ballots are bound to.
    pub(crate) async fn drawn(
        &self,
        bought: &Bought,
        (instance, jury): (u8, u8),
        jurors: &[usize],
        ends_at: u64,
    ) -> B256 {
        let (deal, escrow, seed) =
            (bought.deal, self.ground.escrow.address, B256::repeat_byte(0x5e + instance + jury));
        let pool =
            if instance == 0 { bought.terms.panel } else { self.ground.pool_id(&self.ground.parent_book()) };
        let seats = jurors.iter().map(|juror| self.jurors[*juror].wallet.address()).collect();
        let drawn =
            EventBody::JuryDrawn { deal, escrow, pool, instance, jury, list: 0, ends_at, seed, seats };
        self.final_event(self.ground.arbiter, drawn).await;
        chain::case_id(pool, self.ground.escrow, deal, instance, jury, seed).unwrap()
    }

    /// A juror's ballot of a first jury, without a written reason.
    pub(crate) fn ballot(&self, juror: usize, bought: &Bought, case: B256, seat: u8, share: u16) -> Value {
        self.ballot_of(juror, bought, case, (0, seat), share)
    }

    /// A juror's ballot for a seat of jury 0 or 1 of the present instance.
    pub(crate) fn ballot_of(
        &self,
        juror: usize,
        bought: &Bought,
        case: B256,
        (jury, seat): (u8, u8),
        share: u16,
    ) -> Value {
        let juror = &self.jurors[juror];
        let signature = juror.wallet.ballot(self.ground.arbiter, case, share, B256::ZERO);
        let body =
            json!({ "jury": jury, "seat": seat, "share": share, "reason": "", "signature": signature });
        let draft = juror.draft(&self.hub, "ballot@1", body).about(bought.id);
        draft.only_for(vec![crate::access::Audience::Account(juror.account)]).sign(&juror.device).unwrap()
    }

    /// Somebody else with a wallet of the trade's chain.
    pub(crate) async fn stranger(&self, seed: u8) -> Person {
        Person::arrive_on(&self.hub, self.ground.chain, seed).await
    }

    /// More jurors, so that further juries can be seated.
    pub(crate) async fn more_jurors(&mut self, count: u8) {
        for seed in 20..20 + count {
            self.jurors.push(self.stranger(seed).await);
        }
    }

    /// The purchase as somebody sees it, who must be allowed to.
    pub(crate) async fn view(&self, token: &str, bought: &Bought) -> Value {
        let answer = self.hub.get_as(token, &format!("/v1/purchases/{}", bought.id)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// The intents so far: key and action.
    /// The event that the intent of this key names as its cause.
    pub(crate) async fn cause(&self, key: &str) -> Option<B256> {
        let request = self.hub.request(reqwest::Method::GET, "/v1/intents?after=0&limit=100&wait=0");
        let page = self.hub.ask(request.bearer_auth(RELAYER_KEY)).await;
        let intents = page.body["intents"].as_array().unwrap();
        let wanted = intents.iter().find(|intent| intent["key"] == key).expect("the intent");
        wanted["cause"].as_str().map(|cause| cause.parse().unwrap())
    }

    pub(crate) async fn intents(&self) -> Vec<(String, Value)> {
        let request = self.hub.request(reqwest::Method::GET, "/v1/intents?after=0&limit=100&wait=0");
        let page = self.hub.ask(request.bearer_auth(RELAYER_KEY)).await;
        let intents = page.body["intents"].as_array().unwrap().clone();
        intents
            .iter()
            .map(|intent| (intent["key"].as_str().unwrap().to_owned(), intent["action"].clone()))
            .collect()
    }
}

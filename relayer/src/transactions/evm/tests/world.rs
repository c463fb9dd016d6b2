//! A disputed deal on a real chain, and a relayer that works on it.

use std::sync::Arc;

use alloy::{
    primitives::{B256, Bytes, U256},
    providers::{Provider as _, ext::AnvilApi as _},
    rpc::types::{BlockNumberOrTag, TransactionRequest},
    sol_types::SolCall as _,
};
use fixture::Chain;
use protocol::{
    chain::{case_id, deal_id},
    evm::{ballot_digest, call, pools::ArbitrationPools},
    terms::Terms,
    wire::intent::{Intent, IntentAction, Outlook, SignedBallot},
};
use serde_json::Value;
use service::db::testing::FreshDb;

use crate::{
    config::{Config, Key},
    testing::{Fate, KEY, Peers, Running, Wire, config, intent, until},
};

/// Wallet 3 relays.
pub const RELAYS: usize = 3;

pub struct World {
    pub chain: Chain,
    pub peers: Peers,
    pub wire: Wire,
    pub pool: fixture::Pool,
    pub parent: Option<B256>,
    pub terms: Terms,
}

impl World {
    /// A disputed deal whose pool has one seat.
    pub async fn new() -> Self {
        Self::on(Chain::start().await).await
    }

    pub async fn on(chain: Chain) -> Self {
        let pool = chain.pool(1).await;
        Self::in_pool(chain, pool).await
    }

    /// The same with a parent of one seat, which hears appeals.
    pub async fn appealable() -> Self {
        let chain = Chain::start().await;
        let parent = chain.pool(1).await;
        let pool = chain.pool_below(1, &parent).await;
        let mut world = Self::in_pool(chain, pool).await;
        world.parent = Some(parent.id);
        world
    }

    /// A disputed deal whose pool has three seats.
    pub async fn of_three() -> Self {
        let chain = Chain::start().await;
        let pool = chain.pool(3).await;
        Self::in_pool(chain, pool).await
    }

    async fn in_pool(chain: Chain, pool: fixture::Pool) -> Self {
        let world = Self::funded_in(chain, pool).await;
        world.chain.dispute(&world.terms).await;
        world
    }

    /// A funded deal that nobody disputes.
    pub async fn funded() -> Self {
        let chain = Chain::start().await;
        let pool = chain.pool(1).await;
        Self::funded_in(chain, pool).await
    }

    async fn funded_in(chain: Chain, pool: fixture::Pool) -> Self {
        let terms = chain.terms(1_000, pool.id, 1).await;
        chain.fund(&terms).await;
        let wire = Wire::to(chain.rpc_url()).await;
        Self { peers: Peers::start().await, chain, wire, pool, parent: None, terms }
    }

    /// Another disputed deal in the same pool.
    pub async fn another(&self, salt: u64) -> Terms {
        let terms = self.chain.terms(1_000, self.pool.id, salt).await;
        self.chain.fund(&terms).await;
        self.chain.dispute(&terms).await;
        terms
    }

    /// The private key of a wallet.
    pub fn key(&self, wallet: usize) -> Key {
        Key { private_key: self.chain.wallets[wallet].to_bytes().to_string().into(), ..Key::default() }
    }

    pub fn config(&self, db: &FreshDb) -> Config {
        let key = self.chain.wallets[RELAYS].to_bytes().to_string();
        config(&db.url, &self.peers, &self.wire.url, &key)
    }

    pub async fn start(&self, config: Config) -> Running {
        Running::start(config, Arc::default()).await
    }

    pub async fn nonce(&self) -> u64 {
        self.chain.provider().get_transaction_count(self.chain.address(RELAYS)).await.unwrap()
    }

    pub async fn automine(&self, on: bool) {
        self.chain.provider().anvil_set_auto_mine(on).await.unwrap();
    }

    /// The hub wants the case of the dispute opened, by the key `open`.
    pub fn want_open(&self) {
        self.peers.want([intent(1, "open", &self.terms, IntentAction::OpenCase)]);
    }

    /// The hub wants the cases of further disputes opened, one for each of these salts; their keys.
    pub async fn want_opened(&self, salts: std::ops::Range<u64>) -> Vec<String> {
        let mut keys = Vec::new();
        for salt in salts {
            let terms = self.another(salt).await;
            keys.push(format!("open/{salt}"));
            self.peers.want([intent(salt, &format!("open/{salt}"), &terms, IntentAction::OpenCase)]);
        }
        keys
    }

    /// A relayer that has signed for the case of the dispute; what it sends is lost.
    pub async fn start_cut_off(&self, config: Config) -> Running {
        self.start_sending(config, Fate::Lost).await
    }

    /// A relayer that is at sending its transaction for the case of the dispute, which is lost, and comes to nothing after that.
    pub async fn start_held(&self, config: Config) -> Running {
        self.start_sending(config, Fate::Held).await
    }

    async fn start_sending(&self, config: Config, fate: Fate) -> Running {
        self.wire.fate(fate);
        self.want_open();
        let relayer = self.start(config).await;
        until("it is sent into the void", || async { (!self.wire.sent().is_empty()).then_some(()) }).await;
        relayer
    }

    /// The most that a first transaction offers for a unit of gas now, in wei.
    pub async fn price(&self) -> u128 {
        let provider = self.chain.provider();
        let tip = provider.estimate_eip1559_fees().await.unwrap().max_priority_fee_per_gas;
        let history = provider.get_fee_history(1, BlockNumberOrTag::Latest, &[]).await.unwrap();
        history.next_block_base_fee().unwrap() * 2 + tip
    }

    /// A relayer whose transaction for the case of the dispute is in the node's pool, while no block comes.
    pub async fn start_pooled(&self, config: Config) -> Running {
        self.automine(false).await;
        self.want_open();
        let relayer = self.start(config).await;
        until("it is in the pool", || async {
            let count = self.chain.provider().get_transaction_count(self.chain.address(RELAYS)).pending();
            (count.await.unwrap() == 1).then_some(())
        })
        .await;
        relayer
    }

    /// Somebody else pays more to open the case in the next block.
    pub async fn outbid(&self) {
        let quicker = TransactionRequest::default()
            .from(self.chain.address(5))
            .to(fixture::evm(self.chain.pools.address))
            .input(call::open(&self.terms).unwrap().into())
            .gas_limit(500_000)
            .max_fee_per_gas(900_000_000_000)
            .max_priority_fee_per_gas(100_000_000_000);
        let _pending = self.chain.provider().send_transaction(quicker).await.unwrap();
    }

    /// Waits until one transaction is signed for an intent.
    pub async fn signed(&self, relayer: &Running, key: &str) -> Value {
        until(&format!("{key} is signed"), || async {
            let shown = show(relayer, key).await?;
            (attempts(&shown).len() == 1).then_some(shown)
        })
        .await
    }

    /// Waits while blocks come until an intent that was done is not any more.
    pub async fn opened_again(&self, relayer: &Running, key: &str) {
        until(&format!("{key} is opened again"), || async {
            self.chain.mine(1).await;
            let shown = show(relayer, key).await?;
            (shown["state"] != "done").then_some(())
        })
        .await;
    }

    /// Waits until the relayer has looked at the newest block.
    pub async fn looked(&self, relayer: &Running) {
        let head = self.chain.height().await.to_string();
        until("it has looked at the newest block", || async {
            (relayer.get("/status").await.1["latest_block"] == head.as_str()).then_some(())
        })
        .await;
    }

    /// Waits for an intent's state while blocks come.
    pub async fn comes_to(&self, relayer: &Running, key: &str, state: &str) -> Value {
        until(&format!("{key} is {state}"), || async {
            self.chain.mine(1).await;
            let shown = show(relayer, key).await?;
            (shown["state"] == state).then_some(shown)
        })
        .await
    }

    /// The hub's ballot of the first seat of the last jury that has a key here.
    pub async fn ballot(&self, share: u16) -> SignedBallot {
        self.ballots(&[share]).await.remove(0)
    }

    /// Ballots of the first seats of the last jury that have keys here, in their order.
    pub async fn ballots(&self, shares: &[u16]) -> Vec<SignedBallot> {
        let deal = deal_id(&self.terms).unwrap();
        let last = self.case(BlockNumberOrTag::Latest).await;
        let seats = self.read(call::jury_of(&self.terms, last.jury).unwrap(), BlockNumberOrTag::Latest).await;
        let seats = ArbitrationPools::juryOfCall::abi_decode_returns(&seats).unwrap();
        let pool = if last.instance == 0 { self.pool.id } else { self.parent.unwrap() };
        let escrow = self.chain.escrow;
        let case = case_id(pool, escrow, deal, last.instance, last.jury, last.seed).unwrap();
        let wallet = |juror| (0..10).find(|wallet| self.chain.address(*wallet) == juror);
        let held = (0..).zip(seats).filter_map(|(seat, juror)| Some((seat, wallet(juror)?)));
        let ballots: Vec<_> = held
            .zip(shares)
            .map(|((seat, juror), share)| {
                let digest = ballot_digest(self.chain.pools, case, *share, B256::ZERO).unwrap();
                SignedBallot {
                    seat,
                    share: *share,
                    reason: B256::ZERO,
                    signature: self.chain.sign(juror, digest),
                }
            })
            .collect();
        assert_eq!(ballots.len(), shares.len(), "too few seats with keys");
        ballots
    }

    /// Moves the chain's clock to this second.
    pub async fn until_second(&self, second: u64) {
        self.chain.pass_time(second - self.chain.now().await).await;
    }

    pub async fn read(&self, data: Bytes, at: BlockNumberOrTag) -> Bytes {
        let request =
            TransactionRequest::default().to(fixture::evm(self.chain.pools.address)).input(data.into());
        self.chain.provider().call(request).block(at.into()).await.unwrap()
    }

    /// The last jury of the case.
    pub async fn case(&self, at: BlockNumberOrTag) -> ArbitrationPools::Jury {
        let escrow = fixture::evm(self.chain.escrow.address);
        let call = ArbitrationPools::caseOfCall { escrow, deal: deal_id(&self.terms).unwrap() };
        let answer = self.read(call.abi_encode().into(), at).await;
        ArbitrationPools::caseOfCall::abi_decode_returns(&answer).unwrap().pop().unwrap()
    }

    pub async fn call(&self, wallet: usize, data: Bytes) {
        self.chain.send(wallet, self.chain.pools.address, data, U256::ZERO).await;
    }
}

pub async fn show(relayer: &Running, key: &str) -> Option<Value> {
    let (_, page) = relayer.get("/v1/intents").await;
    page["intents"].as_array()?.iter().find(|shown| shown["intent"]["key"] == key).cloned()
}

pub fn attempts(shown: &Value) -> Vec<Value> {
    shown["attempts"].as_array().unwrap().clone()
}

/// What the relayer foretells of an intent.
pub async fn outlook(relayer: &Running, intent: &Intent) -> Outlook {
    let request = reqwest::Client::new().post(format!("{}/v1/estimates", relayer.url));
    let answer = request.bearer_auth(KEY).json(intent).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

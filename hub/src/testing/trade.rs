//! A trade on a hub: the parties, a pool with its jurors, a listing, and a script in the indexer's place.

use alloy::primitives::{self, B256};
use protocol::{
    chain::{self, AccountId, Address, AssetId, ChainId},
    solana,
    terms::Terms,
    wire::{
        feed::{Brought, ChainEvent, Delivery, EventBody, FeedEntry, Finality, RuleBook},
        view::{MemberList, Pool},
    },
};
use serde_json::{Value, json};
use service::db::testing::{FreshDb, on_both, sqlite};

use super::{Answer, Person, RELAYER_KEY, START_MS, TestHub, Wallet, script::Script};
use crate::{config::Config, deals::model::agreement_hash, records::RecordId};

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
    pub(super) fn known(self, pool: B256) -> Option<Pool> {
        let books = [self.book(), self.parent_book(), self.appealable()];
        let book = books.into_iter().find(|book| self.pool_id(book) == pool)?;
        let list = MemberList { list: 0, size: 8, effective_at: 1, pages: vec![self.chain.zero()] };
        Some(Pool { pool, arbiter: self.arbiter, book: Some(book), lists: vec![list] })
    }

    pub(super) fn members(self) -> Vec<Address> {
        let mut members: Vec<Address> =
            (100..108).map(|seed| Wallet::of_seed(self.chain, seed).address()).collect();
        // As every list of a chain.
        members.sort_unstable();
        members
    }
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
        Self::start_with(db, ground, |_| {}).await
    }

    /// The same, configured otherwise.
    pub(crate) async fn start_with(db: FreshDb, ground: Ground, change: impl Fn(&mut Config)) -> Self {
        println!("trade on {}", ground.chain);
        let script = Script::start(ground).await;
        let other = if ground.chain == CHAIN { Ground::solana() } else { Ground::EVM };
        let hub = TestHub::start(db, |config| {
            config.indexers.insert(ground.chain, script.url.clone());
            config.escrows = vec![other.escrow, ground.escrow];
            config.arbiters = vec![other.arbiter, ground.arbiter];
            change(config);
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

    /// Offered on these terms.
    pub(crate) async fn offer_of(&self, terms: Terms, agreement: Value) -> Bought {
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

    /// The event that the intent of this key names as its cause.
    pub(crate) async fn cause(&self, key: &str) -> Option<B256> {
        let request = self.hub.request(reqwest::Method::GET, "/v1/intents?after=0&limit=100&wait=0");
        let page = self.hub.ask(request.bearer_auth(RELAYER_KEY)).await;
        let intents = page.body["intents"].as_array().unwrap();
        let wanted = intents.iter().find(|intent| intent["key"] == key).expect("the intent");
        wanted["cause"].as_str().map(|cause| cause.parse().unwrap())
    }

    /// The intents so far: key and action.
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

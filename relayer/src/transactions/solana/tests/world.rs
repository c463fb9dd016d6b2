//! A disputed deal on a local Solana node with the program, and a relayer that works on it.

use std::sync::Arc;

use alloy::primitives::{B256, keccak256};
use protocol::{
    chain::{AccountId, AssetId},
    solana::{
        self, Line, Pubkey,
        call::{self, Case, Deal, Funding, Word},
        from_key,
        state::{Jury, RuleBook, Stage},
    },
    terms::Terms,
    wire::intent::SignedBallot,
};
use serde_json::Value;
use service::db::testing::FreshDb;
use surfnet::{
    Surfnet, key, keypair,
    solana_sdk::signature::{Keypair, Signer as _},
};

use crate::{
    config::Config,
    testing::{Peers, Running, Wire, config, until},
};

pub const BUYER: u64 = 1;
pub const SELLER: u64 = 2;
const RELAYS: u64 = 3;
const KEEPER: u64 = 4;
/// Somebody else.
pub const OTHER: u64 = 5;
const MEMBERS_FROM: u64 = 100;
/// Seconds for opening and drawing a jury, and of voting after that.
pub const JURY_TIME: u64 = 660;

pub struct World {
    pub net: Surfnet,
    pub peers: Peers,
    pub wire: Wire,
    pub terms: Terms,
    pub deal: Deal,
    members: u64,
}

impl World {
    /// A disputed deal of coin whose pool has that many seats and no parent.
    pub async fn new(seats: u8) -> Self {
        let net = start().await;
        let members = u64::from(seats) * 2 + 2;
        let pool = pool(&net, seats, None, members).await;
        Self::in_pool(net, pool, members).await
    }

    /// As [`World::new`] where a transaction stays valid for half a minute, and not for seven seconds.
    pub async fn unhurried(seats: u8) -> Self {
        let net = endowed(Surfnet::launch(surfnet::Ports::free(), 200).await.unwrap()).await;
        let members = u64::from(seats) * 2 + 2;
        let pool = pool(&net, seats, None, members).await;
        Self::in_pool(net, pool, members).await
    }

    /// A disputed deal whose pool of one seat has a parent of one seat.
    pub async fn appealable() -> Self {
        let net = start().await;
        let members = 8;
        let parent = pool(&net, 1, None, members).await;
        let pool = pool(&net, 1, Some(parent), members).await;
        Self::in_pool(net, pool, members).await
    }

    /// A funded deal of coin whose pool has one seat.
    pub async fn undisputed() -> Self {
        let net = start().await;
        let pool = pool(&net, 1, None, 4).await;
        Self::funded(net, pool, 4).await
    }

    async fn in_pool(net: Surfnet, panel: B256, members: u64) -> Self {
        let world = Self::funded(net, panel, members).await;
        let buyer = keypair(BUYER);
        let dispute = world.deal.dispute(key(&buyer), B256::repeat_byte(1), None, 0);
        world.net.send(&dispute, &[&buyer]).await.unwrap();
        world
    }

    async fn funded(net: Surfnet, panel: B256, members: u64) -> Self {
        // The lists take effect a second after they were published.
        net.pass_time(3).await;
        let chain = solana::chain().unwrap();
        let account = |key: &Pubkey| AccountId { chain, address: from_key(key) };
        let now = net.now().await;
        let terms = Terms {
            escrow: account(&solana::program()),
            buyer: account(&key(&keypair(BUYER))),
            seller: account(&key(&keypair(SELLER))),
            arbiter: account(&solana::arbiter()),
            asset: AssetId::native(chain),
            amount: 1_000_000_000,
            fund_by: now + 1_000,
            deliver_by: now + 10_000,
            inspection: 3_600,
            ruling: 864_000,
            lapse_share: 5_000,
            metered: false,
            panel,
            agreement: B256::repeat_byte(6),
            salt: B256::repeat_byte(7),
        };
        let deal = Deal::new(&terms, Pubkey::default()).unwrap();
        let (buyer, seller) = (keypair(BUYER), keypair(SELLER));
        let agreed = seller.sign_message(&Line::terms(deal.id).bytes()).into();
        let (seller, payer) = (Some(Word::Signature(agreed)), key(&buyer));
        let funding = Funding { payer, buyer: None, seller, source: None };
        net.send(&deal.fund(&funding, 0), &[&buyer]).await.unwrap();
        let wire = Wire::to(net.rpc_url()).await;
        Self { peers: Peers::start().await, net, wire, terms, deal, members }
    }

    pub fn config(&self, db: &FreshDb) -> Config {
        let seed = keccak256(RELAYS.to_be_bytes()).to_string();
        let chain = solana::chain().unwrap();
        Config { chain, ..config(&db.url, &self.peers, &self.wire.url, &seed) }
    }

    pub async fn start(&self, config: Config) -> Running {
        Running::start(config, Arc::default()).await
    }

    pub const fn case(&self) -> Case<'_> {
        Case(&self.deal)
    }

    /// Somebody else does what needs no more than a payer.
    pub async fn other(&self, make: impl Fn(Pubkey) -> solana::Instruction) {
        let other = keypair(OTHER);
        self.net.send(&[make(key(&other))], &[&other]).await.unwrap();
    }

    /// Waits for an intent's state.
    pub async fn comes_to(&self, relayer: &Running, intent: &str, state: &str) -> Value {
        until(&format!("{intent} is {state}"), || async {
            let shown = show(relayer, intent).await?;
            (shown["state"] == state).then_some(shown)
        })
        .await
    }

    async fn account(&self, address: &Pubkey) -> Option<Vec<u8>> {
        let address = address.to_bytes().into();
        let read = self.net.rpc().get_account_with_commitment(&address, self.net.rpc().commitment()).await;
        read.unwrap().value.map(|account| account.data)
    }

    /// A jury of the case.
    pub async fn jury(&self, ordinal: u8) -> Option<Jury> {
        let data = self.account(&solana::jury_address(self.deal.id, ordinal)).await?;
        Some(solana::read_jury(&data).unwrap())
    }

    pub async fn stage(&self, ordinal: u8) -> Option<Stage> {
        Some(self.jury(ordinal).await?.stage())
    }

    /// What the deal itself still holds.
    pub async fn remaining(&self) -> u64 {
        solana::read_deal(&self.account(&self.deal.address).await.unwrap()).unwrap().remaining()
    }

    /// What every seat of a jury signs for these shares.
    pub async fn ballots(&self, ordinal: u8, shares: &[u16]) -> Vec<SignedBallot> {
        let jury = self.jury(ordinal).await.unwrap();
        let seats = (0_u8..).zip(jury.seated()).zip(shares);
        seats
            .map(|((seat, juror), share)| {
                let juror = members(self.members).find(|member| key(member) == *juror).unwrap();
                let line = Line::ballot(jury.case_id.into(), *share, B256::ZERO);
                let signature: [u8; 64] = juror.sign_message(&line.bytes()).into();
                SignedBallot { seat, share: *share, reason: B256::ZERO, signature: signature.into() }
            })
            .collect()
    }

    /// The seller's signature of an appeal.
    pub fn appeal(&self, valid_until: u64) -> alloy::primitives::Bytes {
        let signature: [u8; 64] =
            keypair(SELLER).sign_message(&Line::appeal(self.deal.id, valid_until).bytes()).into();
        signature.into()
    }

    /// Moves the chain's clock past this second.
    pub async fn past(&self, second: u64) {
        let now = self.net.now().await;
        self.net.pass_time(second.saturating_sub(now) + 1).await;
    }

    /// How many transactions the relayer's key paid for, whatever came of them.
    pub async fn paid(&self) -> usize {
        let signer = key(&keypair(RELAYS)).to_bytes().into();
        self.net.rpc().get_signatures_for_address(&signer).await.unwrap().len()
    }
}

async fn start() -> Surfnet {
    endowed(Surfnet::start().await).await
}

async fn endowed(net: Surfnet) -> Surfnet {
    for number in [BUYER, SELLER, RELAYS, KEEPER, OTHER] {
        net.endow(&key(&keypair(number)), surfnet::ENDOWMENT).await;
    }
    net
}

/// The members of every pool, ascending.
fn members(count: u64) -> impl Iterator<Item = Keypair> {
    let mut keys: Vec<Keypair> = (MEMBERS_FROM..MEMBERS_FROM + count).map(keypair).collect();
    keys.sort_by_key(key);
    keys.into_iter()
}

/// Makes a pool with one list.
async fn pool(net: &Surfnet, seats: u8, parent: Option<B256>, count: u64) -> B256 {
    let keeper = keypair(KEEPER);
    let book = RuleBook {
        keeper: key(&keeper),
        parent: parent.unwrap_or_default().0,
        jury_size: seats,
        delay: 0,
        opening: 600,
        voting: 60,
        appeal: if parent.is_some() { 3_600 } else { 0 },
        salt: [0; 32],
    };
    let pool = B256::new(book.id());
    net.send(&[call::create_pool(key(&keeper), book)], &[&keeper]).await.unwrap();
    list(net, pool, 0, count).await;
    pool
}

/// Publishes a pool's next list.
pub async fn list(net: &Surfnet, pool: B256, index: u32, count: u64) {
    let keeper = keypair(KEEPER);
    let by = key(&keeper);
    net.send(&[call::create_list(by, pool, index)], &[&keeper]).await.unwrap();
    let all: Vec<Pubkey> = members(count).map(|member| key(&member)).collect();
    for (start, chunk) in (0_u32..).step_by(call::LARGEST_CHUNK).zip(all.chunks(call::LARGEST_CHUNK)) {
        net.send(&[call::add_members(by, pool, index, start, chunk.to_vec())], &[&keeper]).await.unwrap();
    }
    net.send(&[call::publish_list(by, pool, index)], &[&keeper]).await.unwrap();
}

pub async fn show(relayer: &Running, key: &str) -> Option<Value> {
    let (_, page) = relayer.get("/v1/intents").await;
    page["intents"].as_array()?.iter().find(|shown| shown["intent"]["key"] == key).cloned()
}

pub fn attempts(shown: &Value) -> Vec<Value> {
    shown["attempts"].as_array().unwrap().clone()
}

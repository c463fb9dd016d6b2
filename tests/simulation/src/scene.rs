//! What every world begins with: the contracts, their pools, and the keys of those who use them.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol_types::SolCall as _,
};
use machine::{Call, Machine};
use protocol::{
    chain::{AccountId, ChainId},
    evm::{
        call,
        escrow::Escrow,
        pools::ArbitrationPools::{self, storePageCall},
    },
    wire::feed::RuleBook,
};

use crate::chain::{BLOCK_SECONDS, Block, CHAIN_ID, Tx, genesis, seal};

/// The chain.
pub const CHAIN: ChainId = ChainId::Eip155(CHAIN_ID);
const DEPLOYER: Address = Address::repeat_byte(0xde);
/// Who acts without being a party.
pub const STRANGER: Address = Address::repeat_byte(0x57);
/// Wei that everybody has.
const PURSE: u128 = 1 << 100;

/// The one scene, made once.
pub static SCENE: LazyLock<Scene> = LazyLock::new(Scene::new);

/// The contracts and who uses them.
pub struct Scene {
    /// The first blocks of every chain.
    pub first: Vec<Arc<Block>>,
    pub escrow: AccountId,
    pub pools: AccountId,
    /// A pool of one seat and one of three.
    pub panels: Vec<B256>,
    pub buyers: Vec<Address>,
    pub sellers: Vec<PrivateKeySigner>,
    pub jurors: HashMap<Address, PrivateKeySigner>,
    pub relayers: Vec<PrivateKeySigner>,
}

fn key(name: &str, number: usize) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&keccak256(format!("{name} {number}"))).unwrap()
}

/// An account of the chain.
pub fn account(address: Address) -> AccountId {
    AccountId { chain: CHAIN, address: address.into() }
}

/// r, s, v with v 27 or 28.
pub fn sign(key: &PrivateKeySigner, digest: B256) -> Bytes {
    key.sign_hash_sync(&digest).unwrap().as_bytes().to_vec().into()
}

fn tx(call: Call, number: u64) -> Arc<Tx> {
    Arc::new(Tx { hash: keccak256(format!("first {number}")), call, offer: None })
}

impl Scene {
    fn new() -> Self {
        let mut state = Machine::default();
        let buyers: Vec<Address> = (1..=3).map(Address::repeat_byte).collect();
        let sellers: Vec<_> = (0..3).map(|number| key("seller", number)).collect();
        let relayers: Vec<_> = (0..2).map(|number| key("relayer", number)).collect();
        let jurors: Vec<_> = (0..8).map(|number| key("juror", number)).collect();
        let known = buyers.iter().copied().chain([DEPLOYER, STRANGER]);
        let keys = sellers.iter().chain(&relayers).map(PrivateKeySigner::address);
        for address in known.chain(keys) {
            state.set(address, U256::from(PURSE), 0);
        }
        let mut first = vec![Arc::new(genesis(state))];
        let mut count = 0;
        let mut block = |calls: Vec<Call>| -> Arc<Block> {
            let txs: Vec<Arc<Tx>> = calls
                .into_iter()
                .map(|call| {
                    count += 1;
                    tx(call, count)
                })
                .collect();
            let parent = first.last().unwrap();
            let time = parent.time() + BLOCK_SECONDS;
            let made = Arc::new(seal(Some(parent), &txs, time, 1_000_000_000, 0));
            assert!(made.mined.len() == txs.len() && made.mined.iter().all(|mined| mined.success));
            first.push(made.clone());
            made
        };
        block(Vec::new());
        // Where a contract comes to lie depends on its creator's nonce alone.
        let at = |nonce| account(DEPLOYER.create(nonce));
        let (escrow, pools) = (at(0), at(1));
        block(vec![
            Call::creation(DEPLOYER, Escrow::BYTECODE.clone()),
            Call::creation(DEPLOYER, ArbitrationPools::BYTECODE.clone()),
        ]);
        let court = pools.address.evm().unwrap();
        let ask = |data: Vec<u8>| Call::new(DEPLOYER, court, data.into(), U256::ZERO);
        let mut members: Vec<Address> = jurors.iter().map(PrivateKeySigner::address).collect();
        members.sort_unstable();
        let store = ask(call::store_page(members).to_vec());
        let books = [1_u8, 3].map(|jury_size| RuleBook {
            keeper: DEPLOYER.into(),
            parent: B256::ZERO,
            jury_size,
            delay: 0,
            opening: 60,
            voting: 86_400,
            appeal: 0,
            salt: B256::repeat_byte(7),
        });
        let create = books.each_ref().map(|book| ask(call::create_pool(book).unwrap().to_vec()));
        let with_page = block(create.iter().cloned().chain([store.clone()]).collect());
        let answer = |call: &Call| {
            let (number, time) = (with_page.number(), with_page.time());
            with_page.state.clone().run(call, number, time, false).output
        };
        let page = storePageCall::abi_decode_returns(&answer(&store)).unwrap();
        let panels: Vec<B256> =
            books.iter().map(|book| protocol::chain::pool_id(CHAIN, book).unwrap()).collect();
        block(panels.iter().map(|pool| ask(call::publish(*pool, vec![page]).to_vec())).collect());
        block(Vec::new());
        let jurors = jurors.into_iter().map(|key| (key.address(), key)).collect();
        Self { first, escrow, pools, panels, buyers, sellers, jurors, relayers }
    }
}

//! The accounts, the contracts and the token that histories use.

use std::{
    collections::{BTreeMap, HashSet},
    sync::LazyLock,
};

use alloy::{
    primitives::{Address, B256, Bytes, Log, U256, bytes, keccak256},
    signers::{SignerSync, local::PrivateKeySigner},
    sol_types::SolCall,
};
use protocol::{
    caip::{AccountId, ChainId},
    deal::{Context, DealState, Proof},
    evm::{AMOUNT_MAX, call, escrow::Escrow, pools::ArbitrationPools},
    terms::Terms,
};

use crate::{
    evm::Evm,
    ground::{Call, Ground},
    node::Node,
};

alloy::sol!(TestToken, "../../protocol/abi/TestToken.json");

const CHAIN: ChainId = ChainId::Eip155(31_337);
/// Keys that histories use: the first few are named below, the rest are members of pools.
const KEYS: usize = 96;

static KEYRING: LazyLock<Vec<PrivateKeySigner>> = LazyLock::new(|| {
    (0..KEYS).map(|n| PrivateKeySigner::from_bytes(&keccak256(n.to_be_bytes())).unwrap()).collect()
});
static BY_ADDRESS: LazyLock<BTreeMap<Address, &'static PrivateKeySigner>> =
    LazyLock::new(|| KEYRING.iter().map(|key| (key.address(), key)).collect());

/// Who is who among the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Buyer,
    Seller,
    Arbiter,
    Stranger,
    /// A seller and a buyer whose code refuses coin; their keys sign all the same (EIP-7702).
    DeafSeller,
    DeafBuyer,
    /// Its signatures are nobody's.
    Forger,
    /// The first of the members.
    Member,
}

const BUYERS: [Who; 2] = [Who::Buyer, Who::DeafBuyer];

/// An arbiter contract that answers every question with 1.
pub const COURT: Address = Address::repeat_byte(0xc0);
/// What each buyer has of the token: more than any two deals that it can fund, less than some deals ask.
pub const PURSE: u128 = AMOUNT_MAX / 2;

pub fn address(who: Who) -> Address {
    KEYRING[who as usize].address()
}

/// The members' keys, ascending by their addresses.
pub fn members() -> Vec<Address> {
    let mut all: Vec<Address> = KEYRING[Who::Member as usize..].iter().map(|key| key.address()).collect();
    all.sort_unstable();
    all
}

/// Everything that a history starts from.
#[derive(Clone, Debug)]
pub struct World<G> {
    pub ground: G,
    pub escrow: AccountId,
    pub pools: AccountId,
    pub token: Address,
    revoked: HashSet<(Address, B256)>,
}

/// An account on the histories' chain.
pub fn account(address: Address) -> AccountId {
    AccountId { chain: CHAIN, address }
}

impl World<Evm> {
    pub fn in_process() -> Self {
        let mut evm = Evm::default();
        let escrow = account(evm.deploy(Escrow::BYTECODE.clone()));
        let pools = account(evm.deploy(ArbitrationPools::BYTECODE.clone()));
        Self::of(evm, escrow, pools)
    }
}

impl World<Node> {
    pub fn on_a_node() -> Self {
        let node = Node::default();
        let (escrow, pools) = node.contracts();
        Self::of(node, escrow, pools)
    }
}

impl<G: Ground> World<G> {
    fn of(mut ground: G, escrow: AccountId, pools: AccountId) -> Self {
        let token = ground.deploy(TestToken::BYTECODE.clone());
        for who in KEYRING.iter().map(|key| key.address()).chain([COURT]) {
            ground.endow(who, U256::ONE << 120);
        }
        ground.set_code(COURT, bytes!("600160005260206000f3"));
        for deaf in [Who::DeafSeller, Who::DeafBuyer] {
            ground.set_code(address(deaf), bytes!("60006000fd"));
        }
        let mut world = Self { ground, escrow, pools, token, revoked: HashSet::new() };
        for buyer in BUYERS.map(address) {
            let approve = TestToken::approveCall { spender: escrow.address, value: U256::MAX }.abi_encode();
            world.must(buyer, token, approve.into());
        }
        world.refill();
        world
    }

    /// Gives both buyers what they had of the token at first.
    pub fn refill(&mut self) {
        for buyer in BUYERS.map(address) {
            let held = self.ask(self.token, &TestToken::balanceOfCall { holder: buyer });
            let value = U256::from(PURSE).saturating_sub(held);
            if !value.is_zero() {
                let mint = TestToken::mintCall { to: buyer, value }.abi_encode();
                self.must(buyer, self.token, mint.into());
            }
        }
    }

    /// Sends a call that has to go through, a second later.
    pub fn must(&mut self, from: Address, to: Address, data: Bytes) -> Vec<Log> {
        let time = self.ground.now() + 1;
        self.ground.send(Call { from, to, data, value: U256::ZERO }, time).unwrap()
    }

    /// What checks and payments meet in the world at `now`.
    pub fn context(&self, terms: &Terms, deal: B256, rulings: u8, now: u64) -> Context {
        let coin = terms.asset.token.is_none();
        Context {
            deal,
            now,
            cap: AMOUNT_MAX,
            rulings,
            buyer_receives: !(coin && terms.buyer.address == address(Who::DeafBuyer)),
            seller_receives: !(coin && terms.seller.address == address(Who::DeafSeller)),
        }
    }

    /// A signature of `signer` over `digest`, or something that is not, and what checking it finds.
    pub fn sign(&self, signer: Address, digest: B256, sound: bool) -> (Proof, Bytes) {
        match BY_ADDRESS.get(&signer) {
            Some(key) if sound => {
                let revoked = self.revoked.contains(&(signer, digest));
                let proof = if revoked { Proof::Revoked { digest } } else { Proof::Valid };
                (proof, signature(key, digest))
            }
            _ => (Proof::Invalid, signature(&KEYRING[Who::Forger as usize], digest)),
        }
    }

    /// Makes the signer's signature of the digest worthless.
    pub fn revoke(&mut self, signer: Address, digest: B256) {
        self.must(signer, self.escrow.address, call::revoke(digest));
        self.revoked.insert((signer, digest));
    }

    pub fn ask<C: SolCall>(&mut self, to: Address, call: &C) -> C::Return {
        C::abi_decode_returns_validate(&self.ground.read(to, call.abi_encode())).unwrap()
    }

    /// What the escrow keeps of the deal.
    pub fn state_of(&mut self, deal: B256) -> DealState {
        let state = self.ask(self.escrow.address, &Escrow::stateOfCall { deal });
        DealState::try_from(&state).unwrap()
    }

    /// What the escrow has of the deal's asset.
    pub fn held(&mut self, terms: &Terms) -> U256 {
        let holder = self.escrow.address;
        match terms.asset.token {
            None => self.ground.balance(holder),
            Some(token) => self.ask(token, &TestToken::balanceOfCall { holder }),
        }
    }
}

/// r, s, v with v 27 or 28.
fn signature(key: &PrivateKeySigner, digest: B256) -> Bytes {
    key.sign_hash_sync(&digest).unwrap().as_bytes().to_vec().into()
}

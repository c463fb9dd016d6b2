//! The chain, the accounts and the clock that histories run on.

use std::collections::HashSet;

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, B256, Bytes, Log, U256, bytes},
    providers::{DynProvider, Provider, ProviderBuilder, ext::AnvilApi},
    rpc::types::{TransactionReceipt, TransactionRequest},
    sol_types::SolCall,
};
use fixture::Chain;
use protocol::{
    caip::{AccountId, AssetId},
    deal::{Context, DealState, Proof, Status},
    evm::{AMOUNT_MAX, call, escrow::Escrow},
    terms::Terms,
};
use rand::{RngExt, rngs::StdRng};

alloy::sol!(
    #[allow(missing_docs)]
    TestToken,
    "../../protocol/abi/TestToken.json"
);

/// Wallets of the fixture, and what they are here.
pub const BUYER: usize = 1;
pub const SELLER: usize = 2;
const ARBITER: usize = 3;
pub const STRANGER: usize = 4;
/// A seller and a buyer whose code refuses coin; their keys sign as before (EIP-7702).
const DEAF_SELLER: usize = 5;
const DEAF_BUYER: usize = 6;
/// Its signatures are nobody's.
const FORGER: usize = 9;

/// An arbiter contract that answers every question with 1.
const COURT: Address = Address::repeat_byte(0xc0);
const GAS: u64 = 3_000_000;

pub struct World {
    pub chain: Chain,
    /// Without fillers: what is sent is mined as it is, also when it reverts.
    rpc: DynProvider,
    token: Address,
    revoked: HashSet<(Address, B256)>,
    now: u64,
}

impl World {
    pub async fn start() -> Self {
        let chain = Chain::start().await;
        let rpc = ProviderBuilder::new()
            .disable_recommended_fillers()
            .connect_http(chain.rpc_url().parse().unwrap())
            .erased();
        let token = chain.deploy(TestToken::BYTECODE.clone()).await;
        for buyer in [BUYER, DEAF_BUYER] {
            let mint = TestToken::mintCall { to: chain.address(buyer), value: U256::from(AMOUNT_MAX) };
            chain.send(0, token, mint.abi_encode().into(), U256::ZERO).await;
            let approve = TestToken::approveCall { spender: chain.escrow.address, value: U256::MAX };
            chain.send(buyer, token, approve.abi_encode().into(), U256::ZERO).await;
        }
        for account in chain.wallets.iter().map(|wallet| wallet.address()).chain([COURT]) {
            rpc.anvil_set_balance(account, U256::ONE << 120).await.unwrap();
        }
        rpc.anvil_set_code(COURT, bytes!("600160005260206000f3")).await.unwrap();
        for deaf in [DEAF_SELLER, DEAF_BUYER] {
            rpc.anvil_set_code(chain.address(deaf), bytes!("60006000fd")).await.unwrap();
        }
        rpc.anvil_auto_impersonate_account(true).await.unwrap();
        rpc.anvil_set_auto_mine(false).await.unwrap();
        let now = chain.now().await;
        Self { chain, rpc, token, revoked: HashSet::new(), now }
    }

    pub async fn terms(&self, random: &mut StdRng, history: u64) -> Terms {
        let chain = self.chain.chain;
        let pick = |random: &mut StdRng, one, other| {
            self.chain.account(if random.random_ratio(3, 4) { one } else { other })
        };
        let fund_by = self.now + random.random_range(10..150);
        Terms {
            escrow: self.chain.escrow,
            buyer: pick(random, BUYER, DEAF_BUYER),
            seller: pick(random, SELLER, DEAF_SELLER),
            arbiter: if random.random() {
                self.chain.account(ARBITER)
            } else {
                AccountId { chain, address: COURT }
            },
            asset: AssetId { chain, token: Some(self.token).filter(|_| random.random_ratio(1, 3)) },
            amount: match random.random_range(0..4) {
                0 => random.random_range(1..20),
                1 => random.random_range(1..=AMOUNT_MAX),
                _ => random.random_range(1..1_000_000_000),
            },
            fund_by,
            deliver_by: fund_by + random.random_range(1..300),
            inspection: random.random_range(1..150),
            ruling: random.random_range(1..150),
            lapse_share: random.random_range(0..=10_000),
            metered: random.random_ratio(1, 4),
            panel: B256::ZERO,
            agreement: B256::repeat_byte(0xa9),
            salt: B256::left_padding_from(&history.to_be_bytes()),
        }
    }

    /// The time of the next attempt: soon, or at an end of one of the deal's windows. It leaves a second for what must
    /// come before the attempt.
    pub async fn later(&self, random: &mut StdRng, terms: &Terms, state: &DealState) -> u64 {
        let soonest = self.now + 2;
        let inspection = u64::from(terms.inspection);
        let ends = [
            terms.fund_by,
            terms.deliver_by,
            terms.deliver_by + inspection,
            state.since + inspection,
            state.since + u64::from(terms.ruling),
        ];
        let ahead: Vec<u64> =
            ends.iter().flat_map(|end| [*end, end + 1]).filter(|time| *time >= soonest).collect();
        let jump = state.status.is_open() && random.random_ratio(1, 8) || random.random_ratio(1, 40);
        match ahead.len() {
            count if count > 0 && jump => ahead[random.random_range(0..count)],
            _ => soonest + random.random_range(0..4),
        }
    }

    pub fn context(&self, terms: &Terms, deal: B256, now: u64) -> Context {
        let coin = terms.asset.token.is_none();
        Context {
            deal,
            now,
            cap: AMOUNT_MAX,
            rulings: u8::from(terms.arbiter.address == COURT),
            buyer_receives: !(coin && terms.buyer == self.chain.account(DEAF_BUYER)),
            seller_receives: !(coin && terms.seller == self.chain.account(DEAF_SELLER)),
        }
    }

    /// A signature of `signer` over `digest`, or something that is not, and what checking it finds.
    pub fn sign(&self, signer: Address, digest: B256, sound: bool) -> (Proof, Bytes) {
        let wallet = (0..self.chain.wallets.len()).find(|wallet| self.chain.address(*wallet) == signer);
        match wallet {
            Some(wallet) if sound => {
                let revoked = self.revoked.contains(&(signer, digest));
                let proof = if revoked { Proof::Revoked { digest } } else { Proof::Valid };
                (proof, self.chain.sign(wallet, digest))
            }
            _ => (Proof::Invalid, self.chain.sign(FORGER, digest)),
        }
    }

    /// Makes the signer's signature of the digest worthless, a second before the attempt.
    pub async fn revoke(&mut self, signer: Address, digest: B256) {
        let request = self.request(signer, self.chain.escrow.address, call::revoke(digest), U256::ZERO);
        assert!(self.mine(request, self.now + 1).await.status());
        self.revoked.insert((signer, digest));
    }

    fn request(&self, from: Address, to: Address, data: Bytes, value: U256) -> TransactionRequest {
        TransactionRequest::default()
            .with_from(from)
            .with_to(to)
            .with_input(data)
            .with_value(value)
            .with_gas_limit(GAS)
    }

    async fn mine(&mut self, request: TransactionRequest, now: u64) -> TransactionReceipt {
        let _: Option<u64> =
            self.rpc.raw_request("evm_setNextBlockTimestamp".into(), [U256::from(now)]).await.unwrap();
        let hash: B256 = self.rpc.raw_request("eth_sendTransaction".into(), [request]).await.unwrap();
        let _: String = self.rpc.raw_request("evm_mine".into(), ()).await.unwrap();
        self.now = now;
        self.rpc.get_transaction_receipt(hash).await.unwrap().unwrap()
    }

    /// Sends a call in a block of time `now`: its logs, or its revert data.
    pub async fn execute(
        &mut self,
        from: Address,
        to: Address,
        data: Bytes,
        value: u128,
        now: u64,
    ) -> Result<Vec<Log>, Bytes> {
        let request = self.request(from, to, data, U256::from(value));
        let receipt = self.mine(request.clone(), now).await;
        if receipt.status() {
            return Ok(receipt.logs().iter().map(|log| log.inner.clone()).collect());
        }
        // Nothing moved, so the same call in the same block is refused for the same reason.
        let error = self.rpc.call(request).await.unwrap_err();
        Err(error.as_error_resp().and_then(|payload| payload.as_revert_data()).unwrap_or_default())
    }

    /// Sends a call in the next block, a second later.
    pub async fn send(
        &mut self,
        from: Address,
        to: Address,
        data: Bytes,
        value: u128,
    ) -> Result<Vec<Log>, Bytes> {
        self.execute(from, to, data, value, self.now + 1).await
    }

    /// The address that a call would return.
    pub async fn dry_run(&self, to: Address, data: Bytes) -> Address {
        let request = TransactionRequest::default().with_to(to).with_input(data);
        Address::from_slice(&self.rpc.call(request).await.unwrap()[12..])
    }

    pub async fn enrich(&self, account: Address) {
        self.rpc.anvil_set_balance(account, U256::ONE << 120).await.unwrap();
    }

    pub async fn block_hash(&self, height: u64) -> B256 {
        self.rpc.get_block_by_number(height.into()).await.unwrap().unwrap().header.hash
    }

    /// What the escrow keeps of the deal.
    pub async fn state_of(&self, deal: B256) -> DealState {
        let data = Escrow::stateOfCall { deal }.abi_encode();
        let request = TransactionRequest::default().with_to(self.chain.escrow.address).with_input(data);
        let state = Escrow::stateOfCall::abi_decode_returns(&self.rpc.call(request).await.unwrap()).unwrap();
        DealState {
            status: Status::ALL[usize::from(state.status)],
            count: state.count,
            since: state.since.to(),
            funded_at: state.fundedAt.to(),
            released: state.released.to(),
            refunded: state.refunded.to(),
        }
    }

    /// What the account has of the deal's asset.
    pub async fn balance(&self, terms: &Terms, account: Address) -> U256 {
        match terms.asset.token {
            None => self.rpc.get_balance(account).await.unwrap(),
            Some(token) => {
                let data = TestToken::balanceOfCall { holder: account }.abi_encode();
                let request = TransactionRequest::default().with_to(token).with_input(data);
                U256::from_be_slice(&self.rpc.call(request).await.unwrap())
            }
        }
    }
}

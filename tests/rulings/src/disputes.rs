//! Disputed deals on the fixture's chain, each with a drawn jury whose every seat has signed its ballot.

use std::collections::BTreeMap;

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, B256, Bytes, U256},
    providers::{Provider, ext::AnvilApi},
    rpc::types::{Filter, TransactionRequest},
    signers::{SignerSync, local::PrivateKeySigner},
    sol_types::{SolCall, SolEvent},
};
use fixture::{Chain, evm};
use protocol::{
    chain::{case_id, deal_id},
    evm::{ballot_digest, call, pools::ArbitrationPools},
    terms::Terms,
    wire::{
        feed::RuleBook,
        intent::{Intent, IntentAction, SignedBallot},
    },
};

/// Wei for a unit of gas, of every transaction made here and of the chain while they are.
const GAS_PRICE: u128 = 1_000_000_000;
/// Deals whose transactions share blocks.
const PORTION: usize = 50;
const SEATS: u8 = 3;
const KEEPER: usize = 0;
const BUYER: usize = 1;

/// Sends without waiting, from wallets whose nonces it counts.
struct Sender<'a> {
    chain: &'a Chain,
    nonces: BTreeMap<usize, u64>,
}

impl Sender<'_> {
    async fn send(&mut self, wallet: usize, to: Address, data: Bytes, value: U256) {
        let nonce = match self.nonces.get(&wallet) {
            Some(nonce) => *nonce,
            None => {
                let count = self.chain.provider().get_transaction_count(self.chain.address(wallet)).await;
                count.expect("a nonce")
            }
        };
        self.nonces.insert(wallet, nonce + 1);
        let request = TransactionRequest::default()
            .with_from(self.chain.address(wallet))
            .with_to(to)
            .with_input(data)
            .with_value(value)
            .with_nonce(nonce)
            .with_gas_limit(1_000_000)
            .with_max_fee_per_gas(2 * GAS_PRICE)
            .with_max_priority_fee_per_gas(1)
            .with_chain_id(31337);
        let sent = self.chain.provider().send_transaction(request).await;
        let _ = sent.expect("the node takes the transaction");
    }

    /// Mines until nothing waits.
    async fn mine(&self) {
        let provider = self.chain.provider();
        loop {
            provider.anvil_set_next_block_base_fee_per_gas(GAS_PRICE).await.expect("a base fee");
            provider.anvil_mine(Some(1), None).await.expect("a block");
            if pending(provider).await.expect("the pool's status") == 0 {
                return;
            }
        }
    }
}

/// How many transactions wait for a block; none where the node does not say.
pub async fn pending(provider: &impl Provider) -> Option<u64> {
    let status: serde_json::Value = provider.client().request("txpool_status", ()).await.ok()?;
    u64::from_str_radix(status["pending"].as_str()?.trim_start_matches("0x"), 16).ok()
}

/// As many deals, disputed, opened and drawn, and for each the intent that hands in its ballots. `seq` runs from 1.
///
/// # Panics
/// The chain refuses anything of it.
pub async fn prepare(chain: &Chain, count: usize) -> Vec<Intent> {
    let jurors: Vec<PrivateKeySigner> = (1..=2 * SEATS + 2)
        .map(|n| PrivateKeySigner::from_bytes(&B256::repeat_byte(n)).expect("a key"))
        .collect();
    let by_address: BTreeMap<Address, &PrivateKeySigner> =
        jurors.iter().map(|juror| (juror.address(), juror)).collect();
    let panel = pool(chain, by_address.keys().copied().collect()).await;
    let common = chain.terms(1_000_000, panel, 0).await;
    let all: Vec<Terms> = (1..=count)
        .map(|salt| Terms { salt: B256::left_padding_from(&salt.to_be_bytes()), ..common.clone() })
        .collect();
    chain.provider().anvil_set_auto_mine(false).await.expect("blocks on demand");
    let mut sender = Sender { chain, nonces: BTreeMap::new() };
    let (escrow, pools) = (evm(chain.escrow.address), evm(chain.pools.address));
    let mut intents = Vec::with_capacity(count);
    for portion in all.chunks(PORTION) {
        for terms in portion {
            let signature = chain.sign(2, deal_id(terms).expect("terms of this chain"));
            let data = call::fund(terms, signature).expect("terms of this chain");
            sender.send(BUYER, escrow, data, call::fund_value(terms)).await;
        }
        sender.mine().await;
        for terms in portion {
            let data = call::dispute(terms, B256::repeat_byte(0xe1), None).expect("terms of this chain");
            sender.send(BUYER, escrow, data, U256::ZERO).await;
        }
        sender.mine().await;
        for terms in portion {
            sender.send(KEEPER, pools, call::open(terms).expect("terms of this chain"), U256::ZERO).await;
        }
        sender.mine().await;
        chain.mine(3).await;
        let before = chain.height().await;
        for terms in portion {
            sender.send(KEEPER, pools, call::draw(terms).expect("terms of this chain"), U256::ZERO).await;
        }
        sender.mine().await;
        let drawn = drawn(chain, before + 1).await;
        for terms in portion {
            let deal = deal_id(terms).expect("terms of this chain");
            let jury = drawn.get(&deal).expect("a drawn jury");
            let case = case_id(panel, chain.escrow, deal, 0, 0, jury.seed).expect("a case");
            let digest = ballot_digest(chain.pools, case, 5_000, B256::ZERO).expect("a digest");
            let ballots = (0..)
                .zip(&jury.seats)
                .map(|(seat, juror)| {
                    let signature = by_address[juror].sign_hash_sync(&digest).expect("a signature");
                    let signature = Bytes::from(signature.as_bytes().to_vec());
                    SignedBallot { seat, share: 5_000, reason: B256::ZERO, signature }
                })
                .collect();
            intents.push(Intent {
                seq: u64::try_from(intents.len()).expect("few") + 1,
                key: format!("ballots/{deal}/0/0"),
                arbiter: chain.pools,
                terms: terms.clone(),
                action: IntentAction::SubmitBallots { instance: 0, jury: 0, ballots },
                deadline: terms.deliver_by + u64::from(terms.ruling),
                asked_by: None,
                cause: None,
            });
        }
    }
    intents
}

async fn pool(chain: &Chain, members: Vec<Address>) -> B256 {
    let book = RuleBook {
        keeper: chain.address(KEEPER).into(),
        parent: B256::ZERO,
        jury_size: SEATS,
        delay: 0,
        opening: 60,
        voting: 86_400,
        appeal: 0,
        salt: B256::repeat_byte(9),
    };
    let create = call::create_pool(&book).expect("a keeper of this chain");
    let receipt = chain.send(KEEPER, chain.pools.address, create, U256::ZERO).await;
    let created = ArbitrationPools::PoolCreated::decode_log(&receipt.inner.logs()[0].inner);
    let pool = created.expect("the event").pool;
    let store = call::store_page(members);
    let request = TransactionRequest::default().to(evm(chain.pools.address)).input(store.clone().into());
    let page = chain.provider().call(request).await.expect("a dry run");
    let page = ArbitrationPools::storePageCall::abi_decode_returns(&page).expect("an address");
    chain.send(KEEPER, chain.pools.address, store, U256::ZERO).await;
    chain.send(KEEPER, chain.pools.address, call::publish(pool, vec![page]), U256::ZERO).await;
    chain.pass_time(1).await;
    pool
}

async fn drawn(chain: &Chain, from: u64) -> BTreeMap<B256, ArbitrationPools::JuryDrawn> {
    let filter = Filter::new()
        .from_block(from)
        .address(evm(chain.pools.address))
        .event_signature(ArbitrationPools::JuryDrawn::SIGNATURE_HASH);
    let logs = chain.provider().get_logs(&filter).await.expect("logs");
    let decode = |log: &alloy::rpc::types::Log| {
        ArbitrationPools::JuryDrawn::decode_log(&log.inner).expect("the event").data
    };
    logs.iter().map(decode).map(|jury| (jury.deal, jury)).collect()
}

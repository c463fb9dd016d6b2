//! What the relayer asks of an EVM node, over JSON-RPC. An answer is a fact about one moment, never a decision.

use alloy::{
    consensus::BlockHeader as _,
    eips::{BlockId, BlockNumberOrTag},
    network::{BlockResponse as _, Ethereum, TransactionBuilder as _},
    primitives::{Address, B256, Bytes, U64, U256},
    providers::{Provider as _, RootProvider},
    rpc::types::TransactionRequest,
    transports::{RpcError, TransportError},
};
use protocol::chain::ChainId;

use super::fees::{Market, usual};
use crate::{
    config::Config,
    error::Error,
    transactions::{
        ChainError,
        nodes::{Identity, Nodes, One},
        strangers::Strangers,
    },
};

/// From how many blocks the usual price is taken, and which part of their transactions (in percent) paid less.
const PRICE_BLOCKS: u64 = 10;
const PRICE_PERCENTILE: f64 = 20.0;

/// One block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Unix seconds.
    pub time: u64,
}

/// An account as the chain shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its transactions up to the newest block.
    pub nonce_latest: u64,
    /// Its transactions up to the final block; none where the node has not kept the state of that block.
    pub nonce_final: Option<u64>,
    /// What it has, in wei.
    pub balance: U256,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The block it is in.
    pub block_number: u64,
    /// That block's hash.
    pub block_hash: B256,
    /// Whether it did not revert.
    pub success: bool,
}

/// The answer to a read-only call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// It returned.
    Returned(Bytes),
    /// It reverted, with this data.
    Reverted(Bytes),
}

/// A chain, through its nodes.
#[derive(Clone, Debug)]
pub struct Chain {
    provider: RootProvider<Ethereum>,
    /// Answers what most nodes tell alike, where there are several.
    alike: Option<RootProvider<Ethereum>>,
    /// The nodes, where there are several.
    several: Option<Nodes>,
    id: u64,
    finality_depth: u64,
    /// The highest part of a price that goes to the block's producer, in wei.
    priority_fee_max: u128,
    strangers: Strangers,
}

impl Chain {
    /// Prepares to talk to the nodes of the configuration; nothing is sent yet.
    ///
    /// # Errors
    /// A URL is not http or https, or the chain is no EVM chain.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let ChainId::Eip155(id) = config.chain else {
            return Err(Error::Config {
                key: "chain",
                reason: format!("{} is not an EVM chain", config.chain),
            });
        };
        let identity = Identity { chain: config.chain, method: "eth_chainId", read: named };
        let strangers = Strangers::default();
        let nodes = Nodes::new(config, Some(identity), &strangers)?;
        let (provider, alike) = (RootProvider::new(nodes.client()), nodes.alike().map(RootProvider::new));
        let several = nodes.are_several().then_some(nodes);
        let (finality_depth, priority_fee_max) = (config.finality_depth, config.max_priority_fee_per_gas);
        Ok(Self { provider, alike, several, id, finality_depth, priority_fee_max, strangers })
    }

    /// Which of its nodes are none of this chain.
    pub const fn strangers(&self) -> &Strangers {
        &self.strangers
    }

    fn failed(&self, method: &'static str) -> impl Fn(TransportError) -> ChainError + use<> {
        move |error| ChainError::Rpc { method, reason: error.to_string().chars().take(500).collect() }
    }

    /// Whether it has more than one node.
    pub const fn has_several(&self) -> bool {
        self.alike.is_some()
    }

    /// The chain id to sign for.
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The newest block that is final, and the newest. The final one is read first, so that a receipt that is missing
    /// afterwards was not in the final chain.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn ends(&self) -> Result<(Block, Block), ChainError> {
        if self.finality_depth == 0 {
            let finalized = self.block(BlockNumberOrTag::Finalized).await?;
            return Ok((finalized, self.block(BlockNumberOrTag::Latest).await?));
        }
        let latest = self.block(BlockNumberOrTag::Latest).await?;
        let finalized = self.block(latest.number.saturating_sub(self.finality_depth).into()).await?;
        Ok((finalized, latest))
    }

    /// Asks every node for its newest block, and the next one first from now on that has a newer one than this, which the present one
    /// told; whether there is one.
    pub async fn go_on(&self, newest: u64) -> bool {
        let Some(nodes) = &self.several else { return false };
        let (awake, _) = nodes.each();
        nodes.go_on(awake.into_iter().map(newest_of).collect(), newest).await
    }

    /// An account, at the newest block and at the final one.
    ///
    /// # Errors
    /// The node does not answer. That it has not kept the state of the final block is an answer.
    pub async fn account(&self, address: Address, finalized: &Block) -> Result<Account, ChainError> {
        let nonce_final = self.nonce_at(address, finalized.number.into()).await;
        let nonce_final = match nonce_final {
            Ok(nonce) => Some(nonce),
            Err(RpcError::ErrorResp(_)) => None,
            Err(error) => return Err(self.failed("eth_getTransactionCount")(error)),
        };
        let nonce_latest = self
            .nonce_at(address, BlockId::latest())
            .await
            .map_err(self.failed("eth_getTransactionCount"))?;
        let balance =
            self.provider.get_balance(address).latest().await.map_err(self.failed("eth_getBalance"))?;
        Ok(Account { nonce_latest, nonce_final, balance })
    }

    /// An account's transactions up to this very block.
    ///
    /// # Errors
    /// The node does not answer, or does not have the block or its state.
    pub async fn nonce_in(&self, address: Address, block: &Block) -> Result<u64, ChainError> {
        let nonce = self.nonce_at(address, block.hash.into()).await;
        nonce.map_err(self.failed("eth_getTransactionCount"))
    }

    async fn nonce_at(&self, address: Address, at: BlockId) -> Result<u64, TransportError> {
        self.provider.get_transaction_count(address).block_id(at).await
    }

    /// The hash of the block that stands at a height now; none above the head.
    ///
    /// # Errors
    /// The node does not answer, or with a block of another height: that says nothing about this one.
    pub async fn hash_at(&self, number: u64) -> Result<Option<B256>, ChainError> {
        let block = self
            .provider
            .get_block_by_number(number.into())
            .await
            .map_err(self.failed("eth_getBlockByNumber"))?;
        let Some(block) = block else { return Ok(None) };
        let header = block.header();
        at_height(number, header.number())?;
        Ok(Some(header.hash))
    }

    /// Reads one block's header.
    ///
    /// # Errors
    /// There is none, or the node does not answer, or with a block of another height than was asked for.
    pub async fn block(&self, which: BlockNumberOrTag) -> Result<Block, ChainError> {
        let block = self
            .provider
            .get_block_by_number(which)
            .await
            .map_err(self.failed("eth_getBlockByNumber"))?
            .ok_or_else(|| ChainError::Lacks(format!("{which} block")))?;
        let header = block.header();
        if let BlockNumberOrTag::Number(wanted) = which {
            at_height(wanted, header.number())?;
        }
        Ok(Block { number: header.number(), hash: header.hash, time: header.timestamp() })
    }

    /// The receipt of a transaction that is in the chain now.
    ///
    /// # Errors
    /// The node does not answer, or with the receipt of another transaction: that says nothing about this one.
    pub async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, ChainError> {
        let receipt = self
            .provider
            .get_transaction_receipt(hash)
            .await
            .map_err(self.failed("eth_getTransactionReceipt"))?;
        let Some(receipt) = receipt else { return Ok(None) };
        if receipt.transaction_hash != hash {
            let reason = format!(
                "that of {hash} was asked for, and that of another transaction, {}, came",
                receipt.transaction_hash
            );
            return Err(ChainError::Rpc { method: "eth_getTransactionReceipt", reason });
        }
        Ok(receipt.block_number.zip(receipt.block_hash).map(|(block_number, block_hash)| Receipt {
            block_number,
            block_hash,
            success: receipt.status(),
        }))
    }

    /// Calls without a transaction, at a block.
    ///
    /// # Errors
    /// The node does not answer, or does not have the block or its state; a revert is an answer.
    pub async fn call(
        &self,
        from: Address,
        to: Address,
        data: Bytes,
        at: BlockId,
    ) -> Result<Called, ChainError> {
        self.called(self.provider.call(request(from, to, data)).block(at).await)
    }

    /// The same of this very block as more than half of the nodes tell it, with a bound on the gas where there is one. Where there
    /// is one node, it is what that tells.
    ///
    /// # Errors
    /// Fewer answer alike, for the others tell otherwise, or have not the block or its state, or are away.
    pub async fn call_alike(
        &self,
        from: Address,
        to: Address,
        data: Bytes,
        most: Option<u64>,
        at: &Block,
    ) -> Result<Called, ChainError> {
        let provider = self.alike.as_ref().unwrap_or(&self.provider);
        let request = TransactionRequest { gas: most, ..request(from, to, data) };
        self.called(provider.call(request).block(at.hash.into()).await)
    }

    fn called(&self, answer: Result<Bytes, TransportError>) -> Result<Called, ChainError> {
        self.returned("eth_call", answer).map(|called| match called {
            Ok(data) => Called::Returned(data),
            Err(data) => Called::Reverted(data),
        })
    }

    /// How much gas a call needs now, or the data of its revert. The node looks no further than `most` gas, where there is
    /// such a bound.
    ///
    /// # Errors
    /// The node does not answer, or objects to the call.
    pub async fn estimate(
        &self,
        from: Address,
        to: Address,
        data: Bytes,
        most: Option<u64>,
    ) -> Result<Result<u64, Bytes>, ChainError> {
        let request = TransactionRequest { gas: most, ..request(from, to, data) };
        self.returned(
            "eth_estimateGas",
            self.provider.estimate_gas(request).block(BlockNumberOrTag::Latest.into()).await,
        )
    }

    /// What the chain asks for a place in one of the next blocks; no more on top than the configuration allows.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn market(&self) -> Result<Market, ChainError> {
        let history = self
            .provider
            .get_fee_history(PRICE_BLOCKS, BlockNumberOrTag::Latest, &[PRICE_PERCENTILE])
            .await
            .map_err(self.failed("eth_feeHistory"))?;
        let base_fee = history
            .next_block_base_fee()
            .ok_or_else(|| ChainError::Lacks("base fee (EIP-1559)".to_owned()))?;
        // What is offered on top is paid in full, however low the base fee is: one node's word must not set it.
        let priority_fee = usual(&history.reward.unwrap_or_default()).min(self.priority_fee_max);
        Ok(Market { base_fee, priority_fee })
    }

    /// Hands a signed transaction to the network.
    ///
    /// # Errors
    /// The node's words. They are for the log alone: a transaction that a node refused may still be mined.
    pub async fn send(&self, raw: &[u8]) -> Result<(), ChainError> {
        self.provider.send_raw_transaction(raw).await.map(drop).map_err(self.failed("eth_sendRawTransaction"))
    }

    fn returned<T>(
        &self,
        method: &'static str,
        answer: Result<T, TransportError>,
    ) -> Result<Result<T, Bytes>, ChainError> {
        match answer {
            Ok(value) => Ok(Ok(value)),
            Err(error) => match &error {
                RpcError::ErrorResp(payload) => match payload.as_revert_data() {
                    Some(data) => Ok(Err(data)),
                    None if payload.code == REVERTED => Ok(Err(Bytes::new())),
                    None => {
                        let reason = payload.to_string().chars().take(500).collect();
                        Err(ChainError::Objects { method, reason })
                    }
                },
                _ => Err(self.failed(method)(error)),
            },
        }
    }
}

/// A node's place and its newest block; none where it does not answer.
async fn newest_of(one: One) -> Option<(usize, u64)> {
    let number = one.client().request_noparams::<U64>("eth_blockNumber").await.ok()?;
    Some((one.at(), number.to::<u64>()))
}

/// The chain of this id, in hexadecimal.
fn named(id: &str) -> Option<ChainId> {
    id.parse::<U64>().ok().map(|id| ChainId::Eip155(id.to()))
}

/// A block of another height says nothing about the one that was asked for.
fn at_height(wanted: u64, found: u64) -> Result<(), ChainError> {
    if wanted == found {
        return Ok(());
    }
    let reason = format!("block {wanted} was asked for, and one of another height, {found}, came");
    Err(ChainError::Rpc { method: "eth_getBlockByNumber", reason })
}

fn request(from: Address, to: Address, data: Bytes) -> TransactionRequest {
    TransactionRequest::default().with_from(from).with_to(to).with_input(data)
}

/// JSON-RPC's code for a revert, by the execution API.
const REVERTED: i64 = 3;

#[cfg(test)]
mod tests {
    use alloy::{
        rpc::{client::RpcClient, types::Block as Answer},
        transports::mock::Asserter,
    };

    use super::*;

    fn mocked(answers: &Asserter) -> Chain {
        let provider = RootProvider::new(RpcClient::mocked(answers.clone()));
        let strangers = Strangers::default();
        let (alike, several) = (None, None);
        Chain { provider, alike, several, id: 1, finality_depth: 0, priority_fee_max: 100, strangers }
    }

    #[tokio::test]
    async fn what_a_node_says_that_blocks_were_paid_on_top_is_offered_up_to_a_limit() {
        let answers = Asserter::new();
        let chain = mocked(&answers);
        let max = "0xffffffffffffffffffffffffffffffff";
        for (told, offered) in [(max, 100), ("0x65", 100), ("0x64", 100), ("0x7", 7), ("0x0", 1)] {
            let (base_fees, used, paid) = (["0x9"; 11], [0.5; 10], [[told]; 10]);
            answers.push_success(&serde_json::json!({
                "oldestBlock": "0x1", "baseFeePerGas": base_fees, "gasUsedRatio": used, "reward": paid,
            }));
            let market = chain.market().await.unwrap();
            assert_eq!(market, Market { base_fee: 9, priority_fee: offered }, "{told}");
        }
    }

    #[tokio::test]
    async fn a_block_of_another_height_than_was_asked_for_is_no_answer() {
        let answers = Asserter::new();
        let chain = mocked(&answers);
        let mut answer: Answer = Answer::default();
        answer.header.inner.number = 1;
        for _ in 0..4 {
            answers.push_success(&answer);
        }
        assert_eq!(chain.block(BlockNumberOrTag::Latest).await.unwrap().number, 1);
        assert_eq!(chain.block(1_u64.into()).await.unwrap().number, 1);
        for refused in [chain.block(3_u64.into()).await.map(drop), chain.hash_at(3).await.map(drop)] {
            let words = refused.unwrap_err().to_string();
            assert!(words.contains("block 3 was asked for, and one of another height, 1, came"), "{words}");
        }
    }
}

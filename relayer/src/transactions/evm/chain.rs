//! What the relayer asks of an EVM node, over JSON-RPC. An answer is a fact about one moment, never a decision.

use std::time::Duration;

use alloy::{
    consensus::BlockHeader as _,
    eips::BlockNumberOrTag,
    network::{BlockResponse as _, Ethereum, TransactionBuilder as _},
    primitives::{Address, B256, Bytes, U256},
    providers::{Provider as _, RootProvider},
    rpc::{client::RpcClient, types::TransactionRequest},
    transports::{RpcError, TransportError, http::Http},
};
use protocol::chain::ChainId;

use super::fees::Fees;
use crate::{error::Error, transactions::ChainError};

/// The longest one call may take.
const CALL_TIME: Duration = Duration::from_secs(15);

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

/// What one round of the relayer sees. `finalized` and its nonce are read before anything else, so that a receipt that is
/// missing afterwards was not in the final chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The newest block.
    pub latest: Block,
    /// The newest block that the chain calls final.
    pub finalized: Block,
    /// Transactions of the signer up to `latest`.
    pub nonce_latest: u64,
    /// Transactions of the signer up to `finalized`.
    pub nonce_final: u64,
    /// What the signer has, in wei.
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

/// A chain, through one node.
#[derive(Clone, Debug)]
pub struct Chain {
    provider: RootProvider<Ethereum>,
    id: u64,
    /// For taking it out of messages: it may carry a key.
    url: String,
}

impl Chain {
    /// Prepares to talk to a node; nothing is sent yet.
    ///
    /// # Errors
    /// The URL is not http or https, or the chain is no EVM chain.
    pub fn new(rpc_url: &str, wanted: ChainId) -> Result<Self, Error> {
        let ChainId::Eip155(id) = wanted else {
            return Err(Error::Config { key: "chain", reason: format!("{wanted} is not an EVM chain") });
        };
        let refuse = |reason: String| Error::Config { key: "rpc_url", reason };
        // The URL may carry a key: it is not repeated in the refusal.
        let url: reqwest::Url = rpc_url.parse().map_err(|error| refuse(format!("{error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse("must begin with http:// or https://".to_owned()));
        }
        let client = alloy::transports::http::reqwest::Client::builder()
            .timeout(CALL_TIME)
            .build()
            .map_err(|error| refuse(error.to_string()))?;
        let shown = url.to_string();
        let provider = RootProvider::new(RpcClient::new(Http::with_client(client, url), false));
        Ok(Self { provider, id, url: shown })
    }

    fn failed(&self, method: &'static str) -> impl Fn(TransportError) -> ChainError + use<'_> {
        move |error| {
            let reason = error.to_string().replace(&self.url, "relayer.rpc_url");
            ChainError::Rpc { method, reason: reason.chars().take(500).collect() }
        }
    }

    /// The chain id to sign for.
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// Whether the node serves the chain of the configuration.
    ///
    /// # Errors
    /// It does not, or does not answer.
    pub async fn check(&self) -> Result<(), ChainError> {
        let found = self.provider.get_chain_id().await.map_err(self.failed("eth_chainId"))?;
        if found == self.id {
            Ok(())
        } else {
            Err(ChainError::OtherChain { wanted: ChainId::Eip155(self.id), found: format!("eip155:{found}") })
        }
    }

    /// Looks at the chain as the signer sees it.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn sight(&self, signer: Address) -> Result<Sight, ChainError> {
        let finalized = self.block(BlockNumberOrTag::Finalized).await?;
        let count = self.failed("eth_getTransactionCount");
        let nonce_final =
            self.provider.get_transaction_count(signer).number(finalized.number).await.map_err(&count)?;
        let latest = self.block(BlockNumberOrTag::Latest).await?;
        let nonce_latest = self.provider.get_transaction_count(signer).latest().await.map_err(&count)?;
        let balance =
            self.provider.get_balance(signer).latest().await.map_err(self.failed("eth_getBalance"))?;
        Ok(Sight { latest, finalized, nonce_latest, nonce_final, balance })
    }

    /// Reads one block's header.
    ///
    /// # Errors
    /// There is none, or the node does not answer.
    pub async fn block(&self, which: BlockNumberOrTag) -> Result<Block, ChainError> {
        let block = self
            .provider
            .get_block_by_number(which)
            .await
            .map_err(self.failed("eth_getBlockByNumber"))?
            .ok_or_else(|| ChainError::Lacks(format!("{which} block")))?;
        let header = block.header();
        Ok(Block { number: header.number(), hash: header.hash, time: header.timestamp() })
    }

    /// The receipt of a transaction that is in the chain now.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, ChainError> {
        let receipt = self
            .provider
            .get_transaction_receipt(hash)
            .await
            .map_err(self.failed("eth_getTransactionReceipt"))?;
        Ok(receipt.and_then(|receipt| {
            Some(Receipt {
                block_number: receipt.block_number?,
                block_hash: receipt.block_hash?,
                success: receipt.status(),
            })
        }))
    }

    /// Calls without a transaction, at a block.
    ///
    /// # Errors
    /// The node does not answer; a revert is an answer.
    pub async fn call(
        &self,
        from: Address,
        to: Address,
        data: Bytes,
        at: BlockNumberOrTag,
    ) -> Result<Called, ChainError> {
        let answer = self.provider.call(request(from, to, data)).block(at.into()).await;
        self.returned("eth_call", answer).map(|called| match called {
            Ok(data) => Called::Returned(data),
            Err(data) => Called::Reverted(data),
        })
    }

    /// How much gas a call needs now, or the data of its revert.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn estimate(
        &self,
        from: Address,
        to: Address,
        data: Bytes,
    ) -> Result<Result<u64, Bytes>, ChainError> {
        self.returned(
            "eth_estimateGas",
            self.provider.estimate_gas(request(from, to, data)).block(BlockNumberOrTag::Latest.into()).await,
        )
    }

    /// What the chain asks for a place in one of the next blocks.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn fees(&self) -> Result<Fees, ChainError> {
        let fees = self.provider.estimate_eip1559_fees().await.map_err(self.failed("eth_feeHistory"))?;
        Ok(Fees { max_fee: fees.max_fee_per_gas, priority_fee: fees.max_priority_fee_per_gas })
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
                    None => Err(self.failed(method)(error)),
                },
                _ => Err(self.failed(method)(error)),
            },
        }
    }
}

fn request(from: Address, to: Address, data: Bytes) -> TransactionRequest {
    TransactionRequest::default().with_from(from).with_to(to).with_input(data)
}

/// JSON-RPC's code for a revert, by the execution API.
const REVERTED: i64 = 3;

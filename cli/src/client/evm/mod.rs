//! An EVM chain as a person meets it: balances, transactions from one's own wallet, and refusals in words.

pub mod contracts;
pub mod deployment;
pub mod facts;

use std::time::Duration;

use alloy::{
    eips::BlockId,
    network::{Ethereum, EthereumWallet, TransactionBuilder},
    primitives::{Address, B256, Bytes, U256},
    providers::{DynProvider, PendingTransactionBuilder, Provider, ProviderBuilder},
    rpc::types::{
        TransactionReceipt, TransactionRequest,
        state::{AccountOverride, StateOverride},
    },
    signers::local::PrivateKeySigner,
    sol_types::SolCall,
    transports::{RpcError, TransportErrorKind},
};
use anyhow::{Context, Result, anyhow, bail};
use protocol::{
    chain::{AccountId, ChainId},
    evm::decode_refusal,
};

use super::chain::{Sent, silent};

/// The longest wait for a transaction to be mined.
const RECEIPT_WAIT: Duration = Duration::from_secs(120);

/// A chain behind a JSON-RPC address.
#[derive(Clone, Debug)]
pub struct Chain {
    url: String,
    provider: DynProvider,
    /// Its CAIP-2 id, as the node says.
    pub id: ChainId,
}

impl Chain {
    /// Connects and asks for the chain's id.
    pub async fn connect(url: &str) -> Result<Self> {
        let parsed =
            url.parse().with_context(|| format!("--rpc {url}: must be an http:// or https:// address"))?;
        let provider = ProviderBuilder::new().connect_http(parsed).erased();
        let id = provider.get_chain_id().await.map_err(|error| silent(url, error))?;
        Ok(Self { url: url.to_owned(), provider, id: ChainId::Eip155(id) })
    }

    /// For reading.
    pub const fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// An address on this chain.
    pub fn account(&self, address: Address) -> AccountId {
        AccountId { chain: self.id, address: address.into() }
    }

    /// The balance in wei at the newest block.
    pub async fn balance(&self, address: Address) -> Result<U256> {
        self.provider.get_balance(address).await.context("eth_getBalance")
    }

    /// The balance in wei after a block.
    pub async fn balance_at(&self, address: Address, block: u64) -> Result<U256> {
        self.provider.get_balance(address).block_id(BlockId::number(block)).await.context("eth_getBalance")
    }

    /// The height of the newest block.
    pub async fn height(&self) -> Result<u64> {
        self.provider.get_block_number().await.context("eth_blockNumber")
    }

    /// The time of the newest block in Unix seconds.
    pub async fn now(&self) -> Result<u64> {
        let block = self.provider.get_block(BlockId::latest()).await.context("eth_getBlockByNumber")?;
        Ok(block.ok_or_else(|| anyhow!("the chain has no block"))?.header.timestamp)
    }

    /// The code at the address; empty where there is no contract.
    pub async fn code(&self, address: Address) -> Result<Bytes> {
        self.provider.get_code_at(address).await.context("eth_getCode")
    }

    /// Whether there is code at the address.
    pub async fn has_code(&self, address: Address) -> Result<bool> {
        Ok(!self.code(address).await?.is_empty())
    }

    /// The code that a deployment would leave at this address, which the code may contain. The node runs the creation code
    /// in the place of what is there, and changes nothing.
    pub async fn dry_deploy(&self, at: Address, creation: Bytes) -> Result<Bytes> {
        let request = TransactionRequest::default().with_to(at);
        let code = AccountOverride { code: Some(creation), ..AccountOverride::default() };
        let overrides = StateOverride::from_iter([(at, code)]);
        let answer = self.provider.call(request).overrides(overrides).await;
        answer.map_err(|error| explain("dry deployment", &error))
    }

    /// Whether the code at the address is what this creation code leaves there.
    pub async fn runs(&self, address: Address, creation: Bytes) -> Result<bool> {
        let there = self.code(address).await?;
        Ok(!there.is_empty() && there == self.dry_deploy(address, creation).await?)
    }

    /// How many transactions the account has sent.
    pub async fn transactions(&self, address: Address) -> Result<u64> {
        self.provider.get_transaction_count(address).await.context("eth_getTransactionCount")
    }

    /// Publishes a transaction that somebody else signed and waits until it is mined.
    pub async fn publish(&self, what: &str, from: Address, signed: Bytes) -> Result<Sent> {
        let pending =
            self.provider.send_raw_transaction(&signed).await.map_err(|error| explain(what, &error))?;
        Ok(mined(what, pending, from).await?.0)
    }

    /// A receipt; none when the chain does not know the transaction.
    pub async fn receipt(&self, transaction: B256) -> Result<Option<TransactionReceipt>> {
        self.provider.get_transaction_receipt(transaction).await.context("eth_getTransactionReceipt")
    }

    /// Calls a contract at the newest block and decodes what it returns.
    pub async fn read<C: SolCall>(&self, contract: Address, call: &C) -> Result<C::Return> {
        let request = TransactionRequest::default().with_to(contract).with_input(call.abi_encode());
        let answer = self.provider.call(request).await.map_err(|e| explain(C::SIGNATURE, &e))?;
        C::abi_decode_returns(&answer)
            .with_context(|| format!("{contract} does not answer {} as our contract does", C::SIGNATURE))
    }

    /// As [`Self::read`], of a contract that need not be ours: none where it refuses or answers something else.
    ///
    /// # Errors
    /// The node does not answer, or refuses for a reason of its own.
    pub async fn read_of_any<C: SolCall>(&self, contract: Address, call: &C) -> Result<Option<C::Return>> {
        let request = TransactionRequest::default().with_to(contract).with_input(call.abi_encode());
        match self.provider.call(request).await {
            Ok(answer) => Ok(C::abi_decode_returns(&answer).ok()),
            Err(error) if error.as_error_resp().is_some_and(|told| told.message.contains("revert")) => {
                Ok(None)
            }
            Err(error) => Err(explain(C::SIGNATURE, &error)),
        }
    }

    /// The same chain with a wallet that signs.
    pub fn signed_by(&self, signer: &PrivateKeySigner) -> Result<Wallet> {
        let url = self.url.parse().with_context(|| format!("--rpc {}", self.url))?;
        let wallet = EthereumWallet::new(signer.clone());
        let provider = ProviderBuilder::new().wallet(wallet).connect_http(url).erased();
        Ok(Wallet { chain: self.clone(), provider, address: signer.address() })
    }
}

/// A wallet on a chain.
#[derive(Clone, Debug)]
pub struct Wallet {
    /// The chain.
    pub chain: Chain,
    provider: DynProvider,
    /// Its address.
    pub address: Address,
}

impl Wallet {
    /// Calls a contract in a transaction and waits until it is mined. A call that would fail is not sent.
    pub async fn call(
        &self,
        what: &str,
        contract: Address,
        data: Bytes,
        value: U256,
    ) -> Result<(Sent, TransactionReceipt)> {
        let request = TransactionRequest::default()
            .with_from(self.address)
            .with_to(contract)
            .with_input(data)
            .with_value(value);
        self.send(what, request).await
    }

    /// Pays native coin to each, all at once, and waits until every payment is mined.
    pub async fn pay(&self, payments: &[(Address, U256)]) -> Result<()> {
        let mut pending = Vec::new();
        for (to, value) in payments {
            let request =
                TransactionRequest::default().with_from(self.address).with_to(*to).with_value(*value);
            pending.push(self.provider.send_transaction(request).await.map_err(|e| explain("pay", &e))?);
        }
        for payment in pending {
            payment.with_timeout(Some(RECEIPT_WAIT)).get_receipt().await.context("pay")?;
        }
        Ok(())
    }

    async fn send(&self, what: &str, request: TransactionRequest) -> Result<(Sent, TransactionReceipt)> {
        let pending = self.provider.send_transaction(request).await.map_err(|e| explain(what, &e))?;
        mined(what, pending, self.address).await
    }
}

/// Waits until a transaction is mined; it must have succeeded.
async fn mined(
    what: &str,
    pending: PendingTransactionBuilder<Ethereum>,
    from: Address,
) -> Result<(Sent, TransactionReceipt)> {
    let hash = *pending.tx_hash();
    let receipt = pending
        .with_timeout(Some(RECEIPT_WAIT))
        .get_receipt()
        .await
        .with_context(|| format!("{what}: no receipt of {hash} within {} s", RECEIPT_WAIT.as_secs()))?;
    if !receipt.status() {
        bail!("{what}: transaction {hash} was mined and reverted");
    }
    let paid = u128::from(receipt.gas_used).saturating_mul(receipt.effective_gas_price);
    let sent = Sent {
        what: what.to_owned(),
        transaction: hash.into(),
        block: receipt.block_number.unwrap_or_default(),
        from: from.into(),
        fee_paid: paid,
        rent_paid: 0,
    };
    Ok((sent, receipt))
}

/// A node's refusal in the contracts' own words where it carries them.
fn explain(what: &str, error: &RpcError<TransportErrorKind>) -> anyhow::Error {
    let revert = error.as_error_resp().and_then(alloy::rpc::json_rpc::ErrorPayload::as_revert_data);
    match revert.and_then(|data| decode_refusal(&data)) {
        Some(refused) => anyhow!("{what}: the contract refuses: {refused}"),
        None => anyhow!("{what}: {error}"),
    }
}

//! A real node: the fixture's anvil, of the hard fork that the contracts are compiled for.

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, B256, Bytes, Log, U256},
    providers::{DynProvider, Provider, ProviderBuilder, ext::AnvilApi},
    rpc::types::{TransactionReceipt, TransactionRequest},
};
use fixture::Chain;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::ground::{Call, GAS, Ground, KNOWN_HASHES};

/// A running node, stopped when dropped.
#[derive(Debug)]
pub struct Node {
    runtime: Runtime,
    chain: Chain,
    /// Without fillers: what is sent is mined as it is, also when it reverts.
    rpc: DynProvider,
    now: u64,
    height: u64,
}

impl Default for Node {
    fn default() -> Self {
        let runtime = Runtime::new().unwrap();
        let (chain, rpc) = runtime.block_on(async {
            let free =
                ["--hardfork", "cancun", "--gas-limit", "30000000", "--base-fee", "0", "--gas-price", "0"];
            let chain = Chain::start_with(&free).await;
            let rpc = ProviderBuilder::new()
                .disable_recommended_fillers()
                .connect_http(chain.rpc_url().parse().unwrap())
                .erased();
            rpc.anvil_auto_impersonate_account(true).await.unwrap();
            (chain, rpc)
        });
        let mut node = Self { runtime, chain, rpc, now: 0, height: 0 };
        node.look();
        node
    }
}

impl Node {
    fn look(&mut self) {
        (self.now, self.height) = self.runtime.block_on(async {
            self.rpc.anvil_set_auto_mine(false).await.unwrap();
            (self.chain.now().await, self.chain.height().await)
        });
    }

    /// Of the transaction as it was mined: a dry run after it would be one of another block.
    async fn revert_data(&self, transaction: B256) -> Bytes {
        let how = json!({ "tracer": "callTracer" });
        let trace: Value =
            self.rpc.raw_request("debug_traceTransaction".into(), (transaction, how)).await.unwrap();
        trace["output"].as_str().map(|data| data.parse().unwrap()).unwrap_or_default()
    }

    async fn mined(&self, request: TransactionRequest, time: u64) -> TransactionReceipt {
        let time = U256::from(time);
        let _: Option<u64> = self.rpc.raw_request("evm_setNextBlockTimestamp".into(), [time]).await.unwrap();
        let hash: B256 = self.rpc.raw_request("eth_sendTransaction".into(), [request]).await.unwrap();
        let _: String = self.rpc.raw_request("evm_mine".into(), ()).await.unwrap();
        self.rpc.get_transaction_receipt(hash).await.unwrap().unwrap()
    }
}

impl Ground for Node {
    fn send(&mut self, call: Call, time: u64) -> Result<Vec<Log>, Bytes> {
        let request = TransactionRequest::default()
            .with_from(call.from)
            .with_to(call.to)
            .with_input(call.data)
            .with_value(call.value)
            .with_gas_limit(GAS)
            .with_gas_price(0);
        (self.now, self.height) = (time, self.height + 1);
        self.runtime.block_on(async {
            let receipt = self.mined(request, time).await;
            if receipt.status() {
                return Ok(receipt.logs().iter().map(|log| log.inner.clone()).collect());
            }
            Err(self.revert_data(receipt.transaction_hash).await)
        })
    }

    fn read(&mut self, to: Address, data: Vec<u8>) -> Bytes {
        let request = TransactionRequest::default().with_to(to).with_input(data);
        self.runtime.block_on(async { self.rpc.call(request).await.unwrap() })
    }

    fn balance(&mut self, account: Address) -> U256 {
        self.runtime.block_on(async { self.rpc.get_balance(account).await.unwrap() })
    }

    fn endow(&mut self, account: Address, wei: U256) {
        self.runtime.block_on(async { self.rpc.anvil_set_balance(account, wei).await.unwrap() });
    }

    fn set_code(&mut self, account: Address, code: Bytes) {
        self.runtime.block_on(async { self.rpc.anvil_set_code(account, code).await.unwrap() });
    }

    fn deploy(&mut self, code: Bytes) -> Address {
        let at = self.runtime.block_on(async {
            self.rpc.anvil_set_auto_mine(true).await.unwrap();
            self.chain.deploy(code).await
        });
        self.look();
        at
    }

    fn mine(&mut self, blocks: u64) {
        self.runtime.block_on(async { self.rpc.anvil_mine(Some(blocks), None).await.unwrap() });
        self.look();
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn height(&self) -> u64 {
        self.height
    }

    fn hash(&mut self, height: u64) -> Option<B256> {
        let next = self.height + 1;
        if height >= next || next - height > KNOWN_HASHES {
            return None;
        }
        self.runtime.block_on(async {
            Some(self.rpc.get_block_by_number(height.into()).await.unwrap().unwrap().header.hash)
        })
    }
}

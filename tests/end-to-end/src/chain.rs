//! What the chain itself says, asked without any code of the product but its ABI.

use alloy::{
    eips::BlockId,
    primitives::{Address, B256, U256},
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::types::Filter,
};
use protocol::evm::{escrow::Escrow, pools::ArbitrationPools};
use serde_json::Value;

/// A provider at the address; the chain may still be starting.
///
/// # Panics
/// It does not answer within a minute.
pub async fn connect(url: &str) -> DynProvider {
    let provider = ProviderBuilder::new().connect_http(url.parse().expect("a URL")).erased();
    let started = std::time::Instant::now();
    while let Err(error) = provider.get_chain_id().await {
        assert!(started.elapsed().as_secs() < 60, "{url}: {error}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    provider
}

/// The wallet's balance after a block.
pub async fn balance(provider: &DynProvider, wallet: &str, block: u64) -> U256 {
    let wallet: Address = wallet.parse().expect("an address");
    provider.get_balance(wallet).block_id(BlockId::number(block)).await.expect("a balance")
}

/// The names of all events about a deal, in the chain's order.
pub async fn events(provider: &DynProvider, deal: &str) -> Vec<String> {
    use alloy::sol_types::SolEventInterface;
    let deal: B256 = deal.parse().expect("a deal");
    let filter = Filter::new().from_block(0).topic1(deal);
    let logs = provider.get_logs(&filter).await.expect("logs");
    logs.iter()
        .map(|log| {
            let name = |debug: String| debug.split('(').next().unwrap_or_default().to_owned();
            Escrow::EscrowEvents::decode_log(&log.inner).map_or_else(
                |_| {
                    let event = ArbitrationPools::ArbitrationPoolsEvents::decode_log(&log.inner);
                    name(format!("{:?}", event.expect("an event of ours").data))
                },
                |event| name(format!("{:?}", event.data)),
            )
        })
        .collect()
}

/// A decimal string as a number.
pub fn number(value: &Value) -> U256 {
    value.as_str().expect("a decimal string").parse().expect("a decimal string")
}

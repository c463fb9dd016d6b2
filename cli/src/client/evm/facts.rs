//! What the chain itself says about a deal, read from a node and from nobody else.

use alloy::{
    eips::BlockId,
    primitives::{B256, Bytes, FixedBytes},
    providers::Provider,
    rpc::types::Filter,
    sol_types::SolCall,
};
use anyhow::{Context, Result, anyhow};
use protocol::{
    chain::{AccountId, event_id},
    evm::{address_of, decode_event},
    wire::feed::{ChainEvent, FeedEntry, Finality},
};

use super::Chain;

/// Every event that the escrow emitted about the deal, oldest first, each with how settled it is.
pub async fn events(chain: &Chain, escrow: AccountId, deal: B256, from_block: u64) -> Result<Vec<FeedEntry>> {
    let provider = chain.provider();
    let finalized = provider
        .get_block(BlockId::finalized())
        .await
        .context("the node's finalized block")?
        .map_or(0, |block| block.header.number);
    let filter = Filter::new().address(address_of("escrow", escrow)?).topic1(deal).from_block(from_block);
    let logs = provider.get_logs(&filter).await.context("eth_getLogs")?;
    let mut entries = Vec::new();
    for log in logs {
        let (Some(block_number), Some(block_hash), Some(transaction), Some(log_index)) =
            (log.block_number, log.block_hash, log.transaction_hash, log.log_index)
        else {
            continue; // still in no block
        };
        let block_time = match log.block_timestamp {
            Some(time) => time,
            None => {
                let block = provider.get_block(BlockId::hash(block_hash)).await.context("a block")?;
                block.ok_or_else(|| anyhow!("the node has no block {block_hash}"))?.header.timestamp
            }
        };
        let event = ChainEvent {
            id: event_id(chain.id, block_hash, transaction.into(), log_index)?,
            contract: escrow,
            block_number,
            block_hash,
            block_time,
            transaction: transaction.into(),
            log_index,
            body: decode_event(escrow, &log.inner).context("a log of the escrow")?,
        };
        let finality = if block_number <= finalized { Finality::Final } else { Finality::Seen };
        entries.push(FeedEntry { seq: 0, finality, event });
    }
    Ok(entries)
}

mod erc1271 {
    alloy::sol! {
        function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
    }
}

/// Whether the contract at `wallet` holds the signature of `hash` good (ERC-1271).
pub async fn contract_accepts(
    chain: &Chain,
    wallet: AccountId,
    hash: B256,
    signature: Bytes,
) -> Result<bool> {
    let wallet = address_of("wallet", wallet)?;
    if !chain.has_code(wallet).await? {
        return Ok(false);
    }
    let call = erc1271::isValidSignatureCall { hash, signature };
    let magic = FixedBytes(erc1271::isValidSignatureCall::SELECTOR);
    // A contract that reverts does not hold it good.
    Ok(chain.read(wallet, &call).await.is_ok_and(|answer| answer == magic))
}

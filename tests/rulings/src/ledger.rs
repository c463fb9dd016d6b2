//! What came of it, read from the chain itself.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    primitives::{Address, B256},
    providers::{DynProvider, Provider},
    sol_types::SolEvent,
};
use protocol::{chain::deal_id, evm::pools::ArbitrationPools, wire::intent::Intent};
use serde::Serialize;

/// What the signers' transactions did and cost.
#[derive(Debug, Default, Serialize)]
pub struct Ledger {
    /// Transactions of the signers in the chain.
    pub transactions: u64,
    /// Of them, those that reverted.
    pub reverted: u64,
    /// Of them, those that did neither of what was asked for: transfers that fill a gap, for instance.
    pub without_effect: u64,
    /// Intents for which more than one transaction succeeded, or whose ruling was accepted more than once.
    pub double_effects: u64,
    /// Transactions for an intent beyond its first, whether they reverted or not: the contracts refuse their effect, and they cost
    /// gas. What cancels one or fills a nonce is none.
    pub extra_transactions: u64,
    /// Intents whose ruling is not in a final block.
    pub missing: Vec<String>,
    /// Wei paid.
    pub paid: u128,
    /// What the same gas would have cost at the base fee of its block, without a tip.
    pub at_base_fee: u128,
    /// Wei paid for transactions that reverted or did nothing that was asked for.
    pub in_vain: u128,
    /// Gas of a ruling, on average.
    pub gas_each: u64,
}

/// How many of so many transactions for each intent are beyond its first.
fn beyond_first(each: impl IntoIterator<Item = u64>) -> u64 {
    each.into_iter().map(|count| count.saturating_sub(1)).sum()
}

/// Reads every block from `from` on. `calls` tells which intent a transaction was signed for.
///
/// # Panics
/// The node does not answer.
pub async fn read(
    provider: &DynProvider,
    signers: &[Address],
    from: u64,
    intents: &[Intent],
    calls: &BTreeMap<B256, String>,
) -> Ledger {
    let last = provider.get_block_number().await.expect("the node answers");
    let finalized = provider.get_block_by_number(BlockNumberOrTag::Finalized).await;
    let finalized = finalized.expect("the node answers").expect("a final block").header.number;
    let mut ledger = Ledger::default();
    let mut senders: BTreeMap<B256, u64> = BTreeMap::new();
    let mut rulings: BTreeMap<B256, u64> = BTreeMap::new();
    let mut final_rulings: BTreeSet<B256> = BTreeSet::new();
    let mut mined: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut gas, mut successes) = (0_u64, 0_u64);
    for number in from..=last {
        let block = provider.get_block_by_number(number.into()).await.expect("the node answers");
        let base_fee = block.expect("a block").header.base_fee_per_gas.expect("a base fee");
        let receipts = provider.get_block_receipts(BlockId::number(number)).await.expect("receipts");
        for receipt in receipts.unwrap_or_default() {
            let ruled: BTreeSet<B256> = receipt
                .inner
                .logs()
                .iter()
                .filter_map(|log| ArbitrationPools::RulingAccepted::decode_log(&log.inner).ok())
                .map(|event| event.deal)
                .collect();
            for deal in &ruled {
                *rulings.entry(*deal).or_default() += 1;
                if number <= finalized {
                    final_rulings.insert(*deal);
                }
            }
            if !signers.contains(&receipt.from) {
                continue;
            }
            if let Some(intent) = calls.get(&receipt.transaction_hash) {
                *mined.entry(intent).or_default() += 1;
            }
            let used = u128::from(receipt.gas_used);
            let paid = used * receipt.effective_gas_price;
            ledger.transactions += 1;
            ledger.paid += paid;
            ledger.at_base_fee += used * u128::from(base_fee);
            if !receipt.status() {
                ledger.reverted += 1;
            }
            if ruled.is_empty() {
                ledger.without_effect += u64::from(receipt.status());
                ledger.in_vain += paid;
            } else {
                gas += receipt.gas_used;
                successes += 1;
            }
            for deal in ruled {
                *senders.entry(deal).or_default() += 1;
            }
        }
    }
    ledger.extra_transactions = beyond_first(mined.into_values());
    ledger.gas_each = gas.checked_div(successes).unwrap_or(0);
    for intent in intents {
        let deal = deal_id(&intent.terms).expect("terms of this chain");
        let count = |of: &BTreeMap<B256, u64>| of.get(&deal).copied().unwrap_or(0);
        ledger.double_effects += u64::from(count(&senders) > 1 || count(&rulings) > 1);
        if !final_rulings.contains(&deal) {
            ledger.missing.push(intent.key.clone());
        }
    }
    ledger
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_transaction_of_an_intent_is_no_extra_one() {
        assert_eq!(beyond_first([]), 0);
        assert_eq!(beyond_first([1, 1, 1]), 0);
        assert_eq!(beyond_first([1, 3, 0, 2]), 3);
    }
}

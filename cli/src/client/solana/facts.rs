//! What a cluster itself says about a deal, read from a node and from nobody else.

use alloy::primitives::B256;
use anyhow::{Context, Result, anyhow, bail};
use protocol::{
    chain::{AccountId, event_id},
    solana::{self, Pubkey, decode_event, from_key, is_event},
    wire::feed::{ChainEvent, FeedEntry, Finality},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Chain;

/// A node answers so many signatures at a time.
const PAGE: usize = 1_000;
/// The most transactions of a deal that are looked at; it has some dozens.
const MOST: usize = 5_000;

#[derive(Deserialize)]
struct Signed {
    signature: String,
    slot: u64,
    err: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Landed {
    slot: u64,
    block_time: Option<u64>,
    transaction: Body,
    meta: Meta,
}

#[derive(Deserialize)]
struct Body {
    message: Message,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    account_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    #[serde(default)]
    inner_instructions: Vec<Inner>,
    #[serde(default)]
    loaded_addresses: Loaded,
}

#[derive(Default, Deserialize)]
struct Loaded {
    #[serde(default)]
    writable: Vec<String>,
    #[serde(default)]
    readonly: Vec<String>,
}

#[derive(Deserialize)]
struct Inner {
    index: u64,
    instructions: Vec<Compiled>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Compiled {
    program_id_index: usize,
    accounts: Vec<usize>,
    data: String,
}

/// Every event that the escrow told about the deal, oldest first, each with how settled it is.
pub async fn events(chain: &Chain, deal: B256) -> Result<Vec<FeedEntry>> {
    let final_slot = chain.final_slot().await?;
    let mut entries = Vec::new();
    for signed in signatures(chain, &solana::deal_address(deal)).await? {
        if signed.err.is_some() {
            continue;
        }
        let finality = if signed.slot <= final_slot { Finality::Final } else { Finality::Seen };
        for event in of_transaction(chain, &signed.signature).await? {
            let of_deal = event.body.deal() == Some(deal);
            let of_escrow = event.contract.address == from_key(&solana::program());
            if of_deal && of_escrow {
                entries.push(FeedEntry { seq: 0, finality, event });
            }
        }
    }
    Ok(entries)
}

/// The transactions that name an account, oldest first.
async fn signatures(chain: &Chain, at: &Pubkey) -> Result<Vec<Signed>> {
    let mut all: Vec<Signed> = Vec::new();
    loop {
        let before = all.last().map(|last| last.signature.clone());
        let mut config = json!({ "commitment": "confirmed", "limit": PAGE });
        if let (Some(before), Some(config)) = (before, config.as_object_mut()) {
            config.insert("before".to_owned(), json!(before));
        }
        let page: Vec<Signed> = chain.ask("getSignaturesForAddress", json!([at.to_string(), config])).await?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            break;
        }
        if all.len() > MOST {
            bail!("{at}: more than {MOST} transactions name this account");
        }
    }
    all.reverse();
    Ok(all)
}

/// The events of one transaction: inner instructions of the program that its own event authority signed.
async fn of_transaction(chain: &Chain, signature: &str) -> Result<Vec<ChainEvent>> {
    let config =
        json!({ "commitment": "confirmed", "maxSupportedTransactionVersion": 0, "encoding": "json" });
    let landed: Option<Landed> = chain.ask("getTransaction", json!([signature, config])).await?;
    let landed = landed.ok_or_else(|| anyhow!("getTransaction: the node has no {signature}"))?;
    let (program, authority) = (solana::program().to_string(), solana::event_authority().to_string());
    let Loaded { writable, readonly } = &landed.meta.loaded_addresses;
    let keys: Vec<&String> =
        landed.transaction.message.account_keys.iter().chain(writable).chain(readonly).collect();
    let is = |index: &usize, wanted: &str| keys.get(*index).is_some_and(|key| *key == wanted);
    let id = signature.parse().context("a signature")?;
    let mut events = Vec::new();
    for inner in &landed.meta.inner_instructions {
        for (place, one) in (0_u64..).zip(&inner.instructions) {
            let data = bs58::decode(&one.data).into_vec().context("an inner instruction")?;
            // Only the program itself can have its event authority sign.
            let told = is(&one.program_id_index, &program)
                && one.accounts.first().is_some_and(|first| is(first, &authority))
                && is_event(&data);
            if !told {
                continue;
            }
            let log_index = inner.index.saturating_mul(1 << 16).saturating_add(place);
            let body = decode_event(chain.id, &data).with_context(|| format!("an event of {signature}"))?;
            let contract = AccountId { chain: chain.id, address: from_key(&solana::contract_of(&body)) };
            events.push(ChainEvent {
                id: event_id(chain.id, B256::ZERO, id, log_index)?,
                contract,
                block_number: landed.slot,
                block_hash: B256::ZERO,
                block_time: landed.block_time.ok_or_else(|| anyhow!("{signature}: its block has no time"))?,
                transaction: id,
                log_index,
                body,
            });
        }
    }
    Ok(events)
}

//! From a transaction to the events in it.

use alloy::primitives::{B256, Bytes};
use protocol::{
    chain::{self, AccountId, Address, ChainId, TransactionId},
    solana::{contract_of, decode_event, event_authority, from_key, is_event, program},
    wire::feed::{ChainEvent, EventBody},
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    chain::{rpc::RpcError, store::Block},
    feed::store::Decoded,
};

/// `getTransaction`'s answer, as far as it is read.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Transaction {
    pub slot: u64,
    transaction: Signed,
    meta: Option<Meta>,
}

#[derive(Clone, Debug, Deserialize)]
struct Signed {
    message: Message,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    account_keys: Vec<String>,
    instructions: Vec<Instruction>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    err: Option<Value>,
    inner_instructions: Option<Vec<Inner>>,
    loaded_addresses: Option<Loaded>,
}

/// Accounts of address lookup tables, which come after those of the message.
#[derive(Clone, Debug, Deserialize)]
struct Loaded {
    writable: Vec<String>,
    readonly: Vec<String>,
}

/// What one instruction of the transaction called, in the order of the calls.
#[derive(Clone, Debug, Deserialize)]
struct Inner {
    index: usize,
    instructions: Vec<Instruction>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Instruction {
    program_id_index: usize,
    accounts: Vec<usize>,
    data: String,
    /// 1 is an instruction of the transaction; older nodes do not tell it.
    stack_height: Option<u32>,
}

/// An inner instruction that tells an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The place in its transaction: index of the instruction × 65,536 + index of the inner instruction.
    pub index: u32,
    pub data: Bytes,
}

/// The longest data of an instruction that one program calls another with, in base58.
const DATA_TEXT_MAX: usize = 14_000;

impl Transaction {
    /// Whether it is told to have failed.
    pub fn failed(&self) -> bool {
        let err = self.meta.as_ref().and_then(|meta| meta.err.as_ref());
        err.is_some_and(|err| !err.is_null())
    }

    /// What the program told, in order: its calls of itself that its event authority signed. Nobody else can make such a call
    /// succeed, and what looks like one in other places is nothing of ours.
    ///
    /// # Errors
    /// The node does not tell what the instructions called, or tells what cannot be.
    pub fn told(&self) -> Result<Vec<Told>, RpcError> {
        let wrong =
            |what: &str| RpcError::Inconsistent(format!("a transaction of slot {}: {what}", self.slot));
        let Some(meta) = &self.meta else { return Err(wrong("the node does not keep what it did")) };
        if self.failed() {
            return Ok(Vec::new());
        }
        let Some(inner) = &meta.inner_instructions else {
            return Err(wrong("the node does not keep the inner instructions"));
        };
        let message = &self.transaction.message;
        let loaded =
            meta.loaded_addresses.iter().flat_map(|loaded| loaded.writable.iter().chain(&loaded.readonly));
        let keys: Vec<&String> = message.account_keys.iter().chain(loaded).collect();
        let (program, authority) =
            (from_key(&program()).to_string(), from_key(&event_authority()).to_string());
        let of_program = |instruction: &Instruction| {
            keys.get(instruction.program_id_index).is_some_and(|key| **key == program)
        };
        let mut told = Vec::new();
        for of in inner {
            let Some(outer) = message.instructions.get(of.index) else {
                return Err(wrong("inner instructions of an instruction that is not there"));
            };
            // Programs of the calls that are under way, the outermost first.
            let mut stack = vec![of_program(outer)];
            for (at, call) in of.instructions.iter().enumerate() {
                let ours = of_program(call);
                let by_us = match call.stack_height.map(usize::try_from) {
                    Some(Ok(height)) if height >= 2 && height <= stack.len().saturating_add(1) => {
                        stack.truncate(height.saturating_sub(1));
                        let by_us = stack.last() == Some(&true);
                        stack.push(ours);
                        by_us
                    }
                    Some(_) => return Err(wrong("a call at a height that cannot be")),
                    None => true,
                };
                let signed_by = call.accounts.first().and_then(|account| keys.get(*account));
                let signed = call.accounts.len() == 1 && signed_by.is_some_and(|key| **key == authority);
                if !(ours && by_us && signed) {
                    continue;
                }
                if call.data.len() > DATA_TEXT_MAX {
                    return Err(wrong("an event longer than any can be"));
                }
                let data =
                    bs58::decode(&call.data).into_vec().map_err(|_| wrong("data that is no base58"))?;
                if !is_event(&data) {
                    continue;
                }
                let place = u16::try_from(of.index).ok().zip(u16::try_from(at).ok());
                let (outer, inner) = place.ok_or_else(|| wrong("more instructions than there can be"))?;
                told.push(Told { index: u32::from(outer) << 16 | u32::from(inner), data: data.into() });
            }
        }
        Ok(told)
    }
}

/// The event that was told, if every id in it is the hash of what it says it is the id of.
///
/// # Errors
/// It is none of this version of the program; in words.
pub(crate) fn decode(chain: ChainId, data: &[u8]) -> Result<(AccountId, EventBody), String> {
    let body = decode_event(chain, data).map_err(|error| error.to_string())?;
    match &body {
        EventBody::Funded { deal, terms } if chain::deal_id(terms) != Ok(*deal) => {
            return Err(format!("{deal} is not the id of the terms"));
        }
        EventBody::PoolCreated { pool, book } if chain::pool_id(chain, book) != Ok(*pool) => {
            return Err(format!("{pool} is not the id of the rule book"));
        }
        _ => {}
    }
    Ok((AccountId { chain, address: from_key(&contract_of(&body)) }, body))
}

/// The event with its place on the chain. `ordinal` is how many transactions of its slot name the program and come before.
///
/// # Errors
/// It is none of this version of the program; in words.
pub(super) fn decoded(
    chain: ChainId,
    block: &Block,
    signature: TransactionId,
    ordinal: u32,
    told: &Told,
) -> Result<Decoded, String> {
    let (contract, body) = decode(chain, &told.data)
        .map_err(|reason| format!("instruction {} of {signature}: {reason}", told.index))?;
    let log_index = u64::from(told.index);
    let id = chain::event_id(chain, block.hash, signature, log_index).map_err(|error| error.to_string())?;
    Ok(Decoded {
        event: ChainEvent {
            id,
            contract,
            block_number: block.number,
            block_hash: block.hash,
            block_time: block.time,
            transaction: signature,
            log_index,
            body,
        },
        ordinal,
        topics: Vec::<B256>::new(),
        data: told.data.clone(),
    })
}

/// The account that all of the program's transactions name.
pub(super) fn account() -> Address {
    from_key(&program())
}

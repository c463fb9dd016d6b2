//! Reading blocks and ranges, believing no answer that can be checked.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, B256, Log, LogData},
    sol_types::SolCall as _,
};
use protocol::{
    chain::{self, AccountId, ChainId},
    evm::{decode_event, pools::ArbitrationPools},
    wire::{
        feed::{CallOutcome, ChainEvent, EventBody},
        view::{MemberList, Pool},
    },
};

use super::{
    dispute::{self, Verdict},
    model::Header,
    proof,
    rpc::{RawLog, RawRange, Rpc},
};
use crate::{
    chain::{
        rpc::{Node, RpcError},
        step::Undecodable,
    },
    feed::store::Decoded,
};

/// What came of reading.
#[derive(Debug)]
pub(crate) enum Reading {
    /// Everything that was asked for, in the chain's order.
    Events(Vec<Decoded>),
    /// The first block that holds a log which cannot be decoded.
    Stuck(Undecodable),
}

/// The contracts of one chain.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub chain: ChainId,
    pub addresses: Vec<Address>,
    /// Whether logs near the head are proven by their block's header.
    pub prove: bool,
}

/// A range of final blocks, read.
#[derive(Debug)]
pub(crate) struct Ranged {
    pub reading: Reading,
    pub first: Header,
    pub last: Header,
    /// Position of the node that told it.
    pub by: usize,
}

impl Ranged {
    pub const fn ends(&self) -> (B256, B256) {
        (self.first.hash, self.last.hash)
    }

    /// Whether another tells the same.
    pub fn is(&self, other: &Self) -> bool {
        let same = match (&self.reading, &other.reading) {
            (Reading::Events(ours), Reading::Events(theirs)) => ours == theirs,
            (Reading::Stuck(ours), Reading::Stuck(theirs)) => ours == theirs,
            _ => false,
        };
        same && self.ends() == other.ends()
    }
}

/// The first of those that so many tell alike.
fn agreed(said: &[Ranged], quorum: usize) -> Option<usize> {
    said.iter().position(|one| said.iter().filter(|other| one.is(other)).count() >= quorum)
}

/// Headers that are asked for in one batch.
const HEADERS: usize = 100;

impl Watch {
    /// The events of one block, by its hash.
    pub async fn block(&self, rpc: &Rpc, header: &Header) -> Result<Reading, RpcError> {
        let logs = if self.prove {
            proof::logs_to_tell(rpc, header, &self.addresses).await?
        } else {
            self.logs_of(rpc, header).await?
        };
        service::failpoint::pass(&["indexer.logs.read"]);
        for log in &logs {
            if log.block_hash != Some(header.hash) {
                return Err(RpcError::Inconsistent(format!(
                    "a log of block {:?} in the answer for block {}",
                    log.block_hash, header.hash
                )));
            }
        }
        self.decode(logs, &BTreeMap::from([(header.number, *header)]))
    }

    /// The logs of one block as the node tells them, but no emptiness that its header does not bear out.
    async fn logs_of(&self, rpc: &Rpc, header: &Header) -> Result<Vec<RawLog>, RpcError> {
        if !header.may_concern(&self.addresses) {
            return Ok(Vec::new());
        }
        // What is told now is final as soon as the hash of its block is.
        let logs = if rpc.0.quorum > 1 {
            proof::by_quorum(rpc, header, &self.addresses).await?
        } else {
            rpc.logs_of(header.hash, &self.addresses).await?
        };
        // The bloom filter may be wrong about us, but the node may also have no logs of this block yet.
        if logs.is_empty() { proof::logs_to_tell(rpc, header, &self.addresses).await } else { Ok(logs) }
    }

    /// The events of a range of final blocks, and the headers of its ends, as a quorum of the nodes tells them: they are told
    /// as final before they are proven. Who tells other hashes of them lied; who tells other logs, if receipts prove it, and
    /// where they prove the quorum wrong, what they prove right is taken.
    ///
    /// # Errors
    /// Too few nodes tell it, or not the same.
    pub async fn range(&self, rpc: &Rpc, from: u64, to: u64) -> Result<Ranged, RpcError> {
        let quorum = rpc.0.quorum;
        if quorum <= 1 {
            return self.range_of(rpc, rpc.0.node().await?, (from, to)).await;
        }
        let mut nodes = rpc.0.in_turn().into_iter();
        let (mut said, mut failed, mut large) = (Vec::new(), None, None);
        // So many at once, then one by one for those that fail or differ.
        let mut asked: Vec<_> = nodes.by_ref().take(quorum).collect();
        while !asked.is_empty() {
            let asking = asked.into_iter().map(|node| self.range_of(rpc, node, (from, to)));
            for answer in futures::future::join_all(asking).await {
                match answer {
                    Ok(ranged) => said.push(ranged),
                    // The others may bear it: one that refuses everything must not hold up those who answer.
                    Err(error @ RpcError::TooLarge { .. }) => large = Some(error),
                    Err(error) => failed = Some(error),
                }
            }
            if let Some(agreed) = agreed(&said, quorum) {
                return self.settle(rpc, said, agreed, (from, to)).await;
            }
            asked = nodes.by_ref().take(1).collect();
        }
        let words = format!("no {quorum} nodes tell the same of blocks {from} to {to}");
        let differ = said.len() >= quorum;
        if let Some(large) = large.filter(|_| !differ) {
            return Err(large);
        }
        Err(failed.filter(|_| !differ).unwrap_or(RpcError::Inconsistent(words)))
    }

    /// What is to be taken of a range of which a quorum tells the same as the answer at `agreed`.
    ///
    /// # Errors
    /// Receipts prove that answer wrong, and no other right.
    async fn settle(
        &self,
        rpc: &Rpc,
        said: Vec<Ranged>,
        agreed: usize,
        (from, to): (u64, u64),
    ) -> Result<Ranged, RpcError> {
        let quorum = rpc.0.quorum;
        let nothing = || RpcError::Inconsistent(format!("no answer about blocks {from} to {to}"));
        let ends = said.get(agreed).map(Ranged::ends).ok_or_else(nothing)?;
        let (mut alike, mut best) = (Vec::with_capacity(said.len()), agreed);
        for (at, one) in said.into_iter().enumerate() {
            if one.ends() == ends {
                if at == agreed {
                    best = alike.len();
                }
                alike.push(one);
            } else {
                rpc.0.lied(one.by, format!("{quorum} others tell other hashes of blocks {from} to {to}"));
            }
        }
        let verdicts = dispute::judge(rpc, self, &alike).await;
        for (one, verdict) in alike.iter().zip(&verdicts) {
            if let Verdict::Wrong(block) = verdict {
                let words = format!("the receipts of block {block} prove other logs than it told");
                rpc.0.misled(one.by, words);
            }
        }
        let told = alike.get(best);
        let differ = alike.iter().any(|one| told.is_some_and(|told| !told.is(one)));
        if differ && !verdicts.iter().any(|verdict| matches!(verdict, Verdict::Wrong(_))) {
            // Nobody is called a liar, but two have told other things and one of them is believed.
            tracing::warn!(from, to, "nodes tell other logs of a range, and nothing proves which are right");
            let chain = self.chain.to_string();
            metrics::counter!("indexer_disputes_unproven_total", "chain" => chain).increment(1);
        }
        if let Some(Verdict::Wrong(block)) = verdicts.get(best) {
            let Some(right) = verdicts.iter().position(|verdict| *verdict == Verdict::Right) else {
                // Fewer blocks at once differ less.
                let reason = format!("the receipts of block {block} prove {quorum} nodes wrong");
                return Err(RpcError::TooLarge { method: "eth_getLogs", reason, hint: None });
            };
            best = right;
        }
        if best < alike.len() { Ok(alike.swap_remove(best)) } else { Err(nothing()) }
    }

    /// The same as one node tells it.
    async fn range_of(&self, rpc: &Rpc, node: &Node, (from, to): (u64, u64)) -> Result<Ranged, RpcError> {
        let RawRange { logs, first, last, by } = rpc.range_of(node, (from, to), &self.addresses).await?;
        service::failpoint::pass(&["indexer.logs.read"]);
        // One hash for each height, by logs and by headers alike.
        let mut headers = BTreeMap::from([(first.number, first), (last.number, last)]);
        if headers.len() == 1 && !first.is(&last) {
            return Err(RpcError::Inconsistent(format!("two hashes of block {from}")));
        }
        let mut untimed: BTreeMap<u64, B256> = BTreeMap::new();
        for log in &logs {
            let (Some(number), Some(hash)) = (log.block_number, log.block_hash) else {
                return Err(RpcError::Inconsistent("a log without block".to_owned()));
            };
            let number = number.to::<u64>();
            if number < from || number > to {
                return Err(RpcError::Inconsistent(format!("a log of block {number} for {from} to {to}")));
            }
            let known = match (headers.get(&number), log.block_timestamp) {
                (Some(known), _) => known.hash,
                (None, Some(time)) => {
                    let time = time.to::<u64>();
                    if i64::try_from(time).is_err() {
                        return Err(RpcError::Inconsistent(format!(
                            "the time {time} of block {number} is beyond 63 bits"
                        )));
                    }
                    headers.insert(number, Header::of(number, hash, time));
                    hash
                }
                (None, None) => *untimed.entry(number).or_insert(hash),
            };
            if known != hash {
                return Err(RpcError::Inconsistent(format!("two hashes of block {number}")));
            }
        }
        // Older nodes do not tell the time of a log.
        let untimed: Vec<B256> = untimed.into_values().collect();
        for hashes in untimed.chunks(HEADERS) {
            headers.extend(rpc.by_hashes(hashes).await?.into_iter().map(|header| (header.number, header)));
        }
        Ok(Ranged { reading: self.decode(logs, &headers)?, first, last, by })
    }

    pub fn decode(
        &self,
        mut logs: Vec<RawLog>,
        headers: &BTreeMap<u64, Header>,
    ) -> Result<Reading, RpcError> {
        logs.sort_unstable_by_key(|log| (log.block_number, log.log_index));
        let mut events: Vec<Decoded> = Vec::with_capacity(logs.len());
        for log in logs {
            let place = (log.block_number, log.log_index, log.transaction_hash);
            let (Some(number), Some(log_index), Some(transaction)) = place else {
                return Err(RpcError::Inconsistent("a log without block, index or transaction".to_owned()));
            };
            let (number, log_index) = (number.to::<u64>(), log_index.to::<u64>());
            let Some(header) = headers.get(&number) else {
                return Err(RpcError::Inconsistent(format!(
                    "a log of block {number}, which was not asked for"
                )));
            };
            let twice = events
                .last()
                .is_some_and(|e| e.event.block_number == number && e.event.log_index == log_index);
            if log.removed || twice || log_index > u64::from(u32::MAX) {
                return Err(RpcError::Inconsistent(format!(
                    "log {log_index} of block {number} is not sound"
                )));
            }
            if !self.addresses.contains(&log.address) {
                return Err(RpcError::Inconsistent(format!("a log of {}, not asked for", log.address)));
            }
            let contract = AccountId { chain: self.chain, address: log.address.into() };
            let id = chain::event_id(self.chain, header.hash, transaction.into(), log_index);
            let log = Log { address: log.address, data: LogData::new_unchecked(log.topics, log.data) };
            let decoded = decode(contract, &log);
            match id.map_err(|error| error.to_string()).and_then(|id| Ok((id, decoded?))) {
                Ok((id, body)) => events.push(Decoded {
                    event: ChainEvent {
                        id,
                        contract,
                        block_number: number,
                        block_hash: header.hash,
                        block_time: header.time,
                        transaction: transaction.into(),
                        log_index,
                        body,
                    },
                    ordinal: 0,
                    topics: log.data.topics().to_vec(),
                    data: log.data.data,
                }),
                Err(reason) => {
                    let detail = format!(
                        "{contract} emitted log {log_index} of block {number} in transaction {transaction}: {reason}; \
                         topics {:?}, {} bytes of data",
                        log.data.topics(),
                        log.data.data.len()
                    );
                    return Ok(Reading::Stuck(Undecodable { block: header.block(), detail }));
                }
            }
        }
        Ok(Reading::Events(events))
    }
}

/// The event that a log tells, if every id in it is the hash of what it says it is the id of.
///
/// # Errors
/// It is none; in words.
pub(crate) fn decode(contract: AccountId, log: &Log) -> Result<EventBody, String> {
    let body = decode_event(contract, log).map_err(|error| error.to_string())?;
    match &body {
        EventBody::Funded { deal, terms } if chain::deal_id(terms) != Ok(*deal) => {
            return Err(format!("{deal} is not the id of the terms"));
        }
        EventBody::PoolCreated { pool, book } if chain::pool_id(contract.chain, book) != Ok(*pool) => {
            return Err(format!("{pool} is not the id of the rule book"));
        }
        _ => {}
    }
    Ok(body)
}

/// The members of a published list, in order.
///
/// # Errors
/// The node does not tell them; in words.
pub(crate) async fn members(
    rpc: &Rpc,
    pool: &Pool,
    list: &MemberList,
) -> Result<Vec<chain::Address>, String> {
    let to = pool.arbiter.address.evm().ok_or("its arbiter is no EVM account")?;
    let call = ArbitrationPools::membersOfCall { pool: pool.pool, list: list.list }.abi_encode().into();
    match rpc.call(to, &call).await.map_err(|error| error.to_string())? {
        CallOutcome::Returned { data } => {
            let members = ArbitrationPools::membersOfCall::abi_decode_returns(&data);
            Ok(members.map_err(|error| error.to_string())?.into_iter().map(Into::into).collect())
        }
        // A node that lags behind the one that told of the list.
        CallOutcome::Reverted { .. } => Err("it does not know it".to_owned()),
    }
}

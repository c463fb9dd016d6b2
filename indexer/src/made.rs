//! Events as an escrow would emit them, made up: for tests and measurements that need many and no chain.
#![allow(
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "what is made up here fits where it goes"
)]

use std::ops::Range;

use alloy::{
    primitives::{B256, LogData, U256, keccak256},
    sol_types::SolEvent,
};
use protocol::{
    chain::{AccountId, AssetId, deal_id, event_id},
    evm::{escrow::Escrow, typed},
    terms::Terms,
    wire::feed::ChainEvent,
};

use crate::{
    chain::{source::decode, store::Block},
    feed::store::Decoded,
};

/// Events of one block.
pub(crate) const A_BLOCK: u64 = 10;
/// Deals that are under way at one time.
const UNDER_WAY: u64 = 32;
/// Events of one deal: its funding, and releases that end with all of it.
pub(crate) const A_DEAL: u64 = 10;

fn terms(escrow: AccountId, deal: u64) -> Terms {
    let account = |name: u64| AccountId {
        chain: escrow.chain,
        address: alloy::primitives::Address::from_word(keccak256(name.to_be_bytes())).into(),
    };
    Terms {
        escrow,
        buyer: account(deal % 7),
        seller: account(100 + deal % 11),
        arbiter: account(200),
        asset: AssetId::native(escrow.chain),
        amount: 1_000,
        fund_by: 2_000_000_000,
        deliver_by: 2_100_000_000,
        inspection: 3_600,
        ruling: 864_000,
        lapse_share: 5_000,
        metered: false,
        panel: B256::ZERO,
        agreement: B256::repeat_byte(0xa9),
        salt: B256::from(U256::from(deal)),
    }
}

/// The block of that height; the first has height 1.
pub(crate) fn block(number: u64) -> Block {
    let hash = |number: u64| keccak256(number.to_be_bytes());
    Block { number, hash: hash(number), parent: hash(number.saturating_sub(1)), time: 1_700_000_000 + number }
}

/// The events of these blocks, [`A_BLOCK`] each.
pub(crate) fn events(escrow: AccountId, blocks: Range<u64>) -> Vec<Decoded> {
    blocks.flat_map(|number| (0..A_BLOCK).map(move |index| event(escrow, number, index))).collect()
}

/// The events of one deal without an end to its evidence, `a_block` in each of these blocks behind those of [`events`]: its
/// funding, evidence, and now and then a release.
#[cfg(test)]
pub(crate) fn evidence(escrow: AccountId, blocks: Range<u64>, a_block: u64) -> Vec<Decoded> {
    let terms = terms(escrow, u64::MAX);
    let deal = deal_id(&terms).expect("terms of an EVM chain");
    let places = blocks.flat_map(|number| (A_BLOCK..A_BLOCK + a_block).map(move |place| (number, place)));
    let events = (0_u64..).zip(places).map(|(nth, (number, place))| {
        // The contract counts modulo 256 as well.
        let count = u8::try_from((nth + 1) % 256).expect("below 256");
        let data = if nth == 0 {
            let terms = typed::Terms::try_from(&terms).expect("terms of an EVM chain").into();
            Escrow::Funded { deal, terms }.encode_log_data()
        } else if nth % 100 == 0 {
            let released = alloy::primitives::aliases::U88::from(nth / 100);
            Escrow::Released { deal, released, count }.encode_log_data()
        } else {
            let (by, evidence) =
                (terms.buyer.address.evm().expect("an EVM chain"), B256::from(U256::from(nth)));
            Escrow::Evidence { deal, by, evidence, uri: String::new(), count }.encode_log_data()
        };
        told(escrow, number, place, data)
    });
    events.collect()
}

fn event(escrow: AccountId, number: u64, log_index: u64) -> Decoded {
    let nth = number.saturating_sub(1) * A_BLOCK + log_index;
    let (group, within) = (nth / (UNDER_WAY * A_DEAL), nth % (UNDER_WAY * A_DEAL));
    let (count, deal) = (within / UNDER_WAY, group * UNDER_WAY + within % UNDER_WAY);
    let terms = terms(escrow, deal);
    let id = deal_id(&terms).expect("terms of an EVM chain");
    let data = if count == 0 {
        let terms = typed::Terms::try_from(&terms).expect("terms of an EVM chain").into();
        Escrow::Funded { deal: id, terms }.encode_log_data()
    } else {
        let released = alloy::primitives::aliases::U88::from(1_000 * count / (A_DEAL - 1));
        let count = u8::try_from(count + 1).expect("few events a deal");
        Escrow::Released { deal: id, released, count }.encode_log_data()
    };
    told(escrow, number, log_index, data)
}

/// What an escrow tells at a place of a block.
fn told(escrow: AccountId, number: u64, log_index: u64, data: LogData) -> Decoded {
    let block = block(number);
    let transaction = keccak256([block.hash.0, B256::from(U256::from(log_index)).0].concat()).into();
    let (topics, data) = (data.topics().to_vec(), data.data);
    Decoded {
        event: ChainEvent {
            id: event_id(escrow.chain, block.hash, transaction, log_index).expect("an EVM chain"),
            contract: escrow,
            block_number: number,
            block_hash: block.hash,
            block_time: block.time,
            transaction,
            log_index,
            body: decode(escrow, topics.clone(), data.clone()).expect("an event of the escrow"),
        },
        ordinal: 0,
        topics,
        data,
    }
}

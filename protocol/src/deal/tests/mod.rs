//! Table, validity and random histories of the deal machine.

mod histories;
mod rules;

use alloy::primitives::{self, B256};
use proptest::prelude::*;

use super::*;
use crate::{
    chain::{AccountId, Address, AssetId, ChainId},
    evm::AMOUNT_MAX,
    terms::Terms,
};

const CHAIN: ChainId = ChainId::Eip155(31337);
const START: u64 = 1_800_000_000;
const DEAL: B256 = B256::repeat_byte(0xde);
const URI: &str = "ipfs://evidence";

const BUYER: Address = Address::Evm(primitives::Address::repeat_byte(0x01));
const SELLER: Address = Address::Evm(primitives::Address::repeat_byte(0x02));
const ARBITER: Address = Address::Evm(primitives::Address::repeat_byte(0x03));
const TOKEN: Address = Address::Evm(primitives::Address::repeat_byte(0x04));
const ESCROW: Address = Address::Evm(primitives::Address::repeat_byte(0x05));
const STRANGER: Address = Address::Evm(primitives::Address::repeat_byte(0x06));

fn account(address: Address) -> AccountId {
    AccountId { chain: CHAIN, address }
}

/// Funding until START + 100, delivery until START + 1,000, then 500 to inspect, 700 to rule.
fn terms() -> Terms {
    Terms {
        escrow: account(ESCROW),
        buyer: account(BUYER),
        seller: account(SELLER),
        arbiter: account(ARBITER),
        asset: AssetId { chain: CHAIN, token: Some(TOKEN) },
        amount: 1_000_003,
        fund_by: START + 100,
        deliver_by: START + 1_000,
        inspection: 500,
        ruling: 700,
        lapse_share: 3_333,
        metered: false,
        panel: B256::ZERO,
        agreement: B256::ZERO,
        salt: B256::ZERO,
    }
}

fn metered() -> Terms {
    Terms { metered: true, ..terms() }
}

fn at(now: u64) -> Context {
    Context { deal: DEAL, now, cap: AMOUNT_MAX, rulings: 0, buyer_receives: true, seller_receives: true }
}

/// A state of every kind, reached at START + 10 (funded) and START + 20 (delivered, disputed).
fn state(status: Status) -> DealState {
    let open = DealState { status, count: 1, funded_at: START + 10, ..DealState::EMPTY };
    match status {
        Status::None => DealState::EMPTY,
        Status::Funded => open,
        Status::Delivered | Status::Disputed => DealState { count: 2, since: START + 20, ..open },
        Status::Closed => DealState { count: 2, released: terms().amount, ..open },
    }
}

const fn signed(status: Status) -> Consent {
    Consent::Signed { proof: Proof::Valid, status }
}

/// An action of a kind that nothing is wrong with but perhaps state, time and actor.
fn good(kind: ActionKind, terms: &Terms, status: Status) -> Action {
    match kind {
        ActionKind::Fund => Action::Fund { seller: signed(status), sent: 0, received: Some(terms.amount) },
        ActionKind::Retract => Action::Retract,
        ActionKind::Deliver => Action::Deliver { delivery: B256::repeat_byte(7) },
        ActionKind::Release => Action::Release { total: terms.amount / 3 },
        ActionKind::Refund => Action::Refund { total: terms.amount / 4 },
        ActionKind::Dispute => Action::Dispute { evidence: B256::repeat_byte(8) },
        ActionKind::Evidence => Action::Evidence { evidence: B256::repeat_byte(9), uri: URI.into() },
        ActionKind::Reclaim => Action::Reclaim,
        ActionKind::Claim => Action::Claim,
        ActionKind::Settle => Action::Settle {
            seller_total: terms.amount / 2,
            rulings: 0,
            valid_until: u64::MAX,
            buyer: signed(status),
            seller: signed(status),
        },
        ActionKind::Rule => Action::Rule { share: 2_500 },
        ActionKind::Lapse => Action::Lapse,
    }
}

/// Somebody whom the table lets ask for it.
fn allowed_actor(by: table::Who) -> Actor {
    Actor::Caller(match by {
        table::Who::Buyer | table::Who::Party | table::Who::PartyItself => BUYER,
        table::Who::Seller => SELLER,
        table::Who::Arbiter => ARBITER,
        table::Who::BothParties | table::Who::Anyone => STRANGER,
    })
}

fn bearer(signer: Address, proof: Proof, valid_until: u64) -> Actor {
    Actor::Bearer { caller: STRANGER, signer, proof, valid_until }
}

prop_compose! {
    fn any_amount()(small in 1..=40_000_u128, large in 1..=AMOUNT_MAX, which in 0..3_u8) -> u128 {
        match which { 0 => small, 1 => large, _ => AMOUNT_MAX }
    }
}

prop_compose! {
    fn any_terms()(
        amount in any_amount(),
        funding in 0..200_u64,
        delivery in 1..2_000_u64,
        inspection in 1..1_000_u32,
        ruling in 1..1_000_u32,
        lapse_share in 0..=WHOLE,
        metered in any::<bool>(),
        coin in any::<bool>(),
    ) -> Terms {
        Terms {
            amount,
            fund_by: START + funding,
            deliver_by: START + funding + delivery,
            inspection,
            ruling,
            lapse_share,
            metered,
            asset: AssetId { chain: CHAIN, token: Some(TOKEN).filter(|_| !coin) },
            ..terms()
        }
    }
}

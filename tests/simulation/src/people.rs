//! Who uses the contracts: they fund, deliver, release, refund, dispute, as chance has it.

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use machine::Call;
use protocol::{
    chain::{AssetId, deal_id},
    evm::call,
    terms::Terms,
};

use crate::{
    chain::{Chain, Tx},
    dice::Dice,
    scene::{CHAIN, SCENE, STRANGER, account, sign},
};

/// Deals of one world at most.
const DEALS_MAX: usize = 12;
const DAY: u64 = 86_400;

/// A deal and how far its parties want it.
#[derive(Debug)]
struct Deal {
    terms: Terms,
    consent: Bytes,
    released: u128,
    refunded: u128,
    disputed: bool,
}

/// Everybody who is not a service.
#[derive(Debug, Default)]
pub struct People {
    deals: Vec<Deal>,
    sent: u64,
}

impl People {
    /// Somebody may want something.
    pub fn act(&mut self, chain: &mut Chain, dice: &mut Dice) {
        if self.deals.is_empty() || (self.deals.len() < DEALS_MAX && dice.hits(300_000)) {
            let deal = self.deals.len() as u64;
            self.deals.push(agree(deal, chain.head().time(), dice));
            let new = self.deals.len() - 1;
            return self.wish(chain, new, Wish::Fund);
        }
        let at = usize::try_from(dice.below(self.deals.len() as u64)).unwrap();
        let wish = match dice.below(10) {
            0 | 1 => Wish::Fund,
            2 | 3 => Wish::Deliver,
            4 => Wish::Release,
            5 => Wish::Refund,
            6 | 7 => Wish::Dispute,
            8 => Wish::Evidence,
            _ => Wish::Open,
        };
        self.wish(chain, at, wish);
    }

    fn wish(&mut self, chain: &mut Chain, at: usize, wish: Wish) {
        let deal = &mut self.deals[at];
        let (terms, evidence) = (&deal.terms, B256::repeat_byte(0xe1));
        let [buyer, seller] = [&terms.buyer, &terms.seller].map(|party| party.address.evm().unwrap());
        let escrow = terms.escrow.address.evm().unwrap();
        let (from, to, data) = match wish {
            Wish::Fund => (buyer, escrow, call::fund(terms, deal.consent.clone())),
            Wish::Deliver => (seller, escrow, call::deliver(terms, B256::repeat_byte(0xde), None)),
            Wish::Release | Wish::Refund if deal.disputed => return,
            Wish::Release => {
                deal.released += terms.amount / 10;
                (buyer, escrow, call::release(terms, deal.released, None))
            }
            Wish::Refund => {
                deal.refunded += terms.amount / 10;
                (seller, escrow, call::refund(terms, deal.refunded, None))
            }
            Wish::Dispute => {
                deal.disputed = true;
                (buyer, escrow, call::dispute(terms, evidence, None))
            }
            Wish::Evidence => (seller, escrow, call::evidence(terms, evidence, "x".repeat(40), None)),
            // Anybody may open a case: a relayer is not always the first.
            Wish::Open => (STRANGER, terms.arbiter.address.evm().unwrap(), call::open(terms)),
        };
        let value = if matches!(wish, Wish::Fund) { call::fund_value(terms) } else { U256::ZERO };
        self.sent += 1;
        let hash = keccak256(format!("wish {}", self.sent));
        let call = Call::new(from, to, data.unwrap(), value);
        chain.wishes.push(Arc::new(Tx { hash, call, offer: None }));
    }
}

#[derive(Clone, Copy)]
enum Wish {
    Fund,
    Deliver,
    Release,
    Refund,
    Dispute,
    Evidence,
    Open,
}

fn agree(number: u64, now: u64, dice: &mut Dice) -> Deal {
    let seller = &dice.pick(&SCENE.sellers);
    let buyer: Address = dice.pick(&SCENE.buyers);
    let terms = Terms {
        escrow: SCENE.escrow,
        buyer: account(buyer),
        seller: account(seller.address()),
        arbiter: SCENE.pools,
        asset: AssetId::native(CHAIN),
        amount: 1_000_000,
        fund_by: now + 10 * DAY,
        deliver_by: now + 20 * DAY,
        inspection: 864_000,
        ruling: 8_640_000,
        lapse_share: 5_000,
        metered: false,
        panel: dice.pick(&SCENE.panels),
        agreement: B256::repeat_byte(0xa9),
        salt: B256::left_padding_from(&number.to_be_bytes()),
    };
    let consent = sign(seller, deal_id(&terms).unwrap());
    Deal { terms, consent, released: 0, refunded: 0, disputed: false }
}

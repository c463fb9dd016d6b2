//! The corpus: deals between ten wallets, planned from a seed alone, block by block, with every event that they must cause.
//! The plan knows nothing of how an event is read, so that it can be the oracle of all who read.

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    signers::{SignerSync, local::PrivateKeySigner},
};
use anyhow::Result;
use protocol::{
    chain::{AccountId, AssetId, ChainId},
    evm::{call, deal_id},
    terms::Terms,
};
use serde_json::{Value, json};

use crate::rows::terms_of;

/// What one party does to a deal.
#[derive(Clone, Copy, Debug)]
enum Act {
    Fund,
    Deliver,
    ReleaseHalf,
    ReleaseAll,
    RefundQuarter,
    RefundAll,
    BuyerDisputes,
    SellerDisputes,
    BuyerShows,
    SellerShows,
}
use Act::{
    BuyerDisputes, BuyerShows, Deliver, Fund, RefundAll, RefundQuarter, ReleaseAll, ReleaseHalf,
    SellerDisputes, SellerShows,
};

/// The lives of deals; as many times as they are common among twenty.
const LIVES: [(u8, &[Act]); 5] = [
    (8, &[Fund, Deliver, ReleaseAll]),
    (4, &[Fund, Deliver, ReleaseHalf, ReleaseAll]),
    (3, &[Fund, BuyerDisputes, BuyerShows, SellerShows, RefundAll]),
    (3, &[Fund, RefundQuarter, ReleaseAll]),
    (2, &[Fund, Deliver, SellerDisputes, SellerShows, ReleaseAll]),
];
/// Groups of deals that are under way at one time.
const UNDER_WAY: u64 = 24;

/// Where and between whom.
#[derive(Clone, Debug)]
pub struct Place {
    pub chain: ChainId,
    pub escrow: Address,
    pub arbiter: Address,
    pub wallets: Vec<PrivateKeySigner>,
    /// Time of the first block of the corpus, Unix seconds.
    pub begins: u64,
}

/// One block: a transaction by one wallet, and what it must cause.
#[derive(Debug)]
pub struct Planned {
    pub wallet: usize,
    pub data: Bytes,
    pub value: U256,
    /// The events' names and fields, in order.
    pub events: Vec<(&'static str, Value)>,
}

#[derive(Debug)]
struct Deal {
    terms: Terms,
    id: B256,
    released: u128,
    refunded: u128,
    count: u8,
}

/// Deals that go through the same life together, so that one transaction can be an act of each.
#[derive(Debug)]
struct Group {
    buyer: usize,
    seller: usize,
    life: &'static [Act],
    next: usize,
    deals: Vec<Deal>,
}

/// The blocks of the corpus, one after the other.
#[derive(Debug)]
pub struct Corpus {
    place: Place,
    seed: u64,
    /// Events a block.
    density: u64,
    drawn: u64,
    groups: Vec<Group>,
}

impl Corpus {
    pub const fn new(place: Place, seed: u64, density: u64) -> Self {
        Self { place, seed, density, drawn: 0, groups: Vec::new() }
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        let hash = keccak256([self.seed.to_be_bytes(), self.drawn.to_be_bytes()].concat());
        u64::from_be_bytes(*hash.first_chunk().expect("32 bytes"))
    }

    fn group(&mut self) -> Result<Group> {
        let wallets = self.place.wallets.len();
        let buyer = usize::try_from(self.draw())? % wallets;
        let seller = (buyer + 1 + usize::try_from(self.draw())? % (wallets - 1)) % wallets;
        let mut share = u8::try_from(self.draw() % 20)?;
        let (_, life) = LIVES
            .into_iter()
            .find(|(common, _)| share.checked_sub(*common).map(|left| share = left).is_none())
            .expect("the lives make up twenty");
        let deals = (0..self.density).map(|_| self.deal(buyer, seller)).collect::<Result<_>>()?;
        Ok(Group { buyer, seller, life, next: 0, deals })
    }

    fn deal(&mut self, buyer: usize, seller: usize) -> Result<Deal> {
        let drawn = self.draw();
        let place = &self.place;
        let account = |address: Address| AccountId { chain: place.chain, address: address.into() };
        let year = 365 * 86_400;
        let terms = Terms {
            escrow: account(place.escrow),
            buyer: account(place.wallets[buyer].address()),
            seller: account(place.wallets[seller].address()),
            arbiter: account(place.arbiter),
            asset: AssetId::native(place.chain),
            amount: u128::from(drawn % 1_000_000_000) + 1_000,
            fund_by: place.begins + year,
            deliver_by: place.begins + 2 * year,
            inspection: 300 * 86_400,
            ruling: 300 * 86_400,
            lapse_share: u16::try_from(drawn % 10_001)?,
            metered: false,
            panel: B256::repeat_byte(0x70),
            agreement: keccak256(drawn.to_be_bytes()),
            salt: B256::left_padding_from(&self.drawn.to_be_bytes()),
        };
        let id = deal_id(&terms)?;
        Ok(Deal { terms, id, released: 0, refunded: 0, count: 0 })
    }

    /// The next block.
    pub fn next(&mut self) -> Result<Planned> {
        let at = usize::try_from(self.draw() % UNDER_WAY)?;
        while self.groups.len() <= at {
            let group = self.group()?;
            self.groups.push(group);
        }
        if self.groups[at].next == self.groups[at].life.len() {
            self.groups[at] = self.group()?;
        }
        let group = &mut self.groups[at];
        let act = group.life[group.next];
        group.next += 1;
        let wallet = match act {
            Fund | ReleaseHalf | ReleaseAll | BuyerDisputes | BuyerShows => group.buyer,
            Deliver | RefundQuarter | RefundAll | SellerDisputes | SellerShows => group.seller,
        };
        let by = self.place.wallets[wallet].address();
        let seller = &self.place.wallets[group.seller];
        let (mut calls, mut events, mut value) = (Vec::new(), Vec::new(), U256::ZERO);
        for deal in &mut group.deals {
            if matches!(act, Fund) {
                value += call::fund_value(&deal.terms);
            }
            let (data, event) = step(deal, act, by, seller)?;
            calls.push(data);
            events.push(event);
        }
        let data = if calls.len() == 1 { calls.remove(0) } else { call::batch(calls) };
        Ok(Planned { wallet, data, value, events })
    }
}

/// Does an act: its calldata, and the event.
fn step(
    deal: &mut Deal,
    act: Act,
    by: Address,
    seller: &PrivateKeySigner,
) -> Result<(Bytes, (&'static str, Value))> {
    deal.count += 1;
    let (id, count, amount) = (deal.id, deal.count, deal.terms.amount);
    let hash = keccak256([id.as_slice(), &[count]].concat());
    Ok(match act {
        Fund => {
            let signature = seller.sign_hash_sync(&id)?.as_bytes().to_vec();
            let event = json!({"deal": id, "terms": terms_of(&deal.terms)?});
            (call::fund(&deal.terms, signature.into())?, ("Funded", event))
        }
        Deliver => {
            let event = json!({"deal": id, "delivery": hash, "count": count});
            (call::deliver(&deal.terms, hash, None)?, ("Delivered", event))
        }
        ReleaseHalf | ReleaseAll => {
            let total = if matches!(act, ReleaseHalf) { amount / 2 } else { amount };
            deal.released = total.min(amount - deal.refunded);
            let event = json!({"deal": id, "released": deal.released.to_string(), "count": count});
            (call::release(&deal.terms, total, None)?, ("Released", event))
        }
        RefundQuarter | RefundAll => {
            let total = if matches!(act, RefundQuarter) { amount / 4 } else { amount };
            deal.refunded = total.min(amount - deal.released);
            let event = json!({"deal": id, "refunded": deal.refunded.to_string(), "count": count});
            (call::refund(&deal.terms, total, None)?, ("Refunded", event))
        }
        BuyerDisputes | SellerDisputes => {
            let event = json!({"deal": id, "by": by, "evidence": hash, "count": count});
            (call::dispute(&deal.terms, hash, None)?, ("Disputed", event))
        }
        BuyerShows | SellerShows => {
            let uri = format!("https://evidence.example/{hash}");
            let event = json!({"deal": id, "by": by, "evidence": hash, "uri": uri, "count": count});
            (call::evidence(&deal.terms, hash, uri, None)?, ("Evidence", event))
        }
    })
}

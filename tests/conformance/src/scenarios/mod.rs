//! The scenarios that vectors are written from.

mod cases;
mod deals;
mod refusals;

use crate::{
    chain::Chain,
    paper::Paper,
    vector::written,
    words::{
        Act, Amount, Asset, By, DealWords, How, Offered, Setting, Signed, StatusWord, Step, Vector, Who,
    },
};

/// A scenario before anybody said what comes of it.
#[derive(Clone, Debug)]
pub struct Scenario {
    name: String,
    about: &'static str,
    only: &'static [&'static str],
    setting: Setting,
    steps: Vec<Step>,
}

/// All of them as vectors.
pub fn vectors() -> Vec<Vector> {
    let limits = Paper::default().limits();
    let all = deals::all().into_iter().chain(cases::all()).chain(refusals::all());
    all.map(|scenario| {
        let Scenario { name, about, only, setting, steps } = scenario;
        written(&name, about, only, setting, steps, limits)
    })
    .collect()
}

/// What a plain deal is about: 1,000 of the coin, ten seconds for each thing.
fn plain() -> DealWords {
    DealWords {
        buyer: Who::Buyer,
        seller: Who::Seller,
        arbiter: Who::Arbiter,
        asset: Asset::Coin,
        amount: Amount::Exactly(1_000),
        fund_by: 10,
        deliver_by: 20,
        inspection: 10,
        ruling: 10,
        lapse_share: 3_333,
        metered: false,
        panel: None,
    }
}

fn one(deal: DealWords) -> Setting {
    Setting { purse: Amount::CapLess(0), pools: Vec::new(), deals: vec![deal] }
}

fn after(seconds: u64, act: Act) -> Step {
    Step { after: seconds, blocks: 0, deal: 0, act }
}

fn scenario(name: impl Into<String>, about: &'static str, setting: Setting, steps: Vec<Step>) -> Scenario {
    Scenario { name: name.into(), about, only: &[], setting, steps }
}

/// `signer` signed it, and somebody else brings it.
fn signed(signer: Who, how: How, valid_until: i64) -> By {
    By { caller: Who::Stranger, signed: Some(Signed { signer, how, valid_until }) }
}

fn offer(status: StatusWord) -> Option<Offered> {
    Some(Offered { how: How::Valid, status })
}

fn fund() -> Act {
    Act::Fund { by: Who::Buyer.into(), seller: Some(How::Valid), more: 0 }
}

fn deliver() -> Act {
    Act::Deliver { by: Who::Seller.into(), delivery: 1 }
}

fn dispute() -> Act {
    Act::Dispute { by: Who::Buyer.into(), evidence: 2 }
}

fn evidence() -> Act {
    Act::Evidence { by: Who::Seller.into(), evidence: 3, uri: 256 }
}

fn release(total: u128) -> Act {
    Act::Release { by: Who::Buyer.into(), total: Amount::Exactly(total) }
}

fn refund(total: u128) -> Act {
    Act::Refund { by: Who::Seller.into(), total: Amount::Exactly(total) }
}

fn reclaim() -> Act {
    Act::Reclaim { by: Who::Stranger.into() }
}

fn claim() -> Act {
    Act::Claim { by: Who::Stranger.into() }
}

fn lapse() -> Act {
    Act::Lapse { by: Who::Stranger.into() }
}

fn retract() -> Act {
    Act::Retract { by: Who::Seller.into() }
}

fn rule(share: u16) -> Act {
    Act::Rule { by: Who::Arbiter.into(), share }
}

fn settle(seller_total: u128, rulings: u8, status: StatusWord) -> Act {
    Act::Settle {
        by: Who::Stranger.into(),
        seller_total: Amount::Exactly(seller_total),
        rulings,
        valid_until: 1_000_000,
        buyer: offer(status),
        seller: offer(status),
    }
}

//! What an intent would come to now, without a transaction.

use protocol::solana;

use super::{
    case::{self, Refused},
    fees::{self, Offer, UNITS_MAX},
    manager::Manager,
    node::Commitment,
    plan,
    pursue::signed,
};
use crate::{
    error::Error,
    intents::Kept,
    transactions::{manager::Tried, resolve::Effect},
};

impl Manager {
    /// What would become of an intent now.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn estimate(&self, kept: &Kept) -> Result<Tried, Error> {
        let latest = self.snapshot(kept, Commitment::Confirmed, 0).await?;
        match case::effect(&kept.intent, &latest, false) {
            Effect::Present => return Ok(Tried::done()),
            Effect::Unreadable(reason) => return Ok(Tried::refused(reason)),
            Effect::Absent => {}
        }
        let (Ok(snapshot), Some(signer)) = (latest, self.signers.first()) else {
            return Ok(Tried::refused("there is no signer".to_owned()));
        };
        if snapshot.time > kept.intent.deadline {
            return Ok(Tried::refused(format!("its deadline {} has passed", kept.intent.deadline)));
        }
        let plan = match plan::plan(&self.node, signer, &kept.intent, &snapshot).await? {
            Ok(plan) => plan,
            Err((_, reason)) => return Ok(Tried::refused(reason)),
        };
        let simulated = self.node.simulate(&signed(signer, &plan, UNITS_MAX, 0, [0; 32])?.bytes).await?;
        if let Some(error) = simulated.error {
            return Ok(Tried::refused(match case::refused(&error, &kept.intent, snapshot.time) {
                Refused::By(_, reason) => reason,
                Refused::Poor => format!("Poor: signer {} has too little", solana::key_of(signer)),
            }));
        }
        let units = fees::units_limit(simulated.units);
        let offer = Offer {
            usual: fees::usual(self.node.recent_prices(&plan.written()).await?),
            before: None,
            rise_bps: self.rules.rise_bps,
            price_max: self.rules.unit_price_max,
            budget_left: self.rules.fee_budget,
        };
        Ok(match fees::price(&offer, plan.signatures, units) {
            Ok(price) => {
                let fee = fees::fee(plan.signatures, units, price);
                Tried::through(fees::estimate(units, fee, self.rules.fee_budget), fee)
            }
            Err(needed) => Tried::refused(format!("TooDear: the transaction costs {needed} lamports")),
        })
    }
}

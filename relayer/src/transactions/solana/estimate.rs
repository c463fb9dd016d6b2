//! What an intent would come to now, without a transaction.

use protocol::solana;

use super::{
    case,
    fees::{self, Offer},
    manager::Manager,
    node::Commitment,
    pursue::{DryRun, dry_run_at},
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
        let at = (Commitment::Confirmed, 0);
        let (plan, units) = match dry_run_at(&self.node, signer, kept, &snapshot, at).await? {
            DryRun::Through(plan, units) => (plan, fees::units_limit(units)),
            DryRun::Refused(_, reason) => return Ok(Tried::refused(reason)),
            DryRun::Poor => {
                let signer = solana::key_of(signer);
                return Ok(Tried::refused(format!("Poor: signer {signer} has too little")));
            }
        };
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

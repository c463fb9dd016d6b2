//! What an intent would come to now, without a transaction.

use alloy::primitives::{Address, U256};

use super::{
    case,
    fees::{self, Price},
    manager::Manager,
    pursue::{calldata, contract},
};
use crate::{
    error::Error,
    intents::Kept,
    quota,
    transactions::{manager::Tried, resolve::Effect},
};

impl Manager {
    /// What would become of an intent now.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn estimate(&self, kept: &Kept) -> Result<Tried, Error> {
        let (_, latest) = self.chain.ends().await?;
        match self.effect(kept, &latest, false).await? {
            Effect::Present => return Ok(Tried::done()),
            Effect::Unreadable(reason) => return Ok(Tried::refused(reason)),
            Effect::Absent => {}
        }
        if latest.time > kept.intent.deadline {
            return Ok(Tried::refused(format!("its deadline {} has passed", kept.intent.deadline)));
        }
        let from = self.signers.first().map_or(Address::ZERO, |signer| signer.address());
        let needed = match self.dry_run(kept, from, contract(kept)?, calldata(kept)?).await? {
            Ok(needed) => needed,
            Err(data) => return Ok(Tried::refused(case::cure(&kept.intent, &data).1)),
        };
        let gas = fees::gas_limit(needed, case::payee_gas(&kept.intent));
        let market = self.chain.market().await?;
        let ceiling = fees::ceiling(self.rules.max_fee_per_gas, self.rules.gas_budget, gas);
        Ok(match fees::first_price(market, ceiling) {
            Price::Fees(fees) => {
                let most = U256::from(fees.max_fee).saturating_mul(U256::from(gas));
                Tried::through(fees::estimate(gas, market, ceiling), quota::billionths(most))
            }
            Price::TooDear { needed, allowed } => Tried::refused(format!(
                "TooDear: the chain asks {needed} wei a unit of gas, the limits allow {allowed}"
            )),
        })
    }
}

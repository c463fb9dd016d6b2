//! What came of a step in words of no chain: accounts by who they are, times after the start, amounts by the cap; block
//! numbers, hashes and ids left out.

use alloy::primitives::B256;
use protocol::{
    arbitration::case::{Jury, Stage},
    chain::Address,
    deal::DealState,
    wire::feed::EventBody,
};
use serde_json::{Map, Value, json};

use crate::{
    chain::Chain,
    play::Play,
    words::{Amount, StateWords, Who},
};

/// Who is who, and from when times count.
pub struct Names<'p, 'a, C> {
    pub play: &'p Play<'a, C>,
}

impl<C: Chain> Names<'_, '_, C> {
    fn of(&self, address: Address) -> String {
        const SOME: [Who; 8] = [
            Who::Buyer,
            Who::Seller,
            Who::DeafBuyer,
            Who::DeafSeller,
            Who::Arbiter,
            Who::Stranger,
            Who::Court,
            Who::Pools,
        ];
        let limits = self.play.chain.limits();
        let known = SOME.into_iter().filter(|who| limits.asks || *who != Who::Court);
        known
            .into_iter()
            .find(|who| self.play.chain.address(*who) == address)
            .map_or_else(|| address.to_string(), |who| who.to_string())
    }

    fn seconds(&self, time: u64) -> i64 {
        if time == 0 { 0 } else { time.cast_signed() - self.play.start.cast_signed() }
    }

    fn amount(&self, amount: u128) -> String {
        Amount::of(amount, self.play.chain.limits().cap).to_string()
    }
}

/// A deal's state.
pub fn state(state: &DealState, start: u64, cap: u128) -> StateWords {
    let after = |time: u64| (time != 0).then(|| time - start);
    StateWords {
        status: state.status.into(),
        count: state.count,
        since: after(state.since),
        funded_at: after(state.funded_at),
        released: Amount::of(state.released, cap),
        refunded: Amount::of(state.refunded, cap),
    }
}

/// An event: its name and the fields that say the same on every chain.
pub fn event<C: Chain>(event: &EventBody, names: &Names<'_, '_, C>) -> Value {
    let Value::Object(fields) = serde_json::to_value(event).unwrap() else { panic!("an event is an object") };
    let told: Map<String, Value> = fields
        .into_iter()
        .filter_map(|(field, value)| {
            let text = || value.as_str().unwrap();
            let number = || text().parse::<u128>().unwrap();
            let value = match field.as_str() {
                "deal" | "escrow" | "terms" | "seed" | "target_block" | "asset" => return None,
                "by" | "creditor" => json!(names.of(text().parse().unwrap())),
                "released" | "refunded" | "amount" => json!(names.amount(number())),
                "ends_at" | "executable_at" => json!(names.seconds(number().try_into().unwrap())),
                "delivery" | "evidence" | "reason" => {
                    json!(text().parse::<B256>().unwrap().as_slice()[31])
                }
                "pool" => {
                    let id: B256 = text().parse().unwrap();
                    json!(names.play.pools.iter().position(|pool| *pool == id))
                }
                "seats" => json!(value.as_array().unwrap().len()),
                "uri" => json!(text().len()),
                _ => value,
            };
            Some((field, value))
        })
        .collect();
    Value::Object(told)
}

/// A jury as it stands; what is not known yet is left out.
pub fn jury<C: Chain>(jury: &Jury, names: &Names<'_, '_, C>) -> Value {
    let stage = match jury.stage {
        Stage::Opened => "opened",
        Stage::Drawn => "drawn",
        Stage::Accepted => "accepted",
        Stage::Executed => "executed",
    };
    let mut told = json!({ "stage": stage, "instance": jury.instance, "jury": jury.jury });
    if let Some(panel) = jury.panel {
        told["seats"] = json!(panel.seats);
        told["list"] = json!(panel.list);
        told["members"] = json!(panel.members);
        told["ends_at"] = json!(names.seconds(panel.ends_at));
        told["appealable"] = json!(panel.appealable);
    }
    if !jury.ballots.0.is_zero() {
        told["ballots"] = json!(B256::from(jury.ballots.0));
    }
    if let Some((share, time)) = jury.ruling {
        told["ruling"] = json!({ "share": share, "at": names.seconds(time) });
    }
    told
}

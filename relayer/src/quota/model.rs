//! The rules, pure.

use std::fmt;

use alloy::primitives::U256;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Of a coin of either kind of chain: a gwei, a lamport.
pub const BILLION: u64 = 1_000_000_000;
/// The highest limit: what a database's integer holds.
const LIMIT_MAX: u64 = i64::MAX.unsigned_abs();
/// The highest number of transactions in a window, which bounds what is kept.
const COUNT_MAX: u64 = 1_000_000;

/// The section `relayer.quotas` of the configuration. Windows slide; costs are in billionths of the chain's coin (gwei,
/// lamports), so that a whole coin is 1,000,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// How many intents of an account may be under way at one time, from the first signature to finality.
    pub account_open: u64,
    /// How many transactions of an account in an hour.
    pub account_hour: u64,
    /// How many in a day.
    pub account_day: u64,
    /// What those of an account may cost in an hour.
    pub account_hour_cost: u64,
    /// What they may cost in a day.
    pub account_day_cost: u64,
    /// How many transactions of all accounts in an hour.
    pub total_hour: u64,
    /// How many in a day.
    pub total_day: u64,
    /// What those of all accounts may cost in an hour.
    pub total_hour_cost: u64,
    /// What they may cost in a day.
    pub total_day_cost: u64,
    /// How many transactions of all accounts may be on their way into a block at one time, so that steps of cases always
    /// find room behind them.
    pub in_flight: u64,
    /// What a signer keeps for the steps of cases.
    pub reserve: u64,
    /// What steps of cases may cost in a day before that is said. It stops none.
    pub steps_day_cost: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            account_open: 20,
            account_hour: 10,
            account_day: 40,
            account_hour_cost: BILLION / 50,
            account_day_cost: BILLION / 20,
            total_hour: 500,
            total_day: 5_000,
            total_hour_cost: BILLION / 2,
            total_day_cost: BILLION.saturating_mul(2),
            in_flight: 8,
            reserve: BILLION / 50,
            steps_day_cost: BILLION.saturating_mul(2),
        }
    }
}

/// Transactions of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// How many.
    pub count: u64,
    /// What they may cost, in billionths.
    pub cost: u64,
}

/// What was used before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Intents of the account that are under way.
    pub account_open: u64,
    /// By the account, in the last hour.
    pub account_hour: Use,
    /// By the account, in the last day.
    pub account_day: Use,
    /// By all, in the last hour.
    pub total_hour: Use,
    /// By all, in the last day.
    pub total_day: Use,
    /// Of all, on their way into a block.
    pub in_flight: u64,
}

/// A quota that something would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// The quota by its key in the configuration.
    pub rule: &'static str,
    /// What it allows.
    pub limit: u64,
    /// What is used already.
    pub used: u64,
    /// What is wanted more.
    pub wanted: u64,
}

impl Over {
    /// Whether it is in the way of everybody: one of all accounts together that has no room for anything.
    pub fn concerns_all(&self) -> bool {
        self.wanted <= 1 && (self.rule == "in_flight" || self.rule.starts_with("total_"))
    }
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing that changes from look to look: these words are kept, and told to the hub whenever they change.
        let Self { rule, limit, .. } = self;
        write!(f, "over quota {rule}: {limit} allowed")
    }
}

impl Quotas {
    /// Refuses values outside their ranges.
    ///
    /// # Errors
    /// The first key at fault.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |key, value: u64, most: u64| {
            if value <= most {
                return Ok(());
            }
            Err(Error::Config { key, reason: format!("{value} is above {most}") })
        };
        refuse("quotas.account_open", self.account_open, COUNT_MAX)?;
        refuse("quotas.account_hour", self.account_hour, COUNT_MAX)?;
        refuse("quotas.account_day", self.account_day, COUNT_MAX)?;
        refuse("quotas.account_hour_cost", self.account_hour_cost, LIMIT_MAX)?;
        refuse("quotas.account_day_cost", self.account_day_cost, LIMIT_MAX)?;
        refuse("quotas.total_hour", self.total_hour, COUNT_MAX)?;
        refuse("quotas.total_day", self.total_day, COUNT_MAX)?;
        refuse("quotas.total_hour_cost", self.total_hour_cost, LIMIT_MAX)?;
        refuse("quotas.total_day_cost", self.total_day_cost, LIMIT_MAX)?;
        refuse("quotas.in_flight", self.in_flight, COUNT_MAX)?;
        refuse("quotas.reserve", self.reserve, LIMIT_MAX)?;
        refuse("quotas.steps_day_cost", self.steps_day_cost, LIMIT_MAX)
    }

    /// Whether one more transaction that may cost so much is within all of them.
    ///
    /// # Errors
    /// The first that it would exceed: the account's before everybody's, the hour's before the day's, number before cost.
    pub fn allow(&self, used: &Used, cost: u64) -> Result<(), Over> {
        let within = |rule, used: u64, wanted: u64, limit| {
            // What cannot be added is above every limit.
            if used.checked_add(wanted).is_some_and(|sum| sum <= limit) {
                return Ok(());
            }
            Err(Over { rule, limit, used, wanted })
        };
        let Used { account_open, account_hour, account_day, total_hour, total_day, in_flight } = used;
        within("account_open", *account_open, 1, self.account_open)?;
        within("account_hour", account_hour.count, 1, self.account_hour)?;
        within("account_hour_cost", account_hour.cost, cost, self.account_hour_cost)?;
        within("account_day", account_day.count, 1, self.account_day)?;
        within("account_day_cost", account_day.cost, cost, self.account_day_cost)?;
        within("total_hour", total_hour.count, 1, self.total_hour)?;
        within("total_hour_cost", total_hour.cost, cost, self.total_hour_cost)?;
        within("total_day", total_day.count, 1, self.total_day)?;
        within("total_day_cost", total_day.cost, cost, self.total_day_cost)?;
        within("in_flight", *in_flight, 1, self.in_flight)
    }
}

/// Wei as billionths of a coin, rounded up.
pub fn billionths(wei: U256) -> u64 {
    wei.div_ceil(U256::from(BILLION)).saturating_to()
}

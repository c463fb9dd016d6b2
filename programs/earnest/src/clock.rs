//! Seconds, and the windows of a deal.

use anchor_lang::prelude::*;

/// Unix seconds of the cluster's clock; never negative.
pub fn now() -> Result<u64> {
    Ok(u64::try_from(Clock::get()?.unix_timestamp).unwrap_or_default())
}

/// The present slot.
pub fn slot() -> Result<u64> {
    Ok(Clock::get()?.slot)
}

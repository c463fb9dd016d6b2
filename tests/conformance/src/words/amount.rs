//! Amounts in words that hold whatever the cap of a chain is.

use std::{fmt, str::FromStr};

/// An amount: a number, or what it is of the chain's cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    Exactly(u128),
    /// The cap but for so much: `cap`, `cap-1`.
    CapLess(u128),
    /// The cap's share in basis points, rounded down: `cap*3333`.
    OfCap(u16),
    /// The cap but for that: `cap-cap*3333`.
    RestOfCap(u16),
}

impl Amount {
    pub fn on(self, cap: u128) -> u128 {
        let share = |bps: u16| cap / 10_000 * u128::from(bps) + cap % 10_000 * u128::from(bps) / 10_000;
        match self {
            Self::Exactly(amount) => amount,
            Self::CapLess(less) => cap - less,
            Self::OfCap(bps) => share(bps),
            Self::RestOfCap(bps) => cap - share(bps),
        }
    }

    /// The words for an amount on a chain with this cap: the number itself where it is small beside the cap.
    pub fn of(amount: u128, cap: u128) -> Self {
        if amount < 1 << 48 {
            return Self::Exactly(amount);
        }
        if cap >= amount && cap - amount < 1 << 48 {
            return Self::CapLess(cap - amount);
        }
        // Shares are rounded down, so the one that it is, if it is one, is this or the next.
        let near = |amount: u128| {
            let bps = u16::try_from(amount / (cap / 10_000).max(1)).unwrap_or(u16::MAX);
            [bps.saturating_sub(1), bps, bps.saturating_add(1)].into_iter().filter(|bps| *bps < 10_000)
        };
        let shares =
            near(amount).map(Self::OfCap).chain(near(cap.saturating_sub(amount)).map(Self::RestOfCap));
        let found = shares.into_iter().find(|one| one.on(cap) == amount);
        found.unwrap_or(Self::Exactly(amount))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(amount) => write!(f, "{amount}"),
            Self::CapLess(0) => f.write_str("cap"),
            Self::CapLess(less) => write!(f, "cap-{less}"),
            Self::OfCap(bps) => write!(f, "cap*{bps}"),
            Self::RestOfCap(bps) => write!(f, "cap-cap*{bps}"),
        }
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = if text == "cap" {
            Some(Self::CapLess(0))
        } else if let Some(bps) = text.strip_prefix("cap-cap*") {
            bps.parse().ok().map(Self::RestOfCap)
        } else if let Some(bps) = text.strip_prefix("cap*") {
            bps.parse().ok().map(Self::OfCap)
        } else if let Some(less) = text.strip_prefix("cap-") {
            less.parse().ok().map(Self::CapLess)
        } else {
            text.parse().ok().map(Self::Exactly)
        };
        read.ok_or_else(|| format!("`{text}` is no amount"))
    }
}

//! Moments as records write them.

use std::{fmt, str::FromStr};

/// Not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a time such as 2026-11-21T10:00:00Z (RFC 3339, UTC, years 1970 to 9998)")]
pub struct StampError {
    /// The text as given, cut to 100 characters.
    pub value: String,
}

/// A moment as records write it: RFC 3339 in UTC with a capital T and Z, at most milliseconds, one form for each moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(i64);

impl Stamp {
    const MAX_MS: i64 = 253_370_764_800_000;

    /// From Unix milliseconds, clamped to the years 1970 to 9998.
    pub fn from_ms(ms: i64) -> Self {
        Self(ms.clamp(0, Self::MAX_MS))
    }

    /// Unix milliseconds.
    pub const fn ms(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => fmt::Display::fmt(&timestamp, f),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl FromStr for Stamp {
    type Err = StampError;

    fn from_str(text: &str) -> Result<Self, StampError> {
        let refuse = || StampError { value: text.chars().take(100).collect() };
        let ms = text.parse::<jiff::Timestamp>().map_err(|_| refuse())?.as_millisecond();
        let stamp = Self::from_ms(ms);
        if stamp.to_string() == text { Ok(stamp) } else { Err(refuse()) }
    }
}

/// JSON as the text of `Display` and `FromStr`.
macro_rules! text {
    ($($name:ty),*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
pub(crate) use text;
text!(Stamp);

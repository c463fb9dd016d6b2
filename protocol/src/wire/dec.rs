//! Integers as decimal strings: `#[serde(with = "dec")]`.

use std::{fmt::Display, str::FromStr};

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Writes the integer as a decimal string.
pub fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Reads a decimal string: digits alone, no sign, no leading zeros, within the type's range.
pub fn deserialize<'de, T: FromStr + Display, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.parse::<T>() {
        Ok(value) if value.to_string() == text => Ok(value),
        _ => Err(D::Error::custom(format_args!("`{text:.60}` is not a decimal integer string in range"))),
    }
}

/// The same where there may be none: `#[serde(with = "dec::optional")]` writes null for it.
pub mod optional {
    use std::{fmt::Display, str::FromStr};

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the integer as a decimal string, or null.
    pub fn serialize<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a decimal string as [`super::deserialize`] does, or null.
    pub fn deserialize<'de, T: FromStr + Display, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        #[derive(Deserialize)]
        #[serde(bound = "T: FromStr + Display")]
        struct Held<T>(#[serde(with = "super")] T);

        Ok(Option::<Held<T>>::deserialize(deserializer)?.map(|held| held.0))
    }
}

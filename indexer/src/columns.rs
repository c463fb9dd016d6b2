//! How values stand in columns.

use std::str::FromStr;

use alloy::primitives::B256;
use protocol::wire::feed::Finality;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row, any::AnyRow};

use crate::Error;

/// Heights, indices and times: what a node says is checked against `i64` where it is read.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::damaged("a value to be stored", &error.to_string()))
}

pub(crate) const fn finality_name(finality: Finality) -> &'static str {
    match finality {
        Finality::Seen => "seen",
        Finality::Safe => "safe",
        Finality::Final => "final",
        Finality::Retracted => "retracted",
    }
}

/// Typed reading of a row's columns.
pub(crate) trait Columns {
    fn text(&self, column: &'static str) -> Result<String, Error>;
    fn number(&self, column: &'static str) -> Result<u64, Error>;
    fn number_or_none(&self, column: &'static str) -> Result<Option<u64>, Error>;
    fn parsed<T: FromStr>(&self, column: &'static str) -> Result<T, Error>;
    fn parsed_or_none<T: FromStr>(&self, column: &'static str) -> Result<Option<T>, Error>;
    fn decoded<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, Error>;
    fn finality(&self, column: &'static str) -> Result<Finality, Error>;
    fn hash(&self, column: &'static str) -> Result<B256, Error> {
        self.parsed(column)
    }
}

impl Columns for AnyRow {
    fn text(&self, column: &'static str) -> Result<String, Error> {
        Ok(self.try_get::<String, _>(column)?)
    }

    fn number(&self, column: &'static str) -> Result<u64, Error> {
        let value: i64 = self.try_get(column)?;
        u64::try_from(value).map_err(|_| Error::damaged(column, &value.to_string()))
    }

    fn number_or_none(&self, column: &'static str) -> Result<Option<u64>, Error> {
        let value: Option<i64> = self.try_get(column)?;
        value.map(|v| u64::try_from(v).map_err(|_| Error::damaged(column, &v.to_string()))).transpose()
    }

    fn parsed<T: FromStr>(&self, column: &'static str) -> Result<T, Error> {
        let text = self.text(column)?;
        text.parse().map_err(|_| Error::damaged(column, &text))
    }

    fn parsed_or_none<T: FromStr>(&self, column: &'static str) -> Result<Option<T>, Error> {
        let text: Option<String> = self.try_get(column)?;
        text.map(|t| t.parse().map_err(|_| Error::damaged(column, &t))).transpose()
    }

    fn decoded<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, Error> {
        let text = self.text(column)?;
        serde_json::from_str(&text).map_err(|_| Error::damaged(column, &text))
    }

    fn finality(&self, column: &'static str) -> Result<Finality, Error> {
        let text = self.text(column)?;
        [Finality::Seen, Finality::Safe, Finality::Final, Finality::Retracted]
            .into_iter()
            .find(|finality| finality_name(*finality) == text)
            .ok_or_else(|| Error::damaged(column, &text))
    }
}

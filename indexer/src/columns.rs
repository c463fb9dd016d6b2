//! How values stand in columns.

use std::str::FromStr;

use alloy::{hex, primitives::B256};
use protocol::{
    chain::{AccountId, Address, TransactionId},
    wire::feed::Finality,
};
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

/// An address as the bytes that it is; the kind of chain is told by their number.
pub(crate) fn address_bytes(address: &Address) -> Vec<u8> {
    match address {
        Address::Evm(address) => address.to_vec(),
        Address::Solana(key) => key.to_vec(),
    }
}

/// A transaction as the bytes that it is; the kind of chain is told by their number.
pub(crate) fn transaction_bytes(transaction: &TransactionId) -> Vec<u8> {
    match transaction {
        TransactionId::Evm(hash) => hash.to_vec(),
        TransactionId::Solana(signature) => signature.to_vec(),
    }
}

/// By what something is found that is named by so many bytes: the first eight, which others may have as well.
pub(crate) fn key_of(bytes: &[u8]) -> i64 {
    bytes.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// By what an account is found, on whichever chain.
pub(crate) fn account_key(account: &AccountId) -> i64 {
    key_of(&address_bytes(&account.address))
}

/// The address that is these bytes.
pub(crate) fn address_of(bytes: &[u8]) -> Option<Address> {
    if let Ok(key) = bytes.try_into() {
        return Some(Address::Solana(key));
    }
    alloy::primitives::Address::try_from(bytes).ok().map(Address::Evm)
}

/// The transaction that is these bytes.
pub(crate) fn transaction_of(bytes: &[u8]) -> Option<TransactionId> {
    if let Ok(signature) = bytes.try_into() {
        return Some(TransactionId::Solana(signature));
    }
    B256::try_from(bytes).ok().map(TransactionId::Evm)
}

/// The topics that are these bytes.
pub(crate) fn topics_of(bytes: &[u8]) -> Option<Vec<B256>> {
    let (topics, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| topics.iter().map(B256::from).collect())
}

/// Topics one behind the other.
pub(crate) fn topics_bytes(topics: &[B256]) -> Vec<u8> {
    topics.iter().flatten().copied().collect()
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
    fn bytes(&self, column: &'static str) -> Result<&[u8], Error>;
    fn key(&self, column: &'static str) -> Result<i64, Error>;
    fn hash(&self, column: &'static str) -> Result<B256, Error> {
        self.parsed(column)
    }
    fn word(&self, column: &'static str) -> Result<B256, Error> {
        let bytes = self.bytes(column)?;
        B256::try_from(bytes).map_err(|_| damaged_bytes(column, bytes))
    }
    fn address(&self, column: &'static str) -> Result<Address, Error> {
        let bytes = self.bytes(column)?;
        address_of(bytes).ok_or_else(|| damaged_bytes(column, bytes))
    }
    fn transaction(&self, column: &'static str) -> Result<TransactionId, Error> {
        let bytes = self.bytes(column)?;
        transaction_of(bytes).ok_or_else(|| damaged_bytes(column, bytes))
    }
    fn topics(&self, column: &'static str) -> Result<Vec<B256>, Error> {
        let bytes = self.bytes(column)?;
        topics_of(bytes).ok_or_else(|| damaged_bytes(column, bytes))
    }
}

pub(crate) fn damaged_bytes(column: &'static str, bytes: &[u8]) -> Error {
    Error::damaged(column, &hex::encode_prefixed(bytes))
}

impl Columns for AnyRow {
    fn text(&self, column: &'static str) -> Result<String, Error> {
        Ok(self.try_get::<String, _>(column)?)
    }

    fn bytes(&self, column: &'static str) -> Result<&[u8], Error> {
        Ok(self.try_get::<&[u8], _>(column)?)
    }

    fn key(&self, column: &'static str) -> Result<i64, Error> {
        Ok(self.try_get(column)?)
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

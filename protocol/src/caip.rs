//! Chain-agnostic identifiers: CAIP-2 chains, CAIP-10 accounts, CAIP-19 assets.

use std::{fmt, str::FromStr};

use alloy::primitives::Address;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not a CAIP identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a {standard} identifier: {rule}")]
pub struct CaipError {
    /// The text as given, cut to 100 characters.
    pub value: String,
    /// `CAIP-2`, `CAIP-10` or `CAIP-19`.
    pub standard: &'static str,
    /// The rule it breaks.
    pub rule: &'static str,
}

fn refuse<T>(value: &str, standard: &'static str, rule: &'static str) -> Result<T, CaipError> {
    Err(CaipError { value: value.chars().take(100).collect(), standard, rule })
}

/// A chain by CAIP-2: `eip155:<decimal chain id>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChainId {
    /// An EVM chain by its EIP-155 chain id, at least 1.
    Eip155(u64),
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eip155(id) => write!(f, "eip155:{id}"),
        }
    }
}

impl FromStr for ChainId {
    type Err = CaipError;

    fn from_str(s: &str) -> Result<Self, CaipError> {
        let Some(reference) = s.strip_prefix("eip155:") else {
            return refuse(s, "CAIP-2", "the namespace must be eip155");
        };
        match reference.parse::<u64>() {
            Ok(id) if id > 0 && reference == id.to_string() => Ok(Self::Eip155(id)),
            _ => refuse(s, "CAIP-2", "the reference must be a decimal chain id without leading zeros"),
        }
    }
}

/// An account or contract on a chain by CAIP-10: `eip155:1:0xAb…` (EIP-55 checksum when written; any case when read).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId {
    /// The chain it lives on.
    pub chain: ChainId,
    /// Its address there.
    pub address: Address,
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.chain, self.address.to_checksum(None))
    }
}

fn address(whole: &str, text: &str, standard: &'static str) -> Result<Address, CaipError> {
    let well_formed =
        text.len() == 42 && text.starts_with("0x") && text.chars().skip(2).all(|c| c.is_ascii_hexdigit());
    match Address::from_str(text) {
        Ok(address) if well_formed => {
            let one_case = !text.chars().skip(2).any(|c| c.is_ascii_uppercase())
                || !text.chars().skip(2).any(|c| c.is_ascii_lowercase());
            if one_case || address.to_checksum(None) == text {
                Ok(address)
            } else {
                refuse(whole, standard, "the address fails its EIP-55 checksum")
            }
        }
        _ => refuse(whole, standard, "the address must be 0x and 40 hexadecimal digits"),
    }
}

impl FromStr for AccountId {
    type Err = CaipError;

    fn from_str(s: &str) -> Result<Self, CaipError> {
        let Some((chain, account)) = s.rsplit_once(':') else {
            return refuse(s, "CAIP-10", "it must read chain:address");
        };
        Ok(Self { chain: chain.parse()?, address: address(s, account, "CAIP-10")? })
    }
}

/// An asset by CAIP-19: `eip155:1/slip44:60` for the native coin, `eip155:1/erc20:0x…` for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AssetId {
    /// The chain it lives on.
    pub chain: ChainId,
    /// The ERC-20 contract, or none for the native coin.
    pub token: Option<Address>,
}

impl AssetId {
    /// The chain's own coin. SLIP-44 60 stands for the native coin of every EVM chain here.
    pub const fn native(chain: ChainId) -> Self {
        Self { chain, token: None }
    }
}

impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.token {
            None => write!(f, "{}/slip44:60", self.chain),
            Some(token) => write!(f, "{}/erc20:{}", self.chain, token.to_checksum(None)),
        }
    }
}

impl FromStr for AssetId {
    type Err = CaipError;

    fn from_str(s: &str) -> Result<Self, CaipError> {
        let Some((chain, asset)) = s.split_once('/') else {
            return refuse(s, "CAIP-19", "it must read chain/namespace:reference");
        };
        let chain = chain.parse()?;
        match asset.split_once(':') {
            Some(("slip44", "60")) => Ok(Self { chain, token: None }),
            Some(("erc20", token)) => Ok(Self { chain, token: Some(address(s, token, "CAIP-19")?) }),
            _ => refuse(s, "CAIP-19", "the asset must be slip44:60 or erc20:<address>"),
        }
    }
}

macro_rules! text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
text!(ChainId, AccountId, AssetId);

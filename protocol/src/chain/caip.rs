//! Chain-agnostic identifiers: CAIP-2 chains, CAIP-10 accounts, CAIP-19 assets.

use std::{fmt, str::FromStr};

use alloy::primitives;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::address::{Address, TransactionId};

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

/// A chain by CAIP-2: `eip155:<decimal chain id>` or `solana:<first 32 characters of its genesis hash>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChainId {
    /// An EVM chain by its EIP-155 chain id, at least 1.
    Eip155(u64),
    /// A Solana cluster.
    Solana(Cluster),
}

/// A Solana cluster by the first 32 characters of its genesis hash in base58.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cluster([u8; 32]);

impl Cluster {
    /// The cluster whose first block has this hash.
    pub fn of_genesis(hash: [u8; 32]) -> Self {
        let mut reference = [b'1'; 32];
        // A hash of 32 bytes has 32 characters or more.
        for (to, from) in reference.iter_mut().zip(bs58::encode(hash).into_vec()) {
            *to = from;
        }
        Self(reference)
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|character| fmt::Write::write_char(f, char::from(*character)))
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ChainId {
    /// The address of this chain whose bytes are all zero: nobody, and in terms the chain's own coin.
    pub const fn zero(self) -> Address {
        match self {
            Self::Eip155(_) => Address::Evm(primitives::Address::ZERO),
            Self::Solana(_) => Address::Solana([0; 32]),
        }
    }

    /// Whether an address is of the kind that this chain has.
    pub const fn has(self, address: Address) -> bool {
        matches!((self, address), (Self::Eip155(_), Address::Evm(_)) | (Self::Solana(_), Address::Solana(_)))
    }

    fn read(self, whole: &str, text: &str, standard: &'static str) -> Result<Address, CaipError> {
        let read = match self {
            Self::Eip155(_) => Address::read_evm(text),
            Self::Solana(_) => Address::read_solana(text),
        };
        read.or_else(|rule| refuse(whole, standard, rule))
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eip155(id) => write!(f, "eip155:{id}"),
            Self::Solana(cluster) => write!(f, "solana:{cluster}"),
        }
    }
}

impl FromStr for ChainId {
    type Err = CaipError;

    fn from_str(s: &str) -> Result<Self, CaipError> {
        match s.split_once(':') {
            Some(("eip155", reference)) => match reference.parse::<u64>() {
                Ok(id) if id > 0 && reference == id.to_string() => Ok(Self::Eip155(id)),
                _ => refuse(s, "CAIP-2", "the reference must be a decimal chain id without leading zeros"),
            },
            Some(("solana", reference)) => match <[u8; 32]>::try_from(reference.as_bytes()) {
                Ok(characters) if bs58::decode(characters).into_vec().is_ok() => {
                    Ok(Self::Solana(Cluster(characters)))
                }
                _ => refuse(
                    s,
                    "CAIP-2",
                    "the reference must be the first 32 base58 characters of a genesis hash",
                ),
            },
            _ => refuse(s, "CAIP-2", "the namespace must be eip155 or solana"),
        }
    }
}

/// An account or contract on a chain by CAIP-10: `eip155:1:0xAb…` (EIP-55 checksum when written; one case, or the right
/// checksum, when read) or `solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:<base58>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId {
    /// The chain it lives on.
    pub chain: ChainId,
    /// Its address there, of the chain's kind.
    pub address: Address,
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.chain, self.address)
    }
}

impl FromStr for AccountId {
    type Err = CaipError;

    fn from_str(s: &str) -> Result<Self, CaipError> {
        let Some((chain, account)) = s.rsplit_once(':') else {
            return refuse(s, "CAIP-10", "it must read chain:address");
        };
        let chain: ChainId = chain.parse()?;
        Ok(Self { chain, address: chain.read(s, account, "CAIP-10")? })
    }
}

/// An asset by CAIP-19. The native coin is `eip155:1/slip44:60` or `solana:…/slip44:501`, a token `eip155:1/erc20:0x…` or
/// `solana:…/token:<mint>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AssetId {
    /// The chain it lives on.
    pub chain: ChainId,
    /// The ERC-20 contract or the mint, of the chain's kind; none for the native coin.
    pub token: Option<Address>,
}

impl AssetId {
    /// The chain's own coin. SLIP-44 60 stands for the native coin of every EVM chain here.
    pub const fn native(chain: ChainId) -> Self {
        Self { chain, token: None }
    }

    /// As a contract names it: the token, or zero for the native coin.
    pub fn address(&self) -> Address {
        self.token.unwrap_or_else(|| self.chain.zero())
    }
}

/// By what CAIP-19 names the chain's coin and its tokens.
const fn namespaces(chain: ChainId) -> (&'static str, &'static str) {
    match chain {
        ChainId::Eip155(_) => ("slip44:60", "erc20"),
        ChainId::Solana(_) => ("slip44:501", "token"),
    }
}

impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (coin, tokens) = namespaces(self.chain);
        match &self.token {
            None => write!(f, "{}/{coin}", self.chain),
            Some(token) => write!(f, "{}/{tokens}:{token}", self.chain),
        }
    }
}

impl FromStr for AssetId {
    type Err = CaipError;

    fn from_str(s: &str) -> Result<Self, CaipError> {
        let Some((chain, asset)) = s.split_once('/') else {
            return refuse(s, "CAIP-19", "it must read chain/namespace:reference");
        };
        let chain: ChainId = chain.parse()?;
        let (coin, tokens) = namespaces(chain);
        match asset.split_once(':') {
            _ if asset == coin => Ok(Self::native(chain)),
            Some((namespace, token)) if namespace == tokens => {
                Ok(Self { chain, token: Some(chain.read(s, token, "CAIP-19")?) })
            }
            _ => refuse(
                s,
                "CAIP-19",
                match chain {
                    ChainId::Eip155(_) => "the asset must be slip44:60 or erc20:<address>",
                    ChainId::Solana(_) => "the asset must be slip44:501 or token:<mint>",
                },
            ),
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
text!(ChainId, AccountId, AssetId, TransactionId);

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Evm(address) => address.serialize(serializer),
            Self::Solana(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAINNET: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
    const KEY: &str = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";

    /// The examples of the CAIP namespaces, and what is nearly one.
    #[test]
    fn identifiers_of_solana_read_as_they_are_written() {
        let chain: ChainId = MAINNET.parse().unwrap();
        assert_eq!(chain.to_string(), MAINNET);
        let genesis = bs58::decode("5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d").into_vec().unwrap();
        assert_eq!(ChainId::Solana(Cluster::of_genesis(genesis.try_into().unwrap())), chain);
        for text in [format!("{MAINNET}:{KEY}"), format!("eip155:1:{}", ChainId::Eip155(1).zero())] {
            assert_eq!(text.parse::<AccountId>().unwrap().to_string(), text);
        }
        for text in [
            format!("{MAINNET}/slip44:501"),
            format!("{MAINNET}/token:{KEY}"),
            "eip155:1/slip44:60".to_owned(),
            format!("eip155:1/erc20:{}", ChainId::Eip155(1).zero()),
        ] {
            assert_eq!(text.parse::<AssetId>().unwrap().to_string(), text);
            assert_eq!(
                serde_json::to_string(&text.parse::<AssetId>().unwrap()).unwrap(),
                format!("\"{text}\"")
            );
        }
    }

    /// The test cases of CAIP-2 and CAIP-10, those of their eip155 and solana namespaces, and the examples of did:pkh.
    #[test]
    fn identifiers_read_as_published() {
        for text in [
            "eip155:1",
            "eip155:5",
            "eip155:137",
            "eip155:42220",
            MAINNET,
            "solana:4sGjMW1sUnHzSxGspuhpqLDx6wiyjNtZ",
        ] {
            assert_eq!(text.parse::<ChainId>().unwrap().to_string(), text);
        }
        for text in [
            "eip155:1:0xab16a96d359ec26a11e2c2b3d8f8b8942d5bfcdb",
            "eip155:1:0xb9c5714089478a327f09197987f16f9e5d936e8a",
            "eip155:42220:0xa0ae58da58dfa46fa55c3b86545e7065f90ff011",
            "eip155:137:0x4e90e8a8191c1c23a24a598c3ab4fb47ce926ff5",
        ] {
            // Read in lower case, as it is published; written with its checksum.
            let written = text.parse::<AccountId>().unwrap().to_string();
            assert_eq!(written.to_lowercase(), text);
            assert_eq!(written.parse::<AccountId>(), text.parse::<AccountId>());
        }
        let solana = "solana:4sGjMW1sUnHzSxGspuhpqLDx6wiyjNtZ:CKg5d12Jhpej1JqtmxLJgaFqqeYjxgPqToJ4LBdvG9Ev";
        assert_eq!(solana.parse::<AccountId>().unwrap().to_string(), solana);
        // Stricter on purpose: no other namespace has an escrow, so no other is read.
        for text in [
            "bip122:000000000019d6689c085ae165831e93",
            "bip122:12a765e31ffd4059bada1e25190f6e98",
            "bip122:fdbe99b90c90bae7505796461471d89a",
            "cosmos:cosmoshub-2",
            "cosmos:Binance-Chain-Tigris",
            "cosmos:iov-mainnet",
            "starknet:SN_GOERLI",
            "lip9:9ee11e9df416b18b",
            "chainstd:8c3444cf8970a9e41a706fab93e7a6c4",
        ] {
            assert_eq!(text.parse::<ChainId>().unwrap_err().rule, "the namespace must be eip155 or solana");
            let account = format!("{text}:128Lkh3S7CkDTBZ8W7BbpsN3YYizJMp8p6");
            assert!(account.parse::<AccountId>().is_err(), "{account}");
        }
    }

    #[test]
    fn an_address_is_of_its_chains_kind() {
        let account = |text: &str| text.parse::<AccountId>().unwrap_err().rule;
        assert_eq!(account(&format!("eip155:1:{KEY}")), super::super::address::EVM_RULE);
        assert_eq!(
            account(&format!("{MAINNET}:{}", ChainId::Eip155(1).zero())),
            super::super::address::SOLANA_RULE
        );
        let asset = |text: &str| text.parse::<AssetId>().unwrap_err().rule;
        assert_eq!(asset(&format!("eip155:1/token:{KEY}")), "the asset must be slip44:60 or erc20:<address>");
        assert_eq!(asset(&format!("eip155:1/erc20:{KEY}")), super::super::address::EVM_RULE);
        assert_eq!(asset(&format!("{MAINNET}/slip44:60")), "the asset must be slip44:501 or token:<mint>");
        assert_eq!(
            asset(&format!("{MAINNET}/token:{}", ChainId::Eip155(1).zero())),
            super::super::address::SOLANA_RULE
        );
        for (text, rule) in [
            ("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvd", "the reference must be the first 32"),
            ("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpK", "the reference must be the first 32"),
            ("solana:0eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "the reference must be the first 32"),
            ("cosmos:cosmoshub-3", "the namespace must be eip155 or solana"),
            ("eip155:01", "the reference must be a decimal"),
            ("eip155", "the namespace must be"),
        ] {
            assert!(text.parse::<ChainId>().unwrap_err().rule.starts_with(rule), "{text}");
        }
    }
}

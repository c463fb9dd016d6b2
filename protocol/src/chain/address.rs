//! Who or what lives at a chain, and what names a transaction there.

use std::{fmt, str::FromStr};

use alloy::primitives::{self, B256};

/// Why a text names no address or transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not {what}: {rule}")]
pub struct NameError {
    /// The text as given, cut to 100 characters.
    pub value: String,
    /// `an address` or `a transaction`.
    pub what: &'static str,
    /// The rule it breaks.
    pub rule: &'static str,
}

/// An account or contract of either kind of chain. Its text, which is that of JSON too, needs no chain to be read.
///
/// `Display` writes an EVM address with its EIP-55 checksum; JSON holds it in lower case. Either is read, and mixed case
/// only with the right checksum.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// 20 bytes; `0x` and 40 hexadecimal digits.
    Evm(primitives::Address),
    /// A key of 32 bytes; base58.
    Solana([u8; 32]),
}

pub(super) const EVM_RULE: &str = "the address must be 0x and 40 hexadecimal digits";
pub(super) const SOLANA_RULE: &str = "the address must be base58 of 32 bytes";
const CHECKSUM_RULE: &str = "the address fails its EIP-55 checksum";

impl Address {
    /// Whether every byte is zero: nobody, and in terms the chain's own coin.
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Evm(address) => address.is_zero(),
            Self::Solana(key) => *key == [0; 32],
        }
    }

    /// As 32 bytes: an EVM address behind 12 zeros, a Solana key as it is.
    pub fn word(&self) -> B256 {
        match self {
            Self::Evm(address) => address.into_word(),
            Self::Solana(key) => B256::new(*key),
        }
    }

    /// The EVM address; none where it is of another kind.
    pub const fn evm(&self) -> Option<primitives::Address> {
        match self {
            Self::Evm(address) => Some(*address),
            Self::Solana(_) => None,
        }
    }

    /// The Solana key; none where it is of another kind.
    pub const fn solana(&self) -> Option<[u8; 32]> {
        match self {
            Self::Solana(key) => Some(*key),
            Self::Evm(_) => None,
        }
    }

    pub(super) fn read_evm(text: &str) -> Result<Self, &'static str> {
        let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 40).ok_or(EVM_RULE)?;
        let address = primitives::Address::from_str(text).map_err(|_| EVM_RULE)?;
        let one_case = !digits.bytes().any(|digit| digit.is_ascii_uppercase())
            || !digits.bytes().any(|digit| digit.is_ascii_lowercase());
        if one_case || address.to_checksum(None) == text {
            Ok(Self::Evm(address))
        } else {
            Err(CHECKSUM_RULE)
        }
    }

    pub(super) fn read_solana(text: &str) -> Result<Self, &'static str> {
        base58(text).map(Self::Solana).ok_or(SOLANA_RULE)
    }
}

impl From<primitives::Address> for Address {
    fn from(address: primitives::Address) -> Self {
        Self::Evm(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evm(address) => fmt::Display::fmt(address, f),
            Self::Solana(key) => f.write_str(&bs58::encode(key).into_string()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        // No base58 text begins with a zero.
        let read = if text.starts_with("0x") { Self::read_evm(text) } else { Self::read_solana(text) };
        read.map_err(|rule| {
            let rule = if rule == SOLANA_RULE {
                "it must be 0x and 40 hexadecimal digits, or base58 of 32 bytes"
            } else {
                rule
            };
            NameError { value: text.chars().take(100).collect(), what: "an address", rule }
        })
    }
}

/// What names a transaction on its chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TransactionId {
    /// Its hash, 32 bytes; `0x` and 64 lower-case hexadecimal digits.
    Evm(B256),
    /// Its first signature, 64 bytes; base58.
    Solana([u8; 64]),
}

impl TransactionId {
    /// The hash; none where it is of another kind of chain.
    pub const fn evm(&self) -> Option<B256> {
        match self {
            Self::Evm(hash) => Some(*hash),
            Self::Solana(_) => None,
        }
    }

    /// The first signature; none where it is of another kind of chain.
    pub const fn solana(&self) -> Option<[u8; 64]> {
        match self {
            Self::Solana(signature) => Some(*signature),
            Self::Evm(_) => None,
        }
    }
}

impl From<B256> for TransactionId {
    fn from(hash: B256) -> Self {
        Self::Evm(hash)
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evm(hash) => fmt::Display::fmt(hash, f),
            Self::Solana(signature) => f.write_str(&bs58::encode(signature).into_string()),
        }
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TransactionId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let read = match text.strip_prefix("0x") {
            Some(digits) if digits.len() == 64 => B256::from_str(text).ok().map(Self::Evm),
            Some(_) => None,
            None => base58(text).map(Self::Solana),
        };
        read.ok_or_else(|| NameError {
            value: text.chars().take(100).collect(),
            what: "a transaction",
            rule: "it must be 0x and 64 hexadecimal digits, or base58 of 64 bytes",
        })
    }
}

/// Exactly `N` bytes, whose text is never longer than 11 characters for every 8 of them.
fn base58<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() > N.saturating_mul(11).div_ceil(8) {
        return None;
    }
    let mut bytes = [0; N];
    let read = bs58::decode(text).onto(&mut bytes).ok()?;
    (read == N).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The token program's key, as every Solana tool prints it, and its bytes by another decoder.
    const TOKEN: &str = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";

    #[test]
    fn addresses_read_as_they_are_written() {
        let lower = "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf";
        let checked = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";
        for text in [lower, checked] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), checked);
            assert_eq!(serde_json::to_string(&address).unwrap(), format!("\"{lower}\""));
            assert_eq!(serde_json::from_str::<Address>(&format!("\"{text}\"")).unwrap(), address);
            assert!(address.evm().is_some() && address.solana().is_none());
            assert!(address.word()[..12].iter().all(|byte| *byte == 0));
        }
        let key: Address = TOKEN.parse().unwrap();
        assert_eq!(key.to_string(), TOKEN);
        assert_eq!(serde_json::to_string(&key).unwrap(), format!("\"{TOKEN}\""));
        assert_eq!(serde_json::from_str::<Address>(&format!("\"{TOKEN}\"")).unwrap(), key);
        assert_eq!(key.word().0, key.solana().unwrap());
        assert_eq!(key.word()[..4], [0x06, 0xdd, 0xf6, 0xe1]);
        let system: Address = "11111111111111111111111111111111".parse().unwrap();
        let zero = Address::Evm(primitives::Address::ZERO);
        assert!(system.is_zero() && !key.is_zero() && zero.is_zero() && system != zero);
    }

    #[test]
    fn addresses_that_are_none_are_refused_by_their_rule() {
        let long = "1".repeat(10_000);
        for (text, rule) in [
            ("0x7E5F4552091A69125d5DfCb7b8C2659029395BDf", CHECKSUM_RULE),
            ("0x7e5f4552091a69125d5dfcb7b8c2659029395bd", EVM_RULE),
            ("0x7e5f4552091a69125d5dfcb7b8c2659029395bdg", EVM_RULE),
            ("7e5f4552091a69125d5dfcb7b8c2659029395bdf", "it must be 0x"),
            ("", "it must be 0x"),
            ("1111111111111111111111111111111", "it must be 0x"),
            ("111111111111111111111111111111111", "it must be 0x"),
            ("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5D0", "it must be 0x"),
            ("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DAA", "it must be 0x"),
            (&long, "it must be 0x"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.rule.starts_with(rule) && error.value.len() <= 100, "{text}: {error}");
        }
    }

    #[test]
    fn transactions_read_as_they_are_written() {
        let hash = format!("0x{}", "0f".repeat(32));
        let signature = bs58::encode([7; 64]).into_string();
        for text in [hash.as_str(), &signature, &"1".repeat(64), &bs58::encode([255; 64]).into_string()] {
            let id: TransactionId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<TransactionId>(&format!("\"{text}\"")).unwrap(), id);
            assert_eq!(id.evm().is_some(), text.starts_with("0x"));
            assert_eq!(id.solana().is_some(), !text.starts_with("0x"));
        }
        for text in ["", "0x", &hash[..64], &hash[2..], &signature[..60], TOKEN] {
            let error = text.parse::<TransactionId>().unwrap_err();
            assert!(error.rule.contains("base58 of 64 bytes"), "{text}: {error}");
        }
    }
}

//! The section `relayer` of the configuration.

use std::{fmt, path::PathBuf};

use protocol::chain::ChainId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{error::Error, quota::Quotas};

/// A text that logs and messages do not show.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "(hidden)" })
    }
}

/// One signer: a keystore with its password, a private key, or a key of a cloud's key management service.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Key {
    /// As [`Config::keystore`].
    pub keystore: Option<PathBuf>,
    /// The keystore's password.
    pub keystore_password: Secret,
    /// As [`Config::private_key`].
    pub private_key: Secret,
    /// Id, ARN or alias of an `ECC_SECG_P256K1` key of AWS KMS, for EVM chains; region and credentials are taken from where
    /// AWS's own tools take them. Needs a build with the feature `aws-kms`.
    pub kms: Option<String>,
}

/// What the relayer needs to know. Each key can be given as `EARNEST_RELAYER_<KEY>`; the secrets should be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port to serve HTTP at. Whoever calls [`crate::run`] binds it.
    pub listen: String,
    /// `sqlite:PATH` or `postgres://…`.
    pub database: String,
    /// Where the indexer answers.
    pub indexer_url: String,
    /// Where the hub answers.
    pub hub_url: String,
    /// The key that the hub takes from its relayer.
    pub hub_key: Secret,
    /// The chain's JSON-RPC endpoints, 1 to 16. They are asked in turn, the next one when one fails; transactions are sent to
    /// all.
    pub rpc_urls: Vec<String>,
    /// The chain that it must be, by CAIP-2.
    pub chain: ChainId,
    /// On EVM chains: how many blocks below the newest one are not final; 0 for what the chain itself calls `finalized`, which
    /// every chain that has it should use.
    pub finality_depth: u64,
    /// The largest answer of a node that is read, in bytes; 64 KiB to 1 GiB.
    pub answer_bytes_max: usize,
    /// The signer's keystore file (Web3 Secret Storage), opened by `keystore_password`; on Solana a keypair file as its own
    /// tools write it, without a password.
    pub keystore: Option<PathBuf>,
    /// The keystore's password.
    pub keystore_password: Secret,
    /// The signer's private key as hexadecimal (on Solana the 32-byte seed or the 64-byte keypair, also in base58), in place
    /// of a keystore. Give it by environment only.
    pub private_key: Secret,
    /// Further signers, or all of them: `[[relayer.signers]]`. Work is spread over them.
    pub signers: Vec<Key>,
    /// On EVM chains: what the transactions of one intent may cost together at most, in wei; a decimal string or an integer.
    #[serde(with = "wei")]
    pub gas_budget: u128,
    /// On EVM chains: the highest fee for a unit of gas, in wei.
    #[serde(with = "wei")]
    pub max_fee_per_gas: u128,
    /// On EVM chains: the highest part of it, in wei, that is offered to the block's producer because others paid as much of
    /// late; at least 1, for nodes take no transaction that offers nothing. The replacement of a stuck transaction rises above it
    /// as far as nodes ask for that.
    #[serde(with = "wei")]
    pub max_priority_fee_per_gas: u128,
    /// On Solana: what the transactions of one intent may cost together at most, in lamports, without the rent of what they
    /// open, which comes back when the deal is closed.
    pub fee_budget: u64,
    /// On Solana: the highest price for priority, in millionths of a lamport for a compute unit.
    pub unit_price_max: u64,
    /// By how much a stuck transaction's fees rise, in basis points; 1,250 to 10,000 (nodes take no replacement below
    /// 10 %). On Solana by how much the price for priority rises with each further transaction.
    pub fee_bump_bps: u32,
    /// On EVM chains: milliseconds without being mined after which fees rise; at least 100. On Solana a transaction is
    /// followed by another one only when it is dead.
    pub bump_after_ms: u64,
    /// Milliseconds after which the same bytes are sent again; at least 100.
    pub resend_after_ms: u64,
    /// Milliseconds between looks at the chain; 50 to 60,000.
    pub poll_interval_ms: u64,
    /// How much is done in whose name: `[relayer.quotas]`.
    pub quotas: Quotas,
    /// Where to page the operator: an address that takes webhooks, signed as Standard Webhooks says. Empty for none.
    pub page_url: String,
    /// The secret of those webhooks: `whsec_` and 24 to 64 bytes in base64.
    pub page_secret: Secret,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7403".to_owned(),
            database: "sqlite:relayer.sqlite".to_owned(),
            indexer_url: "http://127.0.0.1:7402".to_owned(),
            hub_url: "http://127.0.0.1:7401".to_owned(),
            hub_key: Secret::default(),
            rpc_urls: vec!["http://127.0.0.1:8545".to_owned()],
            chain: ChainId::Eip155(31337),
            finality_depth: 0,
            answer_bytes_max: 16 * 1024 * 1024,
            keystore: None,
            keystore_password: Secret::default(),
            private_key: Secret::default(),
            signers: Vec::new(),
            gas_budget: 100_000_000_000_000_000,
            max_fee_per_gas: 500_000_000_000,
            max_priority_fee_per_gas: 100_000_000_000,
            fee_budget: 5_000_000,
            unit_price_max: 1_000_000,
            fee_bump_bps: 1_250,
            bump_after_ms: 30_000,
            resend_after_ms: 10_000,
            poll_interval_ms: 1_000,
            quotas: Quotas::default(),
            page_url: String::new(),
            page_secret: Secret::default(),
        }
    }
}

impl Config {
    /// Refuses values outside their ranges.
    ///
    /// # Errors
    /// The first key at fault.
    pub fn check(&self) -> Result<(), Error> {
        within("fee_bump_bps", self.fee_bump_bps.into(), 1_250, 10_000)?;
        within("bump_after_ms", self.bump_after_ms, 100, 86_400_000)?;
        within("resend_after_ms", self.resend_after_ms, 100, 86_400_000)?;
        within("poll_interval_ms", self.poll_interval_ms, 50, 60_000)?;
        self.quotas.check()?;
        within("finality_depth", self.finality_depth, 0, 100_000)?;
        if self.max_priority_fee_per_gas == 0 {
            let reason = "is 0 wei, and must be at least 1: nodes take no transaction that offers nothing";
            return refuse("max_priority_fee_per_gas", reason);
        }
        let bytes = u64::try_from(self.answer_bytes_max).unwrap_or(u64::MAX);
        within("answer_bytes_max", bytes, 64 * 1024, 1024 * 1024 * 1024)?;
        if !(1..=RPC_URLS_MAX).contains(&self.rpc_urls.len()) {
            let reason = format!("{} endpoints; there must be 1 to {RPC_URLS_MAX}", self.rpc_urls.len());
            return refuse("rpc_urls", &reason);
        }
        if self.hub_key.expose().is_empty() {
            return refuse(
                "hub_key",
                "is empty; set EARNEST_RELAYER_HUB_KEY to the key that the hub expects",
            );
        }
        if self.hub_key.expose().chars().any(|c| !c.is_ascii_graphic()) {
            return refuse("hub_key", "must be visible ASCII without spaces");
        }
        Ok(())
    }

    /// All signers: the one of the section itself, if it has one, and those of the list.
    ///
    /// # Errors
    /// There is none, or more than [`SIGNERS_MAX`].
    pub fn keys(&self) -> Result<Vec<Key>, Error> {
        let own = Key {
            keystore: self.keystore.clone(),
            keystore_password: self.keystore_password.clone(),
            private_key: self.private_key.clone(),
            kms: None,
        };
        let given = own.keystore.is_some()
            || !own.private_key.expose().is_empty()
            || !own.keystore_password.expose().is_empty();
        let keys: Vec<Key> = given.then_some(own).into_iter().chain(self.signers.iter().cloned()).collect();
        if keys.is_empty() {
            return refuse(
                "private_key",
                "no signer: set EARNEST_RELAYER_PRIVATE_KEY, or keystore and EARNEST_RELAYER_KEYSTORE_PASSWORD, or \
                 [[relayer.signers]]",
            );
        }
        if keys.len() > SIGNERS_MAX {
            return refuse(
                "signers",
                &format!("{} signers; there must be at most {SIGNERS_MAX}", keys.len()),
            );
        }
        Ok(keys)
    }
}

/// The most endpoints of a chain.
const RPC_URLS_MAX: usize = 16;
/// The most signers.
pub const SIGNERS_MAX: usize = 64;

fn refuse<T>(key: &'static str, reason: &str) -> Result<T, Error> {
    Err(Error::Config { key, reason: reason.to_owned() })
}

fn within(key: &'static str, value: u64, least: u64, most: u64) -> Result<(), Error> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::Config { key, reason: format!("{value} is not between {least} and {most}") })
}

/// An amount of wei: written as a decimal string, read as a string or an integer.
mod wei {
    use super::{Deserializer, Serializer, Visitor};

    pub(super) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = u128;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount of wei")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<u128, E> {
        Ok(value.into())
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<u128, E> {
        Ok(value)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<u128, E> {
        u128::try_from(value).map_err(|_| E::custom("wei cannot be negative"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<u128, E> {
        value.parse().map_err(|_| E::custom(format_args!("`{value:.50}` is not an amount of wei")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_lack_only_the_secrets() {
        let refused = Config::default().check().unwrap_err().to_string();
        assert!(refused.contains("relayer.hub_key"), "{refused}");
        let config = Config { hub_key: "k".to_owned().into(), ..Config::default() };
        config.check().unwrap();
        let refused = config.keys().unwrap_err().to_string();
        assert!(refused.contains("EARNEST_RELAYER_PRIVATE_KEY"), "{refused}");
    }

    #[test]
    fn signers_are_those_of_the_section_and_of_the_list() {
        let listed = Key { private_key: "b".to_owned().into(), ..Key::default() };
        let mut config = Config { signers: vec![listed], ..Config::default() };
        assert_eq!(config.keys().unwrap().len(), 1);
        config.private_key = "a".to_owned().into();
        let keys = config.keys().unwrap();
        assert_eq!(keys.iter().map(|key| key.private_key.expose()).collect::<Vec<_>>(), ["a", "b"]);
        config.signers = vec![Key::default(); SIGNERS_MAX];
        assert!(config.keys().unwrap_err().to_string().contains("65 signers"));
    }

    #[test]
    fn ranges_are_kept() {
        let config = Config { hub_key: "k".to_owned().into(), fee_bump_bps: 1_249, ..Config::default() };
        let refused = config.check().unwrap_err().to_string();
        assert_eq!(refused, "configuration relayer.fee_bump_bps: 1249 is not between 1250 and 10000");
        let config =
            Config { hub_key: "k".to_owned().into(), max_priority_fee_per_gas: 0, ..Config::default() };
        let refused = config.check().unwrap_err().to_string();
        assert!(refused.contains("relayer.max_priority_fee_per_gas: is 0 wei"), "{refused}");
        let config = Config { hub_key: "k".to_owned().into(), rpc_urls: Vec::new(), ..Config::default() };
        assert!(config.check().unwrap_err().to_string().contains("relayer.rpc_urls"));
    }

    #[test]
    fn wei_reads_from_text_and_number_and_secrets_do_not_show() {
        let config: Config =
            serde_json::from_str(r#"{"gas_budget": 7, "max_fee_per_gas": "340282366920938463463"}"#).unwrap();
        assert_eq!((config.gas_budget, config.max_fee_per_gas), (7, 340_282_366_920_938_463_463));
        let config: Config = serde_json::from_str(r#"{"max_priority_fee_per_gas": "3000000000"}"#).unwrap();
        assert_eq!(config.max_priority_fee_per_gas, 3_000_000_000);
        assert!(serde_json::from_str::<Config>(r#"{"gas_budget": -7}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"gas_budgets": 7}"#).is_err());
        let config = Config { private_key: "abcd".to_owned().into(), ..Config::default() };
        assert!(!format!("{config:?}").contains("abcd"));
    }
}

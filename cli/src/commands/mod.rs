//! The client verbs: what a person does with a hub and a chain, one file for each noun.

pub mod account;
pub mod community;
pub mod config;
pub mod credential;
pub mod deal;
pub mod deploy;
pub mod device;
pub mod dispute;
pub mod events;
pub mod grievance;
pub mod identity;
pub mod ledger;
pub mod listing;
pub mod log;
pub mod pool;
pub mod profile;
pub mod proposal;
pub mod purchase;
pub mod rebuild;
pub mod record;
pub mod relayer;
pub mod reputation;
pub mod token;
pub mod verify;
pub mod verify_deal;
pub mod verify_loss;

use std::{fmt, path::PathBuf, time::Duration};

use alloy::primitives::B256;
use anyhow::{Result, anyhow, bail};
use clap::Args;
use hub::records::{Receipt, RecordId};
use protocol::chain::{AccountId, CaipError, ChainId};
use serde::de::{self, DeserializeOwned, IntoDeserializer};

use crate::{
    client::{
        chain::{Chain, Purse},
        http::Http,
        hub::{Hub, Member},
        profile::Profile,
    },
    output::Output,
    place::{Market, Place, Side},
};

/// A service that does not answer a verb is asked again for so long.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who speaks, with which market.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Who and where")]
pub struct Connection {
    /// Folder with everything that a local market keeps
    #[arg(long, global = true, env = "EARNEST_DATA", default_value = "data", value_name = "DIR")]
    pub data: PathBuf,
    /// Who you are: a name under DIR/profiles, or a path to a profile folder
    #[arg(long = "as", global = true, env = "EARNEST_AS", value_name = "NAME")]
    pub who: Option<String>,
    /// The hub [default: the one that `earnest up` runs over DIR]
    #[arg(long, global = true, env = "EARNEST_HUB", value_name = "URL")]
    pub hub: Option<String>,
    /// The chain's JSON-RPC [default: as for --hub]
    #[arg(long, global = true, env = "EARNEST_RPC", value_name = "URL")]
    pub rpc: Option<String>,
    /// Without --rpc, for what names no chain: `solana`, `evm` or a CAIP-2 id [default: the market's first chain]
    #[arg(long, global = true, env = "EARNEST_CHAIN", value_name = "CHAIN", value_parser = on)]
    pub on: Option<On>,
    /// Print JSON for scripts instead of tables
    #[arg(long, global = true)]
    pub json: bool,
}

/// Which of a market's chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Its EVM chain.
    Evm,
    /// Its Solana chain.
    Solana,
    /// This one.
    Chain(ChainId),
}

impl On {
    fn is(self, chain: ChainId) -> bool {
        match self {
            Self::Evm => matches!(chain, ChainId::Eip155(_)),
            Self::Solana => matches!(chain, ChainId::Solana(_)),
            Self::Chain(one) => one == chain,
        }
    }
}

fn on(text: &str) -> Result<On, String> {
    match text {
        "evm" => Ok(On::Evm),
        "solana" => Ok(On::Solana),
        _ => text.parse().map(On::Chain).map_err(|error: CaipError| error.to_string()),
    }
}

/// A word of one of the hub's lists, as its JSON writes it.
pub fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    T::deserialize(text.into_deserializer()).map_err(|NoWord(rule): NoWord| rule)
}

/// Why a text is no word of a list: the rule.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NoWord(String);

impl de::Error for NoWord {
    fn custom<T: fmt::Display>(rule: T) -> Self {
        Self(rule.to_string())
    }

    fn unknown_variant(_: &str, words: &'static [&'static str]) -> Self {
        Self(format!("must be one of {}", words.join(", ")))
    }
}

/// What a verb works with.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    place: Place,
    /// How to print.
    pub output: Output,
}

impl Session {
    /// From the command line.
    pub fn new(connection: Connection) -> Self {
        let place = Place::new(&connection.data);
        let output = Output { json: connection.json };
        Self { connection, place, output }
    }

    /// The data folder.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    fn market(&self) -> Result<Option<Market>> {
        self.place.market()
    }

    fn missing(&self, option: &str) -> anyhow::Error {
        anyhow!(
            "{option} is missing: name its URL, or run `earnest up` over --data {}",
            self.place.root().display()
        )
    }

    /// The side of the market that --on names, else its first; none without a market.
    pub fn side(&self) -> Result<Option<Side>> {
        let Some(market) = self.market()? else { return Ok(None) };
        let Some(on) = self.connection.on else { return Ok(market.sides.into_iter().next()) };
        let named = market.sides.into_iter().find(|side| on.is(side.chain));
        match named {
            Some(side) => Ok(Some(side)),
            None => bail!(
                "--on: the market in {} is not on that chain: start it with `earnest up --solana`",
                self.place.root().display()
            ),
        }
    }

    /// The hub, asked by nobody in particular.
    pub fn hub(&self) -> Result<Hub> {
        let url = match (&self.connection.hub, self.market()?) {
            (Some(url), _) => url.clone(),
            (None, Some(market)) => market.hub,
            (None, None) => return Err(self.missing("--hub")),
        };
        Hub::at(&url, PATIENCE)
    }

    /// The chain of what names none.
    pub async fn chain(&self) -> Result<Chain> {
        let url = match (&self.connection.rpc, self.side()?) {
            (Some(url), _) => url.clone(),
            (None, Some(side)) => side.urls.rpc,
            (None, None) => return Err(self.missing("--rpc")),
        };
        Chain::connect(&url).await
    }

    /// A node of this chain, where one is known: by --rpc, whatever its chain, or as `earnest up` runs it.
    pub async fn chain_of(&self, chain: ChainId) -> Result<Option<Chain>> {
        let url = match (&self.connection.rpc, self.market()?) {
            (Some(url), _) => url.clone(),
            (None, Some(market)) => match market.side(chain) {
                Some(side) => side.urls.rpc.clone(),
                None => return Ok(None),
            },
            (None, None) => return Ok(None),
        };
        Chain::connect(&url).await.map(Some)
    }

    /// A node of this chain, which has to be known.
    pub async fn chain_for(&self, chain: ChainId) -> Result<Chain> {
        let known = self.chain_of(chain).await?;
        let known = known.ok_or_else(|| anyhow!("--rpc is missing: no node of {chain} is known"))?;
        known.must_be(chain, "what this is about")?;
        Ok(known)
    }

    fn name(&self) -> Result<&str> {
        self.connection
            .who
            .as_deref()
            .ok_or_else(|| anyhow!("--as is missing: say who you are, e.g. --as buyer"))
    }

    /// Whether --as names anybody.
    pub const fn is_somebody(&self) -> bool {
        self.connection.who.is_some()
    }

    /// Where the person's folder is or will be.
    pub fn folder(&self) -> Result<PathBuf> {
        Ok(Profile::folder(&self.place.profiles(), self.name()?))
    }

    /// What the person of --as is called where nothing else is said: the last part of the folder's path.
    pub fn called(&self) -> Result<String> {
        Ok(self.folder()?.file_name().map(|part| part.to_string_lossy().into_owned()).unwrap_or_default())
    }

    /// The person.
    pub fn profile(&self) -> Result<Profile> {
        Profile::open(&self.folder()?)
    }

    /// The person, signed in to the hub.
    pub async fn member(&self) -> Result<Member> {
        self.hub()?.sign_in(&self.profile()?).await
    }

    /// The hub, asked by the person where `--as` names one, else by nobody in particular.
    pub async fn reader(&self) -> Result<Http> {
        if self.connection.who.is_some() { Ok(self.member().await?.hub.http) } else { Ok(self.hub()?.http) }
    }

    /// The pool that `earnest up` made on a chain.
    pub fn panel(&self, chain: ChainId) -> Result<Option<B256>> {
        Ok(self.market()?.and_then(|market| market.side(chain)?.panel))
    }

    /// The person's wallet on this chain.
    pub async fn purse_on(&self, chain: ChainId) -> Result<Purse> {
        self.chain_for(chain).await?.signed_by(&self.profile()?.wallet)
    }

    /// A contract: as given, or as `earnest up` has it on the chain of what names none.
    pub fn contract(
        &self,
        option: &str,
        given: Option<AccountId>,
        of: impl FnOnce(&Side) -> AccountId,
    ) -> Result<AccountId> {
        match (given, self.side()?) {
            (Some(contract), _) => Ok(contract),
            (None, Some(side)) => Ok(of(&side)),
            (None, None) => {
                Err(anyhow!("{option} is missing: name the contract as <chain>:<address> (CAIP-10)"))
            }
        }
    }

    /// The same on a certain chain.
    pub fn contract_on(
        &self,
        option: &str,
        given: Option<AccountId>,
        chain: ChainId,
        of: impl FnOnce(&Side) -> AccountId,
    ) -> Result<AccountId> {
        let known = || Ok(self.market()?.and_then(|market| market.side(chain).map(of)));
        match given {
            Some(contract) => Ok(contract),
            None => known().and_then(|known: Option<AccountId>| {
                known.ok_or_else(|| anyhow!("{option} is missing: name the contract as {chain}:<address>"))
            }),
        }
    }

    /// Tells what the hub did with a record.
    pub fn accepted(&self, what: &str, receipt: &Receipt) -> Result<()> {
        self.output.one(receipt, &[(what, receipt.id.to_string())])
    }
}

/// A record id on the command line.
pub fn record_id(text: &str) -> Result<RecordId, String> {
    text.parse().map_err(|error: hub::records::RecordError| error.to_string())
}

/// A path with those of the parameters that have a value.
pub fn query(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let escape = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect()
    };
    let given: Vec<String> = parameters
        .iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={}", escape(value))))
        .collect();
    if given.is_empty() { path.to_owned() } else { format!("{path}?{}", given.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::query;

    #[test]
    fn parameters_are_escaped_and_missing_ones_left_out() {
        assert_eq!(query("/v1/x", &[("a", None)]), "/v1/x");
        let words = Some("a b&c=d/é".to_owned());
        assert_eq!(
            query("/v1/x", &[("q", words), ("n", Some("7".to_owned()))]),
            "/v1/x?q=a%20b%26c%3Dd%2F%C3%A9&n=7"
        );
    }
}

//! The client verbs: what a person does with a hub and a chain, one file for each noun.

pub mod account;
pub mod community;
pub mod config;
pub mod deploy;
pub mod pool;

use std::{path::PathBuf, time::Duration};

use alloy::primitives::Address;
use anyhow::{Result, anyhow};
use clap::Args;
use hub::records::{Receipt, RecordId};
use protocol::caip::AccountId;

use crate::{
    client::{
        chain::{Chain, Wallet},
        hub::{Hub, Member},
        profile::Profile,
    },
    output::Output,
    place::{Market, Place},
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
    pub name: Option<String>,
    /// The hub [default: the one that `earnest up` runs over DIR]
    #[arg(long, global = true, env = "EARNEST_HUB", value_name = "URL")]
    pub hub: Option<String>,
    /// The chain's JSON-RPC [default: as for --hub]
    #[arg(long, global = true, env = "EARNEST_RPC", value_name = "URL")]
    pub rpc: Option<String>,
    /// Print JSON for scripts instead of tables
    #[arg(long, global = true)]
    pub json: bool,
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

    fn url(
        &self,
        option: &str,
        given: Option<&String>,
        of: impl FnOnce(&Market) -> &String,
    ) -> Result<String> {
        match (given, self.market()?) {
            (Some(url), _) => Ok(url.clone()),
            (None, Some(market)) => Ok(of(&market).clone()),
            (None, None) => Err(anyhow!(
                "{option} is missing: name its URL, or run `earnest up` over --data {}",
                self.place.root().display()
            )),
        }
    }

    /// The hub, asked by nobody in particular.
    pub fn hub(&self) -> Result<Hub> {
        let url = self.url("--hub", self.connection.hub.as_ref(), |market| &market.urls.hub)?;
        Hub::at(&url, PATIENCE)
    }

    /// The chain.
    pub async fn chain(&self) -> Result<Chain> {
        let url = self.url("--rpc", self.connection.rpc.as_ref(), |market| &market.urls.rpc)?;
        Chain::connect(&url).await
    }

    fn name(&self) -> Result<&str> {
        self.connection
            .name
            .as_deref()
            .ok_or_else(|| anyhow!("--as is missing: say who you are, e.g. --as buyer"))
    }

    /// Where the person's folder is or will be.
    pub fn folder(&self) -> Result<PathBuf> {
        Ok(Profile::folder(&self.place.profiles(), self.name()?))
    }

    /// The person.
    pub fn profile(&self) -> Result<Profile> {
        Profile::open(&self.folder()?)
    }

    /// The person, signed in to the hub.
    pub async fn member(&self) -> Result<Member> {
        self.hub()?.sign_in(&self.profile()?).await
    }

    /// The person's wallet on the chain.
    pub async fn wallet(&self) -> Result<Wallet> {
        self.chain().await?.signed_by(&self.profile()?.wallet)
    }

    /// A contract: as given, or as `earnest up` deployed it.
    pub fn contract(
        &self,
        option: &str,
        given: Option<AccountId>,
        of: impl FnOnce(&Market) -> Address,
    ) -> Result<AccountId> {
        match (given, self.market()?) {
            (Some(contract), _) => Ok(contract),
            (None, Some(market)) => Ok(AccountId { chain: market.chain, address: of(&market) }),
            (None, None) => {
                Err(anyhow!("{option} is missing: name the contract as eip155:<chain>:<address>"))
            }
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

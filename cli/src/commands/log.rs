//! `earnest log`: a hub's signed word on its log.

use anyhow::Result;
use clap::Subcommand;
use hub::records::{Device, Head};
use serde_json::Value;

use super::Session;
use crate::{
    client::{credential::device_of, hub::Hub},
    exit::Failure,
};

/// A hub's log.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Show how many records the hub has taken and the root of the tree over them, as it signs them now; ends with 3 where the
    /// signature does not hold. Who keeps one sees later by `verify log` whether the log goes on from it
    #[command(after_help = "Examples:\n  earnest log head --hub https://hub.example\n  \
        earnest --json log head --hub https://hub.example > head.json\n  \
        earnest verify log head.json --hub https://hub.example")]
    Head {
        /// The hub whose log it is, by its did:key [default: that of --hub]
        #[arg(long, value_name = "DID")]
        trust: Option<Device>,
    },
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    let Verb::Head { trust } = verb;
    let hub = session.hub()?;
    let trust = trusted(&hub, trust).await?;
    let (signed, head) = newest(&hub, trust).await?;
    session.output.one(
        &signed,
        &[
            ("entries", head.size.to_string()),
            ("root", head.root.to_string()),
            ("at", head.at.to_string()),
            ("hub", trust.to_string()),
        ],
    )
}

/// The device whose word on a log is taken: as named, else the hub's own.
pub async fn trusted(hub: &Hub, named: Option<Device>) -> Result<Device> {
    match named {
        Some(device) => Ok(device),
        None => device_of(hub).await,
    }
}

/// The hub's head of now, signed by whose word is taken: as it was sent, and as read.
pub async fn newest(hub: &Hub, trust: Device) -> Result<(Value, Head)> {
    let signed: Value = hub.http.get("/v1/log/head").await?;
    let head = head_of(&signed, trust)?;
    Ok((signed, head))
}

/// A head, where whose word is taken has signed it.
pub fn head_of(signed: &Value, trust: Device) -> Result<Head> {
    match Head::read(signed) {
        Ok((head, signer)) if signer == trust => Ok(head),
        Ok((_, signer)) => {
            Err(Failure::does_not_hold(format!("the head is signed by {signer}, whose word you do not take")))
        }
        Err(error) => Err(Failure::does_not_hold(format!("the head does not hold: {error}"))),
    }
}

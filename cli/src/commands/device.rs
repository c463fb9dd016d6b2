//! `earnest device`: which devices speak for an account.

use anyhow::Result;
use clap::Subcommand;
use hub::{
    identity::{AccountView, DeviceBody, silence_statement},
    records::Device,
};

use super::Session;

/// Devices.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// List your devices
    List,
    /// Let another device speak for you: a wallet of yours authorises it
    #[command(after_help = "Example:\n  earnest --as ida device add did:key:z6Mk…")]
    Add {
        /// Its did:key
        device: Device,
    },
    /// Take a device's word away, with its sessions and tokens: this one's own, or another's by the word of a wallet of yours
    Revoke {
        /// Its did:key
        device: Device,
    },
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::List => {
            let account = session.profile()?.account()?;
            let view: AccountView = session.hub()?.http.get(&format!("/v1/accounts/{account}")).await?;
            let state = |authorised| if authorised { "speaks" } else { "revoked" }.to_owned();
            let rows =
                view.devices.iter().map(|one| vec![one.device.to_string(), state(one.authorised)]).collect();
            session.output.many(&view.devices, &["device", "state"], rows)
        }
        Verb::Add { device } => {
            let (hub, profile) = (session.hub()?, session.profile()?);
            let by = hub.controller(&profile, None).await?;
            let word = hub.word_for(&profile, by, device).await?;
            say(session, &DeviceBody::Add(word)).await
        }
        Verb::Revoke { device } => {
            let (hub, profile) = (session.hub()?, session.profile()?);
            let by = if device == profile.device.device() {
                None
            } else {
                let wallet = hub.controller(&profile, None).await?;
                let statement = silence_statement(&profile.account()?, &device);
                Some(hub.word(&profile, wallet, statement).await?)
            };
            say(session, &DeviceBody::Revoke { device, by }).await
        }
    }
}

async fn say(session: &Session, body: &DeviceBody) -> Result<()> {
    let member = session.member().await?;
    session.accepted("device", &member.say(&member.draft("device@1", body)?).await?)
}

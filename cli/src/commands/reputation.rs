//! `earnest reputation`: what credentials come to.

use anyhow::Result;
use clap::Subcommand;
use hub::reputation::model::WalletDid;

use super::Session;
use crate::{client::reputation, exit::Failure};

/// Reputation.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Show the score of a wallet with its terms, computed here from the credentials and compared with what the hub says. Ends
    /// with 3 where the two differ or a credential's signature does not hold
    #[command(after_help = "Example:\n  earnest reputation show did:pkh:eip155:31337:0x…")]
    Show {
        /// The wallet: did:pkh:<chain>:<address>
        #[arg(value_parser = did)]
        subject: WalletDid,
    },
}

fn did(text: &str) -> Result<WalletDid, String> {
    text.parse()
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    let Verb::Show { subject } = verb;
    let found = reputation::look(&session.hub()?, subject).await?;
    let rows = found
        .computed
        .terms
        .iter()
        .map(|term| {
            vec![
                term.kind.clone(),
                term.count.to_string(),
                term.counterparties.to_string(),
                format!("{} + {}", term.first, term.again),
                term.points.to_string(),
                term.words.clone(),
            ]
        })
        .chain([vec![
            "all".to_owned(),
            String::new(),
            String::new(),
            String::new(),
            found.computed.points.to_string(),
            String::new(),
        ]])
        .collect();
    let heading = ["credential", "count", "from", "first + further", "points", "for whoever"];
    session.output.many(&found, &heading, rows)?;
    if found.differences.is_empty() {
        return Ok(());
    }
    Err(Failure::does_not_hold(found.differences.join("; ")))
}

//! `earnest reputation`: what credentials come to.

use anyhow::Result;
use clap::Subcommand;
use hub::{
    records::RecordId,
    reputation::{
        model::WalletDid,
        score::{Score, Term},
    },
};

use super::{Session, record_id};
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
    /// Show the score of an account over all wallets that it has now, and what each of them brings, computed here from the
    /// credentials and compared with what the hub says. Ends with 3 as `reputation show`
    #[command(after_help = "Example:\n  earnest reputation account zQmIda…")]
    Account {
        /// The account
        #[arg(value_parser = record_id)]
        account: RecordId,
    },
}

/// A wallet as a DID on the command line.
pub fn did(text: &str) -> Result<WalletDid, String> {
    text.parse()
}

const HEADING: [&str; 6] = ["credential", "count", "from", "first + further", "points", "for whoever"];

/// A term, by [`HEADING`].
fn row(term: &Term) -> Vec<String> {
    vec![
        term.kind.clone(),
        term.count.to_string(),
        term.counterparties.to_string(),
        format!("{} + {}", term.first, term.again),
        term.points.to_string(),
        term.words.clone(),
    ]
}

/// All points, by [`HEADING`].
fn all(score: &Score) -> Vec<String> {
    let none = String::new;
    vec!["all".to_owned(), none(), none(), none(), score.points.to_string(), none()]
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    let hub = session.hub()?;
    let differences = match verb {
        Verb::Show { subject } => {
            let found = reputation::look(&hub, subject).await?;
            let rows = found.computed.terms.iter().map(row).chain([all(&found.computed)]).collect();
            session.output.many(&found, &HEADING, rows)?;
            found.differences
        }
        Verb::Account { account } => {
            let found = reputation::look_at_account(&hub, account).await?;
            let mut rows = Vec::new();
            for wallet in &found.computed.wallets {
                for term in wallet.brings.terms.iter().filter(|term| term.count > 0) {
                    rows.push([vec![wallet.subject.to_string()], row(term)].concat());
                }
            }
            rows.push([vec![String::new()], all(&found.computed.score)].concat());
            let mut heading = vec!["wallet"];
            heading.extend(HEADING);
            session.output.many(&found, &heading, rows)?;
            found.differences
        }
    };
    if differences.is_empty() {
        return Ok(());
    }
    Err(Failure::does_not_hold(differences.join("; ")))
}

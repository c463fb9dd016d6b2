//! `earnest credential`: what parties say of one another, and what a hub says of a lost dispute.

use anyhow::Result;
use clap::Subcommand;
use hub::{page::Page, records::RecordId, reputation::CredentialView};

use super::{Session, query, record_id};
use crate::client::{credential, trade};

/// Credentials.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Issue your credential about the other party of a completed purchase
    #[command(after_help = "Example:\n  earnest --as buyer credential issue zQmPurchase…")]
    Issue {
        /// The purchase
        #[arg(value_parser = record_id)]
        purchase: RecordId,
    },
    /// List credentials; with --json each can be handed to `earnest verify credential`
    #[command(after_help = "Example:\n  earnest --json credential list --subject did:pkh:eip155:31337:0x… \
        | jq .items[0].credential > credential.json")]
    List {
        /// About this wallet: did:pkh:<chain>:<address>
        #[arg(long)]
        subject: Option<String>,
        /// `next` of the page before
        #[arg(long)]
        after: Option<u64>,
    },
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::Issue { purchase } => {
            let member = session.member().await?;
            let view = trade::read(&member, purchase).await?;
            let chain = session.chain_for(trade::details(&view)?.terms.escrow.chain).await?;
            let receipt = credential::issue(&member, &chain, &view).await?;
            session.accepted("credential", &receipt)
        }
        Verb::List { subject, after } => {
            let after = after.map(|after| after.to_string());
            let path = query("/v1/credentials", &[("subject", subject), ("after", after)]);
            let page: Page<CredentialView> = session.reader().await?.get(&path).await?;
            let rows = page
                .items
                .iter()
                .map(|one| vec![one.id.to_string(), one.kind.clone(), one.subject.to_string()])
                .collect();
            session.output.many(&page, &["credential", "kind", "about"], rows)
        }
    }
}

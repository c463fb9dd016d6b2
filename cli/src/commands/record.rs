//! `earnest record`: what is said at a hub, as its author signed it.

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use hub::records::RecordId;
use serde_json::Value;

use super::{Session, record_id, verify_deal::read};
use crate::client::records::genuine;

/// Records.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Show a record that you may read; with --json as it was signed. Ends with 3 where its id or its device's signature does not
    /// hold
    #[command(after_help = "Examples:\n  earnest --as ida record show zQmTransfer…\n  \
        earnest --as ida --json record show zQmTransfer… > transfer.json\n  \
        earnest verify credential thanks.json --record transfer.json --record payer.json --record payee.json")]
    Show {
        /// Its id
        #[arg(value_parser = record_id)]
        id: RecordId,
    },
    /// Hand in a record that its device has signed already; one that the hub has is answered as it was before
    #[command(after_help = "Example:\n  earnest record submit signed.json --hub https://hub.example")]
    Submit {
        /// A file with the record (JSON), or - for standard input
        file: PathBuf,
    },
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::Show { id } => {
            let record = genuine(&session.reader().await?, id).await?;
            let readers: Vec<String> = record.audience.iter().map(ToString::to_string).collect();
            let about = record.about.map_or_else(|| "nothing".to_owned(), |about| about.to_string());
            session.output.one(
                &record,
                &[
                    ("record", id.to_string()),
                    ("type", record.kind.clone()),
                    ("by", record.account().to_string()),
                    ("device", record.device.to_string()),
                    ("about", about),
                    ("said", record.created.to_string()),
                    ("for", readers.join("\n")),
                    ("body", serde_json::to_string_pretty(&record.body)?),
                ],
            )
        }
        Verb::Submit { file } => {
            let signed: Value = read(&file)?;
            let receipt = session.hub()?.submit(&signed).await?;
            session.output.one(
                &receipt,
                &[
                    ("record", receipt.id.to_string()),
                    ("place", receipt.seq.to_string()),
                    ("taken", receipt.received.to_string()),
                ],
            )
        }
    }
}

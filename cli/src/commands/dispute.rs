//! `earnest evidence`, `earnest case` and `earnest ballot`: a dispute before a jury.

use std::path::PathBuf;

use alloy::primitives::B256;
use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use hub::records::RecordId;

use super::{Session, record_id};
use crate::{
    client::{dispute, trade},
    output::time,
};

/// Evidence.
#[derive(Subcommand, Debug)]
pub enum EvidenceVerb {
    /// Show something to the other party and the jury
    #[command(after_help = "Example:\n  earnest --as buyer evidence add zQmPurchase… --file photo.jpg \
        --uri https://example.org/photo.jpg --note 'broken on arrival'")]
    Add(Evidence),
}

/// A piece of evidence.
#[derive(Args, Debug)]
pub struct Evidence {
    /// The purchase in dispute
    #[arg(value_parser = record_id)]
    purchase: RecordId,
    /// The file itself, of which only the SHA-256 is sent
    #[arg(long, required_unless_present = "hash")]
    file: Option<PathBuf>,
    /// SHA-256 of what is shown
    #[arg(long, conflicts_with = "file")]
    hash: Option<B256>,
    /// Where it can be had
    #[arg(long, default_value = "")]
    uri: String,
    /// What it shows
    #[arg(long, default_value = "")]
    note: String,
}

/// Cases.
#[derive(Subcommand, Debug)]
pub enum CaseVerb {
    /// Show a case: its jury, evidence and, once all have voted, the ballots
    Show {
        /// The purchase in dispute
        #[arg(value_parser = record_id)]
        purchase: RecordId,
    },
    /// List the cases in which you have a seat
    List,
}

/// Ballots.
#[derive(Subcommand, Debug)]
pub enum BallotVerb {
    /// Vote: your wallet signs the ballot, which stays hidden until all have voted or voting has closed
    #[command(
        after_help = "Example:\n  earnest --as juror-1 ballot cast zQmPurchase… --share 0 --reason 'never delivered'"
    )]
    Cast {
        /// The purchase in dispute
        #[arg(value_parser = record_id)]
        purchase: RecordId,
        /// The seller's share of the whole amount in basis points, in steps of 500
        #[arg(long)]
        share: u16,
        /// Why, in words
        #[arg(long, default_value = "")]
        reason: String,
    },
}

/// Shows evidence.
pub async fn evidence(session: &Session, EvidenceVerb::Add(shown): EvidenceVerb) -> Result<()> {
    let hash = match (&shown.file, shown.hash) {
        (Some(file), _) => {
            let bytes = std::fs::read(file).with_context(|| format!("--file {}", file.display()))?;
            dispute::hash_of(&bytes)
        }
        (None, Some(hash)) => hash,
        (None, None) => return Err(anyhow!("name --file or --hash")),
    };
    let member = session.member().await?;
    let view = trade::read(&member, shown.purchase).await?;
    let receipt = dispute::show(&member, &view, hash, shown.uri, shown.note).await?;
    session.accepted("evidence", &receipt)
}

/// Votes.
pub async fn ballot(session: &Session, verb: BallotVerb) -> Result<()> {
    let BallotVerb::Cast { purchase, share, reason } = verb;
    let receipt = dispute::vote(&session.member().await?, purchase, share, reason).await?;
    session.accepted("ballot", &receipt)
}

/// Shows cases.
pub async fn case(session: &Session, verb: CaseVerb) -> Result<()> {
    let member = session.member().await?;
    match verb {
        CaseVerb::List => {
            let page = dispute::duties(&member).await?;
            let rows = page.items.iter().map(|duty| {
                let seats: Vec<String> = duty.seats.iter().map(|seat| seat.seat.to_string()).collect();
                vec![
                    duty.purchase.to_string(),
                    format!("{:?}", duty.stage).to_lowercase(),
                    seats.join(", "),
                    time(duty.voting_closes_at),
                ]
            });
            session.output.many(&page, &["purchase", "stage", "seat", "voting closes"], rows.collect())
        }
        CaseVerb::Show { purchase } => {
            let case = dispute::case(&member, purchase).await?;
            let mut lines = vec![
                ("purchase", case.purchase.to_string()),
                ("deal", case.deal.to_string()),
                ("stage", format!("{:?}", case.stage).to_lowercase()),
                ("pool", case.pool.to_string()),
                ("voting closes", time(case.voting_closes_at)),
            ];
            for seat in &case.seats {
                let voted = if seat.voted { "has voted" } else { "has not voted" };
                lines.push(("seat", format!("{}: {} {voted}", seat.seat, seat.juror)));
            }
            for shown in case.evidence.iter().flatten() {
                lines.push(("evidence", format!("{} {} {}", shown.hash, shown.uri, shown.note)));
            }
            for ballot in case.ballots.iter().flatten() {
                let reason = ballot.reason.clone().unwrap_or_default();
                lines.push(("ballot", format!("seat {}: {} bp {reason}", ballot.seat, ballot.share)));
            }
            if let Some(ruling) = case.ruling {
                lines.push(("ruling", format!("{ruling} bp to the seller")));
            }
            session.output.one(&case, &lines)
        }
    }
}

//! `earnest dispute`, `earnest evidence`, `earnest case` and `earnest ballot`: a dispute before a jury.

use std::path::PathBuf;

use alloy::primitives::B256;
use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use hub::{
    disputes::{CaseView, DutyView, JuryView, NextView},
    page::Page,
    records::RecordId,
};

use super::{
    Session,
    deal::{self, Of},
    query, record_id,
};
use crate::{
    client::{
        acts::{self, Motion},
        dispute, trade,
    },
    output::time,
};

/// Disputes.
#[derive(Subcommand, Debug)]
pub enum DisputeVerb {
    /// Show all juries, ballots and rulings, and what may be done next and until when
    #[command(after_help = "Example:\n  earnest --as buyer dispute show zQmPurchase…")]
    Show {
        /// The purchase in dispute
        #[arg(value_parser = record_id)]
        purchase: RecordId,
    },
    /// The first jury's voting is over without a ruling: open the second one
    #[command(
        after_help = "Anyone may, from a wallet; the hub's relayer does it too. The first jury's ballots still count \
        until\nthe end, and whichever jury determines a share first rules.\nExample:\n  \
        earnest --as buyer dispute second-jury zQmPurchase…"
    )]
    SecondJury(Of),
    /// No jury ruled in time: speak the last word
    #[command(
        after_help = "Anyone may, once the time for ballots is over: the share that stands without a ruling is moved \
        into the\nbounds that the first jury's ballots leave, then into the second's. Where nobody voted at all, \
        `deal lapse`\ngives that share when its time has come.\nExample:\n  \
        earnest --as seller dispute conclude zQmPurchase…"
    )]
    Conclude(Of),
    /// Bring the ruling before the parent pool, as its buyer or its seller
    #[command(
        after_help = "Once a case, until the second that `dispute show` names. What the parent's jury says is \
        final; if it says\nnothing, the ruling stands.\nExamples:\n  \
        earnest --as seller dispute appeal zQmPurchase…             from your wallet\n  \
        earnest --as seller dispute appeal zQmPurchase… --gasless   signed by it; the hub's relayer pays"
    )]
    Appeal {
        #[command(flatten)]
        of: Of,
        /// Sign only, and let the hub's relayer carry it to the chain
        #[arg(long, conflicts_with = "terms")]
        gasless: bool,
    },
    /// The time for appeal is over: tell the escrow the ruling
    #[command(after_help = "Anyone may, from a wallet; the hub's relayer does it too.\nExample:\n  \
        earnest --as seller dispute execute zQmPurchase…")]
    Execute(Of),
}

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
    /// List the cases in which you have a seat, the newest dispute first
    List {
        /// `next` of the page before
        #[arg(long)]
        after: Option<String>,
    },
    /// You have an interest in a case: leave your seat, for good
    #[command(
        after_help = "Your seat then counts as absent, and you see no more of the case. Not after you have voted.\n\
        Example:\n  earnest --as juror-1 case step-aside zQmPurchase… --reason 'The seller is my brother'"
    )]
    StepAside {
        /// The purchase in dispute
        #[arg(value_parser = record_id)]
        purchase: RecordId,
        /// Which interest, for the parties to read
        #[arg(long, default_value = "")]
        reason: String,
    },
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

/// Moves a case, or shows it.
pub async fn dispute(session: &Session, verb: DisputeVerb) -> Result<()> {
    match verb {
        DisputeVerb::Show { purchase } => show(session, purchase).await,
        DisputeVerb::SecondJury(of) => hear(session, &of, Motion::SecondJury).await,
        DisputeVerb::Conclude(of) => hear(session, &of, Motion::Conclude).await,
        DisputeVerb::Execute(of) => hear(session, &of, Motion::Execute).await,
        DisputeVerb::Appeal { of, gasless: false } => hear(session, &of, Motion::Appeal).await,
        DisputeVerb::Appeal { of, gasless: true } => {
            let purchase = of.purchase.ok_or_else(|| anyhow!("--gasless: name the purchase"))?;
            let member = session.member().await?;
            let view = trade::read(&member, purchase).await?;
            let receipt = dispute::appeal(&member, &view, &trade::details(&view)?.terms).await?;
            session.accepted("appeal", &receipt)
        }
    }
}

async fn hear(session: &Session, of: &Of, motion: Motion) -> Result<()> {
    let (terms, _) = deal::terms(session, of).await?;
    let purse = session.purse_on(terms.escrow.chain).await?;
    deal::told(session, &terms, &[acts::hear(&purse, &terms, motion).await?])
}

/// Shows cases.
pub async fn case(session: &Session, verb: CaseVerb) -> Result<()> {
    match verb {
        CaseVerb::Show { purchase } => show(session, purchase).await,
        CaseVerb::StepAside { purchase, reason } => {
            let member = session.member().await?;
            let view = trade::read(&member, purchase).await?;
            let receipt = dispute::recuse(&member, &view, reason).await?;
            session.accepted("recusal", &receipt)
        }
        CaseVerb::List { after } => {
            let path = query("/v1/cases", &[("limit", Some("100".to_owned())), ("after", after)]);
            let page: Page<DutyView> = session.member().await?.get(&path).await?;
            let rows = page.items.iter().map(|duty| {
                let seats: Vec<String> = duty.seats.iter().map(|seat| seat.seat.to_string()).collect();
                vec![
                    duty.purchase.to_string(),
                    format!("{:?}", duty.stage).to_lowercase(),
                    which(duty.instance, duty.jury),
                    seats.join(", "),
                    duty.voting_closes_at.map(time).unwrap_or_default(),
                    duty.ends_at.map(time).unwrap_or_default(),
                ]
            });
            let heading = ["purchase", "stage", "jury", "seat", "voting closes", "counts until"];
            session.output.many(&page, &heading, rows.collect())?;
            session.output.more(page.next.as_deref())
        }
    }
}

/// A jury in words.
fn which(instance: u8, jury: u8) -> String {
    let jury = if jury == 0 { "first" } else { "second" };
    if instance == 0 { jury.to_owned() } else { format!("parent's {jury}") }
}

async fn show(session: &Session, purchase: RecordId) -> Result<()> {
    let case = dispute::case(&session.member().await?, purchase).await?;
    let mut lines = vec![
        ("purchase", case.purchase.to_string()),
        ("deal", case.deal.to_string()),
        ("stage", format!("{:?}", case.stage).to_lowercase()),
        ("disputed", time(case.disputed_at)),
        ("to be ruled by", time(case.deadline)),
    ];
    for jury in &case.juries {
        jury_lines(&mut lines, jury);
    }
    for shown in case.evidence.iter().flatten() {
        lines.push(("evidence", format!("{} {} {}", shown.hash, shown.uri, shown.note)));
    }
    ruling_lines(&mut lines, &case);
    lines.extend(case.next.iter().map(|next| ("next", next_line(next))));
    session.output.one(&case, &lines)
}

fn jury_lines(lines: &mut Vec<(&str, String)>, jury: &JuryView) {
    let drawn = match jury.pool {
        Some(pool) => format!("of pool {pool}"),
        None => "not drawn yet".to_owned(),
    };
    lines.push(("jury", format!("{}, {drawn}", which(jury.instance, jury.jury))));
    if let (Some(closes), Some(ends)) = (jury.voting_closes_at, jury.ends_at) {
        lines.push(("voting", format!("until {}; ballots count until {}", time(closes), time(ends))));
    }
    for seat in &jury.seats {
        let voted = match (seat.voted, seat.recused) {
            (true, _) => "has voted",
            (false, true) => "has stepped aside",
            (false, false) => "has not voted",
        };
        lines.push(("seat", format!("{}: {} {voted}", seat.seat, seat.juror)));
    }
    for ballot in jury.ballots.iter().flatten() {
        let reason = ballot.reason.clone().unwrap_or_default();
        lines.push(("ballot", format!("seat {}: {} bp {reason}", ballot.seat, ballot.share)));
    }
    if let (Some(lo), Some(hi)) = (jury.lo, jury.hi) {
        lines.push(("leaves", format!("{lo} to {hi} bp to the seller")));
    }
}

fn ruling_lines(lines: &mut Vec<(&str, String)>, case: &CaseView) {
    for ruling in &case.rulings {
        let whose = if ruling.instance == 0 { "ruling" } else { "parent's ruling" };
        let appeal = match ruling.appeal_until {
            Some(until) => format!("; it may be appealed until {}", time(until)),
            None => "; it is final".to_owned(),
        };
        lines.push((whose, format!("{} bp to the seller{appeal}", ruling.share)));
    }
    if let Some(party) = case.appealed_by {
        lines.push(("appealed by", party.to_string()));
    }
}

/// A step with its verb, its jury where there are several, and when.
fn next_line(next: &NextView) -> String {
    use hub::disputes::Next;
    let verb = match next.what {
        Next::OpenCase => "open the case (the relayer does)",
        Next::DrawJury => "draw the jury (the relayer does)",
        Next::Vote => "ballot cast, by its jurors",
        Next::SubmitBallots => "hand in the ballots (the relayer does)",
        Next::OpenSecondJury => "dispute second-jury",
        Next::Conclude => "dispute conclude",
        Next::Appeal => "dispute appeal, by buyer or seller",
        Next::ExecuteRuling => "dispute execute",
        Next::Lapse => "deal lapse, where nothing was ruled",
    };
    let jury = match next.what {
        Next::Vote | Next::DrawJury | Next::SubmitBallots => {
            format!(" ({} jury)", which(next.instance, next.jury))
        }
        _ => String::new(),
    };
    let from = next.from.map(|from| format!(", from {}", time(from))).unwrap_or_default();
    let until = next.until.map(|until| format!(", until {}", time(until))).unwrap_or_default();
    format!("{verb}{jury}{from}{until}")
}

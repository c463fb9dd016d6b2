//! `earnest grievance`: disputes of a community's members, mediated and before drawn juries.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use hub::{
    access::Audience,
    grievances::{
        GrievanceView, NextStep, SettlementView, StepView,
        model::{GrievanceBody, Kind, Outcome, Remedy, Step, StepBody},
        table::State,
    },
    page::Page,
    records::{Record, RecordId},
    reputation::bundle::Bundle,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Session, ledger, query, record_id, word};
use crate::{client::hub::Member, output::print};

/// Disputes of a community's members.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// File one against a member, about a record
    #[command(after_help = "\
A trade or contribution is about a transfer or capture (--remedy reversal: give it back), a trade also about a purchase whose deal is open on its
chain (--remedy settlement: share it out), an attestation about a credential (--remedy revocation),
a membership about the membership record that removed you (--remedy restoration) or is the last word on a member (--remedy removal).
Example:
  earnest --as ida grievance file zQmCommunity… trade --about zQmTransfer… --against zQmBen… --remedy reversal 'The bed is not weeded'
  earnest --as ida grievance file zQmCommunity… trade --about zQmPurchase… --against zQmBen… --remedy settlement 'The chair wobbles'")]
    File(Filing),
    /// List those in which you have a part, and those that wait for a steward's mediation
    List {
        /// Of this community alone
        #[arg(long, value_parser = record_id)]
        community: Option<RecordId>,
        /// filed, mediation, proposed, escalated, voting or resolved
        #[arg(long, value_parser = word::<State>)]
        state: Option<State>,
        /// `next` of the page before
        #[arg(long)]
        after: Option<u64>,
    },
    /// Show one: where it stands, who has which part in it, and what has come of it; its signature is checked
    Show(Of),
    /// Show what was done about it, evidence included; every signature is checked
    Steps {
        /// The grievance
        #[arg(value_parser = record_id)]
        grievance: RecordId,
        /// `next` of the page before
        #[arg(long)]
        after: Option<u64>,
    },
    /// Print one that was decided as one file that anybody can check without a server: `earnest verify bundle`
    #[command(after_help = "Example:\n  earnest --as ida grievance bundle zQmGrievance… > bundle.json")]
    Bundle(Of),
    /// Take it up as its mediator, as a steward who has no part in it
    Take(Of),
    /// Show something to the others, as a party
    Evidence {
        /// The grievance
        #[arg(value_parser = record_id)]
        grievance: RecordId,
        /// What it says
        text: String,
        /// Where it can be had
        #[arg(long)]
        uri: Option<String>,
        /// The file that can be had there, of which only the SHA-256 is sent
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Propose what is to come of it, as its mediator
    Propose {
        /// The grievance
        #[arg(value_parser = record_id)]
        grievance: RecordId,
        #[command(flatten)]
        what: Proposing,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Accept what the mediator has proposed, as a party; it happens when both have. A deal: `deal settle` instead
    Accept {
        /// The grievance
        #[arg(value_parser = record_id)]
        grievance: RecordId,
        /// The step that proposed it, as `grievance show` has it; refused when it is not the newest any more
        #[arg(value_parser = record_id)]
        proposal: RecordId,
    },
    /// Reject what the mediator has proposed, as a party: a jury is drawn; a deal may be disputed on its chain
    Reject(Of),
    /// Declare a conflict of interest, as the mediator or as a juror before the vote: somebody else decides
    Conflict {
        /// The grievance
        #[arg(value_parser = record_id)]
        grievance: RecordId,
        /// Which
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Declare that the matter is the whole community's, as the mediator: a jury is drawn
    CommunityWide(Of),
    /// Take it back, as the complainant
    Withdraw(Of),
}

/// Which grievance.
#[derive(Args, Debug)]
pub struct Of {
    /// The grievance
    #[arg(value_parser = record_id)]
    grievance: RecordId,
}

/// What is filed.
#[derive(Args, Debug)]
pub struct Filing {
    /// The community
    #[arg(value_parser = record_id)]
    community: RecordId,
    /// contribution, trade, attestation or membership
    #[arg(value_parser = word::<Kind>)]
    kind: Kind,
    /// In a line, at most 80 characters
    title: String,
    /// The record that it is about
    #[arg(long, value_parser = record_id)]
    about: RecordId,
    /// Whom it is against
    #[arg(long, value_parser = record_id)]
    against: RecordId,
    /// statement, reversal, settlement, revocation, restoration or removal
    #[arg(long, default_value = "statement", value_parser = word::<Remedy>)]
    remedy: Remedy,
    /// In words, at most 4,000 characters
    #[arg(long, default_value = "")]
    text: String,
}

/// What a mediator proposes.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct Proposing {
    /// The complainant is right, and gets what is asked for; all of a deal
    #[arg(long)]
    upheld: bool,
    /// Nothing is done; all of a deal is the respondent's
    #[arg(long)]
    rejected: bool,
    /// All that was paid is given back
    #[arg(long)]
    void: bool,
    /// So much of it is, in hours or what the asset's unit is; of a deal, so much is the complainant's
    #[arg(long, value_name = "AMOUNT")]
    give_back: Option<String>,
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::File(filing) => file(session, filing).await,
        Verb::List { community, state, after } => list(session, community, state, after).await,
        Verb::Show(Of { grievance }) => {
            let shown: GrievanceView = read(&session.member().await?, grievance).await?;
            check(&shown)?;
            session.output.one(&shown, &lines(&shown)?)
        }
        Verb::Steps { grievance, after } => steps(session, grievance, after).await,
        Verb::Bundle(Of { grievance }) => {
            let bundle: Bundle =
                session.member().await?.get(&format!("/v1/grievances/{grievance}/bundle")).await?;
            print(&serde_json::to_string(&bundle)?)
        }
        Verb::Take(Of { grievance }) => does(session, grievance, Step::Take).await,
        Verb::Evidence { grievance, text, uri, file } => {
            let sha256 = match file {
                Some(file) => {
                    let bytes = std::fs::read(&file).with_context(|| format!("--file {}", file.display()))?;
                    Some(hex::encode(Sha256::digest(bytes)))
                }
                None => None,
            };
            does(session, grievance, Step::Evidence { text, uri, sha256 }).await
        }
        Verb::Propose { grievance, what, reason } => {
            let member = session.member().await?;
            let outcome = outcome(&member, grievance, &what).await?;
            said(session, &member, grievance, Step::Propose { outcome, reason }).await
        }
        Verb::Accept { grievance, proposal } => does(session, grievance, Step::Accept { proposal }).await,
        Verb::Reject(Of { grievance }) => does(session, grievance, Step::Reject).await,
        Verb::Conflict { grievance, reason } => does(session, grievance, Step::Conflict { reason }).await,
        Verb::CommunityWide(Of { grievance }) => does(session, grievance, Step::CommunityWide).await,
        Verb::Withdraw(Of { grievance }) => does(session, grievance, Step::Withdraw).await,
    }
}

async fn read(member: &Member, grievance: RecordId) -> Result<GrievanceView> {
    member.get(&format!("/v1/grievances/{grievance}")).await
}

/// The hub shows what the complainant has signed, and the record that it is about.
fn check(shown: &GrievanceView) -> Result<()> {
    let Some(record) = &shown.record else {
        bail!("{}: the hub does not show what was signed", shown.id);
    };
    let record = Record::read(record).map_err(|refusal| anyhow::anyhow!("{}: {refusal}", shown.id))?;
    let said = (record.id, record.kind.as_str(), record.about, record.account());
    let body: GrievanceBody = record.body_as()?;
    let GrievanceView { kind, subject, respondent, remedy, .. } = *shown;
    let told = GrievanceBody {
        kind,
        subject,
        respondent,
        remedy,
        title: shown.title.clone(),
        text: shown.text.clone().unwrap_or_default(),
    };
    if said != (shown.id, "grievance@1", Some(shown.community), shown.complainant) || body != told {
        bail!("{}: the hub shows something else than what was signed", shown.id);
    }
    let Some(about) = &shown.about else { return Ok(()) };
    let about = Record::read(about).map_err(|refusal| anyhow::anyhow!("{subject}: {refusal}"))?;
    if about.id != subject {
        bail!("{} is not {subject}, which it is about", about.id);
    }
    Ok(())
}

async fn file(session: &Session, filing: Filing) -> Result<()> {
    let Filing { community, kind, title, about, against, remedy, text } = filing;
    let body = GrievanceBody { kind, subject: about, respondent: against, remedy, title, text };
    let member = session.member().await?;
    let draft = member.draft("grievance@1", &body)?.about(community);
    let draft = draft.only_for(vec![Audience::Account(member.account)]);
    session.accepted("grievance", &member.say(&draft).await?)
}

async fn does(session: &Session, grievance: RecordId, step: Step) -> Result<()> {
    said(session, &session.member().await?, grievance, step).await
}

async fn said(session: &Session, member: &Member, grievance: RecordId, step: Step) -> Result<()> {
    let draft = member.draft("grievance-step@1", &StepBody { step })?.about(grievance);
    let draft = draft.only_for(vec![Audience::Account(member.account)]);
    session.accepted("step", &member.say(&draft).await?)
}

async fn outcome(member: &Member, grievance: RecordId, what: &Proposing) -> Result<Outcome> {
    let Some(amount) = &what.give_back else {
        return Ok(match (what.upheld, what.void) {
            (true, _) => Outcome::Upheld,
            (_, true) => Outcome::VoidTransaction,
            _ => Outcome::Rejected,
        });
    };
    let shown = read(member, grievance).await?;
    let asset = shown.paid.map(|paid| paid.asset).or(shown.settlement.map(|deal| deal.asset));
    let Some(asset) = asset else {
        bail!("--give-back: {grievance} is about nothing that was paid");
    };
    let amount = ledger::read(member, asset, amount).await?;
    Ok(Outcome::PartialAdjustment { amount })
}

async fn list(
    session: &Session,
    community: Option<RecordId>,
    state: Option<State>,
    after: Option<u64>,
) -> Result<()> {
    let parameters = [
        ("community", community.map(|id| id.to_string())),
        ("state", state.map(|state| state.name().to_owned())),
        ("after", after.map(|after| after.to_string())),
    ];
    let page: Page<GrievanceView> =
        session.member().await?.get(&query("/v1/grievances", &parameters)).await?;
    let rows = page
        .items
        .iter()
        .map(|one| {
            vec![
                one.id.to_string(),
                one.kind.name().to_owned(),
                one.state.name().to_owned(),
                one.due.map_or_else(String::new, |due| due.to_string()),
                one.title.clone(),
            ]
        })
        .collect();
    session.output.many(&page, &["grievance", "kind", "state", "due", "title"], rows)
}

async fn steps(session: &Session, grievance: RecordId, after: Option<u64>) -> Result<()> {
    let path = query(
        &format!("/v1/grievances/{grievance}/steps"),
        &[("after", after.map(|after| after.to_string()))],
    );
    let page: Page<StepView> = session.member().await?.get(&path).await?;
    let mut rows = Vec::with_capacity(page.items.len());
    for view in &page.items {
        let record =
            Record::read(&view.record).map_err(|refusal| anyhow::anyhow!("{}: {refusal}", view.seq))?;
        if record.kind != "grievance-step@1" || record.about != Some(grievance) {
            bail!("{} is no step of this grievance", record.id);
        }
        let StepBody { step } = record.body_as()?;
        let row =
            [record.id.to_string(), record.account().to_string(), view.received.to_string(), json(&step)?];
        rows.push(row.to_vec());
    }
    session.output.many(&page, &["step", "by", "received", "what"], rows)
}

fn json(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)?)
}

/// What is to be done about a deal, as a command where there is one.
fn next(shown: &GrievanceView, deal: &SettlementView) -> Option<String> {
    let purchase = shown.subject;
    let settle = deal.seller_total.map(|total| format!("both sign: deal settle {purchase} --total {total}"));
    Some(match (deal.next?, settle) {
        (NextStep::Mediate, _) => "a steward takes it up and proposes".to_owned(),
        (NextStep::Sign, settle) => {
            let settle = settle.unwrap_or_default();
            format!("{settle}; or: grievance reject {}", shown.id)
        }
        (NextStep::Dispute, Some(settle)) => format!("a party: deal dispute {purchase}; or {settle}"),
        (NextStep::Dispute, None) => format!("a party: deal dispute {purchase}"),
        (NextStep::AwaitRuling, _) => format!("the chain's jury rules: dispute show {purchase}"),
    })
}

fn lines(shown: &GrievanceView) -> Result<Vec<(&'static str, String)>> {
    let mut lines = vec![
        ("grievance", shown.id.to_string()),
        ("community", shown.community.to_string()),
        ("kind", shown.kind.name().to_owned()),
        ("title", shown.title.clone()),
        ("text", shown.text.clone().unwrap_or_default()),
        ("complainant", shown.complainant.to_string()),
        ("respondent", shown.respondent.to_string()),
        ("about", format!("{} {}", shown.subject_type, shown.subject)),
        ("remedy", shown.remedy.name().to_owned()),
        ("state", shown.state.name().to_owned()),
    ];
    let mut more = |name: &'static str, text: Option<String>| lines.extend(text.map(|text| (name, text)));
    more("paid", shown.paid.as_ref().map(json).transpose()?);
    more("says", shown.about.as_ref().and_then(|about| about.get("body")).map(json).transpose()?);
    more("due", shown.due.map(|due| due.to_string()));
    more("deal", shown.settlement.as_ref().map(json).transpose()?);
    more("next", shown.settlement.as_ref().and_then(|deal| next(shown, deal)));
    more("mediator", shown.mediator.map(|id| id.to_string()));
    more("proposed", shown.proposed.as_ref().map(json).transpose()?);
    let jurors: Vec<String> = shown.jurors.iter().flatten().map(ToString::to_string).collect();
    more("jurors", (!jurors.is_empty()).then(|| jurors.join(", ")));
    more("vote", shown.vote.as_ref().map(|vote| vote.proposal.to_string()));
    more(
        "unrewarded",
        shown.vote.as_ref().and_then(|vote| vote.unrewarded.as_ref()).map(|why| why.detail.clone()),
    );
    more("ending", shown.resolution.as_ref().map(json).transpose()?);
    Ok(lines)
}

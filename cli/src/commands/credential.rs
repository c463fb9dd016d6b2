//! `earnest credential`: what parties say of one another, and what a hub says of a lost dispute.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use hub::{
    page::Page,
    records::RecordId,
    reputation::{
        CredentialView, Offer, OfferRequest,
        bundle::Bundle,
        jose::Holder,
        model::{Form, Kind, WalletDid},
        presentation::{self, Asked},
    },
};
use serde_json::Value;

use super::{Session, query, record_id, reputation::did, verify_deal::read};
use crate::{
    client::{credential, hub::now, openid, trade},
    output::print,
};

/// Credentials.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Issue your credential about the other party of a completed purchase, or about whoever you paid in hours
    #[command(after_help = "Examples:\n  earnest --as buyer credential issue zQmPurchase…\n  \
        earnest --as ida credential issue zQmTransfer… --for skill")]
    Issue {
        /// The purchase; with --for, the transfer@1 or capture@1 by which you paid
        #[arg(value_parser = record_id)]
        about: RecordId,
        /// What you have paid for in hours
        #[arg(long = "for", value_enum, value_name = "WHAT")]
        given: Option<Given>,
        /// As a token (`vc+jwt`) in the place of a JSON object with a proof
        #[arg(long)]
        jwt: bool,
    },
    /// Take a credential back that you issued, for good
    #[command(
        after_help = "Example:\n  earnest --as buyer credential revoke zQmCredential… --reason 'It broke the next day'"
    )]
    Revoke {
        /// The credential
        #[arg(value_parser = record_id)]
        credential: RecordId,
        /// Why, for everybody to read
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Offer a credential about one of your wallets to a wallet for credentials: a link for ten minutes
    #[command(after_help = "Example:\n  earnest --as seller credential offer zQmCredential… --tx-code")]
    Offer {
        /// The credential
        #[arg(value_parser = record_id)]
        credential: RecordId,
        /// Ask the wallet for digits that only you are told
        #[arg(long)]
        tx_code: bool,
    },
    /// Take up an offer with your device's key, from any issuer that speaks OpenID4VCI; prints the credential
    #[command(
        after_help = "Example:\n  earnest --as seller credential receive 'openid-credential-offer://?…' > mine.json"
    )]
    Receive {
        /// The offer: its link or its JSON
        offer: String,
        /// The digits that were shown with it
        #[arg(long, value_name = "DIGITS")]
        tx_code: Option<String>,
        /// As a token (`vc+jwt`) in the place of a JSON object with a proof
        #[arg(long)]
        jwt: bool,
    },
    /// Show credentials that are bound to your device's key to a verifier; prints the presentation
    #[command(
        after_help = "Example:\n  earnest --as seller credential present mine.json --challenge 7fQ2 --domain https://shop.example"
    )]
    Present {
        /// Files with credentials that you received
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// What the verifier drew for this occasion
        #[arg(long)]
        challenge: String,
        /// The verifier, as it named itself
        #[arg(long)]
        domain: String,
        /// As a token (`vp+jwt`) in the place of a JSON object with a proof
        #[arg(long)]
        jwt: bool,
    },
    /// Print a closed deal of yours as one file that anybody can check without a server: `earnest verify bundle`
    #[command(after_help = "Example:\n  earnest --as buyer credential bundle zQmPurchase… > bundle.json")]
    Bundle {
        /// The purchase
        #[arg(value_parser = record_id)]
        purchase: RecordId,
    },
    /// Show a credential that you may read
    #[command(after_help = "Examples:\n  earnest credential show zQmCredential…\n  \
        earnest --json credential show zQmCredential… | jq .credential > credential.json\n  \
        earnest verify credential credential.json")]
    Show {
        /// The credential
        #[arg(value_parser = record_id)]
        credential: RecordId,
    },
    /// List credentials; with --json each can be handed to `earnest verify credential`
    #[command(after_help = "Example:\n  earnest --json credential list --subject did:pkh:eip155:31337:0x… \
        | jq .items[0].credential > credential.json")]
    List {
        /// About this wallet: did:pkh:<chain>:<address>
        #[arg(long, value_parser = did)]
        subject: Option<WalletDid>,
        /// `next` of the page before
        #[arg(long)]
        after: Option<u64>,
    },
}

/// What was given for hours.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Given {
    /// A skill or service: SkillProviderCredential
    Skill,
    /// Help, or a thing shared: ReliableSharerCredential
    Help,
}

impl From<Given> for Kind {
    fn from(given: Given) -> Self {
        match given {
            Given::Skill => Self::SkillProvider,
            Given::Help => Self::ReliableSharer,
        }
    }
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::Issue { about, given, jwt } => {
            let member = session.member().await?;
            let form = if jwt { Form::Jose } else { Form::DataIntegrity };
            let receipt = if let Some(given) = given {
                credential::issue_for(&member, about, given.into(), form).await?
            } else {
                let view = trade::read(&member, about).await?;
                let chain = session.chain_for(trade::details(&view)?.terms.escrow.chain).await?;
                credential::issue(&member, &chain, &view, form).await?
            };
            session.accepted("credential", &receipt)
        }
        Verb::Revoke { credential, reason } => {
            let member = session.member().await?;
            let receipt = credential::revoke(&member, credential, reason).await?;
            session.accepted("revocation", &receipt)
        }
        Verb::Offer { credential, tx_code } => {
            let member = session.member().await?;
            let asked = OfferRequest { credential, tx_code };
            let offer: Offer = member.hub.http.post("/v1/credential-offers", &asked).await?;
            let digits = offer.tx_code.clone().unwrap_or_else(|| "none".to_owned());
            let lines =
                [("link", offer.uri.clone()), ("digits", digits), ("until", offer.expires.to_string())];
            session.output.one(&offer, &lines)
        }
        Verb::Receive { offer, tx_code, jwt } => {
            let offer = openid::offer_of(&offer)?;
            let profile = session.profile()?;
            let credential = openid::receive(&profile, &offer, tx_code.as_deref(), jwt).await?;
            print(&credential.to_string())
        }
        Verb::Present { files, challenge, domain, jwt } => {
            let profile = session.profile()?;
            let credentials = files.iter().map(|file| read(file)).collect::<Result<Vec<Value>>>()?;
            let holder = Holder::of_device(profile.device.device());
            let asked = Asked { challenge: &challenge, domain: &domain };
            let form = if jwt { Form::Jose } else { Form::DataIntegrity };
            let shown = presentation::present(&credentials, &holder, asked, form, &profile.device, now())?;
            print(&shown.to_string())
        }
        Verb::Bundle { purchase } => {
            let bundle: Bundle =
                session.member().await?.get(&format!("/v1/purchases/{purchase}/bundle")).await?;
            print(&serde_json::to_string(&bundle)?)
        }
        Verb::Show { credential } => {
            let path = format!("/v1/credentials/{credential}");
            let held: CredentialView = session.reader().await?.get(&path).await?;
            let stands =
                held.revoked.map_or_else(|| "yes".to_owned(), |by| format!("no, taken back by {by}"));
            session.output.one(
                &held,
                &[
                    ("credential", held.id.to_string()),
                    ("kind", held.kind.clone()),
                    ("about", held.subject.to_string()),
                    ("rests on", held.about.to_string()),
                    ("issuer", held.issuer.to_string()),
                    ("stands", stands),
                ],
            )
        }
        Verb::List { subject, after } => {
            let subject = subject.map(|subject| subject.to_string());
            let after = after.map(|after| after.to_string());
            let path = query("/v1/credentials", &[("subject", subject), ("after", after)]);
            let page: Page<CredentialView> = session.reader().await?.get(&path).await?;
            let rows = page
                .items
                .iter()
                .map(|one| {
                    let stands = if one.revoked.is_some() { "no" } else { "yes" };
                    vec![one.id.to_string(), one.kind.clone(), one.subject.to_string(), stands.to_owned()]
                })
                .collect();
            session.output.many(&page, &["credential", "kind", "about", "stands"], rows)
        }
    }
}

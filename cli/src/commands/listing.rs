//! `earnest listing`: what is offered.

use alloy::primitives::B256;
use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use hub::{
    access::Audience,
    market::{
        ListingBody, ListingKind, ListingStatus, ListingView, LocationPref, PanelRef, Price, PriceAsset,
        PriceType, Visibility,
    },
    page::Page,
    records::RecordId,
};
use protocol::chain::AssetId;

use super::{Session, query, record_id, word};
use crate::amount;

/// Listings.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Offer something
    #[command(after_help = "Example:\n  earnest --as ida listing create 'A bicycle, repaired' \
        --kind service --price 250000000000000000 --tag bicycle")]
    Create(New),
    /// Show a listing
    Show {
        /// Its id
        #[arg(value_parser = record_id)]
        id: RecordId,
    },
    /// List what you may see, the newest first
    #[command(after_help = "Example:\n  earnest listing list --tag bicycle --status active")]
    List(Filter),
    /// Activate, pause or end a listing of yours
    #[command(after_help = "Example:\n  earnest --as ida listing set-status zQmListing… paused")]
    SetStatus {
        /// Its id
        #[arg(value_parser = record_id)]
        id: RecordId,
        /// draft, active, paused, sold or expired
        #[arg(value_parser = word::<ListingStatus>)]
        status: ListingStatus,
    },
}

/// A new listing.
#[derive(Args, Debug)]
pub struct New {
    /// One line
    title: String,
    /// data_product, service, physical or digital
    #[arg(long, value_parser = word::<ListingKind>)]
    kind: ListingKind,
    /// As long as you like, up to 8,000 characters
    #[arg(long, default_value = "")]
    description: String,
    /// fixed, hourly, negotiable, free or time_credit
    #[arg(long, value_parser = word::<PriceType>, default_value = "fixed")]
    price_type: PriceType,
    /// In the asset's smallest unit (wei, lamports)
    #[arg(long)]
    price: Option<u128>,
    /// What the price is in: CAIP-19, or time_credit [default: the coin of the chain that --on names]
    #[arg(long, value_name = "ASSET")]
    asset: Option<PriceAsset>,
    /// A word to be found by; may be given several times
    #[arg(long = "tag")]
    tags: Vec<String>,
    /// local, regional or global
    #[arg(long, value_parser = word::<LocationPref>, default_value = "global")]
    location: LocationPref,
    /// public, or private: for you alone
    #[arg(long, value_enum, default_value_t = Seen::Public)]
    visibility: Seen,
    /// Do not offer it yet
    #[arg(long)]
    draft: bool,
    /// The pool that shall rule on disputes
    #[arg(long)]
    panel: Option<B256>,
}

/// Visibility on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Seen {
    /// Everyone
    Public,
    /// You alone
    Private,
}

/// Which listings.
#[derive(Args, Debug)]
pub struct Filter {
    /// data_product, service, physical or digital
    #[arg(long, value_parser = word::<ListingKind>)]
    kind: Option<ListingKind>,
    /// draft, active, paused, sold or expired
    #[arg(long, value_parser = word::<ListingStatus>)]
    status: Option<ListingStatus>,
    /// With this tag
    #[arg(long)]
    tag: Option<String>,
    /// With these words in title, description or tags
    #[arg(long, short)]
    q: Option<String>,
    /// `next` of the page before
    #[arg(long)]
    after: Option<u64>,
    /// At most so many, up to 100
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::Create(new) => create(session, new).await,
        Verb::Show { id } => {
            let listing: ListingView = session.reader().await?.get(&format!("/v1/listings/{id}")).await?;
            let body = &listing.body;
            session.output.one(
                &listing,
                &[
                    ("listing", listing.id.to_string()),
                    ("seller", listing.seller.to_string()),
                    ("title", body.title.clone()),
                    ("description", body.description.clone()),
                    ("kind", body.kind.name().to_owned()),
                    ("status", body.status.name().to_owned()),
                    ("price", prices(body)),
                    ("tags", body.tags.join(", ")),
                    ("pay to", body.pay_to.map(|wallet| wallet.to_string()).unwrap_or_default()),
                    ("panel", body.panel.map(|pool| pool.panel.to_string()).unwrap_or_default()),
                ],
            )
        }
        Verb::List(filter) => {
            let limit = Some(filter.limit.to_string());
            let path = query(
                "/v1/listings",
                &[
                    ("kind", filter.kind.map(|kind| kind.name().to_owned())),
                    ("status", filter.status.map(|status| status.name().to_owned())),
                    ("tag", filter.tag),
                    ("q", filter.q),
                    ("after", filter.after.map(|after| after.to_string())),
                    ("limit", limit),
                ],
            );
            let page: Page<ListingView> = session.reader().await?.get(&path).await?;
            let rows = page.items.iter().map(|one| {
                let body = &one.body;
                vec![one.id.to_string(), body.title.clone(), body.status.name().to_owned(), prices(body)]
            });
            session.output.many(&page, &["listing", "title", "status", "price"], rows.collect())
        }
        Verb::SetStatus { id, status } => {
            let member = session.member().await?;
            let listing: ListingView = member.get(&format!("/v1/listings/{id}")).await?;
            let body = ListingBody { status, ..listing.body };
            let audience = audience(&body, member.account);
            let draft = member.draft("listing@1", &body)?.about(id).only_for(audience);
            session.accepted("revision", &member.say(&draft).await?)
        }
    }
}

async fn create(session: &Session, new: New) -> Result<()> {
    let member = session.member().await?;
    let asset = match new.asset {
        Some(asset) => asset,
        None => PriceAsset::Chain(AssetId::native(session.chain().await?.id())),
    };
    // Where the price is paid; a price in time credits is paid on no chain.
    let chain = match asset {
        PriceAsset::Chain(asset) => asset.chain,
        PriceAsset::TimeCredit => session.chain().await?.id(),
    };
    let panel = match new.panel {
        Some(panel) => {
            let arbiter = session.contract_on("--panel's contract", None, chain, |side| side.arbiter)?;
            Some(PanelRef { arbiter, panel })
        }
        None => None,
    };
    let body = ListingBody {
        kind: new.kind,
        title: new.title,
        description: new.description,
        price_type: new.price_type,
        price: new.price.map(|amount| Price { asset, amount }).into_iter().collect(),
        fiat: None,
        tags: new.tags,
        location_pref: new.location,
        visibility: if new.visibility == Seen::Public { Visibility::Public } else { Visibility::Private },
        status: if new.draft { ListingStatus::Draft } else { ListingStatus::Active },
        pay_to: Some(member.profile.wallet.account(chain)?),
        panel,
    };
    let audience = audience(&body, member.account);
    let draft = member.draft("listing@1", &body)?.only_for(audience);
    session.accepted("listing", &member.say(&draft).await?)
}

/// Who may read a listing, by its status and visibility.
fn audience(body: &ListingBody, seller: RecordId) -> Vec<Audience> {
    match (body.status, body.visibility) {
        (ListingStatus::Draft, _) | (_, Visibility::Private) => vec![Audience::Account(seller)],
        _ => vec![Audience::Public],
    }
}

fn prices(body: &ListingBody) -> String {
    let each = body.price.iter().map(|price| match &price.asset {
        PriceAsset::Chain(asset) => amount::of(asset, price.amount),
        PriceAsset::TimeCredit => format!("{} {}", price.amount, price.asset),
    });
    each.collect::<Vec<_>>().join(", ")
}

//! `earnest listing`: what is offered.

use alloy::primitives::B256;
use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use hub::{
    access::Audience,
    market::{
        ListingBody, ListingKind, ListingStatus, ListingView, LocationPref, PanelRef, Price, PriceAsset,
        PriceType, Visibility,
    },
    page::Page,
    records::{Record, RecordId},
};
use protocol::chain::{AssetId, ChainId};

use super::{Session, query, record_id, word};
use crate::{
    amount,
    client::{hub::Member, records::signed},
};

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
    /// Say something else of a listing of yours; what is not named stays as it is, its kind always. What was bought before keeps
    /// its terms
    #[command(
        after_help = "Examples:\n  earnest --as ida listing revise zQmListing… --price 300000000000000000\n  \
        earnest --as ida listing revise zQmListing… --title 'A bicycle, repaired twice' --tag bicycle --tag used"
    )]
    Revise {
        /// Its id
        #[arg(value_parser = record_id)]
        id: RecordId,
        #[command(flatten)]
        change: Box<Change>,
    },
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

/// What is said anew.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub struct Change {
    /// One line
    #[arg(long)]
    title: Option<String>,
    /// As long as you like, up to 8,000 characters
    #[arg(long)]
    description: Option<String>,
    /// fixed, hourly, negotiable, free (its prices go) or time_credit
    #[arg(long, value_parser = word::<PriceType>)]
    price_type: Option<PriceType>,
    /// In the asset's smallest unit (wei, lamports); in the place of all prices that it has
    #[arg(long)]
    price: Option<u128>,
    /// What --price is in: CAIP-19, or time_credit [default: what its only price is in]
    #[arg(long, value_name = "ASSET", requires = "price")]
    asset: Option<PriceAsset>,
    /// A word to be found by, in the place of all that it has; may be given several times
    #[arg(long = "tag")]
    tags: Vec<String>,
    /// local, regional or global
    #[arg(long, value_parser = word::<LocationPref>)]
    location: Option<LocationPref>,
    /// public, or private: for you alone
    #[arg(long, value_enum)]
    visibility: Option<Seen>,
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

impl From<Seen> for Visibility {
    fn from(seen: Seen) -> Self {
        match seen {
            Seen::Public => Self::Public,
            Seen::Private => Self::Private,
        }
    }
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
        Verb::Revise { id, change } => {
            let member = session.member().await?;
            let listing: ListingView = member.get(&format!("/v1/listings/{id}")).await?;
            let body = changed(session, &member, listing.body, *change).await?;
            revise(session, &member, (id, listing.revision), &body).await
        }
        Verb::SetStatus { id, status } => {
            let member = session.member().await?;
            let listing: ListingView = member.get(&format!("/v1/listings/{id}")).await?;
            let body = ListingBody { status, ..listing.body };
            revise(session, &member, (id, listing.revision), &body).await
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
    let panel = new.panel.map(|panel| pool_on(session, chain, panel)).transpose()?;
    let body = ListingBody {
        kind: new.kind,
        title: new.title,
        description: new.description,
        price_type: new.price_type,
        price: new.price.map(|amount| Price { asset, amount }).into_iter().collect(),
        fiat: None,
        tags: new.tags,
        location_pref: new.location,
        visibility: new.visibility.into(),
        status: if new.draft { ListingStatus::Draft } else { ListingStatus::Active },
        pay_to: Some(member.profile.wallet.account(chain)?),
        panel,
    };
    let audience = audience(&body, member.account);
    let draft = member.draft("listing@1", &body)?.only_for(audience);
    session.accepted("listing", &member.say(&draft).await?)
}

/// The pool of the arbiter that is known on this chain.
fn pool_on(session: &Session, chain: ChainId, panel: B256) -> Result<PanelRef> {
    let arbiter = session.contract_on("--panel's contract", None, chain, |side| side.arbiter)?;
    Ok(PanelRef { arbiter, panel })
}

/// What a listing says once this has changed.
async fn changed(
    session: &Session,
    member: &Member,
    was: ListingBody,
    change: Change,
) -> Result<ListingBody> {
    let price_type = change.price_type.unwrap_or(was.price_type);
    let price = match (change.price, price_type) {
        (Some(amount), _) => vec![Price { asset: asset_of(change.asset, &was.price)?, amount }],
        (None, PriceType::Free) => Vec::new(),
        (None, _) => was.price.clone(),
    };
    // What other prices were worth says nothing of these.
    let fiat = was.fiat.filter(|_| price == was.price);
    let pay_to = match price.first().map(|price| price.asset) {
        Some(PriceAsset::Chain(asset)) if was.pay_to.is_none_or(|wallet| wallet.chain != asset.chain) => {
            Some(member.profile.wallet.account(asset.chain)?)
        }
        _ => was.pay_to,
    };
    let panel = match (change.panel, pay_to) {
        (None, wallet) => {
            was.panel.filter(|pool| wallet.is_none_or(|wallet| wallet.chain == pool.arbiter.chain))
        }
        (Some(panel), Some(wallet)) => Some(pool_on(session, wallet.chain, panel)?),
        (Some(panel), None) => Some(pool_on(session, session.chain().await?.id(), panel)?),
    };
    Ok(ListingBody {
        title: change.title.unwrap_or(was.title),
        description: change.description.unwrap_or(was.description),
        price_type,
        price,
        fiat,
        tags: if change.tags.is_empty() { was.tags } else { change.tags },
        location_pref: change.location.unwrap_or(was.location_pref),
        visibility: change.visibility.map_or(was.visibility, Into::into),
        pay_to,
        panel,
        kind: was.kind,
        status: was.status,
    })
}

/// What a new price is in: as named, else as the only one before.
fn asset_of(named: Option<PriceAsset>, before: &[Price]) -> Result<PriceAsset> {
    match (named, before) {
        (Some(asset), _) => Ok(asset),
        (None, [one]) => Ok(one.asset),
        (None, _) => bail!(
            "--asset is missing: the listing has {} prices, and what --price is in follows from one alone",
            before.len()
        ),
    }
}

/// Says a listing anew; `listing` is its id and that of its newest record.
async fn revise(
    session: &Session,
    member: &Member,
    listing: (RecordId, RecordId),
    body: &ListingBody,
) -> Result<()> {
    let (id, newest) = listing;
    let audience = match body.visibility {
        Visibility::Followers if body.status != ListingStatus::Draft => {
            followers(signed(&member.hub.http, newest, "listing@1").await?)?
        }
        _ => audience(body, member.account),
    };
    let draft = member.draft("listing@1", body)?.about(id).only_for(audience);
    session.accepted("revision", &member.say(&draft).await?)
}

/// Who may read a listing for followers: its newest record alone names them, and that of a draft does not.
fn followers(newest: Record) -> Result<Vec<Audience>> {
    if newest.body_as::<ListingBody>()?.status == ListingStatus::Draft {
        bail!(
            "{}, the listing's newest record, is a draft and names nobody who follows: publish it where it \
             was drafted, or revise it with --visibility first",
            newest.id
        );
    }
    Ok(newest.audience)
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

#[cfg(test)]
mod tests {
    use hub::records::{DeviceKey, Draft};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_draft_names_nobody_who_follows() {
        let [seller, follower] = ["anna", "ben"].map(|who| RecordId::of(&json!({ "who": who })).unwrap());
        let newest = |status: &str, readers: &[RecordId]| {
            let body = json!({
                "kind": "service",
                "title": "Eggs",
                "description": "Of today.",
                "price_type": "free",
                "price": [],
                "tags": [],
                "location_pref": "local",
                "visibility": "followers",
                "status": status,
            });
            let created = "2026-11-21T10:00:00Z".parse().unwrap();
            let draft = Draft::new("listing@1", Some(seller), created, body);
            let draft = draft.only_for(readers.iter().copied().map(Audience::Account).collect());
            Record::read(&draft.sign(&DeviceKey::from_seed([1; 32])).unwrap()).unwrap()
        };
        let both = [seller, follower];
        assert_eq!(followers(newest("active", &both)).unwrap(), both.map(Audience::Account));
        let refused = followers(newest("draft", &[seller])).unwrap_err().to_string();
        assert!(refused.contains("names nobody who follows"), "{refused}");
    }
}

//! The sample community: a steward, a buyer, a seller and eight jurors, a pool that all of them are on, and a listing.
//! What earlier runs made is found again.

use std::time::Duration;

use alloy::primitives::{Address, B256};
use anyhow::{Context, Result, anyhow};
use hub::{
    access::Role,
    communities::{CommunityBody, CommunityView, MembershipBody, PoolBody},
    market::{
        ListingBody, ListingKind, ListingStatus, ListingView, LocationPref, PanelRef, Price, PriceAsset,
        PriceType, Visibility,
    },
    records::RecordId,
};
use protocol::{
    chain::{AccountId, AssetId},
    evm::pools::ArbitrationPools,
    wire::feed::RuleBook,
};

use super::{local, progress::Progress};
use crate::{
    client::{
        chain::{Chain, Wallet},
        contracts,
        hub::{Hub, Member},
        profile::Profile,
        trade::Wish,
    },
    place::{Market, Place},
};

/// Services that a test kills are back within this time.
const PATIENCE: Duration = Duration::from_secs(60);
const JURORS: usize = 8;

/// The people and what they share.
#[derive(Debug)]
pub struct Sample {
    pub(super) chain: Chain,
    pub(super) market: Market,
    pub(super) buyer: Person,
    pub(super) seller: Person,
    pub(super) jurors: Vec<Person>,
    pub(super) pool: B256,
    pub(super) listing: ListingView,
}

/// Somebody with an account, signed in, and a wallet.
#[derive(Clone, Debug)]
pub struct Person {
    pub(super) member: Member,
    pub(super) wallet: Wallet,
}

impl Person {
    pub(super) fn name(&self) -> &str {
        &self.member.profile.name
    }
}

impl Sample {
    /// How the sample deals are meant: an hour to fund, a day to deliver and to inspect, and what the pool needs to rule.
    pub(super) fn wish(&self) -> Wish {
        let account = |address: Address| AccountId { chain: self.market.chain, address: address.into() };
        Wish {
            escrow: account(self.market.contracts.escrow),
            arbiter: account(self.market.contracts.pools),
            panel: self.pool,
            fund_within: 3_600,
            deliver_within: 86_400,
            inspection: 86_400,
            ruling: 172_800,
            lapse_share: 5_000,
            price: 0,
        }
    }
}

pub(super) async fn fill(place: &Place, market: &mut Market, progress: &Progress) -> Result<Sample> {
    let chain = Chain::connect(&market.urls.rpc).await?;
    let hub = Hub::at(&market.urls.hub, PATIENCE)?;
    let (steward, buyer, seller, mut jurors) =
        progress.step("sign in the people", people(place, &chain, &hub)).await?;
    let everyone: Vec<&Person> = [&steward, &buyer, &seller].into_iter().chain(&jurors).collect();
    let community =
        progress.step("gather them in a community", community(market, &steward, &everyone)).await?;
    market.community = Some(community.to_string());
    place.remember(market)?;
    let pool =
        progress.step("set up their arbitration pool", pool(market, &steward, community, &everyone)).await?;
    market.panel = Some(pool);
    place.remember(market)?;
    let listing = progress.step("put something up for sale", listing(market, &seller, pool)).await?;
    market.listing = Some(listing.id.to_string());
    place.remember(market)?;
    progress.say(&format!("  community {community}\n  pool {pool}\n  listing {}", listing.id));
    // The steward is on the list as well.
    jurors.push(steward);
    Ok(Sample { chain, market: market.clone(), buyer, seller, jurors, pool, listing })
}

async fn people(place: &Place, chain: &Chain, hub: &Hub) -> Result<(Person, Person, Person, Vec<Person>)> {
    let mut profiles = Vec::new();
    for name in ["steward", "buyer", "seller"] {
        profiles.push(profile(place, name)?);
    }
    // Jurors sign and send nothing, so they need no coins.
    let addresses: Vec<Address> = profiles.iter().map(Profile::address).collect();
    local::provide(&local::faucet(chain)?, &addresses).await?;
    for number in 1..=JURORS {
        profiles.push(profile(place, &format!("juror-{number}"))?);
    }
    let mut people = Vec::new();
    for mut profile in profiles {
        if profile.account.is_none() {
            hub.join(&mut profile, chain.id).await?;
        }
        let wallet = chain.signed_by(&profile.wallet)?;
        people.push(Person { member: hub.sign_in(&profile).await?, wallet });
    }
    let mut people = people.into_iter();
    let mut next = || people.next().ok_or_else(|| anyhow!("somebody is missing"));
    let (steward, buyer, seller) = (next()?, next()?, next()?);
    Ok((steward, buyer, seller, people.collect()))
}

fn profile(place: &Place, name: &str) -> Result<Profile> {
    let folder = Profile::folder(&place.profiles(), name);
    if folder.join("profile.json").exists() {
        Profile::open(&folder)
    } else {
        Profile::create(&folder, name, None)
    }
}

async fn community(market: &Market, steward: &Person, everyone: &[&Person]) -> Result<RecordId> {
    let member = &steward.member;
    let community: RecordId = match &market.community {
        Some(id) => id.parse().context("market.json: community")?,
        None => {
            let body = CommunityBody { name: "The Repair Café".to_owned() };
            member.say(&member.draft("community@1", &body)?).await?.id
        }
    };
    let view: CommunityView = member.get(&format!("/v1/communities/{community}")).await?;
    let known: Vec<RecordId> = view.members.iter().flatten().map(|member| member.account).collect();
    for person in everyone.iter().filter(|person| !known.contains(&person.member.account)) {
        let body = MembershipBody { account: person.member.account, role: Some(Role::Member) };
        member.say(&member.draft("membership@1", &body)?.about(community)).await?;
    }
    Ok(community)
}

async fn pool(market: &Market, steward: &Person, community: RecordId, everyone: &[&Person]) -> Result<B256> {
    let pools = market.contracts.pools;
    let arbiter = AccountId { chain: market.chain, address: pools.into() };
    let book = RuleBook {
        keeper: steward.wallet.address.into(),
        parent: B256::ZERO,
        jury_size: 3,
        delay: 0,
        opening: 60,
        voting: 600,
        appeal: 0,
        salt: B256::ZERO,
    };
    let (pool, _) = contracts::create_pool(&steward.wallet, arbiter, &book).await?;
    let lists = steward.wallet.chain.read(pools, &ArbitrationPools::listCountCall { pool }).await?;
    if lists == 0 {
        let members: Vec<Address> = everyone.iter().map(|person| person.wallet.address).collect();
        contracts::publish(&steward.wallet, arbiter, pool, &members).await?;
    }
    if market.panel.is_none() {
        let draft = steward.member.draft("pool@1", &PoolBody { arbiter, panel: pool })?;
        steward.member.say(&draft.about(community)).await?;
    }
    Ok(pool)
}

/// What the sample listing costs: a quarter of a coin, in wei.
const PRICE: u128 = 250_000_000_000_000_000;

async fn listing(market: &Market, seller: &Person, pool: B256) -> Result<ListingView> {
    let member = &seller.member;
    let id: RecordId = match &market.listing {
        Some(id) => id.parse().context("market.json: listing")?,
        None => {
            let account = |address: Address| AccountId { chain: market.chain, address: address.into() };
            let body = ListingBody {
                kind: ListingKind::Service,
                title: "A bicycle, repaired".to_owned(),
                description: "Brakes, gears and chain of one bicycle, with new cables where needed."
                    .to_owned(),
                price_type: PriceType::Fixed,
                price: vec![Price { asset: PriceAsset::Chain(AssetId::native(market.chain)), amount: PRICE }],
                fiat: None,
                tags: vec!["bicycle".to_owned(), "repair".to_owned()],
                location_pref: LocationPref::Local,
                visibility: Visibility::Public,
                status: ListingStatus::Active,
                pay_to: Some(account(seller.wallet.address)),
                panel: Some(PanelRef { arbiter: account(market.contracts.pools), panel: pool }),
            };
            member.say(&member.draft("listing@1", &body)?).await?.id
        }
    };
    member.get(&format!("/v1/listings/{id}")).await
}

//! The sample community: a steward, a buyer, a seller and eight jurors, and on each chain a pool that all of them are on, and
//! a listing.
//! What earlier runs made is found again.

use std::time::Duration;

use alloy::primitives::B256;
use anyhow::{Context, Result, anyhow, bail};
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
    chain::{Address, AssetId, ChainId},
    wire::feed::RuleBook,
};

use super::{local, progress::Progress};
use crate::{
    amount,
    client::{
        acts,
        chain::{Chain, Purse},
        hub::{Hub, Member},
        profile::{First, Profile},
        trade::Wish,
    },
    place::{Market, Place, Side},
};

/// Services that a test kills are back within this time.
const PATIENCE: Duration = Duration::from_secs(60);
const JURORS: usize = 8;

/// The people and what they share on one chain.
#[derive(Debug)]
pub struct Sample {
    pub(super) chain: Chain,
    pub(super) side: Side,
    pub(super) buyer: Person,
    pub(super) seller: Person,
    pub(super) jurors: Vec<Person>,
    pub(super) pool: B256,
    pub(super) listing: ListingView,
}

/// Somebody with an account, signed in, and a wallet on the chain.
#[derive(Clone, Debug)]
pub struct Person {
    pub(super) member: Member,
    pub(super) purse: Purse,
}

impl Person {
    pub(super) fn name(&self) -> &str {
        &self.member.profile.name
    }
}

impl Sample {
    /// How the sample deals are meant: an hour to fund, a day to deliver and to inspect, and what the pool needs to rule.
    pub(super) fn wish(&self) -> Wish {
        Wish {
            escrow: self.side.escrow,
            arbiter: self.side.arbiter,
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

/// The same people on each of the first `running` chains of the market.
pub(super) async fn fill(
    place: &Place,
    market: &mut Market,
    running: usize,
    progress: &Progress,
) -> Result<Vec<Sample>> {
    let mut chains = Vec::new();
    for side in market.sides.iter().take(running) {
        chains.push(Chain::connect(&side.urls.rpc).await?);
    }
    let hub = Hub::at(&market.hub, PATIENCE)?;
    let members = progress.step("sign in the people", people(place, &chains, &hub)).await?;
    let community = progress.step("gather them in a community", community(market, &members)).await?;
    market.community = Some(community.to_string());
    place.remember(market)?;
    progress.say(&format!("  community {community}"));
    let mut samples = Vec::new();
    for chain in chains {
        samples.push(on(place, market, chain, community, &members, progress).await?);
    }
    Ok(samples)
}

/// What they share on one chain.
async fn on(
    place: &Place,
    market: &mut Market,
    chain: Chain,
    community: RecordId,
    members: &[Member],
    progress: &Progress,
) -> Result<Sample> {
    let person = |member: &Member| {
        let purse = chain.signed_by(&member.profile.wallet)?;
        Ok::<_, anyhow::Error>(Person { member: member.clone(), purse })
    };
    let everyone = members.iter().map(person).collect::<Result<Vec<_>>>()?;
    let [steward, buyer, seller, jurors @ ..] = everyone.as_slice() else { bail!("somebody is missing") };
    let missing = || anyhow!("the market is not on {}", chain.id());
    let side = market.side_mut(chain.id()).ok_or_else(missing)?;
    let pool =
        progress.step("set up their arbitration pool", pool(side, steward, community, &everyone)).await?;
    side.panel = Some(pool);
    let listing = progress.step("put something up for sale", listing(side, seller, pool)).await?;
    side.listing = Some(listing.id.to_string());
    let side = side.clone();
    place.remember(market)?;
    progress.say(&format!("  pool {pool}\n  listing {}", listing.id));
    // The steward is on the list as well.
    let jurors = jurors.iter().chain([steward]).cloned().collect();
    Ok(Sample { side, buyer: buyer.clone(), seller: seller.clone(), jurors, pool, listing, chain })
}

/// Steward, buyer, seller and jurors, each with a wallet for every kind of chain, all of which the hub knows.
async fn people(place: &Place, chains: &[Chain], hub: &Hub) -> Result<Vec<Member>> {
    let mut profiles = Vec::new();
    for name in ["steward", "buyer", "seller"] {
        profiles.push(profile(place, name, chains)?);
    }
    // Jurors sign and send nothing, so they need no coins.
    for chain in chains {
        let addresses: Result<Vec<Address>> =
            profiles.iter().map(|profile| profile.wallet.address(chain.id())).collect();
        local::provide(&local::faucet(chain)?, &addresses?).await?;
    }
    for number in 1..=JURORS {
        profiles.push(profile(place, &format!("juror-{number}"), chains)?);
    }
    let mut members = Vec::new();
    for mut profile in profiles {
        for chain in chains {
            let wallet = profile.wallet.account(chain.id())?;
            if !profile.words.contains_key(&wallet.to_string()) {
                hub.join(&mut profile, chain.id()).await?;
            }
        }
        hub.stand_in(&profile).await?;
        members.push(hub.sign_in(&profile).await?);
    }
    Ok(members)
}

fn profile(place: &Place, name: &str, chains: &[Chain]) -> Result<Profile> {
    let folder = Profile::folder(&place.profiles(), name);
    let mut profile = if folder.join("profile.json").exists() {
        Profile::open(&folder)?
    } else {
        Profile::create(&folder, name, First::Evm(None))?
    };
    let needs = chains.iter().any(|chain| matches!(chain.id(), ChainId::Solana(_)));
    if needs && profile.wallet.solana.is_none() {
        profile.take(First::Solana(None))?;
    }
    Ok(profile)
}

async fn community(market: &Market, members: &[Member]) -> Result<RecordId> {
    let steward = members.first().ok_or_else(|| anyhow!("nobody is there"))?;
    let community: RecordId = match &market.community {
        Some(id) => id.parse().context("market.json: community")?,
        None => {
            let body = CommunityBody { name: "The Repair Café".to_owned() };
            steward.say(&steward.draft("community@1", &body)?).await?.id
        }
    };
    let view: CommunityView = steward.get(&format!("/v1/communities/{community}")).await?;
    let known: Vec<RecordId> = view.members.iter().flatten().map(|member| member.account).collect();
    for member in members.iter().filter(|member| !known.contains(&member.account)) {
        let body = MembershipBody { account: member.account, role: Some(Role::Member) };
        member.say(&member.draft("membership@1", &body)?.about(community)).await?;
        steward.say(&steward.draft("membership@1", &body)?.about(community)).await?;
    }
    Ok(community)
}

async fn pool(side: &Side, steward: &Person, community: RecordId, everyone: &[Person]) -> Result<B256> {
    let arbiter = side.arbiter;
    let book = RuleBook {
        keeper: steward.purse.address(),
        parent: B256::ZERO,
        jury_size: 3,
        delay: 0,
        opening: 60,
        voting: 600,
        appeal: 0,
        salt: B256::ZERO,
    };
    let (pool, _) = acts::create_pool(&steward.purse, arbiter, &book).await?;
    if acts::lists(&steward.purse.chain(), arbiter, pool).await? == Some(0) {
        let members: Vec<Address> = everyone.iter().map(|person| person.purse.address()).collect();
        acts::publish(&steward.purse, arbiter, pool, &members).await?;
    }
    if side.panel.is_none() {
        let draft = steward.member.draft("pool@1", &PoolBody { arbiter, panel: pool })?;
        steward.member.say(&draft.about(community)).await?;
    }
    Ok(pool)
}

async fn listing(side: &Side, seller: &Person, pool: B256) -> Result<ListingView> {
    let member = &seller.member;
    let id: RecordId = match &side.listing {
        Some(id) => id.parse().context("market.json: listing")?,
        None => {
            // A quarter of a coin.
            let amount = amount::one_coin(side.chain) / 4;
            let body = ListingBody {
                kind: ListingKind::Service,
                title: "A bicycle, repaired".to_owned(),
                description: "Brakes, gears and chain of one bicycle, with new cables where needed."
                    .to_owned(),
                price_type: PriceType::Fixed,
                price: vec![Price { asset: PriceAsset::Chain(AssetId::native(side.chain)), amount }],
                fiat: None,
                tags: vec!["bicycle".to_owned(), "repair".to_owned()],
                location_pref: LocationPref::Local,
                visibility: Visibility::Public,
                status: ListingStatus::Active,
                pay_to: Some(member.profile.wallet.account(side.chain)?),
                panel: Some(PanelRef { arbiter: side.arbiter, panel: pool }),
            };
            member.say(&member.draft("listing@1", &body)?).await?.id
        }
    };
    member.get(&format!("/v1/listings/{id}")).await
}

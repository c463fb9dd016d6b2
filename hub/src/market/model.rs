//! The listing's form and rules.

use std::{collections::BTreeSet, fmt, str::FromStr};

use alloy::primitives::B256;
use protocol::{
    chain::{AccountId, AssetId, CaipError, amount_cap},
    wire::dec,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{access::Audience, error::Refusal, records::RecordId};

const TITLE_MAX: usize = 120;
const DESCRIPTION_MAX: usize = 8000;
const PRICES_MAX: usize = 8;
const TAGS_MAX: usize = 16;
const TAG_MAX: usize = 32;
/// Hundredths of a time credit in one price.
const TIME_CREDIT_MAX: u128 = (1 << 88) - 1;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As JSON and the database write it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

words! {
    /// What is offered.
    ListingKind {
        /// Data, delivered as files or answers.
        DataProduct = "data_product",
        /// Work.
        Service = "service",
        /// A thing that is handed over.
        Physical = "physical",
        /// Something to download.
        Digital = "digital",
    }
}
words! {
    /// Where a listing stands.
    ListingStatus {
        /// Being written; only its seller reads it.
        Draft = "draft",
        /// Can be bought.
        Active = "active",
        /// Not for now.
        Paused = "paused",
        /// Gone for good.
        Sold = "sold",
        /// Its time is over; it may be offered again.
        Expired = "expired",
    }
}
words! {
    /// How the price is meant.
    PriceType {
        /// One of the prices, exactly.
        Fixed = "fixed",
        /// One of the prices for each hour.
        Hourly = "hourly",
        /// The prices are where to start.
        Negotiable = "negotiable",
        /// A gift: no price.
        Free = "free",
        /// In time credits alone.
        TimeCredit = "time_credit",
    }
}
words! {
    /// How far from the seller it is meant for.
    LocationPref {
        /// The neighbourhood.
        Local = "local",
        /// The region.
        Regional = "regional",
        /// Anywhere.
        Global = "global",
    }
}
words! {
    /// Who is meant to see it; [`audience_for`] says what that makes of the audience.
    Visibility {
        /// Everyone.
        Public = "public",
        /// The accounts and communities in the audience.
        Followers = "followers",
        /// Its seller.
        Private = "private",
    }
}

/// What a price is counted in: an asset by CAIP-19 in its smallest unit, or `time_credit` in hundredths of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PriceAsset {
    /// A coin or token.
    Chain(AssetId),
    /// Hundredths of an hour.
    TimeCredit,
}

impl fmt::Display for PriceAsset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(asset) => fmt::Display::fmt(asset, f),
            Self::TimeCredit => f.write_str("time_credit"),
        }
    }
}

impl FromStr for PriceAsset {
    type Err = CaipError;

    fn from_str(text: &str) -> Result<Self, CaipError> {
        if text == "time_credit" { Ok(Self::TimeCredit) } else { text.parse().map(Self::Chain) }
    }
}

impl Serialize for PriceAsset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PriceAsset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One of the prices at which a listing is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// CAIP-19, or `time_credit`.
    #[schema(value_type = String)]
    pub asset: PriceAsset,
    /// A decimal string in the asset's smallest unit; 1 to 2^88 - 1.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub amount: u128,
}

/// What a price is worth in a currency of states, for display only: nothing is ever computed from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Fiat {
    /// ISO 4217: three capital letters.
    pub code: String,
    /// Digits, perhaps a point and one to three digits.
    pub amount: String,
}

/// A pool of an arbiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelRef {
    /// CAIP-10.
    #[schema(value_type = String)]
    pub arbiter: AccountId,
    /// The hash of the rule book.
    #[schema(value_type = String)]
    pub panel: B256,
}

/// `listing@1`: the whole listing, first or revised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListingBody {
    /// What is offered; a revision keeps it.
    pub kind: ListingKind,
    /// 1 to 120 characters on one line.
    pub title: String,
    /// At most 8,000 characters.
    pub description: String,
    /// How the price is meant.
    pub price_type: PriceType,
    /// At most 8, each asset once; none when it is free.
    pub price: Vec<Price>,
    /// For display only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fiat: Option<Fiat>,
    /// At most 16, each 1 to 32 of a-z, 0-9 and -, each once.
    pub tags: Vec<String>,
    /// How far from the seller it is meant for.
    pub location_pref: LocationPref,
    /// Who is meant to see it.
    pub visibility: Visibility,
    /// Where it stands from now on.
    pub status: ListingStatus,
    /// The seller's wallet, on the chain of the prices; needed as soon as a price is on a chain. CAIP-10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub pay_to: Option<AccountId>,
    /// Who shall rule on a dispute, as the seller proposes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panel: Option<PanelRef>,
}

fn refuse<T>(rule: &'static str, field: &str, detail: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::schema(rule, format!("/body/{field}"), detail))
}

impl ListingBody {
    /// Everything about the body that needs no look at anything else.
    ///
    /// # Errors
    /// Step `schema`, with the member at fault.
    pub fn check(&self) -> Result<(), Refusal> {
        let title = self.title.chars().count();
        if title == 0
            || title > TITLE_MAX
            || self.title.trim() != self.title
            || self.title.chars().any(char::is_control)
        {
            return refuse("title", "title", format!("must be one line of 1 to {TITLE_MAX} characters"));
        }
        if self.description.chars().count() > DESCRIPTION_MAX {
            return refuse("description", "description", format!("may have {DESCRIPTION_MAX} characters"));
        }
        if self.tags.len() > TAGS_MAX || self.tags.iter().collect::<BTreeSet<_>>().len() != self.tags.len() {
            return refuse("tags", "tags", format!("at most {TAGS_MAX}, each once"));
        }
        for (at, tag) in self.tags.iter().enumerate() {
            let plain = tag.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if tag.is_empty() || tag.len() > TAG_MAX || !plain {
                return refuse(
                    "tags",
                    &format!("tags/{at}"),
                    format!("`{tag:.40}` must be 1 to {TAG_MAX} of a-z, 0-9, -"),
                );
            }
        }
        if let Some(fiat) = &self.fiat {
            check_fiat(fiat)?;
        }
        self.check_price()
    }

    fn check_price(&self) -> Result<(), Refusal> {
        let count = self.price.len();
        let assets: BTreeSet<PriceAsset> = self.price.iter().map(|price| price.asset).collect();
        if count > PRICES_MAX || assets.len() != count {
            return refuse("price", "price", format!("at most {PRICES_MAX}, each asset once"));
        }
        match self.price_type {
            PriceType::Free if count > 0 => return refuse("price", "price", "a free listing has no price"),
            PriceType::Fixed | PriceType::Hourly | PriceType::TimeCredit if count == 0 => {
                return refuse(
                    "price",
                    "price",
                    format!("a {} listing names a price", self.price_type.name()),
                );
            }
            PriceType::TimeCredit if assets.iter().any(|asset| *asset != PriceAsset::TimeCredit) => {
                return refuse("price", "price", "price_type time_credit takes time_credit alone");
            }
            _ => {}
        }
        for (at, price) in self.price.iter().enumerate() {
            let most = match price.asset {
                PriceAsset::Chain(asset) => amount_cap(asset.chain),
                PriceAsset::TimeCredit => TIME_CREDIT_MAX,
            };
            if price.amount == 0 || price.amount > most {
                return refuse(
                    "price",
                    &format!("price/{at}/amount"),
                    format!("{} must be 1 to {most}", price.amount),
                );
            }
            if let PriceAsset::Chain(asset) = price.asset {
                match self.pay_to {
                    None => return refuse("pay_to", "pay_to", format!("is needed for a price in {asset}")),
                    Some(wallet) if wallet.chain != asset.chain => {
                        return refuse(
                            "pay_to",
                            &format!("price/{at}/asset"),
                            format!("{asset} must be on the chain of pay_to, {}", wallet.chain),
                        );
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(())
    }
}

fn check_fiat(fiat: &Fiat) -> Result<(), Refusal> {
    if fiat.code.len() != 3 || !fiat.code.bytes().all(|b| b.is_ascii_uppercase()) {
        return refuse("fiat", "fiat/code", format!("`{:.10}` must be three capital letters", fiat.code));
    }
    let (whole, fraction) = fiat.amount.split_once('.').unwrap_or((&fiat.amount, "0"));
    let digits = |text: &str, most: usize| {
        !text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_digit())
    };
    if digits(whole, 15) && digits(fraction, 3) {
        Ok(())
    } else {
        refuse(
            "fiat",
            "fiat/amount",
            format!("`{:.30}` must be digits, perhaps a point and digits", fiat.amount),
        )
    }
}

/// Whether the audience is what status and visibility make of it.
///
/// # Errors
/// Step `schema`, field `/audience`.
pub fn audience_for(
    status: ListingStatus,
    visibility: Visibility,
    seller: &RecordId,
    audience: &[Audience],
) -> Result<(), Refusal> {
    let (fits, wanted) = match (status, visibility) {
        (ListingStatus::Draft, _) | (_, Visibility::Private) => {
            (audience == [Audience::Account(*seller)], format!("[\"account:{seller}\"], its seller"))
        }
        (_, Visibility::Public) => (audience == [Audience::Public], "[\"public\"]".to_owned()),
        (_, Visibility::Followers) => {
            (!audience.contains(&Audience::Public), "the accounts and communities that follow".to_owned())
        }
    };
    if fits {
        Ok(())
    } else {
        let of = format!("of a {} listing with visibility {}", status.name(), visibility.name());
        Err(Refusal::schema("audience", "/audience", format!("{of} must be {wanted}")))
    }
}

/// Whether a listing may go from one status to another; `from` is none for a new listing.
///
/// # Errors
/// Step `rule`, with the pair's own name.
#[rustfmt::skip]
pub fn step(from: Option<ListingStatus>, to: ListingStatus) -> Result<(), Refusal> {
    use ListingStatus::{Active, Draft, Expired, Paused, Sold};
    let refuse = |rule, why: &str| Err(Refusal::conflict(rule, "/body/status", why));
    match (from, to) {
        (None, Draft | Active)                         => Ok(()),
        (None, Paused | Sold | Expired)                => refuse("new_listing", "a new listing is draft or active"),
        (Some(Draft), Draft | Active | Expired)        => Ok(()),
        (Some(Draft), Paused | Sold)                   => refuse("draft_listing", "a draft was never offered"),
        (Some(Active), Active | Paused | Sold | Expired)  => Ok(()),
        (Some(Paused), Active | Paused | Sold | Expired)  => Ok(()),
        (Some(Active | Paused), Draft)                 => refuse("offered_listing", "it was offered and cannot be a draft again"),
        (Some(Expired), Active | Expired)              => Ok(()),
        (Some(Expired), Draft | Paused | Sold)         => refuse("expired_listing", "an expired listing can only be offered again"),
        (Some(Sold), _)                                => refuse("sold_listing", "it is sold: begin a new listing"),
    }
}

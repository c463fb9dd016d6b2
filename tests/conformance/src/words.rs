//! What a history says, in words of no chain: who, how much, when, what. `README.md` is the format's documentation; a
//! vector is a [`Vector`] as JSON.

use std::{fmt, str::FromStr};

use protocol::deal::Status;
use serde::{Deserialize, Serialize, de::Error as _};
use serde_json::Value;

/// Who is who.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Who {
    /// The zero address.
    Nobody,
    Buyer,
    Seller,
    /// An account that rules by itself.
    Arbiter,
    /// No party. It keeps the pools.
    Stranger,
    /// A seller and a buyer to whom no coin can be paid; they sign all the same.
    DeafSeller,
    DeafBuyer,
    /// Its signatures are nobody's.
    Forger,
    /// An arbiter that says of every deal that it accepted one ruling. Only on chains where arbiters are asked.
    Court,
    /// The chain's arbitration pools.
    Pools,
    /// One of those who may be on lists, by its place among them in ascending order of their addresses.
    Member(u8),
    /// Who holds a seat of jury 0 or 1 of the case's present instance.
    Seat(u8, u8),
}

impl Who {
    const NAMED: [(Self, &'static str); 10] = [
        (Self::Nobody, "nobody"),
        (Self::Buyer, "buyer"),
        (Self::Seller, "seller"),
        (Self::Arbiter, "arbiter"),
        (Self::Stranger, "stranger"),
        (Self::DeafSeller, "deaf seller"),
        (Self::DeafBuyer, "deaf buyer"),
        (Self::Forger, "forger"),
        (Self::Court, "court"),
        (Self::Pools, "pools"),
    ];
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(number) => write!(f, "member {number}"),
            Self::Seat(jury, seat) => write!(f, "seat {jury}/{seat}"),
            named => {
                let name = Self::NAMED.iter().find(|(who, _)| who == named).map(|(_, name)| *name);
                f.write_str(name.unwrap())
            }
        }
    }
}

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::NAMED.iter().find(|(_, name)| *name == text).map(|(who, _)| *who);
        let member = || text.strip_prefix("member ")?.parse().ok().map(Self::Member);
        let seat = || {
            let (jury, seat) = text.strip_prefix("seat ")?.split_once('/')?;
            Some(Self::Seat(jury.parse().ok()?, seat.parse().ok()?))
        };
        named.or_else(member).or_else(seat).ok_or_else(|| format!("`{text}` is nobody that vectors know"))
    }
}

/// An amount: a number, or what it is of the chain's cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    Exactly(u128),
    /// The cap but for so much: `cap`, `cap-1`.
    CapLess(u128),
    /// The cap's share in basis points, rounded down: `cap*3333`.
    OfCap(u16),
    /// The cap but for that: `cap-cap*3333`.
    RestOfCap(u16),
}

impl Amount {
    pub fn on(self, cap: u128) -> u128 {
        let share = |bps: u16| cap / 10_000 * u128::from(bps) + cap % 10_000 * u128::from(bps) / 10_000;
        match self {
            Self::Exactly(amount) => amount,
            Self::CapLess(less) => cap - less,
            Self::OfCap(bps) => share(bps),
            Self::RestOfCap(bps) => cap - share(bps),
        }
    }

    /// The words for an amount on a chain with this cap: the number itself where it is small beside the cap.
    pub fn of(amount: u128, cap: u128) -> Self {
        if amount < 1 << 48 {
            return Self::Exactly(amount);
        }
        if cap >= amount && cap - amount < 1 << 48 {
            return Self::CapLess(cap - amount);
        }
        // Shares are rounded down, so the one that it is, if it is one, is this or the next.
        let near = |amount: u128| {
            let bps = u16::try_from(amount / (cap / 10_000).max(1)).unwrap_or(u16::MAX);
            [bps.saturating_sub(1), bps, bps.saturating_add(1)].into_iter().filter(|bps| *bps < 10_000)
        };
        let shares =
            near(amount).map(Self::OfCap).chain(near(cap.saturating_sub(amount)).map(Self::RestOfCap));
        let found = shares.into_iter().find(|one| one.on(cap) == amount);
        found.unwrap_or(Self::Exactly(amount))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(amount) => write!(f, "{amount}"),
            Self::CapLess(0) => f.write_str("cap"),
            Self::CapLess(less) => write!(f, "cap-{less}"),
            Self::OfCap(bps) => write!(f, "cap*{bps}"),
            Self::RestOfCap(bps) => write!(f, "cap-cap*{bps}"),
        }
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = if text == "cap" {
            Some(Self::CapLess(0))
        } else if let Some(bps) = text.strip_prefix("cap-cap*") {
            bps.parse().ok().map(Self::RestOfCap)
        } else if let Some(bps) = text.strip_prefix("cap*") {
            bps.parse().ok().map(Self::OfCap)
        } else if let Some(less) = text.strip_prefix("cap-") {
            less.parse().ok().map(Self::CapLess)
        } else {
            text.parse().ok().map(Self::Exactly)
        };
        read.ok_or_else(|| format!("`{text}` is no amount"))
    }
}

macro_rules! as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(D::Error::custom)
            }
        }
    };
}
as_text!(Who);
as_text!(Amount);

/// Coin or the one token there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asset {
    Coin,
    Token,
}

/// What a deal is about. Times in seconds after the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DealWords {
    pub buyer: Who,
    pub seller: Who,
    pub arbiter: Who,
    pub asset: Asset,
    pub amount: Amount,
    pub fund_by: u64,
    pub deliver_by: u64,
    pub inspection: u32,
    pub ruling: u32,
    pub lapse_share: u16,
    pub metered: bool,
    /// Which of the pools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panel: Option<usize>,
}

/// Members of a list: so many, from this one on, and perhaps the parties of the first deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListWords {
    pub from: u8,
    pub members: u8,
    #[serde(default, skip_serializing_if = "is_default")]
    pub parties: bool,
}

/// A pool. Periods in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolWords {
    pub jury_size: u8,
    pub delay: u32,
    pub opening: u32,
    pub voting: u32,
    pub appeal: u32,
    /// Which of the pools before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<usize>,
    /// Published before the start.
    pub lists: Vec<ListWords>,
}

/// What there is at the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// What each of the buyers has of the token.
    pub purse: Amount,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<PoolWords>,
    pub deals: Vec<DealWords>,
}

/// How something is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// By the account that is named.
    Valid,
    /// By the forger.
    Forged,
    /// By the account that is named, which has revoked it before.
    Revoked,
}

/// A signed action. `valid_until` is in seconds after the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    pub signer: Who,
    pub how: How,
    pub valid_until: i64,
}

/// Who asks: the caller for itself, or the bearer of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct By {
    pub caller: Who,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

impl From<Who> for By {
    fn from(caller: Who) -> Self {
        Self { caller, signed: None }
    }
}

/// A party's signature of an offer to settle, and the status that it was signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offered {
    pub how: How,
    pub status: StatusWord,
}

/// A [`Status`] by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusWord {
    None,
    Funded,
    Delivered,
    Disputed,
    Closed,
}

impl From<Status> for StatusWord {
    fn from(status: Status) -> Self {
        match status {
            Status::None => Self::None,
            Status::Funded => Self::Funded,
            Status::Delivered => Self::Delivered,
            Status::Disputed => Self::Disputed,
            Status::Closed => Self::Closed,
        }
    }
}

impl From<StatusWord> for Status {
    fn from(word: StatusWord) -> Self {
        Self::ALL[word as usize]
    }
}

/// A ballot that is handed in: `signer` signed it, or another share where it is altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BallotWords {
    pub seat: u8,
    pub share: u16,
    pub reason: u8,
    pub signer: Who,
    #[serde(default, skip_serializing_if = "is_default")]
    pub altered: bool,
}

/// What is asked. A `u8` where the protocol has 32 bytes stands for 31 zeros and that byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do", deny_unknown_fields)]
pub enum Act {
    Fund {
        by: By,
        /// The seller's signature of the terms.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seller: Option<How>,
        /// Coin sent along that nobody asked for. Only on chains where coin is sent along.
        #[serde(default, skip_serializing_if = "is_default")]
        more: u8,
    },
    Retract {
        by: By,
    },
    Deliver {
        by: By,
        delivery: u8,
    },
    Release {
        by: By,
        total: Amount,
    },
    Refund {
        by: By,
        total: Amount,
    },
    Dispute {
        by: By,
        evidence: u8,
    },
    Evidence {
        by: By,
        evidence: u8,
        /// So many times the letter x.
        uri: u16,
    },
    Reclaim {
        by: By,
    },
    Claim {
        by: By,
    },
    Settle {
        by: By,
        seller_total: Amount,
        rulings: u8,
        valid_until: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        buyer: Option<Offered>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seller: Option<Offered>,
    },
    Rule {
        by: By,
        share: u16,
    },
    Lapse {
        by: By,
    },
    Open {
        by: By,
    },
    Draw {
        by: By,
    },
    OpenSecondJury {
        by: By,
    },
    Cast {
        by: By,
        jury: u8,
        seat: u8,
        share: u16,
        reason: u8,
    },
    Submit {
        by: By,
        jury: u8,
        ballots: Vec<BallotWords>,
    },
    Conclude {
        by: By,
    },
    Appeal {
        by: By,
    },
    Execute {
        by: By,
    },
    /// The keeper publishes one more list.
    Publish {
        pool: usize,
        list: ListWords,
    },
    /// Several in one transaction, all or none, with so much more coin than they ask for. Only on chains with a purse.
    Batch {
        by: By,
        steps: Vec<(usize, Act)>,
        more: u8,
    },
}

/// One step: a transaction in a block of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Seconds after the step before it, or after the start.
    pub after: u64,
    /// Empty blocks before it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub blocks: u64,
    /// Which of the deals.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deal: usize,
    #[serde(flatten)]
    pub act: Act,
}

/// What has to come of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// By this name, and then nothing else changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What is told of the deal, then of the case, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Value>,
    /// What the seller and the buyer are paid; credit is an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid: Option<Paid>,
    /// The deal afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateWords>,
    /// The case afterwards, jury by jury; not where the step is none of a case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub juries: Vec<Value>,
}

/// What the parties are paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paid {
    pub seller: Amount,
    pub buyer: Amount,
}

/// A deal's state. Times in seconds after the start; absent where the protocol says zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateWords {
    pub status: StatusWord,
    pub count: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funded_at: Option<u64>,
    pub released: Amount,
    pub refunded: Amount,
}

/// A step and what has to come of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    #[serde(flatten)]
    pub step: Step,
    pub expect: Outcome,
}

/// A scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    pub name: String,
    /// What it shows.
    pub about: String,
    /// The CAIP-2 namespaces of chains that it is for; all where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    pub setting: Setting,
    pub steps: Vec<Checked>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

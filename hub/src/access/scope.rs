//! What a token may be used for: reading or writing, by room. The table of routes, and the one function that decides.

use std::{collections::BTreeSet, fmt, str::FromStr};

use axum::http::Method;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::records::{Device, RecordId};

/// A part of the hub that a token may be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// Accounts and recoveries.
    Identity,
    /// Records as they were signed, and handing them in.
    Records,
    /// What one has.
    Ledger,
    /// Communities and pools.
    Communities,
    /// Proposals and votes.
    Governance,
    /// Disputes of members.
    Grievances,
    /// Listings.
    Market,
    /// Purchases.
    Deals,
    /// Cases.
    Disputes,
    /// Credentials.
    Reputation,
    /// What happens.
    Events,
}

impl Area {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Identity,
        Self::Records,
        Self::Ledger,
        Self::Communities,
        Self::Governance,
        Self::Grievances,
        Self::Market,
        Self::Deals,
        Self::Disputes,
        Self::Reputation,
        Self::Events,
    ];

    /// As scopes write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Records => "records",
            Self::Ledger => "ledger",
            Self::Communities => "communities",
            Self::Governance => "governance",
            Self::Grievances => "grievances",
            Self::Market => "market",
            Self::Deals => "deals",
            Self::Disputes => "disputes",
            Self::Reputation => "reputation",
            Self::Events => "events",
        }
    }
}

/// `read:<room>` or `write:<room>`; `all` in the place of a room is every room. Writing does not mean reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// Whether it is for writing.
    pub write: bool,
    /// The room; none: all.
    pub area: Option<Area>,
}

impl Scope {
    /// Whether a scope of this kind is enough where `needed` is asked for.
    fn covers(self, needed: Self) -> bool {
        self.write == needed.write && (self.area.is_none() || self.area == needed.area)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", if self.write { "write" } else { "read" }, self.area.map_or("all", Area::name))
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || {
            format!(
                "`{text:.40}` is not a scope: it must be read:<room>, write:<room>, read:all or write:all"
            )
        };
        let (deed, room) = text.split_once(':').ok_or_else(refuse)?;
        let write = match deed {
            "read" => false,
            "write" => true,
            _ => return Err(refuse()),
        };
        let area = match room {
            "all" => None,
            _ => Some(Area::ALL.into_iter().find(|area| area.name() == room).ok_or_else(refuse)?),
        };
        Ok(Self { write, area })
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Who shows a token that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub account: RecordId,
    /// The device that opened it.
    pub device: Device,
    /// The token's id.
    pub id: String,
    /// What it is for; none: a session, for everything.
    pub scopes: Option<BTreeSet<Scope>>,
}

/// What a route asks of whoever shows a token. Who shows none is a stranger, and sees what strangers see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The header is not looked at here: the route is for everyone, or has a key of its own.
    Nothing,
    /// A session. Whatever this table does not know asks for one.
    Session,
    /// A session, or a token with this scope.
    Scope(Scope),
}

/// What a route asks for, by its method and its path as the router writes it.
pub(crate) fn need(method: &Method, route: &str) -> Need {
    let mut parts = route.split('/').skip(1);
    let segments: Vec<&str> = match parts.next() {
        Some("v1") => parts.collect(),
        _ => return Need::Nothing,
    };
    let area = match segments.as_slice() {
        ["sign-in", ..] | ["sessions"] | ["chain-events" | "intents" | "openid", ..] => return Need::Nothing,
        ["accounts", _, "reputation"] => Area::Reputation,
        ["accounts" | "personhood" | "recovery", ..] => Area::Identity,
        ["records" | "log", ..] => Area::Records,
        ["ledger", ..] => Area::Ledger,
        ["proposals", ..] | ["communities", _, "settings" | "treasury"] => Area::Governance,
        ["communities" | "invitations" | "pools", ..] => Area::Communities,
        ["grievances", ..] => Area::Grievances,
        ["listings", ..] => Area::Market,
        ["purchases", _, "case"] | ["cases", ..] => Area::Disputes,
        ["purchases", _, "credentials" | "bundle"] => Area::Reputation,
        ["credentials" | "credential-offers" | "presentations" | "reputation" | "status", ..] => {
            Area::Reputation
        }
        ["purchases", ..] => Area::Deals,
        ["events", ..] => Area::Events,
        _ => return Need::Session,
    };
    Need::Scope(Scope { write: !method.is_safe(), area: Some(area) })
}

/// Whether a token is good for a route.
///
/// # Errors
/// What is missing, in words.
pub(crate) fn allows(caller: &Caller, need: Need) -> Result<(), String> {
    match (need, &caller.scopes) {
        (Need::Nothing, _) | (_, None) => Ok(()),
        (Need::Session, Some(_)) => Err("this needs a session: a token is not enough".to_owned()),
        (Need::Scope(needed), Some(scopes)) => {
            if scopes.iter().any(|scope| scope.covers(needed)) {
                Ok(())
            } else {
                Err(format!("the token has no scope {needed}"))
            }
        }
    }
}

//! The rule itself.

use std::{collections::BTreeMap, fmt, iter, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::records::{RecordError, RecordId};

/// One entry of a record's audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audience {
    /// Everyone: `public`.
    Public,
    /// One account: `account:<id>`.
    Account(RecordId),
    /// The members of a community: `community:<id>`.
    Community(RecordId),
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Account(id) => write!(f, "account:{id}"),
            Self::Community(id) => write!(f, "community:{id}"),
        }
    }
}

impl FromStr for Audience {
    type Err = RecordError;

    fn from_str(text: &str) -> Result<Self, RecordError> {
        match text.split_once(':') {
            None if text == "public" => Ok(Self::Public),
            Some(("account", id)) => Ok(Self::Account(id.parse()?)),
            Some(("community", id)) => Ok(Self::Community(id.parse()?)),
            _ => Err(RecordError::Audience { value: text.chars().take(100).collect() }),
        }
    }
}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a member is in a community.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Belongs to it.
    Member,
    /// Also decides who belongs to it and which pools serve it.
    Steward,
}

impl Role {
    /// As the database and JSON write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Steward => "steward",
        }
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "member" => Ok(Self::Member),
            "steward" => Ok(Self::Steward),
            _ => Err(()),
        }
    }
}

/// Who is asking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reader {
    /// The account of the session; none for a stranger.
    pub account: Option<RecordId>,
    /// What the account is in which community.
    pub roles: BTreeMap<RecordId, Role>,
}

impl Reader {
    /// Somebody without a session.
    pub fn stranger() -> Self {
        Self::default()
    }

    /// The entries of audiences to which it belongs: it may read what has one of them ([`may_read`]).
    pub(crate) fn entries(&self) -> Vec<Audience> {
        let own = self.account.map(Audience::Account);
        let communities = own.iter().flat_map(|_| self.roles.keys()).copied().map(Audience::Community);
        iter::once(Audience::Public).chain(own).chain(communities).collect()
    }
}

/// Whether the reader belongs to the audience.
pub fn may_read(reader: &Reader, audience: &[Audience]) -> bool {
    audience.iter().any(|entry| match entry {
        Audience::Public => true,
        Audience::Account(id) => reader.account.as_ref() == Some(id),
        Audience::Community(id) => reader.account.is_some() && reader.roles.contains_key(id),
    })
}

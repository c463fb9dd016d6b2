//! Bodies and rules.

use std::{collections::BTreeMap, fmt, str::FromStr};

use alloy::primitives::B256;
use protocol::{
    chain::{AccountId, Address},
    wire::dec,
    wire::feed::RuleBook,
};
use serde::{Deserialize, Serialize};

use crate::{
    access::{Audience, Role},
    error::Refusal,
    records::{RecordError, RecordId},
};

/// `community@1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommunityBody {
    /// 1 to 80 characters on one line.
    pub name: String,
}

/// `membership@1` about a community: by a steward of it, or by the account itself. Whoever does not belong to it yet does so once
/// both have said it, in whichever order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MembershipBody {
    /// Who.
    pub account: RecordId,
    /// What the account is from now on; null: no member.
    #[serde(deserialize_with = "Option::deserialize")]
    pub role: Option<Role>,
}

/// `candidacy@1` about a community, by who belongs to it: whether a vote may put the author on the lists of the community's pools, and
/// with which wallet. A list is on a chain, where everybody reads it for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CandidacyBody {
    /// A wallet of the author's; another one on its chain is a candidate no more.
    pub wallet: AccountId,
    /// Whether it is a candidate from now on.
    pub stands: bool,
}

/// `pool@1` about a community, by a steward of it; or about nothing, for a public pool, by its keeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolBody {
    /// The contract that rules.
    pub arbiter: AccountId,
    /// The pool's id: the hash of its rule book.
    pub panel: B256,
}

/// What the chain says of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolFacts {
    /// Its immutable rules.
    pub book: RuleBook,
    /// The rules of the pool that hears appeals, where it has one.
    #[serde(default)]
    pub parent: Option<RuleBook>,
    /// Seconds from a dispute to the latest execution of a ruling, the appeal included.
    #[serde(with = "dec")]
    pub worst_case: u64,
    /// The newest list, ascending; empty when none is published.
    pub members: Vec<Address>,
}

/// Whom a pool serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everyone: `public`.
    Public,
    /// Members of a community: its id.
    Community(RecordId),
}

impl Scope {
    /// Who may see a pool of this scope.
    pub const fn audience(&self) -> Audience {
        match self {
            Self::Public => Audience::Public,
            Self::Community(id) => Audience::Community(*id),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Community(id) => fmt::Display::fmt(id, f),
        }
    }
}

impl FromStr for Scope {
    type Err = RecordError;

    fn from_str(text: &str) -> Result<Self, RecordError> {
        if text == "public" { Ok(Self::Public) } else { text.parse().map(Self::Community) }
    }
}

/// What an account is in which community.
pub type Roles = BTreeMap<RecordId, Role>;

/// Whether a pool may rule between two parties: it serves everyone, or a community that both belong to.
pub fn common_or_public(scopes: &[Scope], buyer: &Roles, seller: &Roles) -> bool {
    scopes.iter().any(|scope| match scope {
        Scope::Public => true,
        Scope::Community(id) => buyer.contains_key(id) && seller.contains_key(id),
    })
}

/// Whether `author` may say who belongs to the community, or which pool serves it.
///
/// # Errors
/// Step `access`: only a steward may.
pub(super) fn steward_only(role: Option<Role>, community: &RecordId) -> Result<(), Refusal> {
    if role == Some(Role::Steward) {
        Ok(())
    } else {
        Err(Refusal::access("steward_only", "/author", format!("is no steward of community {community}")))
    }
}

/// Whether `author` may declare a pool public: the account that holds its keeper's wallet, who answers for its members.
/// `owner` is the account of that wallet, if it is known.
///
/// # Errors
/// Step `access`: only the keeper may.
pub(super) fn keeper_only(owner: Option<RecordId>, author: RecordId, keeper: Address) -> Result<(), Refusal> {
    if owner == Some(author) {
        Ok(())
    } else {
        let told =
            format!("only the account of its keeper {keeper} declares a pool public; name a community");
        Err(Refusal::access("keeper_only", "/author", told))
    }
}

/// By whose word something is said about who belongs to a community.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SaidBy {
    /// The account's own.
    Account,
    /// A steward's.
    Steward,
    /// A vote's.
    Vote,
}

impl SaidBy {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Account, Self::Steward, Self::Vote];

    /// As the database and JSON write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Steward => "steward",
            Self::Vote => "vote",
        }
    }
}

/// Milliseconds for which a membership waits for the other side's word: 30 days.
const WAITS_MS: i64 = 30 * 24 * 3_600_000;

/// Words said at this time or before, in Unix milliseconds, wait no more.
pub(super) const fn waits_since(now: i64) -> i64 {
    now.saturating_sub(WAITS_MS)
}

/// A membership that waits for the other side's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// As what.
    pub role: Role,
    /// Who has said so.
    pub said_by: SaidBy,
}

/// The word that last changed what an account is in a community.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The record by which it changed.
    pub record: RecordId,
    /// Whether a vote or a ruling has said that the account belongs to the community, or that it does not.
    pub decided: bool,
}

/// Which word is the last one from now on, after `record` has made of somebody who was `before` what they are `after`. What changes
/// nothing is no word of a steward or of the account itself: nobody lays theirs over a decision by saying again what is so.
pub(super) fn last_word(
    earlier: Option<Word>,
    (before, after): (Option<Role>, Option<Role>),
    record: RecordId,
    by_vote: bool,
) -> Option<Word> {
    if by_vote {
        return Some(Word { record, decided: true });
    }
    if before == after {
        return earlier;
    }
    let still = before.is_some() == after.is_some();
    Some(Word { record, decided: still && earlier.is_some_and(|word| word.decided) })
}

/// What becomes of a word about who belongs to a community.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The account is this from now on; none: no member. Nothing waits.
    Role(Option<Role>),
    /// It waits for the other side's word.
    Wait(Waiting),
}

/// What a word brings about: `before` is what the account is, `waiting` what waits, `role` what is said. Nobody is made a member
/// without their own word, and nobody is one by it alone. `by_vote_only`: stewards admit nobody. Whom a vote has invited no steward
/// invites in its place, or sends away: it would be no decision of all any more.
///
/// # Errors
/// Step `access`: what only a steward, or only a vote, may say.
pub(super) fn change(
    before: Option<Role>,
    waiting: Option<Waiting>,
    role: Option<Role>,
    said_by: SaidBy,
    by_vote_only: bool,
) -> Result<Change, Refusal> {
    let by_vote = before.is_none() && waiting.is_some_and(|one| one.said_by == SaidBy::Vote);
    if by_vote && said_by == SaidBy::Steward {
        let told = "was invited by a vote, and only the account's own word is waited for";
        return Err(Refusal::access("by_vote", "/author", told));
    }
    let Some(wanted) = role else { return Ok(Change::Role(None)) };
    let stewards = |told: &str| Err(Refusal::access("steward_only", "/author", told));
    match (said_by, before) {
        (SaidBy::Account, Some(_)) => stewards("belongs to it; what a member is, a steward says"),
        (SaidBy::Account, None) => match waiting.filter(|one| one.said_by != SaidBy::Account) {
            Some(Waiting { said_by: SaidBy::Steward, .. }) if by_vote_only => Err(Refusal::access(
                "by_vote_only",
                "/author",
                "was invited by a steward, and votes alone admit by now",
            )),
            Some(invited) if wanted <= invited.role => Ok(Change::Role(Some(wanted))),
            _ if wanted == Role::Member => Ok(Change::Wait(Waiting { role: wanted, said_by })),
            _ => stewards("nobody has invited it as a steward; ask to be a member"),
        },
        (SaidBy::Steward | SaidBy::Vote, Some(_)) => Ok(Change::Role(Some(wanted))),
        (SaidBy::Steward | SaidBy::Vote, None) => match waiting {
            Some(Waiting { said_by: SaidBy::Account, .. }) => Ok(Change::Role(Some(wanted))),
            _ => Ok(Change::Wait(Waiting { role: wanted, said_by })),
        },
    }
}

/// Whether the change leaves a steward.
///
/// # Errors
/// Step `rule`: the last steward can neither leave nor step down.
pub(super) fn leaves_a_steward(
    before: Option<Role>,
    after: Option<Role>,
    stewards: i64,
) -> Result<(), Refusal> {
    if before == Some(Role::Steward) && after != Some(Role::Steward) && stewards <= 1 {
        Err(Refusal::conflict(
            "last_steward",
            "/body/role",
            "a community needs a steward: name another one first",
        ))
    } else {
        Ok(())
    }
}

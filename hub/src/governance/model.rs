//! What is proposed, what an acceptance does, and what a community's settings ask of a proposal. Bodies and pure rules.

use std::collections::BTreeSet;

use alloy::primitives::B256;
use protocol::{chain::AccountId, wire::dec};
use serde::{Deserialize, Serialize};

use super::{
    rule::{Ballots, Choice, Electorate, Needs, Rule},
    settings::{Setting, Settings},
    tally::Tally,
};
use crate::{
    access::Role,
    error::Refusal,
    identity,
    ledger::model::{AMOUNT_MAX, Asset},
    records::{RecordId, Stamp},
};

/// The most electors of a proposal.
pub const ELECTORS_MAX: usize = 10_000;
/// The most ballots of one device in one proposal; the last one of its elector counts. A device in other hands takes none from the
/// elector's others.
pub const BALLOTS_MAX: i64 = 20;
/// The most ballots of one elector in one proposal, by all devices that speak.
pub const ELECTOR_BALLOTS_MAX: i64 = 100;
/// The most open proposals of one author in one community.
pub const OPEN_MAX: i64 = 10;
/// What counts towards [`DAY_PROPOSALS_MAX`] and [`DAY_ELECTORS_MAX`], in milliseconds: a day.
pub const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The most proposals that one author opens within a day, in all communities together.
pub const DAY_PROPOSALS_MAX: i64 = 50;
/// The most electors that the proposals of one author may have within a day, together: for each one the hub keeps a row, and
/// their ballots are read at the close.
pub const DAY_ELECTORS_MAX: i64 = 100_000;
/// The shortest window of a proposal, in milliseconds: a minute.
pub const WINDOW_MIN_MS: i64 = 60_000;
/// The longest window of a proposal, in milliseconds: 400 days.
pub const WINDOW_MAX_MS: i64 = 400 * 24 * 60 * 60 * 1000;
/// The most accounts that one adjustment names.
pub const ADJUSTED_MAX: usize = 32;
/// Characters of a proposal's text.
const TEXT_MAX: usize = 10_000;
/// Characters of the note to a deposit.
const NOTE_MAX: usize = 280;

/// Where the other side of an adjustment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The community's treasury, which has no key.
    Treasury,
    /// The community's issuer account: there is more or less of the asset afterwards.
    Issuer,
}

/// What an adjustment does to one member's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adjusted {
    /// Whose.
    pub account: RecordId,
    /// Above zero: the member is given it; below: it is taken; never zero.
    #[serde(with = "dec")]
    pub amount: i128,
}

/// How a treasury pays, as statements name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payment {
    /// For what the community asked for.
    Reward,
    /// Anything else.
    Withdrawal,
}

/// What an acceptance does, in the transaction of the tally.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// Nothing: the decision is all.
    Text,
    /// Puts members' balances right. By the community that governs the asset alone.
    AdminAdjustment {
        /// In what.
        asset: Asset,
        /// 1 to 32 members, each once.
        entries: Vec<Adjusted>,
        /// Where what they do not balance by themselves goes to or comes from.
        against: Against,
    },
    /// The community's treasury pays a member of the hub.
    TreasuryTransfer {
        /// In what.
        asset: Asset,
        /// Whom.
        to: RecordId,
        /// How much, in the smallest unit; above zero.
        #[serde(with = "dec")]
        amount: i128,
        /// What for.
        payment: Payment,
    },
    /// How far below zero a member may go. By the community that governs the asset alone.
    CreditLimit {
        /// In what.
        asset: Asset,
        /// Who.
        account: RecordId,
        /// How far, in the smallest unit, 0 or more; null: as far as the asset says for everybody.
        #[serde(with = "dec::optional")]
        limit: Option<i128>,
    },
    /// Who belongs to the community, and as what.
    Membership {
        /// Who.
        account: RecordId,
        /// What the account is from then on; null: no member.
        #[serde(deserialize_with = "Option::deserialize")]
        role: Option<Role>,
    },
    /// What holds in the community from then on.
    Setting {
        /// What.
        setting: Setting,
        /// Its value, within the setting's bounds; null: the median of the ballots.
        #[serde(with = "dec::optional")]
        value: Option<i64>,
    },
    /// Whether an arbitration pool is the community's.
    Pool {
        /// The contract that rules.
        arbiter: AccountId,
        /// The pool's id: the hash of its rule book.
        panel: B256,
        /// Whether it serves the community from then on; where it does not, no steward's word lets it again.
        serves: bool,
    },
    /// The next member list of one of the community's pools: the community's candidates as they are at the close.
    PoolList {
        /// The contract that rules.
        arbiter: AccountId,
        /// The pool's id.
        panel: B256,
    },
    /// What a jury decides of a grievance. Only the hub proposes it, to that grievance's jury.
    Ruling {
        /// Which.
        grievance: RecordId,
    },
}

/// The body of `proposal@1` about a community, by one of its members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalBody {
    /// 1 to 80 characters on one line.
    pub title: String,
    /// At most 10,000 characters.
    pub text: String,
    /// Who may vote.
    pub electorate: Electorate,
    /// By which rule.
    pub rule: Rule,
    /// Who sees ballots before the close.
    pub ballots: Ballots,
    /// The window's end: from this moment on no ballot is taken. A minute to 400 days after the proposal is taken.
    pub closes: Stamp,
    /// What an acceptance does.
    pub effect: Effect,
}

/// The body of `vote@1` about a proposal, by an elector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoteBody {
    /// What it says.
    pub choice: Choice,
}

/// The body of the hub's `tally@1` about a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TallyBody {
    /// Which electors there are: [`super::tally::digest`] of their accounts, ascending by their text.
    pub electorate: String,
    /// Which ballots count: the digest of their records, in the order of the log.
    pub ballots: String,
    /// What came of them.
    pub result: Tally,
    /// Where they accept [`Effect::PoolList`]: which list the community's candidates at the close come to, as
    /// [`protocol::arbitration::list_digest`] names it; none where too many belong to the community.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<B256>,
}

/// The body of `deposit@1` about a community: its author gives to the treasury.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepositBody {
    /// In what.
    pub asset: Asset,
    /// How much, in the smallest unit; above zero.
    #[serde(with = "dec")]
    pub amount: i128,
    /// What for, in words; at most 280 characters.
    pub note: String,
}

fn within(amount: i128, lowest: i128, field: &str) -> Result<(), Refusal> {
    if (lowest..=AMOUNT_MAX).contains(&amount) {
        return Ok(());
    }
    Err(Refusal::schema("amount", field, format!("{amount} must be {lowest} to {AMOUNT_MAX}")))
}

fn long(text: &str, most: usize, field: &str) -> Result<(), Refusal> {
    let length = text.chars().count();
    if length <= most {
        return Ok(());
    }
    Err(Refusal::schema("length", field, format!("has {length} characters and may have {most}")))
}

impl DepositBody {
    /// The form.
    ///
    /// # Errors
    /// Step `schema`.
    pub fn check(&self) -> Result<(), Refusal> {
        within(self.amount, 1, "/body/amount")?;
        long(&self.note, NOTE_MAX, "/body/note")
    }
}

/// Whether an author may open another proposal, of so many electors, who opened these within a day: how many, with how many electors
/// together.
///
/// # Errors
/// Step `rule`: one of the two is at its bound.
pub fn may_open_another(opened: i64, their_electors: i64, electors: i64) -> Result<(), Refusal> {
    let told = if opened >= DAY_PROPOSALS_MAX {
        format!("has opened {opened} proposals within a day and may open {DAY_PROPOSALS_MAX}")
    } else if their_electors.saturating_add(electors) > DAY_ELECTORS_MAX {
        format!(
            "has opened proposals with {their_electors} electors within a day: another {electors} are more than \
             {DAY_ELECTORS_MAX}"
        )
    } else {
        return Ok(());
    };
    Err(Refusal::conflict("too_many_a_day", "/author", told))
}

impl ProposalBody {
    /// The form: limits, and that rule and effect go together.
    ///
    /// # Errors
    /// Step `schema`.
    pub fn check(&self) -> Result<(), Refusal> {
        identity::check_name(&self.title, "/body/title")?;
        long(&self.text, TEXT_MAX, "/body/text")?;
        match (&self.electorate, &self.effect) {
            (Electorate::Roles(roles), effect) => {
                let once: BTreeSet<Role> = roles.iter().copied().collect();
                if roles.is_empty() || once.len() != roles.len() {
                    let told = "must name member, steward or both, each once";
                    return Err(Refusal::schema("roles", "/body/electorate/roles", told));
                }
                if matches!(effect, Effect::Ruling { .. }) {
                    let told = "only the jury of a grievance rules on it";
                    return Err(Refusal::schema("ruling", "/body/effect", told));
                }
            }
            (Electorate::Jury(jury), Effect::Ruling { grievance }) if jury == grievance => {}
            (Electorate::Jury(_), _) => {
                let told = "a jury decides on nothing but the grievance that it sits on";
                return Err(Refusal::schema("ruling", "/body/effect", told));
            }
        }
        match self.rule.needs {
            Needs::Supermajority(share) if !share.is_more_than_half() => {
                let told = format!("{share} must be more than a half: with less, yes and no could both win");
                return Err(Refusal::schema("supermajority", "/body/rule/needs/supermajority", told));
            }
            Needs::Median { lowest, highest } if lowest > highest => {
                let told = format!("lowest {lowest} is above highest {highest}");
                return Err(Refusal::schema("median", "/body/rule/needs/median", told));
            }
            _ => {}
        }
        self.check_effect()
    }

    fn check_effect(&self) -> Result<(), Refusal> {
        let median = match self.rule.needs {
            Needs::Median { lowest, highest } => Some((lowest, highest)),
            _ => None,
        };
        match (median, &self.effect) {
            (Some(_), Effect::Text | Effect::Ruling { .. } | Effect::Setting { value: None, .. }) => {}
            (Some(_), _) => {
                let told =
                    "a median decides a number: the effect must be text, or a setting whose value is null";
                return Err(Refusal::schema("median", "/body/effect", told));
            }
            (None, Effect::Setting { value: None, .. }) => {
                let told =
                    "without a value it is the median of the ballots: name a value, or the rule median";
                return Err(Refusal::schema("median", "/body/effect/setting/value", told));
            }
            (None, _) => {}
        }
        match &self.effect {
            Effect::Text
            | Effect::Membership { .. }
            | Effect::Pool { .. }
            | Effect::PoolList { .. }
            | Effect::Ruling { .. } => Ok(()),
            Effect::AdminAdjustment { entries, .. } => check_entries(entries),
            Effect::TreasuryTransfer { amount, .. } => {
                within(*amount, 1, "/body/effect/treasury_transfer/amount")
            }
            Effect::CreditLimit { limit, .. } => {
                limit.map_or(Ok(()), |limit| within(limit, 0, "/body/effect/credit_limit/limit"))
            }
            Effect::Setting { setting, value } => {
                let (least, greatest) = setting.bounds();
                // Narrower ones would decide before anybody votes: whoever proposes does not choose among what.
                if median.is_some_and(|bounds| bounds != (least, greatest)) {
                    let told =
                        format!("a median on {} has its bounds, {least} to {greatest}", setting.name());
                    return Err(Refusal::schema("median", "/body/rule/needs/median", told));
                }
                if value.is_none_or(|value| (least..=greatest).contains(&value)) {
                    return Ok(());
                }
                let told = format!("{} must be {least} to {greatest}", setting.name());
                Err(Refusal::schema("setting", "/body/effect/setting/value", told))
            }
        }
    }

    /// Whether the proposal may be opened at a moment (Unix milliseconds) in a community where these settings hold: nobody
    /// gives an effect easier rules than the community's own.
    ///
    /// # Errors
    /// Step `rule`: the window, the electorate, the quorum or the approval.
    pub fn may_open(&self, settings: &Settings, at: i64) -> Result<(), Refusal> {
        let window = self.closes.ms().saturating_sub(at);
        if !(WINDOW_MIN_MS..=WINDOW_MAX_MS).contains(&window) {
            let told = format!("{} must be a minute to 400 days from now", self.closes);
            return Err(Refusal::rule("window", "/body/closes", told));
        }
        if self.effect == Effect::Text {
            return Ok(());
        }
        let Settings { window_min_seconds, quorum_min_percent, approval_min_percent, .. } = *settings;
        if window < window_min_seconds.saturating_mul(1000) {
            let told =
                format!("a proposal with an effect is open for at least {window_min_seconds} seconds here");
            return Err(Refusal::rule("window", "/body/closes", told));
        }
        if !self.electorate.is_everybody() {
            let told = "everybody of the community votes on a proposal with an effect: member and steward";
            return Err(Refusal::rule("electorate", "/body/electorate/roles", told));
        }
        let percent = |percent: i64| u32::try_from(percent).unwrap_or(100);
        if !self.rule.quorum.is_percent(percent(quorum_min_percent)) {
            let told = format!("{} must be at least {quorum_min_percent}/100 here", self.rule.quorum);
            return Err(Refusal::rule("quorum", "/body/rule/quorum", told));
        }
        let enough = match self.rule.needs {
            Needs::Majority | Needs::Median { .. } => approval_min_percent <= 50,
            Needs::Supermajority(share) => share.is_percent(percent(approval_min_percent)),
            Needs::Unanimous(_) => true,
        };
        if enough {
            return Ok(());
        }
        let told =
            format!("a proposal with an effect needs at least {approval_min_percent}/100 of yes and no here");
        Err(Refusal::rule("approval", "/body/rule/needs", told))
    }
}

fn check_entries(entries: &[Adjusted]) -> Result<(), Refusal> {
    let field = "/body/effect/admin_adjustment/entries";
    if entries.is_empty() || entries.len() > ADJUSTED_MAX {
        let told = format!("has {} entries and must have 1 to {ADJUSTED_MAX}", entries.len());
        return Err(Refusal::schema("entries", field, told));
    }
    for entry in entries {
        if entry.amount == 0 || entry.amount.unsigned_abs() > AMOUNT_MAX.unsigned_abs() {
            let told = format!("{} must not be zero and at most 38 digits long", entry.amount);
            return Err(Refusal::schema("amount", field, told));
        }
        if entries.iter().filter(|other| other.account == entry.account).count() > 1 {
            return Err(Refusal::schema("entries", field, format!("{} stands there twice", entry.account)));
        }
    }
    Ok(())
}

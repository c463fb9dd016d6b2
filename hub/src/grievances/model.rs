//! Bodies, and what may come of a grievance. Pure.

use protocol::wire::dec;
use serde::{Deserialize, Serialize};

use super::{
    jury::Drawn,
    subject::Paid,
    table::{Action, State},
};
use crate::{
    error::Refusal,
    identity,
    ledger::model::AMOUNT_MAX,
    records::{RecordId, Stamp},
};

/// The most open grievances of one complainant, in all communities together.
pub const OPEN_MAX: i64 = 5;
/// The most that one complainant files within [`DAY_MS`].
pub const DAY_MAX: i64 = 10;
/// What counts towards [`DAY_MAX`], in milliseconds: a day.
pub const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How long what a grievance was about rests when it has ended, in milliseconds: 30 days.
pub const REST_MS: i64 = 30 * DAY_MS;
/// How old a payment may be that somebody brings up, in milliseconds: 180 days.
pub const PAYMENT_AGE_MAX_MS: i64 = 180 * DAY_MS;
/// The most pieces of evidence of one party in one grievance.
pub const EVIDENCE_MAX: i64 = 20;
/// The most proposals of a mediator in one grievance.
pub const PROPOSALS_MAX: i64 = 10;
/// The most juries of one grievance.
pub const JURIES_MAX: i64 = 3;
/// The most jurors who step aside in one grievance and are replaced.
pub const RECUSED_MAX: i64 = 50;
/// All of what was moved, as a jury's ballots name it: ten-thousandths.
pub const SHARES: i64 = 10_000;

/// Characters of a complaint, of evidence, and of a reason.
const TEXT_MAX: usize = 4_000;
/// Characters of an address.
const URI_MAX: usize = 500;

/// What a grievance is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = GrievanceKind)]
pub enum Kind {
    /// What a member has done for the community, or says so.
    Contribution,
    /// Something that one member paid another.
    Trade,
    /// A credential, or another word of a member about somebody.
    Attestation,
    /// Who belongs to the community.
    Membership,
}

impl Kind {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::Contribution, Self::Trade, Self::Attestation, Self::Membership];

    /// As the database and JSON write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contribution => "contribution",
            Self::Trade => "trade",
            Self::Attestation => "attestation",
            Self::Membership => "membership",
        }
    }
}

/// What the complainant asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// That it is said who is right; nothing else happens.
    Statement,
    /// That what was paid is given back, all of it or a part.
    Reversal,
    /// That the credential is revoked.
    Revocation,
    /// To belong to the community again.
    Restoration,
    /// That the respondent belongs to it no more.
    Removal,
    /// That what lies in escrow for a deal on a chain is shared out, by what both parties sign or by the chain's ruling.
    Settlement,
}

impl Remedy {
    /// Every one of them.
    pub const ALL: [Self; 6] = [
        Self::Statement,
        Self::Reversal,
        Self::Revocation,
        Self::Restoration,
        Self::Removal,
        Self::Settlement,
    ];

    /// As JSON writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Statement => "statement",
            Self::Reversal => "reversal",
            Self::Revocation => "revocation",
            Self::Restoration => "restoration",
            Self::Removal => "removal",
            Self::Settlement => "settlement",
        }
    }

    /// Whether this may come of it.
    pub const fn takes(self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Rejected => true,
            Outcome::Upheld => !matches!(self, Self::Reversal),
            Outcome::PartialAdjustment { .. } => matches!(self, Self::Reversal | Self::Settlement),
            Outcome::VoidTransaction => matches!(self, Self::Reversal),
        }
    }
}

/// What comes of a grievance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// The complainant is right, and what was asked for is done; of a deal, all of it is the complainant's.
    Upheld,
    /// Nothing is done; of a deal, all of it is the respondent's.
    Rejected,
    /// A part of what was paid is given back; of a deal, a part is the complainant's.
    PartialAdjustment {
        /// How much, in the smallest unit: above zero and less than what was paid or what the deal is of.
        #[serde(with = "dec")]
        #[schema(value_type = String)]
        amount: i128,
    },
    /// All of it is given back.
    VoidTransaction,
}

impl Outcome {
    /// What it is to give back so much of `moved`.
    pub const fn of_amount(amount: i128, moved: i128) -> Self {
        if amount <= 0 {
            Self::Rejected
        } else if amount >= moved {
            Self::VoidTransaction
        } else {
            Self::PartialAdjustment { amount }
        }
    }

    /// What it is that a complainant has so much in the end of a deal of `whole`.
    pub const fn of_settlement(complainants: i128, whole: i128) -> Self {
        match Self::of_amount(complainants, whole) {
            Self::VoidTransaction => Self::Upheld,
            other => other,
        }
    }

    /// How much of a deal of `whole` is the complainant's.
    pub const fn complainants(self, whole: i128) -> i128 {
        match self {
            Self::Rejected => 0,
            Self::PartialAdjustment { amount } => amount,
            Self::Upheld | Self::VoidTransaction => whole,
        }
    }

    /// How much of `moved` is given back; none where nothing is.
    pub const fn gives_back(self, moved: i128) -> Option<i128> {
        match self {
            Self::Upheld | Self::Rejected => None,
            Self::PartialAdjustment { amount } => Some(amount),
            Self::VoidTransaction => Some(moved),
        }
    }
}

/// How a grievance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Both parties accepted what the mediator proposed; of a deal, the chain closed it at what both signed.
    Settled,
    /// A jury ruled, of a deal the chain's.
    Ruled,
    /// The chain closed the deal otherwise: a party let the other have it, or its time was over.
    Closed,
    /// The complainant took it back.
    Withdrawn,
    /// No jury could be drawn, or none decided: nothing has changed, and it may be filed again.
    Undecided,
}

/// What the hub says of a grievance that was decided, beside its records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heard {
    /// How it ended.
    pub ending: Ending,
    /// With what.
    pub outcome: Outcome,
    /// When.
    pub at: Stamp,
    /// The rule by which nothing of the outcome could be done, where that is so.
    pub unexecuted: Option<String>,
    /// What the record paid that it is about.
    pub paid: Option<Paid>,
    /// Each draw of jurors, in the order of the log.
    pub draws: Vec<Drawn>,
}

/// The body of `grievance@1` about a community.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrievanceBody {
    /// What it is of.
    pub kind: Kind,
    /// The record that it is about: a `transfer@1` or `capture@1`, a `purchase@1` whose deal is to be settled, a `credential@1`, a
    /// `membership@1`, a `community@1` for its founder's membership, or another record of the respondent.
    pub subject: RecordId,
    /// Whom it is against.
    pub respondent: RecordId,
    /// What is asked for.
    pub remedy: Remedy,
    /// 1 to 80 characters on one line.
    pub title: String,
    /// At most 4,000 characters.
    pub text: String,
}

/// What somebody does about a grievance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// A steward takes it up as its mediator.
    Take,
    /// A party shows something.
    Evidence {
        /// At most 4,000 characters.
        text: String,
        /// Where it is, at most 500 characters; null: the text is all.
        #[serde(deserialize_with = "Option::deserialize")]
        uri: Option<String>,
        /// SHA-256 of what is there, 64 hexadecimal digits; null: not said.
        #[serde(deserialize_with = "Option::deserialize")]
        sha256: Option<String>,
    },
    /// The mediator proposes what is to come of it.
    Propose {
        /// What.
        outcome: Outcome,
        /// Why, at most 4,000 characters.
        reason: String,
    },
    /// A party accepts the proposal.
    Accept {
        /// The step that proposed it: nobody accepts what they have not seen.
        proposal: RecordId,
    },
    /// A party rejects the proposal.
    Reject,
    /// The mediator, or a juror before the vote, declares a conflict of interest.
    Conflict {
        /// In words, at most 4,000 characters; may be empty.
        reason: String,
    },
    /// The mediator declares that the matter is the whole community's.
    CommunityWide,
    /// The complainant takes the complaint back.
    Withdraw,
}

/// The body of `grievance-step@1` about a grievance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepBody {
    /// What is done.
    pub step: Step,
}

/// The body of the hub's `grievance-timeout@1` about a grievance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeoutBody {
    /// In which state its time is over.
    pub state: State,
}

fn long(text: &str, most: usize, field: &str) -> Result<(), Refusal> {
    let length = text.chars().count();
    if length <= most {
        return Ok(());
    }
    Err(Refusal::schema("length", field, format!("has {length} characters and may have {most}")))
}

impl GrievanceBody {
    /// The form, and that kind and remedy go together.
    ///
    /// # Errors
    /// Step `schema`.
    pub fn check(&self) -> Result<(), Refusal> {
        identity::check_name(&self.title, "/body/title")?;
        long(&self.text, TEXT_MAX, "/body/text")?;
        let fits = match self.remedy {
            Remedy::Statement => true,
            Remedy::Reversal => matches!(self.kind, Kind::Trade | Kind::Contribution),
            Remedy::Settlement => self.kind == Kind::Trade,
            Remedy::Revocation => self.kind == Kind::Attestation,
            Remedy::Restoration | Remedy::Removal => self.kind == Kind::Membership,
        };
        if fits {
            return Ok(());
        }
        let told = format!("a grievance of kind {} has no remedy {}", self.kind.name(), self.remedy.name());
        Err(Refusal::schema("remedy", "/body/remedy", told))
    }
}

impl Step {
    /// The form.
    ///
    /// # Errors
    /// Step `schema`.
    pub fn check(&self) -> Result<(), Refusal> {
        match self {
            Self::Evidence { text, uri, sha256 } => {
                long(text, TEXT_MAX, "/body/step/evidence/text")?;
                long(uri.as_deref().unwrap_or_default(), URI_MAX, "/body/step/evidence/uri")?;
                let hex = |text: &String| text.len() == 64 && text.bytes().all(|one| one.is_ascii_hexdigit());
                if sha256.as_ref().is_none_or(hex) {
                    return Ok(());
                }
                let told = "must be 64 hexadecimal digits";
                Err(Refusal::schema("sha256", "/body/step/evidence/sha256", told))
            }
            Self::Propose { outcome, reason } => {
                long(reason, TEXT_MAX, "/body/step/propose/reason")?;
                match outcome {
                    Outcome::PartialAdjustment { amount } if !(1..=AMOUNT_MAX).contains(amount) => {
                        let field = "/body/step/propose/outcome/partial_adjustment/amount";
                        Err(Refusal::schema("amount", field, format!("{amount} must be 1 to {AMOUNT_MAX}")))
                    }
                    _ => Ok(()),
                }
            }
            Self::Conflict { reason } => long(reason, TEXT_MAX, "/body/step/conflict/reason"),
            Self::Take | Self::Accept { .. } | Self::Reject | Self::CommunityWide | Self::Withdraw => Ok(()),
        }
    }

    /// What it is to a grievance whose proposal one party has accepted, or none.
    ///
    /// # Errors
    /// Step `rule`: `already_accepted`.
    pub fn action(&self, accepted: Option<RecordId>, author: RecordId) -> Result<Action, Refusal> {
        Ok(match self {
            Self::Take => Action::Take,
            Self::Evidence { .. } => Action::Show,
            Self::Propose { .. } => Action::Propose,
            Self::Accept { .. } => match accepted {
                Some(by) if by == author => {
                    let told = "has accepted the proposal, and the other party has not yet";
                    return Err(Refusal::conflict("already_accepted", "/author", told));
                }
                Some(_) => Action::Agree,
                None => Action::Accept,
            },
            Self::Reject => Action::Reject,
            Self::Conflict { .. } => Action::Conflict,
            Self::CommunityWide => Action::CommunityWide,
            Self::Withdraw => Action::Withdraw,
        })
    }

    /// As lists name it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::Evidence { .. } => "evidence",
            Self::Propose { .. } => "propose",
            Self::Accept { .. } => "accept",
            Self::Reject => "reject",
            Self::Conflict { .. } => "conflict",
            Self::CommunityWide => "community_wide",
            Self::Withdraw => "withdraw",
        }
    }
}

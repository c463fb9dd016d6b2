//! What a grievance may be about, and when again. Pure.

use alloy::primitives::B256;
use protocol::wire::dec;
use serde::{Deserialize, Serialize};

use super::model::{Ending, GrievanceBody, Kind, Outcome, PAYMENT_AGE_MAX_MS, REST_MS, Remedy};
use crate::{
    access::Role,
    communities::Word,
    error::Refusal,
    governance::settings::Settings,
    ledger::{
        CaptureBody, HoldBody, TransferBody,
        model::{Asset, Holder, Key, Kind as AccountKind, Moved},
    },
    records::{Record, RecordId, Stamp},
};

/// A grievance that was filed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// The grievance.
    pub id: RecordId,
    /// Who has filed it.
    pub complainant: RecordId,
    /// How it ended and when, in Unix milliseconds; none: it is open.
    pub ended: Option<(Ending, i64)>,
    /// Whether a jury was drawn.
    pub drawn: bool,
}

impl Earlier {
    /// Whether a complainant may file about the same record again.
    ///
    /// # Errors
    /// Step `rule`: `already_open`, `decided`.
    pub fn leaves_open(&self, complainant: RecordId) -> Result<(), Refusal> {
        let (rule, how) = match self.ended {
            _ if self.complainant != complainant => return Ok(()),
            // Nobody tries one jury after another until they like who is drawn.
            Some((Ending::Withdrawn, _)) if self.drawn => ("decided", "taken back when its jury was known"),
            Some((Ending::Withdrawn | Ending::Undecided, _)) => return Ok(()),
            Some((Ending::Settled | Ending::Ruled | Ending::Closed, _)) => ("decided", "decided"),
            None => ("already_open", "open"),
        };
        let told = format!("{} is about this already, and {how}", self.id);
        Err(Refusal::conflict(rule, "/body/subject", told))
    }

    /// Whether a complainant may ask for the same at a moment, in Unix milliseconds: not within [`REST_MS`] of its end. What was taken
    /// back or settled rests for that complainant alone, or two who agree on it could keep everybody else from filing.
    ///
    /// # Errors
    /// Step `rule`: `too_soon`.
    pub fn has_rested(&self, complainant: RecordId, now: i64) -> Result<(), Refusal> {
        let Some((ending, at)) = self.ended else { return Ok(()) };
        let until = at.saturating_add(REST_MS);
        let own = self.complainant == complainant;
        if now >= until || (!own && matches!(ending, Ending::Withdrawn | Ending::Settled)) {
            return Ok(());
        }
        let told = format!("{} was about this and has ended: not before {}", self.id, Stamp::from_ms(until));
        Err(Refusal::conflict("too_soon", "/body/subject", told))
    }
}

/// What was paid, between two members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paid {
    /// In what.
    pub asset: Asset,
    /// Who paid.
    pub payer: RecordId,
    /// Who was paid.
    pub payee: RecordId,
    /// How much; above zero.
    #[serde(with = "dec")]
    pub amount: i128,
}

impl Paid {
    /// Of an operation between members; none of any other.
    pub fn of(moved: &Moved) -> Option<Self> {
        let member = |key: &Key| match (key.kind, key.holder) {
            (AccountKind::Member, Holder::Record(id)) => Some(id),
            _ => None,
        };
        let (payer, payee) = (member(&moved.from)?, member(&moved.to)?);
        Some(Self { asset: moved.from.asset, payer, payee, amount: moved.amount })
    }

    /// As a `transfer@1` says it, or a `capture@1` and the `hold@1` that it is about; none of any other.
    pub fn said(record: &Record, hold: Option<&Record>) -> Option<Self> {
        let payer = record.account();
        match (record.kind.as_str(), hold) {
            ("transfer@1", _) => {
                let TransferBody { asset, to, amount, .. } = record.body_as().ok()?;
                Some(Self { asset, payer, payee: to, amount })
            }
            ("capture@1", Some(hold)) if hold.kind == "hold@1" && record.about == Some(hold.id) => {
                let HoldBody { asset, to, .. } = hold.body_as().ok()?;
                let CaptureBody { amount } = record.body_as().ok()?;
                Some(Self { asset, payer, payee: to, amount })
            }
            _ => None,
        }
    }
}

/// The deal on a chain that is to be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deal {
    /// Its id at the escrow.
    pub id: B256,
    /// What lies in escrow.
    pub asset: Asset,
    /// The buyer's account.
    pub buyer: RecordId,
    /// The seller's account.
    pub seller: RecordId,
    /// The whole of it; above zero.
    #[serde(with = "dec")]
    pub amount: i128,
}

impl Deal {
    /// What the seller has in the end by an outcome for this complainant.
    pub fn sellers(&self, complainant: RecordId, outcome: Outcome) -> i128 {
        let theirs = outcome.complainants(self.amount);
        if complainant == self.seller { theirs } else { self.amount.saturating_sub(theirs) }
    }
}

/// What the hub knows of the record that a grievance is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who said it.
    pub author: RecordId,
    /// When the hub took it, in Unix milliseconds.
    pub at: i64,
    /// What it paid.
    pub paid: Option<Paid>,
    /// Whose membership of the community it is about, and as what it makes them belong to it.
    pub member: Option<(RecordId, Option<Role>)>,
    /// Whose credential it is: the account of the wallet that it is about.
    pub holder: Option<RecordId>,
    /// The deal that it has made and that is to be settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deal: Option<Deal>,
}

impl Subject {
    /// How much it is about, in the smallest unit; zero where it is about no amount.
    pub fn at_stake(&self) -> i128 {
        let paid = self.paid.map(|paid| paid.amount);
        paid.or(self.deal.map(|deal| deal.amount)).unwrap_or(0)
    }

    /// Whether a complainant may file this about it.
    ///
    /// # Errors
    /// Step `rule`: `subject`, `respondent`, `remedy`.
    pub fn may_file(&self, body: &GrievanceBody, complainant: RecordId) -> Result<(), Refusal> {
        let subject = |told: &str| {
            let told = format!("{} is a {}: {told}", body.subject, self.kind);
            Err(Refusal::rule("subject", "/body/subject", told))
        };
        let parties = [complainant, body.respondent];
        match body.kind {
            Kind::Trade if self.paid.is_none() && self.deal.is_none() => {
                return subject(
                    "a trade is about a transfer@1 or capture@1 between members, or settles a purchase@1",
                );
            }
            Kind::Membership if self.member.is_none() => {
                return subject("about a membership is a membership@1 of the community, or its community@1");
            }
            _ => {}
        }
        if body.remedy == Remedy::Revocation && self.kind != "credential@1" {
            return subject("only a credential@1 can be revoked");
        }
        let concerned = match (self.deal, self.paid, self.member) {
            (Some(deal), ..) => [deal.buyer, deal.seller],
            (None, Some(paid), _) => [paid.payer, paid.payee],
            (None, None, Some((member, _))) => [self.author, member],
            (None, None, None) => [self.author, self.author],
        };
        let between = self.paid.is_some() || self.deal.is_some();
        let both = !between || concerned.iter().all(|one| parties.contains(one));
        if complainant == body.respondent || !concerned.contains(&body.respondent) || !both {
            let told = format!("{} is not whom {} can be against", body.respondent, body.subject);
            return Err(Refusal::rule("respondent", "/body/respondent", told));
        }
        let asked = match (body.remedy, self.paid, self.member) {
            (Remedy::Reversal, paid, _) => paid.is_some_and(|paid| paid.payer == complainant),
            (Remedy::Restoration, _, Some((member, role))) => member == complainant && role.is_none(),
            (Remedy::Removal, _, Some((member, _))) => member == body.respondent,
            (Remedy::Restoration | Remedy::Removal, _, None) => false,
            (Remedy::Settlement, ..) => self.deal.is_some(),
            (Remedy::Statement | Remedy::Revocation, ..) => true,
        };
        if asked {
            return Ok(());
        }
        let told = match body.remedy {
            Remedy::Reversal => "a reversal is asked for by whoever paid",
            Remedy::Restoration => "a restoration is asked for by whom the membership@1 has removed",
            Remedy::Settlement => "a settlement is of the deal of a purchase@1",
            _ => "a removal is of the member whom the record is about",
        };
        Err(Refusal::rule("remedy", "/body/remedy", told))
    }

    /// Whether it may be brought up at a moment, in Unix milliseconds: a payment may for 180 days.
    ///
    /// # Errors
    /// Step `rule`: `too_old`.
    pub fn is_recent(&self, now: i64) -> Result<(), Refusal> {
        if self.paid.is_none() || now.saturating_sub(self.at) <= PAYMENT_AGE_MAX_MS {
            return Ok(());
        }
        let told = format!("was paid at {}, and may be brought up for 180 days", Stamp::from_ms(self.at));
        Err(Refusal::conflict("too_old", "/body/subject", told))
    }

    /// Whether a remedy may change what the record says of a membership: it is the last word on it, and neither a vote of all nor a
    /// ruling has decided it.
    ///
    /// # Errors
    /// Step `rule`: `by_vote`, `not_last_word`.
    pub(crate) fn is_last_word(body: &GrievanceBody, word: Option<Word>) -> Result<(), Refusal> {
        if !matches!(body.remedy, Remedy::Restoration | Remedy::Removal) {
            return Ok(());
        }
        Self::is_undecided(body, word)?;
        if word.is_some_and(|word| word.record == body.subject) {
            return Ok(());
        }
        let told = format!(
            "{} is not what has last made the account a member or none: whom it only declines it has not removed",
            body.subject
        );
        Err(Refusal::conflict("not_last_word", "/body/subject", told))
    }

    /// Whether neither a vote of all nor a ruling has said what the membership is: a smaller body does not overrule a larger one.
    ///
    /// # Errors
    /// Step `rule`: `by_vote`.
    pub(crate) fn is_undecided(body: &GrievanceBody, word: Option<Word>) -> Result<(), Refusal> {
        match word {
            Some(Word { record, decided: true }) => {
                let told =
                    format!("the membership that {} is about was decided, at last by {record}", body.subject);
                Err(Refusal::conflict("by_vote", "/body/subject", told))
            }
            _ => Ok(()),
        }
    }

    /// Whether it is more than a mediator may bring to an end in a community where these settings hold: hours above the mediator's
    /// authority, anything that is not counted in hours, who belongs to the community where only votes decide that, and a deal whose amount
    /// has more digits than it leaves to mediators.
    pub fn is_above_mediation(&self, remedy: Remedy, settings: &Settings) -> bool {
        match (remedy, self.paid) {
            (Remedy::Reversal, Some(Paid { asset: Asset::TimeCredit, amount, .. })) => {
                amount > i128::from(settings.mediator_authority)
            }
            (Remedy::Reversal, _) => true,
            (Remedy::Restoration | Remedy::Removal, _) => settings.members_by_vote != 0,
            (Remedy::Settlement, _) => {
                let digits =
                    self.at_stake().checked_ilog10().map_or(0, |power| i64::from(power).saturating_add(1));
                digits > settings.mediator_deal_digits
            }
            (Remedy::Statement | Remedy::Revocation, _) => false,
        }
    }
}

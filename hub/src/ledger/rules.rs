//! What may move on which kind of account, in which direction, and whose word that needs. One table, pure.

use serde::{Deserialize, Serialize};

use super::model::{Holder, Issuer, Key, Kind};
use crate::records::RecordId;

/// What a transfer or a hold is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// From member to member, for something.
    Exchange,
    /// From a treasury to members who did what a community asked for.
    Reward,
    /// From members to a treasury.
    Deposit,
    /// From a treasury to members.
    Withdrawal,
    /// What a vote puts right.
    Adjustment,
    /// From an issuer's account: there is more of it.
    Issue,
    /// Back to the issuer's account: there is less of it.
    Redeem,
    /// With what lies in a chain's escrow.
    Mirror,
    /// The opposite of a transfer that a ruling voids.
    Reversal,
}

impl Purpose {
    /// Every one of them.
    pub const ALL: [Self; 9] = [
        Self::Exchange,
        Self::Reward,
        Self::Deposit,
        Self::Withdrawal,
        Self::Adjustment,
        Self::Issue,
        Self::Redeem,
        Self::Mirror,
        Self::Reversal,
    ];

    /// As the database writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Reward => "reward",
            Self::Deposit => "deposit",
            Self::Withdrawal => "withdrawal",
            Self::Adjustment => "adjustment",
            Self::Issue => "issue",
            Self::Redeem => "redeem",
            Self::Mirror => "mirror",
            Self::Reversal => "reversal",
        }
    }
}

/// What an entry is, as statements name it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// Received for something.
    ExchangeCredit,
    /// Given for something.
    ExchangeDebit,
    /// Received for what a community asked for.
    GovernanceReward,
    /// Into a treasury, on both sides.
    DaoTreasuryDeposit,
    /// Out of a treasury.
    DaoTreasuryWithdrawal,
    /// Put right by a vote.
    AdminAdjustment,
    /// Issued.
    Issue,
    /// Given back to the issuer.
    Redeem,
    /// With what lies in a chain's escrow.
    Mirror,
    /// The opposite of what a ruling voids.
    Reversal,
}

impl EntryKind {
    /// Every one of them.
    pub const ALL: [Self; 10] = [
        Self::ExchangeCredit,
        Self::ExchangeDebit,
        Self::GovernanceReward,
        Self::DaoTreasuryDeposit,
        Self::DaoTreasuryWithdrawal,
        Self::AdminAdjustment,
        Self::Issue,
        Self::Redeem,
        Self::Mirror,
        Self::Reversal,
    ];

    /// As the database and JSON write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ExchangeCredit => "exchange_credit",
            Self::ExchangeDebit => "exchange_debit",
            Self::GovernanceReward => "governance_reward",
            Self::DaoTreasuryDeposit => "dao_treasury_deposit",
            Self::DaoTreasuryWithdrawal => "dao_treasury_withdrawal",
            Self::AdminAdjustment => "admin_adjustment",
            Self::Issue => "issue",
            Self::Redeem => "redeem",
            Self::Mirror => "mirror",
            Self::Reversal => "reversal",
        }
    }

    /// What an entry of this amount is.
    pub const fn of(purpose: Purpose, amount: i128) -> Self {
        match (purpose, amount > 0) {
            (Purpose::Exchange, true) => Self::ExchangeCredit,
            (Purpose::Exchange, false) => Self::ExchangeDebit,
            (Purpose::Reward, true) => Self::GovernanceReward,
            (Purpose::Deposit, _) => Self::DaoTreasuryDeposit,
            (Purpose::Reward, false) | (Purpose::Withdrawal, _) => Self::DaoTreasuryWithdrawal,
            (Purpose::Adjustment, _) => Self::AdminAdjustment,
            (Purpose::Issue, _) => Self::Issue,
            (Purpose::Redeem, _) => Self::Redeem,
            (Purpose::Mirror, _) => Self::Mirror,
            (Purpose::Reversal, _) => Self::Reversal,
        }
    }
}

/// On whose word a batch comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// This account signed it.
    Account(RecordId),
    /// It is the effect of a vote or a ruling.
    Vote,
    /// It is the effect of a final event of a chain.
    Chain,
    /// The hub says that a moment has come.
    Hub,
}

/// Whose word an entry needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// No other than that of the opposite side.
    Nobody,
    /// Whose account it is.
    Holder,
    /// Whoever the asset names as its issuer.
    Issuer,
    /// A vote.
    Vote,
    /// A chain.
    Chain,
}

impl Needs {
    /// Whether this authority is enough for an entry on this account.
    pub fn met(self, by: Authority, account: &Key, issuer: Issuer) -> bool {
        match self {
            Self::Nobody => true,
            Self::Holder => matches!(by, Authority::Account(who) if Holder::Record(who) == account.holder),
            Self::Vote => by == Authority::Vote,
            Self::Chain => by == Authority::Chain,
            Self::Issuer => match issuer {
                Issuer::Nobody => false,
                Issuer::Account(who) => by == Authority::Account(who),
                Issuer::Vote => by == Authority::Vote,
                Issuer::Chain => by == Authority::Chain,
            },
        }
    }
}

/// Whether an entry of this purpose may be on this account, as to whose issuer's account it is: what is issued comes from the
/// account of the asset's own issuer and is given back there, and what nobody issues is neither.
pub fn issues(purpose: Purpose, account: &Key, issuer: Issuer) -> bool {
    match (purpose, account.kind, issuer) {
        (Purpose::Issue | Purpose::Redeem, Kind::Issuer, Issuer::Account(who)) => {
            Holder::Record(who) == account.holder
        }
        (Purpose::Issue | Purpose::Redeem, _, Issuer::Nobody | Issuer::Chain) => false,
        _ => true,
    }
}

/// The table: what an entry of this purpose needs on an account of this kind; none where there is no such entry.
pub const fn needs(purpose: Purpose, kind: Kind, gives: bool) -> Option<Needs> {
    use Kind::{Issuer, Member, Mirror, Treasury};
    Some(match (purpose, kind, gives) {
        (Purpose::Exchange | Purpose::Deposit | Purpose::Redeem, Member, true) => Needs::Holder,
        (Purpose::Exchange | Purpose::Reward | Purpose::Withdrawal | Purpose::Issue, Member, false)
        | (Purpose::Deposit | Purpose::Issue, Treasury, false)
        | (Purpose::Redeem, Issuer, false) => Needs::Nobody,
        (Purpose::Reward | Purpose::Withdrawal, Treasury, true)
        | (Purpose::Adjustment | Purpose::Reversal, Member | Treasury | Issuer, _) => Needs::Vote,
        (Purpose::Issue, Issuer, true) => Needs::Issuer,
        (Purpose::Mirror, Member | Mirror, _) => Needs::Chain,
        _ => return None,
    })
}

//! The kinds of credential and the one table of rules for them: who issues, about whom, from which outcome.

/// What a credential says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The deal was completed, says who received the goods.
    TrustedSeller,
    /// The deal was completed, says who received the money.
    ReliablePayer,
    /// Less than half of a disputed deal went to this side, or a jury of members ruled against it, says the hub.
    DisputeLost,
    /// A skill or service was given, says who received it.
    SkillProvider,
    /// Help was given or a thing shared, says who received it.
    ReliableSharer,
}

/// What has to have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The escrow paid a deal out in full agreement.
    DealCompleted,
    /// A disputed deal closed, and one side got less than half; or a jury of members ruled on what was paid or given.
    DisputeLost,
    /// A skill or service was paid for in hours, which nobody gave back.
    ServiceReceived,
    /// Help or a thing shared was paid for in hours, which nobody gave back.
    HelpReceived,
}

/// Somebody's part in an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Who buys in a deal.
    Buyer,
    /// Who sells in a deal.
    Seller,
    /// The side of a deal that got less than half, or the respondent of a grievance that was upheld.
    Loser,
    /// The hub.
    Hub,
    /// Who gave in an exchange.
    Giver,
    /// Who received in an exchange.
    Receiver,
}

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The type that the credential carries besides `VerifiableCredential`.
    pub name: &'static str,
    /// Who issues it: whoever received.
    pub issuer: Part,
    /// About whom: whoever gave.
    pub subject: Part,
    /// From what.
    pub outcome: Outcome,
    /// The points that it brings to a score: the first one from a counterparty, and each of the next ones.
    pub points: (u64, u64),
    /// What it says, for people.
    pub words: &'static str,
}

const fn rule(
    name: &'static str,
    issuer: Part,
    subject: Part,
    outcome: Outcome,
    points: (u64, u64),
    words: &'static str,
) -> Rule {
    Rule { name, issuer, subject, outcome, points, words }
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::TrustedSeller,
        Self::ReliablePayer,
        Self::DisputeLost,
        Self::SkillProvider,
        Self::ReliableSharer,
    ];

    /// The table.
    pub const fn rule(self) -> Rule {
        use Outcome::{DealCompleted, DisputeLost, HelpReceived, ServiceReceived};
        use Part::{Buyer, Giver, Hub, Loser, Receiver, Seller};
        #[rustfmt::skip]
        let rule = match self {
            Self::TrustedSeller => rule("TrustedSellerCredential", Buyer, Seller, DealCompleted, (10, 2), "sold, and the buyer was content"),
            Self::ReliablePayer => rule("ReliablePayerCredential", Seller, Buyer, DealCompleted, (10, 2), "bought, and the seller was paid"),
            Self::DisputeLost => rule("DisputeLostCredential", Hub, Loser, DisputeLost, (0, 0), "lost a dispute: less than half of a deal, or before a jury of members"),
            Self::SkillProvider => rule("SkillProviderCredential", Receiver, Giver, ServiceReceived, (10, 2), "gave a skill or service"),
            Self::ReliableSharer => rule("ReliableSharerCredential", Receiver, Giver, HelpReceived, (10, 2), "gave help or shared a thing"),
        };
        rule
    }

    /// The type that the credential carries besides `VerifiableCredential`.
    pub const fn name(self) -> &'static str {
        self.rule().name
    }

    /// The kind of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it rests on a deal at an escrow; a lost dispute may be one of a grievance in its place.
    pub const fn is_of_deals(self) -> bool {
        matches!(self.rule().outcome, Outcome::DealCompleted | Outcome::DisputeLost)
    }
}

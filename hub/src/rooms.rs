//! Which room a record's type belongs to. A room brings, for its types: `check` (the body's form, pure), `prepare` (what
//! must be read from outside, before the transaction), `admit` (what is asked of a new record alone), `apply` (its rule and its effects, inside the transaction), and
//! the names of its projection tables.

use serde_json::Value;
use service::db::Write;
use sqlx::AnyConnection;

use crate::{
    Hub, access, communities, deals, disputes,
    error::{Error, Refusal},
    governance, grievances, identity, ledger, market, outbox,
    records::{Accepted, Draft, Record, erasure},
    reputation,
};

/// The rooms of the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// What becomes of records themselves.
    Records,
    /// Accounts and devices; the hub's own account too.
    Identity,
    /// What everybody has: transfers and holds.
    Ledger,
    /// Communities, members, pools.
    Communities,
    /// Proposals, ballots, tallies and what they decide.
    Governance,
    /// Disputes of members, mediated and before juries.
    Grievances,
    /// Listings.
    Market,
    /// Purchases, what their parties ask for, and the chain's events about them.
    Deals,
    /// Evidence, ballots, recusals, appeals, and moments that have come.
    Disputes,
    /// Credentials.
    Reputation,
}

impl Room {
    pub(crate) const ALL: [Self; 10] = [
        Self::Records,
        Self::Identity,
        Self::Ledger,
        Self::Communities,
        Self::Governance,
        Self::Grievances,
        Self::Market,
        Self::Deals,
        Self::Disputes,
        Self::Reputation,
    ];

    /// Every type of record that this hub knows, and its room.
    pub(crate) const KINDS: [(&'static str, Self); 44] = [
        ("erasure@1", Self::Records),
        ("hub@1", Self::Identity),
        ("identity@1", Self::Identity),
        ("wallet@1", Self::Identity),
        ("passkey@1", Self::Identity),
        ("device@1", Self::Identity),
        ("recovery-rule@1", Self::Identity),
        ("recovery@1", Self::Identity),
        ("recovery-approval@1", Self::Identity),
        ("recovery-veto@1", Self::Identity),
        ("recovery-end@1", Self::Identity),
        ("profile@1", Self::Identity),
        ("personhood@1", Self::Identity),
        ("asset@1", Self::Ledger),
        ("transfer@1", Self::Ledger),
        ("hold@1", Self::Ledger),
        ("capture@1", Self::Ledger),
        ("release@1", Self::Ledger),
        ("expiry@1", Self::Ledger),
        ("community@1", Self::Communities),
        ("membership@1", Self::Communities),
        ("candidacy@1", Self::Communities),
        ("pool@1", Self::Communities),
        ("proposal@1", Self::Governance),
        ("vote@1", Self::Governance),
        ("tally@1", Self::Governance),
        ("deposit@1", Self::Governance),
        ("grievance@1", Self::Grievances),
        ("grievance-step@1", Self::Grievances),
        ("grievance-timeout@1", Self::Grievances),
        ("listing@1", Self::Market),
        ("purchase@1", Self::Deals),
        ("acceptance@1", Self::Deals),
        ("withdrawal@1", Self::Deals),
        ("act@1", Self::Deals),
        ("standing@1", Self::Deals),
        ("chain-event@1", Self::Deals),
        ("evidence@1", Self::Disputes),
        ("ballot@1", Self::Disputes),
        ("recusal@1", Self::Disputes),
        ("appeal@1", Self::Disputes),
        ("due@1", Self::Disputes),
        ("credential@1", Self::Reputation),
        ("revocation@1", Self::Reputation),
    ];

    /// The room of a type; none when this hub does not know the type.
    pub(crate) fn of(kind: &str) -> Option<Self> {
        Self::KINDS.iter().find(|(known, _)| *known == kind).map(|(_, room)| *room)
    }

    /// Whether only the hub itself may say it.
    pub(crate) fn is_the_hubs(kind: &str) -> bool {
        matches!(
            kind,
            "hub@1"
                | "recovery-end@1"
                | "asset@1"
                | "expiry@1"
                | "tally@1"
                | "grievance-timeout@1"
                | "chain-event@1"
                | "due@1"
        )
    }

    /// Whether whoever said a record of this type may erase it: its body is for people to read, and no rule, vote, credential,
    /// bundle or payment looks at it. Which are not, and why: `docs/architecture.md`, Erasure.
    pub(crate) fn is_erasable(kind: &str) -> bool {
        kind == "profile@1"
    }

    /// For how many milliseconds from its `created` on a record of this type is taken; none: for ever. What moves something is
    /// not lying about for whoever has its bytes. A replay does not ask.
    pub(crate) fn good_for_ms(kind: &str) -> Option<i64> {
        let moves = matches!(kind, "transfer@1" | "hold@1" | "capture@1" | "release@1" | "deposit@1");
        moves.then_some(ledger::GOOD_FOR_MS)
    }

    /// Whether a record of this type is about no other one, so that its `about` is null. A replay does not ask: a log may have
    /// others from before.
    pub(crate) fn is_about_nothing(kind: &str) -> bool {
        matches!(
            kind,
            "hub@1"
                | "identity@1"
                | "wallet@1"
                | "passkey@1"
                | "device@1"
                | "recovery-rule@1"
                | "profile@1"
                | "personhood@1"
                | "transfer@1"
                | "hold@1"
                | "community@1"
        )
    }

    /// The body's form: every member known, within its limits. Reads nothing.
    pub(crate) fn check(self, record: &Record) -> Result<(), Refusal> {
        match self {
            Self::Records => erasure::check(record),
            Self::Identity => identity::check(record),
            Self::Ledger => ledger::check(record),
            Self::Communities => communities::check(record),
            Self::Governance => governance::check(record),
            Self::Grievances => grievances::check(record),
            Self::Market => market::check(record),
            Self::Deals => deals::check(record),
            Self::Disputes => disputes::check(record),
            Self::Reputation => reputation::check(record),
        }
    }

    /// Reads from outside what `apply` needs; it is kept in the log, so that a replay needs no network.
    pub(crate) async fn prepare(self, hub: &Hub, record: &Record) -> Result<Value, Error> {
        match self {
            Self::Identity => identity::prepare(hub, record).await,
            Self::Communities => communities::prepare(hub, record).await,
            Self::Deals => deals::prepare(hub, record).await,
            Self::Reputation => reputation::prepare(hub, record).await,
            Self::Disputes => disputes::prepare(hub, record).await,
            Self::Ledger => ledger::prepare(hub, record),
            Self::Governance => governance::prepare(hub, record),
            Self::Records | Self::Grievances | Self::Market => Ok(Value::Null),
        }
    }

    /// What is asked of a new record in its turn, besides whether its device may speak. A replay does not ask: a log may have from
    /// before what is refused here.
    pub(crate) async fn admit(self, on: &mut AnyConnection, record: &Record) -> Result<(), Error> {
        if self == Self::Governance { governance::admit(on, record).await } else { Ok(()) }
    }

    /// Decides and writes, from nothing but the log entry and the projections. Answers what the hub says because of it:
    /// drafts with the hub as author, dated `accepted.received_at`.
    pub(crate) async fn apply(
        self,
        hub: &Hub,
        write: &mut Write,
        accepted: &Accepted,
    ) -> Result<Vec<Draft>, Error> {
        match self {
            Self::Records => {
                let said = erasure::apply(write.on(), accepted).await?;
                grievances::may_erase(write.on(), &said.id).await?;
                identity::erased(write.on(), &said).await?;
                Ok(Vec::new())
            }
            Self::Identity => identity::apply(write, accepted).await,
            Self::Ledger => ledger::apply(write, accepted).await,
            Self::Communities => communities::apply(write, accepted).await,
            Self::Governance if accepted.record.kind == "tally@1" => {
                let mut drafts = governance::apply(hub, write, accepted).await?;
                drafts.extend(reputation::ruled(hub, write, accepted).await?);
                Ok(drafts)
            }
            Self::Governance => governance::apply(hub, write, accepted).await,
            Self::Grievances => grievances::apply(hub, write, accepted).await,
            Self::Market => market::apply(write, accepted).await,
            Self::Deals if accepted.record.kind == "chain-event@1" => {
                deals::apply(write, accepted).await?;
                disputes::follow(write, accepted).await?;
                grievances::follow(write, accepted).await?;
                reputation::follow(hub, write, accepted).await
            }
            Self::Deals if accepted.record.kind == "act@1" => {
                let drafts = deals::apply(write, accepted).await?;
                grievances::signed(write, accepted).await?;
                Ok(drafts)
            }
            Self::Deals => deals::apply(write, accepted).await,
            Self::Disputes => disputes::apply(write, accepted).await,
            Self::Reputation => reputation::apply(hub, write, accepted).await,
        }
    }

    /// The tables that hold nothing but what the log says; [`crate::records::rebuild`] fills them anew.
    pub(crate) const fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Records => erasure::TABLES,
            Self::Identity => identity::TABLES,
            Self::Ledger => ledger::TABLES,
            Self::Communities => communities::TABLES,
            Self::Governance => governance::TABLES,
            Self::Grievances => grievances::TABLES,
            Self::Market => market::TABLES,
            Self::Deals => deals::TABLES,
            Self::Disputes => disputes::TABLES,
            Self::Reputation => reputation::TABLES,
        }
    }

    /// What records write to besides projections, and no replay may touch: who is signed in.
    pub(crate) const BESIDE: [&'static str; 1] = ["sessions"];

    /// Every projection table of the hub.
    pub(crate) fn all_tables() -> impl Iterator<Item = &'static str> {
        let shared = [outbox::TABLES, access::TABLES].into_iter().flatten();
        shared.chain(Self::ALL.iter().flat_map(|room| room.tables())).copied()
    }
}

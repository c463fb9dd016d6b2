//! What comes by the clock: which lists there are, which clock each goes by, and which room says that one has come.

use super::Timetable;
use crate::{Hub, disputes, error::Error, governance, grievances, identity, ledger};

/// What comes by the clock. A room brings, for each of its lists, the timetable and who says that one has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// Moments of cases on a chain.
    Moments,
    /// Time-outs of deals on a chain that a party asked for.
    TimeOuts,
    /// Recoveries of accounts.
    Recoveries,
    /// Holds.
    Holds,
    /// Proposals.
    Proposals,
    /// Grievances.
    Grievances,
}

impl List {
    pub(super) const ALL: [Self; 6] =
        [Self::Moments, Self::TimeOuts, Self::Recoveries, Self::Holds, Self::Proposals, Self::Grievances];

    /// The name in the hub's log and metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Moments => "moments",
            Self::TimeOuts => "time_outs",
            Self::Recoveries => "recoveries",
            Self::Holds => "holds",
            Self::Proposals => "proposals",
            Self::Grievances => "grievances",
        }
    }

    pub(super) const fn timetable(self) -> Timetable {
        match self {
            Self::Moments => disputes::MOMENTS,
            Self::TimeOuts => disputes::TIME_OUTS,
            Self::Recoveries => identity::RECOVERIES,
            Self::Holds => ledger::HOLDS,
            Self::Proposals => governance::PROPOSALS,
            Self::Grievances => grievances::GRIEVANCES,
        }
    }

    /// The clock that it goes by, in Unix milliseconds: a chain's moments come whoever has looked, and what people are to answer
    /// within ends as windows do.
    pub(super) fn now_ms(self, hub: &Hub) -> i64 {
        match self {
            Self::Moments | Self::TimeOuts => hub.clock.now_ms(),
            Self::Recoveries | Self::Holds | Self::Proposals | Self::Grievances => hub.windows.now_ms(),
        }
    }

    /// Says that the one of this key has come; nothing when there is none any more.
    pub(super) async fn say(self, hub: &Hub, key: &str) -> Result<(), Error> {
        match self {
            Self::Moments => disputes::say_moment(hub, key).await,
            Self::TimeOuts => disputes::say_time_out(hub, key).await,
            Self::Recoveries => identity::say_end(hub, key).await,
            Self::Holds => ledger::say_expiry(hub, key).await,
            Self::Proposals => governance::say_tally(hub, key).await,
            Self::Grievances => grievances::say_timeout(hub, key).await,
        }
    }
}

//! The table of recoveries: where one stands, and what may happen to it.

use super::control::Refused;

/// Where a recovery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Guardians are agreeing.
    Asked,
    /// Enough have agreed, and the delay runs.
    Waiting,
    /// The account has its new wallet.
    Recovered,
    /// A wallet of the account has said no.
    Vetoed,
    /// Too few agreed in time, another recovery came first, or the wallet went elsewhere.
    Lapsed,
}

/// What happens to a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A guardian agrees, and more have to.
    Approve,
    /// A guardian agrees, and that is enough.
    Suffice,
    /// A wallet of the account says no, or changes the rule.
    Veto,
    /// Its time is over.
    TimeOver,
    /// Its time is over, and its wallet or its account is no more to be had.
    Overtaken,
}

impl Stage {
    pub(super) const ALL: [Self; 5] =
        [Self::Asked, Self::Waiting, Self::Recovered, Self::Vetoed, Self::Lapsed];

    /// As JSON and the database write it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Waiting => "waiting",
            Self::Recovered => "recovered",
            Self::Vetoed => "vetoed",
            Self::Lapsed => "lapsed",
        }
    }

    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Asked | Self::Waiting)
    }
}

impl std::str::FromStr for Stage {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|stage| stage.name() == name)
            .ok_or_else(|| format!("no stage is {name:.20}"))
    }
}

/// The table of recoveries: every stage and step.
pub(super) const fn step(stage: Stage, step: Step) -> Result<Stage, Refused> {
    match (stage, step) {
        (Stage::Asked, Step::Approve) => Ok(Stage::Asked),
        (Stage::Asked, Step::Suffice) => Ok(Stage::Waiting),
        (Stage::Asked | Stage::Waiting, Step::Veto) => Ok(Stage::Vetoed),
        (Stage::Asked, Step::TimeOver) | (Stage::Asked | Stage::Waiting, Step::Overtaken) => {
            Ok(Stage::Lapsed)
        }
        (Stage::Waiting, Step::TimeOver) => Ok(Stage::Recovered),
        (Stage::Waiting, Step::Approve | Step::Suffice) => Err(Refused::Enough),
        (Stage::Recovered | Stage::Vetoed | Stage::Lapsed, _) => Err(Refused::Closed(stage)),
    }
}

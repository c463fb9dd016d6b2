//! What a community's votes set: names, bounds and first values.

use serde::{Deserialize, Serialize};

/// Something of a community that a vote sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// The shortest window of a proposal with an effect, in seconds.
    WindowMinSeconds,
    /// The lowest quorum of a proposal with an effect, in hundredths.
    QuorumMinPercent,
    /// The lowest share of yes that accepts a proposal with an effect, in hundredths; 50 is a majority.
    ApprovalMinPercent,
    /// 1: nobody but a vote admits, expels and names stewards; 0: a steward may, too.
    MembersByVote,
    /// How long a grievance waits for a mediator and is mediated, together, in seconds.
    MediationSeconds,
    /// The largest payment that a mediator may deal with, in hundredths of an hour.
    MediatorAuthority,
    /// The most digits that the amount of a deal may have that a mediator deals with, in the smallest unit of its asset.
    MediatorDealDigits,
    /// How many members sit on a jury.
    JurySize,
    /// How long a jury sits, in seconds: a quarter of it is for stepping aside, the rest for its vote.
    JurySeconds,
    /// What the treasury pays each juror who has taken a side on a jury that decided, in hundredths of an hour.
    JurorReward,
    /// The most that the treasury pays jurors within a day, in hundredths of an hour.
    JurorRewardsDaily,
}

impl Setting {
    /// Every one of them.
    pub const ALL: [Self; 11] = [
        Self::WindowMinSeconds,
        Self::QuorumMinPercent,
        Self::ApprovalMinPercent,
        Self::MembersByVote,
        Self::MediationSeconds,
        Self::MediatorAuthority,
        Self::MediatorDealDigits,
        Self::JurySize,
        Self::JurySeconds,
        Self::JurorReward,
        Self::JurorRewardsDaily,
    ];

    /// As the database and JSON write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WindowMinSeconds => "window_min_seconds",
            Self::QuorumMinPercent => "quorum_min_percent",
            Self::ApprovalMinPercent => "approval_min_percent",
            Self::MembersByVote => "members_by_vote",
            Self::MediationSeconds => "mediation_seconds",
            Self::MediatorAuthority => "mediator_authority",
            Self::MediatorDealDigits => "mediator_deal_digits",
            Self::JurySize => "jury_size",
            Self::JurySeconds => "jury_seconds",
            Self::JurorReward => "juror_reward",
            Self::JurorRewardsDaily => "juror_rewards_daily",
        }
    }

    /// The least and the greatest value.
    pub const fn bounds(self) -> (i64, i64) {
        match self {
            Self::WindowMinSeconds => (60, 31 * 24 * 60 * 60),
            Self::QuorumMinPercent => (1, 100),
            Self::ApprovalMinPercent => (50, 100),
            Self::MembersByVote => (0, 1),
            Self::MediationSeconds => (60, 31 * 24 * 60 * 60),
            Self::MediatorAuthority => (0, 1_000_000_000_000),
            // As many as the ledger counts.
            Self::MediatorDealDigits => (0, 38),
            // Jurors, parties and mediator are the audience of the vote, and a record has one of at most 16.
            Self::JurySize => (1, 13),
            Self::JurySeconds => (240, 31 * 24 * 60 * 60),
            Self::JurorReward => (0, 100_000),
            Self::JurorRewardsDaily => (0, 10_000_000),
        }
    }

    /// What holds until a vote sets it.
    pub const fn first(self) -> i64 {
        match self {
            Self::WindowMinSeconds => 3 * 24 * 60 * 60,
            Self::QuorumMinPercent | Self::ApprovalMinPercent => 50,
            Self::MembersByVote | Self::JurorReward => 0,
            Self::MediationSeconds => 7 * 24 * 60 * 60,
            Self::MediatorAuthority => 1_000,
            Self::MediatorDealDigits => 38,
            Self::JurySize => 5,
            Self::JurySeconds => 4 * 24 * 60 * 60,
            Self::JurorRewardsDaily => 10_000,
        }
    }
}

/// What a community's votes have set, and the first values of what none has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// See [`Setting::WindowMinSeconds`].
    pub window_min_seconds: i64,
    /// See [`Setting::QuorumMinPercent`].
    pub quorum_min_percent: i64,
    /// See [`Setting::ApprovalMinPercent`].
    pub approval_min_percent: i64,
    /// See [`Setting::MembersByVote`].
    pub members_by_vote: i64,
    /// See [`Setting::MediationSeconds`].
    pub mediation_seconds: i64,
    /// See [`Setting::MediatorAuthority`].
    pub mediator_authority: i64,
    /// See [`Setting::MediatorDealDigits`].
    pub mediator_deal_digits: i64,
    /// See [`Setting::JurySize`].
    pub jury_size: i64,
    /// See [`Setting::JurySeconds`].
    pub jury_seconds: i64,
    /// See [`Setting::JurorReward`].
    pub juror_reward: i64,
    /// See [`Setting::JurorRewardsDaily`].
    pub juror_rewards_daily: i64,
}

impl Settings {
    /// From what is kept of each; none where no vote has set it.
    pub fn of(set: impl Fn(Setting) -> Option<i64>) -> Self {
        let value = |setting: Setting| set(setting).unwrap_or_else(|| setting.first());
        Self {
            window_min_seconds: value(Setting::WindowMinSeconds),
            quorum_min_percent: value(Setting::QuorumMinPercent),
            approval_min_percent: value(Setting::ApprovalMinPercent),
            members_by_vote: value(Setting::MembersByVote),
            mediation_seconds: value(Setting::MediationSeconds),
            mediator_authority: value(Setting::MediatorAuthority),
            mediator_deal_digits: value(Setting::MediatorDealDigits),
            jury_size: value(Setting::JurySize),
            jury_seconds: value(Setting::JurySeconds),
            juror_reward: value(Setting::JurorReward),
            juror_rewards_daily: value(Setting::JurorRewardsDaily),
        }
    }

    /// The value of one.
    pub const fn of_setting(&self, setting: Setting) -> i64 {
        match setting {
            Setting::WindowMinSeconds => self.window_min_seconds,
            Setting::QuorumMinPercent => self.quorum_min_percent,
            Setting::ApprovalMinPercent => self.approval_min_percent,
            Setting::MembersByVote => self.members_by_vote,
            Setting::MediationSeconds => self.mediation_seconds,
            Setting::MediatorAuthority => self.mediator_authority,
            Setting::MediatorDealDigits => self.mediator_deal_digits,
            Setting::JurySize => self.jury_size,
            Setting::JurySeconds => self.jury_seconds,
            Setting::JurorReward => self.juror_reward,
            Setting::JurorRewardsDaily => self.juror_rewards_daily,
        }
    }
}

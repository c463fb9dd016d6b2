//! Which cases and ballots to list.

use alloy::primitives::B256;
use protocol::{
    arbitration::{Ballots, Vote},
    chain::{AccountId, Address},
    wire::{
        feed::Finality,
        query::BallotView,
        view::{Case, CaseStage, Jury},
    },
};
use service::http::Problem;

use crate::{params::Params, query::scan::Takes};

/// Each condition holds where it is given. Times in Unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub deal: Option<B256>,
    pub escrow: Option<AccountId>,
    pub arbiter: Option<AccountId>,
    pub stage: Option<CaseStage>,
    /// A jury of it is of this pool.
    pub pool: Option<B256>,
    /// A seat of a jury is this account's.
    pub juror: Option<Address>,
    /// Ballots of its newest jury count until this time or later.
    pub ends_from: Option<u64>,
    /// Ballots of its newest jury count until before this time.
    pub ends_before: Option<u64>,
}

/// The parameters of [`Filter::read`].
pub(crate) const PARAMETERS: [&str; 8] =
    ["deal", "escrow", "arbiter", "stage", "pool", "juror", "ends_from", "ends_before"];

const ACCOUNT: &str = "a CAIP-10 account, such as eip155:1:0x and 40 hexadecimal digits";
const STAGES: &str = "opened, drawn, accepted or executed";

impl Filter {
    /// From the parameters of a request.
    ///
    /// # Errors
    /// A parameter cannot be read; names it, its value and the rule.
    pub fn read(params: &Params) -> Result<Self, Problem> {
        Ok(Self {
            deal: params.parsed("deal", "a deal's id, 0x and 64 hexadecimal digits")?,
            escrow: params.parsed("escrow", ACCOUNT)?,
            arbiter: params.parsed("arbiter", ACCOUNT)?,
            stage: params.word("stage", STAGES)?,
            pool: params.parsed("pool", "a pool's id, 0x and 64 hexadecimal digits")?,
            juror: params.parsed("juror", "an address")?,
            ends_from: params.parsed("ends_from", "Unix seconds")?,
            ends_before: params.parsed("ends_before", "Unix seconds")?,
        })
    }

    /// What the subjects of all such cases begin with.
    pub fn room(&self) -> String {
        self.deal.map_or_else(|| "case/".to_owned(), |deal| format!("case/{deal}/"))
    }

    /// The ballots of the case, of this juror and this pool where they are given, in the order of juries and seats.
    pub fn ballots(&self, case: &Case, finality: Finality) -> Vec<BallotView> {
        let juries = case.juries.iter().filter(|jury| self.pool.is_none_or(|pool| jury.pool == Some(pool)));
        let all = juries.flat_map(|jury| of_jury(case, jury, finality));
        all.filter(|ballot| self.juror.is_none_or(|juror| ballot.juror == juror)).collect()
    }
}

impl Takes<Case> for Filter {
    fn takes(&self, case: &Case) -> bool {
        let ends_at = case.juries.last().and_then(|jury| jury.ends_at);
        self.deal.is_none_or(|deal| case.deal == deal)
            && self.escrow.is_none_or(|escrow| case.escrow == escrow)
            && self.arbiter.is_none_or(|arbiter| case.arbiter == arbiter)
            && self.stage.is_none_or(|stage| case.stage == stage)
            && self.pool.is_none_or(|pool| case.juries.iter().any(|jury| jury.pool == Some(pool)))
            && self.juror.is_none_or(|juror| case.juries.iter().any(|jury| jury.seats.contains(&juror)))
            && self.ends_from.is_none_or(|from| ends_at.is_some_and(|at| at >= from))
            && self.ends_before.is_none_or(|before| ends_at.is_some_and(|at| at < before))
    }
}

fn of_jury(case: &Case, jury: &Jury, finality: Finality) -> Vec<BallotView> {
    let word = Ballots::from(jury.ballots);
    let seats = (0_u8..=30).zip(&jury.seats);
    let ballots = seats.filter_map(|(seat, juror)| {
        // What was cast on chain is known before it is counted.
        let cast = jury.cast.iter().rev().find(|ballot| ballot.seat == seat);
        let share = match (cast, word.vote(seat)) {
            (Some(cast), _) => Some(cast.share),
            (None, Vote::Share(share)) => Some(share),
            (None, Vote::Void) => None,
            (None, Vote::Missing) => return None,
        };
        Some(BallotView {
            deal: case.deal,
            escrow: case.escrow,
            arbiter: case.arbiter,
            instance: jury.instance,
            jury: jury.jury,
            pool: jury.pool,
            seat,
            juror: *juror,
            share,
            on_chain: cast.is_some(),
            reason: cast.map(|ballot| ballot.reason),
            finality,
        })
    });
    ballots.collect()
}

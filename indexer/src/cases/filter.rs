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

use crate::{
    params::Params,
    query::{list::Listed, scan::Takes},
};

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

const ACCOUNT: &str = "a CAIP-10 account, such as eip155:1:0x and 40 hexadecimal digits";
const STAGES: &str = "opened, drawn, accepted or executed";

impl Filter {
    /// The ballots of the case, of this juror and this pool where they are given, in the order of juries and seats.
    pub fn ballots(&self, case: &Case, finality: Finality) -> Vec<BallotView> {
        let juries = case.juries.iter().filter(|jury| self.pool.is_none_or(|pool| jury.pool == Some(pool)));
        let all = juries.flat_map(|jury| of_jury(case, jury, finality));
        all.filter(|ballot| self.juror.is_none_or(|juror| ballot.juror == juror)).collect()
    }
}

impl Listed for Filter {
    type State = Case;
    const ROOM: &str = "case/";
    const PARAMETERS: &[&str] =
        &["deal", "escrow", "arbiter", "stage", "pool", "juror", "ends_from", "ends_before"];

    fn read(params: &Params) -> Result<Self, Problem> {
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

    fn room(&self) -> String {
        self.deal.map_or_else(|| Self::ROOM.to_owned(), |deal| format!("case/{deal}/"))
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

#[cfg(test)]
mod tests {
    use alloy::primitives::{self, U256};
    use protocol::wire::view::CastBallot;

    use super::*;

    fn account(byte: u8) -> Address {
        Address::Evm(primitives::Address::repeat_byte(byte))
    }

    fn contract(byte: u8) -> AccountId {
        format!("eip155:31337:{}", primitives::Address::repeat_byte(byte)).parse().unwrap()
    }

    /// A case with one jury of five: nothing, a share, void, cast on chain before it is counted, nothing.
    fn case() -> Case {
        Case {
            deal: B256::repeat_byte(1),
            arbiter: contract(0xaa),
            escrow: contract(0xee),
            stage: CaseStage::Drawn,
            ruling: None,
            executable_at: None,
            appealed_by: None,
            juries: vec![Jury {
                instance: 0,
                jury: 0,
                pool: Some(B256::repeat_byte(7)),
                list: Some(0),
                ends_at: Some(1_000),
                target_block: 1,
                seed: None,
                seats: (1..=5).map(account).collect(),
                ballots: B256::from(U256::from(4_u64 << 5 | 31 << 10)),
                lo: 0,
                hi: 10_000,
                cast: vec![CastBallot { seat: 3, share: 2_500, reason: B256::repeat_byte(9) }],
            }],
        }
    }

    #[test]
    fn a_ballot_is_listed_once_the_chain_knows_it() {
        let all = Filter::default().ballots(&case(), Finality::Final);
        let said: Vec<_> = all.iter().map(|b| (b.seat, b.share, b.on_chain, b.reason)).collect();
        let reason = Some(B256::repeat_byte(9));
        assert_eq!(
            said,
            [(1, Some(1_500), false, None), (2, None, false, None), (3, Some(2_500), true, reason)]
        );
        let of = |juror| Filter { juror: Some(account(juror)), ..Filter::default() };
        assert_eq!(of(2).ballots(&case(), Finality::Final), all[..1]);
        assert_eq!(of(1).ballots(&case(), Finality::Final), []);
        let other = Filter { pool: Some(B256::repeat_byte(8)), ..Filter::default() };
        assert_eq!(other.ballots(&case(), Finality::Final), []);
    }

    #[test]
    fn every_condition_takes_what_it_says_and_nothing_else() {
        let none = Filter::default;
        assert!(none().takes(&case()));
        for (filter, taken) in [
            (Filter { deal: Some(B256::repeat_byte(1)), ..none() }, true),
            (Filter { deal: Some(B256::repeat_byte(2)), ..none() }, false),
            (Filter { escrow: Some(contract(0xee)), ..none() }, true),
            (Filter { escrow: Some(contract(0xaa)), ..none() }, false),
            (Filter { arbiter: Some(contract(0xaa)), ..none() }, true),
            (Filter { arbiter: Some(contract(0xee)), ..none() }, false),
            (Filter { stage: Some(CaseStage::Drawn), ..none() }, true),
            (Filter { stage: Some(CaseStage::Opened), ..none() }, false),
            (Filter { pool: Some(B256::repeat_byte(7)), ..none() }, true),
            (Filter { pool: Some(B256::repeat_byte(8)), ..none() }, false),
            (Filter { juror: Some(account(5)), ..none() }, true),
            (Filter { juror: Some(account(6)), ..none() }, false),
            (Filter { ends_from: Some(1_000), ..none() }, true),
            (Filter { ends_from: Some(1_001), ..none() }, false),
            (Filter { ends_before: Some(1_001), ..none() }, true),
            (Filter { ends_before: Some(1_000), ..none() }, false),
        ] {
            assert_eq!(filter.takes(&case()), taken, "{filter:?}");
        }
    }
}

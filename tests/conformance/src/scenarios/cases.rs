//! Cases that go as the rules say: juries of every size, rulings with and without everybody, second juries, last words,
//! appeals; and the last second of each phase with the one after it.
//!
//! A jury takes 2,000 seconds here, half of them for opening. The deal is disputed 2 seconds after the start, so the first
//! jury closes at 2,002 and the instance at 4,002.

mod appeals;
mod draws;
mod last_words;
mod second_juries;
mod votes;

use super::{Scenario, after, dispute, fund, plain};
use crate::words::{Act, Amount, BallotWords, DealWords, ListWords, PoolWords, Setting, Step, Who};

/// The last second in which ballots of the first instance count.
const END: u64 = 4_002;

pub fn all() -> Vec<Scenario> {
    let mut all = votes::sizes();
    all.extend(votes::all());
    all.extend(second_juries::all());
    all.extend(last_words::all());
    all.extend(appeals::all());
    all.extend(draws::all());
    all
}

pub fn pool(jury_size: u8, parent: Option<usize>) -> PoolWords {
    PoolWords {
        jury_size,
        delay: 0,
        opening: 1_000,
        voting: 1_000,
        appeal: if parent.is_some() { 500 } else { 0 },
        parent,
        lists: vec![list(jury_size)],
    }
}

/// Enough for both juries of the pool, and for two before them.
fn list(jury_size: u8) -> ListWords {
    ListWords { from: 0, members: jury_size * 2 + 8, parties: true }
}

pub fn disputed(pools: Vec<PoolWords>) -> Setting {
    let deal = DealWords {
        arbiter: Who::Pools,
        fund_by: 100,
        deliver_by: 2_000_000,
        ruling: 400_000,
        panel: Some(pools.len() - 1),
        ..plain()
    };
    Setting { purse: Amount::Exactly(0), pools, deals: vec![deal] }
}

fn alone(jury_size: u8) -> Setting {
    disputed(vec![pool(jury_size, None)])
}

/// A pool of one juror whose parent has three.
pub fn with_parent() -> Setting {
    disputed(vec![pool(3, None), pool(1, Some(0))])
}

pub fn open() -> Step {
    after(1, Act::Open { by: Who::Stranger.into() })
}

/// As soon as the target block is past.
pub fn draw() -> Step {
    Step { after: 3, blocks: 2, deal: 0, act: Act::Draw { by: Who::Stranger.into() } }
}

/// From the start until a first jury is drawn, 6 seconds later.
pub fn drawn() -> Vec<Step> {
    vec![after(1, fund()), after(1, dispute()), open(), draw()]
}

/// Until a second jury is drawn.
fn second_drawn() -> Vec<Step> {
    then(drawn(), [after(2_003 - 6, second()), draw()])
}

pub fn ballot(jury: u8, seat: u8, share: u16) -> BallotWords {
    BallotWords { seat, share, reason: 7, signer: Who::Seat(jury, seat), altered: false }
}

pub fn submit(jury: u8, ballots: &[(u8, u16)]) -> Act {
    let ballots = ballots.iter().map(|(seat, share)| ballot(jury, *seat, *share)).collect();
    Act::Submit { by: Who::Stranger.into(), jury, ballots }
}

pub fn cast(jury: u8, seat: u8, share: u16) -> Act {
    Act::Cast { by: Who::Seat(jury, seat).into(), jury, seat, share, reason: 8 }
}

pub fn second() -> Act {
    Act::OpenSecondJury { by: Who::Stranger.into() }
}

pub fn conclude() -> Act {
    Act::Conclude { by: Who::Stranger.into() }
}

pub fn execute() -> Act {
    Act::Execute { by: Who::Stranger.into() }
}

pub fn appeal() -> Act {
    Act::Appeal { by: Who::Buyer.into() }
}

fn then(mut steps: Vec<Step>, more: impl IntoIterator<Item = Step>) -> Vec<Step> {
    steps.extend(more);
    steps
}

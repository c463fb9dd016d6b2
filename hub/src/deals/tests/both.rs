//! Random histories of the chain's own state machines, of deals and of their cases, brought through the relayer's door on both
//! engines and both kinds of chain: as seen, safe and final, late, twice, in another order, taken back and told again, while
//! jurors vote and parties appeal here. Whatever was brought, the hub stands where the chain stood after the last of what is
//! final here.

mod compared;
mod followed;

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{B256, U256};
use proptest::{
    prelude::*,
    sample::Index,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use protocol::{
    arbitration::{List, Pool, Registry, case::Case},
    chain::Address,
    deal::DealState,
    wire::feed::{FeedEntry, Finality, RuleBook},
};
use serde_json::json;
use service::db::testing::FreshDb;

use self::{
    compared::same,
    followed::{Deal, Event, Point},
};
use crate::{
    deals::status::Status,
    testing::{
        seeds,
        trade::{Ground, Trade, everywhere},
    },
};

/// What happens in a history; longer tests have more histories, each with a hub of its own.
const STEPS: usize = 400;
/// Besides the three that every trade has: enough for both juries of the pool, both of its parent, and the parties.
const MORE_JURORS: u8 = 15;
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

#[derive(Clone, Debug)]
struct Random {
    choice: u8,
    odd: u8,
    number: u8,
    total: u128,
    which: Index,
    nth: Index,
}

impl Random {
    /// Of a ballot.
    fn share(&self) -> u16 {
        [0, 5_000, 10_000, u16::from(self.odd % 21) * 500][usize::from(self.number >> 6)]
    }
}

fn steps() -> impl Strategy<Value = Random> {
    let numbers = (0..200_u8, any::<u8>(), any::<u8>(), 0..=1_000_u128);
    (numbers, any::<Index>(), any::<Index>()).prop_map(|((choice, odd, number, total), which, nth)| Random {
        choice,
        odd,
        number,
        total,
        which,
        nth,
    })
}

/// A trade, its chain, and every deal that there was.
struct World {
    trade: Trade,
    pools: Registry,
    deals: Vec<Deal>,
    /// How often the chain told what.
    seen: BTreeMap<&'static str, u32>,
}

impl World {
    async fn start(db: FreshDb, ground: Ground) -> Self {
        let mut trade = Trade::start(db, ground).await;
        trade.more_jurors(MORE_JURORS).await;
        let mut members: Vec<Address> = trade.jurors.iter().map(|juror| juror.wallet.address()).collect();
        members.sort_unstable();
        let pool = |book: RuleBook| {
            let list = List { effective_at: 1, members: members.clone() };
            (ground.pool_id(&book), Pool { book, lists: vec![list] })
        };
        let pools = Registry([ground.appealable(), ground.parent_book()].map(pool).into());
        Self { trade, pools, deals: Vec::new(), seen: BTreeMap::new() }
    }

    /// Time passes on the chain and, where it is behind, here.
    fn passes(&self, seconds: u64) {
        self.trade.script.passes(seconds);
        let (_, now) = self.trade.script.next_block();
        let behind = i64::try_from(now * 1000).unwrap() - self.trade.hub.now();
        if behind > 0 {
            self.trade.hub.clock.pass_ms(behind);
        }
    }

    async fn offers(&mut self, accepts: bool) {
        let ground = self.trade.ground;
        let (_, now) = self.trade.script.next_block();
        let (mut terms, agreement) = self.trade.terms(0);
        terms.panel = ground.pool_id(&ground.appealable());
        (terms.fund_by, terms.deliver_by) = (now + 2 * HOUR, now + DAY);
        terms.salt = B256::from(U256::from(self.deals.len()));
        let bought = self.trade.offer_of(terms, agreement).await;
        if accepts {
            self.trade.hub.say(&self.trade.acceptance(&bought)).await;
        }
        self.deals.push(Deal {
            bought,
            said: if accepts { Status::Created } else { Status::Offered },
            points: vec![Point { state: DealState::EMPTY, case: Case::default(), events: 0 }],
            events: Vec::new(),
            pending: Vec::new(),
            brought: Vec::new(),
            signed: BTreeMap::new(),
            appeals: BTreeSet::new(),
        });
    }

    /// The chain moves.
    fn moves(&mut self, nth: usize, random: &Random) {
        self.passes(u64::from(random.odd % 4) * 10);
        let followed = &mut self.deals[nth];
        let next = self.trade.script.next_block();
        let Some((state, case, bodies)) = followed.tried(&self.pools, random, next) else { return };
        for (_, body) in &bodies {
            *self.seen.entry(body.name()).or_default() += 1;
        }
        let happened = self.trade.script.happen_together(bodies).into_iter();
        followed.events.extend(happened.map(|event| Event {
            event,
            indexed: None,
            held: None,
            undone: false,
        }));
        followed.points.push(Point { state, case, events: followed.events.len() });
    }

    async fn step(&mut self, random: &Random) {
        self.trade.hub.clock.pass_ms(1);
        let (_, now) = self.trade.script.next_block();
        let live: Vec<usize> = (0..self.deals.len()).filter(|nth| !self.deals[*nth].over(now)).collect();
        if live.len() < 3 || random.choice == 0 {
            return self.offers(!random.odd.is_multiple_of(4)).await;
        }
        let nth = live[random.which.index(live.len())];
        if random.choice < 110 {
            return self.moves(nth, random);
        }
        let (trade, pools, followed) = (&self.trade, &self.pools, &mut self.deals[nth]);
        match random.choice {
            110..=149 => {
                use Finality::{Final, Safe, Seen};
                let level = [Seen, Safe, Final, Final][usize::from(random.odd % 4)];
                followed.tell(trade, level, usize::from(random.number % 12) + 1);
                let all = followed.pending.len();
                followed.pending.rotate_left(random.nth.index(all + 1));
                if random.odd & 128 != 0 {
                    followed.pending.reverse();
                }
                let some = if random.odd & 64 == 0 { all } else { random.nth.index(all + 1) };
                let mut entries: Vec<FeedEntry> = followed.pending.drain(..some).collect();
                let twice = entries.first().cloned().filter(|_| random.odd & 32 != 0);
                entries.extend(twice);
                followed.bring(trade, &entries).await;
            }
            150..=174 => followed.vote(trade, pools, random).await,
            175..=179 => followed.appeal(trade, pools, random).await,
            180..=184 => followed.again(trade, random.nth).await,
            185..=189 => followed.leaves(trade, random.odd.is_multiple_of(2)).await,
            190..=191 => followed.is_undone(trade, random.nth).await,
            192..=194 => self.passes(HOUR),
            195..=196 => self.passes(5 * HOUR),
            _ => self.passes(2 * DAY),
        }
        same(&self.trade, &self.pools, &self.deals[nth]).await;
    }

    /// Everything becomes final and is brought; then the ledger holds, also against the chain, and the tables are what the log says.
    async fn end(self) -> BTreeMap<&'static str, u32> {
        let Self { trade, pools, mut deals, seen } = self;
        let mut open = 0;
        for followed in &mut deals {
            followed.tell(&trade, Finality::Final, usize::MAX);
            let entries: Vec<FeedEntry> = followed.pending.drain(..).rev().collect();
            followed.bring(&trade, &entries).await;
            assert_eq!(followed.state(followed.settled()), followed.last().state);
            same(&trade, &pools, followed).await;
            open += followed.last().state.remaining(&followed.bought.terms);
        }
        for (person, balance) in [(&trade.buyer, open), (&trade.seller, 0)] {
            let token = person.sign_in(&trade.hub).await;
            let path = format!("/v1/ledger/statement?asset={}", trade.ground.coin());
            let statement = trade.hub.get_as(&token, &path).await.body;
            assert_eq!(statement["account"]["balance"], json!(balance.to_string()));
        }
        let found = crate::verify_ledger_on_chain(&trade.hub.config).await.unwrap();
        assert_eq!((found.faults, found.unsettled, found.unasked), (0, 0, 0), "{found:?}");
        assert_eq!(found.deals, deals.len() as u64, "{found:?}");
        trade.hub.end().await;
        seen
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_of_deals_and_cases_go_as_the_chain_does_on_both() {
    let mut seen = BTreeMap::new();
    for seed in seeds(STEPS) {
        for (nth, (db, ground)) in (0_u8..).zip(everywhere().await) {
            let mut world = World::start(db, ground).await;
            let mut bytes = [seed; 32];
            bytes[0] = nth;
            let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
            let mut runner = TestRunner::new_with_rng(Config::default(), rng);
            for _ in 0..STEPS {
                let random = steps().new_tree(&mut runner).unwrap().current();
                world.step(&random).await;
            }
            let deals = world.deals.len();
            let told = world.end().await;
            println!("seed {seed}: {deals} deals, {told:?}");
            for (what, times) in told {
                *seen.entry(what).or_insert(0_u32) += times;
            }
        }
    }
    for what in [
        "Funded",
        "Delivered",
        "Released",
        "Refunded",
        "Disputed",
        "CaseOpened",
        "JuryDrawn",
        "BallotCast",
        "BallotsCounted",
        "RulingAccepted",
    ] {
        assert!(seen.contains_key(what), "{what}: {seen:?}");
    }
}

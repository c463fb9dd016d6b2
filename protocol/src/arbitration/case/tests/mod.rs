//! Rules and random histories of the case machine.

mod histories;
mod rules;

use std::collections::BTreeMap;

use alloy::primitives::{self, B256, U256, keccak256};

use super::*;
use crate::{
    arbitration::{List, Pool},
    chain::{AccountId, AssetId, ChainId},
    deal::{Actor, Status, WHOLE},
    evm::{AMOUNT_MAX, Refused, STRIDE, pool_id},
    wire::feed::RuleBook,
};

const CHAIN: ChainId = ChainId::Eip155(31337);
const DEAL: B256 = B256::repeat_byte(0xde);
const FUNDED: u64 = 1_800_000_000;
const DISPUTED: u64 = FUNDED + 500;
const BUYER: Address = Address::Evm(primitives::Address::repeat_byte(0x01));
const SELLER: Address = Address::Evm(primitives::Address::repeat_byte(0x02));
const POOLS: Address = Address::Evm(primitives::Address::repeat_byte(0x03));
const ESCROW: Address = Address::Evm(primitives::Address::repeat_byte(0x05));
const STRANGER: Address = Address::Evm(primitives::Address::repeat_byte(0x06));

/// The juries' times: 2 × (60 + 40), 100 for the appeal, 2 × (60 + 90).
const SPAN: u64 = 200;
const APPEAL: u64 = 100;
const PARENT_SPAN: u64 = 300;

fn parent_book(seats: u8) -> RuleBook {
    RuleBook {
        keeper: STRANGER,
        parent: B256::ZERO,
        jury_size: seats,
        delay: 0,
        opening: 60,
        voting: 90,
        appeal: 0,
        salt: B256::ZERO,
    }
}

fn own_book(parent: B256) -> RuleBook {
    let appeal = if parent.is_zero() { 0 } else { u32::try_from(APPEAL).unwrap() };
    RuleBook { parent, voting: 40, appeal, ..parent_book(3) }
}

/// Members with addresses of their own pool, the parties among them.
fn members(pool: u8, count: usize) -> Vec<Address> {
    let own = (0..count.saturating_sub(2))
        .map(|n| primitives::Address::left_padding_from(&[pool, 0, u8::try_from(n).unwrap()]).into());
    own.chain([BUYER, SELLER]).collect()
}

/// A case and what is around it.
#[derive(Clone, Debug)]
struct World {
    terms: Terms,
    pools: Registry,
    case: Case,
    state: DealState,
    now: u64,
    block: u64,
    stride: u64,
}

impl World {
    /// A disputed deal; the pool of three seats with a list of eight, its parent of `seats` with a list of `many`.
    fn new(seats: u8, many: usize) -> Self {
        let parent = parent_book(seats);
        let own = own_book(pool_id(&parent));
        let list = |members| vec![List { effective_at: FUNDED, members }];
        let pools = BTreeMap::from([
            (pool_id(&parent), Pool { book: parent, lists: list(members(2, many)) }),
            (pool_id(&own), Pool { book: own.clone(), lists: list(members(1, 8)) }),
        ]);
        let account = |address| AccountId { chain: CHAIN, address };
        let terms = Terms {
            escrow: account(ESCROW),
            buyer: account(BUYER),
            seller: account(SELLER),
            arbiter: account(POOLS),
            asset: AssetId { chain: CHAIN, token: None },
            amount: 1_000,
            fund_by: FUNDED + 100,
            deliver_by: FUNDED + 1_000,
            inspection: 500,
            ruling: 1_000_000,
            lapse_share: 5_000,
            metered: false,
            panel: pool_id(&own),
            agreement: B256::ZERO,
            salt: B256::ZERO,
        };
        let state = DealState {
            status: Status::Disputed,
            count: 2,
            since: DISPUTED,
            funded_at: FUNDED,
            released: 0,
            refunded: 0,
        };
        Self {
            terms,
            pools: Registry(pools),
            case: Case::default(),
            state,
            now: DISPUTED,
            block: 100,
            stride: STRIDE,
        }
    }

    /// The same without a parent.
    fn alone() -> Self {
        let mut world = Self::new(1, 10);
        let own = own_book(B256::ZERO);
        let lists = vec![List { effective_at: FUNDED, members: members(1, 8) }];
        world.terms.panel = pool_id(&own);
        world.pools = Registry(BTreeMap::from([(pool_id(&own), Pool { book: own, lists })]));
        world
    }

    fn asks(&self, action: &Action, actor: Actor) -> Result<Moved, Refused> {
        let target = self.case.juries.last().map_or(0, |last| last.target_block);
        let known = self.block > target && self.block - target <= self.stride;
        let context = Context {
            contract: POOLS,
            deal: deal::Context {
                deal: DEAL,
                now: self.now,
                cap: AMOUNT_MAX,
                rulings: self.case.rulings(),
                buyer_receives: true,
                seller_receives: true,
            },
            state: &self.state,
            block: self.block,
            stride: self.stride,
            target_hash: known.then(|| keccak256(U256::from(target).to_be_bytes::<32>())),
            pools: &self.pools,
        };
        apply(&self.terms, &self.case, action, actor, &context)
    }

    /// Asks, and takes what comes of it.
    fn takes(&mut self, action: &Action, actor: Actor) -> Result<Vec<EventBody>, Refused> {
        let moved = self.asks(action, actor)?;
        self.case = moved.case;
        if let Some(ruled) = moved.ruled {
            self.state = ruled.state;
        }
        Ok(moved.events)
    }

    fn by_anyone(&mut self, action: &Action) -> Result<Vec<EventBody>, Refused> {
        self.takes(action, Actor::Caller(STRANGER))
    }

    fn draws(&mut self) {
        self.block += 3;
        self.by_anyone(&Action::Draw).unwrap();
    }

    fn open_and_draw(&mut self) {
        self.by_anyone(&Action::Open).unwrap();
        self.draws();
    }

    /// Signed ballots of seats 0, 1, … of a jury of the present instance.
    fn ballots(&self, jury: u8, shares: &[u16]) -> Action {
        let (number, _) = self.case.drawn(jury).unwrap();
        let seats = self.case.seats(number, &self.terms, &self.pools);
        let ballots = (0..).zip(&seats).zip(shares);
        let ballots =
            ballots.map(|((seat, juror), share)| Handed { seat, share: *share, signer: Some(*juror) });
        Action::Submit { jury, ballots: ballots.collect() }
    }

    fn last(&self) -> &Jury {
        self.case.juries.last().unwrap()
    }

    fn ends_at(&self) -> u64 {
        self.last().panel.unwrap().ends_at
    }
}

fn pools<T>(refusal: Refusal) -> Result<T, Refused> {
    Err(Refused::Pools(refusal))
}

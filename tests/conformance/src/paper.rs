//! The model as a chain: what vectors are written with, and the first that they are played on.

use std::collections::BTreeMap;

use alloy::primitives::{self, B256, keccak256};
use protocol::{
    arbitration::{
        List, Pool, Registry,
        case::{self, Case},
    },
    chain::{AccountId, Address, AssetId, ChainId, deal_id, pool_id},
    deal::{self, Action, Actor, DealState, Payee, Status, Transition},
    evm::{AMOUNT_MAX, STRIDE},
    refusal::Refused,
    terms::Terms,
    wire::feed::RuleBook,
};

use crate::{
    chain::{Ballot, Chain, Events, Kept, Limits, Subject, Told},
    play::{as_kept, events_of},
    words::Who,
};

const CHAIN: ChainId = ChainId::Eip155(31_337);
/// What everybody has of the coin at first.
const COIN: u128 = 1 << 120;

#[derive(Clone, Debug)]
struct Ledger {
    terms: Terms,
    state: DealState,
    case: Case,
    owed: u128,
}

/// The model, with a clock and everybody's balances.
#[derive(Clone, Debug)]
pub struct Paper {
    limits: Limits,
    now: u64,
    height: u64,
    pools: Registry,
    deals: BTreeMap<B256, Ledger>,
    balances: BTreeMap<(Address, Option<Address>), u128>,
}

impl Default for Paper {
    fn default() -> Self {
        Self::with(Limits {
            cap: AMOUNT_MAX,
            coin: AMOUNT_MAX,
            stride: STRIDE,
            forgets: false,
            purse: true,
            asks: true,
        })
    }
}

impl Paper {
    /// The model within the limits of some chain.
    pub fn with(limits: Limits) -> Self {
        Self {
            limits,
            now: 1_800_000_000,
            height: 1_000,
            pools: Registry::default(),
            deals: BTreeMap::new(),
            balances: BTreeMap::new(),
        }
    }

    fn begin_block(&mut self, time: u64) {
        assert!(time > self.now, "blocks have times that grow");
        (self.now, self.height) = (time, self.height + 1);
    }

    fn deal(&mut self, terms: &Terms) -> (B256, Ledger) {
        let id = deal_id(terms).unwrap();
        let fresh =
            || Ledger { terms: terms.clone(), state: DealState::EMPTY, case: Case::default(), owed: 0 };
        (id, self.deals.get(&id).cloned().unwrap_or_else(fresh))
    }

    fn context_of(&self, id: B256, kept: &Ledger) -> deal::Context {
        let arbiter = kept.terms.arbiter.address;
        let rulings = if arbiter == self.pools().address {
            kept.case.rulings()
        } else {
            u8::from(arbiter == self.address(Who::Court))
        };
        self.context(&kept.terms, id, rulings, self.now)
    }

    fn pay(&mut self, account: Address, asset: &AssetId, amount: u128) {
        let has = self.balance(account, asset);
        self.balances.insert((account, asset.token), has + amount);
    }

    fn take(&mut self, account: Address, asset: &AssetId, amount: u128) {
        let has = self.balance(account, asset);
        self.balances.insert((account, asset.token), has - amount);
    }

    fn settle(&mut self, kept: &mut Ledger, moved: &Transition) {
        for payout in &moved.payouts {
            let to = match payout.to {
                Payee::Buyer => kept.terms.buyer.address,
                Payee::Seller => kept.terms.seller.address,
            };
            if payout.credited {
                kept.owed += payout.amount;
            } else {
                self.pay(to, &kept.terms.asset, payout.amount);
            }
        }
        kept.state = moved.state;
    }
}

impl Chain for Paper {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn escrow(&self) -> AccountId {
        AccountId { chain: CHAIN, address: primitives::Address::repeat_byte(0xe5).into() }
    }

    fn pools(&self) -> AccountId {
        AccountId { chain: CHAIN, address: primitives::Address::repeat_byte(0xab).into() }
    }

    fn token(&self) -> Address {
        primitives::Address::repeat_byte(0x70).into()
    }

    fn address(&self, who: Who) -> Address {
        let number = match who {
            Who::Nobody => return CHAIN.zero(),
            Who::Pools => return self.pools().address,
            Who::Buyer => 1,
            Who::Seller => 2,
            Who::Arbiter => 3,
            Who::Stranger => 4,
            Who::DeafSeller => 5,
            Who::DeafBuyer => 6,
            Who::Forger => 7,
            Who::Court => 8,
            Who::Member(number) => 1_000 + u64::from(number),
            Who::Seat(..) => panic!("who holds a seat is a matter of the case"),
        };
        primitives::Address::left_padding_from(&number.to_be_bytes()).into()
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn height(&self) -> u64 {
        self.height
    }

    fn mine(&mut self, blocks: u64) {
        self.height += blocks;
    }

    fn hash(&mut self, height: u64) -> Option<B256> {
        let next = self.height + 1;
        let known = height < next && next - height <= self.limits.stride;
        known.then(|| keccak256(height.to_be_bytes()))
    }

    fn endow(&mut self, tokens: u128) {
        for buyer in [Who::Buyer, Who::DeafBuyer] {
            self.balances.insert((self.address(buyer), Some(self.token())), tokens);
        }
    }

    fn balance(&mut self, account: Address, asset: &AssetId) -> u128 {
        let first = if asset.token.is_none() { COIN } else { 0 };
        self.balances.get(&(account, asset.token)).copied().unwrap_or(first)
    }

    fn held(&mut self, deals: &[&Terms]) -> u128 {
        deals
            .iter()
            .map(|terms| self.deal(terms).1)
            .map(|kept| kept.state.remaining(&kept.terms) + kept.owed)
            .sum()
    }

    fn digest(&self, terms: &Terms, deal: B256, action: &Action, valid_until: u64, status: Status) -> B256 {
        let kind = action.kind();
        let said = match action {
            Action::Settle { seller_total, rulings, valid_until, .. } => {
                format!("{seller_total} {rulings} {valid_until} {status}")
            }
            Action::Release { total } | Action::Refund { total } => format!("{total}"),
            other => format!("{other:?} {valid_until}"),
        };
        keccak256(format!("{} {deal} {kind} {said}", terms.escrow))
    }

    fn revoke(&mut self, _signer: Address, _digest: B256, time: u64) {
        self.begin_block(time);
    }

    fn perform(&mut self, about: Subject<'_>, action: &Action, actor: Actor, time: u64) -> Told {
        self.begin_block(time);
        let (id, mut kept) = self.deal(about.terms);
        let context = self.context_of(id, &kept);
        let moved =
            deal::apply(about.terms, &kept.state, action, actor, &context).map_err(Refused::Escrow)?;
        if matches!(action, Action::Fund { .. }) {
            let payer = if about.terms.asset.token.is_none() { actor.caller() } else { actor.account() };
            self.take(payer, &about.terms.asset, about.terms.amount);
        }
        self.settle(&mut kept, &moved);
        self.deals.insert(id, kept);
        Ok(Events { deal: events_of(&moved, about.terms, id), case: Vec::new() })
    }

    fn batch(&mut self, calls: &[(Terms, Action, Actor)], sent: u128, time: u64) -> Told {
        self.begin_block(time);
        let before: Vec<_> = calls.iter().map(|(terms, ..)| self.deal(terms)).collect();
        let contexts: Vec<_> = before.iter().map(|(id, kept)| self.context_of(*id, kept)).collect();
        let asked: Vec<_> = calls
            .iter()
            .zip(&before)
            .zip(&contexts)
            .map(|(((terms, action, actor), (_, kept)), context)| deal::Call {
                terms,
                state: &kept.state,
                action,
                actor: *actor,
                context,
            })
            .collect();
        let moved = deal::batch(sent, &asked).map_err(|stopped| match stopped {
            deal::Stopped::Refused(refusal) => Refused::Escrow(refusal).into(),
            deal::Stopped::NotPayable => crate::chain::Refusal { name: "NotPayable".into(), whole: None },
        })?;
        let mut events = Events::default();
        for ((terms, action, actor), one) in calls.iter().zip(moved) {
            let (id, mut kept) = self.deal(terms);
            if matches!(action, Action::Fund { .. }) {
                let payer = if terms.asset.token.is_none() { actor.caller() } else { actor.account() };
                self.take(payer, &terms.asset, terms.amount);
            }
            self.settle(&mut kept, &one);
            self.deals.insert(id, kept);
            events.deal.extend(events_of(&one, terms, id));
        }
        Ok(events)
    }

    fn hear(
        &mut self,
        about: Subject<'_>,
        action: &case::Action,
        _ballots: &[Ballot],
        actor: Actor,
        time: u64,
    ) -> Told {
        let (id, mut kept) = self.deal(about.terms);
        let target = kept.case.juries.last().map_or(0, |last| last.target_block);
        let target_hash = self.hash(target);
        self.begin_block(time);
        let context = case::Context {
            contract: self.pools().address,
            deal: self.context_of(id, &kept),
            state: &kept.state.clone(),
            block: self.height,
            target_hash,
            stride: self.limits.stride,
            pools: &self.pools.clone(),
        };
        let moved = case::apply(about.terms, &kept.case, action, actor, &context)?;
        kept.case = moved.case;
        let mut events = Events { deal: Vec::new(), case: moved.events };
        if let Some(ruled) = moved.ruled {
            events.deal = events_of(&ruled, about.terms, id);
            self.settle(&mut kept, &ruled);
        }
        self.deals.insert(id, kept);
        Ok(events)
    }

    fn create_pool(&mut self, book: &RuleBook) {
        self.begin_block(self.now + 1);
        let pool = Pool { book: book.clone(), lists: Vec::new() };
        self.pools.0.insert(pool_id(CHAIN, book).unwrap(), pool);
    }

    fn publish(&mut self, pool: B256, _keeper: Address, _index: u32, members: &[Address]) {
        self.begin_block(self.now + 1);
        let pool = self.pools.0.get_mut(&pool).unwrap();
        let effective_at = self.now + u64::from(pool.book.delay.max(1));
        pool.lists.push(List { effective_at, members: members.to_vec() });
    }

    fn state_of(&mut self, terms: &Terms, _deal: B256) -> DealState {
        self.deal(terms).1.state
    }

    fn case_of(&mut self, about: Subject<'_>) -> (Vec<Kept>, u8, [Vec<Address>; 2]) {
        let case = self.deal(about.terms).1.case;
        let seats = [0, 1].map(|jury| {
            let drawn = case.drawn(jury).ok();
            drawn.map(|(number, _)| case.seats(number, about.terms, &self.pools)).unwrap_or_default()
        });
        (case.juries.iter().map(as_kept).collect(), case.rulings(), seats)
    }
}

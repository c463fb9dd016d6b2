//! A history as it is played: each step told to the model and to a chain, and everything that comes of it compared.

mod dealing;
mod hearing;

use std::{collections::HashSet, fmt::Debug};

use alloy::primitives::{B256, U256};
use protocol::{
    arbitration::{
        self, List, Pool, Registry,
        case::{self, Case, Moved},
    },
    chain::{AccountId, Address, AssetId, deal_id, pool_id},
    deal::{self, Action, Actor, DealState, Payee, Status, Transition},
    refusal::Refused,
    terms::Terms,
    wire::feed::{EventBody, RuleBook},
};

use crate::{
    chain::{Chain, Events, Kept, Refusal, Subject},
    history::{Difference, Tally},
    tell::{self, Names},
    words::{Act, Asset, DealWords, ListWords, Outcome, Paid, Setting, Step, Who},
};

pub(crate) use hearing::as_kept;

/// The rule under test for deals: [`deal::apply`], or a wrong one.
pub type DealRule<'a> =
    &'a dyn Fn(&Terms, &DealState, &Action, Actor, &deal::Context) -> Result<Transition, deal::Refusal>;
/// The rule under test for cases: [`case::apply`], or a wrong one.
pub type CaseRule<'a> =
    &'a dyn Fn(&Terms, &Case, &case::Action, Actor, &case::Context<'_>) -> Result<Moved, Refused>;

/// The model under test.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    pub deal: DealRule<'a>,
    pub case: CaseRule<'a>,
}

impl Default for Rules<'_> {
    fn default() -> Self {
        Self { deal: &deal::apply, case: &case::apply }
    }
}

/// The keeper of all pools.
const KEEPER: Who = Who::Stranger;

/// A deal and what the model says of it.
#[derive(Clone, Debug)]
pub struct Live {
    pub terms: Terms,
    pub deal: B256,
    pub state: DealState,
    pub case: Case,
    /// The chain has cleared its storage.
    forgotten: bool,
    owed: u128,
}

impl Live {
    fn subject<'a>(&'a self, pools: &'a Registry) -> Subject<'a> {
        Subject { terms: &self.terms, deal: self.deal, state: &self.state, case: &self.case, pools }
    }
}

/// A history in play.
pub struct Play<'a, C> {
    pub chain: &'a mut C,
    rules: Rules<'a>,
    pub setting: Setting,
    /// Unix seconds.
    pub start: u64,
    /// Of the last step.
    pub time: u64,
    pub registry: Registry,
    pub pools: Vec<B256>,
    pub deals: Vec<Live>,
    revoked: HashSet<(Address, B256)>,
    /// What was held of the first deal's asset before.
    before: u128,
    pub tally: Tally,
}

fn word(byte: u8) -> B256 {
    B256::with_last_byte(byte)
}

pub(crate) fn same<T: PartialEq + Debug>(
    label: &str,
    what: &str,
    model: &T,
    chain: &T,
) -> Result<(), Difference> {
    if model == chain {
        return Ok(());
    }
    Err(format!("{label}: {what}: the model says {model:?}, the chain {chain:?}"))
}

/// The events of a deal's transition: its own, and what is owed.
pub(crate) fn events_of(moved: &Transition, terms: &Terms, deal: B256) -> Vec<EventBody> {
    let credited = moved.payouts.iter().filter(|payout| payout.credited);
    let credits = credited.map(|payout| EventBody::Credited {
        deal,
        creditor: match payout.to {
            Payee::Buyer => terms.buyer.address,
            Payee::Seller => terms.seller.address,
        },
        asset: terms.asset.address(),
        amount: payout.amount,
    });
    [moved.event.clone()].into_iter().chain(credits).collect()
}

/// Refusals that both lists have read as the escrow's.
fn as_told(refused: Refused) -> Refused {
    use arbitration::Refusal as R;
    Refused::Escrow(match refused {
        Refused::Pools(R::NotDisputed) => deal::Refusal::NotDisputed,
        Refused::Pools(R::TooEarly { opens_at }) => deal::Refusal::TooEarly { opens_at },
        Refused::Pools(R::TooLate { closed_at }) => deal::Refusal::TooLate { closed_at },
        Refused::Pools(R::SignatureExpired { valid_until }) => {
            deal::Refusal::SignatureExpired { valid_until }
        }
        Refused::Pools(R::NotParty) => deal::Refusal::NotParty,
        Refused::Pools(R::InvalidSignature { signer }) => deal::Refusal::InvalidSignature { signer },
        other => return other,
    })
}

/// By name, and with its values where the chain tells them.
fn same_refusal(label: &str, model: Refused, chain: &Refusal) -> Result<(), Difference> {
    same(label, "refusal", &model.name(), &chain.name.as_str())?;
    match chain.whole {
        Some(whole) => same(label, "refusal", &as_told(model), &as_told(whole)),
        None => Ok(()),
    }
}

impl<'a, C: Chain> Play<'a, C> {
    /// Sets everything up; the start is when that is done.
    pub fn begin(chain: &'a mut C, setting: &Setting, rules: Rules<'a>) -> Self {
        let cap = chain.limits().cap;
        chain.endow(setting.purse.on(cap));
        let mut play = Self {
            chain,
            rules,
            setting: setting.clone(),
            start: 0,
            time: 0,
            registry: Registry::default(),
            pools: Vec::new(),
            deals: Vec::new(),
            revoked: HashSet::new(),
            before: 0,
            tally: Tally::default(),
        };
        let salt = B256::from(U256::from(play.chain.now()));
        for pool in &setting.pools {
            let parent = pool.parent.map_or(B256::ZERO, |parent| play.pools[parent]);
            let number = u64::try_from(play.pools.len()).unwrap();
            let book = RuleBook {
                keeper: play.chain.address(KEEPER),
                parent,
                jury_size: pool.jury_size,
                delay: pool.delay,
                opening: pool.opening,
                voting: pool.voting,
                appeal: pool.appeal,
                salt: salt | B256::from(U256::from(number) << 64),
            };
            assert_eq!(arbitration::validate(&book), Ok(()));
            let id = pool_id(play.chain.escrow().chain, &book).unwrap();
            play.chain.create_pool(&book);
            play.registry.0.insert(id, Pool { book, lists: Vec::new() });
            play.pools.push(id);
            for list in &pool.lists {
                play.publish(id, list);
            }
        }
        play.start = play.chain.now();
        play.time = play.start;
        for (number, deal) in setting.deals.iter().enumerate() {
            let terms = play.terms(deal, number);
            let deal = deal_id(&terms).unwrap();
            let state = DealState::EMPTY;
            play.deals.push(Live { terms, deal, state, case: Case::default(), forgotten: false, owed: 0 });
        }
        play.before = play.held();
        play
    }

    fn terms(&self, words: &DealWords, number: usize) -> Terms {
        let escrow = self.chain.escrow();
        let account = |who| AccountId { chain: escrow.chain, address: self.chain.address(who) };
        let token = match words.asset {
            Asset::Coin => None,
            Asset::Token => Some(self.chain.token()),
        };
        Terms {
            escrow,
            buyer: account(words.buyer),
            seller: account(words.seller),
            arbiter: account(words.arbiter),
            asset: AssetId { chain: escrow.chain, token },
            amount: words.amount.on(self.chain.limits().cap),
            fund_by: self.start + words.fund_by,
            deliver_by: self.start + words.deliver_by,
            inspection: words.inspection,
            ruling: words.ruling,
            lapse_share: words.lapse_share,
            metered: words.metered,
            panel: words.panel.map_or(B256::ZERO, |panel| self.pools[panel]),
            agreement: B256::repeat_byte(0xa9),
            // Histories on one chain must not meet in one deal.
            salt: B256::from(U256::from(self.start) << 64 | U256::from(number)),
        }
    }

    fn members(&self, list: &ListWords) -> Vec<Address> {
        let numbers = list.from..list.from + list.members;
        let mut all: Vec<Address> = numbers.map(|n| self.chain.address(Who::Member(n))).collect();
        if list.parties {
            let deal = &self.setting.deals[0];
            all.extend([deal.buyer, deal.seller].map(|party| self.chain.address(party)));
        }
        all.sort_unstable();
        all
    }

    fn publish(&mut self, pool: B256, list: &ListWords) {
        let members = self.members(list);
        let index = u32::try_from(self.registry.0[&pool].lists.len()).unwrap();
        assert_eq!(arbitration::check_list(&members, self.registry.0[&pool].book.jury_size), Ok(()));
        self.chain.publish(pool, self.chain.address(KEEPER), index, &members);
        let effective_at = self.chain.now() + u64::from(self.registry.0[&pool].book.delay.max(1));
        self.registry.0.get_mut(&pool).unwrap().lists.push(List { effective_at, members });
    }

    /// The address of somebody, as seen from a deal.
    pub fn address(&self, which: usize, who: Who) -> Address {
        let Who::Seat(jury, seat) = who else { return self.chain.address(who) };
        let seats = self.seats(which, jury);
        seats.get(usize::from(seat)).copied().unwrap_or_else(|| self.chain.address(Who::Stranger))
    }

    /// Who sits on jury 0 or 1 of the present instance; nobody until it is drawn.
    pub fn seats(&self, which: usize, jury: u8) -> Vec<Address> {
        let live = &self.deals[which];
        let Ok((number, _)) = live.case.drawn(jury) else { return Vec::new() };
        live.case.seats(number, &live.terms, &self.registry)
    }

    fn rulings(&self, which: usize) -> u8 {
        let live = &self.deals[which];
        let arbiter = live.terms.arbiter.address;
        if arbiter == self.chain.pools().address {
            live.case.rulings()
        } else {
            u8::from(self.chain.limits().asks && arbiter == self.chain.address(Who::Court))
        }
    }

    /// What the arbiter will say when a deal is settled.
    pub fn accepted(&self, which: usize) -> u8 {
        if self.deals[which].state.status == Status::Disputed { self.rulings(which) } else { 0 }
    }

    pub fn context(&self, which: usize, now: u64) -> deal::Context {
        let live = &self.deals[which];
        self.chain.context(&live.terms, live.deal, self.rulings(which), now)
    }

    fn at(&self, seconds: i64) -> u64 {
        self.start.checked_add_signed(seconds).unwrap()
    }

    /// Closed, or never funded and too late now.
    pub fn is_closed(&self, which: usize) -> bool {
        let live = &self.deals[which];
        live.state.status_at(&live.terms, self.time) == Status::Closed
    }

    /// Plays a step.
    ///
    /// # Errors
    /// Where model and chain differ.
    pub fn step(&mut self, step: &Step) -> Result<Outcome, Difference> {
        if step.blocks != 0 {
            self.chain.mine(step.blocks);
        }
        // Where blocks take a second each, it may be later than planned.
        let now = (self.time + step.after).max(self.chain.now() + 1);
        let told = match &step.act {
            Act::Publish { pool, list } => {
                self.publish(self.pools[*pool], list);
                self.time = now;
                assert!(self.chain.now() <= now, "publishing takes longer than {} s", step.after);
                Ok(Outcome::default())
            }
            Act::Batch { by, steps, more } => self.batch(by.caller, steps, *more, now),
            act => match self.case_action(step.deal, act) {
                Some((action, ballots, by)) => self.case_step(step.deal, &action, &ballots, by, now),
                None => self.deal_step(step.deal, act, now),
            },
        };
        self.time = now;
        let outcome = told?;
        self.check(step.deal)?;
        Ok(outcome)
    }

    // Deals

    /// Takes what the model says, and gives the events that the chain must tell.
    fn take(&mut self, which: usize, moved: Transition, now: u64) -> Vec<EventBody> {
        let forgets = self.chain.limits().forgets;
        let live = &mut self.deals[which];
        let events = events_of(&moved, &live.terms, live.deal);
        for payout in moved.payouts.iter().filter(|payout| payout.credited) {
            live.owed += payout.amount;
            self.tally.count("credit");
        }
        live.state = moved.state;
        // A chain may clear the storage of what closes once nothing can be funded under its id.
        live.forgotten = forgets && moved.state.status == Status::Closed && now > live.terms.fund_by;
        if live.forgotten {
            self.tally.count("forgotten");
        }
        events
    }

    // What the chain keeps

    fn held(&mut self) -> u128 {
        let asset = self.deals[0].terms.asset;
        let own: Vec<&Terms> =
            self.deals.iter().map(|live| &live.terms).filter(|terms| terms.asset == asset).collect();
        self.chain.held(&own)
    }

    /// States and holdings, which with what was paid say where everything is; and the case.
    fn check(&mut self, which: usize) -> Result<(), Difference> {
        let asset = self.deals[0].terms.asset;
        let mut holds = self.before;
        for live in self.deals.clone() {
            let kept = if live.forgotten { DealState::EMPTY } else { live.state };
            same("afterwards", "state", &kept, &self.chain.state_of(&live.terms, live.deal))?;
            if live.terms.asset == asset {
                holds += live.state.remaining(&live.terms) + live.owed;
            }
        }
        same("afterwards", "what is held", &holds, &self.held())?;
        let live = self.deals[which].clone();
        if live.case.juries.is_empty() {
            return Ok(());
        }
        let expected: Vec<Kept> = live.case.juries.iter().map(as_kept).collect();
        let seats = [self.seats(which, 0), self.seats(which, 1)];
        let told = self.chain.case_of(live.subject(&self.registry));
        same("afterwards", "juries, rulings and seats", &(expected, live.case.rulings(), seats), &told)
    }

    fn outcome(&mut self, which: usize, events: &Events, paid: Option<Paid>, of_case: bool) -> Outcome {
        let live = self.deals[which].clone();
        let cap = self.chain.limits().cap;
        let names = Names { play: self };
        let told = events.deal.iter().chain(&events.case).map(|event| tell::event(event, &names)).collect();
        let juries = live.case.juries.iter().filter(|_| of_case).map(|jury| tell::jury(jury, &names));
        let juries = juries.collect();
        let state = Some(tell::state(&live.state, self.start, cap));
        Outcome { refused: None, events: told, paid, state, juries }
    }
}

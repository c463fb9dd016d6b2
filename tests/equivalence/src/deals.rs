//! Histories of two deals between the same parties, told one by one or in batches.

use alloy::primitives::{Address, B256, U256};
use protocol::{
    caip::AssetId,
    deal::{self, Action, Actor, Context, DealState, Payee, Refusal, Status, Stopped, Transition, batch},
    evm::{AMOUNT_MAX, Refused, call, deal_id, decode_event, decode_refusal},
    terms::Terms,
    wire::feed::EventBody,
};

use crate::{
    attempt::{self, Attempt, Seen, coin},
    dice::Dice,
    ground::{Call, Ground},
    history::{Difference, History, Report, Tally},
    world::{COURT, Who, World, account, address},
};

/// The rule under test: [`deal::apply`], or a wrong one.
pub type Model<'a> = &'a dyn Fn(&Terms, &DealState, &Action, Actor, &Context) -> Result<Transition, Refusal>;

/// How many attempts are made once both deals are closed.
const AFTERWARDS: u32 = 4;

/// A deal and what the model says of it.
#[derive(Clone, Debug)]
struct Live {
    terms: Terms,
    deal: B256,
    state: DealState,
    /// The contract has cleared its storage.
    forgotten: bool,
}

struct Run<'a, G> {
    world: &'a mut World<G>,
    deals: Vec<Live>,
    model: Model<'a>,
    /// What the escrow had of the asset before, and what it owes as credit.
    before: U256,
    owed: u128,
    tally: Tally,
}

/// Puts model and contract through a history.
///
/// # Errors
/// The first step after which they differ.
pub fn compare<G: Ground>(
    world: &mut World<G>,
    history: &History,
    model: Model<'_>,
) -> Result<Report, Difference> {
    world.refill();
    let terms = any_terms(world, &mut Dice::new(&history.setting));
    let deals = (0..2_u8).map(|salt| {
        let terms = Terms { salt: terms.salt | B256::with_last_byte(salt), ..terms.clone() };
        let deal = deal_id(&terms).unwrap();
        Live { terms, deal, state: DealState::EMPTY, forgotten: false }
    });
    let deals = deals.collect();
    let before = world.held(&terms);
    let mut run = Run { world, deals, model, before, owed: 0, tally: Tally::default() };
    let (mut steps, mut afterwards) = (0, 0);
    for (step, numbers) in history.steps.iter().enumerate() {
        let mut dice = Dice::new(numbers);
        // Both deals are often funded from one purse.
        let untouched = run.deals.iter().all(|live| live.state.status == Status::None);
        let batched = dice.once_in(if untouched { 2 } else { 6 });
        let told = if batched { run.batch(&mut dice) } else { run.single(&mut dice) };
        told.and_then(|()| run.check()).map_err(|difference| format!("step {step}: {difference}"))?;
        steps += 1;
        // Closed deals refuse everything: a few attempts are enough.
        afterwards += u32::from(run.deals.iter().all(|live| run.is_closed(live)));
        if afterwards > AFTERWARDS {
            break;
        }
    }
    Ok(Report { steps, tally: run.tally })
}

fn any_terms<G: Ground>(world: &World<G>, dice: &mut Dice<'_>) -> Terms {
    let now = world.ground.now();
    let mut either = |one, other| account(address(if dice.once_in(4) { other } else { one }));
    let (buyer, seller) = (either(Who::Buyer, Who::DeafBuyer), either(Who::Seller, Who::DeafSeller));
    let arbiter = dice.of(&[address(Who::Arbiter), COURT]);
    let fund_by = now + 10 + dice.below(150);
    Terms {
        escrow: world.escrow,
        buyer,
        seller,
        arbiter: account(arbiter),
        asset: AssetId { chain: world.escrow.chain, token: Some(world.token).filter(|_| dice.once_in(2)) },
        amount: match dice.below(6) {
            0..3 => 1 + dice.up_to(1_000_000_000),
            3 => 1 + dice.up_to(20),
            4 => 1 + dice.up_to(AMOUNT_MAX / 8),
            _ => AMOUNT_MAX - dice.up_to(20),
        },
        fund_by,
        deliver_by: fund_by + 1 + dice.below(300),
        inspection: 1 + u32::try_from(dice.below(150)).unwrap(),
        ruling: 1 + u32::try_from(dice.below(150)).unwrap(),
        lapse_share: u16::try_from(dice.below(10_001)).unwrap(),
        metered: dice.once_in(4),
        panel: B256::ZERO,
        agreement: B256::repeat_byte(0xa9),
        // Histories on one node must not meet in one deal.
        salt: B256::from(U256::from(now) << 64),
    }
}

impl<G: Ground> Run<'_, G> {
    /// Closed, or never funded and too late now.
    fn is_closed(&self, live: &Live) -> bool {
        live.state.status_at(&live.terms, self.world.ground.now()) == Status::Closed
    }

    /// The time of the next attempt: soon, or at an end of one of the deal's windows. It leaves a second for what must come
    /// before the attempt.
    fn later(&self, dice: &mut Dice<'_>, live: &Live) -> u64 {
        let Live { terms, state, .. } = live;
        let soonest = self.world.ground.now() + 2;
        let inspection = u64::from(terms.inspection);
        let ends = [
            terms.fund_by,
            terms.deliver_by,
            terms.deliver_by + inspection,
            state.since + inspection,
            state.since + u64::from(terms.ruling),
        ];
        let ahead: Vec<u64> =
            ends.iter().flat_map(|end| [*end, end + 1]).filter(|time| *time >= soonest).collect();
        let jumps = if state.status.is_open() { dice.once_in(8) } else { dice.once_in(40) };
        if jumps && !ahead.is_empty() { dice.of(&ahead) } else { soonest + dice.below(4) }
    }

    fn context(&self, live: &Live, now: u64) -> Context {
        let rulings = u8::from(live.terms.arbiter.address == COURT);
        self.world.context(&live.terms, live.deal, rulings, now)
    }

    /// A random attempt at the deal, or one to fund it.
    fn attempt(
        &mut self,
        dice: &mut Dice<'_>,
        live: &Live,
        now: u64,
        caller: Option<Address>,
        funds: bool,
    ) -> Attempt {
        let rulings = self.context(live, now).rulings;
        let seen = Seen { terms: &live.terms, state: &live.state, deal: live.deal, rulings, now, caller };
        if funds { attempt::funding(self.world, dice, seen) } else { attempt::any(self.world, dice, seen) }
    }

    fn single(&mut self, dice: &mut Dice<'_>) -> Result<(), Difference> {
        // Mostly the first deal, and the other once that is closed.
        let closed = self.is_closed(&self.deals[0]);
        let which = usize::from(closed != dice.once_in(5));
        let live = self.deals[which].clone();
        let now = self.later(dice, &live);
        let attempt = self.attempt(dice, &live, now, None, false);
        let context = self.context(&live, now);
        let model = (self.model)(&live.terms, &live.state, &attempt.action, attempt.actor, &context);
        let call = Call {
            from: attempt.actor.caller(),
            to: self.world.escrow.address,
            data: attempt.calldata,
            value: coin(attempt.value),
        };
        let told = self.world.ground.send(call, now);
        let label = format!("{:?} by {:?} at {now} in {:?}", attempt.action, attempt.actor, live.state);
        match (model, told) {
            (Ok(moved), Ok(logs)) => {
                self.tally.count(format!("{:?}", attempt.action.kind()));
                let events = self.events(&logs);
                let expected = self.take(which, moved, now);
                same(&label, "events", &expected, &events)
            }
            (Err(refusal), Err(data)) => {
                self.tally.count(refusal.name());
                same(&label, "refusal", &Some(Refused::Escrow(refusal)), &decode_refusal(&data))
            }
            (model, told) => Err(format!("{label}: the model says {model:?}, the contract {told:?}")),
        }
    }

    /// Two or three attempts at both deals in one transaction.
    fn batch(&mut self, dice: &mut Dice<'_>) -> Result<(), Difference> {
        let live = self.deals[usize::from(self.is_closed(&self.deals[0]))].clone();
        let now = self.later(dice, &live);
        let parties = [live.terms.buyer.address, live.terms.seller.address, address(Who::Stranger)];
        let caller = dice.of(&parties);
        let mut picked: Vec<(usize, Attempt)> = Vec::new();
        for number in 0..2 + dice.below(2) {
            let which = usize::from(number % 2 == u64::from(!dice.once_in(3)));
            let live = self.deals[which].clone();
            // One purse for several fundings, mostly; other calls do not go with coin.
            let coin = picked.iter().any(|(_, attempt)| attempt.value != 0);
            let funds = (coin || live.state.status == Status::None) && !dice.once_in(4);
            picked.push((which, self.attempt(dice, &live, now, Some(caller), funds)));
        }
        let asked: u128 = picked.iter().map(|(_, attempt)| attempt.value).sum();
        let sent = if dice.once_in(6) { asked + 1 } else { asked };
        let contexts: Vec<Context> =
            picked.iter().map(|(which, _)| self.context(&self.deals[*which], now)).collect();
        let calls: Vec<deal::Call<'_>> = picked
            .iter()
            .zip(&contexts)
            .map(|((which, attempt), context)| deal::Call {
                terms: &self.deals[*which].terms,
                state: &self.deals[*which].state,
                action: &attempt.action,
                actor: attempt.actor,
                context,
            })
            .collect();
        let model = batch(sent, &calls);
        let data = call::batch(picked.iter().map(|(_, attempt)| attempt.calldata.clone()).collect());
        let to = self.world.escrow.address;
        let told = self.world.ground.send(Call { from: caller, to, data, value: coin(sent) }, now);
        let asked: Vec<_> = picked.iter().map(|(which, one)| (which, &one.action, one.actor)).collect();
        let label = format!("a batch by {caller} with {sent}: {asked:?} at {now} in {:?}", self.deals);
        match (model, told) {
            (Ok(moved), Ok(logs)) => {
                self.tally.count("batch");
                let events = self.events(&logs);
                let mut expected = Vec::new();
                for ((which, _), one) in picked.iter().zip(moved) {
                    expected.extend(self.take(*which, one, now));
                }
                same(&label, "events", &expected, &events)
            }
            (Err(Stopped::NotPayable), Err(data)) => {
                self.tally.count("NotPayable");
                same(&label, "revert data", &0, &data.len())
            }
            (Err(Stopped::Refused(refusal)), Err(data)) => {
                self.tally.count(format!("batch: {}", refusal.name()));
                same(&label, "refusal", &Some(Refused::Escrow(refusal)), &decode_refusal(&data))
            }
            (model, told) => Err(format!("{label}: the model says {model:?}, the contract {told:?}")),
        }
    }

    fn events(&self, logs: &[alloy::primitives::Log]) -> Vec<EventBody> {
        let escrow = self.world.escrow;
        let own = logs.iter().filter(|log| log.address == escrow.address);
        own.map(|log| decode_event(escrow, log).unwrap()).collect()
    }

    /// Takes what the model says, and gives the events that the contract must tell.
    fn take(&mut self, which: usize, moved: Transition, now: u64) -> Vec<EventBody> {
        let live = &mut self.deals[which];
        let mut expected = vec![moved.event];
        for payout in moved.payouts.iter().filter(|payout| payout.credited) {
            let creditor = match payout.to {
                Payee::Buyer => live.terms.buyer.address,
                Payee::Seller => live.terms.seller.address,
            };
            let asset = live.terms.asset.token.unwrap_or_default();
            expected.push(EventBody::Credited { deal: live.deal, creditor, asset, amount: payout.amount });
            self.owed += payout.amount;
            self.tally.count("credit");
        }
        live.state = moved.state;
        // The contract clears the storage of what closes once nothing can be funded under its id.
        live.forgotten = moved.state.status == Status::Closed && now > live.terms.fund_by;
        if live.forgotten {
            self.tally.count("forgotten");
        }
        expected
    }

    /// State and balance, which together say what was paid.
    fn check(&mut self) -> Result<(), Difference> {
        let mut holds = self.before + U256::from(self.owed);
        for live in self.deals.clone() {
            let kept = if live.forgotten { DealState::EMPTY } else { live.state };
            same("afterwards", "state", &kept, &self.world.state_of(live.deal))?;
            holds += U256::from(live.state.remaining(&live.terms));
        }
        let terms = self.deals[0].terms.clone();
        same("afterwards", "the escrow's balance", &holds, &self.world.held(&terms))
    }
}

pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
    label: &str,
    what: &str,
    model: &T,
    contract: &T,
) -> Result<(), Difference> {
    if model == contract {
        return Ok(());
    }
    Err(format!("{label}: {what}: the model says {model:?}, the contract {contract:?}"))
}

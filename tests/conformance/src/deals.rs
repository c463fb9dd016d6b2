//! Histories of two deals between the same parties, told one by one or in batches.

use protocol::deal::Status;

use crate::{
    attempt::{self, Seen},
    chain::{Chain, Limits},
    dice::Dice,
    history::{History, Source},
    play::Play,
    words::{Act, Amount, Asset, DealWords, Setting, Step, Who},
};

/// How many attempts are made once both deals are closed.
const AFTERWARDS: u32 = 4;

/// Histories of deals.
#[derive(Clone, Copy, Debug)]
pub struct Deals;

impl Source for Deals {
    const STEPS: usize = 40;

    fn setting(history: &History, limits: Limits) -> Setting {
        let dice = &mut Dice::new(&history.setting);
        let mut either = |one, other| if dice.once_in(4) { other } else { one };
        let (buyer, seller) = (either(Who::Buyer, Who::DeafBuyer), either(Who::Seller, Who::DeafSeller));
        let arbiter = dice.of(&[Who::Arbiter, Who::Court]);
        let arbiter = if limits.asks { arbiter } else { Who::Arbiter };
        let fund_by = 10 + dice.below(150);
        let asset = if dice.once_in(2) { Asset::Token } else { Asset::Coin };
        let most = if asset == Asset::Coin { limits.coin } else { limits.cap };
        let deal = DealWords {
            buyer,
            seller,
            arbiter,
            asset,
            amount: Amount::Exactly(match dice.below(6) {
                0..3 => 1 + dice.up_to(1_000_000_000),
                3 => 1 + dice.up_to(20),
                4 => 1 + dice.up_to(most / 8),
                _ => most - dice.up_to(20),
            }),
            fund_by,
            deliver_by: fund_by + 1 + dice.below(300),
            inspection: 1 + u32::try_from(dice.below(150)).unwrap(),
            ruling: 1 + u32::try_from(dice.below(150)).unwrap(),
            lapse_share: u16::try_from(dice.below(10_001)).unwrap(),
            metered: dice.once_in(4),
            panel: None,
        };
        // More than any two deals that it can fund, less than some deals ask.
        let purse = Amount::Exactly(limits.cap / 2);
        Setting { purse, pools: Vec::new(), deals: vec![deal.clone(), deal] }
    }

    fn opening<C: Chain>(_history: &History, _play: &Play<'_, C>) -> Vec<Step> {
        Vec::new()
    }

    fn step<C: Chain>(dice: &mut Dice<'_>, play: &Play<'_, C>) -> Step {
        // Both deals are often funded from one purse.
        let untouched = play.deals.iter().all(|live| live.state.status == Status::None);
        let batched = dice.once_in(if untouched { 2 } else { 6 });
        if batched && play.chain.limits().purse { batch(dice, play) } else { single(dice, play) }
    }

    fn is_over<C: Chain>(play: &Play<'_, C>, afterwards: &mut u32) -> bool {
        // Closed deals refuse everything: a few attempts are enough.
        *afterwards += u32::from((0..play.deals.len()).all(|which| play.is_closed(which)));
        *afterwards > AFTERWARDS
    }
}

/// The time of the next attempt: soon, or at an end of one of the deal's windows. It leaves two seconds for what must come
/// before the attempt.
fn later<C: Chain>(dice: &mut Dice<'_>, play: &Play<'_, C>, which: usize) -> u64 {
    let (terms, state) = (&play.deals[which].terms, &play.deals[which].state);
    let soonest = play.time + 3;
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
    if jumps && !ahead.is_empty() { dice.of(&ahead) } else { soonest + dice.below(3) }
}

/// A random attempt at the deal, or one to fund it.
pub(crate) fn attempt<C: Chain>(
    dice: &mut Dice<'_>,
    play: &Play<'_, C>,
    which: usize,
    now: u64,
    caller: Option<Who>,
    funds: bool,
) -> Act {
    let limits = play.chain.limits();
    let seen = Seen {
        terms: &play.setting.deals[which],
        status: play.deals[which].state.status,
        amount: play.deals[which].terms.amount,
        cap: limits.cap,
        rulings: play.accepted(which),
        now: now.cast_signed() - play.start.cast_signed(),
        caller,
        purse: limits.purse,
    };
    if funds { attempt::funding(dice, seen) } else { attempt::any(dice, seen) }
}

fn single<C: Chain>(dice: &mut Dice<'_>, play: &Play<'_, C>) -> Step {
    // Mostly the first deal, and the other once that is closed.
    let which = usize::from(play.is_closed(0) != dice.once_in(5));
    let now = later(dice, play, which);
    let act = attempt(dice, play, which, now, None, false);
    Step { after: now - play.time, blocks: 0, deal: which, act }
}

/// Two or three attempts at both deals in one transaction.
fn batch<C: Chain>(dice: &mut Dice<'_>, play: &Play<'_, C>) -> Step {
    let first = usize::from(play.is_closed(0));
    let now = later(dice, play, first);
    let terms = &play.setting.deals[first];
    let caller = dice.of(&[terms.buyer, terms.seller, Who::Stranger]);
    let mut steps: Vec<(usize, Act)> = Vec::new();
    for number in 0..2 + dice.below(2) {
        let which = usize::from(number % 2 == u64::from(!dice.once_in(3)));
        // One purse for several fundings, mostly; other calls do not go with coin.
        let coin = play.setting.deals[0].asset == Asset::Coin
            && steps.iter().any(|(_, act)| matches!(act, Act::Fund { .. }));
        let funds = (coin || play.deals[which].state.status == Status::None) && !dice.once_in(4);
        steps.push((which, attempt(dice, play, which, now, Some(caller), funds)));
    }
    let more = u8::from(dice.once_in(6));
    let act = Act::Batch { by: caller.into(), steps, more };
    Step { after: now - play.time, blocks: 0, deal: first, act }
}

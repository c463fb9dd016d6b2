//! Histories of one case: juries, second juries, last words and appeals.

use protocol::{
    arbitration::{Ballots, Pool, Vote, case::Stage, smallest_list},
    deal::Status,
};

use crate::{
    chain::{Chain, Limits},
    dice::Dice,
    history::{History, Source},
    play::Play,
    words::{
        Act, Amount, Asset, BallotWords, By, DealWords, How, ListWords, PoolWords, Setting, Signed, Step, Who,
    },
};

/// Only these, so that juries often agree and often do not.
const SHARES: [u16; 5] = [5_000, 0, 500, 10_000, 4_500];
/// No instance of these histories takes longer, in seconds.
const LONGEST_SPAN: u64 = 320;
/// How many attempts are made once nothing can come of them any more.
const AFTERWARDS: u32 = 4;
/// The deal whose case it is, and one that names another arbiter.
const DEAL: usize = 0;
const OTHER: usize = 1;

/// Histories of cases.
#[derive(Clone, Copy, Debug)]
pub struct Cases;

fn any_pool(dice: &mut Dice<'_>, parent: Option<usize>) -> PoolWords {
    let seconds =
        |dice: &mut Dice<'_>, least: u64, more: u64| u32::try_from(least + dice.below(more)).unwrap();
    PoolWords {
        jury_size: dice.of(&[3, 1, 5, 3]),
        delay: dice.of(&[0, 0, 4]),
        opening: seconds(dice, 60, 40),
        voting: seconds(dice, 1, 60),
        appeal: if parent.is_none() { 0 } else { seconds(dice, 1, 100) },
        parent,
        lists: Vec::new(),
    }
}

/// `count` members, and sometimes the parties among them.
fn any_list(dice: &mut Dice<'_>, count: usize) -> ListWords {
    let from = u8::try_from(dice.below(24)).unwrap();
    ListWords { from, members: u8::try_from(count).unwrap(), parties: dice.once_in(2) }
}

/// The first random choices of a history, which its opening goes on with.
fn setting<'n>(history: &'n History, _limits: Limits) -> (Setting, Dice<'n>) {
    let mut dice = Dice::new(&history.setting);
    let mut pools = Vec::new();
    if !dice.once_in(5) {
        pools.push(any_pool(&mut dice, None));
    }
    let mut own = any_pool(&mut dice, if pools.is_empty() { None } else { Some(0) });
    if let Some(parent) = pools.first_mut() {
        // Often enough for two juries besides those who sat before, often not quite.
        let more = usize::from(own.jury_size) * 2 + 2;
        let short = if dice.once_in(3) { usize::try_from(dice.below(more as u64)).unwrap() } else { 0 };
        parent.lists.push(any_list(&mut dice, smallest_list(parent.jury_size) + more - short));
    }
    let published = if dice.once_in(6) { 0 } else { 1 + usize::from(dice.once_in(4)) };
    for _ in 0..published {
        let more = usize::try_from(dice.below(10)).unwrap();
        own.lists.push(any_list(&mut dice, smallest_list(own.jury_size) + more));
    }
    let panel = pools.len();
    let time = |pool: &PoolWords| 2 * (u64::from(pool.opening) + u64::from(pool.voting));
    let alone = time(&own);
    let heard = pools.first().map_or(0, |parent| u64::from(own.appeal) + time(parent) + 2 * 86_400);
    let ruling =
        dice.of(&[400_000, alone + heard + 10, alone + heard, alone + heard - 1, alone, alone / 2 + 1]);
    let deal = DealWords {
        buyer: Who::Buyer,
        seller: if dice.once_in(5) { Who::DeafSeller } else { Who::Seller },
        arbiter: Who::Pools,
        asset: Asset::Coin,
        amount: Amount::Exactly(1 + dice.up_to(1_000_000_000)),
        fund_by: if dice.once_in(2) { 1_000_100 } else { 100 },
        deliver_by: 2_000_100,
        inspection: 100,
        ruling: u32::try_from(ruling).unwrap(),
        lapse_share: u16::try_from(dice.below(10_001)).unwrap(),
        metered: false,
        panel: Some(panel),
    };
    pools.push(own);
    let other = DealWords { arbiter: Who::Arbiter, ..deal.clone() };
    (Setting { purse: Amount::Exactly(0), pools, deals: vec![deal, other] }, dice)
}

impl Source for Cases {
    const STEPS: usize = 60;

    fn setting(history: &History, limits: Limits) -> Setting {
        setting(history, limits).0
    }

    /// Both deals funded, and the one disputed.
    fn opening<C: Chain>(history: &History, play: &Play<'_, C>) -> Vec<Step> {
        let (setting, mut dice) = setting(history, play.chain.limits());
        let fund = Act::Fund { by: Who::Buyer.into(), seller: Some(How::Valid), more: 0 };
        let mut steps = vec![
            Step { after: 1 + dice.below(6), blocks: 0, deal: DEAL, act: fund.clone() },
            Step { after: 1, blocks: 0, deal: OTHER, act: fund },
        ];
        let pool = setting.pools.len() - 1;
        if dice.once_in(5) {
            // Too late to matter.
            let list = any_list(&mut dice, smallest_list(setting.pools[pool].jury_size));
            steps.push(Step { after: 6, blocks: 0, deal: DEAL, act: Act::Publish { pool, list } });
        }
        let dispute = Act::Dispute { by: Who::Buyer.into(), evidence: 0 };
        steps.push(Step { after: 1, blocks: 0, deal: DEAL, act: dispute });
        steps
    }

    fn step<C: Chain>(dice: &mut Dice<'_>, play: &Play<'_, C>) -> Step {
        if dice.once_in(40) {
            let now = later(dice, play);
            let act = concession(dice, play);
            return Step { after: now - play.time, blocks: 0, deal: DEAL, act };
        }
        // Either the chain still knows the hash of a block whatever kind it is, or it does not whatever kind it is.
        let blocks = if dice.once_in(30) { 600 + dice.below(100) } else { dice.below(3) };
        let now = later(dice, play);
        let (deal, act) = attempt(dice, play, now);
        Step { after: now - play.time, blocks, deal, act }
    }

    fn is_over<C: Chain>(play: &Play<'_, C>, afterwards: &mut u32) -> bool {
        *afterwards += u32::from(nothing_more(play));
        *afterwards > AFTERWARDS
    }
}

/// The escrow takes no ruling any more, or nobody can ever hear or conclude the case.
fn nothing_more<C: Chain>(play: &Play<'_, C>) -> bool {
    let live = &play.deals[DEAL];
    let (terms, state, case, now) = (&live.terms, &live.state, &live.case, play.time);
    let silent = case.juries.iter().all(|jury| jury.ballots == Ballots::default());
    let ends_at = case.juries.last().and_then(|last| last.panel).map(|panel| panel.ends_at);
    let listless = |pool: &Pool| pool.list_at(state.funded_at).is_none();
    let own = &play.registry.0[&terms.panel];
    let unheard = listless(own) && play.registry.0.get(&own.book.parent).is_none_or(listless);
    state.status != Status::Disputed
        || now > state.since + u64::from(terms.ruling)
        || case.rulings() == 0 && silent && ends_at.is_some_and(|end| now > end)
        || ends_at.is_none() && (unheard || now > state.since + LONGEST_SPAN)
}

/// The time of the next attempt: soon, or at an end of a phase.
fn later<C: Chain>(dice: &mut Dice<'_>, play: &Play<'_, C>) -> u64 {
    let live = &play.deals[DEAL];
    let soonest = play.time + 1;
    let ends = [
        live.case.first_closes_at(&live.terms, &play.registry),
        live.case.juries.last().and_then(|last| last.panel).map(|panel| panel.ends_at),
        live.case.appeal_until(&live.terms, &play.registry),
        Some(live.state.since + u64::from(live.terms.ruling)).filter(|_| dice.once_in(6)),
    ];
    let ahead: Vec<u64> =
        ends.into_iter().flatten().flat_map(|end| [end, end + 1]).filter(|time| *time >= soonest).collect();
    let jumps = match live.case.stage() {
        Some(Stage::Drawn) => dice.once_in(7),
        Some(Stage::Accepted) => dice.once_in(3),
        _ => dice.once_in(25),
    };
    if jumps && !ahead.is_empty() { dice.of(&ahead) } else { soonest + dice.below(3) }
}

/// Now and then the deal ends without a ruling.
fn concession<C: Chain>(dice: &mut Dice<'_>, play: &Play<'_, C>) -> Act {
    let deal = &play.setting.deals[DEAL];
    match dice.below(3) {
        0 => Act::Refund { by: deal.seller.into(), total: deal.amount },
        1 => Act::Release { by: deal.buyer.into(), total: Amount::Exactly(1) },
        _ => Act::Lapse { by: Who::Stranger.into() },
    }
}

fn attempt<C: Chain>(dice: &mut Dice<'_>, play: &Play<'_, C>, now: u64) -> (usize, Act) {
    let case = &play.deals[DEAL].case;
    // What moves the case where it stands, in the order of a case's life.
    let likely: &[u64] = match case.stage() {
        None => &[0],
        Some(Stage::Opened) if case.drawn(0).is_ok() => &[1, 4, 3, 5],
        Some(Stage::Opened) => &[1],
        Some(Stage::Drawn) => &[4, 3, 4, 3, 2, 5, 2],
        Some(Stage::Accepted) => &[6, 7, 6],
        Some(Stage::Executed) => &[0, 1, 2, 3, 4, 5, 6, 7],
    };
    let kind = if dice.once_in(7) { dice.below(8) } else { dice.of(likely) };
    let by: By = dice.of(&[Who::Stranger, Who::Buyer]).into();
    // Opening asks nobody whose deal it is.
    let deal = if kind != 0 && dice.once_in(60) { OTHER } else { DEAL };
    let act = match kind {
        0 => Act::Open { by },
        1 => Act::Draw { by },
        2 => Act::OpenSecondJury { by },
        3 => cast(dice, play),
        4 => submit(dice, play, by),
        5 => Act::Conclude { by },
        6 => appeal(dice, play, now),
        _ => Act::Execute { by },
    };
    (deal, act)
}

/// A jury of the present instance, mostly the last one, with how many seats it has.
fn jury<C: Chain>(dice: &mut Dice<'_>, play: &Play<'_, C>) -> (u8, u8, Ballots) {
    let case = &play.deals[DEAL].case;
    let last = case.juries.last().map_or(0, |last| last.jury);
    let jury = dice.of(&[last, 0, last, 1]);
    let Ok((_, heard)) = case.drawn(jury) else { return (jury, 0, Ballots::default()) };
    (jury, heard.panel.map_or(0, |panel| panel.seats), heard.ballots)
}

/// A seat, mostly one that has not voted; rarely none of the jury's.
fn seat(dice: &mut Dice<'_>, size: u8, ballots: Ballots) -> u8 {
    let open: Vec<u8> = (0..size).filter(|seat| ballots.vote(*seat) == Vote::Missing).collect();
    if dice.once_in(25) || size == 0 {
        size + dice.of(&[0, 1, 200])
    } else if !open.is_empty() && !dice.once_in(3) {
        dice.of(&open)
    } else {
        u8::try_from(dice.below(size.into())).unwrap()
    }
}

fn share(dice: &mut Dice<'_>) -> u16 {
    if dice.once_in(25) { dice.of(&[4_501, 10_500, 1, u16::MAX]) } else { dice.of(&SHARES) }
}

fn cast<C: Chain>(dice: &mut Dice<'_>, play: &Play<'_, C>) -> Act {
    let (jury, size, ballots) = jury(dice, play);
    let seat = seat(dice, size, ballots);
    let juror = if seat < size && !dice.once_in(10) { Who::Seat(jury, seat) } else { Who::Stranger };
    Act::Cast { by: juror.into(), jury, seat, share: share(dice), reason: dice.byte() }
}

fn submit<C: Chain>(dice: &mut Dice<'_>, play: &Play<'_, C>, by: By) -> Act {
    let (jury, size, voted) = jury(dice, play);
    let count = if dice.once_in(15) { 0 } else { 1 + dice.below(3) };
    let ballots = (0..count).map(|_| {
        let seat = seat(dice, size, voted);
        let (share, reason) = (share(dice), dice.byte());
        let juror = seat < size && !dice.once_in(20);
        let signer = if juror { Who::Seat(jury, seat) } else { Who::Forger };
        // Now and then it is for another share, and then no key that we know signed what is handed in.
        BallotWords { seat, share, reason, signer, altered: dice.once_in(30) }
    });
    Act::Submit { by, jury, ballots: ballots.collect() }
}

fn appeal<C: Chain>(dice: &mut Dice<'_>, play: &Play<'_, C>, now: u64) -> Act {
    let deal = &play.setting.deals[DEAL];
    let parties = [deal.seller, deal.buyer];
    let party = if dice.once_in(5) { Who::Stranger } else { dice.of(&parties) };
    if dice.once_in(4) {
        return Act::Appeal { by: party.into() };
    }
    let now = now.cast_signed() - play.start.cast_signed();
    let valid_until = if dice.once_in(5) { now - 1 } else { now + dice.below(20).cast_signed() };
    let how = if dice.once_in(3) { How::Forged } else { How::Valid };
    let signed = Some(Signed { signer: party, how, valid_until });
    Act::Appeal { by: By { caller: Who::Stranger, signed } }
}

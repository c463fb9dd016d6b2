//! Cases that go as the rules say: juries of every size, rulings with and without everybody, second juries, last words,
//! appeals; and the last second of each phase with the one after it.
//!
//! A jury takes 2,000 seconds here, half of them for opening. The deal is disputed 2 seconds after the start, so the first
//! jury closes at 2,002 and the instance at 4,002.

use super::{Scenario, after, dispute, fund, lapse, plain, refund, scenario, settle, signed};
use crate::words::{
    Act, Amount, BallotWords, DealWords, How, ListWords, PoolWords, Setting, StatusWord, Step, Who,
};

/// The last second in which ballots of the first instance count.
const END: u64 = 4_002;

pub fn all() -> Vec<Scenario> {
    let mut all = sizes();
    all.extend(votes());
    all.extend(second_juries());
    all.extend(last_words());
    all.extend(appeals());
    all.extend(draws());
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

/// Juries of every size, all of whose members vote, four ballots at a time: the median, as soon as it is sure.
fn sizes() -> Vec<Scenario> {
    let mut all = Vec::new();
    for size in [1, 3, 5, 7, 9, 15, 31] {
        let share = |seat: u8| (u16::from(seat) * 7 + 3) % 21 * 500;
        let ballots: Vec<_> = (0..size).map(|seat| (seat, share(seat))).collect();
        let voting = ballots.chunks(4).map(|some| after(1, submit(0, some)));
        all.push(scenario(
            format!("jury-of-{size}"),
            "Everybody votes something else: the median rules as soon as no ballot could change it.",
            alone(size),
            then(drawn(), voting),
        ));
        let most: Vec<_> = (0..size.div_ceil(2)).map(|seat| (seat, 6_500)).collect();
        let voting = most.chunks(4).map(|some| after(1, submit(0, some)));
        all.push(scenario(
            format!("absentees-of-{size}"),
            "More than half agree, and nobody waits for the others.",
            alone(size),
            then(drawn(), voting),
        ));
    }
    all
}

fn votes() -> Vec<Scenario> {
    let deaf = |setting: Setting| {
        let deals = setting.deals.iter().map(|deal| DealWords { seller: Who::DeafSeller, ..deal.clone() });
        Setting { deals: deals.collect(), ..setting.clone() }
    };
    vec![
        scenario(
            "cast-on-chain",
            "Jurors vote themselves.",
            alone(3),
            then(drawn(), [after(1, cast(0, 2, 1_000)), after(1, cast(0, 0, 1_000))]),
        ),
        scenario(
            "cast-overrides",
            "A ballot cast on chain replaces a signed one, and no signed one changes it again.",
            alone(3),
            then(
                drawn(),
                [
                    after(1, submit(0, &[(0, 2_000)])),
                    after(1, cast(0, 0, 9_000)),
                    after(1, submit(0, &[(0, 2_000)])),
                    after(1, cast(0, 0, 2_000)),
                    after(1, submit(0, &[(1, 9_000)])),
                ],
            ),
        ),
        scenario(
            "void-seat",
            "Two different signed ballots void the seat; it counts as missing, and cannot vote any more.",
            alone(3),
            then(
                drawn(),
                [
                    after(1, submit(0, &[(0, 0), (0, 10_000)])),
                    after(1, cast(0, 0, 0)),
                    after(1, submit(0, &[(1, 500), (2, 1_000)])),
                ],
            ),
        ),
        scenario(
            "void-undoes",
            "A void seat takes back what its first ballot had determined of the bounds.",
            alone(5),
            then(
                drawn(),
                [
                    after(1, submit(0, &[(0, 5_000), (1, 5_000)])),
                    after(1, submit(0, &[(1, 0)])),
                    after(1, submit(0, &[(2, 5_000), (3, 5_000)])),
                ],
            ),
        ),
        scenario(
            "the-same-twice",
            "The same ballot again changes nothing.",
            alone(3),
            then(drawn(), [after(1, submit(0, &[(0, 500)])), after(1, submit(0, &[(0, 500)]))]),
        ),
        scenario(
            "ruled-to-a-deaf-seller",
            "A ruling in favour of a seller that cannot be paid becomes credit.",
            deaf(alone(1)),
            then(drawn(), [after(1, submit(0, &[(0, 7_500)]))]),
        ),
        scenario(
            "closed-meanwhile",
            "The parties end the deal themselves: no ballot rules it any more.",
            alone(1),
            then(drawn(), [after(1, refund(1_000)), after(1, submit(0, &[(0, 5_000)]))]),
        ),
        scenario(
            "ballots-at-the-end",
            "The last second in which ballots count.",
            alone(3),
            then(drawn(), [after(END - 6, submit(0, &[(0, 500), (1, 500)]))]),
        ),
        scenario(
            "ballots-after-the-end",
            "A second later.",
            alone(3),
            then(drawn(), [after(END - 5, submit(0, &[(0, 500), (1, 500)])), after(1, cast(0, 0, 500))]),
        ),
    ]
}

/// Until a second jury is drawn.
fn second_drawn() -> Vec<Step> {
    then(drawn(), [after(2_003 - 6, second()), draw()])
}

fn second_juries() -> Vec<Scenario> {
    vec![
        scenario(
            "second-jury-too-early",
            "The last second of the first jury's voting, and the one after it.",
            alone(3),
            then(drawn(), [after(2_002 - 6, second()), after(1, second())]),
        ),
        scenario(
            "second-jury-at-the-end",
            "It can be opened as long as the instance lasts.",
            alone(3),
            then(drawn(), [after(END - 6, second())]),
        ),
        scenario(
            "second-jury-after-the-end",
            "Not later.",
            alone(3),
            then(drawn(), [after(END - 5, second())]),
        ),
        scenario(
            "second-jury-rules",
            "Nobody of the first jury shows up, and the second rules. Nobody sits on both.",
            alone(3),
            then(second_drawn(), [after(1, submit(1, &[(0, 4_000), (2, 4_000)]))]),
        ),
        scenario(
            "first-jury-rules-after-all",
            "Until the second has ruled the first one may.",
            alone(3),
            then(
                second_drawn(),
                [after(1, submit(1, &[(0, 4_000)])), after(1, submit(0, &[(1, 9_500), (2, 9_500)]))],
            ),
        ),
        scenario(
            "two-juries-of-thirty-one",
            "The largest juries there are, both drawn.",
            alone(31),
            then(second_drawn(), [after(1, submit(1, &[(30, 10_000), (0, 0)])), after(1, cast(0, 30, 0))]),
        ),
    ]
}

fn last_words() -> Vec<Scenario> {
    vec![
        scenario(
            "last-word",
            "Two of three differ: the share of silence, moved into what they leave open.",
            alone(3),
            then(
                drawn(),
                [
                    after(1, submit(0, &[(0, 0), (1, 2_000)])),
                    after(END - 7, conclude()),
                    after(1, conclude()),
                ],
            ),
        ),
        scenario(
            "last-word-of-both",
            "The first jury's bounds before the second's.",
            alone(3),
            then(
                second_drawn(),
                [
                    after(1, submit(0, &[(0, 5_000), (1, 10_000)])),
                    after(1, submit(1, &[(0, 0), (1, 6_000)])),
                    after(2_000, conclude()),
                ],
            ),
        ),
        scenario(
            "no-last-word",
            "Nobody voted: there is nothing to conclude by, and the deal lapses.",
            alone(3),
            then(
                drawn(),
                [
                    after(END - 5, conclude()),
                    after(400_002 - END - 1, lapse()),
                    after(1, conclude()),
                    after(1, lapse()),
                ],
            ),
        ),
        scenario(
            "last-word-at-the-deadline",
            "The last second in which the escrow takes a ruling.",
            alone(3),
            then(drawn(), [after(1, submit(0, &[(0, 0), (1, 2_000)])), after(400_002 - 7, conclude())]),
        ),
        scenario(
            "last-word-after-the-deadline",
            "A second later.",
            alone(3),
            then(drawn(), [after(1, submit(0, &[(0, 0), (1, 2_000)])), after(400_003 - 7, conclude())]),
        ),
    ]
}

/// A ruling of the lower pool is accepted 7 seconds after the start, and can be appealed until 507.
fn accepted() -> Vec<Step> {
    then(drawn(), [after(1, submit(0, &[(0, 8_000)]))])
}

/// Appealed at 8, so that the parent's first jury closes at 2,507 and the appeal at 4,507; drawn at 11.
fn appealed() -> Vec<Step> {
    then(accepted(), [after(1, appeal()), draw()])
}

fn appeals() -> Vec<Scenario> {
    vec![
        scenario(
            "executed-after-the-time-for-appeal",
            "The last second in which it comes too early, and the first in which it does not.",
            with_parent(),
            then(accepted(), [after(500, execute()), after(1, execute()), after(1, execute())]),
        ),
        scenario(
            "appealed-at-the-end",
            "The last second in which a ruling can be appealed.",
            with_parent(),
            then(accepted(), [after(500, appeal())]),
        ),
        scenario(
            "appealed-after-the-end",
            "A second later.",
            with_parent(),
            then(accepted(), [after(501, appeal()), after(1, execute())]),
        ),
        scenario(
            "appeal-rules",
            "The parent's ruling is executed at once.",
            with_parent(),
            then(appealed(), [after(1, submit(0, &[(0, 1_000), (1, 1_000)])), after(1, appeal())]),
        ),
        scenario(
            "appeal-by-signature",
            "A party's signed appeal, brought by a stranger.",
            with_parent(),
            then(accepted(), [after(1, Act::Appeal { by: signed(Who::Seller, How::Valid, 8) })]),
        ),
        scenario(
            "silent-appeal",
            "Nobody of the parent votes: the ruling appealed from stands.",
            with_parent(),
            then(appealed(), [after(4_507 - 11, conclude()), after(1, conclude())]),
        ),
        scenario(
            "last-word-of-an-appeal",
            "The ruling appealed from, moved into what the parent's ballots leave open.",
            with_parent(),
            then(appealed(), [after(1, submit(0, &[(0, 0), (1, 2_000)])), after(4_508 - 12, conclude())]),
        ),
        scenario(
            "second-jury-of-an-appeal",
            "All four juries a case can have but one: nobody sits twice.",
            with_parent(),
            then(
                appealed(),
                [after(2_508 - 11, second()), draw(), after(1, submit(1, &[(0, 500), (1, 500)]))],
            ),
        ),
        scenario(
            "four-juries",
            "All four juries that a case can have.",
            with_parent(),
            then(
                second_drawn(),
                [
                    // At 2,007; appeal until 2,507, the parent's first jury until 4,507.
                    after(1, submit(1, &[(0, 8_000)])),
                    after(1, appeal()),
                    draw(),
                    after(4_508 - 2_011, second()),
                    draw(),
                    after(1, submit(1, &[(0, 500), (1, 500)])),
                ],
            ),
        ),
        scenario(
            "accepted-ruling-kills-offers",
            "An offer made before a ruling is worthless after it; one that knows of it is not, and ends the case.",
            with_parent(),
            then(
                accepted(),
                [
                    after(1, settle(100, 0, StatusWord::Disputed)),
                    after(1, settle(100, 1, StatusWord::Disputed)),
                    after(501, execute()),
                ],
            ),
        ),
        scenario(
            "no-time-for-an-appeal",
            "Where the terms leave too little time for the parent, the ruling is executed at once.",
            short(500 + 4_000 + 2 * 86_400 + 4),
            accepted(),
        ),
        scenario(
            "just-time-for-an-appeal",
            "A second more is enough.",
            short(500 + 4_000 + 2 * 86_400 + 5),
            accepted(),
        ),
        scenario(
            "parent-too-small",
            "A parent that could not seat two juries, whoever sat before, hears no appeal.",
            {
                let mut setting = with_parent();
                setting.pools[0].lists = vec![ListWords { from: 0, members: 9, parties: false }];
                setting
            },
            accepted(),
        ),
    ]
}

/// The ruling comes 5 seconds after the dispute.
fn short(ruling: u32) -> Setting {
    let mut setting = with_parent();
    setting.deals[0].ruling = ruling;
    setting
}

fn draws() -> Vec<Scenario> {
    let unlisted = |mut setting: Setting, which: &[usize]| {
        for pool in which {
            setting.pools[*pool].lists.clear();
        }
        setting
    };
    let missed = Step { after: 800, blocks: 700, deal: 0, act: Act::Draw { by: Who::Stranger.into() } };
    let early = Step { after: 2, blocks: 1, ..draw() };
    let late = |seconds| Step { after: seconds, ..draw() };
    let published = Act::Publish { pool: 0, list: ListWords { from: 50, members: 20, parties: false } };
    vec![
        scenario(
            "straight-to-the-parent",
            "A pool that had no list when the deal was funded: its parent hears the case, and finally.",
            unlisted(with_parent(), &[1]),
            then(drawn(), [after(1, submit(0, &[(0, 500), (1, 500)]))]),
        ),
        scenario("no-list", "Neither pool nor parent had a list.", unlisted(with_parent(), &[0, 1]), drawn()),
        scenario(
            "list-too-late",
            "A list that is published after the funding seats nobody in this deal.",
            alone(3),
            vec![after(1, fund()), after(10, published.clone()), after(1, dispute()), open(), draw()],
        ),
        scenario(
            "two-lists",
            "The newest list in effect when the deal was funded.",
            alone(3),
            vec![after(10, published), after(1, fund()), after(1, dispute()), open(), draw()],
        ),
        scenario(
            "target-not-past",
            "The block before the first one in which a jury can be drawn, and that one.",
            alone(3),
            vec![
                after(1, fund()),
                after(1, dispute()),
                open(),
                early,
                after(1, Act::Draw { by: Who::Stranger.into() }),
            ],
        ),
        scenario(
            "target-missed",
            "Nobody drew in time: the target moves on, and nobody chooses where to.",
            alone(3),
            vec![
                after(1, fund()),
                after(1, dispute()),
                open(),
                missed,
                after(1, Act::Draw { by: Who::Stranger.into() }),
            ],
        ),
        scenario(
            "drawn-at-the-end",
            "A jury can be drawn as long as its ballots would count.",
            alone(3),
            vec![after(1, fund()), after(1, dispute()), open(), late(END - 3)],
        ),
        scenario(
            "drawn-after-the-end",
            "Not later.",
            alone(3),
            vec![after(1, fund()), after(1, dispute()), open(), late(END - 2)],
        ),
    ]
}

//! Juries of every size, and what their ballots come to.

use super::{END, alone, cast, drawn, submit, then};
use crate::{
    scenarios::{Scenario, after, refund, scenario},
    words::{DealWords, Setting, Who},
};

/// Juries of every size, all of whose members vote, four ballots at a time: the median, as soon as it is sure.
pub(super) fn sizes() -> Vec<Scenario> {
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

pub(super) fn all() -> Vec<Scenario> {
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

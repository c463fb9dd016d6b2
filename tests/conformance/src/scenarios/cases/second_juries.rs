//! Second juries, beside which the first may still rule.

use super::{END, alone, cast, drawn, second, second_drawn, submit, then};
use crate::scenarios::{Scenario, after, scenario};

pub(super) fn all() -> Vec<Scenario> {
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

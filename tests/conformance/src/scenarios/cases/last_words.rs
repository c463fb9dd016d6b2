//! Last words where no jury ruled.

use super::{END, alone, conclude, drawn, second_drawn, submit, then};
use crate::scenarios::{Scenario, after, lapse, scenario};

pub(super) fn all() -> Vec<Scenario> {
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

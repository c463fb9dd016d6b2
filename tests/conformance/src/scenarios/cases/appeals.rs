//! Appeals to a pool's parent, and rulings that wait for them.

use super::{appeal, conclude, draw, drawn, execute, second, second_drawn, submit, then, with_parent};
use crate::{
    scenarios::{Scenario, after, scenario, settle, signed},
    words::{Act, How, ListWords, Setting, StatusWord, Step, Who},
};

/// A ruling of the lower pool is accepted 7 seconds after the start, and can be appealed until 507.
fn accepted() -> Vec<Step> {
    then(drawn(), [after(1, submit(0, &[(0, 8_000)]))])
}

/// Appealed at 8, so that the parent's first jury closes at 2,507 and the appeal at 4,507; drawn at 11.
fn appealed() -> Vec<Step> {
    then(accepted(), [after(1, appeal()), draw()])
}

pub(super) fn all() -> Vec<Scenario> {
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

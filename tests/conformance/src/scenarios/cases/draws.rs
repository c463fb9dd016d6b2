//! Draws: who may sit by which list, and from when until when a jury can be drawn.

use super::{END, alone, draw, drawn, open, submit, then, with_parent};
use crate::{
    scenarios::{Scenario, after, dispute, fund, scenario},
    words::{Act, ListWords, Setting, Step, Who},
};

pub(super) fn all() -> Vec<Scenario> {
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

//! Whose turn it is after a node that stands still: it answers, and its newest block stays the same.

use std::{collections::HashMap, sync::atomic::Ordering};

use futures::future::join_all;

use super::{Nodes, SECOND_TIME};

impl Nodes {
    /// Gives the turn to the next node that has a newer block than `newest`, which the present one showed, where more than half of
    /// the others that answer have one; tells whether it did. `asked` answer the place of a node and its newest block; who takes
    /// long is not waited for.
    pub async fn go_on<F>(&self, asked: Vec<F>, newest: u64) -> bool
    where
        F: Future<Output = Option<(usize, u64)>>,
    {
        let asked: Vec<_> = asked.into_iter().map(|told| tokio::time::timeout(SECOND_TIME, told)).collect();
        let told: HashMap<usize, u64> = join_all(asked).await.into_iter().flatten().flatten().collect();
        let (count, first) = (self.nodes.len(), self.turn.load(Ordering::Relaxed));
        let newer = |turn: usize| {
            let at = turn.checked_rem(count)?;
            let newer = told.get(&at).is_some_and(|block| *block > newest);
            self.nodes.get(at).filter(|_| newer)
        };
        let at_first = first.checked_rem(count);
        // The next block has come just now. One that tells of later ones, and shows none, is no better than one that tells of none.
        if at_first.and_then(|at| told.get(&at).copied()) == newest.checked_add(1) {
            return false;
        }
        // One alone may make up what it tells.
        let others = told.iter().filter(|(at, _)| Some(**at) != at_first);
        let (ahead, level): (Vec<u64>, Vec<u64>) =
            others.map(|(_, block)| *block).partition(|block| *block > newest);
        if ahead.len() <= level.len() {
            return false;
        }
        let mut turns = (1..count).map(|offset| first.wrapping_add(offset));
        let Some((turn, node)) = turns.find_map(|turn| Some((turn, newer(turn)?))) else { return false };
        let moved = self.turn.compare_exchange(first, turn, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if moved {
            tracing::warn!(
                node = node.host(),
                newest,
                "asked first from now on: the one before stands still"
            );
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;
    use crate::{config::Config, transactions::strangers::Strangers};

    fn three() -> Nodes {
        let rpc_urls = ["http://a", "http://b", "http://c"].map(str::to_owned).to_vec();
        let config = Config { rpc_urls, ..Config::default() };
        Nodes::new(&config, None, &Strangers::default()).unwrap()
    }

    #[tokio::test]
    async fn the_turn_goes_on_to_the_next_node_that_has_a_newer_block() {
        let cases = [
            // All stand still: there are no newer blocks.
            (0, [Some(5), Some(5), Some(4)], 5, 0),
            // One alone tells of a newer block.
            (0, [Some(5), Some(5), Some(99)], 5, 0),
            (1, [Some(99), Some(5), Some(5)], 5, 1),
            // The present one has gone on meanwhile.
            (0, [Some(6), Some(7), None], 5, 0),
            // It tells of later blocks, and shows none.
            (0, [Some(9), Some(9), Some(9)], 5, 1),
            (0, [Some(99), Some(5), Some(5)], 5, 0),
            (0, [Some(5), None, Some(6)], 5, 2),
            (2, [Some(9), Some(8), Some(6)], 6, 0),
            (0, [None, Some(10), Some(10)], 9, 1),
            (0, [Some(5), None, None], 5, 0),
        ];
        for (first, told, newest, then) in cases {
            let nodes = three();
            nodes.turn.store(first, Ordering::Relaxed);
            let asked = told.into_iter().enumerate().map(|(at, block)| ready(block.map(|block| (at, block))));
            assert_eq!(nodes.go_on(asked.collect(), newest).await, then != first, "{first} {told:?}");
            assert_eq!(nodes.turn.load(Ordering::Relaxed) % 3, then, "{first} {told:?}");
        }
    }
}

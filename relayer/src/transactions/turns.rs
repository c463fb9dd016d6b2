//! Whose turn it is of those that somebody asked for: the accounts take turns, and so do the intents of each.

use std::collections::{HashMap, VecDeque};

/// Who had the last turn.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    /// Of the accounts.
    account: String,
    /// Of the intents of each.
    intents: HashMap<String, i64>,
}

/// Accounts with what waits of each, in the order of their turns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(VecDeque<(String, VecDeque<i64>)>);

impl Turns {
    /// The line of those that wait, each with its account: it begins behind the last account that had a turn, and with each
    /// account behind its last intent.
    pub fn line(&self, waiting: Vec<(String, i64)>) -> Line {
        let mut all: HashMap<String, Vec<i64>> = HashMap::new();
        for (account, id) in waiting {
            all.entry(account).or_default().push(id);
        }
        let mut line: Vec<(String, Vec<i64>)> = all.into_iter().collect();
        line.sort();
        let after = line.partition_point(|(account, _)| *account <= self.account);
        line.rotate_left(after);
        let each = line.into_iter().map(|(account, mut ids)| {
            ids.sort_unstable();
            let last = self.intents.get(&account).copied().unwrap_or_default();
            let after = ids.partition_point(|id| *id <= last);
            ids.rotate_left(after);
            (account, ids.into())
        });
        Line(each.collect())
    }

    /// Notes that an intent of an account has its turn.
    pub fn took(&mut self, account: &str, id: i64) {
        self.passed(account);
        self.looked(account, id);
    }

    /// Notes that an account had its turn, and that nothing came of it.
    pub fn passed(&mut self, account: &str) {
        account.clone_into(&mut self.account);
    }

    /// Notes that an intent was looked at while it was not its account's turn.
    pub fn looked(&mut self, account: &str, id: i64) {
        self.intents.insert(account.to_owned(), id);
    }

    /// Forgets the accounts of which nothing waits.
    pub fn keep_only(&mut self, waits: impl Fn(&str) -> bool) {
        self.intents.retain(|account, _| waits(account));
    }
}

impl Line {
    /// The next one; its account is the last in line again, as long as something of it waits.
    pub fn next(&mut self) -> Option<(String, i64)> {
        while let Some((account, mut ids)) = self.0.pop_front() {
            let Some(id) = ids.pop_front() else { continue };
            self.0.push_back((account.clone(), ids));
            return Some((account, id));
        }
        None
    }

    /// The next intent of each account.
    pub fn firsts(self) -> Vec<(String, i64)> {
        self.0.into_iter().filter_map(|(account, ids)| Some((account, *ids.front()?))).collect()
    }

    /// Takes an account out of the line.
    pub fn leave(&mut self, account: &str) {
        self.0.retain(|(other, _)| other != account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut line: Line) -> Vec<i64> {
        std::iter::from_fn(|| line.next()).map(|(_, id)| id).collect()
    }

    #[test]
    fn accounts_take_turns_and_so_do_the_intents_of_each() {
        let waiting = || {
            let of = |account: &str, ids: std::ops::Range<i64>| {
                ids.map(|id| (account.to_owned(), id)).collect::<Vec<_>>()
            };
            [of("ann", 1..5), of("bob", 5..6), of("cid", 6..8)].concat()
        };
        let mut turns = Turns::default();
        assert_eq!(all(turns.line(waiting())), [1, 5, 6, 2, 7, 3, 4]);
        // Who had no turn in a round that ended early is the first of the next, and none begins with the same intent.
        turns.took("ann", 1);
        turns.took("bob", 5);
        assert_eq!(all(turns.line(waiting())), [6, 2, 5, 7, 3, 4, 1]);
        turns.took("cid", 7);
        assert_eq!(all(turns.line(waiting())), [2, 5, 6, 3, 7, 4, 1]);
        let mut line = turns.line(waiting());
        assert_eq!(line.next(), Some(("ann".to_owned(), 2)));
        line.leave("ann");
        assert_eq!(all(line), [5, 6, 7]);
        let firsts = turns.line(waiting()).firsts();
        assert_eq!(firsts.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [2, 5, 6]);
        // Whose turn it is stays as it was where one is only looked at, and where nothing came of a turn its intents' does.
        turns.looked("ann", 2);
        turns.passed("bob");
        assert_eq!(all(turns.line(waiting())), [6, 3, 5, 7, 4, 1, 2]);
        // Of an account of which nothing waits nothing is kept.
        turns.passed("cid");
        turns.keep_only(|account| account == "bob");
        assert_eq!(all(turns.line(waiting())), [1, 5, 6, 2, 7, 3, 4]);
    }
}

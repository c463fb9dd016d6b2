//! Accounts that are over a quota: each is out of line until the quota may have room for it again, and looked at in its turn
//! meanwhile.

use std::collections::{BTreeMap, HashMap};

use super::rest::Rest;
use crate::quota::Over;

/// For how long an act is taken to cost what it did when it was tried, in milliseconds: prices fall again, and the next act of
/// its account may be a cheap one.
const PRICED_MS: i64 = 60_000;

/// One account.
#[derive(Clone, Copy, Debug)]
struct Hold {
    over: Over,
    /// When it was found what is wanted (Unix milliseconds).
    priced_ms: i64,
    /// While the quota is not asked again.
    rest: Rest,
    /// How many looks at accounts there had been when it had its last one.
    looked: u64,
}

/// Who is out of line. It ends with the process: then every quota is asked again.
#[derive(Clone, Debug, Default)]
pub struct Holds {
    all: HashMap<String, Hold>,
    looks: u64,
}

impl Holds {
    /// Takes an account out of line that is over a quota, until it is worth asking again (Unix milliseconds). `priced` says
    /// whether what is wanted is what an act was just found to cost, and not what was remembered of one.
    pub fn put(&mut self, account: &str, over: Over, priced: bool, (now_ms, until_ms): (i64, i64)) {
        let rest = Rest { from_ms: now_ms, until_ms };
        let new = Hold { over, priced_ms: now_ms, rest, looked: self.looks };
        let hold = self.all.entry(account.to_owned()).or_insert(new);
        let priced_ms = if priced { now_ms } else { hold.priced_ms };
        *hold = Hold { over, priced_ms, rest, ..*hold };
    }

    /// Lets an account into the line again.
    pub fn release(&mut self, account: &str) {
        self.all.remove(account);
    }

    /// Whether an account is over a quota, as far as is known.
    pub fn has(&self, account: &str) -> bool {
        self.all.contains_key(account)
    }

    /// Whether it is too early to ask the quota again.
    pub fn rests(&self, account: &str, now_ms: i64) -> bool {
        self.all.get(account).is_some_and(|hold| hold.rest.lasts(now_ms))
    }

    /// What the next transaction of an account has to have room for, in billionths of a coin: what the last one that was tried
    /// would have cost; 1 where that is not known, or not lately.
    pub fn cost(&self, account: &str, now_ms: i64) -> u64 {
        let fresh = |hold: &&Hold| Rest::of(hold.priced_ms, PRICED_MS).lasts(now_ms);
        self.all.get(account).filter(fresh).map_or(1, |hold| hold.over.wanted.max(1))
    }

    /// Of accounts that are out of line, each with an intent, the `few` that were not looked at for the longest, and which quota
    /// each is over.
    pub fn next(&mut self, waiting: Vec<(String, i64)>, few: usize) -> Vec<(String, i64, Over)> {
        let known = waiting.into_iter();
        let mut line: Vec<(u64, String, i64)> =
            known.filter_map(|(account, id)| Some((self.all.get(&account)?.looked, account, id))).collect();
        line.sort();
        line.truncate(few);
        let mut next = Vec::with_capacity(line.len());
        for (_, account, id) in line {
            let Some(hold) = self.all.get_mut(&account) else { continue };
            self.looks = self.looks.saturating_add(1);
            hold.looked = self.looks;
            next.push((account, id, hold.over));
        }
        next
    }

    /// Forgets the accounts of which nothing waits.
    pub fn keep_only(&mut self, waits: impl Fn(&str) -> bool) {
        self.all.retain(|account, _| waits(account));
    }

    /// How many accounts are out of line, by the quota that each is over.
    pub fn by_quota(&self) -> BTreeMap<&'static str, u64> {
        let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
        for hold in self.all.values() {
            let count = counts.entry(hold.over.rule).or_default();
            *count = count.saturating_add(1);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(rule: &'static str, wanted: u64) -> Over {
        Over { rule, limit: 9, used: 5, wanted }
    }

    #[test]
    fn an_account_is_out_of_line_until_the_quota_is_asked_again_for_what_it_takes() {
        let mut holds = Holds::default();
        assert_eq!((holds.has("ann"), holds.rests("ann", 0), holds.cost("ann", 0)), (false, false, 1));
        holds.put("ann", over("account_hour_cost", 7), true, (100, 200));
        assert_eq!((holds.rests("ann", 199), holds.rests("ann", 200)), (true, false));
        assert!(holds.has("ann") && !holds.rests("bob", 150));
        // The time that the clock was set back by is not waited for.
        assert_eq!((holds.rests("ann", 99), holds.cost("ann", 99)), (false, 1));
        assert_eq!((holds.cost("ann", 200), holds.cost("bob", 200)), (7, 1));
        // That there is still no room for what it took once does not make the price a new one.
        holds.put("ann", over("account_day_cost", 7), false, (PRICED_MS, PRICED_MS + 50));
        assert_eq!((holds.cost("ann", PRICED_MS + 99), holds.cost("ann", PRICED_MS + 100)), (7, 1));
        holds.put("bob", over("account_hour", 1), false, (100, 200));
        assert_eq!(holds.by_quota(), [("account_day_cost", 1), ("account_hour", 1)].into());
        holds.release("ann");
        holds.keep_only(|account| account != "bob");
        assert_eq!((holds.by_quota(), holds.cost("ann", 200)), (BTreeMap::new(), 1));
    }

    #[test]
    fn every_account_that_is_out_of_line_is_looked_at_in_its_turn() {
        let mut holds = Holds::default();
        let waiting = |accounts: &[&str]| -> Vec<(String, i64)> {
            accounts.iter().map(|account| ((*account).to_owned(), 1)).collect()
        };
        for account in ["a", "b", "c", "d", "e"] {
            holds.put(account, over("account_hour", 1), false, (0, 9));
        }
        let mut names = |accounts: &[&str]| -> Vec<String> {
            holds.next(waiting(accounts), 2).into_iter().map(|(account, ..)| account).collect()
        };
        let all = ["a", "b", "c", "d", "e", "unknown"];
        assert_eq!(names(&all), ["a", "b"]);
        assert_eq!(names(&all), ["c", "d"]);
        assert_eq!(names(&all), ["e", "a"]);
        // Of one nothing was due when it was its turn: it is the first to have the next.
        assert_eq!(names(&["a", "c", "d"]), ["c", "d"]);
        assert_eq!(names(&all), ["b", "e"]);
    }
}

//! Lists of transactions: each read page by page of one node, and what those of a quorum hold together.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::atomic::Ordering,
    time::Duration,
};

use protocol::chain::TransactionId;

use super::Following;
use crate::chain::{
    rpc::{Node, RpcError},
    solana::{
        read::account,
        rpc::{Commitment, Listed},
    },
};

/// The most pages of transactions that are kept before they are applied, but for those of their last slot. Where there are
/// more, the oldest.
const PAGES_MAX: u64 = 50;
/// The most transactions of one look that nodes are asked for because one of them does not list them.
const ASKED_MAX: usize = 16;
/// The most transactions that a list may have in one slot: far more than a block holds.
const SLOT_MAX: usize = 100_000;
/// The longest that one node's list is waited for: one of who lies need not end. Twice as long after each that did not, for it may
/// be that all of them are that long.
const LIST_TIME: Duration = Duration::from_secs(if cfg!(test) { 5 } else { 60 });
/// How often that is doubled at most, where no node's list ends in time.
const DOUBLED_MAX: u32 = 10;
/// The same while another node's list ends.
const DOUBLED_ALONE: u32 = 4;
/// The longest that is waited for the list of one that lied before.
const ACQUIT_TIME: Duration = Duration::from_secs(5);

/// Transactions of some slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct List {
    pub newest_first: VecDeque<Listed>,
    /// All transactions up to this slot are in it.
    pub to: u64,
}

/// A transaction, and the slot in which a list has it.
type Place = (TransactionId, u64);

impl List {
    /// Those that did something.
    fn succeeded(&self) -> BTreeSet<Place> {
        let succeeded = self.newest_first.iter().filter(|one| !one.failed);
        succeeded.map(|one| (one.signature, one.slot)).collect()
    }
}

/// Whether a list lacks what another one has, or has it in another slot, be it there too.
fn differs(theirs: &BTreeSet<Place>, one: &Listed) -> bool {
    let mut slots = theirs.range((one.signature, 0)..=(one.signature, u64::MAX)).map(|(_, slot)| *slot);
    slots.next() != Some(one.slot) || slots.next().is_some()
}

/// What lists hold together up to a slot, each transaction in every slot where one of them has it: that it is not in one says
/// nothing of the other. It failed only if that is so in all that have it.
pub(super) fn together(lists: impl IntoIterator<Item = List>, to: u64) -> List {
    let mut slots: BTreeMap<u64, Vec<Listed>> = BTreeMap::new();
    let mut failed: BTreeMap<TransactionId, bool> = BTreeMap::new();
    let mut places: BTreeSet<(u64, TransactionId)> = BTreeSet::new();
    for list in lists {
        // Within a slot: after the one that this list has before it.
        let (mut slot, mut at) = (None, 0_usize);
        for one in list.newest_first.into_iter().filter(|one| one.slot <= to) {
            if slot.replace(one.slot) != Some(one.slot) {
                at = 0;
            }
            let ours = slots.entry(one.slot).or_default();
            *failed.entry(one.signature).or_insert(true) &= one.failed;
            if places.insert((one.slot, one.signature)) {
                ours.insert(at.min(ours.len()), one);
                at = at.saturating_add(1);
            } else {
                let further = ours.iter().skip(at).position(|ours| ours.signature == one.signature);
                at = further.map_or(at, |further| at.saturating_add(further).saturating_add(1));
            }
        }
    }
    let listed = slots.into_values().rev().flatten();
    let newest_first =
        listed.map(|one| Listed { failed: failed.get(&one.signature) == Some(&true), ..one }).collect();
    List { newest_first, to }
}

impl Following {
    /// Transactions in the slots after `above` and up to `to`, as one node lists them; where it has too many, the newest slots
    /// are left out. `until` is one at or below `above`, or none.
    pub(super) async fn list_of(
        &self,
        node: &Node,
        commitment: Commitment,
        range: (u64, u64),
        until: Option<TransactionId>,
    ) -> Result<List, RpcError> {
        let times = self.endless(node);
        let none_ends = self.rpc.0.all().all(|node| self.endless(node) >= DOUBLED_ALONE);
        let doubled = times.min(if none_ends { DOUBLED_MAX } else { DOUBLED_ALONE });
        let longest = LIST_TIME.saturating_mul(1_u32.checked_shl(doubled).unwrap_or(u32::MAX));
        let pages = self.pages_of(node, commitment, range, until);
        if let Ok(list) = tokio::time::timeout(longest, pages).await {
            if list.is_ok() {
                self.note_endless(node, 0);
            }
            return list;
        }
        self.note_endless(node, times.saturating_add(1));
        let method = "getSignaturesForAddress";
        let reason = format!("its list did not end within {} seconds", longest.as_secs());
        let error = RpcError::Failed { method, reason };
        self.rpc.0.failed(node, method, &error);
        Err(error)
    }

    /// How often in a row the list of a node did not end in time.
    fn endless(&self, node: &Node) -> u32 {
        let times = self.endless.get(self.rpc.0.position(node));
        times.map_or(0, |times| times.load(Ordering::Relaxed))
    }

    fn note_endless(&self, node: &Node, times: u32) {
        if let Some(endless) = self.endless.get(self.rpc.0.position(node)) {
            endless.store(times, Ordering::Relaxed);
        }
    }

    async fn pages_of(
        &self,
        node: &Node,
        commitment: Commitment,
        (above, to): (u64, u64),
        until: Option<TransactionId>,
    ) -> Result<List, RpcError> {
        self.rpc.0.right(node).await?;
        let mut listed: VecDeque<Listed> = VecDeque::new();
        let mut whole = true;
        let max = usize::try_from(self.page.saturating_mul(PAGES_MAX)).unwrap_or(usize::MAX);
        let mut before: Option<Listed> = None;
        let mut in_slot = 0_usize;
        'pages: loop {
            let range = (before.as_ref().map(|listed| listed.signature), until);
            let page = self.rpc.signatures(node, account(), commitment, range, (self.page, to)).await?;
            // Nodes may have smaller pages than they are asked for: only an empty one is the last.
            if page.is_empty() {
                break;
            }
            for one in page {
                if before.as_ref().is_some_and(|before| before.slot < one.slot) {
                    return Err(RpcError::Inconsistent(format!(
                        "{} of slot {} is listed after one of an earlier slot",
                        one.signature, one.slot
                    )));
                }
                if one.slot <= above {
                    break 'pages;
                }
                let same = before.as_ref().is_some_and(|before| before.slot == one.slot);
                in_slot = if same { in_slot.saturating_add(1) } else { 1 };
                if in_slot > SLOT_MAX {
                    return Err(RpcError::Inconsistent(format!(
                        "more than {SLOT_MAX} transactions are listed in slot {}",
                        one.slot
                    )));
                }
                if one.slot <= to {
                    listed.push_back(one.clone());
                }
                let newest = listed.front().map_or(0, |newest| newest.slot);
                if listed.len() > max && newest > one.slot {
                    while listed.front().is_some_and(|listed| listed.slot == newest) {
                        listed.pop_front();
                    }
                    whole = false;
                }
                before = Some(one);
            }
        }
        let to = listed.front().filter(|_| !whole).map_or(to, |newest| newest.slot);
        Ok(List { newest_first: listed, to })
    }

    /// Final transactions in the slots after `above` and up to `to`, which is final: all that a quorum of the nodes list. Whom
    /// as many prove to have left one out, or put it into another slot, has lied, and is asked no more.
    ///
    /// # Errors
    /// Fewer nodes answer.
    pub(super) async fn final_list(
        &self,
        (above, to): (u64, u64),
        until: Option<TransactionId>,
    ) -> Result<List, RpcError> {
        let (mut nodes, quorum) = (self.rpc.0.in_turn(), self.rpc.0.quorum);
        // Whose list did not end is asked where the others are too few.
        nodes.sort_by_key(|node| (node.health().distrusted, self.endless(node)));
        let (mut said, mut failed): (Vec<(usize, List)>, _) = (Vec::new(), None);
        let mut rest = nodes.iter().copied();
        // So many at once, then others for those that fail.
        let mut asked: Vec<&Node> = rest.by_ref().take(quorum).collect();
        while !asked.is_empty() {
            let asking = asked.into_iter().map(|node| self.told_by(node, (above, to), until));
            for (at, answer) in futures::future::join_all(asking).await {
                match answer {
                    Ok(list) => said.push((at, list)),
                    Err(error) => failed = Some(error),
                }
            }
            asked = rest.by_ref().take(quorum.saturating_sub(said.len())).collect();
        }
        if let Some(error) = failed.filter(|_| said.len() < quorum) {
            return Err(if quorum > 1 {
                let words = format!("{} of {quorum} nodes list what is final: {error}", said.len());
                RpcError::Inconsistent(words)
            } else {
                error
            });
        }
        let whole = said.iter().map(|(_, list)| list.to).min().unwrap_or(to);
        let told: Vec<(usize, BTreeSet<Place>)> =
            said.iter().map(|(at, list)| (*at, list.succeeded())).collect();
        let list = together(said.into_iter().map(|(_, list)| list), whole);
        if !self.accuse(&list, &told).await && !list.newest_first.is_empty() {
            // Who is asked for want of another lists what all do.
            self.rpc.0.proved();
        }
        self.acquit(&list, (above, until)).await;
        Ok(list)
    }

    async fn told_by(
        &self,
        node: &Node,
        range: (u64, u64),
        until: Option<TransactionId>,
    ) -> (usize, Result<List, RpcError>) {
        (self.rpc.0.position(node), self.list_of(node, Commitment::Finalized, range, until).await)
    }

    /// Who does not list what a quorum has as final, or lists it in another slot as well, lied. One that makes up a transaction has
    /// no quorum for it. Whether lists differ.
    async fn accuse(&self, list: &List, told: &[(usize, BTreeSet<Place>)]) -> bool {
        // With a quorum of one nothing is compared.
        if told.len() < 2 {
            return false;
        }
        let disputed = |one: &&Listed| told.iter().any(|(_, theirs)| differs(theirs, one));
        let succeeded = list.newest_first.iter().filter(|one| !one.failed);
        let disputed: Vec<&Listed> = succeeded.filter(disputed).take(ASKED_MAX).collect();
        let mut accused = BTreeSet::new();
        for one in &disputed {
            if !self.rpc.is_final(one).await {
                continue;
            }
            for (at, theirs) in told {
                if differs(theirs, one) && accused.insert(*at) {
                    let quorum = self.rpc.0.quorum;
                    let words = format!(
                        "{quorum} nodes have {} of slot {} as final, and it does not list it, or not there alone",
                        one.signature, one.slot
                    );
                    self.rpc.0.misled(*at, words);
                }
            }
        }
        !disputed.is_empty()
    }

    /// Who was accused before the process started and lists now what the others do, in the same slots, is asked again.
    async fn acquit(&self, list: &List, (above, until): (u64, Option<TransactionId>)) {
        let all = list.succeeded();
        if all.is_empty() {
            return;
        }
        for node in self.rpc.0.all() {
            let health = node.health();
            if !health.distrusted || health.misled {
                continue;
            }
            let told = self.told_by(node, (above, list.to), until);
            let Ok((at, theirs)) = tokio::time::timeout(ACQUIT_TIME, told).await else { continue };
            if theirs.is_ok_and(|theirs| theirs.to == list.to && theirs.succeeded().is_superset(&all)) {
                self.rpc.0.agrees(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::chain::TransactionId;

    use super::{List, differs, together};
    use crate::chain::solana::rpc::Listed;

    fn list(listed: &[(u8, u64)]) -> List {
        let of = |(n, slot): &(u8, u64)| Listed {
            signature: TransactionId::Solana([*n; 64]),
            slot: *slot,
            failed: false,
        };
        List { newest_first: listed.iter().map(of).collect(), to: 9 }
    }

    #[test]
    fn lists_hold_together_what_any_of_them_has_in_the_order_of_each() {
        for (lists, all) in [
            (vec![vec![(5, 8), (4, 7)], vec![(5, 8), (4, 7)]], vec![(5, 8), (4, 7)]),
            (vec![vec![(5, 8), (3, 8)], vec![(5, 8), (4, 8), (3, 8)]], vec![(5, 8), (4, 8), (3, 8)]),
            (vec![vec![(4, 8), (3, 8)], vec![(5, 8), (4, 8)]], vec![(5, 8), (4, 8), (3, 8)]),
            (vec![vec![(4, 7)], vec![(5, 8), (3, 6)]], vec![(5, 8), (4, 7), (3, 6)]),
            (vec![vec![], vec![(5, 8)]], vec![(5, 8)]),
            // Where they differ the first is right.
            (vec![vec![(5, 8), (4, 8)], vec![(4, 8), (5, 8)]], vec![(5, 8), (4, 8)]),
            (vec![vec![(5, 8)], vec![(5, 7)]], vec![(5, 8), (5, 7)]),
        ] {
            let merged = together(lists.iter().map(|of| list(of)), 9);
            assert_eq!(merged, list(&all), "{lists:?}");
        }
        assert_eq!(together([list(&[(5, 9), (4, 7)])], 8), List { to: 8, ..list(&[(4, 7)]) });
    }

    #[test]
    fn a_list_differs_where_it_has_a_transaction_not_or_elsewhere_as_well() {
        let one = Listed { signature: TransactionId::Solana([5; 64]), slot: 8, failed: false };
        for (theirs, expected) in [
            (vec![(5, 8)], false),
            (vec![(6, 8), (5, 8), (4, 8)], false),
            (vec![], true),
            (vec![(6, 8), (4, 8)], true),
            (vec![(5, 7)], true),
            (vec![(5, 9), (5, 8)], true),
            (vec![(5, 8), (5, 7)], true),
        ] {
            assert_eq!(differs(&list(&theirs).succeeded(), &one), expected, "{theirs:?}");
        }
    }

    #[test]
    fn what_one_list_has_as_failed_and_another_has_not_is_read() {
        let mut failed = list(&[(5, 8)]);
        failed.newest_first.iter_mut().for_each(|one| one.failed = true);
        for lists in [[failed.clone(), list(&[(5, 8)])], [list(&[(5, 8)]), failed.clone()]] {
            assert_eq!(together(lists, 9), list(&[(5, 8)]));
        }
        assert_eq!(together([failed.clone(), failed.clone()], 9), failed);
    }
}

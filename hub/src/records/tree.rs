//! The Merkle tree over the log (RFC 9162, section 2.1, with SHA-256): its leaves are the receipts, in the log's order. Needs no server.
//!
//! Kept are the hashes of whole subtrees, which no later entry changes; roots and proofs come apart into them.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use ct_merkle::{
    ConsistencyProof, InclusionProof, RootHash, indices_for_consistency_proof, indices_for_inclusion_proof,
};
use sha2::{Digest, Sha256};

use super::{record::RecordId, stamp::Stamp};

/// The most entries of a tree: its nodes are numbered in 64 bits.
const SIZE_MAX: u64 = i64::MAX.unsigned_abs();

/// A subtree with all of its 2^`level` leaves, the last of which is entry `end`, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    /// 0 for a leaf.
    pub level: u32,
    /// The entry that completed it.
    pub end: u64,
}

/// The whole subtrees that a node comes apart into, from the left; more than one only at the tree's right edge.
pub(crate) type Parts = Vec<Whole>;

/// The hash of an entry: of the canonical form (RFC 8785) of its receipt.
pub(crate) fn leaf(seq: u64, id: &RecordId, received: Stamp) -> B256 {
    hashed(&[&[0], receipt(seq, id, received).as_bytes()])
}

/// None of its values has a character that JSON writes in another way, so this is its canonical form.
pub(super) fn receipt(seq: u64, id: &RecordId, received: Stamp) -> String {
    format!(r#"{{"id":"{id}","received":"{received}","seq":"{seq}"}}"#)
}

fn node(left: B256, right: B256) -> B256 {
    hashed(&[&[1], left.as_slice(), right.as_slice()])
}

fn hashed(parts: &[&[u8]]) -> B256 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    B256::new(hasher.finalize().into())
}

/// How many leaves a whole subtree has.
const fn leaves(level: u32) -> u64 {
    1_u64.wrapping_shl(level)
}

/// The whole subtrees over the leaves from `start` to before `end`, where a subtree as large may begin at `start`.
fn parts(start: u64, end: u64) -> Parts {
    let mut parts = Vec::new();
    let mut at = start;
    while let Some(level) = end.saturating_sub(at).checked_ilog2() {
        at = at.saturating_add(leaves(level));
        parts.push(Whole { level, end: at });
    }
    parts
}

/// A node by its number in ct-merkle: leaves have the even ones, and every other node the one between its children.
fn numbered(number: u64, size: u64) -> Parts {
    let level = number.trailing_ones();
    let start = number.wrapping_shr(level).wrapping_shr(1).wrapping_shl(level);
    parts(start, size.min(start.saturating_add(leaves(level))))
}

/// What the root of a tree of `size` entries comes apart into.
pub(crate) fn root(size: u64) -> Parts {
    parts(0, size)
}

/// The nodes that show that entry `seq` is in the tree of `size` entries (section 2.1.3.1); none where it is not.
pub(crate) fn inclusion(seq: u64, size: u64) -> Option<Vec<Parts>> {
    let index = seq.checked_sub(1).filter(|index| *index < size && size <= SIZE_MAX)?;
    let path = indices_for_inclusion_proof(size, index);
    Some(path.into_iter().map(|number| numbered(number, size)).collect())
}

/// The nodes that show that the tree of `to` entries goes on from the tree of `from` (section 2.1.4.1); none unless
/// 1 ≤ `from` ≤ `to`.
pub(crate) fn consistency(from: u64, to: u64) -> Option<Vec<Parts>> {
    let added = to.checked_sub(from).filter(|_| from > 0 && to <= SIZE_MAX)?;
    let path = indices_for_consistency_proof(from, added);
    Some(path.into_iter().map(|number| numbered(number, to)).collect())
}

/// The entries whose hashes these nodes need.
pub(crate) fn ends<'a>(nodes: impl IntoIterator<Item = &'a Parts>) -> BTreeSet<u64> {
    nodes.into_iter().flatten().map(|whole| whole.end).collect()
}

/// The subtrees that stand left of those that entry `seq` completes, from the leaf up.
pub(crate) fn lefts(seq: u64) -> impl Iterator<Item = Whole> {
    (0..seq.trailing_zeros()).map(move |level| Whole { level, end: seq.saturating_sub(leaves(level)) })
}

/// The hashes of the subtrees that an entry completes, from its leaf up, beside those left of them ([`lefts`]).
pub(crate) fn completed(leaf: B256, lefts: &[B256]) -> Vec<B256> {
    let mut hashes = vec![leaf];
    let mut last = leaf;
    for left in lefts {
        last = node(*left, last);
        hashes.push(last);
    }
    hashes
}

/// Hashes of whole subtrees, by the entry that they end with, each from the leaf up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nodes(BTreeMap<u64, Vec<B256>>);

impl Nodes {
    /// Those that entry `end` completed.
    pub(crate) fn put(&mut self, end: u64, hashes: Vec<B256>) {
        self.0.insert(end, hashes);
    }

    /// The hash of a whole subtree; none where it is not here.
    pub(crate) fn one(&self, whole: Whole) -> Option<B256> {
        self.0.get(&whole.end)?.get(usize::try_from(whole.level).ok()?).copied()
    }

    /// The hash of a node; none where a part of it is not here.
    pub(crate) fn hash(&self, parts: &[Whole]) -> Option<B256> {
        let mut right: Option<B256> = None;
        for whole in parts.iter().rev() {
            let left = self.one(*whole)?;
            right = Some(right.map_or(left, |right| node(left, right)));
        }
        right
    }

    /// The hashes of a proof; none where a part of it is not here.
    pub(crate) fn path(&self, nodes: &[Parts]) -> Option<Vec<B256>> {
        nodes.iter().map(|parts| self.hash(parts)).collect()
    }
}

/// A tree that grows entry by entry, with no more of it in memory than its right edge.
#[derive(Clone, Debug, Default)]
pub(crate) struct Growing {
    size: u64,
    /// The latest whole subtree of each level that none of the next level had completed.
    edge: BTreeMap<u32, B256>,
}

impl Growing {
    /// The place of the next entry.
    pub(crate) const fn next(&self) -> u64 {
        self.size.saturating_add(1)
    }

    /// Takes the next leaf, and says what it completes, from the leaf up.
    pub(crate) fn push(&mut self, leaf: B256) -> Vec<B256> {
        self.size = self.next();
        let lefts: Vec<B256> =
            lefts(self.size).filter_map(|whole| self.edge.get(&whole.level).copied()).collect();
        let hashes = completed(leaf, &lefts);
        if let Some(last) = hashes.last() {
            self.edge.insert(self.size.trailing_zeros(), *last);
        }
        hashes
    }

    /// The root; none of an empty tree.
    pub(crate) fn root(&self) -> Option<B256> {
        let mut right: Option<B256> = None;
        for whole in root(self.size).iter().rev() {
            let left = *self.edge.get(&whole.level)?;
            right = Some(right.map_or(left, |right| node(left, right)));
        }
        right
    }
}

fn bytes(path: &[B256]) -> Vec<u8> {
    path.iter().flat_map(|hash| hash.0).collect()
}

/// Whether entry `seq` of the tree of `size` entries with this root is what hashes to a leaf (section 2.1.3.2). Any sizes and paths
/// may be asked about.
pub(super) fn includes(root: B256, size: u64, seq: u64, entry: &str, path: &[B256]) -> bool {
    let Some(index) = seq.checked_sub(1).filter(|_| size <= SIZE_MAX) else { return false };
    let root = RootHash::<Sha256>::new(root.0.into(), size);
    InclusionProof::<Sha256>::try_from_bytes(bytes(path))
        .is_ok_and(|proof| root.verify_inclusion(&entry, index, &proof).is_ok())
}

/// Whether the tree `to` (root and size) goes on from the tree `from` (section 2.1.4.2). Any sizes and paths may be asked about.
pub(super) fn consistent(from: (B256, u64), to: (B256, u64), path: &[B256]) -> bool {
    let tree = |(root, size): (B256, u64)| RootHash::<Sha256>::new(root.0.into(), size);
    let bounded = from.1 <= SIZE_MAX && to.1 <= SIZE_MAX;
    bounded
        && ConsistencyProof::<Sha256>::try_from_bytes(bytes(path))
            .is_ok_and(|proof| tree(to).verify_consistency(&tree(from), &proof).is_ok())
}

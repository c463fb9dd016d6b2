//! The tree over the log: published vectors, proofs over trees of every small size, and a log that is not its tree's.
#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use std::{path::Path, sync::Arc};

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::super::{
    Consistency, Device, DeviceKey, Difference, Head, Receipt, RecordId, Stamp, nodes, proof, submit,
    tree::{self, Growing, Nodes, Whole},
};
use crate::{
    Hub,
    config::Config,
    testing::{Person, START_MS, StillClock, TestHub, death},
};

/// <https://github.com/transparency-dev/merkle/blob/main/testonly/constants.go>, `LeafInputs`: those of Certificate Transparency's
/// own tests.
const INPUTS: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
/// `NodeHashes`, there.
const LEAVES: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7",
    "07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7",
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "4271a26be0d8a84f0bd54c8c302e7cb3a3b5d1fa6780a40bcce2873477dab658",
    "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
    "46f6ffadd3d06a09ff3c5860d2755c8b9819db7df44251788c7d8e3180de8eb1",
];
const PAIRS: [&str; 4] = [
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
];
const FOURS: [&str; 2] = [
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
];
/// `RootHashes`, there: of one leaf, of two and so on.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn hash(text: &str) -> B256 {
    text.parse().unwrap()
}

/// The tree over these leaves: what would be kept of it, and its root at every size from 1.
fn grown(leaves: impl IntoIterator<Item = B256>) -> (Nodes, Vec<B256>) {
    let (mut growing, mut nodes, mut roots) = (Growing::default(), Nodes::default(), Vec::new());
    for leaf in leaves {
        let seq = growing.next();
        nodes.put(seq, growing.push(leaf));
        let root = growing.root().unwrap();
        assert_eq!(nodes.hash(&tree::root(seq)), Some(root));
        roots.push(root);
    }
    (nodes, roots)
}

#[test]
fn trees_are_those_of_the_published_vectors() {
    use sha2::{Digest, Sha256};
    for (input, leaf) in INPUTS.iter().zip(LEAVES) {
        let bytes = [vec![0], hex::decode(input).unwrap()].concat();
        assert_eq!(hex::encode(Sha256::digest(bytes)), leaf);
    }
    let (nodes, roots) = grown(LEAVES.map(hash));
    assert_eq!(roots, ROOTS.map(hash));
    for (level, hashes) in [&LEAVES[..], &PAIRS[..], &FOURS[..], &ROOTS[7..]].into_iter().enumerate() {
        for (at, wanted) in hashes.iter().enumerate() {
            let end = (u64::try_from(at).unwrap() + 1) << level;
            let level = u32::try_from(level).unwrap();
            assert_eq!(nodes.one(Whole { level, end }), Some(hash(wanted)), "{level} {at}");
        }
    }
    // testonly/reference_test.go, there. Its indices count from 0.
    let path = |hashes: &[&str]| hashes.iter().copied().map(hash).collect::<Vec<_>>();
    for (size, index, wanted) in [
        (1, 0, path(&[])),
        (2, 0, path(&[LEAVES[1]])),
        (2, 1, path(&[LEAVES[0]])),
        (3, 2, path(&[PAIRS[0]])),
        (5, 1, path(&[LEAVES[0], PAIRS[1], LEAVES[4]])),
        (8, 0, path(&[LEAVES[1], PAIRS[1], FOURS[1]])),
        (8, 5, path(&[LEAVES[4], PAIRS[3], FOURS[0]])),
    ] {
        let proof = tree::inclusion(index + 1, size).unwrap();
        assert_eq!(nodes.path(&proof), Some(wanted), "{index} in {size}");
    }
    for (from, to, wanted) in [
        (1, 1, path(&[])),
        (1, 8, path(&[LEAVES[1], PAIRS[1], FOURS[1]])),
        (2, 5, path(&[PAIRS[1], LEAVES[4]])),
        (6, 8, path(&[PAIRS[2], PAIRS[3], FOURS[0]])),
    ] {
        let proof = tree::consistency(from, to).unwrap();
        assert_eq!(nodes.path(&proof), Some(wanted), "{from} to {to}");
    }
    assert_eq!(
        (tree::inclusion(0, 8), tree::inclusion(9, 8), tree::inclusion(1, u64::MAX)),
        (None, None, None)
    );
    assert_eq!((tree::consistency(0, 8), tree::consistency(9, 8)), (None, None));
    assert_eq!(tree::consistency(1, u64::MAX), None);
}

/// Some receipt, by its place.
fn receipt(seq: i64) -> Receipt {
    let id = RecordId::of(&json!({ "number": seq })).unwrap();
    Receipt { id, seq, received: Stamp::from_ms(START_MS + seq) }
}

fn leaf(entry: &Receipt) -> B256 {
    tree::leaf(u64::try_from(entry.seq).unwrap(), &entry.id, entry.received)
}

fn head(roots: &[B256], size: usize) -> Head {
    Head {
        size: u64::try_from(size).unwrap(),
        root: roots[size - 1],
        at: Stamp::from_ms(START_MS),
        proof: None,
    }
}

const SIZE: usize = 40;

fn receipts() -> Vec<Receipt> {
    (1..=i64::try_from(SIZE).unwrap()).map(receipt).collect()
}

#[test]
fn a_leaf_is_the_canonical_form_of_a_receipt() {
    for entry in receipts() {
        let canonical = proof::canonical(&serde_json::to_value(&entry).unwrap()).unwrap();
        let seq = u64::try_from(entry.seq).unwrap();
        assert_eq!(tree::receipt(seq, &entry.id, entry.received).into_bytes(), canonical);
    }
}

#[test]
fn an_entry_that_is_changed_or_moved_is_not_in_the_tree() {
    let receipts = receipts();
    let (nodes, roots) = grown(receipts.iter().map(leaf));
    for size in 1..=SIZE {
        let head = head(&roots, size);
        for entry in &receipts[..size] {
            let proof = tree::inclusion(u64::try_from(entry.seq).unwrap(), head.size).unwrap();
            let path = nodes.path(&proof).unwrap();
            assert!(head.has(entry, &path), "{entry:?} in {size}");
            let changed = [
                Receipt { id: receipt(1_000).id, ..entry.clone() },
                Receipt { received: Stamp::from_ms(entry.received.ms() + 1), ..entry.clone() },
                Receipt { seq: entry.seq + 1, ..entry.clone() },
                Receipt { seq: entry.seq - 1, ..entry.clone() },
                Receipt { seq: -entry.seq, ..entry.clone() },
            ];
            for changed in changed {
                assert!(!head.has(&changed, &path), "{changed:?} in {size}");
            }
            for at in 0..path.len() {
                let mut other = path.clone();
                other[at].0[31] ^= 1;
                assert!(!head.has(entry, &other));
                other.remove(at);
                assert!(!head.has(entry, &other));
            }
            let longer = [path.clone(), vec![B256::ZERO]].concat();
            assert!(!head.has(entry, &longer));
            let other = Head { root: B256::ZERO, ..head.clone() };
            assert!(!other.has(entry, &path));
            assert!(!Head { size: u64::MAX, ..head.clone() }.has(entry, &path));
            assert!(!Head { size: 0, ..head.clone() }.has(entry, &path));
        }
    }
}

#[test]
fn heads_of_one_log_are_consistent_and_of_a_log_with_an_entry_dropped_or_swapped_not() {
    let whole = receipts();
    let (nodes, roots) = grown(whole.iter().map(leaf));
    let shown = |nodes: &Nodes, from: usize, to: usize| {
        let proof = tree::consistency(u64::try_from(from).unwrap(), u64::try_from(to).unwrap()).unwrap();
        nodes.path(&proof).unwrap()
    };
    for to in 1..=SIZE {
        for from in 1..=to {
            let (earlier, later) = (head(&roots, from), head(&roots, to));
            let path = shown(&nodes, from, to);
            assert!(later.continues(&earlier, &path), "{from} to {to}");
            assert!(from == to || !earlier.continues(&later, &path));
            assert!(!later.continues(&Head { root: B256::ZERO, ..earlier.clone() }, &path));
            let longer = [path.clone(), vec![B256::ZERO]].concat();
            assert!(!later.continues(&earlier, &longer));
            let far = Head { size: u64::MAX, ..later.clone() };
            assert!(!far.continues(&earlier, &path));
            assert!(!later.continues(&Head { size: 0, ..earlier.clone() }, &path));
        }
    }
    for at in 0..SIZE - 2 {
        let mut dropped = whole.clone();
        dropped.remove(at);
        let mut swapped = whole.clone();
        swapped.swap(at, at + 1);
        for mut other in [dropped, swapped] {
            for (entry, seq) in other.iter_mut().zip(1..) {
                entry.seq = seq;
            }
            let (others, other_roots) = grown(other.iter().map(leaf));
            let size = other.len();
            for from in 1..size {
                let same = from <= at;
                let path = shown(&others, from, size);
                let goes_on = head(&other_roots, size).continues(&head(&roots, from), &path);
                assert_eq!(goes_on, same, "without or beside {at}, from {from}");
            }
        }
    }
}

async fn head_of(hub: &TestHub) -> (Head, Device) {
    let answer = hub.get("/v1/log/head").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    Head::read(&answer.body).unwrap()
}

async fn run(hub: &TestHub, sql: &'static str) {
    sqlx::query(sql).execute(&hub.eyes).await.unwrap();
}

/// Keeps log and tree as they are.
async fn keep(hub: &TestHub) {
    run(hub, "CREATE TABLE kept_log AS SELECT * FROM log").await;
    run(hub, "CREATE TABLE kept_nodes AS SELECT * FROM log_nodes").await;
}

/// Makes log and tree again what was kept.
async fn put_back(hub: &TestHub) {
    for sql in [
        "DELETE FROM log",
        "DELETE FROM log_nodes",
        "INSERT INTO log SELECT * FROM kept_log",
        "INSERT INTO log_nodes SELECT * FROM kept_nodes",
    ] {
        run(hub, sql).await;
    }
}

/// Says so many communities.
async fn say(hub: &TestHub, by: &Person, names: std::ops::Range<u32>) {
    for number in names {
        hub.say(&by.record(hub, "community@1", json!({ "name": format!("Garden {number}") }))).await;
    }
}

/// The receipts of the log, as its rows have them.
async fn rows(hub: &TestHub) -> Vec<Receipt> {
    let rows: Vec<(i64, String, i64)> = sqlx::query_as("SELECT seq, id, received_at FROM log ORDER BY seq")
        .fetch_all(&hub.eyes)
        .await
        .unwrap();
    let receipt = |(seq, id, at): (i64, String, i64)| Receipt {
        id: id.parse().unwrap(),
        seq,
        received: Stamp::from_ms(at),
    };
    rows.into_iter().map(receipt).collect()
}

#[tokio::test]
async fn a_later_head_goes_on_from_an_earlier_one_and_shows_when_an_entry_was_taken_out() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let mut heads = vec![head_of(&hub).await];
        for number in 0..5 {
            say(&hub, &anna, number..number + 1).await;
            heads.push(head_of(&hub).await);
        }
        let document = hub.get("/.well-known/did.json").await.body;
        let (last, by) = heads.last().unwrap().clone();
        assert_eq!(json!(by), document["alsoKnownAs"][0]);
        let receipts = rows(&hub).await;
        assert_eq!(last.size, u64::try_from(receipts.len()).unwrap());
        assert_eq!(Some(&last.root), grown(receipts.iter().map(leaf)).1.last());
        let shown =
            async |from: u64, to: u64| hub.get(&format!("/v1/log/consistency?from={from}&to={to}")).await;
        for (later, _) in &heads {
            for (earlier, _) in heads.iter().filter(|(earlier, _)| earlier.size <= later.size) {
                let answer = shown(earlier.size, later.size).await;
                let proof: Consistency = serde_json::from_value(answer.body).unwrap();
                assert!(later.continues(earlier, &proof.path), "{earlier:?} {later:?}");
            }
        }
        assert_eq!(shown(0, 1).await.refusal().0, 400);
        assert_eq!(shown(2, 1).await.refusal().0, 400);
        assert_eq!(shown(1, last.size + 1).await.refusal().0, 404);
        assert_eq!(shown(1, u64::MAX).await.refusal().0, 404);

        // Whoever has the database takes an entry out, moves up what follows and makes the tree anew.
        hub.unlock().await;
        keep(&hub).await;
        run(&hub, "DELETE FROM log WHERE seq = (SELECT MAX(seq) - 2 FROM log)").await;
        run(&hub, "UPDATE log SET seq = seq - 1 WHERE seq = (SELECT MAX(seq) - 1 FROM log)").await;
        run(&hub, "UPDATE log SET seq = seq - 1 WHERE seq = (SELECT MAX(seq) FROM log)").await;
        run(&hub, "DELETE FROM log_nodes").await;
        let mut on = hub.eyes.acquire().await.unwrap();
        for receipt in rows(&hub).await {
            nodes::grow(&mut on, &receipt).await.unwrap();
        }
        drop(on);
        let changed = head_of(&hub).await.0;
        assert_eq!(changed.size, last.size - 1);
        // Log and tree are at one with each other: heads that somebody kept are all that tells.
        let found = crate::rebuild(hub.config.clone(), hub.clock.clone(), false, |_| {}).await.unwrap();
        assert_eq!(found.root, Some(changed.root));
        for (earlier, _) in heads.iter().filter(|(earlier, _)| earlier.size <= changed.size) {
            let answer = shown(earlier.size, changed.size).await;
            let proof: Consistency = serde_json::from_value(answer.body).unwrap();
            assert_eq!(
                changed.continues(earlier, &proof.path),
                earlier.size < changed.size - 1,
                "{earlier:?}"
            );
        }
        put_back(&hub).await;
        hub.end().await;
    }
}

#[tokio::test]
async fn a_rebuild_finds_a_log_that_is_not_its_trees_and_does_not_mend_it() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        say(&hub, &anna, 0..6).await;
        let (head, _) = head_of(&hub).await;
        hub.unlock().await;
        keep(&hub).await;
        let last = i64::try_from(head.size).unwrap();
        for (sql, seq, told) in [
            ("UPDATE log SET received_at = received_at + 1 WHERE seq = 3", 3, "another record or time"),
            ("DELETE FROM log WHERE seq = (SELECT MAX(seq) - 2 FROM log)", last - 2, "is not there"),
            ("DELETE FROM log WHERE seq = (SELECT MAX(seq) FROM log)", last, "and not there"),
            (
                "UPDATE log SET record = REPLACE(record, 'Garden', 'Harden') WHERE seq = (SELECT MAX(seq) - 1 FROM log)",
                last - 1,
                "something else than its id stands for",
            ),
            ("DELETE FROM log_nodes WHERE seq = 5", 5, "is not in the log's tree"),
            (
                "DELETE FROM log_nodes WHERE seq = (SELECT MAX(seq) FROM log)",
                last,
                "is not in the log's tree",
            ),
            ("UPDATE log_nodes SET nodes = 'anything' WHERE seq = 4", 4, "another record or time"),
        ] {
            run(&hub, sql).await;
            for repair in [false, true] {
                let found =
                    crate::rebuild(hub.config.clone(), hub.clock.clone(), repair, |_| {}).await.unwrap();
                let trees: Vec<_> =
                    found.told.iter().filter(|one| matches!(one, Difference::Tree { .. })).collect();
                assert_eq!((trees.len(), found.root), (1, None), "{sql}: {found:?}");
                assert!(
                    matches!(trees[0], Difference::Tree { seq: at, .. } if *at == seq),
                    "{sql}: {trees:?}"
                );
                assert!(trees[0].to_string().contains(told), "{sql}: {trees:?}");
            }
            put_back(&hub).await;
            let found = crate::rebuild(hub.config.clone(), hub.clock.clone(), true, |_| {}).await.unwrap();
            assert_eq!(found.root, Some(head.root));
        }
        // It goes on where it was.
        say(&hub, &anna, 6..8).await;
        hub.end().await;
    }
}

const NAME: &str =
    "records::tests::tree::a_hub_that_dies_anywhere_has_an_entry_and_its_place_in_the_tree_or_neither";
/// Between an entry and its nodes, when all is written, and when it is committed.
const POINTS: [&str; 3] = ["hub.log.half:1", "hub.commit.before:1", "hub.commit.after:1"];

#[derive(Serialize, Deserialize)]
struct Plan {
    config: Config,
    record: Value,
}

async fn child(folder: &Path) {
    let plan: Plan = serde_json::from_slice(&std::fs::read(folder.join("plan")).unwrap()).unwrap();
    let clock = Arc::new(StillClock::at(START_MS));
    let hub = Hub::open(plan.config, clock, CancellationToken::new()).await.unwrap();
    submit(&hub, &plan.record).await.unwrap();
}

#[tokio::test]
async fn a_hub_that_dies_anywhere_has_an_entry_and_its_place_in_the_tree_or_neither() {
    if let Some(folder) = death::folder() {
        return child(&folder).await;
    }
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let folder = tempfile::tempdir().unwrap();
        for round in 0..4 {
            let record = anna.record(&hub, "community@1", json!({ "name": format!("Garden {round}") }));
            let plan = Plan { config: hub.config.clone(), record };
            std::fs::write(folder.path().join("plan"), serde_json::to_vec(&plan).unwrap()).unwrap();
            for point in POINTS {
                let before = head_of(&hub).await.0.size;
                assert!(!death::lives(NAME, folder.path(), point).await, "{point}");
                let (head, _) = head_of(&hub).await;
                assert_eq!(head.size, before + u64::from(point == POINTS[2]), "{point}");
                let receipts = rows(&hub).await;
                assert_eq!(u64::try_from(receipts.len()).unwrap(), head.size, "{point}");
                assert_eq!(Some(&head.root), grown(receipts.iter().map(leaf)).1.last(), "{point}");
            }
        }
        hub.end().await;
    }
}

#[test]
fn a_head_is_its_signers_word_and_no_other() {
    let key = DeviceKey::from_seed([7; 32]);
    let (_, roots) = grown(receipts().iter().map(leaf));
    let said = head(&roots, SIZE);
    let signed = said.clone().sign(&key).unwrap();
    let (read, by) = Head::read(&signed).unwrap();
    assert_eq!((read.size, read.root, read.at, by), (said.size, said.root, said.at, key.device()));
    for (name, other) in [
        ("size", json!("41")),
        ("size", json!(40)),
        ("root", json!(B256::ZERO)),
        ("at", json!("2026-11-21T10:00:00.001Z")),
        ("more", json!(1)),
        ("proof", json!(null)),
    ] {
        let mut changed = signed.clone();
        changed[name] = other;
        assert!(Head::read(&changed).is_err(), "{name}");
    }
}

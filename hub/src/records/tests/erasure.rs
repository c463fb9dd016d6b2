//! What is erased: gone from every table and from SQLite's file, and that it was said stays, through replays and deaths.
#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use std::{cell::RefCell, collections::BTreeSet, path::Path, process::Command, sync::Arc};

use proptest::{prelude::*, sample::Index};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::db::Engine;
use sqlx::{AssertSqlSafe, Row as _, any::AnyRow};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::super::{Consistency, Difference, Head, Rebuilt, Receipt, RecordId, erasure, nodes, submit};
use crate::{
    Hub,
    access::Audience,
    config::Config,
    rooms::Room,
    testing::{Person, START_MS, StillClock, TestHub},
};

/// Twice each, so that one of them is whole wherever a page ends.
const TWICE: [&str; 2] = ["older words, older words", "newer words, newer words"];

/// A profile of 2,000 characters that end in these: of 8,000 bytes, so that SQLite has pages for it alone.
fn long(name: &str, last: &str) -> Value {
    let text = format!("{}{last}", "\u{1f331}".repeat(2_000 - last.len()));
    json!({ "name": name, "text": text, "languages": ["en"], "avatar": null })
}

fn short(name: &str, text: &str) -> Value {
    json!({ "name": name, "text": text, "languages": [], "avatar": null })
}

/// A moment later than any before, so that no two are the same record.
fn erasing(hub: &TestHub, who: &Person, record: RecordId) -> Value {
    hub.clock.pass_ms(1);
    who.record_about(hub, "erasure@1", record, json!({}))
}

async fn rebuild(hub: &TestHub, repair: bool) -> Rebuilt {
    crate::rebuild(hub.config.clone(), hub.clock.clone(), repair, |_| {}).await.unwrap()
}

async fn head(hub: &TestHub) -> Head {
    Head::read(&hub.get("/v1/log/head").await.body).unwrap().0
}

async fn status(hub: &TestHub, record: RecordId) -> u16 {
    hub.get(&format!("/v1/records/{record}")).await.status
}

/// The tables that have these words anywhere.
async fn having(hub: &TestHub, words: &str) -> Vec<&'static str> {
    let others = ["log", "log_nodes", "used_nonces", "sessions", "idempotency_keys"];
    let has = |row: &AnyRow| {
        (0..row.len()).any(|column| {
            let value = row.try_get::<Option<String>, _>(column).ok().flatten();
            value.is_some_and(|value| value.contains(words))
        })
    };
    let mut found = Vec::new();
    for table in Room::all_tables().chain(others) {
        let sql = AssertSqlSafe(format!("SELECT * FROM {table}"));
        if sqlx::query(sql).fetch_all(&hub.eyes).await.unwrap().iter().any(has) {
            found.push(table);
        }
    }
    found
}

/// Whether SQLite's file, or the log beside it, has these words anywhere.
async fn is_in_the_file(hub: &TestHub, words: &str) -> bool {
    // What a hub does by itself, where nobody reads at that moment.
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&hub.eyes).await.unwrap();
    let file = hub.config.database.strip_prefix("sqlite:").unwrap().to_owned();
    let bytes = [std::fs::read(&file).unwrap(), std::fs::read(format!("{file}-wal")).unwrap_or_default()];
    bytes.concat().windows(words.len()).any(|some| some == words.as_bytes())
}

#[tokio::test]
async fn a_log_beside_the_file_that_is_read_is_not_taken_for_empty() {
    for hub in TestHub::on_both().await {
        if hub.engine == Engine::Sqlite {
            let beside = Hub::existing(hub.config.clone(), hub.clock.clone()).await.unwrap();
            let mut reads = beside.db.reader().begin().await.unwrap();
            sqlx::query("SELECT seq FROM log").fetch_all(&mut *reads).await.unwrap();
            Person::arrive(&hub, 1).await;
            assert!(!erasure::emptied(&beside).await.unwrap());
            reads.rollback().await.unwrap();
            assert!(erasure::emptied(&beside).await.unwrap());
            beside.db.close().await;
        }
        hub.end().await;
    }
}

#[tokio::test]
async fn what_is_erased_is_gone_and_that_it_was_said_stays() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let path = format!("/v1/accounts/{}", anna.account);
        let older = hub.say(&anna.record(&hub, "profile@1", long("Anna Older", TWICE[0]))).await;
        let said = anna.record(&hub, "profile@1", long("Anna Newer", TWICE[1]));
        let receipt = hub.post("/v1/records", &said).await.body;
        let receipt: Receipt = serde_json::from_value(receipt).unwrap();
        let newer = receipt.id;
        assert_eq!(having(&hub, "older words").await, ["log"]);
        assert_eq!(having(&hub, "newer words").await, ["profiles", "log"]);
        assert_eq!(having(&hub, "Anna Newer").await, ["accounts", "profiles", "log"]);
        if hub.engine == Engine::Sqlite {
            assert!(is_in_the_file(&hub, "older words").await && is_in_the_file(&hub, "newer words").await);
        }
        let view = hub.get(&path).await.body;
        assert_eq!((&view["name"], &view["profile"]["record"]), (&json!("Anna Newer"), &json!(newer)));
        let earlier = head(&hub).await;
        assert_eq!(rebuild(&hub, false).await.differences, 0);

        // One that stands no more, and nothing else changes.
        hub.say(&erasing(&hub, &anna, older)).await;
        assert_eq!(having(&hub, "older words").await, [""; 0]);
        assert_eq!(having(&hub, "Anna Older").await, [""; 0]);
        assert_eq!(hub.get(&path).await.body, view);
        assert_eq!((status(&hub, older).await, status(&hub, newer).await), (410, 200));
        // The one that stands.
        let by = hub.say(&erasing(&hub, &anna, newer)).await;
        assert_eq!(having(&hub, "newer words").await, [""; 0]);
        assert_eq!(having(&hub, "Anna Newer").await, [""; 0]);
        let view = hub.get(&path).await.body;
        assert_eq!((&view["name"], &view["profile"]), (&json!("Somebody"), &json!(null)));
        if hub.engine == Engine::Sqlite {
            assert!(!is_in_the_file(&hub, "older words").await);
            assert!(!is_in_the_file(&hub, "newer words").await);
        }

        // Who, and by what.
        let answer = hub.get(&format!("/v1/records/{newer}")).await;
        assert_eq!((answer.refusal().0, answer.refusal().2), (410, "erased"));
        let told = answer.body["detail"].as_str().unwrap();
        assert!([newer, anna.account, by].iter().all(|id| told.contains(&id.to_string())), "{told}");
        // All but the body is there as it was, at its place in the same log.
        let kept: String = sqlx::query_scalar("SELECT record FROM log WHERE id = $1")
            .bind(newer.to_string())
            .fetch_one(&hub.eyes)
            .await
            .unwrap();
        let mut left = said.clone();
        left["body"] = Value::Null;
        assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), left);
        let later = head(&hub).await;
        let proof = format!("/v1/log/consistency?from={}&to={}", earlier.size, later.size);
        let proof: Consistency = serde_json::from_value(hub.get(&proof).await.body).unwrap();
        assert!(later.continues(&earlier, &proof.path));
        let mut on = hub.eyes.acquire().await.unwrap();
        let paths = nodes::inclusion(&mut on, &[receipt.seq], later.size).await.unwrap();
        drop(on);
        assert!(later.has(&receipt, &paths[0]));
        // Said once more it is what it was: there already, and erased.
        let again = hub.post("/v1/records", &said).await;
        assert_eq!((again.status, again.body), (200, json!(receipt)));
        assert_eq!(having(&hub, "newer words").await, [""; 0]);
        let account = ("account".to_owned(), json!({ "account": anna.account }));
        assert!(hub.happened().await.ends_with(&[account.clone(), account]));
        for repair in [false, true] {
            let found = rebuild(&hub, repair).await;
            assert_eq!((found.differences, found.root), (0, Some(later.root)), "{found:?}");
        }
        // The account goes on.
        hub.say(&anna.record(&hub, "profile@1", short("Anna", "I weed."))).await;
        assert_eq!(hub.get(&path).await.body["name"], "Anna");
        hub.end().await;
    }
}

#[tokio::test]
async fn nobody_erases_what_is_anothers_or_what_others_rely_on() {
    for hub in TestHub::on_both().await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let profile = hub.say(&anna.record(&hub, "profile@1", short("Anna", "I weed."))).await;
        let community = hub.say(&anna.record(&hub, "community@1", json!({ "name": "Gardens" }))).await;
        let unknown = "zQmQYMe2qvdf3NhsTQcqeozqv57FsBQXTMjsy5TXnBMkJPr".parse().unwrap();
        let narrow = anna.draft(&hub, "erasure@1", json!({})).about(profile);
        let narrow = narrow.only_for(vec![Audience::Account(anna.account)]).sign(&anna.device).unwrap();
        let named = json!({ "record": profile });
        for (record, status, step, rule, field) in [
            (erasing(&hub, &ben, profile), 403, "access", "not_the_author", "/about"),
            (erasing(&hub, &anna, unknown), 403, "access", "not_the_author", "/about"),
            (erasing(&hub, &anna, community), 422, "rule", "not_erasable", "/about"),
            (erasing(&hub, &anna, anna.account), 422, "rule", "not_erasable", "/about"),
            (narrow, 422, "schema", "audience", "/audience"),
            (anna.record(&hub, "erasure@1", json!({})), 422, "schema", "about", "/about"),
            (anna.record_about(&hub, "erasure@1", profile, named), 422, "schema", "body", "/body/record"),
        ] {
            let refusal = hub.refuses(&record).await;
            let told = (refusal.0, refusal.1.as_str(), refusal.2.as_str(), refusal.3.as_str());
            assert_eq!(told, (status, step, rule, field), "{record}");
        }
        assert_eq!(hub.get(&format!("/v1/records/{profile}")).await.body["body"]["text"], "I weed.");
        let erasure = erasing(&hub, &anna, profile);
        let by = hub.say(&erasure).await;
        assert_eq!(hub.post("/v1/records", &erasure).await.status, 200);
        let twice = hub.refuses(&erasing(&hub, &anna, profile)).await;
        assert_eq!((twice.0, twice.2.as_str(), twice.3.as_str()), (409, "erased", "/about"));
        assert_eq!(hub.refuses(&erasing(&hub, &anna, by)).await.2, "not_erasable");
        hub.end().await;
    }
}

/// The types of a table of docs/architecture.md: whether each may be erased.
#[test]
fn every_type_is_told_of_and_one_may_be_erased() {
    let page = include_str!("../../../../docs/architecture.md");
    let section = page.split("\n### Erasure\n").nth(1).unwrap().split("\n### ").next().unwrap();
    let mut told = BTreeSet::new();
    for row in section.lines().filter_map(|line| line.strip_prefix("| ")) {
        let mut cells = row.split(" | ");
        let (kinds, may) = (cells.next().unwrap(), cells.next().unwrap());
        for kind in kinds.split(", ").filter(|kind| kind.ends_with("@1")) {
            assert_eq!(may == "yes", Room::is_erasable(kind), "{kind}");
            assert!(told.insert(kind), "{kind} is there twice");
        }
    }
    assert_eq!(told, Room::KINDS.iter().map(|(kind, _)| *kind).collect::<BTreeSet<_>>());
}

/// A body goes by an `erasure@1` alone, and by one it goes: everything else is damage, which is found and not mended.
#[tokio::test]
async fn a_body_that_went_without_a_word_is_found_and_so_is_one_that_came_back() {
    const GOES: &str = r#"UPDATE log SET record = REPLACE(record, '{"avatar":null,"languages":[],"name":"Anna","text":"I weed."}', 'null')
        WHERE kind = 'profile@1'"#;
    const COMES: &str = r#"UPDATE log SET record = REPLACE(record, '"body":null', '"body":{"avatar":null,"languages":[],"name":"Anna","text":"I weed."}')
        WHERE kind = 'profile@1'"#;
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let profile = hub.say(&anna.record(&hub, "profile@1", short("Anna", "I weed."))).await;
        let whole = rebuild(&hub, false).await;
        assert_eq!(whole.differences, 0);
        let tree = async |told: &str| {
            let found = rebuild(&hub, false).await;
            let trees: Vec<_> =
                found.told.iter().filter(|one| matches!(one, Difference::Tree { .. })).collect();
            assert_eq!((trees.len(), found.root), (1, None), "{found:?}");
            assert!(trees[0].to_string().contains(told), "{found:?}");
        };
        // The database lets nobody do either.
        let refused = async || {
            for sql in [GOES, COMES, "UPDATE log SET record = '{}' WHERE kind = 'profile@1'"] {
                let done = sqlx::query(sql).execute(&hub.eyes).await;
                if let Err(error) = done {
                    assert!(error.to_string().contains("log is append-only"), "{sql}: {error}");
                }
            }
        };
        refused().await;
        assert_eq!(rebuild(&hub, false).await, whole);
        hub.harm(GOES).await;
        tree("has no body, and nothing in the log erases it").await;
        assert_eq!(status(&hub, profile).await, 500);
        hub.harm(COMES).await;
        assert_eq!((rebuild(&hub, false).await, status(&hub, profile).await), (whole, 200));

        hub.say(&erasing(&hub, &anna, profile)).await;
        let whole = rebuild(&hub, false).await;
        assert_eq!(whole.differences, 0);
        refused().await;
        assert_eq!(rebuild(&hub, false).await, whole);
        hub.harm(COMES).await;
        tree("erases a record that has its body all the same").await;
        hub.harm(GOES).await;
        assert_eq!(rebuild(&hub, false).await, whole);
        hub.end().await;
    }
}

/// What was said, in its order.
#[derive(Default)]
struct History {
    /// Each with whether it is erased.
    said: Vec<(RecordId, bool)>,
    /// Which one stands.
    stands: Option<usize>,
}

#[test]
fn random_histories_of_profiles_and_erasures_go_as_a_list_of_them_does() {
    let runtime = Runtime::new().unwrap();
    for hub in runtime.block_on(TestHub::on_both()) {
        let anna = runtime.block_on(Person::arrive(&hub, 1));
        let history = RefCell::new(History::default());
        proptest!(|(erases in proptest::bool::weighted(0.4), at in any::<Index>())| {
            let mut history = history.borrow_mut();
            if erases && !history.said.is_empty() {
                let nth = at.index(history.said.len());
                let (record, erased) = history.said[nth];
                let answer = runtime.block_on(hub.post("/v1/records", &erasing(&hub, &anna, record)));
                prop_assert_eq!(answer.status, if erased { 409 } else { 201 });
                history.said[nth].1 = true;
                history.stands = history.stands.filter(|stands| *stands != nth);
            } else {
                let nth = history.said.len();
                let body = short(&format!("Anna {nth}."), &format!("words {nth}."));
                let record = runtime.block_on(hub.say(&anna.record(&hub, "profile@1", body)));
                history.said.push((record, false));
                history.stands = Some(nth);
            }
            let view = runtime.block_on(hub.get(&format!("/v1/accounts/{}", anna.account))).body;
            let (name, text) = match history.stands {
                Some(nth) => (format!("Anna {nth}."), json!(format!("words {nth}."))),
                None => ("Somebody".to_owned(), Value::Null),
            };
            let shown = (view["name"].clone(), view["profile"]["text"].clone());
            prop_assert_eq!(shown, (json!(name), text));
            let (record, erased) = history.said[at.index(history.said.len())];
            prop_assert_eq!(runtime.block_on(status(&hub, record)), if erased { 410 } else { 200 });
        });
        let history = history.into_inner();
        let erased = history.said.iter().enumerate().filter(|(_, (_, erased))| *erased);
        for (nth, _) in erased.take(10) {
            assert_eq!(runtime.block_on(having(&hub, &format!("words {nth}."))), [""; 0]);
        }
        runtime.block_on(hub.end());
    }
}

/// Names the folder with the plan of the hub that dies.
const CHILD: &str = "EARNEST_TEST_ERASURE_CHILD";
const NAME: &str = "records::tests::erasure::a_hub_that_dies_has_erased_all_of_it_or_nothing";
/// When the erasure is entered, when the tables are without the body and the log has it, when all is written, and when it is committed.
const POINTS: [&str; 5] = [
    "hub.log.half:1",
    "hub.erasure.half:1",
    "hub.erasure@1.before:1",
    "hub.commit.before:1",
    "hub.commit.after:1",
];

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
async fn a_hub_that_dies_has_erased_all_of_it_or_nothing() {
    if let Some(folder) = std::env::var_os(CHILD) {
        return child(Path::new(&folder)).await;
    }
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let profile = hub.say(&anna.record(&hub, "profile@1", short("Anna", "I weed."))).await;
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan { config: hub.config.clone(), record: erasing(&hub, &anna, profile) };
        std::fs::write(folder.path().join("plan"), serde_json::to_vec(&plan).unwrap()).unwrap();
        for point in POINTS {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", NAME, "--nocapture"]).env(CHILD, folder.path());
            command.env("EARNEST_ABORT_AT", point);
            let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && told.contains("aborting at"), "{point}: {told}");
            let done = point == "hub.commit.after:1";
            let places: &[&str] = if done { &[] } else { &["profiles", "log"] };
            assert_eq!(having(&hub, "I weed.").await, places, "{point}");
            assert_eq!(status(&hub, profile).await, if done { 410 } else { 200 }, "{point}");
            assert_eq!(rebuild(&hub, false).await.differences, 0, "{point}");
        }
        hub.end().await;
    }
}

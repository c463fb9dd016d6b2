//! A hub that dies, again and again, at every boundary of every posting. This test starts itself as another process, the
//! hub that dies.

use std::{path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{Row as _, any::AnyRow};
use tokio_util::sync::CancellationToken;

use super::records::{about, between, hold, stands, transfer};
use crate::{
    Hub,
    config::Config,
    records::submit,
    scheduler::{List, look},
    testing::{Person, START_MS, StillClock, TestHub, death},
    windows::Windows,
};

const NAME: &str = "ledger::tests::crash::a_hub_that_dies_anywhere_has_posted_all_of_a_record_or_nothing";
/// In the middle of a posting (entries and accounts are written, holds are not), when all is written, and when it is committed.
const POINTS: [&str; 3] = ["hub.ledger.half:1", "hub.commit.before:1", "hub.commit.after:1"];

#[derive(Serialize, Deserialize)]
struct Plan {
    config: Config,
    records: Vec<Value>,
}

/// Hands in every record, then lets an hour pass.
async fn child(folder: &Path) {
    let plan: Plan = serde_json::from_slice(&std::fs::read(folder.join("plan")).unwrap()).unwrap();
    let clock = Arc::new(StillClock::at(START_MS));
    let mut hub = Hub::open(plan.config, clock.clone(), CancellationToken::new()).await.unwrap();
    hub.windows = Windows::new(clock.clone(), clock.passing());
    for record in &plan.records {
        submit(&hub, record).await.unwrap();
    }
    clock.pass_ms(3_600_000);
    look(&hub, List::Holds, &mut Default::default(), 100).await.unwrap();
    hub.db.close().await;
}

/// What the outbox has to have of the records that post, each once.
async fn to_tell(hub: &TestHub) -> Vec<(String, Value)> {
    let posting = sqlx::query(
        "SELECT id, kind FROM log WHERE kind IN ('transfer@1', 'hold@1', 'capture@1', 'release@1', 'expiry@1')
         ORDER BY seq",
    );
    let rows = posting.fetch_all(&hub.eyes).await.unwrap();
    let tell = |row: &AnyRow| {
        let (id, kind): (String, String) = (row.get("id"), row.get("kind"));
        ("ledger".to_owned(), json!({ "record": id, "type": kind }))
    };
    rows.iter().map(tell).collect()
}

#[tokio::test]
async fn a_hub_that_dies_anywhere_has_posted_all_of_a_record_or_nothing() {
    if let Some(folder) = death::folder() {
        return child(&folder).await;
    }
    for hub in TestHub::on_both_with(|config| config.time_credit_limit = 2_000).await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let eleven = "2026-11-21T11:00:00Z";
        let mut records = vec![between(&hub, &anna, &ben, "transfer@1", transfer(&ben, "100"))];
        for amount in ["300", "301", "302"] {
            records.push(between(&hub, &anna, &ben, "hold@1", hold(&ben, amount, eleven)));
        }
        let id = |nth: usize| records[nth]["id"].as_str().unwrap().parse().unwrap();
        let captured = about(&hub, &anna, &ben, "capture@1", id(1), json!({ "amount": "200" }));
        let released = about(&hub, &ben, &anna, "release@1", id(2), json!({}));
        records.extend([captured, released]);
        let folder = tempfile::tempdir().unwrap();
        // The six, and the expiry of the third hold.
        let all = i64::try_from(records.len()).unwrap() + 1;
        let plan = Plan { config: hub.config.clone(), records };
        std::fs::write(folder.path().join("plan"), serde_json::to_vec(&plan).unwrap()).unwrap();

        let count =
            async |sql: &'static str| -> i64 { sqlx::query_scalar(sql).fetch_one(&hub.eyes).await.unwrap() };
        let before = hub.happened().await.len();
        for done in 0..all {
            for point in POINTS {
                assert!(!death::lives(NAME, folder.path(), point).await, "{point} after {done}");
                let said = count(
                    "SELECT CAST(COUNT(*) AS BIGINT) FROM log WHERE kind IN
                         ('transfer@1', 'hold@1', 'capture@1', 'release@1', 'expiry@1')",
                )
                .await;
                let posted = count("SELECT CAST(COUNT(*) AS BIGINT) FROM ledger_operations").await;
                let committed = done + i64::from(point == POINTS[2]);
                assert_eq!((said, posted), (committed, committed), "{point}");
                let told = hub.happened().await.split_off(before);
                assert_eq!(told, to_tell(&hub).await, "{point} after {done}");
                let found = crate::verify_ledger(&hub.config).await.unwrap();
                assert_eq!(found.faults, 0, "{point} after {done}: {found:?}");
            }
        }
        // Nothing is left to do, so there is nothing to die at.
        assert!(death::lives(NAME, folder.path(), POINTS[0]).await);
        let (a, b) = (anna.sign_in(&hub).await, ben.sign_in(&hub).await);
        assert_eq!(stands(&hub, &a).await, ["-300", "-300", "0", "0"]);
        assert_eq!(stands(&hub, &b).await, ["300", "300", "0", "0"]);
        let states: Vec<String> = sqlx::query_scalar("SELECT state FROM ledger_holds ORDER BY amount")
            .fetch_all(&hub.eyes)
            .await
            .unwrap();
        assert_eq!(states, ["captured", "released", "expired"]);
        hub.end().await;
    }
}

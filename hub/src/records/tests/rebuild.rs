//! Replays beside a hub that runs, repairs, and a repair that dies.

use std::{path::Path, sync::Arc};

use serde_json::json;

use crate::{
    config::Config,
    records::{Difference, Progress, Rebuilt},
    testing::{Person, START_MS, StillClock, TestHub, death, message, signed},
};

async fn rebuild(hub: &TestHub, repair: bool) -> Rebuilt {
    crate::rebuild(hub.config.clone(), hub.clock.clone(), repair, |_| {}).await.unwrap()
}

async fn run(hub: &TestHub, sql: &'static str) {
    sqlx::query(sql).execute(&hub.eyes).await.unwrap();
}

#[tokio::test]
async fn a_table_that_is_not_what_the_log_says_is_found_and_repaired() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let id = hub.say(&anna.record(&hub, "community@1", json!({ "name": "Gardens" }))).await;
        let whole = rebuild(&hub, true).await;
        assert_eq!((whole.differences, whole.repaired), (0, false));
        run(&hub, "UPDATE communities SET name = 'Weeds'").await;
        run(&hub, "DELETE FROM devices").await;

        let mut told = Vec::new();
        let found = crate::rebuild(hub.config.clone(), hub.clock.clone(), false, |done| told.push(done));
        let found = found.await.unwrap();
        let entries = found.records;
        assert!(told.contains(&Progress::Replayed { done: entries, total: entries }), "{told:?}");
        assert!(told.contains(&Progress::Compared { done: found.tables, total: found.tables }), "{told:?}");
        // The hub's device and the person's, and the community before and after.
        assert_eq!((found.differences, found.told.len(), found.repaired), (4, 4, false));
        assert!(found.told.iter().any(|one| matches!(
            one,
            Difference::Kept { table: "communities", row } if row.contains("name = Weeds")
        )));
        assert!(found.told.iter().any(|one| matches!(
            one,
            Difference::Replayed { table: "communities", row } if row.contains("name = Gardens")
        )));
        let devices =
            found.told.iter().filter(|one| matches!(one, Difference::Replayed { table: "devices", .. }));
        assert_eq!(devices.count(), 2);
        // A look changes nothing.
        assert_eq!(hub.get(&format!("/v1/communities/{id}")).await.body["name"], "Weeds");

        let repaired = rebuild(&hub, true).await;
        assert_eq!((repaired.differences, repaired.repaired, &repaired.told), (4, true, &found.told));
        assert_eq!(hub.get(&format!("/v1/communities/{id}")).await.body["name"], "Gardens");
        assert_eq!(rebuild(&hub, false).await, whole);
        // The repaired tables are those that the hub goes on with.
        hub.say(&anna.record(&hub, "community@1", json!({ "name": "More gardens" }))).await;
        hub.end().await;
    }
}

/// Sessions are no projection: a replay of the moment at which a device lost its word ends none that was opened since.
#[tokio::test]
async fn a_replay_and_a_repair_leave_sessions_alone() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        hub.say(&anna.record(&hub, "community@1", json!({ "name": "Gardens" }))).await;
        let device = anna.device.device();
        hub.say(&anna.record(&hub, "device@1", json!({ "revoke": { "device": device, "by": null } }))).await;
        let text = message(&hub, anna.wallet.address(), &anna.device).await.to_string();
        let add = json!({ "message": text, "signature": signed(&anna.wallet, &text) });
        hub.say(&anna.record(&hub, "device@1", json!({ "add": add }))).await;
        let token = anna.sign_in(&hub).await;
        let before = hub.rows().await;
        assert_eq!(rebuild(&hub, false).await.differences, 0);
        assert_eq!(
            (hub.rows().await, hub.get_as(&token, "/v1/recovery").await.status),
            (before.clone(), 200)
        );
        run(&hub, "UPDATE communities SET name = 'Weeds'").await;
        assert!(rebuild(&hub, true).await.repaired);
        assert_eq!((hub.rows().await, hub.get_as(&token, "/v1/recovery").await.status), (before, 200));
        // The repaired hub goes on with the real tables.
        let other = anna.sign_in(&hub).await;
        assert_eq!(hub.get_as(&other, "/v1/recovery").await.status, 200);
        hub.end().await;
    }
}

#[tokio::test]
async fn a_look_sees_one_state_of_a_hub_that_goes_on() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let speaks = async {
            for number in 0..40 {
                hub.say(&anna.record(&hub, "community@1", json!({ "name": format!("Garden {number}") })))
                    .await;
            }
        };
        let looks = async {
            let mut most = 0;
            while most < 20 {
                let found = rebuild(&hub, false).await;
                assert_eq!((found.differences, &found.told), (0, &Vec::new()));
                most = found.records;
            }
        };
        tokio::join!(speaks, looks);
        hub.end().await;
    }
}

#[tokio::test]
async fn an_entry_that_a_replay_refuses_is_named() {
    for hub in TestHub::on_both_with(|config| config.time_credit_limit = 100).await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let body = json!({ "asset": "time_credit", "to": ben.account, "amount": "5", "note": "" });
        hub.say(&anna.record(&hub, "transfer@1", body)).await;
        hub.unlock().await;
        run(&hub, "CREATE TABLE kept AS SELECT * FROM log WHERE kind = 'asset@1'").await;
        run(&hub, "DELETE FROM log WHERE kind = 'asset@1'").await;
        for repair in [false, true] {
            let found = rebuild(&hub, repair).await;
            // The log's tree tells, too, that something is gone.
            assert_eq!((found.differences, found.repaired), (2, false));
            assert!(matches!(found.told[0], Difference::Tree { .. }), "{found:?}");
            let told = found.told[1].to_string();
            assert!(told.contains("a transfer@1, is refused") && told.contains("unknown_asset"), "{told}");
        }
        run(&hub, "INSERT INTO log SELECT * FROM kept").await;
        hub.end().await;
    }
}

const NAME: &str = "records::tests::rebuild::a_repair_that_dies_anywhere_has_done_all_of_it_or_nothing";
const POINTS: [&str; 6] = [
    "hub.rebuild.raised:1",
    "hub.rebuild.page:1",
    "hub.rebuild.compared:1",
    "hub.rebuild.kept:1",
    "hub.commit.before:1",
    "hub.commit.after:1",
];

async fn child(folder: &Path) {
    let config: Config = serde_json::from_slice(&std::fs::read(folder.join("config")).unwrap()).unwrap();
    let clock = Arc::new(StillClock::at(START_MS));
    crate::rebuild(config, clock, true, |_| {}).await.unwrap();
}

#[tokio::test]
async fn a_repair_that_dies_anywhere_has_done_all_of_it_or_nothing() {
    if let Some(folder) = death::folder() {
        return child(&folder).await;
    }
    for hub in TestHub::on_both_with(|config| config.time_credit_limit = 100).await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let id = hub.say(&anna.record(&hub, "community@1", json!({ "name": "Gardens" }))).await;
        let body = json!({ "asset": "time_credit", "to": ben.account, "amount": "5", "note": "" });
        hub.say(&anna.record(&hub, "transfer@1", body)).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config"), serde_json::to_vec(&hub.config).unwrap()).unwrap();
        for point in POINTS {
            run(&hub, "UPDATE communities SET name = 'Weeds'").await;
            run(&hub, "UPDATE accounts SET name = 'Nobody'").await;
            hub.harm("UPDATE ledger_entries SET at = at + 1").await;
            assert!(!death::lives(NAME, folder.path(), point).await, "{point}");
            let committed = point == "hub.commit.after:1";
            let found = rebuild(&hub, false).await;
            // A name before and after, of the hub's account, two persons' and the community; and two entries of the ledger.
            assert_eq!(found.differences, if committed { 0 } else { 12 }, "{point}: {found:?}");
            // What the repair went past stands, wherever it died.
            let taken = sqlx::query("DELETE FROM ledger_entries").execute(&hub.eyes).await.unwrap_err();
            assert!(taken.to_string().contains("ledger_entries is append-only"), "{point}: {taken}");
            let name = if committed { "Gardens" } else { "Weeds" };
            assert_eq!(hub.get(&format!("/v1/communities/{id}")).await.body["name"], name, "{point}");
        }
        hub.end().await;
    }
}

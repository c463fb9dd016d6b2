//! The log, its tree and the ledger's entries: the database itself refuses to change what was entered.

use serde_json::json;
use service::db::Engine;
use sqlx::AssertSqlSafe;

use crate::{
    records::Rebuilt,
    testing::{Person, TestHub},
};

async fn with_a_payment() -> Vec<TestHub> {
    let hubs = TestHub::on_both_with(|config| config.time_credit_limit = 100).await;
    for hub in &hubs {
        let (anna, ben) = (Person::arrive(hub, 1).await, Person::arrive(hub, 2).await);
        let body = json!({ "asset": "time_credit", "to": ben.account, "amount": "5", "note": "" });
        hub.say(&anna.record(hub, "transfer@1", body)).await;
    }
    hubs
}

async fn rebuild(hub: &TestHub, repair: bool) -> Rebuilt {
    crate::rebuild(hub.config.clone(), hub.clock.clone(), repair, |_| {}).await.unwrap()
}

/// Sees that nothing that was entered can be changed or taken away.
async fn all_are_refused(hub: &TestHub) {
    let before = hub.rows().await;
    for (table, column) in [("log", "received_at"), ("log_nodes", "nodes"), ("ledger_entries", "amount")] {
        let some = format!("WHERE {column} = (SELECT MAX({column}) FROM {table})");
        let mut refused = vec![
            format!("UPDATE {table} SET {column} = {column}"),
            format!("UPDATE {table} SET {column} = (SELECT MIN({column}) FROM {table}) {some}"),
            format!("DELETE FROM {table}"),
            format!("DELETE FROM {table} {some}"),
        ];
        if hub.engine == Engine::Postgres {
            refused.push(format!("TRUNCATE {table}"));
        }
        for sql in refused {
            let error = sqlx::query(AssertSqlSafe(sql.clone())).execute(&hub.eyes).await.unwrap_err();
            assert!(error.to_string().contains(&format!("{table} is append-only")), "{sql}: {error}");
        }
    }
    assert_eq!(hub.rows().await, before);
}

#[tokio::test]
async fn the_database_refuses_to_change_or_take_away_what_was_entered() {
    for hub in with_a_payment().await {
        all_are_refused(&hub).await;
        hub.end().await;
    }
}

/// Entries that somebody changed all the same are put right, and are closed again from then on.
#[tokio::test]
async fn a_repair_goes_past_that_for_its_own_transaction_alone() {
    for hub in with_a_payment().await {
        let whole = rebuild(&hub, false).await;
        hub.harm("UPDATE ledger_entries SET at = at + 1").await;
        // Two entries before and after. A look opens nothing.
        assert_eq!(rebuild(&hub, false).await.differences, 4);
        all_are_refused(&hub).await;
        let repaired = rebuild(&hub, true).await;
        assert_eq!((repaired.differences, repaired.repaired), (4, true), "{repaired:?}");
        assert_eq!(rebuild(&hub, false).await, whole);
        all_are_refused(&hub).await;
        hub.end().await;
    }
}

//! Holds whose time is over: who says so, and what a clock that steps back changes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::records::{about, between, hold};
use crate::{
    Hub,
    error::Error,
    records::{Record, submit},
    scheduler::{List, look},
    testing::{Person, START_MS, StillClock, TestHub},
    windows::Windows,
};

const HOUR: i64 = 60 * 60 * 1000;

/// Another process on the hub's database, whose clock is its own.
async fn beside(hub: &TestHub, ms: i64) -> (Hub, Arc<StillClock>) {
    let clock = Arc::new(StillClock::at(START_MS + ms));
    let mut beside = Hub::existing(hub.config.clone(), clock.clone()).await.unwrap();
    beside.windows = Windows::new(clock.clone(), clock.passing());
    (beside, clock)
}

async fn expired(hub: &TestHub) -> i64 {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM ledger_holds WHERE state = 'expired'";
    sqlx::query_scalar(sql).fetch_one(&hub.eyes).await.unwrap()
}

#[tokio::test]
async fn a_hold_that_cannot_be_ended_keeps_no_other_waiting_and_each_end_is_said_once() {
    for hub in TestHub::on_both_with(|config| config.time_credit_limit = 1_000).await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let half = "2026-11-21T10:30:00Z";
        for amount in ["1", "2", "3"] {
            hub.say(&between(&hub, &anna, &ben, "hold@1", hold(&ben, amount, half))).await;
        }
        let spoil = |from: &str, to: &str| {
            let first = "SELECT MIN(id) FROM ledger_holds";
            let sql = format!(
                "UPDATE ledger_holds SET purpose = '{to}' WHERE purpose = '{from}' AND id = ({first})"
            );
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&hub.eyes)
        };
        spoil("exchange", "?").await.unwrap();
        let ((one, _), (two, _)) = (beside(&hub, HOUR).await, beside(&hub, HOUR + 7).await);
        let mut passed = Default::default();
        for ended in [0, 1, 2] {
            look(&one, List::Holds, &mut passed, 1).await.unwrap();
            assert_eq!(expired(&hub).await, ended);
        }
        spoil("?", "exchange").await.unwrap();
        let (mut of_one, mut of_two) = Default::default();
        let (first, second) = tokio::join!(
            look(&one, List::Holds, &mut of_one, 100),
            look(&two, List::Holds, &mut of_two, 100)
        );
        first.and(second).unwrap();
        assert_eq!(expired(&hub).await, 3);
        let said: Vec<String> = sqlx::query_scalar("SELECT record FROM log WHERE kind = 'expiry@1'")
            .fetch_all(&hub.eyes)
            .await
            .unwrap();
        // Whoever says it says the same: it is dated when the hold expired.
        let dates: Vec<String> = said
            .iter()
            .map(|record| serde_json::from_str::<Record>(record).unwrap().created.to_string())
            .collect();
        assert_eq!(dates, [half; 3]);
        hub.end().await;
    }
}

#[tokio::test]
async fn a_clock_that_steps_back_opens_no_hold_again() {
    for hub in TestHub::on_both_with(|config| config.time_credit_limit = 1_000).await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let half = "2026-11-21T10:30:00Z";
        let set = hub.say(&between(&hub, &anna, &ben, "hold@1", hold(&ben, "5", half))).await;
        let capture = about(&hub, &anna, &ben, "capture@1", set, json!({ "amount": "5" }));
        let release = about(&hub, &ben, &anna, "release@1", set, json!({}));
        let (beside, clock) = beside(&hub, HOUR / 2).await;
        let rule = async |record: &Value| match submit(&beside, record).await {
            Err(Error::Refused(refusal)) => refusal.rule,
            other => panic!("{other:?}"),
        };
        // Something is taken when the hold is over, and nobody has said yet that it is.
        submit(&beside, &anna.record(&hub, "community@1", json!({ "name": "Gardens" }))).await.unwrap();
        assert_eq!(rule(&capture).await, "hold_over");
        clock.pass_ms(-60_000);
        assert_eq!((rule(&capture).await, rule(&release).await), ("hold_over", "hold_over"));
        // What is dated after the clock is not what the clock's step back is about.
        clock.pass_ms(-10 * 60_000);
        submit(&beside, &capture).await.unwrap();
        hub.end().await;
    }
}

//! Grievances whose time is over, on both engines.

use std::sync::Arc;

use super::*;
use crate::{
    Hub,
    scheduler::{List, look},
    testing::StillClock,
    windows::Windows,
};

#[tokio::test]
async fn a_grievance_that_cannot_go_on_keeps_no_other_waiting() {
    for (hub, people, community) in grounds(3, &[]).await {
        let [_, payer, payee] = &people[..] else { panic!() };
        for _ in 0..3 {
            let transfer = pay(&hub, payer, payee, "1").await;
            file(&hub, payer, community, complaint("trade", "statement", transfer, payee)).await;
        }
        let run = async |sql: &'static str| sqlx::query(sql).execute(&hub.eyes).await.unwrap();
        run("UPDATE grievances SET accepted = '?' WHERE seq = (SELECT MIN(seq) FROM grievances)").await;
        // Another process on the hub's database, whose clock is ahead.
        let clock = Arc::new(StillClock::at(hub.now() + 30 * 86_400_000));
        let mut beside = Hub::existing(hub.config.clone(), clock.clone()).await.unwrap();
        beside.windows = Windows::new(clock.clone(), clock.passing());
        let escalated = async || -> i64 {
            let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM grievances WHERE state = 'escalated'";
            sqlx::query_scalar(sql).fetch_one(&hub.eyes).await.unwrap()
        };
        let mut passed = Default::default();
        for went_on in [0, 1, 2, 2] {
            look(&beside, List::Grievances, &mut passed, 1).await.unwrap();
            assert_eq!(escalated().await, went_on);
        }
        // All have had their turn, and it is tried again.
        run("UPDATE grievances SET accepted = NULL WHERE accepted = '?'").await;
        look(&beside, List::Grievances, &mut passed, 1).await.unwrap();
        assert_eq!(escalated().await, 3);
        hub.end().await;
    }
}

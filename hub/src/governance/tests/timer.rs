//! Proposals whose window is over, on both engines.

use std::sync::Arc;

use super::*;
use crate::{
    Hub,
    scheduler::{List, look},
    testing::StillClock,
    windows::Windows,
};

#[tokio::test]
async fn a_tally_that_cannot_be_said_keeps_no_other_waiting() {
    for hub in TestHub::on_both().await {
        let (people, community) = community(&hub, 2).await;
        for _ in 0..3 {
            propose(&hub, &people[0], community, asked(&hub, json!("text"))).await;
        }
        let run = async |sql: &'static str| sqlx::query(sql).execute(&hub.eyes).await.unwrap();
        run("UPDATE proposals SET unexecuted = audience").await;
        run("UPDATE proposals SET audience = '?' WHERE seq = (SELECT MIN(seq) FROM proposals)").await;
        // Another process on the hub's database, whose clock is ahead.
        let clock = Arc::new(StillClock::at(hub.now() + 2 * WINDOW_MS));
        let mut beside = Hub::existing(hub.config.clone(), clock.clone()).await.unwrap();
        beside.windows = Windows::new(clock.clone(), clock.passing());
        let decided = async || -> i64 {
            let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM proposals WHERE state <> 'open'";
            sqlx::query_scalar(sql).fetch_one(&hub.eyes).await.unwrap()
        };
        let mut passed = Default::default();
        for said in [0, 1, 2, 2] {
            look(&beside, List::Proposals, &mut passed, 1).await.unwrap();
            assert_eq!(decided().await, said);
        }
        // All have had their turn, and it is tried again.
        run("UPDATE proposals SET audience = unexecuted, unexecuted = NULL WHERE audience = '?'").await;
        look(&beside, List::Proposals, &mut passed, 1).await.unwrap();
        assert_eq!(decided().await, 3);
        hub.end().await;
    }
}

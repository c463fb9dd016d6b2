//! Whose turn it is, on both engines.

use super::{List, Passed, look};
use crate::{Hub, testing::TestHub};

#[tokio::test]
async fn what_cannot_be_said_keeps_no_other_waiting() {
    for hub in TestHub::on_both().await {
        let run = async |sql: &'static str| sqlx::query(sql).execute(&hub.eyes).await.unwrap();
        run("INSERT INTO due (deal, what, instance, jury, at)
             VALUES ('b', 'conclude', 0, 1, 5), ('a', 'conclude', 0, 1, 7), ('a', 'conclude', 0, 0, 7)")
        .await;
        run("INSERT INTO time_outs (deal, time_out, at) VALUES ('b', 'lapse', 5), ('a', 'claim', 7)").await;
        // Another process on the hub's database.
        let beside = Hub::existing(hub.config.clone(), hub.clock.clone()).await.unwrap();
        let turns = async |list: List, keys: &[(i64, &str)]| {
            let mut passed = Passed::default();
            for (at, key) in keys {
                look(&beside, list, &mut passed, 1).await.unwrap();
                assert_eq!(passed, (*at, (*key).to_owned()));
            }
        };
        // At the end it is the first one's turn again.
        let moments = [(5, "b conclude 0 1"), (7, "a conclude 0 0"), (7, "a conclude 0 1"), (0, "")];
        turns(List::Moments, &moments).await;
        turns(List::TimeOuts, &[(5, "b lapse"), (7, "a claim"), (0, ""), (5, "b lapse")]).await;
        run("DELETE FROM due").await;
        run("DELETE FROM time_outs").await;
        beside.db.close().await;
        hub.end().await;
    }
}

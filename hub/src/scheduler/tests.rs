//! Whose turn it is, on both engines.

use std::time::Duration;

use super::{List, Passed, look, turn};
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

#[tokio::test]
async fn a_turn_ends_when_its_time_is_over_or_the_hub_stops_and_the_next_goes_on_from_there() {
    for hub in TestHub::on_both().await {
        let run = async |sql: &'static str| sqlx::query(sql).execute(&hub.eyes).await.unwrap();
        run("INSERT INTO time_outs (deal, time_out, at) VALUES ('a', 'lapse', 5), ('b', 'claim', 7), ('c', 'claim', 9)").await;
        // Another process on the hub's database.
        let beside = Hub::existing(hub.config.clone(), hub.clock.clone()).await.unwrap();
        let mut passed = Passed::default();
        for key in [(5, "a lapse"), (7, "b claim"), (9, "c claim"), (0, "")] {
            turn(&beside, List::TimeOuts, &mut passed, 100, Duration::ZERO).await.unwrap();
            assert_eq!(passed, (key.0, key.1.to_owned()));
        }
        turn(&beside, List::TimeOuts, &mut passed, 100, Duration::ZERO).await.unwrap();
        beside.stop.cancel();
        turn(&beside, List::TimeOuts, &mut passed, 100, Duration::MAX).await.unwrap();
        assert_eq!(passed, (5, "a lapse".to_owned()));
        run("DELETE FROM time_outs").await;
        beside.db.close().await;
        hub.end().await;
    }
}

#[tokio::test]
async fn what_waits_is_counted_past_a_page_and_up_to_a_bound() {
    for hub in TestHub::on_both().await {
        let run = async |sql: &'static str| sqlx::query(sql).execute(&hub.eyes).await.unwrap();
        run("INSERT INTO time_outs (deal, time_out, at) VALUES ('a', 'lapse', 5), ('b', 'claim', 7), ('c', 'claim', 9)").await;
        let mut on = hub.eyes.acquire().await.unwrap();
        for (now, limit, count) in [(4, 9, 0), (7, 9, 2), (9, 9, 3), (9, 2, 2)] {
            let waiting = List::TimeOuts.timetable().waiting(&mut on, now, limit).await.unwrap();
            assert_eq!(waiting, count, "{now} {limit}");
        }
        drop(on);
        run("DELETE FROM time_outs").await;
        hub.end().await;
    }
}

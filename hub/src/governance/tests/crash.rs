//! A hub that dies while it says a tally, at every boundary. This test starts itself as another process, the hub that dies.

use std::{path::Path, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    Hub,
    config::Config,
    scheduler::{List, look},
    testing::{START_MS, StillClock, death},
};

const NAME: &str =
    "governance::tests::crash::a_hub_that_dies_has_said_a_tally_and_done_its_effect_or_neither";
/// In the middle of the effect's posting, when all is written, and when it is committed.
const POINTS: [(&str, i64); 3] =
    [("hub.ledger.half:1", 0), ("hub.commit.before:1", 0), ("hub.commit.after:1", 1)];

/// Comes when every window is over.
async fn child(folder: &Path) {
    let config: Config = serde_json::from_slice(&std::fs::read(folder.join("config")).unwrap()).unwrap();
    let clock = Arc::new(StillClock::at(START_MS + 2 * WINDOW_MS));
    let hub = Hub::open(config, clock, CancellationToken::new()).await.unwrap();
    look(&hub, List::Proposals, &mut Default::default(), 100).await.unwrap();
    hub.db.close().await;
}

#[tokio::test]
async fn a_hub_that_dies_has_said_a_tally_and_done_its_effect_or_neither() {
    if let Some(folder) = death::folder() {
        return child(&folder).await;
    }
    for hub in TestHub::on_both_with(|config| config.time_credit_limit = 1_000).await {
        let (people, community) = community(&hub, 2).await;
        let body = json!({ "asset": "time_credit", "amount": "90", "note": "" });
        hub.say(&people[0].record_about(&hub, "deposit@1", community, body)).await;
        let pay = json!({ "treasury_transfer": {
            "asset": "time_credit", "to": people[1].account, "amount": "90", "payment": "reward" } });
        let proposal = propose(&hub, &people[0], community, asked(&hub, pay)).await;
        all_say(&hub, &people, proposal, "yes").await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config"), serde_json::to_vec(&hub.config).unwrap()).unwrap();
        let count =
            async |sql: &'static str| -> i64 { sqlx::query_scalar(sql).fetch_one(&hub.eyes).await.unwrap() };
        let before = hub.happened().await.len();
        for (point, done) in POINTS {
            assert!(!death::lives(NAME, folder.path(), point).await, "{point}");
            let said = count("SELECT CAST(COUNT(*) AS BIGINT) FROM log WHERE kind = 'tally@1'").await;
            let ended =
                count("SELECT CAST(COUNT(*) AS BIGINT) FROM proposals WHERE state = 'executed'").await;
            // Beside the deposit.
            let posted = count("SELECT CAST(COUNT(*) AS BIGINT) FROM ledger_operations").await - 1;
            assert_eq!((said, ended, posted), (done, done, done), "{point}");
            let told = hub.happened().await.split_off(before);
            let data = json!({ "proposal": proposal, "community": community, "state": "executed" });
            let all = [("proposal".to_owned(), data)];
            assert_eq!(told, all[..usize::try_from(done).unwrap()], "{point}");
            assert_eq!(crate::verify_ledger(&hub.config).await.unwrap().faults, 0, "{point}");
        }
        // Nothing is left to say, so there is nothing to die at.
        assert!(death::lives(NAME, folder.path(), POINTS[1].0).await);
        assert_eq!(shown(&hub, proposal).await["result"]["yes"], 2);
        hub.end().await;
    }
}

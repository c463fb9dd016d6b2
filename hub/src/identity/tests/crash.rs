//! A hub that dies while it says that the time of a recovery is over, at every boundary. This test starts itself as another
//! process, the hub that dies.

use std::{path::Path, sync::Arc};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::recovery::{ask, rule};
use crate::{
    Hub,
    config::Config,
    scheduler::{List, look},
    testing::{Person, START_MS, StillClock, TestHub, account, death},
};

const NAME: &str =
    "identity::tests::crash::a_hub_that_dies_has_said_the_end_of_a_recovery_and_done_its_effect_or_neither";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Of each recovery between the hub's word and its place in the log's tree, when all is written, and when it is committed; and how
/// many have ended then.
const POINTS: [(&str, usize); 6] = [
    ("hub.log.half:1", 0),
    ("hub.commit.before:1", 0),
    ("hub.commit.after:1", 1),
    ("hub.log.half:1", 1),
    ("hub.commit.before:1", 1),
    ("hub.commit.after:1", 2),
];

/// Comes when the time of both is over.
async fn child(folder: &Path) {
    let config: Config = serde_json::from_slice(&std::fs::read(folder.join("config")).unwrap()).unwrap();
    let clock = Arc::new(StillClock::at(START_MS + 31 * DAY_MS));
    let hub = Hub::open(config, clock, CancellationToken::new()).await.unwrap();
    look(&hub, List::Recoveries, &mut Default::default(), 100).await.unwrap();
    hub.db.close().await;
}

#[tokio::test]
async fn a_hub_that_dies_has_said_the_end_of_a_recovery_and_done_its_effect_or_neither() {
    if let Some(folder) = death::folder() {
        return child(&folder).await;
    }
    for hub in TestHub::on_both().await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let (carl, dora) = (Person::arrive(&hub, 3).await, Person::arrive(&hub, 4).await);
        // Anna's goes to its new wallet after a day; too few agree to Dora's.
        hub.say(&rule(&hub, &anna, &[ben.account], 1, 24).await).await;
        hub.say(&rule(&hub, &dora, &[ben.account, carl.account], 2, 24).await).await;
        let recovered = hub.say(&ask(&hub, &ben, anna.account, 9).await).await;
        let lapsed = hub.say(&ask(&hub, &ben, dora.account, 8).await).await;
        let told = [
            ("recovery", json!({ "account": anna.account, "recovery": recovered, "stage": "recovered" })),
            ("account", json!({ "account": anna.account })),
            ("recovery", json!({ "account": dora.account, "recovery": lapsed, "stage": "lapsed" })),
        ];
        let told = told.map(|(topic, data)| (topic.to_owned(), data));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config"), serde_json::to_vec(&hub.config).unwrap()).unwrap();
        let count =
            async |sql: &'static str| -> i64 { sqlx::query_scalar(sql).fetch_one(&hub.eyes).await.unwrap() };
        let before = hub.happened().await.len();
        let (new_wallet, new_device) = Person::keys(9);
        for (point, ended) in POINTS {
            assert!(!death::lives(NAME, folder.path(), point).await, "{point} {ended}");
            let said = count("SELECT CAST(COUNT(*) AS BIGINT) FROM log WHERE kind = 'recovery-end@1'").await;
            let open =
                count("SELECT CAST(COUNT(*) AS BIGINT) FROM recoveries WHERE stage IN ('asked', 'waiting')")
                    .await;
            let ends = i64::try_from(ended).unwrap();
            assert_eq!((said, open), (ends, 2 - ends), "{point}");
            let (wallet, device) =
                if ended == 0 { (&anna.wallet, &anna.device) } else { (&new_wallet, &new_device) };
            let view = hub.get(&format!("/v1/accounts/{}", anna.account)).await.body;
            let devices = view["devices"].as_array().unwrap().iter().filter(|one| one["authorised"] == true);
            let speak: Vec<Value> = devices.map(|one| one["device"].clone()).collect();
            assert_eq!(view["wallets"], json!([account(wallet.address())]), "{point} {ended}");
            assert_eq!(speak, [json!(device.device())], "{point} {ended}");
            let view = hub.get(&format!("/v1/accounts/{}", dora.account)).await.body;
            assert_eq!(view["wallets"], json!([dora.wallet_id()]), "{point} {ended}");
            let heard = hub.happened().await.split_off(before);
            assert_eq!(heard, told[..[0, 2, 3][ended]], "{point} {ended}");
        }
        // Nothing is left to say, so there is nothing to die at.
        assert!(death::lives(NAME, folder.path(), "hub.commit.before:1").await);
        hub.end().await;
    }
}

//! A hub that dies while it seats a jury, or says what the jury has ruled, at every boundary. This test starts itself as another
//! process, the hub that dies.

use std::{path::Path, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    Hub,
    config::Config,
    governance::tests::ballot,
    records::Stamp,
    scheduler::{List, look},
    testing::{StillClock, death},
};

const NAME: &str = "grievances::tests::crash::a_hub_that_dies_has_gone_on_with_a_grievance_or_not";
/// Before the seating is committed, and after it.
const SEATING: [(&str, i64); 2] = [("hub.commit.before:1", 0), ("hub.commit.after:1", 1)];
/// In the middle of the reward's posting and of the reversal's, when all is written, and when it is committed.
const RULING: [(&str, i64); 4] = [
    ("hub.ledger.half:1", 0),
    ("hub.ledger.half:2", 0),
    ("hub.commit.before:1", 0),
    ("hub.commit.after:1", 1),
];

async fn child(folder: &Path) {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let config: Config = serde_json::from_str(&read("config")).unwrap();
    let clock = Arc::new(StillClock::at(read("now").parse().unwrap()));
    let hub = Hub::open(config, clock, CancellationToken::new()).await.unwrap();
    look(&hub, List::Grievances, &mut Default::default(), 100).await.unwrap();
    look(&hub, List::Proposals, &mut Default::default(), 100).await.unwrap();
    hub.db.close().await;
}

/// Whether a hub of that time came to its end.
async fn lives(folder: &Path, now: i64, dies_at: &str) -> bool {
    std::fs::write(folder.join("now"), now.to_string()).unwrap();
    death::lives(NAME, folder, dies_at).await
}

/// What the outbox has after the first `before`: topic, and state where it is of something that has one.
async fn told(hub: &TestHub, before: usize) -> Vec<(String, String)> {
    let told = hub.happened().await.split_off(before).into_iter();
    told.map(|(topic, data)| (topic, data["state"].as_str().unwrap_or_default().to_owned())).collect()
}

/// These where it is done, and nothing where it is not.
fn if_done(done: i64, told: &[(&str, &str)]) -> Vec<(String, String)> {
    let told = told.iter().map(|(topic, state)| ((*topic).to_owned(), (*state).to_owned()));
    if done == 0 { Vec::new() } else { told.collect() }
}

#[tokio::test]
async fn a_hub_that_dies_has_gone_on_with_a_grievance_or_not() {
    if let Some(folder) = death::folder() {
        return child(&folder).await;
    }
    for (hub, people, community) in grounds(4, &[("jury_size", "1"), ("juror_reward", "5")]).await {
        let [_, payer, payee, _] = &people[..] else { panic!() };
        hub.clock.pass_ms(1);
        let deposit = json!({ "asset": "time_credit", "amount": "5", "note": "" });
        hub.say(&payer.record_about(&hub, "deposit@1", community, deposit)).await;
        let transfer = pay(&hub, payer, payee, "1500").await;
        let grievance = file(&hub, payer, community, complaint("trade", "reversal", transfer, payee)).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config"), serde_json::to_vec(&hub.config).unwrap()).unwrap();
        let count =
            async |sql: &'static str| -> i64 { sqlx::query_scalar(sql).fetch_one(&hub.eyes).await.unwrap() };
        let moment = |text: &Value| text.as_str().unwrap().parse::<Stamp>().unwrap().ms();
        let due = moment(&shown(&hub, payer, grievance).await["due"]);
        let before = count("SELECT CAST(COUNT(*) AS BIGINT) FROM proposals").await;
        let told_before = hub.happened().await.len();
        for (point, done) in SEATING {
            assert!(!lives(folder.path(), due, point).await, "{point}");
            let said =
                count("SELECT CAST(COUNT(*) AS BIGINT) FROM log WHERE kind = 'grievance-timeout@1'").await;
            let asked = count("SELECT CAST(COUNT(*) AS BIGINT) FROM proposals").await - before;
            let voting =
                count("SELECT CAST(COUNT(*) AS BIGINT) FROM grievances WHERE state = 'voting'").await;
            assert_eq!((said, asked, voting), (done, done, done), "{point}");
            let expected = if_done(done, &[("grievance", "voting"), ("proposal", "open")]);
            assert_eq!(told(&hub, told_before).await, expected, "{point}");
        }
        let seen = shown(&hub, payer, grievance).await;
        let vote: RecordId = seen["vote"]["proposal"].as_str().unwrap().parse().unwrap();
        let juror = people.iter().find(|one| json!(one.account) == seen["jurors"][0]).unwrap();
        hub.say(&ballot(&hub, juror, vote, json!({ "number": "10000" }))).await;
        let token = juror.sign_in(&hub).await;
        let closes = moment(&hub.get_as(&token, &format!("/v1/proposals/{vote}")).await.body["closes"]);
        let posted = count("SELECT CAST(COUNT(*) AS BIGINT) FROM ledger_operations").await;
        let told_before = hub.happened().await.len();
        for (point, done) in RULING {
            assert!(!lives(folder.path(), closes, point).await, "{point}");
            let resolved =
                count("SELECT CAST(COUNT(*) AS BIGINT) FROM grievances WHERE state = 'resolved'").await;
            let reversed = count("SELECT CAST(COUNT(*) AS BIGINT) FROM ledger_reversals").await;
            let more = count("SELECT CAST(COUNT(*) AS BIGINT) FROM ledger_operations").await - posted;
            assert_eq!((resolved, reversed, more), (done, done, 2 * done), "{point}");
            // The hub's word on who has lost is in it, too.
            let expected =
                if_done(done, &[("grievance", "resolved"), ("proposal", "executed"), ("credential", "")]);
            assert_eq!(told(&hub, told_before).await, expected, "{point}");
            assert_eq!(crate::verify_ledger(&hub.config).await.unwrap().faults, 0, "{point}");
        }
        // Nothing is left to do, so there is nothing to die at.
        assert!(lives(folder.path(), closes, RULING[2].0).await);
        assert_eq!((balance(&hub, payer).await, balance(&hub, juror).await), ("-5".into(), "5".into()));
        sound(hub).await;
    }
}

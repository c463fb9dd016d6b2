//! Lists of a log that a hub of before kept.

use super::*;
use crate::{Error, governance::tests::counted_before, records::Draft};

/// It listed whoever stood when it counted, also those who came after the close.
#[tokio::test]
async fn a_list_of_before_is_replayed_and_no_new_one_is_like_it() {
    let script = Script::start(Ground::EVM).await;
    let panel = Ground::EVM.pool_id(&Ground::EVM.book());
    for hub in hubs(&script).await {
        let (mut people, gardens) = gardens(&hub, 1..9).await;
        let body = json!({ "arbiter": ARBITER, "panel": panel });
        hub.say(&people[0].record_about(&hub, "pool@1", gardens, body)).await;
        let comes = Person::arrive(&hub, 20).await;
        join(&hub, &people[0], gardens, &comes).await;
        let asks = asked(&hub, list_effect(panel));
        let closes: Stamp = asks["closes"].as_str().unwrap().parse().unwrap();
        let proposal = hub.say(&people[0].record_about(&hub, "proposal@1", gardens, asks)).await;
        for person in &people {
            hub.say(&ballot(&hub, person, proposal, json!("yes"))).await;
        }
        let late = Hub::existing(hub.config.clone(), Arc::new(StillClock::at(closes.ms()))).await.unwrap();
        submit(&late, &candidacy(&hub, &comes, gardens, true)).await.unwrap();

        let tally = Draft::new("tally@1", Some(late.account), closes, counted_before(&late, &proposal).await);
        let tally = tally.about(proposal).sign(&late.key).unwrap();
        match submit(&late, &tally).await {
            Err(Error::Refused(refusal)) => assert_eq!(refusal.rule, "other_tally"),
            other => panic!("{other:?}"),
        }
        late.db.close().await;
        hub.took_before_at(&tally, closes.ms()).await;
        people.push(comes);
        let path = format!("/v1/communities/{gardens}/pools/{ARBITER}/{panel}");
        assert_eq!(hub.get(&path).await.body["members"], json!(roll(&people)));
        // Its end replays the log.
        hub.end().await;
    }
}

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "test code: an overflow or a missing item fails the test"
)]

mod bundles;
mod crash;
mod deals;
mod draw;
mod filing;
mod history;
mod juries;
mod losses;
mod mediation;
mod pure;
mod timer;

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    access::Audience,
    governance::tests::{agreed, community},
    records::RecordId,
    testing::{Answer, Person, TestHub},
};

/// A community of so many people on each engine; the first is its steward, and votes have set these.
async fn grounds(people: u8, settings: &[(&str, &str)]) -> Vec<(TestHub, Vec<Person>, RecordId)> {
    let mut grounds = Vec::new();
    for hub in TestHub::on_both_with(|config| config.time_credit_limit = 5_000).await {
        let (people, community) = community(&hub, people).await;
        for (setting, value) in settings {
            let effect = json!({ "setting": { "setting": setting, "value": value } });
            assert_eq!(agreed(&hub, &people, community, effect).await["state"], "executed");
        }
        grounds.push((hub, people, community));
    }
    grounds
}

/// A record that names nobody but its author.
fn own(hub: &TestHub, who: &Person, kind: &str, about: RecordId, body: Value) -> Value {
    hub.clock.pass_ms(1);
    let draft = who.draft(hub, kind, body).about(about);
    draft.only_for(vec![Audience::Account(who.account)]).sign(&who.device).unwrap()
}

async fn pay(hub: &TestHub, from: &Person, to: &Person, amount: &str) -> RecordId {
    hub.clock.pass_ms(1);
    let body = json!({ "asset": "time_credit", "to": to.account, "amount": amount, "note": "weeding" });
    let draft = from.draft(hub, "transfer@1", body).only_for(vec![Audience::Account(to.account)]);
    hub.say(&draft.sign(&from.device).unwrap()).await
}

pub(crate) fn complaint(kind: &str, remedy: &str, subject: RecordId, against: &Person) -> Value {
    json!({
        "kind": kind,
        "remedy": remedy,
        "subject": subject,
        "respondent": against.account,
        "title": "The bed is not weeded",
        "text": "Nothing was done.",
    })
}

pub(crate) async fn file(hub: &TestHub, who: &Person, community: RecordId, body: Value) -> RecordId {
    hub.say(&own(hub, who, "grievance@1", community, body)).await
}

fn step(hub: &TestHub, who: &Person, grievance: RecordId, step: Value) -> Value {
    own(hub, who, "grievance-step@1", grievance, json!({ "step": step }))
}

pub(crate) async fn does(hub: &TestHub, who: &Person, grievance: RecordId, what: Value) -> RecordId {
    hub.say(&step(hub, who, grievance, what)).await
}

pub(crate) async fn refused(hub: &TestHub, who: &Person, grievance: RecordId, what: Value) -> String {
    hub.refuses(&step(hub, who, grievance, what)).await.2
}

fn evidence(text: &str) -> Value {
    json!({ "evidence": { "text": text, "uri": null, "sha256": null } })
}

async fn look(hub: &TestHub, who: &Person, grievance: RecordId) -> Answer {
    let token = who.sign_in(hub).await;
    hub.get_as(&token, &format!("/v1/grievances/{grievance}")).await
}

pub(crate) async fn shown(hub: &TestHub, who: &Person, grievance: RecordId) -> Value {
    let answer = look(hub, who, grievance).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// Waits until the hub has taken it to a state.
pub(crate) async fn until(hub: &TestHub, who: &Person, grievance: RecordId, state: &str) -> Value {
    let token = who.sign_in(hub).await;
    let there = async {
        loop {
            let now = hub.get_as(&token, &format!("/v1/grievances/{grievance}")).await.body;
            if now["state"] == state {
                return now;
            }
            hub.look();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), there).await.unwrap()
}

async fn balance(hub: &TestHub, who: &Person) -> String {
    let token = who.sign_in(hub).await;
    let account = hub.get_as(&token, "/v1/ledger/statement").await.body["account"].clone();
    account["balance"].as_str().unwrap().to_owned()
}

async fn sound(hub: TestHub) {
    let found = crate::verify_ledger(&hub.config).await.unwrap();
    assert_eq!(found.faults, 0, "{found:?}");
    hub.end().await;
}

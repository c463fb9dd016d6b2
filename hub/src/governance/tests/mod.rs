#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "test code: an overflow or a missing item fails the test"
)]

mod ballots;
mod crash;
mod effects;
mod history;
mod proposals;
mod tally;
mod timer;

use std::time::Duration;

use serde_json::{Value, json};

use super::{room, store};
use crate::{
    Hub,
    access::Audience,
    records::{RecordId, Stamp},
    testing::{Person, TestHub},
};

/// Three days, the shortest window that an effect may have where no vote has set another.
const WINDOW_MS: i64 = 3 * 24 * 3_600_000;

/// A community of so many people; the first is its steward.
pub(crate) async fn community(hub: &TestHub, count: u8) -> (Vec<Person>, RecordId) {
    let mut people = Vec::new();
    for seed in 1..=count {
        people.push(Person::arrive(hub, seed).await);
    }
    let id = hub.say(&people[0].record(hub, "community@1", json!({ "name": "Gardens" }))).await;
    for person in &people[1..] {
        join(hub, &people[0], id, person).await;
    }
    (people, id)
}

pub(crate) async fn join(hub: &TestHub, steward: &Person, community: RecordId, who: &Person) {
    hub.clock.pass_ms(1);
    let body = json!({ "account": who.account, "role": "member" });
    hub.say(&steward.record_about(hub, "membership@1", community, body.clone())).await;
    hub.say(&who.record_about(hub, "membership@1", community, body)).await;
}

/// A proposal on which everybody votes by majority, openly, for three days.
pub(crate) fn asked(hub: &TestHub, effect: Value) -> Value {
    json!({
        "title": "A shed",
        "text": "Where the tools are dry.",
        "electorate": { "roles": ["member", "steward"] },
        "rule": { "quorum": "1/2", "needs": "majority" },
        "ballots": "open",
        "closes": Stamp::from_ms(hub.now() + WINDOW_MS),
        "effect": effect,
    })
}

/// What a hub of before said a proposal's ballots come to: a list that they accept is of whoever stands now.
pub(crate) async fn counted_before(hub: &Hub, proposal: &RecordId) -> Value {
    let mut on = hub.db.reader().acquire().await.unwrap();
    let found = store::proposal(&mut on, proposal).await.unwrap().unwrap();
    json!(room::count(&mut on, &found, i64::MAX).await.unwrap())
}

pub(crate) async fn propose(hub: &TestHub, who: &Person, community: RecordId, body: Value) -> RecordId {
    // Two that say the same are two.
    hub.clock.pass_ms(1);
    let mut body = body;
    if body["closes"].is_string() {
        let closes: Stamp = body["closes"].as_str().unwrap().parse().unwrap();
        body["closes"] = json!(Stamp::from_ms(closes.ms() + 1));
    }
    hub.say(&who.record_about(hub, "proposal@1", community, body)).await
}

pub(crate) fn ballot(hub: &TestHub, who: &Person, proposal: RecordId, choice: Value) -> Value {
    hub.clock.pass_ms(1);
    ballot_now(hub, who, proposal, choice)
}

fn ballot_now(hub: &TestHub, who: &Person, proposal: RecordId, choice: Value) -> Value {
    let draft = who.draft(hub, "vote@1", json!({ "choice": choice })).about(proposal);
    draft.only_for(vec![Audience::Account(who.account)]).sign(&who.device).unwrap()
}

async fn all_say(hub: &TestHub, people: &[Person], proposal: RecordId, choice: &str) {
    for person in people {
        hub.say(&ballot(hub, person, proposal, json!(choice))).await;
    }
}

async fn shown(hub: &TestHub, proposal: RecordId) -> Value {
    let answer = hub.get(&format!("/v1/proposals/{proposal}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// Waits until the hub has said what came of a proposal whose window is over.
async fn told(hub: &TestHub, proposal: RecordId) -> Value {
    let over = async {
        loop {
            let now = shown(hub, proposal).await;
            if now["state"] != "open" {
                return now;
            }
            hub.look();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), over).await.unwrap()
}

/// Lets the window end.
pub(crate) async fn decided(hub: &TestHub, proposal: RecordId) -> Value {
    let closes: Stamp = shown(hub, proposal).await["closes"].as_str().unwrap().parse().unwrap();
    hub.clock.pass_ms((closes.ms() - hub.now()).max(0));
    told(hub, proposal).await
}

/// Everybody agrees, and the window ends.
pub(crate) async fn agreed(hub: &TestHub, people: &[Person], community: RecordId, effect: Value) -> Value {
    let proposal = propose(hub, &people[0], community, asked(hub, effect)).await;
    all_say(hub, people, proposal, "yes").await;
    decided(hub, proposal).await
}

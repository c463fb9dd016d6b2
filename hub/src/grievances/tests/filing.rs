//! What may be filed, and what not: the last word on a membership, and what rests, on both engines.

use super::{
    juries::{closes, jurors, seats},
    *,
};
use crate::{
    governance::tests::ballot,
    grievances::model::{PAYMENT_AGE_MAX_MS, REST_MS},
};

async fn refused_filing(hub: &TestHub, who: &Person, community: RecordId, body: Value) -> String {
    hub.refuses(&own(hub, who, "grievance@1", community, body)).await.2
}

async fn says(hub: &TestHub, who: &Person, community: RecordId, whom: &Person, role: Value) -> RecordId {
    hub.clock.pass_ms(1);
    let body = json!({ "account": whom.account, "role": role });
    hub.say(&who.record_about(hub, "membership@1", community, body)).await
}

/// What all have decided, and what only declines somebody, is not for a jury to undo: neither when it is filed nor when it is ruled.
#[tokio::test]
async fn a_jury_changes_the_last_word_on_a_membership_and_no_decision_of_all() {
    for (hub, people, community) in grounds(4, &[]).await {
        let [steward, second, other, who] = &people[..] else { panic!() };
        let votes = async |voters: &[Person], whom: &Person, role: Value| {
            let effect = json!({ "membership": { "account": whom.account, "role": role } });
            assert_eq!(agreed(&hub, voters, community, effect).await["state"], "executed");
        };
        says(&hub, steward, community, second, json!("steward")).await;
        let restore = |subject| complaint("membership", "restoration", subject, steward);
        let remove = |subject| complaint("membership", "removal", subject, who);

        let outsider = Person::arrive(&hub, 9).await;
        says(&hub, &outsider, community, &outsider, json!("member")).await;
        let declined = says(&hub, steward, community, &outsider, Value::Null).await;
        assert_eq!(refused_filing(&hub, &outsider, community, restore(declined)).await, "not_last_word");

        // Only what changed something is a word: who is removed once is not removed again.
        let first = says(&hub, steward, community, who, Value::Null).await;
        let again = says(&hub, steward, community, who, Value::Null).await;
        assert_eq!(refused_filing(&hub, who, community, restore(again)).await, "not_last_word");

        // All let in again whom a steward has removed; that the last word was the member's own, or a steward's, changes nothing.
        votes(&people[..3], who, json!("member")).await;
        // Nobody lays their word over that while it waits, which would make it one of theirs.
        for role in [json!("member"), json!("steward"), Value::Null] {
            hub.clock.pass_ms(1);
            let body = json!({ "account": who.account, "role": role });
            let over = steward.record_about(&hub, "membership@1", community, body);
            assert_eq!(hub.refuses(&over).await.2, "by_vote");
        }
        let joined = says(&hub, who, community, who, json!("member")).await;
        assert_eq!(refused_filing(&hub, other, community, remove(joined)).await, "by_vote");
        for role in ["member", "steward"] {
            let said = says(&hub, steward, community, who, json!(role)).await;
            assert_eq!(refused_filing(&hub, other, community, remove(said)).await, "by_vote");
        }

        // All remove the member, and a steward says so once more.
        votes(&people[..3], who, Value::Null).await;
        let repeated = says(&hub, steward, community, who, Value::Null).await;
        for subject in [first, repeated] {
            assert_eq!(refused_filing(&hub, who, community, restore(subject)).await, "by_vote");
        }

        // All decide while it is mediated.
        let removal = says(&hub, steward, community, other, Value::Null).await;
        let grievance = file(&hub, other, community, restore(removal)).await;
        does(&hub, second, grievance, json!("take")).await;
        let uphold = json!({ "propose": { "outcome": "upheld", "reason": "" } });
        let proposal = does(&hub, second, grievance, uphold).await;
        votes(&people[..2], other, Value::Null).await;
        for party in [other, steward] {
            does(&hub, party, grievance, json!({ "accept": { "proposal": proposal } })).await;
        }
        let resolution = shown(&hub, other, grievance).await["resolution"].clone();
        assert_eq!(
            (&resolution["outcome"], &resolution["unexecuted"]["rule"]),
            (&json!("upheld"), &json!("by_vote"))
        );
        let seen = hub.get(&format!("/v1/communities/{community}")).await.body;
        assert!(seen["members"].as_array().unwrap().iter().all(|one| one["account"] != json!(other.account)));
        hub.end().await;
    }
}

#[tokio::test]
async fn an_old_payment_is_not_brought_up() {
    for (hub, people, community) in grounds(3, &[]).await {
        let [_, payer, payee] = &people[..] else { panic!() };
        let old = pay(&hub, payer, payee, "10").await;
        hub.clock.pass_ms(10);
        let recent = pay(&hub, payer, payee, "10").await;
        hub.clock.pass_ms(PAYMENT_AGE_MAX_MS - 5);
        for remedy in ["reversal", "statement"] {
            let body = complaint("trade", remedy, old, payee);
            assert_eq!(refused_filing(&hub, payer, community, body).await, "too_old");
        }
        file(&hub, payer, community, complaint("trade", "reversal", recent, payee)).await;
        hub.end().await;
    }
}

/// Whoever asks again for what a jury was asked for; but what somebody settles or takes back keeps nobody else from filing, nor does what
/// is asked for elsewhere, or what is something else.
#[tokio::test]
async fn what_has_ended_rests_for_thirty_days() {
    for (hub, people, community) in grounds(8, &[("jury_size", "3")]).await {
        let [steward, mediator, first, second, third, fourth, accused, _] = &people[..] else { panic!() };
        says(&hub, steward, community, mediator, json!("steward")).await;
        hub.clock.pass_ms(1);
        let elsewhere = hub.say(&steward.record(&hub, "community@1", json!({ "name": "Meadows" }))).await;
        for person in [fourth, accused] {
            crate::governance::tests::join(&hub, steward, elsewhere, person).await;
        }
        hub.clock.pass_ms(1);
        let profile =
            json!({ "name": "Somebody", "text": "I weed everything.", "languages": ["en"], "avatar": null });
        let said = hub.say(&accused.record(&hub, "profile@1", profile)).await;
        let statement = complaint("attestation", "statement", said, accused);
        let settled = async |who: &Person, body: Value| {
            let grievance = file(&hub, who, community, body).await;
            does(&hub, mediator, grievance, json!("take")).await;
            let reject = json!({ "propose": { "outcome": "rejected", "reason": "" } });
            let proposal = does(&hub, mediator, grievance, reject).await;
            for party in [who, accused] {
                does(&hub, party, grievance, json!({ "accept": { "proposal": proposal } })).await;
            }
            assert_eq!(shown(&hub, who, grievance).await["resolution"]["ending"], "settled");
        };
        let ruled = async |who: &Person, body: Value| {
            let grievance = file(&hub, who, community, body).await;
            does(&hub, mediator, grievance, json!("take")).await;
            does(&hub, mediator, grievance, json!("community_wide")).await;
            let (vote, seen) = seats(&hub, who, grievance).await;
            for juror in jurors(&people, &seen) {
                hub.say(&ballot(&hub, juror, vote, json!("no"))).await;
            }
            closes(&hub, who, vote).await;
            assert_eq!(until(&hub, who, grievance, "resolved").await["resolution"]["ending"], "ruled");
        };
        settled(first, statement.clone()).await;
        assert_eq!(refused_filing(&hub, first, community, statement.clone()).await, "decided");
        let taken_back = file(&hub, second, community, statement.clone()).await;
        does(&hub, second, taken_back, json!("withdraw")).await;
        assert_eq!(refused_filing(&hub, second, community, statement.clone()).await, "too_soon");
        ruled(third, statement.clone()).await;
        assert_eq!(refused_filing(&hub, fourth, community, statement.clone()).await, "too_soon");
        let beside = file(&hub, fourth, elsewhere, statement.clone()).await;
        does(&hub, fourth, beside, json!("withdraw")).await;
        hub.clock.pass_ms(REST_MS);
        let rested = file(&hub, second, community, statement).await;
        does(&hub, second, rested, json!("withdraw")).await;

        // A membership is the same one in other words.
        let made = says(&hub, steward, community, accused, json!("steward")).await;
        settled(first, complaint("membership", "removal", made, accused)).await;
        let made = says(&hub, steward, community, accused, json!("member")).await;
        assert_eq!(
            refused_filing(&hub, first, community, complaint("membership", "removal", made, accused)).await,
            "too_soon"
        );
        ruled(second, complaint("membership", "removal", made, accused)).await;
        let other_words = says(&hub, steward, community, accused, json!("steward")).await;
        let remove = complaint("membership", "removal", other_words, accused);
        assert_eq!(refused_filing(&hub, third, community, remove.clone()).await, "too_soon");
        // To say who is right is another thing than to remove somebody.
        let right = file(&hub, third, community, complaint("membership", "statement", made, accused)).await;
        does(&hub, third, right, json!("withdraw")).await;
        hub.clock.pass_ms(REST_MS);
        file(&hub, third, community, remove).await;
        hub.end().await;
    }
}

/// Nobody tries one jury after another: who takes something back when its jury is known does so for good, and others may ask.
#[tokio::test]
async fn what_is_taken_back_when_its_jury_is_known_is_not_filed_again() {
    for (hub, people, community) in grounds(6, &[("jury_size", "1")]).await {
        let [steward, first, second, accused, ..] = &people[..] else { panic!() };
        hub.clock.pass_ms(1);
        let profile =
            json!({ "name": "Somebody", "text": "I weed everything.", "languages": ["en"], "avatar": null });
        let said = hub.say(&accused.record(&hub, "profile@1", profile)).await;
        let statement = complaint("attestation", "statement", said, accused);
        for drawn in [false, true] {
            let grievance = file(&hub, first, community, statement.clone()).await;
            does(&hub, steward, grievance, json!("take")).await;
            if drawn {
                does(&hub, steward, grievance, json!("community_wide")).await;
                assert_eq!(jurors(&people, &shown(&hub, first, grievance).await).len(), 1);
            }
            does(&hub, first, grievance, json!("withdraw")).await;
            hub.clock.pass_ms(REST_MS);
        }
        assert_eq!(refused_filing(&hub, first, community, statement.clone()).await, "decided");
        file(&hub, second, community, statement).await;
        hub.end().await;
    }
}

/// What a grievance is about is there for whoever hears it; when it has ended its author may erase it, and what was decided still holds.
#[tokio::test]
async fn what_an_open_grievance_is_about_is_not_erased() {
    for (hub, people, community) in grounds(4, &[]).await {
        let [steward, first, second, accused] = &people[..] else { panic!() };
        hub.clock.pass_ms(1);
        let profile =
            json!({ "name": "Somebody", "text": "I weed everything.", "languages": ["en"], "avatar": null });
        let said = hub.say(&accused.record(&hub, "profile@1", profile)).await;
        let erase = || accused.record_about(&hub, "erasure@1", said, json!({}));
        let statement = complaint("attestation", "statement", said, accused);
        let grievance = file(&hub, first, community, statement.clone()).await;
        let refusal = hub.refuses(&erase()).await;
        assert_eq!((refusal.0, refusal.2.as_str(), refusal.3.as_str()), (409, "grievance_open", "/about"));
        assert_eq!(shown(&hub, first, grievance).await["about"]["body"]["text"], "I weed everything.");
        does(&hub, steward, grievance, json!("take")).await;
        let uphold = json!({ "propose": { "outcome": "upheld", "reason": "" } });
        let proposal = does(&hub, steward, grievance, uphold).await;
        for party in [first, accused] {
            does(&hub, party, grievance, json!({ "accept": { "proposal": proposal } })).await;
        }
        hub.say(&erase()).await;
        let seen = shown(&hub, first, grievance).await;
        assert_eq!((&seen["about"], &seen["subject"]), (&Value::Null, &json!(said)));
        super::bundles::holds(&hub, first, grievance).await;
        assert_eq!(refused_filing(&hub, second, community, statement).await, "erased");
        hub.end().await;
    }
}

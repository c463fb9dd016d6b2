//! From filing to a settlement, and who may do and see what on the way, on both engines.

use super::*;
use crate::{grievances::model::REST_MS, records::Stamp};

#[tokio::test]
async fn a_mediator_proposes_and_both_accept() {
    for (hub, people, community) in grounds(4, &[]).await {
        let [steward, payer, payee, other] = &people[..] else { panic!() };
        let transfer = pay(&hub, payer, payee, "150").await;
        let grievance = file(&hub, payer, community, complaint("trade", "reversal", transfer, payee)).await;
        let seen = shown(&hub, steward, grievance).await;
        assert_eq!((&seen["state"], &seen["paid"]["amount"]), (&json!("filed"), &json!("150")));
        assert_eq!(look(&hub, other, grievance).await.refusal().0, 404);
        assert_eq!(hub.get(&format!("/v1/grievances/{grievance}")).await.refusal().0, 401);

        assert_eq!(refused(&hub, other, grievance, json!("take")).await, "unknown_grievance");
        assert_eq!(refused(&hub, payee, grievance, json!("take")).await, "not_yours");
        does(&hub, payee, grievance, evidence("I weeded half of it.")).await;
        does(&hub, steward, grievance, json!("take")).await;
        assert_eq!(refused(&hub, steward, grievance, json!("take")).await, "not_now");
        assert_eq!(refused(&hub, steward, grievance, evidence("I saw it.")).await, "not_yours");
        assert_eq!(shown(&hub, payee, grievance).await["mediator"], json!(steward.account));

        let propose =
            |outcome: Value| json!({ "propose": { "outcome": outcome, "reason": "Half is done." } });
        let part = |amount: &str| propose(json!({ "partial_adjustment": { "amount": amount } }));
        for wrong in [propose(json!("upheld")), part("150"), part("151")] {
            assert_eq!(refused(&hub, steward, grievance, wrong).await, "outcome");
        }
        assert_eq!(refused(&hub, payer, grievance, propose(json!("rejected"))).await, "not_yours");
        let accept = |proposal: RecordId| json!({ "accept": { "proposal": proposal } });
        assert_eq!(refused(&hub, payer, grievance, accept(transfer)).await, "not_now");
        let first = does(&hub, steward, grievance, part("100")).await;
        does(&hub, payer, grievance, accept(first)).await;
        assert_eq!(refused(&hub, payer, grievance, accept(first)).await, "already_accepted");
        // Another proposal is another question.
        let second = does(&hub, steward, grievance, part("75")).await;
        assert_eq!(refused(&hub, payee, grievance, accept(first)).await, "other_proposal");
        does(&hub, payee, grievance, accept(second)).await;
        assert_eq!(balance(&hub, payee).await, "150");
        does(&hub, payer, grievance, accept(second)).await;

        let seen = shown(&hub, payee, grievance).await;
        assert_eq!(seen["state"], "resolved");
        assert_eq!(seen["resolution"]["ending"], "settled");
        assert_eq!(seen["resolution"]["outcome"]["partial_adjustment"]["amount"], "75");
        assert_eq!(seen["resolution"]["unexecuted"], Value::Null);
        assert_eq!((balance(&hub, payer).await, balance(&hub, payee).await), ("-75".into(), "75".into()));
        let token = payer.sign_in(&hub).await;
        let entries = hub.get_as(&token, "/v1/ledger/statement").await.body["items"].clone();
        assert_eq!((&entries[1]["type"], &entries[1]["amount"]), (&json!("reversal"), &json!("75")));
        assert_eq!(refused(&hub, payer, grievance, evidence("late")).await, "resolved");
        let again =
            own(&hub, payer, "grievance@1", community, complaint("trade", "reversal", transfer, payee));
        assert_eq!(hub.refuses(&again).await.2, "reversed");
        let again =
            own(&hub, payer, "grievance@1", community, complaint("trade", "statement", transfer, payee));
        assert_eq!(hub.refuses(&again).await.2, "decided");

        // Everything that was done, as it was signed, in pages; and an answer that says which state it is.
        let path = format!("/v1/grievances/{grievance}/steps");
        let page = hub.get_as(&token, &format!("{path}?limit=4")).await.body;
        let named = |page: &Value| -> Vec<String> {
            let step = |one: &Value| match &one["record"]["body"]["step"] {
                Value::String(name) => name.clone(),
                tagged => tagged.as_object().unwrap().keys().next().unwrap().clone(),
            };
            page["items"].as_array().unwrap().iter().map(step).collect()
        };
        assert_eq!(named(&page), ["evidence", "take", "propose", "accept"]);
        let next = page["next"].as_str().unwrap();
        let rest = hub.get_as(&token, &format!("{path}?limit=4&after={next}")).await.body;
        assert_eq!(
            (named(&rest), &rest["next"]),
            (vec!["propose".into(), "accept".into(), "accept".into()], &Value::Null)
        );
        let stranger = other.sign_in(&hub).await;
        assert_eq!(hub.get_as(&stranger, &path).await.refusal().0, 404);
        let request = |path: &str| hub.request(reqwest::Method::GET, path).bearer_auth(&token);
        let path = format!("/v1/grievances/{grievance}");
        let answer = request(&path).send().await.unwrap();
        let tag = answer.headers()["etag"].clone();
        assert_eq!(hub.ask(request(&path).header("if-none-match", tag)).await.status, 304);
        // A steward's list has what waits; yours has what you have a part in.
        let list = async |who: &Person, query: &str| {
            let token = who.sign_in(&hub).await;
            let page = hub.get_as(&token, &format!("/v1/grievances{query}")).await.body;
            page["items"].as_array().unwrap().len()
        };
        assert_eq!((list(payer, "").await, list(other, "").await), (1, 0));
        assert_eq!((list(steward, "?state=resolved").await, list(steward, "?state=filed").await), (1, 0));
        assert_eq!(list(payer, &format!("?community={grievance}")).await, 0);
        let fresh = pay(&hub, payer, payee, "10").await;
        let waiting = file(&hub, payee, community, complaint("trade", "statement", fresh, payer)).await;
        assert_eq!((list(steward, "?state=filed").await, list(other, "").await), (1, 0));
        does(&hub, payee, waiting, json!("withdraw")).await;
        assert_eq!(shown(&hub, payee, waiting).await["resolution"]["ending"], "withdrawn");
        // What was taken back may be filed again when it has rested.
        let again = complaint("trade", "statement", fresh, payer);
        let early = own(&hub, payee, "grievance@1", community, again.clone());
        assert_eq!(hub.refuses(&early).await.2, "too_soon");
        hub.clock.pass_ms(REST_MS);
        file(&hub, payee, community, again).await;
        sound(hub).await;
    }
}

#[tokio::test]
async fn what_may_be_filed_is_bounded() {
    for (hub, people, community) in grounds(3, &[]).await {
        let [steward, payer, payee] = &people[..] else { panic!() };
        let outsider = Person::arrive(&hub, 9).await;
        let transfer = pay(&hub, payer, payee, "150").await;
        let trade = |against: &Person| complaint("trade", "reversal", transfer, against);
        let refused = async |who: &Person, about: RecordId, body: Value| {
            hub.refuses(&own(&hub, who, "grievance@1", about, body)).await.2
        };
        assert_eq!(refused(payer, transfer, trade(payee)).await, "unknown_community");
        assert_eq!(refused(&outsider, community, trade(payee)).await, "members_only");
        assert_eq!(refused(payer, community, trade(steward)).await, "respondent");
        assert_eq!(refused(payee, community, trade(payer)).await, "remedy");
        // The transfer is between two, and nobody else learns that there is one.
        assert_eq!(refused(steward, community, trade(payee)).await, "unknown_subject");
        assert_eq!(
            refused(payer, community, complaint("trade", "reversal", payer.account, payee)).await,
            "subject"
        );
        let public = payer.draft(&hub, "grievance@1", trade(payee)).about(community);
        assert_eq!(hub.refuses(&public.sign(&payer.device).unwrap()).await.2, "grievance_audience");

        // Whoever joins answers for what comes after, and whoever is not of the community for nothing.
        let before = pay(&hub, payer, &outsider, "20").await;
        let against = complaint("trade", "reversal", before, &outsider);
        assert_eq!(refused(payer, community, against.clone()).await, "not_of_this_community");
        crate::governance::tests::join(&hub, steward, community, &outsider).await;
        assert_eq!(refused(payer, community, against).await, "not_of_this_community");
        let after = pay(&hub, payer, &outsider, "20").await;
        file(&hub, payer, community, complaint("trade", "reversal", after, &outsider)).await;

        file(&hub, payer, community, trade(payee)).await;
        assert_eq!(refused(payer, community, trade(payee)).await, "already_open");
        for _ in 0..3 {
            let transfer = pay(&hub, payer, payee, "1").await;
            file(&hub, payer, community, complaint("trade", "statement", transfer, payee)).await;
        }
        let sixth = pay(&hub, payer, payee, "1").await;
        let sixth = complaint("trade", "statement", sixth, payee);
        assert_eq!(refused(payer, community, sixth.clone()).await, "too_many_open");
        // Ten a day, taken back or not.
        let token = payer.sign_in(&hub).await;
        let open = hub.get_as(&token, "/v1/grievances").await.body["items"].clone();
        let last: RecordId = open[4]["id"].as_str().unwrap().parse().unwrap();
        does(&hub, payer, last, json!("withdraw")).await;
        for _ in 0..5 {
            let transfer = pay(&hub, payer, payee, "1").await;
            let filed = file(&hub, payer, community, complaint("trade", "statement", transfer, payee)).await;
            does(&hub, payer, filed, json!("withdraw")).await;
        }
        assert_eq!(refused(payer, community, sixth.clone()).await, "too_many_a_day");
        hub.clock.pass_ms(86_400_000);
        let filed = file(&hub, payer, community, sixth).await;
        for nth in 0..20 {
            does(&hub, payer, filed, evidence(&format!("picture {nth}"))).await;
        }
        assert_eq!(super::refused(&hub, payer, filed, evidence("picture 20")).await, "too_many_steps");
        does(&hub, payee, filed, evidence("another's")).await;
        does(&hub, steward, filed, json!("take")).await;
        let propose = |nth: i32| json!({ "propose": { "outcome": "upheld", "reason": nth.to_string() } });
        for nth in 0..10 {
            does(&hub, steward, filed, propose(nth)).await;
        }
        assert_eq!(super::refused(&hub, steward, filed, propose(10)).await, "too_many_steps");
        hub.end().await;
    }
}

/// A grievance that nobody takes up, or that nobody brings to an end, goes on by itself: over a restart, too.
#[tokio::test]
async fn nobody_can_let_it_lie() {
    for (mut hub, people, community) in grounds(3, &[]).await {
        let [steward, payer, payee] = &people[..] else { panic!() };
        let transfer = pay(&hub, payer, payee, "150").await;
        let grievance = file(&hub, payer, community, complaint("trade", "reversal", transfer, payee)).await;
        does(&hub, steward, grievance, json!("take")).await;
        let due: Stamp = shown(&hub, payer, grievance).await["due"].as_str().unwrap().parse().unwrap();
        assert_eq!(due.ms() - hub.now(), 7 * 86_400_000 - 1);
        hub.restart_after(due.ms() - hub.now()).await;
        let seen = until(&hub, payer, grievance, "escalated").await;
        // Parties and mediator are all there are.
        assert_eq!((&seen["jurors"], &seen["juries"]), (&json!([]), &json!(1)));
        assert_eq!(refused(&hub, steward, grievance, json!("community_wide")).await, "not_now");
        hub.restart_after(86_400_000).await;
        let seen = until(&hub, payer, grievance, "resolved").await;
        assert_eq!(seen["resolution"]["ending"], "undecided");
        assert_eq!(
            (&seen["resolution"]["outcome"], balance(&hub, payee).await),
            (&Value::Null, "150".into())
        );
        // Nothing was decided, so it may be filed again.
        hub.clock.pass_ms(REST_MS);
        file(&hub, payer, community, complaint("trade", "reversal", transfer, payee)).await;
        sound(hub).await;
    }
}

#[tokio::test]
async fn who_was_removed_is_restored_and_whose_membership_is_ended_is_removed() {
    for (hub, people, community) in grounds(4, &[]).await {
        let [steward, second, removed, other] = &people[..] else { panic!() };
        let says = async |who: &Person, whom: &Person, role: Value| {
            hub.clock.pass_ms(1);
            let body = json!({ "account": whom.account, "role": role });
            hub.say(&who.record_about(&hub, "membership@1", community, body)).await
        };
        says(steward, second, json!("steward")).await;
        let removal = says(steward, removed, Value::Null).await;
        let restore = complaint("membership", "restoration", removal, steward);
        let early = own(&hub, other, "grievance@1", community, restore.clone());
        assert_eq!(hub.refuses(&early).await.2, "still_member");
        let grievance = file(&hub, removed, community, restore).await;
        does(&hub, second, grievance, json!("take")).await;
        let uphold = json!({ "propose": { "outcome": "upheld", "reason": "" } });
        let settle = async |grievance: RecordId, parties: [&Person; 2]| {
            let proposal = does(&hub, second, grievance, uphold.clone()).await;
            for party in parties {
                does(&hub, party, grievance, json!({ "accept": { "proposal": proposal } })).await;
            }
            shown(&hub, parties[0], grievance).await["resolution"].clone()
        };
        let roles = async || -> Vec<(Value, Value)> {
            let seen = hub.get(&format!("/v1/communities/{community}")).await.body;
            let members = seen["members"].as_array().unwrap();
            members.iter().map(|one| (one["account"].clone(), one["role"].clone())).collect()
        };
        assert_eq!(roles().await.len(), 3);
        assert_eq!(settle(grievance, [removed, steward]).await["unexecuted"], Value::Null);
        assert!(roles().await.contains(&(json!(removed.account), json!("member"))));
        // What two have agreed on is no decision of all: another member may bring the same word before a jury.
        let remove = complaint("membership", "removal", removal, removed);
        let grievance = file(&hub, other, community, remove).await;
        does(&hub, second, grievance, json!("take")).await;
        assert_eq!(settle(grievance, [other, removed]).await["unexecuted"], Value::Null);
        assert_eq!(roles().await.len(), 3);
        for says_so in [second, removed] {
            says(says_so, removed, json!("member")).await;
        }

        // The founder's membership is what the community's first record says.
        let founder = complaint("membership", "removal", community, steward);
        let grievance = file(&hub, other, community, founder).await;
        does(&hub, second, grievance, json!("take")).await;
        let resolution = settle(grievance, [other, steward]).await;
        assert_eq!((&resolution["outcome"], &resolution["unexecuted"]), (&json!("upheld"), &Value::Null));
        assert!(roles().await.iter().all(|(account, _)| *account != json!(steward.account)));
        // The last steward stays, and it is said why.
        let made = says(second, other, json!("member")).await;
        assert_eq!(roles().await.len(), 3);
        let grievance =
            file(&hub, removed, community, complaint("membership", "statement", made, second)).await;
        assert_eq!(refused(&hub, second, grievance, json!("take")).await, "not_yours");
        hub.end().await;
    }
}

#[tokio::test]
async fn what_was_captured_out_of_a_hold_is_given_back_too() {
    for (hub, people, community) in grounds(3, &[]).await {
        let [steward, payer, payee] = &people[..] else { panic!() };
        let says = async |kind: &str, about: Option<RecordId>, body: Value| {
            hub.clock.pass_ms(1);
            let draft = payer.draft(&hub, kind, body).only_for(vec![Audience::Account(payee.account)]);
            let draft = match about {
                Some(about) => draft.about(about),
                None => draft,
            };
            hub.say(&draft.sign(&payer.device).unwrap()).await
        };
        let expires = Stamp::from_ms(hub.now() + 86_400_000);
        let held = json!({ "asset": "time_credit", "to": payee.account, "amount": "100", "expires": expires, "note": "" });
        let hold = says("hold@1", None, held).await;
        let about_the_hold = complaint("trade", "reversal", hold, payee);
        assert_eq!(
            hub.refuses(&own(&hub, payer, "grievance@1", community, about_the_hold)).await.2,
            "subject"
        );
        let capture = says("capture@1", Some(hold), json!({ "amount": "80" })).await;
        let grievance = file(&hub, payer, community, complaint("trade", "reversal", capture, payee)).await;
        does(&hub, steward, grievance, json!("take")).await;
        let void = json!({ "propose": { "outcome": "void_transaction", "reason": "" } });
        let accept = json!({ "accept": { "proposal": does(&hub, steward, grievance, void).await } });
        assert_eq!(balance(&hub, payee).await, "80");
        for party in [payer, payee] {
            does(&hub, party, grievance, accept.clone()).await;
        }
        assert_eq!((balance(&hub, payer).await, balance(&hub, payee).await), ("0".into(), "0".into()));
        sound(hub).await;
    }
}

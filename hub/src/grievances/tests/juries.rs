//! Juries: who is drawn, what they see, what they decide and what comes of it, on both engines.

use super::*;
use crate::{governance::tests::ballot, records::Stamp};

/// The time for stepping aside ends.
pub(super) async fn seats(hub: &TestHub, who: &Person, grievance: RecordId) -> (RecordId, Value) {
    let due: Stamp = shown(hub, who, grievance).await["due"].as_str().unwrap().parse().unwrap();
    hub.clock.pass_ms(due.ms() - hub.now());
    let seen = until(hub, who, grievance, "voting").await;
    (seen["vote"]["proposal"].as_str().unwrap().parse().unwrap(), seen)
}

fn of<'a>(people: &'a [Person], account: &Value) -> &'a Person {
    people.iter().find(|one| json!(one.account) == *account).unwrap()
}

pub(super) fn jurors<'a>(people: &'a [Person], seen: &Value) -> Vec<&'a Person> {
    seen["jurors"].as_array().unwrap().iter().map(|account| of(people, account)).collect()
}

/// The vote's window ends.
pub(super) async fn closes(hub: &TestHub, who: &Person, proposal: RecordId) {
    let token = who.sign_in(hub).await;
    let path = format!("/v1/proposals/{proposal}");
    let closes: Stamp = hub.get_as(&token, &path).await.body["closes"].as_str().unwrap().parse().unwrap();
    hub.clock.pass_ms((closes.ms() - hub.now()).max(0));
}

async fn treasury(hub: &TestHub, community: RecordId) -> String {
    let page = hub.get(&format!("/v1/communities/{community}/treasury")).await.body;
    page["items"][0]["balance"].as_str().unwrap_or("none").to_owned()
}

async fn deposit(hub: &TestHub, who: &Person, community: RecordId, amount: &str) {
    hub.clock.pass_ms(1);
    let body = json!({ "asset": "time_credit", "amount": amount, "note": "" });
    hub.say(&who.record_about(hub, "deposit@1", community, body)).await;
}

/// More than a mediator may deal with: a jury at once, one of whom steps aside; hidden ballots; a ruling on somebody who has spent it all.
#[tokio::test]
async fn a_drawn_jury_voids_what_was_paid_and_is_rewarded() {
    let settings = [("jury_size", "3"), ("juror_reward", "40")];
    for (hub, people, community) in grounds(8, &settings).await {
        let [_, payer, payee, ..] = &people[..] else { panic!() };
        deposit(&hub, &people[7], community, "100").await;
        let transfer = pay(&hub, payer, payee, "2000").await;
        pay(&hub, payee, &people[7], "4900").await;
        let grievance = file(&hub, payer, community, complaint("trade", "reversal", transfer, payee)).await;
        let seen = shown(&hub, payer, grievance).await;
        assert_eq!((&seen["state"], &seen["juries"]), (&json!("escalated"), &json!(1)));
        let first = jurors(&people, &seen);
        assert_eq!(first.len(), 3);
        assert!(first.iter().all(|one| ![payer.account, payee.account].contains(&one.account)));
        does(&hub, payee, grievance, evidence("It rained.")).await;

        // A friend of the payer's steps aside, and the next one is drawn; who stepped aside sees no more of it.
        let aside = json!({ "conflict": { "reason": "We are friends." } });
        assert_eq!(refused(&hub, payee, grievance, aside.clone()).await, "not_yours");
        does(&hub, first[0], grievance, aside.clone()).await;
        assert_eq!(look(&hub, first[0], grievance).await.refusal().0, 404);
        let seen = shown(&hub, payer, grievance).await;
        let second = jurors(&people, &seen);
        assert_eq!(second.len(), 3);
        assert!(second.iter().all(|one| one.account != first[0].account));
        assert!(first[1..].iter().all(|one| second.iter().any(|other| other.account == one.account)));
        let parties = [payer.account, payee.account, first[0].account];
        let outsider = people.iter().find(|one| {
            !parties.contains(&one.account) && second.iter().all(|juror| juror.account != one.account)
        });
        let outsider = outsider.unwrap();
        assert_eq!(look(&hub, outsider, grievance).await.refusal().0, 404);

        let (vote, seen) = seats(&hub, payer, grievance).await;
        assert_eq!(seen["due"], Value::Null);
        assert_eq!(refused(&hub, second[0], grievance, aside).await, "not_now");
        assert_eq!(refused(&hub, payee, grievance, evidence("late")).await, "not_now");
        // One vote engine: frozen electors, hidden ballots, the community's own proposal for those who may read it.
        let token = second[0].sign_in(&hub).await;
        let asked = hub.get_as(&token, &format!("/v1/proposals/{vote}")).await.body;
        assert_eq!(asked["electorate"], json!({ "jury": grievance }));
        assert_eq!(asked["effect"], json!({ "ruling": { "grievance": grievance } }));
        assert_eq!((&asked["ballots"], &asked["electors"]), (&json!("hidden"), &json!(3)));
        // Who judges reads what the complainant has signed, and of what it is about what they may: the payment is between two.
        let judged = shown(&hub, second[0], grievance).await;
        assert_eq!(
            (&judged["record"]["id"], &judged["record"]["body"]["text"], &judged["about"]),
            (&json!(grievance), &json!("Nothing was done."), &Value::Null)
        );
        assert_eq!(shown(&hub, payee, grievance).await["about"]["id"], json!(transfer));
        let stranger = outsider.sign_in(&hub).await;
        assert_eq!(hub.get_as(&stranger, &format!("/v1/proposals/{vote}")).await.refusal().0, 404);
        let seen_by_juror = hub.get_as(&token, &format!("/v1/grievances/{grievance}/steps")).await.body;
        assert_eq!(seen_by_juror["items"][0]["record"]["body"]["step"]["evidence"]["text"], "It rained.");
        let share = |share: &str| json!({ "number": share });
        assert_eq!(hub.refuses(&ballot(&hub, payee, vote, share("0"))).await.2, "electors_only");
        assert_eq!(hub.refuses(&ballot(&hub, second[0], vote, share("10001"))).await.2, "choice");
        hub.say(&ballot(&hub, second[0], vote, share("10000"))).await;
        hub.say(&ballot(&hub, second[1], vote, share("10000"))).await;
        let ballots = async |who: &Person| {
            let token = who.sign_in(&hub).await;
            let page = hub.get_as(&token, &format!("/v1/proposals/{vote}/ballots")).await.body;
            page["items"].as_array().unwrap().len()
        };
        assert_eq!((ballots(second[0]).await, ballots(second[2]).await, ballots(payer).await), (1, 0, 0));
        closes(&hub, payer, vote).await;
        let seen = until(&hub, payer, grievance, "resolved").await;
        assert_eq!(
            (&seen["resolution"]["ending"], &seen["resolution"]["outcome"]),
            (&json!("ruled"), &json!("void_transaction"))
        );
        assert_eq!(seen["resolution"]["unexecuted"], Value::Null);
        assert_eq!((ballots(second[2]).await, ballots(payer).await), (2, 2));
        // The payee owes it, as far as its limit goes.
        assert_eq!((balance(&hub, payer).await, balance(&hub, payee).await), ("0".into(), "-4900".into()));
        // Two have voted, and were paid 40 each of the treasury's 100.
        assert_eq!((&seen["vote"]["reward"], treasury(&hub, community).await), (&json!("40"), "20".into()));
        let token = second[0].sign_in(&hub).await;
        let statement = hub.get_as(&token, "/v1/ledger/statement").await.body;
        let last = statement["items"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&last["type"], &last["amount"]), (&json!("governance_reward"), &json!("40")));
        sound(hub).await;
    }
}

/// A proposal that a party rejects comes before a jury without the mediator; a treasury that has too little pays nobody, and that is
/// said; juries that do not decide are followed by others, three in all.
#[tokio::test]
async fn a_jury_that_does_not_decide_is_followed_by_another() {
    let settings = [("jury_size", "13"), ("juror_reward", "40")];
    for (hub, people, community) in grounds(7, &settings).await {
        let [steward, payer, payee, ..] = &people[..] else { panic!() };
        deposit(&hub, payer, community, "50").await;
        let transfer = pay(&hub, payer, payee, "150").await;
        let grievance =
            file(&hub, payer, community, complaint("contribution", "reversal", transfer, payee)).await;
        does(&hub, steward, grievance, json!("take")).await;
        let void = json!({ "propose": { "outcome": "void_transaction", "reason": "" } });
        does(&hub, steward, grievance, void).await;
        does(&hub, payee, grievance, json!("reject")).await;
        let seen = shown(&hub, payer, grievance).await;
        let drawn = jurors(&people, &seen);
        // As many as there are.
        assert_eq!(drawn.len(), 4);
        assert!(drawn.iter().all(|one| one.account != steward.account));
        // Nobody votes; then too few take a side; then they decide.
        let (vote, _) = seats(&hub, payer, grievance).await;
        closes(&hub, payer, vote).await;
        let seen = until(&hub, payer, grievance, "escalated").await;
        assert_eq!((&seen["juries"], &seen["vote"]["reward"]), (&json!(2), &json!("0")));
        assert_eq!(seen["vote"]["unrewarded"]["rule"], "undecided");
        let (vote, _) = seats(&hub, payer, grievance).await;
        for juror in &drawn[..2] {
            hub.say(&ballot(&hub, juror, vote, json!("abstain"))).await;
        }
        closes(&hub, payer, vote).await;
        let seen = until(&hub, payer, grievance, "escalated").await;
        assert_eq!((&seen["juries"], &seen["vote"]["unrewarded"]["rule"]), (&json!(3), &json!("undecided")));
        let (vote, _) = seats(&hub, payer, grievance).await;
        for (juror, share) in drawn.iter().zip(["0", "3000", "9000"]) {
            hub.say(&ballot(&hub, juror, vote, json!({ "number": share }))).await;
        }
        closes(&hub, payer, vote).await;
        let seen = until(&hub, payer, grievance, "resolved").await;
        assert_eq!(seen["resolution"]["outcome"]["partial_adjustment"]["amount"], "45");
        assert_eq!(
            (&seen["vote"]["reward"], &seen["vote"]["unrewarded"]["rule"]),
            (&json!("0"), &json!("below_floor"))
        );
        assert_eq!(treasury(&hub, community).await, "50");
        assert_eq!((balance(&hub, payer).await, balance(&hub, payee).await), ("-155".into(), "105".into()));
        // The ruling of a third jury that says nothing is that nothing changes.
        let other = pay(&hub, payer, payee, "1500").await;
        let grievance = file(&hub, payer, community, complaint("trade", "reversal", other, payee)).await;
        for _ in 0..3 {
            let (vote, _) = seats(&hub, payer, grievance).await;
            closes(&hub, payer, vote).await;
            let token = payer.sign_in(&hub).await;
            let gone = async {
                let path = format!("/v1/grievances/{grievance}");
                while hub.get_as(&token, &path).await.body["state"] == "voting" {
                    hub.look();
                }
            };
            tokio::time::timeout(Duration::from_secs(60), gone).await.unwrap();
        }
        let seen = shown(&hub, payer, grievance).await;
        assert_eq!(
            (&seen["state"], &seen["resolution"]["ending"]),
            (&json!("resolved"), &json!("undecided"))
        );
        assert_eq!(balance(&hub, payee).await, "1605");
        sound(hub).await;
    }
}

/// Who abstains is not paid, and a day has a bound that the next one does not have any more.
#[tokio::test]
async fn only_who_takes_a_side_is_paid_and_only_so_much_a_day() {
    let settings =
        [("jury_size", "3"), ("jury_seconds", "240"), ("juror_reward", "40"), ("juror_rewards_daily", "100")];
    let share = |share: &str| json!({ "number": share });
    for (hub, people, community) in grounds(5, &settings).await {
        let [_, payer, payee, ..] = &people[..] else { panic!() };
        deposit(&hub, payer, community, "500").await;
        for (wait, reward, rule, left) in [
            (0, "40", Value::Null, "420"),
            // Two more would be 160 within a day.
            (0, "0", json!("rewards_of_the_day"), "420"),
            (86_400_000, "40", Value::Null, "340"),
        ] {
            hub.clock.pass_ms(wait);
            let transfer = pay(&hub, payee, payer, "1100").await;
            let grievance =
                file(&hub, payee, community, complaint("trade", "reversal", transfer, payer)).await;
            let (vote, seen) = seats(&hub, payee, grievance).await;
            let drawn = jurors(&people, &seen);
            for (juror, choice) in drawn.iter().zip([json!("abstain"), share("0"), share("0")]) {
                hub.say(&ballot(&hub, juror, vote, choice)).await;
            }
            let before = balance(&hub, drawn[0]).await;
            closes(&hub, payee, vote).await;
            let seen = until(&hub, payee, grievance, "resolved").await;
            assert_eq!(
                (&seen["vote"]["reward"], &seen["vote"]["unrewarded"]["rule"]),
                (&json!(reward), &rule)
            );
            assert_eq!(
                (balance(&hub, drawn[0]).await, treasury(&hub, community).await),
                (before, left.into())
            );
        }
        sound(hub).await;
    }
}

/// Until the jury votes the parties may end it: the complainant alone, or both by what the mediator has proposed.
#[tokio::test]
async fn before_a_jury_votes_the_parties_may_still_end_it() {
    for (hub, people, community) in grounds(7, &[("jury_size", "3")]).await {
        let [steward, payer, payee, ..] = &people[..] else { panic!() };
        let void = json!({ "propose": { "outcome": "void_transaction", "reason": "" } });
        let accept = |proposal: RecordId| json!({ "accept": { "proposal": proposal } });
        let mediated = async |leaves: (&Person, Value)| {
            let transfer = pay(&hub, payer, payee, "100").await;
            let filed = file(&hub, payer, community, complaint("trade", "reversal", transfer, payee)).await;
            does(&hub, steward, filed, json!("take")).await;
            let proposal = does(&hub, steward, filed, void.clone()).await;
            does(&hub, payer, filed, accept(proposal)).await;
            does(&hub, leaves.0, filed, leaves.1).await;
            assert_eq!(shown(&hub, payer, filed).await["state"], "escalated");
            (filed, proposal)
        };
        // Who rejected it thinks again; what one had accepted before has to be accepted once more.
        let (filed, proposal) = mediated((payee, json!("reject"))).await;
        does(&hub, payee, filed, accept(proposal)).await;
        assert_eq!(shown(&hub, payer, filed).await["state"], "escalated");
        does(&hub, payer, filed, accept(proposal)).await;
        let seen = shown(&hub, payer, filed).await;
        assert_eq!(
            (&seen["resolution"]["ending"], &seen["resolution"]["outcome"]),
            (&json!("settled"), &json!("void_transaction"))
        );
        assert_eq!(balance(&hub, payee).await, "0");
        // What a mediator leaves who has a conflict, or who says that it is everybody's, settles nothing.
        for leaves in [json!({ "conflict": { "reason": "" } }), json!("community_wide")] {
            let (filed, proposal) = mediated((steward, leaves)).await;
            assert_eq!(refused(&hub, payer, filed, accept(proposal)).await, "other_proposal");
            assert_eq!(refused(&hub, payee, filed, json!("withdraw")).await, "not_yours");
            does(&hub, payer, filed, json!("withdraw")).await;
            assert_eq!(shown(&hub, payer, filed).await["resolution"]["ending"], "withdrawn");
        }
        let (filed, proposal) = mediated((payee, json!("reject"))).await;
        seats(&hub, payer, filed).await;
        for late in [json!("withdraw"), accept(proposal)] {
            assert_eq!(refused(&hub, payer, filed, late).await, "not_now");
        }
        sound(hub).await;
    }
}

/// Not even a juror's list has the vote of a jury, and no page has a place for it.
#[tokio::test]
async fn the_list_of_proposals_tells_nothing_of_juries() {
    for (hub, people, community) in grounds(5, &[("jury_size", "3")]).await {
        let [_, payer, payee, ..] = &people[..] else { panic!() };
        let transfer = pay(&hub, payer, payee, "2000").await;
        let grievance = file(&hub, payer, community, complaint("trade", "reversal", transfer, payee)).await;
        let (vote, seen) = seats(&hub, payer, grievance).await;
        hub.clock.pass_ms(1);
        let text = crate::governance::tests::asked(&hub, json!("text"));
        let asked = hub.say(&payer.record_about(&hub, "proposal@1", community, text)).await;
        // One vote has set the size of juries before.
        let first = hub.get("/v1/proposals?limit=1").await.body;
        let next = first["next"].as_str().unwrap();
        let second = hub.get(&format!("/v1/proposals?limit=1&after={next}")).await.body;
        assert_eq!(second["items"][0]["id"], json!(asked));
        let token = of(&people, &seen["jurors"][0]).sign_in(&hub).await;
        let list = hub.get_as(&token, "/v1/proposals").await.body;
        assert_eq!(list["items"].as_array().unwrap().len(), 2);
        assert_eq!(hub.get_as(&token, &format!("/v1/proposals/{vote}")).await.status, 200);
        sound(hub).await;
    }
}

/// The mediator says that it is everybody's matter, or has a conflict; a majority decides on what is no payment.
#[tokio::test]
async fn a_jury_upholds_or_rejects_what_is_no_payment() {
    for (hub, people, community) in grounds(7, &[("jury_size", "3")]).await {
        let [steward, complains, respondent, second, ..] = &people[..] else { panic!() };
        hub.clock.pass_ms(1);
        let profile =
            json!({ "name": "Somebody", "text": "I weed everything.", "languages": ["en"], "avatar": null });
        let said = hub.say(&respondent.record(&hub, "profile@1", profile)).await;
        let mut made = said;
        for (by, whom) in [(steward, second), (second, respondent)] {
            hub.clock.pass_ms(1);
            let member = json!({ "account": whom.account, "role": "steward" });
            made = hub.say(&by.record_about(&hub, "membership@1", community, member)).await;
        }
        for (body, out, yes, outcome) in [
            (complaint("attestation", "statement", said, respondent), json!("community_wide"), 2, "upheld"),
            (
                complaint("membership", "removal", made, respondent),
                json!({ "conflict": { "reason": "" } }),
                1,
                "rejected",
            ),
        ] {
            let (aside, subject) = (out["conflict"].is_object(), body["subject"].clone());
            let grievance = file(&hub, complains, community, body).await;
            if aside {
                // Who has said the membership neither mediates nor judges.
                assert_eq!(refused(&hub, second, grievance, json!("take")).await, "unknown_grievance");
            }
            does(&hub, steward, grievance, json!("take")).await;
            does(&hub, steward, grievance, out).await;
            // Whoever has a conflict reads no more of it.
            assert_eq!(look(&hub, steward, grievance).await.status, if aside { 404 } else { 200 });
            let (vote, seen) = seats(&hub, complains, grievance).await;
            for (nth, juror) in jurors(&people, &seen).into_iter().enumerate() {
                assert!(juror.account != steward.account && !(aside && juror.account == second.account));
                assert_eq!(shown(&hub, juror, grievance).await["about"]["id"], subject);
                let choice = if nth < yes { "yes" } else { "no" };
                hub.say(&ballot(&hub, juror, vote, json!(choice))).await;
            }
            closes(&hub, complains, vote).await;
            let seen = until(&hub, complains, grievance, "resolved").await;
            assert_eq!(
                (&seen["resolution"]["ending"], &seen["resolution"]["outcome"]),
                (&json!("ruled"), &json!(outcome))
            );
        }
        // Who has said something about somebody has lost no dispute over what was given.
        assert_eq!(hub.get("/v1/credentials").await.body["items"], json!([]));
        // Nobody but the hub asks a jury, and a jury is asked nothing else.
        let mut body = crate::governance::tests::asked(&hub, json!("text"));
        body["electorate"] = json!({ "jury": made });
        assert_eq!(
            hub.refuses(&complains.record_about(&hub, "proposal@1", community, body.clone())).await.2,
            "ruling"
        );
        body["effect"] = json!({ "ruling": { "grievance": made } });
        assert_eq!(
            hub.refuses(&complains.record_about(&hub, "proposal@1", community, body.clone())).await.2,
            "hub_only"
        );
        body["electorate"] = json!({ "roles": ["member"] });
        assert_eq!(
            hub.refuses(&complains.record_about(&hub, "proposal@1", community, body)).await.2,
            "ruling"
        );
        sound(hub).await;
    }
}

//! What acceptances do, on both engines.

use super::*;

async fn governed() -> Vec<(TestHub, Vec<Person>, RecordId)> {
    let mut grounds = Vec::new();
    for mut hub in TestHub::on_both_with(|config| config.time_credit_limit = 1_000).await {
        let (people, community) = community(&hub, 3).await;
        hub.config.time_credit_community = Some(community);
        hub.restart_after(1).await;
        grounds.push((hub, people, community));
    }
    grounds
}

fn deposit(hub: &TestHub, who: &Person, community: RecordId, amount: &str) -> Value {
    hub.clock.pass_ms(1);
    let body = json!({ "asset": "time_credit", "amount": amount, "note": "for seeds" });
    who.record_about(hub, "deposit@1", community, body)
}

async fn balance(hub: &TestHub, who: &Person) -> (String, String) {
    let token = who.sign_in(hub).await;
    let account = hub.get_as(&token, "/v1/ledger/statement").await.body["account"].clone();
    let text = |name: &str| account[name].as_str().unwrap().to_owned();
    (text("balance"), text("floor"))
}

async fn treasury(hub: &TestHub, community: RecordId) -> String {
    let page = hub.get(&format!("/v1/communities/{community}/treasury")).await.body;
    page["items"][0]["balance"].as_str().unwrap_or("none").to_owned()
}

async fn sound(hub: TestHub) {
    let found = crate::verify_ledger(&hub.config).await.unwrap();
    assert_eq!(found.faults, 0, "{found:?}");
    hub.end().await;
}

fn pay(to: &Person, amount: &str) -> Value {
    json!({ "treasury_transfer": { "asset": "time_credit", "to": to.account, "amount": amount, "payment": "reward" } })
}

#[tokio::test]
async fn a_treasury_takes_from_whoever_signs_and_pays_by_a_vote_alone() {
    for (hub, people, community) in governed().await {
        assert_eq!(treasury(&hub, community).await, "none");
        let outsider = Person::arrive(&hub, 9).await;
        assert_eq!(hub.refuses(&deposit(&hub, &outsider, community, "5")).await.2, "members_only");
        assert_eq!(hub.refuses(&deposit(&hub, &people[1], community, "0")).await.2, "amount");
        assert_eq!(hub.refuses(&deposit(&hub, &people[1], community, "1001")).await.2, "below_floor");
        hub.say(&deposit(&hub, &people[1], community, "400")).await;
        assert_eq!(
            (balance(&hub, &people[1]).await.0.as_str(), treasury(&hub, community).await.as_str()),
            ("-400", "400")
        );
        let now = agreed(&hub, &people, community, pay(&people[2], "150")).await;
        assert_eq!((&now["state"], &now["unexecuted"]), (&json!("executed"), &Value::Null), "{now}");
        assert_eq!(
            (balance(&hub, &people[2]).await.0.as_str(), treasury(&hub, community).await.as_str()),
            ("150", "250")
        );
        // The entry names the tally that it is the effect of.
        let token = people[2].sign_in(&hub).await;
        let entry = hub.get_as(&token, "/v1/ledger/statement").await.body["items"][0].clone();
        assert_eq!((&entry["record"], &entry["type"]), (&now["tally"], &json!("governance_reward")));
        // More than it has: decided all the same, and nothing of it happens.
        let rows = hub.rows().await;
        let now = agreed(&hub, &people, community, pay(&outsider, "251")).await;
        assert_eq!(
            (&now["state"], &now["unexecuted"]["rule"]),
            (&json!("unexecuted"), &json!("below_floor"))
        );
        assert_eq!(treasury(&hub, community).await, "250");
        let ledger = |rows: &[(&'static str, i64)]| -> Vec<_> {
            rows.iter().filter(|(table, _)| table.starts_with("ledger_")).copied().collect()
        };
        assert_eq!(ledger(&hub.rows().await), ledger(&rows));
        // Rejected: nothing happens either.
        let proposal = propose(&hub, &people[0], community, asked(&hub, pay(&people[2], "1"))).await;
        all_say(&hub, &people[..2], proposal, "no").await;
        let now = decided(&hub, proposal).await;
        assert_eq!((&now["state"], &now["unexecuted"]), (&json!("rejected"), &Value::Null));
        assert_eq!(treasury(&hub, community).await, "250");
        sound(hub).await;
    }
}

#[tokio::test]
async fn accounts_are_adjusted_and_limits_given_by_the_community_that_governs_the_hours() {
    for (hub, people, community) in governed().await {
        let adjust = |against: &str, entries: &[(&Person, &str)]| {
            let entries: Vec<Value> = entries
                .iter()
                .map(|(who, amount)| json!({ "account": who.account, "amount": amount }))
                .collect();
            json!({ "admin_adjustment": { "asset": "time_credit", "against": against, "entries": entries } })
        };
        let [a, b, c] = [&people[0], &people[1], &people[2]];
        hub.say(&deposit(&hub, c, community, "100")).await;
        let now = agreed(&hub, &people, community, adjust("issuer", &[(a, "70"), (b, "-20")])).await;
        assert_eq!(now["state"], "executed", "{now}");
        assert_eq!((balance(&hub, a).await.0.as_str(), balance(&hub, b).await.0.as_str()), ("70", "-20"));
        // Members among themselves, and against the treasury.
        let now = agreed(&hub, &people, community, adjust("treasury", &[(a, "-50"), (b, "50")])).await;
        assert_eq!((&now["state"], treasury(&hub, community).await.as_str()), (&json!("executed"), "100"));
        let now = agreed(&hub, &people, community, adjust("treasury", &[(b, "60")])).await;
        assert_eq!((&now["state"], treasury(&hub, community).await.as_str()), (&json!("executed"), "40"));
        for (effect, rule) in [
            (adjust("treasury", &[(b, "41")]), "below_floor"),
            (adjust("treasury", &[(a, "-1"), (b, "42")]), "below_floor"),
        ] {
            let now = agreed(&hub, &people, community, effect).await;
            assert_eq!(
                (&now["state"], &now["unexecuted"]["rule"]),
                (&json!("unexecuted"), &json!(rule)),
                "{now}"
            );
        }
        assert_eq!((balance(&hub, a).await.0.as_str(), balance(&hub, b).await.0.as_str()), ("20", "90"));
        // Who gives everything away before the tally owes what is taken, and gives nothing until it is settled.
        let effect = adjust("treasury", &[(a, "-30")]);
        let proposal = propose(&hub, b, community, asked(&hub, effect)).await;
        all_say(&hub, &people, proposal, "yes").await;
        hub.say(&deposit(&hub, a, community, "1020")).await;
        assert_eq!(decided(&hub, proposal).await["state"], "executed");
        assert_eq!(balance(&hub, a).await, ("-1030".to_owned(), "-1000".to_owned()));
        assert_eq!(hub.refuses(&deposit(&hub, a, community, "1")).await.2, "below_floor");
        assert_eq!(agreed(&hub, &people, community, pay(a, "1050")).await["state"], "executed");
        assert_eq!(balance(&hub, a).await.0, "20");

        let limit = |who: &Person, limit: Value| json!({ "credit_limit": { "asset": "time_credit", "account": who.account, "limit": limit } });
        let fresh = Person::arrive(&hub, 9).await;
        for (who, value, floor) in
            [(b, json!("5000"), "-5000"), (b, Value::Null, "-1000"), (&fresh, json!("0"), "0")]
        {
            let now = agreed(&hub, &people, community, limit(who, value)).await;
            assert_eq!((&now["state"], balance(&hub, who).await.1.as_str()), (&json!("executed"), floor));
        }
        sound(hub).await;
    }
}

#[tokio::test]
async fn members_are_admitted_expelled_and_named_stewards() {
    for hub in TestHub::on_both().await {
        let (people, community) = community(&hub, 3).await;
        let fresh = Person::arrive(&hub, 9).await;
        let member =
            |who: &Person, role: Value| json!({ "membership": { "account": who.account, "role": role } });
        let roles = async || -> Vec<(Value, Value)> {
            let seen = hub.get(&format!("/v1/communities/{community}")).await.body;
            seen["members"]
                .as_array()
                .unwrap()
                .iter()
                .map(|m| (m["account"].clone(), m["role"].clone()))
                .collect()
        };
        for (who, role) in [
            (&fresh, json!("member")),
            (&fresh, json!("steward")),
            (&people[0], Value::Null),
            (&people[2], Value::Null),
        ] {
            // Voted on by those who belong to it by then, of whom these two are always.
            let proposal = propose(&hub, &people[1], community, asked(&hub, member(who, role.clone()))).await;
            all_say(&hub, &people[1..2], proposal, "yes").await;
            for other in [&fresh, &people[2], &people[0]] {
                let vote = ballot(&hub, other, proposal, json!("yes"));
                let answer = hub.post("/v1/records", &vote).await;
                assert!(matches!(answer.status, 201 | 403), "{answer:?}");
            }
            let now = decided(&hub, proposal).await;
            assert_eq!(now["state"], "executed", "{now}");
            if role == json!("member") {
                // A vote makes nobody a member who has not said so.
                assert!(!roles().await.iter().any(|(account, _)| *account == json!(who.account)));
                let waits = hub.get_as(&who.sign_in(&hub).await, "/v1/invitations").await.body;
                assert_eq!(waits["items"][0]["said_by"], "vote");
                let joins = json!({ "account": who.account, "role": role });
                hub.say(&who.record_about(&hub, "membership@1", community, joins)).await;
            }
            let stands = roles().await.into_iter().find(|(account, _)| *account == json!(who.account));
            assert_eq!(stands.map_or(Value::Null, |(_, stands)| stands), role);
        }
        // The only steward is left, and stays.
        let proposal =
            propose(&hub, &people[1], community, asked(&hub, member(&fresh, json!("member")))).await;
        for who in [&fresh, &people[1]] {
            hub.say(&ballot(&hub, who, proposal, json!("yes"))).await;
        }
        let now = decided(&hub, proposal).await;
        assert_eq!(
            (&now["state"], &now["unexecuted"]["rule"]),
            (&json!("unexecuted"), &json!("last_steward"))
        );
        hub.end().await;
    }
}

#[tokio::test]
async fn a_community_sets_its_own_rules_by_a_value_or_by_the_median() {
    for hub in TestHub::on_both().await {
        let (people, community) = community(&hub, 3).await;
        let setting = |name: &str, value: Value| json!({ "setting": { "setting": name, "value": value } });
        let held = async || -> Vec<(String, String)> {
            let list = hub.get(&format!("/v1/communities/{community}/settings")).await.body;
            let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
            list.as_array().unwrap().iter().map(|one| (text(one, "setting"), text(one, "value"))).collect()
        };
        let is = |window: &str, quorum: &str, approval: &str| {
            [
                ("window_min_seconds", window),
                ("quorum_min_percent", quorum),
                ("approval_min_percent", approval),
                ("members_by_vote", "0"),
                ("mediation_seconds", "604800"),
                ("mediator_authority", "1000"),
                ("mediator_deal_digits", "38"),
                ("jury_size", "5"),
                ("jury_seconds", "345600"),
                ("juror_reward", "0"),
                ("juror_rewards_daily", "10000"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
        };
        assert_eq!(held().await, is("259200", "50", "50"));
        let now = agreed(&hub, &people, community, setting("window_min_seconds", json!("60"))).await;
        assert_eq!((&now["state"], held().await), (&json!("executed"), is("60", "50", "50")));
        let mut body = asked(&hub, setting("quorum_min_percent", Value::Null));
        body["rule"]["needs"] = json!({ "median": { "lowest": "1", "highest": "100" } });
        body["closes"] = json!(Stamp::from_ms(hub.now() + 60_000));
        let proposal = propose(&hub, &people[1], community, body).await;
        assert_eq!(hub.refuses(&ballot(&hub, &people[0], proposal, json!("yes"))).await.2, "choice");
        assert_eq!(
            hub.refuses(&ballot(&hub, &people[0], proposal, json!({ "number": "101" }))).await.2,
            "choice"
        );
        for (who, number) in people.iter().zip(["30", "80", "70"]) {
            hub.say(&ballot(&hub, who, proposal, json!({ "number": number }))).await;
        }
        let now = decided(&hub, proposal).await;
        assert_eq!((&now["result"]["median"], held().await), (&json!("70"), is("60", "70", "50")));
        let mut body = asked(&hub, setting("approval_min_percent", json!("67")));
        assert_eq!(
            hub.refuses(&people[0].record_about(&hub, "proposal@1", community, body.clone())).await.2,
            "quorum"
        );
        body["rule"]["quorum"] = json!("7/10");
        let proposal = propose(&hub, &people[0], community, body.clone()).await;
        all_say(&hub, &people, proposal, "yes").await;
        decided(&hub, proposal).await;
        assert_eq!(held().await, is("60", "70", "67"));
        body["closes"] = json!(Stamp::from_ms(hub.now() + WINDOW_MS));
        assert_eq!(
            hub.refuses(&people[0].record_about(&hub, "proposal@1", community, body)).await.2,
            "approval"
        );
        assert_eq!(hub.get(&format!("/v1/communities/{proposal}/settings")).await.refusal().0, 404);
        hub.end().await;
    }
}

#[tokio::test]
async fn a_community_may_leave_its_members_to_its_votes_alone() {
    for hub in TestHub::on_both().await {
        let (people, community) = community(&hub, 3).await;
        let fresh = Person::arrive(&hub, 9).await;
        let by_vote = json!({ "setting": { "setting": "members_by_vote", "value": "1" } });
        agreed(&hub, &people, community, by_vote).await;
        let says = |who: &Person, whom: &Person, role: Value| {
            let body = json!({ "account": whom.account, "role": role });
            who.record_about(&hub, "membership@1", community, body)
        };
        assert_eq!(hub.refuses(&says(&people[0], &fresh, json!("member"))).await.2, "by_vote_only");
        assert_eq!(hub.refuses(&says(&people[0], &people[1], Value::Null)).await.2, "by_vote_only");
        assert_eq!(hub.refuses(&says(&people[1], &fresh, json!("member"))).await.2, "steward_only");
        // Whoever asks waits for a vote, and then belongs to it at once.
        hub.say(&says(&fresh, &fresh, json!("member"))).await;
        assert_eq!(hub.refuses(&says(&people[0], &fresh, json!("steward"))).await.2, "by_vote_only");
        let admit = json!({ "membership": { "account": fresh.account, "role": "member" } });
        assert_eq!(agreed(&hub, &people, community, admit).await["state"], "executed");
        let seen = hub.get(&format!("/v1/communities/{community}")).await.body;
        assert_eq!(seen["members"].as_array().unwrap().len(), 4);
        // Leaving is still everybody's own.
        hub.say(&says(&fresh, &fresh, Value::Null)).await;
        hub.end().await;
    }
}

#[tokio::test]
async fn an_asset_that_is_governed_no_more_is_adjusted_no_more() {
    for (mut hub, people, community) in governed().await {
        let effect =
            json!({ "credit_limit": { "asset": "time_credit", "account": people[1].account, "limit": "7" } });
        let proposal = propose(&hub, &people[0], community, asked(&hub, effect)).await;
        all_say(&hub, &people, proposal, "yes").await;
        hub.config.time_credit_community = None;
        hub.restart_after(WINDOW_MS).await;
        let now = told(&hub, proposal).await;
        assert_eq!(
            (&now["state"], &now["unexecuted"]["rule"]),
            (&json!("unexecuted"), &json!("not_governed"))
        );
        sound(hub).await;
    }
}

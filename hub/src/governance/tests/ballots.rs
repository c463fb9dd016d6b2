//! Proposals and ballots over HTTP, on both engines.

use std::{collections::BTreeSet, sync::Arc};

use service::clock::Clock as _;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    Error, Hub,
    governance::{
        model::TallyBody,
        room, store,
        tally::{Ballot, Verdict, digest, tally},
    },
    identity::silence_statement,
    records::{DeviceKey, Draft, Record, say, submit},
    testing::{StillClock, message, says, signed},
};

async fn ballots(hub: &TestHub, token: Option<&str>, proposal: RecordId, query: &str) -> Value {
    let path = format!("/v1/proposals/{proposal}/ballots{query}");
    let answer = match token {
        Some(token) => hub.get_as(token, &path).await,
        None => hub.get(&path).await,
    };
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[tokio::test]
async fn electors_vote_until_the_close_and_anyone_counts_the_same() {
    for hub in TestHub::on_both().await {
        let (people, community) = community(&hub, 5).await;
        let outsider = Person::arrive(&hub, 9).await;
        let proposal = propose(&hub, &people[1], community, asked(&hub, json!("text"))).await;
        let open = shown(&hub, proposal).await;
        assert_eq!(
            (&open["state"], &open["electors"], &open["voted"], &open["result"]),
            (&json!("open"), &json!(5), &json!(0), &Value::Null)
        );
        // Who comes later has no vote, and who leaves keeps it: the electorate was frozen.
        join(&hub, &people[0], community, &outsider).await;
        hub.clock.pass_ms(1);
        let leaves = json!({ "account": people[4].account, "role": null });
        hub.say(&people[4].record_about(&hub, "membership@1", community, leaves)).await;
        let refused = hub.refuses(&ballot(&hub, &outsider, proposal, json!("no"))).await;
        assert_eq!((refused.0, refused.2.as_str()), (403, "electors_only"));
        for (person, choice) in people.iter().zip(["yes", "no", "yes", "abstain", "no"]) {
            hub.say(&ballot(&hub, person, proposal, json!(choice))).await;
        }
        // A second thought replaces the first.
        hub.say(&ballot(&hub, &people[4], proposal, json!("yes"))).await;
        assert_eq!(shown(&hub, proposal).await["voted"], 5);
        let again = ballot(&hub, &people[4], proposal, json!("yes"));
        hub.say(&again).await;
        assert_eq!(hub.post("/v1/records", &again).await.status, 200);
        for (choice, rule) in
            [(json!({ "number": "3" }), "choice"), (json!("maybe"), "body"), (json!(1), "body")]
        {
            assert_eq!(hub.refuses(&ballot(&hub, &people[0], proposal, choice)).await.2, rule);
        }
        let loud = people[0].record_about(&hub, "vote@1", proposal, json!({ "choice": "yes" }));
        assert_eq!(hub.refuses(&loud).await.2, "ballot_audience");
        let nowhere = ballot(&hub, &people[0], people[0].account, json!("yes"));
        assert_eq!(hub.refuses(&nowhere).await.2, "unknown_proposal");

        let now = decided(&hub, proposal).await;
        assert_eq!(now["state"], "executed");
        let result = json!({
            "electors": 5, "voted": 5, "yes": 3, "no": 1, "abstained": 1, "median": null, "verdict": "accepted",
        });
        assert_eq!(now["result"], result);
        let late = hub.refuses(&ballot(&hub, &people[0], proposal, json!("no"))).await;
        assert_eq!((late.0, late.2.as_str()), (409, "decided"));

        // From what everybody can read to the hub's word.
        let said = hub.get(&format!("/v1/records/{}", now["tally"].as_str().unwrap())).await.body;
        assert_eq!(Record::read(&said).unwrap().kind, "tally@1");
        let (mut electors, mut after) = (BTreeSet::<RecordId>::new(), String::new());
        loop {
            let page = hub.get(&format!("/v1/proposals/{proposal}/electors?limit=2{after}")).await.body;
            let found = page["items"].as_array().unwrap();
            electors.extend(found.iter().map(|id| id.as_str().unwrap().parse::<RecordId>().unwrap()));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(electors, people.iter().map(|person| person.account).collect());
        let (mut cast, mut after) = (Vec::new(), "0".to_owned());
        loop {
            let page = ballots(&hub, None, proposal, &format!("?limit=3&after={after}")).await;
            for item in page["items"].as_array().unwrap() {
                let record = Record::read(&item["record"]).unwrap();
                cast.push(Ballot {
                    seq: item["seq"].as_str().unwrap().parse().unwrap(),
                    received_at: item["received"].as_str().unwrap().parse::<Stamp>().unwrap().ms(),
                    elector: record.account(),
                    record: record.id,
                    choice: serde_json::from_value(record.body["choice"].clone()).unwrap(),
                });
            }
            match page["next"].as_str() {
                Some(next) => after = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(cast.len(), 7);
        let rule = serde_json::from_value(now["rule"].clone()).unwrap();
        let closes: Stamp = now["closes"].as_str().unwrap().parse().unwrap();
        let mine = tally(&electors, &rule, closes.ms(), &cast);
        assert_eq!((mine.verdict, serde_json::to_value(mine).unwrap()), (Verdict::Accepted, result));
        assert_eq!(said["body"]["electorate"], digest(&electors));
        // The first four, and the last of the fifth.
        let counting: Vec<RecordId> = [0, 1, 2, 3, 6].map(|nth| cast[nth].record).to_vec();
        assert_eq!(said["body"]["ballots"], digest(&counting));
        hub.end().await;
    }
}

#[tokio::test]
async fn hidden_ballots_are_their_voters_until_the_close() {
    for hub in TestHub::on_both().await {
        let (people, community) = community(&hub, 3).await;
        let (anna, ben) = (people[0].sign_in(&hub).await, people[1].sign_in(&hub).await);
        let mut body = asked(&hub, json!("text"));
        body["ballots"] = json!("hidden");
        body["closes"] = json!(Stamp::from_ms(hub.now() + 3_600_000));
        let proposal = propose(&hub, &people[0], community, body).await;
        let cast = hub.say(&ballot(&hub, &people[0], proposal, json!("yes"))).await;
        hub.say(&ballot(&hub, &people[1], proposal, json!("no"))).await;
        hub.say(&ballot(&hub, &people[2], proposal, json!("no"))).await;
        let count = |page: &Value| page["items"].as_array().unwrap().len();
        assert_eq!(count(&ballots(&hub, None, proposal, "").await), 0);
        let own = ballots(&hub, Some(&anna), proposal, "").await;
        assert_eq!((count(&own), &own["items"][0]["record"]["id"]), (1, &json!(cast)));
        let record = format!("/v1/records/{cast}");
        assert_eq!(
            (hub.get_as(&anna, &record).await.status, hub.get_as(&ben, &record).await.status),
            (200, 404)
        );
        assert_eq!(shown(&hub, proposal).await["voted"], 3);
        let now = decided(&hub, proposal).await;
        assert_eq!((&now["state"], &now["result"]["verdict"]), (&json!("rejected"), &json!("outvoted")));
        assert_eq!(count(&ballots(&hub, None, proposal, "").await), 3);
        hub.end().await;
    }
}

#[tokio::test]
async fn a_window_that_ends_while_the_hub_is_away_is_closed_when_it_is_back() {
    for mut hub in TestHub::on_both().await {
        let (people, community) = community(&hub, 3).await;
        let proposal = propose(&hub, &people[0], community, asked(&hub, json!("text"))).await;
        all_say(&hub, &people[..1], proposal, "yes").await;
        hub.restart_after(WINDOW_MS).await;
        let now = told(&hub, proposal).await;
        assert_eq!((&now["state"], &now["result"]["verdict"]), (&json!("rejected"), &json!("quorum_missed")));
        let said = "SELECT CAST(COUNT(*) AS BIGINT) FROM log WHERE kind = 'tally@1'";
        hub.restart_after(WINDOW_MS).await;
        let second = propose(&hub, &people[0], community, asked(&hub, json!("text"))).await;
        decided(&hub, second).await;
        assert_eq!(sqlx::query_scalar::<_, i64>(said).fetch_one(&hub.eyes).await.unwrap(), 2);
        hub.end().await;
    }
}

#[tokio::test]
async fn nobody_votes_for_another_and_nobody_makes_up_a_tally() {
    for hub in TestHub::on_both().await {
        let (people, community) = community(&hub, 3).await;
        let proposal = propose(&hub, &people[0], community, asked(&hub, json!("text"))).await;
        // Not even in the name of whoever lets the hub's own device speak.
        let seed = std::fs::read_to_string(hub.config.data.join("hub.key")).unwrap();
        let mut bytes = [0; 32];
        hex::decode_to_slice(seed.trim(), &mut bytes).unwrap();
        let trusting = Person::arrive_with(&hub, Person::keys(77).0, DeviceKey::from_seed(bytes)).await;
        join(&hub, &people[0], community, &trusting).await;
        let second = propose(&hub, &people[0], community, asked(&hub, json!("text"))).await;
        let refused = hub.refuses(&ballot(&hub, &trusting, second, json!("yes"))).await;
        assert_eq!((refused.0, refused.2.as_str()), (403, "never_hub_signed"));
        let other = Draft::new(
            "vote@1",
            Some(people[1].account),
            Stamp::from_ms(hub.now()),
            json!({ "choice": "yes" }),
        )
        .about(proposal)
        .only_for(vec![Audience::Account(people[1].account)]);
        assert_eq!(hub.refuses(&other.sign(&people[2].device).unwrap()).await.2, "device_unknown");

        let count = |verdict: &str| {
            json!({ "electorate": "", "ballots": "", "result": {
                "electors": 3, "voted": 3, "yes": 3, "no": 0, "abstained": 0, "median": null, "verdict": verdict } })
        };
        let member = people[0].record_about(&hub, "tally@1", proposal, count("accepted"));
        assert_eq!(hub.refuses(&member).await.2, "hub_only");
        let account: String =
            sqlx::query_scalar("SELECT id FROM log WHERE seq = 1").fetch_one(&hub.eyes).await.unwrap();
        let own = |body: Value| {
            let draft =
                Draft::new("tally@1", Some(account.parse().unwrap()), Stamp::from_ms(hub.now()), body);
            draft.about(proposal).sign(&trusting.device).unwrap()
        };
        assert_eq!(hub.refuses(&own(count("accepted"))).await.2, "not_closed");
        assert_eq!(hub.refuses(&own(json!({}))).await.2, "body");
        decided(&hub, proposal).await;
        assert_eq!(hub.refuses(&own(count("accepted"))).await.2, "decided");
        hub.end().await;
    }
}

/// A hub whose clock is past the close, and that has not looked yet.
#[tokio::test]
async fn a_tally_is_what_the_ballots_come_to_or_it_is_refused() {
    for hub in TestHub::on_both().await {
        let (people, community) = community(&hub, 3).await;
        let proposal = propose(&hub, &people[0], community, asked(&hub, json!("text"))).await;
        all_say(&hub, &people, proposal, "no").await;
        let clock = Arc::new(StillClock::at(hub.now() + WINDOW_MS));
        let late = Hub::open(hub.config.clone(), clock.clone(), CancellationToken::new()).await.unwrap();
        let mut on = late.db.reader().acquire().await.unwrap();
        let found = store::proposal(&mut on, &proposal).await.unwrap().unwrap();
        let right = room::count(&mut on, &found, found.body.closes.ms()).await.unwrap();
        drop(on);
        let said = async |body: &TallyBody| {
            let body = serde_json::to_value(body).unwrap();
            let draft = Draft::new("tally@1", Some(late.account), Stamp::from_ms(clock.now_ms()), body);
            match say(&late, &draft.about(proposal)).await {
                Ok(_) => "taken",
                Err(Error::Refused(refusal)) => refusal.rule,
                Err(error) => panic!("{error}"),
            }
        };
        for change in [
            (|body| body.result.verdict = Verdict::Accepted) as fn(&mut TallyBody),
            |body| body.result.no = 2,
            |body| body.electorate = digest([]),
            |body| body.ballots = digest([]),
        ] {
            let mut wrong = right.clone();
            change(&mut wrong);
            assert_eq!(said(&wrong).await, "other_tally");
        }
        let vote = ballot(&hub, &people[0], proposal, json!("yes"));
        let closed = submit(&late, &vote).await;
        assert!(matches!(&closed, Err(Error::Refused(one)) if one.rule == "voting_closed"), "{closed:?}");
        assert_eq!((said(&right).await, said(&right).await), ("taken", "taken"));
        assert_eq!(shown(&hub, proposal).await["result"]["no"], 3);
        late.db.close().await;
        hub.end().await;
    }
}

#[tokio::test]
async fn what_may_not_be_proposed_is_refused_by_name() {
    for hub in TestHub::on_both().await {
        let (people, community) = community(&hub, 3).await;
        let outsider = Person::arrive(&hub, 9).await;
        let refuses = async |who: &Person, about: RecordId, body: Value| {
            hub.clock.pass_ms(1);
            let (status, _, rule, _) = hub.refuses(&who.record_about(&hub, "proposal@1", about, body)).await;
            (status, rule)
        };
        let is = |status: u16, rule: &str| (status, rule.to_owned());
        let text = || asked(&hub, json!("text"));
        assert_eq!(refuses(&outsider, community, text()).await, is(403, "members_only"));
        assert_eq!(refuses(&people[0], outsider.account, text()).await, is(422, "unknown_community"));
        let with = |name: &str, value: Value| {
            let mut body = text();
            body[name] = value;
            body
        };
        let ago = Stamp::from_ms(hub.now() - 1);
        assert_eq!(refuses(&people[0], community, with("closes", json!(ago))).await, is(422, "window"));
        assert_eq!(refuses(&people[0], community, with("effect", json!("nothing"))).await, is(422, "body"));
        assert_eq!(refuses(&people[0], community, with("title", json!(" "))).await, is(422, "name"));
        let easy = json!({ "quorum": "0/1", "needs": "majority" });
        let mut body =
            asked(&hub, json!({ "membership": { "account": outsider.account, "role": "member" } }));
        body["closes"] = json!(Stamp::from_ms(hub.now() + 2 * WINDOW_MS));
        body["rule"] = easy;
        assert_eq!(refuses(&people[0], community, body).await, is(422, "quorum"));
        let longer = |effect: Value| {
            let mut body = asked(&hub, effect);
            body["closes"] = json!(Stamp::from_ms(hub.now() + 2 * WINDOW_MS));
            body
        };
        let nobody = json!({ "membership": { "account": community, "role": null } });
        assert_eq!(refuses(&people[0], community, longer(nobody)).await, is(422, "unknown_account"));
        // A community that somebody has made for himself has no say in everybody's hours.
        let adjust = json!({ "admin_adjustment": { "asset": "time_credit", "against": "issuer",
            "entries": [{ "account": people[0].account, "amount": "1000" }] } });
        let limit = json!({ "credit_limit": { "asset": "time_credit", "account": people[0].account, "limit": "1000" } });
        for effect in [adjust, limit] {
            assert_eq!(refuses(&people[0], community, longer(effect)).await, is(422, "not_governed"));
        }
        let pay = json!({ "treasury_transfer": { "asset": community, "to": people[0].account,
            "amount": "1", "payment": "reward" } });
        assert_eq!(refuses(&people[0], community, longer(pay)).await, is(422, "unknown_asset"));
        let hubs: String =
            sqlx::query_scalar("SELECT id FROM log WHERE kind = 'hub@1'").fetch_one(&hub.eyes).await.unwrap();
        let pay = json!({ "treasury_transfer": { "asset": "time_credit", "to": hubs, "amount": "1",
            "payment": "reward" } });
        let adjust = json!({ "admin_adjustment": { "asset": "time_credit", "against": "treasury", "entries": [
            { "account": people[0].account, "amount": "-1" }, { "account": hubs, "amount": "1" } ] } });
        for effect in [pay, adjust] {
            assert_eq!(refuses(&people[0], community, longer(effect)).await, is(422, "hubs_account"));
        }
        let secret = people[0].draft(&hub, "proposal@1", text()).about(community);
        let secret = secret.only_for(vec![Audience::Account(people[0].account)]);
        assert_eq!(hub.refuses(&secret.sign(&people[0].device).unwrap()).await.2, "audience");
        let empty = with("electorate", json!({ "roles": [] }));
        assert_eq!(refuses(&people[0], community, empty).await, is(422, "roles"));
        for _ in 0..10 {
            propose(&hub, &people[1], community, text()).await;
        }
        assert_eq!(refuses(&people[1], community, text()).await, is(409, "too_many_open"));
        propose(&hub, &people[2], community, text()).await;
        hub.end().await;
    }
}

#[tokio::test]
async fn an_elector_thinks_again_so_often_and_no_more() {
    for hub in TestHub::on_both().await {
        let (people, community) = community(&hub, 2).await;
        let proposal = propose(&hub, &people[0], community, asked(&hub, json!("text"))).await;
        for nth in 0..20 {
            let choice = if nth == 19 { "yes" } else { "no" };
            hub.say(&ballot(&hub, &people[0], proposal, json!(choice))).await;
        }
        let (status, _, rule, _) = hub.refuses(&ballot(&hub, &people[0], proposal, json!("no"))).await;
        assert_eq!((status, rule.as_str()), (409, "too_many_ballots"));
        let now = decided(&hub, proposal).await;
        assert_eq!((&now["result"]["yes"], &now["result"]["voted"]), (&json!(1), &json!(1)));
        hub.end().await;
    }
}

/// Whoever kept a ballot back, as a proxy of the hub can, does not bring it when its elector has thought again.
#[tokio::test]
async fn a_ballot_that_was_kept_back_takes_no_newer_ones_place() {
    for hub in TestHub::on_both().await {
        let (people, community) = community(&hub, 2).await;
        let (anna, ben) = (&people[0], &people[1]);
        let proposal = propose(&hub, anna, community, asked(&hub, json!("text"))).await;
        let kept = [anna, ben].map(|who| ballot(&hub, who, proposal, json!("yes")));
        hub.say(&ballot(&hub, anna, proposal, json!("no"))).await;
        let (status, step, rule, field) = hub.refuses(&kept[0]).await;
        assert_eq!((status, step.as_str()), (409, "rule"));
        assert_eq!((rule.as_str(), field.as_str()), ("older_ballot", "/created"));
        // One that is late and the only one is a ballot.
        hub.say(&kept[1]).await;
        // A log of before may have one, which counts there, and is replayed.
        hub.took_before(&kept[0]).await;
        hub.say(&ballot(&hub, anna, proposal, json!("no"))).await;
        let now = decided(&hub, proposal).await;
        assert_eq!((&now["result"]["yes"], &now["result"]["no"]), (&json!(1), &json!(1)));
        hub.end().await;
    }
}

/// A device in other hands takes none of the ballots of the elector's others.
#[tokio::test]
async fn ballots_are_counted_by_device_and_by_elector() {
    for hub in TestHub::on_both().await {
        let (people, community) = community(&hub, 2).await;
        let anna = &people[0];
        let proposal = propose(&hub, anna, community, asked(&hub, json!("text"))).await;
        let mut devices = Vec::new();
        for seed in 100..106 {
            let device = DeviceKey::from_seed([seed; 32]);
            let text = message(&hub, anna.wallet.address(), &device).await.to_string();
            let add = json!({ "add": { "message": text, "signature": signed(&anna.wallet, &text) } });
            hub.say(&anna.record(&hub, "device@1", add)).await;
            devices.push(Person { wallet: Person::keys(1).0, device, account: anna.account });
        }
        // Nor does a clock that is ahead.
        let ahead = |by: &Person| {
            hub.clock.pass_ms(1);
            let mut draft = by.draft(&hub, "vote@1", json!({ "choice": "no" })).about(proposal);
            draft.created = Stamp::from_ms(hub.now() + 4 * 60_000);
            draft.only_for(vec![Audience::Account(by.account)]).sign(&by.device).unwrap()
        };
        for (nth, by) in devices.iter().enumerate().take(5) {
            for _ in 0..20 {
                hub.say(&ahead(by)).await;
            }
            let told = hub.refuses(&ahead(by)).await;
            assert_eq!((told.2.as_str(), told.3.as_str()), ("too_many_ballots", "/device"), "{nth}");
        }
        let told = hub.refuses(&ballot(&hub, &devices[5], proposal, json!("yes"))).await;
        assert_eq!((told.2.as_str(), told.3.as_str()), ("too_many_ballots", "/author"));
        // What a device that is silenced has cast is no more the elector's.
        let thief = devices[0].device.device();
        let by = says(&hub, &anna.wallet, silence_statement(&anna.account, &thief)).await;
        let silences = json!({ "revoke": { "device": thief, "by": by } });
        hub.say(&anna.record(&hub, "device@1", silences)).await;
        hub.say(&ballot(&hub, &devices[5], proposal, json!("yes"))).await;
        let now = decided(&hub, proposal).await;
        assert_eq!((&now["result"]["yes"], &now["result"]["voted"]), (&json!(1), &json!(1)));
        hub.end().await;
    }
}

/// What proposals cost a hub is bounded for each author, wherever they are opened.
#[tokio::test]
async fn an_author_opens_so_much_a_day_and_no_more() {
    for hub in TestHub::on_both().await {
        let (people, community) = community(&hub, 2).await;
        let anna = &people[0];
        let other = hub.say(&anna.record(&hub, "community@1", json!({ "name": "Other gardens" }))).await;
        let refused = async |wherein: RecordId| {
            hub.clock.pass_ms(1);
            let record = anna.record_about(&hub, "proposal@1", wherein, asked(&hub, json!("text")));
            hub.refuses(&record).await.2
        };
        let first = propose(&hub, anna, community, asked(&hub, json!("text"))).await;
        // As if the community had been larger.
        let grow = |electors: i64| {
            sqlx::query("UPDATE proposals SET electors = $1 WHERE id = $2")
                .bind(electors)
                .bind(first.to_string())
                .execute(&hub.eyes)
        };
        grow(99_999).await.unwrap();
        assert_eq!(refused(community).await, "too_many_a_day");
        propose(&hub, anna, other, asked(&hub, json!("text"))).await;
        assert_eq!(refused(other).await, "too_many_a_day");
        // Others are free, and a day later so is she.
        propose(&hub, &people[1], community, asked(&hub, json!("text"))).await;
        hub.clock.pass_ms(24 * 3_600_000);
        propose(&hub, anna, community, asked(&hub, json!("text"))).await;
        grow(2).await.unwrap();
        hub.end().await;
    }
}

#[tokio::test]
async fn proposals_are_listed_to_whoever_may_read_them_and_have_a_tag() {
    for hub in TestHub::on_both().await {
        let (people, community) = community(&hub, 2).await;
        let first = propose(&hub, &people[0], community, asked(&hub, json!("text"))).await;
        let mut body = asked(&hub, json!("text"));
        hub.clock.pass_ms(1);
        body["closes"] = json!(Stamp::from_ms(hub.now() + 60_000));
        let closed = people[0].draft(&hub, "proposal@1", body).about(community);
        let closed = closed.only_for(vec![Audience::Community(community)]).sign(&people[0].device).unwrap();
        let closed = hub.say(&closed).await;
        let path = format!("/v1/proposals/{closed}");
        for tail in ["", "/electors", "/ballots"] {
            assert_eq!(hub.get(&format!("{path}{tail}")).await.refusal().0, 404, "{tail}");
        }
        let token = people[1].sign_in(&hub).await;
        assert_eq!(hub.get_as(&token, &path).await.status, 200);
        let ids = |page: &Value| -> Vec<RecordId> {
            let items = page["items"].as_array().unwrap();
            items.iter().map(|one| one["id"].as_str().unwrap().parse().unwrap()).collect()
        };
        let listed = hub.get("/v1/proposals").await.body;
        assert_eq!((ids(&listed), &listed["items"][0]["text"]), (vec![first], &Value::Null));
        let page = hub.get_as(&token, "/v1/proposals?limit=1").await.body;
        assert_eq!(ids(&page), [first]);
        let next = page["next"].as_str().unwrap();
        let rest = hub.get_as(&token, &format!("/v1/proposals?limit=1&after={next}")).await.body;
        assert_eq!(ids(&rest), [closed]);
        let of =
            |community: RecordId, state: &str| format!("/v1/proposals?community={community}&state={state}");
        assert_eq!(ids(&hub.get_as(&token, &of(community, "open")).await.body), [first, closed]);
        assert_eq!(ids(&hub.get_as(&token, &of(community, "rejected")).await.body), []);
        assert_eq!(ids(&hub.get_as(&token, &of(first, "open")).await.body), []);
        for bad in ["electors?after=x", "electors?limit=101", "ballots?after=x"] {
            assert_eq!(hub.get(&format!("/v1/proposals/{first}/{bad}")).await.refusal().0, 400, "{bad}");
        }
        let bad = format!("/v1/communities/{community}/treasury?after=%00");
        assert_eq!(hub.get(&bad).await.refusal().0, 400);
        for bad in ["limit=0", "state=lost", "community=x", "page=1"] {
            assert_eq!(hub.get(&format!("/v1/proposals?{bad}")).await.refusal().0, 400, "{bad}");
        }
        let ask = async |tag: Option<&str>| {
            let request = hub.request(reqwest::Method::GET, &format!("/v1/proposals/{first}"));
            let request = match tag {
                Some(tag) => request.header("if-none-match", tag),
                None => request,
            };
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.headers()["etag"].to_str().unwrap().to_owned())
        };
        let (status, tag) = ask(None).await;
        assert_eq!((status, ask(Some(&tag)).await), (200, (304, tag.clone())));
        hub.say(&ballot(&hub, &people[0], first, json!("yes"))).await;
        assert_eq!(ask(Some(&tag)).await.0, 200);
        hub.end().await;
    }
}

#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

mod replay;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy::primitives::{self, B256};
use protocol::{
    arbitration::list_digest,
    chain::{AccountId, Address},
};
use serde_json::{Value, json};

use super::model::{listed, publishable};
use crate::{
    Hub,
    access::Audience,
    governance::tests::{agreed, asked, ballot, join},
    records::{RecordId, Stamp, submit},
    testing::{
        Person, StillClock, TestHub,
        script::Script,
        trade::{ARBITER, CHAIN, Ground},
    },
};

fn who(n: u8) -> RecordId {
    RecordId::of(&json!({ "n": n })).unwrap()
}

fn wallet(n: u8) -> AccountId {
    AccountId { chain: CHAIN, address: primitives::Address::with_last_byte(n).into() }
}

fn addresses(numbers: &[u8]) -> Vec<Address> {
    numbers.iter().map(|n| wallet(*n).address).collect()
}

#[test]
fn a_candidate_has_one_seat_by_the_wallet_that_it_named_and_still_has() {
    let candidates = BTreeMap::from([(who(1), wallet(9)), (who(2), wallet(3)), (who(3), wallet(5))]);
    let wallets = [
        (who(1), wallet(8)),
        (who(1), wallet(9)),
        (who(2), wallet(3)),
        // It changed hands, and its new holder did not name it.
        (who(4), wallet(5)),
        (who(3), wallet(1)),
    ];
    let expected = addresses(&[3, 9]);
    // In whichever order the database has them.
    let mut turned = wallets;
    for _ in 0..turned.len() {
        turned.rotate_left(1);
        assert_eq!(listed(&candidates, turned), expected);
        assert_eq!(listed(&candidates, turned.into_iter().rev()), expected);
    }
    assert_eq!(listed(&candidates, []), Vec::new());
    assert_eq!(listed(&BTreeMap::new(), wallets), Vec::new());
}

#[test]
fn a_list_is_decided_only_where_the_chain_would_take_it() {
    let eight: Vec<u8> = (1..=8).collect();
    assert_eq!(publishable(&addresses(&eight), 3), Ok(()));
    for refused in [addresses(&eight[1..]), addresses(&[&[0_u8][..], &eight[..]].concat())] {
        assert_eq!(publishable(&refused, 3).unwrap_err().rule, "list_not_publishable");
    }
}

async fn gardens(hub: &TestHub, seeds: std::ops::Range<u8>) -> (Vec<Person>, RecordId) {
    let mut people = Vec::new();
    for seed in seeds {
        people.push(Person::arrive(hub, seed).await);
    }
    let gardens = hub.say(&people[0].record(hub, "community@1", json!({ "name": "Gardens" }))).await;
    for person in &people[1..] {
        join(hub, &people[0], gardens, person).await;
    }
    for person in &people {
        hub.say(&candidacy(hub, person, gardens, true)).await;
    }
    (people, gardens)
}

/// Somebody's word, seen by nobody else, on whether the wallet may be on a list.
fn candidacy(hub: &TestHub, who: &Person, community: RecordId, stands: bool) -> Value {
    hub.clock.pass_ms(1);
    candidacy_of(hub, who, community, json!({ "wallet": who.wallet_id(), "stands": stands }))
}

fn candidacy_of(hub: &TestHub, who: &Person, community: RecordId, body: Value) -> Value {
    let draft = who.draft(hub, "candidacy@1", body).about(community);
    draft.only_for(vec![Audience::Account(who.account)]).sign(&who.device).unwrap()
}

fn roll(people: &[Person]) -> Vec<Address> {
    let mut members: Vec<Address> = people.iter().map(|person| person.wallet.address()).collect();
    members.sort_unstable();
    members
}

fn pool_effect(panel: B256, serves: bool) -> Value {
    json!({ "pool": { "arbiter": ARBITER, "panel": panel, "serves": serves } })
}

fn list_effect(panel: B256) -> Value {
    json!({ "pool_list": { "arbiter": ARBITER, "panel": panel } })
}

async fn hubs(script: &Script) -> Vec<TestHub> {
    TestHub::on_both_with(|config| {
        config.indexers.insert(CHAIN, script.url.clone());
        config.arbiters = vec![ARBITER];
    })
    .await
}

#[tokio::test]
async fn a_vote_decides_whose_pool_it_is_and_who_is_on_its_list() {
    let script = Script::start(Ground::EVM).await;
    let panel = Ground::EVM.pool_id(&Ground::EVM.book());
    for hub in hubs(&script).await {
        // Those whom the script has on the pool's list.
        let (mut people, gardens) = gardens(&hub, 100..108).await;
        let refused = async |effect: Value| {
            let record = people[0].record_about(&hub, "proposal@1", gardens, asked(&hub, effect));
            hub.refuses(&record).await.2
        };
        assert_eq!(refused(pool_effect(panel, true)).await, "unknown_pool");
        assert_eq!(refused(list_effect(panel)).await, "unknown_pool");
        let body = json!({ "arbiter": ARBITER, "panel": panel });
        let keeper = Person::arrive(&hub, 2).await;
        hub.say(&keeper.record(&hub, "pool@1", body.clone())).await;
        assert_eq!(refused(list_effect(panel)).await, "not_its_pool");

        let pool = format!("/v1/pools/{ARBITER}/{panel}");
        let path = format!("/v1/communities/{gardens}/pools/{ARBITER}/{panel}");
        let now = agreed(&hub, &people, gardens, pool_effect(panel, true)).await;
        assert_eq!(now["state"], "executed", "{now}");
        let token = people[1].sign_in(&hub).await;
        assert_eq!(hub.get_as(&token, &pool).await.body["communities"], json!([gardens]));
        assert_eq!(hub.get(&path).await.refusal().0, 404);

        let now = agreed(&hub, &people, gardens, list_effect(panel)).await;
        assert_eq!(now["state"], "executed", "{now}");
        let (members, token) = (roll(&people), people[1].sign_in(&hub).await);
        let list = hub.get(&path).await.body;
        assert_eq!(list["members"], json!(members));
        hub.names_its_state(None, &path).await;
        assert_eq!((&list["decision"]["tally"], &list["decision"]["proposal"]), (&now["tally"], &now["id"]));
        // The hub has signed which list it is.
        let tally = hub.get(&format!("/v1/records/{}", now["tally"].as_str().unwrap())).await.body;
        assert_eq!(tally["body"]["list"], json!(list_digest(&members)));
        assert_eq!(tally["body"]["list"], list["decision"]["digest"]);
        let published = format!("{path}/published");
        assert_eq!(hub.get(&published).await.refusal().0, 401);
        let found = hub.get_as(&token, &published).await.body;
        assert_eq!((&found["holds"], &found["list"], &found["size"]), (&json!(true), &json!(0), &json!(8)));
        assert_eq!(hub.get_as(&token, &pool).await.body["decided"], json!([list["decision"]]));
        assert_eq!(hub.get(&pool).await.body["decided"], json!([]));

        // Who comes later is on no list until another vote.
        let ninth = Person::arrive(&hub, 9).await;
        join(&hub, &people[0], gardens, &ninth).await;
        hub.say(&candidacy(&hub, &ninth, gardens, true)).await;
        people.push(ninth);
        assert_eq!(hub.get(&path).await.body, list);
        agreed(&hub, &people, gardens, list_effect(panel)).await;
        assert_eq!(hub.get(&path).await.body["members"], json!(roll(&people)));
        let token = people[1].sign_in(&hub).await;
        let found = hub.get_as(&token, &published).await.body;
        assert_eq!((&found["holds"], &found["size"]), (&json!(false), &json!(8)));
        assert_eq!(found["digest"], json!(list_digest(&members)));

        // With the pool goes its list, and no steward brings either back.
        agreed(&hub, &people, gardens, pool_effect(panel, false)).await;
        assert_eq!(hub.get(&path).await.refusal().0, 404);
        let token = people[1].sign_in(&hub).await;
        assert_eq!(hub.get_as(&token, &pool).await.body["communities"], json!([]));
        let again = people[0].record_about(&hub, "pool@1", gardens, body.clone());
        assert_eq!(hub.refuses(&again).await.2, "dropped_by_vote");
        agreed(&hub, &people, gardens, pool_effect(panel, true)).await;
        hub.clock.pass_ms(1);
        hub.say(&people[0].record_about(&hub, "pool@1", gardens, body)).await;
        assert_eq!(hub.get(&path).await.refusal().0, 404);
        hub.end().await;
    }
}

#[tokio::test]
async fn a_pool_is_in_the_list_of_those_whom_it_serves_until_a_vote_drops_it() {
    let script = Script::start(Ground::EVM).await;
    let panel = Ground::EVM.pool_id(&Ground::EVM.book());
    for hub in hubs(&script).await {
        let (people, gardens) = gardens(&hub, 100..103).await;
        let body = json!({ "arbiter": ARBITER, "panel": panel });
        hub.say(&people[0].record_about(&hub, "pool@1", gardens, body)).await;
        let listed = async || {
            let token = people[1].sign_in(&hub).await;
            let items = hub.get_as(&token, "/v1/pools?limit=1").await.body["items"].clone();
            assert_eq!(hub.get("/v1/pools?limit=1").await.body, json!({ "items": [], "next": null }));
            items.as_array().unwrap().len()
        };
        assert_eq!(listed().await, 1);
        for serves in [false, true] {
            let now = agreed(&hub, &people, gardens, pool_effect(panel, serves)).await;
            assert_eq!(now["state"], "executed", "{now}");
            assert_eq!(listed().await, usize::from(serves));
        }
        hub.end().await;
    }
}

#[tokio::test]
async fn lists_that_count_before_the_newest_are_named_and_one_that_is_too_long_is_not_read() {
    let script = Script::start(Ground::EVM).await;
    let panel = Ground::EVM.pool_id(&Ground::EVM.book());
    let hubs = hubs(&script).await;
    let mut asked = Vec::new();
    for hub in &hubs {
        // Those whom the script has on every list.
        let (people, gardens) = gardens(hub, 100..108).await;
        let body = json!({ "arbiter": ARBITER, "panel": panel });
        hub.say(&people[0].record_about(hub, "pool@1", gardens, body)).await;
        agreed(hub, &people, gardens, list_effect(panel)).await;
        let token = people[1].sign_in(hub).await;
        asked.push((hub, token, format!("/v1/communities/{gardens}/pools/{ARBITER}/{panel}/published")));
    }
    let now = u64::try_from(hubs.iter().map(TestHub::now).max().unwrap()).unwrap() / 1000;
    let told = async |holds: bool, list: u32, size: i64, before: Value| {
        for (hub, token, path) in &asked {
            let found = hub.get_as(token, path).await.body;
            assert_eq!((&found["holds"], &found["list"]), (&json!(holds), &json!(list)), "{found}");
            assert_eq!((&found["size"], &found["before"]), (&json!(size), &before), "{found}");
            assert_eq!(found["digest"].is_null(), size > 10_000, "{found}");
        }
    };
    told(true, 0, 8, json!([])).await;
    script.publishes(9, now + 100);
    script.publishes(8, now + 200);
    let first = json!({ "list": 1, "size": 9, "effective_at": (now + 100).to_string() });
    told(true, 2, 8, json!([first])).await;
    script.publishes(24_000, now + 300);
    let second = json!({ "list": 2, "size": 8, "effective_at": (now + 200).to_string() });
    told(false, 3, 24_000, json!([first, second])).await;
    drop(asked);
    for hub in hubs {
        hub.end().await;
    }
}

#[tokio::test]
async fn a_roll_that_the_chain_would_refuse_is_no_list() {
    let script = Script::start(Ground::EVM).await;
    let panel = Ground::EVM.pool_id(&Ground::EVM.book());
    for hub in hubs(&script).await {
        let (people, gardens) = gardens(&hub, 1..4).await;
        let body = json!({ "arbiter": ARBITER, "panel": panel });
        hub.say(&people[0].record_about(&hub, "pool@1", gardens, body)).await;
        let now = agreed(&hub, &people, gardens, list_effect(panel)).await;
        assert_eq!(
            (&now["state"], &now["unexecuted"]["rule"]),
            (&json!("unexecuted"), &json!("list_not_publishable")),
            "{now}"
        );
        let path = format!("/v1/communities/{gardens}/pools/{ARBITER}/{panel}");
        assert_eq!(hub.get(&path).await.refusal().0, 404);
        hub.end().await;
    }
}

#[tokio::test]
async fn who_has_not_said_so_is_on_no_list() {
    let script = Script::start(Ground::EVM).await;
    let panel = Ground::EVM.pool_id(&Ground::EVM.book());
    for hub in hubs(&script).await {
        let (mut people, gardens) = gardens(&hub, 1..11).await;
        let body = json!({ "arbiter": ARBITER, "panel": panel });
        hub.say(&people[0].record_about(&hub, "pool@1", gardens, body)).await;

        // Only of a wallet of one's own, and where one belongs.
        let outsider = Person::arrive(&hub, 20).await;
        let foreign = json!({ "wallet": people[2].wallet_id(), "stands": true });
        let refused = hub.refuses(&candidacy_of(&hub, &people[1], gardens, foreign)).await;
        assert_eq!((refused.0, refused.2.as_str()), (422, "not_your_wallet"));
        for stands in [true, false] {
            let refused = hub.refuses(&candidacy(&hub, &outsider, gardens, stands)).await;
            assert_eq!((refused.0, refused.2.as_str()), (403, "members_only"));
        }

        // One belongs to it and never said so, one took it back, one left and came back: none of them is asked for by a vote.
        join(&hub, &people[0], gardens, &outsider).await;
        hub.say(&candidacy(&hub, &people[9], gardens, false)).await;
        hub.clock.pass_ms(1);
        let leaves = json!({ "account": people[8].account, "role": null });
        hub.say(&people[8].record_about(&hub, "membership@1", gardens, leaves)).await;
        join(&hub, &people[0], gardens, &people[8]).await;
        let now = agreed(&hub, &people, gardens, list_effect(panel)).await;
        assert_eq!(now["state"], "executed", "{now}");
        let path = format!("/v1/communities/{gardens}/pools/{ARBITER}/{panel}");
        people.truncate(8);
        assert_eq!(hub.get(&path).await.body["members"], json!(roll(&people)));

        // Everybody sees their own word, and nobody else's.
        let own = format!("/v1/communities/{gardens}/candidacies");
        assert_eq!(hub.get(&own).await.refusal().0, 401);
        let token = people[0].sign_in(&hub).await;
        let mine = hub.get_as(&token, &own).await.body;
        assert_eq!(mine["items"].as_array().unwrap().len(), 1, "{mine}");
        assert_eq!(mine["items"][0]["wallet"], json!(people[0].wallet_id()));
        let token = outsider.sign_in(&hub).await;
        assert_eq!(hub.get_as(&token, &own).await.body, json!({ "items": [] }));
        hub.end().await;
    }
}

/// A vote whose window is over, and that the hub has not counted yet.
#[tokio::test]
async fn coming_and_going_after_the_close_changes_nobody_elses_place() {
    let script = Script::start(Ground::EVM).await;
    let panel = Ground::EVM.pool_id(&Ground::EVM.book());
    for hub in hubs(&script).await {
        let (mut people, gardens) = gardens(&hub, 1..11).await;
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
        let clock = Arc::new(StillClock::at(closes.ms()));
        let late = Hub::existing(hub.config.clone(), clock).await.unwrap();
        let roll_then = async || {
            let mut on = late.db.reader().acquire().await.unwrap();
            super::roll(&mut on, &gardens, CHAIN, closes.ms()).await.unwrap().unwrap()
        };
        // Who stands again stands as before; who comes stands for the next vote.
        for (who, stands) in [(&people[1], true), (&comes, true), (&comes, false), (&comes, true)] {
            submit(&late, &candidacy(&hub, who, gardens, stands)).await.unwrap();
            assert_eq!(roll_then().await, roll(&people));
        }
        // Who goes is gone, however often they come back: by standing down, or by leaving.
        let goes = people.pop().unwrap();
        for stands in [false, true, false, true] {
            submit(&late, &candidacy(&hub, &goes, gardens, stands)).await.unwrap();
            assert_eq!(roll_then().await, roll(&people));
        }
        let goes = people.pop().unwrap();
        hub.clock.pass_ms(1);
        let leaves = json!({ "account": goes.account, "role": null });
        submit(&late, &goes.record_about(&hub, "membership@1", gardens, leaves)).await.unwrap();
        assert_eq!(roll_then().await, roll(&people));
        late.db.close().await;
        hub.clock.pass_ms(closes.ms() - hub.now());
        let path = format!("/v1/communities/{gardens}/pools/{ARBITER}/{panel}");
        let decided = async {
            loop {
                let answer = hub.get(&path).await;
                if answer.status == 200 {
                    return answer.body;
                }
                hub.look();
            }
        };
        let list = tokio::time::timeout(Duration::from_secs(60), decided).await.unwrap();
        assert_eq!(list["members"], json!(roll(&people)));
        hub.end().await;
    }
}

/// Neither a stranger without a session finds anything there, nor this one.
async fn hidden(hub: &TestHub, token: &str, path: &str) {
    for answer in [hub.get(path).await, hub.get_as(token, path).await] {
        assert_eq!(answer.refusal().0, 404, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_stranger_sees_nothing_of_the_lists_of_a_private_community() {
    let script = Script::start(Ground::EVM).await;
    let panel = Ground::EVM.pool_id(&Ground::EVM.book());
    for hub in hubs(&script).await {
        let mut people = Vec::new();
        for seed in 100..108 {
            people.push(Person::arrive(&hub, seed).await);
        }
        let stranger = Person::arrive(&hub, 20).await;
        let steward = &people[0];
        let founding = steward.draft(&hub, "community@1", json!({ "name": "Cellar" }));
        let founding = founding.only_for(vec![Audience::Account(steward.account)]);
        let cellar = hub.say(&founding.sign(&steward.device).unwrap()).await;
        let among = async |who: &Person, kind: &str, body: Value| {
            let draft = who.draft(&hub, kind, body).about(cellar).only_for(vec![Audience::Community(cellar)]);
            hub.say(&draft.sign(&who.device).unwrap()).await
        };
        for person in &people[1..] {
            let body = json!({ "account": person.account, "role": "member" });
            among(steward, "membership@1", body.clone()).await;
            let joins = person.draft(&hub, "membership@1", body).about(cellar);
            let joins = joins.only_for(vec![Audience::Account(person.account)]);
            hub.say(&joins.sign(&person.device).unwrap()).await;
        }
        for person in &people {
            hub.say(&candidacy(&hub, person, cellar, true)).await;
        }
        among(steward, "pool@1", json!({ "arbiter": ARBITER, "panel": panel })).await;
        let proposal = among(steward, "proposal@1", asked(&hub, list_effect(panel))).await;
        for person in &people {
            hub.say(&ballot(&hub, person, proposal, json!("yes"))).await;
        }
        // Three days, the window of `asked`.
        hub.clock.pass_ms(4 * 24 * 3_600_000);
        let token = people[1].sign_in(&hub).await;
        let path = format!("/v1/communities/{cellar}/pools/{ARBITER}/{panel}");
        let decided = async {
            loop {
                let answer = hub.get_as(&token, &path).await;
                if answer.status == 200 {
                    return answer.body;
                }
                hub.look();
            }
        };
        let list = tokio::time::timeout(Duration::from_secs(60), decided).await.unwrap();
        assert_eq!(list["members"], json!(roll(&people)));

        // Whoever belongs to it sees all of it.
        let (pool, published) = (format!("/v1/pools/{ARBITER}/{panel}"), format!("{path}/published"));
        assert_eq!(hub.get_as(&token, &published).await.body["holds"], json!(true));
        let seen = hub.get_as(&token, &pool).await.body;
        assert_eq!((&seen["communities"], &seen["decided"]), (&json!([cellar]), &json!([list["decision"]])));

        // A stranger sees as much of it as of one that is not there.
        let theirs = stranger.sign_in(&hub).await;
        for path in [
            path.clone(),
            pool.clone(),
            format!("/v1/communities/{cellar}"),
            format!("/v1/records/{}", list["decision"]["tally"].as_str().unwrap()),
            format!("/v1/records/{proposal}"),
        ] {
            hidden(&hub, &theirs, &path).await;
        }
        assert_eq!(hub.get(&published).await.refusal().0, 401);
        assert_eq!(hub.get_as(&theirs, &published).await.refusal().0, 404);
        for listed in ["/v1/pools", "/v1/communities"] {
            for answer in [hub.get(listed).await, hub.get_as(&theirs, listed).await] {
                assert_eq!(answer.body["items"], json!([]), "{listed}");
            }
        }
        let own = format!("/v1/communities/{cellar}/candidacies");
        assert_eq!(hub.get_as(&theirs, &own).await.body, json!({ "items": [] }));

        // Where the pool serves everyone, a stranger sees the pool, and neither whose it is besides nor what is decided.
        let keeper = Person::arrive(&hub, 2).await;
        hub.say(&keeper.record(&hub, "pool@1", json!({ "arbiter": ARBITER, "panel": panel }))).await;
        for answer in [hub.get(&pool).await, hub.get_as(&theirs, &pool).await] {
            assert_eq!(answer.body["public"], json!(true));
            assert_eq!((&answer.body["communities"], &answer.body["decided"]), (&json!([]), &json!([])));
        }
        hidden(&hub, &theirs, &path).await;
        assert_eq!(hub.get_as(&theirs, &published).await.refusal().0, 404);
        hub.end().await;
    }
}

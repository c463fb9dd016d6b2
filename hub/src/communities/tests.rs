mod history;
mod indexer;

use fixture::Chain;
use serde_json::{Value, json};

use super::{
    model::{Change, Roles, Waiting, Word, change, keeper_only, last_word, leaves_a_steward, steward_only},
    *,
};
use crate::{
    access::{Audience, Reader, Role},
    records::RecordId,
    testing::{Person, TestHub, Wallet, Window, trade::CHAIN},
};

fn id(n: u8) -> RecordId {
    RecordId::of(&json!({ "n": n })).unwrap()
}

fn roles(communities: &[u8]) -> Roles {
    communities.iter().map(|n| (id(*n), Role::Member)).collect()
}

#[test]
fn a_pool_rules_where_both_belong_or_everyone_may() {
    let scopes = |list: &[u8]| list.iter().map(|n| Scope::Community(id(*n))).collect::<Vec<_>>();
    for (scopes, buyer, seller, expected) in [
        (vec![], &[1][..], &[1][..], false),
        (vec![Scope::Public], &[], &[], true),
        (scopes(&[1]), &[1], &[1], true),
        (scopes(&[1]), &[1], &[], false),
        (scopes(&[1]), &[], &[1], false),
        (scopes(&[1]), &[2], &[2], false),
        // Two communities with one party each are not one with both.
        (scopes(&[1, 2]), &[1], &[2], false),
        (scopes(&[1, 2]), &[1, 2], &[2], true),
        (vec![Scope::Community(id(1)), Scope::Public], &[], &[2], true),
    ] {
        assert_eq!(common_or_public(&scopes, &roles(buyer), &roles(seller)), expected, "{scopes:?}");
    }
}

#[test]
fn only_stewards_decide_and_one_always_stays() {
    use Role::{Member, Steward};
    for (role, allowed) in [(None, false), (Some(Member), false), (Some(Steward), true)] {
        assert_eq!(steward_only(role, &id(1)).is_ok(), allowed, "{role:?}");
    }
    let keeper = alloy::primitives::Address::ZERO.into();
    for (owner, allowed) in [(None, false), (Some(id(1)), true), (Some(id(2)), false)] {
        assert_eq!(keeper_only(owner, id(1), keeper).is_ok(), allowed, "{owner:?}");
    }
    for before in [None, Some(Member), Some(Steward)] {
        for after in [None, Some(Member), Some(Steward)] {
            let falls = before == Some(Steward) && after != Some(Steward);
            assert_eq!(leaves_a_steward(before, after, 1).is_ok(), !falls, "{before:?} {after:?}");
            assert!(leaves_a_steward(before, after, 2).is_ok());
        }
    }
}

/// Every word, about whoever is what already, with whatever waits.
#[test]
fn nobody_belongs_to_a_community_but_by_both_sides_words() {
    use Role::{Member, Steward};
    let roles = [None, Some(Member), Some(Steward)];
    let waits = SaidBy::ALL
        .into_iter()
        .flat_map(|said_by| [Member, Steward].map(|role| Some(Waiting { role, said_by })));
    let waits: Vec<Option<Waiting>> = waits.chain([None]).collect();
    for (before, waiting, role, said_by, by_vote_only) in roles
        .into_iter()
        .flat_map(|before| waits.iter().map(move |waiting| (before, *waiting)))
        .flat_map(|(before, waiting)| roles.map(|role| (before, waiting, role)))
        .flat_map(|(before, waiting, role)| SaidBy::ALL.map(|by| (before, waiting, role, by)))
        .flat_map(|(before, waiting, role, by)| [false, true].map(|only| (before, waiting, role, by, only)))
    {
        let came = change(before, waiting, role, said_by, by_vote_only);
        let own = said_by == SaidBy::Account;
        // Whom a vote has invited no steward invites, or sends away.
        let invited = before.is_none() && waiting.is_some_and(|one| one.said_by == SaidBy::Vote);
        let over = invited && said_by == SaidBy::Steward;
        assert_eq!(
            came.as_ref().is_err_and(|refused| refused.rule == "by_vote"),
            over,
            "{waiting:?} {role:?}"
        );
        match came {
            Ok(Change::Role(Some(now))) if before.is_none() => {
                // Both sides have said it, and nobody is more than what was offered.
                let other = waiting.unwrap();
                assert_ne!(own, other.said_by == SaidBy::Account, "{waiting:?} {said_by:?}");
                assert_eq!(Some(now), role);
                assert!(!own || now <= other.role);
                assert!(!(own && by_vote_only && other.said_by == SaidBy::Steward));
            }
            Ok(Change::Role(now)) => assert_eq!((now, now.is_some() && own), (role, false)),
            Ok(Change::Wait(waits)) => {
                assert_eq!((before, Some(waits.role), waits.said_by), (None, role, said_by));
                assert!(!(own && waits.role == Steward));
            }
            Err(refused) => {
                assert!(over || (own && role.is_some()), "{refused}");
                assert!(over || ["steward_only", "by_vote_only"].contains(&refused.rule));
            }
        }
    }
}

/// A decision stands until somebody comes or goes by other words, and what changes nothing is no word.
#[test]
fn the_last_word_is_the_one_that_changed_something() {
    use Role::{Member, Steward};
    let word = |n: u8, decided: bool| Some(Word { record: id(n), decided });
    for (earlier, before, after, by_vote, expected) in [
        (None, None, None, false, None),
        (None, None, Some(Member), false, word(2, false)),
        (None, None, None, true, word(2, true)),
        (word(1, false), Some(Member), Some(Member), false, word(1, false)),
        (word(1, false), Some(Member), Some(Steward), false, word(2, false)),
        (word(1, false), Some(Member), Some(Member), true, word(2, true)),
        (word(1, true), Some(Member), Some(Steward), false, word(2, true)),
        (word(1, true), Some(Steward), None, false, word(2, false)),
        (word(1, true), None, None, false, word(1, true)),
        (word(1, true), None, Some(Member), false, word(2, false)),
        (word(1, true), None, Some(Member), true, word(2, true)),
    ] {
        assert_eq!(
            last_word(earlier, (before, after), id(2), by_vote),
            expected,
            "{earlier:?} {before:?} {after:?}"
        );
    }
}

#[tokio::test]
async fn a_steward_says_who_belongs() {
    for hub in TestHub::on_both().await {
        let (anna, ben, cora) =
            (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await, Person::arrive(&hub, 3).await);
        let gardens = hub.say(&anna.record(&hub, "community@1", json!({ "name": "Gardens" }))).await;
        let member = |by: &Person, who: RecordId, role: Value| {
            hub.clock.pass_ms(1);
            by.record_about(&hub, "membership@1", gardens, json!({ "account": who, "role": role }))
        };
        hub.say(&member(&anna, ben.account, json!("member"))).await;
        // Nobody is made a member: his own word is missing.
        let people = async || {
            let seen = hub.get(&format!("/v1/communities/{gardens}")).await.body;
            seen["members"].as_array().unwrap().len()
        };
        assert_eq!(people().await, 1);
        let (annas, bens) = (anna.sign_in(&hub).await, ben.sign_in(&hub).await);
        let waits = async |token: &str| hub.get_as(token, "/v1/invitations").await.body;
        let invited = &waits(&bens).await["items"][0];
        assert_eq!((&invited["community"], &invited["said_by"]), (&json!(gardens), &json!("steward")));
        assert_eq!(waits(&annas).await["items"][0]["account"], json!(ben.account));
        assert_eq!(hub.refuses(&member(&ben, ben.account, json!("steward"))).await.2, "steward_only");
        hub.say(&member(&ben, ben.account, json!("member"))).await;
        assert_eq!(waits(&annas).await, json!({ "items": [], "next": null }));
        assert_eq!(hub.refuses(&member(&ben, ben.account, json!("member"))).await.2, "steward_only");
        let seen = hub.get(&format!("/v1/communities/{gardens}")).await.body;
        assert_eq!(seen["name"], "Gardens");
        let shown: Vec<_> =
            seen["members"].as_array().unwrap().iter().map(|m| (&m["account"], &m["role"])).collect();
        assert_eq!(
            shown,
            [(&json!(anna.account), &json!("steward")), (&json!(ben.account), &json!("member")),]
        );
        assert_eq!(hub.refuses(&member(&ben, cora.account, json!("member"))).await.2, "steward_only");
        assert_eq!(hub.refuses(&member(&cora, cora.account, json!("steward"))).await.2, "steward_only");
        assert_eq!(hub.refuses(&member(&anna, gardens, json!("member"))).await.2, "unknown_account");
        assert_eq!(hub.refuses(&member(&anna, ben.account, json!("owner"))).await.2, "body");
        assert_eq!(hub.refuses(&member(&anna, anna.account, Value::Null)).await.2, "last_steward");
        assert_eq!(hub.refuses(&member(&anna, anna.account, json!("member"))).await.2, "last_steward");
        let nowhere =
            anna.record_about(&hub, "membership@1", id(1), json!({ "account": ben.account, "role": null }));
        assert_eq!(hub.refuses(&nowhere).await.2, "unknown_community");
        let about_nothing =
            anna.record(&hub, "membership@1", json!({ "account": ben.account, "role": null }));
        assert_eq!(hub.refuses(&about_nothing).await.2, "about");
        let without_role =
            anna.record_about(&hub, "membership@1", gardens, json!({ "account": ben.account }));
        assert_eq!(hub.refuses(&without_role).await.2, "body");
        // Nobody is kept: a member leaves by itself, and sends nobody else away.
        // Whoever asks first is let in by a steward's word.
        hub.say(&member(&cora, cora.account, json!("member"))).await;
        assert_eq!(
            (people().await, waits(&annas).await["items"][0]["said_by"].clone()),
            (2, json!("account"))
        );
        assert_eq!(hub.refuses(&member(&ben, cora.account, Value::Null)).await.2, "steward_only");
        hub.say(&member(&anna, cora.account, json!("member"))).await;
        assert_eq!(people().await, 3);
        hub.say(&member(&cora, cora.account, Value::Null)).await;
        // What was declined, or taken back, waits no more.
        for (says, undoes) in [(&anna, &cora), (&anna, &anna), (&cora, &cora), (&cora, &anna)] {
            hub.say(&member(says, cora.account, json!("member"))).await;
            hub.say(&member(undoes, cora.account, Value::Null)).await;
            assert_eq!((people().await, waits(&annas).await["items"].clone()), (2, json!([])));
        }
        // A second steward may let the first one go, and members leave.
        hub.say(&member(&anna, ben.account, json!("steward"))).await;
        hub.say(&member(&ben, anna.account, Value::Null)).await;
        assert_eq!(hub.refuses(&member(&anna, cora.account, json!("member"))).await.2, "steward_only");
        let seen = hub.get(&format!("/v1/communities/{gardens}")).await.body;
        assert_eq!(seen["members"].as_array().unwrap().len(), 1);
        hub.end().await;
    }
}

#[tokio::test]
async fn an_invitation_ends_with_the_office_of_who_gave_it_and_after_thirty_days() {
    for hub in TestHub::on_both().await {
        let (anna, ben, cora) =
            (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await, Person::arrive(&hub, 3).await);
        let gardens = hub.say(&anna.record(&hub, "community@1", json!({ "name": "Gardens" }))).await;
        let member = |by: &Person, who: &Person, role: Value| {
            hub.clock.pass_ms(1);
            by.record_about(&hub, "membership@1", gardens, json!({ "account": who.account, "role": role }))
        };
        let people = async || {
            let seen = hub.get(&format!("/v1/communities/{gardens}")).await.body;
            seen["members"].as_array().unwrap().len()
        };
        hub.say(&member(&anna, &ben, json!("steward"))).await;
        hub.say(&member(&ben, &ben, json!("steward"))).await;
        for falls in [Value::Null, json!("member")] {
            hub.say(&member(&ben, &cora, json!("steward"))).await;
            hub.say(&member(&anna, &ben, falls)).await;
            assert_eq!(hub.refuses(&member(&cora, &cora, json!("steward"))).await.2, "steward_only");
            hub.say(&member(&anna, &ben, json!("steward"))).await;
            hub.say(&member(&ben, &ben, json!("steward"))).await;
        }

        let day = 24 * 3_600_000;
        for (days, joined) in [(30, 2), (29, 3)] {
            hub.say(&member(&anna, &cora, json!("member"))).await;
            hub.clock.pass_ms(days * day);
            hub.say(&member(&cora, &cora, json!("member"))).await;
            assert_eq!(people().await, joined, "{days} days");
            hub.say(&member(&cora, &cora, Value::Null)).await;
        }
        hub.end().await;
    }
}

#[tokio::test]
async fn a_closed_community_is_there_for_its_members() {
    for hub in TestHub::on_both().await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let draft = anna
            .draft(&hub, "community@1", json!({ "name": "Closed" }))
            .only_for(vec![Audience::Account(anna.account)]);
        let closed = hub.say(&draft.sign(&anna.device).unwrap()).await;
        hub.say(&anna.record(&hub, "community@1", json!({ "name": "Open" }))).await;
        let (path, bens) = (format!("/v1/communities/{closed}"), ben.sign_in(&hub).await);
        assert_eq!(hub.get(&path).await.refusal().0, 404);
        assert_eq!(hub.get_as(&bens, &path).await.refusal().0, 404);
        assert_eq!(hub.get("/v1/communities").await.body["items"].as_array().unwrap().len(), 1);
        let body = json!({ "account": ben.account, "role": "member" });
        hub.say(&anna.record_about(&hub, "membership@1", closed, body.clone())).await;
        assert_eq!(hub.get_as(&bens, &path).await.refusal().0, 404);
        hub.say(&ben.record_about(&hub, "membership@1", closed, body)).await;
        assert_eq!(hub.get_as(&bens, &path).await.status, 200);
        let first = hub.get_as(&bens, "/v1/communities?limit=1").await.body;
        assert_eq!(first["items"][0]["name"], "Closed");
        let next = first["next"].as_str().unwrap();
        let second = hub.get_as(&bens, &format!("/v1/communities?limit=1&after={next}")).await.body;
        assert_eq!(second["items"][0]["name"], "Open");
        for bad in ["limit=0", "limit=101", "limit=x", "after=-1", "page=2"] {
            assert_eq!(hub.get(&format!("/v1/communities?{bad}")).await.refusal().0, 400, "{bad}");
        }
        hub.end().await;
    }
}

/// The accounts of a list, read two at a time.
async fn two_by_two(hub: &TestHub, token: &str, list: &str) -> Vec<String> {
    let (mut all, mut path) = (Vec::new(), format!("{list}?limit=2"));
    loop {
        let page = hub.get_as(token, &path).await.body;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2 && all.len() < 10, "{page}");
        all.extend(items.iter().map(|one| one["account"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { return all };
        path = format!("{list}?limit=2&after={next}");
    }
}

#[tokio::test]
async fn everybody_who_belongs_and_all_that_waits_is_there_page_by_page() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let draft = anna
            .draft(&hub, "community@1", json!({ "name": "Closed" }))
            .only_for(vec![Audience::Account(anna.account)]);
        let closed = hub.say(&draft.sign(&anna.device).unwrap()).await;
        let annas = anna.sign_in(&hub).await;
        let (mut belong, mut wait) = (vec![anna.account.to_string()], Vec::new());
        // All at the same moment, which the order has to bear.
        for seed in 2..9 {
            let person = Person::arrive(&hub, seed).await;
            let body = json!({ "account": person.account, "role": "member" });
            hub.say(&anna.record_about(&hub, "membership@1", closed, body.clone())).await;
            if seed < 6 {
                hub.say(&person.record_about(&hub, "membership@1", closed, body)).await;
                belong.push(person.account.to_string());
            } else {
                let token = person.sign_in(&hub).await;
                assert_eq!(two_by_two(&hub, &token, "/v1/invitations").await, [person.account.to_string()]);
                wait.push(person.account.to_string());
            }
        }
        wait.sort();
        let members = format!("/v1/communities/{closed}/members");
        let sorted = |mut found: Vec<String>| {
            found.sort();
            found
        };
        assert_eq!(sorted(two_by_two(&hub, &annas, &members).await), sorted(belong));
        assert_eq!(sorted(two_by_two(&hub, &annas, "/v1/invitations").await), wait);
        // Who may not read the community hears of no member.
        let stranger = Person::arrive(&hub, 9).await.sign_in(&hub).await;
        assert_eq!(hub.get_as(&stranger, &members).await.refusal().0, 404);
        assert_eq!(hub.get(&members).await.refusal().0, 404);
        assert_eq!(hub.get_as(&annas, &format!("{members}?after=1")).await.refusal().3, "after");
        hub.end().await;
    }
}

#[tokio::test]
async fn a_pool_is_what_its_contract_says() {
    let chain = Chain::start().await;
    let pool = chain.pool(3).await;
    let window = Window::on(&chain).await;
    let change = |config: &mut crate::config::Config| {
        config.indexers.insert(CHAIN, window.url.clone());
        config.arbiters = vec![chain.pools];
    };
    for hub in TestHub::on_both_with(change).await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let gardens = hub.say(&anna.record(&hub, "community@1", json!({ "name": "Gardens" }))).await;
        let body = json!({ "arbiter": chain.pools, "panel": pool.id });
        let path = format!("/v1/pools/{}/{}", chain.pools, pool.id);
        assert_eq!(hub.get(&path).await.refusal().0, 404);
        // A pool of the community: stewards name it, members see it.
        assert_eq!(
            hub.refuses(&ben.record_about(&hub, "pool@1", gardens, body.clone())).await.2,
            "steward_only"
        );
        hub.say(&anna.record_about(&hub, "pool@1", gardens, body.clone())).await;
        assert_eq!(hub.get(&path).await.refusal().0, 404);
        let seen = hub.get_as(&anna.sign_in(&hub).await, &path).await.body;
        assert_eq!(seen["book"]["jury_size"], 3);
        assert_eq!(seen["book"]["keeper"], json!(chain.address(0)));
        // Opening, voting, and a day to execute.
        assert_eq!(seen["worst_case"], (2 * (60 + 600) + 86_400).to_string());
        assert_eq!(seen["members"], json!(pool.members));
        assert_eq!((&seen["public"], &seen["communities"]), (&json!(false), &json!([gardens])));
        // The same pool for everyone: that is the keeper's to say, not a steward's.
        for person in [&anna, &ben] {
            assert_eq!(hub.refuses(&person.record(&hub, "pool@1", body.clone())).await.2, "keeper_only");
        }
        assert_eq!(hub.get(&path).await.refusal().0, 404);
        let keeper =
            Person::arrive_with(&hub, Wallet::Evm(chain.wallets[0].clone()), Person::keys(3).1).await;
        hub.say(&keeper.record(&hub, "pool@1", body.clone())).await;
        let seen = hub.get(&path).await.body;
        assert_eq!((&seen["public"], &seen["communities"]), (&json!(true), &json!([])));
        let list = hub.get("/v1/pools").await.body;
        assert_eq!((list["items"].as_array().unwrap().len(), &list["items"][0]["size"]), (1, &json!(8)));
        // A hundred pools of thousands of members each are not read for a list.
        let mut eyes = hub.eyes.acquire().await.unwrap();
        let listed = pools::pools(&mut eyes, &Reader::stranger(), 0, 100).await.unwrap();
        assert!(listed[0].facts.members.is_empty());
        drop(eyes);
        for (arbiter, panel, rule) in [
            (json!(chain.pools), json!(id_bytes(1)), "unknown_pool"),
            (json!(chain.escrow), json!(pool.id), "unknown_arbiter"),
            (json!("eip155:31337:0x00"), json!(pool.id), "body"),
            (json!(chain.pools), json!("0x12"), "body"),
        ] {
            let record = ben.record(&hub, "pool@1", json!({ "arbiter": arbiter, "panel": panel }));
            assert_eq!(hub.refuses(&record).await.2, rule);
        }
        for bad in ["x/y", &format!("{}/0x12", chain.pools)] {
            assert_eq!(hub.get(&format!("/v1/pools/{bad}")).await.refusal().0, 400);
        }
        hub.end().await;
    }
}

fn id_bytes(n: u8) -> alloy::primitives::B256 {
    alloy::primitives::B256::repeat_byte(n)
}

#[tokio::test]
async fn without_the_indexer_no_pool_is_taken() {
    let arbiter: protocol::chain::AccountId =
        "eip155:31337:0x5FbDB2315678afecb367f032d93F642f64180aa3".parse().unwrap();
    for hub in TestHub::on_both_with(|config| config.arbiters = vec![arbiter]).await {
        let anna = Person::arrive(&hub, 1).await;
        let record = anna.record(&hub, "pool@1", json!({ "arbiter": arbiter, "panel": id_bytes(1) }));
        let before = hub.rows().await;
        assert_eq!(hub.post("/v1/records", &record).await.refusal().0, 503);
        assert_eq!(hub.rows().await, before);
        hub.end().await;
    }
}

/// In the order in which they came, and the last one takes the number of whoever leaves.
#[tokio::test]
async fn members_are_numbered_without_gaps() {
    for hub in TestHub::on_both().await {
        let (people, community) = crate::governance::tests::community(&hub, 4).await;
        let numbered = async || {
            let rows: Vec<String> = sqlx::query_scalar("SELECT account FROM members ORDER BY number")
                .fetch_all(&hub.eyes)
                .await
                .unwrap();
            let last: i64 = sqlx::query_scalar("SELECT CAST(MAX(number) AS BIGINT) FROM members")
                .fetch_one(&hub.eyes)
                .await
                .unwrap();
            assert_eq!(i64::try_from(rows.len()).unwrap(), last);
            rows
        };
        let those = |which: &[usize]| -> Vec<String> {
            which.iter().map(|nth| people[*nth].account.to_string()).collect()
        };
        assert_eq!(numbered().await, those(&[0, 1, 2, 3]));
        for (leaves, left) in [(1, &[0, 3, 2][..]), (2, &[0, 3][..])] {
            hub.clock.pass_ms(1);
            let body = json!({ "account": people[leaves].account, "role": null });
            hub.say(&people[leaves].record_about(&hub, "membership@1", community, body)).await;
            assert_eq!(numbered().await, those(left));
        }
        crate::governance::tests::join(&hub, &people[0], community, &people[1]).await;
        assert_eq!(numbered().await, those(&[0, 3, 1]));
        hub.end().await;
    }
}

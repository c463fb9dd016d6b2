//! Who sees what: every route that reads something by its id, the lists of what is not for everybody, and every kind of reader, in one
//! table.

#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use service::db::testing::on_both;

use crate::{
    access::Audience,
    governance::tests::{asked, join},
    grievances::tests::{complaint, does, file, shown, until},
    openapi::description,
    records::Stamp,
    reputation::{
        model::{Form, WalletDid},
        tests::{praise, praise_among},
    },
    testing::{
        Answer, TestHub,
        trade::{Ground, Trade},
    },
};

async fn fetched(hub: &TestHub, token: Option<&str>, path: &str) -> Answer {
    match token {
        Some(token) => hub.get_as(token, path).await,
        None => hub.get(path).await,
    }
}

/// What is in a list for somebody, one item to a page. No page but the last is empty: none tells that there is something to leave out.
async fn walked(hub: &TestHub, token: Option<&str>, list: &str) -> Vec<Value> {
    let (mut items, mut after) = (Vec::new(), String::new());
    let and = if list.contains('?') { '&' } else { '?' };
    loop {
        let page = fetched(hub, token, &format!("{list}{and}limit=1{after}")).await.body;
        let found = page["items"].as_array().unwrap_or_else(|| panic!("{list}: {page}"));
        assert_eq!(found.len(), usize::from(page["next"].is_string()), "{list}{after}: {page}");
        items.extend(found.iter().cloned());
        let Some(next) = page["next"].as_str() else { return items };
        after = format!("&after={next}");
    }
}

/// The route with these ids in the places of its parameters.
fn filled(route: &str, ids: &[String]) -> String {
    ids.iter().fold(route.to_owned(), |path, id| {
        let (before, behind) = path.split_once('{').unwrap();
        let (_, after) = behind.split_once('}').unwrap();
        format!("{before}{id}{after}")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reader_sees_by_every_route_what_the_table_says() {
    for db in on_both().await {
        let trade = Trade::start(db, Ground::EVM).await;
        let Trade { ground, hub, buyer, seller, jurors, listing, .. } = &trade;
        // A deal before its jury, and one that went well.
        let disputed = trade.agree(1).await;
        trade.fund(&disputed).await;
        let at = trade.dispute(&disputed).await.block_time;
        trade.draw(&disputed, at).await;
        let (credential, closed) = praise(&trade, 2, 4711, Form::Jose).await;
        let parties = vec![Audience::Account(buyer.account), Audience::Account(seller.account)];
        let (unpublished, _) = praise_among(&trade, 3, (4712, Form::Jose), parties).await;

        let (steward, member, former) =
            (trade.stranger(10).await, trade.stranger(11).await, trade.stranger(12).await);
        let community = hub.say(&steward.record(hub, "community@1", json!({ "name": "Gardens" }))).await;
        for person in [buyer, seller, &jurors[0], &former] {
            join(hub, &steward, community, person).await;
        }
        hub.clock.pass_ms(1);
        let leaves = json!({ "account": former.account, "role": null });
        hub.say(&former.record_about(hub, "membership@1", community, leaves)).await;
        let pool = json!({ "arbiter": ground.arbiter, "panel": ground.pool_id(&ground.parent_book()) });
        hub.say(&steward.record_about(hub, "pool@1", community, pool)).await;
        let secret = buyer.draft(hub, "community@1", json!({ "name": "Secret" }));
        let secret = secret.only_for(vec![Audience::Account(buyer.account)]);
        let secret = hub.say(&secret.sign(&buyer.device).unwrap()).await;
        let among = vec![Audience::Community(community)];
        let proposal = buyer.draft(hub, "proposal@1", asked(hub, json!("text"))).about(community);
        let proposal = hub.say(&proposal.only_for(among.clone()).sign(&buyer.device).unwrap()).await;
        let mut body = Trade::listing_body(seller);
        body["visibility"] = json!("followers");
        let followed = seller.draft(hub, "listing@1", body).only_for(among);
        let followed = hub.say(&followed.sign(&seller.device).unwrap()).await;

        // The buyer against the seller; of those who belong to the community only the first juror has no part in it.
        hub.clock.pass_ms(1);
        let words =
            json!({ "name": "Somebody", "text": "I make chairs.", "languages": ["en"], "avatar": null });
        let said = hub.say(&seller.record(hub, "profile@1", words)).await;
        let against = complaint("attestation", "statement", said, seller);
        let grievance = file(hub, buyer, community, against).await;
        does(hub, &steward, grievance, json!("take")).await;
        does(hub, &steward, grievance, json!({ "propose": { "outcome": "rejected", "reason": "" } })).await;
        does(hub, buyer, grievance, json!("reject")).await;
        join(hub, &steward, community, &member).await;
        let seen = shown(hub, buyer, grievance).await;
        assert_eq!(seen["jurors"], json!([jurors[0].account]));
        let due: Stamp = seen["due"].as_str().unwrap().parse().unwrap();
        hub.clock.pass_ms(due.ms() - hub.now());
        let vote = until(hub, buyer, grievance, "voting").await["vote"]["proposal"].clone();

        // And what its parties have settled, of which the juror knows nothing.
        hub.clock.pass_ms(1);
        let settled = complaint("contribution", "statement", proposal, buyer);
        let settled = file(hub, seller, community, settled).await;
        does(hub, &steward, settled, json!("take")).await;
        let uphold = json!({ "propose": { "outcome": "upheld", "reason": "" } });
        let step = does(hub, &steward, settled, uphold).await;
        for party in [seller, buyer] {
            does(hub, party, settled, json!({ "accept": { "proposal": step } })).await;
        }

        let mut tokens = vec![None];
        for person in [&member, &former, buyer, &jurors[0]] {
            tokens.push(Some(person.sign_in(hub).await));
        }
        let id = |id: &dyn ToString| vec![id.to_string()];
        let pool = |book| vec![ground.arbiter.to_string(), ground.pool_id(&book).to_string()];
        let of_community = |book| [id(&community), pool(book)].concat();
        let (jurys, vote) = (vote.clone(), vec![vote.as_str().unwrap().to_owned()]);
        let status = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        // 401: sign in first. 404: there is none, or not for you: the two are not to be told apart.
        #[rustfmt::skip]
        let table = [
            // By which route, what, and what a stranger, another member, a former member, a party and a juror get.
            ("/v1/accounts/{id}",                                      "an account",             id(&buyer.account),          [200, 200, 200, 200, 200]),
            ("/v1/accounts/{id}/reputation",                           "an account's",           id(&buyer.account),          [200, 200, 200, 200, 200]),
            ("/v1/records/{id}",                                       "a public one",           id(&community),              [200, 200, 200, 200, 200]),
            ("/v1/records/{id}",                                       "one for a community",    id(&proposal),               [404, 200, 404, 200, 200]),
            ("/v1/records/{id}",                                       "one for the parties",    id(&disputed.id),            [404, 404, 404, 200, 404]),
            ("/v1/records/{id}",                                       "a grievance",            id(&grievance),              [404, 404, 404, 200, 404]),
            ("/v1/communities/{id}",                                   "a public one",           id(&community),              [200, 200, 200, 200, 200]),
            ("/v1/communities/{id}",                                   "one for its founder",    id(&secret),                 [404, 404, 404, 200, 404]),
            ("/v1/communities/{id}/settings",                          "a public one's",         id(&community),              [200, 200, 200, 200, 200]),
            ("/v1/communities/{id}/settings",                          "one's for its founder",  id(&secret),                 [404, 404, 404, 200, 404]),
            ("/v1/communities/{id}/treasury",                          "a public one's",         id(&community),              [200, 200, 200, 200, 200]),
            ("/v1/communities/{id}/treasury",                          "one's for its founder",  id(&secret),                 [404, 404, 404, 200, 404]),
            ("/v1/communities/{id}/members",                           "a public one's",         id(&community),              [200, 200, 200, 200, 200]),
            ("/v1/communities/{id}/members",                           "one's for its founder",  id(&secret),                 [404, 404, 404, 200, 404]),
            // One's own.
            ("/v1/communities/{id}/candidacies",                       "a public one's",         id(&community),              [401, 200, 200, 200, 200]),
            ("/accounts/{id}/did.json",                                "an account's",           id(&buyer.account),          [200, 200, 200, 200, 200]),
            ("/communities/{id}/did.json",                             "a public one's",         id(&community),              [200, 200, 200, 200, 200]),
            // Whoever resolves a name is a stranger.
            ("/communities/{id}/did.json",                             "one's for its founder",  id(&secret),                 [404, 404, 404, 404, 404]),
            ("/v1/communities/{id}/pools/{arbiter}/{panel}",           "nothing is decided",     of_community(ground.book()), [404, 404, 404, 404, 404]),
            ("/v1/communities/{id}/pools/{arbiter}/{panel}/published", "nothing is decided",     of_community(ground.book()), [401, 404, 404, 404, 404]),
            ("/v1/pools/{arbiter}/{panel}",                            "a public one",           pool(ground.book()),         [200, 200, 200, 200, 200]),
            ("/v1/pools/{arbiter}/{panel}",                            "a community's",          pool(ground.parent_book()),  [404, 200, 404, 200, 200]),
            ("/v1/proposals/{id}",                                     "a community's",          id(&proposal),               [404, 200, 404, 200, 200]),
            ("/v1/proposals/{id}/electors",                            "a community's",          id(&proposal),               [404, 200, 404, 200, 200]),
            ("/v1/proposals/{id}/ballots",                             "a community's",          id(&proposal),               [404, 200, 404, 200, 200]),
            ("/v1/proposals/{id}",                                     "a jury's",               vote.clone(),                [404, 404, 404, 200, 200]),
            ("/v1/proposals/{id}/electors",                            "a jury's",               vote.clone(),                [404, 404, 404, 200, 200]),
            ("/v1/proposals/{id}/ballots",                             "a jury's",               vote,                        [404, 404, 404, 200, 200]),
            ("/v1/grievances/{id}",                                    "before its jury",        id(&grievance),              [401, 404, 404, 200, 200]),
            ("/v1/grievances/{id}/steps",                              "before its jury",        id(&grievance),              [401, 404, 404, 200, 200]),
            ("/v1/grievances/{id}/bundle",                             "before its jury",        id(&grievance),              [401, 404, 404, 409, 409]),
            ("/v1/grievances/{id}/bundle",                             "a settled one",          id(&settled),                [401, 404, 404, 200, 404]),
            ("/v1/listings/{id}",                                      "a public one",           id(listing),                 [200, 200, 200, 200, 200]),
            ("/v1/listings/{id}",                                      "one for followers",      id(&followed),               [404, 200, 404, 200, 200]),
            ("/v1/purchases/{id}",                                     "before its jury",        id(&disputed.id),            [404, 404, 404, 200, 200]),
            ("/v1/purchases/{id}",                                     "without a jury",         id(&closed.id),              [404, 404, 404, 200, 404]),
            ("/v1/purchases/{id}/transactions",                        "before its jury",        id(&disputed.id),            [404, 404, 404, 200, 200]),
            ("/v1/purchases/{id}/transactions",                        "without a jury",         id(&closed.id),              [404, 404, 404, 200, 404]),
            ("/v1/purchases/{id}/case",                                "before its jury",        id(&disputed.id),            [404, 404, 404, 200, 200]),
            ("/v1/purchases/{id}/bundle",                              "an open one",            id(&disputed.id),            [404, 404, 404, 409, 404]),
            ("/v1/purchases/{id}/bundle",                              "a closed one",           id(&closed.id),              [404, 404, 404, 200, 404]),
            // Those of them that one may read.
            ("/v1/purchases/{id}/credentials",                         "a closed one",           id(&closed.id),              [200, 200, 200, 200, 200]),
            ("/v1/credentials/{id}",                                   "a public one",           id(&credential),             [200, 200, 200, 200, 200]),
            ("/v1/reputation/{subject}",                               "a wallet's",             id(&WalletDid(seller.wallet_id())), [200, 200, 200, 200, 200]),
            ("/v1/status/{purpose}",                                   "the open list",          status(&["revocation"]),     [200, 200, 200, 200, 200]),
            ("/v1/status/{purpose}/{list}",                            "a list",                 status(&["revocation", "0"]), [200, 200, 200, 200, 200]),
        ];
        let mut otherwise = Vec::new();
        for (route, what, ids, expected) in &table {
            let path = filled(route, ids);
            let mut told = [0; 5];
            for (token, status) in tokens.iter().zip(&mut told) {
                *status = fetched(hub, token.as_deref(), &path).await.status;
            }
            if told != *expected {
                otherwise.push(format!("{route}, {what}: {told:?}, and not {expected:?}"));
            }
        }
        // And by lists: whole, and of what is asked for alone.
        let by_community = format!("/v1/proposals?community={community}");
        let by_subject = format!("/v1/credentials?subject={}", WalletDid(seller.wallet_id()));
        let by_seller = format!("/v1/listings?seller={}", seller.account);
        let panel = |book| json!(ground.pool_id(&book));
        #[rustfmt::skip]
        let lists = [
            ("/v1/communities", "a public one",          json!(community),             [true,  true,  true,  true,  true]),
            ("/v1/communities", "one for its founder",   json!(secret),                [false, false, false, true,  false]),
            ("/v1/pools",       "a public one",          panel(ground.book()),         [true,  true,  true,  true,  true]),
            ("/v1/pools",       "a community's",         panel(ground.parent_book()),  [false, true,  false, true,  true]),
            ("/v1/proposals",   "a community's",         json!(proposal),              [false, true,  false, true,  true]),
            ("/v1/proposals",   "a jury's",              jurys,                        [false, false, false, false, false]),
            (&by_community,     "a community's",         json!(proposal),              [false, true,  false, true,  true]),
            ("/v1/listings",    "a public one",          json!(listing),               [true,  true,  true,  true,  true]),
            ("/v1/listings",    "one for followers",     json!(followed),              [false, true,  false, true,  true]),
            (&by_seller,        "one for followers",     json!(followed),              [false, true,  false, true,  true]),
            ("/v1/credentials", "a public one",          json!(credential),            [true,  true,  true,  true,  true]),
            ("/v1/credentials", "one for the parties",   json!(unpublished),           [false, false, false, true,  false]),
            (&by_subject,       "one for the parties",   json!(unpublished),           [false, false, false, true,  false]),
        ];
        for (list, what, item, expected) in &lists {
            let mut found = [false; 5];
            for (token, found) in tokens.iter().zip(&mut found) {
                let items = walked(hub, token.as_deref(), list).await;
                *found = items.iter().any(|one| [&one["id"], &one["panel"]].contains(&item));
            }
            if found != *expected {
                otherwise.push(format!("{list}, {what}: {found:?}, and not {expected:?}"));
            }
        }
        assert!(otherwise.is_empty(), "{}", otherwise.join("\n"));
        let listed: BTreeSet<&str> = table.iter().map(|(route, ..)| *route).collect();
        let paths = description()["paths"].as_object().unwrap().iter();
        let by_id = paths.filter(|(path, of)| path.contains('{') && of.get("get").is_some());
        let by_id: BTreeSet<&str> = by_id.map(|(path, _)| path.as_str()).collect();
        assert_eq!(listed, by_id);
        trade.hub.end().await;
    }
}

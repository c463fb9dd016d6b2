use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    access::Audience,
    records::RecordId,
    testing::{Person, TestHub},
};

#[test]
fn the_table_of_statuses() {
    use ListingStatus::{Active, Draft, Expired, Paused, Sold};
    // Rows: from none, draft, active, paused, sold, expired. Columns: to the statuses in the order of ALL.
    assert_eq!(ListingStatus::ALL, [Draft, Active, Paused, Sold, Expired]);
    let table: [(Option<ListingStatus>, [Option<&str>; 5]); 6] = {
        let (new, draft, offered) = (Some("new_listing"), Some("draft_listing"), Some("offered_listing"));
        let (sold, expired) = (Some("sold_listing"), Some("expired_listing"));
        [
            (None, [None, None, new, new, new]),
            (Some(Draft), [None, None, draft, draft, None]),
            (Some(Active), [offered, None, None, None, None]),
            (Some(Paused), [offered, None, None, None, None]),
            (Some(Sold), [sold; 5]),
            (Some(Expired), [expired, None, expired, expired, None]),
        ]
    };
    for (from, row) in table {
        for (to, expected) in ListingStatus::ALL.iter().zip(row) {
            assert_eq!(step(from, *to).err().map(|refusal| refusal.rule), expected, "{from:?} {to:?}");
        }
    }
}

fn account(n: u8) -> RecordId {
    RecordId::of(&json!({ "n": n })).unwrap()
}

#[test]
fn status_and_visibility_fix_the_audience() {
    let seller = account(1);
    let (public, own, follower) =
        (vec![Audience::Public], vec![Audience::Account(seller)], vec![Audience::Account(account(2))]);
    let group = vec![Audience::Community(account(3)), Audience::Account(seller)];
    for status in ListingStatus::ALL {
        let draft = *status == ListingStatus::Draft;
        for (visibility, expected) in [
            (Visibility::Public, [!draft, draft, false, false]),
            (Visibility::Followers, [false, true, !draft, !draft]),
            (Visibility::Private, [false, true, false, false]),
        ] {
            let fits = [&public, &own, &follower, &group]
                .map(|audience| audience_for(*status, visibility, &seller, audience).is_ok());
            assert_eq!(fits, expected, "{status:?} {visibility:?}");
        }
    }
}

fn body() -> Value {
    json!({
        "kind": "service", "title": "Bicycle repair", "description": "Punctures, brakes, gears.",
        "price_type": "fixed", "price": [{ "asset": "time_credit", "amount": "150" }],
        "tags": ["bicycle", "repair"], "location_pref": "local", "visibility": "public", "status": "active",
    })
}

fn with(changes: Value) -> Value {
    let mut body = body();
    body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    body
}

#[test]
fn the_form_of_a_listing() {
    let wallet = "eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    let key = "solana:EarnestLoca1Net11111111111111111:TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
    let sol = |asset: &str, amount: &str| json!([{ "asset": format!("solana:EarnestLoca1Net11111111111111111/{asset}"), "amount": amount }]);
    let mint = "token:TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
    let ether = |amount: &str| json!([{ "asset": "eip155:1/slip44:60", "amount": amount }]);
    let check = |body: Value| {
        let listing: ListingBody = serde_json::from_value(body).unwrap();
        listing.check().map_err(|refusal| (refusal.rule, refusal.field))
    };
    for good in [
        body(),
        with(json!({ "price_type": "hourly" })),
        with(json!({ "price_type": "time_credit" })),
        with(json!({ "price_type": "negotiable", "price": [] })),
        with(json!({ "price_type": "free", "price": [] })),
        with(json!({ "price": ether("309485009821345068724781055"), "pay_to": wallet })),
        with(json!({ "price": sol("slip44:501", "18446744073709551615"), "pay_to": key })),
        with(json!({ "price": sol(mint, "1"), "pay_to": key })),
        with(json!({ "fiat": { "code": "EUR", "amount": "12.50" } })),
        with(json!({ "fiat": { "code": "JPY", "amount": "1200" } })),
        with(json!({ "tags": [], "title": "x".repeat(120), "description": "" })),
    ] {
        assert_eq!(check(good.clone()), Ok(()), "{good}");
    }
    for (bad, rule, field) in [
        (json!({ "title": "" }), "title", "title"),
        (json!({ "title": "a\nb" }), "title", "title"),
        (json!({ "title": "x".repeat(121) }), "title", "title"),
        (json!({ "description": "x".repeat(8001) }), "description", "description"),
        (json!({ "tags": (0..17).map(|n| format!("t{n}")).collect::<Vec<_>>() }), "tags", "tags"),
        (json!({ "tags": ["a", "a"] }), "tags", "tags"),
        (json!({ "tags": ["a", "B"] }), "tags", "tags/1"),
        (json!({ "tags": ["x".repeat(33)] }), "tags", "tags/0"),
        (json!({ "price_type": "free" }), "price", "price"),
        (json!({ "price": [] }), "price", "price"),
        (json!({ "price_type": "time_credit", "price": ether("1"), "pay_to": wallet }), "price", "price"),
        (json!({ "price": ether("0"), "pay_to": wallet }), "price", "price/0/amount"),
        (
            json!({ "price": ether("309485009821345068724781056"), "pay_to": wallet }),
            "price",
            "price/0/amount",
        ),
        (json!({ "price": ether("1") }), "pay_to", "pay_to"),
        (
            json!({ "price": ether("1"), "pay_to": wallet.replace("155:1:", "155:137:") }),
            "pay_to",
            "price/0/asset",
        ),
        (
            json!({ "price": sol("slip44:501", "18446744073709551616"), "pay_to": key }),
            "price",
            "price/0/amount",
        ),
        (json!({ "price": sol(mint, "1"), "pay_to": wallet }), "pay_to", "price/0/asset"),
        (json!({ "price": ether("1"), "pay_to": key }), "pay_to", "price/0/asset"),
        (json!({ "price": [body()["price"][0], body()["price"][0]] }), "price", "price"),
        (json!({ "fiat": { "code": "eur", "amount": "1" } }), "fiat", "fiat/code"),
        (json!({ "fiat": { "code": "EUR", "amount": "1." } }), "fiat", "fiat/amount"),
        (json!({ "fiat": { "code": "EUR", "amount": "-1" } }), "fiat", "fiat/amount"),
    ] {
        assert_eq!(check(with(bad.clone())), Err((rule, format!("/body/{field}"))), "{bad}");
    }
    for bad in [
        json!({ "kind": "weapon" }),
        json!({ "price": [{ "asset": "time_credit", "amount": 150 }] }),
        json!({ "price": [{ "asset": "time_credit", "amount": "0150" }] }),
        json!({ "price": [{ "asset": "EUR", "amount": "1" }] }),
        json!({ "price": sol("slip44:60", "1") }),
        json!({ "pay_to": wallet.replace("eip155:1", "solana:EarnestLoca1Net11111111111111111") }),
        json!({ "pay_to": key.replace("5DA", "5D0") }),
        json!({ "colour": "red" }),
    ] {
        assert!(serde_json::from_value::<ListingBody>(with(bad.clone())).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn no_text_stops_the_check(title in "\\PC{0,130}", tag in "\\PC{0,40}", amount in "\\PC{0,20}") {
        let fiat = json!({ "code": amount, "amount": amount });
        let body = with(json!({ "title": title, "tags": [tag], "fiat": fiat }));
        let listing: ListingBody = serde_json::from_value(body).unwrap();
        let _ = listing.check();
    }
}

#[tokio::test]
async fn a_listing_is_offered_revised_and_sold() {
    for hub in TestHub::on_both().await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let id = hub.say(&anna.record(&hub, "listing@1", body())).await;
        let revise = |by: &Person, changes: Value| {
            hub.clock.pass_ms(1);
            by.record_about(&hub, "listing@1", id, with(changes))
        };
        let revision = hub
            .say(&revise(
                &anna,
                json!({ "title": "Cargo bike repair", "status": "paused", "tags": ["cargo"] }),
            ))
            .await;
        let seen = hub.get(&format!("/v1/listings/{id}")).await.body;
        assert_eq!(
            (&seen["id"], &seen["revision"], &seen["seller"]),
            (&json!(id), &json!(revision), &json!(anna.account))
        );
        assert_eq!(
            (&seen["body"]["title"], &seen["body"]["status"]),
            (&json!("Cargo bike repair"), &json!("paused"))
        );
        assert_eq!(hub.refuses(&revise(&ben, json!({}))).await.2, "not_yours");
        assert_eq!(hub.refuses(&revise(&anna, json!({ "kind": "physical" }))).await.2, "kind_kept");
        let bens = json!({ "price": [{ "asset": "eip155:31337/slip44:60", "amount": "1" }], "pay_to": ben.wallet_id() });
        assert_eq!(hub.refuses(&revise(&anna, bens)).await.2, "foreign_wallet");
        assert_eq!(
            hub.refuses(&anna.record_about(&hub, "listing@1", account(1), body())).await.2,
            "unknown_listing"
        );
        assert_eq!(
            hub.refuses(&anna.record_about(&hub, "listing@1", revision, body())).await.2,
            "unknown_listing"
        );
        assert_eq!(
            hub.refuses(&anna.record(&hub, "listing@1", with(json!({ "status": "sold" })))).await.2,
            "new_listing"
        );
        assert_eq!(
            hub.refuses(&anna.record(&hub, "listing@1", with(json!({ "visibility": "private" })))).await.2,
            "audience"
        );
        hub.say(&revise(&anna, json!({ "status": "sold" }))).await;
        assert_eq!(
            hub.refuses(&revise(&anna, json!({}))).await,
            (409, "rule".into(), "sold_listing".into(), "/body/status".into())
        );
        assert_eq!(hub.get(&format!("/v1/listings/{}", account(1))).await.refusal().0, 404);
        assert_eq!(hub.get("/v1/listings/1").await.refusal(), (400, "", "", "path"));
        hub.end().await;
    }
}

#[tokio::test]
async fn listings_are_found_by_what_they_are_and_by_who_may_see_them() {
    for hub in TestHub::on_both().await {
        let (anna, ben, cora) =
            (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await, Person::arrive(&hub, 3).await);
        let gardens = hub.say(&anna.record(&hub, "community@1", json!({ "name": "Gardens" }))).await;
        let member = json!({ "account": ben.account, "role": "member" });
        hub.say(&anna.record_about(&hub, "membership@1", gardens, member.clone())).await;
        hub.say(&ben.record_about(&hub, "membership@1", gardens, member)).await;
        let own = || vec![Audience::Account(anna.account)];
        let list = async |title: &str, changes: Value, audience: Vec<Audience>| {
            let mut body = with(changes);
            body["title"] = json!(title);
            let draft = anna.draft(&hub, "listing@1", body).only_for(audience);
            hub.say(&draft.sign(&anna.device).unwrap()).await
        };
        list("Äpfel 100% bio", json!({ "kind": "physical", "tags": ["fruit"] }), vec![Audience::Public])
            .await;
        list("Apple_pie", json!({ "kind": "physical", "tags": ["cake", "fruit"] }), vec![Audience::Public])
            .await;
        let followers = vec![Audience::Community(gardens)];
        let followed = list("For gardeners", json!({ "visibility": "followers" }), followers).await;
        let private = list("For me", json!({ "visibility": "private" }), own()).await;
        list("Unfinished", json!({ "status": "draft" }), own()).await;
        let titles = async |token: Option<&str>, query: &str| -> String {
            let path = format!("/v1/listings?{query}");
            let answer = match token {
                Some(token) => hub.get_as(token, &path).await,
                None => hub.get(&path).await,
            };
            let items = answer.body["items"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone();
            items.iter().map(|item| item["body"]["title"].as_str().unwrap()).collect::<Vec<_>>().join(", ")
        };
        let tokens = [anna.sign_in(&hub).await, ben.sign_in(&hub).await, cora.sign_in(&hub).await];
        let both = "Apple_pie, Äpfel 100% bio";
        assert_eq!(titles(None, "").await, both);
        assert_eq!(titles(Some(&tokens[0]), "").await, format!("Unfinished, For me, For gardeners, {both}"));
        assert_eq!(titles(Some(&tokens[1]), "").await, format!("For gardeners, {both}"));
        assert_eq!(titles(Some(&tokens[2]), "").await, both);
        for (query, expected) in [
            ("kind=physical", both),
            ("kind=service", ""),
            ("tag=cake", "Apple_pie"),
            ("tag=fruit&q=pie", "Apple_pie"),
            ("q=ÄPFEL", "Äpfel 100% bio"),
            // Neither sign of LIKE means anything but itself.
            ("q=100%25", "Äpfel 100% bio"),
            ("q=e_p", "Apple_pie"),
            ("q=%25", "Äpfel 100% bio"),
            ("q=%5C", ""),
            ("q=brakes", both),
            ("status=draft", ""),
            ("status=active&limit=1", "Apple_pie"),
            (&format!("seller={}", anna.account), both),
            (&format!("seller={}", ben.account), ""),
        ] {
            assert_eq!(titles(None, query).await, expected, "{query}");
        }
        // Page by page, each listing once, whoever looks.
        for (token, count) in [(None, 2), (Some(&tokens[0]), 5), (Some(&tokens[1]), 3)] {
            let (mut seen, mut after) = (Vec::new(), String::new());
            loop {
                let path = format!("/v1/listings?limit=1{after}");
                let page = match token {
                    Some(token) => hub.get_as(token, &path).await.body,
                    None => hub.get(&path).await.body,
                };
                seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()));
                let Some(next) = page["next"].as_str() else { break };
                after = format!("&after={next}");
            }
            assert_eq!(seen.len(), count);
            seen.dedup();
            assert_eq!(seen.len(), count);
        }
        // Whoever may not read it any more finds it no more, and then again.
        for (visibility, audience, expected) in [
            ("private", own(), both.to_owned()),
            ("followers", vec![Audience::Community(gardens)], format!("For gardeners, {both}")),
        ] {
            hub.clock.pass_ms(1);
            let mut body = with(json!({ "visibility": visibility }));
            body["title"] = json!("For gardeners");
            let draft = anna.draft(&hub, "listing@1", body).about(followed).only_for(audience);
            hub.say(&draft.sign(&anna.device).unwrap()).await;
            assert_eq!(titles(Some(&tokens[1]), "").await, expected, "{visibility}");
        }
        let path = format!("/v1/listings/{private}");
        assert_eq!(hub.get(&path).await.refusal().0, 404);
        assert_eq!(hub.get_as(&tokens[1], &path).await.refusal().0, 404);
        assert_eq!(hub.get_as(&tokens[0], &path).await.status, 200);
        for bad in [
            "q=%00",
            "kind=weapon",
            "status=gone",
            "limit=1000",
            "limit=",
            "after=x",
            "colour=red",
            "seller=anna",
        ] {
            assert_eq!(hub.get(&format!("/v1/listings?{bad}")).await.refusal().0, 400, "{bad}");
        }
        assert_eq!(
            hub.get(&format!("/v1/listings?q={}", "x".repeat(101))).await.refusal(),
            (400, "", "", "q")
        );
        hub.end().await;
    }
}

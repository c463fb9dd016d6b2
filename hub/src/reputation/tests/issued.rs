//! Credentials over HTTP, on both engines and both kinds of chain.

use super::{
    super::status::{ENTRIES, Standing, look},
    *,
};
use crate::testing::trade::{Bought, Trade, everywhere};

/// What the person's wallet signed when the account began.
pub(super) async fn word_of(trade: &Trade, person: &Person) -> WalletAuthorisation {
    let record = trade.hub.get(&format!("/v1/records/{}", person.account)).await.body;
    let text = |name: &str| record["body"][name].as_str().unwrap().to_owned();
    WalletAuthorisation { message: text("message"), signature: text("signature") }
}

/// The `credential@1` that a person would send.
pub(super) fn record(trade: &Trade, person: &Person, bought: &Bought, credential: &Value) -> Value {
    let draft = person.draft(&trade.hub, "credential@1", json!({ "credential": credential }));
    draft.about(bought.id).sign(&person.device).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn parties_praise_one_another_once_the_deal_is_completed() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let bought = trade.agree(1).await;
        let deal = bought.deal;
        let funded = trade.fund(&bought).await;
        let claimed = Story::completed();
        let (by_buyer, by_seller) =
            (word_of(&trade, &trade.buyer).await, word_of(&trade, &trade.seller).await);
        let now = Stamp::from_ms(START_MS);
        // Made from a story of the same terms, before the chain tells it.
        let released =
            trade.script.happens(ground.escrow, EventBody::Released { deal, released: 1000, count: 2 });
        let (position, _) = fold(Status::Created, &bought.terms, [&funded, &released]);
        let make = |kind, word: &WalletAuthorisation, person: &Person| {
            let base = &trade.hub.config.public_url;
            // Each in another form, and both in the same list.
            let (entry, form) = match kind {
                Kind::TrustedSeller => (17, Form::DataIntegrity),
                _ => (18, Form::Jose),
            };
            let status = Some(Entry::new(base, Purpose::Revocation, 0, entry));
            let issuing = Issuing { authorisation: Some(word.clone()), status, form };
            issue(kind, &bought.terms, &position, issuing, &person.device, now).unwrap()
        };
        let praise = make(Kind::TrustedSeller, &by_buyer, &trade.buyer);
        let praising = record(&trade, &trade.buyer, &bought, &praise);
        let told = trade.hub.refuses(&praising).await;
        assert_eq!((told.0, told.2.as_str()), (409, "deal_not_closed"));
        for finality in [Finality::Seen, Finality::Safe] {
            assert_eq!(trade.deliver(&[trade.script.tells(&released, finality)]).await.status, 200);
            assert_eq!(trade.hub.refuses(&praising).await.2, "deal_not_closed");
        }
        trade.deliver(&[trade.script.tells(&released, Finality::Final)]).await;
        let buyer = trade.buyer.sign_in(&trade.hub).await;
        // Completed without waiting for anybody's praise.
        assert_eq!(trade.view(&buyer, &bought).await["status"], "completed");

        let praised = make(Kind::ReliablePayer, &by_seller, &trade.seller);
        let of_another_deal = claimed.credential(Kind::TrustedSeller);
        let mut altered = praise.clone();
        altered["credentialSubject"]["deal"]["seller_share_bps"] = json!(9999);
        let stolen = make(Kind::TrustedSeller, &by_buyer, &trade.seller);
        for (rule, refused) in [
            ("not_the_counterparty", record(&trade, &trade.seller, &bought, &praise)),
            ("not_the_counterparty", record(&trade, &trade.buyer, &bought, &praised)),
            ("no_purchase", record(&trade, &trade.jurors[0], &bought, &praise)),
            ("issuer_device", record(&trade, &trade.buyer, &bought, &stolen)),
            ("credential_terms", record(&trade, &trade.buyer, &bought, &of_another_deal)),
            ("credential_proof", record(&trade, &trade.buyer, &bought, &altered)),
        ] {
            assert_eq!(trade.hub.refuses(&refused).await.2, rule);
        }
        // What a hub asks of the status besides: there is one, in a list of its own that is open, on the list.
        let with_status = |status: Option<Entry>| {
            let issuing =
                Issuing { authorisation: Some(by_buyer.clone()), status, form: Form::DataIntegrity };
            let device = &trade.buyer.device;
            let made = issue(Kind::TrustedSeller, &bought.terms, &position, issuing, device, now).unwrap();
            record(&trade, &trade.buyer, &bought, &made)
        };
        let base = trade.hub.config.public_url.as_str();
        let at = |base, list, entry| Some(Entry::new(base, Purpose::Revocation, list, entry));
        for status in [None, at("https://other.example", 0, 1), at(base, 1, 1), at(base, 0, ENTRIES)] {
            let told = trade.hub.refuses(&with_status(status.clone())).await;
            assert_eq!((told.0, told.2.as_str()), (422, "credential_status"), "{status:?}");
        }
        let said = trade.hub.say(&praising).await;
        trade.hub.clock.pass_ms(1000);
        let again = record(&trade, &trade.buyer, &bought, &praise);
        assert_eq!(trade.hub.refuses(&again).await.2, "credential_exists");
        let hidden =
            trade.seller.draft(&trade.hub, "credential@1", json!({ "credential": praised })).about(bought.id);
        let to_the_buyer = vec![crate::access::Audience::Account(trade.buyer.account)];
        let hidden = hidden.only_for(to_the_buyer).sign(&trade.seller.device).unwrap();
        trade.hub.say(&hidden).await;
        let taken = make(Kind::ReliablePayer, &by_seller, &trade.seller);
        assert_eq!(
            trade.hub.refuses(&record(&trade, &trade.seller, &bought, &taken)).await.2,
            "credential_exists"
        );

        // Anyone reads the public one and can verify it; the other is for the buyer's eyes.
        let shown = trade.hub.get(&format!("/v1/credentials/{said}")).await.body;
        trade.hub.names_its_state(None, &format!("/v1/credentials/{said}")).await;
        assert_eq!(shown["credential"], praise);
        let events = [&funded, &released].map(|event| FeedEntry {
            seq: 1,
            finality: Finality::Final,
            event: event.clone(),
        });
        let facts = Facts { events: &events, escrows: &[ground.escrow], contract_wallet: None, hub: None };
        assert_eq!(verify(&shown["credential"], &facts).unwrap().subject, bought.terms.seller);
        let kinds = |body: Value| {
            let items = body.get("items").cloned().unwrap_or(body);
            let names = items.as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap().to_owned());
            names.collect::<Vec<_>>()
        };
        let about = |wallet| format!("/v1/credentials?subject={}", WalletDid(wallet));
        assert_eq!(kinds(trade.hub.get(&about(bought.terms.seller)).await.body), ["TrustedSellerCredential"]);
        assert_eq!(kinds(trade.hub.get(&about(bought.terms.buyer)).await.body), [""; 0]);
        assert_eq!(
            kinds(trade.hub.get_as(&buyer, &about(bought.terms.buyer)).await.body),
            ["ReliablePayerCredential"]
        );
        let of_purchase = format!("/v1/purchases/{}/credentials", bought.id);
        assert_eq!(kinds(trade.hub.get(&of_purchase).await.body).len(), 1);
        assert_eq!(kinds(trade.hub.get_as(&buyer, &of_purchase).await.body).len(), 2);
        assert_eq!(trade.hub.get("/v1/credentials?subject=did:web:x").await.status, 400);
        trade.hub.end().await;
    }
}

/// The list of the hub, and what it says of an entry.
async fn standing(trade: &Trade, entry: &Entry) -> Standing {
    let document = trade.hub.get("/.well-known/did.json").await.body;
    let hub = document["alsoKnownAs"][0].as_str().unwrap().parse().unwrap();
    let list = trade.hub.get(entry.list.strip_prefix(&trade.hub.config.public_url).unwrap()).await;
    assert_eq!((list.status, list.kind.as_str()), (200, "application/vc"));
    look(entry, &list.body, hub, Stamp::from_ms(trade.hub.now())).unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_issued_takes_it_back_and_the_list_shows_it() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let open = trade.hub.get("/v1/status/revocation").await.body;
        assert_eq!((&open["list"], &open["entries"]), (&json!(0), &json!(ENTRIES)));
        let word = word_of(&trade, &trade.buyer).await;
        let mut praise = Vec::new();
        for (salt, entry) in [(1, 99), (2, 100)] {
            let bought = trade.agree(salt).await;
            let funded = trade.fund(&bought).await;
            let released = EventBody::Released { deal: bought.deal, released: 1000, count: 2 };
            let released = trade.final_event(ground.escrow, released).await;
            let (position, _) = fold(Status::Created, &bought.terms, [&funded, &released]);
            let make = |entry| {
                let entry = Entry::new(&trade.hub.config.public_url, Purpose::Revocation, 0, entry);
                let authorisation = Some(word.clone());
                let issuing = Issuing { authorisation, status: Some(entry.clone()), form: Form::Jose };
                let now = Stamp::from_ms(START_MS);
                let device = &trade.buyer.device;
                let made =
                    issue(Kind::TrustedSeller, &bought.terms, &position, issuing, device, now).unwrap();
                (record(&trade, &trade.buyer, &bought, &made), entry)
            };
            if let Some((_, taken)) = praise.first() {
                let Entry { index, .. } = taken;
                let told = trade.hub.refuses(&make(*index).0).await;
                assert_eq!((told.0, told.2.as_str()), (409, "status_taken"));
            }
            let (record, entry) = make(entry);
            praise.push((trade.hub.say(&record).await, entry));
        }
        let (first, second) = (&praise[0], &praise[1]);
        assert_eq!(standing(&trade, &first.1).await, Standing::Good);
        let path = "/v1/status/revocation/0";
        let headers = |tag: Option<String>| {
            let request = trade.hub.request(reqwest::Method::GET, path);
            match tag {
                Some(tag) => request.header("if-none-match", tag),
                None => request,
            }
        };
        let told = headers(None).send().await.unwrap();
        let tag = told.headers()["etag"].to_str().unwrap().to_owned();
        assert_eq!(told.headers()["cache-control"], "public, max-age=300");
        assert_eq!(headers(Some(tag.clone())).send().await.unwrap().status().as_u16(), 304);
        for (path, status) in [("/v1/status/revocation/1", 404), ("/v1/status/suspension/0", 400)] {
            assert_eq!(trade.hub.get(path).await.status, status);
        }

        // Half of the list is taken: it stays so, and others draw in the next one.
        let fill = "INSERT INTO credential_status (purpose, list, entry, credential)
            WITH RECURSIVE n (entry) AS (SELECT 1000 UNION ALL SELECT entry + 1 FROM n WHERE entry < 66533)
            SELECT 'revocation', 0, entry, 'filled ' || CAST(entry AS TEXT) FROM n";
        let filled = sqlx::query(fill).execute(&trade.hub.eyes).await.unwrap();
        assert_eq!(filled.rows_affected() + 2, u64::from(ENTRIES / 2));
        let bought = trade.agree(3).await;
        let funded = trade.fund(&bought).await;
        let released = EventBody::Released { deal: bought.deal, released: 1000, count: 2 };
        let released = trade.final_event(ground.escrow, released).await;
        let (position, _) = fold(Status::Created, &bought.terms, [&funded, &released]);
        let third = |list: u32| {
            let entry = Entry::new(&trade.hub.config.public_url, Purpose::Revocation, list, 101);
            let issuing =
                Issuing { authorisation: Some(word.clone()), status: Some(entry), form: Form::Jose };
            let (now, device) = (Stamp::from_ms(START_MS), &trade.buyer.device);
            let made = issue(Kind::TrustedSeller, &bought.terms, &position, issuing, device, now).unwrap();
            record(&trade, &trade.buyer, &bought, &made)
        };
        assert_eq!(trade.hub.refuses(&third(0)).await.2, "status_taken");
        assert_eq!(trade.hub.refuses(&third(2)).await.2, "credential_status");
        assert_eq!(trade.hub.get("/v1/status/revocation").await.body["list"], 1);
        let empty = "DELETE FROM credential_status WHERE credential LIKE 'filled %'";
        sqlx::query(empty).execute(&trade.hub.eyes).await.unwrap();

        let take_back = |person: &Person, reason: &str| {
            person.record_about(&trade.hub, "revocation@1", first.0, json!({ "reason": reason }))
        };
        assert_eq!(trade.hub.refuses(&take_back(&trade.seller, "")).await.2, "not_the_issuer");
        assert_eq!(trade.hub.refuses(&take_back(&trade.buyer, &"x".repeat(501))).await.2, "reason");
        let of_nothing = trade.buyer.record_about(
            &trade.hub,
            "revocation@1",
            trade.buyer.account,
            json!({ "reason": "" }),
        );
        assert_eq!(trade.hub.refuses(&of_nothing).await.2, "not_the_issuer");
        trade.hub.clock.pass_ms(1);
        let by = trade.hub.say(&take_back(&trade.buyer, "it broke the next day")).await;
        assert_eq!(trade.hub.refuses(&take_back(&trade.buyer, "again")).await.2, "credential_revoked");
        assert_eq!(standing(&trade, &first.1).await, Standing::Revoked);
        assert_eq!(standing(&trade, &second.1).await, Standing::Good);
        assert_eq!(headers(Some(tag)).send().await.unwrap().status().as_u16(), 200);
        let shown = trade.hub.get(&format!("/v1/credentials/{}", first.0)).await.body;
        assert_eq!(shown["revoked"], json!(by));
        assert_eq!(
            trade.hub.get(&format!("/v1/credentials/{}", second.0)).await.body["revoked"],
            Value::Null
        );
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_says_who_lost_a_dispute() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        for (salt, released, loser) in [(1, 200, true), (2, 500, false)] {
            let bought = trade.agree(salt).await;
            let funded = trade.fund(&bought).await;
            let disputed = trade.dispute(&bought).await;
            let deal = bought.deal;
            let ruled = EventBody::Ruled {
                deal,
                share: released as u16 * 10,
                released,
                refunded: 1000 - released,
                count: 3,
            };
            let ruled = trade.final_event(ground.escrow, ruled).await;
            let path = format!("/v1/purchases/{}/credentials", bought.id);
            let found = trade.hub.get(&path).await.body;
            let found = found.as_array().unwrap();
            assert_eq!(found.len(), usize::from(loser));
            if let Some(shown) = found.first() {
                assert_eq!(shown["kind"], "DisputeLostCredential");
                let entry = serde_json::from_value(shown["credential"]["credentialStatus"].clone()).unwrap();
                assert_eq!(standing(&trade, &entry).await, Standing::Good);
                let hub = trade.hub.get("/.well-known/did.json").await.body["alsoKnownAs"][0]
                    .as_str()
                    .unwrap()
                    .parse()
                    .unwrap();
                let events = [&funded, &disputed, &ruled].map(|event| FeedEntry {
                    seq: 1,
                    finality: Finality::Final,
                    event: event.clone(),
                });
                let facts = Facts {
                    events: &events,
                    escrows: &[ground.escrow],
                    contract_wallet: None,
                    hub: Some(hub),
                };
                let verified = verify(&shown["credential"], &facts).unwrap();
                assert_eq!((verified.subject, verified.kind), (bought.terms.seller, Kind::DisputeLost));
                // A party cannot say it.
                let own = record(&trade, &trade.buyer, &bought, &shown["credential"]);
                assert_eq!(trade.hub.refuses(&own).await.2, "not_the_counterparty");
            }
        }
        trade.hub.end().await;
    }
}

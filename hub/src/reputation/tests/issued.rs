//! Credentials over HTTP, on both engines and both kinds of chain.

use super::*;
use crate::testing::trade::{Bought, Trade, everywhere};

/// What the person's wallet signed when the account began.
async fn word_of(trade: &Trade, person: &Person) -> WalletAuthorisation {
    let record = trade.hub.get(&format!("/v1/records/{}", person.account)).await.body;
    let text = |name: &str| record["body"][name].as_str().unwrap().to_owned();
    WalletAuthorisation { message: text("message"), signature: text("signature") }
}

/// The `credential@1` that a person would send.
fn record(trade: &Trade, person: &Person, bought: &Bought, credential: &Value) -> Value {
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
            issue(kind, &bought.terms, &position, Some(word.clone()), &person.device, now).unwrap()
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
        let said = trade.hub.say(&praising).await;
        trade.hub.clock.pass_ms(1000);
        let again = record(&trade, &trade.buyer, &bought, &praise);
        assert_eq!(trade.hub.refuses(&again).await.2, "credential_exists");
        let hidden =
            trade.seller.draft(&trade.hub, "credential@1", json!({ "credential": praised })).about(bought.id);
        let to_the_buyer = vec![crate::access::Audience::Account(trade.buyer.account)];
        let hidden = hidden.only_for(to_the_buyer).sign(&trade.seller.device).unwrap();
        trade.hub.say(&hidden).await;

        // Anyone reads the public one and can verify it; the other is for the buyer's eyes.
        let shown = trade.hub.get(&format!("/v1/credentials/{said}")).await.body;
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

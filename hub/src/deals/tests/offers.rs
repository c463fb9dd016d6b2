//! Offers, acceptances and withdrawals over HTTP, on both engines and both kinds of chain.

use alloy::primitives::{B256, Bytes};
use protocol::{chain, terms::Terms};
use serde_json::{Value, json};

use crate::{
    deals::model::agreement_hash,
    testing::{
        Person,
        trade::{Bought, CHAIN, Trade, everywhere},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_is_accepted_and_seen_by_its_parties_alone() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let bought = trade.offer(1).await;
        let (buyer, seller) = (trade.buyer.sign_in(&trade.hub).await, trade.seller.sign_in(&trade.hub).await);
        let stranger = trade.stranger(9).await.sign_in(&trade.hub).await;

        let seen = trade.view(&buyer, &bought).await;
        assert_eq!((&seen["status"], &seen["deal"]), (&json!("offered"), &json!(bought.deal)));
        assert_eq!(seen["details"]["terms"], json!(bought.terms));
        assert_eq!(seen["details"]["seller_signature"], Value::Null);
        assert_eq!(seen["details"]["next_deadline"]["then"], "void");

        let acceptance = trade.acceptance(&bought);
        trade.hub.say(&acceptance).await;
        let seen = trade.view(&seller, &bought).await;
        assert_eq!(seen["status"], "created");
        assert_eq!(seen["details"]["seller_signature"], acceptance["body"]["signature"]);

        let path = format!("/v1/purchases/{}", bought.id);
        assert_eq!(trade.hub.get(&path).await.status, 404);
        assert_eq!(trade.hub.get_as(&stranger, &path).await.status, 404);
        assert_eq!(trade.hub.get("/v1/purchases").await.status, 401);
        let listed = trade.hub.get_as(&seller, "/v1/purchases?status=created").await.body;
        assert_eq!(listed["items"][0]["id"], json!(bought.id));
        for query in ["status=funded".to_owned(), format!("account={}", trade.jurors[0].account)] {
            let listed = trade.hub.get_as(&seller, &format!("/v1/purchases?{query}")).await.body;
            assert_eq!(listed["items"], json!([]), "{query}");
        }
        assert_eq!(trade.hub.get_as(&stranger, "/v1/purchases").await.body["items"], json!([]));
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_of_an_offer_refuses_by_name() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (good, agreement) = trade.terms(1);
        let other = trade.jurors[0].wallet_id();
        let changed = |change: &dyn Fn(&mut Terms)| {
            let mut terms = good.clone();
            change(&mut terms);
            (terms, agreement.clone())
        };
        let agreed = |change: &dyn Fn(&mut Value)| {
            let (mut terms, mut agreement) = (good.clone(), agreement.clone());
            change(&mut agreement);
            terms.agreement = agreement_hash(&agreement).unwrap();
            (terms, agreement)
        };
        for (rule, (terms, agreement)) in [
            ("foreign_wallet", changed(&|terms| terms.buyer = other)),
            ("wrong_pay_to", changed(&|terms| terms.seller = other)),
            ("wrong_price", changed(&|terms| terms.amount = 999)),
            ("unknown_contract", changed(&|terms| terms.escrow = other)),
            ("unknown_contract", changed(&|terms| terms.arbiter = other)),
            ("unknown_panel", changed(&|terms| terms.panel = B256::ZERO)),
            ("ruling_too_short", changed(&|terms| terms.ruling = 3600)),
            ("terms_refused", changed(&|terms| terms.inspection = 0)),
            ("terms_refused", changed(&|terms| terms.deliver_by = terms.fund_by)),
            ("too_late", changed(&|terms| terms.fund_by = 1)),
            ("agreement_hash", changed(&|terms| terms.agreement = B256::ZERO)),
            ("agreement_contradicts", agreed(&|agreement| agreement["price"]["amount"] = json!("1"))),
            ("agreement_contradicts", agreed(&|agreement| agreement["buyer"] = json!(trade.seller.account))),
            ("agreement_unreadable", agreed(&|agreement| agreement["deliverable"] = json!(""))),
        ] {
            let (_, step, told, field) = trade.hub.refuses(&trade.purchase(&terms, &agreement)).await;
            assert_eq!((step.as_str(), told.as_str()), ("rule", rule), "{field}");
        }

        // Not for these eyes, not for oneself, not while it rests.
        let (terms, agreement) = trade.terms(1);
        let body = json!({ "terms": terms, "agreement": agreement });
        let nowhere = trade.buyer.record_about(&trade.hub, "purchase@1", trade.buyer.account, body.clone());
        assert_eq!(trade.hub.refuses(&nowhere).await.2, "no_listing");
        let own = trade.seller.record_about(&trade.hub, "purchase@1", trade.listing, body.clone());
        assert_eq!(trade.hub.refuses(&own).await.2, "own_listing");
        let mut paused = Trade::listing_body(&trade.seller);
        paused["status"] = json!("paused");
        let paused = trade.seller.record_about(&trade.hub, "listing@1", trade.listing, paused);
        trade.hub.say(&paused).await;
        assert_eq!(trade.hub.refuses(&trade.purchase(&good, &agreement)).await.2, "listing_inactive");
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_sellers_wallet_accepts_and_only_once() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let bought = trade.offer(1).await;
        let accept = |person: &Person, signature: Bytes| {
            let body = json!({ "signature": signature });
            person.record_about(&trade.hub, "acceptance@1", bought.id, body)
        };
        let good = trade.seller.wallet.terms(bought.deal);
        assert_eq!(trade.hub.refuses(&accept(&trade.buyer, good.clone())).await.2, "not_seller");
        assert_eq!(trade.hub.refuses(&accept(&trade.jurors[0], good.clone())).await.2, "no_purchase");
        let foreign = trade.buyer.wallet.terms(bought.deal);
        assert_eq!(trade.hub.refuses(&accept(&trade.seller, foreign)).await.2, "invalid_signature");
        let mut altered = good.to_vec();
        altered[7] ^= 1;
        assert_eq!(trade.hub.refuses(&accept(&trade.seller, altered.into())).await.2, "invalid_signature");
        let long = vec![0; 1025].into();
        assert_eq!(trade.hub.refuses(&accept(&trade.seller, long)).await.2, "invalid_signature");
        trade.hub.say(&accept(&trade.seller, good)).await;
        trade.hub.clock.pass_ms(1000);
        let again = trade.acceptance(&bought);
        assert_eq!(trade.hub.refuses(&again).await.2, "already_accepted");

        // A contract wallet's signature is the contract's to judge, where there are such.
        let second = trade.offer(2).await;
        let signature = Bytes::from(vec![7; 100]);
        let body = json!({ "signature": signature });
        let acceptance = trade.seller.record_about(&trade.hub, "acceptance@1", second.id, body);
        assert_eq!(trade.hub.refuses(&acceptance).await.2, "invalid_signature");
        trade.script.accepts(trade.seller.wallet.address(), second.deal, &signature);
        if ground.chain == CHAIN {
            trade.hub.say(&acceptance).await;
        } else {
            let answer = trade.hub.post("/v1/records", &acceptance).await;
            assert_eq!(answer.refusal().2, "invalid_signature");
            let detail = answer.body["detail"].as_str().unwrap();
            assert!(detail.contains("64 bytes, not 100"), "{detail}");
        }

        let third = trade.offer(3).await;
        trade.hub.clock.pass_ms(3601 * 1000);
        assert_eq!(trade.hub.refuses(&trade.acceptance(&third)).await.2, "too_late");
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_funding_either_party_steps_back() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let buyer = trade.buyer.sign_in(&trade.hub).await;
        let withdraw = |person: &Person, bought: &Bought, reason: &str| {
            let body = json!({ "reason": reason });
            person.record_about(&trade.hub, "withdrawal@1", bought.id, body)
        };
        let bought = trade.offer(1).await;
        let told = trade.hub.refuses(&withdraw(&trade.jurors[0], &bought, "")).await;
        assert_eq!(told.2, "no_purchase");
        let long = withdraw(&trade.seller, &bought, &"x".repeat(501));
        assert_eq!(trade.hub.refuses(&long).await.2, "reason_too_long");
        trade.hub.say(&withdraw(&trade.seller, &bought, "sold")).await;
        assert_eq!(trade.view(&buyer, &bought).await["status"], "declined");
        assert_eq!(trade.hub.refuses(&trade.acceptance(&bought)).await.2, "offer_gone");

        for (salt, person) in [(2, &trade.buyer), (3, &trade.seller)] {
            let bought = trade.agree(salt).await;
            trade.hub.say(&withdraw(person, &bought, "")).await;
            assert_eq!(trade.view(&buyer, &bought).await["status"], "withdrawn");
        }
        let bought = trade.agree(4).await;
        trade.fund(&bought).await;
        assert_eq!(trade.hub.refuses(&withdraw(&trade.buyer, &bought, "")).await.2, "already_funded");

        let (terms, agreement) = trade.terms(4);
        assert_eq!(chain::deal_id(&terms).unwrap(), bought.deal);
        trade.hub.clock.pass_ms(1000);
        assert_eq!(trade.hub.refuses(&trade.purchase(&terms, &agreement)).await.2, "known_deal");
        trade.hub.end().await;
    }
}

//! What a deal holds and paid, in the ledger: the rule over random histories, and through the relayer's door on both engines and both
//! kinds of chain.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use protocol::wire::view::{Deal, DealStatus, DealView};
use serde_json::{Value, json};

use super::{histories::history, *};
use crate::{
    deals::{
        mirror::{Mirrored, Sides, legs},
        reconcile::{self, Compared},
    },
    ledger::model::Key,
    testing::trade::{Bought, Trade, everywhere},
};

fn sides(terms: &Terms) -> Sides {
    let id = |text: &str| RecordId::of(&serde_json::json!({ "test": text })).unwrap();
    Sides::new(id("purchase"), terms.asset, id("buyer"), id("seller"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_booked_is_what_the_deal_holds_whatever_was_told_when(
        tries in vec((any::<u8>(), 0_u128..=1000, 0_u64..4_000), 0..12),
        jumps in vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let terms = terms();
        let (events, _) = history(&terms, &tries);
        let sides = sides(&terms);
        let mut balances: BTreeMap<Key, i128> = BTreeMap::new();
        let mut before = Mirrored::default();
        // Any part of the history after any other, as if what was final had left the chain; then all of it.
        let told = jumps.iter().map(|index| index.index(events.len() + 1)).chain([events.len()]);
        for known in told {
            let (position, gap) = fold(Status::Created, &terms, events.iter().take(known));
            prop_assert_eq!(gap, None);
            let after = Mirrored::of(&position, terms.amount);
            for transfer in legs(&sides, before, after).unwrap() {
                prop_assert_eq!(transfer.iter().map(|leg| leg.amount).sum::<i128>(), 0);
                for leg in transfer {
                    let balance = balances.entry(leg.account).or_default();
                    *balance += leg.amount;
                    prop_assert!(leg.account == sides.deal || *balance >= 0, "{:?}", leg.account);
                }
            }
            let has = |key: Key| balances.get(&key).copied().unwrap_or_default();
            let held = i128::try_from(after.held().unwrap()).unwrap();
            prop_assert_eq!((has(sides.deal), has(sides.buyer), has(sides.seller)), (-held, held, 0));
            if position.closing.is_some() {
                prop_assert_eq!(held, 0);
            }
            prop_assert!(legs(&sides, after, after).unwrap().is_empty());
            before = after;
        }
    }
}

#[test]
fn what_no_ledger_counts_has_no_legs() {
    let terms = terms();
    let after = Mirrored { funded: u128::MAX, released: 0, refunded: 0 };
    assert_eq!(legs(&sides(&terms), Mirrored::default(), after), None);
}

/// The entries of somebody in the coin of the trade: type and amount, and the balance.
async fn statement(trade: &Trade, token: &str) -> (Vec<(String, String)>, Value) {
    let path = format!("/v1/ledger/statement?asset={}", trade.ground.coin());
    let answer = trade.hub.get_as(token, &path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
    let items = answer.body["items"].as_array().unwrap();
    let entries = items.iter().map(|entry| (text(entry, "type"), text(entry, "amount"))).collect();
    (entries, answer.body["account"]["balance"].clone())
}

fn entries(amounts: &[&str]) -> Vec<(String, String)> {
    amounts.iter().map(|amount| ("mirror".to_owned(), (*amount).to_owned())).collect()
}

async fn harm(trade: &Trade, sql: String) {
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&trade.hub.eyes).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_counts_what_final_events_move_once() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let bought = trade.agree(1).await;
        let deal = bought.deal;
        let (buyer, seller) = (trade.buyer.sign_in(&trade.hub).await, trade.seller.sign_in(&trade.hub).await);

        let funded = EventBody::Funded { deal, terms: bought.terms.clone() };
        let funded = trade.script.happens(ground.escrow, funded);
        trade.deliver(&[trade.script.tells(&funded, Finality::Safe)]).await;
        assert_eq!(
            statement(&trade, &buyer).await,
            (vec![], json!("0")),
            "nothing is counted before it is final"
        );
        // What somebody else is told, and refused, before and after anybody has had a deal in the coin.
        let stranger = trade.jurors[0].sign_in(&trade.hub).await;
        let path = format!("/v1/ledger/statement?asset={}", ground.coin());
        let asks = async |time: u32| {
            let body = json!({ "asset": ground.coin(), "to": trade.seller.account, "amount": "1",
                "note": time.to_string() });
            let draft = trade.jurors[0].draft(&trade.hub, "transfer@1", body);
            let draft = draft.only_for(vec![crate::access::Audience::Account(trade.seller.account)]);
            let refused = trade.hub.refuses(&draft.sign(&trade.jurors[0].device).unwrap()).await;
            (trade.hub.get_as(&stranger, &path).await.body, refused)
        };
        let before = asks(1).await;
        assert_eq!((&before.0["items"], before.1.2.as_str()), (&json!([]), "not_allowed"), "{before:?}");

        // What comes before the funding waits for it, and is booked with it.
        let part = trade.script.happens(ground.escrow, EventBody::Released { deal, released: 300, count: 2 });
        trade.deliver(&[trade.script.tells(&part, Finality::Final)]).await;
        let entry = trade.script.tells(&funded, Finality::Final);
        for _ in 0..2 {
            let answer = trade.deliver(std::slice::from_ref(&entry)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        assert_eq!(statement(&trade, &buyer).await, (entries(&["1000", "-300"]), json!("700")));
        assert_eq!(statement(&trade, &seller).await, (entries(&["300", "-300"]), json!("0")));
        assert_eq!(asks(2).await, before);

        // What a payment could not bring is owed by the escrow and no longer in the deal: it is paid, as the deal sees it.
        let settled = EventBody::Settled { deal, released: 800, refunded: 200, count: 3 };
        trade.final_event(ground.escrow, settled).await;
        let (creditor, asset) = (bought.terms.seller.address, ground.coin().address());
        trade.final_event(ground.escrow, EventBody::Credited { deal, creditor, asset, amount: 500 }).await;
        assert_eq!(statement(&trade, &buyer).await, (entries(&["1000", "-300", "-500", "-200"]), json!("0")));
        assert_eq!(statement(&trade, &seller).await, (entries(&["300", "-300", "500", "-500"]), json!("0")));

        // Nobody but the chain moves it.
        let body = json!({ "asset": ground.coin(), "to": trade.seller.account, "amount": "1", "note": "" });
        let draft = trade.buyer.draft(&trade.hub, "transfer@1", body);
        let draft = draft.only_for(vec![crate::access::Audience::Account(trade.seller.account)]);
        let refusal = trade.hub.refuses(&draft.sign(&trade.buyer.device).unwrap()).await;
        assert_eq!((refusal.0, refusal.3.as_str()), (422, "/body/asset"), "{refusal:?}");

        let found = crate::verify_ledger(&trade.hub.config).await.unwrap();
        assert_eq!((found.faults, found.deals), (0, 1), "{found:?}");
        trade.hub.end().await;
    }
}

/// A deal of 1,000 of which 300 were released.
async fn under_way(trade: &Trade) -> Bought {
    let bought = trade.agree(1).await;
    trade.fund(&bought).await;
    let released = EventBody::Released { deal: bought.deal, released: 300, count: 2 };
    trade.final_event(trade.ground.escrow, released).await;
    bought
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_names_a_deal_in_which_the_ledger_counts_something_else() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let Bought { id, deal, .. } = under_way(&trade).await;
        let clean = crate::verify_ledger(&trade.hub.config).await.unwrap();
        assert_eq!((clean.faults, clean.deals), (0, 1), "{clean:?}");
        let coin = ground.coin();
        let balance = |amount: i128| {
            format!("UPDATE ledger_accounts SET balance = '{amount:+039}' WHERE id = '{coin}|mirror|{id}'")
        };
        let counted = |released: u128| {
            let of = format!(r#"{{"funded":"1000","released":"{released}","refunded":"0"}}"#);
            format!("UPDATE purchases SET mirrored = '{of}' WHERE id = '{id}'")
        };
        for (planted, words, undo) in [
            (
                balance(-650),
                format!("deal {deal}: the ledger counts 650 of {coin} in it, and its final events leave 700"),
                balance(-700),
            ),
            (
                counted(200),
                format!(
                    "deal {deal}: the ledger has booked 1000 of {coin} in, 200 to the seller and 0 back, and its final \
                     events say 1000, 300 and 0"
                ),
                counted(300),
            ),
        ] {
            harm(&trade, planted).await;
            let found = crate::verify_ledger(&trade.hub.config).await.unwrap();
            assert!(found.told.contains(&words), "{words}: {found:?}");
            harm(&trade, undo).await;
        }
        assert_eq!(crate::verify_ledger(&trade.hub.config).await.unwrap(), clean);
        trade.hub.end().await;
    }
}

#[test]
fn a_difference_from_the_chain_is_told_with_both_numbers() {
    let terms = terms();
    let (deal, asset) = (B256::repeat_byte(1), terms.asset);
    let view = |finality, complete| DealView {
        deal: Deal {
            deal,
            terms: terms.clone(),
            status: DealStatus::Funded,
            closed_by: None,
            released: 300,
            refunded: 0,
            funded_at: START,
            since: START,
            share: None,
            count: 2,
            complete,
        },
        finality,
    };
    let compare = |balance, seen: Option<&DealView>| reconcile::compare(deal, asset, balance, seen);
    let words = |counted: &str, holds: &str| {
        Compared::Differs(format!(
            "deal {deal}: the ledger counts {counted} of {asset} in it, and the chain holds {holds}"
        ))
    };
    let settled = view(Finality::Final, true);
    assert_eq!(compare(-700, Some(&settled)), Compared::Same);
    assert_eq!(compare(-1000, Some(&settled)), words("1000", "700"));
    assert_eq!(compare(0, None), Compared::Same);
    assert_eq!(compare(-700, None), words("700", "0"));
    assert_eq!(compare(-1000, Some(&view(Finality::Safe, true))), Compared::Unsettled);
    assert!(matches!(compare(-700, Some(&view(Finality::Final, false))), Compared::Differs(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_asks_the_chain_what_open_deals_hold() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let Bought { deal, .. } = under_way(&trade).await;
        trade.offer(2).await;
        let found = async || {
            let found = crate::verify_ledger_on_chain(&trade.hub.config).await.unwrap();
            (found.asked, found.unsettled, found.told)
        };
        assert_eq!(found().await, (2, 0, vec![]));

        let more = trade.script.happens(ground.escrow, EventBody::Released { deal, released: 500, count: 3 });
        trade.script.tells(&more, Finality::Seen);
        assert_eq!(found().await, (2, 1, vec![]));

        // It becomes final, and nobody tells the hub.
        let entry = trade.script.tells(&more, Finality::Final);
        let coin = ground.coin();
        let words = format!("deal {deal}: the ledger counts 700 of {coin} in it, and the chain holds 500");
        assert_eq!(found().await, (2, 0, vec![words]));

        let answer = trade.deliver(&[entry]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(found().await, (2, 0, vec![]));

        // A chain that nobody tells of is named, and what else was found is told.
        let chain = ground.chain;
        let mut config = trade.hub.config.clone();
        config.indexers.insert(chain, "http://127.0.0.1:1".to_owned());
        let silent = crate::verify_ledger_on_chain(&config).await.unwrap();
        assert_eq!((silent.asked, silent.unasked, silent.faults), (0, 2, 1), "{silent:?}");
        let told = &silent.told[0];
        assert!(told.starts_with(&format!("chain {chain}: the indexer does not answer")), "{told}");
        assert!(told.ends_with(&format!("not compared: 2, the first is {deal}")), "{told}");
        // That it has no indexer any more is no fault for ever.
        config.indexers.remove(&chain);
        let without = crate::verify_ledger_on_chain(&config).await.unwrap();
        assert_eq!((without.asked, without.unasked, without.faults), (0, 2, 0), "{without:?}");
        assert!(without.told[0].contains(&format!("has no indexer of the chain {chain}")), "{without:?}");
        assert!(without.deals > 0 && without.entries > 0, "{without:?}");
        trade.hub.end().await;
    }
}

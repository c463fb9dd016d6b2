//! Steps of the runbooks in docs/operations.md that nothing else here goes through.

use std::collections::BTreeSet;

use serde_json::Value;
use service::db::testing::on_both;

use super::{
    signers::signers,
    world::{RELAYS, World, attempts, show},
};
use crate::{
    config::Config,
    testing::{Operator, PAGE_SECRET, until},
};

#[tokio::test]
async fn what_the_limits_keep_stuck_is_signed_again_at_its_nonce_when_they_are_raised() {
    for db in on_both().await {
        let world = World::new().await;
        // Enough for the first transaction and not for an eighth more.
        let low = world.price().await;
        let limited = |most| Config { max_fee_per_gas: most, bump_after_ms: 200, ..world.config(&db) };
        let relayer = world.start_cut_off(limited(low)).await;
        world.chain.mine(1).await;
        relayer.not_ready("the limits allow").await;
        relayer.stop().await;
        // Enough for an eighth more, and not for a second one.
        let relayer = world.start(limited(low + low.div_ceil(8))).await;
        until("it is signed again", || async {
            (attempts(&show(&relayer, "open").await?).len() == 2).then_some(())
        })
        .await;
        world.wire.cut(false);
        let shown = world.comes_to(&relayer, "open", "done").await;
        let attempts = attempts(&shown);
        let told: Vec<_> = attempts
            .iter()
            .map(|one| [&one["nonce"], &one["outcome"]].map(|value| value.as_str().unwrap()))
            .collect();
        assert_eq!(told, [["0", "replaced"], ["0", "succeeded"]], "{:?}", db.engine);
        assert_eq!((&shown["done_by"], world.nonce().await), (&attempts[1]["hash"], 1), "{:?}", db.engine);
        relayer.ready().await;
        relayer.stop().await;
    }
}

/// What a page about it is called.
const QUARANTINED: &str = "intent.quarantined";

/// What a transaction may cost, in wei.
fn cost(attempt: &Value) -> u128 {
    ["max_fee", "gas"].map(|field| attempt[field].as_str().unwrap().parse::<u128>().unwrap()).iter().product()
}

/// A budget that is used up by what is stuck: the nonce is cancelled as long as that has room in it, then a person is called;
/// with a larger one the nonce is freed and the work done with the next.
#[tokio::test]
async fn a_budget_that_is_used_up_is_never_exceeded_and_the_work_goes_on_when_it_is_raised() {
    for db in on_both().await {
        let world = World::new().await;
        let operator = Operator::start().await;
        let relayer = world.start_cut_off(world.config(&db)).await;
        let first = attempts(&world.signed(&relayer, "open").await).remove(0);
        relayer.stop().await;

        // Enough for this very transaction; every further one is twice as dear for a unit of gas.
        let budget = cost(&first);
        let limited = |gas_budget| Config {
            gas_budget,
            bump_after_ms: 200,
            fee_bump_bps: 10_000,
            page_url: operator.url.clone(),
            page_secret: PAGE_SECRET.to_owned().into(),
            ..world.config(&db)
        };
        let relayer = world.start(limited(budget)).await;
        let stuck = world.comes_to(&relayer, "open", "quarantined").await;
        let why = stuck["reason"].as_str().unwrap();
        assert!(why.contains("is stuck") && why.contains("the budget allows"), "{:?}: {why}", db.engine);
        relayer.not_ready("quarantined intents: 1 intents need a person").await;
        // The alarm has a page of its own.
        let (_, page) = until("its page", || async {
            operator.pages().into_iter().find(|(_, page)| page["type"] == QUARANTINED)
        })
        .await;
        assert_eq!(page["data"]["page"]["key"], "open");

        // What was signed is still sent, and nothing else is signed, however many blocks pass it over.
        let sent = world.wire.sent().len();
        until("it is sent on", || async {
            world.chain.mine(1).await;
            (world.wire.sent().len() > sent).then_some(())
        })
        .await;
        let signed = attempts(&show(&relayer, "open").await.unwrap());
        assert_eq!(signed, attempts(&stuck), "{:?}", db.engine);
        assert!(
            signed.iter().all(|one| cost(one) <= budget && one["nonce"] == "0"),
            "{:?}: {signed:?} of {budget}",
            db.engine
        );
        let different: BTreeSet<String> = world.wire.sent().into_iter().collect();
        assert_eq!(different.len(), signed.len(), "{:?}", db.engine);
        relayer.stop().await;

        let raised = Config::default().gas_budget;
        let relayer = world.start(limited(raised)).await;
        until("its nonce is signed with again", || async {
            (attempts(&show(&relayer, "open").await?).len() > signed.len()).then_some(())
        })
        .await;
        world.wire.cut(false);
        let shown = world.comes_to(&relayer, "open", "done").await;
        let all = attempts(&shown);
        let mined: Vec<&Value> = all.iter().filter(|one| one["outcome"] == "succeeded").collect();
        let told: Vec<_> = mined
            .iter()
            .map(|one| [&one["nonce"], &one["kind"]].map(|value| value.as_str().unwrap()))
            .collect();
        assert_eq!(told, [["0", "cancel"], ["1", "call"]], "{:?}: {all:?}", db.engine);
        assert_eq!((&shown["done_by"], world.nonce().await), (&mined[1]["hash"], 2), "{:?}", db.engine);
        assert!(mined.into_iter().map(cost).sum::<u128>() <= raised, "{:?}: {all:?}", db.engine);
        relayer.ready().await;
        let quarantined = operator.pages().into_iter().filter(|(_, page)| page["type"] == QUARANTINED);
        let ids: BTreeSet<String> = quarantined.map(|(id, _)| id).collect();
        assert_eq!(ids.len(), 1, "{:?}: a person is called once", db.engine);
        relayer.stop().await;
    }
}

/// A chain on which a transfer takes more gas than on most, as on rollups: by that it is judged whether there is room for what
/// cancels.
#[tokio::test]
async fn a_cancellation_that_takes_more_gas_than_the_budget_has_is_not_signed() {
    for db in on_both().await {
        let world = World::new().await;
        // A million in place of 21,000; no call needs as little.
        world.wire.mistake("eth_estimateGas", |gas| {
            if gas.as_str().is_some_and(|gas| gas.len() <= "0x5208".len()) {
                *gas = "0xf4240".into();
            }
        });
        let relayer = world.start_cut_off(world.config(&db)).await;
        let first = attempts(&world.signed(&relayer, "open").await).remove(0);
        relayer.stop().await;

        // Enough for this very transaction; every further one is twice as dear for a unit of gas.
        let limited =
            |gas_budget| Config { gas_budget, bump_after_ms: 200, fee_bump_bps: 10_000, ..world.config(&db) };
        let relayer = world.start(limited(cost(&first))).await;
        let stuck = world.comes_to(&relayer, "open", "quarantined").await;
        let why = stuck["reason"].as_str().unwrap();
        assert!(why.contains("is stuck") && why.contains("the budget allows"), "{:?}: {why}", db.engine);
        let asked = world.wire.asked("eth_estimateGas");
        until("it is looked at again", || async {
            world.chain.mine(1).await;
            (world.wire.asked("eth_estimateGas") > asked + 1).then_some(())
        })
        .await;
        let signed = attempts(&show(&relayer, "open").await.unwrap());
        assert_eq!(signed, [first], "{:?}", db.engine);
        relayer.stop().await;

        let relayer = world.start(limited(Config::default().gas_budget)).await;
        world.wire.cut(false);
        let shown = world.comes_to(&relayer, "open", "done").await;
        let calls = |one: &Value| one["nonce"] == "0" && one["kind"] == "call";
        assert!(attempts(&shown).iter().all(calls), "{:?}: {shown}", db.engine);
        assert_eq!(world.nonce().await, 1, "{:?}", db.engine);
        relayer.ready().await;
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_budget_that_pays_for_no_transaction_needs_a_person_until_it_is_raised() {
    for db in on_both().await {
        let world = World::new().await;
        world.want_open();
        let relayer = world.start(Config { gas_budget: 1, ..world.config(&db) }).await;
        relayer.not_ready("quarantined intents: 1 intents need a person").await;
        world.chain.mine(3).await;
        world.looked(&relayer).await;
        let shown = show(&relayer, "open").await.unwrap();
        assert!(shown["reason"].as_str().unwrap().contains("the limits allow 0"), "{shown}");
        assert_eq!((&shown["state"], attempts(&shown).len()), (&"quarantined".into(), 0), "{:?}", db.engine);
        assert_eq!((world.wire.sent().len(), world.nonce().await), (0, 0), "{:?}", db.engine);
        relayer.stop().await;

        let relayer = world.start(world.config(&db)).await;
        let shown = world.comes_to(&relayer, "open", "done").await;
        assert_eq!((attempts(&shown).len(), world.nonce().await), (1, 1), "{:?}", db.engine);
        relayer.ready().await;
        relayer.stop().await;
    }
}

/// Key rotation as the runbook has it: a key is added, and the old one goes when nothing of it is under way any more.
#[tokio::test]
async fn a_key_is_added_and_the_old_one_goes_when_nothing_of_it_is_under_way() {
    for db in on_both().await {
        let world = World::new().await;
        let [old, new] = [RELAYS, 6].map(|wallet| world.chain.address(wallet).to_string().to_lowercase());
        let relayer = world.start_cut_off(world.config(&db)).await;
        relayer.stop().await;

        let relayer = world.start(Config { signers: vec![world.key(6)], ..world.config(&db) }).await;
        let keys = world.want_opened(20..24).await;
        for key in &keys {
            world.signed(&relayer, key).await;
        }
        // The old one has the case of the dispute in flight as well.
        assert_eq!(
            signers(&relayer, &keys).await,
            [(old.clone(), 2), (new.clone(), 2)].into(),
            "{:?}",
            db.engine
        );
        world.wire.cut(false);
        until("nothing of the old key is under way", || async {
            world.chain.mine(1).await;
            for state in ["attempted", "mined"] {
                let (_, page) = relayer.get(&format!("/v1/intents?state={state}")).await;
                let attempts: Vec<_> = page["intents"].as_array()?.iter().flat_map(attempts).collect();
                let of_old = |one: &Value| one["signer"].as_str().unwrap().to_lowercase() == old;
                if attempts.iter().any(of_old) {
                    return None;
                }
            }
            Some(())
        })
        .await;
        relayer.stop().await;

        let relayer =
            world.start(Config { private_key: world.key(6).private_key, ..world.config(&db) }).await;
        let later = world.want_opened(30..33).await;
        for key in keys.iter().chain(&later) {
            world.comes_to(&relayer, key, "done").await;
        }
        assert_eq!(signers(&relayer, &later).await, [(new, 3)].into(), "{:?}", db.engine);
        let shown = world.comes_to(&relayer, "open", "done").await;
        assert_eq!((attempts(&shown).len(), world.nonce().await), (1, 3), "{:?}", db.engine);
        relayer.ready().await;
        relayer.stop().await;
    }
}

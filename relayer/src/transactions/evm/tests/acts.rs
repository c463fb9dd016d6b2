//! What parties ask for, and time-outs, on a real chain: sent once, paid by the relayer, held to quotas.

use std::sync::Arc;

use alloy::primitives::{B256, Bytes, U256};
use protocol::{
    evm::{act_digest, call},
    terms::Terms,
    wire::{
        act::{PartyAct, TimeOut},
        intent::{Intent, IntentAction, IntentProgress, PartySignature},
    },
};
use serde_json::Value;
use service::db::testing::{on_both, sqlite};

use super::world::{World, attempts, outlook, show};
use crate::{
    config::Config,
    quota::Quotas,
    testing::{KEY, Running, intent, until},
};

const BUYER: usize = 1;
const SELLER: usize = 2;

fn signed(world: &World, terms: &Terms, wallet: usize, act: &PartyAct) -> PartySignature {
    let party = world.chain.account(wallet).address;
    let digest = act_digest(terms, party, act).unwrap();
    PartySignature { party, signature: world.chain.sign(wallet, digest) }
}

fn asked(world: &World, seq: u64, key: &str, act: PartyAct, wallets: &[usize]) -> Intent {
    let signed = wallets.iter().map(|wallet| signed(world, &world.terms, *wallet, &act)).collect();
    let mut intent = intent(seq, key, &world.terms, IntentAction::Act { act, signed });
    intent.asked_by = Some("ann".to_owned());
    intent
}

/// A wallet of code that refuses coin and takes any three bytes for its signature (ERC-1271): what is called with data answers
/// `0x1626ba7e` where the signature's length is 3, what is called without reverts.
const WALLET: &str = "0x602080600b6000396000f3\
    36600857600080fd5b604435600314631626ba7e0260e01b60005260206000f3";

fn time_out(world: &World, seq: u64, key: &str, time_out: TimeOut) -> Intent {
    let mut intent = intent(seq, key, &world.terms, IntentAction::TimeOut { time_out });
    intent.asked_by = Some("sam".to_owned());
    intent
}

async fn held(world: &World) -> U256 {
    world.chain.balance(world.chain.escrow.address).await
}

#[tokio::test]
async fn what_a_party_signed_is_done_once_and_costs_the_party_nothing() {
    for db in on_both().await {
        let world = World::funded().await;
        let relayer = world.start(world.config(&db)).await;
        let before = world.chain.balance(world.chain.address(BUYER)).await;
        let half = asked(&world, 1, "half", PartyAct::Release { total: 500 }, &[BUYER]);
        let ready = outlook(&relayer, &half).await;
        assert!(ready.would_succeed && ready.refusal.is_none() && ready.over_quota.is_none(), "{ready:?}");
        let estimate = ready.estimate.unwrap();
        assert!(estimate.units > 30_000 && estimate.cost_now > 0, "{estimate:?}");
        assert!(estimate.cost_now <= estimate.cost_max, "{estimate:?}");

        let until_then = world.terms.deliver_by;
        let delivery = PartyAct::Deliver { delivery: B256::repeat_byte(1), valid_until: until_then };
        let dispute = PartyAct::Dispute { evidence: B256::repeat_byte(2), valid_until: until_then };
        let evidence = PartyAct::Evidence {
            evidence: B256::repeat_byte(3),
            uri: "ipfs://receipt".to_owned(),
            valid_until: until_then,
        };
        for (intent, wallets) in [
            (half.clone(), 1),
            (asked(&world, 2, "refund", PartyAct::Refund { total: 100 }, &[SELLER]), 2),
            (asked(&world, 3, "delivered", delivery, &[SELLER]), 3),
            (asked(&world, 4, "dispute", dispute, &[BUYER]), 4),
            (asked(&world, 5, "evidence", evidence, &[BUYER]), 5),
        ] {
            let key = intent.key.clone();
            world.peers.want([intent]);
            let shown = world.comes_to(&relayer, &key, "done").await;
            let attempts = attempts(&shown);
            assert_eq!((attempts.len(), &attempts[0]["outcome"]), (1, &"succeeded".into()), "{key}");
            assert_eq!(world.nonce().await, wallets, "{key}: one transaction each");
        }
        assert_eq!(held(&world).await, U256::from(400));
        assert_eq!(world.chain.balance(world.chain.address(BUYER)).await, before + U256::from(100));
        let done = outlook(&relayer, &half).await;
        assert!(done.already_done && !done.would_succeed && done.estimate.is_none(), "{done:?}");

        let settle = PartyAct::Settle { seller_total: 700, status: 3, rulings: 0, valid_until: until_then };
        world.peers.want([asked(&world, 6, "settle", settle, &[BUYER, SELLER])]);
        world.comes_to(&relayer, "settle", "done").await;
        assert_eq!(held(&world).await, U256::ZERO);
        // The deal went on without it: nothing is left to do, and nothing is sent.
        world.peers.want([asked(&world, 7, "late", PartyAct::Release { total: 800 }, &[BUYER])]);
        let late = world.comes_to(&relayer, "late", "done").await;
        assert_eq!((attempts(&late).len(), world.nonce().await), (0, 6));
        relayer.stop().await;
    }
}

#[tokio::test]
async fn what_would_revert_is_never_sent_and_fails_by_name() {
    let db = sqlite();
    let world = World::funded().await;
    let relayer = world.start(world.config(&db)).await;
    let forged = PartyAct::Release { total: 500 };
    let mut stolen = asked(&world, 1, "stolen", forged.clone(), &[SELLER]);
    let IntentAction::Act { signed, .. } = &mut stolen.action else { panic!() };
    // The seller's signature in the buyer's name.
    signed[0].party = world.terms.buyer.address;
    let refused = outlook(&relayer, &stolen).await;
    assert_eq!(refused.refusal.unwrap().rule, "InvalidSignature");
    let expired = PartyAct::Dispute { evidence: B256::ZERO, valid_until: world.chain.now().await - 1 };
    world.peers.want([
        stolen,
        asked(&world, 2, "expired", expired, &[BUYER]),
        asked(&world, 3, "half signed", PartyAct::Refund { total: 1 }, &[BUYER]),
    ]);
    for (key, named) in
        [("stolen", "InvalidSignature"), ("expired", "SignatureExpired"), ("half signed", "refund takes")]
    {
        let shown = world.comes_to(&relayer, key, "failed").await;
        let reason = shown["reason"].as_str().unwrap();
        assert!(reason.contains(named), "{reason}");
        assert_eq!(attempts(&shown), Vec::<Value>::new());
    }
    assert_eq!((world.nonce().await, world.wire.sent().len()), (0, 0));
    // Somebody's mistakes call nobody.
    relayer.ready().await;
    relayer.stop().await;
}

#[tokio::test]
async fn a_time_out_waits_for_its_second_and_is_sent_once() {
    let db = sqlite();
    let world = World::funded().await;
    world.chain.deliver(&world.terms).await;
    let delivered_at = world.chain.now().await;
    let relayer = world.start(world.config(&db)).await;
    let claim = time_out(&world, 1, "claim", TimeOut::Claim);
    let early = outlook(&relayer, &claim).await;
    assert_eq!(early.refusal.unwrap().rule, "TooEarly");
    world.peers.want([claim, time_out(&world, 2, "reclaim", TimeOut::Reclaim)]);
    until("it waits", || async {
        let shown = show(&relayer, "claim").await?;
        shown["reason"].as_str()?.contains("TooEarly").then_some(())
    })
    .await;
    let before = world.chain.balance(world.chain.address(SELLER)).await;
    world.until_second(delivered_at + u64::from(world.terms.inspection) + 1).await;
    let shown = world.comes_to(&relayer, "claim", "done").await;
    assert_eq!((attempts(&shown).len(), world.nonce().await), (1, 1));
    assert_eq!(world.chain.balance(world.chain.address(SELLER)).await, before + U256::from(1_000));
    // Of the other one nothing came, for it was delivered: it ends with the deal.
    let other = until("the other is over", || async {
        world.chain.mine(1).await;
        let shown = show(&relayer, "reclaim").await?;
        ["done", "failed"].contains(&shown["state"].as_str()?).then_some(shown)
    })
    .await;
    assert_eq!(attempts(&other), Vec::<Value>::new());
    relayer.stop().await;
}

#[tokio::test]
async fn a_lapse_and_a_reclaim_are_sent_once_when_their_time_has_come() {
    for db in on_both().await {
        let world = World::new().await;
        let disputed_at = world.chain.now().await;
        let relayer = world.start(world.config(&db)).await;
        let late = world.chain.terms(1_000, world.pool.id, 2).await;
        world.chain.fund(&late).await;
        let mut reclaim = intent(2, "reclaim", &late, IntentAction::TimeOut { time_out: TimeOut::Reclaim });
        reclaim.asked_by = Some("ann".to_owned());
        let lapse = time_out(&world, 1, "lapse", TimeOut::Lapse);
        world.peers.want([lapse.clone(), reclaim.clone()]);
        for key in ["lapse", "reclaim"] {
            until("it waits for its time", || async {
                let shown = show(&relayer, key).await?;
                shown["reason"].as_str()?.contains("TooEarly").then_some(())
            })
            .await;
        }
        let balances = async || {
            let of = |wallet| world.chain.balance(world.chain.address(wallet));
            (of(BUYER).await, of(SELLER).await)
        };
        let before = balances().await;
        // What is sent is lost for now: else the relayer may be quicker than the question.
        world.wire.cut(true);
        world.until_second(late.deliver_by + 1).await;
        assert!(outlook(&relayer, &reclaim).await.would_succeed);
        world.wire.cut(false);
        let shown = world.comes_to(&relayer, "reclaim", "done").await;
        assert_eq!((attempts(&shown).len(), world.nonce().await), (1, 1), "{:?}", db.engine);
        assert_eq!(balances().await, (before.0 + U256::from(1_000), before.1));
        assert_eq!(show(&relayer, "lapse").await.unwrap()["state"], "waiting");
        world.until_second(disputed_at + u64::from(world.terms.ruling) + 2).await;
        let shown = world.comes_to(&relayer, "lapse", "done").await;
        assert_eq!((attempts(&shown).len(), world.nonce().await), (1, 2), "{:?}", db.engine);
        // Half of it each, as the terms say.
        assert_eq!(balances().await, (before.0 + U256::from(1_500), before.1 + U256::from(500)));
        assert_eq!(held(&world).await, U256::ZERO);
        assert!(outlook(&relayer, &lapse).await.already_done);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_lapse_that_both_parties_want_is_one_transaction() {
    for db in on_both().await {
        let world = World::new().await;
        let disputed_at = world.chain.now().await;
        let relayer = world.start(world.config(&db)).await;
        let mut other = time_out(&world, 2, "lapse/ann", TimeOut::Lapse);
        other.asked_by = Some("ann".to_owned());
        world.automine(false).await;
        world.peers.want([time_out(&world, 1, "lapse/sam", TimeOut::Lapse), other]);
        world.until_second(disputed_at + u64::from(world.terms.ruling) + 2).await;
        until("the other waits", || async {
            let (sam, ann) = (show(&relayer, "lapse/sam").await?, show(&relayer, "lapse/ann").await?);
            let same =
                |one: &Value| one["reason"].as_str().unwrap().contains("the same time-out is on its way");
            (same(&sam) || same(&ann)).then_some(())
        })
        .await;
        world.automine(true).await;
        for key in ["lapse/sam", "lapse/ann"] {
            world.comes_to(&relayer, key, "done").await;
        }
        assert_eq!(world.nonce().await, 1, "{:?}", db.engine);
        assert_eq!(held(&world).await, U256::ZERO);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn what_is_over_a_quota_waits_by_name_and_holds_no_ruling_up() {
    for db in on_both().await {
        let world = World::new().await;
        let quotas = Quotas { account_hour: 1, ..Quotas::default() };
        let clock = Arc::new(crate::testing::MovedClock::default());
        let config = Config { quotas, ..world.config(&db) };
        let relayer = Running::start(config, clock.clone()).await;
        let release = |total| PartyAct::Release { total };
        world.peers.want([
            asked(&world, 1, "first", release(100), &[BUYER]),
            asked(&world, 2, "second", release(200), &[BUYER]),
            intent(4, "open", &world.terms, IntentAction::OpenCase),
        ]);
        world.comes_to(&relayer, "open", "done").await;
        world.comes_to(&relayer, "first", "done").await;
        let waits = until("it waits by name", || async {
            let shown = show(&relayer, "second").await?;
            shown["reason"].as_str()?.contains("over quota account_hour").then_some(shown)
        })
        .await;
        assert_eq!((&waits["state"], attempts(&waits).len()), (&"waiting".into(), 0));
        // The hub, and by it who asked, knows why.
        until("the hub knows", || async {
            let said = world.peers.reports().into_iter().any(|report| {
                report.key == "second"
                    && matches!(report.progress, IntentProgress::Waiting { reason } if reason.contains("account_hour"))
            });
            said.then_some(())
        })
        .await;
        let asking = asked(&world, 5, "another", release(250), &[BUYER]);
        assert_eq!(outlook(&relayer, &asking).await.over_quota.unwrap().rule, "account_hour");
        assert_eq!(world.nonce().await, 2);
        clock.pass_ms(3_600_001);
        world.comes_to(&relayer, "second", "done").await;
        assert_eq!(world.nonce().await, 3);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_signer_keeps_its_reserve_for_the_steps_of_cases() {
    let db = sqlite();
    let world = World::new().await;
    let quotas = Quotas { reserve: u64::MAX >> 1, ..Quotas::default() };
    let relayer = world.start(Config { quotas, ..world.config(&db) }).await;
    world.peers.want([
        asked(&world, 1, "release", PartyAct::Release { total: 100 }, &[BUYER]),
        intent(2, "open", &world.terms, IntentAction::OpenCase),
    ]);
    world.comes_to(&relayer, "open", "done").await;
    let shown = until("it waits", || async {
        let shown = show(&relayer, "release").await?;
        shown["reason"].as_str()?.contains("wei").then_some(shown)
    })
    .await;
    assert_eq!((attempts(&shown).len(), world.nonce().await), (0, 1));
    // What one account asked for calls nobody: there is no alarm of the balance.
    let (_, status) = relayer.get("/status").await;
    assert_eq!(status["alarms"], serde_json::json!({}));
    relayer.stop().await;
}

#[tokio::test]
async fn credit_that_is_not_there_is_not_tried() {
    let db = sqlite();
    let world = World::funded().await;
    let relayer = world.start(world.config(&db)).await;
    let to = world.chain.account(7).address;
    let act = PartyAct::Withdraw { amount: 10, to, nonce: 0, valid_until: world.terms.deliver_by };
    world.peers.want([asked(&world, 1, "nothing", act, &[SELLER])]);
    let shown = world.comes_to(&relayer, "nothing", "failed").await;
    assert!(shown["reason"].as_str().unwrap().contains("TotalTooHigh"), "{shown}");
    assert_eq!((attempts(&shown).len(), world.nonce().await), (0, 0));
    relayer.stop().await;
}

#[tokio::test]
async fn a_contract_wallet_signs_and_withdraws_what_it_refused_to_be_paid() {
    let db = sqlite();
    let mut world = World::funded().await;
    let wallet = world.chain.deploy(WALLET.parse().unwrap()).await.into();
    world.terms.seller.address = wallet;
    let fund = call::fund(&world.terms, Bytes::from_static(&[1, 2, 3])).unwrap();
    world.chain.send(BUYER, world.chain.escrow.address, fund, call::fund_value(&world.terms)).await;
    let relayer = world.start(world.config(&db)).await;
    let by_wallet = |seq, key: &str, act, signature: &'static [u8]| {
        let signed = vec![PartySignature { party: wallet, signature: Bytes::from_static(signature) }];
        let mut intent = intent(seq, key, &world.terms, IntentAction::Act { act, signed });
        intent.asked_by = Some("sam".to_owned());
        intent
    };
    let valid_until = world.terms.deliver_by;
    let deliver = PartyAct::Deliver { delivery: B256::repeat_byte(1), valid_until };
    world.peers.want([by_wallet(1, "forged", deliver.clone(), &[1, 2])]);
    let forged = world.comes_to(&relayer, "forged", "failed").await;
    assert!(forged["reason"].as_str().unwrap().contains("InvalidSignature"), "{forged}");
    world.peers.want([by_wallet(2, "delivered", deliver, &[1, 2, 3])]);
    let delivered = world.comes_to(&relayer, "delivered", "done").await;
    assert_eq!(attempts(&delivered).len(), 1);

    world.peers.want([asked(&world, 3, "release", PartyAct::Release { total: 1_000 }, &[BUYER])]);
    world.comes_to(&relayer, "release", "done").await;
    let to = world.chain.account(7).address;
    let before = world.chain.balance(to).await;
    let withdraw = |amount| PartyAct::Withdraw { amount, to, nonce: 0, valid_until };
    world.peers.want([by_wallet(4, "withdraw", withdraw(900), &[1, 2, 3])]);
    let withdrawn = world.comes_to(&relayer, "withdraw", "done").await;
    assert_eq!((attempts(&withdrawn).len(), &attempts(&withdrawn)[0]["hash"]), (1, &withdrawn["done_by"]));
    assert_eq!(world.chain.balance(to).await, before + U256::from(900));
    // Its number is used up.
    world.peers.want([by_wallet(5, "again", withdraw(100), &[1, 2, 3])]);
    let again = world.comes_to(&relayer, "again", "failed").await;
    assert!(again["reason"].as_str().unwrap().contains("another withdrawal"), "{again}");
    assert_eq!((attempts(&again).len(), world.nonce().await), (0, 3));
    relayer.stop().await;
}

#[tokio::test]
async fn an_estimate_is_for_who_has_the_hubs_key_about_this_chain() {
    let db = sqlite();
    let world = World::funded().await;
    let relayer = world.start(world.config(&db)).await;
    let intent = asked(&world, 1, "half", PartyAct::Release { total: 500 }, &[BUYER]);
    let url = format!("{}/v1/estimates", relayer.url);
    let client = reqwest::Client::new();
    for key in ["", "another"] {
        let answer = client.post(&url).bearer_auth(key).json(&intent).send().await.unwrap();
        assert_eq!(answer.status(), 401);
    }
    let mut elsewhere = intent.clone();
    elsewhere.arbiter.chain = protocol::chain::ChainId::Eip155(1);
    let answer = client.post(&url).bearer_auth(KEY).json(&elsewhere).send().await.unwrap();
    assert_eq!(answer.status(), 422);
    relayer.stop().await;
}

#[tokio::test]
async fn dry_runs_of_what_was_asked_for_hold_up_no_ruling() {
    let db = sqlite();
    let world = World::new().await;
    // Each of them takes as long as such a dry run may.
    world.wire.hang("eth_estimateGas", &world.chain.escrow.address.to_string());
    let asked = (1..=10).map(|n| {
        let act = PartyAct::Release { total: u128::from(n) };
        asked(&world, n, &format!("release/{n}"), act, &[BUYER])
    });
    world.peers.want(asked);
    let relayer = world.start(world.config(&db)).await;
    until("the first is tried", || async { (world.wire.unanswered() > 0).then_some(()) }).await;
    world.peers.want([intent(11, "open", &world.terms, IntentAction::OpenCase)]);
    world.signed(&relayer, "open").await;
    assert!(world.wire.unanswered() <= 3, "{} were tried before", world.wire.unanswered());
    relayer.stop().await;
}

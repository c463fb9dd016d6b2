//! What parties ask for, and time-outs, on a local Solana node with the program.

use protocol::{
    chain::Address,
    solana::Line,
    wire::{
        act::{PartyAct, TimeOut},
        intent::{Intent, IntentAction, Outlook, PartySignature},
    },
};
use serde_json::Value;
use service::db::testing::{on_both, sqlite};
use surfnet::{keypair, solana_sdk::signature::Signer as _};

use super::world::{BUYER, SELLER, World, attempts, show};
use crate::testing::{KEY, intent, until};

pub fn asked(world: &World, seq: u64, key: &str, act: PartyAct, wallets: &[u64]) -> Intent {
    let signed = wallets.iter().map(|wallet| {
        let wallet = keypair(*wallet);
        let party = Address::Solana(wallet.pubkey().to_bytes());
        let line = Line::act(&world.terms, party, &act).unwrap();
        let signature: [u8; 64] = wallet.sign_message(&line.bytes()).into();
        PartySignature { party, signature: signature.into() }
    });
    let signed = signed.collect();
    let mut intent = intent(seq, key, &world.terms, IntentAction::Act { act, signed });
    intent.asked_by = Some("ann".to_owned());
    intent
}

#[tokio::test]
async fn what_a_party_signed_is_done_once_at_the_relayers_expense() {
    for db in on_both().await {
        let world = World::undisputed().await;
        let relayer = world.start(world.config(&db)).await;
        let valid_until = world.terms.deliver_by;
        let half = asked(&world, 1, "half", PartyAct::Release { total: 500_000_000 }, &[BUYER]);
        let request = reqwest::Client::new().post(format!("{}/v1/estimates", relayer.url));
        let answer = request.bearer_auth(KEY).json(&half).send().await.unwrap();
        let outlook: Outlook = answer.json().await.unwrap();
        let estimate = outlook.estimate.unwrap();
        assert!(outlook.would_succeed && estimate.units > 1_000, "{estimate:?}");
        assert!(estimate.cost_now >= 10_000 && estimate.cost_now <= estimate.cost_max, "{estimate:?}");
        let evidence =
            PartyAct::Evidence { evidence: [3; 32].into(), uri: "ipfs://receipt".to_owned(), valid_until };
        let settle = PartyAct::Settle { seller_total: 700_000_000, status: 3, rulings: 0, valid_until };
        let dispute = PartyAct::Dispute { evidence: [2; 32].into(), valid_until };
        for (paid, intent) in (1..).zip([
            half,
            asked(&world, 2, "refund", PartyAct::Refund { total: 100_000_000 }, &[SELLER]),
            asked(
                &world,
                3,
                "delivered",
                PartyAct::Deliver { delivery: [1; 32].into(), valid_until },
                &[SELLER],
            ),
            asked(&world, 4, "dispute", dispute, &[BUYER]),
            asked(&world, 5, "evidence", evidence, &[BUYER]),
            asked(&world, 6, "settle", settle, &[BUYER, SELLER]),
        ]) {
            let key = intent.key.clone();
            world.peers.want([intent]);
            let shown = world.comes_to(&relayer, &key, "done").await;
            assert_eq!((attempts(&shown).len(), world.paid().await), (1, paid), "{key}");
        }
        assert_eq!(world.remaining().await, 0);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_lapse_is_sent_once_when_the_time_for_a_ruling_is_over() {
    let db = sqlite();
    let world = World::new(1).await;
    let disputed_at = world.net.now().await;
    let relayer = world.start(world.config(&db)).await;
    let mut lapse = intent(1, "lapse", &world.terms, IntentAction::TimeOut { time_out: TimeOut::Lapse });
    lapse.asked_by = Some("ann".to_owned());
    world.peers.want([lapse]);
    until("it waits", || async {
        let shown = show(&relayer, "lapse").await?;
        shown["reason"].as_str()?.contains("TooEarly").then_some(())
    })
    .await;
    assert_eq!(world.paid().await, 0);
    world.past(disputed_at + u64::from(world.terms.ruling)).await;
    let shown = world.comes_to(&relayer, "lapse", "done").await;
    assert_eq!((attempts(&shown).len(), world.paid().await, world.remaining().await), (1, 1, 0));
    relayer.stop().await;
}

#[tokio::test]
async fn a_lapse_that_both_parties_want_is_one_transaction() {
    for db in on_both().await {
        let world = World::new(1).await;
        let disputed_at = world.net.now().await;
        let relayer = world.start(world.config(&db)).await;
        let wanted = [(1, "ann"), (2, "sam")].map(|(seq, account)| {
            let action = IntentAction::TimeOut { time_out: TimeOut::Lapse };
            let mut lapse = intent(seq, &format!("lapse/{account}"), &world.terms, action);
            lapse.asked_by = Some(account.to_owned());
            lapse
        });
        world.past(disputed_at + u64::from(world.terms.ruling)).await;
        // What is sent is lost, so that the first is under way for as long as is wanted.
        world.wire.cut(true);
        world.peers.want(wanted);
        until("the other waits for the first", || async {
            let (ann, sam) = (show(&relayer, "lapse/ann").await?, show(&relayer, "lapse/sam").await?);
            let waits =
                |one: &Value| one["reason"].as_str().unwrap().contains("the same time-out is on its way");
            (waits(&ann) || waits(&sam)).then_some(())
        })
        .await;
        world.wire.cut(false);
        for key in ["lapse/ann", "lapse/sam"] {
            world.comes_to(&relayer, key, "done").await;
        }
        assert_eq!((world.paid().await, world.remaining().await), (1, 0), "{:?}", db.engine);
        relayer.ready().await;
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_fee_above_the_budget_is_foretold_by_name() {
    let db = sqlite();
    let world = World::new(1).await;
    let mut config = world.config(&db);
    config.fee_budget = 4_999;
    let relayer = world.start(config).await;
    let open = intent(1, "open", &world.terms, IntentAction::OpenCase);
    let request = reqwest::Client::new().post(format!("{}/v1/estimates", relayer.url));
    let answer = request.bearer_auth(KEY).json(&open).send().await.unwrap();
    let outlook: Outlook = answer.json().await.unwrap();
    assert_eq!(outlook.refusal.unwrap().rule, "TooDear");
    relayer.stop().await;
}

#[tokio::test]
async fn a_time_out_waits_for_its_second_and_a_forged_act_is_never_sent() {
    let db = sqlite();
    let world = World::undisputed().await;
    let relayer = world.start(world.config(&db)).await;
    let mut forged = asked(&world, 1, "forged", PartyAct::Release { total: 1 }, &[SELLER]);
    let IntentAction::Act { signed, .. } = &mut forged.action else { panic!() };
    signed[0].party = world.terms.buyer.address;
    let mut reclaim =
        intent(2, "reclaim", &world.terms, IntentAction::TimeOut { time_out: TimeOut::Reclaim });
    reclaim.asked_by = Some("ann".to_owned());
    world.peers.want([forged, reclaim]);
    let shown = world.comes_to(&relayer, "forged", "failed").await;
    assert!(shown["reason"].as_str().unwrap().contains("InvalidSignature"), "{shown}");
    until("it waits", || async {
        let shown = show(&relayer, "reclaim").await?;
        shown["reason"].as_str()?.contains("TooEarly").then_some(())
    })
    .await;
    assert_eq!(world.paid().await, 0);
    world.past(world.terms.deliver_by).await;
    let shown = world.comes_to(&relayer, "reclaim", "done").await;
    assert_eq!((attempts(&shown).len(), world.paid().await, world.remaining().await), (1, 1, 0));
    relayer.stop().await;
}

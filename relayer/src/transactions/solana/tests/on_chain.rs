//! What the relayer brings about on Solana, and what it does when things fail, on a local node with the program.

use alloy::primitives::B256;
use protocol::{
    chain::{Address, TransactionId},
    solana::state::Stage,
    wire::intent::{IntentAction, IntentProgress},
};
use serde_json::Value;
use service::db::{
    Db,
    testing::{on_both, sqlite},
};

use super::{
    super::store,
    world::{JURY_TIME, World, attempts, list, show},
};
use crate::{
    run::SCHEMA,
    testing::{intent, until},
};

const DRAW: IntentAction = IntentAction::DrawJury { instance: 0, jury: 0 };

#[tokio::test]
async fn a_dispute_is_opened_drawn_voted_and_executed() {
    for db in on_both().await {
        let world = World::new(1).await;
        // A list that came after the funding has to be shown, and does not count.
        list(&world.net, world.terms.panel, 1, 4).await;
        let relayer = world.start(world.config(&db)).await;
        world.peers.want([
            intent(1, "open", &world.terms, IntentAction::OpenCase),
            intent(2, "draw", &world.terms, DRAW),
        ]);
        let opened = world.comes_to(&relayer, "open", "done").await;
        let drawn = world.comes_to(&relayer, "draw", "done").await;
        assert_eq!(world.jury(0).await.unwrap().list_index, 0);
        let ballots = world.ballots(0, &[7_500]).await;
        world.peers.want([
            intent(3, "ballots", &world.terms, IntentAction::SubmitBallots { instance: 0, jury: 0, ballots }),
            intent(4, "execute", &world.terms, IntentAction::ExecuteRuling),
        ]);
        let counted = world.comes_to(&relayer, "ballots", "done").await;
        // Counting the last ballot executes the ruling too.
        let executed = world.comes_to(&relayer, "execute", "done").await;
        assert_eq!((attempts(&executed).len(), &executed["done_by"]), (0, &Value::Null), "{:?}", db.engine);
        assert_eq!((world.remaining().await, world.stage(0).await), (0, Some(Stage::Executed)));
        assert_eq!(world.paid().await, 3, "{:?}", db.engine);
        for shown in [&opened, &drawn, &counted] {
            let attempts = attempts(shown);
            assert_eq!(attempts.len(), 1);
            let what = (&attempts[0]["outcome"], &attempts[0]["signature"]);
            assert_eq!(what, (&"succeeded".into(), &shown["done_by"]));
        }
        let reports = until("the hub knows", || async {
            let reports = world.peers.reports();
            (reports.len() == 7).then_some(reports)
        })
        .await;
        let done = IntentProgress::Done { transaction: None };
        assert_eq!(reports.iter().find(|report| report.key == "execute").unwrap().progress, done);
        relayer.ready().await;
        let (_, status) = relayer.get("/status").await;
        let told =
            (&status["intents"]["done"], &status["attempts_open"], &status["signers"][0]["next_nonce"]);
        assert_eq!(told, (&4.into(), &0.into(), &Value::Null), "{status}");
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_blockhash_that_expires_leads_to_a_second_transaction_and_one_effect() {
    let db = sqlite();
    let world = World::new(1).await;
    world.wire.cut(true);
    world.peers.want([intent(1, "open", &world.terms, IntentAction::OpenCase)]);
    let relayer = world.start(world.config(&db)).await;
    let shown = until("a second transaction is signed", || async {
        let shown = show(&relayer, "open").await?;
        (attempts(&shown).len() == 2).then_some(shown)
    })
    .await;
    let outcomes = attempts(&shown).into_iter().map(|attempt| attempt["outcome"].clone());
    assert_eq!(outcomes.collect::<Vec<_>>(), ["expired", "open"]);
    let price = |at: usize| attempts(&shown)[at]["unit_price"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(price(1) > price(0), "{shown}");
    world.wire.cut(false);
    let shown = world.comes_to(&relayer, "open", "done").await;
    assert_eq!((attempts(&shown).len(), &attempts(&shown)[1]["signature"]), (2, &shown["done_by"]));
    let mut sent = world.wire.sent();
    sent.dedup();
    assert_eq!(sent.len(), 2, "the same bytes again and again, then others");
    // The first transaction went nowhere: what was sent of it is worthless.
    assert_eq!((world.paid().await, world.stage(0).await), (1, Some(Stage::Opened)));
    relayer.stop().await;
}

#[tokio::test]
async fn a_crash_between_storing_and_sending_leads_to_one_effect_with_the_same_bytes() {
    for db in on_both().await {
        let world = World::unhurried(1).await;
        world.wire.cut(true);
        world.peers.want([intent(1, "open", &world.terms, IntentAction::OpenCase)]);
        let relayer = world.start(world.config(&db)).await;
        until("it is sent into the void", || async { (!world.wire.sent().is_empty()).then_some(()) }).await;
        relayer.kill().await;
        assert_eq!(world.paid().await, 0, "{:?}", db.engine);
        world.wire.cut(false);
        let relayer = world.start(world.config(&db)).await;
        let shown = world.comes_to(&relayer, "open", "done").await;
        assert_eq!(attempts(&shown).len(), 1, "{:?}", db.engine);
        let sent = world.wire.sent();
        assert!(sent.len() > 1 && sent.iter().all(|raw| *raw == sent[0]), "{sent:?}");
        assert_eq!(world.paid().await, 1);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn what_somebody_else_did_first_costs_no_transaction() {
    let db = sqlite();
    let world = World::new(1).await;
    world.other(|payer| world.case().open(payer)).await;
    world.peers.want([intent(1, "open", &world.terms, IntentAction::OpenCase)]);
    let relayer = world.start(world.config(&db)).await;
    let shown = world.comes_to(&relayer, "open", "done").await;
    assert_eq!((attempts(&shown).len(), world.wire.sent().len(), world.paid().await), (0, 0, 0));
    relayer.stop().await;
}

#[tokio::test]
async fn ballots_that_no_transaction_has_room_for_go_in_several() {
    let db = sqlite();
    let world = World::new(9).await;
    let relayer = world.start(world.config(&db)).await;
    world.peers.want([
        intent(1, "open", &world.terms, IntentAction::OpenCase),
        intent(2, "draw", &world.terms, DRAW),
    ]);
    world.comes_to(&relayer, "draw", "done").await;
    // The fifth lowest of nine is known only when all but four have spoken; here none is spared.
    let shares = [0, 500, 1_000, 1_500, 10_000, 9_500, 9_000, 8_500, 5_000];
    let mut ballots = world.ballots(0, &shares).await;
    let submit = |ballots| IntentAction::SubmitBallots { instance: 0, jury: 0, ballots };
    let mut forged = ballots[8].clone();
    forged.share = 9_500;
    world.peers.want([intent(3, "forged", &world.terms, submit(vec![forged]))]);
    let shown = world.comes_to(&relayer, "forged", "failed").await;
    assert!(shown["reason"].as_str().unwrap().contains("InvalidBallot: seat 8"), "{shown}");
    ballots.rotate_left(1);
    world.peers.want([intent(4, "ballots", &world.terms, submit(ballots))]);
    let shown = world.comes_to(&relayer, "ballots", "done").await;
    assert!(attempts(&shown).iter().all(|attempt| attempt["outcome"] == "succeeded"), "{shown}");
    // 5,000 lamports for the signer's signature, and for every ballot's.
    let fees =
        attempts(&shown).into_iter().map(|attempt| attempt["fee"].as_str().unwrap().parse::<u64>().unwrap());
    let ballots: Vec<u64> = fees.map(|fee| fee / 5_000 - 1).collect();
    assert_eq!(ballots, [3, 3, 3], "{shown}");
    let ruled = world.jury(0).await.unwrap();
    assert_eq!((ruled.stage(), ruled.share), (Stage::Executed, 5_000));
    relayer.stop().await;
}

#[tokio::test]
async fn a_ruling_is_appealed_and_the_parents_silence_confirms_it() {
    let db = sqlite();
    let world = World::appealable().await;
    let relayer = world.start(world.config(&db)).await;
    world.peers.want([
        intent(1, "open", &world.terms, IntentAction::OpenCase),
        intent(2, "draw", &world.terms, DRAW),
    ]);
    world.comes_to(&relayer, "draw", "done").await;
    let ballots = world.ballots(0, &[2_500]).await;
    world.peers.want([
        intent(3, "ballots", &world.terms, IntentAction::SubmitBallots { instance: 0, jury: 0, ballots }),
        intent(4, "execute", &world.terms, IntentAction::ExecuteRuling),
    ]);
    world.comes_to(&relayer, "ballots", "done").await;
    until("the ruling waits for an appeal", || async {
        let shown = show(&relayer, "execute").await?;
        (shown["state"] == "waiting" && shown["reason"].as_str()?.contains("TooEarly")).then_some(())
    })
    .await;
    let valid_until = world.net.now().await + 3_000;
    let party = world.terms.seller.address;
    let appeal = |party, until| IntentAction::Appeal { party, valid_until, signature: world.appeal(until) };
    let stranger = Address::Solana([9; 32]);
    world.peers.want([
        intent(5, "forged", &world.terms, appeal(party, valid_until + 1)),
        intent(6, "stranger", &world.terms, appeal(stranger, valid_until)),
    ]);
    for (key, refusal) in [("forged", "InvalidSignature"), ("stranger", "NotParty")] {
        let shown = world.comes_to(&relayer, key, "failed").await;
        assert!(shown["reason"].as_str().unwrap().contains(refusal), "{shown}");
    }
    world.peers.want([
        intent(7, "appeal", &world.terms, appeal(party, valid_until)),
        intent(8, "draw/1", &world.terms, IntentAction::DrawJury { instance: 1, jury: 0 }),
        intent(9, "conclude", &world.terms, IntentAction::Conclude { instance: 1 }),
    ]);
    world.comes_to(&relayer, "appeal", "done").await;
    world.comes_to(&relayer, "draw/1", "done").await;
    world.past(world.jury(1).await.unwrap().ends_at).await;
    world.comes_to(&relayer, "conclude", "done").await;
    let ruled = world.jury(1).await.unwrap();
    assert_eq!((ruled.instance, ruled.stage(), ruled.share), (1, Stage::Executed, 2_500));
    let executed = world.comes_to(&relayer, "execute", "done").await;
    assert_eq!((attempts(&executed).len(), world.remaining().await), (0, 0));
    relayer.stop().await;
}

#[tokio::test]
async fn a_silent_first_jury_is_followed_by_a_second_that_rules() {
    let db = sqlite();
    let world = World::new(1).await;
    let relayer = world.start(world.config(&db)).await;
    world.peers.want([
        intent(1, "open", &world.terms, IntentAction::OpenCase),
        intent(2, "draw", &world.terms, DRAW),
        intent(3, "second", &world.terms, IntentAction::OpenSecondJury { instance: 0 }),
        intent(4, "draw/1", &world.terms, IntentAction::DrawJury { instance: 0, jury: 1 }),
    ]);
    world.comes_to(&relayer, "draw", "done").await;
    until("it waits for the end of the voting", || async {
        let shown = show(&relayer, "second").await?;
        shown["reason"].as_str()?.contains("TooEarly").then_some(())
    })
    .await;
    let ends_at = world.jury(0).await.unwrap().ends_at;
    world.past(ends_at - JURY_TIME).await;
    world.comes_to(&relayer, "draw/1", "done").await;
    let ballots = world.ballots(1, &[2_500]).await;
    let submit = IntentAction::SubmitBallots { instance: 0, jury: 1, ballots };
    world.peers.want([intent(5, "ballots", &world.terms, submit)]);
    world.comes_to(&relayer, "ballots", "done").await;
    let ruled = world.jury(1).await.unwrap();
    assert_eq!((ruled.stage(), ruled.share, world.remaining().await), (Stage::Executed, 2_500, 0));
    relayer.stop().await;
}

#[tokio::test]
async fn a_signer_without_lamports_is_said_and_tried_again() {
    let db = sqlite();
    let world = World::new(1).await;
    let mut config = world.config(&db);
    config.private_key = B256::repeat_byte(3).to_string().into();
    world.peers.want([intent(1, "open", &world.terms, IntentAction::OpenCase)]);
    let relayer = world.start(config).await;
    relayer.not_ready("has 0 lamports").await;
    let (_, status) = relayer.get("/status").await;
    let signer: Address = status["signers"][0]["address"].as_str().unwrap().parse().unwrap();
    let signer = protocol::solana::Pubkey::new_from_array(signer.solana().unwrap());
    world.net.endow(&signer, 1_000_000_000).await;
    world.comes_to(&relayer, "open", "done").await;
    relayer.ready().await;
    relayer.stop().await;
}

#[tokio::test]
async fn the_address_of_the_node_is_not_shown_and_another_cluster_is_refused() {
    let db = sqlite();
    let world = World::new(1).await;
    let mut config = world.config(&db);
    config.rpc_urls = vec!["http://127.0.0.1:9/v2/my-own-key".to_owned()];
    let relayer = world.start(config.clone()).await;
    let said = relayer.not_ready("transactions: RPC getMultipleAccounts").await;
    assert!(!said.contains("my-own-key"), "{said}");
    relayer.stop().await;
    config.chain = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp".parse().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused =
        crate::run(config, listener, std::sync::Arc::new(service::clock::SystemClock), Default::default())
            .await;
    assert!(refused.unwrap_err().to_string().contains("relayer.chain"));
}

#[tokio::test]
async fn a_block_that_is_rolled_back_and_a_cluster_that_forgets_open_what_they_took_back() {
    let db = sqlite();
    let world = World::unhurried(1).await;
    let clock: std::sync::Arc<crate::testing::MovedClock> = Default::default();
    let relayer = crate::testing::Running::start(world.config(&db), clock.clone()).await;
    world.peers.want([intent(1, "open", &world.terms, IntentAction::OpenCase)]);
    world.comes_to(&relayer, "open", "mined").await;
    // The fork that held it was not the one that won.
    world.wire.forget(true);
    world.comes_to(&relayer, "open", "attempted").await;
    world.wire.forget(false);
    let done = world.comes_to(&relayer, "open", "done").await;
    assert_eq!((attempts(&done).len(), world.paid().await), (1, 1));
    // The cluster began anew from an older state, so it seems.
    world.wire.forget(true);
    until("it is opened again", || async {
        clock.pass_ms(5_000);
        let shown = show(&relayer, "open").await?;
        (shown["state"] != "done").then_some(())
    })
    .await;
    world.wire.forget(false);
    let again = world.comes_to(&relayer, "open", "done").await;
    assert_eq!((attempts(&again).len(), world.paid().await), (1, 1), "one effect, and no other transaction");
    relayer.stop().await;
}

#[tokio::test]
async fn every_transaction_of_the_last_hour_is_looked_at_however_many_there_are() {
    let db = sqlite();
    let world = World::new(1).await;
    let clock: std::sync::Arc<crate::testing::MovedClock> = Default::default();
    let relayer = crate::testing::Running::start(world.config(&db), clock.clone()).await;
    world.peers.want([
        intent(1, "open", &world.terms, IntentAction::OpenCase),
        intent(2, "draw", &world.terms, DRAW),
    ]);
    world.comes_to(&relayer, "draw", "done").await;
    world.comes_to(&relayer, "open", "done").await;
    // Later ones, by which a page is full.
    let beside = Db::open(&db.url, SCHEMA).await.unwrap();
    let mut write = beside.begin().await.unwrap();
    let mut later = store::attempts(beside.reader(), 2).await.unwrap().remove(0);
    for n in 0..256_u64 {
        let mut signature = [1; 64];
        signature[..8].copy_from_slice(&n.to_be_bytes());
        later.signature = TransactionId::Solana(signature);
        later.signed_ms += i64::from(n % 3 == 0);
        store::store_attempt(&mut write, &later).await.unwrap();
    }
    write.commit().await.unwrap();
    beside.close().await;
    let first = show(&relayer, "open").await.unwrap();
    world.wire.lose(first["done_by"].as_str().unwrap());
    until("it is opened again", || async {
        clock.pass_ms(5_000);
        let shown = show(&relayer, "open").await?;
        (shown["state"] != "done").then_some(())
    })
    .await;
    relayer.stop().await;
}

#[tokio::test]
async fn a_budget_that_is_used_up_needs_a_person() {
    let db = sqlite();
    let world = World::new(1).await;
    let mut config = world.config(&db);
    config.fee_budget = 4_999;
    world.peers.want([intent(1, "open", &world.terms, IntentAction::OpenCase)]);
    let relayer = world.start(config.clone()).await;
    relayer.not_ready("1 intents need a person").await;
    let shown = show(&relayer, "open").await.unwrap();
    assert_eq!((&shown["state"], attempts(&shown).len()), (&"quarantined".into(), 0));
    assert!(shown["reason"].as_str().unwrap().contains("costs 5000 lamports"), "{shown}");
    relayer.stop().await;
    config.fee_budget = 5_000_000;
    let relayer = world.start(config).await;
    world.comes_to(&relayer, "open", "done").await;
    relayer.ready().await;
    relayer.stop().await;
}

#[tokio::test]
async fn a_signer_that_cannot_pay_is_out_of_turn() {
    let db = sqlite();
    let world = World::new(1).await;
    let mut config = world.config(&db);
    let rich = crate::config::Key { private_key: config.private_key.clone(), ..Default::default() };
    config.private_key = B256::repeat_byte(3).to_string().into();
    config.signers = vec![rich];
    world.peers.want([
        intent(1, "open", &world.terms, IntentAction::OpenCase),
        intent(2, "draw", &world.terms, DRAW),
    ]);
    // What is sent is lost, so that the work is not over before it is said who cannot pay for it.
    world.wire.cut(true);
    let relayer = world.start(config).await;
    relayer.not_ready("it is out of turn").await;
    world.wire.cut(false);
    world.comes_to(&relayer, "draw", "done").await;
    assert_eq!(world.paid().await, 2);
    relayer.ready().await;
    relayer.stop().await;
}

//! What the relayer brings about when nothing fails, on a real chain and both databases.

use alloy::{
    primitives::{B256, U256},
    providers::Provider as _,
    rpc::types::BlockNumberOrTag,
};
use fixture::Chain;
use protocol::{
    evm::{appeal_digest, call, deal_id},
    wire::intent::{IntentAction, IntentProgress},
};
use serde_json::Value;
use service::db::testing::on_both;

use super::world::{World, attempts, show};
use crate::testing::{intent, until};

#[tokio::test]
async fn a_dispute_is_opened_drawn_voted_and_executed() {
    for db in on_both().await {
        let world = World::new().await;
        let relayer = world.start(world.config(&db)).await;
        world.peers.want([
            intent(1, "open", &world.terms, IntentAction::OpenCase),
            intent(2, "draw", &world.terms, IntentAction::DrawJury { instance: 0, jury: 0 }),
        ]);
        world.comes_to(&relayer, "open", "done").await;
        let drawn = world.comes_to(&relayer, "draw", "done").await;
        let ballots = vec![world.ballot(7_500).await];
        world.peers.want([
            intent(3, "ballots", &world.terms, IntentAction::SubmitBallots { instance: 0, jury: 0, ballots }),
            intent(4, "execute", &world.terms, IntentAction::ExecuteRuling),
        ]);
        let counted = world.comes_to(&relayer, "ballots", "done").await;
        // Counting the last ballot executes the ruling too.
        let executed = world.comes_to(&relayer, "execute", "done").await;
        assert_eq!((attempts(&executed).len(), &executed["done_by"]), (0, &Value::Null), "{:?}", db.engine);
        assert_eq!(world.chain.balance(world.chain.escrow.address).await, U256::ZERO);
        assert_eq!(world.nonce().await, 3, "{:?}", db.engine);
        for shown in [&drawn, &counted] {
            let attempts = attempts(shown);
            assert_eq!(attempts.len(), 1);
            assert_eq!(
                (&attempts[0]["outcome"], &attempts[0]["hash"]),
                (&Value::from("succeeded"), &shown["done_by"])
            );
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
        assert_eq!(
            (&status["intents"]["done"], &status["attempts_open"]),
            (&4.into(), &0.into()),
            "{status}"
        );
        assert_eq!(
            (&status["signers"][0]["next_nonce"], &status["signers"][0]["nonce_gap"]),
            (&"3".into(), &0.into())
        );
        relayer.stop().await;
    }
}

#[tokio::test]
async fn from_an_event_to_the_transaction_that_it_led_to() {
    let db = service::db::testing::sqlite();
    let world = World::new().await;
    let (dispute, other) = (B256::repeat_byte(0xd1), world.another(2).await);
    let mut open = intent(1, "open", &world.terms, IntentAction::OpenCase);
    open.cause = Some(dispute);
    world.peers.want([open, intent(2, "two", &other, IntentAction::OpenCase)]);
    let relayer = world.start(world.config(&db)).await;
    world.comes_to(&relayer, "open", "done").await;
    let (_, page) = relayer.get("/v1/intents").await;
    let led_to: Vec<&Value> = page["intents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|shown| shown["intent"]["cause"] == dispute.to_string())
        .collect();
    assert_eq!(led_to.len(), 1, "{page}");
    let hash: B256 = led_to[0]["attempts"][0]["hash"].as_str().unwrap().parse().unwrap();
    let receipt = world.chain.provider().get_transaction_receipt(hash).await.unwrap().unwrap();
    assert!(receipt.status() && receipt.to == Some(fixture::evm(world.chain.pools.address)));
    relayer.stop().await;
}

#[tokio::test]
async fn what_somebody_else_did_first_costs_no_transaction() {
    for db in on_both().await {
        let world = World::new().await;
        world.call(5, call::open(&world.terms).unwrap()).await;
        world.want_open();
        let relayer = world.start(world.config(&db)).await;
        let shown = world.comes_to(&relayer, "open", "done").await;
        assert_eq!((attempts(&shown).len(), world.nonce().await), (0, 0), "{:?}", db.engine);
        assert_eq!(world.wire.sent().len(), 0);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_draw_that_only_moves_its_target_is_made_again() {
    let db = service::db::testing::sqlite();
    // Before EIP-2935 a chain remembers 256 blocks.
    let world = World::on(Chain::start_with(&["--hardfork", "cancun"]).await).await;
    world.call(5, call::open(&world.terms).unwrap()).await;
    world.chain.mine(300).await;
    let missed = world.case(BlockNumberOrTag::Latest).await.targetBlock;
    world.peers.want([intent(1, "draw", &world.terms, IntentAction::DrawJury { instance: 0, jury: 0 })]);
    let relayer = world.start(world.config(&db)).await;
    let moved = until("the target moves", || async {
        let target = world.case(BlockNumberOrTag::Latest).await.targetBlock;
        (target > missed).then_some(target)
    })
    .await;
    // The draw is final with these; no more come, so that the new target stays ahead however slow the relayer is.
    world.chain.mine(3).await;
    until("it waits for the new target", || async {
        let shown = show(&relayer, "draw").await?;
        (shown["state"] == "waiting" && shown["reason"].as_str()?.contains("TooEarly")).then_some(())
    })
    .await;
    world.chain.mine((moved.to::<u64>() + 1).saturating_sub(world.chain.height().await)).await;
    let shown = world.comes_to(&relayer, "draw", "done").await;
    assert_eq!((attempts(&shown).len(), &attempts(&shown)[1]["hash"]), (2, &shown["done_by"]));
    relayer.stop().await;
}

#[tokio::test]
async fn a_dispute_that_ends_otherwise_fails_its_intent_at_the_deadline() {
    for db in on_both().await {
        let world = World::new().await;
        world.chain.refund(&world.terms, 1_000).await;
        let wanted = intent(1, "open", &world.terms, IntentAction::OpenCase);
        let deadline = wanted.deadline;
        world.peers.want([wanted]);
        let relayer = world.start(world.config(&db)).await;
        until("it says why it waits", || async {
            let shown = show(&relayer, "open").await?;
            (shown["state"] == "waiting" && shown["reason"].as_str()?.contains("NotDisputed")).then_some(())
        })
        .await;
        world.chain.pass_time(deadline - world.chain.now().await + 1).await;
        let shown = world.comes_to(&relayer, "open", "failed").await;
        assert!(shown["reason"].as_str().unwrap().contains("deadline"), "{shown}");
        assert_eq!((attempts(&shown).len(), world.nonce().await), (0, 0), "{:?}", db.engine);
        until("the hub knows", || async {
            let report = world.peers.reports().pop()?;
            matches!(report.progress, IntentProgress::Failed { .. }).then_some(())
        })
        .await;
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_ballot_that_its_juror_did_not_sign_fails_by_name_once_that_is_final() {
    for db in on_both().await {
        let world = World::new().await;
        world.chain.open_and_draw(&world.terms).await;
        let before = world.nonce().await;
        let mut ballot = world.ballot(5_000).await;
        ballot.share = 9_500;
        let action = IntentAction::SubmitBallots { instance: 0, jury: 0, ballots: vec![ballot] };
        world.peers.want([intent(1, "ballots", &world.terms, action)]);
        let relayer = world.start(world.config(&db)).await;
        until("it waits for finality", || async {
            let shown = show(&relayer, "ballots").await?;
            shown["reason"].as_str()?.contains("not final yet").then_some(())
        })
        .await;
        let shown = world.comes_to(&relayer, "ballots", "failed").await;
        assert!(shown["reason"].as_str().unwrap().contains("InvalidBallot"), "{shown}");
        assert_eq!((attempts(&shown).len(), world.nonce().await), (0, before), "{:?}", db.engine);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_silent_first_jury_is_followed_by_a_second_that_rules() {
    for db in on_both().await {
        let world = World::new().await;
        world.chain.open_and_draw(&world.terms).await;
        let before = world.nonce().await;
        let ends = world.case(BlockNumberOrTag::Latest).await.endsAt.to::<u64>();
        world.peers.want([
            intent(1, "second", &world.terms, IntentAction::OpenSecondJury { instance: 0 }),
            intent(2, "draw", &world.terms, IntentAction::DrawJury { instance: 0, jury: 1 }),
        ]);
        let relayer = world.start(world.config(&db)).await;
        until("it waits for the end of the voting", || async {
            let shown = show(&relayer, "second").await?;
            shown["reason"].as_str()?.contains("TooEarly").then_some(())
        })
        .await;
        // The pool's opening and voting are 660 seconds together.
        world.until_second(ends - 660 + 1).await;
        world.comes_to(&relayer, "second", "done").await;
        world.comes_to(&relayer, "draw", "done").await;
        assert_eq!(world.case(BlockNumberOrTag::Latest).await.jury, 1);
        let ballots = vec![world.ballot(2_500).await];
        let action = IntentAction::SubmitBallots { instance: 0, jury: 1, ballots };
        world.peers.want([intent(3, "ballots", &world.terms, action)]);
        world.comes_to(&relayer, "ballots", "done").await;
        let ruled = world.case(BlockNumberOrTag::Latest).await;
        assert_eq!((ruled.stage, ruled.share), (4, 2_500));
        assert_eq!(world.nonce().await, before + 3, "{:?}", db.engine);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn the_last_word_is_spoken_once_ballots_count_no_more() {
    let db = service::db::testing::sqlite();
    let world = World::of_three().await;
    world.chain.open_and_draw(&world.terms).await;
    let before = world.nonce().await;
    let ends = world.case(BlockNumberOrTag::Latest).await.endsAt.to::<u64>();
    // One ballot of three leaves everything open: the share of the terms stands.
    let action = IntentAction::SubmitBallots { instance: 0, jury: 0, ballots: world.ballots(&[9_500]).await };
    world.peers.want([
        intent(1, "ballots", &world.terms, action),
        intent(2, "conclude", &world.terms, IntentAction::Conclude { instance: 0 }),
        intent(3, "second", &world.terms, IntentAction::OpenSecondJury { instance: 0 }),
    ]);
    let relayer = world.start(world.config(&db)).await;
    world.comes_to(&relayer, "ballots", "done").await;
    assert_eq!(show(&relayer, "conclude").await.unwrap()["state"], "waiting");
    world.until_second(ends + 1).await;
    world.comes_to(&relayer, "conclude", "done").await;
    let ruled = world.case(BlockNumberOrTag::Latest).await;
    assert_eq!((ruled.stage, ruled.share), (4, world.terms.lapse_share));
    // The ruling made the second jury pointless.
    let shown = world.comes_to(&relayer, "second", "done").await;
    assert_eq!((attempts(&shown).len(), world.nonce().await), (0, before + 2));
    relayer.stop().await;
}

#[tokio::test]
async fn a_signed_appeal_is_carried_to_the_parent_whose_ruling_is_executed() {
    for db in on_both().await {
        let world = World::appealable().await;
        world.chain.open_and_draw(&world.terms).await;
        let relayer = world.start(world.config(&db)).await;
        let ballots = vec![world.ballot(0).await];
        let submit = |instance, ballots| IntentAction::SubmitBallots { instance, jury: 0, ballots };
        world.peers.want([
            intent(1, "ballots/0", &world.terms, submit(0, ballots)),
            intent(2, "execute", &world.terms, IntentAction::ExecuteRuling),
        ]);
        world.comes_to(&relayer, "ballots/0", "done").await;
        assert_eq!(world.case(BlockNumberOrTag::Latest).await.stage, 3, "accepted, and still to be executed");

        let valid_until = world.chain.now().await + 3_000;
        let deal = deal_id(&world.terms).unwrap();
        let digest = appeal_digest(world.chain.pools, deal, valid_until).unwrap();
        let (party, stranger) = (world.terms.seller.address, world.chain.address(5).into());
        let signed = |wallet| world.chain.sign(wallet, digest);
        let appeal = |party, signature| IntentAction::Appeal { party, valid_until, signature };
        world.peers.want([
            intent(3, "appeal/forged", &world.terms, appeal(party, signed(1))),
            intent(4, "appeal/stranger", &world.terms, appeal(stranger, signed(5))),
        ]);
        for (key, refusal) in [("appeal/forged", "InvalidSignature"), ("appeal/stranger", "NotParty")] {
            let shown = world.comes_to(&relayer, key, "failed").await;
            assert!(shown["reason"].as_str().unwrap().contains(refusal), "{shown}");
        }
        world.peers.want([
            intent(5, "appeal", &world.terms, appeal(party, signed(2))),
            intent(6, "draw", &world.terms, IntentAction::DrawJury { instance: 1, jury: 0 }),
        ]);
        world.comes_to(&relayer, "appeal", "done").await;
        world.comes_to(&relayer, "draw", "done").await;
        let ballots = vec![world.ballot(10_000).await];
        world.peers.want([intent(7, "ballots/1", &world.terms, submit(1, ballots))]);
        world.comes_to(&relayer, "ballots/1", "done").await;
        let ruled = world.case(BlockNumberOrTag::Latest).await;
        assert_eq!((ruled.instance, ruled.stage, ruled.share), (1, 4, 10_000), "{:?}", db.engine);
        let executed = world.comes_to(&relayer, "execute", "done").await;
        assert_eq!(attempts(&executed).len(), 0, "the parent's ruling was executed as it was accepted");
        relayer.stop().await;
    }
}

#[tokio::test]
async fn an_accepted_ruling_is_executed_when_the_time_for_appeal_is_over() {
    let db = service::db::testing::sqlite();
    let world = World::appealable().await;
    world.chain.open_and_draw(&world.terms).await;
    let ballots = world.ballots(&[7_500]).await;
    world.call(5, call::submit(&world.terms, 0, &ballots).unwrap()).await;
    let accepted = world.case(BlockNumberOrTag::Latest).await.acceptedAt.to::<u64>();
    let relayer = world.start(world.config(&db)).await;
    world.peers.want([intent(1, "execute", &world.terms, IntentAction::ExecuteRuling)]);
    until("it waits for the time for appeal", || async {
        let shown = show(&relayer, "execute").await?;
        shown["reason"].as_str()?.contains("TooEarly").then_some(())
    })
    .await;
    world.until_second(accepted + 3_600 + 1).await;
    let shown = world.comes_to(&relayer, "execute", "done").await;
    assert_eq!(attempts(&shown).len(), 1);
    assert_eq!(world.chain.balance(world.chain.escrow.address).await, U256::ZERO);
    relayer.stop().await;
}

//! What the relayer brings about when nothing fails, on a real chain and both databases.

use alloy::{primitives::U256, rpc::types::BlockNumberOrTag};
use fixture::Chain;
use protocol::{
    evm::call,
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
            intent(2, "draw", &world.terms, IntentAction::DrawJury),
        ]);
        world.comes_to(&relayer, "open", "done").await;
        let drawn = world.comes_to(&relayer, "draw", "done").await;
        let ballots = vec![world.ballot(7_500).await];
        world.peers.want([
            intent(3, "ballots", &world.terms, IntentAction::SubmitBallots { jury: 0, ballots }),
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
            (&status["signer"]["next_nonce"], &status["signer"]["nonce_gap"]),
            (&"3".into(), &0.into())
        );
        relayer.stop().await;
    }
}

#[tokio::test]
async fn what_somebody_else_did_first_costs_no_transaction() {
    for db in on_both().await {
        let world = World::new().await;
        world.call(5, call::open(&world.terms).unwrap()).await;
        world.peers.want([intent(1, "open", &world.terms, IntentAction::OpenCase)]);
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
    world.peers.want([intent(1, "draw", &world.terms, IntentAction::DrawJury)]);
    let relayer = world.start(world.config(&db)).await;
    let moved = until("the target moves", || async {
        world.chain.mine(1).await;
        let target = world.case(BlockNumberOrTag::Latest).await.targetBlock;
        (target > missed).then_some(target)
    })
    .await;
    until("it waits for the new target", || async {
        world.chain.mine(1).await;
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
        let action = IntentAction::SubmitBallots { jury: 0, ballots: vec![ballot] };
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

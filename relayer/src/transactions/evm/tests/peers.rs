//! The faults that other relayers are known for, brought about here: they do not happen.

use std::collections::BTreeSet;

use alloy::{
    primitives::{B256, Bytes, U256},
    providers::Provider as _,
    rpc::types::{BlockNumberOrTag, TransactionRequest},
};
use fixture::Chain;
use protocol::{evm::call, wire::intent::IntentAction};
use serde_json::Value;
use service::db::testing::on_both;

use super::world::{RELAYS, World, attempts, show};
use crate::testing::{Fate, intent, until};

fn nonces(shown: &[Value]) -> BTreeSet<String> {
    shown.iter().flat_map(attempts).map(|attempt| attempt["nonce"].as_str().unwrap().to_owned()).collect()
}

/// A nonce that a crash forgets is given to another transaction, and one of the two is lost.
#[tokio::test]
async fn a_nonce_that_was_reserved_before_a_crash_is_not_given_away() {
    for db in on_both().await {
        let world = World::new().await;
        let other = world.another(2).await;
        // Whoever stores after the answer has stored nothing.
        let relayer = world.start_held(world.config(&db)).await;
        relayer.kill().await;
        world.wire.cut(true);
        // The price falls: what is signed anew has other bytes.
        world.chain.mine(1).await;
        world.peers.want([intent(2, "two", &other, IntentAction::OpenCase)]);
        let relayer = world.start(world.config(&db)).await;
        world.signed(&relayer, "two").await;
        world.wire.cut(false);
        let one = world.comes_to(&relayer, "open", "done").await;
        let two = world.comes_to(&relayer, "two", "done").await;
        assert_eq!(nonces(&[one, two]), ["0", "1"].map(str::to_owned).into(), "{:?}", db.engine);
        assert_eq!(world.nonce().await, 2, "{:?}", db.engine);
        let sent: BTreeSet<String> = world.wire.sent().into_iter().collect();
        assert_eq!(sent.len(), 2, "{:?}: one for each nonce, that of before the crash among them", db.engine);
        relayer.stop().await;
    }
}

/// OpenZeppelin Relayer sends a replacement before it stores its hash: after a crash it takes the transaction that was
/// mined for lost.
#[tokio::test]
async fn a_replacement_that_was_mined_during_a_crash_is_known() {
    for db in on_both().await {
        let world = World::new().await;
        let mut config = world.config(&db);
        config.bump_after_ms = 200;
        let relayer = world.start_cut_off(config).await;
        // Whoever stores a replacement after the answer never comes to that.
        world.wire.fate(Fate::Held);
        let replacement: Bytes = until("a replacement is sent", || async {
            world.chain.mine(1).await;
            let sent = world.wire.sent();
            sent.iter().find(|raw| **raw != sent[0])?.parse().ok()
        })
        .await;
        relayer.kill().await;
        world.wire.fate(Fate::Arrive);
        let pending = world.chain.provider().send_raw_transaction(&replacement).await.unwrap();
        let mined = *pending.tx_hash();
        let relayer = world.start(world.config(&db)).await;
        let shown = world.comes_to(&relayer, "open", "done").await;
        assert_eq!(shown["done_by"].as_str().unwrap().parse::<B256>().unwrap(), mined, "{:?}", db.engine);
        assert_eq!(world.nonce().await, 1, "{:?}", db.engine);
        relayer.stop().await;
    }
}

/// OpenZeppelin Relayer #836: what got no answer is prepared again, with another nonce.
#[tokio::test]
async fn what_got_no_answer_is_not_signed_with_another_nonce() {
    for db in on_both().await {
        let world = World::new().await;
        world.automine(false).await;
        world.wire.fate(Fate::Unanswered);
        world.want_open();
        let relayer = world.start(world.config(&db)).await;
        until("it is sent again and again", || async { (world.wire.sent().len() >= 4).then_some(()) }).await;
        relayer.kill().await;
        let relayer = world.start(world.config(&db)).await;
        let before = world.wire.sent().len();
        until("and again", || async { (world.wire.sent().len() >= before + 2).then_some(()) }).await;
        world.automine(true).await;
        let shown = world.comes_to(&relayer, "open", "done").await;
        assert_eq!(attempts(&shown).len(), 1, "{:?}", db.engine);
        let sent: BTreeSet<String> = world.wire.sent().into_iter().collect();
        assert_eq!((sent.len(), world.nonce().await), (1, 1), "{:?}", db.engine);
        relayer.stop().await;
    }
}

/// OpenZeppelin Relayer #843: the count of nonces drifts from the chain, every slot waits behind a hole, and a restart does
/// not help.
#[tokio::test]
async fn a_hole_in_the_nonces_is_filled() {
    for db in on_both().await {
        let world = World::new().await;
        let other = world.another(2).await;
        // Somebody uses the signer's key, and a reorganisation takes that out again.
        let foreign = TransactionRequest::default()
            .from(world.chain.address(RELAYS))
            .to(world.chain.address(RELAYS))
            .value(U256::ZERO);
        let sent = world.chain.provider().send_transaction(foreign).await.unwrap();
        sent.get_receipt().await.unwrap();
        world.wire.cut(true);
        world.peers.want([
            intent(1, "one", &world.terms, IntentAction::OpenCase),
            intent(2, "two", &other, IntentAction::OpenCase),
        ]);
        let relayer = world.start(world.config(&db)).await;
        let first = world.signed(&relayer, "two").await;
        assert_eq!(nonces(&[first]), ["2".to_owned()].into(), "{:?}", db.engine);
        world.chain.reorg(1).await;
        assert_eq!(world.nonce().await, 0, "{:?}", db.engine);
        world.wire.cut(false);
        let one = world.comes_to(&relayer, "one", "done").await;
        let two = world.comes_to(&relayer, "two", "done").await;
        assert_eq!(nonces(&[one, two]), ["1", "2"].map(str::to_owned).into(), "{:?}", db.engine);
        assert_eq!(world.nonce().await, 3, "{:?}", db.engine);
        relayer.stop().await;
    }
}

/// OpenZeppelin Relayer takes a revert for the end before its block is final.
#[tokio::test]
async fn a_revert_is_the_end_only_when_its_block_is_final() {
    for db in on_both().await {
        let world = World::new().await;
        let relayer = world.start_pooled(world.config(&db)).await;
        world.outbid().await;
        world.chain.mine(1).await;
        let reverted = until("its revert is in a block", || async {
            let shown = show(&relayer, "open").await?;
            (shown["state"] == "mined").then_some(shown)
        })
        .await;
        let hash: B256 = attempts(&reverted)[0]["hash"].as_str().unwrap().parse().unwrap();
        let receipt = world.chain.provider().get_transaction_receipt(hash).await.unwrap().unwrap();
        assert!(!receipt.status(), "{:?}", db.engine);
        // Both leave the chain, and only ours comes back.
        world.chain.reorg(1).await;
        world.automine(true).await;
        let shown = world.comes_to(&relayer, "open", "done").await;
        assert_eq!(shown["done_by"].as_str().unwrap().parse::<B256>().unwrap(), hash, "{:?}", db.engine);
        assert_eq!(attempts(&shown).len(), 1, "{:?}", db.engine);
        relayer.stop().await;
    }
}

/// What nodes say about a transaction is misread for what became of it (hyperlane-monorepo#6682, rrelayer#98).
#[tokio::test]
async fn the_words_of_a_node_decide_nothing() {
    for db in on_both().await {
        let world = World::new().await;
        world.want_open();
        world.wire.fate(Fate::Refused("nonce too low"));
        let relayer = world.start(world.config(&db)).await;
        for words in [
            "nonce too low",
            "already known",
            "replacement transaction underpriced",
            "nonce too high",
            "insufficient funds for gas * price + value",
            "transaction already imported and mined",
        ] {
            world.wire.fate(Fate::Refused(words));
            let before = world.wire.sent().len();
            until("it is sent again", || async { (world.wire.sent().len() > before + 1).then_some(()) })
                .await;
            let shown = show(&relayer, "open").await.unwrap();
            assert_eq!((&shown["state"], attempts(&shown).len()), (&"attempted".into(), 1), "{words}");
        }
        world.wire.cut(false);
        let shown = world.comes_to(&relayer, "open", "done").await;
        assert_eq!((attempts(&shown).len(), world.nonce().await), (1, 1), "{:?}", db.engine);
        relayer.stop().await;
    }
}

/// A full node keeps the state of its last blocks alone: whoever asks it for that of the final block gets an error for ever.
#[tokio::test]
async fn a_node_without_the_state_of_its_final_block_is_enough() {
    for db in on_both().await {
        // Its final block is 64 blocks down.
        let world = World::on(Chain::start_with(&["--slots-in-an-epoch", "32"]).await).await;
        world.chain.mine(70).await;
        world.wire.forget(true);
        world.peers.want([
            intent(1, "open", &world.terms, IntentAction::OpenCase),
            intent(2, "draw", &world.terms, IntentAction::DrawJury { instance: 0, jury: 0 }),
        ]);
        let relayer = world.start(world.config(&db)).await;
        let shown = world.comes_to(&relayer, "open", "done").await;
        assert_eq!((attempts(&shown).len(), attempts(&shown)[0]["outcome"].as_str()), (1, Some("succeeded")));
        world.comes_to(&relayer, "draw", "done").await;
        assert_eq!(world.case(BlockNumberOrTag::Finalized).await.stage, 2, "{:?}", db.engine);
        // What others did is done as well.
        let other = world.another(2).await;
        world.call(5, call::open(&other).unwrap()).await;
        world.peers.want([intent(3, "other", &other, IntentAction::OpenCase)]);
        let shown = world.comes_to(&relayer, "other", "done").await;
        assert_eq!((attempts(&shown).len(), world.nonce().await), (0, 2), "{:?}", db.engine);
        relayer.stop().await;
    }
}

/// gear-bridges#842: the node loses its pool, a nonce that is cached goes on, and everything behind the hole waits for ever or
/// is sent twice.
#[tokio::test]
async fn a_pool_that_is_lost_is_filled_again_with_the_same_transactions() {
    for db in on_both().await {
        let world = World::new().await;
        let other = world.another(2).await;
        let relayer = world.start_pooled(world.config(&db)).await;
        let sent = world.wire.sent();
        let provider = world.chain.provider();
        let _: Value = provider.raw_request("anvil_dropAllTransactions".into(), ()).await.unwrap();
        world.peers.want([intent(2, "two", &other, IntentAction::OpenCase)]);
        world.signed(&relayer, "two").await;
        world.automine(true).await;
        let one = world.comes_to(&relayer, "open", "done").await;
        let two = world.comes_to(&relayer, "two", "done").await;
        assert!(
            world.wire.sent().iter().filter(|raw| **raw == sent[0]).count() > sent.len(),
            "{:?}",
            db.engine
        );
        assert_eq!((attempts(&one).len(), attempts(&two).len()), (1, 1), "{:?}", db.engine);
        assert_eq!(nonces(&[one, two]), ["0", "1"].map(str::to_owned).into(), "{:?}", db.engine);
        assert_eq!(world.nonce().await, 2);
        relayer.stop().await;
    }
}

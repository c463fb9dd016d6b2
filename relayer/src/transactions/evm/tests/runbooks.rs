//! Steps of the runbooks in docs/operations.md that nothing else here goes through.

use serde_json::Value;
use service::db::testing::on_both;

use super::{
    signers::signers,
    world::{RELAYS, World, attempts, show},
};
use crate::{config::Config, testing::until};

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

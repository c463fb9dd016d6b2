//! Several nodes of which one stands still, and chains that do.

use service::db::testing::sqlite;

use super::{
    liars::{rounds, three},
    world::World,
};
use crate::intents::State;

/// Between rounds, in milliseconds; after that nothing that waits rests any more.
const ROUND_MS: i64 = 15_001;
/// Three minutes, and more than it takes until what is done first is final.
const ROUNDS: usize = 12;

#[tokio::test]
async fn a_node_that_stands_still_is_not_asked_first_any_more() {
    let (db, world) = (sqlite(), World::new().await);
    let (config, others) = three(&world, &db).await;
    world.wire.stand_still().await;
    world.want_open();
    let rounds = rounds(&world, config).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    for _ in 0..2 * ROUNDS {
        worker.round(&mut manager, &mut desk).await.unwrap();
        world.chain.mine(1).await;
        rounds.clock.pass_ms(ROUND_MS);
    }
    assert_eq!((rounds.states().await, world.nonce().await), (vec![State::Done], 1));
    let asked: usize = others.iter().map(|other| other.asked("eth_getBlockByNumber")).sum();
    assert!(asked > 0, "another one has its turn");
}

#[tokio::test]
async fn nodes_of_a_chain_without_new_blocks_keep_their_turns_and_are_asked_once_a_minute() {
    let (db, world) = (sqlite(), World::new().await);
    let (config, others) = three(&world, &db).await;
    let rounds = rounds(&world, config).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    for mines in [true, false] {
        for _ in 0..ROUNDS {
            worker.round(&mut manager, &mut desk).await.unwrap();
            rounds.clock.pass_ms(ROUND_MS);
            if mines {
                world.chain.mine(1).await;
            }
        }
        let asked = others[1].asked("eth_blockNumber");
        let expected = if mines { 0..=0 } else { 2..=3 };
        assert!(expected.contains(&asked), "{asked} with new blocks: {mines}");
    }
    assert_eq!(others[0].asked("eth_getBlockByNumber") + others[1].asked("eth_getBlockByNumber"), 0);
}

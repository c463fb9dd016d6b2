//! What comes after a step that is kept.

use std::{sync::Arc, time::Instant};

use service::{
    clock::{Clock, SystemClock},
    db::testing::on_both,
};

use super::World;
use crate::{
    chain::{follow::Ground, source::Following},
    config::Config,
    shared::Shared,
    testing::DEADLINE,
};

/// What follows the chain, a look at a time, and what it stands on.
async fn by_hand(config: &Config) -> (Following, Ground) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (db, chains) = crate::open(config, &*clock).await.unwrap();
    let shared = Shared::new(db, chains, clock, Default::default(), 0);
    let chain = shared.chains.values().next().unwrap().clone();
    let source = chain.source.following(&chain.config, chain.id, chain.contracts.clone());
    (source, Ground { shared, chain, stopped: true })
}

/// Looks at the chain, whatever comes of it, until so many events are kept.
async fn until_kept(source: &mut Following, ground: &mut Ground, count: i64) {
    let started = Instant::now();
    loop {
        let reader = ground.shared.db.reader();
        let kept: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM logs").fetch_one(reader).await.unwrap();
        if kept >= count {
            return;
        }
        let looked = source.tick(ground).await;
        assert!(started.elapsed() < DEADLINE, "{kept} of {count} events are kept: {looked:?}");
    }
}

/// A fault of a kind that nobody knows: which ones are open cannot be read while it is there.
async fn confuse(ground: &Ground, confused: bool) {
    let mut write = ground.shared.db.begin().await.unwrap();
    let change = if confused {
        "INSERT INTO faults (chain, kind, subject, detail, raised_at) VALUES ($1, 'unheard of', '', '', 0)"
    } else {
        "DELETE FROM faults WHERE chain = $1"
    };
    sqlx::query(change).bind(ground.chain.number).execute(write.on()).await.unwrap();
    write.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_kept_stands_whatever_is_read_after_it() {
    for db in on_both().await {
        let world = World::start().await;
        let (mut source, mut ground) = by_hand(&world.config(&db)).await;
        confuse(&ground, true).await;
        world.funded(1).await;
        until_kept(&mut source, &mut ground, 1).await;
        confuse(&ground, false).await;
        world.funded(2).await;
        until_kept(&mut source, &mut ground, 2).await;
        ground.shared.db.close().await;
    }
}

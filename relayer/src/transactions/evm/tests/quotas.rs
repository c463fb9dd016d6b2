//! Who is over a quota: out of line until there is room, and looked at in turn, round by round on a real chain.

use std::sync::Arc;

use alloy::providers::ext::AnvilApi as _;
use protocol::{
    evm::act_digest,
    wire::{
        act::PartyAct,
        intent::{Intent, IntentAction, PartySignature},
    },
};
use service::{clock::Clock as _, db::testing::sqlite};

use super::{
    rounds::{Rounds, key},
    world::{RELAYS, World},
};
use crate::{
    config::Config,
    intents::State,
    quota::{BILLION, Quotas},
    testing::intent,
};

/// A round has the time for all that waits, and what was looked at rests for as long.
const POLL_MS: u64 = 60_000;
/// After that nothing rests any more.
const RESTED_MS: i64 = 60_001;

/// What the buyer signed, asked for by an account.
pub(super) fn release(world: &World, account: &str, seq: u64) -> Intent {
    let act = PartyAct::Release { total: u128::from(seq) };
    let party = world.chain.account(1).address;
    let digest = act_digest(&world.terms, party, &act).unwrap();
    let signed = vec![PartySignature { party, signature: world.chain.sign(1, digest) }];
    let mut intent =
        intent(seq, &format!("{account}/{seq}"), &world.terms, IntentAction::Act { act, signed });
    intent.asked_by = Some(account.to_owned());
    intent
}

async fn rounds(world: &World, config: Config, quotas: Quotas) -> Rounds {
    let config = Config { quotas, poll_interval_ms: POLL_MS, ..config };
    Rounds::by(config, vec![Arc::new(key(world, RELAYS))]).await
}

/// Notes that somebody was charged now.
async fn charge(rounds: &Rounds, account: &str, cost: u64) {
    let mut write = rounds.db.begin().await.unwrap();
    sqlx::query("INSERT INTO charge (slot, intent, account, cost, at_ms) VALUES ('before', 0, $1, $2, $3)")
        .bind(account)
        .bind(i64::try_from(cost).unwrap())
        .bind(rounds.clock.now_ms())
        .execute(write.on())
        .await
        .unwrap();
    write.commit().await.unwrap();
}

#[tokio::test]
async fn who_is_over_a_quota_of_cost_is_not_tried_again_before_there_is_room() {
    let (db, world) = (sqlite(), World::funded().await);
    world.peers.want((1..=3).map(|seq| release(&world, "ann", seq)));
    world.automine(false).await;
    let most = BILLION * 4;
    let quotas = Quotas {
        account_hour_cost: BILLION,
        account_day_cost: most,
        total_hour_cost: most,
        total_day_cost: most,
        ..Quotas::default()
    };
    // What was looked at rests for a third of the time for which it is taken to cost the same.
    let config = Config { quotas, poll_interval_ms: 20_000, ..world.config(&db) };
    let rounds = Rounds::by(config, vec![Arc::new(key(&world, RELAYS))]).await;
    let rested_ms = 20_001;
    // What is left is less than any transaction costs.
    charge(&rounds, "ann", BILLION - 2).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    let tried = || world.wire.asked("eth_estimateGas");
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!((tried(), rounds.open().await.len()), (1, 0), "one of them tells the price of an act");
    assert_eq!(rounds.reason(1).await, "over quota account_hour_cost: 1000000000 allowed");
    assert_eq!(*worker.over_quota.lock().unwrap(), [("account_hour_cost", 1)].into());
    for _ in 0..2 {
        rounds.clock.pass_ms(rested_ms);
        worker.round(&mut manager, &mut desk).await.unwrap();
    }
    assert_eq!((tried(), rounds.open().await.len()), (1, 0));
    assert_eq!(rounds.reason(2).await, "over quota account_hour_cost: 1000000000 allowed", "each says why");
    // After a minute the next one may cost less.
    rounds.clock.pass_ms(rested_ms);
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!((tried(), rounds.open().await.len()), (2, 0));

    let mut write = rounds.db.begin().await.unwrap();
    sqlx::query("DELETE FROM charge").execute(write.on()).await.unwrap();
    write.commit().await.unwrap();
    rounds.clock.pass_ms(rested_ms);
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!(rounds.open().await.len(), 3, "the window has moved on");
    assert!(worker.over_quota.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_rests_is_looked_at_when_the_clock_is_set_back() {
    let (db, world) = (sqlite(), World::new().await);
    world.peers.want([intent(1, "draw", &world.terms, IntentAction::DrawJury { instance: 0, jury: 0 })]);
    let rounds = rounds(&world, world.config(&db), Quotas::default()).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    for (passed_ms, tried) in [(0, 1), (0, 1), (-3_600_000, 2), (0, 2)] {
        rounds.clock.pass_ms(passed_ms);
        worker.round(&mut manager, &mut desk).await.unwrap();
        let reason = rounds.reason(1).await;
        assert_eq!(world.wire.asked("eth_estimateGas"), tried, "{reason}");
    }
}

#[tokio::test]
async fn of_those_over_a_quota_each_is_looked_at_in_its_turn() {
    let (db, world) = (sqlite(), World::funded().await);
    // The time of all but the first four has passed.
    world.peers.want((0..10).map(|n| {
        let mut intent = release(&world, &format!("a{n}"), n + 1);
        if n >= 4 {
            intent.deadline = 1;
        }
        intent
    }));
    let quotas = Quotas { account_hour: 0, ..Quotas::default() };
    let rounds = rounds(&world, world.config(&db), quotas).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    for over in [0, 4, 6] {
        worker.round(&mut manager, &mut desk).await.unwrap();
        let failed = rounds.states().await.into_iter().filter(|state| *state == State::Failed).count();
        assert_eq!(failed, over);
        rounds.clock.pass_ms(RESTED_MS);
    }
    assert_eq!(rounds.states().await[..4], [State::Waiting; 4]);
    assert!(worker.over_quota.lock().unwrap().contains_key("account_hour"));
    worker.falls_silent();
    assert!(worker.over_quota.lock().unwrap().is_empty());
    assert_eq!(world.wire.asked("eth_estimateGas"), 0);
}

#[tokio::test]
async fn a_price_is_no_alarm_where_a_quota_holds_up_all_that_it_is_too_high_for() {
    let total = Quotas { total_hour: 1, ..Quotas::default() };
    for quotas in [Quotas { account_hour: 1, ..Quotas::default() }, total] {
        let (db, world) = (sqlite(), World::funded().await);
        world.peers.want((1..=2).map(|seq| release(&world, "ann", seq)));
        world.chain.provider().anvil_set_next_block_base_fee_per_gas(4_000_000_000).await.unwrap();
        world.chain.mine(1).await;
        let config = Config { max_fee_per_gas: 2_000_000_000, ..world.config(&db) };
        let rounds = rounds(&world, config, quotas).await;
        let (worker, mut manager, mut desk) = rounds.begin();
        let dear = || worker.alarms.all().contains_key("price");
        worker.round(&mut manager, &mut desk).await.unwrap();
        assert!(dear());
        rounds.clock.pass_ms(RESTED_MS);
        worker.round(&mut manager, &mut desk).await.unwrap();
        assert!(dear(), "they wait for nothing but the price");
        charge(&rounds, "ann", 1).await;
        for _ in 0..2 {
            rounds.clock.pass_ms(RESTED_MS);
            worker.round(&mut manager, &mut desk).await.unwrap();
        }
        assert!(!dear(), "{quotas:?}");
        assert!(rounds.reason(1).await.contains("over quota"), "{quotas:?}");
    }
}

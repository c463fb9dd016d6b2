//! What estimates foretell of the steps of a case, compared with what the steps then take.

use alloy::{
    primitives::B256,
    providers::{Provider as _, ext::AnvilApi as _},
    rpc::types::BlockNumberOrTag,
};
use protocol::{
    evm::{appeal_digest, call, deal_id},
    wire::intent::{Intent, IntentAction},
};
use serde_json::Value;
use service::db::testing::sqlite;

use super::{
    super::case::payee_gas,
    world::{World, attempts, outlook, show},
};
use crate::{
    config::Config,
    quota::Quotas,
    testing::{KEY, Running, intent, until},
};

/// Has a step done, and compares its transaction with the estimate that was made of it just before.
async fn foretold(world: &World, relayer: &Running, step: Intent) {
    let told = outlook(relayer, &step).await;
    let key = step.key.clone();
    assert!(told.would_succeed && told.refusal.is_none() && !told.already_done, "{key}: {told:?}");
    let estimate = told.estimate.unwrap();
    world.peers.want([step.clone()]);
    let shown = world.comes_to(relayer, &key, "done").await;
    let all = attempts(&shown);
    assert_eq!((all.len(), &all[0]["outcome"]), (1, &Value::from("succeeded")), "{key}");
    let hash: B256 = all[0]["hash"].as_str().unwrap().parse().unwrap();
    let receipt = world.chain.provider().get_transaction_receipt(hash).await.unwrap().unwrap();
    let (used, units) = (receipt.gas_used, estimate.units);
    // The estimate is the limit: a quarter more than the dry run, which may be refunded some of what it takes, and what each
    // of two payees may take and the wallets here do not: once beside the dry run, and for both within it.
    let spared = 3 * payee_gas(&step);
    assert!(used <= units && units <= used * 2 + 50_000 + spared, "{key}: {units} foretold, {used} used");
    let cost = u128::from(used) * receipt.effective_gas_price;
    assert!(cost <= estimate.cost_max, "{key}: {} at most foretold, {cost} paid", estimate.cost_max);
    let done = outlook(relayer, &step).await;
    assert!(done.already_done && done.estimate.is_none(), "{key}: {done:?}");
}

async fn refused(relayer: &Running, step: &Intent, rule: &str) {
    let told = outlook(relayer, step).await;
    assert_eq!(told.refusal.as_ref().map(|refusal| refusal.rule.as_str()), Some(rule), "{told:?}");
    assert!(!told.would_succeed && told.estimate.is_none(), "{told:?}");
}

#[tokio::test]
async fn every_step_of_a_case_takes_what_was_foretold() {
    let db = sqlite();
    let world = World::appealable().await;
    let relayer = world.start(world.config(&db)).await;
    let step = |seq, key: &str, action| intent(seq, key, &world.terms, action);
    let draw = |instance| IntentAction::DrawJury { instance, jury: 0 };
    let submit = |instance, ballots| IntentAction::SubmitBallots { instance, jury: 0, ballots };
    refused(&relayer, &step(1, "draw/0", draw(0)), "UnknownCase").await;
    foretold(&world, &relayer, step(1, "open", IntentAction::OpenCase)).await;
    world.chain.mine(3).await;
    foretold(&world, &relayer, step(2, "draw/0", draw(0))).await;
    let ballot = world.ballot(0).await;
    let mut forged = ballot.clone();
    forged.share = 10_000;
    refused(&relayer, &step(3, "ballots/0", submit(0, vec![forged])), "InvalidBallot").await;
    foretold(&world, &relayer, step(3, "ballots/0", submit(0, vec![ballot]))).await;
    refused(&relayer, &step(4, "execute", IntentAction::ExecuteRuling), "TooEarly").await;
    let valid_until = world.chain.now().await + 3_000;
    let digest = appeal_digest(world.chain.pools, deal_id(&world.terms).unwrap(), valid_until).unwrap();
    let (party, signature) = (world.terms.seller.address, world.chain.sign(2, digest));
    foretold(&world, &relayer, step(5, "appeal", IntentAction::Appeal { party, valid_until, signature }))
        .await;
    world.chain.mine(3).await;
    foretold(&world, &relayer, step(6, "draw/1", draw(1))).await;
    let ballot = world.ballot(10_000).await;
    // It executes the ruling too.
    foretold(&world, &relayer, step(7, "ballots/1", submit(1, vec![ballot]))).await;
    relayer.stop().await;
}

#[tokio::test]
async fn executing_a_ruling_takes_what_was_foretold() {
    let db = sqlite();
    let world = World::appealable().await;
    world.chain.open_and_draw(&world.terms).await;
    let ballots = world.ballots(&[7_500]).await;
    world.call(5, call::submit(&world.terms, 0, &ballots).unwrap()).await;
    let accepted = world.case(BlockNumberOrTag::Latest).await.acceptedAt.to::<u64>();
    world.until_second(accepted + 3_600 + 1).await;
    let relayer = world.start(world.config(&db)).await;
    foretold(&world, &relayer, intent(1, "execute", &world.terms, IntentAction::ExecuteRuling)).await;
    relayer.stop().await;
}

#[tokio::test]
async fn a_price_above_the_limits_is_foretold_by_name() {
    let db = sqlite();
    let world = World::new().await;
    world.chain.provider().anvil_set_next_block_base_fee_per_gas(3_000_000_000).await.unwrap();
    world.chain.mine(1).await;
    let relayer = world.start(Config { max_fee_per_gas: 2_000_000_000, ..world.config(&db) }).await;
    refused(&relayer, &intent(1, "open", &world.terms, IntentAction::OpenCase), "TooDear").await;
    relayer.stop().await;
}

#[tokio::test]
async fn four_estimates_are_made_at_one_time_and_the_next_is_told_to_come_again() {
    let db = sqlite();
    let world = World::new().await;
    let relayer = world.start(world.config(&db)).await;
    let step = intent(1, "open", &world.terms, IntentAction::OpenCase);
    assert!(outlook(&relayer, &step).await.would_succeed);
    world.wire.hang("eth_estimateGas", &world.chain.pools.address.to_string());
    let client = reqwest::Client::new();
    let ask = || client.post(format!("{}/v1/estimates", relayer.url)).bearer_auth(KEY).json(&step).send();
    let hanging: Vec<_> = (0..4).map(|_| tokio::spawn(ask())).collect();
    until("all four are asked of the node", || async { (world.wire.unanswered() >= 4).then_some(()) }).await;
    let refused = ask().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.text().await.unwrap().contains("4 estimates are being made"));
    // Who goes away makes room.
    for one in hanging {
        one.abort();
    }
    until("there is room again", || async {
        world.wire.hang("nothing", "");
        (ask().await.ok()?.status() == 200).then_some(())
    })
    .await;
    relayer.stop().await;
}

#[tokio::test]
async fn what_steps_of_cases_cost_together_is_said_and_stops_none() {
    let db = sqlite();
    let world = World::new().await;
    let quotas = Quotas { steps_day_cost: 1, ..Quotas::default() };
    let relayer = world.start(Config { quotas, ..world.config(&db) }).await;
    world.want_open();
    world.comes_to(&relayer, "open", "done").await;
    let status = until("it is said", || async {
        let (_, status) = relayer.get("/status").await;
        let said = status["notices"]["cost of cases"]["reason"].as_str()?.contains("quotas.steps_day_cost");
        said.then_some(status)
    })
    .await;
    // All of its work is done.
    relayer.ready().await;
    let cost: u64 = status["steps_day_cost"].as_str().unwrap().parse().unwrap();
    let shown = show(&relayer, "open").await.unwrap();
    let number = |name: &str| attempts(&shown)[0][name].as_str().unwrap().parse::<u128>().unwrap();
    assert_eq!(u128::from(cost), (number("gas") * number("max_fee")).div_ceil(1_000_000_000));
    world.peers.want([intent(2, "draw", &world.terms, IntentAction::DrawJury { instance: 0, jury: 0 })]);
    world.comes_to(&relayer, "draw", "done").await;
    relayer.stop().await;
}

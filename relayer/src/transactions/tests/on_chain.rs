//! On a real chain, on both databases.

use std::sync::Arc;

use alloy::{
    primitives::{B256, Bytes, U256},
    providers::{Provider as _, ext::AnvilApi as _},
    rpc::types::{BlockNumberOrTag, TransactionRequest},
    sol_types::SolCall as _,
};
use fixture::Chain;
use protocol::{
    evm::{ballot_digest, call, case_id, deal_id, pools::ArbitrationPools},
    terms::Terms,
    wire::intent::{IntentAction, IntentProgress, SignedBallot},
};
use serde_json::Value;
use service::db::testing::{FreshDb, on_both};

use crate::{
    config::Config,
    testing::{Peers, Running, Wire, config, intent, until},
    transactions::Case,
};

/// Wallet 3 relays.
const RELAYS: usize = 3;

struct World {
    chain: Chain,
    peers: Peers,
    wire: Wire,
    pool: fixture::Pool,
    terms: Terms,
}

impl World {
    /// A disputed deal whose pool has one seat.
    async fn new() -> Self {
        let chain = Chain::start().await;
        let pool = chain.pool(1).await;
        let terms = chain.terms(1_000, pool.id, 1).await;
        chain.fund(&terms).await;
        chain.dispute(&terms).await;
        let wire = Wire::to(chain.rpc_url()).await;
        Self { peers: Peers::start().await, chain, wire, pool, terms }
    }

    fn config(&self, db: &FreshDb) -> Config {
        let key = self.chain.wallets[RELAYS].to_bytes().to_string();
        config(&db.url, &self.peers, &self.wire.url, &key)
    }

    async fn start(&self, config: Config) -> Running {
        Running::start(config, Arc::default()).await
    }

    async fn nonce(&self) -> u64 {
        self.chain.provider().get_transaction_count(self.chain.address(RELAYS)).await.unwrap()
    }

    async fn automine(&self, on: bool) {
        self.chain.provider().anvil_set_auto_mine(on).await.unwrap();
    }

    /// Waits for an intent's state while blocks come.
    async fn comes_to(&self, relayer: &Running, key: &str, state: &str) -> Value {
        until(&format!("{key} is {state}"), || async {
            self.chain.mine(1).await;
            let shown = show(relayer, key).await?;
            (shown["state"] == state).then_some(shown)
        })
        .await
    }

    /// The hub's ballot of the one seat.
    async fn ballot(&self, share: u16) -> SignedBallot {
        let deal = deal_id(&self.terms).unwrap();
        let seed = self.case(BlockNumberOrTag::Latest).await.seed;
        let seats = self.read(call::jury_of(&self.terms).unwrap(), BlockNumberOrTag::Latest).await;
        let seats = ArbitrationPools::juryOfCall::abi_decode_returns(&seats).unwrap();
        let juror = (0..10).find(|wallet| self.chain.address(*wallet) == seats[0]).unwrap();
        assert!(self.pool.members.contains(&seats[0]));
        let case = case_id(self.pool.id, self.chain.escrow.address, deal, 0, 0, seed);
        let digest = ballot_digest(self.chain.pools, case, share, B256::ZERO);
        SignedBallot { seat: 0, share, reason: B256::ZERO, signature: self.chain.sign(juror, digest) }
    }

    async fn read(&self, data: Bytes, at: BlockNumberOrTag) -> Bytes {
        let request = TransactionRequest::default().to(self.chain.pools.address).input(data.into());
        self.chain.provider().call(request).block(at.into()).await.unwrap()
    }

    async fn case(&self, at: BlockNumberOrTag) -> Case {
        let escrow = self.chain.escrow.address;
        let call = ArbitrationPools::caseOfCall { escrow, deal: deal_id(&self.terms).unwrap() };
        let answer = self.read(call.abi_encode().into(), at).await;
        ArbitrationPools::caseOfCall::abi_decode_returns(&answer).unwrap()
    }

    async fn call(&self, wallet: usize, data: Bytes) {
        self.chain.send(wallet, self.chain.pools.address, data, U256::ZERO).await;
    }
}

async fn show(relayer: &Running, key: &str) -> Option<Value> {
    let (_, page) = relayer.get("/v1/intents").await;
    page["intents"].as_array()?.iter().find(|shown| shown["intent"]["key"] == key).cloned()
}

fn attempts(shown: &Value) -> Vec<Value> {
    shown["attempts"].as_array().unwrap().clone()
}

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
            intent(3, "ballots", &world.terms, IntentAction::SubmitBallots { ballots }),
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
async fn a_crash_between_storing_and_sending_leads_to_one_effect_with_the_same_bytes() {
    for db in on_both().await {
        let world = World::new().await;
        world.wire.cut(true);
        world.peers.want([intent(1, "open", &world.terms, IntentAction::OpenCase)]);
        let relayer = world.start(world.config(&db)).await;
        until("it is sent into the void", || async { (!world.wire.sent().is_empty()).then_some(()) }).await;
        relayer.kill().await;
        assert_eq!(world.nonce().await, 0, "{:?}", db.engine);
        world.wire.cut(false);
        let relayer = world.start(world.config(&db)).await;
        let shown = world.comes_to(&relayer, "open", "done").await;
        let attempts = attempts(&shown);
        assert_eq!((attempts.len(), &attempts[0]["nonce"]), (1, &"0".into()), "{:?}", db.engine);
        let sent = world.wire.sent();
        assert!(sent.len() > 1 && sent.iter().all(|raw| *raw == sent[0]), "{sent:?}");
        assert_eq!(world.nonce().await, 1);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_stuck_transaction_is_replaced_at_its_nonce_within_the_budget() {
    for db in on_both().await {
        let world = World::new().await;
        world.automine(false).await;
        world.peers.want([intent(1, "open", &world.terms, IntentAction::OpenCase)]);
        let mut config = world.config(&db);
        config.bump_after_ms = 200;
        let relayer = world.start(config).await;
        let pending = until("two replacements", || async {
            let shown = show(&relayer, "open").await?;
            (attempts(&shown).len() >= 3).then_some(shown)
        })
        .await;
        let fee = |attempt: &Value| attempt["max_fee"].as_str().unwrap().parse::<u128>().unwrap();
        for pair in attempts(&pending).windows(2) {
            assert_eq!(pair[0]["nonce"], pair[1]["nonce"], "{:?}", db.engine);
            assert!(fee(&pair[1]) * 8 >= fee(&pair[0]) * 9, "at least an eighth more");
        }
        world.automine(true).await;
        let shown = world.comes_to(&relayer, "open", "done").await;
        let outcomes: Vec<_> =
            attempts(&shown).iter().map(|a| a["outcome"].as_str().unwrap().to_owned()).collect();
        assert_eq!(outcomes.iter().filter(|outcome| *outcome == "succeeded").count(), 1, "{outcomes:?}");
        assert!(
            outcomes.iter().all(|outcome| outcome == "succeeded" || outcome == "replaced"),
            "{outcomes:?}"
        );
        assert!(attempts(&shown).iter().any(|attempt| attempt["hash"] == shown["done_by"]));
        assert_eq!(world.nonce().await, 1, "{:?}", db.engine);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_said_and_the_transaction_is_still_watched() {
    let db = service::db::testing::sqlite();
    let world = World::new().await;
    world.automine(false).await;
    world.peers.want([intent(1, "open", &world.terms, IntentAction::OpenCase)]);
    let mut config = world.config(&db);
    config.bump_after_ms = 200;
    // Enough for the first transaction and not for an eighth more.
    let fees = world.chain.provider().estimate_eip1559_fees().await.unwrap();
    config.max_fee_per_gas = fees.max_fee_per_gas;
    let relayer = world.start(config).await;
    relayer.not_ready("1 intents need a person").await;
    let shown = show(&relayer, "open").await.unwrap();
    assert_eq!((&shown["state"], attempts(&shown).len()), (&"quarantined".into(), 1));
    assert!(shown["reason"].as_str().unwrap().contains("the budget allows"), "{shown}");
    world.automine(true).await;
    world.comes_to(&relayer, "open", "done").await;
    relayer.ready().await;
    relayer.stop().await;
}

#[tokio::test]
async fn a_transaction_that_reverts_because_another_was_quicker_is_done_by_the_other() {
    for db in on_both().await {
        let world = World::new().await;
        world.automine(false).await;
        world.peers.want([intent(1, "open", &world.terms, IntentAction::OpenCase)]);
        let relayer = world.start(world.config(&db)).await;
        until("it is in the pool", || async {
            let pool =
                world.chain.provider().get_transaction_count(world.chain.address(RELAYS)).pending().await;
            (pool.unwrap() == 1).then_some(())
        })
        .await;
        let quicker = TransactionRequest::default()
            .from(world.chain.address(5))
            .to(world.chain.pools.address)
            .input(call::open(&world.terms).unwrap().into())
            .gas_limit(500_000)
            .max_fee_per_gas(900_000_000_000)
            .max_priority_fee_per_gas(100_000_000_000);
        let _pending = world.chain.provider().send_transaction(quicker).await.unwrap();
        let shown = world.comes_to(&relayer, "open", "done").await;
        let attempts = attempts(&shown);
        assert_eq!((attempts.len(), &attempts[0]["outcome"]), (1, &"reverted".into()), "{:?}", db.engine);
        assert_eq!(shown["done_by"], Value::Null);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_draw_that_only_moves_its_target_is_made_again() {
    let db = service::db::testing::sqlite();
    let world = World::new().await;
    world.call(5, call::open(&world.terms).unwrap()).await;
    // Further than the chain remembers its blocks (EIP-2935).
    world.chain.mine(8_300).await;
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
        let action = IntentAction::SubmitBallots { ballots: vec![ballot] };
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
async fn a_reorganisation_opens_what_was_mined_and_what_was_final() {
    for db in on_both().await {
        let world = World::new().await;
        world.chain.mine(6).await;
        world.peers.want([intent(1, "open", &world.terms, IntentAction::OpenCase)]);
        let relayer = world.start(world.config(&db)).await;
        let mined = until("it is mined", || async {
            let shown = show(&relayer, "open").await?;
            (shown["state"] == "mined").then_some(shown)
        })
        .await;
        // Its one block goes; the same bytes come back.
        world.chain.reorg(1).await;
        let shown = world.comes_to(&relayer, "open", "done").await;
        assert_eq!(
            (attempts(&shown).len(), &shown["done_by"]),
            (1, &attempts(&mined)[0]["hash"]),
            "{:?}",
            db.engine
        );

        // A reorganisation below the final block takes back what was done.
        let hash: B256 = shown["done_by"].as_str().unwrap().parse().unwrap();
        let receipt = world.chain.provider().get_transaction_receipt(hash).await.unwrap().unwrap();
        let depth = world.chain.height().await - receipt.block_number.unwrap() + 1;
        world.chain.reorg(depth).await;
        until("it is opened again", || async {
            let shown = show(&relayer, "open").await?;
            (shown["state"] != "done").then_some(())
        })
        .await;
        world.comes_to(&relayer, "open", "done").await;
        assert_eq!(world.case(BlockNumberOrTag::Finalized).await.stage, 1, "{:?}", db.engine);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_second_process_stands_by_until_the_first_is_gone() {
    for db in on_both().await {
        let world = World::new().await;
        let first = world.start(world.config(&db)).await;
        first.ready().await;
        let second = world.start(world.config(&db)).await;
        second.not_ready("another process works for signer").await;
        world.peers.want([intent(1, "open", &world.terms, IntentAction::OpenCase)]);
        world.comes_to(&first, "open", "done").await;
        second.not_ready("another process works for signer").await;
        first.kill().await;
        second.ready().await;
        world.peers.want([intent(2, "draw", &world.terms, IntentAction::DrawJury)]);
        world.comes_to(&second, "draw", "done").await;
        assert_eq!(world.nonce().await, 2, "{:?}", db.engine);
        second.stop().await;
    }
}

#[tokio::test]
async fn a_signer_without_coins_says_so() {
    let db = service::db::testing::sqlite();
    let world = World::new().await;
    world.chain.provider().anvil_set_balance(world.chain.address(RELAYS), U256::from(5)).await.unwrap();
    world.peers.want([intent(1, "open", &world.terms, IntentAction::OpenCase)]);
    let relayer = world.start(world.config(&db)).await;
    relayer.not_ready("has 5 wei").await;
    let rich = U256::from(10_u128.pow(18));
    world.chain.provider().anvil_set_balance(world.chain.address(RELAYS), rich).await.unwrap();
    world.comes_to(&relayer, "open", "done").await;
    relayer.ready().await;
    relayer.stop().await;
}

#[tokio::test]
async fn another_chain_is_refused() {
    let db = service::db::testing::sqlite();
    let world = World::new().await;
    let mut config = world.config(&db);
    config.chain = protocol::caip::ChainId::Eip155(1);
    let relayer = world.start(config).await;
    relayer.not_ready("RPC endpoint serves eip155:31337, not eip155:1").await;
    relayer.stop().await;
}

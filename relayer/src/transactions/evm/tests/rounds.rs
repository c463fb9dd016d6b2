//! Rounds one by one: what they ask of the node, and what they do with keys that fail.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy::{
    consensus::SignableTransaction,
    network::TxSigner,
    primitives::{Address, Signature, U256},
    providers::Provider as _,
    rpc::types::{BlockNumberOrTag, TransactionRequest},
    signers::local::PrivateKeySigner,
};
use protocol::{
    evm::{act_digest, call},
    wire::{
        act::PartyAct,
        intent::{IntentAction, PartySignature},
    },
};
use service::db::{
    Db,
    testing::{FreshDb, on_both, sqlite},
};

use super::{
    quotas,
    world::{RELAYS, World},
};
use crate::{
    config::Config,
    intents::{self, State},
    lease::Lease,
    quota::Quotas,
    run::{SCHEMA, prepare},
    testing::{MovedClock, intent, terms, until},
    transactions::{
        Desk,
        evm::{
            self,
            chain::Chain,
            sign::Signer,
            store::{Attempt, Kind, open_attempts},
        },
        manager::Manager,
        store::{self, Beyond},
        worker::Worker,
    },
};

/// A key that fails sometimes, by how often it was asked before.
pub struct Moody {
    key: PrivateKeySigner,
    asked: AtomicUsize,
    fails: fn(usize) -> bool,
}

impl Moody {
    pub fn new(key: PrivateKeySigner, fails: fn(usize) -> bool) -> Arc<Self> {
        Arc::new(Self { key, asked: AtomicUsize::new(0), fails })
    }
}

impl TxSigner<Signature> for Moody {
    fn address(&self) -> Address {
        self.key.address()
    }

    fn sign_transaction<'key, 'tx, 'both>(
        &'key self,
        tx: &'tx mut dyn SignableTransaction<Signature>,
    ) -> Pin<Box<dyn Future<Output = alloy::signers::Result<Signature>> + Send + 'both>>
    where
        'key: 'both,
        'tx: 'both,
        Self: 'both,
    {
        Box::pin(async move {
            if (self.fails)(self.asked.fetch_add(1, Ordering::SeqCst)) {
                return Err(alloy::signers::Error::other("the key is moody"));
            }
            self.key.sign_transaction(tx).await
        })
    }
}

/// A relayer whose rounds a test makes.
pub struct Rounds {
    lease: Lease,
    pub db: Db,
    pub clock: Arc<MovedClock>,
    crew: crate::run::Crew,
}

impl Rounds {
    async fn new(world: &World, db: &FreshDb, signers: Vec<Signer>) -> Self {
        Self::by(world.config(db), signers).await
    }

    pub async fn by(config: Config, signers: Vec<Signer>) -> Self {
        let clock = Arc::new(MovedClock::default());
        let (mut crew, status) = prepare(&config, clock.clone()).await.unwrap();
        let manager = evm::Manager::over(Chain::new(&config).unwrap(), signers, &config);
        crew.worker.manager = Manager::Evm(Box::new(manager));
        let lease = Lease::take(&status.db).await.unwrap().unwrap();
        crew.fetcher.once(&lease, Duration::ZERO).await.unwrap();
        Self { lease, db: status.db, clock, crew }
    }

    pub fn begin(&self) -> (&Worker, Manager, Desk<'_>) {
        let (manager, desk) = self.crew.worker.begin(&self.lease);
        (&self.crew.worker, manager, desk)
    }

    pub async fn open(&self) -> Vec<Attempt> {
        open_attempts(self.db.reader()).await.unwrap()
    }

    /// How far all intents are, in the order of arrival.
    pub async fn states(&self) -> Vec<State> {
        let all = intents::list(self.db.reader(), None, 0, 1_000).await.unwrap();
        all.into_iter().map(|kept| kept.state).collect()
    }

    /// Why an intent is where it is.
    pub async fn reason(&self, id: i64) -> String {
        intents::get(self.db.reader(), id).await.unwrap().unwrap().reason
    }

    async fn nonces(&self) -> Vec<u64> {
        self.open().await.iter().map(|attempt| attempt.nonce).collect()
    }
}

pub fn key(world: &World, wallet: usize) -> PrivateKeySigner {
    world.chain.wallets[wallet].clone()
}

#[tokio::test]
async fn no_more_is_tried_than_there_is_room_for_and_only_what_may_have_changed_is_asked() {
    let (db, world) = (sqlite(), World::new().await);
    world.want_opened(20..40).await;
    world.automine(false).await;
    let rounds = Rounds::new(&world, &db, vec![Arc::new(key(&world, RELAYS))]).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    let asked = |method: &str| world.wire.asked(method);

    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!(rounds.nonces().await, (0..16).collect::<Vec<_>>(), "what a signer may have in flight");
    // Of those without room it is looked whether another did them.
    assert_eq!((asked("eth_estimateGas"), asked("eth_call")), (16, 16 + 4));
    assert_eq!((asked("eth_feeHistory"), asked("eth_getTransactionReceipt")), (1, 0));

    for round in 1..=3 {
        worker.round(&mut manager, &mut desk).await.unwrap();
        assert_eq!((asked("eth_estimateGas"), asked("eth_call")), (16, 20 + 4 * round));
        assert_eq!(
            (asked("eth_feeHistory"), asked("eth_getTransactionReceipt")),
            (1, round),
            "the next nonce"
        );
    }

    world.chain.mine(1).await;
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!(rounds.nonces().await, (0..20).collect::<Vec<_>>());
    assert_eq!((asked("eth_estimateGas"), asked("eth_feeHistory")), (20, 2));
    assert_eq!(asked("eth_getTransactionReceipt"), 3 + 16);
    // At the same head nothing is asked twice of what is in a block.
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!(asked("eth_getTransactionReceipt"), 3 + 16 + 1);
}

#[tokio::test]
async fn a_node_that_hangs_is_waited_for_once_in_a_line() {
    let (db, world) = (sqlite(), World::new().await);
    world.want_opened(20..36).await;
    world.wire.hang("eth_sendRawTransaction", "");
    let rounds = Rounds::new(&world, &db, vec![Arc::new(key(&world, RELAYS))]).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    // Six times as long as one call of a node may take; for each of them it would be sixteen times.
    let round = tokio::time::timeout(Duration::from_secs(90), worker.round(&mut manager, &mut desk));
    round.await.expect("it waits for no more than one").unwrap();
    assert_eq!(rounds.nonces().await, (0..16).collect::<Vec<_>>());
    until("it is handed all of them", || async { (world.wire.sent().len() == 16).then_some(()) }).await;
    assert_eq!(world.wire.unanswered(), 16);
}

#[tokio::test]
async fn a_key_that_fails_between_two_signatures_leaves_no_hole() {
    let (db, world) = (sqlite(), World::new().await);
    world.want_opened(20..24).await;
    let moody = Moody::new(key(&world, RELAYS), |before| before == 2);
    let rounds = Rounds::new(&world, &db, vec![moody]).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!(rounds.nonces().await, [0, 1]);
    assert!(worker.alarms.ready().unwrap_err().contains("the key is moody"));
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!(rounds.nonces().await, [0, 1], "it is out of turn");
    rounds.clock.pass_ms(30_001);
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!(rounds.nonces().await, [0, 1, 2, 3]);
    until("all of them are in blocks", || async { (world.nonce().await == 4).then_some(()) }).await;
}

#[tokio::test]
async fn holes_of_one_signer_are_filled_while_another_cannot_sign() {
    let (db, world) = (sqlite(), World::new().await);
    world.want_opened(20..22).await;
    let other = world.chain.address(6);
    // Somebody uses both keys, and a reorganisation takes that out again.
    for wallet in [world.chain.address(RELAYS), other] {
        let foreign = TransactionRequest::default().from(wallet).to(wallet).value(U256::ZERO);
        let sent = world.chain.provider().send_transaction(foreign).await.unwrap();
        sent.get_receipt().await.unwrap();
    }
    world.wire.cut(true);
    let moody = Moody::new(key(&world, RELAYS), |before| before > 0);
    let rounds = Rounds::new(&world, &db, vec![moody, Arc::new(key(&world, 6))]).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!(rounds.nonces().await, [1, 1]);
    world.chain.reorg(2).await;
    for _ in 0..3 {
        world.chain.mine(1).await;
        worker.round(&mut manager, &mut desk).await.unwrap();
    }
    let filled: Vec<(Address, u64)> = rounds
        .open()
        .await
        .iter()
        .filter(|attempt| attempt.kind == Kind::Fill)
        .map(|attempt| (attempt.signer, attempt.nonce))
        .collect();
    assert_eq!(filled, [(other, 0)]);
    assert!(worker.alarms.ready().unwrap_err().contains("the key is moody"));
}

#[tokio::test]
async fn what_is_over_meanwhile_does_not_hide_what_the_chain_took_back() {
    let (db, world) = (sqlite(), World::new().await);
    world.chain.mine(6).await;
    let old = world.another(2).await;
    world.call(5, call::open(&old).unwrap()).await;
    world.chain.mine(6).await;
    world.call(5, call::open(&world.terms).unwrap()).await;
    let at = world.chain.height().await;
    world.chain.mine(6).await;
    world.want_open();
    let rounds = Rounds::new(&world, &db, vec![Arc::new(key(&world, RELAYS))]).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!(rounds.states().await, [State::Done]);

    world.chain.reorg(world.chain.height().await - at + 1).await;
    // Somebody did this one long before: it could be over at once, as of a block of the new branch.
    world.peers.want([intent(2, "old", &old, IntentAction::OpenCase)]);
    rounds.crew.fetcher.once(&rounds.lease, Duration::ZERO).await.unwrap();
    for _ in 0..2 {
        world.chain.mine(1).await;
        worker.round(&mut manager, &mut desk).await.unwrap();
        assert_eq!(
            rounds.states().await,
            [State::Done, State::Waiting],
            "nothing is over while there is a doubt"
        );
    }
    world.chain.mine(1).await;
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_ne!(rounds.states().await[0], State::Done, "it is opened again");
    for _ in 0..8 {
        world.chain.mine(1).await;
        rounds.clock.pass_ms(60_000);
        worker.round(&mut manager, &mut desk).await.unwrap();
    }
    assert_eq!(rounds.states().await, [State::Done, State::Done]);
    assert_eq!((world.nonce().await, world.case(BlockNumberOrTag::Finalized).await.stage), (1, 1));
}

#[tokio::test]
async fn what_reverted_is_not_signed_anew_while_what_was_final_is_in_doubt() {
    let (db, world) = (sqlite(), World::new().await);
    world.chain.mine(6).await;
    let other = world.another(2).await;
    world.call(5, call::open(&world.terms).unwrap()).await;
    let at = world.chain.height().await;
    world.chain.mine(6).await;
    world.want_open();
    let rounds = Rounds::new(&world, &db, vec![Arc::new(key(&world, RELAYS))]).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    worker.round(&mut manager, &mut desk).await.unwrap();
    world.wire.cut(true);
    world.peers.want([intent(2, "other", &other, IntentAction::OpenCase)]);
    rounds.crew.fetcher.once(&rounds.lease, Duration::ZERO).await.unwrap();
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!(rounds.states().await, [State::Done, State::Attempted]);

    // What was final goes; on the new branch the dispute ends before the case of the other one is opened.
    world.chain.reorg(world.chain.height().await - at + 1).await;
    world.chain.refund(&other, 1_000).await;
    let raw = rounds.open().await[0].raw.clone();
    let sent = world.chain.provider().send_raw_transaction(&raw).await.unwrap();
    assert!(!sent.get_receipt().await.unwrap().status());
    world.chain.mine(4).await;
    for _ in 0..3 {
        worker.round(&mut manager, &mut desk).await.unwrap();
        assert_eq!(rounds.states().await[1], State::Attempted, "nothing is over while there is a doubt");
        world.chain.mine(1).await;
    }
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!(rounds.states().await[1], State::Waiting, "the chain is believed");
}

#[tokio::test]
async fn nothing_is_signed_in_somebodys_name_while_what_was_final_is_in_doubt() {
    let (db, world) = (sqlite(), World::funded().await);
    world.chain.mine(6).await;
    let at = world.chain.height().await;
    world.peers.want([quotas::release(&world, "ann", 1)]);
    let rounds = Rounds::new(&world, &db, vec![Arc::new(key(&world, RELAYS))]).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    for _ in 0..8 {
        worker.round(&mut manager, &mut desk).await.unwrap();
        world.chain.mine(1).await;
        rounds.clock.pass_ms(60_000);
    }
    assert_eq!(rounds.states().await, [State::Done]);

    world.chain.reorg(world.chain.height().await - at).await;
    world.peers.want([quotas::release(&world, "bob", 2)]);
    rounds.crew.fetcher.once(&rounds.lease, Duration::ZERO).await.unwrap();
    for _ in 0..2 {
        worker.round(&mut manager, &mut desk).await.unwrap();
        assert_eq!((rounds.states().await[1], rounds.open().await.len()), (State::Waiting, 0));
        assert_eq!(rounds.reason(2).await, "the chain seems to have taken back what was final");
        assert!(worker.alarms.notices().contains_key("doubt"));
        world.chain.mine(1).await;
        rounds.clock.pass_ms(60_000);
    }
    for _ in 0..10 {
        worker.round(&mut manager, &mut desk).await.unwrap();
        world.chain.mine(1).await;
        rounds.clock.pass_ms(60_000);
    }
    assert_eq!(rounds.states().await, [State::Done, State::Done]);
    assert!(!worker.alarms.notices().contains_key("doubt"));
}

#[tokio::test]
async fn an_account_that_is_over_a_quota_keeps_nobody_else_waiting_and_the_node_from_nothing() {
    let (db, world) = (sqlite(), World::funded().await);
    let release = |account: &str, seq: u64| {
        let act = PartyAct::Release { total: u128::from(seq) };
        let digest = act_digest(&world.terms, world.chain.account(1).address, &act).unwrap();
        let signed = vec![PartySignature {
            party: world.chain.account(1).address,
            signature: world.chain.sign(1, digest),
        }];
        let mut intent =
            intent(seq, &format!("{account}/{seq}"), &world.terms, IntentAction::Act { act, signed });
        intent.asked_by = Some(account.to_owned());
        intent
    };
    world.peers.want((1..=40).map(|seq| release("ann", seq)).chain((41..=43).map(|seq| release("zoe", seq))));
    world.automine(false).await;
    let quotas = Quotas { account_hour: 2, ..Quotas::default() };
    // A round has the time for all of them.
    let config = Config { quotas, poll_interval_ms: 60_000, ..world.config(&db) };
    let rounds = Rounds::by(config, vec![Arc::new(key(&world, RELAYS))]).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    worker.round(&mut manager, &mut desk).await.unwrap();
    let open: Vec<Option<i64>> = rounds.open().await.iter().map(|attempt| attempt.intent).collect();
    assert_eq!(open, [Some(1), Some(41), Some(2), Some(42)], "in turn");
    assert_eq!(world.wire.asked("eth_estimateGas"), 4, "of those over a quota none is tried");
    assert_eq!(rounds.reason(3).await, "over quota account_hour: 2 allowed");
    assert_eq!(rounds.reason(4).await, "", "one a round says it");

    // The next round begins with who had no turn.
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!(rounds.reason(4).await, "over quota account_hour: 2 allowed");
    assert_eq!((rounds.reason(5).await.as_str(), world.wire.asked("eth_estimateGas")), ("", 4));
}

#[tokio::test]
async fn what_is_under_way_is_watched_however_many_wait_and_the_oldest_of_each_account_are_looked_at() {
    for fresh in on_both().await {
        let db = Db::open(&fresh.url, SCHEMA).await.unwrap();
        let mut write = db.begin().await.unwrap();
        let accounts =
            [Some("ann"); 5].into_iter().chain([Some("bob"), None, None, None, Some("ann"), Some("bob")]);
        for (seq, account) in (1_u64..).zip(accounts) {
            let mut one = intent(seq, &format!("k{seq}"), &terms(), IntentAction::OpenCase);
            one.asked_by = account.map(str::to_owned);
            intents::receive(&mut write, &one, &Ok(()), 0).await.unwrap();
        }
        sqlx::query("UPDATE intent SET state = 'mined' WHERE id IN (9, 10)")
            .execute(write.on())
            .await
            .unwrap();
        sqlx::query("UPDATE intent SET state = 'quarantined' WHERE id IN (3, 11)")
            .execute(write.on())
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO attempt (hash, intent, kind, signer, nonce, raw, gas, max_fee, priority_fee, outcome, signed_ms, signed_block)
             VALUES ('h', 11, 'call', 's', 0, '', 0, '', '', 'open', 0, 0)",
        )
        .execute(write.on())
        .await
        .unwrap();
        write.commit().await.unwrap();
        let of = |account: &str, id| (account.to_owned(), id);
        let open = store::open(db.reader(), 3).await.unwrap();
        assert_eq!(open.under_way, [(9, false), (10, true), (11, true)]);
        assert_eq!((open.steps, open.beyond), (vec![7, 8], Beyond::InTurn));
        assert_eq!(open.asked, [of("ann", 1), of("bob", 6), of("ann", 2)]);
        let open = store::open(db.reader(), 6).await.unwrap();
        assert_eq!((open.asked.len(), open.beyond), (6, Beyond::Nothing));
        // Of two accounts one is not there, and of two steps one.
        assert_eq!(store::open(db.reader(), 1).await.unwrap().beyond, Beyond::Unseen);
        db.close().await;
    }
}

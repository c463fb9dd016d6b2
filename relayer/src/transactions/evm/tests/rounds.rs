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
    rpc::types::TransactionRequest,
    signers::local::PrivateKeySigner,
};
use service::db::{
    Db,
    testing::{FreshDb, sqlite},
};

use super::world::{RELAYS, World};
use crate::{
    lease::Lease,
    run::prepare,
    testing::{MovedClock, until},
    transactions::{
        Desk,
        evm::{
            self,
            chain::Chain,
            sign::Signer,
            store::{Attempt, Kind, open_attempts},
        },
        manager::Manager,
        worker::Worker,
    },
};

/// A key that fails sometimes, by how often it was asked before.
struct Moody {
    key: PrivateKeySigner,
    asked: AtomicUsize,
    fails: fn(usize) -> bool,
}

impl Moody {
    fn new(key: PrivateKeySigner, fails: fn(usize) -> bool) -> Arc<Self> {
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
struct Rounds {
    lease: Lease,
    db: Db,
    clock: Arc<MovedClock>,
    crew: crate::run::Crew,
}

impl Rounds {
    async fn new(world: &World, db: &FreshDb, signers: Vec<Signer>) -> Self {
        let (config, clock) = (world.config(db), Arc::new(MovedClock::default()));
        let (mut crew, status) = prepare(&config, clock.clone()).await.unwrap();
        let manager = evm::Manager::over(Chain::new(&config).unwrap(), signers, &config);
        crew.worker.manager = Manager::Evm(Box::new(manager));
        let lease = Lease::take(&status.db).await.unwrap().unwrap();
        crew.fetcher.once(&lease, Duration::ZERO).await.unwrap();
        Self { lease, db: status.db, clock, crew }
    }

    fn begin(&self) -> (&Worker, Manager, Desk<'_>) {
        let (manager, desk) = self.crew.worker.begin(&self.lease);
        (&self.crew.worker, manager, desk)
    }

    async fn open(&self) -> Vec<Attempt> {
        open_attempts(self.db.reader()).await.unwrap()
    }

    async fn nonces(&self) -> Vec<u64> {
        self.open().await.iter().map(|attempt| attempt.nonce).collect()
    }
}

fn key(world: &World, wallet: usize) -> PrivateKeySigner {
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
    // Twice as long as one call of a node may take.
    let round = tokio::time::timeout(Duration::from_secs(30), worker.round(&mut manager, &mut desk));
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
    assert_eq!((rounds.nonces().await, world.nonce().await), (vec![0, 1, 2, 3], 4));
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

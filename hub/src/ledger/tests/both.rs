//! The ledger on real databases, both of them.

use futures::future::join_all;
use proptest::{
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use service::db::{
    Db,
    testing::{FreshDb, on_both},
};
use sqlx::{AnyConnection, Row as _};

use super::{beside::beside, *};
use crate::{
    Error, SCHEMA,
    ledger::{store, verify},
    testing::seeds,
};

/// How many operations of a history happen at least; some four times as many are tried. Longer tests have more histories.
const OPERATIONS: usize = 1_250;

pub(super) struct Ground {
    pub db: Db,
    pub fresh: FreshDb,
}

impl Ground {
    pub(super) async fn on_both() -> Vec<Self> {
        let mut grounds = Vec::new();
        for fresh in on_both().await {
            println!("ledger on {:?}", fresh.engine);
            let db = Db::open(&fresh.url, SCHEMA).await.unwrap();
            let mut write = db.begin().await.unwrap();
            for (asset, rules) in assets() {
                store::put_asset(write.on(), asset, &rules, &record(0)).await.unwrap();
            }
            write.commit().await.unwrap();
            grounds.push(Self { db, fresh });
        }
        grounds
    }

    /// One batch in a transaction of its own; what is refused leaves nothing.
    pub(super) async fn post(&self, batch: &Batch, at: i64) -> Result<Posted, &'static str> {
        let mut write = self.db.begin().await.unwrap();
        let posted = refused(store::post(write.on(), batch, at).await)?;
        write.commit().await.unwrap();
        Ok(posted)
    }

    pub(super) async fn account(&self, key: Key) -> Account {
        let mut on = self.db.reader().acquire().await.unwrap();
        store::account(&mut on, &key).await.unwrap().unwrap()
    }

    pub(super) async fn verify(&self) -> verify::Verified {
        verify::tables(&mut self.db.reader().begin().await.unwrap()).await.unwrap()
    }

    async fn run(&self, sql: &'static str) {
        sqlx::query(sql).execute(self.db.reader()).await.unwrap();
    }
}

pub(super) fn refused(came: Result<Posted, Error>) -> Result<Posted, &'static str> {
    match came {
        Ok(posted) => Ok(posted),
        Err(Error::Refused(refusal)) => Err(refusal.rule),
        Err(error) => panic!("{error}"),
    }
}

/// Gives some accounts limits of their own, once they are there.
async fn limit(on: &mut AnyConnection) {
    for account in limited() {
        let sql = "INSERT INTO ledger_accounts (id, asset, holder, floor, ceiling, version, balance, earned, spent, held, incoming)
             VALUES ($1, $2, $3, $4, $5, 0, $6, $6, $6, $6, $6)";
        sqlx::query(sql)
            .bind(account.key.to_string())
            .bind(account.key.asset.to_string())
            .bind(account.key.holder.to_string())
            .bind(account.floor.map(store::amount_text))
            .bind(account.ceiling.map(store::amount_text))
            .bind(store::amount_text(0))
            .execute(&mut *on)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn random_histories_go_as_the_simple_ledger_says_on_both() {
    for seed in seeds(OPERATIONS) {
        for ground in Ground::on_both().await {
            let mut write = ground.db.begin().await.unwrap();
            limit(write.on()).await;
            write.commit().await.unwrap();
            let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
            let mut runner = TestRunner::new_with_rng(Config::default(), rng);
            let mut model = Model::new();
            let mut number = 0;
            while model.operations < OPERATIONS as u64 {
                let steps = steps().new_tree(&mut runner).unwrap().current();
                let batch = model.batch(number, &steps);
                let came = ground.post(&batch, model.now).await;
                let expected = model.play(&batch);
                assert_eq!(came.as_ref().ok().map(|posted| posted.new), expected, "{came:?} of {batch:?}");
                // Only what the batch is about can have changed; all of it is compared now and then.
                if number.is_multiple_of(500) {
                    stands(&ground, &model).await;
                }
                number += 1;
            }
            stands(&ground, &model).await;
            let found = ground.verify().await;
            assert_eq!((found.faults, found.operations), (0, model.operations), "{found:?}");
            println!("seed {seed}: {number} batches, {found:?}");
        }
    }
}

async fn stands(ground: &Ground, model: &Model) {
    for account in model.accounts() {
        assert_eq!(ground.account(account.key).await, account);
    }
    model.holds_together();
}

/// Many at once, each in a transaction of its own: on PostgreSQL without a writer's turn, so that only the locks of the
/// ledger keep them apart.
#[tokio::test]
async fn postings_at_once_lose_nothing_and_wait_for_one_another() {
    const AT_ONCE: u32 = 8;
    const EACH: u32 = 60;
    for ground in Ground::on_both().await {
        let one = async |task: u32| {
            let mut posted = 0_u64;
            for nth in 0..EACH {
                let number = 1_000 + task * EACH + nth;
                let (from, to) = ((task + nth) as usize % 5, (task * 3 + nth * 2 + 1) as usize % 5);
                let (from, to) = if from == to { (from, (to + 1) % 5) } else { (from, to) };
                let by = Authority::Account(person(from));
                let leg = |who, amount| Leg { account: hours(who), amount };
                // Back and forth in one batch, and a hold, so that locks are wanted in every order.
                let id = |part| OperationId { record: record(number), part };
                let (to_key, from_key) = (hours(to), hours(from));
                let legs = vec![leg(from, -70), leg(to, 70)];
                let operations = vec![
                    Operation::Transfer { id: id(0), purpose: Purpose::Exchange, legs },
                    Operation::Hold {
                        id: id(1),
                        purpose: Purpose::Exchange,
                        from: from_key,
                        to: to_key,
                        amount: 5,
                        expires_at: 100,
                    },
                    Operation::Capture { id: id(2), hold: id(1), amount: 5 },
                ];
                let batch = Batch { by, operations };
                match beside(&ground, &batch, 1).await {
                    Ok(_) => posted += 1,
                    Err(rule) => assert_eq!(rule, "below_floor"),
                }
            }
            posted
        };
        let posted: u64 = join_all((0..AT_ONCE).map(one)).await.into_iter().sum();
        let found = ground.verify().await;
        assert_eq!((found.faults, found.operations), (0, posted * 3), "{found:?}");
        assert!(posted > 100, "{posted}");
    }
}

/// One hold, and many who would end it in transactions of their own, on PostgreSQL without a writer's turn.
#[tokio::test]
async fn of_all_who_end_a_hold_at_once_one_does() {
    for ground in Ground::on_both().await {
        for round in 0..12 {
            let first = 1_000 * (round + 1);
            ground.post(&set_aside(first, 10, 1_000), 5).await.unwrap();
            let hold = OperationId::first(record(first));
            let one = async |nth: u32| {
                let id = OperationId::first(record(first + nth));
                let (by, operation) = if nth.is_multiple_of(4) {
                    (Authority::Account(person(1)), Operation::Release { id, hold })
                } else {
                    let amount = i128::from(nth);
                    (Authority::Account(person(0)), Operation::Capture { id, hold, amount })
                };
                beside(&ground, &Batch { by, operations: vec![operation] }, 6).await
            };
            let came = join_all((1..=8).map(one)).await;
            let ended = came.iter().filter(|one| one.is_ok()).count();
            assert!(
                ended == 1 && came.iter().all(|one| matches!(one, Ok(_) | Err("hold_ended"))),
                "{came:?}"
            );
        }
        let found = ground.verify().await;
        assert_eq!((found.faults, found.operations, found.holds), (0, 24, 12), "{found:?}");
    }
}

/// One transfer, and many who would undo it in transactions of their own, on PostgreSQL without a writer's turn.
#[tokio::test]
async fn of_all_who_reverse_a_transfer_at_once_one_does() {
    for ground in Ground::on_both().await {
        for round in 1..=12 {
            let first = 1_000 * round;
            ground.post(&pay(first, &[(hours(0), -10), (hours(1), 10)]), 5).await.unwrap();
            let one =
                async |nth: u32| beside(&ground, &give_back(first + nth, first, i128::from(nth)), 6).await;
            let came = join_all((1..=8).map(one)).await;
            let done = came.iter().filter(|one| one.is_ok()).count();
            assert!(done == 1 && came.iter().all(|one| matches!(one, Ok(_) | Err("reversed"))), "{came:?}");
        }
        let found = ground.verify().await;
        assert_eq!((found.faults, found.operations), (0, 24), "{found:?}");
    }
}

#[tokio::test]
async fn verify_finds_whatever_was_done_behind_its_back() {
    for ground in Ground::on_both().await {
        for number in 0..30 {
            ground.post(&pay(number, &[(hours(0), -10), (hours(1), 4), (hours(2), 6)]), 5).await.unwrap();
        }
        for number in 100..104 {
            ground.post(&set_aside(number, 7, 1_000), 5).await.unwrap();
        }
        let hold = OperationId::first(record(100));
        let capture = Operation::Capture { id: OperationId::first(record(200)), hold, amount: 7 };
        let by = Authority::Account(person(0));
        ground.post(&Batch { by, operations: vec![capture] }, 5).await.unwrap();
        ground.post(&give_back(300, 200, 3), 5).await.unwrap();
        let clean = ground.verify().await;
        assert_eq!(
            (clean.faults, clean.accounts, clean.entries, clean.operations, clean.holds),
            (0, 3, 94, 36, 4)
        );

        crate::testing::unlock(ground.fresh.engine, &mut ground.db.reader().acquire().await.unwrap()).await;
        let one = "+00000000000000000000000000000000000001";
        let zero = "+00000000000000000000000000000000000000";
        let first = "(SELECT MIN(account) FROM ledger_entries)";
        let with = |sql: &str| -> &'static str {
            let sql = sql.replace("{one}", one).replace("{zero}", zero).replace("{first}", first);
            Box::leak(sql.into_boxed_str())
        };
        for (harm, words) in [
            (
                "UPDATE ledger_entries SET balance = '{one}' WHERE version = 9 AND account = {first}",
                "entry 9",
            ),
            (
                "UPDATE ledger_entries SET amount = '{one}' WHERE version = 9 AND account = {first}",
                "must sum to 0",
            ),
            ("DELETE FROM ledger_entries WHERE version = 9 AND account = {first}", "entry 10"),
            ("DELETE FROM ledger_entries WHERE version >= 29", "its entries"),
            (
                "UPDATE ledger_entries SET amount = '+99999999999999999999999999999999999999' WHERE version = 9",
                "38 digits",
            ),
            ("UPDATE ledger_accounts SET balance = '{one}' WHERE id = {first}", "the balances sum to"),
            ("UPDATE ledger_accounts SET earned = '{one}' WHERE id = {first}", "its entries"),
            ("UPDATE ledger_accounts SET version = version + 1 WHERE id = {first}", "its entries"),
            ("UPDATE ledger_accounts SET held = '{one}' WHERE held <> '{zero}'", "its open holds sum to"),
            ("UPDATE ledger_accounts SET held = '{zero}'", "nothing set aside"),
            ("UPDATE ledger_accounts SET incoming = '{zero}'", "nothing coming"),
            ("UPDATE ledger_accounts SET held = '{one}' WHERE held = '{zero}'", "its open holds sum to"),
            ("DELETE FROM ledger_accounts WHERE id = {first}", "of no account"),
            (
                "DELETE FROM ledger_operations WHERE id = (SELECT MIN(operation) FROM ledger_entries)",
                "of no operation",
            ),
            ("DELETE FROM ledger_assets WHERE asset = 'time_credit'", "in no asset"),
            ("UPDATE ledger_holds SET captured = '{one}' WHERE state = 'open'", "captured"),
            ("UPDATE ledger_holds SET state = 'released' WHERE state = 'captured'", "released"),
            ("UPDATE ledger_holds SET state = 'expired' WHERE state = 'open'", "open holds sum to"),
            (
                "UPDATE ledger_holds SET captured = '{one}' WHERE state = 'captured'",
                "which ended it, entered",
            ),
            ("UPDATE ledger_holds SET ended_by = id WHERE state = 'captured'", "which ended it, entered"),
            ("UPDATE ledger_holds SET ended_by = id WHERE state = 'open'", "ended by"),
            ("UPDATE ledger_reversals SET amount = '{one}'", "gives back 1"),
            ("UPDATE ledger_reversals SET reversed = operation", "which moved {}"),
            ("DELETE FROM ledger_reversals", "nothing says what"),
            ("UPDATE ledger_reversals SET amount = 'some'", "`some` is not an amount"),
            // What cannot be read is told of, and the rest is read on.
            ("UPDATE ledger_accounts SET balance = 'a lot' WHERE id = {first}", "`a lot` is not an amount"),
            (
                "UPDATE ledger_entries SET amount = '' WHERE version = 9 AND account = {first}",
                "entry 9 cannot be read",
            ),
            (
                "UPDATE ledger_entries SET kind = 'gift' WHERE version = 9 AND account = {first}",
                "`gift` is unknown",
            ),
            (
                "UPDATE ledger_entries SET other = 'me' WHERE version = 9 AND account = {first}",
                "entry 9 cannot be read",
            ),
            ("UPDATE ledger_holds SET purpose = 'fun' WHERE state = 'captured'", "`fun` is unknown"),
            (
                "UPDATE ledger_assets SET rules = '{}' WHERE asset = 'time_credit'",
                "asset time_credit cannot be read",
            ),
            (
                "UPDATE ledger_operations SET id = 'x' WHERE id = (SELECT MIN(operation) FROM ledger_entries)",
                "operation x cannot",
            ),
        ] {
            // Undone afterwards: harm is done to copies of the tables.
            for table in crate::ledger::TABLES {
                ground.run(with(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}"))).await;
            }
            ground.run(with(harm)).await;
            let found = ground.verify().await;
            assert!(
                found.faults > 0 && found.told.iter().any(|told| told.contains(words)),
                "{harm}: {found:?}"
            );
            if harm.starts_with("UPDATE") {
                let seen = (found.accounts, found.operations, found.holds);
                assert_eq!(seen, (clean.accounts, clean.operations, clean.holds), "{harm}");
            }
            for table in crate::ledger::TABLES {
                ground.run(with(&format!("DELETE FROM {table}"))).await;
                ground.run(with(&format!("INSERT INTO {table} SELECT * FROM kept_{table}"))).await;
                ground.run(with(&format!("DROP TABLE kept_{table}"))).await;
            }
            assert_eq!(ground.verify().await, clean, "{harm}");
        }
    }
}

/// As many operations as a batch may have, and the largest amount that there is.
#[tokio::test]
async fn the_largest_batch_and_the_largest_amount_are_kept() {
    for ground in Ground::on_both().await {
        let operations = (0..64)
            .map(|part| Operation::Transfer {
                id: OperationId { record: record(1), part },
                purpose: Purpose::Exchange,
                legs: vec![Leg { account: hours(0), amount: -1 }, Leg { account: hours(1), amount: 1 }],
            })
            .collect();
        let batch = Batch { by: Authority::Account(person(0)), operations };
        assert!(ground.post(&batch, 7).await.unwrap().new);
        assert!(!ground.post(&batch, 8).await.unwrap().new);
        let last = sqlx::query(
            "SELECT amount, balance, at FROM ledger_entries WHERE version = 64 ORDER BY balance DESC LIMIT 1",
        )
        .fetch_one(ground.db.reader())
        .await
        .unwrap();
        let balance: String = last.try_get("balance").unwrap();
        assert_eq!(balance.len(), 39);
        assert_eq!(
            (store::amount(&last, "amount").unwrap().abs(), last.try_get::<i64, _>("at").unwrap()),
            (1, 7)
        );
        let (payer, payee) = (ground.account(hours(0)).await, ground.account(hours(1)).await);
        assert_eq!((payer.balance, payer.spent, payer.version), (-64, 64, 64));
        assert_eq!((payee.balance, payee.earned, payee.version), (64, 64, 64));
        // The largest amount there is survives the way to the database and back.
        let coins = |kind| Key { asset: coin(), kind, holder: Holder::Record(person(5)) };
        let legs = vec![
            Leg { account: coins(Kind::Mirror), amount: -AMOUNT_MAX },
            Leg { account: coins(Kind::Member), amount: AMOUNT_MAX },
        ];
        let mirror =
            Operation::Transfer { id: OperationId::first(record(2)), purpose: Purpose::Mirror, legs };
        ground.post(&Batch { by: Authority::Chain, operations: vec![mirror] }, 9).await.unwrap();
        assert_eq!(ground.account(coins(Kind::Mirror)).await.balance, -AMOUNT_MAX);
        assert_eq!(ground.account(coins(Kind::Member)).await.earned, AMOUNT_MAX);
    }
}

/// The chain does not ask whether it may: the door answers, and the transaction goes on.
#[tokio::test]
async fn what_cannot_be_counted_of_a_final_event_is_answered_and_leaves_no_entry() {
    for ground in Ground::on_both().await {
        let Asset::Chain(asset) = coin() else { panic!("{}: a coin of a chain", coin()) };
        let (deal, buyer) = (Key::mirror(coin(), person(5)), Key::member(coin(), person(6)));
        let mut booked = 0;
        // Too much for any amount, the most there is, and one more than that.
        for (number, amount, fits) in [(1, AMOUNT_MAX + 1, false), (2, AMOUNT_MAX, true), (3, 1, false)] {
            let transfers =
                vec![vec![Leg { account: deal, amount: -amount }, Leg { account: buyer, amount }]];
            let mut write = ground.db.begin().await.unwrap();
            let came =
                crate::ledger::mirrored(write.on(), record(number), asset, transfers, 9).await.unwrap();
            write.commit().await.unwrap();
            assert_eq!(came.is_ok(), fits, "{amount}: {came:?}");
            booked += i64::from(fits);
            let account =
                store::account(&mut ground.db.reader().acquire().await.unwrap(), &deal).await.unwrap();
            assert_eq!(account.map_or(0, |account| account.version), booked, "{amount}");
            let found = ground.verify().await;
            assert_eq!((found.faults, &found.told), (0, &vec![]));
        }
    }
}

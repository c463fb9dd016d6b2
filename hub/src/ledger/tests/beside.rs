//! Batches in transactions of their own, beside one another: what they find of each other, and what they open.

use futures::future::{join, join_all};
use service::db::Engine;

use super::{
    both::{Ground, refused},
    *,
};
use crate::ledger::store;

/// Posts a batch in a transaction of its own, on PostgreSQL without a writer's turn.
pub(super) async fn beside(ground: &Ground, batch: &Batch, at: i64) -> Result<Posted, &'static str> {
    if ground.fresh.engine == Engine::Sqlite {
        return ground.post(batch, at).await;
    }
    let mut transaction = ground.db.reader().begin().await.unwrap();
    let posted = refused(store::post(&mut transaction, batch, at).await)?;
    transaction.commit().await.unwrap();
    Ok(posted)
}

/// The same batch by many at once: whoever waited for the others is told that it is known, though nothing is left to take; and
/// whoever says something else under that name is told so. The accounts are there before, or are opened by it.
#[tokio::test]
async fn of_all_who_post_the_same_at_once_one_does_and_the_others_know() {
    for ground in Ground::on_both().await {
        for round in 0..12_u32 {
            let who = |number: u32| 10 * round as usize + number as usize + 10;
            let signed = |number: u32, whom: u32, amount: i128| Batch {
                by: Authority::Account(person(who(0))),
                ..pay(10 * round + number, &[(hours(who(0)), -amount), (hours(who(whom)), amount)])
            };
            if round.is_multiple_of(2) {
                ground.post(&signed(0, 1, 1), 5).await.unwrap();
                ground.post(&signed(1, 2, 1), 5).await.unwrap();
            }
            // Nearly all that the payer may owe, so that there is nothing left for a second one.
            let (batch, other) = (signed(2, 1, 497), signed(2, 2, 497));
            let came = join_all((0..8).map(|_| beside(&ground, &batch, 6))).await;
            let new = came.iter().filter(|one| one.as_ref().is_ok_and(|posted| posted.new)).count();
            assert!(new == 1 && came.iter().all(Result::is_ok), "{came:?}");
            let (known, others) = join(beside(&ground, &batch, 6), beside(&ground, &other, 6)).await;
            assert_eq!((known.map(|posted| posted.new), others), (Ok(false), Err("other_content")));
            let (batch, other) = (signed(3, 1, 1), signed(3, 2, 1));
            let came =
                join_all((0..8).map(|nth| beside(&ground, if nth < 4 { &batch } else { &other }, 7))).await;
            let new = came.iter().filter(|one| one.as_ref().is_ok_and(|posted| posted.new)).count();
            let refused = came.iter().filter(|one| **one == Err("other_content")).count();
            assert_eq!((new, refused), (1, 4), "{came:?}");
        }
        let found = ground.verify().await;
        assert_eq!((found.faults, found.operations), (0, 36), "{found:?}");
    }
}

/// Many new accounts at once, each of them wanted by two, in either direction.
#[tokio::test]
async fn accounts_that_two_open_at_once_are_opened_once() {
    for ground in Ground::on_both().await {
        for round in 0..12_usize {
            let between = |nth: usize| {
                let (one, other) = (10 + round * 8 + nth, 10 + round * 8 + (nth + 1) % 8);
                let by = Authority::Account(person(one));
                let number = u32::try_from(round * 8 + nth).unwrap();
                Batch { by, ..pay(number, &[(hours(one), -5), (hours(other), 5)]) }
            };
            let batches: Vec<Batch> = (0..8).map(between).collect();
            let came = join_all(batches.iter().map(|batch| beside(&ground, batch, 5))).await;
            assert!(came.iter().all(Result::is_ok), "{came:?}");
        }
        let found = ground.verify().await;
        assert_eq!((found.faults, found.operations, found.accounts), (0, 96, 96), "{found:?}");
    }
}

/// What is refused has opened no account where the database is locked as a whole.
#[tokio::test]
async fn accounts_are_opened_by_what_is_posted() {
    for ground in Ground::on_both().await {
        let (payer, payee) = (hours(10), hours(11));
        let mut write = ground.db.begin().await.unwrap();
        let batch = |amount: i128| Batch {
            by: Authority::Account(person(10)),
            ..pay(1, &[(payer, -amount), (payee, amount)])
        };
        assert_eq!(refused(store::post(write.on(), &batch(501), 5).await), Err("below_floor"));
        if ground.fresh.engine == Engine::Sqlite {
            assert_eq!(store::account(write.on(), &payee).await.unwrap(), None);
        }
        assert!(store::post(write.on(), &batch(500), 5).await.unwrap().new);
        write.commit().await.unwrap();
        assert_eq!(
            ground.account(payee).await,
            Account { version: 1, balance: 500, earned: 500, ..Account::empty(payee) }
        );
        let found = ground.verify().await;
        assert_eq!((found.faults, found.accounts, found.entries), (0, 2, 2), "{found:?}");
    }
}

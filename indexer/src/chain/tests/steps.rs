//! Steps of many events, and steps that do not come to their end.

use super::*;

#[tokio::test]
async fn thousands_of_events_are_one_step_and_told_once_where_they_are_final() {
    for fresh in on_both().await {
        let book = Book::open(&fresh).await;
        // The last block is not final yet.
        let step = Step { headers: vec![made::block(349), made::block(350)], ..book.step(0, 350, 349) };
        assert!(step.events.len() == 3_500 && 3_500 > 3 * ROWS_MAX, "more than a few statements");
        assert_eq!(book.commit(&step).await.unwrap(), 3_500);
        let entries = book.entries().await;
        assert_eq!(entries.len(), 3_500);
        for (at, (entry, told)) in entries.iter().zip(&step.events).enumerate() {
            let finality = if at < 3_490 { Finality::Final } else { Finality::Seen };
            assert_eq!((entry.finality, &entry.event), (finality, &told.event), "{:?}", fresh.engine);
        }
        let states = sqlx::query("SELECT subject FROM states").fetch_all(book.db.reader()).await.unwrap();
        assert_eq!(states.len(), 3_500_usize.div_ceil(320) * 32, "32 deals at a time, of ten events each");
        book.agrees().await;
    }
}

#[tokio::test]
async fn a_step_that_is_cut_short_leaves_nothing_and_one_that_fails_neither() {
    for fresh in on_both().await {
        let book = Book::open(&fresh).await;
        book.commit(&book.step(0, 10, 5)).await.unwrap();
        let derived = book.derived().await;
        // The last of its events is there already.
        let mut twice = book.step(10, 130, 90);
        twice.events.push(made::events(book.escrow, 1..2).remove(0));
        book.commit(&twice).await.expect_err("an event twice");
        assert_eq!((book.tally().await, book.derived().await), ([10, 100, 100, 100], derived.clone()));
        let step = book.step(10, 130, 90);
        let mut polls = 1;
        while cut_short(book.commit(&step), polls).await.is_none() {
            polls += polls / 2 + 1;
            let tally = book.tally().await;
            // Cut while it was committed it may have come to its end all the same.
            if tally[0] != 10 {
                break;
            }
            assert_eq!(
                (tally, book.derived().await),
                ([10, 100, 100, 100], derived.clone()),
                "{polls} polls"
            );
        }
        assert!(polls > 10, "it came to its end in {polls} polls");
        // What was final by then was told before, and is told as final now.
        assert_eq!(book.tally().await, [130, 1_350, 1_300, 1_300], "{:?}", fresh.engine);
        book.agrees().await;
    }
}

/// dipdup#1320: a reorganisation is decided against what is in the database while newer messages wait to be written. Here
/// every step names the tip that it was planned for, and is refused whole where that is another one by now.
#[tokio::test]
async fn a_step_that_was_planned_for_another_tip_is_refused_whole() {
    for fresh in on_both().await {
        let book = Book::open(&fresh).await;
        book.commit(&book.step(0, 4, 0)).await.unwrap();
        let (next, back) = (book.step(4, 6, 0), book.back(4, 2));
        book.commit(&next).await.unwrap();
        let (tally, entries) = (book.tally().await, book.entries().await);
        // Both were planned when block 4 was the tip; a fork at a block above the final one is no exception.
        for late in [&back, &next] {
            let refused = book.commit(late).await;
            assert!(matches!(refused, Err(crate::Error::Raced)), "{refused:?}");
        }
        assert_eq!((book.tally().await, book.entries().await), (tally, entries), "{:?}", fresh.engine);
        book.commit(&book.back(6, 2)).await.unwrap();
        assert_eq!(verified(&book.config).await.differences, Vec::<String>::new());
    }
}

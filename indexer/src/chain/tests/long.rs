//! Deals with more events than a page of them.

use protocol::wire::feed::ChainEvent;

use super::*;
use crate::{
    chain::reconcile::as_of,
    feed::store::{Canonical, PAGE_MAX},
    states::model::{State, fold},
};

/// Events of the long deal in a block: the ends of pages lie within blocks.
const A_BLOCK: u64 = 270;
const BLOCKS: u64 = 10;

/// A book with one deal of more than two pages of events, among others; and these events.
async fn with_a_long_deal(fresh: &FreshDb) -> (Book, Subject, Vec<ChainEvent>) {
    let book = Book::open(fresh).await;
    let mut step = book.step(0, BLOCKS, BLOCKS);
    let long = made::evidence(book.escrow, 1..BLOCKS + 1, A_BLOCK);
    step.events.extend(long.iter().cloned());
    step.events.sort_by_key(|one| (one.event.block_number, one.event.log_index));
    book.commit(&step).await.unwrap();
    let events: Vec<_> = long.into_iter().map(|one| one.event).collect();
    assert!(events.len() > 2 * usize::from(PAGE_MAX));
    let subject = subject_of(&events[0]);
    (book, subject, events)
}

fn at_once<'a>(events: impl IntoIterator<Item = &'a ChainEvent>) -> Option<State> {
    events.into_iter().fold(None, |state, event| fold(state, event).0)
}

#[tokio::test]
async fn a_deal_of_many_events_adds_up_page_by_page_to_what_it_does_at_once() {
    for fresh in on_both().await {
        let (book, subject, events) = with_a_long_deal(&fresh).await;
        // The step folded them as they came.
        let before = book.derived().await;
        book.agrees().await;
        let mut write = book.db.begin().await.unwrap();
        refold(write.on(), book.chain, &[subject], 3).await.unwrap();
        write.commit().await.unwrap();
        assert_eq!(book.derived().await, before, "{:?}", fresh.engine);
        assert_eq!(gaps(&book).await, Vec::<String>::new());
        {
            let mut reader = book.db.reader().acquire().await.unwrap();
            for block in 0..=BLOCKS {
                let told = events.iter().filter(|event| event.block_number <= block);
                let state = as_of(&mut reader, &subject.to_string(), block).await.unwrap();
                assert_eq!(state, at_once(told), "up to block {block} on {:?}", fresh.engine);
            }
        }
        // And what is wrong with the last of them is noticed.
        book.alter("UPDATE states SET newest = newest - 1 WHERE newest = (SELECT MAX(newest) FROM states)")
            .await;
        let differences = verified(&book.config).await.differences;
        assert!(matches!(&differences[..], [one] if one.contains(&subject.to_string())), "{differences:?}");
    }
}

#[tokio::test]
async fn a_page_holds_no_more_than_it_may_and_nothing_of_others() {
    for fresh in on_both().await {
        let (book, subject, events) = with_a_long_deal(&fresh).await;
        for others in [false, true] {
            if others {
                let mut write = book.db.begin().await.unwrap();
                let all = "UPDATE events SET subject = $1";
                sqlx::query(all).bind(subject.key()).execute(write.on()).await.unwrap();
                write.commit().await.unwrap();
            }
            let mut reader = book.db.reader().acquire().await.unwrap();
            let (mut pages, mut read) = (Canonical::of(subject), Vec::new());
            while let Some(page) = pages.page(&mut reader).await.unwrap() {
                assert!(page.len() <= usize::from(PAGE_MAX), "{} on {:?}", page.len(), fresh.engine);
                read.extend(page.into_iter().map(|(_, event)| event));
            }
            assert!(read == events, "{} of {} on {:?}", read.len(), events.len(), fresh.engine);
        }
    }
}

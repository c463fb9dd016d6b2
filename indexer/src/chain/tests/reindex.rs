//! Events and states told anew from the logs.

use super::*;

#[tokio::test]
async fn a_reindex_restores_what_the_logs_say() {
    for fresh in on_both().await {
        let (book, _) = with_a_gap(&fresh).await;
        let (before, entries, missing) = (book.derived().await, book.entries().await, gaps(&book).await);
        assert_eq!(missing.len(), 1);
        book.alter("UPDATE events SET subject = number").await;
        book.alter("DELETE FROM states WHERE newest < 500").await;
        book.alter("UPDATE faults SET cleared_at = 5").await;
        assert_ne!(book.derived().await, before);
        let mut seen = Vec::new();
        let done = crate::reindex(&book.config, &SystemClock, |at| seen.push(at)).await.unwrap();
        assert_eq!(book.derived().await, before, "{:?}", fresh.engine);
        assert_eq!(gaps(&book).await, missing);
        assert_eq!(book.entries().await, entries);
        assert_eq!(usize::try_from(done.events + done.states).unwrap(), before.len());
        let last = seen.last().unwrap();
        assert_eq!((last.done, last.total), (done.events, done.events));
        book.agrees().await;
    }
}

#[tokio::test]
async fn a_reindex_that_is_cut_short_changes_nothing() {
    for fresh in on_both().await {
        let (book, _) = with_a_gap(&fresh).await;
        book.alter("UPDATE states SET state = replace(state, '\"complete\":true', '\"complete\":false')")
            .await;
        let before = book.derived().await;
        let mut polls = 1;
        while cut_short(crate::reindex(&book.config, &SystemClock, |_| {}), polls).await.is_none() {
            polls += polls / 2 + 1;
            drop(book.db.begin().await.unwrap());
            let now = book.derived().await;
            // Cut while it was committed it may have come to its end all the same.
            if now.len() == before.len() && now != before {
                break;
            }
            assert!(now == before, "{polls} polls on {:?}", fresh.engine);
        }
        assert!(polls > 20, "it came to its end in {polls} polls");
        assert_ne!(book.derived().await, before);
        book.agrees().await;
        // And the chain goes on.
        book.commit(&book.step(145, 160, 145)).await.unwrap();
        book.agrees().await;
    }
}

#[tokio::test]
async fn a_reindex_holds_no_more_bytes_than_it_may() {
    for fresh in on_both().await {
        let (book, _) = with_a_gap(&fresh).await;
        let before = book.derived().await;
        book.alter("DELETE FROM states").await;
        let sizes = "SELECT CAST(LENGTH(data) AS BIGINT) AS bytes FROM logs ORDER BY canonical DESC, block_number, log_index";
        let rows = sqlx::query(sizes).fetch_all(book.db.reader()).await.unwrap();
        let sizes: Vec<u64> = rows.iter().map(|row| row.get::<i64, _>("bytes").try_into().unwrap()).collect();
        let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
        let allowed = 3 * most - 1;
        assert!(3 * least < allowed, "{least} and {most}");
        let mut ends = vec![0];
        let ended = |at: crate::Progress| ends.push(usize::try_from(at.done).unwrap());
        crate::reindex::in_pages(&book.config, &SystemClock, allowed, ended).await.unwrap();
        let pages: Vec<&[u64]> = ends.windows(2).map(|page| &sizes[page[0]..page[1]]).collect();
        assert!(pages.iter().all(|page| page.iter().sum::<u64>() <= allowed), "{:?}", fresh.engine);
        assert!(pages.iter().any(|page| page.len() > 2), "as many as fit");
        assert_eq!((pages.concat().len(), book.derived().await), (sizes.len(), before));
    }
}

#[tokio::test]
async fn a_damaged_log_ends_a_reindex_by_its_number() {
    for fresh in on_both().await {
        let (book, _) = with_a_gap(&fresh).await;
        for (number, damage, words) in [
            (700, "UPDATE logs SET log_index = -7 WHERE number = 700", "log_index holds `-7`"),
            (600, "UPDATE logs SET block_hash = topics WHERE number = 600", "block_hash holds `0x"),
        ] {
            book.alter(damage).await;
            let before = book.derived().await;
            let refused = crate::reindex(&book.config, &SystemClock, |_| {}).await.unwrap_err().to_string();
            let named = format!("log {number} cannot be decoded: ");
            assert!(refused.starts_with(&named) && refused.contains(words), "{:?}: {refused}", fresh.engine);
            assert_eq!(book.derived().await, before);
        }
    }
}

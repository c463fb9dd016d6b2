use std::{collections::BTreeSet, sync::Arc};

use alloy::primitives::{Address, B256};
use axum::http::StatusCode;
use proptest::prelude::*;
use protocol::{
    chain::{AccountId, TransactionId},
    wire::feed::{EventBody, FeedEntry},
};
use service::db::testing::on_both;

use super::model::{BYTES_MAX, ENTRIES_MAX, lane, part, portions, retry_ms, through};
use crate::{
    config::Config,
    testing::{MovedClock, Peers, Running, config, entry, until},
};

/// No node answers there; the bridge needs none.
const NO_NODE: &str = "http://127.0.0.1:9";
const SIGNER: &str = "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6";

fn seqs(entries: &[FeedEntry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.seq).collect()
}

async fn delivered(peers: &Peers, count: usize) -> Vec<u64> {
    until(&format!("{count} entries are delivered, has {}", peers.taken().len()), || async {
        let taken = peers.taken();
        (taken.len() >= count).then(|| seqs(&taken))
    })
    .await
}

async fn cursor_at(relayer: &Running, seq: u64) {
    until("the cursor moves", || async {
        let (_, status) = relayer.get("/status").await;
        (status["feed"]["cursor"].as_str()?.parse() == Ok(seq)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_entry_arrives_once_in_order_across_a_restart() {
    for db in on_both().await {
        let peers = Peers::start().await;
        peers.tell((1..=230).map(|seq| entry(seq, (seq % 7) as u8)));
        let config = config(&db.url, &peers, NO_NODE, SIGNER);
        let relayer = Running::start(config.clone(), Arc::default()).await;
        assert_eq!(delivered(&peers, 230).await, (1..=230).collect::<Vec<_>>(), "{:?}", db.engine);
        cursor_at(&relayer, 230).await;
        relayer.stop().await;
        peers.tell((231..=240).map(|seq| entry(seq, 1)));
        let relayer = Running::start(config, Arc::default()).await;
        assert_eq!(delivered(&peers, 240).await, (1..=240).collect::<Vec<_>>(), "{:?}", db.engine);
        cursor_at(&relayer, 240).await;
        assert_eq!(peers.repeated(), 0, "{:?}", db.engine);
        assert_eq!(relayer.get("/status").await.1["feed"]["refused_entries"], 0);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn what_is_counted_before_anybody_asks_for_metrics_is_in_them() {
    let (db, peers) = (service::db::testing::sqlite(), Peers::start().await);
    peers.tell([entry(1, 1)]);
    let relayer = Running::start(config(&db.url, &peers, NO_NODE, SIGNER), Arc::default()).await;
    cursor_at(&relayer, 1).await;
    let (_, metrics) = relayer.get("/metrics").await;
    assert!(metrics.as_str().unwrap().contains("relayer_entries_delivered_total"), "{metrics}");
    relayer.stop().await;
}

#[tokio::test]
async fn a_feed_of_solana_is_delivered_as_any_other() {
    let db = service::db::testing::sqlite();
    let peers = Peers::start().await;
    let chain = protocol::solana::chain().unwrap();
    let program = protocol::solana::from_key(&protocol::solana::program());
    let entries: Vec<_> = (1..=9_u8)
        .map(|seq| {
            let mut entry = entry(seq.into(), seq % 3);
            entry.event.contract = AccountId { chain, address: program };
            entry.event.transaction = TransactionId::Solana([seq; 64]);
            entry.event.log_index = 2 << 16 | u64::from(seq);
            entry
        })
        .collect();
    peers.tell(entries.clone());
    let config = Config { chain, ..config(&db.url, &peers, NO_NODE, SIGNER) };
    let relayer = Running::start(config, Arc::default()).await;
    delivered(&peers, 9).await;
    assert_eq!(peers.taken(), entries);
    cursor_at(&relayer, 9).await;
    relayer.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_means_delivering_again() {
    for db in on_both().await {
        let peers = Peers::start().await;
        peers.lose_answers(2);
        peers.tell([entry(1, 1), entry(2, 1)]);
        let relayer = Running::start(config(&db.url, &peers, NO_NODE, SIGNER), Arc::default()).await;
        cursor_at(&relayer, 2).await;
        assert_eq!(seqs(&peers.taken()), [1, 2], "{:?}", db.engine);
        assert_eq!(peers.repeated(), 4, "{:?}", db.engine);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_hub_that_is_away_is_said_and_waited_for() {
    for db in on_both().await {
        let peers = Peers::start().await;
        peers.go_away(true);
        peers.tell([entry(1, 1)]);
        let relayer = Running::start(config(&db.url, &peers, NO_NODE, SIGNER), Arc::default()).await;
        relayer.not_ready("bridge: hub does not answer: 502").await;
        let (_, status) = relayer.get("/status").await;
        assert_eq!(status["feed"]["cursor"], "0");
        until("the lag grows", || async {
            (relayer.get("/status").await.1["feed"]["lag_ms"].as_i64()? > 0).then_some(())
        })
        .await;
        peers.go_away(false);
        assert_eq!(delivered(&peers, 1).await, [1], "{:?}", db.engine);
        cursor_at(&relayer, 1).await;
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_wrong_key_is_said_and_nothing_is_lost() {
    let db = service::db::testing::sqlite();
    let peers = Peers::start().await;
    peers.tell([entry(1, 1)]);
    let mut config = config(&db.url, &peers, NO_NODE, SIGNER);
    config.hub_key = "wrong".to_owned().into();
    let relayer = Running::start(config.clone(), Arc::default()).await;
    relayer.not_ready("bridge: hub refuses this relayer: 401").await;
    assert_eq!(relayer.get("/status").await.1["feed"]["refused_entries"], 0);
    relayer.stop().await;
    config.hub_key = crate::testing::KEY.to_owned().into();
    let relayer = Running::start(config, Arc::default()).await;
    assert_eq!(delivered(&peers, 1).await, [1]);
    relayer.stop().await;
}

#[tokio::test]
async fn a_refused_entry_holds_its_own_deal_only_and_is_offered_again() {
    for db in on_both().await {
        let peers = Peers::start().await;
        let clock: Arc<MovedClock> = Arc::default();
        peers.refuse(entry(2, 9).event.id);
        peers.tell([entry(1, 1), entry(2, 9), entry(3, 1), entry(4, 9)]);
        let config = config(&db.url, &peers, NO_NODE, SIGNER);
        let relayer = Running::start(config, clock.clone()).await;
        cursor_at(&relayer, 4).await;
        peers.tell([entry(5, 9), entry(6, 2)]);
        cursor_at(&relayer, 6).await;
        assert_eq!(seqs(&peers.taken()), [1, 3, 6], "{:?}", db.engine);
        let because = relayer.not_ready("the hub refuses entry 2 of the feed").await;
        assert!(because.contains("entry 2 is refused") && because.contains("3 entries wait"), "{because}");
        assert_eq!(relayer.get("/status").await.1["feed"]["refused_entries"], 3);
        peers.accept_all();
        clock.pass_ms(10_000);
        peers.tell([entry(7, 2)]);
        let taken = delivered(&peers, 7).await;
        let deal = |wanted: u8| {
            let lane_of = lane(&entry(1, wanted));
            seqs(&peers.taken().into_iter().filter(|e| lane(e) == lane_of).collect::<Vec<_>>())
        };
        assert_eq!((deal(9), deal(1), deal(2)), (vec![2, 4, 5], vec![1, 3], vec![6, 7]), "{taken:?}");
        until("the alarm is over", || async {
            let (_, status) = relayer.get("/status").await;
            (status["alarms"]["refused entries"].is_null() && status["feed"]["refused_entries"] == 0)
                .then_some(())
        })
        .await;
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_feed_begun_anew_is_said_and_delivered_from_the_start() {
    for db in on_both().await {
        let peers = Peers::start().await;
        peers.tell((1..=5).map(|seq| entry(seq, 1)));
        let config = config(&db.url, &peers, NO_NODE, SIGNER);
        let relayer = Running::start(config.clone(), Arc::default()).await;
        cursor_at(&relayer, 5).await;
        relayer.stop().await;
        // Shorter than the cursor, with an event that was never delivered.
        peers.begin_feed_anew([entry(1, 1), entry(2, 7)]);
        let relayer = Running::start(config, Arc::default()).await;
        cursor_at(&relayer, 2).await;
        assert_eq!(peers.taken().len(), 6, "{:?}", db.engine);
        assert_eq!(peers.repeated(), 1, "{:?}", db.engine);
        assert_eq!(relayer.get("/status").await.1["feed"]["restarts"], 1);
        relayer.stop().await;
    }
}

/// The last entries follow at once upon the others, and no more is said to the hub of how far the feed was brought.
#[tokio::test]
async fn a_hub_that_lost_its_last_moment_is_brought_that_again() {
    for db in on_both().await {
        let peers = Peers::start().await;
        let clock: Arc<MovedClock> = Arc::default();
        peers.tell((1..=5).map(|seq| entry(seq, 1)));
        let relayer = Running::start(config(&db.url, &peers, NO_NODE, SIGNER), clock.clone()).await;
        cursor_at(&relayer, 5).await;
        peers.tell((6..=10).map(|seq| entry(seq, 2)));
        cursor_at(&relayer, 10).await;
        peers.put_hub_back(5);
        clock.pass_ms(40_000);
        peers.tell([entry(11, 3)]);
        assert_eq!(delivered(&peers, 11).await, (1..=11).collect::<Vec<_>>(), "{:?}", db.engine);
        assert_eq!(peers.repeated(), 0, "{:?}", db.engine);
        relayer.stop().await;
    }
}

/// The entry that is refused lets the bridge look every moment; offered again, which so short a step back puts off, it would tell
/// the same.
#[tokio::test]
async fn a_hub_is_asked_what_it_has_when_the_clock_is_set_back() {
    for db in on_both().await {
        let peers = Peers::start().await;
        let clock: Arc<MovedClock> = Arc::default();
        peers.refuse(entry(4, 9).event.id);
        peers.tell((1..=5).map(|seq| entry(seq, if seq == 4 { 9 } else { 1 })));
        let relayer = Running::start(config(&db.url, &peers, NO_NODE, SIGNER), clock.clone()).await;
        cursor_at(&relayer, 5).await;
        assert_eq!(seqs(&peers.taken()), [1, 2, 3, 5], "{:?}", db.engine);
        peers.put_hub_back(2);
        clock.pass_ms(-200_000);
        assert_eq!(delivered(&peers, 4).await, [1, 2, 3, 5], "{:?}", db.engine);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_refused_entry_is_offered_again_when_the_clock_is_set_back() {
    for db in on_both().await {
        let peers = Peers::start().await;
        let clock: Arc<MovedClock> = Arc::default();
        peers.refuse(entry(2, 9).event.id);
        peers.tell([entry(1, 1), entry(2, 9), entry(3, 9)]);
        let relayer = Running::start(config(&db.url, &peers, NO_NODE, SIGNER), clock.clone()).await;
        cursor_at(&relayer, 3).await;
        relayer.not_ready("the hub refuses entry 2 of the feed").await;
        clock.pass_ms(-3_600_000);
        peers.accept_all();
        assert_eq!(delivered(&peers, 3).await, [1, 2, 3], "{:?}", db.engine);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_hub_put_back_while_an_entry_waits_is_brought_all_that_it_lacks() {
    for db in on_both().await {
        let peers = Peers::start().await;
        let clock: Arc<MovedClock> = Arc::default();
        peers.refuse(entry(2, 9).event.id);
        peers.tell([entry(1, 1), entry(2, 9), entry(3, 1)]);
        let relayer = Running::start(config(&db.url, &peers, NO_NODE, SIGNER), clock.clone()).await;
        cursor_at(&relayer, 3).await;
        for seq in 4..=8 {
            peers.tell([entry(seq, 2)]);
            cursor_at(&relayer, seq).await;
        }
        assert_eq!(delivered(&peers, 7).await, [1, 3, 4, 5, 6, 7, 8], "{:?}", db.engine);
        peers.put_hub_back(4);
        clock.pass_ms(40_000);
        peers.tell([entry(9, 2)]);
        delivered(&peers, 8).await;
        let taken: BTreeSet<u64> = seqs(&peers.taken()).into_iter().collect();
        assert_eq!(taken, BTreeSet::from([1, 3, 4, 5, 6, 7, 8, 9]), "{:?}", db.engine);
        // What was taken at last is lost with its hub's database as well.
        peers.accept_all();
        clock.pass_ms(400_000);
        peers.tell([entry(10, 9)]);
        delivered(&peers, 10).await;
        cursor_at(&relayer, 10).await;
        peers.put_hub_back(8);
        clock.pass_ms(40_000);
        peers.tell([entry(11, 1)]);
        delivered(&peers, 11).await;
        let taken: BTreeSet<u64> = seqs(&peers.taken()).into_iter().collect();
        assert_eq!(taken, (1..=11).collect(), "{:?}", db.engine);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_hub_that_cannot_say_what_it_has_is_brought_everything() {
    let db = service::db::testing::sqlite();
    let peers = Peers::start().await;
    peers.make_hub_old(true);
    peers.tell((1..=150).map(|seq| entry(seq, (seq % 7) as u8)));
    let relayer = Running::start(config(&db.url, &peers, NO_NODE, SIGNER), Arc::default()).await;
    assert_eq!(delivered(&peers, 150).await, (1..=150).collect::<Vec<_>>());
    cursor_at(&relayer, 150).await;
    assert_eq!(relayer.get("/status").await.1["feed"]["refused_entries"], 0);
    relayer.stop().await;
}

/// A feed that grew past the cursor is another one all the same, and what something before the indexer refuses is none.
#[tokio::test]
async fn a_feed_is_begun_anew_by_the_indexers_word_alone() {
    for db in on_both().await {
        let peers = Peers::start().await;
        peers.tell((1..=5).map(|seq| entry(seq, 1)));
        let relayer = Running::start(config(&db.url, &peers, NO_NODE, SIGNER), Arc::default()).await;
        cursor_at(&relayer, 5).await;
        for status in [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNPROCESSABLE_ENTITY, StatusCode::CONFLICT]
        {
            peers.refuse_feed(Some(status));
            if status == StatusCode::PAYLOAD_TOO_LARGE {
                // Answers the poll that waits.
                peers.tell([entry(6, 1)]);
            }
            relayer.not_ready(&format!("bridge: indexer refuses: {}", status.as_u16())).await;
        }
        let (_, status) = relayer.get("/status").await;
        assert_eq!((&status["feed"]["restarts"], &status["feed"]["cursor"]), (&0.into(), &"6".into()));
        peers.begin_feed_anew((1..=9).map(|seq| entry(seq, 3)));
        peers.refuse_feed(None);
        cursor_at(&relayer, 9).await;
        assert_eq!(peers.taken().len(), 15, "{:?}", db.engine);
        assert_eq!(relayer.get("/status").await.1["feed"]["restarts"], 1);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn what_a_hub_took_while_it_did_not_count_is_brought_once_more_when_it_does() {
    for db in on_both().await {
        let peers = Peers::start().await;
        let clock: Arc<MovedClock> = Arc::default();
        peers.tell([entry(1, 1)]);
        let relayer = Running::start(config(&db.url, &peers, NO_NODE, SIGNER), clock.clone()).await;
        cursor_at(&relayer, 1).await;
        // It refuses what is to be counted, and then to say what it has.
        peers.make_hub_old(true);
        clock.pass_ms(40_000);
        peers.tell([entry(2, 1)]);
        cursor_at(&relayer, 2).await;
        clock.pass_ms(400_000);
        peers.tell([entry(3, 2)]);
        assert_eq!(delivered(&peers, 3).await, [1, 3, 2], "{:?}", db.engine);
        cursor_at(&relayer, 3).await;
        peers.put_hub_back(1);
        peers.make_hub_old(false);
        clock.pass_ms(40_000);
        peers.tell([entry(4, 2)]);
        delivered(&peers, 4).await;
        let taken: BTreeSet<u64> = seqs(&peers.taken()).into_iter().collect();
        assert_eq!(taken, BTreeSet::from([1, 2, 3, 4]), "{:?}", db.engine);
        relayer.stop().await;
    }
}

/// It does not say what it counts before the relayer ever knew that: of a new pair, and where it counted for another relayer's
/// database, which is lost.
#[tokio::test]
async fn what_a_hub_took_before_it_said_what_it_counts_is_brought_once_more() {
    for before in [0, 2] {
        for db in on_both().await {
            let peers = Peers::start().await;
            let clock: Arc<MovedClock> = Arc::default();
            peers.tell((1..=before).map(|seq| entry(seq, 1)));
            let lost = service::db::testing::sqlite();
            let relayer = Running::start(config(&lost.url, &peers, NO_NODE, SIGNER), clock.clone()).await;
            cursor_at(&relayer, before).await;
            relayer.stop().await;

            peers.make_hub_old(true);
            peers.tell([entry(before + 1, 1)]);
            let relayer = Running::start(config(&db.url, &peers, NO_NODE, SIGNER), clock.clone()).await;
            cursor_at(&relayer, before + 1).await;
            peers.put_hub_back(usize::try_from(before).unwrap());
            peers.make_hub_old(false);
            clock.pass_ms(40_000);
            peers.tell([entry(before + 2, 2)]);
            let all: BTreeSet<u64> = (1..=before + 2).collect();
            let taken: BTreeSet<u64> = delivered(&peers, all.len()).await.into_iter().collect();
            assert_eq!(taken, all, "{:?}", db.engine);
            relayer.stop().await;
        }
    }
}

#[tokio::test]
async fn a_hub_put_back_to_an_older_backup_is_brought_what_it_lacks() {
    for db in on_both().await {
        let peers = Peers::start().await;
        let clock: Arc<MovedClock> = Arc::default();
        peers.refuse(entry(4, 9).event.id);
        peers.tell((1..=5).map(|seq| entry(seq, if seq == 4 { 9 } else { 1 })));
        let relayer = Running::start(config(&db.url, &peers, NO_NODE, SIGNER), clock.clone()).await;
        cursor_at(&relayer, 5).await;
        // An entry that is refused and taken later, after the backup, is lost with what was taken after it.
        peers.accept_all();
        clock.pass_ms(40_000);
        peers.tell((6..=230).map(|seq| entry(seq, (seq % 7) as u8)));
        let everything = delivered(&peers, 230).await.into_iter().collect::<BTreeSet<_>>();
        cursor_at(&relayer, 230).await;
        clock.pass_ms(40_000);
        peers.tell([entry(231, 1)]);
        cursor_at(&relayer, 231).await;
        peers.put_hub_back(3);
        clock.pass_ms(40_000);
        // What wakes the bridge: it would else be asked within one long poll.
        peers.tell([entry(232, 2)]);
        delivered(&peers, 232).await;
        let again: BTreeSet<u64> = seqs(&peers.taken()).into_iter().collect();
        assert!(again.is_superset(&everything) && again.len() == 232, "{:?}", db.engine);
        cursor_at(&relayer, 232).await;
        assert_eq!(relayer.get("/status").await.1["feed"]["restarts"], 1, "{:?}", db.engine);
        relayer.stop().await;
    }
}

#[test]
fn refused_entries_are_offered_again_at_bounded_pauses() {
    assert_eq!([1, 2, 3, 9, 10, i64::MAX].map(retry_ms), [1_000, 2_000, 4_000, 256_000, 300_000, 300_000]);
}

#[test]
fn the_hub_has_everything_before_the_first_entry_that_waits() {
    assert_eq!([through(9, None), through(9, Some(4)), through(9, Some(12)), through(0, None)], [9, 3, 9, 0]);
}

#[test]
fn a_case_at_another_escrow_does_not_hold_the_lane_of_a_deal() {
    let deal = entry(1, 1);
    let mut case = entry(2, 1);
    case.event.contract.address = Address::repeat_byte(0xa5).into();
    let opened_at = |escrow| EventBody::RulingExecuted { deal: B256::repeat_byte(1), escrow, share: 500 };
    case.event.body = opened_at(deal.event.contract.address);
    assert_eq!(lane(&case), lane(&deal));
    case.event.body = opened_at(Address::repeat_byte(0xbd).into());
    assert_ne!(lane(&case), lane(&deal));
}

proptest! {
    #[test]
    fn portions_keep_the_order_and_the_limits(sizes in proptest::collection::vec(1_usize..60_000, 0..300)) {
        let entries: Vec<FeedEntry> = (1..=sizes.len() as u64).map(|seq| entry(seq, 1)).collect();
        let size = |entry: &FeedEntry| sizes[usize::try_from(entry.seq).unwrap() - 1];
        let cut = portions(entries.clone(), size);
        prop_assert_eq!(cut.concat(), entries);
        for portion in cut {
            prop_assert!(!portion.is_empty() && portion.len() <= ENTRIES_MAX);
            prop_assert!(portion.len() == 1 || portion.iter().map(size).sum::<usize>() <= BYTES_MAX);
        }
    }

    #[test]
    fn parting_loses_nothing_and_keeps_the_order(deals in proptest::collection::vec(0_u8..4, 0..50)) {
        let entries: Vec<FeedEntry> = deals.iter().zip(1..).map(|(deal, seq)| entry(seq, *deal)).collect();
        let held = BTreeSet::from([lane(&entry(1, 0)), lane(&entry(1, 2))]);
        let (pass, kept) = part(entries.clone(), &held);
        prop_assert!(pass.iter().all(|entry| !held.contains(&lane(entry))));
        prop_assert!(kept.iter().all(|entry| held.contains(&lane(entry))));
        let mut all = [pass, kept].concat();
        all.sort_by_key(|entry| entry.seq);
        prop_assert_eq!(all, entries);
    }
}

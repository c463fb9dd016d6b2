//! What is told and taken back, late events, and chains side by side.

use std::{collections::BTreeMap, future::poll_fn, pin::pin, sync::Arc, task::Poll};

use fixture::Chain;
use protocol::{
    chain::{AccountId, ChainId},
    wire::{
        feed::{FeedEntry, FeedPage, Finality},
        view::{FaultKind, IndexerStatus},
    },
};
use service::{
    clock::SystemClock,
    db::{
        Db,
        testing::{FreshDb, on_both, postgres, sqlite},
    },
};
use sqlx::Row;

use super::{
    follow::Ground,
    step::{self, Step},
    store::{self, Settled},
    trust::{self, Row as Trusted},
};
use crate::{
    bulk::ROWS_MAX,
    config::{ChainConfig, Config},
    deals, faults,
    feed::store::{Decoded, Filter, page},
    made,
    shared::Shared,
    states::{
        model::{Subject, subject_of},
        store::{Folding, refold},
    },
    testing::{Running, node::Node, of_chains, verified, with},
};

mod lock;
mod long;
mod reindex;
mod steps;

/// A database with one chain whose events are made up.
struct Book {
    config: Config,
    db: Db,
    chain: i64,
    escrow: AccountId,
}

impl Book {
    async fn open(fresh: &FreshDb) -> Self {
        let id = ChainId::Eip155(1);
        let chain = ChainConfig {
            rpc_urls: vec!["http://127.0.0.1:9".to_owned()],
            contracts: vec!["0x00000000000000000000000000000000000000e5".parse().unwrap()],
            ..ChainConfig::default()
        };
        let config = of_chains(fresh, [(id, chain)]);
        let (db, chains) = crate::open(&config, &SystemClock).await.unwrap();
        let (number, escrow) = (chains[&id].number, chains[&id].contracts[0]);
        store::begin(&db, number, &made::block(0), 1).await.unwrap();
        Self { config, db, chain: number, escrow }
    }

    /// The step from block `from` to block `to`, with `finalized` as the final block.
    fn step(&self, from: u64, to: u64, finalized: u64) -> Step {
        let said = Settled { safe: None, finalized: Some(made::block(finalized).block()) };
        Step {
            headers: (from + 1..=to).map(made::block).collect(),
            events: made::events(self.escrow, from + 1..to + 1),
            ..Step::settling(made::block(from).block(), said)
        }
    }

    /// The step that lets go of the blocks above `fork`.
    fn back(&self, from: u64, fork: u64) -> Step {
        let fork = Some(made::block(fork).block());
        Step { fork, ..Step::settling(made::block(from).block(), Settled::default()) }
    }

    async fn commit(&self, step: &Step) -> Result<u64, crate::Error> {
        step::commit(&self.db, self.chain, step, 2).await
    }

    /// What a source of the chain would stand on.
    async fn ground(&self) -> Ground {
        let (db, chains) = crate::open(&self.config, &SystemClock).await.unwrap();
        let chain = chains.values().next().unwrap().clone();
        let shared = Shared::new(db, chains, Arc::new(SystemClock), Default::default(), 0);
        Ground { shared, chain, stopped: false }
    }

    async fn entries(&self) -> Vec<FeedEntry> {
        let mut reader = self.db.reader().acquire().await.unwrap();
        page(&mut reader, 0, 100_000, &Filter::default()).await.unwrap()
    }

    /// Every row of events and states, as text.
    async fn derived(&self) -> Vec<String> {
        let mut all = Vec::new();
        let events = "SELECT number, id, subject FROM events ORDER BY number";
        for row in sqlx::query(events).fetch_all(self.db.reader()).await.unwrap() {
            let (number, subject): (i64, i64) = (row.get("number"), row.get("subject"));
            all.push(format!("{number} {} {subject}", hex::encode(row.get::<Vec<u8>, _>("id"))));
        }
        let states = "SELECT newest, subject || state || status AS text, terms, buyer, seller FROM states ORDER BY subject";
        for row in sqlx::query(states).fetch_all(self.db.reader()).await.unwrap() {
            let numbers = ["newest", "terms", "buyer", "seller"].map(|column| row.get::<i64, _>(column));
            all.push(format!("{numbers:?} {}", row.get::<String, _>("text")));
        }
        all
    }

    /// Tip, and how many entries, logs and events there are, once whatever was under way is over.
    async fn tally(&self) -> [i64; 4] {
        drop(self.db.begin().await.unwrap());
        let query = "SELECT (SELECT COALESCE(MAX(tip_number), 0) FROM chains) AS tip, \
             (SELECT COUNT(*) FROM feed) AS entries, (SELECT COUNT(*) FROM logs) AS logs, \
             (SELECT COUNT(*) FROM events) AS events";
        let row = sqlx::query(query).fetch_one(self.db.reader()).await.unwrap();
        ["tip", "entries", "logs", "events"].map(|column| row.get(column))
    }

    async fn alter(&self, change: &'static str) {
        let mut write = self.db.begin().await.unwrap();
        sqlx::query(change).execute(write.on()).await.unwrap();
        write.commit().await.unwrap();
    }

    async fn agrees(&self) {
        assert_eq!(verified(&self.config).await.differences, Vec::<String>::new());
    }
}

/// Lets something be polled so many times, and then drops it where it stands; none where it did not come to its end.
async fn cut_short<T>(work: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut work = pin!(work);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

#[tokio::test]
async fn what_left_the_chain_and_came_back_is_told_again() {
    for fresh in on_both().await {
        let book = Book::open(&fresh).await;
        book.commit(&book.step(0, 20, 10)).await.unwrap();
        let before = book.derived().await;
        book.commit(&book.back(20, 15)).await.unwrap();
        book.agrees().await;
        book.commit(&book.step(15, 20, 20)).await.unwrap();
        assert_eq!(book.derived().await, before, "{:?}", fresh.engine);
        let mut told: BTreeMap<_, Vec<Finality>> = BTreeMap::new();
        for entry in book.entries().await {
            told.entry(entry.event.block_number).or_default().push(entry.finality);
        }
        use Finality::{Final, Retracted, Seen};
        assert_eq!(told[&10], [Final; 10]);
        assert_eq!(told[&12], [[Seen; 10], [Final; 10]].concat());
        assert_eq!(told[&18], [[Seen; 10], [Retracted; 10], [Final; 10]].concat());
        book.agrees().await;
    }
}

#[tokio::test]
async fn a_level_tells_what_reached_it_and_takes_back_no_more() {
    for fresh in on_both().await {
        let book = Book::open(&fresh).await;
        book.commit(&book.step(0, 4, 2)).await.unwrap();
        let safe = Settled { safe: Some(made::block(3).block()), finalized: None };
        book.commit(&Step::settling(made::block(4).block(), safe)).await.unwrap();
        book.commit(&book.back(4, 2)).await.unwrap();
        for (level, told) in [
            (Finality::Seen, [20, 20, 10, 20]),
            (Finality::Safe, [20, 0, 10, 10]),
            (Finality::Final, [20, 0, 0, 0]),
        ] {
            let mut reader = book.db.reader().acquire().await.unwrap();
            for chain in [None, Some(ChainId::Eip155(1))] {
                let filter = Filter { chain, level };
                let entries = page(&mut reader, 0, 1_000, &filter).await.unwrap();
                let of = |finality| entries.iter().filter(|entry| entry.finality == finality).count();
                use Finality::{Final, Retracted, Safe, Seen};
                assert_eq!([Final, Seen, Safe, Retracted].map(of), told, "{level:?} on {:?}", fresh.engine);
            }
            let other = Filter { chain: Some(ChainId::Eip155(2)), level };
            assert_eq!(page(&mut reader, 0, 1_000, &other).await.unwrap(), []);
        }
    }
}

#[tokio::test]
async fn what_the_operator_accepted_is_over_with_the_step_that_takes_it() {
    for fresh in on_both().await {
        let book = Book::open(&fresh).await;
        book.commit(&book.step(0, 20, 15)).await.unwrap();
        let (accepted, proven) = (Some(made::block(18).hash), Some(made::block(14).block()));
        let accept = async || {
            let row = Trusted { tags: true, proven, missed: 3, accepted };
            let mut write = book.db.begin().await.unwrap();
            trust::keep(write.on(), book.chain, &row).await.unwrap();
            write.commit().await.unwrap();
            row
        };
        let kept =
            async || trust::row(&mut book.db.reader().acquire().await.unwrap(), book.chain).await.unwrap();
        let row = accept().await;
        book.commit(&Step { accepted: true, ..book.back(20, 12) }).await.unwrap();
        let fork = Some(made::block(12).block());
        assert_eq!(kept().await, Trusted { proven: fork, accepted: None, ..row }, "{:?}", fresh.engine);
        // It is over as well where the old chain came back.
        accept().await;
        book.commit(&book.step(12, 15, 12)).await.unwrap();
        assert_eq!(kept().await, Trusted { accepted: None, ..row });
    }
}

/// A book with orphans, with events of many deals, and with one event left out.
async fn with_a_gap(fresh: &FreshDb) -> (Book, Decoded) {
    let book = Book::open(fresh).await;
    let mut step = book.step(0, 130, 120);
    let left_out = step.events.iter().position(|one| one.event.block_number == 22);
    let left_out = step.events.remove(left_out.expect("an event in the midst of its deal"));
    book.commit(&step).await.unwrap();
    book.commit(&book.step(130, 150, 140)).await.unwrap();
    book.commit(&book.back(150, 145)).await.unwrap();
    (book, left_out)
}

async fn gaps(book: &Book) -> Vec<String> {
    let open = faults::open(&mut book.db.reader().acquire().await.unwrap(), book.chain).await.unwrap();
    open.into_iter().filter(|fault| fault.kind == FaultKind::CountGap).map(|fault| fault.subject).collect()
}

#[tokio::test]
async fn a_late_event_is_told_as_final_and_fills_its_gap() {
    for fresh in on_both().await {
        let (book, left_out) = with_a_gap(&fresh).await;
        let deal = left_out.event.body.deal().unwrap();
        let complete = || async {
            let mut reader = book.db.reader().acquire().await.unwrap();
            crate::deals::store::find(&mut reader, deal).await.unwrap().unwrap().deal.complete
        };
        assert!(!complete().await);
        let missing = gaps(&book).await;
        let seq = book.entries().await.last().unwrap().seq;
        let (block, events) = (made::block(22), [left_out.clone()]);
        let wrong = store::Block { hash: made::block(23).hash, ..made::block(125) };
        let ground = book.ground().await;
        ground.amend(&wrong, &events).await.expect_err("not final here");
        ground.amend(&block, &events).await.unwrap();
        assert_eq!(*ground.shared.told.borrow(), seq + 1);
        assert_eq!(ground.chain.pulse().events, 1, "how far reading is counts what was missed");
        let entries = book.entries().await;
        let last = entries.last().unwrap();
        assert_eq!((last.finality, &last.event), (Finality::Final, &left_out.event), "{:?}", fresh.engine);
        assert!(complete().await);
        assert_eq!((missing.len(), gaps(&book).await.len()), (1, 0));
        book.agrees().await;
        let derived = book.derived().await;
        step::amend(&book.db, book.chain, &block, &events, 3).await.expect_err("it is there");
        assert_eq!((book.derived().await, book.entries().await.len()), (derived.clone(), entries.len()));
        crate::reindex(&book.config, &SystemClock, |_| {}).await.unwrap();
        assert_eq!(book.derived().await, derived);
    }
}

#[tokio::test]
async fn a_subject_with_the_key_of_another_is_left_alone() {
    for fresh in on_both().await {
        let book = Book::open(&fresh).await;
        book.commit(&book.step(0, 100, 100)).await.unwrap();
        let events: Vec<_> = book.entries().await.into_iter().map(|entry| entry.event).collect();
        let [one, other] = [&events[0], &events[1]].map(subject_of);
        let Subject::Deal(deal) = one else { panic!("{one}") };
        let before = {
            let mut reader = book.db.reader().acquire().await.unwrap();
            deals::store::transactions(&mut reader, deal).await.unwrap()
        };
        assert_eq!(before.len() as u64, made::A_DEAL);
        let mut write = book.db.begin().await.unwrap();
        sqlx::query("UPDATE events SET subject = $1").bind(one.key()).execute(write.on()).await.unwrap();
        let (gap, about) = (FaultKind::CountGap, events[1].id.to_string());
        faults::raise(write.on(), book.chain, gap, &about, "made up", 1).await.unwrap();
        write.commit().await.unwrap();
        // The newest ones are others'.
        let mut reader = book.db.reader().acquire().await.unwrap();
        assert_eq!(
            deals::store::transactions(&mut reader, deal).await.unwrap(),
            before,
            "{:?}",
            fresh.engine
        );
        for (subjects, open) in [(vec![one], true), (vec![one, other], false)] {
            let mut write = book.db.begin().await.unwrap();
            refold(write.on(), book.chain, &subjects, 3).await.unwrap();
            let found = faults::is_open(write.on(), book.chain, gap, &about).await.unwrap();
            assert_eq!(found, open, "{:?}", fresh.engine);
            write.commit().await.unwrap();
        }
    }
}

#[tokio::test]
async fn gaps_are_written_as_they_are_found() {
    let fresh = sqlite();
    let book = Book::open(&fresh).await;
    let mut events = made::events(book.escrow, 1..401);
    events.retain(|decoded| decoded.event.body.name() != "Funded");
    let mut write = book.db.begin().await.unwrap();
    let mut folding = Folding::anew(book.chain, 1);
    for events in events.chunks(ROWS_MAX) {
        folding.prepare(write.on(), events.iter().map(|decoded| &decoded.event)).await.unwrap();
        folding.fold((1..).zip(events.iter().map(|decoded| &decoded.event)));
        assert!(folding.gaps() < 2 * ROWS_MAX, "{}", folding.gaps());
    }
    folding.raise(write.on()).await.unwrap();
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM faults").fetch_one(write.on()).await.unwrap();
    assert_eq!(usize::try_from(count).unwrap(), events.len());
}

#[tokio::test]
async fn chains_are_followed_side_by_side_in_one_database() {
    for fresh in on_both().await {
        let (one, other) = (Chain::start().await, Chain::start_with(&["--chain-id", "77"]).await);
        let node = Node::before(&other.rpc_url()).await;
        let of = |chain: &Chain, url: String| {
            let config = crate::testing::config(chain, &fresh);
            with(config, |chain| chain.rpc_urls = vec![url]).chains
        };
        let alone = of_chains(&fresh, of(&one, one.rpc_url()));
        let both = of_chains(&fresh, of(&one, one.rpc_url()).into_iter().chain(of(&other, node.url.clone())));

        // A chain is added to a database that has another.
        let indexer = Running::start(alone.clone()).await;
        let terms = one.terms(1_000, Default::default(), 1).await;
        one.fund(&terms).await;
        indexer.caught_up(&one).await;
        indexer.stop().await;
        let indexer = Running::start(both.clone()).await;
        for (salt, chain) in [(2, &one), (3, &other), (4, &one), (5, &other)] {
            let terms = chain.terms(1_000, Default::default(), salt).await;
            chain.fund(&terms).await;
            indexer.caught_up(chain).await;
        }
        let whole = indexer.feed().await;
        assert!(whole.iter().map(|entry| entry.seq).eq(1..=u64::try_from(whole.len()).unwrap()));
        for chain in [&one, &other] {
            let path = format!("/v1/feed?limit=500&chain={}", chain.chain);
            let page: FeedPage = indexer.get(&path).await;
            let of_it = whole.iter().filter(|entry| entry.event.chain() == chain.chain);
            assert!(page.entries.iter().zip(of_it).all(|(told, entry)| told == entry));
            let funded = page.entries.iter().filter(|entry| entry.finality == Finality::Seen).count();
            assert_eq!(funded, if chain.chain == one.chain { 3 } else { 2 }, "{:?}", fresh.engine);
        }

        // Trouble of one chain stops no other.
        node.becomes(None);
        indexer.until_on(other.chain, "the trouble", |status| status.trouble.is_some()).await;
        let terms = one.terms(1_000, Default::default(), 6).await;
        one.fund(&terms).await;
        assert_eq!(indexer.caught_up(&one).await.trouble, None);
        assert_eq!(indexer.raw(&format!("/ready/{}", one.chain)).await.0, 200);
        assert_eq!(indexer.raw("/ready/eip155:5").await.0, 404);
        node.becomes(Some(&other.rpc_url()));
        indexer.until_on(other.chain, "going on", |status| status.trouble.is_none()).await;

        // Of a chain that is left out everything stays, and it is said.
        let config = indexer.stop().await;
        assert_eq!(verified(&config).await.differences, Vec::<String>::new());
        let indexer = Running::start(alone).await;
        indexer.caught_up(&one).await;
        let status: IndexerStatus = indexer.get("/status").await;
        assert_eq!((status.chains.len(), status.unfollowed), (1, vec![other.chain]));
        let path = format!("/v1/feed?limit=500&chain={}", other.chain);
        assert!(!indexer.get::<FeedPage>(&path).await.entries.is_empty());
        let config = indexer.stop().await;
        assert_eq!(verified(&config).await.differences, Vec::<String>::new());
        let done = crate::reindex(&config, &SystemClock, |_| {}).await.unwrap();
        assert_eq!(done.states, 6);
        assert_eq!(verified(&config).await.differences, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_is_refused_by_key_and_chain() {
    let fresh = sqlite();
    let chain: ChainConfig = ChainConfig {
        rpc_urls: vec!["http://127.0.0.1:9".to_owned()],
        contracts: vec!["0x00000000000000000000000000000000000000e5".parse().unwrap()],
        ..ChainConfig::default()
    };
    let of =
        |change: fn(&mut ChainConfig)| with(of_chains(&fresh, [(ChainId::Eip155(1), chain.clone())]), change);
    for (config, words) in [
        (of_chains(&fresh, []), "indexer.chains is 0 chains, but must be 1 to 32"),
        (
            of(|chain| chain.poll_ms = 1),
            "indexer.chains.\"eip155:1\".poll_ms is 1, but must be 10 to 600,000",
        ),
        (of(|chain| chain.rpc_urls.clear()), "rpc_urls is 0 URLs"),
        (
            of(|chain| chain.rpc_urls = vec!["ftp://127.0.0.1".to_owned()]),
            "rpc_urls is not a URL in position 0",
        ),
        (
            of(|chain| chain.rpc_urls.push("http://127.0.0.1:9/".to_owned())),
            "rpc_urls is a repeated URL in position 1, but must be each URL once",
        ),
        (of(|chain| chain.contracts.clear()), "contracts is 0 contracts"),
        (
            of(|chain| chain.contracts = vec![protocol::chain::Address::Solana([7; 32])]),
            "addresses on this chain",
        ),
        (of(|chain| chain.quorum = Some(2)), "quorum is 2, but must be 1 to the number of rpc_urls"),
        (of(|chain| chain.requests_max = 65), "requests_max is 65, but must be 1 to 64"),
        (of(|chain| chain.answer_bytes_max = 1), "answer_bytes_max is 1,"),
        (of(|chain| chain.reconcile_ms = 1), "reconcile_ms is 1,"),
        (of(|chain| chain.ws_url = Some("http://x".to_owned())), "ws_url is 8 characters"),
    ] {
        let error = crate::open(&config, &SystemClock).await.err().expect(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    let text = "[chains.\"eip155:1\"]\nrpc_urls = [\"http://127.0.0.1:9\"]\ncontracts = [\"0x00000000000000000000000000000000000000e5\"]\n";
    let read: Config = toml_of(text);
    assert_eq!(read.chains[&ChainId::Eip155(1)], chain);
}

/// What the configuration file says in `[indexer]`.
fn toml_of(text: &str) -> Config {
    let folder = std::env::temp_dir().join(format!("earnest-indexer-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("earnest.toml");
    std::fs::write(&file, text.replace("[chains", "[indexer.chains")).unwrap();
    let loaded = service::config::load("indexer", Some(&file)).unwrap().value;
    std::fs::remove_dir_all(&folder).unwrap();
    loaded
}

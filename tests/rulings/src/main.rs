//! Load for the relayer: many rulings arrive at a steady rate, each of a real dispute whose jurors have signed their ballots,
//! on a real chain with blocks at intervals. Measures how long each takes until it is final and what it costs; with `--chaos`
//! whether any is lost or done twice while the relayer is killed, answers are lost, prices jump and blocks are taken back.
//!
//! The hub is a stand-in that gives out intents and hears of progress; chain, contracts, disputes, ballots and the relayer are
//! the real ones. `scripts/bench relayer` runs it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    reason = "test code"
)]

mod disputes;
mod hub;
mod ledger;
mod proxy;
mod relayer;
mod weather;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use alloy::providers::ext::AnvilApi;
use clap::Parser;
use fixture::Chain;
use hub::Hub;
use ledger::Ledger;
use proxy::{Faults, Proxy};
use relayer::Relayer;
use serde::Serialize;
use tokio::{sync::Mutex, time::sleep};
use weather::Happened;

/// Wallets of the fixture that relay.
const SIGNERS: [usize; 6] = [3, 4, 5, 6, 7, 8];
/// How long the relayer may take for what is open after the last intent has arrived.
const TAIL: Duration = Duration::from_secs(300);

#[derive(Parser, Debug)]
struct Arguments {
    /// The `earnest` binary
    #[arg(long)]
    earnest: PathBuf,
    /// How many rulings
    #[arg(long, default_value_t = 1_000)]
    count: usize,
    /// How many of them arrive in a second
    #[arg(long, default_value_t = 10)]
    rate: u32,
    /// How many signers the relayer has
    #[arg(long, default_value_t = 3)]
    signers: usize,
    /// Seconds between blocks
    #[arg(long, default_value_t = 2)]
    block_seconds: u64,
    /// With faults
    #[arg(long)]
    chaos: bool,
    /// Of the faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to keep the relayer's log and database when it is over
    #[arg(long)]
    keep: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Report {
    rulings: usize,
    signers: usize,
    block_seconds: u64,
    chaos: bool,
    seed: u64,
    intent_to_final_blocks: Spread,
    intent_to_final_seconds: Spread,
    lost_intents: usize,
    lost: Vec<String>,
    ledger: Ledger,
    happened: Happened,
    /// Transactions that the relayer signed again at their nonces, dearer.
    replacements: u64,
    node_faults: Arc<Faults>,
    hub_faults: Arc<Faults>,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Spread {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Spread {
    /// Of values in any order; nearest rank.
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let rank = |per_cent: usize| {
            let at = (values.len() * per_cent).div_ceil(100).saturating_sub(1);
            values.get(at).copied().unwrap_or(f64::NAN)
        };
        Self { p50: rank(50), p99: rank(99), max: rank(100) }
    }
}

/// One intent that has arrived.
struct Arrival {
    key: String,
    at: Instant,
    head: u64,
}

fn configuration(listen: &str, hub: &str, rpc: &str, folder: &std::path::Path, keys: &[String]) -> String {
    let signers: String =
        keys.iter().map(|key| format!("[[relayer.signers]]\nprivate_key = \"{key}\"\n")).collect();
    format!(
        "[relayer]\nlisten = \"{listen}\"\ndatabase = \"sqlite:{}\"\nindexer_url = \"{hub}\"\nhub_url = \"{hub}\"\n\
         hub_key = \"{}\"\nrpc_urls = [\"{rpc}\"]\nchain = \"eip155:31337\"\npoll_interval_ms = 500\nresend_after_ms = 4000\n\
         bump_after_ms = 10000\n{signers}",
        folder.join("relayer.sqlite").display(),
        hub::KEY,
    )
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let started = Instant::now();
    let said = |words: &str| eprintln!("{:>6.1} s  {words}", started.elapsed().as_secs_f64());
    let chain = Chain::start().await;
    said(&format!("{} disputes are prepared", arguments.count));
    let intents = disputes::prepare(&chain, arguments.count).await;
    said("the relayer starts");
    let provider = chain.provider().clone();
    // What a place in a block costs is estimated from the last blocks.
    for _ in 0..25 {
        provider.anvil_set_next_block_base_fee_per_gas(weather::BASE_FEE).await.expect("a base fee");
        chain.mine(1).await;
    }
    provider.anvil_set_next_block_base_fee_per_gas(weather::BASE_FEE).await.expect("a base fee");
    provider.anvil_set_interval_mining(arguments.block_seconds).await.expect("blocks at intervals");
    let happened = Arc::<Mutex<Happened>>::default();
    let from = chain.height().await + 1;
    let head = Arc::new(AtomicU64::new(from - 1));
    let spikes = arguments.chaos.then(|| Duration::from_secs(arguments.block_seconds));
    tokio::spawn(weather::prices(provider.clone(), head.clone(), spikes, happened.clone()));

    let folder = tempfile::tempdir().expect("a temporary folder");
    let hub = Hub::start(head.clone()).await;
    let to_node = Proxy::to(&chain.rpc_url(), arguments.seed).await;
    let to_hub = Proxy::to(&hub.url, arguments.seed ^ u64::MAX).await;
    let (rpc, hub_url) =
        if arguments.chaos { (to_node.url.clone(), &to_hub.url) } else { (chain.rpc_url(), &hub.url) };
    let signers = &SIGNERS[..arguments.signers];
    let keys: Vec<String> =
        signers.iter().map(|wallet| chain.wallets[*wallet].to_bytes().to_string()).collect();
    let listen = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        free.local_addr().expect("an address").to_string()
    };
    let configuration = configuration(&listen, hub_url, &rpc, folder.path(), &keys);
    let mut relayer = Relayer::new(arguments.earnest, folder.path().to_owned(), &configuration);
    relayer.start();

    let count = intents.len();
    let every = Duration::from_secs(1) / arguments.rate;
    let arrivals: Vec<Arrival> = {
        let arrive = async {
            let mut arrivals = Vec::with_capacity(count);
            let mut tick = tokio::time::interval(every);
            for intent in &intents {
                tick.tick().await;
                let (key, at, head) = (intent.key.clone(), Instant::now(), head.load(Ordering::SeqCst));
                arrivals.push(Arrival { key, at, head });
                hub.want(intent.clone());
            }
            arrivals
        };
        if arguments.chaos {
            to_node.fail(true);
            to_hub.fail(true);
            let until = Instant::now() + every * u32::try_from(count).expect("few");
            let storm = weather::storm(&mut relayer, &provider, arguments.seed, until, &happened);
            let (arrivals, ()) = tokio::join!(arrive, storm);
            arrivals
        } else {
            arrive.await
        }
    };
    said("all have arrived");
    to_node.fail(false);
    to_hub.fail(false);
    let deadline = Instant::now() + TAIL;
    let heard = watch(&hub, count, deadline).await;
    said("nothing is awaited any more");
    let told = relayer::told(&listen).await;
    relayer.stop();
    drop(relayer);
    let signers: Vec<_> = signers.iter().map(|wallet| chain.address(*wallet)).collect();
    let ledger = ledger::read(&provider, &signers, from, &intents, &told.calls).await;
    let mut lost = ledger.missing.clone();
    let (mut blocks, mut seconds) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for arrival in &arrivals {
        match heard.get(&arrival.key) {
            Some((at, done)) => {
                blocks.push(done.saturating_sub(arrival.head) as f64);
                seconds.push((*at - arrival.at).as_secs_f64());
            }
            None if !lost.contains(&arrival.key) => lost.push(arrival.key.clone()),
            None => {}
        }
    }
    if let Some(keep) = &arguments.keep {
        for name in ["relayer.log", "relayer.sqlite"] {
            std::fs::copy(folder.path().join(name), keep.join(name)).expect("the folder can be written");
        }
    }
    let lost_intents = lost.len();
    lost.truncate(5);
    let report = Report {
        rulings: count,
        signers: signers.len(),
        block_seconds: arguments.block_seconds,
        chaos: arguments.chaos,
        seed: arguments.seed,
        intent_to_final_blocks: Spread::of(blocks),
        intent_to_final_seconds: Spread::of(seconds),
        lost_intents,
        lost,
        ledger,
        happened: std::mem::take(&mut *happened.lock().await),
        replacements: told.replacements,
        node_faults: to_node.faults.clone(),
        hub_faults: to_hub.faults.clone(),
        seconds: started.elapsed().as_secs_f64(),
    };
    println!("{}", serde_json::to_string(&report).expect("it has a form"));
}

/// Waits until every intent is said to be done, or for the deadline; answers when each was, and the head at that moment.
async fn watch(hub: &Hub, count: usize, deadline: Instant) -> HashMap<String, (Instant, u64)> {
    loop {
        let heard = hub.heard();
        let done = heard.iter().filter(|(_, heard)| heard.done.is_some()).count();
        if done == count || Instant::now() > deadline {
            for (key, reason) in heard.iter().filter_map(|(key, heard)| Some((key, heard.failed.as_ref()?))) {
                eprintln!("{key} failed: {reason}");
            }
            return heard.into_iter().filter_map(|(key, heard)| Some((key, heard.done?))).collect();
        }
        sleep(Duration::from_millis(100)).await;
    }
}

//! One world from its beginning to its judgement.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{primitives::B256, sol_types::SolEvent as _};
use protocol::{evm::pools::ArbitrationPools::TargetMoved, wire::view::FaultKind};
use relayer::simulation::Task;
use sqlx::Row as _;

use crate::{
    dice::Dice,
    faults::{FAULT_COUNT, FAULTS},
    services::{Came, Indexer, Relayer},
    world::Shared,
};

/// Steps in which things go wrong.
const STORMY: u64 = 60;
/// Steps in which nothing does, until when everything must be settled.
const CALM: u64 = 200;

/// What became of a world.
#[derive(Debug)]
pub struct Played {
    pub seed: u64,
    /// Steps that the services took.
    pub steps: u64,
    pub faults: [u64; FAULT_COUNT],
    /// Everything that was asked, answered, told and committed in each step, as one number.
    pub trace: Vec<u64>,
    pub blocks: u64,
    pub events: u64,
    pub retracted: u64,
    pub late: u64,
    pub intents: u64,
    pub transactions: u64,
    /// Of the transactions those for an intent beyond its first. Some must be: a draw that came too late is asked for again, and so is
    /// what reverted for good; and what a deep reorganisation takes back may come again after another was signed. Nothing bounds
    /// them but the nonces of an intent, so they are counted and judged by their effects alone.
    pub extra_transactions: u64,
    pub boundaries: u64,
    pub lost: u64,
    pub duplicated: u64,
    /// What did not hold.
    pub failures: Vec<String>,
}

/// Plays one world on this thread.
pub fn play(seed: u64) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let shared = Shared::new(seed);
    service::simulation::enter(Some(std::sync::Arc::new(shared.clone())));
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let played = runtime.block_on(in_world(seed, &shared, folder.path()));
    service::simulation::enter(None);
    shared.world().app = None;
    played
}

async fn in_world(seed: u64, shared: &Shared, folder: &std::path::Path) -> Played {
    let mut dice = Dice::of(("play", seed));
    let nodes = dice.pick(&[1, 3, 3]);
    let relaying = usize::try_from(dice.within(1, 2)).unwrap();
    if nodes == 3 {
        shared.world().liar = Some(usize::try_from(dice.below(3)).unwrap());
    }
    let mut indexer = Indexer::new(folder, nodes, &mut dice);
    let mut relayer = Relayer::new(folder, nodes..nodes + relaying, &mut dice);
    let mut steps = 0;
    for _ in 0..STORMY {
        shared.world().turn();
        let (refused_at, stopped) = {
            let mut world = shared.world();
            let mut dice = Dice::of((seed, "services", world.step));
            let refused = world.faults.strike("statement refused", &mut dice).then(|| dice.below(2));
            (refused, world.faults.strike("stopped", &mut dice).then(|| dice.below(2)))
        };
        match stopped {
            Some(0) => indexer.stop(shared).await,
            Some(_) => relayer.stop().await,
            None => {}
        }
        match refused_at {
            Some(0) => indexer.database.refuse(&mut dice).await,
            Some(_) => relayer.database.refuse(&mut dice).await,
            None => {}
        }
        steps += round(shared, &mut indexer, &mut relayer).await;
        if refused_at.is_some() {
            indexer.database.relent().await;
            relayer.database.relent().await;
        }
        let ms = shared.world().step_ms();
        shared.pass_ms(ms);
    }
    shared.world().faults.calm = true;
    let mut open = Vec::new();
    for calm in 0..CALM {
        shared.world().turn();
        steps += round(shared, &mut indexer, &mut relayer).await;
        let ms = shared.world().step_ms();
        shared.pass_ms(ms);
        // What happens in the end must be final before it can be judged.
        open = unsettled(shared, &indexer, &relayer).await;
        if calm > 10 && open.is_empty() {
            break;
        }
    }
    let mut failures = std::mem::take(&mut indexer.listener.complaints);
    failures.extend(open);
    judge(&indexer, &mut failures).await;
    let transactions = relayed(shared, &relayer, &mut failures).await;
    let played = {
        let mut world = shared.world();
        world.turn();
        let (lost, strange) = indexer.listener.compare(&world.chain);
        let (lost_at_hub, doubled_at_hub) = delivered(&world);
        Played {
            seed,
            steps,
            faults: world.faults.counts,
            trace: std::mem::take(&mut world.trace),
            blocks: world.chain.view().head(),
            events: crate::oracle::events_up_to(&world.chain, world.chain.view().finalized).len() as u64,
            retracted: indexer.listener.retracted,
            late: indexer.listener.late,
            intents: world.hub.intents.len() as u64,
            transactions: transactions.mined,
            extra_transactions: transactions.extra,
            boundaries: world.points,
            lost: lost + lost_at_hub + transactions.lost,
            duplicated: indexer.listener.duplicated + strange + doubled_at_hub + transactions.doubled,
            failures,
        }
    };
    indexer.stop(shared).await;
    relayer.stop().await;
    played
}

/// One round of every task; how many steps that were.
async fn round(shared: &Shared, indexer: &mut Indexer, relayer: &mut Relayer) -> u64 {
    let mut steps = 0;
    for _ in 0..6 {
        steps += 1;
        if indexer.step(shared).await != Came::Done(true) {
            break;
        }
    }
    for task in [Task::Bridge, Task::Intents, Task::Transactions, Task::Outbox] {
        steps += 1;
        relayer.step(shared, task).await;
    }
    steps
}

/// What is still to happen.
async fn unsettled(shared: &Shared, indexer: &Indexer, relayer: &Relayer) -> Vec<String> {
    let mut open = Vec::new();
    let states = states(relayer).await;
    {
        let world = shared.world();
        if !indexer.listener.agrees(&world.chain) {
            open.push("the feed is not what the chain has".to_owned());
        }
        let (lost, _) = delivered(&world);
        if lost > 0 {
            open.push(format!("{lost} final events have not come to the hub"));
        }
        for intent in &world.hub.intents {
            let state = states.get(&intent.key).map_or("not there", |(state, _)| state);
            if !matches!(state, "done" | "failed") {
                open.push(format!("intent {} is {state}", intent.key));
            }
        }
        let waiting = world.chain.pool.values().map(Vec::len).sum::<usize>();
        if waiting > 0 {
            open.push(format!("{waiting} transactions wait to be mined"));
        }
        let (finalized, head) = (world.chain.view().finalized, world.chain.view().head());
        if crate::oracle::events_up_to(&world.chain, finalized)
            != crate::oracle::events_up_to(&world.chain, head)
        {
            open.push("events are not final".to_owned());
        }
        if !world.chain.wishes.is_empty() {
            open.push("users wait".to_owned());
        }
    }
    open
}

/// Final events that the hub lacks, and those that it has twice or too many.
fn delivered(world: &crate::world::World) -> (u64, u64) {
    let taken: Vec<B256> = world.hub.finals.iter().map(|entry| entry.event.id).collect();
    let known: BTreeSet<B256> = taken.iter().copied().collect();
    let wanted: BTreeSet<B256> =
        crate::oracle::events_up_to(&world.chain, world.chain.view().finalized).into_iter().collect();
    // The newest final ones are still on their way at any moment; in the end nothing of what happened is among them.
    let lost = wanted.difference(&known).count() as u64;
    let strange = known.difference(&wanted).count() as u64;
    (lost, strange + (taken.len() - known.len()) as u64)
}

/// State and reason of every intent by its key.
async fn states(relayer: &Relayer) -> BTreeMap<String, (String, String)> {
    let rows = sqlx::query("SELECT key, state, reason FROM intent")
        .fetch_all(relayer.database.pool())
        .await
        .unwrap();
    rows.iter().map(|row| (row.get("key"), (row.get("state"), row.get("reason")))).collect()
}

/// What the indexer finds when it goes through its own database again.
async fn judge(indexer: &Indexer, failures: &mut Vec<String>) {
    match indexer::verify(indexer.config(), |_| ()).await {
        Ok(report) => {
            failures.extend(report.differences);
            if report.final_retracted > 0 {
                failures.push(format!("{} final events were retracted", report.final_retracted));
            }
            // That a node lied stays said.
            let faults = report.faults.into_iter().filter(|(_, fault)| fault.kind != FaultKind::ProviderLies);
            failures.extend(faults.map(|(_, fault)| format!("a fault stays open: {fault:?}")));
        }
        Err(error) => failures.push(format!("the database cannot be verified: {error}")),
    }
}

/// What the relayer did on the chain.
struct Relayed {
    mined: u64,
    extra: u64,
    lost: u64,
    doubled: u64,
}

async fn relayed(shared: &Shared, relayer: &Relayer, failures: &mut Vec<String>) -> Relayed {
    let rows = sqlx::query("SELECT hash, intent, kind, nonce, outcome FROM attempt")
        .fetch_all(relayer.database.pool())
        .await
        .unwrap();
    let of: BTreeMap<B256, i64> = rows
        .iter()
        .map(|row| {
            let intent: Option<i64> = row.get("intent");
            (row.get::<String, _>("hash").parse().unwrap(), intent.unwrap_or(0))
        })
        .collect();
    let calls: BTreeSet<B256> = rows
        .iter()
        .filter(|row| row.get::<String, _>("kind") == "call")
        .map(|row| row.get::<String, _>("hash").parse().unwrap())
        .collect();
    let states = states(relayer).await;
    let world = shared.world();
    let ours: BTreeSet<_> =
        crate::scene::SCENE.relayers.iter().map(alloy::signers::local::PrivateKeySigner::address).collect();
    for hash in &world.sent {
        if !of.contains_key(hash) {
            failures.push(format!("transaction {hash} was sent and is not stored"));
        }
    }
    let (fee_max, budget) = relayer.limits();
    let mut result = Relayed { mined: 0, extra: 0, lost: 0, doubled: 0 };
    let mut called: BTreeSet<i64> = BTreeSet::new();
    let (mut effects, mut cost): (BTreeMap<i64, u64>, BTreeMap<i64, u128>) = Default::default();
    for mined in world.chain.canonical().flat_map(|block| &block.mined) {
        if !ours.contains(&mined.tx.call.from) {
            continue;
        }
        result.mined += 1;
        let intent = of.get(&mined.tx.hash).copied().unwrap_or(-1);
        if calls.contains(&mined.tx.hash) && !called.insert(intent) {
            result.extra += 1;
        }
        *cost.entry(intent).or_default() += mined.price * u128::from(mined.gas);
        // To choose another block for a draw that came too late is no effect: it must be asked for again.
        let effect = mined.logs.iter().any(|log| log.topics().first() != Some(&TargetMoved::SIGNATURE_HASH));
        *effects.entry(intent).or_default() += u64::from(mined.success && effect);
        if mined.tx.offer.is_some_and(|offer| offer.max_fee > fee_max) {
            failures.push(format!("transaction {} pays more than {fee_max}", mined.tx.hash));
        }
    }
    for (intent, times) in effects {
        if intent > 0 && times > 1 {
            result.doubled += times - 1;
            failures.push(format!("intent {intent} had {times} effects"));
        }
    }
    for (intent, cost) in cost {
        if cost > budget {
            failures.push(format!("intent {intent} cost {cost}"));
        }
    }
    for intent in &world.hub.intents {
        match states.get(&intent.key) {
            Some((state, _)) if state == "done" => {
                // Its word is not taken for it.
                if !crate::oracle::shows(&world.chain, intent) {
                    result.lost += 1;
                    failures.push(format!("intent {} is done, and the chain does not show it", intent.key));
                }
            }
            other => {
                result.lost += 1;
                failures.push(format!("intent {} is {other:?}", intent.key));
            }
        }
    }
    result
}

/// Counts of faults as lines.
pub fn counts(played: &[Played]) -> Vec<String> {
    FAULTS
        .iter()
        .enumerate()
        .map(|(at, (name, ..))| {
            let count: u64 = played.iter().map(|played| played.faults[at]).sum();
            format!("{count:>9}  {name}")
        })
        .collect()
}

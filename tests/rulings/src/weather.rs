//! What happens around the relayer while it works: the price of gas, reorganisations, its own death.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use alloy::{
    providers::{DynProvider, Provider, ext::AnvilApi},
    rpc::types::anvil::ReorgOptions,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::Serialize;
use tokio::{sync::Mutex, time::sleep};

use crate::{disputes::pending, relayer::Relayer};

/// Wei for a unit of gas in fair weather.
pub const BASE_FEE: u128 = 10_000_000_000;
/// By how much it rises for a while: above what is offered for a first transaction, which is twice what it was.
const SPIKE: u128 = 15;
/// Blocks between the beginnings of two spikes, the first block of one, and how long one lasts: longer than the relayer waits
/// before it pays more.
const SPIKE_EVERY: u64 = 30;
const SPIKE_FROM: u64 = 4;
const SPIKE_BLOCKS: u64 = 8;

/// Whether a block is dear, by its number from the first on.
const fn is_dear(number: u64) -> bool {
    let at = number % SPIKE_EVERY;
    SPIKE_FROM <= at && at < SPIKE_FROM + SPIKE_BLOCKS
}

/// What happened.
#[derive(Debug, Default, Serialize)]
pub struct Happened {
    /// Deaths of the relayer.
    pub kills: u64,
    /// Reorganisations of one or two blocks.
    pub reorgs: u64,
    /// Blocks whose base fee was fifteen times the usual one.
    pub dear_blocks: u64,
    /// Spikes that began while transactions waited that they made too cheap.
    pub surprises: u64,
}

/// Follows the head: its height is in `head` within 25 ms, and the base fee of every block is set; with `spikes` it rises for
/// some blocks now and then. What the first block of a spike costs nobody can know before: it is told when most of the time until
/// that block is over, and what was signed until then is too cheap for it. Ends with the node.
pub async fn prices(
    provider: DynProvider,
    head: Arc<AtomicU64>,
    spikes: Option<Duration>,
    happened: Arc<Mutex<Happened>>,
) {
    let first = head.load(Ordering::SeqCst);
    let mut last = 0;
    loop {
        // The node ends first when all is over.
        let Ok(number) = provider.get_block_number().await else { return };
        head.store(number, Ordering::SeqCst);
        if number != last {
            last = number;
            let next = (number + 1).saturating_sub(first);
            let dear = spikes.is_some() && is_dear(next);
            if let (Some(block_time), true, false) = (spikes, dear, is_dear(next.saturating_sub(1))) {
                let _ = provider.anvil_set_next_block_base_fee_per_gas(BASE_FEE).await;
                sleep(block_time * 3 / 4).await;
                happened.lock().await.surprises += u64::from(pending(&provider).await > Some(0));
            }
            let fee = if dear { BASE_FEE * SPIKE } else { BASE_FEE };
            let _ = provider.anvil_set_next_block_base_fee_per_gas(fee).await;
            happened.lock().await.dear_blocks += u64::from(dear);
        }
        sleep(Duration::from_millis(25)).await;
    }
}

/// Kills the relayer with `kill -9` after every 2 to 7 seconds and starts it again within one more, and takes one or two
/// blocks away now and then; until `until`.
pub async fn storm(
    relayer: &mut Relayer,
    provider: &DynProvider,
    seed: u64,
    until: Instant,
    happened: &Mutex<Happened>,
) {
    let mut dice = StdRng::seed_from_u64(seed);
    while Instant::now() < until {
        sleep(Duration::from_millis(dice.random_range(2_000..7_000))).await;
        relayer.kill();
        happened.lock().await.kills += 1;
        if dice.random_bool(0.3) {
            let options = ReorgOptions { depth: dice.random_range(1..=2), tx_block_pairs: Vec::new() };
            provider.anvil_reorg(options).await.expect("anvil reorganises");
            happened.lock().await.reorgs += 1;
        }
        sleep(Duration::from_millis(dice.random_range(0..1_000))).await;
        relayer.start();
        if dice.random_bool(0.2) {
            sleep(Duration::from_millis(dice.random_range(0..2_000))).await;
            let options = ReorgOptions { depth: dice.random_range(1..=2), tx_block_pairs: Vec::new() };
            provider.anvil_reorg(options).await.expect("anvil reorganises");
            happened.lock().await.reorgs += 1;
        }
    }
}

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

use crate::relayer::Relayer;

/// Wei for a unit of gas in fair weather.
pub const BASE_FEE: u128 = 10_000_000_000;
/// By how much it rises for a while.
const SPIKE: u128 = 15;
/// Blocks between the beginnings of two spikes, and of one.
const SPIKE_EVERY: u64 = 20;
const SPIKE_BLOCKS: u64 = 4;

/// What happened.
#[derive(Debug, Default, Serialize)]
pub struct Happened {
    /// Deaths of the relayer.
    pub kills: u64,
    /// Reorganisations of one or two blocks.
    pub reorgs: u64,
    /// Blocks whose base fee was fifteen times the usual one.
    pub dear_blocks: u64,
}

/// Follows the head: its height is in `head` within 25 ms, and the base fee of every block is set; with `spikes` it rises for
/// some blocks now and then. Ends with the node.
pub async fn prices(
    provider: DynProvider,
    head: Arc<AtomicU64>,
    spikes: bool,
    happened: Arc<Mutex<Happened>>,
) {
    let mut last = 0;
    loop {
        // The node ends first when all is over.
        let Ok(number) = provider.get_block_number().await else { return };
        head.store(number, Ordering::SeqCst);
        if number != last {
            last = number;
            let dear = spikes && number % SPIKE_EVERY < SPIKE_BLOCKS;
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

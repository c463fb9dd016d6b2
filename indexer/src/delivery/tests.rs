//! The feed at real receivers: an HTTP server of ours that checks signatures, and NATS.

mod nats;
mod receiver;
mod webhooks;

use std::time::Instant;

use fixture::Chain;
use protocol::wire::{query::DeliveryStatus, view::IndexerStatus};

use super::config::WebhookConfig;
use crate::testing::{DEADLINE, LOOK, Running};

/// A chain with a few deals that are over.
async fn chain_with(deals: u64) -> Chain {
    let chain = Chain::start().await;
    for salt in 0..deals {
        trade(&chain, salt).await;
    }
    chain
}

/// Two events: a deal is funded and released.
async fn trade(chain: &Chain, salt: u64) {
    let terms = chain.terms(1_000, Default::default(), salt).await;
    chain.fund(&terms).await;
    chain.release(&terms, 1_000).await;
}

/// Waits until the deliveries are as they should be.
async fn until(indexer: &Running, what: &str, holds: impl Fn(&DeliveryStatus) -> bool) -> DeliveryStatus {
    let started = Instant::now();
    loop {
        let status: IndexerStatus = indexer.get("/status").await;
        let deliveries = status.deliveries;
        let [delivery] = deliveries.as_slice() else { panic!("one delivery: {deliveries:?}") };
        if holds(delivery) {
            return delivery.clone();
        }
        assert!(started.elapsed() < DEADLINE, "{what} did not come true: {delivery:?}");
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until everything is final and at the receiver.
async fn delivered(indexer: &Running, chain: &Chain) {
    chain.mine(3).await;
    indexer.caught_up(chain).await;
    indexer.all_final().await;
    until(indexer, "delivery", |delivery| delivery.lag == 0).await;
}

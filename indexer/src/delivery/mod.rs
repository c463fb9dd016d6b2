//! The feed brought to others: to webhooks and to NATS JetStream, each from a durable cursor of its own, in order, at least
//! once, every message with an id by which its receiver knows a repetition.

pub(crate) mod config;
mod message;
mod nats;
mod pump;
mod schedule;
pub(crate) mod store;
#[cfg(test)]
mod tests;
mod webhook;

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use protocol::wire::query::DeliveryStatus;
use sqlx::AnyConnection;

use self::{nats::Nats, pump::Pump, webhook::Webhook};
use crate::{Error, config::Config, feed, shared::Shared};

/// What brings a message somewhere.
enum Sink {
    Webhook(Webhook),
    Nats(Box<Nats>),
}

/// Why a message did not arrive, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Failure {
    /// In words, without the URL, which may hold a key.
    reason: String,
    /// Seconds that the receiver asked to be left alone.
    retry_after_s: Option<u64>,
}

impl Failure {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retry_after_s: None }
    }
}

/// What the configured deliveries are called.
pub(crate) fn names(config: &Config) -> Arc<[String]> {
    let webhooks = config.webhooks.iter().map(|webhook| webhook.name.clone());
    webhooks.chain(config.nats.iter().map(|_| config::NATS.to_owned())).collect()
}

/// Delivers to every configured receiver until the service stops.
///
/// # Errors
/// A receiver's configuration cannot be used.
pub(crate) fn pumps(config: &Config, shared: &Shared) -> Result<Vec<BoxFuture<'static, ()>>, Error> {
    let mut pumps = Vec::new();
    for webhook in &config.webhooks {
        let sink = Sink::Webhook(Webhook::new(webhook, shared.clock.clone())?);
        let selection = webhook.filter.selection();
        pumps.push(Pump::new(
            shared.clone(),
            webhook.name.clone(),
            selection,
            webhook.after,
            webhook.retry_ms,
            sink,
        ));
    }
    if let Some(nats) = &config.nats {
        let sink = Sink::Nats(Box::new(Nats::new(nats.clone())));
        let name = config::NATS.to_owned();
        pumps.push(Pump::new(shared.clone(), name, nats.filter.selection(), nats.after, nats.retry_ms, sink));
    }
    Ok(pumps.into_iter().map(|pump| pump.run().boxed()).collect())
}

/// How every configured delivery is doing.
pub(crate) async fn status(on: &mut AnyConnection, names: &[String]) -> Result<Vec<DeliveryStatus>, Error> {
    let last = feed::store::last_seq(&mut *on).await?;
    let mut all = Vec::new();
    for name in names {
        let found = store::find(&mut *on, name).await?.unwrap_or_default();
        all.push(DeliveryStatus {
            name: name.clone(),
            cursor: found.cursor,
            lag: last.saturating_sub(found.cursor),
            failures: found.failures,
            alarm: found.failures >= schedule::RETRIES,
            trouble: found.trouble,
        });
    }
    Ok(all)
}

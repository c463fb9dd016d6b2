//! Messages to a stream of NATS JetStream.

use std::time::Duration;

use async_nats::{
    ConnectOptions,
    jetstream::{self, Context, context::PublishErrorKind, message::PublishMessage, stream},
};
use tokio::time::timeout;

use super::{Failure, config::NatsConfig, message::Message};

/// Within so long the server knows a message again by its id: more than the longest pause between two tries of a message
/// that it has and could not acknowledge, with the usual `retry_ms`.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(10 * 60);

/// The stream, and the connection while there is one.
pub(super) struct Nats {
    config: NatsConfig,
    context: Option<Context>,
}

impl Nats {
    pub const fn new(config: NatsConfig) -> Self {
        Self { config, context: None }
    }

    /// Whether the stream has it: the server acknowledged it, or knew its id already.
    pub async fn send(&mut self, message: &Message) -> Result<(), Failure> {
        let sent = self.publish(message).await;
        if sent.is_err() {
            // A new connection finds the stream anew, and makes it where it was removed.
            self.context = None;
        }
        sent
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.config.timeout_ms)
    }

    async fn publish(&mut self, message: &Message) -> Result<(), Failure> {
        if self.context.is_none() {
            let connecting = timeout(self.patience(), self.connect()).await;
            self.context = Some(connecting.map_err(|_| Failure::new("the server does not answer in time"))??);
        }
        let Some(context) = &self.context else { return Err(Failure::new("there is no connection")) };
        let subject = format!("{}.{}", self.config.subject, message.subject);
        let publish = PublishMessage::build()
            .message_id(&message.id)
            .expected_stream(&self.config.stream)
            .payload(message.body.clone());
        let published = async { context.send_publish(subject, publish).await?.await };
        match timeout(self.patience(), published).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.kind() == PublishErrorKind::StreamNotFound => {
                Err(Failure::new(format!("no stream takes subjects of {}", self.config.subject)))
            }
            Ok(Err(error)) => Err(Failure::new(format!("the stream did not take it: {error:.200}"))),
            Err(_) => Err(Failure::new("the server did not acknowledge it in time")),
        }
    }

    async fn connect(&self) -> Result<Context, Failure> {
        let mut options = ConnectOptions::new().name("earnest indexer").connection_timeout(self.patience());
        if let Some(file) = &self.config.credentials {
            let text = tokio::fs::read_to_string(file)
                .await
                .map_err(|error| Failure::new(format!("nats.credentials {file}: {error}")))?;
            options = options
                .credentials(&text)
                .map_err(|error| Failure::new(format!("nats.credentials {file}: {error}")))?;
        }
        let client = options
            .connect(&self.config.url)
            .await
            .map_err(|error| Failure::new(format!("the server is not reached: {:.200}", error.kind())))?;
        let mut context = jetstream::new(client);
        context.set_timeout(self.patience());
        let wanted = stream::Config {
            name: self.config.stream.clone(),
            subjects: vec![format!("{}.>", self.config.subject)],
            duplicate_window: DUPLICATE_WINDOW,
            ..stream::Config::default()
        };
        context.get_or_create_stream(wanted).await.map_err(|error| {
            Failure::new(format!("the stream {} is not there: {error:.200}", self.config.stream))
        })?;
        Ok(context)
    }
}

//! A subscription to the program's transactions, so that the next look at the chain need not wait for its time. What it
//! tells is not read: everything comes from looking, and nothing is lost without it.

use std::{sync::Arc, time::Duration};

use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio::{sync::Notify, time::Instant};
use tokio_tungstenite::tungstenite::{self, Message, protocol::WebSocketConfig};

use crate::chain::follow::backoff_ms;

/// After this long a silent connection is asked whether it is still there, and after twice as long given up.
const SILENCE: Duration = Duration::from_secs(20);
/// The longest that connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// A session that lasted so long is one that worked: who closes sooner is come back to ever later.
const LASTING: Duration = Duration::from_secs(10);
/// The longest message that is taken, in bytes.
const MESSAGE_MAX: usize = 1 << 20;

/// Notifies whenever a transaction that names `account` is confirmed; connects again whenever it ends.
pub(crate) async fn listen(url: &str, account: &str, wake: &Arc<Notify>) {
    let mut failures = 0_u32;
    loop {
        let began = Instant::now();
        let ended = session(url, account, wake).await;
        failures = failures_after(failures, began.elapsed());
        // Its words may hold the URL, and the URL a key.
        let reason = match ended {
            Ok(()) => "it ended or is silent".to_owned(),
            Err(tungstenite::Error::Http(answer)) => format!("HTTP {}", answer.status()),
            Err(_) => "no connection".to_owned(),
        };
        tracing::warn!(failures, reason, "no word from the WebSocket; looking at the chain goes on");
        tokio::time::sleep(Duration::from_millis(backoff_ms(failures))).await;
    }
}

/// How many sessions in a row have failed once one has ended that lasted so long.
fn failures_after(before: u32, lasted: Duration) -> u32 {
    if lasted >= LASTING { 1 } else { before.saturating_add(1) }
}

async fn session(url: &str, account: &str, wake: &Arc<Notify>) -> Result<(), tungstenite::Error> {
    let limits =
        WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
    let connecting = tokio_tungstenite::connect_async_with_config(url, Some(limits), true);
    let Ok(connected) = tokio::time::timeout(CONNECT, connecting).await else { return Ok(()) };
    let (mut socket, _) = connected?;
    let subscribe = json!({
        "jsonrpc": "2.0", "id": 1, "method": "logsSubscribe",
        "params": [{"mentions": [account]}, {"commitment": "confirmed"}],
    });
    socket.send(Message::text(subscribe.to_string())).await?;
    let mut asked = false;
    loop {
        match tokio::time::timeout(SILENCE, socket.next()).await {
            Ok(None) => return Ok(()),
            Ok(Some(message)) => {
                asked = false;
                if message?.is_text() {
                    wake.notify_one();
                }
            }
            Err(_) if asked => return Ok(()),
            Err(_) => {
                asked = true;
                socket.send(Message::Ping(Vec::new().into())).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_closes_at_once_is_come_back_to_ever_later_whatever_it_said() {
        let mut failures = 0;
        let pauses: Vec<u64> = (0..9)
            .map(|_| {
                failures = failures_after(failures, Duration::from_millis(50));
                backoff_ms(failures)
            })
            .collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        assert_eq!(failures_after(failures, LASTING), 1, "a session that worked");
        assert_eq!(failures_after(u32::MAX, Duration::ZERO), u32::MAX);
    }
}

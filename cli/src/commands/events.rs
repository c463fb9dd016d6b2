//! `earnest events`: what happens at a hub, as it happens.

use std::time::Duration;

use anyhow::{Error, Result};
use clap::Args;
use tokio::time::sleep;

use super::Session;
use crate::{
    client::{events::Happened, http::Refused},
    output::print,
};

/// For `--help`.
pub const ABOUT: &str = "\
Follows what happens at the hub, one line for each event, until you stop it (Ctrl-C): what is public, and with --as also what \
you may read, such as your purchases, your seats on juries and your communities. Who you are is looked at anew all the time, so \
what you may not read any more is not told any more.

Each event has an id, and a hub keeps all of them: --after ID goes on where you were. It names what changed by its id; read that \
for the rest. A stream that ends or breaks off is gone on with after the last event; a hub that does not answer for three seconds \
ends it with 4.";

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  earnest --as seller events --after 120                               from where you were
  earnest --json --as seller events | jq -r 'select(.event == \"purchase\") | .data.status'
  earnest --json events --limit 1                                      the first event that there is, then the end";

/// Between two streams.
const PAUSE: Duration = Duration::from_millis(250);

/// From where, and how far.
#[derive(Args, Debug)]
pub struct EventsArgs {
    /// Go on after the event with this id; 0 is before the first one
    #[arg(long, value_name = "ID", default_value_t = 0)]
    after: u64,
    /// End after so many events [default: never]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

/// Does it.
pub async fn run(session: &Session, arguments: EventsArgs) -> Result<()> {
    let EventsArgs { mut after, limit } = arguments;
    let mut told: u64 = 0;
    let mut hub = session.reader().await?;
    loop {
        let mut stream = match hub.events(after).await {
            Err(error) if session.is_somebody() && is_signed_out(&error) => {
                hub = session.reader().await?;
                hub.events(after).await?
            }
            stream => stream?,
        };
        while let Some(happened) = stream.next().await? {
            after = happened.id;
            tell(session, &happened)?;
            told = told.saturating_add(1);
            if limit.is_some_and(|limit| told >= limit) {
                return Ok(());
            }
        }
        sleep(PAUSE).await;
    }
}

fn is_signed_out(error: &Error) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.is_unauthenticated)
}

fn tell(session: &Session, happened: &Happened) -> Result<()> {
    if session.output.json {
        return print(&serde_json::to_string(happened)?);
    }
    print(&format!("{}  {}  {}", happened.id, happened.event, happened.data))
}

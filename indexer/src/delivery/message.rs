//! An entry of the feed as a message.

use axum::body::Bytes;
use protocol::wire::feed::FeedEntry;
use serde::Serialize;

use crate::{
    Error,
    columns::{finality_name, json},
};

/// What a receiver is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// `<event>/<finality>/<how many times told so>`: the same whenever and by whomever it is sent again, also from a
    /// database that was read anew.
    pub id: String,
    /// `<chain>.<event's name>.<finality>`.
    pub subject: String,
    pub body: Bytes,
}

/// The body, as Standard Webhooks advises.
#[derive(Serialize)]
struct Body<'a> {
    /// `<event's name>.<finality>`.
    #[serde(rename = "type")]
    kind: String,
    /// The time of the event's block.
    timestamp: String,
    data: &'a FeedEntry,
}

impl Message {
    /// The message of an entry; `times` is how often its event was told at its level, this time included.
    pub fn of(entry: &FeedEntry, times: u64) -> Result<Self, Error> {
        let event = &entry.event;
        let chain = event.chain();
        let kind = format!("{}.{}", event.body.name(), finality_name(entry.finality));
        let time = i64::try_from(event.block_time).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
        let body = Body {
            timestamp: time.map_or_else(|| event.block_time.to_string(), |time| time.to_string()),
            kind: kind.clone(),
            data: entry,
        };
        Ok(Self {
            id: format!("{}/{}/{times}", event.id, finality_name(entry.finality)),
            subject: format!("{chain}.{kind}"),
            body: json(&body)?.into(),
        })
    }
}

//! What a hub tells as it happens: server-sent events (HTML Living Standard, section 9.2.6), as far as a hub sends them.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;

/// The most bytes of one event.
const EVENT_MAX: usize = 64 * 1024;
/// The longest silence of a stream: a hub says every 15 s that it is there.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Happened {
    /// Its id: what to go on after.
    pub id: u64,
    /// What kind of thing, e.g. `purchase`.
    pub event: String,
    /// What is told of it.
    pub data: Value,
}

/// An open stream.
#[derive(Debug)]
pub struct Events {
    answer: reqwest::Response,
    read: Vec<u8>,
    ready: VecDeque<Happened>,
}

impl Events {
    /// The stream that an answer is.
    pub const fn of(answer: reqwest::Response) -> Self {
        Self { answer, read: Vec::new(), ready: VecDeque::new() }
    }

    /// What happens next; none when the stream has ended or broken off.
    ///
    /// # Errors
    /// It is no stream of a hub's events.
    pub async fn next(&mut self) -> Result<Option<Happened>> {
        loop {
            if let Some(happened) = self.ready.pop_front() {
                return Ok(Some(happened));
            }
            // A stream that broke off is gone on with like one that has ended.
            let Ok(Ok(Some(bytes))) = timeout(SILENCE_MAX, self.answer.chunk()).await else {
                return Ok(None);
            };
            self.read.extend_from_slice(&bytes);
            self.ready.extend(whole(&mut self.read)?);
            if self.read.len() > EVENT_MAX {
                bail!("an event has more than {EVENT_MAX} bytes");
            }
        }
    }
}

/// Takes the events that are whole away from what was read.
fn whole(read: &mut Vec<u8>) -> Result<Vec<Happened>> {
    let mut events = Vec::new();
    while let Some(at) = read.windows(2).position(|two| two == b"\n\n") {
        let event: Vec<u8> = read.drain(..at.saturating_add(2)).collect();
        events.extend(event_of(std::str::from_utf8(&event).context("an event is no text")?)?);
    }
    Ok(events)
}

/// One event; none where there is only a comment.
fn event_of(text: &str) -> Result<Option<Happened>> {
    let (mut id, mut event, mut data) = (None, "message", Vec::new());
    for line in text.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => id = Some(value.parse::<u64>().with_context(|| format!("an event's id `{value:.40}`"))?),
            "event" => event = value,
            "data" => data.push(value),
            // Comments, and what is defined later.
            _ => {}
        }
    }
    if data.is_empty() {
        return Ok(None);
    }
    let id = id.context("an event has no id")?;
    let data = serde_json::from_str(&data.join("\n")).with_context(|| format!("the data of event {id}"))?;
    Ok(Some(Happened { id, event: event.to_owned(), data }))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use serde_json::json;

    use super::*;
    use crate::testing::noise::{edited, edits, json as any_json, text};

    /// The events that are whole in a text that comes in pieces of this size, and what is left of it.
    fn in_pieces(text: &[u8], size: usize) -> Result<(Vec<Happened>, Vec<u8>)> {
        let (mut read, mut found) = (Vec::new(), Vec::new());
        for bytes in text.chunks(size) {
            read.extend_from_slice(bytes);
            found.extend(whole(&mut read)?);
        }
        Ok((found, read))
    }

    proptest! {
        #[test]
        fn what_a_hub_tells_is_read_as_it_was_told(
            told in vec((any::<u64>(), "[a-z]{1,12}", any_json()), 0..6), size in 1..200_usize,
        ) {
            let (mut texts, mut wanted) = (Vec::new(), Vec::new());
            for (id, event, data) in told {
                let data = data.to_string();
                texts.push(format!("id: {id}\nevent: {event}\ndata: {data}\n\n:\n\n"));
                wanted.push(Happened { id, event, data: serde_json::from_str(&data).unwrap() });
            }
            prop_assert_eq!(in_pieces(texts.concat().as_bytes(), size).unwrap(), (wanted, Vec::new()));
        }

        #[test]
        fn a_stream_is_read_or_refused_alike_however_it_is_cut(
            edits in edits(), other in text(), size in 1..50_usize,
        ) {
            let good = b": here\n\nid: 7\nevent: listing\ndata: {\"a\":\ndata: \"b: c\"}\n\nid:8\ndata:2\n\nid: 9\n";
            for text in [edited(good, &edits), other.into_bytes()] {
                let came = [text.len().max(1), size].map(|size| {
                    in_pieces(&text, size).map_err(|error| format!("{error:#}"))
                });
                prop_assert_eq!(&came[0], &came[1]);
            }
        }
    }

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text =
            b": here\n\nid: 7\nevent: listing\ndata: {\"a\":\ndata: \"b: c\"}\n\nid:8\ndata:2\n\nid: 9\n";
        let wanted = [
            Happened { id: 7, event: "listing".to_owned(), data: json!({ "a": "b: c" }) },
            Happened { id: 8, event: "message".to_owned(), data: json!(2) },
        ];
        for size in 1..=text.len() {
            let (mut read, mut found) = (Vec::new(), Vec::new());
            for bytes in text.chunks(size) {
                read.extend_from_slice(bytes);
                found.extend(whole(&mut read).unwrap());
            }
            assert_eq!(found, wanted, "{size}");
            assert_eq!(read, b"id: 9\n");
        }
        for bad in ["id: x\ndata: 1\n\n", "data: 1\n\n", "id: 1\ndata: {\n\n"] {
            assert!(whole(&mut bad.as_bytes().to_vec()).is_err(), "{bad}");
        }
        assert!(whole(&mut vec![0xff, b'\n', b'\n']).is_err());
    }
}

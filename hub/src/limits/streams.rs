//! How many streams may be open at once: all together, and those of one who listens.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use service::http::Problem;

use crate::records::RecordId;

/// How many streams may be open at once, whoever listens.
pub(crate) const STREAMS_MAX: usize = 256;
/// After how many seconds to ask again: that somebody has gone is noticed with the next sign of life, which comes every 15 s.
const AGAIN_S: u32 = 15;

/// Who listens: an account by its sessions and tokens, everybody else by their address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Listener {
    /// Somebody who shows a session or token that stands.
    Account(RecordId),
    /// As [`Limits::origin`](super::Limits::origin) has it.
    Address(IpAddr),
}

/// The streams that are open.
pub(crate) struct Streams {
    /// How many of one listener; 0: no limit but that of all.
    each: usize,
    /// Those who have any, and how many.
    open: Mutex<HashMap<Listener, usize>>,
}

impl Streams {
    pub(crate) fn new(each: u32) -> Self {
        Self { each: usize::try_from(each).unwrap_or(usize::MAX), open: Mutex::default() }
    }

    /// One more, until what is answered is dropped.
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn open(self: &Arc<Self>, who: Listener) -> Result<OpenStream, Full> {
        let mut open = self.kept();
        let own = open.get(&who).copied().unwrap_or(0);
        if self.each > 0 && own >= self.each {
            return Err(Full::Own(self.each));
        }
        if open.values().sum::<usize>() >= STREAMS_MAX {
            return Err(Full::All);
        }
        open.insert(who, own.saturating_add(1));
        Ok(OpenStream { among: self.clone(), who })
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Listener, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that is open for as long as this is kept.
pub(crate) struct OpenStream {
    among: Arc<Streams>,
    who: Listener,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self.among.kept();
        match open.get(&self.who).copied() {
            Some(own @ 2..) => open.insert(self.who, own.saturating_sub(1)),
            _ => open.remove(&self.who),
        };
    }
}

/// Why no more may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// As many are open as one listener may have.
    Own(usize),
    /// As many are open as there may be.
    All,
}

impl Full {
    /// What whoever asks for one more is told.
    pub(crate) fn answer(self) -> Response {
        let most = match self {
            Self::Own(most) => most,
            Self::All => {
                let told = format!("{STREAMS_MAX} streams are open; try again later");
                return Problem::unavailable(told).into_response();
            }
        };
        metrics::counter!("hub_requests_limited_total", "limit" => "streams").increment(1);
        let told = format!(
            "{most} streams of yours are open, which is the most: end one, or ask again in {AGAIN_S} s"
        );
        let kind = "too-many-requests";
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, kind, "There were too many requests", told);
        let mut response = problem.by_rule("streams").into_response();
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(AGAIN_S));
        response
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const fn from(last: u8) -> Listener {
        Listener::Address(IpAddr::V4(Ipv4Addr::new(203, 0, 113, last)))
    }

    #[test]
    fn what_one_has_open_is_counted_and_given_back() {
        let streams = Arc::new(Streams::new(2));
        let (first, second) = (streams.open(from(1)).unwrap(), streams.open(from(1)).unwrap());
        assert_eq!(streams.open(from(1)).err(), Some(Full::Own(2)));
        let other = streams.open(from(2)).unwrap();
        drop(first);
        let third = streams.open(from(1)).unwrap();
        assert_eq!(streams.open(from(1)).err(), Some(Full::Own(2)));
        for one in [second, third, other] {
            drop(one);
        }
        assert!(streams.kept().is_empty());
    }

    #[test]
    fn there_is_a_limit_for_all_together() {
        let streams = Arc::new(Streams::new(0));
        let mut open: Vec<OpenStream> = (0..STREAMS_MAX).map(|_| streams.open(from(1)).unwrap()).collect();
        assert_eq!(streams.open(from(9)).err(), Some(Full::All));
        open.pop();
        assert!(streams.open(from(9)).is_ok());
    }
}

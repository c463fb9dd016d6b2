//! How often somebody may ask: an account by its tokens, everybody else by their address. Each has a bucket of as many requests as a
//! minute has, filled again evenly (GCRA, by `governor`). Answers say how much is left (draft-ietf-httpapi-ratelimit-headers). How many
//! streams somebody may have open is in `streams.rs`.

mod streams;

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    mem,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use governor::{
    Quota, RateLimiter, clock::Clock, middleware::StateInformationMiddleware, nanos::Nanos, state::StateStore,
};
use ipnet::IpNet;
use service::http::Problem;
use sha2::{Digest, Sha256};

pub(crate) use streams::{Listener, OpenStream, Streams};

use crate::{config::Config, records::RecordId, windows::Passing};

/// The most accounts, and the most addresses, whose buckets are kept: those that are full are not, so this is how many may be less
/// than full at one time. Whoever comes beyond them shares one bucket.
const KEPT_MAX: usize = 65_536;
/// The most tokens in each half of those that are remembered.
const STANDING_MAX: usize = KEPT_MAX / 2;
/// Between two looks which buckets are full again, in nanoseconds: a second.
const SWEEP_NS: u64 = 1_000_000_000;
/// The quotas' window.
const WINDOW: Duration = Duration::from_secs(60);
/// The most proxies that may be named.
const PROXIES_MAX: usize = 16;

/// All limits of a hub.
pub(crate) struct Limits {
    account: Option<Limit<RecordId>>,
    address: Option<Limit<IpAddr>>,
    /// Of tokens that do not stand.
    tokens: Option<Limit<IpAddr>>,
    standing: Mutex<Standing>,
    proxies: Vec<IpNet>,
}

impl Limits {
    /// The limits of a configuration, over the time that passes.
    ///
    /// # Errors
    /// As [`proxies`].
    pub(crate) fn new(config: &Config, passing: &Passing) -> Result<Self, String> {
        Ok(Self {
            account: Limit::new("account", config.requests_per_account, passing),
            address: Limit::new("address", config.requests_per_address, passing),
            tokens: Limit::new("address", config.requests_per_address, passing),
            standing: Mutex::default(),
            proxies: proxies(&config.trusted_proxies)?,
        })
    }

    /// Counts a request of an account. None where accounts have no limit.
    pub(crate) fn account(&self, account: RecordId) -> Option<Counted> {
        Some(self.account.as_ref()?.count(account))
    }

    /// Where a request comes from, as it is counted.
    pub(crate) fn origin(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> IpAddr {
        let peer = peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip());
        network(client(peer, headers, &self.proxies))
    }

    /// Counts a request of nobody that is known. None where addresses have no limit.
    pub(crate) fn address(&self, origin: IpAddr) -> Option<Counted> {
        Some(self.address.as_ref()?.count(origin))
    }

    /// Counts a token as one that does not stand, before the database is asked about it. None where addresses have no limit, and of one
    /// that stood when it was last looked up: nobody who is signed in is locked out by what others show from the same address.
    pub(crate) fn token(&self, origin: IpAddr, token: &str) -> Option<Counted> {
        let limit = self.tokens.as_ref()?;
        if self.standing().has(&fingerprint(token)) {
            return None;
        }
        Some(limit.count(origin))
    }

    /// Takes back that a token was counted: it stands, or nobody could find out.
    pub(crate) fn give_back(&self, origin: IpAddr) {
        if let Some(limit) = &self.tokens {
            limit.give_back(origin);
        }
    }

    /// Remembers whether a token stood when it was looked up.
    pub(crate) fn looked_up(&self, token: &str, stands: bool) {
        if self.tokens.is_some() {
            self.standing().set(fingerprint(token), stands);
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is kept of a token.
fn fingerprint(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Tokens that stood when they were last looked up, by their SHA-256: at most [`KEPT_MAX`]. Where there is no room, the half that was
/// not shown for longest is forgotten.
#[derive(Default)]
struct Standing {
    newer: HashSet<[u8; 32]>,
    older: HashSet<[u8; 32]>,
}

impl Standing {
    fn has(&self, token: &[u8; 32]) -> bool {
        self.newer.contains(token) || self.older.contains(token)
    }

    fn set(&mut self, token: [u8; 32], stands: bool) {
        if !stands {
            self.newer.remove(&token);
            self.older.remove(&token);
            return;
        }
        if self.newer.len() >= STANDING_MAX && !self.newer.contains(&token) {
            self.older = mem::take(&mut self.newer);
        }
        self.newer.insert(token);
    }
}

/// The networks of the proxies whose word on the client's address is believed.
///
/// # Errors
/// Names the key, the value and the rule.
pub(crate) fn proxies(texts: &[String]) -> Result<Vec<IpNet>, String> {
    if texts.len() > PROXIES_MAX {
        return Err(format!("trusted_proxies has {} entries and may have {PROXIES_MAX}", texts.len()));
    }
    let read = |text: &String| {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        // Everybody is nobody's proxy, and a peer of version 4 is never written as one of version 6.
        let fits = |network: &IpNet| {
            let mapped = matches!(network.addr(), IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
            network.prefix_len() > 0 && !mapped
        };
        network.ok().filter(fits).ok_or_else(|| {
            format!("trusted_proxies `{text:.60}` must be an address or a network that is not everything, such as 10.0.0.0/8")
        })
    };
    texts.iter().map(read).collect()
}

/// Who asks: the peer, or whom the trusted proxies name in `X-Forwarded-For`: from its end, the first that is no trusted proxy.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let mut known = peer.to_canonical();
    let all = headers.get_all("x-forwarded-for").iter().rev();
    // What a proxy appended stands for itself, whatever was before it.
    let mut named = all.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    while proxies.iter().any(|network| network.contains(&known)) {
        let text = str::from_utf8(named.next().unwrap_or_default()).unwrap_or_default().trim();
        let read = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|at| at.ip()));
        let Ok(address) = read else { break };
        known = address.to_canonical();
    }
    known
}

/// What is counted as one: an address of version 4, a network of 64 bits of version 6, which is the least that a customer gets.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// The time that passes, for `governor`.
struct Passed(Passing);

impl Clock for Passed {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let ms = u64::try_from((self.0)()).unwrap_or(0);
        // Four hundred years leave room for what is added.
        Nanos::from(ms.saturating_mul(1_000_000).min(u64::MAX / 2))
    }
}

/// Buckets by whose they are: the moment at which each is full.
#[derive(Clone)]
struct Buckets<K> {
    /// How long one request takes to be given back.
    interval: u64,
    kept: Arc<Mutex<Kept<K>>>,
}

impl<K> Buckets<K> {
    fn kept(&self) -> MutexGuard<'_, Kept<K>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Buckets<K> {
    /// Fills a bucket by one request. One that is not kept is full, or is that of all for whom there is no room.
    fn give_back(&self, key: &K) {
        let mut kept = self.kept();
        let Kept { of, others, .. } = &mut *kept;
        if let Some(full_at) = of.get_mut(key).or(others.as_mut()) {
            *full_at = Nanos::from(full_at.as_u64().saturating_sub(self.interval));
        }
    }
}

struct Kept<K> {
    of: HashMap<K, Nanos>,
    /// The bucket of everybody for whom there is no room.
    others: Option<Nanos>,
    swept: u64,
}

impl<K: Copy + Eq + Hash> StateStore for Buckets<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut kept = self.kept();
        if let Some(full_at) = kept.of.get_mut(key) {
            let (told, next) = measure(Some(*full_at))?;
            *full_at = next;
            return Ok(told);
        }
        let (told, next) = measure(None)?;
        if kept.of.len() >= KEPT_MAX {
            let now = next.as_u64().saturating_sub(self.interval);
            if now >= kept.swept.saturating_add(SWEEP_NS) {
                kept.swept = now;
                kept.of.retain(|_, full_at| full_at.as_u64() > now);
            }
        }
        if kept.of.len() >= KEPT_MAX {
            let (told, next) = measure(kept.others)?;
            kept.others = Some(next);
            return Ok(told);
        }
        kept.of.insert(*key, next);
        Ok(told)
    }
}

/// A limit, for each of those that it is for.
struct Limit<K: Copy + Eq + Hash> {
    name: &'static str,
    quota: NonZeroU32,
    buckets: Buckets<K>,
    limiter: RateLimiter<K, Buckets<K>, Passed, StateInformationMiddleware>,
}

impl<K: Copy + Eq + Hash> Limit<K> {
    /// None for 0 requests a minute: no limit.
    fn new(name: &'static str, per_minute: u32, passing: &Passing) -> Option<Self> {
        let quota = NonZeroU32::new(per_minute)?;
        let interval = WINDOW.checked_div(per_minute)?;
        let rate = Quota::with_period(interval)?.allow_burst(quota);
        let kept = Arc::new(Mutex::new(Kept { of: HashMap::new(), others: None, swept: 0 }));
        let buckets = Buckets { interval: u64::try_from(interval.as_nanos()).ok()?, kept };
        let limiter = RateLimiter::new(rate, buckets.clone(), Passed(passing.clone()));
        Some(Self { name, quota, buckets, limiter })
    }

    fn give_back(&self, of: K) {
        self.buckets.give_back(&of);
    }

    fn count(&self, of: K) -> Counted {
        let whole = |wait: Duration| wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
        let (remaining, next_s, refused) = match self.limiter.check_key(&of) {
            Ok(state) => {
                let interval = WINDOW.checked_div(self.quota.get()).unwrap_or(WINDOW);
                (state.remaining_burst_capacity(), whole(interval), false)
            }
            Err(until) => (0, whole(until.wait_time_from(self.limiter.clock().now())), true),
        };
        Counted { name: self.name, quota: self.quota.get(), remaining, next_s, refused }
    }
}

/// A request that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    name: &'static str,
    /// Requests a minute.
    quota: u32,
    remaining: u32,
    /// Seconds until one more may be made.
    next_s: u64,
    refused: bool,
}

impl Counted {
    /// The refusal, where there were too many.
    pub(crate) fn refusal(&self) -> Option<Problem> {
        let Self { name, quota, next_s, refused: true, .. } = self else { return None };
        metrics::counter!("hub_requests_limited_total", "limit" => *name).increment(1);
        let told = format!("more than {quota} requests a minute of one {name}: ask again in {next_s} s");
        let kind = "too-many-requests";
        Some(
            Problem::new(StatusCode::TOO_MANY_REQUESTS, kind, "There were too many requests", told)
                .by_rule(*name),
        )
    }

    /// Says in an answer what is left.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let Self { name, quota, remaining, next_s, refused } = self;
        let window = WINDOW.as_secs();
        let mut put = |header: &'static str, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(header, value);
            }
        };
        put("ratelimit-policy", format!("\"{name}\";q={quota};w={window}"));
        put("ratelimit", format!("\"{name}\";r={remaining};t={next_s}"));
        if *refused {
            put(header::RETRY_AFTER.as_str(), next_s.to_string());
        }
    }
}

#[cfg(test)]
mod tests;

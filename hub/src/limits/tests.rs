//! Buckets by themselves, and over HTTP with a clock that stands still until it is moved.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use proptest::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};
use service::db::testing::sqlite;

use super::*;
use crate::testing::{
    Person, RELAYER_KEY, TestHub,
    noise::{edited, edits, text},
};

/// Status, `RateLimit`, `RateLimit-Policy`, `Retry-After`.
async fn told(request: reqwest::RequestBuilder) -> (u16, [String; 3]) {
    let answer = request.send().await.unwrap();
    let header = |name: &str| {
        answer.headers().get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    };
    (answer.status().as_u16(), ["ratelimit", "ratelimit-policy", "retry-after"].map(header))
}

fn left(status: u16, limit: &str, policy: &str, retry: &str) -> (u16, [String; 3]) {
    (status, [limit, policy, retry].map(str::to_owned))
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_ask_again() {
    let hub = TestHub::start(sqlite(), |config| config.requests_per_address = 3).await;
    let ask = || told(hub.request(Method::GET, "/v1/listings"));
    let policy = "\"address\";q=3;w=60";
    for remaining in [2, 1, 0] {
        let limit = format!("\"address\";r={remaining};t=20");
        assert_eq!(ask().await, left(200, &limit, policy, ""));
    }
    assert_eq!(ask().await, left(429, "\"address\";r=0;t=20", policy, "20"));
    let refused = hub.get("/v1/listings").await;
    assert_eq!(refused.refusal(), (429, "", "address", ""));
    assert_eq!(refused.body["type"], "/problems/too-many-requests");
    // What is refused does not count; one is given back after a third of a minute.
    hub.clock.pass_ms(19_500);
    assert_eq!(ask().await, left(429, "\"address\";r=0;t=1", policy, "1"));
    hub.clock.pass_ms(500);
    assert_eq!(ask().await, left(200, "\"address\";r=0;t=20", policy, ""));
    assert_eq!(ask().await.0, 429);
    // A clock that is set changes nothing; after a minute the bucket is full, and not more than that.
    hub.clock.leap_ms(3_600_000);
    assert_eq!(ask().await.0, 429);
    hub.clock.pass_ms(3_600_000);
    for status in [200, 200, 200, 429] {
        assert_eq!(ask().await.0, status);
    }
    // The shell's own answers are for whoever watches.
    for path in ["/health", "/ready", "/metrics"] {
        assert_eq!(told(hub.request(Method::GET, path)).await, left(200, "", "", ""));
    }
    hub.end().await;
}

#[tokio::test]
async fn an_account_is_counted_apart_from_its_address_and_the_relayer_not_at_all() {
    let hub = TestHub::start(sqlite(), |config| {
        config.requests_per_account = 2;
        config.requests_per_address = 20;
    })
    .await;
    let anna = Person::arrive(&hub, 1).await;
    let (one, two) = (anna.sign_in(&hub).await, anna.sign_in(&hub).await);
    let ben = Person::arrive(&hub, 2).await.sign_in(&hub).await;
    let ask = |token: String| told(hub.request(Method::GET, "/v1/ledger/accounts").bearer_auth(token));
    let policy = "\"account\";q=2;w=60";
    // All sessions of an account together.
    assert_eq!(ask(one.clone()).await, left(200, "\"account\";r=1;t=30", policy, ""));
    assert_eq!(ask(two.clone()).await, left(200, "\"account\";r=0;t=30", policy, ""));
    assert_eq!(ask(one.clone()).await, left(429, "\"account\";r=0;t=30", policy, "30"));
    assert_eq!(hub.get_as(&two, "/v1/ledger/accounts").await.refusal().2, "account");
    assert_eq!(ask(ben).await.0, 200);
    // Tokens that are none are counted where they come from.
    let mut refused = Vec::new();
    while refused.last() != Some(&429) {
        assert!(refused.len() < 20, "{refused:?}");
        refused.push(ask("no.token".to_owned()).await.0);
    }
    assert!(refused.iter().rev().skip(1).all(|status| *status == 401) && refused.len() > 1, "{refused:?}");
    assert_eq!(hub.get("/v1/listings").await.refusal().2, "address");
    for _ in 0..30 {
        let poll = hub.request(Method::GET, "/v1/intents").bearer_auth(RELAYER_KEY);
        assert_eq!(told(poll).await, left(200, "", "", ""));
    }
    assert_eq!(hub.get_as("not-the-relayer", "/v1/intents").await.refusal().2, "address");
    hub.end().await;
}

#[tokio::test]
async fn tokens_that_do_not_stand_are_looked_up_as_often_as_an_address_may_ask() {
    let hub = TestHub::start(sqlite(), |config| config.requests_per_address = 20).await;
    let anna = Person::arrive(&hub, 1).await;
    let (session, unseen) = (anna.sign_in(&hub).await, anna.sign_in(&hub).await);
    let ask = |token: &str| told(hub.request(Method::GET, "/v1/ledger/accounts").bearer_auth(token));
    // One that stands takes nothing from the address.
    for _ in 0..50 {
        assert_eq!(ask(&session).await, left(200, "", "", ""));
    }
    let mut refused = Vec::new();
    for _ in 0..20 {
        refused.push(ask("no.token").await.0);
    }
    assert!(refused.contains(&401) && refused.last() == Some(&429), "{refused:?}");
    // Now none is looked up but one that stood the last time, which no flood of others keeps out.
    let policy = "\"address\";q=20;w=60";
    assert_eq!(ask(&session).await, left(200, "", "", ""));
    assert_eq!(ask(&unseen).await, left(429, "\"address\";r=0;t=3", policy, "3"));
    assert_eq!(ask("no.token").await, left(429, "\"address\";r=0;t=3", policy, "3"));
    let poll = hub.request(Method::GET, "/v1/intents").bearer_auth(RELAYER_KEY);
    assert_eq!(told(poll).await.0, 200);
    // One more may be looked up, and as it stands, another one after it.
    hub.clock.pass_ms(3_000);
    for token in [&unseen, &session] {
        for _ in 0..25 {
            assert_eq!(ask(token).await, left(200, "", "", ""));
        }
    }
    hub.end().await;
}

#[tokio::test]
async fn a_look_up_that_fails_says_nothing_of_the_token() {
    let hub = TestHub::start(sqlite(), |config| config.requests_per_address = 20).await;
    let anna = Person::arrive(&hub, 1).await;
    let (session, unseen) = (anna.sign_in(&hub).await, anna.sign_in(&hub).await);
    let ask = |token: &str| told(hub.request(Method::GET, "/v1/ledger/accounts").bearer_auth(token));
    assert_eq!(ask(&session).await, left(200, "", "", ""));
    sqlx::query("UPDATE sessions SET scopes = '{'").execute(&hub.eyes).await.unwrap();
    for token in [&session, &unseen] {
        for _ in 0..25 {
            assert_eq!(ask(token).await, left(500, "", "", ""));
        }
    }
    sqlx::query("UPDATE sessions SET scopes = NULL").execute(&hub.eyes).await.unwrap();
    for token in [&session, &unseen] {
        assert_eq!(ask(token).await, left(200, "", "", ""));
    }
    hub.end().await;
}

#[tokio::test]
async fn what_is_not_there_is_counted_too() {
    let hub = TestHub::start(sqlite(), |config| config.requests_per_address = 3).await;
    let policy = "\"address\";q=3;w=60";
    let none_left = left(429, "\"address\";r=0;t=20", policy, "20");
    for (method, path, status, remaining) in
        [("GET", "/v1/nothing", 404, 2), ("PUT", "/v1/records", 405, 1), ("POST", "/nothing", 404, 0)]
    {
        let limit = format!("\"address\";r={remaining};t=20");
        assert_eq!(
            told(hub.request(method.parse().unwrap(), path)).await,
            left(status, &limit, policy, ""),
            "{path}"
        );
    }
    for (method, path) in [("GET", "/v1/nothing"), ("PUT", "/v1/records"), ("GET", "/v1/listings")] {
        assert_eq!(told(hub.request(method.parse().unwrap(), path)).await, none_left, "{path}");
    }
    // Pages for people, and the relayer.
    for page in ["/docs/", "/sign-in"] {
        assert_eq!(told(hub.request(Method::GET, page)).await, left(200, "", "", ""), "{page}");
    }
    let lost = hub.request(Method::GET, "/v1/nothing").bearer_auth(RELAYER_KEY);
    assert_eq!(told(lost).await, left(404, "", "", ""));
    hub.end().await;
}

#[tokio::test]
async fn a_trusted_proxy_says_who_asks_and_nobody_else_does() {
    let by = async |hub: &TestHub, forwarded: &str| {
        let request = hub.request(Method::GET, "/v1/listings").header("x-forwarded-for", forwarded);
        told(request).await.0
    };
    let hub = TestHub::start(sqlite(), |config| {
        config.requests_per_address = 1;
        config.trusted_proxies = vec!["127.0.0.0/8".to_owned(), "10.0.0.1".to_owned()];
    })
    .await;
    assert_eq!(by(&hub, "203.0.113.1").await, 200);
    assert_eq!(by(&hub, "203.0.113.1").await, 429);
    // What stands before the last that is not trusted is anybody's word.
    assert_eq!(by(&hub, "198.51.100.9, 203.0.113.1").await, 429);
    assert_eq!(by(&hub, "203.0.113.1, 10.0.0.1").await, 429);
    assert_eq!(by(&hub, "203.0.113.2, 10.0.0.1").await, 200);
    // One network of 64 bits is one.
    assert_eq!(by(&hub, "2001:db8:1:2::1").await, 200);
    assert_eq!(by(&hub, "[2001:db8:1:2:ffff::2]:4711").await, 429);
    assert_eq!(by(&hub, "2001:db8:1:3::1").await, 200);
    // What cannot be read is the proxy's own.
    assert_eq!(by(&hub, "unknown").await, 200);
    assert_eq!(by(&hub, "somebody").await, 429);
    hub.end().await;

    let hub = TestHub::start(sqlite(), |config| config.requests_per_address = 1).await;
    assert_eq!(by(&hub, "203.0.113.1").await, 200);
    assert_eq!(by(&hub, "203.0.113.2").await, 429);
    hub.end().await;
}

proptest! {
    /// What anybody wrote before it reached a trusted proxy decides nothing.
    #[test]
    fn whatever_is_forwarded_who_asks_is_whom_the_last_trusted_proxy_names(
        edits in edits(), other in text(), first in 11_u8.., rest: [u8; 3], port: u16,
    ) {
        let field = header::HeaderName::from_static("x-forwarded-for");
        let trusted = proxies(&["10.0.0.0/8".to_owned(), "2001:db8::/32".to_owned()]).unwrap();
        let (proxy, stranger) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([203, 0, 113, 9]));
        let asks = IpAddr::from([first, rest[0], rest[1], rest[2]]);
        for noise in [edited(b"198.51.100.9, [2001:db8::1]:80, 10.0.0.1", &edits), other.into_bytes()] {
            let Ok(value) = HeaderValue::from_bytes(&noise) else { continue };
            let headers = HeaderMap::from_iter([(field.clone(), value)]);
            prop_assert_eq!(client(stranger, &headers, &trusted), stranger);
            let _ = client(proxy, &headers, &trusted);
            let with_port = SocketAddr::new(asks, port).to_string();
            for appended in [asks.to_string(), with_port, format!("{asks} , [2001:db8::7]:443,10.1.2.3")] {
                let mut apart = headers.clone();
                apart.append(&field, appended.parse().unwrap());
                let joined = [noise.as_slice(), b",", appended.as_bytes()].concat();
                let joined = HeaderValue::from_bytes(&joined).unwrap();
                for headers in [apart, HeaderMap::from_iter([(field.clone(), joined)])] {
                    prop_assert_eq!(client(proxy, &headers, &trusted), asks, "{:?}", headers);
                }
            }
        }
    }
}

/// A limit and the milliseconds that have passed.
fn limit(per_minute: u32) -> (Limit<u32>, Arc<AtomicI64>) {
    let passed = Arc::new(AtomicI64::new(0));
    let at = passed.clone();
    let passing: Passing = Arc::new(move || at.load(Ordering::SeqCst));
    (Limit::new("address", per_minute, &passing).unwrap(), passed)
}

#[test]
fn however_many_ask_no_more_buckets_are_kept_than_there_is_room_for() {
    let (limit, passed) = limit(2);
    let room = u32::try_from(KEPT_MAX).unwrap();
    for of in 0..room {
        assert!(!limit.count(of).refused);
    }
    // Two more share what is left, and those who have a bucket keep it.
    assert!(!limit.count(room).refused && !limit.count(room + 1).refused);
    assert!(limit.count(room + 2).refused);
    assert!(!limit.count(7).refused && limit.count(7).refused);
    // Those that are full again make room.
    passed.store(30_000, Ordering::SeqCst);
    assert!(!limit.count(room + 3).refused && !limit.count(room + 3).refused);
    assert!(limit.count(room + 3).refused);
    assert!(limit.buckets.kept().of.len() < 10);
}

#[test]
fn no_more_tokens_are_remembered_than_there_is_room_for() {
    let mut standing = Standing::default();
    let token = |nth: usize| fingerprint(&nth.to_string());
    for nth in 0..=KEPT_MAX {
        standing.set(token(nth), true);
        // One that is shown again is remembered for longer.
        if nth == STANDING_MAX {
            standing.set(token(1), true);
        }
    }
    assert!(standing.newer.len() + standing.older.len() <= KEPT_MAX);
    assert!(!standing.has(&token(0)));
    for nth in [1, KEPT_MAX] {
        assert!(standing.has(&token(nth)));
        standing.set(token(nth), false);
        assert!(!standing.has(&token(nth)));
    }
}

#[test]
fn what_is_given_back_is_there_once() {
    let (limit, passed) = limit(2);
    for _ in 0..5 {
        assert!(!limit.count(1).refused);
        limit.give_back(1);
    }
    assert!(!limit.count(1).refused && !limit.count(1).refused && limit.count(1).refused);
    limit.give_back(1);
    assert!(!limit.count(1).refused && limit.count(1).refused);
    // A bucket is never more than full.
    passed.store(60_000, Ordering::SeqCst);
    limit.give_back(1);
    limit.give_back(2);
    for of in [1, 2] {
        assert!(!limit.count(of).refused && !limit.count(of).refused && limit.count(of).refused);
    }
}

#[test]
fn the_largest_limit_and_the_longest_time_are_counted() {
    let (limit, passed) = limit(u32::MAX);
    for at in [0, i64::MIN, i64::MAX, i64::MAX] {
        passed.store(at, Ordering::SeqCst);
        let counted = limit.count(1);
        assert!(!counted.refused && counted.remaining > u32::MAX - 10, "{counted:?}");
    }
}

#[tokio::test]
async fn proxies_are_addresses_or_networks() {
    let of = |texts: &[&str]| {
        let trusted_proxies = texts.iter().map(|text| (*text).to_owned()).collect();
        Config { trusted_proxies, ..Config::default() }.public()
    };
    assert!(of(&["10.0.0.0/8", "::1", "2001:db8::/32"]).is_ok());
    for bad in ["", "proxy.example", "10.0.0.0/33", "10.0.0.1:80", "0.0.0.0/0", "::/0", "::ffff:10.0.0.0/104"]
    {
        assert!(of(&[bad]).unwrap_err().contains("trusted_proxies"), "{bad}");
    }
    assert!(of(&["::1"; 17]).unwrap_err().contains("17"));
    let wrong: Value = json!({ "requests_per_account": -1 });
    assert!(serde_json::from_value::<Config>(wrong).is_err());
}

#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use std::time::Duration;

use futures::future::join_all;
use proptest::{collection::vec, prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use service::db::testing::sqlite;
use tokio::runtime::Runtime;

use super::store;
use crate::{
    access::Audience,
    config::Config,
    records::RecordId,
    testing::{
        Person, TestHub,
        noise::{edited, edits, text},
        trade::{Trade, everywhere},
    },
};

/// A stream of server-sent events, and what was read of it.
struct Stream {
    answer: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(hub: &TestHub, query: &str, token: Option<&str>, last: Option<&str>) -> Self {
        let mut request = hub.request(reqwest::Method::GET, &format!("/v1/events{query}"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { answer, text: String::new() }
    }

    /// Reads until that holds of what was read, or the stream has ended; a minute at the most. Answers whether it goes on.
    async fn read_until(&mut self, holds: impl Fn(&str) -> bool) -> bool {
        let read = async {
            while !holds(&self.text) {
                let Some(chunk) = self.answer.chunk().await.unwrap() else { return false };
                self.text.push_str(std::str::from_utf8(&chunk).unwrap());
            }
            true
        };
        tokio::time::timeout(Duration::from_secs(60), read).await.unwrap()
    }

    /// What has come: id, topic and data of each event.
    fn told(&self) -> Vec<(String, String, Value)> {
        let field = |event: &str, name: &str| {
            event
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_default()
                .trim_start_matches(": ")
                .to_owned()
        };
        self.text
            .split("\n\n")
            .filter(|event| event.contains("data"))
            .map(|event| {
                let data = serde_json::from_str(&field(event, "data")).unwrap();
                (field(event, "id"), field(event, "event"), data)
            })
            .collect()
    }
}

/// The first `count` events of a stream that nobody in particular reads.
async fn events(hub: &TestHub, query: &str, last: Option<&str>, count: usize) -> Vec<(String, String)> {
    let mut stream = Stream::open(hub, query, None, last).await;
    assert!(stream.read_until(|text| text.matches("\n\n").count() >= count).await);
    stream.told().into_iter().map(|(id, topic, _)| (id, topic)).collect()
}

/// Where the stream is now.
async fn newest(hub: &TestHub) -> i64 {
    sqlx::query_scalar("SELECT CAST(MAX(seq) AS BIGINT) FROM outbox").fetch_one(&hub.eyes).await.unwrap()
}

/// Something public that ends what is waited for.
async fn end_with(hub: &TestHub, by: &Person) -> RecordId {
    hub.clock.pass_ms(1);
    hub.say(&by.record(hub, "community@1", json!({ "name": "The end" }))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_hears_of_its_purchase_and_a_stranger_of_what_is_public_alone() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let hub = &trade.hub;
        let query = format!("?after={}", newest(hub).await);
        let bought = trade.offer(1).await;
        let end = end_with(hub, &trade.seller).await.to_string();
        let (buyer, seller) = (trade.buyer.sign_in(hub).await, trade.seller.sign_in(hub).await);
        let other = trade.jurors[0].sign_in(hub).await;
        for (token, hears) in
            [(Some(&buyer), true), (Some(&seller), true), (Some(&other), false), (None, false)]
        {
            let mut stream = Stream::open(hub, &query, token.map(String::as_str), None).await;
            assert!(stream.read_until(|text| text.contains(&end) && text.ends_with("\n\n")).await);
            let of_purchase = stream.told().into_iter().filter(|(_, topic, _)| topic == "purchase");
            let purchases: Vec<Value> = of_purchase.map(|(_, _, data)| data["purchase"].clone()).collect();
            assert_eq!(purchases, if hears { vec![json!(bought.id)] } else { vec![] });
        }
        trade.hub.end().await;
    }
}

/// A closed community of Anna's to which Ben belongs.
async fn closed_with(hub: &TestHub, anna: &Person, ben: &Person) -> RecordId {
    let draft = anna
        .draft(hub, "community@1", json!({ "name": "Closed" }))
        .only_for(vec![Audience::Account(anna.account)]);
    let community = hub.say(&draft.sign(&anna.device).unwrap()).await;
    let body = json!({ "account": ben.account, "role": "member" });
    hub.say(&anna.record_about(hub, "membership@1", community, body.clone())).await;
    hub.say(&ben.record_about(hub, "membership@1", community, body)).await;
    community
}

/// Anna invites somebody, of which the community hears.
async fn invite(hub: &TestHub, anna: &Person, community: RecordId, who: &Person) {
    hub.clock.pass_ms(1);
    let body = json!({ "account": who.account, "role": "member" });
    hub.say(&anna.record_about(hub, "membership@1", community, body)).await;
}

/// Whose invitations a stream has told.
fn invited(stream: &Stream) -> Vec<Value> {
    let all = stream.told().into_iter().filter(|(_, topic, _)| topic == "invitation");
    all.map(|(_, _, data)| data["account"].clone()).collect()
}

#[tokio::test]
async fn who_is_expelled_hears_no_more_of_the_community() {
    for hub in TestHub::on_both().await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let (cora, dora) = (Person::arrive(&hub, 3).await, Person::arrive(&hub, 4).await);
        let community = closed_with(&hub, &anna, &ben).await;
        let token = ben.sign_in(&hub).await;
        let query = format!("?after={}", newest(&hub).await);
        let mut stream = Stream::open(&hub, &query, Some(&token), None).await;
        invite(&hub, &anna, community, &cora).await;
        let heard_of = cora.account.to_string();
        assert!(stream.read_until(|text| text.contains(&heard_of) && text.ends_with("\n\n")).await);
        let sent_away = json!({ "account": ben.account, "role": null });
        hub.say(&anna.record_about(&hub, "membership@1", community, sent_away)).await;
        invite(&hub, &anna, community, &dora).await;
        let end = end_with(&hub, &anna).await.to_string();
        // The same stream goes on with what is public.
        assert!(stream.read_until(|text| text.contains(&end) && text.ends_with("\n\n")).await);
        assert_eq!(invited(&stream), [json!(cora.account)]);
        drop(stream);
        hub.end().await;
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_session_or_token() {
    for hub in TestHub::on_both().await {
        let (anna, ben, cora) =
            (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await, Person::arrive(&hub, 3).await);
        let community = closed_with(&hub, &anna, &ben).await;
        let (left, lasting) = (ben.sign_in(&hub).await, ben.sign_in(&hub).await);
        let asked = json!({ "label": "phone", "scopes": ["read:events"], "days": 1 });
        let request = ben.token_request(&hub, asked).await;
        let made = hub.post_as(&lasting, "/v1/tokens", &request).await;
        assert_eq!(made.status, 201, "{made:?}");
        let query = format!("?after={}", newest(&hub).await);
        let mut streams = Vec::new();
        for token in [left.as_str(), made.body["token"].as_str().unwrap(), lasting.as_str()] {
            streams.push(Stream::open(&hub, &query, Some(token), None).await);
        }
        assert_eq!(hub.delete_as(&left, "/v1/sessions/current").await.status, 204);
        let path = format!("/v1/tokens/{}", made.body["id"].as_str().unwrap());
        assert_eq!(hub.delete_as(&lasting, &path).await.status, 204);
        invite(&hub, &anna, community, &cora).await;
        let heard_of = cora.account.to_string();
        for (nth, stream) in streams.iter_mut().enumerate() {
            let goes_on = stream.read_until(|text| text.contains(&heard_of) && text.ends_with("\n\n")).await;
            assert_eq!((goes_on, invited(stream).len()), (nth == 2, usize::from(nth == 2)), "{nth}");
        }
        // Nobody has to say anything: the twelve hours of the last one are over.
        hub.clock.pass_ms(12 * 60 * 60 * 1000);
        assert!(!streams[2].read_until(|_| false).await);
        drop(streams);
        hub.end().await;
    }
}

#[tokio::test]
async fn what_is_public_is_told_in_order_from_any_point() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let hidden = anna
            .draft(&hub, "community@1", json!({ "name": "Hidden" }))
            .only_for(vec![Audience::Account(anna.account)]);
        hub.say(&hidden.sign(&anna.device).unwrap()).await;
        // One stream is open before it happens: it is woken, not polled by the test.
        let (live, _) = tokio::join!(events(&hub, "?after=3", None, 1), async {
            hub.say(&anna.record(&hub, "community@1", json!({ "name": "Gardens" }))).await
        });
        let told = |list: &[(&str, &str)]| {
            list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>()
        };
        // 1 is the hub's own account, 2 Anna's, 3 is hidden.
        assert_eq!(live, told(&[("4", "community")]));
        assert_eq!(
            events(&hub, "", None, 3).await,
            told(&[("1", "account"), ("2", "account"), ("4", "community")])
        );
        assert_eq!(events(&hub, "?after=0", Some("2"), 1).await, told(&[("4", "community")]));
        assert_eq!(hub.get("/v1/events?after=x").await.refusal().0, 400);
        let bad = hub.request(reqwest::Method::GET, "/v1/events").header("last-event-id", "x");
        assert_eq!(hub.ask(bad).await.refusal(), (400, "", "", "Last-Event-ID"));
        hub.end().await;
    }
}

#[tokio::test]
async fn nobody_takes_the_streams_of_others() {
    let change = |config: &mut Config| {
        config.streams_per_reader = 2;
        config.trusted_proxies = vec!["127.0.0.0/8".to_owned()];
    };
    for hub in TestHub::on_both_with(change).await {
        let anna = Person::arrive(&hub, 1).await;
        let token = anna.sign_in(&hub).await;
        let open = async |from: &str, token: Option<&str>| {
            let request = hub.request(reqwest::Method::GET, "/v1/events").header("x-forwarded-for", from);
            let request = match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            };
            request.send().await.unwrap()
        };
        let (here, there) = ("203.0.113.1", "203.0.113.2");
        let mut streams = Vec::new();
        // As many of an address without a session, of another one, and of an account from wherever.
        for (from, token) in [
            (here, None),
            (here, None),
            (there, None),
            (there, None),
            (here, Some(token.as_str())),
            (there, Some(token.as_str())),
        ] {
            let stream = open(from, token).await;
            assert_eq!(stream.status().as_u16(), 200, "{from} {token:?}");
            streams.push(stream);
        }
        for (from, token) in [(here, None), (there, None), (here, Some(token.as_str()))] {
            let refused = open(from, token).await;
            assert_eq!(refused.status().as_u16(), 429, "{from} {token:?}");
            assert_eq!(refused.headers()["retry-after"], "15");
            let problem: Value = refused.json().await.unwrap();
            assert_eq!(
                (&problem["type"], &problem["rule"]),
                (&json!("/problems/too-many-requests"), &json!("streams"))
            );
        }
        // One that its listener leaves is given back, and so are those that end with their session.
        drop(streams.remove(0));
        let again = async {
            loop {
                let stream = open(here, None).await;
                if stream.status().as_u16() == 200 {
                    return stream;
                }
            }
        };
        streams.push(tokio::time::timeout(Duration::from_secs(60), again).await.unwrap());
        assert_eq!(open(there, None).await.status().as_u16(), 429);
        assert_eq!(hub.delete_as(&token, "/v1/sessions/current").await.status, 204);
        for answer in streams.drain(3..5) {
            let mut stream = Stream { answer, text: String::new() };
            assert!(!stream.read_until(|_| false).await);
        }
        let token = anna.sign_in(&hub).await;
        for status in [200, 200, 429] {
            let stream = open(here, Some(&token)).await;
            assert_eq!(stream.status().as_u16(), status);
            streams.push(stream);
        }
        drop(streams);
        hub.end().await;
    }
}

#[test]
fn what_is_no_number_names_no_event() {
    let runtime = Runtime::new().unwrap();
    let hub = runtime.block_on(TestHub::start(sqlite(), |_| {}));
    let after =
        |value: &HeaderValue| hub.request(reqwest::Method::GET, "/v1/events").header("last-event-id", value);
    for good in ["0", "7", "18446744073709551615"] {
        let answer = runtime.block_on(after(&HeaderValue::from_static(good)).send()).unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{good}");
    }
    proptest!(|(edits in edits(), other in text())| {
        for bytes in [edited(b"18446744073709551615", &edits), other.into_bytes()] {
            let Ok(value) = HeaderValue::from_bytes(&bytes) else { continue };
            // What is one opens a stream, as above.
            if value.to_str().is_ok_and(|text| text.trim().parse::<u64>().is_ok()) {
                continue;
            }
            let answer = runtime.block_on(hub.ask(after(&value)));
            prop_assert_eq!(answer.refusal(), (400, "", "", "Last-Event-ID"), "{:?}", value);
        }
    });
    runtime.block_on(hub.end());
}

/// Writers and readers of the model test.
const WRITERS: u8 = 4;
const READERS: usize = 4;
/// What each writer says.
const SAID: usize = 25;

/// Says so much at once with others; what is hidden is for the writer alone.
async fn writes(hub: &TestHub, person: &Person, hidden: &[bool]) {
    for (nth, hidden) in hidden.iter().enumerate() {
        let draft = person.draft(hub, "community@1", json!({ "name": format!("Garden {nth}") }));
        let own = vec![Audience::Account(person.account)];
        let draft = if *hidden { draft.only_for(own) } else { draft };
        hub.say(&draft.sign(&person.device).unwrap()).await;
    }
}

/// Goes on after the last that it has read, for as many as each stop says, until it has read all: a page at a time, each over
/// another connection.
async fn reads_pages(hub: &TestHub, stops: &[usize], all: i64) {
    let mut after = 0;
    for stop in stops.iter().cycle() {
        let mut on = hub.eyes.acquire().await.unwrap();
        for one in store::page(&mut on, after, i64::try_from(*stop).unwrap()).await.unwrap() {
            // What is committed later stands later: nothing comes between what has been read already.
            assert_eq!(one.seq, after + 1);
            after = one.seq;
        }
        if after == all {
            return;
        }
        drop(on);
        tokio::task::yield_now().await;
    }
}

/// Reads so many events behind this one and hangs up; whatever else has come with them is lost.
async fn hears(hub: &TestHub, after: i64, count: usize) -> Vec<i64> {
    let request = hub.request(reqwest::Method::GET, "/v1/events");
    let mut answer = request.header("last-event-id", after.to_string()).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let (mut text, mut heard) = (String::new(), Vec::new());
    while heard.len() < count {
        text.push_str(std::str::from_utf8(&answer.chunk().await.unwrap().unwrap()).unwrap());
        while let Some((event, rest)) = text.split_once("\n\n") {
            let id = event.lines().find_map(|line| line.strip_prefix("id:"));
            heard.extend(id.map(|id| id.trim().parse::<i64>().unwrap()));
            text = rest.to_owned();
        }
    }
    heard.truncate(count);
    heard
}

/// As [`reads_pages`], over HTTP, until it has heard all that is public.
async fn hears_all(hub: &TestHub, stops: &[usize], all: usize) -> Vec<i64> {
    let mut heard: Vec<i64> = Vec::new();
    for stop in stops.iter().cycle() {
        if heard.len() == all {
            break;
        }
        let after = heard.last().copied().unwrap_or_default();
        heard.extend(hears(hub, after, (*stop).min(all - heard.len())).await);
    }
    heard
}

/// Whoever reads, from wherever, while others write: everything once, in one order, without a gap that fills later.
#[tokio::test(flavor = "multi_thread")]
async fn readers_that_stop_and_go_on_get_everything_once_while_others_write() {
    let mut runner = TestRunner::deterministic();
    for hub in TestHub::on_both().await {
        let mut people = Vec::new();
        for seed in 1..=WRITERS {
            people.push(Person::arrive(&hub, seed).await);
        }
        let random = (
            vec(vec(any::<bool>(), SAID), people.len()),
            vec(vec(1..8_usize, 16), READERS),
            vec(vec(1..8_usize, 16), READERS),
        );
        let (hidden, pages, streams) = random.new_tree(&mut runner).unwrap().current();
        // The hub's account and everybody's are public.
        let said = 1 + people.len() * (1 + SAID);
        let public = said - hidden.iter().flatten().filter(|hidden| **hidden).count();
        let writing = people.iter().zip(&hidden).map(|(person, hidden)| writes(&hub, person, hidden));
        let all = i64::try_from(said).unwrap();
        let paging = pages.iter().map(|stops| reads_pages(&hub, stops, all));
        let hearing = streams.iter().map(|stops| hears_all(&hub, stops, public));
        let together = async { tokio::join!(join_all(writing), join_all(paging), join_all(hearing)) };
        let (_, _, heard) = tokio::time::timeout(Duration::from_secs(120), together).await.unwrap();
        assert_eq!(hub.happened().await.len(), said);
        let whole = store::page(&mut hub.eyes.acquire().await.unwrap(), 0, all).await.unwrap();
        let open = whole.iter().filter(|one| one.audience.contains(&Audience::Public));
        let open: Vec<i64> = open.map(|one| one.seq).collect();
        assert_eq!(open.len(), public);
        for heard in heard {
            assert_eq!(heard, open);
        }
        hub.end().await;
    }
}

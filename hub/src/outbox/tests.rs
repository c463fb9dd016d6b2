#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use std::time::Duration;

use futures::future::join_all;
use proptest::{collection::vec, prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use serde_json::json;

use super::store;
use crate::{
    access::Audience,
    testing::{Person, TestHub},
};

/// Reads server-sent events until `count` have come, at most ten seconds.
async fn events(hub: &TestHub, query: &str, last: Option<&str>, count: usize) -> Vec<(String, String)> {
    let mut request = hub.request(reqwest::Method::GET, &format!("/v1/events{query}"));
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let read = async {
        let mut text = String::new();
        while text.matches("\n\n").count() < count {
            text.push_str(std::str::from_utf8(&answer.chunk().await.unwrap().unwrap()).unwrap());
        }
        text
    };
    let text = tokio::time::timeout(Duration::from_secs(10), read).await.unwrap();
    let field = |event: &str, name: &str| {
        event
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default()
            .trim_start_matches(": ")
            .to_owned()
    };
    text.split("\n\n")
        .filter(|event| !event.is_empty())
        .map(|event| (field(event, "id"), field(event, "event")))
        .collect()
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

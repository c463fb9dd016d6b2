use std::time::Duration;

use serde_json::json;

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

//! The ledger as people meet it: signed records in, statements out.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    access::Audience,
    records::RecordId,
    testing::{Person, TestHub},
};

/// A record that both of them can read.
pub(super) fn between(hub: &TestHub, who: &Person, other: &Person, kind: &str, body: Value) -> Value {
    let draft = who.draft(hub, kind, body);
    draft.only_for(vec![Audience::Account(other.account)]).sign(&who.device).unwrap()
}

pub(super) fn about(
    hub: &TestHub,
    who: &Person,
    other: &Person,
    kind: &str,
    hold: RecordId,
    body: Value,
) -> Value {
    let draft = who.draft(hub, kind, body).about(hold);
    draft.only_for(vec![Audience::Account(other.account)]).sign(&who.device).unwrap()
}

pub(super) fn transfer(to: &Person, amount: &str) -> Value {
    json!({ "asset": "time_credit", "to": to.account, "amount": amount, "note": "" })
}

pub(super) fn hold(to: &Person, amount: &str, expires: &str) -> Value {
    json!({ "asset": "time_credit", "to": to.account, "amount": amount, "expires": expires, "note": "a fence" })
}

async fn statement(hub: &TestHub, token: &str, query: &str) -> Value {
    let answer = hub.get_as(token, &format!("/v1/ledger/statement{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// Balance, available, held, incoming.
pub(super) async fn stands(hub: &TestHub, token: &str) -> [String; 4] {
    let account = statement(hub, token, "").await["account"].clone();
    ["balance", "available", "held", "incoming"].map(|name| account[name].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn hours_go_from_who_signs_to_who_is_named_down_to_the_limit() {
    for hub in TestHub::on_both_with(|config| config.time_credit_limit = 1_000).await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let (a, b) = (anna.sign_in(&hub).await, ben.sign_in(&hub).await);
        assert_eq!(stands(&hub, &a).await, ["0", "0", "0", "0"]);
        let first = between(&hub, &anna, &ben, "transfer@1", transfer(&ben, "650"));
        let paid = hub.say(&first).await;
        assert_eq!(hub.post("/v1/records", &first).await.status, 200);
        assert_eq!(stands(&hub, &a).await, ["-650", "-650", "0", "0"]);
        assert_eq!(stands(&hub, &b).await, ["650", "650", "0", "0"]);

        let refuses = async |body: Value| {
            let (status, _, rule, field) = hub.refuses(&between(&hub, &anna, &ben, "transfer@1", body)).await;
            (status, rule, field)
        };
        let told = |status, rule: &str, field: &str| (status, rule.to_owned(), field.to_owned());
        assert_eq!(refuses(transfer(&ben, "351")).await, told(409, "below_floor", "/body/amount"));
        assert_eq!(refuses(transfer(&ben, "0")).await, told(422, "amount", "/body/amount"));
        assert_eq!(refuses(transfer(&ben, "-5")).await, told(422, "amount", "/body/amount"));
        assert_eq!(refuses(transfer(&ben, "1.5")).await, told(422, "body", "/body/amount"));
        let huge = "100000000000000000000000000000000000000";
        assert_eq!(refuses(transfer(&ben, huge)).await, told(422, "amount", "/body/amount"));
        assert_eq!(refuses(transfer(&anna, "1")).await, told(422, "same_account", "/body/to"));
        let with = |name: &str, value: Value| {
            let mut body = transfer(&ben, "1");
            body[name] = value;
            body
        };
        assert_eq!(refuses(with("asset", json!("hours"))).await, told(422, "body", "/body/asset"));
        assert_eq!(
            refuses(with("asset", json!(anna.account))).await,
            told(422, "unknown_asset", "/body/asset")
        );
        // Whether anybody has ever had a deal in a coin is nobody's to find out.
        assert_eq!(
            refuses(with("asset", json!("eip155:1/slip44:60"))).await,
            told(422, "not_allowed", "/body/asset")
        );
        assert_eq!(refuses(with("to", json!(paid))).await, told(422, "unknown_account", "/body/to"));
        assert_eq!(refuses(with("note", json!("x".repeat(281)))).await, told(422, "note", "/body/note"));
        // Nobody could ever pay back what the hub itself was given.
        let hubs: String =
            sqlx::query_scalar("SELECT id FROM log WHERE kind = 'hub@1'").fetch_one(&hub.eyes).await.unwrap();
        assert_eq!(refuses(with("to", json!(hubs))).await, told(422, "hubs_account", "/body/to"));
        let mut held = hold(&ben, "1", "2026-11-22T10:00:00Z");
        held["to"] = json!(hubs);
        let refusal = hub.refuses(&between(&hub, &anna, &ben, "hold@1", held)).await;
        assert_eq!((refusal.2.as_str(), refusal.3.as_str()), ("hubs_account", "/body/to"));
        let secret = anna
            .draft(&hub, "transfer@1", transfer(&ben, "1"))
            .only_for(vec![Audience::Account(anna.account)]);
        assert_eq!(hub.refuses(&secret.sign(&anna.device).unwrap()).await.2, "audience");
        // Nobody but the hub says what an asset is, and when a hold is over.
        for kind in ["asset@1", "expiry@1"] {
            let body = json!({ "asset": "time_credit", "rules": { "unit": "hour", "scale": 2, "issuer": "nobody", "credit_limit": "9", "governed_by": null } });
            let body = if kind == "asset@1" { body } else { json!({}) };
            assert_eq!(
                hub.refuses(&about(&hub, &anna, &ben, kind, paid, body)).await.2,
                "hub_only",
                "{kind}"
            );
        }
        hub.say(&between(&hub, &anna, &ben, "transfer@1", transfer(&ben, "350"))).await;

        let page = statement(&hub, &b, "?limit=1").await;
        assert_eq!(page["next"], "1");
        let entry = json!({
            "number": "1", "at": "2026-11-21T10:00:00Z", "type": "exchange_credit", "amount": "650", "balance": "650",
            "other": anna.account, "record": paid,
        });
        assert_eq!(page["items"], json!([entry]));
        let rest = statement(&hub, &b, "?after=1&asset=time_credit").await;
        assert_eq!((&rest["items"][0]["balance"], &rest["next"]), (&json!("1000"), &Value::Null));
        assert_eq!(rest["account"]["earned"], "1000");
        assert_eq!(statement(&hub, &a, "").await["account"]["floor"], "-1000");
        let mine = hub.get_as(&a, "/v1/ledger/accounts").await.body;
        assert_eq!((&mine["items"][0]["spent"], &mine["items"][0]["unit"]), (&json!("1000"), &json!("hour")));
        let pages = hub.get_as(&a, "/v1/ledger/accounts?limit=1").await.body;
        let next = pages["next"].as_str().unwrap().replace('|', "%7C");
        assert_eq!(
            hub.get_as(&a, &format!("/v1/ledger/accounts?after={next}")).await.body["items"],
            json!([])
        );
        for path in ["/v1/ledger/accounts", "/v1/ledger/statement"] {
            assert_eq!(hub.get(path).await.refusal().0, 401, "{path}");
        }
        let unknown = format!("/v1/ledger/statement?asset={}", anna.account);
        assert_eq!(hub.get_as(&a, &unknown).await.refusal().0, 404);
        assert_eq!(hub.get_as(&a, "/v1/ledger/statement?limit=101").await.refusal().0, 400);
        let found = crate::verify_ledger(&hub.config).await.unwrap();
        assert_eq!((found.faults, found.entries, found.operations), (0, 4, 2), "{found:?}");
        hub.end().await;
    }
}

#[tokio::test]
async fn a_hold_is_captured_by_the_payer_or_released_by_the_payee_or_expires() {
    for hub in TestHub::on_both_with(|config| config.time_credit_limit = 1_000).await {
        let (anna, ben, cora) =
            (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await, Person::arrive(&hub, 3).await);
        let (a, b) = (anna.sign_in(&hub).await, ben.sign_in(&hub).await);
        let eleven = "2026-11-21T11:00:00Z";
        let mut holds = Vec::new();
        for amount in ["300", "301", "302"] {
            let set = between(&hub, &anna, &ben, "hold@1", hold(&ben, amount, eleven));
            holds.push(hub.say(&set).await);
        }
        assert_eq!(hub.get("/v1/ledger/holds").await.refusal().0, 401);
        for (token, side, other) in [(&a, "payer", &ben), (&b, "payee", &anna)] {
            let first = hub.get_as(token, "/v1/ledger/holds?limit=2").await.body;
            let next = first["next"].as_str().unwrap().replace('/', "%2F");
            let rest = hub.get_as(token, &format!("/v1/ledger/holds?limit=2&after={next}")).await.body;
            let items = [first["items"].as_array().unwrap(), rest["items"].as_array().unwrap()];
            assert_eq!((items[0].len(), items[1].len(), &rest["next"]), (2, 1, &Value::Null));
            let mut seen: Vec<Value> = items.into_iter().flatten().cloned().collect();
            seen.sort_by_key(|one| one["amount"].to_string());
            let shown = |hold: &RecordId, amount| {
                json!({
                    "hold": hold, "side": side, "other": other.account, "asset": "time_credit", "unit": "hour",
                    "scale": 2, "amount": amount, "expires": eleven,
                })
            };
            let expected: Vec<Value> =
                holds.iter().zip(["300", "301", "302"]).map(|(hold, amount)| shown(hold, amount)).collect();
            assert_eq!(seen, expected);
        }
        let c = cora.sign_in(&hub).await;
        assert_eq!(hub.get_as(&c, "/v1/ledger/holds").await.body["items"], json!([]));
        assert_eq!(stands(&hub, &a).await, ["0", "-903", "903", "0"]);
        assert_eq!(stands(&hub, &b).await, ["0", "0", "0", "903"]);
        let more = between(&hub, &anna, &ben, "transfer@1", transfer(&ben, "98"));
        assert_eq!(hub.refuses(&more).await.2, "below_floor");
        let past = between(&hub, &anna, &ben, "hold@1", hold(&ben, "1", "2026-11-21T10:00:00Z"));
        assert_eq!(hub.refuses(&past).await.2, "expiry");

        let capture = |who: &Person, other: &Person, amount: &str| {
            about(&hub, who, other, "capture@1", holds[0], json!({ "amount": amount }))
        };
        assert_eq!(hub.refuses(&capture(&ben, &anna, "250")).await.2, "not_yours");
        assert_eq!(hub.refuses(&capture(&cora, &anna, "250")).await.2, "unknown_hold");
        assert_eq!(hub.refuses(&capture(&anna, &ben, "301")).await.2, "over_hold");
        let (status, _, rule, field) = hub.refuses(&capture(&anna, &cora, "250")).await;
        assert_eq!((status, rule.as_str(), field.as_str()), (422, "audience", "/audience"));
        hub.say(&capture(&anna, &ben, "250")).await;
        assert_eq!(hub.refuses(&capture(&anna, &ben, "50")).await.2, "hold_ended");
        assert_eq!(stands(&hub, &b).await, ["250", "250", "0", "603"]);

        let release =
            |who: &Person, other: &Person| about(&hub, who, other, "release@1", holds[1], json!({}));
        assert_eq!(hub.refuses(&release(&anna, &ben)).await.2, "not_yours");
        hub.say(&release(&ben, &anna)).await;
        assert_eq!(stands(&hub, &a).await, ["-250", "-552", "302", "0"]);

        hub.clock.pass_ms(3_600_000);
        let over = async {
            while stands(&hub, &a).await != ["-250", "-250", "0", "0"] {
                hub.look();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), over).await.unwrap();
        assert_eq!(hub.get_as(&a, "/v1/ledger/holds").await.body["items"], json!([]));
        let late = about(&hub, &ben, &anna, "release@1", holds[2], json!({}));
        assert_eq!(hub.refuses(&late).await.2, "hold_ended");
        let said: i64 =
            sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM log WHERE kind = 'expiry@1'")
                .fetch_one(&hub.eyes)
                .await
                .unwrap();
        assert_eq!(said, 1);
        assert_eq!(crate::verify_ledger(&hub.config).await.unwrap().faults, 0);
        hub.end().await;
    }
}

#[tokio::test]
async fn the_credit_limit_is_what_the_hub_said_last() {
    for mut hub in TestHub::on_both_with(|config| config.time_credit_limit = 2_000).await {
        let said = async |hub: &TestHub| -> i64 {
            let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM log WHERE kind = 'asset@1'";
            sqlx::query_scalar(sql).fetch_one(&hub.eyes).await.unwrap()
        };
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        hub.say(&between(&hub, &anna, &ben, "transfer@1", transfer(&ben, "2000"))).await;
        hub.restart_after(1).await;
        assert_eq!(said(&hub).await, 1);
        for (limit, times) in [(500, 2), (2_000, 3)] {
            hub.config.time_credit_limit = limit;
            hub.restart_after(0).await;
            assert_eq!(said(&hub).await, times);
            let token = anna.sign_in(&hub).await;
            assert_eq!(statement(&hub, &token, "").await["account"]["floor"], format!("-{limit}"));
        }
        // A limit that was lowered below where somebody stands only keeps them from going further.
        hub.config.time_credit_limit = 0;
        hub.restart_after(0).await;
        let further = between(&hub, &anna, &ben, "transfer@1", transfer(&ben, "1"));
        assert_eq!(hub.refuses(&further).await.2, "below_floor");
        hub.say(&between(&hub, &ben, &anna, "transfer@1", transfer(&anna, "700"))).await;
        assert_eq!(crate::verify_ledger(&hub.config).await.unwrap().faults, 0);
        hub.end().await;
    }
}

/// What was signed long ago moves nothing, whoever has its bytes; what was taken then is still known, and replayed.
#[tokio::test]
async fn what_moves_something_is_good_for_an_hour() {
    const HOUR: i64 = 60 * 60 * 1000;
    for hub in TestHub::on_both_with(|config| config.time_credit_limit = 1_000).await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let taken = between(&hub, &anna, &ben, "transfer@1", transfer(&ben, "1"));
        hub.say(&taken).await;
        let noon = "2026-11-21T14:00:00Z";
        let set = hub.say(&between(&hub, &anna, &ben, "hold@1", hold(&ben, "5", noon))).await;
        let in_time = between(&hub, &anna, &ben, "transfer@1", transfer(&ben, "2"));
        let too_old = [
            between(&hub, &anna, &ben, "transfer@1", transfer(&ben, "3")),
            between(&hub, &anna, &ben, "hold@1", hold(&ben, "4", noon)),
            about(&hub, &anna, &ben, "capture@1", set, json!({ "amount": "5" })),
            about(&hub, &ben, &anna, "release@1", set, json!({})),
        ];
        let other = anna.record(&hub, "community@1", json!({ "name": "Gardens" }));
        hub.clock.pass_ms(HOUR);
        hub.say(&in_time).await;
        hub.clock.pass_ms(1);
        for record in &too_old {
            let (status, step, rule, field) = hub.refuses(record).await;
            assert_eq!(
                (status, step.as_str(), rule.as_str(), field.as_str()),
                (422, "schema", "too_old", "/created")
            );
        }
        hub.say(&other).await;
        hub.clock.pass_ms(HOUR);
        for known in [&taken, &in_time] {
            assert_eq!(hub.post("/v1/records", known).await.status, 200);
        }
        hub.end().await;
    }
}

#[tokio::test]
async fn verify_sees_that_the_log_and_the_tables_have_the_same_operations() {
    for hub in TestHub::on_both_with(|config| config.time_credit_limit = 1_000).await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let paid = hub.say(&between(&hub, &anna, &ben, "transfer@1", transfer(&ben, "7"))).await;
        let set = between(&hub, &anna, &ben, "hold@1", hold(&ben, "5", "2026-11-21T11:00:00Z"));
        let set = hub.say(&set).await;
        let clean = crate::verify_ledger(&hub.config).await.unwrap();
        assert_eq!((clean.faults, clean.operations), (0, 2), "{clean:?}");
        hub.unlock().await;
        let run = async |sql: String| {
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&hub.eyes).await.unwrap();
        };
        for (harm, words, undo) in [
            (
                format!("UPDATE ledger_operations SET id = '{paid}/1' WHERE id = '{paid}/0'"),
                format!("the log has the transfer@1 {paid}, and the ledger no operation of it"),
                format!("UPDATE ledger_operations SET id = '{paid}/0' WHERE id = '{paid}/1'"),
            ),
            (
                format!("UPDATE log SET id = 'kept' WHERE id = '{set}'"),
                format!("the ledger has the operation {set}/0, and the log no record of it"),
                format!("UPDATE log SET id = '{set}' WHERE id = 'kept'"),
            ),
        ] {
            run(harm).await;
            let found = crate::verify_ledger(&hub.config).await.unwrap();
            assert!(found.told.contains(&words), "{words}: {found:?}");
            run(undo).await;
        }
        assert_eq!(crate::verify_ledger(&hub.config).await.unwrap(), clean);
        hub.end().await;
    }
}

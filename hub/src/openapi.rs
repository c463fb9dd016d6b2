//! The OpenAPI description: what the routes say of themselves, and what holds for all of them.

use std::sync::LazyLock;

use axum::http::Method;
use serde_json::{Map, Value, json};

use crate::{
    access::{Need, need},
    server,
};

/// The description, OpenAPI 3.1.
pub(crate) fn description() -> &'static Value {
    static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| {
        let (_, routes) = server::described().split_for_parts();
        complete(serde_json::to_value(routes).unwrap_or_default())
    });
    &DESCRIPTION
}

const PROBLEM: &str = "application/problem+json";

/// What every refusal is.
fn problem_schema() -> Value {
    let text = |told: &str| json!({ "type": "string", "description": told });
    json!({
        "type": "object",
        "description": "Problem details (RFC 9457)",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": text("`/problems/<kind>`"),
            "title": text("the kind in words, the same for every occurrence"),
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": text("this occurrence: the field, the value, the rule, and what to do"),
            "field": text("the field at fault, as a JSON pointer or a parameter's name"),
            "step": text("the step of taking a record that refused it"),
            "rule": text("the rule's own name"),
        },
        "additionalProperties": false,
    })
}

fn complete(mut description: Value) -> Value {
    let paths = description.get_mut("paths").and_then(Value::as_object_mut);
    for (path, methods) in paths.into_iter().flatten() {
        for (method, operation) in methods.as_object_mut().into_iter().flatten() {
            let method = method.to_uppercase().parse().unwrap_or(Method::GET);
            if let Some(operation) = operation.as_object_mut() {
                say_more(operation, &method, path);
            }
        }
    }
    let bearer = |told: &str| json!({ "type": "http", "scheme": "bearer", "description": told });
    let session = bearer("a session (`POST /v1/sessions`) or an API token (`POST /v1/tokens`)");
    let relayer = bearer("the key that hub and relayer share");
    if let Some(description) = description.as_object_mut() {
        within(description, "components", |components| {
            within(components, "schemas", |schemas| {
                schemas.insert("Problem".to_owned(), problem_schema());
            });
            within(components, "securitySchemes", |schemes| {
                schemes.extend([("session".to_owned(), session), ("relayer".to_owned(), relayer)]);
            });
        });
    }
    description
}

/// Changes an object's member that is an object, made where there is none.
fn within(object: &mut Map<String, Value>, name: &str, change: impl FnOnce(&mut Map<String, Value>)) {
    if let Some(members) = object.entry(name).or_insert_with(|| json!({})).as_object_mut() {
        change(members);
    }
}

/// Whether a path is that of one thing, whose answer names its state (`etag.rs`).
fn is_of_one(path: &str) -> bool {
    path.ends_with('}')
        || ["/case", "/settings", "/did.json", "/reputation"].iter().any(|end| path.ends_with(end))
}

/// Says of an operation what its route does not: who may ask, that the answer names its state, and the refusals that come before its
/// handler.
fn say_more(operation: &mut Map<String, Value>, method: &Method, path: &str) {
    let has = |name: &str| operation.get(name).is_some();
    let (asked, body) = (has("parameters"), has("requestBody"));
    let tag = operation.get("tags").and_then(|tags| tags.get(0)).and_then(Value::as_str);
    let of_relayer = tag == Some("relayer");
    let token = need(method, path) != Need::Nothing;
    // A route that refuses strangers says so itself; of the others 401 is only for a token that does not stand.
    let refuses_strangers = operation.get("responses").is_some_and(|told| told.get("401").is_some());
    let security = match (of_relayer, token, refuses_strangers) {
        (true, ..) => Some(json!([{ "relayer": [] }])),
        (false, true, true) => Some(json!([{ "session": [] }])),
        (false, true, false) => Some(json!([{}, { "session": [] }])),
        (false, false, _) => None,
    };
    if let Some(security) = security {
        operation.insert("security".to_owned(), security);
    }
    let more = [
        (asked || body, "400", "The request cannot be read"),
        (token, "401", "The session or token does not stand"),
        (token, "403", "The token is not for this"),
        (body, "413", "The body is too large"),
        (body, "415", "The body is not JSON"),
        (body, "422", "The request breaks a rule"),
        (true, "429", "There were too many requests: `rule` is the limit"),
        (true, "500", "The hub failed; nothing was changed"),
        (true, "503", "It took longer than 30 s, or cannot be done now: try again later"),
    ];
    let names_its_state = *method == Method::GET && is_of_one(path);
    within(operation, "responses", |responses| {
        if names_its_state {
            let same = || json!({ "description": "It is as `If-None-Match` has it" });
            responses.entry("304").or_insert_with(same);
            let tag =
                json!({ "ETag": { "description": "which state it is", "schema": { "type": "string" } } });
            for status in ["200", "304"] {
                if let Some(response) = responses.get_mut(status).and_then(Value::as_object_mut) {
                    response.insert("headers".to_owned(), tag.clone());
                }
            }
        }
        for (_, status, told) in more.into_iter().filter(|(holds, ..)| *holds) {
            responses.entry(status).or_insert_with(|| json!({ "description": told }));
        }
        for (status, response) in responses.iter_mut().filter(|(status, _)| status.as_str() >= "400") {
            if let Some(response) = response.as_object_mut() {
                refusal(status, response);
            }
        }
    });
}

/// The form of a refusal. What OAuth says (`application/json`) is described where it is said.
fn refusal(status: &str, response: &mut Map<String, Value>) {
    let of_oauth = response.get("content").is_some_and(|content| content.get("application/json").is_some());
    if !of_oauth {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        response.insert("content".to_owned(), json!({ PROBLEM: { "schema": schema } }));
    }
    if status == "429" {
        let header = |told: &str| json!({ "description": told, "schema": { "type": "string" } });
        let headers = json!({
            "RateLimit": header("what is left of the limit"),
            "RateLimit-Policy": header("the limit"),
            "Retry-After": header("seconds"),
        });
        response.insert("headers".to_owned(), headers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_form() {
        let mut count = 0;
        for (path, methods) in description()["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let responses = operation["responses"].as_object().unwrap();
                assert!(responses.contains_key("429"), "{method} {path}");
                for (status, response) in responses.iter().filter(|(status, _)| status.as_str() >= "400") {
                    let content = &response["content"];
                    let told = content.get(PROBLEM).or(content.get("application/json"));
                    let form = told.is_some_and(|told| told["schema"].is_object());
                    assert!(form, "{method} {path} {status}");
                    count += 1;
                }
            }
        }
        assert!(count > 200, "{count}");
        let security = |path: &str, method: &str| description()["paths"][path][method]["security"].clone();
        assert_eq!(security("/v1/listings", "get"), json!([{}, { "session": [] }]));
        assert_eq!(security("/v1/ledger/statement", "get"), json!([{ "session": [] }]));
        assert_eq!(security("/v1/intents", "get"), json!([{ "relayer": [] }]));
        assert_eq!(security("/v1/sessions", "post"), Value::Null);
    }

    #[test]
    fn an_effect_is_not_described_as_an_object_for_the_word_text_is_one_too() {
        let effect = &description()["components"]["schemas"]["ProposalView"]["properties"]["effect"];
        assert!(effect.is_object() && effect.get("type").is_none(), "{effect}");
    }
}

//! Every route of the hub in one router, with its OpenAPI description.

use axum::{Json, Router, middleware, response::IntoResponse};
use utoipa::OpenApi as _;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Hub, access, communities, deals, did, disputes, docs, governance, grievances, identity, ledger, market,
    openapi, outbox, records, reputation,
};

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "Earnest hub",
    description = "The economy of Earnest over HTTP. Everything said is a signed record (`POST /v1/records`); every \
                   refusal is problem details (RFC 9457) that name the field and the rule.",
))]
struct Description;

/// Every described route.
pub(crate) fn described() -> OpenApiRouter<Hub> {
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(records::api::routes())
        .merge(identity::api::routes())
        .merge(identity::tokens::routes())
        .merge(ledger::api::routes())
        .merge(communities::api::routes())
        .merge(governance::api::routes())
        .merge(grievances::api::routes())
        .merge(market::api::routes())
        .merge(deals::api::routes())
        .merge(disputes::api::routes())
        .merge(reputation::api::routes())
        .merge(reputation::personhood::routes())
        .merge(outbox::api::routes())
        .merge(did::routes())
        .routes(routes!(description))
}

/// The whole service.
pub(crate) fn app(hub: &Hub) -> Router {
    let (routes, _) = described().split_for_parts();
    let routes = routes.route_layer(middleware::from_fn_with_state(hub.clone(), access::guard));
    let db = hub.db.clone();
    let served = service::http::shell(
        "hub",
        routes.with_state(hub.clone()).merge(docs::routes()).merge(identity::page::routes()),
        move || {
            let db = db.clone();
            async move { sqlx::query("SELECT 1").execute(db.reader()).await.map(drop).map_err(|e| e.to_string()) }
        },
    );
    served.layer(middleware::from_fn_with_state(hub.clone(), access::strays))
}

/// This description. A page to browse it is at `/docs`.
#[utoipa::path(get, path = "/openapi.json", tag = "hub", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
async fn description() -> impl IntoResponse {
    Json(openapi::description())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::{Value, json};

    use crate::{
        access,
        records::RecordId,
        testing::{
            TestHub,
            trade::{Ground, Trade},
        },
    };

    /// `METHOD /path` of everything that docs/architecture.md lists for the hub.
    fn documented() -> BTreeSet<String> {
        let page = include_str!("../../docs/architecture.md");
        let hub = page.split_once("## Hub").unwrap().1;
        let list = hub.split_once("### HTTP").unwrap().1.split_once("###").unwrap().0;
        list.split('`')
            .filter(|code| ["GET ", "POST ", "DELETE "].iter().any(|method| code.starts_with(method)))
            .map(|code| code.split('?').next().unwrap().to_owned())
            .collect()
    }

    #[tokio::test]
    async fn the_description_has_every_route_and_the_docs_have_them_too() {
        let hub = TestHub::start(service::db::testing::sqlite(), |_| {}).await;
        let description = hub.get("/openapi.json").await.body;
        let mut described = BTreeSet::from(["GET /docs", "GET /sign-in"].map(str::to_owned));
        for (path, methods) in description["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                described.insert(format!("{} {path}", method.to_uppercase()));
                assert!(
                    operation["description"].as_str().or(operation["summary"].as_str()).is_some(),
                    "{path}"
                );
            }
        }
        assert_eq!(described, documented());
        // The table of scopes knows each of them; what it does not know would be closed to tokens.
        for route in &described {
            let (method, path) = route.split_once(' ').unwrap();
            let closed = access::need(&method.parse().unwrap(), path) == access::Need::Session;
            let managing = path.starts_with("/v1/tokens") || path == "/v1/sessions/current";
            assert_eq!(closed, managing, "{route}");
        }
        // Each is served: what answers is the handler, not the fallback for unknown paths.
        for route in &described {
            let (method, path) = route.split_once(' ').unwrap();
            if path == "/v1/events" {
                continue;
            }
            let answer = hub.ask(hub.request(method.parse().unwrap(), path)).await;
            let detail = answer.body["detail"].as_str().unwrap_or_default();
            assert!(!detail.starts_with("no path") && answer.status != 405, "{route}: {answer:?}");
        }
        hub.end().await;
    }

    /// What refuses whoever has no session.
    const FOR_SESSIONS: [&str; 20] = [
        "DELETE /v1/sessions/current",
        "DELETE /v1/tokens/{id}",
        "GET /v1/cases",
        "GET /v1/communities/{id}/candidacies",
        "GET /v1/communities/{id}/pools/{arbiter}/{panel}/published",
        "GET /v1/grievances",
        "GET /v1/grievances/{id}",
        "GET /v1/grievances/{id}/bundle",
        "GET /v1/grievances/{id}/steps",
        "GET /v1/invitations",
        "GET /v1/ledger/accounts",
        "GET /v1/ledger/holds",
        "GET /v1/ledger/statement",
        "GET /v1/personhood/credential",
        "GET /v1/purchases",
        "GET /v1/recovery",
        "GET /v1/recovery/guards",
        "GET /v1/tokens",
        "POST /v1/credential-offers",
        "POST /v1/tokens",
    ];

    #[tokio::test]
    async fn who_has_no_session_is_refused_where_the_description_says_so_and_nowhere_else() {
        let hub = TestHub::start(service::db::testing::sqlite(), |_| {}).await;
        let description = hub.get("/openapi.json").await.body;
        // Something of the right form in the place of every parameter, so that nothing else is refused first.
        let id = RecordId::of(&json!({ "what": "nothing" })).unwrap().to_string();
        let filled = |path: &str| -> String {
            let fill = |part: &str| if part.starts_with('{') { id.clone() } else { part.to_owned() };
            path.split('/').map(fill).collect::<Vec<_>>().join("/")
        };
        let mut required = BTreeSet::new();
        for (path, methods) in description["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let route = format!("{} {path}", method.to_uppercase());
                let security = &operation["security"];
                // The stream of events has no end that could be waited for.
                if route == "GET /v1/events" || security.is_null() || *security == json!([{ "relayer": [] }])
                {
                    continue;
                }
                let request = hub.request(method.to_uppercase().parse().unwrap(), &filled(path));
                let answer = hub.ask(request).await;
                if *security == json!([{ "session": [] }]) {
                    assert_eq!(answer.refusal().0, 401, "{route}: {answer:?}");
                    assert_eq!(answer.body["type"], "/problems/unauthenticated", "{route}");
                    required.insert(route);
                } else {
                    assert_eq!(*security, json!([{}, { "session": [] }]), "{route}");
                    assert_ne!(answer.status, 401, "{route}: {answer:?}");
                }
            }
        }
        assert_eq!(required, BTreeSet::from(FOR_SESSIONS.map(str::to_owned)));
        hub.end().await;
    }

    /// What names its state in the tests of its room, where it is made.
    const ELSEWHERE: [&str; 5] = [
        "/v1/communities/{id}/pools/{arbiter}/{panel}",
        "/v1/credentials/{id}",
        "/v1/grievances/{id}",
        "/v1/proposals/{id}",
        "/v1/status/{purpose}/{list}",
    ];

    #[tokio::test(flavor = "multi_thread")]
    async fn every_single_thing_names_its_state_and_is_not_sent_again() {
        let trade = Trade::start(service::db::testing::sqlite(), Ground::EVM).await;
        let (ground, hub) = (trade.ground, &trade.hub);
        let (bought, _) = trade.disputed_before(1, &ground.book()).await;
        let gardens = hub.say(&trade.buyer.record(hub, "community@1", json!({ "name": "Gardens" }))).await;
        let pool = ground.pool_id(&ground.book());
        let there = BTreeMap::from([
            ("/.well-known/did.json", "/.well-known/did.json".to_owned()),
            ("/accounts/{id}/did.json", format!("/accounts/{}/did.json", trade.buyer.account)),
            ("/communities/{id}/did.json", format!("/communities/{gardens}/did.json")),
            ("/v1/accounts/{id}", format!("/v1/accounts/{}", trade.buyer.account)),
            ("/v1/accounts/{id}/reputation", format!("/v1/accounts/{}/reputation", trade.seller.account)),
            ("/v1/communities/{id}", format!("/v1/communities/{gardens}")),
            ("/v1/communities/{id}/settings", format!("/v1/communities/{gardens}/settings")),
            ("/v1/listings/{id}", format!("/v1/listings/{}", trade.listing)),
            ("/v1/pools/{arbiter}/{panel}", format!("/v1/pools/{}/{pool}", ground.arbiter)),
            ("/v1/purchases/{id}", format!("/v1/purchases/{}", bought.id)),
            ("/v1/purchases/{id}/case", format!("/v1/purchases/{}/case", bought.id)),
            ("/v1/records/{id}", format!("/v1/records/{}", trade.listing)),
            ("/v1/reputation/{subject}", format!("/v1/reputation/did:pkh:{}", trade.seller.wallet_id())),
            ("/v1/status/{purpose}", "/v1/status/revocation".to_owned()),
        ]);
        let description = hub.get("/openapi.json").await.body;
        let mut tagged = BTreeSet::new();
        for (path, methods) in description["paths"].as_object().unwrap() {
            let Some(get) = methods.get("get") else { continue };
            let told = get["responses"].get("304").is_some();
            assert_eq!(told, get["responses"]["200"]["headers"].get("ETag").is_some(), "{path}");
            assert!(told || !path.ends_with('}'), "{path}");
            if told {
                tagged.insert(path.as_str());
            }
        }
        assert_eq!(tagged, there.keys().copied().chain(ELSEWHERE).collect::<BTreeSet<_>>());
        let token = trade.buyer.sign_in(hub).await;
        for path in there.values() {
            hub.names_its_state(Some(&token), path).await;
        }
        trade.hub.end().await;
    }

    /// What a page is, and that its headers keep it to this hub.
    async fn page_of(hub: &TestHub, path: &str) -> String {
        let page = hub.request(reqwest::Method::GET, path).send().await.unwrap();
        let told = |name: &str| page.headers().get(name).unwrap().to_str().unwrap();
        assert!(told("content-type").starts_with("text/html"), "{path}");
        assert_eq!((told("x-content-type-options"), told("referrer-policy")), ("nosniff", "no-referrer"));
        let policy: BTreeSet<&str> = told("content-security-policy").split("; ").collect();
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(rule), "{path}: {policy:?}");
        }
        assert!(
            !policy.iter().any(|rule| rule.contains("unsafe") || rule.contains("//")),
            "{path}: {policy:?}"
        );
        page.text().await.unwrap()
    }

    #[tokio::test]
    async fn the_page_of_the_description_is_of_this_hub_alone() {
        let hub = TestHub::start(service::db::testing::sqlite(), |_| {}).await;
        let html = page_of(&hub, "/docs").await;
        assert_eq!(html, page_of(&hub, "/docs/").await);
        assert!(html.contains("swagger-ui") && !html.contains("//"), "{html}");
        // The policy runs nothing that is written into the page.
        assert!(!html.contains("<style") && !html.contains("style=") && !html.contains("onload"), "{html}");
        let scripts: Vec<&str> = html.split("<script").skip(1).collect();
        assert!(scripts.len() == 3 && scripts.iter().all(|script| script.starts_with(" src=\"./")), "{html}");
        let start = hub.get("/docs/swagger-initializer.js").await;
        let start = start.body.as_str().unwrap();
        for setting in
            ["\"url\": \"/openapi.json\"", "\"validatorUrl\": \"none\"", "\"layout\": \"BaseLayout\""]
        {
            assert!(start.contains(setting), "{start}");
        }
        // `nosniff`: what says that it is another thing is not run.
        for (path, kind) in
            [("/docs/swagger-ui-bundle.js", "text/javascript"), ("/docs/swagger-ui.css", "text/css")]
        {
            let answer = hub.get(path).await;
            assert_eq!((answer.status, answer.kind.as_str()), (200, kind), "{path}");
        }
        hub.end().await;
    }

    #[tokio::test]
    async fn the_sign_in_page_is_of_this_hub_alone() {
        let hub = TestHub::start(service::db::testing::sqlite(), |_| {}).await;
        let html = page_of(&hub, "/sign-in").await;
        assert!(html.contains("<main>") && !html.contains("//"), "{html}");
        let named: Vec<&str> = html.split('"').filter(|text| text.starts_with('/')).collect();
        assert_eq!(named, ["/sign-in/page.css", "/sign-in/page.mjs"]);
        for (path, kind) in [
            ("/sign-in", "text/html; charset=utf-8"),
            ("/sign-in/page.css", "text/css; charset=utf-8"),
            ("/sign-in/page.mjs", "text/javascript; charset=utf-8"),
            ("/sign-in/passkey.mjs", "text/javascript; charset=utf-8"),
            ("/sign-in/record.mjs", "text/javascript; charset=utf-8"),
        ] {
            let answer = hub.get(path).await;
            assert_eq!((answer.status, answer.kind.as_str()), (200, kind), "{path}");
        }
        hub.end().await;
    }

    #[tokio::test]
    async fn the_did_document_names_the_key_that_signs() {
        let hub = TestHub::start(service::db::testing::sqlite(), |_| {}).await;
        let document = hub.get("/.well-known/did.json").await;
        assert_eq!(document.kind, "application/did+json");
        let did = format!("did:web:127.0.0.1%3A{}", hub.config.public_url.rsplit_once(':').unwrap().1);
        assert_eq!(document.body["id"], json!(did));
        let key = document.body["verificationMethod"][0]["publicKeyMultibase"].as_str().unwrap();
        assert_eq!(document.body["assertionMethod"], json!([format!("{did}#{key}")]));
        let first: String =
            sqlx::query_scalar("SELECT record FROM log WHERE seq = 1").fetch_one(&hub.eyes).await.unwrap();
        let first: Value = serde_json::from_str(&first).unwrap();
        assert_eq!((&first["type"], &first["device"]), (&json!("hub@1"), &json!(format!("did:key:{key}"))));
        hub.end().await;
    }

    #[tokio::test]
    async fn what_is_not_there_is_a_problem_too() {
        let hub = TestHub::start(service::db::testing::sqlite(), |_| {}).await;
        assert_eq!(hub.get("/v1/nothing").await.refusal().0, 404);
        assert_eq!(hub.ask(hub.request(reqwest::Method::PUT, "/v1/records")).await.refusal().0, 405);
        assert_eq!(hub.get("/health").await.status, 200);
        assert!(hub.get("/metrics").await.body.as_str().unwrap().contains("http_request_seconds"));
        hub.end().await;
    }
}

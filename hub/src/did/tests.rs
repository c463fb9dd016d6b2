use serde_json::{Value, json};

use crate::{
    access::Audience,
    records::{Device, DeviceKey, RecordId},
    testing::{Answer, Person, TestHub, message, signed},
};

/// Where the document of a DID is, as did:web says it (section "Read (Resolve)").
fn url_of(did: &str) -> String {
    let name = did.strip_prefix("did:web:").unwrap();
    let (host, path) = name.split_once(':').unwrap_or((name, ".well-known"));
    format!("https://{}/{}/did.json", host.replace("%3A", ":"), path.replace(':', "/"))
}

/// The path of a DID's document at this hub, whose tests have no TLS.
fn path_of(hub: &TestHub, did: &str) -> String {
    let base = hub.config.public_url.replacen("http://", "https://", 1);
    url_of(did).strip_prefix(&base).unwrap().to_owned()
}

async fn resolve(hub: &TestHub, did: &str) -> Answer {
    hub.get(&path_of(hub, did)).await
}

/// The name that a view shows.
async fn name(hub: &TestHub, path: &str) -> String {
    hub.get(path).await.body["did"].as_str().unwrap().to_owned()
}

fn expected(did: &str, wallets: &[String], devices: &[Device]) -> Value {
    let names: Vec<String> = devices.iter().map(|device| format!("{did}#{}", device.multibase())).collect();
    let method = |device: &Device| {
        json!({
            "id": format!("{did}#{}", device.multibase()), "type": "Multikey", "controller": did,
            "publicKeyMultibase": device.multibase(),
        })
    };
    json!({
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": did,
        "alsoKnownAs": wallets,
        "verificationMethod": devices.iter().map(method).collect::<Vec<_>>(),
        "assertionMethod": names,
        "authentication": names,
    })
}

#[test]
fn a_name_is_where_did_web_says() {
    for (did, url) in [
        ("did:web:hub.example", "https://hub.example/.well-known/did.json"),
        ("did:web:hub.example%3A8443", "https://hub.example:8443/.well-known/did.json"),
        ("did:web:hub.example%3A8443:accounts:zQm", "https://hub.example:8443/accounts/zQm/did.json"),
    ] {
        assert_eq!(url_of(did), url);
    }
}

#[tokio::test]
async fn an_account_is_resolved_by_its_name_and_its_document_follows_its_devices() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let did = name(&hub, &format!("/v1/accounts/{}", anna.account)).await;
        assert_eq!(did, format!("{}:accounts:{}", hub.config.public().unwrap().did, anna.account));
        assert!(did.starts_with("did:web:127.0.0.1%3A"), "{did}");
        let wallets = [format!("did:pkh:{}", anna.wallet_id())];
        let (first, phone) = (anna.device.device(), DeviceKey::from_seed([11; 32]));
        let answer = resolve(&hub, &did).await;
        assert_eq!((answer.status, answer.kind.as_str()), (200, "application/did+json"));
        assert_eq!(answer.body, expected(&did, &wallets, &[first]));

        hub.clock.pass_ms(1);
        let text = message(&hub, anna.wallet.address(), &phone).await.to_string();
        let add = json!({ "add": { "message": text, "signature": signed(&anna.wallet, &text) } });
        hub.say(&anna.record(&hub, "device@1", add)).await;
        assert_eq!(resolve(&hub, &did).await.body, expected(&did, &wallets, &[first, phone.device()]));

        // Who has the document is told when a key of it counts no more.
        let path = path_of(&hub, &did);
        let again = async |tag: &str| {
            let request = hub.request(reqwest::Method::GET, &path).header("if-none-match", tag);
            let answer = request.send().await.unwrap();
            let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(header("cache-control"), "public, no-cache");
            assert!(answer.headers().get("vary").is_none_or(|vary| vary != "authorization"));
            (answer.status().as_u16(), header("etag"))
        };
        let (status, tag) = again("\"none\"").await;
        assert_eq!((status, again(&tag).await), (200, (304, tag.clone())));
        let revoke = json!({ "revoke": { "device": first, "by": null } });
        hub.say(&anna.record(&hub, "device@1", revoke)).await;
        assert_eq!(again(&tag).await.0, 200);
        assert_eq!(resolve(&hub, &did).await.body, expected(&did, &wallets, &[phone.device()]));

        let nobody = RecordId::of(&json!({ "what": "nobody" })).unwrap();
        assert_eq!(hub.get(&format!("/accounts/{nobody}/did.json")).await.refusal().0, 404);
        assert_eq!(hub.get("/accounts/nobody/did.json").await.refusal().0, 400);
        hub.end().await;
    }
}

#[tokio::test]
async fn a_community_is_controlled_by_its_stewards_and_a_closed_one_is_nowhere() {
    for hub in TestHub::on_both().await {
        let (anna, ben, cora) =
            (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await, Person::arrive(&hub, 3).await);
        let open = hub.say(&anna.record(&hub, "community@1", json!({ "name": "Open" }))).await;
        let draft = anna
            .draft(&hub, "community@1", json!({ "name": "Closed" }))
            .only_for(vec![Audience::Account(anna.account)]);
        let closed = hub.say(&draft.sign(&anna.device).unwrap()).await;
        let mut controllers = Vec::new();
        for (person, role) in [(&anna, None), (&ben, Some("steward")), (&cora, Some("member"))] {
            let account = person.account;
            if let Some(role) = role {
                let body = json!({ "account": account, "role": role });
                hub.say(&anna.record_about(&hub, "membership@1", open, body.clone())).await;
                hub.say(&person.record_about(&hub, "membership@1", open, body)).await;
            }
            if role != Some("member") {
                controllers.push(name(&hub, &format!("/v1/accounts/{account}")).await);
            }
        }
        controllers.sort();
        let did = name(&hub, &format!("/v1/communities/{open}")).await;
        assert_eq!(did, format!("{}:communities:{open}", hub.config.public().unwrap().did));
        let answer = resolve(&hub, &did).await;
        assert_eq!((answer.status, answer.kind.as_str()), (200, "application/did+json"));
        let mut told = answer.body["controller"].as_array().unwrap().clone();
        told.sort_by_key(ToString::to_string);
        assert_eq!(told, controllers.iter().map(|one| json!(one)).collect::<Vec<_>>());
        let document = json!({ "@context": "https://www.w3.org/ns/did/v1", "id": did, "controller": answer.body["controller"] });
        assert_eq!(answer.body, document);
        // Each controller is a name that resolves.
        for controller in &controllers {
            assert_eq!(resolve(&hub, controller).await.body["id"], json!(controller));
        }

        // To strangers a closed one is as one that is not there; to its steward it has a name, and no document either.
        let path = |id: RecordId| format!("/communities/{id}/did.json");
        let nowhere = RecordId::of(&json!({ "what": "nothing" })).unwrap();
        let (hidden, missing) = (hub.get(&path(closed)).await, hub.get(&path(nowhere)).await);
        assert_eq!((hidden.refusal(), missing.refusal()), ((404, "", "", ""), (404, "", "", "")));
        let text = hidden.body.to_string().replace(&closed.to_string(), &nowhere.to_string());
        assert_eq!(text, missing.body.to_string());
        let annas = anna.sign_in(&hub).await;
        let seen = hub.get_as(&annas, &format!("/v1/communities/{closed}")).await;
        assert_eq!((seen.status, path_of(&hub, seen.body["did"].as_str().unwrap())), (200, path(closed)));
        assert_eq!(hub.get_as(&annas, &path(closed)).await.refusal().0, 404);
        hub.end().await;
    }
}

//! A wallet that speaks OpenID4VCI gets a credential over HTTP and presents it, on both engines.

use super::{
    super::{
        issuance::{self, GRANT, PROOF},
        jose::{self, Holder},
        presentation::{self, Asked},
    },
    *,
};
use crate::{
    records::RecordId,
    reputation::status::ENTRIES,
    testing::{
        Answer,
        trade::{Ground, Trade, everywhere},
    },
};

/// A wallet: a key by one of its names, and the issuer that an offer names.
struct Holding {
    holder: Holder,
    key: DeviceKey,
    issuer: String,
    metadata: Value,
    token_endpoint: String,
}

impl Holding {
    /// Learns from the issuer of an offer all that it needs to know.
    async fn of(trade: &Trade, offer: &Value, key: DeviceKey, by_jwk: bool) -> Self {
        let did = if by_jwk { jose::did_jwk(&key.device()) } else { key.device().to_string() };
        let holder = Holder::of_did(&did).unwrap();
        let issuer = offer["credential_issuer"].as_str().unwrap().to_owned();
        let metadata = trade.hub.get("/.well-known/openid-credential-issuer").await.body;
        assert_eq!(metadata["credential_issuer"], json!(issuer));
        // No `authorization_servers`: the issuer is its own.
        assert_eq!(metadata["authorization_servers"], Value::Null);
        let server = trade.hub.get("/.well-known/oauth-authorization-server").await.body;
        assert_eq!(server["issuer"], json!(issuer));
        assert_eq!(server["grant_types_supported"], json!([GRANT]));
        let token_endpoint = server["token_endpoint"].as_str().unwrap().to_owned();
        Self { holder, key, issuer, metadata, token_endpoint }
    }

    fn path<'a>(&self, url: &'a Value) -> &'a str {
        url.as_str().unwrap().strip_prefix(&self.issuer).unwrap()
    }

    async fn form(&self, trade: &Trade, fields: &[(&str, &str)]) -> Answer {
        let path = self.token_endpoint.strip_prefix(&self.issuer).unwrap();
        let body = serde_urlencoded::to_string(fields).unwrap();
        let request = trade.hub.request(reqwest::Method::POST, path);
        trade.hub.ask(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await
    }

    async fn token(&self, trade: &Trade, offer: &Value, tx_code: Option<&str>) -> Answer {
        let code = offer["grants"][GRANT]["pre-authorized_code"].as_str().unwrap();
        let mut fields = vec![("grant_type", GRANT), ("pre-authorized_code", code)];
        fields.extend(tx_code.map(|digits| ("tx_code", digits)));
        self.form(trade, &fields).await
    }

    async fn nonce(&self, trade: &Trade) -> String {
        let answer = trade.hub.post(self.path(&self.metadata["nonce_endpoint"]), &Value::Null).await;
        assert_eq!(answer.status, 200);
        answer.body["c_nonce"].as_str().unwrap().to_owned()
    }

    fn proof(&self, trade: &Trade, nonce: &str) -> String {
        let now = Stamp::from_ms(trade.hub.now());
        issuance::prove(&self.holder, &self.issuer, nonce, &self.key, now).unwrap()
    }

    async fn ask(&self, trade: &Trade, token: &str, id: &str, proof: &str) -> Answer {
        let body = json!({ "credential_configuration_id": id, "proofs": { "jwt": [proof] } });
        let path = self.path(&self.metadata["credential_endpoint"]);
        let request = trade.hub.request(reqwest::Method::POST, path).bearer_auth(token);
        trade.hub.ask(request.json(&body)).await
    }

    fn present(&self, trade: &Trade, credentials: &[Value], asked: Asked<'_>, form: Form) -> Value {
        let now = Stamp::from_ms(trade.hub.now());
        presentation::present(credentials, &self.holder, asked, form, &self.key, now).unwrap()
    }
}

fn error(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body["error"].as_str().unwrap_or_else(|| panic!("{answer:?}")))
}

/// A completed deal whose buyer has praised the seller; the praise's record and the seller's session.
async fn praised(trade: &Trade) -> (RecordId, String) {
    let (said, _) = praise(trade, 1, 4711, Form::DataIntegrity).await;
    (said, trade.seller.sign_in(&trade.hub).await)
}

async fn offer(trade: &Trade, session: &str, credential: impl serde::Serialize, tx_code: bool) -> Answer {
    let body = json!({ "credential": credential, "tx_code": tx_code });
    let request = trade.hub.request(reqwest::Method::POST, "/v1/credential-offers").bearer_auth(session);
    trade.hub.ask(request.json(&body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_asked_for_again_is_the_same_offer() {
    let trade = Trade::start(service::db::testing::sqlite(), Ground::EVM).await;
    let (praise, session) = praised(&trade).await;
    let ask = async |key: &str, tx_code: bool| {
        let body = json!({ "credential": praise, "tx_code": tx_code });
        let request = trade.hub.request(reqwest::Method::POST, "/v1/credential-offers").bearer_auth(&session);
        trade.hub.ask(request.header("idempotency-key", key).json(&body)).await
    };
    let first = ask("k", true).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(ask("k", true).await.body, first.body);
    assert_eq!(ask("k", false).await.refusal().2, "idempotency_key_reused");
    let open = "SELECT CAST(COUNT(*) AS BIGINT) FROM credential_offers";
    let open: i64 = sqlx::query_scalar(open).fetch_one(&trade.hub.eyes).await.unwrap();
    assert_eq!(open, 1);
    assert_ne!(ask("k2", true).await.body, first.body);
    trade.hub.end().await;
}

async fn verify_at(trade: &Trade, presentation: &Value, asked: Asked<'_>) -> Answer {
    let body = json!({ "presentation": presentation, "challenge": asked.challenge, "domain": asked.domain });
    trade.hub.post("/v1/presentations/verify", &body).await
}

const ASKED: Asked<'static> = Asked { challenge: "n-0S6_WzA2Mj", domain: "https://shop.example" };

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_gets_a_credential_bound_to_its_key_and_presents_it() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (praise, session) = praised(&trade).await;
        for (by_jwk, id, tx) in
            [(false, "TrustedSellerCredential_ldp_vc", false), (true, "TrustedSellerCredential_vc+jwt", true)]
        {
            let answer = offer(&trade, &session, praise, tx).await;
            assert_eq!(answer.status, 201, "{answer:?}");
            let link = answer.body["uri"].as_str().unwrap();
            let query = link.strip_prefix("openid-credential-offer://?").unwrap();
            let [(name, offered)] = <[(String, String); 1]>::try_from(
                serde_urlencoded::from_str::<Vec<(String, String)>>(query).unwrap(),
            )
            .unwrap();
            assert_eq!(name, "credential_offer");
            let offered: Value = serde_json::from_str(&offered).unwrap();
            assert_eq!(offered, answer.body["offer"]);
            assert_eq!(offered["grants"][GRANT].get("tx_code").is_some(), tx);
            let digits = answer.body["tx_code"].as_str();
            let key = DeviceKey::from_seed([77; 32]);
            let wallet = Holding::of(&trade, &offered, key, by_jwk).await;
            assert!(offered["credential_configuration_ids"].as_array().unwrap().contains(&json!(id)));
            assert!(wallet.metadata["credential_configurations_supported"].get(id).is_some());
            let token = wallet.token(&trade, &offered, digits).await;
            assert_eq!(token.status, 200, "{token:?}");
            assert_eq!(token.body["token_type"], "Bearer");
            // The code serves once.
            assert_eq!(error(&wallet.token(&trade, &offered, digits).await), (400, "invalid_grant"));
            let token = token.body["access_token"].as_str().unwrap();
            let proof = wallet.proof(&trade, &wallet.nonce(&trade).await);
            let issued = wallet.ask(&trade, token, id, &proof).await;
            assert_eq!(issued.status, 200, "{issued:?}");
            assert_eq!(error(&wallet.ask(&trade, token, id, &proof).await), (401, "invalid_token"));
            let credential = &issued.body["credentials"][0]["credential"];
            assert_eq!(credential.is_string(), by_jwk);
            let document = vc::open(credential).unwrap();
            assert_eq!(document.about(), wallet.holder.did);
            assert_eq!(document.kind(), "TrustedSellerCredential");
            assert_eq!(document.subject["record"], json!(praise));

            for form in [Form::DataIntegrity, Form::Jose] {
                let shown = wallet.present(&trade, std::slice::from_ref(credential), ASKED, form);
                let held = verify_at(&trade, &shown, ASKED).await;
                assert_eq!(held.status, 200, "{held:?}");
                assert_eq!(held.body["holder"], json!(wallet.holder.did));
                let one = &held.body["credentials"][0];
                assert_eq!((&one["is_of_this_hub"], &one["status"]), (&json!(true), &json!("good")));
                for other in [
                    Asked { challenge: "another", ..ASKED },
                    Asked { domain: "https://thief.example", ..ASKED },
                    Asked { challenge: "", ..ASKED },
                ] {
                    assert_eq!(verify_at(&trade, &shown, other).await.refusal().0, 422);
                }
                // Whoever copies the credential has not the key.
                let thief = Holding {
                    holder: Holder::of_device(DeviceKey::from_seed([78; 32]).device()),
                    key: DeviceKey::from_seed([78; 32]),
                    issuer: wallet.issuer.clone(),
                    metadata: Value::Null,
                    token_endpoint: String::new(),
                };
                let stolen = thief.present(&trade, std::slice::from_ref(credential), ASKED, form);
                assert_eq!(verify_at(&trade, &stolen, ASKED).await.refusal().2, "not_the_holder");
                let mut posing = Holding { holder: wallet.holder.clone(), ..thief };
                posing.key = DeviceKey::from_seed([78; 32]);
                let forged = posing.present(&trade, std::slice::from_ref(credential), ASKED, form);
                assert_eq!(verify_at(&trade, &forged, ASKED).await.refusal().2, "presentation_proof");
            }
            let shown = wallet.present(&trade, std::slice::from_ref(credential), ASKED, Form::Jose);
            if by_jwk {
                // What stands or falls with the praise falls with it.
                let gone =
                    trade.buyer.record_about(&trade.hub, "revocation@1", praise, json!({ "reason": "" }));
                trade.hub.say(&gone).await;
                assert_eq!(verify_at(&trade, &shown, ASKED).await.refusal().2, "credential_revoked");
                let again = offer(&trade, &session, praise, false).await;
                assert_eq!(again.refusal().2, "credential_revoked");
            } else {
                trade.hub.clock.pass_ms(366 * 24 * 60 * 60 * 1000);
                assert_eq!(verify_at(&trade, &shown, ASKED).await.refusal().2, "credential_time");
                trade.hub.clock.pass_ms(-366 * 24 * 60 * 60 * 1000);
            }
        }
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_wallet_may_not_is_refused_in_the_words_of_the_standard() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (praise, session) = praised(&trade).await;
        let buyer = trade.buyer.sign_in(&trade.hub).await;
        let path = "/v1/credential-offers";
        let strange = trade.hub.post(path, &json!({ "credential": praise })).await;
        assert_eq!(strange.refusal().0, 401);
        assert_eq!(offer(&trade, &buyer, praise, false).await.refusal().0, 404);
        assert_eq!(offer(&trade, &session, trade.seller.account, false).await.refusal().0, 404);

        let answer = offer(&trade, &session, praise, true).await.body;
        let (offered, digits) = (&answer["offer"], answer["tx_code"].as_str().unwrap());
        let wallet = Holding::of(&trade, offered, DeviceKey::from_seed([77; 32]), false).await;
        let code = offered["grants"][GRANT]["pre-authorized_code"].as_str().unwrap();
        let grant = ("grant_type", GRANT);
        for (fields, told) in [
            (vec![("pre-authorized_code", code)], "invalid_request"),
            (vec![("grant_type", "authorization_code"), ("code", code)], "unsupported_grant_type"),
            (vec![grant], "invalid_request"),
            (vec![grant, grant, ("pre-authorized_code", code)], "invalid_request"),
            (vec![grant, ("pre-authorized_code", "guessed")], "invalid_grant"),
            (vec![grant, ("pre-authorized_code", code)], "invalid_request"),
        ] {
            assert_eq!(error(&wallet.form(&trade, &fields).await), (400, told), "{fields:?}");
        }
        let plain = trade.hub.post("/v1/openid/token", &json!({})).await;
        assert_eq!(error(&plain), (400, "invalid_request"));
        // Five wrong digits, and it is over for the right ones too.
        let wrong = if digits == "000000" { "000001" } else { "000000" };
        for _ in 0..5 {
            assert_eq!(error(&wallet.token(&trade, offered, Some(wrong)).await), (400, "invalid_grant"));
        }
        assert_eq!(error(&wallet.token(&trade, offered, Some(digits)).await), (400, "invalid_grant"));
        // Ten minutes, and it is over.
        let answer = offer(&trade, &session, praise, false).await.body;
        assert_eq!(error(&wallet.token(&trade, &answer["offer"], Some("1")).await), (400, "invalid_request"));
        trade.hub.clock.pass_ms(10 * 60 * 1000);
        assert_eq!(error(&wallet.token(&trade, &answer["offer"], None).await), (400, "invalid_grant"));

        let token = async || {
            let answer = offer(&trade, &session, praise, false).await.body;
            let token = wallet.token(&trade, &answer["offer"], None).await;
            token.body["access_token"].as_str().unwrap().to_owned()
        };
        let id = "TrustedSellerCredential_vc+jwt";
        let good = token().await;
        let nonce = wallet.nonce(&trade).await;
        let proof = wallet.proof(&trade, &nonce);
        assert_eq!(error(&wallet.ask(&trade, "guessed", id, &proof).await), (401, "invalid_token"));
        for id in
            ["ReliablePayerCredential_vc+jwt", "TrustedSellerCredential", "SkillProviderCredential_ldp_vc"]
        {
            let told = wallet.ask(&trade, &good, id, &proof).await;
            assert_eq!(error(&told), (400, "unknown_credential_configuration"), "{id}");
        }
        let now = trade.hub.now() / 1000;
        let claims = |aud: &str, iat: i64, nonce: &str| json!({ "aud": aud, "iat": iat, "nonce": nonce });
        let signed = |claims: &Value, typ: &str, key: &DeviceKey| {
            jose::sign(claims, typ, &wallet.holder.method(), key).unwrap()
        };
        let audience = wallet.issuer.as_str();
        let sign_in = trade.hub.get("/v1/sign-in/nonce").await.body;
        let sign_in = sign_in["nonce"].as_str().unwrap();
        let other = DeviceKey::from_seed([78; 32]);
        for (proof, told) in [
            ("no token".to_owned(), "invalid_proof"),
            (signed(&claims(audience, now, &nonce), "JWT", &wallet.key), "invalid_proof"),
            (signed(&claims(audience, now, &nonce), PROOF, &other), "invalid_proof"),
            (signed(&claims("https://other.example", now, &nonce), PROOF, &wallet.key), "invalid_proof"),
            (signed(&claims(audience, now - 301, &nonce), PROOF, &wallet.key), "invalid_proof"),
            (signed(&claims(audience, now + 61, &nonce), PROOF, &wallet.key), "invalid_proof"),
            (signed(&json!({ "aud": audience, "iat": now }), PROOF, &wallet.key), "invalid_proof"),
            (signed(&claims(audience, now, "guessed"), PROOF, &wallet.key), "invalid_nonce"),
            (signed(&claims(audience, now, sign_in), PROOF, &wallet.key), "invalid_nonce"),
        ] {
            assert_eq!(error(&wallet.ask(&trade, &good, id, &proof).await), (400, told), "{proof}");
        }
        let request = |body: Value| {
            trade.hub.ask(
                trade
                    .hub
                    .request(reqwest::Method::POST, "/v1/openid/credential")
                    .bearer_auth(&good)
                    .json(&body),
            )
        };
        let two = json!({ "credential_configuration_id": id, "proofs": { "jwt": [proof, proof] } });
        assert_eq!(error(&request(two).await), (400, "invalid_proof"));
        let bare = json!({ "credential_configuration_id": id });
        assert_eq!(error(&request(bare).await), (400, "invalid_credential_request"));

        // None of that used up the token or the nonce; what is issued does.
        assert_eq!(wallet.ask(&trade, &good, id, &proof).await.status, 200);
        let second = token().await;
        assert_eq!(error(&wallet.ask(&trade, &second, id, &proof).await), (400, "invalid_nonce"));
        let late = wallet.nonce(&trade).await;
        trade.hub.clock.pass_ms(5 * 60 * 1000);
        let third = token().await;
        assert_eq!(
            error(&wallet.ask(&trade, &third, id, &wallet.proof(&trade, &late)).await),
            (400, "invalid_nonce")
        );
        assert_eq!(error(&wallet.ask(&trade, &second, id, &proof).await), (401, "invalid_token"));
        // Revoked after it was offered.
        let gone = trade.buyer.record_about(&trade.hub, "revocation@1", praise, json!({ "reason": "" }));
        trade.hub.say(&gone).await;
        let proof = wallet.proof(&trade, &wallet.nonce(&trade).await);
        assert_eq!(error(&wallet.ask(&trade, &third, id, &proof).await), (400, "credential_request_denied"));
        trade.hub.end().await;
    }
}

/// What was offered is looked at again when it is taken up.
#[tokio::test(flavor = "multi_thread")]
async fn an_offer_ends_with_the_session_the_wallet_and_the_credential() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (praise, first) = praised(&trade).await;
        let id = "TrustedSellerCredential_vc+jwt";
        let answer = offer(&trade, &first, praise, false).await.body;
        let wallet = Holding::of(&trade, &answer["offer"], DeviceKey::from_seed([77; 32]), false).await;
        let granted = async |session: &str| {
            let answer = offer(&trade, session, praise, false).await.body;
            let token = wallet.token(&trade, &answer["offer"], None).await;
            assert_eq!(token.status, 200, "{token:?}");
            token.body["access_token"].as_str().unwrap().to_owned()
        };
        let ask = async |token: &str| {
            let proof = wallet.proof(&trade, &wallet.nonce(&trade).await);
            wallet.ask(&trade, token, id, &proof).await
        };
        // The session in which it was said ends: neither code nor token serve any more; those of another session do.
        let second = trade.seller.sign_in(&trade.hub).await;
        let (of_first, of_second) = (granted(&first).await, granted(&second).await);
        assert_eq!(trade.hub.delete_as(&first, "/v1/sessions/current").await.status, 204);
        assert_eq!(error(&wallet.token(&trade, &answer["offer"], None).await), (400, "invalid_grant"));
        assert_eq!(error(&ask(&of_first).await), (400, "credential_request_denied"));
        assert_eq!(ask(&of_second).await.status, 200);
        // The wallet leaves the account of whoever offered it.
        let (open, late) = (offer(&trade, &second, praise, false).await.body, granted(&second).await);
        let move_to = |account: RecordId| {
            let sql = "UPDATE wallets SET account = $1 WHERE wallet = $2";
            sqlx::query(sql)
                .bind(account.to_string())
                .bind(trade.seller.wallet_id().to_string())
                .execute(&trade.hub.eyes)
        };
        move_to(trade.buyer.account).await.unwrap();
        assert_eq!(error(&wallet.token(&trade, &open["offer"], None).await), (400, "invalid_grant"));
        assert_eq!(error(&ask(&late).await), (400, "credential_request_denied"));
        move_to(trade.seller.account).await.unwrap();
        // The credential is revoked.
        let open = offer(&trade, &second, praise, false).await.body;
        let gone = trade.buyer.record_about(&trade.hub, "revocation@1", praise, json!({ "reason": "" }));
        trade.hub.say(&gone).await;
        assert_eq!(error(&wallet.token(&trade, &open["offer"], None).await), (400, "invalid_grant"));
        trade.hub.end().await;
    }
}

/// A presentation that names an entry of the hub's lists: good is only what the hub issued, with the entry that it has.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_nobodys_or_anothers_makes_nothing_good() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (praise, _) = praised(&trade).await;
        let seed = std::fs::read_to_string(trade.hub.config.data.join("hub.key")).unwrap();
        let mut bytes = [0; 32];
        hex::decode_to_slice(seed.trim(), &mut bytes).unwrap();
        let (hub, stranger) = (DeviceKey::from_seed(bytes), DeviceKey::from_seed([79; 32]));
        let key = DeviceKey::from_seed([77; 32]);
        let wallet = Holding {
            holder: Holder::of_device(key.device()),
            key,
            issuer: String::new(),
            metadata: Value::Null,
            token_endpoint: String::new(),
        };
        let now = Stamp::from_ms(trade.hub.now());
        let shown = |issuer: &DeviceKey, record: RecordId, entry: u32| {
            let subject = json!({ "id": wallet.holder.did, "record": record });
            let subject = subject.as_object().unwrap().clone();
            let mut document = vc::Document::new("TrustedSellerCredential", issuer.device(), now, subject);
            document.status = Some(Entry::new(&trade.hub.config.public_url, Purpose::Revocation, 0, entry));
            let secured = document.secure(Form::DataIntegrity, issuer, now).unwrap();
            wallet.present(&trade, &[secured], ASKED, Form::DataIntegrity)
        };
        let good = verify_at(&trade, &shown(&hub, praise, 4711), ASKED).await;
        assert_eq!((good.status, &good.body["credentials"][0]["status"]), (200, &json!("good")));
        for (issuer, record, entry) in [
            (&hub, praise, 4712),
            (&hub, trade.buyer.account, 4711),
            (&hub, praise, ENTRIES),
            (&stranger, praise, 4711),
            (&stranger, praise, 4712),
        ] {
            let told = verify_at(&trade, &shown(issuer, record, entry), ASKED).await;
            let field = "/verifiableCredential/0";
            assert_eq!(told.refusal(), (422, "", "credential_status", field), "{record} {entry}");
        }
        trade.hub.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_sixteen_open_offers() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (praise, session) = praised(&trade).await;
        for _ in 0..16 {
            assert_eq!(offer(&trade, &session, praise, false).await.status, 201);
        }
        assert_eq!(offer(&trade, &session, praise, false).await.refusal().2, "too_many_offers");
        trade.hub.clock.pass_ms(10 * 60 * 1000);
        assert_eq!(offer(&trade, &session, praise, false).await.status, 201);
        trade.hub.end().await;
    }
}

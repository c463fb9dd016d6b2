//! A wallet for credentials: takes up an offer (OpenID4VCI 1.0, pre-authorised code) with this person's device key.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use hub::reputation::{
    issuance::{self, GRANT},
    jose::Holder,
    vc,
};
use reqwest::{Client, RequestBuilder, Url};
use serde_json::{Value, json};

use super::{hub::now, profile::Profile};

/// The longest that an answer is waited for.
const WAIT: Duration = Duration::from_secs(30);
/// The largest answer.
const ANSWER_MAX: usize = 256 * 1024;
/// What an offer as a link begins with.
const LINK: &str = "openid-credential-offer:";

/// The offer that a link or a JSON text holds.
pub fn offer_of(text: &str) -> Result<Value> {
    if !text.starts_with(LINK) {
        return serde_json::from_str(text)
            .context("an offer is a link openid-credential-offer://… or its JSON");
    }
    let link = Url::parse(text).context("the offer")?;
    let offer = link.query_pairs().find(|(name, _)| name == "credential_offer");
    let (_, offer) = offer.ok_or_else(|| anyhow!("the offer's link has no credential_offer"))?;
    serde_json::from_str(&offer).context("credential_offer")
}

/// Takes up an offer: the credential, bound to the person's device key. `tx_code`: the digits that came another way.
pub async fn receive(profile: &Profile, offer: &Value, tx_code: Option<&str>, jwt: bool) -> Result<Value> {
    let text = |value: &Value, pointer: &str, what: &str| {
        let found = value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        found.ok_or_else(|| anyhow!("{what} has no {pointer}"))
    };
    let issuer = text(offer, "/credential_issuer", "the offer")?;
    let ids = offer.get("credential_configuration_ids").and_then(Value::as_array);
    let suffix = if jwt { "_vc+jwt" } else { "_ldp_vc" };
    let id = ids.into_iter().flatten().filter_map(Value::as_str).find(|id| id.ends_with(suffix));
    let id = id.ok_or_else(|| anyhow!("the offer has no credential in this form (…{suffix})"))?;
    let grant = offer.pointer("/grants").and_then(|grants| grants.get(GRANT));
    let grant = grant.ok_or_else(|| anyhow!("the offer has no pre-authorised code"))?;
    let code = text(grant, "/pre-authorized_code", "the offer's grant")?;
    if grant.get("tx_code").is_some() && tx_code.is_none() {
        bail!("--tx-code is missing: the offer asks for the digits that were shown with it");
    }

    let client = Client::builder()
        .timeout(WAIT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("the HTTP client")?;
    let base = issuer.trim_end_matches('/');
    let metadata = ask(client.get(format!("{base}/.well-known/openid-credential-issuer"))).await?;
    if text(&metadata, "/credential_issuer", "the metadata")? != issuer {
        bail!("{issuer}: its metadata are another issuer's");
    }
    let server = ask(client.get(format!("{base}/.well-known/oauth-authorization-server"))).await?;
    if text(&server, "/issuer", "the metadata of the token endpoint")? != issuer {
        bail!("{issuer}: the metadata of its token endpoint are another issuer's");
    }
    let mut fields = vec![("grant_type", GRANT), ("pre-authorized_code", code.as_str())];
    fields.extend(tx_code.map(|digits| ("tx_code", digits)));
    let mut form = Url::parse("form:?").context("the form")?;
    form.query_pairs_mut().extend_pairs(fields);
    let request = client
        .post(text(&server, "/token_endpoint", "the metadata")?)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.query().unwrap_or_default().to_owned());
    let token = text(&ask(request).await?, "/access_token", "the token's answer")?;
    let nonce = ask(client.post(text(&metadata, "/nonce_endpoint", "the metadata")?)).await?;
    let nonce = text(&nonce, "/c_nonce", "the nonce's answer")?;

    let holder = Holder::of_device(profile.device.device());
    let proof = issuance::prove(&holder, &issuer, &nonce, &profile.device, now())?;
    let body = json!({ "credential_configuration_id": id, "proofs": { "jwt": [proof] } });
    let endpoint = text(&metadata, "/credential_endpoint", "the metadata")?;
    let answer = ask(client.post(endpoint).bearer_auth(token).json(&body)).await?;
    let credential = answer.pointer("/credentials/0/credential");
    let credential = credential.ok_or_else(|| anyhow!("{issuer} answers no credential"))?.clone();
    let document = vc::open(&credential).context("what was issued does not hold")?;
    if !holder.is(document.about()) {
        bail!("what was issued is bound to {:.200}, not to this person's device", document.about());
    }
    Ok(credential)
}

async fn ask(request: RequestBuilder) -> Result<Value> {
    let mut answer = request.send().await.map_err(|error| anyhow!("the issuer does not answer: {error}"))?;
    let status = answer.status();
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.context("the issuer's answer broke off")? {
        if bytes.len().saturating_add(chunk.len()) > ANSWER_MAX {
            bail!("the issuer answers more than {ANSWER_MAX} bytes");
        }
        bytes.extend_from_slice(&chunk);
    }
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if status.is_success() {
        return Ok(body);
    }
    let told =
        ["error", "error_description"].map(|name| body.get(name).and_then(Value::as_str).unwrap_or_default());
    bail!("the issuer answers {status}: {}", told.join(": "))
}

#[cfg(test)]
mod tests {
    use hub::records::DeviceKey;
    use proptest::{prelude::*, test_runner::TestRunner};
    use tokio::runtime::Runtime;

    use super::*;
    use crate::{
        client::profile::First,
        testing::{
            answers::Answers,
            noise::{edited, edited_text, edits, grafted, grafts, json as any_json, text},
        },
    };

    #[test]
    fn an_offer_is_a_link_or_its_json() {
        let link = "openid-credential-offer://?credential_offer=%7B%22credential_issuer%22%3A%22https%3A%2F%2Fhub.example%22%7D";
        let offer = offer_of(link).unwrap();
        assert_eq!(offer["credential_issuer"], "https://hub.example");
        assert_eq!(offer_of(&offer.to_string()).unwrap(), offer);
        for bad in ["", "openid-credential-offer://", "openid-credential-offer://?credential_offer=x"] {
            assert!(offer_of(bad).is_err(), "{bad}");
        }
    }

    fn link(offer: &str) -> String {
        let mut link = Url::parse("openid-credential-offer://?").unwrap();
        link.query_pairs_mut().append_pair("credential_offer", offer);
        link.to_string()
    }

    proptest! {
        #[test]
        fn an_offer_that_is_read_is_the_json_in_it(offer in any_json(), edits in edits(), other in text()) {
            let json = offer.to_string();
            let read: Value = serde_json::from_str(&json).unwrap();
            for good in [link(&json), json] {
                prop_assert_eq!(&offer_of(&good).unwrap(), &read);
                for text in [edited_text(&good, &edits), format!("{good}{other}"), format!("{LINK}{other}")] {
                    if let Err(error) = offer_of(&text) {
                        let told = format!("{error:#}");
                        prop_assert!(told.contains("offer"), "{told}");
                    }
                }
            }
        }
    }

    /// What an issuer at this URL answers, in the order in which it is asked: its metadata, those of its token endpoint, a token, a
    /// nonce, a credential.
    fn answered(url: &str, profile: &Profile) -> [Value; 5] {
        let issuer = DeviceKey::from_seed([9; 32]);
        let subject = json!({ "id": profile.device.device() }).as_object().unwrap().clone();
        let document = vc::Document::new("TrustedSellerCredential", issuer.device(), now(), subject);
        let credential = document.secure(vc::Form::DataIntegrity, &issuer, now()).unwrap();
        [
            json!({
                "credential_issuer": url, "nonce_endpoint": format!("{url}/nonce"),
                "credential_endpoint": format!("{url}/credential"),
            }),
            json!({ "issuer": url, "token_endpoint": format!("{url}/token") }),
            json!({ "access_token": "t", "token_type": "Bearer" }),
            json!({ "c_nonce": "n" }),
            json!({ "credentials": [{ "credential": credential }] }),
        ]
    }

    /// Whether an answer names no other endpoint than this one: nobody else is asked by a test.
    fn stays(answer: &[u8], good: &Value) -> bool {
        let Ok(answer) = serde_json::from_slice::<Value>(answer) else { return true };
        let names = ["nonce_endpoint", "token_endpoint", "credential_endpoint"];
        names.iter().all(|name| answer[*name] == good[*name] || !answer[*name].is_string())
    }

    #[test]
    fn whatever_an_issuer_answers_is_this_persons_credential_or_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::create(&folder.path().join("ida"), "ida", First::Solana(None)).unwrap();
        let holder = Holder::of_device(profile.device.device());
        let runtime = Runtime::new().unwrap();
        let answers = runtime.block_on(Answers::start());
        let good = answered(&answers.url, &profile);
        let bodies: Vec<Vec<u8>> = good.iter().map(|one| serde_json::to_vec(one).unwrap()).collect();
        let mut offer = json!({
            "credential_issuer": answers.url,
            "credential_configuration_ids": ["TrustedSellerCredential_ldp_vc"],
            "grants": {},
        });
        offer["grants"][GRANT] = json!({ "pre-authorized_code": "c" });
        let receives = |offer: &Value, status: u16, bodies: &[Vec<u8>]| {
            answers.say(bodies.iter().map(|body| (status, "application/json", body.clone())));
            runtime.block_on(receive(&profile, offer, None, false))
        };
        assert_eq!(receives(&offer, 200, &bodies).unwrap(), good[4]["credentials"][0]["credential"]);
        let refusal = json!({ "error": "invalid_grant", "error_description": "it was used" });
        let refused =
            receives(&offer, 400, &[serde_json::to_vec(&refusal).unwrap()]).unwrap_err().to_string();
        assert!(refused.contains("400") && refused.contains("invalid_grant: it was used"), "{refused}");
        // Each case asks five times, by a client of its own: there are fewer of them.
        let config = ProptestConfig::default();
        let cases = (config.cases / 4).max(1);
        let mut runner = TestRunner::new(ProptestConfig { cases, ..config });
        let strategy = (0..6_usize, 0..3_u8, edits(), grafts(), any_json());
        let came = runner.run(&strategy, |(nth, how, edits, grafts, other)| {
            let Some(good) = good.get(nth) else {
                let changed = grafted(&offer, &grafts);
                let issuer = &changed["credential_issuer"];
                if *issuer == offer["credential_issuer"] || !issuer.is_string() {
                    let _ = receives(&changed, 200, &bodies);
                }
                return Ok(());
            };
            let changed = match how {
                0 => edited(&bodies[nth], &edits),
                1 => serde_json::to_vec(&grafted(good, &grafts)).unwrap(),
                _ => serde_json::to_vec(&other).unwrap(),
            };
            if !stays(&changed, good) {
                return Ok(());
            }
            let mut bodies = bodies.clone();
            bodies[nth] = changed;
            match receives(&offer, 200, &bodies) {
                Ok(credential) => prop_assert!(holder.is(vc::open(&credential).unwrap().about())),
                Err(error) => {
                    let told = format!("{error:#}");
                    prop_assert!(!told.trim().is_empty());
                }
            }
            Ok(())
        });
        came.unwrap();
    }
}

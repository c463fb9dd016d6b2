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
    use super::offer_of;

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
}

//! OpenID for Verifiable Credential Issuance 1.0, pre-authorised code: what the hub publishes, offers and asks of a wallet, and
//! what it issues to one. The rules alone, without a server.
//!
//! A wallet gets the hub's word that whoever has the key also has the account about whose wallet a credential is. It says what the
//! credential says, rests on the same outcome, and stands and falls with it: its status is the same entry of the same list.

use serde_json::{Map, Value, json};

use super::{
    heading::Heading,
    jose::{self, Holder, Token},
    kinds::Kind,
    vc::{CONTEXTS, Document, Form, TYPE},
};
use crate::records::{Device, ProofError, RecordId, Stamp};

/// The grant of the token endpoint.
pub const GRANT: &str = "urn:ietf:params:oauth:grant-type:pre-authorized_code";
/// The type of a proof of possession.
pub const PROOF: &str = "openid4vci-proof+jwt";
/// How long an offer may be taken up, in milliseconds.
pub const OFFER_LIFE_MS: i64 = 10 * 60 * 1000;
/// How long an access token is good for, in milliseconds.
pub const TOKEN_LIFE_MS: i64 = 5 * 60 * 1000;
/// How long a nonce is good for, in milliseconds.
pub const NONCE_LIFE_MS: i64 = 5 * 60 * 1000;
/// How often a wrong transaction code may be given before the offer is over.
pub const TRIES_MAX: i64 = 5;
/// The digits of a transaction code.
pub const TX_CODE_DIGITS: usize = 6;
/// How far a proof's `iat` may be behind the hub's clock and ahead of it, in seconds.
const PROOF_AGE_S: (i64, i64) = (300, 60);
/// How long what is issued to a wallet is valid, in milliseconds: a year.
const VALID_MS: i64 = 365 * 24 * 60 * 60 * 1000;
/// The paths of the endpoints.
pub const ENDPOINTS: [&str; 3] = ["/v1/openid/token", "/v1/openid/nonce", "/v1/openid/credential"];

/// One thing that wallets can ask for: a kind in a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// What it says.
    pub kind: Kind,
    /// How it is secured.
    pub form: Form,
}

impl Configuration {
    /// Everything that is issued.
    pub fn all() -> impl Iterator<Item = Self> {
        Kind::ALL
            .into_iter()
            .flat_map(|kind| [Form::DataIntegrity, Form::Jose].map(|form| Self { kind, form }))
    }

    /// Both of a kind.
    pub fn of(kind: Kind) -> Vec<Self> {
        Self::all().filter(|one| one.kind == kind).collect()
    }

    /// The one of this id.
    pub fn of_id(id: &str) -> Option<Self> {
        Self::all().find(|one| one.id() == id)
    }

    /// Its id, such as `TrustedSellerCredential_ldp_vc`.
    pub fn id(self) -> String {
        format!("{}_{}", self.kind.name(), self.format())
    }

    /// `ldp_vc`, or `vc+jwt`, for which the standard's `jwt_vc_json` (VC 1.1) would be the wrong name.
    const fn format(self) -> &'static str {
        match self.form {
            Form::DataIntegrity => "ldp_vc",
            Form::Jose => jose::CREDENTIAL,
        }
    }

    fn metadata(self) -> Value {
        let algorithm = match self.form {
            Form::DataIntegrity => crate::records::proof::CRYPTOSUITE,
            Form::Jose => "EdDSA",
        };
        json!({
            "format": self.format(),
            "cryptographic_binding_methods_supported": ["did:key", "did:jwk"],
            "credential_signing_alg_values_supported": [algorithm],
            "proof_types_supported": { "jwt": { "proof_signing_alg_values_supported": ["EdDSA"] } },
            "credential_definition": { "@context": CONTEXTS, "type": [TYPE, self.kind.name()] },
            "credential_metadata": { "display": [{ "name": self.kind.rule().words, "locale": "en" }] },
        })
    }
}

/// `/.well-known/openid-credential-issuer` of the hub at `base`.
pub fn metadata(base: &str) -> Value {
    let [_, nonce, credential] = ENDPOINTS;
    let configurations: Map<String, Value> =
        Configuration::all().map(|one| (one.id(), one.metadata())).collect();
    json!({
        "credential_issuer": base,
        "credential_endpoint": format!("{base}{credential}"),
        "nonce_endpoint": format!("{base}{nonce}"),
        "display": [{ "name": "Earnest hub", "locale": "en" }],
        "credential_configurations_supported": configurations,
    })
}

/// `/.well-known/oauth-authorization-server` of the hub at `base` (RFC 8414): the hub is its own.
pub fn authorization_server(base: &str) -> Value {
    json!({
        "issuer": base,
        "token_endpoint": format!("{base}{}", ENDPOINTS[0]),
        "response_types_supported": [],
        "grant_types_supported": [GRANT],
        "token_endpoint_auth_methods_supported": ["none"],
        "pre-authorized_grant_anonymous_access_supported": true,
    })
}

/// The offer of a credential of this kind by the hub at `base`; `code` is as good as the credential until it is used.
pub fn offer(base: &str, kind: Kind, code: &str, with_tx_code: bool) -> Value {
    let ids: Vec<String> = Configuration::of(kind).into_iter().map(Configuration::id).collect();
    let mut grant = json!({ "pre-authorized_code": code });
    if let (true, Some(members)) = (with_tx_code, grant.as_object_mut()) {
        let tx_code = json!({
            "input_mode": "numeric", "length": TX_CODE_DIGITS,
            "description": "The digits that you were shown with the offer",
        });
        members.insert("tx_code".to_owned(), tx_code);
    }
    json!({ "credential_issuer": base, "credential_configuration_ids": ids, "grants": { GRANT: grant } })
}

/// A wallet's proof that it has a key, for this hub and this nonce.
///
/// # Errors
/// The form, which has no canonical one.
pub fn prove(
    holder: &Holder,
    audience: &str,
    nonce: &str,
    key: &crate::records::DeviceKey,
    now: Stamp,
) -> Result<String, ProofError> {
    let claims = json!({ "aud": audience, "iat": now.ms().div_euclid(1000), "nonce": nonce });
    jose::sign(&claims, PROOF, &holder.method(), key)
}

/// Whose key a proof shows, and for which nonce; whether the nonce is one of the hub's and was not used is to be looked up.
///
/// # Errors
/// The member that is not as it must be, or the signature.
pub fn check_proof(token: &str, audience: &str, now: Stamp) -> Result<(Holder, String), ProofError> {
    let refuse = |field, rule: String| ProofError::Malformed { field, rule };
    let token = Token::read(token, PROOF)?;
    let holder = match (token.header.get("jwk"), token.header.contains_key("kid")) {
        (Some(key), false) => Holder::of_device(jose::device_of(key)?),
        (None, _) => Holder::of_method(token.method()?)?,
        (Some(_), true) => return Err(refuse("/header", "must have one of kid and jwk".to_owned())),
    };
    token.verify(&holder.device)?;
    let claim = |name: &str| token.payload.get(name);
    if claim("aud").and_then(Value::as_str) != Some(audience) {
        return Err(refuse("/payload/aud", format!("must be {audience}")));
    }
    let seconds = now.ms().div_euclid(1000);
    let (behind, ahead) = PROOF_AGE_S;
    let made = claim("iat").and_then(Value::as_i64);
    if !made
        .is_some_and(|made| (seconds.saturating_sub(behind)..=seconds.saturating_add(ahead)).contains(&made))
    {
        let rule = format!("must be at most {behind} s before and {ahead} s after {seconds}");
        return Err(refuse("/payload/iat", rule));
    }
    let nonce = claim("nonce").and_then(Value::as_str).filter(|nonce| (1..=128).contains(&nonce.len()));
    let nonce = nonce.ok_or_else(|| refuse("/payload/nonce", "is required".to_owned()))?;
    Ok((holder, nonce.to_owned()))
}

/// What a hub issues to a holder of a key because of a credential that it has.
pub fn bound(credential: &Heading, record: RecordId, holder: &Holder, hub: Device, now: Stamp) -> Document {
    let mut subject = Map::new();
    for (name, value) in [
        ("id", json!(holder.did)),
        ("wallet", json!(credential.subject)),
        ("issued_by", json!(credential.issuer)),
        ("record", json!(record)),
        (credential.rests_on.0.name(), credential.rests_on.1.clone()),
    ] {
        subject.insert(name.to_owned(), value);
    }
    let mut document = Document::new(credential.kind.name(), hub, now, subject);
    document.valid_until = Some(Stamp::from_ms(now.ms().saturating_add(VALID_MS)));
    document.status = credential.status.clone();
    document
}

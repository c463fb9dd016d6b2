//! Compact JSON Web Signatures (RFC 7515) with Ed25519 (RFC 8037): the JOSE form of credentials and presentations
//! (Securing Verifiable Credentials using JOSE and COSE, sections 3.1.1 and 3.1.2) and proofs of possession. Needs no server.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use crate::records::{Device, DeviceKey, ProofError, proof};

/// The media type, without `application/`, of a credential in JOSE form.
pub const CREDENTIAL: &str = "vc+jwt";
/// The media type, without `application/`, of a presentation in JOSE form.
pub const PRESENTATION: &str = "vp+jwt";
/// The most characters of a token.
pub const TOKEN_MAX: usize = 64 * 1024;
/// What a header may have. `crit`, `x5c` and others would change what the signature means or whose it is.
const HEADER: [&str; 6] = ["alg", "typ", "cty", "kid", "iss", "jwk"];
const DID_JWK: &str = "did:jwk:";
/// The most characters of a did:jwk.
const DID_MAX: usize = 1_000;

fn malformed(field: &'static str, rule: impl Into<String>) -> ProofError {
    ProofError::Malformed { field, rule: rule.into() }
}

fn decode(text: &str, field: &'static str) -> Result<Vec<u8>, ProofError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed(field, "must be base64url without padding"))
}

/// Signs bytes under a header as it is written, whatever they are.
fn compact(header: &[u8], payload: &[u8], key: &DeviceKey) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// Signs a document as a token of this media type, by the key that `method` names. Signing is deterministic.
///
/// # Errors
/// The document has no canonical form.
pub fn sign(payload: &Value, typ: &str, method: &str, key: &DeviceKey) -> Result<String, ProofError> {
    let mut header = json!({ "alg": "EdDSA", "typ": typ, "kid": method });
    let content = match typ {
        CREDENTIAL => Some("vc"),
        PRESENTATION => Some("vp"),
        _ => None,
    };
    if let (Some(content), Some(members)) = (content, header.as_object_mut()) {
        members.insert("cty".to_owned(), content.into());
    }
    Ok(compact(&proof::canonical(&header)?, &proof::canonical(payload)?, key))
}

/// A token whose form was checked; whether its signature holds is another question.
#[derive(Clone, Debug)]
pub struct Token {
    /// The protected header.
    pub header: Map<String, Value>,
    /// What is signed: a JSON object.
    pub payload: Value,
    signed: String,
    signature: [u8; 64],
}

impl Token {
    /// Reads a token of this media type.
    ///
    /// # Errors
    /// The member that is not as it must be.
    pub fn read(text: &str, typ: &str) -> Result<Self, ProofError> {
        if text.len() > TOKEN_MAX {
            return Err(malformed("", format!("the token has more than {TOKEN_MAX} characters")));
        }
        let parts: Vec<&str> = text.splitn(4, '.').collect();
        let [header, payload, signature] = parts.as_slice() else {
            return Err(malformed("", "a token is header, payload and signature with a dot between them"));
        };
        let signed = format!("{header}.{payload}");
        let header: Map<String, Value> = serde_json::from_slice(&decode(header, "/header")?)
            .map_err(|_| malformed("/header", "must be a JSON object"))?;
        if let Some(name) = header.keys().find(|name| !HEADER.contains(&name.as_str())) {
            return Err(malformed("/header", format!("may not have the member `{name:.40}`")));
        }
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        if text("alg") != Some("EdDSA") {
            return Err(malformed("/header/alg", "must be EdDSA"));
        }
        if text("typ") != Some(typ) {
            return Err(malformed("/header/typ", format!("must be {typ}")));
        }
        let content = typ.split_once('+').map_or("", |(content, _)| content);
        if header.contains_key("cty") && text("cty") != Some(content) {
            return Err(malformed("/header/cty", format!("must be {content}")));
        }
        let payload: Map<String, Value> = serde_json::from_slice(&decode(payload, "/payload")?)
            .map_err(|_| malformed("/payload", "must be a JSON object"))?;
        if let Some(name) = ["vc", "vp"].into_iter().find(|name| payload.contains_key(*name)) {
            return Err(malformed("/payload", format!("may not have the claim `{name}`")));
        }
        let signature = decode(signature, "/signature")?
            .try_into()
            .map_err(|_| malformed("/signature", "must be 64 bytes"))?;
        Ok(Self { header, payload: Value::Object(payload), signed, signature })
    }

    /// The verification method that the header names by `kid`.
    ///
    /// # Errors
    /// There is none, or the key stands in the header itself.
    pub fn method(&self) -> Result<&str, ProofError> {
        if self.header.contains_key("jwk") {
            return Err(malformed("/header/jwk", "the key must be named by kid"));
        }
        let kid = self.header.get("kid").and_then(Value::as_str);
        kid.ok_or_else(|| malformed("/header/kid", "a string is required"))
    }

    /// Verifies the signature by this key.
    ///
    /// # Errors
    /// It is not of this key over this token.
    pub fn verify(&self, device: &Device) -> Result<(), ProofError> {
        if device.has_signed(self.signed.as_bytes(), &self.signature) {
            Ok(())
        } else {
            Err(ProofError::Mismatch { method: device.verification_method() })
        }
    }
}

/// Verifies a token whose `kid` is of an Ed25519 did:key or did:jwk, and says by which.
///
/// # Errors
/// The form is wrong, the key is of another kind, or the signature does not match.
pub fn verify(text: &str, typ: &str) -> Result<(Value, Holder), ProofError> {
    let token = Token::read(text, typ)?;
    let holder = Holder::of_method(token.method()?)?;
    token.verify(&holder.device)?;
    Ok((token.payload, holder))
}

/// Whoever holds a key, by the name that it goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// did:key or did:jwk.
    pub did: String,
    /// Its one key.
    pub device: Device,
}

impl Holder {
    /// The holder of a did:key.
    pub fn of_device(device: Device) -> Self {
        Self { did: device.to_string(), device }
    }

    /// The holder whose key a verification method names: `did:key:z6Mk…#z6Mk…` or `did:jwk:…#0`.
    ///
    /// # Errors
    /// Another method, another kind of key, or another fragment.
    pub fn of_method(method: &str) -> Result<Self, ProofError> {
        if let Some((did, fragment)) = method.split_once('#')
            && did.starts_with(DID_JWK)
        {
            if fragment != "0" {
                return Err(malformed("/kid", "the fragment of a did:jwk must be #0"));
            }
            return Self::of_did(did);
        }
        let device =
            Device::of_verification_method(method).map_err(|error| malformed("/kid", error.to_string()))?;
        Ok(Self::of_device(device))
    }

    /// The holder of this name.
    ///
    /// # Errors
    /// Not a did:key or did:jwk of an Ed25519 key.
    pub fn of_did(did: &str) -> Result<Self, ProofError> {
        let Some(encoded) = did.strip_prefix(DID_JWK) else {
            let device: Device = did
                .parse()
                .map_err(|error: crate::records::KeyError| malformed("/holder", error.to_string()))?;
            return Ok(Self::of_device(device));
        };
        if did.len() > DID_MAX {
            return Err(malformed("/holder", format!("a did:jwk may have {DID_MAX} characters")));
        }
        let key: Value = serde_json::from_slice(&decode(encoded, "/holder")?)
            .map_err(|_| malformed("/holder", "a did:jwk must hold a JSON Web Key"))?;
        Ok(Self { did: did.to_owned(), device: device_of(&key)? })
    }

    /// Whether a DID names the same key.
    pub fn is(&self, did: &str) -> bool {
        Self::of_did(did).is_ok_and(|other| other.device == self.device)
    }

    /// The name of its key.
    pub fn method(&self) -> String {
        if self.did.starts_with(DID_JWK) {
            format!("{}#0", self.did)
        } else {
            self.device.verification_method()
        }
    }
}

/// The device of a public JSON Web Key (RFC 8037, section 2).
///
/// # Errors
/// Not an Ed25519 public key, or a secret one.
pub fn device_of(key: &Value) -> Result<Device, ProofError> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    if text("kty") != Some("OKP") || text("crv") != Some("Ed25519") {
        return Err(malformed("/jwk", "must be a key with kty OKP and crv Ed25519"));
    }
    if key.get("d").is_some() {
        return Err(malformed("/jwk/d", "a secret key may not be shown"));
    }
    let x = text("x").filter(|x| x.len() <= 64).ok_or_else(|| malformed("/jwk/x", "is required"))?;
    let bytes = decode(x, "/jwk/x")?;
    let multicodec = [&[0xed, 0x01], bytes.as_slice()].concat();
    let did = format!("did:key:z{}", bs58::encode(multicodec).into_string());
    did.parse().map_err(|error: crate::records::KeyError| malformed("/jwk/x", error.to_string()))
}

/// The public JSON Web Key of a device, in canonical form.
pub fn jwk(device: &Device) -> Value {
    let multibase = device.multibase();
    let bytes = bs58::decode(multibase.trim_start_matches('z')).into_vec().unwrap_or_default();
    json!({ "crv": "Ed25519", "kty": "OKP", "x": URL_SAFE_NO_PAD.encode(bytes.get(2..).unwrap_or_default()) })
}

/// The did:jwk of a device.
pub fn did_jwk(device: &Device) -> String {
    format!("{DID_JWK}{}", URL_SAFE_NO_PAD.encode(jwk(device).to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

    use super::*;

    /// RFC 8037, appendices A.1, A.4 and A.5.
    const SECRET: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
        hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    /// The suite of Securing Verifiable Credentials using JOSE and COSE (w3c/vc-jose-cose-test-suite),
    /// `tests/input/credential-jose-vc-vp-claims.txt`: good but for its claims `vc` and `vp`.
    const PUBLISHED: &str = "eyJhbGciOiJFZERTQSIsImN0eSI6InZjIiwia2lkIjoiMmFPSGFReHNXVlQ0bUxzVWtkdGxDblVWLWF1MEJCUi01eVBZYVBhQ2M1ayIsInR5cCI6InZjK2p3dCJ9.eyJAY29udGV4dCI6WyJodHRwczovL3d3dy53My5vcmcvbnMvY3JlZGVudGlhbHMvdjIiLCJodHRwczovL3d3dy53My5vcmcvbnMvY3JlZGVudGlhbHMvZXhhbXBsZXMvdjIiXSwiY3JlZGVudGlhbFNjaGVtYSI6eyJpZCI6Imh0dHBzOi8vZXhhbXBsZS5vcmcvZXhhbXBsZXMvZGVncmVlLmpzb24iLCJ0eXBlIjoiSnNvblNjaGVtYSJ9LCJjcmVkZW50aWFsU3ViamVjdCI6eyJkZWdyZWUiOnsibmFtZSI6IkJhY2hlbG9yIG9mIFNjaWVuY2UgYW5kIEFydHMiLCJ0eXBlIjoiQmFjaGVsb3JEZWdyZWUifSwiaWQiOiJkaWQ6ZXhhbXBsZToxMjMifSwiaWF0IjoiMjAxMC0wMS0wMVQxOToyMzoyNFoiLCJpZCI6Imh0dHA6Ly91bml2ZXJzaXR5LmV4YW1wbGUvY3JlZGVudGlhbHMvMTg3MiIsImlzcyI6Imh0dHBzOi8vZXhhbXBsZS5pc3N1ZXIvdmMtam9zZS1jb3NlIiwiaXNzdWVyIjoiaHR0cHM6Ly9leGFtcGxlLmlzc3Vlci92Yy1qb3NlLWNvc2UiLCJqdGkiOiJodHRwOi8vdW5pdmVyc2l0eS5leGFtcGxlL2NyZWRlbnRpYWxzLzE4NzIiLCJ0eXBlIjpbIlZlcmlmaWFibGVDcmVkZW50aWFsIiwiRXhhbXBsZUFsdW1uaUNyZWRlbnRpYWwiXSwidmFsaWRGcm9tIjoiMjAxMC0wMS0wMVQxOToyMzoyNFoiLCJ2YyI6Im9vcHMiLCJ2cCI6Im5vb28ifQ.MYH7qVx4rMZs_VXhy0lTQ53k3eSM2C_zxRC-FfGBYiGP7pbGt89a445EpIhTB5n8OO2Iz3zaKrLeUYHwc4HuBw";

    fn key() -> DeviceKey {
        DeviceKey::from_seed(URL_SAFE_NO_PAD.decode(SECRET).unwrap().try_into().unwrap())
    }

    fn field(result: Result<impl std::fmt::Debug, ProofError>) -> &'static str {
        match result.unwrap_err() {
            ProofError::Malformed { field, .. } => field,
            ProofError::Mismatch { .. } => "mismatch",
        }
    }

    #[test]
    fn the_published_token_and_key_come_out() {
        assert_eq!(compact(br#"{"alg":"EdDSA"}"#, b"Example of Ed25519 signing", &key()), TOKEN);
        let public = json!({ "kty": "OKP", "crv": "Ed25519", "x": PUBLIC });
        assert_eq!(device_of(&public).unwrap(), key().device());
        assert_eq!(jwk(&key().device()), public);
        let secret = json!({ "kty": "OKP", "crv": "Ed25519", "x": PUBLIC, "d": SECRET });
        assert_eq!(field(device_of(&secret)), "/jwk/d");
        // It names no type, so it is no credential.
        assert_eq!(field(Token::read(TOKEN, CREDENTIAL)), "/header/typ");
        assert_eq!(field(Token::read(PUBLISHED, CREDENTIAL)), "/payload");
    }

    #[test]
    fn a_token_is_its_signers_and_of_its_type_alone() {
        let method = key().device().verification_method();
        let good = sign(&json!({ "a": 1 }), CREDENTIAL, &method, &key()).unwrap();
        let (payload, holder) = verify(&good, CREDENTIAL).unwrap();
        assert_eq!((payload, holder.device), (json!({ "a": 1 }), key().device()));
        assert_eq!(field(verify(&good, PRESENTATION)), "/header/typ");
        let other = DeviceKey::from_seed([9; 32]);
        let forged = sign(&json!({ "a": 1 }), CREDENTIAL, &method, &other).unwrap();
        assert_eq!(field(verify(&forged, CREDENTIAL)), "mismatch");
        for (header, at) in [
            (json!({ "alg": "none", "typ": CREDENTIAL, "kid": method }), "/header/alg"),
            (json!({ "alg": "HS256", "typ": CREDENTIAL, "kid": method }), "/header/alg"),
            (json!({ "alg": "EdDSA", "typ": "JWT", "kid": method }), "/header/typ"),
            (json!({ "alg": "EdDSA", "typ": CREDENTIAL, "cty": "bad+cty", "kid": method }), "/header/cty"),
            (json!({ "alg": "EdDSA", "typ": CREDENTIAL, "kid": method, "crit": ["b64"] }), "/header"),
            (json!({ "alg": "EdDSA", "typ": CREDENTIAL }), "/header/kid"),
            (json!({ "alg": "EdDSA", "typ": CREDENTIAL, "jwk": jwk(&key().device()) }), "/header/jwk"),
            (json!({ "alg": "EdDSA", "typ": CREDENTIAL, "kid": "https://example.org/key" }), "/kid"),
        ] {
            let token = compact(header.to_string().as_bytes(), b"{}", &key());
            assert_eq!(field(verify(&token, CREDENTIAL)), at, "{header}");
        }
        for (token, at) in [
            (String::new(), ""),
            ("a.b".to_owned(), ""),
            (format!("{good}.x"), ""),
            (format!("={good}"), "/header"),
            (format!("{good}="), "/signature"),
            (good.get(..good.len() - 4).unwrap().to_owned(), "/signature"),
            ("x".repeat(TOKEN_MAX + 1), ""),
        ] {
            assert_eq!(field(verify(&token, CREDENTIAL)), at);
        }
        let list = compact(
            json!({ "alg": "EdDSA", "typ": CREDENTIAL, "kid": method }).to_string().as_bytes(),
            b"[]",
            &key(),
        );
        assert_eq!(field(verify(&list, CREDENTIAL)), "/payload");
    }

    #[test]
    fn a_holder_goes_by_either_name() {
        let device = key().device();
        let by_key = Holder::of_device(device);
        let by_jwk = Holder::of_did(&did_jwk(&device)).unwrap();
        assert!(by_key.is(&by_jwk.did) && by_jwk.is(&by_key.did) && by_jwk.did != by_key.did);
        for holder in [&by_key, &by_jwk] {
            assert_eq!(Holder::of_method(&holder.method()).unwrap(), *holder);
        }
        assert!(!by_key.is("did:web:example.org") && !by_key.is(&"did:jwk:".repeat(1000)));
        assert!(Holder::of_method(&format!("{}#1", by_jwk.did)).is_err());
        let p256 = json!({ "kty": "EC", "crv": "P-256", "x": "", "y": "" }).to_string();
        assert_eq!(field(Holder::of_did(&format!("did:jwk:{}", URL_SAFE_NO_PAD.encode(p256)))), "/jwk");
    }
}

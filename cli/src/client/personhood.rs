//! A hub's credential that somebody is a person, and whether it holds. Needs no server but for the hub's key.

use anyhow::{Context, Result, anyhow};
use hub::{
    records::{
        Device, RecordId, Stamp,
        proof::{self, ASSERTION},
    },
    reputation::{
        PROOF_OF_PERSONHOOD,
        model::WalletDid,
        vc::{CONTEXTS, TYPE},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{credential, hub::Hub};

/// The hub whose word is taken.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// Its did:web; none where its key alone is named.
    pub did: Option<String>,
    /// Its key.
    pub device: Device,
}

/// A credential without its proof.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    #[serde(rename = "@context")]
    context: Vec<String>,
    #[serde(rename = "type")]
    types: Vec<String>,
    issuer: String,
    #[serde(rename = "validFrom")]
    from: Stamp,
    #[serde(rename = "validUntil")]
    until: Stamp,
    #[serde(rename = "credentialSubject")]
    person: Person,
}

/// Whom a hub calls a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The first wallet of the account.
    pub id: WalletDid,
    /// The account at the hub.
    pub account: RecordId,
    /// Who has vouched: `brightid`, `proof_of_humanity` or `stand_in`.
    pub provider: String,
}

/// A credential that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The hub's did:web.
    pub issuer: String,
    /// Whom it is about.
    pub person: Person,
    /// Until when it is good.
    pub until: Stamp,
}

/// The hub behind a URL, by its DID document.
///
/// # Errors
/// It does not answer, or its document is none.
pub async fn trusted(hub: &Hub) -> Result<Trusted> {
    let document: Value = hub.http.get("/.well-known/did.json").await?;
    let did = document.get("id").and_then(Value::as_str).map(str::to_owned);
    let did = did.ok_or_else(|| anyhow!("{}: the DID document has no id", hub.http.base()))?;
    let device = credential::device_of(hub).await.context("the hub's key")?;
    Ok(Trusted { did: Some(did), device })
}

/// Whether this says to be such a credential.
pub fn is_one(secured: &Value) -> bool {
    let types = secured.get("type").and_then(Value::as_array);
    types.is_some_and(|types| types.iter().any(|one| one == PROOF_OF_PERSONHOOD))
}

/// Checks form, issuer, signature and time. It has no status list: it falls by itself after a day.
///
/// # Errors
/// What does not hold, in words.
pub fn check(secured: &Value, hub: &Trusted, now: Stamp) -> Result<Held, String> {
    let mut unsecured = secured.as_object().cloned().ok_or("it must be a JSON object with a proof")?;
    unsecured.remove("proof");
    let said = Said::deserialize(Value::Object(unsecured)).map_err(|error| error.to_string())?;
    if said.context != CONTEXTS {
        return Err(format!("@context must be exactly {CONTEXTS:?}"));
    }
    if said.types != [TYPE, PROOF_OF_PERSONHOOD] {
        return Err(format!("type must be exactly {TYPE} and {PROOF_OF_PERSONHOOD}"));
    }
    if !said.issuer.starts_with("did:web:") {
        return Err(format!("issuer {:.300} must be the did:web of a hub", said.issuer));
    }
    if let Some(did) = hub.did.as_ref().filter(|did| **did != said.issuer) {
        return Err(format!("issuer {:.300} is not {did}, the hub whose word you take", said.issuer));
    }
    let method = format!("{}#{}", said.issuer, hub.device.multibase());
    let resolve = |named: &str| {
        if named == method {
            Ok(hub.device)
        } else {
            Err(format!("must be {method}, the key of the hub whose word you take"))
        }
    };
    proof::verify_with(secured, ASSERTION, resolve).map_err(|error| error.to_string())?;
    if now < said.from || now >= said.until {
        return Err(format!("it is good from {} until {}, not at {now}", said.from, said.until));
    }
    Ok(Held { issuer: said.issuer, person: said.person, until: said.until })
}

#[cfg(test)]
mod tests {
    use hub::records::DeviceKey;
    use serde_json::json;

    use super::*;

    const HUB: &str = "did:web:hub.example";

    fn stamp(text: &str) -> Stamp {
        text.parse().unwrap()
    }

    fn unsigned() -> Value {
        json!({
            "@context": CONTEXTS,
            "type": [TYPE, PROOF_OF_PERSONHOOD],
            "issuer": HUB,
            "validFrom": "2026-11-21T10:00:00Z",
            "validUntil": "2026-11-22T10:00:00Z",
            "credentialSubject": {
                "id": "did:pkh:eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
                "account": RecordId::of(&json!({ "who": "anna" })).unwrap(),
                "provider": "brightid",
            },
        })
    }

    fn signed(document: Value, key: &DeviceKey) -> Value {
        let method = format!("{HUB}#{}", key.device().multibase());
        proof::sign_as(document, key, &method, ASSERTION, stamp("2026-11-21T10:00:00Z")).unwrap()
    }

    #[test]
    fn a_hubs_word_on_a_person_holds_by_its_key_for_its_day() {
        let (key, other) = (DeviceKey::from_seed([7; 32]), DeviceKey::from_seed([8; 32]));
        let by = |did: Option<&str>, key: &DeviceKey| Trusted {
            did: did.map(str::to_owned),
            device: key.device(),
        };
        let good = signed(unsigned(), &key);
        let now = stamp("2026-11-21T12:00:00Z");
        assert!(is_one(&good) && !is_one(&json!({ "type": [TYPE] })) && !is_one(&json!("a.b.c")));
        for hub in [by(None, &key), by(Some(HUB), &key)] {
            let held = check(&good, &hub, now).unwrap();
            assert_eq!((held.issuer.as_str(), held.person.provider.as_str()), (HUB, "brightid"));
        }
        let why = |secured: &Value, hub: &Trusted, now: &str| check(secured, hub, stamp(now)).unwrap_err();
        let (noon, hub) = ("2026-11-21T12:00:00Z", by(Some(HUB), &key));
        assert!(why(&good, &by(None, &other), noon).contains("whose word you take"));
        assert!(why(&good, &by(Some("did:web:other.example"), &key), noon).contains("whose word you take"));
        for time in ["2026-11-21T09:59:59Z", "2026-11-22T10:00:00Z", "2027-11-21T12:00:00Z"] {
            assert!(why(&good, &hub, time).contains("it is good from"), "{time}");
        }
        // By the hub's name and another's key.
        assert!(why(&signed(unsigned(), &other), &hub, noon).contains("whose word you take"));
        let mut altered = good.clone();
        altered["credentialSubject"]["provider"] = json!("stand_in");
        assert!(why(&altered, &hub, noon).contains("does not match"));
        for (member, value) in [
            ("validUntil", Value::Null),
            ("type", json!([PROOF_OF_PERSONHOOD])),
            ("issuer", json!(key.device())),
            ("@context", json!([CONTEXTS[0]])),
            ("credentialStatus", json!({})),
        ] {
            let mut document = unsigned();
            document[member] = value;
            assert!(check(&signed(document, &key), &hub, now).is_err(), "{member}");
        }
    }
}

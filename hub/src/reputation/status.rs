//! Bitstring Status Lists v1.0: where it shows that a credential was revoked. The rules alone, without a server.
//!
//! A list is a credential of the hub with a bit for each of [`ENTRIES`] credentials. Issuers draw their entry at random
//! among the free ones, and at most half of a list is ever taken ([`TAKEN_MAX`]), so that neither the number of an entry nor a
//! look at the list says when a credential was issued, or how many there are.

use std::io::{Read as _, Write as _};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::vc::{self, Document};
use crate::records::{Device, DeviceKey, Stamp};

/// The bits of a list, the least that the standard allows: 16 KiB.
pub const ENTRIES: u32 = 1 << 17;
/// How many of them are ever taken.
pub const TAKEN_MAX: u32 = ENTRIES / 2;
/// The type of a list.
pub const LIST: &str = "BitstringStatusListCredential";
/// The type of what a list says.
const SUBJECT: &str = "BitstringStatusList";
/// The type of an entry.
const ENTRY: &str = "BitstringStatusListEntry";
/// The most bytes of a list once inflated: those of others may be longer than ours.
const INFLATED_MAX: u64 = 256 * 1024;
/// The most characters of a list as it is written.
const ENCODED_MAX: usize = 24 * 1024;
/// The most characters of a list's URL.
const URL_MAX: usize = 300;
/// How long a list is good for after the hour in which it is told, in milliseconds.
const LIFE_MS: i64 = 24 * 60 * 60 * 1000;
const HOUR_MS: i64 = 60 * 60 * 1000;

/// What a list says of its credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Its issuer takes it back for good.
    Revocation,
}

impl Purpose {
    /// As lists and URLs write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Revocation => "revocation",
        }
    }
}

/// A credential's place in a list: its member `credentialStatus`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The list's URL, `#` and the index.
    pub id: String,
    /// `BitstringStatusListEntry`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the list says.
    #[serde(rename = "statusPurpose")]
    pub purpose: Purpose,
    /// Which bit, from 0, the leftmost; a decimal string.
    #[serde(rename = "statusListIndex", with = "protocol::wire::dec")]
    pub index: u32,
    /// The URL of the list.
    #[serde(rename = "statusListCredential")]
    pub list: String,
}

impl Entry {
    /// A place in a list of the hub at `base` (no slash at the end).
    pub fn new(base: &str, purpose: Purpose, list: u32, index: u32) -> Self {
        let list = url(base, purpose, list);
        Self { id: format!("{list}#{index}"), kind: ENTRY.to_owned(), purpose, index, list }
    }

    /// Whether it is written as it must be.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn check(&self) -> Result<(), String> {
        if self.kind != ENTRY {
            return Err(format!("type must be {ENTRY}"));
        }
        if self.list.len() > URL_MAX
            || !["https://", "http://"].iter().any(|scheme| self.list.starts_with(scheme))
        {
            return Err(format!("statusListCredential must be a web URL of at most {URL_MAX} characters"));
        }
        if self.id != format!("{}#{}", self.list, self.index) {
            return Err("id must be statusListCredential, # and statusListIndex".to_owned());
        }
        Ok(())
    }

    /// Which list of a hub it is in; none where the URL is not such a list's.
    pub fn number(&self) -> Option<u32> {
        let (_, number) = self.list.rsplit_once(&format!("/v1/status/{}/", self.purpose.name()))?;
        number.parse().ok().filter(|parsed: &u32| parsed.to_string() == number)
    }
}

/// The URL of a hub's list.
pub fn url(base: &str, purpose: Purpose, list: u32) -> String {
    format!("{base}/v1/status/{}/{list}", purpose.name())
}

/// An entry number out of random bytes.
pub fn draw(random: [u8; 4]) -> u32 {
    u32::from_be_bytes(random) & (ENTRIES - 1)
}

/// What a list says of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Not revoked.
    Good,
    /// Revoked.
    Revoked,
}

/// Why a list does not tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The list is no credential that holds.
    #[error("status list: {0}")]
    Credential(#[from] vc::Refusal),
    /// A member is not as it must be.
    #[error("status list: {field}: {rule}")]
    Form {
        /// The member, as a JSON pointer.
        field: &'static str,
        /// The rule that it breaks.
        rule: String,
    },
    /// Signed by somebody else than whom the verifier trusts with it.
    #[error("status list: issuer {0} is not the one whose word on this you take")]
    Unknown(Device),
}

fn malformed(field: &'static str, rule: impl Into<String>) -> Refusal {
    Refusal::Form { field, rule: rule.into() }
}

/// The bits of a list in the form of `encodedList`: GZIP, base64url, `u` before it.
fn encode(bits: &[u8]) -> Result<String, Refusal> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let packed = gzip.write_all(bits).and_then(|()| gzip.finish());
    let packed = packed.map_err(|error| malformed("/credentialSubject/encodedList", error.to_string()))?;
    Ok(format!("u{}", URL_SAFE_NO_PAD.encode(packed)))
}

/// The bits of an `encodedList`.
fn decode(encoded: &str) -> Result<Vec<u8>, Refusal> {
    let refuse = |rule: String| malformed("/credentialSubject/encodedList", rule);
    if encoded.len() > ENCODED_MAX {
        return Err(refuse(format!("may have {ENCODED_MAX} characters")));
    }
    let packed = encoded.strip_prefix('u').and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let packed = packed.ok_or_else(|| refuse("must be multibase base64url (u…)".to_owned()))?;
    let mut bits = Vec::new();
    GzDecoder::new(packed.as_slice())
        .take(INFLATED_MAX + 1)
        .read_to_end(&mut bits)
        .map_err(|error| refuse(format!("must be GZIP: {error}")))?;
    let size = u64::try_from(bits.len()).unwrap_or(u64::MAX);
    if size > INFLATED_MAX {
        return Err(refuse(format!("inflates to more than {INFLATED_MAX} bytes")));
    }
    if size < u64::from(ENTRIES / 8) {
        return Err(refuse(format!("has {size} bytes and must have {} at least", ENTRIES / 8)));
    }
    Ok(bits)
}

/// The byte of a bit and its mask; the leftmost bit is the first.
fn place(index: u32) -> (usize, u8) {
    (usize::try_from(index >> 3).unwrap_or(usize::MAX), 0x80 >> (index & 7))
}

/// Signs a list. The same entries within the same hour make the same list, to the byte. `changed_at`: when the last of
/// them was revoked, in Unix milliseconds.
///
/// # Errors
/// It cannot be signed.
pub fn issue(
    url: &str,
    purpose: Purpose,
    revoked: &[u32],
    changed_at: i64,
    key: &DeviceKey,
    now: i64,
) -> Result<Value, Refusal> {
    let mut bits = vec![0_u8; usize::try_from(ENTRIES / 8).unwrap_or_default()];
    for index in revoked {
        let (at, mask) = place(*index);
        if let Some(byte) = bits.get_mut(at) {
            *byte |= mask;
        }
    }
    let hour = now.saturating_sub(now.rem_euclid(HOUR_MS));
    let from = Stamp::from_ms(hour.max(changed_at));
    let mut subject = Map::new();
    for (name, value) in [
        ("id", format!("{url}#list")),
        ("type", SUBJECT.to_owned()),
        ("statusPurpose", purpose.name().to_owned()),
        ("encodedList", encode(&bits)?),
    ] {
        subject.insert(name.to_owned(), value.into());
    }
    let mut list = Document::new(LIST, key.device(), from, subject);
    list.id = Some(url.to_owned());
    list.valid_until = Some(Stamp::from_ms(hour.saturating_add(LIFE_MS)));
    Ok(list.secure(vc::Form::DataIntegrity, key, from)?)
}

/// What a list says of an entry at this time, where the verifier takes the word of `trusted`; and when it said so.
///
/// # Errors
/// It is not the entry's list, does not hold, is out of date, or its issuer is not trusted.
pub fn look(entry: &Entry, list: &Value, trusted: Device, now: Stamp) -> Result<(Standing, Stamp), Refusal> {
    entry.check().map_err(|rule| malformed("/credentialStatus", rule))?;
    let document = vc::open(list)?;
    if document.issuer != trusted {
        return Err(Refusal::Unknown(document.issuer));
    }
    document.at(now)?;
    if document.kind() != LIST {
        return Err(malformed("/type", format!("must be {LIST}")));
    }
    if document.id.as_deref() != Some(&entry.list) {
        return Err(malformed("/id", format!("must be {:.300}", entry.list)));
    }
    let text = |name: &str| document.subject.get(name).and_then(Value::as_str);
    if text("type") != Some(SUBJECT) {
        return Err(malformed("/credentialSubject/type", format!("must be {SUBJECT}")));
    }
    if text("statusPurpose") != Some(entry.purpose.name()) {
        return Err(malformed(
            "/credentialSubject/statusPurpose",
            format!("must be {}", entry.purpose.name()),
        ));
    }
    let encoded = text("encodedList")
        .ok_or_else(|| malformed("/credentialSubject/encodedList", "a string is required"))?;
    let bits = decode(encoded)?;
    let (at, mask) = place(entry.index);
    let byte =
        bits.get(at).ok_or_else(|| malformed("/credentialStatus/statusListIndex", "is not on the list"))?;
    let standing = if byte & mask == 0 { Standing::Good } else { Standing::Revoked };
    Ok((standing, document.valid_from))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

    use proptest::prelude::*;

    use super::*;

    const BASE: &str = "https://hub.example";
    const NOW: i64 = 1_795_255_200_000;

    fn key() -> DeviceKey {
        DeviceKey::from_seed([9; 32])
    }

    fn list(revoked: &[u32], changed_at: i64, now: i64) -> Value {
        issue(&url(BASE, Purpose::Revocation, 0), Purpose::Revocation, revoked, changed_at, &key(), now)
            .unwrap()
    }

    fn entry(index: u32) -> Entry {
        Entry::new(BASE, Purpose::Revocation, 0, index)
    }

    fn standing(index: u32, list: &Value, now: i64) -> Result<Standing, Refusal> {
        look(&entry(index), list, key().device(), Stamp::from_ms(now)).map(|(standing, _)| standing)
    }

    #[test]
    fn the_list_of_the_standard_reads_as_it_says() {
        // The list in the examples of Bitstring Status List v1.0 (W3C): 131,072 bits, none of them set.
        let published = "uH4sIAAAAAAAAA-3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA";
        assert_eq!(decode(published).unwrap(), vec![0; 16 * 1024]);
        // The leftmost bit is entry 0.
        assert_eq!([place(0), place(7), place(8)], [(0, 0x80), (0, 0x01), (1, 0x80)]);
        assert_eq!(decode(&encode(&[1; 16 * 1024]).unwrap()).unwrap(), vec![1; 16 * 1024]);
    }

    #[test]
    fn a_list_is_refused_by_name_when_it_cannot_be_relied_on() {
        let good = list(&[3], NOW, NOW);
        assert_eq!(standing(3, &good, NOW), Ok(Standing::Revoked));
        assert_eq!(standing(4, &good, NOW), Ok(Standing::Good));
        assert!(matches!(standing(4, &good, NOW - 1), Err(Refusal::Credential(vc::Refusal::Time { .. }))));
        assert!(matches!(
            standing(4, &good, NOW + LIFE_MS),
            Err(Refusal::Credential(vc::Refusal::Time { .. }))
        ));
        let stranger = DeviceKey::from_seed([8; 32]).device();
        let told = look(&entry(4), &good, stranger, Stamp::from_ms(NOW));
        assert!(matches!(told, Err(Refusal::Unknown(_))));
        let changed = |change: &dyn Fn(&mut Value)| {
            let mut document = good.clone();
            document.as_object_mut().unwrap().remove("proof");
            change(&mut document);
            let again = vc::secure(document, vc::Form::DataIntegrity, &key(), Stamp::from_ms(NOW)).unwrap();
            match standing(3, &again, NOW).unwrap_err() {
                Refusal::Form { field, .. } => field,
                Refusal::Credential(vc::Refusal::Form { field, .. }) => field,
                other => panic!("{other}"),
            }
        };
        let bomb = encode(&vec![0; 300 * 1024]).unwrap();
        let short = encode(&[0; 1024]).unwrap();
        for (encoded, what) in
            [(bomb, "bomb"), (short, "short"), ("uAAAA".to_owned(), "no GZIP"), ("zAAAA".to_owned(), "base")]
        {
            let field = changed(&|d| d["credentialSubject"]["encodedList"] = encoded.clone().into());
            assert_eq!(field, "/credentialSubject/encodedList", "{what}");
        }
        assert_eq!(
            changed(&|d| d["credentialSubject"]["encodedList"] = "u".repeat(ENCODED_MAX + 1).into()),
            "/credentialSubject/encodedList"
        );
        assert_eq!(
            changed(&|d| d["credentialSubject"]["statusPurpose"] = "suspension".into()),
            "/credentialSubject/statusPurpose"
        );
        assert_eq!(
            changed(&|d| d["credentialSubject"]["type"] = "StatusList2021".into()),
            "/credentialSubject/type"
        );
        assert_eq!(changed(&|d| d["type"][1] = "AlumniCredential".into()), "/type");
        assert_eq!(changed(&|d| d["type"] = serde_json::json!(["VerifiableCredential"])), "/type");
        assert_eq!(changed(&|d| d["id"] = "https://hub.example/v1/status/revocation/1".into()), "/id");
        let mut off = entry(3);
        off.index = ENTRIES;
        off.id = format!("{}#{}", off.list, off.index);
        assert!(look(&off, &good, key().device(), Stamp::from_ms(NOW)).is_err());
        let mut tampered = good.clone();
        tampered["credentialSubject"]["encodedList"] = encode(&[0; 16 * 1024]).unwrap().into();
        assert!(matches!(standing(3, &tampered, NOW), Err(Refusal::Credential(vc::Refusal::Proof(_)))));
    }

    #[test]
    fn a_list_is_one_text_for_an_hour_unless_it_changes() {
        assert_eq!(list(&[3], 5, NOW), list(&[3], 5, NOW + HOUR_MS - 1));
        assert_ne!(list(&[3], 5, NOW), list(&[3], 5, NOW + HOUR_MS));
        assert_ne!(list(&[3], 5, NOW), list(&[3, 4], NOW + 1, NOW + 1));
        let told = list(&[], NOW + 70, NOW + 100);
        assert_eq!(told["validFrom"], Stamp::from_ms(NOW + 70).to_string());
    }

    #[test]
    fn an_entry_names_its_list() {
        assert_eq!(Entry::new(BASE, Purpose::Revocation, 12, 7).number(), Some(12));
        for change in [
            |e: &mut Entry| e.kind = "StatusList2021Entry".to_owned(),
            |e: &mut Entry| e.list = "file:///etc/passwd".to_owned(),
            |e: &mut Entry| e.index = 8,
        ] {
            let mut changed = entry(7);
            change(&mut changed);
            assert!(changed.check().is_err(), "{changed:?}");
        }
        let mut odd = entry(7);
        odd.list = format!("{BASE}/v1/status/revocation/007");
        assert_eq!(odd.number(), None);
    }

    proptest! {
        #[test]
        fn each_bit_is_its_entry_s_alone(revoked in prop::collection::btree_set(0..ENTRIES, 0..20), other in 0..ENTRIES) {
            let told = list(&revoked.iter().copied().collect::<Vec<_>>(), NOW, NOW);
            for index in revoked.iter().chain([&other]) {
                let expected = if revoked.contains(index) { Standing::Revoked } else { Standing::Good };
                prop_assert_eq!(standing(*index, &told, NOW), Ok(expected));
            }
        }

        #[test]
        fn a_drawn_entry_is_on_the_list(random in any::<[u8; 4]>()) {
            prop_assert!(draw(random) < ENTRIES);
        }

        #[test]
        fn no_encoded_list_stops_the_reader(text in "u[A-Za-z0-9_-]{0,80}") {
            let _ = decode(&text);
        }
    }
}

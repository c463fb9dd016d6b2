//! Nonces that the hub knows again without having kept them: when one expires, eight random bytes, and a tag over both by
//! a key of the hub. Only those that served are remembered, until they expire, so whoever asks for nonces fills nothing.

use alloy::primitives::keccak256;
use subtle::ConstantTimeEq;

use crate::records::DeviceKey;

const TAG: usize = 16;

/// What a nonce is for: one for one thing is none for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// What wallets, passkeys and devices say to this hub.
    SignIn,
    /// What proves to whom a credential is issued: `c_nonce` of OpenID4VCI.
    Possession,
}

impl Purpose {
    /// What the tag's key is for, so that no other use of the hub's key makes the same.
    const fn text(self) -> &'static [u8] {
        match self {
            Self::SignIn => b"earnest hub: sign-in nonce",
            Self::Possession => b"earnest hub: c_nonce",
        }
    }
}

/// The first half of a Keccak-256 over key and content: a sponge needs no HMAC (FIPS 202, section A.2).
fn tag(key: &DeviceKey, purpose: Purpose, content: &[u8]) -> [u8; TAG] {
    let key = keccak256([purpose.text(), &key.seed()].concat());
    let mut tag = [0; TAG];
    tag.iter_mut().zip(keccak256([key.as_slice(), content].concat())).for_each(|(to, byte)| *to = byte);
    tag
}

/// A nonce: 64 hexadecimal digits, as EIP-4361 allows. `expires_at` in Unix milliseconds.
pub(crate) fn issue(key: &DeviceKey, purpose: Purpose, expires_at: i64, random: [u8; 8]) -> String {
    let content = [expires_at.to_be_bytes(), random].concat();
    let tag = tag(key, purpose, &content);
    hex::encode([content.as_slice(), &tag].concat())
}

/// When a nonce of this hub expires, in Unix milliseconds; none when it is not this hub's, is for something else or has expired.
pub(crate) fn expires_at(key: &DeviceKey, purpose: Purpose, nonce: &str, now: i64) -> Option<i64> {
    let mut bytes = [0; 16 + TAG];
    hex::decode_to_slice(nonce, &mut bytes).ok()?;
    let (content, given) = bytes.split_at(16);
    let expires_at = i64::from_be_bytes(*content.first_chunk()?);
    let ours = bool::from(tag(key, purpose, content).as_slice().ct_eq(given));
    // One way to write each: what has served must not come back in capitals.
    (ours && expires_at > now && hex::encode(bytes) == nonce).then_some(expires_at)
}

#[cfg(test)]
mod tests {
    use super::{DeviceKey, Purpose, expires_at, issue};

    #[test]
    fn a_nonce_is_known_by_its_hub_alone_in_its_one_form_until_it_expires() {
        let (ours, theirs) = (DeviceKey::from_seed([1; 32]), DeviceKey::from_seed([2; 32]));
        let nonce = issue(&ours, Purpose::SignIn, 1_000, [0xab; 8]);
        let expires_at = |key: &DeviceKey, nonce: &str, now| expires_at(key, Purpose::SignIn, nonce, now);
        assert_eq!(nonce.len(), 64);
        assert_eq!(expires_at(&ours, &nonce, 999), Some(1_000));
        assert_eq!(expires_at(&ours, &nonce, 1_000), None);
        assert_eq!(expires_at(&theirs, &nonce, 999), None);
        assert_eq!(expires_at(&ours, &nonce.to_uppercase(), 999), None);
        for at in 0..nonce.len() {
            let mut other = nonce.clone().into_bytes();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(expires_at(&ours, std::str::from_utf8(&other).unwrap(), 0), None, "digit {at}");
        }
        for other in ["", "0", &nonce[..62], &format!("{nonce}00")] {
            assert_eq!(expires_at(&ours, other, 0), None, "{other}");
        }
    }

    #[test]
    fn a_nonce_for_one_thing_is_none_for_another() {
        let key = DeviceKey::from_seed([1; 32]);
        let kinds = [Purpose::SignIn, Purpose::Possession];
        for purpose in kinds {
            let nonce = issue(&key, purpose, 1_000, [0xab; 8]);
            let known = kinds.map(|other| expires_at(&key, other, &nonce, 999));
            assert_eq!(known, kinds.map(|other| (other == purpose).then_some(1_000)));
        }
    }
}

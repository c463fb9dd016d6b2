//! Webhooks as Standard Webhooks signs them (<https://www.standardwebhooks.com>, specification 1.0.0): three headers,
//! `webhook-id`, `webhook-timestamp` and `webhook-signature`, the last with an HMAC-SHA256 over the other two and the body.
//!
//! Nothing here sends. Who does should follow no redirect and, where others choose the URL, connect to no address that
//! [`is_public`] refuses.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// The header with the message's id, the same for every try of one message.
pub const ID: &str = "webhook-id";
/// The header with the Unix second of this try.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures, each `v1,` and base64, with a space between them.
pub const SIGNATURE: &str = "webhook-signature";

/// Seconds that a message may be old, or ahead, when it arrives.
pub const TOLERANCE_S: i64 = 5 * 60;

const PREFIX: &str = "whsec_";
/// Lengths of a secret in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The key that sender and receiver share: in text `whsec_` and 24 to 64 bytes in base64.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Secret(Vec<u8>);

/// A text that is no secret. It does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook's secret must be whsec_ and 24 to 64 bytes in base64")]
pub struct NoSecret;

impl Secret {
    /// A secret of these bytes.
    ///
    /// # Errors
    /// Fewer than 24 or more than 64.
    pub fn new(bytes: &[u8]) -> Result<Self, NoSecret> {
        if SECRET_BYTES.contains(&bytes.len()) { Ok(Self(bytes.to_vec())) } else { Err(NoSecret) }
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
        // HMAC takes keys of every length: there is always one.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        Some(mac)
    }

    /// The signature of one try: `v1,` and base64.
    fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let tag = self.mac(id, timestamp, body).map(|mac| STANDARD.encode(mac.finalize().into_bytes()));
        format!("v1,{}", tag.unwrap_or_default())
    }
}

impl FromStr for Secret {
    type Err = NoSecret;

    fn from_str(text: &str) -> Result<Self, NoSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(NoSecret)?;
        Self::new(&STANDARD.decode(encoded).map_err(|_| NoSecret)?)
    }
}

impl TryFrom<String> for Secret {
    type Error = NoSecret;

    fn try_from(text: String) -> Result<Self, NoSecret> {
        text.parse()
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        format!("{PREFIX}{}", STANDARD.encode(secret.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// The headers of one try of a message, signed with every secret: two while one is being replaced by another.
/// `id` must not contain a full stop; `now_s` is in Unix seconds.
pub fn headers(secrets: &[Secret], id: &str, now_s: i64, body: &[u8]) -> [(&'static str, String); 3] {
    let timestamp = now_s.to_string();
    let signatures: Vec<_> = secrets.iter().map(|secret| secret.sign(id, &timestamp, body)).collect();
    [(ID, id.to_owned()), (TIMESTAMP, timestamp), (SIGNATURE, signatures.join(" "))]
}

/// Why a message is not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The time is no number.
    #[error("webhook-timestamp must be a whole number of Unix seconds")]
    Timestamp,
    /// An old message sent again, or a clock that is wrong.
    #[error("webhook-timestamp is {0} s away from this machine's clock, but may be at most {TOLERANCE_S} s")]
    Old(i64),
    /// Nobody who has the secret signed it.
    #[error("webhook-signature has no signature of this message by the secret")]
    Signature,
}

/// Whether a message with these three headers is from somebody who has the secret, and new. `now_s` is in Unix seconds.
///
/// # Errors
/// What of it does not hold.
pub fn verify(
    secret: &Secret,
    [id, timestamp, signature]: [&str; 3],
    body: &[u8],
    now_s: i64,
) -> Result<(), Refusal> {
    let sent: i64 = timestamp.parse().map_err(|_| Refusal::Timestamp)?;
    let away = now_s.saturating_sub(sent).saturating_abs();
    if away > TOLERANCE_S {
        return Err(Refusal::Old(away));
    }
    let signed = signature.split(' ').filter_map(|one| one.strip_prefix("v1,")).any(|tag| {
        let (Ok(tag), Some(mac)) = (STANDARD.decode(tag), secret.mac(id, timestamp, body)) else {
            return false;
        };
        mac.verify_slice(&tag).is_ok()
    });
    if signed { Ok(()) } else { Err(Refusal::Signature) }
}

/// Whether an address is one of the public Internet, and not of this machine, a private network, a link or a cloud's own
/// services (by IANA's registries of special-purpose addresses).
pub const fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

const fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        // Multicast, and what is reserved above it.
        || a >= 224
        // 100.64/10: carriers, and the services of some clouds. 192.0.0/24: protocols. 192.88.99/24: relays of old.
        // 198.18/15: measurements.
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && b & 0xfe == 18))
}

const fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    match [a, b, c, d, e, f] {
        // Addresses of version 4 in those of version 6: mapped, and through a translator.
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => {
            let ([g, i], [h, j]) = (g.to_be_bytes(), h.to_be_bytes());
            is_public_v4(Ipv4Addr::new(g, i, h, j))
        }
        // Only 2000::/3 is given out, and of that not 2001::/23 (protocols, Teredo), 2001:db8::/32 and 3fff::/20
        // (documentation), and 2002::/16, which holds addresses of version 4.
        [0x2001, b, ..] => b >= 0x200 && b != 0xdb8,
        [0x2002, ..] => false,
        [0x3fff, b, ..] => b >= 0x1000,
        _ => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        text.parse().expect("a secret")
    }

    // The vector of the specification's own libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const MESSAGE: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const AT: i64 = 1_614_265_330;
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn the_published_vector_holds() {
        let made = headers(&[secret(SECRET)], MESSAGE, AT, BODY);
        assert_eq!(made.map(|(_, value)| value), [MESSAGE, "1614265330", SIGNED]);
        assert_eq!(verify(&secret(SECRET), [MESSAGE, "1614265330", SIGNED], BODY, AT), Ok(()));
    }

    #[test]
    fn whatever_is_changed_is_noticed() {
        let (ours, at) = (secret(SECRET), "1614265330");
        let other = secret(&format!("whsec_{}", STANDARD.encode([7; 24])));
        for (headers, body, by, now, refusal) in [
            ([MESSAGE, at, SIGNED], &BODY[1..], &ours, AT, Refusal::Signature),
            (["msg_2", at, SIGNED], BODY, &ours, AT, Refusal::Signature),
            ([MESSAGE, "1614265331", SIGNED], BODY, &ours, AT, Refusal::Signature),
            ([MESSAGE, at, SIGNED], BODY, &other, AT, Refusal::Signature),
            ([MESSAGE, at, "v1,"], BODY, &ours, AT, Refusal::Signature),
            ([MESSAGE, at, ""], BODY, &ours, AT, Refusal::Signature),
            ([MESSAGE, at, &SIGNED.replace("v1", "v2")], BODY, &ours, AT, Refusal::Signature),
            ([MESSAGE, "soon", SIGNED], BODY, &ours, AT, Refusal::Timestamp),
            ([MESSAGE, at, SIGNED], BODY, &ours, AT + 301, Refusal::Old(301)),
            ([MESSAGE, at, SIGNED], BODY, &ours, AT - 301, Refusal::Old(301)),
            ([MESSAGE, at, SIGNED], BODY, &ours, i64::MIN, Refusal::Old(i64::MAX)),
        ] {
            assert_eq!(verify(by, headers, body, now), Err(refusal), "{headers:?} {now}");
        }
        assert_eq!(verify(&ours, [MESSAGE, at, SIGNED], BODY, AT + 300), Ok(()));
    }

    #[test]
    fn while_a_secret_is_replaced_both_are_good() {
        let (old, new) = (secret(SECRET), Secret::new(&[9; 32]).unwrap());
        let [_, (_, at), (_, signed)] = headers(&[new.clone(), old.clone()], MESSAGE, AT, BODY);
        for one in [old, new] {
            assert_eq!(verify(&one, [MESSAGE, &at, &signed], BODY, AT), Ok(()));
        }
        let third = Secret::new(&[8; 32]).unwrap();
        assert_eq!(verify(&third, [MESSAGE, &at, &signed], BODY, AT), Err(Refusal::Signature));
    }

    #[test]
    fn secrets_are_read_back_and_never_shown() {
        assert_eq!(String::from(secret(SECRET)), SECRET);
        assert!(!format!("{:?}", secret(SECRET)).contains("MfKQ"));
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![1; bytes]));
        for wrong in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%", &of(23), &of(65)] {
            assert_eq!(wrong.parse::<Secret>(), Err(NoSecret), "{wrong}");
        }
        assert!(of(24).parse::<Secret>().is_ok() && of(64).parse::<Secret>().is_ok());
    }

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for public in [
            "1.1.1.1",
            "100.63.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "2606:4700::1",
            "2001:4860::8888",
            "::ffff:1.1.1.1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for other in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::127.0.0.1",
        ] {
            assert!(!is_public(other.parse().unwrap()), "{other}");
        }
    }
}

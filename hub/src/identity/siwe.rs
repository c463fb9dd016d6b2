//! Sign-In with Ethereum (EIP-4361): the message's text, its grammar, and what a hub demands of it. Needs no server.

use std::{fmt, str::FromStr};

use alloy::primitives::Address;

use crate::records::{Device, Stamp};

const INTRODUCTION: &str = " wants you to sign in with your Ethereum account:";
const MESSAGE_MAX: usize = 4096;
const RESOURCES_MAX: usize = 16;
/// How far ahead of the hub's clock a message may be dated, in milliseconds.
const AHEAD_MAX_MS: i64 = 5 * 60 * 1000;

/// Why a text is not a sign-in message, or not one for this hub and device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sign-in message, {field}: {detail}")]
pub struct SignInError {
    /// The rule's name.
    pub rule: &'static str,
    /// The field of EIP-4361.
    pub field: &'static str,
    /// The value and the rule in words.
    pub detail: String,
}

fn refuse<T>(rule: &'static str, field: &'static str, detail: impl Into<String>) -> Result<T, SignInError> {
    Err(SignInError { rule, field, detail: detail.into() })
}

/// A sign-in message. Its `Display` is the text that the wallet signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// `http` or `https`, where the text begins with one.
    pub scheme: Option<String>,
    /// The RFC 3986 authority that asks.
    pub domain: String,
    /// The wallet.
    pub address: Address,
    /// What the person is told, one line.
    pub statement: Option<String>,
    /// The subject of the signing.
    pub uri: String,
    /// EIP-155 chain id on which the wallet's signature is checked.
    pub chain_id: u64,
    /// At least 8 letters and digits, issued by the hub.
    pub nonce: String,
    /// RFC 3339.
    pub issued_at: String,
    /// RFC 3339; the message is worthless from then on.
    pub expiration_time: Option<String>,
    /// RFC 3339; the message is worthless before.
    pub not_before: Option<String>,
    /// Whatever the asker wants.
    pub request_id: Option<String>,
    /// URIs; here the did:key of the device that is authorised.
    pub resources: Vec<String>,
}

impl fmt::Display for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}://")?;
        }
        write!(f, "{}{INTRODUCTION}\n{}\n\n", self.domain, self.address.to_checksum(None))?;
        if let Some(statement) = &self.statement {
            writeln!(f, "{statement}")?;
        }
        write!(
            f,
            "\nURI: {}\nVersion: 1\nChain ID: {}\nNonce: {}\nIssued At: {}",
            self.uri, self.chain_id, self.nonce, self.issued_at
        )?;
        for (name, value) in [
            ("Expiration Time", &self.expiration_time),
            ("Not Before", &self.not_before),
            ("Request ID", &self.request_id),
        ] {
            if let Some(value) = value {
                write!(f, "\n{name}: {value}")?;
            }
        }
        if !self.resources.is_empty() {
            f.write_str("\nResources:")?;
            for resource in &self.resources {
                write!(f, "\n- {resource}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for SignIn {
    type Err = SignInError;

    /// Strict: each field in its place and its form, nothing else before, between or after.
    fn from_str(text: &str) -> Result<Self, SignInError> {
        if text.len() > MESSAGE_MAX {
            return refuse("message_form", "message", format!("longer than {MESSAGE_MAX} bytes"));
        }
        let mut lines = text.split('\n').peekable();
        let mut next = |field| lines.next().map_or_else(|| refuse("message_form", field, "is missing"), Ok);
        let Some(asker) = next("domain")?.strip_suffix(INTRODUCTION) else {
            return refuse(
                "message_form",
                "domain",
                format!("the first line must end with `{INTRODUCTION}`"),
            );
        };
        let (scheme, domain) = match asker.split_once("://") {
            Some((scheme, domain)) => (Some(scheme.to_owned()), domain.to_owned()),
            None => (None, asker.to_owned()),
        };
        let address = next("address")?;
        let Ok(wallet) = Address::parse_checksummed(address, None) else {
            return refuse("message_form", "address", format!("`{address:.60}` must be an EIP-55 address"));
        };
        if !next("address")?.is_empty() {
            return refuse("message_form", "address", "an empty line must follow");
        }
        let statement = match next("statement")? {
            "" => None,
            statement => {
                if !next("statement")?.is_empty() {
                    return refuse(
                        "message_form",
                        "statement",
                        "must be one line, and an empty line must follow",
                    );
                }
                Some(statement.to_owned())
            }
        };
        let mut named = |field: &'static str| -> Result<String, SignInError> {
            let line = next(field)?;
            line.strip_prefix(field).and_then(|rest| rest.strip_prefix(": ")).map(str::to_owned).map_or_else(
                || refuse("message_form", field, format!("expected here, found `{line:.60}`")),
                Ok,
            )
        };
        let uri = named("URI")?;
        let version = named("Version")?;
        if version != "1" {
            return refuse("message_version", "Version", format!("`{version:.20}` must be 1"));
        }
        let chain = named("Chain ID")?;
        let Some(chain_id) = chain.parse::<u64>().ok().filter(|id| *id > 0 && id.to_string() == chain) else {
            return refuse(
                "message_form",
                "Chain ID",
                format!("`{chain:.30}` must be a decimal EIP-155 chain id"),
            );
        };
        let nonce = named("Nonce")?;
        if nonce.len() < 8 || nonce.len() > 64 || !nonce.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return refuse("message_form", "Nonce", "must be 8 to 64 letters and digits");
        }
        let issued_at = named("Issued At")?;
        let mut optional = |field: &'static str| {
            let prefix = format!("{field}: ");
            lines
                .next_if(|line| line.starts_with(&prefix))
                .and_then(|line| line.strip_prefix(&prefix))
                .map(str::to_owned)
        };
        let expiration_time = optional("Expiration Time");
        let not_before = optional("Not Before");
        let request_id = optional("Request ID");
        let mut resources = Vec::new();
        if lines.next_if_eq(&"Resources:").is_some() {
            while let Some(resource) = lines.next_if(|line| line.starts_with("- ")) {
                resources.push(resource.chars().skip(2).collect());
            }
        }
        if let Some(line) = lines.next() {
            return refuse("message_form", "message", format!("`{line:.60}` has no place here"));
        }
        let message = Self {
            scheme,
            domain,
            address: wallet,
            statement,
            uri,
            chain_id,
            nonce,
            issued_at,
            expiration_time,
            not_before,
            request_id,
            resources,
        };
        message.check_form()?;
        Ok(message)
    }
}

/// What this hub demands of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demands<'a> {
    pub scheme: &'a str,
    pub domain: &'a str,
    pub uri: &'a str,
    pub chains: &'a [u64],
    /// Unix milliseconds.
    pub now: i64,
}

impl SignIn {
    fn check_form(&self) -> Result<(), SignInError> {
        if self.domain.is_empty() || !self.domain.bytes().all(|b| b.is_ascii_graphic() && b != b'/') {
            return refuse("message_form", "domain", "must be a host, and perhaps a port");
        }
        if self
            .scheme
            .as_deref()
            .is_some_and(|s| s.is_empty() || !s.bytes().all(|b| b.is_ascii_alphanumeric()))
        {
            return refuse("message_form", "scheme", "must be letters and digits");
        }
        if self.statement.as_deref().is_some_and(|s| !s.bytes().all(|b| b == b' ' || b.is_ascii_graphic())) {
            return refuse("message_form", "statement", "must be printable ASCII");
        }
        if self.request_id.as_deref().is_some_and(|s| !s.bytes().all(|b| b.is_ascii_graphic())) {
            return refuse("message_form", "Request ID", "must be printable ASCII without spaces");
        }
        if self.resources.len() > RESOURCES_MAX {
            return refuse("message_form", "Resources", format!("may have {RESOURCES_MAX} entries"));
        }
        for uri in std::iter::once(&self.uri).chain(&self.resources) {
            let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
            if !scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                || !uri.bytes().all(|b| b.is_ascii_graphic())
            {
                return refuse("message_form", "URI", format!("`{uri:.80}` must be an RFC 3986 URI"));
            }
        }
        moment("Issued At", &self.issued_at)?;
        for (field, value) in [("Expiration Time", &self.expiration_time), ("Not Before", &self.not_before)] {
            if let Some(value) = value {
                moment(field, value)?;
            }
        }
        Ok(())
    }

    /// The one device that the message authorises.
    ///
    /// # Errors
    /// The resources name no device, or more than one.
    pub fn device(&self) -> Result<Device, SignInError> {
        let mut devices = self.resources.iter().filter(|uri| uri.starts_with("did:key:"));
        match (devices.next(), devices.next()) {
            (Some(one), None) => one.parse().map_err(|error: crate::records::KeyError| SignInError {
                rule: "message_device",
                field: "Resources",
                detail: error.to_string(),
            }),
            _ => refuse(
                "message_device",
                "Resources",
                "must name the one device that is authorised, as did:key",
            ),
        }
    }

    /// Whether the message was written for this hub and is valid now. The nonce is the store's matter.
    pub(crate) fn meets(&self, demands: &Demands<'_>) -> Result<(), SignInError> {
        if self.domain != demands.domain {
            return refuse(
                "message_domain",
                "domain",
                format!("`{:.100}` must be {}", self.domain, demands.domain),
            );
        }
        if self.scheme.as_deref().is_some_and(|scheme| scheme != demands.scheme) {
            return refuse("message_domain", "scheme", format!("must be {}", demands.scheme));
        }
        if self.uri != demands.uri {
            return refuse("message_uri", "URI", format!("`{:.100}` must be {}", self.uri, demands.uri));
        }
        if !demands.chains.contains(&self.chain_id) {
            return refuse(
                "message_chain",
                "Chain ID",
                format!("{} must be one of {:?}", self.chain_id, demands.chains),
            );
        }
        let issued = moment("Issued At", &self.issued_at)?;
        if issued > demands.now.saturating_add(AHEAD_MAX_MS) {
            return refuse(
                "message_early",
                "Issued At",
                format!("{} is ahead of this hub's clock", self.issued_at),
            );
        }
        if let Some(text) = &self.expiration_time
            && moment("Expiration Time", text)? <= demands.now
        {
            return refuse(
                "message_expired",
                "Expiration Time",
                format!("{text} has passed; sign a new message"),
            );
        }
        if let Some(text) = &self.not_before
            && moment("Not Before", text)? > demands.now
        {
            return refuse("message_early", "Not Before", format!("{text} has not come"));
        }
        Ok(())
    }
}

/// Unix milliseconds of an RFC 3339 date-time (section 5.6, capital T, Z or a numeric offset).
fn moment(field: &'static str, text: &str) -> Result<i64, SignInError> {
    let bytes = text.as_bytes();
    let shape = bytes.len() <= 40
        && bytes.iter().enumerate().take(19).all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            10 => *byte == b'T',
            13 | 16 => *byte == b':',
            _ => byte.is_ascii_digit(),
        })
        && text.get(19..).is_some_and(|rest| {
            let zone =
                rest.strip_prefix('.').map_or(rest, |f| f.trim_start_matches(|c: char| c.is_ascii_digit()));
            zone == "Z"
                || (zone.len() == 6 && zone.starts_with(['+', '-']) && zone.as_bytes().get(3) == Some(&b':'))
        });
    match text.parse::<jiff::Timestamp>() {
        Ok(timestamp) if shape => Ok(timestamp.as_millisecond()),
        _ => refuse("message_form", field, format!("`{text:.60}` must be an RFC 3339 time")),
    }
}

impl SignIn {
    /// The message by which `address` authorises `device` at a hub, from what `GET /v1/sign-in/nonce` answered.
    #[allow(clippy::too_many_arguments, reason = "the fields of the message, in its order")]
    pub fn for_device(
        domain: &str,
        uri: &str,
        address: Address,
        chain_id: u64,
        nonce: &str,
        device: &Device,
        issued_at: Stamp,
        expires_at: Stamp,
    ) -> Self {
        Self {
            scheme: None,
            domain: domain.to_owned(),
            address,
            statement: Some("Let this device speak for me on Earnest.".to_owned()),
            uri: uri.to_owned(),
            chain_id,
            nonce: nonce.to_owned(),
            issued_at: issued_at.to_string(),
            expiration_time: Some(expires_at.to_string()),
            not_before: None,
            request_id: None,
            resources: vec![device.to_string()],
        }
    }
}

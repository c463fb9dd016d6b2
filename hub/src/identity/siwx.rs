//! Sign-in with a wallet (CAIP-122): the message's text, its grammar, and what a hub demands of it. Needs no server.
//!
//! The text is EIP-4361's on EVM chains and Sign In With Solana's on Solana. They differ in the account's kind on the first
//! line, in the form of address and `Chain ID`, and in that Solana has one empty line, not two, where there is no statement.

use std::{fmt, str::FromStr};

use alloy::primitives;
use protocol::chain::{AccountId, Address, ChainId};

use crate::records::{Device, Stamp};

const ASKS: &str = " wants you to sign in with your ";
/// Sign In With Solana knows clusters by these names alone. A cluster that has none is written as in CAIP-2.
const CLUSTERS: [(&str, &str); 4] = [
    ("mainnet", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"),
    ("testnet", "solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z"),
    ("devnet", "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"),
    ("localnet", "solana:EarnestLoca1Net11111111111111111"),
];
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
    /// The field of the message.
    pub field: &'static str,
    /// The value and the rule in words.
    pub detail: String,
}

fn refuse<T>(rule: &'static str, field: &'static str, detail: impl Into<String>) -> Result<T, SignInError> {
    Err(SignInError { rule, field, detail: detail.into() })
}

/// Whose account the first line says it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ethereum,
    Solana,
}

const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Ethereum => "Ethereum",
        Kind::Solana => "Solana",
    }
}

const fn kind(chain: ChainId) -> Kind {
    match chain {
        ChainId::Eip155(_) => Kind::Ethereum,
        ChainId::Solana(_) => Kind::Solana,
    }
}

/// A chain as `Chain ID` writes it.
fn chain_text(chain: ChainId) -> String {
    let whole = chain.to_string();
    match CLUSTERS.iter().find(|(_, cluster)| *cluster == whole) {
        Some((name, _)) => (*name).to_owned(),
        None => whole.split_once(':').map_or_else(String::new, |(_, reference)| reference.to_owned()),
    }
}

/// The wallet of a message of an account's kind; each address and chain has one text.
fn wallet(kind: Kind, address: &str, chain: &str) -> Result<AccountId, SignInError> {
    if kind == Kind::Ethereum {
        let Ok(wallet) = primitives::Address::parse_checksummed(address, None) else {
            return refuse("message_form", "address", format!("`{address:.60}` must be an EIP-55 address"));
        };
        let told = format!("`{chain:.60}` must be a decimal EIP-155 chain id");
        let chain = format!("eip155:{chain}").parse();
        let Ok(chain) = chain else { return refuse("message_form", "Chain ID", told) };
        return Ok(AccountId { chain, address: wallet.into() });
    }
    let Some(address) = address.parse().ok().filter(|address: &Address| address.solana().is_some()) else {
        return refuse("message_form", "address", format!("`{address:.60}` must be base58 of 32 bytes"));
    };
    let named = CLUSTERS.iter().find(|(name, _)| *name == chain);
    let whole = named.map_or_else(|| format!("solana:{chain}"), |(_, cluster)| (*cluster).to_owned());
    match whole.parse::<ChainId>() {
        Ok(known) if chain_text(known) == chain => Ok(AccountId { chain: known, address }),
        _ => refuse(
            "message_form",
            "Chain ID",
            format!(
                "`{chain:.60}` must be mainnet, testnet, devnet or localnet, and of any other cluster its CAIP-2 reference"
            ),
        ),
    }
}

/// A sign-in message. Its `Display` is the text that the wallet signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// `http` or `https`, where the text begins with one.
    pub scheme: Option<String>,
    /// The RFC 3986 authority that asks.
    pub domain: String,
    /// The wallet, on the chain on which its signature is checked.
    pub wallet: AccountId,
    /// What the person is told, one line.
    pub statement: Option<String>,
    /// The subject of the signing.
    pub uri: String,
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
        let AccountId { chain, address } = self.wallet;
        write!(f, "{}{ASKS}{} account:\n{address}\n", self.domain, name(kind(chain)))?;
        match (&self.statement, kind(chain)) {
            (Some(statement), _) => write!(f, "\n{statement}\n")?,
            (None, Kind::Ethereum) => f.write_str("\n")?,
            (None, Kind::Solana) => {}
        }
        write!(
            f,
            "\nURI: {}\nVersion: 1\nChain ID: {}\nNonce: {}\nIssued At: {}",
            self.uri,
            chain_text(chain),
            self.nonce,
            self.issued_at
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
        let first = next("domain")?;
        let asks = |kind| {
            let rest = first.strip_suffix(" account:")?.strip_suffix(name(kind))?;
            Some((kind, rest.strip_suffix(ASKS)?))
        };
        let Some((kind, asker)) = asks(Kind::Ethereum).or_else(|| asks(Kind::Solana)) else {
            return refuse(
                "message_form",
                "domain",
                format!("the first line must end with `{ASKS}Ethereum account:` or `{ASKS}Solana account:`"),
            );
        };
        let (scheme, domain) = match asker.split_once("://") {
            Some((scheme, domain)) => (Some(scheme.to_owned()), domain.to_owned()),
            None => (None, asker.to_owned()),
        };
        let address = next("address")?;
        if !next("address")?.is_empty() {
            return refuse("message_form", "address", "an empty line must follow");
        }
        let mut ahead = None;
        let statement = match (kind, next("statement")?) {
            (Kind::Ethereum, "") => None,
            (Kind::Solana, uri) if uri.starts_with("URI: ") => {
                ahead = Some(uri);
                None
            }
            (Kind::Solana, "") => return refuse("message_form", "statement", "must not be an empty line"),
            (_, statement) => {
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
            let line = ahead.take().map_or_else(|| next(field), Ok)?;
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
        let wallet = wallet(kind, address, &chain)?;
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
            wallet,
            statement,
            uri,
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
    pub chains: &'a [ChainId],
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
        if !demands.chains.contains(&self.wallet.chain) {
            let known: Vec<_> = demands.chains.iter().map(ToString::to_string).collect();
            let told = format!("{} must be one of {}", self.wallet.chain, known.join(", "));
            return refuse("message_chain", "Chain ID", told);
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
    /// The message by which `wallet` authorises `device` at a hub, from what `GET /v1/sign-in/nonce` answered.
    pub fn for_device(
        domain: &str,
        uri: &str,
        wallet: AccountId,
        nonce: &str,
        device: &Device,
        issued_at: Stamp,
        expires_at: Stamp,
    ) -> Self {
        Self {
            scheme: None,
            domain: domain.to_owned(),
            wallet,
            statement: Some("Let this device speak for me on Earnest.".to_owned()),
            uri: uri.to_owned(),
            nonce: nonce.to_owned(),
            issued_at: issued_at.to_string(),
            expiration_time: Some(expires_at.to_string()),
            not_before: None,
            request_id: None,
            resources: vec![device.to_string()],
        }
    }

    /// The message by which `wallet` says `statement`, and nothing for any device, at a hub.
    pub fn saying(
        domain: &str,
        uri: &str,
        wallet: AccountId,
        nonce: &str,
        statement: String,
        issued_at: Stamp,
        expires_at: Stamp,
    ) -> Self {
        Self {
            scheme: None,
            domain: domain.to_owned(),
            wallet,
            statement: Some(statement),
            uri: uri.to_owned(),
            nonce: nonce.to_owned(),
            issued_at: issued_at.to_string(),
            expiration_time: Some(expires_at.to_string()),
            not_before: None,
            request_id: None,
            resources: Vec::new(),
        }
    }
}

//! Bodies of the identity records and of the session request; needs no server.

use std::collections::BTreeSet;

use alloy::primitives::B256;
use protocol::chain::AccountId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    control::{DELAY_HOURS, GUARDIANS_MAX, Rule},
    passkey::{PasskeyBody, PasskeyWord, Spoken, passkey_statement, revoke_passkey_statement},
    siwx::{SignIn, SignInError},
    tokens::TokenRequest,
};
use crate::{
    error::Refusal,
    records::{Device, DeviceKey, ProofError, Record, RecordId, Stamp, proof},
};

/// The most bytes of a wallet's signature: contract wallets of many owners concatenate theirs.
pub(crate) const SIGNATURE_MAX: usize = 4096;
const NAME_MAX: usize = 80;
const TEXT_MAX: usize = 2_000;
const LANGUAGES_MAX: usize = 8;
const LANGUAGE_MAX: usize = 35;

/// `hub@1`: the hub's own account begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubBody {
    /// The hub's did:web at that time.
    pub did: String,
}

/// `identity@1`: a wallet authorises the device that signs the record, which begins an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityBody {
    /// The CAIP-122 message (EIP-4361, or Sign In With Solana); its resources hold the device's did:key.
    pub message: String,
    /// The wallet's signature of the message, 0x-hexadecimal: EIP-191, or whatever its ERC-1271 contract accepts; on Solana
    /// the 64 bytes of Ed25519.
    pub signature: String,
    /// What the account is called, 1 to 80 characters on one line.
    pub name: String,
}

/// A wallet's word for a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletAuthorisation {
    /// As in [`IdentityBody`].
    pub message: String,
    /// As in [`IdentityBody`].
    pub signature: String,
}

/// `device@1`: signed by an authorised device of the account, or by the very device that wallet or passkey authorises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DeviceBody {
    /// A wallet of the account authorises another device, or one that was revoked.
    Add(WalletAuthorisation),
    /// A passkey of the account does.
    AddByPasskey(PasskeyWord),
    /// The device may not speak for the account any more.
    Revoke {
        /// Which.
        device: Device,
        /// Of another device than the one that signs the record: a message of a wallet of the account, whose statement is
        /// [`silence_statement`].
        #[serde(deserialize_with = "Option::deserialize")]
        by: Option<WalletAuthorisation>,
    },
}

/// `wallet@1`: which wallets control the account. Signed by an authorised device; the wallets speak in it for themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WalletBody {
    /// Another wallet joins: it authorises the device that signs the record, and a wallet of the account lets it.
    Add {
        /// The joining wallet's sign-in message, as in [`IdentityBody`].
        message: String,
        /// Its signature.
        signature: String,
        /// A message of a wallet of the account, whose statement is [`add_statement`].
        by: WalletAuthorisation,
    },
    /// A wallet controls the account no more, and the devices that stand by its word are silent; of those the one that
    /// signs the record stands by the other wallet's from then on.
    Revoke {
        /// CAIP-10.
        wallet: AccountId,
        /// A message of a wallet that stays, whose statement is [`revoke_statement`].
        by: WalletAuthorisation,
    },
}

/// `recovery-rule@1`: who may bring the account back to somebody who lost its wallets. Only for its guardians to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryRuleBody {
    /// Accounts, ascending and distinct, at most 8; none: nobody may.
    pub guardians: Vec<RecordId>,
    /// How many of them have to agree; 0 when there are none.
    pub threshold: u8,
    /// How long a wallet of the account may veto after that; 24 to 2,160, and 0 when there are no guardians.
    pub delay_hours: u32,
    /// A message of a wallet of the account, whose statement is [`rule_statement`].
    pub by: WalletAuthorisation,
}

/// `recovery@1` about an account, by one of its guardians: this wallet is to control it, and none of those before. The
/// message is the wallet's sign-in message for the device that is to speak.
pub type RecoveryBody = WalletAuthorisation;

/// `recovery-approval@1` about a recovery, by another guardian; and the hub's `recovery-end@1`: nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryStepBody {}

/// `recovery-veto@1` about a recovery of the author's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryVetoBody {
    /// A message of a wallet of the account, whose statement is [`veto_statement`].
    pub by: WalletAuthorisation,
}

/// `profile@1`: what an account says of itself, in place of what it said before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileBody {
    /// 1 to 80 characters on one line.
    pub name: String,
    /// At most 2,000 characters.
    pub text: String,
    /// BCP 47 tags, such as `en` or `pt-BR`, at most 8, the preferred one first.
    pub languages: Vec<String>,
    /// SHA-256 of a picture.
    pub avatar: Option<B256>,
}

impl ProfileBody {
    /// Checks the form.
    ///
    /// # Errors
    /// Step `schema`, with the member at fault.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        check_name(&self.name, "/body/name")?;
        let length = self.text.chars().count();
        if length > TEXT_MAX {
            let told = format!("has {length} characters and may have {TEXT_MAX}");
            return Err(Refusal::schema("text", "/body/text", told));
        }
        let distinct: BTreeSet<String> = self.languages.iter().map(|one| one.to_lowercase()).collect();
        if self.languages.len() > LANGUAGES_MAX
            || distinct.len() != self.languages.len()
            || !self.languages.iter().all(|one| is_language(one))
        {
            let told =
                format!("must be at most {LANGUAGES_MAX} different tags of BCP 47, such as en or pt-BR");
            return Err(Refusal::schema("languages", "/body/languages", told));
        }
        Ok(())
    }
}

/// The form of a BCP 47 tag: a language of two or three letters, then parts of one to eight letters and digits.
fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let first = parts.next().unwrap_or_default();
    tag.len() <= LANGUAGE_MAX
        && matches!(first.len(), 2 | 3)
        && first.bytes().all(|byte| byte.is_ascii_alphabetic())
        && parts
            .all(|part| matches!(part.len(), 1..=8) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// What a wallet of an account says so that another joins it.
pub fn add_statement(account: &RecordId, wallet: &AccountId) -> String {
    format!("Let the wallet {wallet} control my account {account} on Earnest.")
}

/// What a wallet of an account says so that another leaves it.
pub fn revoke_statement(account: &RecordId, wallet: &AccountId) -> String {
    format!("Take the wallet {wallet} away from my account {account} on Earnest.")
}

/// What a wallet of an account says so that one of its devices is silent.
pub fn silence_statement(account: &RecordId, device: &Device) -> String {
    format!("Let the device {device} speak for my account {account} on Earnest no more.")
}

/// What a wallet of an account says to set its recovery rule.
pub fn rule_statement(account: &RecordId, guardians: &[RecordId], threshold: u8, delay_hours: u32) -> String {
    if guardians.is_empty() {
        return format!("Let nobody recover my account {account} on Earnest.");
    }
    let names: Vec<String> = guardians.iter().map(ToString::to_string).collect();
    let who = names.join(" ");
    format!(
        "Let any {threshold} of these accounts give my account {account} on Earnest to another wallet, \
         unless I veto it within {delay_hours} hours: {who}"
    )
}

/// What a wallet of an account says to veto a recovery.
pub fn veto_statement(account: &RecordId, recovery: &RecordId) -> String {
    format!("Veto the recovery {recovery} of my account {account} on Earnest.")
}

impl RecoveryRuleBody {
    /// The rule; none when there are no guardians.
    ///
    /// # Errors
    /// Step `schema`: the list is not ascending, or a number is out of range.
    pub(super) fn rule(&self) -> Result<Option<Rule>, Refusal> {
        if self.guardians.len() > GUARDIANS_MAX || !self.guardians.is_sorted_by(|one, next| one < next) {
            let told = format!("must be at most {GUARDIANS_MAX} accounts, ascending, each once");
            return Err(Refusal::schema("guardians", "/body/guardians", told));
        }
        if self.guardians.is_empty() {
            if self.threshold != 0 || self.delay_hours != 0 {
                let told = "threshold and delay_hours are 0 where there are no guardians";
                return Err(Refusal::schema("threshold", "/body/threshold", told));
            }
            return Ok(None);
        }
        if !DELAY_HOURS.contains(&self.delay_hours) {
            let (least, most) = (DELAY_HOURS.start(), DELAY_HOURS.end());
            let told = format!("{} must be {least} to {most}", self.delay_hours);
            return Err(Refusal::schema("delay_hours", "/body/delay_hours", told));
        }
        let rule = Rule {
            guardians: self.guardians.iter().copied().collect(),
            threshold: self.threshold,
            delay_ms: i64::from(self.delay_hours).saturating_mul(60 * 60 * 1000),
        };
        rule.sound()?;
        Ok(Some(rule))
    }
}

/// A wallet's message and signature, whose form has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub text: String,
    pub message: SignIn,
    pub signature: Vec<u8>,
    /// Where it stands, as a JSON pointer.
    pub field: String,
}

impl Word {
    fn read(message: &str, signature: &str, within: &str) -> Result<Self, Refusal> {
        let parsed: SignIn = message.parse().map_err(|error| told(within, &error))?;
        let bytes = signature
            .strip_prefix("0x")
            .filter(|digits| digits.len() <= SIGNATURE_MAX.saturating_mul(2))
            .and_then(|digits| hex::decode(digits).ok())
            .ok_or_else(|| {
                Refusal::schema(
                    "signature_form",
                    format!("{within}/signature"),
                    format!("must be 0x and hexadecimal digits of at most {SIGNATURE_MAX} bytes"),
                )
            })?;
        Ok(Self { text: message.to_owned(), message: parsed, signature: bytes, field: within.to_owned() })
    }

    /// A word that says this statement, and nothing for any device.
    fn saying(word: &WalletAuthorisation, within: &str, statement: &str) -> Result<Self, Refusal> {
        let read = Self::read(&word.message, &word.signature, within)?;
        let resources = &read.message.resources;
        if read.message.statement.as_deref() != Some(statement) || !resources.is_empty() {
            let told = format!("must say, without resources: {statement}");
            return Err(Refusal::schema("message_statement", format!("{within}/message"), told));
        }
        Ok(read)
    }

    pub(crate) const fn wallet(&self) -> AccountId {
        self.message.wallet
    }
}

fn told(within: &str, error: &SignInError) -> Refusal {
    Refusal::schema(error.rule, format!("{within}/message"), error.to_string())
}

/// A wallet's word for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authorisation {
    pub word: Word,
    pub device: Device,
}

impl Authorisation {
    pub(crate) fn read(message: &str, signature: &str, within: &str) -> Result<Self, Refusal> {
        let word = Word::read(message, signature, within)?;
        let device = word.message.device().map_err(|error| told(within, &error))?;
        Ok(Self { word, device })
    }

    pub(crate) const fn wallet(&self) -> AccountId {
        self.word.wallet()
    }
}

/// What wallets and passkeys say in a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// A passkey, of itself or for a device, and where that stands.
    pub passkey: Option<(Spoken, &'static str)>,
    /// For a device.
    pub device: Option<Authorisation>,
    /// By a wallet of the account, for what the record says.
    pub by: Option<Word>,
}

impl Words {
    /// Reads them, each bound to what the record says.
    pub(super) fn of(record: &Record) -> Result<Self, Refusal> {
        let account = record.account();
        let read = |message: &str, signature: &str, within| {
            Authorisation::read(message, signature, within).map(Some)
        };
        let says = |by: &WalletAuthorisation, within, statement: String| {
            Word::saying(by, within, &statement).map(Some)
        };
        Ok(match record.kind.as_str() {
            "identity@1" => {
                let body: IdentityBody = record.body_as()?;
                Self { device: read(&body.message, &body.signature, "/body")?, ..Self::default() }
            }
            "device@1" => match record.body_as::<DeviceBody>()? {
                DeviceBody::Add(add) => {
                    Self { device: read(&add.message, &add.signature, "/body/add")?, ..Self::default() }
                }
                DeviceBody::AddByPasskey(word) => {
                    let field = "/body/add_by_passkey";
                    let spoken = Spoken::read(&word).map_err(|error| error.malformed(field))?;
                    Self { passkey: Some((spoken, field)), ..Self::default() }
                }
                DeviceBody::Revoke { by: None, .. } => Self::default(),
                DeviceBody::Revoke { device, by: Some(by) } => {
                    let statement = silence_statement(&account, &device);
                    Self { by: says(&by, "/body/revoke/by", statement)?, ..Self::default() }
                }
            },
            "wallet@1" => match record.body_as::<WalletBody>()? {
                WalletBody::Add { message, signature, by } => {
                    let joining = Authorisation::read(&message, &signature, "/body/add")?;
                    let statement = add_statement(&account, &joining.wallet());
                    let by = says(&by, "/body/add/by", statement)?;
                    Self { by, device: Some(joining), ..Self::default() }
                }
                WalletBody::Revoke { wallet, by } => {
                    let statement = revoke_statement(&account, &wallet);
                    Self { by: says(&by, "/body/revoke/by", statement)?, ..Self::default() }
                }
            },
            "passkey@1" => match record.body_as::<PasskeyBody>()? {
                PasskeyBody::Add { nonce, authenticator_data, client_data, by } => {
                    let field = "/body/add";
                    let spoken = Spoken::new(&account, nonce, &authenticator_data, &client_data)
                        .map_err(|error| error.malformed(field))?;
                    let by = says(&by, "/body/add/by", passkey_statement(&account, &spoken.passkey))?;
                    Self { by, passkey: Some((spoken, field)), ..Self::default() }
                }
                PasskeyBody::Revoke { passkey, by } => {
                    let statement = revoke_passkey_statement(&account, &passkey);
                    Self { by: says(&by, "/body/revoke/by", statement)?, ..Self::default() }
                }
            },
            "recovery-rule@1" => {
                let body: RecoveryRuleBody = record.body_as()?;
                let statement = rule_statement(&account, &body.guardians, body.threshold, body.delay_hours);
                Self { by: says(&body.by, "/body/by", statement)?, ..Self::default() }
            }
            "recovery@1" => {
                let body: RecoveryBody = record.body_as()?;
                Self { device: read(&body.message, &body.signature, "/body")?, ..Self::default() }
            }
            "recovery-veto@1" => {
                let body: RecoveryVetoBody = record.body_as()?;
                let statement = veto_statement(&account, &record.about()?);
                Self { by: says(&body.by, "/body/by", statement)?, ..Self::default() }
            }
            _ => Self::default(),
        })
    }

    /// Those of wallets.
    pub(super) fn all(&self) -> impl Iterator<Item = &Word> {
        self.device.iter().map(|one| &one.word).chain(&self.by)
    }

    /// Those of wallets that must be the account's already, in a record of this type: all but that of a wallet that joins.
    pub(super) fn of_the_account(&self, kind: &str) -> impl Iterator<Item = &Word> {
        let for_device = self.device.as_ref().filter(|_| kind == "device@1").map(|one| &one.word);
        for_device.into_iter().chain(&self.by)
    }

    /// The nonces under which all of them are said, each with where it stands.
    pub(super) fn nonces(&self) -> impl Iterator<Item = (&String, String)> {
        let of_wallets = self.all().map(|word| (&word.message.nonce, format!("{}/message", word.field)));
        let of_passkey = self.passkey.iter().map(|(spoken, field)| (&spoken.nonce, format!("{field}/nonce")));
        of_wallets.chain(of_passkey)
    }

    /// The device that is to speak by the word of a wallet or passkey.
    pub(super) fn brings(&self) -> Option<Device> {
        let by_wallet = self.device.as_ref().map(|one| one.device);
        by_wallet.or_else(|| self.passkey.as_ref().and_then(|(spoken, _)| spoken.device))
    }
}

/// The word of a wallet for a device that a record carries, as credentials repeat it; none in a record of another kind.
///
/// # Errors
/// Step `schema`: the body is not of the record's type.
pub fn word_in(record: &Record) -> Result<Option<WalletAuthorisation>, Refusal> {
    Ok(match record.kind.as_str() {
        "identity@1" => {
            let IdentityBody { message, signature, .. } = record.body_as()?;
            Some(WalletAuthorisation { message, signature })
        }
        "wallet@1" => match record.body_as()? {
            WalletBody::Add { message, signature, .. } => Some(WalletAuthorisation { message, signature }),
            WalletBody::Revoke { .. } => None,
        },
        "device@1" => match record.body_as()? {
            DeviceBody::Add(word) => Some(word),
            DeviceBody::AddByPasskey(_) | DeviceBody::Revoke { .. } => None,
        },
        "recovery@1" => Some(record.body_as::<RecoveryBody>()?),
        _ => None,
    })
}

/// One line of 1 to 80 characters, none of them a control character, not beginning or ending in space.
pub(crate) fn check_name(name: &str, field: &str) -> Result<(), Refusal> {
    let length = name.chars().count();
    if length == 0 || length > NAME_MAX || name.trim() != name || name.chars().any(char::is_control) {
        return Err(Refusal::schema(
            "name",
            field,
            format!("must be one line of 1 to {NAME_MAX} characters without space at either end"),
        ));
    }
    Ok(())
}

/// The body of `POST /v1/tokens`, signed by the session's device; `nonce` and `domain` from `GET /v1/sign-in/nonce`.
///
/// # Errors
/// None that input can cause.
pub fn token_request(
    account: &RecordId,
    domain: &str,
    nonce: &str,
    asked: &TokenRequest,
    key: &DeviceKey,
    created: Stamp,
) -> Result<Value, ProofError> {
    let TokenRequest { label, scopes, days } = asked;
    let document = json!({
        "account": account, "domain": domain, "nonce": nonce, "label": label, "scopes": scopes, "days": days,
    });
    proof::sign(document, key, proof::AUTHENTICATION, created)
}

/// The body of `POST /v1/sessions`, signed by the device; `nonce` and `domain` from `GET /v1/sign-in/nonce`.
///
/// # Errors
/// None that input can cause.
pub fn session_request(
    account: &RecordId,
    domain: &str,
    nonce: &str,
    key: &DeviceKey,
    created: Stamp,
) -> Result<Value, ProofError> {
    let document = json!({ "account": account, "domain": domain, "nonce": nonce });
    proof::sign(document, key, proof::AUTHENTICATION, created)
}

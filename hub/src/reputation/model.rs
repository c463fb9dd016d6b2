//! The credential, how one is made, and how anyone checks one: the rules alone, without a server.

use std::{fmt, str::FromStr};

use alloy::primitives::{B256, Bytes};
use protocol::{
    chain::{self, AccountId, ChainId, Signed, TransactionId},
    terms::Terms,
    wire::feed::{EventBody, FeedEntry, Finality},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use crate::{
    deals::{
        position::{self, Position},
        status::Status,
    },
    identity::{self, WalletAuthorisation},
    records::{Device, DeviceKey, ProofError, Stamp},
};

pub use super::{kinds::Kind, vc::Form};
use super::{
    kinds::{Outcome, Part},
    status::Entry,
    vc::{self, CONTEXTS, TYPE},
};

/// A wallet as a DID: `did:pkh:` and its CAIP-10 name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WalletDid(pub AccountId);

impl fmt::Display for WalletDid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "did:pkh:{}", self.0)
    }
}

impl FromStr for WalletDid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let account = text.strip_prefix("did:pkh:").ok_or("it must begin with did:pkh:")?;
        account.parse().map(Self).map_err(|error: protocol::chain::CaipError| error.to_string())
    }
}

impl Serialize for WalletDid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WalletDid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A credential without its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// [`CONTEXTS`].
    #[serde(rename = "@context")]
    pub context: Vec<String>,
    /// [`TYPE`] and a [`Kind::name`].
    #[serde(rename = "type")]
    pub types: Vec<String>,
    /// The device that signs.
    pub issuer: Device,
    /// When it was issued.
    #[serde(rename = "validFrom")]
    pub valid_from: Stamp,
    /// Whom it is about, and why.
    #[serde(rename = "credentialSubject")]
    pub subject: Subject,
    /// Where to see whether it was revoked.
    #[serde(default, rename = "credentialStatus", skip_serializing_if = "Option::is_none")]
    pub status: Option<Entry>,
    /// Why the device may speak for the party's wallet: what the wallet signed when the device joined the account
    /// (CAIP-122). None for the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorisation: Option<WalletAuthorisation>,
}

/// Whom a credential is about, and the deal that it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The subject's wallet in the deal.
    pub id: WalletDid,
    /// How the deal went.
    pub deal: Deal,
    /// Its terms, of which the deal's id is the hash.
    pub terms: Terms,
}

/// How a deal went, for anyone to compare with the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deal {
    /// The escrow's chain.
    pub chain: ChainId,
    /// The escrow contract.
    pub escrow: AccountId,
    /// The deal's id at the escrow. Not named `id`, which in a credential must be a URL.
    pub deal_id: B256,
    /// The transaction that funded it.
    pub funding_transaction: TransactionId,
    /// The transaction that closed it.
    pub closing_transaction: TransactionId,
    /// `completed` or `refunded`.
    pub outcome: Status,
    /// The seller's share of the whole, in basis points, rounded down.
    pub seller_share_bps: u16,
}

/// What a verifier must fetch before it can verify a credential.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// All events of the deal that its escrow emitted, final ones, in any order, as an indexer or the logs of a node
    /// tell them; `count` in the events shows whether one is missing. Others are passed over.
    pub events: &'a [FeedEntry],
    /// The escrow contracts whose events are taken for the truth: anyone can deploy one that tells of deals that never were.
    pub escrows: &'a [AccountId],
    /// What the party's wallet answered to `isValidSignature` (ERC-1271) for the authorisation. Needed for a contract
    /// wallet alone; see [`wallet_question`].
    pub contract_wallet: Option<bool>,
    /// The device of the hub whose word on lost disputes is taken.
    pub hub: Option<Device>,
}

/// A credential that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What it says.
    pub kind: Kind,
    /// Who signed.
    pub issuer: Device,
    /// The counterparty's wallet for which the issuer spoke; none for the hub.
    pub party: Option<AccountId>,
    /// About whom.
    pub subject: AccountId,
    /// On which deal.
    pub deal: B256,
    /// Where to see whether it was revoked since.
    pub status: Option<Entry>,
    /// `completed` or `refunded`.
    pub outcome: Status,
    /// The seller's share of the whole, in basis points.
    pub seller_share_bps: u16,
}

/// Why a credential does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a credential of this form.
    #[error("it is not a credential of Earnest: {0}")]
    Form(String),
    /// The contexts are others.
    #[error("@context must be exactly {CONTEXTS:?}")]
    Context,
    /// The types are others.
    #[error("type must be VerifiableCredential and one of {:?}", Kind::ALL.map(Kind::name))]
    Type,
    /// The status is not written as it must be.
    #[error("credentialStatus: {0}")]
    Status(String),
    /// A deal is not what this kind rests on.
    #[error("a {} does not rest on a deal", .0.name())]
    Outcome(Kind),
    /// The proof does not hold.
    #[error("proof: {0}")]
    Proof(#[from] ProofError),
    /// Signed by another than its issuer.
    #[error("issuer {issuer} did not sign it: {signer} did")]
    Issuer {
        /// As named.
        issuer: Device,
        /// As signed.
        signer: Device,
    },
    /// The terms hash to another deal.
    #[error("deal: {0} is not what the terms make it")]
    Deal(&'static str),
    /// The deal is at a contract that is no escrow to the verifier.
    #[error("the deal is at {0}, which is no escrow whose events you take for the truth")]
    UnknownEscrow(AccountId),
    /// The subject is not the wallet that this kind is about.
    #[error("subject {given} is not the wallet {wanted} that a {} of this outcome is about", kind.name())]
    Subject {
        /// Of the credential.
        kind: Kind,
        /// As named.
        given: AccountId,
        /// As it must be.
        wanted: AccountId,
    },
    /// A party's device must show its wallet's word; the hub has none.
    #[error("authorisation: {0}")]
    Authorisation(String),
    /// The chain does not know enough of the deal.
    #[error("the escrow's final events do not show the deal closed: {0}")]
    NotClosed(String),
    /// The chain says otherwise.
    #[error("deal: {0} is not what the chain says")]
    Chain(&'static str),
    /// Nobody earns this by a deal that was not completed.
    #[error("the deal was not completed")]
    NotCompleted,
    /// There was no dispute, or nobody lost it.
    #[error("no dispute of this deal was lost")]
    NothingLost,
    /// The records show no such payment.
    #[error("payment: {0}")]
    Payment(String),
    /// The issuer is not the hub that the verifier trusts with this.
    #[error("issuer {0} is not the hub whose word on disputes you take")]
    UnknownHub(Device),
}

impl Refusal {
    /// The refusal's name.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Form(_) => "credential_form",
            Self::Context => "credential_context",
            Self::Type => "credential_type",
            Self::Status(_) => "credential_status",
            Self::Outcome(_) => "credential_outcome",
            Self::Proof(_) => "credential_proof",
            Self::Issuer { .. } => "credential_issuer",
            Self::Deal(_) => "credential_deal",
            Self::UnknownEscrow(_) => "unknown_escrow",
            Self::Subject { .. } => "credential_subject",
            Self::Authorisation(_) => "credential_authorisation",
            Self::NotClosed(_) => "deal_not_closed",
            Self::Chain(_) => "credential_chain",
            Self::NotCompleted => "deal_not_completed",
            Self::NothingLost => "nothing_lost",
            Self::Payment(_) => "credential_payment",
            Self::UnknownHub(_) => "unknown_hub",
        }
    }
}

/// The side that got less than half of a closed deal: its wallet. None when both got half.
pub fn loser(terms: &Terms, position: &Position) -> Option<AccountId> {
    let under_half = |total: u128| total.checked_mul(2).is_some_and(|twice| twice < terms.amount);
    if under_half(position.released) {
        Some(terms.seller)
    } else if under_half(position.refunded) {
        Some(terms.buyer)
    } else {
        None
    }
}

/// How a closed deal went; none while it is open or its terms have no id.
pub fn deal_of(terms: &Terms, position: &Position) -> Option<Deal> {
    Some(Deal {
        chain: terms.escrow.chain,
        escrow: terms.escrow,
        deal_id: chain::deal_id(terms).ok()?,
        funding_transaction: position.funding?,
        closing_transaction: position.closing?,
        outcome: position.settled().status,
        seller_share_bps: position.seller_share_bps(terms.amount)?,
    })
}

/// The wallet that a kind of credential about this deal is about; none when the deal did not earn it.
fn subject_of(kind: Kind, terms: &Terms, position: &Position) -> Result<AccountId, Refusal> {
    let rule = kind.rule();
    match rule.outcome {
        Outcome::DealCompleted if position.settled().status != Status::Completed => {
            Err(Refusal::NotCompleted)
        }
        Outcome::DealCompleted => wallet_of(rule.subject, terms).ok_or(Refusal::Outcome(kind)),
        Outcome::DisputeLost if position.disputed_at.is_none() => Err(Refusal::NothingLost),
        Outcome::DisputeLost => loser(terms, position).ok_or(Refusal::NothingLost),
        Outcome::ServiceReceived | Outcome::HelpReceived => Err(Refusal::Outcome(kind)),
    }
}

const fn wallet_of(part: Part, terms: &Terms) -> Option<AccountId> {
    match part {
        Part::Buyer => Some(terms.buyer),
        Part::Seller => Some(terms.seller),
        Part::Loser | Part::Hub | Part::Giver | Part::Receiver => None,
    }
}

/// The party whose device issues this kind; none for the hub's.
pub const fn issuing_party(kind: Kind, terms: &Terms) -> Option<AccountId> {
    wallet_of(kind.rule().issuer, terms)
}

/// What an issuer adds to what the deal says.
#[derive(Clone, Debug, Default)]
pub struct Issuing {
    /// What the party's wallet signed when the device joined the account; none for the hub.
    pub authorisation: Option<WalletAuthorisation>,
    /// Where a revocation will show; a hub takes no credential without.
    pub status: Option<Entry>,
    /// How it is secured.
    pub form: Form,
}

/// Issues a credential about a closed deal.
///
/// # Errors
/// The deal is open or did not earn it ([`Refusal::NotClosed`], [`Refusal::NotCompleted`], [`Refusal::NothingLost`]), or
/// earns no such thing ([`Refusal::Outcome`]).
pub fn issue(
    kind: Kind,
    terms: &Terms,
    position: &Position,
    issuing: Issuing,
    key: &DeviceKey,
    now: Stamp,
) -> Result<Value, Refusal> {
    let deal = deal_of(terms, position).ok_or_else(|| Refusal::NotClosed("it is open".to_owned()))?;
    let credential = Credential {
        context: CONTEXTS.map(str::to_owned).to_vec(),
        types: vec![TYPE.to_owned(), kind.name().to_owned()],
        issuer: key.device(),
        valid_from: now,
        subject: Subject { id: WalletDid(subject_of(kind, terms, position)?), deal, terms: terms.clone() },
        status: issuing.status,
        authorisation: issuing.authorisation,
    };
    let unsecured = serde_json::to_value(credential).map_err(|error| Refusal::Form(error.to_string()))?;
    Ok(vc::secure(unsecured, issuing.form, key, now)?)
}

/// Reads a credential's members, whichever way it is secured; says nothing yet about whether they hold.
///
/// # Errors
/// [`Refusal::Form`], [`Refusal::Context`], [`Refusal::Type`] or [`Refusal::Status`].
pub fn read(secured: &Value) -> Result<(Credential, Kind), Refusal> {
    let unsecured = vc::unsecured(secured).map_err(|error| Refusal::Form(error.to_string()))?;
    let credential = Credential::deserialize(&unsecured).map_err(|error| Refusal::Form(error.to_string()))?;
    // One form for each value: what was read is what was signed, to the letter.
    if serde_json::to_value(&credential).ok().as_ref() != Some(&unsecured) {
        return Err(Refusal::Form("a member is not written in its one form".to_owned()));
    }
    if credential.context != CONTEXTS {
        return Err(Refusal::Context);
    }
    let [general, special] = credential.types.as_slice() else { return Err(Refusal::Type) };
    let kind = Kind::of_name(special).ok_or(Refusal::Type)?;
    if general != TYPE {
        return Err(Refusal::Type);
    }
    if let Some(entry) = &credential.status {
        entry.check().map_err(Refusal::Status)?;
    }
    Ok((credential, kind))
}

fn word_of(credential: &Credential) -> Result<Option<identity::Authorisation>, Refusal> {
    let Some(WalletAuthorisation { message, signature }) = &credential.authorisation else { return Ok(None) };
    identity::Authorisation::read(message, signature, "/authorisation")
        .map(Some)
        .map_err(|error| Refusal::Authorisation(error.to_string()))
}

/// What a verifier asks a contract wallet: `(wallet, hash, signature)` for `isValidSignature` (ERC-1271). None when the
/// wallet's own key made the signature, or there is nothing to ask.
///
/// # Errors
/// The authorisation cannot be read.
pub fn wallet_question(credential: &Credential) -> Result<Option<(AccountId, B256, Bytes)>, Refusal> {
    Ok(word_of(credential)?.and_then(|word| match identity::signed(&word.word)? {
        Signed::ByKey => None,
        Signed::AskContract(hash) => Some((word.wallet(), hash, Bytes::from(word.word.signature))),
    }))
}

fn check_authorisation(
    credential: &Credential,
    party: Option<AccountId>,
    facts: &Facts<'_>,
) -> Result<(), Refusal> {
    let refuse = |reason: String| Err(Refusal::Authorisation(reason));
    let (party, word) = match (party, word_of(credential)?) {
        (Some(party), Some(word)) => (party, word),
        (None, None) => return Ok(()),
        (Some(party), None) => return refuse(format!("the word of {party} is missing")),
        (None, Some(_)) => return refuse("the hub speaks for itself and carries none".to_owned()),
    };
    if word.wallet() != party {
        return refuse(format!("it is the word of {}, not of {party}", word.wallet()));
    }
    if word.device != credential.issuer {
        return refuse(format!("it is for the device {}, not {}", word.device, credential.issuer));
    }
    match (identity::signed(&word.word), facts.contract_wallet) {
        (Some(Signed::ByKey), _) | (Some(Signed::AskContract(_)), Some(true)) => Ok(()),
        (Some(Signed::AskContract(_)), Some(false)) => {
            refuse(format!("the contract {party} does not hold the signature good"))
        }
        (None, _) | (_, None) => refuse(format!("the signature is not by the key of {party}")),
    }
}

/// Where the deal stands by the escrow's final events alone.
fn closed(credential: &Credential, facts: &Facts<'_>) -> Result<Position, Refusal> {
    let terms = &credential.subject.terms;
    let deal = credential.subject.deal.deal_id;
    let events =
        facts.events.iter().filter(|entry| entry.finality == Finality::Final).map(|entry| &entry.event);
    let ours = events.filter(|event| event.body.deal() == Some(deal));
    let ours: Vec<_> = ours
        .filter(|event| !matches!(&event.body, EventBody::Funded { terms: funded, .. } if funded != terms))
        .collect();
    let (position, gap) = position::fold(Status::Created, terms, ours);
    match gap {
        Some(gap) => Err(Refusal::NotClosed(gap.to_string())),
        None if position.status == Status::Confirmed => Ok(position),
        None => Err(Refusal::NotClosed(format!("it is {}", position.status.as_str()))),
    }
}

/// Whether a credential holds, given what was fetched: its form and proof, that its issuer may speak for the
/// counterparty's wallet, that its deal is the hash of its terms, and that the chain says of the deal what it says. Whether
/// the device was revoked before it signed, the chain does not know.
///
/// # Errors
/// The first thing that does not hold.
pub fn verify(secured: &Value, facts: &Facts<'_>) -> Result<Verified, Refusal> {
    verify_by(secured, facts, |credential| closed(credential, facts))
}

/// As [`verify`], where somebody else has folded the deal's final events.
pub(super) fn verify_by(
    secured: &Value,
    facts: &Facts<'_>,
    folded: impl FnOnce(&Credential) -> Result<Position, Refusal>,
) -> Result<Verified, Refusal> {
    let (credential, kind) = read(secured)?;
    let signer = vc::signer(secured)?;
    if signer != credential.issuer {
        return Err(Refusal::Issuer { issuer: credential.issuer, signer });
    }
    let Subject { id: WalletDid(given), deal, terms } = &credential.subject;
    let computed = chain::deal_id(terms).map_err(|error| Refusal::Form(error.to_string()))?;
    for (holds, member) in [
        (deal.chain == terms.escrow.chain, "chain"),
        (deal.escrow == terms.escrow, "escrow"),
        (deal.deal_id == computed, "deal_id"),
    ] {
        if !holds {
            return Err(Refusal::Deal(member));
        }
    }
    if !facts.escrows.contains(&terms.escrow) {
        return Err(Refusal::UnknownEscrow(terms.escrow));
    }
    if !kind.is_of_deals() {
        return Err(Refusal::Outcome(kind));
    }
    let party = issuing_party(kind, terms);
    check_authorisation(&credential, party, facts)?;
    if party.is_none() && facts.hub != Some(signer) {
        return Err(Refusal::UnknownHub(signer));
    }
    let position = folded(&credential)?;
    let told = deal_of(terms, &position).ok_or_else(|| Refusal::NotClosed("it is open".to_owned()))?;
    for (holds, member) in [
        (deal.funding_transaction == told.funding_transaction, "funding_transaction"),
        (deal.closing_transaction == told.closing_transaction, "closing_transaction"),
        (deal.outcome == told.outcome, "outcome"),
        (deal.seller_share_bps == told.seller_share_bps, "seller_share_bps"),
    ] {
        if !holds {
            return Err(Refusal::Chain(member));
        }
    }
    let wanted = subject_of(kind, terms, &position)?;
    if *given != wanted {
        return Err(Refusal::Subject { kind, given: *given, wanted });
    }
    Ok(Verified {
        kind,
        issuer: signer,
        party,
        subject: wanted,
        deal: computed,
        status: credential.status.clone(),
        outcome: told.outcome,
        seller_share_bps: told.seller_share_bps,
    })
}

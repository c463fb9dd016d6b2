//! Types and rules of a purchase: the agreement, what an offer must be before the hub takes it, the seller's
//! acceptance, and whether a telling of the relayer agrees with the indexer's.

use alloy::primitives::{B256, Bytes};
use protocol::{
    chain::{self, AccountId, Address, AssetId, Signed, TermsError},
    deal,
    terms::Terms,
    wire::{
        dec,
        feed::{ChainEvent, EventBody, FeedEntry, Finality},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::records::{RecordId, proof};

/// The largest agreement in canonical form, in bytes.
pub const AGREEMENT_MAX: usize = 16 * 1024;
/// The longest reason of a withdrawal, in characters.
pub const REASON_MAX: usize = 500;

/// `purchase@1`: an offer to buy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurchaseBody {
    /// What the escrow will hold to.
    pub terms: Terms,
    /// What the parties mean by it: an [`Agreement`], which may say more. `terms.agreement` is its hash.
    pub agreement: Value,
}

/// What every agreement says; it may have further members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// The listing that is bought.
    pub listing: RecordId,
    /// The buyer's account.
    pub buyer: RecordId,
    /// The seller's account.
    pub seller: RecordId,
    /// What is paid.
    pub price: Price,
    /// What is to be delivered, in words; 1 to 4,000 characters.
    pub deliverable: String,
}

/// An amount of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// CAIP-19.
    pub asset: AssetId,
    /// In the asset's smallest unit.
    #[serde(with = "dec")]
    pub amount: u128,
}

/// `acceptance@1`: the seller's wallet has signed the terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptanceBody {
    /// The seller's wallet over the terms, 0x-hexadecimal. On an EVM chain EIP-712: 65 bytes of a key, at most 1,024 of a
    /// contract wallet (ERC-1271). On Solana the 64 bytes of Ed25519 over the line of the terms; a program's account, which
    /// approves on chain instead of signing, cannot accept here.
    pub signature: Bytes,
}

/// `withdrawal@1`: a party steps back before funding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawalBody {
    /// Why; at most 500 characters.
    pub reason: String,
}

/// The hash that terms carry for an agreement: SHA-256 of its JCS (RFC 8785).
///
/// # Errors
/// The agreement has no canonical form, or one of more than [`AGREEMENT_MAX`] bytes.
pub fn agreement_hash(agreement: &Value) -> Result<B256, Refusal> {
    let bytes =
        proof::canonical(agreement).map_err(|error| Refusal::AgreementUnreadable(error.to_string()))?;
    if bytes.len() > AGREEMENT_MAX {
        return Err(Refusal::AgreementUnreadable(format!(
            "it has {} bytes in canonical form; at most {AGREEMENT_MAX} are allowed",
            bytes.len()
        )));
    }
    Ok(B256::from_slice(&Sha256::digest(bytes)))
}

/// What the hub knows of the listing that is bought.
#[derive(Clone, Debug)]
pub struct Goods {
    /// The listing.
    pub id: RecordId,
    /// The seller's account.
    pub seller: RecordId,
    /// Whether it can be bought now.
    pub active: bool,
    /// The wallet that the seller wants to be paid to.
    pub pay_to: Option<AccountId>,
    /// The prices of which one must be met exactly; none when the price is free to agree.
    pub fixed: Option<Vec<Price>>,
}

/// What the hub knows of the pool that the terms name.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// Seconds from a dispute to the latest execution of a ruling, as the chain says.
    pub worst_case: u64,
    /// Whether anyone may choose it, or both parties belong to its community.
    pub open_to_both: bool,
}

/// What the hub knows when an offer arrives.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The account that offers.
    pub buyer: RecordId,
    /// The listing, when it exists and the buyer may read it.
    pub goods: Option<&'a Goods>,
    /// The buyer's wallets.
    pub wallets: &'a [AccountId],
    /// The escrow contracts that this hub follows.
    pub escrows: &'a [AccountId],
    /// The arbiters that this hub follows.
    pub arbiters: &'a [AccountId],
    /// The pool, when the hub knows it.
    pub panel: Option<Panel>,
    /// Whether the hub has seen the deal on chain before it was offered.
    pub on_chain: bool,
    /// Unix seconds.
    pub now: u64,
}

/// Why an offer, an acceptance or a withdrawal is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such listing, or not for the buyer's eyes.
    #[error("there is no such listing for you")]
    NoListing,
    /// The listing cannot be bought now.
    #[error("the listing is not active")]
    ListingInactive,
    /// Nobody buys from oneself.
    #[error("buyer and seller are the same account")]
    OwnListing,
    /// The listing names no wallet to pay to, so it is not sold through an escrow.
    #[error("the listing names no pay_to wallet")]
    NoPayTo,
    /// The buyer's wallet is not the buyer's.
    #[error("buyer {0} is no wallet of the author: link it first")]
    ForeignWallet(AccountId),
    /// The seller's wallet is not the one that the listing names.
    #[error("seller {given} is not the listing's pay_to {wanted}")]
    WrongPayTo {
        /// The seller of the terms.
        given: AccountId,
        /// The listing's wallet.
        wanted: AccountId,
    },
    /// The price is not the listing's.
    #[error("{amount} of {asset} is not a price of the listing")]
    WrongPrice {
        /// Of the terms.
        amount: u128,
        /// Of the terms.
        asset: AssetId,
    },
    /// The hub does not follow this contract.
    #[error("{field} {contract} is not a contract that this hub follows")]
    UnknownContract {
        /// `escrow` or `arbiter`.
        field: &'static str,
        /// As given.
        contract: AccountId,
    },
    /// The hub does not know this pool.
    #[error("panel {0} is no pool that this hub knows")]
    UnknownPanel(B256),
    /// The pool is a community's that not both belong to.
    #[error("panel {0} belongs to a community that not both parties are members of")]
    ForeignPanel(B256),
    /// The pool may take longer than the terms give it.
    #[error("ruling {ruling} s is shorter than the pool's worst case of {worst} s")]
    RulingTooShort {
        /// Of the terms, in seconds.
        ruling: u32,
        /// Of the pool, in seconds.
        worst: u64,
    },
    /// The escrow would refuse the terms.
    #[error("the escrow would refuse the terms with {name}: {0}", name = .0.name())]
    TermsRefused(#[from] deal::Refusal),
    /// The terms have no form on the chain.
    #[error("terms: {0}")]
    TermsUnfit(#[from] TermsError),
    /// The agreement lacks a member or has no canonical form.
    #[error("agreement: {0}")]
    AgreementUnreadable(String),
    /// A member of the agreement contradicts the terms or the listing.
    #[error("agreement: {0} is not that of the purchase")]
    AgreementContradicts(&'static str),
    /// The terms carry another hash.
    #[error("terms.agreement {given} is not the agreement's hash {computed}")]
    AgreementHash {
        /// Of the terms.
        given: B256,
        /// SHA-256 of the agreement's JCS.
        computed: B256,
    },
    /// The deal is known already.
    #[error("deal {0} is already offered: equal terms need another salt")]
    KnownDeal(B256),
    /// The deal was on chain before it was offered here, and its events were not kept.
    #[error("deal {0} is on chain already: offer before funding, with another salt")]
    DealOnChain(B256),
    /// Somebody who is not the seller accepts.
    #[error("only the seller accepts")]
    NotSeller,
    /// Somebody who is no party withdraws.
    #[error("only the buyer and the seller withdraw")]
    NotParty,
    /// Too late to offer or accept.
    #[error("the terms' fund_by {0} (Unix seconds) has passed")]
    TooLate(u64),
    /// The signature is not the seller's.
    #[error("signature: {0}")]
    InvalidSignature(String),
    /// The reason is too long.
    #[error("reason has {0} characters; at most {REASON_MAX} are allowed")]
    ReasonTooLong(usize),
}

impl Refusal {
    /// The refusal's name.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::NoListing => "no_listing",
            Self::ListingInactive => "listing_inactive",
            Self::OwnListing => "own_listing",
            Self::NoPayTo => "no_pay_to",
            Self::ForeignWallet(_) => "foreign_wallet",
            Self::WrongPayTo { .. } => "wrong_pay_to",
            Self::WrongPrice { .. } => "wrong_price",
            Self::UnknownContract { .. } => "unknown_contract",
            Self::UnknownPanel(_) => "unknown_panel",
            Self::ForeignPanel(_) => "foreign_panel",
            Self::RulingTooShort { .. } => "ruling_too_short",
            Self::TermsRefused(_) => "terms_refused",
            Self::TermsUnfit(_) => "terms_unfit",
            Self::AgreementUnreadable(_) => "agreement_unreadable",
            Self::AgreementContradicts(_) => "agreement_contradicts",
            Self::AgreementHash { .. } => "agreement_hash",
            Self::KnownDeal(_) => "known_deal",
            Self::DealOnChain(_) => "deal_on_chain",
            Self::NotSeller => "not_seller",
            Self::NotParty => "not_party",
            Self::TooLate(_) => "too_late",
            Self::InvalidSignature(_) => "invalid_signature",
            Self::ReasonTooLong(_) => "reason_too_long",
        }
    }

    /// The field of the record at fault.
    pub fn field(&self) -> &'static str {
        match self {
            Self::NoListing | Self::ListingInactive | Self::NoPayTo => "/about",
            Self::OwnListing | Self::NotSeller | Self::NotParty => "/author",
            Self::ForeignWallet(_) => "/body/terms/buyer",
            Self::WrongPayTo { .. } => "/body/terms/seller",
            Self::WrongPrice { .. } => "/body/terms/amount",
            Self::UnknownContract { field: "escrow", .. } => "/body/terms/escrow",
            Self::UnknownContract { .. } => "/body/terms/arbiter",
            Self::UnknownPanel(_) | Self::ForeignPanel(_) => "/body/terms/panel",
            Self::RulingTooShort { .. } => "/body/terms/ruling",
            Self::TermsRefused(_) | Self::TermsUnfit(_) | Self::KnownDeal(_) | Self::DealOnChain(_) => {
                "/body/terms"
            }
            Self::AgreementUnreadable(_) | Self::AgreementContradicts(_) => "/body/agreement",
            Self::AgreementHash { .. } => "/body/terms/agreement",
            Self::TooLate(_) => "/about",
            Self::InvalidSignature(_) => "/body/signature",
            Self::ReasonTooLong(_) => "/body/reason",
        }
    }
}

fn check_agreement(body: &PurchaseBody, offer: &Offer<'_>, goods: &Goods) -> Result<(), Refusal> {
    let agreement = Agreement::deserialize(&body.agreement)
        .map_err(|error| Refusal::AgreementUnreadable(error.to_string()))?;
    let length = agreement.deliverable.chars().count();
    if length == 0 || length > 4_000 {
        return Err(Refusal::AgreementUnreadable(format!(
            "deliverable has {length} characters; 1 to 4,000 are allowed"
        )));
    }
    let paid = Price { asset: body.terms.asset, amount: body.terms.amount };
    for (matches, member) in [
        (agreement.listing == goods.id, "listing"),
        (agreement.buyer == offer.buyer, "buyer"),
        (agreement.seller == goods.seller, "seller"),
        (agreement.price == paid, "price"),
    ] {
        if !matches {
            return Err(Refusal::AgreementContradicts(member));
        }
    }
    let computed = agreement_hash(&body.agreement)?;
    if computed == body.terms.agreement {
        Ok(())
    } else {
        Err(Refusal::AgreementHash { given: body.terms.agreement, computed })
    }
}

/// Whether an offer may be taken; the deal's id when it may.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_purchase(body: &PurchaseBody, offer: &Offer<'_>) -> Result<B256, Refusal> {
    let terms = &body.terms;
    let goods = offer.goods.ok_or(Refusal::NoListing)?;
    if !goods.active {
        return Err(Refusal::ListingInactive);
    }
    if goods.seller == offer.buyer {
        return Err(Refusal::OwnListing);
    }
    if !offer.wallets.contains(&terms.buyer) {
        return Err(Refusal::ForeignWallet(terms.buyer));
    }
    let wanted = goods.pay_to.ok_or(Refusal::NoPayTo)?;
    if terms.seller != wanted {
        return Err(Refusal::WrongPayTo { given: terms.seller, wanted });
    }
    let paid = Price { asset: terms.asset, amount: terms.amount };
    if goods.fixed.as_ref().is_some_and(|prices| !prices.contains(&paid)) {
        return Err(Refusal::WrongPrice { amount: terms.amount, asset: terms.asset });
    }
    for (field, known, contract) in
        [("escrow", offer.escrows, terms.escrow), ("arbiter", offer.arbiters, terms.arbiter)]
    {
        if !known.contains(&contract) {
            return Err(Refusal::UnknownContract { field, contract });
        }
    }
    let deal = chain::deal_id(terms)?;
    deal::validate(terms, offer.now, chain::amount_cap(terms.asset.chain))?;
    if offer.now > terms.fund_by {
        return Err(Refusal::TooLate(terms.fund_by));
    }
    let panel = offer.panel.ok_or(Refusal::UnknownPanel(terms.panel))?;
    if !panel.open_to_both {
        return Err(Refusal::ForeignPanel(terms.panel));
    }
    let worst = panel.worst_case;
    if u64::from(terms.ruling) < worst {
        return Err(Refusal::RulingTooShort { ruling: terms.ruling, worst });
    }
    check_agreement(body, offer, goods)?;
    if offer.on_chain {
        return Err(Refusal::DealOnChain(deal));
    }
    Ok(deal)
}

/// Who can say whether an acceptance carries the seller's signature of the terms.
///
/// # Errors
/// More than 1,024 bytes, which no contract wallet of this protocol needs; or certainly not the seller's.
pub fn seller_signature(terms: &Terms, signature: &Bytes) -> Result<Signed, Refusal> {
    if signature.len() > 1_024 {
        return Err(Refusal::InvalidSignature(format!(
            "it has {} bytes; at most 1,024 are allowed",
            signature.len()
        )));
    }
    chain::terms_signature(terms, signature).map_err(|error| Refusal::InvalidSignature(error.to_string()))
}

/// The escrow that an arbiter's event about a case names; none for every other event.
const fn escrow_of(body: &EventBody) -> Option<Address> {
    match body {
        EventBody::CaseOpened { escrow, .. }
        | EventBody::TargetMoved { escrow, .. }
        | EventBody::JuryDrawn { escrow, .. }
        | EventBody::BallotCast { escrow, .. }
        | EventBody::BallotsCounted { escrow, .. }
        | EventBody::RulingAccepted { escrow, .. }
        | EventBody::Appealed { escrow, .. }
        | EventBody::RulingExecuted { escrow, .. } => Some(*escrow),
        _ => None,
    }
}

/// Whether an event that names the deal of these terms is about it: its escrow's word, or its arbiter's about that escrow.
/// An arbiter takes the deal's id from whatever contract it is told to ask, so the id alone proves nothing there.
pub fn concerns(terms: &Terms, event: &ChainEvent) -> bool {
    event.contract == terms.escrow
        || (event.contract == terms.arbiter && escrow_of(&event.body) == Some(terms.escrow.address))
}

/// What to do with a telling of the relayer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The indexer says the same, or more.
    True,
    /// It was true and the chain has moved on: nothing to do, and nothing wrong.
    Stale,
    /// The indexer is not that far: try again.
    Early,
    /// The indexer says otherwise.
    False,
}

/// Whether what the relayer delivers is what the hub's own indexer says about that event.
pub fn compare(delivered: &FeedEntry, indexed: &FeedEntry) -> Told {
    use Finality as F;
    if delivered.event != indexed.event {
        return Told::False;
    }
    match (delivered.finality, indexed.finality) {
        (F::Seen, F::Seen | F::Safe | F::Final)
        | (F::Safe, F::Safe | F::Final)
        | (F::Final, F::Final)
        | (F::Retracted, F::Retracted) => Told::True,
        // Even what was final leaves, by an operator's word.
        (F::Seen | F::Safe | F::Final, F::Retracted) | (F::Retracted, F::Seen | F::Safe | F::Final) => {
            Told::Stale
        }
        (F::Safe, F::Seen) | (F::Final, F::Seen | F::Safe) => Told::Early,
    }
}

/// Whether a telling takes back what was final: it is kept on record and changes nothing.
pub fn undoes(held: Finality, told: Finality) -> bool {
    held == Finality::Final && told == Finality::Retracted
}

/// Whether a telling that the indexer confirms ([`compare`]) changes what the hub holds of an event. Levels rise until the event
/// is taken back, and what is final is never. Places in the feed do not count: those of two feeds, where an indexer's database was
/// made anew or put back, say nothing of each other.
pub fn supersedes(held: Option<Finality>, told: Finality) -> bool {
    use Finality::{Final, Retracted, Safe, Seen};
    match (held, told) {
        (None, _) | (Some(Retracted), Seen | Safe | Final) | (Some(Seen | Safe), Final | Retracted) => true,
        (Some(Seen), told) => told == Safe,
        (Some(Safe | Final | Retracted), _) => false,
    }
}

//! Calldata of everything that clients send to the contracts, from the protocol's own types.
//!
//! Every function returns the whole calldata, selector included; the callee is the escrow of the terms, or its arbiter
//! for cases. Reading needs no terms except [`jury_of`]: take the bindings in [`super::escrow`] and [`super::pools`].

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::{SolCall, SolStruct},
};

use super::{
    deal_id,
    digest::{address_of, total88, typed, until},
    escrow::Escrow,
    pools::ArbitrationPools,
    signature::{SignatureError, compact},
};
use crate::{
    chain::{self, TermsError},
    terms::Terms,
    wire::{
        act::{PartyAct, TimeOut},
        feed::RuleBook,
        intent::{PartySignature, SignedBallot},
    },
};

/// A party's EIP-712 signature of an action, for somebody else to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Who signed.
    pub signer: Address,
    /// Unix seconds, part of what was signed; at most 2^40 - 1.
    pub valid_until: u64,
    /// 65 bytes of a key, or whatever the signing contract wants (ERC-1271).
    pub signature: Bytes,
}

macro_rules! contract_terms {
    ($contract:ident) => {
        impl From<typed::Terms> for $contract::Terms {
            fn from(terms: typed::Terms) -> Self {
                Self {
                    buyer: terms.buyer,
                    seller: terms.seller,
                    arbiter: terms.arbiter,
                    asset: terms.asset,
                    amount: terms.amount,
                    fundBy: terms.fundBy,
                    deliverBy: terms.deliverBy,
                    inspection: terms.inspection,
                    ruling: terms.ruling,
                    lapseShare: terms.lapseShare,
                    metered: terms.metered,
                    annex: $contract::Annex {
                        panel: terms.annex.panel,
                        agreement: terms.annex.agreement,
                        salt: terms.annex.salt,
                    },
                }
            }
        }
    };
}
contract_terms!(Escrow);
contract_terms!(ArbitrationPools);

impl TryFrom<&Terms> for Escrow::Deal {
    type Error = TermsError;

    fn try_from(terms: &Terms) -> Result<Self, TermsError> {
        let terms = typed::Terms::try_from(terms)?;
        Ok(Self {
            buyer: terms.buyer,
            seller: terms.seller,
            arbiter: terms.arbiter,
            asset: terms.asset,
            amount: terms.amount,
            fundBy: terms.fundBy,
            deliverBy: terms.deliverBy,
            inspection: terms.inspection,
            ruling: terms.ruling,
            lapseShare: terms.lapseShare,
            metered: terms.metered,
            annex: terms.annex.eip712_hash_struct(),
        })
    }
}

/// An address of another kind of chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not an address of an EVM chain")]
pub struct NotEvm(pub chain::Address);

impl TryFrom<&RuleBook> for ArbitrationPools::RuleBook {
    type Error = NotEvm;

    fn try_from(book: &RuleBook) -> Result<Self, NotEvm> {
        Ok(Self {
            keeper: book.keeper.evm().ok_or(NotEvm(book.keeper))?,
            parent: book.parent,
            jurySize: book.jury_size,
            delay: book.delay,
            opening: book.opening,
            voting: book.voting,
            appeal: book.appeal,
            salt: book.salt,
        })
    }
}

/// Why there is no calldata of these ballots.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BallotsError {
    /// The terms have no form on this chain.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// The contract takes compact signatures alone, and this one has no such form.
    #[error("the ballot of seat {seat}: {reason}")]
    Signature {
        /// Index of the seat.
        seat: u8,
        /// What is wrong with its 65 bytes.
        reason: SignatureError,
    },
}

impl TryFrom<&SignedBallot> for ArbitrationPools::Ballot {
    type Error = BallotsError;

    fn try_from(ballot: &SignedBallot) -> Result<Self, BallotsError> {
        let seat = ballot.seat;
        let (r, vs) =
            compact(&ballot.signature).map_err(|reason| BallotsError::Signature { seat, reason })?;
        Ok(Self { seat, share: ballot.share, reason: ballot.reason, r, vs })
    }
}

fn bytes(call: &impl SolCall) -> Bytes {
    call.abi_encode().into()
}

fn escrow_terms(terms: &Terms) -> Result<Escrow::Terms, TermsError> {
    Ok(typed::Terms::try_from(terms)?.into())
}

fn pools_terms(terms: &Terms) -> Result<ArbitrationPools::Terms, TermsError> {
    Ok(typed::Terms::try_from(terms)?.into())
}

/// The escrow's address, by which the pools know it.
///
/// # Errors
/// An escrow that is not on an EVM chain.
pub fn escrow_of(terms: &Terms) -> Result<Address, TermsError> {
    address_of("escrow", terms.escrow)
}

/// What `fund` must carry along in the chain's own coin.
pub fn fund_value(terms: &Terms) -> U256 {
    if terms.asset.token.is_none() { U256::from(terms.amount) } else { U256::ZERO }
}

/// The buyer funds, with the seller's signature of the terms; [`fund_value`] must be sent along.
///
/// # Errors
/// Terms without a form on this chain; so with every function here that takes terms.
pub fn fund(terms: &Terms, seller_signature: Bytes) -> Result<Bytes, TermsError> {
    Ok(bytes(&Escrow::fundCall { terms: escrow_terms(terms)?, sellerSignature: seller_signature }))
}

/// Anyone funds from the buyer's token allowance by its signed `Fund`.
///
/// # Errors
/// As [`fund`]; or a `valid_until` above 2^40 - 1, so with every signed action.
pub fn fund_by_sig(terms: &Terms, seller_signature: Bytes, buyer: &Signed) -> Result<Bytes, TermsError> {
    Ok(bytes(&Escrow::fundBySigCall {
        terms: escrow_terms(terms)?,
        sellerSignature: seller_signature,
        validUntil: until(buyer.valid_until)?,
        buyerSignature: buyer.signature.clone(),
    }))
}

/// The seller says that it delivered; `delivery` is the hash of what.
///
/// # Errors
/// As [`fund_by_sig`].
pub fn deliver(terms: &Terms, delivery: B256, signed: Option<&Signed>) -> Result<Bytes, TermsError> {
    let deal = terms.try_into()?;
    Ok(match signed {
        None => bytes(&Escrow::deliverCall { deal, delivery }),
        Some(signed) => bytes(&Escrow::deliverBySigCall {
            deal,
            delivery,
            validUntil: until(signed.valid_until)?,
            signature: signed.signature.clone(),
        }),
    })
}

/// The buyer raises the seller's total; `signature` is the buyer's where somebody else sends it.
///
/// # Errors
/// As [`fund`]; or a total above [`super::AMOUNT_MAX`].
pub fn release(terms: &Terms, total: u128, signature: Option<&Bytes>) -> Result<Bytes, TermsError> {
    let (deal, total) = (terms.try_into()?, total88(total)?);
    Ok(match signature.cloned() {
        None => bytes(&Escrow::releaseCall { deal, total }),
        Some(signature) => bytes(&Escrow::releaseBySigCall { deal, total, signature }),
    })
}

/// The seller raises the buyer's total; `signature` is the seller's where somebody else sends it.
///
/// # Errors
/// As [`release`].
pub fn refund(terms: &Terms, total: u128, signature: Option<&Bytes>) -> Result<Bytes, TermsError> {
    let (deal, total) = (terms.try_into()?, total88(total)?);
    Ok(match signature.cloned() {
        None => bytes(&Escrow::refundCall { deal, total }),
        Some(signature) => bytes(&Escrow::refundBySigCall { deal, total, signature }),
    })
}

/// A party disputes.
///
/// # Errors
/// As [`fund_by_sig`].
pub fn dispute(terms: &Terms, evidence: B256, signed: Option<&Signed>) -> Result<Bytes, TermsError> {
    let deal = terms.try_into()?;
    Ok(match signed {
        None => bytes(&Escrow::disputeCall { deal, hash: evidence }),
        Some(signed) => bytes(&Escrow::disputeBySigCall {
            deal,
            party: signed.signer,
            hash: evidence,
            validUntil: until(signed.valid_until)?,
            signature: signed.signature.clone(),
        }),
    })
}

/// A party shows evidence: its hash, and where it is (at most 256 bytes).
///
/// # Errors
/// As [`fund_by_sig`].
pub fn evidence(
    terms: &Terms,
    hash: B256,
    uri: String,
    signed: Option<&Signed>,
) -> Result<Bytes, TermsError> {
    let deal = terms.try_into()?;
    Ok(match signed {
        None => bytes(&Escrow::evidenceCall { deal, hash, uri }),
        Some(signed) => bytes(&Escrow::evidenceBySigCall {
            deal,
            party: signed.signer,
            hash,
            uri,
            validUntil: until(signed.valid_until)?,
            signature: signed.signature.clone(),
        }),
    })
}

/// Anyone returns what an undelivered deal holds to the buyer.
///
/// # Errors
/// As [`fund`].
pub fn reclaim(terms: &Terms) -> Result<Bytes, TermsError> {
    Ok(bytes(&Escrow::reclaimCall { deal: terms.try_into()? }))
}

/// Anyone pays the seller what a delivered deal holds.
///
/// # Errors
/// As [`fund`].
pub fn claim(terms: &Terms) -> Result<Bytes, TermsError> {
    Ok(bytes(&Escrow::claimCall { deal: terms.try_into()? }))
}

/// Anyone closes a dispute in which no ruling came.
///
/// # Errors
/// As [`fund`].
pub fn lapse(terms: &Terms) -> Result<Bytes, TermsError> {
    Ok(bytes(&Escrow::lapseCall { deal: terms.try_into()? }))
}

/// The arbiter itself rules; `share` is the seller's in basis points.
///
/// # Errors
/// As [`fund`].
pub fn rule(terms: &Terms, share: u16) -> Result<Bytes, TermsError> {
    Ok(bytes(&Escrow::ruleCall { deal: terms.try_into()?, share }))
}

/// An offer to settle that both parties accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// What the seller has in the end, before clamping.
    pub seller_total: u128,
    /// How many rulings the arbiter had accepted when it was signed.
    pub rulings: u8,
    /// Unix seconds.
    pub valid_until: u64,
    /// Empty where the buyer is the caller.
    pub buyer_signature: Bytes,
    /// Empty where the seller is the caller.
    pub seller_signature: Bytes,
}

/// Both parties close the deal.
///
/// # Errors
/// As [`fund_by_sig`]; or a total above [`super::AMOUNT_MAX`].
pub fn settle(terms: &Terms, settlement: &Settlement) -> Result<Bytes, TermsError> {
    Ok(bytes(&Escrow::settleCall {
        deal: terms.try_into()?,
        sellerTotal: total88(settlement.seller_total)?,
        rulings: settlement.rulings,
        validUntil: until(settlement.valid_until)?,
        buyerSignature: settlement.buyer_signature.clone(),
        sellerSignature: settlement.seller_signature.clone(),
    }))
}

/// Buyer or seller closes terms that are not funded, for good.
///
/// # Errors
/// As [`fund`].
pub fn retract(terms: &Terms) -> Result<Bytes, TermsError> {
    Ok(bytes(&Escrow::retractCall { terms: escrow_terms(terms)? }))
}

/// Runs calls of the escrow in order, all or none. Coin sent along must be exactly what their deals of coin need.
pub fn batch(calls: Vec<Bytes>) -> Bytes {
    bytes(&Escrow::batchCall { calls })
}

/// The caller makes a digest that it signed worthless; not that of terms, for which there is [`retract`].
pub fn revoke(digest: B256) -> Bytes {
    bytes(&Escrow::revokeCall { digest })
}

/// The caller takes all its credit; `asset` is zero for the native coin.
pub fn withdraw(asset: Address, to: Address) -> Bytes {
    bytes(&Escrow::withdrawCall { asset, to })
}

/// Anyone pays out credit by the creditor's signed `Withdraw`.
///
/// # Errors
/// A `valid_until` above 2^40 - 1.
pub fn withdraw_by_sig(
    asset: Address,
    amount: U256,
    to: Address,
    creditor: &Signed,
) -> Result<Bytes, TermsError> {
    Ok(bytes(&Escrow::withdrawBySigCall {
        creditor: creditor.signer,
        asset,
        amount,
        to,
        validUntil: until(creditor.valid_until)?,
        signature: creditor.signature.clone(),
    }))
}

/// Anyone sends what a party signed, or both parties.
///
/// # Errors
/// As [`fund_by_sig`]; or a party or a destination of another kind of chain.
pub fn act(terms: &Terms, act: &PartyAct, signed: &[PartySignature]) -> Result<Bytes, TermsError> {
    let here = |field, address| address_of(field, chain::AccountId { chain: terms.escrow.chain, address });
    let of = |party: chain::Address| {
        let own = signed.iter().find(|one| one.party == party);
        own.map(|one| one.signature.clone()).unwrap_or_default()
    };
    let valid_until = act.valid_until().unwrap_or_default();
    let by = |party: chain::Address| -> Result<Signed, TermsError> {
        Ok(Signed { signer: here("party", party)?, valid_until, signature: of(party) })
    };
    let first = signed.first().map_or(terms.buyer.address, |one| one.party);
    match act {
        PartyAct::Deliver { delivery, .. } => deliver(terms, *delivery, Some(&by(terms.seller.address)?)),
        PartyAct::Release { total } => release(terms, *total, Some(&of(terms.buyer.address))),
        PartyAct::Refund { total } => refund(terms, *total, Some(&of(terms.seller.address))),
        PartyAct::Dispute { evidence, .. } => dispute(terms, *evidence, Some(&by(first)?)),
        PartyAct::Evidence { evidence: hash, uri, .. } => {
            evidence(terms, *hash, uri.clone(), Some(&by(first)?))
        }
        PartyAct::Settle { seller_total, rulings, .. } => {
            let (buyer_signature, seller_signature) = (of(terms.buyer.address), of(terms.seller.address));
            let (seller_total, rulings) = (*seller_total, *rulings);
            settle(
                terms,
                &Settlement { seller_total, rulings, valid_until, buyer_signature, seller_signature },
            )
        }
        PartyAct::Withdraw { amount, to, .. } => {
            let (asset, to) = (here("asset", terms.asset.address())?, here("to", *to)?);
            withdraw_by_sig(asset, U256::from(*amount), to, &by(first)?)
        }
    }
}

/// Anyone ends a deal as it ends by itself.
///
/// # Errors
/// As [`fund`].
pub fn time_out(terms: &Terms, time_out: TimeOut) -> Result<Bytes, TermsError> {
    match time_out {
        TimeOut::Reclaim => reclaim(terms),
        TimeOut::Claim => claim(terms),
        TimeOut::Lapse => lapse(terms),
    }
}

/// Makes a pool of a rule book.
///
/// # Errors
/// A keeper of another kind of chain.
pub fn create_pool(book: &RuleBook) -> Result<Bytes, NotEvm> {
    Ok(bytes(&ArbitrationPools::createPoolCall { book: book.try_into()? }))
}

/// Stores one page of members: strictly ascending, at most 1,200.
pub fn store_page(members: Vec<Address>) -> Bytes {
    bytes(&ArbitrationPools::storePageCall { members })
}

/// The keeper publishes the next list, made of stored pages.
pub fn publish(pool: B256, pages: Vec<Address>) -> Bytes {
    bytes(&ArbitrationPools::publishCall { pool, pages })
}

/// Anyone opens the case of a disputed deal at its arbiter.
///
/// # Errors
/// As [`fund`].
pub fn open(terms: &Terms) -> Result<Bytes, TermsError> {
    Ok(bytes(&ArbitrationPools::openCall { escrow: escrow_of(terms)?, deal: deal_id(terms)? }))
}

/// Anyone opens the second jury of the present instance, once the first one's voting is over.
///
/// # Errors
/// As [`fund`].
pub fn open_second_jury(terms: &Terms) -> Result<Bytes, TermsError> {
    let (escrow, terms) = (escrow_of(terms)?, pools_terms(terms)?);
    Ok(bytes(&ArbitrationPools::openSecondJuryCall { escrow, terms }))
}

/// Anyone draws the last jury once the target block exists.
///
/// # Errors
/// As [`fund`].
pub fn draw(terms: &Terms) -> Result<Bytes, TermsError> {
    Ok(bytes(&ArbitrationPools::drawCall { escrow: escrow_of(terms)?, terms: pools_terms(terms)? }))
}

/// The juror itself votes on chain, which is final; `jury` is 0 or 1 of the present instance.
///
/// # Errors
/// As [`fund`].
pub fn cast(terms: &Terms, jury: u8, seat: u8, share: u16, reason: B256) -> Result<Bytes, TermsError> {
    Ok(bytes(&ArbitrationPools::castCall {
        escrow: escrow_of(terms)?,
        terms: pools_terms(terms)?,
        jury,
        seat,
        share,
        reason,
    }))
}

/// Anyone hands in signed ballots of jury 0 or 1 of the present instance.
///
/// # Errors
/// As [`fund`]; or a ballot whose signature has no compact form.
pub fn submit(terms: &Terms, jury: u8, ballots: &[SignedBallot]) -> Result<Bytes, BallotsError> {
    Ok(bytes(&ArbitrationPools::submitCall {
        escrow: escrow_of(terms)?,
        terms: pools_terms(terms)?,
        jury,
        ballots: ballots.iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
    }))
}

/// Anyone speaks the last word of an instance whose juries did not rule in time.
///
/// # Errors
/// As [`fund`].
pub fn conclude(terms: &Terms) -> Result<Bytes, TermsError> {
    Ok(bytes(&ArbitrationPools::concludeCall { escrow: escrow_of(terms)?, terms: pools_terms(terms)? }))
}

/// A party brings an accepted ruling before the parent pool.
///
/// # Errors
/// As [`fund_by_sig`].
pub fn appeal(terms: &Terms, signed: Option<&Signed>) -> Result<Bytes, TermsError> {
    let (escrow, terms) = (escrow_of(terms)?, pools_terms(terms)?);
    Ok(match signed {
        None => bytes(&ArbitrationPools::appealCall { escrow, terms }),
        Some(signed) => bytes(&ArbitrationPools::appealBySigCall {
            escrow,
            terms,
            party: signed.signer,
            validUntil: until(signed.valid_until)?,
            signature: signed.signature.clone(),
        }),
    })
}

/// Anyone executes an accepted ruling.
///
/// # Errors
/// As [`fund`].
pub fn execute(terms: &Terms) -> Result<Bytes, TermsError> {
    Ok(bytes(&ArbitrationPools::executeCall { escrow: escrow_of(terms)?, terms: pools_terms(terms)? }))
}

/// Reads who sits on jury 0 or 1 of the present instance, in order of the seats.
///
/// # Errors
/// As [`fund`].
pub fn jury_of(terms: &Terms, jury: u8) -> Result<Bytes, TermsError> {
    let (escrow, terms) = (escrow_of(terms)?, pools_terms(terms)?);
    Ok(bytes(&ArbitrationPools::juryOfCall { escrow, terms, jury }))
}

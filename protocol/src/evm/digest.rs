//! Ids and EIP-712 digests, byte for byte as the contracts compute them.

use alloy::{
    primitives::{
        Address, B256, U256,
        aliases::{U40, U88},
        keccak256,
    },
    sol,
    sol_types::{Eip712Domain, SolStruct, SolValue, eip712_domain},
};

use crate::{
    chain::{self, AccountId, ChainId, TermsError, UnsupportedChain},
    terms::Terms,
    wire::{act::PartyAct, feed::RuleBook},
};

/// The EIP-712 types that parties and jurors sign. The wallet shows these names.
#[allow(missing_docs, reason = "fields as in docs/protocol.md and contracts/src/interfaces")]
pub mod typed {
    alloy::sol! {
        struct Annex { bytes32 panel; bytes32 agreement; bytes32 salt; }
        struct Terms {
            address buyer; address seller; address arbiter; address asset; uint88 amount; uint40 fundBy; uint40 deliverBy;
            uint32 inspection; uint32 ruling; uint16 lapseShare; bool metered; Annex annex;
        }
        struct Fund { bytes32 deal; uint40 validUntil; }
        struct Deliver { bytes32 deal; bytes32 delivery; uint40 validUntil; }
        struct Release { bytes32 deal; uint88 total; }
        struct Refund { bytes32 deal; uint88 total; }
        struct Dispute { bytes32 deal; bytes32 evidence; uint40 validUntil; }
        struct Evidence { bytes32 deal; bytes32 evidence; string uri; uint40 validUntil; }
        struct Settle { bytes32 deal; uint88 sellerTotal; uint8 status; uint8 rulings; uint40 validUntil; }
        struct Withdraw { address creditor; address asset; uint256 amount; address to; uint256 nonce; uint40 validUntil; }
        struct Ballot { bytes32 caseId; uint16 share; bytes32 reason; }
        struct Appeal { bytes32 deal; uint40 validUntil; }
    }
}

sol! {
    struct CaseKey { bytes32 pool; address escrow; bytes32 deal; uint8 instance; uint8 jury; bytes32 seed; }
    struct Book {
        bytes32 keeper; bytes32 parent; uint8 jurySize; uint32 delay; uint32 opening; uint32 voting; uint32 appeal; bytes32 salt;
    }
}

const fn chain_number(chain: ChainId) -> Result<u64, UnsupportedChain> {
    match chain {
        ChainId::Eip155(id) => Ok(id),
        ChainId::Solana(_) => Err(UnsupportedChain(chain)),
    }
}

/// An account's chain id and address.
fn place(field: &'static str, account: AccountId) -> Result<(u64, Address), TermsError> {
    let AccountId { chain, address } = account;
    let number = chain_number(chain)?;
    let other = || TermsError::OtherChain { field, value: account.to_string(), chain };
    Ok((number, address.evm().ok_or_else(other)?))
}

/// The address of an account on an EVM chain; `field` names it where it is none.
///
/// # Errors
/// An account that is not on an EVM chain.
pub fn address_of(field: &'static str, account: AccountId) -> Result<Address, TermsError> {
    place(field, account).map(|(_, address)| address)
}

/// The EIP-712 domain of an escrow contract.
///
/// # Errors
/// An account that is not on an EVM chain.
pub fn escrow_domain(escrow: AccountId) -> Result<Eip712Domain, TermsError> {
    let (chain_id, verifying_contract) = place("escrow", escrow)?;
    Ok(eip712_domain! {
        name: "Earnest Escrow",
        version: "1",
        chain_id: chain_id,
        verifying_contract: verifying_contract,
    })
}

/// The EIP-712 domain of an arbitration pools contract.
///
/// # Errors
/// An account that is not on an EVM chain.
pub fn pools_domain(pools: AccountId) -> Result<Eip712Domain, TermsError> {
    let (chain_id, verifying_contract) = place("arbiter", pools)?;
    Ok(eip712_domain! {
        name: "Earnest Arbitration Pools",
        version: "1",
        chain_id: chain_id,
        verifying_contract: verifying_contract,
    })
}

pub(super) const UINT40_MAX: u64 = (1 << 40) - 1;
/// The largest amount of a deal on an EVM chain, in the asset's smallest unit.
pub const AMOUNT_MAX: u128 = (1 << 88) - 1;
/// A missed target of a draw moves by a multiple of this many blocks.
pub const STRIDE: u64 = 256;

pub(super) fn bounded(field: &'static str, value: u128, max: u128) -> Result<u128, TermsError> {
    if value > max { Err(TermsError::TooLarge { field, value, max }) } else { Ok(value) }
}

/// Everything for which these terms have no form on their escrow's chain.
pub fn misfits(terms: &Terms) -> impl Iterator<Item = TermsError> {
    let chain = terms.escrow.chain;
    let fits = move |account: &AccountId| account.chain == chain && chain.has(account.address);
    let asset = &terms.asset;
    let elsewhere = [
        ("escrow", fits(&terms.escrow), terms.escrow.to_string()),
        ("buyer", fits(&terms.buyer), terms.buyer.to_string()),
        ("seller", fits(&terms.seller), terms.seller.to_string()),
        ("arbiter", fits(&terms.arbiter), terms.arbiter.to_string()),
        ("asset", asset.chain == chain && chain.has(asset.address()), asset.to_string()),
    ]
    .into_iter()
    .filter(|(_, fits, _)| !fits)
    .map(move |(field, _, value)| TermsError::OtherChain { field, value, chain });
    let too_large = [
        ("fund_by", terms.fund_by.into(), UINT40_MAX.into()),
        ("deliver_by", terms.deliver_by.into(), UINT40_MAX.into()),
        ("amount", terms.amount, AMOUNT_MAX),
    ]
    .into_iter()
    .filter_map(|(field, value, max)| bounded(field, value, max).err());
    let unsupported = chain_number(chain).err().map(TermsError::from);
    unsupported.into_iter().chain(elsewhere).chain(too_large)
}

impl TryFrom<&Terms> for typed::Terms {
    type Error = TermsError;

    fn try_from(terms: &Terms) -> Result<Self, TermsError> {
        if let Some(misfit) = misfits(terms).next() {
            return Err(misfit);
        }
        let chain = terms.escrow.chain;
        let address = |field, address| address_of(field, AccountId { chain, address });
        Ok(Self {
            buyer: address("buyer", terms.buyer.address)?,
            seller: address("seller", terms.seller.address)?,
            arbiter: address("arbiter", terms.arbiter.address)?,
            asset: address("asset", terms.asset.address())?,
            amount: U88::saturating_from(terms.amount),
            fundBy: U40::saturating_from(terms.fund_by),
            deliverBy: U40::saturating_from(terms.deliver_by),
            inspection: terms.inspection,
            ruling: terms.ruling,
            lapseShare: terms.lapse_share,
            metered: terms.metered,
            annex: typed::Annex { panel: terms.panel, agreement: terms.agreement, salt: terms.salt },
        })
    }
}

/// The deal's id: the EIP-712 digest of the terms under the escrow's domain, which is also what the seller signs.
///
/// # Errors
/// Terms that name another chain than the escrow's, or a number that does not fit.
pub fn deal_id(terms: &Terms) -> Result<B256, TermsError> {
    Ok(typed::Terms::try_from(terms)?.eip712_signing_hash(&escrow_domain(terms.escrow)?))
}

/// The id of a case: what a juror's ballot is bound to.
///
/// # Errors
/// An escrow that is not on an EVM chain.
pub fn case_id(
    pool: B256,
    escrow: AccountId,
    deal: B256,
    instance: u8,
    jury: u8,
    seed: B256,
) -> Result<B256, TermsError> {
    let (_, escrow) = place("escrow", escrow)?;
    Ok(keccak256(CaseKey { pool, escrow, deal, instance, jury, seed }.abi_encode()))
}

/// What a juror signs: `Ballot(bytes32 caseId,uint16 share,bytes32 reason)`; `share` in basis points.
///
/// # Errors
/// Pools that are not on an EVM chain.
pub fn ballot_digest(pools: AccountId, case_id: B256, share: u16, reason: B256) -> Result<B256, TermsError> {
    Ok(typed::Ballot { caseId: case_id, share, reason }.eip712_signing_hash(&pools_domain(pools)?))
}

/// What a party signs that appeals: `Appeal(bytes32 deal,uint40 validUntil)`; `valid_until` in Unix seconds.
///
/// # Errors
/// A `valid_until` above 2^40 - 1, or pools that are not on an EVM chain.
pub fn appeal_digest(pools: AccountId, deal: B256, valid_until: u64) -> Result<B256, TermsError> {
    bounded("valid_until", valid_until.into(), UINT40_MAX.into())?;
    let message = typed::Appeal { deal, validUntil: U40::saturating_from(valid_until) };
    Ok(message.eip712_signing_hash(&pools_domain(pools)?))
}

/// What a party signs to have something done about its deal: one of the types above, under the escrow's domain.
///
/// # Errors
/// Terms without a form on this chain, a number that does not fit, or an address of another kind of chain.
pub fn act_digest(terms: &Terms, party: chain::Address, act: &PartyAct) -> Result<B256, TermsError> {
    let (deal, domain) = (deal_id(terms)?, escrow_domain(terms.escrow)?);
    let here = |field, address| address_of(field, AccountId { chain: terms.escrow.chain, address });
    Ok(match act {
        PartyAct::Deliver { delivery, valid_until } => {
            typed::Deliver { deal, delivery: *delivery, validUntil: until(*valid_until)? }
                .eip712_signing_hash(&domain)
        }
        PartyAct::Release { total } => {
            typed::Release { deal, total: total88(*total)? }.eip712_signing_hash(&domain)
        }
        PartyAct::Refund { total } => {
            typed::Refund { deal, total: total88(*total)? }.eip712_signing_hash(&domain)
        }
        PartyAct::Dispute { evidence, valid_until } => {
            typed::Dispute { deal, evidence: *evidence, validUntil: until(*valid_until)? }
                .eip712_signing_hash(&domain)
        }
        PartyAct::Evidence { evidence, uri, valid_until } => {
            let valid_until = until(*valid_until)?;
            typed::Evidence { deal, evidence: *evidence, uri: uri.clone(), validUntil: valid_until }
                .eip712_signing_hash(&domain)
        }
        PartyAct::Settle { seller_total, status, rulings, valid_until } => typed::Settle {
            deal,
            sellerTotal: total88(*seller_total)?,
            status: *status,
            rulings: *rulings,
            validUntil: until(*valid_until)?,
        }
        .eip712_signing_hash(&domain),
        PartyAct::Withdraw { amount, to, nonce, valid_until } => typed::Withdraw {
            creditor: here("party", party)?,
            asset: here("asset", terms.asset.address())?,
            amount: U256::from(*amount),
            to: here("to", *to)?,
            nonce: U256::from(*nonce),
            validUntil: until(*valid_until)?,
        }
        .eip712_signing_hash(&domain),
    })
}

pub(super) fn total88(total: u128) -> Result<U88, TermsError> {
    Ok(U88::from(bounded("total", total, AMOUNT_MAX)?))
}

pub(super) fn until(valid_until: u64) -> Result<U40, TermsError> {
    bounded("valid_until", valid_until.into(), UINT40_MAX.into())?;
    Ok(U40::from(valid_until))
}

/// A pool's id: the hash of its rule book. That its keeper is of an EVM chain [`crate::chain::pool_id`] checks.
pub fn pool_id(book: &RuleBook) -> B256 {
    keccak256(
        Book {
            keeper: book.keeper.word(),
            parent: book.parent,
            jurySize: book.jury_size,
            delay: book.delay,
            opening: book.opening,
            voting: book.voting,
            appeal: book.appeal,
            salt: book.salt,
        }
        .abi_encode(),
    )
}

/// Identity of a log: the same in every indexer, different when the same transaction lands in another block.
///
/// # Errors
/// A chain that is not an EVM chain.
pub fn event_id(chain: ChainId, block_hash: B256, log_index: u64) -> Result<B256, UnsupportedChain> {
    Ok(keccak256((U256::from(chain_number(chain)?), block_hash, U256::from(log_index)).abi_encode()))
}

//! The protocol on Solana: addresses, ids, the lines that wallets sign, instructions, and the ways from an inner instruction
//! to an event, from a program error to a refusal and from an account to a state.
//!
//! Everything that the program itself says (layouts, seeds, digests, limits) is read from the program's crate.

mod account;
mod address;
pub mod call;
mod event;
mod refusal;
mod signing;
mod transaction;

pub use account::{
    AccountError, ballots, deal as read_deal, deal_state, jury as read_jury, list_head, list_members,
    pool as read_pool,
};
pub use address::{
    allowance, arbiter, associated_token, consent, deal as deal_address, event_authority,
    jury as jury_address, list as list_address, pool as pool_address, program, vault as vault_address,
};
pub use event::{EventError, contract_of, decode_event, is_event};
pub use refusal::{Failed, decode_failure};
pub use signing::{Line, Signable, check, signed_by};
pub use transaction::{SIZE_MAX, Transaction, TransactionError, key_of};

/// A key as the program's crate and the clients have it.
pub use anchor_lang::prelude::Pubkey;
/// An instruction, to be put into a transaction.
pub use anchor_lang::solana_program::instruction::{AccountMeta, Instruction};
/// The accounts of the program as they lie on chain.
pub use earnest_program::state;

use alloy::primitives::B256;

use crate::{
    chain::{Address, ChainId, TermsError},
    terms::Terms,
    wire::feed::RuleBook,
};

/// The largest amount of a deal, in the asset's smallest unit.
pub const AMOUNT_MAX: u128 = u64::MAX as u128;
/// By a multiple of how many slots a missed target moves.
pub const STRIDE: u64 = earnest_program::sortition::STRIDE;

/// The CAIP-2 id that the program of this build is for.
///
/// # Errors
/// Never for a program that was built as documented.
pub fn chain() -> Result<ChainId, crate::chain::CaipError> {
    earnest_program::CLUSTER.parse()
}

/// A key of this chain; none where the address is of another kind.
pub(crate) fn key(address: Address) -> Option<Pubkey> {
    address.solana().map(Pubkey::new_from_array)
}

/// An address of ours from a key.
pub fn from_key(key: &Pubkey) -> Address {
    Address::Solana(key.to_bytes())
}

fn foreign(field: &'static str, value: &impl std::fmt::Display, chain: ChainId) -> TermsError {
    TermsError::OtherChain { field, value: value.to_string(), chain }
}

/// Everything for which these terms have no form on the chain of this build's program.
pub fn misfits(terms: &Terms) -> impl Iterator<Item = TermsError> {
    let chain = terms.escrow.chain;
    let own = self::chain() == Ok(chain) && key(terms.escrow.address) == Some(program());
    let escrow = (!own).then(|| foreign("escrow", &terms.escrow, chain));
    let accounts = [("buyer", terms.buyer), ("seller", terms.seller), ("arbiter", terms.arbiter)];
    let elsewhere = accounts
        .into_iter()
        .filter(move |(_, account)| account.chain != chain || key(account.address).is_none())
        .map(move |(field, account)| foreign(field, &account, chain));
    let token = terms.asset.token.map(|token| key(token).is_none()).unwrap_or_default();
    let asset = (terms.asset.chain != chain || token).then(|| foreign("asset", &terms.asset, chain));
    let too_large = (terms.amount > AMOUNT_MAX).then_some(TermsError::TooLarge {
        field: "amount",
        value: terms.amount,
        max: AMOUNT_MAX,
    });
    escrow.into_iter().chain(elsewhere).chain(asset).chain(too_large)
}

/// The terms as the program has them.
///
/// # Errors
/// The first of the [`misfits`].
pub fn terms(terms: &Terms) -> Result<earnest_program::Terms, TermsError> {
    if let Some(misfit) = misfits(terms).next() {
        return Err(misfit);
    }
    let known = |address: Address| key(address).unwrap_or_default();
    Ok(earnest_program::Terms {
        buyer: known(terms.buyer.address),
        seller: known(terms.seller.address),
        arbiter: known(terms.arbiter.address),
        mint: terms.asset.token.map(known).unwrap_or_default(),
        amount: u64::try_from(terms.amount).unwrap_or(u64::MAX),
        fund_by: terms.fund_by,
        deliver_by: terms.deliver_by,
        inspection: terms.inspection,
        ruling: terms.ruling,
        lapse_share: terms.lapse_share,
        metered: terms.metered,
        panel: terms.panel.0,
        agreement: terms.agreement.0,
        salt: terms.salt.0,
    })
}

/// The deal's id: `docs/solana.md`, ids.
///
/// # Errors
/// The first of the [`misfits`].
pub fn deal_id(of: &Terms) -> Result<B256, TermsError> {
    Ok(B256::new(terms(of)?.id()))
}

/// A rule book as the program has it; none where its keeper is of another kind of chain.
pub fn rule_book(book: &RuleBook) -> Option<state::RuleBook> {
    Some(state::RuleBook {
        keeper: key(book.keeper)?,
        parent: book.parent.0,
        jury_size: book.jury_size,
        delay: book.delay,
        opening: book.opening,
        voting: book.voting,
        appeal: book.appeal,
        salt: book.salt.0,
    })
}

/// A pool's id: the hash of its rule book.
///
/// # Errors
/// A keeper of another kind of chain.
pub fn pool_id(chain: ChainId, book: &RuleBook) -> Result<B256, TermsError> {
    let own = rule_book(book).ok_or_else(|| foreign("keeper", &book.keeper, chain))?;
    Ok(B256::new(own.id()))
}

/// The id of one jury of a case, to which its ballots are bound.
pub fn case_id(pool: B256, deal: B256, instance: u8, jury: u8, seed: B256) -> B256 {
    use earnest_program::digest::{keccak, word};
    let program = program();
    let parts: [&[u8]; 6] = [
        pool.as_slice(),
        program.as_ref(),
        deal.as_slice(),
        &word(instance.into()),
        &word(jury.into()),
        seed.as_slice(),
    ];
    B256::new(keccak(&parts))
}

/// Identity of an event: keccak-256 of the transaction's first signature and the event's place in it.
pub fn event_id(signature: &[u8; 64], index: u64) -> B256 {
    B256::new(earnest_program::digest::keccak(&[signature, &index.to_be_bytes()]))
}

//! From an account's data to a state.

use alloy::primitives::B256;
use anchor_lang::{AccountDeserialize, Discriminator, prelude::Pubkey};
use earnest_program::state::{Deal, Jury, List, Pool};

use super::event::rule_book;
use crate::{
    deal::{DealState, Status},
    wire::feed::RuleBook,
};

/// Why data is not the account that it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the account holds no {0} of this version of the program")]
pub struct AccountError(pub &'static str);

fn zero_copy<T: bytemuck::AnyBitPattern + Discriminator>(
    what: &'static str,
    data: &[u8],
) -> Result<T, AccountError> {
    let rest = data.strip_prefix(T::DISCRIMINATOR).ok_or(AccountError(what))?;
    let bytes = rest.get(..size_of::<T>()).ok_or(AccountError(what))?;
    Ok(bytemuck::pod_read_unaligned(bytes))
}

/// A deal's account.
///
/// # Errors
/// It is none.
pub fn deal(data: &[u8]) -> Result<Deal, AccountError> {
    zero_copy("deal", data)
}

/// Where a deal stands by its account.
pub fn deal_state(deal: &Deal) -> DealState {
    let status = Status::ALL.get(usize::from(deal.status)).copied().unwrap_or(Status::Closed);
    DealState {
        status,
        count: deal.count,
        since: deal.since,
        funded_at: deal.funded_at,
        released: deal.released.into(),
        refunded: deal.refunded.into(),
    }
}

/// A jury's account.
///
/// # Errors
/// It is none.
pub fn jury(data: &[u8]) -> Result<Jury, AccountError> {
    zero_copy("jury", data)
}

/// What the seats of a jury said, as the events tell it.
pub fn ballots(jury: &Jury) -> B256 {
    let seats = jury.votes.get(..usize::from(jury.size)).unwrap_or_default();
    B256::new(earnest_program::ballots::word(seats))
}

/// A pool's account: its rules, and how many lists it has.
///
/// # Errors
/// It is none.
pub fn pool(mut data: &[u8]) -> Result<(RuleBook, u32), AccountError> {
    let pool = Pool::try_deserialize(&mut data).map_err(|_| AccountError("pool"))?;
    Ok((rule_book(&pool.book), pool.lists))
}

/// The head of a list's account, which stands before its members.
///
/// # Errors
/// It is none.
pub fn list_head(data: &[u8]) -> Result<List, AccountError> {
    zero_copy("member list", data)
}

/// A list's account: its head, and its members in order.
///
/// # Errors
/// It is none.
pub fn list_members(data: &[u8]) -> Result<(List, Vec<Pubkey>), AccountError> {
    let head = list_head(data)?;
    let members = (0..head.size).map(|index| List::member(data, index));
    let members = members.collect::<Result<_, _>>().map_err(|_| AccountError("member list"))?;
    Ok((head, members))
}

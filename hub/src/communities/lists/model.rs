//! From a community's candidates to the list that its pool may publish.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{
    arbitration,
    chain::{AccountId, Address},
    wire::view::MemberList,
};

use crate::{error::Refusal, records::RecordId};

/// The most candidates of a community that are made a list.
pub const LIST_MAX: usize = 10_000;
/// How many lists that come before the newest one are named.
pub(super) const BEFORE_MAX: usize = 10;

/// The lists before the newest one that do not count yet at this moment, in Unix seconds, in the order of their publication. A pool's
/// delay never changes, so each of them counts before the newest does.
pub(super) fn before(lists: &[MemberList], now: u64) -> impl Iterator<Item = &MemberList> {
    let earlier = lists.split_last().map_or(lists, |(_, earlier)| earlier);
    earlier.iter().filter(move |list| list.effective_at > now)
}

/// The list of those candidates who still have the wallet with which they stand, as the chain wants it: ascending, each once. Each
/// wallet comes with whose it is.
pub(super) fn listed(
    candidates: &BTreeMap<RecordId, AccountId>,
    wallets: impl IntoIterator<Item = (RecordId, AccountId)>,
) -> Vec<Address> {
    let standing = wallets.into_iter().filter(|(account, wallet)| candidates.get(account) == Some(wallet));
    let members: BTreeSet<Address> = standing.map(|(_, wallet)| wallet.address).collect();
    members.into_iter().collect()
}

/// Whether the chain takes the list for a pool whose juries have so many seats.
///
/// # Errors
/// Step `rule`: it does not, in the words of the pools' own refusal.
pub(super) fn publishable(members: &[Address], jury_size: u8) -> Result<(), Refusal> {
    arbitration::check_list(members, jury_size)
        .map_err(|refused| Refusal::rule("list_not_publishable", "/body/effect", refused.to_string()))
}

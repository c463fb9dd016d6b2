//! Rule books and member lists.

use alloy::primitives::{B256, keccak256};

use super::refusal::Refusal;
use crate::{chain::Address, wire::feed::RuleBook};

/// Seats of the largest jury: its ballots fit one word.
pub const LARGEST_JURY: u8 = 31;
/// Seconds before a published list takes effect, at most: 366 days.
pub const LONGEST_DELAY: u32 = 366 * 86_400;
/// Seconds for opening and drawing, at least.
pub const SHORTEST_OPENING: u32 = 60;
/// Seconds for opening and drawing, at most: 30 days.
pub const LONGEST_OPENING: u32 = 30 * 86_400;
/// Seconds of voting, at most: 90 days.
pub const LONGEST_VOTING: u32 = 90 * 86_400;
/// Seconds in which a ruling may be appealed, at most: 90 days.
pub const LONGEST_APPEAL: u32 = 90 * 86_400;
/// Seconds for executing a ruling, as part of the worst case: one day.
pub const EXECUTION: u64 = 86_400;
/// Seconds that must be left when an appeal has taken its worst case: one day.
pub const MARGIN: u64 = 86_400;
/// Members on one page of a list.
pub const LARGEST_PAGE: usize = 1_200;
/// Pages of a list.
pub const MOST_PAGES: usize = 64;

/// Whether a pool can be made of this rule book. That its parent exists only the chain knows.
///
/// # Errors
/// The first rule that is broken: jury size, periods, then parent and appeal, which come together.
pub fn validate(book: &RuleBook) -> Result<(), Refusal> {
    if book.jury_size.is_multiple_of(2) || book.jury_size > LARGEST_JURY {
        return Err(Refusal::BadJurySize { size: book.jury_size.into() });
    }
    let periods = book.delay <= LONGEST_DELAY
        && (SHORTEST_OPENING..=LONGEST_OPENING).contains(&book.opening)
        && (1..=LONGEST_VOTING).contains(&book.voting)
        && book.appeal <= LONGEST_APPEAL;
    if !periods {
        return Err(Refusal::BadPeriod);
    }
    if book.parent.is_zero() != (book.appeal == 0) {
        return Err(Refusal::BadParent);
    }
    Ok(())
}

/// Seconds of one jury: opening, drawing and voting.
pub fn jury_time(book: &RuleBook) -> u64 {
    u64::from(book.opening).saturating_add(book.voting.into())
}

/// Seconds of both juries of an instance.
pub fn span(book: &RuleBook) -> u64 {
    jury_time(book).saturating_mul(2)
}

/// Seconds from an accepted ruling of `book`'s pool to the end of the appeal from it, with what must be left then.
pub fn appeal_time(book: &RuleBook, parent: &RuleBook) -> u64 {
    u64::from(book.appeal).saturating_add(span(parent)).saturating_add(EXECUTION).saturating_add(MARGIN)
}

/// Seconds from a dispute to the latest execution of a ruling, where `parent` is the rule book of the pool's parent, if it
/// has one. Terms whose `ruling` is shorter are refused by hubs.
pub fn worst_case(book: &RuleBook, parent: Option<&RuleBook>) -> u64 {
    let alone = span(book).saturating_add(EXECUTION);
    parent.map_or(alone, |parent| alone.saturating_add(appeal_time(book, parent)))
}

/// Members that a list has at least: twice the jury and the two parties.
pub fn smallest_list(jury_size: u8) -> usize {
    usize::from(jury_size).saturating_mul(2).saturating_add(2)
}

/// Whether these members, all pages together, can be published as a list.
///
/// # Errors
/// An entry that is not above the one before it (zero counts as before the first), or too few of them.
pub fn check_list(members: &[Address], jury_size: u8) -> Result<(), Refusal> {
    let mut previous = None;
    for (index, member) in (0_u64..).zip(members) {
        if member.is_zero() || Some(member) <= previous {
            return Err(Refusal::ListNotAscending { index });
        }
        previous = Some(member);
    }
    let needed = smallest_list(jury_size);
    if members.len() < needed {
        let count = |number| u64::try_from(number).unwrap_or(u64::MAX);
        return Err(Refusal::TooFewMembers { eligible: count(members.len()), needed: count(needed) });
    }
    Ok(())
}

/// Names a list, all pages together: keccak-256 of its members in order, each as the chain keeps it: 20 bytes on an EVM chain, 32
/// on Solana.
pub fn list_digest(members: &[Address]) -> B256 {
    let mut kept = Vec::with_capacity(members.len().saturating_mul(32));
    for member in members {
        match member {
            Address::Evm(address) => kept.extend_from_slice(address.as_slice()),
            Address::Solana(key) => kept.extend_from_slice(key),
        }
    }
    keccak256(&kept)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{self, B256};

    use super::*;

    fn book() -> RuleBook {
        RuleBook {
            keeper: primitives::Address::repeat_byte(1).into(),
            parent: B256::ZERO,
            jury_size: 3,
            delay: 0,
            opening: 3_600,
            voting: 86_400,
            appeal: 0,
            salt: B256::ZERO,
        }
    }

    #[test]
    fn rule_books_have_all_their_edges() {
        type Change = fn(&mut RuleBook);
        let cases: &[(Change, Result<(), Refusal>)] = &[
            (|_| (), Ok(())),
            (|b| b.jury_size = 0, Err(Refusal::BadJurySize { size: 0 })),
            (|b| b.jury_size = 1, Ok(())),
            (|b| b.jury_size = 30, Err(Refusal::BadJurySize { size: 30 })),
            (|b| b.jury_size = 31, Ok(())),
            (|b| b.jury_size = 33, Err(Refusal::BadJurySize { size: 33 })),
            (|b| b.delay = LONGEST_DELAY, Ok(())),
            (|b| b.delay = LONGEST_DELAY + 1, Err(Refusal::BadPeriod)),
            (|b| b.opening = 59, Err(Refusal::BadPeriod)),
            (|b| b.opening = 60, Ok(())),
            (|b| b.opening = LONGEST_OPENING, Ok(())),
            (|b| b.opening = LONGEST_OPENING + 1, Err(Refusal::BadPeriod)),
            (|b| b.voting = 0, Err(Refusal::BadPeriod)),
            (|b| b.voting = 1, Ok(())),
            (|b| b.voting = LONGEST_VOTING, Ok(())),
            (|b| b.voting = LONGEST_VOTING + 1, Err(Refusal::BadPeriod)),
            (|b| b.parent = B256::repeat_byte(1), Err(Refusal::BadParent)),
            (|b| b.appeal = 1, Err(Refusal::BadParent)),
            (|b| (b.parent, b.appeal) = (B256::repeat_byte(1), 1), Ok(())),
            (|b| (b.parent, b.appeal) = (B256::repeat_byte(1), LONGEST_APPEAL), Ok(())),
            (|b| (b.parent, b.appeal) = (B256::repeat_byte(1), LONGEST_APPEAL + 1), Err(Refusal::BadPeriod)),
        ];
        for (number, (change, expected)) in cases.iter().enumerate() {
            let mut book = book();
            change(&mut book);
            assert_eq!(validate(&book), *expected, "case {number}");
        }
        assert_eq!(worst_case(&book(), None), 2 * (3_600 + 86_400) + 86_400);
        let (lower, upper) =
            (RuleBook { appeal: 500, ..book() }, RuleBook { opening: 60, voting: 40, ..book() });
        assert_eq!(worst_case(&lower, Some(&upper)), 2 * 90_000 + 86_400 + 500 + 200 + 2 * 86_400);
    }

    #[test]
    fn lists_ascend_and_outnumber_the_jury_twice() {
        let members: Vec<_> = (1..=8).map(|last| primitives::Address::with_last_byte(last).into()).collect();
        assert_eq!(check_list(&members, 3), Ok(()));
        assert_eq!(check_list(&members[1..], 3), Err(Refusal::TooFewMembers { eligible: 7, needed: 8 }));
        let twice = [members.as_slice(), &[members[7]]].concat();
        assert_eq!(check_list(&twice, 3), Err(Refusal::ListNotAscending { index: 8 }));
        let zero = [&[primitives::Address::ZERO.into()], members.as_slice()].concat();
        assert_eq!(check_list(&zero, 3), Err(Refusal::ListNotAscending { index: 0 }));
    }

    #[test]
    fn a_list_is_named_by_what_the_chain_keeps_of_it() {
        // A page as `MemberPages.store` packs it, without the byte that keeps it from running.
        let members: Vec<Address> =
            (1..=2).map(|last| primitives::Address::with_last_byte(last).into()).collect();
        let mut page = [0_u8; 40];
        (page[19], page[39]) = (1, 2);
        assert_eq!(list_digest(&members), primitives::keccak256(page));
        assert_eq!(list_digest(&[Address::Solana([7; 32])]), primitives::keccak256([7_u8; 32]));
        let turned: Vec<Address> = members.iter().rev().copied().collect();
        assert_ne!(list_digest(&turned), list_digest(&members));
    }
}

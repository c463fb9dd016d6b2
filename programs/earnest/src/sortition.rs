//! Drawing a jury: a seed that nobody chooses, and a shuffle that stops when the seats are taken.

use anchor_lang::prelude::*;

use crate::{
    digest::{keccak, word},
    errors::Refusal,
    state::List,
};

/// Bytes of a seed that are kept; the rest are zero, as on every chain.
const SEED_BYTES: usize = 12;
/// Slots from an opening to its target, whose hash nobody knows yet.
pub const TARGET_AHEAD: u64 = 2;
/// A missed target moves by a multiple of this many slots: as many as the cluster remembers hashes of.
pub const STRIDE: u64 = 512;
/// Bytes of one entry of the slot hashes: the slot and its hash.
const ENTRY: usize = 40;

/// The seed of a jury: the first 12 bytes of keccak-256(hash, deal, instance, jury), a word each.
pub fn seed(hash: &[u8; 32], deal: &[u8; 32], instance: u8, jury: u8) -> [u8; 32] {
    let mut seed = keccak(&[hash, deal, &word(instance.into()), &word(jury.into())]);
    seed[SEED_BYTES..].fill(0);
    seed
}

/// What is known of the first produced slot at or after a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// No such slot is past.
    Ahead,
    /// Its hash.
    Hash([u8; 32]),
    /// The cluster does not remember any more.
    Forgotten,
}

/// Looks a target up in the data of the slot hashes: a count of eight bytes, then slots with their hashes, newest first.
///
/// # Errors
/// Data of another form.
pub fn look_up(slot_hashes: &[u8], target: u64) -> Result<Target> {
    let head = slot_hashes.get(..8).and_then(|head| head.try_into().ok()).ok_or(Refusal::WrongAccount)?;
    let count = usize::try_from(u64::from_le_bytes(head)).map_err(|_| Refusal::WrongAccount)?;
    let entries = slot_hashes.get(8..).unwrap_or_default();
    let slot_at = |index: usize| -> Result<u64> {
        let bytes = entries.get(index * ENTRY..index * ENTRY + 8).and_then(|slot| slot.try_into().ok());
        Ok(u64::from_le_bytes(bytes.ok_or(Refusal::WrongAccount)?))
    };
    // Entries before `past` are of slots at or after the target.
    let (mut past, mut end) = (0, count.min(entries.len() / ENTRY));
    let all = end;
    while past < end {
        let middle = past + (end - past) / 2;
        if slot_at(middle)? >= target {
            past = middle + 1;
        } else {
            end = middle;
        }
    }
    if past == 0 {
        return Ok(Target::Ahead);
    }
    let full = all >= usize::try_from(STRIDE).unwrap_or(usize::MAX);
    if past == all && full && slot_at(all - 1)? != target {
        return Ok(Target::Forgotten);
    }
    let at = (past - 1) * ENTRY + 8;
    let hash = entries.get(at..at + 32).and_then(|hash| hash.try_into().ok()).ok_or(Refusal::WrongAccount)?;
    Ok(Target::Hash(hash))
}

/// Where a target whose hash is forgotten moves at `slot`: to the first multiple of [`STRIDE`] after it whose hash nobody
/// knows yet.
pub fn moved(target: u64, slot: u64) -> u64 {
    let behind = slot.saturating_add(1).saturating_sub(target);
    target.saturating_add((behind / STRIDE).saturating_add(1).saturating_mul(STRIDE))
}

/// 256 bits, big-endian, modulo `n`, which is not zero.
fn modulo(number: &[u8; 32], n: u32) -> u32 {
    let n = u64::from(n);
    let rest = number.chunks_exact(4).fold(0_u64, |rest, four| {
        let word = four.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        (rest << 32 | word) % n
    });
    u32::try_from(rest).unwrap_or_default()
}

/// Who sits, in order of the seats: a Fisher–Yates shuffle of the indices of the list. Drawing number i = 0, 1, … swaps
/// index i with i + keccak-256(seed, i) mod (n − i) and seats the member there, unless it is one of `passed_over`. `data`
/// is the list's account, `members` how many it has.
///
/// # Errors
/// `TooFewMembers` when the list ends before the seats are taken, which no published list does.
pub fn draw(
    seed: &[u8; 32],
    data: &[u8],
    members: u32,
    passed_over: &[Pubkey],
    size: u8,
) -> Result<Vec<Pubkey>> {
    let size = usize::from(size);
    let mut seats = Vec::with_capacity(size);
    // Only what was swapped: an index that is not here holds itself.
    let mut swapped: Vec<(u32, u32)> = Vec::with_capacity(size.saturating_add(passed_over.len()));
    let held = |swapped: &[(u32, u32)], at: u32| {
        swapped.iter().find(|(index, _)| *index == at).map_or(at, |(_, holds)| *holds)
    };
    for drawn in 0..members {
        if seats.len() == size {
            break;
        }
        let random = keccak(&[seed, &word(drawn.into())]);
        let position = drawn + modulo(&random, members - drawn);
        let index = held(&swapped, position);
        let own = held(&swapped, drawn);
        match swapped.iter_mut().find(|(index, _)| *index == position) {
            Some(entry) => entry.1 = own,
            None => swapped.push((position, own)),
        }
        let member = List::member(data, index)?;
        if !passed_over.contains(&member) {
            seats.push(member);
        }
    }
    require!(seats.len() == size, Refusal::TooFewMembers);
    Ok(seats)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data of the slot hashes, for these slots, newest first; the hash of a slot is its number, repeated.
    fn slot_hashes(slots: &[u64]) -> Vec<u8> {
        let mut data = (slots.len() as u64).to_le_bytes().to_vec();
        for slot in slots {
            data.extend(slot.to_le_bytes());
            data.extend(hash(*slot));
        }
        data
    }

    fn hash(slot: u64) -> [u8; 32] {
        [slot.to_le_bytes(); 4].concat().try_into().unwrap()
    }

    #[test]
    fn a_target_is_the_first_produced_slot_at_or_after_it() {
        // 512 slots; every third one was produced, from 1,000 up to 2,533.
        let slots: Vec<u64> = (0..512).rev().map(|number| 1_000 + 3 * number).collect();
        let full = slot_hashes(&slots);
        for target in 900..2_600_u64 {
            let expected = match target {
                ..1_000 => Target::Forgotten,
                2_534.. => Target::Ahead,
                _ => Target::Hash(hash(1_000 + (target - 1_000).div_ceil(3) * 3)),
            };
            assert_eq!(look_up(&full, target).unwrap(), expected, "{target}");
        }
        // A cluster so young that it has forgotten nothing.
        let young = slot_hashes(&slots[..511]);
        assert_eq!(look_up(&young, 900).unwrap(), Target::Hash(hash(1_003)));
        assert_eq!(look_up(&slot_hashes(&[]), 900).unwrap(), Target::Ahead);
        assert!(look_up(&full[..7], 900).is_err());
    }

    #[test]
    fn a_missed_target_moves_to_the_next_multiple_that_nobody_knows() {
        for slot in 613..3_000 {
            let to = moved(100, slot);
            assert_eq!((to - 100) % STRIDE, 0);
            assert!(to > slot + 1 && to <= slot + 1 + STRIDE, "{slot}: {to}");
        }
    }
}

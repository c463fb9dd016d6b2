//! Drawing a jury: a seed that nobody chooses, and a shuffle that stops when the seats are taken.

use std::collections::HashMap;

use alloy::{
    primitives::{B256, U256, keccak256},
    sol_types::SolValue,
};

use super::refusal::Refusal;
use crate::chain::Address;

/// Bytes of a seed that are kept, so that a jury's record fits one word of storage; the rest are zero.
const SEED_BYTES: usize = 12;

/// The seed of a jury: the first 12 bytes of keccak256(abi.encode(hash of the target block, deal, instance, jury)).
pub fn seed(block_hash: B256, deal: B256, instance: u8, jury: u8) -> B256 {
    let mut seed = keccak256((block_hash, deal, U256::from(instance), U256::from(jury)).abi_encode());
    for byte in seed.iter_mut().skip(SEED_BYTES) {
        *byte = 0;
    }
    seed
}

/// Who sits on the jury, in order of the seats: a Fisher–Yates shuffle of the list's indices. Drawing number i = 0, 1, …
/// swaps index i with i + keccak256(abi.encode(seed, i)) mod (n − i) and seats the member there, unless it is in
/// `passed_over`: the deal's buyer and seller, and whoever sat on an earlier jury of the case.
///
/// # Errors
/// `TooFewMembers` when the list ends before the seats are taken, which no published list does.
pub fn draw(
    seed: B256,
    members: &[Address],
    passed_over: &[Address],
    jury_size: u8,
) -> Result<Vec<Address>, Refusal> {
    let mut seats = Vec::with_capacity(jury_size.into());
    // Only what was swapped: an index that is not here holds itself.
    let mut swapped: HashMap<usize, usize> = HashMap::new();
    for drawn in 0..members.len() {
        if seats.len() == usize::from(jury_size) {
            break;
        }
        let left = members.len().saturating_sub(drawn);
        let random = U256::from_be_bytes(keccak256((seed, U256::from(drawn)).abi_encode()).0);
        let offset: usize = random.checked_rem(U256::from(left)).unwrap_or_default().saturating_to();
        let position = drawn.saturating_add(offset);
        let index = swapped.get(&position).copied().unwrap_or(position);
        let own = swapped.get(&drawn).copied().unwrap_or(drawn);
        swapped.insert(position, own);
        match members.get(index) {
            Some(member) if !passed_over.contains(member) => seats.push(*member),
            _ => {}
        }
    }
    if seats.len() == usize::from(jury_size) {
        Ok(seats)
    } else {
        let eligible = u64::try_from(seats.len()).unwrap_or(u64::MAX);
        Err(Refusal::TooFewMembers { eligible, needed: jury_size.into() })
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
mod tests {
    use std::collections::HashSet;

    use alloy::primitives;
    use proptest::prelude::*;

    use super::*;

    fn list(count: usize) -> Vec<Address> {
        (1..=count)
            .map(|number| primitives::Address::left_padding_from(&number.to_be_bytes()).into())
            .collect()
    }

    /// The same written out: shuffle everything, then pass over.
    fn shuffled(seed: B256, members: &[Address], passed_over: &[Address]) -> Vec<Address> {
        let mut members = members.to_vec();
        for i in 0..members.len() {
            let word = keccak256([seed.as_slice(), &U256::from(i).to_be_bytes::<32>()].concat());
            let j = i + (U256::from_be_bytes(word.0) % U256::from(members.len() - i)).to::<usize>();
            members.swap(i, j);
        }
        members.retain(|member| !passed_over.contains(member));
        members
    }

    proptest! {
        #[test]
        fn a_draw_is_the_start_of_the_whole_shuffle(
            seed in any::<[u8; 32]>(), count in 1..200_usize, jury in 0..16_u8, parties in any::<[u8; 2]>(),
        ) {
            let (seed, members, jury_size) = (B256::from(seed), list(count), jury * 2 + 1);
            let parties = parties.map(|party| primitives::Address::left_padding_from(&[party]).into());
            let expected = shuffled(seed, &members, &parties);
            match draw(seed, &members, &parties, jury_size) {
                Ok(seats) => {
                    prop_assert_eq!(&seats[..], &expected[..usize::from(jury_size)]);
                    prop_assert_eq!(seats.iter().collect::<HashSet<_>>().len(), seats.len());
                }
                Err(refusal) => {
                    prop_assert!(expected.len() < usize::from(jury_size));
                    let eligible = expected.len() as u64;
                    prop_assert_eq!(refusal, Refusal::TooFewMembers { eligible, needed: jury_size.into() });
                }
            }
        }
    }

    /// With 20,000 draws of 3 out of 10 every member is seated about 6,000 times: five standard deviations are 324.
    #[test]
    fn every_member_has_the_same_chance() {
        let members = list(10);
        let mut seated = vec![0_i32; 10];
        for number in 0..20_000_u64 {
            let seed = seed(B256::from(U256::from(number)), B256::ZERO, 0, 0);
            for seat in draw(seed, &members, &[], 3).unwrap() {
                seated[members.iter().position(|member| *member == seat).unwrap()] += 1;
            }
        }
        assert!(seated.iter().all(|times| (times - 6_000).abs() < 324), "{seated:?}");
    }

    #[test]
    fn the_seed_binds_everything() {
        let (one, two) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let seeds = [seed(one, two, 0, 0), seed(two, one, 0, 0), seed(one, two, 1, 0), seed(one, two, 0, 1)];
        assert_eq!(seeds.iter().collect::<HashSet<_>>().len(), 4);
        assert!(seeds.iter().all(|seed| seed[12..] == [0; 20] && seed[..12] != [0; 12]));
    }
}

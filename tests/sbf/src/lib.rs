//! A program that does with two numbers whatever the tool in `programs/sbf` has to replace by code of its own, and the same
//! code for this machine, to compare with: `tests/arithmetic.rs`.
#![allow(
    unexpected_cfgs,
    reason = "the target, and what the macro of the entrypoint asks for, are Solana's own"
)]

use std::{cmp::Reverse, collections::BTreeMap, hint::black_box};

/// What stands for a result that there is none of.
const NONE: u128 = 0xdead_beef;
/// Sixteen bytes a result; a Solana program returns at most 1,024 bytes.
const MOST: usize = 64;

/// Every result, sixteen bytes each, little-endian.
pub fn results(a: u128, b: u128) -> Vec<u8> {
    let (a, b) = (black_box(a), black_box(b));
    let mut all = unsigned(a, b);
    all.extend(signed(a as i128, b as i128));
    all.extend(narrow(a as u64, b as u64, a as i64, b as i64));
    all.extend(floats(a as u64, b as u64, b as i64));
    all.extend(calls(a, b));
    all.extend(collections(a, b as u64));
    assert!(all.len() <= MOST);
    all.iter().flat_map(|result| result.to_le_bytes()).collect()
}

fn or_none<T: TryInto<u128>>(value: Option<T>) -> u128 {
    value.and_then(|value| value.try_into().ok()).unwrap_or(NONE)
}

fn signed_or_none<T: Into<i128>>(value: Option<T>) -> u128 {
    value.map_or(NONE, |value| value.into() as u128)
}

fn unsigned(a: u128, b: u128) -> Vec<u128> {
    let n = (b >> 3) as u32;
    let (low, high) = wide(a, b);
    vec![
        a.wrapping_mul(b),
        or_none(a.checked_mul(b)),
        a.saturating_mul(b),
        low,
        high,
        or_none(a.checked_div(b)),
        or_none(a.checked_rem(b)),
        or_none(a.checked_add(b)),
        or_none(a.checked_sub(b)),
        a.wrapping_shl(n),
        a.wrapping_shr(n),
        a.rotate_left(n),
        a.rotate_right(n),
        a.leading_zeros().into(),
        b.trailing_zeros().into(),
        a.count_ones().into(),
        a.swap_bytes(),
        a.reverse_bits(),
        power(a, b & 0xfff),
    ]
}

/// The 256 bits of a product, by halves.
fn wide(a: u128, b: u128) -> (u128, u128) {
    let mask = u128::from(u64::MAX);
    let (a0, a1, b0, b1) = (a & mask, a >> 64, b & mask, b >> 64);
    let low = a0 * b0;
    let (middle, carry) = (a1 * b0).overflowing_add(low >> 64);
    let (middle, carry2) = middle.overflowing_add(a0 * b1);
    let carries = (u128::from(carry) + u128::from(carry2)) << 64;
    ((middle << 64) | (low & mask), (a1 * b1).wrapping_add(middle >> 64).wrapping_add(carries))
}

/// `base` to the `exponent`, modulo a prime below 2^64.
fn power(base: u128, mut exponent: u128) -> u128 {
    let modulus = 0xffff_ffff_ffff_ffc5_u128;
    let (mut result, mut square) = (1, base % modulus);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * square % modulus;
        }
        square = square * square % modulus;
        exponent >>= 1;
    }
    result
}

fn signed(a: i128, b: i128) -> Vec<u128> {
    vec![
        signed_or_none(a.checked_mul(b)),
        signed_or_none(a.checked_div(b)),
        signed_or_none(a.checked_rem(b)),
        signed_or_none(a.checked_add(b)),
        signed_or_none(a.checked_sub(b)),
        a.wrapping_shr(b as u32) as u128,
    ]
}

fn narrow(x: u64, y: u64, ix: i64, iy: i64) -> Vec<u128> {
    let product = u128::from(x) * u128::from(y);
    vec![
        or_none(x.checked_mul(y)),
        signed_or_none(ix.checked_mul(iy)),
        product,
        product / 10_000,
        product % 10_000,
        (i128::from(ix) * i128::from(iy)) as u128,
        or_none(x.checked_div(y)),
        signed_or_none(ix.checked_div(iy)),
        signed_or_none(ix.checked_rem(iy)),
        signed_or_none((ix as i32).checked_div(iy as i32)),
        signed_or_none((ix as i16).checked_rem(iy as i16)),
        signed_or_none((ix as i32).checked_mul(iy as i32)),
        or_none((x as u32).checked_mul(y as u32)),
        or_none(x.checked_pow(y as u32 & 7)),
        x.rotate_left(y as u32).into(),
        x.isqrt().into(),
        x.abs_diff(y).into(),
    ]
}

/// What the rent of an account is computed with, and its like.
fn floats(x: u64, y: u64, iy: i64) -> Vec<u128> {
    let quotient = x as f64 / y as f64;
    vec![
        ((x as f64 * 2.0) as u64).into(),
        // One bit pattern for what is not a number: machines differ in theirs.
        if quotient.is_nan() { NONE } else { quotient.to_bits().into() },
        ((iy as f64 * 0.5 + 1.25) as i64) as u128,
        u128::from((x as f64) < y as f64)
            | u128::from(x as f64 >= iy as f64) << 1
            | u128::from(x as f64 == y as f64) << 2,
    ]
}

/// More arguments than the machine has registers for, by name and through a pointer.
fn calls(a: u128, b: u128) -> Vec<u128> {
    type Many = fn(u64, u128, u32, u64, i128, u8, &u64, bool) -> u128;
    let (x, y, n) = (a as u64, b as u64, (b >> 3) as u32);
    let either: [Many; 2] = black_box([many, many_more]);
    vec![
        many(x, b, n, y, a as i128, n as u8, &x, x > y),
        many_more(x, a, n, y, b as i128, n as u8, &y, x < y),
        either[usize::from(n & 1 == 1)](y, a, n, x, b as i128, 7, &x, false),
    ]
}

#[inline(never)]
#[allow(clippy::too_many_arguments, reason = "that is what is tested")]
fn many(a: u64, b: u128, c: u32, d: u64, e: i128, f: u8, g: &u64, h: bool) -> u128 {
    u128::from(a).wrapping_mul(b)
        ^ u128::from(c) << 3
        ^ u128::from(d)
        ^ (e as u128).wrapping_add(f.into())
        ^ u128::from(*g) << 64
        ^ u128::from(h)
}

#[inline(never)]
#[allow(clippy::too_many_arguments, reason = "that is what is tested")]
fn many_more(a: u64, b: u128, c: u32, d: u64, e: i128, f: u8, g: &u64, h: bool) -> u128 {
    many(d, b.rotate_left(c & 127), c, a, -(e >> 1), f ^ 1, g, !h)
}

/// Sorting, maps, text, and memory that is copied, moved, filled and compared.
fn collections(a: u128, y: u64) -> Vec<u128> {
    let fold = |list: &[u64]| {
        list.iter().fold(7_u128, |sum, each| sum.wrapping_mul(33).wrapping_add((*each).into()))
    };
    let mut list: Vec<u64> = (0..40).map(|i| a.rotate_left(i * 3) as u64 ^ y).collect();
    list.sort();
    let sorted = fold(&list);
    list.sort_unstable_by_key(|each| Reverse(each.rotate_left(17)));
    let reversed = fold(&list);
    let map: BTreeMap<u64, u64> = list.iter().copied().zip(0..).collect();
    let mapped = map
        .iter()
        .fold(0_u128, |sum, (key, at)| sum.wrapping_mul(5) ^ u128::from(*key).wrapping_add((*at).into()));
    let text = format!("{a} {} {y:#x} {:?}", a as i128, &list[..2]);
    let read = text.bytes().fold(0_u128, |sum, byte| sum.wrapping_mul(257).wrapping_add(byte.into()));
    let parsed = or_none(text.split(' ').next().and_then(|number| number.parse::<u128>().ok()));
    let from = (y % 20) as usize;
    list.copy_within(from..from + 15, (a % 25) as usize);
    let copy = list.clone();
    list[from..].fill(y);
    let compared = u128::from(list == copy) | (list.cmp(&copy) as i8 as u8 as u128) << 8;
    vec![sorted, reversed, mapped, read, parsed, fold(&list), compared]
}

#[cfg(target_os = "solana")]
mod program {
    use anchor_lang::solana_program::{
        account_info::AccountInfo, entrypoint, program::set_return_data, program_error::ProgramError,
        pubkey::Pubkey,
    };

    entrypoint!(run);

    /// Takes `a` and `b`, sixteen bytes each, little-endian, and returns the results.
    fn run(_program: &Pubkey, _accounts: &[AccountInfo], data: &[u8]) -> Result<(), ProgramError> {
        let number = |from: usize| {
            let bytes = data.get(from..from + 16).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u128::from_le_bytes).ok_or(ProgramError::InvalidInstructionData)
        };
        set_return_data(&super::results(number(0)?, number(16)?));
        Ok(())
    }
}

//! Who acts, by what keys, and what they sign.

use std::{collections::BTreeMap, sync::LazyLock};

use protocol::{
    chain::Address,
    solana::{
        Line, Pubkey,
        call::{Brought, Word},
    },
};
use solana_sdk::signature::Keypair;
use svm::{key, keypair};

use crate::words::Who;

/// The first of the members among the keys; those before it are named.
const MEMBERS: usize = 8;
const KEYS: usize = MEMBERS + 160;

pub(super) static KEYRING: LazyLock<Vec<Keypair>> = LazyLock::new(|| {
    let mut keys: Vec<_> = (0..u64::try_from(KEYS).unwrap()).map(keypair).collect();
    keys[MEMBERS..].sort_unstable_by_key(|pair| key(pair).to_bytes());
    keys
});
static BY_KEY: LazyLock<BTreeMap<[u8; 32], &'static Keypair>> =
    LazyLock::new(|| KEYRING.iter().map(|pair| (key(pair).to_bytes(), pair)).collect());

fn place(who: Who) -> usize {
    match who {
        Who::Buyer => 0,
        Who::Seller => 1,
        Who::Arbiter => 2,
        Who::Stranger => 3,
        Who::DeafSeller => 4,
        Who::DeafBuyer => 5,
        Who::Forger => 6,
        Who::Member(number) => MEMBERS + usize::from(number),
        other => panic!("{other} has no key"),
    }
}

pub(super) fn named(who: Who) -> Pubkey {
    key(&KEYRING[place(who)])
}

pub(super) fn pubkey(address: Address) -> Pubkey {
    Pubkey::new_from_array(address.solana().unwrap())
}

/// The account's own pair where it signs, else the forger's. Whoever has no key here cannot sign: that is a forgery.
pub(super) fn signer(account: Pubkey, sound: bool) -> &'static Keypair {
    let own = BY_KEY.get(&account.to_bytes()).copied().filter(|_| sound);
    own.unwrap_or(&KEYRING[place(Who::Forger)])
}

/// Who signs an entry of the Ed25519 instruction, and what, where that is not what the instruction asks for.
pub(super) struct Hand {
    pub(super) pair: &'static Keypair,
    pub(super) line: Line,
}

impl Hand {
    pub(super) fn brought(&self) -> Brought {
        use solana_sdk::signature::Signer;
        let message = self.line.bytes();
        let signature = self.pair.sign_message(&message).into();
        Brought { key: key(self.pair), message, signature }
    }
}

/// In place of each signature, which [`Hand`] makes afterwards.
pub(super) const BLANK: Word = Word::Signature([0; 64]);

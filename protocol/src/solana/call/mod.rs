//! Instructions of the program.
//!
//! Where somebody's signature comes along, an Ed25519 instruction stands before the program's own; whoever puts the
//! transaction together says at which index it will be.

mod case;
mod deal;
mod pool;

use anchor_lang::{InstructionData, ToAccountMetas, prelude::Pubkey};
use earnest_program::ed25519::{Place, Signed};

pub use case::{Ballot, Case, Hearing, InEffect, Voting};
pub use deal::{Deal, Funding, NoInstruction, Settlement, Token, approve, revoke};
pub use pool::{LARGEST_CHUNK, add_members, create_list, create_pool, discard_list, publish_list};

use super::{Instruction, Line, address, program};

/// What an account says that does not sign the transaction itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Its Ed25519 signature of the line.
    Signature([u8; 64]),
    /// It approved the digest on chain.
    Approval,
}

/// An action in the name of an account that does not sign the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// Whose name.
    pub signer: Pubkey,
    /// Unix seconds; part of every signed action but release and refund, where it is not read.
    pub valid_until: u64,
    /// How it agrees.
    pub word: Word,
}

/// A signature that a transaction brings along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// Whose key.
    pub key: Pubkey,
    /// What it signed.
    pub message: Vec<u8>,
    /// The signature, 64 bytes.
    pub signature: [u8; 64],
}

/// An Ed25519 instruction that checks signatures and carries all of their parts itself, as the program wants it. A
/// transaction has room for five at most.
pub fn ed25519(brought: &[Brought]) -> Instruction {
    const HEAD: usize = 2;
    const ENTRY: usize = 14;
    let number = |value: usize| u16::try_from(value).unwrap_or(u16::MAX).to_le_bytes();
    let mut data = vec![u8::try_from(brought.len()).unwrap_or(u8::MAX), 0];
    let mut at = HEAD.saturating_add(ENTRY.saturating_mul(brought.len()));
    for one in brought {
        let (signature, key) = (at, at.saturating_add(64));
        let message = key.saturating_add(32);
        for value in [signature, 0xffff, key, 0xffff, message, one.message.len(), 0xffff] {
            data.extend(number(value));
        }
        at = message.saturating_add(one.message.len());
    }
    for one in brought {
        data.extend(one.signature);
        data.extend(one.key.as_ref());
        data.extend(&one.message);
    }
    Instruction { program_id: solana_sdk_ids::ed25519_program::ID, accounts: Vec::new(), data }
}

/// Signatures gathered for one Ed25519 instruction, which will stand at `index` of the transaction.
struct Gathered {
    index: u8,
    brought: Vec<Brought>,
}

impl Gathered {
    const fn new(index: u8) -> Self {
        Self { index, brought: Vec::new() }
    }

    /// Takes a word along; none where it needs no place.
    fn take(&mut self, key: Pubkey, line: &Line, word: &Word) -> Option<Place> {
        let Word::Signature(signature) = word else { return None };
        let entry = u8::try_from(self.brought.len()).unwrap_or(u8::MAX);
        self.brought.push(Brought { key, message: line.bytes(), signature: *signature });
        Some(Place { instruction: self.index, entry })
    }

    fn signed(&mut self, line: &Line, bearer: &Bearer) -> Signed {
        let place = self.take(bearer.signer, line, &bearer.word);
        Signed { signer: bearer.signer, valid_until: bearer.valid_until, place }
    }

    fn instructions_sysvar(&self) -> Option<Pubkey> {
        (!self.brought.is_empty()).then(earnest_program::ed25519::sysvar_id)
    }

    /// The Ed25519 instruction, where there is one, then the program's own.
    fn with(self, own: Instruction) -> Vec<Instruction> {
        let checks = (!self.brought.is_empty()).then(|| ed25519(&self.brought));
        checks.into_iter().chain([own]).collect()
    }
}

fn instruction(accounts: impl ToAccountMetas, data: impl InstructionData) -> Instruction {
    Instruction { program_id: program(), accounts: accounts.to_account_metas(None), data: data.data() }
}

fn authority(
    caller: Pubkey,
    line: &Line,
    bearer: Option<&Bearer>,
    gathered: &Gathered,
) -> earnest_program::accounts::Authority {
    earnest_program::accounts::Authority {
        caller,
        consent: bearer.map(|bearer| address::consent(&bearer.signer, line.digest)),
        instructions: gathered.instructions_sysvar(),
    }
}

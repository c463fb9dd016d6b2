//! What the program tells, by `emit_cpi!`: the events of `docs/protocol.md`, section 5, field by field.
//!
//! `count` is the number of the deal's events so far, this one included, modulo 256. Amounts in the asset's smallest unit,
//! shares in basis points, times in Unix seconds. A word of ballots is laid out as on every chain, big-endian.

use anchor_lang::prelude::*;

use crate::{state::RuleBook, terms::Terms};

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Funded {
    pub deal: [u8; 32],
    pub terms: Terms,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retracted {
    pub deal: [u8; 32],
    pub by: Pubkey,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub deal: [u8; 32],
    pub delivery: [u8; 32],
    pub count: u8,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    pub deal: [u8; 32],
    pub released: u64,
    pub count: u8,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refunded {
    pub deal: [u8; 32],
    pub refunded: u64,
    pub count: u8,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disputed {
    pub deal: [u8; 32],
    pub by: Pubkey,
    pub evidence: [u8; 32],
    pub count: u8,
}

/// Named so that it does not meet the instruction of the same name.
#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceAdded {
    pub deal: [u8; 32],
    pub by: Pubkey,
    pub evidence: [u8; 32],
    pub uri: String,
    pub count: u8,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reclaimed {
    pub deal: [u8; 32],
    pub refunded: u64,
    pub count: u8,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    pub deal: [u8; 32],
    pub released: u64,
    pub count: u8,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    pub deal: [u8; 32],
    pub released: u64,
    pub refunded: u64,
    pub count: u8,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruled {
    pub deal: [u8; 32],
    pub share: u16,
    pub released: u64,
    pub refunded: u64,
    pub count: u8,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lapsed {
    pub deal: [u8; 32],
    pub released: u64,
    pub refunded: u64,
    pub count: u8,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credited {
    pub deal: [u8; 32],
    pub creditor: Pubkey,
    pub mint: Pubkey,
    pub amount: u64,
}

/// Unlike on the EVM credit is kept deal by deal, so the event names the deal too.
#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    pub deal: [u8; 32],
    pub creditor: Pubkey,
    pub mint: Pubkey,
    pub amount: u64,
    pub to: Pubkey,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    pub signer: Pubkey,
    pub digest: [u8; 32],
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    pub signer: Pubkey,
    pub digest: [u8; 32],
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolCreated {
    pub pool: [u8; 32],
    pub book: RuleBook,
}

/// Named so that it does not meet the refusal of the same name. `list` is the account with the members.
#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListMade {
    pub pool: [u8; 32],
    pub index: u32,
    pub size: u32,
    pub effective_at: u64,
    pub list: Pubkey,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseOpened {
    pub deal: [u8; 32],
    pub instance: u8,
    pub jury: u8,
    pub target_slot: u64,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetMoved {
    pub deal: [u8; 32],
    pub target_slot: u64,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JuryDrawn {
    pub deal: [u8; 32],
    pub pool: [u8; 32],
    pub instance: u8,
    pub jury: u8,
    pub list: u32,
    pub ends_at: u64,
    pub seed: [u8; 32],
    pub seats: Vec<Pubkey>,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BallotCast {
    pub deal: [u8; 32],
    pub instance: u8,
    pub jury: u8,
    pub seat: u8,
    pub share: u16,
    pub reason: [u8; 32],
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BallotsCounted {
    pub deal: [u8; 32],
    pub instance: u8,
    pub jury: u8,
    pub ballots: [u8; 32],
    pub lo: u16,
    pub hi: u16,
}

/// `executable_at` is zero where the ruling was executed in the same call.
#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulingAccepted {
    pub deal: [u8; 32],
    pub instance: u8,
    pub jury: u8,
    pub ballots: [u8; 32],
    pub share: u16,
    pub executable_at: u64,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appealed {
    pub deal: [u8; 32],
    pub by: Pubkey,
}

#[event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulingExecuted {
    pub deal: [u8; 32],
    pub share: u16,
}

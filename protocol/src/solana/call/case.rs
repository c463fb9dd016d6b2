//! The instructions of a case.

use alloy::primitives::B256;
use anchor_lang::{prelude::Pubkey, system_program};
use earnest_program::{accounts, instruction as data};

use super::{Bearer, Brought, Deal, Gathered, Instruction, authority, ed25519, instruction};
use crate::solana::{AccountMeta, Line, address, event_authority, program};

/// The slot hashes, from which a draw takes its seed.
const SLOT_HASHES: Pubkey = solana_sdk_ids::sysvar::slot_hashes::ID;

/// The case of a deal.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a>(pub &'a Deal);

/// What shows which list of a pool was in effect when the deal was funded: that list and the one after it, where there is
/// one; only the pool's first list where none was in effect yet; neither where the pool has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InEffect {
    /// The list's index.
    pub list: Option<u32>,
    /// The index of the one after it.
    pub next: Option<u32>,
}

impl InEffect {
    /// What to show of a pool whose lists take effect at these times, for a deal funded at `funded_at`.
    pub fn of(effective_at: &[u64], funded_at: u64) -> Self {
        let index = |index: usize| u32::try_from(index).ok();
        match effective_at.iter().rposition(|time| *time <= funded_at) {
            Some(found) => {
                let next = found.saturating_add(1);
                Self { list: index(found), next: index(next).filter(|_| next < effective_at.len()) }
            }
            None => Self { list: index(0).filter(|_| !effective_at.is_empty()), next: None },
        }
    }

    fn accounts(self, pool: B256) -> accounts::InEffect {
        let list = |index: Option<u32>| index.map(|index| address::list(pool, index));
        accounts::InEffect { list: list(self.list), next: list(self.next) }
    }
}

/// Who may hear a case whose first jury is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hearing {
    /// What shows the list of the pool of the terms.
    pub own: InEffect,
    /// The pool's parent, where it has one, with what shows its list.
    pub parent: Option<(B256, InEffect)>,
}

/// A ballot to be handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// Index of the seat.
    pub seat: u8,
    /// The seller's, in basis points.
    pub share: u16,
    /// SHA-256 of the written reason, or zero.
    pub reason: B256,
    /// Whose signature it carries.
    pub key: Pubkey,
    /// 64 bytes.
    pub signature: [u8; 64],
}

/// A jury in which somebody votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voting {
    /// How many juries the case had before it.
    pub ordinal: u8,
    /// The same of the case's last jury.
    pub last: u8,
}

impl Case<'_> {
    fn jury(&self, ordinal: u8) -> Pubkey {
        address::jury(self.0.id, ordinal)
    }

    /// Opens the case.
    pub fn open(&self, payer: Pubkey) -> Instruction {
        let accounts = accounts::Open {
            payer,
            deal: self.0.address,
            jury: self.jury(0),
            system_program: system_program::ID,
            event_authority: event_authority(),
            program: program(),
        };
        instruction(accounts, data::Open {})
    }

    /// Seats the first jury.
    pub fn draw(&self, hearing: &Hearing) -> Instruction {
        let own = B256::new(self.0.terms.panel);
        let parent = hearing.parent.map(|(parent, _)| parent);
        let accounts = accounts::Draw {
            deal: self.0.address,
            jury: self.jury(0),
            slot_hashes: SLOT_HASHES,
            pool: Some(address::pool(own)),
            of_pool: hearing.own.accounts(own),
            parent: parent.map(address::pool),
            of_parent: hearing
                .parent
                .map_or(accounts::InEffect { list: None, next: None }, |(parent, list)| {
                    list.accounts(parent)
                }),
            event_authority: event_authority(),
            program: program(),
        };
        instruction(accounts, data::Draw {})
    }

    /// Seats a later jury, whose list its account names: list `index` of `pool`.
    pub fn draw_later(&self, ordinal: u8, pool: B256, index: u32) -> Instruction {
        let accounts = accounts::Draw {
            deal: self.0.address,
            jury: self.jury(ordinal),
            slot_hashes: SLOT_HASHES,
            pool: None,
            of_pool: accounts::InEffect { list: Some(address::list(pool, index)), next: None },
            parent: None,
            of_parent: accounts::InEffect { list: None, next: None },
            event_authority: event_authority(),
            program: program(),
        };
        let mut own = instruction(accounts, data::Draw {});
        own.accounts.extend((0..ordinal).map(|earlier| AccountMeta::new_readonly(self.jury(earlier), false)));
        own
    }

    /// Opens the second jury of the instance whose first one is the case's last.
    pub fn open_second_jury(&self, payer: Pubkey, last: u8) -> Instruction {
        let accounts = accounts::OpenSecondJury {
            payer,
            deal: self.0.address,
            last: self.jury(last),
            jury: self.jury(last.saturating_add(1)),
            system_program: system_program::ID,
            event_authority: event_authority(),
            program: program(),
        };
        instruction(accounts, data::OpenSecondJury {})
    }

    /// The juror votes itself.
    pub fn cast(&self, voting: Voting, juror: Pubkey, seat: u8, share: u16, reason: B256) -> Instruction {
        let accounts = accounts::Cast {
            deal: self.0.address,
            jury: self.jury(voting.ordinal),
            last: (voting.last != voting.ordinal).then(|| self.jury(voting.last)),
            juror,
            payouts: self.0.payouts(),
            event_authority: event_authority(),
            program: program(),
        };
        let args = earnest_program::CastArgs { seat, share, reason: reason.0 };
        instruction(accounts, data::Cast { args })
    }

    /// Hands in signed ballots of the jury with the id `case`; the Ed25519 instruction will be at `at` of the transaction.
    pub fn submit(&self, voting: Voting, case: B256, ballots: &[Ballot], at: u8) -> Vec<Instruction> {
        let accounts = accounts::Submit {
            deal: self.0.address,
            jury: self.jury(voting.ordinal),
            last: (voting.last != voting.ordinal).then(|| self.jury(voting.last)),
            instructions: earnest_program::ed25519::sysvar_id(),
            payouts: self.0.payouts(),
            event_authority: event_authority(),
            program: program(),
        };
        let brought: Vec<Brought> = ballots
            .iter()
            .map(|ballot| Brought {
                key: ballot.key,
                message: Line::ballot(case, ballot.share, ballot.reason).bytes(),
                signature: ballot.signature,
            })
            .collect();
        let handed = (0_u8..).zip(ballots).map(|(entry, ballot)| earnest_program::SignedBallot {
            seat: ballot.seat,
            share: ballot.share,
            reason: ballot.reason.0,
            entry,
        });
        let args = earnest_program::SubmitArgs { instruction: at, ballots: handed.collect() };
        vec![ed25519(&brought), instruction(accounts, data::Submit { args })]
    }

    /// Speaks the last word of an instance; `first` is its first jury, `last` the case's last.
    pub fn conclude(&self, first: u8, last: u8) -> Instruction {
        let accounts = accounts::Conclude {
            deal: self.0.address,
            last: self.jury(last),
            first: (first != last).then(|| self.jury(first)),
            payouts: self.0.payouts(),
            event_authority: event_authority(),
            program: program(),
        };
        instruction(accounts, data::Conclude {})
    }

    /// A party brings the ruling of jury `last` before the parent pool.
    pub fn appeal(
        &self,
        payer: Pubkey,
        caller: Pubkey,
        last: u8,
        parent: (B256, InEffect),
        bearer: Option<&Bearer>,
        at: u8,
    ) -> Vec<Instruction> {
        let mut gathered = Gathered::new(at);
        let line = Line::appeal(self.0.id, bearer.map_or(0, |bearer| bearer.valid_until));
        let signed = bearer.map(|bearer| gathered.signed(&line, bearer));
        let (id, list) = parent;
        let accounts = accounts::Appeal {
            payer,
            deal: self.0.address,
            last: self.jury(last),
            jury: self.jury(last.saturating_add(1)),
            authority: authority(caller, &line, bearer, &gathered),
            pool: address::pool(B256::new(self.0.terms.panel)),
            parent: address::pool(id),
            of_parent: list.accounts(id),
            system_program: system_program::ID,
            event_authority: event_authority(),
            program: program(),
        };
        let args = earnest_program::AppealArgs { signed };
        gathered.with(instruction(accounts, data::Appeal { args }))
    }

    /// Executes the ruling that stands in jury `last`.
    pub fn execute(&self, last: u8) -> Instruction {
        let accounts = accounts::Execute {
            deal: self.0.address,
            last: self.jury(last),
            payouts: self.0.payouts(),
            event_authority: event_authority(),
            program: program(),
        };
        instruction(accounts, data::Execute {})
    }
}

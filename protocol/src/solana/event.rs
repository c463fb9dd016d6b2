//! From an inner instruction to an [`EventBody`].

use alloy::primitives::B256;
use anchor_lang::{AnchorDeserialize, Discriminator, event::EVENT_IX_TAG_LE, prelude::Pubkey};
use earnest_program::events as told;

use super::{from_key, program};
use crate::{
    chain::{AccountId, AssetId, ChainId},
    terms::Terms,
    wire::feed::{EventBody, RuleBook},
};

/// Why an inner instruction is not an event of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// No event of the program begins so.
    #[error("no event begins with {0}")]
    Unknown(String),
    /// The rest does not read as that event.
    #[error("the event {name} does not decode: {reason}")]
    Undecodable {
        /// Which event it says it is.
        name: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

/// Whether the data of an inner instruction, which our program made of itself, is an event.
pub fn is_event(data: &[u8]) -> bool {
    data.starts_with(EVENT_IX_TAG_LE)
}

fn read<T: AnchorDeserialize>(name: &'static str, mut bytes: &[u8]) -> Result<T, EventError> {
    let undecodable = |reason: String| EventError::Undecodable { name, reason };
    let event = T::deserialize(&mut bytes).map_err(|error| undecodable(error.to_string()))?;
    if bytes.is_empty() {
        Ok(event)
    } else {
        Err(undecodable(format!("{} bytes are left over", bytes.len())))
    }
}

/// Decodes the data of an inner instruction for which [`is_event`] holds.
///
/// # Errors
/// It is no event of this version of the program.
pub fn decode_event(chain: ChainId, data: &[u8]) -> Result<EventBody, EventError> {
    let bytes = data.strip_prefix(EVENT_IX_TAG_LE).unwrap_or(data);
    macro_rules! events {
        ($($name:ident => |$event:ident| $body:expr),* $(,)?) => {
            $(if let Some(rest) = bytes.strip_prefix(told::$name::DISCRIMINATOR) {
                let $event: told::$name = read(stringify!($name), rest)?;
                return Ok($body);
            })*
        };
    }
    let account = |key: &Pubkey| AccountId { chain, address: from_key(key) };
    let escrow = from_key(&program());
    let word = B256::new;
    events! {
        Funded => |e| EventBody::Funded { deal: word(e.deal), terms: terms(account, chain, &e.terms) },
        Retracted => |e| EventBody::Retracted { deal: word(e.deal), by: from_key(&e.by) },
        Delivered => |e| EventBody::Delivered { deal: word(e.deal), delivery: word(e.delivery), count: e.count },
        Released => |e| EventBody::Released { deal: word(e.deal), released: e.released.into(), count: e.count },
        Refunded => |e| EventBody::Refunded { deal: word(e.deal), refunded: e.refunded.into(), count: e.count },
        Disputed => |e| EventBody::Disputed {
            deal: word(e.deal), by: from_key(&e.by), evidence: word(e.evidence), count: e.count,
        },
        EvidenceAdded => |e| EventBody::Evidence {
            deal: word(e.deal), by: from_key(&e.by), evidence: word(e.evidence), uri: e.uri, count: e.count,
        },
        Reclaimed => |e| EventBody::Reclaimed { deal: word(e.deal), refunded: e.refunded.into(), count: e.count },
        Claimed => |e| EventBody::Claimed { deal: word(e.deal), released: e.released.into(), count: e.count },
        Settled => |e| EventBody::Settled {
            deal: word(e.deal), released: e.released.into(), refunded: e.refunded.into(), count: e.count,
        },
        Ruled => |e| EventBody::Ruled {
            deal: word(e.deal), share: e.share, released: e.released.into(), refunded: e.refunded.into(), count: e.count,
        },
        Lapsed => |e| EventBody::Lapsed {
            deal: word(e.deal), released: e.released.into(), refunded: e.refunded.into(), count: e.count,
        },
        Credited => |e| EventBody::Credited {
            deal: word(e.deal), creditor: from_key(&e.creditor), asset: from_key(&e.mint), amount: e.amount.into(),
        },
        Withdrawn => |e| EventBody::Withdrawn {
            creditor: from_key(&e.creditor), asset: from_key(&e.mint), amount: e.amount.into(), to: from_key(&e.to),
        },
        Revoked => |e| EventBody::Revoked { signer: from_key(&e.signer), digest: word(e.digest) },
        Approved => |e| EventBody::Approved { signer: from_key(&e.signer), digest: word(e.digest) },
        PoolCreated => |e| EventBody::PoolCreated { pool: word(e.pool), book: rule_book(&e.book) },
        ListMade => |e| EventBody::ListPublished {
            pool: word(e.pool), list: e.index, size: e.size, effective_at: e.effective_at, pages: vec![from_key(&e.list)],
        },
        CaseOpened => |e| EventBody::CaseOpened {
            deal: word(e.deal), escrow, instance: e.instance, jury: e.jury, target_block: e.target_slot,
        },
        TargetMoved => |e| EventBody::TargetMoved { deal: word(e.deal), escrow, target_block: e.target_slot },
        JuryDrawn => |e| EventBody::JuryDrawn {
            deal: word(e.deal), escrow, pool: word(e.pool), instance: e.instance, jury: e.jury, list: e.list,
            ends_at: e.ends_at, seed: word(e.seed), seats: e.seats.iter().map(from_key).collect(),
        },
        BallotCast => |e| EventBody::BallotCast {
            deal: word(e.deal), escrow, instance: e.instance, jury: e.jury, seat: e.seat, share: e.share,
            reason: word(e.reason),
        },
        BallotsCounted => |e| EventBody::BallotsCounted {
            deal: word(e.deal), escrow, instance: e.instance, jury: e.jury, ballots: word(e.ballots), lo: e.lo, hi: e.hi,
        },
        RulingAccepted => |e| EventBody::RulingAccepted {
            deal: word(e.deal), escrow, instance: e.instance, jury: e.jury, ballots: word(e.ballots), share: e.share,
            executable_at: e.executable_at,
        },
        Appealed => |e| EventBody::Appealed { deal: word(e.deal), escrow, by: from_key(&e.by) },
        RulingExecuted => |e| EventBody::RulingExecuted { deal: word(e.deal), escrow, share: e.share },
    }
    Err(EventError::Unknown(hex::encode(bytes.get(..8).unwrap_or(bytes))))
}

/// Whose word an event is, of the two addresses that terms name for the one program: the arbiter's what pools and cases
/// tell, the escrow's everything else.
pub fn contract_of(event: &EventBody) -> Pubkey {
    match event {
        EventBody::PoolCreated { .. }
        | EventBody::ListPublished { .. }
        | EventBody::CaseOpened { .. }
        | EventBody::TargetMoved { .. }
        | EventBody::JuryDrawn { .. }
        | EventBody::BallotCast { .. }
        | EventBody::BallotsCounted { .. }
        | EventBody::RulingAccepted { .. }
        | EventBody::Appealed { .. }
        | EventBody::RulingExecuted { .. } => super::arbiter(),
        EventBody::Funded { .. }
        | EventBody::Delivered { .. }
        | EventBody::Released { .. }
        | EventBody::Refunded { .. }
        | EventBody::Disputed { .. }
        | EventBody::Evidence { .. }
        | EventBody::Reclaimed { .. }
        | EventBody::Claimed { .. }
        | EventBody::Settled { .. }
        | EventBody::Ruled { .. }
        | EventBody::Lapsed { .. }
        | EventBody::Credited { .. }
        | EventBody::Withdrawn { .. }
        | EventBody::Revoked { .. }
        | EventBody::Approved { .. }
        | EventBody::Retracted { .. } => program(),
    }
}

fn terms(account: impl Fn(&Pubkey) -> AccountId, chain: ChainId, terms: &earnest_program::Terms) -> Terms {
    Terms {
        escrow: account(&program()),
        buyer: account(&terms.buyer),
        seller: account(&terms.seller),
        arbiter: account(&terms.arbiter),
        asset: AssetId { chain, token: (!terms.is_coin()).then(|| from_key(&terms.mint)) },
        amount: terms.amount.into(),
        fund_by: terms.fund_by,
        deliver_by: terms.deliver_by,
        inspection: terms.inspection,
        ruling: terms.ruling,
        lapse_share: terms.lapse_share,
        metered: terms.metered,
        panel: B256::new(terms.panel),
        agreement: B256::new(terms.agreement),
        salt: B256::new(terms.salt),
    }
}

/// A rule book in our words.
pub(super) fn rule_book(book: &earnest_program::state::RuleBook) -> RuleBook {
    RuleBook {
        keeper: from_key(&book.keeper),
        parent: B256::new(book.parent),
        jury_size: book.jury_size,
        delay: book.delay,
        opening: book.opening,
        voting: book.voting,
        appeal: book.appeal,
        salt: B256::new(book.salt),
    }
}

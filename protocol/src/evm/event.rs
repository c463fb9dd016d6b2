//! From a contract's log to an [`EventBody`].

use alloy::{
    primitives::{Address, B256, Log},
    sol_types::SolEventInterface,
};

use super::{escrow::Escrow::EscrowEvents, pools::ArbitrationPools::ArbitrationPoolsEvents};
use crate::{
    chain::{AccountId, AssetId},
    terms::Terms,
    wire::feed::{EventBody, RuleBook},
};

/// Why a log is not an event of ours.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The topics or the data do not decode as any event of the contracts.
    #[error("log with first topic {topic:?} does not decode: {reason}")]
    Undecodable {
        /// The first topic.
        topic: Option<B256>,
        /// What the decoder said.
        reason: String,
    },
    /// A credit or withdrawal larger than any deal, which no honest token causes.
    #[error("{field} does not fit 128 bits")]
    TooLarge {
        /// The event's field.
        field: &'static str,
    },
}

/// Decodes a log that `contract`, an `Escrow` or an `ArbitrationPools`, emitted.
///
/// # Errors
/// The log is not one of theirs, or carries a number beyond 128 bits.
pub fn decode_event(contract: AccountId, log: &Log) -> Result<EventBody, EventError> {
    match EscrowEvents::decode_log(log) {
        Ok(event) => escrow_event(contract, event.data),
        Err(_) => match ArbitrationPoolsEvents::decode_log(log) {
            Ok(event) => Ok(pools_event(event.data)),
            Err(error) => Err(EventError::Undecodable {
                topic: log.topics().first().copied(),
                reason: error.to_string(),
            }),
        },
    }
}

fn escrow_event(contract: AccountId, event: EscrowEvents) -> Result<EventBody, EventError> {
    let chain = contract.chain;
    let account = |address: Address| AccountId { chain, address: address.into() };
    Ok(match event {
        EscrowEvents::Funded(e) => EventBody::Funded {
            deal: e.deal,
            terms: Terms {
                escrow: contract,
                buyer: account(e.terms.buyer),
                seller: account(e.terms.seller),
                arbiter: account(e.terms.arbiter),
                asset: AssetId {
                    chain,
                    token: Some(e.terms.asset.into())
                        .filter(|asset: &crate::chain::Address| !asset.is_zero()),
                },
                amount: e.terms.amount.to(),
                fund_by: e.terms.fundBy.to(),
                deliver_by: e.terms.deliverBy.to(),
                inspection: e.terms.inspection,
                ruling: e.terms.ruling,
                lapse_share: e.terms.lapseShare,
                metered: e.terms.metered,
                panel: e.terms.annex.panel,
                agreement: e.terms.annex.agreement,
                salt: e.terms.annex.salt,
            },
        },
        EscrowEvents::Delivered(e) => {
            EventBody::Delivered { deal: e.deal, delivery: e.delivery, count: e.count }
        }
        EscrowEvents::Released(e) => {
            EventBody::Released { deal: e.deal, released: e.released.to(), count: e.count }
        }
        EscrowEvents::Refunded(e) => {
            EventBody::Refunded { deal: e.deal, refunded: e.refunded.to(), count: e.count }
        }
        EscrowEvents::Disputed(e) => {
            EventBody::Disputed { deal: e.deal, by: e.by.into(), evidence: e.evidence, count: e.count }
        }
        EscrowEvents::Evidence(e) => EventBody::Evidence {
            deal: e.deal,
            by: e.by.into(),
            evidence: e.evidence,
            uri: e.uri,
            count: e.count,
        },
        EscrowEvents::Reclaimed(e) => {
            EventBody::Reclaimed { deal: e.deal, refunded: e.refunded.to(), count: e.count }
        }
        EscrowEvents::Claimed(e) => {
            EventBody::Claimed { deal: e.deal, released: e.released.to(), count: e.count }
        }
        EscrowEvents::Settled(e) => EventBody::Settled {
            deal: e.deal,
            released: e.released.to(),
            refunded: e.refunded.to(),
            count: e.count,
        },
        EscrowEvents::Ruled(e) => EventBody::Ruled {
            deal: e.deal,
            share: e.share,
            released: e.released.to(),
            refunded: e.refunded.to(),
            count: e.count,
        },
        EscrowEvents::Lapsed(e) => EventBody::Lapsed {
            deal: e.deal,
            released: e.released.to(),
            refunded: e.refunded.to(),
            count: e.count,
        },
        EscrowEvents::Credited(e) => EventBody::Credited {
            deal: e.deal,
            creditor: e.creditor.into(),
            asset: e.asset.into(),
            amount: u128::try_from(e.amount)
                .map_err(|_| EventError::TooLarge { field: "Credited.amount" })?,
        },
        EscrowEvents::Withdrawn(e) => EventBody::Withdrawn {
            creditor: e.creditor.into(),
            asset: e.asset.into(),
            amount: u128::try_from(e.amount)
                .map_err(|_| EventError::TooLarge { field: "Withdrawn.amount" })?,
            to: e.to.into(),
        },
        EscrowEvents::Revoked(e) => EventBody::Revoked { signer: e.signer.into(), digest: e.digest },
        EscrowEvents::Retracted(e) => EventBody::Retracted { deal: e.deal, by: e.by.into() },
    })
}

fn pools_event(event: ArbitrationPoolsEvents) -> EventBody {
    use ArbitrationPoolsEvents as E;
    match event {
        E::PoolCreated(e) => EventBody::PoolCreated {
            pool: e.pool,
            book: RuleBook {
                keeper: e.book.keeper.into(),
                parent: e.book.parent,
                jury_size: e.book.jurySize,
                delay: e.book.delay,
                opening: e.book.opening,
                voting: e.book.voting,
                appeal: e.book.appeal,
                salt: e.book.salt,
            },
        },
        E::ListPublished(e) => EventBody::ListPublished {
            pool: e.pool,
            list: e.list,
            size: e.size,
            effective_at: e.effectiveAt.to(),
            pages: e.pages.into_iter().map(Into::into).collect(),
        },
        E::CaseOpened(e) => EventBody::CaseOpened {
            deal: e.deal,
            escrow: e.escrow.into(),
            instance: e.instance,
            jury: e.jury,
            target_block: e.targetBlock.to(),
        },
        E::TargetMoved(e) => {
            EventBody::TargetMoved { deal: e.deal, escrow: e.escrow.into(), target_block: e.targetBlock.to() }
        }
        E::JuryDrawn(e) => EventBody::JuryDrawn {
            deal: e.deal,
            escrow: e.escrow.into(),
            pool: e.pool,
            instance: e.instance,
            jury: e.jury,
            list: e.list,
            ends_at: e.endsAt.to(),
            seed: e.seed,
            seats: e.seats.into_iter().map(Into::into).collect(),
        },
        E::BallotCast(e) => EventBody::BallotCast {
            deal: e.deal,
            escrow: e.escrow.into(),
            instance: e.instance,
            jury: e.jury,
            seat: e.seat,
            share: e.share,
            reason: e.reason,
        },
        E::BallotsCounted(e) => EventBody::BallotsCounted {
            deal: e.deal,
            escrow: e.escrow.into(),
            instance: e.instance,
            jury: e.jury,
            ballots: B256::from(e.ballots),
            lo: e.lo,
            hi: e.hi,
        },
        E::RulingAccepted(e) => EventBody::RulingAccepted {
            deal: e.deal,
            escrow: e.escrow.into(),
            instance: e.instance,
            jury: e.jury,
            ballots: B256::from(e.ballots),
            share: e.share,
            executable_at: e.executableAt.to(),
        },
        E::Appealed(e) => EventBody::Appealed { deal: e.deal, escrow: e.escrow.into(), by: e.by.into() },
        E::RulingExecuted(e) => {
            EventBody::RulingExecuted { deal: e.deal, escrow: e.escrow.into(), share: e.share }
        }
    }
}

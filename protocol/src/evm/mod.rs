//! The protocol on EVM chains: typed bindings, ids, EIP-712 digests, calldata, signatures, and the ways from a log to an
//! event and from revert data to a refusal.

pub mod call;
pub mod deployment;
mod digest;
mod event;
mod revert;
mod signature;

pub use digest::{
    AMOUNT_MAX, STRIDE, act_digest, address_of, appeal_digest, ballot_digest, case_id, deal_id,
    escrow_domain, event_id, misfits, pool_id, pools_domain, typed,
};
pub use event::{EventError, decode_event};
pub use revert::decode_refusal;
pub use signature::{SignatureError, compact, recover};

pub use crate::{chain::TermsError, refusal::Refused};

use crate::deal::{DealState, Status};

impl TryFrom<&escrow::Escrow::State> for DealState {
    type Error = UnknownStatus;

    fn try_from(state: &escrow::Escrow::State) -> Result<Self, UnknownStatus> {
        let status = Status::ALL.get(usize::from(state.status)).ok_or(UnknownStatus(state.status))?;
        Ok(Self {
            status: *status,
            count: state.count,
            since: state.since.to(),
            funded_at: state.fundedAt.to(),
            released: state.released.to(),
            refunded: state.refunded.to(),
        })
    }
}

/// A status that no escrow of ours has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the escrow names a status {0} that the protocol does not know")]
pub struct UnknownStatus(pub u8);

/// Bindings of `Escrow`, from the committed ABI and bytecode.
#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated from the ABI")]
pub mod escrow {
    alloy::sol!(
        #[sol(all_derives)]
        Escrow,
        "abi/Escrow.json"
    );
}

/// Bindings of `ArbitrationPools`, from the committed ABI and bytecode.
#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated from the ABI")]
pub mod pools {
    alloy::sol!(
        #[sol(all_derives)]
        ArbitrationPools,
        "abi/ArbitrationPools.json"
    );
}

/// Bindings of `Mediator`, from the committed ABI and bytecode.
#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated from the ABI")]
pub mod mediator {
    alloy::sol!(
        #[sol(all_derives)]
        Mediator,
        "abi/Mediator.json"
    );
}

/// Bindings of `CourtArbiter`, from the committed ABI and bytecode.
#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated from the ABI")]
pub mod court {
    alloy::sol!(
        #[sol(all_derives)]
        CourtArbiter,
        "abi/CourtArbiter.json"
    );
}

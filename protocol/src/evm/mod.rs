//! The protocol on EVM chains: typed bindings, ids, EIP-712 digests, calldata, signatures, and the ways from a log to an
//! event and from revert data to a refusal.

pub mod call;
mod digest;
mod event;
mod revert;
mod signature;

pub use digest::{
    AMOUNT_MAX, TermsError, ballot_digest, case_id, deal_id, escrow_domain, event_id, pool_id, pools_domain,
    typed,
};
pub use event::{EventError, decode_event};
pub use revert::{Refused, decode_refusal};
pub use signature::{SignatureError, recover};

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

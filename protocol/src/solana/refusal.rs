//! From a failed transaction to a refusal.

use anchor_lang::error::ErrorCode;
use earnest_program::Refusal;

/// The first number of the program's own errors.
const OWN: u32 = anchor_lang::error::ERROR_CODE_OFFSET;

/// What a program error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// A refusal of the protocol, by its name in `docs/protocol.md`; the last few are Solana's own (`docs/solana.md`).
    Refused(&'static str),
    /// An account is not there or not what it should be: an error of Anchor by its number.
    Account(u32),
    /// Another program's error, or one that ours does not have.
    Other(u32),
}

/// Reads the number of a custom program error. `fund_by` is that of the deal that the instruction names, `now` when it was
/// refused, both in Unix seconds: where there is no account of the deal it was never funded, or it is over and closed.
pub fn decode_failure(code: u32, deal: Option<(u64, u64)>) -> Failed {
    if let Some(refusal) = code.checked_sub(OWN).and_then(nth) {
        return Failed::Refused(refusal);
    }
    let missing = [ErrorCode::AccountNotInitialized, ErrorCode::AccountOwnedByWrongProgram].map(u32::from);
    match deal {
        Some((fund_by, now)) if missing.contains(&code) => {
            Failed::Refused(if now > fund_by { "DealClosed" } else { "UnknownDeal" })
        }
        _ if (100..OWN).contains(&code) => Failed::Account(code),
        _ => Failed::Other(code),
    }
}

fn nth(index: u32) -> Option<&'static str> {
    Refusal::NAMES.get(usize::try_from(index).ok()?).copied()
}

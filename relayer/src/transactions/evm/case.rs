//! What an intent asks of the arbiter, whether the chain shows it, and what a refusal means.

use alloy::{
    primitives::{Address, Bytes},
    sol_types::SolCall,
};
use protocol::{
    chain::AccountId,
    evm::{
        TermsError, address_of,
        call::{self, BallotsError, Signed},
        deal_id, decode_refusal,
        pools::ArbitrationPools,
    },
    terms::Terms,
    wire::intent::{Intent, IntentAction},
};

use crate::transactions::{
    case::{Jury, achieved},
    refusal::{Cure, cure as cure_of},
    resolve::Effect,
};

/// The call that an intent asks for.
///
/// # Errors
/// Terms without a form on this chain, or a ballot whose signature has none.
pub fn calldata(intent: &Intent) -> Result<Bytes, BallotsError> {
    let terms = &intent.terms;
    Ok(match &intent.action {
        IntentAction::OpenCase => call::open(terms)?,
        IntentAction::DrawJury { .. } => call::draw(terms)?,
        IntentAction::OpenSecondJury { .. } => call::open_second_jury(terms)?,
        IntentAction::SubmitBallots { jury, ballots, .. } => call::submit(terms, *jury, ballots)?,
        IntentAction::Conclude { .. } => call::conclude(terms)?,
        IntentAction::ExecuteRuling => call::execute(terms)?,
        IntentAction::Appeal { party, valid_until, signature } => {
            let party = AccountId { chain: intent.arbiter.chain, address: *party };
            let signed = Signed {
                signer: address_of("party", party)?,
                valid_until: *valid_until,
                signature: signature.clone(),
            };
            call::appeal(terms, Some(&signed))?
        }
    })
}

/// The contract that an intent asks to be called.
///
/// # Errors
/// It is not on an EVM chain.
pub fn arbiter(intent: &Intent) -> Result<Address, TermsError> {
    address_of("arbiter", intent.arbiter)
}

/// `COIN_GAS` and `TOKEN_GAS` of `contracts/src/libraries/Payments.sol`: what a payee may spend on receiving.
const COIN_GAS: u64 = 50_000;
const TOKEN_GAS: u64 = 300_000;

/// By how much an estimate may be too low because the first payee behaves otherwise when it is paid; without this it could
/// make every ruling fail for want of gas. The second one's bound is part of the estimate: the escrow asks for it.
pub const fn payee_gas(intent: &Intent) -> u64 {
    use IntentAction as A;
    match (&intent.action, &intent.terms.asset.token) {
        (A::OpenCase | A::DrawJury { .. } | A::OpenSecondJury { .. } | A::Appeal { .. }, _) => 0,
        (A::SubmitBallots { .. } | A::Conclude { .. } | A::ExecuteRuling, None) => COIN_GAS,
        (A::SubmitBallots { .. } | A::Conclude { .. } | A::ExecuteRuling, Some(_)) => TOKEN_GAS,
    }
}

/// The read-only call that shows the case.
///
/// # Errors
/// Terms without a form on this chain.
pub fn case_of(terms: &Terms) -> Result<Bytes, TermsError> {
    let call = ArbitrationPools::caseOfCall { escrow: call::escrow_of(terms)?, deal: deal_id(terms)? };
    Ok(call.abi_encode().into())
}

/// Reads the answer to [`case_of`] as the effect of an action.
pub fn effect(action: &IntentAction, answer: &[u8]) -> Effect {
    match ArbitrationPools::caseOfCall::abi_decode_returns_validate(answer) {
        Ok(juries) => {
            let juries: Vec<Jury> = juries.iter().map(stand).collect();
            if achieved(action, &juries) { Effect::Present } else { Effect::Absent }
        }
        Err(error) => {
            Effect::Unreadable(format!("the arbiter's caseOf does not answer with a case: {error}"))
        }
    }
}

const fn stand(jury: &ArbitrationPools::Jury) -> Jury {
    Jury { instance: jury.instance, jury: jury.jury, stage: jury.stage, ballots: jury.ballots }
}

/// What a revert says and what helps against it.
pub fn cure(data: &[u8]) -> (Cure, String) {
    let Some(refused) = decode_refusal(data) else {
        let shown =
            alloy::primitives::hex::encode_prefixed(data.get(..data.len().min(36)).unwrap_or_default());
        return (Cure::Unknown, format!("the call reverts without a refusal of ours: {shown}"));
    };
    (cure_of(refused.name()), refused.to_string())
}

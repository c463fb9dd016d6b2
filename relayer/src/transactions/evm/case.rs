//! What an intent asks of the arbiter or of the escrow, whether the chain shows it, and what a refusal means.

use alloy::{
    primitives::{Address, Bytes},
    sol_types::SolCall,
};
use protocol::{
    chain::AccountId,
    deal::DealState,
    evm::{
        TermsError, address_of,
        call::{self, BallotsError, Signed},
        deal_id, decode_refusal,
        escrow::Escrow,
        pools::ArbitrationPools,
    },
    wire::{
        act::PartyAct,
        intent::{Intent, IntentAction},
    },
};

use crate::transactions::{
    acts,
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
        IntentAction::Act { act, signed } => call::act(terms, act, signed)?,
        IntentAction::TimeOut { time_out } => call::time_out(terms, *time_out)?,
    })
}

/// The contract that an intent asks to be called.
///
/// # Errors
/// It is not on an EVM chain.
pub fn contract(intent: &Intent) -> Result<Address, TermsError> {
    address_of("contract", intent.contract())
}

/// `COIN_GAS` and `TOKEN_GAS` of `contracts/src/libraries/Payments.sol`: what a payee may spend on receiving.
const COIN_GAS: u64 = 50_000;
const TOKEN_GAS: u64 = 300_000;

/// By how much an estimate may be too low because the first payee behaves otherwise when it is paid; without this it could
/// make every ruling fail for want of gas. The second one's bound is part of the estimate: the escrow asks for it.
pub const fn payee_gas(intent: &Intent) -> u64 {
    use IntentAction as A;
    use PartyAct as P;
    let pays = match &intent.action {
        A::OpenCase | A::DrawJury { .. } | A::OpenSecondJury { .. } | A::Appeal { .. } => false,
        A::SubmitBallots { .. } | A::Conclude { .. } | A::ExecuteRuling | A::TimeOut { .. } => true,
        A::Act { act, .. } => match act {
            P::Release { .. } | P::Refund { .. } | P::Settle { .. } | P::Withdraw { .. } => true,
            P::Deliver { .. } | P::Dispute { .. } | P::Evidence { .. } => false,
        },
    };
    match (pays, &intent.terms.asset.token) {
        (false, _) => 0,
        (true, None) => COIN_GAS,
        (true, Some(_)) => TOKEN_GAS,
    }
}

/// The read-only call that shows the effect of an intent, and of which contract: the case, the deal, or what a creditor
/// withdrew.
///
/// # Errors
/// Terms or a creditor without a form on this chain.
pub fn question(intent: &Intent) -> Result<(Address, Bytes), TermsError> {
    let terms = &intent.terms;
    let deal = deal_id(terms)?;
    let call = match &intent.action {
        IntentAction::Act { act: PartyAct::Withdraw { .. }, signed } => {
            let address = signed.first().map_or(terms.buyer.address, |one| one.party);
            let creditor = address_of("party", AccountId { chain: terms.escrow.chain, address })?;
            Escrow::withdrawalNonceOfCall { creditor }.abi_encode()
        }
        IntentAction::Act { .. } | IntentAction::TimeOut { .. } => Escrow::stateOfCall { deal }.abi_encode(),
        _ => ArbitrationPools::caseOfCall { escrow: call::escrow_of(terms)?, deal }.abi_encode(),
    };
    Ok((contract(intent)?, call.into()))
}

/// Reads the answer to [`question`] as the effect of an intent. `now` is the block's time, `sent` whether a transaction of
/// ours for it went through.
pub fn effect(intent: &Intent, answer: &[u8], now: u64, sent: bool) -> Effect {
    let shown = match &intent.action {
        IntentAction::Act { .. } | IntentAction::TimeOut { .. } => deal_shows(intent, answer, now, sent),
        action => case_shows(action, answer),
    };
    match shown {
        Ok(true) => Effect::Present,
        Ok(false) => Effect::Absent,
        Err(reason) => Effect::Unreadable(reason),
    }
}

fn case_shows(action: &IntentAction, answer: &[u8]) -> Result<bool, String> {
    let juries = ArbitrationPools::caseOfCall::abi_decode_returns_validate(answer)
        .map_err(|error| format!("the arbiter's caseOf does not answer with a case: {error}"))?;
    let juries: Vec<Jury> = juries.iter().map(stand).collect();
    Ok(achieved(action, &juries))
}

fn deal_shows(intent: &Intent, answer: &[u8], now: u64, sent: bool) -> Result<bool, String> {
    let mut stand = acts::Stand { state: DealState::EMPTY, withdrawals: 0, now, sent };
    if let IntentAction::Act { act: PartyAct::Withdraw { .. }, .. } = &intent.action {
        let nonce = Escrow::withdrawalNonceOfCall::abi_decode_returns_validate(answer).map_err(|error| {
            format!("the escrow's withdrawalNonceOf does not answer with a number: {error}")
        })?;
        stand.withdrawals = nonce.saturating_to();
    } else {
        let state = Escrow::stateOfCall::abi_decode_returns_validate(answer)
            .map_err(|error| format!("the escrow's stateOf does not answer with a state: {error}"))?;
        stand.state = DealState::try_from(&state).map_err(|error| error.to_string())?;
    }
    Ok(acts::achieved(&intent.action, &intent.terms, &stand))
}

const fn stand(jury: &ArbitrationPools::Jury) -> Jury {
    Jury { instance: jury.instance, jury: jury.jury, stage: jury.stage, ballots: jury.ballots }
}

/// What a revert says and what helps against it. Against what is unknown nothing helps that a person would have to look for,
/// where one account asked for the call.
pub fn cure(intent: &Intent, data: &[u8]) -> (Cure, String) {
    match read(data) {
        (Cure::Unknown, reason) if intent.asked_by.is_some() => (Cure::Nothing, reason),
        known => known,
    }
}

fn read(data: &[u8]) -> (Cure, String) {
    let Some(refused) = decode_refusal(data) else {
        let shown =
            alloy::primitives::hex::encode_prefixed(data.get(..data.len().min(36)).unwrap_or_default());
        return (Cure::Unknown, format!("the call reverts without a refusal of ours: {shown}"));
    };
    (cure_of(refused.name()), refused.to_string())
}

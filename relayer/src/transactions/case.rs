//! What an intent asks of the arbiter, whether the chain shows it, and what a refusal means.

use alloy::{
    primitives::{Address, Bytes, U256},
    sol_types::SolCall,
};
use protocol::{
    arbitration,
    chain::AccountId,
    deal,
    evm::{
        Refused, TermsError, address_of,
        call::{self, BallotsError, Signed},
        deal_id, decode_refusal,
        pools::ArbitrationPools,
    },
    terms::Terms,
    wire::intent::{Intent, IntentAction, SignedBallot},
};

pub use protocol::evm::pools::ArbitrationPools::Jury;

/// `Stage` of `contracts/src/interfaces/IArbitrationPools.sol`.
const OPENED: u8 = 1;
const DRAWN: u8 = 2;
const ACCEPTED: u8 = 3;
const EXECUTED: u8 = 4;

/// A ballot's field: 5 bits a seat; 31 is void; from bit 155 one bit a seat, cast on chain and final.
const FIELD_BITS: usize = 5;
const VOID: u64 = 31;
const FINAL_FROM: usize = 155;
const SHARE_STEP: u16 = 500;

/// Whether the chain shows what an intent is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does.
    Present,
    /// It does not.
    Absent,
    /// The arbiter does not answer as one of our pools.
    Unreadable(String),
}

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
        Ok(juries) if achieved(action, &juries) => Effect::Present,
        Ok(_) => Effect::Absent,
        Err(error) => {
            Effect::Unreadable(format!("the arbiter's caseOf does not answer with a case: {error}"))
        }
    }
}

/// Whether a case, told by its juries, shows what an action is for, or has gone on without it, so that there is nothing
/// left to do. The case stands where its last jury stands.
pub fn achieved(action: &IntentAction, juries: &[Jury]) -> bool {
    let (Some(first), Some(last)) = (juries.first(), juries.last()) else { return false };
    let present = (last.instance, last.jury);
    let beyond = |instance: u8, jury: u8, stage: u8| {
        present > (instance, jury) || (present == (instance, jury) && last.stage >= stage)
    };
    let ruled =
        |instance: u8| last.instance > instance || (last.instance == instance && last.stage >= ACCEPTED);
    match action {
        IntentAction::OpenCase => true,
        IntentAction::DrawJury { instance, jury } => beyond(*instance, *jury, DRAWN),
        IntentAction::OpenSecondJury { instance } => ruled(*instance) || beyond(*instance, 1, OPENED),
        IntentAction::SubmitBallots { instance, jury, ballots } => {
            let asked = juries.iter().find(|one| (one.instance, one.jury) == (*instance, *jury));
            // After a ruling nothing is counted any more.
            ruled(*instance)
                || asked.is_some_and(|one| {
                    one.stage == DRAWN && ballots.iter().all(|ballot| counted(ballot, one.ballots))
                })
        }
        IntentAction::Conclude { instance } => ruled(*instance),
        IntentAction::ExecuteRuling => last.stage >= EXECUTED,
        IntentAction::Appeal { .. } => last.instance > first.instance,
    }
}

/// Whether handing in this ballot would change nothing: it is counted, its seat is void, or it was cast on chain.
fn counted(ballot: &SignedBallot, ballots: U256) -> bool {
    let seat = usize::from(ballot.seat);
    if seat.saturating_mul(FIELD_BITS) >= FINAL_FROM {
        return false;
    }
    let field = ballots.wrapping_shr(seat.saturating_mul(FIELD_BITS)) & U256::from(VOID);
    let own = U256::from(ballot.share / SHARE_STEP).saturating_add(U256::from(1_u8));
    field == own || field == U256::from(VOID) || ballots.bit(FINAL_FROM.saturating_add(seat))
}

/// What helps against a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// Time alone.
    Time,
    /// Something else on chain may come first: another step of the case, or a node that lags.
    Event,
    /// Nothing, once it is final.
    Nothing,
    /// The contract did not give a refusal of ours.
    Unknown,
}

/// What a revert says and what helps against it.
pub fn cure(data: &[u8]) -> (Cure, String) {
    let Some(refused) = decode_refusal(data) else {
        let shown =
            alloy::primitives::hex::encode_prefixed(data.get(..data.len().min(36)).unwrap_or_default());
        return (Cure::Unknown, format!("the call reverts without a refusal of ours: {shown}"));
    };
    let cure = match &refused {
        Refused::Pools(refusal) => pools_cure(refusal),
        Refused::Escrow(refusal) => escrow_cure(refusal),
    };
    (cure, refused.to_string())
}

fn pools_cure(refusal: &arbitration::Refusal) -> Cure {
    use arbitration::Refusal as R;
    match refusal {
        R::TooEarly { .. } => Cure::Time,
        // The effect of another's call is read from the case; what is still missing comes with the step before.
        R::UnknownPool
        | R::UnknownCase
        | R::CaseExists
        | R::NotDisputed
        | R::NotDrawn
        | R::AlreadyDrawn
        | R::NotAccepted
        | R::AlreadyAccepted
        | R::AlreadyExecuted
        | R::NoFurtherJury
        | R::NoBallots
        // The next try estimates anew.
        | R::NotEnoughGas => Cure::Event,
        R::NotMyDeal
        | R::NoList
        | R::NotAppealable
        | R::TooFewMembers { .. }
        | R::TooLate { .. }
        | R::SignatureExpired { .. }
        | R::NotParty
        | R::NotJuror { .. }
        | R::InvalidBallot { .. }
        | R::InvalidSignature { .. }
        | R::BadShare { .. }
        | R::BadSeat { .. }
        | R::SeatVoid { .. }
        | R::SeatFinal { .. } => Cure::Nothing,
        // Not refusals of the calls that an intent makes.
        R::BadJurySize { .. }
        | R::BadPeriod
        | R::BadParent
        | R::PoolExists
        | R::NotKeeper
        | R::ListNotAscending { .. }
        | R::BadPage { .. }
        | R::Reentered => Cure::Unknown,
    }
}

fn escrow_cure(refusal: &deal::Refusal) -> Cure {
    use deal::Refusal as R;
    match refusal {
        R::TooEarly { .. } => Cure::Time,
        R::UnknownDeal | R::NotDisputed | R::NotEnoughGas => Cure::Event,
        R::TooLate { .. }
        | R::SignatureExpired { .. }
        | R::NotParty
        | R::InvalidSignature { .. }
        | R::DealClosed
        | R::NotArbiter
        | R::MeteredDeal => Cure::Nothing,
        _ => Cure::Unknown,
    }
}

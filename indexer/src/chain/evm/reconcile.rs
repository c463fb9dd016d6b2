//! What the contracts say of deals and cases.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::SolCall as _,
};
use protocol::{
    deal::DealState,
    evm::{escrow::Escrow, pools::ArbitrationPools},
    wire::view::{Case, CaseStage, Jury},
};

use super::rpc::Rpc;
use crate::{
    chain::{
        reconcile::{Question, deal_differs},
        rpc::RpcError,
    },
    states::model::State,
};

/// How what the contracts say as of a block differs from each state, in order.
pub(super) async fn differences(
    rpc: &Rpc,
    block: B256,
    questions: &[Question],
) -> Result<Vec<Option<String>>, RpcError> {
    let calls: Vec<_> = questions.iter().map(|(_, state)| call(state)).collect();
    // Terms without a form on this chain have no call, and nothing to compare.
    let asked: Vec<_> = calls.iter().flatten().cloned().collect();
    let mut answers = rpc.calls_at(&asked, block).await?.into_iter();
    let differences = questions.iter().zip(&calls).map(|((_, state), call)| match call {
        Some(_) => answers.next().and_then(|answer| differs(state, &answer)),
        None => None,
    });
    Ok(differences.collect())
}

fn call(state: &State) -> Option<(Address, Bytes)> {
    match state {
        State::Deal(deal) => {
            let data = Escrow::stateOfCall { deal: deal.deal }.abi_encode();
            Some((deal.terms.escrow.address.evm()?, data.into()))
        }
        State::Case(case) => {
            let escrow = case.escrow.address.evm()?;
            let data = ArbitrationPools::caseOfCall { escrow, deal: case.deal }.abi_encode();
            Some((case.arbiter.address.evm()?, data.into()))
        }
        State::Pool(_) => None,
    }
}

fn differs(state: &State, answer: &Bytes) -> Option<String> {
    match state {
        State::Deal(deal) => {
            let told = Escrow::stateOfCall::abi_decode_returns(answer).map_err(|error| error.to_string());
            let told = told.and_then(|told| DealState::try_from(&told).map_err(|error| error.to_string()));
            told.map_or_else(Some, |told| deal_differs(deal, &told))
        }
        State::Case(case) => {
            let told = ArbitrationPools::caseOfCall::abi_decode_returns(answer);
            told.map_or_else(|error| Some(error.to_string()), |told| case_differs(case, &told))
        }
        State::Pool(_) => None,
    }
}

/// What `Jury.stage` is called there, by `Stage` of contracts/src/interfaces/IArbitrationPools.sol.
const fn stage_of(stage: CaseStage) -> u8 {
    match stage {
        CaseStage::Opened => 1,
        CaseStage::Drawn => 2,
        CaseStage::Accepted => 3,
        CaseStage::Executed => 4,
    }
}

/// How what the arbiter says of a case differs from what its events add up to.
pub(super) fn case_differs(case: &Case, told: &[ArbitrationPools::Jury]) -> Option<String> {
    if case.juries.len() != told.len() {
        let (ours, theirs) = (case.juries.len(), told.len());
        return Some(format!("juries are {ours} by the events, and {theirs} by the contract"));
    }
    // A case stands where its last jury stands, whichever jury ruled.
    let last = told.last()?;
    let (ours, theirs) = (stage_of(case.stage), last.stage);
    if ours != theirs {
        return Some(format!("stage is {ours} by the events, and {theirs} by the contract"));
    }
    let (ours, theirs) = (case.ruling.unwrap_or(0), last.share);
    if ours != theirs {
        return Some(format!("ruling is {ours} by the events, and {theirs} by the contract"));
    }
    // The ballots that determine a ruling are told, and not kept.
    let undecided = last.stage < stage_of(CaseStage::Accepted);
    case.juries.iter().zip(told).enumerate().find_map(|(at, (ours, theirs))| {
        let counting = undecided && theirs.instance == last.instance;
        let differs = jury_differs(ours, theirs, counting)?;
        Some(format!("jury {at} has another {differs} by the events than by the contract"))
    })
}

/// In what a jury differs; in its ballots where they are still counted.
fn jury_differs(ours: &Jury, theirs: &ArbitrationPools::Jury, counting: bool) -> Option<&'static str> {
    // The contract tells the panel of a jury before it is drawn, and the target block until then.
    let drawn = !ours.seats.is_empty();
    let opened = theirs.stage == stage_of(CaseStage::Opened);
    let fields = [
        ("place in its instance", (ours.instance, ours.jury) == (theirs.instance, theirs.jury)),
        ("number of seats", !drawn || ours.seats.len() == usize::from(theirs.seats)),
        ("list", !drawn || ours.list == Some(theirs.list)),
        ("end", !drawn || ours.ends_at == Some(theirs.endsAt.to::<u64>())),
        ("target block", !opened || ours.target_block == theirs.targetBlock.to::<u64>()),
        ("seed", ours.seed.unwrap_or_default() == theirs.seed),
        ("word of ballots", !counting || U256::from_be_bytes(ours.ballots.0) == theirs.ballots),
    ];
    fields.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
}

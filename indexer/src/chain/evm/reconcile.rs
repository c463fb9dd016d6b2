//! What the contracts say of deals and cases.

use alloy::{
    primitives::{Address, B256, Bytes},
    sol_types::SolCall as _,
};
use protocol::{
    deal::DealState,
    evm::{escrow::Escrow, pools::ArbitrationPools},
    wire::view::Case,
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

/// How what the arbiter says of a case differs from what its events add up to.
fn case_differs(case: &Case, told: &[ArbitrationPools::Jury]) -> Option<String> {
    if case.juries.len() != told.len() {
        let (ours, theirs) = (case.juries.len(), told.len());
        return Some(format!("juries are {ours} by the events, and {theirs} by the contract"));
    }
    case.juries.iter().zip(told).enumerate().find_map(|(at, (ours, theirs))| {
        let drawn = !ours.seats.is_empty();
        let differs = if (ours.instance, ours.jury) != (theirs.instance, theirs.jury) {
            "place in its instance"
        } else if drawn && ours.seats.len() != usize::from(theirs.seats) {
            "number of seats"
        } else {
            return None;
        };
        Some(format!("jury {at} has another {differs} by the events than by the contract"))
    })
}

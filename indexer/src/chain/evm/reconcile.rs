//! Comparing every open deal, and its case, with what the contracts themselves say as of a final block.

use alloy::{
    primitives::{Address, Bytes},
    sol_types::SolCall as _,
};
use protocol::{
    evm::{
        escrow::Escrow,
        pools::ArbitrationPools::{self, Jury},
    },
    wire::view::{BlockRef, Case, Deal, DealStatus, FaultKind},
};

use super::rpc::Rpc;
use crate::{
    Error,
    chain::follow::{Ground, Progress},
    states::{
        self,
        model::{State, Subject, fold},
    },
};

/// Deals that are compared in one step.
const DEALS: u64 = 50;

/// Goes through the open deals, time and again.
#[derive(Debug)]
pub(super) struct Reconciler {
    every_ms: i64,
    /// Unix milliseconds of the next round.
    next_at: i64,
    /// Where the present round is.
    after: Option<String>,
}

/// What the contract says of a deal that differs from what its events add up to.
pub(super) fn deal_differs(deal: &Deal, told: &Escrow::State) -> Option<String> {
    let status = match deal.status {
        DealStatus::Funded => 1_u8,
        DealStatus::Delivered => 2,
        DealStatus::Disputed => 3,
        DealStatus::Closed => 4,
    };
    let pairs = [
        ("status", u128::from(status), u128::from(told.status as u8)),
        ("count", u128::from(deal.count), u128::from(told.count)),
        ("released", deal.released, told.released.to::<u128>()),
        ("refunded", deal.refunded, told.refunded.to::<u128>()),
        ("funded_at", u128::from(deal.funded_at), told.fundedAt.to::<u128>()),
    ];
    pairs
        .into_iter()
        .find(|(_, ours, theirs)| ours != theirs)
        .map(|(field, ours, theirs)| format!("{field} is {ours} by the events, and {theirs} by the contract"))
}

/// What the arbiter says of a case that differs from what its events add up to.
pub(super) fn case_differs(case: &Case, told: &[Jury]) -> Option<String> {
    if case.juries.len() != told.len() {
        return Some(format!(
            "{} juries by the events, and {} by the contract",
            case.juries.len(),
            told.len()
        ));
    }
    for (at, (ours, theirs)) in case.juries.iter().zip(told).enumerate() {
        if (ours.instance, ours.jury) != (theirs.instance, theirs.jury) {
            return Some(format!("jury {at} is of another instance by the contract"));
        }
        let seats = usize::from(theirs.seats);
        if !ours.seats.is_empty() && ours.seats.len() != seats {
            return Some(format!(
                "jury {at} has {} seats by the events, and {seats} by the contract",
                ours.seats.len()
            ));
        }
    }
    None
}

impl Reconciler {
    pub fn new(every_ms: u64) -> Self {
        Self { every_ms: i64::try_from(every_ms).unwrap_or(i64::MAX), next_at: 0, after: None }
    }

    /// Compares the next deals, when it is time for them. Nodes that do not tell are asked again in the next round.
    pub async fn step(&mut self, ground: &Ground, rpc: &Rpc, finalized: BlockRef) -> Result<Progress, Error> {
        let now = ground.shared.clock.now_ms();
        if self.after.is_none() && now < self.next_at {
            return Ok(Progress::Idle);
        }
        let after = self.after.clone().unwrap_or_default();
        let reader = &mut *ground.shared.db.reader().acquire().await?;
        let subjects = states::store::open_deals(&mut *reader, ground.chain.number, &after, DEALS).await?;
        let Some(last) = subjects.last().cloned() else {
            self.after = None;
            self.next_at = now.saturating_add(self.every_ms);
            ground.chain.beat(|pulse| pulse.reconciled_at = Some(now));
            return Ok(Progress::Idle);
        };
        let (mut compared, mut calls): (Vec<(String, State)>, Vec<(Address, Bytes)>) =
            (Vec::new(), Vec::new());
        for subject in subjects {
            let Some(State::Deal(deal)) = as_of(&mut *reader, &subject, finalized.number).await? else {
                continue;
            };
            let Some(escrow) = deal.terms.escrow.address.evm() else { continue };
            calls.push((escrow, Escrow::stateOfCall { deal: deal.deal }.abi_encode().into()));
            let case = Subject::Case {
                deal: deal.deal,
                escrow: deal.terms.escrow.address,
                arbiter: deal.terms.arbiter,
            };
            let (arbiter, id) = (deal.terms.arbiter.address.evm(), deal.deal);
            compared.push((subject, State::Deal(deal)));
            let case_subject = case.to_string();
            let folded = as_of(&mut *reader, &case_subject, finalized.number).await?;
            if let (Some(state), Some(arbiter)) = (folded, arbiter) {
                let call = ArbitrationPools::caseOfCall { escrow, deal: id };
                calls.push((arbiter, call.abi_encode().into()));
                compared.push((case_subject, state));
            }
        }
        match rpc.calls_at(&calls, finalized.number).await {
            Ok(answers) => {
                for ((subject, state), answer) in compared.iter().zip(answers) {
                    let differs = differs(state, &answer);
                    match differs {
                        Some(words) => {
                            tracing::error!(subject, words, "the contract says otherwise");
                            let detail = format!("{subject} as of block {}: {words}", finalized.number);
                            ground.note(FaultKind::StateDiffers, subject, &detail).await?;
                        }
                        None => ground.clear(FaultKind::StateDiffers, subject).await?,
                    }
                }
                self.after = Some(last);
                Ok(Progress::Advanced)
            }
            Err(error) => {
                tracing::warn!(%error, "open deals cannot be compared with the contract now");
                self.after = None;
                self.next_at = now.saturating_add(self.every_ms.min(60_000));
                Ok(Progress::Idle)
            }
        }
    }
}

/// The state of a subject as its events up to a block make it.
async fn as_of(on: &mut sqlx::AnyConnection, subject: &str, block: u64) -> Result<Option<State>, Error> {
    let events = crate::feed::store::canonical_of(on, subject).await?;
    let events = events.iter().filter(|(_, event)| event.block_number <= block);
    Ok(events.fold(None, |state, (_, event)| fold(state, event).0))
}

fn differs(state: &State, answer: &Bytes) -> Option<String> {
    match state {
        State::Deal(deal) => match Escrow::stateOfCall::abi_decode_returns(answer) {
            Ok(told) => deal_differs(deal, &told),
            Err(error) => Some(format!("the contract does not answer with a state: {error}")),
        },
        State::Case(case) => match ArbitrationPools::caseOfCall::abi_decode_returns(answer) {
            Ok(told) => case_differs(case, &told),
            Err(error) => Some(format!("the arbiter does not answer with a case: {error}")),
        },
        State::Pool(_) => None,
    }
}

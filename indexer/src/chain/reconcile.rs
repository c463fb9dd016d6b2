//! Comparing every open deal, and its case, with what the contracts themselves say as of a final block; one that they said
//! otherwise about also after it is closed, until they agree.

use protocol::{
    chain::ChainId,
    deal::{DealState, Status},
    wire::view::{Deal, DealStatus, FaultKind},
};
use sqlx::AnyConnection;

use super::{
    batch::Batch,
    follow::{Ground, Progress},
    rpc::RpcError,
};
use crate::{
    Error, feed,
    states::{
        self,
        model::{State, Subject, fold},
    },
};

/// The most deals that are compared in one step.
const DEALS_MAX: u64 = 50;
/// The longest rest, in milliseconds, before nodes that did not tell are asked again.
const REST_MS: i64 = 60_000;

/// A state to be compared, as its events up to a block make it.
pub(crate) type Question = (String, State);

/// Goes through the open deals, time and again.
#[derive(Debug)]
pub(crate) struct Reconciler {
    every_ms: i64,
    /// Unix milliseconds of the next round.
    next_at: i64,
    /// The last subject of the step before, within a round.
    after: Option<String>,
    /// What that was before the questions that are asked now.
    before: Option<String>,
    /// Unix milliseconds; nodes that did not tell are left alone until then.
    rests_until: i64,
    /// Deals of one step.
    batch: Batch,
}

impl Reconciler {
    pub fn new(every_ms: u64) -> Self {
        Self {
            every_ms: i64::try_from(every_ms).unwrap_or(i64::MAX),
            next_at: 0,
            after: None,
            before: None,
            rests_until: 0,
            batch: Batch::new(DEALS_MAX),
        }
    }

    /// The next states to compare as of a final block; none when it is not the time for it, or there are none.
    pub async fn questions(&mut self, ground: &Ground, block: u64) -> Result<Vec<Question>, Error> {
        let now = ground.shared.clock.now_ms();
        if now < self.rests_until || (self.after.is_none() && now < self.next_at) {
            return Ok(Vec::new());
        }
        let reader = &mut *ground.shared.db.reader().acquire().await?;
        let mut questions = Vec::new();
        // A page may hold only deals that were funded since: they are for a later round.
        while questions.is_empty() {
            self.before.clone_from(&self.after);
            let after = self.after.clone().unwrap_or_default();
            let subjects =
                states::store::to_compare(&mut *reader, ground.chain.number, &after, self.batch.size())
                    .await?;
            let Some(last) = subjects.last().cloned() else {
                self.after = None;
                self.next_at = now.saturating_add(self.every_ms);
                ground.chain.beat(|pulse| pulse.reconciled_at = Some(now));
                return Ok(questions);
            };
            for subject in subjects {
                let Some(state) = as_of(&mut *reader, &subject, block).await? else { continue };
                let case = case_of(&state).map(|case| case.to_string());
                questions.push((subject, state));
                if let Some(case) = case
                    && let Some(state) = as_of(&mut *reader, &case, block).await?
                {
                    questions.push((case, state));
                }
            }
            self.after = Some(last);
        }
        Ok(questions)
    }

    /// Records what came of questions: of each, in order, how the contract's word differs from the events. Nodes that do not
    /// tell are asked the same again later, and fewer at once where it was too much.
    pub async fn answers(
        &mut self,
        ground: &Ground,
        block: u64,
        questions: &[Question],
        answers: Result<Vec<Option<String>>, RpcError>,
    ) -> Result<Progress, Error> {
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                // The same are asked about again.
                self.after = self.before.take();
                if self.batch.refused(&error) {
                    return Ok(Progress::Advanced);
                }
                tracing::warn!(%error, "open deals cannot be compared with the contract now");
                self.rests_until = ground.shared.clock.now_ms().saturating_add(self.every_ms.min(REST_MS));
                return Ok(Progress::Idle);
            }
        };
        self.batch.answered();
        for ((subject, _), differs) in questions.iter().zip(answers) {
            match differs {
                Some(words) => {
                    tracing::error!(subject, words, "the contract says otherwise");
                    let detail = format!("{subject} as of block {block}: {words}");
                    ground.note(FaultKind::StateDiffers, subject, &detail).await?;
                }
                None => ground.clear(FaultKind::StateDiffers, subject).await?,
            }
        }
        Ok(Progress::Advanced)
    }
}

/// The state of a subject as its events up to a block make it.
pub(crate) async fn as_of(on: &mut AnyConnection, subject: &str, block: u64) -> Result<Option<State>, Error> {
    let events = feed::store::canonical_of(on, &subject.parse()?).await?;
    let events = events.iter().filter(|(_, event)| event.block_number <= block);
    Ok(events.fold(None, |state, (_, event)| fold(state, event).0))
}

/// The case about a deal, where its arbiter holds one.
fn case_of(state: &State) -> Option<Subject> {
    let State::Deal(deal) = state else { return None };
    let (escrow, arbiter) = (deal.terms.escrow.address, deal.terms.arbiter);
    (deal.status == DealStatus::Disputed).then_some(Subject::Case { deal: deal.deal, escrow, arbiter })
}

/// Seconds. A node of Solana tells an estimate of when a block was made (RPC method `getBlockTime`), and the program keeps what
/// its clock said.
const SOLANA_TIME_LEEWAY: u128 = 2;

/// How what the contract says of a deal differs from what its events add up to.
pub(crate) fn deal_differs(deal: &Deal, told: &DealState) -> Option<String> {
    let status = match deal.status {
        DealStatus::Funded => Status::Funded,
        DealStatus::Delivered => Status::Delivered,
        DealStatus::Disputed => Status::Disputed,
        DealStatus::Closed => Status::Closed,
    };
    if status != told.status {
        return Some(format!("status is {status:?} by the events, and {:?} by the contract", told.status));
    }
    let pairs = [
        ("count", u128::from(deal.count), u128::from(told.count)),
        ("released", deal.released, told.released),
        ("refunded", deal.refunded, told.refunded),
        ("funded_at", u128::from(deal.funded_at), u128::from(told.funded_at)),
    ];
    let leeway = |field| match deal.terms.escrow.chain {
        ChainId::Solana(_) if field == "funded_at" => SOLANA_TIME_LEEWAY,
        ChainId::Solana(_) | ChainId::Eip155(_) => 0,
    };
    let differs = pairs.into_iter().find(|(field, ours, theirs)| ours.abs_diff(*theirs) > leeway(*field));
    differs
        .map(|(field, ours, theirs)| format!("{field} is {ours} by the events, and {theirs} by the contract"))
}

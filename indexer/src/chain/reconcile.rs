//! Comparing every open deal, and its case, with what the contracts themselves say as of a final block; one that they said
//! otherwise about also after it is closed, until they agree.

use std::collections::{BTreeMap, BTreeSet};

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
    Error, faults,
    feed::store::Canonical,
    states::{
        self,
        model::{State, Subject, fold},
    },
};

/// The most deals that are compared in one step.
const DEALS_MAX: u64 = 50;
/// The longest rest, in milliseconds, before nodes that did not tell are asked again.
const REST_MS: i64 = 60_000;

/// After how many rounds without an answer about a state that is a fault.
const UNANSWERED_MAX: u32 = 3;

/// A state to be compared, as its events up to a block make it.
pub(crate) type Question = (String, State);
/// How what the contract says of a state differs from its events, or why no node tells that.
pub(crate) type Answer = Result<Option<String>, RpcError>;

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
    /// States that were not answered: for how many rounds in a row.
    unanswered: BTreeMap<String, u32>,
    /// Those of them of this round.
    missed: BTreeSet<String>,
    /// Whether the metrics know since when there is something to wait for.
    began: bool,
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
            unanswered: BTreeMap::new(),
            missed: BTreeSet::new(),
            began: false,
        }
    }

    /// The next states to compare as of a final block; none when it is not the time for it, or there are none.
    pub async fn questions(&mut self, ground: &Ground, block: u64) -> Result<Vec<Question>, Error> {
        let now = ground.shared.clock.now_ms();
        if !std::mem::replace(&mut self.began, true) {
            tell(ground, now);
        }
        if now < self.rests_until || (self.after.is_none() && now < self.next_at) {
            return Ok(Vec::new());
        }
        let mut reader = ground.shared.db.reader().acquire().await?;
        let mut questions = Vec::new();
        // A page may hold only deals that were funded since: they are for a later round.
        while questions.is_empty() {
            self.before.clone_from(&self.after);
            let after = self.after.clone().unwrap_or_default();
            let subjects =
                states::store::to_compare(&mut reader, ground.chain.number, &after, self.batch.size())
                    .await?;
            let Some(last) = subjects.last().cloned() else {
                drop(reader);
                self.round_is_over(ground, now).await?;
                return Ok(questions);
            };
            for subject in subjects {
                let Some(state) = as_of(&mut reader, &subject, block).await? else { continue };
                let case = case_of(&state).map(|case| case.to_string());
                questions.push((subject, state));
                if let Some(case) = case
                    && let Some(state) = as_of(&mut reader, &case, block).await?
                {
                    questions.push((case, state));
                }
            }
            self.after = Some(last);
        }
        Ok(questions)
    }

    /// A round is over. What was not answered in an earlier one and not asked about in this one is closed.
    async fn round_is_over(&mut self, ground: &Ground, now: i64) -> Result<(), Error> {
        self.after = None;
        let rest = if self.missed.is_empty() { self.every_ms } else { self.rest_ms() };
        self.next_at = now.saturating_add(rest);
        ground.chain.beat(|pulse| pulse.reconciled_at = Some(now));
        tell(ground, now);
        let missed = std::mem::take(&mut self.missed);
        self.unanswered.retain(|subject, _| missed.contains(subject));
        let (chain, kind) = (ground.chain.number, FaultKind::NotCompared);
        // A hundred are told at a time.
        loop {
            let open =
                faults::subjects(&mut *ground.shared.db.reader().acquire().await?, chain, kind).await?;
            let over: Vec<String> = open.into_iter().filter(|subject| !missed.contains(subject)).collect();
            if over.is_empty() {
                return Ok(());
            }
            for subject in over {
                ground.clear(kind, &subject).await?;
            }
        }
    }

    const fn rest_ms(&self) -> i64 {
        if self.every_ms < REST_MS { self.every_ms } else { REST_MS }
    }

    /// Records what came of questions: of the first of them, in order, how the contract's word differs from the events. Nodes
    /// that do not tell any are asked the same again later, and fewer at once where it was too much. A state alone that they do
    /// not tell is passed over until the next round, and is a fault after some of them; so are all of a batch where fewer at
    /// once would be no help.
    pub async fn answers(
        &mut self,
        ground: &Ground,
        block: u64,
        questions: &[Question],
        answers: Result<Vec<Answer>, RpcError>,
    ) -> Result<Progress, Error> {
        let now = ground.shared.clock.now_ms();
        let alone = self.batch.size() == 1;
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                let narrowed = self.batch.refused(&error);
                if !narrowed {
                    ground.chain.source.nodes().turn_after(&error);
                }
                // What a node does not know, or contradicts itself about, it tells of one no more than of many.
                let helpless = matches!(error, RpcError::Unknown { .. } | RpcError::Inconsistent(_));
                if helpless || (alone && !matches!(error, RpcError::Busy { .. })) {
                    questions.iter().map(|_| Err(error.clone())).collect()
                } else {
                    // The same are asked about again.
                    self.after = self.before.take();
                    if narrowed {
                        return Ok(Progress::Advanced);
                    }
                    tracing::warn!(%error, "open deals cannot be compared with the contract now");
                    self.rests_until = now.saturating_add(self.rest_ms());
                    return Ok(Progress::Idle);
                }
            }
        };
        // Deals come in the order of their subjects, each before its case.
        let mut asked = questions.iter().take(answers.len());
        let last = asked.rfind(|(_, state)| matches!(state, State::Deal(_)));
        if answers.len() < questions.len() {
            self.after = last.map(|(subject, _)| subject.clone()).or_else(|| self.before.take());
        }
        let mut failed = false;
        for ((subject, _), answer) in questions.iter().zip(answers) {
            match answer {
                Ok(Some(words)) => {
                    tracing::error!(subject, words, "the contract says otherwise");
                    let detail = format!("{subject} as of block {block}: {words}");
                    ground.note(FaultKind::StateDiffers, subject, &detail).await?;
                }
                Ok(None) => ground.clear(FaultKind::StateDiffers, subject).await?,
                Err(error) => {
                    self.is_not_told(ground, subject, &error).await?;
                    failed = true;
                    continue;
                }
            }
            self.unanswered.remove(subject);
            // It may be open since before the process started.
            ground.clear(FaultKind::NotCompared, subject).await?;
        }
        if !failed {
            self.batch.answered();
            return Ok(Progress::Advanced);
        }
        self.rests_until = now.saturating_add(self.rest_ms());
        Ok(Progress::Idle)
    }

    async fn is_not_told(&mut self, ground: &Ground, subject: &str, error: &RpcError) -> Result<(), Error> {
        tracing::warn!(subject, %error, "it cannot be compared with the contract now");
        let rounds = self.unanswered.entry(subject.to_owned()).or_default();
        *rounds = rounds.saturating_add(1);
        self.missed.insert(subject.to_owned());
        if *rounds < UNANSWERED_MAX {
            return Ok(());
        }
        let detail = format!("{subject} was not told {rounds} times in a row: {error}");
        ground.note(FaultKind::NotCompared, subject, &detail).await
    }
}

/// Tells the metrics when a round was over last, or when the first of them began.
fn tell(ground: &Ground, now_ms: i64) {
    let chain = ground.chain.id.to_string();
    metrics::gauge!("indexer_reconciled_seconds", "chain" => chain).set((now_ms / 1_000) as f64);
}

/// The state of a subject as its events up to a block make it. What joins or leaves the chain while it is read differs from
/// what the contract says until the next round, as what does so after it.
pub(crate) async fn as_of(on: &mut AnyConnection, subject: &str, block: u64) -> Result<Option<State>, Error> {
    let mut events = Canonical::of(subject.parse()?);
    let mut state = None;
    while let Some(page) = events.page(&mut *on).await? {
        for (_, event) in &page {
            if event.block_number > block {
                return Ok(state);
            }
            state = fold(state, event).0;
        }
    }
    Ok(state)
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

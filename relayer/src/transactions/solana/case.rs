//! A case as its accounts show it, whether it shows what an intent is for, and what a refusal means.

use alloy::primitives::{B256, U256};
use protocol::{
    deal::DealState,
    solana::{self, Failed, Pubkey, state},
    wire::intent::{Intent, IntentAction},
};
use serde_json::Value;

use super::node::{Account, Commitment, Node};
use crate::transactions::{
    ChainError, acts,
    case::{Jury, achieved},
    refusal::{Cure, cure},
    resolve::Effect,
};

/// The most juries of a case: two of the pool and two of its parent.
const JURIES_MAX: u8 = 4;
/// The sysvar that tells the time as programs see it.
const CLOCK: Pubkey = solana_sdk_ids::sysvar::clock::ID;
/// Where the Unix time stands in it.
const TIME_AT: std::ops::Range<usize> = 32..40;

/// A deal and its case at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// As of this slot.
    pub slot: u64,
    /// Unix seconds.
    pub time: u64,
    /// The deal; none where it is not funded yet, or over and closed.
    pub deal: Option<state::Deal>,
    /// Its juries in their order.
    pub juries: Vec<state::Jury>,
}

/// The time that the clock's account tells, in Unix seconds.
///
/// # Errors
/// It is none.
pub fn time(clock: Option<&Account>) -> Result<u64, ChainError> {
    let bytes = clock.and_then(|clock| clock.data.get(TIME_AT)?.try_into().ok()).map(i64::from_le_bytes);
    bytes.and_then(|time| time.try_into().ok()).ok_or_else(|| ChainError::Lacks("clock".to_owned()))
}

/// The clock's account, to be asked for with others.
pub const fn clock() -> Pubkey {
    CLOCK
}

/// What the program's own account holds; none where there is none of its.
pub fn own(account: &Option<Account>) -> Option<&[u8]> {
    let account = account.as_ref()?;
    (account.owner == solana::program()).then_some(account.data.as_slice())
}

/// Reads a deal and its case as of one slot.
///
/// # Errors
/// The node does not answer. Accounts that cannot be read are said as the inner one.
pub async fn snapshot(
    node: &Node,
    deal: B256,
    commitment: Commitment,
    least_slot: u64,
) -> Result<Result<Snapshot, String>, ChainError> {
    let juries = (0..JURIES_MAX).map(|ordinal| solana::jury_address(deal, ordinal));
    let keys: Vec<Pubkey> = [CLOCK, solana::deal_address(deal)].into_iter().chain(juries).collect();
    let read = node.accounts(commitment, &keys, None, least_slot).await?;
    let mut accounts = read.accounts.iter();
    let time = time(accounts.next().and_then(Option::as_ref))?;
    let found = accounts.next().and_then(own).map(solana::read_deal).transpose();
    let juries: Result<Vec<_>, _> = accounts.filter_map(own).map(solana::read_jury).collect();
    Ok(match (found, juries) {
        (Ok(deal), Ok(juries)) => Ok(Snapshot { slot: read.slot, time, deal, juries }),
        (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
    })
}

fn stand(jury: &state::Jury) -> Jury {
    let ballots = U256::from_be_bytes(solana::ballots(jury).0);
    Jury { instance: jury.instance, jury: jury.jury, stage: jury.stage, ballots }
}

/// Whether the chain shows what an intent is for. Of a deal that is over its accounts may be closed: nothing is left to do.
/// `sent` says whether a transaction of ours for it went through.
pub fn effect(intent: &Intent, snapshot: &Result<Snapshot, String>, sent: bool) -> Effect {
    let of_the_deal = matches!(intent.action, IntentAction::Act { .. } | IntentAction::TimeOut { .. });
    if !of_the_deal && intent.terms.arbiter.address != solana::from_key(&solana::arbiter()) {
        return Effect::Unreadable(format!("{} is not the arbiter of the program", intent.arbiter));
    }
    let snapshot = match snapshot {
        Ok(snapshot) => snapshot,
        Err(reason) => return Effect::Unreadable(reason.clone()),
    };
    let shows = if of_the_deal {
        let withdrawals = snapshot.deal.as_ref().map_or(0, |deal| withdrawals(intent, deal));
        let state = snapshot.deal.as_ref().map_or(DealState::EMPTY, solana::deal_state);
        let stand = acts::Stand { state, withdrawals, now: snapshot.time, sent };
        acts::achieved(&intent.action, &intent.terms, &stand)
    } else {
        let juries: Vec<Jury> = snapshot.juries.iter().map(stand).collect();
        achieved(&intent.action, &juries)
    };
    let gone = snapshot.deal.is_none() && snapshot.time > intent.terms.fund_by;
    if gone || shows { Effect::Present } else { Effect::Absent }
}

/// How often who signed an intent took credit from the deal.
fn withdrawals(intent: &Intent, deal: &state::Deal) -> u64 {
    let IntentAction::Act { signed, .. } = &intent.action else { return 0 };
    let creditor = signed.first().map(|one| one.party);
    if creditor == Some(solana::from_key(&deal.seller)) {
        deal.seller_withdrawals.into()
    } else {
        deal.buyer_withdrawals.into()
    }
}

/// Whether a jury's account counts a ballot already, or would take nothing from it.
pub fn counted(jury: &state::Jury, ballot: &protocol::wire::intent::SignedBallot) -> bool {
    crate::transactions::case::counted(ballot, stand(jury).ballots)
}

/// Why a transaction would fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The program says so, with what helps.
    By(Cure, String),
    /// The signer has too little.
    Poor,
}

/// The system program's error for a payer that has too little.
const TOO_LITTLE: u32 = 1;

/// Reads the runtime's error about a transaction whose last instruction is the program's. `fund_by` and `now` in Unix
/// seconds.
pub fn refused(error: &Value, intent: &Intent, now: u64) -> Refused {
    let named = |name: &&str| error.as_str() == Some(name) || error.get(name).is_some();
    // The first account is the payer; what another one lacks, the payer's coins do not cure.
    let rent = error.pointer("/InsufficientFundsForRent/account_index").and_then(Value::as_u64) == Some(0);
    if rent || ["AccountNotFound", "InsufficientFundsForFee"].iter().any(named) {
        return Refused::Poor;
    }
    let code = error.pointer("/InstructionError/1/Custom").and_then(Value::as_u64);
    // Nobody is called to look at what one account asked for.
    let unknown = if intent.asked_by.is_some() { Cure::Nothing } else { Cure::Unknown };
    let Some(code) = code.and_then(|code| u32::try_from(code).ok()) else {
        return Refused::By(unknown, format!("the transaction fails: {error}"));
    };
    let opens = matches!(
        intent.action,
        IntentAction::OpenCase | IntentAction::OpenSecondJury { .. } | IntentAction::Appeal { .. }
    );
    match solana::decode_failure(code, Some((intent.terms.fund_by, now))) {
        Failed::Refused(name) => {
            let cure = cure(name);
            Refused::By(if cure == Cure::Unknown { unknown } else { cure }, name.to_owned())
        }
        // The step before this one may be on its way.
        Failed::Account(code) => Refused::By(Cure::Event, format!("an account is not there yet ({code})")),
        Failed::Other(TOO_LITTLE) if opens => Refused::Poor,
        Failed::Other(code) => Refused::By(unknown, format!("the transaction fails with {code}")),
    }
}

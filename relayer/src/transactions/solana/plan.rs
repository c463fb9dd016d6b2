//! From an intent and the case on chain to the instructions that bring it about.

use alloy::primitives::B256;
use ed25519_dalek::SigningKey;
use protocol::{
    chain::{self, AccountId},
    solana::{
        self, Instruction, Pubkey,
        call::{Ballot, Bearer, Case, Deal, Hearing, InEffect, Voting, Word},
        state::{Deal as DealAccount, Jury, List, Stage},
    },
    wire::{
        act::PartyAct,
        intent::{Intent, IntentAction, PartySignature, SignedBallot},
    },
};

use super::{
    case::{self, Snapshot},
    fees::UNITS_MAX,
    node::{Commitment, Node},
    sign::{BEFORE, sign},
};
use crate::{error::Error, transactions::refusal::Cure};

/// Lists whose heads are read in one call.
const LISTS_AT_ONCE: u32 = 100;
/// The most calls for the lists of one pool.
const LIST_CALLS_MAX: usize = 64;

/// What a transaction has to hold.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Without those of the compute budget.
    pub instructions: Vec<Instruction>,
    /// Signatures that the cluster checks and charges for, the payer's included.
    pub signatures: u64,
}

impl Plan {
    fn one(instruction: Instruction) -> Self {
        Self { instructions: vec![instruction], signatures: 1 }
    }

    /// The accounts that it writes.
    pub fn written(&self) -> Vec<Pubkey> {
        let metas = self.instructions.iter().flat_map(|instruction| &instruction.accounts);
        metas.filter(|meta| meta.is_writable).map(|meta| meta.pubkey).collect()
    }
}

/// Why there is no transaction to be tried, with what helps.
pub type NoPlan = (Cure, String);

fn event<T>(reason: impl Into<String>) -> Result<T, NoPlan> {
    Err((Cure::Event, reason.into()))
}

fn never<T>(reason: impl Into<String>) -> Result<T, NoPlan> {
    Err((Cure::Nothing, reason.into()))
}

/// What brings an intent about, as the case stands; the outer error is the node's.
///
/// # Errors
/// The node does not answer; why there is nothing to be tried.
pub async fn plan(
    node: &Node,
    key: &SigningKey,
    intent: &Intent,
    snapshot: &Snapshot,
) -> Result<Result<Plan, NoPlan>, Error> {
    let payer = solana::key_of(key);
    let Some(account) = &snapshot.deal else { return Ok(event("UnknownDeal")) };
    let deal = match Deal::new(&intent.terms, account.token_program) {
        Ok(deal) => deal,
        Err(error) => return Err(Error::damaged("intent.body", &intent.key, error)),
    };
    let case = Case(&deal);
    let last = snapshot.juries.last();
    Ok(match (&intent.action, last) {
        (IntentAction::Act { act, signed }, _) => asked(&deal, payer, intent, act, signed),
        (IntentAction::TimeOut { time_out }, _) => Ok(Plan::one(deal.time_out(*time_out))),
        (IntentAction::OpenCase, _) => Ok(Plan::one(case.open(payer))),
        (_, None) => event("UnknownCase"),
        (IntentAction::DrawJury { instance, jury }, Some(last)) => match at(last, *instance, *jury) {
            Err(none) => Err(none),
            Ok(()) if last.ends_at != 0 => {
                let pool = B256::new(last.pool);
                Ok(Plan::one(case.draw_later(last.ordinal, pool, last.list_index)))
            }
            Ok(()) => hearing(node, &deal, account).await?.map(|hearing| Plan::one(case.draw(&hearing))),
        },
        (IntentAction::OpenSecondJury { instance }, Some(last)) => {
            at(last, *instance, 0).map(|()| Plan::one(case.open_second_jury(payer, last.ordinal)))
        }
        (IntentAction::SubmitBallots { instance, jury, ballots }, Some(last)) => {
            let heard = snapshot.juries.iter().find(|one| (one.instance, one.jury) == (*instance, *jury));
            match heard {
                None => event("UnknownCase: the jury is not opened"),
                Some(heard) => submit(&case, key, intent, heard, last, ballots),
            }
        }
        (IntentAction::Conclude { instance }, Some(last)) => {
            let first = snapshot.juries.iter().find(|one| (one.instance, one.jury) == (*instance, 0));
            match first {
                Some(first) if last.instance == *instance => {
                    Ok(Plan::one(case.conclude(first.ordinal, last.ordinal)))
                }
                _ => event("UnknownCase: the instance is not opened"),
            }
        }
        (IntentAction::ExecuteRuling, Some(last)) => Ok(Plan::one(case.execute(last.ordinal))),
        (IntentAction::Appeal { party, valid_until, signature }, Some(last)) => {
            match bearer(intent.arbiter, &deal, *party, *valid_until, signature) {
                Err(none) => Err(none),
                Ok(bearer) => appeal(node, &case, account, payer, last, &bearer).await?,
            }
        }
    })
}

/// That the case stands at a jury of this place.
fn at(last: &Jury, instance: u8, jury: u8) -> Result<(), NoPlan> {
    if (last.instance, last.jury) == (instance, jury) {
        return Ok(());
    }
    event(format!("the case stands at jury {} of instance {}", last.jury, last.instance))
}

/// Who may hear a case first: what shows the lists of the pool and of its parent.
async fn hearing(node: &Node, deal: &Deal, account: &DealAccount) -> Result<Result<Hearing, NoPlan>, Error> {
    let Some((parent, own)) = shown(node, B256::new(deal.terms.panel), account.funded_at).await? else {
        return Ok(event("UnknownPool"));
    };
    if parent == B256::ZERO {
        return Ok(Ok(Hearing { own, parent: None }));
    }
    Ok(match shown(node, parent, account.funded_at).await? {
        Some((_, of_parent)) => Ok(Hearing { own, parent: Some((parent, of_parent)) }),
        None => event("UnknownPool"),
    })
}

/// A pool's parent, and what shows which of its lists was in effect; none where there is no such pool.
async fn shown(node: &Node, pool: B256, funded_at: u64) -> Result<Option<(B256, InEffect)>, Error> {
    let read = node.accounts(Commitment::Confirmed, &[solana::pool_address(pool)], None, 0).await?;
    let unreadable = |error| Error::damaged("pool", &pool.to_string(), error);
    let Some(data) = read.accounts.first().and_then(case::own) else { return Ok(None) };
    let (book, lists) = solana::read_pool(data).map_err(unreadable)?;
    // Lists take effect in the order of their publication: earlier ones than the first that counts are not looked at.
    let mut times: Vec<u64> = Vec::new();
    let mut from = lists;
    for _ in 0..LIST_CALLS_MAX {
        if from == 0 || times.first().is_some_and(|time| *time <= funded_at) {
            break;
        }
        let (to, least) = (from, from.saturating_sub(LISTS_AT_ONCE));
        let keys: Vec<Pubkey> = (least..to).map(|index| solana::list_address(pool, index)).collect();
        let heads = node.accounts(Commitment::Confirmed, &keys, Some(List::HEAD), 0).await?;
        let mut page = Vec::with_capacity(keys.len());
        for head in &heads.accounts {
            let Some(data) = case::own(head) else { return Ok(None) };
            page.push(solana::list_head(data).map_err(unreadable)?.effective_at);
        }
        page.append(&mut times);
        (times, from) = (page, least);
    }
    // Those that were not looked at took effect earlier still.
    let earlier = usize::try_from(from).unwrap_or(0);
    let times: Vec<u64> = std::iter::repeat_n(0, earlier).chain(times).collect();
    Ok(Some((book.parent, InEffect::of(&times, funded_at))))
}

/// As many ballots that are not counted yet as one transaction has room for.
fn submit(
    case: &Case<'_>,
    key: &SigningKey,
    intent: &Intent,
    heard: &Jury,
    last: &Jury,
    ballots: &[SignedBallot],
) -> Result<Plan, NoPlan> {
    if !heard.is_drawn() {
        return event("NotDrawn");
    }
    let id = B256::new(heard.case_id);
    let mut open = Vec::with_capacity(ballots.len());
    for ballot in ballots.iter().filter(|ballot| !case::counted(heard, ballot)) {
        open.push(signed(intent.arbiter, heard, id, ballot)?);
    }
    let voting = Voting { ordinal: heard.ordinal, last: last.ordinal };
    for count in (1..=open.len()).rev() {
        let some = open.get(..count).unwrap_or_default();
        let instructions = case.submit(voting, id, some, BEFORE);
        if sign(key, &instructions, UNITS_MAX, 0, [0; 32]).is_ok() {
            let signatures = u64::try_from(count).unwrap_or(u64::MAX).saturating_add(1);
            return Ok(Plan { instructions, signatures });
        }
    }
    event("NoBallots")
}

/// A ballot whose signature holds. The runtime would say of one that does not only that some signature is wrong.
fn signed(arbiter: AccountId, heard: &Jury, case: B256, ballot: &SignedBallot) -> Result<Ballot, NoPlan> {
    let Some(juror) = heard.seated().get(usize::from(ballot.seat)) else {
        return never(format!("BadSeat: the jury has no seat {}", ballot.seat));
    };
    let seat = solana::from_key(juror);
    if let Err(error) =
        chain::ballot_signature(arbiter, case, ballot.share, ballot.reason, seat, &ballot.signature)
    {
        return never(format!("InvalidBallot: seat {}: {error}", ballot.seat));
    }
    let Ok(signature) = <[u8; 64]>::try_from(ballot.signature.as_ref()) else {
        return never(format!("InvalidBallot: seat {}: the signature must have 64 bytes", ballot.seat));
    };
    Ok(Ballot { seat: ballot.seat, share: ballot.share, reason: ballot.reason, key: *juror, signature })
}

fn bearer(
    arbiter: AccountId,
    deal: &Deal,
    party: chain::Address,
    valid_until: u64,
    signature: &[u8],
) -> Result<Bearer, NoPlan> {
    let signer = match party.solana().map(Pubkey::new_from_array) {
        Some(signer) if signer == deal.terms.buyer || signer == deal.terms.seller => signer,
        _ => return never("NotParty: only the buyer or the seller may appeal"),
    };
    // An account that cannot sign approves the appeal on chain instead.
    if signature.is_empty() {
        return Ok(Bearer { signer, valid_until, word: Word::Approval });
    }
    if let Err(error) = chain::appeal_signature(arbiter, deal.id, valid_until, party, signature) {
        return never(format!("InvalidSignature: {error}"));
    }
    match <[u8; 64]>::try_from(signature) {
        Ok(signature) => Ok(Bearer { signer, valid_until, word: Word::Signature(signature) }),
        Err(_) => never("InvalidSignature: the signature must have 64 bytes"),
    }
}

/// What a party asked for, by signatures that hold: the runtime would say of one that does not only that some signature is
/// wrong.
fn asked(
    deal: &Deal,
    payer: Pubkey,
    intent: &Intent,
    act: &PartyAct,
    signed: &[PartySignature],
) -> Result<Plan, NoPlan> {
    let mut words = Vec::with_capacity(signed.len());
    for PartySignature { party, signature } in signed {
        let Some(key) = party.solana().map(Pubkey::new_from_array) else {
            return never(format!("NotParty: {party} is not of this chain"));
        };
        // An account that cannot sign approves on chain instead.
        let word = if signature.is_empty() {
            Word::Approval
        } else {
            if let Err(error) = chain::act_signature(&intent.terms, *party, act, signature) {
                return never(format!("InvalidSignature: {error}"));
            }
            match <[u8; 64]>::try_from(signature.as_ref()) {
                Ok(signature) => Word::Signature(signature),
                Err(_) => return never("InvalidSignature: the signature must have 64 bytes"),
            }
        };
        words.push((key, word));
    }
    let brought = words.iter().filter(|(_, word)| *word != Word::Approval).count();
    let signatures = u64::try_from(brought).unwrap_or(u64::MAX).saturating_add(1);
    match deal.act(payer, act, &words, BEFORE) {
        Ok(instructions) => Ok(Plan { instructions, signatures }),
        Err(error) => never(error.to_string()),
    }
}

async fn appeal(
    node: &Node,
    case: &Case<'_>,
    account: &DealAccount,
    payer: Pubkey,
    last: &Jury,
    bearer: &Bearer,
) -> Result<Result<Plan, NoPlan>, Error> {
    if last.stage() < Stage::Accepted {
        return Ok(event("NotAccepted"));
    }
    let Some((parent, _)) = shown(node, B256::new(account.panel), account.funded_at).await? else {
        return Ok(event("UnknownPool"));
    };
    if parent == B256::ZERO {
        return Ok(never("NotAppealable"));
    }
    let Some((_, list)) = shown(node, parent, account.funded_at).await? else {
        return Ok(event("UnknownPool"));
    };
    let instructions = case.appeal(payer, payer, last.ordinal, (parent, list), Some(bearer), BEFORE);
    let signatures = if bearer.word == Word::Approval { 1 } else { 2 };
    Ok(Ok(Plan { instructions, signatures }))
}

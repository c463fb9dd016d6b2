//! The states of an intent, and which intents are taken at all.

use std::{fmt, str::FromStr};

use protocol::{
    chain::{self, AccountId},
    wire::{
        act::PartyAct,
        intent::{Intent, IntentAction, PartySignature},
    },
};
use serde::{Deserialize, Serialize};

/// The longest business key, in bytes.
pub const KEY_MAX: usize = 200;
/// The most ballots of one intent: the largest jury.
pub const BALLOTS_MAX: usize = 31;
/// The longest signature of a party, in bytes.
pub const SIGNATURE_MAX: usize = 1_024;
/// The longest id of the account that asked, in bytes.
pub const ACCOUNT_MAX: usize = 100;
/// The most signatures of one act: both parties'.
const SIGNERS_MAX: usize = 2;

/// How far an intent is. The steps between them are in [`crate::transactions::next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// No transaction of ours can do it at the moment: the chain does not allow it yet, or nobody has tried.
    Waiting,
    /// A signed transaction is stored and may be mined at any time.
    Attempted,
    /// It is in a block that is not final yet.
    Mined,
    /// The chain shows the effect, and that is final.
    Done,
    /// It cannot succeed any more.
    Failed,
    /// It needs a person to look; the relayer goes on watching.
    Quarantined,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Attempted, Self::Mined, Self::Done, Self::Failed, Self::Quarantined];

    /// Whether nothing is left to do.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }

    /// As in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Attempted => "attempted",
            Self::Mined => "mined",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Quarantined => "quarantined",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
            format!("state `{text:.40}` is none of {}", Self::ALL.map(Self::as_str).join(", "))
        })
    }
}

/// Whether a relayer of its chain can act on an intent.
///
/// # Errors
/// Why it never can, in words for the hub.
pub fn admit(intent: &Intent) -> Result<(), String> {
    let chain = intent.arbiter.chain;
    if intent.key.is_empty() || intent.key.len() > KEY_MAX {
        return Err(format!("key has {} bytes; it must have 1 to {KEY_MAX}", intent.key.len()));
    }
    if intent.terms.arbiter != intent.arbiter {
        return Err(format!("terms name the arbiter {}, not {}", intent.terms.arbiter, intent.arbiter));
    }
    chain::deal_id(&intent.terms).map_err(|error| format!("terms: {error}"))?;
    if let IntentAction::Appeal { signature, .. } = &intent.action
        && signature.len() > SIGNATURE_MAX
    {
        return Err(format!(
            "the appeal's signature has {} bytes; it must have at most {SIGNATURE_MAX}",
            signature.len()
        ));
    }
    if let Some(account) = &intent.asked_by
        && (account.is_empty() || account.len() > ACCOUNT_MAX)
    {
        return Err(format!("asked_by has {} bytes; it must have 1 to {ACCOUNT_MAX}", account.len()));
    }
    if let IntentAction::Act { act, signed } = &intent.action {
        admit_act(intent, act, signed)?;
    }
    if let IntentAction::SubmitBallots { ballots, .. } = &intent.action {
        if ballots.is_empty() || ballots.len() > BALLOTS_MAX {
            return Err(format!("{} ballots; there must be 1 to {BALLOTS_MAX}", ballots.len()));
        }
        for ballot in ballots {
            chain::ballot_form(chain, &ballot.signature)
                .map_err(|error| format!("the ballot of seat {}: {error}", ballot.seat))?;
        }
    }
    Ok(())
}

/// That an act is signed by whom it takes, each once, and has a form on its chain.
fn admit_act(intent: &Intent, act: &PartyAct, signed: &[PartySignature]) -> Result<(), String> {
    let first = signed.first().map(|one| one.party);
    let (Some(first), true) = (first, signed.len() <= SIGNERS_MAX) else {
        return Err(format!("{} signatures; there must be 1 to {SIGNERS_MAX}", signed.len()));
    };
    let wanted = act.signers(&intent.terms, first);
    let present = |party: &AccountId| signed.iter().any(|one| one.party == party.address);
    if wanted.len() != signed.len() || !wanted.iter().all(present) {
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        return Err(format!("{} takes the signatures of {} alone", act.name(), wanted.join(" and ")));
    }
    if let Some(one) = signed.iter().find(|one| one.signature.len() > SIGNATURE_MAX) {
        return Err(format!(
            "the signature of {} has {} bytes; it must have at most {SIGNATURE_MAX}",
            one.party,
            one.signature.len()
        ));
    }
    chain::act_digest(&intent.terms, first, act).map(drop).map_err(|error| error.to_string())
}

//! What anybody can say of a deal without trusting anyone: from its terms alone, and from its chain.

use alloy::primitives::{B256, Bytes};
use anyhow::{Context, Result};
use hub::deals::model::agreement_hash;
use protocol::{
    chain::{AccountId, ChainId, Signed, amount_cap, deal_id, misfits, terms_signature},
    deal::{
        ActionKind, DealState, Status,
        table::{Move, ahead},
        violations,
    },
    evm::{
        UnknownStatus, address_of, call,
        deployment::{self, Contract},
        escrow::Escrow,
        typed,
    },
    solana::{AccountError, from_key},
    terms::Terms,
};
use serde::Serialize;
use serde_json::Value;

use super::{
    chain::Chain,
    evm::{self, deployment::check as check_code},
    solana::{self, program::Found as Program},
};
use crate::{amount, output::time};

/// What is said of a deal.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its terms.
    pub terms: Terms,
    /// Its id.
    pub deal: Option<B256>,
    /// The agreement whose hash the terms carry.
    pub agreement: Option<Value>,
    /// The seller's signature of the terms.
    pub seller_signature: Option<Bytes>,
    /// The escrow that the reader accepts in the place of the published one.
    pub escrow: Option<AccountId>,
}

/// One thing that was checked.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What; a rule that is broken goes by its name.
    pub check: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// What was found.
    pub detail: String,
}

/// Everything that was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The id that the terms have; none where they have no form on their chain.
    pub deal: Option<B256>,
    /// The checks, in their order.
    pub checks: Vec<Check>,
    /// Where the deal stands, as the chain says.
    pub stands: Option<Stands>,
}

/// Where a deal stands.
#[derive(Clone, Debug)]
pub struct Stands {
    /// The chain's time, in Unix seconds.
    pub now: u64,
    /// What the escrow keeps.
    pub state: DealState,
    /// What that comes to now.
    pub status: Status,
    /// What may be done with it, now or later.
    pub next: Vec<Move>,
}

impl Found {
    fn says(&mut self, check: &'static str, holds: bool, detail: impl Into<String>) {
        self.checks.push(Check { check, holds, detail: detail.into() });
    }
}

/// Checks a claim: by itself, and on its chain where there is one. `now` in Unix seconds, for the terms.
pub async fn check(claim: &Claim, chain: Option<&Chain>, now: u64) -> Result<Found> {
    let mut found = Found::default();
    check_terms(claim, now, &mut found);
    check_agreement(claim, &mut found);
    let manifest = deployment::manifest()?;
    let contract = manifest.get(deployment::ESCROW)?;
    let published = match claim.terms.escrow.chain {
        chain @ ChainId::Eip155(_) => AccountId { chain, address: contract.address.into() },
        ChainId::Solana(_) => {
            AccountId { chain: protocol::solana::chain()?, address: from_key(&protocol::solana::program()) }
        }
    };
    check_place(claim, published, &mut found);
    let by_key = check_key(claim, &mut found);
    if let Some(chain) = chain
        && let Some(deal) = found.deal
        && check_contract(claim, chain, contract, &mut found).await?
    {
        if let Chain::Evm(chain) = chain {
            check_id(claim, chain, deal, &mut found).await?;
        }
        check_contract_wallet(claim, chain, deal, by_key, &mut found).await?;
        found.stands = stands(claim, chain, deal, &mut found).await?;
    } else if by_key == Some(false) {
        let detail = match claim.terms.escrow.chain {
            ChainId::Eip155(_) => {
                "no key of the seller's signed these terms; where the seller is a contract wallet, only the chain can tell"
            }
            ChainId::Solana(_) => "the seller's key did not sign these terms",
        };
        found.says("seller's signature", false, detail);
    }
    Ok(found)
}

fn check_terms(claim: &Claim, now: u64, found: &mut Found) {
    let terms = &claim.terms;
    for misfit in misfits(terms) {
        found.says(misfit.name(), false, misfit.to_string());
    }
    for broken in violations(terms, now, amount_cap(terms.escrow.chain)) {
        found.says(broken.name(), false, broken.to_string());
    }
    if found.checks.is_empty() {
        found.says("terms", true, "valid: every rule for what may be funded holds");
    }
    found.deal = deal_id(terms).ok();
    match (found.deal, claim.deal) {
        (Some(deal), Some(given)) if given != deal => {
            found.says("id", false, format!("--deal {given} is not the id of these terms, which is {deal}"));
        }
        (Some(deal), _) => found.says("id", true, format!("{deal} is the hash of these terms")),
        (None, _) => found.says("id", false, "terms without a form on their chain have none"),
    }
}

fn check_agreement(claim: &Claim, found: &mut Found) {
    let Some(agreement) = &claim.agreement else { return };
    let promised = claim.terms.agreement;
    match agreement_hash(agreement) {
        Ok(hash) if hash == promised => {
            found.says("agreement", true, format!("{hash} is its SHA-256 in canonical form"))
        }
        Ok(hash) => found.says("agreement", false, format!("its hash is {hash}, the terms name {promised}")),
        Err(refusal) => found.says("agreement", false, refusal.to_string()),
    }
}

fn check_place(claim: &Claim, published: AccountId, found: &mut Found) {
    let escrow = claim.terms.escrow;
    match claim.escrow {
        Some(accepted) if accepted == escrow => {
            found.says("escrow", true, format!("{escrow} is the one that --escrow names"))
        }
        Some(accepted) => found.says("escrow", false, format!("{escrow} is not {accepted}")),
        None if escrow == published => {
            found.says("escrow", true, format!("{escrow} is the published contract"));
        }
        None => {
            let detail = format!("{escrow} is not the published contract, which is {}", published.address);
            found.says("escrow", false, detail);
        }
    }
}

/// Whether the signature that was handed in is one of the seller's key; that it is not says nothing of contract wallets.
fn check_key(claim: &Claim, found: &mut Found) -> Option<bool> {
    let signature = claim.seller_signature.as_ref()?;
    found.deal?;
    let by_key = terms_signature(&claim.terms, signature) == Ok(Signed::ByKey);
    if by_key {
        found.says("seller's signature", true, "made by the seller's key over this id");
    }
    Some(by_key)
}

/// Whether the chain is the terms' and the escrow there can be believed.
async fn check_contract(
    claim: &Claim,
    chain: &Chain,
    published: &Contract,
    found: &mut Found,
) -> Result<bool> {
    let escrow = claim.terms.escrow;
    if chain.id() != escrow.chain {
        let detail = format!("--rpc {} is {}, the terms are on {}", chain.url(), chain.id(), escrow.chain);
        found.says("chain", false, detail);
        return Ok(false);
    }
    let there = match chain {
        Chain::Evm(chain) if claim.escrow.is_some() => chain.has_code(address_of("escrow", escrow)?).await?,
        Chain::Evm(chain) => {
            let checked = check_code(chain, address_of("escrow", escrow)?, published).await;
            return says_code(checked, found);
        }
        Chain::Solana(chain) => {
            let program = solana::program::look(chain, &solana::key("escrow", escrow.address)?).await?;
            match (&program, claim.escrow) {
                (Program::Program { .. }, None) => return says_code(program.check(escrow), found),
                (Program::Program { .. }, Some(_)) => true,
                (Program::Nothing, _) => false,
            }
        }
    };
    found.says("code", there, if there { "there is a contract" } else { "there is no contract" });
    Ok(there)
}

fn says_code(checked: Result<()>, found: &mut Found) -> Result<bool> {
    match checked {
        Ok(()) => found.says("code", true, "on the chain is the code in this binary, and it cannot change"),
        Err(error) if error.is::<crate::exit::Failure>() => {
            found.says("code", false, error.to_string());
            return Ok(false);
        }
        Err(error) => return Err(error),
    }
    Ok(true)
}

async fn check_id(claim: &Claim, chain: &evm::Chain, deal: B256, found: &mut Found) -> Result<()> {
    let terms = typed::Terms::try_from(&claim.terms)?.into();
    let told = chain.read(call::escrow_of(&claim.terms)?, &Escrow::idOf_1Call { terms }).await?;
    let detail = if told == deal { "the escrow computes the same".to_owned() } else { format!("{told}") };
    found.says("id by the escrow", told == deal, detail);
    Ok(())
}

async fn stands(claim: &Claim, chain: &Chain, deal: B256, found: &mut Found) -> Result<Option<Stands>> {
    let terms = &claim.terms;
    let now = chain.now().await?;
    let state = match chain.deal_state(terms, deal).await {
        Ok(state) => state,
        Err(error) if error.is::<UnknownStatus>() || error.is::<AccountError>() => {
            found.says("state", false, error.to_string());
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let paid = state.released.checked_add(state.refunded);
    let sound = paid.is_some_and(|paid| paid <= terms.amount);
    let status = state.status_at(terms, now);
    found.says("state", sound, words(terms, &state, status));
    // Terms that break a rule cannot be funded, at no time.
    let fundable = violations(terms, now, amount_cap(terms.escrow.chain)).next().is_none();
    let next = ahead(terms, &state, now).filter(|one| one.action != ActionKind::Fund || fundable).collect();
    Ok(Some(Stands { now, state, status, next }))
}

/// Where a deal stands, in words.
fn words(terms: &Terms, state: &DealState, status: Status) -> String {
    let held = amount::of(&terms.asset, state.remaining(terms));
    match status {
        Status::None => "not funded".to_owned(),
        Status::Funded => format!("funded {}, {held} in the escrow", time(state.funded_at)),
        Status::Delivered => format!("delivered {}, {held} in the escrow", time(state.since)),
        Status::Disputed => format!("disputed {}, {held} in the escrow", time(state.since)),
        Status::Closed if state.status == Status::None => {
            "closed, or never funded and now too late: an escrow keeps nothing of either".to_owned()
        }
        Status::Closed if state.released == 0 && state.refunded == 0 => {
            "retracted by a party before it was funded".to_owned()
        }
        Status::Closed => "closed: everything is paid".to_owned(),
    }
}

/// Where the signature is not one of the seller's key, asks the seller's contract (ERC-1271).
async fn check_contract_wallet(
    claim: &Claim,
    chain: &Chain,
    deal: B256,
    by_key: Option<bool>,
    found: &mut Found,
) -> Result<()> {
    let (Some(false), Some(signature)) = (by_key, claim.seller_signature.clone()) else { return Ok(()) };
    let accepted = chain.contract_accepts(claim.terms.seller, deal, signature).await?;
    let detail = if accepted { "the seller's contract accepts it" } else { "not one of the seller's" };
    found.says("seller's signature", accepted, detail);
    Ok(())
}

/// Everything that does not hold, in one line; none where all hold.
pub fn failures(found: &Found) -> Option<anyhow::Error> {
    let broken: Vec<String> = found
        .checks
        .iter()
        .filter(|one| !one.holds)
        .map(|one| format!("{}: {}", one.check, one.detail))
        .collect();
    (!broken.is_empty()).then(|| crate::exit::Failure::does_not_hold(broken.join("; ")))
}

/// The machine's clock, in Unix seconds, for terms whose chain is not asked.
pub fn clock() -> Result<u64> {
    let passed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Ok(passed.context("this machine's clock stands before 1970")?.as_secs())
}

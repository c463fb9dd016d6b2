//! What is done at the program, as instructions; and whether the program on a node is the one of this build.

use alloy::primitives::B256;
use anyhow::{Context, Result, anyhow, bail};
use protocol::{
    chain::AccountId,
    solana::{
        self, Instruction, Pubkey,
        call::{self, Case, Deal, Funding, InEffect, LARGEST_CHUNK, Word},
    },
    terms::Terms,
    wire::feed::RuleBook,
};

use super::{Account, Chain, Wallet};
use crate::{
    client::{
        acts::{Act, Motion},
        chain::Sent,
    },
    exit::Failure,
};

/// The deal with the program that owns its mint.
async fn deal_of(chain: &Chain, terms: &Terms) -> Result<Deal> {
    let token_program = match terms.asset.token {
        None => Pubkey::default(),
        Some(mint) => {
            let at = super::key("asset", mint)?;
            chain.account(&at).await?.ok_or_else(|| anyhow!("asset {mint}: there is no mint"))?.owner
        }
    };
    Ok(Deal::new(terms, token_program)?)
}

fn lamports(what: &str, total: u128) -> Result<u64> {
    u64::try_from(total).map_err(|_| anyhow!("{what} {total}: at most {} fits", u64::MAX))
}

/// Does it to a deal.
pub async fn act(wallet: &Wallet, terms: &Terms, act: Act) -> Result<Sent> {
    let (deal, me, what) = (deal_of(&wallet.chain, terms).await?, wallet.key(), act.name());
    let instructions = match act {
        Act::Deliver(delivery) => deal.deliver(me, delivery, None, 0),
        Act::Release(total) => deal.release(me, lamports("--total", total)?, None, 0),
        Act::Refund(total) => deal.refund(me, lamports("--total", total)?, None, 0),
        Act::Dispute(evidence) => deal.dispute(me, evidence, None, 0),
        Act::Evidence(hash, uri) => deal.evidence(me, hash, uri, None, 0),
        Act::Reclaim => vec![deal.reclaim()],
        Act::Claim => vec![deal.claim()],
        Act::Lapse => vec![deal.lapse()],
        Act::Retract => vec![deal.retract(me)],
    };
    wallet.send(what, &instructions, Some(terms.fund_by)).await
}

/// The buyer, whose wallet this is, funds a deal by the seller's signature of its terms.
pub async fn fund(wallet: &Wallet, terms: &Terms, seller_signature: &[u8]) -> Result<Sent> {
    let deal = deal_of(&wallet.chain, terms).await?;
    let signature = <[u8; 64]>::try_from(seller_signature)
        .map_err(|_| anyhow!("--seller-signature: must have 64 bytes, not {}", seller_signature.len()))?;
    if deal.terms.buyer != wallet.key() {
        bail!("the buyer of these terms is {}, not your wallet {}", terms.buyer.address, wallet.address());
    }
    let seller = Some(Word::Signature(signature));
    let funding = Funding { payer: wallet.key(), buyer: None, seller, source: None };
    let mut sent = wallet.send("fund", &deal.fund(&funding, 0), Some(terms.fund_by)).await?;
    sent.rent_paid = rent_of(&wallet.chain, &deal).await?.into();
    Ok(sent)
}

/// What lies in the accounts of a deal that was just funded above its price.
async fn rent_of(chain: &Chain, deal: &Deal) -> Result<u64> {
    let there =
        chain.account(&deal.address).await?.ok_or_else(|| anyhow!("fund: the deal has no account"))?;
    match deal.token {
        None => Ok(there.lamports.saturating_sub(deal.terms.amount)),
        Some(_) => {
            let vault = chain.account(&solana::vault_address(deal.id)).await?;
            Ok(there.lamports.saturating_add(vault.map_or(0, |vault| vault.lamports)))
        }
    }
}

/// Does it to a case.
pub async fn hear(wallet: &Wallet, terms: &Terms, motion: Motion) -> Result<Sent> {
    let (deal, me) = (deal_of(&wallet.chain, terms).await?, wallet.key());
    let account = wallet.chain.deal(deal.id).await?;
    let count = account.map_or(0, |account| account.juries);
    let Some(last) = count.checked_sub(1) else { bail!("{}: the case is not opened", motion.name()) };
    let jury = wallet.chain.jury(deal.id, last).await?;
    let jury = jury.ok_or_else(|| anyhow!("{}: the node has no jury {last} of the case", motion.name()))?;
    let case = Case(&deal);
    let instructions = match motion {
        Motion::SecondJury => vec![case.open_second_jury(me, last)],
        Motion::Conclude => vec![case.conclude(last.saturating_sub(jury.jury), last)],
        Motion::Execute => vec![case.execute(last)],
        Motion::Appeal => {
            let funded_at = account.map_or(0, |account| account.funded_at);
            let parent = parent_of(&wallet.chain, B256::new(deal.terms.panel), funded_at).await?;
            case.appeal(me, me, last, parent, None, 0)
        }
    };
    wallet.send(motion.name(), &instructions, Some(terms.fund_by)).await
}

/// The pool that hears appeals from a pool, and what shows which of its lists was in effect.
async fn parent_of(chain: &Chain, pool: B256, funded_at: u64) -> Result<(B256, InEffect)> {
    let (book, _) = chain.pool(pool).await?.ok_or_else(|| anyhow!("appeal: there is no pool {pool}"))?;
    if book.parent.is_zero() {
        bail!("appeal: pool {pool} has no parent, so nobody hears appeals from it");
    }
    let parent = chain.pool(book.parent).await?;
    let (_, lists) = parent.ok_or_else(|| anyhow!("appeal: there is no pool {}", book.parent))?;
    let mut times = Vec::new();
    for index in 0..lists {
        times.push(chain.list_effective_at(book.parent, index).await?);
    }
    Ok((book.parent, InEffect::of(&times, funded_at)))
}

/// Creates a pool with these rules.
pub async fn create_pool(wallet: &Wallet, book: &RuleBook) -> Result<Sent> {
    let own =
        solana::rule_book(book).ok_or_else(|| anyhow!("keeper {}: must be a key of Solana", book.keeper))?;
    wallet.send("create the pool", &[call::create_pool(wallet.key(), own)], None).await
}

/// Publishes the next member list of a pool and answers its index; members are distinct and ascending. What an earlier try
/// left unpublished is dropped first.
pub async fn publish(wallet: &Wallet, pool: B256, members: &[Pubkey]) -> Result<(u32, Vec<Sent>)> {
    let (_, index) = wallet.chain.pool(pool).await?.ok_or_else(|| anyhow!("there is no pool {pool}"))?;
    let (me, at) = (wallet.key(), solana::list_address(pool, index));
    let mut sent = Vec::new();
    if let Some(left) = wallet.chain.account(&at).await?.filter(|left| left.owner == solana::program()) {
        let head = solana::list_head(&left.data)?;
        let discard = call::discard_list(me, pool, index, head.rent_payer);
        sent.push(wallet.send("drop an unfinished list", &[discard], None).await?);
    }
    let mut steps: Vec<(&str, Instruction)> =
        vec![("begin the member list", call::create_list(me, pool, index))];
    let mut start = 0;
    for chunk in members.chunks(LARGEST_CHUNK) {
        steps.push(("add members", call::add_members(me, pool, index, start, chunk.to_vec())));
        start = start.saturating_add(u32::try_from(chunk.len()).unwrap_or(u32::MAX));
    }
    steps.push(("publish the member list", call::publish_list(me, pool, index)));
    for (what, instruction) in steps {
        sent.push(wallet.send(what, &[instruction], None).await?);
    }
    Ok((index, sent))
}

/// The program that this build was made with.
const OURS: &[u8] = include_bytes!("../../../../programs/artefacts/earnest.so");
/// The loaders: of programs that can be upgraded, and of those that never could.
const UPGRADEABLE: &str = "BPFLoaderUpgradeab1e11111111111111111111111";
const FIXED: [&str; 2] =
    ["BPFLoader2111111111111111111111111111111111", "BPFLoader1111111111111111111111111111111111"];
/// Bytes of a program's data account before its code: what it is, the slot, and whether and who may upgrade it.
const HEAD: usize = 45;

/// What was found at a program's address.
#[derive(Clone, Debug)]
pub enum Found {
    /// No program.
    Nothing,
    /// A program with this code.
    Program {
        /// The code, with the zeros that a loader may put behind it.
        code: Vec<u8>,
        /// Who may put another in its place.
        authority: Option<Pubkey>,
    },
}

impl Found {
    /// Whether the code is that of this build, to the last byte.
    pub fn is_ours(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Program { code, .. } => {
                code.strip_prefix(OURS).is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
            }
        }
    }

    /// That it is ours and nobody can change it.
    pub fn check(&self, account: AccountId) -> Result<()> {
        if matches!(self, Self::Nothing) {
            return Err(Failure::does_not_hold(format!("{account}: there is no program")));
        }
        if !self.is_ours() {
            return Err(Failure::does_not_hold(format!(
                "{account}: its code is not the code in this binary"
            )));
        }
        match self {
            Self::Program { authority: Some(authority), .. } if !self.is_fixed() => {
                Err(Failure::does_not_hold(format!(
                    "{account}: its code is ours, but {authority} can put another in its place"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Whether nobody can change it. Nobody has a key for the system program's address either.
    pub fn is_fixed(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Program { authority, .. } => authority.is_none_or(|one| one == Pubkey::default()),
        }
    }
}

/// Looks at what is at a program's address.
pub async fn look(chain: &Chain, at: &Pubkey) -> Result<Found> {
    let Some(Account { owner, data, executable: true, .. }) = chain.account(at).await? else {
        return Ok(Found::Nothing);
    };
    if FIXED.contains(&owner.to_string().as_str()) {
        return Ok(Found::Program { code: data, authority: None });
    }
    if owner.to_string() != UPGRADEABLE {
        bail!("{at}: the loader {owner} is unknown");
    }
    let strange = || anyhow!("{at}: the program's account cannot be read");
    let place = data.get(4..36).and_then(|key| <[u8; 32]>::try_from(key).ok()).ok_or_else(strange)?;
    let place = Pubkey::new_from_array(place);
    let there = chain.account(&place).await?.ok_or_else(strange)?;
    let (head, code) = there.data.split_at_checked(HEAD).ok_or_else(strange)?;
    let authority = match head.get(12) {
        Some(0) => None,
        Some(1) => {
            let key = head.get(13..HEAD).and_then(|key| <[u8; 32]>::try_from(key).ok());
            Some(key.map(Pubkey::new_from_array).ok_or_else(strange)?)
        }
        _ => return Err(strange()).context("its data account"),
    };
    Ok(Found::Program { code: code.to_vec(), authority })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_ours_by_every_byte_and_fixed_without_an_authority() {
        let padded = |more: u8| [OURS, &[0, 0, more]].concat();
        let found = |code: Vec<u8>, authority| Found::Program { code, authority };
        assert!(found(OURS.to_vec(), None).is_ours() && found(padded(0), None).is_ours());
        let mut other = OURS.to_vec();
        other[1_000] ^= 1;
        for wrong in [padded(1), other, OURS[1..].to_vec(), OURS[..OURS.len() - 1].to_vec(), Vec::new()] {
            assert!(!found(wrong, None).is_ours());
        }
        let somebody = Pubkey::new_from_array([9; 32]);
        assert!(found(Vec::new(), None).is_fixed() && found(Vec::new(), Some(Pubkey::default())).is_fixed());
        assert!(!found(Vec::new(), Some(somebody)).is_fixed());
        assert!(!Found::Nothing.is_ours() && !Found::Nothing.is_fixed());
    }
}

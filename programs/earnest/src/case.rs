//! The juries of a deal's case, as accounts: finding them, and opening one more.

use anchor_lang::prelude::*;

use crate::{
    clock,
    errors::Refusal,
    events::CaseOpened,
    sortition::TARGET_AHEAD,
    state::{self, seeds, Deal, Jury, Stage, Status, ARBITER},
};

/// A jury of the deal, whichever it is.
///
/// # Errors
/// Another account.
pub fn jury<'info>(
    deal: &AccountLoader<'info, Deal>,
    account: &'info AccountInfo<'info>,
) -> Result<AccountLoader<'info, Jury>> {
    let found = AccountLoader::<Jury>::try_from(account)?;
    require_keys_eq!(found.load()?.deal, deal.key(), Refusal::WrongAccount);
    Ok(found)
}

/// The last jury of the case, which is where the case stands.
///
/// # Errors
/// `NotMyDeal`, `UnknownCase`; another account.
pub fn last<'info>(
    deal: &AccountLoader<'info, Deal>,
    account: &'info AccountInfo<'info>,
) -> Result<AccountLoader<'info, Jury>> {
    let juries = {
        let deal = deal.load()?;
        require!(deal.arbiter == ARBITER, Refusal::NotMyDeal);
        require!(deal.juries != 0, Refusal::UnknownCase);
        deal.juries
    };
    let last = jury(deal, account)?;
    require!(last.load()?.ordinal == juries - 1, Refusal::WrongAccount);
    Ok(last)
}

/// The first jury of the instance whose second one is the last of the case.
///
/// # Errors
/// Another account.
pub fn first_of<'info>(
    deal: &AccountLoader<'info, Deal>,
    account: &'info AccountInfo<'info>,
    second: &Jury,
) -> Result<AccountLoader<'info, Jury>> {
    let found = jury(deal, account)?;
    {
        let first = found.load()?;
        let before = first.ordinal.checked_add(1) == Some(second.ordinal);
        require!(before && first.instance == second.instance, Refusal::WrongAccount);
    }
    Ok(found)
}

/// A jury whose ballots still count, and the last jury of the case. `last` is none where that is the same.
///
/// # Errors
/// `NotMyDeal`, `UnknownCase`, `AlreadyAccepted`, `NotDrawn`, `TooLate`; other accounts.
pub fn voting<'info>(
    deal: &AccountLoader<'info, Deal>,
    account: &'info AccountInfo<'info>,
    last: Option<&'info AccountInfo<'info>>,
    now: u64,
) -> Result<(AccountLoader<'info, Jury>, AccountLoader<'info, Jury>)> {
    let newest = self::last(deal, last.unwrap_or(account))?;
    check_undecided(newest.load()?.stage())?;
    let heard = match last {
        None => newest.clone(),
        Some(last) => {
            require_keys_neq!(*account.key, *last.key, Refusal::WrongAccount);
            require!(!state::is_empty(account), Refusal::NotDrawn);
            first_of(deal, account, &*newest.load()?)?
        }
    };
    {
        let jury = heard.load()?;
        require!(jury.is_drawn(), Refusal::NotDrawn);
        require!(now <= jury.ends_at, Refusal::TooLate);
    }
    Ok((heard, newest))
}

/// That no ruling is accepted yet.
///
/// # Errors
/// `AlreadyAccepted`.
pub fn check_undecided(stage: Stage) -> Result<()> {
    require!(stage < Stage::Accepted, Refusal::AlreadyAccepted);
    Ok(())
}

/// That a ruling is accepted and not executed.
///
/// # Errors
/// `AlreadyExecuted`, `NotAccepted`.
pub fn check_accepted(stage: Stage) -> Result<()> {
    require!(stage != Stage::Executed, Refusal::AlreadyExecuted);
    require!(stage == Stage::Accepted, Refusal::NotAccepted);
    Ok(())
}

/// That the deal is disputed.
///
/// # Errors
/// `NotDisputed`.
pub fn check_disputed(deal: &Deal) -> Result<()> {
    require!(deal.status() == Status::Disputed, Refusal::NotDisputed);
    Ok(())
}

/// Opens one more jury of the deal's case, which `write` gives whom it is drawn from: creates its account and fixes its
/// target.
///
/// # Errors
/// Another account than the next jury's; a payer with too little.
pub fn open_another<'info>(
    deal: &AccountLoader<'info, Deal>,
    account: &'info AccountInfo<'info>,
    payer: &AccountInfo<'info>,
    write: impl FnOnce(&mut Jury),
) -> Result<CaseOpened> {
    let (id, ordinal) = {
        let mut deal = deal.load_mut()?;
        let ordinal = deal.juries;
        deal.juries = ordinal.checked_add(1).ok_or(Refusal::Broken)?;
        deal.invariant()?;
        (deal.id, ordinal)
    };
    let (address, bump) = Pubkey::find_program_address(&[seeds::JURY, &id, &[ordinal]], &crate::ID);
    require_keys_eq!(*account.key, address, Refusal::WrongAccount);
    let seeds: &[&[u8]] = &[seeds::JURY, &id, &[ordinal], &[bump]];
    state::create(account, payer, &crate::ID, seeds, Jury::SIZE, 0, Jury::DISCRIMINATOR)?;
    let jury = AccountLoader::<Jury>::try_from(account)?;
    let mut jury = jury.load_mut()?;
    (jury.deal, jury.rent_payer, jury.ordinal, jury.bump) = (deal.key(), *payer.key, ordinal, bump);
    jury.stage = Stage::Opened as u8;
    jury.target_slot = clock::slot()?.saturating_add(TARGET_AHEAD);
    write(&mut jury);
    jury.invariant()?;
    Ok(CaseOpened { deal: id, instance: jury.instance, jury: jury.jury, target_slot: jury.target_slot })
}

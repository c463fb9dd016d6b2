use anchor_lang::prelude::*;

use crate::{
    case, clock,
    digest::Signable,
    ed25519::{self, *},
    errors::Refusal,
    events::Appealed,
    panel::*,
    state::{Deal, Jury, Pool},
};

/// An appeal.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct AppealArgs {
    /// The party's signature, where it is not the caller.
    pub signed: Option<Signed>,
}

/// The buyer or the seller brings the accepted ruling before the parent of the pool, once. A signed appeal cannot be taken
/// back: it ends with its `valid_until`.
#[event_cpi]
#[derive(Accounts)]
pub struct Appeal<'info> {
    /// Who pays the jury's rent, until the deal is closed.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// CHECK: loaded here, as the last jury of the case.
    pub last: UncheckedAccount<'info>,
    /// CHECK: created here, at the address that follows from the deal and its number of juries.
    #[account(mut)]
    pub jury: UncheckedAccount<'info>,
    /// The party.
    pub authority: Authority<'info>,
    /// CHECK: compared with the pool of the terms.
    pub pool: UncheckedAccount<'info>,
    /// CHECK: compared with the pool's parent.
    pub parent: UncheckedAccount<'info>,
    /// The parent's list.
    pub of_parent: InEffect<'info>,
    /// Creates the account.
    pub system_program: Program<'info, System>,
}

impl<'info> Appeal<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn appeal(ctx: Context<'info, Self>, args: AppealArgs) -> Result<()> {
        let accounts: &'info Self = ctx.accounts;
        let last = case::last(&accounts.deal, accounts.last.as_ref())?;
        let before = last.load()?;
        case::check_accepted(before.stage())?;
        let until = before.appeal_until().ok_or(Refusal::NotAppealable)?;
        let by = accounts.authority.account(&args.signed);
        let (id, panel) = {
            let deal = accounts.deal.load()?;
            case::check_disputed(&deal)?;
            let now = clock::now()?;
            require!(now <= until, Refusal::TooLate);
            ed25519::check_time(&args.signed, now)?;
            require!(by == deal.buyer || by == deal.seller, Refusal::NotParty);
            let valid_until = args.signed.map_or(0, |signed| signed.valid_until);
            let digest = Signable::Appeal.digest(&[&deal.id, &valid_until.to_le_bytes()]);
            let (signed, action) = (&args.signed, Signable::Appeal);
            accounts.authority.require(by, Refusal::NotParty, signed, action, &digest, false)?;
            let own = Pool::at(&accounts.pool, &deal.panel)?.ok_or(Refusal::UnknownPool)?;
            let parent = Pool::at(&accounts.parent, &own.book.parent)?.ok_or(Refusal::UnknownPool)?;
            let found = accounts.of_parent.at(&parent, deal.funded_at)?.ok_or(Refusal::NoList)?;
            (deal.id, Panel::appeal(&parent, found, until))
        };
        let write = |jury: &mut Jury| {
            panel.write(jury);
            (jury.disputed_at, jury.appealed, jury.without) = (before.disputed_at, 1, before.share);
        };
        let opened = case::open_another(&accounts.deal, accounts.jury.as_ref(), &accounts.payer, write)?;
        emit_cpi!(Appealed { deal: id, by });
        emit_cpi!(opened);
        Ok(())
    }
}

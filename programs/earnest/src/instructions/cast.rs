use anchor_lang::prelude::*;

use crate::{
    ballots, case, clock,
    errors::Refusal,
    events::BallotCast,
    payout::*,
    ruling::{emit_accepted, Bench, Outcome},
    state::Deal,
};

/// A juror's ballot.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct CastArgs {
    /// Index of the seat.
    pub seat: u8,
    /// The seller's, in basis points: a multiple of 500.
    pub share: u16,
    /// SHA-256 of the written reason, or zero.
    pub reason: [u8; 32],
}

/// A juror votes itself, which is final and replaces what it signed. A ruling that this determines is executed at once where
/// it can be.
#[event_cpi]
#[derive(Accounts)]
pub struct Cast<'info> {
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// CHECK: loaded here, as a jury of the present instance.
    #[account(mut)]
    pub jury: UncheckedAccount<'info>,
    /// CHECK: loaded here, as the last jury of the case; none where that is `jury`.
    #[account(mut)]
    pub last: Option<UncheckedAccount<'info>>,
    /// Who holds the seat.
    pub juror: Signer<'info>,
    /// Where the deal pays out.
    pub payouts: Payouts<'info>,
}

impl<'info> Cast<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn cast(ctx: Context<'info, Self>, args: CastArgs) -> Result<()> {
        let accounts: &'info Self = ctx.accounts;
        let now = clock::now()?;
        let last = accounts.last.as_ref().map(AsRef::as_ref);
        let (heard, last) = case::voting(&accounts.deal, accounts.jury.as_ref(), last, now)?;
        let CastArgs { seat, share, reason } = args;
        let (votes, event) = {
            let jury = heard.load()?;
            let juror = jury.seated().get(usize::from(seat)).ok_or(Refusal::BadSeat)?;
            require!(accounts.juror.key == juror, Refusal::NotJuror);
            let mut votes = jury.votes;
            let vote = votes.get_mut(usize::from(seat)).ok_or(Refusal::Broken)?;
            *vote = ballots::with_cast(*vote, share)?;
            let deal = accounts.deal.load()?.id;
            (votes, BallotCast { deal, instance: jury.instance, jury: jury.jury, seat, share, reason })
        };
        let bench = Bench::new(&accounts.deal, &accounts.payouts, &last, now)?;
        let outcome = bench.count(&heard, &votes)?;
        emit_cpi!(event);
        match outcome {
            Outcome::Counted(event) => emit_cpi!(event),
            Outcome::Accepted(accepted) => emit_accepted!(ctx, accepted),
        }
        Ok(())
    }
}

use anchor_lang::prelude::*;

use crate::{
    ballots, case, clock,
    digest::Signable,
    ed25519::{self, Signatures},
    errors::Refusal,
    payout::*,
    ruling::{emit_accepted, Bench, Outcome},
    state::Deal,
};

/// Signed ballots.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct SubmitArgs {
    /// Index of the Ed25519 instruction in the transaction that carries all of their signatures.
    pub instruction: u8,
    /// Counted in this order.
    pub ballots: Vec<SignedBallot>,
}

/// A ballot that its juror signed.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct SignedBallot {
    /// Index of the seat.
    pub seat: u8,
    /// The seller's, in basis points: a multiple of 500.
    pub share: u16,
    /// SHA-256 of the written reason, or zero.
    pub reason: [u8; 32],
    /// Index of its signature in the Ed25519 instruction.
    pub entry: u8,
}

/// Anyone hands in signed ballots, at once or in steps. A ruling that they determine is executed at once where it can be.
#[event_cpi]
#[derive(Accounts)]
pub struct Submit<'info> {
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// CHECK: loaded here, as a jury of the present instance.
    #[account(mut)]
    pub jury: UncheckedAccount<'info>,
    /// CHECK: loaded here, as the last jury of the case; none where that is `jury`.
    #[account(mut)]
    pub last: Option<UncheckedAccount<'info>>,
    /// CHECK: the transaction's instructions.
    #[account(address = ed25519::sysvar_id())]
    pub instructions: UncheckedAccount<'info>,
    /// Where the deal pays out.
    pub payouts: Payouts<'info>,
}

impl<'info> Submit<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn submit(ctx: Context<'info, Self>, args: SubmitArgs) -> Result<()> {
        let accounts: &'info Self = ctx.accounts;
        let now = clock::now()?;
        let last = accounts.last.as_ref().map(AsRef::as_ref);
        let (heard, last) = case::voting(&accounts.deal, accounts.jury.as_ref(), last, now)?;
        let votes = {
            let jury = heard.load()?;
            require!(!args.ballots.is_empty(), Refusal::NoBallots);
            let signatures = Signatures::load(&accounts.instructions, args.instruction)?;
            let mut votes = jury.votes;
            for SignedBallot { seat, share, reason, entry } in args.ballots {
                let seat = usize::from(seat);
                let juror = jury.seated().get(seat).ok_or(Refusal::BadSeat)?;
                let ballot = Signable::Ballot;
                let digest = ballot.digest(&[&jury.case_id, &share.to_le_bytes(), &reason]);
                let signed = signatures.is_signed(entry, juror, &ballot.line(&digest))?;
                require!(signed, Refusal::InvalidBallot);
                let vote = votes.get_mut(seat).ok_or(Refusal::Broken)?;
                *vote = ballots::with_signed(*vote, share)?;
            }
            require!(votes != jury.votes, Refusal::NoBallots);
            votes
        };
        let bench = Bench::new(&accounts.deal, &accounts.payouts, &last, now)?;
        match bench.count(&heard, &votes)? {
            Outcome::Counted(event) => emit_cpi!(event),
            Outcome::Accepted(accepted) => emit_accepted!(ctx, accepted),
        }
        Ok(())
    }
}

use anchor_lang::{prelude::*, system_program};

use crate::{
    clock,
    digest::Signable,
    ed25519::{self, Claimed, Place, Signed},
    errors::Refusal,
    events::Funded,
    intake,
    state::{self, seeds, Deal, Status},
    terms::Terms,
};

/// The terms but for the parties and the mint, which are accounts; and how the parties agree that do not sign the
/// transaction.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct FundArgs {
    /// Who alone may rule.
    pub arbiter: Pubkey,
    /// In the asset's smallest unit.
    pub amount: u64,
    /// Unix seconds.
    pub fund_by: u64,
    /// Unix seconds.
    pub deliver_by: u64,
    /// Seconds.
    pub inspection: u32,
    /// Seconds.
    pub ruling: u32,
    /// Basis points.
    pub lapse_share: u16,
    /// A payment channel.
    pub metered: bool,
    /// The pool of the arbiter.
    pub panel: [u8; 32],
    /// SHA-256 of the agreement.
    pub agreement: [u8; 32],
    /// Makes equal deals distinct.
    pub salt: [u8; 32],
    /// The buyer's consent, where it does not sign the transaction. SOL then comes from the payer, tokens from the buyer's
    /// account by its allowance to [`state::ALLOWANCE`].
    pub buyer: Option<Signed>,
    /// Where the seller's signature of the terms stands, where it does not sign the transaction.
    pub seller: Option<Place>,
}

impl FundArgs {
    /// The whole terms.
    pub fn terms(&self, buyer: Pubkey, seller: Pubkey, mint: Pubkey) -> Terms {
        Terms {
            buyer,
            seller,
            arbiter: self.arbiter,
            mint,
            amount: self.amount,
            fund_by: self.fund_by,
            deliver_by: self.deliver_by,
            inspection: self.inspection,
            ruling: self.ruling,
            lapse_share: self.lapse_share,
            metered: self.metered,
            panel: self.panel,
            agreement: self.agreement,
            salt: self.salt,
        }
    }
}

/// Takes the amount in, with the consent of both parties.
#[event_cpi]
#[derive(Accounts)]
pub struct Fund<'info> {
    /// Who pays the rent, and SOL that the buyer does not pay itself.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// CHECK: part of the terms. Where it signs, it agrees by that and pays.
    #[account(mut)]
    pub buyer: UncheckedAccount<'info>,
    /// CHECK: part of the terms. Where it signs, it agrees by that.
    pub seller: UncheckedAccount<'info>,
    /// CHECK: created here, at the address that follows from the terms.
    #[account(mut)]
    pub deal: UncheckedAccount<'info>,
    /// CHECK: what the buyer said of its signature on chain; needed with one.
    pub buyer_consent: Option<UncheckedAccount<'info>>,
    /// CHECK: the seller's approval of the terms on chain, in place of a signature.
    pub seller_consent: Option<UncheckedAccount<'info>>,
    /// CHECK: the transaction's instructions, where an Ed25519 signature is among them.
    #[account(address = ed25519::sysvar_id())]
    pub instructions: Option<UncheckedAccount<'info>>,
    /// What a deal of tokens needs besides.
    pub tokens: TokensIn<'info>,
    /// Creates the account.
    pub system_program: Program<'info, System>,
}

/// The accounts of a funding with tokens: all, or none for SOL.
#[derive(Accounts)]
pub struct TokensIn<'info> {
    /// CHECK: checked to be a safe mint.
    pub mint: Option<UncheckedAccount<'info>>,
    /// CHECK: created here, at the address that follows from the deal.
    #[account(mut)]
    pub vault: Option<UncheckedAccount<'info>>,
    /// CHECK: the buyer's account of the token.
    #[account(mut)]
    pub source: Option<UncheckedAccount<'info>>,
    /// CHECK: the address that the buyer's allowance is for, where the buyer does not sign the transaction.
    #[account(address = state::ALLOWANCE.0)]
    pub allowance: Option<UncheckedAccount<'info>>,
    /// CHECK: compared with the mint's owner.
    pub token_program: Option<UncheckedAccount<'info>>,
}

impl<'info> Fund<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn fund(ctx: Context<'info, Self>, args: FundArgs) -> Result<()> {
        let accounts = &ctx.accounts;
        let now = clock::now()?;
        let mint = accounts.tokens.mint.as_ref().map_or(Pubkey::default(), |mint| mint.key());
        let terms = args.terms(accounts.buyer.key(), accounts.seller.key(), mint);
        terms.validate(now)?;
        let id = terms.id();
        let bump = check_empty(&accounts.deal, &id, terms.fund_by, now)?;
        if !accounts.buyer.is_signer {
            ed25519::check_time(&args.buyer, now)?;
        }
        accounts.check_consents(&args, &id)?;

        let (coin, from) = if !terms.is_coin() {
            (0, &accounts.payer.to_account_info())
        } else if accounts.buyer.is_signer {
            (terms.amount, &accounts.buyer.to_account_info())
        } else {
            (terms.amount, &accounts.payer.to_account_info())
        };
        let one_payer = accounts.payer.key() == *from.key;
        let rent = Deal::rent()?;
        let due = if one_payer { coin.saturating_add(rent.into()) } else { coin };
        require!(from.lamports() >= due, Refusal::TransferFailed);
        let signer: &[&[u8]] = &[seeds::DEAL, &id, &[bump]];
        let with_coin = if one_payer { coin } else { 0 };
        state::create(
            &accounts.deal,
            &accounts.payer,
            &crate::ID,
            signer,
            Deal::SIZE,
            with_coin,
            Deal::DISCRIMINATOR,
        )?;
        if !one_payer {
            let transfer =
                system_program::Transfer { from: from.clone(), to: accounts.deal.to_account_info() };
            system_program::transfer(CpiContext::new(system_program::ID, transfer), coin)?;
        }

        let taken = if terms.is_coin() { None } else { Some(intake::take(accounts, &terms, &id)?) };
        {
            let mut data = accounts.deal.try_borrow_mut_data()?;
            let deal = Deal::fresh(&mut data)?;
            deal.begin(&terms, id, accounts.payer.key(), rent, bump);
            (deal.status, deal.funded_at) = (Status::Funded as u8, now);
            deal.count_event();
            if let Some(taken) = taken {
                (deal.vault, deal.token_program) = (taken.vault, taken.token_program);
                (deal.seller_destination, deal.buyer_destination) = (taken.seller, taken.buyer);
            }
            deal.invariant()?;
        }
        emit_cpi!(Funded { deal: id, terms });
        Ok(())
    }

    fn check_consents(&self, args: &FundArgs, id: &[u8; 32]) -> Result<()> {
        let instructions = self.instructions.as_ref().map(|account| account.as_ref());
        if !self.buyer.is_signer {
            let signed = args.buyer.ok_or(Refusal::NotBuyer)?;
            require_keys_eq!(signed.signer, self.buyer.key(), Refusal::InvalidSignature);
            let digest = Signable::Fund.digest(&[id, &signed.valid_until.to_le_bytes()]);
            let claimed =
                Claimed { signer: signed.signer, action: Signable::Fund, digest: &digest, revocable: true };
            let consent = self.buyer_consent.as_ref().map(|account| account.as_ref());
            ed25519::verify(&claimed, signed.place, consent, instructions)?;
        }
        if !self.seller.is_signer {
            let consent = self.seller_consent.as_ref().map(|account| account.as_ref());
            require!(args.seller.is_some() || consent.is_some(), Refusal::InvalidSignature);
            // Terms are taken back by retracting them.
            let claimed =
                Claimed { signer: self.seller.key(), action: Signable::Terms, digest: id, revocable: false };
            ed25519::verify(&claimed, args.seller, consent, instructions)?;
        }
        Ok(())
    }
}

/// That a deal's account is its own and not there yet; gives the address's bump.
///
/// # Errors
/// `AlreadyFunded`, `DealClosed`.
pub fn check_empty(account: &AccountInfo<'_>, id: &[u8; 32], fund_by: u64, now: u64) -> Result<u8> {
    let (address, bump) = Pubkey::find_program_address(&[seeds::DEAL, id], &crate::ID);
    require_keys_eq!(*account.key, address, Refusal::WrongAccount);
    if state::is_empty(account) {
        require!(now <= fund_by, Refusal::DealClosed);
        return Ok(bump);
    }
    let data = account.try_borrow_data()?;
    let size = Deal::SIZE;
    require!(data.len() == size && account.owner == &crate::ID, Refusal::WrongAccount);
    let deal: &Deal = bytemuck::from_bytes(data.get(8..size).ok_or(Refusal::WrongAccount)?);
    let closed = deal.status() == Status::Closed;
    Err(if closed { Refusal::DealClosed } else { Refusal::AlreadyFunded }.into())
}

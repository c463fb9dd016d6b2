//! A deal.

use anchor_lang::prelude::*;

use crate::{
    errors::Refusal,
    state::seeds,
    terms::{Terms, WHOLE},
};

/// The states of a deal, numbered as on every chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// No account, or none yet.
    None,
    /// The amount is here.
    Funded,
    /// The seller said that it delivered.
    Delivered,
    /// A party disputed.
    Disputed,
    /// Everything is paid, or the terms were retracted.
    Closed,
}

/// What is kept of a deal: the terms that actions need, where it stands, what is owed as credit, and how far its case is.
/// Amounts in the asset's smallest unit, times in Unix seconds. The coin of a deal lies in this account itself, above its
/// rent; tokens lie in the vault.
#[account(zero_copy)]
#[derive(Debug, PartialEq, Eq)]
pub struct Deal {
    /// The hash of its terms.
    pub id: [u8; 32],
    /// Who pays.
    pub buyer: Pubkey,
    /// Who delivers.
    pub seller: Pubkey,
    /// Who may rule.
    pub arbiter: Pubkey,
    /// The mint; the default key for SOL.
    pub mint: Pubkey,
    /// The program of the mint; the default key for SOL.
    pub token_program: Pubkey,
    /// What holds the tokens; the default key for SOL.
    pub vault: Pubkey,
    /// Where the seller is paid: its wallet, or its associated token account.
    pub seller_destination: Pubkey,
    /// Where the buyer is paid: its wallet, or its associated token account.
    pub buyer_destination: Pubkey,
    /// The pool of the arbiter.
    pub panel: [u8; 32],
    /// Who paid the rent, and gets it back.
    pub rent_payer: Pubkey,
    /// Of the terms.
    pub amount: u64,
    /// Of the terms.
    pub fund_by: u64,
    /// Of the terms.
    pub deliver_by: u64,
    /// When it was delivered (Delivered) or disputed (Disputed), else zero.
    pub since: u64,
    /// When it was funded.
    pub funded_at: u64,
    /// Paid or credited to the seller.
    pub released: u64,
    /// Paid or credited to the buyer.
    pub refunded: u64,
    /// Owed to the seller.
    pub seller_credit: u64,
    /// Owed to the buyer.
    pub buyer_credit: u64,
    /// Of the terms, in seconds.
    pub inspection: u32,
    /// Of the terms, in seconds.
    pub ruling: u32,
    /// How often the seller withdrew credit: part of what it signs.
    pub seller_withdrawals: u32,
    /// How often the buyer withdrew credit: part of what it signs.
    pub buyer_withdrawals: u32,
    /// Of the terms, in basis points.
    pub lapse_share: u16,
    /// Of the terms: 1 or 0.
    pub metered: u8,
    /// A [`Status`].
    pub status: u8,
    /// Its events so far, modulo 256.
    pub count: u8,
    /// How many juries its case has had.
    pub juries: u8,
    /// How many rulings the pools accepted.
    pub rulings: u8,
    /// Of its address.
    pub bump: u8,
    /// What the account's rent was when it was made, in lamports: the rent payer's, whatever rent is by now.
    pub rent: u32,
    /// Zero.
    pub reserved: [u8; 4],
}

impl Deal {
    /// Bytes of the account.
    pub const SIZE: usize = 8 + core::mem::size_of::<Self>();

    /// The deal in the data of an account that was just created for it.
    ///
    /// # Errors
    /// Data of another size.
    pub fn fresh(data: &mut [u8]) -> Result<&mut Self> {
        let bytes = data.get_mut(8..Self::SIZE).ok_or(Refusal::Broken)?;
        Ok(bytemuck::from_bytes_mut(bytes))
    }

    /// Lamports of rent for the account of a deal that is made now.
    ///
    /// # Errors
    /// [`Refusal::Broken`] where they are more than a deal can remember, a thousand times what they are today.
    pub fn rent() -> Result<u32> {
        let rent = Rent::get()?.minimum_balance(Self::SIZE);
        Ok(u32::try_from(rent).map_err(|_| Refusal::Broken)?)
    }

    /// Writes what follows from the terms; the rest stays zero. `rent` in lamports.
    pub fn begin(&mut self, terms: &Terms, id: [u8; 32], rent_payer: Pubkey, rent: u32, bump: u8) {
        self.id = id;
        (self.buyer, self.seller, self.arbiter, self.mint) =
            (terms.buyer, terms.seller, terms.arbiter, terms.mint);
        (self.seller_destination, self.buyer_destination) = (terms.seller, terms.buyer);
        self.panel = terms.panel;
        self.rent_payer = rent_payer;
        (self.amount, self.fund_by, self.deliver_by) = (terms.amount, terms.fund_by, terms.deliver_by);
        (self.inspection, self.ruling) = (terms.inspection, terms.ruling);
        (self.lapse_share, self.metered) = (terms.lapse_share, u8::from(terms.metered));
        (self.rent, self.bump) = (rent, bump);
    }

    /// Its status.
    pub fn status(&self) -> Status {
        match self.status {
            0 => Status::None,
            1 => Status::Funded,
            2 => Status::Delivered,
            3 => Status::Disputed,
            _ => Status::Closed,
        }
    }

    /// Whether of SOL.
    pub fn is_coin(&self) -> bool {
        self.mint == Pubkey::default()
    }

    /// Whether a payment channel.
    pub fn is_metered(&self) -> bool {
        self.metered != 0
    }

    /// What is still held for the deal itself, credit apart.
    pub fn remaining(&self) -> u64 {
        match self.status() {
            Status::None | Status::Closed => 0,
            _ => self.amount.saturating_sub(self.released).saturating_sub(self.refunded),
        }
    }

    /// All that is held: what remains and what is owed.
    pub fn held(&self) -> u64 {
        self.remaining().saturating_add(self.seller_credit).saturating_add(self.buyer_credit)
    }

    /// The last second in which the arbiter can rule.
    pub fn ruling_deadline(&self) -> u64 {
        self.since.saturating_add(self.ruling.into())
    }

    /// The seeds by which the program signs for the deal.
    pub fn signer<'a>(&'a self, bump: &'a [u8; 1]) -> [&'a [u8]; 3] {
        [seeds::DEAL, &self.id, bump]
    }

    /// What holds of every deal, whatever happened. Called at the end of every instruction that changes one.
    ///
    /// # Errors
    /// [`Refusal::Broken`]: the program is wrong, and nothing happens.
    pub fn invariant(&self) -> Result<()> {
        let paid = self.released.checked_add(self.refunded).ok_or(Refusal::Broken)?;
        let credit = self.seller_credit.checked_add(self.buyer_credit).ok_or(Refusal::Broken)?;
        let retracted = self.status() == Status::Closed && self.funded_at == 0 && paid == 0;
        let closed_when_paid = (self.status() == Status::Closed) == (paid == self.amount);
        let since = matches!(self.status(), Status::Delivered | Status::Disputed) == (self.since != 0);
        let sound = paid <= self.amount
            && self.seller_credit <= self.released
            && self.buyer_credit <= self.refunded
            && credit <= paid
            && (retracted || closed_when_paid)
            && since
            && self.status() != Status::None;
        require!(sound, Refusal::Broken);
        Ok(())
    }
}

/// What can be asked of a deal that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// [`crate::Deliver`].
    Deliver,
    /// [`crate::Release`].
    Release,
    /// [`crate::Refund`].
    Refund,
    /// [`crate::Dispute`].
    Dispute,
    /// [`crate::Evidence`].
    Evidence,
    /// [`crate::Reclaim`].
    Reclaim,
    /// [`crate::Claim`].
    Claim,
    /// [`crate::Settle`].
    Settle,
    /// [`crate::Rule`].
    Rule,
    /// [`crate::Lapse`].
    Lapse,
}

impl Deal {
    /// Whether the deal's status allows an action: the table of `docs/protocol.md`, section 2, without its windows.
    ///
    /// # Errors
    /// The refusal of the table.
    pub fn check_status(&self, action: Action) -> Result<()> {
        use Action as A;
        use Refusal as R;
        use Status as S;
        let status = self.status();
        if self.is_metered()
            && matches!(status, S::Funded | S::Delivered | S::Disputed)
            && matches!(action, A::Deliver | A::Claim)
        {
            return err!(R::MeteredDeal);
        }
        let refused = match (status, action) {
            (S::None, _) => R::UnknownDeal,
            (S::Closed, _) => R::DealClosed,
            (S::Funded, A::Claim) => R::NotDelivered,
            (S::Delivered, A::Deliver | A::Reclaim) => R::AlreadyDelivered,
            (S::Funded | S::Delivered, A::Rule | A::Lapse | A::Evidence) => R::NotDisputed,
            (S::Disputed, A::Deliver | A::Dispute | A::Reclaim | A::Claim) => R::DealDisputed,
            (S::Funded, A::Deliver | A::Release | A::Refund | A::Dispute | A::Reclaim | A::Settle)
            | (S::Delivered, A::Release | A::Refund | A::Dispute | A::Claim | A::Settle)
            | (S::Disputed, A::Release | A::Refund | A::Evidence | A::Settle | A::Rule | A::Lapse) => {
                return Ok(());
            }
        };
        Err(refused.into())
    }

    /// Whether an action that the status allows is in time. Both ends of a window belong to it.
    ///
    /// # Errors
    /// `TooEarly` or `TooLate`.
    pub fn check_window(&self, action: Action, now: u64) -> Result<()> {
        let grace = if self.is_metered() { u64::from(self.inspection) } else { 0 };
        let inspected = self.since.saturating_add(self.inspection.into());
        let (after, until) = match (action, self.status()) {
            (Action::Deliver, _) | (Action::Dispute, Status::Funded) => (None, Some(self.deliver_by)),
            (Action::Dispute, _) => (None, Some(inspected)),
            (Action::Reclaim, _) => (Some(self.deliver_by.saturating_add(grace)), None),
            (Action::Claim, _) => (Some(inspected), None),
            (Action::Rule, _) => (None, Some(self.ruling_deadline())),
            (Action::Lapse, _) => (Some(self.ruling_deadline()), None),
            (Action::Release | Action::Refund | Action::Evidence | Action::Settle, _) => (None, None),
        };
        require!(after.is_none_or(|after| now > after), Refusal::TooEarly);
        require!(until.is_none_or(|until| now <= until), Refusal::TooLate);
        Ok(())
    }

    /// [`Self::check_status`], then [`Self::check_window`].
    ///
    /// # Errors
    /// Of either.
    pub fn check(&self, action: Action, now: u64) -> Result<()> {
        self.check_status(action)?;
        self.check_window(action, now)
    }

    /// A total moved into what the seller has already and what the buyer left.
    pub fn clamp(&self, total: u64) -> u64 {
        total.max(self.released).min(self.amount.saturating_sub(self.refunded))
    }

    /// The seller's total at a share of the whole amount, in basis points: rounded down, then clamped.
    pub fn seller_total(&self, share: u16) -> u64 {
        let total = u128::from(self.amount) * u128::from(share.min(WHOLE)) / u128::from(WHOLE);
        self.clamp(u64::try_from(total).unwrap_or(u64::MAX))
    }

    /// The receiving side's new total: what is conceded, as far as the other side's total leaves it.
    ///
    /// # Errors
    /// `TotalTooHigh`, `NothingMoves`.
    pub fn concede(&self, total: u64, before: u64, other: u64) -> Result<u64> {
        require!(total <= self.amount, Refusal::TotalTooHigh);
        let total = total.min(self.amount.saturating_sub(other));
        require!(total > before, Refusal::NothingMoves);
        Ok(total)
    }

    /// Counts an event that pays nothing, and gives its number.
    pub fn count_event(&mut self) -> u8 {
        self.count = self.count.wrapping_add(1);
        self.count
    }
}

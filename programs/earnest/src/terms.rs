//! What a buyer and a seller agree on, whether it may be funded, and the id that follows from it.

use anchor_lang::prelude::*;

use crate::{digest, errors::Refusal};

/// Basis points of a whole.
pub const WHOLE: u16 = 10_000;
/// Seconds; the longest `inspection` and `ruling`: 366 days.
pub const LONGEST_WINDOW: u32 = 366 * 86_400;
/// Seconds from funding to the farthest `deliver_by`: 3,650 days.
pub const FARTHEST_DEADLINE: u64 = 3_650 * 86_400;

/// The terms of a deal (`docs/protocol.md`, section 1). Amounts in the asset's smallest unit, times in Unix seconds.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Who pays.
    pub buyer: Pubkey,
    /// Who delivers.
    pub seller: Pubkey,
    /// Who alone may rule: [`crate::state::arbiter`] for the pools of this program.
    pub arbiter: Pubkey,
    /// The token's mint; the default key for SOL.
    pub mint: Pubkey,
    /// 1 to 2^64 - 1.
    pub amount: u64,
    /// The seller's signature is worthless after it.
    pub fund_by: u64,
    /// Not delivered by then, everything left goes back to the buyer.
    pub deliver_by: u64,
    /// Seconds after delivery in which to release or dispute.
    pub inspection: u32,
    /// Seconds after a dispute in which the arbiter must have ruled.
    pub ruling: u32,
    /// The seller's share of the whole amount if no ruling arrives in time, in basis points.
    pub lapse_share: u16,
    /// A payment channel: no deliver, no claim.
    pub metered: bool,
    /// The pool of the arbiter: the hash of its rule book.
    pub panel: [u8; 32],
    /// SHA-256 of the JCS-canonical agreement.
    pub agreement: [u8; 32],
    /// Makes equal deals distinct.
    pub salt: [u8; 32],
}

impl Terms {
    /// The deal's id, which is also what the seller signs: the digest named `terms` of the fields in order, numbers in
    /// little-endian bytes.
    pub fn id(&self) -> [u8; 32] {
        digest::digest(
            "terms",
            &[
                self.buyer.as_ref(),
                self.seller.as_ref(),
                self.arbiter.as_ref(),
                self.mint.as_ref(),
                &self.amount.to_le_bytes(),
                &self.fund_by.to_le_bytes(),
                &self.deliver_by.to_le_bytes(),
                &self.inspection.to_le_bytes(),
                &self.ruling.to_le_bytes(),
                &self.lapse_share.to_le_bytes(),
                &[u8::from(self.metered)],
                &self.panel,
                &self.agreement,
                &self.salt,
            ],
        )
    }

    /// Whether a deal of SOL.
    pub fn is_coin(&self) -> bool {
        self.mint == Pubkey::default()
    }

    /// Whether these terms may be funded at `now`. That `now` is not after `fund_by` is a matter of state: such a deal
    /// counts as closed.
    ///
    /// # Errors
    /// The first rule that is broken, in the order of [`Refusal`].
    pub fn validate(&self, now: u64) -> Result<()> {
        let none = Pubkey::default();
        require!(self.buyer != none && self.seller != none, Refusal::ZeroParty);
        let mut accounts = [self.buyer, self.seller, self.arbiter, crate::ID, self.mint];
        accounts.sort_unstable();
        require!(accounts.windows(2).all(|pair| pair[0] != pair[1]), Refusal::SameParty);
        require!(self.amount > 0, Refusal::AmountOutOfRange);
        let windows = [self.inspection, self.ruling];
        require!(
            windows.iter().all(|window| (1..=LONGEST_WINDOW).contains(window)),
            Refusal::WindowOutOfRange
        );
        require!(self.lapse_share <= WHOLE, Refusal::ShareOutOfRange);
        require!(self.fund_by < self.deliver_by, Refusal::DeadlinesOutOfOrder);
        require!(self.deliver_by <= now.saturating_add(FARTHEST_DEADLINE), Refusal::DeadlineTooFar);
        Ok(())
    }
}

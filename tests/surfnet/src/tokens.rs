//! Mints and token accounts.

use anchor_spl::{
    associated_token::spl_associated_token_account::instruction::create_associated_token_account_idempotent,
    token::spl_token::instruction as token,
};
use protocol::solana::{self, Pubkey};
use serde_json::json;
use solana_sdk::signature::Keypair;

use crate::{Surfnet, key};

/// The first token program.
pub const TOKEN: Pubkey = anchor_spl::token::ID;
const MINT_BYTES: usize = 82;

impl Surfnet {
    /// A mint of the first token program with 6 decimals, at the key of `mint`; `authority` pays and may mint.
    pub async fn mint(&self, mint: &Keypair, authority: &Keypair) -> Pubkey {
        let (at, by) = (key(mint), key(authority));
        let rent = self.rpc().get_minimum_balance_for_rent_exemption(MINT_BYTES).await.expect("the rent");
        let empty = json!({ "lamports": rent, "data": "00".repeat(MINT_BYTES), "owner": TOKEN.to_string() });
        self.ask("surfnet_setAccount", json!([at.to_string(), empty])).await.expect("an account");
        let make = token::initialize_mint2(&TOKEN, &at, &by, None, 6).expect("an instruction");
        self.send(&[make], &[authority]).await.expect("a mint");
        at
    }

    /// Mints to the owner's associated account, which is made where it is not there.
    pub async fn give_tokens(
        &self,
        owner: &Pubkey,
        mint: &Pubkey,
        authority: &Keypair,
        amount: u64,
    ) -> Pubkey {
        let (by, account) = (key(authority), solana::associated_token(owner, mint, &TOKEN));
        let make = create_associated_token_account_idempotent(&by, owner, mint, &TOKEN);
        let give = token::mint_to(&TOKEN, mint, &account, &by, &[], amount).expect("an instruction");
        self.send(&[make, give], &[authority]).await.expect("tokens");
        account
    }
}

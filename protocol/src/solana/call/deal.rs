//! The instructions of a deal.

use alloy::primitives::B256;
use anchor_lang::{prelude::Pubkey, system_program};
use earnest_program::{accounts, instruction as data};

use super::{Bearer, Gathered, Instruction, Word, authority, instruction};
use crate::{
    chain::{Address, TermsError},
    solana::{self, Line, address, event_authority, program},
    terms::Terms,
    wire::act::{PartyAct, TimeOut},
};

/// The token of a deal: its mint, and the program of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The mint.
    pub mint: Pubkey,
    /// The program that owns the mint: SPL Token or Token-2022.
    pub program: Pubkey,
}

/// A deal, as far as its instructions need to know it.
#[derive(Clone, Debug)]
pub struct Deal {
    /// Its terms.
    pub terms: earnest_program::Terms,
    /// Their id.
    pub id: B256,
    /// Its account.
    pub address: Pubkey,
    /// Its token; none for SOL.
    pub token: Option<Token>,
}

/// How a deal is funded.
#[derive(Clone, Debug)]
pub struct Funding {
    /// Who pays the rent, and SOL that the buyer does not pay itself. Signs.
    pub payer: Pubkey,
    /// The buyer's word; none where the buyer signs the transaction.
    pub buyer: Option<Bearer>,
    /// The seller's word on the terms; none where the seller signs the transaction.
    pub seller: Option<Word>,
    /// The buyer's account of the token; none for SOL, and for a token its associated account where none is named.
    pub source: Option<Pubkey>,
}

/// What both agreed on.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// What the seller has in the end.
    pub seller_total: u64,
    /// The status that it was signed for, by its number.
    pub status: u8,
    /// How many rulings the arbiter had accepted.
    pub rulings: u8,
    /// Unix seconds.
    pub valid_until: u64,
    /// The buyer's word; none where the buyer is the caller.
    pub buyer: Option<Word>,
    /// The seller's word; none where the seller is the caller.
    pub seller: Option<Word>,
}

/// Why there is no instruction of what a party said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoInstruction {
    /// A number that the program cannot hold.
    #[error("{field} {value} is too large for this chain")]
    TooLarge {
        /// Of the act.
        field: &'static str,
        /// Its value.
        value: u128,
    },
    /// An address of another kind of chain.
    #[error("{field} {value} is not of this chain")]
    Foreign {
        /// Of the act.
        field: &'static str,
        /// Its value.
        value: Address,
    },
    /// Somebody has to agree and did not.
    #[error("the word of {0} is missing")]
    Unsigned(Pubkey),
}

impl Deal {
    /// A deal of these terms; `token_program` owns the mint of a token and is not read for SOL.
    ///
    /// # Errors
    /// Terms without a form on this chain.
    pub fn new(terms: &Terms, token_program: Pubkey) -> Result<Self, TermsError> {
        let terms = solana::terms(terms)?;
        let id = B256::new(terms.id());
        let token = (!terms.is_coin()).then_some(Token { mint: terms.mint, program: token_program });
        Ok(Self { address: address::deal(id), id, terms, token })
    }

    fn destination(&self, party: Pubkey) -> Pubkey {
        self.token.map_or(party, |token| address::associated_token(&party, &token.mint, &token.program))
    }

    fn vault(&self) -> Option<Pubkey> {
        self.token.map(|_| address::vault(self.id))
    }

    pub(super) fn payouts(&self) -> accounts::Payouts {
        accounts::Payouts {
            seller: self.destination(self.terms.seller),
            buyer: self.destination(self.terms.buyer),
            vault: self.vault(),
            mint: self.token.map(|token| token.mint),
            token_program: self.token.map(|token| token.program),
        }
    }

    /// Takes the amount in. The Ed25519 instruction, if there is one, will be at `at` of the transaction.
    pub fn fund(&self, funding: &Funding, at: u8) -> Vec<Instruction> {
        let terms = &self.terms;
        let mut gathered = Gathered::new(at);
        let line = Line::fund(self.id, funding.buyer.as_ref().map_or(0, |buyer| buyer.valid_until));
        let buyer = funding.buyer.as_ref().map(|bearer| gathered.signed(&line, bearer));
        let seller =
            funding.seller.as_ref().and_then(|word| gathered.take(terms.seller, &Line::terms(self.id), word));
        let approved = funding.seller == Some(Word::Approval);
        let args = earnest_program::FundArgs {
            arbiter: terms.arbiter,
            amount: terms.amount,
            fund_by: terms.fund_by,
            deliver_by: terms.deliver_by,
            inspection: terms.inspection,
            ruling: terms.ruling,
            lapse_share: terms.lapse_share,
            metered: terms.metered,
            panel: terms.panel,
            agreement: terms.agreement,
            salt: terms.salt,
            buyer,
            seller,
        };
        let accounts = accounts::Fund {
            payer: funding.payer,
            buyer: terms.buyer,
            seller: terms.seller,
            deal: self.address,
            buyer_consent: funding.buyer.as_ref().map(|buyer| address::consent(&buyer.signer, line.digest)),
            seller_consent: approved.then(|| address::consent(&terms.seller, self.id)),
            instructions: gathered.instructions_sysvar(),
            tokens: accounts::TokensIn {
                mint: self.token.map(|token| token.mint),
                vault: self.vault(),
                source: self.token.map(|_| funding.source.unwrap_or_else(|| self.destination(terms.buyer))),
                allowance: self.token.filter(|_| funding.buyer.is_some()).map(|_| address::allowance()),
                token_program: self.token.map(|token| token.program),
            },
            system_program: system_program::ID,
            event_authority: event_authority(),
            program: program(),
        };
        let mut own = instruction(accounts, data::Fund { args });
        for (party, signs) in
            [(terms.buyer, funding.buyer.is_none()), (terms.seller, funding.seller.is_none())]
        {
            for meta in own.accounts.iter_mut().filter(|meta| meta.pubkey == party) {
                meta.is_signer |= signs;
            }
        }
        gathered.with(own)
    }

    /// Makes the terms worthless before they are funded; `caller` is a party and pays the rent.
    pub fn retract(&self, caller: Pubkey) -> Instruction {
        let accounts = accounts::Retract {
            payer: caller,
            caller,
            deal: self.address,
            system_program: system_program::ID,
            event_authority: event_authority(),
            program: program(),
        };
        instruction(
            accounts,
            data::Retract { args: earnest_program::RetractArgs { terms: self.terms.clone() } },
        )
    }

    /// The seller says that it delivered.
    pub fn deliver(
        &self,
        caller: Pubkey,
        delivery: B256,
        bearer: Option<&Bearer>,
        at: u8,
    ) -> Vec<Instruction> {
        let mut gathered = Gathered::new(at);
        let line = Line::deliver(self.id, delivery, bearer.map_or(0, |bearer| bearer.valid_until));
        let signed = bearer.map(|bearer| gathered.signed(&line, bearer));
        let accounts = accounts::Deliver {
            deal: self.address,
            authority: authority(caller, &line, bearer, &gathered),
            event_authority: event_authority(),
            program: program(),
        };
        let args = earnest_program::DeliverArgs { delivery: delivery.0, signed };
        gathered.with(instruction(accounts, data::Deliver { args }))
    }

    /// The buyer raises the seller's total.
    pub fn release(&self, caller: Pubkey, total: u64, bearer: Option<&Bearer>, at: u8) -> Vec<Instruction> {
        let mut gathered = Gathered::new(at);
        let line = Line::release(self.id, total);
        let signed = bearer.map(|bearer| gathered.signed(&line, bearer));
        let accounts = accounts::Release {
            deal: self.address,
            authority: authority(caller, &line, bearer, &gathered),
            payouts: self.payouts(),
            event_authority: event_authority(),
            program: program(),
        };
        let args = earnest_program::ReleaseArgs { total, signed };
        gathered.with(instruction(accounts, data::Release { args }))
    }

    /// The seller raises the buyer's total.
    pub fn refund(&self, caller: Pubkey, total: u64, bearer: Option<&Bearer>, at: u8) -> Vec<Instruction> {
        let mut gathered = Gathered::new(at);
        let line = Line::refund(self.id, total);
        let signed = bearer.map(|bearer| gathered.signed(&line, bearer));
        let accounts = accounts::Refund {
            deal: self.address,
            authority: authority(caller, &line, bearer, &gathered),
            payouts: self.payouts(),
            event_authority: event_authority(),
            program: program(),
        };
        let args = earnest_program::RefundArgs { total, signed };
        gathered.with(instruction(accounts, data::Refund { args }))
    }

    /// A party disputes.
    pub fn dispute(
        &self,
        caller: Pubkey,
        evidence: B256,
        bearer: Option<&Bearer>,
        at: u8,
    ) -> Vec<Instruction> {
        let mut gathered = Gathered::new(at);
        let line = Line::dispute(self.id, evidence, bearer.map_or(0, |bearer| bearer.valid_until));
        let signed = bearer.map(|bearer| gathered.signed(&line, bearer));
        let accounts = accounts::Dispute {
            deal: self.address,
            authority: authority(caller, &line, bearer, &gathered),
            event_authority: event_authority(),
            program: program(),
        };
        let args = earnest_program::DisputeArgs { evidence: evidence.0, signed };
        gathered.with(instruction(accounts, data::Dispute { args }))
    }

    /// A party adds to the dispute.
    pub fn evidence(
        &self,
        caller: Pubkey,
        evidence: B256,
        uri: String,
        bearer: Option<&Bearer>,
        at: u8,
    ) -> Vec<Instruction> {
        let mut gathered = Gathered::new(at);
        let line = Line::evidence(self.id, evidence, &uri, bearer.map_or(0, |bearer| bearer.valid_until));
        let signed = bearer.map(|bearer| gathered.signed(&line, bearer));
        let accounts = accounts::Evidence {
            deal: self.address,
            authority: authority(caller, &line, bearer, &gathered),
            event_authority: event_authority(),
            program: program(),
        };
        let args = earnest_program::EvidenceArgs { evidence: evidence.0, uri, signed };
        gathered.with(instruction(accounts, data::Evidence { args }))
    }

    /// Anyone gives the rest back to the buyer.
    pub fn reclaim(&self) -> Instruction {
        let accounts = accounts::Reclaim {
            deal: self.address,
            payouts: self.payouts(),
            event_authority: event_authority(),
            program: program(),
        };
        instruction(accounts, data::Reclaim {})
    }

    /// Anyone gives the rest to the seller.
    pub fn claim(&self) -> Instruction {
        let accounts = accounts::Claim {
            deal: self.address,
            payouts: self.payouts(),
            event_authority: event_authority(),
            program: program(),
        };
        instruction(accounts, data::Claim {})
    }

    /// Anyone closes a deal on which nobody ruled in time.
    pub fn lapse(&self) -> Instruction {
        let accounts = accounts::Lapse {
            deal: self.address,
            payouts: self.payouts(),
            event_authority: event_authority(),
            program: program(),
        };
        instruction(accounts, data::Lapse {})
    }

    /// The arbiter rules; `share` in basis points.
    pub fn rule(&self, arbiter: Pubkey, share: u16) -> Instruction {
        let accounts = accounts::Rule {
            deal: self.address,
            arbiter,
            payouts: self.payouts(),
            event_authority: event_authority(),
            program: program(),
        };
        instruction(accounts, data::Rule { share })
    }

    /// Both parties close the deal as they agreed.
    pub fn settle(&self, caller: Pubkey, settlement: &Settlement, at: u8) -> Vec<Instruction> {
        let Settlement { seller_total, status, rulings, valid_until, buyer, seller } = settlement;
        let mut gathered = Gathered::new(at);
        let line = Line::settle(self.id, *seller_total, *status, *rulings, *valid_until);
        let consent =
            |party: &Pubkey, word: &Option<Word>| word.as_ref().map(|_| address::consent(party, line.digest));
        let (of_buyer, of_seller) = (consent(&self.terms.buyer, buyer), consent(&self.terms.seller, seller));
        let args = earnest_program::SettleArgs {
            seller_total: *seller_total,
            rulings: *rulings,
            valid_until: *valid_until,
            buyer: buyer.as_ref().and_then(|word| gathered.take(self.terms.buyer, &line, word)),
            seller: seller.as_ref().and_then(|word| gathered.take(self.terms.seller, &line, word)),
        };
        let accounts = accounts::Settle {
            deal: self.address,
            caller,
            buyer_consent: of_buyer,
            seller_consent: of_seller,
            instructions: gathered.instructions_sysvar(),
            payouts: self.payouts(),
            event_authority: event_authority(),
            program: program(),
        };
        gathered.with(instruction(accounts, data::Settle { args }))
    }

    /// A creditor takes credit of this deal to `to`; a signature names how often the creditor withdrew from the deal
    /// before.
    pub fn withdraw(
        &self,
        caller: Pubkey,
        amount: u64,
        to: Pubkey,
        bearer: Option<(&Bearer, u32)>,
        at: u8,
    ) -> Vec<Instruction> {
        let mut gathered = Gathered::new(at);
        let (creditor, until, nonce) =
            bearer.map_or((caller, 0, 0), |(bearer, nonce)| (bearer.signer, bearer.valid_until, nonce));
        let line = Line::withdraw(self.id, &creditor, amount, &to, nonce, until);
        let bearer = bearer.map(|(bearer, _)| bearer);
        let signed = bearer.map(|bearer| gathered.signed(&line, bearer));
        let accounts = accounts::Withdraw {
            deal: self.address,
            authority: authority(caller, &line, bearer, &gathered),
            to,
            vault: self.vault(),
            mint: self.token.map(|token| token.mint),
            token_program: self.token.map(|token| token.program),
            event_authority: event_authority(),
            program: program(),
        };
        let args = earnest_program::WithdrawArgs { amount, signed };
        gathered.with(instruction(accounts, data::Withdraw { args }))
    }

    /// Anyone sends what a party said, or both parties: their signatures, or that they approved it on chain. `caller` pays.
    ///
    /// # Errors
    /// A number that does not fit, an address of another kind of chain, or a word of somebody who has none in this.
    pub fn act(
        &self,
        caller: Pubkey,
        act: &PartyAct,
        words: &[(Pubkey, Word)],
        at: u8,
    ) -> Result<Vec<Instruction>, NoInstruction> {
        let small =
            |field, value: u128| u64::try_from(value).map_err(|_| NoInstruction::TooLarge { field, value });
        let valid_until = act.valid_until().unwrap_or_default();
        let of = |party: Pubkey| words.iter().find(|(key, _)| *key == party).map(|(_, word)| word.clone());
        let by = |party: Pubkey| {
            let word = of(party).ok_or(NoInstruction::Unsigned(party))?;
            Ok::<_, NoInstruction>(Bearer { signer: party, valid_until, word })
        };
        let first = words.first().map(|(key, _)| *key).unwrap_or_default();
        Ok(match act {
            PartyAct::Deliver { delivery, .. } => {
                self.deliver(caller, *delivery, Some(&by(self.terms.seller)?), at)
            }
            PartyAct::Release { total } => {
                self.release(caller, small("total", *total)?, Some(&by(self.terms.buyer)?), at)
            }
            PartyAct::Refund { total } => {
                self.refund(caller, small("total", *total)?, Some(&by(self.terms.seller)?), at)
            }
            PartyAct::Dispute { evidence, .. } => self.dispute(caller, *evidence, Some(&by(first)?), at),
            PartyAct::Evidence { evidence, uri, .. } => {
                self.evidence(caller, *evidence, uri.clone(), Some(&by(first)?), at)
            }
            PartyAct::Settle { seller_total, status, rulings, .. } => {
                let settlement = Settlement {
                    seller_total: small("seller_total", *seller_total)?,
                    status: *status,
                    rulings: *rulings,
                    valid_until,
                    buyer: Some(by(self.terms.buyer)?.word),
                    seller: Some(by(self.terms.seller)?.word),
                };
                self.settle(caller, &settlement, at)
            }
            PartyAct::Withdraw { amount, to, nonce, .. } => {
                let nonce = u32::try_from(*nonce)
                    .map_err(|_| NoInstruction::TooLarge { field: "nonce", value: (*nonce).into() })?;
                let to = solana::key(*to).ok_or(NoInstruction::Foreign { field: "to", value: *to })?;
                self.withdraw(caller, small("amount", *amount)?, to, Some((&by(first)?, nonce)), at)
            }
        })
    }

    /// Anyone ends a deal as it ends by itself.
    pub fn time_out(&self, time_out: TimeOut) -> Instruction {
        match time_out {
            TimeOut::Reclaim => self.reclaim(),
            TimeOut::Claim => self.claim(),
            TimeOut::Lapse => self.lapse(),
        }
    }

    /// Anyone closes the accounts of a deal that is over. `juries` are its case's, in their order, each with who paid its
    /// rent.
    pub fn close(&self, rent_payer: Pubkey, juries: &[(Pubkey, Pubkey)]) -> Instruction {
        let accounts = accounts::Close {
            deal: self.address,
            rent_payer,
            buyer: self.destination(self.terms.buyer),
            vault: self.vault(),
            mint: self.token.map(|token| token.mint),
            token_program: self.token.map(|token| token.program),
        };
        let mut own = instruction(accounts, data::Close {});
        for (jury, payer) in juries {
            own.accounts.push(solana::AccountMeta::new(*jury, false));
            own.accounts.push(solana::AccountMeta::new(*payer, false));
        }
        own
    }
}

/// The signer approves a digest; `payer` pays the rent of the account, which stays.
pub fn approve(payer: Pubkey, signer: Pubkey, digest: B256) -> Instruction {
    let accounts = accounts::Approve {
        payer,
        signer,
        consent: address::consent(&signer, digest),
        system_program: system_program::ID,
        event_authority: event_authority(),
        program: program(),
    };
    instruction(accounts, data::Approve { digest: digest.0 })
}

/// The signer makes its signature or approval of a digest worthless.
pub fn revoke(payer: Pubkey, signer: Pubkey, digest: B256) -> Instruction {
    let accounts = accounts::Revoke {
        payer,
        signer,
        consent: address::consent(&signer, digest),
        system_program: system_program::ID,
        event_authority: event_authority(),
        program: program(),
    };
    instruction(accounts, data::Revoke { digest: digest.0 })
}

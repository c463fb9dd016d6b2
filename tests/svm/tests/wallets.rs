//! Parties whose wallets are addresses of another program: nobody has a key, and they agree by that program's call.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "test code"
)]

use alloy::primitives::B256;
use protocol::solana::{
    self, AccountMeta, Instruction, Line, Pubkey,
    call::{self, Bearer, Deal, Funding, Settlement, Token, Word},
};
use solana_program_runtime::{declare_process_instruction, solana_sbpf::program::BuiltinFunctionDefinition};
use solana_sdk::{
    instruction::InstructionError,
    signature::{Keypair, Signer},
    transaction::TransactionError,
};
use svm::{
    ENDOWMENT, Svm, TOKEN, key, keypair,
    trade::{AMOUNT, FUND_BY, FUNDED, MOVED, Setting, Trade, VALID_UNTIL},
};

const BUYER: u8 = 1;
const SELLER: u8 = 2;
const PROXY: u64 = 77;

// Calls what it is told to, and signs for one of its wallets: the first byte names it, the first account is the program.
// A builtin of this machine; what the runtime lets a caller sign for is the same for every program.
declare_process_instruction!(Proxy, 1, |context| {
    let (instruction, owner, wallet) = {
        let own = context.transaction_context.get_current_instruction_context()?;
        let owner = *own.get_program_key()?;
        let (number, data) =
            own.get_instruction_data().split_first().ok_or(InstructionError::InvalidInstructionData)?;
        let wallet = Pubkey::find_program_address(&[&[*number]], &owner);
        let mut accounts = Vec::new();
        for at in 1..own.get_number_of_instruction_accounts() {
            let pubkey = *own.get_key_of_instruction_account(at)?;
            let is_signer = own.is_instruction_account_signer(at)? || pubkey == wallet.0;
            accounts.push(AccountMeta {
                pubkey,
                is_signer,
                is_writable: own.is_instruction_account_writable(at)?,
            });
        }
        let program_id = *own.get_key_of_instruction_account(0)?;
        (Instruction { program_id, accounts, data: data.to_vec() }, *number, wallet)
    };
    context.native_invoke_signed(instruction, &[&[&[owner], &[wallet.1]]])
});

fn proxy() -> Pubkey {
    key(&keypair(PROXY))
}

fn wallet(number: u8) -> Pubkey {
    Pubkey::find_program_address(&[&[number]], &proxy()).0
}

/// The call as the proxy makes it for a wallet. Only the last instruction: those of Ed25519 stay as they are.
fn through(number: u8, mut call: Vec<Instruction>) -> Vec<Instruction> {
    let inner = call.pop().unwrap();
    let program = AccountMeta::new_readonly(inner.program_id, false);
    let mut accounts = vec![program];
    // No transaction can carry the wallet's signature.
    accounts.extend(
        inner
            .accounts
            .into_iter()
            .map(|meta| AccountMeta { is_signer: meta.is_signer && meta.pubkey != wallet(number), ..meta }),
    );
    let data = [vec![number], inner.data].concat();
    call.push(Instruction { program_id: proxy(), accounts, data });
    call
}

/// A trade whose buyer and seller are wallets of the proxy.
fn trade(token: Option<Pubkey>) -> (Svm, Trade, Deal) {
    let mut svm = Svm::start();
    svm.vm.add_builtin(keypair(PROXY).pubkey(), Proxy::register);
    let trade = Trade::set(&mut svm, Setting { token, ..Setting::default() });
    let mut terms = trade.deal.terms.clone();
    (terms.buyer, terms.seller) = (wallet(BUYER), wallet(SELLER));
    for party in [terms.buyer, terms.seller] {
        svm.endow(&party, ENDOWMENT);
        if let Some(Token { mint, program }) = trade.deal.token {
            svm.give_tokens(&party, &mint, program, AMOUNT);
        }
    }
    let id = B256::new(terms.id());
    let token = trade.deal.token;
    let deal = Deal { address: solana::deal_address(id), id, terms, token };
    svm.set_time(FUNDED);
    (svm, trade, deal)
}

fn fund(svm: &mut Svm, trade: &Trade, deal: &Deal) {
    let relayer = key(&trade.relayer);
    let approve = through(SELLER, vec![call::approve(relayer, wallet(SELLER), deal.id)]);
    svm.must(&approve, &[&trade.relayer]);
    let funding = Funding { payer: relayer, buyer: None, seller: Some(Word::Approval), source: None };
    svm.must(&through(BUYER, deal.fund(&funding, 0)), &[&trade.relayer]);
}

fn held(svm: &Svm, deal: &Deal, party: u8) -> u64 {
    match &deal.token {
        None => svm.lamports(&wallet(party)),
        Some(token) => svm.tokens(&solana::associated_token(&wallet(party), &token.mint, &token.program)),
    }
}

fn refused(svm: &mut Svm, call: &[Instruction], signers: &[&Keypair], name: &str) {
    let failure = svm.send(call, signers).unwrap_err();
    assert_eq!(failure.refusal(None), Some(name), "{failure:#?}");
}

#[test]
fn wallets_of_programs_trade_from_funding_to_payment() {
    for token in [None, Some(TOKEN)] {
        let (mut svm, trade, deal) = trade(token);
        let before = [BUYER, SELLER].map(|party| held(&svm, &deal, party));
        fund(&mut svm, &trade, &deal);
        assert_eq!(held(&svm, &deal, BUYER), before[0] - AMOUNT);
        svm.set_time(MOVED);
        svm.must(&through(SELLER, deal.deliver(wallet(SELLER), [1; 32].into(), None, 0)), &[]);
        svm.must(&through(BUYER, deal.release(wallet(BUYER), AMOUNT / 4, None, 0)), &[]);
        svm.must(&through(SELLER, deal.refund(wallet(SELLER), AMOUNT / 4, None, 0)), &[]);
        svm.must(&through(BUYER, deal.dispute(wallet(BUYER), [2; 32].into(), None, 0)), &[]);
        let evidence = deal.evidence(wallet(SELLER), [3; 32].into(), "ipfs://a".into(), None, 0);
        svm.must(&through(SELLER, evidence), &[]);
        svm.must(&through(BUYER, deal.release(wallet(BUYER), AMOUNT / 4 * 3, None, 0)), &[]);
        let after = [before[0] - AMOUNT / 4 * 3, before[1] + AMOUNT / 4 * 3];
        assert_eq!([BUYER, SELLER].map(|party| held(&svm, &deal, party)), after);
        svm.set_time(FUND_BY + 1);
        svm.must(&[deal.close(key(&trade.relayer), &[])], &[]);
        assert!(svm.account(&deal.address).is_none());
    }
}

#[test]
fn wallets_of_programs_settle_by_approval_and_call() {
    let (mut svm, trade, deal) = trade(None);
    fund(&mut svm, &trade, &deal);
    let line = Line::settle(deal.id, AMOUNT / 4, 1, 0, VALID_UNTIL);
    let offer = Settlement {
        seller_total: AMOUNT / 4,
        status: 1,
        rulings: 0,
        valid_until: VALID_UNTIL,
        buyer: None,
        seller: Some(Word::Approval),
    };
    let settle = through(BUYER, deal.settle(wallet(BUYER), &offer, 0));
    refused(&mut svm, &settle, &[], "InvalidSignature");
    let payer = key(&trade.relayer);
    let approve = call::approve(payer, wallet(SELLER), line.digest);
    svm.must(&through(SELLER, vec![approve]), &[&trade.relayer]);
    let before = held(&svm, &deal, SELLER);
    svm.must(&settle, &[]);
    assert_eq!(held(&svm, &deal, SELLER), before + AMOUNT / 4);
}

#[test]
fn an_approval_of_a_wallet_counts_until_it_revokes_it() {
    let (mut svm, trade, deal) = trade(None);
    fund(&mut svm, &trade, &deal);
    let payer = key(&trade.relayer);
    let line = Line::release(deal.id, AMOUNT);
    let approve = call::approve(payer, wallet(BUYER), line.digest);
    svm.must(&through(BUYER, vec![approve]), &[&trade.relayer]);
    let bearer = Bearer { signer: wallet(BUYER), valid_until: 0, word: Word::Approval };
    let release = deal.release(payer, AMOUNT, Some(&bearer), 0);
    svm.clone().must(&release, &[&trade.relayer]);
    let revoke = call::revoke(payer, wallet(BUYER), line.digest);
    svm.must(&through(BUYER, vec![revoke]), &[&trade.relayer]);
    refused(&mut svm, &release, &[&trade.relayer], "SignatureRevoked");
}

#[test]
fn a_wallet_of_a_program_retracts_and_pays_for_it() {
    let (mut svm, _, deal) = trade(None);
    let before = svm.lamports(&wallet(SELLER));
    svm.must(&through(SELLER, vec![deal.retract(wallet(SELLER))]), &[]);
    assert!(svm.lamports(&wallet(SELLER)) < before);
    svm.set_time(FUND_BY + 1);
    svm.must(&[deal.close(wallet(SELLER), &[])], &[]);
    assert_eq!(svm.lamports(&wallet(SELLER)), before);
}

/// The proxy signs for the wallet that it was told, and for no other one.
#[test]
fn one_wallet_does_not_speak_for_another() {
    let (mut svm, trade, deal) = trade(None);
    fund(&mut svm, &trade, &deal);
    let release = deal.release(wallet(SELLER), AMOUNT, None, 0);
    refused(&mut svm, &through(SELLER, release), &[], "NotBuyer");
    // The buyer's wallet as the caller, without its signature: Anchor's AccountNotSigner.
    let mut release = through(BUYER, deal.release(wallet(BUYER), AMOUNT, None, 0));
    let main = release.last_mut().unwrap();
    *main.data.first_mut().unwrap() = SELLER;
    let failure = svm.send(&release, &[]).unwrap_err();
    assert_eq!(failure.error, TransactionError::InstructionError(0, InstructionError::Custom(3_010)));
    let approve = through(BUYER, vec![call::approve(key(&trade.relayer), wallet(BUYER), deal.id)]);
    let mut other = approve.clone();
    *other.last_mut().unwrap().data.first_mut().unwrap() = SELLER;
    let failure = svm.send(&other, &[&trade.relayer]).unwrap_err();
    assert_eq!(failure.error, TransactionError::InstructionError(0, InstructionError::Custom(3_010)));
    svm.must(&approve, &[&trade.relayer]);
}

//! What a stranger or the other side could do to be in the way: coin sent ahead, payers of rent that cannot have it back,
//! words taken back that cannot be.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "test code"
)]

use alloy::primitives::B256;
use anchor_spl::{
    associated_token::spl_associated_token_account::instruction::create_associated_token_account,
    token_2022::spl_token_2022::{instruction as token, state::Mint},
};
use protocol::solana::{
    self, Line, Pubkey,
    call::{self, Bearer, Deal, Funding, Token, Word},
};
use solana_sdk::{
    account::Account, program_option::COption, program_pack::Pack, rent::Rent, signature::Keypair,
};
use svm::{
    Svm, TOKEN, key,
    trade::{AMOUNT, FUND_BY, FUNDED, Setting, Trade, signs},
};

const WRAPPED: Pubkey = anchor_spl::token::spl_token::native_mint::ID;

/// The mint of wrapped SOL, which every cluster has.
fn make_wrapped(svm: &mut Svm) {
    let mint = Mint {
        mint_authority: COption::None,
        supply: 0,
        decimals: 9,
        is_initialized: true,
        freeze_authority: COption::None,
    };
    let mut data = vec![0; Mint::LEN];
    Mint::pack(mint, &mut data).unwrap();
    let lamports = svm.vm.minimum_balance_for_rent_exemption(data.len());
    let owner = TOKEN.to_bytes().into();
    svm.set_account(&WRAPPED, Account { lamports, data, owner, executable: false, rent_epoch: u64::MAX });
}

fn wrap(svm: &mut Svm, owner: &Keypair, lamports: u64) -> Pubkey {
    let account = solana::associated_token(&key(owner), &WRAPPED, &TOKEN);
    let create = create_associated_token_account(&key(&svm.payer), &key(owner), &WRAPPED, &TOKEN);
    svm.must(&[create], &[]);
    if lamports > 0 {
        let there = svm.lamports(&account);
        svm.endow(&account, there + lamports);
        svm.must(&[token::sync_native(&TOKEN, &account).unwrap()], &[]);
    }
    account
}

/// Whoever sends SOL to the address of a vault to be, before a deal of wrapped SOL is funded, only gives it away.
#[test]
fn coin_sent_ahead_does_not_keep_wrapped_sol_out() {
    let mut svm = Svm::start();
    make_wrapped(&mut svm);
    let trade = Trade::set(&mut svm, Setting::default());
    let source = wrap(&mut svm, &trade.buyer, 2 * AMOUNT);
    let destination = wrap(&mut svm, &trade.seller, 0);
    let mut terms = trade.deal.terms.clone();
    terms.mint = WRAPPED;
    let id = B256::new(terms.id());
    let token = Some(Token { mint: WRAPPED, program: TOKEN });
    let deal = Deal { address: solana::deal_address(id), id, terms, token };
    let vault = solana::vault_address(id);
    svm.endow(&vault, svm.vm.minimum_balance_for_rent_exemption(165) + 7);

    svm.set_time(FUNDED);
    let seller = Some(signs(&trade.seller, &Line::terms(id)));
    let funding = Funding { payer: key(&trade.buyer), buyer: None, seller, source: None };
    svm.must(&deal.fund(&funding, 0), &[&trade.buyer]);
    assert_eq!(svm.tokens(&source), AMOUNT);
    assert_eq!(svm.tokens(&vault), AMOUNT + 7);

    svm.must(&deal.release(key(&trade.buyer), AMOUNT, None, 0), &[&trade.buyer]);
    assert_eq!(svm.tokens(&destination), AMOUNT);
    svm.set_time(FUND_BY + 1);
    svm.must(&[deal.close(key(&trade.buyer), &[])], &[]);
    assert_eq!(svm.tokens(&source), AMOUNT + 7);
    assert!(svm.account(&vault).is_none());
}

/// A stranger opens the case, pays the jury's rent and makes a program of the account that paid: the deal's own rent goes
/// back all the same.
#[test]
fn a_payer_of_rent_that_became_a_program_holds_up_nobody() {
    let mut svm = Svm::start();
    let trade = Trade::set(&mut svm, Setting::default());
    trade.open(&mut svm);
    svm.must(&trade.deal.release(key(&trade.buyer), AMOUNT, None, 0), &[&trade.buyer]);
    svm.set_time(FUND_BY + 1);
    svm.make_executable(&key(&trade.relayer));
    let before = svm.lamports(&key(&trade.buyer));
    let jury = solana::jury_address(trade.deal.id, 0);
    svm.must(&[trade.deal.close(key(&trade.buyer), &[(jury, key(&trade.relayer))])], &[]);
    assert!(svm.lamports(&key(&trade.buyer)) > before);
    assert!(svm.account(&trade.deal.address).is_none());
    assert!(svm.account(&jury).is_none());
}

/// A program's wallet gives its vouchers as approvals. The seller has served for them: they stand like signed ones.
#[test]
fn an_approved_voucher_of_a_metered_deal_stands_when_it_is_revoked() {
    for metered in [true, false] {
        let mut svm = Svm::start();
        let trade = Trade::set(&mut svm, Setting { metered, ..Setting::default() });
        trade.fund(&mut svm);
        let digest = Line::release(trade.deal.id, AMOUNT / 2).digest;
        let payer = key(&svm.payer);
        svm.must(&[call::approve(payer, key(&trade.buyer), digest)], &[&trade.buyer]);
        svm.must(&[call::revoke(payer, key(&trade.buyer), digest)], &[&trade.buyer]);
        let voucher = Bearer { signer: key(&trade.buyer), valid_until: 0, word: Word::Approval };
        let release = trade.deal.release(key(&trade.relayer), AMOUNT / 2, Some(&voucher), 0);
        let sent = svm.send(&release, &[&trade.relayer]);
        if metered {
            sent.unwrap();
            assert_eq!(trade.state(&svm).released, AMOUNT / 2);
        } else {
            assert_eq!(sent.unwrap_err().refusal(None), Some("SignatureRevoked"));
        }
    }
}

/// Terms are taken back by retracting them, by whoever approved them too.
#[test]
fn approved_terms_are_taken_back_by_retracting_alone() {
    let mut svm = Svm::start();
    let trade = Trade::set(&mut svm, Setting::default());
    svm.set_time(FUNDED);
    let payer = key(&svm.payer);
    svm.must(&[call::approve(payer, key(&trade.seller), trade.deal.id)], &[&trade.seller]);
    svm.must(&[call::revoke(payer, key(&trade.seller), trade.deal.id)], &[&trade.seller]);
    let funding = Funding { seller: Some(Word::Approval), ..trade.funding() };
    svm.must(&trade.deal.fund(&funding, 0), &[&trade.buyer]);
}

/// Who paid the rent has all of it back, however little a deal's account would cost by then.
#[test]
fn the_rent_is_its_payers_when_rent_falls() {
    let mut svm = Svm::start();
    let trade = Trade::set(&mut svm, Setting::default());
    svm.set_time(FUNDED);
    let (buyer, relayer) = (key(&trade.buyer), key(&trade.relayer));
    let funding = Funding { payer: relayer, ..trade.funding() };
    svm.must(&trade.deal.fund(&funding, 0), &[&trade.relayer, &trade.buyer]);
    svm.must(&trade.deal.release(buyer, AMOUNT, None, 0), &[&trade.buyer]);
    let rent = svm.lamports(&trade.deal.address);
    let mut cheaper: Rent = svm.vm.get_sysvar();
    cheaper.lamports_per_byte /= 10;
    svm.vm.set_sysvar(&cheaper);
    svm.set_time(FUND_BY + 1);
    let before = [buyer, relayer].map(|account| svm.lamports(&account));
    svm.must(&[trade.deal.close(relayer, &[])], &[]);
    assert_eq!([buyer, relayer].map(|account| svm.lamports(&account)), [before[0], before[1] + rent]);
}

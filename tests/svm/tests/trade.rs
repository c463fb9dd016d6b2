//! One whole trade of coin and one of tokens, and what each instruction costs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "test code"
)]

use protocol::{
    chain::{AccountId, AssetId},
    solana::{
        self, Line,
        call::{Deal, Funding, Word},
        from_key,
    },
    terms::Terms,
};
use solana_sdk::signature::Signer;
use svm::{Svm, key, keypair};

fn terms(svm: &Svm, token: Option<solana::Pubkey>) -> Terms {
    let chain = solana::chain().unwrap();
    let account = |key: &solana::Pubkey| AccountId { chain, address: from_key(key) };
    let now = svm.now();
    Terms {
        escrow: account(&solana::program()),
        buyer: account(&key(&keypair(1))),
        seller: account(&key(&keypair(2))),
        arbiter: account(&solana::arbiter()),
        asset: AssetId { chain, token: token.map(|mint| from_key(&mint)) },
        amount: 1_000_000,
        fund_by: now + 100,
        deliver_by: now + 1_000,
        inspection: 100,
        ruling: 400_000,
        lapse_share: 5_000,
        metered: false,
        panel: [7; 32].into(),
        agreement: [8; 32].into(),
        salt: [9; 32].into(),
    }
}

#[test]
fn coin() {
    let mut svm = Svm::start();
    let (buyer, seller) = (keypair(1), keypair(2));
    svm.endow(&key(&buyer), svm::ENDOWMENT);
    svm.endow(&key(&seller), svm::ENDOWMENT);
    let deal = Deal::new(&terms(&svm, None), solana::Pubkey::default()).unwrap();
    let signature = seller.sign_message(&Line::terms(deal.id).bytes()).into();
    let funding =
        Funding { payer: key(&buyer), buyer: None, seller: Some(Word::Signature(signature)), source: None };
    let sent = svm.must(&deal.fund(&funding, 0), &[&buyer]);
    println!("fund {} CU, {} bytes, {:#?}", sent.compute_units, sent.size, sent.logs);
    let sent = svm.must(&deal.release(key(&buyer), 400_000, None, 0), &[&buyer]);
    println!("release {} CU {:?}", sent.compute_units, sent.events);
    let sent = svm.must(&deal.dispute(key(&buyer), [1; 32].into(), None, 0), &[&buyer]);
    println!("dispute {} CU {:?}", sent.compute_units, sent.events);
}

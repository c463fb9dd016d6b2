//! What begins once: coin sent ahead to an address is in nobody's way and no stranger's, nothing is made twice, and what is
//! closed never comes back.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "test code"
)]

use protocol::solana::{
    self, AccountMeta, Instruction, Line, Pubkey,
    call::{self, Funding, Settlement},
    state::RuleBook,
};
use solana_sdk::signature::Keypair;
use svm::{
    Svm, TOKEN, TOKEN_2022, key,
    trade::{AMOUNT, FUND_BY, FUNDED, MOVED, Setting, Trade, VALID_UNTIL, signs},
};

const TOKENS: [Option<Pubkey>; 3] = [None, Some(TOKEN), Some(TOKEN_2022)];

/// A single lamport, which leaves rent to be paid, and more than any account here needs.
const AHEAD: [u64; 2] = [1, 50_000_000];

fn transfer(from: &Keypair, to: Pubkey, lamports: u64) -> Instruction {
    let accounts = vec![AccountMeta::new(key(from), true), AccountMeta::new(to, false)];
    let data = [2_u32.to_le_bytes().to_vec(), lamports.to_le_bytes().to_vec()].concat();
    Instruction { program_id: Pubkey::default(), accounts, data }
}

fn refused(svm: &mut Svm, instructions: &[Instruction], signers: &[&Keypair], name: &str) {
    let deal = Some((FUND_BY, svm.now()));
    let failure = svm.send(instructions, signers).unwrap_err();
    assert_eq!(failure.refusal(deal), Some(name), "{failure:#?}");
}

fn release_all(svm: &mut Svm, trade: &Trade) {
    svm.must(&trade.deal.release(key(&trade.buyer), AMOUNT, None, 0), &[&trade.buyer]);
}

/// Every action of a deal, with who signs it, as if it were open.
fn actions(trade: &Trade) -> Vec<(&'static str, Vec<Instruction>)> {
    let (buyer, seller) = (key(&trade.buyer), key(&trade.seller));
    let (deal, document) = (&trade.deal, [1; 32].into());
    let line = Line::settle(deal.id, 1, 1, 0, VALID_UNTIL);
    let offer = Settlement {
        seller_total: 1,
        status: 1,
        rulings: 0,
        valid_until: VALID_UNTIL,
        buyer: None,
        seller: Some(signs(&trade.seller, &line)),
    };
    vec![
        ("deliver", deal.deliver(seller, document, None, 0)),
        ("release", deal.release(buyer, AMOUNT, None, 0)),
        ("refund", deal.refund(seller, AMOUNT, None, 0)),
        ("dispute", deal.dispute(buyer, document, None, 0)),
        ("evidence", deal.evidence(buyer, document, "ipfs://a".into(), None, 0)),
        ("reclaim", vec![deal.reclaim()]),
        ("claim", vec![deal.claim()]),
        ("lapse", vec![deal.lapse()]),
        ("rule", vec![deal.rule(key(&trade.arbiter), 5_000)]),
        ("settle", deal.settle(buyer, &offer, 0)),
        ("retract", vec![deal.retract(seller)]),
        ("fund", deal.fund(&trade.funding(), 0)),
    ]
}

fn everybody(trade: &Trade) -> [&Keypair; 4] {
    [&trade.buyer, &trade.seller, &trade.arbiter, &trade.relayer]
}

/// Coin in a deal's, a vault's and a jury's address ends with the parties and with who paid the rent.
#[test]
fn coin_sent_ahead_to_a_deal_is_no_strangers() {
    for token in TOKENS {
        for ahead in AHEAD {
            let mut svm = Svm::start();
            let trade = Trade::set(&mut svm, Setting { token, ..Setting::default() });
            let own = [trade.deal.address, solana::vault_address(trade.deal.id)];
            let jury = solana::jury_address(trade.deal.id, 0);
            let given = if token.is_some() { vec![own[0], own[1], jury] } else { vec![own[0], jury] };
            let people = [key(&trade.buyer), key(&trade.seller), key(&trade.relayer)];
            let sum = |svm: &Svm| people.iter().map(|one| svm.lamports(one)).sum::<u64>();
            let before = sum(&svm);
            for address in &given {
                svm.endow(address, ahead);
            }
            trade.open(&mut svm);
            assert_eq!(trade.state(&svm).juries, 1);
            release_all(&mut svm, &trade);
            svm.set_time(FUND_BY + 1);
            svm.must(&[trade.deal.close(key(&trade.buyer), &[(jury, key(&trade.relayer))])], &[]);
            for address in &given {
                assert!(svm.account(address).is_none());
            }
            assert_eq!(sum(&svm), before + ahead * given.len() as u64, "{token:?} {ahead}");
        }
    }
}

#[test]
fn coin_sent_ahead_does_not_keep_terms_from_being_retracted() {
    for ahead in AHEAD {
        let mut svm = Svm::start();
        let trade = Trade::set(&mut svm, Setting::default());
        svm.set_time(FUNDED);
        let people = [key(&trade.buyer), key(&trade.seller)];
        let sum = |svm: &Svm| people.iter().map(|one| svm.lamports(one)).sum::<u64>();
        let before = sum(&svm);
        svm.endow(&trade.deal.address, ahead);
        svm.must(&[trade.deal.retract(key(&trade.seller))], &[&trade.seller]);
        svm.set_time(FUND_BY + 1);
        svm.must(&[trade.deal.close(key(&trade.seller), &[])], &[]);
        assert_eq!(sum(&svm), before + ahead);
    }
}

#[test]
fn coin_sent_ahead_to_a_pool_a_list_or_a_consent_is_part_of_its_rent() {
    for ahead in AHEAD {
        let mut svm = Svm::start();
        let trade = Trade::set(&mut svm, Setting::default());
        let (keeper, payer) = (key(&trade.keeper), key(&trade.relayer));
        let book = RuleBook { salt: [3; 32], ..trade.book.clone() };
        let pool = book.id().into();
        let list = solana::list_address(trade.pool(), 1);
        let approve = call::approve(payer, key(&trade.seller), trade.deal.id);
        let consent = approve.accounts[2].pubkey;
        for address in [solana::pool_address(pool), list, consent] {
            svm.endow(&address, ahead);
        }
        svm.must(&[call::create_pool(payer, book)], &[&trade.relayer]);
        svm.must(&[approve], &[&trade.relayer, &trade.seller]);
        for address in [solana::pool_address(pool), consent] {
            let account = svm.account(&address).unwrap();
            let rent = svm.vm.minimum_balance_for_rent_exemption(account.data.len());
            assert_eq!(account.owner.to_bytes(), solana::program().to_bytes());
            assert_eq!(account.lamports, rent.max(ahead));
        }
        let before = svm.lamports(&keeper);
        svm.must(&[call::create_list(keeper, trade.pool(), 1)], &[&trade.keeper]);
        svm.must(&[call::discard_list(keeper, trade.pool(), 1, keeper)], &[&trade.keeper]);
        assert_eq!(svm.lamports(&keeper), before + ahead);
        // And again from an address without coin.
        svm.must(&[call::create_list(keeper, trade.pool(), 1)], &[&trade.keeper]);
    }
}

#[test]
fn a_deal_is_funded_once() {
    for token in TOKENS {
        let mut svm = Svm::start();
        let trade = Trade::set(&mut svm, Setting { token, ..Setting::default() });
        trade.fund(&mut svm);
        let again = trade.deal.fund(&trade.funding(), 0);
        refused(&mut svm, &again, &[&trade.buyer], "AlreadyFunded");
        refused(&mut svm, &[trade.deal.retract(key(&trade.seller))], &[&trade.seller], "AlreadyFunded");
        let other = Funding { payer: key(&trade.relayer), ..trade.funding() };
        let other = trade.deal.fund(&other, 0);
        refused(&mut svm, &other, &[&trade.relayer, &trade.buyer], "AlreadyFunded");
    }
}

#[test]
fn a_deal_is_not_funded_twice_in_one_transaction() {
    for token in TOKENS {
        let mut svm = Svm::start();
        let trade = Trade::set(&mut svm, Setting { token, ..Setting::default() });
        svm.set_time(FUNDED);
        let funding = Funding { seller: None, ..trade.funding() };
        let once = trade.deal.fund(&funding, 0);
        let twice = [once.clone(), once].concat();
        refused(&mut svm, &twice, &[&trade.buyer, &trade.seller], "AlreadyFunded");
        assert!(svm.account(&trade.deal.address).is_none());
    }
}

#[test]
fn retracted_terms_are_neither_retracted_again_nor_funded() {
    let mut svm = Svm::start();
    let trade = Trade::set(&mut svm, Setting::default());
    svm.set_time(FUNDED);
    svm.must(&[trade.deal.retract(key(&trade.seller))], &[&trade.seller]);
    for by in [&trade.buyer, &trade.seller] {
        refused(&mut svm, &[trade.deal.retract(key(by))], &[by], "DealClosed");
    }
    let fund = trade.deal.fund(&trade.funding(), 0);
    refused(&mut svm, &fund, &[&trade.buyer], "DealClosed");
    // The seller changed its mind: its signing the transaction helps as little.
    let funding = Funding { seller: None, ..trade.funding() };
    refused(&mut svm, &trade.deal.fund(&funding, 0), &[&trade.buyer, &trade.seller], "DealClosed");
    refused(&mut svm, &[trade.deal.close(key(&trade.seller), &[])], &[], "StillOpen");
}

#[test]
fn pools_lists_cases_and_consents_begin_once() {
    let mut svm = Svm::start();
    let trade = Trade::set(&mut svm, Setting::default());
    let (keeper, payer) = (key(&trade.keeper), key(&trade.relayer));
    let both = [&trade.relayer, &trade.seller];
    let create = call::create_pool(payer, trade.book.clone());
    refused(&mut svm, &[create], &[&trade.relayer], "PoolExists");

    // A published list's address is no longer the next one's.
    let published = call::create_list(keeper, trade.pool(), 0);
    refused(&mut svm, &[published], &[&trade.keeper], "WrongAccount");
    refused(&mut svm, &[call::publish_list(keeper, trade.pool(), 0)], &[&trade.keeper], "ListPublished");
    let discard = call::discard_list(keeper, trade.pool(), 0, keeper);
    refused(&mut svm, &[discard], &[&trade.keeper], "ListPublished");
    let create = call::create_list(keeper, trade.pool(), 1);
    svm.must(std::slice::from_ref(&create), &[&trade.keeper]);
    refused(&mut svm, &[create], &[&trade.keeper], "ListExists");

    let approve = call::approve(payer, key(&trade.seller), trade.deal.id);
    svm.must(std::slice::from_ref(&approve), &both);
    refused(&mut svm, std::slice::from_ref(&approve), &both, "ConsentExists");
    let revoke = call::revoke(payer, key(&trade.seller), trade.deal.id);
    svm.must(std::slice::from_ref(&revoke), &both);
    refused(&mut svm, &[revoke], &both, "ConsentExists");
    refused(&mut svm, &[approve], &both, "ConsentExists");

    trade.open(&mut svm);
    refused(&mut svm, &[trade.case().open(payer)], &[&trade.relayer], "CaseExists");
    svm.must(&[trade.case().draw(&trade.hearing())], &[]);
    refused(&mut svm, &[trade.case().draw(&trade.hearing())], &[], "AlreadyDrawn");
    trade.open_second(&mut svm);
    // The address of a jury that is there already, and that of the one after.
    for last in [0, 1] {
        let again = trade.case().open_second_jury(payer, last);
        let name = if last == 0 { "WrongAccount" } else { "NoFurtherJury" };
        refused(&mut svm, &[again], &[&trade.relayer], name);
    }
    assert_eq!(trade.state(&svm).juries, 2);
}

#[test]
fn a_closed_deal_takes_no_action_before_its_account_goes() {
    for token in TOKENS {
        for pools in [true, false] {
            let mut svm = Svm::start();
            let trade = Trade::set(&mut svm, Setting { token, pools, ..Setting::default() });
            trade.fund(&mut svm);
            release_all(&mut svm, &trade);
            refused(&mut svm, &[trade.deal.close(key(&trade.buyer), &[])], &[], "StillOpen");
            for now in [FUNDED, FUND_BY, FUND_BY + 1] {
                svm.set_time(now);
                for (name, action) in actions(&trade) {
                    // What only the pools' own address or a stranger would sign cannot be asked for at all.
                    if name == "rule" && pools {
                        continue;
                    }
                    refused(&mut svm, &action, &everybody(&trade), "DealClosed");
                }
                let opened = trade.case().open(key(&trade.relayer));
                refused(&mut svm, &[opened], &[&trade.relayer], "NotDisputed");
            }
        }
    }
}

/// Nothing comes back at the addresses: neither by itself, nor with coin sent there, before or in the same transaction.
#[test]
fn what_is_closed_is_not_revived() {
    for token in TOKENS {
        let mut svm = Svm::start();
        let trade = Trade::set(&mut svm, Setting { token, pools: false, ..Setting::default() });
        trade.fund(&mut svm);
        release_all(&mut svm, &trade);
        svm.set_time(FUND_BY + 1);
        let close = trade.deal.close(key(&trade.buyer), &[]);
        let (deal, vault) = (trade.deal.address, solana::vault_address(trade.deal.id));
        let back = [deal, vault].map(|to| transfer(&trade.relayer, to, 50_000_000));
        let all = everybody(&trade);
        let again = actions(&trade).into_iter().chain([("close", vec![close.clone()])]);
        for (_, action) in again {
            // An Ed25519 instruction is named by its place: those of `fund` and `settle` come first.
            let (word, main) = action.split_at(action.len() - 1);
            let before = svm.clone();
            let together = [word, std::slice::from_ref(&close), &back, main].concat();
            refused(&mut svm, &together, &all, "DealClosed");
            let bare = [word, std::slice::from_ref(&close), main].concat();
            refused(&mut svm, &bare, &all, "DealClosed");
            svm.must(std::slice::from_ref(&close), &[]);
            refused(&mut svm, &action, &all, "DealClosed");
            svm.must(&back, &[&trade.relayer]);
            refused(&mut svm, &action, &all, "DealClosed");
            for address in [deal, vault] {
                let there = svm.account(&address).unwrap();
                assert_eq!((there.owner.to_bytes(), there.data.len()), ([0; 32], 0));
            }
            svm = before;
        }
    }
}

#[test]
fn a_deal_that_owes_credit_stays() {
    let mut svm = Svm::start();
    let trade = Trade::set(&mut svm, Setting::default());
    trade.fund(&mut svm);
    let before = svm.account(&key(&trade.seller)).unwrap();
    svm.make_executable(&key(&trade.seller));
    release_all(&mut svm, &trade);
    svm.set_account(&key(&trade.seller), before);
    svm.set_time(FUND_BY + 1);
    let close = trade.deal.close(key(&trade.buyer), &[]);
    refused(&mut svm, std::slice::from_ref(&close), &[], "StillOpen");
    let withdraw = |amount| trade.deal.withdraw(key(&trade.seller), amount, key(&trade.keeper), None, 0);
    svm.must(&withdraw(AMOUNT - 1), &[&trade.seller]);
    refused(&mut svm, std::slice::from_ref(&close), &[], "StillOpen");
    svm.must(&withdraw(1), &[&trade.seller]);
    svm.must(&[close], &[]);
}

#[test]
fn a_deal_is_closed_with_all_of_its_juries_in_their_order() {
    let mut svm = Svm::start();
    let trade = Trade::set(&mut svm, Setting::default());
    trade.draw_second(&mut svm);
    assert!(svm.now() > FUND_BY && svm.now() > MOVED);
    release_all(&mut svm, &trade);
    let payer = key(&trade.relayer);
    let jury = |ordinal| (solana::jury_address(trade.deal.id, ordinal), payer);
    let close = |juries: &[(Pubkey, Pubkey)]| trade.deal.close(key(&trade.buyer), juries);
    for juries in [
        vec![],
        vec![jury(0)],
        vec![jury(1)],
        vec![jury(1), jury(0)],
        vec![jury(0), jury(1), jury(1)],
        vec![jury(0), (jury(1).0, key(&trade.keeper))],
    ] {
        refused(&mut svm, &[close(&juries)], &[], "WrongAccount");
    }
    // The second time it is no jury any more: Anchor's AccountOwnedByWrongProgram.
    let twice = svm.send(&[close(&[jury(0), jury(0)])], &[]).unwrap_err();
    assert_eq!(twice.code, Some(3_007), "{twice:#?}");
    // Half a pair.
    let mut cut = close(&[jury(0), jury(1)]);
    cut.accounts.pop();
    refused(&mut svm, &[cut], &[], "WrongAccount");
    svm.must(&[close(&[jury(0), jury(1)])], &[]);
    assert!(svm.account(&jury(0).0).is_none() && svm.account(&jury(1).0).is_none());
}

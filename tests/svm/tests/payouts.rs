//! A payout that its destination cannot take becomes credit of that party alone; and how credit, dust and rent leave.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "test code"
)]

use anchor_spl::token_2022::spl_token_2022::{extension::ExtensionType, instruction as token};
use protocol::{
    solana::{
        self, Instruction, Line, Pubkey,
        call::{Funding, Settlement},
        from_key,
        state::Status,
    },
    wire::feed::EventBody,
};
use solana_sdk::{account::Account, signature::Keypair};
use svm::{
    Failure, Svm, TOKEN, TOKEN_2022, key,
    trade::{AMOUNT, FUND_BY, FUNDED, Setting, Trade, VALID_UNTIL, bearer, signs},
};

/// Too little for the rent of an empty wallet.
const LITTLE: u64 = 1_000;
/// What every obstacle costs a party here.
const SHARE: u64 = AMOUNT / 4;

/// A funded trade whose rent the relayer paid.
fn funded(svm: &mut Svm, token: Option<Pubkey>) -> Trade {
    let trade = Trade::set(svm, Setting { token, ..Setting::default() });
    svm.set_time(FUNDED);
    let funding = Funding { payer: key(&trade.relayer), ..trade.funding() };
    svm.must(&trade.deal.fund(&funding, 0), &[&trade.relayer, &trade.buyer]);
    trade
}

/// Where an account is paid.
fn destination(trade: &Trade, of: &Keypair) -> Pubkey {
    let token = trade.deal.token;
    token.map_or(key(of), |token| solana::associated_token(&key(of), &token.mint, &token.program))
}

fn balance(svm: &Svm, trade: &Trade, of: &Keypair) -> u64 {
    let account = destination(trade, of);
    if trade.deal.token.is_some() { svm.tokens(&account) } else { svm.lamports(&account) }
}

/// Closes the deal at the seller's total, by both signatures.
fn settle(svm: &mut Svm, trade: &Trade, seller_total: u64) -> Vec<(Pubkey, u64)> {
    let line = Line::settle(trade.deal.id, seller_total, 1, 0, VALID_UNTIL);
    let offer = Settlement {
        seller_total,
        status: 1,
        rulings: 0,
        valid_until: VALID_UNTIL,
        buyer: Some(signs(&trade.buyer, &line)),
        seller: Some(signs(&trade.seller, &line)),
    };
    let sent = svm.must(&trade.deal.settle(key(&trade.relayer), &offer, 0), &[&trade.relayer]);
    let parties = [key(&trade.buyer), key(&trade.seller)];
    let credited = |event: &EventBody| match event {
        EventBody::Credited { creditor, amount, .. } => {
            let party = parties.into_iter().find(|party| from_key(party) == *creditor).unwrap();
            Some((party, u64::try_from(*amount).unwrap()))
        }
        _ => None,
    };
    sent.events.iter().filter_map(credited).collect()
}

/// Where the keeper takes what others withdraw to it.
fn elsewhere(svm: &mut Svm, trade: &Trade) -> Pubkey {
    match trade.deal.token {
        None => key(&trade.keeper),
        Some(token) => svm.give_tokens(&key(&trade.keeper), &token.mint, token.program, 0),
    }
}

fn signed(trade: &Trade, of: &Keypair, amount: u64, to: Pubkey, nonce: u32) -> Vec<Instruction> {
    let line = Line::withdraw(trade.deal.id, &key(of), amount, &to, nonce, VALID_UNTIL);
    let bearer = bearer(of, VALID_UNTIL, &line);
    trade.deal.withdraw(key(&trade.relayer), amount, to, Some((&bearer, nonce)), 0)
}

fn in_person(trade: &Trade, of: &Keypair, amount: u64, to: Pubkey) -> Vec<Instruction> {
    trade.deal.withdraw(key(of), amount, to, None, 0)
}

fn refusal(sent: Result<svm::Sent, Failure>) -> Option<&'static str> {
    sent.unwrap_err().refusal(None)
}

/// What keeps a party from being paid, and how much it should have had.
struct Obstacle {
    name: &'static str,
    token: Option<Pubkey>,
    share: u64,
    put: fn(&mut Svm, &Trade, &Keypair),
}

fn vanish(svm: &mut Svm, trade: &Trade, party: &Keypair) {
    svm.set_account(&destination(trade, party), Account::default());
}

fn freeze_account(svm: &mut Svm, trade: &Trade, account: &Pubkey) {
    let of = trade.deal.token.unwrap();
    let authority = Svm::mint_authority();
    let freeze = token::freeze_account(&of.program, account, &of.mint, &key(&authority), &[]).unwrap();
    svm.must(&[freeze], &[&authority]);
}

fn freeze(svm: &mut Svm, trade: &Trade, party: &Keypair) {
    freeze_account(svm, trade, &destination(trade, party));
}

fn give_away(svm: &mut Svm, trade: &Trade, party: &Keypair) {
    let (account, heir) = (destination(trade, party), key(&trade.arbiter));
    let kind = token::AuthorityType::AccountOwner;
    let hand_over = token::set_authority(&TOKEN, &account, Some(&heir), kind, &key(party), &[]).unwrap();
    svm.must(&[hand_over], &[party]);
}

fn ask_for_memos(svm: &mut Svm, trade: &Trade, party: &Keypair) {
    use anchor_spl::token_2022::spl_token_2022::extension::memo_transfer::instruction::enable_required_transfer_memos;
    let (account, owner) = (destination(trade, party), key(party));
    let kinds = [ExtensionType::MemoTransfer];
    let room = token::reallocate(&TOKEN_2022, &account, &owner, &owner, &[], &kinds).unwrap();
    let ask = enable_required_transfer_memos(&TOKEN_2022, &account, &owner, &[]).unwrap();
    svm.must(&[room, ask], &[party]);
}

const OBSTACLES: &[Obstacle] = &[
    Obstacle { name: "missing", token: Some(TOKEN), share: SHARE, put: vanish },
    Obstacle { name: "missing", token: Some(TOKEN_2022), share: SHARE, put: vanish },
    Obstacle { name: "frozen", token: Some(TOKEN), share: SHARE, put: freeze },
    Obstacle { name: "frozen", token: Some(TOKEN_2022), share: SHARE, put: freeze },
    Obstacle { name: "somebody else's", token: Some(TOKEN), share: SHARE, put: give_away },
    Obstacle { name: "asks for memos", token: Some(TOKEN_2022), share: SHARE, put: ask_for_memos },
    Obstacle {
        name: "a program",
        token: None,
        share: SHARE,
        put: |svm, _, party| svm.make_executable(&key(party)),
    },
    Obstacle { name: "left below its rent", token: None, share: LITTLE, put: vanish },
];

#[test]
fn what_a_destination_cannot_take_is_its_partys_credit_and_can_be_withdrawn() {
    for obstacle in OBSTACLES {
        for is_seller in [true, false] {
            let mut svm = Svm::start();
            let trade = funded(&mut svm, obstacle.token);
            let what = format!("{} of {:?}, seller: {is_seller}", obstacle.name, obstacle.token);
            let parties = [&trade.seller, &trade.buyer];
            let (party, other) = if is_seller { (parties[0], parties[1]) } else { (parties[1], parties[0]) };
            (obstacle.put)(&mut svm, &trade, party);
            let share = obstacle.share;
            let before = [party, other].map(|one| balance(&svm, &trade, one));
            let credited = settle(&mut svm, &trade, if is_seller { share } else { AMOUNT - share });
            assert_eq!(credited, [(key(party), share)], "{what}");
            let after = [party, other].map(|one| balance(&svm, &trade, one));
            assert_eq!(after, [before[0], before[1] + AMOUNT - share], "{what}");
            let deal = trade.state(&svm);
            let owed = if is_seller { [share, 0] } else { [0, share] };
            assert_eq!([deal.seller_credit, deal.buyer_credit], owed, "{what}");
            assert_eq!(deal.status(), Status::Closed, "{what}");

            let to = elsewhere(&mut svm, &trade);
            let had = balance(&svm, &trade, &trade.keeper);
            svm.must(&in_person(&trade, party, share / 2, to), &[party]);
            svm.must(&signed(&trade, party, share - share / 2, to, 1), &[&trade.relayer]);
            assert_eq!(balance(&svm, &trade, &trade.keeper), had + share, "{what}");
            assert_eq!(trade.state(&svm).held(), 0, "{what}");
            svm.set_time(FUND_BY + 1);
            svm.must(&[trade.deal.close(key(&trade.relayer), &[])], &[]);
            assert!(svm.account(&trade.deal.address).is_none(), "{what}");
        }
    }
}

/// A trade that owes both parties credit: the vault was frozen when it closed.
fn owing_both(svm: &mut Svm, program: Pubkey) -> Trade {
    let trade = funded(svm, Some(program));
    let vault = solana::vault_address(trade.deal.id);
    freeze_account(svm, &trade, &vault);
    let credited = settle(svm, &trade, SHARE);
    assert_eq!(credited, [(key(&trade.seller), SHARE), (key(&trade.buyer), AMOUNT - SHARE)]);
    assert_eq!(trade.state(svm).status(), Status::Closed);
    trade
}

fn thaw(svm: &mut Svm, trade: &Trade) {
    let (of, authority) = (trade.deal.token.unwrap(), Svm::mint_authority());
    let vault = solana::vault_address(trade.deal.id);
    let thaw = token::thaw_account(&of.program, &vault, &of.mint, &key(&authority), &[]).unwrap();
    svm.must(&[thaw], &[&authority]);
}

#[test]
fn a_frozen_vault_owes_both_parties_until_it_thaws() {
    for program in [TOKEN, TOKEN_2022] {
        let mut svm = Svm::start();
        let trade = owing_both(&mut svm, program);
        let to = elsewhere(&mut svm, &trade);
        let withdraw = in_person(&trade, &trade.seller, SHARE, to);
        svm.send(&withdraw, &[&trade.seller]).unwrap_err();
        assert_eq!(trade.state(&svm).seller_credit, SHARE);
        thaw(&mut svm, &trade);
        svm.must(&withdraw, &[&trade.seller]);
        svm.must(&in_person(&trade, &trade.buyer, AMOUNT - SHARE, to), &[&trade.buyer]);
        assert_eq!(svm.tokens(&to), AMOUNT);
        assert_eq!(trade.state(&svm).held(), 0);
    }
}

#[test]
fn each_creditor_counts_its_own_withdrawals() {
    let mut svm = Svm::start();
    let trade = owing_both(&mut svm, TOKEN);
    thaw(&mut svm, &trade);
    let to = elsewhere(&mut svm, &trade);
    let of_buyer = signed(&trade, &trade.buyer, 5, to, 0);
    for _ in 0..2 {
        svm.must(&in_person(&trade, &trade.seller, 1, to), &[&trade.seller]);
    }
    svm.must(&of_buyer, &[&trade.relayer]);
    // Neither a second time, nor with a count that is over or yet to come.
    assert_eq!(refusal(svm.send(&of_buyer, &[&trade.relayer])), Some("InvalidSignature"));
    for nonce in [0, 1, 3] {
        let of_seller = signed(&trade, &trade.seller, 1, to, nonce);
        assert_eq!(refusal(svm.send(&of_seller, &[&trade.relayer])), Some("InvalidSignature"), "{nonce}");
    }
    svm.must(&signed(&trade, &trade.seller, 1, to, 2), &[&trade.relayer]);
    let deal = trade.state(&svm);
    assert_eq!([deal.seller_credit, deal.buyer_credit], [SHARE - 3, AMOUNT - SHARE - 5]);
}

#[test]
fn a_withdrawal_of_too_much_or_nothing_or_to_the_deal_itself_is_refused() {
    for token in [None, Some(TOKEN)] {
        let mut svm = Svm::start();
        let trade = funded(&mut svm, token);
        match token {
            None => svm.make_executable(&key(&trade.seller)),
            Some(_) => freeze(&mut svm, &trade, &trade.seller),
        }
        settle(&mut svm, &trade, SHARE);
        let to = elsewhere(&mut svm, &trade);
        let own = match token {
            None => trade.deal.address,
            Some(_) => solana::vault_address(trade.deal.id),
        };
        for (amount, to, name) in [
            (SHARE + 1, to, "TotalTooHigh"),
            (u64::MAX, to, "TotalTooHigh"),
            (0, to, "NothingToWithdraw"),
            (SHARE, own, "SameParty"),
            (SHARE, trade.deal.address, "SameParty"),
        ] {
            let call = in_person(&trade, &trade.seller, amount, to);
            assert_eq!(refusal(svm.send(&call, &[&trade.seller])), Some(name), "{amount} {token:?}");
            let call = signed(&trade, &trade.seller, amount, to, 0);
            assert_eq!(refusal(svm.send(&call, &[&trade.relayer])), Some(name), "{amount} {token:?}");
        }
        let of_buyer = in_person(&trade, &trade.buyer, 1, to);
        assert_eq!(refusal(svm.send(&of_buyer, &[&trade.buyer])), Some("NothingToWithdraw"));
        let of_stranger = in_person(&trade, &trade.arbiter, 1, to);
        assert_eq!(refusal(svm.send(&of_stranger, &[&trade.arbiter])), Some("NotParty"));
        if token.is_none() {
            let deaf = in_person(&trade, &trade.seller, SHARE, key(&trade.seller));
            assert_eq!(refusal(svm.send(&deaf, &[&trade.seller])), Some("TransferFailed"));
        }
        svm.must(&in_person(&trade, &trade.seller, SHARE, to), &[&trade.seller]);
        let again = in_person(&trade, &trade.seller, SHARE, to);
        assert_eq!(refusal(svm.send(&again, &[&trade.seller])), Some("NothingToWithdraw"));
    }
}

#[test]
fn a_deal_that_owes_credit_stays_open() {
    let mut svm = Svm::start();
    let trade = owing_both(&mut svm, TOKEN);
    thaw(&mut svm, &trade);
    svm.set_time(FUND_BY + 1);
    let to = elsewhere(&mut svm, &trade);
    let close = [trade.deal.close(key(&trade.relayer), &[])];
    assert_eq!(refusal(svm.send(&close, &[])), Some("StillOpen"));
    svm.must(&in_person(&trade, &trade.buyer, AMOUNT - SHARE, to), &[&trade.buyer]);
    svm.must(&in_person(&trade, &trade.seller, SHARE - 1, to), &[&trade.seller]);
    assert_eq!(refusal(svm.send(&close, &[])), Some("StillOpen"));
    svm.must(&in_person(&trade, &trade.seller, 1, to), &[&trade.seller]);
    svm.must(&close, &[]);
}

#[test]
fn at_the_end_dust_is_the_buyers_and_rent_its_payers_exactly() {
    const DUST: u64 = 7;
    for token in [None, Some(TOKEN), Some(TOKEN_2022)] {
        let mut svm = Svm::start();
        // The same trade on a machine where it is not funded yet tells what everybody had.
        let before = {
            let mut fresh = Svm::start();
            let trade = Trade::set(&mut fresh, Setting { token, ..Setting::default() });
            let of = |one: &Keypair| balance(&fresh, &trade, one);
            (of(&trade.buyer), of(&trade.seller), fresh.lamports(&key(&trade.relayer)))
        };
        let trade = funded(&mut svm, token);
        svm.must(&trade.deal.release(key(&trade.buyer), AMOUNT, None, 0), &[&trade.buyer]);
        match trade.deal.token {
            None => {
                let there = svm.lamports(&trade.deal.address);
                svm.endow(&trade.deal.address, there + DUST);
            }
            Some(of) => {
                let vault = solana::vault_address(trade.deal.id);
                let authority = Svm::mint_authority();
                let mint_to =
                    token::mint_to(&of.program, &of.mint, &vault, &key(&authority), &[], DUST).unwrap();
                svm.must(&[mint_to], &[&authority]);
            }
        }
        svm.set_time(FUND_BY + 1);
        svm.must(&[trade.deal.close(key(&trade.relayer), &[])], &[]);
        let of = |one: &Keypair| balance(&svm, &trade, one);
        let after = (of(&trade.buyer), of(&trade.seller), svm.lamports(&key(&trade.relayer)));
        assert_eq!(after, (before.0 - AMOUNT + DUST, before.1 + AMOUNT, before.2), "{token:?}");
        assert!(svm.account(&solana::vault_address(trade.deal.id)).is_none());
    }
}

#[test]
fn the_rent_of_juries_goes_back_to_who_opened_them() {
    let mut svm = Svm::start();
    let trade = Trade::set(&mut svm, Setting::default());
    let of = |svm: &Svm| [&trade.buyer, &trade.seller, &trade.relayer].map(|one| svm.lamports(&key(one)));
    let before = of(&svm);
    trade.draw_second(&mut svm);
    assert!(of(&svm)[2] < before[2]);
    svm.must(&trade.deal.release(key(&trade.buyer), AMOUNT, None, 0), &[&trade.buyer]);
    let juries = [0, 1].map(|one| (solana::jury_address(trade.deal.id, one), key(&trade.relayer)));
    svm.must(&[trade.deal.close(key(&trade.buyer), &juries)], &[]);
    assert_eq!(of(&svm), [before[0] - AMOUNT, before[1] + AMOUNT, before[2]]);
}

//! Everything that the model allows has a transaction: the largest calls fit one, with what raises their compute units.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "test code"
)]

use protocol::solana::{
    self, Instruction, Line, Pubkey,
    call::{Settlement, Voting},
};
use solana_sdk::signature::Keypair;
use svm::{
    PACKET, Svm, TOKEN_2022,
    calls::{CALLS, LARGEST, Made},
    key,
    trade::{AMOUNT, FUND_BY, Setting, Trade, VALID_UNTIL, bearer, signs},
};

/// Compute units that one transaction can have.
const MOST_UNITS: u64 = 1_400_000;
/// Bytes of the two instructions that ask for compute units and name their price, with their program's key.
const BUDGET: usize = 32 + 8 + 12;

fn made(named: &str, svm: &mut Svm) -> Made {
    let call = CALLS.iter().chain(LARGEST).find(|call| call.name == named).unwrap();
    (call.make)(svm, 1)
}

fn ask_for_units() -> Instruction {
    let program = solana_sdk::pubkey!("ComputeBudget111111111111111111111111111111");
    let units = u32::try_from(MOST_UNITS).unwrap().to_le_bytes();
    let data = [vec![2], units.to_vec()].concat();
    Instruction { program_id: Pubkey::new_from_array(program.to_bytes()), accounts: vec![], data }
}

/// Bytes and units, with the first signer paying the fee as a relayer would.
fn measure(svm: &mut Svm, instructions: &[Instruction], signers: &[&Keypair]) -> (usize, u64) {
    if let Some(first) = signers.first() {
        svm.payer = first.insecure_clone();
    }
    let sent = svm.must(instructions, signers);
    (sent.size, sent.compute_units)
}

#[test]
fn a_funding_by_two_signatures_and_an_allowance_fits() {
    let mut svm = Svm::start();
    let made = made("token2022_fund_signed", &mut svm);
    let (bytes, units) = measure(&mut svm, &made.instructions, &made.signers.iter().collect::<Vec<_>>());
    assert!(bytes <= PACKET, "{bytes}");
    assert!(units < 200_000, "{units}: there is no room left for asking for more");
}

#[test]
fn a_settlement_of_tokens_by_two_signatures_fits() {
    let mut svm = Svm::start();
    let trade = Trade::set(&mut svm, Setting { token: Some(TOKEN_2022), ..Setting::default() });
    trade.fund(&mut svm);
    let line = Line::settle(trade.deal.id, AMOUNT / 3, 1, 0, VALID_UNTIL);
    let offer = Settlement {
        seller_total: AMOUNT / 3,
        status: 1,
        rulings: 0,
        valid_until: VALID_UNTIL,
        buyer: Some(signs(&trade.buyer, &line)),
        seller: Some(signs(&trade.seller, &line)),
    };
    let call = trade.deal.settle(key(&trade.relayer), &offer, 0);
    let (bytes, _) = measure(&mut svm, &call, &[&trade.relayer]);
    assert!(bytes + BUDGET <= PACKET, "{bytes}");
}

#[test]
fn the_longest_evidence_fits_with_its_signature() {
    let mut svm = Svm::start();
    let trade = Trade::set(&mut svm, Setting::default());
    trade.dispute(&mut svm);
    let uri = "u".repeat(256);
    let line = Line::evidence(trade.deal.id, [1; 32].into(), &uri, VALID_UNTIL);
    let bearer = bearer(&trade.seller, VALID_UNTIL, &line);
    let call = trade.deal.evidence(key(&trade.relayer), [1; 32].into(), uri, Some(&bearer), 0);
    let (bytes, _) = measure(&mut svm, &call, &[&trade.relayer]);
    assert!(bytes + BUDGET <= PACKET, "{bytes}");
}

/// Three juries of 31 before it, and lists so short that almost every member is drawn.
#[test]
fn the_fourth_jury_of_31_can_be_drawn() {
    let mut svm = Svm::start();
    let mut made = made("draw_fourth_jury_31", &mut svm);
    made.instructions.insert(0, ask_for_units());
    let (bytes, units) = measure(&mut svm, &made.instructions, &[]);
    assert!(bytes <= PACKET - 12 && units < MOST_UNITS, "{bytes} bytes, {units} units");
}

#[test]
fn a_case_of_tokens_with_four_juries_is_heard_and_closed() {
    let mut svm = Svm::start();
    let setting = Setting { token: Some(TOKEN_2022), parent: true, seats: 1, ..Setting::default() };
    let trade = Trade::set(&mut svm, setting);
    let relayer = key(&trade.relayer);
    trade.draw_second(&mut svm);
    // The first jury rules while the second one sits.
    let ballot = trade.submit(&svm, Voting { ordinal: 0, last: 1 }, &[(0, 2_000)]);
    let (bytes, _) = measure(&mut svm, &ballot, &[&trade.relayer]);
    assert!(bytes + BUDGET <= PACKET, "{bytes}");
    let line = Line::appeal(trade.deal.id, VALID_UNTIL);
    let appeal = trade.case().appeal(
        relayer,
        relayer,
        1,
        trade.above(),
        Some(&bearer(&trade.buyer, VALID_UNTIL, &line)),
        0,
    );
    let (bytes, _) = measure(&mut svm, &appeal, &[&trade.relayer]);
    assert!(bytes + BUDGET <= PACKET, "{bytes}");
    svm.skip_slots(3);
    svm.must(&[trade.case().draw_later(2, trade.above().0, 0)], &[]);
    let closes = trade.jury(&svm, 2).first_closes_at;
    svm.set_time(closes + 1);
    svm.must(&[trade.case().open_second_jury(relayer, 2)], &[&trade.relayer]);
    svm.skip_slots(3);
    svm.must(&[trade.case().draw_later(3, trade.above().0, 0)], &[]);
    let ballot = trade.submit(&svm, Voting { ordinal: 2, last: 3 }, &[(0, 7_500)]);
    svm.must(&ballot, &[]);
    assert_eq!(trade.state(&svm).released, AMOUNT / 4 * 3);

    assert!(svm.now() > FUND_BY);
    let juries: Vec<_> = (0..4).map(|one| (solana::jury_address(trade.deal.id, one), relayer)).collect();
    let (bytes, _) = measure(&mut svm, &[trade.deal.close(key(&trade.buyer), &juries)], &[]);
    // Each jury may have had another payer.
    assert!(bytes + 3 * 32 + BUDGET <= PACKET, "{bytes}");
    assert!(svm.account(&trade.deal.address).is_none());
}

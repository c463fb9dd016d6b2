//! Ed25519 instructions that say less than they seem to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "test code"
)]

use protocol::solana::{
    self, Instruction, Line,
    call::{self, Brought, Funding, Word},
};
use solana_sdk::signature::{Keypair, Signer};
use svm::{
    Svm, key, keypair,
    trade::{Setting, Trade, VALID_UNTIL, bearer, signature, signs},
};

/// A release that the buyer signed, brought by the relayer: an Ed25519 instruction and the program's own.
fn release(svm: &mut Svm) -> (Trade, Vec<Instruction>) {
    let trade = Trade::set(svm, Setting::default());
    trade.fund(svm);
    let line = Line::release(trade.deal.id, 5);
    let bearer = bearer(&trade.buyer, 0, &line);
    let call = trade.deal.release(key(&trade.relayer), 5, Some(&bearer), 0);
    (trade, call)
}

fn entry(by: &Keypair, line: &Line) -> Brought {
    Brought { key: key(by), message: line.bytes(), signature: signature(by, line) }
}

fn number(data: &mut [u8], at: usize, value: u16) {
    data[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

/// What becomes of these instructions; nothing of it stays.
fn refused(svm: &Svm, trade: &Trade, instructions: &[Instruction]) -> Option<&'static str> {
    let failure = svm.clone().send(instructions, &[&trade.relayer]).expect_err("must be refused");
    failure.refusal(None)
}

/// The runtime itself refuses the Ed25519 instruction.
fn invalid(svm: &Svm, trade: &Trade, instructions: &[Instruction]) {
    let failure = svm.clone().send(instructions, &[&trade.relayer]).expect_err("must be refused");
    assert_eq!((failure.code, failure.refusal(None)), (failure.code, None), "{failure:?}");
    assert!(failure.instruction != Some(1), "{failure:?}");
}

#[test]
fn the_right_one_counts() {
    let mut svm = Svm::start();
    let (trade, call) = release(&mut svm);
    svm.must(&call, &[&trade.relayer]);
}

#[test]
fn parts_that_lie_in_another_instruction_do_not_count() {
    let mut svm = Svm::start();
    let (trade, call) = release(&mut svm);
    // The same data in a second Ed25519 instruction, to which the first one points with each of its parts in turn.
    for place in [4, 8, 14] {
        let mut pointing = call[0].clone();
        number(&mut pointing.data, place, 2);
        let all = [pointing, call[1].clone(), call[0].clone()];
        assert_eq!(refused(&svm, &trade, &all), Some("BadEd25519"), "{place}");
    }
    // Named by its own index instead of "this one", it is the same instruction.
    let mut named = call[0].clone();
    for place in [4, 8, 14] {
        number(&mut named.data, place, 0);
    }
    svm.clone().must(&[named, call[1].clone()], &[&trade.relayer]);
}

#[test]
fn places_that_are_not_there_do_not_count() {
    let mut svm = Svm::start();
    let (trade, call) = release(&mut svm);
    let line = Line::release(trade.deal.id, 5);
    let own = |instruction: u8, entry: u8| {
        let mut own = call[1].clone();
        let at = own.data.len() - 2;
        own.data[at..].copy_from_slice(&[instruction, entry]);
        own
    };
    // Another entry than the buyer's, an entry beyond the last one, an instruction that is none, itself, and none at all.
    let forged = entry(&trade.relayer, &line);
    let two = call::ed25519(&[forged, entry(&trade.buyer, &line)]);
    svm.clone().must(&[two.clone(), own(0, 1)], &[&trade.relayer]);
    assert_eq!(refused(&svm, &trade, &[two.clone(), own(0, 0)]), Some("InvalidSignature"));
    assert_eq!(refused(&svm, &trade, &[two, own(0, 2)]), Some("BadEd25519"));
    for instruction in [1, 2, 255] {
        assert_eq!(refused(&svm, &trade, &[call[0].clone(), own(instruction, 0)]), Some("BadEd25519"));
    }
    // No entry at all is something that the runtime is content with.
    let empty = Instruction { data: vec![0, 0], ..call[0].clone() };
    assert_eq!(refused(&svm, &trade, &[empty, call[1].clone()]), Some("BadEd25519"));
}

#[test]
fn another_program_with_the_same_data_does_not_count() {
    let mut svm = Svm::start();
    let (trade, call) = release(&mut svm);
    // The memo program takes any UTF-8; the compute budget nothing of the kind, so it is enough that ours is not reached.
    let other = solana_sdk::pubkey!("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
    let spoofed = Instruction { program_id: other, accounts: Vec::new(), data: b"ok".to_vec() };
    assert_eq!(refused(&svm, &trade, &[spoofed, call[1].clone()]), Some("BadEd25519"));
}

#[test]
fn what_is_cut_or_changed_does_not_count() {
    let mut svm = Svm::start();
    let (trade, call) = release(&mut svm);
    for length in [1, 2, 15, 16, 16 + 63, call[0].data.len() - 1] {
        let cut = Instruction { data: call[0].data[..length].to_vec(), ..call[0].clone() };
        invalid(&svm, &trade, &[cut, call[1].clone()]);
    }
    for at in [16, 16 + 64, 16 + 96, call[0].data.len() - 1] {
        let mut changed = call[0].clone();
        changed.data[at] ^= 1;
        invalid(&svm, &trade, &[changed, call[1].clone()]);
    }
    // A line within a longer message is another message.
    let line = Line::release(trade.deal.id, 5);
    let mut longer = line.bytes();
    longer.push(b' ');
    let signed = trade.buyer.sign_message(&longer).into();
    let brought = call::ed25519(&[Brought { key: key(&trade.buyer), message: longer, signature: signed }]);
    assert_eq!(refused(&svm, &trade, &[brought, call[1].clone()]), Some("InvalidSignature"));
}

#[test]
fn a_signature_of_something_else_does_not_count() {
    let mut svm = Svm::start();
    let (trade, call) = release(&mut svm);
    let id = trade.deal.id;
    let others = [
        entry(&trade.buyer, &Line::release(id, 6)),
        entry(&trade.buyer, &Line::refund(id, 5)),
        entry(&trade.buyer, &Line::release([9; 32].into(), 5)),
        entry(&trade.buyer, &Line::dispute(id, [1; 32].into(), VALID_UNTIL)),
        entry(&trade.seller, &Line::release(id, 5)),
        entry(&keypair(77), &Line::release(id, 5)),
    ];
    for other in others {
        let message = String::from_utf8(other.message.clone()).unwrap();
        let all = [call::ed25519(&[other]), call[1].clone()];
        assert_eq!(refused(&svm, &trade, &all), Some("InvalidSignature"), "{message}");
    }
    // The same fields under another cluster's or another program's name.
    for (cluster, program) in [
        ("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", solana::program()),
        (earnest_program::CLUSTER, svm::TOKEN),
    ] {
        let total = 5_u64.to_le_bytes();
        let parts: [&[u8]; 6] =
            [b"earnest", cluster.as_bytes(), program.as_ref(), b"release", id.as_slice(), &total];
        let line = Line {
            action: solana::Signable::Release,
            digest: earnest_program::digest::keccak(&parts).into(),
        };
        let all = [call::ed25519(&[entry(&trade.buyer, &line)]), call[1].clone()];
        assert_eq!(refused(&svm, &trade, &all), Some("InvalidSignature"), "{cluster} {program}");
    }
    // With the program's own name it is the very digest, so the two above fail for nothing else.
    let total = 5_u64.to_le_bytes();
    let program = solana::program();
    let parts: [&[u8]; 6] = [
        b"earnest",
        earnest_program::CLUSTER.as_bytes(),
        program.as_ref(),
        b"release",
        id.as_slice(),
        &total,
    ];
    assert_eq!(earnest_program::digest::keccak(&parts), Line::release(id, 5).digest.0);
}

#[test]
fn a_signature_moves_its_total_once_and_is_worthless_when_revoked() {
    let mut svm = Svm::start();
    let (trade, call) = release(&mut svm);
    let mut revoked = svm.clone();
    svm.must(&call, &[&trade.relayer]);
    assert_eq!(refused(&svm, &trade, &call), Some("NothingMoves"));
    let revoke = call::revoke(key(&trade.buyer), key(&trade.buyer), Line::release(trade.deal.id, 5).digest);
    revoked.must(&[revoke], &[&trade.buyer]);
    assert_eq!(refused(&revoked, &trade, &call), Some("SignatureRevoked"));
}

#[test]
fn terms_that_the_seller_did_not_sign_are_not_funded() {
    let mut svm = Svm::start();
    let trade = Trade::set(&mut svm, Setting::default());
    for word in [
        signs(&trade.buyer, &Line::terms(trade.deal.id)),
        signs(&trade.seller, &Line::terms([3; 32].into())),
        signs(&trade.seller, &Line::fund(trade.deal.id, VALID_UNTIL)),
        Word::Approval,
    ] {
        let funding = Funding { seller: Some(word), ..trade.funding() };
        let mut call = trade.deal.fund(&funding, 0);
        // Whose key it is must not be what makes the difference.
        if let [checks, _] = call.as_mut_slice() {
            let by_seller = entry(&trade.seller, &Line::terms([4; 32].into()));
            *checks = call::ed25519(&[by_seller]);
        }
        let failure = svm.clone().send(&call, &[&trade.buyer]).unwrap_err();
        assert_eq!(failure.refusal(None), Some("InvalidSignature"));
    }
}

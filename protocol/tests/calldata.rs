//! Calldata decodes, by the committed ABI, to the call and the words it was made of.
#![allow(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

use alloy::{
    primitives::{
        Address, B256, Bytes, U256, address,
        aliases::{U40, U88},
        keccak256,
    },
    sol_types::{SolCall, SolValue, eip712_domain},
};
use protocol::{
    chain::{self, AccountId, AssetId, ChainId},
    evm::{
        SignatureError, TermsError,
        call::{self, BallotsError, Settlement, Signed},
        deal_id,
        escrow::Escrow,
        escrow_domain,
        pools::ArbitrationPools,
    },
    terms::Terms,
    wire::{feed::RuleBook, intent::SignedBallot},
};

const CHAIN: ChainId = ChainId::Eip155(31337);

fn account(byte: u8) -> AccountId {
    AccountId { chain: CHAIN, address: Address::repeat_byte(byte).into() }
}

fn terms() -> Terms {
    Terms {
        escrow: account(0xee),
        buyer: account(0x01),
        seller: account(0x02),
        arbiter: account(0x03),
        asset: AssetId {
            chain: CHAIN,
            token: Some(address!("0x00000000000000000000000000000000000000aa").into()),
        },
        amount: (1 << 88) - 1,
        fund_by: 1_800_000_000,
        deliver_by: (1 << 40) - 1,
        inspection: 86_400,
        ruling: u32::MAX,
        lapse_share: 10_000,
        metered: true,
        panel: B256::repeat_byte(0x11),
        agreement: B256::repeat_byte(0x22),
        salt: B256::repeat_byte(0x33),
    }
}

fn signed() -> Signed {
    Signed {
        signer: Address::repeat_byte(0x02),
        valid_until: (1 << 40) - 1,
        signature: Bytes::from(vec![7; 65]),
    }
}

fn decode<C: SolCall>(calldata: &Bytes) -> C {
    let call = C::abi_decode_validate(calldata).unwrap();
    assert_eq!(call.abi_encode(), calldata.to_vec());
    call
}

#[test]
fn the_folded_deal_hashes_to_the_same_id() {
    let terms = terms();
    let deal = decode::<Escrow::reclaimCall>(&call::reclaim(&terms).unwrap()).deal;
    let typehash = keccak256(
        "Terms(address buyer,address seller,address arbiter,address asset,uint88 amount,uint40 fundBy,uint40 deliverBy,\
         uint32 inspection,uint32 ruling,uint16 lapseShare,bool metered,Annex annex)\
         Annex(bytes32 panel,bytes32 agreement,bytes32 salt)",
    );
    let struct_hash = keccak256([typehash.as_slice(), &deal.abi_encode()].concat());
    let separator = escrow_domain(terms.escrow).unwrap().separator();
    let digest = keccak256([&[0x19, 0x01], separator.as_slice(), struct_hash.as_slice()].concat());
    assert_eq!(deal_id(&terms), Ok(digest));
    let domain = eip712_domain! {
        name: "Earnest Escrow", version: "1", chain_id: 31337, verifying_contract: call::escrow_of(&terms).unwrap(),
    };
    assert_eq!(domain.separator(), separator);
}

#[test]
fn funding_carries_the_whole_terms() {
    let mut terms = terms();
    let call = decode::<Escrow::fundCall>(&call::fund(&terms, signed().signature).unwrap());
    assert_eq!(call.terms.amount, U88::MAX);
    assert_eq!(call.terms.deliverBy, U40::MAX);
    assert_eq!((call.terms.annex.panel, call.terms.annex.salt), (terms.panel, terms.salt));
    assert_eq!(call.sellerSignature, signed().signature);
    let call = decode::<Escrow::fundBySigCall>(&call::fund_by_sig(&terms, Bytes::new(), &signed()).unwrap());
    assert_eq!((call.validUntil, call.buyerSignature), (U40::MAX, signed().signature));

    assert_eq!(call::fund_value(&terms), U256::ZERO);
    terms.asset = AssetId::native(CHAIN);
    assert_eq!(call::fund_value(&terms), U256::from(terms.amount));
    let call = decode::<Escrow::fundCall>(&call::fund(&terms, Bytes::new()).unwrap());
    assert_eq!(call.terms.asset, Address::ZERO);
}

#[test]
fn the_parties_actions() {
    let (terms, signed, hash) = (terms(), signed(), B256::repeat_byte(9));
    let until = U40::MAX;

    assert_eq!(decode::<Escrow::deliverCall>(&call::deliver(&terms, hash, None).unwrap()).delivery, hash);
    let call = decode::<Escrow::deliverBySigCall>(&call::deliver(&terms, hash, Some(&signed)).unwrap());
    assert_eq!((call.delivery, call.validUntil, call.signature), (hash, until, signed.signature.clone()));

    assert_eq!(
        decode::<Escrow::releaseCall>(&call::release(&terms, 5, None).unwrap()).total,
        U88::from(5_u8)
    );
    let call =
        decode::<Escrow::releaseBySigCall>(&call::release(&terms, 5, Some(&signed.signature)).unwrap());
    assert_eq!((call.total, call.signature), (U88::from(5_u8), signed.signature.clone()));
    assert_eq!(decode::<Escrow::refundCall>(&call::refund(&terms, 6, None).unwrap()).total, U88::from(6_u8));
    let call = decode::<Escrow::refundBySigCall>(&call::refund(&terms, 6, Some(&signed.signature)).unwrap());
    assert_eq!((call.total, call.signature), (U88::from(6_u8), signed.signature.clone()));

    assert_eq!(decode::<Escrow::disputeCall>(&call::dispute(&terms, hash, None).unwrap()).hash, hash);
    let call = decode::<Escrow::disputeBySigCall>(&call::dispute(&terms, hash, Some(&signed)).unwrap());
    assert_eq!((call.party, call.hash, call.validUntil), (signed.signer, hash, until));
    let uri = "ipfs://evidence".to_owned();
    let call = decode::<Escrow::evidenceCall>(&call::evidence(&terms, hash, uri.clone(), None).unwrap());
    assert_eq!((call.hash, call.uri), (hash, uri.clone()));
    let call = decode::<Escrow::evidenceBySigCall>(
        &call::evidence(&terms, hash, uri.clone(), Some(&signed)).unwrap(),
    );
    assert_eq!((call.party, call.hash, call.uri, call.validUntil), (signed.signer, hash, uri, until));

    let settlement = Settlement {
        seller_total: 8,
        rulings: 3,
        valid_until: 99,
        buyer_signature: Bytes::new(),
        seller_signature: signed.signature.clone(),
    };
    let call = decode::<Escrow::settleCall>(&call::settle(&terms, &settlement).unwrap());
    assert_eq!((call.sellerTotal, call.rulings, call.validUntil), (U88::from(8_u8), 3, U40::from(99_u8)));
    assert_eq!((call.buyerSignature, call.sellerSignature), (Bytes::new(), signed.signature));
}

#[test]
fn time_outs_rulings_and_credit() {
    let (terms, signed) = (terms(), signed());
    let claim = decode::<Escrow::claimCall>(&call::claim(&terms).unwrap()).deal;
    assert_eq!(decode::<Escrow::lapseCall>(&call::lapse(&terms).unwrap()).deal, claim);
    let rule = decode::<Escrow::ruleCall>(&call::rule(&terms, 2_500).unwrap());
    assert_eq!((rule.deal, rule.share), (claim, 2_500));
    let digest = B256::repeat_byte(4);
    assert_eq!(decode::<Escrow::revokeCall>(&call::revoke(digest)).digest, digest);
    let (asset, to) = (Address::repeat_byte(5), Address::repeat_byte(6));
    let call = decode::<Escrow::withdrawCall>(&call::withdraw(asset, to));
    assert_eq!((call.asset, call.to), (asset, to));
    let call =
        decode::<Escrow::withdrawBySigCall>(&call::withdraw_by_sig(asset, U256::MAX, to, &signed).unwrap());
    assert_eq!((call.creditor, call.asset, call.amount, call.to), (signed.signer, asset, U256::MAX, to));
}

#[test]
fn pools_and_cases() {
    let terms = terms();
    let escrow = Address::repeat_byte(0xee);
    let book = RuleBook {
        keeper: Address::repeat_byte(8).into(),
        parent: B256::ZERO,
        jury_size: 5,
        delay: 1,
        opening: 60,
        voting: 3_600,
        appeal: 0,
        salt: B256::repeat_byte(1),
    };
    let created = decode::<ArbitrationPools::createPoolCall>(&call::create_pool(&book).unwrap()).book;
    assert_eq!(protocol::evm::pool_id(&book), keccak256(created.abi_encode()));
    let members = vec![Address::repeat_byte(1), Address::repeat_byte(2)];
    assert_eq!(
        decode::<ArbitrationPools::storePageCall>(&call::store_page(members.clone())).members,
        members
    );
    let published = decode::<ArbitrationPools::publishCall>(&call::publish(B256::ZERO, members.clone()));
    assert_eq!(published.pages, members);

    let opened = decode::<ArbitrationPools::openCall>(&call::open(&terms).unwrap());
    assert_eq!((opened.escrow, opened.deal), (escrow, deal_id(&terms).unwrap()));
    let drawn = decode::<ArbitrationPools::drawCall>(&call::draw(&terms).unwrap());
    assert_eq!((drawn.escrow, drawn.terms.annex.agreement), (escrow, terms.agreement));
    let second = decode::<ArbitrationPools::openSecondJuryCall>(&call::open_second_jury(&terms).unwrap());
    assert_eq!((second.escrow, &second.terms), (escrow, &drawn.terms));
    let concluded = decode::<ArbitrationPools::concludeCall>(&call::conclude(&terms).unwrap());
    assert_eq!((concluded.escrow, &concluded.terms), (escrow, &drawn.terms));
    let executed = decode::<ArbitrationPools::executeCall>(&call::execute(&terms).unwrap());
    assert_eq!((executed.escrow, &executed.terms), (escrow, &drawn.terms));
    let read = decode::<ArbitrationPools::juryOfCall>(&call::jury_of(&terms, 1).unwrap());
    assert_eq!((read.escrow, read.terms, read.jury), (escrow, drawn.terms.clone(), 1));
    let cast =
        decode::<ArbitrationPools::castCall>(&call::cast(&terms, 1, 3, 500, B256::repeat_byte(2)).unwrap());
    assert_eq!((cast.jury, cast.seat, cast.share, cast.reason), (1, 3, 500, B256::repeat_byte(2)));

    let signed = signed();
    let appealed = decode::<ArbitrationPools::appealCall>(&call::appeal(&terms, None).unwrap());
    assert_eq!((appealed.escrow, &appealed.terms), (escrow, &drawn.terms));
    let appealed = decode::<ArbitrationPools::appealBySigCall>(&call::appeal(&terms, Some(&signed)).unwrap());
    assert_eq!((appealed.escrow, &appealed.terms, appealed.party), (escrow, &drawn.terms, signed.signer));
    assert_eq!((appealed.validUntil, appealed.signature), (U40::from((1_u64 << 40) - 1), signed.signature));
}

#[test]
fn ballots_are_handed_in_with_compact_signatures_or_not_at_all() {
    let terms = terms();
    let ballot = |v| {
        let signature = [[1; 32].as_slice(), &[2; 32], &[v]].concat().into();
        SignedBallot { seat: 4, share: 9_500, reason: B256::ZERO, signature }
    };
    let call = call::submit(&terms, 1, &[ballot(27), ballot(28)]).unwrap();
    let submitted = decode::<ArbitrationPools::submitCall>(&call);
    assert_eq!((submitted.escrow, submitted.jury), (Address::repeat_byte(0xee), 1));
    let mut odd = B256::repeat_byte(2);
    odd[0] |= 0x80;
    for (given, vs) in submitted.ballots.iter().zip([B256::repeat_byte(2), odd]) {
        assert_eq!((given.seat, given.share, given.r, given.vs), (4, 9_500, B256::repeat_byte(1), vs));
    }
    let refused = call::submit(&terms, 1, &[ballot(27), ballot(0)]);
    assert_eq!(refused, Err(BallotsError::Signature { seat: 4, reason: SignatureError::V(0) }));
}

#[test]
fn terms_are_retracted_and_calls_batched() {
    let terms = terms();
    let retract = call::retract(&terms).unwrap();
    let funded = decode::<Escrow::fundCall>(&call::fund(&terms, Bytes::new()).unwrap());
    assert_eq!(decode::<Escrow::retractCall>(&retract).terms, funded.terms);
    let calls = vec![retract, call::claim(&terms).unwrap()];
    assert_eq!(decode::<Escrow::batchCall>(&call::batch(calls.clone())).calls, calls);
}

#[test]
fn what_has_no_form_on_the_chain_is_refused() {
    let mut large = terms();
    large.amount = 1 << 88;
    assert!(matches!(call::fund(&large, Bytes::new()), Err(TermsError::TooLarge { field: "amount", .. })));
    let mut late = terms();
    late.deliver_by = 1 << 40;
    assert!(matches!(call::open(&late), Err(TermsError::TooLarge { field: "deliver_by", .. })));
    let mut foreign = terms();
    foreign.seller.chain = ChainId::Eip155(1);
    assert!(matches!(call::claim(&foreign), Err(TermsError::OtherChain { field: "seller", .. })));
    let key = chain::Address::Solana([7; 32]);
    type Mix = fn(&mut Terms, chain::Address);
    let mixed: [(&str, Mix); 5] = [
        ("escrow", |terms, key| terms.escrow.address = key),
        ("buyer", |terms, key| terms.buyer.address = key),
        ("seller", |terms, key| terms.seller.address = key),
        ("arbiter", |terms, key| terms.arbiter.address = key),
        ("asset", |terms, key| terms.asset.token = Some(key)),
    ];
    for (name, mix) in mixed {
        let mut terms = terms();
        mix(&mut terms, key);
        for refused in [deal_id(&terms), chain::deal_id(&terms)] {
            assert!(matches!(refused, Err(TermsError::OtherChain { field, .. }) if field == name), "{name}");
        }
        let misfits = chain::misfits(&terms);
        assert!(matches!(&misfits[..], [TermsError::OtherChain { field, .. }] if *field == name), "{name}");
    }
    assert!(matches!(
        call::release(&terms(), 1 << 88, None),
        Err(TermsError::TooLarge { field: "total", .. })
    ));
    let late = Signed { valid_until: 1 << 40, ..signed() };
    let refused = call::deliver(&terms(), B256::ZERO, Some(&late));
    assert!(matches!(refused, Err(TermsError::TooLarge { field: "valid_until", .. })));
}

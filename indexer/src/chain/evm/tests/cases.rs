//! What the arbiter says of a case, beside what its events add up to.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use alloy::{
    primitives::{Address, B256, U256},
    sol_types::SolCall as _,
};
use fixture::Chain;
use protocol::{
    chain::{self, AccountId},
    deal::WHOLE,
    evm::{call, pools::ArbitrationPools},
    terms::Terms,
    wire::view::{Case, CaseStage, FaultKind, Jury},
};
use serde_json::json;
use service::db::testing::on_both;

use super::agrees;
use crate::{
    chain::evm::reconcile::case_differs,
    testing::{Running, config, node::Node, with},
};

/// A ballot of seat 0 for the whole.
const WORD: u8 = 21;
const SEED: B256 = B256::repeat_byte(0x5e);

fn drawn(jury: u8) -> Jury {
    Jury {
        instance: 0,
        jury,
        pool: Some(B256::repeat_byte(1)),
        list: Some(3),
        ends_at: Some(1_000),
        target_block: 7,
        seed: Some(SEED),
        seats: vec![Address::repeat_byte(9).into(); 3],
        ballots: B256::with_last_byte(WORD),
        lo: 0,
        hi: WHOLE,
        cast: Vec::new(),
    }
}

/// As the contract tells it.
fn told(jury: u8) -> ArbitrationPools::Jury {
    ArbitrationPools::Jury {
        stage: 2,
        instance: 0,
        jury,
        seats: 3,
        appealable: false,
        list: 3,
        members: 8,
        endsAt: alloy::primitives::aliases::U40::from(1_000),
        targetBlock: Default::default(),
        acceptedAt: Default::default(),
        share: 0,
        seed: SEED,
        ballots: U256::from(WORD),
    }
}

fn of(stage: CaseStage, ruling: Option<u16>, juries: Vec<Jury>) -> Case {
    let arbiter: AccountId = format!("eip155:1:{}", Address::repeat_byte(0xa5)).parse().unwrap();
    let (executable_at, appealed_by) = (None, None);
    Case { deal: B256::ZERO, arbiter, escrow: arbiter, stage, ruling, executable_at, appealed_by, juries }
}

#[test]
fn a_case_differs_in_whatever_the_arbiter_keeps_of_it() {
    let ours = of(CaseStage::Drawn, None, vec![drawn(0), drawn(1)]);
    assert_eq!(case_differs(&ours, &[told(0), told(1)]), None);
    let one = "juries are 2 by the events, and 1 by the contract";
    assert_eq!(case_differs(&ours, &[told(0)]).as_deref(), Some(one));
    type Change = fn(&mut ArbitrationPools::Jury);
    let changes: [(Change, &str); 8] = [
        (|jury| jury.stage = 3, "stage is 2 by the events, and 3 by the contract"),
        (|jury| jury.share = 500, "ruling is 0 by the events, and 500 by the contract"),
        (|jury| jury.instance = 1, "jury 1 has another place in its instance"),
        (|jury| jury.seats = 5, "jury 1 has another number of seats"),
        (|jury| jury.list = 4, "jury 1 has another list"),
        (|jury| jury.endsAt = Default::default(), "jury 1 has another end"),
        (|jury| jury.seed = B256::ZERO, "jury 1 has another seed"),
        (|jury| jury.ballots = U256::ZERO, "jury 1 has another word of ballots"),
    ];
    for (change, words) in changes {
        let mut last = told(1);
        change(&mut last);
        let differs = case_differs(&ours, &[told(0), last]).unwrap_or_default();
        assert!(differs.starts_with(words), "{words}: {differs}");
    }
}

#[test]
fn what_the_arbiter_does_not_keep_of_a_case_is_no_difference() {
    // A jury that is not drawn has a panel at the contract, and nothing by the events.
    let waiting = Jury {
        pool: None,
        list: None,
        ends_at: None,
        seed: None,
        seats: Vec::new(),
        ballots: B256::ZERO,
        ..drawn(1)
    };
    let opened = ArbitrationPools::Jury {
        stage: 1,
        targetBlock: alloy::primitives::aliases::U40::from(7),
        seed: B256::ZERO,
        ballots: U256::ZERO,
        ..told(1)
    };
    let widened = of(CaseStage::Opened, None, vec![drawn(0), waiting.clone()]);
    assert_eq!(case_differs(&widened, &[told(0), opened.clone()]), None);
    let moved = ArbitrationPools::Jury { targetBlock: Default::default(), ..opened.clone() };
    let differs = case_differs(&widened, &[told(0), moved]).unwrap_or_default();
    assert!(differs.starts_with("jury 1 has another target block"), "{differs}");

    // The first jury rules while the second waits: the ruling stands with the last, and its ballots nowhere.
    let ruled = of(CaseStage::Accepted, Some(WHOLE), vec![drawn(0), waiting]);
    let first = ArbitrationPools::Jury { ballots: U256::ZERO, ..told(0) };
    let last = ArbitrationPools::Jury { stage: 3, share: WHOLE, targetBlock: Default::default(), ..opened };
    assert_eq!(case_differs(&ruled, &[first.clone(), last]), None);

    // After an appeal the ballots of the parent alone are counted.
    let parents = Jury { instance: 1, ..drawn(0) };
    let appealed = of(CaseStage::Drawn, None, vec![drawn(0), parents]);
    let first = ArbitrationPools::Jury { stage: 3, share: WHOLE, ..first };
    let parents = ArbitrationPools::Jury { instance: 1, ..told(0) };
    assert_eq!(case_differs(&appealed, &[first, parents]), None);
}

/// Opens and draws the case of a new deal; a juror with a key casts `share`. Answers the deal.
async fn heard(chain: &Chain, terms: &Terms, share: u16) -> B256 {
    let (deal, _) = chain.fund(terms).await;
    chain.dispute(terms).await;
    let seats = chain.open_and_draw(terms).await;
    let wallet = |juror: &chain::Address| (4..10).find(|wallet| *juror == chain.address(*wallet).into());
    let mut keys = (0_u8..).zip(&seats).filter_map(|(seat, juror)| Some((seat, wallet(juror)?)));
    let (seat, wallet) = keys.next().expect("more seats than members without a key");
    let cast = call::cast(terms, 0, seat, share, B256::ZERO).expect("terms of this chain");
    chain.send(wallet, chain.pools.address, cast, U256::ZERO).await;
    deal
}

#[tokio::test]
async fn an_arbiter_that_says_otherwise_of_ballots_is_a_fault_while_it_does() {
    for db in on_both().await {
        let chain = Chain::start().await;
        // Three jurors, of whom one votes; and one juror, whose ruling may be appealed.
        let three = chain.pool(3).await;
        let parent = chain.pool(1).await;
        let one = chain.pool_below(1, &parent).await;
        let counting = heard(&chain, &chain.terms(1_000, three.id, 1).await, 7_500).await;
        heard(&chain, &chain.terms(1_000, one.id, 2).await, 2_500).await;
        chain.mine(4).await;
        let node = Node::before(&chain.rpc_url()).await;
        let lies = Arc::new(AtomicBool::new(true));
        let lying = lies.clone();
        let asked = hex::encode(ArbitrationPools::caseOfCall::SELECTOR);
        node.lies(move |request, answer| {
            let call = request["params"][0].to_string();
            if call.contains(&asked)
                && call.contains(&hex::encode(counting))
                && lying.load(Ordering::SeqCst)
                && let Some(told) = answer["result"].as_str()
            {
                // The last word of a case is its last jury's word of ballots.
                let kept = told.len() - 64;
                answer["result"] = json!(format!("{}{}", &told[..kept], "0".repeat(64)));
            }
        });
        let config = with(config(&chain, &db), |chain| {
            chain.rpc_urls = vec![node.url.clone()];
            chain.reconcile_ms = 1_000;
        });
        let indexer = Running::start(config).await;
        let status = indexer.until("the fault", |s| s.alarms == [FaultKind::StateDiffers]).await;
        assert!(status.faults[0].subject.starts_with(&format!("case/{counting}/")), "{:?}", status.faults);
        let words = "jury 0 has another word of ballots by the events than by the contract";
        assert!(status.faults[0].detail.contains(words), "{:?}", status.faults);
        lies.store(false, Ordering::SeqCst);
        // Once more from the first: both cases agree, the one that is ruled as well.
        let agreed = indexer.until("the agreement", |s| s.alarms.is_empty()).await.reconciled_at;
        let again = indexer.until("another round", |s| s.reconciled_at > agreed).await;
        assert_eq!(again.faults, []);
        agrees(indexer).await;
    }
}

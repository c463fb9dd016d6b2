//! A dispute on a real chain, from the opening of its case to the execution of the ruling.

use alloy::{
    primitives::{self, B256, U256},
    providers::Provider,
    rpc::types::TransactionRequest,
};
use fixture::Chain;
use protocol::{
    chain::{AccountId, Address, case_id, pool_id},
    evm::{ballot_digest, call},
    wire::{
        feed::{CallOutcome, ChainEvent, EventBody, Finality},
        intent::SignedBallot,
        view::{Case, CaseStage, CaseView, DealDetail, DealStatus, PoolView},
    },
};
use serde_json::json;
use service::db::testing::on_both;

use super::model::fold;
use crate::testing::{
    Running,
    node::{Node, refuse},
};

#[tokio::test]
async fn a_case_is_told_from_its_opening_to_its_ruling() {
    for db in on_both().await {
        let chain = Chain::start().await;
        let indexer = Running::on(&chain, &db).await;
        let pool = chain.pool(1).await;
        indexer.caught_up(&chain).await;
        let view: PoolView = indexer.get(&format!("/v1/pools/{}?arbiter={}", pool.id, chain.pools)).await;
        assert_eq!(pool_id(chain.chain, &view.pool.book.expect("its rules")), Ok(pool.id));
        assert_eq!(view.pool.lists.len(), 1);
        assert_eq!(usize::try_from(view.pool.lists[0].size).unwrap(), pool.members.len());
        assert_eq!(indexer.raw(&format!("/v1/pools/{}?arbiter={}", pool.id, chain.escrow)).await.0, 404);

        let terms = chain.terms(1_000, pool.id, 1).await;
        let (deal, _) = chain.fund(&terms).await;
        chain.dispute(&terms).await;
        let seats = chain.open_and_draw(&terms).await;
        indexer.caught_up(&chain).await;
        let case: CaseView = indexer.get(&format!("/v1/cases/{deal}")).await;
        assert_eq!(case.case.stage, CaseStage::Drawn);
        assert_eq!((case.case.arbiter, case.case.escrow), (chain.pools, chain.escrow));
        let jury = case.case.juries.last().unwrap();
        assert_eq!((&jury.seats, jury.pool, jury.lo, jury.hi), (&seats, Some(pool.id), 0, 10_000));

        let id = case_id(pool.id, chain.escrow, deal, 0, 0, jury.seed.unwrap()).unwrap();
        let digest = ballot_digest(chain.pools, id, 7_500, B256::ZERO).unwrap();
        let juror =
            (0..10).find(|wallet| seats[0] == chain.address(*wallet).into()).expect("a wallet's seat");
        let ballot =
            SignedBallot { seat: 0, share: 7_500, reason: B256::ZERO, signature: chain.sign(juror, digest) };
        let data = call::submit(&terms, 0, &[ballot]).unwrap();
        // An estimate would find the least gas that accepts the ruling, which is too little to execute it as well.
        let request = TransactionRequest::default()
            .from(chain.address(3))
            .to(fixture::evm(chain.pools.address))
            .input(data.into())
            .gas_limit(2_000_000);
        let pending = chain.provider().send_transaction(request).await.expect("the node takes it");
        assert!(pending.get_receipt().await.expect("a receipt").status());
        chain.mine(3).await;
        indexer.caught_up(&chain).await;
        indexer.all_final().await;
        let case: CaseView = indexer.get(&format!("/v1/cases/{deal}")).await;
        assert_eq!((case.case.stage, case.case.ruling), (CaseStage::Executed, Some(7_500)));
        assert_eq!(case.finality, Finality::Final);
        let jury = case.case.juries.last().unwrap();
        assert_eq!((jury.lo, jury.hi), (7_500, 7_500));
        assert_eq!(U256::from_be_bytes(jury.ballots.0) & U256::from(31), U256::from(7_500 / 500 + 1));
        let detail: DealDetail = indexer.get(&format!("/v1/deals/{deal}")).await;
        assert_eq!(detail.view.deal.status, DealStatus::Closed);
        assert_eq!(detail.view.deal.share, Some(7_500));
        assert_eq!((detail.view.deal.released, detail.view.deal.refunded), (750, 250));
        assert!(detail.view.deal.complete);

        let report = crate::testing::verified(&indexer.stop().await).await;
        assert_eq!(report.differences, Vec::<String>::new());
        assert_eq!(report.states, 3);
    }
}

#[tokio::test]
async fn contracts_are_read_through_the_indexer_within_limits() {
    use alloy::sol_types::SolCall;
    use protocol::evm::escrow::Escrow;

    let db = service::db::testing::sqlite();
    let chain = Chain::start().await;
    let node = Node::before(&chain.rpc_url()).await;
    let indexer = Running::behind(&node, &chain, &db).await;
    let call = |body: serde_json::Value| {
        let request = indexer.http.post(format!("{}/v1/call", indexer.base)).json(&body);
        async move {
            let response = request.send().await.expect("an answer");
            (response.status().as_u16(), response.text().await.expect("a text"))
        }
    };
    let data = format!("0x{}", hex::encode(Escrow::DOMAIN_SEPARATORCall {}.abi_encode()));
    let (status, text) = call(json!({"to": chain.escrow, "data": data})).await;
    assert_eq!(status, 200, "{text}");
    let CallOutcome::Returned { data } = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
    assert_eq!(B256::from_slice(&data), protocol::evm::escrow_domain(chain.escrow).unwrap().hash_struct());

    let terms = chain.terms(1_000, B256::ZERO, 1).await;
    let reclaim = call_data(&terms);
    let (status, text) = call(json!({"to": chain.escrow, "data": reclaim})).await;
    assert_eq!(status, 200, "{text}");
    let CallOutcome::Reverted { data } = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
    assert_eq!(data.len(), 4, "the name of a refusal");

    let long = format!("0x{}", "00".repeat(16 * 1024 + 1));
    for (body, code, words) in [
        (json!({"to": chain.escrow, "data": long}), 422, "at most 16384"),
        (json!({"to": format!("eip155:1:{}", chain.escrow.address), "data": "0x"}), 422, "eip155:31337"),
        (json!({"to": "0x00", "data": "0x"}), 422, "CAIP-10"),
        (json!({"to": chain.escrow, "data": "0x", "value": "1"}), 422, "value"),
    ] {
        let (status, text) = call(body).await;
        assert_eq!(status, code, "{text}");
        assert!(text.contains(words), "{text}");
    }

    // Whatever a call does, anybody may make it: the node is not left for that.
    let faulty = chain.deploy(INVALID.parse().unwrap()).await;
    let faulty = json!({"to": format!("{}:{faulty}", chain.chain), "data": "0x"});
    let (status, text) = call(faulty.clone()).await;
    assert_eq!(status, 200, "{text}");
    assert!(matches!(serde_json::from_str(&text).unwrap(), CallOutcome::Reverted { .. }), "{text}");
    node.lies(|request, answer| {
        if request["method"] == "eth_call" {
            refuse(answer, -32603, "internal error");
        }
    });
    let (status, text) = call(faulty).await;
    assert_eq!(status, 503, "{text}");
    assert_eq!(indexer.status().await.providers[0].failures, 0);
    indexer.stop().await;
}

/// A contract whose every call ends with the invalid opcode.
const INVALID: &str = "0x60fe60005360016000f3";

fn call_data(terms: &protocol::terms::Terms) -> alloy::primitives::Bytes {
    call::reclaim(terms).unwrap()
}

/// What an arbiter says, one event a block.
fn told(bodies: impl IntoIterator<Item = EventBody>) -> Case {
    let contract: AccountId =
        format!("eip155:31337:{}", primitives::Address::repeat_byte(0xaa)).parse().unwrap();
    let events = (1_u64..).zip(bodies).map(|(block, body)| ChainEvent {
        id: B256::from(U256::from(block)),
        contract,
        block_number: block,
        block_hash: B256::from(U256::from(block)),
        block_time: 100 + block,
        transaction: B256::ZERO.into(),
        log_index: 0,
        body,
    });
    events.fold(None, |case, event| fold(case, &event)).expect("a case")
}

const DEAL: B256 = B256::repeat_byte(1);
const ESCROW: Address = account(0xee);

const fn account(byte: u8) -> Address {
    Address::Evm(primitives::Address::repeat_byte(byte))
}

fn opened(instance: u8, jury: u8) -> EventBody {
    EventBody::CaseOpened { deal: DEAL, escrow: ESCROW, instance, jury, target_block: 7 }
}

fn drawn(instance: u8, jury: u8) -> EventBody {
    EventBody::JuryDrawn {
        deal: DEAL,
        escrow: ESCROW,
        pool: B256::repeat_byte(instance),
        instance,
        jury,
        list: 0,
        ends_at: 1_000 + u64::from(instance),
        seed: B256::repeat_byte(5),
        seats: (1..=3).map(|seat| account(100 * instance + 10 * jury + seat)).collect(),
    }
}

/// A word in which the three seats say these fields: 0 is nothing, 1 to 21 a share.
fn word(fields: [u64; 3]) -> B256 {
    B256::from(U256::from(fields[0] | fields[1] << 5 | fields[2] << 10))
}

fn counted(instance: u8, jury: u8, ballots: B256, lo: u16, hi: u16) -> EventBody {
    EventBody::BallotsCounted { deal: DEAL, escrow: ESCROW, instance, jury, ballots, lo, hi }
}

fn accepted(instance: u8, jury: u8, ballots: B256, share: u16, executable_at: u64) -> EventBody {
    EventBody::RulingAccepted { deal: DEAL, escrow: ESCROW, instance, jury, ballots, share, executable_at }
}

#[test]
fn every_jury_of_a_case_is_kept_through_second_juries_and_an_appeal() {
    let by = account(2);
    let history = [
        opened(0, 0),
        drawn(0, 0),
        counted(0, 0, word([6, 0, 0]), 0, 10_000),
        opened(0, 1),
        drawn(0, 1),
        // The first jury may still speak, and here it rules.
        accepted(0, 0, word([6, 6, 0]), 2_500, 5_000),
        EventBody::Appealed { deal: DEAL, escrow: ESCROW, by },
        opened(1, 0),
        drawn(1, 0),
        // The last word of the appeal: nobody determined it, and the escrow was told at once.
        accepted(1, 0, word([21, 0, 0]), 2_500, 0),
    ];
    let at = |events: usize| told(history.iter().take(events).cloned());

    let widened = at(4);
    assert_eq!((widened.stage, widened.juries.len()), (CaseStage::Opened, 2));
    assert_eq!((widened.juries[0].lo, widened.juries[0].hi, widened.juries[1].seed), (0, 10_000, None));

    let ruled = at(6);
    assert_eq!(
        (ruled.stage, ruled.ruling, ruled.executable_at),
        (CaseStage::Accepted, Some(2_500), Some(5_000))
    );
    let bounds: Vec<_> = ruled.juries.iter().map(|jury| (jury.lo, jury.hi)).collect();
    assert_eq!(bounds, [(2_500, 2_500), (0, 10_000)]);

    let appealed = at(8);
    assert_eq!((appealed.stage, appealed.ruling, appealed.executable_at), (CaseStage::Opened, None, None));
    assert_eq!((appealed.appealed_by, appealed.juries.len()), (Some(by), 3));

    let over = at(10);
    assert_eq!((over.stage, over.ruling, over.executable_at), (CaseStage::Executed, Some(2_500), None));
    let last = over.juries.last().unwrap();
    assert_eq!((last.instance, last.jury, last.ends_at, last.lo, last.hi), (1, 0, Some(1_001), 0, 10_000));
    let executed = EventBody::RulingExecuted { deal: DEAL, escrow: ESCROW, share: 2_500 };
    assert_eq!(told(history.into_iter().take(6).chain([executed])).stage, CaseStage::Executed);
}

#[test]
fn a_case_that_goes_straight_to_the_parent_has_one_jury() {
    let case = told([opened(0, 0), drawn(1, 0)]);
    let jury = &case.juries[0];
    assert_eq!((case.juries.len(), jury.instance, jury.pool), (1, 1, Some(B256::repeat_byte(1))));
}

#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

mod asks;
mod both;
mod deliveries;
mod floods;
mod histories;
mod mirror;
mod offers;

use alloy::primitives::{Address, B256};
use protocol::{
    chain::{self, AccountId, ChainId},
    terms::Terms,
    wire::feed::{ChainEvent, EventBody, FeedEntry, Finality},
};

use super::{
    model::{
        Agreement, Goods, Offer, Panel, Price, PurchaseBody, Told, agreement_hash, check_purchase, compare,
        supersedes, undoes,
    },
    position::{Gap, Position, Timeout, fold, follow},
    status::{Refused, Status, Step, step},
};
use crate::records::RecordId;

const CHAIN: ChainId = ChainId::Eip155(1);
const START: u64 = 1_800_000_000;

fn account(byte: u8) -> AccountId {
    AccountId { chain: CHAIN, address: Address::repeat_byte(byte).into() }
}

fn terms() -> Terms {
    Terms {
        escrow: account(1),
        buyer: account(2),
        seller: account(3),
        arbiter: account(4),
        asset: "eip155:1/slip44:60".parse().unwrap(),
        amount: 1000,
        fund_by: START + 100_000,
        deliver_by: START + 200_000,
        inspection: 5_000,
        ruling: 6_000,
        lapse_share: 2500,
        metered: false,
        panel: B256::repeat_byte(5),
        agreement: B256::repeat_byte(6),
        salt: B256::repeat_byte(7),
    }
}

fn event(terms: &Terms, block: u64, time: u64, body: EventBody) -> ChainEvent {
    let block_hash = B256::from(alloy::primitives::U256::from(block));
    ChainEvent {
        id: chain::event_id(CHAIN, block_hash, block_hash.into(), 0).unwrap(),
        contract: terms.escrow,
        block_number: block,
        block_hash,
        block_time: time,
        transaction: B256::repeat_byte(block as u8).into(),
        log_index: 0,
        body,
    }
}

/// What the table must say: for each step the outcome from every status in the order of `Status::ALL`.
const TABLE: [(Step, [&str; 10]); 16] = {
    const GONE: &str = "!offer_gone";
    const FUNDED: &str = "!already_funded";
    const CLOSED: &str = "!closed";
    const UNFUNDED: &str = "!not_funded";
    const OPEN: &str = "!not_closed";
    const CALM: &str = "!not_disputed";
    const OK: &str = "confirmed";
    const HOT: &str = "!disputed";
    [
        (
            Step::Accept,
            ["created", GONE, GONE, "!already_accepted", FUNDED, FUNDED, FUNDED, CLOSED, CLOSED, CLOSED],
        ),
        (
            Step::Decline,
            ["declined", GONE, GONE, "!not_offered", FUNDED, FUNDED, FUNDED, CLOSED, CLOSED, CLOSED],
        ),
        (
            Step::Withdraw,
            ["withdrawn", GONE, GONE, "withdrawn", FUNDED, FUNDED, FUNDED, CLOSED, CLOSED, CLOSED],
        ),
        (
            Step::Fund,
            ["funded", "funded", "funded", "funded", FUNDED, FUNDED, FUNDED, CLOSED, CLOSED, CLOSED],
        ),
        (
            Step::Deliver,
            [
                UNFUNDED,
                UNFUNDED,
                UNFUNDED,
                UNFUNDED,
                "delivered",
                "!already_delivered",
                HOT,
                CLOSED,
                CLOSED,
                CLOSED,
            ],
        ),
        (
            Step::Concede,
            [
                UNFUNDED,
                UNFUNDED,
                UNFUNDED,
                UNFUNDED,
                "funded",
                "delivered",
                "disputed",
                CLOSED,
                CLOSED,
                CLOSED,
            ],
        ),
        (Step::ConcedeAll, [UNFUNDED, UNFUNDED, UNFUNDED, UNFUNDED, OK, OK, OK, CLOSED, CLOSED, CLOSED]),
        (
            Step::Dispute,
            [UNFUNDED, UNFUNDED, UNFUNDED, UNFUNDED, "disputed", "disputed", HOT, CLOSED, CLOSED, CLOSED],
        ),
        (
            Step::Argue,
            [UNFUNDED, UNFUNDED, UNFUNDED, UNFUNDED, CALM, CALM, "disputed", CLOSED, CLOSED, CLOSED],
        ),
        (
            Step::Reclaim,
            [UNFUNDED, UNFUNDED, UNFUNDED, UNFUNDED, OK, "!delivered", HOT, CLOSED, CLOSED, CLOSED],
        ),
        (
            Step::Claim,
            [UNFUNDED, UNFUNDED, UNFUNDED, UNFUNDED, "!not_delivered", OK, HOT, CLOSED, CLOSED, CLOSED],
        ),
        (Step::Settle, [UNFUNDED, UNFUNDED, UNFUNDED, UNFUNDED, OK, OK, OK, CLOSED, CLOSED, CLOSED]),
        (Step::Rule, [UNFUNDED, UNFUNDED, UNFUNDED, UNFUNDED, CALM, CALM, OK, CLOSED, CLOSED, CLOSED]),
        (Step::Lapse, [UNFUNDED, UNFUNDED, UNFUNDED, UNFUNDED, CALM, CALM, OK, CLOSED, CLOSED, CLOSED]),
        (
            Step::PaySeller,
            [UNFUNDED, UNFUNDED, UNFUNDED, UNFUNDED, OPEN, OPEN, OPEN, "completed", CLOSED, CLOSED],
        ),
        (
            Step::PayBuyer,
            [UNFUNDED, UNFUNDED, UNFUNDED, UNFUNDED, OPEN, OPEN, OPEN, "refunded", CLOSED, CLOSED],
        ),
    ]
};

#[test]
fn every_pair_of_status_and_step_is_as_written() {
    assert_eq!(TABLE.map(|(step, _)| step), Step::ALL);
    for (by, outcomes) in TABLE {
        for (from, outcome) in Status::ALL.into_iter().zip(outcomes) {
            let told = step(from, by)
                .map_or_else(|refused| format!("!{}", refused.rule()), |to| to.as_str().to_owned());
            assert_eq!(told, outcome, "{by:?} from {from:?}");
            assert_eq!(Status::parse(from.as_str()), Some(from));
        }
    }
}

#[test]
fn every_open_status_ends_by_itself() {
    let terms = terms();
    for status in Status::ALL {
        let position =
            Position { delivered_at: Some(START), disputed_at: Some(START), ..Position::new(status) };
        let deadline = position.next_deadline(&terms);
        let (at, by) = match status {
            Status::Offered | Status::Created => {
                assert_eq!(deadline, Some((terms.fund_by, Timeout::Void)));
                continue;
            }
            Status::Funded => (terms.deliver_by, (Timeout::Reclaim, Step::Reclaim)),
            Status::Delivered => (START + 5_000, (Timeout::Claim, Step::Claim)),
            Status::Disputed => (START + 6_000, (Timeout::Lapse, Step::Lapse)),
            _ => {
                assert_eq!(deadline, None, "{status:?}");
                continue;
            }
        };
        assert_eq!(deadline, Some((at, by.0)));
        assert_eq!(step(status, by.1), Ok(Status::Confirmed));
    }
    let metered = Terms { metered: true, ..terms };
    let funded = Position::new(Status::Funded).next_deadline(&metered);
    assert_eq!(funded, Some((metered.deliver_by + 5_000, Timeout::Reclaim)));
}

#[test]
fn the_sellers_share_decides_between_completed_and_refunded() {
    let terms = terms();
    let deal = B256::ZERO;
    let funded = event(&terms, 1, START, EventBody::Funded { deal, terms: terms.clone() });
    for (released, status, bps) in [
        (0, Status::Refunded, 0),
        (1, Status::Completed, 10),
        (333, Status::Completed, 3330),
        (1000, Status::Completed, 10_000),
    ] {
        let settled = EventBody::Settled { deal, released, refunded: 1000 - released, count: 2 };
        let settled = event(&terms, 2, START + 1, settled);
        let (position, gap) = fold(Status::Created, &terms, [&funded, &settled]);
        assert_eq!((position.status, gap), (Status::Confirmed, None));
        assert_eq!(position.settled().status, status);
        assert_eq!(position.seller_share_bps(terms.amount), Some(bps));
        assert_eq!(position.closing, Some(settled.transaction));
    }
    let (open, _) = fold(Status::Created, &terms, [&funded]);
    assert_eq!((open.seller_share_bps(terms.amount), open.settled().status), (None, Status::Funded));
}

#[test]
fn what_does_not_fit_is_named_and_nothing_after_it_counts() {
    let terms = terms();
    let deal = B256::ZERO;
    let at = |block, body| event(&terms, block, START + block, body);
    let funded = at(1, EventBody::Funded { deal, terms: terms.clone() });
    let delivered = at(2, EventBody::Delivered { deal, delivery: B256::ZERO, count: 2 });
    let claimed = at(3, EventBody::Claimed { deal, released: 1000, count: 3 });

    let (position, gap) = fold(Status::Created, &terms, [&claimed, &delivered]);
    assert_eq!(position, Position::new(Status::Created));
    assert_eq!(gap, Some(Gap::Step { event: delivered.id, refused: Refused::NotFunded }));

    let partly = at(2, EventBody::Released { deal, released: 10, count: 3 });
    let (position, gap) = fold(Status::Created, &terms, [&funded, &partly]);
    assert_eq!(position.status, Status::Funded);
    assert_eq!(gap, Some(Gap::Missing { event: partly.id, found: 3, expected: 2 }));

    for body in [
        EventBody::Released { deal, released: 1001, count: 2 },
        EventBody::Reclaimed { deal, refunded: 999, count: 2 },
        EventBody::Settled { deal, released: u128::MAX, refunded: 1, count: 2 },
    ] {
        let wrong = at(2, body);
        let (position, gap) = fold(Status::Created, &terms, [&funded, &wrong]);
        assert_eq!((position.status, gap), (Status::Funded, Some(Gap::Totals { event: wrong.id })));
    }

    // The same words out of another contract's mouth are passed over.
    let mut foreign = claimed.clone();
    foreign.contract = terms.arbiter;
    let (position, gap) = fold(Status::Created, &terms, [&funded, &delivered, &foreign]);
    assert_eq!((position.status, gap), (Status::Delivered, None));
}

/// Funded and delivered in one transaction, released in another of the same slot: whichever of them the feed told again.
#[test]
fn events_of_one_transaction_keep_their_order_while_they_settle() {
    use protocol::chain::TransactionId;
    let chain: ChainId = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1".parse().unwrap();
    let escrow = AccountId { chain, address: "11111111111111111111111111111111".parse().unwrap() };
    let terms = Terms { escrow, ..terms() };
    let deal = B256::ZERO;
    let at = |transaction, log_index, body| {
        let transaction = TransactionId::Solana([transaction; 64]);
        ChainEvent { transaction, log_index, ..event(&terms, 1, START, body) }
    };
    let funded = at(1, 1, EventBody::Funded { deal, terms: terms.clone() });
    let delivered = at(1, 2, EventBody::Delivered { deal, delivery: B256::ZERO, count: 2 });
    let released = at(2, 1, EventBody::Released { deal, released: 10, count: 3 });
    for told in
        [[&funded, &delivered, &released], [&delivered, &funded, &released], [&delivered, &released, &funded]]
    {
        let (position, gap) = fold(Status::Created, &terms, told);
        assert_eq!((position.count, gap), (3, None), "{told:?}");
    }
}

#[test]
fn a_telling_is_compared_with_the_indexers() {
    use Finality::{Final, Retracted, Safe, Seen};
    let terms = terms();
    let happened = event(&terms, 1, START, EventBody::Funded { deal: B256::ZERO, terms: terms.clone() });
    let entry = |finality| FeedEntry { seq: 1, finality, event: happened.clone() };
    let expected = [
        (Seen, [Told::True, Told::True, Told::True, Told::Stale]),
        (Safe, [Told::Early, Told::True, Told::True, Told::Stale]),
        (Final, [Told::Early, Told::Early, Told::True, Told::Stale]),
        (Retracted, [Told::Stale, Told::Stale, Told::Stale, Told::True]),
    ];
    for (delivered, outcomes) in expected {
        for (indexed, outcome) in [Seen, Safe, Final, Retracted].into_iter().zip(outcomes) {
            assert_eq!(compare(&entry(delivered), &entry(indexed)), outcome, "{delivered:?} {indexed:?}");
            let mut altered = entry(delivered);
            altered.event.block_time += 1;
            assert_eq!(compare(&altered, &entry(indexed)), Told::False);
        }
    }
}

#[test]
fn levels_rise_until_an_event_is_taken_back_and_a_final_telling_stands() {
    use Finality::{Final, Retracted, Safe, Seen};
    let levels = [Seen, Safe, Final, Retracted];
    for (held, counts) in [
        (None, [true; 4]),
        (Some(Seen), [false, true, true, true]),
        (Some(Safe), [false, false, true, true]),
        (Some(Final), [false; 4]),
        (Some(Retracted), [true, true, true, false]),
    ] {
        assert_eq!(levels.map(|told| supersedes(held, told)), counts, "{held:?}");
    }
    assert_eq!(levels.map(|told| undoes(Final, told)), [false, false, false, true]);
    assert!(levels.iter().all(|held| *held == Final || !undoes(*held, Retracted)));
}

/// An account may have wallets of several chains, and a listing or a buyer may mix them up.
#[test]
fn terms_of_solana_are_all_on_its_program() {
    let ground = crate::testing::trade::Ground::solana();
    let id = |text: &str| RecordId::of(&serde_json::json!({ "test": text })).unwrap();
    let key = |byte| AccountId { chain: ground.chain, address: chain::Address::Solana([byte; 32]) };
    let good = Terms {
        escrow: ground.escrow,
        buyer: key(2),
        seller: key(3),
        arbiter: ground.arbiter,
        asset: ground.coin(),
        ..terms()
    };
    let wallets = [account(2), key(2)];
    let told = |terms: &Terms| {
        let price = Price { asset: terms.asset, amount: terms.amount };
        let goods = Goods {
            id: id("listing"),
            seller: id("seller"),
            active: true,
            pay_to: Some(terms.seller),
            fixed: None,
        };
        let agreement = serde_json::to_value(Agreement {
            listing: goods.id,
            buyer: id("buyer"),
            seller: goods.seller,
            price,
            deliverable: "A chair.".to_owned(),
        })
        .unwrap();
        let terms = Terms { agreement: agreement_hash(&agreement).unwrap(), ..terms.clone() };
        let offer = Offer {
            buyer: id("buyer"),
            goods: Some(&goods),
            wallets: &wallets,
            escrows: &[ground.escrow, account(1)],
            arbiters: &[ground.arbiter, account(4)],
            panel: Some(Panel { worst_case: 6_000, open_to_both: true }),
            on_chain: false,
            now: START,
        };
        check_purchase(&PurchaseBody { terms, agreement }, &offer)
            .map_err(|refused| (refused.rule(), refused.to_string()))
    };
    assert!(told(&good).is_ok());
    let most = u128::from(u64::MAX);
    assert!(told(&Terms { amount: most, ..good.clone() }).is_ok());
    for (terms, part) in [
        (Terms { buyer: account(2), ..good.clone() }, format!("buyer {}", account(2))),
        (Terms { seller: account(3), ..good.clone() }, format!("seller {}", account(3))),
        (Terms { arbiter: account(4), ..good.clone() }, format!("arbiter {}", account(4))),
        (Terms { asset: "eip155:1/slip44:60".parse().unwrap(), ..good.clone() }, "asset eip155:1".to_owned()),
        (Terms { amount: most + 1, ..good.clone() }, format!("amount {} is above {most}", most + 1)),
        (Terms { escrow: account(1), ..good.clone() }, format!("buyer {}", key(2))),
    ] {
        let (rule, detail) = told(&terms).unwrap_err();
        assert!(rule == "terms_unfit" && detail.contains(&part), "{part}: {rule}: {detail}");
    }
}

#[test]
fn a_pool_must_be_open_to_both_and_a_seller_must_want_coin() {
    let id = |text: &str| RecordId::of(&serde_json::json!({ "test": text })).unwrap();
    let terms = terms();
    let price = Price { asset: terms.asset, amount: terms.amount };
    let goods = Goods {
        id: id("listing"),
        seller: id("seller"),
        active: true,
        pay_to: Some(terms.seller),
        fixed: None,
    };
    let agreement = serde_json::to_value(Agreement {
        listing: goods.id,
        buyer: id("buyer"),
        seller: goods.seller,
        price,
        deliverable: "A chair.".to_owned(),
    })
    .unwrap();
    let terms = Terms { agreement: agreement_hash(&agreement).unwrap(), ..terms };
    let body = PurchaseBody { terms: terms.clone(), agreement };
    let open = Some(Panel { worst_case: 6_000, open_to_both: true });
    let offer = Offer {
        buyer: id("buyer"),
        goods: Some(&goods),
        wallets: &[terms.buyer],
        escrows: &[terms.escrow],
        arbiters: &[terms.arbiter],
        panel: open,
        on_chain: false,
        now: START,
    };
    assert_eq!(check_purchase(&body, &offer), Ok(chain::deal_id(&terms).unwrap()));
    let unpaid = Goods { pay_to: None, ..goods.clone() };
    let priced = Goods { fixed: Some(vec![price]), ..goods.clone() };
    let gift = Goods { fixed: Some(Vec::new()), ..goods.clone() };
    assert!(check_purchase(&body, &Offer { goods: Some(&priced), ..offer }).is_ok());
    for (rule, offer) in [
        ("no_listing", Offer { goods: None, ..offer }),
        ("no_pay_to", Offer { goods: Some(&unpaid), ..offer }),
        ("wrong_price", Offer { goods: Some(&gift), ..offer }),
        ("unknown_panel", Offer { panel: None, ..offer }),
        ("foreign_panel", Offer { panel: Some(Panel { worst_case: 6_000, open_to_both: false }), ..offer }),
        ("ruling_too_short", Offer { panel: Some(Panel { worst_case: 6_001, open_to_both: true }), ..offer }),
        ("deal_on_chain", Offer { on_chain: true, ..offer }),
        ("too_late", Offer { now: terms.fund_by + 1, ..offer }),
    ] {
        assert_eq!(check_purchase(&body, &offer).unwrap_err().rule(), rule);
    }
    let huge = serde_json::json!({ "x": "y".repeat(20_000) });
    assert_eq!(agreement_hash(&huge).unwrap_err().rule(), "agreement_unreadable");
}

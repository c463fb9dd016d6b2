//! Deals that go as the rules say: ways to an end, the last second of each window and the one after it, shares, the largest
//! amounts, payees that cannot be paid.

use super::{
    Scenario, after, claim, deliver, dispute, evidence, fund, lapse, offer, one, plain, reclaim, refund,
    release, retract, rule, scenario, settle, signed,
};
use crate::words::{Act, Amount, Asset, By, DealWords, How, StatusWord, Who};

pub fn all() -> Vec<Scenario> {
    let mut all = ways();
    all.extend(boundaries());
    all.extend(splits());
    all.extend(largest());
    all
}

fn ways() -> Vec<Scenario> {
    let token = DealWords { asset: Asset::Token, ..plain() };
    let metered = DealWords { metered: true, ..plain() };
    let deaf = DealWords { seller: Who::DeafSeller, ..plain() };
    let deafer = DealWords { buyer: Who::DeafBuyer, ..plain() };
    let by_signature = |signer| signed(signer, How::Valid, 1_000);
    vec![
        scenario(
            "released",
            "Funded, delivered, released in two steps.",
            one(plain()),
            vec![after(1, fund()), after(1, deliver()), after(1, release(400)), after(1, release(1_000))],
        ),
        scenario(
            "released-token",
            "The same with a token.",
            one(token.clone()),
            vec![after(1, fund()), after(1, deliver()), after(1, release(400)), after(1, release(1_000))],
        ),
        scenario(
            "by-signature",
            "Everything that has a signed form, brought by a stranger.",
            one(token.clone()),
            vec![
                after(1, Act::Fund { by: by_signature(Who::Buyer), seller: Some(How::Valid), more: 0 }),
                after(1, Act::Deliver { by: by_signature(Who::Seller), delivery: 1 }),
                after(1, Act::Release { by: by_signature(Who::Buyer), total: Amount::Exactly(100) }),
                after(1, Act::Refund { by: by_signature(Who::Seller), total: Amount::Exactly(200) }),
                after(1, Act::Dispute { by: by_signature(Who::Seller), evidence: 4 }),
                after(1, Act::Evidence { by: by_signature(Who::Buyer), evidence: 5, uri: 0 }),
                after(1, settle(500, 0, StatusWord::Disputed)),
            ],
        ),
        scenario(
            "seller-brings-the-consent",
            "The seller sends the buyer's signed consent, and needs no signature of its own.",
            one(token),
            vec![after(
                1,
                Act::Fund {
                    by: By { caller: Who::Seller, ..by_signature(Who::Buyer) },
                    seller: None,
                    more: 0,
                },
            )],
        ),
        scenario(
            "refunded",
            "The seller gives everything back.",
            one(plain()),
            vec![after(1, fund()), after(1, refund(1_000))],
        ),
        scenario(
            "silence-of-the-seller",
            "Not delivered: anybody gives the rest back.",
            one(plain()),
            vec![after(1, fund()), after(1, release(1)), after(20, reclaim())],
        ),
        scenario(
            "silence-of-the-buyer",
            "Delivered and nobody objects: anybody pays the rest out.",
            one(plain()),
            vec![after(1, fund()), after(1, deliver()), after(1, refund(1)), after(11, claim())],
        ),
        scenario(
            "ruled",
            "A dispute, evidence, a ruling.",
            one(plain()),
            vec![after(1, fund()), after(1, dispute()), after(1, evidence()), after(1, rule(2_500))],
        ),
        scenario(
            "lapsed",
            "A dispute on which nobody rules.",
            one(plain()),
            vec![after(1, fund()), after(1, deliver()), after(1, dispute()), after(11, lapse())],
        ),
        scenario(
            "settled-by-a-party",
            "The buyer hands in the seller's offer and agrees by that.",
            one(plain()),
            vec![
                after(1, fund()),
                after(
                    1,
                    Act::Settle {
                        by: Who::Buyer.into(),
                        seller_total: Amount::Exactly(700),
                        rulings: 0,
                        valid_until: 2,
                        buyer: None,
                        seller: offer(StatusWord::Funded),
                    },
                ),
            ],
        ),
        scenario(
            "retracted",
            "Terms that the seller takes back are closed for good.",
            one(plain()),
            vec![after(1, retract()), after(1, fund())],
        ),
        scenario(
            "metered",
            "Growing totals; the last one is redeemed after deliver_by, and a voucher cannot be taken back.",
            one(metered),
            vec![
                after(1, fund()),
                after(1, Act::Release { by: by_signature(Who::Buyer), total: Amount::Exactly(10) }),
                after(
                    3,
                    Act::Release { by: signed(Who::Buyer, How::Revoked, 0), total: Amount::Exactly(20) },
                ),
                after(25, reclaim()),
                after(1, reclaim()),
            ],
        ),
        scenario(
            "deaf-seller",
            "A seller that cannot be paid is owed, and the buyer gets its part.",
            one(deaf),
            vec![after(1, fund()), after(1, release(100)), after(1, refund(200)), after(1, release(1_000))],
        ),
        scenario(
            "deaf-buyer",
            "A buyer that cannot be paid is owed.",
            one(deafer),
            vec![after(1, fund()), after(1, dispute()), after(1, rule(5_000))],
        ),
    ]
}

/// Every window's last second, in which only the one is allowed, and the second after it, in which only the other is.
fn boundaries() -> Vec<Scenario> {
    let metered = DealWords { metered: true, ..plain() };
    vec![
        scenario("fund-at-the-end", "fund_by is the last second.", one(plain()), vec![after(10, fund())]),
        scenario(
            "fund-after-the-end",
            "A second later it is as good as closed.",
            one(plain()),
            vec![after(11, fund()), after(1, deliver())],
        ),
        scenario("retract-at-the-end", "The same for retracting.", one(plain()), vec![after(10, retract())]),
        scenario("retract-after-the-end", "A second later.", one(plain()), vec![after(11, retract())]),
        scenario(
            "deliver-at-the-end",
            "deliver_by is the last second, and reclaiming comes too early in it.",
            one(plain()),
            vec![after(1, fund()), after(18, reclaim()), after(1, deliver())],
        ),
        scenario(
            "deliver-after-the-end",
            "A second later: too late to deliver, in time to reclaim.",
            one(plain()),
            vec![after(1, fund()), after(20, deliver()), after(1, reclaim())],
        ),
        scenario(
            "dispute-at-the-end-of-delivery",
            "Until deliver_by a funded deal can be disputed.",
            one(plain()),
            vec![after(1, fund()), after(19, dispute())],
        ),
        scenario(
            "dispute-after-the-end-of-delivery",
            "Not after it.",
            one(plain()),
            vec![after(1, fund()), after(20, dispute())],
        ),
        scenario(
            "dispute-at-the-end-of-inspection",
            "The last second of inspection: disputed, not claimed.",
            one(plain()),
            vec![after(1, fund()), after(1, deliver()), after(9, claim()), after(1, dispute())],
        ),
        scenario(
            "claim-after-the-end-of-inspection",
            "A second later: claimed, not disputed.",
            one(plain()),
            vec![after(1, fund()), after(1, deliver()), after(11, dispute()), after(1, claim())],
        ),
        scenario(
            "claim-in-the-first-second",
            "The first second in which it is allowed.",
            one(plain()),
            vec![after(1, fund()), after(1, deliver()), after(11, claim())],
        ),
        scenario(
            "reclaim-in-the-first-second",
            "The first second in which it is allowed.",
            one(plain()),
            vec![after(1, fund()), after(20, reclaim())],
        ),
        scenario(
            "metered-reclaim",
            "A metered deal leaves the seller the time of inspection after deliver_by.",
            one(metered),
            vec![after(1, fund()), after(20, reclaim()), after(9, reclaim()), after(1, reclaim())],
        ),
        scenario(
            "rule-at-the-end",
            "The last second of ruling: ruled, not lapsed.",
            one(plain()),
            vec![after(1, fund()), after(1, dispute()), after(9, lapse()), after(1, rule(10_000))],
        ),
        scenario(
            "lapse-after-the-end",
            "A second later: lapsed, not ruled.",
            one(plain()),
            vec![after(1, fund()), after(1, dispute()), after(11, rule(10_000)), after(1, lapse())],
        ),
        scenario(
            "lapse-in-the-first-second",
            "The first second in which it is allowed.",
            one(plain()),
            vec![after(1, fund()), after(1, dispute()), after(11, lapse())],
        ),
        scenario(
            "signature-at-its-end",
            "valid_until is the last second of a signature.",
            one(plain()),
            vec![
                after(1, fund()),
                after(1, Act::Deliver { by: signed(Who::Seller, How::Valid, 2), delivery: 1 }),
            ],
        ),
        scenario(
            "offer-at-its-end",
            "And of an offer to settle, which is dead a second later.",
            one(plain()),
            vec![after(1, fund()), after(2, offered(2)), after(1, offered(4))],
        ),
    ]
}

fn offered(valid_until: i64) -> Act {
    Act::Settle {
        by: Who::Stranger.into(),
        seller_total: Amount::Exactly(1),
        rulings: 0,
        valid_until,
        buyer: offer(StatusWord::Funded),
        seller: offer(StatusWord::Funded),
    }
}

fn splits() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (amount, share) in
        [(1, 9_999), (3, 3_333), (7, 5_000), (10_001, 1), (9_999, 9_999), (1_000, 0), (1_000, 10_000)]
    {
        let deal = DealWords { amount: Amount::Exactly(amount), ..plain() };
        all.push(scenario(
            format!("share-{share}-of-{amount}"),
            "Shares are of the whole amount and rounded down; the buyer has the rest.",
            one(deal),
            vec![after(1, fund()), after(1, dispute()), after(1, rule(share))],
        ));
    }
    let conceded = |name, about, last| {
        let steps = vec![
            after(1, fund()),
            after(1, release(300)),
            after(1, refund(400)),
            after(1, dispute()),
            after(1, last),
        ];
        scenario(name, about, one(plain()), steps)
    };
    all.extend([
        conceded("clamped-from-below", "A share below what was released already.", rule(1_000)),
        conceded("clamped-from-above", "A share above what was not refunded.", rule(9_000)),
        conceded(
            "settled-within",
            "A settled total is clamped alike.",
            settle(1_000, 0, StatusWord::Disputed),
        ),
        scenario(
            "crossing-concessions",
            "Each total is taken as far as the other side's leaves it; the deal closes when all is conceded.",
            one(plain()),
            vec![after(1, fund()), after(1, release(700)), after(1, refund(900))],
        ),
        scenario(
            "old-totals",
            "A total that moves nothing is refused, a later one replaces it.",
            one(plain()),
            vec![after(1, fund()), after(1, release(500)), after(1, release(300)), after(1, release(501))],
        ),
    ]);
    all
}

fn largest() -> Vec<Scenario> {
    let token = DealWords { asset: Asset::Token, amount: Amount::CapLess(0), ..plain() };
    let all_but = Act::Release { by: Who::Buyer.into(), total: Amount::CapLess(1) };
    let rest = Act::Refund { by: Who::Seller.into(), total: Amount::CapLess(0) };
    let mut all = vec![scenario(
        "cap-conceded",
        "The largest amount: all but one released, the rest refunded.",
        one(token.clone()),
        vec![after(1, fund()), after(1, all_but), after(1, rest)],
    )];
    for share in [1, 3_333, 5_000, 9_999, 10_000] {
        all.push(scenario(
            format!("cap-share-{share}"),
            "A share of the largest amount does not wrap.",
            one(token.clone()),
            vec![after(1, fund()), after(1, dispute()), after(1, rule(share))],
        ));
    }
    let lapse_share = 6_667;
    all.push(scenario(
        "cap-lapsed",
        "The same by silence.",
        one(DealWords { lapse_share, ..token }),
        vec![after(1, fund()), after(1, dispute()), after(11, lapse())],
    ));
    all
}

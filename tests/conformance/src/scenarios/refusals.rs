//! Every refusal that a history can meet.

use super::{
    Scenario, after, cases, claim, deliver, dispute, evidence, fund, lapse, one, plain, reclaim, refund,
    release, retract, rule, scenario, settle, signed,
};
use crate::words::{
    Act, Amount, Asset, BallotWords, DealWords, How, Offered, Setting, StatusWord, Step, Who,
};

pub fn all() -> Vec<Scenario> {
    let mut all = of_terms();
    all.extend(of_states());
    all.extend(of_authority());
    all.extend(of_amounts());
    all.extend(of_cases());
    all
}

fn of_terms() -> Vec<Scenario> {
    let cases = [
        ("ZeroParty", DealWords { seller: Who::Nobody, ..plain() }),
        ("SameParty", DealWords { seller: Who::Arbiter, ..plain() }),
        ("AmountOutOfRange", DealWords { amount: Amount::Exactly(0), ..plain() }),
        ("WindowOutOfRange", DealWords { inspection: 0, ..plain() }),
        ("WindowOutOfRange-above", DealWords { ruling: 366 * 86_400 + 1, ..plain() }),
        ("ShareOutOfRange", DealWords { lapse_share: 10_001, ..plain() }),
        ("DeadlinesOutOfOrder", DealWords { deliver_by: 10, ..plain() }),
        ("DeadlineTooFar", DealWords { deliver_by: 3_650 * 86_400 + 2, ..plain() }),
    ];
    let mut all: Vec<_> = cases
        .into_iter()
        .map(|(name, deal)| {
            scenario(
                format!("refused-{name}"),
                "Terms that are not valid.",
                one(deal),
                vec![after(1, fund())],
            )
        })
        .collect();
    let fits = DealWords {
        inspection: 366 * 86_400,
        ruling: 366 * 86_400,
        deliver_by: 3_650 * 86_400 + 1,
        lapse_share: 10_000,
        ..plain()
    };
    all.push(scenario("widest-terms", "The widest terms there are.", one(fits), vec![after(1, fund())]));
    all.push(scenario(
        "refused-ShareOutOfRange-of-a-ruling",
        "A ruling above the whole.",
        one(plain()),
        vec![after(1, fund()), after(1, dispute()), after(1, rule(10_001))],
    ));
    all
}

/// Every action in every state, but for those that the state allows.
fn of_states() -> Vec<Scenario> {
    let state = |name, about, way: Vec<Step>, tried: Vec<Act>| {
        let tried = tried.into_iter().map(|act| after(1, act));
        let steps = way.into_iter().chain(tried).collect();
        scenario(name, about, one(plain()), steps)
    };
    let nothing = StatusWord::None;
    vec![
        state(
            "before-funding",
            "What is asked of a deal that is not funded.",
            Vec::new(),
            vec![
                deliver(),
                release(1),
                refund(1),
                dispute(),
                evidence(),
                reclaim(),
                claim(),
                settle(1, 0, nothing),
                rule(1),
            ],
        ),
        state(
            "when-funded",
            "What a funded deal refuses.",
            vec![after(1, fund())],
            vec![fund(), retract(), claim(), rule(1), lapse(), evidence(), reclaim()],
        ),
        state(
            "when-delivered",
            "What a delivered deal refuses.",
            vec![after(1, fund()), after(1, deliver())],
            vec![fund(), retract(), deliver(), reclaim(), rule(1), lapse(), evidence()],
        ),
        state(
            "when-disputed",
            "What a disputed deal refuses.",
            vec![after(1, fund()), after(1, dispute())],
            vec![fund(), retract(), deliver(), dispute(), reclaim(), claim()],
        ),
        state(
            "when-closed",
            "What a closed deal refuses: everything.",
            vec![after(1, fund()), after(1, refund(1_000))],
            vec![
                fund(),
                retract(),
                deliver(),
                release(1),
                refund(1),
                dispute(),
                evidence(),
                reclaim(),
                claim(),
                settle(1, 0, StatusWord::Closed),
                rule(1),
                lapse(),
            ],
        ),
        scenario(
            "when-metered",
            "A payment channel knows no delivery.",
            one(DealWords { metered: true, ..plain() }),
            vec![after(1, deliver()), after(1, fund()), after(1, deliver()), after(1, claim())],
        ),
        scenario(
            "refused-StateChanged",
            "An offer that counts rulings where there are none.",
            one(plain()),
            vec![after(1, fund()), after(1, settle(1, 1, StatusWord::Funded))],
        ),
        scenario(
            "refused-SignatureExpired",
            "Signatures a second too late.",
            one(plain()),
            vec![
                after(
                    2,
                    Act::Fund { by: signed(Who::Buyer, How::Valid, 1), seller: Some(How::Valid), more: 0 },
                ),
                after(1, fund()),
                after(1, Act::Deliver { by: signed(Who::Seller, How::Valid, 3), delivery: 1 }),
                after(1, Act::Dispute { by: signed(Who::Seller, How::Valid, 4), evidence: 1 }),
                after(1, dispute()),
                after(1, Act::Evidence { by: signed(Who::Seller, How::Valid, 6), evidence: 1, uri: 1 }),
            ],
        ),
    ]
}

fn of_authority() -> Vec<Scenario> {
    let by = |who: Who| who.into();
    let stranger = Who::Stranger;
    let forged = |signer| signed(signer, How::Forged, 1_000);
    let revoked = |signer| signed(signer, How::Revoked, 1_000);
    let other = |how, status| Some(Offered { how, status });
    let offer = |buyer, seller| Act::Settle {
        by: stranger.into(),
        seller_total: Amount::Exactly(5),
        rulings: 0,
        valid_until: 1_000,
        buyer,
        seller,
    };
    let valid = other(How::Valid, StatusWord::Disputed);
    vec![
        scenario(
            "who-may",
            "Each action by somebody who may not.",
            one(plain()),
            vec![
                after(1, Act::Fund { by: by(Who::Seller), seller: None, more: 0 }),
                after(1, Act::Retract { by: by(stranger) }),
                after(1, fund()),
                after(1, Act::Deliver { by: by(Who::Buyer), delivery: 1 }),
                after(1, Act::Release { by: by(Who::Seller), total: Amount::Exactly(1) }),
                after(1, Act::Refund { by: by(Who::Buyer), total: Amount::Exactly(1) }),
                after(1, Act::Dispute { by: by(stranger), evidence: 1 }),
                after(1, dispute()),
                after(1, Act::Evidence { by: by(stranger), evidence: 1, uri: 1 }),
                after(1, Act::Rule { by: by(Who::Buyer), share: 10 }),
            ],
        ),
        scenario(
            "refused-InvalidSignature",
            "Each signed action with the forger's signature, and the named party's of somebody else's action.",
            one(plain()),
            vec![
                after(1, Act::Fund { by: forged(Who::Buyer), seller: Some(How::Valid), more: 0 }),
                after(1, Act::Fund { by: by(Who::Buyer), seller: Some(How::Forged), more: 0 }),
                after(1, Act::Fund { by: by(Who::Buyer), seller: None, more: 0 }),
                after(
                    1,
                    Act::Fund {
                        by: signed(Who::Seller, How::Valid, 1_000),
                        seller: Some(How::Valid),
                        more: 0,
                    },
                ),
                after(1, fund()),
                after(1, Act::Deliver { by: forged(Who::Seller), delivery: 1 }),
                after(1, Act::Deliver { by: signed(Who::Buyer, How::Valid, 1_000), delivery: 1 }),
                after(1, Act::Release { by: forged(Who::Buyer), total: Amount::Exactly(1) }),
                after(1, Act::Refund { by: forged(Who::Seller), total: Amount::Exactly(1) }),
                after(1, Act::Dispute { by: forged(Who::Seller), evidence: 1 }),
                after(1, dispute()),
                after(1, Act::Evidence { by: forged(Who::Buyer), evidence: 1, uri: 1 }),
                after(1, offer(other(How::Forged, StatusWord::Disputed), valid)),
                after(1, offer(valid, other(How::Forged, StatusWord::Disputed))),
                after(1, offer(valid, other(How::Valid, StatusWord::Funded))),
                after(1, offer(None, valid)),
                after(1, offer(valid, valid)),
            ],
        ),
        scenario(
            "refused-SignatureRevoked",
            "Signatures that their signers took back.",
            one(plain()),
            vec![
                after(3, Act::Fund { by: revoked(Who::Buyer), seller: Some(How::Valid), more: 0 }),
                after(1, fund()),
                after(3, Act::Deliver { by: revoked(Who::Seller), delivery: 1 }),
                after(3, Act::Release { by: revoked(Who::Buyer), total: Amount::Exactly(1) }),
                after(3, Act::Refund { by: revoked(Who::Seller), total: Amount::Exactly(1) }),
                after(3, Act::Dispute { by: revoked(Who::Buyer), evidence: 1 }),
                after(1, dispute()),
                after(3, offer(valid, other(How::Revoked, StatusWord::Disputed))),
            ],
        ),
    ]
}

fn of_amounts() -> Vec<Scenario> {
    let token = DealWords { asset: Asset::Token, ..plain() };
    let poor = Setting { purse: Amount::Exactly(999), ..one(token) };
    let mut all = vec![
        scenario(
            "refused-TransferFailed",
            "A buyer that has not enough of the token.",
            poor,
            vec![after(1, fund())],
        ),
        scenario(
            "refused-amounts",
            "Totals above the amount, totals that move nothing, too long a URI.",
            one(plain()),
            vec![
                after(1, fund()),
                after(1, release(1_001)),
                after(1, refund(1_001)),
                after(1, release(0)),
                after(1, refund(0)),
                after(1, settle(1_001, 0, StatusWord::Funded)),
                after(1, dispute()),
                after(1, Act::Evidence { by: Who::Buyer.into(), evidence: 1, uri: 257 }),
            ],
        ),
    ];
    let coin = Act::Fund { by: Who::Buyer.into(), seller: Some(How::Valid), more: 1 };
    let mut purse = scenario(
        "refused-WrongValue",
        "More coin than is needed, in one call and in a batch; a batch with coin of another call; and a batch.",
        Setting { deals: vec![plain(), plain()], ..one(plain()) },
        vec![
            after(1, coin),
            after(1, batch(vec![(0, fund()), (1, fund())], 1)),
            after(1, batch(vec![(0, fund()), (0, deliver())], 0)),
            after(1, batch(vec![(0, fund()), (1, fund())], 0)),
        ],
    );
    purse.only = &["eip155"];
    all.push(purse);
    all
}

fn batch(steps: Vec<(usize, Act)>, more: u8) -> Act {
    Act::Batch { by: Who::Buyer.into(), steps, more }
}

fn of_cases() -> Vec<Scenario> {
    use cases::{
        appeal, ballot, cast, conclude, disputed, draw, drawn, execute, open, pool, second, submit,
        with_parent,
    };
    let alone = || disputed(vec![pool(3, None)]);
    let stranger = Who::Stranger;
    let plain_draw = || Act::Draw { by: stranger.into() };
    let other = |act: Act| Step { after: 1, blocks: 0, deal: 1, act };
    let two = || {
        let mut setting = alone();
        let deal = DealWords { arbiter: Who::Arbiter, ..setting.deals[0].clone() };
        setting.deals.push(deal);
        setting
    };
    let handed = |ballot: BallotWords| Act::Submit { by: stranger.into(), jury: 0, ballots: vec![ballot] };
    let join = |parts: Vec<Vec<Step>>| parts.concat();
    let tried = |acts: Vec<Act>| -> Vec<Step> { acts.into_iter().map(|act| after(1, act)).collect() };
    vec![
        scenario(
            "case-not-disputed",
            "A case needs a dispute, and the case that is asked of.",
            alone(),
            join(vec![
                vec![after(1, fund()), open()],
                tried(vec![
                    plain_draw(),
                    second(),
                    cast(0, 0, 0),
                    submit(0, &[]),
                    conclude(),
                    appeal(),
                    execute(),
                ]),
            ]),
        ),
        scenario(
            "case-opened",
            "What a case refuses before its jury is drawn.",
            alone(),
            join(vec![
                vec![after(1, fund()), after(1, dispute()), open(), open()],
                tried(vec![second(), cast(0, 0, 0), submit(0, &[(0, 0)]), conclude(), appeal(), execute()]),
            ]),
        ),
        scenario(
            "case-drawn",
            "What a case refuses while its jury votes.",
            alone(),
            join(vec![
                drawn(),
                tried(vec![plain_draw(), second(), cast(1, 0, 0), conclude(), appeal(), execute()]),
            ]),
        ),
        scenario(
            "case-accepted",
            "What a case refuses while its ruling can be appealed.",
            with_parent(),
            join(vec![
                drawn(),
                tried(vec![
                    submit(0, &[(0, 500)]),
                    plain_draw(),
                    second(),
                    cast(0, 0, 0),
                    submit(0, &[(0, 0)]),
                    conclude(),
                    execute(),
                    Act::Appeal { by: stranger.into() },
                    Act::Appeal { by: signed(Who::Buyer, How::Forged, 1_000) },
                    Act::Appeal { by: signed(Who::Buyer, How::Valid, 7) },
                    Act::Appeal { by: signed(stranger, How::Valid, 1_000) },
                ]),
            ]),
        ),
        scenario(
            "case-executed",
            "What a case refuses when it is over.",
            alone(),
            join(vec![
                drawn(),
                tried(vec![
                    submit(0, &[(0, 500), (1, 500)]),
                    Act::Open { by: stranger.into() },
                    plain_draw(),
                    second(),
                    cast(0, 0, 0),
                    submit(0, &[(2, 0)]),
                    conclude(),
                    appeal(),
                    execute(),
                ]),
            ]),
        ),
        scenario(
            "no-third-jury",
            "An instance has two juries.",
            alone(),
            join(vec![drawn(), vec![after(1_997, second()), draw(), after(1, second())]]),
        ),
        scenario(
            "not-my-deal",
            "The pools hear no deal that names another arbiter.",
            two(),
            join(vec![
                vec![after(1, fund()), other(fund()), other(dispute())],
                vec![
                    other(plain_draw()),
                    other(second()),
                    other(conclude()),
                    other(appeal()),
                    other(execute()),
                ],
                vec![other(cast(0, 0, 0)), other(submit(0, &[(0, 0)]))],
            ]),
        ),
        scenario(
            "refused-ballots",
            "Ballots that are none.",
            alone(),
            join(vec![
                drawn(),
                tried(vec![
                    submit(0, &[]),
                    submit(0, &[(3, 0)]),
                    submit(0, &[(0, 501)]),
                    submit(0, &[(0, 10_500)]),
                    handed(BallotWords { signer: Who::Forger, ..ballot(0, 0, 500) }),
                    handed(BallotWords { signer: Who::Seat(0, 1), ..ballot(0, 0, 500) }),
                    handed(BallotWords { altered: true, ..ballot(0, 0, 500) }),
                    Act::Cast { by: stranger.into(), jury: 0, seat: 0, share: 0, reason: 0 },
                    Act::Cast { by: Who::Seat(0, 1).into(), jury: 0, seat: 0, share: 0, reason: 0 },
                    cast(0, 0, 499),
                    Act::Cast { by: stranger.into(), jury: 0, seat: 31, share: 0, reason: 0 },
                    cast(0, 0, 500),
                    cast(0, 0, 500),
                    submit(0, &[(1, 0), (1, 500)]),
                    cast(0, 1, 0),
                ]),
            ]),
        ),
        scenario(
            "executed-after-the-deadline",
            "What the escrow does not take any more lapses.",
            with_parent(),
            join(vec![
                drawn(),
                vec![after(1, submit(0, &[(0, 500)])), after(400_003 - 7, execute()), after(1, lapse())],
            ]),
        ),
    ]
}

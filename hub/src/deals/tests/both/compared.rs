//! What the hub shows of a deal, held against where the chain stood after the last of what is final to the hub.

use std::collections::BTreeMap;

use protocol::{
    arbitration::{
        Registry, Vote,
        case::{Case, Jury, Stage},
        jury_time,
    },
    deal,
    wire::feed::{EventBody, Finality},
};
use serde_json::{Value, json};

use super::followed::{Deal, pool_of};
use crate::{
    deals::{status::Status, tests::histories::status_of},
    testing::trade::Trade,
};

/// Unix seconds by the hub's clock.
pub(super) fn now(trade: &Trade) -> u64 {
    u64::try_from(trade.hub.now() / 1000).unwrap()
}

/// The hub shows the deal, its case and what the ledger has of it as they were after the last of what is final here.
pub(super) async fn same(trade: &Trade, pools: &Registry, followed: &Deal) {
    let terms = &followed.bought.terms;
    let settled = followed.settled();
    let likely = followed.there(|level| level != Finality::Retracted);
    let state = followed.state(settled);
    let status = match state.status {
        deal::Status::None => followed.said,
        deal::Status::Closed if state.released > 0 => Status::Completed,
        deal::Status::Closed => Status::Refunded,
        _ => status_of(&state, terms),
    };
    let token = trade.buyer.sign_in(&trade.hub).await;
    let seen = trade.view(&token, &followed.bought).await;
    assert_eq!(seen["status"], json!(status), "{state:?}");
    let paid = [state.released, state.refunded].map(|amount| json!(amount.to_string()));
    assert_eq!([&seen["details"]["released"], &seen["details"]["refunded"]], [&paid[0], &paid[1]]);
    let closed = state.status == deal::Status::Closed;
    let share = closed.then(|| u64::try_from(state.released * 10_000 / terms.amount).unwrap());
    assert_eq!(seen["seller_share_bps"], json!(share), "{state:?}");
    let known = followed.events.iter().filter_map(|one| one.held);
    let loose = known.filter(|level| !matches!(level, Finality::Final | Finality::Retracted)).min();
    let provisional = loose
        .filter(|_| likely != settled)
        .map(|finality| json!({ "status": status_of(&followed.state(likely), terms), "finality": finality }));
    assert_eq!(seen["provisional"], json!(provisional), "{settled} of {likely}");

    let account = format!("{}|mirror|{}", terms.asset, followed.bought.id);
    let balance: Option<String> = sqlx::query_scalar("SELECT balance FROM ledger_accounts WHERE id = $1")
        .bind(account)
        .fetch_optional(&trade.hub.eyes)
        .await
        .unwrap();
    let left = i128::try_from(state.remaining(terms)).unwrap();
    assert_eq!(balance.map_or(0, |balance| -balance.parse::<i128>().unwrap()), left, "{state:?}");

    let answer = trade.hub.get_as(&token, &format!("/v1/purchases/{}/case", followed.bought.id)).await;
    let disputed = followed.of(terms.escrow).take(settled);
    let mut disputed = disputed.filter(|one| matches!(one.event.body, EventBody::Disputed { .. }));
    let Some(disputed) = disputed.next() else {
        assert_eq!(answer.status, 404, "{answer:?}");
        return;
    };
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["disputed_at"], json!(disputed.event.block_time.to_string()));
    if state.status != deal::Status::Disputed {
        assert_eq!(answer.body["next"], json!([]));
    }
    if let Some(case) = followed.case() {
        same_case(trade, pools, followed, case, &answer.body);
    }
}

fn same_case(trade: &Trade, pools: &Registry, followed: &Deal, case: &Case, seen: &Value) {
    let terms = &followed.bought.terms;
    let last = case.juries.last();
    let stage = match last.map(|last| (last.stage, last.jury)) {
        None => "disputed",
        Some((Stage::Opened, 0)) => "opened",
        Some((Stage::Opened, _)) => "widened",
        Some((Stage::Drawn, _)) => "drawn",
        Some((Stage::Accepted, _)) => "accepted",
        Some((Stage::Executed, _)) => "executed",
    };
    assert_eq!(seen["stage"], stage, "{case:?}");
    let rulings: Vec<u16> =
        case.juries.iter().filter_map(|jury| jury.ruling).map(|(share, _)| share).collect();
    let shown = seen["rulings"].as_array().unwrap();
    let shares: Vec<Value> = shown.iter().map(|ruling| ruling["share"].clone()).collect();
    assert_eq!(json!(shares), json!(rulings));
    let stands = last.filter(|last| last.stage >= Stage::Accepted).and_then(|_| rulings.last());
    assert_eq!(seen["ruling"], json!(stands), "{case:?}");
    if stage == "accepted" {
        let until = case.appeal_until(terms, pools).map(|until| until.to_string());
        assert_eq!(shown.last().unwrap()["appeal_until"], json!(until), "{case:?}");
    }
    let juries = seen["juries"].as_array().unwrap();
    assert_eq!(juries.len(), case.juries.len(), "{case:?}");
    for (number, (jury, shown)) in case.juries.iter().zip(juries).enumerate() {
        assert_eq!((&shown["instance"], &shown["jury"]), (&json!(jury.instance), &json!(jury.jury)));
        if let Some(panel) = jury.panel {
            assert_eq!(shown["ends_at"], json!(panel.ends_at.to_string()), "{jury:?}");
        }
        let seats = case.seats(number, terms, pools);
        let jurors = shown["seats"].as_array().unwrap();
        let jurors: Vec<Value> = jurors.iter().map(|seat| seat["juror"].clone()).collect();
        assert_eq!(json!(jurors), json!(seats), "{jury:?}");
        // The model keeps no ballots of a jury that ruled.
        let ruled = case.juries.iter().any(|one| one.instance == jury.instance && one.ruling.is_some());
        if !seats.is_empty() && !ruled {
            same_ballots(now(trade), pools, followed, (jury, seats.len() as u8), shown);
        }
    }
}

/// Who has voted, and what the ballots leave of the ruling as soon as they may be shown.
fn same_ballots(now: u64, pools: &Registry, followed: &Deal, (jury, size): (&Jury, u8), seen: &Value) {
    let none = BTreeMap::new();
    let signed = followed.signed.get(&(jury.instance, jury.jury)).unwrap_or(&none);
    let voted: Vec<bool> = (0..size)
        .map(|seat| signed.contains_key(&seat) || jury.ballots.vote(seat) != Vote::Missing)
        .collect();
    let shown = seen["seats"].as_array().unwrap();
    let shown: Vec<Value> = shown.iter().map(|seat| seat["voted"].clone()).collect();
    assert_eq!(json!(shown), json!(voted), "{jury:?} {signed:?}");
    let pool = pool_of(&followed.bought.terms, pools, jury.instance);
    let book = &pools.pool(pool).unwrap().book;
    // A second jury's ballots are handed in in the last tenth of its voting.
    let before = if jury.jury == 0 { jury_time(book) } else { u64::from(book.voting) / 10 };
    let open = voted.contains(&false) && now <= jury.panel.unwrap().ends_at - before;
    let bounds = signed
        .iter()
        .fold(jury.ballots, |word, (seat, share)| word.with_signed(*seat, *share, size).unwrap())
        .bounds(size);
    let bounds = if open { [Value::Null, Value::Null] } else { [json!(bounds.lo), json!(bounds.hi)] };
    assert_eq!([&seen["lo"], &seen["hi"]], [&bounds[0], &bounds[1]], "{jury:?} {signed:?}");
}

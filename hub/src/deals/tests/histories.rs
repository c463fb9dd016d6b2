//! Random histories of the protocol's own state machine, told in every order, with forks that are taken back: whatever
//! the order, the hub ends where the chain is, and on the way never stands where the chain has not been.

use std::collections::HashMap;

use proptest::{collection::vec, prelude::*};
use protocol::deal::{self, Action, Actor, Consent, Context, DealState, Proof};

use super::*;

/// What may be tried on a deal, from one random number each.
pub(super) fn attempt(
    choice: u8,
    total: u128,
    terms: &Terms,
    state: &DealState,
    now: u64,
) -> (Action, Actor) {
    let (buyer, seller) = (terms.buyer.address, terms.seller.address);
    let consent = Consent::Signed { proof: Proof::Valid, status: state.status };
    match choice % 11 {
        0 => (Action::Deliver { delivery: B256::ZERO }, Actor::Caller(seller)),
        1 | 2 => (Action::Release { total }, Actor::Caller(buyer)),
        3 | 4 => (Action::Refund { total }, Actor::Caller(seller)),
        5 => (Action::Dispute { evidence: B256::ZERO }, Actor::Caller(buyer)),
        6 => (Action::Evidence { evidence: B256::ZERO, uri: String::new() }, Actor::Caller(seller)),
        7 => (if total.is_multiple_of(2) { Action::Reclaim } else { Action::Claim }, Actor::Caller(buyer)),
        8 => (Action::Rule { share: (total * 10) as u16 }, Actor::Caller(terms.arbiter.address)),
        9 => (Action::Lapse, Actor::Caller(buyer)),
        _ => {
            let settle = Action::Settle {
                seller_total: total,
                rulings: 0,
                valid_until: now,
                buyer: consent,
                seller: consent,
            };
            (settle, Actor::Caller(buyer))
        }
    }
}

/// The states that a deal passed through, and the event that led to each.
pub(super) fn history(terms: &Terms, tries: &[(u8, u128, u64)]) -> (Vec<ChainEvent>, Vec<DealState>) {
    let deal = protocol::chain::deal_id(terms).unwrap();
    let (mut state, mut now) = (DealState::EMPTY, START);
    let (mut events, mut states) = (Vec::new(), vec![state]);
    let mut act = |state: &mut DealState, action: &Action, actor, now| {
        let context = Context {
            deal,
            now,
            cap: protocol::chain::amount_cap(terms.escrow.chain),
            rulings: 0,
            buyer_receives: true,
            seller_receives: true,
        };
        if let Ok(moved) = deal::apply(terms, state, action, actor, &context) {
            *state = moved.state;
            events.push(event(terms, 10 * states.len() as u64, now, moved.event));
            states.push(moved.state);
        }
    };
    let seller = Consent::Signed { proof: Proof::Valid, status: state.status };
    let fund = Action::Fund { seller, sent: terms.amount, received: None };
    act(&mut state, &fund, Actor::Caller(terms.buyer.address), now);
    for (choice, total, wait) in tries {
        now += wait;
        let (action, actor) = attempt(*choice, *total, terms, &state, now);
        act(&mut state, &action, actor, now);
    }
    (events, states)
}

/// As the hub says it before a closed deal is settled.
pub(super) fn status_of(state: &DealState, terms: &Terms) -> Status {
    match state.status {
        deal::Status::None => Status::Created,
        deal::Status::Funded => Status::Funded,
        deal::Status::Delivered => Status::Delivered,
        deal::Status::Disputed => Status::Disputed,
        deal::Status::Closed => {
            assert_eq!(state.released + state.refunded, terms.amount);
            Status::Confirmed
        }
    }
}

fn at(position: &Position, state: &DealState, terms: &Terms) -> bool {
    (position.status, position.released, position.refunded, position.count)
        == (status_of(state, terms), state.released, state.refunded, state.count)
}

/// What the relayer delivers: every event on its way to final, some of them first in a block that was left, in the order
/// of the feed.
fn feed(terms: &Terms, events: &[ChainEvent], ways: &[u8]) -> Vec<FeedEntry> {
    use Finality::{Final, Retracted, Safe, Seen};
    let mut tellings = Vec::new();
    for (index, happened) in events.iter().enumerate() {
        let way = ways.get(index).copied().unwrap_or_default();
        if way & 4 != 0 {
            let fork = event(terms, happened.block_number + 1, happened.block_time, happened.body.clone());
            tellings.push((Seen, fork.clone()));
            if way & 8 != 0 {
                tellings.push((Safe, fork.clone()));
            }
            tellings.push((Retracted, fork));
        }
        if way & 16 != 0 {
            // Left the chain and came back.
            tellings.extend([(Seen, happened.clone()), (Retracted, happened.clone())]);
        }
        if way & 1 != 0 {
            tellings.push((Seen, happened.clone()));
        }
        if way & 2 != 0 {
            tellings.push((Safe, happened.clone()));
        }
        tellings.push((Final, happened.clone()));
    }
    (1..).zip(tellings).map(|(seq, (finality, event))| FeedEntry { seq, finality, event }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_hub_ends_where_the_chain_is_whatever_the_order(
        tries in vec((any::<u8>(), 0_u128..=1000, 0_u64..4_000), 0..12),
        ways in vec(any::<u8>(), 12),
        order in vec(any::<prop::sample::Index>(), 0..120),
        said in prop::sample::select(vec![Status::Offered, Status::Created, Status::Withdrawn]),
    ) {
        let terms = terms();
        let (events, states) = history(&terms, &tries);
        let feed = feed(&terms, &events, &ways);
        // Any entry at any time, some twice; then everything once in order, so that nothing stays away for ever.
        let told = order.iter().map(|index| index.get(&feed)).chain(&feed);

        let mut held: HashMap<B256, (Finality, ChainEvent)> = HashMap::new();
        let (mut kept, mut waits) = (Position::new(said), false);
        let mut furthest = 0;
        for entry in told {
            let before = held.get(&entry.event.id).map(|(finality, _)| *finality);
            let news = supersedes(before, entry.finality);
            if news {
                held.insert(entry.event.id, (entry.finality, entry.event.clone()));
            }
            let finals = held.values().filter(|(finality, _)| *finality == Finality::Final);
            let (position, gap) = fold(said, &terms, finals.map(|(_, event)| event));
            // Folded on over what was folded before, where that is possible, it is what all of them add up to.
            if news {
                let on = follow((&kept, waits), &terms, entry);
                prop_assert!(on.is_none_or(|on| on == position || on == position.settled()));
                (kept, waits) = (on.unwrap_or(position).settled(), on.is_none() && gap.is_some());
            }
            prop_assert_eq!((kept, waits), (position.settled(), gap.is_some()));
            // A prefix of the true history, and never back.
            let here = usize::from(position.count);
            prop_assert!(here >= furthest, "{here} after {furthest}");
            furthest = here;
            if here > 0 {
                prop_assert!(at(&position, &states[here], &terms), "{position:?} is not {:?}", states[here]);
            } else {
                prop_assert_eq!(position.status, said);
            }
        }
        let known = held.values().filter(|(finality, _)| *finality != Finality::Retracted);
        let (likely, gap) = fold(said, &terms, known.map(|(_, event)| event));
        prop_assert_eq!(gap, None);
        prop_assert_eq!(furthest, events.len());
        prop_assert!(at(&likely, states.last().unwrap(), &terms));
        if let Some(share) = likely.seller_share_bps(terms.amount) {
            prop_assert_eq!(u128::from(share), likely.released * 10_000 / terms.amount);
            let paid = likely.released > 0;
            prop_assert_eq!(likely.settled().status == Status::Completed, paid);
            prop_assert_eq!(likely.settled().status == Status::Refunded, !paid);
        }
    }
}

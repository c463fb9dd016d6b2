//! A deal on the chain by the protocol's own state machines, and what the hub heard of it.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{B256, keccak256};
use proptest::sample::Index;
use protocol::{
    arbitration::{
        Registry, Vote,
        case::{self, Case, Handed, Stage},
    },
    chain::{self, AccountId, Address},
    deal::{self, Actor, Consent, DealState, Proof},
    terms::Terms,
    wire::feed::{ChainEvent, EventBody, FeedEntry, Finality},
};
use serde_json::json;

use super::{DAY, Random, compared::now};
use crate::{
    deals::{status::Status, tests::histories::attempt},
    testing::trade::{Bought, Trade},
};

/// An event of a deal, as settled as the indexer says, and as the hub has heard.
pub(super) struct Event {
    pub event: ChainEvent,
    pub indexed: Option<Finality>,
    pub held: Option<Finality>,
    /// It is on record that it left the chain though it was final.
    pub undone: bool,
}

/// What the chain is after one of a deal's transactions.
#[derive(Clone)]
pub(super) struct Point {
    pub state: DealState,
    pub case: Case,
    /// How many events there are of the deal by then.
    pub events: usize,
}

/// A deal on the chain, and what the hub heard of it.
pub(super) struct Deal {
    pub bought: Bought,
    /// Before it is funded.
    pub said: Status,
    /// From before its first transaction on.
    pub points: Vec<Point>,
    pub events: Vec<Event>,
    /// Told by the indexer and not brought yet.
    pub pending: Vec<FeedEntry>,
    pub brought: Vec<FeedEntry>,
    /// The shares of the ballots that the hub took: of a jury by its instance and number, by seat.
    pub signed: BTreeMap<(u8, u8), BTreeMap<u8, u16>>,
    pub appeals: BTreeSet<Address>,
}

/// What contracts emit, and which.
type Emitted = Vec<(AccountId, EventBody)>;

/// How far a telling is; what left the chain is to be told anew.
const fn rank(told: Option<Finality>) -> u8 {
    match told {
        None | Some(Finality::Retracted) => 0,
        Some(Finality::Seen) => 1,
        Some(Finality::Safe) => 2,
        Some(Finality::Final) => 3,
    }
}

pub(super) fn pool_of(terms: &Terms, pools: &Registry, instance: u8) -> B256 {
    if instance == 0 { terms.panel } else { pools.pool(terms.panel).unwrap().book.parent }
}

impl Deal {
    pub(super) fn last(&self) -> &Point {
        self.points.last().unwrap()
    }

    pub(super) fn of(&self, contract: AccountId) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |one| one.event.contract == contract)
    }

    /// How many of the escrow's events are this settled here without a gap.
    pub(super) fn there(&self, level: impl Fn(Finality) -> bool) -> usize {
        self.of(self.bought.terms.escrow).take_while(|one| one.held.is_some_and(&level)).count()
    }

    pub(super) fn settled(&self) -> usize {
        self.there(|level| level == Finality::Final)
    }

    /// The deal after so many of the escrow's events.
    pub(super) fn state(&self, events: usize) -> DealState {
        self.points.iter().find(|point| usize::from(point.state.count) == events).unwrap().state
    }

    /// The case after those of the arbiter's events that are final here, where the chain ever was there.
    pub(super) fn case(&self) -> Option<&Case> {
        let arbiter = self.bought.terms.arbiter;
        let is_final = |one: &&Event| one.held == Some(Finality::Final);
        let known = self.of(arbiter).take_while(is_final).count();
        if self.of(arbiter).filter(is_final).count() != known {
            return None;
        }
        let of_arbiter = |events: usize| {
            self.events.iter().take(events).filter(|one| one.event.contract == arbiter).count()
        };
        self.points.iter().find(|point| of_arbiter(point.events) == known).map(|point| &point.case)
    }

    /// Nothing more can happen, and the hub knows.
    pub(super) fn over(&self, now: u64) -> bool {
        let state = &self.last().state;
        let ended = match state.status {
            deal::Status::None => now > self.bought.terms.fund_by,
            status => status == deal::Status::Closed,
        };
        ended && self.pending.is_empty() && self.events.iter().all(|one| one.held == Some(Finality::Final))
    }

    /// Whether an entry is news to the hub.
    fn hears(&mut self, entry: &FeedEntry) -> bool {
        use Finality::{Final, Retracted};
        let Some(one) = self.events.iter_mut().find(|one| one.event.id == entry.event.id) else {
            // Left the chain for good, which the hub was told.
            return false;
        };
        if (entry.finality == Retracted) != (one.indexed == Some(Retracted)) {
            // Overtaken.
            return false;
        }
        match (one.held, entry.finality) {
            (Some(Final), Retracted) => !std::mem::replace(&mut one.undone, true),
            (held, told) => {
                let news =
                    if told == Retracted { held != Some(Retracted) } else { rank(Some(told)) > rank(held) };
                if news {
                    one.held = Some(told);
                }
                news
            }
        }
    }

    /// Brings entries; the hub takes what is news to it and nothing else.
    pub(super) async fn bring(&mut self, trade: &Trade, entries: &[FeedEntry]) {
        for part in entries.chunks(100) {
            let news = part.iter().filter(|entry| self.hears(entry)).count();
            let answer = trade.deliver(part).await;
            assert_eq!(answer.body, json!({ "applied": news, "duplicates": part.len() - news }), "{part:?}");
            self.brought.extend_from_slice(part);
        }
    }

    /// The indexer tells so many of the events that are not this settled yet.
    pub(super) fn tell(&mut self, trade: &Trade, level: Finality, count: usize) {
        for one in self.events.iter_mut().filter(|one| rank(one.indexed) < rank(Some(level))).take(count) {
            self.pending.push(trade.script.tells(&one.event, level));
            one.indexed = Some(level);
        }
    }

    /// The last transaction leaves the chain, for good or to come back.
    pub(super) async fn leaves(&mut self, trade: &Trade, for_good: bool) {
        let Some(before) = self.points.len().checked_sub(2) else { return };
        let from = self.points[before].events;
        if self.events[from..].iter().any(|one| one.indexed == Some(Finality::Final)) {
            return;
        }
        let left: BTreeSet<B256> = self.events[from..].iter().map(|one| one.event.id).collect();
        self.pending.retain(|entry| !left.contains(&entry.event.id));
        let mut entries = Vec::new();
        for one in self.events[from..].iter_mut().filter(|one| rank(one.indexed) > 0) {
            entries.push(trade.script.tells(&one.event, Finality::Retracted));
            one.indexed = Some(Finality::Retracted);
        }
        self.bring(trade, &entries).await;
        if for_good {
            self.events.truncate(from);
            self.points.pop();
        }
    }

    /// An operator lets go of something final, which is put on record once and changes nothing; then it is there again.
    pub(super) async fn is_undone(&mut self, trade: &Trade, nth: Index) {
        let finals: Vec<usize> =
            (0..self.events.len()).filter(|one| self.events[*one].held == Some(Finality::Final)).collect();
        if finals.is_empty() {
            return;
        }
        let at = finals[nth.index(finals.len())];
        let event = self.events[at].event.clone();
        self.events[at].indexed = Some(Finality::Retracted);
        let entry = trade.script.tells(&event, Finality::Retracted);
        self.bring(trade, &[entry]).await;
        self.events[at].indexed = Some(Finality::Final);
        trade.script.tells(&event, Finality::Final);
    }

    /// Something that was brought before comes once more.
    pub(super) async fn again(&mut self, trade: &Trade, nth: Index) {
        if self.brought.is_empty() {
            return;
        }
        let entry = self.brought[nth.index(self.brought.len())].clone();
        let now = self.events.iter().find(|one| one.event.id == entry.event.id).and_then(|one| one.indexed);
        // What came back is not that settled yet, and would be refused.
        if now != Some(Finality::Retracted) && now.is_some() && rank(Some(entry.finality)) > rank(now) {
            return;
        }
        self.bring(trade, &[entry]).await;
    }

    /// Somebody, mostly the juror of a seat, hands in a ballot.
    pub(super) async fn vote(&mut self, trade: &Trade, pools: &Registry, random: &Random) {
        let Some(case) = self.case().cloned() else { return };
        let drawn = case.drawn(u8::from(random.odd & 32 != 0)).or_else(|_| case.drawn(0));
        let (Ok((number, jury)), Some(last)) = (drawn, case.juries.last()) else { return };
        let terms = &self.bought.terms;
        let seats = case.seats(number, terms, pools);
        let seat = random.number % (seats.len() as u8 + 1);
        let sits = |juror: usize| seats.get(usize::from(seat)) == Some(&trade.jurors[juror].wallet.address());
        let right =
            (0..trade.jurors.len()).find(|juror| sits(*juror)).filter(|_| !random.odd.is_multiple_of(8));
        let juror = right.unwrap_or(0);
        let pool = pool_of(terms, pools, jury.instance);
        let id = chain::case_id(pool, terms.escrow, self.bought.deal, jury.instance, jury.jury, jury.seed)
            .unwrap();
        let key = (jury.instance, jury.jury);
        let voted = jury.ballots.vote(seat) != Vote::Missing
            || self.signed.get(&key).is_some_and(|said| said.contains_key(&seat));
        let counts = last.stage == Stage::Drawn || (last.stage == Stage::Opened && last.jury == 1);
        let may = self.state(self.settled()).status == deal::Status::Disputed
            && counts
            && now(trade) <= jury.panel.unwrap().ends_at
            && sits(juror)
            && !voted;
        let record = trade.ballot_of(juror, &self.bought, id, (jury.jury, seat), random.share());
        let answer = trade.hub.post("/v1/records", &record).await;
        assert_eq!(answer.status == 201, may, "{jury:?} {answer:?}");
        if may {
            self.signed.entry(key).or_default().insert(seat, random.share());
        }
    }

    /// A party asks for an appeal.
    pub(super) async fn appeal(&mut self, trade: &Trade, pools: &Registry, random: &Random) {
        let Some(case) = self.case().cloned() else { return };
        let person = if random.odd & 16 == 0 { &trade.buyer } else { &trade.seller };
        let (party, now) = (person.wallet.address(), now(trade));
        let may = self.state(self.settled()).status == deal::Status::Disputed
            && case.stage() == Some(Stage::Accepted)
            && case.appeal_until(&self.bought.terms, pools).is_some_and(|until| now <= until)
            && !self.appeals.contains(&party);
        let valid_until = now + DAY;
        let signature = person.wallet.appeal(trade.ground.arbiter, self.bought.deal, valid_until);
        let body = json!({ "valid_until": valid_until.to_string(), "signature": signature });
        let record = person.record_about(&trade.hub, "appeal@1", self.bought.id, body);
        let answer = trade.hub.post("/v1/records", &record).await;
        assert_eq!(answer.status == 201, may, "{case:?} {answer:?}");
        if may {
            self.appeals.insert(party);
        }
    }

    /// What may be tried in its case: mostly what comes next.
    fn hearing(&self, pools: &Registry, random: &Random) -> (case::Action, Actor) {
        let (terms, case) = (&self.bought.terms, &self.last().case);
        let party = if random.odd & 16 == 0 { terms.buyer.address } else { terms.seller.address };
        let next: &[u8] = match case.stage() {
            None => &[0],
            Some(Stage::Opened) => &[1, 1, 1, 1, 2, 3, 5],
            Some(Stage::Drawn) => &[2, 3, 3, 4, 5],
            Some(Stage::Accepted) => &[6, 6, 7],
            Some(Stage::Executed) => &[7],
        };
        let drawn = case.drawn(u8::from(random.odd & 32 != 0)).or_else(|_| case.drawn(0));
        let (jury, seats, signed) = match drawn {
            Ok((number, jury)) => {
                let signed = self.signed.get(&(jury.instance, jury.jury));
                (jury.jury, case.seats(number, terms, pools), signed)
            }
            Err(_) => (0, Vec::new(), None),
        };
        let seat = random.number % seats.len().max(1) as u8;
        let juror = |seat: u8| seats.get(usize::from(seat)).copied();
        let handed = |seat: u8, share: u16| Handed { seat, share, signer: juror(seat) };
        let action = match next[random.nth.index(next.len())] {
            0 => case::Action::Open,
            1 => case::Action::Draw,
            2 => case::Action::Cast { jury, seat, share: random.share(), reason: B256::ZERO },
            3 => {
                let signed = signed.into_iter().flatten();
                let mut ballots: Vec<Handed> = signed.map(|(seat, share)| handed(*seat, *share)).collect();
                // One that the hub does not have, and that may be another than the one it has.
                if random.odd % 4 == 1 {
                    ballots.push(handed(seat, random.share()));
                }
                case::Action::Submit { jury, ballots }
            }
            4 => case::Action::OpenSecondJury,
            5 => case::Action::Conclude,
            6 => case::Action::Appeal,
            _ => case::Action::Execute,
        };
        let casts = matches!(action, case::Action::Cast { .. });
        (action, Actor::Caller(juror(seat).filter(|_| casts).unwrap_or(party)))
    }

    /// Something is tried on the chain; what comes of it, where the chain takes it.
    pub(super) fn tried(
        &self,
        pools: &Registry,
        random: &Random,
        (block, now): (u64, u64),
    ) -> Option<(DealState, Case, Emitted)> {
        let Point { state, case, .. } = self.last().clone();
        let terms = &self.bought.terms;
        let context = deal::Context {
            deal: self.bought.deal,
            now,
            cap: chain::amount_cap(terms.escrow.chain),
            rulings: case.rulings(),
            buyer_receives: true,
            seller_receives: true,
        };
        if state.status == deal::Status::Disputed && !random.odd.is_multiple_of(8) {
            let (action, actor) = self.hearing(pools, random);
            let context = case::Context {
                contract: terms.arbiter.address,
                deal: context,
                state: &state,
                block,
                target_hash: (random.odd % 8 != 1).then(|| keccak256(block.to_be_bytes())),
                stride: chain::stride(terms.escrow.chain),
                pools,
            };
            let moved = case::apply(terms, &case, &action, actor, &context).ok()?;
            let after = moved.ruled.as_ref().map_or(state, |ruled| ruled.state);
            let ruled = moved.ruled.map(|ruled| (terms.escrow, ruled.event));
            let told = moved.events.into_iter().map(|body| (terms.arbiter, body));
            return Some((after, moved.case, ruled.into_iter().chain(told).collect()));
        }
        let (action, actor) = if state.status == deal::Status::None {
            let seller = Consent::Signed { proof: Proof::Valid, status: state.status };
            let fund = deal::Action::Fund { seller, sent: terms.amount, received: None };
            (fund, Actor::Caller(terms.buyer.address))
        } else {
            // All but the arbiter's ruling, which comes of its case; mostly a dispute.
            let choice = [0, 0, 1, 3, 5, 5, 5, 5, 6, 7, 9, 10][random.nth.index(12)];
            attempt(choice, random.total, terms, &state, now)
        };
        let moved = deal::apply(terms, &state, &action, actor, &context).ok()?;
        Some((moved.state, case, vec![(terms.escrow, moved.event)]))
    }
}

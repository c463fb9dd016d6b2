//! The model and the contract draw the same juries and count the same ballots.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, B256, Bytes, Log, U256, keccak256},
    signers::{SignerSync, local::PrivateKeySigner},
};
use protocol::{
    arbitration::{Ballots, Refusal, Vote, draw, seed},
    deal::{self, Status},
    evm::{Refused, ballot_digest, call, case_id, deal_id, decode_event, decode_refusal, pool_id},
    terms::Terms,
    wire::{
        feed::{EventBody, RuleBook},
        intent::SignedBallot,
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::world::{BUYER, SELLER, STRANGER, World};

/// Only these, so that juries often agree and often do not.
const SHARES: [u16; 5] = [0, 500, 4_500, 5_000, 10_000];

/// Keys of members by their addresses, the parties among them.
fn members(world: &World, count: usize) -> BTreeMap<Address, PrivateKeySigner> {
    (0..count)
        .map(|number| PrivateKeySigner::from_bytes(&keccak256(number.to_be_bytes())).unwrap())
        .chain([BUYER, SELLER].map(|wallet| world.chain.wallets[wallet].clone()))
        .map(|key| (key.address(), key))
        .collect()
}

struct Court {
    world: World,
    terms: Terms,
    deal: B256,
}

impl Court {
    async fn events(&mut self, to: Address, data: Bytes) -> Vec<EventBody> {
        let logs = self.world.send(self.world.chain.address(STRANGER), to, data, 0).await.unwrap();
        self.decode(&logs)
    }

    fn decode(&self, logs: &[Log]) -> Vec<EventBody> {
        logs.iter().map(|log| decode_event(self.terms.arbiter, log).unwrap()).collect()
    }

    /// Makes the pool and its list, and opens a case of a deal that is funded and disputed.
    async fn open(mut world: World, random: &mut StdRng, members: &[Address], jury_size: u8) -> (Self, u64) {
        let keeper = world.chain.address(STRANGER);
        let book = RuleBook {
            keeper,
            parent: B256::ZERO,
            jury_size,
            delay: 0,
            opening: 3_600,
            voting: 3_600,
            appeal: 0,
            salt: B256::ZERO,
        };
        let pools = world.chain.pools;
        let mut pages = Vec::new();
        world.send(keeper, pools.address, call::create_pool(&book), 0).await.unwrap();
        for half in members.chunks(members.len().div_ceil(2)) {
            let stored = call::store_page(half.to_vec());
            pages.push(world.dry_run(pools.address, stored.clone()).await);
            world.send(keeper, pools.address, stored, 0).await.unwrap();
        }
        let pool = pool_id(&book);
        world.send(keeper, pools.address, call::publish(pool, pages), 0).await.unwrap();
        let mut terms = world.terms(random, u64::from(jury_size)).await;
        terms.buyer = world.chain.account(BUYER);
        terms.seller = world.chain.account(SELLER);
        terms.arbiter = pools;
        terms.panel = pool;
        terms.asset.token = None;
        terms.fund_by += 1_000;
        terms.deliver_by += 1_000;
        terms.ruling = 1_000_000;
        let deal = deal_id(&terms).unwrap();
        let (escrow, buyer) = (terms.escrow.address, terms.buyer.address);
        let funded = call::fund(&terms, world.chain.sign(SELLER, deal)).unwrap();
        world.send(buyer, escrow, funded, terms.amount).await.unwrap();
        world.send(buyer, escrow, call::dispute(&terms, B256::ZERO, None).unwrap(), 0).await.unwrap();
        let mut court = Self { world, terms, deal };
        let opened = court.events(pools.address, call::open(&court.terms).unwrap()).await;
        let [EventBody::CaseOpened { target_block, .. }] = opened[..] else { panic!("{opened:?}") };
        (court, target_block)
    }

    async fn draw(&mut self, target_block: u64) -> (B256, Vec<Address>) {
        let (pools, stranger) = (self.terms.arbiter.address, self.world.chain.address(STRANGER));
        let drawing = call::draw(&self.terms).unwrap();
        let early = self.world.send(stranger, pools, drawing.clone(), 0).await.unwrap_err();
        // Escrow and pools share this refusal, and it reads as the escrow's.
        let refusal = deal::Refusal::TooEarly { opens_at: target_block + 1 };
        assert_eq!(decode_refusal(&early), Some(Refused::Escrow(refusal)));
        while self.world.chain.height().await < target_block {
            self.world.send(stranger, stranger, Bytes::new(), 0).await.unwrap();
        }
        let mut drawn = self.events(pools, drawing).await;
        let Some(EventBody::JuryDrawn { seed, seats, .. }) = drawn.pop() else { panic!("{drawn:?}") };
        (seed, seats)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn model_and_contract_seat_and_count_alike() {
    let mut random = StdRng::seed_from_u64(7);
    let mut ruled = 0;
    for jury_size in [1_u8, 3, 5, 31] {
        let world = World::start().await;
        let keys = members(&world, usize::from(jury_size) * 2 + 5);
        let list: Vec<Address> = keys.keys().copied().collect();
        for member in &list {
            world.enrich(*member).await;
        }
        let (mut court, target_block) = Court::open(world, &mut random, &list, jury_size).await;
        let parties = [court.terms.buyer.address, court.terms.seller.address];
        let (told, seats) = court.draw(target_block).await;
        let expected = seed(court.world.block_hash(target_block).await, court.deal, 0, 0);
        assert_eq!(told, expected);
        assert_eq!(Ok(seats.clone()), draw(expected, &list, &parties, jury_size));
        ruled += u8::from(count(&mut court, &mut random, &keys, &seats, expected).await);
    }
    assert!(ruled >= 3, "only {ruled} of 4 juries ruled");
}

/// Random ballots, each told to both, until the jury has ruled or cannot any more: whether it did.
async fn count(
    court: &mut Court,
    random: &mut StdRng,
    keys: &BTreeMap<Address, PrivateKeySigner>,
    seats: &[Address],
    seed: B256,
) -> bool {
    let jury_size = u8::try_from(seats.len()).unwrap();
    let (terms, pools) = (court.terms.clone(), court.terms.arbiter);
    let case = case_id(terms.panel, terms.escrow.address, court.deal, 0, 0, seed);
    let mut word = Ballots::default();
    for attempt in 0..400 {
        let seat = random.random_range(0..jury_size);
        let share = SHARES[random.random_range(0..SHARES.len())];
        let juror = seats[usize::from(seat)];
        let casts = random.random_ratio(1, 4);
        // The seats must not all contradict themselves before they agree.
        let share = match word.vote(seat) {
            Vote::Share(first) if !casts && random.random_ratio(9, 10) => first,
            _ => share,
        };
        let (calldata, model) = if casts {
            (call::cast(&terms, 0, seat, share, B256::ZERO).unwrap(), word.with_cast(seat, share, jury_size))
        } else {
            let digest = ballot_digest(pools, case, share, B256::ZERO);
            let signature = keys[&juror].sign_hash_sync(&digest).unwrap().as_bytes().to_vec().into();
            let ballot = SignedBallot { seat, share, reason: B256::ZERO, signature };
            let counted = word
                .with_signed(seat, share, jury_size)
                .and_then(|counted| if counted == word { Err(Refusal::NoBallots) } else { Ok(counted) });
            (call::submit(&terms, 0, &[ballot]).unwrap(), counted)
        };
        let label = format!("jury of {jury_size}, attempt {attempt}: seat {seat}, {share}, casts {casts}");
        let told = court.world.send(juror, pools.address, calldata, 0).await;
        let (counted, logs) = match (model, told) {
            (Ok(counted), Ok(logs)) => (counted, logs),
            (Err(refusal), Err(data)) => {
                assert_eq!(decode_refusal(&data), Some(Refused::Pools(refusal)), "{label}");
                continue;
            }
            (model, told) => panic!("{label}: the model says {model:?}, the contract {told:?}"),
        };
        word = counted;
        let bounds = word.bounds(jury_size);
        let events = court.decode(&logs);
        let counted = events.iter().find_map(|event| match event {
            EventBody::BallotsCounted { ballots, lo, hi, .. } => {
                Some((U256::from_be_bytes(ballots.0), *lo, *hi))
            }
            _ => None,
        });
        assert_eq!(counted, Some((word.0, bounds.lo, bounds.hi)), "{label}");
        let ruled = events.iter().find_map(|event| match event {
            EventBody::Ruled { share, .. } => Some(*share),
            _ => None,
        });
        assert_eq!(ruled, bounds.ruling(), "{label}");
        if ruled.is_some() {
            // Closed before fund_by, so a tombstone stands.
            assert_eq!(court.world.state_of(court.deal).await.status, Status::Closed, "{label}");
            return true;
        }
        let void = (0..jury_size).filter(|seat| word.vote(*seat) == Vote::Void).count();
        if void > usize::from(jury_size / 2) {
            return false; // no majority can form any more
        }
    }
    panic!("a jury of {jury_size} never ruled");
}

//! What must hold, whatever happened: found from the chain itself, never from what the services say.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use alloy::{
    primitives::{Address, B256, U256},
    sol_types::SolCall as _,
};
use machine::Call;
use protocol::{
    chain::{deal_id, event_id},
    evm::pools::ArbitrationPools::caseOfCall,
    wire::{
        feed::{FeedEntry, Finality},
        intent::{Intent, IntentAction},
    },
};

use crate::{
    chain::{Block, Chain},
    scene::{CHAIN, SCENE},
};

/// An event's place on the chain.
pub type Place = (u64, u64);

/// Ids of the events of our contracts in a block, with their places.
pub fn events_of(block: &Block) -> &[(B256, Place)] {
    block.events.get_or_init(|| find_events(block))
}

fn find_events(block: &Block) -> Vec<(B256, Place)> {
    let ours = [SCENE.escrow, SCENE.pools].map(|contract| contract.address.evm().unwrap());
    let logs = block.logs().filter(|(_, _, log)| ours.contains(&log.address));
    logs.map(|(mined, index, _)| {
        let id = event_id(CHAIN, block.hash, mined.tx.hash.into(), index).unwrap();
        (id, (block.number(), index))
    })
    .collect()
}

/// Ids of the events of our contracts up to a height, in order.
pub fn events_up_to(chain: &Chain, number: u64) -> Vec<B256> {
    let blocks = chain.canonical().take_while(|block| block.number() <= number);
    blocks.flat_map(|block| events_of(block)).map(|(id, _)| *id).collect()
}

/// Stages of a jury, as `Stage` of `contracts/src/interfaces/IArbitrationPools.sol` numbers them.
const DRAWN: u8 = 2;
const ACCEPTED: u8 = 3;

/// Whether the newest block shows what an intent is for, whoever brought that about.
pub fn shows(chain: &Chain, intent: &Intent) -> bool {
    let [escrow, arbiter] = [SCENE.escrow, SCENE.pools].map(|contract| contract.address.evm().unwrap());
    let deal = deal_id(&intent.terms).unwrap();
    let question = caseOfCall { escrow, deal }.abi_encode().into();
    let (call, head) = (Call::new(Address::ZERO, arbiter, question, U256::ZERO), chain.head());
    let answer = head.state.clone().run(&call, head.number() + 1, head.time() + 1, false).output;
    let juries = caseOfCall::abi_decode_returns(&answer).unwrap();
    let Some(last) = juries.last() else { return false };
    // After a ruling there is nothing left to do.
    if last.stage >= ACCEPTED {
        return true;
    }
    let drawn = |instance: &u8, jury: &u8| {
        juries.iter().find(|one| (one.instance, one.jury, one.stage) == (*instance, *jury, DRAWN))
    };
    match &intent.action {
        IntentAction::OpenCase => true,
        IntentAction::DrawJury { instance, jury } => drawn(instance, jury).is_some(),
        // Five bits for each seat, zero until its ballot is counted.
        IntentAction::SubmitBallots { instance, jury, ballots } => drawn(instance, jury).is_some_and(|one| {
            let field = |seat: u8| (one.ballots >> (5 * usize::from(seat))) & U256::from(31);
            ballots.iter().all(|ballot| field(ballot.seat) != U256::ZERO)
        }),
        other => panic!("the hub does not want {other:?}"),
    }
}

/// Follows a feed as one who relies on it does.
#[derive(Debug, Default)]
pub struct Listener {
    pub cursor: u64,
    /// The last that was told of each event.
    told: BTreeMap<B256, Finality>,
    finals: BTreeSet<B256>,
    last_final: Place,
    /// The greatest height that a chain had.
    highest: u64,
    /// Final events that were told after later ones: each had been missed when its block was read.
    pub late: u64,
    pub duplicated: u64,
    pub retracted: u64,
    pub complaints: Vec<String>,
}

impl Listener {
    /// Hears one entry while the chain is as it is; of `hidden` blocks a node left out what they have.
    pub fn hear(&mut self, entry: &FeedEntry, chain: &Chain, hidden: &HashSet<B256>) {
        let (id, finality) = (entry.event.id, entry.finality);
        if entry.seq <= self.cursor {
            self.complaints.push(format!("entry {} after {}", entry.seq, self.cursor));
        }
        self.cursor = entry.seq;
        let before = self.told.insert(id, finality);
        let allowed = matches!(
            (before, finality),
            (None | Some(Finality::Retracted), Finality::Seen | Finality::Safe | Finality::Final)
                | (Some(Finality::Seen), Finality::Safe | Finality::Final | Finality::Retracted)
                | (Some(Finality::Safe), Finality::Final | Finality::Retracted)
        );
        if !allowed {
            self.complaints.push(format!("entry {}: {id} was {before:?} and is {finality:?}", entry.seq));
        }
        self.retracted += u64::from(finality == Finality::Retracted);
        if finality == Finality::Final {
            if !self.finals.insert(id) {
                self.duplicated += 1;
            }
            let place = (entry.event.block_number, entry.event.log_index);
            if place < self.last_final {
                self.late += 1;
                if !hidden.contains(&entry.event.block_hash) {
                    self.complaints
                        .push(format!("entry {}: {id} is told late, and no node hid it", entry.seq));
                }
            } else {
                self.last_final = place;
            }
            let block = chain.at(place.0).filter(|block| block.hash == entry.event.block_hash);
            if block.is_none() || place.0 > chain.view().finalized {
                self.complaints.push(format!("entry {}: {id} of block {} is not final", entry.seq, place.0));
            }
        }
    }

    /// Final events of the chain that were never told as final, and told ones that the chain does not have.
    pub fn compare(&self, chain: &Chain) -> (u64, u64) {
        let wanted: BTreeSet<B256> = events_up_to(chain, chain.view().finalized).into_iter().collect();
        let lost = wanted.difference(&self.finals).count();
        let strange = self.finals.difference(&wanted).count();
        (lost as u64, strange as u64)
    }

    /// Whether a chain is as long as any before it: what follows a shorter one cannot know whether its node is only late.
    pub fn is_longest(&mut self, chain: &Chain) -> bool {
        let head = chain.view().head();
        self.highest = self.highest.max(head);
        head == self.highest
    }

    /// The indexer has nothing left to do and was answered right: it has told what the chain has, but for `hidden` blocks.
    pub fn rests(&mut self, chain: &Chain, hidden: &HashSet<B256>) {
        let canonical = || {
            chain.canonical().flat_map(|block| events_of(block).iter().map(move |(id, _)| (block.hash, *id)))
        };
        let known: HashSet<B256> = canonical().map(|(_, id)| id).collect();
        let is_told = |id: &B256| self.told.get(id).is_some_and(|last| *last != Finality::Retracted);
        let missing = canonical().filter(|(block, id)| !hidden.contains(block) && !is_told(id)).count();
        let strange = self.told.keys().filter(|id| is_told(id) && !known.contains(*id)).count();
        if missing + strange > 0 {
            self.complaints.push(format!(
                "nothing is left to do at block {}, {missing} of its chain's events are not told, and {strange} that it does not have",
                chain.view().head()
            ));
        }
    }

    /// Whether what was told and not taken back is what the chain has.
    pub fn agrees(&self, chain: &Chain) -> bool {
        let told: BTreeSet<B256> =
            self.told.iter().filter(|(_, last)| **last != Finality::Retracted).map(|(id, _)| *id).collect();
        let wanted: BTreeSet<B256> = events_up_to(chain, chain.view().head()).into_iter().collect();
        told == wanted
    }
}

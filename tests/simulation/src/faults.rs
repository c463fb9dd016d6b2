//! What goes wrong, and how often. Every world draws its own rate of every fault, from none to the most; in one of four
//! worlds a fault does not happen at all.

use crate::dice::Dice;

/// Name, the most times in a million, and what there is a chance of it at.
pub const FAULTS: [(&str, u32, &str); FAULT_COUNT] = [
    ("no answer", 50_000, "a request to a node"),
    ("HTTP 502", 30_000, "a request to a node"),
    ("asked too often", 30_000, "a request to a node"),
    ("answer cut off", 20_000, "a request to a node"),
    ("null answer", 10_000, "a request to a node"),
    (
        "stale answer",
        100_000,
        "a request to a node: by a backend up to six views behind, on another branch perhaps",
    ),
    ("late answer", 100_000, "a request to a node: others that were asked after it answer before it"),
    ("other chain", 2_000, "a request to a node: by a node of another chain"),
    ("no tag", 10_000, "a request for the safe or final block"),
    ("range refused", 200_000, "a range of logs above this world's limit of blocks or of results"),
    ("logs left out", 30_000, "an answer with logs, by the one provider of three that lies"),
    ("logs hidden", 30_000, "an answer with logs, by the one provider of three that lies: none at all"),
    (
        "header fields",
        30_000,
        "an answer with a header, by the one provider of three that lies: one field is not that of its hash",
    ),
    ("log twice", 5_000, "an answer with logs"),
    ("transaction lost", 50_000, "a transaction that is sent"),
    ("answer lost", 50_000, "a transaction that is sent: it was taken"),
    ("evicted", 30_000, "a step: what waits at one nonce is forgotten"),
    ("fees rise", 30_000, "a step: up to thirtyfold for a while"),
    ("reorganisation", 100_000, "a step: as deep as what is not final"),
    ("same height", 50_000, "a step: the head is replaced by another of its height"),
    ("node goes back", 20_000, "a step: the branch that replaces is shorter"),
    ("chain runs ahead", 750_000, "a step: up to thirty blocks at once"),
    ("clock jumps", 20_000, "a step: up to ten minutes ahead"),
    ("killed", 3_000, "a boundary: before and after every request and every commit"),
    ("stopped", 10_000, "a step: the service is started again"),
    ("transaction refused", 3_000, "the beginning of a transaction of the database"),
    ("commit refused", 2_000, "a commit of the database"),
    (
        "statement refused",
        10_000,
        "a step: one insertion, change or deletion in a table, in the middle of a transaction",
    ),
    ("peer away", 50_000, "a request to the hub or the indexer"),
    ("peer's answer lost", 30_000, "a request to the hub: it was taken"),
    ("hub refuses", 5_000, "a delivery to the hub"),
    ("hub put back", 20_000, "a step: the hub knows what it knew up to twenty steps ago"),
];

/// How many kinds there are.
pub const FAULT_COUNT: usize = 32;

/// How often each fault happens in one world, and how often it did.
#[derive(Clone, Debug)]
pub struct Faults {
    rates: [u32; FAULT_COUNT],
    pub counts: [u64; FAULT_COUNT],
    /// Nothing goes wrong any more.
    pub calm: bool,
}

impl Faults {
    pub fn new(dice: &mut Dice) -> Self {
        let rates = FAULTS.map(|(_, most, _)| {
            if dice.hits(250_000) { 0 } else { u32::try_from(dice.below(u64::from(most) + 1)).unwrap() }
        });
        Self { rates, counts: [0; FAULT_COUNT], calm: false }
    }

    /// Whether a fault happens here; counts it.
    pub fn strike(&mut self, name: &str, dice: &mut Dice) -> bool {
        let at = index(name);
        let strikes = !self.calm && dice.hits(self.rates[at]);
        self.counts[at] += u64::from(strikes);
        strikes
    }
}

/// The place of a fault in the table.
pub fn index(name: &str) -> usize {
    FAULTS.iter().position(|(fault, ..)| *fault == name).unwrap()
}

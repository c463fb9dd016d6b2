//! Attempts at a deal, sound and unsound.

use protocol::deal::{
    ActionKind, Status,
    table::{Outcome, outcome},
};

use crate::{
    dice::Dice,
    words::{Act, Amount, By, DealWords, How, Offered, Signed, Who},
};

/// A deal as an attempt sees it. Times in seconds after the start.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub terms: &'a DealWords,
    pub status: Status,
    /// Of the terms.
    pub amount: u128,
    /// The chain's largest.
    pub cap: u128,
    /// How many rulings the arbiter will say.
    pub rulings: u8,
    /// When the attempt will be made.
    pub now: i64,
    /// Who will send it, where that is settled: the calls of a batch have one caller.
    pub caller: Option<Who>,
    /// Whether coin is sent along.
    pub purse: bool,
}

/// Mostly what the table allows and soundly, often not.
pub fn any(dice: &mut Dice<'_>, seen: Seen<'_>) -> Act {
    let allowed: Vec<ActionKind> = ActionKind::ALL
        .into_iter()
        .filter(|kind| matches!(outcome(seen.status, *kind), Outcome::Allowed { .. }))
        .collect();
    let all = allowed.is_empty() || dice.once_in(3);
    let kind = if all { dice.of(&ActionKind::ALL) } else { dice.of(&allowed) };
    // What closes comes last often enough.
    let kind = match kind {
        ActionKind::Settle if !dice.once_in(3) => ActionKind::Dispute,
        ActionKind::Rule if seen.status != Status::Disputed && dice.once_in(2) => ActionKind::Dispute,
        ActionKind::Reclaim if dice.once_in(3) => ActionKind::Deliver,
        ActionKind::Retract if !dice.once_in(5) => ActionKind::Fund,
        kind => kind,
    };
    Maker { dice, seen }.attempt(kind)
}

/// An attempt to fund.
pub fn funding(dice: &mut Dice<'_>, seen: Seen<'_>) -> Act {
    Maker { dice, seen }.fund()
}

struct Maker<'a, 'n> {
    dice: &'a mut Dice<'n>,
    seen: Seen<'a>,
}

impl Maker<'_, '_> {
    fn someone(&mut self) -> Who {
        let terms = self.seen.terms;
        let all = [Who::Stranger, terms.buyer, terms.seller, terms.arbiter];
        self.seen.caller.unwrap_or_else(|| self.dice.of(&all))
    }

    fn either_party(&mut self) -> Who {
        self.dice.of(&[self.seen.terms.buyer, self.seen.terms.seller])
    }

    fn total(&mut self) -> Amount {
        let amount = self.seen.amount;
        Amount::Exactly(match self.dice.below(12) {
            0..6 => self.dice.up_to(amount / 6 + 1).min(amount),
            6..8 => self.dice.up_to(amount),
            8 => 0,
            9 => amount.saturating_add(1).min(self.seen.cap),
            _ => amount,
        })
    }

    fn valid_until(&mut self) -> i64 {
        if self.dice.once_in(12) {
            self.seen.now - 1
        } else {
            self.seen.now + self.dice.below(50).cast_signed()
        }
    }

    /// The account itself or the bearer of its signature; now and then somebody else, too late, forged or revoked.
    fn authority(&mut self, natural: Who) -> By {
        let natural = if self.dice.once_in(6) { self.someone() } else { natural };
        let caller = self.someone();
        if self.dice.once_in(2) || self.seen.caller == Some(natural) || natural == Who::Court {
            return self.seen.caller.unwrap_or(natural).into();
        }
        let valid_until = self.valid_until();
        let how = if self.dice.once_in(6) {
            How::Forged
        } else if self.dice.once_in(12) && self.seen.caller.is_none() {
            // A batch is made of attempts that are all made before any of them is sent.
            How::Revoked
        } else {
            How::Valid
        };
        By { caller, signed: Some(Signed { signer: natural, how, valid_until }) }
    }

    fn consent(&mut self, party: Who, caller: Who) -> Option<How> {
        let unsigned = if caller == party { self.dice.once_in(2) } else { self.dice.once_in(12) };
        if unsigned {
            return None;
        }
        Some(if self.dice.once_in(6) { How::Forged } else { How::Valid })
    }

    /// Asked by `natural` itself, mostly; in a batch by whoever sends it.
    fn itself(&mut self, natural: Who) -> By {
        let someone = self.someone();
        if self.seen.caller.is_none() && !self.dice.once_in(4) { natural.into() } else { someone.into() }
    }

    fn attempt(&mut self, kind: ActionKind) -> Act {
        let (buyer, seller) = (self.seen.terms.buyer, self.seen.terms.seller);
        match kind {
            ActionKind::Fund => self.fund(),
            ActionKind::Settle => self.settle(),
            ActionKind::Reclaim => Act::Reclaim { by: self.someone().into() },
            ActionKind::Claim => Act::Claim { by: self.someone().into() },
            ActionKind::Lapse => Act::Lapse { by: self.someone().into() },
            ActionKind::Retract => {
                let party = self.either_party();
                Act::Retract { by: self.itself(party) }
            }
            ActionKind::Rule => {
                let share = u16::try_from(self.dice.below(10_002)).unwrap();
                // A chain that keeps deals in accounts notices that there is none before it looks at the share.
                let share = if self.seen.status == Status::None { share.min(10_000) } else { share };
                Act::Rule { share, by: self.itself(self.seen.terms.arbiter) }
            }
            ActionKind::Deliver => {
                let delivery = self.dice.byte();
                Act::Deliver { delivery, by: self.authority(seller) }
            }
            ActionKind::Release => {
                let total = self.total();
                Act::Release { total, by: self.authority(buyer) }
            }
            ActionKind::Refund => {
                let total = self.total();
                Act::Refund { total, by: self.authority(seller) }
            }
            ActionKind::Dispute => {
                let (evidence, party) = (self.dice.byte(), self.either_party());
                Act::Dispute { evidence, by: self.authority(party) }
            }
            ActionKind::Evidence => {
                let (evidence, party) = (self.dice.byte(), self.either_party());
                let uri = if self.dice.once_in(8) { 257 } else { self.dice.below(257) };
                Act::Evidence { evidence, uri: uri.try_into().unwrap(), by: self.authority(party) }
            }
        }
    }

    fn fund(&mut self) -> Act {
        let by = self.authority(self.seen.terms.buyer);
        let seller = self.consent(self.seen.terms.seller, by.caller);
        let more = u8::from(self.seen.purse && self.dice.once_in(12));
        Act::Fund { by, seller, more }
    }

    fn settle(&mut self) -> Act {
        let Seen { terms, status, .. } = self.seen;
        let seller_total = self.total();
        let accepted = if status == Status::Disputed { self.seen.rulings } else { 0 };
        let rulings = if self.dice.once_in(6) { 1 - accepted.min(1) } else { accepted };
        let valid_until = self.valid_until();
        let caller = self.someone();
        let mut offer = |party: Who| {
            let of = if self.dice.once_in(6) { self.dice.of(&Status::ALL) } else { status };
            self.consent(party, caller).map(|how| Offered { how, status: of.into() })
        };
        let (buyer, seller) = (offer(terms.buyer), offer(terms.seller));
        Act::Settle { by: caller.into(), seller_total, rulings, valid_until, buyer, seller }
    }
}

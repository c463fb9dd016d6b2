//! Attempts at a deal, each in the model's words and as the transaction that says the same.

use alloy::{
    primitives::{
        Address, B256, Bytes, U256,
        aliases::{U40, U88},
        keccak256,
    },
    sol_types::SolStruct,
};
use protocol::{
    deal::{
        Action, ActionKind, Actor, Consent, DealState, Status,
        table::{Outcome, outcome},
    },
    evm::{
        AMOUNT_MAX, TermsError,
        call::{self, Settlement, Signed},
        escrow_domain, typed,
    },
    terms::Terms,
};

use crate::{
    dice::Dice,
    ground::Ground,
    world::{PURSE, Who, World, address},
};

/// What is asked of a deal.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub action: Action,
    pub actor: Actor,
    pub calldata: Bytes,
    /// Coin sent along.
    pub value: u128,
}

/// A deal as an attempt sees it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub terms: &'a Terms,
    pub state: &'a DealState,
    pub deal: B256,
    /// How many rulings the arbiter will say.
    pub rulings: u8,
    /// When the attempt will be made.
    pub now: u64,
    /// Who will send it, where that is settled: the calls of a batch have one caller.
    pub caller: Option<Address>,
}

/// Mostly what the table allows and soundly, often not.
pub fn any<G: Ground>(world: &mut World<G>, dice: &mut Dice<'_>, seen: Seen<'_>) -> Attempt {
    let allowed: Vec<ActionKind> = ActionKind::ALL
        .into_iter()
        .filter(|kind| matches!(outcome(seen.state.status, *kind), Outcome::Allowed { .. }))
        .collect();
    let all = allowed.is_empty() || dice.once_in(3);
    let kind = if all { dice.of(&ActionKind::ALL) } else { dice.of(&allowed) };
    // What closes comes last often enough.
    let kind = match kind {
        ActionKind::Settle if !dice.once_in(3) => ActionKind::Dispute,
        ActionKind::Rule if seen.state.status != Status::Disputed && dice.once_in(2) => ActionKind::Dispute,
        ActionKind::Reclaim if dice.once_in(3) => ActionKind::Deliver,
        ActionKind::Retract if !dice.once_in(5) => ActionKind::Fund,
        kind => kind,
    };
    Maker { world, dice, seen }.attempt(kind)
}

/// An attempt to fund.
pub fn funding<G: Ground>(world: &mut World<G>, dice: &mut Dice<'_>, seen: Seen<'_>) -> Attempt {
    Maker { world, dice, seen }.fund()
}

struct Maker<'a, 'n, G> {
    world: &'a mut World<G>,
    dice: &'a mut Dice<'n>,
    seen: Seen<'a>,
}

impl<G: Ground> Maker<'_, '_, G> {
    fn hash(&mut self) -> B256 {
        keccak256([self.dice.byte()])
    }

    fn someone(&mut self) -> Address {
        if let Some(caller) = self.seen.caller {
            return caller;
        }
        let terms = self.seen.terms;
        let stranger = address(Who::Stranger);
        self.dice.of(&[stranger, terms.buyer.address, terms.seller.address, terms.arbiter.address])
    }

    fn either_party(&mut self) -> Address {
        self.dice.of(&[self.seen.terms.buyer.address, self.seen.terms.seller.address])
    }

    fn total(&mut self) -> u128 {
        let amount = self.seen.terms.amount;
        match self.dice.below(12) {
            0..6 => self.dice.up_to(amount / 6 + 1).min(amount),
            6..8 => self.dice.up_to(amount),
            8 => 0,
            9 => (amount + 1).min(AMOUNT_MAX),
            _ => amount,
        }
    }

    fn digest(&self, message: &impl SolStruct) -> B256 {
        message.eip712_signing_hash(&escrow_domain(self.seen.terms.escrow))
    }

    fn valid_until(&mut self) -> u64 {
        if self.dice.once_in(12) { self.seen.now - 1 } else { self.seen.now + self.dice.below(50) }
    }

    /// The account itself or the bearer of its signature; now and then somebody else, too late, forged or revoked.
    fn authority(
        &mut self,
        natural: Address,
        digest: impl Fn(&Self, U40) -> B256,
    ) -> (Actor, Option<Signed>) {
        let natural = if self.dice.once_in(6) { self.someone() } else { natural };
        let caller = self.someone();
        if self.dice.once_in(2) || self.seen.caller == Some(natural) {
            return (Actor::Caller(self.seen.caller.unwrap_or(natural)), None);
        }
        let valid_until = self.valid_until();
        let digest = digest(self, U40::from(valid_until));
        let sound = !self.dice.once_in(6);
        // A batch is made of attempts that are all made before any of them is sent.
        if sound && self.dice.once_in(12) && self.seen.caller.is_none() {
            self.world.revoke(natural, digest);
        }
        let (proof, signature) = self.world.sign(natural, digest, sound);
        let actor = Actor::Bearer { caller, signer: natural, proof, valid_until };
        (actor, Some(Signed { signer: natural, valid_until, signature }))
    }

    fn consent(&mut self, party: Address, caller: Address, status: Status, digest: B256) -> (Consent, Bytes) {
        let unsigned = if caller == party { self.dice.once_in(2) } else { self.dice.once_in(12) };
        if unsigned {
            return (Consent::Unsigned, Bytes::new());
        }
        let sound = !self.dice.once_in(6);
        let (proof, signature) = self.world.sign(party, digest, sound);
        (Consent::Signed { proof, status }, signature)
    }

    /// An action that anybody, or only its own account, may ask in person.
    fn plain(&mut self, action: Action, calldata: Result<Bytes, TermsError>) -> Attempt {
        Attempt { action, actor: Actor::Caller(self.someone()), calldata: calldata.unwrap(), value: 0 }
    }

    fn attempt(&mut self, kind: ActionKind) -> Attempt {
        let Seen { terms, deal, .. } = self.seen;
        let seller = terms.seller.address;
        let made = |action, actor, calldata: Result<Bytes, TermsError>| Attempt {
            action,
            actor,
            calldata: calldata.unwrap(),
            value: 0,
        };
        match kind {
            ActionKind::Fund => self.fund(),
            ActionKind::Settle => self.settle(),
            ActionKind::Reclaim => self.plain(Action::Reclaim, call::reclaim(terms)),
            ActionKind::Claim => self.plain(Action::Claim, call::claim(terms)),
            ActionKind::Lapse => self.plain(Action::Lapse, call::lapse(terms)),
            ActionKind::Retract => {
                let by = self.either_party();
                let mut attempt = self.plain(Action::Retract, call::retract(terms));
                if self.seen.caller.is_none() && !self.dice.once_in(4) {
                    attempt.actor = Actor::Caller(by);
                }
                attempt
            }
            ActionKind::Rule => {
                let share = u16::try_from(self.dice.below(10_002)).unwrap();
                let mut attempt = self.plain(Action::Rule { share }, call::rule(terms, share));
                if self.seen.caller.is_none() && !self.dice.once_in(4) {
                    attempt.actor = Actor::Caller(terms.arbiter.address);
                }
                attempt
            }
            ActionKind::Deliver => {
                let delivery = self.hash();
                let (actor, signed) = self.authority(seller, |maker, until| {
                    maker.digest(&typed::Deliver { deal, delivery, validUntil: until })
                });
                made(Action::Deliver { delivery }, actor, call::deliver(terms, delivery, signed.as_ref()))
            }
            ActionKind::Release | ActionKind::Refund => self.concession(kind),
            ActionKind::Dispute => {
                let (evidence, party) = (self.hash(), self.either_party());
                let (actor, signed) = self.authority(party, |maker, until| {
                    maker.digest(&typed::Dispute { deal, evidence, validUntil: until })
                });
                made(Action::Dispute { evidence }, actor, call::dispute(terms, evidence, signed.as_ref()))
            }
            ActionKind::Evidence => {
                let (evidence, party) = (self.hash(), self.either_party());
                let length = if self.dice.once_in(8) { 257 } else { self.dice.below(257) };
                let uri = "x".repeat(usize::try_from(length).unwrap());
                let (actor, signed) = self.authority(party, |maker, until| {
                    maker.digest(&typed::Evidence { deal, evidence, uri: uri.clone(), validUntil: until })
                });
                let calldata = call::evidence(terms, evidence, uri.clone(), signed.as_ref());
                made(Action::Evidence { evidence, uri }, actor, calldata)
            }
        }
    }

    fn concession(&mut self, kind: ActionKind) -> Attempt {
        let Seen { terms, deal, .. } = self.seen;
        let total = self.total();
        let amount = U88::from(total);
        let (action, actor, calldata) = if kind == ActionKind::Release {
            let message = typed::Release { deal, total: amount };
            let (actor, signed) = self.authority(terms.buyer.address, |maker, _| maker.digest(&message));
            let signature = signed.map(|signed| signed.signature);
            (Action::Release { total }, actor, call::release(terms, total, signature.as_ref()))
        } else {
            let message = typed::Refund { deal, total: amount };
            let (actor, signed) = self.authority(terms.seller.address, |maker, _| maker.digest(&message));
            let signature = signed.map(|signed| signed.signature);
            (Action::Refund { total }, actor, call::refund(terms, total, signature.as_ref()))
        };
        Attempt { action, actor, calldata: calldata.unwrap(), value: 0 }
    }

    fn fund(&mut self) -> Attempt {
        let Seen { terms, deal, .. } = self.seen;
        let (buyer, seller) = (terms.buyer.address, terms.seller.address);
        let (actor, signed) =
            self.authority(buyer, |maker, until| maker.digest(&typed::Fund { deal, validUntil: until }));
        let caller = actor.caller();
        let (consent, signature) = self.consent(seller, caller, Status::None, deal);
        let due: u128 = call::fund_value(terms).to();
        let value = if self.dice.once_in(12) { due + 1 } else { due };
        let calldata = match &signed {
            None => call::fund(terms, signature),
            Some(signed) => call::fund_by_sig(terms, signature, signed),
        };
        let received = Some(terms.amount).filter(|amount| *amount <= PURSE);
        let action = Action::Fund { seller: consent, sent: value, received };
        Attempt { action, actor, calldata: calldata.unwrap(), value }
    }

    fn settle(&mut self) -> Attempt {
        let Seen { terms, deal, state, .. } = self.seen;
        let seller_total = self.total();
        let accepted = if state.status == Status::Disputed { self.seen.rulings } else { 0 };
        let rulings = if self.dice.once_in(6) { 1 - accepted.min(1) } else { accepted };
        let valid_until = self.valid_until();
        let caller = self.someone();
        let mut offer = |party: Address| {
            let status = if self.dice.once_in(6) { self.dice.of(&Status::ALL) } else { state.status };
            let digest = self.digest(&typed::Settle {
                deal,
                sellerTotal: U88::from(seller_total),
                status: status as u8,
                rulings,
                validUntil: U40::from(valid_until),
            });
            self.consent(party, caller, status, digest)
        };
        let (buyer, buyer_signature) = offer(terms.buyer.address);
        let (seller, seller_signature) = offer(terms.seller.address);
        let settlement = Settlement { seller_total, rulings, valid_until, buyer_signature, seller_signature };
        Attempt {
            action: Action::Settle { seller_total, rulings, valid_until, buyer, seller },
            actor: Actor::Caller(caller),
            calldata: call::settle(terms, &settlement).unwrap(),
            value: 0,
        }
    }
}

/// The coin that an attempt sends along, as a word.
pub fn coin(value: u128) -> U256 {
    U256::from(value)
}

//! Random attempts, each in the model's words and as the transaction that says the same.

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
        AMOUNT_MAX,
        call::{self, Settlement, Signed},
        deal_id, escrow_domain, typed,
    },
    terms::Terms,
};
use rand::{RngExt, rngs::StdRng};

use crate::world::{STRANGER, World};

/// What is asked of a deal.
pub struct Attempt {
    pub action: Action,
    pub actor: Actor,
    pub calldata: Bytes,
    /// Coin sent along.
    pub value: u128,
}

struct Dice<'a> {
    world: &'a mut World,
    random: &'a mut StdRng,
    terms: &'a Terms,
    state: &'a DealState,
    deal: B256,
    now: u64,
}

impl Attempt {
    /// Mostly what the table allows and soundly, often not.
    pub async fn any(
        world: &mut World,
        random: &mut StdRng,
        terms: &Terms,
        state: &DealState,
        now: u64,
    ) -> Self {
        let deal = deal_id(terms).unwrap();
        let mut dice = Dice { world, random, terms, state, deal, now };
        let allowed: Vec<ActionKind> = ActionKind::ALL
            .into_iter()
            .filter(|kind| matches!(outcome(state.status, *kind), Outcome::Allowed { .. }))
            .collect();
        let kind = if allowed.is_empty() || dice.random.random_ratio(1, 3) {
            ActionKind::ALL[dice.random.random_range(0..ActionKind::ALL.len())]
        } else {
            allowed[dice.random.random_range(0..allowed.len())]
        };
        // What closes comes last often enough.
        let kind = match kind {
            ActionKind::Settle | ActionKind::Rule if dice.random.random_ratio(2, 3) => ActionKind::Dispute,
            ActionKind::Retract if dice.random.random_ratio(2, 3) => ActionKind::Fund,
            ActionKind::Reclaim if dice.random.random_ratio(1, 3) => ActionKind::Deliver,
            kind => kind,
        };
        dice.attempt(kind).await
    }
}

impl Dice<'_> {
    fn mostly(&mut self) -> bool {
        self.random.random_ratio(5, 6)
    }

    fn rarely(&mut self) -> bool {
        self.random.random_ratio(1, 12)
    }

    fn hash(&mut self) -> B256 {
        keccak256(self.random.random::<u64>().to_be_bytes())
    }

    fn someone(&mut self) -> Address {
        let stranger = self.world.chain.address(STRANGER);
        let all = [self.terms.buyer.address, self.terms.seller.address, self.terms.arbiter.address, stranger];
        all[self.random.random_range(0..all.len())]
    }

    fn either_party(&mut self) -> Address {
        if self.random.random() { self.terms.buyer.address } else { self.terms.seller.address }
    }

    fn total(&mut self) -> u128 {
        let amount = self.terms.amount;
        match self.random.random_range(0..12) {
            0 => amount,
            1 => (amount + 1).min(AMOUNT_MAX),
            2 => 0,
            3 => self.random.random_range(0..=amount),
            _ => self.random.random_range(0..=amount / 6 + 1).min(amount),
        }
    }

    fn digest(&self, message: &impl SolStruct) -> B256 {
        message.eip712_signing_hash(&escrow_domain(self.terms.escrow))
    }

    /// The account itself or the bearer of its signature; now and then somebody else, too late, forged or revoked.
    async fn authority(
        &mut self,
        natural: Address,
        digest: impl Fn(&Self, U40) -> B256,
    ) -> (Actor, Option<Signed>) {
        let account = if self.mostly() { natural } else { self.someone() };
        if self.random.random() {
            return (Actor::Caller(account), None);
        }
        let valid_until =
            if self.rarely() { self.now - 1 } else { self.now + self.random.random_range(0..50) };
        let digest = digest(self, U40::from(valid_until));
        let sound = self.mostly();
        if sound && self.rarely() {
            self.world.revoke(account, digest).await;
        }
        let (proof, signature) = self.world.sign(account, digest, sound);
        let actor = Actor::Bearer { caller: self.someone(), signer: account, proof, valid_until };
        (actor, Some(Signed { signer: account, valid_until, signature }))
    }

    fn consent(&mut self, party: Address, caller: Address, status: Status, digest: B256) -> (Consent, Bytes) {
        if caller == party && self.random.random() || self.rarely() {
            return (Consent::Unsigned, Bytes::new());
        }
        let sound = self.mostly();
        let (proof, signature) = self.world.sign(party, digest, sound);
        (Consent::Signed { proof, status }, signature)
    }

    async fn attempt(&mut self, kind: ActionKind) -> Attempt {
        let (terms, deal) = (self.terms, self.deal);
        let (buyer, seller) = (terms.buyer.address, terms.seller.address);
        let without_coin = |action, actor, calldata: Result<Bytes, _>| Attempt {
            action,
            actor,
            calldata: calldata.unwrap(),
            value: 0,
        };
        match kind {
            ActionKind::Fund => self.fund().await,
            ActionKind::Retract => {
                let caller = if self.mostly() { self.either_party() } else { self.someone() };
                without_coin(Action::Retract, Actor::Caller(caller), call::retract(terms))
            }
            ActionKind::Deliver => {
                let delivery = self.hash();
                let (actor, signed) = self
                    .authority(seller, |dice, until| {
                        dice.digest(&typed::Deliver { deal, delivery, validUntil: until })
                    })
                    .await;
                without_coin(
                    Action::Deliver { delivery },
                    actor,
                    call::deliver(terms, delivery, signed.as_ref()),
                )
            }
            ActionKind::Release => {
                let total = self.total();
                let message = typed::Release { deal, total: U88::from(total) };
                let (actor, signed) = self.authority(buyer, |dice, _| dice.digest(&message)).await;
                let signature = signed.map(|signed| signed.signature);
                without_coin(
                    Action::Release { total },
                    actor,
                    call::release(terms, total, signature.as_ref()),
                )
            }
            ActionKind::Refund => {
                let total = self.total();
                let message = typed::Refund { deal, total: U88::from(total) };
                let (actor, signed) = self.authority(seller, |dice, _| dice.digest(&message)).await;
                let signature = signed.map(|signed| signed.signature);
                without_coin(Action::Refund { total }, actor, call::refund(terms, total, signature.as_ref()))
            }
            ActionKind::Dispute => {
                let (evidence, party) = (self.hash(), self.either_party());
                let (actor, signed) = self
                    .authority(party, |dice, until| {
                        dice.digest(&typed::Dispute { deal, evidence, validUntil: until })
                    })
                    .await;
                without_coin(
                    Action::Dispute { evidence },
                    actor,
                    call::dispute(terms, evidence, signed.as_ref()),
                )
            }
            ActionKind::Evidence => {
                let (evidence, party) = (self.hash(), self.either_party());
                let length = if self.rarely() { 257 } else { self.random.random_range(0..=256) };
                let uri = "x".repeat(length);
                let (actor, signed) = self
                    .authority(party, |dice, until| {
                        dice.digest(&typed::Evidence { deal, evidence, uri: uri.clone(), validUntil: until })
                    })
                    .await;
                let calldata = call::evidence(terms, evidence, uri.clone(), signed.as_ref());
                without_coin(Action::Evidence { evidence, uri }, actor, calldata)
            }
            ActionKind::Reclaim => {
                without_coin(Action::Reclaim, Actor::Caller(self.someone()), call::reclaim(terms))
            }
            ActionKind::Claim => {
                without_coin(Action::Claim, Actor::Caller(self.someone()), call::claim(terms))
            }
            ActionKind::Lapse => {
                without_coin(Action::Lapse, Actor::Caller(self.someone()), call::lapse(terms))
            }
            ActionKind::Rule => {
                let caller = if self.random.random() { terms.arbiter.address } else { self.someone() };
                let share = self.random.random_range(0..=10_001);
                without_coin(Action::Rule { share }, Actor::Caller(caller), call::rule(terms, share))
            }
            ActionKind::Settle => self.settle(),
        }
    }

    async fn fund(&mut self) -> Attempt {
        let (terms, deal, buyer, seller) =
            (self.terms, self.deal, self.terms.buyer.address, self.terms.seller.address);
        let (actor, signed) =
            self.authority(buyer, |dice, until| dice.digest(&typed::Fund { deal, validUntil: until })).await;
        let (consent, signature) = self.consent(seller, actor.caller(), Status::None, deal);
        let due: u128 = call::fund_value(terms).to();
        let value = if self.rarely() { due + 1 } else { due };
        let enough = self.world.balance(terms, buyer).await >= U256::from(terms.amount);
        let calldata = match &signed {
            None => call::fund(terms, signature),
            Some(signed) => call::fund_by_sig(terms, signature, signed),
        };
        let action =
            Action::Fund { seller: consent, sent: value, received: Some(terms.amount).filter(|_| enough) };
        Attempt { action, actor, calldata: calldata.unwrap(), value }
    }

    fn settle(&mut self) -> Attempt {
        let (terms, deal) = (self.terms, self.deal);
        let seller_total = self.total();
        let context = self.world.context(terms, deal, self.now);
        let accepted = if self.state.status == Status::Disputed { context.rulings } else { 0 };
        let rulings = if self.mostly() { accepted } else { 1 - accepted };
        let valid_until =
            if self.rarely() { self.now - 1 } else { self.now + self.random.random_range(0..50) };
        let caller = self.someone();
        let mut offer = |party: Address| {
            let status =
                if self.mostly() { self.state.status } else { Status::ALL[self.random.random_range(0..5)] };
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

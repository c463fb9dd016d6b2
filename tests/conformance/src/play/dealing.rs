//! The steps of a deal.

use alloy::primitives::B256;
use protocol::{
    chain::Address,
    deal::{self, Action, Actor, Consent, Payee, Proof, Status, Stopped},
    refusal::Refused,
};

use super::{Play, same, same_refusal, word};
use crate::{
    chain::{Chain, Events},
    history::Difference,
    words::{Act, Amount, How, Outcome, Paid, Who},
};

impl<C: Chain> Play<'_, C> {
    fn proof(
        &mut self,
        signer: Address,
        how: How,
        digest: B256,
        revokes: &mut Vec<(Address, B256)>,
    ) -> Proof {
        let known = self.revoked.contains(&(signer, digest));
        match how {
            How::Forged => Proof::Invalid,
            How::Valid if !known => Proof::Valid,
            _ => {
                if !known {
                    self.revoked.insert((signer, digest));
                    revokes.push((signer, digest));
                }
                Proof::Revoked { digest }
            }
        }
    }

    /// An action in the model's words, and what has to be revoked for it.
    fn deal_action(&mut self, which: usize, act: &Act) -> (Action, Actor, Vec<(Address, B256)>) {
        let cap = self.chain.limits().cap;
        let mut revokes = Vec::new();
        let terms = self.deals[which].terms.clone();
        let deal = self.deals[which].deal;
        let (action, by) = match act {
            Act::Fund { by, seller, more } => {
                let seller = match seller {
                    None => Consent::Unsigned,
                    Some(how) => {
                        let proof = if *how == How::Valid { Proof::Valid } else { Proof::Invalid };
                        Consent::Signed { proof, status: Status::None }
                    }
                };
                let due = if terms.asset.token.is_none() { terms.amount } else { 0 };
                let sent = due + u128::from(*more);
                // What a token does is an input of the model.
                let had = self.chain.balance(terms.buyer.address, &terms.asset);
                let received = Some(terms.amount).filter(|amount| *amount <= had);
                (Action::Fund { seller, sent, received }, by)
            }
            Act::Retract { by } => (Action::Retract, by),
            Act::Deliver { by, delivery } => (Action::Deliver { delivery: word(*delivery) }, by),
            Act::Release { by, total } => (Action::Release { total: total.on(cap) }, by),
            Act::Refund { by, total } => (Action::Refund { total: total.on(cap) }, by),
            Act::Dispute { by, evidence } => (Action::Dispute { evidence: word(*evidence) }, by),
            Act::Evidence { by, evidence, uri } => {
                let uri = "x".repeat(usize::from(*uri));
                (Action::Evidence { evidence: word(*evidence), uri }, by)
            }
            Act::Reclaim { by } => (Action::Reclaim, by),
            Act::Claim { by } => (Action::Claim, by),
            Act::Settle { by, seller_total, rulings, valid_until, buyer, seller } => {
                let none = Consent::Unsigned;
                let mut action = Action::Settle {
                    seller_total: seller_total.on(cap),
                    rulings: *rulings,
                    valid_until: self.at(*valid_until),
                    buyer: none,
                    seller: none,
                };
                let offers = [(terms.buyer, buyer), (terms.seller, seller)].map(|(party, offered)| {
                    let Some(offered) = offered else { return none };
                    let status = offered.status.into();
                    let digest = self.chain.digest(&terms, deal, &action, 0, status);
                    let proof = self.proof(party.address, offered.how, digest, &mut revokes);
                    Consent::Signed { proof, status }
                });
                if let Action::Settle { buyer, seller, .. } = &mut action {
                    [*buyer, *seller] = offers;
                }
                (action, by)
            }
            Act::Rule { by, share } => (Action::Rule { share: *share }, by),
            Act::Lapse { by } => (Action::Lapse, by),
            other => panic!("{other:?} is nothing that is asked of a deal"),
        };
        let caller = self.address(which, by.caller);
        let actor = match by.signed {
            None => Actor::Caller(caller),
            Some(signed) => {
                let (signer, valid_until) = (self.address(which, signed.signer), self.at(signed.valid_until));
                let digest = self.chain.digest(&terms, deal, &action, valid_until, Status::None);
                let proof = self.proof(signer, signed.how, digest, &mut revokes);
                Actor::Bearer { caller, signer, proof, valid_until }
            }
        };
        (action, actor, revokes)
    }

    pub(super) fn balances(&mut self, which: usize) -> [u128; 2] {
        let terms = self.deals[which].terms.clone();
        [terms.seller, terms.buyer].map(|party| self.chain.balance(party.address, &terms.asset))
    }

    pub(super) fn deal_step(&mut self, which: usize, act: &Act, now: u64) -> Result<Outcome, Difference> {
        let (action, actor, revokes) = self.deal_action(which, act);
        for (place, (signer, digest)) in (1..).zip(revokes.iter().rev()) {
            let time = now - u64::try_from(revokes.len()).unwrap() + place - 1;
            self.chain.revoke(*signer, *digest, time);
        }
        let context = self.context(which, now);
        let live = self.deals[which].clone();
        let model = (self.rules.deal)(&live.terms, &live.state, &action, actor, &context);
        let had = self.balances(which);
        let told = self.chain.perform(live.subject(&self.registry), &action, actor, now);
        let label = format!("{action:?} by {actor:?} at {now} in {:?} of {:?}", live.state, live.terms);
        match (model, told) {
            (Ok(moved), Ok(events)) => {
                self.tally.count(format!("{:?}", action.kind()));
                let payouts = moved.payouts.clone();
                let expected = Events { deal: self.take(which, moved, now), case: Vec::new() };
                same(&label, "events", &expected, &events)?;
                let funds = matches!(action, Action::Fund { .. });
                let paid = if funds { None } else { Some(self.paid(&label, which, had, &payouts)?) };
                Ok(self.outcome(which, &events, paid, false))
            }
            (Err(refusal), Err(told)) => {
                self.tally.count(refusal.name());
                same_refusal(&label, Refused::Escrow(refusal), &told)?;
                Ok(Outcome { refused: Some(told.name), ..Outcome::default() })
            }
            (model, told) => Err(format!("{label}: the model says {model:?}, the chain {told:?}")),
        }
    }

    /// What the parties were paid, by their balances.
    pub(super) fn paid(
        &mut self,
        label: &str,
        which: usize,
        had: [u128; 2],
        payouts: &[deal::Payout],
    ) -> Result<Paid, Difference> {
        let cap = self.chain.limits().cap;
        let to = |payee| {
            let received = payouts.iter().filter(|payout| payout.to == payee && !payout.credited);
            received.map(|payout| payout.amount).sum::<u128>()
        };
        let expected = [to(Payee::Seller), to(Payee::Buyer)];
        let has = self.balances(which);
        let grown = [has[0].wrapping_sub(had[0]), has[1].wrapping_sub(had[1])];
        same(label, "payouts to seller and buyer", &expected, &grown)?;
        Ok(Paid { seller: Amount::of(grown[0], cap), buyer: Amount::of(grown[1], cap) })
    }

    /// Several steps in one transaction.
    pub(super) fn batch(
        &mut self,
        caller: Who,
        steps: &[(usize, Act)],
        more: u8,
        now: u64,
    ) -> Result<Outcome, Difference> {
        let calls: Vec<(usize, Action, Actor)> = steps
            .iter()
            .map(|(which, act)| {
                let (action, actor, revokes) = self.deal_action(*which, act);
                assert!(revokes.is_empty(), "nothing is revoked for a batch");
                (*which, action, actor)
            })
            .collect();
        let coin = |action: &Action| match action {
            Action::Fund { sent, .. } => *sent,
            _ => 0,
        };
        let sent = calls.iter().map(|(_, action, _)| coin(action)).sum::<u128>() + u128::from(more);
        let contexts: Vec<_> = calls.iter().map(|(which, ..)| self.context(*which, now)).collect();
        let model_calls: Vec<_> = calls
            .iter()
            .zip(&contexts)
            .map(|((which, action, actor), context)| deal::Call {
                terms: &self.deals[*which].terms,
                state: &self.deals[*which].state,
                action,
                actor: *actor,
                context,
            })
            .collect();
        let model = deal::batch(sent, &model_calls);
        let asked: Vec<_> = calls
            .iter()
            .map(|(which, action, actor)| (self.deals[*which].terms.clone(), action.clone(), *actor))
            .collect();
        let told = self.chain.batch(&asked, sent, now);
        let label = format!("a batch by {caller} with {sent}: {calls:?} at {now} in {:?}", self.deals);
        match (model, told) {
            (Ok(moved), Ok(events)) => {
                self.tally.count("batch");
                let mut expected = Events::default();
                for ((which, ..), one) in calls.iter().zip(moved) {
                    expected.deal.extend(self.take(*which, one, now));
                }
                same(&label, "events", &expected, &events)?;
                Ok(self.outcome(calls[0].0, &events, None, false))
            }
            (Err(Stopped::NotPayable), Err(told)) => {
                self.tally.count("NotPayable");
                same(&label, "refusal", &"NotPayable", &told.name.as_str())?;
                Ok(Outcome { refused: Some(told.name), ..Outcome::default() })
            }
            (Err(Stopped::Refused(refusal)), Err(told)) => {
                self.tally.count(format!("batch: {}", refusal.name()));
                same_refusal(&label, Refused::Escrow(refusal), &told)?;
                Ok(Outcome { refused: Some(told.name), ..Outcome::default() })
            }
            (model, told) => Err(format!("{label}: the model says {model:?}, the chain {told:?}")),
        }
    }
}

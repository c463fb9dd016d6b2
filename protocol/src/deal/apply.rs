//! The one function by which a deal moves.

use alloy::primitives::B256;

use super::{
    action::{Action, Actor, Consent, Proof},
    refusal::Refusal,
    share::{self, WHOLE},
    state::{DealState, Status},
    table::{self, Outcome, Who},
    validity::{self, LONGEST_URI},
};
use crate::{chain::Address, terms::Terms, wire::feed::EventBody};

/// What the world looks like at the moment of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The deal's id: [`crate::chain::deal_id`] of the terms.
    pub deal: B256,
    /// Unix seconds of the block.
    pub now: u64,
    /// The largest amount the chain's escrow takes: [`crate::chain::amount_cap`].
    pub cap: u128,
    /// How many rulings the arbiter says it has accepted for the deal; read in a dispute alone.
    pub rulings: u8,
    /// Whether a payment to the buyer arrives; what does not is owed as credit.
    pub buyer_receives: bool,
    /// The same of the seller.
    pub seller_receives: bool,
}

/// What an action does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The deal afterwards. A chain may forget one that closed after its `fund_by`.
    pub state: DealState,
    /// The one event of the transition. Payments that fail add one `Credited` each.
    pub event: EventBody,
    /// What is paid, in order; at most one to each party, none of zero.
    pub payouts: Vec<Payout>,
}

/// A payment out of a deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payout {
    /// To whom.
    pub to: Payee,
    /// In the asset's smallest unit, above zero.
    pub amount: u128,
    /// It could not be received and is owed as credit, for `withdraw`.
    pub credited: bool,
}

/// Who is paid out of a deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payee {
    /// The buyer.
    Buyer,
    /// The seller.
    Seller,
}

/// Moves a deal, or says why not.
///
/// # Errors
/// The first refusal in the order terms, state, time, authority, amount, intake; within a class in the order in which
/// [`Refusal`] lists them.
pub fn apply(
    terms: &Terms,
    state: &DealState,
    action: &Action,
    actor: Actor,
    context: &Context,
) -> Result<Transition, Refusal> {
    let deal = Attempt { terms, state, action, actor, context };
    deal.check_terms()?;
    let by = deal.check_state()?;
    deal.check_signature_time()?;
    deal.check_authority(by)?;
    deal.take_effect()
}

struct Attempt<'a> {
    terms: &'a Terms,
    state: &'a DealState,
    action: &'a Action,
    actor: Actor,
    context: &'a Context,
}

impl Attempt<'_> {
    fn check_terms(&self) -> Result<(), Refusal> {
        match self.action {
            Action::Fund { .. } => validity::validate(self.terms, self.context.now, self.context.cap),
            Action::Rule { share } if *share > WHOLE => Err(Refusal::ShareOutOfRange),
            _ => Ok(()),
        }
    }

    /// State, then the window of the state.
    fn check_state(&self) -> Result<Who, Refusal> {
        let status = self.state.status_at(self.terms, self.context.now);
        let kind = self.action.kind();
        if self.terms.metered && status.is_open() && table::never_metered(kind) {
            return Err(Refusal::MeteredDeal);
        }
        let (by, when) = match table::outcome(status, kind) {
            Outcome::Refused(refusal) => return Err(refusal),
            Outcome::Allowed { by, when, .. } => (by, when),
        };
        if let Action::Settle { rulings, .. } = self.action {
            let accepted = if status == Status::Disputed { self.context.rulings } else { 0 };
            if *rulings != accepted {
                return Err(Refusal::StateChanged);
            }
        }
        when.check(self.terms, self.state, self.context.now)?;
        Ok(by)
    }

    fn check_signature_time(&self) -> Result<(), Refusal> {
        let valid_until = match (self.action, self.actor) {
            (Action::Settle { valid_until, .. }, _) => *valid_until,
            (Action::Fund { .. } | Action::Deliver { .. }, Actor::Bearer { valid_until, .. })
            | (Action::Dispute { .. } | Action::Evidence { .. }, Actor::Bearer { valid_until, .. }) => {
                valid_until
            }
            _ => return Ok(()),
        };
        if self.context.now > valid_until { Err(Refusal::SignatureExpired { valid_until }) } else { Ok(()) }
    }

    fn check_authority(&self, by: Who) -> Result<(), Refusal> {
        let (buyer, seller) = (self.terms.buyer.address, self.terms.seller.address);
        match by {
            Who::Buyer => self.require(buyer, Refusal::NotBuyer)?,
            Who::Seller => self.require(seller, Refusal::NotSeller)?,
            Who::Party => {
                let party = self.actor.account();
                if party != buyer && party != seller {
                    return Err(Refusal::NotParty);
                }
                self.require(party, Refusal::NotParty)?;
            }
            Who::PartyItself => match self.actor {
                Actor::Caller(caller) if caller == buyer || caller == seller => {}
                _ => return Err(Refusal::NotParty),
            },
            Who::Arbiter => match self.actor {
                Actor::Caller(caller) if caller == self.terms.arbiter.address => {}
                _ => return Err(Refusal::NotArbiter),
            },
            Who::BothParties | Who::Anyone => {}
        }
        match self.action {
            Action::Fund { seller: consent, .. } => self.consent(seller, consent),
            Action::Settle { buyer: of_buyer, seller: of_seller, .. } => {
                self.consent_to_settle(buyer, of_buyer)?;
                self.consent_to_settle(seller, of_seller)
            }
            _ => Ok(()),
        }
    }

    fn require(&self, account: Address, otherwise: Refusal) -> Result<(), Refusal> {
        match self.actor {
            Actor::Caller(caller) if caller == account => Ok(()),
            Actor::Caller(_) => Err(otherwise),
            // The seller has already served for a voucher: it cannot be taken back.
            Actor::Bearer { signer, proof: Proof::Revoked { .. }, .. }
                if signer == account
                    && self.terms.metered
                    && matches!(self.action, Action::Release { .. }) =>
            {
                Ok(())
            }
            Actor::Bearer { signer, proof, .. } if signer == account => check_proof(account, proof),
            Actor::Bearer { .. } => Err(Refusal::InvalidSignature { signer: account }),
        }
    }

    /// A party that calls agrees by that, whatever else it hands in.
    fn consent(&self, account: Address, consent: &Consent) -> Result<(), Refusal> {
        match consent {
            _ if self.actor.caller() == account => Ok(()),
            Consent::Unsigned => Err(Refusal::InvalidSignature { signer: account }),
            Consent::Signed { proof, .. } => check_proof(account, *proof),
        }
    }

    fn consent_to_settle(&self, account: Address, consent: &Consent) -> Result<(), Refusal> {
        match consent {
            Consent::Signed { status, .. } if *status != self.state.status => {
                self.consent(account, &Consent::Unsigned)
            }
            _ => self.consent(account, consent),
        }
    }

    fn take_effect(&self) -> Result<Transition, Refusal> {
        let (deal, state, terms) = (self.context.deal, self.state, self.terms);
        match self.action {
            Action::Fund { sent, received, .. } => {
                self.check_intake(*sent, *received)?;
                let state =
                    DealState { status: Status::Funded, funded_at: self.context.now, ..DealState::EMPTY };
                Ok(self.moved(state, |_| EventBody::Funded { deal, terms: terms.clone() }))
            }
            Action::Retract => Ok(Transition {
                state: DealState { status: Status::Closed, ..DealState::EMPTY },
                event: EventBody::Retracted { deal, by: self.actor.account() },
                payouts: Vec::new(),
            }),
            Action::Deliver { delivery } => {
                let delivered = DealState { status: Status::Delivered, since: self.context.now, ..*state };
                Ok(self.moved(delivered, |after| EventBody::Delivered {
                    deal,
                    delivery: *delivery,
                    count: after.count,
                }))
            }
            Action::Release { total } => {
                let released = self.concede(*total, state.released, state.refunded)?;
                Ok(self.moved(DealState { released, ..*state }, |after| EventBody::Released {
                    deal,
                    released,
                    count: after.count,
                }))
            }
            Action::Refund { total } => {
                let refunded = self.concede(*total, state.refunded, state.released)?;
                Ok(self.moved(DealState { refunded, ..*state }, |after| EventBody::Refunded {
                    deal,
                    refunded,
                    count: after.count,
                }))
            }
            Action::Dispute { evidence } => {
                let disputed = DealState { status: Status::Disputed, since: self.context.now, ..*state };
                Ok(self.moved(disputed, |after| EventBody::Disputed {
                    deal,
                    by: self.actor.account(),
                    evidence: *evidence,
                    count: after.count,
                }))
            }
            Action::Evidence { evidence, uri } => {
                if uri.len() > LONGEST_URI {
                    let length = u64::try_from(uri.len()).unwrap_or(u64::MAX);
                    return Err(Refusal::UriTooLong { length });
                }
                Ok(self.moved(*state, |after| EventBody::Evidence {
                    deal,
                    by: self.actor.account(),
                    evidence: *evidence,
                    uri: uri.clone(),
                    count: after.count,
                }))
            }
            Action::Reclaim => Ok(self.conclude(state.released, |after| EventBody::Reclaimed {
                deal,
                refunded: after.refunded,
                count: after.count,
            })),
            Action::Claim => {
                let rest = terms.amount.saturating_sub(state.refunded);
                Ok(self.conclude(rest, |after| EventBody::Claimed {
                    deal,
                    released: after.released,
                    count: after.count,
                }))
            }
            Action::Settle { seller_total, .. } => {
                self.check_total(*seller_total)?;
                let total = share::clamp(*seller_total, terms.amount, state.released, state.refunded);
                Ok(self.conclude(total, |after| EventBody::Settled {
                    deal,
                    released: after.released,
                    refunded: after.refunded,
                    count: after.count,
                }))
            }
            Action::Rule { share } => Ok(self.conclude(self.share(*share), |after| EventBody::Ruled {
                deal,
                share: *share,
                released: after.released,
                refunded: after.refunded,
                count: after.count,
            })),
            Action::Lapse => Ok(self.conclude(self.share(terms.lapse_share), |after| EventBody::Lapsed {
                deal,
                released: after.released,
                refunded: after.refunded,
                count: after.count,
            })),
        }
    }

    fn check_intake(&self, sent: u128, received: Option<u128>) -> Result<(), Refusal> {
        let amount = self.terms.amount;
        let coin = self.terms.asset.token.is_none();
        let needed = if coin { amount } else { 0 };
        if sent != needed {
            return Err(Refusal::WrongValue { sent, needed });
        }
        match received {
            _ if coin => Ok(()),
            None => Err(Refusal::TransferFailed),
            Some(received) if received != amount => Err(Refusal::IntakeMismatch { received, needed: amount }),
            Some(_) => Ok(()),
        }
    }

    fn check_total(&self, total: u128) -> Result<(), Refusal> {
        let amount = self.terms.amount;
        if total > amount { Err(Refusal::TotalTooHigh { total, amount }) } else { Ok(()) }
    }

    /// The receiving side's new total: what is conceded, as far as the other side's total leaves it.
    fn concede(&self, total: u128, before: u128, other: u128) -> Result<u128, Refusal> {
        self.check_total(total)?;
        let total = total.min(self.terms.amount.saturating_sub(other));
        if total <= before { Err(Refusal::NothingMoves) } else { Ok(total) }
    }

    fn share(&self, share: u16) -> u128 {
        share::seller_total(share, self.terms.amount, self.state.released, self.state.refunded)
    }

    /// Closes at the seller's total, which lies between what it has and what the buyer left.
    fn conclude(&self, seller_total: u128, event: impl FnOnce(&DealState) -> EventBody) -> Transition {
        let refunded = self.terms.amount.saturating_sub(seller_total);
        self.moved(DealState { released: seller_total, refunded, ..*self.state }, event)
    }

    /// Counts the event, closes what is all paid, and pays what the totals grew by.
    fn moved(&self, mut after: DealState, event: impl FnOnce(&DealState) -> EventBody) -> Transition {
        after.count = after.count.wrapping_add(1);
        if after.remaining(self.terms) == 0 {
            after.status = Status::Closed;
            after.since = 0;
        }
        let to_seller = after.released.saturating_sub(self.state.released);
        let to_buyer = after.refunded.saturating_sub(self.state.refunded);
        let payouts = [
            Payout { to: Payee::Seller, amount: to_seller, credited: !self.context.seller_receives },
            Payout { to: Payee::Buyer, amount: to_buyer, credited: !self.context.buyer_receives },
        ];
        Transition {
            event: event(&after),
            state: after,
            payouts: payouts.into_iter().filter(|payout| payout.amount > 0).collect(),
        }
    }
}

const fn check_proof(signer: Address, proof: Proof) -> Result<(), Refusal> {
    match proof {
        Proof::Valid => Ok(()),
        Proof::Invalid => Err(Refusal::InvalidSignature { signer }),
        Proof::Revoked { digest } => Err(Refusal::SignatureRevoked { digest }),
    }
}

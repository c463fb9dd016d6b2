//! From what somebody does to a transaction, and to what came of it.

use alloy::primitives::B256;
use protocol::{
    arbitration::{Pool, case},
    chain::{AccountId, Address},
    deal::{Action, Actor, Consent, DealState, Proof, Status},
    solana::{
        self, Instruction, Line, Pubkey,
        call::{self, Bearer, Case, Deal, Funding, Hearing, InEffect, Settlement, Voting},
    },
    terms::Terms,
    wire::feed::EventBody,
};
use solana_sdk::signature::Keypair;
use svm::{TOKEN, key};

use super::{
    COIN, SIGNATURES_AT, Solana,
    keys::{BLANK, Hand, KEYRING, named, pubkey, signer},
};
use crate::{
    chain::{Chain as _, Events, Refusal, Subject, Told},
    words::Who,
};

pub(super) fn number(amount: u128) -> u64 {
    u64::try_from(amount).unwrap()
}

pub(super) const fn of_case(event: &EventBody) -> bool {
    matches!(
        event,
        EventBody::CaseOpened { .. }
            | EventBody::TargetMoved { .. }
            | EventBody::JuryDrawn { .. }
            | EventBody::BallotCast { .. }
            | EventBody::BallotsCounted { .. }
            | EventBody::RulingAccepted { .. }
            | EventBody::Appealed { .. }
            | EventBody::RulingExecuted { .. }
    )
}

/// Asks for as many compute units as a transaction can have.
pub(super) fn compute_units() -> Instruction {
    const UNITS: u32 = 1_400_000;
    let data = [&[2], UNITS.to_le_bytes().as_slice()].concat();
    let program_id = solana_sdk::pubkey!("ComputeBudget111111111111111111111111111111");
    Instruction { program_id: Pubkey::new_from_array(program_id.to_bytes()), accounts: Vec::new(), data }
}

/// What is signed for an action: an offer to settle for a status, the others until a time.
pub(super) fn line(deal: B256, action: &Action, valid_until: u64, status: Status) -> Line {
    match action {
        Action::Fund { .. } => Line::fund(deal, valid_until),
        Action::Deliver { delivery } => Line::deliver(deal, *delivery, valid_until),
        Action::Release { total } => Line::release(deal, number(*total)),
        Action::Refund { total } => Line::refund(deal, number(*total)),
        Action::Dispute { evidence } => Line::dispute(deal, *evidence, valid_until),
        Action::Evidence { evidence, uri } => Line::evidence(deal, *evidence, uri, valid_until),
        Action::Settle { seller_total, rulings, valid_until, .. } => {
            Line::settle(deal, number(*seller_total), status as u8, *rulings, *valid_until)
        }
        other => panic!("nobody signs {other:?}"),
    }
}

pub(super) fn in_effect(pool: &Pool, funded_at: u64) -> InEffect {
    let times: Vec<u64> = pool.lists.iter().map(|list| list.effective_at).collect();
    InEffect::of(&times, funded_at)
}

pub(super) fn ordinal(index: usize) -> u8 {
    u8::try_from(index).unwrap()
}

impl Solana {
    /// Whether the deaf are: an account that has all the coin there can be takes no more.
    pub(super) fn set_deaf(&mut self, deaf: bool) {
        for account in [Who::DeafBuyer, Who::DeafSeller].map(named) {
            let mut there = self.svm.account(&account).unwrap();
            there.lamports = if deaf { u64::MAX } else { COIN };
            self.svm.set_account(&account, there);
        }
    }

    pub(super) fn bank(&self) -> Pubkey {
        key(&self.svm.payer)
    }

    pub(super) fn deal(&self, terms: &Terms) -> Deal {
        Deal::new(terms, TOKEN).unwrap()
    }

    /// Sends instructions, the first Ed25519 one signed by these hands, in a slot of its own.
    pub(super) fn send(
        &mut self,
        own: Vec<Instruction>,
        hands: &[Hand],
        fund_by: Option<u64>,
        time: u64,
    ) -> Told {
        assert!(time > self.now(), "blocks have times that grow");
        let mut instructions = vec![compute_units()];
        instructions.extend(own);
        if !hands.is_empty() {
            let brought: Vec<_> = hands.iter().map(Hand::brought).collect();
            instructions[usize::from(SIGNATURES_AT)] = call::ed25519(&brought);
        }
        self.svm.set_time(time);
        let signers: Vec<&Keypair> = KEYRING.iter().collect();
        let told = self.svm.send(&instructions, &signers);
        self.svm.next_slot();
        match told {
            Ok(sent) => {
                let (case, deal) = sent.events.into_iter().partition(of_case);
                Ok(Events { deal, case })
            }
            Err(failure) => {
                let deal = fund_by.map(|fund_by| (fund_by, time));
                let name = failure.refusal(deal).map_or_else(|| format!("{failure:?}"), str::to_owned);
                Err(Refusal { name, whole: None })
            }
        }
    }

    pub(super) fn must(&mut self, own: Vec<Instruction>) {
        let time = self.now() + 1;
        self.send(own, &[], None, time).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    }

    pub(super) fn rent(&self, size: usize) -> u64 {
        self.svm.vm.minimum_balance_for_rent_exemption(size)
    }

    pub(super) fn associated(&self, owner: Address) -> Pubkey {
        solana::associated_token(&pubkey(owner), &self.mint, &TOKEN)
    }

    pub(super) fn fund(
        &self,
        deal: &Deal,
        terms: &Terms,
        actor: Actor,
        seller: &Consent,
        bearer: Option<Bearer>,
        hands: &mut Vec<Hand>,
    ) -> Vec<Instruction> {
        let caller = actor.caller();
        if let Consent::Signed { proof, .. } = seller {
            let pair = signer(pubkey(terms.seller.address), *proof != Proof::Invalid);
            hands.push(Hand { pair, line: Line::terms(deal.id) });
        }
        let funding = Funding {
            payer: self.bank(),
            buyer: bearer,
            seller: matches!(seller, Consent::Signed { .. }).then_some(BLANK),
            source: None,
        };
        let mut own = deal.fund(&funding, SIGNATURES_AT);
        // Who signs the transaction is who calls, and not who should.
        let (buyer, seller) = (pubkey(terms.buyer.address), pubkey(terms.seller.address));
        for meta in own.iter_mut().flat_map(|one| &mut one.accounts) {
            if meta.pubkey == buyer || meta.pubkey == seller {
                let pays = meta.pubkey == buyer && actor == Actor::Caller(terms.buyer.address);
                let agrees = meta.pubkey == seller && caller == terms.seller.address;
                meta.is_signer = pays || agrees;
            }
        }
        own
    }

    pub(super) fn settle(
        &self,
        deal: &Deal,
        terms: &Terms,
        caller: Pubkey,
        action: &Action,
        hands: &mut Vec<Hand>,
    ) -> Vec<Instruction> {
        let Action::Settle { seller_total, rulings, valid_until, buyer, seller } = action else {
            panic!("{action:?} is no offer to settle");
        };
        let mut word = |party: AccountId, consent: &Consent| {
            let Consent::Signed { proof, status } = consent else { return None };
            let pair = signer(pubkey(party.address), *proof != Proof::Invalid);
            hands.push(Hand { pair, line: line(deal.id, action, 0, *status) });
            Some(BLANK)
        };
        let (buyer, seller) = (word(terms.buyer, buyer), word(terms.seller, seller));
        let status = self.status(deal) as u8;
        let settlement = Settlement {
            seller_total: number(*seller_total),
            status,
            rulings: *rulings,
            valid_until: *valid_until,
            buyer,
            seller,
        };
        deal.settle(caller, &settlement, SIGNATURES_AT)
    }

    pub(super) fn status(&self, deal: &Deal) -> Status {
        self.state_at(&deal.address).status
    }

    pub(super) fn state_at(&self, account: &Pubkey) -> DealState {
        let account = self.svm.account(account).filter(|account| !account.data.is_empty());
        account.map_or(DealState::EMPTY, |account| {
            solana::deal_state(&solana::read_deal(&account.data).unwrap())
        })
    }

    /// Jury 0 or 1 of the present instance and the case's last, by how many the case had before; the next one's number
    /// where there is no such jury.
    pub(super) fn voting(case: &case::Case, jury: u8) -> Voting {
        let count = case.juries.len();
        let last = count.saturating_sub(1);
        let instance = case.juries.last().map(|last| last.instance);
        let found = case.juries.iter().rposition(|one| Some(one.instance) == instance && one.jury == jury);
        Voting { ordinal: ordinal(found.unwrap_or(count)), last: ordinal(last) }
    }

    pub(super) fn draw(&self, case: &Case<'_>, about: Subject<'_>) -> Instruction {
        let pools = &about.pools.0;
        let own = &pools[&about.terms.panel];
        match about.case.juries.len() {
            0 | 1 => {
                let funded_at = about.state.funded_at;
                let parent = pools.get(&own.book.parent);
                let parent = parent.map(|parent| (own.book.parent, in_effect(parent, funded_at)));
                case.draw(&Hearing { own: in_effect(own, funded_at), parent })
            }
            count => {
                let last = &about.case.juries[count - 1];
                let pool = if last.instance == 0 { about.terms.panel } else { own.book.parent };
                case.draw_later(ordinal(count - 1), pool, last.panel.map_or(0, |panel| panel.list))
            }
        }
    }

    pub(super) fn appeal(
        &self,
        case: &Case<'_>,
        about: Subject<'_>,
        actor: Actor,
        hands: &mut Vec<Hand>,
    ) -> Vec<Instruction> {
        let parent = about.pools.0[&about.terms.panel].book.parent;
        let shown = about.pools.0.get(&parent).map(|pool| in_effect(pool, about.state.funded_at));
        let bearer = match actor {
            Actor::Caller(_) => None,
            Actor::Bearer { signer: party, proof, valid_until, .. } => {
                let pair = signer(pubkey(party), proof != Proof::Invalid);
                hands.push(Hand { pair, line: Line::appeal(about.deal, valid_until) });
                Some(Bearer { signer: pubkey(party), valid_until, word: BLANK })
            }
        };
        let last = ordinal(about.case.juries.len().saturating_sub(1));
        let parent = (parent, shown.unwrap_or_default());
        case.appeal(self.bank(), pubkey(actor.caller()), last, parent, bearer.as_ref(), SIGNATURES_AT)
    }
}

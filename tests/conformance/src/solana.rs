//! The program in litesvm: real bytecode, real Ed25519 checks.

mod keys;
mod sending;

use alloy::primitives::B256;
use earnest_program::{ballots, state::Deal as DealAccount};
use protocol::{
    arbitration::case,
    chain::{AccountId, Address, AssetId},
    deal::{Action, Actor, DealState, Proof, Status},
    solana::{
        self, Line, Pubkey,
        call::{self, Bearer, Case},
    },
    terms::Terms,
    wire::feed::RuleBook,
};
use svm::{Svm, TOKEN, key};

use self::{
    keys::{BLANK, Hand, KEYRING, named, pubkey, signer},
    sending::{line, number, ordinal},
};
use crate::{
    chain::{Ballot, Chain, Kept, Limits, Subject, Told},
    words::Who,
};

/// The number of the one mint.
const MINT: u64 = 0;
/// What everybody has of the coin at first, in lamports.
const COIN: u64 = 1 << 62;
/// The Ed25519 instruction comes after the one that asks for compute units.
const SIGNATURES_AT: u8 = 1;

/// The program, with everybody's accounts.
#[derive(Clone)]
pub struct Solana {
    svm: Svm,
    mint: Pubkey,
}

impl Default for Solana {
    fn default() -> Self {
        let mut svm = Svm::start();
        let mint = svm.mint(MINT, TOKEN);
        for pair in KEYRING.iter() {
            svm.endow(&key(pair), COIN);
        }
        for who in [Who::Buyer, Who::DeafBuyer, Who::Seller, Who::DeafSeller] {
            svm.give_tokens(&named(who), &mint, TOKEN, 0);
        }
        svm.next_slot();
        let mut this = Self { svm, mint };
        this.set_deaf(true);
        this
    }
}

impl Chain for Solana {
    fn limits(&self) -> Limits {
        Limits {
            cap: solana::AMOUNT_MAX,
            coin: 1 << 60,
            stride: solana::STRIDE,
            forgets: false,
            purse: false,
            asks: false,
        }
    }

    fn escrow(&self) -> AccountId {
        AccountId { chain: solana::chain().unwrap(), address: solana::from_key(&solana::program()) }
    }

    fn pools(&self) -> AccountId {
        AccountId { chain: solana::chain().unwrap(), address: solana::from_key(&solana::arbiter()) }
    }

    fn token(&self) -> Address {
        solana::from_key(&self.mint)
    }

    fn address(&self, who: Who) -> Address {
        match who {
            Who::Nobody => solana::chain().unwrap().zero(),
            Who::Pools => self.pools().address,
            key => solana::from_key(&named(key)),
        }
    }

    fn now(&self) -> u64 {
        self.svm.now()
    }

    /// Transactions run in the slot after it.
    fn height(&self) -> u64 {
        self.svm.slot() - 1
    }

    fn mine(&mut self, blocks: u64) {
        self.svm.skip_slots(blocks);
    }

    fn hash(&mut self, height: u64) -> Option<B256> {
        self.svm.hash_for(height).map(B256::new)
    }

    fn endow(&mut self, tokens: u128) {
        for buyer in [Who::Buyer, Who::DeafBuyer] {
            let account = self.associated(self.address(buyer));
            self.svm.set_tokens(&account, number(tokens), Some(solana::allowance()));
        }
        let bank = self.bank();
        for account in KEYRING.iter().map(key).chain([bank]) {
            self.svm.endow(&account, COIN);
        }
    }

    fn balance(&mut self, account: Address, asset: &AssetId) -> u128 {
        match asset.token {
            None => self.svm.lamports(&pubkey(account)).into(),
            Some(_) => self.svm.tokens(&self.associated(account)).into(),
        }
    }

    /// The coin of a deal lies above the rent of its account, tokens lie in its vault.
    fn held(&mut self, deals: &[&Terms]) -> u128 {
        let of = |terms: &&Terms| {
            let deal = self.deal(terms);
            if deal.token.is_some() {
                return self.svm.tokens(&solana::vault_address(deal.id));
            }
            let lamports = self.svm.lamports(&deal.address);
            if lamports == 0 { 0 } else { lamports - self.rent(DealAccount::SIZE) }
        };
        deals.iter().map(of).map(u128::from).sum()
    }

    fn digest(&self, _terms: &Terms, deal: B256, action: &Action, valid_until: u64, status: Status) -> B256 {
        line(deal, action, valid_until, status).digest
    }

    fn revoke(&mut self, signer: Address, digest: B256, time: u64) {
        let revoke = call::revoke(self.bank(), pubkey(signer), digest);
        self.send(vec![revoke], &[], None, time).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    }

    fn perform(&mut self, about: Subject<'_>, action: &Action, actor: Actor, time: u64) -> Told {
        let terms = about.terms;
        let deal = self.deal(terms);
        let caller = pubkey(actor.caller());
        let mut hands = Vec::new();
        let bearer = match actor {
            Actor::Caller(_) => None,
            Actor::Bearer { signer: named, proof, valid_until, .. } => {
                let pair = signer(pubkey(named), proof != Proof::Invalid);
                hands.push(Hand { pair, line: line(deal.id, action, valid_until, Status::None) });
                Some(Bearer { signer: pubkey(named), valid_until, word: BLANK })
            }
        };
        let at = SIGNATURES_AT;
        let own = match action {
            Action::Fund { seller, .. } => self.fund(&deal, terms, actor, seller, bearer, &mut hands),
            Action::Retract => {
                let mut own = deal.retract(caller);
                // The rent is nobody's in these histories.
                own.accounts[0].pubkey = self.bank();
                vec![own]
            }
            Action::Deliver { delivery } => deal.deliver(caller, *delivery, bearer.as_ref(), at),
            Action::Release { total } => deal.release(caller, number(*total), bearer.as_ref(), at),
            Action::Refund { total } => deal.refund(caller, number(*total), bearer.as_ref(), at),
            Action::Dispute { evidence } => deal.dispute(caller, *evidence, bearer.as_ref(), at),
            Action::Evidence { evidence, uri } => {
                deal.evidence(caller, *evidence, uri.clone(), bearer.as_ref(), at)
            }
            Action::Reclaim => vec![deal.reclaim()],
            Action::Claim => vec![deal.claim()],
            Action::Settle { .. } => self.settle(&deal, terms, caller, action, &mut hands),
            Action::Rule { share } => vec![deal.rule(caller, *share)],
            Action::Lapse => vec![deal.lapse()],
        };
        let funds = matches!(action, Action::Fund { .. });
        if funds {
            self.set_deaf(false);
        }
        let told = self.send(own, &hands, Some(terms.fund_by), time);
        if funds {
            self.set_deaf(true);
        }
        told
    }

    fn hear(
        &mut self,
        about: Subject<'_>,
        action: &case::Action,
        ballots: &[Ballot],
        actor: Actor,
        time: u64,
    ) -> Told {
        use case::Action as A;
        let deal = self.deal(about.terms);
        let case = Case(&deal);
        let last = ordinal(about.case.juries.len().saturating_sub(1));
        let mut hands = Vec::new();
        let own = match action {
            A::Open => vec![case.open(self.bank())],
            A::Draw => vec![self.draw(&case, about)],
            A::OpenSecondJury => vec![case.open_second_jury(self.bank(), last)],
            A::Cast { jury, seat, share, reason } => {
                let juror = pubkey(actor.caller());
                vec![case.cast(Self::voting(about.case, *jury), juror, *seat, *share, *reason)]
            }
            A::Submit { jury, .. } => {
                let (instance, seed) = about
                    .case
                    .drawn(*jury)
                    .map_or((0, B256::ZERO), |(_, heard)| (heard.instance, heard.seed));
                let own = about.terms.panel;
                let pool = if instance == 0 { own } else { about.pools.0[&own].book.parent };
                let id = solana::case_id(pool, about.deal, instance, *jury, seed);
                let handed = ballots.iter().map(|ballot| {
                    let Ballot { seat, share, reason, signer: by, altered } = *ballot;
                    let said = if altered { share ^ 1 } else { share };
                    let pair = signer(pubkey(by), true);
                    hands.push(Hand { pair, line: Line::ballot(id, said, reason) });
                    call::Ballot { seat, share, reason, key: key(pair), signature: [0; 64] }
                });
                let handed: Vec<_> = handed.collect();
                case.submit(Self::voting(about.case, *jury), id, &handed, SIGNATURES_AT)
            }
            A::Conclude => {
                let second = about.case.juries.last().is_some_and(|jury| jury.jury != 0);
                vec![case.conclude(last - u8::from(second), last)]
            }
            A::Appeal => self.appeal(&case, about, actor, &mut hands),
            A::Execute => vec![case.execute(last)],
        };
        self.send(own, &hands, Some(about.terms.fund_by), time)
    }

    fn create_pool(&mut self, book: &RuleBook) {
        let book = solana::rule_book(book).unwrap();
        self.must(vec![call::create_pool(self.bank(), book)]);
    }

    fn publish(&mut self, pool: B256, keeper: Address, index: u32, members: &[Address]) {
        let keeper = pubkey(keeper);
        let members: Vec<Pubkey> = members.iter().copied().map(pubkey).collect();
        let mut start = 0;
        let mut own = vec![call::create_list(keeper, pool, index)];
        for chunk in members.chunks(call::LARGEST_CHUNK - 2) {
            own.push(call::add_members(keeper, pool, index, start, chunk.to_vec()));
            start += u32::try_from(chunk.len()).unwrap();
            // The bytes of a transaction are few, its seconds fewer: all but the last go out in one.
            self.svm.must(&std::mem::take(&mut own), &KEYRING.iter().collect::<Vec<_>>());
            self.svm.next_slot();
        }
        self.must(vec![call::publish_list(keeper, pool, index)]);
    }

    fn state_of(&mut self, _terms: &Terms, deal: B256) -> DealState {
        self.state_at(&solana::deal_address(deal))
    }

    fn case_of(&mut self, about: Subject<'_>) -> (Vec<Kept>, u8, [Vec<Address>; 2]) {
        let account = self.svm.account(&solana::deal_address(about.deal)).unwrap();
        let deal = solana::read_deal(&account.data).unwrap();
        let read = |ordinal: u8| {
            let account = self.svm.account(&solana::jury_address(about.deal, ordinal)).unwrap();
            solana::read_jury(&account.data).unwrap()
        };
        let juries: Vec<_> = (0..deal.juries).map(read).collect();
        let kept = juries.iter().map(|jury| Kept {
            stage: jury.stage,
            instance: jury.instance,
            jury: jury.jury,
            size: jury.size,
            appealable: jury.appealable != 0,
            list: jury.list_index,
            members: jury.members,
            ends_at: jury.ends_at,
            target: jury.target_slot,
            accepted_at: jury.accepted_at,
            share: jury.share,
            seed: B256::new(jury.seed),
            ballots: B256::new(ballots::word(&jury.votes)),
        });
        let instance = juries.last().map(|jury| jury.instance);
        let seats = [0, 1].map(|number| {
            let found = juries.iter().rfind(|jury| Some(jury.instance) == instance && jury.jury == number);
            found.map_or_else(Vec::new, |jury| jury.seated().iter().map(solana::from_key).collect())
        });
        (kept.collect(), deal.rulings, seats)
    }
}

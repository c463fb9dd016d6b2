//! The program in litesvm: real bytecode, real Ed25519 checks.

use std::{collections::BTreeMap, sync::LazyLock};

use alloy::primitives::B256;
use earnest_program::{ballots, state::Deal as DealAccount};
use protocol::{
    arbitration::{Pool, case},
    chain::{AccountId, Address, AssetId},
    deal::{Action, Actor, Consent, DealState, Proof, Status},
    solana::{
        self, Instruction, Line, Pubkey,
        call::{self, Bearer, Brought, Case, Deal, Funding, Hearing, InEffect, Settlement, Voting, Word},
    },
    terms::Terms,
    wire::feed::{EventBody, RuleBook},
};
use solana_sdk::signature::Keypair;
use svm::{Svm, TOKEN, key, keypair};

use crate::{
    chain::{Ballot, Chain, Events, Kept, Limits, Refusal, Subject, Told},
    words::Who,
};

/// The first of the members among the keys; those before it are named.
const MEMBERS: usize = 8;
const KEYS: usize = MEMBERS + 160;
/// The number of the one mint.
const MINT: u64 = 0;
/// What everybody has of the coin at first, in lamports.
const COIN: u64 = 1 << 62;
/// The Ed25519 instruction comes after the one that asks for compute units.
const SIGNATURES_AT: u8 = 1;

static KEYRING: LazyLock<Vec<Keypair>> = LazyLock::new(|| {
    let mut keys: Vec<_> = (0..u64::try_from(KEYS).unwrap()).map(keypair).collect();
    keys[MEMBERS..].sort_unstable_by_key(|pair| key(pair).to_bytes());
    keys
});
static BY_KEY: LazyLock<BTreeMap<[u8; 32], &'static Keypair>> =
    LazyLock::new(|| KEYRING.iter().map(|pair| (key(pair).to_bytes(), pair)).collect());

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

fn place(who: Who) -> usize {
    match who {
        Who::Buyer => 0,
        Who::Seller => 1,
        Who::Arbiter => 2,
        Who::Stranger => 3,
        Who::DeafSeller => 4,
        Who::DeafBuyer => 5,
        Who::Forger => 6,
        Who::Member(number) => MEMBERS + usize::from(number),
        other => panic!("{other} has no key"),
    }
}

fn named(who: Who) -> Pubkey {
    key(&KEYRING[place(who)])
}

fn pubkey(address: Address) -> Pubkey {
    Pubkey::new_from_array(address.solana().unwrap())
}

/// The account's own pair where it signs, else the forger's. Whoever has no key here cannot sign: that is a forgery.
fn signer(account: Pubkey, sound: bool) -> &'static Keypair {
    let own = BY_KEY.get(&account.to_bytes()).copied().filter(|_| sound);
    own.unwrap_or(&KEYRING[place(Who::Forger)])
}

/// Who signs an entry of the Ed25519 instruction, and what, where that is not what the instruction asks for.
struct Hand {
    pair: &'static Keypair,
    line: Line,
}

impl Hand {
    fn brought(&self) -> Brought {
        use solana_sdk::signature::Signer;
        let message = self.line.bytes();
        let signature = self.pair.sign_message(&message).into();
        Brought { key: key(self.pair), message, signature }
    }
}

/// In place of each signature, which [`Hand`] makes afterwards.
const BLANK: Word = Word::Signature([0; 64]);

fn number(amount: u128) -> u64 {
    u64::try_from(amount).unwrap()
}

const fn of_case(event: &EventBody) -> bool {
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
fn compute_units() -> Instruction {
    const UNITS: u32 = 1_400_000;
    let data = [&[2], UNITS.to_le_bytes().as_slice()].concat();
    let program_id = solana_sdk::pubkey!("ComputeBudget111111111111111111111111111111");
    Instruction { program_id: Pubkey::new_from_array(program_id.to_bytes()), accounts: Vec::new(), data }
}

/// What is signed for an action: an offer to settle for a status, the others until a time.
fn line(deal: B256, action: &Action, valid_until: u64, status: Status) -> Line {
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

fn in_effect(pool: &Pool, funded_at: u64) -> InEffect {
    let times: Vec<u64> = pool.lists.iter().map(|list| list.effective_at).collect();
    InEffect::of(&times, funded_at)
}

fn ordinal(index: usize) -> u8 {
    u8::try_from(index).unwrap()
}

impl Solana {
    /// Whether the deaf are: an account that has all the coin there can be takes no more.
    fn set_deaf(&mut self, deaf: bool) {
        for account in [Who::DeafBuyer, Who::DeafSeller].map(named) {
            let mut there = self.svm.account(&account).unwrap();
            there.lamports = if deaf { u64::MAX } else { COIN };
            self.svm.set_account(&account, there);
        }
    }

    fn bank(&self) -> Pubkey {
        key(&self.svm.payer)
    }

    fn deal(&self, terms: &Terms) -> Deal {
        Deal::new(terms, TOKEN).unwrap()
    }

    /// Sends instructions, the first Ed25519 one signed by these hands, in a slot of its own.
    fn send(&mut self, own: Vec<Instruction>, hands: &[Hand], fund_by: Option<u64>, time: u64) -> Told {
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

    fn must(&mut self, own: Vec<Instruction>) {
        let time = self.now() + 1;
        self.send(own, &[], None, time).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    }

    fn rent(&self, size: usize) -> u64 {
        self.svm.vm.minimum_balance_for_rent_exemption(size)
    }

    fn associated(&self, owner: Address) -> Pubkey {
        solana::associated_token(&pubkey(owner), &self.mint, &TOKEN)
    }

    fn fund(
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

    fn settle(
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

    fn status(&self, deal: &Deal) -> Status {
        self.state_at(&deal.address).status
    }

    fn state_at(&self, account: &Pubkey) -> DealState {
        let account = self.svm.account(account).filter(|account| !account.data.is_empty());
        account.map_or(DealState::EMPTY, |account| {
            solana::deal_state(&solana::read_deal(&account.data).unwrap())
        })
    }

    /// Jury 0 or 1 of the present instance and the case's last, by how many the case had before; the next one's number
    /// where there is no such jury.
    fn voting(case: &case::Case, jury: u8) -> Voting {
        let count = case.juries.len();
        let last = count.saturating_sub(1);
        let instance = case.juries.last().map(|last| last.instance);
        let found = case.juries.iter().rposition(|one| Some(one.instance) == instance && one.jury == jury);
        Voting { ordinal: ordinal(found.unwrap_or(count)), last: ordinal(last) }
    }

    fn draw(&self, case: &Case<'_>, about: Subject<'_>) -> Instruction {
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

    fn appeal(
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

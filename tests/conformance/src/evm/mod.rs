//! The contracts' bytecode on an EVM: in this process ([`Machine`]), or on a real node ([`Node`]).

mod ground;
mod machine;
mod node;

use std::{collections::BTreeMap, sync::LazyLock};

use alloy::{
    primitives::{
        Address, B256, Bytes, Log, U256,
        aliases::{U40, U88},
        bytes, keccak256,
    },
    signers::{SignerSync, local::PrivateKeySigner},
    sol_types::{SolCall, SolStruct},
};
use protocol::{
    arbitration::case,
    chain::{self, AccountId, AssetId, ChainId},
    deal::{Action, Actor, Consent, DealState, Proof, Status},
    evm::{
        AMOUNT_MAX, STRIDE, appeal_digest, ballot_digest,
        call::{self, Settlement, Signed},
        case_id, decode_event, decode_refusal,
        escrow::Escrow,
        escrow_domain,
        pools::ArbitrationPools::{self, caseOfCall, juryOfCall, rulingsCall, storePageCall},
        typed,
    },
    terms::Terms,
    wire::{feed::RuleBook, intent::SignedBallot},
};

pub use ground::{Call, Ground};
pub use machine::Machine;
pub use node::Node;

use crate::{
    chain::{Ballot, Chain, Events, Kept, Limits, Refusal, Subject, Told},
    words::Who,
};

alloy::sol!(TestToken, "../../protocol/abi/TestToken.json");

const CHAIN: ChainId = ChainId::Eip155(31_337);
/// The first of the members among the keys; those before it are named.
const MEMBERS: usize = 8;
const KEYS: usize = MEMBERS + 160;

static KEYRING: LazyLock<Vec<PrivateKeySigner>> = LazyLock::new(|| {
    let mut keys: Vec<_> =
        (0..KEYS).map(|n| PrivateKeySigner::from_bytes(&keccak256(n.to_be_bytes())).unwrap()).collect();
    keys[MEMBERS..].sort_unstable_by_key(PrivateKeySigner::address);
    keys
});
static BY_ADDRESS: LazyLock<BTreeMap<Address, &'static PrivateKeySigner>> =
    LazyLock::new(|| KEYRING.iter().map(|key| (key.address(), key)).collect());

/// An arbiter contract that answers every question with 1.
const COURT: Address = Address::repeat_byte(0xc0);
const BUYERS: [Who; 2] = [Who::Buyer, Who::DeafBuyer];

/// The contracts on an EVM.
#[derive(Clone, Debug)]
pub struct Evm<G> {
    ground: G,
    escrow: AccountId,
    pools: AccountId,
    token: Address,
}

impl Evm<Machine> {
    pub fn in_process() -> Self {
        Self::of(Machine::default())
    }
}

impl Evm<Node> {
    pub fn on_a_node() -> Self {
        Self::of(Node::default())
    }
}

/// The committed bytecode, or what forge made in the folder that `EARNEST_CONTRACTS_OUT` names.
fn bytecode(contract: &str, committed: &Bytes) -> Bytes {
    let Ok(folder) = std::env::var("EARNEST_CONTRACTS_OUT") else { return committed.clone() };
    let path = format!("{folder}/{contract}.sol/{contract}.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["bytecode"]["object"].as_str().unwrap().parse().unwrap()
}

fn evm(address: chain::Address) -> Address {
    address.evm().unwrap()
}

/// r, s, v with v 27 or 28. Whoever has no key here cannot sign: that is a forgery.
fn signature(signer: Address, sound: bool, digest: B256) -> Bytes {
    let key = BY_ADDRESS.get(&signer).copied().filter(|_| sound).unwrap_or(&KEYRING[place(Who::Forger)]);
    key.sign_hash_sync(&digest).unwrap().as_bytes().to_vec().into()
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

fn u40(seconds: u64) -> U40 {
    U40::from(seconds)
}

impl<G: Ground> Evm<G> {
    fn of(mut ground: G) -> Self {
        let at = |address: Address| AccountId { chain: CHAIN, address: address.into() };
        let escrow = at(ground.deploy(bytecode("Escrow", &Escrow::BYTECODE)));
        let pools = at(ground.deploy(bytecode("ArbitrationPools", &ArbitrationPools::BYTECODE)));
        let token = ground.deploy(TestToken::BYTECODE.clone());
        ground.set_code(COURT, bytes!("600160005260206000f3"));
        for deaf in [Who::DeafSeller, Who::DeafBuyer] {
            ground.set_code(KEYRING[place(deaf)].address(), bytes!("60006000fd"));
        }
        let mut this = Self { ground, escrow, pools, token };
        for account in KEYRING.iter().map(PrivateKeySigner::address).chain([COURT]) {
            this.ground.endow(account, U256::ONE << 120);
        }
        for buyer in BUYERS {
            let spender = evm(escrow.address);
            let approve = TestToken::approveCall { spender, value: U256::MAX }.abi_encode();
            this.must(KEYRING[place(buyer)].address(), token, approve.into());
        }
        this
    }

    /// Sends a call that has to go through, a second later.
    fn must(&mut self, from: Address, to: Address, data: Bytes) -> Vec<Log> {
        let time = self.ground.now() + 1;
        self.ground.send(Call { from, to, data, value: U256::ZERO }, time).unwrap()
    }

    fn ask<C: SolCall>(&mut self, to: Address, call: &C) -> C::Return {
        C::abi_decode_returns_validate(&self.ground.read(to, call.abi_encode())).unwrap()
    }

    fn tokens_of(&mut self, holder: Address) -> u128 {
        self.ask(self.token, &TestToken::balanceOfCall { holder }).to()
    }

    fn send(&mut self, from: chain::Address, to: AccountId, data: Bytes, value: u128, time: u64) -> Told {
        let call = Call { from: evm(from), to: evm(to.address), data, value: U256::from(value) };
        match self.ground.send(call, time) {
            Ok(logs) => {
                let of = |contract: AccountId| {
                    let own = logs.iter().filter(|log| log.address == evm(contract.address));
                    own.map(|log| decode_event(self.escrow, log).unwrap()).collect()
                };
                Ok(Events { deal: of(self.escrow), case: of(self.pools) })
            }
            // The one way to fail without a word: coin sent along with a call that takes none.
            Err(data) if data.is_empty() => Err(Refusal { name: "NotPayable".into(), whole: None }),
            Err(data) => match decode_refusal(&data) {
                Some(refused) => Err(refused.into()),
                None => Err(Refusal { name: format!("{data}"), whole: None }),
            },
        }
    }

    /// The signature that goes with a signed action.
    fn signed(&self, terms: &Terms, action: &Action, actor: Actor) -> Option<Signed> {
        let Actor::Bearer { signer, proof, valid_until, .. } = actor else { return None };
        let deal = chain::deal_id(terms).unwrap();
        let digest = self.digest(terms, deal, action, valid_until, Status::None);
        let signature = signature(evm(signer), proof != Proof::Invalid, digest);
        Some(Signed { signer: evm(signer), valid_until, signature })
    }

    fn calldata(&self, terms: &Terms, action: &Action, actor: Actor) -> Bytes {
        let deal = chain::deal_id(terms).unwrap();
        let signed = self.signed(terms, action, actor);
        let only = signed.as_ref().map(|signed| &signed.signature);
        let consent = |party: AccountId, consent: &Consent| match consent {
            Consent::Unsigned => Bytes::new(),
            Consent::Signed { proof, status } => {
                let digest = match action {
                    Action::Fund { .. } => deal,
                    _ => self.digest(terms, deal, action, 0, *status),
                };
                signature(evm(party.address), *proof != Proof::Invalid, digest)
            }
        };
        match action {
            Action::Fund { seller, .. } => {
                let seller = consent(terms.seller, seller);
                match &signed {
                    None => call::fund(terms, seller),
                    Some(signed) => call::fund_by_sig(terms, seller, signed),
                }
            }
            Action::Retract => call::retract(terms),
            Action::Deliver { delivery } => call::deliver(terms, *delivery, signed.as_ref()),
            Action::Release { total } => call::release(terms, *total, only),
            Action::Refund { total } => call::refund(terms, *total, only),
            Action::Dispute { evidence } => call::dispute(terms, *evidence, signed.as_ref()),
            Action::Evidence { evidence, uri } => {
                call::evidence(terms, *evidence, uri.clone(), signed.as_ref())
            }
            Action::Reclaim => call::reclaim(terms),
            Action::Claim => call::claim(terms),
            Action::Settle { seller_total, rulings, valid_until, buyer, seller } => {
                let settlement = Settlement {
                    seller_total: *seller_total,
                    rulings: *rulings,
                    valid_until: *valid_until,
                    buyer_signature: consent(terms.buyer, buyer),
                    seller_signature: consent(terms.seller, seller),
                };
                call::settle(terms, &settlement)
            }
            Action::Rule { share } => call::rule(terms, *share),
            Action::Lapse => call::lapse(terms),
        }
        .unwrap()
    }
}

/// The coin that the action sends along.
const fn sent(action: &Action) -> u128 {
    match action {
        Action::Fund { sent, .. } => *sent,
        _ => 0,
    }
}

impl<G: Ground> Chain for Evm<G> {
    fn limits(&self) -> Limits {
        Limits { cap: AMOUNT_MAX, coin: AMOUNT_MAX, stride: STRIDE, forgets: true, purse: true, asks: true }
    }

    fn escrow(&self) -> AccountId {
        self.escrow
    }

    fn pools(&self) -> AccountId {
        self.pools
    }

    fn token(&self) -> chain::Address {
        self.token.into()
    }

    fn address(&self, who: Who) -> chain::Address {
        match who {
            Who::Nobody => CHAIN.zero(),
            Who::Court => COURT.into(),
            Who::Pools => self.pools.address,
            key => KEYRING[place(key)].address().into(),
        }
    }

    fn now(&self) -> u64 {
        self.ground.now()
    }

    fn height(&self) -> u64 {
        self.ground.height()
    }

    fn mine(&mut self, blocks: u64) {
        self.ground.mine(blocks);
    }

    fn hash(&mut self, height: u64) -> Option<B256> {
        self.ground.hash(height)
    }

    fn endow(&mut self, tokens: u128) {
        for buyer in BUYERS.map(|buyer| KEYRING[place(buyer)].address()) {
            let held = self.tokens_of(buyer);
            if held < tokens {
                let mint = TestToken::mintCall { to: buyer, value: U256::from(tokens - held) };
                self.must(buyer, self.token, mint.abi_encode().into());
            }
            if held > tokens {
                let away = TestToken::transferCall { to: COURT, value: U256::from(held - tokens) };
                self.must(buyer, self.token, away.abi_encode().into());
            }
        }
    }

    fn balance(&mut self, account: chain::Address, asset: &AssetId) -> u128 {
        match asset.token {
            None => self.ground.balance(evm(account)).to(),
            Some(_) => self.tokens_of(evm(account)),
        }
    }

    fn held(&mut self, deals: &[&Terms]) -> u128 {
        let asset = deals[0].asset;
        self.balance(self.escrow.address, &asset)
    }

    fn digest(&self, terms: &Terms, deal: B256, action: &Action, valid_until: u64, status: Status) -> B256 {
        let until = u40(valid_until);
        let domain = escrow_domain(terms.escrow).unwrap();
        match action {
            Action::Fund { .. } => typed::Fund { deal, validUntil: until }.eip712_signing_hash(&domain),
            Action::Deliver { delivery } => {
                typed::Deliver { deal, delivery: *delivery, validUntil: until }.eip712_signing_hash(&domain)
            }
            Action::Release { total } => {
                typed::Release { deal, total: U88::from(*total) }.eip712_signing_hash(&domain)
            }
            Action::Refund { total } => {
                typed::Refund { deal, total: U88::from(*total) }.eip712_signing_hash(&domain)
            }
            Action::Dispute { evidence } => {
                typed::Dispute { deal, evidence: *evidence, validUntil: until }.eip712_signing_hash(&domain)
            }
            Action::Evidence { evidence, uri } => {
                typed::Evidence { deal, evidence: *evidence, uri: uri.clone(), validUntil: until }
                    .eip712_signing_hash(&domain)
            }
            Action::Settle { seller_total, rulings, valid_until, .. } => typed::Settle {
                deal,
                sellerTotal: U88::from(*seller_total),
                status: status as u8,
                rulings: *rulings,
                validUntil: u40(*valid_until),
            }
            .eip712_signing_hash(&domain),
            other => panic!("nobody signs {other:?}"),
        }
    }

    fn revoke(&mut self, signer: chain::Address, digest: B256, time: u64) {
        self.send(signer, self.escrow, call::revoke(digest), 0, time).unwrap();
    }

    fn perform(&mut self, about: Subject<'_>, action: &Action, actor: Actor, time: u64) -> Told {
        let data = self.calldata(about.terms, action, actor);
        self.send(actor.caller(), self.escrow, data, sent(action), time)
    }

    fn batch(&mut self, calls: &[(Terms, Action, Actor)], sent: u128, time: u64) -> Told {
        let data = calls.iter().map(|(terms, action, actor)| self.calldata(terms, action, *actor));
        let data = call::batch(data.collect());
        self.send(calls[0].2.caller(), self.escrow, data, sent, time)
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
        let terms = about.terms;
        let data = match action {
            A::Open => call::open(terms),
            A::Draw => call::draw(terms),
            A::OpenSecondJury => call::open_second_jury(terms),
            A::Cast { jury, seat, share, reason } => call::cast(terms, *jury, *seat, *share, *reason),
            A::Submit { jury, .. } => {
                let (instance, seed) = about
                    .case
                    .drawn(*jury)
                    .map_or((0, B256::ZERO), |(_, heard)| (heard.instance, heard.seed));
                let pool = if instance == 0 { terms.panel } else { about.pools.0[&terms.panel].book.parent };
                let case = case_id(pool, terms.escrow, about.deal, instance, *jury, seed).unwrap();
                let signed = ballots.iter().map(|ballot| {
                    let Ballot { seat, share, reason, signer, altered } = *ballot;
                    let said = if altered { share ^ 1 } else { share };
                    let digest = ballot_digest(self.pools, case, said, reason).unwrap();
                    SignedBallot { seat, share, reason, signature: signature(evm(signer), true, digest) }
                });
                Ok(call::submit(terms, *jury, &signed.collect::<Vec<_>>()).unwrap())
            }
            A::Conclude => call::conclude(terms),
            A::Appeal => {
                let signed = match actor {
                    Actor::Caller(_) => None,
                    Actor::Bearer { signer, proof, valid_until, .. } => {
                        let digest = appeal_digest(self.pools, about.deal, valid_until).unwrap();
                        let signature = signature(evm(signer), proof != Proof::Invalid, digest);
                        Some(Signed { signer: evm(signer), valid_until, signature })
                    }
                };
                call::appeal(terms, signed.as_ref())
            }
            A::Execute => call::execute(terms),
        };
        self.send(actor.caller(), self.pools, data.unwrap(), 0, time)
    }

    fn create_pool(&mut self, book: &RuleBook) {
        let pools = evm(self.pools.address);
        self.must(evm(book.keeper), pools, call::create_pool(book).unwrap());
    }

    /// Longer lists come in two pages.
    fn publish(&mut self, pool: B256, keeper: chain::Address, _index: u32, members: &[chain::Address]) {
        let (keeper, pools) = (evm(keeper), evm(self.pools.address));
        let members: Vec<Address> = members.iter().copied().map(evm).collect();
        let mut stored = Vec::new();
        for page in members.chunks(if members.len() > 12 { members.len().div_ceil(2) } else { 12 }) {
            stored.push(self.ask(pools, &storePageCall { members: page.to_vec() }));
            self.must(keeper, pools, call::store_page(page.to_vec()));
        }
        self.must(keeper, pools, call::publish(pool, stored));
    }

    fn state_of(&mut self, _terms: &Terms, deal: B256) -> DealState {
        let state = self.ask(evm(self.escrow.address), &Escrow::stateOfCall { deal });
        DealState::try_from(&state).unwrap()
    }

    fn case_of(&mut self, about: Subject<'_>) -> (Vec<Kept>, u8, [Vec<chain::Address>; 2]) {
        let (escrow, pools, deal) = (evm(self.escrow.address), evm(self.pools.address), about.deal);
        let juries = self.ask(pools, &caseOfCall { escrow, deal });
        let kept = juries.iter().map(|jury| Kept {
            stage: jury.stage,
            instance: jury.instance,
            jury: jury.jury,
            size: jury.seats,
            appealable: jury.appealable,
            list: jury.list,
            members: jury.members,
            ends_at: jury.endsAt.to(),
            target: jury.targetBlock.to(),
            accepted_at: jury.acceptedAt.to(),
            share: jury.share,
            seed: jury.seed,
            ballots: jury.ballots.into(),
        });
        let kept: Vec<_> = kept.collect();
        let rulings = self.ask(pools, &rulingsCall { escrow, deal });
        let seats = [0, 1].map(|jury| {
            let drawn = about.case.drawn(jury).is_ok();
            if !drawn {
                return Vec::new();
            }
            let told = self.ground.read(pools, call::jury_of(about.terms, jury).unwrap().into());
            let seats = juryOfCall::abi_decode_returns_validate(&told).unwrap();
            seats.into_iter().map(chain::Address::from).collect()
        });
        (kept, rulings, seats)
    }
}

//! What the suite asks of a chain. A third kind of chain implements this.

use alloy::primitives::B256;
use protocol::{
    arbitration::{
        Registry,
        case::{self, Case},
    },
    chain::{AccountId, Address, AssetId},
    deal::{Action, Actor, Context, DealState, Status},
    refusal::Refused,
    terms::Terms,
    wire::feed::{EventBody, RuleBook},
};

use crate::words::Who;

/// Wherein chains differ, as far as the protocol lets them.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest amount of a deal.
    pub cap: u128,
    /// The largest amount of coin that a payer can have there.
    pub coin: u128,
    /// By a multiple of how many blocks a missed target moves.
    pub stride: u64,
    /// A closed deal's storage is empty once nothing can be funded under its id.
    pub forgets: bool,
    /// Coin is sent along with a call, and several calls can share it: `WrongValue`, batches.
    pub purse: bool,
    /// Arbiters other than the pools are asked how many rulings they accepted.
    pub asks: bool,
}

/// What one transaction told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// The escrow's.
    pub deal: Vec<EventBody>,
    /// The pools'.
    pub case: Vec<EventBody>,
}

/// A refusal as the chain told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub name: String,
    /// With its values, where the chain tells them.
    pub whole: Option<Refused>,
}

/// What a transaction came to.
pub type Told = Result<Events, Refusal>;

/// What a transaction is about, as it stands before it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub terms: &'a Terms,
    pub deal: B256,
    pub state: &'a DealState,
    pub case: &'a Case,
    pub pools: &'a Registry,
}

/// A ballot to hand in: `signer` signs it, or another share where it is altered.
#[derive(Clone, Copy, Debug)]
pub struct Ballot {
    pub seat: u8,
    pub share: u16,
    pub reason: B256,
    pub signer: Address,
    pub altered: bool,
}

/// What a chain keeps of a jury; zero where it knows nothing yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub stage: u8,
    pub instance: u8,
    pub jury: u8,
    pub size: u8,
    pub appealable: bool,
    pub list: u32,
    pub members: u32,
    pub ends_at: u64,
    pub target: u64,
    pub accepted_at: u64,
    pub share: u16,
    pub seed: B256,
    pub ballots: B256,
}

/// A chain with the protocol on it, whose clock and height the histories set. Transactions cost their callers nothing.
/// Everything is sent in a block of its own, at a time later than [`Self::now`].
pub trait Chain {
    fn limits(&self) -> Limits;
    fn escrow(&self) -> AccountId;
    fn pools(&self) -> AccountId;
    /// The one token.
    fn token(&self) -> Address;
    /// Who is who; not [`Who::Seat`]. Members ascend.
    fn address(&self, who: Who) -> Address;
    /// How many members there are keys of.
    fn members(&self) -> u8 {
        160
    }

    /// Time of the last block, in Unix seconds.
    fn now(&self) -> u64;
    /// Number of the last block or slot.
    fn height(&self) -> u64;
    /// That many blocks without transactions.
    fn mine(&mut self, blocks: u64);
    /// The hash of a block, as long as a transaction in the next block can ask for it.
    fn hash(&mut self, height: u64) -> Option<B256>;

    /// Gives each buyer exactly so much of the token, and more coin than [`Limits::coin`] to everybody.
    fn endow(&mut self, tokens: u128);
    /// What an account has.
    fn balance(&mut self, account: Address, asset: &AssetId) -> u128;
    /// What is held for these deals, which are of one asset; where a chain keeps no deal apart, for all deals ever.
    fn held(&mut self, deals: &[&Terms]) -> u128;

    /// What is signed for an action: an offer to settle for a status, the others until a time.
    fn digest(&self, terms: &Terms, deal: B256, action: &Action, valid_until: u64, status: Status) -> B256;
    /// The signer makes its signature of the digest worthless.
    fn revoke(&mut self, signer: Address, digest: B256, time: u64);
    /// Asks something of a deal. Proofs and consents say whose key signs what.
    fn perform(&mut self, about: Subject<'_>, action: &Action, actor: Actor, time: u64) -> Told;
    /// Several in one transaction, all or none, with so much coin. Not called where there is no purse.
    fn batch(&mut self, calls: &[(Terms, Action, Actor)], sent: u128, time: u64) -> Told {
        let _ = (calls, sent, time);
        panic!("a chain without a purse was asked for a batch")
    }
    /// Asks something of a case. `ballots` says how those of [`case::Action::Submit`] are signed.
    fn hear(
        &mut self,
        about: Subject<'_>,
        action: &case::Action,
        ballots: &[Ballot],
        actor: Actor,
        time: u64,
    ) -> Told;
    fn create_pool(&mut self, book: &RuleBook);
    /// Publishes members, which ascend, as the pool's next list; as many blocks as it takes.
    fn publish(&mut self, pool: B256, keeper: Address, index: u32, members: &[Address]);

    fn state_of(&mut self, terms: &Terms, deal: B256) -> DealState;
    /// The juries of a deal's case, how many rulings were accepted, and who sits on juries 0 and 1 of the present instance
    /// as far as they are drawn.
    fn case_of(&mut self, about: Subject<'_>) -> (Vec<Kept>, u8, [Vec<Address>; 2]);

    /// What checks and payments meet in the world at `now`.
    fn context(&self, terms: &Terms, deal: B256, rulings: u8, now: u64) -> Context {
        let coin = terms.asset.token.is_none();
        let hears = |party: AccountId, deaf| !(coin && party.address == self.address(deaf));
        Context {
            deal,
            now,
            cap: self.limits().cap,
            rulings,
            buyer_receives: hears(terms.buyer, Who::DeafBuyer),
            seller_receives: hears(terms.seller, Who::DeafSeller),
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self { name: refused.name().to_owned(), whole: Some(refused) }
    }
}

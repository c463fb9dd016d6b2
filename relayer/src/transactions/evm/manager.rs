//! What an EVM chain is asked in every round, and what is remembered of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use alloy::primitives::{Address, B256, U256};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use protocol::chain;

use super::{
    chain::{Account, Block, Chain, Receipt},
    dear::AllDear,
    fees::Market,
    gaps::Gaps,
    sign::{self, Signer},
    store::{self, Attempt},
    turn::{Flight, IN_FLIGHT_MAX},
    witness::Witness,
};
use crate::{
    config::Config,
    error::Error,
    quota::Quotas,
    transactions::{
        ChainError,
        desk::Desk,
        doubt::Doubts,
        manager::{Seen, SeenSigner},
        rest::Rest,
        still::Still,
        store as intent_store,
        unagreed::Unagreed,
        worker::WAITING_MAX,
    },
};

/// The alarm of signers whose nonce on chain cannot be.
const NONCE: &str = "nonce";
/// How many requests of one kind are under way at one time.
pub(super) const AT_ONCE: usize = 16;
const WEI_PER_GWEI: u64 = 1_000_000_000;

/// The rules that the configuration sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// What the transactions of one intent may cost together, in wei.
    pub gas_budget: u128,
    /// The highest fee for a unit of gas, in wei.
    pub max_fee_per_gas: u128,
    /// By how much a stuck transaction's fees rise, in basis points.
    pub fee_bump_bps: u32,
    /// Milliseconds without being mined after which fees rise.
    pub bump_after_ms: i64,
    /// What is done in somebody's name.
    pub quotas: Quotas,
}

/// What one round sees.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    /// The newest block.
    pub latest: Block,
    /// The newest one of the look before.
    pub before: Option<Block>,
    /// The newest block that the chain calls final, looked at before anything else.
    pub finalized: Block,
    accounts: BTreeMap<Address, Account>,
}

impl Sight {
    /// A signer's transactions up to the newest block.
    pub fn nonce_latest(&self, signer: Address) -> u64 {
        self.accounts.get(&signer).map_or(0, |account| account.nonce_latest)
    }

    /// Those up to the final block, as far as they are known.
    pub fn nonce_final(&self, signer: Address) -> u64 {
        self.accounts.get(&signer).and_then(|account| account.nonce_final).unwrap_or(0)
    }

    /// What a signer has, in wei.
    pub fn balance(&self, signer: Address) -> U256 {
        self.accounts.get(&signer).map_or(U256::ZERO, |account| account.balance)
    }
}

/// Works on intents on an EVM chain.
#[derive(Clone)]
pub struct Manager {
    pub(in crate::transactions) chain: Chain,
    pub(super) signers: Vec<Signer>,
    pub(super) rules: Rules,
    pub(super) witness: Witness,
    pub(super) unagreed: Unagreed,
    /// The newest block of the last look.
    newest: Option<Block>,
    /// For how long there was no newer one.
    still: Still,
    pub(super) gaps: Gaps,
    /// That the chain seems to have taken back what was final, by the newest block's hash; so with the next two.
    pub(super) regressions: Doubts<(), B256>,
    /// Signers whose nonce is far above all that they ever signed.
    leaps: Doubts<Address, B256>,
    /// Intents whose nonces are over, and no receipt is known of.
    pub(super) unexplained: Doubts<i64, B256>,
    /// The final block up to which what is over was checked.
    pub(super) checked_at: Option<Block>,
    sight: Option<Sight>,
    /// What the chain asks, once a round asked for it: none where no node tells it.
    pub(super) market: Option<Option<Market>>,
    /// What that is too much for.
    pub(super) dear: AllDear,
    pub(super) flights: HashMap<Address, Flight>,
    /// What signers could not pay, in wei, by the intent that it was for: they are out of turn until they can, or nobody wants
    /// it of them any more.
    pub(super) poor: BTreeMap<Address, BTreeMap<i64, U256>>,
    /// Signers whose nonce is not believed: they are out of turn.
    pub(super) doubted: BTreeSet<Address>,
    /// Signers that did not sign, and for how long they are out of turn.
    pub(super) mute: BTreeMap<Address, Rest>,
    /// Transactions that may still be mined, by intent.
    pub(super) attempts: BTreeMap<i64, Vec<Attempt>>,
    /// Those of no intent.
    pub(super) fills: Vec<Attempt>,
    /// Where they were mined, as of this round; without those that no node answered for.
    receipts: HashMap<B256, Option<Receipt>>,
}

impl Manager {
    /// A manager that has not looked yet.
    ///
    /// # Errors
    /// The first key at fault, or a signer that cannot be opened.
    pub async fn new(config: &Config) -> Result<Self, Error> {
        Ok(Self::over(Chain::new(config)?, sign::open(config).await?, config))
    }

    /// The same over any chain and signers.
    pub fn over(chain: Chain, signers: Vec<Signer>, config: &Config) -> Self {
        Self {
            chain,
            signers,
            rules: Rules {
                gas_budget: config.gas_budget,
                max_fee_per_gas: config.max_fee_per_gas,
                fee_bump_bps: config.fee_bump_bps,
                bump_after_ms: i64::try_from(config.bump_after_ms).unwrap_or(i64::MAX),
                quotas: config.quotas,
            },
            witness: Witness::default(),
            unagreed: Unagreed::default(),
            newest: None,
            still: Still::default(),
            gaps: Gaps::default(),
            regressions: Doubts::default(),
            leaps: Doubts::default(),
            unexplained: Doubts::default(),
            doubted: BTreeSet::new(),
            checked_at: None,
            sight: None,
            market: None,
            dear: AllDear::new(),
            flights: HashMap::new(),
            poor: BTreeMap::new(),
            mute: BTreeMap::new(),
            attempts: BTreeMap::new(),
            fills: Vec::new(),
            receipts: HashMap::new(),
        }
    }

    /// How much is done in whose name.
    pub const fn quotas(&self) -> &Quotas {
        &self.rules.quotas
    }

    /// Who pays.
    pub fn signers(&self) -> Vec<chain::Address> {
        self.signers.iter().map(|signer| signer.address().into()).collect()
    }

    /// Looks at the chain, opens what it took back again, and sees to nonces that nothing has.
    ///
    /// # Errors
    /// The node does not answer, or serves another chain; the database's own.
    pub async fn look(&mut self, desk: &mut Desk<'_>) -> Result<Seen, Error> {
        let (mut sight, mut attempts) = self.see(desk).await?;
        let reserved = self.doubt(desk, &mut sight).await?;
        desk.settles_at(sight.finalized.number, sight.finalized.hash.to_string());
        if self.reopen(desk, &sight).await? {
            attempts = store::open_attempts(desk.db.reader()).await?;
        }
        let open = intent_store::open(desk.db.reader(), WAITING_MAX).await?;
        let asked: BTreeSet<i64> =
            open.under_way.iter().filter(|(_, asked)| *asked).map(|(id, _)| *id).collect();
        self.flights = reserved
            .into_iter()
            .map(|(address, reserved)| (address, Flight::new(reserved, sight.nonce_latest(address))))
            .collect();
        self.sort(desk, attempts, &asked);
        let all: BTreeSet<i64> = open.ids().collect();
        // What a quota holds up waits for no price.
        let held = |account: &str| desk.all_held || desk.holds.has(account);
        let (held, asked): (Vec<_>, Vec<_>) = open.asked.iter().partition(|(account, _)| held(account));
        let priced: BTreeSet<i64> = {
            let held: BTreeSet<i64> = held.into_iter().map(|(_, id)| *id).collect();
            all.difference(&held).copied().collect()
        };
        let waiting = [(false, open.steps.is_empty()), (true, asked.is_empty())];
        let waiting = waiting.into_iter().filter(|(_, none)| !none).map(|(asked, _)| asked).collect();
        self.forget_dear(&sight, &priced, &waiting);
        self.market = None;
        self.fill_gaps(desk, &sight).await?;
        self.say_dear(desk);
        self.say_who_is_out_of_turn(desk, &sight, &all);
        self.unagreed.say(desk, &all);
        let signers = self.signers.iter().map(|signer| {
            let address = signer.address();
            let balance = sight.balance(address);
            SeenSigner {
                address: address.into(),
                balance,
                balance_billionths: balance.checked_div(U256::from(WEI_PER_GWEI)).unwrap_or_default(),
                nonce: Some(sight.nonce_latest(address)),
            }
        });
        let seen = Seen {
            latest: sight.latest.number,
            finalized: sight.finalized.number,
            signers: signers.collect(),
        };
        self.sight = Some(sight);
        Ok(seen)
    }

    async fn see(&mut self, desk: &Desk<'_>) -> Result<(Sight, Vec<Attempt>), Error> {
        let (mut finalized, mut latest) = self.chain.ends().await?;
        // One node may stand still, and answer as if nothing were wrong.
        if self.still.for_long(latest.number, desk.now_ms()) && self.chain.go_on(latest.number).await {
            (finalized, latest) = self.chain.ends().await?;
        }
        let open = store::open_attempts(desk.db.reader()).await?;
        let own = self.signers.iter().map(|signer| signer.address());
        // Transactions signed by a key of before are still watched.
        let all: BTreeSet<Address> = own.chain(open.iter().map(|attempt| attempt.signer)).collect();
        let asked: Vec<_> = all.iter().map(|address| self.chain.account(*address, &finalized)).collect();
        let known: Vec<Account> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
        let mut accounts: BTreeMap<Address, Account> = all.into_iter().zip(known).collect();
        for (address, account) in &mut accounts {
            if account.nonce_final.is_none() {
                account.nonce_final =
                    self.witness.nonce_final(&self.chain, *address, &latest, &finalized).await?;
            }
        }
        let before = self.newest.replace(latest);
        let sight = Sight { latest, before, finalized, accounts };
        self.receipts = self.ask_for_receipts(&sight, &open).await;
        Ok((sight, open))
    }

    /// The receipts of transactions as of this look. Behind the next nonce that the chain waits for there can be none, unless
    /// there was one before; what was in a block of this very head still is.
    async fn ask_for_receipts(&self, sight: &Sight, open: &[Attempt]) -> HashMap<B256, Option<Receipt>> {
        let same = self.sight.as_ref().is_some_and(|before| before.latest.hash == sight.latest.hash);
        let mut receipts = HashMap::with_capacity(open.len());
        let mut asked = Vec::new();
        for attempt in open {
            let hash = attempt.hash;
            let before = self.receipts.get(&hash).copied().flatten();
            // What is final may come from a node that is ahead of the one that says what is next.
            let next = sight.nonce_latest(attempt.signer).max(sight.nonce_final(attempt.signer));
            let possible = self.sight.is_none() || attempt.nonce <= next;
            match before {
                Some(_) if same => drop(receipts.insert(hash, before)),
                None if !possible => drop(receipts.insert(hash, None)),
                _ => asked.push(async move { (hash, self.chain.receipt(hash).await) }),
            }
        }
        let answers: Vec<_> = stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
        receipts.extend(answers.into_iter().filter_map(|(hash, receipt)| Some((hash, receipt.ok()?))));
        receipts
    }

    /// A nonce far above all that was ever signed jams a signer for good where it is one machine's error: until it was seen at
    /// several heads what was seen before counts.
    /// Answers the next nonce of each by what it signed.
    async fn doubt(&mut self, desk: &Desk<'_>, sight: &mut Sight) -> Result<HashMap<Address, u64>, Error> {
        self.doubted.clear();
        let mut words = Vec::new();
        let mut all = HashMap::with_capacity(sight.accounts.len());
        for (address, account) in &mut sight.accounts {
            let reserved = store::next_nonce(desk.db.reader(), *address).await?;
            all.insert(*address, reserved);
            let believable = reserved.saturating_add(IN_FLIGHT_MAX.try_into().unwrap_or(u64::MAX));
            if account.nonce_latest <= believable {
                self.leaps.forget(address);
                continue;
            }
            if self.leaps.believed(*address, sight.latest.hash) {
                continue;
            }
            words.push(format!(
                "the chain counts {} transactions of signer {address}, which signed {reserved}: is its key used elsewhere?",
                account.nonce_latest
            ));
            let before = self.sight.as_ref().and_then(|before| before.accounts.get(address));
            let (latest, final_) =
                before.map_or((0, None), |before| (before.nonce_latest, before.nonce_final));
            (account.nonce_latest, account.nonce_final) = (latest.min(reserved), final_);
            self.doubted.insert(*address);
        }
        if words.is_empty() {
            desk.alarms.clear(NONCE);
        } else {
            desk.alarms.raise(NONCE, words.join("; "), desk.now_ms());
        }
        Ok(all)
    }

    /// Sorts the transactions that may still be mined by what they are for.
    fn sort(&mut self, desk: &mut Desk<'_>, open: Vec<Attempt>, asked: &BTreeSet<i64>) {
        self.attempts.clear();
        self.fills.clear();
        let hashes: HashSet<B256> = open.iter().map(|attempt| attempt.hash).collect();
        for attempt in open {
            self.takes_off(&attempt, attempt.intent.is_some_and(|intent| asked.contains(&intent)));
            match attempt.intent {
                Some(intent) => self.attempts.entry(intent).or_default().push(attempt),
                None => self.fills.push(attempt),
            }
        }
        desk.keep_sent(|transaction| transaction.evm().is_some_and(|hash| hashes.contains(&hash)));
    }

    /// Whether an intent has a transaction that may still be mined.
    pub fn holds(&self, intent: i64) -> bool {
        self.attempts.contains_key(&intent)
    }

    /// What the last look saw; none before the first.
    pub(super) fn sight(&self) -> Option<Sight> {
        self.sight.clone()
    }

    /// Where a transaction was mined, as of this round.
    pub(super) async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, ChainError> {
        match self.receipts.get(&hash) {
            Some(receipt) => Ok(*receipt),
            None => self.chain.receipt(hash).await,
        }
    }

    /// The signer of an address, where its key is at hand.
    pub(super) fn signer(&self, address: Address) -> Option<Signer> {
        self.signers.iter().find(|signer| signer.address() == address).cloned()
    }
}

//! What an EVM chain is asked in every round, and what is remembered of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alloy::primitives::{Address, B256, U256};
use futures::{StreamExt as _, future::try_join_all, stream};
use protocol::chain;

use super::{
    chain::{Account, Block, Chain, Receipt},
    fees::Market,
    gaps::Gaps,
    sign::{self, Signer},
    store::{self, Attempt},
    witness::Witness,
};
use crate::{
    config::Config,
    error::Error,
    intents::Kept,
    quota::Quotas,
    transactions::{
        desk::Desk,
        doubt::Doubts,
        manager::{Seen, SeenSigner},
        store as intent_store,
    },
};

/// The alarm of signers that cannot pay.
pub(super) const BALANCE: &str = "balance";
/// The alarm of a chain that asks more than the limits allow.
pub(super) const PRICE: &str = "price";
/// The alarm of signers that do not sign.
const SIGNER: &str = "signer";
/// The alarm of signers whose nonce on chain cannot be.
const NONCE: &str = "nonce";
/// For how long a signer that did not sign is out of turn, in milliseconds.
const MUTE_MS: i64 = 30_000;
/// After how long without another failure that is forgotten, in milliseconds.
const MUTE_KEPT_MS: i64 = 300_000;
/// How many nonces of a signer may be in flight, below what nodes keep for one account.
pub(super) const IN_FLIGHT_MAX: usize = 16;
/// How many receipts are asked for at one time.
const AT_ONCE: usize = 16;
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
    /// The newest block that the chain calls final, looked at before anything else.
    pub finalized: Block,
    accounts: HashMap<Address, Account>,
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

/// What a signer has in the air.
#[derive(Clone, Debug, Default)]
struct Flight {
    /// By nonce what its dearest transaction may cost, in wei.
    costs: BTreeMap<u64, U256>,
}

/// Works on intents on an EVM chain.
#[derive(Clone)]
pub struct Manager {
    pub(super) chain: Chain,
    pub(super) signers: Vec<Signer>,
    pub(super) rules: Rules,
    pub(super) witness: Witness,
    pub(super) gaps: Gaps,
    /// That the chain seems to have taken back what was final, by the newest block's hash; so with the next two.
    pub(super) regressions: Doubts<(), B256>,
    /// Signers whose nonce is far above all that they ever signed.
    leaps: Doubts<Address, B256>,
    /// Intents whose nonces are over, and no receipt is known of.
    pub(super) unexplained: Doubts<i64, B256>,
    /// The final block up to which what is over was checked.
    pub(super) checked_at: Option<Block>,
    checked: bool,
    sight: Option<Sight>,
    market: Option<Market>,
    flights: HashMap<Address, Flight>,
    /// What signers could not pay, in wei: they are out of turn until they can.
    poor: BTreeMap<Address, U256>,
    /// Signers whose nonce is not believed: they are out of turn.
    doubted: BTreeSet<Address>,
    /// Signers that did not sign, and until when they are out of turn (Unix milliseconds).
    mute: BTreeMap<Address, i64>,
    /// Transactions that may still be mined, by intent.
    attempts: BTreeMap<i64, Vec<Attempt>>,
    /// Those of no intent.
    pub(super) fills: Vec<Attempt>,
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
            gaps: Gaps::default(),
            regressions: Doubts::default(),
            leaps: Doubts::default(),
            unexplained: Doubts::default(),
            doubted: BTreeSet::new(),
            checked_at: None,
            checked: false,
            sight: None,
            market: None,
            flights: HashMap::new(),
            poor: BTreeMap::new(),
            mute: BTreeMap::new(),
            attempts: BTreeMap::new(),
            fills: Vec::new(),
            receipts: HashMap::new(),
        }
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
        if !self.checked {
            self.chain.check().await?;
            self.checked = true;
        }
        let mut sight = self.see(desk).await?;
        self.doubt(desk, &mut sight).await?;
        desk.settles_at(sight.finalized.number, sight.finalized.hash.to_string());
        self.market = None;
        self.reopen(desk, &sight).await?;
        self.sort(desk, &sight).await?;
        self.fill_gaps(desk, &sight).await?;
        let idle = intent_store::open_ids(desk.db.reader()).await?.is_empty();
        if idle {
            desk.alarms.clear(PRICE);
        }
        self.poor.retain(|signer, needed| !idle && sight.balance(*signer) < *needed);
        self.say_poor(desk, &sight);
        let now_ms = desk.now_ms();
        self.mute.retain(|_, until_ms| until_ms.saturating_add(MUTE_KEPT_MS) > now_ms);
        if self.mute.is_empty() {
            desk.alarms.clear(SIGNER);
        }
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

    async fn see(&mut self, desk: &Desk<'_>) -> Result<Sight, Error> {
        let (finalized, latest) = self.chain.ends().await?;
        let open = store::open_attempts(desk.db.reader()).await?;
        let own = self.signers.iter().map(|signer| signer.address());
        // Transactions signed by a key of before are still watched.
        let all: BTreeSet<Address> = own.chain(open.iter().map(|attempt| attempt.signer)).collect();
        let asked = all.iter().map(|address| self.chain.account(*address, &finalized));
        let mut accounts: HashMap<Address, Account> =
            all.iter().copied().zip(try_join_all(asked).await?).collect();
        for (address, account) in &mut accounts {
            if account.nonce_final.is_none() {
                account.nonce_final =
                    self.witness.nonce_final(&self.chain, *address, &latest, &finalized).await?;
            }
        }
        let chain = &self.chain;
        let receipts = stream::iter(open.into_iter().map(|attempt| attempt.hash))
            .map(|hash| async move { (hash, chain.receipt(hash).await) })
            .buffer_unordered(AT_ONCE)
            .filter_map(|(hash, receipt)| async move { Some((hash, receipt.ok()?)) });
        self.receipts = receipts.collect().await;
        Ok(Sight { latest, finalized, accounts })
    }

    /// A nonce far above all that was ever signed jams a signer for good where it is one machine's error: until it was seen at
    /// several heads what was seen before counts.
    async fn doubt(&mut self, desk: &Desk<'_>, sight: &mut Sight) -> Result<(), Error> {
        self.doubted.clear();
        let mut words = Vec::new();
        for (address, account) in &mut sight.accounts {
            let reserved = store::next_nonce(desk.db.reader(), *address).await?;
            let believable = reserved.saturating_add(IN_FLIGHT_MAX.try_into().unwrap_or(u64::MAX));
            if reserved == 0 || account.nonce_latest <= believable {
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
        Ok(())
    }

    /// Sorts the transactions that may still be mined by what they are for.
    async fn sort(&mut self, desk: &mut Desk<'_>, sight: &Sight) -> Result<(), Error> {
        self.attempts.clear();
        self.fills.clear();
        self.flights.clear();
        let mut open = BTreeSet::new();
        for attempt in store::open_attempts(desk.db.reader()).await? {
            open.insert(attempt.hash);
            if attempt.nonce >= sight.nonce_latest(attempt.signer) {
                self.takes_off(&attempt);
            }
            match attempt.intent {
                Some(intent) => self.attempts.entry(intent).or_default().push(attempt),
                None => self.fills.push(attempt),
            }
        }
        desk.keep_sent(|transaction| transaction.evm().is_some_and(|hash| open.contains(&hash)));
        Ok(())
    }

    /// Whether an intent has a transaction that may still be mined.
    pub fn holds(&self, intent: i64) -> bool {
        self.attempts.contains_key(&intent)
    }

    /// Does what is next about an intent.
    ///
    /// # Errors
    /// The node does not answer; the lease is lost; the database's own.
    pub async fn pursue(&mut self, desk: &mut Desk<'_>, kept: &Kept) -> Result<(), Error> {
        let Some(sight) = self.sight.clone() else { return Ok(()) };
        let attempts = self.attempts.remove(&kept.id).unwrap_or_default();
        if attempts.is_empty() {
            self.wait(desk, &sight, kept).await
        } else {
            self.watch(desk, &sight, kept, attempts).await
        }
    }

    /// What a place in one of the next blocks costs; asked for once a round.
    pub(super) async fn market(&mut self) -> Result<Market, Error> {
        if let Some(market) = self.market {
            return Ok(market);
        }
        let market = self.chain.market().await?;
        self.market = Some(market);
        Ok(market)
    }

    /// Where a transaction was mined, as of this round.
    pub(super) async fn receipt(&mut self, hash: B256) -> Result<Option<Receipt>, Error> {
        match self.receipts.remove(&hash) {
            Some(receipt) => Ok(receipt),
            None => Ok(self.chain.receipt(hash).await?),
        }
    }

    /// The signer of an address, where its key is at hand.
    pub(super) fn signer(&self, address: Address) -> Option<Signer> {
        self.signers.iter().find(|signer| signer.address() == address).cloned()
    }

    /// The signer for a transaction that may cost as much: of those that can pay it the one with the fewest in flight. Those
    /// that cannot are noted where it is a step of a case.
    ///
    /// # Errors
    /// Why there is none at the moment, in words.
    pub(super) fn choose(
        &mut self,
        desk: &Desk<'_>,
        sight: &Sight,
        most: U256,
        for_a_case: bool,
    ) -> Result<Signer, String> {
        let mut best: Option<(usize, &Signer)> = None;
        let (mut busy, mut poor, mut silent) = (0_usize, Vec::new(), Vec::new());
        for signer in &self.signers {
            let address = signer.address();
            let (count, held) = self.flights.get(&address).map_or((0, U256::ZERO), |flight| {
                let held = flight.costs.values().fold(U256::ZERO, |sum, cost| sum.saturating_add(*cost));
                (flight.costs.len(), held)
            });
            let needed = held.saturating_add(most);
            if self.is_silent(desk, address) || self.doubted.contains(&address) {
                silent.push(address);
            } else if sight.balance(address) < needed {
                poor.push((address, needed));
            } else if count >= IN_FLIGHT_MAX {
                busy = busy.saturating_add(1);
            } else if best.is_none_or(|(least, _)| count < least) {
                best = Some((count, signer));
            }
        }
        let chosen = best.map(|(_, signer)| signer.clone());
        // What one account asked for calls nobody.
        if for_a_case {
            self.poor.extend(poor.iter().copied());
            if let Some(signer) = &chosen {
                self.poor.remove(&signer.address());
            }
        }
        chosen.ok_or_else(|| {
            if busy > 0 {
                return format!(
                    "{IN_FLIGHT_MAX} transactions of every signer that can pay are not mined yet"
                );
            }
            let short = poor.iter().map(|(signer, needed)| {
                format!(
                    "signer {signer} has {} wei; its transactions may cost {needed}",
                    sight.balance(*signer)
                )
            });
            let silent = silent.iter().map(|signer| format!("signer {signer} is out of turn"));
            short.chain(silent).collect::<Vec<_>>().join("; ")
        })
    }

    /// Notes that a signer did not sign: it is out of turn for a while.
    pub(super) fn is_mute(&mut self, desk: &Desk<'_>, signer: Address, words: String) {
        self.mute.insert(signer, desk.now_ms().saturating_add(MUTE_MS));
        desk.alarms.raise(SIGNER, words, desk.now_ms());
    }

    /// Whether a signer is out of turn because it did not sign.
    pub(super) fn is_silent(&self, desk: &Desk<'_>, signer: Address) -> bool {
        self.mute.get(&signer).is_some_and(|until_ms| *until_ms > desk.now_ms())
    }

    /// Notes that a signer signed.
    pub(super) fn speaks(&mut self, desk: &Desk<'_>, signer: Address) {
        self.mute.remove(&signer);
        if self.mute.is_empty() {
            desk.alarms.clear(SIGNER);
        }
    }

    /// Says which signers are out of turn.
    pub(super) fn say_poor(&self, desk: &Desk<'_>, sight: &Sight) {
        if self.poor.is_empty() {
            desk.alarms.clear(BALANCE);
            return;
        }
        let short = self.poor.iter().map(|(signer, needed)| {
            format!(
                "signer {signer} has {} wei; its transactions may cost {needed}: it is out of turn",
                sight.balance(*signer)
            )
        });
        desk.alarms.raise(BALANCE, short.collect::<Vec<_>>().join("; "), desk.now_ms());
    }

    /// Notes that a transaction is in flight.
    pub(super) fn takes_off(&mut self, attempt: &Attempt) {
        let most = U256::from(attempt.fees.max_fee).saturating_mul(U256::from(attempt.gas));
        let cost = self.flights.entry(attempt.signer).or_default().costs.entry(attempt.nonce).or_default();
        *cost = most.max(*cost);
    }
}

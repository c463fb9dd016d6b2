//! Random histories of who controls an account, by records over HTTP on both engines, beside the pure rules.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use protocol::chain::AccountId;
use serde_json::{Value, json};

use super::{
    add, message_for,
    recovery::{ask, private, rule},
};
use crate::{
    identity::{
        control::{Act, Control, Recovery, Rule},
        revoke_passkey_statement, revoke_statement, silence_statement, standing, veto_statement,
    },
    records::{Device, DeviceKey, Record, RecordId},
    testing::{Authenticator, Person, TestHub, Wallet, account, authenticator::encoded, says, seeds},
};

const HOUR_MS: i64 = 60 * 60 * 1000;
/// What happens in a history; longer tests have more histories, each with an account of its own.
const STEPS: usize = 200;
/// How many wallets and devices come and go, and one of each that comes at the end alone.
const KEYS: usize = 4;
const GUARDIANS: usize = 3;

/// What happens, as random numbers.
type Step = (u8, usize, usize, usize, usize, i64);

fn steps() -> impl Strategy<Value = Step> {
    (0..16_u8, 0..KEYS, 0..KEYS, 0..KEYS, 0..KEYS, 1..40 * HOUR_MS)
}

fn seed(nth: usize) -> u8 {
    u8::try_from(nth + 1).unwrap()
}

fn wallet(nth: usize) -> Wallet {
    Person::keys(seed(nth)).0
}

fn wallet_id(nth: usize) -> AccountId {
    account(wallet(nth).address())
}

fn key(nth: usize) -> DeviceKey {
    Person::keys(seed(nth)).1
}

/// One of two passkeys, which has signed so often.
fn passkey(hub: &TestHub, nth: usize, sign_count: u32) -> Authenticator {
    let which = seed(nth % 2);
    let mut one = Authenticator::ed25519(&hub.config.public_url, 100 + which);
    one.sign_count = sign_count;
    one.credential = vec![which; 32];
    one
}

/// An account, and how it stands by the rules alone.
struct History<'a> {
    hub: &'a TestHub,
    account: RecordId,
    guardians: Vec<Person>,
    control: Control,
    /// In the order in which they were asked for.
    asked: Vec<RecordId>,
    accepted: usize,
    refused: BTreeSet<&'static str>,
}

impl<'a> History<'a> {
    async fn begin(hub: &'a TestHub) -> Self {
        let owner = Person::arrive(hub, seed(0)).await;
        let mut guardians = Vec::new();
        for nth in 0..GUARDIANS {
            guardians.push(Person::arrive(hub, seed(50 + nth)).await);
        }
        let mut control = Control::default();
        let begin = Act::Begin { wallet: wallet_id(0), device: key(0).device() };
        for change in control.decide(&begin, hub.now()).unwrap() {
            control.apply(change);
        }
        let (asked, refused) = (Vec::new(), BTreeSet::new());
        Self { hub, account: owner.account, guardians, control, asked, accepted: 0, refused }
    }

    /// Whoever has this wallet and this device, and speaks for the account.
    fn with(&self, by: usize, signer: usize) -> Person {
        Person { wallet: wallet(by), device: key(signer), account: self.account }
    }

    /// Whether the hub listens to a device, which this record may bring.
    fn admits(&self, signer: usize, brings: Option<usize>) -> Result<(), &'static str> {
        let signs: Device = key(signer).device();
        match self.control.devices.get(&signs) {
            Some(standing) if standing.speaks => Ok(()),
            _ if brings == Some(signer) => Ok(()),
            Some(_) => Err("device_revoked"),
            None => Err("device_unknown"),
        }
    }

    /// Hands in a record, with which it goes as the rules say.
    async fn goes(&mut self, admitted: Result<(), &'static str>, act: Act, record: &Value) {
        let now = self.hub.now();
        let decide = |()| self.control.decide(&act, now).map_err(|refused| refused.rule());
        let expected = admitted.and_then(decide);
        let answer = self.hub.post("/v1/records", record).await;
        match expected {
            Ok(changes) => {
                assert_eq!(answer.status, 201, "{act:?}: {answer:?}");
                for change in changes {
                    self.control.apply(change);
                }
                self.accepted += 1;
            }
            Err(rule) => {
                assert_eq!(answer.refusal().2, rule, "{act:?}: {answer:?}");
                self.refused.insert(rule);
            }
        }
        self.stands().await;
    }

    /// The tables have what the rules say.
    async fn stands(&self) {
        let mut on = self.hub.eyes.acquire().await.unwrap();
        let mut found = standing::load(&mut on, &self.account, None, self.hub.now()).await.unwrap();
        let (all, _) = standing::recoveries(&mut on, &self.account, false, None, 10_000).await.unwrap();
        let all: BTreeMap<_, _> = all.into_iter().map(|(id, _, recovery)| (id, recovery)).collect();
        // A decision is shown those of the last 30 days alone, as they are in the table.
        for (id, recovery) in &found.recoveries {
            assert_eq!(all.get(id), Some(recovery));
        }
        found.recoveries = all;
        let mut expected = self.control.clone();
        expected.devices.retain(|_, standing| standing.speaks);
        assert_eq!(found, expected);
    }

    /// Time passes, and the hub ends what is over by then.
    async fn passes(&mut self, ms: i64) {
        self.hub.clock.pass_ms(ms);
        let now = self.hub.now();
        let over = |(id, one): (&RecordId, &Recovery)| {
            (one.stage.is_open() && one.ends_at <= now).then(|| (one.ends_at, id.to_string(), *id))
        };
        let mut due: Vec<(i64, String, RecordId)> = self.control.recoveries.iter().filter_map(over).collect();
        due.sort();
        for (_, _, id) in due {
            // One that came before may have ended it.
            if self.control.recoveries[&id].stage.is_open() {
                for change in self.control.decide(&Act::End { id, free: true }, now).unwrap() {
                    self.control.apply(change);
                }
            }
            while self.is_open(&id).await {
                self.hub.look();
                tokio::task::yield_now().await;
            }
        }
        self.stands().await;
    }

    async fn is_open(&self, id: &RecordId) -> bool {
        let mut on = self.hub.eyes.acquire().await.unwrap();
        standing::recovery(&mut on, id).await.unwrap().unwrap().1.stage.is_open()
    }

    async fn add_wallet(&mut self, which: usize, by: usize, signer: usize) {
        let person = self.with(by, signer);
        let body = person.joining(self.hub, &wallet(which)).await;
        let record = person.record(self.hub, "wallet@1", body);
        let act =
            Act::AddWallet { wallet: wallet_id(which), device: key(signer).device(), by: wallet_id(by) };
        self.goes(self.admits(signer, None), act, &record).await;
    }

    async fn revoke_wallet(&mut self, which: usize, by: usize, signer: usize) {
        let person = self.with(by, signer);
        let statement = revoke_statement(&self.account, &wallet_id(which));
        let word = says(self.hub, &person.wallet, statement).await;
        let body = json!({ "revoke": { "wallet": wallet_id(which), "by": word } });
        let record = person.record(self.hub, "wallet@1", body);
        let act =
            Act::RevokeWallet { wallet: wallet_id(which), device: key(signer).device(), by: wallet_id(by) };
        self.goes(self.admits(signer, None), act, &record).await;
    }

    async fn add_device(&mut self, which: usize, by: usize, signer: usize) {
        let person = self.with(by, signer);
        let word = message_for(self.hub, &person.wallet, &key(which)).await;
        let record = add(self.hub, &person, &key(signer), &word, &person.wallet);
        let act = Act::AddDevice { device: key(which).device(), by: wallet_id(by) };
        self.goes(self.admits(signer, Some(which)), act, &record).await;
    }

    async fn revoke_device(&mut self, which: usize, by: Option<usize>, signer: usize) {
        let device = key(which).device();
        let word = match by {
            Some(by) => says(self.hub, &wallet(by), silence_statement(&self.account, &device)).await,
            None => Value::Null,
        };
        let body = json!({ "revoke": { "device": device, "by": word } });
        let record = self.with(0, signer).record(self.hub, "device@1", body);
        let act = Act::RevokeDevice { device, signer: key(signer).device(), by: by.map(wallet_id) };
        self.goes(self.admits(signer, None), act, &record).await;
    }

    /// The first `count` guard it, and so many of them have to agree; nobody where there are none.
    async fn set_rule(&mut self, count: usize, threshold: u8, by: usize, signer: usize) {
        let guardians: Vec<RecordId> = self.guardians.iter().take(count).map(|one| one.account).collect();
        let (threshold, hours) = if guardians.is_empty() { (0, 0) } else { (threshold, 24) };
        let record = rule(self.hub, &self.with(by, signer), &guardians, threshold, hours).await;
        let rule = (!guardians.is_empty()).then(|| Rule {
            guardians: guardians.into_iter().collect(),
            threshold,
            delay_ms: 24 * HOUR_MS,
        });
        let act = Act::SetRule { rule, by: wallet_id(by) };
        self.goes(self.admits(signer, None), act, &record).await;
    }

    async fn add_passkey(&mut self, which: usize, sign_count: u32, by: usize, signer: usize) {
        let (person, one) = (self.with(by, signer), passkey(self.hub, which, sign_count));
        let body = one.joins(self.hub, &person).await;
        let record = person.record(self.hub, "passkey@1", body);
        let credential = encoded(&one.credential);
        let act = Act::AddPasskey { passkey: one.passkey(), credential, sign_count, by: wallet_id(by) };
        self.goes(self.admits(signer, None), act, &record).await;
    }

    async fn revoke_passkey(&mut self, which: usize, by: usize, signer: usize) {
        let (person, passkey) = (self.with(by, signer), passkey(self.hub, which, 0).passkey());
        let statement = revoke_passkey_statement(&self.account, &passkey);
        let word = says(self.hub, &person.wallet, statement).await;
        let body = json!({ "revoke": { "passkey": passkey.to_string(), "by": word } });
        let record = person.record(self.hub, "passkey@1", body);
        let act = Act::RevokePasskey { passkey, device: key(signer).device(), by: wallet_id(by) };
        self.goes(self.admits(signer, None), act, &record).await;
    }

    async fn bring_device(&mut self, which: usize, by: usize, sign_count: u32, signer: usize) {
        let one = passkey(self.hub, by, sign_count);
        let body = one.brings(self.hub, &key(which)).await;
        let record = self.with(0, signer).record(self.hub, "device@1", body);
        let act = Act::AddDeviceByPasskey { device: key(which).device(), passkey: one.passkey(), sign_count };
        self.goes(self.admits(signer, Some(which)), act, &record).await;
    }

    /// A guardian asks for wallet and device of one number.
    async fn ask(&mut self, guardian: usize, which: usize) {
        let record = ask(self.hub, &self.guardians[guardian], self.account, seed(which)).await;
        let id = Record::read(&record).unwrap().id;
        let guardian = self.guardians[guardian].account;
        let act = Act::Ask { id, guardian, wallet: wallet_id(which), device: key(which).device() };
        self.goes(Ok(()), act, &record).await;
        if self.control.recoveries.contains_key(&id) {
            self.asked.push(id);
        }
    }

    async fn approve(&mut self, guardian: usize, id: RecordId) {
        let guardian = &self.guardians[guardian];
        let record = private(self.hub, guardian, "recovery-approval@1", json!({}), Some(id));
        let act = Act::Approve { id, guardian: guardian.account };
        self.goes(Ok(()), act, &record).await;
    }

    async fn veto(&mut self, id: RecordId, by: usize, signer: usize) {
        let person = self.with(by, signer);
        let word = says(self.hub, &person.wallet, veto_statement(&self.account, &id)).await;
        let record = private(self.hub, &person, "recovery-veto@1", json!({ "by": word }), Some(id));
        self.goes(self.admits(signer, None), Act::Veto { id, by: wallet_id(by) }, &record).await;
    }

    async fn step(&mut self, (choice, one, two, three, signer, wait): Step) {
        // What is said twice is another record.
        self.passes(1).await;
        let recent = self.asked.iter().nth_back(one).copied();
        let count = if wait % 2 == 0 { 0 } else { u32::try_from(wait % 50).unwrap() };
        match (choice, recent) {
            (0, _) => self.passes(if three == 0 { 31 * 24 * HOUR_MS } else { wait }).await,
            (1, _) => self.add_wallet(one, two, signer).await,
            (2, _) => self.revoke_wallet(one, two, signer).await,
            (3 | 4, _) => self.add_device(one, two, if three < 2 { one } else { signer }).await,
            (5, _) => self.revoke_device(one, (three > 1).then_some(two), signer).await,
            (6, _) => self.set_rule(one, if one > 1 && three > 1 { 2 } else { 1 }, two, signer).await,
            (7, _) => self.add_passkey(one, count, two, signer).await,
            (8, _) => self.revoke_passkey(one, two, signer).await,
            (9, _) => self.bring_device(one, two, count, if three < 2 { one } else { signer }).await,
            (12..=14, Some(id)) => self.approve(two % GUARDIANS, id).await,
            (15, Some(id)) => self.veto(id, two, signer).await,
            _ => self.ask(two % GUARDIANS, three).await,
        }
    }

    /// Whatever came before: whoever has a wallet of it brings a device in and names guardians, and they give it to a new wallet.
    async fn is_recovered_at_last(&mut self) {
        self.passes(31 * 24 * HOUR_MS).await;
        let by = (0..KEYS).find(|nth| self.control.wallets.contains(&wallet_id(*nth))).unwrap();
        self.add_device(0, by, 0).await;
        self.set_rule(GUARDIANS, 2, by, 0).await;
        self.ask(0, KEYS).await;
        let id = *self.asked.last().unwrap();
        self.approve(1, id).await;
        self.passes(24 * HOUR_MS).await;
        assert_eq!(self.control.wallets, BTreeSet::from([wallet_id(KEYS)]));
    }
}

#[tokio::test]
async fn random_histories_of_control_go_as_its_rules_say_on_both() {
    for seed in seeds(STEPS) {
        for hub in TestHub::on_both().await {
            let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.wrapping_add(5); 32]);
            let mut runner = TestRunner::new_with_rng(Config::default(), rng);
            let mut history = History::begin(&hub).await;
            for _ in 0..STEPS {
                let step = steps().new_tree(&mut runner).unwrap().current();
                history.step(step).await;
            }
            history.is_recovered_at_last().await;
            let History { control, accepted, refused, .. } = history;
            println!("seed {seed}: {accepted} taken, {} recoveries, {refused:?}", control.recoveries.len());
            assert!(accepted > STEPS / 20 && !refused.is_empty());
            hub.end().await;
        }
    }
}

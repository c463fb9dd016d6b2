//! Who controls an account: pure rules over its wallets, devices, recovery rule and open recoveries. Needs no server.
//!
//! Wallets are the controllers: only a wallet's word adds or takes away a wallet, changes the recovery rule or vetoes a
//! recovery, and the last wallet stays. Devices speak by the word of a wallet or of one's passkey, and lose theirs with it.

mod passkeys;

use std::collections::{BTreeMap, BTreeSet};

use protocol::chain::AccountId;

pub(super) use passkeys::Keeper;

use super::{
    passkey::Passkey,
    recovery::{Stage, Step, step},
};
use crate::{
    error::Refusal,
    records::{Device, RecordId},
};

/// What an account may gather: everyone can look at it, and the hub asks for each wallet where its owner sits.
pub(super) const WALLETS_MAX: usize = 16;
pub(super) const PASSKEYS_MAX: usize = 16;
/// Devices that speak.
pub(super) const DEVICES_MAX: usize = 128;
/// How often a guardian may ask for an account within [`ASK_LIFE_MS`].
pub(super) const ASKS_MAX: usize = 8;
/// How many may guard an account.
pub(super) const GUARDIANS_MAX: usize = 8;
/// The shortest and the longest delay of a recovery, in hours.
pub(super) const DELAY_HOURS: std::ops::RangeInclusive<u32> = 24..=2_160;
/// How long guardians have to agree, in milliseconds: 30 days.
pub(super) const ASK_LIFE_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Whether a device may speak, and by which wallet's word; none for the hub's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub wallet: Option<AccountId>,
    /// The passkey that let it, where one did; it stands by the wallet's word itself.
    pub passkey: Option<Passkey>,
    pub speaks: bool,
}

impl Standing {
    /// How a device stands when that by whose word it spoke is gone: one that signs this goes over to the wallet that says it.
    fn after(&self, signs: bool, by: AccountId) -> Self {
        if signs {
            Self { wallet: Some(by), passkey: None, speaks: true }
        } else {
            Self { speaks: false, ..*self }
        }
    }
}

/// Who may bring an account back to whoever lost its wallets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub guardians: BTreeSet<RecordId>,
    /// How many of them have to agree.
    pub threshold: u8,
    /// How long a wallet of the account may veto once they have, in milliseconds.
    pub delay_ms: i64,
}

/// A recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recovery {
    /// The wallet that is to control the account, which signed for it.
    pub wallet: AccountId,
    /// The device that the wallet's word is for.
    pub device: Device,
    /// The guardian who asked.
    pub asked_by: RecordId,
    pub approvals: BTreeSet<RecordId>,
    pub stage: Stage,
    /// When the stage's time is over, in Unix milliseconds; when it ended, of one that has.
    pub ends_at: i64,
}

/// All that the rules look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Control {
    pub wallets: BTreeSet<AccountId>,
    pub passkeys: BTreeMap<Passkey, Keeper>,
    pub devices: BTreeMap<Device, Standing>,
    pub rule: Option<Rule>,
    pub recoveries: BTreeMap<RecordId, Recovery>,
}

/// What somebody wants, once signatures are known to be genuine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// The account begins.
    Begin {
        wallet: AccountId,
        device: Device,
    },
    /// Of two wallets' words: `by`'s, and that of `wallet`, which is also for the device.
    AddWallet {
        wallet: AccountId,
        device: Device,
        by: AccountId,
    },
    /// `device` signs, and stands by `by` from then on.
    RevokeWallet {
        wallet: AccountId,
        device: Device,
        by: AccountId,
    },
    AddDevice {
        device: Device,
        by: AccountId,
    },
    AddPasskey {
        passkey: Passkey,
        credential: String,
        sign_count: u32,
        by: AccountId,
    },
    /// `device` signs, and stands by `by` from then on where it stood by the passkey.
    RevokePasskey {
        passkey: Passkey,
        device: Device,
        by: AccountId,
    },
    AddDeviceByPasskey {
        device: Device,
        passkey: Passkey,
        sign_count: u32,
    },
    /// `signer` says it; of another device than itself by the word of a wallet.
    RevokeDevice {
        device: Device,
        signer: Device,
        by: Option<AccountId>,
    },
    SetRule {
        rule: Option<Rule>,
        by: AccountId,
    },
    /// A guardian asks for a recovery; that is his approval, too.
    Ask {
        id: RecordId,
        guardian: RecordId,
        wallet: AccountId,
        device: Device,
    },
    Approve {
        id: RecordId,
        guardian: RecordId,
    },
    Veto {
        id: RecordId,
        by: AccountId,
    },
    /// The hub says that the time is over; `free` when the wallet belongs to no other account.
    End {
        id: RecordId,
        free: bool,
    },
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    AddWallet(AccountId),
    DropWallet(AccountId),
    Passkey(Passkey, Keeper),
    DropPasskey(Passkey),
    Device(Device, Standing),
    Rule(Option<Rule>),
    Recovery(RecordId, Recovery),
}

/// Why it may not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("{0} is not a wallet of this account")]
    ForeignWallet(AccountId),
    #[error("{0} is the account's last wallet: add another one first")]
    LastWallet(AccountId),
    #[error("the word to take a wallet away comes from one that stays")]
    OwnWord,
    #[error("{0} is not a passkey of this account")]
    ForeignPasskey(Passkey),
    #[error("{0} is a passkey of this account already")]
    KnownPasskey(Passkey),
    #[error("{0} had signed {1} times and says {2} now: a copy of it may be about")]
    Counter(Passkey, u32, u32),
    #[error("{0} is not an authorised device of this account")]
    UnknownDevice(Device),
    #[error("a device takes away no word but its own: for {0} a wallet of the account has to speak, in `by`")]
    DeviceWord(Device),
    #[error("an account has at most {0} {1}")]
    Full(usize, &'static str),
    #[error("this account can be recovered by nobody: it has no rule")]
    NoRule,
    #[error("{0} is no guardian of this account")]
    NotGuardian(RecordId),
    #[error("{0} has agreed already")]
    AgreedAlready(RecordId),
    #[error("{0} has asked, and enough have agreed to it: that recovery has to end first")]
    AskedAlready(RecordId),
    #[error("{0} has asked {ASKS_MAX} times within 30 days, which is the most")]
    AskedOften(RecordId),
    #[error("{0} is a wallet of this account already")]
    KnownWallet(AccountId),
    #[error("enough guardians have agreed")]
    Enough,
    #[error("there is no recovery {0} of this account")]
    UnknownRecovery(RecordId),
    #[error("the recovery is {}", .0.name())]
    Closed(Stage),
    #[error("the recovery's time is not over before {0} (Unix milliseconds)")]
    TooEarly(i64),
    #[error("a rule has 1 to {GUARDIANS_MAX} guardians, and asks for 1 to all of them")]
    Threshold,
}

impl Refused {
    pub(super) const fn rule(&self) -> &'static str {
        match self {
            Self::ForeignWallet(_) => "wallet_unknown",
            Self::LastWallet(_) => "wallet_last",
            Self::OwnWord => "wallet_own_word",
            Self::ForeignPasskey(_) => "passkey_unknown",
            Self::KnownPasskey(_) => "passkey_known",
            Self::Counter(..) => "passkey_counter",
            Self::UnknownDevice(_) => "device_unknown",
            Self::DeviceWord(_) => "device_word",
            Self::Full(..) => "account_full",
            Self::NoRule => "recovery_no_rule",
            Self::NotGuardian(_) => "recovery_guardian",
            Self::AgreedAlready(_) => "recovery_agreed",
            Self::AskedAlready(_) => "recovery_asked",
            Self::AskedOften(_) => "recovery_often",
            Self::KnownWallet(_) => "wallet_known",
            Self::Enough => "recovery_enough",
            Self::UnknownRecovery(_) => "recovery_unknown",
            Self::Closed(_) => "recovery_closed",
            Self::TooEarly(_) => "recovery_early",
            Self::Threshold => "recovery_threshold",
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let (rule, detail) = (refused.rule(), refused.to_string());
        match refused {
            Refused::ForeignWallet(_)
            | Refused::OwnWord
            | Refused::DeviceWord(_)
            | Refused::ForeignPasskey(_)
            | Refused::Counter(..) => Self::access(rule, "/body", detail),
            Refused::NotGuardian(_) => Self::access(rule, "/author", detail),
            Refused::Threshold => Self::rule(rule, "/body/threshold", detail),
            Refused::UnknownRecovery(_) | Refused::NoRule => Self::rule(rule, "/about", detail),
            Refused::Closed(_)
            | Refused::Enough
            | Refused::AgreedAlready(_)
            | Refused::AskedAlready(_)
            | Refused::AskedOften(_)
            | Refused::TooEarly(_) => Self::conflict(rule, "/about", detail),
            _ => Self::conflict(rule, "/body", detail),
        }
    }
}

impl Rule {
    /// Whether it can be kept at all.
    pub(super) fn sound(&self) -> Result<(), Refused> {
        let count = self.guardians.len();
        let fits = (1..=GUARDIANS_MAX).contains(&count) && (1..=count).contains(&usize::from(self.threshold));
        if fits { Ok(()) } else { Err(Refused::Threshold) }
    }
}

impl Control {
    fn controls(&self, wallet: AccountId) -> Result<(), Refused> {
        if self.wallets.contains(&wallet) { Ok(()) } else { Err(Refused::ForeignWallet(wallet)) }
    }

    fn guards(&self, guardian: RecordId) -> Result<&Rule, Refused> {
        let rule = self.rule.as_ref().ok_or(Refused::NoRule)?;
        if rule.guardians.contains(&guardian) { Ok(rule) } else { Err(Refused::NotGuardian(guardian)) }
    }

    fn recovery(&self, id: RecordId) -> Result<&Recovery, Refused> {
        self.recoveries.get(&id).ok_or(Refused::UnknownRecovery(id))
    }

    fn device(&self, device: Device, wallet: AccountId, passkey: Option<Passkey>) -> Result<Change, Refused> {
        let speaking = self.devices.iter().filter(|(one, standing)| standing.speaks && **one != device);
        if speaking.count() >= DEVICES_MAX {
            return Err(Refused::Full(DEVICES_MAX, "devices"));
        }
        Ok(Change::Device(device, Standing { wallet: Some(wallet), passkey, speaks: true }))
    }

    /// The open recoveries but one, ended by `by`.
    fn ended(&self, but: Option<RecordId>, by: Step, now: i64) -> Vec<Change> {
        let open = self.recoveries.iter().filter(|(id, one)| Some(**id) != but && one.stage.is_open());
        open.filter_map(|(id, one)| {
            let stage = step(one.stage, by).ok()?;
            Some(Change::Recovery(*id, Recovery { stage, ends_at: now, ..one.clone() }))
        })
        .collect()
    }

    fn agreed(
        &self,
        rule: &Rule,
        recovery: Recovery,
        guardian: RecordId,
        now: i64,
    ) -> Result<Recovery, Refused> {
        let mut next = recovery;
        let new = next.approvals.insert(guardian);
        // Who was a guardian when he agreed and is none any more does not count.
        let count = next.approvals.intersection(&rule.guardians).count();
        let enough = count >= usize::from(rule.threshold);
        next.stage = step(next.stage, if enough { Step::Suffice } else { Step::Approve })?;
        if !new {
            return Err(Refused::AgreedAlready(guardian));
        }
        if enough {
            next.ends_at = now.saturating_add(rule.delay_ms);
        }
        Ok(next)
    }

    /// What an act brings about at a moment, or why it may not be.
    pub(super) fn decide(&self, act: &Act, now: i64) -> Result<Vec<Change>, Refused> {
        match act {
            Act::Begin { wallet, device } => {
                Ok(vec![Change::AddWallet(*wallet), self.device(*device, *wallet, None)?])
            }
            Act::AddWallet { wallet, device, by } => {
                self.controls(*by)?;
                if self.wallets.len() >= WALLETS_MAX && !self.wallets.contains(wallet) {
                    return Err(Refused::Full(WALLETS_MAX, "wallets"));
                }
                Ok(vec![Change::AddWallet(*wallet), self.device(*device, *wallet, None)?])
            }
            Act::RevokeWallet { wallet, device, by } => {
                self.controls(*by)?;
                self.controls(*wallet)?;
                if self.wallets.len() == 1 {
                    return Err(Refused::LastWallet(*wallet));
                }
                if by == wallet {
                    return Err(Refused::OwnWord);
                }
                let mut changes = vec![Change::DropWallet(*wallet)];
                changes.extend(self.passkeys_of(*wallet));
                for (one, standing) in &self.devices {
                    if standing.wallet == Some(*wallet) && standing.speaks {
                        changes.push(Change::Device(*one, standing.after(one == device, *by)));
                    }
                }
                Ok(changes)
            }
            Act::AddDevice { device, by } => {
                self.controls(*by)?;
                Ok(vec![self.device(*device, *by, None)?])
            }
            Act::AddPasskey { passkey, credential, sign_count, by } => {
                self.add_passkey(*passkey, credential, *sign_count, *by)
            }
            Act::RevokePasskey { passkey, device, by } => self.revoke_passkey(*passkey, *device, *by),
            Act::AddDeviceByPasskey { device, passkey, sign_count } => {
                self.device_by_passkey(*device, *passkey, *sign_count)
            }
            // Wallets outrank devices: a stolen one silences none of those that its owner brings in.
            Act::RevokeDevice { device, signer, by } => {
                match by {
                    Some(wallet) => self.controls(*wallet)?,
                    None if device == signer => {}
                    None => return Err(Refused::DeviceWord(*device)),
                }
                match self.devices.get(device) {
                    Some(standing) if standing.speaks => {
                        Ok(vec![Change::Device(*device, Standing { speaks: false, ..*standing })])
                    }
                    _ => Err(Refused::UnknownDevice(*device)),
                }
            }
            Act::SetRule { rule, by } => {
                self.controls(*by)?;
                rule.as_ref().map_or(Ok(()), Rule::sound)?;
                let mut changes = self.ended(None, Step::Veto, now);
                changes.push(Change::Rule(rule.clone()));
                Ok(changes)
            }
            Act::Ask { id, guardian, wallet, device } => self.asked(*id, *guardian, *wallet, *device, now),
            Act::Approve { id, guardian } => {
                let rule = self.guards(*guardian)?;
                let next = self.agreed(rule, self.recovery(*id)?.clone(), *guardian, now)?;
                Ok(vec![Change::Recovery(*id, next)])
            }
            Act::Veto { id, by } => {
                self.controls(*by)?;
                let recovery = self.recovery(*id)?;
                let stage = step(recovery.stage, Step::Veto)?;
                Ok(vec![Change::Recovery(*id, Recovery { stage, ends_at: now, ..recovery.clone() })])
            }
            Act::End { id, free } => self.over(*id, *free, now),
        }
    }

    /// A guardian who asks again takes back what he asked before. So he has one open at a time; while enough have agreed to
    /// that one, he asks for no other.
    fn asked(
        &self,
        id: RecordId,
        guardian: RecordId,
        wallet: AccountId,
        device: Device,
        now: i64,
    ) -> Result<Vec<Change>, Refused> {
        let rule = self.guards(guardian)?;
        if self.wallets.contains(&wallet) {
            return Err(Refused::KnownWallet(wallet));
        }
        let own = || self.recoveries.values().filter(|one| one.asked_by == guardian);
        if own().any(|one| one.stage == Stage::Waiting) {
            return Err(Refused::AskedAlready(guardian));
        }
        let since = now.saturating_sub(ASK_LIFE_MS);
        if own().filter(|one| one.stage.is_open() || one.ends_at > since).count() >= ASKS_MAX {
            return Err(Refused::AskedOften(guardian));
        }
        let mut changes = Vec::new();
        for (former, one) in &self.recoveries {
            if one.asked_by == guardian && one.stage == Stage::Asked {
                let stage = step(one.stage, Step::Overtaken)?;
                changes.push(Change::Recovery(*former, Recovery { stage, ends_at: now, ..one.clone() }));
            }
        }
        let recovery = Recovery {
            wallet,
            device,
            asked_by: guardian,
            approvals: BTreeSet::new(),
            stage: Stage::Asked,
            ends_at: now.saturating_add(ASK_LIFE_MS),
        };
        changes.push(Change::Recovery(id, self.agreed(rule, recovery, guardian, now)?));
        Ok(changes)
    }

    /// A stage's time is over: the recovery lapses, or the account goes to its new wallet and nobody else.
    fn over(&self, id: RecordId, free: bool, now: i64) -> Result<Vec<Change>, Refused> {
        let recovery = self.recovery(id)?;
        let stage = step(recovery.stage, if free { Step::TimeOver } else { Step::Overtaken })?;
        if now < recovery.ends_at {
            return Err(Refused::TooEarly(recovery.ends_at));
        }
        let mut changes = vec![Change::Recovery(id, Recovery { stage, ends_at: now, ..recovery.clone() })];
        if stage != Stage::Recovered {
            return Ok(changes);
        }
        changes.extend(self.ended(Some(id), Step::Overtaken, now));
        changes.extend(self.wallets.iter().map(|wallet| Change::DropWallet(*wallet)));
        changes.extend(self.passkeys.keys().map(|passkey| Change::DropPasskey(*passkey)));
        for (device, standing) in &self.devices {
            if standing.speaks && *device != recovery.device {
                changes.push(Change::Device(*device, Standing { speaks: false, ..*standing }));
            }
        }
        changes.push(Change::AddWallet(recovery.wallet));
        let standing = Standing { wallet: Some(recovery.wallet), passkey: None, speaks: true };
        changes.push(Change::Device(recovery.device, standing));
        Ok(changes)
    }

    /// Makes a change in memory, as the store makes it in its tables.
    #[cfg(test)]
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::AddWallet(wallet) => drop(self.wallets.insert(wallet)),
            Change::DropWallet(wallet) => drop(self.wallets.remove(&wallet)),
            Change::Passkey(passkey, keeper) => drop(self.passkeys.insert(passkey, keeper)),
            Change::DropPasskey(passkey) => drop(self.passkeys.remove(&passkey)),
            Change::Device(device, standing) => drop(self.devices.insert(device, standing)),
            Change::Rule(rule) => self.rule = rule,
            Change::Recovery(id, recovery) => drop(self.recoveries.insert(id, recovery)),
        }
    }
}

//! Passkeys let devices speak, and nothing else: only a wallet's word adds one or takes one away. Each stands by the word of one
//! wallet, and goes with it; its devices go with either.

use protocol::chain::AccountId;

use super::{Change, Control, PASSKEYS_MAX, Refused, Standing};
use crate::{identity::passkey::Passkey, records::Device};

/// How a passkey stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::identity) struct Keeper {
    /// By whose word.
    pub wallet: AccountId,
    /// The id that browsers know it by.
    pub credential: String,
    /// How often its authenticator had signed when it was last heard; 0 of one that does not count.
    pub sign_count: u32,
}

impl Control {
    pub(super) fn add_passkey(
        &self,
        passkey: Passkey,
        credential: &str,
        sign_count: u32,
        by: AccountId,
    ) -> Result<Vec<Change>, Refused> {
        self.controls(by)?;
        if self.passkeys.contains_key(&passkey) {
            return Err(Refused::KnownPasskey(passkey));
        }
        if self.passkeys.len() >= PASSKEYS_MAX {
            return Err(Refused::Full(PASSKEYS_MAX, "passkeys"));
        }
        Ok(vec![Change::Passkey(
            passkey,
            Keeper { wallet: by, credential: credential.to_owned(), sign_count },
        )])
    }

    /// `signer` signs, and where it stood by the passkey's word it stands by the wallet's from then on.
    pub(super) fn revoke_passkey(
        &self,
        passkey: Passkey,
        signer: Device,
        by: AccountId,
    ) -> Result<Vec<Change>, Refused> {
        self.controls(by)?;
        if !self.passkeys.contains_key(&passkey) {
            return Err(Refused::ForeignPasskey(passkey));
        }
        let mut changes = vec![Change::DropPasskey(passkey)];
        let stands = |standing: &Standing| standing.passkey == Some(passkey) && standing.speaks;
        for (device, standing) in self.devices.iter().filter(|(_, standing)| stands(standing)) {
            changes.push(Change::Device(*device, standing.after(*device == signer, by)));
        }
        Ok(changes)
    }

    /// A count that does not go up is of an authenticator that somebody has copied; one that is always 0 counts nothing, as that of
    /// passkeys which go from machine to machine.
    pub(super) fn device_by_passkey(
        &self,
        device: Device,
        passkey: Passkey,
        sign_count: u32,
    ) -> Result<Vec<Change>, Refused> {
        let keeper = self.passkeys.get(&passkey).ok_or(Refused::ForeignPasskey(passkey))?;
        let had = keeper.sign_count;
        if sign_count <= had && (sign_count, had) != (0, 0) {
            return Err(Refused::Counter(passkey, had, sign_count));
        }
        let joins = self.device(device, keeper.wallet, Some(passkey))?;
        Ok(vec![Change::Passkey(passkey, Keeper { sign_count, ..keeper.clone() }), joins])
    }

    /// The passkeys that stand by a wallet's word go with it.
    pub(super) fn passkeys_of(&self, wallet: AccountId) -> impl Iterator<Item = Change> {
        self.passkeys
            .iter()
            .filter(move |(_, keeper)| keeper.wallet == wallet)
            .map(|(passkey, _)| Change::DropPasskey(*passkey))
    }
}

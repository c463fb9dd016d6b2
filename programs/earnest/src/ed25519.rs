//! Who agrees: an account that signs the transaction, an Ed25519 signature that the transaction brings along, or an
//! approval on chain.

use anchor_lang::prelude::*;
use solana_instructions_sysvar::load_instruction_at_checked;
use solana_sdk_ids::ed25519_program;

use crate::{
    digest::Signable,
    errors::Refusal,
    state::{self, seeds, Consent},
};

/// Bytes of the head of an Ed25519 instruction: the number of its entries and a byte that says nothing.
const HEAD: usize = 2;
/// Bytes of one entry: seven numbers of two bytes.
const ENTRY: usize = 14;
/// An entry's word for "this very instruction".
const ITSELF: u16 = u16::MAX;

/// Where in the transaction an Ed25519 signature stands.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of the Ed25519 instruction in the transaction.
    pub instruction: u8,
    /// Index of the entry in it.
    pub entry: u8,
}

/// An action asked in the name of an account that does not sign the transaction.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Whose name.
    pub signer: Pubkey,
    /// Unix seconds; part of every signed action but release and refund, where it is not read.
    pub valid_until: u64,
    /// Its signature; none where it approved on chain.
    pub place: Option<Place>,
}

/// Who asks for an action.
#[derive(Accounts)]
pub struct Authority<'info> {
    /// Who asks, for itself or for somebody else.
    pub caller: Signer<'info>,
    /// CHECK: what the signer said of the digest on chain: its address follows from both. Nobody's where the caller asks for itself.
    pub consent: Option<UncheckedAccount<'info>>,
    /// CHECK: the transaction's instructions, where an Ed25519 signature is among them.
    #[account(address = sysvar_id())]
    pub instructions: Option<UncheckedAccount<'info>>,
}

/// The account that shows a transaction's instructions.
pub fn sysvar_id() -> Pubkey {
    solana_instructions_sysvar::ID
}

/// Something signed: by whom, as what, and over which digest.
#[derive(Clone, Copy, Debug)]
pub struct Claimed<'a> {
    /// Who is said to have signed.
    pub signer: Pubkey,
    /// As what.
    pub action: Signable,
    /// Over what.
    pub digest: &'a [u8; 32],
    /// Whether the signer can take it back.
    pub revocable: bool,
}

impl Authority<'_> {
    /// The account in whose name the action is asked.
    pub fn account(&self, signed: &Option<Signed>) -> Pubkey {
        signed.map_or_else(|| self.caller.key(), |signed| signed.signer)
    }

    /// That `expected` asks for the action, by itself or by its signature.
    ///
    /// # Errors
    /// `otherwise` where the caller asks for itself and is somebody else; else `InvalidSignature` or `SignatureRevoked`.
    pub fn require(
        &self,
        expected: Pubkey,
        otherwise: Refusal,
        signed: &Option<Signed>,
        action: Signable,
        digest: &[u8; 32],
        revocable: bool,
    ) -> Result<()> {
        let Some(signed) = signed else {
            return if self.caller.key() == expected { Ok(()) } else { Err(otherwise.into()) };
        };
        require!(signed.signer == expected, Refusal::InvalidSignature);
        let claimed = Claimed { signer: expected, action, digest, revocable };
        let consent = self.consent.as_ref().map(|account| account.as_ref());
        let instructions = self.instructions.as_ref().map(|account| account.as_ref());
        verify(&claimed, signed.place, consent, instructions)
    }
}

/// That a signed action comes in time.
///
/// # Errors
/// `SignatureExpired`.
pub fn check_time(signed: &Option<Signed>, now: u64) -> Result<()> {
    let late = signed.is_some_and(|signed| now > signed.valid_until);
    require!(!late, Refusal::SignatureExpired);
    Ok(())
}

/// That the signer agrees to the digest: by the Ed25519 signature at `place`, or by its approval on chain; and that it did
/// not revoke it, where it can.
///
/// # Errors
/// `InvalidSignature`, `SignatureRevoked`, or what is wrong with the accounts.
pub fn verify(
    claimed: &Claimed<'_>,
    place: Option<Place>,
    consent: Option<&AccountInfo<'_>>,
    instructions: Option<&AccountInfo<'_>>,
) -> Result<()> {
    if let Some(place) = place {
        let instructions = instructions.ok_or(Refusal::WrongAccount)?;
        let line = claimed.action.line(claimed.digest);
        require!(is_signed(instructions, place, &claimed.signer, &line)?, Refusal::InvalidSignature);
        if !claimed.revocable {
            return Ok(());
        }
    }
    let said = said(claimed, consent.ok_or(Refusal::WrongAccount)?)?;
    require!(!(claimed.revocable && said.revoked), Refusal::SignatureRevoked);
    require!(place.is_some() || said.approved, Refusal::InvalidSignature);
    Ok(())
}

/// What the signer said of the digest on chain: neither where it said nothing.
fn said(claimed: &Claimed<'_>, account: &AccountInfo<'_>) -> Result<Consent> {
    let seeds = &[seeds::CONSENT, claimed.signer.as_ref(), claimed.digest];
    let (address, _) = Pubkey::find_program_address(seeds, &crate::ID);
    require_keys_eq!(*account.key, address, Refusal::WrongAccount);
    if state::is_empty(account) {
        return Ok(Consent::default());
    }
    let data = account.try_borrow_data()?;
    Consent::try_deserialize(&mut data.as_ref())
}

/// Whether the entry at `place` is a signature of `signer` over `line`.
fn is_signed(instructions: &AccountInfo<'_>, place: Place, signer: &Pubkey, line: &[u8]) -> Result<bool> {
    Signatures::load(instructions, place.instruction)?.is_signed(place.entry, signer, line)
}

/// The signatures that an Ed25519 instruction of the transaction carries. The runtime checks every entry of every such
/// instruction, and where one is wrong nothing of the transaction holds: so it is enough to see what is checked.
pub struct Signatures {
    instruction: u8,
    data: Vec<u8>,
}

impl Signatures {
    /// Those of the transaction's instruction of that index.
    ///
    /// # Errors
    /// `BadEd25519` where it is no Ed25519 instruction.
    pub fn load(instructions: &AccountInfo<'_>, instruction: u8) -> Result<Self> {
        let found = load_instruction_at_checked(instruction.into(), instructions);
        let found = found.map_err(|_| Refusal::BadEd25519)?;
        require!(found.program_id == ed25519_program::ID, Refusal::BadEd25519);
        Ok(Self { instruction, data: found.data })
    }

    /// Whether an entry is a signature of `signer` over `line`. All of its three parts must lie in this very instruction,
    /// for a part in another one may be anything by now.
    ///
    /// # Errors
    /// `BadEd25519` where there is no such entry, or one of its parts lies elsewhere.
    pub fn is_signed(&self, entry: u8, signer: &Pubkey, line: &[u8]) -> Result<bool> {
        let data = self.data.as_slice();
        let count = data.first().copied().unwrap_or_default();
        require!(entry < count, Refusal::BadEd25519);
        let start = HEAD + ENTRY * usize::from(entry);
        let entry = data.get(start..start + ENTRY).ok_or(Refusal::BadEd25519)?;
        let number = |at: usize| u16::from_le_bytes([entry[at], entry[at + 1]]);
        let itself = |at: usize| matches!(number(at), ITSELF) || number(at) == u16::from(self.instruction);
        // signature offset, its instruction, key offset, its instruction, message offset, message size, its instruction
        require!(itself(2) && itself(6) && itself(12), Refusal::BadEd25519);
        let part = |at: usize, size: usize| {
            let from = usize::from(number(at));
            // Nothing that is signed or signs may lie among the numbers that say where it lies.
            (from >= HEAD + ENTRY * usize::from(count)).then(|| data.get(from..from + size)).flatten()
        };
        let key = part(4, 32).ok_or(Refusal::BadEd25519)?;
        let message = part(8, usize::from(number(10))).ok_or(Refusal::BadEd25519)?;
        require!(part(0, 64).is_some(), Refusal::BadEd25519);
        Ok(key == signer.as_ref() && message == line)
    }
}

//! Who speaks. An account is the id of its first `identity@1` record, in which a wallet authorises a device by an
//! CAIP-122 message; devices sign everything after that. Wallets are the controllers: whoever holds one adds and takes away
//! wallets (`wallet@1`), adds a device (`device@1`) when all others are lost, and says who may recover the account when all
//! wallets are (`recovery-rule@1`, `recovery@1`). A wallet also lets passkeys (`passkey@1`) add devices.
//!
//! `control.rs` (the rules: who controls an account), `recovery.rs` (the table of recoveries), `model.rs` (bodies, and what wallets say
//! in them), `siwx.rs` (the message: text, grammar, what this hub demands of it), `wallet.rs` (EIP-191, ERC-1271 and Ed25519
//! signatures), `passkey.rs` (what passkeys say) and `webauthn.rs` (the bytes by which they do), `nonce.rs` (issued without being
//! kept), `standing.rs` and `store.rs` (tables), `sessions.rs` and `tokens.rs` (who is asking), `personhood` (who is a person),
//! `room.rs` (what `submit` asks), `timer.rs`, `api.rs`, `page.rs` (where people make and use passkeys).

pub(crate) mod api;
mod control;
mod model;
pub(crate) mod nonce;
pub(crate) mod page;
mod passkey;
mod personhood;
mod recovery;
mod room;
mod sessions;
mod siwx;
mod standing;
mod store;
#[cfg(test)]
mod tests;
mod timer;
pub(crate) mod tokens;
mod wallet;
mod webauthn;

pub(crate) use api::wallets_or_not_found;
pub use api::{
    AccountView, DeviceView, PasskeyView, PersonhoodView, ProfileView, ProofView, RecoveriesView,
    RecoveryView, RuleView, SignInFields,
};
pub(crate) use model::{Authorisation, check_name};
pub use model::{
    DeviceBody, HubBody, IdentityBody, ProfileBody, RecoveryBody, RecoveryRuleBody, RecoveryStepBody,
    RecoveryVetoBody, WalletAuthorisation, WalletBody, add_statement, revoke_statement, rule_statement,
    session_request, silence_statement, token_request, veto_statement, word_in,
};
pub use passkey::{
    Passkey, PasskeyBody, PasskeyError, PasskeyWord, creation_statement, device_statement, passkey_statement,
    revoke_passkey_statement,
};
pub use personhood::Claim;
pub(crate) use personhood::brightid::{Node as BrightId, signer as brightid_signer};
pub(crate) use personhood::store::{is_person, proofs};
pub(crate) use room::{TABLES, admit, apply, check, erased, prepare, use_up_nonce};
pub(crate) use sessions::{caller, stands as session_stands};
pub use siwx::{SignIn, SignInError};
pub(crate) use store::{account_exists, account_of_wallet, speaking, use_nonce, wallets_of, wallets_on};
pub(crate) use timer::{RECOVERIES, say_end};
pub use tokens::{SessionToken, TokenRequest, TokenView};
pub(crate) use wallet::{contract_accepts, signed};
pub use webauthn::challenge as passkey_challenge;

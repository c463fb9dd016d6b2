//! Who speaks. An account is the id of its first `identity@1` record, in which a wallet authorises a device by an
//! CAIP-122 message; devices sign everything after that. Wallets are the root: whoever holds one can add a device
//! (`device@1`) when all others are lost, and revoke those.
//!
//! `siwx.rs` (the message: text, grammar, what this hub demands of it), `model.rs` (bodies and pure rules), `wallet.rs`
//! (EIP-191, ERC-1271 and Ed25519 signatures), `nonce.rs` (issued without being kept), `store.rs` (accounts, devices, used nonces,
//! sessions), `room.rs` (what `submit` asks), `api.rs`.

pub(crate) mod api;
mod model;
pub(crate) mod nonce;
mod room;
mod siwx;
mod store;
#[cfg(test)]
mod tests;
mod wallet;

pub use api::{AccountView, DeviceView, SessionToken, SignInFields};
pub(crate) use model::{Authorisation, check_name};
pub use model::{DeviceBody, HubBody, IdentityBody, WalletAuthorisation, session_request};
pub(crate) use room::{TABLES, admit, apply, check, prepare, use_up_nonce};
pub use siwx::{SignIn, SignInError};
pub(crate) use store::{account_exists, account_of_wallet, use_nonce, wallets_of};
pub(crate) use wallet::{contract_accepts, signed};

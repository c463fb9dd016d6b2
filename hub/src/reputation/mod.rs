//! Credentials (W3C Verifiable Credentials 2.0): what the parties of a completed deal say of one another, what whoever paid in
//! hours says of what it was for, and what the hub says of a lost dispute. Every one rests on an outcome that anyone can look up; a deal is completed whether or not anyone
//! issues one. The plan of the whole is docs/credentials.md.
//!
//! Without a server:
//! - `kinds.rs`: the one table of kinds: who issues, about whom, from which outcome
//! - `vc.rs`: the form of every credential, and the two ways to secure one; `jose.rs`: tokens and keys by JOSE
//! - `model.rs`: credentials about deals, [`model::issue`] and [`model::verify`]
//! - `exchange.rs`: credentials about payments in hours; `loss.rs`: about who lost before a jury of members; `plain.rs`: the form of those that rest on no deal; `heading.rs`: what every credential tells
//! - `status.rs`: lists in which a revocation shows
//! - `issuance.rs`: what is issued to a wallet's key (OpenID4VCI), and the proof that it has the key
//! - `score.rs`: the explained score
//! - `bundle.rs`, `bundle/`: a deal or a grievance in one file, and how anyone checks it
//! - `presentation.rs`: credentials shown by whoever has the key
//!
//! In the hub:
//! - `room.rs`: what `submit` asks, and the hub's own credential; `exchanges.rs`: the same of payments; `losses.rs`: of rulings on grievances
//! - `personhood.rs`: what the hub says of a person
//! - `openid.rs`, `offers.rs`: OpenID4VCI over HTTP; `verifier.rs`: presentations over HTTP
//! - `store.rs`, `api.rs`, `lists.rs` (the lists over HTTP), `scores.rs`, `bundles.rs` (what they are named after, over HTTP)

pub(crate) mod api;
pub mod bundle;
mod bundles;
pub mod exchange;
mod exchanges;
pub mod heading;
pub mod issuance;
pub mod jose;
pub mod kinds;
mod lists;
pub mod loss;
mod losses;
pub mod model;
mod offers;
mod openid;
pub(crate) mod personhood;
mod plain;
pub mod presentation;
mod room;
pub mod score;
mod scores;
pub mod status;
mod store;
#[cfg(test)]
pub(crate) mod tests;
pub mod vc;
mod verifier;

pub use api::CredentialView;
pub(crate) use exchanges::unpaid;
pub use lists::OpenList;
pub(crate) use losses::ruled;
pub use openid::{Offer, OfferRequest};
pub use personhood::NAME as PROOF_OF_PERSONHOOD;
pub use room::RevocationBody;
pub(crate) use room::{TABLES, apply, check, follow, holder, prepare, revocation};
pub use scores::{AccountReputationView, BroughtView, ReputationView, SAID_MAX};
pub use verifier::{PresentationRequest, PresentationView, ShownView};

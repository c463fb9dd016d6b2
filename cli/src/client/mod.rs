//! What a person's own software does: keys, records, the hub over HTTP and the chain over JSON-RPC. The verbs of the
//! command line and the sample trades of `up` are made of this and of nothing else.
//!
//! `chain`, `acts` and `wallet` are the same on every kind of chain; `evm` and `solana` are what they stand on.

pub mod acts;
pub mod asks;
pub mod chain;
pub mod credential;
pub mod deal_check;
pub mod dispute;
pub mod events;
pub mod evm;
pub mod http;
pub mod hub;
pub mod kept;
pub mod openid;
pub mod personhood;
pub mod profile;
pub mod records;
pub mod reputation;
pub mod solana;
pub mod trade;
pub mod wallet;

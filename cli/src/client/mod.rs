//! What a person's own software does: keys, records, the hub over HTTP and the chain over JSON-RPC. The verbs of the
//! command line and the sample trades of `up` are made of this and of nothing else.

pub mod chain;
pub mod contracts;
pub mod credential;
pub mod deal_check;
pub mod deployment;
pub mod dispute;
pub mod facts;
pub mod http;
pub mod hub;
pub mod profile;
pub mod trade;

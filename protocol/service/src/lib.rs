//! What every service of Earnest stands on, and nothing of what any of them does: the database, the HTTP shell,
//! configuration, logging, time, and the points at which tests kill a process.

pub mod clock;
pub mod config;
pub mod db;
pub mod failpoint;
pub mod http;
pub mod rpc;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod telemetry;

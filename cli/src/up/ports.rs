//! Ports on 127.0.0.1: the ones asked for, the ones of the last run, the usual ones, and free ones where those are taken.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result, bail};

/// The usual port of the chain.
pub const CHAIN: u16 = 8545;
/// The usual port of the hub.
pub const HUB: u16 = 7401;
/// The usual port of the indexer.
pub const INDEXER: u16 = 7402;
/// The usual port of the relayer.
pub const RELAYER: u16 = 7403;
/// The usual port of the local Solana chain; WebSocket is at the next one.
pub const SOLANA: u16 = 8899;
/// The usual port of its indexer.
pub const SOLANA_INDEXER: u16 = 7412;
/// The usual port of its relayer.
pub const SOLANA_RELAYER: u16 = 7413;

/// A port that is free now. One that was asked for by name is never replaced by another.
pub fn choose(name: &str, asked: Option<u16>, last: Option<u16>, usual: u16) -> Result<u16> {
    if let Some(port) = asked {
        if !is_free(port) {
            bail!("--{name}-port {port}: the port is taken: name another, or leave the choice to `up`");
        }
        return Ok(port);
    }
    if let Some(port) = last.into_iter().chain([usual]).find(|port| is_free(*port)) {
        return Ok(port);
    }
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free on 127.0.0.1")?;
    Ok(free.local_addr().context("no port is free on 127.0.0.1")?.port())
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The port of `http://127.0.0.1:PORT`.
pub fn of(url: &str) -> Option<u16> {
    url.rsplit_once(':')?.1.parse().ok()
}

/// `http://127.0.0.1:PORT`.
pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

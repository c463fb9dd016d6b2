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

/// A port that is free now, and with it as many of the following ones as make `width`. One that was asked for by name is
/// never replaced by another.
pub fn choose(name: &str, asked: Option<u16>, last: Option<u16>, usual: u16, width: u16) -> Result<u16> {
    if let Some(port) = asked {
        if !is_free(port, width) {
            let beside = if width > 1 { " or the one after it" } else { "" };
            bail!(
                "--{name}-port {port}: the port{beside} is taken: name another, or leave the choice to `up`"
            );
        }
        return Ok(port);
    }
    if let Some(port) = last.into_iter().chain([usual]).find(|port| is_free(*port, width)) {
        return Ok(port);
    }
    for _ in 0..TRIES {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free on 127.0.0.1")?;
        let port = free.local_addr().context("no port is free on 127.0.0.1")?.port();
        drop(free);
        if is_free(port, width) {
            return Ok(port);
        }
    }
    bail!("no {width} ports in a row are free on 127.0.0.1")
}

/// How often the system is asked for a port.
const TRIES: usize = 100;

fn is_free(port: u16, width: u16) -> bool {
    (0..width).all(|more| {
        port.checked_add(more).is_some_and(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
    })
}

/// The port of `http://127.0.0.1:PORT`.
pub fn of(url: &str) -> Option<u16> {
    url.rsplit_once(':')?.1.parse().ok()
}

/// `http://127.0.0.1:PORT`.
pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

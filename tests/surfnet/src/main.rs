//! A local Solana node with the program, for `earnest up --solana` and for trying things out. Runs until it is stopped.

use anyhow::ensure;
use clap::Parser;
use protocol::solana::{self, Pubkey};
use surfnet::{ENDOWMENT, Ports, SLOT_MS, Surfnet};
use tokio::signal::unix::{SignalKind, signal};

/// A local Solana node with the program, without anything that lasts: every start is a new chain.
#[derive(Parser)]
struct Arguments {
    /// The port of JSON-RPC over HTTP; WebSocket is at the next one.
    #[arg(long, default_value_t = 8899, value_parser = clap::value_parser!(u16).range(1..=65_534))]
    port: u16,
    /// Milliseconds of a slot.
    #[arg(long, default_value_t = SLOT_MS, value_parser = clap::value_parser!(u64).range(10..=10_000))]
    slot_ms: u64,
    /// An account to give 1,000 SOL to; as often as needed.
    #[arg(long)]
    endow: Vec<Pubkey>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // Before anything can be stopped: a signal that comes early must not be lost.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let ports = Ports { rpc: arguments.port, ws: arguments.port.saturating_add(1) };
    let surfnet = Surfnet::launch(ports, arguments.slot_ms).await?;
    for account in &arguments.endow {
        surfnet.endow(account, ENDOWMENT).await;
    }
    let there = surfnet.rpc().get_account(&solana::program()).await?;
    ensure!(there.executable, "the program is not executable");
    println!("rpc {}", surfnet.rpc_url());
    println!("ws {}", surfnet.ws_url());
    println!("genesis {}", surfnet.rpc().get_genesis_hash().await?);
    println!("program {}", solana::program());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

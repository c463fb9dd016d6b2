//! The verbs that run one process each: the three services and the local chain.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Serialize, de::DeserializeOwned};
use service::clock::SystemClock;
use tokio::{
    net::TcpListener,
    process::Command,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

/// How a service is run.
#[derive(Args, Debug)]
pub struct ServiceArgs {
    /// Configuration file (TOML); every key can be set by environment too, see `earnest config`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Stop when standard input closes
    #[arg(long, hide = true)]
    pub(crate) with_parent: bool,
}

/// How the local chain is run.
#[derive(Args, Debug)]
pub struct ChainArgs {
    /// Port on 127.0.0.1
    #[arg(long, default_value_t = 8545)]
    port: u16,
    /// File that keeps the chain; without it nothing is kept
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Seconds between blocks
    #[arg(long, default_value_t = 1)]
    block_time: u32,
    /// Stop when standard input closes
    #[arg(long, hide = true)]
    with_parent: bool,
}

/// How the local Solana chain is run.
#[derive(Args, Debug)]
pub struct SolanaChainArgs {
    /// Port of JSON-RPC on 127.0.0.1; WebSocket is at the next one
    #[arg(long, default_value_t = 8899)]
    port: u16,
    /// Milliseconds between slots; what happens is final 31 slots later
    #[arg(long, default_value_t = 400)]
    slot_ms: u64,
    /// An account that is given 1,000 SOL; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    endow: Vec<String>,
    /// Stop when standard input closes
    #[arg(long, hide = true)]
    with_parent: bool,
}

/// Cancelled by Ctrl-C, by SIGTERM and, where asked for, when standard input closes.
pub fn stop_signal(with_parent: bool) -> Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminated = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("SIGINT")?;
    let signalled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
        signalled.cancel();
    });
    if with_parent {
        let orphaned = stop.clone();
        std::thread::spawn(move || {
            // Whatever ends the reading means that the parent is gone.
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            orphaned.cancel();
        });
    }
    Ok(stop)
}

/// Runs the hub.
pub async fn hub(arguments: ServiceArgs) -> Result<()> {
    let stop = start(&arguments)?;
    let config = load::<hub::config::Config>("hub", &arguments)?;
    let listener = listen("hub", &config.listen).await?;
    Ok(hub::run(config, listener, Arc::new(SystemClock), stop).await?)
}

/// Runs the relayer.
pub async fn relayer(arguments: ServiceArgs) -> Result<()> {
    let stop = start(&arguments)?;
    let config = load::<relayer::config::Config>("relayer", &arguments)?;
    let listener = listen("relayer", &config.listen).await?;
    Ok(relayer::run(config, listener, Arc::new(SystemClock), stop).await?)
}

/// The hub's configuration, to look at its database.
pub fn hub_config(arguments: &ServiceArgs) -> Result<hub::config::Config> {
    load("hub", arguments)
}

/// The relayer's configuration, to speak to it.
pub fn relayer_config(arguments: &ServiceArgs) -> Result<relayer::config::Config> {
    load("relayer", arguments)
}

fn start(arguments: &ServiceArgs) -> Result<CancellationToken> {
    service::telemetry::start_logging();
    stop_signal(arguments.with_parent)
}

/// Reads a section of the configuration.
pub fn load<T: Default + Serialize + DeserializeOwned>(section: &str, arguments: &ServiceArgs) -> Result<T> {
    Ok(service::config::load::<T>(section, arguments.config.as_deref())?.value)
}

/// Takes the address that a section says.
pub async fn listen(section: &str, address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{section}.listen `{address}`: must be an address and a free port of this machine")
    })
}

/// Where anvil lies: `EARNEST_ANVIL`, or what `npm ci` put under `contracts`.
pub fn anvil() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("EARNEST_ANVIL") {
        return Ok(PathBuf::from(path));
    }
    let platform = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "linux-amd64",
        ("linux", "aarch64") => "linux-arm64",
        ("macos", "aarch64") => "darwin-arm64",
        (os, arch) => bail!("no anvil is known for {os} on {arch}: set EARNEST_ANVIL to its path"),
    };
    let path = Path::new("contracts/node_modules/@foundry-rs").join(format!("anvil-{platform}/bin/anvil"));
    if path.exists() {
        return path.canonicalize().with_context(|| format!("{}", path.display()));
    }
    Err(anyhow!(
        "there is no {}: run `npm ci` in contracts, run from the repository's root, or set EARNEST_ANVIL",
        path.display()
    ))
}

/// Where the local Solana node lies: `EARNEST_SURFNET`, or beside this binary.
pub fn surfnet() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("EARNEST_SURFNET") {
        return Ok(PathBuf::from(path));
    }
    let here = std::env::current_exe().context("where this binary lies")?;
    let path = here.with_file_name("surfnet");
    if path.exists() {
        return Ok(path);
    }
    Err(anyhow!(
        "there is no local Solana node at {}: start by `./scripts/up --solana`, which builds it, or set EARNEST_SURFNET",
        path.display()
    ))
}

/// Runs a chain of this machine alone, with ten rich accounts whose keys everyone knows.
pub async fn chain(arguments: ChainArgs) -> Result<()> {
    let stop = stop_signal(arguments.with_parent)?;
    let mut command = Command::new(anvil()?);
    command
        .args(["--host", "127.0.0.1", "--slots-in-an-epoch", "1", "--quiet"])
        // Otherwise it writes thousands of old states to the home folder, and leaves them there when it is killed.
        .args(["--prune-history", "64"])
        .arg("--port")
        .arg(arguments.port.to_string())
        .arg("--block-time")
        .arg(arguments.block_time.to_string());
    if let Some(state) = &arguments.state {
        command.arg("--state").arg(state).args(["--state-interval", "1"]);
    }
    until_stopped("anvil", command, stop).await
}

/// Runs a Solana chain of this machine alone with the program on it. It keeps nothing: every start is another chain.
pub async fn solana_chain(arguments: SolanaChainArgs) -> Result<()> {
    let stop = stop_signal(arguments.with_parent)?;
    let mut command = Command::new(surfnet()?);
    command.arg("--port").arg(arguments.port.to_string());
    command.arg("--slot-ms").arg(arguments.slot_ms.to_string());
    for account in &arguments.endow {
        command.arg("--endow").arg(account);
    }
    until_stopped("surfnet", command, stop).await
}

/// Runs a program of others until `stop`, and then interrupts it and waits for it.
async fn until_stopped(name: &str, mut command: Command, stop: CancellationToken) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    tokio::select! {
        status = child.wait() => bail!("{name} ended by itself: {}", status.with_context(|| name.to_owned())?),
        () = stop.cancelled() => {}
    }
    // An interrupt lets anvil write its state; a kill would lose the last second.
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        kill_process(pid, Signal::INT).with_context(|| format!("cannot interrupt {name}"))?;
    }
    child.wait().await.with_context(|| name.to_owned())?;
    Ok(())
}

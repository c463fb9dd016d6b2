//! The node itself: its threads, ports and blocks.

use std::{net::TcpListener, time::SystemTime};

use anyhow::{Context as _, bail, ensure};
use surfpool_core::surfnet::{
    locker::SurfnetSvmLocker,
    svm::{SurfnetSvm, SurfnetSvmConfig},
};
use surfpool_types::{
    BlockProductionMode, RpcConfig, SimnetCommand, SimnetConfig, SimnetEvent, SurfpoolConfig,
};

/// Milliseconds of a slot on a public cluster.
pub const SLOT_MS: u64 = 400;
const HOST: &str = "127.0.0.1";

/// Where a node listens, on this machine alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// JSON-RPC over HTTP.
    pub rpc: u16,
    /// WebSocket. Clients that are given no other address take the port after the first.
    pub ws: u16,
}

impl Ports {
    /// Two that no other test draws: the node takes them long after they were found free.
    ///
    /// # Panics
    /// None is free.
    pub fn free() -> Self {
        let [rpc, ws] = free_ports::ports_in_a_row();
        Self { rpc, ws }
    }

    pub fn rpc_url(self) -> String {
        format!("http://{HOST}:{}", self.rpc)
    }

    pub fn ws_url(self) -> String {
        format!("ws://{HOST}:{}", self.ws)
    }
}

pub(crate) struct Node {
    pub ports: Ports,
    stop: Box<dyn Fn() + Send + Sync>,
}

impl Drop for Node {
    fn drop(&mut self) {
        (self.stop)();
    }
}

impl Node {
    /// Starts it and waits until it answers.
    pub fn start(ports: Ports, slot_ms: u64) -> anyhow::Result<Self> {
        for port in [ports.rpc, ports.ws] {
            drop(TcpListener::bind((HOST, port)).with_context(|| format!("port {port}"))?);
        }
        let config = SurfpoolConfig {
            simnets: vec![SimnetConfig {
                offline_mode: true,
                remote_rpc_url: None,
                slot_time: slot_ms,
                block_production_mode: BlockProductionMode::Clock,
                instruction_profiling_enabled: false,
                ..SimnetConfig::default()
            }],
            rpc: RpcConfig {
                bind_host: HOST.to_owned(),
                bind_port: ports.rpc,
                ws_port: ports.ws,
                ..RpcConfig::default()
            },
            ..SurfpoolConfig::default()
        };
        let (mut svm, events, geyser) = SurfnetSvm::new(SurfnetSvmConfig {
            slot_time: slot_ms,
            instruction_profiling_enabled: false,
            ..SurfnetSvmConfig::default()
        })
        .map_err(|error| anyhow::anyhow!("the node does not start: {error}"))?;
        // Another genesis every time, as another chain has.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
        svm.genesis_config.creation_time = i64::try_from(now)?;
        let (commands, received) = surfpool_types::channel::unbounded();
        let told = commands.clone();
        let run = move || -> Result<(), String> {
            let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
            let locker = SurfnetSvmLocker::new(svm);
            let work =
                surfpool_core::runloops::start_local_surfnet_runloop(locker, config, told, received, geyser);
            runtime.block_on(work).map_err(|error| error.to_string())
        };
        let name = || std::thread::Builder::new().name("surfnet".to_owned());
        name().spawn(move || {
            if let Err(error) = run() {
                eprintln!("surfnet: {error}");
            }
        })?;
        loop {
            match events.recv().context("the node ended before it was ready")? {
                SimnetEvent::CoreStarted(_) => break,
                SimnetEvent::Aborted(why) => bail!("the node does not start: {why}"),
                SimnetEvent::Shutdown => bail!("the node ended before it was ready"),
                _ => {}
            }
        }
        // What it goes on to tell would pile up.
        name().spawn(move || events.iter().for_each(drop))?;
        ensure!(TcpListener::bind((HOST, ports.rpc)).is_err(), "the node does not listen");
        let stop = Box::new(move || drop(commands.send(SimnetCommand::Terminate(None))));
        Ok(Self { ports, stop })
    }
}

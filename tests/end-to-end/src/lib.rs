//! Drives the built `earnest` binary as a person at a terminal would: whole markets as processes of their own.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

pub mod bundle;
pub mod chain;
pub mod operator;
pub mod oracle;
pub mod postgres;
pub mod proxy;
pub mod receiver;

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

pub use free_ports::a_port;
use free_ports::ports_in_a_row;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// The longest that a market may take for its two trades, restarts included.
pub const TRADES_WAIT: Duration = Duration::from_secs(240);

/// The binary under test, built with the feature `failpoints`.
///
/// # Panics
/// `EARNEST_BIN` does not name it.
pub fn binary() -> PathBuf {
    let path = std::env::var_os("EARNEST_BIN");
    path.map(PathBuf::from).expect("EARNEST_BIN is not set: run these tests by ./scripts/test end-to-end")
}

/// A data folder with ports of its own, so that tests do not meet.
#[derive(Debug)]
pub struct Folder {
    folder: TempDir,
    /// The chain's port.
    pub chain_port: u16,
    ports: [u16; 3],
    solana_ports: [u16; 3],
}

impl Folder {
    /// An empty one.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ports = [a_port(), a_port(), a_port()];
        let (indexer, relayer) = (a_port(), a_port());
        // The one after the Solana chain's is its WebSocket's.
        let [chain, _] = ports_in_a_row();
        Self { folder, chain_port: a_port(), ports, solana_ports: [chain, indexer, relayer] }
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file beside the data folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the hub answers.
    pub fn hub(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    /// Where the indexer answers.
    pub fn indexer(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[1])
    }

    /// Where the relayer answers.
    pub fn relayer(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[2])
    }

    /// Where the indexer of the Solana chain answers.
    pub fn solana_indexer(&self) -> String {
        format!("http://127.0.0.1:{}", self.solana_ports[1])
    }

    /// Where the relayer of the Solana chain answers.
    pub fn solana_relayer(&self) -> String {
        format!("http://127.0.0.1:{}", self.solana_ports[2])
    }

    /// Where the local Solana chain answers.
    pub fn solana_rpc(&self) -> String {
        format!("http://127.0.0.1:{}", self.solana_ports[0])
    }

    /// Where the chain answers.
    pub fn rpc(&self) -> String {
        format!("http://127.0.0.1:{}", self.chain_port)
    }

    /// The binary over the data folder; what to do is still to be said.
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command.env("EARNEST_ANVIL", fixture::anvil_binary()).arg("--data").arg(self.data());
        command
    }

    /// `earnest up` with these arguments and this environment.
    pub fn up(&self, arguments: &[&str], environment: &[(&str, String)]) -> Running {
        let [hub, indexer, relayer] = self.ports;
        let mut command = self.command();
        command.arg("up");
        for (name, port) in
            [("chain", self.chain_port), ("hub", hub), ("indexer", indexer), ("relayer", relayer)]
        {
            command.arg(format!("--{name}-port")).arg(port.to_string());
        }
        if arguments.contains(&"--solana") {
            let [chain, indexer, relayer] = self.solana_ports;
            for (name, port) in [("solana", chain), ("solana-indexer", indexer), ("solana-relayer", relayer)]
            {
                command.arg(format!("--{name}-port")).arg(port.to_string());
            }
        }
        command.args(arguments).envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
        Running::start(command)
    }

    /// A client verb, run to its end.
    pub fn verb(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().expect("the binary runs")
    }

    /// A client verb of somebody that must succeed; answers its JSON.
    ///
    /// # Panics
    /// It fails.
    pub fn done(&self, who: &str, verb: &[&str]) -> Value {
        let arguments: Vec<&str> = ["--as", who, "--json"].iter().chain(verb).copied().collect();
        let output = self.verb(&arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{verb:?}: {told}");
        json(&output.stdout)
    }

    /// A client verb with this environment and this standard input, run to its end.
    pub fn verb_with(&self, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
        let mut command = self.command();
        command.args(arguments).envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends")
    }

    /// What the last run of `up` proved.
    pub fn report(&self) -> Value {
        json(&std::fs::read(self.data().join("last-run.json")).expect("the last run's report"))
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads JSON that must be JSON.
pub fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

/// A process and what it says. Stopped when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    /// What it has said so far.
    pub said: Vec<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary starts");
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().expect("its output"));
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines, said: Vec::new() }
    }

    /// Waits until it says a line that contains `text`.
    ///
    /// # Panics
    /// It ends or `at_most` passes before.
    pub fn wait_for(&mut self, text: &str, at_most: Duration) -> String {
        let started = Instant::now();
        loop {
            let left = at_most.saturating_sub(started.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no `{text}` within {} s:\n{}", at_most.as_secs(), self.said.join("\n"))
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended without `{text}`:\n{}", self.said.join("\n"))
                }
            }
        }
    }

    /// Waits until it ends and answers its exit code.
    ///
    /// # Panics
    /// `at_most` passes before.
    pub fn wait(mut self, at_most: Duration) -> (Option<i32>, Vec<String>) {
        let started = Instant::now();
        loop {
            let left = at_most.saturating_sub(started.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.said.push(line),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait().expect("it has ended");
                    return (status.code(), std::mem::take(&mut self.said));
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("still running after {} s:\n{}", at_most.as_secs(), self.said.join("\n"))
                }
            }
        }
    }

    /// Stops it as Ctrl-C does.
    pub fn interrupt(&self) {
        kill_process(self.pid(), Signal::INT).expect("it is ours to stop");
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Kills it as `kill -9` does: it can stop nothing that it started.
    pub fn kill(mut self) {
        self.child.kill().expect("it is ours to kill");
        self.child.wait().expect("it has ended");
    }

    /// The process id, by which [`kill_service`] finds its services.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // As Ctrl-C does, so that it can stop what it started; killed when it does not listen.
        let _ = kill_process(self.pid(), Signal::INT);
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(30) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Kills a service of the `earnest up` with this process id, as `kill -9` does; false when it is not running.
pub fn kill_service(up: u32, service: &str) -> bool {
    let pid = child_of(up, service).and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
}

/// The child whose first argument is the service's name.
fn child_of(parent: u32, service: &str) -> Option<i32> {
    let processes = std::fs::read_dir("/proc").expect("/proc");
    processes.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let after_name = stat.rsplit_once(") ")?.1;
        let of = after_name.split_whitespace().nth(1)?.parse::<u32>().ok()?;
        let line = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
        (of == parent && line.split('\0').nth(1) == Some(service)).then_some(pid)
    })
}

/// Whether any process still has this path on its command line.
pub fn anything_runs_over(path: &Path) -> bool {
    let path = path.to_string_lossy().into_owned();
    let processes = std::fs::read_dir("/proc").expect("/proc");
    processes.flatten().any(|entry| {
        std::fs::read_to_string(entry.path().join("cmdline")).is_ok_and(|line| line.contains(&path))
    })
}

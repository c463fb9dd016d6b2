//! The services as processes of their own: started, watched, started again when they die, stopped in order.
//!
//! A child stops when its standard input closes, so nothing outlives the supervisor, not even when that is killed.

use std::{
    ffi::OsString,
    fs,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use tokio::{
    process::{Child, Command},
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::progress::Progress;

/// A service may die so often …
const RESTARTS_MAX: usize = 5;
/// … within this time before it is given up.
const RESTART_WINDOW: Duration = Duration::from_secs(60);
/// A child that does not stop by itself within this time is killed.
const STOP_WAIT: Duration = Duration::from_secs(15);

/// A service to run.
#[derive(Clone, Debug)]
pub struct Service {
    /// This binary. Found once: when it is built anew meanwhile, the system no longer knows where it was.
    pub program: PathBuf,
    /// What it is called.
    pub name: &'static str,
    /// The verb of `earnest` that runs it.
    pub verb: &'static str,
    /// Whether it can go on when it is started again. What keeps nothing cannot.
    pub lasting: bool,
    /// The arguments after the verb.
    pub arguments: Vec<OsString>,
    /// Where its output goes.
    pub log: PathBuf,
    /// For tests: `<fail point>:<n>` at which its first process dies.
    pub abort_at: Option<String>,
}

/// A service under supervision.
#[derive(Debug)]
pub struct Supervised {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Supervised {
    /// Starts the service and keeps it running. One that cannot be kept running says why on `given_up`.
    pub fn start(service: Service, progress: Progress, given_up: mpsc::Sender<String>) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let name = service.name;
            if let Err(error) = keep(service, &progress, &stopped).await {
                // Nobody listens any more only when everything stops anyway.
                let _ = given_up.send(format!("{name}: {error:#}")).await;
            }
        });
        Self { stop, task }
    }

    /// Stops it and waits until it is gone.
    pub async fn stop(self) {
        self.stop.cancel();
        // The task ends by itself; a panic in it has nothing left to stop.
        let _ = self.task.await;
    }
}

async fn keep(mut service: Service, progress: &Progress, stop: &CancellationToken) -> Result<()> {
    let mut deaths: Vec<Instant> = Vec::new();
    loop {
        let mut child = spawn(&service)?;
        // Waiting closes the child's standard input unless it is held elsewhere, and the child stops when it closes.
        let lifeline = child.stdin.take();
        service.abort_at = None;
        let status = tokio::select! {
            status = child.wait() => status.context("cannot wait for the process")?,
            () = stop.cancelled() => {
                drop(lifeline);
                return end(child).await;
            }
        };
        if !service.lasting {
            return Err(anyhow!(
                "it ended ({}), and it keeps nothing that could go on: start again; see {}",
                why(status),
                service.log.display()
            ));
        }
        deaths.retain(|death| death.elapsed() < RESTART_WINDOW);
        deaths.push(Instant::now());
        if deaths.len() > RESTARTS_MAX {
            return Err(anyhow!(
                "it ended {} times within {} s, the last time with {status}: see {}",
                deaths.len(),
                RESTART_WINDOW.as_secs(),
                service.log.display()
            ));
        }
        progress.say(&format!("  {} ended unexpectedly ({}): starting it again", service.name, why(status)));
        tokio::select! {
            () = sleep(Duration::from_millis(200)) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}

fn why(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(signal) => format!("signal {signal}"),
        None => status.to_string(),
    }
}

fn spawn(service: &Service) -> Result<Child> {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&service.log)
        .with_context(|| format!("cannot write {}", service.log.display()))?;
    let mut command = Command::new(&service.program);
    command
        .arg(service.verb)
        .args(&service.arguments)
        .arg("--with-parent")
        .stdin(Stdio::piped())
        .stdout(log.try_clone().context("the log file")?)
        .stderr(log)
        // Ctrl-C on the terminal is for the supervisor alone: it stops the others in order.
        .process_group(0)
        .kill_on_drop(true)
        .env("NO_COLOR", "1")
        .env("EARNEST_SERVICE", service.name)
        .env_remove("EARNEST_ABORT_AT");
    if let Some(at) = &service.abort_at {
        command.env("EARNEST_ABORT_AT", at);
    }
    command.spawn().with_context(|| format!("cannot start {}", service.name))
}

async fn end(mut child: Child) -> Result<()> {
    if timeout(STOP_WAIT, child.wait()).await.is_err() {
        child.kill().await.context("cannot kill the process")?;
    }
    Ok(())
}

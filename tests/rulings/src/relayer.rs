//! The relayer under test: the real binary, as a process that can be killed.

use std::{
    collections::BTreeMap,
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use alloy::primitives::B256;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// One relayer and its files.
pub struct Relayer {
    binary: PathBuf,
    folder: PathBuf,
    child: Option<Child>,
}

impl Relayer {
    /// With this configuration in `folder`; not started yet.
    ///
    /// # Panics
    /// The folder cannot be written.
    pub fn new(binary: PathBuf, folder: PathBuf, configuration: &str) -> Self {
        std::fs::write(folder.join("earnest.toml"), configuration).expect("the folder can be written");
        Self { binary, folder, child: None }
    }

    /// Starts it.
    ///
    /// # Panics
    /// The binary does not run.
    pub fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.join("relayer.log"));
        let log = log.expect("the folder can be written");
        let child = Command::new(&self.binary)
            .arg("relayer")
            .arg("--config")
            .arg(self.folder.join("earnest.toml"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a handle"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("the binary runs"));
    }

    /// As `kill -9` does.
    ///
    /// # Panics
    /// It is not running.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        assert!(
            child.try_wait().expect("a child").is_none(),
            "the relayer ended by itself: see {}",
            self.log()
        );
        child.kill().expect("it is ours to kill");
        child.wait().expect("it has ended");
    }

    /// Stops it as an operator does.
    ///
    /// # Panics
    /// It ends with an error.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        kill_process(Pid::from_child(&child), Signal::TERM).expect("it is ours to stop");
        let status = child.wait().expect("it ends");
        assert!(status.success(), "the relayer ended with {status}: see {}", self.log());
    }

    /// Where its words are.
    pub fn log(&self) -> String {
        self.folder.join("relayer.log").display().to_string()
    }
}

/// What the relayer tells of its transactions.
#[derive(Debug, Default)]
pub struct Told {
    /// How many were replaced by others at their nonces.
    pub replacements: u64,
    /// The intent of each that was signed to do what one asks for. What cancels one, or fills a nonce, does nothing and is not here.
    pub calls: BTreeMap<B256, String>,
}

/// What the relayer at this address tells of all that it signed for intents.
///
/// # Panics
/// It does not answer.
pub async fn told(listen: &str) -> Told {
    let (mut after, mut told) = ("0".to_owned(), Told::default());
    loop {
        let url = format!("http://{listen}/v1/intents?limit=100&after={after}");
        let page = reqwest::get(url).await.expect("the relayer answers");
        let page: Value = page.json().await.expect("a page");
        let intents = page["intents"].as_array().expect("a list");
        let Some(last) = intents.last() else { return told };
        after = last["id"].as_str().expect("a number").to_owned();
        for intent in intents {
            for attempt in intent["attempts"].as_array().expect("a list") {
                told.replacements += u64::from(attempt["outcome"] == "replaced");
                if attempt["kind"] == "call" {
                    let hash = attempt["hash"].as_str().expect("a hash").parse().expect("a hash");
                    told.calls.insert(hash, intent["id"].as_str().expect("a number").to_owned());
                }
            }
        }
    }
}

impl Drop for Relayer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

//! Every verb of `earnest indexer` as a program, on the folder of a market: what it prints for people and for scripts, how it
//! ends, and what it refuses.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Output, Stdio},
    time::{Duration, Instant},
};

use alloy::primitives::B256;
use end_to_end::{Folder, TRADES_WAIT, a_port, json};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};

/// Where nobody answers.
const NOBODY: &str = "http://127.0.0.1:1";

struct Market {
    folder: Folder,
    config: String,
    /// A second database beside the market's own.
    database: String,
}

impl Market {
    /// A verb of the indexer over the second database.
    fn verb(&self, verb: &[&str]) -> Output {
        let config = ["--config", self.config.as_str()];
        let arguments = [["indexer"].as_slice(), verb, config.as_slice()].concat();
        self.folder.verb_with(&arguments, &[("EARNEST_INDEXER_DATABASE", &self.database)], "")
    }

    /// The same with `--json`, which must end with `code`; answers its JSON.
    fn told(&self, verb: &[&str], code: i32) -> Value {
        let output = self.verb(&[verb, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{verb:?}: {}", said(&output));
        json(&output.stdout)
    }

    /// A verb that does not end by itself, with its standard error.
    fn start(
        &self,
        verb: &[&str],
        environment: &[(&str, &str)],
    ) -> (Child, BufReader<std::process::ChildStderr>) {
        let mut command = self.folder.command();
        command.arg("indexer").args(verb).envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let told = BufReader::new(child.stderr.take().expect("its errors"));
        (child, told)
    }

    async fn damage(&self, statement: &'static str) {
        let mut database = SqliteConnection::connect(&self.database).await.expect("the database");
        let done = sqlx::query(statement).execute(&mut database).await.expect("a statement");
        assert!(done.rows_affected() > 0, "{statement} changes nothing");
        database.close().await.expect("closed");
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn shown(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The first line that contains these words.
fn line(told: &mut impl BufRead, words: &str) -> String {
    let mut all = String::new();
    loop {
        let mut line = String::new();
        let read = told.read_line(&mut line).expect("a line");
        assert!(read > 0, "it ended without `{words}`: {all}");
        if line.contains(words) {
            return line;
        }
        all.push_str(&line);
    }
}

fn interrupt(mut child: Child) -> Option<i32> {
    kill_process(Pid::from_child(&child), Signal::INT).expect("it is ours to stop");
    child.wait().expect("it ends").code()
}

#[tokio::test]
async fn every_verb_of_the_indexer_does_what_it_says_and_ends_as_it_says() {
    let folder = Folder::new();
    let mut up = folder.up(&[], &[]);
    up.wait_for("Everything runs until", TRADES_WAIT);
    let config = folder.data().join("earnest.toml").to_str().expect("a path").to_owned();
    let database = format!("sqlite:{}", folder.file("second.sqlite").display());
    let market = Market { folder, config, database };
    status(&market);
    beside_a_running_one(&market);
    backfill(&market);
    checks(&market).await;
    run(&market);
    up.interrupt();
    assert_eq!(up.wait(Duration::from_secs(60)).0, Some(0));
}

/// What the running indexer of the market says.
fn status(market: &Market) {
    let node = market.folder.rpc().replace("http://", "");
    let started = Instant::now();
    while json(&market.folder.verb(&["indexer", "status", "--json"]).stdout)["chains"][0]["proven"].is_null()
    {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is proven");
    }
    let text = shown(&market.folder.verb(&["indexer", "status"]));
    for words in [
        "CHAIN",
        "follows",
        &format!("eip155:31337 provider {node}: trusted, 0 requests failed, 0 answers proven wrong"),
        "eip155:31337 proven up to",
        "compared with the contracts",
        "feed: ",
    ] {
        assert!(text.contains(words), "`{words}` is not in:\n{text}");
    }
    let output = market.folder.verb(&["indexer", "status", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let status = json(&output.stdout);
    let chain = &status["chains"][0];
    assert_eq!(
        (&chain["providers"][0]["node"], &chain["providers"][0]["trusted"]),
        (&node.into(), &true.into())
    );
    assert_eq!(status["feed_id"].as_str().map(str::len), Some(34), "{status}");
    let away = market.folder.verb(&["indexer", "status", "--url", NOBODY]);
    assert_eq!(away.status.code(), Some(4), "{}", said(&away));
    assert!(said(&away).contains("nobody answers at http://127.0.0.1:1"), "{}", said(&away));
    let wrong = market.folder.verb(&["indexer", "status", "--url", "nowhere"]);
    assert!(
        wrong.status.code() == Some(1) && said(&wrong).contains("`nowhere` is not a URL"),
        "{}",
        said(&wrong)
    );

    // Who watches one that is being started again waits for it.
    let (child, mut told) = market.start(&["status", "--watch", "--url", NOBODY], &[]);
    line(&mut told, "nobody answers");
    line(&mut told, "nobody answers");
    assert_eq!(interrupt(child), Some(0));
    let (child, mut told) = market.start(&["status", "--watch", "--json"], &[]);
    let at: Value = serde_json::from_str(&line(&mut told, "eip155:31337")).expect("JSON");
    assert!(at["blocks"].is_string() && at["target"].is_string(), "{at}");
    assert_eq!(interrupt(child), Some(0));
}

/// A second one that writes is refused by name while the market's own runs; one that reads is not.
fn beside_a_running_one(market: &Market) {
    let config = market.config.as_str();
    let listen = format!("127.0.0.1:{}", a_port());
    for verb in ["backfill", "reindex", "run"] {
        let environment = [("EARNEST_INDEXER_LISTEN", listen.as_str())];
        let refused = market.folder.verb_with(&["indexer", verb, "--config", config], &environment, "");
        let told = said(&refused);
        assert_eq!(refused.status.code(), Some(1), "{verb}: {told}");
        assert!(
            told.contains("indexer.sqlite is in use by another indexer: stop it first"),
            "{verb}: {told}"
        );
    }
    let verified = shown(&market.folder.verb(&["indexer", "verify", "--config", config]));
    assert!(verified.contains("feed entries"), "{verified}");
}

fn backfill(market: &Market) {
    let nothing = market.verb(&["verify"]);
    assert_eq!(nothing.status.code(), Some(1), "there is no database yet: {}", said(&nothing));

    // Stopped before it is there: the node does not answer.
    let key = "EARNEST_INDEXER_CHAINS";
    let dead = format!(r#"{{"eip155:31337"={{rpc_urls=["{NOBODY}"]}}}}"#);
    let environment = [("EARNEST_INDEXER_DATABASE", market.database.as_str()), (key, dead.as_str())];
    let (child, mut told) = market.start(&["backfill", "--config", &market.config], &environment);
    line(&mut told, "eip155:31337: ");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it is ours to stop");
    line(&mut told, "stopped before the head was reached");
    assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(1));

    let text = shown(&market.verb(&["backfill"]));
    assert!(text.contains("READ UP TO") && text.contains("eip155:31337"), "{text}");
    let output = market.verb(&["backfill", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let told = json(&output.stdout);
    let chain = &told["chains"][0];
    assert_eq!((&told["reached"], &chain["reached"]), (&true.into(), &true.into()));
    let events: u64 = chain["events"].as_str().and_then(|events| events.parse().ok()).expect("a count");
    assert!(events >= 9, "of two trades: {told}");
    for progress in said(&output).lines().filter(|line| line.contains("per_second")) {
        let at: Value = serde_json::from_str(progress).expect("a line of JSON");
        assert_eq!(at["name"], "eip155:31337");
    }
}

/// `verify`, `reindex` and `accept` over a database that nothing else uses.
async fn checks(market: &Market) {
    let held = market.told(&["verify"], 0);
    assert_eq!(held["differences"], Value::Array(Vec::new()));
    market
        .damage(
            "UPDATE states SET newest = newest + 1000000 WHERE subject = (SELECT MIN(subject) FROM states)",
        )
        .await;
    let output = market.verb(&["verify"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("differs"), "{output:?}");
    assert!(said(&output).contains("1 differences"), "{}", said(&output));
    let found = market.told(&["verify"], 3);
    assert_eq!(found["differences"].as_array().map(Vec::len), Some(1), "{found}");

    let written = market.told(&["reindex"], 0);
    assert_eq!(written["events"], held["events"], "{written}");
    let text = shown(&market.verb(&["reindex"]));
    assert!(text.contains("states") && text.contains("/s"), "{text}");
    assert_eq!(market.told(&["verify"], 0)["states"], held["states"]);
    assert!(shown(&market.verb(&["verify"])).contains("final, then retracted"));

    let block = B256::repeat_byte(7).to_string();
    let refused = market.verb(&["accept", "eip155:31337", &block]);
    let told = said(&refused);
    assert!(refused.status.code() == Some(1) && told.contains("there is nothing to accept"), "{told}");
    let refused = market.verb(&["accept", "eip155:31337", "0x07"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    market
        .damage(
            "INSERT INTO faults (chain, kind, subject, detail, raised_at)
             SELECT number, 'deep_reorg', '0x07', 'as a test has it', 1 FROM chains",
        )
        .await;
    assert_eq!(market.told(&["accept", "eip155:31337", &block], 0)["block"], block);
    let text = shown(&market.verb(&["accept", "eip155:31337", &block]));
    assert!(text.contains("goes on with") && text.contains(&block), "{text}");
    market.damage("UPDATE trust SET accepted = NULL").await;
    market.damage("UPDATE faults SET cleared_at = 1 WHERE kind = 'deep_reorg'").await;
}

/// The service itself says how far it is until it has caught up, in its log where there is no terminal.
fn run(market: &Market) {
    let listen = format!("127.0.0.1:{}", a_port());
    let environment =
        [("EARNEST_INDEXER_DATABASE", market.database.as_str()), ("EARNEST_INDEXER_LISTEN", listen.as_str())];
    let (child, mut told) = market.start(&["run", "--config", &market.config], &environment);
    let at = line(&mut told, "eip155:31337: ");
    assert!(at.contains("blocks") && at.contains("INFO"), "{at}");
    assert_eq!(interrupt(child), Some(0));
}

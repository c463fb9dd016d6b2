//! Tests that start themselves as another process, the hub that dies.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Names the folder with what the hub that dies is told.
const FOLDER: &str = "EARNEST_TEST_CHILD";

/// That folder, where this process is the hub that dies.
pub(crate) fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Starts the test of that full name as a hub that dies where it passes a point, and says whether it came to its end.
pub(crate) async fn lives(test: &str, folder: &Path, dies_at: &str) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(FOLDER, folder).env("EARNEST_ABORT_AT", dies_at);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || told.contains("aborting at"), "{dies_at}: {told}");
    output.status.success()
}

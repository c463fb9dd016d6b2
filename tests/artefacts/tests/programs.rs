//! The committed Solana program and its IDL are those of the sources, as far as can be told without the tool that
//! builds them: `programs/build --check` builds them anew and compares.
#![allow(clippy::expect_used, clippy::panic, reason = "a test stops at once when its ground is missing")]

use artefacts::{FOLDER, IDL, Inputs, MANIFEST, Manifest, PROGRAM, root, sha256};
use serde_json::Value;

fn committed(name: &str) -> Vec<u8> {
    let path = root().join(FOLDER).join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{FOLDER}/{name}: {error}; run programs/build"))
}

fn manifest() -> Manifest {
    serde_json::from_slice(&committed(MANIFEST)).expect("a manifest as programs/build writes it")
}

#[test]
fn the_committed_program_is_that_of_the_sources() {
    let now = Inputs::read(&root()).expect("the sources of the program");
    let differences = now.differences(&manifest().inputs);
    assert!(
        differences.is_empty(),
        "{FOLDER} is stale: run programs/build and commit what it writes, for\n  {}",
        differences.join("\n  ")
    );
}

#[test]
fn the_manifest_names_the_committed_program_and_idl() {
    let manifest = manifest();
    assert_eq!(manifest.artefacts.len(), 2, "{FOLDER}/{MANIFEST}");
    for name in [PROGRAM, IDL] {
        let stated = manifest.artefacts.get(name);
        assert_eq!(stated, Some(&sha256(&committed(name))), "{FOLDER}/{name}: run programs/build");
    }
    let idl: Value = serde_json::from_slice(&committed(IDL)).expect("JSON");
    assert_eq!(idl["address"], Value::from(manifest.program_id), "{FOLDER}/{IDL}");
}

#[test]
fn what_differs_is_named() {
    let recorded = manifest().inputs;
    assert_eq!(recorded.differences(&recorded), Vec::<String>::new());
    let mut now = recorded.clone();
    let (path, _) = now.sources.pop_last().expect("a source");
    now.sources.insert("programs/earnest/src/new.rs".to_owned(), sha256(b""));
    now.sources.insert("programs/earnest/src/lib.rs".to_owned(), sha256(b""));
    now.dependencies.insert("left-pad v1.0.0 default".to_owned());
    let gone = now.dependencies.pop_first().expect("a crate");
    assert_eq!(
        now.differences(&recorded),
        [
            "programs/earnest/src/lib.rs has changed".to_owned(),
            "programs/earnest/src/new.rs is new".to_owned(),
            format!("{path} is gone"),
            "the program depends on left-pad v1.0.0 default now".to_owned(),
            format!("the program no longer depends on {gone}"),
        ]
    );
}

//! The committed ABI and bytecode come from the contracts as they stand.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Artefact {
    bytecode: String,
    /// SHA-256 of every source that the compiler read, by its path under `contracts/`.
    sources: BTreeMap<String, String>,
}

const REBUILD: &str = "in contracts/ run `forge build`, then `node artefacts.mjs`";

#[test]
fn the_artefacts_are_not_older_than_their_sources() {
    let protocol = Path::new(env!("CARGO_MANIFEST_DIR"));
    let contracts = protocol.join("../contracts");
    let mut names = Vec::new();
    for entry in fs::read_dir(protocol.join("abi")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        if name == "manifest" {
            continue; // not a contract
        }
        let artefact: Artefact = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert!(artefact.bytecode.len() > 2, "{name}.json has no bytecode: {REBUILD}");
        // What comes from npm is pinned by contracts/package-lock.json and need not be installed here.
        let ours: Vec<_> =
            artefact.sources.iter().filter(|(path, _)| !path.starts_with("node_modules/")).collect();
        assert!(
            ours.iter().any(|(path, _)| path.ends_with(&format!("/{name}.sol"))),
            "{name}.json: {REBUILD}"
        );
        for (path, recorded) in ours {
            let hash = hex::encode(Sha256::digest(fs::read(contracts.join(path)).unwrap()));
            assert_eq!(&hash, recorded, "{path} changed since {name}.json was built: {REBUILD}");
        }
        names.push(name);
    }
    assert!(["Escrow", "ArbitrationPools"].iter().all(|name| names.iter().any(|found| found == name)));
}

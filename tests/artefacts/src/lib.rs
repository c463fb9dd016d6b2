//! What the committed artefacts of the Solana program are made from, as `programs/artefacts/manifest.json` records it.
//!
//! A change of what is recorded makes them stale; a change of anything else in the repository does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The folder of the artefacts, below the root of the repository.
pub const FOLDER: &str = "programs/artefacts";
/// The program, for local networks: a public cluster gets what the official verifiable build makes.
pub const PROGRAM: &str = "earnest.so";
/// The interface of the program, in Anchor's format.
pub const IDL: &str = "earnest.json";
/// The file that holds a [`Manifest`].
pub const MANIFEST: &str = "manifest.json";

/// The program's sources and the code of the tool that builds it.
const SOURCES: [&str; 11] = [
    "programs/earnest/Cargo.toml",
    "programs/earnest/src",
    "programs/sbf/build.sh",
    "programs/sbf/patch_std.py",
    "programs/sbf/rt.c",
    "programs/sbf/rustc-wrapper.sh",
    "programs/sbf/sbf-ld/Cargo.lock",
    "programs/sbf/sbf-ld/Cargo.toml",
    "programs/sbf/sbf-ld/src",
    "programs/sbf/sbf-link.sh",
    TARGET,
];
/// The target that the program is built for.
const TARGET: &str = "programs/sbf/sbf.json";

/// What the program is built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// SHA-256 of each source file and build input, in hex, by its path below the root.
    pub sources: BTreeMap<String, String>,
    /// Name, version and features of each crate that is compiled into the program or runs while it is compiled.
    pub dependencies: BTreeSet<String>,
}

/// What is committed, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The address that the program declares, in base58.
    pub program_id: String,
    /// The chain that these bytes are for, by CAIP-2.
    pub cluster: String,
    /// What built them, a line each.
    pub tools: Vec<String>,
    /// SHA-256 of each artefact, in hex, by its name.
    pub artefacts: BTreeMap<String, String>,
    /// What they were built from.
    #[serde(flatten)]
    pub inputs: Inputs,
}

/// The root of the repository that this crate stands in.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// SHA-256 in hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

impl Inputs {
    /// Reads what the program of the repository at `root` would be built from now.
    ///
    /// # Errors
    /// When a source cannot be read, or `cargo tree` fails.
    pub fn read(root: &Path) -> Result<Self> {
        let mut sources = BTreeMap::new();
        for path in SOURCES {
            add(root, path, &mut sources)?;
        }
        Ok(Self { sources, dependencies: dependencies(root)? })
    }

    /// What differs from `recorded`, a line each, most telling first.
    #[must_use]
    pub fn differences(&self, recorded: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, hash) in &self.sources {
            match recorded.sources.get(path) {
                None => lines.push(format!("{path} is new")),
                Some(was) if was != hash => lines.push(format!("{path} has changed")),
                Some(_) => {}
            }
        }
        let gone = recorded.sources.keys().filter(|path| !self.sources.contains_key(*path));
        lines.extend(gone.map(|path| format!("{path} is gone")));
        let added = self.dependencies.difference(&recorded.dependencies);
        lines.extend(added.map(|line| format!("the program depends on {line} now")));
        let gone = recorded.dependencies.difference(&self.dependencies);
        lines.extend(gone.map(|line| format!("the program no longer depends on {line}")));
        lines
    }
}

/// Adds the file at `path` below `root`, or every file of that folder.
fn add(root: &Path, path: &str, sources: &mut BTreeMap<String, String>) -> Result<()> {
    let full = root.join(path);
    if full.is_dir() {
        for entry in std::fs::read_dir(&full).with_context(|| format!("reading the folder {path}"))? {
            let name = entry?.file_name();
            let name = name.to_str().with_context(|| format!("{path}: a name that is not UTF-8"))?;
            add(root, &format!("{path}/{name}"), sources)?;
        }
    } else {
        let bytes = std::fs::read(&full).with_context(|| format!("reading {path}"))?;
        sources.insert(path.to_owned(), sha256(&bytes));
    }
    Ok(())
}

/// The program's crates for its target, with the features that it has by itself: those of the tests that also use
/// them, and crates that only another target or a test needs, are not among them.
fn dependencies(root: &Path) -> Result<BTreeSet<String>> {
    let output = Command::new("cargo")
        .args(["tree", "--locked", "--package", "earnest-program", "--edges", "normal", "--prefix", "none"])
        .args(["-Zjson-target-spec", "--target", TARGET, "--format", "{p} {f}"])
        // The stable cargo reads the description of a target only when asked in this way.
        .env("RUSTC_BOOTSTRAP", "1")
        .current_dir(root)
        .output()
        .context("starting cargo")?;
    ensure!(output.status.success(), "cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).context("cargo tree")?;
    Ok(text.lines().map(dependency).collect())
}

/// A line of `cargo tree` without the mark of a repetition and without the folder of a crate of this repository.
fn dependency(line: &str) -> String {
    let line = line.strip_suffix(" (*)").unwrap_or(line);
    let without_folder = line.split_once(" (/").and_then(|(crate_, rest)| {
        let (_, features) = rest.split_once(')')?;
        Some(format!("{crate_}{features}"))
    });
    without_folder.unwrap_or_else(|| line.to_owned()).trim_end().to_owned()
}

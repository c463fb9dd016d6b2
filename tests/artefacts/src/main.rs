//! Writes the artefacts of the Solana program: `artefacts FOLDER SHARED_OBJECT TOOL...`, as `programs/build` calls it.

use std::path::{Path, PathBuf};

use anchor_lang_idl::build::IdlBuilder;
use anyhow::{Context as _, Result, bail};
use artefacts::{IDL, Inputs, MANIFEST, Manifest, PROGRAM, root, sha256};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(built)) = (arguments.next(), arguments.next()) else {
        bail!("usage: artefacts FOLDER SHARED_OBJECT TOOL...");
    };
    write(&PathBuf::from(folder), Path::new(&built), arguments.collect())
}

fn write(folder: &Path, built: &Path, tools: Vec<String>) -> Result<()> {
    let root = root().canonicalize().context("the root of the repository")?;
    let inputs = Inputs::read(&root)?;
    let program = std::fs::read(built).with_context(|| format!("reading {}", built.display()))?;
    let idl = IdlBuilder::new()
        .program_path(root.join("programs/earnest"))
        .cargo_args(["--lib", "--locked"].map(str::to_owned).to_vec())
        .build()?;
    let program_id = idl.address.clone();
    let cluster = idl.constants.iter().find(|constant| constant.name == "CLUSTER");
    let cluster = cluster.context("the program names no CLUSTER")?.value.trim_matches('"').to_owned();
    let idl = format!("{}\n", serde_json::to_string_pretty(&idl)?);
    let manifest = Manifest {
        program_id,
        cluster,
        tools,
        artefacts: [(PROGRAM, sha256(&program)), (IDL, sha256(idl.as_bytes()))]
            .map(|(name, hash)| (name.to_owned(), hash))
            .into(),
        inputs,
    };
    let manifest = format!("{}\n", serde_json::to_string_pretty(&manifest)?);
    for (name, bytes) in [(PROGRAM, program), (IDL, idl.into_bytes()), (MANIFEST, manifest.into_bytes())] {
        let path = folder.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

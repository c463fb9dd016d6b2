//! What `programs/build` calls:
//! - `artefacts inputs` prints what the Solana program would be built from now;
//! - `artefacts write FOLDER SHARED_OBJECT TOOL...` writes the artefacts of one that was just built.

use std::path::Path;

use anchor_lang_idl::build::IdlBuilder;
use anyhow::{Context as _, Result, bail};
use artefacts::{IDL, Inputs, MANIFEST, Manifest, PROGRAM, root, sha256};

fn main() -> Result<()> {
    let root = root().canonicalize().context("the root of the repository")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [verb] if verb == "inputs" => {
            println!("{}", serde_json::to_string_pretty(&Inputs::read(&root)?)?);
            Ok(())
        }
        [verb, folder, built, tools @ ..] if verb == "write" => {
            write(&root, Path::new(folder), Path::new(built), tools.to_vec())
        }
        _ => bail!("usage: artefacts inputs | artefacts write FOLDER SHARED_OBJECT TOOL..."),
    }
}

fn write(root: &Path, folder: &Path, built: &Path, tools: Vec<String>) -> Result<()> {
    let inputs = Inputs::read(root)?;
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

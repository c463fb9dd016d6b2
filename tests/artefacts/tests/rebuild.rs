//! The committed ABI and bytecode of what is deployed are what the sources compile to: compiled here anew, by another
//! driver than the one that wrote them, from nothing but the sources and the compiler. And the manifest names the settings.
#![allow(clippy::expect_used, reason = "a test stops at once when its ground is missing")]

use std::path::{Path, PathBuf};

use foundry_compilers::{
    ProjectBuilder, ProjectPathsConfig,
    artifacts::{
        BytecodeHash, EvmVersion, Remapping, Settings, SettingsMetadata, output_selection::OutputSelection,
    },
    solc::{Solc, SolcCompiler, SolcSettings},
};
use serde_json::Value;

fn contracts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../contracts")
        .canonicalize()
        .expect("the contracts folder")
}

/// `FOUNDRY_SOLC`, or the native face of npm's compiler.
fn compiler(root: &Path) -> SolcCompiler {
    let path = std::env::var_os("FOUNDRY_SOLC").map_or_else(|| root.join("bin/solc"), PathBuf::from);
    SolcCompiler::Specific(Solc::new(path).expect("a compiler: run `npm ci` in contracts"))
}

/// As profile `deployed` of contracts/foundry.toml.
fn settings() -> Settings {
    let mut settings =
        Settings { via_ir: Some(true), evm_version: Some(EvmVersion::Cancun), ..Settings::default() };
    settings.optimizer.enabled = Some(true);
    settings.optimizer.runs = Some(1_000_000);
    settings.metadata = Some(SettingsMetadata {
        use_literal_content: None,
        bytecode_hash: Some(BytecodeHash::None),
        cbor_metadata: Some(false),
    });
    settings.output_selection = OutputSelection::default_output_selection();
    settings
}

#[test]
fn the_committed_artefacts_are_what_the_sources_compile_to() {
    let root = contracts();
    let remappings = [
        "@openzeppelin/contracts/=node_modules/@openzeppelin/contracts/",
        "solady/=node_modules/solady/src/",
    ]
    .map(|text| text.parse::<Remapping>().expect("a remapping"));
    let paths = ProjectPathsConfig::builder()
        .root(&root)
        .sources(root.join("src"))
        .remappings(remappings)
        .build_with_root::<foundry_compilers::solc::SolcLanguage>(&root);
    let compiler = compiler(&root);
    let SolcCompiler::Specific(Solc { version: solc, .. }) = compiler.clone();
    let project = ProjectBuilder::<SolcCompiler>::default()
        .paths(paths)
        .settings(SolcSettings { settings: settings(), ..SolcSettings::default() })
        .ephemeral()
        .no_artifacts()
        .build(compiler)
        .expect("a project");
    let sources = ["Escrow", "ArbitrationPools", "arbiters/Mediator", "arbiters/CourtArbiter"];
    let output =
        project.compile_files(sources.map(|name| root.join(format!("src/{name}.sol")))).expect("it compiles");
    assert!(!output.has_compiler_errors(), "{output}");

    // What it compiles to, which is what is committed.
    let compared = |name: &str| {
        let built = output.find_first(name).unwrap_or_else(|| panic!("{name} was compiled"));
        let committed = root.join(format!("../protocol/abi/{name}.json"));
        let committed: Value =
            serde_json::from_str(&std::fs::read_to_string(committed).expect("the file")).expect("JSON");
        let abi = serde_json::to_value(built.abi.as_ref().expect("an ABI")).expect("JSON");
        assert!(
            abi == committed["abi"],
            "protocol/abi/{name}.json: the ABI is stale, run artefacts.mjs in contracts"
        );
        let code = built.bytecode.as_ref().and_then(|code| code.bytes()).expect("bytecode").to_string();
        assert!(
            code == committed["bytecode"],
            "protocol/abi/{name}.json: the bytecode is stale, run artefacts.mjs in contracts"
        );
    };
    // That its hashes are of this code is for protocol's own tests to say: to build that here would take minutes.
    let manifest = root.join("../protocol/abi/manifest.json");
    let manifest: Value =
        serde_json::from_str(&std::fs::read_to_string(manifest).expect("the manifest")).expect("JSON");
    let contracts = manifest["contracts"].as_array().expect("the contracts");
    assert_eq!(contracts.len(), sources.len());
    for contract in contracts {
        let name = contract["name"].as_str().expect("a name");
        compared(name);
        let with = settings();
        let told = &contract["compiler"];
        // The driver's version also names the compiler's own platform.
        let version = told["version"].as_str().expect("a version");
        assert!(solc.to_string().starts_with(version), "{name}: {solc}");
        assert_eq!(told["via_ir"].as_bool(), with.via_ir, "{name}");
        let evm = with.evm_version.map(|evm| evm.to_string());
        assert_eq!(told["evm_version"].as_str(), evm.as_deref(), "{name}");
        let runs = with.optimizer.runs.and_then(|runs| u64::try_from(runs).ok());
        assert_eq!(told["optimizer_runs"].as_u64(), runs, "{name}");
    }
}

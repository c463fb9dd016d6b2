//! `earnest config`: the effective configuration and where every value comes from.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use crate::output::{Output, print};

/// Which configuration.
#[derive(Args, Debug)]
pub struct ConfigArgs {
    /// The file [default: DIR/earnest.toml where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Prints it, secrets hidden.
pub fn run(output: Output, data: &std::path::Path, arguments: ConfigArgs) -> Result<()> {
    let usual = data.join("earnest.toml");
    let file = arguments.config.or_else(|| usual.exists().then_some(usual));
    let file = file.as_deref();
    let mut lines = service::config::load::<hub::config::Config>("hub", file)?.explained;
    lines.extend(service::config::load::<indexer::config::Config>("indexer", file)?.explained);
    lines.extend(service::config::load::<relayer::config::Config>("relayer", file)?.explained);
    if output.json {
        let value: Vec<Value> = lines.iter().map(|line| Value::from(line.as_str())).collect();
        print(&Value::from(value).to_string())
    } else {
        print(&lines.join("\n"))
    }
}

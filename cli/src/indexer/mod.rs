//! `earnest indexer`: the verbs of the service that follows chains.

mod backfill;
mod check;
pub mod pace;
pub mod progress;
mod run;
mod status;

use std::path::PathBuf;

use alloy::primitives::B256;
use anyhow::Result;
use clap::{Args, Subcommand};
use indexer::config::Config;
use protocol::chain::ChainId;

use serde_json::json;

use crate::{commands::Session, services::ServiceArgs};

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  earnest indexer run --config earnest.toml        follow the chains and serve HTTP until Ctrl-C
  earnest indexer backfill --config earnest.toml   read everything that is there, show how fast, and end
  earnest indexer status --watch                   lag, finality, faults and deliveries of a running indexer
  earnest indexer verify                           does the database say what its own raw logs say? (ends with 3 if not)
  earnest indexer reindex                          decode the raw logs anew, without a chain

Stop the running indexer before `backfill` and `reindex`, which refuse to work beside it. `status` and `verify` change
nothing; they and `accept` may be used beside it.";

/// What to do with an indexer; without a verb it is run.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct IndexerArgs {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    run: ServiceArgs,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Follow the chains and serve HTTP until Ctrl-C
    Run(ServiceArgs),
    /// Read everything that is on the chains, serve nothing, and end
    Backfill(ConfigArg),
    /// Show how a running indexer is doing
    Status(status::StatusArgs),
    /// Decode every log again, fold every state again, and compare with what is kept
    Verify(ConfigArg),
    /// Make events and states anew from the raw logs, without a chain
    Reindex(ConfigArg),
    /// Go on after a reorganisation deeper than finality: take the chain that holds a block
    Accept(AcceptArgs),
}

/// Which chain to go on with.
#[derive(Args, Debug)]
struct AcceptArgs {
    /// The CAIP-2 id of the chain, such as eip155:1
    chain: ChainId,
    /// The hash of a block that is on the right chain and not on the one that is kept
    block: B256,
    #[command(flatten)]
    file: ConfigArg,
}

/// Which configuration.
#[derive(Args, Debug)]
struct ConfigArg {
    /// Configuration file (TOML) [default: DIR/earnest.toml where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigArg {
    fn load(&self, session: &Session) -> Result<Config> {
        let usual = session.place().root().join("earnest.toml");
        let file = self.config.clone().or_else(|| usual.exists().then_some(usual));
        Ok(service::config::load::<Config>("indexer", file.as_deref())?.value)
    }
}

/// Does it.
pub async fn run(session: &Session, arguments: IndexerArgs) -> Result<()> {
    match arguments.verb {
        None => run::run(arguments.run).await,
        Some(Verb::Run(arguments)) => run::run(arguments).await,
        Some(Verb::Backfill(file)) => backfill::run(session.output, file.load(session)?).await,
        Some(Verb::Status(arguments)) => status::run(session, arguments).await,
        Some(Verb::Verify(file)) => check::verify(session.output, &file.load(session)?).await,
        Some(Verb::Reindex(file)) => check::reindex(session.output, &file.load(session)?).await,
        Some(Verb::Accept(arguments)) => {
            let (config, chain) = (arguments.file.load(session)?, arguments.chain);
            indexer::accept(&config, chain, arguments.block).await?;
            let value = json!({"chain": chain, "block": arguments.block});
            let lines = [("chain", chain.to_string()), ("goes on with", arguments.block.to_string())];
            session.output.one(&value, &lines)
        }
    }
}

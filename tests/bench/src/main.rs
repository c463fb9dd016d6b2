//! The parts of `scripts/bench indexer` that are not the indexer: the chain that all subjects read, what they must make
//! of it, the yardsticks, and the readers that stop the clock. `docs/benchmarks.md` has the protocol. And the two sides of
//! `scripts/bench ledger`, and what `scripts/bench api` asks the hub by and beside.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a program of the tests: it stops where something is not as it must be"
)]

mod api;
mod ceiling;
mod corpus;
mod far;
mod generate;
mod ledger;
mod live;
mod naive;
mod null;
mod record;
mod rows;
mod watch;

use clap::Parser;

/// One part of a bench; `scripts/bench` puts them together. Answers are JSON on one line.
#[derive(Parser, Debug)]
enum Command {
    /// Put the corpus on an empty anvil that mines nothing by itself; answers what every subject must find there
    Generate(generate::Arguments),
    /// Pass requests on to a node and write down every one; where it is asked for, as if the node were far away
    Record(record::Arguments),
    /// Send the requests that were written down again, byte for byte, and throw the answers away
    Null(null::Arguments),
    /// The loop that one would write first: getLogs, INSERT
    Naive(naive::Arguments),
    /// Insert the very rows of a database into an empty one, as fast as SQLite does
    Ceiling(ceiling::Arguments),
    /// Wait until a query answers enough; answers when that was
    Watch(watch::Arguments),
    /// The hash of the events that a subject has stored, in order
    Rows(rows::Arguments),
    /// Mine events at a steady pace and measure how long each takes to be seen in a database
    Live(live::Arguments),
    /// Post transfers by the ledger's own function
    Ledger(ledger::Arguments),
    /// Write what those left behind, row by row, as fast as SQLite does
    LedgerCeiling(ledger::CeilingArguments),
    /// Post the same transfers by a function in PostgreSQL
    LedgerFunction(ledger::Arguments),
    /// Sign in to a hub; answers the account and the session's token
    ApiMember(api::MemberArguments),
    /// Answer pages of a statement without a hub, until it is killed
    ApiBare(api::BareArguments),
    /// Ask for one page again and again by several connections
    ApiLoad(api::LoadArguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    sqlx::any::install_default_drivers();
    let answer = match Command::parse() {
        Command::Generate(arguments) => generate::run(&arguments).await?,
        Command::Record(arguments) => record::run(arguments).await?,
        Command::Null(arguments) => null::run(&arguments).await?,
        Command::Naive(arguments) => naive::run(&arguments).await?,
        Command::Ceiling(arguments) => ceiling::run(&arguments)?,
        Command::Watch(arguments) => watch::run(&arguments).await?,
        Command::Rows(arguments) => rows::run(&arguments).await?,
        Command::Live(arguments) => live::run(&arguments).await?,
        Command::Ledger(arguments) => ledger::ours(&arguments).await?,
        Command::LedgerCeiling(arguments) => ledger::ceiling(&arguments)?,
        Command::LedgerFunction(arguments) => ledger::function(&arguments).await?,
        Command::ApiMember(arguments) => api::member(&arguments).await?,
        Command::ApiBare(arguments) => api::bare(&arguments).await?,
        Command::ApiLoad(arguments) => api::load(&arguments).await?,
    };
    println!("{answer}");
    Ok(())
}

//! `earnest`: a marketplace without a platform, in one binary. This file reads the command line and ends the process;
//! what the verbs do is in `commands`, `up` and `services`.

mod allocator;
mod amount;
mod client;
mod commands;
mod exit;
mod indexer;
mod output;
mod place;
mod services;
/// What the hub's tests bring as noise, and who answers it.
#[cfg(test)]
#[path = "../../hub/src/testing"]
#[allow(
    dead_code,
    clippy::arithmetic_side_effects,
    reason = "test code, of which the hub's own tests use more"
)]
mod testing {
    pub(crate) mod answers;
    pub(crate) mod noise;
}
mod up;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use commands::{
    Connection, Session, account, community, config, credential, deal, deploy, device, dispute, events,
    grievance, identity, ledger, listing, log, pool, profile, proposal, purchase, rebuild, record, relayer,
    reputation, token, verify,
};

const EXAMPLES: &str = "\
Examples:
  earnest up                              a whole market on this machine, with two sample trades
  earnest --as buyer account show         one of its members, from another terminal
  earnest --as buyer purchase list        what the member bought

A person is a folder of keys under DIR/profiles. Records are signed by the person's device key, transactions, terms and
ballots by the wallet key; neither leaves this machine.
";

/// A marketplace without a platform: escrow on a chain, arbitration by drawn juries, and the services around them.
#[derive(Parser, Debug)]
#[command(name = "earnest", version, after_help = format!("{EXAMPLES}\n{}", exit::CODES))]
struct Cli {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Start a whole market on this machine and show two trades
    #[command(after_help = up::EXAMPLES)]
    Up(up::UpArgs),
    /// Run a hub
    Hub(services::ServiceArgs),
    /// Run an indexer, or see to its database
    #[command(after_help = indexer::EXAMPLES)]
    Indexer(indexer::IndexerArgs),
    /// Run a relayer, or ask one what something would cost
    Relayer(relayer::RelayerArgs),
    /// Run a local chain
    Chain(services::ChainArgs),
    /// Run a local Solana chain that keeps nothing
    SolanaChain(services::SolanaChainArgs),
    /// Show the effective configuration of the services and where each value comes from
    Config(config::ConfigArgs),
    /// Put the contracts on a chain, at the addresses that they have everywhere
    #[command(long_about = deploy::ABOUT, after_help = deploy::EXAMPLES)]
    Deploy(deploy::DeployArgs),
    /// Accounts: who you are
    #[command(subcommand)]
    Account(account::Verb),
    /// Identity: who controls your account, who may recover it, and that you are a person
    #[command(subcommand)]
    Identity(identity::Verb),
    /// Devices that speak for you
    #[command(subcommand)]
    Device(device::Verb),
    /// Sessions and API tokens
    #[command(subcommand)]
    Token(token::Verb),
    /// What you say of yourself
    #[command(subcommand)]
    Profile(profile::Verb),
    /// Records: everything that is said at a hub, as its author signed it
    #[command(subcommand)]
    Record(record::Verb),
    /// A hub's log: its signed word on all records
    #[command(subcommand)]
    Log(log::Verb),
    /// The ledger: hours and what else is counted
    #[command(subcommand)]
    Ledger(ledger::Verb),
    /// Replay a hub's records and compare: are its tables what its records say?
    #[command(long_about = rebuild::ABOUT, after_help = rebuild::EXAMPLES)]
    Rebuild(rebuild::RebuildArgs),
    /// Communities and their members
    #[command(subcommand)]
    Community(community::Verb),
    /// Proposals: what communities decide
    #[command(subcommand)]
    Proposal(proposal::Verb),
    /// Grievances: disputes of a community's members, mediated and before drawn juries
    #[command(subcommand)]
    Grievance(grievance::Verb),
    /// Arbitration pools
    #[command(subcommand)]
    Pool(pool::Verb),
    /// Listings: what is offered
    #[command(subcommand)]
    Listing(listing::Verb),
    /// Purchases: offers and what becomes of them
    #[command(subcommand)]
    Purchase(purchase::Verb),
    /// Deals: the escrow, in transactions from your wallet
    #[command(subcommand)]
    Deal(deal::Verb),
    /// Disputes: what a jury does, and what you can do about it
    #[command(subcommand)]
    Dispute(dispute::DisputeVerb),
    /// Evidence in a dispute
    #[command(subcommand)]
    Evidence(dispute::EvidenceVerb),
    /// Cases before a jury
    #[command(subcommand)]
    Case(dispute::CaseVerb),
    /// Ballots of a juror
    #[command(subcommand)]
    Ballot(dispute::BallotVerb),
    /// Credentials: what deals say of people
    #[command(subcommand)]
    Credential(credential::Verb),
    /// Reputation: what credentials come to
    #[command(subcommand)]
    Reputation(reputation::Verb),
    /// Follow what happens at a hub, and to you
    #[command(long_about = events::ABOUT, after_help = events::EXAMPLES)]
    Events(events::EventsArgs),
    /// Check a credential or a deal without trusting a hub
    #[command(subcommand)]
    Verify(verify::Verb),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::Indexer(_)) {
        allocator::one_arena();
    }
    ended(cli)
}

#[tokio::main]
async fn ended(cli: Cli) -> ExitCode {
    match run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if exit::reader_left(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("earnest: {}", exit::one_line(&error));
            ExitCode::from(exit::code(&error))
        }
    }
}

async fn run(cli: Cli) -> Result<()> {
    let session = Session::new(cli.connection);
    match cli.command {
        Command::Up(arguments) => up::up(session.place(), arguments).await,
        Command::Hub(arguments) => services::hub(arguments).await,
        Command::Indexer(arguments) => indexer::run(&session, arguments).await,
        Command::Relayer(arguments) => relayer::run(&session, arguments).await,
        Command::Chain(arguments) => services::chain(arguments).await,
        Command::SolanaChain(arguments) => services::solana_chain(arguments).await,
        Command::Config(arguments) => config::run(session.output, session.place().root(), arguments),
        Command::Deploy(arguments) => deploy::run(&session, arguments).await,
        Command::Account(verb) => account::run(&session, verb).await,
        Command::Identity(verb) => identity::run(&session, verb).await,
        Command::Device(verb) => device::run(&session, verb).await,
        Command::Token(verb) => token::run(&session, verb).await,
        Command::Profile(verb) => profile::run(&session, verb).await,
        Command::Record(verb) => record::run(&session, verb).await,
        Command::Log(verb) => log::run(&session, verb).await,
        Command::Ledger(verb) => ledger::run(&session, verb).await,
        Command::Rebuild(arguments) => rebuild::run(&session, arguments).await,
        Command::Community(verb) => community::run(&session, verb).await,
        Command::Proposal(verb) => proposal::run(&session, verb).await,
        Command::Grievance(verb) => grievance::run(&session, verb).await,
        Command::Pool(verb) => pool::run(&session, verb).await,
        Command::Listing(verb) => listing::run(&session, verb).await,
        Command::Purchase(verb) => purchase::run(&session, verb).await,
        Command::Deal(verb) => deal::run(&session, verb).await,
        Command::Dispute(verb) => dispute::dispute(&session, verb).await,
        Command::Evidence(verb) => dispute::evidence(&session, verb).await,
        Command::Case(verb) => dispute::case(&session, verb).await,
        Command::Ballot(verb) => dispute::ballot(&session, verb).await,
        Command::Credential(verb) => credential::run(&session, verb).await,
        Command::Reputation(verb) => reputation::run(&session, verb).await,
        Command::Events(arguments) => events::run(&session, arguments).await,
        Command::Verify(verb) => verify::run(&session, verb).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser as _};

    use super::Cli;

    /// A verb's argument with the id of a global option would silently share its value.
    fn no_verb_reuses(command: &clap::Command, globals: &[String]) {
        for argument in command.get_arguments() {
            let id = argument.get_id().to_string();
            assert!(!globals.contains(&id) || argument.is_global_set(), "{}: {id}", command.get_name());
        }
        for verb in command.get_subcommands() {
            no_verb_reuses(verb, globals);
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        let command = Cli::command();
        command.clone().debug_assert();
        let globals =
            command.get_arguments().map(|argument| argument.get_id().to_string()).collect::<Vec<_>>();
        no_verb_reuses(&command, &globals);
    }

    #[test]
    fn a_filter_with_a_value_that_it_has_not_is_refused_in_one_line() {
        for (noun, filter, rule) in [
            ("credential", "--subject", "must begin with did:pkh:"),
            ("grievance", "--state", "one of filed, mediation, proposed, escalated, voting, resolved"),
            ("listing", "--kind", "one of data_product, service, physical, digital"),
            ("listing", "--status", "one of draft, active, paused, sold, expired"),
            ("proposal", "--state", "one of open, rejected, executed, unexecuted"),
            (
                "purchase",
                "--status",
                "one of offered, declined, withdrawn, created, funded, delivered, disputed, confirmed, completed, refunded",
            ),
        ] {
            let refused = Cli::try_parse_from(["earnest", noun, "list", filter, "nonsense"]).unwrap_err();
            assert_eq!(refused.exit_code(), 2);
            let refused = refused.to_string();
            let line = refused.lines().next().unwrap();
            for part in ["'nonsense'", filter, rule] {
                assert!(line.contains(part), "{noun}: {refused}");
            }
        }
    }
}

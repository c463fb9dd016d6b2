//! `earnest relayer`: runs one, and asks one what something would cost.

use std::{io::Read as _, path::PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use protocol::wire::intent::{Intent, Outlook};

use super::{PATIENCE, Session};
use crate::{
    amount,
    client::http::Http,
    services::{self, ServiceArgs},
};

/// A relayer.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RelayerArgs {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Ask a running relayer what would become of an intent now, and what it costs
    #[command(
        after_help = "The intent is JSON as in the hub's `GET /v1/intents`, from a file or from standard input. Nothing is \
        signed or kept.\nThe relayer's address and the hub's key come from its configuration (EARNEST_RELAYER_LISTEN, \
        EARNEST_RELAYER_HUB_KEY).\nExamples:\n  earnest relayer estimate intent.json --config data/earnest.toml\n  \
        curl -s -H \"Authorization: Bearer $KEY\" $HUB/v1/intents | jq .intents[0] | earnest relayer estimate -"
    )]
    Estimate {
        /// The intent; `-` for standard input
        #[arg(value_name = "FILE")]
        intent: PathBuf,
        #[command(flatten)]
        service: ServiceArgs,
    },
}

/// Does it.
pub async fn run(session: &Session, arguments: RelayerArgs) -> Result<()> {
    match arguments.verb {
        None => services::relayer(arguments.service).await,
        Some(Verb::Estimate { intent, service }) => estimate(session, &intent, &service).await,
    }
}

async fn estimate(session: &Session, file: &PathBuf, service: &ServiceArgs) -> Result<()> {
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).context("standard input")?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    }
    let intent: Intent =
        serde_json::from_str(&text).with_context(|| format!("{}: no intent", file.display()))?;
    let config = services::relayer_config(service)?;
    let http = Http::new(&format!("http://{}", config.listen), PATIENCE)?;
    let http = http.bearing(config.hub_key.expose().to_owned());
    let outlook: Outlook = http.post("/v1/estimates", &intent).await?;
    let chain = intent.arbiter.chain;
    let mut lines = vec![(
        "outlook",
        match (&outlook.refusal, outlook.already_done) {
            (_, true) => "done already".to_owned(),
            (Some(refusal), _) => format!("refused: {}", refusal.detail),
            (None, _) => "would go through".to_owned(),
        },
    )];
    if let Some(estimate) = &outlook.estimate {
        lines.push(("gas or compute units", estimate.units.to_string()));
        lines.push(("cost now (coins)", amount::coins(chain, estimate.cost_now)));
        lines.push(("at most", amount::coins(chain, estimate.cost_max)));
    }
    if let Some(over) = &outlook.over_quota {
        lines.push(("quota", over.detail.clone()));
    }
    session.output.one(&outlook, &lines)
}

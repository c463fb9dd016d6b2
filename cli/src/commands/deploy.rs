//! `earnest deploy`: the contracts, from the bytecode in this binary, at their published addresses.

use std::path::PathBuf;

use alloy::primitives::B256;
use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use super::Session;
use crate::client::{chain::Chain, evm::deployment, profile};

/// For `--help`.
pub const ABOUT: &str = "\
Puts the contracts on a chain, at the addresses that they have on every chain: an address is a hash of the code that is \
deployed there (CREATE2 through the deterministic deployment proxy 0x4e59b44847b379578588920cA78FbF26c0B4956C), so nothing \
else can be there. A contract that is there already is checked and left alone, so running it twice changes nothing. Where \
the chain lacks the proxy it is created first, by its well-known transaction, whose sender is given up to 0.01 coin.

Whoever deploys has no power over the contracts afterwards, and pays only for gas.";

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  earnest --as ida --rpc http://127.0.0.1:8545 deploy
  EARNEST_WALLET_KEY=0x… earnest --rpc https://node.example deploy
  earnest --rpc https://node.example verify contracts     # what anybody can check afterwards";

/// Who pays for the deployment.
#[derive(Args, Debug)]
pub struct DeployArgs {
    /// Without --as: the key that pays for gas, 64 hexadecimal digits
    #[arg(long, env = "EARNEST_WALLET_KEY", hide_env_values = true, value_name = "HEX")]
    wallet_key: Option<B256>,
    /// Without --as: the keystore (Web3 Secret Storage) that pays; its password comes from EARNEST_WALLET_PASSWORD
    #[arg(long, value_name = "FILE")]
    keystore: Option<PathBuf>,
}

/// Deploys what is missing and checks all.
pub async fn run(session: &Session, arguments: DeployArgs) -> Result<()> {
    let chain = match session.chain().await? {
        Chain::Evm(chain) => chain,
        Chain::Solana(chain) => bail!(
            "--rpc {}: {} is a Solana cluster, and a program is deployed there by Solana's own tools from the verifiable \
             build: see docs/solana.md, `A public cluster`. What is there is checked by `earnest verify contracts`",
            chain.url(),
            chain.id
        ),
    };
    let signer = match (session.is_somebody(), arguments.keystore, arguments.wallet_key) {
        (false, Some(file), _) => profile::open_keystore(&file)?,
        (false, None, Some(key)) => profile::signer(&key)?,
        _ => session.profile()?.wallet.evm()?.clone(),
    };
    let wallet = chain.signed_by(&signer)?;
    let tell = |line: &str| {
        if !session.output.json {
            eprintln!("… {line}");
        }
    };
    let (placed, sent) = deployment::deploy(&wallet, tell).await?;
    let contracts: Vec<_> = placed
        .iter()
        .map(|one| {
            json!({
                "name": one.contract.name, "address": one.account, "deployed": one.sent.is_some(),
                "init_code_hash": one.contract.init_code_hash,
            })
        })
        .collect();
    let rows = placed
        .iter()
        .map(|one| {
            let how = one.sent.as_ref().map_or_else(
                || "was there, checked".to_owned(),
                |sent| format!("deployed in block {}", sent.block),
            );
            vec![one.contract.name.clone(), one.account.to_string(), how]
        })
        .collect();
    let value = json!({
        "contracts": contracts, "start_block": deployment::start_block(&placed), "transactions": sent,
    });
    session.output.many(&value, &["contract", "address", "how"], rows)
}

//! `earnest deploy`: the contracts, from the bytecode in this binary.

use anyhow::Result;
use serde_json::json;

use super::Session;
use crate::client::contracts;

/// Deploys an escrow and arbitration pools from the person's wallet.
pub async fn run(session: &Session) -> Result<()> {
    let wallet = session.wallet().await?;
    let (deployed, sent) = contracts::deploy(&wallet).await?;
    let (escrow, pools) = (wallet.chain.account(deployed.escrow), wallet.chain.account(deployed.pools));
    let value = json!({
        "escrow": escrow, "pools": pools, "start_block": deployed.start_block, "transactions": sent,
    });
    session.output.one(
        &value,
        &[
            ("escrow", escrow.to_string()),
            ("pools", pools.to_string()),
            ("first block", deployed.start_block.to_string()),
        ],
    )
}

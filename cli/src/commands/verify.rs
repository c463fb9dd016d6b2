//! `earnest verify`: what anyone can check without trusting a hub. A check that does not hold ends with exit code 3.

use std::path::{Path, PathBuf};

use alloy::primitives::B256;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use hub::{records::Device, reputation::model::Kind};
use protocol::{
    caip::AccountId,
    evm::{deal_id, escrow::Escrow, pools::ArbitrationPools},
    terms::Terms,
};
use serde_json::{Value, json};

use super::{Session, deal::status_name};
use crate::{
    amount,
    client::credential::{check, device_of},
    exit::Failure,
};

/// Checks.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Check a credential: its form and signature, that its issuer may speak for the party's wallet, that the deal's id is
    /// the hash of its terms, and that the chain says of the deal what the credential says
    #[command(
        after_help = "Example:\n  earnest verify credential credential.json --rpc http://127.0.0.1:8545"
    )]
    Credential(CredentialArgs),
    /// Check contracts: that the code at their addresses is the code in this binary, which nobody owns and nobody can change
    #[command(after_help = "Example:\n  earnest verify contracts --rpc http://127.0.0.1:8545 \
        --escrow eip155:31337:0x… --arbiter eip155:31337:0x…")]
    Contracts(ContractsArgs),
    /// Check a deal: that its id is the hash of the terms, and what the escrow says of it
    #[command(
        after_help = "Example:\n  earnest verify deal terms.json --deal 0x… --rpc http://127.0.0.1:8545"
    )]
    Deal(DealArgs),
}

/// Which credential, and whose word counts.
#[derive(Args, Debug)]
pub struct CredentialArgs {
    /// A file with the credential (JSON)
    file: PathBuf,
    /// The hub whose word on lost disputes you take, by its did:key [default: that of --hub]
    #[arg(long, value_name = "DID")]
    trust: Option<Device>,
    /// The escrow whose events you take for the truth [default: any with the code in this binary]
    #[arg(long, value_name = "CAIP-10")]
    escrow: Option<AccountId>,
}

/// Which contracts.
#[derive(Args, Debug)]
pub struct ContractsArgs {
    /// The escrow [default: as `earnest up` deployed it]
    #[arg(long, value_name = "CAIP-10")]
    escrow: Option<AccountId>,
    /// The pools contract [default: as `earnest up` deployed it]
    #[arg(long, value_name = "CAIP-10")]
    arbiter: Option<AccountId>,
}

/// Which deal.
#[derive(Args, Debug)]
pub struct DealArgs {
    /// A file with the terms (JSON)
    file: PathBuf,
    /// The id that they must have
    #[arg(long)]
    deal: Option<B256>,
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::Credential(arguments) => credential(session, arguments).await,
        Verb::Contracts(arguments) => contracts(session, arguments).await,
        Verb::Deal(arguments) => deal(session, arguments).await,
    }
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::does_not_hold(format!("{}: {error}", file.display())))
}

async fn credential(session: &Session, arguments: CredentialArgs) -> Result<()> {
    let secured: Value = read(&arguments.file)?;
    let hub = match arguments.trust {
        Some(device) => Ok(device),
        None => asked(session).await,
    };
    // Only the hub's own credentials need it: for others a hub that does not answer is no failure.
    let own = secured.pointer("/type/1").and_then(Value::as_str) == Some(Kind::DisputeLost.name());
    let hub = match hub {
        Ok(device) => Some(device),
        Err(error) if own => {
            let name = Kind::DisputeLost.name();
            return Err(
                error.context(format!("a {name} is a hub's word, and no --trust names the hub's key"))
            );
        }
        Err(_) => None,
    };
    let held = check(&session.chain().await?, hub, arguments.escrow, &secured).await?;
    let party = held.party.map(|party| party.to_string());
    let value = json!({
        "holds": true, "kind": held.kind.name(), "issuer": held.issuer, "party": party, "subject": held.subject,
        "deal": held.deal, "outcome": held.outcome, "seller_share_bps": held.seller_share_bps,
    });
    session.output.one(
        &value,
        &[
            ("holds", "yes".to_owned()),
            ("kind", held.kind.name().to_owned()),
            ("issuer", held.issuer.to_string()),
            ("for", party.unwrap_or_else(|| "the hub".to_owned())),
            ("about", held.subject.to_string()),
            ("deal", held.deal.to_string()),
            ("outcome", held.outcome.as_str().to_owned()),
        ],
    )
}

async fn asked(session: &Session) -> Result<Device> {
    device_of(&session.hub()?).await
}

async fn contracts(session: &Session, arguments: ContractsArgs) -> Result<()> {
    let chain = session.chain().await?;
    let escrow = session.contract("--escrow", arguments.escrow, |market| market.contracts.escrow)?;
    let pools = session.contract("--arbiter", arguments.arbiter, |market| market.contracts.pools)?;
    for (name, contract, creation) in
        [("escrow", escrow, Escrow::BYTECODE.clone()), ("pools", pools, ArbitrationPools::BYTECODE.clone())]
    {
        if contract.chain != chain.id {
            bail!("{name} {contract}: --rpc {} is {}", chain.url(), chain.id);
        }
        if !chain.has_code(contract.address).await? {
            return Err(Failure::does_not_hold(format!("{name} {contract}: there is no contract")));
        }
        if !chain.runs(contract.address, creation).await? {
            return Err(Failure::does_not_hold(format!(
                "{name} {contract}: its code is not the code in this binary"
            )));
        }
    }
    let value = json!({ "holds": true, "escrow": escrow, "pools": pools });
    session.output.one(
        &value,
        &[("holds", "yes".to_owned()), ("escrow", escrow.to_string()), ("pools", pools.to_string())],
    )
}

async fn deal(session: &Session, arguments: DealArgs) -> Result<()> {
    let terms: Terms = read(&arguments.file)?;
    let id = deal_id(&terms).map_err(|error| Failure::does_not_hold(format!("terms: {error}")))?;
    if let Some(given) = arguments.deal
        && given != id
    {
        return Err(Failure::does_not_hold(format!(
            "--deal {given} is not the id of these terms, which is {id}"
        )));
    }
    let chain = session.chain().await?;
    if chain.id != terms.escrow.chain {
        return Err(Failure::does_not_hold(format!(
            "the terms are on {}, and --rpc {} is {}",
            terms.escrow.chain,
            chain.url(),
            chain.id
        )));
    }
    let state = chain.read(terms.escrow.address, &Escrow::stateOfCall { deal: id }).await?;
    let status = status_name(state.status);
    if status == "none" {
        return Err(Failure::does_not_hold(format!("the escrow {} knows no deal {id}", terms.escrow)));
    }
    let value = json!({
        "holds": true, "deal": id, "status": status,
        "released": state.released.to_string(), "refunded": state.refunded.to_string(),
    });
    session.output.one(
        &value,
        &[
            ("holds", "yes".to_owned()),
            ("deal", id.to_string()),
            ("status", status.to_owned()),
            ("to the seller", amount::of(&terms.asset, state.released)),
            ("to the buyer", amount::of(&terms.asset, state.refunded)),
        ],
    )
}

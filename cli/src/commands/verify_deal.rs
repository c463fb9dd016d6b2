//! `earnest verify deal` (and `earnest deal verify`): everything that anybody can check of a deal, offline and on its chain.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use alloy::primitives::{B256, Bytes};
use anyhow::{Context, Result};
use clap::Args;
use protocol::{chain::AccountId, terms::Terms};
use serde_json::{Value, json};

use super::Session;
use crate::{
    client::deal_check::{Claim, Found, Stands, check, clock, failures},
    exit::Failure,
    output::{print, time},
};

/// For `--help`.
pub const ABOUT: &str = "\
Checks a deal without trusting anyone, and says what can be done with it.

From the terms alone: that they break none of the rules for what may be funded (each broken rule by its name), that the id \
is their hash, that the agreement is the one that they name, that the seller's key signed them, and that their escrow is \
at the published address, which is a hash of its code.

On the chain, where --rpc or `earnest up` names a node: that the code at the escrow is the code in this binary, that the \
escrow computes the same id, that the seller's contract wallet accepts the signature, where the deal stands (or that a \
party retracted the terms), and what may be done next, by whom and until when. On Solana: that the program is the one in \
this binary and nobody can upgrade it, and what the deal's account says.

Ends with exit code 3 when anything does not hold, after telling everything that was found.";

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  earnest verify deal terms.json --offline
  earnest verify deal terms.json --deal 0x… --agreement agreement.json --rpc https://node.example
  earnest --json --as buyer purchase show zQm… | jq .details.terms | earnest verify deal -

Terms as JSON:
  {\"escrow\": \"eip155:1:0x…\", \"buyer\": \"eip155:1:0x…\", \"seller\": \"eip155:1:0x…\",
   \"arbiter\": \"eip155:1:0x…\", \"asset\": \"eip155:1/slip44:60\", \"amount\": \"5000\",
   \"fund_by\": \"1795266807\", \"deliver_by\": \"1795353207\", \"inspection\": 86400,
   \"ruling\": 1209600, \"lapse_share\": 5000, \"metered\": false,
   \"panel\": \"0x…\", \"agreement\": \"0x…\", \"salt\": \"0x…\"}";

/// Which deal, and what is said of it.
#[derive(Args, Debug)]
pub struct DealArgs {
    /// A file with the terms (JSON), or - for standard input
    file: PathBuf,
    /// The id that they must have
    #[arg(long, value_name = "HEX")]
    deal: Option<B256>,
    /// A file with the agreement (JSON) whose hash the terms must name
    #[arg(long, value_name = "FILE")]
    agreement: Option<PathBuf>,
    /// The seller's signature of the terms
    #[arg(long, value_name = "HEX")]
    seller_signature: Option<Bytes>,
    /// The escrow that you accept in the place of the published one, whatever its code
    #[arg(long, value_name = "CAIP-10")]
    escrow: Option<AccountId>,
    /// Ask no chain, even where a node is known
    #[arg(long)]
    offline: bool,
}

/// Does it.
pub async fn run(session: &Session, arguments: DealArgs) -> Result<()> {
    let terms: Terms = read(&arguments.file)?;
    let agreement = arguments.agreement.as_deref().map(read).transpose()?;
    let chain = if arguments.offline { None } else { session.chain_of(terms.escrow.chain).await? };
    let now = match &chain {
        Some(chain) => chain.now().await?,
        None => clock()?,
    };
    let claim = Claim {
        terms,
        deal: arguments.deal,
        agreement,
        seller_signature: arguments.seller_signature,
        escrow: arguments.escrow,
    };
    let found = check(&claim, chain.as_ref(), now).await?;
    tell(session, &found)?;
    if chain.is_none() && !session.output.json {
        print("\nThe chain was not asked. With --rpc URL it tells where the deal stands.")?;
    }
    failures(&found).map_or(Ok(()), Err)
}

/// Reads JSON from a file or, for `-`, from standard input.
pub fn read<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::does_not_hold(format!("{}: {error}", file.display())))
}

fn tell(session: &Session, found: &Found) -> Result<()> {
    let answer = |holds| if holds { "yes" } else { "NO" };
    let rows = found
        .checks
        .iter()
        .map(|one| vec![one.check.to_owned(), answer(one.holds).to_owned(), one.detail.clone()])
        .collect();
    session.output.many(&value(found), &["check", "holds", "found"], rows)?;
    match &found.stands {
        Some(stands) if !session.output.json => next(session, stands),
        _ => Ok(()),
    }
}

fn next(session: &Session, stands: &Stands) -> Result<()> {
    if stands.next.is_empty() {
        return print("\nNothing can be done with this deal.");
    }
    let rows = stands
        .next
        .iter()
        .map(|one| {
            let from = if one.from <= stands.now { "now".to_owned() } else { time(one.from) };
            let until = one.until.map_or_else(|| "no end".to_owned(), time);
            vec![one.action.to_string(), one.by.to_string(), from, until]
        })
        .collect();
    print("")?;
    session.output.many(&Value::Null, &["may be done", "by", "from", "until"], rows)
}

fn value(found: &Found) -> Value {
    let holds = found.checks.iter().all(|one| one.holds);
    let mut value = json!({ "holds": holds, "deal": found.deal, "checks": found.checks });
    let Some(Stands { now, state, status, next }) = &found.stands else { return value };
    let next: Vec<Value> = next
        .iter()
        .map(|one| {
            json!({
                "action": one.action.to_string(), "by": one.by.to_string(), "from": one.from.to_string(),
                "until": one.until.map(|until| until.to_string()),
            })
        })
        .collect();
    // Of a deal that is gone the escrow no longer knows what was paid.
    let kept = |amount: u128| state.status.is_kept().then(|| amount.to_string());
    if let Some(fields) = value.as_object_mut() {
        fields.insert("now".to_owned(), json!(now.to_string()));
        fields.insert("status".to_owned(), json!(status.to_string()));
        fields.insert("released".to_owned(), json!(kept(state.released)));
        fields.insert("refunded".to_owned(), json!(kept(state.refunded)));
        fields.insert("next".to_owned(), json!(next));
    }
    value
}

//! What all subjects must agree on: the events in the chain's order with their fields, as lines, and the hash of these.

use alloy::primitives::{self, B256, Keccak256, Log, LogData};
use anyhow::{Context, Result};
use clap::ValueEnum;
use futures::TryStreamExt;
use protocol::{
    chain::{AccountId, Address, ChainId},
    evm,
    terms::Terms,
    wire::feed::EventBody,
};
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection, Row as _, any::AnyRow};

/// The hash over rows in order.
#[derive(Debug, Default)]
pub struct Rows {
    hasher: Keccak256,
    last: Option<(u64, u64)>,
    /// How many rows it is over.
    pub count: u64,
}

impl Rows {
    /// Adds the next event; `fields` are those of the contract's event by their names in Solidity, integers in any form
    /// and hexadecimals in any case.
    pub fn add(&mut self, place: (u64, u64), name: &str, fields: &Value) -> Result<()> {
        anyhow::ensure!(self.last < Some(place), "{name} at {place:?} is told twice or out of order");
        self.last = Some(place);
        self.count += 1;
        let line = json!([place.0, place.1, name, plain(fields)]);
        self.hasher.update(serde_json_canonicalizer::to_vec(&line)?);
        self.hasher.update(b"\n");
        Ok(())
    }

    /// The hash of all that was added.
    pub fn hash(self) -> B256 {
        self.hasher.finalize()
    }
}

fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.to_string().into(),
        Value::String(text) => text.to_lowercase().into(),
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), plain(field))).collect(),
        other => other.clone(),
    }
}

/// Whose table it is.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Of {
    /// `logs` and `events` of the indexer.
    Earnest,
    /// `event` of the others.
    Table,
}

impl Of {
    const fn query(self) -> &'static str {
        match self {
            Self::Earnest => {
                "SELECT logs.block_number, logs.log_index, (SELECT chain FROM chains WHERE number = logs.chain) AS chain, \
                 logs.block_hash, logs.contract, logs.topics, logs.data, events.id FROM logs \
                 JOIN events ON events.number = logs.number WHERE logs.canonical = 1 ORDER BY 1, 2"
            }
            Self::Table => {
                "SELECT CAST(block_number AS BIGINT) AS block_number, CAST(log_index AS BIGINT) AS log_index, \
                 name, args AS fields FROM event ORDER BY 1, 2"
            }
        }
    }
}

/// The hash of the events that a subject has stored, in order.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// `sqlite:PATH` or `postgres://…`
    #[arg(long)]
    database: String,
    /// Whose
    #[arg(long, value_enum)]
    of: Of,
}

/// Hashes a subject's rows.
pub async fn run(arguments: &Arguments) -> Result<Value> {
    let mut on = AnyConnection::connect(&arguments.database).await?;
    let mut found = Rows::default();
    let mut rows = sqlx::query(arguments.of.query()).fetch(&mut on);
    while let Some(row) = rows.try_next().await? {
        let number = |column| -> Result<u64> { Ok(u64::try_from(row.try_get::<i64, _>(column)?)?) };
        let place = (number("block_number")?, number("log_index")?);
        let (name, fields) = match arguments.of {
            Of::Earnest => {
                let body = event_of(&row, place.1)?;
                (body.name().to_owned(), solidity(&body)?)
            }
            Of::Table => (row.try_get("name")?, serde_json::from_str(&row.try_get::<String, _>("fields")?)?),
        };
        found.add(place, &name, &fields)?;
    }
    Ok(json!({"events": found.count, "hash": found.hash()}))
}

/// What a log of the indexer says, which must be found by its own id.
fn event_of(row: &AnyRow, log_index: u64) -> Result<EventBody> {
    let chain: ChainId = row.try_get::<String, _>("chain")?.parse()?;
    let bytes = |column| row.try_get::<&[u8], _>(column);
    let id = evm::event_id(chain, B256::try_from(bytes("block_hash")?)?, log_index)?;
    anyhow::ensure!(id == bytes("id")?, "log {log_index} of a block is found by the id of another");
    let address = primitives::Address::try_from(bytes("contract")?)?;
    let topics = bytes("topics")?.chunks(32).map(B256::try_from).collect::<Result<_, _>>()?;
    let data = LogData::new_unchecked(topics, bytes("data")?.to_vec().into());
    let contract = AccountId { chain, address: address.into() };
    Ok(evm::decode_event(contract, &Log { address, data })?)
}

/// The fields of our event under their names in Solidity.
fn solidity(body: &EventBody) -> Result<Value> {
    Ok(match body {
        EventBody::Funded { deal, terms } => json!({"deal": deal, "terms": terms_of(terms)?}),
        EventBody::Delivered { deal, delivery, count } => {
            json!({"deal": deal, "delivery": delivery, "count": count})
        }
        EventBody::Released { deal, released, count } => {
            json!({"deal": deal, "released": released.to_string(), "count": count})
        }
        EventBody::Refunded { deal, refunded, count } => {
            json!({"deal": deal, "refunded": refunded.to_string(), "count": count})
        }
        EventBody::Disputed { deal, by, evidence, count } => {
            json!({"deal": deal, "by": by, "evidence": evidence, "count": count})
        }
        EventBody::Evidence { deal, by, evidence, uri, count } => {
            json!({"deal": deal, "by": by, "evidence": evidence, "uri": uri, "count": count})
        }
        other => anyhow::bail!("the corpus has no {}", other.name()),
    })
}

/// The terms as the contract's struct has them.
pub fn terms_of(terms: &Terms) -> Result<Value> {
    let evm = |address: Address| address.evm().context("an address of an EVM chain");
    Ok(json!({
        "buyer": evm(terms.buyer.address)?,
        "seller": evm(terms.seller.address)?,
        "arbiter": evm(terms.arbiter.address)?,
        "asset": evm(terms.asset.address())?,
        "amount": terms.amount.to_string(),
        "fundBy": terms.fund_by,
        "deliverBy": terms.deliver_by,
        "inspection": terms.inspection,
        "ruling": terms.ruling,
        "lapseShare": terms.lapse_share,
        "metered": terms.metered,
        "annex": {"panel": terms.panel, "agreement": terms.agreement, "salt": terms.salt},
    }))
}

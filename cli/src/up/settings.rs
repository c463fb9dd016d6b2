//! The configuration that `up` writes for the services.

use anyhow::{Context, Result};
use protocol::chain::ChainId;
use serde_json::{Map, Value, json};

use crate::{
    client::profile::Profile,
    place::{Market, Place, Side},
};

/// Between two looks of a service at what it follows, in milliseconds.
const POLL_MS: u32 = 250;

fn listen(url: &str) -> &str {
    url.trim_start_matches("http://")
}

/// The section of the hub, over the sides that run.
pub fn hub(place: &Place, market: &Market, running: &[Side]) -> Value {
    let indexers: Map<String, Value> =
        running.iter().map(|side| (side.chain.to_string(), json!(side.urls.indexer))).collect();
    json!({
        "listen": listen(&market.hub),
        "database": place.database("hub"),
        "data": place.root().join("hub"),
        "public_url": &market.hub,
        "indexers": indexers,
        "relayer_key": market.relayer_key,
        "personhood_stand_in": true,
        "escrows": running.iter().map(|side| side.escrow).collect::<Vec<_>>(),
        "arbiters": running.iter().map(|side| side.arbiter).collect::<Vec<_>>(),
    })
}

/// A configuration file: indexer and relayer of one side, and the hub where it stands in the same file.
pub fn of(
    place: &Place,
    market: &Market,
    side: &Side,
    relayer: &Profile,
    hub: Option<Value>,
) -> Result<String> {
    let (suffix, private_key) = match side.chain {
        ChainId::Eip155(_) => ("", relayer.wallet.evm()?.to_bytes().to_string()),
        ChainId::Solana(_) => ("-solana", hex::encode(relayer.wallet.solana()?.to_bytes())),
    };
    let mut sections = json!({
        "indexer": {
            "listen": listen(&side.urls.indexer),
            "database": place.database(&format!("indexer{suffix}")),
            "chains": { side.chain.to_string(): {
                "rpc_urls": [&side.urls.rpc],
                "contracts": [side.escrow.address, side.arbiter.address],
                "start_block": side.start_block,
                "poll_ms": POLL_MS,
            } },
        },
        "relayer": {
            "listen": listen(&side.urls.relayer),
            "database": place.database(&format!("relayer{suffix}")),
            "indexer_url": &side.urls.indexer,
            "hub_url": &market.hub,
            "hub_key": market.relayer_key,
            "rpc_urls": [&side.urls.rpc],
            "chain": side.chain,
            "private_key": private_key,
            "poll_interval_ms": POLL_MS,
        },
    });
    if let (Some(hub), Some(sections)) = (hub, sections.as_object_mut()) {
        sections.insert("hub".to_owned(), hub);
    }
    let text = toml::to_string_pretty(&sections).context("the configuration")?;
    Ok(format!("# Written by every `earnest up`; set keys by environment, see `earnest config`.\n{text}"))
}

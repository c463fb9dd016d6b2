//! The configuration that `up` writes for the services.

use anyhow::{Context, Result};
use protocol::chain::ChainId;
use toml::{Table, Value};

use crate::{
    client::profile::Profile,
    place::{Market, Place, Side},
};

/// Between two looks of a service at what it follows, in milliseconds.
const POLL_MS: u32 = 250;

fn listen(url: &str) -> &str {
    url.trim_start_matches("http://")
}

/// A table of these keys. Of TOML's own values, never through another format's, whose numbers it may not take.
fn table<const N: usize>(keys: [(&str, Value); N]) -> Table {
    keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn texts<T: ToString>(values: impl IntoIterator<Item = T>) -> Value {
    Value::Array(values.into_iter().map(|value| Value::from(value.to_string())).collect())
}

/// The section of the hub, over the sides that run.
pub fn hub(place: &Place, market: &Market, running: &[Side]) -> Table {
    let indexers: Table = running
        .iter()
        .map(|side| (side.chain.to_string(), Value::from(side.urls.indexer.as_str())))
        .collect();
    table([
        ("listen", listen(&market.hub).into()),
        ("database", place.database("hub").into()),
        ("data", place.root().join("hub").display().to_string().into()),
        ("public_url", market.hub.as_str().into()),
        ("indexers", indexers.into()),
        ("relayer_key", market.relayer_key.as_str().into()),
        ("personhood_stand_in", true.into()),
        // All of a market on one machine ask from one address.
        ("requests_per_account", 0.into()),
        ("requests_per_address", 0.into()),
        ("streams_per_reader", 0.into()),
        ("escrows", texts(running.iter().map(|side| side.escrow))),
        ("arbiters", texts(running.iter().map(|side| side.arbiter))),
    ])
}

/// A configuration file: indexer and relayer of one side, and the hub where it stands in the same file.
pub fn of(
    place: &Place,
    market: &Market,
    side: &Side,
    relayer: &Profile,
    hub: Option<Table>,
) -> Result<String> {
    let (suffix, private_key) = match side.chain {
        ChainId::Eip155(_) => ("", relayer.wallet.evm()?.to_bytes().to_string()),
        ChainId::Solana(_) => ("-solana", hex::encode(relayer.wallet.solana()?.to_bytes())),
    };
    let start_block = i64::try_from(side.start_block).context("start_block")?;
    let chain = table([
        ("rpc_urls", texts([&side.urls.rpc])),
        ("contracts", texts([side.escrow.address, side.arbiter.address])),
        ("start_block", start_block.into()),
        ("poll_ms", POLL_MS.into()),
    ]);
    let indexer = table([
        ("listen", listen(&side.urls.indexer).into()),
        ("database", place.database(&format!("indexer{suffix}")).into()),
        ("chains", table([(&side.chain.to_string(), chain.into())]).into()),
    ]);
    let relayer = table([
        ("listen", listen(&side.urls.relayer).into()),
        ("database", place.database(&format!("relayer{suffix}")).into()),
        ("indexer_url", side.urls.indexer.as_str().into()),
        ("hub_url", market.hub.as_str().into()),
        ("hub_key", market.relayer_key.as_str().into()),
        ("rpc_urls", texts([&side.urls.rpc])),
        ("chain", side.chain.to_string().into()),
        ("private_key", private_key.into()),
        ("poll_interval_ms", POLL_MS.into()),
    ]);
    let mut sections = table([("indexer", indexer.into()), ("relayer", relayer.into())]);
    sections.extend(hub.map(|hub| ("hub".to_owned(), hub.into())));
    let text = toml::to_string_pretty(&sections).context("the configuration")?;
    Ok(format!("# Written by every `earnest up`; set keys by environment, see `earnest config`.\n{text}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it is wrong")]

    use std::path::Path;

    use super::*;
    use crate::{client::profile::First, place::Urls};

    fn a_side() -> Side {
        let contract =
            |last: char| format!("eip155:31337:0x{}", last.to_string().repeat(40)).parse().unwrap();
        Side {
            chain: ChainId::Eip155(31_337),
            genesis: None,
            escrow: contract('1'),
            arbiter: contract('2'),
            start_block: 7,
            urls: Urls {
                rpc: "http://127.0.0.1:1".to_owned(),
                indexer: "http://127.0.0.1:2".to_owned(),
                relayer: "http://127.0.0.1:3".to_owned(),
            },
            panel: None,
            listing: None,
        }
    }

    fn section<T>(file: &Path, name: &str) -> T
    where
        T: Default + serde::Serialize + serde::de::DeserializeOwned,
    {
        service::config::load(name, Some(file)).unwrap().value
    }

    #[test]
    fn every_service_takes_the_section_that_is_written_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path());
        let relayer = Profile::create(&folder.path().join("relayer"), "relayer", First::Evm(None)).unwrap();
        let side = a_side();
        let market = Market {
            hub: "http://127.0.0.1:4".to_owned(),
            relayer_key: "k".repeat(24),
            community: None,
            sides: vec![side.clone()],
        };
        let hub = hub(&place, &market, std::slice::from_ref(&side));
        let file = folder.path().join("earnest.toml");
        std::fs::write(&file, of(&place, &market, &side, &relayer, Some(hub)).unwrap()).unwrap();

        let indexer: indexer::config::Config = section(&file, "indexer");
        indexer.check().unwrap();
        let chain = indexer.chains.get(&side.chain).unwrap();
        assert_eq!((chain.poll_ms, chain.start_block), (u64::from(POLL_MS), 7));
        assert_eq!(chain.contracts, [side.escrow.address, side.arbiter.address]);
        let relayer: relayer::config::Config = section(&file, "relayer");
        relayer.check().unwrap();
        let hub: hub::config::Config = section(&file, "hub");
        assert_eq!((hub.escrows, hub.arbiters), (vec![side.escrow], vec![side.arbiter]));
    }
}

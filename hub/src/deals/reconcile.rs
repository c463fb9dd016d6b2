//! What the ledger counts in open deals, held against what the hub's indexers say that the chain holds.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use protocol::{
    chain::{AssetId, ChainId},
    wire::{feed::Finality, view::DealView},
};
use serde_json::Value;
use service::db::Db;
use sqlx::AnyConnection;

use super::{
    mirror::{Mirrored, in_words, left},
    store,
};
use crate::{
    chain::{ChainError, Indexers},
    error::Error,
    ledger::{self, Verified},
    records::RecordId,
};

/// How many purchases are held in memory at once.
const PAGE: i64 = 100;

/// How the indexer's word on a deal and the ledger's stand to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// They say the same.
    Same,
    /// What happened last is not final, so the ledger does not count it yet.
    Unsettled,
    /// They do not, in words.
    Differs(String),
}

/// Compares the balance of a deal's own account with the indexer's view of the deal; none where it has never seen it.
pub(crate) fn compare(deal: B256, asset: AssetId, balance: i128, seen: Option<&DealView>) -> Compared {
    let held = match seen {
        None => Some(0),
        Some(view) if view.finality != Finality::Final => return Compared::Unsettled,
        Some(view) if !view.deal.complete => {
            return Compared::Differs(format!(
                "deal {deal}: the indexer misses events of it, so how much of {asset} the chain holds is not known"
            ));
        }
        Some(view) => {
            let DealView { deal: there, .. } = view;
            let (funded, released, refunded) = (there.terms.amount, there.released, there.refunded);
            Mirrored { funded, released, refunded }.held()
        }
    };
    let (counted, left) = (balance.checked_neg(), left(held));
    if counted.is_some() && counted == left {
        return Compared::Same;
    }
    let (counted, left) = (in_words(counted), in_words(left));
    Compared::Differs(format!(
        "deal {deal}: the ledger counts {counted} of {asset} in it, and the chain holds {left}"
    ))
}

/// A deal that is not closed to the hub.
struct Open {
    purchase: RecordId,
    deal: B256,
    chain: ChainId,
    asset: AssetId,
}

/// Open deals after this place in the log, and the place up to which was looked; none at the end.
async fn open(on: &mut AnyConnection, after: i64) -> Result<Option<(i64, Vec<Open>)>, Error> {
    let page = store::after(on, after, PAGE).await?;
    let Some(through) = page.last().map(|(seq, ..)| *seq) else { return Ok(None) };
    let mut found = Vec::with_capacity(page.len());
    for (_, _, purchase) in page {
        let purchase = match purchase {
            Ok(purchase) => purchase,
            // It is told of where the tables are looked at.
            Err(Error::Corrupt(_)) => continue,
            Err(error) => return Err(error),
        };
        if purchase.position.closing.is_none() {
            found.push(Open {
                purchase: purchase.id,
                deal: purchase.deal,
                chain: purchase.terms.escrow.chain,
                asset: purchase.terms.asset,
            });
        }
    }
    Ok(Some((through, found)))
}

async fn counted(db: &Db, one: &Open) -> Result<i128, Error> {
    ledger::counted(&mut *db.reader().acquire().await?, one.asset, one.purchase).await
}

/// A chain of which no open deal is compared any more.
struct Unheard {
    why: ChainError,
    /// The first open deal that was not compared.
    first: B256,
    /// How many.
    deals: u64,
}

/// Asks the indexers what each open deal holds, and tells where the ledger counts something else. Nothing of the database is held
/// while an indexer is asked, so a hub may take events meanwhile: a deal whose balance moved is not settled. An indexer that does
/// not answer once is not asked again, which is a fault of its chain; that a chain has no indexer is told, and is none.
///
/// # Errors
/// The database fails.
pub(crate) async fn with_chain(db: &Db, indexers: &Indexers, found: &mut Verified) -> Result<(), Error> {
    let mut after = 0;
    let mut unheard: BTreeMap<ChainId, Unheard> = BTreeMap::new();
    loop {
        let page = open(&mut *db.reader().acquire().await?, after).await?;
        let Some((through, deals)) = page else { break };
        after = through;
        for one in deals {
            if let Some(chain) = unheard.get_mut(&one.chain) {
                chain.deals = chain.deals.saturating_add(1);
                continue;
            }
            let balance = counted(db, &one).await?;
            match indexers.deal(one.chain, one.deal).await {
                Ok(answer) => settle(db, &one, balance, answer, found).await?,
                Err(error @ ChainError::Unusable { .. }) => {
                    found.asked = found.asked.saturating_add(1);
                    found.fault(format!("deal {}: {error}", one.deal));
                }
                Err(why @ (ChainError::Unreachable { .. } | ChainError::NoIndexer(_))) => {
                    unheard.insert(one.chain, Unheard { why, first: one.deal, deals: 1 });
                }
            }
        }
    }
    for (chain, Unheard { why, first, deals }) in unheard {
        found.unasked = found.unasked.saturating_add(deals);
        let words = format!(
            "chain {chain}: {why}; open deals of it that are not compared: {deals}, the first is {first}"
        );
        if matches!(why, ChainError::NoIndexer(_)) {
            found.tell(words);
        } else {
            found.fault(words);
        }
    }
    Ok(())
}

/// Holds one deal against what its indexer answers.
async fn settle(
    db: &Db,
    one: &Open,
    balance: i128,
    answer: Option<Value>,
    found: &mut Verified,
) -> Result<(), Error> {
    found.asked = found.asked.saturating_add(1);
    let view = match answer.map(serde_json::from_value::<DealView>).transpose() {
        Ok(view) => view,
        Err(error) => {
            found.fault(format!("deal {}: the indexer's answer cannot be read: {error}", one.deal));
            return Ok(());
        }
    };
    match compare(one.deal, one.asset, balance, view.as_ref()) {
        Compared::Same => {}
        Compared::Unsettled => found.unsettled = found.unsettled.saturating_add(1),
        Compared::Differs(words) => {
            if counted(db, one).await? == balance {
                found.fault(words);
            } else {
                found.unsettled = found.unsettled.saturating_add(1);
            }
        }
    }
    Ok(())
}

//! What the ledger counts in a deal is what the deal's final events leave there.

use sqlx::AnyConnection;

use super::{PAGE, Verified, count};
use crate::{
    deals::{
        mirror::{self, Mirrored},
        store as deals,
    },
    error::Error,
    ledger::counted,
};

pub(super) async fn every(on: &mut AnyConnection, found: &mut Verified) -> Result<(), Error> {
    let mut after = 0;
    loop {
        let page = deals::after(on, after, PAGE).await?;
        let Some((last, ..)) = page.last() else { break };
        after = *last;
        count(&mut found.deals, page.len());
        for (_, id, purchase) in page {
            let what = format!("purchase {id:.100}");
            let Some(purchase) = found.read(&what, purchase)? else { continue };
            let asset = purchase.terms.asset;
            let balance = match counted(on, asset, purchase.id).await {
                Ok(balance) => balance,
                // It is told of with the accounts.
                Err(Error::Corrupt(_)) => continue,
                Err(error) => return Err(error),
            };
            let says = Mirrored::of(&purchase.position, purchase.terms.amount);
            for fault in mirror::differs(purchase.deal, asset, (balance, purchase.mirrored), says) {
                found.fault(fault);
            }
        }
    }
    let strays: i64 = sqlx::query_scalar(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM ledger_accounts a WHERE a.id LIKE '%|mirror|%'
         AND NOT EXISTS (SELECT 1 FROM purchases p WHERE p.id = a.holder)",
    )
    .fetch_one(&mut *on)
    .await?;
    if strays > 0 {
        found.fault(format!("{strays} accounts mirror no deal of this hub"));
    }
    Ok(())
}

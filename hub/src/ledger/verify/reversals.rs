//! A reversal entered the opposite of what it undoes, on the same two accounts and up to its amount.

use std::collections::BTreeSet;

use sqlx::{AnyConnection, Row as _};

use super::{PAGE, Verified, entries_of};
use crate::{
    error::Error,
    ledger::{
        model::{OperationId, Reversal},
        reversals::{moved, page, read},
        store::amount,
    },
};

pub(super) async fn every(on: &mut AnyConnection, found: &mut Verified) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let rows = page(on, &after, PAGE).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.try_get("reversed")?;
        for row in &rows {
            let id: String = row.try_get("reversed")?;
            let what = format!("reversal of {id:.100}");
            let Some(reversal) = found.read(&what, read(row))? else { continue };
            let ids = BTreeSet::from([reversal.reversed]);
            // Entries that cannot be read are told of with their account.
            let Some(undone) = found.read(&what, moved(on, &ids).await)? else { continue };
            let entered = entered(on, reversal.operation).await?;
            let Reversal { operation, reversed, amount } = reversal;
            let fits = undone.get(&reversed).is_some_and(|undone| {
                let must = [(undone.to, amount.checked_neg()), (undone.from, Some(amount))];
                let holds = must.iter().all(|(key, amount)| entered.contains(&(key.to_string(), *amount)));
                (1..=undone.amount).contains(&amount) && entered.len() == must.len() && holds
            });
            if !fits {
                found.fault(format!(
                    "{operation} gives back {amount} of {reversed}, which moved {undone:?}, and entered {entered:?}"
                ));
            }
        }
    }
}

async fn entered(on: &mut AnyConnection, id: OperationId) -> Result<Vec<(String, Option<i128>)>, Error> {
    let rows = entries_of(on, &[id.to_string()]).await?;
    rows.iter().map(|row| Ok((row.try_get("account")?, amount(row, "amount").ok()))).collect()
}

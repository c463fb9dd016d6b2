//! The entries of one account: numbered without gaps, with the balance after each, and adding up to what the account has.

use sqlx::{AnyConnection, Row as _};

use super::{PAGE, Verified, count};
use crate::{
    error::Error,
    ledger::{
        model::{Account, difference, sum},
        store::{entry_rows, read_entry},
    },
};

pub(super) async fn of_account(
    on: &mut AnyConnection,
    account: &Account,
    found: &mut Verified,
) -> Result<(), Error> {
    let key = account.key;
    let mut so_far = Account::empty(key);
    // After an entry that cannot be read, the next is believed: what it follows is not known.
    let (mut known, mut wrong) = (true, false);
    loop {
        let rows = entry_rows(on, &key, so_far.version, PAGE).await?;
        if rows.is_empty() {
            break;
        }
        count(&mut found.entries, rows.len());
        for row in &rows {
            let version: i64 = row.try_get("version")?;
            let what = format!("{key}: entry {version}");
            let Some(entry) = found.read(&what, read_entry(row, &key))? else {
                (known, wrong) = (false, true);
                so_far.version = version;
                continue;
            };
            let next = so_far.version.saturating_add(1);
            let Some(after) = entered(&so_far, entry.amount) else {
                found.fault(format!("{what} of {} goes beyond 38 digits", entry.amount));
                (known, wrong) = (false, true);
                so_far = Account { version, balance: entry.balance, ..so_far };
                continue;
            };
            let continues = version == next && (!known || entry.balance == after.balance);
            if !continues || entry.amount == 0 {
                wrong = true;
                found.fault(format!(
                    "{what} of {} leaves {}, and after entry {} with {} comes {next} with {}",
                    entry.amount, entry.balance, so_far.version, so_far.balance, after.balance
                ));
            }
            known = true;
            so_far = Account { version, balance: entry.balance, ..after };
        }
    }
    let totals = |account: &Account| (account.version, account.balance, account.earned, account.spent);
    if totals(&so_far) != totals(account) && !wrong {
        found.fault(format!(
            "{key}: the account has (version, balance, earned, spent) {:?} and its entries {:?}",
            totals(account),
            totals(&so_far)
        ));
    }
    Ok(())
}

/// The account after this amount.
fn entered(before: &Account, amount: i128) -> Option<Account> {
    let (up, down) = if amount > 0 { (amount, 0) } else { (0, amount) };
    Some(Account {
        balance: sum(before.balance, amount)?,
        earned: sum(before.earned, up)?,
        spent: difference(before.spent, down)?,
        ..before.clone()
    })
}

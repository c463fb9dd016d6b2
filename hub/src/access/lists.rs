//! What lists show to whom. Who may read is asked in the query of a page itself: neither its length nor its cursor tells how much there
//! is that the reader may not read, or where. [`may_read`](super::may_read) is asked once more of each item that was found.
//!
//! Every item of a list stands in `audiences` once for each entry of its audience: at most 17; a pool once for each community that it
//! serves, and once where it serves everyone. A page looks there, for each entry to which the reader belongs, at as many items as the
//! page has, and at nothing that is for others alone. With a filter it looks on until that many pass it: at the most at all items that
//! the reader may read.

use sqlx::{AnyConnection, AssertSqlSafe};

use super::model::{Audience, Reader};
use crate::{
    error::Error,
    ledger::{postgres, texts},
};

/// See [`crate::rooms::Room::tables`].
pub(crate) const TABLES: &[&str] = &["audiences"];

/// A list whose items are not for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// `GET /v1/communities`.
    Communities,
    /// `GET /v1/credentials`.
    Credentials,
    /// `GET /v1/listings`.
    Listings,
    /// `GET /v1/pools`.
    Pools,
    /// `GET /v1/proposals`.
    Proposals,
}

impl List {
    /// The table of its items, each with its place in the log as `seq`.
    const fn table(self) -> &'static str {
        match self {
            Self::Communities => "communities",
            Self::Credentials => "credentials",
            Self::Listings => "listings",
            Self::Pools => "pools",
            Self::Proposals => "proposals",
        }
    }
}

/// Which items of a list come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Those with the lowest places in the log.
    Oldest,
    /// Those with the highest.
    Newest,
}

fn text(entries: &[Audience]) -> Result<String, Error> {
    serde_json::to_string(entries).map_err(|error| Error::Corrupt(format!("audiences: {error}")))
}

/// From now on the list shows the item with this place in the log to whoever belongs to this audience, and to nobody else.
pub(crate) async fn show_to(
    on: &mut AnyConnection,
    list: List,
    seq: i64,
    audience: &[Audience],
) -> Result<(), Error> {
    sqlx::query("DELETE FROM audiences WHERE list = $1 AND seq = $2")
        .bind(list.table())
        .bind(seq)
        .execute(&mut *on)
        .await?;
    let sql = format!(
        "INSERT INTO audiences (list, entry, seq)
         SELECT DISTINCT CAST($2 AS TEXT), t.value, CAST($3 AS BIGINT) FROM {} AS t",
        texts(on)
    );
    sqlx::query(AssertSqlSafe(sql)).bind(text(audience)?).bind(list.table()).bind(seq).execute(on).await?;
    Ok(())
}

/// From now on the list shows the item with this place in the log to whoever belongs to this entry, too.
pub(crate) async fn show_also(
    on: &mut AnyConnection,
    list: List,
    seq: i64,
    entry: &Audience,
) -> Result<(), Error> {
    sqlx::query("INSERT INTO audiences (list, entry, seq) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(list.table())
        .bind(entry.to_string())
        .bind(seq)
        .execute(on)
        .await?;
    Ok(())
}

/// From now on the list does not show the item with this place in the log for this entry.
pub(crate) async fn hide_from(
    on: &mut AnyConnection,
    list: List,
    seq: i64,
    entry: &Audience,
) -> Result<(), Error> {
    sqlx::query("DELETE FROM audiences WHERE list = $1 AND entry = $2 AND seq = $3")
        .bind(list.table())
        .bind(entry.to_string())
        .bind(seq)
        .execute(on)
        .await?;
    Ok(())
}

/// What a reader belongs to, as `$1` of [`readable`].
pub(crate) fn belongs_to(reader: &Reader) -> Result<String, Error> {
    text(&reader.entries())
}

/// What stands behind `WHERE` in the query of a page. `$1` is what the reader belongs to ([`belongs_to`]), `$2` the place that the page
/// comes after, `$3` how many items it has at most. `conditions` of the list's own, on columns of its table but `seq`, begin with ` AND `;
/// their parameters begin with `$4`.
pub(crate) fn readable(on: &AnyConnection, list: List, order: Order, conditions: &str) -> String {
    let (table, mine) = (list.table(), texts(on));
    let (beyond, direction) = match order {
        Order::Oldest => (">", "ASC"),
        Order::Newest => ("<", "DESC"),
    };
    let of_one = format!(
        "SELECT a.seq FROM audiences AS a JOIN {table} AS item ON item.seq = a.seq
         WHERE a.list = '{table}' AND a.entry = mine.value AND a.seq {beyond} $2{conditions}
         ORDER BY a.seq {direction} LIMIT $3"
    );
    let of_all = if postgres(on) {
        format!("{mine} AS mine CROSS JOIN LATERAL ({of_one}) AS found")
    } else {
        // SQLite knows no LATERAL. CROSS JOIN keeps it to this order.
        format!(
            "{mine} AS mine CROSS JOIN audiences AS found ON found.list = '{table}' AND found.entry = mine.value
             AND found.seq IN ({of_one})"
        )
    };
    format!(
        "seq IN (SELECT DISTINCT found.seq FROM {of_all} ORDER BY found.seq {direction} LIMIT $3)
         ORDER BY seq {direction} LIMIT $3"
    )
}

#[cfg(test)]
mod tests {
    use service::db::{Db, testing::sqlite};
    use sqlx::Row as _;

    use super::*;
    use crate::SCHEMA;

    /// SQLite goes by the indexes that there are and not by how much is in them, so that this holds of however many.
    #[tokio::test]
    async fn a_page_is_found_without_a_look_at_what_is_for_others() {
        let fresh = sqlite();
        let db = Db::open(&fresh.url, SCHEMA).await.unwrap();
        let mut on = db.reader().acquire().await.unwrap();
        for list in [List::Communities, List::Credentials, List::Listings, List::Pools, List::Proposals] {
            for order in [Order::Oldest, Order::Newest] {
                let page = readable(&on, list, order, "");
                let sql = format!("EXPLAIN QUERY PLAN SELECT seq FROM {} WHERE {page}", list.table());
                let plan = sqlx::query(AssertSqlSafe(sql))
                    .bind(belongs_to(&Reader::stranger()).unwrap())
                    .bind(1_i64)
                    .bind(1_i64)
                    .fetch_all(&mut *on)
                    .await
                    .unwrap();
                let steps: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
                let mut scanned =
                    steps.iter().filter_map(|step| step.strip_prefix("SCAN ")?.split(' ').next());
                let rows = [list.table(), "a", "item", "found"];
                assert!(scanned.all(|name| !rows.contains(&name)), "{list:?}: {steps:?}");
                let places = "SEARCH a USING PRIMARY KEY (list=? AND entry=? AND seq";
                assert!(steps.iter().any(|step| step.starts_with(places)), "{list:?}: {steps:?}");
            }
        }
        drop(on);
        db.close().await;
    }
}

//! The rows of a table that a batch writes, in the words of each engine: on SQLite a parameter for each cell, on PostgreSQL an array
//! for each column, so that one text and one plan do for any number of rows.

use std::fmt::Display;

use sqlx::{Any, any::AnyArguments, query::Query};

/// A statement with what is bound to it.
pub(super) type Bound = Query<'static, Any, AnyArguments>;

/// Rows of one statement at most: with nine columns it stays far below the 32,766 parameters of SQLite.
const STATEMENT_MAX: usize = 256;

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Number(i64),
    Text(String),
    Nothing,
}

impl Cell {
    pub(super) fn text(value: impl Display) -> Self {
        Self::Text(value.to_string())
    }

    /// Binds it as the next parameter.
    fn bind(self, query: Bound) -> Bound {
        match self {
            Self::Number(number) => query.bind(number),
            Self::Text(text) => query.bind(text),
            Self::Nothing => query.bind(None::<String>),
        }
    }

    /// Writes it as an element of an array, as PostgreSQL reads one.
    fn write(&self, array: &mut String) {
        match self {
            Self::Number(number) => array.push_str(&number.to_string()),
            Self::Text(text) => {
                array.push('"');
                for letter in text.chars() {
                    if matches!(letter, '"' | '\\') {
                        array.push('\\');
                    }
                    array.push(letter);
                }
                array.push('"');
            }
            Self::Nothing => array.push_str("NULL"),
        }
    }
}

/// Rows of `N` columns.
#[derive(Clone, Debug)]
pub(super) struct Rows<const N: usize> {
    /// `INSERT INTO …` with the columns.
    pub(super) into: &'static str,
    /// What follows the rows, as `ON CONFLICT …`.
    pub(super) then: &'static str,
    pub(super) rows: Vec<[Cell; N]>,
}

impl<const N: usize> Rows<N> {
    /// A statement for every 256 of them. A parameter with a number SQLite would look up by its name.
    pub(super) fn values(&self) -> Vec<String> {
        let row = format!("({})", ["?"; N].join(", "));
        let statement = |rows: &[[Cell; N]]| {
            let values = vec![row.as_str(); rows.len()].join(", ");
            format!("{} VALUES {values} {}", self.into, self.then)
        };
        self.rows.chunks(STATEMENT_MAX).map(statement).collect()
    }

    /// Binds every cell as the next parameter.
    pub(super) fn bind(self, query: Bound) -> Bound {
        self.rows.into_iter().flatten().fold(query, |query, cell| cell.bind(query))
    }

    /// Every column as an array.
    pub(super) fn arrays(&self) -> [String; N] {
        let mut arrays: [String; N] = std::array::from_fn(|_| String::new());
        for row in &self.rows {
            for (array, cell) in arrays.iter_mut().zip(row) {
                array.push(if array.is_empty() { '{' } else { ',' });
                cell.write(array);
            }
        }
        for array in &mut arrays {
            array.push_str(if array.is_empty() { "{}" } else { "}" });
        }
        arrays
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "test code: an overflow fails the test")]
mod tests {
    use service::db::{Db, testing::on_both};
    use sqlx::{AssertSqlSafe, Row as _};

    use super::{Bound, Cell, Rows, STATEMENT_MAX};
    use crate::ledger::sql::postgres;

    #[tokio::test]
    async fn whatever_is_in_a_cell_comes_back_on_both_engines() {
        let texts = ["", "NULL", "{a,b}", "\"", "\\", "\\\"\\\\", " ö\n'", "a\"b\\c,d"];
        for fresh in on_both().await {
            let db = Db::open(&fresh.url, crate::SCHEMA).await.unwrap();
            let mut write = db.begin().await.unwrap();
            sqlx::query("CREATE TABLE t (n BIGINT, x TEXT)").execute(write.on()).await.unwrap();
            let of = |n: usize| (n % 9 != 8).then(|| texts[n % 9]);
            // More than one statement.
            let rows: Vec<[Cell; 2]> = (0..=STATEMENT_MAX)
                .map(|n| {
                    [Cell::Number(i64::try_from(n).unwrap() - 5), of(n).map_or(Cell::Nothing, Cell::text)]
                })
                .collect();
            let rows = Rows { into: "INSERT INTO t (n, x)", then: "", rows };
            if postgres(write.on()) {
                let sql = "INSERT INTO t SELECT * FROM unnest(CAST($1 AS BIGINT[]), CAST($2 AS TEXT[]))";
                let query: Bound =
                    rows.arrays().into_iter().fold(sqlx::query(sql), |query, array| query.bind(array));
                query.execute(write.on()).await.unwrap();
            } else {
                let sql = rows.values().join("; ");
                rows.bind(sqlx::query(AssertSqlSafe(sql))).execute(write.on()).await.unwrap();
            }
            let found = sqlx::query("SELECT n, x FROM t ORDER BY n").fetch_all(write.on()).await.unwrap();
            assert_eq!(found.len(), STATEMENT_MAX + 1);
            for (n, row) in found.iter().enumerate() {
                let (number, text): (i64, Option<String>) = (row.get("n"), row.get("x"));
                assert_eq!(
                    (number, text.as_deref()),
                    (i64::try_from(n).unwrap() - 5, of(n)),
                    "{:?}",
                    fresh.engine
                );
            }
        }
    }

    #[test]
    fn no_rows_are_no_statement_and_empty_arrays() {
        let none = Rows::<2> { into: "INSERT INTO t (n, x)", then: "", rows: Vec::new() };
        assert_eq!((none.values(), none.arrays()), (vec![], ["{}".to_owned(), "{}".to_owned()]));
    }
}

//! Many rows in one statement, and what differs between the engines in it.

use sqlx::{Any, AnyConnection, AssertSqlSafe, any::AnyArguments, query::Query};

use crate::{Error, columns::json};

/// Rows that are made ready at one time: enough that what is asked of the database about them costs little, few enough that
/// they stay within some megabytes.
pub(crate) const ROWS_MAX: usize = 1_000;

/// Rows of one statement, a power of two. Beyond this a statement costs as much a row as below it; and with thirteen columns
/// it stays far below the 32,766 parameters of SQLite.
const STATEMENT_MAX: usize = 256;

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Number(i64),
    Text(String),
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// The insertion of rows of `N` columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Insert<const N: usize> {
    pub table: &'static str,
    pub columns: [&'static str; N],
    /// What follows the rows, as `ON CONFLICT …`.
    pub then: &'static str,
}

impl<const N: usize> Insert<N> {
    /// Inserts rows in their order. The statements have 256, 128, … 2, 1 rows, so that each engine prepares nine for a table
    /// at most, whatever the number of rows.
    pub async fn rows(&self, on: &mut AnyConnection, rows: Vec<[Cell; N]>) -> Result<(), Error> {
        let numbered = on.backend_name() == "PostgreSQL";
        let mut rows = rows.into_iter();
        while let Some(power) = rows.len().min(STATEMENT_MAX).checked_ilog2() {
            let count = 1_usize << power;
            let mut query = sqlx::query(AssertSqlSafe(self.text(count, numbered)));
            for cell in rows.by_ref().take(count).flatten() {
                query = match cell {
                    Cell::Number(number) => query.bind(number),
                    Cell::Text(text) => query.bind(text),
                };
            }
            query.execute(&mut *on).await?;
        }
        Ok(())
    }

    /// The statement for this many rows. SQLite looks a parameter with a number up by its name, and one without takes none.
    fn text(&self, rows: usize, numbered: bool) -> String {
        let mut text = format!("INSERT INTO {} ({}) VALUES ", self.table, self.columns.join(", "));
        let mut parameter = 0_usize;
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..N {
                text.push_str(if column == 0 { "" } else { ", " });
                if numbered {
                    parameter = parameter.saturating_add(1);
                    text.push('$');
                    text.push_str(&parameter.to_string());
                } else {
                    text.push('?');
                }
            }
            text.push(')');
        }
        text.push(' ');
        text.push_str(self.then);
        text
    }
}

/// A statement in the words of each engine about some texts. `$1` is a JSON array of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

/// A statement that begins with `$head`, goes on with those texts in parentheses, and ends with `$tail`.
macro_rules! about {
    ($head:expr, $tail:expr) => {
        $crate::bulk::About {
            sqlite: concat!($head, " (SELECT value FROM json_each($1)) ", $tail),
            postgres: concat!(
                $head,
                " (SELECT value FROM json_array_elements_text(CAST($1 AS json))) ",
                $tail
            ),
        }
    };
}

pub(crate) use about;

impl About {
    /// The statement about these texts; further parameters are bound from `$2` on.
    pub fn texts<T: serde::Serialize>(
        self,
        on: &AnyConnection,
        texts: &[T],
    ) -> Result<Query<'static, Any, AnyArguments>, Error> {
        let text = if on.backend_name() == "PostgreSQL" { self.postgres } else { self.sqlite };
        Ok(sqlx::query(text).bind(json(&texts)?))
    }
}

#[cfg(test)]
mod tests {
    use super::Insert;

    #[test]
    fn a_statement_has_a_parameter_for_every_cell_in_the_words_of_its_engine() {
        let insert = Insert { table: "t", columns: ["a", "b"], then: "ON CONFLICT DO NOTHING" };
        assert_eq!(
            insert.text(2, false),
            "INSERT INTO t (a, b) VALUES (?, ?), (?, ?) ON CONFLICT DO NOTHING"
        );
        assert_eq!(
            insert.text(2, true),
            "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) ON CONFLICT DO NOTHING"
        );
    }
}

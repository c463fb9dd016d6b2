//! Many rows in one statement, and what differs between the engines in it.

use alloy::hex;
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
    Bytes(Vec<u8>),
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

impl From<Vec<u8>> for Cell {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
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

/// A statement with what is bound to it.
pub(crate) type Bound = Query<'static, Any, AnyArguments>;

impl<const N: usize> Insert<N> {
    /// Inserts rows in their order. Each is asked for when its turn comes, while the engine is at those before it.
    pub async fn rows(
        &self,
        on: &mut AnyConnection,
        mut rows: impl ExactSizeIterator<Item = Result<[Cell; N], Error>>,
    ) -> Result<(), Error> {
        let arrays = on.backend_name() == "PostgreSQL";
        let mut next = move || if arrays { self.arrays(&mut rows) } else { self.values(&mut rows) };
        let mut statement = next()?;
        while let Some(ready) = statement {
            // In this order: the engine begins with the one before the next is made.
            let (done, made) = tokio::join!(biased; ready.execute(&mut *on), async { next() });
            done?;
            statement = made?;
        }
        Ok(())
    }

    /// The next rows, a parameter for each cell. The statements have 256, 128, … 2, 1 rows, so that nine are prepared for a
    /// table at most, whatever the number of rows. A parameter with a number SQLite would look up by its name.
    fn values(
        &self,
        rows: &mut impl ExactSizeIterator<Item = Result<[Cell; N], Error>>,
    ) -> Result<Option<Bound>, Error> {
        let Some(power) = rows.len().min(STATEMENT_MAX).checked_ilog2() else { return Ok(None) };
        let count = 1_usize << power;
        let row = format!("({})", ["?"; N].join(", "));
        let values = vec![row.as_str(); count].join(", ");
        let text = format!("{} VALUES {values} {}", self.head(), self.then);
        let mut query = sqlx::query(AssertSqlSafe(text));
        for row in rows.take(count) {
            for cell in row? {
                query = cell.bind(query);
            }
        }
        Ok(Some(query))
    }

    /// The next rows, an array for each column, in PostgreSQL's own notation: of a statement with a parameter for each cell
    /// it makes a plan with as many parts, every time.
    fn arrays(
        &self,
        rows: &mut impl Iterator<Item = Result<[Cell; N], Error>>,
    ) -> Result<Option<Bound>, Error> {
        let mut arrays: [String; N] = std::array::from_fn(|_| String::new());
        let mut kinds = [""; N];
        for row in rows.take(ROWS_MAX) {
            for ((array, kind), cell) in arrays.iter_mut().zip(&mut kinds).zip(row?) {
                array.push(if array.is_empty() { '{' } else { ',' });
                *kind = cell.write(array);
            }
        }
        if arrays.iter().any(String::is_empty) {
            return Ok(None);
        }
        let unnested: Vec<String> =
            kinds.iter().zip(1..).map(|(kind, at)| format!("CAST(${at} AS {kind}[])")).collect();
        let text = format!("{} SELECT * FROM unnest({}) {}", self.head(), unnested.join(", "), self.then);
        let mut query = sqlx::query(AssertSqlSafe(text));
        for mut array in arrays {
            array.push('}');
            query = query.bind(array);
        }
        Ok(Some(query))
    }

    fn head(&self) -> String {
        format!("INSERT INTO {} ({})", self.table, self.columns.join(", "))
    }
}

impl Cell {
    /// Binds it as the next parameter.
    pub fn bind(self, query: Bound) -> Bound {
        match self {
            Self::Number(number) => query.bind(number),
            Self::Text(text) => query.bind(text),
            Self::Bytes(bytes) => query.bind(bytes),
        }
    }

    /// Writes it as an element of an array, and answers the type of the column.
    fn write(self, array: &mut String) -> &'static str {
        match self {
            Self::Number(number) => {
                array.push_str(&number.to_string());
                "BIGINT"
            }
            Self::Text(text) => {
                array.push('"');
                for letter in text.chars() {
                    if matches!(letter, '"' | '\\') {
                        array.push('\\');
                    }
                    array.push(letter);
                }
                array.push('"');
                "TEXT"
            }
            Self::Bytes(bytes) => {
                array.push_str("\"\\\\x");
                array.push_str(&hex::encode(bytes));
                array.push('"');
                "BYTEA"
            }
        }
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
    use service::db::{Db, testing::on_both};
    use sqlx::Row;

    use super::{Cell, Insert, ROWS_MAX};

    #[tokio::test]
    async fn whatever_is_in_a_cell_comes_back_on_both_engines() {
        const INTO: Insert<3> = Insert { table: "t", columns: ["n", "x", "b"], then: "" };
        let texts = ["", "NULL", "{a,b}", "\"", "\\", "\\\"\\\\", " ö\n'", "a\"b\\c,d"];
        let bytes = [vec![], vec![0], vec![0x5c, 0x22, 0xff], (0..=255).collect()];
        for fresh in on_both().await {
            let db = Db::open(&fresh.url, crate::SCHEMA).await.unwrap();
            let mut write = db.begin().await.unwrap();
            let create = match fresh.engine {
                service::db::Engine::Sqlite => "CREATE TABLE t (n INTEGER, x TEXT, b BLOB) STRICT",
                service::db::Engine::Postgres => "CREATE TABLE t (n BIGINT, x TEXT, b BYTEA)",
            };
            sqlx::query(create).execute(write.on()).await.unwrap();
            // More than one statement, and not a power of two.
            let rows: Vec<(i64, &str, Vec<u8>)> = (0..ROWS_MAX + 11)
                .map(|n| (i64::try_from(n).unwrap() - 5, texts[n % 8], bytes[n % 4].clone()))
                .collect();
            let cells = rows.iter().cloned().map(|(n, x, b)| Ok([n.into(), x.into(), b.into()]));
            INTO.rows(write.on(), cells).await.unwrap();
            let found = sqlx::query("SELECT n, x, b FROM t ORDER BY n").fetch_all(write.on()).await.unwrap();
            let found: Vec<(i64, String, Vec<u8>)> =
                found.iter().map(|row| (row.get("n"), row.get("x"), row.get("b"))).collect();
            assert_eq!(found.len(), rows.len());
            for (found, (n, x, b)) in found.iter().zip(&rows) {
                assert_eq!((found.0, found.1.as_str(), &found.2), (*n, *x, b), "{:?}", fresh.engine);
            }
        }
    }

    #[test]
    fn a_cell_stands_in_an_array_as_its_kind() {
        let written = |cell: Cell| {
            let mut array = String::new();
            (cell.write(&mut array), array)
        };
        assert_eq!(written((-7).into()), ("BIGINT", "-7".to_owned()));
        assert_eq!(written("a\"\\".into()), ("TEXT", "\"a\\\"\\\\\"".to_owned()));
        assert_eq!(written(vec![0, 255].into()), ("BYTEA", "\"\\\\x00ff\"".to_owned()));
    }
}

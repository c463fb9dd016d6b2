//! Temporary tables of one session with the names of the real ones. A name without a schema means the temporary table first,
//! on both engines, so whatever writes by names writes there; and they are gone with their transaction or session, however it
//! ends.

use std::collections::BTreeMap;

use service::db::Engine;
use sqlx::{AnyConnection, AssertSqlSafe, Column as _, Executor as _, Row as _, any::AnyRow};

use crate::error::Error;

/// Characters of a value that are shown, and of a row.
const VALUE_MAX: usize = 120;
const ROW_MAX: usize = 1_000;

/// The temporary tables stand.
#[derive(Debug)]
pub(super) struct Shadow {
    engine: Engine,
    /// Where the real tables are, as SQL writes it.
    real: String,
    columns: BTreeMap<String, Columns>,
}

/// Those of a table in their order, and whether each is of the primary key.
type Columns = Vec<(String, bool)>;

impl Shadow {
    /// Makes an empty temporary table, with its indexes, for each of these.
    pub(super) async fn raise(
        engine: Engine,
        on: &mut AnyConnection,
        tables: &[&'static str],
    ) -> Result<Self, Error> {
        let real = match engine {
            Engine::Sqlite => "main".to_owned(),
            Engine::Postgres => {
                let schema: String =
                    sqlx::query_scalar("SELECT CAST(current_schema() AS TEXT)").fetch_one(&mut *on).await?;
                format!("\"{}\"", schema.replace('"', "\"\""))
            }
        };
        match engine {
            Engine::Sqlite => {
                for table in tables {
                    for sql in made(on, table).await? {
                        sqlx::query(AssertSqlSafe(sql)).execute(&mut *on).await?;
                    }
                }
            }
            Engine::Postgres => {
                let like =
                    |table: &&str| format!("CREATE TEMP TABLE {table} (LIKE {real}.{table} INCLUDING ALL)");
                let all: Vec<String> = tables.iter().map(like).collect();
                // All at once: a server is far away.
                on.execute(AssertSqlSafe(all.join("; "))).await?;
            }
        }
        let columns = columns(engine, on, &real, tables).await?;
        Ok(Self { engine, real, columns })
    }

    const fn temporary(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite => "temp",
            Engine::Postgres => "pg_temp",
        }
    }

    /// Has PostgreSQL look how large these temporary tables have become, which nobody else does.
    pub(super) async fn measure(&self, on: &mut AnyConnection, tables: &[&'static str]) -> Result<(), Error> {
        if self.engine == Engine::Postgres {
            let shadow = self.temporary();
            let all: Vec<String> = tables.iter().map(|table| format!("{shadow}.{table}")).collect();
            on.execute(AssertSqlSafe(format!("ANALYZE {}", all.join(", ")))).await?;
        }
        Ok(())
    }

    fn columns(&self, table: &str) -> Result<&Columns, Error> {
        let columns = self.columns.get(table);
        columns.ok_or_else(|| Error::Corrupt(format!("schema: there is no table {table}")))
    }

    /// What follows `SELECT …` of the rows that stand in the real table alone, or in the temporary one alone.
    fn alone(&self, table: &str, temporary: bool) -> Result<String, Error> {
        let same: Vec<String> = self
            .columns(table)?
            .iter()
            .map(|(name, key)| {
                let equals = if *key { "=" } else { "IS NOT DISTINCT FROM" };
                format!("there.\"{name}\" {equals} here.\"{name}\"")
            })
            .collect();
        let (real, shadow) = (format!("{}.{table}", self.real), format!("{}.{table}", self.temporary()));
        let (here, there) = if temporary { (shadow, real) } else { (real, shadow) };
        Ok(format!(
            "FROM {here} AS here WHERE NOT EXISTS (SELECT 1 FROM {there} AS there WHERE {})",
            same.join(" AND ")
        ))
    }

    /// How many rows stand in the real table alone, and how many in the temporary one alone. The engine compares, with the memory
    /// that it gives any query.
    pub(super) async fn apart(&self, on: &mut AnyConnection, table: &str) -> Result<[u64; 2], Error> {
        let (real, temporary) = (self.alone(table, false)?, self.alone(table, true)?);
        let sql = format!(
            "SELECT (SELECT CAST(COUNT(*) AS BIGINT) {real}) AS kept,
                 (SELECT CAST(COUNT(*) AS BIGINT) {temporary}) AS replayed"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(on).await?;
        let count =
            |column: &str| row.try_get::<i64, _>(column).map(|count| u64::try_from(count).unwrap_or(0));
        Ok([count("kept")?, count("replayed")?])
    }

    /// The first `limit` of the rows that stand in the real table alone, or in the temporary one alone, as text.
    pub(super) async fn only_in(
        &self,
        on: &mut AnyConnection,
        table: &str,
        temporary: bool,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        let alone = self.alone(table, temporary)?;
        let keys = self.columns(table)?.iter().filter(|(_, key)| *key);
        let order: Vec<String> = keys.map(|(name, _)| format!("here.\"{name}\"")).collect();
        let order = if order.is_empty() { String::new() } else { format!("ORDER BY {}", order.join(", ")) };
        let sql = format!("SELECT here.* {alone} {order} LIMIT {limit}");
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(on).await?;
        rows.iter().map(shown).collect()
    }

    /// Fills these of the real tables with what the temporary ones have, and takes all temporary ones away.
    pub(super) async fn keep(&self, on: &mut AnyConnection, tables: &[&'static str]) -> Result<(), Error> {
        let (real, shadow) = (&self.real, self.temporary());
        let mut closing = Vec::new();
        for table in tables {
            closing.extend(unlock(self.engine, on, real, table).await?);
            for sql in [
                format!("DELETE FROM {real}.{table}"),
                format!("INSERT INTO {real}.{table} SELECT * FROM {shadow}.{table}"),
            ] {
                sqlx::query(AssertSqlSafe(sql)).execute(&mut *on).await?;
            }
        }
        for table in crate::rooms::Room::all_tables().chain(crate::rooms::Room::BESIDE) {
            let sql = format!("DROP TABLE {shadow}.{table}");
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *on).await?;
        }
        // A trigger of SQLite's names its table without a schema, so no temporary one may stand before it.
        for sql in closing {
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *on).await?;
        }
        Ok(())
    }
}

/// The statements that make a temporary table of SQLite, with its indexes, like the real one.
async fn made(on: &mut AnyConnection, table: &str) -> Result<Vec<String>, Error> {
    // Tables before their indexes.
    let written: Vec<String> = sqlx::query_scalar(
        "SELECT sql FROM main.sqlite_schema
         WHERE tbl_name = $1 AND type IN ('table', 'index') AND sql IS NOT NULL ORDER BY type DESC, name",
    )
    .bind(table)
    .fetch_all(on)
    .await?;
    let beginnings = ["CREATE TABLE ", "CREATE INDEX ", "CREATE UNIQUE INDEX "];
    let temporary = |sql: String| {
        let found = beginnings.iter().find_map(|one| sql.strip_prefix(one).map(|rest| (one, rest)));
        found
            .map(|(beginning, rest)| format!("{beginning}temp.{rest}"))
            .ok_or_else(|| Error::Corrupt(format!("schema: `{sql:.100}` is not of a table or index")))
    };
    if written.is_empty() {
        return Err(Error::Corrupt(format!("schema: there is no table {table}")));
    }
    written.into_iter().map(temporary).collect()
}

/// The columns of these of the real tables.
async fn columns(
    engine: Engine,
    on: &mut AnyConnection,
    real: &str,
    tables: &[&'static str],
) -> Result<BTreeMap<String, Columns>, Error> {
    let sql = match engine {
        Engine::Sqlite => {
            let named: Vec<String> = tables.iter().map(|table| format!("'{table}'")).collect();
            format!(
                "SELECT t.name AS relation, c.name AS name, c.pk > 0 AS key
                 FROM main.sqlite_schema AS t JOIN pragma_table_info(t.name, 'main') AS c
                 WHERE t.name IN ({}) ORDER BY t.name, c.cid",
                named.join(", ")
            )
        }
        Engine::Postgres => {
            let real = real.replace('\'', "''");
            let named: Vec<String> =
                tables.iter().map(|table| format!("CAST('{real}.{table}' AS regclass)")).collect();
            format!(
                "SELECT CAST(t.relname AS TEXT) AS relation, CAST(a.attname AS TEXT) AS name,
                     CAST(CASE WHEN i.indrelid IS NULL THEN 0 ELSE 1 END AS BIGINT) AS key
                 FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid LEFT JOIN pg_index i
                   ON i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey)
                 WHERE t.oid IN ({}) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY t.relname, a.attnum",
                named.join(", ")
            )
        }
    };
    let mut columns = BTreeMap::<String, Columns>::new();
    for row in sqlx::query(AssertSqlSafe(sql)).fetch_all(on).await? {
        let column = (row.try_get("name")?, row.try_get::<i64, _>("key")? != 0);
        columns.entry(row.try_get("relation")?).or_default().push(column);
    }
    Ok(columns)
}

/// Takes away the triggers of a table in the schema `real`, which refuse to change rows that stay. Answers the statements that
/// put them back: in the same transaction, so that nobody else ever finds the table without them.
pub(crate) async fn unlock(
    engine: Engine,
    on: &mut AnyConnection,
    real: &str,
    table: &str,
) -> Result<Vec<String>, Error> {
    if engine == Engine::Postgres {
        let turn = |way: &str| format!("ALTER TABLE {real}.{table} {way} TRIGGER USER");
        sqlx::query(AssertSqlSafe(turn("DISABLE"))).execute(on).await?;
        return Ok(vec![turn("ENABLE")]);
    }
    let triggers = format!(
        "SELECT name, sql FROM {real}.sqlite_schema WHERE tbl_name = $1 AND type = 'trigger' ORDER BY name"
    );
    let triggers: Vec<(String, String)> =
        sqlx::query_as(AssertSqlSafe(triggers)).bind(table).fetch_all(&mut *on).await?;
    let mut made = Vec::new();
    for (name, sql) in triggers {
        let drop = format!("DROP TRIGGER {real}.{name}");
        sqlx::query(AssertSqlSafe(drop)).execute(&mut *on).await?;
        made.push(sql);
    }
    Ok(made)
}

/// A row in words.
fn shown(row: &AnyRow) -> Result<String, Error> {
    let mut text = String::new();
    for column in row.columns() {
        let value = match row.try_get::<Option<i64>, _>(column.ordinal()) {
            Ok(number) => number.map(|number| number.to_string()),
            Err(_) => row.try_get::<Option<String>, _>(column.ordinal())?,
        };
        let value = value.map_or_else(
            || "nothing".to_owned(),
            |value| match value.char_indices().nth(VALUE_MAX) {
                Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
                None => value,
            },
        );
        let comma = if text.is_empty() { "" } else { ", " };
        text.push_str(&format!("{comma}{} = {value}", column.name()));
        if text.chars().count() > ROW_MAX {
            text.push_str(", …");
            break;
        }
    }
    Ok(text)
}

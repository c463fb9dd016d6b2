//! SQLite's own ceiling: the very rows that a re-index or a backfill leaves behind, inserted into an empty database of the same
//! schema by prepared statements, with the same durability and as many commits, from memory, and its indexes made after, as a
//! re-index makes them, or kept all along, as a backfill keeps them. Nothing is decoded, folded or looked up.

use std::{collections::BTreeMap, path::PathBuf, time::Instant};

use anyhow::Result;
use rusqlite::{Connection, OpenFlags, params_from_iter, types::Value as Cell};
use serde_json::{Value, json};

/// Insert the very rows of a database into an empty one, as fast as SQLite does.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// The database whose rows they are
    #[arg(long)]
    from: PathBuf,
    /// The file of the new one
    #[arg(long)]
    to: PathBuf,
    /// The tables that a re-index writes
    #[arg(long, required = true, num_args = 1..)]
    tables: Vec<String>,
    /// In how many commits
    #[arg(long)]
    commits: usize,
    /// Keep the indexes all along
    #[arg(long)]
    indexed: bool,
}

struct Table {
    insert: String,
    rows: Vec<Vec<Cell>>,
}

fn load(from: &Connection, name: &str) -> Result<Table> {
    let mut all = from.prepare(&format!("SELECT * FROM {name} ORDER BY rowid"))?;
    let columns: Vec<String> = all.column_names().iter().map(|column| format!("\"{column}\"")).collect();
    let holes: Vec<String> = (1..=columns.len()).map(|n| format!("?{n}")).collect();
    let insert = format!("INSERT INTO {name} ({}) VALUES ({})", columns.join(", "), holes.join(", "));
    let mut rows = Vec::new();
    let mut cursor = all.query([])?;
    while let Some(row) = cursor.next()? {
        rows.push((0..columns.len()).map(|at| row.get(at)).collect::<Result<_, _>>()?);
    }
    Ok(Table { insert, rows })
}

/// Copies the rows and answers how long SQLite took.
pub fn run(arguments: &Arguments) -> Result<Value> {
    let from = Connection::open_with_flags(&arguments.from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let tables: Vec<Table> = arguments.tables.iter().map(|name| load(&from, name)).collect::<Result<_>>()?;
    let to = Connection::open(&arguments.to)?;
    let page: i64 = from.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    // As the indexer's own writer has them (protocol/service/src/db/sqlite.rs).
    to.execute_batch(&format!(
        "PRAGMA page_size = {page}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA cache_size = -8000; PRAGMA wal_autocheckpoint = 16000;"
    ))?;
    let schema = |kind: &str| -> Result<String> {
        let mut all = from.prepare(
            "SELECT sql FROM sqlite_master WHERE type = ?1 AND sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid",
        )?;
        let statements =
            all.query_map([kind], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(statements.join(";\n"))
    };
    to.execute_batch(&schema("table")?)?;
    let indexes = schema("index")?;
    if arguments.indexed {
        to.execute_batch(&indexes)?;
    }
    to.execute_batch("PRAGMA foreign_keys = OFF")?;
    let began = Instant::now();
    for commit in 0..arguments.commits {
        to.execute_batch("BEGIN IMMEDIATE")?;
        for table in &tables {
            let part = |n: usize| table.rows.len() * n / arguments.commits;
            let mut insert = to.prepare_cached(&table.insert)?;
            for row in &table.rows[part(commit)..part(commit + 1)] {
                insert.execute(params_from_iter(row))?;
            }
        }
        if commit + 1 == arguments.commits && !arguments.indexed {
            to.execute_batch(&indexes)?;
        }
        to.execute_batch("COMMIT")?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let rows: BTreeMap<&String, usize> =
        arguments.tables.iter().zip(&tables).map(|(name, table)| (name, table.rows.len())).collect();
    Ok(json!({"seconds": seconds, "rows": rows, "commits": arguments.commits}))
}

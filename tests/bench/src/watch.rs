//! The reader that stops the clock: one that has nothing to do with the subject but its database.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection, Row as _};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);

/// Wait until a query answers enough; answers when that was.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// `sqlite:PATH` or `postgres://…`; it may come to be only later
    #[arg(long)]
    database: String,
    /// Answers one integer
    #[arg(long)]
    query: String,
    #[arg(long)]
    at_least: i64,
    /// Seconds after which it gives up
    #[arg(long, default_value_t = 1_800)]
    limit: u64,
}

/// Unix time in nanoseconds.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    u64::try_from(since.as_nanos()).expect("a time before 2554")
}

/// A connection to a database that may not be there yet, or not have its tables.
#[derive(Debug)]
pub struct Reader {
    database: String,
    query: String,
    on: Option<AnyConnection>,
}

impl Reader {
    pub const fn new(database: String, query: String) -> Self {
        Self { database, query, on: None }
    }

    /// What the query answers now; zero while it cannot be asked.
    pub async fn look(&mut self) -> i64 {
        if self.on.is_none() {
            let there =
                self.database.strip_prefix("sqlite:").is_none_or(|path| std::path::Path::new(path).exists());
            self.on = if there { AnyConnection::connect(&self.database).await.ok() } else { None };
        }
        let Some(on) = &mut self.on else { return 0 };
        match sqlx::query(sqlx::AssertSqlSafe(self.query.clone())).fetch_one(on).await {
            Ok(row) => row.try_get::<Option<i64>, _>(0).ok().flatten().unwrap_or(0),
            Err(_) => {
                self.on = None;
                0
            }
        }
    }
}

/// Waits.
pub async fn run(arguments: &Arguments) -> Result<Value> {
    let mut reader = Reader::new(arguments.database.clone(), arguments.query.clone());
    let limit = now() + arguments.limit * 1_000_000_000;
    loop {
        let found = reader.look().await;
        let at = now();
        if found >= arguments.at_least {
            return Ok(json!({"at": at}));
        }
        anyhow::ensure!(at < limit, "{found} of {} after {} s", arguments.at_least, arguments.limit);
        tokio::time::sleep(LOOK).await;
    }
}

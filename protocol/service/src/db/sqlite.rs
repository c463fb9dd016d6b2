//! What only SQLite needs.

use sqlx::{Any, AnyConnection, AnyPool, Executor, Transaction, any::AnyPoolOptions};

const PRAGMAS: [&str; 4] = [
    "PRAGMA journal_mode = WAL",
    // A commit that was answered survives the loss of power, not only of the process.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 10000",
];

/// Of the connection that writes: a cache in KiB, for with the 2,000 that it comes with a transaction of some thousand rows is
/// written out and read again while it goes on; and pages after which what was written is moved into the file, for with the
/// 1,000 that it comes with pages of an index that are written again and again are moved each time. Only what is used is taken.
const WRITER: [&str; 2] = ["PRAGMA cache_size = -8000", "PRAGMA wal_autocheckpoint = 16000"];

/// The connection that writes, and those that read. What a connection remembers of the file is good until another one writes:
/// one that takes turns with seven others remembers nothing.
pub(super) async fn connect(url: &str, options: AnyPoolOptions) -> Result<(AnyPool, AnyPool), sqlx::Error> {
    let url = if url.contains("mode=") {
        url.to_owned()
    } else {
        format!("{url}{}mode=rwc", if url.contains('?') { '&' } else { '?' })
    };
    // A file does not hang up: nobody is asked whether it still answers.
    let options = options.test_before_acquire(false);
    let writer = options.clone().max_connections(1).after_connect(|connection, _| {
        Box::pin(async move {
            settle(connection).await?;
            for pragma in WRITER {
                connection.execute(pragma).await?;
            }
            Ok(())
        })
    });
    let writer = writer.connect(&url).await?;
    let readers = options.max_connections(8).after_connect(|connection, _| Box::pin(settle(connection)));
    Ok((writer, readers.connect(&url).await?))
}

async fn settle(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    for pragma in PRAGMAS {
        connection.execute(pragma).await?;
    }
    Ok(())
}

pub(super) async fn begin(writer: &AnyPool) -> Result<Transaction<'static, Any>, sqlx::Error> {
    // IMMEDIATE takes the write lock now: a transaction that read first could otherwise fail when it comes to write.
    writer.begin_with("BEGIN IMMEDIATE").await
}

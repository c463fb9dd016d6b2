//! That one process at a time works on a database: a lock of the operating system on a file beside it on SQLite, an advisory
//! lock of a session of its own on PostgreSQL. Either is free again the moment its holder is gone, however it went.

use std::{
    fs::{File, TryLockError},
    time::Duration,
};

use sqlx::{AnyConnection, AnyPool, Connection as _};
use tokio::sync::Mutex;

use super::{Db, DbError, Engine, postgres};

/// The longest that is waited for a server to say that a lock is free.
const UNLOCK_TIME: Duration = Duration::from_secs(5);

/// The right to be the only one, until it is dropped.
#[derive(Debug)]
pub struct Alone(Held);

#[derive(Debug)]
enum Held {
    /// Locked while it is open.
    File { _file: File },
    /// Locked while it is connected.
    Session(Box<Mutex<AnyConnection>>),
    /// Locked while the session that writes is connected, which is asked at every write.
    Writer,
}

impl Db {
    /// Takes the right, unless another process (or another handle of this one) has it. On PostgreSQL the database must be
    /// reached directly, or through a proxy that keeps sessions apart.
    ///
    /// # Errors
    /// The engine's own, or the file beside the database cannot be opened.
    pub async fn alone(&self) -> Result<Option<Alone>, DbError> {
        Ok(match self.engine {
            Engine::Sqlite => lock_file(&self.pool).await?.map(|file| Alone(Held::File { _file: file })),
            Engine::Postgres => {
                // Next to the key that writers take turns by.
                let session = lock_session(&self.pool, self.lock_key ^ 1).await?;
                session.map(|session| Alone(Held::Session(Box::new(Mutex::new(session)))))
            }
        })
    }
}

impl Db {
    /// The same for a handle whose session that writes holds the lock.
    pub(super) async fn alone_as_writer(&self) -> Result<Option<Alone>, DbError> {
        Ok(match self.engine {
            Engine::Sqlite => lock_file(&self.pool).await?.map(|file| Alone(Held::File { _file: file })),
            Engine::Postgres => {
                postgres::hold(&self.writer, self.lock_key ^ 1).await?.then_some(Alone(Held::Writer))
            }
        })
    }
}

impl Alone {
    /// Whether it still holds.
    ///
    /// # Errors
    /// It does not: the session ended.
    pub async fn check(&self) -> Result<(), DbError> {
        match &self.0 {
            Held::File { .. } | Held::Writer => Ok(()),
            Held::Session(session) => Ok(session.lock().await.ping().await?),
        }
    }

    /// Gives it up; where the session that writes holds it, with [`Db::close`].
    pub async fn give_up(self) {
        if let Held::Session(session) = self.0 {
            let mut session = session.into_inner();
            // The server ends a session when it comes to it, and who takes the right next may not wait.
            let unlock = "SELECT CAST(pg_advisory_unlock_all() AS TEXT)";
            let freed = tokio::time::timeout(UNLOCK_TIME, sqlx::query(unlock).execute(&mut session)).await;
            if !matches!(freed, Ok(Ok(_))) {
                tracing::debug!("the lock is given up with its session alone");
            }
            // A server that is gone has given it up already.
            if let Err(error) = session.close().await {
                tracing::debug!(%error, "the session of the lock");
            }
        }
    }
}

async fn lock_file(pool: &AnyPool) -> Result<Option<File>, DbError> {
    let database: String = sqlx::query_scalar("SELECT file FROM pragma_database_list WHERE name = 'main'")
        .fetch_one(pool)
        .await?;
    let path = format!("{database}-lock");
    let failed = |error: std::io::Error| DbError::Sql(sqlx::Error::Io(error));
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

async fn lock_session(pool: &AnyPool, key: i64) -> Result<Option<AnyConnection>, DbError> {
    let mut session = AnyConnection::connect_with(&pool.connect_options()).await?;
    // A holder whose machine is gone without a word is noticed after some 25 seconds.
    for setting in ["tcp_keepalives_idle = 10", "tcp_keepalives_interval = 5", "tcp_keepalives_count = 3"] {
        sqlx::query(sqlx::AssertSqlSafe(format!("SET {setting}"))).execute(&mut session).await?;
    }
    let got: i64 =
        sqlx::query_scalar("SELECT CAST(CASE WHEN pg_try_advisory_lock($1) THEN 1 ELSE 0 END AS BIGINT)")
            .bind(key)
            .fetch_one(&mut session)
            .await?;
    if got == 1 {
        return Ok(Some(session));
    }
    session.close().await?;
    Ok(None)
}

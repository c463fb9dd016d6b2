//! Databases on the PostgreSQL server of the tests, for services whose deaths it must survive.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// An empty database of its own on the server of `EARNEST_TEST_POSTGRES`. It stays, to be looked at, unless it is removed.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// Creates it.
    ///
    /// # Panics
    /// `EARNEST_TEST_POSTGRES` does not name a server on which databases may be created.
    pub async fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var("EARNEST_TEST_POSTGRES");
        let server =
            server.expect("EARNEST_TEST_POSTGRES is not set: run these tests by ./scripts/test end-to-end");
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let name = format!("e{}_{}_{nanos}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let database = Self { server, name };
        database.ask(format!("CREATE DATABASE {}", database.name)).await;
        database
    }

    /// What a service opens it with.
    ///
    /// # Panics
    /// The URL of the server does not end in the name of a database.
    pub fn url(&self) -> String {
        let (base, _) = self.server.rsplit_once('/').expect("the URL ends in a database name");
        format!("{base}/{}", self.name)
    }

    /// Removes it.
    ///
    /// # Panics
    /// The server does not.
    pub async fn remove(self) {
        self.ask(format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }

    async fn ask(&self, statement: String) {
        let mut session =
            PgConnection::connect(&self.server).await.expect("the server of EARNEST_TEST_POSTGRES answers");
        let query = sqlx::query(AssertSqlSafe(statement));
        query.execute(&mut session).await.expect("databases may be created and removed");
        session.close().await.expect("the session ends");
    }
}

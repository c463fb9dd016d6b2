//! A service's database, in which a statement can be refused in the middle of a transaction: by triggers that the service does
//! not know of.

use std::path::Path;

use sqlx::{AnyPool, AssertSqlSafe, any::AnyPoolOptions};

use crate::dice::Dice;

/// The database of one service.
pub struct Database {
    pub url: String,
    pool: Option<AnyPool>,
    places: Vec<String>,
}

impl Database {
    /// A file that does not exist yet.
    pub fn new(folder: &Path, service: &str) -> Self {
        let url = format!("sqlite:{}", folder.join(format!("{service}.sqlite")).display());
        Self { url, pool: None, places: Vec::new() }
    }

    /// Puts a trigger on every table that there is, once.
    pub async fn prepare(&mut self) {
        if self.pool.is_some() {
            return;
        }
        let options = AnyPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let pool = options.connect(&self.url).await.unwrap();
        for pragma in ["PRAGMA busy_timeout = 10000", "PRAGMA synchronous = OFF"] {
            sqlx::query(pragma).execute(&pool).await.unwrap();
        }
        let tables: Vec<(String,)> = sqlx::query_as(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '_sqlx%' \
             ORDER BY name",
        )
        .fetch_all(&pool)
        .await
        .unwrap();
        run(&pool, "CREATE TABLE simulated (place TEXT NOT NULL) STRICT".to_owned()).await;
        for (table,) in tables {
            for what in ["INSERT", "UPDATE", "DELETE"] {
                let place = format!("{table}/{what}");
                run(
                    &pool,
                    format!(
                        "CREATE TRIGGER simulated_{table}_{what} BEFORE {what} ON {table} \
                         WHEN EXISTS (SELECT 1 FROM simulated WHERE place = '{place}') \
                         BEGIN SELECT RAISE(ABORT, 'simulated'); END"
                    ),
                )
                .await;
                self.places.push(place);
            }
        }
        self.pool = Some(pool);
    }

    /// From now on one kind of statement is refused.
    pub async fn refuse(&self, dice: &mut Dice) {
        let Some(pool) = &self.pool else { return };
        run(pool, format!("INSERT INTO simulated VALUES ('{}')", dice.pick(&self.places))).await;
    }

    /// Everything is taken again.
    pub async fn relent(&self) {
        let Some(pool) = &self.pool else { return };
        run(pool, "DELETE FROM simulated".to_owned()).await;
    }

    /// Changes it behind the service's back, whatever is refused meanwhile.
    pub async fn run(&self, statement: String) {
        run(self.pool(), "UPDATE simulated SET place = '-' || place".to_owned()).await;
        run(self.pool(), statement).await;
        run(self.pool(), "UPDATE simulated SET place = substr(place, 2)".to_owned()).await;
    }

    /// To look into.
    pub fn pool(&self) -> &AnyPool {
        self.pool.as_ref().unwrap()
    }
}

async fn run(pool: &AnyPool, statement: String) {
    sqlx::query(AssertSqlSafe(statement)).execute(pool).await.unwrap();
}

//! The routes of the hub in one router.
use axum::Router;

use crate::Hub;

pub(crate) fn app(hub: &Hub) -> Router {
    let db = hub.db.clone();
    service::http::shell("hub", Router::new(), move || {
        let db = db.clone();
        async move { sqlx::query("SELECT 1").execute(db.reader()).await.map(drop).map_err(|e| e.to_string()) }
    })
}

//! One process at a time.

use super::*;

#[tokio::test]
async fn one_process_at_a_time_works_on_a_database() {
    for fresh in on_both().await {
        let chain = Chain::start().await;
        chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
        let indexer = Running::on(&chain, &fresh).await;
        indexer.caught_up(&chain).await;
        let clock = Arc::new(SystemClock);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        // It would add a chain.
        let config = indexer.config.clone();
        let added = config.chains.values().next().unwrap().clone();
        let more = config.chains.clone().into_iter().chain([(ChainId::Eip155(77), added)]);
        let config = of_chains(&fresh, more);
        let refused = [
            crate::run(config.clone(), listener, clock.clone(), Default::default()).await,
            crate::backfill(config.clone(), clock.clone(), Default::default(), |_| {}).await.map(drop),
            crate::reindex(&config, &SystemClock, |_| {}).await.map(drop),
        ];
        for refused in refused {
            let said = refused.unwrap_err().to_string();
            assert!(said.contains("in use by another indexer"), "{:?}: {said}", fresh.engine);
        }
        let config = indexer.config.clone();
        let database = Db::open_existing(&config.database, crate::SCHEMA).await.unwrap();
        let chains = store::chains(&mut database.reader().acquire().await.unwrap()).await.unwrap();
        assert_eq!(chains.len(), 1, "{:?}: nothing is changed by who is refused", fresh.engine);
        database.close().await;
        assert_eq!(verified(&config).await.differences, Vec::<String>::new(), "who only reads is let in");
        // A process that is gone, however it went, is in nobody's way.
        let config = indexer.kill().await;
        crate::reindex(&config, &SystemClock, |_| {}).await.unwrap();
        let ended = crate::backfill(config.clone(), clock, Default::default(), |_| {}).await.unwrap();
        assert!(ended.iter().all(|chain| chain.reached));
        Running::start(config).await.stop().await;
    }
}

/// The server, or a proxy before it, ends the session that holds the lock.
#[tokio::test]
async fn who_lost_the_database_writes_nothing_more_and_ends() {
    let fresh = postgres().await;
    let chain = Chain::start().await;
    let indexer = Running::on(&chain, &fresh).await;
    indexer.caught_up(&chain).await;
    let config = indexer.config.clone();
    let other = Db::open_existing(&config.database, crate::SCHEMA).await.unwrap();
    sqlx::query(
        "SELECT CAST(pg_terminate_backend(pid) AS TEXT) FROM pg_locks WHERE locktype = 'advisory' \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .execute(other.reader())
    .await
    .unwrap();
    other.close().await;
    // What it reads it can tell nobody.
    chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
    let ended = indexer.ended().await.to_string();
    assert!(ended.contains("alone ended"), "{ended}");
    let again = crate::Own::open(&config, &SystemClock).await.unwrap();
    assert_eq!(
        store::position(&mut again.db.reader().acquire().await.unwrap(), 1)
            .await
            .unwrap()
            .map(|p| p.tip.number),
        Some(chain.height().await - 1)
    );
    again.db.close().await;
}

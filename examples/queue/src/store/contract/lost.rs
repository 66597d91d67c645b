//! A server that starts anew ends every connection.

use sqlx::Connection as _;

use super::fixture::Fixture;
use super::prelude::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_that_connections_were_lost() {
    let Some(f) = Fixture::postgres().await else { return };
    let end_all = async || {
        let Database::Postgres(url) = &f.database else { unreachable!() };
        let mut connection = sqlx::PgConnection::connect(url.as_str()).await.unwrap();
        let others = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        sqlx::query(others).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    };
    // Connections of several lanes, and some that have read.
    let created = futures_util::future::join_all((0..30).map(|_| f.create(json!({})))).await;
    let claimed = f.claim(30).await;
    assert_eq!((created.len(), claimed.len()), (30, 30));
    futures_util::future::join_all(created.iter().map(|id| f.store.status(*id))).await;

    // More readers than there are connections.
    end_all().await;
    let read = futures_util::future::join_all((0..100).map(|n| f.store.status(created[n % 30]))).await;
    assert!(read.iter().all(Result::is_ok), "{:?}", read.iter().find(|read| read.is_err()));

    end_all().await;
    let next = f.create(json!({})).await;
    end_all().await;
    f.apply(created[0], Event::Complete { run: 0.into() }).await;
    end_all().await;
    let claimed: Vec<TaskId> = f.claim(1).await.iter().map(|claimed| claimed.task.task_id).collect();
    assert_eq!(claimed, [next]);
    f.end().await;
}

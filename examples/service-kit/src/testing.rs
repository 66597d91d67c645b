//! What the tests of stores need.

#[cfg(feature = "postgres")]
use crate::store::PostgresStore;
use crate::store::{Database, Migration, SqliteStore, StoreError};

/// Makes a database as an earlier version of a service has left it: with its migrations only, and with these rows.
///
/// # Panics
/// When it cannot be made.
pub async fn leave(database: &Database, service: &str, migrations: &[Migration], rows: &'static str) {
    macro_rules! fill {
        ($store:expr) => {{
            let store = $store.await.expect("an earlier version can open it");
            let filled = store.write(move |connection| {
                Box::pin(async move { Ok::<_, StoreError>(sqlx::raw_sql(rows).execute(connection).await?) })
            });
            filled.await.expect("the rows fit the migrations");
            store.close().await;
        }};
    }
    match database {
        #[cfg(feature = "postgres")]
        Database::Postgres(_) => fill!(PostgresStore::open(database, service, migrations, 1)),
        _ => fill!(SqliteStore::open(database, service, migrations)),
    }
}

/// An empty database of a test's own, on the PostgreSQL server that the variable `TEST_POSTGRES` names; nothing, and a line about it,
/// where it names none.
///
/// # Panics
/// When the server cannot be reached, or makes none.
#[cfg(feature = "postgres")]
pub async fn postgres(service: &str) -> Option<Database> {
    use std::sync::atomic::{AtomicU32, Ordering};

    static NEXT: AtomicU32 = AtomicU32::new(0);
    let Some(server) = std::env::var("TEST_POSTGRES").ok().filter(|url| !url.is_empty()) else {
        println!("skipped: TEST_POSTGRES is not set");
        return None;
    };
    let name = format!("{service}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let admin = sqlx::PgPool::connect(&server).await.expect("TEST_POSTGRES is reachable");
    for statement in [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&admin).await.expect("tests may create databases");
    }
    admin.close().await;
    let mut url: url::Url = server.parse().expect("TEST_POSTGRES is a URL");
    url.set_path(&name);
    Some(Database::Postgres(url))
}

//! What the tests of stores need.

use std::sync::atomic::{AtomicU32, Ordering};

use url::Url;

use crate::store::Database;

/// An empty database of a test's own, on the PostgreSQL server that the variable `TEST_POSTGRES` names; nothing, and a line about it,
/// where it names none.
///
/// # Panics
/// When the server cannot be reached, or makes none.
pub async fn postgres(service: &str) -> Option<Database> {
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
    let mut url: Url = server.parse().expect("TEST_POSTGRES is a URL");
    url.set_path(&name);
    Some(Database::Postgres(url))
}

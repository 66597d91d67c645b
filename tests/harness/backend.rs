//! The databases that a deployment may be on.

use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A file.
    Sqlite,
    /// A database of its own on the server that `TEST_POSTGRES` names.
    Postgres,
}

impl Backend {
    /// Those that are at hand. What is not is said in one line.
    pub fn available() -> Vec<Self> {
        if postgres_server().is_some() {
            vec![Self::Sqlite, Self::Postgres]
        } else if cfg!(feature = "postgres") {
            println!("skipped: TEST_POSTGRES is not set");
            vec![Self::Sqlite]
        } else {
            println!("skipped: built without the feature postgres");
            vec![Self::Sqlite]
        }
    }

    /// The URL of a new, empty database; a file lies in `folder`.
    ///
    /// # Panics
    /// If the server makes none.
    pub async fn database(self, folder: &TempDir, name: &str) -> String {
        match self {
            Self::Sqlite => format!("sqlite:{}", folder.path().join(format!("{name}.db")).display()),
            Self::Postgres => create_database().await,
        }
    }
}

#[cfg(feature = "postgres")]
fn postgres_server() -> Option<String> {
    std::env::var("TEST_POSTGRES").ok().filter(|url| !url.is_empty())
}

#[cfg(not(feature = "postgres"))]
fn postgres_server() -> Option<String> {
    None
}

/// A name that no other test uses: of this process, and counted.
fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let id = taskcluster::TaskId::new().to_string().replace(['-', '_'], "x").to_lowercase();
    format!("e2e_{id}_{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(feature = "postgres")]
async fn create_database() -> String {
    use sqlx::{Connection, Executor};

    let server = postgres_server().expect("asked for only where there is a server");
    let name = fresh_name();
    let mut connection = sqlx::PgConnection::connect(&server).await.expect("TEST_POSTGRES is reachable");
    let statement = format!("CREATE DATABASE {name}");
    connection.execute(sqlx::AssertSqlSafe(statement)).await.expect("the tests may create databases");
    connection.close().await.ok();
    let mut url = url::Url::parse(&server).expect("TEST_POSTGRES is a URL");
    url.set_path(&name);
    url.into()
}

#[cfg(not(feature = "postgres"))]
async fn create_database() -> String {
    unreachable!("{}: not among the databases that are at hand", fresh_name())
}

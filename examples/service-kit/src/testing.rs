//! What the tests of services need.

use tempfile::TempDir;

#[cfg(feature = "postgres")]
use crate::store::PostgresStore;
use crate::store::{Database, Schema, SqliteStore, StoreError};

mod program;

pub use program::{output, program};

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// SQLite in memory.
    Memory,
    /// SQLite in a file.
    File,
    /// PostgreSQL, on the server that the variable `TEST_POSTGRES` names.
    Postgres,
}

/// A database of a test's own.
#[derive(Debug)]
pub struct Fresh {
    /// Where it is.
    pub database: Database,
    _folder: Option<TempDir>,
}

impl Kind {
    /// An empty database for a test of this service; nothing, and a line about it, where there is no server.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn fresh(self, service: &str) -> Option<Fresh> {
        match self {
            Self::Memory => Some(Fresh { database: Database::Memory, _folder: None }),
            Self::File => {
                let folder = tempfile::tempdir().expect("there is room for a folder");
                let database = Database::Sqlite(folder.path().join(format!("{service}.db")));
                Some(Fresh { database, _folder: Some(folder) })
            }
            Self::Postgres => Some(Fresh { database: postgres(service).await?, _folder: None }),
        }
    }
}

/// Databases of each kind that outlives its store, with what an earlier version of a service has left: its tables only, and these rows.
///
/// # Panics
/// When they cannot be made.
pub async fn left(schema: &Schema, rows: &'static str) -> Vec<Fresh> {
    let mut all = Vec::new();
    for kind in [Kind::File, Kind::Postgres] {
        if let Some(fresh) = kind.fresh(schema.service).await {
            leave(&fresh.database, schema, rows).await;
            all.push(fresh);
        }
    }
    all
}

/// Makes a database as an earlier version of a service has left it: with its tables only, and with these rows.
///
/// # Panics
/// When it cannot be made.
pub async fn leave(database: &Database, schema: &Schema, rows: &'static str) {
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
        Database::Postgres(_) => fill!(PostgresStore::open(database, schema.service, schema.postgres, 1)),
        _ => fill!(SqliteStore::open(database, schema.service, schema.sqlite)),
    }
}

/// What every database has to do alike: one test per rule and [kind](Kind) of database, in a module per kind.
///
/// A rule is an `async fn` of a store; `$open` opens that, from a [`Database`].
///
/// ```
/// use service_kit::store::{AnyStore, Database, Schema, StoreError};
///
/// const SCHEMA: Schema = Schema::new("notes", &[], &[]);
///
/// async fn open(database: &Database) -> Result<AnyStore, StoreError> {
///     AnyStore::open(database, &SCHEMA).await
/// }
///
/// service_kit::contract! { SCHEMA, open =>
///     what_is_written_is_read,
/// }
///
/// async fn what_is_written_is_read(store: &AnyStore) {
///     assert_eq!(store.rows("SELECT 1", &[]).await.unwrap().len(), 1);
/// }
/// # let _ = what_is_written_is_read;
/// ```
#[macro_export]
macro_rules! contract {
    ($schema:path, $open:path => $($rule:ident),* $(,)?) => {
        $crate::contract! { @ memory Memory $schema, $open => $($rule),* }
        $crate::contract! { @ file File $schema, $open => $($rule),* }
        $crate::contract! { @ postgres Postgres $schema, $open => $($rule),* }
    };
    (@ $module:ident $kind:ident $schema:path, $open:path => $($rule:ident),*) => {
        mod $module {
            #[allow(unused_imports, reason = "the paths may name nothing there")]
            use super::*;

            $(
                #[tokio::test]
                async fn $rule() {
                    let Some(fresh) = $crate::testing::Kind::$kind.fresh($schema.service).await else { return };
                    let store = $open(&fresh.database).await.expect("what is empty can be opened");
                    super::$rule(&store).await;
                }
            )*
        }
    };
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

/// Nothing: the tests were built without it.
#[cfg(not(feature = "postgres"))]
#[allow(clippy::unused_async, reason = "as where there is one")]
async fn postgres(_service: &str) -> Option<Database> {
    println!("skipped: built without the feature postgres");
    None
}

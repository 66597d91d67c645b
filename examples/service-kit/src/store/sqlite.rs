//! SQLite: one connection writes, others read at the same time.

use std::io;
use std::path::Path;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Sqlite, SqliteConnection};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::migrations::{self, Applied, Migration};
use super::writer::Writer;
use super::{Database, StoreError};

/// How long to wait for another process.
const PATIENCE: Duration = Duration::from_secs(30);

/// From one attempt to connect to the next.
const RETRY: Duration = Duration::from_millis(10);

/// How many connections read.
const READERS: u32 = 4;

/// A service's state in one SQLite file.
///
/// The file is in WAL mode with `synchronous=FULL`: what was answered has reached the disk. Group commit makes that
/// affordable, see [the module](super). Cloning gives another handle to the same store.
///
/// In memory there is a single connection for reads and writes; a job must then not read through [`readers`](Self::readers)
/// (it should not anyway: it would not see its own changes).
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: Writer<Sqlite>,
    writing: SqlitePool,
    reading: SqlitePool,
    commits: watch::Receiver<u64>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl SqliteStore {
    /// Opens a database, makes it if there is none, and brings it up to date.
    ///
    /// # Errors
    /// When the file cannot be opened or written, is another service's, or is newer than this program.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub async fn open(database: &Database, service: &str, known: &[Migration]) -> Result<Self, StoreError> {
        let open_error =
            |error: &sqlx::Error| StoreError::Open { database: database.to_string(), reason: reason(error) };
        let options = match database {
            Database::Sqlite(path) => {
                // An error shows once more, and in the database's words, when it is opened.
                let _ = make_private(path);
                file(path)
            }
            Database::Memory => SqliteConnectOptions::new().in_memory(true).shared_cache(false),
            Database::Postgres(_) => {
                let reason = "it is not SQLite".to_owned();
                return Err(StoreError::Open { database: database.to_string(), reason });
            }
        };
        let options = options.disable_statement_logging().statement_cache_capacity(512);
        let writing = connect(1, &options).await.map_err(|error| open_error(&error))?;
        migrate(&writing, service, known).await?;
        let reading = match database {
            Database::Sqlite(_) => {
                let options = options.create_if_missing(false).pragma("query_only", "ON");
                connect(READERS, &options).await.map_err(|error| open_error(&error))?
            }
            Database::Memory | Database::Postgres(_) => writing.clone(),
        };
        let (sender, commits) = watch::channel(0);
        let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
        let (writer, lane) = Writer::new(writing.clone(), "BEGIN IMMEDIATE", sender, closing.clone());
        tasks.spawn(lane.work());
        Ok(Self { writer, writing, reading, commits, tasks, closing })
    }

    /// Carries out a job inside a transaction that it may share with others, and answers after the commit.
    ///
    /// # Errors
    /// What the job returns; [`StoreError`] when the transaction cannot be committed.
    ///
    /// # Cancel safety
    /// A job that waits when its future is dropped is not carried out; one that has begun is.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.run(work).await
    }

    /// One of the connections that read.
    ///
    /// # Errors
    /// When the store is closed, or none becomes free.
    pub async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        Ok(self.reading.acquire().await?)
    }

    /// Connections that read; each statement sees everything that was committed before it began.
    pub fn readers(&self) -> &SqlitePool {
        &self.reading
    }

    /// Changes with every commit: for loops that look whenever something may have changed.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }

    /// Finishes what was handed in and closes; whatever other handles ask for afterwards fails.
    pub async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.reading.close().await;
        self.writing.close().await;
    }
}

/// Makes the file, if there is none, for nobody but us, whatever the process makes otherwise. The log and the index that
/// SQLite puts beside it are then as it is.
///
/// It gets its name once it is closed: to close a file that SQLite has open as well would end SQLite's locks on it.
fn make_private(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::NamedTempFile::new_in(folder)?.into_temp_path().persist_noclobber(path)?;
    Ok(())
}

fn file(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(PATIENCE)
        .pragma("temp_store", "MEMORY")
}

/// Connects. SQLite waits for others by itself, except for one that is about to turn the same new file to WAL mode.
async fn connect(size: u32, options: &SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let until = Instant::now() + PATIENCE;
    loop {
        match pool(size).connect_with(options.clone()).await {
            Err(error) if is_busy(&error) && Instant::now() < until => tokio::time::sleep(RETRY).await,
            result => return result,
        }
    }
}

fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // The low byte of an extended code is the plain one: SQLITE_BUSY.
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == 5)
}

/// A pool whose connections stay: one in memory takes its data with it when it goes.
fn pool(size: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(size)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(60))
        // A wait is only that many ask at once; nobody who reads the log can do anything about it.
        .acquire_slow_threshold(Duration::MAX)
}

async fn migrate(pool: &SqlitePool, service: &str, known: &[Migration]) -> Result<(), StoreError> {
    // Taking the write lock at once keeps a second process waiting until the first one is done.
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query(migrations::TABLE).execute(&mut *transaction).await?;
    let applied: Vec<Applied> = sqlx::query_as(migrations::APPLIED).fetch_all(&mut *transaction).await?;
    for (name, sql) in migrations::pending(service, known, &applied)? {
        sqlx::raw_sql(sql).execute(&mut *transaction).await.map_err(|source| StoreError::Migration {
            service: service.to_owned(),
            migration: name.to_owned(),
            source,
        })?;
        sqlx::query("INSERT INTO migrations (service, name, checksum) VALUES (?, ?, ?)")
            .bind(service)
            .bind(name)
            .bind(migrations::checksum(sql))
            .execute(&mut *transaction)
            .await?;
        tracing::info!(service, migration = name, "migration applied");
    }
    transaction.commit().await?;
    Ok(())
}

fn reason(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(database) => database.message().to_owned(),
        None => error.to_string(),
    }
}

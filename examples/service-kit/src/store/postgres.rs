//! PostgreSQL: several connections write, each in transactions that jobs share.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Postgres};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::migrations::{self, Applied, Migration};
use super::writer::Writer;
use super::{Database, StoreError};
use crate::outbox::Publisher;

/// A connection that was not used for this long is tried before it is used.
const IDLE: Duration = Duration::from_secs(5);

/// What each session is told.
///
/// How statements are carried out: a service's statements are short, many, always the same, and find their rows by an
/// index, while its tables change size faster than statistics follow: a plan made for an empty table, or one that takes a
/// list of keys for a hundred of them, would read whole tables.
const SESSION: [(&str, &str); 8] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    // Compiling them would take longer than running them.
    ("jit", "off"),
    // A machine that is gone holds what its sessions had locked until the server notices: here within a minute, otherwise after
    // two hours.
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
];

/// How long to wait for a connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// A service's state in PostgreSQL, in a schema of the service's name, so that services may share a database.
///
/// Any number of processes may open the same one. Cloning gives another handle to the same connections.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    service: Arc<str>,
    lanes: Arc<[Writer<Postgres>]>,
    next_lane: Arc<AtomicUsize>,
    pool: PgPool,
    commits: watch::Receiver<u64>,
    /// Of the outbox, once something was published.
    pub(crate) publisher: Arc<Mutex<Option<Publisher>>>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl PostgresStore {
    /// Connects, makes the service's schema if there is none, and brings it up to date.
    ///
    /// `connections` is the size of the pool; a quarter of them, at least one and at most four, carries out jobs.
    ///
    /// # Errors
    /// When the server cannot be reached, or the data is newer than this program.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub async fn open(
        database: &Database,
        service: &str,
        known: &[Migration],
        connections: u32,
    ) -> Result<Self, StoreError> {
        let open_error = |reason: String| StoreError::Open { database: database.to_string(), reason };
        let Database::Postgres(url) = database else { return Err(open_error("it is not PostgreSQL".to_owned())) };
        let options = PgConnectOptions::from_url(url).map_err(|error| open_error(error.to_string()))?;
        let options = plain_where_local(options, url)
            .application_name(service)
            .options(SESSION.iter().copied().chain([("search_path", service)]))
            .statement_cache_capacity(512)
            .disable_statement_logging();
        reach(&options).await.map_err(open_error)?;
        let pool = PgPoolOptions::new()
            .max_connections(connections.max(2))
            .acquire_timeout(PATIENCE)
            // A wait is only that many ask at once; nobody who reads the log can do anything about it.
            .acquire_slow_threshold(Duration::MAX)
            // Asking the server before every use would cost a round trip each time.
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for >= IDLE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(options)
            .await
            .map_err(|error| open_error(reason(&error)))?;
        migrate(&pool, service, known).await?;

        let (sender, commits) = watch::channel(0);
        let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
        let lanes = (0..(connections / 4).clamp(1, 4)).map(|_| {
            let (writer, lane) = Writer::new(pool.clone(), "BEGIN", sender.clone(), closing.clone());
            // A statement that fails spoils the whole transaction, and a commit then says nothing: a savepoint does.
            tasks.spawn(lane.always_with_savepoints().work());
            writer
        });
        let lanes = lanes.collect();
        Ok(Self {
            service: service.into(),
            lanes,
            next_lane: Arc::default(),
            pool,
            commits,
            publisher: Arc::default(),
            tasks,
            closing,
        })
    }

    /// Carries out a job inside a transaction that it may share with others, and answers after the commit.
    ///
    /// Jobs that change the same rows are better handed to [`write_keyed`](Self::write_keyed): in different
    /// transactions they wait for each other.
    ///
    /// # Errors
    /// What the job returns; [`StoreError`] when the transaction cannot be committed. A job that goes on after a statement
    /// of its own failed is not committed: it must return the error.
    ///
    /// # Cancel safety
    /// A job that waits when its future is dropped is not carried out; one that has begun is.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.lane(self.next_lane.fetch_add(1, Ordering::Relaxed)).run(work).await
    }

    /// As [`write`](Self::write); of one process, jobs of the same key are carried out one after another.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    /// As [`write`](Self::write).
    pub async fn write_keyed<T, E, F>(&self, key: &str, work: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.lane(usize::try_from(hasher.finish() % 1024).unwrap_or_default()).run(work).await
    }

    /// A connection that has just answered. When a server starts anew, all those of a pool are dead, and each would fail
    /// whoever gets it.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn reader(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        loop {
            let mut connection = self.pool.acquire().await?;
            match connection.ping().await {
                Ok(()) => return Ok(connection),
                // There are only so many of them; then the pool makes a new one, or says that it cannot.
                Err(_) => connection.close_on_drop(),
            }
        }
    }

    /// Connections for reads that may fail when the server starts anew, and for transactions that a service wants to
    /// itself.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Changes with every commit of this process.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }

    /// Listens to notifications of other processes, see [`notify`](Self::notify).
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn listen(&self, channels: &[&str]) -> Result<Notifications, StoreError> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        let names: Vec<String> = channels.iter().map(|channel| self.channel(channel)).collect();
        listener.listen_all(names.iter().map(String::as_str)).await?;
        Ok(Notifications { listener, prefix: self.channel("") })
    }

    /// Wakes those who listen, at once. It is no part of any transaction: one that notifies makes its commit wait for
    /// every other such commit of the server.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn notify(&self, channel: &str, payloads: &[String]) -> Result<(), StoreError> {
        sqlx::query("SELECT pg_notify($1, payload) FROM UNNEST($2::text[]) AS told (payload)")
            .bind(self.channel(channel))
            .bind(payloads)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// A number for advisory locks: the same in all processes of this service.
    pub fn lock_key(&self, purpose: &str) -> i64 {
        lock_key(&self.service, purpose)
    }

    /// Finishes what was handed in and closes; whatever other handles ask for afterwards fails.
    pub async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        drop(self.publisher.lock().await.take());
        self.pool.close().await;
    }

    fn lane(&self, number: usize) -> &Writer<Postgres> {
        &self.lanes[number % self.lanes.len()]
    }

    /// Channels are the whole database's; the service's name keeps services apart.
    fn channel(&self, name: &str) -> String {
        format!("{}_{name}", self.service)
    }
}

/// What other processes of a service tell.
#[derive(Debug)]
pub struct Notifications {
    listener: PgListener,
    prefix: String,
}

impl Notifications {
    /// The next notification as (channel, payload); `None` after the connection was lost and made again, when whatever
    /// was told in between has been missed: look now.
    ///
    /// # Errors
    /// When the server stays away; calling again tries again.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped before it is ready.
    pub async fn next(&mut self) -> Result<Option<(String, String)>, StoreError> {
        let notification = self.listener.try_recv().await?;
        Ok(notification.map(|notification| {
            let channel = notification.channel();
            let channel = channel.strip_prefix(&self.prefix).unwrap_or(channel);
            (channel.to_owned(), notification.payload().to_owned())
        }))
    }
}

async fn migrate(pool: &PgPool, service: &str, known: &[Migration]) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    // Processes that start at the same time go through here one after another.
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(lock_key(service, "migrations"))
        .execute(&mut *transaction)
        .await?;
    let quoted = service.replace('"', "\"\"");
    // The name is the program's own, not a caller's.
    let schema = AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS \"{quoted}\""));
    sqlx::raw_sql(schema).execute(&mut *transaction).await?;
    sqlx::query(migrations::TABLE).execute(&mut *transaction).await?;
    let applied: Vec<Applied> = sqlx::query_as(migrations::APPLIED).fetch_all(&mut *transaction).await?;
    for (name, sql) in migrations::pending(service, known, &applied)? {
        sqlx::raw_sql(sql).execute(&mut *transaction).await.map_err(|source| StoreError::Migration {
            service: service.to_owned(),
            migration: name.to_owned(),
            source,
        })?;
        sqlx::query("INSERT INTO migrations (service, name, checksum) VALUES ($1, $2, $3)")
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

/// Whether to encrypt is for the URL to say (`sslmode`, as in every client of PostgreSQL). Where it does not, a server of
/// this machine is spoken to in the clear, and any other one with TLS if it offers that.
fn plain_where_local(options: PgConnectOptions, url: &Url) -> PgConnectOptions {
    let said = url.query_pairs().any(|(name, _)| matches!(&*name, "sslmode" | "ssl-mode"));
    if said || std::env::var_os("PGSSLMODE").is_some() || !is_local(&options) {
        return options;
    }
    options.ssl_mode(PgSslMode::Disable)
}

fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_matches(['[', ']']);
    let loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    loopback || host == "localhost" || host.starts_with('/') || options.get_socket().is_some()
}

/// Connects once: a pool would go on trying for half a minute, and then not say what the matter was.
async fn reach(options: &PgConnectOptions) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, options.connect()).await {
        Ok(Ok(connection)) => connection.close().await.map_err(|error| reason(&error)),
        Ok(Err(error)) => Err(reason(&error)),
        Err(_) => Err("the server does not answer".to_owned()),
    }
}

fn lock_key(service: &str, purpose: &str) -> i64 {
    let digest = Sha256::digest(format!("taskcluster {service} {purpose}"));
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(bytes)
}

/// What the server says, in one line.
fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => database.message().to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> PgSslMode {
        let url = Url::parse(url).unwrap();
        plain_where_local(PgConnectOptions::from_url(&url).unwrap(), &url).get_ssl_mode()
    }

    #[test]
    fn the_url_says_whether_to_encrypt_and_only_what_is_local_is_plain_by_default() {
        if std::env::var_os("PGSSLMODE").is_some() {
            println!("skipped: PGSSLMODE is set");
            return;
        }
        for local in ["localhost", "127.0.0.1", "[::1]", "%2Fvar%2Frun%2Fpostgresql"] {
            assert!(matches!(mode(&format!("postgres://tc@{local}/tc")), PgSslMode::Disable), "{local}");
            assert!(
                matches!(mode(&format!("postgres://tc@{local}/tc?sslmode=require")), PgSslMode::Require),
                "{local}"
            );
        }
        assert!(matches!(mode("postgres://tc@db.example.com/tc"), PgSslMode::Prefer));
        assert!(matches!(mode("postgres://tc@db.example.com/tc?sslmode=verify-full"), PgSslMode::VerifyFull));
        assert!(matches!(mode("postgres://tc@db.example.com/tc?sslmode=disable"), PgSslMode::Disable));
    }
}

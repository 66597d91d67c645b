//! A store for one test, and verbs for what tests do with it.

use serde_json::{Value, json};
use service_kit::store::Database;
use taskcluster_core::clock::{Clock as _, ManualClock};
use taskcluster_core::ids::{Priority, TaskId};
use taskcluster_core::time::{Timestamp, days, hours, minutes};

use crate::artifact::{Artifact, Storage};
use crate::definition::{Definition, Limits, NewTask};
use crate::store::{ApplyRefusal, Claimed, CreateRefusal, Store};
use crate::task::{Event, State, Task, Worker};

/// A store of its own for one test, and a clock.
pub(super) struct Fixture {
    pub(super) store: Store,
    pub(super) clock: ManualClock,
    pub(super) database: Database,
    _directory: Option<tempfile::TempDir>,
    #[cfg(feature = "postgres")]
    server: Option<(String, String)>,
    #[cfg(feature = "postgres")]
    _permit: Option<tokio::sync::SemaphorePermit<'static>>,
}

/// A server has so many connections and not more, however many tests run at the same time.
#[cfg(feature = "postgres")]
static SERVER: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(3);

pub(super) fn start() -> Timestamp {
    "2026-03-04T05:06:07.000Z".parse().unwrap()
}

impl Fixture {
    pub(super) async fn sqlite() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(directory.path().join("queue.db"));
        let store = Store::open(&database).await.unwrap();
        Some(Self {
            store,
            clock: ManualClock::at(start()),
            database,
            _directory: Some(directory),
            #[cfg(feature = "postgres")]
            server: None,
            #[cfg(feature = "postgres")]
            _permit: None,
        })
    }

    #[cfg(feature = "postgres")]
    pub(super) async fn postgres() -> Option<Self> {
        Self::postgres_filled(async |_| {}).await
    }

    /// The same, on a database that something is done to before.
    #[cfg(feature = "postgres")]
    pub(super) async fn postgres_filled(fill: impl AsyncFnOnce(&Database)) -> Option<Self> {
        use sqlx::Connection as _;
        let Ok(server) = std::env::var("TEST_POSTGRES") else {
            println!("skipped: TEST_POSTGRES is not set");
            return None;
        };
        let permit = SERVER.acquire().await.unwrap();
        let name = format!("queue_{}", TaskId::new().to_string().replace('-', "_").to_lowercase());
        let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let mut url = url::Url::parse(&server).unwrap();
        url.set_path(&name);
        let database = Database::Postgres(url);
        fill(&database).await;
        let store = Store::open(&database).await.unwrap();
        Some(Self {
            store,
            clock: ManualClock::at(start()),
            database,
            _directory: None,
            server: Some((server, name)),
            _permit: Some(permit),
        })
    }

    pub(super) async fn end(self) {
        self.store.close().await;
        #[cfg(feature = "postgres")]
        if let Some((server, name)) = self.server {
            use sqlx::Connection as _;
            let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)")))
                .execute(&mut connection)
                .await
                .unwrap();
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn define(&self, id: TaskId, changes: &Value) -> NewTask {
        let mut body = json!({
            "taskQueueId": "proj/ci", "schedulerId": "-", "projectId": "none", "dependencies": [], "requires": "all-completed",
            "routes": [], "priority": "lowest", "retries": 1, "created": self.now(), "deadline": self.now() + hours(3),
            "expires": self.now() + days(30), "scopes": [], "payload": {}, "extra": {}, "tags": {"kind": "test"},
            "metadata": {"name": "a", "description": "b", "owner": "c", "source": "https://example.com"}
        });
        for (key, value) in changes.as_object().unwrap() {
            body[key] = value.clone();
        }
        Definition::complete(&body.to_string(), id, &Limits::default()).unwrap()
    }

    pub(super) async fn try_create(&self, id: TaskId, changes: &Value) -> Result<Task, CreateRefusal> {
        self.store.create(self.define(id, changes), self.now()).await.unwrap()
    }

    pub(super) async fn create(&self, changes: Value) -> TaskId {
        let id = TaskId::new();
        self.try_create(id, &changes).await.unwrap();
        id
    }

    pub(super) async fn apply(&self, id: TaskId, event: Event) -> Task {
        self.try_apply(id, event).await.unwrap()
    }

    pub(super) async fn try_apply(&self, id: TaskId, event: Event) -> Result<Task, ApplyRefusal> {
        self.store.apply(id, event, self.now()).await.unwrap()
    }

    pub(super) async fn claim(&self, count: u32) -> Vec<Claimed> {
        self.claim_as("one", count).await
    }

    pub(super) async fn claim_as(&self, worker: &str, count: u32) -> Vec<Claimed> {
        let until = self.now() + minutes(20);
        self.store.claim("proj/ci", &worker_named(worker), count, until, self.now()).await.unwrap()
    }

    /// Claims the task, which must be the only pending one, and lets it end.
    pub(super) async fn run(&self, id: TaskId, event: Event) -> Task {
        let claimed = self.claim(1).await;
        assert_eq!(claimed.iter().map(|claimed| claimed.task.task_id).collect::<Vec<_>>(), [id]);
        self.apply(id, event).await
    }

    pub(super) async fn state(&self, id: TaskId) -> State {
        self.store.status(id).await.unwrap().unwrap().state()
    }

    /// The events since the last look: the last part of the exchange, the routing key, the copies, the body.
    pub(super) async fn events(&self) -> Vec<(String, String, Vec<String>, Value)> {
        let rows = self
            .store
            .reader()
            .await
            .unwrap()
            .rows("SELECT exchange, routing_key, cc, payload FROM outbox ORDER BY id", &[])
            .await
            .unwrap();
        self.store
            .transaction(|sql| Box::pin(async move { Ok(sql.run("DELETE FROM outbox", &[]).await?) }))
            .await
            .unwrap();
        rows.iter()
            .map(|row| {
                let exchange = row.text("exchange").unwrap();
                let name = exchange.strip_prefix("exchange/taskcluster-queue/v1/").unwrap().to_owned();
                (name, row.text("routing_key").unwrap(), row.json("cc").unwrap(), row.json("payload").unwrap())
            })
            .collect()
    }

    pub(super) async fn event_names(&self) -> Vec<String> {
        self.events().await.into_iter().map(|(name, ..)| name).collect()
    }
}

pub(super) fn worker_named(id: &str) -> Worker {
    Worker { group: "group".to_owned(), id: id.to_owned() }
}

pub(super) fn complete() -> Event {
    Event::Complete { run: 0.into() }
}

pub(super) fn priority(priority: Priority) -> Event {
    Event::ChangePriority { priority, announce: true }
}

pub(super) fn ids(claimed: &[Claimed]) -> Vec<TaskId> {
    claimed.iter().map(|claimed| claimed.task.task_id).collect()
}

/// Another handle to the same data, as a second process would have it: the locks of the database have to hold, not
/// those of one process.
pub(super) async fn second_handle(f: &Fixture) -> Store {
    match f.database {
        Database::Postgres(_) => Store::open(&f.database).await.unwrap(),
        Database::Sqlite(_) | Database::Memory => f.store.clone(),
    }
}

pub(super) async fn end_second_handle(f: &Fixture, other: &Store) {
    match f.database {
        Database::Postgres(_) => other.close().await,
        Database::Sqlite(_) | Database::Memory => {}
    }
}

impl Fixture {
    pub(super) async fn run_all(&self, expected: &[TaskId]) {
        assert_eq!(ids(&self.claim(32).await), expected);
    }
}

pub(super) fn artifact(id: TaskId, name: &str, expires: Timestamp, storage: Storage) -> Artifact {
    Artifact {
        task_id: id,
        run_id: 0.into(),
        name: name.to_owned(),
        content_type: "text/plain".to_owned(),
        content_length: Some(5),
        expires,
        present: true,
        storage,
    }
}

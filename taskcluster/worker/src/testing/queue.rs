//! A queue of a test's own, over real HTTP: it holds a few tasks, plays all the parts that a worker talks to, and can be told
//! to misbehave.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use taskcluster_core::ids::TaskId;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

mod artifacts;
mod books;
mod routes;
mod runs;
mod workers;

use books::{Books, FakeTask, Shared};
use routes::router;

/// A queue for tests. Dropping it closes its port.
#[derive(Debug)]
pub struct FakeQueue {
    root_url: String,
    shared: Shared,
    _server: AbortOnDropHandle<()>,
}

/// An artifact as the queue has it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FakeArtifact {
    /// What was asked for when it was last created: `storageType` and what belongs to it; `contentEncoding` is that of what was
    /// uploaded.
    pub created: Value,
    /// What was uploaded.
    pub content: Option<Bytes>,
}

/// A request that arrived.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// Method and path with query, as in `POST /api/queue/v1/task/…`.
    pub line: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// How long anything is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

impl FakeQueue {
    /// Begin with no tasks.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let root_url = format!("http://{}", listener.local_addr()?);
        let books = Books {
            root_url: root_url.clone(),
            tasks: BTreeMap::new(),
            artifacts: BTreeMap::new(),
            received: Vec::new(),
            claim_for: Duration::from_secs(20 * 60),
            reclaim_fails: None,
            uploads_fail: false,
            uploads_held: false,
            uploads_waiting: 0,
            claims_fail: (StatusCode::FORBIDDEN, 0),
            claims_lost: 0,
            quarantined: None,
            recent: Vec::new(),
            issued: Vec::new(),
        };
        let shared = Shared { state: Arc::new(Mutex::new(books)), changed: watch::channel(0).0 };
        let router = router(shared.clone());
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the fake queue is gone");
            }
        });
        Ok(Self { root_url, shared, _server: AbortOnDropHandle::new(server) })
    }

    /// Where it is.
    #[must_use]
    pub fn root_url(&self) -> &str {
        &self.root_url
    }

    /// Add a pending task.
    pub fn add_task(&self, definition: Value) -> TaskId {
        let task_id = TaskId::new();
        let task = FakeTask { definition, state: "pending".to_owned(), reason: None, worker: None };
        self.shared.change(|books| books.tasks.insert(task_id, task));
        task_id
    }

    /// Add a task that a worker of this group and id is believed to be running.
    pub fn add_running_task(&self, definition: Value, worker_group: &str, worker_id: &str) -> TaskId {
        let task_id = self.add_task(definition);
        self.shared.change(|books| {
            books.recent.push(task_id);
            let task = books.tasks.get_mut(&task_id).expect("just added");
            task.state = "running".to_owned();
            task.worker = Some((worker_group.to_owned(), worker_id.to_owned()));
        });
        task_id
    }

    /// Cancel a task.
    pub fn cancel(&self, task_id: &TaskId) {
        self.end(task_id, "canceled");
    }

    /// Let a task's deadline pass.
    pub fn pass_deadline(&self, task_id: &TaskId) {
        self.end(task_id, "deadline-exceeded");
    }

    /// Let the claim of a task's run expire, whatever the worker was told.
    pub fn expire_claim(&self, task_id: &TaskId) {
        self.end(task_id, "claim-expired");
    }

    fn end(&self, task_id: &TaskId, reason: &str) {
        self.shared.change(|books| {
            let task = books.tasks.get_mut(task_id).expect("a task of this queue");
            task.state = "exception".to_owned();
            task.reason = Some(reason.to_owned());
        });
    }

    /// Add an artifact that is there already, `error` in place of content for one that could not be made.
    pub fn add_artifact(&self, task_id: &TaskId, name: &str, content: Result<&str, &str>) {
        let artifact = match content {
            Ok(text) => FakeArtifact {
                created: json!({"storageType": "s3"}),
                content: Some(Bytes::copy_from_slice(text.as_bytes())),
            },
            Err(reason) => FakeArtifact { created: json!({"storageType": "error", "reason": reason}), content: None },
        };
        self.shared.change(|books| books.artifacts.insert((*task_id, name.to_owned()), artifact));
    }

    /// Add an artifact that is stored encoded, as `gzip`.
    pub fn add_stored_artifact(&self, task_id: &TaskId, name: &str, stored: &[u8], encoding: &str) {
        let artifact = FakeArtifact {
            created: json!({"storageType": "s3", "contentEncoding": encoding}),
            content: Some(Bytes::copy_from_slice(stored)),
        };
        self.shared.change(|books| books.artifacts.insert((*task_id, name.to_owned()), artifact));
    }

    /// Let claims last so long.
    pub fn claim_for(&self, time: Duration) {
        self.shared.change(|books| books.claim_for = time);
    }

    /// Let every reclaim fail with this status.
    pub fn fail_reclaims(&self, status: u16) {
        self.shared.change(|books| books.reclaim_fails = StatusCode::from_u16(status).ok());
    }

    /// Let every upload of content fail.
    pub fn fail_uploads(&self, fail: bool) {
        self.shared.change(|books| books.uploads_fail = fail);
    }

    /// Answer no upload of content, once it has arrived, until this is called with `false`.
    pub fn hold_uploads(&self, hold: bool) {
        self.shared.change(|books| books.uploads_held = hold);
    }

    /// How many uploads [wait](Self::hold_uploads) for their answer.
    #[must_use]
    pub fn held_uploads(&self) -> usize {
        self.shared.look(|books| books.uploads_waiting)
    }

    /// Let the next claims, so many, fail with this status.
    ///
    /// # Panics
    /// It is no status.
    pub fn fail_claims(&self, status: u16, times: u32) {
        let status = StatusCode::from_u16(status).expect("a status has three digits");
        self.shared.change(|books| books.claims_fail = (status, times));
    }

    /// Let the answers to the next claims, so many, be lost: the tasks are claimed, and the worker gets an error.
    pub fn lose_claims(&self, times: u32) {
        self.shared.change(|books| books.claims_lost = times);
    }

    /// What the worker said when it was put into quarantine.
    #[must_use]
    pub fn quarantined(&self) -> Option<Value> {
        self.shared.look(|books| books.quarantined.clone())
    }

    /// The state of a task, with the reason of an exception: `completed`, `exception malformed-payload`.
    #[must_use]
    pub fn state(&self, task_id: &TaskId) -> String {
        self.shared.look(|books| books.tasks[task_id].describe())
    }

    /// Wait until a task is neither pending nor running.
    ///
    /// # Panics
    /// It takes minutes.
    pub async fn resolved(&self, task_id: &TaskId) -> String {
        let over = |books: &Books| {
            let task = &books.tasks[task_id];
            (task.state != "pending" && task.state != "running").then(|| task.describe())
        };
        self.wait_for(over).await
    }

    /// Wait until something is so.
    ///
    /// # Panics
    /// It takes minutes.
    pub async fn until(&self, wanted: impl Fn(&Self) -> bool) {
        self.wait_for_self(wanted).await;
    }

    /// An artifact by its name.
    #[must_use]
    pub fn artifact(&self, task_id: &TaskId, name: &str) -> Option<FakeArtifact> {
        self.shared.look(|books| books.artifacts.get(&(*task_id, name.to_owned())).cloned())
    }

    /// The names of a task's artifacts.
    #[must_use]
    pub fn artifact_names(&self, task_id: &TaskId) -> Vec<String> {
        let of_task = |books: &Books| {
            books.artifacts.keys().filter(|(task, _)| task == task_id).map(|(_, name)| name.clone()).collect()
        };
        self.shared.look(of_task)
    }

    /// What readers get under a name, however it is stored; nothing if nothing was uploaded.
    ///
    /// # Panics
    /// It says to be gzip, and is not.
    #[must_use]
    pub fn content(&self, task_id: &TaskId, name: &str) -> Vec<u8> {
        let Some(artifact) = self.artifact(task_id, name) else { return Vec::new() };
        let stored = artifact.content.unwrap_or_default();
        if artifact.created["contentEncoding"] != "gzip" {
            return stored.into();
        }
        let mut content = Vec::new();
        flate2::read::MultiGzDecoder::new(&*stored).read_to_end(&mut content).expect("it is gzip");
        content
    }

    /// The same as text.
    ///
    /// # Panics
    /// As [`content`](Self::content).
    #[must_use]
    pub fn text(&self, task_id: &TaskId, name: &str) -> String {
        String::from_utf8_lossy(&self.content(task_id, name)).into_owned()
    }

    /// All that was received until now.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.look(|books| books.received.clone())
    }

    /// The access tokens that workers got for their runs, which no task may ever see.
    #[must_use]
    pub fn issued_tokens(&self) -> Vec<String> {
        self.shared.look(|books| books.issued.clone())
    }

    /// Wait for a request whose line contains `part`, and return the first such.
    ///
    /// # Panics
    /// It takes minutes.
    pub async fn request(&self, part: &str) -> Received {
        self.wait_for(|books| books.received.iter().find(|request| request.line.contains(part)).cloned()).await
    }

    async fn wait_for<T>(&self, wanted: impl Fn(&Books) -> Option<T>) -> T {
        let mut changed = self.shared.changed.subscribe();
        let waiting = async {
            loop {
                changed.borrow_and_update();
                if let Some(found) = self.shared.look(&wanted) {
                    return found;
                }
                changed.changed().await.expect("the sender is ours");
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("waited in vain; received: {:#?}", self.lines()),
        }
    }

    async fn wait_for_self(&self, wanted: impl Fn(&Self) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        let waiting = async {
            loop {
                changed.borrow_and_update();
                if wanted(self) {
                    return;
                }
                changed.changed().await.expect("the sender is ours");
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited in vain; received: {:#?}", self.lines());
    }

    fn lines(&self) -> Vec<String> {
        self.received().into_iter().map(|request| request.line).collect()
    }
}

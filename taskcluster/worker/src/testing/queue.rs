//! A queue of a test's own, over real HTTP: it holds a few tasks, plays all the parts that a worker talks to, and can be told
//! to misbehave.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri, Path, Request, State};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{any, get, post, put};
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};
use taskcluster_core::Clock;
use taskcluster_core::clock::SystemClock;
use taskcluster_core::ids::TaskId;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::credentials_of;

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
    /// What was asked for when it was last created: `storageType` and what belongs to it.
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

#[derive(Clone, Debug)]
struct Shared {
    state: Arc<Mutex<Books>>,
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct Books {
    root_url: String,
    tasks: BTreeMap<TaskId, FakeTask>,
    artifacts: BTreeMap<(TaskId, String), FakeArtifact>,
    received: Vec<Received>,
    claim_for: Duration,
    reclaim_fails: Option<StatusCode>,
    uploads_fail: bool,
    /// How the next claims fail, and how many.
    claims_fail: (StatusCode, u32),
    /// How many of the next claims are granted without an answer that says so.
    claims_lost: u32,
    quarantined: Option<Value>,
    recent: Vec<TaskId>,
    /// Access tokens that were given to workers for their runs.
    issued: Vec<String>,
}

#[derive(Debug)]
struct FakeTask {
    definition: Value,
    state: String,
    reason: Option<String>,
    worker: Option<(String, String)>,
}

const LONG_POLL: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(120);

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

    /// What was uploaded under a name, as text; empty if nothing was.
    #[must_use]
    pub fn text(&self, task_id: &TaskId, name: &str) -> String {
        let content = self.artifact(task_id, name).and_then(|artifact| artifact.content).unwrap_or_default();
        String::from_utf8_lossy(&content).into_owned()
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

impl FakeTask {
    fn describe(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{} {reason}", self.state),
            None => self.state.clone(),
        }
    }

    fn status(&self, task_id: &TaskId) -> Value {
        let definition = &self.definition;
        let mut run = json!({
            "runId": 0,
            "state": self.state,
            "reasonCreated": "scheduled",
            "scheduled": definition["created"],
        });
        if let Some((group, id)) = &self.worker {
            run["workerGroup"] = json!(group);
            run["workerId"] = json!(id);
        }
        if let Some(reason) = &self.reason {
            run["reasonResolved"] = json!(reason);
        }
        json!({
            "taskId": task_id,
            "provisionerId": definition["provisionerId"],
            "workerType": definition["workerType"],
            "taskQueueId": definition["taskQueueId"],
            "schedulerId": definition["schedulerId"],
            "projectId": definition["projectId"],
            "taskGroupId": definition["taskGroupId"],
            "priority": definition["priority"],
            "deadline": definition["deadline"],
            "expires": definition["expires"],
            "retriesLeft": 5,
            "state": self.state,
            "runs": [run],
        })
    }
}

impl Shared {
    fn look<T>(&self, read: impl FnOnce(&Books) -> T) -> T {
        read(&self.state.lock().expect("no test panics holding it"))
    }

    fn change<T>(&self, write: impl FnOnce(&mut Books) -> T) -> T {
        let out = write(&mut self.state.lock().expect("no test panics holding it"));
        self.changed.send_modify(|count| *count += 1);
        out
    }
}

fn router(shared: Shared) -> Router {
    let queue = Router::new()
        .route("/claim-work/{queue}", post(claim_work))
        .route("/task/{task}/status", get(status))
        .route("/tasks/status", post(statuses))
        .route("/task/{task}/runs/{run}/claim", post(claim_task))
        .route("/task/{task}/runs/{run}/reclaim", post(reclaim))
        .route("/task/{task}/runs/{run}/completed", post(completed))
        .route("/task/{task}/runs/{run}/failed", post(failed))
        .route("/task/{task}/runs/{run}/exception", post(exception))
        .route("/task/{task}/runs/{run}/artifacts/{*name}", post(create_artifact))
        .route("/task/{task}/artifacts/{*name}", get(latest_artifact))
        .route("/task/{task}/artifact-content/{*name}", get(artifact_content))
        .route("/task-queues/{queue}/claimed", get(claimed))
        .route("/provisioners/{p}/worker-types/{w}/workers/{group}/{id}", get(worker).put(quarantine));
    Router::new()
        .nest("/api/queue/v1", queue)
        .route("/content/{task}/{*name}", put(upload).get(download))
        .route("/api/echo/v1/{*rest}", any(echo))
        .layer(DefaultBodyLimit::disable())
        .layer(axum::middleware::from_fn_with_state(shared.clone(), record))
        .with_state(shared)
}

/// Note every request before it is answered.
async fn record(State(shared): State<Shared>, request: Request, next: axum::middleware::Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 64 * 1024 * 1024).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    let line = format!("{} {}", parts.method, uri.path_and_query().map_or("", |path| path.as_str()));
    let received = Received { line, headers: parts.headers.clone(), body: body.clone() };
    shared.change(|books| books.received.push(received));
    next.run(Request::from_parts(parts, body.into())).await
}

fn refuse(status: StatusCode, code: &str) -> Response {
    (status, Json(json!({"code": code, "message": "as the test wants it", "requestInfo": {}}))).into_response()
}

fn conflict() -> Response {
    refuse(StatusCode::CONFLICT, "RequestConflict")
}

fn not_found() -> Response {
    refuse(StatusCode::NOT_FOUND, "ResourceNotFound")
}

impl Books {
    /// Where the content of an artifact is, whatever its name looks like.
    fn content_url(&self, task_id: &TaskId, name: &str) -> String {
        let mut url = url::Url::parse(&self.root_url).expect("it is one");
        url.path_segments_mut().expect("it is not opaque").extend(["content", &task_id.to_string(), name]);
        url.into()
    }

    fn claim(&mut self, task_id: &TaskId, with_task: bool) -> Value {
        let task = &self.tasks[task_id];
        let until = SystemClock.now() + self.claim_for;
        let mut scopes = vec![
            format!("queue:reclaim-task:{task_id}/0"),
            format!("queue:resolve-task:{task_id}/0"),
            format!("queue:create-artifact:{task_id}/0"),
        ];
        let own = task.definition["scopes"].as_array().into_iter().flatten();
        scopes.extend(own.filter_map(Value::as_str).map(str::to_owned));
        let credentials = credentials_of(&format!("task-client/{task_id}/0"), &scopes, until);
        self.issued.push(credentials.access_token.expose().to_owned());
        let (group, id) = task.worker.clone().unwrap_or_default();
        let mut claim = json!({
            "status": task.status(task_id),
            "runId": 0,
            "workerGroup": group,
            "workerId": id,
            "takenUntil": until,
            "credentials": {
                "clientId": credentials.client_id,
                "accessToken": credentials.access_token.expose(),
                "certificate": credentials.certificate.map(|certificate| certificate.to_json()),
            },
        });
        if with_task {
            claim["task"] = task.definition.clone();
        }
        claim
    }
}

async fn claim_work(State(shared): State<Shared>, Json(request): Json<Value>) -> Response {
    let wanted = request["tasks"].as_u64().unwrap_or(1) as usize;
    let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
    let worker = (text("workerGroup"), text("workerId"));
    let mut changed = shared.changed.subscribe();
    let end = tokio::time::Instant::now() + LONG_POLL;
    loop {
        changed.borrow_and_update();
        let mut taken = Vec::new();
        let refused = {
            let mut books = shared.state.lock().expect("no test panics holding it");
            if books.claims_fail.1 > 0 {
                books.claims_fail.1 -= 1;
                Some(books.claims_fail.0)
            } else {
                let pending: Vec<TaskId> = books
                    .tasks
                    .iter()
                    .filter(|(_, task)| task.state == "pending")
                    .map(|(task_id, _)| *task_id)
                    .take(wanted)
                    .collect();
                for task_id in pending {
                    let task = books.tasks.get_mut(&task_id).expect("just seen");
                    task.state = "running".to_owned();
                    task.worker = Some(worker.clone());
                    books.recent.push(task_id);
                    taken.push(books.claim(&task_id, true));
                }
                None
            }
        };
        match refused {
            None => {}
            Some(StatusCode::UNAUTHORIZED) => return refuse(StatusCode::UNAUTHORIZED, "AuthenticationFailed"),
            Some(StatusCode::FORBIDDEN) => return refuse(StatusCode::FORBIDDEN, "InsufficientScopes"),
            Some(status) => return refuse(status, "InputError"),
        }
        if !taken.is_empty() {
            let lost = shared.change(|books| {
                let lost = books.claims_lost > 0;
                books.claims_lost = books.claims_lost.saturating_sub(1);
                lost
            });
            if lost {
                return refuse(StatusCode::BAD_GATEWAY, "InternalServerError");
            }
            return Json(json!({"tasks": taken})).into_response();
        }
        if tokio::time::timeout_at(end, changed.changed()).await.is_err() {
            return Json(json!({"tasks": []})).into_response();
        }
    }
}

async fn status(State(shared): State<Shared>, Path(task_id): Path<TaskId>) -> Response {
    shared.look(|books| match books.tasks.get(&task_id) {
        Some(task) => Json(json!({"status": task.status(&task_id)})).into_response(),
        None => not_found(),
    })
}

async fn statuses(State(shared): State<Shared>, Json(request): Json<Value>) -> Response {
    let ids: Vec<TaskId> = serde_json::from_value(request["taskIds"].clone()).unwrap_or_default();
    let entry = |books: &Books, task_id: &TaskId| {
        books.tasks.get(task_id).map(|task| json!({"taskId": task_id, "status": task.status(task_id)}))
    };
    let found: Vec<Value> = shared.look(|books| ids.iter().filter_map(|task_id| entry(books, task_id)).collect());
    Json(json!({"statuses": found})).into_response()
}

async fn claim_task(State(shared): State<Shared>, Path((task_id, _run)): Path<(TaskId, u32)>) -> Response {
    Json(shared.change(|books| books.claim(&task_id, true))).into_response()
}

async fn reclaim(State(shared): State<Shared>, Path((task_id, _run)): Path<(TaskId, u32)>) -> Response {
    shared.change(|books| {
        if let Some(status) = books.reclaim_fails {
            return refuse(status, "ResourceNotFound");
        }
        match books.tasks.get(&task_id) {
            Some(task) if task.state == "running" => Json(books.claim(&task_id, false)).into_response(),
            Some(_) => conflict(),
            None => not_found(),
        }
    })
}

async fn completed(state: State<Shared>, path: Path<(TaskId, u32)>) -> Response {
    resolve(&state, &path, "completed", None)
}

async fn failed(state: State<Shared>, path: Path<(TaskId, u32)>) -> Response {
    resolve(&state, &path, "failed", None)
}

async fn exception(state: State<Shared>, path: Path<(TaskId, u32)>, Json(request): Json<Value>) -> Response {
    resolve(&state, &path, "exception", request["reason"].as_str())
}

fn resolve(shared: &Shared, (task_id, _run): &(TaskId, u32), state: &str, reason: Option<&str>) -> Response {
    shared.change(|books| match books.tasks.get_mut(task_id) {
        Some(task) if task.state == "running" => {
            task.state = state.to_owned();
            task.reason = reason.map(str::to_owned);
            Json(json!({"status": task.status(task_id)})).into_response()
        }
        Some(_) => conflict(),
        None => not_found(),
    })
}

async fn create_artifact(
    State(shared): State<Shared>,
    Path((task_id, _run, name)): Path<(TaskId, u32, String)>,
    Json(request): Json<Value>,
) -> Response {
    shared.change(|books| {
        let Some(task) = books.tasks.get(&task_id) else { return not_found() };
        let is_name = name.len() <= 1024 && name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !is_name {
            return refuse(StatusCode::BAD_REQUEST, "InputError");
        }
        if task.state != "running" && task.state != "exception" {
            return conflict();
        }
        let mut answer = json!({"storageType": request["storageType"]});
        if request["storageType"] == "s3" {
            answer["putUrl"] = json!(books.content_url(&task_id, &name));
            answer["expires"] = json!(SystemClock.now() + Duration::from_secs(900));
            answer["contentType"] = request["contentType"].clone();
        }
        books.artifacts.entry((task_id, name)).or_default().created = request;
        Json(answer).into_response()
    })
}

async fn upload(State(shared): State<Shared>, Path((task_id, name)): Path<(TaskId, String)>, body: Bytes) -> Response {
    shared.change(|books| {
        if books.uploads_fail {
            return StatusCode::FORBIDDEN.into_response();
        }
        match books.artifacts.get_mut(&(task_id, name)) {
            Some(artifact) => {
                artifact.content = Some(body);
                StatusCode::OK.into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        }
    })
}

async fn latest_artifact(State(shared): State<Shared>, Path((task_id, name)): Path<(TaskId, String)>) -> Response {
    shared.look(|books| {
        let url = books.content_url(&task_id, &name);
        match books.artifacts.get(&(task_id, name)) {
            None => not_found(),
            Some(artifact) if artifact.created["storageType"] == "error" => {
                let body = json!({"reason": artifact.created["reason"], "message": "never made"});
                (StatusCode::FAILED_DEPENDENCY, Json(body)).into_response()
            }
            Some(_) => {
                let body = Json(json!({"storageType": "s3", "url": url}));
                (StatusCode::SEE_OTHER, [(header::LOCATION, url)], body).into_response()
            }
        }
    })
}

async fn artifact_content(State(shared): State<Shared>, Path((task_id, name)): Path<(TaskId, String)>) -> Response {
    shared.look(|books| {
        let url = books.content_url(&task_id, &name);
        let Some(artifact) = books.artifacts.get(&(task_id, name)) else { return not_found() };
        let body = match artifact.created["storageType"].as_str() {
            Some("error") => {
                json!({"storageType": "error", "reason": artifact.created["reason"], "message": "never made"})
            }
            _ => json!({"storageType": "s3", "url": url}),
        };
        Json(body).into_response()
    })
}

async fn download(State(shared): State<Shared>, Path((task_id, name)): Path<(TaskId, String)>) -> Response {
    shared.look(|books| {
        let artifact = books.artifacts.get(&(task_id, name));
        let Some((artifact, content)) = artifact.and_then(|artifact| Some((artifact, artifact.content.clone()?)))
        else {
            return StatusCode::NOT_FOUND.into_response();
        };
        match artifact.created["contentEncoding"].as_str() {
            Some(encoding) => ([(header::CONTENT_ENCODING, encoding)], content).into_response(),
            None => content.into_response(),
        }
    })
}

async fn claimed(State(shared): State<Shared>) -> Response {
    let entry = |(task_id, task): (&TaskId, &FakeTask)| {
        let (group, id) = task.worker.as_ref().filter(|_| task.state == "running")?;
        Some(json!({
            "taskId": task_id,
            "runId": 0,
            "task": task.definition,
            "workerGroup": group,
            "workerId": id,
            "claimed": SystemClock.now(),
        }))
    };
    let tasks: Vec<Value> = shared.look(|books| books.tasks.iter().filter_map(entry).collect());
    Json(json!({"tasks": tasks})).into_response()
}

async fn quarantine(
    state: State<Shared>,
    path: Path<(String, String, String, String)>,
    Json(request): Json<Value>,
) -> Response {
    state.change(|books| books.quarantined = Some(request));
    worker(state, path).await
}

async fn worker(
    State(shared): State<Shared>,
    Path((provisioner, worker_type, group, id)): Path<(String, String, String, String)>,
) -> Response {
    let recent: Vec<Value> =
        shared.look(|books| books.recent.iter().map(|task| json!({"taskId": task, "runId": 0})).collect());
    if recent.is_empty() {
        return not_found();
    }
    let now = SystemClock.now();
    Json(json!({
        "provisionerId": provisioner,
        "workerType": worker_type,
        "workerGroup": group,
        "workerId": id,
        "firstClaim": now,
        "expires": now + Duration::from_secs(3600),
        "recentTasks": recent,
        "actions": [],
    }))
    .into_response()
}

/// What a proxied request looked like when it arrived.
async fn echo(method: Method, OriginalUri(uri): OriginalUri, headers: HeaderMap, body: Bytes) -> Response {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let body = json!({
        "method": method.as_str(),
        "path": uri.to_string(),
        "authorization": authorization,
        "body": String::from_utf8_lossy(&body),
    });
    (StatusCode::CREATED, [("x-echo", "first"), ("x-other", "second")], Json(body)).into_response()
}

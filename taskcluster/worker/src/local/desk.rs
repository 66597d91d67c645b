//! A queue of one task, in front of a deployment.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use taskcluster_core::Clock;
use taskcluster_core::clock::SystemClock;
use taskcluster_core::credentials::Credentials;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{Timestamp, days, hours};
use taskcluster_core::transport::{Body, Transport, TransportError, TransportErrorKind};

use super::keeping;
use crate::outcome::{Outcome, Reason};

/// What is known of the one task.
#[derive(Debug)]
pub(super) struct Desk {
    task_id: TaskId,
    definition: Value,
    credentials: Option<Credentials>,
    folder: PathBuf,
    through: Transport,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    claimed: bool,
    outcome: Option<Outcome>,
    kept: Vec<PathBuf>,
    /// Names of the artifacts for which a place was given out.
    places: Vec<String>,
}

/// Where artifacts are put: a host that exists nowhere.
const STORAGE: &str = "http://artifacts.invalid/";

/// How requests travel that are not about the run, unless somebody says otherwise.
pub(super) fn default_transport() -> Transport {
    // The caller's own default is HTTP, which needs no root URL to be had.
    let caller = taskcluster_core::Caller::builder("http://localhost").build();
    match caller {
        Ok(caller) => caller.transport().clone(),
        Err(error) => {
            let message = error.to_string();
            Transport::new(tower::service_fn(move |_: Request<Body>| {
                let error = TransportError::new(TransportErrorKind::Interrupted, message.clone());
                async move { Err::<Response<Body>, _>(error) }
            }))
        }
    }
}

/// Calls about the task come to the desk, others pass.
pub(super) fn transport(desk: Arc<Desk>) -> Transport {
    Transport::new(tower::service_fn(move |request: Request<Body>| {
        let desk = desk.clone();
        async move { desk.answer(request).await }
    }))
}

impl Desk {
    pub(super) fn new(
        task_id: TaskId,
        definition: Value,
        credentials: Option<Credentials>,
        folder: PathBuf,
        through: Transport,
    ) -> Self {
        Self { task_id, definition, credentials, folder, through, books: Mutex::default() }
    }

    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.books().outcome
    }

    pub(super) fn kept(&self) -> Vec<PathBuf> {
        self.books().kept.clone()
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().expect("nothing panics holding it")
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let uri = request.uri().to_string();
        if let Some(number) = uri.strip_prefix(STORAGE) {
            let is_gzip = request.headers().get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
            return Ok(self.keep(number, request.into_body(), is_gzip).await);
        }
        let path = request.uri().path().to_owned();
        let Some(call) = path.rsplit_once("/api/queue/v1/").map(|(_, call)| call) else {
            return self.pass(request).await;
        };
        let own_run = format!("task/{}/runs/0/", self.task_id);
        match (request.method(), call) {
            (&Method::POST, call) if call.starts_with("claim-work/") => Ok(json_answer(&self.claim_work())),
            (&Method::POST, "tasks/status") => Ok(json_answer(&json!({
                "statuses": [{"taskId": self.task_id, "status": self.status()}]
            }))),
            (&Method::POST, call) if call.starts_with(&own_run) => {
                let what = call[own_run.len()..].to_owned();
                let Ok(body) = request.into_body().collect(1 << 20).await else {
                    return Ok(answer(StatusCode::BAD_REQUEST, "the request broke off".to_owned()));
                };
                // Most calls about a run say nothing but their name.
                let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                Ok(self.run_call(&what, &body))
            }
            // There is no such worker, so nothing is left of a former life.
            (&Method::GET, call) if call.starts_with("provisioners/") => Ok(not_found()),
            _ => self.pass(request).await,
        }
    }

    /// What is not about this run: as the deployment has it, for whoever the task may be there.
    async fn pass(&self, mut request: Request<Body>) -> Result<Response<Body>, TransportError> {
        if self.credentials.is_none() {
            // Anybody gets more than somebody whom nobody knows.
            request.headers_mut().remove(header::AUTHORIZATION);
        }
        self.through.send(request).await
    }

    fn claim_work(&self) -> Value {
        let first = !std::mem::replace(&mut self.books().claimed, true);
        let tasks = if first { vec![self.claim()] } else { Vec::new() };
        json!({"tasks": tasks})
    }

    fn claim(&self) -> Value {
        let now = SystemClock.now();
        json!({
            "status": self.status(),
            "runId": 0,
            "workerGroup": "local",
            "workerId": "desk",
            "takenUntil": now + hours(1),
            "credentials": self.credentials_until(now + hours(2)),
            "task": self.definition,
        })
    }

    /// Credentials for the run: the caller's, cut to the task's scopes, or some that nobody knows.
    fn credentials_until(&self, expiry: Timestamp) -> Value {
        let scopes: Vec<String> = serde_json::from_value(self.definition["scopes"].clone()).unwrap_or_default();
        let nobody = || Credentials::new("local", "nobody-knows-this-token");
        let given = self.credentials.clone().unwrap_or_else(nobody);
        let start = SystemClock.now() - std::time::Duration::from_secs(60);
        let issued = given.temporary(&scopes, start, expiry, None);
        let used = issued.unwrap_or(given);
        let certificate = used.certificate.as_ref().map(|certificate| certificate.to_json()).unwrap_or_default();
        json!({"clientId": used.client_id, "accessToken": used.access_token.expose(), "certificate": certificate})
    }

    fn status(&self) -> Value {
        let definition = &self.definition;
        let mut status = json!({
            "taskId": self.task_id,
            "retriesLeft": 0,
            "state": "running",
            "runs": [{
                "runId": 0, "state": "running", "reasonCreated": "scheduled", "scheduled": definition["created"],
                "workerGroup": "local", "workerId": "desk",
            }],
        });
        for name in [
            "provisionerId",
            "workerType",
            "taskQueueId",
            "schedulerId",
            "projectId",
            "taskGroupId",
            "priority",
            "deadline",
            "expires",
        ] {
            status[name] = definition[name].clone();
        }
        status
    }

    fn run_call(&self, what: &str, body: &Value) -> Response<Body> {
        let outcome = match what {
            "reclaim" => return json_answer(&self.claim()),
            "completed" => Outcome::Completed,
            "failed" => Outcome::Failed,
            "exception" => Outcome::Exception(reason(body["reason"].as_str().unwrap_or_default())),
            _ => match what.strip_prefix("artifacts/") {
                Some(name) => return self.create_artifact(name, body),
                None => return not_found(),
            },
        };
        self.books().outcome.get_or_insert(outcome);
        json_answer(&json!({"status": self.status()}))
    }

    fn create_artifact(&self, name: &str, body: &Value) -> Response<Body> {
        let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned();
        let mut answer = json!({"storageType": body["storageType"]});
        if body["storageType"] == "s3" {
            let mut books = self.books();
            answer["putUrl"] = json!(format!("{STORAGE}{}", books.places.len()));
            answer["expires"] = json!(SystemClock.now() + days(1));
            answer["contentType"] = body["contentType"].clone();
            books.places.push(name);
        }
        json_answer(&answer)
    }

    async fn keep(&self, number: &str, body: Body, is_gzip: bool) -> Response<Body> {
        let name = number.parse().ok().and_then(|number: usize| self.books().places.get(number).cloned());
        let Some(name) = name else { return not_found() };
        let place = keeping::place(&self.folder, &name);
        match keeping::write(&place, body, is_gzip).await {
            Ok(()) => {
                let mut books = self.books();
                books.kept.retain(|kept| *kept != place);
                books.kept.push(place);
                answer(StatusCode::OK, String::new())
            }
            // Whoever uploads says so. It is no use to try again.
            Err(error) => {
                let text = format!("{}: {error}", place.display());
                answer(StatusCode::PAYLOAD_TOO_LARGE, text)
            }
        }
    }
}

fn reason(word: &str) -> Reason {
    match word {
        "malformed-payload" => Reason::MalformedPayload,
        "worker-shutdown" => Reason::WorkerShutdown,
        "intermittent-task" => Reason::IntermittentTask,
        _ => Reason::InternalError,
    }
}

fn json_answer(value: &Value) -> Response<Body> {
    let mut answer = answer(StatusCode::OK, value.to_string());
    let json = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

fn not_found() -> Response<Body> {
    let mut answer = json_answer(&json!({"code": "ResourceNotFound", "message": "there is only the one task"}));
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
}

fn answer(status: StatusCode, text: String) -> Response<Body> {
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = status;
    answer
}

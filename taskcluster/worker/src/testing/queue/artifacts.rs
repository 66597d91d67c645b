//! Artifacts: what runs create, upload, and get.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Json, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use taskcluster_core::Clock;
use taskcluster_core::clock::SystemClock;
use taskcluster_core::ids::TaskId;

use super::books::Shared;
use super::routes::{conflict, not_found, refuse};

pub(super) async fn create_artifact(
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

pub(super) async fn upload(
    State(shared): State<Shared>,
    Path((task_id, name)): Path<(TaskId, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    while_held(&shared).await;
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|encoding| encoding.to_str().ok());
    shared.change(|books| {
        if books.uploads_fail {
            return StatusCode::FORBIDDEN.into_response();
        }
        match books.artifacts.get_mut(&(task_id, name)) {
            Some(artifact) => {
                artifact.content = Some(body);
                if let Some(encoding) = encoding {
                    artifact.created["contentEncoding"] = json!(encoding);
                }
                StatusCode::OK.into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        }
    })
}

/// Wait as long as the test wants uploads to wait.
async fn while_held(shared: &Shared) {
    let mut changed = shared.changed.subscribe();
    let _waiting = Waiting::new(shared);
    loop {
        changed.borrow_and_update();
        if !shared.look(|books| books.uploads_held) || changed.changed().await.is_err() {
            return;
        }
    }
}

/// An upload that is held, until this is dropped, which it is when the worker hangs up as well.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.change(|books| books.uploads_waiting += 1);
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.change(|books| books.uploads_waiting -= 1);
    }
}

pub(super) async fn latest_artifact(
    State(shared): State<Shared>,
    Path((task_id, name)): Path<(TaskId, String)>,
) -> Response {
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

pub(super) async fn artifact_content(
    State(shared): State<Shared>,
    Path((task_id, name)): Path<(TaskId, String)>,
) -> Response {
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

pub(super) async fn download(State(shared): State<Shared>, Path((task_id, name)): Path<(TaskId, String)>) -> Response {
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

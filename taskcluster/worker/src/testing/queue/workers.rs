//! What the queue knows of workers.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};
use taskcluster_core::Clock;
use taskcluster_core::clock::SystemClock;

use super::books::Shared;
use super::routes::not_found;

/// The queue remembers no more of a worker's claims.
const MOST_RECENT: usize = 20;

pub(super) async fn quarantine(
    state: State<Shared>,
    path: Path<(String, String, String, String)>,
    Json(request): Json<Value>,
) -> Response {
    state.change(|books| books.quarantined = Some(request));
    worker(state, path).await
}

pub(super) async fn worker(
    State(shared): State<Shared>,
    Path((provisioner, worker_type, group, id)): Path<(String, String, String, String)>,
) -> Response {
    let recent: Vec<Value> = shared.look(|books| {
        let last = books.recent.len().saturating_sub(MOST_RECENT);
        books.recent[last..].iter().map(|task| json!({"taskId": task, "runId": 0})).collect()
    });
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

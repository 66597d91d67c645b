//! Runs: claimed, kept, resolved.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Json, Response};
use http::StatusCode;
use serde_json::{Value, json};
use taskcluster_core::Clock;
use taskcluster_core::clock::SystemClock;
use taskcluster_core::ids::TaskId;

use super::books::{Books, FakeTask, Shared};
use super::routes::{conflict, not_found, refuse};

const LONG_POLL: Duration = Duration::from_secs(5);

pub(super) async fn claim_work(State(shared): State<Shared>, Json(request): Json<Value>) -> Response {
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

pub(super) async fn claim_task(State(shared): State<Shared>, Path((task_id, _run)): Path<(TaskId, u32)>) -> Response {
    Json(shared.change(|books| books.claim(&task_id, true))).into_response()
}

pub(super) async fn reclaim(State(shared): State<Shared>, Path((task_id, _run)): Path<(TaskId, u32)>) -> Response {
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

pub(super) async fn completed(state: State<Shared>, path: Path<(TaskId, u32)>) -> Response {
    resolve(&state, &path, "completed", None)
}

pub(super) async fn failed(state: State<Shared>, path: Path<(TaskId, u32)>) -> Response {
    resolve(&state, &path, "failed", None)
}

pub(super) async fn exception(state: State<Shared>, path: Path<(TaskId, u32)>, Json(request): Json<Value>) -> Response {
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

pub(super) async fn definition(State(shared): State<Shared>, Path(task_id): Path<TaskId>) -> Response {
    shared.look(|books| match books.tasks.get(&task_id) {
        Some(task) => Json(&task.definition).into_response(),
        None => not_found(),
    })
}

pub(super) async fn status(State(shared): State<Shared>, Path(task_id): Path<TaskId>) -> Response {
    shared.look(|books| match books.tasks.get(&task_id) {
        Some(task) => Json(json!({"status": task.status(&task_id)})).into_response(),
        None => not_found(),
    })
}

pub(super) async fn statuses(State(shared): State<Shared>, Json(request): Json<Value>) -> Response {
    let ids: Vec<TaskId> = serde_json::from_value(request["taskIds"].clone()).unwrap_or_default();
    let entry = |books: &Books, task_id: &TaskId| {
        books.tasks.get(task_id).map(|task| json!({"taskId": task_id, "status": task.status(task_id)}))
    };
    let found: Vec<Value> = shared.look(|books| ids.iter().filter_map(|task_id| entry(books, task_id)).collect());
    Json(json!({"statuses": found})).into_response()
}

pub(super) async fn claimed(State(shared): State<Shared>) -> Response {
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

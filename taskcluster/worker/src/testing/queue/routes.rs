//! What is called where.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri, Request, State};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{any, get, post, put};
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::json;

use super::Received;
use super::artifacts::{artifact_content, create_artifact, download, latest_artifact, upload};
use super::books::Shared;
use super::runs::{
    claim_task, claim_work, claimed, completed, definition, exception, failed, reclaim, status, statuses,
};
use super::workers::{quarantine, worker};

pub(super) fn router(shared: Shared) -> Router {
    let queue = Router::new()
        .route("/claim-work/{queue}", post(claim_work))
        .route("/task/{task}", get(definition))
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

pub(super) fn refuse(status: StatusCode, code: &str) -> Response {
    (status, Json(json!({"code": code, "message": "as the test wants it", "requestInfo": {}}))).into_response()
}

pub(super) fn conflict() -> Response {
    refuse(StatusCode::CONFLICT, "RequestConflict")
}

pub(super) fn not_found() -> Response {
    refuse(StatusCode::NOT_FOUND, "ResourceNotFound")
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

//! User data of a cloud's machine, by a server that answers as its metadata service does.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::stage::{Stage, end_of, serve};

/// Version 2: whoever has no session gets nothing.
async fn begin(headers: HeaderMap) -> Response {
    match headers.get("x-aws-ec2-metadata-token-ttl-seconds") {
        Some(_) => "the-session".into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn user_data(State(data): State<Arc<Option<String>>>, headers: HeaderMap) -> Response {
    match (headers.get("x-aws-ec2-metadata-token"), &*data) {
        (Some(session), Some(data)) if session == "the-session" => data.clone().into_response(),
        (Some(session), None) if session == "the-session" => StatusCode::NOT_FOUND.into_response(),
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// Where such a service is.
async fn metadata(data: Option<String>) -> (String, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/latest/api/token", put(begin)).route("/latest/user-data", get(user_data));
    let router = router.with_state(Arc::new(data));
    (url, serve(listener, router))
}

#[tokio::test]
async fn user_data_of_a_machine_are_as_good_as_those_of_the_environment() {
    let stage = Stage::new().await;
    let (url, _server) = metadata(Some(stage.user_data().to_string())).await;
    let task_id = stage.add_task("echo READY");
    let mut worker = stage.program("run");
    let (code, text) = end_of(&stage, worker.args(["--user-data", "ec2", "--metadata-url", &url])).await;
    assert_eq!((code, stage.queue.state(&task_id).as_str()), (Some(0), "completed"), "{text}");
    assert!(stage.place("DELETE /api/provisioner/v1/secret/") < stage.place("claim-work"));
}

#[tokio::test]
async fn a_machine_without_user_data_is_no_worker() {
    let stage = Stage::new().await;
    let (url, _server) = metadata(None).await;
    let mut worker = stage.program("run");
    let (code, text) = end_of(&stage, worker.args(["--user-data", "ec2", "--metadata-url", &url])).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("error: this instance has no user data"), "{text}");
}

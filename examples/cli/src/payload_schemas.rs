//! `/schemas/…`: what the payloads of our workers may be, made of the same types as what their programs print.
//!
//! The names are those of today's deployments, where linters of tasks look for them. `generic-worker` is what they call the worker whose
//! payload the native worker has.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::routing::get;
use serde_json::Value;
use taskcluster_native_worker::NativeWorker;

/// Where the payload of the native worker is described: of old, and as it is called since there are several systems.
const NATIVE: [&str; 2] = ["/schemas/generic-worker/v1/payload.json", "/schemas/generic-worker/multiuser_posix.json"];

/// Where that of the Docker worker is.
#[cfg(feature = "docker")]
const DOCKER: &str = "/schemas/docker-worker/v1/payload.json";

/// The schemas of the workers that this build has, each with the worker's name and where it is.
pub(crate) const PLACES: &[(&str, &str)] = &[
    ("native-worker", NATIVE[0]),
    #[cfg(feature = "docker")]
    ("docker-worker", DOCKER),
];

/// Serves them, for everybody.
pub(crate) fn router() -> Router {
    let native = NativeWorker::payload_schema();
    let router = NATIVE.iter().fold(Router::new(), |router, path| serve(router, path, &native));
    #[cfg(feature = "docker")]
    let router = serve(router, DOCKER, &taskcluster_docker_worker::DockerWorker::payload_schema());
    router
}

fn serve(router: Router, path: &str, schema: &Value) -> Router {
    let schema = schema.to_string();
    let headers =
        [(header::CONTENT_TYPE, "application/json; charset=utf-8"), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    router.route(path, get(|| async move { (headers, schema).into_response() }))
}

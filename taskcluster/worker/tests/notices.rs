//! Notices of clouds, by servers that answer as theirs do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use taskcluster_core::transport::http::HttpTransport;
use taskcluster_worker::Shutdown;
use taskcluster_worker::notices::{Cloud, Watch};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Long enough for anything that comes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a cloud was asked, and whether it takes the machine away.
#[derive(Clone, Default)]
struct Metadata {
    asked: Arc<Mutex<Vec<String>>>,
    taken: CancellationToken,
}

impl Metadata {
    fn note(&self, what: String) -> usize {
        let mut asked = self.asked.lock().unwrap();
        asked.push(what);
        asked.len()
    }

    /// Watch for the notice of such a cloud, and say what it was asked.
    async fn watched(self, cloud: Cloud, router: Router<Self>) -> Vec<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = router.with_state(self.clone());
        let _server = AbortOnDropHandle::new(tokio::spawn(async move { axum::serve(listener, router).await }));
        let now = CancellationToken::new();
        let transport = HttpTransport::new().unwrap().into_transport();
        let watch = Watch::new(cloud, transport).at(&url).every(Duration::from_millis(10));
        let watching = watch.run(Shutdown::from(now.clone()));
        tokio::time::timeout(TIMEOUT, watching).await.expect("it is heard");
        assert!(now.is_cancelled());
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

#[tokio::test]
async fn a_spot_instance_that_is_taken_away_gives_its_runs_back() {
    async fn session(State(metadata): State<Metadata>, headers: HeaderMap) -> String {
        let seconds = headers["x-aws-ec2-metadata-token-ttl-seconds"].to_str().unwrap().to_owned();
        format!("session-{}", metadata.note(format!("session of {seconds} s")))
    }
    async fn action(State(metadata): State<Metadata>, headers: HeaderMap) -> Response {
        let session = headers["x-aws-ec2-metadata-token"].to_str().unwrap().to_owned();
        match metadata.note(session) {
            // The first session ends early.
            2 => StatusCode::UNAUTHORIZED.into_response(),
            4 => StatusCode::NOT_FOUND.into_response(),
            _ => r#"{"action": "terminate", "time": "2026-01-01T00:02:00Z"}"#.into_response(),
        }
    }
    let router = Router::new()
        .route("/latest/api/token", put(session))
        .route("/latest/meta-data/spot/instance-action", get(action));
    let asked = Metadata::default().watched(Cloud::Ec2, router).await;
    assert_eq!(asked, ["session of 21600 s", "session-1", "session of 21600 s", "session-3", "session-3"]);
}

#[tokio::test]
async fn a_preempted_instance_gives_its_runs_back_as_soon_as_it_is_told() {
    async fn preempted(State(metadata): State<Metadata>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
        assert_eq!(headers["metadata-flavor"], "Google");
        metadata.note(query.clone().unwrap_or_default());
        if query.is_none() {
            metadata.taken.cancel();
            return ([("etag", "a1")], "FALSE").into_response();
        }
        metadata.taken.cancelled().await;
        ([("etag", "b2")], "TRUE").into_response()
    }
    let router = Router::new().route("/computeMetadata/v1/instance/preempted", get(preempted));
    let asked = Metadata::default().watched(Cloud::Gcp, router).await;
    assert_eq!(asked, ["", "wait_for_change=true&timeout_sec=60&last_etag=a1"]);
}

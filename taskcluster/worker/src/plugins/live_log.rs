//! The log of a run while it runs, `public/logs/live.log`.
//!
//! One listener per worker serves the logs of all its runs, straight from the files, each below a secret of its own. While a
//! run is under way the artifact refers to that URL; when it has ended, the artifact becomes a link to the backing log.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use http::StatusCode;
use http::header;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::context::TaskContext;
use crate::error::{Error, Result};
use crate::log::TaskLog;
use crate::outcome::Outcome;
use crate::payload::{Payload, PayloadPart};
use crate::plugin::{Plugin, TaskPlugin};
use crate::plugins::task_log::{BACKING_LOG, LOG_CONTENT_TYPE};

/// Name of the artifact under which the log of a run is found at any time.
pub const LIVE_LOG: &str = "public/logs/live.log";

type Logs = Arc<Mutex<HashMap<String, TaskLog>>>;

/// Serves the logs of runs while they run. Needs [`BackingLog`](super::BackingLog) before it in the worker's list.
#[derive(Debug)]
pub struct LiveLog {
    base: Url,
    logs: Logs,
    _server: AbortOnDropHandle<()>,
}

impl LiveLog {
    /// Listen on `address`; viewers reach it at `base`, by default at the address itself.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(address: SocketAddr, base: Option<Url>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let base = match base {
            Some(base) => base,
            None => Url::parse(&format!("http://{}/", listener.local_addr()?)).map_err(io::Error::other)?,
        };
        let logs = Logs::default();
        let router = Router::new().route("/log/{secret}", get(follow)).with_state(logs.clone());
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "live logs are no longer served");
            }
        });
        Ok(Self { base, logs, _server: AbortOnDropHandle::new(server) })
    }

    /// What it reads of the payload.
    #[must_use]
    pub fn payload_part() -> PayloadPart {
        PayloadPart::of::<LiveLogPayload>()
    }
}

async fn follow(State(logs): State<Logs>, Path(secret): Path<String>) -> Response {
    let log = logs.lock().expect("nothing panics holding it").get(&secret).cloned();
    let Some(log) = log else { return (StatusCode::NOT_FOUND, "no such log\n").into_response() };
    let follower = match log.follow() {
        Ok(follower) => follower,
        Err(error) => {
            tracing::warn!(%error, "cannot read a log");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let chunks = stream::try_unfold(follower, |mut follower| async move {
        Ok::<_, io::Error>(follower.next().await?.map(|chunk| (chunk, follower)))
    });
    let headers = [
        (header::CONTENT_TYPE, LOG_CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-store"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Transfer-Encoding"),
    ];
    (headers, Body::from_stream(chunks)).into_response()
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct LiveLogPayload {
    features: LiveLogFeatures,
}

/// What the worker adds to the task.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct LiveLogFeatures {
    /// Whether the log can be read while the task runs.
    live_log: bool,
}

impl Default for LiveLogFeatures {
    fn default() -> Self {
        Self { live_log: true }
    }
}

impl Plugin for LiveLog {
    fn name(&self) -> &'static str {
        "live-log"
    }

    fn payload(&self) -> PayloadPart {
        Self::payload_part()
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        task.reserve_artifact(LIVE_LOG).expect("the task has not named its artifacts yet");
        let secret = crate::secret_segment();
        let url = self.base.join(&format!("log/{secret}"));
        Box::new(TaskLiveLog { task: task.clone(), logs: self.logs.clone(), secret, url, enabled: true })
    }
}

struct TaskLiveLog {
    task: Arc<TaskContext>,
    logs: Logs,
    secret: String,
    url: Result<Url, url::ParseError>,
    enabled: bool,
}

#[async_trait]
impl TaskPlugin for TaskLiveLog {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        self.enabled = payload.part::<LiveLogPayload>()?.features.live_log;
        if !self.enabled {
            return Ok(());
        }
        let url = self.url.as_ref().map_err(|error| Error::worker_caused("the live log has no URL", *error))?;
        self.logs.lock().expect("nothing panics holding it").insert(self.secret.clone(), self.task.log().clone());
        // The backing log will be there in any case, so this is not worth losing the run.
        if let Err(error) = self.task.create_reference_artifact(LIVE_LOG, url, LOG_CONTENT_TYPE).await {
            self.task.log().warn(format!("the log cannot be read while the task runs: {}", error.reasons().join("; ")));
        }
        Ok(())
    }

    async fn finished(&mut self, _outcome: &Outcome) -> Result<()> {
        if self.enabled {
            self.task.create_link_artifact(LIVE_LOG, BACKING_LOG, LOG_CONTENT_TYPE).await?;
        }
        Ok(())
    }

    async fn dispose(&mut self) {
        self.logs.lock().expect("nothing panics holding it").remove(&self.secret);
    }
}

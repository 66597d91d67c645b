//! The log of a run while it runs, by default `public/logs/live.log`.
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
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::context::TaskContext;
use crate::error::{Error, Result};
use crate::log::TaskLog;
use crate::outcome::Outcome;
use crate::payload::{Payload, PayloadForm, PayloadPart};
use crate::plugin::{Plugin, TaskPlugin};
use crate::plugins::task_log::{BACKING_LOG, LOG_CONTENT_TYPE};

/// Name of the artifact under which the log of a run is found at any time, where the payload does not say another.
pub const LIVE_LOG: &str = "public/logs/live.log";

type Logs = Arc<Mutex<HashMap<String, TaskLog>>>;

/// Serves the logs of runs while they run. Needs [`BackingLog`](super::BackingLog) before it in the worker's list.
#[derive(Debug)]
pub struct LiveLog {
    form: PayloadForm<LiveLogSettings>,
    base: Url,
    logs: Logs,
    _server: AbortOnDropHandle<()>,
}

/// What a payload says of the log that can be read while the task runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveLogSettings {
    /// Name of the artifact; `None` if the log is not to be read meanwhile.
    pub artifact: Option<String>,
    /// The artifact that holds the whole log once the run has ended, if any does.
    pub backing: Option<String>,
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
        let form = Self::default_form();
        Ok(Self { form, base, logs, _server: AbortOnDropHandle::new(server) })
    }

    /// The settings stand in the payload as `P` says. Default: a flag, `features.liveLog`.
    #[must_use]
    pub fn reading<P: DeserializeOwned + JsonSchema + Into<LiveLogSettings>>(mut self) -> Self {
        self.form = PayloadForm::of::<P>();
        self
    }

    /// What it reads of the payload, if it was not told otherwise.
    #[must_use]
    pub fn payload_part() -> PayloadPart {
        Self::default_form().part()
    }

    fn default_form() -> PayloadForm<LiveLogSettings> {
        PayloadForm::of::<LiveLogPayload>()
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

impl From<LiveLogPayload> for LiveLogSettings {
    fn from(payload: LiveLogPayload) -> Self {
        Self { artifact: payload.features.live_log.then(|| LIVE_LOG.to_owned()), backing: Some(BACKING_LOG.to_owned()) }
    }
}

impl Plugin for LiveLog {
    fn name(&self) -> &'static str {
        "live-log"
    }

    fn payload(&self) -> PayloadPart {
        self.form.part()
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        let secret = crate::secret_segment();
        let url = self.base.join(&format!("log/{secret}"));
        let (task, form, logs) = (task.clone(), self.form.clone(), self.logs.clone());
        Box::new(TaskLiveLog { task, form, logs, secret, url, settings: None })
    }
}

struct TaskLiveLog {
    task: Arc<TaskContext>,
    form: PayloadForm<LiveLogSettings>,
    logs: Logs,
    secret: String,
    url: Result<Url, url::ParseError>,
    /// Known once the payload was read.
    settings: Option<LiveLogSettings>,
}

#[async_trait]
impl TaskPlugin for TaskLiveLog {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        let settings = self.settings.insert(self.form.read(payload)?);
        let Some(name) = &settings.artifact else { return Ok(()) };
        self.task.reserve_artifact(name)?;
        let url = self.url.as_ref().map_err(|error| Error::worker_caused("the live log has no URL", *error))?;
        self.logs.lock().expect("nothing panics holding it").insert(self.secret.clone(), self.task.log().clone());
        // The backing log will be there in any case, so this is not worth losing the run.
        if let Err(error) = self.task.create_reference_artifact(name, url, LOG_CONTENT_TYPE).await {
            self.task.log().warn(format!("the log cannot be read while the task runs: {}", error.reasons().join("; ")));
        }
        Ok(())
    }

    async fn finished(&mut self, _outcome: &Outcome) -> Result<()> {
        match &self.settings {
            Some(LiveLogSettings { artifact: Some(name), backing: Some(backing) }) => {
                self.task.create_link_artifact(name, backing, LOG_CONTENT_TYPE).await
            }
            // The payload could not be read: the log that says so is where people look for it.
            None => self.task.create_link_artifact(LIVE_LOG, BACKING_LOG, LOG_CONTENT_TYPE).await,
            Some(_) => Ok(()),
        }
    }

    async fn dispose(&mut self) {
        self.logs.lock().expect("nothing panics holding it").remove(&self.secret);
    }
}

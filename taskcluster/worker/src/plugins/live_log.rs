//! The log of a run while it runs, by default `public/logs/live.log`.
//!
//! One listener per worker serves the logs of all its runs, straight from the files, each below a secret of its own.
//! Nothing runs for a log that nobody reads, and the task never waits for those who do: they have a thread of their own.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::DropGuard;

mod answer;
mod connections;
mod range;

use super::door::{Base, Entrance};
use crate::context::TaskContext;
use crate::error::Result;
use crate::log::TaskLog;
use crate::outcome::Outcome;
use crate::payload::{Payload, PayloadForm, PayloadPart};
use crate::plugin::{Plugin, TaskPlugin};
use crate::plugins::shelf::Shelf;
use crate::plugins::task_log::{BACKING_LOG, LOG_CONTENT_TYPE};

/// Name of the artifact under which the log of a run is found at any time, where the payload does not say another.
pub const LIVE_LOG: &str = "public/logs/live.log";

/// Serves the logs of runs while they run. Needs [`BackingLog`](super::BackingLog) before it in the worker's list.
///
/// # What a reader may ask for
/// `GET` gives the log from its beginning and follows it until it is closed. `Range: bytes=N-` follows it from N, `bytes=-N`
/// begins with the last N bytes, `bytes=N-M` is answered with what is there of that part; 416 says that the log is shorter.
/// A part that has no end yet is announced as RFC 8673 has it: `Content-Range: bytes N-9007199254740991/*`. Pages of any
/// origin may ask: whoever knows the URL may read. An answer that breaks off without its last chunk is not the whole log.
///
/// # Who may read, and for how long
/// The URL holds 244 random bits, made anew for each run; who may read the artifact is told it. It ends with the run: from
/// then on it answers 404, like one that never was. Not 410, nor a redirect to the artifact: the worker would have to keep a
/// list of what is over, and whoever asks the queue for the artifact is led to the log at any time:
///
/// | when | the artifact is | the log is in |
/// |---|---|---|
/// | the run is under way | a reference to this worker | the worker; as far as it came a minute ago, also in the backing log |
/// | the run has ended | a link to the backing log | the backing log |
/// | the machine was lost | a reference to nowhere | the backing log, as far as it came a minute before |
///
/// The last line cannot be helped from here. A queue lets a reference become a link, but never a link a reference: an
/// artifact that leads to the worker while it lives cannot lead elsewhere once it does not. This is why the log so far is
/// kept under the name of the backing log itself: who finds the reference dead has one place to look, the usual one, as
/// `taskcluster task log` does.
#[derive(Debug)]
pub struct LiveLog {
    form: PayloadForm<LiveLogSettings>,
    base: Base,
    logs: Shelf<TaskLog>,
    _open: DropGuard,
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
    /// Readers come in there, an address or an [`Entrance`] of another kind.
    ///
    /// # Errors
    /// The address cannot be listened on, the files make no certificate, or there can be no thread to serve readers.
    pub async fn at(entrance: impl Into<Entrance>) -> io::Result<Self> {
        let (threshold, base, door) = entrance.into().build("live logs").await?;
        let logs = Shelf::default();
        let open = connections::start(threshold, answer::router(logs.clone()), door)?;
        base.known().await;
        Ok(Self { form: Self::default_form(), base, logs, _open: open })
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
        let (task, form, logs, base) = (task.clone(), self.form.clone(), self.logs.clone(), self.base.clone());
        Box::new(TaskLiveLog { task, form, logs, secret, base, settings: None })
    }
}

struct TaskLiveLog {
    task: Arc<TaskContext>,
    form: PayloadForm<LiveLogSettings>,
    logs: Shelf<TaskLog>,
    secret: String,
    base: Base,
    /// Known once the payload was read.
    settings: Option<LiveLogSettings>,
}

/// Say where the log is, when that is known. The backing log will be there in any case, so a failure is not worth losing the run.
async fn announce(task: Arc<TaskContext>, base: Base, path: String, name: String) {
    let announced = match base.join(&path).await {
        Ok(url) => task.create_reference_artifact(&name, &url, LOG_CONTENT_TYPE).await,
        Err(error) => Err(error),
    };
    if let Err(error) = announced {
        task.log().warn(format!("the log cannot be read while the task runs: {}", error.reasons().join("; ")));
    }
}

#[async_trait]
impl TaskPlugin for TaskLiveLog {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        let settings = self.settings.insert(self.form.read(payload)?);
        let Some(name) = settings.artifact.clone() else { return Ok(()) };
        self.task.reserve_artifact(&name)?;
        if !self.task.parts.live_log {
            return Ok(());
        }
        self.logs.put(&self.secret, self.task.log().clone());
        let announced = announce(self.task.clone(), self.base.clone(), format!("log/{}", self.secret), name);
        if self.base.is_known() {
            announced.await;
        } else {
            // It is over before the artifact becomes a link.
            self.task.spawn(announced);
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
        self.logs.remove(&self.secret);
    }
}

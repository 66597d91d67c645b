//! The log of a run as an artifact, by default `public/logs/live_backing.log`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::artifacts::Upload;
use crate::context::TaskContext;
use crate::error::Result;
use crate::outcome::Outcome;
use crate::payload::{Payload, PayloadForm, PayloadPart};
use crate::plugin::{Plugin, TaskPlugin};

mod keeper;

use self::keeper::Keeper;

/// Name of the artifact that holds the whole log once the run has ended, where the payload does not say another.
pub const BACKING_LOG: &str = "public/logs/live_backing.log";

/// Content type of logs.
pub(crate) const LOG_CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// How often the log so far is uploaded, if nothing else is said.
const INTERVAL: Duration = Duration::from_secs(60);

/// Uploads the log when the run has ended, however it ended, and meanwhile as far as it has come. It is stored compressed, with
/// `Content-Encoding: gzip`.
///
/// Before the end that is each minute, if the log grew, so that a machine that is lost leaves a log.
/// Of a log above 8 MiB these earlier uploads hold the first MiB and the last seven. They take nothing from the task, and one
/// that fails is told in a line of the log, once. Logs that go to the object service are uploaded at the end only, since what
/// is there cannot be replaced.
#[derive(Clone, Debug)]
pub struct BackingLog {
    form: PayloadForm<BackingLogSettings>,
    every: Option<Duration>,
}

/// What a payload says of the log that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackingLogSettings {
    /// Name of the artifact; `None` if the log is not to be kept.
    pub artifact: Option<String>,
}

impl Default for BackingLogSettings {
    fn default() -> Self {
        Self { artifact: Some(BACKING_LOG.to_owned()) }
    }
}

impl BackingLog {
    /// The settings stand in the payload as `P` says.
    #[must_use]
    pub fn reading<P: DeserializeOwned + JsonSchema + Into<BackingLogSettings>>() -> Self {
        Self { form: PayloadForm::of::<P>(), every: Some(INTERVAL) }
    }

    /// How often the log is uploaded while the run goes on; zero: not at all. Default: each minute.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = (!interval.is_zero()).then_some(interval);
        self
    }
}

impl Default for BackingLog {
    /// The payload says nothing of it.
    fn default() -> Self {
        Self::reading::<Nothing>()
    }
}

/// No property of the payload.
#[derive(Debug, Deserialize, JsonSchema)]
struct Nothing {}

impl From<Nothing> for BackingLogSettings {
    fn from(_: Nothing) -> Self {
        Self::default()
    }
}

impl Plugin for BackingLog {
    fn name(&self) -> &'static str {
        "task-log"
    }

    fn payload(&self) -> PayloadPart {
        self.form.part()
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        // What the object service has is there for good.
        let every = self.every.filter(|_| !task.parts.object_artifacts);
        let settings = BackingLogSettings::default();
        Box::new(TaskBackingLog { task: task.clone(), form: self.form.clone(), settings, every, keeper: None })
    }
}

struct TaskBackingLog {
    task: Arc<TaskContext>,
    form: PayloadForm<BackingLogSettings>,
    /// The default as long as nobody could read the payload: its author wants to see why.
    settings: BackingLogSettings,
    /// How often the log so far is uploaded, if at all.
    every: Option<Duration>,
    keeper: Option<Keeper>,
}

#[async_trait]
impl TaskPlugin for TaskBackingLog {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        let settings = self.form.read(payload)?;
        if let Some(name) = &settings.artifact {
            self.task.reserve_artifact(name)?;
            self.keeper = self.every.map(|every| Keeper::start(self.task.clone(), name.clone(), every));
        }
        self.settings = settings;
        Ok(())
    }

    async fn finished(&mut self, _outcome: &Outcome) -> Result<()> {
        if let Some(keeper) = self.keeper.take() {
            keeper.end().await;
        }
        let Some(name) = &self.settings.artifact else { return Ok(()) };
        let upload = Upload::new(self.task.log().path()).content_type(LOG_CONTENT_TYPE).gzip(true);
        self.task.upload(name, &upload).await
    }
}

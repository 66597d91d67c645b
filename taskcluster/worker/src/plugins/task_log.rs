//! The log of a run as an artifact, by default `public/logs/live_backing.log`.

use std::sync::Arc;

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

/// Name of the artifact that holds the whole log once the run has ended, where the payload does not say another.
pub const BACKING_LOG: &str = "public/logs/live_backing.log";

/// Content type of logs.
pub(crate) const LOG_CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// Uploads the log when the run has ended, however it ended.
#[derive(Clone, Debug)]
pub struct BackingLog {
    form: PayloadForm<BackingLogSettings>,
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
        Self { form: PayloadForm::of::<P>() }
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
        let settings = BackingLogSettings::default();
        Box::new(TaskBackingLog { task: task.clone(), form: self.form.clone(), settings })
    }
}

struct TaskBackingLog {
    task: Arc<TaskContext>,
    form: PayloadForm<BackingLogSettings>,
    /// The default as long as nobody could read the payload: its author wants to see why.
    settings: BackingLogSettings,
}

#[async_trait]
impl TaskPlugin for TaskBackingLog {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        let settings = self.form.read(payload)?;
        if let Some(name) = &settings.artifact {
            self.task.reserve_artifact(name)?;
        }
        self.settings = settings;
        Ok(())
    }

    async fn finished(&mut self, _outcome: &Outcome) -> Result<()> {
        let Some(name) = &self.settings.artifact else { return Ok(()) };
        let upload = Upload::new(self.task.log().path()).content_type(LOG_CONTENT_TYPE);
        self.task.upload(name, &upload).await
    }
}

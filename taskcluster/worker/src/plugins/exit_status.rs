//! `onExitStatus.retry`: failures that are expected to pass.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::context::TaskContext;
use crate::engine::{Exit, ResultSet};
use crate::error::Result;
use crate::payload::{Payload, PayloadForm, PayloadPart};
use crate::plugin::{Plugin, TaskPlugin, Verdict};

/// Judges the exit code: listed ones make the run `intermittent-task`, which the queue tries again.
#[derive(Clone, Debug)]
pub struct ExitStatus {
    form: PayloadForm<RetriedCodes>,
}

/// Exit codes after which the run is tried again.
#[derive(Clone, Debug, Default)]
pub struct RetriedCodes(pub BTreeSet<i32>);

impl ExitStatus {
    /// The codes stand in the payload as `P` says.
    #[must_use]
    pub fn reading<P: DeserializeOwned + JsonSchema + Into<RetriedCodes>>() -> Self {
        Self { form: PayloadForm::of::<P>() }
    }
}

impl Default for ExitStatus {
    /// They stand in `onExitStatus.retry`.
    fn default() -> Self {
        Self::reading::<ExitStatusPayload>()
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct ExitStatusPayload {
    on_exit_status: OnExitStatus,
}

/// What to do for particular exit codes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct OnExitStatus {
    /// Exit codes after which the run is tried again.
    #[schemars(inner(range(min = 1)))]
    retry: BTreeSet<i32>,
}

impl From<ExitStatusPayload> for RetriedCodes {
    fn from(payload: ExitStatusPayload) -> Self {
        Self(payload.on_exit_status.retry)
    }
}

impl Plugin for ExitStatus {
    fn name(&self) -> &'static str {
        "exit-status"
    }

    fn payload(&self) -> PayloadPart {
        self.form.part()
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        Box::new(TaskExitStatus { task: task.clone(), form: self.form.clone(), retry: RetriedCodes::default() })
    }
}

struct TaskExitStatus {
    task: Arc<TaskContext>,
    form: PayloadForm<RetriedCodes>,
    retry: RetriedCodes,
}

#[async_trait]
impl TaskPlugin for TaskExitStatus {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        self.retry = self.form.read(payload)?;
        Ok(())
    }

    async fn stopped(&mut self, results: &dyn ResultSet) -> Result<Verdict> {
        // What the worker killed was told about where it was killed.
        if results.exit().is_success() || *results.exit() == Exit::Killed {
            return Ok(Verdict::Good);
        }
        match results.exit().code() {
            Some(code) if self.retry.0.contains(&code) => {
                self.task
                    .log()
                    .error(format!("exit code {code} is listed in onExitStatus.retry: the task is tried again"));
                Ok(Verdict::Intermittent)
            }
            Some(_) | None => Ok(Verdict::Good),
        }
    }
}

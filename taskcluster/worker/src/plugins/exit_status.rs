//! `onExitStatus.retry`: failures that are expected to pass.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::context::TaskContext;
use crate::engine::{Exit, ResultSet};
use crate::error::Result;
use crate::payload::{Payload, PayloadPart};
use crate::plugin::{Plugin, TaskPlugin, Verdict};

/// Judges the exit code: listed ones make the run `intermittent-task`, which the queue tries again.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ExitStatus;

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

impl Plugin for ExitStatus {
    fn name(&self) -> &'static str {
        "exit-status"
    }

    fn payload(&self) -> PayloadPart {
        PayloadPart::of::<ExitStatusPayload>()
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        Box::new(TaskExitStatus { task: task.clone(), retry: BTreeSet::new() })
    }
}

struct TaskExitStatus {
    task: Arc<TaskContext>,
    retry: BTreeSet<i32>,
}

#[async_trait]
impl TaskPlugin for TaskExitStatus {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        self.retry = payload.part::<ExitStatusPayload>()?.on_exit_status.retry;
        Ok(())
    }

    async fn stopped(&mut self, results: &dyn ResultSet) -> Result<Verdict> {
        // What the worker killed was told about where it was killed.
        if results.exit().is_success() || *results.exit() == Exit::Killed {
            return Ok(Verdict::Good);
        }
        match results.exit().code() {
            Some(code) if self.retry.contains(&code) => {
                self.task
                    .log()
                    .error(format!("exit code {code} is listed in onExitStatus.retry: the task is tried again"));
                Ok(Verdict::Intermittent)
            }
            Some(_) | None => Ok(Verdict::Good),
        }
    }
}

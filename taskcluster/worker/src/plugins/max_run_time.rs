//! `maxRunTime`: how long the user's code may run.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::context::TaskContext;
use crate::engine::{ResultSet, SandboxHandle};
use crate::error::{Error, Result};
use crate::payload::{Payload, PayloadPart};
use crate::plugin::{Plugin, TaskPlugin, Verdict};

/// Ends the user's code after the seconds that the payload allows; the run is then `failed`, what it left is still uploaded. Where
/// the code has ended before and only people in shells keep the sandbox, they are sent out, and what the code came to stands.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct MaxRunTime {
    /// The most that a payload may ask for.
    pub limit: Duration,
}

impl MaxRunTime {
    /// Payloads may ask for at most `limit`.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl Default for MaxRunTime {
    /// A day.
    fn default() -> Self {
        Self::new(Duration::from_secs(24 * 60 * 60))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct MaxRunTimePayload {
    /// Seconds for which the commands may run, all together.
    #[schemars(range(min = 1))]
    max_run_time: u64,
}

impl Plugin for MaxRunTime {
    fn name(&self) -> &'static str {
        "max-run-time"
    }

    fn payload(&self) -> PayloadPart {
        PayloadPart::of::<MaxRunTimePayload>()
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        Box::new(TaskMaxRunTime { task: task.clone(), limit: self.limit, time: self.limit, timer: None })
    }
}

struct TaskMaxRunTime {
    task: Arc<TaskContext>,
    limit: Duration,
    time: Duration,
    /// Ends the timer when dropped.
    timer: Option<DropGuard>,
}

#[async_trait]
impl TaskPlugin for TaskMaxRunTime {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        self.time = Duration::from_secs(payload.part::<MaxRunTimePayload>()?.max_run_time);
        if self.time > self.limit {
            let (asked, most) = (self.time.as_secs(), self.limit.as_secs());
            return Err(Error::payload(format!(
                "payload/maxRunTime: {asked} seconds are more than the {most} that this worker allows"
            )));
        }
        Ok(())
    }

    async fn started(&mut self, _sandbox: &Arc<dyn SandboxHandle>) -> Result<()> {
        let (task, time) = (self.task.clone(), self.time);
        let end = task.clock().now() + time;
        let over = CancellationToken::new();
        self.timer = Some(over.clone().drop_guard());
        self.task.spawn(async move {
            tokio::select! {
                () = over.cancelled() => {}
                () = task.clock().sleep_until(end) => {
                    let seconds = time.as_secs();
                    task.time_is_over(format!("the task ran longer than its maxRunTime of {seconds} s"));
                }
            }
        });
        Ok(())
    }

    async fn stopped(&mut self, _results: &dyn ResultSet) -> Result<Verdict> {
        // Uploading what the code left is not its running.
        self.timer = None;
        Ok(Verdict::Good)
    }
}

//! `maxSilence`: how long the user's code may print nothing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use taskcluster_core::time::Timestamp;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::context::TaskContext;
use crate::engine::{ResultSet, SandboxHandle};
use crate::error::Result;
use crate::payload::{Payload, PayloadPart};
use crate::plugin::{Plugin, TaskPlugin, Verdict};
use crate::stop::Stop;

/// Ends the user's code once nothing was written to the log for the seconds that the payload says; the run is then `failed`, what it
/// left is still uploaded. Code that hangs costs no more than that, however long it might have run.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct MaxSilence {
    /// What holds for a payload that says nothing; `None`: it may be silent as long as it runs.
    pub usual: Option<Duration>,
}

impl MaxSilence {
    /// Payloads that say nothing get `usual`.
    #[must_use]
    pub fn new(usual: Option<Duration>) -> Self {
        Self { usual }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct MaxSilencePayload {
    /// Seconds for which the commands may print nothing.
    #[schemars(range(min = 1))]
    #[serde(default)]
    max_silence: Option<u64>,
}

impl Plugin for MaxSilence {
    fn name(&self) -> &'static str {
        "max-silence"
    }

    fn payload(&self) -> PayloadPart {
        PayloadPart::of::<MaxSilencePayload>()
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        Box::new(TaskMaxSilence { task: task.clone(), time: self.usual, watch: None })
    }
}

struct TaskMaxSilence {
    task: Arc<TaskContext>,
    time: Option<Duration>,
    /// Ends the watch when dropped.
    watch: Option<DropGuard>,
}

#[async_trait]
impl TaskPlugin for TaskMaxSilence {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        let asked = payload.part::<MaxSilencePayload>()?.max_silence.map(Duration::from_secs);
        self.time = asked.or(self.time);
        Ok(())
    }

    async fn started(&mut self, _sandbox: &Arc<dyn SandboxHandle>) -> Result<()> {
        let Some(time) = self.time else { return Ok(()) };
        let over = CancellationToken::new();
        self.watch = Some(over.clone().drop_guard());
        let (task, start) = (self.task.clone(), self.task.clock().now());
        self.task.spawn(async move {
            tokio::select! {
                () = over.cancelled() => {}
                () = silence(&task, start, time) => {
                    // Whoever looks around in a shell need not say anything.
                    if task.is_staying() {
                        return;
                    }
                    let seconds = time.as_secs();
                    task.stop(Stop::Fail(format!("the task printed nothing for its maxSilence of {seconds} s")));
                }
            }
        });
        Ok(())
    }

    async fn stopped(&mut self, _results: &dyn ResultSet) -> Result<Verdict> {
        // Uploading what the code left prints nothing.
        self.watch = None;
        Ok(Verdict::Good)
    }
}

/// Wait until nothing was written for so long. Asleep as long as it may last, however much is written meanwhile.
async fn silence(task: &TaskContext, start: Timestamp, time: Duration) {
    loop {
        let end = task.log().last_write().max(start) + time;
        if end <= task.clock().now() {
            return;
        }
        task.clock().sleep_until(end).await;
    }
}

//! What a script says with its exit code. The codes are those of the Python package `scriptworker`, whose scripts run unchanged.

use std::sync::Arc;

use async_trait::async_trait;
use taskcluster_worker::stop::Stop;
use taskcluster_worker::{Error, Plugin, Result, ResultSet, TaskContext, TaskPlugin, Verdict};

/// What an exit code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Meaning {
    /// 0: done.
    Completed,
    /// 1, and whatever is not listed: the task failed.
    Failed,
    /// 2 and 4: this worker cannot do it now. The run is given back, for the queue to try again.
    WorkerShutdown,
    /// 3: no script could ever do this.
    MalformedPayload,
    /// 5: the script or what it needs is broken.
    InternalError,
    /// 7: the failure will pass. The run is tried again.
    Intermittent,
}

impl Meaning {
    /// Of a code.
    #[must_use]
    pub fn of(code: i32) -> Self {
        match code {
            0 => Self::Completed,
            2 | 4 => Self::WorkerShutdown,
            3 => Self::MalformedPayload,
            5 => Self::InternalError,
            7 => Self::Intermittent,
            _ => Self::Failed,
        }
    }
}

/// Ends runs as the script's exit code says. To be the last plugin: what is left has been kept then.
#[derive(Debug)]
pub(crate) struct ScriptStatus;

impl Plugin for ScriptStatus {
    fn name(&self) -> &'static str {
        "script-status"
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        Box::new(TaskScriptStatus(task.clone()))
    }
}

struct TaskScriptStatus(Arc<TaskContext>);

#[async_trait]
impl TaskPlugin for TaskScriptStatus {
    async fn stopped(&mut self, results: &dyn ResultSet) -> Result<Verdict> {
        let Some(code) = results.exit().code() else { return Ok(Verdict::Good) };
        match Meaning::of(code) {
            Meaning::Completed => Ok(Verdict::Good),
            Meaning::Failed => Ok(Verdict::Failed),
            Meaning::Intermittent => {
                self.0
                    .log()
                    .error(format!("exit code {code}: the script expects this to pass, the task is tried again"));
                Ok(Verdict::Intermittent)
            }
            Meaning::MalformedPayload => {
                Err(Error::payload(format!("exit code {code}: the script cannot do what the payload says")))
            }
            Meaning::InternalError => {
                Err(Error::worker(format!("exit code {code}: the script says that it is broken")))
            }
            Meaning::WorkerShutdown => {
                self.0.log().error(format!("exit code {code}: the script cannot do this now, the task is tried again"));
                self.0.stop(Stop::WorkerShutdown);
                Ok(Verdict::Good)
            }
        }
    }
}

//! What a build's result means for the task.

use std::sync::Arc;

use async_trait::async_trait;
use taskcluster_core::chain;
use taskcluster_worker::outcome::NotOurs;
use taskcluster_worker::stop::Stop;
use taskcluster_worker::{Error, Plugin, Result, ResultSet, TaskContext, TaskPlugin, Verdict};

use crate::bridge::Bridge;
use crate::buildbot::Results;

/// Ends runs as their builds ended. To be the last plugin: artifacts have been made then.
#[derive(Debug)]
pub struct BuildVerdict {
    bridge: Bridge,
}

impl BuildVerdict {
    /// For tasks and builds of this bridge.
    #[must_use]
    pub fn new(bridge: Bridge) -> Self {
        Self { bridge }
    }
}

impl Plugin for BuildVerdict {
    fn name(&self) -> &'static str {
        "build-verdict"
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        Box::new(TaskBuildVerdict { bridge: self.bridge.clone(), task: task.clone() })
    }
}

struct TaskBuildVerdict {
    bridge: Bridge,
    task: Arc<TaskContext>,
}

#[async_trait]
impl TaskPlugin for TaskBuildVerdict {
    async fn stopped(&mut self, results: &dyn ResultSet) -> Result<Verdict> {
        let Some(code) = results.exit().code() else { return Ok(Verdict::Good) };
        let results = Results::of(code);
        match results {
            Results::Success => Ok(Verdict::Good),
            Results::Warnings | Results::Failure => Ok(Verdict::Failed),
            Results::Skipped => Err(Error::payload(
                "Buildbot has dropped the request for another one of the same builder and source: set collapseRequests=False there",
            )),
            Results::Cancelled => self.cancel().await,
            Results::Exception | Results::Retry | Results::Unknown => Err(Error::worker(format!(
                "the build ends with {results}: Buildbot itself, or what it needs, is broken"
            ))),
        }
    }
}

impl TaskBuildVerdict {
    /// Somebody has cancelled the build in Buildbot, and so meant the task.
    async fn cancel(&self) -> Result<Verdict> {
        let task = &self.task;
        match self.bridge.queue.cancel_task(&task.task_id()).await {
            Ok(_) => {
                task.log().error("the build was cancelled in Buildbot, and with it the task");
                task.stop(Stop::NotOurs(NotOurs::Cancelled));
                Ok(Verdict::Good)
            }
            Err(error) if error.is_forbidden() => {
                let why = chain(&error);
                task.log()
                    .error(format!("the build was cancelled in Buildbot; the bridge may not cancel the task: {why}"));
                Ok(Verdict::Failed)
            }
            Err(error) => {
                Err(Error::worker_caused("the build was cancelled in Buildbot, but the task cannot be", error))
            }
        }
    }
}

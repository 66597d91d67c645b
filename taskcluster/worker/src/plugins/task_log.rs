//! The log of a run as an artifact, `public/logs/live_backing.log`.

use std::sync::Arc;

use async_trait::async_trait;

use crate::artifacts::Upload;
use crate::context::TaskContext;
use crate::error::Result;
use crate::outcome::Outcome;
use crate::plugin::{Plugin, TaskPlugin};

/// Name of the artifact that holds the whole log once the run has ended.
pub const BACKING_LOG: &str = "public/logs/live_backing.log";

/// Content type of logs.
pub(crate) const LOG_CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// Uploads the log when the run has ended, however it ended.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct BackingLog;

impl Plugin for BackingLog {
    fn name(&self) -> &'static str {
        "task-log"
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        task.reserve_artifact(BACKING_LOG).expect("the task has not named its artifacts yet");
        Box::new(TaskBackingLog { task: task.clone() })
    }
}

struct TaskBackingLog {
    task: Arc<TaskContext>,
}

#[async_trait]
impl TaskPlugin for TaskBackingLog {
    async fn finished(&mut self, _outcome: &Outcome) -> Result<()> {
        let upload = Upload::new(self.task.log().path()).content_type(LOG_CONTENT_TYPE);
        self.task.upload(BACKING_LOG, &upload).await
    }
}

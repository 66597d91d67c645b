//! `env`: the environment variables of a task.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::context::TaskContext;
use crate::engine::SandboxBuilder;
use crate::error::{Error, Result};
use crate::payload::{Payload, PayloadPart};
use crate::plugin::{Plugin, TaskPlugin};

/// Sets the variables of the payload, and those that every task can rely on: `TASK_ID`, `RUN_ID`, `TASK_GROUP_ID`,
/// `TASKCLUSTER_ROOT_URL`, `TASKCLUSTER_WORKER_POOL`, `TASKCLUSTER_WORKER_GROUP`, and what the worker adds. A payload cannot
/// override the latter.
#[derive(Clone, Debug, Default)]
pub struct Env {
    added: Vec<(String, String)>,
    closed: bool,
}

impl Env {
    /// Payloads say nothing of the environment: for commands that are not the task's own, which a variable such as `LD_PRELOAD`
    /// would turn into something else.
    #[must_use]
    pub fn closed() -> Self {
        Self { closed: true, ..Self::default() }
    }

    /// Give every task this variable as well.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.added.push((name.into(), value.into()));
        self
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct EnvPayload {
    /// Environment variables of the commands.
    env: BTreeMap<String, String>,
}

impl Plugin for Env {
    fn name(&self) -> &'static str {
        "env"
    }

    fn payload(&self) -> PayloadPart {
        if self.closed { PayloadPart::empty() } else { PayloadPart::of::<EnvPayload>() }
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        Box::new(TaskEnv { task: task.clone(), plugin: self.clone(), env: BTreeMap::new() })
    }
}

struct TaskEnv {
    task: Arc<TaskContext>,
    plugin: Env,
    env: BTreeMap<String, String>,
}

#[async_trait]
impl TaskPlugin for TaskEnv {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        if self.plugin.closed {
            return Ok(()); // a property of this name is somebody else's
        }
        self.env = payload.part::<EnvPayload>()?.env;
        let bad = |name: &str, value: &str| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0');
        let reasons: Vec<String> = self
            .env
            .iter()
            .filter(|(name, value)| bad(name, value))
            .map(|(name, _)| format!("payload/env: {name:?} cannot be an environment variable with such a value"))
            .collect();
        if reasons.is_empty() { Ok(()) } else { Err(Error::Payload(reasons)) }
    }

    async fn build(&mut self, builder: &mut dyn SandboxBuilder) -> Result<()> {
        for (name, value) in &self.env {
            builder.set_env(name, value)?;
        }
        let task = &self.task;
        let identity = task.identity();
        for (name, value) in [
            ("TASK_ID", task.task_id().to_string()),
            ("RUN_ID", task.run_id().to_string()),
            ("TASK_GROUP_ID", task.task_group_id().to_string()),
            ("TASKCLUSTER_ROOT_URL", task.root_url().to_owned()),
            ("TASKCLUSTER_WORKER_POOL", identity.task_queue_id.to_string()),
            ("TASKCLUSTER_WORKER_GROUP", identity.worker_group.clone()),
        ] {
            builder.set_env(name, &value)?;
        }
        for (name, value) in &self.plugin.added {
            builder.set_env(name, value)?;
        }
        Ok(())
    }
}

//! Plugins: a feature each. A plugin knows no engine.
//!
//! A [`Plugin`] lives as long as the worker; its [`TaskPlugin`] as long as one run. The runtime calls the hooks of a run in
//! this order, plugins in the order in which the worker lists them:
//!
//! | hook | when | an error ends the run as |
//! |---|---|---|
//! | `prepare` | the payload fits the schema; all plugins and the engine at once | its variant says |
//! | `build` | the sandbox is being furnished | its variant says |
//! | `started` | the user's code runs | its variant says; the code is killed |
//! | `stopped` | the user's code has ended and no process is left | its variant says, other plugins still run |
//! | `finished` | always, also without any of the above; the log is closed | `internal-error`, unless nothing is to be reported |
//! | `dispose` | always, last; the run is resolved | (cannot fail) |
//!
//! A plugin that gives every task a variable:
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use taskcluster_worker::{Plugin, Result, SandboxBuilder, TaskContext, TaskPlugin};
//!
//! #[derive(Debug)]
//! struct Region(String);
//!
//! impl Plugin for Region {
//!     fn name(&self) -> &'static str {
//!         "region"
//!     }
//!
//!     fn task(&self, _task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
//!         Box::new(TaskRegion(self.0.clone()))
//!     }
//! }
//!
//! struct TaskRegion(String);
//!
//! #[async_trait]
//! impl TaskPlugin for TaskRegion {
//!     async fn build(&mut self, builder: &mut dyn SandboxBuilder) -> Result<()> {
//!         builder.set_env("REGION", &self.0)
//!     }
//! }
//! ```

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::context::TaskContext;
use crate::engine::{ResultSet, SandboxBuilder, SandboxHandle};
use crate::error::Result;
use crate::outcome::Outcome;
use crate::payload::{Payload, PayloadPart};

/// One feature of a worker.
pub trait Plugin: Send + Sync + fmt::Debug + 'static {
    /// A short name for logs and errors.
    fn name(&self) -> &'static str;

    /// What this plugin reads of the payload.
    fn payload(&self) -> PayloadPart {
        PayloadPart::empty()
    }

    /// Begin with a run whose payload nobody has looked at yet.
    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin>;
}

/// A plugin's part in one run. What is not overridden does nothing.
#[async_trait]
pub trait TaskPlugin: Send {
    /// Read the payload, check it, begin what is slow.
    async fn prepare(&mut self, _payload: &Payload) -> Result<()> {
        Ok(())
    }

    /// Furnish the sandbox.
    async fn build(&mut self, _builder: &mut dyn SandboxBuilder) -> Result<()> {
        Ok(())
    }

    /// The user's code has started.
    async fn started(&mut self, _sandbox: &Arc<dyn SandboxHandle>) -> Result<()> {
        Ok(())
    }

    /// The user's code has ended: take what it left, judge it.
    async fn stopped(&mut self, _results: &dyn ResultSet) -> Result<Verdict> {
        Ok(Verdict::Good)
    }

    /// How the run ends is decided and its log closed. Artifacts may still be made.
    async fn finished(&mut self, _outcome: &Outcome) -> Result<()> {
        Ok(())
    }

    /// Release what is held.
    async fn dispose(&mut self) {}
}

/// A plugin's judgement on what the user's code left. The worst of all counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Verdict {
    /// No objection.
    Good,
    /// The run failed.
    Failed,
    /// It failed in a way that the task's author expects to pass: run it again.
    Intermittent,
}

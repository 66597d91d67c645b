//! The engine: a build for each run.

use std::sync::Arc;

use async_trait::async_trait;
use taskcluster_worker::{Engine, Error, Payload, PayloadPart, Result, Sandbox, SandboxBuilder, TaskContext};

use crate::bridge::Bridge;
use crate::follow::Following;
use crate::order::Order;
use crate::payload::BuildPayload;

/// Has Buildbot build what tasks say.
#[derive(Debug)]
pub struct BuildbotEngine {
    bridge: Bridge,
}

impl BuildbotEngine {
    /// For tasks and builds of this bridge.
    #[must_use]
    pub fn new(bridge: Bridge) -> Self {
        Self { bridge }
    }
}

#[async_trait]
impl Engine for BuildbotEngine {
    fn name(&self) -> &'static str {
        "buildbot"
    }

    fn payload(&self) -> PayloadPart {
        PayloadPart::of::<BuildPayload>()
    }

    async fn prepare(&self, task: &Arc<TaskContext>, payload: &Payload) -> Result<Box<dyn SandboxBuilder>> {
        let order = Order::prepare(&self.bridge, task, &payload.part()?).await?;
        Ok(Box::new(Prepared { bridge: self.bridge.clone(), task: task.clone(), order }))
    }
}

/// An order that can be placed.
#[derive(Debug)]
struct Prepared {
    bridge: Bridge,
    task: Arc<TaskContext>,
    order: Order,
}

#[async_trait]
impl SandboxBuilder for Prepared {
    fn set_env(&mut self, _name: &str, _value: &str) -> Result<()> {
        Err(Error::Unsupported("environment variables: a build has properties"))
    }

    async fn start(self: Box<Self>) -> Result<Box<dyn Sandbox>> {
        Ok(Box::new(Following::new(self.bridge, self.task, self.order)))
    }

    async fn discard(self: Box<Self>) {}
}

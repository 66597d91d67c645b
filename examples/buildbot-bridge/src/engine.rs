//! The engine: a build for each run.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use taskcluster_worker::{Engine, Error, Identity, Payload, PayloadPart, Result, Sandbox, SandboxBuilder, TaskContext};
use tokio_util::task::AbortOnDropHandle;

use crate::bridge::Bridge;
use crate::follow::Following;
use crate::order::Order;
use crate::payload::BuildPayload;
use crate::sweep::Sweep;

/// Has Buildbot build what tasks say.
#[derive(Debug)]
pub struct BuildbotEngine {
    bridge: Bridge,
    swept_as: Option<Identity>,
    /// Ends with the engine.
    sweep: OnceLock<AbortOnDropHandle<()>>,
}

impl BuildbotEngine {
    /// For tasks and builds of this bridge.
    #[must_use]
    pub fn new(bridge: Bridge) -> Self {
        Self { bridge, swept_as: None, sweep: OnceLock::new() }
    }

    /// From the worker's start on, cancel builds that a worker of this name has ordered and whose task has ended meanwhile. Default:
    /// they go on.
    #[must_use]
    pub fn sweeping(mut self, identity: Identity) -> Self {
        self.swept_as = Some(identity);
        self
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

    /// Beside the tasks: they need not wait for a master that is away.
    async fn set_up(&self) -> Result<()> {
        if let Some(identity) = &self.swept_as {
            let sweep = Sweep::new(self.bridge.clone(), identity.clone());
            #[expect(clippy::disallowed_methods, reason = "it ends with the engine, which holds it")]
            self.sweep.get_or_init(|| AbortOnDropHandle::new(tokio::spawn(async { match sweep.run().await {} })));
        }
        Ok(())
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

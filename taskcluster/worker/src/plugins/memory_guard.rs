//! A machine that runs out of memory: one task is ended in time, rather than whatever the system picks, which may be the worker.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use taskcluster_core::time::Timestamp;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::blocking::blocking;
use crate::context::TaskContext;
use crate::engine::{ResultSet, SandboxHandle};
use crate::error::Result;
use crate::plugin::{Plugin, TaskPlugin, Verdict};
use crate::size::size;
use crate::stop::Stop;

mod machine;
mod watch;

use machine::Memory;
use watch::Watch;

/// Ends the task that holds the most memory when the machine has been short of it for a while; its run is then `failed`, what it
/// left is still uploaded. Does nothing where the engine cannot tell [what a task holds](SandboxHandle::memory).
#[derive(Clone, Debug)]
pub struct MemoryGuard {
    limits: MemoryLimits,
    watch: Arc<Mutex<Watch<Running>>>,
}

/// When a machine is short of memory: more than so much is used, *and* less than so much is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryLimits {
    /// Of all memory, in percent.
    pub max_used_percent: u8,
    /// In bytes.
    pub min_available: u64,
    /// For how long, before a task is ended.
    pub patience: Duration,
}

impl MemoryLimits {
    /// Short of memory is a machine that uses more than this of it.
    #[must_use]
    pub fn with_max_used_percent(mut self, percent: u8) -> Self {
        self.max_used_percent = percent;
        self
    }

    /// Short of memory is a machine that has fewer bytes left.
    #[must_use]
    pub fn with_min_available(mut self, bytes: u64) -> Self {
        self.min_available = bytes;
        self
    }

    /// It may be short of memory for so long.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl Default for MemoryLimits {
    /// More than 90 % used, less than 500 MiB available, for five seconds.
    fn default() -> Self {
        Self { max_used_percent: 90, min_available: 500 << 20, patience: Duration::from_secs(5) }
    }
}

impl MemoryGuard {
    /// Tasks are ended beyond these limits.
    #[must_use]
    pub fn new(limits: MemoryLimits) -> Self {
        Self { limits, watch: Arc::default() }
    }

    fn watch(&self) -> MutexGuard<'_, Watch<Running>> {
        self.watch.lock().expect("nothing panics holding it")
    }

    /// Look at the machine again and again, until the run is over. Each task's watch may end any task: it is one decision.
    async fn look_after(self, task: Arc<TaskContext>) {
        loop {
            let (guard, now) = (self.clone(), task.clock().now());
            if let Err(error) = blocking(move || guard.look(now)).await {
                tracing::warn!(%error, "memory cannot be watched");
                return;
            }
            task.clock().sleep_until(now + INTERVAL).await;
        }
    }

    fn look(&self, now: Timestamp) -> std::io::Result<()> {
        let memory = Memory::of_machine()?;
        let short = self.watch().short_for(memory.is_short(&self.limits), self.limits.patience, now);
        let Some((since, running)) = short else { return Ok(()) };
        // Nobody who comes or goes waits for this, which takes its time.
        let held = running.into_iter().map(|(number, running)| (running.sandbox.memory().unwrap_or(0), number));
        let Some((held, number)) = held.max().filter(|(held, _)| *held > 0) else { return Ok(()) };
        if let Some(victim) = self.watch().take(number, since) {
            victim.task.stop(Stop::Fail(format!(
                "the machine runs out of memory ({memory}), and this task holds the most of it, {}",
                size(held)
            )));
        }
        Ok(())
    }
}

impl Default for MemoryGuard {
    fn default() -> Self {
        Self::new(MemoryLimits::default())
    }
}

/// How often the machine is looked at while a task runs.
const INTERVAL: Duration = Duration::from_secs(1);

/// A task whose code runs.
#[derive(Clone, Debug)]
struct Running {
    task: Arc<TaskContext>,
    sandbox: Arc<dyn SandboxHandle>,
}

impl Plugin for MemoryGuard {
    fn name(&self) -> &'static str {
        "memory-guard"
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        Box::new(Guarded { task: task.clone(), guard: self.clone(), entry: None })
    }
}

struct Guarded {
    task: Arc<TaskContext>,
    guard: MemoryGuard,
    entry: Option<Entry>,
}

/// A task's place among those that run, given up when dropped.
struct Entry {
    guard: MemoryGuard,
    number: u64,
    _watching: DropGuard,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.guard.watch().remove(self.number);
    }
}

#[async_trait]
impl TaskPlugin for Guarded {
    async fn started(&mut self, sandbox: &Arc<dyn SandboxHandle>) -> Result<()> {
        let running = Running { task: self.task.clone(), sandbox: sandbox.clone() };
        let number = self.guard.watch().add(running);
        let over = CancellationToken::new();
        let watching = self.guard.clone().look_after(self.task.clone());
        let _watching = over.clone().drop_guard();
        self.task.spawn(async move {
            tokio::select! {
                () = over.cancelled() => {}
                () = watching => {}
            }
        });
        self.entry = Some(Entry { guard: self.guard.clone(), number, _watching });
        Ok(())
    }

    async fn stopped(&mut self, _results: &dyn ResultSet) -> Result<Verdict> {
        self.entry = None;
        Ok(Verdict::Good)
    }

    async fn dispose(&mut self) {
        self.entry = None;
    }
}

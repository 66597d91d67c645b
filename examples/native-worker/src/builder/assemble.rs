//! Engine and plugins, put together as the options say.

use taskcluster_worker::caches::CacheStore;
use taskcluster_worker::plugins::{
    Artifacts, BackingLog, ChainOfTrust, Env, ExitStatus, Interactive, LiveLog, MaxRunTime, MaxSilence, MemoryGuard,
    Mounts, Proxy, ShellPage,
};
use taskcluster_worker::{Identity, Worker, WorkerBuilder};

use super::{NativeWorker, NativeWorkerBuilder, NativeWorkerError};
use crate::engine::NativeEngine;
use crate::isolation::Isolation;
use crate::payload::{KeptLog, ReadableLog};

impl NativeWorkerBuilder {
    /// Build the worker, and listen for viewers of live logs.
    ///
    /// # Errors
    /// Caches or live logs cannot be had, or the root URL is none.
    pub async fn build(self) -> Result<NativeWorker, NativeWorkerError> {
        Ok(NativeWorker { worker: self.into_worker_builder().await?.build()? })
    }

    /// Engine and plugins in the builder of any worker, for those who want to add to it. Listens for viewers of live logs.
    ///
    /// # Errors
    /// Caches or live logs cannot be had.
    pub async fn into_worker_builder(self) -> Result<WorkerBuilder, NativeWorkerError> {
        let cache_dir = self.cache_dir.unwrap_or_else(|| self.settings.work_dir.join("caches"));
        let caches = CacheStore::open(&cache_dir)
            .map_err(|source| NativeWorkerError::Caches { path: cache_dir.clone(), source })?;
        let caches = match &self.clock {
            Some(clock) => caches.with_clock(clock.clone()),
            None => caches,
        };
        let identity = Identity::new(self.task_queue_id, self.worker_group, self.worker_id);
        let (tls, tunnel) = (self.live_log_tls.as_ref(), self.tunnel.as_ref());
        let address = self.live_log_address;
        let entrance = worker_kit::entrance(address, self.live_log_url, tls, tunnel, &identity, "log")?;
        let live_log = LiveLog::at(entrance).await;
        let live_log =
            live_log.map_err(|source| NativeWorkerError::LiveLog { address, source })?.reading::<ReadableLog>();
        let backing_log = BackingLog::reading::<KeptLog>();
        let address = self.shell_address;
        let entrance = worker_kit::entrance(address, self.shell_url, tls, tunnel, &identity, "shell")?;
        let interactive = Interactive::at(entrance).await;
        let interactive = interactive.map_err(|source| NativeWorkerError::Shells { address, source })?;
        let backing_log = match self.log_interval {
            Some(interval) => backing_log.every(interval),
            None => backing_log,
        };
        let tasks_dir = self.keep_in.clone().unwrap_or_else(|| self.settings.work_dir.join("tasks"));
        let mut engine = NativeEngine::new(tasks_dir, self.isolation)
            .with_limits(self.limits)
            .with_spare_users(self.spare_users.unwrap_or(self.settings.capacity))
            .with_run_task_as_current_user(self.run_task_as_current_user)
            .with_loopback_devices(self.loopback_devices);
        if let Some(interface) = self.docker_bridge {
            engine = engine.with_docker_bridge(interface);
        }
        if self.keep_in.is_some() {
            engine = engine.with_kept_directories();
        }
        if self.only_shells {
            engine = engine.with_only_shells();
        }
        let env = self.env.into_iter().fold(Env::default(), |env, (name, value)| env.with(name, value));
        // A key that a task can read signs for nothing.
        let chain_of_trust = match self.isolation {
            Isolation::User if !self.run_task_as_current_user => self.chain_of_trust,
            Isolation::User | Isolation::None => ChainOfTrust::new(None),
        };
        let mut builder = Worker::builder(self.root_url, identity, engine, self.settings)
            .caches(caches.clone())
            .plugin(env)
            .plugin(MaxRunTime::new(self.max_run_time))
            .plugin(MaxSilence::new(self.max_silence))
            .plugin(ExitStatus::default())
            .plugin(Mounts::new(caches, self.cache_scope).limits(self.mount_limits))
            .plugin(Proxy::default())
            .plugin(Artifacts::default())
            .plugin(backing_log)
            .plugin(live_log)
            .plugin(interactive.linger(self.linger).pages([ShellPage::GenericWorker]))
            .plugin(chain_of_trust);
        if let Some(limits) = self.memory_guard {
            builder = builder.plugin(MemoryGuard::new(limits));
        }
        if let Some(credentials) = self.credentials {
            builder = builder.credentials(credentials);
        }
        if let Some(transport) = self.transport {
            builder = builder.transport(transport);
        }
        if let Some(clock) = self.clock {
            builder = builder.clock(clock);
        }
        if let Some(events) = self.events {
            builder = builder.events(events);
        }
        if let Some(bus) = self.bus {
            builder = builder.bus(bus);
        }
        Ok(builder)
    }
}

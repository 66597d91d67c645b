//! How a worker behaves.

use std::path::PathBuf;
use std::time::Duration;

use crate::artifacts::ArtifactLimits;
use crate::payload::Refused;

/// How a worker behaves.
///
/// ```
/// use std::time::Duration;
/// use taskcluster_worker::Settings;
///
/// let settings = Settings::new("/var/lib/my-worker").with_capacity(4).with_idle_timeout(Duration::from_secs(600));
/// assert_eq!(settings.capacity, 4);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Runs at once. Default 1.
    pub capacity: usize,
    /// The worker's own files: logs of the runs and what plugins keep beside them. Tasks should not be able to read it.
    pub work_dir: PathBuf,
    /// Go when this many tasks have been run. Default: never.
    pub task_limit: Option<u64>,
    /// Go when there was nothing to do for so long, or ask the [overseer](crate::Overseer) whether to. Default: never.
    pub idle_timeout: Option<Duration>,
    /// How often the queue is asked whether running tasks have been cancelled, where no events are heard. Default: each second.
    pub cancel_poll: Duration,
    /// How long to wait before the next claim after a fault of the worker's own; doubles with each in a row. Default 5 s.
    pub backoff: Duration,
    /// The most that the wait grows to. Default 5 minutes.
    pub backoff_limit: Duration,
    /// Give runs back, at the start, that the queue believes this worker to be running. Default: yes.
    pub recover_claims: bool,
    /// Upload log and artifacts to the object service (storage type `object`), which keeps their checksums, instead of the
    /// queue's own storage. Default: no.
    pub object_artifacts: bool,
    /// Claim only while this many bytes are free where the work directory, the caches and the engine's
    /// [store](crate::Engine::store) are; what the engine keeps there and nobody uses, and then caches, are removed for that, the
    /// least recently used first. Default 0: as long as anything works.
    pub required_disk_space: u64,
    /// After so many tasks in a row at which the worker itself was at fault, it asks the queue to keep tasks from it for so long.
    /// Its client needs `queue:quarantine-worker:<task queue>/<worker group>/<worker id>` for that. Default: never.
    pub quarantine: Option<(u32, Duration)>,
    /// How large the artifacts of a run may be.
    pub artifact_limits: ArtifactLimits,
    /// What tasks may not ask for. Default: nothing.
    pub refused: Refused,
    /// Whether logs can be read while tasks run, which most payloads let happen without a word. Where they cannot, a task that asks for
    /// it by `features.liveLog` (`localLiveLog`) is refused, and the log is found under its usual name when the run has ended. Default:
    /// yes.
    pub live_logs: bool,
}

impl Settings {
    /// The defaults, with the worker's own files in `work_dir`.
    pub fn new(work_dir: impl Into<PathBuf>) -> Self {
        Self {
            capacity: 1,
            work_dir: work_dir.into(),
            task_limit: None,
            idle_timeout: None,
            cancel_poll: Duration::from_secs(1),
            backoff: Duration::from_secs(5),
            backoff_limit: Duration::from_secs(5 * 60),
            recover_claims: true,
            object_artifacts: false,
            required_disk_space: 0,
            quarantine: None,
            artifact_limits: ArtifactLimits::default(),
            refused: Refused::default(),
            live_logs: true,
        }
    }

    /// Run so many tasks at once.
    #[must_use]
    pub fn with_capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// Go when so many tasks have been run.
    #[must_use]
    pub fn with_task_limit(mut self, tasks: u64) -> Self {
        self.task_limit = Some(tasks);
        self
    }

    /// Go when there was nothing to do for so long.
    #[must_use]
    pub fn with_idle_timeout(mut self, time: Duration) -> Self {
        self.idle_timeout = Some(time);
        self
    }

    /// Ask for cancellations so often.
    #[must_use]
    pub fn with_cancel_poll(mut self, time: Duration) -> Self {
        self.cancel_poll = time;
        self
    }

    /// Wait so long after a fault of the worker's own, at most `limit` after several.
    #[must_use]
    pub fn with_backoff(mut self, first: Duration, limit: Duration) -> Self {
        self.backoff = first;
        self.backoff_limit = limit;
        self
    }

    /// Whether to upload log and artifacts to the object service.
    #[must_use]
    pub fn with_object_artifacts(mut self, object: bool) -> Self {
        self.object_artifacts = object;
        self
    }

    /// Claim only while so many bytes are free.
    #[must_use]
    pub fn with_required_disk_space(mut self, bytes: u64) -> Self {
        self.required_disk_space = bytes;
        self
    }

    /// Take no larger artifacts than these of a run.
    #[must_use]
    pub fn with_artifact_limits(mut self, limits: ArtifactLimits) -> Self {
        self.artifact_limits = limits;
        self
    }

    /// Take no tasks that ask for this.
    #[must_use]
    pub fn with_refused(mut self, refused: Refused) -> Self {
        self.refused = refused;
        self
    }

    /// Whether logs can be read while tasks run.
    #[must_use]
    pub fn with_live_logs(mut self, live_logs: bool) -> Self {
        self.live_logs = live_logs;
        self
    }

    /// All that tasks may not ask for.
    pub(crate) fn all_refused(&self) -> Refused {
        let refused = self.refused.clone();
        if self.live_logs { refused } else { refused.feature("liveLog").feature("localLiveLog") }
    }

    /// Get no tasks for `time` after so many faults of the worker's own in a row.
    #[must_use]
    pub fn with_quarantine(mut self, after: u32, time: Duration) -> Self {
        self.quarantine = Some((after, time));
        self
    }

    /// Whether to give back, at the start, what a former life of this worker left running.
    #[must_use]
    pub fn with_recover_claims(mut self, recover: bool) -> Self {
        self.recover_claims = recover;
        self
    }
}

//! A native worker put together, for programs that embed one and for this crate's own.

use taskcluster_core::ids::TaskQueueId;
use taskcluster_worker::{Done, Shutdown, Worker, WorkerError};

mod assemble;
mod error;
mod options;
mod schema;

pub use error::NativeWorkerError;
pub use options::NativeWorkerBuilder;

/// A worker that runs commands on this machine.
///
/// ```no_run
/// use taskcluster_native_worker::{Isolation, NativeWorker, Shutdown};
///
/// # async fn example(credentials: taskcluster_core::Credentials) -> Result<(), Box<dyn std::error::Error>> {
/// let shutdown = Shutdown::new();
/// let worker = NativeWorker::builder("https://tc.example.com", "local/machine".parse()?)
///     .credentials(credentials)
///     .work_dir("/var/lib/native-worker")
///     .isolation(Isolation::None)
///     .capacity(4)
///     .build()
///     .await?;
/// worker.run(shutdown.clone()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct NativeWorker {
    worker: Worker,
}

impl NativeWorker {
    /// Begin with a deployment and the task queue to take tasks from.
    pub fn builder(root_url: impl Into<String>, task_queue_id: TaskQueueId) -> NativeWorkerBuilder {
        NativeWorkerBuilder::new(root_url.into(), task_queue_id)
    }

    /// Claim and run tasks until `shutdown`, or until the settings say that it is enough.
    ///
    /// # Errors
    /// Nothing can be run at all, or the queue refuses the credentials before it has granted any claim.
    ///
    /// # Cancel safety
    /// Dropping the future kills what runs and reports nothing: use `shutdown`.
    pub async fn run(&self, shutdown: impl Into<Shutdown>) -> Result<Done, WorkerError> {
        self.worker.run(shutdown).await
    }
}

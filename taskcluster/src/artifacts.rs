//! Artifacts: the files that a task leaves behind, uploaded and downloaded whole.
//!
//! The queue keeps the names of artifacts and says where their content is; the content itself goes to and comes from a
//! storage service by way of signed URLs. [`Artifacts`] does both steps, and does them again when a connection is cut:
//! - an upload is repeated as a whole with a fresh URL. Bytes and files can be read twice; what comes from a reader, or is to
//!   be compressed, goes into a temporary file first;
//! - a download goes on where it was cut, renews a URL that has expired, is checked against a hash where there is one, and a
//!   file appears under its name only when it is complete. A large file comes in parts, several at once.
//!
//! Artifacts live in the queue's own bucket, or with the object service ([`Upload::object`]), which keeps their hashes;
//! downloads find out by themselves, and follow links and references.
//!
//! Both give up after as many failures in a row as the caller's [`RetryPolicy`] has repetitions, or one [of their own](Artifacts::retry). A download starts to count
//! anew whenever it got further. A transfer may take as long as it takes, but when the storage service is silent for the
//! policy's [`stall_timeout`](RetryPolicy::stall_timeout), sends nothing and takes nothing, that is a failure as if the connection
//! had been cut.
//!
//! ```no_run
//! use taskcluster::artifacts::Artifacts;
//! use taskcluster::{TaskId, Taskcluster, Timestamp, time::days};
//!
//! # async fn example(task_id: TaskId) -> Result<(), Box<dyn std::error::Error>> {
//! let artifacts = Artifacts::new(Taskcluster::from_env()?.caller());
//! let expires = Timestamp::now() + days(28);
//!
//! artifacts.upload(&task_id, 0, "public/build.zip", expires).file("target/build.zip").await?;
//! artifacts.download(&task_id, 0, "public/build.zip").to_file("build.zip").await?;
//! # Ok(())
//! # }
//! ```

use http::{Request, Response};
use taskcluster_core::transport::{Body, TransportError};
use taskcluster_core::{Caller, RetryPolicy, RunId, TaskId, Timestamp};

use crate::queue::Queue;

mod content;
mod digest;
mod download;
mod error;
mod fetch;
mod file;
mod hashes;
mod object;
mod progress;
mod sink;
mod split;
mod transfer;
mod unpack;
mod upload;

pub use content::content_type_of;
pub use download::{Download, Downloaded};
pub use error::ArtifactError;
pub use progress::Progress;
pub use upload::{Upload, Uploaded};

/// Uploads and downloads artifacts on behalf of one caller. Cheap to make and to clone.
#[derive(Clone, Debug)]
pub struct Artifacts {
    caller: Caller,
    queue: Queue,
}

impl Artifacts {
    /// Transfers with the credentials and the transport of `caller`. Storage services never see the credentials.
    pub fn new(caller: &Caller) -> Self {
        Self { caller: caller.clone(), queue: Queue::new(caller.clone()) }
    }

    /// Transfers as patiently as this policy says, whatever that of the handle.
    ///
    /// ```
    /// # use taskcluster::{RetryPolicy, TaskId, Taskcluster};
    /// # use taskcluster::artifacts::ArtifactError;
    /// # async fn example(tc: &Taskcluster, task_id: TaskId) -> Result<(), ArtifactError> {
    /// let stubborn = tc.artifacts().retry(RetryPolicy::default().with_retries(50));
    /// stubborn.download_latest(&task_id, "public/build.zip").to_file("build.zip").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn retry(self, policy: RetryPolicy) -> Self {
        let caller = self.caller.to_builder().retry(policy).build();
        Self::new(&caller.expect("what was built once can be built again"))
    }

    /// Sends a request to a storage service, which may be slow, but not silent.
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        self.caller.transport().send_watched(request, self.caller.retry_policy().stall_timeout).await
    }

    /// Prepares the upload of an artifact of a run that is being worked on.
    ///
    /// `expires` may not be later than the task's own expiry.
    pub fn upload(
        &self,
        task_id: &TaskId,
        run_id: impl Into<RunId>,
        name: impl Into<String>,
        expires: Timestamp,
    ) -> Upload {
        Upload::new(self.clone(), *task_id, run_id.into(), name.into(), expires)
    }

    /// Prepares the download of an artifact of one run.
    pub fn download(&self, task_id: &TaskId, run_id: impl Into<RunId>, name: impl Into<String>) -> Download {
        Download::new(self.clone(), *task_id, Some(run_id.into()), name.into())
    }

    /// Prepares the download of an artifact of the latest run.
    pub fn download_latest(&self, task_id: &TaskId, name: impl Into<String>) -> Download {
        Download::new(self.clone(), *task_id, None, name.into())
    }

    /// Prepares the download of an object by its own name in the object service, whether or not it is an artifact.
    pub fn download_object(&self, name: impl Into<String>) -> Download {
        Download::object(self.clone(), name.into())
    }
}

/// Counts failures in a row and waits longer before each next attempt, as the caller's policy says.
#[derive(Debug)]
struct Patience<'a> {
    policy: &'a RetryPolicy,
    failures: u32,
}

impl<'a> Patience<'a> {
    fn of(caller: &'a Caller) -> Self {
        Self { policy: caller.retry_policy(), failures: 0 }
    }

    /// Waits before another attempt; `false` if there were enough.
    async fn another(&mut self) -> bool {
        if self.failures == self.policy.retries {
            return false;
        }
        tokio::time::sleep(self.policy.delay(self.failures, 0.5)).await;
        self.failures += 1;
        true
    }

    /// The transfer got further.
    fn renew(&mut self) {
        self.failures = 0;
    }
}

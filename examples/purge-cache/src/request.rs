//! A request that a cache be purged.

use std::time::Duration;

use taskcluster::purge_cache as wire;
use taskcluster_core::ids::TaskQueueId;
use taskcluster_core::time::{Timestamp, days};

/// How long a request stays open: workers have asked by then, or have no caches left to speak of.
pub const KEPT: Duration = days(1);

/// How many bytes the name of a cache may have: with the pool's it is the key of a row, and PostgreSQL takes no longer ones.
const LONGEST_NAME: usize = 2000;

/// Says that what a pool's workers keep under a name is to be dropped, if it is older than the request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PurgeRequest {
    /// Whose workers are meant.
    pub worker_pool: TaskQueueId,
    /// The cache, as payloads of tasks name it.
    pub cache_name: String,
    /// When it was made.
    pub before: Timestamp,
}

impl PurgeRequest {
    /// A request made now.
    ///
    /// # Errors
    /// The name is one that no database keeps.
    pub fn new(worker_pool: TaskQueueId, cache_name: String, now: Timestamp) -> Result<Self, UnusableName> {
        if cache_name.len() > LONGEST_NAME || cache_name.contains('\0') {
            return Err(UnusableName);
        }
        Ok(Self { worker_pool, cache_name, before: now })
    }

    /// As the API shows it.
    #[must_use]
    pub fn to_wire(&self) -> wire::OpenPurgeRequest {
        let (provisioner_id, worker_type) = (self.worker_pool.provisioner_id(), self.worker_pool.worker_type());
        wire::OpenPurgeRequest::new(provisioner_id, worker_type, &self.cache_name, self.before)
    }
}

/// When the oldest request that is still open was made.
#[must_use]
pub fn open_since(now: Timestamp) -> Timestamp {
    now - KEPT
}

/// A text that is no name of a cache here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`cacheName` may have {LONGEST_NAME} bytes and no NUL characters")]
#[non_exhaustive]
pub struct UnusableName;

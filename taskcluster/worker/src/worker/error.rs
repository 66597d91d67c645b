//! Why there is no worker, or it cannot work.

use std::path::PathBuf;

use crate::payload::PayloadConflict;

/// Why a worker cannot be built or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// Two of its parts want the same property of the payload.
    #[error(transparent)]
    Payload(#[from] PayloadConflict),
    /// The queue cannot be called with what was given.
    #[error("the queue cannot be called")]
    Caller(#[source] taskcluster_core::Error),
    /// The work directory cannot be used.
    #[error("cannot use the work directory {}", .path.display())]
    WorkDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The engine cannot run tasks here.
    #[error("the engine cannot run tasks here")]
    Engine(#[source] crate::error::Error),
    /// The queue does not accept the worker's credentials, and never has.
    #[error("the queue does not accept the worker's credentials: check its client id and access token")]
    Unauthorized(#[source] taskcluster_core::Error),
    /// The worker's client lacks scopes for claiming tasks, and always has. The source names them.
    #[error("the worker's client may not claim tasks: give it the scopes that it lacks")]
    Forbidden(#[source] taskcluster_core::Error),
}

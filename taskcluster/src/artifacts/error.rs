//! What can go wrong with an artifact.

use std::io;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why an artifact was not transferred.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// The queue refused, or could not be reached.
    #[error("artifact {name:?}")]
    Queue {
        /// Name of the artifact.
        name: String,
        /// What the queue says.
        #[source]
        source: taskcluster_core::Error,
    },
    /// The object service refused, or could not be reached, for an object that was asked for by its own name.
    #[error("object {name:?}")]
    Object {
        /// Name of the object.
        name: String,
        /// What the object service says.
        #[source]
        source: taskcluster_core::Error,
    },
    /// There is no content: the artifact is a note that says why it could not be created.
    #[error("artifact {name} could not be created by its task: {message} ({reason})")]
    NeverCreated {
        /// Name of the artifact.
        name: String,
        /// What went wrong, for programs, such as `file-missing-on-worker`.
        reason: String,
        /// What went wrong, for people.
        message: String,
    },
    /// The artifact is kept in a way that this crate does not know.
    #[error("artifact {name} is kept as {storage_type:?}, which is not supported")]
    Unsupported {
        /// Name of the artifact.
        name: String,
        /// How the queue says it is kept.
        storage_type: String,
    },
    /// The storage service refused.
    #[error("the storage service answered {status} for artifact {name}: {message}")]
    Refused {
        /// Name of the artifact.
        name: String,
        /// Status of the answer.
        status: u16,
        /// Beginning of the answer's body.
        message: String,
    },
    /// The connection failed too often in a row.
    #[error("the transfer of artifact {name} was cut too often in a row")]
    Interrupted {
        /// Name of the artifact.
        name: String,
        /// What ended the last attempt.
        #[source]
        source: BoxError,
    },
    /// The content became another one in the middle of a download, and what was written cannot be taken back.
    #[error("the content of artifact {name} changed during its download")]
    Changed {
        /// Name of the artifact.
        name: String,
    },
    /// What arrived is not what its SHA-256 says, each time.
    #[error("the content of artifact {name} is not what its hash says")]
    Corrupt {
        /// Name of the artifact.
        name: String,
    },
    /// Reading or writing on this side failed.
    #[error("artifact {name}: {path} cannot be read or written")]
    Local {
        /// Name of the artifact.
        name: String,
        /// File, or what stands in its place.
        path: String,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
}

impl ArtifactError {
    /// Whether there is no such task, run or artifact, or it has expired.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Queue { source, .. } | Self::Object { source, .. } => {
                source.is_not_found() || source.status() == Some(http::StatusCode::GONE)
            }
            Self::Refused { status, .. } => matches!(status, 404 | 410),
            Self::NeverCreated { .. }
            | Self::Unsupported { .. }
            | Self::Interrupted { .. }
            | Self::Changed { .. }
            | Self::Corrupt { .. }
            | Self::Local { .. } => false,
        }
    }

    /// Whether the same transfer may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Queue { source, .. } | Self::Object { source, .. } => source.is_retryable(),
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::Interrupted { .. } | Self::Changed { .. } | Self::Corrupt { .. } => true,
            Self::NeverCreated { .. } | Self::Unsupported { .. } | Self::Local { .. } => false,
        }
    }
}

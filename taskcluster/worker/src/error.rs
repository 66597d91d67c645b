//! Whose fault it is.

use taskcluster_core::chain;

/// An error of an engine or a plugin. Its variant says whose fault it is, and so how the run ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The task asks for something impossible and would again: the run is resolved `malformed-payload`.
    /// Each string is one reason, all of them stand in the task's log.
    #[error("{}", .0.join("; "))]
    Payload(Vec<String>),
    /// What the task runs went wrong: the run is resolved `failed`.
    #[error("{0}")]
    Task(String),
    /// The worker, or a service it needs, is at fault: `worker-shutdown` before the user's code ran (the queue retries),
    /// `internal-error` after.
    #[error("{message}")]
    Worker {
        /// What could not be done.
        message: String,
        /// Why.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// What the task names and is no part of the deployment, such as a web server or a registry, could not be reached: ends as the
    /// worker's fault does, and the worker waits before it claims again, but nobody takes it to be sick for that.
    #[error("{message}")]
    Unavailable {
        /// What could not be had.
        message: String,
        /// Why.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// This engine has no such ability. A task that needs it has a malformed payload.
    #[error("the engine of this worker does not support {0}")]
    Unsupported(&'static str),
}

/// Result of an engine or a plugin.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// One reason why the payload cannot be run.
    pub fn payload(reason: impl Into<String>) -> Self {
        Self::Payload(vec![reason.into()])
    }

    /// What the task runs went wrong.
    pub fn task(reason: impl Into<String>) -> Self {
        Self::Task(reason.into())
    }

    /// The worker's own fault, without a cause.
    pub fn worker(message: impl Into<String>) -> Self {
        Self::Worker { message: message.into(), source: None }
    }

    /// The worker's own fault, with its cause.
    pub fn worker_caused(
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Worker { message: message.into(), source: Some(source.into()) }
    }

    /// Nobody's fault here: what the task names is out of reach.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: message.into(), source: None }
    }

    /// The same, with its cause.
    pub fn unavailable_because(
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable { message: message.into(), source: Some(source.into()) }
    }

    /// The lines that explain this error to the author of the task, causes included.
    pub fn reasons(&self) -> Vec<String> {
        match self {
            Self::Payload(reasons) => reasons.clone(),
            Self::Task(_) | Self::Unsupported(_) => vec![self.to_string()],
            Self::Worker { message, source } | Self::Unavailable { message, source } => {
                vec![match source {
                    None => message.clone(),
                    Some(source) => format!("{message}: {}", chain(&**source)),
                }]
            }
        }
    }

    /// One error out of several: reasons of the payload are gathered and win, otherwise the first stands. `None`: there is none.
    #[must_use]
    pub fn combine(errors: Vec<Self>) -> Option<Self> {
        let mut reasons = Vec::new();
        let mut first = None;
        for error in errors {
            match error {
                Self::Payload(more) => reasons.extend(more),
                Self::Unsupported(_) => reasons.extend(error.reasons()),
                Self::Task(_) | Self::Worker { .. } | Self::Unavailable { .. } => {
                    first.get_or_insert(error);
                }
            }
        }
        if reasons.is_empty() { first } else { Some(Self::Payload(reasons)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_the_payload_win_and_are_gathered() {
        let combined =
            Error::combine(vec![Error::worker("disk is full"), Error::payload("first"), Error::Unsupported("devices")]);
        let Some(Error::Payload(reasons)) = combined else { panic!("{combined:?}") };
        assert_eq!(reasons, ["first", "the engine of this worker does not support devices"]);
    }

    #[test]
    fn causes_are_part_of_the_reason() {
        let error = Error::worker_caused("cannot upload", std::io::Error::other("connection reset"));
        assert_eq!(error.reasons(), ["cannot upload: connection reset"]);
    }
}

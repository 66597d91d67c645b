use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a queue of tasks, `provisionerId/workerType`; elsewhere called a worker pool id.
///
/// `FromStr` checks both halves against the characters that the queue allows, since they become words of routing keys.
/// What a service sends is taken as it is.
///
/// ```
/// use taskcluster_core::TaskQueueId;
/// let queue: TaskQueueId = "proj-misc/build".parse()?;
/// assert_eq!((queue.provisioner_id(), queue.worker_type()), ("proj-misc", "build"));
/// # Ok::<(), taskcluster_core::ids::InvalidTaskQueueId>(())
/// ```
///
/// Where a task asks for one, as `with_task_queue_id` does, two ways lead from a text there, and a wrong text is an error
/// before anything is sent:
///
/// ```
/// # struct Task;
/// # impl Task {
/// #     fn with_task_queue_id(self, _: impl Into<Option<TaskQueueId>>) -> Self { self }
/// # }
/// # let task = Task;
/// use taskcluster_core::TaskQueueId;
/// let task = task.with_task_queue_id(TaskQueueId::from_parts("proj-misc", "build")?);
/// let task = task.with_task_queue_id("proj-misc/build".parse::<TaskQueueId>()?);
/// assert!("proj-misc".parse::<TaskQueueId>().is_err());
/// # Ok::<(), taskcluster_core::ids::InvalidTaskQueueId>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskQueueId(String);

/// A text that is not `provisionerId/workerType`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not a task queue id: it must be provisionerId/workerType, each of 1 to 38 letters, digits, - and _"
)]
pub struct InvalidTaskQueueId {
    text: String,
}

impl TaskQueueId {
    /// The queue of this provisioner and worker type.
    ///
    /// # Errors
    /// If one of the two is empty, longer than 38 characters or has a character other than letters, digits, `-` and
    /// `_`.
    pub fn from_parts(provisioner_id: &str, worker_type: &str) -> Result<Self, InvalidTaskQueueId> {
        let text = format!("{provisioner_id}/{worker_type}");
        if is_identifier(provisioner_id) && is_identifier(worker_type) {
            Ok(Self(text))
        } else {
            Err(InvalidTaskQueueId { text })
        }
    }

    /// The half before the slash.
    #[must_use]
    pub fn provisioner_id(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(provisioner, _)| provisioner)
    }

    /// The half after the slash; empty where a service sent a name without one.
    #[must_use]
    pub fn worker_type(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, worker_type)| worker_type)
    }

    /// Whether tasks can be created for it. Definitions of tasks allow fewer worker types than the paths of the queue do
    /// (`[a-z]([-a-z0-9]{0,36}[a-z0-9])?`, by the queue's reference): a worker of another name would wait for ever.
    #[must_use]
    pub fn is_nameable(&self) -> bool {
        let worker_type = self.worker_type();
        is_identifier(self.provisioner_id())
            && worker_type.len() <= 38
            && worker_type.starts_with(|c: char| c.is_ascii_lowercase())
            && !worker_type.ends_with('-')
            && worker_type.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The pattern of the queue's identifiers: `[a-zA-Z0-9-_]{1,38}`.
fn is_identifier(text: &str) -> bool {
    (1..=38).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl FromStr for TaskQueueId {
    type Err = InvalidTaskQueueId;

    fn from_str(text: &str) -> Result<Self, InvalidTaskQueueId> {
        match text.split_once('/') {
            Some((provisioner, worker_type)) => Self::from_parts(provisioner, worker_type),
            None => Err(InvalidTaskQueueId { text: text.to_owned() }),
        }
    }
}

impl AsRef<str> for TaskQueueId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<TaskQueueId> for String {
    fn from(id: TaskQueueId) -> Self {
        id.0
    }
}

impl TryFrom<&str> for TaskQueueId {
    type Error = InvalidTaskQueueId;

    fn try_from(text: &str) -> Result<Self, InvalidTaskQueueId> {
        text.parse()
    }
}

impl TryFrom<String> for TaskQueueId {
    type Error = InvalidTaskQueueId;

    fn try_from(text: String) -> Result<Self, InvalidTaskQueueId> {
        text.parse()
    }
}

impl fmt::Display for TaskQueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for TaskQueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_are_checked() {
        for text in ["", "a", "a/", "/b", "a/b/c", "a.b/c", "a/b c", &format!("a/{}", "b".repeat(39))] {
            assert!(text.parse::<TaskQueueId>().is_err(), "{text}");
        }
        assert_eq!("proj_1/gw-Linux".parse::<TaskQueueId>().unwrap().to_string(), "proj_1/gw-Linux");
    }

    #[test]
    fn tasks_can_name_fewer_than_there_are() {
        let nameable = |name: &str| name.parse::<TaskQueueId>().is_ok_and(|queue| queue.is_nameable());
        for name in ["local/native", "Proj_1/gw-linux-2", "a/b", &format!("{}/{}", "p".repeat(38), "w".repeat(38))] {
            assert!(nameable(name), "{name}");
        }
        for name in ["a/B", "a/2b", "a/-b", "a/b-", "a/b_c"] {
            assert!(!nameable(name), "{name}");
        }
        let odd: TaskQueueId = serde_json::from_str("\"no.slash\"").unwrap();
        assert!(!odd.is_nameable());
    }

    #[test]
    fn what_a_service_sends_is_taken() {
        let odd: TaskQueueId = serde_json::from_str("\"no.slash\"").unwrap();
        assert_eq!((odd.provisioner_id(), odd.worker_type(), odd.as_str()), ("no.slash", "", "no.slash"));
    }
}

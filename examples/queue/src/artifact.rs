//! Artifacts: what a run leaves behind, and when one may take another's place.

use serde::{Deserialize, Serialize};
use taskcluster_core::ids::{RunId, TaskId};
use taskcluster_core::time::{Timestamp, minutes};

use crate::task::{Resolution, RunState, Task};

/// For how long after an exception a worker may still upload, so that the log arrives.
const AFTER_EXCEPTION: std::time::Duration = minutes(25);
/// How far in the past an artifact's expiry may be.
const CLOCK_DRIFT: std::time::Duration = minutes(15);

/// An artifact of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Artifact {
    /// Whose.
    pub task_id: TaskId,
    /// Of which run.
    pub run_id: RunId,
    /// Its name, a path.
    pub name: String,
    /// Media type.
    pub content_type: String,
    /// Size, as the worker announced it.
    pub content_length: Option<i64>,
    /// When it is deleted.
    pub expires: Timestamp,
    /// Has it been uploaded to its end, as far as the queue has to know?
    pub present: bool,
    /// What it is.
    pub storage: Storage,
}

/// What an artifact is, with what that kind needs; stored as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "storageType", rename_all = "camelCase")]
pub enum Storage {
    /// Bytes in the blob store.
    #[serde(rename = "s3")]
    Blob {
        /// Where in the store.
        key: String,
        /// Whether it is in the bucket that everybody may read.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        public: bool,
    },
    /// Bytes kept by the object service.
    #[serde(rename = "object")]
    Object {
        /// The name there.
        name: String,
        /// The project that it is part of there: the task's.
        #[serde(rename = "projectId")]
        project_id: String,
        /// Which upload.
        #[serde(rename = "uploadId")]
        upload_id: String,
    },
    /// A URL somewhere else.
    #[serde(rename = "reference")]
    Reference {
        /// Where.
        url: String,
    },
    /// Another artifact of the same run.
    #[serde(rename = "link")]
    Link {
        /// Its name.
        artifact: String,
    },
    /// There is nothing, for this reason.
    #[serde(rename = "error")]
    Error {
        /// One word.
        reason: String,
        /// For the reader.
        message: String,
    },
}

/// The kinds of artifacts by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes in the blob store.
    Blob,
    /// Bytes kept by the object service.
    Object,
    /// A URL somewhere else.
    Reference,
    /// Another artifact of the same run.
    Link,
    /// Nothing.
    Error,
}

impl Kind {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blob => "s3",
            Self::Object => "object",
            Self::Reference => "reference",
            Self::Link => "link",
            Self::Error => "error",
        }
    }
}

impl Storage {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Blob { .. } => Kind::Blob,
            Self::Object { .. } => Kind::Object,
            Self::Reference { .. } => Kind::Reference,
            Self::Link { .. } => Kind::Link,
            Self::Error { .. } => Kind::Error,
        }
    }
}

/// Why an artifact is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactRefusal {
    /// There is no such task.
    #[error("task {0} does not exist")]
    NoSuchTask(TaskId),
    /// There is no such run.
    #[error("run {0} does not exist")]
    NoSuchRun(RunId),
    /// Nobody has claimed the run: there is no one to make artifacts.
    #[error("run {0} has not been claimed")]
    NotClaimed(RunId),
    /// It would have expired already.
    #[error("expires {0} is in the past")]
    ExpiresPast(Timestamp),
    /// It would outlive its task.
    #[error("expires {expires} is after the expiry of the task, {task_expires}")]
    OutlivesTask {
        /// What was given.
        expires: Timestamp,
        /// The task's.
        task_expires: Timestamp,
    },
    /// The run is over.
    #[error("run {0} is not running: artifacts can no longer be created")]
    NotRunning(RunId),
    /// There is already another artifact of that name.
    #[error("artifact {name:?} exists already and differs: {difference}")]
    Differs {
        /// Which.
        name: String,
        /// In what.
        difference: &'static str,
    },
    /// There is no such artifact.
    #[error("artifact {0:?} does not exist")]
    NoSuchArtifact(String),
    /// Only artifacts of the object service are finished.
    #[error("artifact {0:?} has not to be finished: it is not of storage type object")]
    NotAnObject(String),
    /// It is another upload.
    #[error("the uploadId is not that of the upload of artifact {0:?}")]
    WrongUpload(String),
    /// The object service does not have it.
    #[error("the upload of artifact {0:?} is not finished in the object service")]
    NotUploaded(String),
}

impl Artifact {
    /// May the artifact be made now by the run that it belongs to?
    ///
    /// # Errors
    /// The run or the dates do not allow it.
    pub fn check(&self, task: &Task, now: Timestamp) -> Result<(), ArtifactRefusal> {
        if self.expires < now - CLOCK_DRIFT {
            return Err(ArtifactRefusal::ExpiresPast(self.expires));
        }
        let run = task.run(self.run_id).ok_or(ArtifactRefusal::NoSuchRun(self.run_id))?;
        if run.claim().is_none() {
            return Err(ArtifactRefusal::NotClaimed(self.run_id));
        }
        if self.expires > task.expires {
            return Err(ArtifactRefusal::OutlivesTask { expires: self.expires, task_expires: task.expires });
        }
        match &run.state {
            RunState::Running(_) => Ok(()),
            // The worker learns of the exception late, and still has the log to upload.
            RunState::Resolved { resolution: Resolution::Exception(_), resolved, .. }
                if now < *resolved + AFTER_EXCEPTION =>
            {
                Ok(())
            }
            RunState::Pending | RunState::Resolved { .. } => Err(ArtifactRefusal::NotRunning(self.run_id)),
        }
    }

    /// What is kept when this artifact is created where there is already one of its name.
    ///
    /// # Errors
    /// It is another artifact.
    pub fn replacing(self, before: &Self, now: Timestamp) -> Result<Self, ArtifactRefusal> {
        let differs = |difference| ArtifactRefusal::Differs { name: self.name.clone(), difference };
        // The bytes of both would have the same key.
        if before.storage.kind() == Kind::Blob && before.expires <= now {
            return Err(differs("it has expired, and is about to be deleted"));
        }
        if self.expires < before.expires {
            return Err(differs("it would expire earlier"));
        }
        let becomes_link = self.storage.kind() == Kind::Link;
        if self.content_type != before.content_type && !becomes_link {
            return Err(differs("its content type is another"));
        }
        match (&before.storage, &self.storage) {
            // The one upload goes on; the object service knows it by its id and its expiry.
            (Storage::Object { .. }, Storage::Object { .. }) if before.present => {
                Err(differs("it is uploaded already"))
            }
            (Storage::Object { .. }, Storage::Object { .. }) if self.expires != before.expires => {
                Err(differs("its expiry is another"))
            }
            (Storage::Object { .. }, Storage::Object { .. }) => Ok(before.clone()),
            (Storage::Reference { .. }, Storage::Reference { .. } | Storage::Link { .. }) => Ok(self),
            (one, other) if one == other => {
                Ok(Self { present: before.present, content_length: before.content_length, ..self })
            }
            (one, other) if one.kind() == other.kind() => Err(differs("its details are others")),
            (_, _) => Err(differs("its storage type is another")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_799_999_999_999)
    }

    fn artifact(storage: Storage) -> Artifact {
        Artifact {
            task_id: TaskId::derive(&TaskId::new(), "a"),
            run_id: 0.into(),
            name: "public/log".to_owned(),
            content_type: "text/plain".to_owned(),
            content_length: None,
            expires: Timestamp::from_millis(1_800_000_000_000),
            present: true,
            storage,
        }
    }

    fn reference(url: &str) -> Artifact {
        artifact(Storage::Reference { url: url.to_owned() })
    }

    fn link(to: &str) -> Artifact {
        artifact(Storage::Link { artifact: to.to_owned() })
    }

    fn blob() -> Artifact {
        artifact(Storage::Blob { key: "key".to_owned(), public: false })
    }

    fn on(before: &Artifact, new: &Artifact) -> bool {
        let new = Artifact { task_id: before.task_id, ..new.clone() };
        new.replacing(before, now()).is_ok()
    }

    #[test]
    fn the_same_may_be_created_again() {
        for artifact in [reference("http://a"), link("a"), blob()] {
            assert!(on(&artifact, &artifact));
        }
    }

    #[test]
    fn references_may_change_their_url_or_become_links() {
        assert!(on(&reference("http://a"), &reference("http://b")));
        assert!(on(&reference("http://a"), &Artifact { content_type: "application/binary".to_owned(), ..link("b") }));
        assert!(!on(&reference("http://a"), &blob()));
        assert!(!on(
            &reference("http://a"),
            &Artifact { content_type: "text/html".to_owned(), ..reference("http://b") }
        ));
    }

    #[test]
    fn nothing_else_may_change() {
        assert!(!on(&link("a"), &link("b")));
        assert!(!on(&link("a"), &reference("http://a")));
        assert!(!on(&blob(), &reference("http://a")));
        assert!(!on(&blob(), &artifact(Storage::Blob { key: "other".to_owned(), public: false })));
        assert!(!on(&blob(), &artifact(Storage::Error { reason: "r".to_owned(), message: "m".to_owned() })));
    }

    #[test]
    fn an_upload_to_the_object_service_goes_on_until_it_is_finished() {
        let object = |upload_id: &str| {
            let (name, project_id) = ("t/x".to_owned(), "p".to_owned());
            let storage = Storage::Object { name, project_id, upload_id: upload_id.to_owned() };
            Artifact { present: false, ..artifact(storage) }
        };
        let (first, second) = (object("one"), object("two"));
        let second = Artifact { task_id: first.task_id, ..second };
        assert_eq!(second.clone().replacing(&first, now()), Ok(first.clone()));
        let longer = Artifact { expires: second.expires + minutes(1), ..second.clone() };
        assert!(longer.replacing(&first, now()).is_err());
        assert!(!on(&first, &blob()));
        let finished = Artifact { present: true, ..first };
        assert!(second.replacing(&finished, now()).is_err());
    }

    #[test]
    fn what_has_expired_is_not_brought_back_while_its_bytes_are_being_deleted() {
        let longer = |before: &Artifact| Artifact { expires: before.expires + minutes(1), ..before.clone() };
        assert!(longer(&blob()).replacing(&blob(), blob().expires).is_err());
        let live = reference("http://a");
        assert!(longer(&live).replacing(&live, live.expires).is_ok(), "there are no bytes");
    }

    #[test]
    fn expiry_may_grow_but_not_shrink() {
        let longer = Artifact { expires: blob().expires + minutes(1), ..blob() };
        assert!(on(&blob(), &longer));
        assert!(!on(&longer, &blob()));
    }
}

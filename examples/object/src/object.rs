//! The life of an object, without any I/O: begun, perhaps again and again, finished once, gone.
//!
//! An upload belongs to whoever knows its id. Checksums are only ever added, and not any more once the upload is
//! finished: what somebody has downloaded and checked stays what it was.

use std::collections::BTreeMap;
use std::time::Duration;

use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{Timestamp, days};

/// An upload that is not finished after this time is given up.
pub const PATIENCE: Duration = days(1);

/// Checksums by algorithm.
pub type Hashes = BTreeMap<String, String>;

/// An object, or the beginning of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// The project that it is part of.
    pub project_id: String,
    /// Which upload made it.
    pub upload_id: TaskId,
    /// Where its data is. No other object, also no later one of the same name, has this key.
    pub blob_key: String,
    /// Checksums of its data, as the uploader gave them.
    pub hashes: Hashes,
    /// When it is deleted.
    pub expires: Timestamp,
    /// Is all of it there?
    pub finished: bool,
    /// When it expires, or, as long as it is not finished, is given up.
    pub gone_from: Timestamp,
}

/// Why an object is not begun or finished.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It would be gone at once.
    #[error("expires {0} is in the past")]
    ExpiresPast(Timestamp),
    /// The name is taken by an upload of which this is not the continuation.
    #[error("object {name:?} was begun by another upload: its {difference}")]
    Taken {
        /// Which.
        name: String,
        /// In what they differ.
        difference: &'static str,
    },
    /// What is there stays as it is.
    #[error("object {0:?} is there already, and cannot be uploaded again")]
    Finished(String),
    /// There was an object of this name, which is not deleted yet.
    #[error("object {0:?} has expired or was given up; its name is free once it is deleted")]
    Leaving(String),
    /// There is no upload to be finished.
    #[error("no upload of object {0:?} is under way")]
    NoUpload(String),
    /// The object is another project's.
    #[error("object {0:?} is part of another project")]
    OtherProject(String),
    /// The object is another upload's.
    #[error("the uploadId is not that of the upload of object {0:?}")]
    OtherUpload(String),
    /// A checksum was given before, and is another.
    #[error("the {0:?} checksum differs from the one that was given before")]
    HashDiffers(String),
    /// A checksum comes too late.
    #[error("the upload was finished without a {0:?} checksum")]
    HashLate(String),
    /// There is no data.
    #[error("nothing was uploaded for object {0:?}")]
    NoData(String),
}

impl Object {
    /// The beginning of an upload, with a place of its own for the data.
    ///
    /// # Errors
    /// [`Refusal::ExpiresPast`].
    pub fn begin(
        name: String,
        project_id: String,
        upload_id: TaskId,
        hashes: Hashes,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        if expires <= now {
            return Err(Refusal::ExpiresPast(expires));
        }
        // The name is last, so that whoever downloads the data sees the name of a file; and the first word is none that
        // a key of the queue begins with, so that they can share a storage.
        let blob_key = format!("object/{}/{name}", TaskId::new());
        let gone_from = expires.min(now + PATIENCE);
        Ok(Self { name, project_id, upload_id, blob_key, hashes, expires, finished: false, gone_from })
    }

    /// Is it no longer to be seen?
    #[must_use]
    pub fn is_gone(&self, now: Timestamp) -> bool {
        self.gone_from <= now
    }

    /// Can it be downloaded?
    #[must_use]
    pub fn is_available(&self, now: Timestamp) -> bool {
        self.finished && !self.is_gone(now)
    }

    /// Is there a checksum that every client knows?
    #[must_use]
    pub fn can_be_checked(&self) -> bool {
        ["sha256", "sha512"].into_iter().any(|algorithm| self.hashes.contains_key(algorithm))
    }

    /// What it is when its upload is begun once more, as `again` says.
    ///
    /// # Errors
    /// It is another upload, or over.
    pub fn begun_again(&self, again: &Self, now: Timestamp) -> Result<Self, Refusal> {
        if self.is_gone(now) {
            return Err(Refusal::Leaving(self.name.clone()));
        }
        if self.finished {
            return Err(Refusal::Finished(self.name.clone()));
        }
        for (difference, differs) in [
            ("uploadId is another", self.upload_id != again.upload_id),
            ("project is another", self.project_id != again.project_id),
            ("expiry is another", self.expires != again.expires),
        ] {
            if differs {
                return Err(Refusal::Taken { name: self.name.clone(), difference });
            }
        }
        Ok(Self { hashes: self.with_hashes(&again.hashes)?, ..self.clone() })
    }

    /// What it is once its upload is finished; the same for whoever says so twice.
    ///
    /// # Errors
    /// It is another upload, or there is none.
    pub fn finish(
        &self,
        project_id: &str,
        upload_id: TaskId,
        hashes: &Hashes,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        if self.is_gone(now) {
            return Err(Refusal::NoUpload(self.name.clone()));
        }
        if self.project_id != project_id {
            return Err(Refusal::OtherProject(self.name.clone()));
        }
        if self.upload_id != upload_id {
            return Err(Refusal::OtherUpload(self.name.clone()));
        }
        if self.finished
            && let Some(late) = hashes.keys().find(|algorithm| !self.hashes.contains_key(*algorithm))
        {
            return Err(Refusal::HashLate(late.clone()));
        }
        Ok(Self { hashes: self.with_hashes(hashes)?, finished: true, gone_from: self.expires, ..self.clone() })
    }

    fn with_hashes(&self, more: &Hashes) -> Result<Hashes, Refusal> {
        let mut hashes = self.hashes.clone();
        for (algorithm, hash) in more {
            let known = hashes.entry(algorithm.clone()).or_insert_with(|| hash.clone());
            if known != hash {
                return Err(Refusal::HashDiffers(algorithm.clone()));
            }
        }
        Ok(hashes)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use taskcluster_core::time::hours;

    pub(crate) fn now() -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }

    pub(crate) fn hashes(of: &[(&str, &str)]) -> Hashes {
        of.iter().map(|(algorithm, hash)| ((*algorithm).to_owned(), (*hash).to_owned())).collect()
    }

    /// An upload that has begun.
    pub(crate) fn begun(name: &str) -> Object {
        let given = hashes(&[("sha256", "a")]);
        Object::begin(name.to_owned(), "p".to_owned(), TaskId::new(), given, now() + days(9), now()).unwrap()
    }

    fn finish(object: &Object, more: &[(&str, &str)]) -> Result<Object, Refusal> {
        object.finish("p", object.upload_id, &hashes(more), now() + hours(1))
    }

    #[test]
    fn an_upload_goes_on_with_the_same_and_more_checksums() {
        let object = begun("a/b");
        assert!(object.blob_key.starts_with("object/") && object.blob_key.ends_with("/a/b"));
        let again = Object { hashes: hashes(&[("sha512", "b")]), ..object.clone() };
        let object = object.begun_again(&again, now()).unwrap();
        assert_eq!(object.hashes, hashes(&[("sha256", "a"), ("sha512", "b")]));
        let other = Object { hashes: hashes(&[("sha256", "c")]), ..object.clone() };
        assert_eq!(object.begun_again(&other, now()), Err(Refusal::HashDiffers("sha256".to_owned())));
    }

    #[test]
    fn nobody_else_goes_on_with_it() {
        let object = begun("a");
        for other in [
            Object { upload_id: TaskId::new(), ..object.clone() },
            Object { project_id: "q".to_owned(), ..object.clone() },
            Object { expires: object.expires + hours(1), ..object.clone() },
        ] {
            assert!(matches!(object.begun_again(&other, now()), Err(Refusal::Taken { .. })), "{other:?}");
        }
        let finished = finish(&object, &[]).unwrap();
        assert_eq!(finished.begun_again(&object, now()), Err(Refusal::Finished("a".to_owned())));
    }

    #[test]
    fn what_is_finished_is_finished_once() {
        let object = begun("a");
        assert!(!object.is_available(now()));
        let finished = finish(&object, &[("md5", "b")]).unwrap();
        assert_eq!((finished.finished, finished.gone_from), (true, object.expires));
        assert_eq!(finished.hashes, hashes(&[("sha256", "a"), ("md5", "b")]));
        assert!(finished.is_available(now() + days(8)) && !finished.is_available(now() + days(9)));
        assert_eq!(finish(&finished, &[("md5", "b")]), Ok(finished.clone()));
        assert_eq!(finish(&finished, &[]), Ok(finished.clone()));
        assert_eq!(finish(&finished, &[("md5", "c")]), Err(Refusal::HashDiffers("md5".to_owned())));
        assert_eq!(finish(&finished, &[("sha512", "c")]), Err(Refusal::HashLate("sha512".to_owned())));
    }

    #[test]
    fn only_its_own_upload_finishes_it() {
        let object = begun("a");
        let none = Hashes::new();
        assert_eq!(object.finish("q", object.upload_id, &none, now()), Err(Refusal::OtherProject("a".to_owned())));
        assert_eq!(object.finish("p", TaskId::new(), &none, now()), Err(Refusal::OtherUpload("a".to_owned())));
    }

    #[test]
    fn an_upload_is_given_up_after_a_day() {
        let object = begun("a");
        let late = now() + PATIENCE;
        assert_eq!(object.finish("p", object.upload_id, &Hashes::new(), late), Err(Refusal::NoUpload("a".to_owned())));
        assert_eq!(object.begun_again(&object, late), Err(Refusal::Leaving("a".to_owned())));
        let past = Object::begin("a".to_owned(), "p".to_owned(), TaskId::new(), Hashes::new(), now(), now());
        assert_eq!(past, Err(Refusal::ExpiresPast(now())));
    }

    #[test]
    fn what_clients_know_can_be_checked() {
        assert!(begun("a").can_be_checked());
        assert!(!Object { hashes: hashes(&[("md5", "x")]), ..begun("a") }.can_be_checked());
    }
}

//! Blobs: the bytes of artifacts, behind signed URLs.
//!
//! A service never moves the bytes of an artifact itself. It hands out a URL that allows one upload or download for a
//! while ([`Blobs::put_url`], [`Blobs::get_url`]). [`LocalBlobs`] keeps them in a folder and serves the URLs with a router
//! of its own; `S3Blobs` (cargo feature `s3`) leaves both to a bucket. [`Location`] is what an operator writes.

use std::fmt;
use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use taskcluster_core::time::Timestamp;
use url::Url;

mod buckets;
pub mod contract;
mod file;
mod local;
mod location;
#[cfg(feature = "s3")]
mod s3;
mod serve;
mod sign;

pub use buckets::Buckets;
pub use local::LocalBlobs;
pub use location::{Location, LocationError, Storage, base_url};
#[cfg(feature = "s3")]
pub use s3::{S3Blobs, S3Options, S3OptionsError};

/// Where blobs are kept.
///
/// Keys are any text but `.` and `..`, such as `<taskId>/<runId>/public/build.zip`. A blob is there completely or not at all, and the last
/// upload under a key wins.
#[async_trait]
pub trait Blobs: Send + Sync + fmt::Debug + 'static {
    /// A URL that takes one blob by `PUT` until `expires`, with exactly this content type and, if given, length. A
    /// `Content-Encoding` of the upload is kept, and comes back with the blob; the bytes are not touched.
    ///
    /// # Errors
    /// [`BlobError::Key`] for a key that cannot be one.
    fn put_url(
        &self,
        key: &str,
        content_type: &str,
        content_length: Option<u64>,
        expires: Timestamp,
    ) -> Result<Url, BlobError>;

    /// A URL that gives the blob by `GET` until `expires`, whole or in ranges. It need not exist yet.
    ///
    /// # Errors
    /// [`BlobError::Key`] for a key that cannot be one.
    fn get_url(&self, key: &str, expires: Timestamp) -> Result<Url, BlobError>;

    /// Stores a small blob.
    ///
    /// # Errors
    /// [`BlobError::Full`] when there is no room, [`BlobError::Key`], [`BlobError::Failed`].
    async fn write(&self, key: &str, content_type: &str, content: Bytes) -> Result<(), BlobError>;

    /// A small blob with its content type, if it exists.
    ///
    /// # Errors
    /// [`BlobError::Key`], [`BlobError::Failed`].
    async fn read(&self, key: &str) -> Result<Option<(String, Bytes)>, BlobError>;

    /// What is known of a blob, if it exists.
    ///
    /// # Errors
    /// [`BlobError::Key`], [`BlobError::Failed`].
    async fn describe(&self, key: &str) -> Result<Option<BlobInfo>, BlobError>;

    /// Forgets a blob; one that does not exist is no error.
    ///
    /// # Errors
    /// [`BlobError::Key`], [`BlobError::Failed`].
    async fn delete(&self, key: &str) -> Result<(), BlobError>;

    /// Forgets many, and says which could not be.
    async fn delete_all(&self, keys: &[String]) -> Vec<(String, BlobError)> {
        delete_each(self, keys).await
    }
}

async fn delete_each<B: Blobs + ?Sized>(blobs: &B, keys: &[String]) -> Vec<(String, BlobError)> {
    let mut failed = Vec::new();
    for key in keys {
        if let Err(error) = blobs.delete(key).await {
            failed.push((key.clone(), error));
        }
    }
    failed
}

/// What is known of a blob without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobInfo {
    /// Its content type.
    pub content_type: String,
    /// Its length in bytes.
    pub content_length: u64,
}

/// Why a blob was not stored or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The key is empty, too long, or means something else in a URL (`.` and `..`).
    #[error("{0:?} cannot be the key of a blob")]
    Key(String),
    /// There is no room left.
    #[error("there is no room for the blob")]
    Full,
    /// The storage fails.
    #[error("the blob storage failed")]
    Failed(#[source] io::Error),
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::Full,
            _ => Self::Failed(error),
        }
    }
}

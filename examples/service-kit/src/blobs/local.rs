//! Blobs in a folder.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use bytes::Bytes;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::time::Timestamp;
use tokio::io::AsyncReadExt as _;
use url::Url;

use super::file::{self, Incoming, Stored};
use super::sign::{Grant, Signer, Upload};
use super::{BlobError, BlobInfo, Blobs, serve};

/// Longer keys are refused.
const MAX_KEY: usize = 4096;

/// Blobs in a local folder, served under `<base URL>/…` by [`router`](Self::router).
///
/// Cloning gives another handle to the same folder.
#[derive(Clone)]
pub struct LocalBlobs(Arc<Inner>);

struct Inner {
    objects: PathBuf,
    incoming: PathBuf,
    base_url: Url,
    signer: Signer,
    clock: SharedClock,
}

impl LocalBlobs {
    /// Uses a folder, which is made if it does not exist; nobody else may look into what is in it. Uploads that a crash
    /// cut off are removed.
    ///
    /// `base_url` is where [`router`](Self::router) will be reachable, such as `https://tc.example/blobs`. `secret` signs
    /// the URLs: with the same secret they stay valid across a restart.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn open(folder: &Path, base_url: Url, secret: &[u8], clock: SharedClock) -> Result<Self, BlobError> {
        let (objects, incoming) = (folder.join("objects"), folder.join("incoming"));
        file::make_folder(&objects)?;
        if incoming.exists() {
            std::fs::remove_dir_all(&incoming)?;
        }
        file::make_folder(&incoming)?;
        Ok(Self(Arc::new(Inner { objects, incoming, base_url, signer: Signer::new(secret), clock })))
    }

    /// Answers the signed URLs, under the path of the base URL.
    pub fn router(&self) -> Router {
        serve::router(self)
    }

    /// The path below which the router answers.
    pub(super) fn base_path(&self) -> &str {
        self.0.base_url.path().trim_end_matches('/')
    }

    pub(super) fn signer(&self) -> &Signer {
        &self.0.signer
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(super) async fn begin(
        &self,
        key: &str,
        content_type: &str,
        content_encoding: Option<&str>,
    ) -> Result<Incoming, BlobError> {
        Ok(Incoming::begin(&self.0.incoming, key, content_type, content_encoding).await?)
    }

    pub(super) async fn finish(&self, key: &str, incoming: Incoming) -> Result<(), BlobError> {
        Ok(incoming.finish(self.place(key)).await?)
    }

    pub(super) async fn stored(&self, key: &str) -> Result<Option<Stored>, BlobError> {
        Ok(Stored::open(&self.place(key)).await?)
    }

    fn place(&self, key: &str) -> PathBuf {
        file::place(&self.0.objects, key)
    }

    fn url(&self, key: &str, upload: Option<Upload>, expires: Timestamp) -> Result<Url, BlobError> {
        check_key(key)?;
        // Rounded up: a URL lives at least as long as it was asked to.
        let expires = (expires.as_millis() + 999).div_euclid(1000);
        Ok(self.0.signer.url(&self.0.base_url, &Grant { key: key.to_owned(), upload, expires }))
    }
}

impl fmt::Debug for LocalBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalBlobs").field("objects", &self.0.objects).finish_non_exhaustive()
    }
}

#[async_trait]
impl Blobs for LocalBlobs {
    fn put_url(
        &self,
        key: &str,
        content_type: &str,
        content_length: Option<u64>,
        expires: Timestamp,
    ) -> Result<Url, BlobError> {
        self.url(key, Some(Upload { content_type: content_type.to_owned(), content_length }), expires)
    }

    fn get_url(&self, key: &str, expires: Timestamp) -> Result<Url, BlobError> {
        self.url(key, None, expires)
    }

    async fn write(&self, key: &str, content_type: &str, content: Bytes) -> Result<(), BlobError> {
        check_key(key)?;
        let mut incoming = self.begin(key, content_type, None).await?;
        incoming.write(&content).await?;
        self.finish(key, incoming).await
    }

    async fn read(&self, key: &str) -> Result<Option<(String, Bytes)>, BlobError> {
        check_key(key)?;
        let Some(mut stored) = self.stored(key).await? else { return Ok(None) };
        let mut content = Vec::with_capacity(usize::try_from(stored.length).unwrap_or_default());
        stored.file.read_to_end(&mut content).await?;
        Ok(Some((stored.content_type, content.into())))
    }

    async fn describe(&self, key: &str) -> Result<Option<BlobInfo>, BlobError> {
        check_key(key)?;
        let stored = self.stored(key).await?;
        Ok(stored.map(|stored| BlobInfo { content_type: stored.content_type, content_length: stored.length }))
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        check_key(key)?;
        match tokio::fs::remove_file(self.place(key)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn check_key(key: &str) -> Result<(), BlobError> {
    if matches!(key, "" | "." | "..") || key.len() > MAX_KEY {
        Err(BlobError::Key(key.chars().take(100).collect()))
    } else {
        Ok(())
    }
}

//! Where blobs are to be kept, as an operator writes it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use serde::{Deserialize, Serialize};
use taskcluster_core::clock::SharedClock;
use taskcluster_core::ids::TaskId;
use taskcluster_core::secret::Secret;
use url::Url;

use super::{BlobError, Buckets, LocalBlobs};

/// A folder (`file:///dir`, or just its path) or an S3 bucket (`s3://bucket?region=…`, cargo feature `s3`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Location {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket.
    S3(Url),
}

/// Blobs that were opened, for a service and those that it sends there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Storage {
    /// Where they are kept.
    pub buckets: Buckets,
    /// What has to answer the URLs: a bucket does that itself.
    pub router: Option<Router>,
}

/// Why blobs cannot be kept there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocationError {
    /// Neither a folder nor a bucket.
    #[error("{0:?} is no place for blobs: there are file:///folder and s3://bucket")]
    Unknown(String),
    /// The storage.
    #[error("cannot keep blobs in {0}")]
    Storage(Location, #[source] BlobError),
    /// This program was built without it.
    #[error("this program was built without S3 (cargo feature s3)")]
    NoS3,
    /// The URL or the environment.
    #[cfg(feature = "s3")]
    #[error(transparent)]
    S3(#[from] super::S3OptionsError),
}

impl Location {
    /// Opens it. `base_url` and `secret` are those of [`LocalBlobs::open`], which a bucket does not need. Without a secret one is
    /// drawn: then the URLs end with the process.
    ///
    /// # Errors
    /// See [`LocationError`].
    pub fn open(&self, base_url: Url, secret: Option<&Secret>, clock: SharedClock) -> Result<Storage, LocationError> {
        match self {
            Self::Folder(folder) => {
                let failed = |error| LocationError::Storage(self.clone(), error);
                let drawn = || format!("{}{}", TaskId::new(), TaskId::new());
                let secret = secret.map_or_else(drawn, |secret| secret.expose().to_owned());
                let blobs = LocalBlobs::open(folder, base_url, secret.as_bytes(), clock).map_err(failed)?;
                let router = Some(blobs.router());
                Ok(Storage { buckets: Arc::new(blobs).into(), router })
            }
            Self::S3(url) => self.open_bucket(url, &clock),
        }
    }

    #[cfg(feature = "s3")]
    fn open_bucket(&self, url: &Url, clock: &SharedClock) -> Result<Storage, LocationError> {
        let options = super::S3Options::from_env(url)?;
        let failed = |error| LocationError::Storage(self.clone(), error);
        let (blobs, public) = super::S3Blobs::open(&options, clock).map_err(failed)?;
        let public = public.map(|public| Arc::new(public) as Arc<dyn super::Blobs>);
        Ok(Storage { buckets: Buckets::new(Arc::new(blobs), public), router: None })
    }

    #[cfg(not(feature = "s3"))]
    #[allow(clippy::unused_self, reason = "it is used where there is S3")]
    fn open_bucket(&self, _: &Url, _: &SharedClock) -> Result<Storage, LocationError> {
        Err(LocationError::NoS3)
    }
}

/// Where callers reach what is in a folder: at the URL that was asked for, or at a path of the root URL.
///
/// # Errors
/// With the text that is no URL.
pub fn base_url(asked: Option<&str>, root_url: &str, path: &str) -> Result<Url, String> {
    let parse = |text: &str| Url::parse(text).map_err(|_| text.to_owned());
    let root = parse(root_url)?;
    match asked {
        Some(url) => parse(url),
        None => root.join(path).map_err(|_| root_url.to_owned()),
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let unknown = || LocationError::Unknown(text.to_owned());
        match text.split_once("://") {
            _ if text.is_empty() => Err(unknown()),
            None => Ok(Self::Folder(text.into())),
            Some(("file", _)) => {
                let path = Url::parse(text).ok().and_then(|url| url.to_file_path().ok());
                path.map(Self::Folder).ok_or_else(unknown)
            }
            Some(("s3", _)) => Url::parse(text).map(Self::S3).map_err(|_| unknown()),
            Some(_) => Err(unknown()),
        }
    }
}

impl TryFrom<String> for Location {
    type Error = LocationError;

    fn try_from(text: String) -> Result<Self, LocationError> {
        text.parse()
    }
}

impl From<Location> for String {
    fn from(location: Location) -> Self {
        location.to_string()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::S3(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_or_a_bucket() {
        for (text, wanted) in [
            ("blobs", Some(Location::Folder("blobs".into()))),
            ("/var/lib/blobs", Some(Location::Folder("/var/lib/blobs".into()))),
            ("file:///var/lib/blobs", Some(Location::Folder("/var/lib/blobs".into()))),
            ("s3://bucket?region=x", Some(Location::S3("s3://bucket?region=x".parse().unwrap()))),
            ("", None),
            ("gs://bucket", None),
            ("file://host/x", None),
        ] {
            assert_eq!(text.parse::<Location>().ok(), wanted, "{text}");
        }
    }
}

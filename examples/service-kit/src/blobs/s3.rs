//! Blobs in an S3 bucket, Amazon's or any other that speaks its protocol.
//!
//! Uploads and downloads go to the bucket itself by signed URLs; the service only describes, deletes, and moves what is
//! small. Its own requests are signed URLs as well.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use taskcluster_core::RetryPolicy;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::time::Timestamp;
use taskcluster_core::transport::http::HttpTransport;
use taskcluster_core::transport::{Body, Transport};
use url::Url;

use self::presign::{Signer, Wanted};
use super::{BlobError, BlobInfo, Blobs};

mod delete;
mod key;
mod options;
mod presign;

pub use options::{S3Options, S3OptionsError};

/// How long a request of our own may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is read into memory is no larger.
const LARGEST: usize = 64 * 1024 * 1024;

/// One bucket. Cloning gives another handle to it.
#[derive(Clone)]
pub struct S3Blobs(Arc<Inner>);

struct Inner {
    /// Where its keys are paths.
    base: Url,
    /// Everybody may read, so that downloads need no signature.
    public: bool,
    signer: Signer,
    transport: Transport,
    clock: SharedClock,
    retry: RetryPolicy,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl S3Blobs {
    /// The private bucket, and the public one if there is one.
    ///
    /// # Errors
    /// When there cannot be any connections, or a bucket's name cannot stand in a URL.
    pub fn open(options: &S3Options, clock: &SharedClock) -> Result<(Self, Option<Self>), BlobError> {
        let transport = Transport::new(HttpTransport::new().map_err(io::Error::other)?);
        let signer = Signer {
            access_key_id: options.access_key_id.clone(),
            secret_access_key: options.secret_access_key.clone(),
            session_token: options.session_token.clone(),
            region: options.region.clone(),
        };
        let bucket = |name: &str, public| {
            let (signer, transport, clock) = (signer.clone(), transport.clone(), Arc::clone(clock));
            let base = base(name, options)?;
            let retry = RetryPolicy::default().with_retries(3);
            Ok::<_, BlobError>(Self(Arc::new(Inner { base, public, signer, transport, clock, retry })))
        };
        let public = options.public_bucket.as_deref().map(|name| bucket(name, true)).transpose()?;
        Ok((bucket(&options.bucket, false)?, public))
    }

    fn object(&self, key: &str) -> Result<Url, BlobError> {
        let mut url = self.0.base.clone();
        let folder = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{folder}/{}", key::path_of(&key::key_of(key)?)));
        Ok(url)
    }

    /// One request of our own, repeated where the storage or the way to it fails.
    async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, BlobError> {
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut repetition = 0;
        loop {
            let now = self.0.clock.now();
            let wanted = Wanted { method: method.as_str(), query: &query, headers, now, expires: now + PATIENCE * 5 };
            let request =
                Request::builder().method(method.clone()).uri(self.0.signer.sign(url.clone(), &wanted).as_str());
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let request = request.header(header::CONTENT_LENGTH, body.len()).body(Body::from(body.clone()));
            let answer = match tokio::time::timeout(PATIENCE, self.exchange(request.map_err(io::Error::other)?)).await {
                Ok(answer) => answer,
                Err(late) => Err(io::Error::from(late)),
            };
            let passes = answer.as_ref().map_or(true, |answer| {
                answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS
            });
            if !passes || repetition == self.0.retry.retries {
                return Ok(answer?);
            }
            tokio::time::sleep(self.0.retry.delay(repetition, 0.5)).await;
            repetition += 1;
        }
    }

    async fn exchange(&self, request: Request<Body>) -> io::Result<Answer> {
        let (parts, body) = self.0.transport.send(request).await.map_err(io::Error::other)?.into_parts();
        let body = body.collect(LARGEST).await.map_err(io::Error::other)?;
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    async fn delete_batch(&self, keys: &[String]) -> Result<Vec<(String, BlobError)>, BlobError> {
        let there = keys.iter().map(|key| key::key_of(key)).collect::<Result<Vec<_>, _>>()?;
        let body = delete::body(there.iter().map(String::as_str));
        let checksum = delete::checksum(&body);
        let mut url = self.0.base.clone();
        url.set_query(Some("delete="));
        let headers = [("content-type", "application/xml"), ("x-amz-checksum-sha256", &*checksum)];
        let answer = self.send(Method::POST, &url, &headers, body.into()).await?.done()?;
        let failures = delete::failures(&String::from_utf8_lossy(&answer.body));
        let ours = |there_failed: &str| {
            let index = there.iter().position(|key| key == there_failed);
            index.map_or_else(|| there_failed.to_owned(), |index| keys[index].clone())
        };
        Ok(failures.into_iter().map(|(key, why)| (ours(&key), io::Error::other(why).into())).collect())
    }
}

impl Answer {
    /// An answer that says anything but that it is done is an error.
    fn done(self) -> Result<Self, BlobError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let text: String = String::from_utf8_lossy(&self.body).chars().take(300).collect();
        Err(io::Error::other(format!("the bucket answered {}: {text}", self.status)).into())
    }

    /// Nothing where there is nothing.
    fn found(self) -> Result<Option<Self>, BlobError> {
        if self.status == StatusCode::NOT_FOUND { Ok(None) } else { self.done().map(Some) }
    }

    fn content_type(&self) -> String {
        let value = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        value.unwrap_or("application/octet-stream").to_owned()
    }
}

impl fmt::Debug for S3Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Blobs")
            .field("base", &self.0.base.as_str())
            .field("public", &self.0.public)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Blobs for S3Blobs {
    fn put_url(
        &self,
        key: &str,
        content_type: &str,
        content_length: Option<u64>,
        expires: Timestamp,
    ) -> Result<Url, BlobError> {
        let length = content_length.map(|length| length.to_string());
        let mut headers = vec![("content-type", content_type)];
        headers.extend(length.as_deref().map(|length| ("content-length", length)));
        let wanted = Wanted { method: "PUT", query: &[], headers: &headers, now: self.0.clock.now(), expires };
        Ok(self.0.signer.sign(self.object(key)?, &wanted))
    }

    fn get_url(&self, key: &str, expires: Timestamp) -> Result<Url, BlobError> {
        let url = self.object(key)?;
        if self.0.public {
            return Ok(url);
        }
        let wanted = Wanted { method: "GET", query: &[], headers: &[], now: self.0.clock.now(), expires };
        Ok(self.0.signer.sign(url, &wanted))
    }

    async fn write(&self, key: &str, content_type: &str, content: Bytes) -> Result<(), BlobError> {
        self.send(Method::PUT, &self.object(key)?, &[("content-type", content_type)], content).await?.done()?;
        Ok(())
    }

    async fn read(&self, key: &str) -> Result<Option<(String, Bytes)>, BlobError> {
        let answer = self.send(Method::GET, &self.object(key)?, &[], Bytes::new()).await?.found()?;
        Ok(answer.map(|answer| (answer.content_type(), answer.body)))
    }

    async fn describe(&self, key: &str) -> Result<Option<BlobInfo>, BlobError> {
        let Some(answer) = self.send(Method::HEAD, &self.object(key)?, &[], Bytes::new()).await?.found()? else {
            return Ok(None);
        };
        let length = answer.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let content_length = length.ok_or_else(|| io::Error::other("the bucket does not say how long the blob is"))?;
        Ok(Some(BlobInfo { content_type: answer.content_type(), content_length }))
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.send(Method::DELETE, &self.object(key)?, &[], Bytes::new()).await?.found()?;
        Ok(())
    }

    async fn delete_all(&self, keys: &[String]) -> Vec<(String, BlobError)> {
        let mut failed = Vec::new();
        for batch in keys.chunks(delete::BATCH) {
            match self.delete_batch(batch).await {
                Ok(some) => failed.extend(some),
                // One at a time, then at least what can be deleted is: not every storage has this request.
                Err(error) => {
                    tracing::warn!(error = %error, "blobs cannot be deleted together");
                    failed.extend(super::delete_each(self, batch).await);
                }
            }
        }
        failed
    }
}

/// Amazon has a host for each bucket, others a path.
fn base(bucket: &str, options: &S3Options) -> Result<Url, BlobError> {
    let invalid = || BlobError::Failed(io::Error::other(format!("{bucket:?} cannot be the name of a bucket")));
    if !bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')) {
        return Err(invalid());
    }
    let text = match &options.endpoint {
        Some(endpoint) => format!("{}/{bucket}", endpoint.as_str().trim_end_matches('/')),
        // A name with dots fits no certificate.
        None if bucket.contains('.') => format!("https://s3.{}.amazonaws.com/{bucket}", options.region),
        None => format!("https://{bucket}.s3.{}.amazonaws.com/", options.region),
    };
    Url::parse(&text).map_err(|_| invalid())
}

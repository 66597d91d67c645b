//! What web servers have.

use std::path::Path;

use http::header::{ACCEPT_ENCODING, LOCATION};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};
use taskcluster_core::transport::{Body, TransportError};
use taskcluster_core::{Caller, chain};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use url::Url;

use super::budget::{Budget, Fault};
use crate::error::{Error, Result};

const REDIRECTS: u32 = 10;

/// Fetch `url` into the file `to`, which is emptied before each attempt, and give the SHA-256 of what came.
///
/// Nothing of the task's or the worker's credentials is sent.
///
/// # Errors
/// [`Error::Payload`]: the server says that there is no such thing, or that it may not be had. [`Error::Unavailable`]: no
/// server answers, or it is in trouble, also after retries.
pub(super) async fn fetch(caller: &Caller, url: &Url, to: &Path, budget: &Budget) -> Result<String> {
    let policy = caller.retry_policy();
    let mut failures = 0;
    loop {
        let why = match attempt(caller, url, to, budget).await {
            Ok(sha256) => return Ok(sha256),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing(why)) => why,
        };
        if failures == policy.retries {
            return Err(Error::unavailable(format!("cannot fetch {url}: {why}")));
        }
        tracing::debug!(%url, why, "fetch again");
        tokio::time::sleep(policy.delay(failures, 0.5)).await;
        failures += 1;
    }
}

/// Why an attempt brought nothing.
enum Failure {
    /// Another would not do better.
    Final(Error),
    Passing(String),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Final(fault.into())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Fault::Disk(error).into()
    }
}

async fn attempt(caller: &Caller, url: &Url, to: &Path, budget: &Budget) -> Result<String, Failure> {
    let response = follow(caller, url).await?;
    let mut body = response.into_body();
    let mut file = File::create(to).await?;
    let mut hash = Sha256::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Passing(chain(&*error).to_string()))?;
        let Ok(piece) = frame.into_data() else { continue };
        budget.take_bytes(piece.len() as u64, &file)?;
        hash.update(&piece);
        file.write_all(&piece).await?;
    }
    file.flush().await?;
    Ok(hex(&hash.finalize()))
}

/// GET, through redirects, which never lead from `https` to `http`.
async fn follow(caller: &Caller, url: &Url) -> Result<Response<Body>, Failure> {
    let mut at = url.clone();
    for _ in 0..=REDIRECTS {
        let response = get(caller, &at).await?;
        match response.status() {
            status if status.is_success() => return Ok(response),
            status if !is_redirect(status) => return Err(refused(url, status)),
            _ => {}
        }
        let target = response.headers().get(LOCATION).and_then(|target| at.join(target.to_str().ok()?).ok());
        at = match target {
            Some(target) if target.scheme() == at.scheme() || target.scheme() == "https" => target,
            Some(target) => return Err(malformed(url, &format!("it is redirected to {target}, which is not safe"))),
            None => return Err(malformed(url, "it is redirected to nowhere")),
        };
    }
    Err(malformed(url, "it is redirected too often"))
}

async fn get(caller: &Caller, url: &Url) -> Result<Response<Body>, Failure> {
    let request = Request::builder().method(Method::GET).uri(url.as_str()).header(ACCEPT_ENCODING, "identity");
    let request = request.body(Body::empty()).map_err(|error| malformed(url, &error.to_string()))?;
    let sent = caller.transport().send_watched(request, caller.retry_policy().stall_timeout).await;
    sent.map_err(|error: TransportError| match error.is_retryable() {
        true => Failure::Passing(chain(&error).to_string()),
        // Such as a certificate that nobody vouches for.
        false => malformed(url, &chain(&error).to_string()),
    })
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn refused(url: &Url, status: StatusCode) -> Failure {
    let passes = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
    let why = format!("the server answers {status}");
    if passes { Failure::Passing(why) } else { malformed(url, &why) }
}

fn malformed(url: &Url, why: &str) -> Failure {
    Failure::Final(Error::payload(format!("cannot mount {url}: {why}")))
}

/// A hash as people write it.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

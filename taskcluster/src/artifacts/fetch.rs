//! Single requests for content, and what to do after one that failed.

use std::io;

use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use taskcluster_core::chain;
use taskcluster_core::transport::Body;
use url::Url;

use super::download::{Download, Source};
use super::{ArtifactError, Patience};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const REDIRECTS: u32 = 10;

/// Why one request did not bring the rest.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("this side failed")]
    Local(#[source] io::Error),
    #[error("the content changed")]
    Changed,
    #[error("the content is not what its hash says")]
    Corrupt {
        /// Whether what was written could be taken back.
        again: bool,
    },
    #[error("answered {status}")]
    Refused { status: StatusCode, message: String },
    #[error("cut")]
    Cut(#[source] BoxError),
}

/// A part of the content, from a byte to its end or to another byte, that one included.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) from: u64,
    pub(super) to: Option<u64>,
    /// Of which content.
    pub(super) validator: Option<String>,
}

/// The way to the content: a URL as long as it works, a fresh one after that, and an end to patience.
pub(super) struct Route<'a> {
    download: &'a Download,
    label: &'a str,
    source: Option<Source>,
    fresh: bool,
    patience: Patience<'a>,
}

impl<'a> Route<'a> {
    pub(super) fn new(download: &'a Download, label: &'a str) -> Self {
        let patience = Patience::of(&download.artifacts.caller);
        Self { download, label, source: None, fresh: true, patience }
    }

    /// A way that is known already.
    pub(super) fn along(download: &'a Download, label: &'a str, source: Source) -> Self {
        Self { source: Some(source), ..Self::new(download, label) }
    }

    pub(super) async fn source(&mut self) -> Result<Source, ArtifactError> {
        self.fresh = self.source.is_none();
        match self.source.take() {
            Some(source) => Ok(source),
            None => self.download.locate().await,
        }
    }

    /// The transfer got further.
    pub(super) fn renew(&mut self) {
        self.patience.renew();
    }

    /// Waits until there is reason for another request, or gives up.
    pub(super) async fn after(&mut self, failure: Failure, source: Source) -> Result<(), ArtifactError> {
        let name = self.download.name.clone();
        let task_id = self.download.task_id().map(tracing::field::display);
        tracing::debug!(task.id = task_id, artifact = name, "download: {}", chain(&failure));
        match failure {
            Failure::Local(error) => Err(self.download.local(self.label.to_owned(), error)),
            Failure::Changed => Err(ArtifactError::Changed { name }),
            // A URL that worked some time ago may have expired; a fresh one that is refused will not get better.
            Failure::Refused { status, message } if self.fresh && !passes(status) => {
                Err(self.download.refused(status, message))
            }
            Failure::Refused { status, message } => {
                self.source = passes(status).then_some(source);
                if self.patience.another().await { Ok(()) } else { Err(self.download.refused(status, message)) }
            }
            Failure::Corrupt { again } => {
                if again && self.patience.another().await {
                    Ok(())
                } else {
                    Err(ArtifactError::Corrupt { name })
                }
            }
            Failure::Cut(error) => {
                self.source = Some(source);
                if self.patience.another().await {
                    Ok(())
                } else {
                    Err(ArtifactError::Interrupted { name, source: error })
                }
            }
        }
    }
}

/// GET without credentials, through redirects, which never lead from `https` to `http`.
pub(super) async fn get(download: &Download, url: &Url, range: Option<&Range>) -> Result<Response<Body>, Failure> {
    let mut url = url.clone();
    for _ in 0..=REDIRECTS {
        let mut request =
            Request::builder().method(Method::GET).uri(url.as_str()).header(header::ACCEPT_ENCODING, "identity");
        if let Some(range) = range {
            let to = range.to.map(|to| to.to_string()).unwrap_or_default();
            request = request.header(header::RANGE, format!("bytes={}-{to}", range.from));
            if let Some(validator) = &range.validator {
                request = request.header(header::IF_RANGE, validator);
            }
        }
        let request = request.body(Body::empty()).map_err(|error| Failure::Cut(error.into()))?;
        let response = download.artifacts.send(request).await.map_err(|error| Failure::Cut(error.into()))?;
        if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(response);
        }
        let target = text(response.headers(), header::LOCATION)
            .and_then(|location| url.join(&location).ok())
            .ok_or_else(|| Failure::Cut("a redirect without a usable location".into()))?;
        if url.scheme() == "https" && target.scheme() != "https" {
            return Err(Failure::Refused {
                status: response.status(),
                message: "redirect from https to an insecure address".to_owned(),
            });
        }
        url = target;
    }
    Err(Failure::Refused { status: StatusCode::LOOP_DETECTED, message: "too many redirects".to_owned() })
}

fn passes(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::LOOP_DETECTED
        || status == StatusCode::REQUEST_TIMEOUT
        || status == StatusCode::TOO_MANY_REQUESTS
}

pub(super) fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

pub(super) fn number(headers: &HeaderMap, name: header::HeaderName) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

/// A strong entity tag: two answers that carry it have the same bytes.
pub(super) fn strong_tag(headers: &HeaderMap) -> Option<String> {
    text(headers, header::ETAG).filter(|tag| !tag.starts_with("W/"))
}

/// `bytes 5-9/10` → (5, Some(10)); the total may be `*`.
pub(super) fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let value = text(headers, header::CONTENT_RANGE)?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    Some((from.parse().ok()?, if total == "*" { None } else { Some(total.parse().ok()?) }))
}

//! Notices of a cloud that it is about to take the machine away.
//!
//! Such a machine has from half a minute (Google) to two (Amazon). A worker that is told at once gives its runs back, so that
//! another one takes them; otherwise the queue waits until the claims expire.
//!
//! ```no_run
//! use taskcluster_core::transport::http::HttpTransport;
//! use taskcluster_worker::Shutdown;
//! use taskcluster_worker::notices::{Cloud, Watch};
//!
//! # async fn example() -> Result<(), taskcluster_core::Report> {
//! let shutdown = Shutdown::by_signals()?;
//! tokio::spawn(Watch::new(Cloud::Ec2, HttpTransport::new()?.into_transport()).run(shutdown.clone()));
//! # Ok(())
//! # }
//! ```

mod ec2;
mod gcp;

use std::fmt;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use taskcluster_core::transport::{Body, Transport};

use crate::shutdown::Shutdown;

/// A cloud that gives notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cloud {
    /// Amazon's: `spot/instance-action` of the instance metadata service, version 2, asked every five seconds.
    Ec2,
    /// Google's: `instance/preempted` of the metadata server, which answers when it changes.
    Gcp,
}

impl Cloud {
    /// Where machines of this cloud find what it says of them.
    #[must_use]
    pub fn metadata(self) -> &'static str {
        match self {
            Self::Ec2 => "http://169.254.169.254",
            Self::Gcp => "http://metadata.google.internal",
        }
    }
}

/// Listens for the notice.
pub struct Watch {
    cloud: Cloud,
    transport: Transport,
    metadata: String,
    interval: Duration,
}

impl Watch {
    /// Ask that cloud by this transport, every five seconds where answers do not wait for a change.
    #[must_use]
    pub fn new(cloud: Cloud, transport: Transport) -> Self {
        Self { cloud, transport, metadata: cloud.metadata().to_owned(), interval: Duration::from_secs(5) }
    }

    /// Ask at another place than [`Cloud::metadata`], such as `http://127.0.0.1:8000`.
    #[must_use]
    pub fn at(mut self, metadata: &str) -> Self {
        metadata.trim_end_matches('/').clone_into(&mut self.metadata);
        self
    }

    /// Ask so often.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Wait for the notice, and tell `shutdown` that the present runs are to be given back. While the cloud does not answer, it
    /// is asked again and again.
    ///
    /// # Cancel safety
    /// Dropping the future ends the watch.
    pub async fn run(self, shutdown: Shutdown) {
        let notice = match self.cloud {
            Cloud::Ec2 => ec2::notice(&self).await,
            Cloud::Gcp => gcp::notice(&self).await,
        };
        tracing::warn!(notice, "the cloud takes this machine away: runs are given back");
        shutdown.now_because(format!("the cloud takes the machine away: {notice}"));
    }
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// An answer longer than this is none.
const LONGEST: usize = 64 * 1024;

/// An answer of the cloud.
struct Answer {
    status: StatusCode,
    etag: Option<String>,
    text: String,
}

impl Watch {
    /// Ask, for at most [`PATIENCE`] longer than the cloud has leave to wait. The error is for people.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        header: (&'static str, &str),
        waits: Duration,
    ) -> Result<Answer, String> {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.metadata));
        let request = request.header(header.0, header.1).body(Body::empty()).map_err(|error| error.to_string())?;
        let asking = async {
            let (parts, body) = self.transport.send(request).await.map_err(|error| error.to_string())?.into_parts();
            let text = body.collect(LONGEST).await.map_err(|error| error.to_string())?;
            let etag = parts.headers.get("etag").and_then(|value| value.to_str().ok()).map(str::to_owned);
            Ok(Answer { status: parts.status, etag, text: String::from_utf8_lossy(&text).into_owned() })
        };
        let answer = tokio::time::timeout(PATIENCE + waits, asking).await;
        answer.unwrap_or_else(|_| Err("there was no answer in time".to_owned()))
    }
}

/// Says once in a row that the cloud does not answer.
#[derive(Default)]
struct Complaint {
    said: bool,
}

impl Complaint {
    fn say(&mut self, why: &str) {
        if !self.said {
            tracing::warn!(why, "cannot ask the cloud whether this machine is to be taken away");
            self.said = true;
        }
    }

    fn over(&mut self) {
        self.said = false;
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("cloud", &self.cloud).field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

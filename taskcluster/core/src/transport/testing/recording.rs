use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use tower::service_fn;

use super::{Call, LONGEST_BODY, ScriptedTransport};
use crate::transport::{Body, Transport, TransportError, TransportErrorKind};

/// A transport that passes everything on to another one and remembers it. Bodies are read whole. Clones share the
/// record.
///
/// ```
/// use taskcluster_core::Caller;
/// use taskcluster_core::transport::testing::{RecordingTransport, ScriptedTransport};
///
/// # fn main() -> Result<(), taskcluster_core::Error> {
/// # let http = ScriptedTransport::new();
/// let recorder = RecordingTransport::new(&http); // or an `HttpTransport`
/// let caller = Caller::builder("https://tc.example.com").transport(recorder.transport()).build()?;
/// // Call something; then play it again without a network:
/// let replay = Caller::builder("https://tc.example.com").transport(recorder.script().transport()).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RecordingTransport {
    inner: Transport,
    record: Arc<Mutex<Vec<Recorded>>>,
}

/// A request with the answer that it got.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Recorded {
    /// The request.
    pub call: Call,
    /// The status of the answer.
    pub status: StatusCode,
    /// The headers of the answer.
    pub headers: HeaderMap,
    /// The body of the answer.
    pub body: Bytes,
}

impl RecordingTransport {
    /// Records what passes through `inner`.
    pub fn new(inner: impl Into<Transport>) -> Self {
        Self { inner: inner.into(), record: Arc::default() }
    }

    /// What has passed so far, in the order of the answers. Requests without an answer are not in it.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A script that gives the recorded answers again, by method name or by HTTP method and path.
    #[must_use]
    pub fn script(&self) -> ScriptedTransport {
        let script = ScriptedTransport::new();
        for recorded in self.recorded() {
            let key = match recorded.call.operation {
                Some(operation) => operation.to_string(),
                None => format!("{} {}", recorded.call.method, recorded.call.path),
            };
            let mut answer = Response::new(recorded.body);
            *answer.status_mut() = recorded.status;
            *answer.headers_mut() = recorded.headers;
            script.add(&key, answer);
        }
        script
    }

    /// The recorder in the form in which a caller takes it.
    #[must_use]
    pub fn transport(&self) -> Transport {
        let recorder = self.clone();
        Transport::new(service_fn(move |request| recorder.clone().pass(request)))
    }

    async fn pass(self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        // The record needs the body, and so does the other transport.
        let (parts, body) = request.into_parts();
        let body = body
            .collect(LONGEST_BODY)
            .await
            .map_err(|error| TransportError::new(TransportErrorKind::Request, error))?;
        let call = Call::of(Request::from_parts(parts.clone(), body.clone().into())).await?;
        let answer = self.inner.send(Request::from_parts(parts, body.into())).await?;
        let (parts, body) = answer.into_parts();
        let body = body.collect(LONGEST_BODY).await;
        let body = body.map_err(|error| TransportError::new(TransportErrorKind::Interrupted, error))?;
        let recorded = Recorded { call, status: parts.status, headers: parts.headers.clone(), body: body.clone() };
        self.record.lock().unwrap_or_else(PoisonError::into_inner).push(recorded);
        Ok(Response::from_parts(parts, body.into()))
    }
}

impl From<&RecordingTransport> for Transport {
    fn from(recorder: &RecordingTransport) -> Self {
        recorder.transport()
    }
}

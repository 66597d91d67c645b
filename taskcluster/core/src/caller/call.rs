use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use http::uri::Uri;
use http::{Request, Response, StatusCode};
use ring::digest::Digest;
use tokio::time::{Instant, sleep, timeout};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::Caller;
use super::answer::{Answer, date, is_result};
use crate::backoff::chance;
use crate::error::{Error, chain};
use crate::hawk::{RequestFacts, digest_payload};
use crate::operation::{BLOB, Method, Operation};
use crate::transport::{Body, BodyTooLarge, BoxError, TransportError, TransportErrorKind};

/// The longest answer that is read into memory; the longest that the services are known to give is a few megabytes.
const LONGEST_ANSWER: usize = 256 << 20;

const JSON: &str = "application/json";
const TRACE_ID: HeaderName = HeaderName::from_static("x-taskcluster-trace-id");

/// One call on its way, through all of its attempts.
struct Call<'a> {
    caller: &'a Caller,
    operation: &'static Operation,
    uri: Uri,
    body: Option<Bytes>,
    hash: Option<Digest>,
    /// Whether the body of a result is left to whoever calls, to be read as it comes.
    streams: bool,
    attempts: u32,
    /// How the last complete attempt ended.
    last: Option<Box<Error>>,
    span: Span,
}

/// What an attempt came to.
enum Verdict {
    Result(Answer),
    /// Refused, and the answer says that our clock is wrong.
    ClockWasWrong(Failed),
    Failed(Failed),
}

struct Failed {
    error: Error,
    /// Whether the call may be repeated.
    repeatable: bool,
    /// How long the service asked to wait.
    wait: Duration,
}

/// Why an attempt brought no answer.
enum Failure {
    /// Nothing that could be repeated.
    Final(Error),
    Transport(TransportError),
    /// The answer began, and its body broke off.
    Body(BoxError),
}

impl Caller {
    /// Calls a method and gives the body of its answer; generated code and [`Request`](crate::Request) do so. Redirects
    /// are answers.
    ///
    /// `path` stands below `/api/<service>/<version>` and is encoded already, as is `query`. The body is JSON.
    ///
    /// # Errors
    /// [`Error::Api`] for every status from 400; the others if there is no usable answer after all attempts that the
    /// [`RetryPolicy`](crate::RetryPolicy) allows.
    ///
    /// # Cancel safety
    /// Dropping the future gives the call up. It may have arrived.
    pub async fn call(
        &self,
        operation: &'static Operation,
        path: String,
        query: String,
        body: Option<Bytes>,
    ) -> Result<Bytes, Error> {
        let call = Call::new(self, operation, (path, query), body, false)?;
        Ok(call.run_in_span().await?.into_bytes())
    }

    /// The same, but gives the answer as soon as it begins, with a body that is read as it comes: for answers that are
    /// large, or never end.
    ///
    /// What breaks once the body has begun is an error of that body, and is not made up for by another attempt. The time
    /// limits of the [`RetryPolicy`](crate::RetryPolicy) end with the beginning too.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    pub async fn open(
        &self,
        operation: &'static Operation,
        path: String,
        query: String,
        body: Option<Bytes>,
    ) -> Result<Response<Body>, Error> {
        let call = Call::new(self, operation, (path, query), body, true)?;
        let answer = call.run_in_span().await?;
        let mut response = Response::new(answer.body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

impl<'a> Call<'a> {
    fn new(
        caller: &'a Caller,
        operation: &'static Operation,
        (path, query): (String, String),
        body: Option<Bytes>,
        streams: bool,
    ) -> Result<Self, Error> {
        let uri = caller.uri(operation, &path, &query)?;
        let (service, method) = (operation.service, operation.name);
        let span = tracing::debug_span!(
            "call", service, method, otel.name = %operation, otel.kind = "client", attempts = Empty, status = Empty,
        );
        let hash = body.as_ref().map(|body| digest_payload(JSON, body));
        Ok(Self { caller, operation, uri, body, hash, streams, attempts: 0, last: None, span })
    }

    async fn run_in_span(self) -> Result<Answer, Error> {
        let span = self.span.clone();
        self.run().instrument(span).await
    }

    async fn run(mut self) -> Result<Answer, Error> {
        let (policy, budget) = (&self.caller.0.retry, &self.caller.0.budget);
        let started = Instant::now();
        let mut repetitions = 0;
        let mut clock_corrected = false;
        loop {
            self.attempts += 1;
            self.span.record("attempts", self.attempts);
            let left = policy.deadline.saturating_sub(started.elapsed());
            let offset = self.caller.0.skew.offset();
            let verdict = match timeout(policy.attempt_timeout.min(left), self.attempt()).await {
                Ok(outcome) => self.judge(outcome, offset),
                Err(_) if left <= policy.attempt_timeout => return Err(self.out_of_time()),
                Err(_) => Verdict::Failed(self.silence()),
            };
            let failed = match verdict {
                Verdict::Result(answer) => {
                    budget.succeeded(repetitions);
                    return Ok(answer);
                }
                Verdict::ClockWasWrong(_) if !clock_corrected => {
                    clock_corrected = true;
                    tracing::debug!("corrected the clock by the server's");
                    continue;
                }
                Verdict::ClockWasWrong(failed) | Verdict::Failed(failed) => failed,
            };

            let Failed { error, repeatable, wait } = failed;
            let delay = policy.delay(repetitions, chance()).max(wait);
            let left = policy.deadline.saturating_sub(started.elapsed());
            if !repeatable || repetitions >= policy.retries || delay >= left {
                tracing::debug!(attempts = self.attempts, error = %chain(&error), "call failed");
                return Err(error);
            }
            if !budget.take(policy.budget) {
                tracing::warn!(attempts = self.attempts, error = %chain(&error), "not tried again: too many calls have failed of late");
                return Err(error);
            }
            repetitions += 1;
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(attempts = self.attempts, delay_ms, error = %chain(&error), "trying the call again");
            self.last = Some(Box::new(error));
            sleep(delay).await;
        }
    }

    /// What an attempt came to. `offset` is the clock's correction with which it was signed.
    fn judge(&self, outcome: Result<Answer, Failure>, offset: i64) -> Verdict {
        let idempotent = self.operation.idempotent;
        match outcome {
            Ok(answer) if is_result(answer.status) => Verdict::Result(answer),
            Ok(answer) => {
                // The refusal of a signature may have been for our clock: if this answer taught us better, it is worth
                // one more attempt, even of a call that is not idempotent, since it was refused.
                let corrected = offset != self.caller.0.skew.offset();
                let clock_was_wrong = answer.status == StatusCode::UNAUTHORIZED && corrected;
                let mut error = answer.into_error(self.operation, self.attempts, self.caller.0.clock.now());
                error.anonymous = self.is_anonymous();
                let (repeatable, wait) = (error.is_retryable() && idempotent, error.retry_after.unwrap_or_default());
                let failed = Failed { error: error.into(), repeatable, wait };
                if clock_was_wrong { Verdict::ClockWasWrong(failed) } else { Verdict::Failed(failed) }
            }
            Err(Failure::Final(error)) => Verdict::Failed(Failed { error, repeatable: false, wait: Duration::ZERO }),
            Err(Failure::Transport(source)) => {
                let repeatable = source.is_retryable() && (idempotent || source.is_connect());
                Verdict::Failed(Failed { error: self.transport_error(source), repeatable, wait: Duration::ZERO })
            }
            Err(Failure::Body(source)) => {
                let repeatable = idempotent && !source.is::<BodyTooLarge>();
                let error = Error::body(self.operation, Bytes::new(), source);
                Verdict::Failed(Failed { error, repeatable, wait: Duration::ZERO })
            }
        }
    }

    /// An attempt without an answer in its time.
    fn silence(&self) -> Failed {
        let text = format!("nothing within {} s", self.caller.0.retry.attempt_timeout.as_secs_f64());
        let error = self.transport_error(TransportError::new(TransportErrorKind::Timeout, text));
        Failed { error, repeatable: self.operation.idempotent, wait: Duration::ZERO }
    }

    /// No time is left for the call.
    fn out_of_time(self) -> Error {
        let (operation, after) = (self.operation.to_string(), self.caller.0.retry.deadline);
        Error::Deadline { operation, target: self.target(), attempts: self.attempts, after, last: self.last }
    }

    /// Sends the request once, signed afresh, and reads the answer, or its beginning.
    async fn attempt(&self) -> Result<Answer, Failure> {
        let request = self.request().map_err(Failure::Final)?;
        let answer = self.caller.0.transport.send(request).await.map_err(Failure::Transport)?;
        let (parts, body) = answer.into_parts();
        self.span.record("status", parts.status.as_u16());
        if let Some(date) = date(&parts.headers) {
            self.caller.0.skew.learn(date, self.caller.0.clock.now());
        }
        let body = if self.streams && is_result(parts.status) {
            tracing::trace!(status = parts.status.as_u16(), "answer begins");
            body
        } else {
            let body = body.collect(LONGEST_ANSWER).await.map_err(Failure::Body)?;
            tracing::trace!(status = parts.status.as_u16(), bytes = body.len(), "answer");
            body.into()
        };
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    fn request(&self) -> Result<Request<Body>, Error> {
        let inner = &*self.caller.0;
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(USER_AGENT, inner.user_agent.clone());
        let accepted = if self.operation.output == Some(BLOB) { "*/*" } else { JSON };
        headers.insert(ACCEPT, HeaderValue::from_static(accepted));
        if let Some(trace_id) = &inner.trace_id {
            headers.insert(TRACE_ID, trace_id.clone());
        }
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        } else if matches!(self.operation.method, Method::Post | Method::Put | Method::Patch) {
            // Load balancers refuse such a request without a length (411).
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if inner.proxy.is_none()
            && let Some(authorization) = self.sign()?
        {
            headers.insert(AUTHORIZATION, authorization);
        }

        #[cfg(feature = "opentelemetry")]
        super::propagation::inject(&Span::current(), &mut headers);

        let mut request = Request::new(self.body.clone().map_or(Body::empty(), Body::from));
        *request.method_mut() = self.operation.method.into();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        request.extensions_mut().insert(self.operation);
        Ok(request)
    }

    fn sign(&self) -> Result<Option<HeaderValue>, Error> {
        let inner = &*self.caller.0;
        let facts = RequestFacts {
            method: self.operation.method.as_str(),
            resource: self.uri.path_and_query().map_or("/", |resource| resource.as_str()),
            host: inner.root.host(),
            port: inner.root.port(),
        };
        let hash = self.hash.as_ref().map(Digest::as_ref);
        let now = inner.skew.correct(inner.clock.now());
        let signed = inner.identity.with_signer(|signer| signer.header(facts, hash, now)).transpose();
        signed.map_err(|error| Error::config_from(format!("{}: no signature", self.operation), error))
    }

    fn transport_error(&self, source: TransportError) -> Error {
        let operation = self.operation.to_string();
        Error::Transport { operation, target: self.target(), attempts: self.attempts, source }
    }

    /// Who is called. Without the path, which holds a secret where a worker's proxy is called.
    fn target(&self) -> String {
        let part = |part: Option<&str>| part.unwrap_or_default().to_owned();
        format!("{}://{}", part(self.uri.scheme_str()), part(self.uri.authority().map(|authority| authority.as_str())))
    }

    /// Whether nobody signs: there are no credentials, nor a proxy that would have some.
    fn is_anonymous(&self) -> bool {
        let inner = &*self.caller.0;
        inner.proxy.is_none() && inner.identity.credentials().is_none()
    }
}

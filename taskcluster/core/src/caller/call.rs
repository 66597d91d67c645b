use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
    USER_AGENT,
};
use http::uri::Uri;
use http::{Request, Response, StatusCode};
use ring::digest::Digest;
use tokio::time::{Instant, sleep, timeout};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::Caller;
use super::answer::{Answer, date, is_result};
use crate::backoff::{RetryPolicy, chance};
use crate::error::{Error, chain};
use crate::hawk::{RequestFacts, digest_payload};
use crate::intercept::{Around, Attempted, Outcome};
use crate::operation::{BLOB, Method, Operation};
use crate::request::Settings;
use crate::root_url::RootUrl;
use crate::transport::{Body, BodyTooLarge, BoxError, TransportError, TransportErrorKind};

/// The longest answer that is read into memory; the longest that the services are known to give is a few megabytes.
const LONGEST_ANSWER: usize = 256 << 20;

const JSON: &str = "application/json";
const TRACE_ID: HeaderName = HeaderName::from_static("x-taskcluster-trace-id");

/// Headers of which nobody but the call itself knows what they must say.
const OWN: [HeaderName; 5] = [AUTHORIZATION, HOST, CONTENT_TYPE, CONTENT_LENGTH, TRANSFER_ENCODING];

/// One call on its way, through all of its attempts.
struct Call<'a> {
    caller: &'a Caller,
    operation: &'static Operation,
    policy: &'a RetryPolicy,
    /// Whether it may be repeated although it may have arrived.
    idempotent: bool,
    /// Where the service is, if not at the root URL.
    located: Option<Box<RootUrl>>,
    uri: Uri,
    body: Option<Bytes>,
    hash: Option<Digest>,
    /// Whether the body of a result is left to whoever calls, to be read as it comes.
    streams: bool,
    attempts: u32,
    /// How the last complete attempt ended.
    last: Option<Box<Error>>,
    around: Option<Box<Around<'a>>>,
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

/// An answer, of which nobody has been told yet what came of it.
pub(crate) struct Answered<'a> {
    answer: Answer,
    around: Option<Box<Around<'a>>>,
}

impl Answered<'_> {
    /// What is made of the body, and with it the end of the call.
    pub(crate) fn read<T>(self, read: impl FnOnce(Bytes) -> Result<T, Error>) -> Result<T, Error> {
        let Self { answer, mut around } = self;
        let status = answer.status;
        let outcome = read(answer.into_bytes());
        if let Some(around) = &mut around {
            around.leave(Outcome::of(outcome.as_ref().map(|_| status)));
        }
        outcome
    }

    /// The answer, whose beginning is the end of the call.
    fn begun(self) -> Answer {
        let Self { answer, mut around } = self;
        if let Some(around) = &mut around {
            around.leave(Outcome::Answer(answer.status));
        }
        answer
    }
}

impl Caller {
    /// Calls a method and gives the body of its answer; generated code and [`Request`](crate::Request) do so. Redirects
    /// are answers.
    ///
    /// `path` stands below `/api/<service>/<version>` and is encoded already, as is `query`. The body is JSON.
    ///
    /// # Errors
    /// [`Error::Api`] for every status from 400; the others if there is no usable answer after all attempts that the
    /// [`RetryPolicy`] allows.
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
        self.call_as(None, operation, path, query, body).await?.read(Ok)
    }

    /// The same with settings of its own; what is made of the body is part of the call.
    pub(crate) async fn call_as<'a>(
        &'a self,
        settings: Option<&'a Settings>,
        operation: &'static Operation,
        path: String,
        query: String,
        body: Option<Bytes>,
    ) -> Result<Answered<'a>, Error> {
        Call::new(self, settings, operation, (path, query), body, false)?.run_in_span().await
    }

    /// The same, but gives the answer as soon as it begins, with a body that is read as it comes: for answers that are
    /// large, or never end.
    ///
    /// What breaks once the body has begun is an error of that body, and is not made up for by another attempt. Of the time
    /// limits of the [`RetryPolicy`] only [`stall_timeout`](RetryPolicy::stall_timeout) goes on: when the service is silent for
    /// longer than that while somebody waits to read, the body ends with the error [`Stalled`](crate::transport::Stalled).
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
        self.open_as(None, operation, path, query, body).await
    }

    /// The same with settings of its own.
    pub(crate) async fn open_as(
        &self,
        settings: Option<&Settings>,
        operation: &'static Operation,
        path: String,
        query: String,
        body: Option<Bytes>,
    ) -> Result<Response<Body>, Error> {
        let call = Call::new(self, settings, operation, (path, query), body, true)?;
        let answer = call.run_in_span().await?.begun();
        let mut response = Response::new(answer.body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

impl<'a> Call<'a> {
    fn new(
        caller: &'a Caller,
        settings: Option<&'a Settings>,
        operation: &'static Operation,
        (path, query): (String, String),
        body: Option<Bytes>,
        streams: bool,
    ) -> Result<Self, Error> {
        let located = caller.locate(operation);
        let uri = caller.uri(located.as_deref(), operation, &path, &query)?;
        let (service, method) = (operation.service, operation.name);
        let span = tracing::debug_span!(
            "call", service, method, otel.name = %operation, otel.kind = "client", attempts = Empty, status = Empty,
        );
        let hash = body.as_ref().map(|body| digest_payload(JSON, body));
        let policy = settings.and_then(Settings::policy).unwrap_or(&caller.0.retry);
        let idempotent = settings.and_then(Settings::idempotent).unwrap_or(operation.idempotent);
        let interceptors = &caller.0.interceptors;
        let around = (!interceptors.is_empty())
            .then(|| Box::new(Around::new(interceptors, operation, path, target(&uri), span.clone())));
        let (attempts, last) = (0, None);
        Ok(Self {
            caller,
            operation,
            policy,
            idempotent,
            located,
            uri,
            body,
            hash,
            streams,
            attempts,
            last,
            around,
            span,
        })
    }

    async fn run_in_span(self) -> Result<Answered<'a>, Error> {
        let span = self.span.clone();
        self.run().instrument(span).await
    }

    async fn run(mut self) -> Result<Answered<'a>, Error> {
        let started = Instant::now();
        let outcome = match self.enter().await {
            Ok(()) => self.tries(started).await,
            Err(error) => {
                tracing::debug!(error = %chain(&error), "call not begun");
                Err(error)
            }
        };
        let mut around = self.around.take();
        if let (Some(around), Err(error)) = (&mut around, &outcome) {
            around.leave(Outcome::Failed(error));
        }
        Ok(Answered { answer: outcome?, around })
    }

    /// Lets the interceptors do what they do before the call.
    async fn enter(&mut self) -> Result<(), Error> {
        let Some(around) = &mut self.around else { return Ok(()) };
        match timeout(self.policy.deadline, around.enter()).await {
            Ok(entered) => entered,
            Err(_) => Err(self.out_of_time()),
        }
    }

    async fn tries(&mut self, started: Instant) -> Result<Answer, Error> {
        let policy = self.policy;
        let mut repetitions = 0;
        let mut clock_corrected = false;
        loop {
            self.attempts += 1;
            self.span.record("attempts", self.attempts);
            let begun = self.around.is_some().then(Instant::now);
            let left = policy.deadline.saturating_sub(started.elapsed());
            let offset = self.caller.0.skew.offset();
            let verdict = match timeout(policy.attempt_timeout.min(left), self.attempt()).await {
                Ok(outcome) => self.judge(outcome, offset),
                Err(_) if left <= policy.attempt_timeout => {
                    let error = self.out_of_time();
                    self.attempted(begun, Outcome::Failed(&error), None);
                    return Err(error);
                }
                Err(_) => Verdict::Failed(self.silence()),
            };
            let failed = match verdict {
                Verdict::Result(answer) => {
                    self.caller.0.budget.succeeded(repetitions);
                    tracing::debug!(attempts = self.attempts, status = answer.status.as_u16(), "call answered");
                    self.attempted(begun, Outcome::Answer(answer.status), None);
                    return Ok(answer);
                }
                Verdict::ClockWasWrong(failed) if !clock_corrected => {
                    clock_corrected = true;
                    tracing::debug!("corrected the clock by the server's");
                    self.attempted(begun, Outcome::Failed(&failed.error), Some(Duration::ZERO));
                    continue;
                }
                Verdict::ClockWasWrong(failed) | Verdict::Failed(failed) => failed,
            };

            let again = self.again(&failed, repetitions, started);
            self.attempted(begun, Outcome::Failed(&failed.error), again);
            let Some(delay) = again else { return Err(failed.error) };
            repetitions += 1;
            self.last = Some(Box::new(failed.error));
            sleep(delay).await;
        }
    }

    /// After which time there is another attempt, if there is.
    fn again(&self, failed: &Failed, repetitions: u32, started: Instant) -> Option<Duration> {
        let (policy, attempts, error) = (self.policy, self.attempts, chain(&failed.error));
        let delay = policy.delay(repetitions, chance()).max(failed.wait);
        let left = policy.deadline.saturating_sub(started.elapsed());
        if !failed.repeatable || repetitions >= policy.retries || delay >= left {
            tracing::debug!(attempts, %error, "call failed");
            return None;
        }
        if !self.caller.0.budget.take(policy.budget) {
            tracing::warn!(attempts, %error, "not tried again: too many calls have failed of late");
            return None;
        }
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(attempts, delay_ms, %error, "trying the call again");
        Some(delay)
    }

    /// Tells the interceptors of an attempt.
    fn attempted(&self, begun: Option<Instant>, outcome: Outcome<'_>, again_after: Option<Duration>) {
        if let (Some(around), Some(begun)) = (&self.around, begun) {
            around.attempted(Attempted { outcome, elapsed: begun.elapsed(), again_after });
        }
    }

    /// What an attempt came to. `offset` is the clock's correction with which it was signed.
    fn judge(&self, outcome: Result<Answer, Failure>, offset: i64) -> Verdict {
        let idempotent = self.idempotent;
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
        let text = format!("nothing within {} s", self.policy.attempt_timeout.as_secs_f64());
        let error = self.transport_error(TransportError::new(TransportErrorKind::Timeout, text));
        Failed { error, repeatable: self.idempotent, wait: Duration::ZERO }
    }

    /// No time is left for the call.
    fn out_of_time(&mut self) -> Error {
        let (operation, target, last) = (self.operation.to_string(), target(&self.uri), self.last.take());
        Error::Deadline { operation, target, attempts: self.attempts, after: self.policy.deadline, last }
    }

    /// Sends the request once, signed afresh, and reads the answer, or its beginning.
    async fn attempt(&mut self) -> Result<Answer, Failure> {
        if let Some(around) = &mut self.around {
            around.call.attempts = self.attempts;
            around.attempt().await.map_err(Failure::Transport)?;
        }
        let request = self.request().map_err(Failure::Final)?;
        let answer = self.caller.0.transport.send(request).await.map_err(Failure::Transport)?;
        let (parts, body) = answer.into_parts();
        self.span.record("status", parts.status.as_u16());
        if let Some(date) = date(&parts.headers) {
            self.caller.0.skew.learn(date, self.caller.0.clock.now());
        }
        let body = if self.streams && is_result(parts.status) {
            tracing::trace!(status = parts.status.as_u16(), "answer begins");
            body.with_stall_timeout(self.policy.stall_timeout)
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
        if let Some(around) = &self.around {
            put_in(&around.call.headers, &mut headers);
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
        if let Some(around) = &self.around {
            request.extensions_mut().clone_from(&around.call.extensions);
        }
        request.extensions_mut().insert(self.operation);
        Ok(request)
    }

    fn sign(&self) -> Result<Option<HeaderValue>, Error> {
        let inner = &*self.caller.0;
        // What the service sees in `Host`, and holds the signature against.
        let target = self.located.as_deref().unwrap_or(&inner.root);
        let facts = RequestFacts {
            method: self.operation.method.as_str(),
            resource: self.uri.path_and_query().map_or("/", |resource| resource.as_str()),
            host: target.host(),
            port: target.port(),
        };
        let hash = self.hash.as_ref().map(Digest::as_ref);
        let now = inner.skew.correct(inner.clock.now());
        let signed = inner.identity.with_signer(|signer| signer.header(facts, hash, now)).transpose();
        signed.map_err(|error| Error::config_from(format!("{}: no signature", self.operation), error))
    }

    fn transport_error(&self, source: TransportError) -> Error {
        let operation = self.operation.to_string();
        Error::Transport { operation, target: target(&self.uri), attempts: self.attempts, source }
    }

    /// Whether nobody signs: there are no credentials, nor a proxy that would have some.
    fn is_anonymous(&self) -> bool {
        let inner = &*self.caller.0;
        inner.proxy.is_none() && inner.identity.credentials().is_none()
    }
}

/// Who is called. Without the path, which holds a secret where a worker's proxy is called.
fn target(uri: &Uri) -> String {
    let part = |part: Option<&str>| part.unwrap_or_default().to_owned();
    format!("{}://{}", part(uri.scheme_str()), part(uri.authority().map(|authority| authority.as_str())))
}

/// Puts the headers of interceptors in the place of those that are there.
fn put_in(added: &HeaderMap, headers: &mut HeaderMap) {
    for name in added.keys().filter(|name| !OWN.contains(name)) {
        headers.remove(name);
        for value in added.get_all(name) {
            headers.append(name, value.clone());
        }
    }
}

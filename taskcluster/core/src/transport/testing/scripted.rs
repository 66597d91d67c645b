use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use tower::service_fn;

use super::Call;
use crate::transport::{Body, Transport, TransportError, TransportErrorKind};

/// A transport that answers from a script and remembers what it was asked: no server, no socket.
///
/// Answers for one method are given in the order in which they were written down; the last one is given for ever.
/// Clones share script and log.
///
/// ```
/// use serde_json::json;
/// use taskcluster_core::transport::testing::{Answer, ScriptedTransport};
///
/// let script = ScriptedTransport::new()
///     .on("queue.status", Answer::error(404, "ResourceNotFound", "no such task"))
///     .on("queue.status", json!({ "status": { "state": "pending" } }))
///     .on("GET /api/auth/v1/ping", json!({ "alive": true }));
/// assert!(script.calls().is_empty());
/// ```
#[derive(Clone, Default)]
pub struct ScriptedTransport(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    lines: Vec<Line>,
    calls: Vec<Call>,
}

struct Line {
    /// `service.method` or `METHOD /path`.
    key: String,
    answers: VecDeque<Answer>,
}

/// What a script answers.
#[derive(Clone)]
pub struct Answer(Kind);

#[derive(Clone)]
enum Kind {
    Fixed(Response<Bytes>),
    Broken { kind: TransportErrorKind, message: String },
    Cut(Bytes),
    Asked(Arc<dyn Fn(&Call) -> Answer + Send + Sync>),
    Never,
}

impl Answer {
    /// A status with a JSON body.
    ///
    /// # Panics
    /// If the status lies outside of 100 to 999.
    pub fn json(status: u16, body: &Value) -> Self {
        let mut answer = Response::new(Bytes::from(body.to_string()));
        *answer.status_mut() = StatusCode::from_u16(status).expect("a status has three digits");
        answer.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        Self(Kind::Fixed(answer))
    }

    /// A refusal in the services' form.
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let info = json!({ "method": "", "params": {}, "payload": {}, "time": "2026-01-01T00:00:00.000Z" });
        Self::json(status, &json!({ "code": code, "message": message, "requestInfo": info }))
    }

    /// 200 with these bytes, such as those of a file or of a stream.
    pub fn bytes(body: impl Into<Bytes>) -> Self {
        Self(Kind::Fixed(Response::new(body.into())))
    }

    /// 204 without a body.
    #[must_use]
    pub fn no_content() -> Self {
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        Self(Kind::Fixed(answer))
    }

    /// No answer, for this reason.
    pub fn broken(kind: TransportErrorKind, message: impl Into<String>) -> Self {
        Self(Kind::Broken { kind, message: message.into() })
    }

    /// An answer whose body breaks off after these bytes.
    pub fn cut(body: impl Into<Bytes>) -> Self {
        Self(Kind::Cut(body.into()))
    }

    /// Whatever the closure makes of the call.
    pub fn from_call(answer: impl Fn(&Call) -> Self + Send + Sync + 'static) -> Self {
        Self(Kind::Asked(Arc::new(answer)))
    }

    /// No answer, ever: for tests of timeouts and of giving up.
    pub fn never() -> Self {
        Self(Kind::Never)
    }

    /// With a header; only on an answer that has any.
    ///
    /// # Panics
    /// If name or value cannot be a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Kind::Fixed(answer) = &mut self.0 {
            let name: http::HeaderName = name.parse().expect("a header's name");
            answer.headers_mut().insert(name, value.parse().expect("a header's value"));
        }
        self
    }
}

/// 200 with this body.
impl From<Value> for Answer {
    fn from(body: Value) -> Self {
        Self::json(200, &body)
    }
}

impl From<Response<Bytes>> for Answer {
    fn from(answer: Response<Bytes>) -> Self {
        Self(Kind::Fixed(answer))
    }
}

impl ScriptedTransport {
    /// A script without a line. A call that no line is for gets a transport error that names it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers the next call of `key` so. A key is a method's name, such as `queue.createTask`, or an HTTP method and a
    /// path, such as `GET /api/queue/v1/ping`; of two lines for one call the name counts.
    #[must_use]
    pub fn on(self, key: &str, answer: impl Into<Answer>) -> Self {
        self.add(key, answer);
        self
    }

    /// The same on a script that is in use.
    pub fn add(&self, key: &str, answer: impl Into<Answer>) {
        let mut script = self.lock();
        let answer = answer.into();
        match script.lines.iter_mut().find(|line| line.key == key) {
            Some(line) => line.answers.push_back(answer),
            None => script.lines.push(Line { key: key.to_owned(), answers: [answer].into() }),
        }
    }

    /// What was asked so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// The script in the form in which a caller takes it.
    #[must_use]
    pub fn transport(&self) -> Transport {
        let script = self.clone();
        Transport::new(service_fn(move |request| script.clone().answer(request)))
    }

    fn answer(self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, TransportError>> {
        Box::pin(async move {
            let call = Call::of(request).await?;
            let mut answer = self.next(&call);
            self.lock().calls.push(call.clone());
            while let Some(Answer(Kind::Asked(ask))) = answer {
                answer = Some(ask(&call));
            }
            match answer.map(|answer| answer.0) {
                Some(Kind::Fixed(answer)) => Ok(answer.map(Body::from)),
                Some(Kind::Broken { kind, message }) => Err(TransportError::new(kind, message)),
                Some(Kind::Cut(start)) => {
                    let pieces = [Ok(start), Err("the scripted answer breaks off here")];
                    Ok(Response::new(Body::from_stream(futures_util::stream::iter(pieces))))
                }
                Some(Kind::Never | Kind::Asked(_)) => std::future::pending().await,
                None => {
                    let lines: Vec<String> = self.lock().lines.iter().map(|line| line.key.clone()).collect();
                    let (name, method, path) = (call.name(), &call.method, &call.path);
                    let message = format!("the script has no answer for {name} {method} {path}, only for {lines:?}");
                    Err(TransportError::new(TransportErrorKind::Request, message))
                }
            }
        })
    }

    fn next(&self, call: &Call) -> Option<Answer> {
        let keys = [call.name(), format!("{} {}", call.method, call.path)];
        let mut script = self.lock();
        let place = keys.iter().find_map(|key| script.lines.iter().position(|line| line.key == *key))?;
        let answers = &mut script.lines[place].answers;
        if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<&ScriptedTransport> for Transport {
    fn from(script: &ScriptedTransport) -> Self {
        script.transport()
    }
}

impl fmt::Debug for ScriptedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let script = self.lock();
        let keys: Vec<&String> = script.lines.iter().map(|line| &line.key).collect();
        f.debug_struct("ScriptedTransport").field("keys", &keys).field("calls", &script.calls.len()).finish()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Fixed(answer) => f.debug_tuple("Answer").field(answer).finish(),
            Kind::Broken { kind, message } => write!(f, "Answer::broken({kind:?}, {message:?})"),
            Kind::Cut(body) => write!(f, "Answer::cut({body:?})"),
            Kind::Asked(_) => f.write_str("Answer::from_call(…)"),
            Kind::Never => f.write_str("Answer::never()"),
        }
    }
}

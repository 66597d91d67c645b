//! The REST interface.

use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, Method, Request, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use taskcluster_core::chain;
use taskcluster_core::secret::Secret;
use taskcluster_core::transport::{Body, Transport};
use tokio::time::timeout;
use url::Url;

use super::model::{Build, BuildRequest, Builder, Chunk, Log, Properties, Scheduler, Step};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long the first answer to a question may take. Masters swallow a request now and then, above all busy ones; asked again, they
/// answer.
const FIRST_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest answer that is read.
const LIMIT: usize = 64 << 20;

/// A Buildbot master, called by HTTP.
#[derive(Debug)]
pub struct Buildbot {
    base: Url,
    transport: Transport,
    login: Option<Login>,
    /// Who we are to the master since we have logged in.
    session: Mutex<Option<HeaderValue>>,
}

/// Name and password of a user of a master that lets only such order builds.
#[derive(Clone, Debug)]
pub struct Login {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// Why Buildbot did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildbotError {
    /// It does not answer, or has no time for us; this passes.
    #[error("Buildbot does not answer: {0}")]
    Away(String),
    /// There is no such thing.
    #[error("Buildbot has no {0}")]
    NotFound(String),
    /// It does not want to, with what it says.
    #[error("Buildbot refuses with {status}: {message}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The reason.
        message: String,
    },
    /// It says something that nobody understands.
    #[error("Buildbot's answer to {path} is none: {problem}")]
    Unexpected {
        /// What was asked for.
        path: String,
        /// What is wrong with the answer.
        problem: String,
    },
}

impl BuildbotError {
    /// Whether it may be otherwise in a moment.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self, Self::Away(_))
    }
}

type Result<T> = std::result::Result<T, BuildbotError>;

impl Buildbot {
    /// The master whose web interface is at `base`.
    #[must_use]
    pub fn new(mut base: Url, transport: Transport, login: Option<Login>) -> Self {
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Self { base, transport, login, session: Mutex::default() }
    }

    /// The builder of that name.
    pub(crate) async fn builder(&self, name: &str) -> Result<Builder> {
        self.one("builders", &[("name", name)]).await
    }

    pub(crate) async fn scheduler(&self, name: &str) -> Result<Scheduler> {
        self.one(&format!("forceschedulers/{name}"), &[]).await
    }

    /// Order a build, and give the id of its request. Not to be repeated without looking.
    pub(crate) async fn force(&self, scheduler: &str, builderid: u64, parameters: &Map<String, Value>) -> Result<u64> {
        let path = format!("forceschedulers/{scheduler}");
        let ordered = self.order(&path, "force", parameters).await?;
        let request = ordered.get(1).and_then(|requests| requests.get(builderid.to_string())).and_then(Value::as_u64);
        request.ok_or_else(|| BuildbotError::Unexpected { path, problem: format!("{ordered} names no request") })
    }

    /// A page of a builder's requests, the newest first, with the properties named.
    pub(crate) async fn requests(
        &self,
        builderid: u64,
        properties: [&str; 2],
        offset: usize,
        limit: usize,
    ) -> Result<Vec<BuildRequest>> {
        let (offset, limit) = (offset.to_string(), limit.to_string());
        let [first, second] = properties.map(|name| ("property", name));
        let query = [first, second, ("order", "-buildrequestid"), ("offset", &offset), ("limit", &limit)];
        self.list(&format!("builders/{builderid}/buildrequests"), &query).await
    }

    /// All requests that are not complete, of all builders, with the properties named.
    pub(crate) async fn open_requests(&self, properties: [&str; 2]) -> Result<Vec<BuildRequest>> {
        let [first, second] = properties.map(|name| ("property", name));
        self.list("buildrequests", &[("complete", "false"), first, second]).await
    }

    pub(crate) async fn request(&self, request: u64) -> Result<BuildRequest> {
        self.one(&format!("buildrequests/{request}"), &[("property", "*")]).await
    }

    /// The builds of a request, the oldest first.
    pub(crate) async fn builds(&self, request: u64) -> Result<Vec<Build>> {
        self.list(&format!("buildrequests/{request}/builds"), &[("order", "buildid")]).await
    }

    pub(crate) async fn properties(&self, build: u64) -> Result<Properties> {
        self.one(&format!("builds/{build}/properties"), &[]).await
    }

    pub(crate) async fn steps(&self, build: u64) -> Result<Vec<Step>> {
        self.list(&format!("builds/{build}/steps"), &[("order", "number")]).await
    }

    pub(crate) async fn logs(&self, step: u64) -> Result<Vec<Log>> {
        self.list(&format!("steps/{step}/logs"), &[("order", "logid")]).await
    }

    /// Lines of a log, from the line `offset`.
    pub(crate) async fn lines(&self, log: u64, offset: u64, limit: u64) -> Result<String> {
        let (offset, limit) = (offset.to_string(), limit.to_string());
        let query = [("offset", &*offset), ("limit", &*limit)];
        Ok(self.one::<Chunk>(&format!("logs/{log}/contents"), &query).await?.content)
    }

    /// Take an order back, whether it is waited for or under way. May be repeated.
    pub(crate) async fn cancel(&self, request: u64, reason: &str) -> Result<()> {
        let reason = Map::from_iter([("reason".to_owned(), json!(reason))]);
        let path = format!("buildrequests/{request}");
        let slow = |_| not_within(FIRST_TIMEOUT);
        timeout(FIRST_TIMEOUT, self.order(&path, "cancel", &reason)).await.map_err(slow)?.map(drop)
    }

    /// Where people look at a build.
    pub(crate) fn page(&self, build: &Build) -> String {
        format!("{}#/builders/{}/builds/{}", self.base, build.builderid, build.number)
    }

    /// Where events are heard, and how one shows who one is.
    pub(crate) async fn websocket(&self) -> Result<(Url, Option<HeaderValue>)> {
        let mut url = self.base.join("ws").map_err(|error| BuildbotError::Away(error.to_string()))?;
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        url.set_scheme(scheme).expect("both are special schemes");
        Ok((url, self.session(false).await?))
    }

    async fn one<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T> {
        let found = self.list(path, query).await?.into_iter().next();
        found.ok_or_else(|| BuildbotError::NotFound(path.to_owned()))
    }

    /// What stands in an answer beside `meta`, which is always a list.
    async fn list<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<T>> {
        let (status, body) = self.ask(path, query).await?;
        if status.is_server_error() {
            // What a master says that comes up or goes down.
            return Err(BuildbotError::Away(message(&body, status)));
        }
        let mut answer: Map<String, Value> = understood(path, status, &body)?;
        answer.remove("meta");
        let unexpected = |problem: String| BuildbotError::Unexpected { path: path.to_owned(), problem };
        let (_, list) = answer.into_iter().next().ok_or_else(|| unexpected("it is empty".to_owned()))?;
        serde_json::from_value(list).map_err(|error| unexpected(error.to_string()))
    }

    /// Have something done.
    async fn order(&self, path: &str, method: &str, parameters: &Map<String, Value>) -> Result<Value> {
        let order = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters});
        let (status, body) = self.call(Method::POST, path, &[], Some(&order)).await?;
        if matches!(status.as_u16(), 502..=504) {
            return Err(BuildbotError::Away(message(&body, status)));
        }
        let mut answer: Map<String, Value> = understood(path, status, &body)?;
        Ok(answer.remove("result").unwrap_or_default())
    }

    /// Ask, and once more if there is no answer.
    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<(StatusCode, Vec<u8>)> {
        let first = self.call(Method::GET, path, query, None);
        match timeout(FIRST_TIMEOUT, first).await {
            Ok(answered) => answered,
            Err(_) => self.call(Method::GET, path, query, None).await,
        }
    }

    /// Call, as somebody who has logged in where that is needed.
    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(StatusCode, Vec<u8>)> {
        let mut url = self.address(&format!("api/v2/{path}"))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        for anew in [false, true] {
            let mut request = Request::builder().method(method.clone()).uri(url.as_str());
            if let Some(session) = self.session(anew).await? {
                request = request.header(header::COOKIE, session);
            }
            let request = match body {
                Some(body) => request
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(Body::from(body.to_string().into_bytes())),
                None => request.body(Body::empty()),
            };
            let (status, _, body) = self.send(request).await?;
            let stranger = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
            if anew || !stranger || self.login.is_none() {
                return Ok((status, body));
            }
        }
        unreachable!("the second answer is given whatever it is")
    }

    /// The cookie of our session, if we need one.
    async fn session(&self, anew: bool) -> Result<Option<HeaderValue>> {
        let Some(login) = &self.login else { return Ok(None) };
        let known = self.session.lock().expect("nothing panics holding it").clone();
        if let Some(known) = known.filter(|_| !anew) {
            return Ok(Some(known));
        }
        let pair = BASE64_STANDARD.encode(format!("{}:{}", login.username, login.password.expose()));
        let request = Request::get(self.address("auth/login")?.as_str())
            .header(header::AUTHORIZATION, format!("Basic {pair}"))
            .body(Body::empty());
        let (status, headers, body) = self.send(request).await?;
        // The last: before it stands that of the stranger who one was until now.
        let given = headers.get_all(header::SET_COOKIE).iter().next_back().and_then(|cookie| cookie.to_str().ok());
        let session = given.and_then(|cookie| HeaderValue::from_str(cookie.split(';').next()?).ok());
        match session.filter(|_| status.is_success() || status.is_redirection()) {
            Some(session) => {
                *self.session.lock().expect("nothing panics holding it") = Some(session.clone());
                Ok(Some(session))
            }
            None => Err(BuildbotError::Refused { status, message: format!("no login: {}", message(&body, status)) }),
        }
    }

    fn address(&self, path: &str) -> Result<Url> {
        let unexpected =
            |error: url::ParseError| BuildbotError::Unexpected { path: path.to_owned(), problem: error.to_string() };
        self.base.join(path).map_err(unexpected)
    }

    async fn send(&self, request: http::Result<Request<Body>>) -> Result<(StatusCode, http::HeaderMap, Vec<u8>)> {
        let away = |error: String| BuildbotError::Away(error);
        let request = request.map_err(|error| away(error.to_string()))?;
        let exchange = async {
            let answer = self.transport.send(request).await.map_err(|error| away(chain(&error).to_string()))?;
            let (parts, body) = answer.into_parts();
            let body = body.collect(LIMIT).await.map_err(|error| away(error.to_string()))?;
            Ok((parts.status, parts.headers, body.to_vec()))
        };
        let slow = |_| not_within(TIMEOUT);
        timeout(TIMEOUT, exchange).await.map_err(slow)?
    }
}

fn not_within(time: Duration) -> BuildbotError {
    BuildbotError::Away(format!("not within {} seconds", time.as_secs()))
}

fn understood<T: DeserializeOwned>(path: &str, status: StatusCode, body: &[u8]) -> Result<T> {
    if status == StatusCode::NOT_FOUND {
        return Err(BuildbotError::NotFound(path.to_owned()));
    }
    if !status.is_success() {
        return Err(BuildbotError::Refused { status, message: message(body, status) });
    }
    let problem =
        |error: serde_json::Error| BuildbotError::Unexpected { path: path.to_owned(), problem: error.to_string() };
    serde_json::from_slice(body).map_err(problem)
}

/// What an answer says that is no success: Buildbot's own words, if they are short.
fn message(body: &[u8], status: StatusCode) -> String {
    let said = serde_json::from_slice::<Value>(body).ok().and_then(|mut body| {
        let error = body.get_mut("error")?.take();
        let message = error.get("message").unwrap_or(&error);
        Some(message.as_str().map_or_else(|| message.to_string(), str::to_owned))
    });
    said.map_or_else(|| status.to_string(), |said| said.chars().take(500).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::Response;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_question_that_was_swallowed_is_asked_again_and_an_order_is_not() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let transport = Transport::new(tower::service_fn(async |_: Request<Body>| {
            if ASKED.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
                std::future::pending::<()>().await;
            }
            let answer = json!({"builders": [{"builderid": 7, "name": "b"}], "meta": {}});
            Ok::<_, taskcluster_core::transport::TransportError>(Response::new(Body::from(
                answer.to_string().into_bytes(),
            )))
        }));
        let buildbot = Buildbot::new("http://buildbot.example".parse().unwrap(), transport, None);
        assert_eq!(buildbot.builder("b").await.unwrap().builderid, 7);
        assert_eq!(ASKED.load(Ordering::Relaxed), 2);
        let error = buildbot.cancel(1, "no reason").await.unwrap_err();
        assert!(error.passes(), "{error}");
        assert_eq!(ASKED.load(Ordering::Relaxed), 3);
    }
}

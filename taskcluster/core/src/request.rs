//! One call before it is sent: what generated methods give back.

mod blob;
mod encode;
mod outline;
mod paged;
mod settings;

use std::fmt;
use std::fmt::{Display, Write as _};
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Response;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::backoff::RetryPolicy;
use crate::caller::Caller;
use crate::error::Error;
use crate::operation::{BLOB, Operation};
use crate::transport::Body;
use encode::Encoded;

pub use blob::Blob;
pub use outline::{Call, Outline};
pub use paged::{Page, Paged};
pub(crate) use settings::Settings;

/// Room for the JSON of a body that is not unusually long, such as a task's definition.
const USUAL_BODY: usize = 1024;

/// A call that is ready to be sent, whose answer is an `O`. Awaiting it sends it.
///
/// ```
/// # use taskcluster_core::{Caller, Operation, Request, Error, TaskId};
/// # async fn show(caller: &Caller, operation: &'static Operation, id: TaskId) -> Result<(), Error> {
/// // What generated methods do: `tc.queue().status(&id)` is such a request.
/// let answer: serde_json::Value = Request::new(caller, operation, &[&id]).query("limit", 10).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a request is sent by awaiting it"]
pub struct Request<O> {
    caller: Caller,
    operation: &'static Operation,
    path: String,
    query: String,
    body: Option<Bytes>,
    settings: Option<Box<Settings>>,
    /// What went wrong while it was put together; said when it is sent.
    error: Option<Error>,
    output: PhantomData<fn() -> O>,
}

impl<O> Request<O> {
    /// A call of `operation` with the arguments of its path, in the order of the route. They are encoded here.
    ///
    /// An argument that cannot stand in a path (`.` or `..`, which every URL parser takes away) or a wrong number of
    /// them is an error when it is sent.
    pub fn new(caller: &Caller, operation: &'static Operation, args: &[&dyn Display]) -> Self {
        let (path, error) = match encode::path(operation, args) {
            Ok(path) => (path, None),
            Err(error) => (String::new(), Some(error)),
        };
        let (query, body, settings) = (String::new(), None, None);
        Self { caller: caller.clone(), operation, path, query, body, settings, error, output: PhantomData }
    }

    /// With this body, as JSON.
    pub fn with_body(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        let mut json = Vec::with_capacity(USUAL_BODY);
        match serde_json::to_writer(&mut json, body) {
            Ok(()) => self.body = Some(json.into()),
            Err(error) => {
                let message = format!("{}: the body cannot be written as JSON", self.operation);
                self.error.get_or_insert_with(|| Error::config_from(message, error));
            }
        }
        self
    }

    /// With this query parameter.
    pub fn query(mut self, name: &str, value: impl Display) -> Self {
        push_query(&mut self.query, name, &value);
        self
    }

    /// Tries this call as the policy says, whatever that of the handle. The methods below change single values of the policy,
    /// of this one or of the handle's.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use taskcluster_core::transport::testing::{Answer, ScriptedTransport};
    /// # use taskcluster_core::{Caller, Method, Operation, Request, RetryPolicy, Stability};
    /// # static STATUS: Operation = Operation {
    /// #     service: "queue", version: "v1", name: "status", method: Method::Get, route: "/status", args: &[], query: &[],
    /// #     input: None, output: None, scopes: None, idempotent: true, stability: Stability::Stable,
    /// # };
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskcluster_core::Error> {
    /// # let script = ScriptedTransport::new().on("queue.status", Answer::error(503, "", "busy"));
    /// # let caller = Caller::builder("https://tc.example.com").transport(&script).build()?;
    /// # let status = || Request::<()>::new(&caller, &STATUS, &[]);
    /// // `status()` stands for a generated method, such as `tc.queue().status(&task_id)`.
    /// let now_or_never = status().retries(0).deadline(Duration::from_secs(2)).await;
    /// # assert_eq!((now_or_never.is_err(), script.calls().len()), (true, 1));
    /// let stubborn = RetryPolicy::default().with_retries(20).with_deadline(Duration::from_secs(3600));
    /// # let stubborn = stubborn.with_base(Duration::ZERO);
    /// let sooner_or_later = status().retry(stubborn).await;
    /// # assert_eq!((sooner_or_later.is_err(), script.calls().len()), (true, 22));
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings().set_policy(policy);
        self
    }

    /// Repeats this call at most so often; 0 for one attempt and no more.
    pub fn retries(mut self, retries: u32) -> Self {
        self.policy().retries = retries;
        self
    }

    /// Gives this call so long, all attempts and delays together.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.policy().deadline = deadline;
        self
    }

    /// Gives each attempt of this call so long.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.policy().attempt_timeout = timeout;
        self
    }

    /// Lets the service be silent for so long in the midst of an answer that is [read as it comes](Self::open).
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.policy().stall_timeout = timeout;
        self
    }

    /// Says whether this call may be repeated although it may have arrived. The reference says so of each method
    /// ([`Operation::idempotent`]); you may know better of this one call: that a hook may well be triggered twice, say, or
    /// that a second answer to a deletion would be misleading.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.settings().set_idempotent(idempotent);
        self
    }

    fn settings(&mut self) -> &mut Settings {
        self.settings.get_or_insert_default()
    }

    fn policy(&mut self) -> &mut RetryPolicy {
        self.settings.get_or_insert_default().policy_mut(&self.caller)
    }

    /// The method that is called.
    pub fn operation(&self) -> &'static Operation {
        self.operation
    }

    /// Sends the call and gives the body of the answer as it came, byte by byte: to keep it, to check a signature over it, or
    /// since it is not JSON. Not needed for the sake of properties that are not known here: types keep them as
    /// [`UnknownFields`](crate::UnknownFields).
    ///
    /// # Errors
    /// As [`Caller::call`].
    pub async fn raw(self) -> Result<Bytes, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let settings = self.settings.as_deref();
        self.caller.call_as(settings, self.operation, self.path, self.query, self.body).await?.read(Ok)
    }

    /// Sends the call and gives the answer as soon as it begins; its body is read as it comes. For answers that are large
    /// or never end, such as a stream of events.
    ///
    /// ```
    /// # use taskcluster_core::transport::testing::ScriptedTransport;
    /// # use taskcluster_core::operation::BLOB;
    /// # use taskcluster_core::{Blob, Caller, Method, Operation, Request, Stability};
    /// # use futures_util::TryStreamExt;
    /// # static CONNECT: Operation = Operation {
    /// #     service: "events", version: "v1", name: "connect", method: Method::Get, route: "/connect/", args: &[],
    /// #     query: &[], input: None, output: Some(BLOB), scopes: None, idempotent: true, stability: Stability::Stable,
    /// # };
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// # let script = ScriptedTransport::new().on("events.connect", serde_json::json!(["ready"]));
    /// # let caller = Caller::builder("https://tc.example.com").transport(&script).build()?;
    /// # let request = Request::<Blob>::new(&caller, &CONNECT, &[]);
    /// // `request` stands for a generated method, such as `tc.event_stream().connect()`.
    /// let mut pieces = request.open().await?.into_body().into_stream(); // with `futures_util::TryStreamExt`
    /// while let Some(piece) = pieces.try_next().await? {
    ///     println!("{}", String::from_utf8_lossy(&piece));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Caller::open`].
    pub async fn open(self) -> Result<Response<Body>, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let settings = self.settings.as_deref();
        self.caller.open_as(settings, self.operation, self.path, self.query, self.body).await
    }

    /// The URL of the call, unsigned.
    ///
    /// # Errors
    /// If an argument cannot stand in a URL.
    pub fn url(self) -> Result<Url, Error> {
        match self.error {
            Some(error) => Err(error),
            None => self.caller.url(self.operation, &self.path, &self.query),
        }
    }

    /// The URL of the call with a signature (a bewit) that lets whoever has it GET it for this time, as you could.
    ///
    /// ```
    /// # use taskcluster_core::transport::testing::ScriptedTransport;
    /// # use taskcluster_core::{Caller, Credentials, Operation, Request, Error, time::minutes};
    /// # fn show(operation: &'static Operation) -> Result<(), Error> {
    /// # let script = ScriptedTransport::new();
    /// let caller = Caller::builder("https://tc.example.com").credentials(Credentials::new("me", "hunter2"));
    /// # let caller = caller.transport(&script);
    /// let url = Request::<()>::new(&caller.build()?, operation, &[&"public/log"]).signed_for(minutes(15))?;
    /// assert!(url.query().is_some_and(|query| query.starts_with("bewit=")));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] if the method is not GET, there are no credentials, or calls go through a proxy.
    pub fn signed_for(self, valid: Duration) -> Result<Url, Error> {
        match self.error {
            Some(error) => Err(error),
            None => self.caller.signed_url(self.operation, &self.path, &self.query, valid),
        }
    }
}

impl<O: DeserializeOwned> Request<O> {
    /// Sends the call. The same as awaiting it.
    ///
    /// # Errors
    /// As [`Caller::call`], and [`Error::Body`] if the answer is not an `O`.
    ///
    /// # Cancel safety
    /// Dropping the future gives the call up. It may have arrived.
    pub fn send(self) -> impl Future<Output = Result<O, Error>> + Send {
        let Self { caller, operation, path, query, body, settings, error, output: _ } = self;
        async move {
            if let Some(error) = error {
                return Err(error);
            }
            let answered = caller.call_as(settings.as_deref(), operation, path, query, body).await?;
            answered.read(|body| decode(operation, body))
        }
    }
}

impl<O: DeserializeOwned + 'static> IntoFuture for Request<O> {
    type Output = Result<O, Error>;
    type IntoFuture = BoxFuture<'static, Result<O, Error>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// Neither the body nor the query, which may hold secrets.
impl<O> fmt::Debug for Request<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {} {})", self.operation, self.operation.method, self.path)
    }
}

fn decode<O: DeserializeOwned>(operation: &Operation, body: Bytes) -> Result<O, Error> {
    if operation.output == Some(BLOB) {
        return blob::read(&body).map_err(|error| Error::body(operation, body, error));
    }
    // What a method without an output answers does not matter; `()` reads `null`.
    let json: &[u8] = if operation.output.is_some() { &body } else { b"null" };
    // To look at the whole once whether it is UTF-8 costs a fraction of looking at each string of it.
    let read = match std::str::from_utf8(json) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(json),
    };
    read.map_err(|error| Error::body(operation, body, error))
}

/// Adds a parameter to a query.
fn push_query(query: &mut String, name: &str, value: &dyn Display) {
    if !query.is_empty() {
        query.push('&');
    }
    // Writing into a String cannot fail, unless the value's own Display does.
    let _ = write!(Encoded(query), "{name}");
    query.push('=');
    let _ = write!(Encoded(query), "{value}");
}

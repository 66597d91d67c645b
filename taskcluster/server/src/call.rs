//! One request as a handler sees it.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;
use serde_json::Value;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::operation::Operation;
use taskcluster_core::scopes::{Params, ScopeSet};
use taskcluster_core::time::Timestamp;
use tokio::sync::OnceCell;

use crate::authenticator::{AuthOutcome, AuthRequest, Authenticator};
use crate::authorize::{self, Identity};
use crate::request::Received;
use crate::{Failure, QueryValues};

/// One request, checked, on its way through a handler.
///
/// Who sent it is found out when somebody first asks, at most once.
pub struct Call {
    pub(crate) operation: &'static Operation,
    pub(crate) received: Received,
    /// In the order of the route.
    pub(crate) arguments: Vec<String>,
    pub(crate) query: QueryValues,
    pub(crate) body: Value,
    body_text: OnceLock<String>,
    authenticator: Arc<dyn Authenticator>,
    clock: SharedClock,
    identity: OnceCell<Identity>,
    /// Shared with the runtime, which does not let an answer out before the scopes were asked for.
    authorized: Arc<AtomicBool>,
}

impl Call {
    pub(crate) fn new(
        operation: &'static Operation,
        received: Received,
        arguments: Vec<String>,
        authenticator: Arc<dyn Authenticator>,
        clock: SharedClock,
        authorized: Arc<AtomicBool>,
    ) -> Self {
        Self {
            operation,
            received,
            arguments,
            query: QueryValues::default(),
            body: Value::Null,
            body_text: OnceLock::new(),
            authenticator,
            clock,
            identity: OnceCell::new(),
            authorized,
        }
    }

    /// What the reference says about the operation.
    pub fn operation(&self) -> &'static Operation {
        self.operation
    }

    /// Checks the scopes that the operation needs, where they depend on what the handler had to look up.
    ///
    /// `params` gives the values of the template's parameters. Parameters of the path are filled in.
    ///
    /// # Errors
    /// 401 when the credentials are not valid, 403 when the scopes do not suffice.
    pub async fn authorize(&self, params: Params) -> Result<(), Failure> {
        self.authorized.store(true, Ordering::Relaxed);
        let Some(template) = self.operation.scopes else { return Ok(()) };
        let params = authorize::with_arguments(params, self.operation, &self.arguments);
        let Some(needed) = template.render(&params).map_err(Failure::internal)? else { return Ok(()) };
        authorize::check(self.identity().await?, &needed)
    }

    /// The scopes of the operation may depend on what a handler would look up; this one has nothing, and lets everybody do it.
    pub(crate) fn has_nothing_to_look_up(&self) {
        self.authorized.store(true, Ordering::Relaxed);
    }

    /// Checks scopes that no template of the reference can express, such as those of a request's own scopes.
    ///
    /// # Errors
    /// 401 when the credentials are not valid, 403 when the scopes do not suffice.
    pub async fn authorize_scopes<S: AsRef<str>>(&self, needed: &[S]) -> Result<(), Failure> {
        authorize::check_all(self.identity().await?, needed)
    }

    /// The caller's name; empty without credentials. For logs and audits only: scopes decide.
    ///
    /// # Errors
    /// 401 when the credentials are not valid.
    pub async fn client_id(&self) -> Result<&str, Failure> {
        Ok(self.identity().await?.client_id.as_deref().unwrap_or_default())
    }

    /// What the caller may do, roles expanded.
    ///
    /// # Errors
    /// 401 when the credentials are not valid.
    pub async fn scopes(&self) -> Result<&ScopeSet, Failure> {
        Ok(&self.identity().await?.scopes)
    }

    /// When the caller's credentials cease to be valid.
    ///
    /// # Errors
    /// 401 when the credentials are not valid.
    pub async fn credentials_expire(&self) -> Result<Timestamp, Failure> {
        Ok(self.identity().await?.expires)
    }

    /// A path argument, by its place in the route.
    ///
    /// # Errors
    /// 400 when it cannot be read as a `T`.
    pub fn argument<T: FromStr<Err: fmt::Display>>(&self, place: usize) -> Result<T, Failure> {
        let value = self.arguments.get(place).map(String::as_str).unwrap_or_default();
        value.parse().map_err(|error| {
            let name = self.operation.args.get(place).copied().unwrap_or("argument");
            Failure::invalid_arguments(format!("{name} {value:?} is not valid: {error}"))
        })
    }

    /// The query parameters.
    pub fn query(&self) -> &QueryValues {
        &self.query
    }

    /// The body as the operation's input type.
    ///
    /// # Errors
    /// 400 when a body that fits the schema does not fit the type, such as a task id that is none.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        T::deserialize(&self.body).map_err(|error| Failure::invalid_input(format!("The body does not fit: {error}")))
    }

    /// The body as JSON: valid, with the defaults of the schema filled in.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// The body as text: valid JSON, compact, with the defaults of the schema filled in.
    pub fn body_text(&self) -> &str {
        self.body_text.get_or_init(|| self.body.to_string())
    }

    /// The body as it came, also where the operation takes none: neither read nor checked.
    pub fn raw_body(&self) -> &[u8] {
        &self.received.body
    }

    /// A header of the request, if it is there and is text. Who is calling is not to be read from headers: ask
    /// [`client_id`](Self::client_id).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.received.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The address at the other end of the connection, where that is known. It may be a proxy's.
    pub fn source_ip(&self) -> Option<&str> {
        self.received.source_ip.as_deref()
    }

    /// Names this request in logs.
    pub fn request_id(&self) -> &str {
        &self.received.ids.request
    }

    /// Names everything that happens for the sake of one request to the deployment; passed on to other services.
    pub fn trace_id(&self) -> &str {
        &self.received.ids.trace
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The same request, judged by somebody else: for methods that try out a signature which the deployment does not know.
    #[must_use]
    pub fn judged_by(&self, authenticator: Arc<dyn Authenticator>) -> Self {
        Self {
            operation: self.operation,
            received: self.received.clone(),
            arguments: self.arguments.clone(),
            query: self.query.clone(),
            body: self.body.clone(),
            body_text: OnceLock::new(),
            authenticator,
            clock: Arc::clone(&self.clock),
            identity: OnceCell::new(),
            authorized: Arc::clone(&self.authorized),
        }
    }

    async fn identity(&self) -> Result<&Identity, Failure> {
        self.identity.get_or_try_init(|| self.authenticate()).await
    }

    async fn authenticate(&self) -> Result<Identity, Failure> {
        let received = &self.received;
        let has_bewit = received.query().split('&').any(|pair| pair.starts_with("bewit="));
        if has_bewit && received.authorization.is_some() {
            return Err(Failure::auth_failed("Sign with an Authorization header or with a bewit, not with both."));
        }
        let outcome = self
            .authenticator
            .authenticate(&AuthRequest {
                method: received.method.as_str().to_ascii_lowercase(),
                resource: received.resource.clone(),
                host: received.host.clone(),
                port: received.port,
                authorization: received.authorization.clone(),
                source_ip: received.source_ip.clone(),
                trace_id: Some(received.ids.trace.to_string()),
            })
            .await;
        match outcome {
            AuthOutcome::Success { client_id, scopes, expires, hash } => {
                authorize::check_payload_hash(hash.as_deref(), received)?;
                Ok(Identity { client_id: Some(client_id), scopes: ScopeSet::from_iter(scopes), expires })
            }
            AuthOutcome::None { scopes, expires } => {
                Ok(Identity { client_id: None, scopes: ScopeSet::from_iter(scopes), expires })
            }
            AuthOutcome::Failed { message } => Err(Failure::auth_failed(message)),
            AuthOutcome::Unavailable { reason } => {
                Err(Failure::internal(format!("the caller could not be authenticated: {reason}")))
            }
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("operation", &self.operation.name)
            .field("arguments", &self.arguments)
            .field("request_id", &self.received.ids.request)
            .finish_non_exhaustive()
    }
}

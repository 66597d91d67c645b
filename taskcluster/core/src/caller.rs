//! The one way in which every generated method calls a service.

mod answer;
mod builder;
mod call;
#[cfg(feature = "opentelemetry")]
mod propagation;
mod skew;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{PathAndQuery, Uri};
use http::{Extensions, HeaderValue};
use url::Url;

use crate::backoff::{Budget, RetryPolicy};
use crate::clock::SharedClock;
use crate::credentials::{Credentials, CredentialsProvider};
use crate::discovery::Discovery;
use crate::error::Error;
use crate::hawk::{HawkError, RequestFacts, Signer};
use crate::intercept;
use crate::operation::Operation;
use crate::root_url::RootUrl;
use crate::time::Timestamp;
use crate::transport::Transport;
use skew::Skew;

pub use builder::CallerBuilder;

/// Everything a call needs: the deployment, who is calling, the transport, how often to try, and the clock.
///
/// Cheap to clone; clones share connections, credentials, what was learned about the server's clock, and the budget of
/// repetitions ([`RetryPolicy::budget`]). One of them
/// serves any number of services and tasks.
///
/// ```
/// # #[cfg(feature = "http")]
/// # fn main() -> Result<(), taskcluster_core::Error> {
/// use taskcluster_core::{Caller, Credentials};
/// let caller = Caller::builder("https://tc.example.com").credentials(Credentials::new("me", "hunter2")).build()?;
/// assert_eq!(caller.root_url().as_str(), "https://tc.example.com");
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "http"))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct Caller(Arc<Inner>);

struct Inner {
    root: RootUrl,
    proxy: Option<RootUrl>,
    discovery: Option<Arc<dyn Discovery>>,
    interceptors: Vec<Arc<dyn intercept::Erased>>,
    identity: Identity,
    transport: Transport,
    retry: RetryPolicy,
    clock: SharedClock,
    user_agent: HeaderValue,
    trace_id: Option<HeaderValue>,
    skew: Arc<Skew>,
    budget: Arc<Budget>,
    extensions: Extensions,
}

/// Who signs.
enum Identity {
    Nobody,
    Fixed { signer: Signer, credentials: Box<Credentials> },
    Provided { provider: Arc<dyn CredentialsProvider>, authorized_scopes: Option<Vec<String>> },
}

impl Caller {
    /// Begins to build a caller for the deployment at this root URL. A bad URL is an error of [`CallerBuilder::build`].
    pub fn builder<U>(root_url: U) -> CallerBuilder
    where
        U: TryInto<RootUrl>,
        U::Error: Into<crate::root_url::InvalidRootUrl>,
    {
        CallerBuilder::new(root_url)
    }

    /// A caller from the usual variables; see [`CallerBuilder::from_env`].
    ///
    /// # Errors
    /// [`Error::Config`], naming the variable that is missing or wrong.
    #[cfg(feature = "http")]
    pub fn from_env() -> Result<Self, Error> {
        CallerBuilder::from_env()?.build()
    }

    /// A builder with everything that this caller has, to change something: other credentials, say, over the same
    /// connections.
    ///
    /// ```
    /// # use taskcluster_core::transport::testing::ScriptedTransport;
    /// # fn main() -> Result<(), taskcluster_core::Error> {
    /// use taskcluster_core::{Caller, Credentials};
    /// # let script = ScriptedTransport::new();
    /// # let builder = Caller::builder("https://tc.example.com").transport(&script);
    /// let caller = builder.credentials(Credentials::new("me", "hunter2")).build()?;
    /// let careful = caller.to_builder().authorized_scopes(["queue:get-artifact:public/*"]).build()?;
    /// # assert_eq!(careful.credentials().unwrap().client_id, "me");
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_builder(&self) -> CallerBuilder {
        CallerBuilder::of(&self.0)
    }

    /// The deployment that is called.
    #[must_use]
    pub fn root_url(&self) -> &RootUrl {
        &self.0.root
    }

    /// The transport, for requests of your own: it sends them as they are, without signature or retry. Artifacts are
    /// fetched that way.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.0.transport
    }

    /// The clock that dates signatures.
    #[must_use]
    pub fn clock(&self) -> &SharedClock {
        &self.0.clock
    }

    /// What time it is by the clock of the services, as far as their answers have told that it differs from
    /// [`clock`](Self::clock). Differences of up to two seconds are not told from the time that answers take.
    #[must_use]
    pub fn service_time(&self) -> Timestamp {
        self.0.skew.correct(self.0.clock.now())
    }

    /// How often and how patiently calls are tried.
    #[must_use]
    pub fn retry_policy(&self) -> &RetryPolicy {
        &self.0.retry
    }

    /// The credentials of this moment.
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        self.0.identity.credentials()
    }

    /// What a layer above keeps with the caller, see [`CallerBuilder::extension`].
    #[must_use]
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.extensions.get()
    }

    /// The URL of a call, unsigned.
    pub(crate) fn url(&self, operation: &Operation, path: &str, query: &str) -> Result<Url, Error> {
        let text = format!("{}{}", self.0.root, resource("", operation, path, query));
        Url::parse(&text).map_err(|error| Error::config_from(format!("{operation}: bad URL {text}"), error))
    }

    /// The URL of a call, signed with a bewit.
    pub(crate) fn signed_url(
        &self,
        operation: &Operation,
        path: &str,
        query: &str,
        valid: Duration,
    ) -> Result<Url, Error> {
        let refuse = |reason: &str| Err(Error::config(format!("{operation}: cannot sign a URL: {reason}")));
        if operation.method.as_str() != "GET" {
            return refuse("only GET can be signed that way");
        }
        if self.0.proxy.is_some() {
            return refuse("calls go through a proxy, which holds the credentials");
        }
        let mut url = self.url(operation, path, query)?;
        let resource = &url[url::Position::BeforePath..];
        let root = &self.0.root;
        let facts = RequestFacts { method: "GET", resource, host: root.host(), port: root.port() };
        let expires = self.0.skew.correct(self.0.clock.now()) + valid;
        let bewit = match self.0.identity.with_signer(|signer| signer.bewit(facts, expires)) {
            Some(bewit) => bewit.map_err(|error| Error::config_from(format!("{operation}: no signature"), error))?,
            None => return refuse("there are no credentials"),
        };
        url.query_pairs_mut().append_pair("bewit", &bewit);
        Ok(url)
    }

    /// Where the service has an address of its own, unless there is a proxy for all of them.
    fn locate(&self, operation: &Operation) -> Option<Box<RootUrl>> {
        let discovery = self.0.discovery.as_ref().filter(|_| self.0.proxy.is_none())?;
        discovery.locate(operation.service).map(Box::new)
    }

    /// The URI that a call is sent to.
    fn uri(&self, located: Option<&RootUrl>, operation: &Operation, path: &str, query: &str) -> Result<Uri, Error> {
        let target = located.or(self.0.proxy.as_ref()).unwrap_or(&self.0.root);
        let resource = PathAndQuery::try_from(resource(target.path(), operation, path, query));
        let resource = resource.map_err(|error| Error::config_from(format!("{operation}: bad path"), error))?;
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(target.scheme().clone());
        parts.authority = Some(target.authority().clone());
        parts.path_and_query = Some(resource);
        Uri::from_parts(parts).map_err(|error| Error::config_from(format!("{operation}: bad URL"), error))
    }
}

/// Path and query of a call, in one allocation.
fn resource(prefix: &str, operation: &Operation, path: &str, query: &str) -> String {
    let parts = [prefix, "/api/", operation.service, "/", operation.version, path, "?", query];
    parts[..if query.is_empty() { 6 } else { 8 }].concat()
}

impl Identity {
    fn credentials(&self) -> Option<Credentials> {
        match self {
            Self::Nobody => None,
            Self::Fixed { credentials, .. } => Some(Credentials::clone(credentials)),
            Self::Provided { provider, authorized_scopes } => {
                let mut credentials = provider.credentials()?;
                if authorized_scopes.is_some() {
                    credentials.authorized_scopes.clone_from(authorized_scopes);
                }
                Some(credentials)
            }
        }
    }

    /// Lets the signer of this moment do something; `None` if there is nobody to sign.
    fn with_signer<T>(&self, sign: impl FnOnce(&Signer) -> Result<T, HawkError>) -> Option<Result<T, HawkError>> {
        match self {
            Self::Nobody => None,
            Self::Fixed { signer, .. } => Some(sign(signer)),
            Self::Provided { .. } => Some(Signer::new(&self.credentials()?).and_then(|signer| sign(&signer))),
        }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("root_url", &self.0.root)
            .field("proxy", &self.0.proxy)
            .field("client_id", &self.credentials().map(|credentials| credentials.client_id))
            .field("transport", &self.0.transport)
            .finish_non_exhaustive()
    }
}

use std::fmt;
use std::sync::Arc;

use http::{Extensions, HeaderValue};

use super::skew::Skew;
use super::{Caller, Identity, Inner};
use crate::backoff::{Budget, RetryPolicy};
use crate::clock::{SharedClock, SystemClock};
use crate::credentials::{Credentials, CredentialsProvider};
use crate::discovery::{Discovery, KubernetesDns};
use crate::environment;
use crate::error::Error;
use crate::hawk::Signer;
use crate::intercept::{self, Interceptor};
use crate::root_url::{InvalidRootUrl, RootUrl};
use crate::transport::Transport;

/// Builds a [`Caller`].
#[must_use = "a builder does nothing before `build`"]
pub struct CallerBuilder {
    root: Result<RootUrl, InvalidRootUrl>,
    proxy: Option<Result<RootUrl, InvalidRootUrl>>,
    discovery: Option<Arc<dyn Discovery>>,
    interceptors: Vec<Arc<dyn intercept::Erased>>,
    source: Source,
    authorized_scopes: Option<Vec<String>>,
    transport: Option<Transport>,
    retry: RetryPolicy,
    clock: Option<SharedClock>,
    user_agent: Option<String>,
    trace_id: Option<String>,
    skew: Arc<Skew>,
    budget: Arc<Budget>,
    extensions: Extensions,
}

enum Source {
    Nobody,
    Fixed(Credentials),
    Provider(Arc<dyn CredentialsProvider>),
}

impl CallerBuilder {
    pub(super) fn new<U>(root_url: U) -> Self
    where
        U: TryInto<RootUrl>,
        U::Error: Into<InvalidRootUrl>,
    {
        Self {
            root: root_url.try_into().map_err(Into::into),
            proxy: None,
            discovery: None,
            interceptors: Vec::new(),
            source: Source::Nobody,
            authorized_scopes: None,
            transport: None,
            retry: RetryPolicy::default(),
            clock: None,
            user_agent: None,
            trace_id: None,
            skew: Arc::default(),
            budget: Arc::default(),
            extensions: Extensions::new(),
        }
    }

    /// A builder from the usual variables: `TASKCLUSTER_ROOT_URL`, and either `TASKCLUSTER_PROXY_URL`, or
    /// `TASKCLUSTER_CLIENT_ID`, `TASKCLUSTER_ACCESS_TOKEN` and perhaps `TASKCLUSTER_CERTIFICATE`. Without any of those
    /// calls are anonymous.
    ///
    /// With a proxy, which a task gets that asks for it, the credentials are not looked at: the proxy has its own.
    ///
    /// Where `USE_KUBERNETES_DNS_SERVICE_DISCOVERY` says something, as it does for the services of a deployment on Kubernetes,
    /// services are called at their names there: [`KubernetesDns`].
    ///
    /// # Errors
    /// [`Error::Config`], naming the variable that is missing or wrong.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_lookup(&environment::process)
    }

    fn from_lookup(lookup: environment::Lookup<'_>) -> Result<Self, Error> {
        let proxy = environment::url(lookup, environment::PROXY_URL)?;
        let root = environment::url(lookup, environment::ROOT_URL)?.or_else(|| proxy.clone());
        let root = root.ok_or_else(|| Error::config(format!("{} is not set", environment::ROOT_URL)))?;
        let mut builder = Self::new(root);
        if environment::is_set(lookup, environment::KUBERNETES_DNS)? {
            builder = builder.discovery(KubernetesDns::new());
        }
        match proxy {
            Some(proxy) => Ok(builder.proxy(proxy)),
            None => Ok(builder.credentials(environment::credentials(lookup)?)),
        }
    }

    pub(super) fn of(inner: &Inner) -> Self {
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let (source, authorized_scopes) = match &inner.identity {
            Identity::Nobody => (Source::Nobody, None),
            Identity::Fixed { credentials, .. } => (Source::Fixed(Credentials::clone(credentials)), None),
            Identity::Provided { provider, authorized_scopes } => {
                (Source::Provider(provider.clone()), authorized_scopes.clone())
            }
        };
        Self {
            root: Ok(inner.root.clone()),
            proxy: inner.proxy.clone().map(Ok),
            discovery: inner.discovery.clone(),
            interceptors: inner.interceptors.clone(),
            source,
            authorized_scopes,
            transport: Some(inner.transport.clone()),
            retry: inner.retry.clone(),
            clock: Some(inner.clock.clone()),
            user_agent: Some(text(&inner.user_agent)),
            trace_id: inner.trace_id.as_ref().map(text),
            skew: inner.skew.clone(),
            budget: inner.budget.clone(),
            extensions: inner.extensions.clone(),
        }
    }

    /// Signs with these credentials; with `None`, calls anonymously. Not through a [proxy](Self::proxy), which would sign with
    /// others.
    pub fn credentials(mut self, credentials: impl Into<Option<Credentials>>) -> Self {
        self.source = credentials.into().map_or(Source::Nobody, Source::Fixed);
        self.proxy = None;
        self
    }

    /// Signs with the credentials that the provider has at the moment of each attempt. Not through a [proxy](Self::proxy), as
    /// [`credentials`](Self::credentials).
    pub fn provider(mut self, provider: impl CredentialsProvider + 'static) -> Self {
        self.source = Source::Provider(Arc::new(provider));
        self.proxy = None;
        self
    }

    /// Sends calls, unsigned, to `<proxy>/api/…` instead of the root URL. The proxy signs them, so whatever
    /// [credentials](Self::credentials) were set before do not matter; those that are set afterwards end its use.
    pub fn proxy<U>(mut self, proxy: U) -> Self
    where
        U: TryInto<RootUrl>,
        U::Error: Into<InvalidRootUrl>,
    {
        self.proxy = Some(proxy.try_into().map_err(Into::into));
        self
    }

    /// Calls services where they are found by this, instead of at the root URL: within a cluster, say. See [`Discovery`].
    pub fn discovery(mut self, discovery: impl Discovery + 'static) -> Self {
        self.discovery = Some(Arc::new(discovery));
        self
    }

    /// Has this around each call, within those that were set before. See [`Interceptor`].
    pub fn intercept(mut self, interceptor: impl Interceptor + 'static) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Calls with no more than these scopes, whatever the credentials have. Not through a [proxy](Self::proxy), which would not
    /// hear of them: that is an error of [`build`](Self::build).
    pub fn authorized_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.authorized_scopes = Some(scopes.into_iter().map(Into::into).collect());
        self
    }

    /// Sends over this transport. Default: a new [`HttpTransport`](crate::transport::http::HttpTransport), where the
    /// feature `http` is on.
    pub fn transport(mut self, transport: impl Into<Transport>) -> Self {
        self.transport = Some(transport.into());
        self
    }

    /// Tries as this policy says.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Dates signatures by this clock. Default: the system's.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Introduces itself with this `user-agent`. Default: `taskcluster-rust/<version>`.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(user_agent.into());
        self
    }

    /// Sends this `x-taskcluster-trace-id` with every call, under which the services log what belongs together.
    pub fn trace_id(mut self, trace_id: impl Into<String>) -> Self {
        self.trace_id = Some(trace_id.into());
        self
    }

    /// Keeps something with the caller, one value of each type, for those who are handed it: a bus of messages, say. It
    /// changes no call.
    ///
    /// ```
    /// # use taskcluster_core::transport::testing::ScriptedTransport;
    /// # fn main() -> Result<(), taskcluster_core::Error> {
    /// use taskcluster_core::Caller;
    /// # let script = ScriptedTransport::new();
    /// # let builder = Caller::builder("https://tc.example.com").transport(&script);
    /// #[derive(Clone, Debug, PartialEq)]
    /// struct Team(&'static str);
    ///
    /// let caller = builder.extension(Team("build")).build()?;
    /// assert_eq!(caller.to_builder().build()?.extension(), Some(&Team("build")));
    /// # Ok(())
    /// # }
    /// ```
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.extensions.insert(value);
        self
    }

    /// The caller.
    ///
    /// # Errors
    /// [`Error::Config`] if the root URL, the proxy's, the client id, the user agent or the trace id cannot be used, if there
    /// are authorized scopes and a proxy, or if there is no transport.
    pub fn build(self) -> Result<Caller, Error> {
        let root = self.root.map_err(|error| Error::config_from("the root URL cannot be used", error))?;
        let proxy =
            self.proxy.transpose().map_err(|error| Error::config_from("the URL of the proxy cannot be used", error))?;
        if proxy.is_some() && self.authorized_scopes.is_some() {
            return Err(Error::config(
                "authorized scopes cannot be asked of a proxy: they are part of a signature, and it signs",
            ));
        }
        let user_agent = self.user_agent.as_deref();
        let user_agent = match user_agent.map(|text| header("user agent", text)).transpose()? {
            Some(user_agent) => user_agent,
            None => HeaderValue::from_static(concat!("taskcluster-rust/", env!("CARGO_PKG_VERSION"))),
        };
        Ok(Caller(Arc::new(Inner {
            root,
            proxy,
            discovery: self.discovery,
            interceptors: self.interceptors,
            identity: identity(self.source, self.authorized_scopes)?,
            transport: self.transport.map_or_else(default_transport, Ok)?,
            retry: self.retry,
            clock: self.clock.unwrap_or_else(SystemClock::shared),
            user_agent,
            trace_id: self.trace_id.as_deref().map(|text| header("trace id", text)).transpose()?,
            skew: self.skew,
            budget: self.budget,
            extensions: self.extensions,
        })))
    }
}

fn identity(source: Source, authorized_scopes: Option<Vec<String>>) -> Result<Identity, Error> {
    match source {
        Source::Nobody => Ok(Identity::Nobody),
        Source::Provider(provider) => Ok(Identity::Provided { provider, authorized_scopes }),
        Source::Fixed(mut credentials) => {
            credentials.authorized_scopes = authorized_scopes.or(credentials.authorized_scopes);
            let signer = Signer::new(&credentials).map_err(|error| {
                Error::config_from(format!("cannot sign as '{}'", credentials.client_id.escape_debug()), error)
            })?;
            Ok(Identity::Fixed { signer, credentials: Box::new(credentials) })
        }
    }
}

fn header(what: &str, text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text).map_err(|error| Error::config_from(format!("bad {what}"), error))
}

#[cfg(feature = "http")]
fn default_transport() -> Result<Transport, Error> {
    let transport = crate::transport::http::HttpTransport::new();
    transport.map(Into::into).map_err(|error| Error::config_from("no HTTP transport", error))
}

#[cfg(not(feature = "http"))]
fn default_transport() -> Result<Transport, Error> {
    Err(Error::config("no transport was given, and the feature `http` is off"))
}

impl fmt::Debug for CallerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerBuilder").field("root", &self.root).field("proxy", &self.proxy).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain;
    use std::env::VarError;

    fn from(variables: &[(&str, &str)]) -> Result<Caller, Error> {
        let builder = CallerBuilder::from_lookup(&|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned()).ok_or(VarError::NotPresent)
        })?;
        let transport = crate::transport::in_process(tower::service_fn(async |_| {
            Ok::<_, std::convert::Infallible>(http::Response::new(crate::transport::Body::empty()))
        }));
        builder.transport(transport).build()
    }

    const CREDENTIALS: [(&str, &str); 2] = [("TASKCLUSTER_CLIENT_ID", "me"), ("TASKCLUSTER_ACCESS_TOKEN", "t")];

    #[test]
    fn the_usual_variables_make_a_caller() {
        let [id, token] = CREDENTIALS;
        let caller = from(&[("TASKCLUSTER_ROOT_URL", "https://tc.example.com/"), id, token]).unwrap();
        assert_eq!(caller.root_url().as_str(), "https://tc.example.com");
        assert_eq!(caller.credentials().unwrap().client_id, "me");
        assert!(from(&[("TASKCLUSTER_ROOT_URL", "https://tc.example.com")]).unwrap().credentials().is_none());
    }

    #[test]
    fn with_a_proxy_the_credentials_are_left_to_it() {
        let [id, token] = CREDENTIALS;
        let caller = from(&[("TASKCLUSTER_PROXY_URL", "http://taskcluster"), id, token]).unwrap();
        assert_eq!((caller.root_url().as_str(), caller.credentials()), ("http://taskcluster", None));
    }

    #[test]
    fn within_a_cluster_the_variable_of_its_services_counts() {
        let root = ("TASKCLUSTER_ROOT_URL", "https://tc.example.com");
        let located = |variables: &[(&str, &str)]| {
            let found = from(variables).unwrap();
            found.0.discovery.as_ref().and_then(|discovery| discovery.locate("queue")).map(|url| url.to_string())
        };
        assert_eq!(located(&[root]), None);
        assert_eq!(located(&[root, ("USE_KUBERNETES_DNS_SERVICE_DISCOVERY", "")]), None);
        let found = located(&[root, ("USE_KUBERNETES_DNS_SERVICE_DISCOVERY", "true")]);
        assert_eq!(found.as_deref(), Some("http://taskcluster-queue"));
    }

    #[test]
    fn the_missing_variable_is_named() {
        let [id, token] = CREDENTIALS;
        for (variables, message) in [
            (&[id, token][..], "TASKCLUSTER_ROOT_URL is not set"),
            (&[("TASKCLUSTER_ROOT_URL", "x"), id, token], "TASKCLUSTER_ROOT_URL cannot be used: 'x' is not a root URL"),
            (&[("TASKCLUSTER_PROXY_URL", "x")], "TASKCLUSTER_PROXY_URL cannot be used: 'x' is not a root URL"),
        ] {
            let error = chain(&from(variables).unwrap_err()).to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}

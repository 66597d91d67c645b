//! One handle for all services.

use taskcluster_core::root_url::InvalidRootUrl;
use taskcluster_core::transport::Transport;
use taskcluster_core::{
    Caller, CallerBuilder, Credentials, CredentialsProvider, Discovery, Error, Interceptor, RetryPolicy, RootUrl,
    SharedClock,
};

/// A deployment and who we are there: the way to the clients of all its services.
///
/// Cloning is cheap, and so is asking for a client: they all share one connection pool and one set of credentials.
///
/// ```no_run
/// # async fn example() -> Result<(), taskcluster::Error> {
/// use taskcluster::{Credentials, Taskcluster};
///
/// let tc = Taskcluster::builder("https://tc.example.com")
///     .credentials(Credentials::new("project/me", "access token"))
///     .build()?;
/// println!("{:?}", tc.auth().current_scopes().await?.scopes);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Taskcluster {
    caller: Caller,
}

impl Taskcluster {
    /// The deployment of the usual variables.
    ///
    /// `TASKCLUSTER_ROOT_URL` says where it is. With `TASKCLUSTER_PROXY_URL`, which a task with the proxy feature has, calls go
    /// through that proxy, which signs them. Otherwise `TASKCLUSTER_CLIENT_ID`, `TASKCLUSTER_ACCESS_TOKEN` and, for temporary
    /// credentials, `TASKCLUSTER_CERTIFICATE` say who we are; without them calls are anonymous. An empty variable counts as
    /// not set.
    ///
    /// `USE_KUBERNETES_DNS_SERVICE_DISCOVERY`, which the services of a deployment on Kubernetes have, means that services are called
    /// within the cluster; see [`Discovery`].
    ///
    /// # Errors
    /// [`Error::Config`], naming the variable that is missing or wrong.
    pub fn from_env() -> Result<Self, Error> {
        TaskclusterBuilder::from_env()?.build()
    }

    /// Begins to build a handle for the deployment at this root URL. A bad URL is an error of [`TaskclusterBuilder::build`].
    pub fn builder<U>(root_url: U) -> TaskclusterBuilder
    where
        U: TryInto<RootUrl>,
        U::Error: Into<InvalidRootUrl>,
    {
        TaskclusterBuilder { caller: Caller::builder(root_url) }
    }

    /// The deployment that is called.
    #[must_use]
    pub fn root_url(&self) -> &RootUrl {
        self.caller.root_url()
    }

    /// A builder with everything that this handle has, to change something: other credentials, fewer scopes, more patience.
    /// Connections stay shared.
    ///
    /// ```no_run
    /// # fn example() -> Result<(), taskcluster::Error> {
    /// use taskcluster::Taskcluster;
    ///
    /// let tc = Taskcluster::from_env()?;
    /// let anonymous = tc.to_builder().credentials(None).build()?;
    /// let careful = tc.to_builder().authorized_scopes(["queue:get-artifact:public/*"]).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_builder(&self) -> TaskclusterBuilder {
        TaskclusterBuilder { caller: self.caller.to_builder() }
    }

    /// What all the clients have in common: the deployment, credentials, the transport.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// A client of the service auth: clients, roles, scopes, credentials.
    #[cfg(feature = "auth")]
    #[must_use]
    pub fn auth(&self) -> crate::auth::Auth {
        crate::auth::Auth::new(self.caller.clone())
    }

    /// A client of the service queue: tasks, runs, claims, artifacts.
    #[cfg(feature = "queue")]
    #[must_use]
    pub fn queue(&self) -> crate::queue::Queue {
        crate::queue::Queue::new(self.caller.clone())
    }

    /// A client of the service scheduler: task graphs.
    #[cfg(feature = "scheduler")]
    #[must_use]
    pub fn scheduler(&self) -> crate::scheduler::Scheduler {
        crate::scheduler::Scheduler::new(self.caller.clone())
    }

    /// A client of the service provisioner: worker types.
    #[cfg(feature = "provisioner")]
    #[must_use]
    pub fn provisioner(&self) -> crate::provisioner::Provisioner {
        crate::provisioner::Provisioner::new(self.caller.clone())
    }

    /// A client of the service index: tasks by names.
    #[cfg(feature = "index")]
    #[must_use]
    pub fn index(&self) -> crate::index::Index {
        crate::index::Index::new(self.caller.clone())
    }

    /// A client of the service hooks: tasks at set times, for messages, on demand.
    #[cfg(feature = "hooks")]
    #[must_use]
    pub fn hooks(&self) -> crate::hooks::Hooks {
        crate::hooks::Hooks::new(self.caller.clone())
    }

    /// A client of the service notify: mail, Matrix, Slack, messages.
    #[cfg(feature = "notify")]
    #[must_use]
    pub fn notify(&self) -> crate::notify::Notify {
        crate::notify::Notify::new(self.caller.clone())
    }

    /// A client of the service object: large data, uploaded and downloaded.
    #[cfg(feature = "object")]
    #[must_use]
    pub fn object(&self) -> crate::object::Object {
        crate::object::Object::new(self.caller.clone())
    }

    /// A client of the service purge-cache: caches that workers shall drop.
    #[cfg(feature = "purge-cache")]
    #[must_use]
    pub fn purge_cache(&self) -> crate::purge_cache::PurgeCache {
        crate::purge_cache::PurgeCache::new(self.caller.clone())
    }

    /// A client of the service secrets: small secret objects under names.
    #[cfg(feature = "secrets")]
    #[must_use]
    pub fn secrets(&self) -> crate::secrets::Secrets {
        crate::secrets::Secrets::new(self.caller.clone())
    }

    /// A client of the service worker-manager: worker pools and their workers.
    #[cfg(feature = "worker-manager")]
    #[must_use]
    pub fn worker_manager(&self) -> crate::worker_manager::WorkerManager {
        crate::worker_manager::WorkerManager::new(self.caller.clone())
    }

    /// A client of the service events: messages over plain HTTP.
    ///
    /// For whoever cannot reach the message broker.
    #[cfg(feature = "event_stream")]
    #[must_use]
    pub fn event_stream(&self) -> crate::event_stream::Events {
        crate::event_stream::Events::new(self.caller.clone())
    }

    /// The bus over which this handle hears what happens, if it was built with one.
    #[cfg(feature = "events")]
    #[must_use]
    pub fn events(&self) -> Option<std::sync::Arc<dyn crate::events::Bus>> {
        crate::events::Hears::bus_of(&self.caller)
    }

    /// Upload and download of artifacts.
    #[cfg(feature = "artifacts")]
    pub fn artifacts(&self) -> crate::artifacts::Artifacts {
        crate::artifacts::Artifacts::new(&self.caller)
    }
}

impl From<Caller> for Taskcluster {
    fn from(caller: Caller) -> Self {
        Self { caller }
    }
}

/// Builds a [`Taskcluster`].
#[derive(Debug)]
#[must_use = "a builder does nothing before `build`"]
pub struct TaskclusterBuilder {
    caller: CallerBuilder,
}

impl TaskclusterBuilder {
    /// Starts from the usual variables, as [`Taskcluster::from_env`] reads them.
    ///
    /// # Errors
    /// [`Error::Config`], naming the variable that is missing or wrong.
    pub fn from_env() -> Result<Self, Error> {
        Ok(Self { caller: CallerBuilder::from_env()? })
    }

    /// Signs with these credentials; with `None`, calls anonymously.
    pub fn credentials(self, credentials: impl Into<Option<Credentials>>) -> Self {
        Self { caller: self.caller.credentials(credentials) }
    }

    /// Signs with the credentials that the provider has at the moment of each attempt.
    pub fn provider(self, provider: impl CredentialsProvider + 'static) -> Self {
        Self { caller: self.caller.provider(provider) }
    }

    /// Sends calls, unsigned, through a proxy that signs them.
    pub fn proxy<U>(self, proxy: U) -> Self
    where
        U: TryInto<RootUrl>,
        U::Error: Into<InvalidRootUrl>,
    {
        Self { caller: self.caller.proxy(proxy) }
    }

    /// Calls services where they are found by this, instead of at the root URL: within a cluster, say. URLs for others, signed or
    /// not, keep to the root URL.
    pub fn discovery(self, discovery: impl Discovery + 'static) -> Self {
        Self { caller: self.caller.discovery(discovery) }
    }

    /// Has this around each call, within those that were set before: numbers, records, limits of one's own.
    pub fn intercept(self, interceptor: impl Interceptor + 'static) -> Self {
        Self { caller: self.caller.intercept(interceptor) }
    }

    /// Calls with no more than these scopes, whatever the credentials have.
    pub fn authorized_scopes<S: Into<String>>(self, scopes: impl IntoIterator<Item = S>) -> Self {
        Self { caller: self.caller.authorized_scopes(scopes) }
    }

    /// Sends over this transport instead of plain HTTP.
    pub fn transport(self, transport: impl Into<Transport>) -> Self {
        Self { caller: self.caller.transport(transport) }
    }

    /// Repeats failed calls as this policy says.
    pub fn retry(self, retry: RetryPolicy) -> Self {
        Self { caller: self.caller.retry(retry) }
    }

    /// Dates signatures by this clock instead of the system's.
    pub fn clock(self, clock: SharedClock) -> Self {
        Self { caller: self.caller.clock(clock) }
    }

    /// Introduces itself with this `user-agent`.
    pub fn user_agent(self, user_agent: impl Into<String>) -> Self {
        Self { caller: self.caller.user_agent(user_agent) }
    }

    /// Sends this `x-taskcluster-trace-id` with every call, under which services log what belongs together.
    pub fn trace_id(self, trace_id: impl Into<String>) -> Self {
        Self { caller: self.caller.trace_id(trace_id) }
    }

    /// Hears what happens over this bus, so that [`wait_for`](crate::queue::Queue::wait_for) and its like need not ask
    /// again and again.
    #[cfg(feature = "events")]
    pub fn events(self, bus: std::sync::Arc<dyn crate::events::Bus>) -> Self {
        Self { caller: self.caller.extension(crate::events::Hears::Bus(bus)) }
    }

    /// Hears what happens over the deployment's service `events/v1`, with the handle's own credentials: as
    /// [`events`](Self::events) with an [`SseBus`](crate::events::SseBus). For deployments that have that service.
    #[cfg(all(feature = "events", feature = "event_stream"))]
    pub fn events_over_http(self) -> Self {
        Self { caller: self.caller.extension(crate::events::Hears::OverHttp) }
    }

    /// The handle.
    ///
    /// # Errors
    /// [`Error::Config`], saying which of the settings cannot be used.
    pub fn build(self) -> Result<Taskcluster, Error> {
        Ok(self.caller.build()?.into())
    }
}

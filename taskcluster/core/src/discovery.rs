//! Where the services of a deployment are reached by somebody who is close to them.

use crate::root_url::RootUrl;

/// Where a service is called, if not at the root URL: at its own address within a cluster, say. Set by
/// [`CallerBuilder::discovery`](crate::CallerBuilder::discovery).
///
/// A call of the service goes to `<address>/api/<service>/<version>/…`. It is signed for that address, since a service holds
/// the signature against the `Host` that it sees: a load balancer on the way must leave that header as it is, and may tell
/// the port of the address in `x-forwarded-port` only if it is the one that was called.
///
/// Only calls go there. What is for others keeps to the root URL: [`url()`](crate::Request::url),
/// [`signed_for()`](crate::Request::signed_for) and whatever is made of [`Caller::root_url`](crate::Caller::root_url). A
/// caller with a [proxy](crate::CallerBuilder::proxy) calls through that alone.
///
/// Any function is one:
/// ```
/// # use taskcluster_core::transport::testing::ScriptedTransport;
/// # use taskcluster_core::{Caller, Method, Operation, Request, RootUrl, Stability};
/// # static PING: Operation = Operation {
/// #     service: "queue", version: "v1", name: "ping", method: Method::Get, route: "/ping", args: &[], query: &[],
/// #     input: None, output: None, scopes: None, idempotent: true, stability: Stability::Stable,
/// # };
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let script = ScriptedTransport::new().on("queue.ping", serde_json::json!({}));
/// let queue: RootUrl = "http://10.0.0.7:8080".parse()?;
/// let caller = Caller::builder("https://tc.example.com")
///     .discovery(move |service: &str| (service == "queue").then(|| queue.clone()))
/// #   .transport(&script)
///     .build()?;
/// # Request::<()>::new(&caller, &PING, &[]).await?;
/// # assert_eq!(script.calls()[0].origin, "http://10.0.0.7:8080");
/// # Ok(())
/// # }
/// ```
pub trait Discovery: Send + Sync {
    /// The address of the service, such as `queue`, asked for at the beginning of each call; `None` for the root URL. Must
    /// answer at once: looking up is done elsewhere.
    fn locate(&self, service: &str) -> Option<RootUrl>;
}

impl<F: Fn(&str) -> Option<RootUrl> + Send + Sync> Discovery for F {
    fn locate(&self, service: &str) -> Option<RootUrl> {
        self(service)
    }
}

/// By the names that the services of a deployment on Kubernetes have there: `http://taskcluster-queue`, and so on. The
/// deployment's own services call each other so; it is what other clients name `k8s-dns`.
///
/// Connections are plain HTTP and pass no ingress, so it is for programs inside the cluster.
/// [`CallerBuilder::from_env`](crate::CallerBuilder::from_env) takes it where `USE_KUBERNETES_DNS_SERVICE_DISCOVERY` is set.
///
/// ```
/// use taskcluster_core::discovery::{Discovery, KubernetesDns};
///
/// let here = KubernetesDns::new().locate("purge-cache").unwrap();
/// assert_eq!(here.as_str(), "http://taskcluster-purge-cache");
/// let elsewhere = KubernetesDns::new().in_namespace("ci").locate("queue").unwrap();
/// assert_eq!(elsewhere.as_str(), "http://taskcluster-queue.ci");
/// ```
#[derive(Clone, Debug, Default)]
pub struct KubernetesDns {
    namespace: Option<String>,
}

impl KubernetesDns {
    /// For programs in the namespace of the deployment.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For programs in another namespace: that of the deployment is part of each name. It may go on, as in
    /// `ci.svc.cluster.local`.
    #[must_use]
    pub fn in_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }
}

impl Discovery for KubernetesDns {
    fn locate(&self, service: &str) -> Option<RootUrl> {
        let url = match &self.namespace {
            Some(namespace) => format!("http://taskcluster-{service}.{namespace}"),
            None => format!("http://taskcluster-{service}"),
        };
        url.parse().ok()
    }
}

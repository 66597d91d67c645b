//! `features.taskclusterProxy`: calls to the deployment with the task's own scopes, without credentials in its hands.
//!
//! Each task gets a door of its own, opened by the engine, and its address in `TASKCLUSTER_PROXY_URL`. Where only the task is
//! in the door's network, that is all. Where other processes of the machine can reach it, the address has a path segment that
//! only the task knows; a request without it is not answered. A task may show its address to others without meaning to (the
//! arguments of a command can be seen by everybody), so where the engine knows as which user the task runs, connections of
//! other users are not answered either.
//!
//! What arrives below `/api/<service>/<version>/` is signed with the run's credentials, limited to the
//! task's scopes and to making artifacts of this run (so a task cannot resolve itself), and passed on as it is; bodies are
//! streamed both ways. Renewed credentials are used from the next request on. `/<service>/<version>/` means the same. What is posted
//! to `/bewit`, a URL of the deployment, comes back signed, good for an hour to whoever has it. Nothing is signed for another
//! host, and nothing that arrives here changes the credentials.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse, Json, Response};
use http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use subtle::ConstantTimeEq;
use taskcluster_core::credentials::CredentialsProvider;
use taskcluster_core::hawk::{RequestFacts, Signer};
use taskcluster_core::root_url::RootUrl;
use taskcluster_core::transport;
use tokio_util::task::AbortOnDropHandle;

use crate::context::TaskContext;
use crate::engine::{Door, ResultSet, SandboxBuilder, Visitors};
use crate::error::{Error, Result};
use crate::payload::{Payload, PayloadPart};
use crate::peer::{Peer, Visitor};
use crate::plugin::{Plugin, TaskPlugin, Verdict};
use taskcluster_core::chain;

mod route;
mod signed_url;

use route::Route;

/// Gives a task that asks for it the address of a proxy in `TASKCLUSTER_PROXY_URL`.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Proxy;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct ProxyPayload {
    features: ProxyFeatures,
}

/// What the worker adds to the task.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct ProxyFeatures {
    /// Whether the commands can call the deployment, at `TASKCLUSTER_PROXY_URL`, with the task's scopes.
    taskcluster_proxy: bool,
}

impl Plugin for Proxy {
    fn name(&self) -> &'static str {
        "proxy"
    }

    fn payload(&self) -> PayloadPart {
        PayloadPart::of::<ProxyPayload>()
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        Box::new(TaskProxy { task: task.clone(), wanted: false, server: None })
    }
}

/// The URL that a call was passed on to, in its answer.
const ENDPOINT: HeaderName = HeaderName::from_static("x-taskcluster-endpoint");
const VERSION: HeaderName = HeaderName::from_static("x-taskcluster-proxy-version");

/// By this name, or at `TASKCLUSTER_PROXY_URL`, tasks in containers expect the proxy.
const HOST: &str = "taskcluster";

struct TaskProxy {
    task: Arc<TaskContext>,
    wanted: bool,
    /// Ends when dropped.
    server: Option<AbortOnDropHandle<()>>,
}

#[async_trait]
impl TaskPlugin for TaskProxy {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        self.wanted = payload.part::<ProxyPayload>()?.features.taskcluster_proxy;
        Ok(())
    }

    async fn build(&mut self, builder: &mut dyn SandboxBuilder) -> Result<()> {
        if !self.wanted {
            return Ok(());
        }
        let door = builder.open_door(HOST).await?;
        let (url, server) = serve(self.task.clone(), door)?;
        self.server = Some(server);
        builder.set_env("TASKCLUSTER_PROXY_URL", &url)
    }

    async fn stopped(&mut self, _results: &dyn ResultSet) -> Result<Verdict> {
        self.server = None;
        Ok(Verdict::Good)
    }

    async fn dispose(&mut self) {
        self.server = None;
    }
}

/// Serve the task at its door, and say how it calls the proxy.
fn serve(task: Arc<TaskContext>, door: Door) -> Result<(String, AbortOnDropHandle<()>)> {
    let failed = |error| Error::worker_caused("cannot start the proxy", error);
    let address = door.listener.local_addr().map_err(failed)?;
    let (visitors, secret) = match door.visitors {
        Visitors::Network { .. } => (door.visitors, None),
        // Where the system does not tell who connects, the secret alone has to do.
        Visitors::User(_) if !Peer::is_told_at(address) => (Visitors::Anybody, Some(crate::secret_segment())),
        Visitors::User(_) | Visitors::Anybody => (door.visitors, Some(crate::secret_segment())),
    };
    let url = match &secret {
        Some(secret) => format!("{}/{secret}", door.url),
        None => door.url,
    };
    let router = Router::new().fallback(forward).with_state(Arc::new(Forwarder { task, secret, visitors }));
    let service = router.into_make_service_with_connect_info::<Visitor>();
    let server = tokio::spawn(async move {
        if let Err(error) = axum::serve(door.listener, service).await {
            tracing::error!(%error, "a proxy has stopped");
        }
    });
    Ok((url, AbortOnDropHandle::new(server)))
}

struct Forwarder {
    task: Arc<TaskContext>,
    /// First segment of the path, where that is what keeps others away.
    secret: Option<String>,
    visitors: Visitors,
}

async fn forward(
    State(forwarder): State<Arc<Forwarder>>,
    ConnectInfo(visitor): ConnectInfo<Visitor>,
    request: Request,
) -> Response {
    let refuse = |status: StatusCode, message: String| (status, Json(json!({"message": message}))).into_response();
    let Some(rest) = forwarder.rest(&request).filter(|_| forwarder.serves(visitor)) else {
        return refuse(StatusCode::NOT_FOUND, route::HELP.to_owned());
    };
    let resource = match Route::parse(rest, forwarder.root()) {
        Ok(Route::Call(resource)) => resource,
        Ok(Route::Sign) => {
            let answer = forwarder.sign_url(request.into_body()).await;
            return answer.unwrap_or_else(|message| refuse(StatusCode::BAD_REQUEST, message));
        }
        Err(help) => return refuse(StatusCode::NOT_FOUND, help.to_owned()),
    };
    match forwarder.send(&resource, request).await {
        Ok(response) => response,
        Err(message) => {
            tracing::warn!(task.id = %forwarder.task.task_id(), message, "cannot pass on a call of a task");
            refuse(StatusCode::BAD_GATEWAY, message)
        }
    }
}

impl Forwarder {
    /// Whether a connection may be the task's.
    fn serves(&self, visitor: Visitor) -> bool {
        let serves = visitor.may_be(self.visitors);
        if !serves {
            tracing::warn!(task.id = %self.task.task_id(), ?visitor, "somebody else calls a task's proxy");
        }
        serves
    }

    /// Path and query below the address that the task has, still encoded as they came; `None` for who does not know it.
    fn rest<'a>(&self, request: &'a Request) -> Option<&'a str> {
        let rest = request.uri().path_and_query()?.as_str().strip_prefix('/')?;
        let Some(secret) = &self.secret else { return Some(rest) };
        let (first, others) = rest.split_once('/')?;
        bool::from(first.as_bytes().ct_eq(secret.as_bytes())).then_some(others)
    }

    fn root(&self) -> &RootUrl {
        self.task.parts.caller.root_url()
    }

    async fn sign_url(&self, body: Body) -> Result<Response, String> {
        signed_url::answer(body, self.root(), &self.signer()?, self.task.clock().now()).await
    }

    async fn send(&self, resource: &str, request: Request) -> Result<Response, String> {
        let target = format!("{}{resource}", self.root().as_str());
        let uri: Uri = target.parse().map_err(|error| format!("{resource} cannot be called: {error}"))?;
        let signed = uri.path_and_query().map_or(resource, |path| path.as_str());
        let authorization = self.sign(request.method().as_str(), signed)?;
        let (mut parts, body) = request.into_parts();
        remove_hop_headers(&mut parts.headers);
        parts.headers.remove(header::HOST);
        parts.headers.insert(header::AUTHORIZATION, authorization);
        let mut outgoing = http::Request::new(transport::Body::new(body));
        *outgoing.method_mut() = parts.method;
        *outgoing.uri_mut() = uri;
        *outgoing.headers_mut() = parts.headers;
        let response =
            self.task.parts.caller.transport().send(outgoing).await.map_err(|error| chain(&error).to_string())?;
        let (mut parts, body) = response.into_parts();
        remove_hop_headers(&mut parts.headers);
        // What was called, for whoever wonders.
        for (name, value) in [(ENDPOINT, &*target), (VERSION, env!("CARGO_PKG_VERSION"))] {
            if let Ok(value) = http::HeaderValue::from_str(value) {
                parts.headers.insert(name, value);
            }
        }
        Ok(Response::from_parts(parts, Body::new(body)))
    }

    /// Signs as the task, with no more than it may.
    fn signer(&self) -> Result<Signer, String> {
        let task = &self.task;
        let credentials = task.credentials().credentials().ok_or("the task has no credentials")?;
        let own = format!("queue:create-artifact:{}/{}", task.task_id(), task.run_id());
        let scopes = task.scopes().iter().cloned().chain([own]);
        Signer::new(&credentials.with_authorized_scopes(scopes)).map_err(|error| chain(&error).to_string())
    }

    fn sign(&self, method: &str, resource: &str) -> Result<http::HeaderValue, String> {
        let facts = RequestFacts { method, resource, host: self.root().host(), port: self.root().port() };
        self.signer()?.header(facts, None, self.task.clock().now()).map_err(|error| chain(&error).to_string())
    }
}

/// Headers that are between two neighbours, not for whoever comes after.
fn remove_hop_headers(headers: &mut HeaderMap) {
    let named: HashSet<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let always = [
        header::CONNECTION,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
    ];
    for name in named.iter().chain(&always) {
        headers.remove(name);
    }
}

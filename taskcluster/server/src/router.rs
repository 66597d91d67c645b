//! The routes of a service as an axum router.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::json;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::operation::{BLOB, Operation};
use taskcluster_core::time::Timestamp;
use tokio::sync::Semaphore;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};

use crate::authenticator::Authenticator;
use crate::dockerflow::{self, Version};
use crate::path::PathTemplate;
use crate::references::References;
use crate::request::Received;
use crate::routes::{Handler, Routes};
use crate::validate::{Schema, SchemaError, Schemas};
use crate::{authorize, headers, published};

mod beside;
mod failed;
mod handle;

/// What a service's router needs besides its routes.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The root URL of the deployment, which the published documents carry.
    pub root_url: String,
    /// Who finds out who is calling.
    pub authenticator: Arc<dyn Authenticator>,
    /// Where the time comes from.
    pub clock: SharedClock,
    /// The references, those of this service among them.
    pub references: References,
    /// What `__version__` says about the running program.
    pub version: String,
}

/// Serves the routes of one service.
#[derive(Debug)]
pub struct ServiceRouter {
    served: Served,
}

impl ServiceRouter {
    /// Prepares the routes of a service.
    ///
    /// # Errors
    /// When a schema of the service, or one that it refers to, is missing or is no JSON.
    pub fn new(routes: Routes, parts: Parts) -> Result<Self, SchemaError> {
        let (service, version) = (routes.service(), routes.version());
        let schemas = Schemas::of_service(&parts.references, &parts.root_url, service)?;
        let mut prepared: Vec<_> = routes.into_iter().map(PreparedRoute::new).map(Arc::new).collect();
        prepared.sort_by_key(|route| route.path.rank());
        Ok(Self {
            served: Served {
                service,
                prefix: format!("/api/{service}/{version}"),
                routes: prepared,
                schemas,
                root_url: parts.root_url,
                authenticator: parts.authenticator,
                started: parts.clock.now(),
                clock: parts.clock,
                references: parts.references,
                version: Version(parts.version),
                validate_output: cfg!(debug_assertions),
                large: beside::turns(),
            },
        })
    }

    /// Whether answers are held against the schemas of the reference too; an answer that does not fit becomes a 500.
    /// On in debug builds, where it finds mistakes; off otherwise, where it costs time.
    #[must_use]
    pub fn validate_output(mut self, yes: bool) -> Self {
        self.served.validate_output = yes;
        self
    }

    /// Name of the service.
    pub fn service(&self) -> &'static str {
        self.served.service
    }

    /// The router: `/api/<service>/v1`, and the references and schemas of this service.
    ///
    /// Routers of several services can be merged. [`site`] does that and adds what belongs to no service.
    pub fn into_router(self) -> Router {
        let served = Arc::new(self.served);
        let api = any({
            let served = Arc::clone(&served);
            move |request: Request| handle::handle(served, request)
        });
        let (service, prefix) = (served.service, &served.prefix);
        let documents = any({
            let served = Arc::clone(&served);
            move |request: Request| async move {
                published::document(&served.references, &served.root_url, request.method(), request.uri().path())
            }
        });
        let router = Router::new()
            .route(prefix, api.clone())
            .route(&format!("{prefix}/"), api.clone())
            .route(&format!("{prefix}/{{*rest}}"), api)
            .route(&format!("/references/{service}/{{*rest}}"), documents.clone())
            .route(&format!("/schemas/{service}/{{*rest}}"), documents)
            .layer(compression());
        headers::over_tls_only(router, &served.root_url)
    }
}

/// One router for several services of one deployment: all that they serve, the manifest, the shared schemas, and the
/// endpoints of the process itself. Every other path is a 404.
pub fn site(services: impl IntoIterator<Item = ServiceRouter>) -> Router {
    let services: Vec<ServiceRouter> = services.into_iter().collect();
    let names: Vec<&'static str> = services.iter().map(ServiceRouter::service).collect();
    let fallback = |request: Request| async move { published::not_found(request.method()) };
    let Some(first) = services.first() else { return Router::new().fallback(fallback) };

    let (references, root_url) = (first.served.references.clone(), first.served.root_url.clone());
    let (version, clock, started) =
        (first.served.version.clone(), Arc::clone(&first.served.clock), first.served.started);
    let manifest = references.manifest(&root_url, &names);
    let root = move |request: Request| async move {
        let uptime = clock.now().since(started);
        match dockerflow::answer(request.uri().path(), &version, uptime) {
            Some(answer) => published::answer(request.method(), StatusCode::OK, &answer),
            None => published::not_found(request.method()),
        }
    };
    let public = root_url.clone();
    let own = Router::new()
        .route(
            "/references/manifest.json",
            any(move |request: Request| async move { published::answer(request.method(), StatusCode::OK, &manifest) }),
        )
        .route(
            "/schemas/common/{*rest}",
            any(move |request: Request| async move {
                published::document(&references, &root_url, request.method(), request.uri().path())
            }),
        )
        .layer(compression())
        .route("/__lbheartbeat__", any(root.clone()))
        .route("/__heartbeat__", any(root.clone()))
        .route("/__version__", any(root))
        .route("/robots.txt", any(|| async { "User-agent: *\nDisallow: /\n" }));
    let own = headers::over_tls_only(own, &public);
    services.into_iter().map(ServiceRouter::into_router).fold(own, Router::merge).fallback(fallback)
}

fn compression() -> CompressionLayer<impl tower_http::compression::Predicate> {
    let worth_it = SizeAbove::new(1024).and(NotForContentType::SSE);
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(worth_it)
}

/// Everything that answering a request needs.
#[derive(Debug)]
struct Served {
    service: &'static str,
    prefix: String,
    /// The most specific ones first.
    routes: Vec<Arc<PreparedRoute>>,
    schemas: Schemas,
    root_url: String,
    authenticator: Arc<dyn Authenticator>,
    clock: SharedClock,
    started: Timestamp,
    references: References,
    version: Version,
    validate_output: bool,
    /// Turns of the requests with large bodies.
    large: Arc<Semaphore>,
}

struct PreparedRoute {
    operation: &'static Operation,
    handler: Handler,
    method: Method,
    path: PathTemplate,
    authorize_first: bool,
    input: OnceLock<Arc<Schema>>,
    output: OnceLock<Arc<Schema>>,
}

impl PreparedRoute {
    fn new(route: crate::Route) -> Self {
        let operation = route.operation;
        Self {
            operation,
            handler: route.handler,
            method: operation.method.into(),
            path: PathTemplate::of(operation),
            authorize_first: authorize::needs_only_the_path(operation),
            input: OnceLock::new(),
            output: OnceLock::new(),
        }
    }

    /// The schema of the body, compiled when first asked for.
    fn input(&self, schemas: &Schemas) -> Result<Option<&Schema>, SchemaError> {
        prepared(&self.input, self.operation.input, self.operation.service, schemas)
    }

    /// The schema of the answer, compiled when first asked for.
    fn output(&self, schemas: &Schemas) -> Result<Option<&Schema>, SchemaError> {
        let output = self.operation.output.filter(|output| *output != BLOB);
        prepared(&self.output, output, self.operation.service, schemas)
    }
}

fn prepared<'s>(
    cell: &'s OnceLock<Arc<Schema>>,
    name: Option<&str>,
    service: &str,
    schemas: &Schemas,
) -> Result<Option<&'s Schema>, SchemaError> {
    let Some(name) = name else { return Ok(None) };
    if let Some(schema) = cell.get() {
        return Ok(Some(schema));
    }
    let schema = schemas.get(service, name)?;
    Ok(Some(cell.get_or_init(|| schema)))
}

impl std::fmt::Debug for PreparedRoute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.operation.route)
    }
}

/// JSON without the headers that every answer of an API has.
fn json_response(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

impl Served {
    /// The route of a request and its arguments, still encoded.
    fn find<'p>(&self, method: &Method, path: &'p str) -> Option<(&Arc<PreparedRoute>, Vec<&'p str>)> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let mut routes = self.routes.iter().filter(|route| route.method == *method);
        routes.find_map(|route| Some((route, route.path.matches(path)?)))
    }

    /// The answer to a request that is no operation's.
    fn answer_other(&self, received: &Received, path: &str) -> Response {
        if received.method == Method::OPTIONS {
            let methods: Vec<&str> = self
                .routes
                .iter()
                .filter(|route| route.path.matches(path).is_some())
                .map(|route| route.method.as_str())
                .collect();
            let mut response = Response::new(Body::empty());
            let allow = HeaderValue::from_str(&methods.join(",")).unwrap_or(HeaderValue::from_static("OPTIONS"));
            response.headers_mut().insert(ALLOW, allow);
            return response;
        }
        let reads = matches!(received.method, Method::GET | Method::HEAD);
        let uptime = self.clock.now().since(self.started);
        match dockerflow::answer(path, &self.version, uptime).filter(|_| reads) {
            Some(answer) => json_response(StatusCode::OK, answer.to_string()),
            None => json_response(StatusCode::NOT_FOUND, json!({ "error": "Not found" }).to_string()),
        }
    }
}

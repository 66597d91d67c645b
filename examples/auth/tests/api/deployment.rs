//! An auth service in this process, and verbs to drive it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use service_kit::store::Database;
use taskcluster::auth::{Auth, Client, CreateClientRequest, CreateClientResponse, CreateRoleRequest, Role};
use taskcluster_auth::{Api, Backend, Sealer, Settings, StaticClient, Store, static_clients};
use taskcluster_core::clock::ManualClock;
use taskcluster_core::time::{Timestamp, hours};
use taskcluster_core::transport::in_process;
use taskcluster_core::{Caller, Credentials, Error, RetryPolicy};
use taskcluster_server::authenticator::Remote;
use taskcluster_server::{Authenticator, Parts, References, ServiceRouter};

pub(crate) const ROOT: &str = "static/taskcluster/root";
pub(crate) const ROOT_TOKEN: &str = "root-token-of-the-tests-0123456789";
pub(crate) const ROOT_URL: &str = "http://auth.test";
pub(crate) const START: &str = "2026-01-02T03:04:05.000Z";

/// A deployment that is nothing but auth.
pub(crate) struct Deployment {
    pub(crate) clock: ManualClock,
    pub(crate) backend: Backend,
    router: Router,
}

impl Deployment {
    /// With the root client only.
    pub(crate) async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    pub(crate) async fn start_with(settings: Settings) -> Self {
        let clock = ManualClock::at(START.parse().unwrap());
        let store = Store::open(&Database::Memory, Sealer::ephemeral().unwrap()).await.unwrap();
        let backend = Backend::open(store, clock.shared()).await.unwrap();
        static_clients::sync(&backend, &[StaticClient::root(ROOT_TOKEN)]).await.unwrap();
        let router = router(&backend, settings, backend.local());
        Self { clock, backend, router }
    }

    /// A service that does not judge by itself but asks this deployment's auth, as services elsewhere do.
    pub(crate) fn elsewhere(&self) -> Self {
        let remote = Arc::new(Remote::new(self.by_nobody().caller().clone()));
        let router = router(&self.backend, Settings::default(), remote);
        Self { clock: self.clock.clone(), backend: self.backend.clone(), router }
    }

    pub(crate) fn now(&self) -> Timestamp {
        use taskcluster_core::Clock as _;
        self.clock.now()
    }

    /// The API, asked by whoever has these credentials.
    pub(crate) fn by(&self, credentials: Credentials) -> Auth {
        self.calling(Some(credentials))
    }

    /// The API, asked by somebody without credentials.
    pub(crate) fn by_nobody(&self) -> Auth {
        self.calling(None)
    }

    /// The API, asked by the root client.
    pub(crate) fn by_root(&self) -> Auth {
        self.by(root())
    }

    fn calling(&self, credentials: Option<Credentials>) -> Auth {
        // No retries: they would wait for a clock that stands still.
        let caller = Caller::builder(ROOT_URL)
            .transport(in_process(self.router.clone()))
            .clock(self.clock.shared())
            .retry(RetryPolicy::never())
            .credentials(credentials);
        Auth::new(caller.build().unwrap())
    }

    /// Who judges requests of this process.
    pub(crate) fn local(&self) -> Arc<dyn Authenticator> {
        self.backend.local()
    }

    /// Makes a client and gives its credentials.
    pub(crate) async fn client(&self, client_id: &str, scopes: &[&str]) -> Credentials {
        let made = self.by_root().create_client(client_id, &self.wanted(scopes)).await.unwrap();
        credentials(&made)
    }

    /// What a client of a day shall be.
    pub(crate) fn wanted(&self, scopes: &[&str]) -> CreateClientRequest {
        CreateClientRequest::new("made by a test", self.now() + hours(24)).with_scopes(owned(scopes))
    }

    /// Makes a role.
    pub(crate) async fn role(&self, role_id: &str, scopes: &[&str]) -> Role {
        self.by_root().create_role(role_id, &role(scopes)).await.unwrap()
    }

    /// What scopes are worth, by the API.
    pub(crate) async fn expand(&self, scopes: &[&str]) -> Vec<String> {
        let given = taskcluster::auth::ScopeSet::new(owned(scopes));
        self.by_root().expand_scopes(&given).await.unwrap().scopes
    }

    pub(crate) fn advance(&self, duration: Duration) {
        self.clock.advance(duration);
    }

    /// The client as root sees it.
    pub(crate) async fn look_at(&self, client_id: &str) -> Client {
        self.by_root().client(client_id).await.unwrap()
    }
}

fn router(backend: &Backend, settings: Settings, authenticator: Arc<dyn Authenticator>) -> Router {
    let api = Arc::new(Api::new(backend.clone(), settings));
    let parts = Parts {
        root_url: ROOT_URL.to_owned(),
        authenticator,
        clock: Arc::clone(backend.clock()),
        references: References::embedded(),
        version: "test".to_owned(),
    };
    ServiceRouter::new(taskcluster_server::auth::router(api), parts).unwrap().into_router()
}

pub(crate) fn root() -> Credentials {
    Credentials::new(ROOT, ROOT_TOKEN)
}

pub(crate) fn credentials(client: &CreateClientResponse) -> Credentials {
    Credentials::new(client.client_id.clone(), client.access_token.expose())
}

pub(crate) fn role(scopes: &[&str]) -> CreateRoleRequest {
    CreateRoleRequest::new("made by a test", owned(scopes))
}

pub(crate) fn owned(scopes: &[&str]) -> Vec<String> {
    scopes.iter().map(ToString::to_string).collect()
}

/// The code of the error that a call must have ended in, and its status.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> (u16, String) {
    match result {
        Ok(value) => panic!("expected an error, got {value:?}"),
        Err(error) => match (&error.status(), error.code()) {
            (Some(status), Some(code)) => (status.as_u16(), code.as_str().to_owned()),
            _ => panic!("expected an answer of the service, got {error:?}"),
        },
    }
}

/// Asserts that a call ends in an error of this status and code.
macro_rules! assert_refused {
    ($call:expr, $status:literal, $code:literal) => {
        assert_eq!($crate::deployment::refused($call.await), ($status, $code.to_owned()))
    };
}
pub(crate) use assert_refused;

impl Deployment {
    /// GETs a URL as it is, such as a signed one, and gives the status.
    pub(crate) async fn get(&self, url: &url::Url) -> u16 {
        let request = http::Request::get(url.as_str()).body(taskcluster_core::Body::empty()).unwrap();
        in_process(self.router.clone()).send(request).await.unwrap().status().as_u16()
    }
}

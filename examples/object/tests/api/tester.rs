//! A service for one test, and verbs for what tests do with it.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Request};
use service_kit::blobs::{Buckets, LocalBlobs};
use service_kit::frame::Frame;
use service_kit::service::Service as _;
use service_kit::store::Database;
use taskcluster::events::MemoryBus;
use taskcluster::object::{
    AcceptedDownloadMethods, CreateUploadRequest, CreateUploadResponse, DataInlineProposal, FinishUploadRequest,
    Object, ObjectHashes, ProposedUploadMethods, PutUrlProposal, PutUrlUpload, StartDownloadRequest,
    StartDownloadResponse,
};
use taskcluster_core::caller::Caller;
use taskcluster_core::clock::{Clock as _, ManualClock};
use taskcluster_core::credentials::Credentials;
use taskcluster_core::hawk::Presented;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{Timestamp, days};
use taskcluster_core::transport::{Body, Transport};
use taskcluster_core::{Error, RetryPolicy, transport};
use taskcluster_object::{ObjectService, Options};
use taskcluster_server::{AuthOutcome, AuthRequest, Authenticator};
use tempfile::TempDir;
use url::Url;

const ROOT: &str = "http://tc.example";
pub(crate) const PROJECT: &str = "a/project";
pub(crate) const HELLO_SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// Nothing in these tests takes this long, however busy the machine is.
const LONG: Duration = Duration::from_secs(120);

/// An await that must not take for ever.
pub(crate) async fn soon<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future.into_future()).await.expect("it takes too long")
}

/// Believes every name, and gives it the scopes that the request itself is restricted to, or all.
#[derive(Debug)]
struct Believer;

#[async_trait]
impl Authenticator for Believer {
    async fn authenticate(&self, request: &AuthRequest) -> AuthOutcome {
        let expires = Timestamp::from_millis(4_000_000_000_000);
        match Presented::find(request.authorization.as_deref(), &request.resource) {
            Ok(Some(presented)) => {
                let scopes = presented.authorized_scopes.unwrap_or_else(|| vec!["*".to_owned()]);
                AuthOutcome::Success { client_id: presented.id, scopes, expires, hash: presented.hash }
            }
            Ok(None) => AuthOutcome::None { scopes: vec!["object:download:public/*".to_owned()], expires },
            Err(error) => AuthOutcome::Failed { message: error.to_string() },
        }
    }
}

pub(crate) struct Tester {
    pub(crate) clock: ManualClock,
    /// A client that may do everything.
    pub(crate) object: Object,
    pub(crate) buckets: Buckets,
    pub(crate) service: ObjectService,
    /// To the URLs of the storage and of the service.
    pub(crate) transport: Transport,
    caller: Caller,
    _folder: Option<TempDir>,
}

impl Tester {
    /// One that keeps data in a folder.
    pub(crate) async fn new() -> Self {
        let clock = ManualClock::at("2026-03-04T05:06:07.000Z".parse().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let base = Url::parse("http://tc.example/blobs").unwrap();
        let blobs = LocalBlobs::open(folder.path(), base, b"secret", clock.shared()).unwrap();
        let (router, buckets) = (blobs.router(), Arc::new(blobs).into());
        Self::with(clock, buckets, |api| transport::in_process(api.merge(router)), Some(folder)).await
    }

    /// One for each storage that is at hand.
    pub(crate) async fn on_each_storage() -> Vec<Self> {
        let mut testers = vec![Self::new().await];
        #[cfg(feature = "s3")]
        testers.extend(on_bucket().await);
        testers
    }

    async fn with(
        clock: ManualClock,
        buckets: Buckets,
        transport: impl FnOnce(axum::Router) -> Transport,
        folder: Option<TempDir>,
    ) -> Self {
        let frame = Frame::new(ROOT, Arc::new(MemoryBus::new())).with_clock(clock.shared());
        let options = Options::new(frame, Database::Memory, buckets.clone(), Arc::new(Believer));
        let service = ObjectService::open(options).await.unwrap();
        let caller = Caller::builder(ROOT)
            .credentials(Credentials::new("tester", "token"))
            .clock(clock.shared())
            .retry(RetryPolicy::never())
            .transport(transport::in_process(service.router()))
            .build()
            .unwrap();
        let transport = transport(service.router());
        Self { clock, object: Object::new(caller.clone()), buckets, service, transport, caller, _folder: folder }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn expires(&self) -> Timestamp {
        self.now() + days(30)
    }

    /// A client that may do no more than this.
    pub(crate) fn with_scopes<S: Into<String>>(&self, scopes: impl IntoIterator<Item = S>) -> Object {
        Object::new(self.caller.to_builder().authorized_scopes(scopes).build().unwrap())
    }

    /// A client without credentials.
    pub(crate) fn anonymous(&self) -> Object {
        Object::new(self.caller.to_builder().credentials(None).build().unwrap())
    }

    /// Status, headers and body of what a URL answers.
    pub(crate) async fn get(&self, url: &str) -> (u16, HeaderMap, String) {
        self.send(Request::get(url).body(Body::empty()).unwrap()).await
    }

    /// Status and location of what the service answers at a URL.
    pub(crate) async fn redirect(&self, url: &str) -> (u16, Option<String>) {
        let request = Request::get(url).body(Body::empty()).unwrap();
        let answer = soon(self.caller.transport().send(request)).await.unwrap();
        let location = answer.headers().get("location").map(|location| location.to_str().unwrap().to_owned());
        (answer.status().as_u16(), location)
    }

    /// PUTs as the service said, but for the length, which is that of the data; the status.
    pub(crate) async fn put(&self, target: &PutUrlUpload, data: &str) -> u16 {
        assert_eq!(target.headers.keys().collect::<Vec<_>>(), ["Content-Length", "Content-Type"]);
        let request = Request::put(&target.url)
            .header("content-type", &target.headers["Content-Type"])
            .header("content-length", data.len());
        self.send(request.body(data.to_owned().into()).unwrap()).await.0
    }

    async fn send(&self, request: Request<Body>) -> (u16, HeaderMap, String) {
        let (parts, body) = soon(self.transport.send(request)).await.unwrap().into_parts();
        let body = soon(body.collect(1_000_000)).await.unwrap();
        (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    pub(crate) async fn create(
        &self,
        name: &str,
        upload_id: TaskId,
        methods: ProposedUploadMethods,
    ) -> Result<CreateUploadResponse, Error> {
        let request = CreateUploadRequest::new(PROJECT, upload_id, self.expires(), methods);
        soon(self.object.create_upload(name, &request)).await
    }

    pub(crate) async fn finish(&self, name: &str, upload_id: TaskId, hashes: ObjectHashes) -> Result<(), Error> {
        let request = FinishUploadRequest::new(PROJECT, upload_id).with_hashes(hashes);
        soon(self.object.finish_upload(name, &request)).await
    }

    /// Uploads "hello".
    pub(crate) async fn upload(&self, name: &str, hashes: ObjectHashes) -> TaskId {
        let upload_id = TaskId::new();
        let begun = self.create(name, upload_id, inline("hello")).await.unwrap();
        assert_eq!(begun.upload_method.data_inline, Some(true));
        self.finish(name, upload_id, hashes).await.unwrap();
        upload_id
    }

    pub(crate) async fn start(
        &self,
        name: &str,
        methods: AcceptedDownloadMethods,
    ) -> Result<StartDownloadResponse, Error> {
        soon(self.object.start_download(name, &StartDownloadRequest::new(methods))).await
    }
}

#[cfg(feature = "s3")]
async fn on_bucket() -> Option<Tester> {
    use service_kit::blobs::{S3Blobs, S3Options};
    use taskcluster_core::transport::http::HttpTransport;
    let Ok(endpoint) = std::env::var("TEST_S3") else {
        println!("skipped: TEST_S3 is not set");
        return None;
    };
    let url = format!("s3://private?endpoint={endpoint}").parse().unwrap();
    let options = S3Options::read(&url, |name| match name {
        "AWS_ACCESS_KEY_ID" => Some("test".to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some("test-secret".to_owned()),
        _ => None,
    });
    // The server has a clock of its own.
    let clock = ManualClock::at(Timestamp::now());
    let (blobs, _) = S3Blobs::open(&options.unwrap(), &clock.shared()).unwrap();
    let http = HttpTransport::new().unwrap().into_transport();
    Some(Tester::with(clock, Arc::new(blobs).into(), |_| http, None).await)
}

pub(crate) fn inline(data: &str) -> ProposedUploadMethods {
    ProposedUploadMethods::new().with_data_inline(DataInlineProposal::new("text/plain", STANDARD.encode(data)))
}

pub(crate) fn put_url(length: i64) -> ProposedUploadMethods {
    ProposedUploadMethods::new().with_put_url(PutUrlProposal::new("text/plain", length))
}

pub(crate) fn sha256(hash: &str) -> ObjectHashes {
    ObjectHashes::new().with_sha256(hash)
}

pub(crate) fn all_methods() -> AcceptedDownloadMethods {
    AcceptedDownloadMethods::new().with_simple(true).with_get_url(true)
}

/// Status and code of a refusal.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> (u16, String) {
    let error = result.expect_err("it is refused");
    let code = error.code().map(|code| code.as_str().to_owned()).unwrap_or_default();
    (error.status().map_or(0, |status| status.as_u16()), code)
}

pub(crate) fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

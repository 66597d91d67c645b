//! A deployment of a queue and a scripted provisioner at one root URL, and the program as a provisioner starts it.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Value, json};
use taskcluster::provisioner::{GetSecretResponse, ShouldTerminateResponse};
use taskcluster_core::clock::SystemClock;
use taskcluster_core::transport::http::HttpTransport;
use taskcluster_core::transport::{Body, Transport, in_process};
use taskcluster_core::{Clock, Credentials, TaskId};
use taskcluster_server::authenticator::Fixed;
use taskcluster_server::provisioner::{ProvisionerMock, router};
use taskcluster_server::{Failure, Parts, References, ServiceRouter, site};
use taskcluster_worker::testing::{FakeQueue, task_with_payload};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

const PROGRAM: &str = env!("CARGO_BIN_EXE_native-worker");

/// Long enough for anything that comes.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(180);

/// What the worker's secret is fetched by.
pub(crate) const TOKEN: &str = "VGpNuxlyRmmSFErj1YAj8w";

/// In a string that no task may see.
pub(crate) const PASSWORD: &str = "the-password-of-the-secret";

pub(crate) struct Stage {
    pub(crate) queue: Arc<FakeQueue>,
    pub(crate) provisioner: Arc<ProvisionerMock>,
    pub(crate) root_url: String,
    /// The access token of the worker.
    pub(crate) access_token: String,
    pub(crate) dir: tempfile::TempDir,
    lines: watch::Sender<Vec<String>>,
    _server: AbortOnDropHandle<()>,
}

/// Who is behind the root URL.
#[derive(Clone)]
struct Front {
    queue: (String, Transport),
    provisioner: Transport,
    lines: watch::Sender<Vec<String>>,
}

impl Stage {
    /// A queue, and a provisioner that has a secret for the worker and needs it no more.
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root_url = format!("http://{}", listener.local_addr().unwrap());
        let queue = Arc::new(FakeQueue::start().await.unwrap());
        let provisioner = Arc::new(ProvisionerMock::new());
        let parts = Parts {
            root_url: root_url.clone(),
            authenticator: Arc::new(Fixed::new("worker", ["provisioner:should-terminate:linux/i-1"])),
            clock: SystemClock::shared(),
            references: References::embedded(),
            version: "0".into(),
        };
        let service = ServiceRouter::new(router(provisioner.clone()), parts).unwrap();
        let lines = watch::Sender::new(Vec::new());
        let front = Front {
            queue: (queue.root_url().to_owned(), HttpTransport::new().unwrap().into_transport()),
            provisioner: in_process(site([service])),
            lines: lines.clone(),
        };
        let app = Router::new().fallback(pass).with_state(front);
        let credentials = credentials();
        let access_token = credentials.access_token.expose().to_owned();
        let stage = Self {
            queue,
            provisioner,
            root_url,
            access_token,
            dir: tempfile::tempdir().unwrap(),
            lines,
            _server: serve(listener, app),
        };
        stage.hands_out(&credentials, &json!({"password": PASSWORD}));
        stage.provisioner.on_instance_started(|_, id, token| {
            assert_eq!((&*id, &*token), ("i-1", TOKEN));
            Ok(().into())
        });
        stage.provisioner.on_remove_secret(|_, _| Ok(().into()));
        stage.answers(true, "there is no work");
        stage
    }

    /// Let this be under the token, and no more once it is removed.
    pub(crate) fn hands_out(&self, credentials: &Credentials, data: &Value) {
        let answer = json!({
            "data": data,
            "scopes": ["queue:claim-work:pool/linux"],
            "credentials": {
                "clientId": credentials.client_id,
                "accessToken": credentials.access_token.expose(),
                "certificate": credentials.certificate.as_ref().unwrap().to_json(),
            },
        });
        let lines = self.lines.clone();
        self.provisioner.on_get_secret(move |_, token| {
            let removed = lines.borrow().iter().any(|line| line.starts_with("204 DELETE "));
            match token == TOKEN && !removed {
                true => Ok(serde_json::from_value::<GetSecretResponse>(answer.clone()).unwrap().into()),
                false => Err(Failure::not_found("There is no such secret.")),
            }
        });
    }

    /// Answer whoever asks whether it is to end.
    pub(crate) fn answers(&self, terminate: bool, reason: &'static str) {
        let answer = move || ShouldTerminateResponse::new(terminate, reason);
        self.provisioner.on_should_terminate(move |_, worker_type, id, _| {
            assert_eq!((&*worker_type, &*id), ("linux", "i-1"));
            Ok(answer().into())
        });
    }

    /// What the worker is told.
    pub(crate) fn user_data(&self) -> Value {
        json!({
            "rootUrl": self.root_url, "provisionerId": "pool", "workerType": "linux", "workerGroup": "eu",
            "workerId": "i-1", "capacity": 2, "idleTime": 1, "securityToken": TOKEN,
            "data": {"config": {"isolation": "none", "required_disk_space": 0}},
        })
    }

    /// The program, told nothing yet.
    pub(crate) fn program(&self, verb: &str) -> Command {
        let mut program = Command::new(PROGRAM);
        program.arg(verb).env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).kill_on_drop(true);
        program.args(["--work-dir", self.dir.path().to_str().unwrap()]);
        program
    }

    /// The program as a provisioner starts it.
    pub(crate) fn worker(&self) -> Command {
        let mut worker = self.program("run");
        worker.env("TASKCLUSTER_USER_DATA", self.user_data().to_string());
        worker
    }

    pub(crate) fn add_task(&self, script: &str) -> TaskId {
        let payload = json!({"command": [["/bin/sh", "-c", script]], "maxRunTime": 600});
        self.queue.add_task(task_with_payload(payload.as_object().unwrap()))
    }

    /// What was asked for, after the status that it was answered with.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// The place of the first line with this part.
    pub(crate) fn place(&self, part: &str) -> usize {
        let lines = self.lines();
        lines.iter().position(|line| line.contains(part)).unwrap_or_else(|| panic!("no {part}: {lines:#?}"))
    }

    pub(crate) fn count(&self, part: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(part)).count()
    }

    pub(crate) fn has(&self, part: &str) -> bool {
        self.lines().iter().any(|line| line.contains(part))
    }

    /// Wait until there are so many lines with this part.
    pub(crate) async fn until(&self, part: &str, times: usize) {
        let mut lines = self.lines.subscribe();
        let wanted = |lines: &Vec<String>| lines.iter().filter(|line| line.contains(part)).count() >= times;
        let waiting = tokio::time::timeout(TIMEOUT, lines.wait_for(wanted)).await;
        assert!(waiting.is_ok(), "{part} is not asked for: {:#?}", self.lines());
    }
}

/// Answer for as long as the test keeps this.
pub(crate) fn serve(listener: TcpListener, router: Router) -> AbortOnDropHandle<()> {
    #[allow(clippy::disallowed_methods, reason = "it ends with the handle")]
    AbortOnDropHandle::new(tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
}

/// How a program ended, and what it said meanwhile, which is never a secret.
pub(crate) async fn end_of(stage: &Stage, program: &mut Command) -> (Option<i32>, String) {
    let output = tokio::time::timeout(TIMEOUT, program.output()).await.expect("the program ends").unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    for secret in [TOKEN, PASSWORD, &stage.access_token] {
        assert!(!text.contains(secret), "{text}");
    }
    (output.status.code(), text)
}

fn credentials() -> Credentials {
    let (now, issuer) = (SystemClock.now(), Credentials::new("provisioner", "the-token-of-the-provisioner"));
    let until = now + Duration::from_secs(96 * 60 * 60);
    issuer.temporary(&["queue:claim-work:pool/linux"], now, until, Some("worker/i-1")).unwrap()
}

/// Have the queue or the provisioner answer.
async fn pass(State(front): State<Front>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().unwrap().as_str().to_owned();
    let asked = format!("{} {path}", parts.method);
    let (to, transport) = match path.starts_with("/api/provisioner/") {
        true => ("http://provisioner.example", &front.provisioner),
        false => (&*front.queue.0, &front.queue.1),
    };
    parts.uri = format!("{to}{path}").parse().unwrap();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    if path.contains("/claim-work/") {
        // It may take a while until there is something.
        front.lines.send_modify(|lines| lines.push(format!("... {asked}")));
    }
    let answer = transport.send(http::Request::from_parts(parts, Body::from(body))).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect(usize::MAX).await.unwrap();
    front.lines.send_modify(|lines| lines.push(format!("{} {asked}", parts.status.as_u16())));
    Response::from_parts(parts, body.into())
}

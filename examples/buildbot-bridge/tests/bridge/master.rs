//! A Buildbot master and its worker, which end with the test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;
use taskcluster_buildbot_bridge::{Buildbot, Login};
use taskcluster_core::transport::http::HttpTransport;
use taskcluster_core::transport::{Body, Transport};
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(180);
pub(crate) const USERNAME: &str = "bridge";
pub(crate) const PASSWORD: &str = "a-password";

const CONFIG: &str = include_str!("master.cfg");

/// What twistd runs as a worker.
const WORKER: &str = r#"
import os
from twisted.application import service
from buildbot_worker.bot import Worker
application = service.Application("buildbot-worker")
Worker("127.0.0.1", int(os.environ["PB_PORT"]), "w", "secret", os.getcwd(), 600).setServiceParent(application)
"#;

/// A master in a directory of its own.
pub(crate) struct Master {
    programs: PathBuf,
    dir: tempfile::TempDir,
    www_port: u16,
    pb_port: u16,
    master: Child,
    worker: Child,
    transport: Transport,
}

impl Master {
    /// A master with its worker; `None`, which is said, where Buildbot is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let Ok(programs) = std::env::var("TEST_BUILDBOT") else {
            println!("skipped: TEST_BUILDBOT does not say where Buildbot is installed");
            return None;
        };
        let programs = PathBuf::from(programs).join("bin");
        let dir = tempfile::tempdir().unwrap();
        let (master_dir, worker_dir) = (dir.path().join("master"), dir.path().join("worker"));
        for folder in [&master_dir, &worker_dir] {
            std::fs::create_dir(folder).unwrap();
        }
        let made = template(&programs).await;
        for file in ["buildbot.tac", "state.sqlite"] {
            std::fs::copy(made.path().join(file), master_dir.join(file)).unwrap();
        }
        std::fs::write(master_dir.join("master.cfg"), CONFIG).unwrap();
        std::fs::write(worker_dir.join("buildbot.tac"), WORKER).unwrap();
        let [www_port, pb_port] = free_ports();
        let master = twistd(&programs, &master_dir, www_port, pb_port);
        let worker = twistd(&programs, &worker_dir, www_port, pb_port);
        let transport = HttpTransport::new().unwrap().into_transport();
        let this = Self { programs, dir, www_port, pb_port, master, worker, transport };
        this.ready().await;
        Some(this)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.www_port)
    }

    /// A client of it, as whom it lets order builds.
    pub(crate) fn client(&self) -> Buildbot {
        let login = Login { username: USERNAME.to_owned(), password: PASSWORD.to_owned().into() };
        Buildbot::new(self.url().parse().unwrap(), self.transport.clone(), Some(login))
    }

    /// End the master without warning.
    pub(crate) async fn kill(&mut self) {
        self.master.kill().await.unwrap();
    }

    /// Start it again, after it was ended.
    pub(crate) async fn restart(&mut self) {
        self.master = twistd(&self.programs, &self.dir.path().join("master"), self.www_port, self.pb_port);
        self.ready().await;
    }

    /// End the worker without warning.
    pub(crate) async fn kill_worker(&mut self) {
        self.worker.kill().await.unwrap();
    }

    /// Start it again, after it was ended.
    pub(crate) fn restart_worker(&mut self) {
        self.worker = twistd(&self.programs, &self.dir.path().join("worker"), self.www_port, self.pb_port);
    }

    /// A place for what scripts and tests tell each other.
    pub(crate) fn shared(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What is at a path of its REST interface, if it answers.
    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        let request = http::Request::get(format!("{}api/v2/{path}", self.url())).body(Body::empty()).unwrap();
        let answer = self.transport.send(request).await.ok().filter(|answer| answer.status().is_success())?;
        serde_json::from_slice(&answer.into_body().collect(1 << 20).await.ok()?).ok()
    }

    /// Have something done, as the user who may.
    pub(crate) async fn order(&self, path: &str, order: Value) {
        let pair = base64::prelude::BASE64_STANDARD.encode(format!("{USERNAME}:{PASSWORD}"));
        let login = http::Request::get(format!("{}auth/login", self.url()));
        let login = login.header("authorization", format!("Basic {pair}")).body(Body::empty()).unwrap();
        let answer = self.transport.send(login).await.unwrap();
        let session = answer
            .headers()
            .get_all("set-cookie")
            .iter()
            .next_back()
            .unwrap()
            .to_str()
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .to_owned();
        let mut order = order;
        order["jsonrpc"] = "2.0".into();
        order["id"] = 1.into();
        let request = http::Request::post(format!("{}api/v2/{path}", self.url())).header("cookie", session);
        let request = request.header("content-type", "application/json");
        let answer =
            self.transport.send(request.body(Body::from(order.to_string().into_bytes())).unwrap()).await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// The builds until now, all of them.
    pub(crate) async fn builds(&self) -> Vec<Value> {
        let answer = self.get("builds?order=buildid").await.expect("Buildbot answers");
        answer["builds"].as_array().unwrap().clone()
    }

    /// The requests until now.
    pub(crate) async fn requests(&self) -> Vec<Value> {
        let answer = self.get("buildrequests?order=buildrequestid").await.expect("Buildbot answers");
        answer["buildrequests"].as_array().unwrap().clone()
    }

    async fn ready(&self) {
        let there = async {
            while self.get("builders").await.is_none_or(|answer| answer["builders"].as_array().unwrap().is_empty()) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let log = || std::fs::read_to_string(self.dir.path().join("master/twistd.log")).unwrap_or_default();
        tokio::time::timeout(TIMEOUT, there).await.unwrap_or_else(|_| panic!("no Buildbot: {}", log()));
    }
}

/// A new master's files. Making them takes seconds, so it is done once.
async fn template(programs: &Path) -> &'static tempfile::TempDir {
    static MADE: OnceCell<tempfile::TempDir> = OnceCell::const_new();
    let make = || async {
        let dir = tempfile::tempdir().unwrap();
        let made = Command::new(programs.join("buildbot")).args(["create-master", "-r"]).arg(dir.path()).output().await;
        let made = made.expect("Buildbot can be called");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        dir
    };
    MADE.get_or_init(make).await
}

fn twistd(programs: &Path, dir: &Path, www_port: u16, pb_port: u16) -> Child {
    let out = std::fs::File::options().create(true).append(true).open(dir.join("out")).unwrap();
    Command::new(programs.join("twistd"))
        .args(["--no_save", "--nodaemon", "--logfile=-", "--pidfile=", "-y", "buildbot.tac"])
        .current_dir(dir)
        .envs([("WWW_PORT", www_port.to_string()), ("PB_PORT", pb_port.to_string())])
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Ports that nobody listens on now.
fn free_ports() -> [u16; 2] {
    let listeners = [0, 0].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

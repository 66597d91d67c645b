//! Workers in containers.

use std::process::Command;
use std::sync::OnceLock;

use serde_json::json;

use super::gated::{Gate, Gated, MOST, TASKS, until};
use crate::deployment::Up;
use crate::fixture::Fixture;

/// This program with all that it needs, and a shell for tasks.
const IMAGE: &str = "taskcluster-test-worker:1";

/// There is no registry: the image is made of what is on this machine. Symbols are left out, for they are most of the program.
const MAKE_IMAGE: &str = r#"
    dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
    mkdir -p "$dir/bin" "$dir/tmp"; chmod 1777 "$dir/tmp"
    cp "$(command -v busybox)" "$dir/bin/busybox"
    for name in sh sleep; do ln -s busybox "$dir/bin/$name"; done
    strip -o "$dir/bin/taskcluster" "$2" 2>/dev/null || cp "$2" "$dir/bin/taskcluster"
    ldd "$2" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$dir${library%/*}"; cp -L "$library" "$dir$library"
    done
    tar -C "$dir" -c . | docker import -c 'ENV PATH=/bin' - "$1" >/dev/null"#;

/// A deployment of this test, on the engine that all tests use. Its containers end with it.
struct Yard {
    host: String,
    fixture: Fixture,
    gate: Gate,
}

impl Yard {
    /// On the engine that `TEST_DOCKER` names, with the image on it; `None`, which is said, where there is none.
    fn find() -> Option<Self> {
        let Ok(host) = std::env::var("TEST_DOCKER") else {
            println!("skipped: TEST_DOCKER names no Docker engine");
            return None;
        };
        static MADE: OnceLock<bool> = OnceLock::new();
        let made = MADE.get_or_init(|| {
            let mut making = Command::new("sh");
            making.args(["-ec", MAKE_IMAGE, "sh", IMAGE, env!("CARGO_BIN_EXE_taskcluster")]);
            making.env("DOCKER_HOST", &host).status().is_ok_and(|status| status.success())
        });
        assert!(made, "the image for the test cannot be made");
        let fixture = Fixture::empty();
        let gate = Gate::closed(fixture.folder().join("gate"));
        Some(Self { host, fixture, gate })
    }

    /// Starts it.
    fn up(&self) -> Up {
        self.up_at("127.0.0.1:0")
    }

    /// Starts it where it was before.
    fn up_at(&self, address: &str) -> Up {
        let provider = format!("docker?network=host&volume={}", self.gate.folder().display());
        Up::start_at(&self.fixture, address, &["--provider", &provider], &[("DOCKER_HOST", &self.host)])
    }

    /// Defines workers in containers that see the gate.
    async fn define(&self, up: &Up) -> Gated {
        let run = ["taskcluster", "native-worker", "run", "--isolation", "none", "--required-disk-space", "1000000"];
        let volume = json!({"source": self.gate.folder(), "target": "/gate", "readOnly": true});
        let provider = json!({"kind": "docker", "image": IMAGE, "command": run, "volumes": [volume]});
        Gated::define(up, "contained", provider).await
    }

    /// What `docker` prints, called with these arguments.
    async fn docker(&self, arguments: &[&str]) -> String {
        let mut docker = tokio::process::Command::new("docker");
        let output = docker.args(arguments).env("DOCKER_HOST", &self.host).output().await.unwrap();
        assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The label of all its containers.
    fn label(&self) -> String {
        let owner = std::fs::read_to_string(self.fixture.data().join("provisioner.owner")).unwrap();
        format!("label=taskcluster.provisioner={}", owner.trim())
    }

    /// All its containers, also those that run no more.
    async fn containers(&self) -> Vec<String> {
        let ids = self.docker(&["ps", "-aq", "--filter", &self.label()]).await;
        ids.lines().map(str::to_owned).collect()
    }

    /// The container of an instance.
    async fn container(&self, instance: &str) -> String {
        let label = format!("label=taskcluster.instance={instance}");
        self.docker(&["ps", "-q", "--filter", &self.label(), "--filter", &label]).await.trim().to_owned()
    }

    /// Waits until it has no containers.
    async fn forsaken(&self) {
        until(|| async { self.containers().await.is_empty().then_some(()) }).await;
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        // A test that failed may have left some.
        let script = r#"docker ps -aq --filter "$1" | xargs -r docker rm -fv >/dev/null"#;
        if self.fixture.data().join("provisioner.owner").exists() {
            let mut removing = Command::new("sh");
            let _ = removing.args(["-c", script, "sh", &self.label()]).env("DOCKER_HOST", &self.host).status();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_come_and_go_also_those_that_are_stopped_meanwhile() {
    let Some(yard) = Yard::find() else { return };
    let up = yard.up();
    let mut gated = yard.define(&up).await;
    gated.create(TASKS, "/gate").await;

    // kill -9, while containers are being started or have just begun.
    until(|| async { (!yard.containers().await.is_empty()).then_some(()) }).await;
    let address = up.address();
    drop(up);
    let up = yard.up_at(&address);
    let gated = gated.again(&up);

    let held = gated.held(MOST).await;
    assert_eq!(yard.containers().await.len(), MOST);
    let stopped = [yard.container(&held[0].worker_id).await, yard.container(&held[1].worker_id).await];
    yard.docker(&["stop", "-t", "60", &stopped[0], &stopped[1]]).await;
    for held in &held[..2] {
        assert_eq!(gated.reason(held).await, "worker-shutdown");
    }
    // Others take their places.
    let now = gated.held(MOST).await;
    assert!(now.iter().all(|now| held[..2].iter().all(|held| held.worker_id != now.worker_id)), "{now:?}");

    yard.gate.open();
    assert_eq!(gated.completed().await, ["worker-shutdown"; 2]);
    gated.forsaken().await;
    yard.forsaken().await;
    up.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_stops_takes_its_containers_with_it_and_no_others() {
    let (Some(stays), Some(stops)) = (Yard::find(), Yard::find()) else { return };
    let (stays_up, stops_up) = (stays.up(), stops.up());
    let (mut staying, mut stopping) = (stays.define(&stays_up).await, stops.define(&stops_up).await);
    staying.create(1, "/gate").await;
    staying.held(1).await;
    stopping.create(1, "/gate").await;
    let stopped = stopping.held(1).await.remove(0);

    stops_up.stop();
    assert_eq!(stops.containers().await, [""; 0]);
    assert_eq!(stays.containers().await.len(), 1);

    let stops_up = stops.up();
    let stopping = stopping.again(&stops_up);
    assert_eq!(stopping.reason(&stopped).await, "worker-shutdown");
    stops.gate.open();
    assert_eq!(stopping.completed().await, ["worker-shutdown"]);
    stopping.forsaken().await;
    // It has looked around meanwhile, and left alone what is none of its.
    stays.gate.open();
    assert_eq!(staying.completed().await, [""; 0]);
    stops_up.stop();
    stays_up.stop();
    assert_eq!(stays.containers().await, [""; 0]);
}

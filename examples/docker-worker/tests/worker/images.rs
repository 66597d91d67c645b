//! Images that are artifacts, from the real queue and index.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Map, Value, json};
use taskcluster::auth::CreateRoleRequest;
use taskcluster::index::InsertTaskRequest;
use taskcluster::queue::{ClaimWorkRequest, TaskDefinitionRequest, TaskMetadata};
use taskcluster::time::{days, hours};
use taskcluster::{TaskId, TaskQueueId, Taskcluster};
use taskcluster_docker_worker::{DockerWorker, Options, Shutdown};
use taskcluster_fake::{Builder, Fake};
use taskcluster_worker::{Identity, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::docker::{self, There};

const TIMEOUT: Duration = Duration::from_secs(180);
pub(crate) const QUEUE: &str = "test/docker";

pub(crate) struct Bench {
    pub(crate) fake: Fake,
    pub(crate) tc: Taskcluster,
    pub(crate) there: There,
    pub(crate) dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Option<Self> {
        Self::with(Fake::builder().system_clock()).await
    }

    pub(crate) async fn with(fake: Builder) -> Option<Self> {
        let there = docker::find().await?;
        let fake = fake.claim_wait(Duration::from_secs(2)).start().await.unwrap();
        let tc = fake.handle();
        // As deployments have it.
        let anybody = CreateRoleRequest::new("What anybody may.", ["queue:get-artifact:public/*"]);
        tc.auth().create_role("anonymous", &anybody).await.unwrap();
        Some(Self { fake, tc, there, dir: tempfile::tempdir().unwrap() })
    }

    pub(crate) async fn create(&self, queue: &str, scopes: &[&str], payload: Value) -> TaskId {
        let now = self.fake.now();
        let metadata = TaskMetadata::new("a test", "of images", "nobody@example.com", "https://example.com/");
        let Value::Object(payload) = payload else { panic!("a payload is an object") };
        let task = TaskDefinitionRequest::new(now, now + hours(1), payload, metadata)
            .with_task_queue_id(queue.parse::<TaskQueueId>().unwrap())
            .with_expires(now + days(1))
            .with_scopes(scopes.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>());
        let task_id = TaskId::new();
        self.tc.queue().create_task(&task_id, &task).await.unwrap();
        task_id
    }

    /// A task that somebody runs.
    pub(crate) async fn builds(&self) -> TaskId {
        let task_id = self.create("test/builder", &[], json!({})).await;
        let claims = self.tc.queue().claim_work("test/builder", &ClaimWorkRequest::new("g", "w", 1)).await.unwrap();
        assert_eq!(claims.tasks[0].status.task_id, task_id);
        task_id
    }

    /// A completed task that left an artifact.
    pub(crate) async fn artifact(&self, name: &str, content: &[u8]) -> TaskId {
        let task_id = self.builds().await;
        let upload = self.tc.artifacts().upload(&task_id, 0, name, self.fake.now() + hours(12));
        upload.bytes(content.to_vec()).await.unwrap();
        self.tc.queue().report_completed(&task_id, 0).await.unwrap();
        task_id
    }

    /// Run one task in this image; gives how its run ended and its log.
    pub(crate) async fn run(&self, image: Value, scopes: &[&str]) -> (String, String) {
        self.run_with(image, scopes, |_| {}).await
    }

    /// The same by a worker that is put together a little differently.
    pub(crate) async fn run_with(
        &self,
        image: Value,
        scopes: &[&str],
        change: impl FnOnce(&mut Options),
    ) -> (String, String) {
        let payload = json!({"image": image, "command": ["/bin/sh", "-c", "echo it runs"], "maxRunTime": 600});
        let mut ends = self.run_payloads([payload], scopes, change).await;
        ends.remove(0)
    }

    /// Run tasks, all at once; gives how each ended and its log.
    pub(crate) async fn run_payloads(
        &self,
        payloads: impl IntoIterator<Item = Value>,
        scopes: &[&str],
        change: impl FnOnce(&mut Options),
    ) -> Vec<(String, String)> {
        let mut tasks = Vec::new();
        for payload in payloads {
            tasks.push(self.create(QUEUE, scopes, payload).await);
        }
        let mut worker = DockerWorker::new(&self.there.host);
        let mut options = Options::new(docker::label());
        change(&mut options);
        worker.options = Some(options);
        let settings =
            Settings::new(self.dir.path().join("work")).with_task_limit(tasks.len() as u64).with_capacity(tasks.len());
        let identity = Identity::new(QUEUE.parse().unwrap(), "group", "worker");
        let worker = worker.builder(self.fake.root_url(), identity, settings).await.unwrap();
        let worker = worker.credentials(self.fake.credentials()).build().unwrap();
        tokio::time::timeout(TIMEOUT, worker.run(Shutdown::new())).await.expect("the worker ends").unwrap();
        let mut ends = Vec::new();
        for task_id in &tasks {
            ends.push(self.end_of(task_id).await);
        }
        ends
    }

    /// How a task's first run ended, and its log.
    async fn end_of(&self, task_id: &TaskId) -> (String, String) {
        let status = self.tc.queue().status(task_id).await.unwrap().status;
        let run = &status.runs[0];
        let reason = run.reason_resolved.as_ref().map_or("", |reason| reason.as_str()).to_owned();
        let log = self.tc.artifacts().download(task_id, 0, "public/logs/live_backing.log").to_memory(1_000_000);
        (reason, String::from_utf8(log.await.unwrap().to_vec()).unwrap())
    }

    pub(crate) fn docker(&self, arguments: &[&str]) -> Vec<u8> {
        docker::call(&self.there.host, arguments)
    }

    pub(crate) fn archive(&self, tag: &str) -> Vec<u8> {
        docker::archive(&self.there, tag)
    }
}

pub(crate) fn task_image(task_id: &TaskId, path: &str) -> Value {
    json!({"type": "task-image", "taskId": task_id, "path": path})
}

fn lz4(content: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_is_an_image_however_it_is_packed_and_loaded_once() {
    let Some(bench) = Bench::new().await else { return };
    let archive = bench.archive("taskcluster-test-packed:1");
    for (path, content) in [
        ("public/image.tar", archive.clone()),
        ("public/image.tar.lz4", lz4(&archive)),
        ("public/image.tar.zst", zstd(&archive)),
    ] {
        let task_id = bench.artifact(path, &content).await;
        let (reason, log) = bench.run(task_image(&task_id, path), &[]).await;
        assert_eq!(reason, "completed", "{log}");
        assert!(log.contains("fetching the image") && log.contains("it runs\r\n"), "{log}");
        let (reason, log) = bench.run(task_image(&task_id, path), &[]).await;
        assert_eq!(reason, "completed", "{log}");
        assert!(!log.contains("fetching the image"), "{log}");
    }
    let names = String::from_utf8(bench.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"])).unwrap();
    assert!(!names.contains("taskcluster-test-packed"), "its own name counts for nothing: {names}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_cannot_take_the_name_of_another_image() {
    let Some(bench) = Bench::new().await else { return };
    let victim = "taskcluster-test-victim:1";
    let archive = bench.archive(victim);
    bench.docker(&["tag", &bench.there.greeter, victim]);
    let id = || bench.docker(&["image", "inspect", "--format", "{{.Id}}", victim]);
    let before = id();
    let task_id = bench.artifact("public/image.tar", &archive).await;
    let (reason, log) = bench.run(task_image(&task_id, "public/image.tar"), &[]).await;
    assert_eq!(reason, "completed", "{log}");
    assert_eq!(id(), before);
    bench.docker(&["rmi", victim]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_image_takes_a_scope_also_when_it_is_here() {
    let Some(bench) = Bench::new().await else { return };
    let path = "private/image.tar";
    let task_id = bench.artifact(path, &bench.archive("taskcluster-test-private:1")).await;
    let image = task_image(&task_id, path);
    let (reason, log) = bench.run(image.clone(), &["queue:get-artifact:private/*"]).await;
    assert_eq!(reason, "completed", "{log}");
    let (reason, log) = bench.run(image, &[]).await;
    assert_eq!(reason, "malformed-payload", "{log}");
    assert!(log.contains("queue:get-artifact:private/image.tar"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_found_by_the_index() {
    let Some(bench) = Bench::new().await else { return };
    let path = "public/image.tar";
    let task_id = bench.artifact(path, &bench.archive("taskcluster-test-indexed:1")).await;
    let entry = InsertTaskRequest::new(task_id, 0.0, Map::new(), bench.fake.now() + hours(12));
    bench.tc.index().insert_task("images.busybox.latest", &entry).await.unwrap();
    let image = |namespace: &str| json!({"type": "indexed-image", "namespace": namespace, "path": path});
    let (reason, log) = bench.run(image("images.busybox.latest"), &["index:find-task:images.*"]).await;
    assert_eq!(reason, "completed", "{log}");
    let (reason, log) = bench.run(image("images.busybox.none"), &["index:find-task:images.*"]).await;
    assert_eq!(reason, "malformed-payload", "{log}");
    assert!(log.contains("no image is indexed as \"images.busybox.none\""), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_image_is_refused_with_a_reason() {
    let Some(bench) = Bench::new().await else { return };
    let whole = bench.archive("taskcluster-test-cut:1");
    for (path, content, part) in [
        ("public/image.tar", b"not an archive".to_vec(), "cannot be loaded"),
        ("public/image.tar.gz", Vec::new(), "neither .tar nor"),
        ("public/image.tar.zst", whole[..1000].to_vec(), "cannot be loaded"),
        ("public/cut.tar", whole[..whole.len() / 2].to_vec(), "cannot be loaded"),
    ] {
        let task_id = bench.artifact(path, &content).await;
        let (reason, log) = bench.run(task_image(&task_id, path), &[]).await;
        assert_eq!(reason, "malformed-payload", "{path}: {log}");
        assert!(log.contains(part), "{path}: {log}");
    }
    let (reason, log) = bench.run(task_image(&TaskId::new(), "public/image.tar"), &[]).await;
    assert_eq!(reason, "malformed-payload", "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_grows_without_end_is_refused_and_the_next_task_served() {
    let Some(bench) = Bench::new().await else { return };
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(16 << 20);
    header.set_mode(0o644);
    archive.append_data(&mut header, "layer/layer.tar", std::io::repeat(0).take(16 << 20)).unwrap();
    let archive = archive.into_inner().unwrap();
    for (path, bomb) in [("public/bomb.tar.lz4", lz4(&archive)), ("public/bomb.tar.zst", zstd(&archive))] {
        assert!(bomb.len() < 1 << 20, "it is one: {}", bomb.len());
        let task_id = bench.artifact(path, &bomb).await;
        let few = |options: &mut Options| options.image_bytes = 1 << 20;
        let (reason, log) = bench.run_with(task_image(&task_id, path), &[], few).await;
        assert_eq!(reason, "malformed-payload", "{log}");
        assert!(log.contains("larger than this worker takes"), "{log}");
    }
    let (reason, log) = bench.run(json!(bench.there.image), &[]).await;
    assert_eq!(reason, "completed", "{log}");
}

/// The archive of an image, with each layer changed.
fn with_layers(archive: &[u8], change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut changed = tar::Builder::new(Vec::new());
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let path = entry.path().unwrap().into_owned();
        if path.ends_with("layer.tar") {
            content = change(&content);
        }
        let mut header = entry.header().clone();
        header.set_size(content.len() as u64);
        changed.append_data(&mut header, path, &*content).unwrap();
    }
    changed.into_inner().unwrap()
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_layer_counts_as_what_becomes_of_it() {
    let Some(bench) = Bench::new().await else { return };
    let archive = bench.archive("taskcluster-test-layers:1");
    let task_id = bench.artifact("public/image.tar", &with_layers(&archive, gzip)).await;
    let image = task_image(&task_id, "public/image.tar");
    let (reason, log) = bench.run(image, &[]).await;
    assert_eq!(reason, "completed", "{log}");

    let mut bomb = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(64 << 20);
    bomb.append_data(&mut header, "zeros", std::io::repeat(0).take(64 << 20)).unwrap();
    let bomb = gzip(&bomb.into_inner().unwrap());
    assert!(bomb.len() < 1 << 20, "it is one: {}", bomb.len());
    let task_id = bench.artifact("public/bomb.tar", &with_layers(&archive, |_| bomb.clone())).await;
    let few = |options: &mut Options| options.image_bytes = 16 << 20;
    let (reason, log) = bench.run_with(task_image(&task_id, "public/bomb.tar"), &[], few).await;
    assert_eq!(reason, "malformed-payload", "{log}");
    assert!(log.contains("larger than this worker takes, which is 16 MiB"), "{log}");
}

/// Docker's own registry, on loopback, as long as this lives.
pub(crate) struct Registry {
    process: std::process::Child,
    pub(crate) name: String,
    _dir: tempfile::TempDir,
}

impl Registry {
    /// `None`, which is said, where there is no such program.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(|_| String::new())
    }

    /// The same with more in its configuration, which may name files of a folder.
    pub(crate) fn start_with(more: impl FnOnce(&std::path::Path) -> String) -> Option<Self> {
        let Ok(program) = std::env::var("TEST_DOCKER_REGISTRY") else {
            println!("skipped: TEST_DOCKER_REGISTRY names no registry server");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = dir.path().join("config.yml");
        let storage = dir.path().join("data");
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n{}",
            storage.display(),
            more(dir.path()),
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(program);
        let process = command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let started = Self { process, name: format!("127.0.0.1:{port}"), _dir: dir };
        let patience = std::time::Instant::now();
        while std::net::TcpStream::connect(&started.name).is_err() {
            assert!(patience.elapsed() < TIMEOUT, "the registry does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(started)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_a_registry_is_pulled_and_one_that_it_has_not_is_refused() {
    let Some(bench) = Bench::new().await else { return };
    let Some(registry) = Registry::start() else { return };
    let image = format!("{}/team/image:1", registry.name);
    bench.docker(&["tag", &bench.there.greeter, &image]);
    bench.docker(&["push", &image]);
    bench.docker(&["rmi", &image]);
    let (reason, log) = bench.run(json!(image), &[]).await;
    assert_eq!(reason, "completed", "{log}");
    assert!(log.contains("pulling the image"), "{log}");

    // The tag moves: a worker that has just begun asks again, and gets what it means now.
    bench.docker(&["tag", &bench.there.image, &image]);
    bench.docker(&["push", &image]);
    bench.docker(&["tag", &bench.there.greeter, &image]);
    let (reason, log) = bench.run(json!(image), &[]).await;
    let now =
        String::from_utf8(bench.docker(&["image", "inspect", "--format", "{{.Id}}", &bench.there.image])).unwrap();
    assert_eq!(reason, "completed", "{log}");
    assert!(log.contains(now.trim()), "{log}");

    let (reason, log) = bench.run(json!(format!("{}/team/none", registry.name)), &[]).await;
    assert_eq!(reason, "malformed-payload", "{log}");
    assert!(log.contains("cannot be had"), "{log}");
    bench.docker(&["rmi", &image]);
}

/// Passes connections on to a server, slowly in one direction.
async fn slowed(server: String, chunk: usize) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let name = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = tokio::net::TcpStream::connect(&server).await.unwrap();
            tokio::spawn(async move {
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                    (client.into_split(), server.into_split());
                let asking = tokio::io::copy(&mut from_client, &mut to_server);
                let answering = async {
                    let mut buffer = vec![0; chunk];
                    loop {
                        let read = from_server.read(&mut buffer).await?;
                        if read == 0 {
                            return to_client.shutdown().await;
                        }
                        to_client.write_all(&buffer[..read]).await?;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                };
                let _ = tokio::join!(asking, answering);
            });
        }
    });
    name
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_an_image_is_told_how_far_it_is() {
    let Some(bench) = Bench::new().await else { return };
    let Some(registry) = Registry::start() else { return };
    let through = slowed(registry.name.clone(), 8 << 10).await;
    // A layer that cannot be compressed.
    let container = String::from_utf8(bench.docker(&[
        "create",
        &bench.there.image,
        "/bin/sh",
        "-c",
        "dd if=/dev/urandom of=/noise bs=1M count=4",
    ]))
    .unwrap();
    let container = container.trim();
    bench.docker(&["start", "-a", container]);
    let fast = format!("{}/team/noise:1", registry.name);
    bench.docker(&["commit", container, &fast]);
    bench.docker(&["push", &fast]);
    bench.docker(&["rm", container]);
    bench.docker(&["rmi", &fast]);
    let slow = format!("{through}/team/noise:1");
    let (reason, log) = bench.run(json!(slow), &[]).await;
    assert_eq!(reason, "completed", "{log}");
    let told = log.lines().find(|line| line.contains("layers are unpacked"));
    assert!(told.is_some_and(|line| line.contains(&slow) && line.contains("have come")), "{log}");
    bench.docker(&["rmi", &slow]);
}

//! What tasks mount, with a queue and a web server of the test's own.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use futures_util::stream;
use http::{StatusCode, header};
use serde_json::{Map, Value, json};
use taskcluster::RetryPolicy;
use taskcluster_core::Credentials;
use taskcluster_core::ids::TaskId;
use taskcluster_worker::caches::CacheStore;
use taskcluster_worker::plugins::{BACKING_LOG, BackingLog, MountLimits, Mounts};
use taskcluster_worker::testing::{FakeQueue, MockEngine, task_with_payload};
use taskcluster_worker::{Identity, PayloadSchema, Settings, Shutdown, Worker};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

const TIMEOUT: Duration = Duration::from_secs(120);

struct Bench {
    queue: FakeQueue,
    dir: tempfile::TempDir,
    limits: MountLimits,
}

impl Bench {
    async fn new() -> Self {
        let limits = MountLimits::default().with_free_disk(0);
        Self { queue: FakeQueue::start().await.unwrap(), dir: tempfile::tempdir().unwrap(), limits }
    }

    fn add(&self, mock: &Value, mounts: &Value, dependencies: &[TaskId]) -> TaskId {
        let payload = json!({"mock": mock, "mounts": mounts});
        let mut definition = task_with_payload(payload.as_object().unwrap());
        definition["scopes"] = json!(["cache:*"]);
        definition["dependencies"] = json!(dependencies);
        self.queue.add_task(definition)
    }

    /// Run a task that is there already.
    async fn run(&self) {
        let mut settings = Settings::new(self.dir.path());
        settings.task_limit = Some(1);
        settings.backoff = Duration::from_millis(10);
        settings.cancel_poll = Duration::from_millis(20);
        let identity = Identity::new("test/worker".parse().unwrap(), "group", "worker");
        let caches = CacheStore::open(self.dir.path().join("caches")).unwrap();
        let worker = Worker::builder(self.queue.root_url(), identity, MockEngine::default(), settings)
            .credentials(Credentials::new("the-worker", "the-token-of-the-worker"))
            .retry(RetryPolicy::default().with_retries(2).with_base(Duration::from_millis(10)))
            .plugin(Mounts::new(caches, "cache:").limits(self.limits))
            .plugin(BackingLog::default())
            .build()
            .unwrap();
        tokio::time::timeout(TIMEOUT, worker.run(Shutdown::new())).await.expect("the worker ends").unwrap();
    }

    /// Run a task and give how it ended and its log.
    async fn resolve(&self, mock: Value, mounts: Value, dependencies: &[TaskId]) -> (String, String) {
        let task_id = self.add(&mock, &mounts, dependencies);
        self.run().await;
        (self.queue.state(&task_id), self.queue.text(&task_id, BACKING_LOG))
    }

    /// Run a task that prints a file which it mounts, and give its log.
    async fn prints(&self, mount: Value, path: &str) -> String {
        let (state, log) = self.resolve(json!([{"printFile": path}]), json!([mount]), &[]).await;
        assert_eq!(state, "completed", "{log}");
        log
    }

    /// Run a task that mounts what it cannot have, and give how it ended and its log.
    async fn refused(&self, mount: Value) -> (String, String) {
        let (state, log) = self.resolve(json!([{"print": "NEVER"}]), json!([mount]), &[]).await;
        assert!(!log.contains("NEVER"), "{log}");
        (state, log)
    }

    fn finished_task(&self) -> TaskId {
        self.queue.add_running_task(task_with_payload(&Map::new()), "somebody", "else")
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A tar archive of one file, however bad its name.
fn tar(name: &str, content: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&header, content.as_bytes()).unwrap();
    builder.into_inner().unwrap()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_file_is_the_bytes_of_the_payload() {
    let bench = Bench::new().await;
    let content = json!({"base64": base64("from base64".as_bytes())});
    assert!(bench.prints(json!({"file": "a/b", "content": content}), "a/b").await.contains("from base64"));
    let content = json!({"base64": base64(&gzip(b"that was compressed"))});
    let mount = json!({"file": "f", "content": content, "format": "gz"});
    assert!(bench.prints(mount, "f").await.contains("that was compressed"));
    for (base64, format) in [("abcde", Value::Null), ("aGVsbG8=", json!("gz"))] {
        let mut mount = json!({"file": "f", "content": {"base64": base64}});
        if !format.is_null() {
            mount["format"] = format;
        }
        let (state, log) = bench.refused(mount).await;
        assert_eq!(state, "exception malformed-payload", "{log}");
    }
}

#[tokio::test]
async fn a_directory_is_an_archive_of_the_tasks_own() {
    let bench = Bench::new().await;
    let mount = json!([{
        "directory": "tools",
        "content": {"base64": base64(&gzip(&tar("bin/run", "as it was packed")))},
        "format": "tar.gz",
    }]);
    let acts = json!([{"printFile": "tools/bin/run"}, {"write": {"path": "tools/bin/run", "text": "changed"}}]);
    for _ in 0..2 {
        let (state, log) = bench.resolve(acts.clone(), mount.clone(), &[]).await;
        assert!(state == "completed" && log.contains("as it was packed") && !log.contains("changed"), "{log}");
    }
}

#[tokio::test]
async fn a_cache_is_filled_while_it_is_empty() {
    let bench = Bench::new().await;
    let mounts = |content: &str| {
        json!([{
            "directory": "kept",
            "cacheName": "c",
            "content": {"base64": base64(&tar("seed", content))},
            "format": "tar",
        }])
    };
    let acts = json!([{"printFile": "kept/seed"}, {"write": {"path": "kept/seed", "text": "of the first task"}}]);
    let (state, log) = bench.resolve(acts.clone(), mounts("of the archive"), &[]).await;
    assert!(state == "completed" && log.contains("of the archive"), "{log}");
    let (state, log) = bench.resolve(acts, mounts("of another archive"), &[]).await;
    assert!(state == "completed" && log.contains("of the first task"), "{log}");
    // A cache of former tasks needs no archive any more, even if there is none.
    let gone =
        json!([{"directory": "kept", "cacheName": "c", "content": {"url": "http://127.0.0.1:9/"}, "format": "tar"}]);
    let (state, log) = bench.resolve(json!([{"printFile": "kept/seed"}]), gone, &[]).await;
    assert!(state == "completed" && log.contains("of the first task"), "{log}");
}

/// What was unpacked by then is not there for the next task, nor is what a killed worker left.
#[tokio::test]
async fn a_cache_is_filled_whole_or_not_at_all() {
    let bench = Bench::new().await;
    let mut archive = tar("seed", "whole");
    archive.truncate(archive.len() - 1024);
    archive.extend(tar("../out", "harm"));
    let mount = |archive: &[u8]| json!({"directory": "d", "cacheName": "c", "content": {"base64": base64(archive)}, "format": "tar"});
    let (state, log) = bench.refused(mount(&archive)).await;
    assert_eq!(state, "exception malformed-payload", "{log}");
    assert!(log.contains("\"../out\""), "{log}");
    let folder = bench.dir.path().join("caches/c");
    let left = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert!(left.iter().all(|name| name == "0" || name == "0.lock"), "{left:?}");
    std::fs::create_dir(folder.join("0.new-killed")).unwrap();
    std::fs::write(folder.join("0.new-killed/half"), "of an archive").unwrap();
    let acts = json!([{"printFile": "d/seed"}, {"printFile": "d/half"}]);
    let (state, log) = bench.resolve(acts, json!([mount(&tar("seed", "whole"))]), &[]).await;
    assert!(state == "failed" && log.contains("whole") && !log.contains("of an archive"), "{log}");
}

#[tokio::test]
async fn what_is_too_large_is_the_tasks_fault_and_a_full_disk_the_workers() {
    let mut bench = Bench::new().await;
    let mount =
        json!({"directory": "d", "content": {"base64": base64(&tar("f", "twenty bytes of text"))}, "format": "tar"});
    bench.limits = MountLimits::default().with_bytes(19).with_free_disk(0);
    let (state, log) = bench.refused(mount.clone()).await;
    assert_eq!(state, "exception malformed-payload", "{log}");
    assert!(log.contains("larger than 19 bytes"), "{log}");
    bench.limits = MountLimits::default().with_free_disk(u64::MAX);
    let (state, log) = bench.refused(mount).await;
    assert_eq!(state, "exception worker-shutdown", "{log}");
}

#[tokio::test]
async fn an_artifact_that_is_stored_compressed_is_what_it_was() {
    let bench = Bench::new().await;
    let other = bench.finished_task();
    let stored = gzip(b"the text itself");
    bench.queue.add_stored_artifact(&other, "public/text", &stored, "gzip");
    let content = |sha256: &str| json!([{"file": "f", "content": {"taskId": other, "artifact": "public/text", "sha256": sha256}}]);
    let acts = json!([{"printFile": "f"}]);
    let (state, log) = bench.resolve(acts.clone(), content(&sha256(b"the text itself")), &[other]).await;
    assert!(state == "completed" && log.contains("the text itself"), "{log}");
    let (state, log) = bench.resolve(acts, content(&sha256(&stored)), &[other]).await;
    assert_eq!(state, "exception malformed-payload", "{log}");
}

struct Web {
    url: String,
    asked: Arc<AtomicU32>,
    _server: AbortOnDropHandle<()>,
}

impl Web {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicU32::new(0));
        let count = asked.clone();
        let cut = move || {
            let before = count.fetch_add(1, Ordering::Relaxed);
            async move { if before == 0 { half() } else { "all of it".into_response() } }
        };
        let count = asked.clone();
        let trouble = move || {
            count.fetch_add(1, Ordering::Relaxed);
            async { StatusCode::INTERNAL_SERVER_ERROR }
        };
        let router = Router::new()
            .route("/text", get(async || "from the web"))
            .route("/moved", get(async || Redirect::temporary("/text")))
            .route("/circle", get(async || Redirect::permanent("/circle")))
            .route("/elsewhere", get(async || Redirect::permanent("file:///etc/passwd")))
            .route("/endless", get(async || Body::from_stream(stream::repeat_with(|| Ok::<_, String>(vec![0; 65536])))))
            .route("/trouble", get(trouble))
            .route("/cut", get(cut))
            .route("/always-cut", get(async || half()));
        let server = AbortOnDropHandle::new(tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }));
        Self { url, asked, _server: server }
    }

    fn mount(&self, path: &str) -> Value {
        json!({"file": "f", "content": {"url": format!("{}{path}", self.url)}})
    }
}

/// An answer that ends before it is over.
fn half() -> Response {
    let pieces = stream::iter([Ok("all"), Err("cut")]);
    ([(header::CONTENT_LENGTH, "9")], Body::from_stream(pieces)).into_response()
}

#[tokio::test]
async fn a_file_comes_from_the_web() {
    let (bench, web) = (Bench::new().await, Web::start().await);
    for path in ["/text", "/moved"] {
        assert!(bench.prints(web.mount(path), "f").await.contains("from the web"));
    }
    let mut mount = web.mount("/text");
    mount["content"]["sha256"] = json!(sha256(b"from the web"));
    bench.prints(mount.clone(), "f").await;
    mount["content"]["sha256"] = json!(sha256(b"something else"));
    let (state, log) = bench.refused(mount).await;
    assert!(state == "exception malformed-payload" && log.contains("hashes to"), "{log}");
    assert!(bench.prints(web.mount("/cut"), "f").await.contains("all of it"));
    assert_eq!(web.asked.load(Ordering::Relaxed), 2, "it was cut, and asked for again");
}

#[tokio::test]
async fn what_the_web_does_not_have_is_the_tasks_fault() {
    let (mut bench, web) = (Bench::new().await, Web::start().await);
    bench.limits = bench.limits.with_bytes(10 << 20);
    for (path, why) in
        [("/none", "404"), ("/circle", "too often"), ("/elsewhere", "not safe"), ("/endless", "larger than")]
    {
        let (state, log) = bench.refused(web.mount(path)).await;
        assert_eq!(state, "exception malformed-payload", "{log}");
        assert!(log.contains(why), "{path}: {log}");
    }
    let (state, log) = bench.refused(json!({"file": "f", "content": {"url": "file:///etc/passwd"}})).await;
    assert!(state == "exception malformed-payload" && log.contains("neither http: nor https:"), "{log}");
}

#[tokio::test]
async fn a_web_server_in_trouble_is_not_the_tasks_fault() {
    let (bench, web) = (Bench::new().await, Web::start().await);
    for path in ["/trouble", "/always-cut"] {
        let (state, log) = bench.refused(web.mount(path)).await;
        assert_eq!(state, "exception worker-shutdown", "{log}");
        assert!(log.contains(path), "{log}");
    }
    assert_eq!(web.asked.load(Ordering::Relaxed), 3, "each attempt of the policy");
    let (state, _) = bench.refused(json!({"file": "f", "content": {"url": "http://127.0.0.1:9/"}})).await;
    assert_eq!(state, "exception worker-shutdown", "nobody listens");
}

#[tokio::test]
async fn every_objection_is_told_at_once() {
    let bench = Bench::new().await;
    let mounts = json!([
        {"file": "a", "content": {"taskId": TaskId::new(), "artifact": "public/x"}},
        {"directory": "b", "content": {"url": "ftp://example.com/x.zip"}, "format": "tar"},
        {"directory": "c", "cacheName": "c", "content": {"base64": "abcde"}, "format": "tar"},
    ]);
    let (state, log) = bench.resolve(json!([]), mounts, &[]).await;
    assert_eq!(state, "exception malformed-payload");
    for part in ["not among the dependencies", "neither http: nor https:", "base64"] {
        assert!(log.contains(part), "{part} is missing:\n{log}");
    }
}

#[tokio::test]
async fn a_cancelled_run_does_not_go_on_fetching() {
    let (bench, web) = (Bench::new().await, Web::start().await);
    let task_id = bench.add(&json!([]), &json!([web.mount("/endless")]), &[]);
    let cancel = async {
        let scratch = bench.dir.path().join(format!("runs/{task_id}_0"));
        let large = |entry: std::fs::DirEntry| entry.metadata().is_ok_and(|found| found.len() > 1 << 20);
        while !std::fs::read_dir(&scratch).is_ok_and(|entries| entries.flatten().any(large)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bench.queue.cancel(&task_id);
    };
    let ((), cancelled) = tokio::join!(bench.run(), tokio::time::timeout(TIMEOUT, cancel));
    cancelled.expect("the file grows");
    assert_eq!(bench.queue.state(&task_id), "exception canceled");
    assert_eq!(std::fs::read_dir(bench.dir.path().join("runs")).unwrap().count(), 0, "nothing is left of it");
}

/// What generic-worker's payload allows, kind by kind.
#[test]
fn the_schema_takes_each_kind_of_mount() {
    let schema = PayloadSchema::compose([("mounts", Mounts::payload_part())]).unwrap();
    let takes = |mount: &Value| {
        let payload = json!({"mounts": [mount]});
        schema.validate(payload.as_object().unwrap()).is_ok_and(|payload| payload.as_value()["mounts"].is_array())
    };
    let hash = "0".repeat(64);
    let contents = [
        json!({"taskId": TaskId::new(), "artifact": "public/x"}),
        json!({"taskId": TaskId::new(), "artifact": "public/x", "sha256": hash}),
        json!({"namespace": "a.b.c", "artifact": "public/x"}),
        json!({"url": "https://example.com/x"}),
        json!({"url": "https://example.com/x", "sha256": hash}),
        json!({"raw": ""}),
        json!({"base64": "aGVsbG8="}),
    ];
    let compressions = ["br", "bz2", "gz", "lz", "lz4", "mz", "sz", "xz", "zst", "zz"];
    let archives = ["7z", "rar", "tar", "zip"].map(str::to_owned);
    let archives: Vec<_> =
        archives.into_iter().chain(compressions.map(|compression| format!("tar.{compression}"))).collect();
    for content in &contents {
        assert!(takes(&json!({"file": "f", "content": content})), "{content}");
        for format in compressions {
            assert!(takes(&json!({"file": "f", "content": content, "format": format})), "{content} {format}");
        }
        for format in &archives {
            assert!(takes(&json!({"directory": "d", "content": content, "format": format})), "{content} {format}");
            let cache = json!({"directory": "d", "cacheName": "c", "content": content, "format": format});
            assert!(takes(&cache), "{content} {format}");
        }
    }
    assert!(takes(&json!({"directory": "d", "cacheName": "c"})));
    for mount in [
        json!({"directory": "d"}),
        json!({"directory": "d", "cacheName": "c", "format": "tar"}),
        json!({"directory": "d", "cacheName": "c", "content": {"raw": "x"}}),
        json!({"directory": "d", "content": {"raw": "x"}}),
        json!({"directory": "d", "content": {"raw": "x"}, "format": "gz"}),
        json!({"file": "f", "content": {"raw": "x"}, "format": "tar.gz"}),
        json!({"file": "f", "content": {"raw": "x"}, "format": null}),
        json!({"file": "f", "content": {"raw": "x", "base64": "x"}}),
        json!({"file": "f", "content": {"raw": "x".repeat(65_537)}}),
        json!({"file": "f", "content": {"base64": "not base64"}}),
        json!({"file": "f", "content": {"url": "no url"}}),
        json!({"file": "f", "content": {"namespace": "a.b", "artifact": "x", "sha256": hash}}),
        json!({"file": "f", "cacheName": "c", "content": {"raw": "x"}}),
        json!({"file": "f"}),
    ] {
        assert!(!takes(&mount), "{mount}");
    }
}

#[cfg(not(feature = "archives"))]
#[tokio::test]
async fn a_format_that_is_not_built_in_is_refused_in_one_line() {
    let bench = Bench::new().await;
    let mount = json!({"directory": "d", "content": {"url": "http://127.0.0.1:9/"}, "format": "tar.zst"});
    let (state, log) = bench.refused(mount).await;
    assert_eq!(state, "exception malformed-payload", "{log}");
    assert!(log.contains("cannot unpack \"tar.zst\": it was built without the feature \"archives\""), "{log}");
}

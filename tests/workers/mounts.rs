//! Mounts of a task in a whole deployment: artifacts of other tasks, by themselves and by what the index has.

use std::future::IntoFuture;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::FutureExt;
use harness::{Backend, Claimed, Deployment, Options, Tester, soon, task, until};
use serde_json::{Value, json};
use taskcluster::index::{Index, InsertTaskRequest};
use taskcluster::time::{days, hours};
use taskcluster::{TaskId, TaskQueueId, object};
use taskcluster_native_worker::{Isolation, NativeWorker, Shutdown};

const QUEUE: &str = "test/mounts";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct Bench {
    deployment: Deployment,
    root: Tester,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn start(backend: Backend) -> Self {
        let deployment = soon(Deployment::start(Options::on(backend))).await.unwrap();
        let root = deployment.root();
        Self { deployment, root, folder: tempfile::tempdir().unwrap() }
    }

    /// A task that has ended and left these artifacts, the compressed one stored so.
    async fn source(&self) -> TaskId {
        self.root.create_task().await;
        let claim = self.root.claim().await;
        let expires = self.root.now() + hours(1);
        let artifact =
            |claim: &Claimed, name: &str| claim.artifacts().upload(&claim.task_id, claim.run_id, name, expires);
        soon(artifact(&claim, "public/text").bytes("the text")).await.unwrap();
        soon(artifact(&claim, "public/stored").gzip().bytes("what was stored")).await.unwrap();
        soon(artifact(&claim, "public/tools.tar.gz").bytes(tools())).await.unwrap();
        soon(artifact(&claim, "private/tools.tar.gz").bytes(tools())).await.unwrap();
        soon(claim.completed()).await.unwrap();
        claim.task_id
    }

    /// Give the task a name in the index.
    async fn index(&self, namespace: &str, task_id: TaskId) {
        let request = InsertTaskRequest::new(task_id, 0.0, object! {}, self.root.now() + days(1));
        soon(Index::new(self.root.caller().clone()).insert_task(namespace, &request).into_future()).await.unwrap();
    }

    /// Run a task with these scopes and those that everybody has elsewhere, and give how it ended and its log.
    async fn run(&self, script: &str, mounts: Value, dependencies: &[TaskId], scopes: &[&str]) -> (String, String) {
        let usual = ["queue:get-artifact:public/*", "index:find-task:project.*"];
        let mut definition = task(self.root.now())
            .with_task_queue_id(QUEUE.parse::<TaskQueueId>().unwrap())
            .with_dependencies(dependencies.iter().copied())
            .with_scopes(usual.iter().chain(scopes).copied());
        definition.payload =
            object! { "command": json!([["/bin/sh", "-c", script]]), "maxRunTime": 600, "mounts": mounts };
        let task_id = self.root.create(&definition).await;
        let worker = NativeWorker::builder(self.deployment.root_url(), QUEUE.parse().unwrap())
            .credentials(self.root.caller().credentials().unwrap())
            .worker_group("mounts")
            .worker_id("native")
            .work_dir(self.folder.path().join("work"))
            .isolation(Isolation::None)
            .task_limit(1)
            .build();
        let worker = soon(worker).await.unwrap();
        soon(worker.run(Shutdown::new())).await.unwrap();
        let status = until(|| {
            self.root.status(&task_id).map(|status| status.runs[0].reason_resolved.is_some().then_some(status))
        });
        let reason = status.await.runs[0].reason_resolved.clone().unwrap().to_string();
        let log = self.root.artifacts().download(&task_id, 0, "public/logs/live_backing.log").to_memory(1_000_000);
        (reason, String::from_utf8(soon(log).await.unwrap().to_vec()).unwrap())
    }
}

/// An archive of one program.
fn tools() -> Vec<u8> {
    let content = b"#!/bin/sh\necho TOOL RUNS\n";
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(content.len() as u64);
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    builder.append_data(&mut header, "bin/tool", content.as_slice()).unwrap();
    builder.into_inner().unwrap().finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_of_other_tasks_are_there_when_the_commands_start() {
    for backend in Backend::available() {
        let bench = Bench::start(backend).await;
        let source = bench.source().await;
        bench.index("project.tools.latest", source).await;
        let artifact = |name: &str| json!({"taskId": source, "artifact": name});
        let indexed = |name: &str| json!({"namespace": "project.tools.latest", "artifact": name});
        let mounts = json!([
            {"file": "in/text", "content": artifact("public/text")},
            {"file": "stored", "content": indexed("public/stored")},
            {"directory": "tools", "content": indexed("public/tools.tar.gz"), "format": "tar.gz"},
            {"directory": "private", "content": artifact("private/tools.tar.gz"), "format": "tar.gz"},
            {"directory": "cache", "cacheName": "c", "content": artifact("public/tools.tar.gz"), "format": "tar.gz"},
        ]);
        let script = "set -e; cat in/text; echo; cat stored; echo; tools/bin/tool; private/bin/tool; cache/bin/tool; touch cache/used";
        let scopes = ["generic-worker:cache:c", "queue:get-artifact:private/*"];
        let (end, log) = bench.run(script, mounts, &[source], &scopes).await;
        assert_eq!(end, "completed", "{log}");
        assert!(log.contains("the text\nwhat was stored\nTOOL RUNS\nTOOL RUNS\nTOOL RUNS\n"), "{log}");
        assert!(log.contains("filling the new cache \"c\"") && log.contains(&format!("has task {source}")), "{log}");
        let again = json!([
            {"directory": "cache", "cacheName": "c", "content": artifact("public/none"), "format": "tar.gz"},
        ]);
        let (end, log) = bench.run("test -e cache/used && cache/bin/tool", again, &[source], &scopes).await;
        assert!(end == "completed" && log.contains("TOOL RUNS"), "{log}");
        bench.deployment.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_task_cannot_have_is_its_own_fault() {
    for backend in Backend::available() {
        let bench = Bench::start(backend).await;
        let source = bench.source().await;
        bench.index("project.tools.latest", source).await;
        let artifact = json!({"taskId": source, "artifact": "public/text"});
        let (mut none, mut private, mut other) = (artifact.clone(), artifact.clone(), artifact.clone());
        none["artifact"] = json!("public/none");
        private["artifact"] = json!("private/tools.tar.gz");
        other["sha256"] = json!(EMPTY);
        for (content, dependencies, why) in [
            (&artifact, &[][..], "not among the dependencies"),
            (&none, &[source], "public/none"),
            (&private, &[source], "private/tools.tar.gz"),
            (&other, &[source], "hashes to"),
            (&json!({"namespace": "project.none", "artifact": "public/text"}), &[], "\"project.none\""),
            (&json!({"namespace": "project.tools.latest", "artifact": "public/none"}), &[], "public/none"),
        ] {
            let mounts = json!([{"file": "f", "content": content}]);
            let (end, log) = bench.run("true", mounts, dependencies, &[]).await;
            assert_eq!(end, "malformed-payload", "{log}");
            assert!(log.contains(why) && !log.contains("Task Starting"), "{why}: {log}");
        }
        let mounts = json!([{"directory": "d", "content": artifact, "format": "tar.gz"}]);
        let (end, log) = bench.run("true", mounts, &[source], &[]).await;
        assert!(end == "malformed-payload" && log.contains("it is damaged"), "{log}");
        bench.deployment.stop().await;
    }
}

//! The plugins of this crate, held against the suite that other people's plugins are held against.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use taskcluster_worker::WorkerBuilder;
use taskcluster_worker::caches::CacheStore;
use taskcluster_worker::conformance::{PluginSubject, check_plugin};
use taskcluster_worker::plugins::{Artifacts, BackingLog, Env, ExitStatus, LiveLog, MaxRunTime, Mounts, Proxy};

/// A plugin, what uses it, what it asks every task for, and what it refuses.
struct Ours<Add> {
    add: Add,
    used: Value,
    unused: Value,
    refused: Vec<Value>,
}

fn part(value: &Value) -> Map<String, Value> {
    value.as_object().expect("a part of a payload is an object").clone()
}

impl<Add: Fn(WorkerBuilder, &Path) -> WorkerBuilder + Send + Sync> PluginSubject for Ours<Add> {
    fn add_to(&self, worker: WorkerBuilder, work_dir: &Path) -> WorkerBuilder {
        (self.add)(worker, work_dir)
    }

    fn used(&self) -> Map<String, Value> {
        part(&self.used)
    }

    fn unused(&self) -> Map<String, Value> {
        part(&self.unused)
    }

    fn refused(&self) -> Vec<Map<String, Value>> {
        self.refused.iter().map(part).collect()
    }
}

async fn check<Add>(add: Add, used: Value, unused: Value, refused: Vec<Value>)
where
    Add: Fn(WorkerBuilder, &Path) -> WorkerBuilder + Send + Sync,
{
    check_plugin(&Ours { add, used, unused, refused }).await;
}

#[tokio::test]
async fn env() {
    check(
        |worker, _| worker.plugin(Env::default()),
        json!({"env": {"A": "b"}}),
        json!({}),
        vec![json!({"env": 1}), json!({"env": {"A": 1}})],
    )
    .await;
}

#[tokio::test]
async fn max_run_time() {
    check(
        |worker, _| worker.plugin(MaxRunTime::new(Duration::from_secs(7200))),
        json!({"maxRunTime": 3600}),
        json!({"maxRunTime": 3600}),
        vec![json!({}), json!({"maxRunTime": "long"}), json!({"maxRunTime": 7201})],
    )
    .await;
}

#[tokio::test]
async fn exit_status() {
    check(
        |worker, _| worker.plugin(ExitStatus::default()),
        json!({"onExitStatus": {"retry": [1]}}),
        json!({}),
        vec![json!({"onExitStatus": 1})],
    )
    .await;
}

#[tokio::test]
async fn proxy() {
    check(
        |worker, _| worker.plugin(Proxy::default()),
        json!({"features": {"taskclusterProxy": true}}),
        json!({}),
        vec![json!({"features": {"taskclusterProxy": "yes"}})],
    )
    .await;
}

#[tokio::test]
async fn artifacts() {
    check(
        |worker, _| worker.plugin(Artifacts::default()),
        json!({"artifacts": [{"type": "file", "path": "none", "name": "public/none", "optional": true}]}),
        json!({}),
        vec![json!({"artifacts": [{"type": "socket", "path": "a"}]})],
    )
    .await;
}

#[tokio::test]
async fn mounts() {
    let add = |worker: WorkerBuilder, work_dir: &Path| {
        let caches = CacheStore::open(work_dir.join("caches")).expect("a folder for caches");
        worker.caches(caches.clone()).plugin(Mounts::new(caches, "test:cache:"))
    };
    let used = json!({"mounts": [{"file": "a", "content": {"raw": "text"}}]});
    let unscoped = json!({"mounts": [{"cacheName": "not-mine", "directory": "a"}]});
    check(add, used, json!({}), vec![json!({"mounts": 1}), unscoped]).await;
}

#[tokio::test]
async fn backing_log() {
    check(|worker, _| worker.plugin(BackingLog::default()), json!({}), json!({}), Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_log() {
    let add = |worker: WorkerBuilder, _: &Path| {
        let bind = LiveLog::at("127.0.0.1:0".parse::<std::net::SocketAddr>().expect("an address"));
        let bound = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(bind));
        worker.plugin(bound.expect("a port for the test"))
    };
    check(add, json!({}), json!({}), Vec::new()).await;
}

//! Caches outlive the containers that use them.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use taskcluster::purge_cache::PurgeCacheRequest;
use taskcluster_docker_worker::{DockerWorker, Options, Shutdown};
use taskcluster_worker::{Event, Identity, Settings};

use crate::bench::{Bench, TIMEOUT};
use crate::{docker, images};

#[tokio::test]
async fn a_cache_keeps_what_a_task_wrote_until_an_exit_code_purges_it() {
    let Some(bench) = Bench::new().await else { return };
    let payload = |script: &str| {
        json!({
            "command": ["/bin/sh", "-c", script],
            "cache": {"build": "/cache"},
            "onExitStatus": {"purgeCaches": [3]},
        })
    };
    let (_, state, log) = bench.resolve(payload("echo kept >/cache/file")).await;
    assert_eq!(state, "completed", "{log}");
    assert!(log.contains("using cache \"build\" at /cache"), "{log}");
    let (_, state, log) = bench.resolve(payload("cat /cache/file; exit 3")).await;
    assert_eq!(state, "failed");
    assert!(log.contains("kept\r\n") && log.contains("purging cache \"build\""), "{log}");
    let (_, state, log) = bench.resolve(payload("! test -e /cache/file")).await;
    assert_eq!(state, "completed", "{log}");
}

/// A task of the real queue that uses a cache.
fn cached(bench: &images::Bench, script: &str) -> Value {
    json!({
        "image": bench.there.image,
        "command": ["/bin/sh", "-c", script],
        "maxRunTime": 600,
        "cache": {"build": "/cache"},
    })
}

const SCOPE: &str = "docker-worker:cache:build";

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_is_purged_when_somebody_requests_it() {
    let Some(bench) = images::Bench::new().await else { return };
    let run = async |script: &str| {
        let ends = bench.run_payloads([cached(&bench, script)], &[SCOPE], |_| {}).await;
        assert_eq!(ends[0].0, "completed", "{ends:#?}");
    };
    run("echo kept >/cache/file").await;
    run("test -e /cache/file").await;
    bench.tc.purge_cache().purge_cache(images::QUEUE, &PurgeCacheRequest::new("build")).await.unwrap();
    run("! test -e /cache/file").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caches_go_when_the_disk_is_short() {
    let Some(bench) = images::Bench::new().await else { return };
    let ends = bench.run_payloads([cached(&bench, "echo kept >/cache/file")], &[SCOPE], |_| {}).await;
    assert_eq!(ends[0].0, "completed", "{ends:#?}");
    let file = bench.dir.path().join("work/caches/build/0/file");
    assert!(file.exists());
    let mut worker = DockerWorker::new(&bench.there.host);
    worker.options = Some(Options::new(docker::label()));
    worker.remove_images = false;
    let settings = Settings::new(bench.dir.path().join("work")).with_required_disk_space(u64::MAX);
    let identity = Identity::new(images::QUEUE.parse().unwrap(), "group", "worker");
    let (shutdown, told) = (Shutdown::new(), Arc::new(Mutex::new(String::new())));
    let (stop, heard) = (shutdown.clone(), told.clone());
    let worker = worker.builder(bench.fake.root_url(), identity, settings).await.unwrap();
    let worker = worker.credentials(bench.fake.credentials()).events(Arc::new(move |event| {
        if let Event::Trouble { message } = event {
            *heard.lock().unwrap() = message;
            stop.now();
        }
    }));
    tokio::time::timeout(TIMEOUT, worker.build().unwrap().run(shutdown)).await.expect("it ends").unwrap();
    assert!(told.lock().unwrap().contains("are required"));
    assert!(!file.exists());
}

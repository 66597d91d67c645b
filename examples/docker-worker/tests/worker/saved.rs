//! `features.dockerSave`: containers and caches that are kept as artifacts.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use taskcluster_core::ids::TaskId;
use taskcluster_worker::artifacts::ArtifactLimits;

use crate::bench::Bench;
use crate::docker::{self, call};

const IMAGE: &str = "public/dockerImage.tar";

fn saving(script: &str) -> Value {
    json!({
        "command": ["/bin/sh", "-c", script],
        "cache": {"build": "/cache"},
        "features": {"dockerSave": true},
    })
}

/// An artifact as its readers get it.
fn unpacked(bench: &Bench, task_id: &TaskId, name: &str) -> Vec<u8> {
    let artifact = bench.queue.artifact(task_id, name).unwrap();
    assert_eq!(artifact.created["contentType"], "application/x-tar");
    let line = format!("PUT /content/{task_id}/{}", name.replace('/', "%2F"));
    let sent = bench.queue.received().into_iter().find(|request| request.line == line).expect("it is sent");
    assert_eq!(sent.headers["content-encoding"], "gzip");
    let mut all = Vec::new();
    flate2::read::GzDecoder::new(&*artifact.content.unwrap()).read_to_end(&mut all).unwrap();
    all
}

/// The images that the worker makes in passing.
fn passing(bench: &Bench) -> String {
    let owner: String = Sha256::digest(&bench.label).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("taskcluster-artifact:saved-{}-", &owner[..16])
}

fn left(bench: &Bench) -> Vec<u8> {
    call(&bench.there.host, &["images", "-q", "--filter", &format!("reference={}*", passing(bench))])
}

#[tokio::test]
async fn a_container_and_its_caches_are_kept_also_of_a_task_that_failed() {
    let Some(bench) = Bench::new().await else { return };
    let script = "echo kept >/file; mkdir /cache/deep; echo warm >/cache/deep/file; exit 3";
    let (task_id, state, log) = bench.resolve(saving(script)).await;
    assert_eq!(state, "failed", "{log}");
    let expires = |name: &str| bench.queue.artifact(&task_id, name).unwrap().created["expires"].to_string();
    let of_cache = "public/cache/build.tar";
    assert!(expires(IMAGE) <= expires("public/logs/live_backing.log") && expires(IMAGE) == expires(of_cache));

    let mut load =
        Command::new("docker").arg("load").env("DOCKER_HOST", &bench.there.host).stdin(Stdio::piped()).spawn();
    let load = load.as_mut().unwrap();
    load.stdin.take().unwrap().write_all(&unpacked(&bench, &task_id, IMAGE)).unwrap();
    assert!(load.wait().unwrap().success());
    let image = format!("taskcluster-saved:task-{task_id}-0");
    let text = call(&bench.there.host, &["run", "--rm", &image, "cat", "/file"]);
    assert_eq!(String::from_utf8(text).unwrap(), "kept\n");
    // What somebody makes of it is no worker's to remove.
    let owner = call(
        &bench.there.host,
        &["image", "inspect", "--format", r#"{{index .Config.Labels "taskcluster.worker"}}"#, &image],
    );
    assert_eq!(String::from_utf8(owner).unwrap().trim(), "");
    call(&bench.there.host, &["rmi", &image]);
    assert_eq!(left(&bench), b"");

    let cache = unpacked(&bench, &task_id, of_cache);
    let mut archive = tar::Archive::new(&*cache);
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        if name.ends_with("deep/file") {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            assert_eq!(text, "warm\n");
        }
        names.push(name.trim_start_matches("./").to_owned());
    }
    assert!(names.iter().any(|name| name == "deep/file"), "below the directory itself: {names:?}");
}

#[tokio::test]
async fn what_is_too_large_is_told_and_the_next_task_served() {
    let Some(mut bench) = Bench::new().await else { return };
    bench.artifact_limits = ArtifactLimits::default().with_each(100_000);
    let (task_id, state, log) = bench.resolve(saving("head -c 300000 /dev/urandom >/noise; echo x >/cache/x")).await;
    assert_eq!(state, "completed", "{log}");
    assert_eq!(bench.queue.artifact(&task_id, IMAGE).unwrap().created["reason"], "too-large-file-on-worker", "{log}");
    assert!(log.contains("this worker takes artifacts of"), "{log}");
    assert!(!unpacked(&bench, &task_id, "public/cache/build.tar").is_empty());
    assert_eq!(left(&bench), b"");
    let (_, state, _) = bench.resolve(json!({"command": ["/bin/true"]})).await;
    assert_eq!(state, "completed");
}

/// Files of holes, which Docker would write out.
#[tokio::test]
async fn what_is_larger_than_any_disk_is_not_even_read() {
    let Some(mut bench) = Bench::new().await else { return };
    bench.artifact_limits = ArtifactLimits::default().with_all(64 << 20);
    for folder in ["", "/cache"] {
        let (task_id, state, log) = bench.resolve(saving(&format!("truncate -s 1099511627776 {folder}/holes"))).await;
        assert_eq!(state, "completed", "{log}");
        let large = if folder.is_empty() { IMAGE } else { "public/cache/build.tar" };
        let created = bench.queue.artifact(&task_id, large).unwrap().created;
        assert_eq!(created["reason"], "too-large-file-on-worker", "{log}");
        assert_eq!(left(&bench), b"");
    }
}

#[tokio::test]
async fn a_worker_may_not_save_anything() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.add(saving("echo never"));
    bench.run_with(1, |options| options.allowed.docker_save = false).await;
    let log = bench.log(&task_id);
    assert_eq!(bench.queue.state(&task_id), "exception malformed-payload", "{log}");
    assert!(log.contains("features/dockerSave is not allowed"), "{log}");
}

#[tokio::test]
async fn what_a_killed_worker_was_saving_is_removed_by_its_next_life() {
    let Some(bench) = Bench::new().await else { return };
    let image = docker::image_with(&bench.there, "LABEL of=saved");
    let name = format!("{}{}-{}-0", passing(&bench), TaskId::new(), TaskId::new());
    call(&bench.there.host, &["tag", &image, &name]);
    assert_ne!(left(&bench), b"");
    bench.script("echo fine");
    bench.run().await;
    assert_eq!(left(&bench), b"");
    call(&bench.there.host, &["rmi", &image]);
}

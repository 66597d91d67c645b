//! Images that several tasks want at the same time.

use std::sync::Arc;

use serde_json::{Value, json};
use taskcluster_docker_worker::Options;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;

use crate::docker;
use crate::images::{Bench, Registry, task_image};

fn in_image(image: &Value) -> Value {
    json!({"image": image, "command": ["/bin/sh", "-c", "echo it runs"], "maxRunTime": 600})
}

/// How often the logs together say this.
fn times(ends: &[(String, String)], text: &str) -> usize {
    ends.iter().map(|(_, log)| log.matches(text).count()).sum()
}

fn all_completed(ends: &[(String, String)]) {
    assert!(ends.iter().all(|(reason, _)| reason == "completed"), "{ends:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_that_two_tasks_want_is_fetched_once() {
    let Some(bench) = Bench::new().await else { return };
    let archive = bench.archive("taskcluster-test-shared:1");
    let image = task_image(&bench.artifact("public/image.tar", &archive).await, "public/image.tar");
    let ends = bench.run_payloads([in_image(&image), in_image(&image)], &[], |_| {}).await;
    all_completed(&ends);
    assert_eq!((times(&ends, "fetching the image"), times(&ends, "loading the image")), (1, 1), "{ends:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_here_from_another_task_is_not_loaded_again() {
    let Some(bench) = Bench::new().await else { return };
    let archive = bench.archive("taskcluster-test-same:1");
    let mut images = Vec::new();
    for _ in 0..3 {
        images.push(task_image(&bench.artifact("public/image.tar", &archive).await, "public/image.tar"));
    }
    all_completed(&bench.run_payloads([in_image(&images[0])], &[], |_| {}).await);
    for time in ["from content", "from its own name"] {
        let ends = bench.run_payloads(images[1..].iter().map(in_image), &[], |_| {}).await;
        all_completed(&ends);
        assert_eq!(times(&ends, "loading the image"), 0, "{ends:#?}");
        let fetched = if time == "from content" { 2 } else { 0 };
        assert_eq!(times(&ends, "fetching the image"), fetched, "{time}: {ends:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_a_registry_that_two_tasks_want_is_pulled_once() {
    let Some(bench) = Bench::new().await else { return };
    let Some(registry) = Registry::start() else { return };
    let image = format!("{}/team/shared:1", registry.name);
    bench.docker(&["tag", &bench.there.greeter, &image]);
    bench.docker(&["push", &image]);
    bench.docker(&["rmi", &image]);
    let ends = bench.run_payloads([in_image(&json!(image)), in_image(&json!(image))], &[], |_| {}).await;
    all_completed(&ends);
    assert_eq!(times(&ends, "pulling the image"), 1, "{ends:#?}");
    bench.docker(&["rmi", &image]);
}

/// Passes connections on to a server, the first one only when all others at the barrier have one as well.
async fn meeting(server: &str, barrier: Arc<Barrier>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (name, server) = (listener.local_addr().unwrap().to_string(), server.to_owned());
    tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        barrier.wait().await;
        loop {
            let mut server = TcpStream::connect(&server).await.unwrap();
            let mut client = first;
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
            first = listener.accept().await.unwrap().0;
        }
    });
    name
}

#[tokio::test(flavor = "multi_thread")]
async fn two_images_are_pulled_at_the_same_time() {
    let Some(bench) = Bench::new().await else { return };
    let Some(registry) = Registry::start() else { return };
    let barrier = Arc::new(Barrier::new(2));
    let mut images = Vec::new();
    for name in ["first", "second"] {
        let path = format!("team/{name}:1");
        let direct = format!("{}/{path}", registry.name);
        let made = docker::image_with(&bench.there, &format!("LABEL of={name}"));
        bench.docker(&["tag", &made, &direct]);
        bench.docker(&["push", &direct]);
        bench.docker(&["rmi", &direct, &made]);
        images.push(format!("{}/{path}", meeting(&registry.name, barrier.clone()).await));
    }
    let ends = bench.run_payloads(images.iter().map(|image| in_image(&json!(image))), &[], |_| {}).await;
    all_completed(&ends);
    assert_eq!(times(&ends, "pulling the image"), 2, "{ends:#?}");
    for image in images {
        bench.docker(&["rmi", &image]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_that_is_stored_compressed_is_the_image_that_it_was() {
    let Some(bench) = Bench::new().await else { return };
    let archive = bench.archive("taskcluster-test-stored:1");
    let task_id = bench.builds().await;
    let upload =
        bench.tc.artifacts().upload(&task_id, 0, "public/image.tar", bench.fake.now() + taskcluster::time::hours(1));
    upload.gzip().bytes(archive.clone()).await.unwrap();
    bench.tc.queue().report_completed(&task_id, 0).await.unwrap();
    let stored = task_image(&task_id, "public/image.tar");
    all_completed(&bench.run_payloads([in_image(&stored)], &[], |_| {}).await);
    // It is known by what it is, not by how it was stored.
    let plain = task_image(&bench.artifact("public/image.tar", &archive).await, "public/image.tar");
    let ends = bench.run_payloads([in_image(&plain)], &[], |_| {}).await;
    all_completed(&ends);
    assert_eq!(times(&ends, "loading the image"), 0, "{ends:#?}");

    let few = |options: &mut Options| options.image_bytes = 1 << 20;
    let another = bench.archive("taskcluster-test-stored:2");
    let task_id = bench.builds().await;
    let upload =
        bench.tc.artifacts().upload(&task_id, 0, "public/image.tar", bench.fake.now() + taskcluster::time::hours(1));
    upload.gzip().bytes(another).await.unwrap();
    bench.tc.queue().report_completed(&task_id, 0).await.unwrap();
    let ends = bench.run_payloads([in_image(&task_image(&task_id, "public/image.tar"))], &[], few).await;
    assert_eq!(ends[0].0, "malformed-payload", "{ends:#?}");
    assert!(ends[0].1.contains("larger than this worker takes"), "{ends:#?}");
}

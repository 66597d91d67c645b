//! A task that does nothing, from its claim to its resolution, beside `docker run --rm` of the same image, in turns:
//! `TEST_DOCKER=unix://… cargo bench -p taskcluster-docker-worker`.

use std::time::{Duration, Instant};

use serde_json::json;
use taskcluster_core::Credentials;
use taskcluster_docker_worker::{DockerWorker, Options, Shutdown};
use taskcluster_worker::events::Event;
use taskcluster_worker::testing::{FakeQueue, task_with_payload};
use taskcluster_worker::{Identity, Settings};

#[path = "../tests/worker/docker.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod docker;

/// Rounds before those that count, and those.
const WARM_UP: usize = 3;
const ROUNDS: usize = 30;

#[tokio::main]
async fn main() {
    let Some(there) = docker::find().await else { return };
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let queue = FakeQueue::start().await.expect("a queue on loopback");
    let dir = tempfile::tempdir().expect("a directory for the worker");
    let mut worker = DockerWorker::new(&there.host);
    worker.options = Some(Options::new(docker::label()));
    let identity = Identity::new("test/worker".parse().expect("two names"), "group", "worker");
    let worker = worker
        .builder(queue.root_url(), identity, Settings::new(dir.path()))
        .await
        .expect("an engine")
        .credentials(Credentials::new("the-worker", "the-secret-token-of-the-worker"))
        .events(std::sync::Arc::new(move |event| {
            let is_edge = matches!(event, Event::Claimed { .. } | Event::Resolved { .. });
            if is_edge {
                let _ = sender.send(Instant::now());
            }
        }))
        .build()
        .expect("a worker");
    let shutdown = Shutdown::new();
    let payload = json!({"image": there.image, "command": ["true"], "maxRunTime": 60});
    let task = task_with_payload(payload.as_object().expect("it is one"));
    let rounds = async {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..WARM_UP + ROUNDS {
            let task_id = queue.add_task(task.clone());
            let claimed = events.recv().await.expect("it is claimed");
            ours.push(events.recv().await.expect("it is resolved") - claimed);
            assert_eq!(queue.state(&task_id), "completed");
            bare.push(run_bare(&there).await);
        }
        shutdown.now();
        (median(&mut ours[WARM_UP..]), median(&mut bare[WARM_UP..]))
    };
    let (ended, (ours, bare)) = tokio::join!(worker.run(shutdown.clone()), rounds);
    ended.expect("the worker ends well");
    println!(
        "a task that does nothing, {ROUNDS} rounds: claim to resolved {ours:.0?}, docker run --rm {bare:.0?}, ratio {:.2} (goal 1.3)",
        ours.as_secs_f64() / bare.as_secs_f64(),
    );
}

async fn run_bare(there: &docker::There) -> Duration {
    let (host, image) = (there.host.clone(), there.image.clone());
    let running = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        docker::call(&host, &["run", "--rm", &image, "true"]);
        begun.elapsed()
    });
    running.await.expect("it runs")
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

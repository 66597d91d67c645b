//! Devices of which there are few: each is one task's at a time, and no task waits for one or is sent back.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use taskcluster_core::ids::TaskId;
use taskcluster_docker_worker::{Devices, Gpus};

use crate::bench::Bench;
use crate::docker;

const SCOPE: &str = "docker-worker:capability:device:loopbackVideo";

/// Nodes of the device that forgets everything; `None`, which is said, where none can be made.
fn nodes(bench: &Bench, count: usize) -> Option<Vec<PathBuf>> {
    let nodes: Vec<PathBuf> = (0..count).map(|number| bench.dir.path().join(format!("video{number}"))).collect();
    for node in &nodes {
        let made = Command::new("mknod").arg(node).args(["c", "1", "3"]).status();
        if !made.is_ok_and(|status| status.success()) {
            println!("skipped: nodes of devices cannot be made here");
            return None;
        }
    }
    Some(nodes)
}

/// A task that says which device it has, and ends when it may.
fn films(bench: &Bench) -> TaskId {
    let script = "test -c $TASKCLUSTER_VIDEO_DEVICE && echo x >$TASKCLUSTER_VIDEO_DEVICE && \
                  echo has $(basename $TASKCLUSTER_VIDEO_DEVICE); while ! test -e /go; do sleep 0.05; done";
    let payload = json!({"command": ["/bin/sh", "-c", script], "capabilities": {"devices": {"loopbackVideo": true}}});
    bench.add_with_scopes(payload, &[SCOPE])
}

#[tokio::test]
async fn no_more_tasks_are_claimed_than_could_have_a_device() {
    let Some(bench) = Bench::new().await else { return };
    let Some(nodes) = nodes(&bench, 2) else { return };
    let tasks = [films(&bench), films(&bench), films(&bench)];
    let watch = async {
        bench.line("has video0").await;
        bench.line("has video1").await;
        let running: Vec<TaskId> =
            tasks.iter().copied().filter(|task_id| bench.queue.state(task_id) == "running").collect();
        assert_eq!(running.len(), 2, "the third is not claimed, although the worker has the capacity");
        bench.touch(&running[0], "/go");
        bench.queue.resolved(&running[0]).await;
        let third = *tasks.iter().find(|task_id| !running.contains(task_id)).unwrap();
        bench.queue.until(|queue| queue.state(&third) == "running").await;
        bench.touch(&running[1], "/go");
        bench.queue.resolved(&running[1]).await;
        bench.text_times("has video", 3).await;
        bench.touch(&third, "/go");
    };
    let devices = Devices::default().with_loopback_video(nodes);
    tokio::join!(bench.run_with(3, |options| options.devices = devices), watch);
    for task_id in tasks {
        assert_eq!(bench.queue.state(&task_id), "completed", "{}", bench.log(&task_id));
    }
}

#[tokio::test]
async fn more_tasks_run_than_there_are_devices_as_long_as_one_is_left() {
    let Some(bench) = Bench::new().await else { return };
    let Some(nodes) = nodes(&bench, 2) else { return };
    let plain = [(); 2].map(|()| bench.script("echo plain; while ! test -e /go; do sleep 0.05; done"));
    let films = films(&bench);
    let watch = async {
        bench.text_times("plain\r\n", 2).await;
        bench.line("has video0").await;
        for task_id in plain.iter().chain([&films]) {
            bench.touch(task_id, "/go");
        }
    };
    let devices = Devices::default().with_loopback_video(nodes);
    tokio::join!(bench.run_with(3, |options| options.devices = devices), watch);
    for task_id in plain.iter().chain([&films]) {
        assert_eq!(bench.queue.state(task_id), "completed", "{}", bench.log(task_id));
    }
}

#[tokio::test]
async fn a_device_takes_a_scope() {
    let Some(bench) = Bench::new().await else { return };
    let Some(nodes) = nodes(&bench, 1) else { return };
    let payload = json!({"command": ["/bin/true"], "capabilities": {"devices": {"loopbackVideo": true}}});
    let task_id = bench.add_with_scopes(payload, &[]);
    bench.run_with(1, |options| options.devices = Devices::default().with_loopback_video(nodes)).await;
    let log = bench.log(&task_id);
    assert_eq!(bench.queue.state(&task_id), "exception malformed-payload", "{log}");
    assert!(log.contains(&format!("needs the scope {SCOPE}")), "{log}");
}

#[tokio::test]
async fn each_task_has_a_processor_of_its_own_where_the_worker_says_so() {
    let Some(bench) = Bench::new().await else { return };
    let numbers: Vec<u32> = (0..u32::try_from(std::thread::available_parallelism().unwrap().get()).unwrap()).collect();
    let script = "echo has $(grep Cpus_allowed_list /proc/self/status); while ! test -e /go; do sleep 0.05; done";
    let tasks: Vec<TaskId> = numbers.iter().map(|_| bench.script(script)).collect();
    let extra = bench.script(script);
    let watch = async {
        bench.text_times("has Cpus_allowed_list: ", numbers.len()).await;
        let all = || tasks.iter().chain([&extra]);
        let running: Vec<TaskId> = all().copied().filter(|task_id| bench.queue.state(task_id) == "running").collect();
        assert_eq!(running.len(), numbers.len(), "one waits, although the worker has the capacity");
        for task_id in &running {
            bench.touch(task_id, "/go");
        }
        let last = *all().find(|task_id| !running.contains(task_id)).unwrap();
        bench.text_times("has Cpus_allowed_list: ", numbers.len() + 1).await;
        bench.touch(&last, "/go");
        running
    };
    let devices = Devices::default().with_processors(numbers.iter().copied());
    let all = numbers.len() as u64 + 1;
    let ((), first) = tokio::join!(bench.run_at_once(9, all, |options| options.devices = devices), watch);
    let mut had: Vec<u32> = Vec::new();
    for task_id in &first {
        let log = bench.log(task_id);
        assert_eq!(bench.queue.state(task_id), "completed", "{log}");
        had.push(log.split("Cpus_allowed_list:").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap());
    }
    had.sort_unstable();
    assert_eq!(had, numbers);
}

#[tokio::test]
async fn graphics_processors_are_asked_for_of_docker() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.script("echo it runs");
    bench.run_with(1, |options| options.gpus = Some(Gpus::All)).await;
    let log = bench.log(&task_id);
    // Where there is no driver for them, Docker says what it was asked for.
    let refused = r#"could not select device driver "" with capabilities: [[gpu]]"#;
    assert!(log.contains(refused) || bench.queue.state(&task_id) == "completed", "{log}");
}

#[tokio::test]
async fn a_container_has_the_processors_and_the_shared_memory_that_it_is_to_have() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.script("echo READY; while ! test -e /go; do sleep 0.05; done");
    let look = async {
        bench.line("READY").await;
        let name = format!("taskcluster-{task_id}-0");
        let format = "{{.HostConfig.NanoCpus}} {{.HostConfig.ShmSize}} {{.HostConfig.CpusetCpus}}";
        let described = docker::call(&bench.there.host, &["inspect", "--format", format, &name]);
        bench.touch(&task_id, "/go");
        String::from_utf8(described).unwrap()
    };
    let ((), described) = tokio::join!(bench.run_with(1, |options| options.limits.millicpus = Some(500)), look);
    assert_eq!(described.trim(), "500000000 1800000000");
}

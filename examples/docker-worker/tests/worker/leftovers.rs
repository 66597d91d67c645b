//! Nothing is left: by many tasks, and to those who come after a worker that is killed.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use taskcluster_docker_worker::{DockerEngine, Options};
use taskcluster_worker::testing::{run_without_queue, task_with_payload};
use taskcluster_worker::{Engine, PayloadSchema};

use crate::bench::{Bench, TIMEOUT, program};
use crate::docker::{self, call, things_of};

#[tokio::test]
async fn the_next_life_of_a_killed_worker_removes_containers_and_gives_runs_back() {
    let Some(bench) = Bench::new().await else { return };
    let work_dir = bench.dir.path().join("killed");
    let config = bench.dir.path().join("config.toml");
    let text = format!(
        "root_url = '{}'\nclient_id = 'w'\naccess_token = 'the-secret-token-of-the-worker-itself'\ntask_queue_id = 'test/worker'\n\
         worker_group = 'group'\nworker_id = 'worker'\nwork_dir = '{}'\ndocker = '{}'\n",
        bench.queue.root_url(),
        work_dir.display(),
        bench.there.host,
    );
    std::fs::write(&config, text).unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).unwrap();
    let start = |limit: &str| program("run").args(["--task-limit", limit, "--config"]).arg(&config).spawn().unwrap();
    let label = work_dir.to_string_lossy().into_owned();
    let payload = json!({"command": ["/bin/sh", "-c", "sleep 1000"], "features": {"taskclusterProxy": true}});
    let task_id = bench.add(payload);
    let mut first = start("9");
    until(|| things_of(&bench.there.host, &label).len() == 2).await;
    first.kill().await.unwrap();
    assert_eq!(things_of(&bench.there.host, &label).len(), 2, "a container and its network");

    let second_task = bench.script("echo fine");
    let mut second = start("1");
    tokio::time::timeout(TIMEOUT, second.wait()).await.expect("it has done its task").unwrap();
    assert_eq!(things_of(&bench.there.host, &label), [""; 0]);
    assert_eq!(bench.queue.state(&task_id), "exception worker-shutdown");
    assert_eq!(bench.queue.state(&second_task), "completed", "{}", bench.log(&second_task));
}

/// The engine goes on with what it was asked for, though who asked was killed.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_into_being_late_for_a_killed_worker_is_removed_as_well() {
    let Some(there) = docker::find().await else { return };
    let (label, dir) = (docker::label(), tempfile::tempdir().unwrap());
    let engine = DockerEngine::connect(&there.host, Options::new(&label)).await.unwrap();
    engine.set_up().await.unwrap();
    let owner = format!("taskcluster.worker={label}");
    let labels = ["--label", &owner, "--label", "taskcluster.life=another"];
    call(&there.host, &[&["create"], &labels[..], &[&there.image, "/bin/sh"]].concat());
    call(&there.host, &[&["network", "create"], &labels[..], &[&label]].concat());
    assert_eq!(things_of(&there.host, &label).len(), 2);

    let payload = json!({"image": there.image});
    let payload = payload.as_object().unwrap();
    let task = run_without_queue(dir.path(), task_with_payload(payload)).unwrap();
    let schema = PayloadSchema::compose([(engine.name(), engine.payload())]).unwrap();
    let mut builder = engine.prepare(&task, &schema.validate(payload).unwrap()).await.unwrap();
    builder.open_door("somebody").await.unwrap();
    until(|| things_of(&there.host, &label).len() == 1).await;
    let own = format!("taskcluster-{}-{}", task.task_id(), task.run_id());
    let left = call(&there.host, &["network", "ls", "--filter", &format!("label={owner}"), "--format", "{{.Name}}"]);
    assert_eq!(String::from_utf8(left).unwrap().trim(), own, "its own life's things stay");
    builder.discard().await;
    assert_eq!(things_of(&there.host, &label), [""; 0]);
}

/// Each with a volume of its image, a network of its own, a file that is kept and a log.
#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_leave_nothing() {
    let Some(bench) = Bench::new().await else { return };
    let host = bench.there.host.clone();
    let tasks = if std::env::var_os("TASKCLUSTER_TESTS_LONG").is_some() { 1000 } else { 50 };
    let image = image_with_a_volume(&bench);
    let volumes = || String::from_utf8(call(&host, &["volume", "ls", "-q"])).unwrap();
    let before: Vec<String> = volumes().lines().map(str::to_owned).collect();
    let task_ids: Vec<_> = (0..tasks)
        .map(|_| {
            bench.add(json!({
                "image": image,
                "command": ["/bin/sh", "-c", "echo made >/data/made"],
                "artifacts": {"public/made": {"type": "file", "path": "/data/made"}},
                "features": {"taskclusterProxy": true},
                "cache": {"many": "/cache"},
            }))
        })
        .collect();
    let (work_dir, temporary) = (bench.dir.path().join("many"), bench.dir.path().join("tmp"));
    std::fs::create_dir(&temporary).unwrap();
    let mut worker = program("run");
    worker.args(["--task-limit", &tasks.to_string(), "--capacity", "4", "--task-queue-id", "test/worker"]);
    worker.args(["--root-url", bench.queue.root_url(), "--docker", &host, "--client-id", "w", "--work-dir"]);
    worker.arg(&work_dir).env("TMPDIR", &temporary).env("RUST_LOG", "warn");
    worker.env("DOCKER_WORKER_ACCESS_TOKEN", "the-secret-token-of-the-worker-itself");
    let ended =
        tokio::time::timeout(Duration::from_secs(3600), worker.status()).await.expect("it has done them all").unwrap();
    assert!(ended.success());
    for task_id in task_ids {
        assert_eq!(bench.queue.state(&task_id), "completed", "{}", bench.log(&task_id));
        assert_eq!(bench.queue.text(&task_id, "public/made"), "made\n");
    }
    assert_eq!(things_of(&host, &work_dir.to_string_lossy()), [""; 0]);
    assert!(volumes().lines().all(|volume| before.iter().any(|known| known == volume)), "a volume is left");
    for (dir, expected) in [
        (work_dir.join("runs"), vec![]),
        (temporary, vec![]),
        (work_dir.clone(), vec!["caches", "lock", "runs", "worker-id"]),
        (work_dir.join("caches"), vec!["many"]),
    ] {
        assert_eq!(names_in(&dir), expected, "{}", dir.display());
    }
    // As many instances of the cache as there were tasks at once, and a lock for each.
    assert!(names_in(&work_dir.join("caches/many")).len() <= 8);
    call(&host, &["rmi", &image]);
}

fn names_in(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The image of the tests, with a directory that is a volume without a name in each container.
fn image_with_a_volume(bench: &Bench) -> String {
    let (host, image) = (&bench.there.host, "taskcluster-test-volume:1");
    let container = String::from_utf8(call(host, &["create", &bench.there.image, "/bin/sh"])).unwrap();
    call(host, &["commit", "-c", "VOLUME /data", container.trim(), image]);
    call(host, &["rm", container.trim()]);
    image.to_owned()
}

async fn until(mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, waiting).await.expect("it comes to that");
}

#[test]
fn the_program_checks_its_configuration_and_prints_its_schema() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_docker-worker")).args(arguments).env_clear().output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
        )
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let path = path.to_str().unwrap();
    let good = "root_url = 'https://tc.example.com'\ntask_queue_id = 'a/b'\nclient_id = 'c'\naccess_token = 'hidden'\n";
    std::fs::write(path, format!("{good}[[registries]]\nprefix = 'r.example'\nusername = 'u'\npassword = 'p'\n"))
        .unwrap();
    let (good_enough, text) = run(&["check", "--config", path]);
    assert!(good_enough, "{text}");
    std::fs::write(path, format!("{good}memory_megabyte = 5\n")).unwrap();
    let (bad, text) = run(&["check", "--config", path]);
    assert!(!bad && text.contains("\"memory_megabytes\"") && !text.contains("hidden"), "{text}");
    let (printed, text) = run(&["schema"]);
    assert!(printed && text.contains("maxRunTime"));
    let (_, help) = run(&["run", "--help"]);
    assert!(help.contains("DOCKER_WORKER_TASK_QUEUE_ID") && help.contains("DOCKER_WORKER_CPUS"), "{help}");
}

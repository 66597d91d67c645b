//! A worker that is killed leaves nothing to those who come after.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::bench::{Bench, TIMEOUT};
use crate::docker::things_of;

const PROGRAM: &str = env!("CARGO_BIN_EXE_docker-worker");

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
    let start = |limit: &str| {
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--task-limit", limit, "--config"]).arg(&config).env_clear().stdin(Stdio::null());
        command.env("PATH", "/usr/bin:/bin").spawn().unwrap()
    };
    let label = work_dir.to_string_lossy().into_owned();
    let payload = json!({"command": ["/bin/sh", "-c", "sleep 1000"], "features": {"taskclusterProxy": true}});
    let task_id = bench.add(payload);
    let mut first = start("9");
    until(|| things_of(&bench.there.host, &label).len() == 2).await;
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(things_of(&bench.there.host, &label).len(), 2, "a container and its network");

    let second_task = bench.script("echo fine");
    let mut second = start("1");
    until(|| second.try_wait().unwrap().is_some()).await;
    assert_eq!(things_of(&bench.there.host, &label), [""; 0]);
    assert_eq!(bench.queue.state(&task_id), "exception worker-shutdown");
    assert_eq!(bench.queue.state(&second_task), "completed", "{}", bench.log(&second_task));
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
        let output = Command::new(PROGRAM).args(arguments).env_clear().output().unwrap();
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

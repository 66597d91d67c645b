//! A task on one's own desk: no queue, the same container.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::docker::{self, call};

const PROGRAM: &str = env!("CARGO_BIN_EXE_docker-worker");

#[tokio::test]
async fn a_task_runs_on_a_desk_as_it_would_elsewhere() {
    let Some(there) = docker::find().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let (file, artifacts) = (dir.path().join("task.json"), dir.path().join("out"));
    let run = |script: &str, flags: &[&str]| {
        let payload = json!({
            "image": there.image,
            "command": ["/bin/sh", "-c", script],
            "maxRunTime": 60,
            "artifacts": {"public/deep/file": {"type": "file", "path": "/file"}},
            "cache": {"desk": "/cache"},
        });
        let task = json!({"payload": payload, "scopes": ["docker-worker:cache:*"], "taskQueueId": "my/queue"});
        std::fs::write(&file, task.to_string()).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("run-local").arg(&file).arg("--artifacts").arg(&artifacts).args(flags).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("DOCKER_HOST", &there.host).env("XDG_CACHE_HOME", dir.path());
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    };
    let (code, text) =
        run("echo $TASK_ID of $TASKCLUSTER_WORKER_POOL; echo kept >/file; echo warm >/cache/file", &["--keep"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(" of my/queue\r\n"), "{text}");
    assert_eq!(std::fs::read_to_string(artifacts.join("public/deep/file")).unwrap(), "kept\n");
    assert!(std::fs::read_to_string(artifacts.join("public/logs/live_backing.log")).unwrap().contains(" of my/queue"));
    let image = text.lines().find_map(|line| line.strip_prefix("kept as the image ")?.split(": ").next()).unwrap();
    let left = call(&there.host, &["run", "--rm", image, "cat", "/file"]);
    assert_eq!(String::from_utf8(left).unwrap(), "kept\n");
    call(&there.host, &["rmi", image]);

    let (code, text) = run("cat /cache/file; exit 3", &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("warm\r\n") && text.contains("exit code 3"), "{text}");
}

#[tokio::test]
async fn a_shell_takes_the_place_of_the_command() {
    use std::io::Write as _;

    let Some(there) = docker::find().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let (file, artifacts) = (dir.path().join("task.json"), dir.path().join("out"));
    let payload = json!({
        "image": there.greeter,
        "command": ["sh", "-c", "echo not run"],
        "env": {"WORD": "of the task"},
        "maxRunTime": 60,
        "artifacts": {"public/file": {"type": "file", "path": "/file"}},
    });
    std::fs::write(&file, json!({"payload": payload}).to_string()).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["run-local", "--shell"]).arg(&file).arg("--artifacts").arg(&artifacts).env_clear();
    command.env("PATH", "/usr/bin:/bin").env("DOCKER_HOST", &there.host).env("XDG_CACHE_HOME", dir.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"echo kept >/file; echo \"$WORD\" $((6 * 7)); exit 5\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(5), "{said}{told}");
    assert!(said.contains("of the task 42\n") && said.contains("the shell ended with exit code 5"), "{said}");
    assert!(!said.contains("not run\r\n") && !said.contains("hello"), "{said}");
    assert!(told.contains("which is not run: sh -c 'echo not run'\n"), "{told}");
    assert_eq!(std::fs::read_to_string(artifacts.join("public/file")).unwrap(), "kept\n");
}

#[test]
fn what_is_no_task_is_said_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("task.yml");
    for (text, part) in [("[1]", "no object"), ("a: [", "neither YAML nor JSON")] {
        std::fs::write(&file, text).unwrap();
        let output = Command::new(PROGRAM).arg("run-local").arg(&file).env_clear().output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.starts_with("error: ") && error.contains(part), "{error}");
    }
    let output = Command::new(PROGRAM).args(["run-local", "no-such-file"]).env_clear().output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("neither a file nor the id of a task"));
}

//! A task on one's own desk.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use taskcluster_worker::plugins::BACKING_LOG;
use taskcluster_worker::testing::{FakeQueue, task_with_payload};

use crate::bench::{SmallDisk, TIMEOUT, bench_of_users};
use crate::proxy::curl_is_there;

/// The program, which runs the task of a file and keeps what it leaves in a folder.
fn run_local(file: &Path, artifacts: &Path) -> Command {
    run_local_as("none", file, artifacts)
}

fn run_local_as(isolation: &str, file: &Path, artifacts: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_native-worker"));
    command.args(["run-local", "--isolation", isolation, "--artifacts"]).arg(artifacts).arg(file).env_clear();
    // There are disks of a few megabytes among those of the tests.
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("XDG_CACHE_HOME", file.parent().unwrap()).stdin(Stdio::null());
    // The users of tasks would not pass.
    if isolation == "none" {
        command.env("TMPDIR", file.parent().unwrap());
    }
    command
}

#[test]
fn a_task_that_is_interrupted_is_ended_at_once_and_its_log_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (file, artifacts) = (dir.path().join("task.yml"), dir.path().join("out"));
    let script = "echo READY; while :; do sleep 1000; done";
    std::fs::write(&file, format!("command: [[sh, -c, '{script}']]\nmaxRunTime: 3600\n")).unwrap();
    let mut child = run_local(&file, &artifacts).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.lines().any(|line| line == "READY") {
        assert!(output.read_line(&mut said).unwrap() > 0, "{said}");
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    output.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("[taskcluster:error] the run is stopped: interrupted (Ctrl-C)\n"), "{said}");
    assert!(said.contains("=== Task Ends: interrupted ===") && !said.contains("worker-shutdown"), "{said}");
}

#[test]
fn the_next_local_run_clears_up_after_one_that_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (file, artifacts) = (dir.path().join("task.yml"), dir.path().join("out"));
    let payload = |script: &str| std::fs::write(&file, format!("command: [[sh, -c, '{script}']]\nmaxRunTime: 3600\n"));
    payload("echo pid $$; while :; do sleep 1000; done").unwrap();
    let mut killed = run_local(&file, &artifacts).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut output = BufReader::new(killed.stdout.take().unwrap());
    let mut said = String::new();
    let pid = loop {
        assert!(output.read_line(&mut said).unwrap() > 0, "{said}");
        if let Some(pid) = said.lines().find_map(|line| line.strip_prefix("pid ")) {
            break pid.to_owned();
        }
    };
    killed.kill().unwrap();
    killed.wait().unwrap();
    let lives = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    assert!(lives(), "nobody has ended what the killed run began");
    payload("true").unwrap();
    assert!(run_local(&file, &artifacts).status().unwrap().success());
    assert!(!lives());
}

#[test]
fn a_disk_that_a_task_fills_is_told_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_disk) = SmallDisk::mount(dir.path().join("disk")) else { return };
    let file = dir.path().join("task.yml");
    let script = "cat /dev/zero > big; while echo this is the log of a disk that is full; do :; done | head -c 1000000";
    let artifact = "[{type: file, path: big, name: public/big}]";
    std::fs::write(&file, format!("command: [[sh, -c, '{script}']]\nmaxRunTime: 60\nartifacts: {artifact}\n")).unwrap();
    // There is room for what it leaves, or there is not.
    for (artifacts, told) in [("out", 1), ("disk/out", 2)] {
        let mut command = run_local(&file, &dir.path().join(artifacts));
        let output = command.env("TMPDIR", dir.path().join("disk")).output().unwrap();
        let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let errors: Vec<&str> =
            errors.lines().filter(|line| line.contains(" ERROR ") || line.contains(" WARN ")).collect();
        assert!(errors.len() <= told && errors[0].contains("No space left on device"), "{errors:#?}");
        assert!(said.contains("what the task printed from here on is not in its log"), "{said}");
        assert!(said.contains("=== Task Ends: "), "the terminal has all of it: {said}");
    }
}

#[test]
fn a_task_runs_on_a_desk_as_it_would_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("task.yml");
    let artifacts = dir.path().join("out");
    let text = "payload:\n  command: [[sh, -c, 'echo $TASK_ID; echo kept > file; exit 3']]\n  maxRunTime: 60\n  \
                artifacts: [{type: file, path: file, name: public/file}, \
                {type: file, path: file, name: public/small, contentEncoding: gzip}]\n";
    std::fs::write(&file, text).unwrap();
    let output = run_local(&file, &artifacts).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("[taskcluster:error] exit code 3"), "{text}");
    for name in ["public/file", "public/small"] {
        assert_eq!(std::fs::read_to_string(artifacts.join(name)).unwrap(), "kept\n", "{name}");
    }
}

#[test]
fn a_shell_takes_the_place_of_the_commands() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("task.yml");
    let artifacts = dir.path().join("out");
    let text = "payload:\n  command: [[sh, -c, 'echo not run'], [make]]\n  maxRunTime: 60\n  env: {WORD: of the task}\n  \
                artifacts: [{type: file, path: file, name: public/file}]\n";
    std::fs::write(&file, text).unwrap();
    for (script, code) in [("echo kept > file; echo \"$WORD\" $((6 * 7))\n", 0), ("echo kept > file; exit 5\n", 5)] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_native-worker"))
            .args(["run-local", "--shell", "--isolation", "none", "--artifacts"])
            .arg(&artifacts)
            .arg(&file)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("XDG_CACHE_HOME", dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{said}{told}");
        assert_eq!(said.contains("of the task 42\n"), code == 0, "{said}");
        assert!(said.contains(&format!("the shell ended with exit code {code}")), "{said}");
        assert!(!said.contains("\nnot run\n") && told.contains("which is not run: make\n"), "{said}{told}");
        assert_eq!(std::fs::read_to_string(artifacts.join("public/file")).unwrap(), "kept\n");
    }
}

#[tokio::test]
async fn what_a_task_leaves_is_kept_to_look_at() {
    let mut isolations = vec!["none"];
    isolations.extend(bench_of_users().await.map(|_| "user"));
    for isolation in isolations {
        let dir = tempfile::tempdir().unwrap();
        let (file, artifacts) = (dir.path().join("task.yml"), dir.path().join("out"));
        std::fs::write(&file, "command: [[sh, -c, 'mkdir deep; echo left > deep/file; exit 3']]\nmaxRunTime: 60\n")
            .unwrap();
        let output = run_local_as(isolation, &file, &artifacts).arg("--keep").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let kept = said.lines().find_map(|line| line.strip_prefix("kept: the task's directory is in "));
        let kept =
            Path::new(kept.unwrap_or_else(|| panic!("{isolation}: {said}{}", String::from_utf8_lossy(&output.stderr))));
        let tasks: Vec<_> = std::fs::read_dir(kept).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [task] = tasks.as_slice() else { panic!("{isolation}: {tasks:?}") };
        assert_eq!(std::fs::read_to_string(task.join("deep/file")).unwrap(), "left\n");
        use std::os::unix::fs::MetadataExt as _;
        let owner = std::fs::metadata(task.join("deep/file")).unwrap().uid();
        assert_eq!(owner, rustix::process::geteuid().as_raw(), "{isolation}");
        std::fs::remove_dir_all(kept).unwrap();
    }
}

/// The definition is the deployment's, and so are the answers that the task gets there: for its own scopes, and no others of who runs it.
#[tokio::test]
async fn a_task_of_a_deployment_runs_here_with_no_more_than_its_scopes() {
    if !curl_is_there() {
        return;
    }
    let (queue, dir) = (FakeQueue::start().await.unwrap(), tempfile::tempdir().unwrap());
    let script = "env; curl -sS --noproxy '*' $TASKCLUSTER_PROXY_URL/api/echo/v1/x";
    let payload = json!({
        "command": [["/bin/sh", "-c", script]],
        "maxRunTime": 60,
        "features": {"taskclusterProxy": true},
    });
    let mut definition = task_with_payload(payload.as_object().unwrap());
    definition["scopes"] = json!(["of:the-task"]);
    let task_id = queue.add_task(definition);
    let mut run = run_local(Path::new(&task_id.to_string()), &dir.path().join("out"));
    let token = "the-access-token-of-who-runs-the-task-here";
    run.envs([
        ("TASKCLUSTER_ROOT_URL", queue.root_url()),
        ("TASKCLUSTER_CLIENT_ID", "me"),
        ("TASKCLUSTER_ACCESS_TOKEN", token),
    ]);
    run.env("XDG_CACHE_HOME", dir.path()).current_dir(dir.path());
    let mut run = tokio::process::Command::from(run);
    let output = tokio::time::timeout(TIMEOUT, run.kill_on_drop(true).output()).await.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("TASK_ID={task_id}\n")) && !said.contains(token), "{said}");
    let echo = said.lines().find(|line| line.contains("Hawk id=")).unwrap_or_else(|| panic!("{said}"));
    let echo: Value = serde_json::from_str(&echo[echo.find('{').unwrap()..=echo.rfind('}').unwrap()]).unwrap();
    let authorization = echo["authorization"].as_str().unwrap();
    assert!(authorization.starts_with("Hawk id=\"me\""), "{authorization}");
    let (_, extension) = authorization.split_once("ext=\"").expect("it has a certificate");
    let extension = base64::prelude::BASE64_STANDARD.decode(extension.split('"').next().unwrap()).unwrap();
    let extension: Value = serde_json::from_slice(&extension).unwrap();
    assert_eq!(extension["certificate"]["scopes"], json!(["of:the-task"]), "{extension}");
    // The queue knows nothing of it.
    assert_eq!(queue.state(&task_id), "pending");
    let kept = std::fs::read_to_string(dir.path().join("out").join(BACKING_LOG)).unwrap();
    assert!(kept.contains("=== Task Ends: completed ==="), "{kept}");
}

//! A task on one's own desk.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::bench::SmallDisk;

/// The program, which runs the task of a file and keeps what it leaves in a folder.
fn run_local(file: &Path, artifacts: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_native-worker"));
    command.args(["run-local", "--isolation", "none", "--artifacts"]).arg(artifacts).arg(file).env_clear();
    command.envs([("PATH", "/usr/bin:/bin"), ("NATIVE_WORKER_REQUIRED_DISK_SPACE", "0")]);
    command.env("XDG_CACHE_HOME", file.parent().unwrap()).stdin(Stdio::null());
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
            .envs([("PATH", "/usr/bin:/bin"), ("NATIVE_WORKER_REQUIRED_DISK_SPACE", "0")])
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

//! A task on one's own desk.

use std::io::Write as _;
use std::process::{Command, Stdio};

#[test]
fn a_task_runs_on_a_desk_as_it_would_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("task.yml");
    let artifacts = dir.path().join("out");
    let text = "payload:\n  command: [[sh, -c, 'echo $TASK_ID; echo kept > file; exit 3']]\n  maxRunTime: 60\n  \
                artifacts: [{type: file, path: file, name: public/file}]\n";
    std::fs::write(&file, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_native-worker"))
        .args(["run-local", "--isolation", "none", "--artifacts"])
        .arg(&artifacts)
        .arg(&file)
        .env_clear()
        .envs([("PATH", "/usr/bin:/bin"), ("NATIVE_WORKER_REQUIRED_DISK_SPACE", "0")])
        .env("XDG_CACHE_HOME", dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("[taskcluster:error] exit code 3"), "{text}");
    assert_eq!(std::fs::read_to_string(artifacts.join("public/file")).unwrap(), "kept\n");
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

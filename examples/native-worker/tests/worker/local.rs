//! A task on one's own desk.

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

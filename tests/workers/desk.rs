//! A worker on another machine, started by the line that `taskcluster up` prints. The machines are networks of their own.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::program;
use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use serde_json::{Value, json};
use taskcluster::{TaskId, Timestamp};

/// A machine: a network of its own, which goes when it is dropped.
struct Machine {
    name: String,
    folder: tempfile::TempDir,
}

impl Machine {
    fn new(role: &str) -> Self {
        let name = format!("tc-{role}-{}", std::process::id());
        ip(&["netns", "add", &name]);
        let machine = Self { name, folder: tempfile::tempdir().unwrap() };
        machine.ip(&["link", "set", "lo", "up"]);
        machine
    }

    fn ip(&self, arguments: &[&str]) {
        ip(&[&["-n", &self.name], arguments].concat());
    }

    /// Plug the end of a cable in.
    fn plug(&self, address: &str) {
        self.ip(&["addr", "add", address, "dev", "cable"]);
        self.ip(&["link", "set", "cable", "up"]);
    }

    /// A shell there, which finds the program, knows no deployment, and has a group of processes of its own.
    fn shell(&self, program: &Path, script: &str) -> Command {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "sh", "-c", script]);
        command
            .env_clear()
            .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", program.parent().unwrap().display()));
        command.env("HOME", self.folder.path()).stdin(Stdio::null()).process_group(0);
        command
    }

    /// What a script prints, which ends well.
    fn says(&self, program: &Path, script: &str, input: &str) -> Value {
        let mut command = self.shell(program, script);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{script}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

fn ip(arguments: &[&str]) {
    assert!(Command::new("ip").args(arguments).status().unwrap().success(), "ip {arguments:?}");
}

/// A process with all that it started, ended in order when this is dropped.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

#[test]
fn the_line_that_is_printed_starts_a_worker_on_another_machine() {
    let Some(program) = program() else { return };
    if !geteuid().is_root() || Command::new("ip").arg("-V").output().is_err() {
        println!("skipped: only root can make networks, by the program ip");
        return;
    }
    let (server, desk) = (Machine::new("up"), Machine::new("desk"));
    server.ip(&["link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", &desk.name]);
    server.plug("192.0.2.1/24");
    desk.plug("192.0.2.2/24");

    let mut up = server.shell(&program, "exec taskcluster up --listen 192.0.2.1:8080");
    let mut up = Group(up.stdout(Stdio::piped()).spawn().unwrap());
    let mut printed = Vec::new();
    for line in BufReader::new(up.0.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let is_last = line.starts_with("Ctrl-C");
        printed.push(line);
        if is_last {
            break;
        }
    }
    let line = printed.iter().find(|line| line.contains("native-worker run")).expect("it says how").trim();
    let root: String =
        printed.iter().filter(|line| line.starts_with("export ")).map(|line| format!("{line}; ")).collect();

    let mut worker = desk.shell(&program, line);
    worker.env("NATIVE_WORKER_WORK_DIR", desk.folder.path()).env("NATIVE_WORKER_REQUIRED_DISK_SPACE", "0");
    let _worker = Group(worker.spawn().unwrap());

    let (task_id, now) = (TaskId::new(), Timestamp::now());
    // The task has a user of its own, who looks into this folder.
    let open = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
    let go = open.path().join("go");
    let script = format!("echo READY; while ! test -e {}; do sleep 0.05; done", go.display());
    let definition = json!({
        "taskQueueId": "local/native",
        "created": now,
        "deadline": now + Duration::from_secs(3600),
        "payload": {"command": [["/bin/sh", "-c", script]], "maxRunTime": 600},
        "metadata": {"name": "desk", "description": "on a desk", "owner": "me@example.com", "source": "https://example.com"},
    });
    let definition = definition.to_string();
    server.says(&program, &format!("{root} exec taskcluster api queue createTask {task_id} --body -"), &definition);
    let mut reader = server.shell(&program, &format!("{root} exec taskcluster task log {task_id}"));
    let mut reader = Group(reader.stdout(Stdio::piped()).spawn().unwrap());
    // It is read while the task runs, though nobody can connect to the desk: nothing there listens but on its loopback.
    let mut lines = BufReader::new(reader.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "READY"));
    std::fs::write(go, "").unwrap();
    assert!(lines.any(|line| line.contains("=== Task Finished ===")));
    assert!(reader.0.wait().unwrap().success());
    let status = server.says(&program, &format!("{root} exec taskcluster api queue status {task_id}"), "");
    let run = &status["status"]["runs"][0];
    assert_eq!((&run["state"], &run["workerGroup"]), (&json!("completed"), &json!("desk")));

    let variables = line.split(" taskcluster ").next().unwrap();
    let allowed = desk.says(&program, &format!("{variables} exec taskcluster api auth currentScopes"), "");
    let scopes: Vec<&str> = allowed["scopes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(
        scopes.contains(&"queue:claim-work:local/native") && scopes.contains(&"queue:worker-id:desk/*"),
        "{scopes:?}"
    );
    let more = |scope: &&&str| {
        let ours = ["local/native", "queue:worker-id:desk/", "auth:websocktunnel-token:tunnel/desk."]
            .iter()
            .any(|part| scope.contains(part));
        // What everybody may do here is look.
        let looks = [
            "assume:anonymous",
            "get-",
            "list",
            "count",
            "status",
            "find-task",
            "current-scopes",
            "listen",
            "requests",
        ];
        !ours && !looks.iter().any(|part| scope.contains(part))
    };
    assert_eq!(scopes.iter().find(more), None, "{scopes:?}");
}

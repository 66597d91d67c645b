//! `taskcluster shell`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Client, complaint};
use crate::deployment::Up;
use crate::fixture::{Fixture, PATIENCE, finish, text};

const QUEUE: &str = "local/native";

/// A task that stays until it is cancelled, and lets people in or not.
fn create(client: &Client<'_>, queue: &str, interactive: bool) -> String {
    let definition = json!({
        "taskQueueId": queue,
        "metadata": {"name": "x", "description": "x", "owner": "me@example.com", "source": "https://example.com"},
        "payload": {
            "command": [["sh", "-c", "echo READY; sleep 1000"]],
            "maxRunTime": 3600,
            "features": {"interactive": interactive},
        },
    });
    client.hears(&["task", "create"], &definition.to_string()).trim().to_owned()
}

/// Runs a program there, with this for it to read.
fn run(client: &Client<'_>, args: &[&str], input: &[u8]) -> Output {
    let mut child = client.command(&[&["shell"], args].concat()).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writing = std::thread::spawn(move || {
        // It may end before it has read everything.
        let _ = stdin.write_all(&input);
    });
    let output = finish(child);
    writing.join().unwrap();
    output
}

#[test]
fn a_program_there_has_our_input_and_output_and_we_its_exit_code() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &["--serve", QUEUE]);
    let client = Client { fixture: &fixture, up: &up };
    // Perhaps the worker has not even taken it.
    let task = create(&client, QUEUE, true);
    until_running(&client, &task);
    let output = run(&client, &[&task, "--", "sh", "-c", "echo $TASK_ID; echo aside >&2; cat; exit 7"], b"typed");
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), format!("{task}\ntyped"));
    assert!(text(&output.stderr).ends_with("aside\n"), "{}", text(&output.stderr));

    let noise: Vec<u8> = (0..5_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert!(run(&client, &[&task, "--", "sh", "-c", "cat >noise"], &noise).status.success());
    let output = run(&client, &[&task, "--", "cat", "noise"], b"");
    assert!(output.status.success() && sha256(&output.stdout) == sha256(&noise), "{}", output.stdout.len());

    let (line, code) = complaint(&run(&client, &[&task, "--", "/no/such"], b""));
    assert!(line.starts_with("/no/such: ") && code == Some(1), "{line}");
    // Whoever has read enough, as `head`, gets no error.
    let mut child = client.command(&["shell", &task, "--", "sh", "-c", "while :; do echo y; done"]).spawn().unwrap();
    let mut first = [0; 2];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = finish(child);
    assert_eq!((output.status.code(), &first), (Some(0), b"y\n"), "{}", text(&output.stderr));
    client.says(&["task", "cancel", &task]);
    up.stop();
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).to_vec()
}

#[test]
fn who_is_told_to_end_ends_the_program() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &["--serve", QUEUE]);
    let client = Client { fixture: &fixture, up: &up };
    let task = create(&client, QUEUE, true);
    until_running(&client, &task);
    let script = "echo $$ >pid; echo READY; sleep 1000; sleep 1000";
    let mut child = client.command(&["shell", &task, "--", "sh", "-c", script]).spawn().unwrap();
    let mut ready = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(finish(child).status.code(), Some(130));
    let gone = "while kill -0 $(cat pid) 2>/dev/null; do sleep 0.05; done; echo gone";
    assert_eq!(text(run(&client, &[&task, "--", "sh", "-c", gone], b"").stdout), "gone\n");
    client.says(&["task", "cancel", &task]);
    up.stop();
}

#[test]
fn why_there_is_no_shell_is_told() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let (closed, task) = (create(&client, "nobody/none", false), create(&client, "nobody/none", true));
    let (line, code) = client.complains(&["shell", &task]);
    assert!(line.contains("is pending: only a task that runs has a shell") && code == Some(1), "{line}");
    client.hears(&["api", "queue", "claimWork", "nobody/none"], r#"{"tasks": 2, "workerGroup": "g", "workerId": "w"}"#);
    let (line, code) = client.complains(&["shell", &closed]);
    assert!(line.contains("features.interactive") && line.contains("create-interactive") && code == Some(1), "{line}");
    let (line, code) = complaint(&finish(client.anonymous(&["shell", &task]).spawn().unwrap()));
    assert!(line.contains("queue:get-artifact:private/interactive/shell") && code == Some(1), "{line}");

    // The worker has only just begun: it is waited for.
    let mut child = client.command(&["shell", &task]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let note = stderr.next().unwrap();
    assert!(note.starts_with("note: ") && note.ends_with("waiting until its worker has opened a shell"), "{note}");
    let artifact = json!({
        "storageType": "reference", "url": "http://127.0.0.1:9/shell/secret",
        "contentType": "application/vnd.taskcluster.shell",
        "expires": client.json(&["task", "def", &task])["expires"],
    });
    client.hears(&["api", "queue", "createArtifact", &task, "0", "private/interactive/shell"], &artifact.to_string());
    let line = stderr.next().unwrap();
    assert!(line.contains("cannot be reached at 127.0.0.1:9: ") && !line.contains("secret"), "{line}");
    assert_eq!(finish(child).status.code(), Some(1));

    client.says(&["api", "queue", "reportCompleted", &task, "0"]);
    let (line, code) = client.complains(&["shell", &task]);
    assert!(line.contains("is completed: only a task that runs has a shell") && code == Some(1), "{line}");
    up.stop();
}

/// A worker that is a process of its own, so that it can be killed without its deployment.
fn worker(client: &Client<'_>, work_dir: &std::path::Path) -> std::process::Child {
    let mut command = client.command(&["native-worker", "run", "--task-queue-id", QUEUE, "--worker-id", "one"]);
    command.args(["--worker-group", "desk", "--capacity", "1", "--work-dir"]).arg(work_dir);
    // However full the disk of this machine is.
    command.env("NATIVE_WORKER_REQUIRED_DISK_SPACE", "0");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A task with a cache and this script.
fn create_with_cache(client: &Client<'_>, script: &str, interactive: bool) -> String {
    let definition = json!({
        "taskQueueId": QUEUE,
        "metadata": {"name": "x", "description": "x", "owner": "me@example.com", "source": "https://example.com"},
        "scopes": ["generic-worker:cache:ours"],
        "payload": {
            "command": [["sh", "-c", script]],
            "maxRunTime": 3600,
            "mounts": [{"directory": "cache", "cacheName": "ours"}],
            // The sandbox of one that people may enter stays for some minutes.
            "features": {"interactive": interactive},
        },
    });
    client.hears(&["task", "create"], &definition.to_string()).trim().to_owned()
}

#[test]
fn a_cache_that_somebody_may_have_changed_is_not_used_again_though_the_worker_was_killed() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &[]);
    let client = Client { fixture: &fixture, up: &up };
    let work_dir = fixture.folder().join("worker");
    let mut first = worker(&client, &work_dir);
    let shown = |task: &str| client.says(&["task", "log", task]);

    // A cache is kept, also by a worker that was killed.
    let task = create_with_cache(&client, "cat cache/* 2>/dev/null; echo kept-$((1 + 1)) >cache/file", false);
    client.says(&["task", "watch", &task]);
    let open = create_with_cache(&client, "cat cache/file; sleep 1000", true);
    until_running(&client, &open);
    let script = "cat cache/file; echo spoiled-$((1 + 2)) >cache/file; echo IN; sleep 1000";
    let mut visitor = client.command(&["shell", &open, "--", "sh", "-c", script]).spawn().unwrap();
    let mut said = [0; "kept-2\nIN\n".len()];
    visitor.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(text(said), "kept-2\nIN\n");
    first.kill().unwrap();
    first.wait().unwrap();
    client.says(&["task", "cancel", &open]);
    visitor.kill().unwrap();
    visitor.wait().unwrap();

    let mut second = worker(&client, &work_dir);
    let task = create_with_cache(&client, "echo there: $(cat cache/* 2>/dev/null) $((40 + 2))", false);
    client.says(&["task", "watch", &task]);
    assert!(shown(&task).contains("\nthere: 42\n"), "{}", shown(&task));
    kill_process(Pid::from_child(&second), Signal::TERM).unwrap();
    second.wait().unwrap();
    up.stop();
}

fn until_running(client: &Client<'_>, task: &str) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !client.says(&["task", "status", task]).starts_with("running\n") {
        assert!(std::time::Instant::now() < deadline, "it does not run");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// The client in a terminal of its own.
struct Desk {
    pty: pty_process::Pty,
    /// So that the terminal stays when the client has ended.
    _inside: std::fs::File,
    child: tokio::process::Child,
    said: String,
}

impl Desk {
    fn new(client: &Client<'_>, args: &[&str]) -> Self {
        let plain = client.command(&[&["shell"], args].concat());
        let (pty, inside) = pty_process::open().unwrap();
        pty.resize(pty_process::Size::new(33, 77)).unwrap();
        let name = rustix::pty::ptsname(&pty, Vec::new()).unwrap();
        let kept = std::fs::File::from(
            rustix::fs::open(
                name.as_c_str(),
                rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY,
                rustix::fs::Mode::empty(),
            )
            .unwrap(),
        );
        let mut command = pty_process::Command::new(plain.get_program()).args(plain.get_args()).kill_on_drop(true);
        for (name, value) in plain.get_envs() {
            command = match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command.spawn(inside).unwrap();
        Self { pty, _inside: kept, child, said: String::new() }
    }

    /// Waits until it shows this, and forgets what came up to it.
    async fn until(&mut self, what: &str) {
        let mut buffer = [0; 1000];
        while !self.said.contains(what) {
            let reading = tokio::time::timeout(PATIENCE, self.pty.read(&mut buffer));
            let read = reading.await.unwrap_or_else(|_| panic!("{what:?} does not come: {:?}", self.said)).unwrap();
            self.said.push_str(&text(&buffer[..read]));
        }
        let end = self.said.find(what).unwrap() + what.len();
        self.said.drain(..end);
    }

    async fn types(&mut self, keys: &str) {
        self.pty.write_all(keys.as_bytes()).await.unwrap();
    }

    async fn ended(&mut self) -> Option<i32> {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap().code()
    }

    fn modes(&self) -> String {
        let now = tcgetattr(&self.pty).unwrap();
        format!("{:?} {:?} {:?} {:?}", now.input_modes, now.output_modes, now.control_modes, now.local_modes)
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.pty).unwrap().local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }
}

#[tokio::test]
async fn in_a_terminal_it_is_as_if_one_sat_there_and_the_terminal_is_given_back() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &["--serve", QUEUE]);
    let client = Client { fixture: &fixture, up: &up };
    let task = create(&client, QUEUE, true);
    until_running(&client, &task);

    // The usual one is whatever the machine has; this one says no more than it is told to.
    let mut desk = Desk::new(&client, &[&task, "--", "sh"]);
    let before = desk.modes();
    assert!(!desk.is_raw());
    desk.types("PS1=; stty -echo; echo in-$((40 + 2))\n").await;
    desk.until("in-42\r\n").await;
    assert!(desk.is_raw());
    desk.types("stty size\n").await;
    desk.until("33 77\r\n").await;
    // Within a script a program belongs to the script's own group, so the signal reaches the script whatever it is doing; a shell
    // that people type into gives each program a group, and hears nothing while one runs.
    let script = "trap 'echo resized; stty size' WINCH; echo trapped; while :; do sleep 0.05; done";
    desk.types(&format!("sh -c \"{script}\"\n")).await;
    desk.until("trapped\r\n").await;
    desk.pty.resize(pty_process::Size::new(20, 50)).unwrap();
    desk.until("resized\r\n20 50\r\n").await;
    // The key ends the loop there, and nobody here.
    desk.types("\x03").await;
    desk.types("echo alive-$((1 + 1))\n").await;
    desk.until("alive-2\r\n").await;
    desk.types("exit 9\n").await;
    assert_eq!(desk.ended().await, Some(9));
    assert_eq!(desk.modes(), before);

    for signal in [Signal::TERM, Signal::HUP, Signal::QUIT, Signal::INT] {
        let mut desk = Desk::new(&client, &[&task, "--", "sh", "-c", "echo READY; sleep 1000"]);
        assert_eq!(desk.modes(), before);
        desk.until("READY\r\n").await;
        assert!(desk.is_raw());
        let child = Pid::from_raw(i32::try_from(desk.child.id().unwrap()).unwrap()).unwrap();
        kill_process(child, signal).unwrap();
        assert_eq!((desk.ended().await, desk.modes()), (Some(130), before.clone()), "{signal:?}");
    }

    let mut desk = Desk::new(&client, &[&task, "--", "sh", "-c", "trap '' INT; echo READY; sleep 1000"]);
    desk.until("READY\r\n").await;
    desk.types("\x03\r~.").await;
    assert_eq!((desk.ended().await, desk.modes()), (Some(130), before.clone()));

    // Without a terminal there, ours stays as it is.
    let mut desk = Desk::new(&client, &["--no-tty", &task, "--", "sh", "-c", "test -t 0 || echo pipes; cat; exit 3"]);
    desk.until("pipes\r\n").await;
    assert!(!desk.is_raw());
    desk.types("\x04").await;
    assert_eq!((desk.ended().await, desk.modes()), (Some(3), before));
    client.says(&["task", "cancel", &task]);
    up.stop();
}

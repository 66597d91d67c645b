//! Shells in the containers of running tasks.

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use taskcluster_core::ids::TaskId;
use taskcluster_worker::plugins::SHELL;
use taskcluster_worker::shell::client::{ShellError, Terminal, attend};
use taskcluster_worker::shell::{ShellRequest, Size};
use taskcluster_worker::testing::{BRIEFLY, shells_of, visit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

use crate::bench::{Bench, TIMEOUT};

/// Waits until there is a file `/go`.
const WAITS: &str = "echo READY; while ! test -e /go; do sleep 0.05; done";

fn interactive(script: &str) -> Value {
    json!({"command": ["/bin/sh", "-c", script], "features": {"interactive": true}})
}

async fn run(bench: &Bench) {
    bench.run_as(4, 1, |_| {}, |worker| worker.linger = BRIEFLY).await;
}

/// Where the shells of a task are, once they can be opened.
async fn address(bench: &Bench, task_id: &TaskId) -> Url {
    shells_of(&bench.queue, task_id).await
}

fn sh(script: &str) -> ShellRequest {
    ShellRequest::new(["/bin/sh", "-c", script])
}

#[tokio::test]
async fn a_shell_has_what_the_task_has_and_tells_its_exit_code() {
    let Some(bench) = Bench::new().await else { return };
    let mut payload = interactive(WAITS);
    payload["env"] = json!({"WORD": "of the task"});
    let task_id = bench.add(payload);
    let visitor = async {
        let address = address(&bench, &task_id).await;
        let script = "echo $TASK_ID $WORD; pwd >&2; cat; exit 7";
        let first = visit(&address, sh(script), b"typed").await.unwrap();
        // Without a command it is a shell, which reads what to do.
        let second = visit(&address, ShellRequest::default(), b"echo $((6 * 7)); touch /go; exit 3\n").await.unwrap();
        (first, second)
    };
    let ((), (first, second)) = tokio::join!(run(&bench), visitor);
    assert_eq!(first, (format!("{task_id} of the task\ntyped").into_bytes(), b"/\n".to_vec(), 7));
    assert_eq!(second, (b"42\n".to_vec(), Vec::new(), 3));
    assert_eq!(bench.queue.state(&task_id), "completed", "{}", bench.log(&task_id));
}

#[tokio::test]
async fn in_a_terminal_a_program_sees_its_size_and_is_interrupted_by_a_key() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.add(interactive(WAITS));
    let visitor = async {
        let address = address(&bench, &task_id).await;
        let (first, second) = (Size { rows: 33, columns: 77 }, Size { rows: 20, columns: 50 });
        // The size is there at once, another one comes as a signal, and what ends it is typed: Ctrl-C, after keys that detach Docker.
        let script = "stty -echo; stty size; trap 'stty size' WINCH; echo READY; while ! test -e /resized; do sleep 0.05; done; \
                      trap 'touch /go; exit 9' INT; echo NOW; while :; do sleep 0.05; done";
        let (resize, sizes) = tokio::sync::mpsc::unbounded_channel();
        let sizes = stream::unfold(sizes, |mut sizes| async { Some((sizes.recv().await?, sizes)) }).boxed();
        let (input, mut type_in) = tokio::io::duplex(100);
        let (output, mut heard) = tokio::io::duplex(1000);
        let terminal = Terminal { input, output, error: tokio::io::sink(), sizes };
        let shell = attend(&address, sh(script).with_terminal(first), terminal);
        let typing = async {
            let mut said = String::new();
            until(&mut heard, &mut said, "READY\r\n").await;
            resize.send(second).unwrap();
            until(&mut heard, &mut said, "20 50\r\n").await;
            visit(&address, sh("touch /resized"), b"").await.unwrap();
            until(&mut heard, &mut said, "NOW\r\n").await;
            type_in.write_all(b"\x10\x11\x03").await.unwrap();
            said
        };
        tokio::time::timeout(TIMEOUT, async { tokio::join!(shell, typing) }).await.expect("it ends")
    };
    let ((), (code, said)) = tokio::join!(run(&bench), visitor);
    assert_eq!(code.unwrap(), 9, "{said}");
    assert!(said.starts_with("33 77\r\n"), "{said}");
}

async fn until(from: &mut (impl tokio::io::AsyncRead + Unpin), said: &mut String, what: &str) {
    let mut buffer = [0; 100];
    while !said.contains(what) {
        let read = from.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "{said}");
        said.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
}

#[tokio::test]
async fn bytes_go_through_as_they_are() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.add(interactive(WAITS));
    let noise: Vec<u8> = (0..5_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let visitor = async {
        let address = address(&bench, &task_id).await;
        let (none, _, code) = visit(&address, sh("cat >/noise"), &noise).await.unwrap();
        assert_eq!((none, code), (Vec::new(), 0));
        let got = visit(&address, ShellRequest::new(["cat", "/noise"]), b"").await.unwrap();
        visit(&address, sh("touch /go"), b"").await.unwrap();
        got
    };
    let ((), (output, error, code)) = tokio::join!(run(&bench), visitor);
    assert!(output == noise, "{} bytes came of {}", output.len(), noise.len());
    assert_eq!((error, code), (Vec::new(), 0));
}

#[tokio::test]
async fn a_program_whose_visitor_leaves_is_ended_with_all_it_started() {
    let Some(bench) = Bench::new().await else { return };
    // The task ends when both processes are gone. What ignores signals is none the less.
    let waits = "while ! test -s /two; do sleep 0.05; done; \
                 while kill -0 $(cat /one) 2>/dev/null || kill -0 $(cat /two) 2>/dev/null; do sleep 0.05; done; echo GONE";
    let task_id = bench.add(interactive(waits));
    let visitor = async {
        let address = address(&bench, &task_id).await;
        let script = "trap '' TERM HUP INT; echo $$ >/one; (set -m; sh -c 'echo $$ >/two; sleep 1000; sleep 1000') & \
                      while ! test -s /two; do sleep 0.05; done; echo READY; sleep 1000; sleep 1000";
        let (output, mut heard) = tokio::io::duplex(100);
        let (leave, left) = tokio::sync::oneshot::channel::<()>();
        let input = Box::pin(stream::once(async {
            let _ = left.await;
            Err::<&[u8], _>(std::io::Error::other("leaving"))
        }));
        let input = tokio_util::io::StreamReader::new(input);
        let terminal = Terminal { input, output, error: tokio::io::sink(), sizes: stream::pending::<Size>() };
        let shell = attend(&address, sh(script), terminal);
        let leaving = async {
            until(&mut heard, &mut String::new(), "READY\n").await;
            leave.send(()).unwrap();
        };
        tokio::time::timeout(TIMEOUT, async { tokio::join!(shell, leaving) }).await.expect("it ends")
    };
    let ((), (code, ())) = tokio::join!(run(&bench), visitor);
    assert!(matches!(code, Err(ShellError::Io(_))), "{code:?}");
    assert!(bench.log(&task_id).contains("GONE\r\n"), "{}", bench.log(&task_id));
}

#[tokio::test]
async fn a_task_stays_as_long_as_somebody_is_in_it_and_ends_as_its_command_did() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.add(interactive(&format!("{WAITS}; echo over >/ended; exit 3")));
    let visitor = async {
        let address = address(&bench, &task_id).await;
        let (output, mut heard) = tokio::io::duplex(100);
        let (input, mut type_in) = tokio::io::duplex(100);
        let terminal = Terminal { input, output, error: tokio::io::sink(), sizes: stream::pending::<Size>() };
        let shell = attend(&address, sh("touch /go; read answer; cat /ended"), terminal);
        let typing = async {
            bench.text("the task stays for those who look at it in a shell").await;
            assert_eq!(bench.queue.state(&task_id), "running");
            type_in.write_all(b"yes\n").await.unwrap();
            let mut rest = String::new();
            heard.read_to_string(&mut rest).await.unwrap();
            rest
        };
        tokio::time::timeout(TIMEOUT, async { tokio::join!(shell, typing) }).await.expect("it ends")
    };
    let ((), (code, rest)) = tokio::join!(run(&bench), visitor);
    assert_eq!((code.unwrap(), &*rest), (0, "over\n"));
    let log = bench.log(&task_id);
    assert_eq!(bench.queue.state(&task_id), "failed", "{log}");
    assert!(log.contains("exit code 3"), "{log}");
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.add(interactive(WAITS));
    let visitor = async {
        let address = address(&bench, &task_id).await;
        for request in [ShellRequest::new(["/no/such"]), ShellRequest::new(["nosuch", "-c"])] {
            let program = request.command[0].clone();
            for request in [request.clone(), request.with_terminal(Size { rows: 9, columns: 9 })] {
                let error = visit(&address, request, b"").await.unwrap_err().to_string();
                assert_eq!(error, format!("{program}: there is no such program"));
            }
        }
        visit(&address, sh("touch /go"), b"").await.unwrap();
    };
    tokio::join!(run(&bench), visitor);
}

#[tokio::test]
async fn a_command_that_can_be_looked_at_is_the_same_command() {
    let Some(bench) = Bench::new().await else { return };
    // What the image says runs where the payload does not say it; variables, signals and arguments arrive.
    let hello = bench.add(json!({"image": bench.there.greeter, "features": {"interactive": true}}));
    run(&bench).await;
    assert!(bench.log(&hello).contains("hello from the image\r\n"), "{}", bench.log(&hello));
    let missing = bench.add(json!({"command": ["nosuch"], "features": {"interactive": true}}));
    run(&bench).await;
    assert_eq!(bench.queue.state(&missing), "failed");
    assert!(bench.log(&missing).contains("exit code 127"), "{}", bench.log(&missing));
    let mut payload = interactive("trap 'echo BYE; exit 0' TERM; echo \"it's $1\"; while :; do sleep 0.05; done");
    payload["command"].as_array_mut().unwrap().extend([json!("sh"), json!("a  b")]);
    payload["maxRunTime"] = json!(2);
    let asked = bench.add(payload);
    run(&bench).await;
    let log = bench.log(&asked);
    assert!(log.contains("it's a  b\r\n") && log.contains("BYE\r\n"), "{log}");
    assert_eq!(bench.queue.state(&asked), "failed", "{log}");
}

#[tokio::test]
async fn a_cache_of_a_task_that_somebody_was_in_is_not_kept() {
    let Some(bench) = Bench::new().await else { return };
    for enters in [false, true] {
        let cached = |script: &str| {
            let mut payload = interactive(script);
            payload["cache"] = json!({format!("entered-{enters}"): "/cache"});
            payload
        };
        let first = bench.add(cached(&format!("echo x >/cache/file; {WAITS}")));
        let visitor = async {
            let address = address(&bench, &first).await;
            // Whoever leaves it alone comes by another way.
            if enters {
                visit(&address, sh("touch /go"), b"").await.unwrap();
            } else {
                bench.line("READY").await;
                bench.touch(&first, "/go");
            }
        };
        tokio::join!(run(&bench), visitor);
        let second = bench.add(cached("ls /cache/file"));
        run(&bench).await;
        assert_eq!(bench.queue.state(&second), if enters { "failed" } else { "completed" }, "{enters}");
    }
}

#[tokio::test]
async fn a_task_that_allows_no_shell_has_none() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.script("test -e /run/taskcluster-stay && exit 1; echo the first process is $$");
    run(&bench).await;
    assert_eq!(bench.queue.state(&task_id), "completed");
    assert!(bench.log(&task_id).contains("the first process is 1\r\n"), "{}", bench.log(&task_id));
    assert!(bench.queue.artifact(&task_id, SHELL).is_none());
}

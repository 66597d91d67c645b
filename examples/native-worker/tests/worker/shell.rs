//! Shells in running tasks.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt, stream};
use serde_json::json;
use taskcluster_core::ids::TaskId;
use taskcluster_worker::plugins::{Linger, SHELL, ShellPage};
use taskcluster_worker::shell::client::{ShellError, Terminal, attend};
use taskcluster_worker::shell::{ShellRequest, Size};
use taskcluster_worker::testing::{BRIEFLY, shells_of, visit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use url::Url;

use crate::bench::{Bench, TIMEOUT, bench_of_users};

/// Waits until there is a file `go`, and a little longer for whoever made it.
const WAITS: &str = "echo READY; while ! test -e go; do sleep 0.01; done";

fn interactive(bench: &Bench, script: &str) -> TaskId {
    bench.add(json!({"command": [["/bin/sh", "-c", script]], "features": {"interactive": true}}))
}

/// Where the shells of a task are, once they can be opened.
async fn address(bench: &Bench, task_id: &TaskId) -> Url {
    shells_of(&bench.queue, task_id).await
}

async fn run_briefly(bench: &Bench) {
    bench.run_as(|builder| builder.linger(BRIEFLY)).await;
}

#[tokio::test]
async fn a_shell_has_what_the_task_has_and_tells_its_exit_code() {
    let bench = Bench::new().await;
    let task_id = interactive(&bench, WAITS);
    let visitor = async {
        let address = address(&bench, &task_id).await;
        let script = "echo $TASK_ID; pwd >&2; cat; touch go; exit 7";
        visit(&address, ShellRequest::new(["/bin/sh", "-c", script]), b"typed").await.unwrap()
    };
    let ((), (output, error, code)) = tokio::join!(run_briefly(&bench), visitor);
    assert_eq!(String::from_utf8(output).unwrap(), format!("{task_id}\ntyped"));
    assert!(String::from_utf8(error).unwrap().trim_end().ends_with(&format!("{task_id}_0")));
    assert_eq!((code, &*bench.queue.state(&task_id)), (7, "completed"));
}

#[tokio::test]
async fn who_stays_when_the_time_is_over_has_to_go_and_what_the_code_came_to_stands() {
    // For longer than anybody waits here.
    let long = Linger { from_start: 10 * TIMEOUT, after_shell: 10 * TIMEOUT };
    for (script, state) in [("true", "completed"), ("exit 3", "failed")] {
        let bench = Bench::new().await;
        let command = [["/bin/sh", "-c", script]];
        let task_id = bench.add(json!({"command": command, "features": {"interactive": true}, "maxRunTime": 1}));
        bench.run_as(|builder| builder.linger(long)).await;
        assert_eq!(bench.queue.state(&task_id), state);
        assert!(bench.log(&task_id).contains("maxRunTime of 1 s: whoever is still in a shell has to go"));
    }
}

#[tokio::test]
async fn the_shell_of_a_task_with_a_user_is_that_user_in_a_terminal_of_its_own() {
    let Some(bench) = bench_of_users().await else { return };
    let task_id = interactive(&bench, WAITS);
    let visitor = async {
        let size = Size { rows: 33, columns: 77 };
        let script = "id -un; stty size < $(tty); touch go; kill -TERM $$";
        let request = ShellRequest::new(["/bin/sh", "-c", script]).with_terminal(size);
        visit(&address(&bench, &task_id).await, request, b"").await.unwrap()
    };
    let ((), (output, error, code)) = tokio::join!(run_briefly(&bench), visitor);
    let output = String::from_utf8(output).unwrap();
    assert!(output.starts_with("tctask-") && output.ends_with("\r\n33 77\r\n"), "{output}");
    assert_eq!((error, code), (Vec::new(), 128 + 15));
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_when_connections_break() {
    let bench = Bench::new().await;
    let task_id = interactive(&bench, WAITS);
    let noise: Vec<u8> = (0..1_500_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let visitor = async {
        let mut address = address(&bench, &task_id).await;
        let port = fragile(address.port().unwrap()).await;
        address.set_port(Some(port)).unwrap();
        let script = "cat; touch go";
        visit(&address, ShellRequest::new(["/bin/sh", "-c", script]), &noise).await.unwrap()
    };
    let ((), (output, _, code)) = tokio::join!(run_briefly(&bench), visitor);
    assert!(output == noise, "{} bytes came of {}", output.len(), noise.len());
    assert_eq!(code, 0);
}

/// A way to a port on which each connection breaks once so many bytes have come back by it.
async fn fragile(to: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for allowed in (1..).map(|count| 100_000 + count * 7919) {
            let (mut near, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                let (mut far_read, mut far_write) = far.split();
                let (mut near_read, mut near_write) = near.split();
                let back = async {
                    let mut limited = (&mut far_read).take(allowed);
                    let _ = tokio::io::copy(&mut limited, &mut near_write).await;
                };
                tokio::select! {
                    () = back => {}
                    _ = tokio::io::copy(&mut near_read, &mut far_write) => {}
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn a_task_stays_as_long_as_somebody_is_in_it() {
    let bench = Bench::new().await;
    let task_id = interactive(&bench, &format!("{WAITS}; echo over > ended"));
    let visitor = async {
        let address = address(&bench, &task_id).await;
        let script = "touch go; while ! test -e ended; do sleep 0.01; done; read answer; cat ended";
        let (output, mut heard) = tokio::io::duplex(100);
        let (input, mut type_in) = tokio::io::duplex(100);
        let terminal = Terminal { input, output, error: tokio::io::sink(), sizes: stream::pending::<Size>() };
        let shell = attend(&address, ShellRequest::new(["/bin/sh", "-c", script]), terminal);
        let typing = async {
            while !bench.printed().contains("the task stays for those who look at it in a shell") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(bench.queue.state(&task_id), "running");
            type_in.write_all(b"yes\n").await.unwrap();
            let mut rest = String::new();
            heard.read_to_string(&mut rest).await.unwrap();
            rest
        };
        tokio::time::timeout(TIMEOUT, async { tokio::join!(shell, typing) }).await.expect("it ends")
    };
    let ((), (code, rest)) = tokio::join!(run_briefly(&bench), visitor);
    assert_eq!((code.unwrap(), &*rest), (0, "over\n"));
    assert_eq!(bench.queue.state(&task_id), "completed");
}

#[tokio::test]
async fn who_does_not_know_the_secret_finds_nothing() {
    let bench = Bench::new().await;
    let task_id = interactive(&bench, WAITS);
    let visitor = async {
        let mut wrong = address(&bench, &task_id).await;
        wrong.set_path("/shell/guess");
        let error = visit(&wrong, ShellRequest::new(["/bin/true"]), b"").await.unwrap_err();
        assert!(matches!(error, ShellError::Gone), "{error}");
        bench.touch(&task_id, "go");
    };
    tokio::join!(run_briefly(&bench), visitor);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told() {
    let bench = Bench::new().await;
    let task_id = interactive(&bench, WAITS);
    let visitor = async {
        let address = address(&bench, &task_id).await;
        let error = visit(&address, ShellRequest::new(["/no/such"]), b"").await.unwrap_err().to_string();
        assert!(error.starts_with("/no/such: "), "{error}");
        bench.touch(&task_id, "go");
    };
    tokio::join!(run_briefly(&bench), visitor);
}

#[tokio::test]
async fn a_cache_of_a_task_that_somebody_was_in_is_not_kept() {
    for enters in [false, true] {
        let bench = Bench::new().await;
        let cached = |script: &str| {
            json!({
                "command": [["/bin/sh", "-c", script]],
                "mounts": [{"cacheName": "c", "directory": "cache"}],
                "features": {"interactive": true},
            })
        };
        let first = bench.add(cached("echo x > cache/file; while ! test -e go; do sleep 0.01; done"));
        let visitor = async {
            let address = address(&bench, &first).await;
            if enters {
                visit(&address, ShellRequest::new(["/bin/true"]), b"").await.unwrap();
            }
            bench.touch(&first, "go");
        };
        tokio::join!(run_briefly(&bench), visitor);
        let second = bench.add(cached("ls cache/file"));
        run_briefly(&bench).await;
        assert_eq!(bench.queue.state(&second), if enters { "failed" } else { "completed" }, "{enters}");
    }
}

/// The page says what is typed after a byte of 1, and a size after a byte of 2; what comes back is the terminal's.
#[tokio::test]
async fn the_page_for_generic_worker_opens_a_terminal() {
    let bench = Bench::new().await;
    let task_id = interactive(&bench, WAITS);
    let visitor = async {
        address(&bench, &task_id).await;
        let page = ShellPage::GenericWorker.artifact();
        bench.queue.until(|queue| queue.artifact(&task_id, page).is_some()).await;
        let artifact = bench.queue.artifact(&task_id, page).unwrap();
        let page: Url = artifact.created["url"].as_str().unwrap().parse().unwrap();
        let (_, url) = page.query_pairs().find(|(name, _)| name == "socketUrl").unwrap();
        let url: Url = url.parse().unwrap();
        let stream = TcpStream::connect(url.socket_addrs(|| None).unwrap()[0]).await.unwrap();
        let (mut socket, _) = tokio_tungstenite::client_async(url.as_str(), stream).await.unwrap();
        socket.send(Message::binary(vec![2, 50, 0, 44, 1])).await.unwrap();
        let typed = "\u{1}echo \"<$TASK_ID $(stty size) $0>\"; touch go; exit 7\n";
        socket.send(Message::binary(typed.as_bytes().to_vec())).await.unwrap();
        let mut printed = Vec::new();
        loop {
            match socket.next().await.unwrap().unwrap() {
                Message::Binary(bytes) => printed.extend(bytes),
                Message::Close(frame) => return (String::from_utf8_lossy(&printed).into_owned(), frame.unwrap()),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    let visitor = tokio::time::timeout(TIMEOUT, visitor);
    let ((), visited) = tokio::join!(run_briefly(&bench), visitor);
    let (printed, frame) = visited.expect("it ends");
    assert!(printed.contains(&format!("<{task_id} 50 300 /bin/")), "{printed}");
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1000, "exit code 7"));
    assert_eq!(bench.queue.state(&task_id), "completed");
}

#[tokio::test]
async fn a_task_that_allows_no_shell_has_none() {
    let bench = Bench::new().await;
    let task_id = bench.script("true");
    run_briefly(&bench).await;
    assert_eq!(bench.queue.state(&task_id), "completed");
    for artifact in [SHELL, ShellPage::GenericWorker.artifact()] {
        assert!(bench.queue.artifact(&task_id, artifact).is_none());
    }
}

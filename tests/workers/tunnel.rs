//! A worker that nobody can reach: it listens on nothing, and viewers come in through the tunnel of `taskcluster up`.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _, stream};
use harness::{Ground, Process, Tester, program, soon, task, until};
use http::{Request, Response};
use serde_json::json;
use taskcluster::queue::ArtifactContentResponse;
use taskcluster::transport::BoxError;
use taskcluster::{Body, TaskId, TaskQueueId, object};
use taskcluster_native_worker::{Isolation, NativeWorker, Shutdown};
use taskcluster_worker::plugins::{LIVE_LOG, Linger, SHELL};
use taskcluster_worker::shell::client::{Terminal, attend};
use taskcluster_worker::shell::{ShellRequest, Size};
use taskcluster_worker::tunnel::TunnelServer;

const QUEUE: &str = "test/hidden";

/// Where an artifact leads to, once it is there and leads anywhere.
async fn reference(root: &Tester, task_id: &TaskId, name: &str) -> String {
    until(|| async {
        match root.queue().artifact(task_id, 0, name).await {
            Ok(ArtifactContentResponse::Reference(content)) => Some(content.url.to_string()),
            _ => None,
        }
    })
    .await
}

async fn get(root: &Tester, url: &str, range: Option<&str>) -> Response<Body> {
    let mut request = Request::get(url);
    if let Some(range) = range {
        request = request.header("range", range);
    }
    soon(root.caller().transport().send(request.body(Body::empty()).unwrap())).await.unwrap()
}

/// What comes of a body until these words are there, and the rest of it as it comes.
async fn through(body: &mut (impl Stream<Item = Result<Bytes, BoxError>> + Unpin), words: &str) -> String {
    let mut text = String::new();
    while !text.contains(words) {
        let piece = soon(body.try_next()).await.unwrap();
        text.push_str(std::str::from_utf8(&piece.expect("it goes on")).unwrap());
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn its_log_is_followed_and_a_shell_is_opened_in_its_task() {
    let Some(program) = program() else { return };
    let process = soon(Process::start(program, Ground::default())).await.unwrap();
    let (root, folder) = (process.root(), tempfile::tempdir().unwrap());
    let root_url = root.caller().root_url().to_string();
    let server = TunnelServer::new(format!("{root_url}/tunnel").parse().unwrap(), "tunnel", root.caller().clone());
    let worker = NativeWorker::builder(root_url.clone(), QUEUE.parse().unwrap())
        .credentials(root.caller().credentials().unwrap())
        .worker_group("hidden")
        .worker_id("one")
        .work_dir(folder.path().join("work"))
        .isolation(Isolation::None)
        .required_disk_space(0)
        .linger(Linger { from_start: Duration::ZERO, after_shell: Duration::ZERO })
        .tunnel(server)
        .build();
    let (worker, shutdown) = (soon(worker).await.unwrap(), Shutdown::new());
    let working = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { worker.run(shutdown).await.map(drop).unwrap() }
    });

    let mut definition = task(root.now()).with_task_queue_id(QUEUE.parse::<TaskQueueId>().unwrap());
    let script = "echo READY; while ! test -e go; do sleep 0.02; done; echo GONE ON";
    definition.payload = object! {
        "command": json!([["/bin/sh", "-c", script]]),
        "features": json!({"interactive": true}),
        "maxRunTime": 600,
    };
    let task_id = root.create(&definition).await;
    let log = reference(&root, &task_id, LIVE_LOG).await;
    assert!(log.starts_with(&format!("{root_url}/tunnel/hidden.one.log/log/")), "{log}");

    let answer = get(&root, &log, None).await;
    assert_eq!(answer.status(), 200);
    let mut whole = Box::pin(answer.into_body().into_stream());
    let begin = through(&mut whole, "READY").await;
    let part = get(&root, &log, Some("bytes=0-9")).await;
    assert_eq!(part.status(), 206);
    let part: Vec<_> = soon(part.into_body().into_stream().try_collect()).await.unwrap();
    assert_eq!(part.concat(), &begin.as_bytes()[..10]);
    let from = begin.find("READY").unwrap();
    let follow = get(&root, &log, Some(&format!("bytes={from}-"))).await;
    assert_eq!(follow.status(), 206);
    let mut follow = Box::pin(follow.into_body().into_stream());
    assert!(through(&mut follow, "READY").await.starts_with("READY"));

    let shell = reference(&root, &task_id, SHELL).await.parse().unwrap();
    let (mut output, mut error) = (Vec::new(), Vec::new());
    let terminal =
        Terminal { input: &b"typed"[..], output: &mut output, error: &mut error, sizes: stream::pending::<Size>() };
    let request = ShellRequest::new(["/bin/sh", "-c", "echo $TASK_ID; cat; touch go; exit 7"]);
    assert_eq!(soon(attend(&shell, request, terminal)).await.unwrap(), 7);
    assert_eq!(String::from_utf8(output).unwrap(), format!("{task_id}\ntyped"));

    // Both readers come to the end of the log, which is that of the task.
    assert!(through(&mut whole, "GONE ON").await.contains("GONE ON"));
    through(&mut follow, "GONE ON").await;
    assert!(soon(whole.try_collect::<Vec<_>>()).await.is_ok());
    until(|| async { (root.state(&task_id).await == "completed").then_some(()) }).await;
    assert_eq!(get(&root, &log, None).await.status(), 404);
    shutdown.now();
    soon(working).await.unwrap();
}
